/* write.c - the writing half of json.h. */
#include "base/json_escape.h"
#include "base/numbers.h"
#include "format/json/json.h"
#include <assert.h>
#include <math.h>

void af_json_append_string(struct af_buf *out, struct af_slice text)
{
    assert(out != NULL);
    size_t mark = out->len;
    bool was_failed = out->failed;
    af_json_escape(out, text);
    if (out->failed && !was_failed) { /* af_buf keeps what fitted: half a string is worse than none */
        af_buf_rewind(out, mark);
        out->failed = true;
    }
}

void af_json_append_f64(struct af_buf *out, double value)
{
    assert(out != NULL);
    if (!isfinite(value)) {
        af_buf_append_str(out, "null");
        return;
    }
    char text[AF_F64_TEXT_MAX];
    char *end = af_f64_print(text, value);
    af_buf_append(out, text, (size_t)(end - text));
}

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

/* Recursive: a tree is at most AF_JSON_DEPTH_MAX deep. */
static void append_members(struct af_buf *out, const struct af_json *parent)
{
    for (const struct af_json *member = parent->first; member != NULL; member = member->next) {
        if (member != parent->first)
            af_buf_append_char(out, ',');
        if (parent->kind == AF_JSON_OBJECT) {
            af_json_append_string(out, member->key);
            af_buf_append_char(out, ':');
        }
        af_json_append(out, member);
    }
}

void af_json_append(struct af_buf *out, const struct af_json *json)
{
    switch (json->kind) {
    case AF_JSON_NULL:
        af_buf_append_str(out, "null");
        break;
    case AF_JSON_BOOL:
        af_buf_append_str(out, json->is_true ? "true" : "false");
        break;
    case AF_JSON_NUMBER:
        af_buf_append_slice(out, json->text);
        break;
    case AF_JSON_STRING:
        af_json_append_string(out, json->text);
        break;
    case AF_JSON_ARRAY:
    case AF_JSON_OBJECT:
        af_buf_append_char(out, json->kind == AF_JSON_ARRAY ? '[' : '{');
        append_members(out, json);
        af_buf_append_char(out, json->kind == AF_JSON_ARRAY ? ']' : '}');
        break;
    }
}

/*
 * utf8_fuzz.c - any bytes, escaped as JSON, are one valid line of UTF-8; valid text without special characters comes out as it went in; any
 * bytes read as Windows-1252 become valid UTF-8.
 */
#include "base/json_escape.h"
#include "base/utf8.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool is_plain(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == '"' || text.ptr[i] == '\\')
            return false;
    return af_utf8_is_valid(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_slice text = af_slice_make(data, size);
    struct af_buf out;
    af_buf_init(&out, (size + 1) * 8);
    af_json_escape(&out, text);
    must(!out.failed && out.len >= 2 && out.ptr[0] == '"' && out.ptr[out.len - 1] == '"');
    must(af_utf8_is_valid(af_buf_slice(&out)));
    for (size_t i = 0; i < out.len; i++)
        must((unsigned char)out.ptr[i] >= ' ');
    if (is_plain(text))
        must(af_slice_eq(af_slice_make(out.ptr + 1, out.len - 2), text));
    af_buf_clear(&out);
    af_utf8_append_cp1252(&out, text);
    must(!out.failed && af_utf8_is_valid(af_buf_slice(&out)));
    size_t valid = af_utf8_valid_prefix(text.ptr, size);
    must(valid <= size && af_utf8_is_valid(af_slice_make(data, valid)));
    bool is_valid;
    must(valid == size || (af_utf8_sequence(text.ptr + valid, size - valid, &is_valid) >= 1 && !is_valid));
    af_buf_done(&out);
    return 0;
}

/*
 * key.c - keys of a TSM file: series key, "#!~#", field name.
 *
 * Nothing escapes the separator, so the first one counts. Files are in the order of the composed bytes, which is not that of the series
 * keys: '!' < '#', so "m,a=b!" + separator comes before "m,a=b" + separator.
 */
#include "format/tsm/tsm.h"

enum { SEPARATOR_LEN = sizeof AF_TSM_KEY_SEPARATOR - 1, PIECES = 3 };

bool af_tsm_key_split(struct af_slice key, struct af_slice *out_series, struct af_slice *out_field)
{
    const char *at = key.len > 0 ? memmem(key.ptr, key.len, AF_TSM_KEY_SEPARATOR, SEPARATOR_LEN) : NULL;
    if (at == NULL)
        return false;
    const size_t series_len = (size_t)(at - key.ptr);
    *out_series = af_slice_make(key.ptr, series_len);
    *out_field = af_slice_make(at + SEPARATOR_LEN, key.len - series_len - SEPARATOR_LEN);
    return true;
}

void af_tsm_key_append(struct af_buf *out, struct af_slice series, struct af_slice field)
{
    af_buf_append_slice(out, series);
    af_buf_append(out, AF_TSM_KEY_SEPARATOR, SEPARATOR_LEN);
    af_buf_append_slice(out, field);
}

/* Piece by piece, each time as far as both pieces go. */
int af_tsm_key_compare(struct af_slice series_a, struct af_slice field_a, struct af_slice series_b, struct af_slice field_b)
{
    const struct af_slice separator = AF_SLICE_LIT(AF_TSM_KEY_SEPARATOR);
    struct af_slice a[PIECES] = { series_a, separator, field_a };
    struct af_slice b[PIECES] = { series_b, separator, field_b };
    for (size_t i = 0, j = 0;;) {
        while (i < PIECES && a[i].len == 0)
            i++;
        while (j < PIECES && b[j].len == 0)
            j++;
        if (i == PIECES || j == PIECES)
            return (i < PIECES) - (j < PIECES);
        const size_t n = a[i].len < b[j].len ? a[i].len : b[j].len;
        const int order = memcmp(a[i].ptr, b[j].ptr, n);
        if (order != 0)
            return order;
        a[i].ptr += n, a[i].len -= n;
        b[j].ptr += n, b[j].len -= n;
    }
}

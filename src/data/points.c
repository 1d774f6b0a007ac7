/* points.c - escaping of key parts and the lane of a series; see points.h. */
#include "data/points.h"
#include "base/buf.h"
#include <stdatomic.h>

static uint64_t next_generation(void)
{
    static _Atomic uint64_t last;
    return atomic_fetch_add(&last, 1) + 1;
}

void af_series_set_init(struct af_series_set *set)
{
    af_intern_init(&set->keys);
    set->generation = next_generation();
}

void af_series_set_clear(struct af_series_set *set)
{
    af_intern_clear(&set->keys);
    set->generation = next_generation();
}

void af_series_set_done(struct af_series_set *set)
{
    af_intern_done(&set->keys);
}

/* Copy `text` with a backslash before each comma, space and, if asked, equals sign. */
static void append_escaped(struct af_buf *out, struct af_slice text, bool equals_too)
{
    size_t start = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c != ',' && c != ' ' && !(equals_too && c == '='))
            continue;
        af_buf_append(out, text.ptr + start, i - start);
        af_buf_append_char(out, '\\');
        start = i;
    }
    af_buf_append(out, text.ptr + start, text.len - start);
}

void af_key_append_measurement(struct af_buf *out, struct af_slice name)
{
    append_escaped(out, name, false);
}

void af_key_append_tag(struct af_buf *out, struct af_slice text)
{
    append_escaped(out, text, true);
}

uint32_t af_series_lane(const struct af_series_set *set, uint32_t id, uint32_t lanes)
{
    /* The intern set keeps each key's hash. Its upper bits choose; the lower ones are the slot in the set. */
    return (uint32_t)((unsigned __int128)set->keys.hashes[id] * lanes >> 64);
}

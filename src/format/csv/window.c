/*
 * window.c - a stretch of the file in memory.
 *
 * A reader that has its bytes in memory is looked at in place. Otherwise text is read into one buffer that grows with what its
 * user needs at a time (a batch of rows, one long record) and is moved to the front when the user is done with it.
 */
#include "base/alloc.h"
#include "format/csv/csv_int.h"
#include <assert.h>

enum {
    PIECE_BYTES = 256 << 10,
    VIEW_BYTES = 64 << 20, /* keeps positions within 30 bits */
    PADDING_BYTES = 64,
};

void af_csv_window_init(struct af_csv_window *window, struct af_reader *reader)
{
    *window = (struct af_csv_window){ .reader = reader };
    if (reader->bytes != NULL)
        window->text = (const char *)reader->bytes;
}

void af_csv_window_done(struct af_csv_window *window)
{
    af_free(window->buf);
    *window = (struct af_csv_window){ 0 };
}

static enum af_status grow(struct af_csv_window *window, size_t need, struct af_error *err)
{
    if (need + PADDING_BYTES <= window->cap)
        return AF_OK;
    size_t cap = window->cap * 2 > need + PADDING_BYTES ? window->cap * 2 : need + PADDING_BYTES;
    char *buf = af_realloc(window->buf, cap);
    if (buf == NULL)
        return af_fail_nomem(err, "CSV text");
    window->buf = buf;
    window->text = buf;
    window->cap = cap;
    return AF_OK;
}

enum af_status af_csv_window_more(struct af_csv_window *window, struct af_error *err)
{
    assert(!af_csv_window_at_end(window));
    uint64_t left = window->reader->size - window->offset - window->len;
    if (window->reader->bytes != NULL) {
        window->len += (size_t)(left < VIEW_BYTES ? left : VIEW_BYTES);
        return AF_OK;
    }
    /* A quarter of what is there: reading again and again for one long record stays linear. */
    size_t want = window->len / 4 > PIECE_BYTES ? window->len / 4 : PIECE_BYTES;
    size_t len = left < want ? (size_t)left : want;
    AF_TRY(grow(window, window->len + len, err));
    AF_TRY(af_reader_read(window->reader, window->offset + window->len, window->buf + window->len, len, err));
    window->len += len;
    return AF_OK;
}

void af_csv_window_slide(struct af_csv_window *window, size_t len)
{
    assert(len <= window->len);
    if (len == 0)
        return;
    window->offset += len;
    window->len -= len;
    if (window->buf != NULL)
        memmove(window->buf, window->buf + len, window->len);
    else
        window->text += len;
}

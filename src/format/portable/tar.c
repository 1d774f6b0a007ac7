/*
 * tar.c - archives of shards, written a header at a time and read as a stream; see portable.h.
 *
 *     header (512): name 0..99, mode 100, size 124 (octal, or base 256 when its first bit is set), checksum 148, type 156, magic 257
 *     bytes, padded to 512; at the end two empty blocks
 *
 * Read: POSIX ustar, GNU long names (type L) and sizes, PAX extended headers (type x: path, size); of other members the bytes are
 * skipped.
 */
#include "format/portable/portable.h"
#include <stdio.h>

enum { BLOCK = 512, NAME_AT = 0, NAME_LEN = 100, SIZE_AT = 124, SIZE_LEN = 12, SUM_AT = 148, SUM_LEN = 8, TYPE_AT = 156, MAGIC_AT = 257,
       PREFIX_AT = 345, PREFIX_LEN = 155, LONG_NAME_BYTES_MAX = 64 << 10 };
static const uint64_t USTAR_BYTES_MAX = (UINT64_C(1) << 33) - 1;

/* --- writing --------------------------------------------------------------------------------------------------------------------- */

static unsigned checksum(const uint8_t *block)
{
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= SUM_AT && i < SUM_AT + SUM_LEN ? ' ' : block[i];
    return sum;
}

static void put_octal(char *dst, size_t len, uint64_t value)
{
    dst[--len] = '\0';
    while (len != 0) {
        dst[--len] = (char)('0' + (value & 7));
        value >>= 3;
    }
}

static void seal(char *header)
{
    put_octal(header + SUM_AT, SUM_LEN - 1, checksum((const uint8_t *)header));
    header[SUM_AT + SUM_LEN - 1] = ' ';
}

enum af_status af_tar_header(const char *name, uint64_t bytes, int64_t mtime_s, char out[512], struct af_error *err)
{
    size_t len = strlen(name);
    if (bytes > USTAR_BYTES_MAX || len > NAME_LEN)
        return af_fail(err, AF_ELIMIT, "%s: %s for a tar archive", name,
                       len > NAME_LEN ? "the name is too long" : "more than 8 GiB is too much");
    memset(out, 0, BLOCK);
    memcpy(out + NAME_AT, name, len);
    put_octal(out + 100, 8, 0600);
    put_octal(out + 108, 8, 0);
    put_octal(out + 116, 8, 0);
    put_octal(out + SIZE_AT, SIZE_LEN, bytes);
    put_octal(out + 136, 12, mtime_s > 0 ? (uint64_t)mtime_s & USTAR_BYTES_MAX : 0);
    out[TYPE_AT] = '0';
    memcpy(out + MAGIC_AT, "ustar\00000", 8);
    seal(out);
    return AF_OK;
}

enum af_status af_tar_headers(const char *name, uint64_t bytes, int64_t mtime_s, struct af_buf *out, struct af_error *err)
{
    char header[BLOCK];
    size_t len = strlen(name);
    if (len > NAME_LEN) {
        if (len >= LONG_NAME_BYTES_MAX / 2)
            return af_fail(err, AF_ELIMIT, "%.100s...: the name is too long for a tar archive", name);
        static const char zeros[BLOCK];
        AF_TRY(af_tar_header("././@LongLink", len + 1, 0, header, err));
        header[TYPE_AT] = 'L';
        seal(header);
        af_buf_append(out, header, BLOCK);
        af_buf_append(out, name, len + 1);
        af_buf_append(out, zeros, (size_t)af_tar_padding(len + 1));
    }
    char first[NAME_LEN + 1];
    memcpy(first, name, len < NAME_LEN ? len : NAME_LEN);
    first[len < NAME_LEN ? len : NAME_LEN] = '\0';
    AF_TRY(af_tar_header(first, bytes, mtime_s, header, err));
    af_buf_append(out, header, BLOCK);
    return af_buf_check(out, "a tar archive", err);
}

/* --- reading --------------------------------------------------------------------------------------------------------------------- */

void af_tar_reader_init(struct af_tar_reader *reader)
{
    *reader = (struct af_tar_reader){ .is_skipped = true };
    af_buf_init(&reader->long_name, LONG_NAME_BYTES_MAX);
}

void af_tar_reader_done(struct af_tar_reader *reader)
{
    af_buf_done(&reader->long_name);
}

static bool get_octal(const uint8_t *src, size_t len, uint64_t *out)
{
    uint64_t value = 0;
    if ((src[0] & 0x80) != 0) { /* base 256 */
        for (size_t i = 0; i < len; i++) {
            if (value >> 55 != 0)
                return false;
            value = value << 8 | (i == 0 ? src[i] & 0x7f : src[i]);
        }
        *out = value;
        return true;
    }
    size_t i = 0;
    while (i < len && src[i] == ' ')
        i++;
    for (; i < len && src[i] >= '0' && src[i] <= '7'; i++) {
        if (value >> 60 != 0)
            return false;
        value = value << 3 | (uint64_t)(src[i] - '0');
    }
    *out = value;
    return i == len || src[i] == ' ' || src[i] == '\0';
}

static bool is_empty(const uint8_t *block)
{
    for (size_t i = 0; i < BLOCK; i++)
        if (block[i] != 0)
            return false;
    return true;
}

static size_t text_len(const uint8_t *src, size_t cap)
{
    const void *end = memchr(src, 0, cap);
    return end != NULL ? (size_t)((const uint8_t *)end - src) : cap;
}

/* "27 path=some/name\n" records of a PAX header: what is wanted of them. */
static enum af_status take_pax(struct af_tar_reader *r, struct af_error *err)
{
    struct af_buf records = r->long_name;
    af_buf_init(&r->long_name, LONG_NAME_BYTES_MAX);
    size_t at = 0;
    enum af_status status = AF_OK;
    while (at < records.len && status == AF_OK) {
        size_t len = 0, digits = at;
        while (digits < records.len && records.ptr[digits] >= '0' && records.ptr[digits] <= '9' && len < LONG_NAME_BYTES_MAX)
            len = len * 10 + (size_t)(records.ptr[digits++] - '0');
        if (len < digits - at + 3 || len > records.len - at || records.ptr[digits] != ' ')
            status = af_fail(err, AF_ECORRUPT, "tar: a PAX header is damaged");
        else {
            struct af_slice record = { records.ptr + digits + 1, len - (digits - at) - 2 };
            if (af_slice_has_prefix(record, "path="))
                af_buf_append(&r->long_name, record.ptr + 5, record.len - 5);
            if (af_slice_has_prefix(record, "size=")) {
                r->has_pax_bytes = true;
                r->pax_bytes = 0;
                for (size_t i = 5; i < record.len && record.ptr[i] >= '0' && record.ptr[i] <= '9' && r->pax_bytes < UINT64_MAX / 20; i++)
                    r->pax_bytes = r->pax_bytes * 10 + (uint64_t)(record.ptr[i] - '0');
            }
        }
        at += len;
    }
    af_buf_done(&records);
    return status;
}

static void plain_name(const uint8_t *block, struct af_buf *out)
{
    if (memcmp(block + MAGIC_AT, "ustar", 5) == 0 && block[PREFIX_AT] != 0 && block[MAGIC_AT + 5] == 0) {
        af_buf_append(out, block + PREFIX_AT, text_len(block + PREFIX_AT, PREFIX_LEN));
        af_buf_append_char(out, '/');
    }
    af_buf_append(out, block + NAME_AT, text_len(block + NAME_AT, NAME_LEN));
}

static enum af_status begin_member(struct af_tar_reader *r, uint8_t type, uint64_t bytes, struct af_error *err)
{
    if (r->has_pax_bytes)
        bytes = r->pax_bytes;
    r->has_pax_bytes = false;
    r->data_left = bytes;
    r->padding_left = af_tar_padding(bytes);
    r->is_skipped = type != '0' && type != '\0' && type != '7';
    if (r->is_skipped) {
        af_buf_clear(&r->long_name);
        return AF_OK;
    }
    if (r->long_name.len == 0)
        plain_name(r->block, &r->long_name);
    enum af_status status = af_buf_check(&r->long_name, "the name of a tar member", err);
    if (status == AF_OK)
        status = r->member(r->ctx, af_buf_cstr(&r->long_name), bytes, err);
    af_buf_clear(&r->long_name);
    return status;
}

static enum af_status take_header(struct af_tar_reader *r, struct af_error *err)
{
    uint64_t sum, bytes;
    if (is_empty(r->block)) {
        r->empty_blocks++;
        return AF_OK;
    }
    if (r->empty_blocks >= 2)
        return AF_OK; /* what follows the end is nobody's */
    if (!get_octal(r->block + SUM_AT, SUM_LEN, &sum) || sum != checksum(r->block) || !get_octal(r->block + SIZE_AT, SIZE_LEN, &bytes))
        return af_fail(err, AF_ECORRUPT, "tar: a header is damaged, or this is no tar archive");
    uint8_t type = r->block[TYPE_AT];
    r->is_long_name = type == 'L';
    r->is_pax = type == 'x';
    if (r->is_long_name || r->is_pax) {
        if (bytes > LONG_NAME_BYTES_MAX)
            return af_fail(err, AF_ELIMIT, "tar: an extended header of %llu bytes", (unsigned long long)bytes);
        af_buf_clear(&r->long_name);
        r->data_left = bytes;
        r->padding_left = af_tar_padding(bytes);
        return AF_OK;
    }
    return begin_member(r, type, bytes, err);
}

static enum af_status take_data(struct af_tar_reader *r, struct af_slice piece, struct af_error *err)
{
    r->data_left -= piece.len;
    if (r->is_long_name || r->is_pax)
        af_buf_append_slice(&r->long_name, piece);
    else if (!r->is_skipped)
        AF_TRY(r->data(r->ctx, piece, err));
    if (r->data_left != 0)
        return AF_OK;
    AF_TRY(af_buf_check(&r->long_name, "the name of a tar member", err));
    if (r->is_pax)
        AF_TRY(take_pax(r, err));
    else if (r->is_long_name) /* NUL-terminated */
        r->long_name.len = text_len((const uint8_t *)r->long_name.ptr, r->long_name.len);
    return AF_OK;
}

enum af_status af_tar_feed(struct af_tar_reader *r, struct af_slice bytes, struct af_error *err)
{
    for (size_t at = 0; at < bytes.len;) {
        size_t left = bytes.len - at;
        if (r->data_left != 0) {
            size_t n = left < r->data_left ? left : (size_t)r->data_left;
            AF_TRY(take_data(r, (struct af_slice){ bytes.ptr + at, n }, err));
            at += n;
        } else if (r->padding_left != 0) {
            size_t n = left < r->padding_left ? left : (size_t)r->padding_left;
            r->padding_left -= n;
            at += n;
        } else {
            size_t n = BLOCK - r->block_fill < left ? BLOCK - r->block_fill : left;
            memcpy(r->block + r->block_fill, bytes.ptr + at, n);
            r->block_fill += n;
            at += n;
            if (r->block_fill == BLOCK) {
                r->block_fill = 0;
                AF_TRY(take_header(r, err));
            }
        }
    }
    return AF_OK;
}

enum af_status af_tar_finish(struct af_tar_reader *r, struct af_error *err)
{
    if (r->data_left != 0 || r->padding_left != 0 || r->block_fill != 0 || r->empty_blocks < 2)
        return af_fail(err, AF_ECORRUPT, "tar: the archive is cut short");
    return AF_OK;
}

/*
 * msgpack.c - msgpack (https://github.com/msgpack/msgpack/blob/master/spec.md) as events, read while it arrives; see remote_int.h.
 *
 *     token    head byte | length or number, big-endian | bytes
 *     00-7f e0-ff small integers   80-8f de df maps   90-9f dc dd lists   a0-bf d9-db texts   c0 nil   c2 c3 booleans
 *     c4-c6 bytes (taken as text)  ca cb floats       cc-cf unsigned      d0-d3 signed       d4-d8 c7-c9 extensions
 *
 * A token that is not whole yet waits in `pending`, which thus grows only by bytes that came. The stack holds how many values each open
 * list or map still wants: a hostile length costs nothing. Times are the extension 5 of InfluxDB (int64 s, int32 ns) and the standard's -1.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "remote/remote_int.h"

struct open {
    uint64_t left; /* values; a map's keys count too */
    bool is_map;
};

struct pack_reader {
    struct pack_handler handler;
    void *ctx;
    struct af_buf pending;
    struct open stack[AF_JSON_DEPTH_MAX];
    unsigned depth;
    bool has_any;
};

/* A token, taken apart. */
struct token {
    enum { TOKEN_VALUE, TOKEN_LIST, TOKEN_MAP, TOKEN_NONE } kind;
    struct af_value value;
    uint64_t count;    /* of LIST, MAP */
    size_t bytes;      /* all of it; larger than what is there: it is not whole */
};

static enum af_status corrupt(const char *what, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "the query's answer is no msgpack (%s)", what);
}

static uint64_t be(const unsigned char *p, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++)
        value = value << 8 | p[i];
    return value;
}

static int64_t be_signed(const unsigned char *p, size_t bytes)
{
    unsigned shift = 64 - 8 * (unsigned)bytes;
    return (int64_t)(be(p, bytes) << shift) >> shift;
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------- */

static void set_number(struct token *token, unsigned head, const unsigned char *p, size_t bytes)
{
    uint32_t bits32 = (uint32_t)be(p, bytes);
    uint64_t bits64 = be(p, bytes);
    float narrow;
    if (head == 0xca) {
        memcpy(&narrow, &bits32, sizeof narrow);
        token->value = af_value_f64((double)narrow);
    } else if (head == 0xcb) {
        token->value.type = AF_TYPE_F64;
        memcpy(&token->value.f64, &bits64, sizeof bits64);
    } else if (head <= 0xcf) {
        token->value = af_value_u64(bits64);
    } else {
        token->value = af_value_i64(be_signed(p, bytes));
    }
}

/* Seconds and nanoseconds; false: beyond what we keep. */
static bool set_time(struct token *token, int64_t s, uint64_t ns)
{
    int64_t at;
    if (ns >= AF_NS_PER_S || __builtin_mul_overflow(s, AF_NS_PER_S, &at) || __builtin_add_overflow(at, (int64_t)ns, &at))
        return false;
    token->value = af_value_time(at);
    return true;
}

/* What we do not know is no value. */
static enum af_status set_extension(struct token *token, signed char type, const unsigned char *p, size_t bytes, struct af_error *err)
{
    bool fits = true;
    if (type == 5 && bytes == 12)
        fits = set_time(token, (int64_t)be(p, 8), be(p + 8, 4));
    else if (type == -1 && bytes == 4)
        fits = set_time(token, (int64_t)be(p, 4), 0);
    else if (type == -1 && bytes == 8)
        fits = set_time(token, (int64_t)(be(p, 8) & ((UINT64_C(1) << 34) - 1)), be(p, 8) >> 34);
    else if (type == -1 && bytes == 12)
        fits = set_time(token, (int64_t)be(p + 4, 8), be(p, 4));
    return fits ? AF_OK : corrupt("a time out of range", err);
}

/* Text, bytes or an extension of `len` bytes behind `at` bytes of head. */
static enum af_status with_bytes(struct token *token, struct af_slice in, size_t at, uint64_t len, bool is_extension, struct af_error *err)
{
    if (len > AF_LP_LINE_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a text of %llu bytes in the query's answer", (unsigned long long)len);
    token->bytes = at + (is_extension ? 1 : 0) + (size_t)len;
    if (token->bytes > in.len)
        return AF_OK;
    const char *p = in.ptr + token->bytes - len;
    if (is_extension)
        return set_extension(token, (signed char)p[-1], (const unsigned char *)p, (size_t)len, err);
    token->value = af_value_text((struct af_slice){ p, (size_t)len });
    return AF_OK;
}

static void group(struct token *token, bool is_map, uint64_t count, size_t bytes)
{
    token->kind = is_map ? TOKEN_MAP : TOKEN_LIST;
    token->count = count;
    token->bytes = bytes;
}

/* Heads below 0xc0 and from 0xe0 on: they say all but a text's bytes. */
static enum af_status short_token(struct token *token, unsigned head, struct af_slice in, struct af_error *err)
{
    token->bytes = 1;
    if (head < 0x80)
        token->value = af_value_i64((int64_t)head);
    else if (head >= 0xe0)
        token->value = af_value_i64((int64_t)head - 256);
    else if (head < 0xa0)
        group(token, head < 0x90, head & 15, 1);
    else
        return with_bytes(token, in, 1, head & 31, false, err);
    return AF_OK;
}

/* How many bytes of length or number follow the heads 0xc0 .. 0xdf; 255: no such token. */
static const unsigned char follow[32] = { 0, 255, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
                                          1, 2,   4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4 };

static enum af_status long_token(struct token *token, unsigned head, struct af_slice in, struct af_error *err)
{
    const unsigned char *p = (const unsigned char *)in.ptr + 1;
    size_t more = follow[head - 0xc0];
    if (more == 255)
        return corrupt("an unused head", err);
    token->bytes = 1 + more;
    if (token->bytes > in.len)
        return AF_OK;
    if (head >= 0xdc)
        group(token, head >= 0xde, be(p, more), token->bytes);
    else if (head >= 0xd4 && head <= 0xd8)
        return with_bytes(token, in, 1, UINT64_C(1) << (head - 0xd4), true, err);
    else if (head >= 0xd9 || (head >= 0xc4 && head <= 0xc9))
        return with_bytes(token, in, 1 + more, be(p, more), head >= 0xc7 && head <= 0xc9, err);
    else if (head >= 0xca)
        set_number(token, head, p, more);
    else if (head != 0xc0)
        token->value = af_value_bool(head == 0xc3);
    return AF_OK;
}

static enum af_status next_token(struct af_slice in, struct token *out, struct af_error *err)
{
    unsigned head = (unsigned char)in.ptr[0];
    *out = (struct token){ .kind = TOKEN_VALUE };
    return head < 0xc0 || head >= 0xe0 ? short_token(out, head, in, err) : long_token(out, head, in, err);
}

/* --- events ------------------------------------------------------------------------------------------------------------------- */

/* What is full ends, and so perhaps what it stands in. */
static enum af_status end_full(struct pack_reader *reader, struct af_error *err)
{
    while (reader->depth > 0 && reader->stack[reader->depth - 1].left == 0) {
        enum af_json_kind kind = reader->stack[--reader->depth].is_map ? AF_JSON_OBJECT : AF_JSON_ARRAY;
        AF_TRY(reader->handler.end(reader->ctx, kind, err));
    }
    return AF_OK;
}

static enum af_status begin_group(struct pack_reader *reader, const struct token *token, struct af_error *err)
{
    bool is_map = token->kind == TOKEN_MAP;
    if (reader->depth == AF_JSON_DEPTH_MAX)
        return af_fail(err, AF_ELIMIT, "the query's answer is nested deeper than %d", AF_JSON_DEPTH_MAX);
    AF_TRY(reader->handler.begin(reader->ctx, is_map ? AF_JSON_OBJECT : AF_JSON_ARRAY, err));
    reader->stack[reader->depth++] = (struct open){ token->count * (is_map ? 2 : 1), is_map };
    return AF_OK;
}

static enum af_status put_token(struct pack_reader *reader, const struct token *token, struct af_error *err)
{
    bool is_key = false;
    reader->has_any = true;
    if (reader->depth > 0) {
        struct open *open = &reader->stack[reader->depth - 1];
        is_key = open->is_map && open->left % 2 == 0;
        open->left--;
    }
    if (is_key) {
        if (token->kind != TOKEN_VALUE || token->value.type != AF_TYPE_STRING)
            return corrupt("a key that is no text", err);
        return reader->handler.key(reader->ctx, token->value.text, err);
    }
    AF_TRY(token->kind == TOKEN_VALUE ? reader->handler.value(reader->ctx, &token->value, err) : begin_group(reader, token, err));
    return end_full(reader, err);
}

/* All whole tokens of `in`; *out_rest is what is left. */
static enum af_status put_tokens(struct pack_reader *reader, struct af_slice in, struct af_slice *out_rest, struct af_error *err)
{
    while (in.len > 0) {
        struct token token;
        AF_TRY(next_token(in, &token, err));
        if (token.bytes > in.len)
            break;
        AF_TRY(put_token(reader, &token, err));
        in = (struct af_slice){ in.ptr + token.bytes, in.len - token.bytes };
    }
    *out_rest = in;
    return AF_OK;
}

enum af_status pack_reader_feed(struct pack_reader *reader, struct af_slice bytes, struct af_error *err)
{
    struct af_buf *pending = &reader->pending;
    struct af_slice rest;
    if (pending->len == 0) { /* the usual case: straight from what came */
        AF_TRY(put_tokens(reader, bytes, &rest, err));
        af_buf_append_slice(pending, rest);
        return af_buf_check(pending, "a query's answer", err);
    }
    af_buf_append_slice(pending, bytes);
    AF_TRY(af_buf_check(pending, "a query's answer", err));
    AF_TRY(put_tokens(reader, af_buf_slice(pending), &rest, err));
    if (rest.len != 0)
        memmove(pending->ptr, rest.ptr, rest.len);
    pending->len = rest.len;
    return AF_OK;
}

enum af_status pack_reader_finish(struct pack_reader *reader, struct af_error *err)
{
    return reader->pending.len == 0 && reader->depth == 0 && reader->has_any ? AF_OK : corrupt("it is cut short", err);
}

enum af_status pack_reader_new(const struct pack_handler *handler, void *ctx, struct pack_reader **out, struct af_error *err)
{
    struct pack_reader *reader = af_alloc_zero(1, sizeof *reader);
    if (reader == NULL)
        return af_fail_nomem(err, "a query");
    reader->handler = *handler;
    reader->ctx = ctx;
    af_buf_init(&reader->pending, 2 * (size_t)AF_LP_LINE_BYTES_MAX);
    *out = reader;
    return AF_OK;
}

void pack_reader_free(struct pack_reader *reader)
{
    if (reader == NULL)
        return;
    af_buf_done(&reader->pending);
    af_free(reader);
}

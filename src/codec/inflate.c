/*
 * inflate.c - DEFLATE (RFC 1951) in gzip members (RFC 1952), read as a stream; see inflate.h.
 *
 *     input buffer --> 64 bits --> code of the block --> window: [ 32 KiB of history | up to 64 KiB not yet handed on ]
 *
 * A code is read through a table over its first TABLE_BITS bits; longer ones, which are rare, length by length: of the codes of one
 * length the first is known, they are consecutive, and their symbols stand sorted. The first failure is kept in the state and ends all
 * loops; bits past the end of input read as zero, and then the state has failed.
 */
#include "codec/inflate.h"
#include "base/alloc.h"
#include "codec/compress.h"

enum { INPUT_BYTES = 64 << 10, HISTORY = 32 << 10, FRESH = 64 << 10, MATCH_MAX = 258, CODE_BITS_MAX = 15, TABLE_BITS = 10,
       LITERALS = 288, DISTANCES = 30, LENGTHS_AT = 257, BLOCK_END = 256 };

struct code {
    uint16_t table[1 << TABLE_BITS];   /* symbol << 4 | bits; 0: longer, or none */
    uint16_t counts[CODE_BITS_MAX + 1];
    uint16_t symbols[LITERALS];        /* by code */
};

struct inflate {
    af_inflate_read read;
    void *read_ctx;
    af_inflate_emit emit;
    void *emit_ctx;
    struct af_error *err;
    enum af_status status;
    uint64_t bits;
    unsigned bit_count;
    size_t at, fill;
    bool at_end;
    uint32_t crc;
    uint64_t bytes_out;
    size_t window_at, emitted;
    struct code literals, distances;
    uint8_t input[INPUT_BYTES];
    uint8_t window[HISTORY + FRESH + MATCH_MAX];
};

/* --- bits ------------------------------------------------------------------------------------------------------------------- */

static void damaged(struct inflate *s, const char *why)
{
    if (s->status == AF_OK)
        s->status = af_fail(s->err, AF_ECORRUPT, "gzip: %s", why);
}

/* One more byte of input; false at the end. */
static bool next_byte(struct inflate *s, uint8_t *out)
{
    if (s->at == s->fill) {
        size_t len = 0;
        if (!s->at_end && s->status == AF_OK)
            s->status = s->read(s->read_ctx, s->input, INPUT_BYTES, &len, s->err);
        s->at = 0;
        s->fill = s->status == AF_OK ? len : 0;
        s->at_end = s->fill == 0;
        if (s->at_end)
            return false;
    }
    *out = s->input[s->at++];
    return true;
}

/* At least `count` (at most 32) bits in s->bits, if there are so many. */
static inline void fill(struct inflate *s, unsigned count)
{
    while (s->bit_count < count) {
        uint8_t byte;
        if (!next_byte(s, &byte))
            return;
        s->bits |= (uint64_t)byte << s->bit_count;
        s->bit_count += 8;
    }
}

static inline void drop(struct inflate *s, unsigned count)
{
    if (count > s->bit_count) {
        damaged(s, "cut short");
        s->bits = 0;
        s->bit_count = 0;
        return;
    }
    s->bits >>= count;
    s->bit_count -= count;
}

static inline uint32_t take(struct inflate *s, unsigned count)
{
    fill(s, count);
    uint32_t value = (uint32_t)(s->bits & ((UINT64_C(1) << count) - 1));
    drop(s, count);
    return value;
}

/* --- codes ------------------------------------------------------------------------------------------------------------------ */

static uint32_t reversed(uint32_t code, unsigned bits)
{
    uint32_t out = 0;
    for (unsigned i = 0; i < bits; i++)
        out |= (code >> i & 1) << (bits - 1 - i);
    return out;
}

/* `may_be_short`: one code of one bit only, as RFC 1951 lets distances have. */
static void make_code(struct inflate *s, struct code *code, const uint8_t *lengths, unsigned count, bool may_be_short)
{
    uint16_t offsets[CODE_BITS_MAX + 2] = { 0 };
    uint32_t next[CODE_BITS_MAX + 2] = { 0 };
    memset(code, 0, sizeof *code);
    for (unsigned i = 0; i < count; i++)
        code->counts[lengths[i]]++;
    unsigned used = count - code->counts[0];
    code->counts[0] = 0;
    int32_t left = 1;
    for (unsigned bits = 1; bits <= CODE_BITS_MAX; bits++) {
        left = left * 2 - code->counts[bits];
        if (left < 0)
            damaged(s, "a code with too many words");
        offsets[bits + 1] = (uint16_t)(offsets[bits] + code->counts[bits]);
        next[bits + 1] = (next[bits] + code->counts[bits]) << 1;
    }
    if (left > 0 && !(may_be_short && used <= 1))
        damaged(s, "a code with too few words");
    for (unsigned i = 0; i < count && s->status == AF_OK; i++) {
        unsigned bits = lengths[i];
        if (bits == 0)
            continue;
        code->symbols[offsets[bits]++] = (uint16_t)i;
        uint32_t word = next[bits]++;
        for (uint32_t at = reversed(word, bits); bits <= TABLE_BITS && at < 1 << TABLE_BITS; at += UINT32_C(1) << bits)
            code->table[at] = (uint16_t)(i << 4 | bits);
    }
}

static unsigned long_symbol(struct inflate *s, const struct code *code)
{
    uint32_t word = 0, first = 0, index = 0;
    for (unsigned bits = 1; bits <= CODE_BITS_MAX; bits++) {
        word |= (uint32_t)(s->bits >> (bits - 1) & 1);
        uint32_t count = code->counts[bits];
        if (word - first < count) {
            drop(s, bits);
            return code->symbols[index + (word - first)];
        }
        index += count;
        first = (first + count) << 1;
        word <<= 1;
    }
    damaged(s, "a word that its code does not have");
    return BLOCK_END;
}

static inline unsigned symbol(struct inflate *s, const struct code *code)
{
    fill(s, CODE_BITS_MAX);
    unsigned entry = code->table[s->bits & ((1 << TABLE_BITS) - 1)];
    if (entry == 0)
        return long_symbol(s, code);
    drop(s, entry & 15);
    return entry >> 4;
}

/* --- what comes out --------------------------------------------------------------------------------------------------------- */

static void hand_on(struct inflate *s)
{
    struct af_slice piece = af_slice_make(s->window + s->emitted, s->window_at - s->emitted);
    if (s->status == AF_OK && piece.len != 0) {
        s->crc = af_crc32(s->crc, piece.ptr, piece.len);
        s->bytes_out += piece.len;
        s->status = s->emit(s->emit_ctx, piece, s->err);
    }
    if (s->window_at > HISTORY) {
        memmove(s->window, s->window + s->window_at - HISTORY, HISTORY);
        s->window_at = HISTORY;
    }
    s->emitted = s->window_at;
}

static inline void make_room(struct inflate *s)
{
    if (s->window_at >= HISTORY + FRESH)
        hand_on(s);
}

static void copy_match(struct inflate *s, unsigned length, unsigned distance)
{
    if (distance > s->window_at || (s->bytes_out + (s->window_at - s->emitted)) < distance) {
        damaged(s, "a reference to before the beginning");
        return;
    }
    uint8_t *to = s->window + s->window_at;
    const uint8_t *from = to - distance;
    for (unsigned i = 0; i < length; i++)
        to[i] = from[i];
    s->window_at += length;
}

static unsigned match_length(struct inflate *s, unsigned sym)
{
    static const uint16_t base[] = { 3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                     31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258 };
    static const uint8_t extra[] = { 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0 };
    unsigned i = sym - LENGTHS_AT;
    if (i >= sizeof extra) {
        damaged(s, "a length that there is not");
        return 0;
    }
    return base[i] + take(s, extra[i]);
}

static unsigned match_distance(struct inflate *s)
{
    unsigned i = symbol(s, &s->distances);
    if (i >= DISTANCES) {
        damaged(s, "a distance that there is not");
        return 1;
    }
    if (i < 4)
        return i + 1;
    unsigned extra = i / 2 - 1;
    return ((2 + (i & 1)) << extra) + 1 + take(s, extra);
}

static void coded_block(struct inflate *s)
{
    while (s->status == AF_OK) {
        make_room(s);
        unsigned sym = symbol(s, &s->literals);
        if (sym < BLOCK_END) {
            s->window[s->window_at++] = (uint8_t)sym;
        } else if (sym == BLOCK_END) {
            return;
        } else {
            unsigned length = match_length(s, sym);
            unsigned distance = match_distance(s);
            copy_match(s, length, distance);
        }
    }
}

/* --- blocks ----------------------------------------------------------------------------------------------------------------- */

static void stored_block(struct inflate *s)
{
    drop(s, s->bit_count % 8);
    unsigned len = take(s, 16);
    unsigned check = take(s, 16);
    if ((len ^ check) != 0xffff)
        damaged(s, "a stored block with a wrong length");
    for (; len > 0 && s->status == AF_OK; len--) {
        make_room(s);
        s->window[s->window_at++] = (uint8_t)take(s, 8);
    }
}

static void fixed_codes(struct inflate *s)
{
    uint8_t lengths[LITERALS];
    for (unsigned i = 0; i < LITERALS; i++)
        lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    make_code(s, &s->literals, lengths, LITERALS, false);
    memset(lengths, 5, 32);
    make_code(s, &s->distances, lengths, 32, false);
}

/* Lengths of codes, themselves coded: 16 repeats the last, 17 and 18 are runs of zeros. */
static void read_lengths(struct inflate *s, const struct code *code, uint8_t *lengths, unsigned count)
{
    for (unsigned i = 0; i < count && s->status == AF_OK;) {
        unsigned sym = symbol(s, code);
        if (sym < 16) {
            lengths[i++] = (uint8_t)sym;
            continue;
        }
        uint8_t value = sym == 16 && i != 0 ? lengths[i - 1] : 0;
        unsigned repeat = sym == 16 ? 3 + take(s, 2) : sym == 17 ? 3 + take(s, 3) : 11 + take(s, 7);
        if (sym > 18 || (sym == 16 && i == 0) || repeat > count - i) {
            damaged(s, "lengths of codes that cannot be");
            return;
        }
        memset(lengths + i, value, repeat);
        i += repeat;
    }
}

static void own_codes(struct inflate *s)
{
    static const uint8_t order[] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15 };
    uint8_t lengths[LITERALS + 32] = { 0 };
    unsigned literals = 257 + take(s, 5);
    unsigned distances = 1 + take(s, 5);
    unsigned count = 4 + take(s, 4);
    if (literals > 286 || distances > DISTANCES) {
        damaged(s, "a code with too many words");
        return;
    }
    for (unsigned i = 0; i < count; i++)
        lengths[order[i]] = (uint8_t)take(s, 3);
    make_code(s, &s->literals, lengths, sizeof order, false);
    struct code *code = &s->distances; /* room for a moment */
    *code = s->literals;
    memset(lengths, 0, sizeof lengths);
    read_lengths(s, code, lengths, literals + distances);
    if (lengths[BLOCK_END] == 0)
        damaged(s, "a block without an end");
    make_code(s, &s->literals, lengths, literals, true);
    make_code(s, &s->distances, lengths + literals, distances, true);
}

static void blocks(struct inflate *s)
{
    bool is_last = false;
    while (!is_last && s->status == AF_OK) {
        is_last = take(s, 1) != 0;
        unsigned type = take(s, 2);
        if (type == 0) {
            stored_block(s);
            continue;
        }
        if (type == 1)
            fixed_codes(s);
        else if (type == 2)
            own_codes(s);
        else
            damaged(s, "a block of an unknown kind");
        if (s->status == AF_OK)
            coded_block(s);
    }
}

/* --- members ---------------------------------------------------------------------------------------------------------------- */

static void skip_text(struct inflate *s)
{
    while (s->status == AF_OK && take(s, 8) != 0)
        ;
}

/* After the two magic bytes. */
static void header(struct inflate *s)
{
    unsigned method = take(s, 8);
    unsigned flags = take(s, 8);
    (void)take(s, 32);
    (void)take(s, 16);
    if (method != 8 || (flags & 0xe0) != 0)
        damaged(s, "invalid header");
    if ((flags & 4) != 0)
        for (unsigned len = take(s, 16); len > 0 && s->status == AF_OK; len--)
            (void)take(s, 8);
    if ((flags & 8) != 0)
        skip_text(s);
    if ((flags & 16) != 0)
        skip_text(s);
    if ((flags & 2) != 0)
        (void)take(s, 16);
}

static void member(struct inflate *s)
{
    s->crc = 0;
    s->bytes_out = 0;
    s->window_at = 0;
    s->emitted = 0;
    header(s);
    if (s->status == AF_OK)
        blocks(s);
    hand_on(s);
    drop(s, s->bit_count % 8);
    uint32_t crc = take(s, 32);
    uint32_t len = take(s, 32);
    if (crc != s->crc || len != (uint32_t)s->bytes_out)
        damaged(s, "the checksum is wrong");
}

/* False: there is no further member. */
static bool next_member(struct inflate *s, bool is_first)
{
    fill(s, 16);
    if (s->status == AF_OK && (s->bits & 0xffff) == 0x8b1f && s->bit_count >= 16) {
        drop(s, 16);
        return true;
    }
    if (is_first)
        damaged(s, "invalid header");
    while (s->status == AF_OK && s->bit_count >= 8) { /* padding */
        if (take(s, 8) != 0)
            damaged(s, "something else behind the end");
        fill(s, 8);
    }
    return false;
}

enum af_status af_gunzip_stream(af_inflate_read read, void *read_ctx, af_inflate_emit emit, void *emit_ctx, struct af_error *err)
{
    struct inflate *s = af_alloc(sizeof *s);
    if (s == NULL)
        return af_fail_nomem(err, "a gzip decoder");
    memset(s, 0, offsetof(struct inflate, literals));
    s->read = read;
    s->read_ctx = read_ctx;
    s->emit = emit;
    s->emit_ctx = emit_ctx;
    s->err = err;
    for (bool is_first = true; s->status == AF_OK && next_member(s, is_first); is_first = false)
        member(s);
    enum af_status status = s->status;
    af_free(s);
    return status;
}

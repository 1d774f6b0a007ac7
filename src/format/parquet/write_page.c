/*
 * write_page.c - a column's staged rows become one page: levels, values, compression, checksum, header.
 *
 *     v1  header  compressed( [u32 length, level runs] values )
 *     v2  header  level runs  compressed( values )
 *
 * A chunk begins with its dictionary open. Its first page is the test: where dictionary and codes are no smaller than the plain values
 * the dictionary is given up and the page written plain. Later it is closed when it has grown too large.
 */
#include "base/calendar.h"
#include "codec/bits.h"
#include "format/parquet/write_int.h"

enum { JULIAN_EPOCH = 2440588, CODES_MAX = AF_PW_DICT_BYTES_MAX / 8 };

/* --- plain values -------------------------------------------------------------------------------------------------------- */

void af_pw_decimal_bytes(__int128 value, char dst[AF_PW_DECIMAL_BYTES])
{
    for (int i = AF_PW_DECIMAL_BYTES - 1; i >= 0; i--, value >>= 8)
        dst[i] = (char)value;
}

static void put_int32(struct af_buf *out, const int64_t *words, size_t count)
{
    char *at = af_buf_reserve(out, count * 4);
    if (at == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        memcpy(at + i * 4, &words[i], 4); /* the low half, little-endian */
    out->len += count * 4;
}

static void put_int96(struct af_buf *out, const int64_t *words, size_t count)
{
    char *at = af_buf_reserve(out, count * 12);
    if (at == NULL)
        return;
    for (size_t i = 0; i < count; i++, at += 12) {
        int64_t day = af_floor_div(words[i], AF_NS_PER_DAY);
        int64_t ns = words[i] % AF_NS_PER_DAY; /* not words - day * ...: the start of int64's first day is outside it */
        ns += ns < 0 ? AF_NS_PER_DAY : 0;
        int32_t julian = (int32_t)(day + JULIAN_EPOCH);
        memcpy(at, &ns, 8);
        memcpy(at + 8, &julian, 4);
    }
    out->len += count * 12;
}

static void put_bools(struct af_buf *out, const int64_t *words, size_t count)
{
    const size_t bytes = (count + 7) / 8;
    char *at = af_buf_reserve(out, bytes);
    if (at == NULL)
        return;
    memset(at, 0, bytes);
    for (size_t i = 0; i < count; i++)
        at[i / 8] = (char)(at[i / 8] | (char)(words[i] << (i % 8)));
    out->len += bytes;
}

static void put_decimals(struct af_buf *out, const __int128 *wides, size_t count)
{
    char *at = af_buf_reserve(out, count * AF_PW_DECIMAL_BYTES);
    if (at == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        af_pw_decimal_bytes(wides[i], at + i * AF_PW_DECIMAL_BYTES);
    out->len += count * AF_PW_DECIMAL_BYTES;
}

static void put_text(struct af_buf *out, struct af_slice text, const int64_t *lens, size_t count)
{
    const char *from = text.ptr != NULL ? text.ptr : "";
    char *at = af_buf_reserve(out, text.len + count * 4);
    if (at == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        uint32_t len = (uint32_t)lens[i];
        memcpy(at, &len, sizeof len);
        if (len > 0)
            memcpy(at + 4, from, len);
        from += len;
        at += len + 4;
    }
    out->len += text.len + count * 4;
}

static void put_plain(const struct af_pw_column *c, struct af_buf *out)
{
    switch (c->physical) {
    case AF_PW_BOOLEAN: put_bools(out, c->words, c->count); break;
    case AF_PW_INT32: put_int32(out, c->words, c->count); break;
    case AF_PW_INT96: put_int96(out, c->words, c->count); break;
    case AF_PW_BYTE_ARRAY: put_text(out, af_buf_slice(&c->text), c->words, c->count); break;
    case AF_PW_FIXED: put_decimals(out, c->wides, c->count); break;
    default: af_buf_append(out, c->words, c->count * 8); break;
    }
}

static size_t plain_bytes(const struct af_pw_column *c)
{
    switch (c->physical) {
    case AF_PW_INT32: return c->count * 4;
    case AF_PW_INT96: return c->count * 12;
    case AF_PW_FIXED: return c->count * AF_PW_DECIMAL_BYTES;
    case AF_PW_BYTE_ARRAY: break;
    default: return c->count * 8;
    }
    size_t bytes = c->count * 4;
    for (size_t i = 0; i < c->count; i++)
        bytes += c->dict.set.keys[c->codes[i]].len;
    return bytes;
}

/* --- the delta family ---------------------------------------------------------------------------------------------------- */

static size_t shared_prefix(struct af_slice a, struct af_slice b)
{
    const size_t most = a.len < b.len ? a.len : b.len;
    size_t n = 0;
    while (n < most && a.ptr[n] == b.ptr[n])
        n++;
    return n;
}

/* DELTA_BYTE_ARRAY: lengths of the prefix shared with the value before, lengths of the rest, the rests. */
static void put_delta_text(struct af_parquet_writer *w, const struct af_pw_column *c, struct af_buf *out)
{
    struct af_buf *scratch = &w->scratch;
    af_buf_clear(scratch);
    int64_t *prefix = (int64_t *)(void *)af_buf_reserve(scratch, c->count * 2 * sizeof *prefix + 1);
    if (prefix == NULL) {
        out->failed = true;
        return;
    }
    int64_t *rest = prefix + c->count;
    struct af_slice last = { "", 0 };
    const char *text_start = c->text.ptr != NULL ? c->text.ptr : "";
    const char *at = text_start;
    for (size_t i = 0; i < c->count; i++) {
        struct af_slice text = { at, (size_t)c->words[i] };
        prefix[i] = (int64_t)shared_prefix(last, text);
        rest[i] = c->words[i] - prefix[i];
        at += text.len;
        last = text;
    }
    af_delta_encode(prefix, c->count, 32, out);
    af_delta_encode(rest, c->count, 32, out);
    at = text_start;
    for (size_t i = 0; i < c->count; at += c->words[i], i++)
        af_buf_append(out, at + prefix[i], (size_t)rest[i]);
}

static void put_split(const struct af_pw_column *c, struct af_buf *out)
{
    char *at = af_buf_reserve(out, c->count * 8);
    if (at == NULL)
        return;
    af_stream_split_encode((const uint8_t *)c->words, c->count, 8, (uint8_t *)at);
    out->len += c->count * 8;
}

/* Booleans as runs, with a length in front. */
static void put_bool_runs(struct af_pw_column *c, struct af_buf *out)
{
    const size_t mark = out->len;
    af_buf_append(out, "\0\0\0\0", 4);
    for (size_t i = 0; i < c->count; i++)
        c->codes[i] = (uint32_t)c->words[i];
    af_rle_encode(c->codes, c->count, 1, out);
    uint32_t len = (uint32_t)(out->len - mark - 4);
    if (!out->failed)
        memcpy(out->ptr + mark, &len, sizeof len);
}

static enum af_pw_encoding put_without_dict(struct af_parquet_writer *w, struct af_pw_column *c, struct af_buf *out)
{
    if (w->options.delta) {
        switch (c->physical) {
        case AF_PW_BOOLEAN: put_bool_runs(c, out); return AF_PW_RLE;
        case AF_PW_INT32: af_delta_encode(c->words, c->count, 32, out); return AF_PW_DELTA_BINARY;
        case AF_PW_INT64: af_delta_encode(c->words, c->count, 64, out); return AF_PW_DELTA_BINARY;
        case AF_PW_DOUBLE: put_split(c, out); return AF_PW_STREAM_SPLIT;
        case AF_PW_BYTE_ARRAY: put_delta_text(w, c, out); return AF_PW_DELTA_BYTES;
        default: break;
        }
    }
    put_plain(c, out);
    return AF_PW_PLAIN;
}

/* --- the dictionary's part ----------------------------------------------------------------------------------------------- */

/* Codes of this page; false: the dictionary cannot have them. */
static enum af_status make_codes(struct af_pw_column *c, bool *out_has, struct af_error *err)
{
    *out_has = true;
    if (c->physical == AF_PW_FIXED)
        return af_pw_dict_wides(&c->dict, c->wides, c->count, c->codes, err);
    if (c->physical != AF_PW_BYTE_ARRAY)
        *out_has = af_pw_dict_words(&c->dict, c->words, c->count, c->codes);
    return AF_OK;
}

static bool is_worth_it(const struct af_pw_column *c)
{
    const uint32_t entries = af_pw_dict_count(&c->dict);
    const unsigned width = af_bits_width(entries > 0 ? entries - 1 : 0);
    return af_pw_dict_bytes(c) + c->count * width / 8 <= plain_bytes(c);
}

/* Codes of text back to text. */
static enum af_status materialise(struct af_pw_column *c, struct af_error *err)
{
    for (size_t i = 0; i < c->count; i++) {
        struct af_slice text = c->dict.set.keys[c->codes[i]];
        af_buf_append_slice(&c->text, text);
        c->words[i] = (int64_t)text.len;
    }
    return af_buf_check(&c->text, "page of a Parquet column", err);
}

static bool has_dict_pages(const struct af_pw_column *c)
{
    return c->pages_of[AF_PW_PLAIN_DICTIONARY] + c->pages_of[AF_PW_RLE_DICTIONARY] > 0;
}

/* Codes for the page if the dictionary is open and good for it; settles whether it stays open. */
static enum af_status use_dict(struct af_pw_column *c, bool *out_has_codes, struct af_error *err)
{
    struct af_pw_dict *dict = &c->dict;
    *out_has_codes = false;
    if (dict->state != AF_PW_DICT_OPEN || c->count == 0)
        return AF_OK;
    AF_TRY(make_codes(c, out_has_codes, err));
    if (*out_has_codes && !has_dict_pages(c) && !is_worth_it(c))
        *out_has_codes = false;
    if (*out_has_codes) {
        if (af_pw_dict_bytes(c) > AF_PW_DICT_BYTES_MAX || af_pw_dict_count(dict) > CODES_MAX)
            dict->state = AF_PW_DICT_CLOSED;
        return AF_OK;
    }
    dict->state = has_dict_pages(c) ? AF_PW_DICT_CLOSED : AF_PW_DICT_NONE;
    return c->physical == AF_PW_BYTE_ARRAY ? materialise(c, err) : AF_OK;
}

static enum af_pw_encoding put_codes(const struct af_parquet_writer *w, const struct af_pw_column *c, struct af_buf *out)
{
    const unsigned width = af_bits_width(af_pw_dict_count(&c->dict) - 1);
    af_buf_append_char(out, (char)width);
    af_rle_encode(c->codes, c->count, width, out);
    return w->options.legacy_dictionary ? AF_PW_PLAIN_DICTIONARY : AF_PW_RLE_DICTIONARY;
}

/* --- the page ------------------------------------------------------------------------------------------------------------ */

static void put_levels(struct af_parquet_writer *w, struct af_pw_column *c)
{
    struct af_buf *out = &w->levels;
    af_buf_clear(out);
    if (!c->field.is_nullable)
        return;
    if (!w->options.data_page_v2)
        af_buf_append(out, "\0\0\0\0", 4);
    if (c->count == c->rows) { /* no nulls: one run */
        af_uvarint_append(out, (uint64_t)c->rows << 1);
        af_buf_append_char(out, 1);
    } else {
        af_rle_encode(c->levels, c->rows, 1, out);
    }
    uint32_t len = (uint32_t)(out->len - 4);
    if (!w->options.data_page_v2 && !out->failed)
        memcpy(out->ptr, &len, sizeof len);
}

/* w->packed: the page as stored. v1 compresses levels and values, v2 only values, and only where that helps. */
static enum af_status pack(struct af_parquet_writer *w, struct af_pw_page_facts *facts, struct af_error *err)
{
    const enum af_codec codec = (enum af_codec)w->options.codec;
    struct af_slice levels = af_buf_slice(&w->levels);
    struct af_slice values = af_buf_slice(&w->values);
    af_buf_clear(&w->packed);
    if (!w->options.data_page_v2) {
        af_buf_clear(&w->scratch);
        af_buf_append_slice(&w->scratch, levels);
        af_buf_append_slice(&w->scratch, values);
        AF_TRY(af_buf_check(&w->scratch, "Parquet page", err));
        AF_TRY(af_compress(&w->codec, codec, 0, af_buf_slice(&w->scratch), &w->packed, err));
        facts->is_compressed = codec != AF_CODEC_NONE;
    } else {
        af_buf_append_slice(&w->packed, levels);
        if (codec != AF_CODEC_NONE && values.len > 0)
            AF_TRY(af_compress(&w->codec, codec, 0, values, &w->packed, err));
        facts->is_compressed = !w->packed.failed && w->packed.len > levels.len && w->packed.len < levels.len + values.len;
        if (!facts->is_compressed) {
            af_buf_rewind(&w->packed, levels.len);
            af_buf_append_slice(&w->packed, values);
        }
    }
    facts->raw_len = levels.len + values.len;
    facts->packed_len = w->packed.len;
    if (facts->raw_len > INT32_MAX || facts->packed_len > INT32_MAX)
        return af_fail(err, AF_ELIMIT, "a Parquet page of %zu bytes; 2 GiB is the most, so write fewer rows a page",
                       levels.len + values.len);
    facts->crc = w->options.page_crc ? af_crc32(0, w->packed.ptr, w->packed.len) : 0;
    return af_buf_check(&w->packed, "Parquet page", err);
}

static void note_page(struct af_parquet_writer *w, struct af_pw_column *c, const struct af_pw_page_facts *facts,
                      const struct af_pw_bounds *bounds, uint64_t at)
{
    const bool is_null = c->count == 0;
    if (w->options.page_index) {
        struct af_pw_page page = { .at = at, .len = (uint32_t)(c->pages.len - at), .first_row = c->values,
                                   .nulls = facts->nulls, .is_null = is_null, .bounds = *bounds };
        af_buf_append(&c->page_list, &page, sizeof page);
    }
    if (bounds->has)
        af_pw_bounds_merge(c, &c->bounds, bounds);
    c->is_bounded = c->is_bounded && (bounds->has || is_null);
    c->nulls += facts->nulls;
    c->values += facts->rows;
    c->raw_bytes += w->header.len + facts->raw_len;
    c->pages_of[facts->encoding]++;
}

static void forget_rows(struct af_pw_column *c)
{
    c->rows = c->count = 0;
    af_buf_clear(&c->text);
}

enum af_status af_pw_seal(struct af_parquet_writer *w, struct af_pw_column *c, struct af_error *err)
{
    struct af_pw_page_facts facts = { .rows = c->rows, .nulls = c->rows - c->count };
    struct af_pw_bounds bounds;
    bool has_codes;
    if (c->rows == 0)
        return AF_OK;
    AF_TRY(use_dict(c, &has_codes, err));
    af_buf_clear(&w->values);
    put_levels(w, c);
    facts.levels_len = w->levels.len;
    facts.encoding = has_codes ? put_codes(w, c, &w->values) : put_without_dict(w, c, &w->values);
    AF_TRY(af_buf_check(&w->values, "Parquet page", err));
    AF_TRY(af_buf_check(&w->levels, "Parquet page", err));
    af_pw_bounds_of(c, has_codes, &w->scratch, &bounds);
    facts.bounds = w->options.page_index ? NULL : &bounds;
    AF_TRY(pack(w, &facts, err));
    af_buf_clear(&w->header);
    af_pw_data_header(w, c, &facts, &w->header);
    const uint64_t at = c->pages.len;
    af_buf_append_slice(&c->pages, af_buf_slice(&w->header));
    af_buf_append_slice(&c->pages, af_buf_slice(&w->packed));
    note_page(w, c, &facts, &bounds, at);
    forget_rows(c);
    AF_TRY(af_buf_check(&w->header, "Parquet page header", err));
    AF_TRY(af_buf_check(&c->page_list, "Parquet page index", err));
    return af_buf_check(&c->pages, "Parquet row group", err);
}

/* The entries as PLAIN values. */
static void put_entries(const struct af_pw_column *c, struct af_buf *out)
{
    const struct af_intern *set = &c->dict.set;
    if (c->physical == AF_PW_BYTE_ARRAY || c->physical == AF_PW_FIXED) {
        for (uint32_t i = 0; i < set->count; i++) {
            uint32_t len = (uint32_t)set->keys[i].len;
            if (c->physical == AF_PW_BYTE_ARRAY)
                af_buf_append(out, &len, sizeof len);
            af_buf_append_slice(out, set->keys[i]);
        }
        return;
    }
    struct af_pw_column words = { .physical = c->physical, .words = (int64_t *)c->dict.keys, .count = c->dict.count };
    put_plain(&words, out);
}

enum af_status af_pw_dict_page(struct af_parquet_writer *w, struct af_pw_column *c, uint64_t *out_raw, struct af_error *err)
{
    struct af_pw_page_facts facts = { .rows = af_pw_dict_count(&c->dict) };
    af_buf_clear(&w->values);
    af_buf_clear(&w->packed);
    af_buf_clear(&w->header);
    put_entries(c, &w->values);
    AF_TRY(af_buf_check(&w->values, "Parquet dictionary", err));
    AF_TRY(af_compress(&w->codec, (enum af_codec)w->options.codec, 0, af_buf_slice(&w->values), &w->packed, err));
    facts.raw_len = w->values.len;
    facts.packed_len = w->packed.len;
    facts.crc = w->options.page_crc ? af_crc32(0, w->packed.ptr, w->packed.len) : 0;
    af_pw_dict_header(w, &facts, &w->header);
    *out_raw = w->header.len + facts.raw_len;
    return af_buf_check(&w->header, "Parquet page header", err);
}

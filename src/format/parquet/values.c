/*
 * values.c - the value section of a page, from any encoding into vectors.
 *
 * Two steps, so that encodings and types do not multiply: an encoding becomes one of a few sources (enum af_pq_source), and a type
 * (enum af_pq_form) reads from a source either integers, fixed-width values or slices of bytes.
 *
 *     PLAIN, BYTE_STREAM_SPLIT              bytes in place (or put together again)
 *     PLAIN_DICTIONARY, RLE_DICTIONARY      ids; the dictionary was converted when it was loaded
 *     DELTA_BINARY_PACKED                   integers, decoded when the page is opened
 *     DELTA_LENGTH_BYTE_ARRAY               lengths decoded, bytes in place
 *     DELTA_BYTE_ARRAY                      both lengths decoded; values are composed block by block from the one before
 *     RLE                                   booleans
 *
 * Values are dense here: nulls have none, and scan.c spreads them. What cannot be held (times, decimals) becomes a mark value.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/parquet/parquet_int.h"

enum { INTS_MAX = AF_PARQUET_PAGE_BYTES_MAX / 8, INTS_PER_BYTE_MAX = 1024, COPY_AHEAD = 16 };

static enum af_status fail_short(struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT, "the values of the page end early");
}

/* --- opening ----------------------------------------------------------------------------------------------------------------- */

static enum af_status open_ids(struct af_pq_reader *reader, const uint8_t *src, size_t len, struct af_error *err)
{
    struct af_pq_values *values = &reader->values;
    if (!reader->dict.is_loaded)
        return af_fail(err, AF_ECORRUPT, "the page refers to a dictionary that its column chunk does not have");
    if (len == 0)
        return AF_OK; /* only nulls */
    values->source = AF_PQ_SOURCE_DICT;
    return af_rle_open(&values->ids, src + 1, len - 1, src[0], err);
}

static enum af_status open_rle_booleans(struct af_pq_values *values, const uint8_t *src, size_t len, struct af_error *err)
{
    uint32_t bytes;
    if (len == 0)
        return AF_OK;
    if (len < 4)
        return fail_short(err);
    memcpy(&bytes, src, 4);
    if (bytes > len - 4)
        return fail_short(err);
    values->source = AF_PQ_SOURCE_RLE_BOOL;
    return af_rle_open(&values->ids, src + 4, bytes, 1, err);
}

static enum af_status count_present(const struct af_pq_reader *reader, size_t *out, struct af_error *err)
{
    *out = reader->page_slots;
    return reader->page_is_full ? AF_OK : af_pq_levels_count(&reader->def, reader->page_slots, out, err);
}

/* A whole page of delta-coded integers. Constant ones take hardly any bytes, so their number is bounded, too. */
static enum af_status decode_ints(struct af_pq_reader *reader, struct af_pq_scratch *scratch, const uint8_t *src, size_t len,
                                  unsigned bits, size_t count, size_t *out_used, struct af_error *err)
{
    if (count > INTS_MAX)
        return af_fail(err, AF_ELIMIT, "%zu delta-coded values in a page: decoded they pass AF_PARQUET_PAGE_BYTES_MAX", count);
    if (count / INTS_PER_BYTE_MAX > len)
        return af_fail(err, AF_ECORRUPT, "%zu delta-coded values cannot be in %zu bytes", count, len);
    AF_TRY(af_pq_scratch_get(reader, scratch, count * sizeof(int64_t), err));
    return af_delta_decode(src, len, bits, scratch->ptr, count, out_used, err);
}

static enum af_status open_delta_ints(struct af_pq_reader *reader, const uint8_t *src, size_t len, size_t count, struct af_error *err)
{
    size_t used;
    AF_TRY(decode_ints(reader, &reader->joined, src, len, reader->leaf->physical == AF_PQ_INT32 ? 32 : 64, count, &used, err));
    reader->values.source = AF_PQ_SOURCE_INTS;
    reader->values.ints = reader->joined.ptr;
    reader->values.ints_left = count;
    return AF_OK;
}

/* Lengths that fit the bytes after them. */
static enum af_status check_lengths(const int64_t *lengths, size_t count, size_t bytes, struct af_error *err)
{
    int64_t total = 0;
    int64_t any = 0;
    for (size_t i = 0; i < count; i++) {
        any |= lengths[i];
        total += lengths[i];
    }
    if (any < 0 || (uint64_t)total > bytes)
        return af_fail(err, AF_ECORRUPT, "the lengths of %zu texts do not fit the %zu bytes of the page", count, bytes);
    return AF_OK;
}

static enum af_status open_delta_lengths(struct af_pq_reader *reader, const uint8_t *src, size_t len, size_t count, struct af_error *err)
{
    size_t used;
    AF_TRY(decode_ints(reader, &reader->joined, src, len, 32, count, &used, err));
    AF_TRY(check_lengths(reader->joined.ptr, count, len - used, err));
    reader->values.source = AF_PQ_SOURCE_LENGTHS;
    reader->values.ints = reader->joined.ptr;
    reader->values.ints_left = count;
    reader->values.at = src + used;
    return AF_OK;
}

/* Every prefix is at most as long as the value before; all values together stay below the limit of a page. */
static enum af_status check_prefixes(const struct af_pq_leaf *leaf, const int64_t *prefixes, const int64_t *suffixes, size_t count,
                                     struct af_error *err)
{
    int64_t before = 0;
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (prefixes[i] < 0 || prefixes[i] > before)
            return af_fail(err, AF_ECORRUPT, "text %zu of the page shares %lld bytes with one of %lld", i, (long long)prefixes[i],
                           (long long)before);
        before = prefixes[i] + suffixes[i];
        total += before;
        if (leaf->physical == AF_PQ_FIXED && before != leaf->width)
            return af_fail(err, AF_ECORRUPT, "a value of %lld bytes in a column of %u", (long long)before, leaf->width);
        if (total > AF_PARQUET_PAGE_BYTES_MAX)
            return af_fail(err, AF_ELIMIT, "the page's texts are together over AF_PARQUET_PAGE_BYTES_MAX");
    }
    return AF_OK;
}

static enum af_status open_delta_texts(struct af_pq_reader *reader, const uint8_t *src, size_t len, size_t count, struct af_error *err)
{
    size_t used;
    size_t used_too;
    AF_TRY(decode_ints(reader, &reader->joined, src, len, 32, count, &used, err));
    AF_TRY(decode_ints(reader, &reader->suffixes, src + used, len - used, 32, count, &used_too, err));
    AF_TRY(check_lengths(reader->suffixes.ptr, count, len - used - used_too, err));
    AF_TRY(check_prefixes(reader->leaf, reader->joined.ptr, reader->suffixes.ptr, count, err));
    reader->values.source = AF_PQ_SOURCE_PREFIXES;
    reader->values.ints = reader->joined.ptr;
    reader->values.suffixes = reader->suffixes.ptr;
    reader->values.ints_left = count;
    reader->values.at = src + used + used_too;
    if (reader->last.bytes_max == 0)
        af_buf_init(&reader->last, AF_PARQUET_PAGE_BYTES_MAX);
    af_buf_clear(&reader->last);
    return AF_OK;
}

static enum af_status open_split(struct af_pq_reader *reader, const uint8_t *src, size_t len, struct af_error *err)
{
    const size_t width = reader->leaf->width;
    if (width > 64)
        return af_fail(err, AF_EUNSUPPORTED, "BYTE_STREAM_SPLIT of values of %zu bytes: more than 64", width);
    if (len % width != 0)
        return af_fail(err, AF_ECORRUPT, "%zu bytes are not a whole number of %zu-byte values", len, width);
    AF_TRY(af_pq_scratch_get(reader, &reader->joined, len, err));
    uint8_t *joined = reader->joined.ptr;
    af_stream_split_decode(src, len / width, width, joined);
    reader->values.at = joined;
    reader->values.end = joined + len;
    reader->values.source = AF_PQ_SOURCE_PLAIN;
    return AF_OK;
}

static bool encoding_fits(const struct af_pq_leaf *leaf, uint32_t encoding)
{
    const uint8_t physical = leaf->physical;
    switch (encoding) {
    case AF_PQ_PLAIN: return true;
    case AF_PQ_PLAIN_DICTIONARY:
    case AF_PQ_RLE_DICTIONARY: return physical != AF_PQ_BOOLEAN;
    case AF_PQ_RLE: return physical == AF_PQ_BOOLEAN;
    case AF_PQ_DELTA_BINARY_PACKED: return physical == AF_PQ_INT32 || physical == AF_PQ_INT64;
    case AF_PQ_DELTA_LENGTH_BYTE_ARRAY: return physical == AF_PQ_BYTE_ARRAY;
    case AF_PQ_DELTA_BYTE_ARRAY: return physical == AF_PQ_BYTE_ARRAY || physical == AF_PQ_FIXED;
    case AF_PQ_BYTE_STREAM_SPLIT: return leaf->width != 0 && physical != AF_PQ_INT96;
    default: return false;
    }
}

static enum af_status open_delta(struct af_pq_reader *reader, uint32_t encoding, const uint8_t *src, size_t len, struct af_error *err)
{
    size_t count;
    AF_TRY(count_present(reader, &count, err));
    if (count == 0)
        return AF_OK;
    if (encoding == AF_PQ_DELTA_BINARY_PACKED)
        return open_delta_ints(reader, src, len, count, err);
    return encoding == AF_PQ_DELTA_BYTE_ARRAY ? open_delta_texts(reader, src, len, count, err)
                                              : open_delta_lengths(reader, src, len, count, err);
}

enum af_status af_pq_values_open(struct af_pq_reader *reader, uint32_t encoding, const uint8_t *src, size_t len, struct af_error *err)
{
    struct af_pq_values *values = &reader->values;
    *values = (struct af_pq_values){ .source = AF_PQ_SOURCE_EMPTY, .at = src, .end = src + len };
    if (reader->leaf->form == AF_PQ_FORM_NULL)
        return AF_OK;
    if (!encoding_fits(reader->leaf, encoding)) {
        const char *name = af_pq_encoding_name(encoding);
        return af_fail(err, AF_EUNSUPPORTED, "%s values with the encoding %s (%u)", af_pq_physical_name(reader->leaf->physical),
                       name != NULL ? name : "?", encoding);
    }
    switch (encoding) {
    case AF_PQ_PLAIN: values->source = AF_PQ_SOURCE_PLAIN; return AF_OK;
    case AF_PQ_PLAIN_DICTIONARY:
    case AF_PQ_RLE_DICTIONARY: return open_ids(reader, src, len, err);
    case AF_PQ_RLE: return open_rle_booleans(values, src, len, err);
    case AF_PQ_BYTE_STREAM_SPLIT: return open_split(reader, src, len, err);
    default: return open_delta(reader, encoding, src, len, err);
    }
}

/* --- slices ------------------------------------------------------------------------------------------------------------------ */

static enum af_status plain_slices(struct af_pq_reader *reader, struct af_slice *out, size_t count, struct af_error *err)
{
    const uint8_t *at = reader->values.at;
    const uint8_t *const end = reader->values.end;
    for (size_t i = 0; i < count; i++) {
        uint32_t len;
        if (end - at < 4)
            return fail_short(err);
        memcpy(&len, at, 4);
        at += 4;
        if (len > (size_t)(end - at))
            return af_fail(err, AF_ECORRUPT, "a text of %u bytes in a page that has %zu left", len, (size_t)(end - at));
        out[i] = af_slice_make(at, len);
        at += len;
    }
    reader->values.at = at;
    return AF_OK;
}

static enum af_status fixed_slices(struct af_pq_reader *reader, struct af_slice *out, size_t count, struct af_error *err)
{
    const size_t width = reader->leaf->width;
    if ((size_t)(reader->values.end - reader->values.at) / width < count)
        return fail_short(err);
    for (size_t i = 0; i < count; i++, reader->values.at += width)
        out[i] = af_slice_make(reader->values.at, width);
    return AF_OK;
}

/* Compose values from prefixes and suffixes. Their bytes are good until the next block. */
static enum af_status prefix_slices(struct af_pq_reader *reader, struct af_slice *out, size_t count, struct af_error *err)
{
    struct af_pq_values *values = &reader->values;
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += (size_t)(values->ints[i] + values->suffixes[i]);
    AF_TRY(af_pq_scratch_get(reader, &reader->slices, total, err));
    char *dst = reader->slices.ptr;
    struct af_slice before = af_buf_slice(&reader->last);
    for (size_t i = 0; i < count; i++) {
        const size_t prefix = (size_t)values->ints[i];
        const size_t suffix = (size_t)values->suffixes[i];
        out[i] = af_slice_make(dst, prefix + suffix);
        if (prefix != 0)
            memcpy(dst, before.ptr, prefix);
        if (suffix != 0)
            memcpy(dst + prefix, values->at, suffix);
        values->at += suffix;
        dst += prefix + suffix;
        before = out[i];
    }
    values->ints += count;
    values->suffixes += count;
    values->ints_left -= count;
    af_buf_clear(&reader->last);
    af_buf_append_slice(&reader->last, before);
    return af_buf_check(&reader->last, "a text of a page", err);
}

static enum af_status length_slices(struct af_pq_values *values, struct af_slice *out, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        out[i] = af_slice_make(values->at, (size_t)values->ints[i]);
        values->at += out[i].len;
    }
    values->ints += count;
    values->ints_left -= count;
    return AF_OK;
}

/* The next `count` values of BYTE_ARRAY or FIXED, not from a dictionary. At most AF_PQ_BLOCK. */
static enum af_status next_slices(struct af_pq_reader *reader, struct af_slice *out, size_t count, struct af_error *err)
{
    const enum af_pq_source source = reader->values.source;
    if (source == AF_PQ_SOURCE_PLAIN)
        return reader->leaf->width != 0 ? fixed_slices(reader, out, count, err) : plain_slices(reader, out, count, err);
    if ((source != AF_PQ_SOURCE_LENGTHS && source != AF_PQ_SOURCE_PREFIXES) || count > reader->values.ints_left)
        return fail_short(err);
    return source == AF_PQ_SOURCE_LENGTHS ? length_slices(&reader->values, out, count) : prefix_slices(reader, out, count, err);
}

/* --- dictionary ids ---------------------------------------------------------------------------------------------------------- */

/* Is an id not below `count`? By sign bits, which SSE2 can do four at a time (it has no unsigned maximum). */
static bool has_wild_id(const uint32_t *ids, size_t n, uint32_t count)
{
    const uint32_t last = count - 1;
    uint32_t any = count == 0 && n != 0 ? UINT32_MAX : 0;
    for (size_t i = 0; i < n; i++)
        any |= (last - ids[i]) | ids[i];
    return any >> 31 != 0;
}

/* In blocks that stay in the first cache between writing and checking. */
static enum af_status next_ids(struct af_pq_reader *reader, uint32_t *dst, size_t count, struct af_error *err)
{
    while (count > 0) {
        const size_t n = count < 2 * AF_PQ_BLOCK ? count : 2 * AF_PQ_BLOCK;
        AF_TRY(af_rle_read(&reader->values.ids, dst, n, err));
        if (has_wild_id(dst, n, reader->dict.count))
            return af_fail(err, AF_ECORRUPT, "an id beyond the %u entries of the dictionary", reader->dict.count);
        dst += n;
        count -= n;
    }
    return AF_OK;
}

static enum af_status gather(struct af_pq_reader *reader, size_t count, struct af_pq_vec *vec, size_t at, struct af_error *err)
{
    uint32_t ids[AF_PQ_BLOCK];
    vec->has_misfit |= reader->dict.has_misfit;
    while (count > 0) {
        const size_t n = count < AF_PQ_BLOCK ? count : AF_PQ_BLOCK;
        AF_TRY(next_ids(reader, ids, n, err));
        if (reader->leaf->form == AF_PQ_FORM_DECIMAL) {
            const __int128 *entries = reader->dict.values.ptr;
            for (size_t i = 0; i < n; i++)
                vec->i128[at + i] = entries[ids[i]];
        } else {
            const int64_t *entries = reader->dict.values.ptr;
            for (size_t i = 0; i < n; i++)
                vec->i64[at + i] = entries[ids[i]];
        }
        at += n;
        count -= n;
    }
    return AF_OK;
}

/* --- fixed-width forms ------------------------------------------------------------------------------------------------------- */

/* `count` PLAIN values of the leaf's width, or NULL. */
static const uint8_t *take_plain(struct af_pq_reader *reader, size_t count)
{
    struct af_pq_values *values = &reader->values;
    if (values->source != AF_PQ_SOURCE_PLAIN || (size_t)(values->end - values->at) / reader->leaf->width < count)
        return NULL;
    const uint8_t *at = values->at;
    values->at += count * reader->leaf->width;
    return at;
}

static void widen_i32(const uint8_t *src, size_t count, int64_t *dst)
{
    for (size_t i = 0; i < count; i++) {
        int32_t value;
        memcpy(&value, src + 4 * i, 4);
        dst[i] = value;
    }
}

/* INT32, INT64 and INT96 as int64. */
static enum af_status next_ints(struct af_pq_reader *reader, size_t count, int64_t *dst, bool *out_misfit, struct af_error *err)
{
    struct af_pq_values *values = &reader->values;
    if (values->source == AF_PQ_SOURCE_INTS) {
        if (count > values->ints_left)
            return fail_short(err);
        memcpy(dst, values->ints, count * sizeof *dst);
        values->ints += count;
        values->ints_left -= count;
        return AF_OK;
    }
    const uint8_t *src = take_plain(reader, count);
    if (src == NULL)
        return fail_short(err);
    if (reader->leaf->physical == AF_PQ_INT32)
        widen_i32(src, count, dst);
    else if (reader->leaf->physical == AF_PQ_INT64)
        memcpy(dst, src, count * sizeof *dst);
    else
        *out_misfit |= af_pq_convert_int96(src, count, dst);
    return AF_OK;
}

static enum af_status read_ints(struct af_pq_reader *reader, size_t count, struct af_pq_vec *vec, size_t at, struct af_error *err)
{
    int64_t *dst = vec->i64 + at;
    AF_TRY(next_ints(reader, count, dst, &vec->has_misfit, err));
    switch (reader->leaf->form) {
    case AF_PQ_FORM_U32:
        for (size_t i = 0; i < count; i++)
            dst[i] = (uint32_t)dst[i];
        break;
    case AF_PQ_FORM_I32_MS:
    case AF_PQ_FORM_I64_MS: vec->has_misfit |= af_pq_convert_scale(dst, count, 1000000); break;
    case AF_PQ_FORM_I64_US: vec->has_misfit |= af_pq_convert_scale(dst, count, 1000); break;
    default: break;
    }
    return AF_OK;
}

static enum af_status read_floats(struct af_pq_reader *reader, size_t count, double *dst, struct af_error *err)
{
    struct af_slice slices[AF_PQ_BLOCK];
    if (reader->leaf->form == AF_PQ_FORM_F16) {
        for (size_t done = 0; done < count;) {
            const size_t n = count - done < AF_PQ_BLOCK ? count - done : AF_PQ_BLOCK;
            AF_TRY(next_slices(reader, slices, n, err));
            for (size_t i = 0; i < n; i++)
                dst[done + i] = af_pq_convert_f16((const uint8_t *)slices[i].ptr);
            done += n;
        }
        return AF_OK;
    }
    const uint8_t *src = take_plain(reader, count);
    if (src == NULL)
        return fail_short(err);
    if (reader->leaf->form == AF_PQ_FORM_F64) {
        memcpy(dst, src, count * sizeof *dst);
        return AF_OK;
    }
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, src + 4 * i, 4);
        dst[i] = (double)value;
    }
    return AF_OK;
}

static enum af_status read_decimals(struct af_pq_reader *reader, size_t count, struct af_pq_vec *vec, size_t at, struct af_error *err)
{
    struct af_slice slices[AF_PQ_BLOCK];
    int64_t ints[AF_PQ_BLOCK];
    __int128 *dst = vec->i128 + at;
    while (count > 0) {
        const size_t n = count < AF_PQ_BLOCK ? count : AF_PQ_BLOCK;
        if (reader->leaf->physical <= AF_PQ_INT64) {
            AF_TRY(next_ints(reader, n, ints, &vec->has_misfit, err));
            for (size_t i = 0; i < n; i++)
                dst[i] = ints[i];
        } else {
            AF_TRY(next_slices(reader, slices, n, err));
            for (size_t i = 0; i < n; i++)
                vec->has_misfit |= af_pq_convert_decimal((const uint8_t *)slices[i].ptr, slices[i].len, &dst[i]);
        }
        dst += n;
        count -= n;
    }
    return AF_OK;
}

/* --- booleans ---------------------------------------------------------------------------------------------------------------- */

static void put_bit(uint64_t *bits, size_t at, bool value)
{
    if (value)
        af_bit_set(bits, at);
    else
        af_bit_clear(bits, at);
}

static enum af_status read_booleans(struct af_pq_reader *reader, size_t count, uint64_t *bits, size_t at, struct af_error *err)
{
    struct af_pq_values *values = &reader->values;
    uint32_t block[AF_PQ_BLOCK];
    if (values->source == AF_PQ_SOURCE_PLAIN) {
        if ((size_t)(values->end - values->at) * 8 < count + values->bit)
            return fail_short(err);
        for (size_t i = 0; i < count; i++) {
            const size_t bit = values->bit + i;
            put_bit(bits, at + i, (values->at[bit / 8] >> bit % 8 & 1) != 0);
        }
        values->at += (values->bit + count) / 8;
        values->bit = (uint8_t)((values->bit + count) % 8);
        return AF_OK;
    }
    if (values->source != AF_PQ_SOURCE_RLE_BOOL)
        return fail_short(err);
    for (size_t done = 0; done < count;) {
        const size_t n = count - done < AF_PQ_BLOCK ? count - done : AF_PQ_BLOCK;
        AF_TRY(af_rle_read(&values->ids, block, n, err));
        for (size_t i = 0; i < n; i++)
            put_bit(bits, at + done + i, block[i] != 0);
        done += n;
    }
    return AF_OK;
}

/* --- text -------------------------------------------------------------------------------------------------------------------- */

/* Room for text, or AF_ELIMIT with text.failed set: the bound of the batch. */
static enum af_status reserve_text(struct af_pq_vec *vec, size_t bytes, char **out, struct af_error *err)
{
    struct af_buf *text = &vec->text;
    if (bytes > text->bytes_max - text->len) {
        text->failed = true;
        return af_fail(err, AF_ELIMIT, "the text of a batch is over %zu bytes", text->bytes_max);
    }
    *out = af_buf_reserve(text, bytes);
    return *out != NULL ? AF_OK : af_fail_nomem(err, "the text of a batch");
}

static enum af_status append_slices(struct af_pq_vec *vec, size_t at, const struct af_slice *slices, size_t count, const char *readable_end,
                                    struct af_error *err)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (slices[i].len > AF_STRING_BYTES_MAX)
            return af_fail(err, AF_ELIMIT, "a text of %zu bytes is over AF_STRING_BYTES_MAX", slices[i].len);
        total += slices[i].len;
    }
    char *dst = NULL;
    AF_TRY(reserve_text(vec, total + COPY_AHEAD, &dst, err));
    int32_t end = vec->offsets[at];
    for (size_t i = 0; i < count; i++) {
        /* Short texts are most of them: sixteen bytes at once are cheaper than a call. */
        if (slices[i].len <= COPY_AHEAD && (size_t)(readable_end - slices[i].ptr) >= COPY_AHEAD)
            memcpy(dst, slices[i].ptr, COPY_AHEAD);
        else if (slices[i].len != 0)
            memcpy(dst, slices[i].ptr, slices[i].len);
        dst += slices[i].len;
        end += (int32_t)slices[i].len;
        vec->offsets[at + i + 1] = end;
    }
    vec->text.len += total;
    return AF_OK;
}

static enum af_status append_uuids(struct af_pq_vec *vec, size_t at, const struct af_slice *slices, size_t count, struct af_error *err)
{
    char *dst = NULL;
    AF_TRY(reserve_text(vec, count * 36, &dst, err));
    for (size_t i = 0; i < count; i++) {
        af_pq_convert_uuid((const uint8_t *)slices[i].ptr, dst + 36 * i);
        vec->offsets[at + i + 1] = vec->offsets[at + i] + 36;
    }
    vec->text.len += count * 36;
    return AF_OK;
}

static enum af_status read_text_block(struct af_pq_reader *reader, size_t count, struct af_pq_vec *vec, size_t at, struct af_error *err)
{
    struct af_slice slices[AF_PQ_BLOCK];
    if (reader->values.source == AF_PQ_SOURCE_DICT) {
        uint32_t ids[AF_PQ_BLOCK];
        const struct af_dict *dict = reader->dict.text;
        AF_TRY(next_ids(reader, ids, count, err));
        for (size_t i = 0; i < count; i++)
            slices[i] = af_dict_get(dict, ids[i]);
        return append_slices(vec, at, slices, count, dict->bytes + dict->offsets[dict->count], err);
    }
    AF_TRY(next_slices(reader, slices, count, err));
    if (reader->leaf->form == AF_PQ_FORM_UUID)
        return append_uuids(vec, at, slices, count, err);
    const char *readable_end = reader->values.source == AF_PQ_SOURCE_PREFIXES ? (const char *)reader->slices.ptr + reader->slices.cap
                                                                             : (const char *)reader->values.end;
    return append_slices(vec, at, slices, count, readable_end, err);
}

static enum af_status read_text(struct af_pq_reader *reader, size_t count, struct af_pq_vec *vec, size_t at, struct af_error *err)
{
    if (vec->is_coded)
        return reader->values.source == AF_PQ_SOURCE_DICT ? next_ids(reader, vec->codes + at, count, err) : fail_short(err);
    while (count > 0) {
        const size_t n = count < AF_PQ_BLOCK ? count : AF_PQ_BLOCK;
        AF_TRY(read_text_block(reader, n, vec, at, err));
        at += n;
        count -= n;
    }
    return AF_OK;
}

enum af_status af_pq_vec_decode(struct af_pq_vec *vec, const struct af_dict *dict, size_t count, struct af_error *err)
{
    struct af_slice slices[AF_PQ_BLOCK];
    vec->is_coded = false;
    vec->offsets[0] = 0;
    const bool is_empty = dict->count == 0; /* then all rows are null */
    for (size_t at = 0; at < count;) {
        const size_t n = count - at < AF_PQ_BLOCK ? count - at : AF_PQ_BLOCK;
        for (size_t i = 0; i < n; i++)
            slices[i] = is_empty ? (struct af_slice){ "", 0 } : af_dict_get(dict, vec->codes[at + i]);
        AF_TRY(append_slices(vec, at, slices, n, is_empty ? "" : dict->bytes + dict->offsets[dict->count], err));
        at += n;
    }
    return AF_OK;
}

/* --- any form ---------------------------------------------------------------------------------------------------------------- */

enum af_status af_pq_values_read(struct af_pq_reader *reader, size_t count, struct af_pq_vec *vec, size_t at, struct af_error *err)
{
    const uint8_t form = reader->leaf->form;
    if (form == AF_PQ_FORM_NULL || count == 0)
        return AF_OK;
    if (reader->values.source == AF_PQ_SOURCE_EMPTY)
        return fail_short(err);
    if (af_pq_form_is_text(form))
        return read_text(reader, count, vec, at, err);
    if (form == AF_PQ_FORM_BOOL)
        return read_booleans(reader, count, vec->bits, at, err);
    if (reader->values.source == AF_PQ_SOURCE_DICT)
        return gather(reader, count, vec, at, err);
    if (form == AF_PQ_FORM_DECIMAL)
        return read_decimals(reader, count, vec, at, err);
    if (form <= AF_PQ_FORM_INT96)
        return read_ints(reader, count, vec, at, err);
    return read_floats(reader, count, vec->f64 + at, err);
}

/* Booleans and dictionary ids end with a group that is filled up, the others exactly. */
enum af_status af_pq_values_end(const struct af_pq_reader *reader, struct af_error *err)
{
    const struct af_pq_values *values = &reader->values;
    const bool is_exact = (values->source == AF_PQ_SOURCE_PLAIN && reader->leaf->form != AF_PQ_FORM_BOOL) ||
                          values->source == AF_PQ_SOURCE_LENGTHS || values->source == AF_PQ_SOURCE_PREFIXES;
    if (!is_exact || values->at == values->end)
        return AF_OK;
    return af_fail(err, AF_ECORRUPT, "%zu bytes are left after the last value of the page: its header or the schema is damaged",
                   (size_t)(values->end - values->at));
}

static enum af_status skip_block(struct af_pq_reader *reader, size_t count, struct af_error *err)
{
    uint32_t ids[AF_PQ_BLOCK];
    struct af_slice slices[AF_PQ_BLOCK];
    const enum af_pq_source source = reader->values.source;
    if (source == AF_PQ_SOURCE_DICT || source == AF_PQ_SOURCE_RLE_BOOL)
        return af_rle_read(&reader->values.ids, ids, count, err);
    if (source == AF_PQ_SOURCE_INTS) {
        if (count > reader->values.ints_left)
            return fail_short(err);
        reader->values.ints += count;
        reader->values.ints_left -= count;
        return AF_OK;
    }
    if (source == AF_PQ_SOURCE_PLAIN && reader->leaf->physical < AF_PQ_BYTE_ARRAY)
        return take_plain(reader, count) != NULL ? AF_OK : fail_short(err);
    return next_slices(reader, slices, count, err);
}

enum af_status af_pq_values_skip(struct af_pq_reader *reader, size_t count, struct af_error *err)
{
    struct af_pq_values *values = &reader->values;
    if (reader->leaf->form == AF_PQ_FORM_NULL)
        return AF_OK;
    if (values->source == AF_PQ_SOURCE_PLAIN && reader->leaf->physical == AF_PQ_BOOLEAN) {
        const size_t bit = values->bit + count;
        if ((size_t)(values->end - values->at) * 8 < bit)
            return fail_short(err);
        values->at += bit / 8;
        values->bit = (uint8_t)(bit % 8);
        return AF_OK;
    }
    while (count > 0) {
        const size_t n = count < AF_PQ_BLOCK ? count : AF_PQ_BLOCK;
        AF_TRY(skip_block(reader, n, err));
        count -= n;
    }
    return AF_OK;
}

/* --- dictionaries -------------------------------------------------------------------------------------------------------------- */

void af_pq_dict_done(struct af_pq_dict *dict)
{
    af_dict_unref(dict->text);
    *dict = (struct af_pq_dict){ .values = dict->values };
}

static enum af_status load_text(struct af_pq_reader *reader, uint32_t count, struct af_error *err)
{
    struct af_pq_vec vec = { 0 };
    AF_TRY(af_pq_scratch_get(reader, &reader->joined, ((size_t)count + 1) * sizeof *vec.offsets, err));
    vec.offsets = reader->joined.ptr;
    vec.offsets[0] = 0;
    af_buf_init(&vec.text, INT32_MAX);
    enum af_status status = read_text(reader, count, &vec, 0, err);
    if (status == AF_OK)
        status = af_dict_new(vec.offsets, vec.text.ptr != NULL ? vec.text.ptr : "", count, &reader->dict.text, err);
    af_buf_done(&vec.text);
    return status;
}

static enum af_status load_values(struct af_pq_reader *reader, uint32_t count, struct af_error *err)
{
    struct af_pq_vec vec = { 0 };
    AF_TRY(af_pq_scratch_get(reader, &reader->dict.values, count * af_pq_form_bytes(reader->leaf->form), err));
    vec.fixed = reader->dict.values.ptr;
    AF_TRY(af_pq_values_read(reader, count, &vec, 0, err));
    reader->dict.has_misfit = vec.has_misfit;
    return AF_OK;
}

enum af_status af_pq_dict_load(struct af_pq_reader *reader, const uint8_t *src, size_t len, uint32_t count, struct af_error *err)
{
    const struct af_pq_leaf *leaf = reader->leaf;
    if (leaf->physical == AF_PQ_BOOLEAN)
        return af_fail(err, AF_ECORRUPT, "a dictionary of booleans");
    if (count > len / (leaf->width != 0 ? leaf->width : 4))
        return af_fail(err, AF_ECORRUPT, "a dictionary of %u entries in %zu bytes", count, len);
    reader->values = (struct af_pq_values){ .source = AF_PQ_SOURCE_PLAIN, .at = src, .end = src + len };
    if (af_pq_form_is_text(leaf->form))
        AF_TRY(load_text(reader, count, err));
    else if (leaf->form != AF_PQ_FORM_NULL)
        AF_TRY(load_values(reader, count, err));
    reader->dict.count = count;
    reader->dict.is_loaded = true;
    return AF_OK;
}

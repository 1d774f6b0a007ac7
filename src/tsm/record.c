/*
 * record.c - one batch of points as the payload of a record of the log, and back. Pure: bytes in, bytes out.
 *
 *     offset  bytes
 *          0      1  version, 1
 *          1      3  0
 *          4      4  F, fields
 *          8      8  bucket
 *         16      4  R, rows
 *         20      4  K, distinct series keys
 *         24      4  B, bytes of the keys
 *         28      4  0
 *         32    4 K  where each key ends
 *                 B  the keys
 *               4 R  number of each row's key
 *               8 R  time of each row, ns
 *     then per field, values only of the rows that have one (V):
 *                 1  type: 0 F64, 1 I64, 2 BOOL, 3 STRING, 4 U64, as TSM's blocks number them
 *                 1  1: a bitmap of rows follows; 0: all rows have a value
 *                 2  0
 *                 4  N, bytes of the name
 *                 N  the name, unescaped
 *      (R+63)/64*8   the bitmap, least significant bit first, bits past R are 0
 *        F64 I64 U64: 8 V  values        BOOL: (V+63)/64*8 bitmap        STRING: 4 V, where each text ends; the texts
 *
 * All little-endian, nothing aligned. Columns that are whole are copied as they are: encoding runs at the speed of memory.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "tsm/tsm_int.h"
#include <math.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "columns are copied as they are in memory");

enum { VERSION = 1, HEADER_BYTES = 32, FIELD_BYTES = 8, NONE = UINT32_MAX };

/* --- encoding ------------------------------------------------------------------------------------------------------------ */

struct slot {
    uint32_t id;
    uint32_t code; /* + 1; 0: free */
};

struct encoder {
    const struct af_points *points;
    size_t rows;          /* kept */
    const uint32_t *keep; /* the source row of each; NULL: all of them */
    uint32_t *ids;        /* of the keys, by code */
    uint32_t key_count;
    uint64_t key_bytes;
    uint32_t *pick;       /* source rows of a field's values */
    uint64_t *bits;       /* its bitmap */
    struct slot *slots;
    size_t slot_mask;
    uint64_t text_bytes;  /* past the limit of a record they are left out, and the record fails */
    struct af_buf *out;
};

static size_t source_row(const struct encoder *enc, size_t k)
{
    return enc->keep != NULL ? enc->keep[k] : k;
}

static void put_u32(struct af_buf *out, uint64_t value)
{
    uint32_t v = (uint32_t)value;
    af_buf_append(out, &v, sizeof v);
}

/* The code of a key: ids of a batch lie close together, so a multiplicative hash spreads them well. */
static uint32_t code_of(struct encoder *enc, uint32_t id)
{
    size_t at = (id * 2654435769U >> 7) & enc->slot_mask;
    for (;; at = (at + 1) & enc->slot_mask) {
        struct slot *slot = &enc->slots[at];
        if (slot->code == 0) {
            *slot = (struct slot){ id, enc->key_count + 1 };
            enc->ids[enc->key_count] = id;
            enc->key_bytes += enc->points->set->keys.keys[id].len;
            return enc->key_count++;
        }
        if (slot->id == id)
            return slot->code - 1;
    }
}

static size_t rows_kept(const struct af_points *points)
{
    size_t kept = 0;
    for (size_t i = 0; i < points->row_count; i++)
        kept += points->series[i] != NONE;
    return kept;
}

static enum af_status prepare(struct encoder *enc, struct af_arena *scratch, struct af_error *err)
{
    const struct af_points *points = enc->points;
    size_t slots = 64;
    enc->rows = rows_kept(points);
    while (slots < 2 * enc->rows)
        slots *= 2;
    enc->slots = af_arena_zero(scratch, slots, sizeof *enc->slots);
    enc->slot_mask = slots - 1;
    enc->ids = af_arena_array(scratch, enc->rows, sizeof *enc->ids);
    enc->pick = af_arena_array(scratch, enc->rows, sizeof *enc->pick);
    enc->bits = af_arena_array(scratch, af_bit_words(enc->rows), sizeof *enc->bits);
    uint32_t *keep = enc->rows < points->row_count ? af_arena_array(scratch, enc->rows, sizeof *keep) : NULL;
    if (enc->slots == NULL || enc->ids == NULL || enc->pick == NULL || enc->bits == NULL ||
        (enc->rows < points->row_count && keep == NULL))
        return af_fail_nomem(err, "a record of the log");
    for (size_t i = 0, k = 0; keep != NULL && i < points->row_count; i++)
        if (points->series[i] != NONE)
            keep[k++] = (uint32_t)i;
    enc->keep = keep;
    return AF_OK;
}

/* Codes are written first and the keys moved in front of them: how many keys there are is known only then. They go to `pick`. */
static void number_keys(struct encoder *enc)
{
    uint32_t last_id = NONE;
    uint32_t code = 0;
    for (size_t k = 0; k < enc->rows; k++) {
        uint32_t id = enc->points->series[source_row(enc, k)];
        if (id != last_id)
            code = code_of(enc, id);
        last_id = id;
        enc->pick[k] = code;
    }
}

static void append_keys(struct encoder *enc)
{
    const struct af_slice *keys = enc->points->set->keys.keys;
    uint64_t end = 0;
    for (uint32_t i = 0; i < enc->key_count; i++) {
        end += keys[enc->ids[i]].len;
        put_u32(enc->out, end);
    }
    for (uint32_t i = 0; i < enc->key_count; i++)
        af_buf_append_slice(enc->out, keys[enc->ids[i]]);
}

static void append_times(struct encoder *enc)
{
    const int64_t *times = enc->points->time_ns;
    if (enc->keep == NULL) {
        af_buf_append(enc->out, times, enc->rows * sizeof *times);
        return;
    }
    char *at = af_buf_reserve(enc->out, enc->rows * sizeof *times);
    for (size_t k = 0; at != NULL && k < enc->rows; k++)
        memcpy(at + k * sizeof *times, &times[enc->keep[k]], sizeof *times);
    enc->out->len += at != NULL ? enc->rows * sizeof *times : 0;
}

/* enc->bits: which kept rows have a value; enc->pick: their source rows. How many. */
static size_t pick_rows(struct encoder *enc, const struct af_column *col)
{
    size_t words = af_bit_words(enc->rows);
    size_t n = 0;
    for (size_t w = 0; w < words; w++) {
        size_t left = enc->rows - w * 64;
        uint64_t all = left >= 64 ? UINT64_MAX : (UINT64_C(1) << left) - 1;
        uint64_t bits = col->validity == NULL ? all : 0;
        if (col->validity != NULL && enc->keep == NULL)
            bits = col->validity[w] & all;
        for (size_t i = 0; col->validity != NULL && enc->keep != NULL && i < (left < 64 ? left : 64); i++)
            bits |= (uint64_t)af_bit_get(col->validity, enc->keep[w * 64 + i]) << i;
        enc->bits[w] = bits;
        for (; bits != 0; bits &= bits - 1)
            enc->pick[n++] = (uint32_t)source_row(enc, w * 64 + (size_t)__builtin_ctzll(bits));
    }
    return n;
}

static void append_numbers(struct encoder *enc, const struct af_column *col, size_t n)
{
    if (n == enc->points->row_count) {
        af_buf_append(enc->out, col->u64, n * sizeof *col->u64);
        return;
    }
    char *at = af_buf_reserve(enc->out, n * sizeof *col->u64);
    for (size_t i = 0; at != NULL && i < n; i++)
        memcpy(at + i * sizeof *col->u64, &col->u64[enc->pick[i]], sizeof *col->u64);
    enc->out->len += at != NULL ? n * sizeof *col->u64 : 0;
}

static void append_bools(struct encoder *enc, const struct af_column *col, size_t n)
{
    size_t words = af_bit_words(n);
    char *at = af_buf_reserve(enc->out, words * 8);
    for (size_t w = 0; at != NULL && w < words; w++) {
        size_t end = w * 64 + 64 < n ? w * 64 + 64 : n;
        uint64_t word = 0;
        if (n == enc->points->row_count)
            word = end % 64 == 0 ? col->bits[w] : col->bits[w] & ((UINT64_C(1) << end % 64) - 1);
        else
            for (size_t k = w * 64; k < end; k++)
                word |= (uint64_t)af_bit_get(col->bits, enc->pick[k]) << (k - w * 64);
        memcpy(at + w * 8, &word, sizeof word);
    }
    enc->out->len += at != NULL ? words * 8 : 0;
}

static void append_texts(struct encoder *enc, const struct af_column *col, size_t n)
{
    uint64_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += af_column_text(col, enc->pick[i]).len;
    enc->text_bytes += total;
    char *ends = enc->text_bytes <= AF_TSM_WAL_RECORD_BYTES_MAX ? af_buf_reserve(enc->out, n * 4 + total) : NULL;
    if (ends == NULL)
        return;
    char *bytes = ends + n * 4;
    uint32_t end = 0;
    for (size_t i = 0; i < n; i++) {
        struct af_slice text = af_column_text(col, enc->pick[i]);
        if (text.len > 0)
            memcpy(bytes + end, text.ptr, text.len);
        end += (uint32_t)text.len;
        memcpy(ends + i * 4, &end, sizeof end);
    }
    enc->out->len += n * 4 + total;
}

/* False: no row that is kept has a value, the field is left out. */
static bool append_field(struct encoder *enc, const struct af_point_field *field)
{
    const struct af_column *col = &field->column;
    bool is_plain = enc->keep == NULL && col->validity == NULL && col->type != AF_TYPE_BOOL && col->type != AF_TYPE_STRING;
    size_t n = is_plain ? enc->rows : pick_rows(enc, col);
    if (n == 0)
        return false;
    char head[4] = { (char)af_tsm_type_code(col->type), n < enc->rows, 0, 0 };
    af_buf_append(enc->out, head, sizeof head);
    put_u32(enc->out, field->name.len);
    af_buf_append_slice(enc->out, field->name);
    if (n < enc->rows)
        af_buf_append(enc->out, enc->bits, af_bit_words(enc->rows) * sizeof *enc->bits);
    if (col->type == AF_TYPE_BOOL)
        append_bools(enc, col, n);
    else if (col->type == AF_TYPE_STRING)
        append_texts(enc, col, n);
    else
        append_numbers(enc, col, n);
    return true;
}

static enum af_status encode_all(struct encoder *enc, uint64_t bucket, size_t start, struct af_error *err)
{
    const struct af_points *points = enc->points;
    uint32_t fields = 0;
    char header[HEADER_BYTES] = { VERSION };
    number_keys(enc);
    (void)af_buf_reserve(enc->out, HEADER_BYTES + enc->key_bytes + enc->key_count * 4 + enc->rows * (12 + 8 * points->field_count));
    if (enc->out->failed && !enc->out->is_too_large) /* perhaps most of the fields are empty: then it grows bit by bit */
        af_buf_rewind(enc->out, start);
    af_buf_append(enc->out, header, sizeof header);
    append_keys(enc);
    af_buf_append(enc->out, enc->pick, enc->rows * sizeof *enc->pick);
    append_times(enc);
    for (size_t i = 0; i < points->field_count; i++)
        if (points->fields[i].column.type != AF_TYPE_NULL)
            fields += append_field(enc, &points->fields[i]);
    AF_TRY(af_buf_check(enc->out, "a record of the log", err));
    if (enc->out->len - start > AF_TSM_WAL_RECORD_BYTES_MAX || enc->text_bytes > AF_TSM_WAL_RECORD_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a batch of %zu rows takes more than %d bytes in the log; write fewer points at once",
                       enc->rows, AF_TSM_WAL_RECORD_BYTES_MAX);
    uint32_t counts[] = { (uint32_t)enc->rows, enc->key_count, (uint32_t)enc->key_bytes };
    memcpy(header + 4, &fields, sizeof fields);
    memcpy(header + 8, &bucket, sizeof bucket);
    memcpy(header + 16, counts, sizeof counts);
    memcpy(enc->out->ptr + start, header, sizeof header);
    return AF_OK;
}

enum af_status af_record_encode(uint64_t bucket, const struct af_points *points, struct af_buf *out, struct af_error *err)
{
    for (size_t i = 0; i < points->field_count; i++)
        if (points->fields[i].column.type != AF_TYPE_NULL && af_tsm_type_code(points->fields[i].column.type) < 0)
            return af_fail(err, AF_EBUG, "field " AF_SLICE_FMT " is of type %s, which the log does not know",
                           AF_SLICE_ARG(points->fields[i].name), af_type_name(points->fields[i].column.type));
    if (points->row_count > AF_TSM_WAL_RECORD_BYTES_MAX / 12)
        return af_fail(err, AF_ELIMIT, "a batch of %zu rows is more than a record of the log holds; write fewer points at once",
                       points->row_count);
    struct af_arena scratch;
    af_arena_init(&scratch, SIZE_MAX);
    struct encoder enc = { .points = points, .out = out };
    const size_t start = out->len;
    enum af_status status = prepare(&enc, &scratch, err);
    if (status == AF_OK)
        status = encode_all(&enc, bucket, start, err);
    af_arena_done(&scratch);
    if (status != AF_OK)
        af_buf_rewind(out, start);
    return status;
}

/* --- decoding ------------------------------------------------------------------------------------------------------------ */

struct decoder {
    const char *at;
    const char *end;
    size_t rows;
    struct af_arena *arena;
    struct af_error *err;
};

static enum af_status broken(struct decoder *dec, const char *what)
{
    return af_fail(dec->err, AF_ECORRUPT, "a record of the log contradicts itself: %s", what);
}

static enum af_status no_memory(struct decoder *dec)
{
    return af_arena_fail(dec->arena, (size_t)(dec->end - dec->at), "a record of the log", dec->err);
}

/* `count` things of `bytes`, or NULL when there are not so many bytes left. */
static const char *take(struct decoder *dec, uint64_t count, size_t bytes)
{
    if (count > (uint64_t)(dec->end - dec->at) / bytes)
        return NULL;
    const char *at = dec->at;
    dec->at += count * bytes;
    return at;
}

static uint32_t get_u32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

/* A copy of the next `count` things in the arena. NULL: *out_status says why. */
static void *take_array(struct decoder *dec, uint64_t count, size_t bytes, enum af_status *out_status)
{
    const char *from = take(dec, count, bytes);
    if (from == NULL) {
        *out_status = broken(dec, "a column is longer than the record");
        return NULL;
    }
    void *array = af_arena_array(dec->arena, count, bytes);
    if (array == NULL)
        *out_status = no_memory(dec);
    else if (count > 0)
        memcpy(array, from, count * bytes);
    return array;
}

/* Ascending ends of `count` texts, followed by their bytes; *out_bytes: where those begin, the total ends[count - 1] is there. */
static enum af_status take_texts(struct decoder *dec, uint64_t count, const char **out_ends, const char **out_bytes)
{
    const char *ends = take(dec, count, 4);
    if (ends == NULL)
        return broken(dec, "more texts than it has bytes");
    uint32_t before = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t end = get_u32(ends + i * 4);
        if (end < before)
            return broken(dec, "a text ends before it begins");
        before = end;
    }
    *out_bytes = take(dec, before, 1);
    if (*out_bytes == NULL || before > INT32_MAX)
        return broken(dec, "texts are longer than the record");
    *out_ends = ends;
    return AF_OK;
}

static enum af_status read_keys(struct decoder *dec, uint32_t count, uint32_t bytes, struct af_series_set *set)
{
    const char *ends;
    const char *text;
    AF_TRY(take_texts(dec, count, &ends, &text));
    if ((count == 0 ? 0 : get_u32(ends + (size_t)(count - 1) * 4)) != bytes)
        return broken(dec, "the keys' bytes are not as many as it says");
    uint32_t start = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t end = get_u32(ends + (size_t)i * 4);
        uint32_t id;
        AF_TRY(af_intern_add(&set->keys, af_slice_make(text + start, end - start), &id, dec->err));
        if (id != i)
            return broken(dec, "a series key stands there twice");
        start = end;
    }
    return AF_OK;
}

static enum af_status read_rows(struct decoder *dec, uint32_t key_count, struct af_points *out)
{
    enum af_status status = AF_OK;
    uint32_t *series = take_array(dec, dec->rows, sizeof *series, &status);
    if (series == NULL)
        return status;
    int64_t *times = take_array(dec, dec->rows, sizeof *times, &status);
    if (times == NULL)
        return status;
    uint32_t worst = 0;
    for (size_t i = 0; i < dec->rows; i++)
        worst = series[i] > worst ? series[i] : worst;
    if (dec->rows > 0 && worst >= key_count)
        return broken(dec, "a row is of a series that it does not name");
    out->row_count = dec->rows;
    out->series = series;
    out->time_ns = times;
    return AF_OK;
}

static enum af_status read_name(struct decoder *dec, uint32_t len, struct af_point_field *out)
{
    const char *name = take(dec, len, 1);
    if (name == NULL)
        return broken(dec, "the name of a field is longer than the record");
    const char *copy = af_arena_copy(dec->arena, af_slice_make(name, len));
    if (copy == NULL)
        return no_memory(dec);
    out->name = out->escaped = af_slice_make(copy, len);
    bool is_plain = true;
    for (uint32_t i = 0; i < len; i++)
        is_plain = is_plain && copy[i] != ',' && copy[i] != ' ' && copy[i] != '=';
    if (is_plain)
        return AF_OK;
    struct af_buf escaped;
    af_buf_init(&escaped, (size_t)len * 2);
    af_key_append_tag(&escaped, out->name);
    enum af_status status = af_buf_check(&escaped, "the name of a field", dec->err);
    copy = status == AF_OK ? af_arena_copy(dec->arena, af_buf_slice(&escaped)) : NULL;
    if (status == AF_OK && copy == NULL)
        status = no_memory(dec);
    out->escaped = af_slice_make(copy, escaped.len);
    af_buf_done(&escaped);
    return status;
}

/* The bitmap, if there is one: *out_count rows have a value. */
static enum af_status read_validity(struct decoder *dec, bool has, struct af_column *col, size_t *out_count)
{
    *out_count = dec->rows;
    if (!has)
        return AF_OK;
    enum af_status status = AF_OK;
    size_t words = af_bit_words(dec->rows);
    uint64_t *bits = take_array(dec, words, sizeof *bits, &status);
    if (bits == NULL)
        return status;
    if (dec->rows % 64 != 0 && bits[words - 1] >> (dec->rows % 64) != 0)
        return broken(dec, "a bitmap goes past the rows");
    *out_count = af_bits_count(bits, dec->rows);
    if (*out_count == dec->rows || *out_count == 0)
        return broken(dec, "a bitmap that says nothing");
    col->validity = bits;
    col->null_count = dec->rows - *out_count;
    return AF_OK;
}

static enum af_status read_numbers(struct decoder *dec, struct af_column *col, size_t count)
{
    enum af_status status = AF_OK;
    if (count == dec->rows) {
        col->values = take_array(dec, count, sizeof *col->u64, &status);
        return status;
    }
    const char *from = take(dec, count, sizeof *col->u64);
    if (from == NULL)
        return broken(dec, "a column is longer than the record");
    uint64_t *values = af_arena_zero(dec->arena, dec->rows, sizeof *values);
    if (values == NULL)
        return no_memory(dec);
    for (size_t w = 0; w < af_bit_words(dec->rows); w++)
        for (uint64_t bits = col->validity[w]; bits != 0; bits &= bits - 1, from += sizeof *values)
            memcpy(&values[w * 64 + (size_t)__builtin_ctzll(bits)], from, sizeof *values);
    col->values = values;
    return AF_OK;
}

static enum af_status check_floats(struct decoder *dec, const struct af_column *col)
{
    bool is_finite = true;
    for (size_t i = 0; i < dec->rows; i++)
        is_finite = is_finite && isfinite(col->f64[i]);
    return is_finite ? AF_OK : broken(dec, "a float that is not finite");
}

static enum af_status read_bools(struct decoder *dec, struct af_column *col, size_t count)
{
    enum af_status status = AF_OK;
    uint64_t *packed = take_array(dec, af_bit_words(count), sizeof *packed, &status);
    if (packed == NULL)
        return status;
    if (count % 64 != 0 && packed[count / 64] >> (count % 64) != 0)
        return broken(dec, "a bitmap goes past the values");
    col->bits = packed;
    if (count == dec->rows)
        return AF_OK;
    uint64_t *bits = af_bits_new(dec->arena, dec->rows, false);
    if (bits == NULL)
        return no_memory(dec);
    for (size_t i = 0, k = 0; i < dec->rows; i++)
        if (af_bit_get(col->validity, i) && af_bit_get(packed, k++))
            af_bit_set(bits, i);
    col->bits = bits;
    return AF_OK;
}

static enum af_status read_strings(struct decoder *dec, struct af_column *col, size_t count)
{
    const char *ends;
    const char *text;
    AF_TRY(take_texts(dec, count, &ends, &text));
    size_t total = count > 0 ? get_u32(ends + (count - 1) * 4) : 0;
    int32_t *offsets = af_arena_array(dec->arena, dec->rows + 1, sizeof *offsets);
    char *bytes = af_arena_array(dec->arena, total, 1);
    if (offsets == NULL || bytes == NULL)
        return no_memory(dec);
    if (total > 0)
        memcpy(bytes, text, total);
    offsets[0] = 0;
    for (size_t i = 0, k = 0; i < dec->rows; i++)
        offsets[i + 1] = col->validity != NULL && !af_bit_get(col->validity, i) ? offsets[i] : (int32_t)get_u32(ends + 4 * k++);
    col->offsets = offsets;
    col->bytes = bytes;
    return AF_OK;
}

static enum af_status read_field(struct decoder *dec, struct af_point_field *out)
{
    const char *head = take(dec, 1, FIELD_BYTES);
    if (head == NULL)
        return broken(dec, "fewer fields than it says");
    struct af_point_field field = { 0 };
    struct af_column *col = &field.column;
    size_t count;
    if (!af_tsm_type_of((unsigned char)head[0], &col->type) || (unsigned char)head[1] > 1 || head[2] != 0 || head[3] != 0)
        return broken(dec, "a field of a type that it does not know");
    AF_TRY(read_name(dec, get_u32(head + 4), &field));
    AF_TRY(read_validity(dec, head[1] == 1, col, &count));
    if (col->type == AF_TYPE_BOOL)
        AF_TRY(read_bools(dec, col, count));
    else if (col->type == AF_TYPE_STRING)
        AF_TRY(read_strings(dec, col, count));
    else
        AF_TRY(read_numbers(dec, col, count));
    if (col->type == AF_TYPE_F64)
        AF_TRY(check_floats(dec, col));
    *out = field;
    return AF_OK;
}

static enum af_status read_fields(struct decoder *dec, uint32_t count, struct af_points *out)
{
    if (count > (uint64_t)(dec->end - dec->at) / FIELD_BYTES)
        return broken(dec, "fewer fields than it says");
    struct af_point_field *fields = af_arena_array(dec->arena, count, sizeof *fields);
    if (fields == NULL)
        return no_memory(dec);
    for (uint32_t i = 0; i < count; i++)
        AF_TRY(read_field(dec, &fields[i]));
    if (dec->at != dec->end)
        return broken(dec, "bytes are left over");
    out->fields = fields;
    out->field_count = count;
    return AF_OK;
}

enum af_status af_record_decode(struct af_slice payload, struct af_arena *arena, struct af_series_set *set,
                                uint64_t *out_bucket, struct af_points *out, struct af_error *err)
{
    struct decoder dec = { .at = payload.ptr, .end = payload.ptr + payload.len, .arena = arena, .err = err };
    const char *head = take(&dec, 1, HEADER_BYTES);
    if (head == NULL)
        return broken(&dec, "it is shorter than its header");
    if (get_u32(head) != VERSION || get_u32(head + 28) != 0)
        return af_fail(err, AF_ECORRUPT, "a record of the log of version %u, this program knows %d", (unsigned char)head[0], VERSION);
    struct af_points points = { .set = set };
    uint32_t key_count = get_u32(head + 20);
    dec.rows = get_u32(head + 16);
    af_series_set_clear(set);
    AF_TRY(read_keys(&dec, key_count, get_u32(head + 24), set));
    AF_TRY(read_rows(&dec, key_count, &points));
    AF_TRY(read_fields(&dec, get_u32(head + 4), &points));
    memcpy(out_bucket, head + 8, sizeof *out_bucket);
    *out = points;
    return AF_OK;
}

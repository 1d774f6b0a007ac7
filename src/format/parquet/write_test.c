/*
 * write_test.c - files of random rows under every option, read back with parquet.h's own reader; bounds, refusals, failing memory.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/hash.h"
#include "base/prng.h"
#include "format/parquet/write_int.h"
#include "test/lib/test.h"

enum { ROWS = 3000, COLS = 14, TEXTS = 40 };

static const enum af_type types[COLS] = { AF_TYPE_BOOL,  AF_TYPE_I64,   AF_TYPE_U64,     AF_TYPE_F64,    AF_TYPE_TIME,
                                          AF_TYPE_TIME,  AF_TYPE_DATE,  AF_TYPE_CLOCK,   AF_TYPE_DECIMAL, AF_TYPE_STRING,
                                          AF_TYPE_STRING, AF_TYPE_BYTES, AF_TYPE_JSON,    AF_TYPE_NULL };
static const char *const names[COLS] = { "bool", "i64",  "u64",  "f64",  "time",  "local", "date",
                                         "clock", "dec", "text", "dict", "bytes", "json",  "null" };

/* What the file is to hold. Text of a row is pool[words[row]]. */
static struct {
    int64_t words[COLS][ROWS];
    __int128 wides[ROWS];
    bool has[COLS][ROWS];
    struct af_slice pool[TEXTS];
    char bytes[TEXTS][100];
} model;

static void make_pool(struct af_prng *prng)
{
    for (size_t i = 0; i < TEXTS; i++) {
        size_t len = (size_t)(i == 0 ? 0 : i < 4 ? 70 + i : af_prng_below(prng, 20));
        for (size_t k = 0; k < len; k++)
            model.bytes[i][k] = (char)('a' + (k < 5 ? k : af_prng_below(prng, 26)));
        model.pool[i] = af_slice_make(model.bytes[i], len);
    }
}

static int64_t random_word(struct af_prng *prng, enum af_type type, uint64_t kinds)
{
    int64_t x = (int64_t)(kinds == 0 ? af_prng_next(prng) : af_hash_mix(af_prng_below(prng, kinds)));
    switch (type) {
    case AF_TYPE_BOOL: return x & 1;
    case AF_TYPE_DATE: return (int32_t)x;
    case AF_TYPE_CLOCK: return (int64_t)((uint64_t)x % (uint64_t)AF_NS_PER_DAY);
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
    case AF_TYPE_JSON: return (int64_t)((uint64_t)x % TEXTS);
    default: return x;
    }
}

/* kinds 0: every value its own; else that many. nulls: of 100 rows. */
static void make_model(uint64_t seed, uint64_t kinds, unsigned nulls)
{
    struct af_prng prng = { seed };
    make_pool(&prng);
    for (size_t c = 0; c < COLS; c++) {
        bool gap = nulls > 0 && af_prng_below(&prng, 2) == 0; /* a long stretch without values: pages of nulls */
        for (size_t i = 0; i < ROWS; i++) {
            model.words[c][i] = random_word(&prng, types[c], kinds);
            model.has[c][i] = types[c] != AF_TYPE_NULL && af_prng_below(&prng, 100) >= nulls && !(gap && i > 500 && i < 1700);
            if (types[c] == AF_TYPE_DECIMAL)
                model.wides[i] = (__int128)model.words[c][i] * 1000003;
        }
    }
}

/* --- writing the model --------------------------------------------------------------------------------------------------- */

static struct af_field fields[COLS];
static const struct af_schema schema = { COLS, fields };

static void make_fields(bool nullable)
{
    for (size_t c = 0; c < COLS; c++)
        fields[c] = (struct af_field){ .name = names[c], .type = types[c], .scale = types[c] == AF_TYPE_DECIMAL ? 4 : 0,
                                       .is_nullable = nullable || types[c] == AF_TYPE_NULL, .is_local = c == 5 };
}

static void fill_text(struct af_arena *arena, struct af_column *col, size_t c, size_t from, size_t n)
{
    int32_t *offsets = af_arena_zero(arena, n + 1, sizeof *offsets);
    char *bytes = af_arena_alloc(arena, n * sizeof model.bytes[0] + 1);
    AF_CHECK(offsets != NULL && bytes != NULL);
    for (size_t i = 0; i < n; i++) {
        struct af_slice text = model.has[c][from + i] ? model.pool[model.words[c][from + i]] : AF_SLICE_LIT("");
        memcpy(bytes + offsets[i], text.ptr, text.len);
        offsets[i + 1] = offsets[i] + (int32_t)text.len;
    }
    col->offsets = offsets;
    col->bytes = bytes;
}

static void fill_codes(struct af_arena *arena, struct af_column *col, struct af_dict *dict, size_t c, size_t from, size_t n)
{
    uint32_t *codes = af_arena_zero(arena, n + 1, sizeof *codes);
    AF_CHECK(codes != NULL);
    for (size_t i = 0; i < n; i++)
        codes[i] = (uint32_t)model.words[c][from + i];
    col->codes = codes;
    col->dict = dict;
}

static void fill_bits(struct af_arena *arena, struct af_column *col, size_t c, size_t from, size_t n)
{
    uint64_t *bits = af_bits_new(arena, n, false);
    AF_CHECK(bits != NULL);
    for (size_t i = 0; i < n; i++)
        if (model.words[c][from + i] != 0)
            af_bit_set(bits, i);
    col->bits = bits;
}

static void fill_column(struct af_arena *arena, struct af_column *col, struct af_dict *dict, size_t c, size_t from, size_t n)
{
    uint64_t *validity = af_bits_new(arena, n, false);
    AF_CHECK(validity != NULL);
    *col = (struct af_column){ .type = types[c], .scale = fields[c].scale };
    for (size_t i = 0; i < n; i++) {
        if (model.has[c][from + i])
            af_bit_set(validity, i);
        else
            col->null_count++;
    }
    if (col->null_count > 0)
        col->validity = validity;
    if (c == 10)
        fill_codes(arena, col, dict, c, from, n);
    else if (af_type_is_text(types[c]))
        fill_text(arena, col, c, from, n);
    else if (types[c] == AF_TYPE_BOOL)
        fill_bits(arena, col, c, from, n);
    else if (types[c] == AF_TYPE_DECIMAL)
        col->i128 = model.wides + from;
    else if (types[c] != AF_TYPE_NULL)
        col->i64 = model.words[c] + from;
}

static struct af_dict *pool_dict(void)
{
    struct af_error err;
    struct af_dict *dict;
    int32_t offsets[TEXTS + 1] = { 0 };
    char bytes[sizeof model.bytes];
    for (size_t i = 0; i < TEXTS; i++) {
        memcpy(bytes + offsets[i], model.pool[i].ptr, model.pool[i].len);
        offsets[i + 1] = offsets[i] + (int32_t)model.pool[i].len;
    }
    AF_CHECK_OK(af_dict_new(offsets, bytes, TEXTS, &dict, &err), err);
    return dict;
}

static enum af_status append(void *ctx, struct af_slice bytes, struct af_error *err)
{
    af_buf_append_slice(ctx, bytes);
    return af_buf_check(ctx, "test file", err);
}

/* The model in batches of random length. */
static enum af_status write_model(const struct af_parquet_write_options *options, uint64_t seed, struct af_dict *dict,
                                  struct af_buf *out, struct af_error *err)
{
    struct af_prng prng = { seed };
    struct af_parquet_writer *writer = NULL;
    enum af_status status = af_parquet_writer_new(&schema, options, append, out, &writer, err);
    for (size_t row = 0, n; status == AF_OK && row < ROWS; row += n) {
        struct af_column columns[COLS];
        struct af_arena arena;
        af_arena_init(&arena, SIZE_MAX / 2);
        n = 1 + (size_t)af_prng_below(&prng, 1500);
        n = n < ROWS - row ? n : ROWS - row;
        for (size_t c = 0; c < COLS; c++)
            fill_column(&arena, &columns[c], dict, c, row, n);
        struct af_batch batch = { .schema = &schema, .row_count = n, .columns = columns };
        status = af_parquet_writer_add(writer, &batch, err);
        af_arena_done(&arena);
    }
    if (status == AF_OK)
        status = af_parquet_writer_finish(writer, err);
    af_parquet_writer_free(writer);
    return status;
}

/* --- reading it back ----------------------------------------------------------------------------------------------------- */

static int64_t as_stored(enum af_type type, enum af_parquet_time_form form, int64_t ns)
{
    int64_t unit = form == AF_PARQUET_TIME_MICROS || (form == AF_PARQUET_TIME_MILLIS && type == AF_TYPE_CLOCK) ? 1000
                   : form == AF_PARQUET_TIME_MILLIS                                                         ? 1000000
                                                                                                            : 1;
    if (type != AF_TYPE_TIME && type != AF_TYPE_CLOCK)
        return ns;
    return (int64_t)((uint64_t)af_floor_div(ns, unit) * (uint64_t)unit);
}

static void check_cell(const struct af_column *col, size_t c, size_t i, size_t row, enum af_parquet_time_form form)
{
    AF_CHECK_INT(col->type, types[c]);
    const int64_t want = as_stored(types[c], form, model.words[c][row]);
    /* floor may fall out of int64 for the first instants of 1677: then the reader says null */
    bool fits = want <= model.words[c][row];
    AF_CHECK_INT(af_column_has(col, i), model.has[c][row] && fits);
    if (!model.has[c][row] || !fits)
        return;
    if (af_type_is_text(types[c]))
        AF_CHECK(af_slice_eq(af_column_text(col, i), model.pool[model.words[c][row]]));
    else if (types[c] == AF_TYPE_DECIMAL)
        AF_CHECK(col->i128[i] == model.wides[row]);
    else if (types[c] == AF_TYPE_BOOL)
        AF_CHECK_INT(af_bit_get(col->bits, i), model.words[c][row]);
    else
        AF_CHECK_INT(col->i64[i], want);
}

static void read_model(const struct af_buf *file, enum af_parquet_time_form form)
{
    struct af_error err;
    struct af_reader reader;
    struct af_parquet *parquet;
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *batch;
    size_t row = 0;
    af_reader_from_memory(&reader, "test", file->ptr, file->len);
    AF_CHECK_OK(af_parquet_open(&reader, &parquet, &err), err);
    AF_CHECK_INT(af_parquet_schema(parquet)->field_count, COLS);
    struct af_parquet_scan scan = { 0 };
    AF_CHECK_OK(af_parquet_scan(parquet, &scan, &stream, &err), err);
    af_arena_init(&arena, SIZE_MAX / 2);
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        for (size_t i = 0; i < batch->row_count; i++, row++)
            for (size_t c = 0; c < COLS; c++)
                check_cell(&batch->columns[c], c, i, row, form);
        af_arena_reset(&arena);
    }
    AF_CHECK_INT(row, ROWS);
    af_stream_close(stream);
    af_arena_done(&arena);
    af_parquet_close(parquet);
}

static struct af_parquet_write_options random_options(struct af_prng *prng)
{
    static const int codecs[] = { AF_CODEC_NONE, AF_CODEC_SNAPPY, AF_CODEC_GZIP,      AF_CODEC_BROTLI,
                                  AF_CODEC_ZSTD, AF_CODEC_LZ4,    AF_CODEC_LZ4_HADOOP };
    const uint64_t bits = af_prng_next(prng);
    return (struct af_parquet_write_options){ .codec = codecs[bits % 7],
                                              .time_form = (enum af_parquet_time_form)(bits >> 8 & 3),
                                              .row_group_rows = (bits >> 16 & 1) != 0 ? 1 + af_prng_below(prng, 3000) : 0,
                                              .page_rows = (bits >> 17 & 1) != 0 ? 1 + af_prng_below(prng, 900) : 0,
                                              .data_page_v2 = (bits >> 18 & 1) != 0,
                                              .page_index = (bits >> 19 & 1) != 0,
                                              .page_crc = (bits >> 20 & 1) != 0,
                                              .legacy_dictionary = (bits >> 21 & 1) != 0,
                                              .no_dictionary = (bits >> 22 & 1) != 0,
                                              .delta = (bits >> 23 & 1) != 0 };
}

AF_TEST(what_is_written_reads_back)
{
    struct af_prng prng = { 42 };
    struct af_error err;
    for (int round = 0; round < 60; round++) {
        struct af_parquet_write_options options = random_options(&prng);
        struct af_buf file;
        const bool nullable = round % 3 != 0;
        make_model((uint64_t)round, round % 2 != 0 ? 0 : 1 + af_prng_below(&prng, 50), nullable ? (unsigned)(round % 5) * 20 : 0);
        make_fields(nullable);
        struct af_dict *dict = pool_dict();
        af_buf_init(&file, 1 << 28);
        AF_CHECK_OK(write_model(&options, (uint64_t)round, dict, &file, &err), err);
        read_model(&file, options.time_form);
        af_buf_done(&file);
        af_dict_unref(dict);
    }
}

AF_TEST(the_same_rows_give_the_same_bytes)
{
    struct af_error err;
    struct af_parquet_write_options options = { .codec = AF_CODEC_ZSTD, .page_rows = 100, .page_index = true, .page_crc = true };
    struct af_buf a, b;
    make_model(1, 30, 10);
    make_fields(true);
    struct af_dict *dict = pool_dict();
    af_buf_init(&a, 1 << 28);
    af_buf_init(&b, 1 << 28);
    AF_CHECK_OK(write_model(&options, 1, dict, &a, &err), err);
    AF_CHECK_OK(write_model(&options, 2, dict, &b, &err), err); /* other batches */
    AF_CHECK(af_slice_eq(af_buf_slice(&a), af_buf_slice(&b)));
    af_buf_done(&a);
    af_buf_done(&b);
    af_dict_unref(dict);
}

/* Few distinct values at first, then only new ones: pages with codes, then pages without. */
AF_TEST(a_dictionary_that_grows_is_closed)
{
    enum { MANY = 300000 };
    struct af_error err;
    struct af_buf file;
    struct af_reader reader;
    struct af_parquet *parquet;
    struct af_parquet_writer *writer;
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *got;
    struct af_parquet_column_info info;
    const struct af_field both[] = { { .name = "n", .type = AF_TYPE_I64 }, { .name = "s", .type = AF_TYPE_STRING } };
    const struct af_schema two = { 2, both };
    static int64_t numbers[MANY];
    static int32_t offsets[MANY + 1];
    static char bytes[MANY * 8];
    for (int i = 0; i < MANY; i++) {
        numbers[i] = i < 30000 ? i % 10 : i;
        memcpy(bytes + i * 8, &(uint64_t){ 0x6161616161616161u + (uint64_t)numbers[i] }, 8);
        offsets[i + 1] = (i + 1) * 8;
    }
    const struct af_column columns[] = { { .type = AF_TYPE_I64, .i64 = numbers },
                                         { .type = AF_TYPE_STRING, .offsets = offsets, .bytes = bytes } };
    const struct af_batch batch = { .schema = &two, .row_count = MANY, .columns = columns };
    af_buf_init(&file, 1 << 26);
    AF_CHECK_OK(af_parquet_writer_new(&two, &(struct af_parquet_write_options){ 0 }, append, &file, &writer, &err), err);
    AF_CHECK_OK(af_parquet_writer_add(writer, &batch, &err), err);
    AF_CHECK_OK(af_parquet_writer_finish(writer, &err), err);
    af_parquet_writer_free(writer);
    af_reader_from_memory(&reader, "test", file.ptr, file.len);
    AF_CHECK_OK(af_parquet_open(&reader, &parquet, &err), err);
    for (size_t c = 0; c < 2; c++) {
        af_parquet_column_info(parquet, c, &info);
        AF_CHECK_STR(info.encodings, "PLAIN,RLE,RLE_DICTIONARY");
        AF_CHECK(info.bytes_raw > MANY / 3 * 8 && info.bytes_raw < (c + 8) * MANY * 8);
    }
    AF_CHECK_OK(af_parquet_scan(parquet, &(struct af_parquet_scan){ 0 }, &stream, &err), err);
    af_arena_init(&arena, SIZE_MAX / 2);
    size_t row = 0;
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &got, &err), err);
        if (got == NULL)
            break;
        for (size_t i = 0; i < got->row_count; i++, row++) {
            AF_CHECK_INT(got->columns[0].i64[i], numbers[row]);
            AF_CHECK(af_slice_eq(af_column_text(&got->columns[1], i), af_slice_make(bytes + row * 8, 8)));
        }
        af_arena_reset(&arena);
    }
    AF_CHECK_INT(row, MANY);
    af_stream_close(stream);
    af_arena_done(&arena);
    af_parquet_close(parquet);
    af_buf_done(&file);
}

/* Times that ascend, a scan of two hours of them: the indexes must lead to every row in there, and past most others. */
static void prune_by(const struct af_parquet_write_options *options, uint64_t *out_rows, uint64_t *out_pruned)
{
    struct af_error err;
    struct af_buf file;
    struct af_reader reader;
    struct af_parquet *parquet;
    struct af_parquet_writer *writer;
    struct af_stream *stream;
    struct af_arena arena;
    struct af_batch *got;
    const struct af_field field = { .name = "t", .type = AF_TYPE_TIME, .is_nullable = true };
    const struct af_schema one = { 1, &field };
    static int64_t times[ROWS];
    for (int64_t i = 0; i < ROWS; i++)
        times[i] = i * 60 * AF_NS_PER_S;
    const struct af_column col = { .type = AF_TYPE_TIME, .i64 = times };
    const struct af_batch batch = { .schema = &one, .row_count = ROWS, .columns = &col };
    af_buf_init(&file, 1 << 24);
    AF_CHECK_OK(af_parquet_writer_new(&one, options, append, &file, &writer, &err), err);
    AF_CHECK_OK(af_parquet_writer_add(writer, &batch, &err), err);
    AF_CHECK_OK(af_parquet_writer_finish(writer, &err), err);
    af_parquet_writer_free(writer);
    af_reader_from_memory(&reader, "test", file.ptr, file.len);
    AF_CHECK_OK(af_parquet_open(&reader, &parquet, &err), err);
    const struct af_parquet_scan scan = { .has_prune = true, .prune_start_ns = times[1000], .prune_stop_ns = times[1120] };
    AF_CHECK_OK(af_parquet_scan(parquet, &scan, &stream, &err), err);
    af_arena_init(&arena, SIZE_MAX / 2);
    uint64_t groups, inside = 0;
    *out_rows = 0;
    for (;;) {
        AF_CHECK_OK(af_stream_next(stream, &arena, &got, &err), err);
        if (got == NULL)
            break;
        for (size_t i = 0; i < got->row_count; i++)
            inside += got->columns[0].i64[i] >= times[1000] && got->columns[0].i64[i] < times[1120];
        *out_rows += got->row_count;
    }
    AF_CHECK_INT(inside, 120);
    af_parquet_scan_pruned(stream, &groups, out_pruned);
    af_stream_close(stream);
    af_arena_done(&arena);
    af_parquet_close(parquet);
    af_buf_done(&file);
}

AF_TEST(statistics_and_indexes_lead_to_the_rows)
{
    uint64_t rows, pruned;
    prune_by(&(struct af_parquet_write_options){ .row_group_rows = 500 }, &rows, &pruned);
    AF_CHECK_INT(rows, 500);
    AF_CHECK_INT(pruned, ROWS - 500);
    prune_by(&(struct af_parquet_write_options){ .page_rows = 50, .page_index = true }, &rows, &pruned);
    AF_CHECK_INT(rows + pruned, ROWS);
    AF_CHECK(rows < 500);
    prune_by(&(struct af_parquet_write_options){ .page_rows = 50, .time_form = AF_PARQUET_TIME_INT96, .page_index = true }, &rows, &pruned);
    AF_CHECK_INT(rows, ROWS);
}

/* --- refusals ------------------------------------------------------------------------------------------------------------ */

static enum af_status write_one(enum af_type type, uint8_t scale, bool nullable, const struct af_column *col, size_t rows,
                                struct af_buf *out, struct af_error *err)
{
    const struct af_field field = { .name = "x", .type = type, .scale = scale, .is_nullable = nullable };
    const struct af_schema one = { 1, &field };
    const struct af_parquet_write_options options = { .page_index = true };
    struct af_parquet_writer *writer;
    AF_TRY(af_parquet_writer_new(&one, &options, append, out, &writer, err));
    const struct af_batch batch = { .schema = &one, .row_count = rows, .columns = col };
    enum af_status status = af_parquet_writer_add(writer, &batch, err);
    if (status == AF_OK)
        status = af_parquet_writer_finish(writer, err);
    af_parquet_writer_free(writer);
    return status;
}

AF_TEST(wrong_batches_are_refused)
{
    struct af_error err;
    struct af_buf out;
    const uint64_t none = 0;
    const int64_t day = INT64_C(1) << 31;
    __int128 big = 1;
    for (int i = 0; i < 38; i++)
        big *= 10;
    af_buf_init(&out, 1 << 20);
    const struct af_column null = { .type = AF_TYPE_DATE, .validity = &none, .null_count = 1, .i64 = &day };
    const struct af_column date = { .type = AF_TYPE_DATE, .i64 = &day };
    const struct af_column decimal = { .type = AF_TYPE_DECIMAL, .scale = 2, .i128 = &big };
    AF_CHECK_FAILS(write_one(AF_TYPE_DATE, 0, false, &null, 1, &out, &err), AF_EINVAL);
    AF_CHECK_OK(write_one(AF_TYPE_DATE, 0, true, &null, 1, &out, &err), err);
    AF_CHECK_FAILS(write_one(AF_TYPE_DATE, 0, true, &date, 1, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(write_one(AF_TYPE_I64, 0, true, &date, 1, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(write_one(AF_TYPE_DECIMAL, 2, true, &decimal, 1, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(write_one(AF_TYPE_DECIMAL, 3, true, &decimal, 1, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(write_one(AF_TYPE_DECIMAL, 39, true, &decimal, 1, &out, &err), AF_EINVAL);
    AF_CHECK_FAILS(write_one(AF_TYPE_NULL, 0, false, &null, 1, &out, &err), AF_EINVAL);
    af_buf_done(&out);
}

static enum af_status refuse(void *ctx, struct af_slice bytes, struct af_error *err)
{
    size_t *left = ctx;
    if (bytes.len > *left)
        return af_fail(err, AF_EFULL, "full");
    *left -= bytes.len;
    return AF_OK;
}

AF_TEST(a_full_disk_ends_the_file)
{
    struct af_error err;
    struct af_parquet_writer *writer;
    const struct af_field field = { .name = "x", .type = AF_TYPE_I64 };
    const struct af_schema one = { 1, &field };
    const struct af_parquet_write_options options = { .row_group_rows = 10 };
    size_t left = 3;
    AF_CHECK_FAILS(af_parquet_writer_new(&one, &options, refuse, &left, &writer, &err), AF_EFULL);
    left = 4;
    AF_CHECK_OK(af_parquet_writer_new(&one, &options, refuse, &left, &writer, &err), err);
    const int64_t values[10] = { 1, 2, 3 };
    const struct af_column col = { .type = AF_TYPE_I64, .i64 = values };
    const struct af_batch batch = { .schema = &one, .row_count = 10, .columns = &col };
    AF_CHECK_FAILS(af_parquet_writer_add(writer, &batch, &err), AF_EFULL);
    left = 1000000;
    AF_CHECK_FAILS(af_parquet_writer_add(writer, &batch, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_parquet_writer_finish(writer, &err), AF_EINVAL);
    af_parquet_writer_free(writer);
}

AF_TEST(memory_may_fail_anywhere_while_writing)
{
    struct af_error err;
    const struct af_parquet_write_options options = { .codec = AF_CODEC_SNAPPY, .row_group_rows = 1000, .page_rows = 300,
                                                      .page_index = true };
    const struct af_field two[] = { { .name = "t", .type = AF_TYPE_STRING, .is_nullable = true }, { .name = "v", .type = AF_TYPE_F64 } };
    const struct af_schema both = { 2, two };
    make_model(3, 20, 0);
    struct af_dict *dict = pool_dict();
    static uint32_t codes[ROWS];
    for (size_t i = 0; i < ROWS; i++)
        codes[i] = (uint32_t)model.words[10][i];
    const struct af_column columns[] = { { .type = AF_TYPE_STRING, .codes = codes, .dict = dict },
                                         { .type = AF_TYPE_F64, .i64 = model.words[3] } };
    const struct af_batch batch = { .schema = &both, .row_count = ROWS, .columns = columns };
    bool done = false;
    for (size_t nth = 1; !done; nth++) {
        struct af_parquet_writer *writer = NULL;
        size_t left = SIZE_MAX;
        af_alloc_fail_nth(nth);
        enum af_status status = af_parquet_writer_new(&both, &options, refuse, &left, &writer, &err);
        if (status == AF_OK)
            status = af_parquet_writer_add(writer, &batch, &err);
        if (status == AF_OK)
            status = af_parquet_writer_finish(writer, &err);
        done = af_alloc_fail_nth(0) < nth; /* that many were not asked for: nothing failed */
        AF_CHECK(status == AF_OK || status == AF_ENOMEM || status == AF_ELIMIT);
        AF_CHECK(!done || status == AF_OK);
        af_parquet_writer_free(writer);
        AF_CHECK(nth < 1000);
    }
    af_dict_unref(dict);
}

/* --- bounds -------------------------------------------------------------------------------------------------------------- */

static struct af_pw_bounds bounds_of_doubles(const double *values, size_t count)
{
    int64_t words[8];
    if (count > 0)
        memcpy(words, values, count * sizeof *values);
    const struct af_pw_column c = { .field = { .type = AF_TYPE_F64 }, .physical = AF_PW_DOUBLE, .words = words, .count = count };
    struct af_pw_bounds bounds;
    af_pw_bounds_of(&c, false, NULL, &bounds);
    return bounds;
}

static double number(const char *bytes)
{
    double v;
    memcpy(&v, bytes, sizeof v);
    return v;
}

AF_TEST(bounds_of_floats)
{
    const double nan = __builtin_nan("");
    struct af_pw_bounds b = bounds_of_doubles((double[]){ nan, 3, -2, nan }, 4);
    AF_CHECK(b.has);
    AF_CHECK_F64(number(b.min), -2);
    AF_CHECK_F64(number(b.max), 3);
    b = bounds_of_doubles((double[]){ nan, nan }, 2);
    AF_CHECK(!b.has);
    b = bounds_of_doubles((double[]){ 0.0, 5 }, 2);
    AF_CHECK_F64(number(b.min), -0.0);
    b = bounds_of_doubles((double[]){ -0.0, -5 }, 2);
    AF_CHECK_F64(number(b.max), 0.0);
    b = bounds_of_doubles((double[]){ -__builtin_inf() }, 1);
    AF_CHECK(b.has);
    AF_CHECK_F64(number(b.max), -__builtin_inf());
    b = bounds_of_doubles(NULL, 0);
    AF_CHECK(!b.has);
}

static struct af_pw_bounds bounds_of_text(enum af_type type, const char *text)
{
    int64_t len = (int64_t)strlen(text);
    struct af_pw_column c = { .field = { .type = type }, .physical = AF_PW_BYTE_ARRAY, .words = &len, .count = 1 };
    struct af_pw_bounds bounds;
    af_buf_init(&c.text, 1000);
    af_buf_append_str(&c.text, text);
    af_pw_bounds_of(&c, false, NULL, &bounds);
    af_buf_done(&c.text);
    return bounds;
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

AF_TEST(bounds_of_text_are_cut_on_the_safe_side)
{
    struct af_pw_bounds b = bounds_of_text(AF_TYPE_STRING, SIXTY "abcd");
    AF_CHECK(b.has && b.is_min_exact && b.is_max_exact);
    AF_CHECK_INT(b.max_len, 64);
    b = bounds_of_text(AF_TYPE_STRING, SIXTY "abcde");
    AF_CHECK(b.has && !b.is_min_exact && !b.is_max_exact);
    AF_CHECK_SLICE(af_slice_make(b.min, b.min_len), SIXTY "abcd");
    AF_CHECK_SLICE(af_slice_make(b.max, b.max_len), SIXTY "abce");
    b = bounds_of_text(AF_TYPE_STRING, SIXTY "abc\xc3\xa7 and more"); /* not half a character */
    AF_CHECK_SLICE(af_slice_make(b.min, b.min_len), SIXTY "abc");
    AF_CHECK_SLICE(af_slice_make(b.max, b.max_len), SIXTY "abd");
    b = bounds_of_text(AF_TYPE_STRING, SIXTY "a~~~~~"); /* '~' cannot be raised */
    AF_CHECK_SLICE(af_slice_make(b.max, b.max_len), SIXTY "b");
    b = bounds_of_text(AF_TYPE_STRING, "\xff is no UTF-8");
    AF_CHECK(!b.has);
    b = bounds_of_text(AF_TYPE_BYTES, "\xff is fine as bytes");
    AF_CHECK(b.has);
}

static struct af_pw_bounds bounds_of_words(enum af_type type, enum af_pw_physical physical, int64_t *words, size_t count)
{
    const struct af_pw_column c = { .field = { .type = type }, .physical = physical, .words = words, .count = count };
    struct af_pw_bounds bounds;
    af_pw_bounds_of(&c, false, NULL, &bounds);
    return bounds;
}

AF_TEST(bounds_of_integers_and_merging)
{
    int64_t words[] = { -1, 1 };
    uint64_t u;
    int64_t i;
    struct af_pw_bounds b = bounds_of_words(AF_TYPE_U64, AF_PW_INT64, words, 2);
    memcpy(&u, b.min, 8);
    AF_CHECK(u == 1);
    b = bounds_of_words(AF_TYPE_I64, AF_PW_INT64, words, 2);
    memcpy(&i, b.min, 8);
    AF_CHECK_INT(i, -1);
    b = bounds_of_words(AF_TYPE_TIME, AF_PW_INT96, words, 2);
    AF_CHECK(!b.has);
    /* decimals compare signed although big-endian */
    struct af_pw_column c = { .field = { .type = AF_TYPE_DECIMAL }, .physical = AF_PW_FIXED, .count = 1 };
    __int128 wides[] = { -5, 7 };
    struct af_pw_page pages[2] = { 0 };
    for (int k = 0; k < 2; k++) {
        c.wides = &wides[k];
        af_pw_bounds_of(&c, false, NULL, &pages[k].bounds);
    }
    AF_CHECK_INT(af_pw_bounds_order(&c, pages, 2), 1);
    struct af_pw_bounds all = pages[1].bounds;
    af_pw_bounds_merge(&c, &all, &pages[0].bounds);
    AF_CHECK_INT((signed char)all.min[15], -5);
    AF_CHECK_INT(all.max[15], 7);
    struct af_pw_page swapped[2] = { pages[1], pages[0] };
    AF_CHECK_INT(af_pw_bounds_order(&c, swapped, 2), 2);
}

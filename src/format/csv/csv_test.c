/*
 * csv_test.c - the stream: golden files, bad rows, limits, dictionaries, failing memory, and the real ONS files where
 * AFLUXO_TEST_ONS_DIR says they are.
 */
#include "base/alloc.h"
#include "base/prng.h"
#include "base/utf8.h"
#include "format/csv/csv_int.h"
#include "test/lib/test.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;

/* --- readers: bytes in memory to the byte, or read in pieces --- */

struct source {
    struct af_reader reader;
    char *copy;
};

static enum af_status source_read(struct af_reader *reader, uint64_t offset, void *dst, size_t len, struct af_error *error)
{
    (void)error;
    memcpy(dst, ((struct source *)reader)->copy + offset, len);
    return AF_OK;
}

static void source_close(struct af_reader *reader)
{
    free(((struct source *)reader)->copy);
}

/* An exact copy on the heap, so that ASan sees a read past the end. */
static struct af_reader *source_open(struct source *source, struct af_slice text, bool in_memory)
{
    static const struct af_reader_ops ops = { .read_at = source_read, .close = source_close };
    source->copy = malloc(text.len != 0 ? text.len : 1);
    AF_CHECK(source->copy != NULL);
    if (text.len != 0)
        memcpy(source->copy, text.ptr, text.len);
    source->reader = (struct af_reader){ &ops, "t.csv", text.len, in_memory ? (const uint8_t *)source->copy : NULL };
    return &source->reader;
}

/* --- a stream as text --- */

static void dump_cell(struct af_buf *out, const struct af_column *col, size_t row)
{
    AF_CHECK_INT(col->type, AF_TYPE_STRING);
    if (!af_column_has(col, row)) {
        af_buf_append_char(out, '~');
        return;
    }
    struct af_slice text = af_column_text(col, row);
    AF_CHECK(text.len != 0);
    AF_CHECK(af_utf8_is_valid(text));
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '\n' || text.ptr[i] == '\r')
            af_buf_append_str(out, text.ptr[i] == '\n' ? "\\n" : "\\r");
        else
            af_buf_append_char(out, text.ptr[i]);
}

static void dump_batch(struct af_buf *out, const struct af_batch *batch, uint64_t *next_record)
{
    size_t bad = 0;
    for (; bad < batch->bad_row_count && batch->bad_rows[bad].row < batch->first_row; bad++)
        AF_CHECK_INT(batch->bad_rows[bad].row, (*next_record)++);
    size_t before = bad;
    AF_CHECK_INT(batch->first_row, *next_record);
    for (bad = 0; bad < before; bad++)
        af_buf_printf(out, "bad %llu: %s [" AF_SLICE_FMT "]\n", (unsigned long long)batch->bad_rows[bad].row,
                      batch->bad_rows[bad].reason, AF_SLICE_ARG(batch->bad_rows[bad].raw));
    for (size_t row = 0; row < batch->row_count; row++) {
        af_buf_printf(out, "%llu:", (unsigned long long)(*next_record)++);
        for (size_t c = 0; c < batch->schema->field_count; c++) {
            af_buf_append_str(out, c == 0 ? " " : " | ");
            dump_cell(out, &batch->columns[c], row);
        }
        af_buf_append_char(out, '\n');
    }
    for (; bad < batch->bad_row_count; bad++) {
        AF_CHECK_INT(batch->bad_rows[bad].row, (*next_record)++);
        af_buf_printf(out, "bad %llu: %s [" AF_SLICE_FMT "]\n", (unsigned long long)batch->bad_rows[bad].row,
                      batch->bad_rows[bad].reason, AF_SLICE_ARG(batch->bad_rows[bad].raw));
    }
    for (size_t c = 0; c < batch->schema->field_count; c++) {
        const struct af_column *col = &batch->columns[c];
        if (col->validity != NULL)
            AF_CHECK_INT(af_bits_count(col->validity, batch->row_count), batch->row_count - col->null_count);
    }
}

static enum af_status dump(struct af_reader *reader, const struct af_csv_options *options, struct af_buf *out)
{
    struct af_stream *stream;
    struct af_csv_info info;
    AF_TRY(af_csv_open(reader, options, &stream, &info, &err));
    af_buf_printf(out, "separator %c%s%s%s\n", info.separator == '\t' ? 'T' : info.separator,
                  info.encoding == AF_CSV_UTF8 ? ", UTF-8" : ", Windows-1252", info.has_bom ? ", BOM" : "",
                  info.has_decimal_comma ? ", decimal comma" : "");
    for (size_t c = 0; c < stream->schema->field_count; c++)
        af_buf_printf(out, "%s%s", c == 0 ? "" : " | ", stream->schema->fields[c].name);
    af_buf_append_char(out, '\n');
    struct af_arena arena;
    af_arena_init(&arena, (size_t)1 << 30);
    struct af_batch *batch;
    uint64_t next_record = 0;
    enum af_status status;
    while ((status = af_stream_next(stream, &arena, &batch, &err)) == AF_OK && batch != NULL) {
        AF_CHECK(batch->row_count + batch->bad_row_count != 0);
        dump_batch(out, batch, &next_record);
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_stream_close(stream);
    return status;
}

/* However it is read, the dump is the same. */
static void dump_all_ways(struct af_slice text, const struct af_csv_options *options, struct af_buf *out)
{
    static const size_t rows_max[] = { 0, 1, 2, 3, 7 };
    for (size_t way = 0; way < 2 * sizeof rows_max / sizeof rows_max[0]; way++) {
        struct af_csv_options with = options != NULL ? *options : (struct af_csv_options){ 0 };
        with.batch_rows_max = rows_max[way / 2];
        struct source source;
        struct af_buf again;
        af_buf_init(&again, (size_t)1 << 30);
        AF_CHECK_OK(dump(source_open(&source, text, way % 2 == 0), &with, &again), err);
        af_reader_close(&source.reader);
        if (way == 0)
            af_buf_append_slice(out, af_buf_slice(&again));
        else if (!af_slice_eq(af_buf_slice(out), af_buf_slice(&again)))
            af_test_failed(__FILE__, __LINE__, "way %zu:\n%s\n---\n%s", way, af_buf_cstr(&again), af_buf_cstr(out));
        af_buf_done(&again);
    }
}

static void reads(struct af_slice text, const struct af_csv_options *options, const char *want)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 24);
    dump_all_ways(text, options, &out);
    AF_CHECK_SLICE(af_buf_slice(&out), want);
    af_buf_done(&out);
}

/* --- golden files --- */

static void read_file(const char *path, struct af_buf *out)
{
    FILE *file = fopen(path, "rb");
    af_buf_init(out, (size_t)1 << 30);
    if (file == NULL)
        return;
    size_t got;
    do {
        char *at = af_buf_reserve(out, 1 << 16);
        AF_CHECK(at != NULL);
        got = fread(at, 1, 1 << 16, file);
        out->len += got;
    } while (got != 0);
    AF_CHECK(fclose(file) == 0);
}

static void golden(const char *dir, const char *name)
{
    char path[512];
    struct af_buf text, want, got;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    read_file(path, &text);
    af_buf_init(&got, 1 << 24);
    dump_all_ways(af_buf_slice(&text), NULL, &got);
    memcpy(strrchr(path, '.'), ".txt", 5);
    if (getenv("AF_GOLDEN_UPDATE") != NULL) {
        FILE *file = fopen(path, "wb");
        AF_CHECK(file != NULL && fwrite(got.ptr, 1, got.len, file) == got.len && fclose(file) == 0);
    }
    read_file(path, &want);
    if (!af_slice_eq(af_buf_slice(&got), af_buf_slice(&want)))
        af_test_failed(__FILE__, __LINE__, "%s:\n%s", path, af_buf_cstr(&got));
    af_buf_done(&text);
    af_buf_done(&want);
    af_buf_done(&got);
}

AF_TEST(csv_golden_files)
{
    const char *dir = "test/golden/csv";
    DIR *listing = opendir(dir);
    AF_CHECK(listing != NULL);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot != NULL && strcmp(dot, ".csv") == 0) {
            golden(dir, entry->d_name);
            count++;
        }
    }
    closedir(listing);
    AF_CHECK(count >= 14);
}

/* --- the real files: rows as their README states --- */

struct ons_file {
    const char *path;
    uint64_t rows;
    size_t columns;
};
static const struct ons_file ons_files[] = {
    { "curva_carga_ho/CURVA_CARGA_2000.csv", 35132, 4 },
    { "curva_carga_ho/CURVA_CARGA_2008.csv", 35132, 4 },
    { "curva_carga_ho/CURVA_CARGA_2013.csv", 35036, 4 },
    { "curva_carga_ho/CURVA_CARGA_2014.csv", 35016, 4 },
    { "curva_carga_ho/CURVA_CARGA_2016.csv", 35136, 4 },
    { "curva_carga_ho/CURVA_CARGA_2018.csv", 35040, 4 },
    { "curva_carga_ho/CURVA_CARGA_2020.csv", 35136, 4 },
    { "curva_carga_ho/CURVA_CARGA_2023.csv", 35040, 4 },
    { "curva_carga_ho/CURVA_CARGA_2024.csv", 31584, 4 },
    { "curva_carga_ho/vintage-2023-10/CURVA_CARGA_2016.csv", 34920, 4 },
    { "curva_carga_ho/vintage-2023-10/CURVA_CARGA_2023.csv", 24288, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2000.csv", 1464, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2004.csv", 1464, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2008.csv", 1464, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2012.csv", 1464, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2013.csv", 1461, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2014.csv", 1460, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2016.csv", 1464, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2018.csv", 1460, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2020.csv", 1464, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2021.csv", 1460, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2022.csv", 1460, 4 },
    { "carga_energia_di/CARGA_ENERGIA_2023.csv", 384, 4 },
    { "balanco_energia_subsistema_ho/BALANCO_ENERGIA_SUBSISTEMA_2023.csv", 31440, 9 },
    { "cmo_tm/CMO_SEMIHORARIO_2020.csv", 70080, 4 },
    { "cmo_tm/CMO_SEMIHORARIO_2022.csv", 67008, 4 },
    { "hidrologicos/DADOS_HIDROLOGICOS_RES_2025.csv", 11552, 25 },
    { "hidrologicos/RESERVATORIOS.csv", 161, 24 },
    { "capacidade/CAPACIDADE_GERACAO.csv", 5294, 18 },
    { "restricao_coff/RESTRICAO_COFF_FOTOVOLTAICA_2026_01.csv", 13632, 16 },
    { "excerpts/INTERCAMBIO_NACIONAL_2018.dst-gap.csv", 12, 6 },
    { "excerpts/INTERCAMBIO_NACIONAL_2026.head.csv", 36, 7 },
    { "excerpts/RESTRICAO_COFF_EOLICA_2024_12.head.csv", 5, 15 },
    { "excerpts/RESTRICAO_COFF_EOLICA_DETAIL_2026_08.head.csv", 8, 0 },
    { "excerpts/RESTRICAO_COFF_FOTOVOLTAICA_DETAIL_2024_04.duplicate.csv", 6, 0 },
    { "excerpts/BALANCO_ENERGIA_SUBSISTEMA_2018.dst-gap.csv", 14, 9 },
    { "excerpts/BALANCO_ENERGIA_SUBSISTEMA_2026.head.csv", 25, 9 },
    { "excerpts/EAR_DIARIO_SUBSISTEMA_2023.head.csv", 28, 0 },
    { "excerpts/ENA_DIARIO_SUBSISTEMA_2023.head.csv", 20, 0 },
};

static void count_ons_file(const char *dir, const struct ons_file *file)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", dir, file->path);
    struct af_buf text;
    read_file(path, &text);
    if (text.len == 0)
        af_test_failed(__FILE__, __LINE__, "cannot read %s", path);
    for (int way = 0; way < 2; way++) {
        struct source source;
        struct af_stream *stream;
        struct af_csv_info info;
        AF_CHECK_OK(af_csv_open(source_open(&source, af_buf_slice(&text), way == 0), NULL, &stream, &info, &err), err);
        AF_CHECK_INT(info.separator, ';');
        AF_CHECK_INT(info.encoding, AF_CSV_UTF8);
        AF_CHECK(!info.has_bom && !info.has_decimal_comma);
        if (file->columns != 0)
            AF_CHECK_INT(stream->schema->field_count, file->columns);
        struct af_arena arena;
        af_arena_init(&arena, (size_t)1 << 30);
        struct af_batch *batch;
        uint64_t rows = 0;
        for (;;) {
            AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
            if (batch == NULL)
                break;
            AF_CHECK_INT(batch->bad_row_count, 0);
            AF_CHECK_INT(batch->first_row, rows);
            rows += batch->row_count;
            af_arena_reset(&arena);
        }
        if (rows != file->rows)
            af_test_failed(__FILE__, __LINE__, "%s: %llu rows, want %llu", path, (unsigned long long)rows,
                           (unsigned long long)file->rows);
        af_arena_done(&arena);
        af_stream_close(stream);
        af_reader_close(&source.reader);
    }
    af_buf_done(&text);
}

AF_TEST(csv_ons_files_have_the_rows_they_should)
{
    const char *dir = getenv("AFLUXO_TEST_ONS_DIR");
    if (dir == NULL)
        return;
    for (size_t i = 0; i < sizeof ons_files / sizeof ons_files[0]; i++)
        count_ons_file(dir, &ons_files[i]);
}

/* --- what is refused at open --- */

static void refused(struct af_slice text, const struct af_csv_options *options, enum af_status status, const char *word)
{
    for (int way = 0; way < 2; way++) {
        struct source source;
        struct af_stream *stream = NULL;
        AF_CHECK_FAILS(af_csv_open(source_open(&source, text, way == 0), options, &stream, NULL, &err), status);
        AF_CHECK(stream == NULL);
        if (strstr(err.message, word) == NULL)
            af_test_failed(__FILE__, __LINE__, "\"%s\" has no \"%s\"", err.message, word);
        af_reader_close(&source.reader);
    }
}

AF_TEST(csv_refuses_what_is_no_csv)
{
    refused(AF_SLICE_LIT(""), NULL, AF_EINVAL, "empty");
    refused(AF_SLICE_LIT("\xEF\xBB\xBF\r\n\n"), NULL, AF_EINVAL, "empty");
    refused(AF_SLICE_LIT("\xFF\xFE" "a\0b\0"), NULL, AF_EINVAL, "UTF-16");
    refused(AF_SLICE_LIT("\xFE\xFF\0a"), NULL, AF_EINVAL, "UTF-16");
    refused(AF_SLICE_LIT("a;b\n1;\0\n"), NULL, AF_EINVAL, "binary");
    refused(AF_SLICE_LIT("PK\x03\x04..."), NULL, AF_EINVAL, "ZIP");
    refused(AF_SLICE_LIT("PAR1\x15"), NULL, AF_EINVAL, "Parquet");
    refused(AF_SLICE_LIT("a;b\r1;2\r"), NULL, AF_EINVAL, "carriage return");
    refused(AF_SLICE_LIT("\"a;b\n1;2\n"), NULL, AF_EINVAL, "never closed");
    refused(AF_SLICE_LIT("\"a\"x;b\n1;2\n"), NULL, AF_EINVAL, "closing quote");
    struct af_csv_options options = { .separator = '"' };
    refused(AF_SLICE_LIT("a;b\n"), &options, AF_EINVAL, "separator");
}

AF_TEST(csv_header_limits)
{
    struct af_buf text;
    af_buf_init(&text, (size_t)1 << 30);
    for (int i = 0; i < AF_CSV_COLUMNS_MAX - 1; i++)
        af_buf_append_str(&text, "x;");
    size_t wide = text.len;
    af_buf_append_str(&text, "x;y\n");
    refused(af_buf_slice(&text), NULL, AF_ELIMIT, "AF_CSV_COLUMNS_MAX");
    af_buf_rewind(&text, wide);
    af_buf_append_str(&text, "x\n1;2\n");
    struct source source;
    struct af_stream *stream;
    AF_CHECK_OK(af_csv_open(source_open(&source, af_buf_slice(&text), true), NULL, &stream, NULL, &err), err);
    AF_CHECK_INT(stream->schema->field_count, AF_CSV_COLUMNS_MAX);
    AF_CHECK_STR(stream->schema->fields[4095].name, "x_4096");
    af_stream_close(stream);
    af_reader_close(&source.reader);
    af_buf_clear(&text);
    for (int i = 0; i < AF_CSV_LINE_BYTES_MAX + 1; i++)
        af_buf_append_char(&text, 'h');
    af_buf_append_str(&text, "\n1\n");
    refused(af_buf_slice(&text), NULL, AF_ELIMIT, "AF_CSV_LINE_BYTES_MAX");
    af_buf_done(&text);
}

/* --- options --- */

AF_TEST(csv_options_are_obeyed)
{
    struct af_csv_options options = { .separator = '|', .no_header = true };
    reads(AF_SLICE_LIT("1|a;b\n2|c\n"), &options, "separator |, UTF-8\nc1 | c2\n0: 1 | a;b\n1: 2 | c\n");
    options = (struct af_csv_options){ .encoding = AF_CSV_CP1252 };
    reads(AF_SLICE_LIT("a;b\n\xC3\xA9;\x80\n"), &options,
          "separator ;, Windows-1252\na | b\n0: \xC3\x83\xC2\xA9 | \xE2\x82\xAC\n");
    options = (struct af_csv_options){ .encoding = AF_CSV_UTF8 };
    reads(AF_SLICE_LIT("a;b\n\xC3\xA9;1\n\xE9;2\n\"\xE9\";3\n"), &options,
          "separator ;, UTF-8\na | b\n0: \xC3\xA9 | 1\nbad 1: line 3: not UTF-8 [\xE9;2]\nbad 2: line 4: not UTF-8 [\"\xE9\";3]\n");
}

AF_TEST(csv_numbers_have_a_style)
{
    static const struct { const char *text; enum af_csv_number style; } cases[] = {
        { "0,5", AF_CSV_COMMA }, { "-1.234,56", AF_CSV_COMMA }, { "1.234.567", AF_CSV_COMMA }, { "12,", AF_CSV_NO_NUMBER },
        { "0.5", AF_CSV_POINT }, { "1234.567", AF_CSV_POINT }, { "0E-8", AF_CSV_POINT }, { "109.81999969", AF_CSV_POINT },
        { "1.234", AF_CSV_NO_NUMBER }, { "0.123", AF_CSV_POINT }, { "12", AF_CSV_NO_NUMBER }, { "", AF_CSV_NO_NUMBER },
        { "2024-01-01", AF_CSV_NO_NUMBER }, { "1,2,3", AF_CSV_NO_NUMBER }, { "1.2.3", AF_CSV_NO_NUMBER }, { " 0,5 ", AF_CSV_COMMA },
        { "1e", AF_CSV_NO_NUMBER }, { "x", AF_CSV_NO_NUMBER }, { "-", AF_CSV_NO_NUMBER }, { "5.", AF_CSV_POINT },
        { "68.0", AF_CSV_POINT }, { "1.23456", AF_CSV_POINT }, { "12.3456", AF_CSV_POINT },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (af_csv_number_style(af_slice_of(cases[i].text)) != cases[i].style)
            af_test_failed(__FILE__, __LINE__, "%s", cases[i].text);
}

/* --- long lines --- */

static void append_many(struct af_buf *buf, char c, size_t count)
{
    char *at = af_buf_reserve(buf, count);
    AF_CHECK(at != NULL);
    memset(at, c, count);
    buf->len += count;
}

static size_t count_rows(struct af_slice text, bool in_memory, size_t *out_bad, char *reason, uint64_t *out_last_row)
{
    struct source source;
    struct af_stream *stream;
    AF_CHECK_OK(af_csv_open(source_open(&source, text, in_memory), NULL, &stream, NULL, &err), err);
    struct af_arena arena;
    af_arena_init(&arena, (size_t)1 << 30);
    size_t rows = 0;
    *out_bad = 0;
    for (;;) {
        struct af_batch *batch;
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        if (batch == NULL)
            break;
        rows += batch->row_count;
        *out_bad += batch->bad_row_count;
        if (batch->row_count != 0)
            *out_last_row = batch->first_row + batch->row_count - 1;
        for (size_t i = 0; i < batch->bad_row_count; i++) {
            snprintf(reason, 100, "%s", batch->bad_rows[i].reason);
            AF_CHECK(batch->bad_rows[i].raw.len <= AF_CSV_RAW_BYTES_MAX);
        }
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_stream_close(stream);
    af_reader_close(&source.reader);
    return rows;
}

AF_TEST(csv_long_lines_are_bad_rows)
{
    for (int way = 0; way < 8; way++) {
        struct af_buf text;
        af_buf_init(&text, (size_t)1 << 30);
        af_buf_append_str(&text, "a;b\n1;2\n");
        size_t extra = (way & 2) != 0 ? 1 : 0; /* at the limit, and one past it */
        append_many(&text, (way & 4) != 0 ? ';' : 'x', (size_t)AF_CSV_LINE_BYTES_MAX + extra - 1);
        af_buf_append_str(&text, (way & 4) != 0 ? "y\n3;4\n5;6\n" : ";\n3;4\n5;6\n");
        size_t bad;
        char reason[100] = "";
        uint64_t last = 0;
        size_t rows = count_rows(af_buf_slice(&text), way % 2 == 0, &bad, reason, &last);
        bool is_bad = extra != 0 || (way & 4) != 0;
        AF_CHECK_INT(rows, is_bad ? 3 : 4);
        AF_CHECK_INT(bad, is_bad);
        AF_CHECK_INT(last, 3);
        const char *want = extra != 0 ? "line 3: longer than AF_CSV_LINE_BYTES_MAX" : "line 3: 4194304 cells found, 2 wanted";
        AF_CHECK(!is_bad || strstr(reason, want) != NULL);
        af_buf_done(&text);
    }
}

AF_TEST(csv_an_endless_line_does_not_grow_memory)
{
    struct af_buf text;
    af_buf_init(&text, (size_t)1 << 30);
    af_buf_append_str(&text, "a;b\n1;2\n");
    append_many(&text, 'x', (size_t)40 << 20);
    size_t bad;
    char reason[100] = "";
    uint64_t last = 0;
    AF_CHECK_INT(count_rows(af_buf_slice(&text), false, &bad, reason, &last), 1);
    AF_CHECK_INT(bad, 1);
    af_buf_append_str(&text, "\n3;4");
    AF_CHECK_INT(count_rows(af_buf_slice(&text), false, &bad, reason, &last), 2);
    AF_CHECK_INT(last, 2);
    af_buf_done(&text);
}

AF_TEST(csv_an_unclosed_quote_costs_one_line)
{
    for (int way = 0; way < 2; way++) {
        struct af_buf text;
        af_buf_init(&text, (size_t)1 << 30);
        af_buf_append_str(&text, "a;b\n1;2\n\"3;4\n");
        for (int i = 0; i < 800000; i++)
            af_buf_append_str(&text, "5;6789\n");
        size_t bad;
        char reason[100] = "";
        uint64_t last = 0;
        AF_CHECK_INT(count_rows(af_buf_slice(&text), way == 0, &bad, reason, &last), 800001);
        AF_CHECK_INT(bad, 1);
        AF_CHECK_INT(last, 800001);
        AF_CHECK_STR(reason, "line 3: a quote is never closed");
        af_buf_done(&text);
    }
}

AF_TEST(csv_later_nul_bytes_are_bad_rows)
{
    struct af_buf text;
    af_buf_init(&text, (size_t)1 << 30);
    af_buf_append_str(&text, "a;b\n");
    for (int i = 0; i < 20000; i++)
        af_buf_append_str(&text, "1;2\n");
    af_buf_append(&text, "1;\0\n\"\0\n\";2\n3;4\n", 15);
    size_t bad;
    char reason[100] = "";
    uint64_t last = 0;
    AF_CHECK_INT(count_rows(af_buf_slice(&text), true, &bad, reason, &last), 20001);
    AF_CHECK_INT(bad, 2);
    AF_CHECK_STR(reason, "line 20003: a NUL byte");
    af_buf_done(&text);
}

AF_TEST(csv_many_blank_lines)
{
    struct af_buf text;
    af_buf_init(&text, (size_t)1 << 30);
    af_buf_append_str(&text, "\n\r\na;b\n1;2\n");
    append_many(&text, '\n', 300000);
    af_buf_append_str(&text, "3;4\n5\n");
    append_many(&text, '\n', 300000);
    for (int way = 0; way < 2; way++) {
        size_t bad;
        char reason[100] = "";
        uint64_t last = 0;
        AF_CHECK_INT(count_rows(af_buf_slice(&text), way == 0, &bad, reason, &last), 2);
        AF_CHECK_INT(bad, 1);
        AF_CHECK_STR(reason, "line 300006: 1 cells found, 2 wanted");
    }
    af_buf_done(&text);
}

/* --- dictionaries --- */

AF_TEST(csv_repeating_words_share_one_dictionary)
{
    static const char *const long_names[] = { "a name of more than thirty-two bytes, two",
                                              "a name of more than thirty-two bytes, one" };
    struct af_buf text;
    af_buf_init(&text, (size_t)1 << 30);
    af_buf_append_str(&text, "region;plant;long;value;empty\n");
    for (int i = 0; i < 50000; i++)
        af_buf_printf(&text, "%s;P%d;%s;%d.5;\n", i % 3 == 0 ? "" : i % 3 == 1 ? "SE" : "NORDESTE", i % 700, long_names[i % 2], i);
    struct source source;
    struct af_stream *stream;
    AF_CHECK_OK(af_csv_open(source_open(&source, af_buf_slice(&text), true), NULL, &stream, NULL, &err), err);
    struct af_arena arena;
    af_arena_init(&arena, (size_t)1 << 30);
    uint64_t ids[3] = { 0, 0, 0 };
    for (uint64_t base = 0; base < 50000;) {
        struct af_batch *batch;
        AF_CHECK_OK(af_stream_next(stream, &arena, &batch, &err), err);
        AF_CHECK(batch != NULL);
        for (size_t c = 0; c < 3; c++) {
            AF_CHECK(batch->columns[c].dict != NULL);
            AF_CHECK(base == 0 || ids[c] == batch->columns[c].dict->id);
            ids[c] = batch->columns[c].dict->id;
        }
        AF_CHECK_INT(batch->columns[0].dict->count, 2);
        AF_CHECK_INT(batch->columns[1].dict->count, 700);
        AF_CHECK(batch->columns[3].dict == NULL && batch->columns[4].dict == NULL);
        AF_CHECK_INT(batch->columns[4].null_count, batch->row_count);
        for (size_t row = 0; row < batch->row_count; row++) {
            char want[64];
            snprintf(want, sizeof want, "P%d", (int)(base + row) % 700);
            AF_CHECK_SLICE(af_column_text(&batch->columns[1], row), want);
            snprintf(want, sizeof want, "%d.5", (int)(base + row));
            AF_CHECK_SLICE(af_column_text(&batch->columns[3], row), want);
            AF_CHECK_INT(af_column_has(&batch->columns[0], row), (base + row) % 3 != 0);
            AF_CHECK_SLICE(af_column_text(&batch->columns[2], row), long_names[(base + row) % 2]);
        }
        base += batch->row_count;
    }
    af_stream_close(stream); /* the last batch outlives it */
    af_arena_done(&arena);
    af_reader_close(&source.reader);
    af_buf_done(&text);
}

/* --- the scan and its twins --- */

AF_TEST(csv_scans_agree)
{
    struct af_prng prng = { 11 };
    for (int round = 0; round < 3000; round++) {
        char text[400];
        size_t len = (size_t)af_prng_below(&prng, sizeof text);
        uint64_t odd = af_prng_below(&prng, 200) + 20;
        for (size_t i = 0; i < len; i++) {
            uint64_t kind = af_prng_below(&prng, odd);
            text[i] = kind < 3 ? ';' : kind < 5 ? '\n' : kind == 6 ? '"' : kind == 7 ? '\0' : kind == 8 ? '\xC3' : 'x';
        }
        size_t pos[3] = { 0 };
        enum af_csv_stop stop[3] = { 0 };
        uint32_t ends[3][1000], records[3][1000];
        struct af_csv_marks marks[3];
        for (int which = 0; which < 3; which++) {
            marks[which] = (struct af_csv_marks){ .ends = ends[which], .records = records[which] };
            marks[which].end_cap = marks[which].record_cap = 600;
            if (!af_csv_scan_with(which, text, len / 7, len, ';', &marks[which], &stop[which], &pos[which]))
                continue;
            AF_CHECK_INT(pos[which], pos[0]);
            AF_CHECK_INT(stop[which], stop[0]);
            AF_CHECK_INT(marks[which].end_count, marks[0].end_count);
            AF_CHECK_INT(marks[which].record_count, marks[0].record_count);
            AF_CHECK(memcmp(ends[which], ends[0], marks[0].end_count * sizeof(uint32_t)) == 0);
            AF_CHECK(memcmp(records[which], records[0], marks[0].record_count * sizeof(uint32_t)) == 0);
            AF_CHECK(marks[which].has_high || !marks[0].has_high);
        }
    }
}

/* --- memory --- */

AF_TEST(csv_survives_every_failed_allocation)
{
    struct af_buf text;
    af_buf_init(&text, 1 << 20);
    af_buf_append_str(&text, "reg;val;txt\n");
    for (int i = 0; i < 400; i++)
        af_buf_printf(&text, "%s;%d;%s\n", i % 2 != 0 ? "SE" : "S", i, i % 5 == 0 ? "\"a \"\"b\"\"\"" : "caf\xE9");
    af_buf_append_str(&text, "bad\n");
    for (size_t n = 1;; n++) {
        AF_CHECK(n < 5000);
        struct af_buf out;
        af_buf_init(&out, 1 << 20);
        AF_CHECK(af_buf_reserve(&out, 1 << 16) != NULL);
        struct source source;
        struct af_reader *reader = source_open(&source, af_buf_slice(&text), n % 2 == 0);
        struct af_csv_options options = { .batch_rows_max = 300 };
        af_alloc_fail_nth(n);
        enum af_status status = dump(reader, &options, &out);
        size_t used = af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        af_reader_close(&source.reader);
        af_buf_done(&out);
        if (used < n) {
            AF_CHECK_INT(status, AF_OK);
            break;
        }
    }
    af_buf_done(&text);
}

AF_TEST(csv_an_arena_that_is_too_small)
{
    struct source source;
    struct af_stream *stream;
    AF_CHECK_OK(af_csv_open(source_open(&source, AF_SLICE_LIT("a;b\n1;2\n"), true), NULL, &stream, NULL, &err), err);
    struct af_arena arena;
    af_arena_init(&arena, 100);
    struct af_batch *batch;
    AF_CHECK_FAILS(af_stream_next(stream, &arena, &batch, &err), AF_ELIMIT);
    af_arena_done(&arena);
    af_stream_close(stream);
    af_reader_close(&source.reader);
}

/* --- writing --- */

AF_TEST(csv_cells_are_quoted_where_they_must)
{
    struct af_buf out;
    af_buf_init(&out, 1000);
    const char *const cells[] = { "plain", "", "a;b", "say \"x\"", "two\nlines", "cr\r", " space ", "a,b" };
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        af_csv_append_cell(&out, af_slice_of(cells[i]), ';');
        af_buf_append_char(&out, '|');
    }
    AF_CHECK_SLICE(af_buf_slice(&out), "plain||\"a;b\"|\"say \"\"x\"\"\"|\"two\nlines\"|\"cr\r\"| space |a,b|");
    af_buf_done(&out);
}

/*
 * source.c - the arguments of a command become a list of files; a file becomes a table. Pipes are copied where once is not enough.
 * Objects of S3 are source_s3.c's.
 */
#include "aws/s3.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "format/csv/csv.h"
#include "ingest/ingest_int.h"
#include "ingest/source_int.h"
#include <assert.h>

const char *af_source_format_name(enum af_source_format format)
{
    static const char *const names[] = { "parquet", "csv", "line protocol" };
    return names[format];
}

/* --- the list ------------------------------------------------------------------------------------------------------------ */

static bool ends_with(struct af_slice name, const char *suffix)
{
    size_t n = strlen(suffix);
    if (name.len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = name.ptr[name.len - n + i];
        if ((c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) != suffix[i])
            return false;
    }
    return true;
}

bool af_source_format_by_name(const char *path, enum af_source_format *out)
{
    static const struct {
        const char *suffix;
        enum af_source_format format;
    } table[] = { { ".parquet", AF_SOURCE_PARQUET }, { ".pq", AF_SOURCE_PARQUET }, { ".parq", AF_SOURCE_PARQUET },
                  { ".csv", AF_SOURCE_CSV },         { ".tsv", AF_SOURCE_CSV },    { ".txt", AF_SOURCE_CSV },
                  { ".lp", AF_SOURCE_LP },           { ".line", AF_SOURCE_LP },    { ".lines", AF_SOURCE_LP } };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (ends_with(af_slice_of(path), table[i].suffix)) {
            *out = table[i].format;
            return true;
        }
    }
    return false;
}

enum af_source_format af_source_format_by_bytes(const char head[4])
{
    return memcmp(head, "PAR1", 4) == 0 || memcmp(head, "PARE", 4) == 0 ? AF_SOURCE_PARQUET : AF_SOURCE_CSV;
}

static enum af_status format_of_file(const char *path, uint64_t size, enum af_source_format *out, struct af_error *err)
{
    struct af_reader *reader;
    AF_TRY(af_file_reader_open(path, &reader, err));
    char head[4] = { 0 };
    size_t len = size < sizeof head ? (size_t)size : sizeof head;
    enum af_status status = af_reader_read(reader, 0, head, len, err);
    af_reader_close(reader);
    *out = af_source_format_by_bytes(head);
    return status;
}

enum af_status af_source_append(struct af_source_collector *c, const struct af_source *source, struct af_error *err)
{
    struct af_source_list *list = c->list;
    if (list->count == AF_SOURCES_MAX)
        return af_fail(err, AF_ELIMIT, "more than %d files; name fewer at a time", (int)AF_SOURCES_MAX);
    if (list->count == c->cap) {
        size_t cap = c->cap == 0 ? 64 : c->cap * 2;
        struct af_source *items = af_realloc(list->items, cap * sizeof *items);
        if (items == NULL)
            return af_fail_nomem(err, "the list of sources");
        list->items = items;
        c->cap = cap;
    }
    list->items[list->count++] = *source;
    return AF_OK;
}

/* With a copy of its path. */
static enum af_status append(struct af_source_collector *c, const struct af_source *source, struct af_error *err)
{
    struct af_source own = *source;
    own.path = af_arena_copy(&c->list->arena, af_slice_of(source->path));
    if (own.path == NULL)
        return af_fail_nomem(err, "the list of sources");
    return af_source_append(c, &own, err);
}

static enum af_status add_pipe(struct af_source_collector *c, const char *path, const enum af_source_format *known, struct af_error *err)
{
    struct af_source source = { .path = path, .format = known != NULL ? *known : AF_SOURCE_LP, .is_pipe = true,
                                .is_guess = known == NULL };
    return append(c, &source, err);
}

static enum af_status add_file(void *ctx, const char *path, struct af_error *err)
{
    struct af_source_collector *c = ctx;
    struct af_source source = { .path = path };
    bool is_known = af_source_format_by_name(path, &source.format);
    if (!is_known && !c->any_format)
        return AF_OK;
    if (af_path_kind(path) == AF_PATH_OTHER)
        return add_pipe(c, path, is_known ? &source.format : NULL, err);
    AF_TRY(af_path_size(path, &source.bytes, &source.mtime_ns, err));
    if (!is_known)
        AF_TRY(format_of_file(path, source.bytes, &source.format, err));
    return append(c, &source, err);
}

static bool is_pattern(const char *arg)
{
    return strpbrk(arg, "*?[") != NULL;
}

static enum af_status add_argument(struct af_source_collector *c, const char *arg, struct af_error *err)
{
    if (strcmp(arg, "-") == 0)
        return add_pipe(c, "-", NULL, err);
    if (af_s3_is_name(arg))
        return af_source_add_s3(c, arg, err);
    if (strncmp(arg, "timestream://", 13) == 0)
        return af_fail(err, AF_EUNSUPPORTED, "%s: this version reads files, directories and s3:// only", arg);
    size_t before = c->list->count;
    switch (af_path_kind(arg)) {
    case AF_PATH_DIR:
        c->any_format = false;
        AF_TRY(af_dir_walk(arg, add_file, c, err));
        if (c->list->count == before)
            return af_fail(err, AF_ENOTFOUND, "%s: no .parquet, .csv or .lp file below this directory", arg);
        return AF_OK;
    case AF_PATH_NONE:
        if (!is_pattern(arg))
            return af_fail(err, AF_ENOTFOUND, "%s: no such file or directory", arg);
        c->any_format = true;
        return af_dir_glob(arg, add_file, c, err);
    case AF_PATH_FILE:
    case AF_PATH_OTHER:
        break;
    }
    c->any_format = true;
    return add_file(c, arg, err);
}

enum af_status af_source_list_make(const char *const *args, size_t count, const struct af_source_from *from, struct af_source_list *out,
                                   struct af_error *err)
{
    *out = (struct af_source_list){ 0 };
    af_arena_init(&out->arena, (size_t)1 << 30);
    struct af_source_collector c = { .list = out, .from = from };
    for (size_t i = 0; i < count; i++) {
        enum af_status status = add_argument(&c, args[i], err);
        if (status != AF_OK) {
            af_source_list_done(out);
            return status;
        }
    }
    return AF_OK;
}

void af_source_list_done(struct af_source_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        af_file_close(list->items[i].copy);
    af_free(list->items);
    af_arena_done(&list->arena);
    *list = (struct af_source_list){ 0 };
}

/* --- pipes --------------------------------------------------------------------------------------------------------------- */

static enum af_status copy_bytes(struct af_file_input *in, struct af_file *out, struct af_error *err)
{
    enum { STEP = 256 << 10 };
    char *step = af_alloc(STEP);
    if (step == NULL)
        return af_fail_nomem(err, "a copy of a pipe");
    enum af_status status;
    size_t got = 0;
    while ((status = af_file_input_read(in, step, STEP, &got, err)) == AF_OK && got != 0)
        if ((status = af_file_write(out, af_slice_make(step, got), err)) != AF_OK)
            break;
    af_free(step);
    return status;
}

static enum af_status keep(struct af_source *source, const char *dir, struct af_error *err)
{
    struct af_file_input *in;
    struct af_file *copy = NULL;
    AF_TRY(af_file_input_open(source->path, &in, err));
    enum af_status status = af_file_open_scratch(dir, &copy, err);
    if (status == AF_OK)
        status = copy_bytes(in, copy, err);
    af_file_input_close(in);
    if (status != AF_OK) {
        af_file_close(copy);
        return status;
    }
    source->copy = copy;
    source->bytes = af_file_size(copy);
    return AF_OK;
}

enum af_status af_source_list_keep(struct af_source_list *list, const struct af_source_keep *how, struct af_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        struct af_source *source = &list->items[i];
        bool is_table = source->is_guess ? how->are_tables : source->format != AF_SOURCE_LP;
        if (!source->is_pipe || source->copy != NULL || (!is_table && !how->must_repeat))
            continue;
        AF_TRY(keep(source, how->scratch_dir != NULL ? how->scratch_dir : "/tmp", err));
        if (!source->is_guess || !is_table)
            continue;
        char head[4] = { 0 };
        AF_TRY(af_file_pread(source->copy, 0, head, source->bytes < sizeof head ? (size_t)source->bytes : sizeof head, err));
        source->format = af_source_format_by_bytes(head);
    }
    return AF_OK;
}

/* The copy read at random. */
struct copy_reader {
    struct af_reader base;
    struct af_file *copy; /* the list's */
};

static enum af_status copy_read_at(struct af_reader *base, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    return af_file_pread(((struct copy_reader *)base)->copy, offset, dst, len, err);
}

static void copy_close(struct af_reader *base)
{
    af_free(base);
}

static enum af_status open_copy(const struct af_source *source, struct af_reader **out, struct af_error *err)
{
    static const struct af_reader_ops ops = { .read_at = copy_read_at, .close = copy_close };
    struct copy_reader *reader = af_alloc(sizeof *reader);
    if (reader == NULL)
        return af_fail_nomem(err, "a table");
    *reader = (struct copy_reader){ { .ops = &ops, .name = source->path, .size = source->bytes }, source->copy };
    *out = &reader->base;
    return AF_OK;
}

/* Text is read from its beginning to its end. (Parquet says itself what it reads next.) */
static void will_need_all(struct af_reader *reader)
{
    const struct af_range all = { 0, reader->size };
    af_reader_will_need(reader, &all, 1);
}

enum af_status af_source_input_open(const struct af_source *source, struct af_reader *reader, struct af_source_input *out,
                                    struct af_error *err)
{
    *out = (struct af_source_input){ .copy = source->copy, .reader = reader };
    if (source->s3 == NULL)
        return source->copy != NULL ? AF_OK : af_file_input_open(source->path, &out->file, err);
    if (reader == NULL)
        AF_TRY(af_source_s3_reader(source, &out->reader, err));
    will_need_all(out->reader);
    return AF_OK;
}

enum af_status af_source_input_read(struct af_source_input *in, void *dst, size_t cap, size_t *out_len, struct af_error *err)
{
    if (in->file != NULL)
        return af_file_input_read(in->file, dst, cap, out_len, err);
    uint64_t left = (in->reader != NULL ? in->reader->size : af_file_size(in->copy)) - in->at;
    size_t len = left < cap ? (size_t)left : cap;
    AF_TRY(in->reader != NULL ? af_reader_read(in->reader, in->at, dst, len, err) : af_file_pread(in->copy, in->at, dst, len, err));
    in->at += len;
    *out_len = len;
    return AF_OK;
}

bool af_source_input_is_ready(const struct af_source_input *in)
{
    return in->file == NULL || af_file_input_is_ready(in->file);
}

void af_source_input_close(struct af_source_input *in)
{
    af_file_input_close(in->file);
    af_reader_close(in->reader);
    *in = (struct af_source_input){ 0 };
}

/* --- a table ------------------------------------------------------------------------------------------------------------- */

struct af_table {
    struct af_reader *reader;
    struct af_parquet *parquet;
    struct af_stream *csv;        /* opened at once: it alone knows the schema */
    bool csv_is_taken;
};

static enum af_status open_reader(struct af_table *table, const struct af_source *source, struct af_error *err)
{
    if (table->reader != NULL)
        return AF_OK;
    if (source->copy != NULL)
        return open_copy(source, &table->reader, err);
    if (source->s3 != NULL)
        return af_source_s3_reader(source, &table->reader, err);
    if (source->is_pipe)
        return af_fail(err, AF_EBUG, "%s: a table in a pipe that was not copied", source->path);
    return af_file_reader_open(source->path, &table->reader, err);
}

static enum af_status open_format(struct af_table *table, enum af_source_format format, struct af_error *err)
{
    if (format == AF_SOURCE_PARQUET)
        return af_parquet_open(table->reader, &table->parquet, err);
    assert(format == AF_SOURCE_CSV);
    struct af_csv_info info;
    return af_csv_open(table->reader, &(struct af_csv_options){ 0 }, &table->csv, &info, err);
}

enum af_status af_table_open(const struct af_source *source, struct af_table **out, struct af_error *err)
{
    return af_table_open_from(source, NULL, out, err);
}

enum af_status af_table_open_from(const struct af_source *source, struct af_reader *reader, struct af_table **out, struct af_error *err)
{
    struct af_table *table = af_alloc_zero(1, sizeof *table);
    if (table == NULL) {
        af_reader_close(reader);
        return af_fail_nomem(err, "a table");
    }
    table->reader = reader;
    enum af_status status = open_reader(table, source, err);
    if (status == AF_OK)
        status = open_format(table, source->format, err);
    if (status != AF_OK) {
        af_table_close(table);
        return status;
    }
    *out = table;
    return AF_OK;
}

void af_table_close(struct af_table *table)
{
    if (table == NULL)
        return;
    af_parquet_close(table->parquet);
    if (!table->csv_is_taken)
        af_stream_close(table->csv);
    af_reader_close(table->reader);
    af_free(table);
}

const struct af_schema *af_table_schema(const struct af_table *table)
{
    return table->parquet != NULL ? af_parquet_schema(table->parquet) : table->csv->schema;
}

struct af_parquet *af_table_parquet(struct af_table *table)
{
    return table->parquet;
}

enum af_status af_table_scan(struct af_table *table, const size_t *columns, size_t column_count, uint32_t row_group_first,
                             struct af_stream **out, struct af_error *err)
{
    if (table->parquet == NULL) {
        assert(!table->csv_is_taken);
        table->csv_is_taken = true;
        will_need_all(table->reader);
        *out = table->csv;
        return AF_OK;
    }
    struct af_parquet_scan scan = { .columns = columns, .column_count = column_count, .row_group_first = row_group_first };
    return af_parquet_scan(table->parquet, &scan, out, err);
}

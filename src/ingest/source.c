/* source.c - the arguments of a command become a list of files; a file becomes a table. */
#include "base/alloc.h"
#include "format/csv/csv.h"
#include "base/limits.h"
#include "ingest/ingest.h"
#include "os/file.h"
#include <assert.h>

const char *af_source_format_name(enum af_source_format format)
{
    static const char *const names[] = { "parquet", "csv", "line protocol" };
    return names[format];
}

/* --- the list ------------------------------------------------------------------------------------------------------------ */

struct collector {
    struct af_source_list *list;
    size_t cap;
    bool any_format; /* the file was named itself: its bytes decide */
};

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

static bool format_by_name(const char *path, enum af_source_format *out)
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

static enum af_status format_by_bytes(const char *path, uint64_t size, enum af_source_format *out, struct af_error *err)
{
    struct af_reader *reader;
    AF_TRY(af_file_reader_open(path, &reader, err));
    char head[4] = { 0 };
    size_t len = size < sizeof head ? (size_t)size : sizeof head;
    enum af_status status = af_reader_read(reader, 0, head, len, err);
    af_reader_close(reader);
    *out = memcmp(head, "PAR1", 4) == 0 || memcmp(head, "PARE", 4) == 0 ? AF_SOURCE_PARQUET : AF_SOURCE_CSV;
    return status;
}

static enum af_status append(struct collector *c, const struct af_source *source, struct af_error *err)
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
    struct af_source *item = &list->items[list->count];
    *item = *source;
    item->path = af_arena_copy(&list->arena, af_slice_of(source->path));
    if (item->path == NULL)
        return af_fail_nomem(err, "the list of sources");
    list->count++;
    return AF_OK;
}

static enum af_status add_file(void *ctx, const char *path, struct af_error *err)
{
    struct collector *c = ctx;
    struct af_source source = { .path = path };
    bool is_known = format_by_name(path, &source.format);
    if (!is_known && !c->any_format)
        return AF_OK;
    AF_TRY(af_path_size(path, &source.bytes, &source.mtime_ns, err));
    if (!is_known)
        AF_TRY(format_by_bytes(path, source.bytes, &source.format, err));
    return append(c, &source, err);
}

static bool is_pattern(const char *arg)
{
    return strpbrk(arg, "*?[") != NULL;
}

static enum af_status add_argument(struct collector *c, const char *arg, struct af_error *err)
{
    if (strcmp(arg, "-") == 0)
        return append(c, &(struct af_source){ .path = "-", .format = AF_SOURCE_LP }, err);
    if (strncmp(arg, "s3://", 5) == 0 || strncmp(arg, "timestream://", 13) == 0)
        return af_fail(err, AF_EUNSUPPORTED, "%s: this version reads files and directories only", arg);
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

enum af_status af_source_list_make(const char *const *args, size_t count, struct af_source_list *out, struct af_error *err)
{
    *out = (struct af_source_list){ 0 };
    af_arena_init(&out->arena, (size_t)1 << 30);
    struct collector c = { .list = out };
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
    af_free(list->items);
    af_arena_done(&list->arena);
    *list = (struct af_source_list){ 0 };
}

/* --- a table ------------------------------------------------------------------------------------------------------------- */

struct af_table {
    struct af_reader *reader;
    struct af_reader memory;      /* over `text`, for standard input */
    struct af_buf text;
    struct af_parquet *parquet;
    struct af_stream *csv;        /* opened at once: it alone knows the schema */
    bool csv_is_taken;
};

static enum af_status open_reader(struct af_table *table, const char *path, struct af_error *err)
{
    if (strcmp(path, "-") != 0)
        return af_file_reader_open(path, &table->reader, err);
    af_buf_init(&table->text, AF_STDIN_BYTES_MAX);
    AF_TRY(af_file_read_all("-", &table->text, err));
    af_reader_from_memory(&table->memory, "standard input", table->text.ptr, table->text.len);
    table->reader = &table->memory;
    return AF_OK;
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
    struct af_table *table = af_alloc_zero(1, sizeof *table);
    if (table == NULL)
        return af_fail_nomem(err, "a table");
    enum af_status status = open_reader(table, source->path, err);
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
    af_buf_done(&table->text);
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
        *out = table->csv;
        return AF_OK;
    }
    struct af_parquet_scan scan = { .columns = columns, .column_count = column_count, .row_group_first = row_group_first };
    return af_parquet_scan(table->parquet, &scan, out, err);
}

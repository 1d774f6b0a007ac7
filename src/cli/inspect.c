/*
 * inspect.c - what is in a file: its schema, statistics over all rows, a sample, the mapping it would get.
 *
 * Line protocol is shown as a table too: series, time, then a column a field.
 */
#include "base/calendar.h"
#include "base/json_escape.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "cli/cli.h"
#include <inttypes.h>

/* --- statistics ---------------------------------------------------------------------------------------------------------- */

struct column_stats {
    uint64_t nulls, invalid;
    bool has_range;
    bool is_number;               /* of a CSV file's text: every value so far is one, and min_f, max_f are theirs */
    struct af_buf min, max;       /* of text, cut */
    int64_t min_i, max_i;
    double min_f, max_f;
    __int128 min_d, max_d;
    uint64_t min_u, max_u;
};

enum { TEXT_SHOWN = 256 };

static void keep_text(struct af_buf *buf, struct af_slice text)
{
    af_buf_clear(buf);
    text.len = text.len < TEXT_SHOWN ? text.len : TEXT_SHOWN;
    af_buf_append_slice(buf, text);
}

static void range_text(struct column_stats *s, struct af_slice text)
{
    struct af_slice cut = { text.ptr, text.len < TEXT_SHOWN ? text.len : TEXT_SHOWN };
    if (!s->has_range || af_slice_cmp(cut, af_buf_slice(&s->min)) < 0)
        keep_text(&s->min, text);
    if (!s->has_range || af_slice_cmp(cut, af_buf_slice(&s->max)) > 0)
        keep_text(&s->max, text);
}

static void range_number(struct column_stats *s, struct af_slice text)
{
    double value;
    s->is_number = s->is_number && af_f64_parse(text, &value);
    if (!s->is_number)
        return;
    s->min_f = !s->has_range || value < s->min_f ? value : s->min_f;
    s->max_f = !s->has_range || value > s->max_f ? value : s->max_f;
}

#define RANGE(lo, hi, value)                                                                                 \
    do {                                                                                                     \
        if (!s->has_range || (value) < (lo))                                                                 \
            (lo) = (value);                                                                                  \
        if (!s->has_range || (value) > (hi))                                                                 \
            (hi) = (value);                                                                                  \
    } while (0)

static void range_value(struct column_stats *s, const struct af_column *column, size_t row)
{
    switch (column->type) {
    case AF_TYPE_NULL:
        return;
    case AF_TYPE_BOOL:
        RANGE(s->min_i, s->max_i, (int64_t)af_bit_get(column->bits, row));
        break;
    case AF_TYPE_I64:
    case AF_TYPE_TIME:
    case AF_TYPE_DATE:
    case AF_TYPE_CLOCK:
        RANGE(s->min_i, s->max_i, column->i64[row]);
        break;
    case AF_TYPE_U64:
        RANGE(s->min_u, s->max_u, column->u64[row]);
        break;
    case AF_TYPE_F64:
        if (column->f64[row] != column->f64[row])
            return; /* NaN has no place in a range */
        RANGE(s->min_f, s->max_f, column->f64[row]);
        break;
    case AF_TYPE_DECIMAL:
        RANGE(s->min_d, s->max_d, column->i128[row]);
        break;
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
    case AF_TYPE_JSON:
        range_number(s, af_column_text(column, row));
        range_text(s, af_column_text(column, row));
        break;
    }
    s->has_range = true;
}

static void add_batch(struct column_stats *stats, const struct af_batch *batch)
{
    for (size_t c = 0; c < batch->schema->field_count; c++) {
        for (size_t row = 0; row < batch->row_count; row++) {
            if (af_column_has(&batch->columns[c], row))
                range_value(&stats[c], &batch->columns[c], row);
            else
                stats[c].nulls++;
        }
    }
}

/* One bound as a JSON value, through a batch of one row: the printing rules are those of sample. */
static void print_bound(struct af_buf *out, const struct af_field *field, const struct column_stats *s, bool is_max)
{
    if (!s->has_range) {
        af_buf_append_str(out, "null");
        return;
    }
    uint64_t bits = (uint64_t)(is_max ? s->max_i : s->min_i);
    const struct af_buf *text = is_max ? &s->max : &s->min;
    int32_t offsets[2] = { 0, (int32_t)text->len };
    struct af_column column = { .type = field->type, .scale = field->scale };
    if (field->type == AF_TYPE_BOOL)
        column.bits = &bits;
    else if (field->type == AF_TYPE_U64)
        column.u64 = is_max ? &s->max_u : &s->min_u;
    else if (field->type == AF_TYPE_F64)
        column.f64 = is_max ? &s->max_f : &s->min_f;
    else if (field->type == AF_TYPE_DECIMAL)
        column.i128 = is_max ? &s->max_d : &s->min_d;
    else if (af_type_is_text(field->type)) {
        column.offsets = offsets;
        column.bytes = text->ptr != NULL ? text->ptr : "";
    } else {
        column.i64 = is_max ? &s->max_i : &s->min_i;
    }
    if (field->type == AF_TYPE_JSON) /* a cut value would not be JSON any more */
        column.type = AF_TYPE_STRING;
    struct af_schema schema = { 1, field };
    struct af_batch batch = { .schema = &schema, .row_count = 1, .columns = &column };
    af_batch_print_json(out, &batch, 0, 0);
}

static void print_stats(const struct af_schema *schema, const struct column_stats *stats, uint64_t rows, uint64_t bad_rows,
                        struct af_buf *out)
{
    af_buf_printf(out, "{\"rows\":%" PRIu64 ",\"bad_rows\":%" PRIu64 ",\"columns\":[", rows, bad_rows);
    for (size_t c = 0; c < schema->field_count; c++) {
        const struct af_field *f = &schema->fields[c];
        af_buf_append_str(out, c != 0 ? ",{\"name\":" : "{\"name\":");
        af_json_escape(out, af_slice_of(f->name));
        af_buf_printf(out, ",\"type\":\"%s\",\"nulls\":%" PRIu64 ",\"min\":", af_type_name(f->type), stats[c].nulls);
        print_bound(out, f, &stats[c], false);
        af_buf_append_str(out, ",\"max\":");
        print_bound(out, f, &stats[c], true);
        af_buf_append_char(out, '}');
    }
    af_buf_append_str(out, "]}\n");
}

/* The same for people. */
static void print_stats_table(const struct af_schema *schema, const struct column_stats *stats, uint64_t rows, struct af_buf *out)
{
    af_buf_printf(out, "%" PRIu64 " rows\n%-32s %-8s %12s  %-34s %s\n", rows, "column", "type", "nulls", "min", "max");
    for (size_t c = 0; c < schema->field_count; c++) {
        const struct af_field *f = &schema->fields[c];
        struct af_buf bounds[2];
        for (int i = 0; i < 2; i++) {
            af_buf_init(&bounds[i], 4096);
            print_bound(&bounds[i], f, &stats[c], i == 1);
        }
        af_buf_printf(out, "%-32s %-8s %12" PRIu64 "  %-34.34s %.34s\n", f->name, af_type_name(f->type), stats[c].nulls,
                      af_buf_cstr(&bounds[0]), af_buf_cstr(&bounds[1]));
        af_buf_done(&bounds[0]);
        af_buf_done(&bounds[1]);
    }
}

/* --- tables -------------------------------------------------------------------------------------------------------------- */

struct inspection {
    struct af_cli *cli;
    const struct af_source *source;
    struct af_table *table;
    struct af_stream *stream;
    struct af_arena arena;   /* of a batch */
    struct af_buf out;
    uint64_t rows, bad_rows;
};

static enum af_status flush(struct inspection *in, struct af_error *err)
{
    AF_TRY(af_buf_check(&in->out, "output", err));
    AF_TRY(af_cli_out(af_buf_slice(&in->out), err));
    af_buf_clear(&in->out);
    return AF_OK;
}

static enum af_status each_batch(struct inspection *in,
                                 enum af_status (*each)(struct inspection *, void *, const struct af_batch *, bool *, struct af_error *),
                                 void *ctx, struct af_error *err)
{
    bool stop = false;
    while (!stop) {
        struct af_batch *batch = NULL;
        AF_TRY(af_stream_next(in->stream, &in->arena, &batch, err));
        if (batch == NULL)
            return AF_OK;
        in->bad_rows += batch->bad_row_count;
        AF_TRY(each(in, ctx, batch, &stop, err));
        af_arena_reset(&in->arena);
    }
    return AF_OK;
}

static enum af_status stats_batch(struct inspection *in, void *ctx, const struct af_batch *batch, bool *stop, struct af_error *err)
{
    (void)err, (void)stop;
    add_batch(ctx, batch);
    in->rows += batch->row_count;
    return AF_OK;
}

/* CSV has only text. A column that holds nothing but numbers is shown as numbers: as text, 9 is more than 10. */
static struct af_schema as_numbers(const struct af_schema *schema, const struct column_stats *stats, struct af_field *fields)
{
    for (size_t c = 0; c < schema->field_count; c++) {
        fields[c] = schema->fields[c];
        if (stats[c].is_number && stats[c].has_range)
            fields[c].type = AF_TYPE_F64;
    }
    return (struct af_schema){ schema->field_count, fields };
}

static enum af_status do_stats(struct inspection *in, struct af_error *err)
{
    const struct af_schema *schema = in->stream->schema;
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    struct column_stats *stats = af_arena_zero(&arena, schema->field_count, sizeof *stats);
    struct af_field *fields = af_arena_array(&arena, schema->field_count, sizeof *fields);
    if ((stats == NULL || fields == NULL) && schema->field_count != 0) {
        enum af_status full = af_arena_fail(&arena, schema->field_count * sizeof *stats, "statistics", err);
        af_arena_done(&arena);
        return full;
    }
    for (size_t c = 0; c < schema->field_count; c++) {
        af_buf_init(&stats[c].min, TEXT_SHOWN);
        af_buf_init(&stats[c].max, TEXT_SHOWN);
        stats[c].is_number = in->source->format == AF_SOURCE_CSV;
    }
    enum af_status status = each_batch(in, stats_batch, stats, err);
    const struct af_schema shown = as_numbers(schema, stats, fields);
    if (status == AF_OK && in->cli->json)
        print_stats(&shown, stats, in->rows, in->bad_rows, &in->out);
    else if (status == AF_OK)
        print_stats_table(&shown, stats, in->rows, &in->out);
    for (size_t c = 0; c < schema->field_count; c++) {
        af_buf_done(&stats[c].min);
        af_buf_done(&stats[c].max);
    }
    af_arena_done(&arena);
    return status == AF_OK ? flush(in, err) : status;
}

static enum af_status sample_batch(struct inspection *in, void *ctx, const struct af_batch *batch, bool *stop, struct af_error *err)
{
    (void)ctx;
    for (size_t row = 0; row < batch->row_count; row++) {
        if (in->cli->rows != 0 && in->rows == in->cli->rows)
            break;
        af_batch_print_row_json(&in->out, batch, row);
        af_buf_append_char(&in->out, '\n');
        in->rows++;
        if (in->out.len > 1 << 20)
            AF_TRY(flush(in, err));
    }
    *stop = in->cli->rows != 0 && in->rows == in->cli->rows;
    return flush(in, err);
}

static void print_schema_json(struct inspection *in, const struct af_schema *schema)
{
    struct af_parquet *parquet = af_table_parquet(in->table);
    af_buf_printf(&in->out, "{\"format\":\"%s\"", af_source_format_name(in->source->format));
    if (parquet != NULL) {
        struct af_parquet_info info;
        af_parquet_info(parquet, &info);
        af_buf_printf(&in->out, ",\"rows\":%" PRIu64 ",\"row_groups\":%u,\"version\":%d,\"created_by\":", info.rows,
                      info.row_groups, info.version);
        af_json_escape(&in->out, af_slice_of(info.created_by));
    }
    af_buf_append_str(&in->out, ",\"columns\":[");
    for (size_t c = 0; c < schema->field_count; c++) {
        const struct af_field *f = &schema->fields[c];
        af_buf_append_str(&in->out, c != 0 ? ",{\"name\":" : "{\"name\":");
        af_json_escape(&in->out, af_slice_of(f->name));
        af_buf_printf(&in->out, ",\"type\":\"%s\",\"nullable\":%s,\"source_type\":", af_type_name(f->type),
                      f->is_nullable ? "true" : "false");
        af_json_escape(&in->out, af_slice_of(f->source_type != NULL ? f->source_type : ""));
        if (parquet != NULL) {
            struct af_parquet_column_info info;
            af_parquet_column_info(parquet, c, &info);
            af_buf_printf(&in->out, ",\"codec\":\"%s\",\"encodings\":\"%s\",\"bytes\":%" PRIu64 ",\"unsupported\":", info.codec,
                          info.encodings, info.bytes_compressed);
            if (info.unsupported != NULL)
                af_json_escape(&in->out, af_slice_of(info.unsupported));
            else
                af_buf_append_str(&in->out, "null");
        }
        af_buf_append_char(&in->out, '}');
    }
    af_buf_append_str(&in->out, "]}\n");
}

static void print_schema_table(struct inspection *in, const struct af_schema *schema)
{
    struct af_parquet *parquet = af_table_parquet(in->table);
    if (parquet != NULL) {
        struct af_parquet_info info;
        af_parquet_info(parquet, &info);
        af_buf_printf(&in->out, "Parquet, %" PRIu64 " rows in %u row groups, written by %s\n", info.rows, info.row_groups,
                      info.created_by);
    }
    for (size_t c = 0; c < schema->field_count; c++) {
        const struct af_field *f = &schema->fields[c];
        struct af_parquet_column_info info = { .codec = "", .encodings = "" };
        if (parquet != NULL)
            af_parquet_column_info(parquet, c, &info);
        af_buf_printf(&in->out, "%-32s %-8s %-9s %-36s %s %s%s%s\n", f->name, af_type_name(f->type),
                      f->is_nullable ? "nullable" : "", f->source_type != NULL ? f->source_type : "", info.codec, info.encodings,
                      info.unsupported != NULL ? "  not read: " : "", info.unsupported != NULL ? info.unsupported : "");
    }
}

static enum af_status do_mapping(struct inspection *in, const struct af_ingest_options *options, struct af_error *err)
{
    struct af_map *map = NULL;
    if (options->map == NULL)
        AF_TRY(af_ingest_map_for(options, in->source, &map, err));
    af_map_print(options->map != NULL ? options->map : map, &in->out);
    af_map_free(map);
    return flush(in, err);
}

static enum af_status inspect_table(struct inspection *in, const char *what, const struct af_ingest_options *options,
                                    struct af_error *err)
{
    if (strcmp(what, "mapping") == 0)
        return do_mapping(in, options, err);
    enum af_status status = af_table_open(in->source, &in->table, err);
    if (status == AF_OK && strcmp(what, "schema") == 0) {
        (in->cli->json ? print_schema_json : print_schema_table)(in, af_table_schema(in->table));
        status = flush(in, err);
    } else if (status == AF_OK) {
        status = af_table_scan(in->table, NULL, 0, 0, &in->stream, err);
        if (status == AF_OK)
            status = strcmp(what, "stats") == 0 ? do_stats(in, err) : each_batch(in, sample_batch, NULL, err);
    }
    af_stream_close(in->stream);
    af_table_close(in->table);
    if (status != AF_OK && err != NULL && strstr(err->message, in->source->path) == NULL)
        af_error_prefix(err, "%s: ", in->source->path);
    return status;
}

/* --- line protocol: its own stage ---------------------------------------------------------------------------------------- */

static void point_json(struct af_buf *out, const struct af_points *points, size_t row)
{
    af_buf_append_str(out, "{\"series\":");
    af_json_escape(out, points->set->keys.keys[points->series[row]]);
    char time[40];
    char *end = af_rfc3339_print(time, points->time_ns[row], 9);
    af_buf_append_str(out, ",\"time\":\"");
    af_buf_append(out, time, (size_t)(end - time));
    af_buf_append_str(out, "\",\"fields\":{");
    bool any = false;
    for (size_t f = 0; f < points->field_count; f++) {
        const struct af_column *column = &points->fields[f].column;
        if (!af_column_has(column, row))
            continue;
        struct af_field field = { .name = "", .type = column->type };
        struct af_schema schema = { 1, &field };
        struct af_batch one = { .schema = &schema, .row_count = points->row_count, .columns = column };
        if (any)
            af_buf_append_char(out, ',');
        any = true;
        af_json_escape(out, points->fields[f].name);
        af_buf_append_char(out, ':');
        af_batch_print_json(out, &one, row, 0);
    }
    af_buf_append_str(out, "}}\n");
}

static bool has_enough(const struct inspection *in)
{
    return in->cli->rows != 0 && in->rows == in->cli->rows;
}

static enum af_status deliver_points(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err)
{
    struct inspection *in = ctx;
    (void)scratch;
    for (size_t i = 0; i < block->rejects.count; i++) {
        const struct af_map_reject *r = &block->rejects.items[i];
        af_cli_warn("line %" PRIu64 ": %s", r->file_row + 1, r->reason);
        in->bad_rows++;
    }
    const struct af_points *points = block->points;
    for (size_t row = 0; points != NULL && row < points->row_count && !has_enough(in); row++) {
        if (points->series[row] == UINT32_MAX)
            continue;
        point_json(&in->out, points, row);
        in->rows++;
        if (in->out.len > 1 << 20)
            AF_TRY(flush(in, err));
    }
    AF_TRY(flush(in, err));
    return has_enough(in) ? af_fail(err, AF_ECANCELED, "enough rows") : AF_OK; /* inspect_lines knows what is meant */
}

static enum af_status inspect_lines(struct inspection *in, const char *what, struct af_ingest_options *options, struct af_error *err)
{
    if (strcmp(what, "sample") != 0 && strcmp(what, "stats") != 0)
        return af_fail(err, AF_EINVAL, "line protocol has no %s of its own; try inspect sample or stats", what);
    struct af_ingest_totals totals;
    options->workers = 1;
    bool is_sample = strcmp(what, "sample") == 0;
    struct af_ingest_stage stage = { .ctx = in, .deliver = is_sample ? deliver_points : NULL };
    enum af_status status = af_ingest_run(options, &stage, &totals, err);
    if (status == AF_ECANCELED && is_sample && has_enough(in))
        return AF_OK;
    AF_TRY(status);
    if (!is_sample)
        (void)printf(in->cli->json ? "{\"rows\":%" PRIu64 ",\"bad_rows\":%" PRIu64 ",\"columns\":[]}\n"
                                   : "%" PRIu64 " points, %" PRIu64 " bad lines\n",
                     totals.points, totals.rows_rejected);
    in->bad_rows = totals.rows_rejected;
    return AF_OK;
}

int af_cli_inspect(struct af_cli *cli)
{
    struct af_error err = { 0 };
    static const char *const whats[] = { "schema", "stats", "sample", "mapping" };
    const char *what = NULL;
    for (size_t i = 0; i < sizeof whats / sizeof whats[0] && cli->arg_count == 2; i++)
        if (strcmp(whats[i], cli->args[0]) == 0)
            what = whats[i];
    if (what == NULL)
        return af_cli_usage_error(cli, "inspect wants schema, stats, sample or mapping, and one SOURCE");
    cli->args++;
    cli->arg_count--;
    struct af_cli_sources sources;
    enum af_status opened = af_cli_open_sources(cli, &sources, &err);
    if (opened != AF_OK)
        return opened == AF_EINVAL ? af_cli_usage_error(cli, "%s", err.message) : af_cli_fail(cli, &err);
    int code = AF_EXIT_DONE;
    bool has_titles = sources.list.count > 1 && strcmp(what, "sample") != 0 && (!cli->json || strcmp(what, "mapping") == 0);
    for (size_t i = 0; i < sources.list.count; i++) {
        struct inspection in = { .cli = cli, .source = &sources.list.items[i] };
        af_arena_init(&in.arena, AF_BATCH_ARENA_BYTES_MAX);
        af_buf_init(&in.out, 256 << 20);
        if (has_titles)
            af_buf_printf(&in.out, "%s# %s\n", i != 0 ? "\n" : "", in.source->path);
        struct af_source_list one = { .count = 1, .items = &sources.list.items[i] };
        struct af_ingest_options options = sources.ingest;
        options.sources = &one;
        enum af_status status = in.source->format == AF_SOURCE_LP ? inspect_lines(&in, what, &options, &err)
                                                                  : inspect_table(&in, what, &options, &err);
        if (status != AF_OK)
            code = af_cli_fail(cli, &err);
        else if (in.bad_rows != 0 && code == AF_EXIT_DONE)
            code = AF_EXIT_REJECTED;
        af_buf_done(&in.out);
        af_arena_done(&in.arena);
    }
    af_cli_close_sources(&sources);
    return code;
}

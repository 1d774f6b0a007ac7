/*
 * into.c - SELECT ... INTO: the rows of the answer written as points. The tags of a series are its GROUP BY tags, its fields the columns;
 * what is null has no field, a row without any is no point.
 *
 *     INTO name | INTO db.rp.name | INTO db.rp.:MEASUREMENT (the name of each series)
 */
#include "base/limits.h"
#include "base/numbers.h"
#include "data/points.h"
#include "query/query_int.h"
#include <math.h>

enum { INTO_LINES = 10000, INTO_BYTES_MAX = 16 << 20 };

struct into {
    struct query *query;
    const struct af_ql_source *target;
    struct af_store *store;
    struct af_buf lines;
    struct af_buf key;                   /* of the series at hand */
    size_t line_count;
    uint64_t written;
};

static enum af_status flush(struct into *into, struct af_error *err)
{
    struct af_write_answer answer;
    AF_TRY(af_buf_check(&into->lines, "points to be written", err));
    if (into->line_count == 0)
        return AF_OK;
    struct af_write write = { .lines = af_buf_slice(&into->lines), .line_count = into->line_count, .precision_ns = 1,
                              .cancel = into->query->cancel };
    AF_TRY(af_store_write(into->store, &write, &answer, err));
    if (answer.verdict != AF_WRITE_DONE)
        return af_fail(err, AF_EINVAL, "%s", answer.reason);
    into->written += into->line_count;
    into->line_count = 0;
    af_buf_clear(&into->lines);
    return AF_OK;
}

static enum af_status begin_series(struct into *into, const struct af_group_key *key, struct af_error *err)
{
    const struct af_value *name = af_group_key_find(key, AF_SLICE_LIT(AF_KEY_MEASUREMENT));
    af_buf_clear(&into->key);
    if (into->target->name != NULL && into->target->name[0] != '\0')
        af_key_append_measurement(&into->key, af_slice_of(into->target->name));
    else if (name != NULL)
        af_key_append_measurement(&into->key, name->text);
    for (size_t i = 0; i < key->count; i++) {
        const struct af_key_part *part = &key->parts[i];
        if (af_slice_is(part->name, AF_KEY_MEASUREMENT) || part->value.type != AF_TYPE_STRING || part->value.text.len == 0)
            continue;
        af_buf_append_char(&into->key, ',');
        af_key_append_tag(&into->key, part->name);
        af_buf_append_char(&into->key, '=');
        af_key_append_tag(&into->key, part->value.text);
    }
    return af_buf_check(&into->key, "a series key", err);
}

static void put_text(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            af_buf_append_char(out, '\\');
        af_buf_append_char(out, text.ptr[i]);
    }
    af_buf_append_char(out, '"');
}

static void put_value(struct af_buf *out, const struct af_column *column, size_t row)
{
    char number[AF_F64_TEXT_MAX];
    switch (column->type) {
    case AF_TYPE_F64: af_buf_append(out, number, (size_t)(af_f64_print(number, column->f64[row]) - number)); break;
    case AF_TYPE_I64:
    case AF_TYPE_TIME: af_buf_printf(out, "%lldi", (long long)column->i64[row]); break;
    case AF_TYPE_U64: af_buf_printf(out, "%lluu", (unsigned long long)column->u64[row]); break;
    case AF_TYPE_BOOL: af_buf_append_str(out, af_bit_get(column->bits, row) ? "true" : "false"); break;
    default: put_text(out, af_column_text(column, row)); break;
    }
}

static bool has_value(const struct af_column *column, size_t row)
{
    return af_column_has(column, row) && (column->type != AF_TYPE_F64 || isfinite(column->f64[row]));
}

static void put_row(struct into *into, const struct af_batch *rows, size_t row)
{
    size_t mark = into->lines.len;
    size_t fields = 0;
    int64_t time_ns = 0;
    af_buf_append_slice(&into->lines, af_buf_slice(&into->key));
    for (size_t i = 0; i < rows->schema->field_count; i++) {
        const struct af_column *column = &rows->columns[i];
        if (i == 0 && column->type == AF_TYPE_TIME) {
            time_ns = column->i64[row];
            continue;
        }
        if (!has_value(column, row))
            continue;
        af_buf_append_char(&into->lines, fields++ == 0 ? ' ' : ',');
        af_key_append_tag(&into->lines, af_slice_of(rows->schema->fields[i].name));
        af_buf_append_char(&into->lines, '=');
        put_value(&into->lines, column, row);
    }
    if (fields == 0) {
        af_buf_rewind(&into->lines, mark);
        return;
    }
    af_buf_printf(&into->lines, " %lld\n", (long long)time_ns);
    into->line_count++;
}

static enum af_status put_tables(struct into *into, struct af_tables *tables, struct af_error *err)
{
    const struct af_table *table;
    struct af_arena arena;
    enum af_status status;
    af_arena_init(&arena, SIZE_MAX / 2);
    while ((status = af_tables_next(tables, &arena, &table, err)) == AF_OK && table != NULL) {
        status = begin_series(into, table->key, err);
        for (size_t row = 0; row < table->rows->row_count && status == AF_OK; row++) {
            put_row(into, table->rows, row);
            if (into->line_count >= INTO_LINES || into->lines.len >= INTO_BYTES_MAX / 2)
                status = flush(into, err);
        }
        af_arena_reset(&arena);
        if (status != AF_OK)
            break;
    }
    af_arena_done(&arena);
    return status == AF_OK ? flush(into, err) : status;
}

/* --- its text ------------------------------------------------------------------------------------------------------------------------- */

/* Where a name without them is. Without memory it stays as it is. */
static void name_place(const struct query *query, struct af_ql_source *source)
{
    struct af_query_place *places;
    size_t count;
    const char *given = source->database == NULL ? query->request->policy : NULL;
    if (source->database == NULL)
        source->database = query->request->database;
    if (source->policy == NULL || source->policy[0] == '\0')
        source->policy = given;
    if (source->policy != NULL || query->host->places(query->host->ctx, source->database, query->arena, &places, &count, NULL) != AF_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (places[i].is_default)
            source->policy = places[i].policy;
}

static const struct af_ql_select *name_places(const struct query *query, const struct af_ql_select *select)
{
    struct af_ql_select *copy = af_arena_zero(query->arena, 1, sizeof *copy);
    struct af_ql_source *sources = af_arena_zero(query->arena, select->source_count + 1, sizeof *sources);
    if (copy == NULL || sources == NULL)
        return select;
    *copy = *select;
    copy->sources = sources;
    if (select->target != NULL) { /* the one place more */
        sources[select->source_count] = *select->target;
        copy->target = &sources[select->source_count];
        name_place(query, copy->target);
    }
    for (size_t i = 0; i < select->source_count; i++) {
        sources[i] = select->sources[i];
        if (sources[i].subquery != NULL)
            sources[i].subquery = (struct af_ql_select *)(uintptr_t)name_places(query, sources[i].subquery);
        else
            name_place(query, &sources[i]);
    }
    return copy;
}

void query_into_print(const struct query *query, const struct af_ql_select *select, struct af_buf *out)
{
    af_ql_print_select(out, name_places(query, select));
}

/* --- carrying out --------------------------------------------------------------------------------------------------------------------- */

static enum af_status into_run(struct into *into, const struct af_ql_select *tree, struct af_error *err)
{
    const struct af_query_request *request = into->query->request;
    const char *database = into->target->database != NULL ? into->target->database : request->database;
    const char *policy = into->target->policy != NULL ? into->target->policy : into->target->database != NULL ? NULL : request->policy;
    struct query_stores stores = { .host = into->query->host, .arena = into->query->arena };
    struct query_select *select;
    uint32_t at;
    AF_TRY(query_stores_get(&stores, database, policy, true, &at, err));
    into->store = stores.items[at].store;
    enum af_status status = query_select_open(into->query, tree, false, &select, err);
    if (status == AF_OK) {
        status = put_tables(into, query_select_tables(select), err);
        af_tables_close(query_select_tables(select));
    }
    query_stores_close(&stores);
    return status;
}

enum af_status query_into(struct query *query, const struct af_ql_select *tree, uint64_t *out_written, struct af_error *err)
{
    struct into into = { .query = query, .target = tree->target };
    af_buf_init(&into.lines, INTO_BYTES_MAX);
    af_buf_init(&into.key, INTO_BYTES_MAX);
    enum af_status status = into_run(&into, tree, err);
    af_buf_done(&into.lines);
    af_buf_done(&into.key);
    *out_written = into.written;
    return status;
}

static enum af_status enter_list(const struct af_query_request *request, int64_t deadline_mono_ns, const struct af_ql_select *tree,
                                 struct query_running **out, struct af_error *err)
{
    struct af_buf text;
    if (request->list == NULL)
        return AF_OK;
    af_buf_init(&text, 2 * AF_SERVER_TEXT_BYTES_MAX);
    af_ql_print_select(&text, tree);
    enum af_status status = af_buf_check(&text, "a query's text", err);
    if (status == AF_OK)
        status = query_list_enter(request->list, af_buf_slice(&text), request, deadline_mono_ns, out, err);
    af_buf_done(&text);
    return status;
}

enum af_status af_query_into(const struct af_query_host *host, const struct af_ql_select *tree, const struct af_query_request *request,
                             uint64_t *out_written, struct af_error *err)
{
    struct af_arena arena;
    struct query_running *running = NULL;
    struct query query = { .host = host, .request = request, .arena = &arena, .deadline_mono_ns = query_deadline(request) };
    AF_TRY(enter_list(request, query.deadline_mono_ns, tree, &running, err));
    query.cancel = running != NULL ? query_running_stopped(running) : request->cancel;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = query_into(&query, tree, out_written, err);
    af_arena_done(&arena);
    query_list_leave(request->list, running, status != AF_OK);
    return status;
}

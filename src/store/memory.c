/*
 * memory.c - the reference store, its writing half; see memory.h and store_int.h.
 *
 * A request is judged as InfluxDB does: lines that do not parse and points whose field has another type than before are refused,
 * the rest is kept (1.x) or, when a line does not parse, nothing is (2.x). The words are InfluxDB's too, so that whoever
 * reads verdicts can be tested here.
 */
#include "store/memory.h"
#include "base/alloc.h"
#include "format/lp/lp.h"
#include "os/clock.h"
#include "store/store_int.h"
#include <stdio.h>

/* --- small things ------------------------------------------------------------------------------------------------------------ */

const char *mem_type_word(enum af_type type)
{
    switch (type) {
    case AF_TYPE_F64: return "float";
    case AF_TYPE_I64: return "integer";
    case AF_TYPE_U64: return "unsigned";
    case AF_TYPE_BOOL: return "boolean";
    default: return "string";
    }
}

struct mem_strand *mem_find_strand(const struct mem_series *series, uint32_t field)
{
    for (size_t i = 0; i < series->strand_count; i++)
        if (series->strands[i].field == field)
            return &series->strands[i];
    return NULL;
}

size_t mem_lower_bound(const struct mem_strand *strand, int64_t time_ns)
{
    size_t low = 0;
    size_t high = strand->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strand->cells[middle].time_ns < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

enum af_status mem_check_created(const struct mem_store *store, struct af_error *err)
{
    if (store->options.must_create && !store->is_created)
        return af_fail(err, AF_ENOTFOUND, "memory: there is no bucket yet: create it first");
    return AF_OK;
}

static bool grow(void **array, size_t *cap, size_t need, size_t bytes)
{
    if (need <= *cap)
        return true;
    size_t more = *cap < 8 ? 8 : *cap * 2;
    void *grown = af_realloc(*array, more * bytes);
    if (grown == NULL)
        return false;
    *array = grown;
    *cap = more;
    return true;
}

/* --- the tree ---------------------------------------------------------------------------------------------------------------- */

/* A key's measurement: up to the first comma that no backslash precedes. */
static struct af_slice measurement_of(struct af_slice key)
{
    size_t i = 0;
    while (i < key.len && key.ptr[i] != ',')
        i += key.ptr[i] == '\\' && i + 1 < key.len ? 2 : 1;
    return (struct af_slice){ key.ptr, i };
}

/* Arrays that run beside an intern set double at the same counts: at powers of two. */
static bool grow_beside(void **array, uint32_t count, size_t bytes)
{
    if ((count & (count - 1)) != 0)
        return true;
    void *grown = af_realloc(*array, (count == 0 ? 1 : (size_t)count * 2) * bytes);
    if (grown == NULL)
        return false;
    *array = grown;
    return true;
}

static enum af_status add_measurement(struct mem_store *store, struct af_slice name, uint32_t *out, struct af_error *err)
{
    *out = af_intern_find(&store->measurement_names, name);
    if (*out != UINT32_MAX)
        return AF_OK;
    if (!grow_beside((void **)&store->measurements, store->measurement_names.count, sizeof *store->measurements))
        return af_fail_nomem(err, "a measurement");
    AF_TRY(af_intern_add(&store->measurement_names, name, out, err));
    store->measurements[*out] = (struct mem_measurement){ 0 };
    af_intern_init(&store->measurements[*out].fields);
    return AF_OK;
}

static enum af_status add_series(struct mem_store *store, struct af_slice key, uint32_t *out, struct af_error *err)
{
    *out = af_intern_find(&store->keys, key);
    if (*out != UINT32_MAX)
        return AF_OK;
    uint32_t measurement;
    AF_TRY(add_measurement(store, measurement_of(key), &measurement, err));
    if (!grow_beside((void **)&store->series, store->keys.count, sizeof *store->series))
        return af_fail_nomem(err, "a series");
    AF_TRY(af_intern_add(&store->keys, key, out, err));
    store->series[*out] = (struct mem_series){ .measurement = measurement };
    return AF_OK;
}

static enum af_status add_field(struct mem_measurement *measurement, const struct af_point_field *field, uint32_t *out,
                                struct af_error *err)
{
    *out = af_intern_find(&measurement->fields, field->name);
    if (*out != UINT32_MAX)
        return AF_OK;
    if (!grow_beside((void **)&measurement->types, measurement->fields.count, sizeof *measurement->types))
        return af_fail_nomem(err, "a field");
    AF_TRY(af_intern_add(&measurement->fields, field->name, out, err));
    measurement->types[*out] = field->column.type;
    return AF_OK;
}

static enum af_status add_strand(struct mem_series *series, uint32_t field, struct mem_strand **out, struct af_error *err)
{
    *out = mem_find_strand(series, field);
    if (*out != NULL)
        return AF_OK;
    struct mem_strand *grown = af_realloc(series->strands, (series->strand_count + 1) * sizeof *grown);
    if (grown == NULL)
        return af_fail_nomem(err, "a field of a series");
    series->strands = grown;
    *out = &grown[series->strand_count++];
    **out = (struct mem_strand){ .field = field };
    return AF_OK;
}

static enum af_status cell_of(const struct af_column *column, size_t row, int64_t time_ns, struct mem_cell *out,
                              struct af_error *err)
{
    *out = (struct mem_cell){ .time_ns = time_ns };
    if (column->type == AF_TYPE_BOOL) {
        out->u64 = af_bit_get(column->bits, row);
    } else if (column->type != AF_TYPE_STRING) {
        out->u64 = column->u64[row];
    } else {
        struct af_slice text = af_column_text(column, row);
        out->text = af_alloc(text.len);
        if (out->text == NULL)
            return af_fail_nomem(err, "a string");
        if (text.len > 0)
            memcpy(out->text, text.ptr, text.len);
        out->text_len = (uint32_t)text.len;
    }
    return AF_OK;
}

/* The last write of a time wins. */
static enum af_status put_cell(struct mem_store *store, struct mem_strand *strand, enum af_type type, struct mem_cell cell,
                               struct af_error *err)
{
    size_t at = mem_lower_bound(strand, cell.time_ns);
    if (at < strand->count && strand->cells[at].time_ns == cell.time_ns) {
        if (type == AF_TYPE_STRING)
            af_free(strand->cells[at].text);
        strand->cells[at] = cell;
        return AF_OK;
    }
    if (!grow((void **)&strand->cells, &strand->cap, strand->count + 1, sizeof *strand->cells)) {
        if (type == AF_TYPE_STRING)
            af_free(cell.text);
        return af_fail_nomem(err, "a value");
    }
    memmove(strand->cells + at + 1, strand->cells + at, (strand->count - at) * sizeof *strand->cells);
    strand->cells[at] = cell;
    strand->count++;
    store->value_count++;
    return AF_OK;
}

/* --- a request --------------------------------------------------------------------------------------------------------------- */

struct request {
    struct mem_store *store;
    struct af_buf bad_words;  /* "unable to parse '...': ...", joined by newlines */
    uint64_t bad_count;
    uint64_t kept_count;
    uint64_t conflict_count;
    char conflict_words[256]; /* of the first */
    bool is_trial;            /* parse only */
};

static void on_bad_line(void *ctx, const struct af_lp_bad_line *bad)
{
    struct request *request = ctx;
    if (request->bad_count++ > 0)
        af_buf_append_char(&request->bad_words, '\n');
    af_buf_append_str(&request->bad_words, "unable to parse '");
    af_buf_append_slice(&request->bad_words, bad->raw);
    af_buf_append_str(&request->bad_words, "': ");
    af_buf_append_str(&request->bad_words, bad->reason);
    af_buf_rewind(&request->bad_words, request->bad_words.len); /* what does not fit is left out */
}

/* A field of the row that has another type already; NULL: none. */
static const struct af_point_field *find_conflict(const struct mem_measurement *measurement, const struct af_points *points,
                                                  size_t row, enum af_type *out_before)
{
    for (size_t i = 0; i < points->field_count; i++) {
        const struct af_point_field *field = &points->fields[i];
        if (!af_column_has(&field->column, row))
            continue;
        uint32_t id = af_intern_find(&measurement->fields, field->name);
        if (id != UINT32_MAX && measurement->types[id] != field->column.type) {
            *out_before = measurement->types[id];
            return field;
        }
    }
    return NULL;
}

static void note_conflict(struct request *request, struct af_slice measurement, const struct af_point_field *field,
                          enum af_type before)
{
    if (request->conflict_count++ > 0)
        return;
    (void)snprintf(request->conflict_words, sizeof request->conflict_words,
                   "field type conflict: input field \"%.*s\" on measurement \"%.*s\" is type %s, already exists as type %s",
                   AF_SLICE_ARG(field->name), AF_SLICE_ARG(measurement), mem_type_word(field->column.type), mem_type_word(before));
}

static enum af_status put_row(struct request *request, const struct af_points *points, size_t row, struct af_error *err)
{
    struct mem_store *store = request->store;
    struct af_slice key = points->set->keys.keys[points->series[row]];
    uint32_t series_id;
    AF_TRY(add_series(store, key, &series_id, err));
    struct mem_series *series = &store->series[series_id];
    struct mem_measurement *measurement = &store->measurements[series->measurement];
    enum af_type before;
    const struct af_point_field *conflict = find_conflict(measurement, points, row, &before);
    if (conflict != NULL) {
        note_conflict(request, measurement_of(key), conflict, before);
        return AF_OK;
    }
    for (size_t i = 0; i < points->field_count; i++) {
        const struct af_point_field *field = &points->fields[i];
        uint32_t field_id;
        struct mem_strand *strand;
        struct mem_cell cell;
        if (!af_column_has(&field->column, row))
            continue;
        AF_TRY(add_field(measurement, field, &field_id, err));
        if (measurement->types[field_id] != field->column.type)
            continue; /* new in this very row, and twice, with two types: the first stays */
        AF_TRY(add_strand(series, field_id, &strand, err));
        AF_TRY(cell_of(&field->column, row, points->time_ns[row], &cell, err));
        AF_TRY(put_cell(store, strand, field->column.type, cell, err));
    }
    request->kept_count++;
    return AF_OK;
}

static enum af_status put_points(struct request *request, const struct af_points *points, struct af_error *err)
{
    for (size_t row = 0; row < points->row_count; row++) {
        if (points->series[row] == UINT32_MAX)
            continue;
        if (request->is_trial)
            request->kept_count++;
        else
            AF_TRY(put_row(request, points, row, err));
    }
    return AF_OK;
}

static enum af_precision precision_of(int64_t ns)
{
    return ns == 1000000000 ? AF_PRECISION_S : ns == 1000000 ? AF_PRECISION_MS : ns == 1000 ? AF_PRECISION_US : AF_PRECISION_NS;
}

/* Parse the whole text and hand the points on. */
static enum af_status run(struct request *request, const struct af_write *write, struct af_error *err)
{
    struct af_lp_parse_options options = {
        .precision = precision_of(write->precision_ns),
        .default_time_ns = af_clock_now_ns(),
        .allow_unsigned = request->store->options.is_v2,
        .bad_line = on_bad_line,
        .ctx = request,
    };
    struct af_lp_parser *parser;
    AF_TRY(af_lp_parser_new(&options, &parser, err));
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    struct af_slice rest = write->lines;
    enum af_status status = AF_OK;
    while (rest.len > 0 && status == AF_OK) {
        struct af_points points;
        size_t used = 0;
        status = af_lp_parse(parser, rest, true, &arena, &points, NULL, &used, err);
        if (status == AF_OK)
            status = put_points(request, &points, err);
        rest = (struct af_slice){ rest.ptr + used, rest.len - used };
        af_arena_reset(&arena);
    }
    af_arena_done(&arena);
    af_lp_parser_free(parser);
    return status;
}

static void judge(struct request *request, struct af_write_answer *out)
{
    bool is_v2 = request->store->options.is_v2;
    out->verdict = AF_WRITE_BAD_LINES;
    out->others_kept = true;
    if (request->conflict_count > 0) {
        out->dropped = request->conflict_count;
        (void)snprintf(out->reason, sizeof out->reason, "%spartial write: %s dropped=%llu",
                       is_v2 ? "failure writing points to database: " : "", request->conflict_words,
                       (unsigned long long)request->conflict_count);
    } else if (request->bad_count > 0) {
        bool is_partial = request->kept_count > 0 && !is_v2;
        out->others_kept = !is_v2;
        (void)snprintf(out->reason, sizeof out->reason, "%s%.*s%s", is_partial ? "partial write: " : "",
                       AF_SLICE_ARG(af_buf_slice(&request->bad_words)), is_partial ? " dropped=0" : "");
    } else {
        out->verdict = AF_WRITE_DONE;
        out->others_kept = false;
    }
}

static enum af_status write_locked(struct mem_store *store, const struct af_write *write, struct af_write_answer *out,
                                   struct af_error *err)
{
    struct request request = { .store = store, .is_trial = store->options.is_v2 };
    AF_TRY(mem_check_created(store, err));
    af_buf_init(&request.bad_words, 2048);
    enum af_status status = run(&request, write, err);
    if (status == AF_OK && request.is_trial && request.bad_count == 0) {
        request.is_trial = false;
        status = run(&request, write, err);
    }
    if (status == AF_OK)
        judge(&request, out);
    af_buf_done(&request.bad_words);
    return status;
}

static enum af_status mem_write(struct af_store *base, const struct af_write *write, struct af_write_answer *out,
                                struct af_error *err)
{
    struct mem_store *store = (struct mem_store *)base;
    memset(out, 0, sizeof *out);
    out->bytes_sent = write->lines.len;
    if (store->options.request_bytes_max != 0 && write->lines.len > store->options.request_bytes_max) {
        out->verdict = AF_WRITE_TOO_LARGE;
        (void)snprintf(out->reason, sizeof out->reason, "Request Entity Too Large");
        return AF_OK;
    }
    af_mutex_lock(&store->lock);
    enum af_status status = write_locked(store, write, out, err);
    af_mutex_unlock(&store->lock);
    return status;
}

/* --- the rest of the seam ---------------------------------------------------------------------------------------------------- */

static enum af_status mem_create(struct af_store *base, struct af_error *err)
{
    struct mem_store *store = (struct mem_store *)base;
    (void)err;
    af_mutex_lock(&store->lock);
    store->is_created = true;
    af_mutex_unlock(&store->lock);
    return AF_OK;
}

static enum af_status mem_ping(struct af_store *base, char *out_version, size_t version_cap, struct af_error *err)
{
    (void)base;
    (void)err;
    (void)snprintf(out_version, version_cap, "memory");
    return AF_OK;
}

static void free_series(struct mem_store *store, struct mem_series *series)
{
    const enum af_type *types = store->measurements[series->measurement].types;
    for (size_t i = 0; i < series->strand_count; i++) {
        struct mem_strand *strand = &series->strands[i];
        for (size_t k = 0; types[strand->field] == AF_TYPE_STRING && k < strand->count; k++)
            af_free(strand->cells[k].text);
        af_free(strand->cells);
    }
    af_free(series->strands);
}

static void mem_close(struct af_store *base)
{
    struct mem_store *store = (struct mem_store *)base;
    for (uint32_t i = 0; i < store->keys.count; i++)
        free_series(store, &store->series[i]);
    for (uint32_t i = 0; i < store->measurement_names.count; i++) {
        af_intern_done(&store->measurements[i].fields);
        af_free(store->measurements[i].types);
    }
    af_free(store->series);
    af_free(store->measurements);
    af_intern_done(&store->keys);
    af_intern_done(&store->measurement_names);
    af_mutex_done(&store->lock);
    af_free(store);
}

static const struct af_store_ops mem_ops = {
    .name = "memory",
    .write = mem_write,
    .scan = mem_scan,
    .list = mem_list,
    .erase = mem_erase,
    .create = mem_create,
    .ping = mem_ping,
    .close = mem_close,
};

enum af_status af_memory_open(const struct af_memory_options *options, struct af_store **out, struct af_error *err)
{
    struct mem_store *store = af_alloc_zero(1, sizeof *store);
    if (store == NULL)
        return af_fail_nomem(err, "a store");
    store->base = (struct af_store){ .ops = &mem_ops, .name = "memory", .caps = AF_STORE_CAN_FOLD | AF_STORE_CAN_SERIES };
    if (options != NULL)
        store->options = *options;
    af_mutex_init(&store->lock);
    af_intern_init(&store->measurement_names);
    af_intern_init(&store->keys);
    *out = &store->base;
    return AF_OK;
}

uint64_t af_memory_values(struct af_store *base)
{
    struct mem_store *store = (struct mem_store *)base;
    af_mutex_lock(&store->lock);
    uint64_t count = store->value_count;
    af_mutex_unlock(&store->lock);
    return count;
}

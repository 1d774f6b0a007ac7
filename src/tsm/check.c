/*
 * check.c - which rows of a batch may be written: keys and strings that fit, times inside the retention, fields of one type in a shard.
 *
 * The usual batch (one measurement, one shard, nothing wrong) costs a look at each series and each field, not at each value: a column
 * whose text is shorter in sum than one string may be holds no string that is too long, and the types of fields are decided once for a
 * target (write_int.h). Only when something is wrong rows are looked for.
 *
 * Types: the first row, in order of rows, that gives a field decides its type where it had none, as when points are written one by
 * one. A point that is dropped for one field may still have decided the type of another; so it is in InfluxDB.
 */
#include "base/limits.h"
#include "tsm/write_int.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALL_BESIDE = 8 };

/* --- dropping -------------------------------------------------------------------------------------------------------------- */

enum af_status job_drop(struct job *job, size_t row, const char *why, struct af_error *err)
{
    size_t rows = job->points.row_count;
    if (job->own_series == NULL) {
        uint32_t *copy = af_arena_array(job->arena, rows, sizeof *copy);
        job->why_of = af_arena_array(job->arena, rows, sizeof *job->why_of);
        if (copy == NULL || job->why_of == NULL)
            return af_arena_fail(job->arena, rows * sizeof *job->why_of, "a batch", err);
        memcpy(copy, job->points.series, rows * sizeof *copy);
        job->points.series = copy;
        job->own_series = copy;
    }
    assert(job->own_series[row] != UINT32_MAX);
    job->own_series[row] = UINT32_MAX;
    job->why_of[row] = why;
    job->live_count--;
    return AF_OK;
}

static enum af_status keep_words(struct job *job, const char *words, const char **out, struct af_error *err)
{
    *out = af_arena_copy(job->arena, af_slice_of(words));
    return *out != NULL ? AF_OK : af_arena_fail(job->arena, strlen(words), "a reason", err);
}

enum af_status job_list_dropped(struct job *job, const uint32_t *series_before, struct af_error *err)
{
    if (job->own_series == NULL)
        return AF_OK;
    size_t count = 0;
    uint32_t *rows = af_arena_alloc(job->arena, job->points.row_count * sizeof *rows);
    if (rows == NULL)
        return af_arena_fail(job->arena, job->points.row_count * sizeof *rows, "the rows that were dropped", err);
    for (size_t row = 0; row < job->points.row_count; row++) {
        if (series_before[row] == UINT32_MAX || job->own_series[row] != UINT32_MAX)
            continue;
        job->why_of[count] = job->why_of[row];
        rows[count++] = (uint32_t)row;
    }
    job->verdict->dropped_reasons = job->why_of;
    job->verdict->dropped_rows = rows;
    job->verdict->dropped_row_count = count;
    return AF_OK;
}

/* The next live row from `row` on that has the field; row_count: there is none. */
static size_t next_row(const struct job *job, const struct af_column *column, size_t row)
{
    size_t count = job->points.row_count;
    while (row < count) {
        if (column->validity != NULL) {
            uint64_t word = column->validity[row / 64] >> (row % 64);
            if (word == 0) {
                row = (row / 64 + 1) * 64;
                continue;
            }
            row += (size_t)__builtin_ctzll(word);
        }
        if (row < count && job_is_live(job, row))
            return row;
        row++;
    }
    return count;
}

/* --- keys and strings ------------------------------------------------------------------------------------------------------ */

static size_t longest_field(const struct af_points *points)
{
    size_t longest = 0;
    for (size_t i = 0; i < points->field_count; i++)
        if (points->fields[i].name.len > longest)
            longest = points->fields[i].name.len;
    return longest;
}

/* Would the file's key be split somewhere else than behind this series? At its very end three of the four bytes are enough for that. */
static bool hides_separator(struct af_slice series)
{
    static const char separator[] = AF_TSM_KEY_SEPARATOR;
    enum { ENOUGH = sizeof separator - 2 };
    const char *at = series.ptr;
    const char *end = series.ptr + series.len;
    while ((at = memchr(at, separator[0], (size_t)(end - at))) != NULL) { /* memmem is ten times slower where there is none */
        size_t left = (size_t)(end - at);
        if (left >= ENOUGH && memcmp(at, separator, left == ENOUGH ? ENOUGH : ENOUGH + 1) == 0)
            return true;
        at++;
    }
    return false;
}

enum af_status job_drop_unfit(struct job *job, size_t row, const char *words, struct af_error *err)
{
    AF_TRY(job_drop(job, row, words, err));
    job->verdict->too_long++;
    if (job->verdict->reason[0] == '\0')
        core_copy_words(job->verdict->reason, sizeof job->verdict->reason, words);
    return AF_OK;
}

static enum af_status drop_series(struct job *job, uint32_t id, const char *words, struct af_error *err)
{
    AF_TRY(keep_words(job, words, &words, err));
    for (size_t row = 0; row < job->points.row_count; row++)
        if (job->points.series[row] == id)
            AF_TRY(job_drop_unfit(job, row, words, err));
    return AF_OK;
}

static enum af_status check_series(struct job *job, uint32_t id, size_t field_bytes, struct af_error *err)
{
    char words[256];
    struct af_slice key = job->points.set->keys.keys[id];
    size_t bytes = key.len + sizeof AF_TSM_KEY_SEPARATOR - 1 + field_bytes;
    if (bytes > AF_LP_KEY_BYTES_MAX) {
        (void)snprintf(words, sizeof words, "max key length exceeded: %zu > %d", bytes, AF_LP_KEY_BYTES_MAX);
        return drop_series(job, id, words, err);
    }
    if (hides_separator(key)) {
        (void)snprintf(words, sizeof words, "series key \"%.*s\" contains \"" AF_TSM_KEY_SEPARATOR "\", which separates keys from fields",
                       (int)(key.len < 128 ? key.len : 128), key.ptr);
        return drop_series(job, id, words, err);
    }
    return AF_OK;
}

/* The number of a series' measurement; `last` is the one before. */
static enum af_status number_name(const struct job *job, struct af_intern *names, uint32_t id, uint32_t *last, struct af_error *err)
{
    struct af_slice name = af_key_measurement_raw(job->points.set->keys.keys[id]);
    if (names->count > 0 && af_slice_eq(name, names->keys[*last]))
        return AF_OK;
    return af_intern_add(names, name, last, err);
}

/* Every series of the batch once: may it be stored, and which measurement is it of? `number_of` is by series of the set. */
static enum af_status look_at_series(struct job *job, struct af_intern *names, uint32_t *number_of, struct af_error *err)
{
    const struct af_points *points = &job->points;
    size_t field_bytes = longest_field(points);
    uint32_t last = 0;
    for (size_t row = 0; row < points->row_count; row++) {
        uint32_t id = points->series[row];
        if (id == UINT32_MAX || number_of[id] != UINT32_MAX)
            continue;
        AF_TRY(number_name(job, names, id, &last, err));
        number_of[id] = last;
    }
    for (uint32_t id = 0; id < points->set->keys.count; id++)
        if (number_of[id] != UINT32_MAX)
            AF_TRY(check_series(job, id, field_bytes, err));
    return AF_OK;
}

/* The same by row, for a batch that is small beside the set of all series that its sender has named: that is not walked. */
static enum af_status look_at_rows(struct job *job, struct af_intern *names, uint32_t *number_of_row, struct af_error *err)
{
    const struct af_points *points = &job->points;
    size_t field_bytes = longest_field(points);
    uint32_t last = 0;
    for (size_t row = 0; row < points->row_count; row++) {
        if (!job_is_live(job, row))
            continue;
        if (row == 0 || points->series[row] != points->series[row - 1])
            AF_TRY(number_name(job, names, points->series[row], &last, err));
        number_of_row[row] = last;
    }
    for (size_t row = 0; row < points->row_count; row++)
        if (job_is_live(job, row) && (row == 0 || points->series[row] != points->series[row - 1]))
            AF_TRY(check_series(job, points->series[row], field_bytes, err)); /* its rows may be dropped by that, also later ones */
    return AF_OK;
}

static enum af_status copy_names(struct job *job, const struct af_intern *names, struct af_error *err)
{
    job->measurements = af_arena_alloc(job->arena, (names->count + 1) * sizeof *job->measurements);
    if (job->measurements == NULL)
        return af_arena_fail(job->arena, names->count * sizeof *job->measurements, "a batch's measurements", err);
    for (uint32_t i = 0; i < names->count; i++) {
        const char *copy = af_arena_copy(job->arena, names->keys[i]);
        if (copy == NULL)
            return af_arena_fail(job->arena, names->keys[i].len, "a measurement's name", err);
        job->measurements[i] = (struct af_slice){ copy, names->keys[i].len };
    }
    job->measurement_count = names->count;
    return AF_OK;
}

static void spread_numbers(const struct job *job, const uint32_t *series, const uint32_t *number_of, uint32_t *number_of_row)
{
    for (size_t row = 0; row < job->points.row_count; row++)
        if (series[row] != UINT32_MAX)
            number_of_row[row] = number_of[series[row]];
}

static enum af_status look(struct job *job, struct af_intern *names, uint32_t *number_of_row, struct af_error *err)
{
    uint32_t set_count = job->points.set->keys.count;
    const uint32_t *series = job->points.series;
    if (set_count / SMALL_BESIDE > job->points.row_count)
        return look_at_rows(job, names, number_of_row, err);
    uint32_t *number_of = af_arena_array(job->arena, (size_t)set_count + 1, sizeof *number_of);
    if (number_of == NULL)
        return af_arena_fail(job->arena, set_count * sizeof *number_of, "a batch's series", err);
    memset(number_of, 0xff, set_count * sizeof *number_of);
    AF_TRY(look_at_series(job, names, number_of, err));
    if (names->count > 1)
        spread_numbers(job, series, number_of, number_of_row);
    return AF_OK;
}

static enum af_status check_keys(struct job *job, struct af_error *err)
{
    size_t rows = job->points.row_count;
    uint32_t *number_of_row = af_arena_array(job->arena, rows + 1, sizeof *number_of_row);
    if (number_of_row == NULL)
        return af_arena_fail(job->arena, rows * sizeof *number_of_row, "a batch's series", err);
    for (size_t row = 0; row < rows; row++)
        job->live_count += job_is_live(job, row);
    struct af_intern names;
    af_intern_init(&names);
    enum af_status status = look(job, &names, number_of_row, err);
    if (status == AF_OK)
        status = copy_names(job, &names, err);
    af_intern_done(&names);
    job->measurement_of = job->measurement_count > 1 ? number_of_row : NULL;
    return status;
}

/* Can a string of this column be too long? Cheap, and seldom yes. */
static bool has_long_text(const struct af_column *column, size_t row_count)
{
    if (column->type != AF_TYPE_STRING || row_count == 0)
        return false;
    if (column->dict != NULL)
        return column->dict->offsets[column->dict->count] > AF_TSM_STRING_BYTES_MAX;
    return column->offsets[row_count] - column->offsets[0] > AF_TSM_STRING_BYTES_MAX;
}

static enum af_status check_texts(struct job *job, const struct af_point_field *field, struct af_error *err)
{
    char words[512];
    for (size_t row = 0; row < job->points.row_count; row++) {
        if (!job_is_live(job, row) || !af_column_has(&field->column, row))
            continue;
        struct af_slice text = af_column_text(&field->column, row);
        if (text.len <= AF_TSM_STRING_BYTES_MAX)
            continue;
        struct af_slice name = af_key_measurement_raw(job->points.set->keys.keys[job->points.series[row]]);
        (void)snprintf(words, sizeof words, "input field \"%.*s\" on measurement \"%.*s\" is too long, %zu > %d",
                       (int)(field->name.len < 128 ? field->name.len : 128), field->name.ptr, (int)(name.len < 128 ? name.len : 128),
                       name.ptr, text.len, AF_TSM_STRING_BYTES_MAX);
        const char *kept = NULL;
        AF_TRY(keep_words(job, words, &kept, err));
        AF_TRY(job_drop_unfit(job, row, kept, err));
    }
    return AF_OK;
}

enum af_status job_check_sizes(struct job *job, struct af_error *err)
{
    AF_TRY(check_keys(job, err));
    for (size_t i = 0; i < job->points.field_count; i++)
        if (has_long_text(&job->points.fields[i].column, job->points.row_count))
            AF_TRY(check_texts(job, &job->points.fields[i], err));
    return AF_OK;
}

/* --- keys in files --------------------------------------------------------------------------------------------------------- */

/*
 * A TSM file repeats the whole series key for each of its fields: a line of 100 KB with a key of 60 KB and 5,000 fields costs 300 MB there.
 */

static bool may_cost_too_much(const struct job *job)
{
    uint64_t bytes = 0;
    uint64_t fields = job->points.field_count;
    uint64_t field_bytes = longest_field(&job->points) + sizeof AF_TSM_KEY_SEPARATOR;
    const uint32_t *series = job->points.series;
    for (size_t row = 0; row < job->points.row_count; row++)
        if (job_is_live(job, row) && (row == 0 || series[row] != series[row - 1]))
            bytes += (job->points.set->keys.keys[series[row]].len + field_bytes) * fields;
    return bytes > AF_TSM_BATCH_KEYS_BYTES_MAX;
}

/* By series of the set: bytes of its keys with those fields that it has here. */
static enum af_status count_keys_bytes(struct job *job, uint64_t **out, struct af_error *err)
{
    uint32_t count = job->points.set->keys.count;
    uint64_t *bytes = af_arena_zero(job->arena, (size_t)count + 1, sizeof *bytes);
    uint32_t *seen = af_arena_zero(job->arena, (size_t)count + 1, sizeof *seen);
    if (bytes == NULL || seen == NULL)
        return af_arena_fail(job->arena, count * sizeof *bytes, "a batch's series", err);
    for (size_t i = 0; i < job->points.field_count; i++) {
        const struct af_point_field *field = &job->points.fields[i];
        for (size_t row = next_row(job, &field->column, 0); row < job->points.row_count; row = next_row(job, &field->column, row + 1)) {
            uint32_t id = job->points.series[row];
            if (seen[id] == i + 1)
                continue;
            seen[id] = (uint32_t)i + 1;
            bytes[id] += job->points.set->keys.keys[id].len + sizeof AF_TSM_KEY_SEPARATOR - 1 + field->name.len;
        }
    }
    *out = bytes;
    return AF_OK;
}

enum af_status job_check_keys_bytes(struct job *job, struct af_error *err)
{
    static const char WORDS[] = "series keys times fields of one write exceed what its files may repeat; send fewer points at once, or "
                                "shorter keys";
    uint64_t *bytes = NULL;
    uint64_t sum = 0;
    if (!may_cost_too_much(job))
        return AF_OK;
    AF_TRY(count_keys_bytes(job, &bytes, err));
    for (size_t row = 0; row < job->points.row_count; row++) {
        if (!job_is_live(job, row))
            continue;
        uint64_t *own = &bytes[job->points.series[row]]; /* 0: counted; UINT64_MAX: too much */
        if (*own != UINT64_MAX && sum + *own > AF_TSM_BATCH_KEYS_BYTES_MAX)
            *own = UINT64_MAX;
        if (*own == UINT64_MAX) {
            AF_TRY(job_drop_unfit(job, row, WORDS, err));
            continue;
        }
        sum += *own;
        *own = 0;
    }
    return AF_OK;
}

/* --- retention ------------------------------------------------------------------------------------------------------------- */

static const char BEYOND_RETENTION[] = "points beyond retention policy";

static void note_expired(struct job *job, size_t row)
{
    struct af_tsm_expired *rows = &job->verdict->expired_rows;
    const int64_t *time_ns = job->points.time_ns;
    if (job->verdict->expired++ == 0)
        rows->oldest_row = rows->newest_row = (uint32_t)row;
    if (time_ns[row] < time_ns[rows->oldest_row])
        rows->oldest_row = (uint32_t)row;
    if (time_ns[row] > time_ns[rows->newest_row])
        rows->newest_row = (uint32_t)row;
}

enum af_status job_check_retention(struct job *job, int64_t retention_ns, struct af_error *err)
{
    if (retention_ns <= 0)
        return AF_OK;
    int64_t now = core_now_ns(job->engine);
    int64_t bound = now < INT64_MIN + retention_ns ? INT64_MIN : now - retention_ns;
    job->verdict->expired_rows.bound_ns = bound;
    for (size_t row = 0; row < job->points.row_count; row++) {
        if (job->points.time_ns[row] >= bound || !job_is_live(job, row))
            continue;
        AF_TRY(job_drop(job, row, BEYOND_RETENTION, err));
        note_expired(job, row);
        if (job->verdict->expired == 1)
            core_copy_words(job->verdict->reason, sizeof job->verdict->reason, BEYOND_RETENTION);
    }
    return AF_OK;
}

/* --- types ----------------------------------------------------------------------------------------------------------------- */

/* The first row that gives a field in a target. */
struct claim {
    uint32_t row, field, target;
    enum af_type has;           /* the type the field has there, after the claim */
    const char *conflict;       /* in words, once a row was dropped for it */
};
struct claims {
    struct claim *list;
    size_t count, cap;
    uint32_t *seen;             /* by target: the field (+ 1) that was last met there */
};

static enum af_status add_claim(struct job *job, struct claims *claims, size_t row, size_t field, uint32_t target,
                                struct af_error *err)
{
    struct claim *list = af_arena_more(job->arena, claims->list, claims->count, &claims->cap, sizeof *list);
    if (list == NULL)
        return af_arena_fail(job->arena, claims->count * sizeof *list, "a batch's fields", err);
    claims->list = list;
    claims->list[claims->count++] = (struct claim){ (uint32_t)row, (uint32_t)field, target, AF_TYPE_NULL, NULL };
    return AF_OK;
}

static enum af_status find_claims(struct job *job, struct claims *claims, struct af_error *err)
{
    size_t count = job->points.row_count;
    for (size_t field = 0; field < job->points.field_count; field++) {
        const struct af_column *column = &job->points.fields[field].column;
        for (size_t row = next_row(job, column, 0); row < count; row = next_row(job, column, row + 1)) {
            uint32_t target = job->target_of != NULL ? job->target_of[row] : 0;
            if (claims->seen[target] == field + 1)
                continue;
            claims->seen[target] = (uint32_t)field + 1;
            AF_TRY(add_claim(job, claims, row, field, target, err));
            if (job->target_of == NULL)
                break;
        }
    }
    return AF_OK;
}

static int by_row(const void *a, const void *b)
{
    const struct claim *x = a;
    const struct claim *y = b;
    return x->row != y->row ? (x->row > y->row) - (x->row < y->row) : (x->field > y->field) - (x->field < y->field);
}

static const char *type_word(enum af_type type)
{
    switch (type) {
    case AF_TYPE_F64: return "float";
    case AF_TYPE_I64: return "integer";
    case AF_TYPE_U64: return "unsigned";
    case AF_TYPE_BOOL: return "boolean";
    default: return "string";
    }
}

static enum af_status write_conflict(struct job *job, struct claim *claim, struct af_error *err)
{
    char words[sizeof job->verdict->reason];
    const struct af_point_field *field = &job->points.fields[claim->field];
    struct af_slice measurement = job->targets[claim->target].measurement;
    if (claim->conflict != NULL)
        return AF_OK;
    (void)snprintf(words, sizeof words,
                   "field type conflict: input field \"%.*s\" on measurement \"%.*s\" is type %s, already exists as type %s",
                   (int)(field->name.len < 160 ? field->name.len : 160), field->name.ptr,
                   (int)(measurement.len < 160 ? measurement.len : 160), measurement.ptr, type_word(field->column.type),
                   type_word(claim->has));
    return keep_words(job, words, &claim->conflict, err);
}

/* Rows of one field whose targets have another type for it: bad[0..count), one claim a target. */
static enum af_status drop_conflicts(struct job *job, struct claim *bad, size_t count, uint32_t *bad_of, struct af_error *err)
{
    const struct af_column *column = &job->points.fields[bad->field].column;
    size_t rows = job->points.row_count;
    memset(bad_of, 0, job->target_count * sizeof *bad_of);
    for (size_t i = 0; i < count; i++)
        bad_of[bad[i].target] = (uint32_t)i + 1;
    for (size_t row = next_row(job, column, bad->row); row < rows; row = next_row(job, column, row + 1)) {
        uint32_t which = bad_of[job->target_of != NULL ? job->target_of[row] : 0];
        if (which == 0)
            continue;
        AF_TRY(write_conflict(job, &bad[which - 1], err));
        AF_TRY(job_drop(job, row, bad[which - 1].conflict, err));
        if (job->verdict->conflicts++ == 0 || row < job->conflict_row) {
            core_copy_words(job->verdict->reason, sizeof job->verdict->reason, bad[which - 1].conflict);
            job->conflict_row = row;
        }
    }
    return AF_OK;
}

static int by_field(const void *a, const void *b)
{
    const struct claim *x = a;
    const struct claim *y = b;
    return x->field != y->field ? (x->field > y->field) - (x->field < y->field) : (x->row > y->row) - (x->row < y->row);
}

/* The claims that were refused, field by field. */
static enum af_status drop_refused(struct job *job, struct claims *claims, struct af_error *err)
{
    size_t bad_count = 0;
    for (size_t i = 0; i < claims->count; i++)
        if (claims->list[i].has != job->points.fields[claims->list[i].field].column.type)
            claims->list[bad_count++] = claims->list[i];
    if (bad_count == 0)
        return AF_OK;
    qsort(claims->list, bad_count, sizeof *claims->list, by_field);
    for (size_t i = 0; i < bad_count;) {
        size_t end = i + 1;
        while (end < bad_count && claims->list[end].field == claims->list[i].field)
            end++;
        AF_TRY(drop_conflicts(job, claims->list + i, end - i, claims->seen, err));
        i = end;
    }
    return AF_OK;
}

static enum af_status make_claims(struct job *job, struct claims *claims, struct af_error *err)
{
    qsort(claims->list, claims->count, sizeof *claims->list, by_row);
    for (size_t i = 0; i < claims->count; i++) {
        struct claim *claim = &claims->list[i];
        const struct target *target = &job->targets[claim->target];
        const struct af_point_field *field = &job->points.fields[claim->field];
        AF_TRY(af_types_claim(target->shard->types, target->measurement, field->name, field->column.type, &claim->has, err));
    }
    return AF_OK;
}

enum af_status job_check_types(struct job *job, struct af_error *err)
{
    struct claims claims = { .seen = af_arena_zero(job->arena, job->target_count + 1, sizeof(uint32_t)) };
    if (claims.seen == NULL)
        return af_arena_fail(job->arena, job->target_count * sizeof(uint32_t), "a batch's targets", err);
    AF_TRY(find_claims(job, &claims, err));
    if (claims.count > 0)
        AF_TRY(make_claims(job, &claims, err));
    return drop_refused(job, &claims, err);
}

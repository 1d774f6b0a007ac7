/*
 * infer.c - a proposal for an unknown table, written as YAML and read back by the parser: a user can print it, change it
 * and use it.
 *
 *     time          a TIME column, else a DATE, else text that reads as times all through the sample, best where its name says so
 *     fields        numbers, truth values, and text that reads as numbers all through the sample
 *     tags          other text of few distinct values; text of many is a string field
 *     measurement   the file's name without numbers: CURVA_CARGA_2023.csv -> curva_carga
 */
#include "base/intern.h"
#include "base/numbers.h"
#include "map/map_int.h"

enum { TAG_VALUES_MAX = 256 };

struct guess {
    enum { GUESS_NOTHING, GUESS_TAG, GUESS_NUMBER, GUESS_BOOLEAN, GUESS_STRING } role;
    int decimal;
};

/* --- the sample --------------------------------------------------------------------------------------------------- */

struct sample_facts {
    size_t rows;     /* with a value */
    size_t distinct; /* up to the limit and one more */
    size_t numbers, comma_numbers, truths, times, words;
};

static void look_at(struct af_slice text, struct sample_facts *facts)
{
    int64_t ns;
    double real;
    bool truth;
    bool has_zone;
    facts->numbers += af_map_f64_parse(text, MAP_DECIMAL_POINT, &real);
    facts->comma_numbers += af_map_f64_parse(text, MAP_DECIMAL_COMMA, &real);
    facts->truths += af_map_bool_parse(text, &truth);
    facts->times += af_time_parse(text, &ns, &has_zone);
}

static enum af_status look_at_column(const struct af_batch *sample, size_t column, struct sample_facts *facts,
                                     struct af_error *err)
{
    static const struct map_names none = { 0 };
    const struct af_column *col = &sample->columns[column];
    struct af_intern seen;
    af_intern_init(&seen);
    enum af_status status = AF_OK;
    for (size_t row = 0; row < sample->row_count && status == AF_OK; row++) {
        if (!af_column_has(col, row))
            continue;
        struct af_slice text = af_slice_trim(af_column_text(col, row));
        if (af_map_text_is_missing(&none, true, text))
            continue;
        uint32_t id;
        facts->rows++;
        look_at(text, facts);
        if (seen.count <= TAG_VALUES_MAX)
            status = af_intern_add(&seen, text, &id, err);
    }
    facts->distinct = seen.count;
    af_intern_done(&seen);
    return status;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

static const char *const time_words[] = { "din_instante", "timestamp", "time", "datetime", "data_hora", "date", "data",
                                          "instante",     "ts",        "dat_", "_at",      "_data",     "dia" };
enum { TIME_WORDS = sizeof time_words / sizeof time_words[0] };

/* How much a name sounds like time: 0 not at all. */
static size_t time_likeness(const char *name)
{
    char lower[64];
    size_t len = strlen(name);
    if (len >= sizeof lower)
        return 0;
    for (size_t i = 0; i <= len; i++)
        lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + ('a' - 'A')) : name[i];
    for (size_t i = 0; i < TIME_WORDS; i++) {
        if (strcmp(lower, time_words[i]) == 0)
            return 2 * (TIME_WORDS - i);
    }
    for (size_t i = 0; i < TIME_WORDS; i++) {
        if (strlen(time_words[i]) > 2 && strstr(lower, time_words[i]) != NULL)
            return 1;
    }
    return 0;
}

static int unit_of_count(double count)
{
    double size = count < 0 ? -count : count;
    return size < 1e11 ? MAP_UNIT_S : size < 1e14 ? MAP_UNIT_MS : size < 1e17 ? MAP_UNIT_US : MAP_UNIT_NS;
}

static bool is_count(enum af_type type)
{
    return type == AF_TYPE_I64 || type == AF_TYPE_U64 || type == AF_TYPE_F64;
}

static bool first_count(const struct af_batch *sample, size_t column, double *out)
{
    const struct af_column *col = &sample->columns[column];
    for (size_t row = 0; row < sample->row_count; row++) {
        int64_t whole;
        if (af_column_has(col, row) && af_map_column_i64(col, row, &whole)) {
            *out = (double)whole;
            return true;
        }
    }
    return false;
}

/* --- the time column ---------------------------------------------------------------------------------------------- */

static enum af_status time_score(const struct af_schema *schema, const struct af_batch *sample, size_t column, size_t *out,
                                 struct af_error *err)
{
    const struct af_field *field = &schema->fields[column];
    size_t likeness = time_likeness(field->name);
    struct sample_facts facts = { 0 };
    double count;
    *out = 0;
    if (field->type == AF_TYPE_TIME) {
        *out = 2000 + likeness;
    } else if (field->type == AF_TYPE_DATE) {
        *out = 1000 + likeness;
    } else if (field->type == AF_TYPE_STRING && (likeness != 0 || sample != NULL)) {
        if (sample != NULL)
            AF_TRY(look_at_column(sample, column, &facts, err));
        bool is_time = facts.times == facts.rows && (likeness != 0 || facts.rows != 0);
        *out = is_time ? (likeness != 0 ? 100 + likeness : 50) : 0;
    } else if (likeness > 1 && is_count(field->type) && sample != NULL && first_count(sample, column, &count) && count > 1e8) {
        *out = likeness;
    }
    return AF_OK;
}

static enum af_status find_time(const struct af_schema *schema, const struct af_batch *sample, size_t *out,
                                struct af_error *err)
{
    size_t best = 0;
    *out = SIZE_MAX;
    for (size_t i = 0; i < schema->field_count; i++) {
        size_t points;
        AF_TRY(time_score(schema, sample, i, &points, err));
        if (points > best) {
            best = points;
            *out = i;
        }
    }
    if (*out == SIZE_MAX)
        return af_fail(err, AF_EINVAL,
                       "no time column was found: no column is a time or date, or is called time, date, data, timestamp ...; "
                       "write a mapping that names it");
    return AF_OK;
}

/* --- the other columns -------------------------------------------------------------------------------------------- */

static struct guess guess_text(const struct sample_facts *facts)
{
    if (facts->rows == 0)
        return (struct guess){ GUESS_TAG, 0 };
    if (facts->numbers == facts->rows)
        return (struct guess){ GUESS_NUMBER, MAP_DECIMAL_UNSET };
    if (facts->comma_numbers == facts->rows)
        return (struct guess){ GUESS_NUMBER, MAP_DECIMAL_COMMA };
    if (facts->truths == facts->rows)
        return (struct guess){ GUESS_BOOLEAN, 0 };
    bool is_varied = facts->distinct > TAG_VALUES_MAX || (facts->rows >= 32 && facts->distinct > facts->rows / 2);
    return (struct guess){ is_varied ? GUESS_STRING : GUESS_TAG, 0 };
}

static enum af_status guess_column(const struct af_schema *schema, const struct af_batch *sample, size_t column,
                                   struct guess *out, struct af_error *err)
{
    struct sample_facts facts = { 0 };
    *out = (struct guess){ GUESS_NOTHING, 0 };
    switch (schema->fields[column].type) {
    case AF_TYPE_I64:
    case AF_TYPE_U64:
    case AF_TYPE_F64:
    case AF_TYPE_DECIMAL: out->role = GUESS_NUMBER; break;
    case AF_TYPE_BOOL: out->role = GUESS_BOOLEAN; break;
    case AF_TYPE_STRING:
        if (sample != NULL)
            AF_TRY(look_at_column(sample, column, &facts, err));
        *out = guess_text(&facts);
        break;
    case AF_TYPE_JSON:
    case AF_TYPE_TIME:
    case AF_TYPE_DATE: out->role = GUESS_STRING; break;
    default: break;
    }
    return AF_OK;
}

/* --- writing ------------------------------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The last part of the path, its extension and numbers cut off, in lower case with _ between words. */
static void append_measurement(struct af_buf *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t len = strcspn(name, ".");
    size_t mark = out->len;
    bool wants_gap = false;
    for (size_t i = 0; i < len; i++) {
        if (!is_letter(name[i])) {
            wants_gap = true;
            continue;
        }
        if (wants_gap && out->len != mark)
            af_buf_append_char(out, '_');
        wants_gap = false;
        char c = name[i];
        af_buf_append_char(out, c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c);
    }
    if (out->len == mark)
        af_buf_append_str(out, "data");
}

static void append_time(struct af_buf *out, const struct af_field *field, const struct af_batch *sample, size_t column)
{
    double count;
    af_buf_append_str(out, "time:\n  column: ");
    af_yaml_append_scalar(out, af_slice_of(field->name));
    af_buf_append_char(out, '\n');
    if (is_count(field->type) && sample != NULL && first_count(sample, column, &count)) {
        static const char *const units[] = { "", "s", "ms", "us", "ns" };
        af_buf_printf(out, "  unit: %s\n", units[unit_of_count(count)]);
    }
}

static void append_entry(struct af_buf *out, const char *column, const struct guess *guess, enum af_type type, bool *has_any)
{
    bool is_tag = guess->role == GUESS_TAG;
    if (af_map_name_fault(is_tag ? MAP_ROLE_TAG_KEY : MAP_ROLE_FIELD, af_slice_of(column)) != NULL)
        return;
    if (!*has_any)
        af_buf_append_str(out, is_tag ? "tags:\n" : "fields:\n");
    *has_any = true;
    af_buf_append_str(out, "  ");
    af_yaml_append_scalar(out, af_slice_of(column));
    af_buf_append_str(out, ":\n    column: ");
    af_yaml_append_scalar(out, af_slice_of(column));
    af_buf_append_char(out, '\n');
    if (guess->role == GUESS_BOOLEAN)
        af_buf_append_str(out, "    type: boolean\n");
    else if (guess->role == GUESS_STRING)
        af_buf_append_str(out, "    type: string\n");
    else if (guess->role == GUESS_NUMBER && (type == AF_TYPE_I64 || type == AF_TYPE_U64))
        af_buf_append_str(out, type == AF_TYPE_I64 ? "    type: integer\n" : "    type: unsigned\n");
    if (guess->role == GUESS_NUMBER && guess->decimal == MAP_DECIMAL_COMMA)
        af_buf_append_str(out, "    decimal: comma\n");
}

static enum af_status append_columns(struct af_buf *out, const struct af_schema *schema, const struct af_batch *sample,
                                     size_t time, bool wants_tags, bool *has_any, struct af_error *err)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        struct guess guess;
        if (i == time)
            continue;
        AF_TRY(guess_column(schema, sample, i, &guess, err));
        if (guess.role != GUESS_NOTHING && (guess.role == GUESS_TAG) == wants_tags)
            append_entry(out, schema->fields[i].name, &guess, schema->fields[i].type, has_any);
    }
    return AF_OK;
}

static enum af_status write_yaml(const char *path, const struct af_schema *schema, const struct af_batch *sample,
                                 struct af_buf *out, struct af_error *err)
{
    size_t time;
    bool has_tags = false;
    bool has_fields = false;
    AF_TRY(find_time(schema, sample, &time, err));
    af_buf_append_str(out, "name: inferred\nmeasurement: ");
    append_measurement(out, path);
    af_buf_append_char(out, '\n');
    append_time(out, &schema->fields[time], sample, time);
    AF_TRY(append_columns(out, schema, sample, time, true, &has_tags, err));
    AF_TRY(append_columns(out, schema, sample, time, false, &has_fields, err));
    if (!has_fields)
        return af_fail(err, AF_EINVAL, "%s: no column beside the time looks like something to keep; write a mapping",
                       path);
    return af_buf_check(out, "a proposed mapping", err);
}

enum af_status af_map_infer(const char *path, const struct af_schema *schema, const struct af_batch *sample, struct af_map **out,
                            struct af_error *err)
{
    struct af_buf yaml;
    af_buf_init(&yaml, AF_YAML_BYTES_MAX);
    enum af_status status = write_yaml(path, schema, sample, &yaml, err);
    if (status == AF_OK)
        status = af_map_parse("the proposed mapping", af_buf_slice(&yaml), out, err);
    af_buf_done(&yaml);
    return status;
}

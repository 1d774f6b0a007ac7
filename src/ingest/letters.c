/*
 * letters.c - dead letters read back (sink/dead_letters.c writes them): an entry a line, and rows as tables again.
 *
 * A row comes back as text, numbers and truth values, as its JSON says. Where the file it came from can still be opened, its schema says
 * which numbers were unsigned, which text was a decimal or a time: `like`. So the mapping sees what it saw the first time, or what
 * somebody made of it since with an editor.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "ingest/ingest.h"
#include "os/file.h"
#include <math.h>

enum { WINDOW_BYTES = 256 << 10 };

struct af_letters {
    struct af_file_input *in;
    char *path;
    struct af_buf window;
    size_t at;
    bool has_ended;
    uint64_t line; /* 1-based, of the last entry */
};

enum af_status af_letters_open(const char *path, struct af_letters **out, struct af_error *err)
{
    struct af_letters *letters = af_alloc_zero(1, sizeof *letters);
    size_t len = strlen(path);
    if (letters == NULL)
        return af_fail_nomem(err, "dead letters");
    letters->path = af_alloc(len + 1);
    af_buf_init(&letters->window, AF_LETTER_BYTES_MAX);
    enum af_status status = letters->path != NULL ? af_file_input_open(path, &letters->in, err) : af_fail_nomem(err, "dead letters");
    if (status != AF_OK) {
        af_letters_close(letters);
        return status;
    }
    memcpy(letters->path, path, len + 1);
    *out = letters;
    return AF_OK;
}

void af_letters_close(struct af_letters *letters)
{
    if (letters == NULL)
        return;
    af_file_input_close(letters->in);
    af_buf_done(&letters->window);
    af_free(letters->path);
    af_free(letters);
}

/* --- lines --------------------------------------------------------------------------------------------------------------- */

static enum af_status read_more(struct af_letters *l, struct af_error *err)
{
    struct af_buf *w = &l->window;
    if (l->at != 0) {
        memmove(w->ptr, w->ptr + l->at, w->len - l->at);
        w->len -= l->at;
        l->at = 0;
    }
    size_t room = w->bytes_max - w->len;
    size_t step = w->len < WINDOW_BYTES ? WINDOW_BYTES : w->len; /* an endless line is looked through a few times, not many */
    char *to = af_buf_reserve(w, room < step ? room : step);
    if (room == 0)
        return af_fail(err, AF_ELIMIT, "line %llu is longer than %d bytes", (unsigned long long)l->line + 1, AF_LETTER_BYTES_MAX);
    if (to == NULL)
        return af_fail_nomem(err, "dead letters");
    size_t got = 0;
    AF_TRY(af_file_input_read(l->in, to, room < step ? room : step, &got, err));
    w->len += got;
    l->has_ended = got == 0;
    return AF_OK;
}

/* The next line that is not blank. *out_line without memory: the end. *out_is_whole: it had an end. */
static enum af_status next_line(struct af_letters *l, struct af_slice *out_line, bool *out_is_whole, struct af_error *err)
{
    for (;;) {
        struct af_slice rest = { l->window.ptr + l->at, l->window.len - l->at };
        const char *end = rest.len != 0 ? memchr(rest.ptr, '\n', rest.len) : NULL;
        if (end == NULL && !l->has_ended) {
            AF_TRY(read_more(l, err));
            continue;
        }
        *out_is_whole = end != NULL;
        *out_line = (struct af_slice){ rest.len != 0 ? rest.ptr : NULL, end != NULL ? (size_t)(end - rest.ptr) : rest.len };
        l->at += out_line->len + *out_is_whole;
        l->line++;
        if (out_line->ptr == NULL || af_slice_trim(*out_line).len != 0)
            return AF_OK;
    }
}

/* --- entries ------------------------------------------------------------------------------------------------------------- */

static const char *text_or(const struct af_json *entry, const char *key, const char *otherwise)
{
    struct af_slice text = af_json_string(entry, key); /* of the tree: ends with NUL */
    return text.ptr != NULL ? text.ptr : otherwise;
}

/* U+FFFD stands where bytes were no UTF-8: what they were is lost, and must not be written as if it had been this. */
static bool is_damaged(struct af_slice text)
{
    return text.len != 0 && memmem(text.ptr, text.len, "\xef\xbf\xbd", 3) != NULL;
}

static bool has_damage(const struct af_json *json)
{
    bool is = is_damaged(json->key) || is_damaged(json->text);
    for (const struct af_json *member = json->first; member != NULL && !is; member = member->next)
        is = has_damage(member);
    return is;
}

static enum af_status make_letter(const struct af_letters *l, const struct af_json *entry, struct af_letter *out, struct af_error *err)
{
    int64_t row = 0;
    int64_t row_group = 0;
    if (entry->kind != AF_JSON_OBJECT)
        return af_fail(err, AF_ECORRUPT, "line %llu is no JSON object", (unsigned long long)l->line);
    (void)af_json_i64(af_json_get(entry, "row"), &row);
    (void)af_json_i64(af_json_get(entry, "row_group"), &row_group);
    *out = (struct af_letter){ .file = text_or(entry, "file", ""), .column = text_or(entry, "column", NULL),
                               .reason = text_or(entry, "reason", "no reason is known"), .row = row > 0 ? (uint64_t)row : 0,
                               .row_group = row_group > 0 && row_group <= UINT32_MAX ? (uint32_t)row_group : 0,
                               .line = af_json_string(entry, "line"), .raw = af_json_string(entry, "raw"),
                               .row_data = af_json_get(entry, "row_data") };
    if (out->row_data != NULL && out->row_data->kind != AF_JSON_OBJECT)
        return af_fail(err, AF_ECORRUPT, "line %llu: row_data is no object", (unsigned long long)l->line);
    out->is_damaged = is_damaged(out->line) || (out->row_data != NULL && has_damage(out->row_data));
    return AF_OK;
}

static enum af_status parse(struct af_letters *l, struct af_slice line, struct af_arena *arena, struct af_letter **out,
                            struct af_error *err)
{
    struct af_json *entry;
    enum af_status status = af_json_parse(line, arena, &entry, err);
    if (status != AF_OK) {
        af_error_prefix(err, "line %llu: ", (unsigned long long)l->line);
        return status;
    }
    struct af_letter *letter = af_arena_zero(arena, 1, sizeof *letter);
    if (letter == NULL)
        return af_arena_fail(arena, sizeof *letter, "a dead letter", err);
    AF_TRY(make_letter(l, entry, letter, err));
    *out = letter;
    return AF_OK;
}

enum af_status af_letters_next(struct af_letters *letters, struct af_arena *arena, struct af_letter **out, struct af_error *err)
{
    struct af_slice line;
    bool is_whole = true;
    *out = NULL;
    enum af_status status = next_line(letters, &line, &is_whole, err);
    if (status == AF_OK && line.ptr != NULL)
        status = parse(letters, line, arena, out, err);
    if (status == AF_ECORRUPT && !is_whole) /* torn by a crash: no unit counted on it */
        return AF_OK;
    if (status != AF_OK)
        af_error_prefix(err, "%s: ", letters->path);
    return status;
}

/* --- files --------------------------------------------------------------------------------------------------------------- */

struct finder {
    af_dir_each each;
    void *ctx;
};

static enum af_status see_file(void *ctx, const char *path, struct af_error *err)
{
    static const char head[] = "dead-letters-";
    static const char tail[] = ".jsonl";
    const struct finder *finder = ctx;
    const char *slash = strrchr(path, '/');
    struct af_slice name = af_slice_of(slash != NULL ? slash + 1 : path);
    bool is_one = name.len >= sizeof head + sizeof tail - 2 && af_slice_has_prefix(name, head) &&
                  memcmp(name.ptr + name.len - (sizeof tail - 1), tail, sizeof tail - 1) == 0;
    return is_one ? finder->each(finder->ctx, path, err) : AF_OK;
}

enum af_status af_letters_find(const char *path, enum af_status (*each)(void *ctx, const char *path, struct af_error *err), void *ctx,
                               struct af_error *err)
{
    if (af_path_kind(path) != AF_PATH_DIR)
        return each(ctx, path, err);
    return af_dir_list(path, see_file, &(struct finder){ each, ctx }, err);
}

/* --- rows as tables ------------------------------------------------------------------------------------------------------ */

static bool parse_decimal(struct af_slice text, unsigned scale, __int128 *out)
{
    bool is_negative = text.len != 0 && text.ptr[0] == '-';
    unsigned after = 0;
    bool has_point = false;
    bool has_digit = false;
    __int128 value = 0;
    for (size_t i = is_negative; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '.' && !has_point) {
            has_point = true;
            continue;
        }
        if (c < '0' || c > '9' || (has_point && ++after > scale) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, c - '0', &value))
            return false;
        has_digit = true;
    }
    for (; after < scale; after++)
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    *out = is_negative ? -value : value;
    return has_digit;
}

/* JSON has no such numbers: batch_json.c writes them as text. */
static bool parse_odd_f64(struct af_slice text, double *out)
{
    bool is_nan = af_slice_is(text, "NaN");
    bool is_negative = af_slice_is(text, "-Infinity");
    *out = is_nan ? NAN : is_negative ? -INFINITY : INFINITY;
    return is_nan || is_negative || af_slice_is(text, "Infinity");
}

/* What a number is when nobody says: with a point or an exponent it was a float. */
static enum af_type number_type(const struct af_json *value, enum af_type like)
{
    int64_t i64;
    uint64_t u64;
    bool is_whole = memchr(value->text.ptr, '.', value->text.len) == NULL && memchr(value->text.ptr, 'e', value->text.len) == NULL &&
                    memchr(value->text.ptr, 'E', value->text.len) == NULL;
    if (like == AF_TYPE_F64 || !is_whole)
        return AF_TYPE_F64;
    if (like == AF_TYPE_U64 && af_u64_parse(value->text, &u64))
        return AF_TYPE_U64;
    return af_i64_parse(value->text, &i64) ? AF_TYPE_I64 : af_u64_parse(value->text, &u64) ? AF_TYPE_U64 : AF_TYPE_F64;
}

static enum af_type type_of(const struct af_json *value, const struct af_field *like)
{
    enum af_type was = like != NULL ? like->type : AF_TYPE_NULL;
    __int128 decimal;
    double odd;
    int64_t ns;
    bool has_zone;
    switch (value->kind) {
    case AF_JSON_BOOL: return AF_TYPE_BOOL;
    case AF_JSON_NUMBER: return number_type(value, was);
    case AF_JSON_ARRAY:
    case AF_JSON_OBJECT: return AF_TYPE_JSON;
    case AF_JSON_NULL:
        if (was == AF_TYPE_BOOL || was == AF_TYPE_I64 || was == AF_TYPE_U64 || was == AF_TYPE_F64)
            return was;
        break;
    case AF_JSON_STRING: break;
    }
    if (was == AF_TYPE_F64 && parse_odd_f64(value->text, &odd))
        return AF_TYPE_F64;
    if (was == AF_TYPE_DECIMAL && (value->kind == AF_JSON_NULL || parse_decimal(value->text, like->scale, &decimal)))
        return AF_TYPE_DECIMAL;
    if (was == AF_TYPE_TIME && (value->kind == AF_JSON_NULL || (af_time_parse(value->text, &ns, &has_zone) && has_zone != like->is_local)))
        return AF_TYPE_TIME;
    return AF_TYPE_STRING;
}

static const struct af_field *find_like(const struct af_schema *like, struct af_slice name)
{
    size_t at = like != NULL ? af_schema_find(like, name) : SIZE_MAX;
    return at != SIZE_MAX ? &like->fields[at] : NULL;
}

enum af_status af_letter_schema(const struct af_letter *letter, const struct af_schema *like, struct af_arena *arena,
                                struct af_schema *out, struct af_error *err)
{
    size_t count = 0;
    for (const struct af_json *value = letter->row_data->first; value != NULL; value = value->next)
        count++;
    if (count > AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "a row of %zu columns, at most %d are possible", count, AF_COLUMNS_MAX);
    struct af_field *fields = af_arena_zero(arena, count, sizeof *fields);
    if (fields == NULL)
        return af_arena_fail(arena, count * sizeof *fields, "a dead letter", err);
    size_t at = 0;
    for (const struct af_json *value = letter->row_data->first; value != NULL; value = value->next) {
        const struct af_field *was = find_like(like, value->key);
        enum af_type type = type_of(value, was);
        fields[at++] = (struct af_field){ .name = value->key.ptr, .source_type = "dead letter", .type = type, .is_nullable = true,
                                          .scale = type == AF_TYPE_DECIMAL ? was->scale : 0,
                                          .is_local = type == AF_TYPE_TIME && was->is_local };
    }
    *out = (struct af_schema){ count, fields };
    return AF_OK;
}

bool af_letter_fits(const struct af_letter *letter, const struct af_schema *like, const struct af_schema *schema)
{
    size_t at = 0;
    for (const struct af_json *value = letter->row_data->first; value != NULL; value = value->next, at++) {
        if (at == schema->field_count || !af_slice_is(value->key, schema->fields[at].name))
            return false;
        enum af_type type = type_of(value, find_like(like, value->key));
        if (type != schema->fields[at].type)
            return false;
    }
    return at == schema->field_count;
}

static enum af_status no_room(struct af_arena *arena, struct af_error *err)
{
    return af_arena_fail(arena, 0, "rows of dead letters", err);
}

/* The member of row `row` at place `column`; each row has as many. */
static const struct af_json *cell(const struct af_letter *letter, size_t column)
{
    const struct af_json *value = letter->row_data->first;
    while (column-- > 0)
        value = value->next;
    return value;
}

static enum af_status text_column(struct af_letter *const *letters, size_t count, size_t at, struct af_arena *arena,
                                  struct af_column *out, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, INT32_MAX);
    int32_t *offsets = af_arena_array(arena, count + 1, sizeof *offsets);
    for (size_t row = 0; offsets != NULL && row < count; row++) {
        const struct af_json *value = cell(letters[row], at);
        offsets[row] = (int32_t)text.len;
        if (value->kind == AF_JSON_STRING)
            af_buf_append_slice(&text, value->text);
        else if (value->kind != AF_JSON_NULL)
            af_json_append(&text, value);
    }
    enum af_status status = offsets != NULL ? af_buf_check(&text, "rows of dead letters", err) : no_room(arena, err);
    char *bytes = status == AF_OK ? af_arena_copy(arena, af_buf_slice(&text)) : NULL;
    if (status == AF_OK && bytes == NULL)
        status = no_room(arena, err);
    if (status == AF_OK) {
        offsets[count] = (int32_t)text.len;
        out->offsets = offsets;
        out->bytes = bytes;
    }
    af_buf_done(&text);
    return status;
}

static void set_number(const struct af_json *value, const struct af_field *field, size_t row, void *values)
{
    bool ignored;
    switch (field->type) {
    case AF_TYPE_BOOL:
        if (value->is_true)
            af_bit_set(values, row);
        break;
    case AF_TYPE_I64:
        (void)af_i64_parse(value->text, (int64_t *)values + row);
        break;
    case AF_TYPE_U64:
        (void)af_u64_parse(value->text, (uint64_t *)values + row);
        break;
    case AF_TYPE_F64:
        if (value->kind == AF_JSON_STRING)
            (void)parse_odd_f64(value->text, (double *)values + row);
        else
            (void)af_f64_parse(value->text, (double *)values + row);
        break;
    case AF_TYPE_TIME:
        (void)af_time_parse(value->text, (int64_t *)values + row, &ignored);
        break;
    default:
        (void)parse_decimal(value->text, field->scale, (__int128 *)values + row);
        break;
    }
}

static enum af_status make_column(struct af_letter *const *letters, size_t count, size_t at, const struct af_field *field,
                                  struct af_arena *arena, struct af_column *out, struct af_error *err)
{
    uint64_t *validity = af_bits_new(arena, count, true);
    size_t bytes = field->type == AF_TYPE_DECIMAL ? sizeof(__int128) : sizeof(int64_t);
    void *values = af_arena_array(arena, count, bytes); /* enough for a bitmap too */
    if (validity == NULL || values == NULL)
        return no_room(arena, err);
    memset(values, 0, count * bytes);
    *out = (struct af_column){ .type = field->type, .scale = field->scale, .validity = validity };
    for (size_t row = 0; row < count; row++) {
        if (cell(letters[row], at)->kind == AF_JSON_NULL) {
            af_bit_clear(validity, row);
            out->null_count++;
        } else if (!af_type_is_text(field->type)) {
            set_number(cell(letters[row], at), field, row, values);
        }
    }
    if (af_type_is_text(field->type))
        return text_column(letters, count, at, arena, out, err);
    out->values = values;
    return AF_OK;
}

enum af_status af_letters_batch(struct af_letter *const *letters, size_t count, const struct af_schema *schema, struct af_arena *arena,
                                struct af_batch *out, struct af_error *err)
{
    struct af_column *columns = af_arena_zero(arena, schema->field_count, sizeof *columns);
    if (columns == NULL)
        return no_room(arena, err);
    for (size_t i = 0; i < schema->field_count; i++)
        AF_TRY(make_column(letters, count, i, &schema->fields[i], arena, &columns[i], err));
    *out = (struct af_batch){ .schema = schema, .row_count = count, .columns = columns };
    return AF_OK;
}

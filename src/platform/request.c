/*
 * request.c - a body read: its members by name and type, and statements of InfluxQL that only read.
 *
 * A member that is null is one that is not there; members we do not know are not looked at.
 */
#include "base/limits.h"
#include "platform/platform_int.h"
#include <stdio.h>

enum { NAME_BYTES_MAX = AF_SERVER_NAME_BYTES_MAX };

static const char *kind_name(enum af_json_kind kind)
{
    static const char *const names[] = { "null", "a boolean", "a number", "text", "a list", "an object" };
    return names[kind];
}

/* *out NULL: it is not there. */
static enum af_status member(const struct af_json *object, const char *place, const char *name, enum af_json_kind kind,
                             const struct af_json **out, struct af_error *err)
{
    const struct af_json *found = af_json_get(object, name);
    *out = found != NULL && found->kind != AF_JSON_NULL ? found : NULL;
    if (*out != NULL && found->kind != kind)
        return af_fail(err, AF_EINVAL, "\"%s%s\" must be %s, not %s", place, name, kind_name(kind), kind_name(found->kind));
    return AF_OK;
}

static enum af_status read_text(const struct af_json *body, struct platform_query *out, struct af_error *err)
{
    const struct af_json *text;
    AF_TRY(member(body, "", "query", AF_JSON_STRING, &text, err));
    if (text == NULL)
        return af_fail(err, AF_EINVAL, "\"query\" is missing: the text of the query");
    out->text = af_slice_trim(text->text);
    if (out->text.len == 0)
        return af_fail(err, AF_EINVAL, "\"query\" is empty");
    if (text->text.len > AF_PLATFORM_TEXT_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "\"query\" has %zu bytes; no more than %d are taken", text->text.len, AF_PLATFORM_TEXT_BYTES_MAX);
    return AF_OK;
}

/* "database", or "database/policy" as everywhere here. */
static enum af_status read_place(const struct af_json *body, struct af_arena *arena, struct platform_query *out, struct af_error *err)
{
    const struct af_json *name;
    AF_TRY(member(body, "", "database", AF_JSON_STRING, &name, err));
    if (name == NULL || name->text.len == 0)
        return AF_OK;
    if (name->text.len > NAME_BYTES_MAX || memchr(name->text.ptr, '\0', name->text.len) != NULL)
        return af_fail(err, AF_EINVAL, "\"database\" is no name of a database: it has a zero byte, or more than %d bytes", NAME_BYTES_MAX);
    const char *slash = memchr(name->text.ptr, '/', name->text.len);
    size_t len = slash != NULL ? (size_t)(slash - name->text.ptr) : name->text.len;
    out->database = af_arena_copy(arena, af_slice_make(name->text.ptr, len));
    if (slash != NULL && len + 1 < name->text.len)
        out->policy = af_arena_copy(arena, af_slice_make(slash + 1, name->text.len - len - 1));
    bool is_kept = out->database != NULL && (out->policy != NULL || slash == NULL || len + 1 == name->text.len);
    return is_kept ? AF_OK : af_fail_nomem(err, "a request");
}

static enum af_status read_limit(const struct af_json *options, uint64_t rows_max, struct platform_query *out, struct af_error *err)
{
    const struct af_json *limit;
    int64_t value;
    AF_TRY(member(options, "options.", "limit", AF_JSON_NUMBER, &limit, err));
    out->limit = rows_max;
    if (limit == NULL)
        return AF_OK;
    if (!af_json_i64(limit, &value) || value < 1)
        return af_fail(err, AF_EINVAL, "\"options.limit\" must be a whole number from 1 on");
    if ((uint64_t)value < rows_max)
        out->limit = (uint64_t)value;
    return AF_OK;
}

static enum af_status read_options(const struct af_json *body, uint64_t rows_max, struct platform_query *out, struct af_error *err)
{
    const struct af_json *options, *format, *metadata;
    AF_TRY(member(body, "", "options", AF_JSON_OBJECT, &options, err));
    AF_TRY(member(options, "options.", "format", AF_JSON_STRING, &format, err));
    AF_TRY(member(options, "options.", "include_metadata", AF_JSON_BOOL, &metadata, err));
    if (format != NULL && !af_slice_is(format->text, "json"))
        return af_fail(err, AF_EINVAL, "\"options.format\" must be \"json\", not \"%.*s\"",
                       (int)(format->text.len < 40 ? format->text.len : 40), format->text.ptr);
    out->has_metadata = metadata == NULL || metadata->is_true;
    return read_limit(options, rows_max, out, err);
}

static enum af_status parse_body(struct af_slice body, struct af_arena *arena, struct af_json **out, struct af_error *err)
{
    if (body.len > AF_SERVER_TEXT_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "the body has %zu bytes; no more than %d are taken", body.len, AF_SERVER_TEXT_BYTES_MAX);
    if (af_slice_trim(body).len == 0)
        return af_fail(err, AF_EINVAL, "the body is empty: it must be a JSON object with \"query\"");
    enum af_status status = af_json_parse(body, arena, out, err);
    if (status == AF_ECORRUPT || status == AF_ELIMIT)
        af_error_prefix(err, "the body is not the JSON that is taken here: ");
    if (status != AF_OK)
        return status;
    if ((*out)->kind != AF_JSON_OBJECT)
        return af_fail(err, AF_EINVAL, "the body must be a JSON object with \"query\", not %s", kind_name((*out)->kind));
    return AF_OK;
}

enum af_status platform_query_read(struct af_slice body, bool is_flux, uint64_t rows_max, struct af_arena *arena,
                                   struct platform_query *out, struct af_error *err)
{
    struct af_json *json;
    *out = (struct platform_query){ .is_flux = is_flux };
    AF_TRY(parse_body(body, arena, &json, err));
    AF_TRY(read_text(json, out, err));
    if (!is_flux)
        AF_TRY(read_place(json, arena, out, err));
    return read_options(json, rows_max, out, err);
}

bool af_platform_is_question(struct af_slice body)
{
    struct af_arena arena;
    struct af_json *json;
    struct af_slice trimmed = af_slice_trim(body);
    if (trimmed.len == 0 || trimmed.ptr[0] != '{' || body.len > AF_SERVER_TEXT_BYTES_MAX)
        return false;
    af_arena_init(&arena, 128 << 20);
    bool is_question = af_json_parse(body, &arena, &json, NULL) == AF_OK && af_json_get(json, "question") != NULL;
    af_arena_done(&arena);
    return is_question;
}

const char platform_no_statement[] = "the query has no statement";

/* --- statements that read ------------------------------------------------------------------------------------------------------ */

static bool select_reads(const struct af_ql_select *select)
{
    if (select == NULL)
        return true;
    if (select->target != NULL)
        return false;
    for (size_t i = 0; i < select->source_count; i++)
        if (!select_reads(select->sources[i].subquery))
            return false;
    return true;
}

static bool kind_reads(enum af_ql_kind kind)
{
    switch (kind) {
    case AF_QL_SELECT:
    case AF_QL_EXPLAIN:
    case AF_QL_EXPLAIN_ANALYZE:
    case AF_QL_SHOW_DATABASES:
    case AF_QL_SHOW_POLICIES:
    case AF_QL_SHOW_MEASUREMENTS:
    case AF_QL_SHOW_SERIES:
    case AF_QL_SHOW_TAG_KEYS:
    case AF_QL_SHOW_TAG_VALUES:
    case AF_QL_SHOW_FIELD_KEYS:
    case AF_QL_SHOW_SERIES_CARDINALITY:
    case AF_QL_SHOW_MEASUREMENT_CARDINALITY:
    case AF_QL_SHOW_TAG_KEY_CARDINALITY:
    case AF_QL_SHOW_TAG_VALUES_CARDINALITY:
    case AF_QL_SHOW_FIELD_KEY_CARDINALITY: return true;
    default: return false;
    }
}

/* The statement's first two words: a password may stand further on. */
static struct af_slice first_words(struct af_slice text)
{
    size_t at = 0, words = 0;
    while (at < text.len && at < 60 && !((unsigned char)text.ptr[at] <= ' ' && ++words == 2))
        at++;
    return af_slice_make(text.ptr, at);
}

enum af_status platform_statement_reads(const struct af_ql_statement *statement, struct af_error *err)
{
    if (!kind_reads(statement->kind))
        return af_fail(err, AF_EDENIED, "this path only reads, and does not take \"%.*s ...\"", AF_SLICE_ARG(first_words(statement->text)));
    if (!select_reads(statement->select))
        return af_fail(err, AF_EDENIED, "this path only reads, and does not take SELECT ... INTO");
    return AF_OK;
}

enum af_status platform_statements_read(struct af_slice text, struct af_arena *arena, struct af_ql_statement **out, struct af_error *err)
{
    enum af_status status = af_ql_parse(text, NULL, arena, out, err);
    if (status == AF_EINVAL || status == AF_ELIMIT)
        af_error_prefix(err, "error parsing query: ");
    AF_TRY(status);
    for (const struct af_ql_statement *st = *out; st != NULL; st = st->next)
        AF_TRY(platform_statement_reads(st, err));
    return *out != NULL ? AF_OK : af_fail(err, AF_EINVAL, "%s", platform_no_statement);
}

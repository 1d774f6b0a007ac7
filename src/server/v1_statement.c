/*
 * v1_statement.c - InfluxQL's statements of management, read into v1_statement.h's form. Small and separate on purpose: it knows whole
 * statements and conditions on tags and time, no expressions, no regular expressions.
 *
 * Messages are InfluxDB's: "found X, expected A, B at line 1, char 8".
 */
#include "server/v1_statement.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "server/v1_token.h"

enum { WORDS_BYTES = 256, NESTING_MAX = 64, GRANT_READ = 1, GRANT_WRITE = 2, GRANT_ALL = 3 };

struct reader {
    struct v1_scanner scanner;
    struct v1_token token;       /* the one that is looked at */
    size_t last_end;             /* of the one before */
    struct af_arena *arena;
    struct af_error *err;
    enum af_status status;
    int64_t now_ns;
    unsigned depth;
};
typedef bool (*read_fn)(struct reader *r, struct v1_statement *st);
struct word {
    const char *word;
    read_fn read;
};

/* --- tokens ---------------------------------------------------------------------------------------------------------------- */

static bool fail_memory(struct reader *r)
{
    r->status = af_fail_nomem(r->err, "a query");
    return false;
}

static void next(struct reader *r)
{
    r->last_end = r->token.end;
    r->token = v1_scan(&r->scanner);
    if (r->token.text == NULL) {
        (void)fail_memory(r);
        r->token.text = "";
    }
}

static bool fail_place(struct reader *r, const char *words)
{
    if (r->status == AF_OK)
        r->status = af_fail(r->err, AF_EINVAL, "error parsing query: %s at line %u, char %u", words, r->token.line, r->token.column);
    return false;
}

static bool expected(struct reader *r, const char *wanted)
{
    if (r->status == AF_OK)
        r->status = af_fail(r->err, AF_EINVAL, "error parsing query: found %s, expected %s at line %u, char %u", r->token.text, wanted,
                            r->token.line, r->token.column);
    return false;
}

static bool is_word(const struct reader *r, const char *word)
{
    return r->token.kind == V1_KEYWORD && strcmp(r->token.text, word) == 0;
}

static bool is_sign(const struct reader *r, const char *sign)
{
    return r->token.kind == V1_SIGN && strcmp(r->token.text, sign) == 0;
}

static bool try_word(struct reader *r, const char *word)
{
    bool is = is_word(r, word);
    if (is)
        next(r);
    return is;
}

static bool try_sign(struct reader *r, const char *sign)
{
    bool is = is_sign(r, sign);
    if (is)
        next(r);
    return is;
}

static bool take_word(struct reader *r, const char *word)
{
    return try_word(r, word) || expected(r, word);
}

static bool take_ident(struct reader *r, const char **out)
{
    if (r->token.kind != V1_IDENT)
        return expected(r, "identifier");
    *out = r->token.text;
    next(r);
    return true;
}

static bool take_string(struct reader *r, const char **out)
{
    if (r->token.kind != V1_STRING)
        return expected(r, "string");
    *out = r->token.text;
    next(r);
    return true;
}

static bool take_duration(struct reader *r, int64_t *out_ns)
{
    *out_ns = 0;
    if (try_word(r, "INF"))
        return true;
    if (r->token.kind != V1_DURATION)
        return expected(r, "duration");
    if (!v1_duration_parse(r->token.text, out_ns))
        return fail_place(r, "invalid duration");
    next(r);
    return true;
}

static bool take_count(struct reader *r, uint64_t *out)
{
    if (r->token.kind != V1_INTEGER || !af_u64_parse(af_slice_of(r->token.text), out))
        return expected(r, "integer");
    next(r);
    return true;
}

static bool take_replication(struct reader *r)
{
    struct reader before = *r;
    char words[WORDS_BYTES];
    uint64_t n;
    if (!take_count(r, &n))
        return false;
    if (n >= 1 && n <= INT32_MAX)
        return true;
    *r = before;
    struct af_buf text;
    af_buf_init(&text, sizeof words);
    af_buf_printf(&text, "invalid value %s: must be 1 <= n <= 2147483647", r->token.text);
    (void)fail_place(r, af_buf_cstr(&text));
    af_buf_done(&text);
    return false;
}

/* One of several words decides how to go on. */
static bool choose(struct reader *r, struct v1_statement *st, const struct word *words)
{
    struct af_buf all;
    for (const struct word *w = words; w->word != NULL; w++) {
        if (try_word(r, w->word))
            return w->read(r, st);
    }
    af_buf_init(&all, WORDS_BYTES);
    for (const struct word *w = words; w->word != NULL; w++)
        af_buf_printf(&all, "%s%s", w == words ? "" : ", ", w->word);
    (void)expected(r, af_buf_cstr(&all));
    af_buf_done(&all);
    return false;
}

/* --- conditions -------------------------------------------------------------------------------------------------------------- */

static struct af_predicate *new_predicate(struct reader *r, enum af_predicate_op op)
{
    struct af_predicate *p = af_arena_zero(r->arena, 1, sizeof *p);
    if (p == NULL)
        (void)fail_memory(r);
    else
        p->op = op;
    return p;
}

/* Both, where one may be missing (it was about time). */
static bool join(struct reader *r, enum af_predicate_op op, const struct af_predicate *a, const struct af_predicate *b,
                 const struct af_predicate **out)
{
    *out = a != NULL ? a : b;
    if (a == NULL || b == NULL)
        return true;
    struct af_predicate *both = new_predicate(r, op);
    const struct af_predicate **items = af_arena_zero(r->arena, 2, sizeof *items);
    if (both == NULL || items == NULL)
        return fail_memory(r);
    items[0] = a;
    items[1] = b;
    both->items = items;
    both->item_count = 2;
    *out = both;
    return true;
}

/* now(), now() - 1d, 'date', ns, 10s (since 1970). */
static bool take_time(struct reader *r, int64_t *out_ns)
{
    bool has_zone, is_ok = true;
    if (r->token.kind == V1_IDENT && strcmp(r->token.text, "now") == 0) {
        *out_ns = r->now_ns;
        next(r);
        if (!try_sign(r, "(") || !try_sign(r, ")"))
            return expected(r, "now()");
        bool is_plus = is_sign(r, "+");
        if (!is_plus && !is_sign(r, "-"))
            return true;
        next(r);
        int64_t part = 0;
        is_ok = r->token.kind == V1_DURATION && v1_duration_parse(r->token.text, &part) &&
                !__builtin_add_overflow(*out_ns, is_plus ? part : -part, out_ns);
    } else if (r->token.kind == V1_STRING) {
        is_ok = af_time_parse(af_slice_of(r->token.text), out_ns, &has_zone);
    } else {
        bool is_negative = try_sign(r, "-");
        is_ok = r->token.kind == V1_DURATION ? v1_duration_parse(r->token.text, out_ns)
                                             : r->token.kind == V1_INTEGER && af_i64_parse(af_slice_of(r->token.text), out_ns);
        if (is_ok && is_negative)
            *out_ns = -*out_ns;
    }
    if (!is_ok)
        return expected(r, "a time");
    next(r);
    return true;
}

static bool narrow(struct reader *r, struct v1_statement *st, const char *op, int64_t ns)
{
    int64_t after = ns == INT64_MAX ? ns : ns + 1;
    bool is_equal = strcmp(op, "=") == 0;
    if (strcmp(op, ">=") == 0 || is_equal)
        st->start_ns = ns > st->start_ns ? ns : st->start_ns;
    if (strcmp(op, "<=") == 0 || is_equal)
        st->stop_ns = after < st->stop_ns ? after : st->stop_ns;
    if (strcmp(op, ">") == 0)
        st->start_ns = after > st->start_ns ? after : st->start_ns;
    if (strcmp(op, "<") == 0)
        st->stop_ns = ns < st->stop_ns ? ns : st->stop_ns;
    st->has_time = true;
    return strspn(op, "<>=") == strlen(op) && strcmp(op, "<>") != 0 ? true : fail_place(r, "invalid time condition");
}

static bool remember_tag(struct reader *r, struct v1_statement *st, const char *name)
{
    struct v1_key *key = af_arena_zero(r->arena, 1, sizeof *key);
    if (key == NULL)
        return fail_memory(r);
    *key = (struct v1_key){ name, st->tags };
    st->tags = key;
    return true;
}

static bool read_comparison(struct reader *r, struct v1_statement *st, const struct af_predicate **out)
{
    const char *name = NULL, *value = NULL;
    int64_t ns;
    if (r->token.kind != V1_IDENT)
        return expected(r, "identifier, string, number, bool");
    if (!take_ident(r, &name))
        return false;
    if (r->token.kind != V1_SIGN)
        return expected(r, "=, !=, <, <=, >, >=");
    const char *op = r->token.text;
    next(r);
    if (r->token.kind == V1_END)
        return expected(r, "identifier, string, number, bool");
    if (strcmp(name, "time") == 0)
        return take_time(r, &ns) && narrow(r, st, op, ns);
    bool is_equal = strcmp(op, "=") == 0;
    if (strcmp(op, "=~") == 0 || strcmp(op, "!~") == 0)
        return fail_place(r, "this version knows no regular expressions");
    if (r->token.kind != V1_STRING || (!is_equal && strcmp(op, "!=") != 0 && strcmp(op, "<>") != 0))
        return fail_place(r, "fields not supported in WHERE clause of this statement");
    struct af_predicate *p = new_predicate(r, is_equal ? AF_PREDICATE_EQUAL : AF_PREDICATE_NOT_EQUAL);
    if (p == NULL || !take_string(r, &value) || !remember_tag(r, st, name))
        return false;
    p->tag = af_slice_of(name);
    p->value = af_slice_of(value);
    *out = p;
    return true;
}

static bool read_or(struct reader *r, struct v1_statement *st, const struct af_predicate **out);

static bool read_term(struct reader *r, struct v1_statement *st, const struct af_predicate **out)
{
    *out = NULL;
    if (!is_sign(r, "("))
        return read_comparison(r, st, out);
    if (++r->depth > NESTING_MAX)
        return fail_place(r, "conditions are nested too deeply");
    next(r);
    if (!read_or(r, st, out))
        return false;
    r->depth--;
    return try_sign(r, ")") || expected(r, ")");
}

static bool read_and(struct reader *r, struct v1_statement *st, const struct af_predicate **out)
{
    const struct af_predicate *more;
    if (!read_term(r, st, out))
        return false;
    while (try_word(r, "AND"))
        if (!read_term(r, st, &more) || !join(r, AF_PREDICATE_AND, *out, more, out))
            return false;
    return true;
}

/* Time narrows the whole; under OR it would have to split it. */
static bool read_or(struct reader *r, struct v1_statement *st, const struct af_predicate **out)
{
    const struct af_predicate *more;
    bool had_time = st->has_time;
    st->has_time = false;
    if (!read_and(r, st, out))
        return false;
    while (try_word(r, "OR")) {
        if (!read_and(r, st, &more))
            return false;
        if (st->has_time)
            return fail_place(r, "time is not supported under OR");
        if (!join(r, AF_PREDICATE_OR, *out, more, out))
            return false;
    }
    st->has_time = st->has_time || had_time;
    return true;
}

static bool read_where(struct reader *r, struct v1_statement *st)
{
    if (!try_word(r, "WHERE"))
        return true;
    st->has_where = true;
    return read_or(r, st, &st->predicate);
}

/* --- clauses -------------------------------------------------------------------------------------------------------------------- */

static bool read_on(struct reader *r, struct v1_statement *st)
{
    return !try_word(r, "ON") || take_ident(r, &st->database);
}

static bool take_on(struct reader *r, struct v1_statement *st)
{
    return take_word(r, "ON") && take_ident(r, &st->database);
}

/* measurement, rp.measurement, db.rp.measurement, db..measurement */
static bool read_source(struct reader *r, struct v1_source *out)
{
    const char *parts[3] = { NULL };
    size_t count = 0;
    do {
        if (count == 3)
            return expected(r, ";");
        if (count == 1 && is_sign(r, "."))
            count++; /* db..m */
        else if (!take_ident(r, &parts[count++]))
            return false;
    } while (try_sign(r, "."));
    out->measurement = parts[count - 1];
    out->policy = count > 1 ? parts[count - 2] : NULL;
    out->database = count > 2 ? parts[0] : NULL;
    return out->measurement != NULL || expected(r, "identifier");
}

static bool read_from(struct reader *r, struct v1_statement *st)
{
    struct v1_source **link = &st->sources;
    if (!try_word(r, "FROM"))
        return true;
    do {
        struct v1_source *source = af_arena_zero(r->arena, 1, sizeof *source);
        if (source == NULL)
            return fail_memory(r);
        if (is_sign(r, "/"))
            return fail_place(r, "this version knows no regular expressions");
        if (!read_source(r, source))
            return false;
        *link = source;
        link = &source->next;
    } while (try_sign(r, ","));
    return true;
}

static bool read_limit(struct reader *r, struct v1_statement *st)
{
    if (try_word(r, "LIMIT") && !take_count(r, &st->limit))
        return false;
    return !try_word(r, "OFFSET") || take_count(r, &st->offset);
}

static bool add_key(struct reader *r, struct v1_key ***link)
{
    struct v1_key *key = af_arena_zero(r->arena, 1, sizeof *key);
    if (key == NULL)
        return fail_memory(r);
    if (!take_ident(r, &key->name))
        return false;
    **link = key;
    *link = &key->next;
    return true;
}

static bool read_keys(struct reader *r, struct v1_statement *st)
{
    struct v1_key **link = &st->keys;
    if (try_word(r, "IN")) {
        if (!try_sign(r, "("))
            return expected(r, "(");
        do {
            if (!add_key(r, &link))
                return false;
        } while (try_sign(r, ","));
        return try_sign(r, ")") || expected(r, ")");
    }
    if (is_sign(r, "=~") || is_sign(r, "!~"))
        return fail_place(r, "this version knows no regular expressions");
    st->is_not = is_sign(r, "!=") || is_sign(r, "<>");
    if (!st->is_not && !is_sign(r, "="))
        return expected(r, "IN, =, =~");
    next(r);
    return add_key(r, &link);
}

/* --- databases and policies ------------------------------------------------------------------------------------------------------- */

static bool read_shard(struct reader *r, struct v1_statement *st)
{
    st->has_shard = true;
    return take_word(r, "DURATION") && take_duration(r, &st->shard_ns);
}

static bool read_create_database(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_CREATE_DATABASE;
    if (!take_ident(r, &st->name))
        return false;
    if (!try_word(r, "WITH"))
        return true;
    st->has_options = true;
    if (!is_word(r, "DURATION") && !is_word(r, "NAME") && !is_word(r, "REPLICATION") && !is_word(r, "SHARD"))
        return expected(r, "DURATION, NAME, REPLICATION, SHARD");
    if (try_word(r, "DURATION")) {
        st->has_duration = true;
        if (!take_duration(r, &st->duration_ns))
            return false;
    }
    if (try_word(r, "REPLICATION") && !take_replication(r))
        return false;
    if (try_word(r, "SHARD") && !read_shard(r, st))
        return false;
    return !try_word(r, "NAME") || take_ident(r, &st->policy);
}

static bool read_create_policy(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_CREATE_POLICY;
    st->has_duration = true;
    if (!take_word(r, "POLICY") || !take_ident(r, &st->name) || !take_on(r, st) || !take_word(r, "DURATION") ||
        !take_duration(r, &st->duration_ns) || !take_word(r, "REPLICATION") || !take_replication(r))
        return false;
    if (try_word(r, "SHARD") && !read_shard(r, st))
        return false;
    st->is_default = try_word(r, "DEFAULT");
    return true;
}

static bool read_alter_policy(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_ALTER_POLICY;
    if (!take_word(r, "POLICY") || !take_ident(r, &st->name) || !take_on(r, st))
        return false;
    for (bool is_first = true;; is_first = false) {
        if (try_word(r, "DURATION")) {
            st->has_duration = true;
            if (!take_duration(r, &st->duration_ns))
                return false;
        } else if (try_word(r, "REPLICATION")) {
            if (!take_replication(r))
                return false;
        } else if (try_word(r, "SHARD")) {
            if (!read_shard(r, st))
                return false;
        } else if (try_word(r, "DEFAULT")) {
            st->is_default = true;
        } else {
            return !is_first || expected(r, "DURATION, REPLICATION, SHARD, DEFAULT");
        }
    }
}

static bool read_drop_database(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_DROP_DATABASE;
    return take_ident(r, &st->name);
}

static bool read_drop_policy(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_DROP_POLICY;
    return take_word(r, "POLICY") && take_ident(r, &st->name) && take_on(r, st);
}

static bool read_show_databases(struct reader *r, struct v1_statement *st)
{
    (void)r;
    st->kind = V1_SHOW_DATABASES;
    return true;
}

static bool read_show_policies(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_POLICIES;
    return take_word(r, "POLICIES") && read_on(r, st);
}

/* --- users ---------------------------------------------------------------------------------------------------------------------- */

static bool read_create_user(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_CREATE_USER;
    if (!take_ident(r, &st->user) || !take_word(r, "WITH") || !take_word(r, "PASSWORD") || !take_string(r, &st->password))
        return false;
    st->is_admin = try_word(r, "WITH");
    return !st->is_admin || (take_word(r, "ALL") && take_word(r, "PRIVILEGES"));
}

static bool read_drop_user(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_DROP_USER;
    return take_ident(r, &st->user);
}

static bool read_set(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SET_PASSWORD;
    if (!take_word(r, "PASSWORD") || !take_word(r, "FOR") || !take_ident(r, &st->user))
        return false;
    return (try_sign(r, "=") || expected(r, "=")) && take_string(r, &st->password);
}

static bool read_privilege(struct reader *r, struct v1_statement *st)
{
    if (try_word(r, "READ"))
        st->grant = GRANT_READ;
    else if (try_word(r, "WRITE"))
        st->grant = GRANT_WRITE;
    else if (try_word(r, "ALL"))
        st->grant = GRANT_ALL;
    else
        return expected(r, "READ, WRITE, ALL [PRIVILEGES]");
    if (st->grant == GRANT_ALL)
        (void)try_word(r, "PRIVILEGES");
    return true;
}

static bool read_given(struct reader *r, struct v1_statement *st, const char *to, enum v1_kind on_one, enum v1_kind on_all)
{
    if (!read_privilege(r, st))
        return false;
    st->kind = on_all;
    if (st->grant == GRANT_ALL && try_word(r, to))
        return take_ident(r, &st->user);
    if (st->grant == GRANT_ALL && !is_word(r, "ON"))
        return expected(r, strcmp(to, "TO") == 0 ? "ON, TO" : "ON, FROM");
    st->kind = on_one;
    return take_on(r, st) && take_word(r, to) && take_ident(r, &st->user);
}

static bool read_grant(struct reader *r, struct v1_statement *st)
{
    return read_given(r, st, "TO", V1_GRANT, V1_GRANT_ADMIN);
}

static bool read_revoke(struct reader *r, struct v1_statement *st)
{
    return read_given(r, st, "FROM", V1_REVOKE, V1_REVOKE_ADMIN);
}

static bool read_show_users(struct reader *r, struct v1_statement *st)
{
    (void)r;
    st->kind = V1_SHOW_USERS;
    return true;
}

static bool read_show_grants(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_GRANTS;
    return take_word(r, "FOR") && take_ident(r, &st->user);
}

/* --- what is stored ---------------------------------------------------------------------------------------------------------------- */

/* To its end, without understanding it. */
static bool read_other(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_OTHER;
    while (r->token.kind != V1_END && !is_sign(r, ";"))
        next(r);
    return r->status == AF_OK;
}

static bool read_delete(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_DELETE;
    if (!is_word(r, "FROM") && !is_word(r, "WHERE"))
        return expected(r, "FROM, WHERE");
    return read_from(r, st) && read_where(r, st);
}

static bool read_drop_series(struct reader *r, struct v1_statement *st)
{
    bool is_read = read_delete(r, st);
    st->kind = V1_DROP_SERIES;
    return is_read;
}

static bool read_drop_measurement(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_DROP_MEASUREMENT;
    return take_ident(r, &st->name);
}

static bool read_show_measurements(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_MEASUREMENTS;
    struct v1_key **link = &st->keys;
    if (!read_on(r, st))
        return false;
    if (try_word(r, "WITH")) {
        if (!take_word(r, "MEASUREMENT"))
            return false;
        if (is_sign(r, "=~") || is_sign(r, "!~"))
            return fail_place(r, "this version knows no regular expressions");
        if (!try_sign(r, "="))
            return expected(r, "=, =~");
        if (!add_key(r, &link))
            return false;
    }
    return read_where(r, st) && read_limit(r, st);
}

static bool read_show_listed(struct reader *r, struct v1_statement *st)
{
    return read_on(r, st) && read_from(r, st) && read_where(r, st) && read_limit(r, st);
}

static bool read_show_series(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_SERIES;
    return is_word(r, "CARDINALITY") || is_word(r, "EXACT") ? read_other(r, st) : read_show_listed(r, st);
}

static bool read_tag_keys(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_TAG_KEYS;
    return read_show_listed(r, st);
}

static bool read_field_keys(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_FIELD_KEYS;
    return read_on(r, st) && read_from(r, st) && read_limit(r, st);
}

static bool read_tag_values(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_TAG_VALUES;
    return read_on(r, st) && read_from(r, st) && take_word(r, "WITH") && take_word(r, "KEY") && read_keys(r, st) && read_where(r, st) &&
           read_limit(r, st);
}

static bool read_show_tag(struct reader *r, struct v1_statement *st)
{
    static const struct word words[] = { { "KEY", read_other }, { "KEYS", read_tag_keys }, { "VALUES", read_tag_values }, { NULL, NULL } };
    return choose(r, st, words);
}

static bool read_show_field(struct reader *r, struct v1_statement *st)
{
    static const struct word words[] = { { "KEY", read_other }, { "KEYS", read_field_keys }, { NULL, NULL } };
    return choose(r, st, words);
}

static bool read_show_queries(struct reader *r, struct v1_statement *st)
{
    (void)r;
    st->kind = V1_SHOW_QUERIES;
    return true;
}

static bool read_show_continuous(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_CONTINUOUS_QUERIES;
    return take_word(r, "QUERIES");
}

static bool read_show_subscriptions(struct reader *r, struct v1_statement *st)
{
    (void)r;
    st->kind = V1_SHOW_SUBSCRIPTIONS;
    return true;
}

static bool read_module(struct reader *r, struct v1_statement *st)
{
    return !try_word(r, "FOR") || take_string(r, &st->name);
}

static bool read_show_stats(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_STATS;
    return read_module(r, st);
}

static bool read_show_diagnostics(struct reader *r, struct v1_statement *st)
{
    st->kind = V1_SHOW_DIAGNOSTICS;
    return read_module(r, st);
}

/* --- statements ------------------------------------------------------------------------------------------------------------ */

static bool read_create(struct reader *r, struct v1_statement *st)
{
    static const struct word words[] = { { "CONTINUOUS", read_other }, { "DATABASE", read_create_database }, { "USER", read_create_user },
                                         { "RETENTION", read_create_policy }, { "SUBSCRIPTION", read_other }, { NULL, NULL } };
    return choose(r, st, words);
}

static bool read_drop(struct reader *r, struct v1_statement *st)
{
    static const struct word words[] = { { "CONTINUOUS", read_other }, { "DATABASE", read_drop_database },
                                         { "MEASUREMENT", read_drop_measurement }, { "RETENTION", read_drop_policy },
                                         { "SERIES", read_drop_series }, { "SHARD", read_other }, { "SUBSCRIPTION", read_other },
                                         { "USER", read_drop_user }, { NULL, NULL } };
    return choose(r, st, words);
}

static bool read_alter(struct reader *r, struct v1_statement *st)
{
    static const struct word words[] = { { "RETENTION", read_alter_policy }, { NULL, NULL } };
    return choose(r, st, words);
}

static bool read_show(struct reader *r, struct v1_statement *st)
{
    static const struct word words[] = {
        { "CONTINUOUS", read_show_continuous }, { "DATABASES", read_show_databases }, { "DIAGNOSTICS", read_show_diagnostics },
        { "FIELD", read_show_field }, { "GRANTS", read_show_grants }, { "MEASUREMENT", read_other },
        { "MEASUREMENTS", read_show_measurements }, { "QUERIES", read_show_queries }, { "RETENTION", read_show_policies },
        { "SERIES", read_show_series }, { "SHARD", read_other }, { "SHARDS", read_other }, { "STATS", read_show_stats },
        { "SUBSCRIPTIONS", read_show_subscriptions }, { "TAG", read_show_tag }, { "USERS", read_show_users }, { NULL, NULL },
    };
    return choose(r, st, words);
}

static bool read_statement(struct reader *r, struct v1_statement *st)
{
    static const struct word words[] = {
        { "SELECT", read_other }, { "DELETE", read_delete }, { "SHOW", read_show }, { "CREATE", read_create }, { "DROP", read_drop },
        { "EXPLAIN", read_other }, { "GRANT", read_grant }, { "REVOKE", read_revoke }, { "ALTER", read_alter }, { "SET", read_set },
        { "KILL", read_other }, { NULL, NULL },
    };
    size_t start = r->token.start;
    *st = (struct v1_statement){ .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .name = NULL };
    const char *first = r->token.text;
    if (!choose(r, st, words))
        return false;
    if (st->kind == V1_OTHER)
        st->name = first;
    st->text = af_slice_make(r->scanner.text.ptr + start, r->last_end - start);
    return r->token.kind == V1_END || is_sign(r, ";") || expected(r, ";");
}

enum af_status v1_statements_parse(struct af_slice text, int64_t now_ns, struct af_arena *arena, struct v1_statement **out,
                                   struct af_error *err)
{
    struct reader r = { .scanner = { .text = text, .arena = arena }, .arena = arena, .err = err, .now_ns = now_ns };
    struct v1_statement *first = NULL;
    struct v1_statement **link = &first;
    size_t count = 0;
    next(&r);
    while (r.status == AF_OK) {
        while (try_sign(&r, ";"))
            continue;
        if (r.token.kind == V1_END)
            break;
        if (count++ == AF_SERVER_STATEMENTS_MAX)
            return af_fail(err, AF_ELIMIT, "the query has more than %d statements; send them in several queries", AF_SERVER_STATEMENTS_MAX);
        struct v1_statement *st = af_arena_zero(arena, 1, sizeof *st);
        if (st == NULL)
            (void)fail_memory(&r);
        else if (read_statement(&r, st))
            *link = st;
        if (st != NULL)
            link = &st->next;
    }
    if (r.status == AF_OK)
        *out = first;
    return r.status;
}

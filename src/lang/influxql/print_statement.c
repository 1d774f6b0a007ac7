/* print_statement.c - whole statements; SELECT is print.c's. */
#include "base/calendar.h"
#include "lang/influxql/parse_int.h"

static void print_word_name(struct af_buf *out, const char *word, const char *name)
{
    if (name == NULL)
        return;
    af_buf_append_str(out, word);
    af_ql_print_name(out, name);
}

static void print_span(struct af_buf *out, const char *word, bool has, int64_t ns)
{
    if (!has)
        return;
    af_buf_append_str(out, word);
    af_ql_print_duration(out, ns);
}

/* --- SHOW, DELETE, DROP SERIES: the clauses in their order ----------------------------------------------------------------------- */

/* SELECT's clauses are printed by SELECT's printer: one without fields. */
static void print_clauses(struct af_buf *out, const struct af_ql_statement *s)
{
    struct af_ql_select tail = {
        .condition = s->condition, .dimensions = s->dimensions, .dimension_count = s->dimension_count, .sorts = s->sorts,
        .sort_count = s->sort_count, .limit = s->limit, .offset = s->offset, .slimit = s->slimit, .soffset = s->soffset,
    };
    struct af_ql_select from = { .sources = s->sources, .source_count = s->source_count };
    if (s->kind == AF_QL_SHOW_MEASUREMENTS && s->source_count != 0) {
        struct af_buf source;
        af_buf_init(&source, SIZE_MAX / 4);
        af_ql_print_select(&source, &from); /* " FROM x" */
        af_buf_append_str(out, s->sources->regex != NULL ? " WITH MEASUREMENT =~ " : " WITH MEASUREMENT = ");
        if (source.failed)
            out->failed = true;
        else
            af_buf_append(out, source.ptr + 6, source.len - 6);
        af_buf_done(&source);
    } else
        af_ql_print_select(out, &from);
    if (s->key != NULL) {
        af_buf_printf(out, " WITH KEY %s ", s->key->kind == AF_QL_LIST ? "IN" : af_ql_op_text(s->key_op));
        if (s->key->kind == AF_QL_STRING)
            af_ql_print_name(out, s->key->name);
        else
            af_ql_print_expr(out, s->key);
    }
    af_ql_print_select(out, &tail);
}

/* --- databases, policies, users -------------------------------------------------------------------------------------------------- */

/* Go's own text of a duration, 24h0m0s, where InfluxQL can read it: no fractions of a second but bare ones. */
static void print_go_span(struct af_buf *out, const char *word, int64_t ns)
{
    int64_t s = ns / AF_NS_PER_S;
    if (ns <= 0 || ns % AF_NS_PER_S != 0) {
        print_span(out, word, true, ns);
        return;
    }
    af_buf_append_str(out, word);
    if (s >= 3600)
        af_buf_printf(out, "%lldh", (long long)(s / 3600));
    if (s >= 60)
        af_buf_printf(out, "%lldm", (long long)(s / 60 % 60));
    af_buf_printf(out, "%llds", (long long)(s % 60));
}

static void print_create_database(struct af_buf *out, const struct af_ql_statement *s)
{
    print_word_name(out, "CREATE DATABASE ", s->name);
    if (s->has_duration || s->has_replication || s->has_shard || s->policy != NULL)
        af_buf_append_str(out, " WITH");
    if (s->has_duration)
        print_go_span(out, " DURATION ", s->duration_ns);
    if (s->has_replication)
        af_buf_printf(out, " REPLICATION %lld", (long long)s->replication);
    if (s->has_shard)
        print_go_span(out, " SHARD DURATION ", s->shard_ns);
    print_word_name(out, " NAME ", s->policy);
}

static void print_policy(struct af_buf *out, const struct af_ql_statement *s)
{
    bool is_new = s->kind == AF_QL_CREATE_POLICY;
    print_word_name(out, is_new ? "CREATE RETENTION POLICY " : "ALTER RETENTION POLICY ", s->name);
    print_word_name(out, " ON ", s->database);
    print_span(out, " DURATION ", s->has_duration, s->duration_ns);
    if (s->has_replication)
        af_buf_printf(out, " REPLICATION %lld", (long long)s->replication);
    print_span(out, " SHARD DURATION ", s->has_shard && (!is_new || s->shard_ns > 0), s->shard_ns);
    if (s->is_default)
        af_buf_append_str(out, " DEFAULT");
}

static void print_grant(struct af_buf *out, const struct af_ql_statement *s)
{
    static const char *const privileges[] = { "NO PRIVILEGES", "READ", "WRITE", "ALL PRIVILEGES" };
    bool is_grant = s->kind == AF_QL_GRANT || s->kind == AF_QL_GRANT_ADMIN;
    af_buf_append_str(out, is_grant ? "GRANT " : "REVOKE ");
    af_buf_append_str(out, privileges[s->privilege]);
    print_word_name(out, " ON ", s->database);
    print_word_name(out, is_grant ? " TO " : " FROM ", s->user);
}

static void print_cq(struct af_buf *out, const struct af_ql_statement *s)
{
    print_word_name(out, "CREATE CONTINUOUS QUERY ", s->name);
    print_word_name(out, " ON ", s->database);
    if (s->every_ns > 0 || s->for_ns > 0)
        af_buf_append_str(out, " RESAMPLE");
    print_span(out, " EVERY ", s->every_ns > 0, s->every_ns);
    print_span(out, " FOR ", s->for_ns > 0, s->for_ns);
    af_buf_append_str(out, " BEGIN ");
    af_ql_print_select(out, s->select);
    af_buf_append_str(out, " END");
}

static void print_subscription(struct af_buf *out, const struct af_ql_statement *s)
{
    print_word_name(out, s->kind == AF_QL_CREATE_SUBSCRIPTION ? "CREATE SUBSCRIPTION " : "DROP SUBSCRIPTION ", s->name);
    print_word_name(out, " ON ", s->database);
    print_word_name(out, ".", s->policy);
    if (s->kind == AF_QL_CREATE_SUBSCRIPTION)
        af_buf_append_str(out, s->is_all ? " DESTINATIONS ALL" : " DESTINATIONS ANY");
    for (size_t i = 0; i < s->destination_count; i++) {
        af_buf_append_str(out, i == 0 ? " " : ", ");
        af_ql_print_text(out, af_slice_of(s->destinations[i]));
    }
}

static void print_id(struct af_buf *out, const struct af_ql_statement *s)
{
    af_buf_printf(out, "%s %llu", s->kind == AF_QL_DROP_SHARD ? "DROP SHARD" : "KILL QUERY", (unsigned long long)s->id);
    print_word_name(out, " ON ", s->host);
}

static void print_user(struct af_buf *out, const struct af_ql_statement *s)
{
    bool is_new = s->kind == AF_QL_CREATE_USER;
    print_word_name(out, is_new ? "CREATE USER " : "SET PASSWORD FOR ", s->name);
    af_buf_append_str(out, is_new ? " WITH PASSWORD [REDACTED]" : " = [REDACTED]");
    if (s->is_admin)
        af_buf_append_str(out, " WITH ALL PRIVILEGES");
}

/* --- statements ------------------------------------------------------------------------------------------------------------------ */

/* The words of the others; an exact count has EXACT in front of its last one. */
static const char *words_of(enum af_ql_kind kind)
{
    static const char *const words[] = {
        [AF_QL_DELETE] = "DELETE",
        [AF_QL_DROP_SERIES] = "DROP SERIES",
        [AF_QL_DROP_MEASUREMENT] = "DROP MEASUREMENT",
        [AF_QL_DROP_DATABASE] = "DROP DATABASE",
        [AF_QL_DROP_POLICY] = "DROP RETENTION POLICY",
        [AF_QL_DROP_USER] = "DROP USER",
        [AF_QL_DROP_CQ] = "DROP CONTINUOUS QUERY",
        [AF_QL_SHOW_DATABASES] = "SHOW DATABASES",
        [AF_QL_SHOW_POLICIES] = "SHOW RETENTION POLICIES",
        [AF_QL_SHOW_MEASUREMENTS] = "SHOW MEASUREMENTS",
        [AF_QL_SHOW_SERIES] = "SHOW SERIES",
        [AF_QL_SHOW_TAG_KEYS] = "SHOW TAG KEYS",
        [AF_QL_SHOW_TAG_VALUES] = "SHOW TAG VALUES",
        [AF_QL_SHOW_FIELD_KEYS] = "SHOW FIELD KEYS",
        [AF_QL_SHOW_USERS] = "SHOW USERS",
        [AF_QL_SHOW_GRANTS] = "SHOW GRANTS FOR",
        [AF_QL_SHOW_CQS] = "SHOW CONTINUOUS QUERIES",
        [AF_QL_SHOW_SUBSCRIPTIONS] = "SHOW SUBSCRIPTIONS",
        [AF_QL_SHOW_QUERIES] = "SHOW QUERIES",
        [AF_QL_SHOW_SHARDS] = "SHOW SHARDS",
        [AF_QL_SHOW_SHARD_GROUPS] = "SHOW SHARD GROUPS",
        [AF_QL_SHOW_STATS] = "SHOW STATS",
        [AF_QL_SHOW_DIAGNOSTICS] = "SHOW DIAGNOSTICS",
        [AF_QL_SHOW_SERIES_CARDINALITY] = "SHOW SERIES",
        [AF_QL_SHOW_MEASUREMENT_CARDINALITY] = "SHOW MEASUREMENT",
        [AF_QL_SHOW_TAG_KEY_CARDINALITY] = "SHOW TAG KEY",
        [AF_QL_SHOW_TAG_VALUES_CARDINALITY] = "SHOW TAG VALUES",
        [AF_QL_SHOW_FIELD_KEY_CARDINALITY] = "SHOW FIELD KEY",
    };
    return (size_t)kind < sizeof words / sizeof words[0] ? words[kind] : NULL;
}

static void print_worded(struct af_buf *out, const struct af_ql_statement *s)
{
    af_buf_append_str(out, words_of(s->kind));
    if (s->kind >= AF_QL_SHOW_SERIES_CARDINALITY)
        af_buf_append_str(out, s->is_exact ? " EXACT CARDINALITY" : " CARDINALITY");
    if (s->name != NULL && (s->kind == AF_QL_SHOW_STATS || s->kind == AF_QL_SHOW_DIAGNOSTICS)) {
        af_buf_append_str(out, " FOR ");
        af_ql_print_text(out, af_slice_of(s->name));
    } else
        print_word_name(out, " ", s->name);
    print_word_name(out, " ON ", s->database);
    print_clauses(out, s);
}

void af_ql_print(struct af_buf *out, const struct af_ql_statement *s)
{
    switch (s->kind) {
    case AF_QL_EXPLAIN:
    case AF_QL_EXPLAIN_ANALYZE:
        af_buf_append_str(out, s->kind == AF_QL_EXPLAIN ? "EXPLAIN " : "EXPLAIN ANALYZE ");
        af_ql_print_select(out, s->select);
        break;
    case AF_QL_SELECT:
        af_ql_print_select(out, s->select);
        break;
    case AF_QL_CREATE_DATABASE:
        print_create_database(out, s);
        break;
    case AF_QL_CREATE_POLICY:
    case AF_QL_ALTER_POLICY:
        print_policy(out, s);
        break;
    case AF_QL_CREATE_USER:
    case AF_QL_SET_PASSWORD:
        print_user(out, s);
        break;
    case AF_QL_GRANT:
    case AF_QL_GRANT_ADMIN:
    case AF_QL_REVOKE:
    case AF_QL_REVOKE_ADMIN:
        print_grant(out, s);
        break;
    case AF_QL_CREATE_CQ:
        print_cq(out, s);
        break;
    case AF_QL_CREATE_SUBSCRIPTION:
    case AF_QL_DROP_SUBSCRIPTION:
        print_subscription(out, s);
        break;
    case AF_QL_DROP_SHARD:
    case AF_QL_KILL_QUERY:
        print_id(out, s);
        break;
    default:
        print_worded(out, s);
        break;
    }
}

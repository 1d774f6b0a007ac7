/*
 * parse_int.h - what the files of the parser share: runes, tokens, the parser's state. See lex.c and parse.c.
 */
#ifndef AF_LANG_INFLUXQL_PARSE_INT_H
#define AF_LANG_INFLUXQL_PARSE_INT_H
#include "lang/influxql/influxql.h"

/* --- tokens (lex.c) -------------------------------------------------------------------------------------------------------------- */

enum af_ql_token_kind {
#define AF_X(name, text) AF_QL_T_##name,
#include "lang/influxql/token.def"
#undef AF_X
    AF_QL_TOKEN_KINDS
};
struct af_ql_pos {
    uint32_t line, column;              /* from 0 */
};
struct af_ql_token {
    enum af_ql_token_kind kind;
    struct af_ql_pos pos;
    size_t start, end;                  /* bytes of the text */
    struct af_slice lit;                /* names and strings unescaped; NUL-terminated for IDENT and STRING; empty for keywords */
};
/* Where reading stands. Kept and put back to unread. */
struct af_ql_place {
    size_t at;
    struct af_ql_pos next, last;        /* of the next character; of the one read last */
    bool has_ended;                     /* the end was read once: it counts as one character */
};
enum { AF_QL_RING = 3 };
struct af_ql_lexer {
    struct af_slice text;
    struct af_ql_place place;
    struct af_ql_token ring[AF_QL_RING]; /* the last tokens, for unscan */
    size_t newest, unscanned;
    const struct af_ql_params *params;
    struct af_arena *arena;
    struct af_buf scratch;
    enum af_status status;              /* not AF_OK: memory ran out, or parameters failed; from then on there is only EOF */
    struct af_error *err;
};
void af_ql_lex_init(struct af_ql_lexer *lex, struct af_slice text, const struct af_ql_params *params, struct af_arena *arena,
                    struct af_error *err);
void af_ql_lex_done(struct af_ql_lexer *lex);
const struct af_ql_token *af_ql_scan(struct af_ql_lexer *lex);       /* white space and comments are tokens; valid for two more scans */
const struct af_ql_token *af_ql_scan_skip(struct af_ql_lexer *lex);  /* the next one that is neither */
const struct af_ql_token *af_ql_scan_regex(struct af_ql_lexer *lex); /* /regex/, unless a token was unscanned */
void af_ql_unscan(struct af_ql_lexer *lex);
uint32_t af_ql_peek(struct af_ql_lexer *lex);                        /* next character behind the tokens that were read; 0: the end */
const char *af_ql_token_text(enum af_ql_token_kind kind);
enum af_ql_token_kind af_ql_keyword(struct af_slice word);           /* IDENT: it is none */

/* --- the parser's state (parse.c) ------------------------------------------------------------------------------------------------ */

struct af_ql_pending {                  /* operand and the operator behind it, waiting for the other operand */
    struct af_ql_expr *operand;
    enum af_ql_op op;
};
struct af_ql_parser {
    struct af_ql_lexer lex;
    struct af_arena *arena;
    struct af_error *err;
    size_t wanted;                      /* bytes that were asked for last: what failed, if it failed */
    size_t depth;                       /* of parentheses, calls and subqueries */
    struct af_ql_pending *pending;      /* a stack that nested expressions share */
    size_t pending_count, pending_cap;
};

/* "found X, expected A, B at line 1, char 8" */
AF_MUST_CHECK enum af_status af_ql_unexpected(struct af_ql_parser *p, const struct af_ql_token *found, const char *expected);
/* "message at line 1, char 8" */
AF_MUST_CHECK enum af_status af_ql_fault(struct af_ql_parser *p, struct af_ql_pos pos, const char *fmt, ...) AF_PRINTF(3, 4);
AF_MUST_CHECK enum af_status af_ql_nomem(struct af_ql_parser *p);
/* Room for one more item behind `count` of them: the array, moved or not; NULL: no memory. It grows at powers of two, so never skip one. */
void *af_ql_grow(struct af_ql_parser *p, void *items, size_t count, size_t item_bytes);
void *af_ql_zero(struct af_ql_parser *p, size_t count, size_t bytes); /* NULL: no memory, then af_ql_nomem */
/* One level deeper: AF_ELIMIT past AF_QUERY_DEPTH_MAX. `depth` goes back by hand. */
AF_MUST_CHECK enum af_status af_ql_enter(struct af_ql_parser *p);

bool af_ql_accept(struct af_ql_parser *p, enum af_ql_token_kind kind);                                 /* if it comes next */
AF_MUST_CHECK enum af_status af_ql_require(struct af_ql_parser *p, enum af_ql_token_kind kind);        /* names itself in the error */
AF_MUST_CHECK enum af_status af_ql_parse_name(struct af_ql_parser *p, const char **out);               /* an identifier */
AF_MUST_CHECK enum af_status af_ql_parse_optional_name(struct af_ql_parser *p, enum af_ql_token_kind before, const char **out);
AF_MUST_CHECK enum af_status af_ql_parse_text(struct af_ql_parser *p, const char **out);               /* 'string' */
AF_MUST_CHECK enum af_status af_ql_parse_count(struct af_ql_parser *p, int64_t min, int64_t max, int64_t *out);
AF_MUST_CHECK enum af_status af_ql_parse_id(struct af_ql_parser *p, uint64_t *out);
AF_MUST_CHECK enum af_status af_ql_parse_span(struct af_ql_parser *p, bool can_be_inf, int64_t *out);  /* a duration; INF is 0 */
static inline const char *af_ql_or_null(const char *name)
{
    return name != NULL && name[0] != '\0' ? name : NULL;
}

/* --- expressions (parse_expr.c) -------------------------------------------------------------------------------------------------- */

AF_MUST_CHECK enum af_status af_ql_expr_parse(struct af_ql_parser *p, struct af_ql_expr **out);
AF_MUST_CHECK enum af_status af_ql_regex_parse(struct af_ql_parser *p, struct af_ql_expr **out);       /* *out NULL: there is none */
/* a, a.b, a..c: at most three parts, "" where there is nothing between dots. */
AF_MUST_CHECK enum af_status af_ql_parts_parse(struct af_ql_parser *p, const char *out_parts[3], size_t *out_count);
struct af_ql_expr *af_ql_expr_new(struct af_arena *arena, enum af_ql_expr_kind kind);                  /* NULL: no memory */
int af_ql_precedence(enum af_ql_op op);
bool af_ql_is_word(struct af_slice lit, const char *lower);                                             /* without case */
bool af_ql_has_call(const struct af_ql_expr *expr);

/* --- clauses (parse_select.c) ---------------------------------------------------------------------------------------------------- */

/* SELECT was read already. */
enum af_ql_into { AF_QL_INTO_OPTIONAL, AF_QL_INTO_REQUIRED };
AF_MUST_CHECK enum af_status af_ql_select_parse(struct af_ql_parser *p, enum af_ql_into into, struct af_ql_select **out);
AF_MUST_CHECK enum af_status af_ql_source_parse(struct af_ql_parser *p, bool can_be_subquery, struct af_ql_source *out);
AF_MUST_CHECK enum af_status af_ql_sources_parse(struct af_ql_parser *p, bool can_be_subquery, struct af_ql_source **out,
                                                 size_t *out_count);
AF_MUST_CHECK enum af_status af_ql_where_parse(struct af_ql_parser *p, struct af_ql_expr **out);
AF_MUST_CHECK enum af_status af_ql_group_parse(struct af_ql_parser *p, struct af_ql_expr ***out, size_t *out_count);
AF_MUST_CHECK enum af_status af_ql_order_parse(struct af_ql_parser *p, struct af_ql_sort **out, size_t *out_count);
AF_MUST_CHECK enum af_status af_ql_limit_parse(struct af_ql_parser *p, enum af_ql_token_kind word, int64_t *out);
/* The width of GROUP BY time(); 0: there is none. AF_EINVAL: it is not one. */
AF_MUST_CHECK enum af_status af_ql_group_interval(const struct af_ql_select *select, int64_t *out, struct af_error *err);

/* --- statements (parse_show.c, parse_manage.c): each behind its words ------------------------------------------------------------ */

typedef enum af_status af_ql_statement_fn(struct af_ql_parser *p, struct af_ql_statement *out);
af_ql_statement_fn af_ql_parse_select, af_ql_parse_explain;
af_ql_statement_fn af_ql_parse_show, af_ql_parse_show_series, af_ql_parse_show_key, af_ql_parse_show_values, af_ql_parse_show_exact,
    af_ql_parse_show_for_name, af_ql_parse_show_for_module;
af_ql_statement_fn af_ql_parse_bare, af_ql_parse_drop_named, af_ql_parse_drop_on, af_ql_parse_delete, af_ql_parse_drop_shard,
    af_ql_parse_create_database, af_ql_parse_create_policy, af_ql_parse_alter_policy, af_ql_parse_create_user, af_ql_parse_set_password,
    af_ql_parse_grant, af_ql_parse_revoke, af_ql_parse_create_cq, af_ql_parse_create_subscription, af_ql_parse_drop_subscription,
    af_ql_parse_kill;

/* --- print.c --------------------------------------------------------------------------------------------------------------------- */

void af_ql_print_parts(struct af_buf *out, const char *const *parts, size_t count);
void af_ql_print_text(struct af_buf *out, struct af_slice text);  /* 'quoted' */
const char *af_ql_op_text(enum af_ql_op op);

/* --- values folded (reduce.c), times (literal.c) --------------------------------------------------------------------------------- */

/* Does the text look like a date, or a date and a time? */
bool af_ql_is_time_text(struct af_slice text);
/* Its instant, in ns, possibly past int64; false: it is none ("invalid timestamp string"). `zone` NULL: UTC. */
bool af_ql_time_parse(struct af_slice text, const struct af_zone *zone, __int128 *out_ns);
/* 2006-01-02T15:04:05Z, on the clock of the zone. Room for 64 bytes, NUL included. */
void af_ql_time_words(char dst[64], __int128 ns, const struct af_zone *zone);
static inline __int128 af_ql_time_of(const struct af_ql_expr *time)
{
    return ((__int128)1 << 64) * time->era + time->integer;
}
#endif

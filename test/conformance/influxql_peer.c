/*
 * influxql_peer.c - our parser of InfluxQL on a pipe, for influxql_parser.py.
 *
 *     request:  MODE BYTES [NOW] [ZONE]\n and so many bytes      answer:  ok|error BYTES\n, so many bytes, \n
 *
 *     query      statements, printed again, with ";\n" between them
 *     words      the kinds of the statements, as numbers
 *     expr       one expression, printed again
 *     duration   its nanoseconds
 *     span       nanoseconds, printed as a duration
 *     condition  start, stop, and the rest of a condition at NOW in ZONE
 *     reduce     an expression with its constants computed at NOW
 *     name       quoted if it must be
 *     text       quoted
 *     token      the first token: name, line, column (from 0), what it holds
 *     tokens     all of them, one a line; line ends in what they hold are written \n
 *     regex      the same of a text that begins with a regex
 *     param      NAME KIND VALUE, tabs between: for the next query only; no answer
 */
#include "lang/influxql/parse_int.h"
#include "os/zone.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PARAMS_MAX = 16, TEXT_MAX = 1 << 20 };

struct param {
    char name[64], kind[16], value[256];
};
struct params {
    struct param items[PARAMS_MAX];
    size_t count;
};

static enum af_status give(void *ctx, const char *name, struct af_arena *arena, struct af_ql_expr **out, struct af_error *err)
{
    struct params *params = ctx;
    struct param *param = params->items;
    while (param < params->items + params->count && strcmp(param->name, name) != 0)
        param++;
    if (param == params->items + params->count)
        return AF_OK;
    if (strcmp(param->kind, "error") == 0)
        return af_fail(err, AF_EINVAL, "%s", param->value);
    struct af_ql_expr *expr = af_arena_zero(arena, 1, sizeof *expr);
    if (expr == NULL)
        return af_arena_fail(arena, sizeof *expr, "a parameter", err);
    expr->name = param->value;
    expr->text = af_slice_of(param->value);
    *out = expr;
    if (strcmp(param->kind, "ident") == 0)
        expr->kind = AF_QL_REF;
    else if (strcmp(param->kind, "string") == 0)
        expr->kind = AF_QL_STRING;
    else if (strcmp(param->kind, "regex") == 0)
        expr->kind = AF_QL_REGEX;
    else if (strcmp(param->kind, "bool") == 0) {
        expr->kind = AF_QL_BOOLEAN;
        expr->boolean = strcmp(param->value, "true") == 0;
    } else if (strcmp(param->kind, "number") == 0) {
        expr->kind = AF_QL_NUMBER;
        expr->number = strtod(param->value, NULL);
    } else if (strcmp(param->kind, "integer") == 0) {
        expr->kind = AF_QL_INTEGER;
        expr->integer = strtoll(param->value, NULL, 10);
    } else {
        expr->kind = AF_QL_DURATION;
        return af_ql_duration_parse(expr->text, &expr->integer, err);
    }
    return AF_OK;
}

/* A request's text and what it is read with. */
struct request {
    char mode[16], zone_name[64];
    int64_t now_ns;
    struct af_slice text;
    struct params *params;
};

static enum af_status answer_query(const struct request *q, struct af_arena *arena, struct af_buf *out, struct af_error *err)
{
    struct af_ql_params params = { q->params, give };
    struct af_ql_statement *first = NULL;
    AF_TRY(af_ql_parse(q->text, &params, arena, &first, err));
    for (const struct af_ql_statement *s = first; s != NULL; s = s->next) {
        if (strcmp(q->mode, "words") == 0)
            af_buf_printf(out, "%d ", (int)s->kind);
        else {
            af_ql_print(out, s);
            af_buf_append_str(out, s->next != NULL ? ";\n" : "");
        }
    }
    return AF_OK;
}

static enum af_status answer_expr(const struct request *q, struct af_arena *arena, struct af_buf *out, struct af_error *err)
{
    struct af_ql_expr *expr, *rest;
    struct af_ql_range range;
    struct af_zone zone = { 0 };
    AF_TRY(af_ql_parse_expr(q->text, arena, &expr, err));
    AF_TRY(af_zone_find(af_slice_of(q->zone_name), &zone, err));
    rest = expr;
    if (strcmp(q->mode, "condition") == 0) {
        AF_TRY(af_ql_split_time(expr, q->now_ns, &zone, arena, &range, &rest, err));
        af_buf_printf(out, "%" PRId64 " %" PRId64 " ", range.start_ns, range.stop_ns);
    } else if (strcmp(q->mode, "reduce") == 0)
        AF_TRY(af_ql_reduce(expr, &q->now_ns, &zone, arena, &rest, err));
    if (rest != NULL)
        af_ql_print_expr(out, rest);
    return AF_OK;
}

static void print_token(struct af_buf *out, const struct af_ql_token *token)
{
    static const char *const names[] = {
#define AF_X(name, text) #name,
#include "lang/influxql/token.def"
#undef AF_X
    };
    af_buf_printf(out, "%s %u %u ", names[token->kind], token->pos.line, token->pos.column);
    for (size_t i = 0; i < token->lit.len; i++)
        if (token->lit.ptr[i] == '\n')
            af_buf_append_str(out, "\\n");
        else
            af_buf_append_char(out, token->lit.ptr[i]);
}

static enum af_status answer_tokens(const struct request *q, struct af_arena *arena, struct af_buf *out, struct af_error *err)
{
    struct af_ql_lexer lex;
    const struct af_ql_token *token;
    af_ql_lex_init(&lex, q->text, NULL, arena, err);
    do {
        token = strcmp(q->mode, "regex") == 0 ? af_ql_scan_regex(&lex) : af_ql_scan(&lex);
        print_token(out, token);
        af_buf_append_str(out, strcmp(q->mode, "tokens") == 0 ? "\n" : "");
    } while (token->kind != AF_QL_T_EOF && strcmp(q->mode, "tokens") == 0);
    af_ql_lex_done(&lex);
    return lex.status;
}

static enum af_status answer(const struct request *q, struct af_arena *arena, struct af_buf *out, struct af_error *err)
{
    int64_t ns;
    if (strcmp(q->mode, "query") == 0 || strcmp(q->mode, "words") == 0)
        return answer_query(q, arena, out, err);
    if (strcmp(q->mode, "duration") == 0) {
        AF_TRY(af_ql_duration_parse(q->text, &ns, err));
        af_buf_printf(out, "%" PRId64, ns);
        return AF_OK;
    }
    if (strcmp(q->mode, "span") == 0) {
        af_ql_print_duration(out, strtoll(q->text.ptr, NULL, 10));
        return AF_OK;
    }
    if (strcmp(q->mode, "name") == 0) {
        af_ql_print_name(out, q->text.ptr);
        return AF_OK;
    }
    if (strcmp(q->mode, "text") == 0) {
        struct af_ql_expr text = { .kind = AF_QL_STRING, .text = q->text };
        af_ql_print_expr(out, &text);
        return AF_OK;
    }
    if (strncmp(q->mode, "token", 5) == 0 || strcmp(q->mode, "regex") == 0)
        return answer_tokens(q, arena, out, err);
    return answer_expr(q, arena, out, err);
}

static void respond(const struct request *q)
{
    struct af_arena arena;
    struct af_buf out;
    struct af_error err = { 0 };
    af_arena_init(&arena, 256 << 20);
    af_buf_init(&out, 64 << 20);
    enum af_status status = answer(q, &arena, &out, &err);
    if (status != AF_OK) {
        af_buf_clear(&out);
        if (status != AF_EINVAL)
            af_buf_printf(&out, "%s: ", af_status_name(status));
        af_buf_append_str(&out, err.message);
    }
    printf("%s %zu\n", status == AF_OK ? "ok" : "error", out.len);
    if (out.len != 0)
        (void)fwrite(out.ptr, 1, out.len, stdout);
    putchar('\n');
    fflush(stdout);
    af_buf_done(&out);
    af_arena_done(&arena);
}

int main(void)
{
    static char text[TEXT_MAX + 1], line[256];
    static struct params params;
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct request q = { .params = &params };
        size_t bytes = 0;
        if (sscanf(line, "%15s %zu %" SCNd64 " %63s", q.mode, &bytes, &q.now_ns, q.zone_name) < 2 || bytes > TEXT_MAX ||
            fread(text, 1, bytes, stdin) != bytes)
            return 1;
        text[bytes] = '\0';
        q.text = (struct af_slice){ text, bytes };
        if (strcmp(q.mode, "param") != 0) {
            respond(&q);
            params.count = 0;
        } else if (params.count < PARAMS_MAX) {
            struct param *param = &params.items[params.count++];
            *param = (struct param){ 0 };
            if (sscanf(text, "%63[^\t]\t%15[^\t]\t%255[^\n]", param->name, param->kind, param->value) < 2)
                return 1;
        }
    }
    return 0;
}

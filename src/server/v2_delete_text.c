/*
 * v2_delete_text.c - the predicate of a 2.x delete: text to branches that the engine can erase.
 *
 *     expr  := group ("OR" group)*                 tag1="a" AND (tag2='b' OR tag2!=c) AND _measurement="m"
 *     group := term ("AND" term)*
 *     term  := "(" expr ")" | word ("=" | "==" | "!=") word
 *     word  := "..." | '...' | letters, digits, _ . - / :        backslash escapes in quotes
 *
 * InfluxDB 2.7 takes AND and = only; OR, != and brackets are ours. _measurement may stand where an AND (or an OR around ANDs) has it,
 * since the engine erases a measurement at a time: each branch of an OR becomes an erasure of its own. _field is refused, as InfluxDB
 * does: a point is deleted whole.
 */
#include "server/v2_delete.h"
#include <stdio.h>
#include <strings.h>

enum { DEPTH_MAX = 32, TEXT_BYTES_MAX = 64 << 10 };

struct scanner {
    struct af_slice text;
    size_t at;
    unsigned depth;
    struct af_arena *arena;
    struct af_error *err;
};

static enum af_status bad(struct scanner *s, const char *what)
{
    return af_fail(s->err, AF_EINVAL, "%s, at position %zu", what, s->at);
}

static enum af_status no_memory(struct scanner *s)
{
    return af_fail_nomem(s->err, "a predicate");
}

static void skip_space(struct scanner *s)
{
    while (s->at < s->text.len && strchr(" \t\r\n", s->text.ptr[s->at]) != NULL && s->text.ptr[s->at] != '\0')
        s->at++;
}

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c & 0x80) != 0 ||
           (c != '\0' && strchr("_.-/:", c) != NULL);
}

static bool take_char(struct scanner *s, char c)
{
    skip_space(s);
    if (s->at >= s->text.len || s->text.ptr[s->at] != c)
        return false;
    s->at++;
    return true;
}

/* AND, OR: in any case, and not the beginning of a longer word. */
static bool take_keyword(struct scanner *s, const char *word)
{
    size_t n = strlen(word);
    skip_space(s);
    if (s->text.len - s->at < n || strncasecmp(s->text.ptr + s->at, word, n) != 0)
        return false;
    if (s->at + n < s->text.len && is_word_char(s->text.ptr[s->at + n]))
        return false;
    s->at += n;
    return true;
}

static enum af_status take_quoted(struct scanner *s, struct af_slice *out)
{
    char quote = s->text.ptr[s->at++];
    char *text = af_arena_alloc(s->arena, s->text.len - s->at + 1);
    size_t n = 0;
    if (text == NULL)
        return no_memory(s);
    for (; s->at < s->text.len && s->text.ptr[s->at] != quote; s->at++) {
        if (s->text.ptr[s->at] == '\\' && s->at + 1 < s->text.len)
            s->at++;
        text[n++] = s->text.ptr[s->at];
    }
    if (s->at >= s->text.len)
        return bad(s, "bad string: its closing quote is missing");
    s->at++;
    text[n] = '\0';
    *out = (struct af_slice){ text, n };
    return AF_OK;
}

static enum af_status take_word(struct scanner *s, const char *what, struct af_slice *out)
{
    skip_space(s);
    if (s->at < s->text.len && (s->text.ptr[s->at] == '"' || s->text.ptr[s->at] == '\''))
        return take_quoted(s, out);
    size_t start = s->at;
    while (s->at < s->text.len && is_word_char(s->text.ptr[s->at]))
        s->at++;
    if (s->at == start)
        return bad(s, what);
    char *text = af_arena_copy(s->arena, (struct af_slice){ s->text.ptr + start, s->at - start });
    if (text == NULL)
        return no_memory(s);
    *out = (struct af_slice){ text, s->at - start };
    return AF_OK;
}

static enum af_status take_operator(struct scanner *s, enum af_predicate_op *out)
{
    *out = take_char(s, '!') ? AF_PREDICATE_NOT_EQUAL : AF_PREDICATE_EQUAL;
    if (!take_char(s, '='))
        return bad(s, "= or != is expected");
    if (s->at < s->text.len && s->text.ptr[s->at] == '=')
        s->at++;
    return AF_OK;
}

static enum af_status take_expr(struct scanner *s, const struct af_predicate **out);

static enum af_status take_term(struct scanner *s, const struct af_predicate **out)
{
    if (take_char(s, '(')) {
        AF_TRY(take_expr(s, out));
        return take_char(s, ')') ? AF_OK : bad(s, "a closing bracket is missing");
    }
    struct af_predicate *term = af_arena_zero(s->arena, 1, sizeof *term);
    if (term == NULL)
        return no_memory(s);
    AF_TRY(take_word(s, "bad logical expression: a tag name is expected", &term->tag));
    AF_TRY(take_operator(s, &term->op));
    AF_TRY(take_word(s, "a value is expected", &term->value));
    if (af_slice_is(term->tag, "_field"))
        return bad(s, "delete by field is not supported");
    *out = term;
    return AF_OK;
}

struct item {
    struct item *next;
    const struct af_predicate *predicate;
};

static enum af_status join(struct scanner *s, enum af_predicate_op op, const struct item *items, size_t count,
                           const struct af_predicate **out)
{
    if (count == 1) {
        *out = items->predicate;
        return AF_OK;
    }
    struct af_predicate *joined = af_arena_zero(s->arena, 1, sizeof *joined);
    const struct af_predicate **list = af_arena_zero(s->arena, count, sizeof *list);
    if (joined == NULL || list == NULL)
        return no_memory(s);
    for (size_t i = 0; i < count; i++, items = items->next)
        list[i] = items->predicate;
    *joined = (struct af_predicate){ .op = op, .items = list, .item_count = count };
    *out = joined;
    return AF_OK;
}

typedef enum af_status (*take_fn)(struct scanner *s, const struct af_predicate **out);

static enum af_status take_list(struct scanner *s, const char *keyword, enum af_predicate_op op, take_fn take,
    const struct af_predicate **out)
{
    struct item *first = NULL;
    struct item **last = &first;
    size_t count = 0;
    do {
        struct item *item = af_arena_zero(s->arena, 1, sizeof *item);
        if (item == NULL)
            return no_memory(s);
        AF_TRY(take(s, &item->predicate));
        *last = item;
        last = &item->next;
        count++;
    } while (take_keyword(s, keyword));
    return join(s, op, first, count, out);
}

static enum af_status take_group(struct scanner *s, const struct af_predicate **out)
{
    return take_list(s, "AND", AF_PREDICATE_AND, take_term, out);
}

static enum af_status take_expr(struct scanner *s, const struct af_predicate **out)
{
    if (++s->depth > DEPTH_MAX)
        return bad(s, "brackets are nested too deep");
    AF_TRY(take_list(s, "OR", AF_PREDICATE_OR, take_group, out));
    s->depth--;
    return AF_OK;
}

/* --- branches ---------------------------------------------------------------------------------------------------------------- */

static bool is_leaf(const struct af_predicate *p)
{
    return p->op == AF_PREDICATE_EQUAL || p->op == AF_PREDICATE_NOT_EQUAL;
}

static bool names_measurement(const struct af_predicate *p)
{
    if (is_leaf(p))
        return af_slice_is(p->tag, "_measurement");
    for (size_t i = 0; i < p->item_count; i++)
        if (names_measurement(p->items[i]))
            return true;
    return false;
}

/* One item of a branch's AND: its measurement, or a condition of its own. */
static enum af_status add_item(struct scanner *s, const struct af_predicate *p, struct delete_branch *branch, bool *out_is_empty,
                               bool *out_is_kept)
{
    *out_is_kept = !names_measurement(p);
    if (*out_is_kept)
        return AF_OK;
    if (p->op != AF_PREDICATE_EQUAL)
        return bad(s, "_measurement may only be compared with =, and in brackets only where an OR stands around ANDs");
    if (branch->measurement != NULL && strcmp(branch->measurement, p->value.ptr) != 0)
        *out_is_empty = true;
    branch->measurement = p->value.ptr;
    return AF_OK;
}

static enum af_status add_branch(struct scanner *s, const struct af_predicate *p, struct delete_branch ***last)
{
    struct delete_branch *branch = af_arena_zero(s->arena, 1, sizeof *branch);
    size_t count = p->op == AF_PREDICATE_AND ? p->item_count : 1;
    const struct af_predicate **kept = af_arena_zero(s->arena, count, sizeof *kept);
    struct af_predicate *rest = af_arena_zero(s->arena, 1, sizeof *rest);
    bool is_empty = false;
    if (branch == NULL || kept == NULL || rest == NULL)
        return no_memory(s);
    for (size_t i = 0; i < count; i++) {
        const struct af_predicate *item = p->op == AF_PREDICATE_AND ? p->items[i] : p;
        bool is_kept;
        AF_TRY(add_item(s, item, branch, &is_empty, &is_kept));
        if (is_kept)
            kept[rest->item_count++] = item;
    }
    rest->op = AF_PREDICATE_AND;
    rest->items = kept;
    branch->predicate = rest->item_count != 0 ? rest : NULL;
    if (is_empty)
        return AF_OK;
    **last = branch;
    *last = &branch->next;
    return AF_OK;
}

static enum af_status add_branches(struct scanner *s, const struct af_predicate *p, struct delete_branch ***last)
{
    if (p->op != AF_PREDICATE_OR || !names_measurement(p))
        return add_branch(s, p, last);
    for (size_t i = 0; i < p->item_count; i++)
        AF_TRY(add_branches(s, p->items[i], last));
    return AF_OK;
}

enum af_status delete_text_parse(struct af_slice text, struct af_arena *arena, struct delete_branch **out, struct af_error *err)
{
    struct scanner s = { .text = text, .arena = arena, .err = err };
    struct delete_branch *first = NULL;
    struct delete_branch **last = &first;
    const struct af_predicate *root = NULL;
    if (text.len > TEXT_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "the predicate has %zu bytes; at most %d are taken", text.len, TEXT_BYTES_MAX);
    skip_space(&s);
    if (s.at == text.len) {
        first = af_arena_zero(arena, 1, sizeof *first);
        if (first == NULL)
            return no_memory(&s);
        *out = first;
        return AF_OK;
    }
    AF_TRY(take_expr(&s, &root));
    skip_space(&s);
    if (s.at != text.len)
        return bad(&s, "bad logical expression: AND, OR or the end is expected");
    AF_TRY(add_branches(&s, root, &last));
    *out = first;
    return AF_OK;
}

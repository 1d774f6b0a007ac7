/*
 * lex.c - text to tokens. A token says what it is, where, and in `lit` what it holds.
 *
 *     characters --next()--> tokens --ring of 3--> parser
 *                      ^                 |
 *                      '-- peek, regex   '-- unscan: the parser gives back up to three
 *
 * Whether `/` divides or opens a regex is known to the parser only: it peeks at the character behind what was scanned and asks for a
 * regex. A token that was given back is then in the way, which InfluxDB shows in its errors and so do we.
 *
 * Characters are code points; a byte that is no UTF-8 reads as U+FFFD, \r and \r\n as \n. A NUL reads as the end of the text, anywhere.
 * The end counts as one character, the first time it is read. A place in an error is therefore a place in what was read, not in the bytes.
 */
#include "lang/influxql/parse_int.h"
#include "base/alloc.h"
#include "base/numbers.h"
#include "base/utf8.h"
#include <assert.h>

static const char *const texts[AF_QL_TOKEN_KINDS] = {
#define AF_X(name, text) text,
#include "lang/influxql/token.def"
#undef AF_X
};

const char *af_ql_token_text(enum af_ql_token_kind kind)
{
    return texts[kind];
}

/* --- characters ------------------------------------------------------------------------------------------------------------------ */

enum { MICRO = 0xb5, REPLACEMENT = 0xfffd };

static uint32_t decode(struct af_slice text, size_t *at)
{
    const unsigned char *s = (const unsigned char *)text.ptr + *at;
    bool is_valid = true;
    size_t len = s[0] < 0x80 ? 1 : af_utf8_sequence((const char *)s, text.len - *at, &is_valid);
    *at += is_valid ? len : 1;
    if (!is_valid)
        return REPLACEMENT;
    if (len == 1)
        return s[0];
    uint32_t rune = s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        rune = rune << 6 | (s[i] & 0x3fu);
    return rune;
}

static uint32_t next(struct af_ql_lexer *lex)
{
    struct af_ql_place *place = &lex->place;
    uint32_t rune = 0;
    if (place->at < lex->text.len) {
        rune = decode(lex->text, &place->at);
        if (rune == '\r') {
            rune = '\n';
            if (place->at < lex->text.len && lex->text.ptr[place->at] == '\n')
                place->at++;
        }
    }
    place->last = place->next;
    if (rune == '\n')
        place->next = (struct af_ql_pos){ place->next.line + 1, 0 };
    else if (!place->has_ended)
        place->next.column++;
    if (rune == 0)
        place->has_ended = true;
    return rune;
}

/* Read it if it is this one. */
static bool next_is(struct af_ql_lexer *lex, uint32_t wanted)
{
    struct af_ql_place before = lex->place;
    if (next(lex) == wanted)
        return true;
    lex->place = before;
    return false;
}

uint32_t af_ql_peek(struct af_ql_lexer *lex)
{
    struct af_ql_place before = lex->place;
    uint32_t rune = next(lex);
    if (rune != 0)
        lex->place = before;
    return rune;
}

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name(uint32_t c)
{
    return is_letter(c) || is_digit(c) || c == '_';
}

static bool is_unit(uint32_t c)
{
    return is_letter(c) || c == MICRO;
}

static bool is_unit_or_digit(uint32_t c)
{
    return is_unit(c) || is_digit(c);
}

/* Into scratch while they are of the kind. The end is eaten too, as in InfluxDB, when `eats_end`. */
static void take_while(struct af_ql_lexer *lex, bool (*is_kind)(uint32_t), bool eats_end)
{
    for (;;) {
        struct af_ql_place before = lex->place;
        uint32_t c = next(lex);
        if (!is_kind(c)) {
            if (c != 0 || !eats_end)
                lex->place = before;
            return;
        }
        af_utf8_append(&lex->scratch, c);
    }
}

/* --- keywords -------------------------------------------------------------------------------------------------------------------- */

static bool equals_folded(struct af_slice word, const char *upper)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (upper[i] == '\0' || c != upper[i])
            return false;
    }
    return upper[word.len] == '\0';
}

enum af_ql_token_kind af_ql_keyword(struct af_slice word)
{
    if (word.len < 2)
        return AF_QL_T_IDENT;
    for (size_t i = AF_QL_T_TRUE; i < AF_QL_TOKEN_KINDS; i++)
        if (equals_folded(word, texts[i]))
            return (enum af_ql_token_kind)i;
    if (equals_folded(word, "AND"))
        return AF_QL_T_AND;
    return equals_folded(word, "OR") ? AF_QL_T_OR : AF_QL_T_IDENT;
}

/* --- what tokens hold ------------------------------------------------------------------------------------------------------------ */

static struct af_ql_token stop(struct af_ql_lexer *lex, enum af_status status)
{
    lex->status = status;
    return (struct af_ql_token){ .kind = AF_QL_T_EOF, .pos = lex->place.last, .lit = { "", 0 } };
}

static struct af_ql_token token(enum af_ql_token_kind kind, struct af_ql_pos pos)
{
    return (struct af_ql_token){ .kind = kind, .pos = pos, .lit = { "", 0 } };
}

/* A token that holds what was taken into scratch. */
static struct af_ql_token token_taken(struct af_ql_lexer *lex, enum af_ql_token_kind kind, struct af_ql_pos pos)
{
    if (lex->scratch.failed)
        return stop(lex, af_buf_check(&lex->scratch, "a word of a query", lex->err));
    char *copy = af_arena_copy(lex->arena, af_buf_slice(&lex->scratch));
    if (copy == NULL)
        return stop(lex, af_arena_fail(lex->arena, lex->scratch.len, "a word of a query", lex->err));
    struct af_ql_token out = token(kind, pos);
    out.lit = (struct af_slice){ copy, lex->scratch.len };
    return out;
}

/* Behind the opening quote; `before` is the place in front of it. */
static struct af_ql_token scan_quoted(struct af_ql_lexer *lex, struct af_ql_place before, uint32_t quote)
{
    af_buf_clear(&lex->scratch);
    for (;;) {
        uint32_t c = next(lex);
        if (c == quote)
            return token_taken(lex, AF_QL_T_STRING, before.last);
        if (c == 0 || c == '\n')
            return token_taken(lex, AF_QL_T_BAD_STRING, before.last);
        if (c == '\\') {
            c = next(lex);
            if (c != 'n' && c != '\\' && c != '"' && c != '\'') {
                af_buf_clear(&lex->scratch);
                af_buf_append_char(&lex->scratch, '\\');
                af_utf8_append(&lex->scratch, c);
                return token_taken(lex, AF_QL_T_BAD_ESCAPE, lex->place.last);
            }
            c = c == 'n' ? '\n' : c;
        }
        af_utf8_append(&lex->scratch, c);
    }
}

/* name, "name", and InfluxDB's oddity name"other", which is other. */
static struct af_ql_token scan_name(struct af_ql_lexer *lex, bool can_be_keyword)
{
    struct af_ql_place start = lex->place;
    (void)next(lex);
    struct af_ql_pos pos = lex->place.last;
    lex->place = start;
    af_buf_clear(&lex->scratch);
    for (;;) {
        struct af_ql_place before = lex->place;
        uint32_t c = next(lex);
        if (c == 0)
            break;
        if (c == '"') {
            struct af_ql_token out = scan_quoted(lex, before, '"');
            if (out.kind == AF_QL_T_STRING) {
                out.kind = AF_QL_T_IDENT;
                out.pos = pos;
            }
            return out;
        }
        lex->place = before;
        if (!is_name(c))
            break;
        take_while(lex, is_name, true);
    }
    enum af_ql_token_kind kind = can_be_keyword && !lex->scratch.failed ? af_ql_keyword(af_buf_slice(&lex->scratch)) : AF_QL_T_IDENT;
    return kind == AF_QL_T_IDENT ? token_taken(lex, kind, pos) : token(kind, pos);
}

/* 12, 1.5, .5, 12. and durations: 1h30m. The first character was not read yet. */
static struct af_ql_token scan_number(struct af_ql_lexer *lex, struct af_ql_pos pos)
{
    af_buf_clear(&lex->scratch);
    take_while(lex, is_digit, false);
    if (next_is(lex, '.')) {
        struct af_ql_place before = lex->place;
        bool has_fraction = is_digit(next(lex));
        lex->place = before;
        if (has_fraction) {
            af_buf_append_char(&lex->scratch, '.');
            take_while(lex, is_digit, false);
        }
        return token_taken(lex, AF_QL_T_NUMBER, pos);
    }
    struct af_ql_place before = lex->place;
    bool has_unit = is_unit(next(lex));
    lex->place = before;
    if (!has_unit)
        return token_taken(lex, AF_QL_T_INTEGER, pos);
    take_while(lex, is_unit_or_digit, false);
    return token_taken(lex, AF_QL_T_DURATION_VALUE, pos);
}

static struct af_ql_token scan_space(struct af_ql_lexer *lex, uint32_t first, struct af_ql_pos pos)
{
    af_buf_clear(&lex->scratch);
    af_utf8_append(&lex->scratch, first);
    take_while(lex, is_space, true);
    if (lex->scratch.len != 1)
        return token_taken(lex, AF_QL_T_WS, pos);
    struct af_ql_token out = token(AF_QL_T_WS, pos); /* most are one character: no copy */
    out.lit = (struct af_slice){ first == ' ' ? " " : first == '\t' ? "\t" : "\n", 1 };
    return out;
}

static bool skip_comment(struct af_ql_lexer *lex)
{
    uint32_t c = next(lex);
    while (c != 0) {
        if (c != '*') {
            c = next(lex);
            continue;
        }
        c = next(lex);
        if (c == '/')
            return true;
    }
    return false;
}

static void skip_line(struct af_ql_lexer *lex)
{
    uint32_t c;
    do
        c = next(lex);
    while (c != 0 && c != '\n');
}

/* --- parameters ------------------------------------------------------------------------------------------------------------------ */

/* The token that a parameter's value stands for. */
static struct af_ql_token token_bound(struct af_ql_lexer *lex, const struct af_ql_expr *value, struct af_ql_pos pos)
{
    char digits[AF_F64_TEXT_MAX];
    af_buf_clear(&lex->scratch);
    switch (value->kind) {
    case AF_QL_REF:
        af_buf_append_str(&lex->scratch, value->name);
        return token_taken(lex, AF_QL_T_IDENT, pos);
    case AF_QL_STRING:
    case AF_QL_REGEX:
        af_buf_append_slice(&lex->scratch, value->text);
        return token_taken(lex, value->kind == AF_QL_STRING ? AF_QL_T_STRING : AF_QL_T_REGEX, pos);
    case AF_QL_NUMBER:
        af_buf_append(&lex->scratch, digits, (size_t)(af_f64_print(digits, value->number) - digits));
        return token_taken(lex, AF_QL_T_NUMBER, pos);
    case AF_QL_INTEGER:
        af_buf_append(&lex->scratch, digits, (size_t)(af_i64_print(digits, value->integer) - digits));
        return token_taken(lex, AF_QL_T_INTEGER, pos);
    case AF_QL_BOOLEAN:
        return token(value->boolean ? AF_QL_T_TRUE : AF_QL_T_FALSE, pos);
    case AF_QL_DURATION:
        af_ql_print_duration(&lex->scratch, value->integer);
        return token_taken(lex, AF_QL_T_DURATION_VALUE, pos);
    default:
        return stop(lex, af_fail(lex->err, AF_EBUG, "a parameter is no literal"));
    }
}

static struct af_ql_token scan_parameter(struct af_ql_lexer *lex, struct af_ql_pos pos)
{
    struct af_ql_token name = scan_name(lex, false);
    if (lex->status != AF_OK)
        return name;
    if (name.kind == AF_QL_T_IDENT && name.lit.len != 0 && lex->params != NULL) {
        struct af_ql_expr *value = NULL;
        struct af_error why = { 0 };
        enum af_status status = lex->params->get(lex->params->ctx, name.lit.ptr, lex->arena, &value, &why);
        if (status == AF_EINVAL) { /* only an error where it is used: what is wrong takes the name's place */
            af_buf_clear(&lex->scratch);
            af_buf_append_str(&lex->scratch, why.message);
            return token_taken(lex, AF_QL_T_BOUND, pos);
        }
        if (status != AF_OK) {
            if (lex->err != NULL)
                *lex->err = why;
            return stop(lex, status);
        }
        if (value != NULL)
            return token_bound(lex, value, pos);
    }
    af_buf_clear(&lex->scratch);
    af_buf_append_char(&lex->scratch, '$');
    af_buf_append_slice(&lex->scratch, name.lit);
    return token_taken(lex, name.kind == AF_QL_T_IDENT ? AF_QL_T_BOUND : name.kind, pos);
}

/* --- tokens ---------------------------------------------------------------------------------------------------------------------- */

static struct af_ql_token scan_sign(struct af_ql_lexer *lex, uint32_t c, struct af_ql_pos pos)
{
    static const struct {
        char sign;
        unsigned char kind;
    } singles[] = {
        { '+', AF_QL_T_ADD }, { '*', AF_QL_T_MUL }, { '%', AF_QL_T_MOD }, { '&', AF_QL_T_BIT_AND }, { '|', AF_QL_T_BIT_OR },
        { '^', AF_QL_T_BIT_XOR }, { '(', AF_QL_T_LPAREN }, { ')', AF_QL_T_RPAREN }, { ',', AF_QL_T_COMMA }, { ';', AF_QL_T_SEMICOLON },
    };
    for (size_t i = 0; i < sizeof singles / sizeof singles[0]; i++)
        if (c == (unsigned char)singles[i].sign)
            return token(singles[i].kind, pos);
    switch (c) {
    case '=':
        return token(next_is(lex, '~') ? AF_QL_T_EQREGEX : AF_QL_T_EQ, pos);
    case '>':
        return token(next_is(lex, '=') ? AF_QL_T_GTE : AF_QL_T_GT, pos);
    case '<':
        return token(next_is(lex, '=') ? AF_QL_T_LTE : next_is(lex, '>') ? AF_QL_T_NEQ : AF_QL_T_LT, pos);
    case ':':
        return token(next_is(lex, ':') ? AF_QL_T_DOUBLE_COLON : AF_QL_T_COLON, pos);
    case '!':
        if (next_is(lex, '='))
            return token(AF_QL_T_NEQ, pos);
        if (next_is(lex, '~'))
            return token(AF_QL_T_NEQREGEX, pos);
        break;
    default:
        break;
    }
    af_buf_clear(&lex->scratch);
    af_utf8_append(&lex->scratch, c);
    return token_taken(lex, AF_QL_T_ILLEGAL, pos);
}

static struct af_ql_token scan_token(struct af_ql_lexer *lex)
{
    struct af_ql_place before = lex->place;
    uint32_t c = next(lex);
    struct af_ql_pos pos = lex->place.last;
    if (is_space(c))
        return scan_space(lex, c, pos);
    struct af_ql_place behind = lex->place;
    bool is_fraction = c == '.' && is_digit(next(lex));
    lex->place = behind;
    if (is_name(c) || c == '"' || is_fraction) {
        lex->place = before;
        return is_digit(c) || is_fraction ? scan_number(lex, pos) : scan_name(lex, true);
    }
    switch (c) {
    case 0:
        return token(AF_QL_T_EOF, pos);
    case '\'':
        return scan_quoted(lex, before, '\'');
    case '.':
        return token(AF_QL_T_DOT, pos);
    case '$':
        return scan_parameter(lex, pos);
    case '-':
        if (!next_is(lex, '-'))
            return token(AF_QL_T_SUB, pos);
        skip_line(lex);
        return token(AF_QL_T_COMMENT, pos);
    case '/':
        if (!next_is(lex, '*'))
            return token(AF_QL_T_DIV, pos);
        return token(skip_comment(lex) ? AF_QL_T_COMMENT : AF_QL_T_ILLEGAL, pos);
    default:
        return scan_sign(lex, c, pos);
    }
}

/* `\/` is a slash; every other backslash belongs to the regex. */
static struct af_ql_token scan_regex(struct af_ql_lexer *lex)
{
    struct af_ql_pos pos = lex->place.last;
    if (next(lex) != '/')
        return token(AF_QL_T_BAD_REGEX, pos);
    af_buf_clear(&lex->scratch);
    for (;;) {
        uint32_t c = next(lex);
        if (c == '/')
            return token_taken(lex, AF_QL_T_REGEX, pos);
        if (c == 0 || c == '\n')
            return token(AF_QL_T_BAD_REGEX, pos);
        if (c == '\\' && next_is(lex, '/'))
            c = '/';
        af_utf8_append(&lex->scratch, c);
    }
}

static const struct af_ql_token *give(struct af_ql_lexer *lex, struct af_ql_token (*scan)(struct af_ql_lexer *))
{
    if (lex->unscanned > 0)
        lex->unscanned--;
    else {
        size_t start = lex->place.at;
        struct af_ql_token new = lex->status == AF_OK ? scan(lex) : token(AF_QL_T_EOF, lex->place.last);
        new.start = start;
        new.end = lex->place.at;
        lex->newest = (lex->newest + 1) % AF_QL_RING;
        lex->ring[lex->newest] = new;
    }
    return &lex->ring[(lex->newest + AF_QL_RING - lex->unscanned) % AF_QL_RING];
}

const struct af_ql_token *af_ql_scan(struct af_ql_lexer *lex)
{
    return give(lex, scan_token);
}

const struct af_ql_token *af_ql_scan_regex(struct af_ql_lexer *lex)
{
    return give(lex, scan_regex);
}

const struct af_ql_token *af_ql_scan_skip(struct af_ql_lexer *lex)
{
    const struct af_ql_token *found;
    do
        found = af_ql_scan(lex);
    while (found->kind == AF_QL_T_WS || found->kind == AF_QL_T_COMMENT);
    return found;
}

void af_ql_unscan(struct af_ql_lexer *lex)
{
    assert(lex->unscanned < AF_QL_RING);
    lex->unscanned++;
}

void af_ql_lex_init(struct af_ql_lexer *lex, struct af_slice text, const struct af_ql_params *params, struct af_arena *arena,
                    struct af_error *err)
{
    *lex = (struct af_ql_lexer){ .text = text, .params = params, .arena = arena, .err = err };
    for (size_t i = 0; i < AF_QL_RING; i++)
        lex->ring[i].lit = (struct af_slice){ "", 0 };
    af_buf_init(&lex->scratch, SIZE_MAX / 4);
}

void af_ql_lex_done(struct af_ql_lexer *lex)
{
    af_buf_done(&lex->scratch);
}

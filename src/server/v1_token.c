/*
 * v1_token.c - InfluxQL's words one by one; see v1_token.h.
 *
 * Places are counted as InfluxDB's own reader counts them, because people compare messages: a string stands one place too far left, and
 * the end of the text right after a word one too far right.
 */
#include "server/v1_token.h"
#include "base/numbers.h"
#include <strings.h>

static const char *const keywords[] = {
    "ALL", "ALTER", "ANALYZE", "AND", "ANY", "AS", "ASC", "BEGIN", "BY", "CARDINALITY", "CONTINUOUS", "CREATE", "DATABASE", "DATABASES",
    "DEFAULT", "DELETE", "DESC", "DESTINATIONS", "DIAGNOSTICS", "DISTINCT", "DROP", "DURATION", "END", "EVERY", "EXACT", "EXPLAIN",
    "FALSE", "FIELD", "FOR", "FROM", "GRANT", "GRANTS", "GROUP", "GROUPS", "IN", "INF", "INSERT", "INTO", "KEY", "KEYS", "KILL",
    "LIMIT", "MEASUREMENT", "MEASUREMENTS", "NAME", "OFFSET", "ON", "OR", "ORDER", "PASSWORD", "POLICIES", "POLICY", "PRIVILEGES",
    "QUERIES", "QUERY", "READ", "REPLICATION", "RESAMPLE", "RETENTION", "REVOKE", "SELECT", "SERIES", "SET", "SHARD", "SHARDS", "SHOW",
    "SLIMIT", "SOFFSET", "STATS", "SUBSCRIPTION", "SUBSCRIPTIONS", "TAG", "TO", "TRUE", "USER", "USERS", "VALUES", "WHERE", "WITH",
    "WRITE",
};

/* --- characters ------------------------------------------------------------------------------------------------------------- */

static char peek(const struct v1_scanner *s, size_t ahead)
{
    return s->at + ahead < s->text.len ? s->text.ptr[s->at + ahead] : '\0';
}

static void step(struct v1_scanner *s)
{
    unsigned char c = (unsigned char)s->text.ptr[s->at++];
    if (c == '\n') {
        s->line++;
        s->column = 0;
    } else if ((c & 0xc0) != 0x80) { /* not the rest of a character */
        s->column++;
    }
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool at_end(const struct v1_scanner *s)
{
    return s->at >= s->text.len;
}

static void skip_space(struct v1_scanner *s)
{
    while (!at_end(s)) {
        char c = peek(s, 0);
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
            step(s);
        } else if (c == '-' && peek(s, 1) == '-') {
            while (!at_end(s) && peek(s, 0) != '\n')
                step(s);
        } else if (c == '/' && peek(s, 1) == '*') {
            while (!at_end(s) && !(peek(s, 0) == '*' && peek(s, 1) == '/'))
                step(s);
            for (int i = 0; i < 2 && !at_end(s); i++)
                step(s);
        } else {
            return;
        }
    }
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------- */

/* What stands between `quote`s, unescaped. False: it has no end. */
static bool scan_quoted(struct v1_scanner *s, char quote, struct af_buf *out)
{
    step(s);
    while (!at_end(s) && peek(s, 0) != quote && peek(s, 0) != '\n') {
        char c = peek(s, 0);
        if (c == '\\') {
            char next = peek(s, 1);
            if (next != 'n' && next != '\\' && next != '"' && next != '\'')
                return false;
            c = next == 'n' ? '\n' : next;
            step(s);
        }
        af_buf_append_char(out, c);
        step(s);
    }
    if (peek(s, 0) != quote || at_end(s))
        return false;
    step(s);
    return true;
}

static void take_quoted(struct v1_scanner *s, struct v1_token *t)
{
    char quote = peek(s, 0);
    struct af_buf text;
    af_buf_init(&text, SIZE_MAX / 2);
    bool is_closed = scan_quoted(s, quote, &text);
    t->kind = !is_closed ? V1_BAD : quote == '"' ? V1_IDENT : V1_STRING;
    t->text = text.failed ? NULL : af_arena_copy(s->arena, af_buf_slice(&text));
    if (t->kind != V1_IDENT && t->column > 0)
        t->column--;
    af_buf_done(&text);
}

static void take_word(struct v1_scanner *s, struct v1_token *t)
{
    while (is_letter(peek(s, 0)) || is_digit(peek(s, 0)))
        step(s);
    s->word_end = s->at;
    t->kind = V1_IDENT;
    t->text = af_arena_copy(s->arena, (struct af_slice){ s->text.ptr + t->start, s->at - t->start });
    for (size_t i = 0; t->text != NULL && i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strcasecmp(keywords[i], t->text) == 0) {
            t->kind = V1_KEYWORD;
            t->text = keywords[i];
            return;
        }
    }
}

static void take_number(struct v1_scanner *s, struct v1_token *t)
{
    t->kind = V1_INTEGER;
    while (is_digit(peek(s, 0)))
        step(s);
    if (peek(s, 0) == '.' && is_digit(peek(s, 1))) {
        t->kind = V1_NUMBER;
        step(s);
        while (is_digit(peek(s, 0)))
            step(s);
    } else if (is_letter(peek(s, 0)) || (unsigned char)peek(s, 0) == 0xc2) { /* the micro sign */
        t->kind = V1_DURATION;
        while (is_letter(peek(s, 0)) || is_digit(peek(s, 0)) || (unsigned char)peek(s, 0) >= 0x80)
            step(s);
    }
    t->text = af_arena_copy(s->arena, (struct af_slice){ s->text.ptr + t->start, s->at - t->start });
}

static void take_sign(struct v1_scanner *s, struct v1_token *t)
{
    static const char *const pairs[] = { "!=", "<>", "<=", ">=", "=~", "!~", "::" };
    char two[3] = { peek(s, 0), peek(s, 1), '\0' };
    size_t len = 1;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (strcmp(two, pairs[i]) == 0)
            len = 2;
    while (len < s->text.len - s->at && ((unsigned char)s->text.ptr[s->at + len] & 0xc0) == 0x80)
        len++;
    t->kind = V1_SIGN;
    t->text = af_arena_copy(s->arena, (struct af_slice){ s->text.ptr + s->at, len });
    while (len-- > 0)
        step(s);
}

struct v1_token v1_scan(struct v1_scanner *s)
{
    skip_space(s);
    struct v1_token t = { .start = s->at, .line = s->line + 1, .column = s->column + 1 };
    char c = peek(s, 0);
    if (at_end(s)) {
        t.kind = V1_END;
        t.text = "EOF";
        t.column += s->at != 0 && s->word_end == s->at;
    } else if (c == '"' || c == '\'') {
        take_quoted(s, &t);
    } else if (is_letter(c)) {
        take_word(s, &t);
    } else if (is_digit(c)) {
        take_number(s, &t);
    } else {
        take_sign(s, &t);
    }
    t.end = s->at;
    return t;
}

/* --- durations ------------------------------------------------------------------------------------------------------------------- */

static int64_t unit_of(const char *text, size_t *len)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        { "ns", 1 }, { "us", 1000 }, { "ms", 1000000 }, { "\xc2\xb5s", 1000 }, { "\xc2\xb5", 1000 }, { "u", 1000 }, { "s", 1000000000 },
        { "m", INT64_C(60000000000) }, { "h", INT64_C(3600000000000) }, { "d", INT64_C(86400000000000) }, { "w", INT64_C(604800000000000) },
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        *len = strlen(units[i].name);
        if (strncmp(text, units[i].name, *len) == 0)
            return units[i].ns;
    }
    return 0;
}

bool v1_duration_parse(const char *text, int64_t *out_ns)
{
    int64_t total = 0;
    if (*text == '\0')
        return false;
    while (*text != '\0') {
        int64_t count, part;
        size_t len = strspn(text, "0123456789"), unit_len;
        if (!af_i64_parse((struct af_slice){ text, len }, &count))
            return false;
        int64_t unit_ns = unit_of(text + len, &unit_len);
        if (unit_ns == 0 || __builtin_mul_overflow(count, unit_ns, &part) || __builtin_add_overflow(total, part, &total))
            return false;
        text += len + unit_len;
    }
    *out_ns = total;
    return true;
}

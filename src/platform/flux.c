/*
 * flux.c - may a Flux text be sent on? It is cut into tokens as Flux's scanner does, no more: what is asked is which names it uses.
 *
 * Refused, wherever they stand:
 *     to, wideTo       as a name or as ["to"]: every function that writes has one of these names. As the name of an argument or of a
 *                      record's member (to: 1) they are harmless
 *     import "..."     of what is not in `packages`: those compute, the others write, send, run tasks, read secrets or ask elsewhere
 *     host:            as the argument of a call: from(host: ...) asks another server; also as "host": ... and from(bucket, host)
 *
 *     token   name | number | "text" | /regex/ | one sign        "${" in a text begins code that ends with its "}"
 *
 * A slash begins a regex where a value is expected, as in Flux's parser. Flux takes the longest token that fits wherever it begins, and its
 * statements need no end. So what it could cut in another place than we do is refused, as is a text that ends inside of a string:
 *
 *     1to(  1hto(       behind digits stands a whole literal or nothing: units of a duration, a fraction, the rest of a date
 *     "$$" "$\"         "$" and the byte behind it are a pair in Flux's eyes, so the second of them begins nothing
 *     /\\/              "\" is an ordinary letter of a regex too, so "\/" behind another "\" need not be its end
 *     import "a" /      a statement may begin with a regex where we saw a value end: behind import, package, "}" and "@attribute()"
 *     <- /              a value that ends with a sign
 *     other signs       letters beyond ASCII that are no Latin letters, and control codes: blanks for some, names for others
 */
#include "platform/platform_int.h"

enum { DEPTH_MAX = 200 };

static const char *const packages[] = {
    "array", "bitwise", "contrib/jsternberg/rows", "contrib/tomhollingworth/events", "contrib/bonitoo-io/hex", "date", "date/boundaries",
    "dict", "experimental", "experimental/aggregate", "experimental/array", "experimental/bitwise", "experimental/date/boundaries",
    "experimental/dynamic", "experimental/geo", "experimental/json", "experimental/oee", "experimental/polyline", "experimental/query",
    "experimental/record", "experimental/table", "generate", "influxdata/influxdb", "influxdata/influxdb/schema", "influxdata/influxdb/v1",
    "interpolate", "join", "json", "math", "regexp", "runtime", "sampledata", "strings", "system", "timezone", "types", "universe",
};

enum token { T_END, T_NAME, T_NUMBER, T_TEXT, T_REGEX, T_SIGN, T_BROKEN };

struct scanner {
    const char *start, *at, *end;
    enum token kind;                /* of the token at hand */
    const char *why;                /* T_BROKEN */
    struct af_slice text;           /* of it; of T_TEXT without quotes, as written */
    bool has_code;                  /* T_TEXT: "${" ended this part of it */
    bool has_escape;
    bool goes_on;                   /* T_TEXT: it begins behind code, not with a quote */
    bool after_value;               /* the token before ended a value: a slash divides */
    bool after_dot;                 /* the token before is a dot: a name is a member's */
    bool ends_head;                 /* the token at hand is of import or package: a statement may follow */
    unsigned depth;
    unsigned char open[DEPTH_MAX];  /* brackets, and '"' for code inside of a text */
};

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* --- tokens ---------------------------------------------------------------------------------------------------------------------- */

static enum token broken(struct scanner *s, const char *why)
{
    s->why = why;
    return T_BROKEN;
}

static void skip_blank(struct scanner *s)
{
    while (s->at < s->end) {
        if (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r') {
            s->at++;
        } else if (s->end - s->at >= 2 && s->at[0] == '/' && s->at[1] == '/') {
            const char *line_end = memchr(s->at, '\n', (size_t)(s->end - s->at));
            s->at = line_end != NULL ? line_end : s->end;
        } else {
            return;
        }
    }
}

/* Does the pattern stand there, '0' for any digit? */
static bool stands(const struct scanner *s, const char *pattern)
{
    const char *at = s->at;
    for (; *pattern != '\0'; pattern++, at++)
        if (at == s->end || (*pattern == '0' ? !is_digit(*at) : *at != *pattern))
            return false;
    return true;
}

static bool take(struct scanner *s, const char *pattern)
{
    bool is_there = stands(s, pattern);
    if (is_there)
        s->at += strlen(pattern);
    return is_there;
}

/* Those that Flux knows: \n \r \t \\ \" \${ \xHH. */
static bool skip_escape(struct scanner *s)
{
    static const char *const escapes[] = { "\\n", "\\r", "\\t", "\\\\", "\\\"", "\\${" };
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++)
        if (take(s, escapes[i]))
            return true;
    if (s->end - s->at < 4 || s->at[1] != 'x' || !is_hex(s->at[2]) || !is_hex(s->at[3]))
        return false;
    s->at += 4;
    return true;
}

static enum token end_text(struct scanner *s, const char *start, bool has_code)
{
    s->text = af_slice_make(start, (size_t)(s->at - start));
    s->has_code = has_code;
    s->at += has_code ? 2 : 1;
    return T_TEXT;
}

/* From behind the quote, or behind the code inside of the text. */
static enum token scan_text(struct scanner *s)
{
    const char *start = s->at;
    s->has_code = s->has_escape = false;
    while (s->at < s->end) {
        if (*s->at == '"' || stands(s, "${"))
            return end_text(s, start, *s->at == '$');
        if (stands(s, "$$") || stands(s, "$\\"))
            return broken(s, "a \"$\" stands before a \"$\" or a \"\\\" in a text; write it as \"\\x24\"");
        if (*s->at != '\\') {
            s->at++;
        } else {
            s->has_escape = true;
            if (!skip_escape(s))
                return broken(s, "there is a \"\\\" in a text that begins none of \\n \\r \\t \\\\ \\\" \\${ \\xHH");
        }
    }
    return broken(s, "a text has no end");
}

static enum token scan_regex(struct scanner *s)
{
    const char *start = s->at++;
    for (; s->at < s->end && *s->at != '\n'; s->at++) {
        if (*s->at == '\\' && s->end - s->at >= 2) {
            s->at++;
        } else if (*s->at == '/' && s->at[-1] == '\\') {
            return broken(s, "a regular expression has \"\\\\/\"; write the backslash before a slash as [\\\\]");
        } else if (*s->at == '/') {
            s->at++;
            s->text = af_slice_make(start, (size_t)(s->at - start));
            return T_REGEX;
        }
    }
    return broken(s, "a regular expression has no end");
}

/* A Latin letter with an accent, U+00C0 to U+024F, is one for everybody. */
static size_t letter_bytes(const struct scanner *s)
{
    if (s->at == s->end)
        return 0;
    if (is_name_start(*s->at))
        return 1;
    unsigned char first = (unsigned char)s->at[0], second = s->end - s->at >= 2 ? (unsigned char)s->at[1] : 0;
    bool is_sign = first == 0xc3 && (second == 0x97 || second == 0xb7);
    return first >= 0xc3 && first <= 0xc9 && second >= 0x80 && second <= 0xbf && !is_sign ? 2 : 0;
}

static enum token scan_name(struct scanner *s)
{
    const char *start = s->at;
    for (size_t len; s->at < s->end && (len = is_digit(*s->at) ? 1 : letter_bytes(s)) != 0;)
        s->at += len;
    s->text = af_slice_make(start, (size_t)(s->at - start));
    return T_NAME;
}

static bool take_digits(struct scanner *s)
{
    const char *start = s->at;
    while (s->at < s->end && is_digit(*s->at))
        s->at++;
    return s->at != start;
}

static bool take_unit(struct scanner *s)
{
    static const char *const units[] = { "mo", "ms", "us", "\xc2\xb5s", "\xce\xbcs", "ns", "y", "w", "d", "h", "m", "s" };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (take(s, units[i]))
            return true;
    return false;
}

/* Behind a day: T12:00:00.5Z, as far as it is there. */
static void take_time(struct scanner *s)
{
    if (!take(s, "T00:00:00"))
        return;
    if (take(s, "."))
        (void)take_digits(s);
    if (!take(s, "Z") && !take(s, "+00:00"))
        (void)take(s, "-00:00");
}

static enum token scan_number(struct scanner *s)
{
    const char *start = s->at;
    bool is_whole = true;
    if (take(s, "0000-00-00")) {
        take_time(s);
    } else {
        (void)take_digits(s);
        if (take(s, "."))
            (void)take_digits(s);
        else if (take_unit(s))
            while (is_whole && take_digits(s))
                is_whole = take_unit(s);
    }
    char c = s->at < s->end ? *s->at : ' ';
    if (!is_whole || is_name_start(c) || is_digit(c) || c == '.' || (unsigned char)c >= 0x80)
        return broken(s, "a letter or digit stands directly behind a number, and is no part of it");
    s->text = af_slice_make(start, (size_t)(s->at - start));
    return T_NUMBER;
}

static bool is_operator_word(struct af_slice name)
{
    static const char *const words[] = { "and", "or", "not", "exists", "if", "then", "else", "return", "import", "option", "in" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (af_slice_is(name, words[i]))
            return true;
    return false;
}

static bool ends_value(const struct scanner *s)
{
    switch (s->kind) {
    case T_NAME: return !is_operator_word(s->text);
    case T_NUMBER:
    case T_REGEX: return true;
    case T_TEXT: return !s->has_code;
    case T_SIGN: return s->text.ptr[0] == ')' || s->text.ptr[0] == ']' || s->text.ptr[0] == '}';
    default: return false;
    }
}

/* Where Flux may see another thing in a slash than we do. */
static bool is_doubtful_slash(const struct scanner *s)
{
    if (s->kind == T_NAME && is_operator_word(s->text))
        return !af_slice_is(s->text, "return"); /* older Flux has names of these */
    if (s->kind != T_SIGN)
        return s->ends_head;
    char sign = s->text.ptr[0];
    return sign == '}' || (sign == '-' && s->text.ptr > s->start && s->text.ptr[-1] == '<');
}

static enum token scan_slash(struct scanner *s)
{
    if (is_doubtful_slash(s))
        return broken(s, "a slash stands where it may divide or begin a regular expression; give what it divides, or the regular "
                         "expression, a name first");
    if (!s->after_value)
        return scan_regex(s);
    s->text = af_slice_make(s->at++, 1);
    return T_SIGN;
}

static enum token scan_sign(struct scanner *s)
{
    unsigned char c = (unsigned char)*s->at;
    if (c <= ' ' || c >= 0x7f)
        return broken(s, "there is a letter or sign outside of texts that names cannot have");
    if (c == '@')
        return broken(s, "attributes (\"@\") are not taken here");
    s->text = af_slice_make(s->at++, 1);
    return T_SIGN;
}

static void next(struct scanner *s)
{
    s->after_value = ends_value(s);
    s->goes_on = false;
    skip_blank(s);
    if (s->at == s->end) {
        s->kind = T_END;
    } else if (*s->at == '"') {
        s->at++;
        s->kind = scan_text(s);
    } else if (*s->at == '/') {
        s->kind = scan_slash(s);
    } else if (letter_bytes(s) != 0) {
        s->kind = scan_name(s);
    } else {
        s->kind = is_digit(*s->at) ? scan_number(s) : scan_sign(s);
    }
}

/* --- brackets -------------------------------------------------------------------------------------------------------------------- */

static enum af_status open_bracket(struct scanner *s, char bracket, struct af_error *err)
{
    if (s->depth == DEPTH_MAX)
        return af_fail(err, AF_ELIMIT, "the Flux query is nested deeper than %d", DEPTH_MAX);
    s->open[s->depth++] = (unsigned char)bracket;
    return AF_OK;
}

/* The "}" of "${...}": the text goes on. */
static bool is_code_end(const struct scanner *s)
{
    return s->kind == T_SIGN && s->text.ptr[0] == '}' && s->depth != 0 && s->open[s->depth - 1] == '"';
}

static enum af_status follow_brackets(struct scanner *s, struct af_error *err)
{
    while (is_code_end(s)) {
        s->depth--;
        s->kind = scan_text(s);
        s->goes_on = true;
    }
    if (s->kind == T_TEXT && s->has_code)
        return open_bracket(s, '"', err);
    if (s->kind != T_SIGN)
        return AF_OK;
    char sign = s->text.ptr[0];
    if (sign == '(' || sign == '[' || sign == '{')
        return open_bracket(s, sign, err);
    char opened = sign == ')' ? '(' : sign == ']' ? '[' : sign == '}' ? '{' : '\0';
    if (opened == '\0')
        return AF_OK;
    if (s->depth == 0 || s->open[s->depth - 1] != (unsigned char)opened)
        return af_fail(err, AF_EINVAL, "compilation failed: a bracket of the Flux query closes what was not opened");
    s->depth--;
    return AF_OK;
}

/* --- what is refused --------------------------------------------------------------------------------------------------------------- */

static bool is_followed_by(const struct scanner *s, char sign)
{
    struct scanner ahead = { .at = s->at, .end = s->end };
    skip_blank(&ahead);
    return ahead.at < ahead.end && *ahead.at == sign;
}

static bool writes(struct af_slice name)
{
    return af_slice_is(name, "to") || af_slice_is(name, "wideTo");
}

static bool is_argument(const struct scanner *s)
{
    return s->depth != 0 && s->open[s->depth - 1] == '(';
}

static enum af_status refuse_host(struct af_error *err)
{
    return af_fail(err, AF_EDENIED, "this path asks its own InfluxDB only, and takes no argument \"host\"");
}

/* f(host) is f(host: host). */
static enum af_status judge_name(const struct scanner *s, struct af_error *err)
{
    bool is_label = is_followed_by(s, ':');
    bool is_short = !s->after_dot && (is_followed_by(s, ',') || is_followed_by(s, ')'));
    if (writes(s->text) && !is_label)
        return af_fail(err, AF_EDENIED, "this path only reads, and does not take %.*s()", AF_SLICE_ARG(s->text));
    if (af_slice_is(s->text, "builtin") || af_slice_is(s->text, "testcase"))
        return af_fail(err, AF_EDENIED, "this path only reads, and does not take \"%.*s\"", AF_SLICE_ARG(s->text));
    return af_slice_is(s->text, "host") && is_argument(s) && (is_label || is_short) ? refuse_host(err) : AF_OK;
}

/* f("host": 1) is f(host: 1). */
static enum af_status judge_key(const struct scanner *s, struct af_error *err)
{
    if (s->has_code || !is_argument(s) || !is_followed_by(s, ':'))
        return AF_OK;
    if (s->has_escape || s->goes_on)
        return af_fail(err, AF_EDENIED, "this path does not take the name of an argument as a text with escapes or code");
    return af_slice_is(s->text, "host") ? refuse_host(err) : AF_OK;
}

static enum af_status judge_package(struct af_slice name, bool has_escape, struct af_error *err)
{
    for (size_t i = 0; i < sizeof packages / sizeof packages[0] && !has_escape; i++)
        if (af_slice_is(name, packages[i]))
            return AF_OK;
    return af_fail(err, AF_EDENIED, "this path only reads, and does not take the package \"%.*s\"", (int)(name.len < 80 ? name.len : 80),
                   name.ptr);
}

/* value["name"]: a function by its name. */
static enum af_status judge_member(const struct scanner *s, struct af_error *err)
{
    if (!s->has_code && (!is_followed_by(s, ']') || !(writes(s->text) || s->has_escape)))
        return AF_OK;
    return af_fail(err, AF_EDENIED, "this path only reads, and does not take [\"%.*s\"]", (int)(s->text.len < 80 ? s->text.len : 80),
                   s->text.ptr);
}

enum before { BEFORE_OTHER, BEFORE_PACKAGE, BEFORE_IMPORT, BEFORE_INDEX }; /* what stood before the token at hand */

static enum before before_next(const struct scanner *s, enum before before)
{
    if (s->kind == T_NAME && af_slice_is(s->text, "import"))
        return BEFORE_IMPORT;
    if (s->kind == T_NAME && before == BEFORE_IMPORT)
        return BEFORE_IMPORT; /* import alias "package" */
    if (s->kind == T_NAME && af_slice_is(s->text, "package"))
        return BEFORE_PACKAGE;
    return s->kind == T_SIGN && s->text.ptr[0] == '[' && s->after_value ? BEFORE_INDEX : BEFORE_OTHER;
}

static enum af_status judge(const struct scanner *s, enum before before, struct af_error *err)
{
    if (s->kind == T_NAME)
        return judge_name(s, err);
    if (s->kind != T_TEXT)
        return AF_OK;
    if (before == BEFORE_IMPORT)
        return judge_package(s->text, s->has_escape || s->has_code, err);
    return before == BEFORE_INDEX ? judge_member(s, err) : judge_key(s, err);
}

enum af_status af_platform_flux_reads(struct af_slice text, struct af_error *err)
{
    struct scanner s = { .start = text.ptr, .at = text.ptr, .end = text.ptr + text.len, .kind = T_SIGN, .text = AF_SLICE_LIT(";") };
    enum before before = BEFORE_OTHER;
    for (;;) {
        s.after_dot = s.kind == T_SIGN && s.text.ptr[0] == '.';
        next(&s);
        if (s.kind == T_END)
            break;
        if (s.kind != T_BROKEN)
            AF_TRY(follow_brackets(&s, err));
        if (s.kind == T_BROKEN)
            return af_fail(err, AF_EINVAL, "compilation failed: the Flux query is not taken: %s", s.why);
        AF_TRY(judge(&s, before, err));
        s.ends_head = before == BEFORE_IMPORT || before == BEFORE_PACKAGE;
        before = before_next(&s, before);
    }
    return s.depth == 0 ? AF_OK : af_fail(err, AF_EINVAL, "compilation failed: a bracket of the Flux query is not closed");
}

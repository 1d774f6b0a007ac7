/*
 * regex_parse.c - Go's regular expressions read and written again for PCRE2; see regex.h.
 *
 * The pattern is read as Go's parser reads it, so what it refuses is refused here, with its words. What comes out uses little of PCRE2:
 *
 *     a           a, or \x{..} where it means something; (?i:a) under the flag i
 *     .           [^\x0a]; with the flag s (?s:.)
 *     ^ $         \A \z; with the flag m (?<![^\x0a]) (?![^\x0a])
 *     [...] \d    one bracket of ranges and properties. A negated part (\D, [:^alpha:]) cannot stand in it, because folding of case comes
 *                 before the negation: then (?:[...]|[^...]), and (?!that)(?s:.) for the opposite
 *     ( ) (?P<n>) (?: ): nobody asks for groups
 *
 * Whether a repeat is greedy does not matter for the question "does it match", and stays as it was written.
 *
 * Invariant while reading: `atom` is where in `out` the last thing begins that a repeat may follow (NONE: there is none), which is what Go
 * has on top of its stack.
 */
#include "base/regex_int.h"
#include "base/limits.h"
#include "base/utf8.h"
#include <stdio.h>

#define NONE SIZE_MAX

enum {
    REPEAT_MAX = 1000,  /* also of nested ones, multiplied */
    DEPTH_MAX = 1000,   /* nested groups */
    CODE_MAX = 0x10ffff,
    SURROGATE_FIRST = 0xd800,
    SURROGATE_LAST = 0xdfff,
    FLAG_I = 1, FLAG_M = 2, FLAG_S = 4, FLAG_U = 8,
};

struct group {
    unsigned flags;    /* outside of it */
    size_t start;      /* of "(" in out */
    int weight;        /* of what is before it in the outer group */
};

struct parser {
    const char *at, *end;
    struct af_slice whole;
    struct af_buf *out;
    unsigned flags;
    size_t atom;
    int atom_weight;   /* how often its innermost part may be repeated by numbers */
    int weight;        /* the largest of the group */
    bool atom_is_repeat;
    struct af_buf inside, beside; /* of a class: what goes into the bracket, and |[^...] beside it */
    struct group groups[DEPTH_MAX];
    size_t depth;
    struct af_error *err;
};

/* --- words ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status refuse(const struct parser *in, const char *what, const char *from, const char *to)
{
    struct af_slice text = { from, (size_t)(to - from) };
    return af_fail(in->err, AF_EINVAL, "error parsing regexp: %s: `" AF_SLICE_FMT "`", what, AF_SLICE_ARG(text));
}

static enum af_status refuse_whole(const struct parser *in, const char *what)
{
    return refuse(in, what, in->whole.ptr, in->whole.ptr + in->whole.len);
}

#define BAD_ESCAPE "invalid escape sequence"
#define BAD_RANGE "invalid character class range"
#define BAD_PERL "invalid or unsupported Perl syntax"
#define BAD_COUNT "invalid repeat count"
#define BAD_NAME "invalid named capture"

static bool sees(const struct parser *in, const char *text)
{
    size_t len = strlen(text);
    return (size_t)(in->end - in->at) >= len && memcmp(in->at, text, len) == 0;
}

/* The next character of valid UTF-8; 0xfffd at the end, as Go has it. */
static uint32_t next_char(struct parser *in)
{
    if (in->at == in->end)
        return 0xfffd;
    bool is_valid;
    size_t bytes = af_utf8_sequence(in->at, (size_t)(in->end - in->at), &is_valid);
    static const unsigned char masks[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    uint32_t code = (unsigned char)*in->at & masks[bytes];
    for (size_t i = 1; i < bytes; i++)
        code = code << 6 | ((unsigned char)in->at[i] & 0x3f);
    in->at += bytes;
    return code;
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}
static bool is_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* --- atoms ----------------------------------------------------------------------------------------------------------------------- */

/* The atom at hand is not repeated any more. */
static void settle_weight(struct parser *in)
{
    if (in->atom != NONE && in->atom_weight > in->weight)
        in->weight = in->atom_weight;
}

static void begin_atom(struct parser *in)
{
    settle_weight(in);
    in->atom = in->out->len;
    in->atom_weight = 1;
    in->atom_is_repeat = false;
}

static void put(struct parser *in, const char *text)
{
    begin_atom(in);
    af_buf_append_str(in->out, text);
}

static void put_code(struct af_buf *out, uint32_t code)
{
    if (is_letter(code) || is_digit(code))
        af_buf_append_char(out, (char)code);
    else
        af_buf_printf(out, "\\x{%x}", code);
}

static void put_literal(struct parser *in, uint32_t code)
{
    bool folds = (in->flags & FLAG_I) != 0 && (is_letter(code) || code >= 0x80);
    begin_atom(in);
    if (code >= SURROGATE_FIRST && code <= SURROGATE_LAST) {
        af_buf_append_str(in->out, "(?!)"); /* no text has it */
        return;
    }
    if (folds)
        af_buf_append_str(in->out, "(?i:");
    put_code(in->out, code);
    if (folds)
        af_buf_append_char(in->out, ')');
}

/* --- escapes --------------------------------------------------------------------------------------------------------------------- */

static int hex_value(uint32_t c)
{
    if (is_digit(c))
        return (int)c - '0';
    if (c >= 'a' && c <= 'f')
        return (int)c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? (int)c - 'A' + 10 : -1;
}

/* Behind \x: two digits, or any number in braces. */
static bool read_hex(struct parser *in, uint32_t *out)
{
    if (in->at == in->end)
        return false;
    uint32_t c = next_char(in);
    uint32_t value = 0;
    if (c != '{') {
        int high = hex_value(c);
        if (in->at == in->end)
            return false;
        int low = hex_value(next_char(in));
        *out = (uint32_t)(high * 16 + low);
        return high >= 0 && low >= 0;
    }
    for (size_t digits = 0;; digits++) {
        if (in->at == in->end)
            return false;
        c = next_char(in);
        if (c == '}') {
            *out = value;
            return digits > 0;
        }
        if (hex_value(c) < 0)
            return false;
        value = value * 16 + (uint32_t)hex_value(c);
        if (value > CODE_MAX)
            return false;
    }
}

static bool read_escaped(struct parser *in, uint32_t *out)
{
    static const char names[] = "afnrtv", codes[] = "\a\f\n\r\t\v";
    uint32_t c = next_char(in);
    const char *name = c != 0 && c < 0x80 ? strchr(names, (int)c) : NULL;
    *out = c;
    if (name != NULL) {
        *out = (uint32_t)codes[name - names];
        return true;
    }
    if (c == 'x')
        return read_hex(in, out);
    if (c >= '0' && c <= '7') {
        /* A single digit other than 0 would refer to a group. */
        if (c != '0' && (in->at == in->end || *in->at < '0' || *in->at > '7'))
            return false;
        *out = c - '0';
        for (int i = 1; i < 3 && in->at < in->end && *in->at >= '0' && *in->at <= '7'; i++)
            *out = *out * 8 + (uint32_t)(*in->at++ - '0');
        return true;
    }
    return c < 0x80 && !is_letter(c) && !is_digit(c);
}

/* One escaped character, from the backslash on. */
static enum af_status read_escape(struct parser *in, uint32_t *out)
{
    const char *start = in->at++;
    if (in->at == in->end)
        return refuse(in, "trailing backslash at end of expression", in->end, in->end);
    if (!read_escaped(in, out))
        return refuse(in, BAD_ESCAPE, start, in->at);
    return AF_OK;
}

/* --- classes --------------------------------------------------------------------------------------------------------------------- */

static void class_begin(struct parser *in)
{
    af_buf_clear(&in->inside);
    af_buf_clear(&in->beside);
}

static void class_range(struct parser *in, uint32_t low, uint32_t high)
{
    if (low >= SURROGATE_FIRST && low <= SURROGATE_LAST)
        low = SURROGATE_LAST + 1;
    if (high >= SURROGATE_FIRST && high <= SURROGATE_LAST)
        high = SURROGATE_FIRST - 1;
    if (low > high)
        return;
    put_code(&in->inside, low);
    if (low == high)
        return;
    af_buf_append_char(&in->inside, '-');
    put_code(&in->inside, high);
}

/* A set that is written in a bracket, or what is not in it. */
static void class_set(struct parser *in, const char *set, bool is_negated)
{
    if (is_negated)
        af_buf_printf(&in->beside, "|[^%s]", set);
    else
        af_buf_append_str(&in->inside, set);
}

/* The class as an atom. */
static enum af_status class_end(struct parser *in, bool is_negated)
{
    AF_TRY(af_buf_check(&in->inside, "a class of a regular expression", in->err));
    AF_TRY(af_buf_check(&in->beside, "a class of a regular expression", in->err));
    struct af_slice inside = af_buf_slice(&in->inside), beside = af_buf_slice(&in->beside);
    begin_atom(in);
    af_buf_append_str(in->out, (in->flags & FLAG_I) != 0 ? "(?i:" : "(?:");
    if (beside.len == 0 && inside.len != 0) {
        af_buf_append_str(in->out, is_negated ? "[^" : "[");
        af_buf_append_slice(in->out, inside);
        af_buf_append_char(in->out, ']');
    } else {
        af_buf_append_str(in->out, is_negated ? "(?!" : "(?:");
        if (inside.len == 0) {
            af_buf_append_str(in->out, "(?!)");
        } else {
            af_buf_append_char(in->out, '[');
            af_buf_append_slice(in->out, inside);
            af_buf_append_char(in->out, ']');
        }
        af_buf_append_slice(in->out, beside);
        af_buf_append_str(in->out, is_negated ? ")(?s:.)" : ")");
    }
    af_buf_append_char(in->out, ')');
    return AF_OK;
}

/* \d \s \w and their opposites. */
static bool read_perl_class(struct parser *in)
{
    static const struct {
        char name;
        const char *set;
    } sets[] = { { 'd', "0-9" }, { 's', "\\x09\\x0a\\x0c\\x0d\\x20" }, { 'w', "0-9A-Za-z_" } };
    if (in->end - in->at < 2 || in->at[0] != '\\')
        return false;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        bool is_negated = in->at[1] == sets[i].name - 'a' + 'A';
        if (in->at[1] != sets[i].name && !is_negated)
            continue;
        class_set(in, sets[i].set, is_negated);
        in->at += 2;
        return true;
    }
    return false;
}

/* [:alpha:] and [:^alpha:]; *out_found stays false where it is no such thing. */
static enum af_status read_posix_class(struct parser *in, bool *out_found)
{
    static const struct {
        const char *name, *set;
    } sets[] = {
        { "alnum", "0-9A-Za-z" }, { "alpha", "A-Za-z" }, { "ascii", "\\x00-\\x7f" }, { "blank", "\\x09\\x20" },
        { "cntrl", "\\x00-\\x1f\\x7f" }, { "digit", "0-9" }, { "graph", "\\x21-\\x7e" }, { "lower", "a-z" },
        { "print", "\\x20-\\x7e" }, { "punct", "\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e" }, { "space", "\\x09-\\x0d\\x20" },
        { "upper", "A-Z" }, { "word", "0-9A-Za-z_" }, { "xdigit", "0-9A-Fa-f" },
    };
    const char *start = in->at;
    const char *close = memmem(start + 2, (size_t)(in->end - start - 2), ":]", 2);
    if (close == NULL)
        return AF_OK;
    bool is_negated = start[2] == '^';
    struct af_slice name = { start + 2 + is_negated, 0 };
    name.len = name.ptr <= close ? (size_t)(close - name.ptr) : 0;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        if (!af_slice_is(name, sets[i].name))
            continue;
        class_set(in, sets[i].set, is_negated);
        in->at = close + 2;
        *out_found = true;
        return AF_OK;
    }
    return refuse(in, BAD_RANGE, start, close + 2);
}

/* Categories as Go has them: C is what is named here, not also what is unassigned; L& and Cn are none. */
static bool is_category(struct af_slice name)
{
    static const char *const names[] = {
        "C",  "Cc", "Cf", "Co", "Cs", "L",  "Ll", "Lm", "Lo", "Lt", "Lu", "M",  "Mc", "Me", "Mn", "N",  "Nd", "Nl", "No",
        "P",  "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S",  "Sc", "Sk", "Sm", "So", "Z",  "Zl", "Zp", "Zs",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (af_slice_is(name, names[i]))
            return true;
    return false;
}

static enum af_status find_script(const struct parser *in, struct af_slice name, bool *out)
{
    *out = false;
    if (name.len < 2 || name.len > 40 || name.ptr[0] < 'A' || name.ptr[0] > 'Z')
        return AF_OK;
    for (size_t i = 0; i < name.len; i++)
        if (!is_letter((unsigned char)name.ptr[i]) && name.ptr[i] != '_')
            return AF_OK;
    return af_regex_knows_script(name, out, in->err);
}

static enum af_status add_property(struct parser *in, struct af_slice name, bool is_negated, bool *out_known)
{
    char set[64];
    bool is_cased = af_slice_is(name, "Ll") || af_slice_is(name, "Lu") || af_slice_is(name, "Lt");
    *out_known = true;
    if (af_slice_is(name, "Any")) {
        if (!is_negated)
            class_range(in, 0, CODE_MAX);
    } else if (af_slice_is(name, "C")) {
        class_set(in, "\\p{Cc}\\p{Cf}\\p{Cs}\\p{Co}", is_negated);
    } else if ((in->flags & FLAG_I) != 0 && is_cased) {
        class_set(in, "\\p{Ll}\\p{Lu}\\p{Lt}", is_negated);
    } else if (is_category(name)) {
        (void)snprintf(set, sizeof set, "\\p{" AF_SLICE_FMT "}", AF_SLICE_ARG(name));
        class_set(in, set, is_negated);
    } else {
        AF_TRY(find_script(in, name, out_known));
        (void)snprintf(set, sizeof set, "\\p{sc:" AF_SLICE_FMT "}", AF_SLICE_ARG(name));
        if (*out_known)
            class_set(in, set, is_negated);
    }
    return AF_OK;
}

/* \pL \p{Greek} \P{^Lu} */
static enum af_status read_property(struct parser *in, bool *out_found)
{
    if (in->end - in->at < 2 || in->at[0] != '\\' || (in->at[1] != 'p' && in->at[1] != 'P'))
        return AF_OK;
    const char *start = in->at;
    bool is_negated = in->at[1] == 'P';
    in->at += 2;
    struct af_slice name = { in->at, 0 };
    if (next_char(in) == '{') {
        name.ptr = in->at;
        const char *close = memchr(in->at, '}', (size_t)(in->end - in->at));
        if (close == NULL)
            return refuse(in, BAD_RANGE, start, in->end);
        in->at = close + 1;
        name.len = (size_t)(close - name.ptr);
    } else {
        name.len = (size_t)(in->at - name.ptr);
    }
    if (name.len > 0 && name.ptr[0] == '^') {
        is_negated = !is_negated;
        name.ptr++, name.len--;
    }
    AF_TRY(add_property(in, name, is_negated, out_found));
    return *out_found ? AF_OK : refuse(in, BAD_RANGE, start, in->at);
}

static enum af_status read_class_char(struct parser *in, const char *class_start, uint32_t *out)
{
    if (in->at == in->end)
        return refuse(in, "missing closing ]", class_start, in->end);
    if (*in->at == '\\')
        return read_escape(in, out);
    *out = next_char(in);
    return AF_OK;
}

/* a or a-z */
static enum af_status read_class_range(struct parser *in, const char *class_start)
{
    const char *start = in->at;
    uint32_t low, high;
    AF_TRY(read_class_char(in, class_start, &low));
    high = low;
    if (in->end - in->at >= 2 && in->at[0] == '-' && in->at[1] != ']') {
        in->at++;
        AF_TRY(read_class_char(in, class_start, &high));
        if (high < low)
            return refuse(in, BAD_RANGE, start, in->at);
    }
    class_range(in, low, high);
    return AF_OK;
}

static enum af_status read_class(struct parser *in)
{
    const char *start = in->at++;
    bool is_negated = in->at < in->end && *in->at == '^';
    in->at += is_negated;
    class_begin(in);
    for (bool is_first = true; in->at == in->end || *in->at != ']' || is_first; is_first = false) {
        bool found = false;
        if (in->end - in->at > 2 && sees(in, "[:"))
            AF_TRY(read_posix_class(in, &found));
        if (!found)
            AF_TRY(read_property(in, &found));
        if (!found)
            found = read_perl_class(in);
        if (!found)
            AF_TRY(read_class_range(in, start));
    }
    in->at++;
    return class_end(in, is_negated);
}

/* --- repeats --------------------------------------------------------------------------------------------------------------------- */

/* Digits without a leading zero. -1: too large. */
static bool read_count(const char **at, const char *end, int *out)
{
    const char *start = *at;
    int64_t value = 0;
    for (; *at < end && is_digit((unsigned char)**at); ++*at)
        if (value < 100000000)
            value = value * 10 + (**at - '0');
    *out = value >= 100000000 ? -1 : (int)value;
    return *at > start && (*start != '0' || *at == start + 1);
}

/* {n} {n,} {n,m}: moves `*at` behind it. False: it is none, the brace is a character. *out_max -1: no end; *out_min -1: one of them is
 * too large. */
static bool read_counts(const char **at, const char *end, int *out_min, int *out_max)
{
    const char *here = *at + 1;
    if (!read_count(&here, end, out_min))
        return false;
    *out_max = *out_min;
    if (here < end && *here == ',') {
        here++;
        *out_max = -1;
        if (here < end && *here != '}') {
            if (!read_count(&here, end, out_max))
                return false;
            if (*out_max < 0)
                *out_min = -1; /* too large, as if the first were */
        }
    }
    if (here >= end || *here != '}')
        return false;
    *at = here + 1;
    return true;
}

/* `from` up to in->at is the operator. */
static enum af_status apply_repeat(struct parser *in, const char *from, int min, int max, const char *last_repeat)
{
    bool is_counted = *from == '{';
    const char *op_end = in->at;
    if (in->at < in->end && *in->at == '?')
        in->at++;
    if (last_repeat != NULL)
        return refuse(in, "invalid nested repetition operator", last_repeat, in->at);
    if (in->atom == NONE)
        return refuse(in, "missing argument to repetition operator", from, in->at);
    if (is_counted) {
        int times = max < 0 ? min : max;
        int weight = times == 0 ? 1 : times * in->atom_weight; /* both at most 1,000 */
        if ((min >= 2 || max >= 2) && weight > REPEAT_MAX)
            return refuse(in, BAD_COUNT, from, in->at);
        in->atom_weight = weight;
    }
    if (in->atom_is_repeat) { /* a*(?i)*: the first repeat is what is repeated */
        size_t len = in->out->len - in->atom;
        if (af_buf_reserve(in->out, 4) != NULL) {
            char *atom = in->out->ptr + in->atom;
            memmove(atom + 3, atom, len);
            memcpy(atom, "(?:", 3);
            atom[len + 3] = ')';
            in->out->len += 4;
        }
    }
    af_buf_append(in->out, from, (size_t)(op_end - from));
    if (in->at > op_end)
        af_buf_append_char(in->out, '?');
    in->atom_is_repeat = true;
    return AF_OK;
}

static enum af_status read_repeat(struct parser *in, const char *last_repeat, bool *out_is_literal)
{
    const char *from = in->at;
    int min = 0, max = -1;
    if (*from != '{') {
        in->at++;
        return apply_repeat(in, from, min, max, last_repeat);
    }
    if (!read_counts(&in->at, in->end, &min, &max)) {
        in->at++;
        *out_is_literal = true;
        put_literal(in, '{');
        return AF_OK;
    }
    if (min < 0 || min > REPEAT_MAX || max > REPEAT_MAX || (max >= 0 && min > max))
        return refuse(in, BAD_COUNT, from, in->at);
    return apply_repeat(in, from, min, max, last_repeat);
}

/* --- groups ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status open_group(struct parser *in)
{
    if (in->depth == DEPTH_MAX)
        return refuse_whole(in, "expression nests too deeply");
    settle_weight(in);
    in->groups[in->depth++] = (struct group){ in->flags, in->out->len, in->weight };
    af_buf_append_str(in->out, "(?:");
    in->atom = NONE;
    in->weight = 1;
    return AF_OK;
}

static enum af_status close_group(struct parser *in)
{
    if (in->depth == 0)
        return refuse_whole(in, "unexpected )");
    settle_weight(in);
    const struct group *group = &in->groups[--in->depth];
    af_buf_append_char(in->out, ')');
    in->flags = group->flags;
    in->atom = group->start;
    in->atom_weight = in->weight;
    in->atom_is_repeat = false;
    in->weight = group->weight;
    in->at++;
    return AF_OK;
}

static bool is_capture_name(struct af_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] != '_' && !is_letter((unsigned char)name.ptr[i]) && !is_digit((unsigned char)name.ptr[i]))
            return false;
    return name.len > 0;
}

/* (?P<name> */
static enum af_status read_named_group(struct parser *in)
{
    const char *start = in->at;
    const char *close = memchr(start, '>', (size_t)(in->end - start));
    if (close == NULL)
        return refuse(in, BAD_NAME, start, in->end);
    if (!is_capture_name((struct af_slice){ start + 4, (size_t)(close - start - 4) }))
        return refuse(in, BAD_NAME, start, close + 1);
    in->at = close + 1;
    return open_group(in);
}

/* Letters of flags up to `)` or `:`; false: something else came. */
static bool read_flags(struct parser *in, unsigned *flags, uint32_t *out_end)
{
    static const char letters[] = "imsU";
    bool is_minus = false, saw_flag = false;
    while (in->at < in->end) {
        uint32_t c = next_char(in);
        const char *letter = c != 0 && c < 0x80 ? strchr(letters, (int)c) : NULL;
        if (letter != NULL) {
            unsigned bit = 1U << (letter - letters);
            *flags = is_minus ? *flags & ~bit : *flags | bit;
            saw_flag = true;
        } else if (c == '-' && !is_minus) {
            is_minus = true;
            saw_flag = false;
        } else {
            *out_end = c;
            return (c == ':' || c == ')') && (!is_minus || saw_flag);
        }
    }
    return false;
}

/* From "(?" on. */
static enum af_status read_perl_group(struct parser *in)
{
    const char *start = in->at;
    if (in->end - start > 4 && sees(in, "(?P<"))
        return read_named_group(in);
    unsigned flags = in->flags;
    uint32_t end;
    in->at += 2;
    if (!read_flags(in, &flags, &end))
        return refuse(in, BAD_PERL, start, in->at);
    if (end == ':')
        AF_TRY(open_group(in));
    in->flags = flags;
    return AF_OK;
}

/* --- all of it ------------------------------------------------------------------------------------------------------------------- */

static void read_quoted(struct parser *in)
{
    in->at += 2;
    while (in->at < in->end && !sees(in, "\\E"))
        put_literal(in, next_char(in));
    in->at += in->at < in->end ? 2 : 0;
}

static enum af_status read_backslash(struct parser *in)
{
    if (in->end - in->at >= 2) {
        char c = in->at[1];
        if (c == 'C')
            return refuse(in, BAD_ESCAPE, in->at, in->at + 2);
        if (c == 'Q') {
            read_quoted(in);
            return AF_OK;
        }
        const char *assertion = c == 'A' ? "(?:\\A)" : c == 'b' ? "(?:\\b)" : c == 'B' ? "(?:\\B)" : c == 'z' ? "(?:\\z)" : NULL;
        if (assertion != NULL) {
            put(in, assertion);
            in->at += 2;
            return AF_OK;
        }
    }
    bool found = false;
    class_begin(in);
    AF_TRY(read_property(in, &found));
    if (found || read_perl_class(in))
        return class_end(in, false);
    uint32_t code;
    AF_TRY(read_escape(in, &code));
    put_literal(in, code);
    return AF_OK;
}

static enum af_status read_piece(struct parser *in)
{
    switch (*in->at) {
    case '(':
        if (sees(in, "(?"))
            return read_perl_group(in);
        in->at++;
        return open_group(in);
    case ')': return close_group(in);
    case '|':
        in->at++;
        settle_weight(in);
        af_buf_append_char(in->out, '|');
        in->atom = NONE;
        return AF_OK;
    case '^':
        in->at++;
        put(in, (in->flags & FLAG_M) != 0 ? "(?:(?<![^\\x0a]))" : "(?:\\A)");
        return AF_OK;
    case '$':
        in->at++;
        put(in, (in->flags & FLAG_M) != 0 ? "(?:(?![^\\x0a]))" : "(?:\\z)");
        return AF_OK;
    case '.':
        in->at++;
        put(in, (in->flags & FLAG_S) != 0 ? "(?s:.)" : "[^\\x0a]");
        return AF_OK;
    case '[': return read_class(in);
    case '\\': return read_backslash(in);
    default: put_literal(in, next_char(in)); return AF_OK;
    }
}

static enum af_status read_all(struct parser *in)
{
    const char *last_repeat = NULL; /* where the piece before began, if it was a repeat */
    while (in->at < in->end) {
        const char *start = in->at;
        if (memchr("*+?{", *start, 4) == NULL) {
            AF_TRY(read_piece(in));
            last_repeat = NULL;
            continue;
        }
        bool is_literal = false;
        AF_TRY(read_repeat(in, last_repeat, &is_literal));
        last_repeat = is_literal ? NULL : start;
    }
    if (in->depth > 0)
        return refuse_whole(in, "missing closing )");
    return AF_OK;
}

enum af_status af_regex_translate(struct af_slice pattern, struct af_buf *out, struct af_error *err)
{
    struct parser in = { .at = pattern.ptr, .end = pattern.ptr + pattern.len, .whole = pattern, .out = out, .atom = NONE, .weight = 1,
                         .atom_weight = 1, .err = err };
    if (!af_utf8_is_valid(pattern))
        return refuse_whole(&in, "invalid UTF-8");
    af_buf_init(&in.inside, (size_t)AF_REGEX_BYTES_MAX * 16);
    af_buf_init(&in.beside, (size_t)AF_REGEX_BYTES_MAX * 64);
    enum af_status status = read_all(&in);
    af_buf_done(&in.inside);
    af_buf_done(&in.beside);
    return status;
}

/*
 * grammar.c - one line exactly as InfluxDB 1.8 and 2.7 read it, with their words for what is wrong.
 *
 *     measurement[,tag=value...]  field=value[,field=value...]  [time]
 *     `- key section -----------' `- field section ----------'
 *
 * Three quirks of theirs are the grammar, since a server keeps what it accepts:
 *   - in the key section a byte is escaped when the byte before it is a backslash, whatever stands before that one; in the field
 *     section (and for the end of the line, text.c) backslashes hide the next byte in pairs;
 *   - the field section is first checked as a whole, counting '=' and ',', and then cut into names and values by another rule
 *     (lp_field_next); a string may have bytes after its closing quote, and then loses its first and last byte all the same;
 *   - what follows a missing time is not looked at.
 * What we do differently is in docs/formats/line-protocol.md: reserved tag keys are always refused, so is an empty field name,
 * and a key that is too long is refused before its tags are compared.
 *
 * This is the slow, complete reading. parse.c reads plain lines itself and comes here for the rest and for every refusal.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "format/lp/lp_int.h"
#include <stdarg.h>
#include <stdio.h>

enum { KEY_SEPARATOR_BYTES = 4 }; /* "#!~#" between series key and field in the engine */

static bool refuse(char *reason, const char *fmt, ...) AF_PRINTF(2, 3);
static bool refuse(char *reason, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(reason, LP_REASON_MAX, fmt, args);
    va_end(args);
    return false;
}

static bool is_one_of(char c, const char *set)
{
    for (; *set != '\0'; set++)
        if (c == *set)
            return true;
    return false;
}

static char at_or(struct af_slice s, size_t i, char otherwise)
{
    return i < s.len ? s.ptr[i] : otherwise;
}

/* From `i` > 0: the first byte of `set` without a backslash right before it, or s.len. */
static size_t find_bare(struct af_slice s, size_t i, const char *set)
{
    while (i < s.len && !(is_one_of(s.ptr[i], set) && s.ptr[i - 1] != '\\'))
        i++;
    return i < s.len ? i : s.len;
}

static size_t skip_white(struct af_slice s, size_t i)
{
    while (i < s.len && (s.ptr[i] == ' ' || s.ptr[i] == '\t' || s.ptr[i] == '\0'))
        i++;
    return i;
}

static struct af_slice part(struct af_slice s, size_t from, size_t to)
{
    return (struct af_slice){ s.ptr + from, to - from };
}

/* --- the key section --------------------------------------------------------------------------------------------------------- */

/* The key of the tag that starts at `i` (a stored or accepted key: its '=' is there). */
static struct af_slice tag_key(struct af_slice s, size_t i)
{
    return part(s, i, find_bare(s, i + 1, "="));
}

static bool is_reserved(struct af_slice key)
{
    return af_slice_is(key, "time") || af_slice_is(key, "_field") || af_slice_is(key, "_measurement") ||
           (key.len == 1 && (key.ptr[0] == '\0' || key.ptr[0] == '\xff'));
}

static bool refuse_reserved(char *reason, struct af_slice key)
{
    if (key.len == 1)
        return refuse(reason, "cannot use reserved tag key \"\\x%02x\"", (unsigned)(unsigned char)key.ptr[0]);
    return refuse(reason, "cannot use reserved tag key \"" AF_SLICE_FMT "\"", AF_SLICE_ARG(key));
}

/* One tag from `i`, just past its comma. *out_end is the byte that ended it: a comma or the space behind the section. */
static bool scan_tag(struct af_slice s, size_t i, size_t *out_end, char *reason)
{
    if (is_one_of(at_or(s, i, ' '), " ,="))
        return refuse(reason, "missing tag key");
    size_t equals = find_bare(s, i + 1, " ,=");
    if (at_or(s, equals, ' ') != '=')
        return refuse(reason, "missing tag value");
    size_t value = equals + 1;
    if (is_one_of(at_or(s, value, ' '), ", "))
        return refuse(reason, "missing tag value");
    size_t end = find_bare(s, value + 1, "=, ");
    if (end == s.len)
        return refuse(reason, "missing fields");
    if (s.ptr[end] == '=')
        return refuse(reason, "invalid tag format");
    *out_end = end;
    return true;
}

static bool scan_key(struct af_slice s, struct lp_line *out, size_t *out_end, char *reason)
{
    if (at_or(s, 0, ',') == ',')
        return refuse(reason, "missing measurement");
    size_t end = find_bare(s, 1, ", ");
    if (end == s.len)
        return refuse(reason, "missing fields");
    struct af_slice last = { 0 };
    struct af_slice reserved = { 0 };
    bool is_twice = false;
    out->key_is_sorted = true;
    while (s.ptr[end] == ',') {
        size_t start = end + 1;
        if (!scan_tag(s, start, &end, reason))
            return false;
        struct af_slice key = tag_key(s, start);
        if (reserved.len == 0 && is_reserved(key))
            reserved = key;
        int order = last.ptr != NULL ? af_slice_cmp(last, key) : -1;
        is_twice |= order == 0;
        out->key_is_sorted &= order <= 0;
        last = key;
    }
    out->key = part(s, 0, end);
    *out_end = end;
    if (reserved.len != 0)
        return refuse_reserved(reason, reserved);
    if (is_twice)
        return refuse(reason, "duplicate tags");
    if (end > AF_LP_KEY_BYTES_MAX)
        return refuse(reason, "max key length exceeded: %zu > %d", end, AF_LP_KEY_BYTES_MAX);
    return true;
}

/* Bottom-up merge of `count` tags in `a`, `b` of the same size as scratch. Returns the one that holds the result. */
static struct af_slice *sort_tags(struct af_slice *a, struct af_slice *b, size_t count)
{
    for (size_t width = 1; width < count; width *= 2) {
        for (size_t lo = 0; lo < count; lo += 2 * width) {
            size_t mid = lo + width < count ? lo + width : count;
            size_t hi = lo + 2 * width < count ? lo + 2 * width : count;
            size_t i = lo;
            size_t j = mid;
            for (size_t k = lo; k < hi; k++) {
                bool left = j == hi || (i < mid && af_slice_cmp(tag_key(a[i], 0), tag_key(a[j], 0)) <= 0);
                b[k] = left ? a[i++] : a[j++];
            }
        }
        struct af_slice *swap = a;
        a = b;
        b = swap;
    }
    return a;
}

static size_t split_tags(struct af_slice key, size_t at, struct af_slice *out)
{
    size_t count = 0;
    while (at < key.len) {
        size_t end = find_bare(key, at + 2, ",");
        if (out != NULL)
            out[count] = part(key, at + 1, end);
        count++;
        at = end;
    }
    return count;
}

static bool has_duplicate(const struct af_slice *tags, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (af_slice_eq(tag_key(tags[i - 1], 0), tag_key(tags[i], 0)))
            return true;
    return false;
}

/* Sort, then hand to `out` unless it is NULL. AF_EINVAL: a tag key is there twice. */
static enum af_status sorted_key(struct af_slice key, struct af_buf *out, struct af_error *err)
{
    size_t first = find_bare(key, 1, ",");
    size_t count = split_tags(key, first, NULL);
    struct af_slice *tags = af_alloc(2 * count * sizeof *tags);
    if (tags == NULL)
        return af_fail_nomem(err, "the tags of a series");
    split_tags(key, first, tags);
    struct af_slice *sorted = sort_tags(tags, tags + count, count);
    bool is_twice = has_duplicate(sorted, count);
    if (!is_twice && out != NULL) {
        af_buf_append(out, key.ptr, first);
        for (size_t i = 0; i < count; i++) {
            af_buf_append_char(out, ',');
            af_buf_append_slice(out, sorted[i]);
        }
    }
    af_free(tags);
    return is_twice ? AF_EINVAL : AF_OK;
}

enum af_status lp_key_sorted(struct af_slice key, struct af_buf *out, struct af_error *err)
{
    return sorted_key(key, out, err);
}

/* --- the field section ------------------------------------------------------------------------------------------------------- */

static struct af_slice token_at(struct af_slice s, size_t i)
{
    size_t end = i;
    while (end < s.len && s.ptr[end] != ',' && s.ptr[end] != ' ')
        end++;
    return part(s, i, end);
}

static bool all_digits(struct af_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
    return s.len > 0;
}

/* Only the bytes a float may have, where it may have them; whether it is one, the conversion says. */
static bool looks_like_float(struct af_slice s, bool *out_scientific)
{
    size_t points = 0;
    size_t others = 0;
    *out_scientific = false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool after_e = i > 0 && is_one_of(s.ptr[i - 1], "eE");
        if (c == '-' && i == 0)
            continue;
        if (c == '.')
            points++;
        else if (c >= '0' && c <= '9')
            others++;
        else if (is_one_of(c, "eE") && i > 0)
            others++, *out_scientific = true;
        else if (is_one_of(c, "+-") && after_e)
            others++;
        else
            return false;
    }
    return points <= 1 && others > 0;
}

static const char *range_or_syntax(struct af_slice digits)
{
    return all_digits(digits) ? "value out of range" : "invalid syntax";
}

static bool read_integer(struct af_slice token, int64_t *out, char *reason)
{
    struct af_slice body = { token.ptr, token.len - 1 };
    struct af_slice digits = body.ptr[0] == '-' ? part(body, 1, body.len) : body;
    if (!all_digits(digits))
        return refuse(reason, "invalid number");
    if (!af_i64_parse(body, out))
        return refuse(reason, "unable to parse integer " AF_SLICE_FMT ": strconv.ParseInt: parsing \"" AF_SLICE_FMT "\": %s",
                      AF_SLICE_ARG(body), AF_SLICE_ARG(body), range_or_syntax(digits));
    return true;
}

static bool read_unsigned(struct af_slice token, uint64_t *out, char *reason)
{
    struct af_slice body = { token.ptr, token.len - 1 };
    if (!all_digits(body))
        return refuse(reason, "invalid number");
    if (!af_u64_parse(body, out))
        return refuse(reason, "unable to parse unsigned " AF_SLICE_FMT ": strconv.ParseUint: parsing \"" AF_SLICE_FMT "\": %s",
                      AF_SLICE_ARG(body), AF_SLICE_ARG(body), range_or_syntax(body));
    return true;
}

/* Classify and convert; `reason` gets the words. */
static bool read_number(struct af_slice token, bool allow_unsigned, struct lp_value *out, char *reason)
{
    char last = token.len > 0 ? token.ptr[token.len - 1] : '\0';
    if (last == 'i' && token.len > 1) {
        out->type = AF_TYPE_I64;
        return read_integer(token, &out->i64, reason);
    }
    if (last == 'u' && token.len > 1 && allow_unsigned) {
        out->type = AF_TYPE_U64;
        return read_unsigned(token, &out->u64, reason);
    }
    bool is_scientific;
    if (!looks_like_float(token, &is_scientific))
        return refuse(reason, "invalid number");
    out->type = AF_TYPE_F64;
    if (!af_f64_parse(token, &out->f64))
        return refuse(reason, "invalid float");
    return true;
}

static bool read_bool(struct af_slice token, struct lp_value *out, char *reason)
{
    static const char *const words[] = { "t", "T", "true", "True", "TRUE", "f", "F", "false", "False", "FALSE" };
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (af_slice_is(token, words[i])) {
            out->type = AF_TYPE_BOOL;
            out->b = i < 5;
            return true;
        }
    }
    return refuse(reason, "invalid boolean");
}

static bool starts_number(char c)
{
    return (c >= '0' && c <= '9') || is_one_of(c, ".-Nn");
}

/* What stands around the bare '=' at `i`; on success *out_next is where scanning goes on. */
static bool scan_equals(struct af_slice s, size_t i, bool allow_unsigned, size_t *out_next, char *reason)
{
    struct lp_value value;
    if (is_one_of(s.ptr[i - 1], " ,") && s.ptr[i - 2] != '\\')
        return refuse(reason, "missing field key");
    char next = at_or(s, i + 1, ' ');
    if (next == ',' || next == ' ')
        return refuse(reason, "missing field value");
    *out_next = i + 1;
    if (next == '"')
        return true;
    struct af_slice token = token_at(s, i + 1);
    *out_next = i + 1 + token.len;
    return starts_number(next) ? read_number(token, allow_unsigned, &value, reason) : read_bool(token, &value, reason);
}

/* The first reading: where the section ends, and that names and values come in pairs. */
static bool scan_fields(struct af_slice s, size_t i, bool allow_unsigned, size_t *out_end, char *reason)
{
    size_t equals = 0;
    size_t commas = 0;
    bool quoted = false;
    while (i < s.len) {
        char c = s.ptr[i];
        if (c == '\\' && i + 1 < s.len) {
            i += 2;
        } else if (c == '"' && equals > commas) {
            quoted = !quoted;
            i++;
        } else if (c == '=' && !quoted) {
            equals++;
            if (!scan_equals(s, i, allow_unsigned, &i, reason))
                return false;
        } else if (c == ' ' && !quoted) {
            break;
        } else {
            commas += c == ',' && !quoted;
            i++;
        }
    }
    if (quoted)
        return refuse(reason, "unbalanced quotes");
    if (equals == 0 || commas != equals - 1)
        return refuse(reason, "invalid field format");
    *out_end = i;
    return true;
}

/* The end of the value at `i`: a comma outside quotes. Only \" and \\ hide a byte here. */
static size_t value_end(struct af_slice s, size_t i)
{
    bool quoted = false;
    for (; i < s.len; i++) {
        char c = s.ptr[i];
        if (c == '\\' && i + 1 < s.len && is_one_of(s.ptr[i + 1], "\"\\"))
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ',' && !quoted)
            break;
    }
    return i < s.len ? i : s.len;
}

/* The second reading: cut at `*at`. False with a reason: no value there; false without one: the end. */
static bool cut_field(struct af_slice fields, size_t *at, struct af_slice *out_name, struct af_slice *out_value, char *reason)
{
    reason[0] = '\0';
    if (*at >= fields.len)
        return false;
    struct af_slice rest = part(fields, *at, fields.len);
    size_t equals = rest.ptr[0] == '=' ? 0 : find_bare(rest, 1, "=");
    *out_name = part(rest, 0, equals);
    if (equals + 1 >= rest.len)
        return refuse(reason, "invalid value: field-key=" AF_SLICE_FMT, AF_SLICE_ARG(*out_name));
    size_t end = value_end(rest, equals + 1);
    *out_value = part(rest, equals + 1, end);
    *at += end < rest.len ? end + 1 : end;
    return true;
}

static bool read_value(struct af_slice raw, struct lp_value *out, char *reason)
{
    if (raw.len > 0 && raw.ptr[0] == '"') {
        out->type = AF_TYPE_STRING;
        out->raw_text = raw.len > 1 ? part(raw, 1, raw.len - 1) : part(raw, 1, 1);
        return true;
    }
    if (raw.len > 0 && starts_number(raw.ptr[0]))
        return read_number(raw, true, out, reason);
    return read_bool(raw, out, reason);
}

static bool is_time_field(struct af_slice raw_name)
{
    return af_slice_is(raw_name, "time");
}

bool lp_field_next(struct af_slice fields, size_t *at, struct lp_value *out)
{
    char reason[LP_REASON_MAX];
    struct af_slice raw;
    do {
        if (!cut_field(fields, at, &out->raw_name, &raw, reason))
            return false;
    } while (is_time_field(out->raw_name));
    return read_value(raw, out, reason);
}

static bool check_fields(struct lp_line *line, char *reason)
{
    struct af_slice name;
    struct af_slice raw;
    struct lp_value value;
    size_t at = 0;
    line->field_count = 0;
    while (cut_field(line->fields, &at, &name, &raw, reason)) {
        size_t key_len = line->key.len + KEY_SEPARATOR_BYTES + name.len;
        if (name.len == 0)
            return refuse(reason, "missing field key");
        if (key_len > AF_LP_KEY_BYTES_MAX)
            return refuse(reason, "max key length exceeded: %zu > %d", key_len, AF_LP_KEY_BYTES_MAX);
        if (!read_value(raw, &value, reason))
            return false;
        line->field_count += !is_time_field(name);
    }
    if (reason[0] != '\0')
        return false;
    if (line->field_count > AF_COLUMNS_MAX)
        return refuse(reason, "too many fields: %zu > %d", line->field_count, AF_COLUMNS_MAX);
    return true;
}

/* --- the time ---------------------------------------------------------------------------------------------------------------- */

static bool scan_time(struct af_slice s, size_t i, const struct lp_rules *rules, int64_t *out_ns, char *reason)
{
    int64_t unit = af_precision_ns(rules->precision);
    size_t start = skip_white(s, i);
    size_t end = start;
    while (end < s.len && s.ptr[end] != ' ' && s.ptr[end] != '\n') {
        if ((s.ptr[end] < '0' || s.ptr[end] > '9') && !(end == start && s.ptr[end] == '-'))
            return refuse(reason, "bad timestamp");
        end++;
    }
    if (end == start) {
        *out_ns = lp_floor_to(rules->default_time_ns, unit);
        return true;
    }
    struct af_slice token = part(s, start, end);
    int64_t ticks;
    int64_t ns;
    if (!af_i64_parse(token, &ticks))
        return refuse(reason, "strconv.ParseInt: parsing \"" AF_SLICE_FMT "\": %s", AF_SLICE_ARG(token),
                      token.len > 1 ? "value out of range" : "invalid syntax");
    if (__builtin_mul_overflow(ticks, unit, &ns) || !lp_time_in_range(ns))
        return refuse(reason, "time outside range %lld - %lld", (long long)(INT64_MIN + 2), (long long)(INT64_MAX - 1));
    for (; end < s.len; end++)
        if (s.ptr[end] != ' ')
            return refuse(reason, "point is invalid");
    *out_ns = ns;
    return true;
}

/* The engine drops fields called time; a point of nothing else is refused by it. */
static bool check_not_only_time(const struct lp_line *line, char *reason)
{
    if (line->field_count != 0)
        return true;
    struct af_slice measurement = part(line->key, 0, find_bare(line->key, 1, ","));
    return refuse(reason, "invalid field name: input field \"time\" on measurement \"" AF_SLICE_FMT "\" is invalid",
                  AF_SLICE_ARG(measurement));
}

static bool scan_rest(struct af_slice line, const struct lp_rules *rules, struct lp_line *out, size_t at, char *reason)
{
    size_t start = skip_white(line, at);
    if (!scan_fields(line, start, rules->allow_unsigned, &at, reason))
        return false;
    out->fields = part(line, start, at);
    return check_fields(out, reason) && scan_time(line, at, rules, &out->time_ns, reason) && check_not_only_time(out, reason);
}

enum af_status lp_line_scan(struct af_slice line, const struct lp_rules *rules, struct lp_line *out, char *reason)
{
    size_t end = 0;
    reason[0] = '\0';
    if (!scan_key(line, out, &end, reason))
        return AF_EINVAL;
    if (!out->key_is_sorted) {
        enum af_status status = sorted_key(out->key, NULL, NULL);
        if (status == AF_EINVAL)
            refuse(reason, "duplicate tags");
        if (status != AF_OK)
            return status;
    }
    return scan_rest(line, rules, out, end, reason) ? AF_OK : AF_EINVAL;
}

/* --- escapes ----------------------------------------------------------------------------------------------------------------- */

static char *unescape(char *dst, struct af_slice text, const char *set)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\' && i + 1 < text.len && is_one_of(text.ptr[i + 1], set))
            i++;
        *dst++ = text.ptr[i];
    }
    return dst;
}

char *lp_unescape_name(char *dst, struct af_slice text)
{
    return unescape(dst, text, ",\" =");
}

char *lp_unescape_string(char *dst, struct af_slice text)
{
    return unescape(dst, text, "\"\\");
}

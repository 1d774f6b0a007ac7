/*
 * predicate.c - predicates as query text; see remote_int.h.
 *
 *     InfluxQL   ("region"::tag = 'n' OR "kind"::tag != '' OR "plant"::tag =~ /^w/)
 *     Flux       ((exists r["region"] and r["region"] == "n") or (exists r["kind"] and r["kind"] != ""))
 *     2.x delete "region"="n" AND "kind"="wind"                      nothing else is understood there
 *
 * InfluxQL has no NOT, and Flux's stumbles over tags that are not there, so negation is pushed down to the comparisons: NOT (a AND b) is
 * printed as (NOT a OR NOT b). Neither language has a word for "all" and "none" in this place: these are found first (remote_reach). The
 * cast makes InfluxQL look at the tag where a field has the same name; a missing tag is the empty string there already.
 */
#include "base/buf.h"
#include "base/regex.h"
#include "remote/remote_int.h"

/* What a node means under `negate`: its items, negated or not, all of them or any. NOT of several is NOT of their AND. */
struct sense {
    bool is_all;
    bool negate; /* the items */
};

static struct sense sense_of(const struct af_predicate *predicate, bool negate)
{
    bool items = (predicate->op == AF_PREDICATE_NOT) != negate;
    return (struct sense){ (predicate->op != AF_PREDICATE_OR) != items, items };
}

static bool is_comparison(const struct af_predicate *predicate)
{
    return predicate->op == AF_PREDICATE_EQUAL || predicate->op == AF_PREDICATE_NOT_EQUAL || predicate->op == AF_PREDICATE_MATCH ||
           predicate->op == AF_PREDICATE_NOT_MATCH;
}

static bool is_pattern(const struct af_predicate *comparison)
{
    return comparison->op == AF_PREDICATE_MATCH || comparison->op == AF_PREDICATE_NOT_MATCH;
}

/* Equal, or does it match? */
static bool is_equal(const struct af_predicate *comparison, bool negate)
{
    return (comparison->op == AF_PREDICATE_EQUAL || comparison->op == AF_PREDICATE_MATCH) != negate;
}

/* The value or pattern fits the empty string, which a missing tag is. */
static bool takes_empty(const struct af_predicate *comparison)
{
    bool does = false;
    if (!is_pattern(comparison))
        return comparison->value.len == 0;
    return af_regex_match(comparison->regex, AF_SLICE_LIT(""), &does, NULL) == AF_OK && does;
}

static enum remote_reach reach_of(const struct af_predicate *predicate, bool negate)
{
    if (is_comparison(predicate)) {
        bool is_any = is_pattern(predicate) && af_regex_pattern(predicate->regex).len == 0; /* there is no way to write it */
        if (predicate->tag.len > 0 && !is_any)
            return REACH_SOME;
        return takes_empty(predicate) == is_equal(predicate, negate) ? REACH_ALL : REACH_NONE; /* no tag has an empty name */
    }
    struct sense sense = sense_of(predicate, negate);
    enum remote_reach reach = sense.is_all ? REACH_ALL : REACH_NONE;
    for (size_t i = 0; i < predicate->item_count; i++) {
        enum remote_reach item = reach_of(predicate->items[i], sense.negate);
        if (item == (sense.is_all ? REACH_NONE : REACH_ALL))
            return item;
        if (item == REACH_SOME)
            reach = REACH_SOME;
    }
    return reach;
}

enum remote_reach remote_reach(const struct af_predicate *predicate)
{
    return predicate != NULL ? reach_of(predicate, false) : REACH_ALL;
}

/* --- InfluxQL and Flux -------------------------------------------------------------------------------------------- */

struct dialect {
    const char *word_and;
    const char *word_or;
    void (*compare)(struct af_buf *out, const struct af_predicate *comparison, bool is_equal);
};

/* The items that decide nothing are left out; there is one that does. */
static void append(struct af_buf *out, const struct dialect *dialect, const struct af_predicate *predicate, bool negate)
{
    if (is_comparison(predicate)) {
        dialect->compare(out, predicate, is_equal(predicate, negate));
        return;
    }
    struct sense sense = sense_of(predicate, negate);
    size_t count = 0;
    for (size_t i = 0; i < predicate->item_count; i++)
        count += reach_of(predicate->items[i], sense.negate) == REACH_SOME;
    bool is_first = true;
    af_buf_append_str(out, count > 1 ? "(" : "");
    for (size_t i = 0; i < predicate->item_count; i++) {
        if (reach_of(predicate->items[i], sense.negate) != REACH_SOME)
            continue;
        if (!is_first)
            af_buf_append_str(out, sense.is_all ? dialect->word_and : dialect->word_or);
        append(out, dialect, predicate->items[i], sense.negate);
        is_first = false;
    }
    af_buf_append_str(out, count > 1 ? ")" : "");
}

/* Single quotes make a text of it, double ones a name. */
static void iql_append_text(struct af_buf *out, struct af_slice text)
{
    af_buf_append_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '\'' || c == '\\')
            af_buf_append_char(out, '\\');
        if (c == '\n')
            af_buf_append_str(out, "\\n");
        else
            af_buf_append_char(out, c);
    }
    af_buf_append_char(out, '\'');
}

/* Both languages end a pattern at the first slash without a backslash before it, and take that backslash away, whatever stands before it: a
 * backslash that is meant is written by its number. */
static void append_pattern(struct af_buf *out, struct af_slice pattern)
{
    af_buf_append_char(out, '/');
    for (size_t i = 0; i < pattern.len; i++) {
        bool is_escaped = pattern.ptr[i] == '\\' && i + 1 < pattern.len;
        char c = pattern.ptr[i += is_escaped];
        if (c == '/')
            af_buf_append_str(out, "\\/");
        else if (c == '\n')
            af_buf_append_str(out, "\\n");
        else if (is_escaped && c == '\\')
            af_buf_append_str(out, "\\x5c");
        else
            af_buf_append(out, pattern.ptr + i - is_escaped, 1 + (size_t)is_escaped);
    }
    af_buf_append_char(out, '/');
}

static void iql_compare(struct af_buf *out, const struct af_predicate *comparison, bool equal)
{
    remote_append_quoted(out, comparison->tag);
    if (is_pattern(comparison)) {
        af_buf_append_str(out, equal ? "::tag =~ " : "::tag !~ ");
        append_pattern(out, af_regex_pattern(comparison->regex));
        return;
    }
    af_buf_append_str(out, equal ? "::tag = " : "::tag != ");
    iql_append_text(out, comparison->value);
}

void iql_append_predicate(struct af_buf *out, const struct af_predicate *predicate)
{
    static const struct dialect influxql = { " AND ", " OR ", iql_compare };
    append(out, &influxql, predicate, false);
}

/* A missing tag counts where the empty string would. */
static void flux_compare(struct af_buf *out, const struct af_predicate *comparison, bool equal)
{
    bool takes_missing = takes_empty(comparison) == equal;
    af_buf_append_str(out, takes_missing ? "(not exists r[" : "(exists r[");
    flux_append_string(out, comparison->tag);
    af_buf_append_str(out, takes_missing ? "] or r[" : "] and r[");
    flux_append_string(out, comparison->tag);
    if (is_pattern(comparison)) {
        af_buf_append_str(out, equal ? "] =~ " : "] !~ ");
        append_pattern(out, af_regex_pattern(comparison->regex));
    } else {
        af_buf_append_str(out, equal ? "] == " : "] != ");
        flux_append_string(out, comparison->value);
    }
    af_buf_append_char(out, ')');
}

void flux_append_predicate(struct af_buf *out, const struct af_predicate *predicate)
{
    static const struct dialect flux = { " and ", " or ", flux_compare };
    append(out, &flux, predicate, false);
}

/* --- 2.x delete ------------------------------------------------------------------------------------------------- */

void remote_append_equal(struct af_buf *out, struct af_slice tag, struct af_slice value)
{
    af_buf_append_str(out, out->len > 0 ? " AND " : "");
    remote_append_quoted(out, tag);
    af_buf_append_char(out, '=');
    remote_append_quoted(out, value);
}

static bool append_equals(struct af_buf *out, const struct af_predicate *predicate, bool negate)
{
    if (is_comparison(predicate)) {
        if (is_pattern(predicate) || !is_equal(predicate, negate) || predicate->value.len == 0)
            return false; /* there, a tag that is missing neither equals nor differs */
        remote_append_equal(out, predicate->tag, predicate->value);
        return true;
    }
    struct sense sense = sense_of(predicate, negate);
    size_t count = 0;
    for (size_t i = 0; i < predicate->item_count; i++) {
        if (reach_of(predicate->items[i], sense.negate) != REACH_SOME)
            continue;
        if ((++count > 1 && !sense.is_all) || !append_equals(out, predicate->items[i], sense.negate))
            return false;
    }
    return true;
}

bool remote_append_equals(struct af_buf *out, const struct af_predicate *predicate)
{
    size_t before = out->len;
    if (remote_reach(predicate) == REACH_ALL || append_equals(out, predicate, false))
        return true;
    if (!out->failed)
        af_buf_rewind(out, before);
    return false;
}

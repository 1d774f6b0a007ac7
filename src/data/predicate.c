/*
 * predicate.c - series keys taken apart, and predicates matched to them; see predicate.h.
 *
 *     measurement,tag=value,tag=value      a comma, space or equals sign behind a backslash belongs to the text
 *
 * InfluxDB's rule, followed here: what counts is the one byte before. There is no escape for a backslash itself, so in `a\\,b` the comma
 * is escaped too, and a backslash in front of anything else is a backslash.
 */
#include "data/predicate.h"
#include "base/limits.h"
#include "base/regex.h"

/* The first of `c` at or behind `from` that is not escaped, or the end. */
static size_t find_unescaped(struct af_slice s, size_t from, char c)
{
    for (size_t i = from; i < s.len; i++) {
        const char *hit = memchr(s.ptr + i, c, s.len - i);
        if (hit == NULL)
            return s.len;
        i = (size_t)(hit - s.ptr);
        if (i == from || s.ptr[i - 1] != '\\')
            return i;
    }
    return s.len;
}

struct af_slice af_key_measurement_raw(struct af_slice series_key)
{
    return (struct af_slice){ series_key.ptr, find_unescaped(series_key, 0, ',') };
}

bool af_key_next_tag(struct af_slice series_key, size_t *at, struct af_slice *out_key_raw, struct af_slice *out_value_raw)
{
    size_t comma = *at != 0 ? *at : find_unescaped(series_key, 0, ',');
    if (comma >= series_key.len)
        return false;
    size_t start = comma + 1;
    size_t end = find_unescaped(series_key, start, ',');
    struct af_slice tag = { series_key.ptr + start, end - start };
    size_t equals = find_unescaped(tag, 0, '=');
    size_t value = equals < tag.len ? equals + 1 : tag.len;
    *out_key_raw = (struct af_slice){ tag.ptr, equals };
    *out_value_raw = (struct af_slice){ tag.ptr + value, tag.len - value };
    *at = end;
    return true;
}

/* --- the text a human reads --------------------------------------------------------------------------------------------------- */

static bool is_escape(struct af_slice raw, size_t i, bool equals_too)
{
    if (raw.ptr[i] != '\\' || i + 1 == raw.len)
        return false;
    char c = raw.ptr[i + 1];
    return c == ',' || c == ' ' || (equals_too && c == '=');
}

static struct af_slice unescape(struct af_slice raw, bool equals_too, struct af_buf *scratch)
{
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL)
        return raw;
    af_buf_clear(scratch);
    for (size_t i = 0; i < raw.len; i++) {
        i += is_escape(raw, i, equals_too);
        af_buf_append_char(scratch, raw.ptr[i]);
    }
    return scratch->failed ? raw : af_buf_slice(scratch);
}

struct af_slice af_key_unescape(struct af_slice raw, struct af_buf *scratch)
{
    return unescape(raw, true, scratch);
}

struct af_slice af_key_unescape_measurement(struct af_slice raw, struct af_buf *scratch)
{
    return unescape(raw, false, scratch);
}

/* Is `raw`, unescaped, this text? Without a buffer. */
static bool reads_as(struct af_slice raw, struct af_slice text)
{
    if (text.len > raw.len)
        return false;
    size_t at = 0;
    for (size_t i = 0; i < raw.len; i++, at++) {
        i += is_escape(raw, i, true);
        if (at == text.len || raw.ptr[i] != text.ptr[at])
            return false;
    }
    return at == text.len;
}

/* Does the pattern match this text, unescaped? A failure where it ran into its limit. */
static enum af_status raw_matches(const struct af_regex *regex, struct af_slice raw, bool *out)
{
    char room[AF_LP_KEY_BYTES_MAX]; /* no key is longer */
    struct af_slice text = raw;
    if (raw.len != 0 && memchr(raw.ptr, '\\', raw.len) != NULL) {
        if (raw.len > sizeof room)
            return AF_ELIMIT;
        text = (struct af_slice){ room, 0 };
        for (size_t i = 0; i < raw.len; i++) {
            i += is_escape(raw, i, true);
            room[text.len++] = raw.ptr[i];
        }
    }
    return af_regex_match(regex, text, out, NULL);
}

/* --- matching ----------------------------------------------------------------------------------------------------------------- */

static bool tag_is(struct af_slice series_key, struct af_slice tag, struct af_slice value)
{
    size_t at = 0;
    struct af_slice key_raw, value_raw;
    while (af_key_next_tag(series_key, &at, &key_raw, &value_raw))
        if (reads_as(key_raw, tag))
            return reads_as(value_raw, value);
    return value.len == 0;
}

static bool tag_matches(struct af_slice series_key, const struct af_predicate *predicate, bool wanted)
{
    size_t at = 0;
    struct af_slice key_raw, value_raw, found = { "", 0 };
    while (af_key_next_tag(series_key, &at, &key_raw, &value_raw))
        if (reads_as(key_raw, predicate->tag)) {
            found = value_raw;
            break;
        }
    bool does;
    return raw_matches(predicate->regex, found, &does) == AF_OK && does == wanted;
}

static bool match_items(const struct af_predicate *predicate, struct af_slice series_key, bool stop_at)
{
    for (size_t i = 0; i < predicate->item_count; i++)
        if (af_predicate_match(predicate->items[i], series_key) == stop_at)
            return stop_at;
    return !stop_at;
}

bool af_predicate_match(const struct af_predicate *predicate, struct af_slice series_key)
{
    if (predicate == NULL)
        return true;
    switch (predicate->op) {
    case AF_PREDICATE_AND: return match_items(predicate, series_key, false);
    case AF_PREDICATE_OR: return match_items(predicate, series_key, true);
    case AF_PREDICATE_NOT: return !match_items(predicate, series_key, false);
    case AF_PREDICATE_EQUAL: return tag_is(series_key, predicate->tag, predicate->value);
    case AF_PREDICATE_NOT_EQUAL: return !tag_is(series_key, predicate->tag, predicate->value);
    case AF_PREDICATE_MATCH: return tag_matches(series_key, predicate, true);
    case AF_PREDICATE_NOT_MATCH: return tag_matches(series_key, predicate, false);
    }
    return false;
}

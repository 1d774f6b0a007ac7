/*
 * text.c - the small questions about words: case and accents, "is this missing", "can this be a name".
 */
#include "map/map_int.h"
#include "base/utf8.h"

/* Letters of U+00C0..U+00FF without their accents, in lower case; '?' has none. Portuguese needs a, e, i, o, u and c. */
static const char latin_base[] = "aaaaaa?ceeeeiiii?nooooo??uuuuy??aaaaaa?ceeeeiiii?nooooo??uuuuy?y";

static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_latin_pair(struct af_slice text, size_t at)
{
    return (unsigned char)text.ptr[at] == 0xc3 && at + 1 < text.len && ((unsigned char)text.ptr[at + 1] & 0xc0) == 0x80;
}

void af_map_fold(struct af_buf *out, struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_latin_pair(text, i)) {
            af_buf_append_char(out, ascii_lower(text.ptr[i]));
            continue;
        }
        char base = latin_base[(unsigned char)text.ptr[i + 1] & 0x3f];
        if (base == '?')
            af_buf_append(out, text.ptr + i, 2);
        else
            af_buf_append_char(out, base);
        i++;
    }
}

void af_map_lower(struct af_buf *out, struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        if (is_latin_pair(text, i) && next <= 0x9e && next != 0x97) {
            char pair[2] = { text.ptr[i++], (char)(next + 0x20) };
            af_buf_append(out, pair, 2);
        } else {
            af_buf_append_char(out, ascii_lower(text.ptr[i]));
        }
    }
}

bool af_map_names_has(const struct map_names *names, struct af_slice text)
{
    for (size_t i = 0; i < names->count; i++) {
        if (af_slice_is(text, names->items[i]))
            return true;
    }
    return false;
}

static bool eq_nocase(struct af_slice text, const char *other)
{
    for (size_t i = 0; i < text.len; i++) {
        if (other[i] == '\0' || ascii_lower(text.ptr[i]) != ascii_lower(other[i]))
            return false;
    }
    return other[text.len] == '\0';
}

bool af_map_text_is_missing(const struct map_names *omit, bool use_default, struct af_slice trimmed)
{
    static const char *words[] = { "nan", "none", "null", "<na>" };
    static const struct map_names missing = { true, 4, words };
    if (trimmed.len == 0)
        return true;
    const struct map_names *names = !omit->is_set && use_default ? &missing : omit;
    for (size_t i = 0; i < names->count; i++) {
        if (eq_nocase(trimmed, names->items[i]))
            return true;
    }
    return false;
}

static bool holds(struct af_slice text, const char *part)
{
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

static const char *reserved_fault(enum map_role role, struct af_slice name)
{
    if (role != MAP_ROLE_FIELD && role != MAP_ROLE_TAG_KEY)
        return NULL;
    if (af_slice_is(name, "time") || af_slice_is(name, "_field") || af_slice_is(name, "_measurement"))
        return role == MAP_ROLE_FIELD ? "a field cannot be called time, _field or _measurement: InfluxDB reserves these names"
                                      : "a tag cannot be called time, _field or _measurement: InfluxDB reserves these names";
    return NULL;
}

const char *af_map_name_fault(enum map_role role, struct af_slice name)
{
    static const char *const faults[][6] = {
#define FAULTS(what)                                                                                                    \
    { what " is empty", what " is not UTF-8", what " holds a line break, which line protocol cannot",                  \
      what " ends in a backslash, which line protocol cannot hold", what " holds #!~#, which InfluxDB keeps for itself", \
      what " is longer than 65,535 bytes" }
        FAULTS("the measurement"), FAULTS("the tag key"), FAULTS("the tag value"), FAULTS("the field name"),
    };
    if (name.len == 0)
        return faults[role][0];
    if (!af_utf8_is_valid(name))
        return faults[role][1];
    if (memchr(name.ptr, '\n', name.len) != NULL)
        return faults[role][2];
    if (name.ptr[name.len - 1] == '\\')
        return faults[role][3];
    if (holds(name, "#!~#"))
        return faults[role][4];
    if (name.len > AF_LP_KEY_BYTES_MAX)
        return faults[role][5];
    if (role == MAP_ROLE_MEASUREMENT && name.ptr[0] == '#')
        return "the measurement starts with #, which makes a comment of its lines";
    return reserved_fault(role, name);
}

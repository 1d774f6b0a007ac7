/*
 * profile.c - AWS's configuration and credentials files.
 *
 *     [profile x]                    sections; in the credentials file just [x]
 *     key = value  # comment         a comment needs a blank before it (but credential_process goes to the end of its line)
 *     s3 =                           a block: indented keys below it are its own
 *       endpoint_url = http://...
 *
 * Source: "Shared config and credentials files" of the SDK reference.
 */
#include "aws/aws_int.h"
#include "base/limits.h"
#include <stdio.h>

struct parser {
    const char *file;
    bool is_credentials;
    struct af_arena *arena;
    struct aws_setting **list;
    const char *section;     /* NULL: before the first, or one of no use here */
    const char *block;       /* the key whose block this may be; NULL: none */
    uint32_t line;
    bool has_section;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct af_slice trim(struct af_slice s)
{
    while (s.len > 0 && is_blank(s.ptr[0]))
        s.ptr++, s.len--;
    while (s.len > 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

static struct af_slice without_comment(struct af_slice s)
{
    for (size_t i = 1; i < s.len; i++)
        if ((s.ptr[i] == '#' || s.ptr[i] == ';') && is_blank(s.ptr[i - 1]))
            return trim(af_slice_make(s.ptr, i));
    return trim(s);
}

static enum af_status bad_line(const struct parser *p, struct af_error *err, const char *what)
{
    return af_fail_at(err, AF_EINVAL, p->line, 0, "%s, line %u: %s", p->file, p->line, what);
}

static const char *lower(struct parser *p, struct af_slice s)
{
    char *text = af_arena_copy(p->arena, s);
    for (char *c = text; c != NULL && *c != '\0'; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c + 32);
    return text;
}

static enum af_status keep(struct parser *p, const char *key, struct af_slice value, struct af_error *err)
{
    struct aws_setting *s = af_arena_zero(p->arena, 1, sizeof *s);
    if (s == NULL || key == NULL || (s->value = af_arena_copy(p->arena, value)) == NULL)
        return af_fail_nomem(err, "AWS's profiles");
    s->section = p->section;
    s->key = key;
    s->next = *p->list;
    *p->list = s;
    return AF_OK;
}

/* "profile   x" and "x" to "profile x". */
static enum af_status take_section(struct parser *p, struct af_slice line, struct af_error *err)
{
    const char *end = memchr(line.ptr, ']', line.len);
    if (end == NULL)
        return bad_line(p, err, "a section that no ] ends");
    struct af_slice name = trim(af_slice_make(line.ptr + 1, (size_t)(end - line.ptr) - 1));
    const char *kind = "profile";
    size_t word = 0;
    while (word < name.len && !is_blank(name.ptr[word]))
        word++;
    struct af_slice first = af_slice_make(name.ptr, word), rest = trim(af_slice_make(name.ptr + word, name.len - word));
    bool is_plain = p->is_credentials || (rest.len == 0 && af_slice_is(first, "default"));
    if (!is_plain) {
        kind = af_slice_is(first, "profile") ? "profile" : af_slice_is(first, "sso-session") ? "sso-session" :
               af_slice_is(first, "services") ? "services" : NULL;
        name = rest;
    }
    if (name.len >= 2 && (name.ptr[0] == '"' || name.ptr[0] == '\'') && name.ptr[name.len - 1] == name.ptr[0])
        name = af_slice_make(name.ptr + 1, name.len - 2); /* as a shell would */
    if (is_plain && name.len > 8 && af_slice_has_prefix(name, "profile "))
        name = trim(af_slice_make(name.ptr + 8, name.len - 8));
    p->has_section = true;
    p->block = NULL;
    p->section = NULL;
    if (kind == NULL || name.len == 0)
        return AF_OK; /* of another program's, or of a later version */
    p->section = af_arena_printf(p->arena, "%s %.*s", kind, AF_SLICE_ARG(name));
    return p->section != NULL ? keep(p, "", AF_SLICE_LIT(""), err) : af_fail_nomem(err, "AWS's profiles"); /* it is there, even if empty */
}

static enum af_status take_setting(struct parser *p, struct af_slice line, bool is_inner, struct af_error *err)
{
    const char *equals = memchr(line.ptr, '=', line.len);
    if (equals == NULL && is_inner && p->block == NULL)
        return AF_OK; /* the value before goes on: no setting that we read does */
    if (equals == NULL)
        return bad_line(p, err, "neither [section] nor key = value");
    struct af_slice key = trim(af_slice_make(line.ptr, (size_t)(equals - line.ptr)));
    struct af_slice value = af_slice_make(equals, line.len - (size_t)(equals - line.ptr));
    if (is_inner || !af_slice_is(key, "credential_process"))
        value = without_comment(value);
    value = trim(af_slice_make(value.ptr + 1, value.len - 1));
    if (key.len == 0)
        return bad_line(p, err, "a value without a key");
    if (!p->has_section)
        return bad_line(p, err, "a setting before the first [section]");
    if (p->section == NULL)
        return AF_OK;
    if (is_inner && p->block != NULL)
        return keep(p, af_arena_printf(p->arena, "%s.%s", p->block, lower(p, key)), value, err);
    if (is_inner)
        return AF_OK;
    const char *name = lower(p, key);
    p->block = value.len == 0 ? name : NULL;
    return keep(p, name, value, err);
}

static enum af_status take_line(struct parser *p, struct af_slice line, struct af_error *err)
{
    bool is_inner = line.len > 0 && is_blank(line.ptr[0]);
    struct af_slice text = trim(line);
    if (text.len == 0 || text.ptr[0] == '#' || text.ptr[0] == ';')
        return AF_OK;
    if (memchr(text.ptr, '\0', text.len) != NULL)
        return bad_line(p, err, "a byte 0; this is no text");
    if (text.ptr[0] == '[' && !is_inner)
        return take_section(p, text, err);
    return take_setting(p, text, is_inner, err);
}

enum af_status aws_profile_parse(const char *file, struct af_slice text, bool is_credentials, struct af_arena *arena,
                                 struct aws_setting **list, struct af_error *err)
{
    struct parser p = { .file = file, .is_credentials = is_credentials, .arena = arena, .list = list };
    if (af_slice_has_prefix(text, "\xEF\xBB\xBF"))
        text = af_slice_make(text.ptr + 3, text.len - 3);
    while (text.len != 0) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end != NULL ? (size_t)(end - text.ptr) : text.len;
        p.line++;
        AF_TRY(take_line(&p, af_slice_make(text.ptr, len), err));
        len += end != NULL;
        text = af_slice_make(text.ptr + len, text.len - len);
    }
    return AF_OK;
}

const char *aws_setting(const struct af_aws *aws, const char *section, const char *key)
{
    for (const struct aws_setting *s = aws->settings; s != NULL; s = s->next)
        if (strcmp(s->key, key) == 0 && strcmp(s->section, section) == 0)
            return s->value;
    return NULL;
}

const char *aws_profile_setting(const struct af_aws *aws, const char *profile, const char *key)
{
    char section[512];
    (void)snprintf(section, sizeof section, "profile %s", profile);
    const char *value = aws_setting(aws, section, key);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

bool aws_has_section(const struct af_aws *aws, const char *section)
{
    for (const struct aws_setting *s = aws->settings; s != NULL; s = s->next)
        if (strcmp(s->section, section) == 0)
            return true;
    return false;
}

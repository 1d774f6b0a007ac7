/*
 * provision_event.c - what is to be done to an instance, as Terraform's aws_lambda_invocation or a schedule says it:
 *
 *     {"do": "bootstrap" or "rotate", "instance": id or null, "url": "https://...:8086", "org": "...", "prefix": "afluxo grid ",
 *      "admin":   {"initial_secret": arn or null, "secret": arn},
 *      "buckets": [{"name": "energy_data", "retention_s": 0, "shard_group_s": 0}],
 *      "tokens":  [{"secret": arn, "description": "afluxo grid loader", "write": ["energy_data"], "read": [], "valid_days": 365}]}
 *
 * All of it is judged before anything is called.
 */
#include "lambda/provision_int.h"
#include <inttypes.h>
#include <stdio.h>

enum { ITEMS_MAX = 200, NAME_BYTES_MAX = 512, VALID_DAYS = 365, VALID_DAYS_MAX = 3650 };
static const int64_t RETENTION_MIN_S = 3600, RETENTION_MAX_S = INT64_C(100) * 365 * 86400;
static const char first_word[] = "afluxo ";

static bool is_given(const struct af_json *object, const char *name)
{
    const struct af_json *node = af_json_get(object, name);
    return node != NULL && node->kind != AF_JSON_NULL;
}

static bool is_printable(struct af_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    return text.len != 0 && text.len <= NAME_BYTES_MAX;
}

static enum af_status copy(struct af_arena *arena, struct af_slice text, const char **out, struct af_error *err)
{
    *out = af_arena_copy(arena, text);
    return *out != NULL ? AF_OK : af_arena_fail(arena, text.len + 1, "an event", err);
}

/* A text that must be there. `where` is what the message says in front of its name. */
static enum af_status take_text(const struct af_json *object, const char *where, const char *name, struct af_arena *arena, const char **out,
                                struct af_error *err)
{
    const struct af_slice text = af_json_string(object, name);
    if (!is_printable(text))
        return af_fail(err, AF_EINVAL, "%s%s must be given: a text of 1 to %d bytes without control characters", where, name,
                       NAME_BYTES_MAX);
    return copy(arena, text, out, err);
}

/* One that may be left out, or null: *out is NULL then. */
static enum af_status take_optional(const struct af_json *object, const char *where, const char *name, struct af_arena *arena,
                                    const char **out, struct af_error *err)
{
    return is_given(object, name) ? take_text(object, where, name, arena, out, err) : AF_OK;
}

static enum af_status take_number(const struct af_json *object, const char *where, const char *name, int64_t least, int64_t most,
                                  int64_t *out, struct af_error *err)
{
    if (is_given(object, name) && (!af_json_i64(af_json_get(object, name), out) || *out < least || *out > most))
        return af_fail(err, AF_EINVAL, "%s%s is a whole number from %" PRId64 " to %" PRId64, where, name, least, most);
    return AF_OK;
}

/* The list, zeroed room for its items in *out; absent is an empty one. */
static enum af_status take_list(const struct af_json *object, const char *where, const char *name, size_t item_bytes,
                                struct af_arena *arena, const struct af_json **out_first, size_t *out_count, void **out,
                                struct af_error *err)
{
    const struct af_json *list = is_given(object, name) ? af_json_get(object, name) : NULL;
    size_t count = 0;
    if (list != NULL && list->kind != AF_JSON_ARRAY)
        return af_fail(err, AF_EINVAL, "%s%s is a list", where, name);
    *out_first = list != NULL ? list->first : NULL;
    for (const struct af_json *item = *out_first; item != NULL; item = item->next)
        count++;
    if (count > ITEMS_MAX)
        return af_fail(err, AF_EINVAL, "%s%s has %zu items, more than %d", where, name, count, ITEMS_MAX);
    *out_count = count;
    *out = af_arena_zero(arena, count != 0 ? count : 1, item_bytes);
    return *out != NULL ? AF_OK : af_arena_fail(arena, count * item_bytes, "an event", err);
}

/* --- buckets ---------------------------------------------------------------------------------------------------------------------- */

static enum af_status read_bucket(const struct af_json *item, size_t index, struct af_arena *arena, struct provision_bucket *out,
                                  struct af_error *err)
{
    char where[40];
    (void)snprintf(where, sizeof where, "buckets[%zu].", index);
    AF_TRY(take_text(item, where, "name", arena, &out->name, err));
    if (out->name[0] == '_')
        return af_fail(err, AF_EINVAL, "%sname \"%s\" begins with an underscore: those are InfluxDB's own", where, out->name);
    AF_TRY(take_number(item, where, "retention_s", 0, RETENTION_MAX_S, &out->retention_s, err));
    AF_TRY(take_number(item, where, "shard_group_s", 0, RETENTION_MAX_S, &out->shard_group_s, err));
    if (out->retention_s != 0 && out->retention_s < RETENTION_MIN_S)
        return af_fail(err, AF_EINVAL, "%sretention_s is 0 (for ever) or at least %" PRId64 ", an hour", where, RETENTION_MIN_S);
    const bool is_too_long = out->retention_s != 0 && out->shard_group_s > out->retention_s;
    if (out->shard_group_s != 0 && (out->shard_group_s < RETENTION_MIN_S || is_too_long))
        return af_fail(err, AF_EINVAL, "%sshard_group_s is 0 (InfluxDB chooses), or from an hour up to the retention", where);
    return AF_OK;
}

static enum af_status read_buckets(const struct af_json *event, struct af_arena *arena, struct provision_order *out, struct af_error *err)
{
    const struct af_json *item;
    void *buckets = NULL;
    AF_TRY(take_list(event, "", "buckets", sizeof *out->buckets, arena, &item, &out->bucket_count, &buckets, err));
    out->buckets = buckets;
    for (size_t i = 0; item != NULL; item = item->next, i++) {
        AF_TRY(read_bucket(item, i, arena, &out->buckets[i], err));
        for (size_t k = 0; k < i; k++)
            if (strcmp(out->buckets[k].name, out->buckets[i].name) == 0)
                return af_fail(err, AF_EINVAL, "buckets names \"%s\" twice", out->buckets[i].name);
    }
    return AF_OK;
}

/* --- tokens ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status read_names(const struct af_json *item, const char *where, const char *name, struct af_arena *arena,
                                 const char ***out, size_t *out_count, struct af_error *err)
{
    const struct af_json *each;
    void *names = NULL;
    AF_TRY(take_list(item, where, name, sizeof **out, arena, &each, out_count, &names, err));
    *out = names;
    for (size_t i = 0; each != NULL; each = each->next, i++) {
        if (each->kind != AF_JSON_STRING || !is_printable(each->text))
            return af_fail(err, AF_EINVAL, "%s%s is a list of names of buckets", where, name);
        AF_TRY(copy(arena, each->text, &(*out)[i], err));
        for (size_t k = 0; k < i; k++)
            if (strcmp((*out)[k], (*out)[i]) == 0)
                return af_fail(err, AF_EINVAL, "%s%s names \"%s\" twice", where, name, (*out)[i]);
    }
    return AF_OK;
}

static enum af_status read_token(const struct af_json *item, size_t index, const char *prefix, struct af_arena *arena,
                                 struct provision_token *out, struct af_error *err)
{
    char where[40];
    const struct af_json *operator= af_json_get(item, "operator");
    (void)snprintf(where, sizeof where, "tokens[%zu].", index);
    AF_TRY(take_text(item, where, "secret", arena, &out->secret, err));
    AF_TRY(take_text(item, where, "description", arena, &out->description, err));
    if (strncmp(out->description, prefix, strlen(prefix)) != 0)
        return af_fail(err, AF_EINVAL, "%sdescription \"%s\" must begin with \"%s\": by that ours are told from others", where,
                       out->description, prefix);
    AF_TRY(read_names(item, where, "read", arena, &out->read, &out->read_count, err));
    AF_TRY(read_names(item, where, "write", arena, &out->write, &out->write_count, err));
    out->valid_days = VALID_DAYS;
    AF_TRY(take_number(item, where, "valid_days", 1, VALID_DAYS_MAX, &out->valid_days, err));
    if (is_given(item, "operator") && operator->kind != AF_JSON_BOOL)
        return af_fail(err, AF_EINVAL, "%soperator is true or false", where);
    out->is_operator = is_given(item, "operator") && operator->is_true;
    if (out->is_operator == (out->read_count + out->write_count != 0))
        return af_fail(err, AF_EINVAL, "%sread and write: name at least one bucket, or none with \"operator\": true, which may everything",
                       where);
    return AF_OK;
}

static enum af_status read_tokens(const struct af_json *event, struct af_arena *arena, struct provision_order *out, struct af_error *err)
{
    const struct af_json *item;
    void *tokens = NULL;
    AF_TRY(take_list(event, "", "tokens", sizeof *out->tokens, arena, &item, &out->token_count, &tokens, err));
    out->tokens = tokens;
    for (size_t i = 0; item != NULL; item = item->next, i++) {
        AF_TRY(read_token(item, i, out->prefix, arena, &out->tokens[i], err));
        for (size_t k = 0; k < i; k++)
            if (strcmp(out->tokens[k].secret, out->tokens[i].secret) == 0)
                return af_fail(err, AF_EINVAL, "tokens[%zu] and tokens[%zu] have the same secret: each token has its own", k, i);
        if (strcmp(out->tokens[i].secret, out->secret) == 0)
            return af_fail(err, AF_EINVAL, "tokens[%zu].secret is the one of the administrator's password", i);
    }
    return AF_OK;
}

/* --- all -------------------------------------------------------------------------------------------------------------------------- */

static enum af_status read_url(const struct af_json *event, struct af_arena *arena, const char **out, struct af_error *err)
{
    AF_TRY(take_text(event, "", "url", arena, out, err));
    struct af_slice url = af_slice_of(*out);
    if (!af_slice_has_prefix(url, "https://") || url.len == 8 || memchr(url.ptr, '@', url.len) != NULL)
        return af_fail(err, AF_EINVAL, "url is https://HOST:8086, since a password goes there, and without user or password in it");
    while (url.ptr[url.len - 1] == '/')
        url.len--;
    return copy(arena, url, out, err);
}

static enum af_status read_prefix(const struct af_json *event, struct af_arena *arena, const char **out, struct af_error *err)
{
    *out = first_word;
    AF_TRY(take_optional(event, "", "prefix", arena, out, err));
    const size_t len = strlen(*out);
    if (strncmp(*out, first_word, sizeof first_word - 1) != 0 || (*out)[len - 1] != ' ')
        return af_fail(err, AF_EINVAL, "prefix \"%s\" begins with \"%s\" and ends with a space: what it stands before is revoked", *out,
                       first_word);
    return AF_OK;
}

enum af_status provision_order_read(const struct af_json *event, struct af_arena *arena, struct provision_order *out, struct af_error *err)
{
    const struct af_json *admin = af_json_get(event, "admin");
    *out = (struct provision_order){ 0 };
    AF_TRY(take_optional(event, "", "instance", arena, &out->instance, err));
    AF_TRY(read_url(event, arena, &out->url, err));
    AF_TRY(take_text(event, "", "org", arena, &out->org, err));
    AF_TRY(take_text(admin, "admin.", "secret", arena, &out->secret, err));
    AF_TRY(take_optional(admin, "admin.", "initial_secret", arena, &out->initial_secret, err));
    if (out->initial_secret != NULL && strcmp(out->initial_secret, out->secret) == 0)
        return af_fail(err, AF_EINVAL, "admin.secret is the service's own secret (admin.initial_secret), which must be left alone: name "
                                       "one of yours");
    AF_TRY(read_prefix(event, arena, &out->prefix, err));
    AF_TRY(read_buckets(event, arena, out, err));
    return read_tokens(event, arena, out, err);
}

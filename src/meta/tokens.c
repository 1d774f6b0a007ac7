/*
 * tokens.c - API tokens: a digest of each, and its permissions; see meta.h.
 *
 * The secret is 64 random bytes in base64 (URL alphabet, padded), as InfluxDB makes them: too much to guess, so a fast digest is enough.
 */
#include "base/numbers.h"
#include "meta/meta_int.h"
#include "os/clock.h"

enum { SECRET_BYTES = 64, SECRET_TEXT = 88, PERMISSIONS_BYTES_MAX = 4 << 20, PERMISSIONS_MAX = 10000 };

static void base64_url(const uint8_t *src, size_t len, char *dst)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < len; i += 3) {
        uint32_t word = (uint32_t)src[i] << 16 | (i + 1 < len ? (uint32_t)src[i + 1] << 8 : 0) | (i + 2 < len ? src[i + 2] : 0);
        *dst++ = digits[word >> 18];
        *dst++ = digits[word >> 12 & 63];
        *dst++ = i + 1 < len ? digits[word >> 6 & 63] : '=';
        *dst++ = i + 2 < len ? digits[word & 63] : '=';
    }
    *dst = '\0';
}

/* --- permissions as text ------------------------------------------------------------------------------------------------------------ */

static enum af_status print_permissions(const struct af_meta_token *token, struct af_buf *out, struct af_error *err)
{
    for (size_t i = 0; i < token->permission_count; i++) {
        const struct af_permission *p = &token->permissions[i];
        if (strpbrk(p->type, " \n") != NULL || p->type[0] == '\0')
            return af_fail(err, AF_EINVAL, "\"%s\" is no type of resource", p->type);
        af_buf_printf(out, "%c %s %016llx %016llx\n", p->action == AF_ACTION_READ ? 'r' : 'w', p->type, (unsigned long long)p->org,
                      (unsigned long long)p->id);
    }
    return af_buf_check(out, "permissions", err);
}

static uint64_t hex16(const char *text)
{
    uint64_t value = 0;
    for (size_t i = 0; i < 16; i++)
        value = value << 4 | (uint64_t)(text[i] <= '9' ? text[i] - '0' : (text[i] | 0x20) - 'a' + 10);
    return value;
}

/* "w buckets 0000000000000001 0000000000000000": what print_permissions wrote; a line that is not is left out, and so gives nothing. */
static bool parse_permission(struct af_slice line, struct af_arena *arena, struct af_permission *out)
{
    enum { TAIL = 1 + 16 + 1 + 16 };
    if (line.len < 2 + 1 + TAIL || (line.ptr[0] != 'r' && line.ptr[0] != 'w') || line.ptr[1] != ' ')
        return false;
    const char *tail = line.ptr + line.len - TAIL;
    out->action = line.ptr[0] == 'r' ? AF_ACTION_READ : AF_ACTION_WRITE;
    out->type = af_arena_copy(arena, (struct af_slice){ line.ptr + 2, line.len - 2 - TAIL });
    out->org = hex16(tail + 1);
    out->id = hex16(tail + 18);
    return out->type != NULL;
}

static bool parse_permissions(const char *text, struct af_arena *arena, struct af_permission **out, size_t *out_count)
{
    size_t lines = 0, count = 0;
    for (const char *at = text; *at != '\0'; at++)
        lines += *at == '\n';
    struct af_permission *list = af_arena_zero(arena, lines, sizeof *list);
    if (list == NULL)
        return false;
    for (const char *at = text, *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
        count += parse_permission((struct af_slice){ at, (size_t)(end - at) }, arena, &list[count]);
    *out = list;
    *out_count = count;
    return true;
}

static const char *const types[] = {
    "authorizations", "buckets", "dashboards", "orgs", "sources", "tasks", "telegrafs", "users", "variables", "scrapers", "secrets",
    "labels", "views", "documents", "notificationRules", "notificationEndpoints", "checks", "dbrp", "notebooks", "annotations",
    "remotes", "replications",
};

enum af_status af_meta_all_permissions(uint64_t org, struct af_arena *arena, struct af_permission **out, size_t *out_count,
                                       struct af_error *err)
{
    enum { TYPES = sizeof types / sizeof types[0] };
    struct af_permission *list = af_arena_zero(arena, (size_t)2 * TYPES, sizeof *list);
    if (list == NULL)
        return af_fail_nomem(err, "permissions");
    for (size_t i = 0; i < (size_t)2 * TYPES; i++)
        list[i] = (struct af_permission){ i % 2 == 0 ? AF_ACTION_READ : AF_ACTION_WRITE, types[i / 2], org, 0 };
    *out = list;
    *out_count = (size_t)2 * TYPES;
    return AF_OK;
}

/* --- tokens ------------------------------------------------------------------------------------------------------------------------- */

static enum af_status insert(struct af_meta *meta, struct af_meta_token *token, const char *secret, struct af_slice permissions,
                             struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    if (!af_sha256(af_slice_of(secret), digest))
        return af_fail_nomem(err, "a token");
    token->id = token->id != 0 ? token->id : meta_new_id();
    token->created_ns = token->updated_ns = meta_now_ns();
    struct meta_query q;
    meta_query_open(&q, meta, "INSERT INTO token (id, org, user, name, is_active, digest, permissions, created, updated)"
                              " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", err);
    meta_bind_id(&q, token->id);
    meta_bind_id(&q, token->org);
    meta_bind_id(&q, token->user);
    meta_bind_text(&q, token->description != NULL ? token->description : "");
    meta_bind_int(&q, token->is_active);
    meta_bind_blob(&q, digest, sizeof digest);
    meta_bind_text(&q, permissions.ptr);
    meta_bind_int(&q, token->created_ns);
    meta_bind_int(&q, token->updated_ns);
    return meta_change(&q, "%s", "a token with this secret exists already");
}

enum af_status meta_token_new_locked(struct af_meta *meta, struct af_meta_token *token, const char *given, struct af_arena *arena,
                                     const char **out_secret, struct af_error *err)
{
    uint8_t random[SECRET_BYTES + 2] = { 0 };
    char text[SECRET_TEXT + 1];
    if (token->permission_count > PERMISSIONS_MAX)
        return af_fail(err, AF_ELIMIT, "a token has at most %d permissions", PERMISSIONS_MAX);
    af_random_bytes(random, SECRET_BYTES);
    base64_url(random, SECRET_BYTES, text);
    const char *secret = af_arena_copy(arena, af_slice_of(given != NULL ? given : text));
    af_wipe(random, sizeof random);
    af_wipe(text, sizeof text);
    if (secret == NULL)
        return af_fail_nomem(err, "a token");
    struct af_buf permissions;
    af_buf_init(&permissions, PERMISSIONS_BYTES_MAX);
    enum af_status status = print_permissions(token, &permissions, err);
    if (status == AF_OK)
        status = insert(meta, token, secret, af_slice_of(af_buf_cstr(&permissions)), err);
    af_buf_done(&permissions);
    if (status == AF_OK)
        *out_secret = secret;
    return status;
}

enum af_status af_meta_token_new(struct af_meta *meta, struct af_meta_token *token, const char *given, struct af_arena *arena,
                                 const char **out_secret, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = meta_token_new_locked(meta, token, given, arena, out_secret, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_token_set(struct af_meta *meta, const struct af_meta_token *token, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    struct meta_query q;
    meta_query_open(&q, meta, "UPDATE token SET name = ?, is_active = ?, updated = ? WHERE id = ?", err);
    meta_bind_text(&q, token->description != NULL ? token->description : "");
    meta_bind_int(&q, token->is_active);
    meta_bind_int(&q, meta_now_ns());
    meta_bind_id(&q, token->id);
    enum af_status status = meta_must_change(&q, NULL, NULL, "authorization");
    af_mutex_unlock(&meta->lock);
    return status;
}

static enum af_status tokens_locked(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena,
                                    struct af_meta_token **out, size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    *out = NULL;
    *out_count = 0;
    meta_list_open(&q, meta, "id, org, user, name, is_active, permissions, created, updated", "token", filter, err);
    while (meta_row(&q)) {
        struct af_meta_token *t = meta_grow(&q, (void **)out, out_count, sizeof *t, arena);
        const char *text = t != NULL ? meta_text(&q, 5, arena) : NULL;
        if (text == NULL)
            break;
        *t = (struct af_meta_token){ .id = meta_id(&q, 0), .org = meta_id(&q, 1), .user = meta_id(&q, 2),
                                     .description = meta_text(&q, 3, arena),
                                     .is_active = meta_int(&q, 4) != 0, .created_ns = meta_int(&q, 6), .updated_ns = meta_int(&q, 7) };
        if (!parse_permissions(text, arena, &t->permissions, &t->permission_count)) {
            q.status = af_fail_nomem(err, "permissions");
            break;
        }
    }
    return meta_query_close(&q);
}

enum af_status af_meta_tokens(struct af_meta *meta, const struct af_meta_filter *filter, struct af_arena *arena, struct af_meta_token **out,
                              size_t *out_count, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = tokens_locked(meta, filter, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_token_drop(struct af_meta *meta, uint64_t id, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    struct meta_query q;
    meta_query_open(&q, meta, "DELETE FROM token WHERE id = ?", err);
    meta_bind_id(&q, id);
    enum af_status status = meta_change(&q, NULL, NULL);
    af_mutex_unlock(&meta->lock);
    return status;
}

/* --- by its secret --------------------------------------------------------------------------------------------------------- */

enum af_status meta_token_find_locked(struct af_meta *meta, const uint8_t digest[AF_SHA256_BYTES], struct af_arena *arena,
                                      struct af_meta_token *out, struct af_error *err)
{
    struct meta_query q;
    struct af_meta_filter filter = { 0 };
    meta_query_open(&q, meta, "SELECT id FROM token WHERE digest = ?", err);
    meta_bind_blob(&q, digest, AF_SHA256_BYTES);
    if (meta_row(&q))
        filter.id = meta_id(&q, 0);
    AF_TRY(meta_query_close(&q));
    struct af_meta_token *found = NULL;
    size_t count = 0;
    if (filter.id != 0)
        AF_TRY(tokens_locked(meta, &filter, arena, &found, &count, err));
    if (count == 0)
        return af_fail(err, AF_EUNAUTH, "unauthorized access");
    *out = found[0];
    return AF_OK;
}

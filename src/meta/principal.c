/*
 * principal.c - who is asking, and may they; see meta.h.
 *
 * Principals are remembered under a keyed digest of what they were asked with; any change of the catalogue forgets them all. That a
 * password
 * is right is remembered until it is another one, so that a client that sends it with every request pays for crypt once. Wrong passwords:
 * after five in a row for a name, the next
 * try has to wait, a second at first, doubled each time up to a minute. Who is remembered does not wait. Hashes are made outside the
 * lock of the catalogue, one at a time, and few may wait for their turn (META_HASHERS_MAX), the others are busy at once: somebody who
 * guesses passwords keeps one processor and a few threads, and the tokens of others do not wait for him.
 */
#include "base/calendar.h"
#include "meta/meta_int.h"
#include "os/clock.h"
#include <stdio.h>

enum { FREE_FAILURES = 5, WAIT_MAX_S = 60, GRANTED_MAX = 4096, BUSY_MS = 1000 };

/* --- remembered ------------------------------------------------------------------------------------------------------------------- */

void meta_forget(struct af_meta *meta)
{
    for (size_t i = 0; i < META_CACHE_SLOTS; i++)
        meta->known[i].is_set = false;
    meta_places_forget(meta);
}

static bool copy_principal(const struct af_principal *from, struct af_arena *arena, struct af_principal *out)
{
    struct af_permission *list = af_arena_zero(arena, from->permission_count, sizeof *list);
    const char *name = af_arena_copy(arena, af_slice_of(from->name));
    if (list == NULL || name == NULL)
        return false;
    for (size_t i = 0; i < from->permission_count; i++) {
        list[i] = from->permissions[i];
        list[i].type = af_arena_copy(arena, af_slice_of(from->permissions[i].type));
        if (list[i].type == NULL)
            return false;
    }
    *out = *from;
    out->permissions = list;
    out->name = name;
    return true;
}

static struct meta_known *slot_of(struct af_meta *meta, const uint8_t digest[AF_SHA256_BYTES])
{
    return &meta->known[digest[0] % META_CACHE_SLOTS];
}

static bool recall(struct af_meta *meta, const uint8_t digest[AF_SHA256_BYTES], struct af_arena *arena, struct af_principal *out)
{
    struct meta_known *known = slot_of(meta, digest);
    return known->is_set && af_equal_secret(known->digest, digest, AF_SHA256_BYTES) && copy_principal(&known->who, arena, out);
}

static void remember(struct af_meta *meta, const uint8_t digest[AF_SHA256_BYTES], const struct af_principal *who)
{
    struct meta_known *known = slot_of(meta, digest);
    af_arena_reset(&known->arena);
    memcpy(known->digest, digest, AF_SHA256_BYTES);
    known->is_set = copy_principal(who, &known->arena, &known->who);
}

/* --- by token ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status user_is_active(struct af_meta *meta, uint64_t user, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "SELECT is_active FROM user WHERE id = ?", err);
    meta_bind_id(&q, user);
    bool is_active = !meta_row(&q) || meta_int(&q, 0) != 0; /* a token without a user stands for itself */
    AF_TRY(meta_query_close(&q));
    return is_active ? AF_OK : af_fail(err, AF_EUNAUTH, "unauthorized access");
}

static enum af_status by_token_locked(struct af_meta *meta, struct af_slice secret, struct af_arena *arena, struct af_principal *out,
                                      struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    if (!af_sha256(secret, digest))
        return af_fail_nomem(err, "a token");
    if (recall(meta, digest, arena, out))
        return AF_OK;
    struct af_meta_token token;
    AF_TRY(meta_token_find_locked(meta, digest, arena, &token, err));
    if (!token.is_active)
        return af_fail(err, AF_EUNAUTH, "unauthorized access");
    AF_TRY(user_is_active(meta, token.user, err));
    char name[40];
    (void)snprintf(name, sizeof name, "token %016llx", (unsigned long long)token.id);
    *out = (struct af_principal){ .token = token.id, .user = token.user, .org = token.org, .permissions = token.permissions,
                                  .permission_count = token.permission_count, .name = af_arena_copy(arena, af_slice_of(name)) };
    if (out->name == NULL)
        return af_fail_nomem(err, "a principal");
    remember(meta, digest, out);
    return AF_OK;
}

enum af_status af_meta_by_token(struct af_meta *meta, struct af_slice token, struct af_arena *arena, struct af_principal *out,
                                struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = by_token_locked(meta, token, arena, out, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

/* --- by password ----------------------------------------------------------------------------------------------------------- */

static enum af_status add_granted(struct af_meta *meta, const struct af_meta_granted *granted, struct af_permission *list, size_t *count,
                                  struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta,
                    "SELECT id, org FROM bucket WHERE org = ?2 AND (name = ?1 OR substr(name, 1, length(?1) + 1) = ?1 || '/')"
                    " UNION SELECT bucket, org FROM dbrp WHERE database = ?1 AND org = ?2",
                    err);
    meta_bind_text(&q, granted->database);
    meta_bind_id(&q, granted->org);
    while (*count + 2 <= GRANTED_MAX && meta_row(&q)) {
        if ((granted->grant & AF_GRANT_READ) != 0)
            list[(*count)++] = (struct af_permission){ AF_ACTION_READ, "buckets", meta_id(&q, 1), meta_id(&q, 0) };
        if ((granted->grant & AF_GRANT_WRITE) != 0)
            list[(*count)++] = (struct af_permission){ AF_ACTION_WRITE, "buckets", meta_id(&q, 1), meta_id(&q, 0) };
    }
    return meta_query_close(&q);
}

/* What 1.x grants mean in permissions: reading and writing the buckets of the databases. */
static enum af_status grant_permissions(struct af_meta *meta, uint64_t user, struct af_arena *arena, struct af_principal *out,
                                        struct af_error *err)
{
    struct af_meta_granted *granted = NULL;
    size_t granted_count = 0;
    AF_TRY(meta_grants_locked(meta, user, arena, &granted, &granted_count, err));
    struct af_permission *list = af_arena_zero(arena, GRANTED_MAX, sizeof *list);
    if (list == NULL)
        return af_fail_nomem(err, "permissions");
    for (size_t i = 0; i < granted_count; i++)
        AF_TRY(add_granted(meta, &granted[i], list, &out->permission_count, err));
    out->permissions = list;
    return AF_OK;
}

static struct meta_failures *failures_of(struct af_meta *meta, const uint8_t digest[AF_SHA256_BYTES])
{
    struct meta_failures *failures = &meta->failures[digest[1] % META_CACHE_SLOTS];
    if (memcmp(failures->digest, digest, AF_SHA256_BYTES) != 0) { /* another name's place: nobody waits for somebody else's guesses */
        *failures = (struct meta_failures){ 0 };
        memcpy(failures->digest, digest, AF_SHA256_BYTES);
    }
    return failures;
}

static void count_failure(struct meta_failures *failures)
{
    failures->count++;
    if (failures->count < FREE_FAILURES)
        return;
    uint32_t doublings = failures->count - FREE_FAILURES;
    int64_t wait_s = doublings < 6 ? INT64_C(1) << doublings : WAIT_MAX_S;
    failures->until_ns = af_clock_mono_ns() + wait_s * AF_NS_PER_S;
}

/* A user as the catalogue has him at this moment; hash NULL: there is none, or no password. */
struct candidate {
    uint64_t id;
    bool is_active, is_admin;
    const char *hash;
};

static enum af_status load_candidate(struct af_meta *meta, const char *name, struct af_arena *arena, struct candidate *out,
                                     struct af_error *err)
{
    struct meta_query q;
    *out = (struct candidate){ 0 };
    meta_query_open(&q, meta, "SELECT id, is_active, is_admin, password FROM user WHERE name = ? AND password IS NOT NULL", err);
    meta_bind_text(&q, name);
    if (meta_row(&q))
        *out = (struct candidate){ meta_id(&q, 0), meta_int(&q, 1) != 0, meta_int(&q, 2) != 0, meta_text(&q, 3, arena) };
    return meta_query_close(&q);
}

static enum af_status make_principal(struct af_meta *meta, const char *name, const struct candidate *user, struct af_arena *arena,
                                     struct af_principal *out, struct af_error *err)
{
    *out = (struct af_principal){ .user = user->id, .is_admin = user->is_admin, .name = af_arena_printf(arena, "user %s", name) };
    if (out->name == NULL)
        return af_fail_nomem(err, "a principal");
    return out->is_admin ? AF_OK : grant_permissions(meta, out->user, arena, out, err);
}

/* Digest of name and password under this process's salt. */
static bool digest_of(struct af_meta *meta, struct af_slice user, struct af_slice password, struct af_arena *arena,
                      uint8_t out[AF_SHA256_BYTES])
{
    uint8_t *both = af_arena_alloc(arena, user.len + 1 + password.len);
    if (both == NULL)
        return false;
    if (user.len != 0)
        memcpy(both, user.ptr, user.len);
    both[user.len] = '\0';
    if (password.len != 0)
        memcpy(both + user.len + 1, password.ptr, password.len);
    struct af_slice text = af_slice_make(both, user.len + 1 + password.len);
    bool ok = af_hmac_sha256(af_slice_make(meta->salt, sizeof meta->salt), text, out);
    af_wipe(both, text.len);
    return ok;
}

struct attempt {
    struct af_slice password;
    const char *name;
    uint8_t digest[AF_SHA256_BYTES], name_digest[AF_SHA256_BYTES];
};

static struct meta_proven *proof_of(struct af_meta *meta, const struct attempt *a)
{
    return &meta->proven[a->digest[0] % META_CACHE_SLOTS];
}

static enum af_status prove(struct af_meta *meta, const struct attempt *a, const struct candidate *user, struct af_error *err)
{
    struct meta_proven *proof = proof_of(meta, a);
    proof->is_set = af_sha256(af_slice_of(user->hash), proof->hash);
    memcpy(proof->digest, a->digest, sizeof proof->digest);
    return proof->is_set ? AF_OK : af_fail_nomem(err, "a password");
}

/* AF_EUNAUTH: not proven, or for another hash than the user has now. */
static enum af_status by_proof_locked(struct af_meta *meta, const struct attempt *a, struct af_arena *arena, struct af_principal *out,
                                      struct af_error *err)
{
    const struct meta_proven *proof = proof_of(meta, a);
    uint8_t hash[AF_SHA256_BYTES];
    struct candidate user;
    if (!proof->is_set || !af_equal_secret(proof->digest, a->digest, AF_SHA256_BYTES))
        return AF_EUNAUTH;
    AF_TRY(load_candidate(meta, a->name, arena, &user, err));
    if (!user.is_active || user.hash == NULL)
        return AF_EUNAUTH;
    if (!af_sha256(af_slice_of(user.hash), hash))
        return af_fail_nomem(err, "a password");
    if (!af_equal_secret(hash, proof->hash, AF_SHA256_BYTES))
        return AF_EUNAUTH;
    AF_TRY(make_principal(meta, a->name, &user, arena, out, err));
    remember(meta, a->digest, out);
    return AF_OK;
}

/* What costs nothing: remembered, or a token. AF_EUNAUTH: the hash has to say; with `err` filled: too early to ask it. */
static enum af_status quickly_locked(struct af_meta *meta, const struct attempt *a, struct af_arena *arena, struct af_principal *out,
                                     bool *out_is_early, struct af_error *err)
{
    *out_is_early = false;
    if (recall(meta, a->digest, arena, out))
        return AF_OK;
    enum af_status status = by_token_locked(meta, a->password, arena, out, err);
    if (status == AF_EUNAUTH)
        status = by_proof_locked(meta, a, arena, out, err);
    if (status != AF_EUNAUTH)
        return status;
    int64_t wait_ns = failures_of(meta, a->name_digest)->until_ns - af_clock_mono_ns();
    *out_is_early = wait_ns > 0;
    (void)af_fail(err, AF_EUNAUTH, "authorization failed");
    if (wait_ns > 0 && err != NULL)
        err->retry_after_ms = (uint32_t)(wait_ns / 1000000) + 1;
    return AF_EUNAUTH;
}

/* The hash was right or wrong: is it still the user's, and what may he? */
static enum af_status finish_locked(struct af_meta *meta, const struct attempt *a, const struct candidate *before, bool is_right,
                                    struct af_arena *arena, struct af_principal *out, struct af_error *err)
{
    struct meta_failures *failures = failures_of(meta, a->name_digest);
    struct candidate now;
    AF_TRY(load_candidate(meta, a->name, arena, &now, err));
    if (!is_right || !now.is_active || now.hash == NULL || strcmp(now.hash, before->hash) != 0) {
        count_failure(failures);
        return af_fail(err, AF_EUNAUTH, "authorization failed");
    }
    AF_TRY(make_principal(meta, a->name, &now, arena, out, err));
    failures->count = 0;
    failures->until_ns = 0;
    AF_TRY(prove(meta, a, &now, err));
    remember(meta, a->digest, out);
    return AF_OK;
}

/* A place in the line for the hash. The line is short: who is asked to wait longer comes back later and keeps no thread meanwhile. */
static enum af_status queue_locked(struct af_meta *meta, struct af_error *err)
{
    if (meta->hashers == META_HASHERS_MAX) {
        (void)af_fail(err, AF_EBUSY, "too many passwords are being checked at once; try again");
        if (err != NULL)
            err->retry_after_ms = BUSY_MS;
        return AF_EBUSY;
    }
    meta->hashers++;
    return AF_OK;
}

static void leave_queue(struct af_meta *meta)
{
    af_mutex_lock(&meta->lock);
    meta->hashers--;
    af_mutex_unlock(&meta->lock);
}

/* Under hash_lock; the catalogue is free for others while the hash is made. */
static enum af_status slowly(struct af_meta *meta, const struct attempt *a, struct af_arena *arena, struct af_principal *out,
                             struct af_error *err)
{
    struct candidate user;
    bool is_early;
    af_mutex_lock(&meta->lock);
    enum af_status status = quickly_locked(meta, a, arena, out, &is_early, err); /* another thread may just have asked the same */
    enum af_status loaded = status == AF_EUNAUTH && !is_early ? load_candidate(meta, a->name, arena, &user, err) : AF_OK;
    af_mutex_unlock(&meta->lock);
    if (status != AF_EUNAUTH || is_early)
        return status;
    AF_TRY(loaded);
    bool is_right = meta_password_is(a->password, user.hash != NULL ? user.hash : META_NOBODY);
    af_mutex_lock(&meta->lock);
    status = finish_locked(meta, a, &user, is_right && user.hash != NULL, arena, out, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

static enum af_status make_attempt(struct af_meta *meta, struct af_slice user, struct af_slice password, struct af_arena *arena,
                                   struct attempt *out, struct af_error *err)
{
    *out = (struct attempt){ .password = password, .name = af_arena_copy(arena, user) };
    if (out->name == NULL || !digest_of(meta, user, password, arena, out->digest) ||
        !digest_of(meta, user, (struct af_slice){ 0 }, arena, out->name_digest))
        return af_fail_nomem(err, "a password");
    return AF_OK;
}

enum af_status af_meta_by_password_quickly(struct af_meta *meta, struct af_slice user, struct af_slice password, struct af_arena *arena,
                                           struct af_principal *out, bool *out_is_open, struct af_error *err)
{
    struct attempt a;
    bool is_early;
    *out_is_open = false;
    AF_TRY(make_attempt(meta, user, password, arena, &a, err));
    af_mutex_lock(&meta->lock);
    enum af_status status = quickly_locked(meta, &a, arena, out, &is_early, err);
    af_mutex_unlock(&meta->lock);
    *out_is_open = status == AF_EUNAUTH && !is_early;
    return status;
}

enum af_status af_meta_by_password(struct af_meta *meta, struct af_slice user, struct af_slice password, struct af_arena *arena,
                                   struct af_principal *out, struct af_error *err)
{
    struct attempt a;
    bool is_early;
    AF_TRY(make_attempt(meta, user, password, arena, &a, err));
    af_mutex_lock(&meta->lock);
    enum af_status status = quickly_locked(meta, &a, arena, out, &is_early, err);
    bool must_hash = status == AF_EUNAUTH && !is_early;
    if (must_hash)
        status = queue_locked(meta, err);
    af_mutex_unlock(&meta->lock);
    if (!must_hash || status != AF_OK)
        return status;
    af_mutex_lock(&meta->hash_lock);
    status = slowly(meta, &a, arena, out, err);
    af_mutex_unlock(&meta->hash_lock);
    leave_queue(meta);
    return status;
}

/* --- may they -------------------------------------------------------------------------------------------------------------- */

bool af_principal_may(const struct af_principal *who, enum af_action action, const char *type, uint64_t org, uint64_t id)
{
    if (who->is_everybody || who->is_admin)
        return true;
    for (size_t i = 0; i < who->permission_count; i++) {
        const struct af_permission *p = &who->permissions[i];
        if (p->action == action && (p->org == 0 || p->org == org) && (p->id == 0 || p->id == id) && strcmp(p->type, type) == 0)
            return true;
    }
    return false;
}

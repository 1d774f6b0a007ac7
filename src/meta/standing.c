/*
 * standing.c - what goes on by itself: 1.x's continuous queries and subscriptions; see meta.h.
 *
 * Both are kept as they were said. That they go with their database or policy is the business of triggers (meta.c), since a database is
 * there as long as a bucket or a mapping says so. Destinations of a subscription stand one a line.
 */
#include "meta/meta_int.h"
#include <strings.h>

/* --- continuous queries ------------------------------------------------------------------------------------------------------------- */

static enum af_status list_continuous_locked(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                             struct af_meta_continuous **out, size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    *out = NULL;
    *out_count = 0;
    meta_query_open(&q, meta,
                    "SELECT id, org, database, name, query, created FROM continuous"
                    " WHERE (?1 = 0 OR org = ?1) AND (?2 IS NULL OR database = ?2) ORDER BY created, id",
                    err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    while (meta_row(&q)) {
        struct af_meta_continuous *c = meta_grow(&q, (void **)out, out_count, sizeof *c, arena);
        if (c != NULL)
            *c = (struct af_meta_continuous){ .id = meta_id(&q, 0), .org = meta_id(&q, 1), .database = meta_text(&q, 2, arena),
                                              .name = meta_text(&q, 3, arena), .query = meta_text(&q, 4, arena),
                                              .created_ns = meta_int(&q, 5) };
    }
    return meta_query_close(&q);
}

/* *out_id 0: there is none of the name. */
static enum af_status find_same(struct af_meta *meta, const struct af_meta_continuous *query, uint64_t *out_id, struct af_error *err)
{
    struct af_arena arena;
    struct af_meta_continuous *list = NULL;
    size_t count = 0;
    *out_id = 0;
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = list_continuous_locked(meta, query->org, query->database, &arena, &list, &count, err);
    for (size_t i = 0; i < count && status == AF_OK; i++) {
        if (strcmp(list[i].name, query->name) != 0)
            continue;
        *out_id = list[i].id;
        if (strcasecmp(list[i].query, query->query) != 0)
            status = af_fail(err, AF_ECONFLICT, "continuous query already exists");
    }
    af_arena_done(&arena);
    return status;
}

static enum af_status add_continuous_locked(struct af_meta *meta, struct af_meta_continuous *query, struct af_error *err)
{
    struct meta_query q;
    uint64_t present;
    AF_TRY(find_same(meta, query, &present, err));
    query->id = present != 0 ? present : meta_new_id();
    if (present != 0)
        return AF_OK;
    query->created_ns = meta_now_ns();
    meta_query_open(&q, meta, "INSERT INTO continuous (id, org, database, name, query, created) VALUES (?, ?, ?, ?, ?, ?)", err);
    meta_bind_id(&q, query->id);
    meta_bind_id(&q, query->org);
    meta_bind_text(&q, query->database);
    meta_bind_text(&q, query->name);
    meta_bind_text(&q, query->query);
    meta_bind_int(&q, query->created_ns);
    return meta_change(&q, "%s", "continuous query already exists");
}

enum af_status af_meta_continuous_add(struct af_meta *meta, struct af_meta_continuous *query, struct af_error *err)
{
    AF_TRY(meta_check_name(query->database, "database", err));
    AF_TRY(meta_check_name(query->name, "continuous query", err));
    af_mutex_lock(&meta->lock);
    enum af_status status = add_continuous_locked(meta, query, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_continuous_list(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                       struct af_meta_continuous **out, size_t *out_count, struct af_error *err)
{
    af_mutex_lock(&meta->lock);
    enum af_status status = list_continuous_locked(meta, org, database, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_continuous_drop(struct af_meta *meta, uint64_t org, const char *database, const char *name, struct af_error *err)
{
    struct meta_query q;
    af_mutex_lock(&meta->lock);
    meta_query_open(&q, meta, "DELETE FROM continuous WHERE org = ? AND database = ? AND name = ?", err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    meta_bind_text(&q, name);
    enum af_status status = meta_change(&q, NULL, NULL);
    af_mutex_unlock(&meta->lock);
    return status;
}

/* --- subscriptions ------------------------------------------------------------------------------------------------------------------ */

static enum af_status join_lines(const struct af_meta_subscription *s, struct af_buf *out, struct af_error *err)
{
    for (size_t i = 0; i < s->destination_count; i++) {
        if (strchr(s->destinations[i], '\n') != NULL)
            return af_fail(err, AF_EINVAL, "invalid subscription URL: %s", s->destinations[i]);
        af_buf_append_str(out, i != 0 ? "\n" : "");
        af_buf_append_str(out, s->destinations[i]);
    }
    return af_buf_check(out, "a subscription", err);
}

static enum af_status add_subscription_locked(struct af_meta *meta, struct af_meta_subscription *s, const char *lines, struct af_error *err)
{
    struct meta_query q;
    s->id = meta_new_id();
    s->created_ns = meta_now_ns();
    meta_query_open(&q, meta,
                    "INSERT INTO subscription (id, org, database, policy, name, is_all, destinations, created)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    err);
    meta_bind_id(&q, s->id);
    meta_bind_id(&q, s->org);
    meta_bind_text(&q, s->database);
    meta_bind_text(&q, s->policy);
    meta_bind_text(&q, s->name);
    meta_bind_int(&q, s->is_all);
    meta_bind_text(&q, lines);
    meta_bind_int(&q, s->created_ns);
    return meta_change(&q, "%s", "subscription already exists");
}

enum af_status af_meta_subscription_add(struct af_meta *meta, struct af_meta_subscription *subscription, struct af_error *err)
{
    struct af_buf lines;
    AF_TRY(meta_check_name(subscription->database, "database", err));
    AF_TRY(meta_check_name(subscription->policy, "retention policy", err));
    AF_TRY(meta_check_name(subscription->name, "subscription", err));
    af_buf_init(&lines, 1 << 20);
    enum af_status status = join_lines(subscription, &lines, err);
    if (status == AF_OK) {
        af_mutex_lock(&meta->lock);
        status = add_subscription_locked(meta, subscription, af_buf_cstr(&lines), err);
        af_mutex_unlock(&meta->lock);
    }
    af_buf_done(&lines);
    return status;
}

/* `text` is cut in place. */
static enum af_status split_lines(char *text, struct af_arena *arena, struct af_meta_subscription *out, struct af_error *err)
{
    size_t count = 1;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        count++;
    const char **list = af_arena_zero(arena, count, sizeof *list);
    if (list == NULL)
        return af_fail_nomem(err, "a subscription");
    for (size_t i = 0; i < count; i++) {
        list[i] = text;
        text += strcspn(text, "\n");
        if (*text != '\0')
            *text++ = '\0';
    }
    out->destinations = list;
    out->destination_count = count;
    return AF_OK;
}

static enum af_status list_subscriptions_locked(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                                struct af_meta_subscription **out, size_t *out_count, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta,
                    "SELECT id, org, database, policy, name, is_all, destinations, created FROM subscription"
                    " WHERE (?1 = 0 OR org = ?1) AND (?2 IS NULL OR database = ?2) ORDER BY created, id",
                    err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    while (meta_row(&q)) {
        const char *lines = meta_text(&q, 6, arena);
        char *own = lines != NULL ? af_arena_copy(arena, af_slice_of(lines)) : NULL;
        struct af_meta_subscription *s = meta_grow(&q, (void **)out, out_count, sizeof *s, arena);
        if (own == NULL && q.status == AF_OK)
            q.status = af_fail_nomem(err, "the catalogue");
        if (s == NULL || own == NULL)
            continue;
        *s = (struct af_meta_subscription){ .id = meta_id(&q, 0), .org = meta_id(&q, 1), .database = meta_text(&q, 2, arena),
                                            .policy = meta_text(&q, 3, arena), .name = meta_text(&q, 4, arena),
                                            .is_all = meta_int(&q, 5) != 0, .created_ns = meta_int(&q, 7) };
        if (q.status == AF_OK)
            q.status = split_lines(own, arena, s, err);
    }
    return meta_query_close(&q);
}

enum af_status af_meta_subscriptions(struct af_meta *meta, uint64_t org, const char *database, struct af_arena *arena,
                                     struct af_meta_subscription **out, size_t *out_count, struct af_error *err)
{
    *out = NULL;
    *out_count = 0;
    af_mutex_lock(&meta->lock);
    enum af_status status = list_subscriptions_locked(meta, org, database, arena, out, out_count, err);
    af_mutex_unlock(&meta->lock);
    return status;
}

enum af_status af_meta_subscription_drop(struct af_meta *meta, uint64_t org, const char *database, const char *policy, const char *name,
                                         struct af_error *err)
{
    struct meta_query q;
    af_mutex_lock(&meta->lock);
    meta_query_open(&q, meta, "DELETE FROM subscription WHERE org = ? AND database = ? AND policy = ? AND name = ?", err);
    meta_bind_id(&q, org);
    meta_bind_text(&q, database);
    meta_bind_text(&q, policy);
    meta_bind_text(&q, name);
    enum af_status status = meta_must_change(&q, NULL, NULL, "subscription");
    af_mutex_unlock(&meta->lock);
    return status;
}

/*
 * each.c - all objects of a kind in a journal: listed a page at a time, a page fetched by several threads, told one after the other.
 */
#include "fleet/fleet_int.h"
#include "base/alloc.h"
#include "os/thread.h"
#include <stdio.h>

enum { PAGE = 1000, FETCHERS = 8 };

struct page {
    struct af_s3 *s3;
    const struct fleet_place *place;
    const bool *cancel;
    enum af_status (*each)(void *ctx, const char *key, struct af_slice bytes, struct af_error *err);
    void *ctx;
    struct af_arena arena;          /* of the keys */
    const char *keys[PAGE];
    size_t count;
    struct af_mutex lock;
    /* under lock */
    size_t next;
    enum af_status status;
    struct af_error err;
};

static void fail(struct page *page, enum af_status status, const struct af_error *why)
{
    if (page->status == AF_OK) {
        page->status = status;
        page->err = *why;
    }
}

/* Which key is the next; NULL: none, or somebody failed. */
static const char *take(struct page *page)
{
    const char *key = NULL;
    af_mutex_lock(&page->lock);
    if (page->status == AF_OK && page->next < page->count)
        key = page->keys[page->next++];
    af_mutex_unlock(&page->lock);
    return key;
}

static void tell(struct page *page, const char *key, enum af_status status, struct af_slice bytes, const struct af_error *why)
{
    struct af_error err = { 0 };
    af_mutex_lock(&page->lock);
    if (status == AF_ELIMIT)     /* what is so large is none of ours: its reader says so */
        status = AF_OK, bytes = (struct af_slice){ "", 0 };
    if (status == AF_ENOTFOUND)  /* gone since it was listed */
        status = AF_OK;
    else if (status != AF_OK)
        fail(page, status, why);
    else if (page->status == AF_OK) {
        status = page->each(page->ctx, key, bytes, &err);
        if (status != AF_OK)
            fail(page, status, &err);
    }
    af_mutex_unlock(&page->lock);
}

static void fetch(void *ctx)
{
    struct page *page = ctx;
    struct af_buf bytes;
    const char *key;
    af_buf_init(&bytes, FLEET_JSON_BYTES_MAX);
    while ((key = take(page)) != NULL) {
        struct af_error err = { 0 };
        af_buf_clear(&bytes);
        const enum af_status status =
            fleet_is_up(page->cancel) ? af_fail(&err, AF_ECANCELED, "stopped on request")
                                      : af_s3_get(page->s3, page->place->bucket, key, &bytes, NULL, &err);
        tell(page, key, status, af_buf_slice(&bytes), &err);
    }
    af_buf_done(&bytes);
}

/* One thread fewer is no failure: this one fetches as well. */
static enum af_status fetch_page(struct page *page, struct af_error *err)
{
    struct af_thread threads[FETCHERS - 1] = { { 0 } };
    page->next = 0;
    for (size_t i = 0; i < FETCHERS - 1 && i + 1 < page->count; i++)
        if (af_thread_start(&threads[i], "af-journal", fetch, page, NULL) != AF_OK)
            break;
    fetch(page);
    for (size_t i = 0; i < FETCHERS - 1; i++)
        af_thread_join(&threads[i]);
    page->count = 0;
    af_arena_reset(&page->arena);
    if (page->status != AF_OK && err != NULL)
        *err = page->err;
    return page->status;
}

static enum af_status listed(void *ctx, const struct af_s3_object *object, struct af_error *err)
{
    struct page *page = ctx;
    if (page->count == PAGE)
        AF_TRY(fetch_page(page, err));
    page->keys[page->count] = af_arena_copy(&page->arena, af_slice_of(object->key));
    if (page->keys[page->count] == NULL)
        return af_arena_fail(&page->arena, strlen(object->key), "a page of the journal", err);
    page->count++;
    return AF_OK;
}

enum af_status fleet_each(struct af_s3 *s3, const struct fleet_place *place, const char *folder, const bool *cancel,
                          enum af_status (*each)(void *ctx, const char *key, struct af_slice bytes, struct af_error *err), void *ctx,
                          struct af_error *err)
{
    char prefix[FLEET_KEY_BYTES];
    struct page *page = af_alloc_zero(1, sizeof *page);
    if (page == NULL)
        return af_fail_nomem(err, "a page of the journal");
    page->s3 = s3;
    page->place = place;
    page->cancel = cancel;
    page->each = each;
    page->ctx = ctx;
    af_arena_init(&page->arena, 16 << 20);
    af_mutex_init(&page->lock);
    (void)snprintf(prefix, sizeof prefix, "%s%s/", place->prefix, folder);
    enum af_status status = af_s3_list(s3, place->bucket, prefix, cancel, listed, page, err);
    if (status == AF_OK && page->count != 0)
        status = fetch_page(page, err);
    af_mutex_done(&page->lock);
    af_arena_done(&page->arena);
    af_free(page);
    return status;
}

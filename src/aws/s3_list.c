/*
 * s3_list.c - the objects of a bucket, page by page (ListObjectsV2).
 *
 * Keys come percent-encoded (encoding-type=url), since XML cannot hold every byte that a key can.
 */
#include "aws/s3_int.h"
#include "base/limits.h"

enum { ARENA_BYTES_MAX = 64 << 20, EMPTY_PAGES_MAX = 1000, LIES_MAX = 3 };

struct walk {
    struct af_s3 *s3;
    const char *bucket, *prefix;
    const bool *cancel;
    enum af_status (*each)(void *ctx, const struct af_s3_object *object, struct af_error *err);
    void *ctx;
    char token[2048]; /* of the page to ask for; "": the first */
    unsigned empty_pages;
    char mark[2048];  /* a token of before, moved on at pages 1, 2, 4, 8 ...: a circle of any length comes by it again */
    uint64_t pages, mark_at;
};

static enum af_status ask(struct walk *walk, struct af_aws_answer *answer, struct af_error *err)
{
    struct af_aws_pair query[5] = { { AF_SLICE_LIT("list-type"), AF_SLICE_LIT("2") },
                                    { AF_SLICE_LIT("encoding-type"), AF_SLICE_LIT("url") } };
    size_t count = 2;
    if (walk->prefix[0] != '\0')
        query[count++] = (struct af_aws_pair){ AF_SLICE_LIT("prefix"), af_slice_of(walk->prefix) };
    if (walk->token[0] != '\0')
        query[count++] = (struct af_aws_pair){ AF_SLICE_LIT("continuation-token"), af_slice_of(walk->token) };
    struct s3_call call = { .operation = "ListObjectsV2", .method = "GET", .bucket = walk->bucket, .query = query, .query_count = count,
                            .cancel = walk->cancel };
    return s3_send(walk->s3, &call, answer, err);
}

/* To the page after this one; pages that lead nowhere end the walk. */
static enum af_status turn(struct walk *walk, const struct s3_page *page, struct af_error *err)
{
    size_t len = strlen(page->next);
    walk->empty_pages = page->count == 0 ? walk->empty_pages + 1 : 0;
    if (len != 0 && (strcmp(page->next, walk->mark) == 0 || walk->empty_pages > EMPTY_PAGES_MAX))
        return af_fail(err, AF_ECORRUPT, "s3://%s/%s: the listing goes on for ever: its pages lead to one of before, or to nothing",
                       walk->bucket, walk->prefix);
    if (len >= sizeof walk->token)
        return af_fail(err, AF_ELIMIT, "s3://%s/%s: a continuation token of %zu bytes", walk->bucket, walk->prefix, len);
    memcpy(walk->token, page->next, len + 1);
    if (walk->pages++ == walk->mark_at) {
        memcpy(walk->mark, page->next, len + 1);
        walk->mark_at = walk->mark_at * 2 + 1;
    }
    return AF_OK;
}

static enum af_status ask_once(struct walk *walk, struct af_arena *arena, struct s3_page *page, struct af_error *err)
{
    struct af_aws_answer answer;
    af_aws_answer_init(&answer);
    enum af_status status = ask(walk, &answer, err);
    if (status == AF_OK) {
        status = s3_page_parse(af_buf_slice(&answer.http.body), walk->prefix, arena, page, err);
        if (status != AF_OK)
            af_error_prefix(err, "s3://%s/%s: ", walk->bucket, walk->prefix);
    }
    af_aws_answer_done(&answer);
    return status;
}

/* What makes no sense is asked for again: it may have been cut on its way, by something that did not say so. */
static enum af_status one_page(struct walk *walk, struct af_arena *arena, struct af_error *err)
{
    struct s3_page page;
    enum af_status status = AF_ECORRUPT;
    for (unsigned i = 0; i < LIES_MAX && status == AF_ECORRUPT; i++) {
        af_arena_reset(arena);
        status = ask_once(walk, arena, &page, err);
    }
    AF_TRY(status);
    for (size_t i = 0; i < page.count; i++)
        AF_TRY(walk->each(walk->ctx, &page.objects[i], err));
    return turn(walk, &page, err);
}

enum af_status af_s3_list(struct af_s3 *s3, const char *bucket, const char *prefix, const bool *cancel,
                          enum af_status (*each)(void *ctx, const struct af_s3_object *object, struct af_error *err), void *ctx,
                          struct af_error *err)
{
    struct walk walk = { .s3 = s3, .bucket = bucket, .prefix = prefix, .cancel = cancel, .each = each, .ctx = ctx };
    struct af_arena arena;
    af_arena_init(&arena, ARENA_BYTES_MAX);
    enum af_status status;
    do {
        status = one_page(&walk, &arena, err);
    } while (status == AF_OK && walk.token[0] != '\0');
    af_arena_done(&arena);
    return status;
}

/* sources.c - what a source names: files here or objects in S3, with the connection they need. */
#include "aws/s3.h"
#include "base/alloc.h"
#include "ffi/ffi_int.h"
#include "ingest/ingest.h"
#include "net/http.h"

struct ffi_sources {
    struct af_source_list list;
    struct af_aws *aws;
    struct af_s3 *s3;
};

static enum af_status open_s3(void *ctx, struct af_s3 **out, struct af_error *err)
{
    struct ffi_sources *sources = ctx;
    const struct af_aws_options options = { 0 };
    const struct af_s3_options s3 = { 0 };
    if (sources->aws == NULL)
        AF_TRY(af_aws_open(&options, &sources->aws, err));
    if (sources->s3 == NULL)
        AF_TRY(af_s3_open(sources->aws, &s3, &sources->s3, err));
    *out = sources->s3;
    return AF_OK;
}

/* A key may hold what means a pattern, and one that is gone may be the beginning of others. */
static enum af_status keep_exact(struct af_source_list *list, const char *source, struct af_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->items[i].path, source) == 0) {
            list->items[0] = list->items[i];
            list->count = 1;
            return AF_OK;
        }
    }
    return af_fail(err, AF_ENOTFOUND, "%s: there is no such file or object", source);
}

enum af_status ffi_sources_open(const char *source, bool is_exact, struct ffi_sources **out, struct af_error *err)
{
    struct ffi_sources *sources = af_alloc_zero(1, sizeof *sources);
    if (sources == NULL)
        return af_fail_nomem(err, "a source");
    af_http_init();
    const struct af_source_from from = { .s3 = open_s3, .ctx = sources };
    const struct af_source_keep keep = { 0 };
    enum af_status status = source != NULL ? af_source_list_make(&source, 1, &from, &sources->list, err)
                                           : af_fail(err, AF_EINVAL, "which source?");
    if (status == AF_OK && is_exact)
        status = keep_exact(&sources->list, source, err);
    if (status == AF_OK)
        status = af_source_list_keep(&sources->list, &keep, err);
    if (status != AF_OK) {
        ffi_sources_close(sources);
        return status;
    }
    *out = sources;
    return AF_OK;
}

struct af_source_list *ffi_sources_list(struct ffi_sources *sources)
{
    return &sources->list;
}

void ffi_sources_close(struct ffi_sources *sources)
{
    if (sources == NULL)
        return;
    af_source_list_done(&sources->list);
    af_s3_close(sources->s3);
    af_aws_close(sources->aws);
    af_free(sources);
}

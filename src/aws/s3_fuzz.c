/*
 * s3_fuzz.c - listings and headers of S3 from anybody.
 *
 * The first byte chooses. Whatever is taken must be as promised: keys begin with the prefix and have no NUL, sizes fit, a range is inside
 * its object, an ETag can stand in a header.
 */
#include "aws/s3_int.h"
#include <stdlib.h>

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void listing(struct af_slice text)
{
    struct af_arena arena;
    struct s3_page page;
    struct af_error err = { 0 };
    af_arena_init(&arena, 16 << 20);
    if (s3_page_parse(text, "p/", &arena, &page, &err) == AF_OK) {
        check(page.next != NULL);
        for (size_t i = 0; i < page.count; i++) {
            char etag[64];
            const struct af_s3_object *o = &page.objects[i];
            check(strncmp(o->key, "p/", 2) == 0 && strlen(o->key) <= 1024 && o->bytes <= INT64_MAX);
            check(s3_etag(af_slice_of(o->etag), etag) && strcmp(etag, o->etag) == 0);
        }
    } else {
        check(err.status != AF_OK && err.message[0] != '\0');
    }
    af_arena_done(&arena);
}

static void headers(struct af_slice text)
{
    char etag[64];
    uint64_t first, last, size;
    int64_t ns;
    if (s3_etag(text, etag))
        check(strlen(etag) != 0 && strpbrk(etag, "\r\n\" ") == NULL);
    if (s3_content_range(text, &first, &last, &size))
        check(first <= last && last < size);
    (void)s3_http_date(text, &ns);
}

static void names(struct af_slice text)
{
    struct af_s3_name name;
    char *copy = malloc(text.len + 6);
    if (copy == NULL)
        return;
    memcpy(copy, "s3://", 5);
    memcpy(copy + 5, text.len != 0 ? text.ptr : "", text.len);
    copy[5 + text.len] = '\0';
    if (af_s3_name_parse(copy, &name, NULL) == AF_OK) {
        check(strpbrk(name.bucket, "/@:?#% \r\n") == NULL && strlen(name.key) <= 1024);
        check(strncmp(copy + 5, name.bucket, strlen(name.bucket)) == 0);
        check(copy[5 + strlen(name.bucket)] == '\0' || strcmp(copy + 5 + strlen(name.bucket) + 1, name.key) == 0);
    }
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct af_slice text = af_slice_make(data + 1, size - 1);
    if (data[0] % 4 == 0)
        headers(text);
    else if (data[0] % 4 == 1)
        names(text);
    else
        listing(text);
    return 0;
}

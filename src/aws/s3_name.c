/* s3_name.c - s3://bucket/key: what follows the bucket's slash is the key, byte for byte. */
#include "aws/s3_int.h"

enum { BUCKET_MIN = 3, BUCKET_MAX = 255, KEY_MAX = 1024 }; /* up to 255: buckets older than the rules of today */

bool af_s3_is_name(const char *text)
{
    return strncmp(text, "s3://", 5) == 0;
}

static bool is_bucket_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || (c >= 'A' && c <= 'Z');
}

/* A name of letters, digits, dots, dashes and underscores that can stand in a URL's host or path as it is. */
static enum af_status check_bucket(const char *text, struct af_slice bucket, struct af_error *err)
{
    if (bucket.len == 0)
        return af_fail(err, AF_EINVAL, "%s: no bucket; s3://BUCKET/KEY is meant", text);
    if (af_slice_has_prefix(bucket, "arn:"))
        return af_fail(err, AF_EUNSUPPORTED, "%s: ARNs are not understood; use the bucket's name or the access point's alias", text);
    if (bucket.len > 6 && memcmp(bucket.ptr + bucket.len - 6, "--x-s3", 6) == 0)
        return af_fail(err, AF_EUNSUPPORTED, "%s: directory buckets (S3 Express) are not understood; copy it to a general one", text);
    for (size_t i = 0; i < bucket.len; i++)
        if (!is_bucket_char(bucket.ptr[i]))
            return af_fail(err, AF_EINVAL, "%s: a bucket's name has letters, digits, dots and dashes only", text);
    if (bucket.len < BUCKET_MIN || bucket.len > BUCKET_MAX || bucket.ptr[0] == '.' || bucket.ptr[0] == '-')
        return af_fail(err, AF_EINVAL, "%s: a bucket's name is %d to %d characters long and begins with a letter or digit", text,
                       (int)BUCKET_MIN, (int)BUCKET_MAX);
    return AF_OK;
}

enum af_status af_s3_name_parse(const char *text, struct af_s3_name *out, struct af_error *err)
{
    if (!af_s3_is_name(text))
        return af_fail(err, AF_EINVAL, "%s: no name of an object; s3://BUCKET/KEY is meant", text);
    const char *bucket = text + 5;
    size_t len = strcspn(bucket, "/");
    AF_TRY(check_bucket(text, af_slice_make(bucket, len), err));
    const char *key = bucket[len] == '/' ? bucket + len + 1 : bucket + len;
    size_t key_len = strlen(key);
    if (key_len > KEY_MAX)
        return af_fail(err, AF_EINVAL, "%.200s...: a key of %zu bytes; S3 has none longer than %d", text, key_len, (int)KEY_MAX);
    memcpy(out->bucket, bucket, len);
    out->bucket[len] = '\0';
    memcpy(out->key, key, key_len + 1);
    return AF_OK;
}

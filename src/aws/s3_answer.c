/*
 * s3_answer.c - what S3 says in headers and XML, checked: all of it is foreign.
 *
 *     <ListBucketResult>
 *       <EncodingType>url</EncodingType> <IsTruncated>true</IsTruncated> <NextContinuationToken>...</NextContinuationToken>
 *       <Contents> <Key>a%2Fb</Key> <LastModified>2024-01-01T00:00:00.000Z</LastModified> <ETag>"..."</ETag> <Size>5</Size> </Contents> ...
 *     </ListBucketResult>
 */
#include "aws/s3_int.h"
#include "base/calendar.h"
#include "base/numbers.h"
#include "format/xml/xml.h"
#include <stdio.h>

/* --- headers ----------------------------------------------------------------------------------------------------------------- */

bool s3_etag(struct af_slice text, char out[64])
{
    if (text.len >= 2 && text.ptr[0] == '"' && text.ptr[text.len - 1] == '"')
        text = af_slice_make(text.ptr + 1, text.len - 2);
    if (text.len == 0 || text.len >= 64)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '"')
            return false;
    memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

/* The number before `mark`, which is cut off with it; mark '\0': all that is left. */
static bool take_number(struct af_slice *text, char mark, uint64_t *out)
{
    const char *end = mark != '\0' ? memchr(text->ptr, mark, text->len) : text->ptr + text->len;
    if (end == NULL || !af_u64_parse(af_slice_make(text->ptr, (size_t)(end - text->ptr)), out))
        return false;
    size_t used = (size_t)(end - text->ptr) + (mark != '\0');
    *text = af_slice_make(text->ptr + used, text->len - used);
    return true;
}

bool s3_content_range(struct af_slice text, uint64_t *out_first, uint64_t *out_last, uint64_t *out_size)
{
    if (!af_slice_has_prefix(text, "bytes "))
        return false;
    text = af_slice_make(text.ptr + 6, text.len - 6);
    return take_number(&text, '-', out_first) && take_number(&text, '/', out_last) && take_number(&text, '\0', out_size) &&
           *out_first <= *out_last && *out_last < *out_size;
}

bool s3_http_date(struct af_slice text, int64_t *out_ns)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    char date[40];
    char month[4];
    unsigned day, year, hour, minute, second;
    if (text.len >= sizeof date || text.len < 5)
        return false;
    memcpy(date, text.ptr, text.len);
    date[text.len] = '\0';
    if (sscanf(date + 4, "%2u %3[A-Za-z] %4u %2u:%2u:%2u GMT", &day, month, &year, &hour, &minute, &second) != 6 || strlen(month) != 3)
        return false;
    const char *at = strstr(months, month);
    if (at == NULL || (at - months) % 3 != 0)
        return false;
    struct af_civil civil = { .year = (int32_t)year, .month = (uint8_t)((at - months) / 3 + 1), .day = (uint8_t)day,
                              .hour = (uint8_t)hour, .minute = (uint8_t)minute, .second = (uint8_t)second };
    return af_civil_to_ns(&civil, out_ns);
}

/* --- listings ---------------------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t s3_url_decode(char *text, size_t len)
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '%') {
            int high = len - i > 2 ? hex_digit(text[i + 1]) : -1;
            int low = len - i > 2 ? hex_digit(text[i + 2]) : -1;
            if (high < 0 || low < 0)
                return SIZE_MAX;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        text[used++] = c;
    }
    return used;
}

static enum af_status bad_listing(struct af_error *err, const char *what)
{
    return af_fail(err, AF_ECORRUPT, "S3's listing is not to be understood: %s", what);
}

static enum af_status parse_key(struct af_slice text, bool is_encoded, const char *prefix, struct af_arena *arena, const char **out,
                                struct af_error *err)
{
    char *key = af_arena_copy(arena, text);
    if (key == NULL)
        return af_fail_nomem(err, "a listing");
    size_t len = is_encoded ? s3_url_decode(key, text.len) : text.len;
    if (len == SIZE_MAX)
        return bad_listing(err, "a key is not percent-encoded, though it says so");
    key[len] = '\0';
    if (len == 0 || len > 1024 || strlen(key) != len)
        return bad_listing(err, "a key is empty, longer than 1,024 bytes or has a NUL");
    if (strncmp(key, prefix, strlen(prefix)) != 0)
        return bad_listing(err, "a key does not begin with the prefix that was asked for");
    *out = key;
    return AF_OK;
}

static enum af_status parse_object(const struct af_xml *contents, bool is_encoded, const char *prefix, struct af_arena *arena,
                                   struct af_s3_object *out, struct af_error *err)
{
    bool has_zone;
    AF_TRY(parse_key(af_xml_text(contents, "Key"), is_encoded, prefix, arena, &out->key, err));
    if (!af_u64_parse(af_slice_trim(af_xml_text(contents, "Size")), &out->bytes) || out->bytes > INT64_MAX)
        return bad_listing(err, "an object without a size");
    if (!s3_etag(af_slice_trim(af_xml_text(contents, "ETag")), out->etag))
        return bad_listing(err, "an object without an ETag");
    if (!af_time_parse(af_slice_trim(af_xml_text(contents, "LastModified")), &out->mtime_ns, &has_zone))
        return bad_listing(err, "an object without a time of change");
    return AF_OK;
}

static enum af_status parse_next(const struct af_xml *root, struct af_arena *arena, const char **out, struct af_error *err)
{
    struct af_slice truncated = af_slice_trim(af_xml_text(root, "IsTruncated"));
    struct af_slice token = af_xml_text(root, "NextContinuationToken");
    bool goes_on = af_slice_is(truncated, "true");
    if (!goes_on && !af_slice_is(truncated, "false"))
        return bad_listing(err, "it does not say whether more follows");
    if (goes_on && token.len == 0)
        return bad_listing(err, "more follows, but not where");
    *out = goes_on ? af_arena_copy(arena, token) : "";
    return *out != NULL ? AF_OK : af_fail_nomem(err, "a listing");
}

enum af_status s3_page_parse(struct af_slice xml, const char *prefix, struct af_arena *arena, struct s3_page *out, struct af_error *err)
{
    struct af_xml *root;
    AF_TRY(af_xml_parse(xml, arena, &root, err));
    if (!af_slice_is(root->name, "ListBucketResult"))
        return bad_listing(err, "the answer is no ListBucketResult");
    bool is_encoded = af_slice_is(af_slice_trim(af_xml_text(root, "EncodingType")), "url");
    *out = (struct s3_page){ 0 };
    AF_TRY(parse_next(root, arena, &out->next, err));
    size_t count = 0;
    const struct af_xml *first = af_xml_get(root, "Contents");
    for (const struct af_xml *at = first; at != NULL; at = af_xml_next(at))
        count++;
    out->objects = af_arena_zero(arena, count, sizeof *out->objects);
    if (out->objects == NULL)
        return af_fail_nomem(err, "a listing");
    for (const struct af_xml *at = first; at != NULL; at = af_xml_next(at))
        AF_TRY(parse_object(at, is_encoded, prefix, arena, &out->objects[out->count++], err));
    return AF_OK;
}

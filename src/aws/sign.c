/*
 * sign.c - signature version 4: canonical request, string to sign, key, signature.
 *
 *     METHOD \n path \n query \n headers \n \n names \n hash of the body     --SHA-256--> one line of the string to sign
 *     AWS4-HMAC-SHA256 \n date \n scope \n that line                         --HMAC under the day's key--> signature
 *
 * Source: "Create a signed AWS API request" of the IAM guide; S3's exceptions: "Authenticating Requests" of the S3 reference.
 */
#include "aws/aws_int.h"
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "codec/digest.h"
#include "net/url.h"
#include <stdio.h>
#include <stdlib.h>

#define ALGORITHM "AWS4-HMAC-SHA256"

static void to_hex(const uint8_t *bytes, size_t len, char *out)
{
    *af_hex_print(out, bytes, len) = '\0';
}

static enum af_status hash_hex(struct af_slice bytes, char out[65], struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    if (!af_sha256(bytes, digest))
        return af_fail_nomem(err, "a signature");
    to_hex(digest, sizeof digest, out);
    return AF_OK;
}

/* --- path ---------------------------------------------------------------------------------------------------------------- */

static void append_segments(struct af_buf *out, struct af_slice path)
{
    size_t start = 0;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.ptr[i] != '/')
            continue;
        af_url_append_escaped(out, af_slice_make(path.ptr + start, i - start));
        if (i < path.len)
            af_buf_append_char(out, '/');
        start = i + 1;
    }
}

/* Empty segments and "." are left out, ".." takes the one before with it. A slash at the end stays; none is put behind a final "." or "..",
 * where AWS's own signers do not follow RFC 3986 (5.2.4). */
static void normalise(struct af_buf *out, struct af_slice path)
{
    for (size_t i = 0, end; i < path.len; i = end + 1) {
        for (end = i; end < path.len && path.ptr[end] != '/';)
            end++;
        struct af_slice segment = af_slice_make(path.ptr + i, end - i);
        if (af_slice_is(segment, "..")) {
            while (out->len > 0 && out->ptr[out->len - 1] != '/')
                out->len--;
            if (out->len > 0)
                out->len--;
        } else if (segment.len != 0 && !af_slice_is(segment, ".")) {
            af_buf_append_char(out, '/');
            af_buf_append_slice(out, segment);
        }
    }
    if (out->len == 0 || path.ptr[path.len - 1] == '/')
        af_buf_append_char(out, '/');
}

static void canonical_path(struct af_buf *out, const struct af_aws_to_sign *r)
{
    struct af_slice path = r->path.len != 0 ? r->path : AF_SLICE_LIT("/");
    if (r->is_s3) {
        af_buf_append_slice(out, path);
        return;
    }
    if (r->keep_path) {
        append_segments(out, path);
        return;
    }
    struct af_buf clean;
    af_buf_init(&clean, out->bytes_max);
    normalise(&clean, path);
    out->failed |= clean.failed;
    append_segments(out, af_buf_slice(&clean));
    af_buf_done(&clean);
}

/* --- query ----------------------------------------------------------------------------------------------------------------- */

struct parts {
    struct af_buf text;     /* name, value, name, value ..., encoded */
    size_t *ends;           /* of each */
    size_t *order;          /* of the pairs */
    size_t count;           /* pairs */
};

static struct af_slice part(const struct parts *p, size_t i)
{
    size_t from = i == 0 ? 0 : p->ends[i - 1];
    return af_slice_make(p->text.ptr + from, p->ends[i] - from);
}

static int compare_pairs(const void *a, const void *b, void *ctx)
{
    const struct parts *p = ctx;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int c = af_slice_cmp(part(p, 2 * x), part(p, 2 * y));
    return c != 0 ? c : af_slice_cmp(part(p, 2 * x + 1), part(p, 2 * y + 1));
}

enum af_status aws_append_query(struct af_buf *out, const struct af_aws_pair *query, size_t count, struct af_error *err)
{
    if (count == 0)
        return AF_OK;
    struct parts p = { .count = count, .ends = af_alloc_zero(count * 2, sizeof(size_t)), .order = af_alloc_zero(count, sizeof(size_t)) };
    enum af_status status = p.ends != NULL && p.order != NULL ? AF_OK : af_fail_nomem(err, "a signature");
    af_buf_init(&p.text, out->bytes_max);
    for (size_t i = 0; i < count && status == AF_OK; i++) {
        p.order[i] = i;
        af_url_append_escaped(&p.text, query[i].name);
        p.ends[2 * i] = p.text.len;
        af_url_append_escaped(&p.text, query[i].value);
        p.ends[2 * i + 1] = p.text.len;
    }
    if (status == AF_OK)
        status = af_buf_check(&p.text, "the query of a request", err);
    if (status == AF_OK)
        qsort_r(p.order, count, sizeof *p.order, compare_pairs, &p);
    for (size_t i = 0; i < count && status == AF_OK; i++) {
        if (i != 0)
            af_buf_append_char(out, '&');
        af_buf_append_slice(out, part(&p, 2 * p.order[i]));
        af_buf_append_char(out, '=');
        af_buf_append_slice(out, part(&p, 2 * p.order[i] + 1));
    }
    af_buf_done(&p.text);
    af_free(p.ends);
    af_free(p.order);
    return status;
}

/* --- headers ----------------------------------------------------------------------------------------------------------------- */

static int compare_names(struct af_slice a, struct af_slice b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    for (size_t i = 0; i < n; i++) {
        int x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];
        x = x >= 'A' && x <= 'Z' ? x + 32 : x;
        y = y >= 'A' && y <= 'Z' ? y + 32 : y;
        if (x != y)
            return x - y;
    }
    return (a.len > b.len) - (a.len < b.len);
}

static int compare_headers(const void *a, const void *b, void *ctx)
{
    const struct af_aws_pair *headers = ctx;
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    int c = compare_names(headers[x].name, headers[y].name);
    return c != 0 ? c : (x > y) - (x < y);
}

static void append_lower(struct af_buf *out, struct af_slice name)
{
    for (size_t i = 0; i < name.len; i++)
        af_buf_append_char(out, name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] + 32) : name.ptr[i]);
}

/* Without spaces around it, runs of spaces inside as one. */
static void append_value(struct af_buf *out, struct af_slice value)
{
    value = af_slice_trim(value);
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] != ' ' || value.ptr[i - 1] != ' ')
            af_buf_append_char(out, value.ptr[i]);
}

static enum af_status canonical_headers(struct af_buf *lines, struct af_buf *names, const struct af_aws_pair *headers, size_t count,
                                        struct af_error *err)
{
    size_t *order = af_alloc_zero(count + 1, sizeof *order);
    if (order == NULL)
        return af_fail_nomem(err, "a signature");
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    qsort_r(order, count, sizeof *order, compare_headers, (void *)(uintptr_t)headers);
    for (size_t i = 0; i < count; i++) {
        const struct af_aws_pair *h = &headers[order[i]];
        bool is_again = i != 0 && compare_names(h->name, headers[order[i - 1]].name) == 0;
        if (is_again) {
            lines->len--; /* the line feed */
            af_buf_append_char(lines, ',');
        } else {
            if (i != 0)
                af_buf_append_char(names, ';');
            append_lower(names, h->name);
            append_lower(lines, h->name);
            af_buf_append_char(lines, ':');
        }
        append_value(lines, h->value);
        af_buf_append_char(lines, '\n');
    }
    af_free(order);
    return AF_OK;
}

/* --- key and signature ------------------------------------------------------------------------------------------------------- */

static void print_date(int64_t now_ns, char out[17])
{
    char text[40]; /* 2015-08-30T12:36:00Z */
    char *end = af_rfc3339_print(text, now_ns, 0);
    size_t at = 0;
    for (const char *c = text; c < end && at < 16; c++)
        if (*c != '-' && *c != ':')
            out[at++] = *c;
    out[at] = '\0';
}

static enum af_status derive_key(const struct af_aws_to_sign *r, const char *date, uint8_t key[32], struct af_error *err)
{
    char secret[sizeof r->credentials->secret_key + 8];
    (void)snprintf(secret, sizeof secret, "AWS4%s", r->credentials->secret_key);
    bool ok = af_hmac_sha256(af_slice_of(secret), af_slice_make(date, 8), key) &&
              af_hmac_sha256(af_slice_make(key, 32), af_slice_of(r->region), key) &&
              af_hmac_sha256(af_slice_make(key, 32), af_slice_of(r->service), key) &&
              af_hmac_sha256(af_slice_make(key, 32), AF_SLICE_LIT("aws4_request"), key);
    af_wipe(secret, sizeof secret);
    return ok ? AF_OK : af_fail_nomem(err, "a signature");
}

static void append_scope(struct af_buf *out, const struct af_aws_to_sign *r, const char *date)
{
    af_buf_printf(out, "%.8s/%s/%s/aws4_request", date, r->region, r->service);
}

static enum af_status seal(const uint8_t key[32], struct af_slice text, char out[65], struct af_error *err)
{
    uint8_t mac[AF_SHA256_BYTES];
    if (!af_hmac_sha256(af_slice_make(key, 32), text, mac))
        return af_fail_nomem(err, "a signature");
    to_hex(mac, sizeof mac, out);
    return AF_OK;
}

/* Everything but the Authorization header; `names` is filled with those of the signed headers. */
static enum af_status sign(const struct af_aws_to_sign *r, const struct af_aws_pair *query, size_t query_count, struct af_buf *names,
                           struct af_aws_signed *out, struct af_error *err)
{
    char hash[65];
    struct af_buf *canonical = &out->canonical_request, *text = &out->string_to_sign;
    print_date(r->now_ns, out->date);
    af_buf_append_slice(canonical, r->method);
    af_buf_append_char(canonical, '\n');
    canonical_path(canonical, r);
    af_buf_append_char(canonical, '\n');
    AF_TRY(aws_append_query(canonical, query, query_count, err));
    af_buf_append_char(canonical, '\n');
    AF_TRY(canonical_headers(canonical, names, r->headers, r->header_count, err));
    af_buf_append_char(canonical, '\n');
    af_buf_append_slice(canonical, af_buf_slice(names));
    af_buf_append_char(canonical, '\n');
    af_buf_append_slice(canonical, r->payload_hash);
    AF_TRY(af_buf_check(canonical, "a request to be signed", err));
    AF_TRY(hash_hex(af_buf_slice(canonical), hash, err));
    af_buf_printf(text, ALGORITHM "\n%s\n", out->date);
    append_scope(text, r, out->date);
    af_buf_printf(text, "\n%s", hash);
    AF_TRY(af_buf_check(text, "a request to be signed", err));
    AF_TRY(derive_key(r, out->date, out->key, err));
    return seal(out->key, af_buf_slice(text), out->signature, err);
}

static void signed_init(struct af_aws_signed *out)
{
    memset(out, 0, sizeof *out);
    af_buf_init(&out->canonical_request, AF_AWS_SIGNED_BYTES_MAX);
    af_buf_init(&out->string_to_sign, AF_AWS_SIGNED_BYTES_MAX);
    af_buf_init(&out->authorization, AF_AWS_SIGNED_BYTES_MAX);
}

void af_aws_signed_done(struct af_aws_signed *done)
{
    if (done->canonical_request.ptr != NULL) /* the session's token is in it */
        af_wipe(done->canonical_request.ptr, done->canonical_request.len);
    af_buf_done(&done->canonical_request);
    af_buf_done(&done->string_to_sign);
    af_buf_done(&done->authorization);
    af_wipe(done->key, sizeof done->key);
}

enum af_status af_aws_sign(const struct af_aws_to_sign *request, struct af_aws_signed *out, struct af_error *err)
{
    struct af_buf names;
    signed_init(out);
    af_buf_init(&names, AF_AWS_SIGNED_BYTES_MAX);
    enum af_status status = sign(request, request->query, request->query_count, &names, out, err);
    if (status == AF_OK) {
        struct af_buf *a = &out->authorization;
        af_buf_printf(a, ALGORITHM " Credential=%s/", request->credentials->access_key);
        append_scope(a, request, out->date);
        af_buf_append_str(a, ", SignedHeaders=");
        af_buf_append_slice(a, af_buf_slice(&names));
        af_buf_printf(a, ", Signature=%s", out->signature);
        status = af_buf_check(a, "a signature", err);
    }
    af_buf_done(&names);
    if (status != AF_OK)
        af_aws_signed_done(out);
    return status;
}

/* --- signed URLs --------------------------------------------------------------------------------------------------------------- */

/* The parameters of the request and those of the signature, in `pairs`. */
static enum af_status presign(const struct af_aws_to_sign *r, struct af_slice base, uint32_t expires_s, struct af_aws_pair *pairs,
                              struct af_buf *out, struct af_error *err)
{
    char expires[16];
    struct af_buf credential, names;
    struct af_aws_signed made;
    size_t count = r->query_count;
    signed_init(&made);
    af_buf_init(&credential, AF_AWS_SIGNED_BYTES_MAX);
    af_buf_init(&names, AF_AWS_SIGNED_BYTES_MAX);
    print_date(r->now_ns, made.date);
    af_buf_printf(&credential, "%s/", r->credentials->access_key);
    append_scope(&credential, r, made.date);
    (void)snprintf(expires, sizeof expires, "%u", expires_s);
    enum af_status status = canonical_headers(&made.authorization, &names, r->headers, r->header_count, err);
    if (status == AF_OK)
        status = af_buf_check(&credential, "a signature", err);
    if (r->query_count != 0)
        memcpy(pairs, r->query, r->query_count * sizeof *pairs);
    pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("X-Amz-Algorithm"), AF_SLICE_LIT(ALGORITHM) };
    pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("X-Amz-Credential"), af_buf_slice(&credential) };
    pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("X-Amz-Date"), af_slice_of(made.date) };
    pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("X-Amz-Expires"), af_slice_of(expires) };
    if (r->credentials->session_token[0] != '\0')
        pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("X-Amz-Security-Token"), af_slice_of(r->credentials->session_token) };
    pairs[count++] = (struct af_aws_pair){ AF_SLICE_LIT("X-Amz-SignedHeaders"), af_buf_slice(&names) };
    struct af_buf signed_names;
    af_buf_init(&signed_names, AF_AWS_SIGNED_BYTES_MAX);
    if (status == AF_OK)
        status = sign(r, pairs, count, &signed_names, &made, err);
    if (status == AF_OK) {
        af_buf_append_slice(out, base);
        af_buf_append_slice(out, r->path.len != 0 ? r->path : AF_SLICE_LIT("/"));
        af_buf_append_char(out, '?');
        status = aws_append_query(out, pairs, count, err);
        af_buf_printf(out, "&X-Amz-Signature=%s", made.signature);
    }
    if (status == AF_OK)
        status = af_buf_check(out, "a signed URL", err);
    af_buf_done(&signed_names);
    af_buf_done(&names);
    af_buf_done(&credential);
    af_aws_signed_done(&made);
    return status;
}

enum af_status af_aws_presign(const struct af_aws_to_sign *request, struct af_slice base, uint32_t expires_s, struct af_buf *out,
                              struct af_error *err)
{
    struct af_aws_pair *pairs = af_alloc_zero(request->query_count + 6, sizeof *pairs);
    if (pairs == NULL)
        return af_fail_nomem(err, "a signed URL");
    enum af_status status = presign(request, base, expires_s, pairs, out, err);
    af_free(pairs);
    return status;
}

/* --- chunks -------------------------------------------------------------------------------------------------------------------- */

enum af_status af_aws_sign_chunk(const struct af_aws_to_sign *request, const uint8_t key[32], const char *previous, struct af_slice chunk,
                                 char out[65], struct af_error *err)
{
    static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    char hash[65], date[17];
    struct af_buf text;
    print_date(request->now_ns, date);
    AF_TRY(hash_hex(chunk, hash, err));
    af_buf_init(&text, AF_AWS_SIGNED_BYTES_MAX);
    af_buf_printf(&text, ALGORITHM "-PAYLOAD\n%s\n", date);
    append_scope(&text, request, date);
    af_buf_printf(&text, "\n%s\n%s\n%s", previous, empty, hash);
    enum af_status status = af_buf_check(&text, "a signature", err);
    if (status == AF_OK)
        status = seal(key, af_buf_slice(&text), out, err);
    af_buf_done(&text);
    return status;
}

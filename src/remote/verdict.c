/*
 * verdict.c - what an InfluxDB's answer means; the table is in docs/formats/influxdb-http.md.
 *
 *     status --> words --> verdict of a write (kept, bad lines, too large)
 *                     \--> failure: retry (EIO, EBUSY) or not (EINVAL, EUNAUTH, EDENIED, ENOTFOUND ...)
 *
 * Versions and proxies differ in status codes more than in words, so the words are looked at first where both speak.
 */
#include "base/numbers.h"
#include "remote/remote_int.h"
#include <stdio.h>

/* --- words -------------------------------------------------------------------------------------------------------- */

static void copy_words(struct af_slice from, char *dst, size_t cap)
{
    from = af_slice_trim(from);
    size_t n = from.len < cap - 1 ? from.len : cap - 1;
    memcpy(dst, from.ptr, n);
    dst[n] = '\0';
}

void remote_reason(const struct af_http_answer *answer, char *dst, size_t cap)
{
    struct af_slice body = af_buf_slice(&answer->body);
    struct af_arena arena;
    af_arena_init(&arena, 64 << 20);
    struct af_json *json;
    struct af_slice words = { 0 };
    if (body.len > 0 && af_json_parse(body, &arena, &json, NULL) == AF_OK) {
        words = af_json_string(json, "message");
        if (words.len == 0)
            words = af_json_string(json, "error");
    }
    if (words.len == 0)
        words = af_slice_of(answer->influx_error);
    if (words.len == 0)
        words = body.len > 0 ? af_slice_trim((struct af_slice){ body.ptr, body.len < 200 ? body.len : 200 }) : body;
    if (words.len > 0)
        copy_words(words, dst, cap);
    else
        (void)snprintf(dst, cap, "no explanation");
    af_arena_done(&arena);
}

static bool has(const char *words, const char *part)
{
    return strstr(words, part) != NULL;
}

/* N of the last "dropped=N". Looked for in the whole body: the line that is quoted before it may be long. */
static uint64_t dropped_of(struct af_slice text)
{
    static const char mark[] = "dropped=";
    size_t len = sizeof mark - 1;
    for (size_t at = text.len >= len ? text.len - len + 1 : 0; at-- > 0;) {
        if (memcmp(text.ptr + at, mark, len) != 0)
            continue;
        size_t end = at + len;
        while (end < text.len && text.ptr[end] >= '0' && text.ptr[end] <= '9')
            end++;
        uint64_t dropped;
        return af_u64_parse(af_slice_make(text.ptr + at + len, end - at - len), &dropped) ? dropped : 0;
    }
    return 0;
}

/* --- failures ----------------------------------------------------------------------------------------------------- */

/* Words that mean the same whatever the status. AF_OK: none of them. */
static enum af_status known_words(const char *words)
{
    static const struct {
        const char *part;
        enum af_status status;
    } known[] = {
        { "retention policy not found", AF_ENOTFOUND },
        { "database not found", AF_ENOTFOUND },
        { "no dbrp mapping found", AF_ENOTFOUND },
        { "retention policy conflicts with an existing policy", AF_ECONFLICT },
        { "retention policy already exists", AF_ECONFLICT },
        { "cache-max-memory-size exceeded", AF_EBUSY },
        { "error parsing query", AF_EINVAL },
        { "not authorized", AF_EDENIED },
        { "limit exceeded", AF_ELIMIT },
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (has(words, known[i].part))
            return known[i].status;
    return AF_OK;
}

static enum af_status status_of(int http)
{
    switch (http) {
    case 401: return AF_EUNAUTH;
    case 403: return AF_EDENIED;
    case 404: return AF_ENOTFOUND;
    case 413: return AF_ELIMIT;
    case 422: return AF_ECONFLICT;
    case 408: return AF_EIO;
    case 429: return AF_EBUSY;
    case 503: return AF_EBUSY;
    default: return http >= 500 ? AF_EIO : AF_EINVAL;
    }
}

static const char *advice_of(const struct remote *remote, enum af_status status, int http, const char *words)
{
    switch (status) {
    case AF_EUNAUTH:
        return remote->is_v2 ? ": give a valid token, by --token-file or INFLUX_TOKEN"
                             : ": give a valid user and password, by --user and --password-file";
    case AF_EDENIED: return ": this token or user has no right to it; ask for one that may read and write this bucket";
    case AF_ENOTFOUND:
        return has(words, "organization") ? ": check --org; an organisation is not made here"
                                          : ": check the name, or make it with --create";
    case AF_EBUSY: return ": it asks for a pause";
    default: return http >= 300 && http <= 399 ? ": it sends us elsewhere; give that address as the URL" : "";
    }
}

static enum af_status fail_with(const struct remote *remote, const struct af_http_answer *answer, const char *words,
                                struct af_error *err)
{
    enum af_status status = known_words(words);
    if (status == AF_OK || (status == AF_ELIMIT && answer->status == 429))
        status = status_of(answer->status);
    (void)af_fail(err, status, "%s: %.400s (HTTP %d)%s", remote->base.name, words, answer->status,
                  advice_of(remote, status, answer->status, words));
    if (err != NULL)
        err->retry_after_ms = answer->retry_after_ms;
    return status;
}

enum af_status remote_judge(const struct remote *remote, const struct af_http_answer *answer, struct af_error *err)
{
    if (answer->status >= 200 && answer->status <= 299)
        return AF_OK;
    char words[512];
    remote_reason(answer, words, sizeof words);
    return fail_with(remote, answer, words, err);
}

enum af_status remote_judge_text(const struct remote *remote, const char *text, struct af_error *err)
{
    enum af_status status = known_words(text);
    if (status == AF_OK)
        status = AF_EIO;
    return af_fail(err, status, "%s: the query failed: %.500s%s", remote->base.name, text,
                   advice_of(remote, status, 200, text));
}

/* --- writes ------------------------------------------------------------------------------------------------------- */

static bool is_about_lines(int http, const char *words)
{
    if (http != 400 && http != 422 && http != 500)
        return false;
    if (has(words, "unable to parse") || has(words, "field type conflict"))
        return true;
    return (http == 422 || http == 400) && (has(words, "partial write") || has(words, "points beyond retention policy") ||
                                            http == 422);
}

enum af_status remote_judge_write(const struct remote *remote, const struct af_http_answer *answer, struct af_write_answer *out,
                                  struct af_error *err)
{
    out->verdict = AF_WRITE_DONE;
    if (answer->status >= 200 && answer->status <= 299)
        return AF_OK;
    remote_reason(answer, out->reason, sizeof out->reason);
    if (has(out->reason, "hinted handoff queue not empty")) { /* of a cluster: the points are kept, their delivery is under way */
        out->reason[0] = '\0';
        return AF_OK;
    }
    if (answer->status == 413) {
        out->verdict = AF_WRITE_TOO_LARGE;
        return AF_OK;
    }
    if (!is_about_lines(answer->status, out->reason))
        return fail_with(remote, answer, out->reason, err);
    /* 1.x writes the good lines whatever the bad ones are; 2.x only if all of them parse. */
    out->verdict = AF_WRITE_BAD_LINES;
    out->others_kept = !remote->is_v2 || has(out->reason, "partial write");
    out->dropped = dropped_of(answer->body.len > 0 ? af_buf_slice(&answer->body) : af_slice_of(out->reason));
    return AF_OK;
}

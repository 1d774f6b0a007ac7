/*
 * store.c - a data directory or a server: line protocol in, answers of queries out.
 *
 * A write is tried again while the store is unwell (RETRIES times, with growing pauses or those the store asks for). Lines that it
 * refuses are found by halving, and counted; the others are kept. (What it says it dropped counts some kinds of refusals only; writing a
 * line again is harmless.)
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "ffi/ffi_int.h"
#include "net/http.h"
#include "os/clock.h"
#include "remote/remote.h"
#include "server/server.h"

enum { RETRIES = 5, PAUSE_MS = 100, PAUSE_MS_MAX = 10000, MESSAGES_MAX = 8 };

struct afluxo_store {
    struct af_store *store;
    char *bucket;
};

/* --- opening --------------------------------------------------------------------------------------------------------------- */

static bool is_url(const char *to)
{
    return strncmp(to, "http://", 7) == 0 || strncmp(to, "https://", 8) == 0;
}

static enum af_status open_store(const struct afluxo_target *target, struct af_store **out, struct af_error *err)
{
    if (target == NULL || target->to == NULL || target->to[0] == '\0')
        return af_fail(err, AF_EINVAL, "which store? A directory or http://host:8086");
    if (target->bucket == NULL || target->bucket[0] == '\0')
        return af_fail(err, AF_EINVAL, "which bucket of %s?", target->to);
    if (!is_url(target->to)) {
        struct af_house_options house = { .engine = { .dir = target->to } };
        return af_house_store_open(&house, target->org, target->bucket, 0, out, err);
    }
    af_http_init();
    struct af_remote_options remote = { .url = target->to, .bucket = target->bucket, .org = target->org, .token = target->token };
    return af_remote_open(&remote, out, err);
}

int af_ffi_store_open(const struct afluxo_target *target, struct afluxo_store **out)
{
    struct af_error err = { 0 };
    struct afluxo_store *store = af_alloc_zero(1, sizeof *store);
    enum af_status status = store != NULL ? open_store(target, &store->store, &err) : af_fail_nomem(&err, "a store");
    if (status == AF_OK) {
        const size_t len = strlen(target->bucket) + 1;
        store->bucket = af_alloc(len);
        if (store->bucket == NULL)
            status = af_fail_nomem(&err, "a store");
        else
            memcpy(store->bucket, target->bucket, len);
    }
    if (status == AF_OK && target->create != 0)
        status = af_store_create(store->store, &err);
    if (status != AF_OK) {
        af_ffi_store_close(store);
        return ffi_result(status, &err);
    }
    *out = store;
    return 0;
}

void af_ffi_store_close(struct afluxo_store *store)
{
    if (store == NULL)
        return;
    af_store_close(store->store);
    af_free(store->bucket);
    af_free(store);
}

/* --- writing --------------------------------------------------------------------------------------------------------------- */

struct writing {
    struct af_store *store;
    int64_t precision_ns;
    uint64_t rejected;
    struct af_error first;      /* why the first line was refused */
};

static enum af_status try_write(const struct writing *w, struct af_slice lines, size_t count, struct af_write_answer *answer,
                                struct af_error *err)
{
    const struct af_write write = { .lines = lines, .line_count = count, .precision_ns = w->precision_ns };
    uint32_t pause_ms = PAUSE_MS;
    for (int left = RETRIES;; left--) {
        struct af_error why = { 0 };
        enum af_status status = af_store_write(w->store, &write, answer, &why);
        if (status == AF_OK || left == 0 || !af_status_is_retryable(status)) {
            if (status != AF_OK && err != NULL)
                *err = why;
            return status;
        }
        uint32_t wait_ms = why.retry_after_ms != 0 ? why.retry_after_ms : pause_ms;
        af_clock_sleep_ms(wait_ms < PAUSE_MS_MAX ? wait_ms : PAUSE_MS_MAX);
        pause_ms *= 2;
    }
}

static size_t skip_lines(struct af_slice text, size_t count)
{
    size_t at = 0;
    while (count-- != 0)
        at = af_lp_line_end(text, at);
    return at;
}

static void refuse(struct writing *w, uint64_t lines, const char *reason)
{
    if (w->rejected == 0)
        (void)af_fail(&w->first, AF_EINVAL, "%s", reason);
    w->rejected += lines;
}

static enum af_status write_lines(struct writing *w, struct af_slice lines, size_t count, struct af_error *err)
{
    struct af_write_answer answer = { 0 };
    AF_TRY(try_write(w, lines, count, &answer, err));
    if (answer.verdict == AF_WRITE_DONE)
        return AF_OK;
    if (count == 1 || (answer.verdict == AF_WRITE_BAD_LINES && answer.dropped == count)) {
        refuse(w, count, answer.reason);
        return AF_OK;
    }
    const size_t half = count / 2, cut = skip_lines(lines, half);
    AF_TRY(write_lines(w, (struct af_slice){ lines.ptr, cut }, half, err));
    return write_lines(w, (struct af_slice){ lines.ptr + cut, lines.len - cut }, count - half, err);
}

static size_t count_lines(struct af_slice text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.len; at = af_lp_line_end(text, at))
        count++;
    return count;
}

/* Stores take whole lines: a last one without its end gets it, in a copy. */
static enum af_status write_all(struct writing *w, struct af_slice lines, struct af_error *err)
{
    if (lines.len == 0)
        return AF_OK;
    if (lines.ptr[lines.len - 1] == '\n')
        return write_lines(w, lines, count_lines(lines), err);
    struct af_buf copy;
    af_buf_init(&copy, SIZE_MAX / 2);
    af_buf_append_slice(&copy, lines);
    af_buf_append_char(&copy, '\n');
    enum af_status status = af_buf_check(&copy, "lines", err);
    if (status == AF_OK)
        status = write_lines(w, af_buf_slice(&copy), count_lines(af_buf_slice(&copy)), err);
    af_buf_done(&copy);
    return status;
}

int af_ffi_store_write(struct afluxo_store *store, const char *lines, size_t len, const char *precision, uint64_t *rejected)
{
    struct af_error err = { 0 };
    struct writing w = { .store = store->store };
    enum af_precision unit = AF_PRECISION_NS;
    enum af_status status = ffi_precision(precision, &unit, &err);
    w.precision_ns = af_precision_ns(unit);
    if (status == AF_OK)
        status = write_all(&w, (struct af_slice){ lines, len }, &err);
    *rejected = w.rejected;
    if (status == AF_OK && w.rejected != 0)
        (void)ffi_result(AF_EINVAL, &w.first); /* its words, for who asks */
    return ffi_result(status, &err);
}

/* --- asking: a directory --------------------------------------------------------------------------------------------------- */

static enum af_status print_query(struct af_query *query, struct af_buf *out, struct af_error *err)
{
    struct af_slice bytes;
    do {
        AF_TRY(af_query_next(query, &bytes, err));
        af_buf_append_slice(out, bytes);
    } while (bytes.len != 0);
    return AF_OK;
}

static enum af_status ask_house(struct af_house *house, const char *bucket, struct af_slice text, struct af_buf *out, struct af_error *err)
{
    struct af_arena arena;
    struct af_query *query = NULL;
    const char *slash = strchr(bucket, '/');
    af_arena_init(&arena, 64 << 20);
    struct af_query_request request = { .text = text, .wire = { .format = AF_WIRE_V1_JSON } };
    request.database = af_arena_copy(&arena, (struct af_slice){ bucket, slash != NULL ? (size_t)(slash - bucket) : strlen(bucket) });
    request.policy = slash != NULL && slash[1] != '\0' ? slash + 1 : NULL;
    enum af_status status = request.database == NULL ? af_fail_nomem(err, "a query") : AF_OK;
    if (status == AF_OK)
        status = af_house_query_open(house, &request, &arena, &query, err);
    if (status == AF_OK)
        status = print_query(query, out, err);
    af_query_close(query);
    af_arena_done(&arena);
    return status;
}

/* --- asking: a server ------------------------------------------------------------------------------------------------------ */

struct answer {
    struct af_wire *wire;
    bool is_lines;                  /* rows only: no place for a failure, which is that of the call */
    struct af_arena arena;          /* words of the statement at hand */
    uint64_t statement;
    bool is_open;
    struct af_wire_message messages[MESSAGES_MAX];
    size_t message_count;
    const char *error;
};

static void end_statement(struct answer *a)
{
    if (a->is_open)
        af_wire_statement_end(a->wire, a->messages, a->message_count, a->error);
    a->is_open = false;
    a->message_count = 0;
    a->error = NULL;
    af_arena_reset(&a->arena);
}

static enum af_status put_words(struct answer *a, const struct af_remote_part *part, struct af_error *err)
{
    const char *level = af_arena_copy(&a->arena, af_slice_of(part->level));
    const char *words = af_arena_copy(&a->arena, af_slice_of(part->words));
    if (level == NULL || words == NULL)
        return af_fail_nomem(err, "an answer");
    if (strcmp(level, "error") == 0 && a->is_lines)
        return af_fail(err, AF_EINVAL, "%s", words);
    if (strcmp(level, "error") == 0)
        a->error = words;
    else if (a->message_count < MESSAGES_MAX)
        a->messages[a->message_count++] = (struct af_wire_message){ level, words };
    return AF_OK;
}

static enum af_status put_part(struct answer *a, const struct af_remote_part *part, struct af_error *err)
{
    bool is_full = false;
    if (!a->is_open || a->statement != part->statement) {
        end_statement(a);
        af_wire_statement(a->wire, part->statement);
        a->statement = part->statement;
        a->is_open = true;
    }
    if (part->words != NULL)
        AF_TRY(put_words(a, part, err));
    return part->table != NULL ? af_wire_table(a->wire, part->table, &is_full, err) : AF_OK;
}

static enum af_status print_answer(struct answer *a, struct af_remote_answer *remote, struct af_error *err)
{
    const struct af_remote_part *part = NULL;
    af_wire_begin(a->wire);
    do {
        AF_TRY(af_remote_answer_next(remote, &part, err));
        if (part != NULL)
            AF_TRY(put_part(a, part, err));
    } while (part != NULL);
    end_statement(a);
    af_wire_end(a->wire);
    return AF_OK;
}

static enum af_status ask_remote(struct af_store *store, enum af_remote_language lang, struct af_slice text, struct af_buf *out,
                                 struct af_error *err)
{
    struct answer a = { .is_lines = lang == AF_REMOTE_FLUX };
    struct af_remote_answer *remote = NULL;
    const struct af_wire_options wire = { .format = lang == AF_REMOTE_FLUX ? AF_WIRE_JSON_LINES : AF_WIRE_V1_JSON };
    af_arena_init(&a.arena, 16 << 20);
    enum af_status status = af_remote_ask(store, lang, text, NULL, &remote, err);
    if (status == AF_OK)
        status = af_wire_new(&wire, out, &a.wire, err);
    if (status == AF_OK)
        status = print_answer(&a, remote, err);
    af_remote_answer_close(remote);
    af_wire_free(a.wire);
    af_arena_done(&a.arena);
    return status;
}

static enum af_status ask(struct afluxo_store *store, const char *lang, struct af_slice text, struct af_buf *out, struct af_error *err)
{
    const bool is_flux = lang != NULL && strcmp(lang, "flux") == 0;
    struct af_house *house = af_house_of_store(store->store);
    if (lang != NULL && !is_flux && strcmp(lang, "influxql") != 0)
        return af_fail(err, AF_EINVAL, "a language is influxql or flux, not \"%.40s\"", lang);
    if (house == NULL)
        return ask_remote(store->store, is_flux ? AF_REMOTE_FLUX : AF_REMOTE_INFLUXQL, text, out, err);
    if (is_flux)
        return af_fail(err, AF_EUNSUPPORTED, "Flux can be asked of servers only, not yet of a data directory");
    return ask_house(house, store->bucket, text, out, err);
}

int af_ffi_store_query(struct afluxo_store *store, const char *lang, const char *text, char **out_json)
{
    struct af_error err = { 0 };
    struct af_buf out;
    af_buf_init(&out, AF_QUERY_ANSWER_BYTES_MAX);
    enum af_status status = ask(store, lang, af_slice_of(text), &out, &err);
    af_buf_append_char(&out, '\0');
    if (status == AF_OK)
        status = af_buf_check(&out, "the answer", &err);
    if (status != AF_OK)
        af_buf_done(&out);
    else
        *out_json = out.ptr;
    return ffi_result(status, &err);
}

/*
 * scaler_journal.c - what the scaler remembers and writes down, as objects of S3 below scaler/INSTANCE/:
 *
 *     lock            who decides now, and until when; made only if it is not there, or taken over by its etag
 *     state.json      when what was changed last
 *     audit/...json   each decision, one object, never written again
 */
#include "format/json/json.h"
#include "lambda/scaler_int.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { BYTES_MAX = 64 << 10, KEY_BYTES = 512 };

static const char *key_of(const struct scaler_journal *journal, char key[KEY_BYTES], const char *name)
{
    (void)snprintf(key, KEY_BYTES, "scaler/%s/%s", journal->instance, name);
    return key;
}

/* The object as a tree; *out NULL: it is not there. */
static enum af_status get(struct scaler_journal *journal, const char *name, struct af_arena *arena, struct af_json **out, char etag[64],
                          struct af_error *err)
{
    char key[KEY_BYTES];
    struct af_buf text;
    *out = NULL;
    af_buf_init(&text, BYTES_MAX);
    enum af_status status = af_s3_get(journal->s3, journal->bucket, key_of(journal, key, name), &text, etag, err);
    if (status == AF_OK)
        status = af_json_parse(af_buf_slice(&text), arena, out, err);
    else if (status == AF_ENOTFOUND)
        status = AF_OK;
    af_buf_done(&text);
    return status;
}

/* --- lock ---------------------------------------------------------------------------------------------------------------- */

/* Whose lock is it, and is its time over? */
static enum af_status is_over(struct scaler_journal *journal, int64_t now_ns, bool *out, struct af_error *err)
{
    struct af_arena arena;
    struct af_json *json;
    int64_t until_ns = 0;
    af_arena_init(&arena, 1 << 20);
    enum af_status status = get(journal, "lock", &arena, &json, journal->lock_etag, err);
    *out = false;
    if (status == AF_OK && json != NULL) {
        *out = !af_json_i64(af_json_get(json, "until_ns"), &until_ns) || until_ns <= now_ns;
        if (!*out) {
            struct af_slice who = af_json_string(json, "who");
            status = af_fail(err, AF_ECONFLICT, "another scaler (%.*s) decides now, for %" PRId64 " s at most", (int)who.len, who.ptr,
                             (until_ns - now_ns) / AF_NS_PER_S + 1);
        }
    }
    af_arena_done(&arena);
    return status;
}

enum af_status scaler_lock(struct scaler_journal *journal, const char *who, int64_t now_ns, int64_t until_ns, struct af_error *err)
{
    char key[KEY_BYTES];
    struct af_buf body;
    bool over = false;
    af_buf_init(&body, BYTES_MAX);
    af_buf_append_str(&body, "{\"who\":");
    af_json_append_string(&body, af_slice_of(who));
    af_buf_printf(&body, ",\"from_ns\":%" PRId64 ",\"until_ns\":%" PRId64 "}", now_ns, until_ns);
    enum af_status status = af_buf_check(&body, "the lock", err);
    if (status == AF_OK)
        status = af_s3_put(journal->s3, journal->bucket, key_of(journal, key, "lock"), af_buf_slice(&body), "application/json",
                           AF_S3_IF_NEW, NULL,
                           journal->lock_etag, err);
    if (status == AF_ECONFLICT) {
        status = is_over(journal, now_ns, &over, err);
        if (status == AF_OK && !over) /* it went away in between: the next run */
            status = af_fail(err, AF_ECONFLICT, "another scaler decided in this very moment");
        if (status == AF_OK)
            status = af_s3_put(journal->s3, journal->bucket, key, af_buf_slice(&body), "application/json", AF_S3_IF_MATCH,
                               journal->lock_etag,
                               journal->lock_etag, err);
    }
    af_buf_done(&body);
    return status;
}

void scaler_unlock(struct scaler_journal *journal)
{
    char key[KEY_BYTES];
    struct af_error ignored;
    if (af_s3_delete(journal->s3, journal->bucket, key_of(journal, key, "lock"), &ignored) != AF_OK)
        return; /* its time ends anyway */
}

/* --- state --------------------------------------------------------------------------------------------------------------- */

static void read_unsure(const struct af_json *json, struct scaler_state *out)
{
    int64_t storage_gib;
    if (json == NULL || !scaling_class_find(af_json_string(json, "class"), &out->from.class_index) ||
        !scaling_tier_find(af_json_string(json, "tier"), &out->from.tier) || !af_json_i64(af_json_get(json, "storage_gib"), &storage_gib) ||
        !af_json_i64(af_json_get(json, "changed_ns"), &out->before_changed_ns) ||
        !af_json_i64(af_json_get(json, "stored_ns"), &out->before_stored_ns) || storage_gib < 1 || storage_gib > SCALING_STORAGE_MAX_GIB)
        return;
    out->from.storage_gib = (uint32_t)storage_gib;
    out->is_unsure = true;
}

static void print_unsure(struct af_buf *out, const struct scaler_state *state)
{
    af_buf_printf(out, ",\"unsure\":{\"class\":\"%s\",\"tier\":\"%s\",\"storage_gib\":%u,\"changed_ns\":%" PRId64
                       ",\"stored_ns\":%" PRId64 "}",
                  scaling_class_name(state->from.class_index), scaling_tier_name(state->from.tier), state->from.storage_gib,
                  state->before_changed_ns, state->before_stored_ns);
}

enum af_status scaler_state_get(struct scaler_journal *journal, struct scaler_state *out, struct af_error *err)
{
    struct af_arena arena;
    struct af_json *json;
    *out = (struct scaler_state){ 0 };
    af_arena_init(&arena, 1 << 20);
    enum af_status status = get(journal, "state.json", &arena, &json, NULL, err);
    if (status == AF_OK && json != NULL) {
        struct af_slice said = af_json_string(json, "said");
        if (!af_json_i64(af_json_get(json, "changed_ns"), &out->changed_ns) || !af_json_i64(af_json_get(json, "stored_ns"),
                                                                                            &out->stored_ns))
            status = af_fail(err, AF_ECORRUPT, "s3://%s/scaler/%s/state.json is no state of a scaler: look at it, then delete it",
                             journal->bucket,
                             journal->instance);
        if (said.len < sizeof out->said && said.len != 0)
            memcpy(out->said, said.ptr, said.len);
        read_unsure(af_json_get(json, "unsure"), out);
    }
    af_arena_done(&arena);
    return status;
}

enum af_status scaler_state_put(struct scaler_journal *journal, const struct scaler_state *state, struct af_error *err)
{
    char key[KEY_BYTES];
    struct af_buf body;
    af_buf_init(&body, BYTES_MAX);
    af_buf_printf(&body, "{\"changed_ns\":%" PRId64 ",\"stored_ns\":%" PRId64 ",\"said\":", state->changed_ns, state->stored_ns);
    af_json_append_string(&body, af_slice_of(state->said));
    if (state->is_unsure)
        print_unsure(&body, state);
    af_buf_append_char(&body, '}');
    enum af_status status = af_buf_check(&body, "the scaler's state", err);
    if (status == AF_OK)
        status = af_s3_put(journal->s3, journal->bucket, key_of(journal, key, "state.json"), af_buf_slice(&body), "application/json",
                           AF_S3_ALWAYS,
                           NULL, NULL, err);
    af_buf_done(&body);
    return status;
}

enum af_status scaler_audit(struct scaler_journal *journal, const char *id, int64_t now_ns, struct af_slice json, struct af_error *err)
{
    char time[40], name[256], key[KEY_BYTES];
    *af_rfc3339_print(time, now_ns, 3) = '\0';
    (void)snprintf(name, sizeof name, "audit/%.10s/%s-%.100s.json", time, time, id);
    return af_s3_put(journal->s3, journal->bucket, key_of(journal, key, name), json, "application/json", AF_S3_IF_NEW, NULL, NULL, err);
}

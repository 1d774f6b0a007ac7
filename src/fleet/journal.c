/*
 * journal.c - the objects of a run's journal: manifest, outcomes, letters, signs of life; and all of a kind read at once.
 *
 * What stands in a bucket is foreign, whoever may have written it: it is read as texts and numbers within limits, or not at all.
 */
#include "base/calendar.h"
#include "fleet/fleet_int.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include <inttypes.h>
#include <stdio.h>

enum { PREFIX_BYTES_MAX = 900, PIECE_BYTES = 64 << 10, WRITES_MAX = 8 };
static const int64_t NUMBER_MAX = INT64_C(1) << 53;
static const char json_type[] = "application/json";

/* --- places -------------------------------------------------------------------------------------------------------------- */

enum af_status fleet_place_parse(const char *journal, struct fleet_place *out, struct af_error *err)
{
    struct af_s3_name name;
    AF_TRY(af_s3_name_parse(journal, &name, err));
    const size_t len = strlen(name.key);
    if (len > PREFIX_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "the place of a journal has %zu bytes after its bucket: %d are the most", len, PREFIX_BYTES_MAX);
    memcpy(out->bucket, name.bucket, sizeof name.bucket);
    (void)snprintf(out->prefix, sizeof out->prefix, "%s%s", name.key, len != 0 && name.key[len - 1] != '/' ? "/" : "");
    return AF_OK;
}

enum af_status fleet_id_of(const char *bucket, const char *key, struct fleet_id *out, struct af_error *err)
{
    char name[FLEET_KEY_BYTES + 256];
    const int len = snprintf(name, sizeof name, "%s/%s", bucket, key);
    if (len < 0 || (size_t)len >= sizeof name)
        return af_fail(err, AF_EINVAL, "s3://%.80s/...: a key that is too long for S3", bucket);
    return af_sha256(af_slice_make(name, (size_t)len), out->bytes) ? AF_OK : af_fail_nomem(err, "a digest");
}

void fleet_key_of(const struct fleet_place *place, const char *folder, const struct fleet_id *id, const char *extension,
                  char out[FLEET_KEY_BYTES])
{
    int at = snprintf(out, FLEET_KEY_BYTES, "%s%s/%02x/", place->prefix, folder, id->bytes[0]);
    for (size_t i = 0; i < sizeof id->bytes; i++)
        at += snprintf(out + at, (size_t)(FLEET_KEY_BYTES - at), "%02x", id->bytes[i]);
    (void)snprintf(out + at, (size_t)(FLEET_KEY_BYTES - at), "%s", extension);
}

void fleet_clean(char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < ' ' || (unsigned char)*text > '~')
            *text = '?';
}

/* --- reading JSON -------------------------------------------------------------------------------------------------------- */

/* At most what JSON's numbers hold exactly, so that times may be added and taken away. */
static uint64_t number_of(const struct af_json *node, const char *name)
{
    int64_t value = 0;
    if (!af_json_i64(af_json_get(node, name), &value) || value <= 0)
        return 0;
    return (uint64_t)(value < NUMBER_MAX ? value : NUMBER_MAX);
}

/* Cut to what `out` holds. */
static void text_of(const struct af_json *node, const char *name, char *out, size_t cap)
{
    const struct af_slice text = af_json_string(node, name);
    const size_t len = text.len < cap - 1 ? text.len : cap - 1;
    if (len != 0)
        memcpy(out, text.ptr, len);
    out[len] = '\0';
}

static const char *copy_of(const struct af_json *node, const char *name, struct af_arena *arena)
{
    const struct af_slice text = af_json_string(node, name);
    return text.len == 0 || memchr(text.ptr, '\0', text.len) != NULL ? "" : af_arena_copy(arena, text);
}

static enum af_status parse(struct af_slice text, struct af_arena *arena, const struct af_json **out, struct af_error *err)
{
    struct af_json *root = NULL;
    int64_t version = 0;
    AF_TRY(af_json_parse(text, arena, &root, err));
    if (!af_json_i64(af_json_get(root, "afluxo"), &version))
        return af_fail(err, AF_ECORRUPT, "it has no \"afluxo\", the number of its version");
    if (version != FLEET_VERSION)
        return af_fail(err, AF_EUNSUPPORTED, "it is of version %" PRId64 ", and this afluxo knows %d", version, FLEET_VERSION);
    *out = root;
    return AF_OK;
}

/* --- outcomes ------------------------------------------------------------------------------------------------------------ */

static const char *const outcome_words[] = { [AF_FLEET_DONE] = "done", [AF_FLEET_REJECTED] = "rejected", [AF_FLEET_FAILED] = "failed" };

static void put_text(struct af_buf *out, const char *name, const char *text)
{
    af_buf_printf(out, ",\"%s\":", name);
    af_json_append_string(out, af_slice_of(text));
}

static void put_number(struct af_buf *out, const char *name, uint64_t value)
{
    af_buf_printf(out, ",\"%s\":%" PRIu64, name, value);
}

void fleet_outcome_print(const struct fleet_outcome *outcome, struct af_buf *out)
{
    const struct af_fleet_result *r = &outcome->result;
    char time[40];
    *af_rfc3339_print(time, outcome->ended_ms * 1000000, 3) = '\0';
    af_buf_printf(out, "{\"afluxo\":%d,\"outcome\":\"%s\"", FLEET_VERSION, outcome_words[r->outcome]);
    put_text(out, "run", outcome->task.run);
    put_text(out, "bucket", outcome->task.bucket);
    put_text(out, "key", outcome->task.key);
    put_text(out, "etag", r->etag[0] != '\0' ? r->etag : outcome->task.etag);
    put_number(out, "size", outcome->task.bytes);
    put_text(out, "reason", r->reason);
    put_text(out, "worker", r->worker != NULL ? r->worker : "");
    put_number(out, "attempt", r->attempt);
    put_number(out, "rows_read", r->rows_read);
    put_number(out, "points_written", r->points_written);
    put_number(out, "rows_rejected", r->rows_rejected);
    put_number(out, "bytes_read", r->bytes_read);
    put_number(out, "bytes_sent", r->bytes_sent);
    put_number(out, "milliseconds", r->milliseconds);
    put_text(out, "ended", time);
    put_number(out, "ended_ms", (uint64_t)outcome->ended_ms);
    af_buf_append_str(out, "}\n");
}

static enum af_status take_outcome(const struct af_json *node, enum af_fleet_outcome *out, struct af_error *err)
{
    const struct af_slice word = af_json_string(node, "outcome");
    for (size_t i = 0; i < sizeof outcome_words / sizeof outcome_words[0]; i++)
        if (af_slice_is(word, outcome_words[i])) {
            *out = (enum af_fleet_outcome)i;
            return AF_OK;
        }
    return af_fail(err, AF_ECORRUPT, "its outcome is none: done, rejected or failed");
}

enum af_status fleet_outcome_parse(struct af_slice text, struct af_arena *arena, struct fleet_outcome *out, struct af_error *err)
{
    const struct af_json *node;
    AF_TRY(parse(text, arena, &node, err));
    *out = (struct fleet_outcome){ .ended_ms = (int64_t)number_of(node, "ended_ms") };
    struct af_fleet_result *r = &out->result;
    AF_TRY(take_outcome(node, &r->outcome, err));
    out->task = (struct af_fleet_task){ .run = copy_of(node, "run", arena), .journal = "", .bucket = copy_of(node, "bucket", arena),
                                        .key = copy_of(node, "key", arena), .etag = copy_of(node, "etag", arena),
                                        .bytes = number_of(node, "size"), .format = "", .dataset = "", .mapping = "" };
    r->worker = copy_of(node, "worker", arena);
    if (out->task.run == NULL || out->task.bucket == NULL || out->task.key == NULL || out->task.etag == NULL || r->worker == NULL)
        return af_arena_fail(arena, text.len, "an outcome", err);
    text_of(node, "etag", r->etag, sizeof r->etag);
    text_of(node, "reason", r->reason, sizeof r->reason);
    const uint64_t attempt = number_of(node, "attempt");
    r->attempt = attempt < UINT32_MAX ? (uint32_t)attempt : UINT32_MAX;
    r->rows_read = number_of(node, "rows_read");
    r->points_written = number_of(node, "points_written");
    r->rows_rejected = number_of(node, "rows_rejected");
    r->bytes_read = number_of(node, "bytes_read");
    r->bytes_sent = number_of(node, "bytes_sent");
    r->milliseconds = number_of(node, "milliseconds");
    return AF_OK;
}

bool fleet_outcome_is_at(const struct fleet_outcome *outcome, const struct fleet_place *place, const char *key, struct fleet_id *out_id)
{
    char own[FLEET_KEY_BYTES];
    if (fleet_id_of(outcome->task.bucket, outcome->task.key, out_id, NULL) != AF_OK)
        return false;
    fleet_key_of(place, "objects", out_id, ".json", own);
    return strcmp(own, key) == 0;
}

bool fleet_is_of_run(const struct fleet_outcome *outcome, const char *run)
{
    return outcome->task.run[0] == '\0' || run[0] == '\0' || strcmp(outcome->task.run, run) == 0;
}

/* Of one object, as it stands there; AF_ENOTFOUND: none. etag: of what stands there, "" if it is not known. */
static enum af_status get_outcome(struct af_s3 *s3, const struct fleet_place *place, const char *key, struct af_arena *arena,
                                  struct fleet_outcome *out, char etag[64], struct af_error *err)
{
    struct af_buf text;
    etag[0] = '\0';
    af_buf_init(&text, FLEET_JSON_BYTES_MAX);
    enum af_status status = af_s3_get(s3, place->bucket, key, &text, etag, err);
    if (status == AF_OK)
        status = fleet_outcome_parse(af_buf_slice(&text), arena, out, err);
    af_buf_done(&text);
    return status;
}

/* What stands where an outcome belongs. */
struct standing {
    bool is_done;
    enum af_s3_if when;             /* it is to be overwritten as it was read */
    char etag[64];
};

/* An outcome that nobody can read is none: it is written anew. task NULL: done for any run and of any ETag. */
static enum af_status read_standing(struct af_s3 *s3, const struct fleet_place *place, const char *key, const struct af_fleet_task *task,
                                    struct standing *out, struct af_error *err)
{
    struct fleet_outcome outcome;
    struct af_arena arena;
    struct af_error why = { 0 };
    af_arena_init(&arena, 4 << 20);
    const enum af_status status = get_outcome(s3, place, key, &arena, &outcome, out->etag, &why);
    out->is_done = status == AF_OK && outcome.result.outcome != AF_FLEET_FAILED &&
                   (task == NULL || (strcmp(outcome.result.etag, task->etag) == 0 && fleet_is_of_run(&outcome, task->run)));
    out->when = status == AF_ENOTFOUND ? AF_S3_IF_NEW : out->etag[0] != '\0' ? AF_S3_IF_MATCH : AF_S3_ALWAYS;
    af_arena_done(&arena);
    if (status == AF_OK || status == AF_ENOTFOUND || status == AF_ECORRUPT || status == AF_ELIMIT || status == AF_EUNSUPPORTED)
        return AF_OK;
    if (err != NULL)
        *err = why;
    return status;
}

enum af_status af_fleet_is_done(struct af_s3 *s3, const struct af_fleet_task *task, bool *out, struct af_error *err)
{
    struct fleet_place place;
    struct fleet_id id;
    struct standing standing = { .is_done = false };
    char key[FLEET_KEY_BYTES];
    *out = false;
    if (task->journal[0] == '\0')
        return AF_OK;
    AF_TRY(fleet_place_parse(task->journal, &place, err));
    AF_TRY(fleet_id_of(task->bucket, task->key, &id, err));
    fleet_key_of(&place, "objects", &id, ".json", key);
    AF_TRY(read_standing(s3, &place, key, task, &standing, err));
    *out = standing.is_done;
    return AF_OK;
}

/* A failure is written where nothing stands, or over another: whoever plans an object anew takes its outcome away first, so what stands
 * there as done is so, and the message that failed was one too many, or a lie. */
static enum af_status put_outcome(struct af_s3 *s3, const struct fleet_place *place, const char *key, const struct fleet_outcome *outcome,
                                  struct af_slice text, struct af_error *err)
{
    struct standing standing;
    struct af_error why = { 0 };
    enum af_status status = AF_ECONFLICT;
    if (outcome->result.outcome != AF_FLEET_FAILED)
        return af_s3_put(s3, place->bucket, key, text, json_type, AF_S3_ALWAYS, NULL, NULL, err);
    for (unsigned i = 0; i < WRITES_MAX && status == AF_ECONFLICT; i++) {
        AF_TRY(read_standing(s3, place, key, NULL, &standing, err));
        if (standing.is_done)
            return AF_OK;
        status = af_s3_put(s3, place->bucket, key, text, json_type, standing.when, standing.when == AF_S3_IF_MATCH ? standing.etag : NULL,
                           NULL, &why);
    }
    if (status != AF_OK && err != NULL)
        *err = why;
    return status;
}

enum af_status af_fleet_record(struct af_s3 *s3, const struct af_fleet_task *task, const struct af_fleet_result *result,
                               struct af_error *err)
{
    struct fleet_place place;
    struct fleet_id id;
    char key[FLEET_KEY_BYTES];
    struct af_buf text;
    const struct fleet_outcome outcome = { .task = *task, .result = *result, .ended_ms = af_clock_now_ns() / 1000000 };
    if (task->journal[0] == '\0')
        return AF_OK;
    AF_TRY(fleet_place_parse(task->journal, &place, err));
    AF_TRY(fleet_id_of(task->bucket, task->key, &id, err));
    fleet_key_of(&place, "objects", &id, ".json", key);
    af_buf_init(&text, FLEET_JSON_BYTES_MAX);
    fleet_outcome_print(&outcome, &text);
    enum af_status status = af_buf_check(&text, "an outcome", err);
    if (status == AF_OK)
        status = put_outcome(s3, &place, key, &outcome, af_buf_slice(&text), err);
    af_buf_done(&text);
    if (status != AF_OK)
        af_error_prefix(err, "the journal of the run: ");
    return status;
}

/* --- letters ------------------------------------------------------------------------------------------------------------- */

static enum af_status copy_file(struct af_file_input *in, struct af_s3_upload *upload, struct af_error *err)
{
    static const size_t piece_bytes = PIECE_BYTES;
    struct af_buf piece;
    size_t got = 1;
    enum af_status status = AF_OK;
    af_buf_init(&piece, piece_bytes);
    if (af_buf_reserve(&piece, piece_bytes) == NULL)
        status = af_fail_nomem(err, "refused rows");
    while (status == AF_OK && got != 0) {
        status = af_file_input_read(in, piece.ptr, piece_bytes, &got, err);
        if (status == AF_OK && got != 0)
            status = af_s3_upload_write(upload, af_slice_make(piece.ptr, got), err);
    }
    af_buf_done(&piece);
    return status;
}

enum af_status af_fleet_letters(struct af_s3 *s3, const struct af_fleet_task *task, const char *path, struct af_error *err)
{
    struct fleet_place place;
    struct fleet_id id;
    char key[FLEET_KEY_BYTES];
    struct af_file_input *in;
    struct af_s3_upload *upload;
    if (task->journal[0] == '\0')
        return af_fail(err, AF_EINVAL, "a task without a journal has no place for refused rows");
    AF_TRY(fleet_place_parse(task->journal, &place, err));
    AF_TRY(fleet_id_of(task->bucket, task->key, &id, err));
    fleet_key_of(&place, "letters", &id, ".jsonl", key);
    AF_TRY(af_file_input_open(path, &in, err));
    enum af_status status = af_s3_upload_begin(s3, place.bucket, key, "application/x-ndjson", &upload, err);
    if (status == AF_OK) {
        status = copy_file(in, upload, err);
        if (status == AF_OK)
            status = af_s3_upload_finish(upload, err);
        af_s3_upload_free(upload);
    }
    af_file_input_close(in);
    return status;
}

/* --- the manifest -------------------------------------------------------------------------------------------------------- */

static void manifest_key(const struct fleet_place *place, char out[FLEET_KEY_BYTES])
{
    (void)snprintf(out, FLEET_KEY_BYTES, "%smanifest.json", place->prefix);
}

static enum af_status manifest_parse(struct af_slice text, struct af_arena *arena, struct fleet_manifest *out, struct af_error *err)
{
    const struct af_json *node;
    AF_TRY(parse(text, arena, &node, err));
    *out = (struct fleet_manifest){ .objects = number_of(node, "objects"), .bytes = number_of(node, "bytes"),
                                    .dataset = copy_of(node, "dataset", arena), .mapping = copy_of(node, "mapping", arena),
                                    .target = copy_of(node, "target", arena) };
    text_of(node, "run", out->run, sizeof out->run);
    if (out->dataset == NULL || out->mapping == NULL || out->target == NULL)
        return af_arena_fail(arena, text.len, "a manifest", err);
    return out->run[0] != '\0' ? AF_OK : af_fail(err, AF_ECORRUPT, "it has no \"run\"");
}

enum af_status fleet_manifest_get(struct af_s3 *s3, const struct fleet_place *place, struct af_arena *arena, struct fleet_manifest *out,
                                  char etag[64], struct af_error *err)
{
    char key[FLEET_KEY_BYTES];
    struct af_buf text;
    manifest_key(place, key);
    af_buf_init(&text, FLEET_JSON_BYTES_MAX);
    enum af_status status = af_s3_get(s3, place->bucket, key, &text, etag, err);
    if (status == AF_OK) {
        status = manifest_parse(af_buf_slice(&text), arena, out, err);
        if (status != AF_OK)
            af_error_prefix(err, "s3://%s/%.600s is no manifest of a run: ", place->bucket, key);
    }
    af_buf_done(&text);
    return status;
}

enum af_status fleet_manifest_put(struct af_s3 *s3, const struct fleet_place *place, const struct fleet_manifest *manifest,
                                  enum af_s3_if when, const char *etag, struct af_error *err)
{
    char key[FLEET_KEY_BYTES];
    struct af_buf text;
    uint64_t random;
    manifest_key(place, key);
    af_random_bytes(&random, sizeof random);
    af_buf_init(&text, FLEET_JSON_BYTES_MAX);
    af_buf_printf(&text, "{\"afluxo\":%d", FLEET_VERSION);
    put_text(&text, "run", manifest->run);
    put_number(&text, "objects", manifest->objects);
    put_number(&text, "bytes", manifest->bytes);
    put_text(&text, "dataset", manifest->dataset);
    put_text(&text, "mapping", manifest->mapping);
    put_text(&text, "target", manifest->target);
    put_number(&text, "written_ms", (uint64_t)(af_clock_now_ns() / 1000000));
    af_buf_printf(&text, ",\"by\":\"%016" PRIx64 "\"}\n", random); /* bytes that no other planner writes: see af_s3_put */
    enum af_status status = af_buf_check(&text, "a manifest", err);
    if (status == AF_OK)
        status = af_s3_put(s3, place->bucket, key, af_buf_slice(&text), json_type, when, etag, NULL, err);
    af_buf_done(&text);
    return status;
}

/* --- signs of life ------------------------------------------------------------------------------------------------------- */

enum af_status fleet_beat_put(struct af_s3 *s3, const struct fleet_place *place, const struct fleet_beat *beat, struct af_error *err)
{
    char key[FLEET_KEY_BYTES];
    struct af_buf text;
    const struct af_fleet_totals *t = &beat->totals;
    (void)snprintf(key, sizeof key, "%sworkers/%s.json", place->prefix, beat->worker);
    af_buf_init(&text, FLEET_JSON_BYTES_MAX);
    af_buf_printf(&text, "{\"afluxo\":%d", FLEET_VERSION);
    put_text(&text, "worker", beat->worker);
    put_text(&text, "run", beat->run);
    put_number(&text, "begun_ms", (uint64_t)beat->begun_ms);
    put_number(&text, "heard_ms", (uint64_t)beat->heard_ms);
    af_buf_printf(&text, ",\"ended\":%s", beat->is_over ? "true" : "false");
    put_number(&text, "tasks", t->tasks);
    put_number(&text, "done", t->done);
    put_number(&text, "rejected", t->rejected);
    put_number(&text, "failed", t->failed);
    put_number(&text, "skipped", t->skipped);
    put_number(&text, "returned", t->returned);
    put_number(&text, "points_written", t->points_written);
    af_buf_append_str(&text, "}\n");
    enum af_status status = af_buf_check(&text, "a sign of life", err);
    if (status == AF_OK)
        status = af_s3_put(s3, place->bucket, key, af_buf_slice(&text), json_type, AF_S3_ALWAYS, NULL, NULL, err);
    af_buf_done(&text);
    return status;
}

enum af_status fleet_beat_parse(struct af_slice text, struct fleet_beat *out, struct af_error *err)
{
    struct af_arena arena;
    const struct af_json *node;
    af_arena_init(&arena, 4 << 20);
    *out = (struct fleet_beat){ 0 };
    const enum af_status status = parse(text, &arena, &node, err);
    if (status == AF_OK) {
        const struct af_json *ended = af_json_get(node, "ended");
        text_of(node, "worker", out->worker, sizeof out->worker);
        text_of(node, "run", out->run, sizeof out->run);
        out->begun_ms = (int64_t)number_of(node, "begun_ms");
        out->heard_ms = (int64_t)number_of(node, "heard_ms");
        out->is_over = ended != NULL && ended->kind == AF_JSON_BOOL && ended->is_true;
        out->totals.tasks = number_of(node, "tasks");
        out->totals.points_written = number_of(node, "points_written");
    }
    af_arena_done(&arena);
    return status;
}

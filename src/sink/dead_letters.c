/*
 * dead_letters.c - lines that the store refused and rows that never became lines, kept for people and for another try.
 *
 *     DIR/dead-letters-RUN.jsonl
 *     {"file":"a.parquet","row_group":0,"row":17,"column":null,"reason":"type conflict: ...","line":"m v=1i 10","time":"..."}
 *     {"file":"a.csv","row_group":0,"row":18,"column":"val_carga","reason":"not a number: x","row_data":{...},"time":"..."}
 *     {"file":"a.csv","row_group":0,"row":19,"column":null,"reason":"too many cells","raw":"a;b;c;d","time":"..."}
 *
 * Every line of the file is one valid JSON object whatever the bytes were: text that is not UTF-8 is shown with U+FFFD, and what
 * claims to be an object is parsed before it is believed. The file is made with the first letter. A tail torn by a crash
 * is cut off at the next opening: nothing counted on it, a unit settles only after the fsync.
 */
#include "base/alloc.h"
#include "base/calendar.h"
#include "base/utf8.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "sink/sink_int.h"
#include <stdio.h>

/* --- is it one JSON object? ---------------------------------------------------------------------------------------------- */

struct shape {
    unsigned depth;
    unsigned objects; /* at depth 0 */
    bool is_other;    /* something else at depth 0 */
};

static enum af_status see_value(void *ctx, enum af_json_kind kind, bool is_true, struct af_slice text, struct af_error *err)
{
    struct shape *shape = ctx;
    (void)kind, (void)is_true, (void)text, (void)err;
    shape->is_other |= shape->depth == 0;
    return AF_OK;
}

static enum af_status see_begin(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    struct shape *shape = ctx;
    (void)err;
    shape->objects += shape->depth == 0;
    shape->is_other |= shape->depth == 0 && kind != AF_JSON_OBJECT;
    shape->depth++;
    return AF_OK;
}

static enum af_status see_end(void *ctx, enum af_json_kind kind, struct af_error *err)
{
    struct shape *shape = ctx;
    (void)kind, (void)err;
    shape->depth--;
    return AF_OK;
}

static enum af_status see_key(void *ctx, struct af_slice key, struct af_error *err)
{
    (void)ctx, (void)key, (void)err;
    return AF_OK;
}

static bool is_object(struct af_slice text)
{
    static const struct af_json_handler handler = { see_value, see_begin, see_end, see_key };
    struct shape shape = { 0 };
    struct af_json_reader *reader;
    if (!af_slice_has_prefix(text, "{") || !af_utf8_is_valid(text) || af_json_reader_new(&handler, &shape, &reader, NULL) != AF_OK)
        return false;
    bool is_whole = af_json_reader_feed(reader, text, NULL) == AF_OK && af_json_reader_finish(reader, NULL) == AF_OK;
    af_json_reader_free(reader);
    return is_whole && shape.objects == 1 && !shape.is_other;
}

/* --- one letter ---------------------------------------------------------------------------------------------------------- */

static void append_member(struct af_buf *out, const char *key, const char *text)
{
    af_buf_printf(out, "\"%s\":", key);
    if (text != NULL)
        af_json_append_string(out, af_slice_of(text));
    else
        af_buf_append_str(out, "null");
}

/* Valid JSON has line ends only between its tokens: they become spaces, so that the letter stays on one line. */
static void append_object(struct af_buf *out, struct af_slice text)
{
    char *at = af_buf_reserve(out, text.len);
    if (at == NULL)
        return;
    for (size_t i = 0; i < text.len; i++)
        at[i] = text.ptr[i] == '\n' || text.ptr[i] == '\r' ? ' ' : text.ptr[i];
    out->len += text.len;
}

static void append_text(struct af_buf *out, const struct af_dead_letter *letter)
{
    if (!letter->is_line && is_object(letter->text)) {
        af_buf_append_str(out, "\"row_data\":");
        append_object(out, letter->text);
        return;
    }
    af_buf_append_str(out, letter->is_line ? "\"line\":" : "\"raw\":");
    af_json_append_string(out, letter->text);
}

void af_dead_letter_print(struct af_buf *out, const struct af_dead_letter *letter, int64_t now_ns)
{
    char time[48];
    *af_rfc3339_print(time, now_ns, 3) = '\0';
    af_buf_append_char(out, '{');
    append_member(out, "file", letter->file);
    af_buf_printf(out, ",\"row_group\":%u,\"row\":%llu,", letter->row_group, (unsigned long long)letter->row);
    append_member(out, "column", letter->column);
    af_buf_append_char(out, ',');
    append_member(out, "reason", letter->reason);
    af_buf_append_char(out, ',');
    append_text(out, letter);
    af_buf_append_char(out, ',');
    append_member(out, "time", time);
    af_buf_append_str(out, "}\n");
}

/* --- the file ------------------------------------------------------------------------------------------------------------ */

static bool run_id_is_fit(const char *run_id)
{
    return run_id[0] != '\0' && strlen(run_id) < 200 && strchr(run_id, '/') == NULL;
}

enum af_status af_dead_letters_open(struct af_dead_letters *dead, const char *dir, const char *run_id, struct af_error *err)
{
    char from_clock[32];
    if (run_id == NULL) {
        (void)snprintf(from_clock, sizeof from_clock, "%lld", (long long)af_clock_now_ns());
        run_id = from_clock;
    }
    if (!run_id_is_fit(run_id))
        return af_fail(err, AF_EINVAL, "the run id \"%.80s\" cannot be part of a file name: 1 to 199 bytes without '/'", run_id);
    *dead = (struct af_dead_letters){ 0 };
    size_t len = strlen(dir);
    size_t cap = len + strlen(run_id) + 32;
    dead->dir = af_alloc(len + 1);
    dead->path = af_alloc(cap);
    if (dead->dir == NULL || dead->path == NULL) {
        af_free(dead->dir);
        af_free(dead->path);
        *dead = (struct af_dead_letters){ 0 };
        return af_fail_nomem(err, "the dead letters");
    }
    memcpy(dead->dir, dir, len + 1);
    (void)snprintf(dead->path, cap, "%s/dead-letters-%s.jsonl", dir, run_id);
    af_mutex_init(&dead->lock);
    af_buf_init(&dead->line, AF_LETTER_BYTES_MAX);
    return AF_OK;
}

void af_dead_letters_close(struct af_dead_letters *dead)
{
    if (dead->dir == NULL)
        return;
    af_file_close(dead->file);
    af_buf_done(&dead->line);
    af_free(dead->dir);
    af_free(dead->path);
    af_mutex_done(&dead->lock);
    *dead = (struct af_dead_letters){ 0 };
}

/* Cut what follows the last newline. */
static enum af_status cut_torn_tail(struct af_file *file, struct af_error *err)
{
    char piece[4096];
    uint64_t end = af_file_size(file);
    while (end > 0) {
        size_t len = end < sizeof piece ? (size_t)end : sizeof piece;
        AF_TRY(af_file_pread(file, end - len, piece, len, err));
        for (size_t i = len; i > 0; i--)
            if (piece[i - 1] == '\n')
                return af_file_truncate(file, end - len + i, err);
        end -= len;
    }
    return af_file_truncate(file, 0, err);
}

static enum af_status make_file(struct af_dead_letters *dead, struct af_error *err)
{
    struct af_file *file;
    AF_TRY(af_dir_make(dead->dir, err));
    AF_TRY(af_file_open(dead->path, AF_FILE_APPEND, &file, err));
    enum af_status status = cut_torn_tail(file, err);
    if (status == AF_OK)
        status = af_dir_sync(dead->dir, err);
    if (status != AF_OK) {
        af_file_close(file);
        return status;
    }
    dead->file = file;
    atomic_store(&dead->is_there, true);
    return AF_OK;
}

static enum af_status add_locked(struct af_dead_letters *dead, const struct af_dead_letter *letter, struct af_error *err)
{
    if (dead->file == NULL)
        AF_TRY(make_file(dead, err));
    af_buf_clear(&dead->line);
    af_dead_letter_print(&dead->line, letter, af_clock_now_ns());
    AF_TRY(af_buf_check(&dead->line, "a dead letter", err));
    AF_TRY(af_file_write(dead->file, af_buf_slice(&dead->line), err));
    dead->is_dirty = true;
    return AF_OK;
}

enum af_status af_dead_letters_add(struct af_dead_letters *dead, const struct af_dead_letter *letter, struct af_error *err)
{
    af_mutex_lock(&dead->lock);
    enum af_status status = add_locked(dead, letter, err);
    af_mutex_unlock(&dead->lock);
    if (status != AF_OK)
        af_error_prefix(err, "dead letters: ");
    return status;
}

enum af_status af_dead_letters_sync(struct af_dead_letters *dead, struct af_error *err)
{
    if (dead->dir == NULL)
        return AF_OK;
    af_mutex_lock(&dead->lock);
    enum af_status status = dead->is_dirty ? af_file_sync(dead->file, err) : AF_OK;
    if (status == AF_OK)
        dead->is_dirty = false;
    af_mutex_unlock(&dead->lock);
    if (status != AF_OK)
        af_error_prefix(err, "dead letters: ");
    return status;
}

/*
 * journal.c - settled units in a file of lines; see ingest.h for the form.
 *
 * Kept in memory as a set of 64-bit keys over (path, size, time of change, ETag, part). A file that changed is another file. Two units with
 * one
 * key would need a collision of 64 bits inside one migration; the price would be a unit skipped, which verify shows.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/numbers.h"
#include "codec/compress.h"
#include "ingest/ingest.h"
#include "os/file.h"
#include "os/thread.h"
#include <inttypes.h>
#include <stdio.h>

enum { LINE_MAX = 160, HEADER_MAX = 64 + AF_RUN_ID_BYTES, JOURNAL_BYTES_MAX = 512 << 20 };

struct entry {
    uint64_t key; /* 0: free */
    uint8_t flag;
};

struct af_journal {
    struct af_mutex lock;
    struct af_file *file;
    struct af_buf pending; /* lines not yet in the file */
    struct entry *slots;
    size_t slot_count;     /* a power of two */
    size_t entry_count;
    bool is_lossy;         /* memory ran out: what was not kept is done again after a resume */
};

static uint64_t unit_key(const struct af_source *source, uint32_t part)
{
    uint64_t h = af_hash_bytes(source->path, strlen(source->path), 0);
    h = af_hash_mix(h ^ source->bytes * 0x9e3779b97f4a7c15ULL);
    h = af_hash_mix(h ^ (uint64_t)source->mtime_ns);
    if (source->etag[0] != '\0')
        h = af_hash_bytes(source->etag, strlen(source->etag), h);
    h = af_hash_mix(h ^ (uint64_t)part << 1);
    return h != 0 ? h : 1;
}

static struct entry *slot_of(struct entry *slots, size_t count, uint64_t key)
{
    size_t at = (size_t)key & (count - 1);
    while (slots[at].key != 0 && slots[at].key != key)
        at = (at + 1) & (count - 1);
    return &slots[at];
}

static bool remember(struct af_journal *j, uint64_t key, uint8_t flag)
{
    if (j->entry_count * 2 >= j->slot_count) {
        size_t count = j->slot_count == 0 ? 1024 : j->slot_count * 2;
        struct entry *slots = af_alloc_zero(count, sizeof *slots);
        if (slots == NULL)
            return false;
        for (size_t i = 0; i < j->slot_count; i++)
            if (j->slots[i].key != 0)
                *slot_of(slots, count, j->slots[i].key) = j->slots[i];
        af_free(j->slots);
        j->slots = slots;
        j->slot_count = count;
    }
    struct entry *slot = slot_of(j->slots, j->slot_count, key);
    j->entry_count += slot->key == 0;
    *slot = (struct entry){ key, flag };
    return true;
}

/* One line without its end: "<crc> <key> <flag> ...". */
static bool parse_line(struct af_slice line, uint64_t *out_key, uint8_t *out_flag)
{
    char text[LINE_MAX];
    uint32_t crc;
    uint64_t key;
    char flag;
    if (line.len < 28 || line.len >= sizeof text)
        return false;
    memcpy(text, line.ptr, line.len);
    text[line.len] = '\0';
    if (sscanf(text, "%8" SCNx32 " %16" SCNx64 " %c", &crc, &key, &flag) != 3 ||
        crc != af_crc32(0, text + 9, line.len - 9))
        return false;
    if (key == 0 || strchr("-LB", flag) == NULL)
        return false;
    *out_key = key;
    *out_flag = flag == '-' ? AF_JOURNAL_MORE : flag == 'L' ? AF_JOURNAL_LAST : AF_JOURNAL_BAD;
    return true;
}

/* The first line: `head`, then the id of the run. *out_end: where the next begins. */
static bool parse_header(struct af_slice text, const char *head, char run_id[AF_RUN_ID_BYTES], size_t *out_end)
{
    size_t at = strlen(head);
    const char *end = af_slice_has_prefix(text, head) ? memchr(text.ptr + at, '\n', text.len - at) : NULL;
    size_t len = end != NULL ? (size_t)(end - text.ptr) - at : 0;
    if (len == 0 || len >= AF_RUN_ID_BYTES || memchr(text.ptr + at, '/', len) != NULL)
        return false;
    memcpy(run_id, text.ptr + at, len);
    run_id[len] = '\0';
    *out_end = at + len + 1;
    return true;
}

/* Take the lines up to the first that is damaged; *out_good: bytes of good lines. */
static bool load(struct af_journal *j, struct af_slice text, const char *head, char run_id[AF_RUN_ID_BYTES], size_t *out_good)
{
    size_t at;
    if (!parse_header(text, head, run_id, &at))
        return false;
    for (;;) {
        const char *end = memchr(text.ptr + at, '\n', text.len - at);
        uint64_t key;
        uint8_t flag;
        if (end == NULL || !parse_line((struct af_slice){ text.ptr + at, (size_t)(end - text.ptr) - at }, &key, &flag))
            break;
        if (!remember(j, key, flag))
            return false;
        at = (size_t)(end - text.ptr) + 1;
    }
    *out_good = at;
    return true;
}

static enum af_status begin_file(struct af_journal *j, const char *path, const char *head, const char *run_id, struct af_error *err)
{
    char line[HEADER_MAX];
    (void)snprintf(line, sizeof line, "%s%.*s\n", head, AF_RUN_ID_BYTES - 1, run_id);
    AF_TRY(af_file_write_atomic(path, af_slice_of(line), false, err));
    return af_file_open(path, AF_FILE_APPEND, &j->file, err);
}

static enum af_status open_file(struct af_journal *j, const char *path, const char *head, bool resume, char run_id[AF_RUN_ID_BYTES],
                                bool *out_resumed, struct af_error *err)
{
    size_t good = 0;
    bool resumed = false;
    if (resume && af_path_kind(path) == AF_PATH_FILE) {
        struct af_buf text;
        af_buf_init(&text, JOURNAL_BYTES_MAX);
        enum af_status status = af_file_read_all(path, &text, err);
        if (status == AF_OK)
            resumed = load(j, af_buf_slice(&text), head, run_id, &good);
        af_buf_done(&text);
        AF_TRY(status);
    }
    *out_resumed = resumed;
    if (!resumed)
        return begin_file(j, path, head, run_id, err);
    AF_TRY(af_file_open(path, AF_FILE_APPEND, &j->file, err));
    return af_file_truncate(j->file, good, err);
}

enum af_status af_journal_open(const char *path, uint64_t fingerprint, bool resume, char run_id[AF_RUN_ID_BYTES],
                               struct af_journal **out, bool *out_resumed, struct af_error *err)
{
    struct af_journal *j = af_alloc_zero(1, sizeof *j);
    if (j == NULL)
        return af_fail_nomem(err, "the journal");
    af_mutex_init(&j->lock);
    af_buf_init(&j->pending, JOURNAL_BYTES_MAX);
    char head[64];
    (void)snprintf(head, sizeof head, "afluxo-journal 1 %016" PRIx64 " ", fingerprint);
    enum af_status status = open_file(j, path, head, resume, run_id, out_resumed, err);
    if (status != AF_OK) {
        af_journal_close(j);
        return status;
    }
    *out = j;
    return AF_OK;
}

void af_journal_settle(struct af_journal *journal, const struct af_source *source, uint32_t part, enum af_journal_flag flag)
{
    uint64_t key = unit_key(source, part);
    char line[LINE_MAX];
    int body = snprintf(line + 9, sizeof line - 9, "%016" PRIx64 " %c %" PRIu64 " %" PRId64 " %" PRIu32, key, "-LB"[flag],
                        source->bytes, source->mtime_ns, part);
    char crc[10];
    (void)snprintf(crc, sizeof crc, "%08" PRIx32 " ", af_crc32(0, line + 9, (size_t)body));
    memcpy(line, crc, 9);
    line[9 + body] = '\n';
    af_mutex_lock(&journal->lock);
    af_buf_append(&journal->pending, line, (size_t)body + 10);
    if (!remember(journal, key, (uint8_t)flag))
        journal->is_lossy = true;
    af_mutex_unlock(&journal->lock);
}

/* Lines that did not get into the file stand before those that came since. */
static void put_back(struct af_journal *j, struct af_buf *taken)
{
    af_mutex_lock(&j->lock);
    af_buf_append_slice(taken, af_buf_slice(&j->pending));
    struct af_buf later = j->pending;
    j->pending = *taken;
    *taken = later;
    af_mutex_unlock(&j->lock);
}

enum af_status af_journal_sync(struct af_journal *journal, struct af_error *err)
{
    struct af_buf lines;
    af_buf_init(&lines, JOURNAL_BYTES_MAX);
    af_mutex_lock(&journal->lock);
    struct af_buf taken = journal->pending;
    journal->pending = lines;
    af_mutex_unlock(&journal->lock);
    enum af_status status = AF_OK;
    if (taken.len != 0) {
        status = af_file_write(journal->file, af_buf_slice(&taken), err);
        if (status == AF_OK)
            status = af_file_sync(journal->file, err);
    }
    if (status == AF_EFULL)
        put_back(journal, &taken);
    af_buf_done(&taken);
    return status;
}

void af_journal_close(struct af_journal *journal)
{
    if (journal == NULL)
        return;
    af_file_close(journal->file);
    af_buf_done(&journal->pending);
    af_free(journal->slots);
    af_mutex_done(&journal->lock);
    af_free(journal);
}

void af_journal_resume_point(struct af_journal *journal, const struct af_source_list *sources, size_t *out_source,
                             uint32_t *out_part, uint64_t *out_bad)
{
    *out_source = 0;
    *out_part = 0;
    *out_bad = 0;
    while (journal->slot_count != 0 && *out_source < sources->count && !sources->items[*out_source].is_pipe) {
        uint64_t key = unit_key(&sources->items[*out_source], *out_part);
        const struct entry *slot = slot_of(journal->slots, journal->slot_count, key);
        if (slot->key == 0)
            return;
        *out_bad += slot->flag == AF_JOURNAL_BAD;
        if (slot->flag == AF_JOURNAL_MORE) {
            ++*out_part;
        } else {
            ++*out_source;
            *out_part = 0;
        }
    }
}

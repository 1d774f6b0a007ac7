/*
 * index_file.c - the series index on disk: a log of records that only grows.
 *
 *     "AFSERIE" 1
 *     record:  u32 length | u32 crc32 of the payload | u32 first id | u32 crc32 of the three          little-endian
 *              payload: items
 *     item:    uvarint v    v even: a key of v / 2 bytes follows; its id is the next one
 *                           v odd: series v >> 2 is hidden (v & 2) or shown again
 *
 * A sync writes what is new since the last one, in records of about RECORD_BYTES, then syncs the file. Only the tail can be torn by a
 * crash, and no TSM file needs the ids in it: such a tail is left out and cut off by the next sync. It is a tail if its header is whole
 * and says more bytes than there are, if there are fewer bytes than a header has, or if all of it is zeros. Anything else that is not
 * as it was written is damage (AF_ECORRUPT): the caller builds the index again from the keys of the TSM files. A torn tail makes it look
 * at those keys too (af_index_is_torn), for a file that something else cut looks the same; cut just between two records it looks whole, and
 * only `afluxo tsm verify` tells.
 *
 * Ids are never written twice: a record that could not be written whole is cut off again by os/file, and `written` says where to go on.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/bits.h"
#include "codec/compress.h"
#include "tsm/index_int.h"

enum { MAGIC_BYTES = 8, HEADER_BYTES = 16, RECORD_BYTES = 256 << 10, PAYLOAD_MAX = RECORD_BYTES + AF_LP_KEY_BYTES_MAX + 16 };
static const char magic[MAGIC_BYTES + 1] = "AFSERIE\1";

static void put_u32(char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        at[i] = (char)(value >> 8 * i);
}

static uint32_t get_u32(const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= (uint32_t)(unsigned char)at[i] << 8 * i;
    return value;
}

/* --- loading ------------------------------------------------------------------------------------------------------------------- */

static enum af_status damaged(const struct af_index *index, uint64_t offset, const char *what, struct af_error *err)
{
    return af_fail(err, AF_ECORRUPT,
                   "%s: %s at byte %llu: the series index is damaged; it may be deleted, it is rebuilt from the TSM files", index->path,
                   what, (unsigned long long)offset);
}

struct group {
    struct af_slice keys[INDEX_GROUP];
    uint64_t hashes[INDEX_GROUP];
    size_t count;
};

/* Add the keys of the group; each must be new. False with a status in *status. */
static bool flush_group(struct af_index *index, struct group *group, enum af_status *status, struct af_error *err)
{
    uint32_t ids[INDEX_GROUP];
    uint32_t first = index->count;
    size_t done;
    *status = index_add_group(index, group->keys, group->hashes, group->count, ids, &done, err);
    if (*status == AF_OK && index->count != first + group->count)
        *status = damaged(index, 0, "one key twice", err);
    group->count = 0;
    return *status == AF_OK;
}

static enum af_status bad_item(const struct af_index *index, uint64_t offset, struct af_error *err)
{
    return damaged(index, offset, "a record that cannot be read", err);
}

static enum af_status load_items(struct af_index *index, struct af_slice payload, uint64_t offset, struct af_error *err)
{
    const uint8_t *at = (const uint8_t *)payload.ptr;
    const uint8_t *end = at + payload.len;
    struct group group = { .count = 0 };
    enum af_status status = AF_OK;
    while (at < end) {
        uint64_t item;
        if (!af_uvarint_read(&at, end, &item))
            return bad_item(index, offset, err);
        if ((item & 1) != 0) {
            if (!flush_group(index, &group, &status, err))
                return status;
            if (item >> 2 >= index->count)
                return bad_item(index, offset, err);
            index_set_hidden(index, (uint32_t)(item >> 2), (item & 2) != 0);
            continue;
        }
        if (item < 2 || item / 2 > AF_LP_KEY_BYTES_MAX || item / 2 > (uint64_t)(end - at))
            return bad_item(index, offset, err);
        group.keys[group.count] = af_slice_make(at, (size_t)item / 2);
        group.hashes[group.count++] = af_hash_bytes(at, (size_t)item / 2, 0);
        at += item / 2;
        if (group.count == INDEX_GROUP && !flush_group(index, &group, &status, err))
            return status;
    }
    return flush_group(index, &group, &status, err) ? AF_OK : status;
}

static bool is_zero(struct af_slice bytes)
{
    return bytes.len == 0 || (bytes.ptr[0] == 0 && memcmp(bytes.ptr, bytes.ptr + 1, bytes.len - 1) == 0);
}

/* Nothing but zeros from `offset` to the end? */
static enum af_status tail_is_zero(struct af_reader *reader, uint64_t offset, char *scratch, bool *out, struct af_error *err)
{
    *out = true;
    while (offset < reader->size && *out) {
        size_t len = reader->size - offset < RECORD_BYTES ? (size_t)(reader->size - offset) : RECORD_BYTES;
        AF_TRY(af_reader_read(reader, offset, scratch, len, err));
        *out = is_zero(af_slice_make(scratch, len));
        offset += len;
    }
    return AF_OK;
}

/* One record at index->file_bytes; *out_end: there is no whole one any more. */
static enum af_status load_record(struct af_index *index, struct af_reader *reader, char *scratch, bool *out_end, struct af_error *err)
{
    uint64_t offset = index->file_bytes;
    *out_end = reader->size - offset < HEADER_BYTES;
    if (*out_end)
        return AF_OK;
    char header[HEADER_BYTES];
    AF_TRY(af_reader_read(reader, offset, header, sizeof header, err));
    uint32_t length = get_u32(header);
    if (get_u32(header + 12) != af_crc32(0, header, 12)) {
        AF_TRY(tail_is_zero(reader, offset, scratch, out_end, err));
        return *out_end ? AF_OK : damaged(index, offset, "a record with a wrong checksum", err);
    }
    if (length == 0 || length > PAYLOAD_MAX || get_u32(header + 8) != index->count)
        return bad_item(index, offset, err);
    *out_end = reader->size - offset - HEADER_BYTES < length;
    if (*out_end)
        return AF_OK;
    AF_TRY(af_reader_read(reader, offset + HEADER_BYTES, scratch, length, err));
    if (get_u32(header + 4) != af_crc32(0, scratch, length))
        return damaged(index, offset, "a record with a wrong checksum", err);
    AF_TRY(load_items(index, af_slice_make(scratch, length), offset, err));
    index->file_bytes = offset + HEADER_BYTES + length;
    return AF_OK;
}

static enum af_status load_all(struct af_index *index, struct af_reader *reader, struct af_error *err)
{
    char head[MAGIC_BYTES];
    size_t len = reader->size < MAGIC_BYTES ? (size_t)reader->size : MAGIC_BYTES;
    AF_TRY(af_reader_read(reader, 0, head, len, err));
    if (memcmp(head, magic, len) != 0 && !is_zero(af_slice_make(head, len)))
        return damaged(index, 0, "no series index begins so", err);
    char *scratch = af_alloc(PAYLOAD_MAX);
    if (scratch == NULL)
        return af_fail_nomem(err, "the series index");
    bool is_end = len < MAGIC_BYTES;
    enum af_status status = AF_OK;
    if (!is_end && is_zero(af_slice_make(head, len))) {
        status = tail_is_zero(reader, 0, scratch, &is_end, err);
        if (status == AF_OK && !is_end)
            status = damaged(index, 0, "no series index begins so", err);
    } else if (!is_end) {
        index->file_bytes = MAGIC_BYTES;
    }
    while (status == AF_OK && !is_end)
        status = load_record(index, reader, scratch, &is_end, err);
    af_free(scratch);
    return status;
}

static void forget_changes(struct af_index *index)
{
    for (uint32_t id = 0; id < index->count && atomic_load(&index->hides) != 0; id++)
        atomic_fetch_and_explicit(&index_entry(index, id)->flags, ~(uint32_t)INDEX_CHANGED, memory_order_relaxed);
}

enum af_status index_load(struct af_index *index, struct af_error *err)
{
    struct af_reader *reader;
    struct af_error own;
    enum af_status status = af_file_reader_open(index->path, &reader, &own);
    index->is_synced = true;
    if (status == AF_ENOTFOUND)
        return AF_OK;
    if (status != AF_OK) {
        if (err != NULL)
            *err = own;
        return status;
    }
    status = load_all(index, reader, err);
    index->is_torn = index->file_bytes != reader->size || index->count == 0;
    af_reader_close(reader);
    index->written = index->count;
    index->is_synced = false; /* a process that was killed may have left records that are not on disk yet */
    forget_changes(index);
    return status;
}

/* --- writing ------------------------------------------------------------------------------------------------------------------- */

/* Series whose state differs from the file's, as items; under `lock`. */
static void append_changes(struct af_index *index, struct af_buf *items)
{
    if (atomic_load(&index->hides) == 0)
        return;
    for (uint32_t id = 0; id < index->count; id++) {
        uint32_t flags = atomic_load_explicit(&index_entry(index, id)->flags, memory_order_relaxed);
        if ((flags & INDEX_CHANGED) != 0)
            af_uvarint_append(items, (uint64_t)id << 2 | (flags & INDEX_HIDDEN) << 1 | 1);
    }
}

/* The items are in the file: what has not changed since is not a change any more. */
static void settle_changes(struct af_index *index, struct af_slice items)
{
    if (items.len == 0)
        return;
    const uint8_t *at = (const uint8_t *)items.ptr;
    const uint8_t *end = at + items.len;
    uint64_t item;
    af_mutex_lock(&index->lock);
    while (at < end && af_uvarint_read(&at, end, &item)) {
        struct index_entry *entry = index_entry(index, (uint32_t)(item >> 2));
        uint32_t flags = atomic_load_explicit(&entry->flags, memory_order_relaxed);
        if (((flags & INDEX_HIDDEN) != 0) == ((item & 2) != 0))
            atomic_store_explicit(&entry->flags, flags & ~(uint32_t)INDEX_CHANGED, memory_order_relaxed);
    }
    af_mutex_unlock(&index->lock);
}

/* `record` has room for the header in front. */
static enum af_status write_record(struct af_index *index, struct af_buf *record, uint32_t first_id, struct af_error *err)
{
    AF_TRY(af_buf_check(record, "the series index", err));
    size_t length = record->len - HEADER_BYTES;
    put_u32(record->ptr, (uint32_t)length);
    put_u32(record->ptr + 4, af_crc32(0, record->ptr + HEADER_BYTES, length));
    put_u32(record->ptr + 8, first_id);
    put_u32(record->ptr + 12, af_crc32(0, record->ptr, 12));
    index->is_synced = false;
    AF_TRY(af_file_write(index->file, af_buf_slice(record), err));
    index->file_bytes = af_file_size(index->file);
    return AF_OK;
}

static void begin_record(struct af_buf *record)
{
    static const char room[HEADER_BYTES];
    af_buf_clear(record);
    af_buf_append(record, room, sizeof room);
}

/* Keys of the ids [written, count). */
static enum af_status write_keys(struct af_index *index, uint32_t count, struct af_buf *record, struct af_error *err)
{
    while (index->written < count) {
        uint32_t id = index->written;
        begin_record(record);
        for (; id < count && record->len < RECORD_BYTES; id++) {
            struct af_slice key = index_key(index, id);
            af_uvarint_append(record, (uint64_t)key.len << 1);
            af_buf_append_slice(record, key);
        }
        AF_TRY(write_record(index, record, index->written, err));
        index->written = id;
    }
    return AF_OK;
}

/* Items of at most 10 bytes, cut at their borders. */
static enum af_status write_changes(struct af_index *index, struct af_slice items, struct af_buf *record, struct af_error *err)
{
    for (size_t at = 0; at < items.len;) {
        size_t end = items.len - at > RECORD_BYTES ? at + RECORD_BYTES : items.len;
        while (end < items.len && ((unsigned char)items.ptr[end - 1] & 0x80) != 0)
            end--;
        begin_record(record);
        af_buf_append(record, items.ptr + at, end - at);
        AF_TRY(write_record(index, record, index->written, err));
        at = end;
    }
    return AF_OK;
}

static enum af_status sync_dir(const char *path, struct af_error *err)
{
    const char *slash = strrchr(path, '/');
    struct af_buf dir;
    af_buf_init(&dir, AF_PATH_BYTES_MAX);
    af_buf_append(&dir, slash != NULL ? path : ".", slash == NULL || slash == path ? 1 : (size_t)(slash - path));
    const char *name = af_buf_cstr(&dir);
    enum af_status status = af_buf_check(&dir, "the path of the series index", err);
    if (status == AF_OK)
        status = af_dir_sync(name, err);
    af_buf_done(&dir);
    return status;
}

/* Open the file at its last whole record. */
static enum af_status ready_file(struct af_index *index, struct af_error *err)
{
    if (index->file == NULL) {
        AF_TRY(af_file_open(index->path, AF_FILE_APPEND, &index->file, err));
        index->is_dir_synced = false;
    }
    if (!index->is_dir_synced)
        AF_TRY(sync_dir(index->path, err));
    index->is_dir_synced = true;
    if (af_file_size(index->file) > index->file_bytes)
        AF_TRY(af_file_truncate(index->file, index->file_bytes, err));
    if (index->file_bytes == 0) {
        index->is_synced = false;
        AF_TRY(af_file_write(index->file, af_slice_make(magic, MAGIC_BYTES), err));
        index->file_bytes = MAGIC_BYTES;
    }
    return AF_OK;
}

static enum af_status sync_locked(struct af_index *index, struct af_buf *record, struct af_buf *items, struct af_error *err)
{
    af_mutex_lock(&index->lock);
    uint32_t count = index->count;
    append_changes(index, items);
    af_mutex_unlock(&index->lock);
    AF_TRY(af_buf_check(items, "the series index", err));
    if (index->written == count && items->len == 0 && index->is_synced)
        return AF_OK;
    AF_TRY(ready_file(index, err));
    AF_TRY(write_keys(index, count, record, err));
    AF_TRY(write_changes(index, af_buf_slice(items), record, err));
    AF_TRY(af_file_sync(index->file, err));
    index->is_synced = true;
    settle_changes(index, af_buf_slice(items));
    return AF_OK;
}

enum af_status af_index_sync(struct af_index *index, struct af_error *err)
{
    struct af_buf record, items;
    af_buf_init(&record, HEADER_BYTES + PAYLOAD_MAX);
    af_buf_init(&items, SIZE_MAX);
    af_mutex_lock(&index->file_lock);
    enum af_status status = sync_locked(index, &record, &items, err);
    af_mutex_unlock(&index->file_lock);
    af_buf_done(&record);
    af_buf_done(&items);
    return status;
}

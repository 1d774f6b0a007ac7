/*
 * room.c - room in the catalogue's two files for changes on a full disk; there an administrator must still be able to delete.
 *
 *     afluxo.sqlite       pages that are free are used before the file grows: some are kept
 *     afluxo.sqlite-wal   SQLite's log is written over from its beginning once all of it is in the file: it keeps its size
 *
 * So neither grows for a deletion. Both get the room by a row of so many pages that is written and deleted at once. What must never be: a
 * change that is in the log and does not fit in the file, for then the log is not written over any more, and grows. So the file is made
 * longer before the log is told of new pages; where that fails the disk is full, and SQLite is told to make no new pages until it is not.
 *
 * What a large statement may have to take back SQLite keeps in a temporary file, of the same disk for all we know: here in memory.
 *
 * The log outlives the connection. All of it is in the file then, and its header is wiped: whoever puts another file in the place of this
 * one must not find an old log beside it that SQLite takes for its own.
 */
#include "meta/meta_int.h"
#include <stdatomic.h>
#include <stdio.h>

enum { ROW_PAGES = 64, MORE_PAGES = 8 /* that such a row may need around it */, FREE_PAGES_MIN = 32, LOG_PAGES = 16 };
#define PAGES_MAX INT64_C(4294967294) /* SQLite's own */

static int64_t ask(struct af_meta *meta, const char *sql)
{
    struct meta_query q;
    meta_query_open(&q, meta, sql, NULL);
    int64_t value = meta_row(&q) ? meta_int(&q, 0) : -1;
    return meta_query_close(&q) == AF_OK ? value : -1;
}

void meta_room_begin(void)
{
    static atomic_flag is_told = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&is_told))
        (void)sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1); /* refused where somebody uses SQLite already */
}

/* The file itself, not what SQLite thinks is in it. */
static bool extend(struct af_meta *meta, int64_t pages)
{
    int step = (int)ask(meta, "PRAGMA page_size");
    sqlite3_int64 bytes = pages * step;
    return step > 0 && sqlite3_file_control(meta->db, "main", SQLITE_FCNTL_CHUNK_SIZE, &step) == SQLITE_OK &&
           sqlite3_file_control(meta->db, "main", SQLITE_FCNTL_SIZE_HINT, &bytes) == SQLITE_OK;
}

static void bind_pages(struct af_meta *meta, int64_t pages)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)pages);
    (void)!meta_run(meta, sql, NULL);
    meta->is_bound = pages != PAGES_MAX;
}

static void make_room(struct af_meta *meta, int64_t free_pages)
{
    char sql[128];
    int64_t pages = ask(meta, "PRAGMA page_count");
    bool is_full = free_pages < ROW_PAGES + MORE_PAGES && !extend(meta, pages + ROW_PAGES + MORE_PAGES - free_pages);
    if (is_full || meta->is_bound)
        bind_pages(meta, is_full ? pages : PAGES_MAX);
    if (is_full)
        return;
    (void)snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO setting (name, value) VALUES ('room', hex(zeroblob(%lld)))",
                   (long long)ROW_PAGES * ask(meta, "PRAGMA page_size") / 2);
    (void)!meta_run(meta, sql, NULL);
    (void)!meta_run(meta, "DELETE FROM setting WHERE name = 'room'", NULL);
    (void)!meta_run(meta, "PRAGMA wal_checkpoint(RESTART)", NULL);
}

void meta_room_open(struct af_meta *meta)
{
    char sql[64];
    (void)snprintf(sql, sizeof sql, "PRAGMA wal_autocheckpoint = %d", LOG_PAGES);
    (void)!meta_run(meta, sql, NULL);
    (void)!meta_run(meta, "PRAGMA wal_checkpoint(RESTART)", NULL); /* what a kill left in the log */
    make_room(meta, ask(meta, "PRAGMA freelist_count"));
}

void meta_room_check(struct af_meta *meta)
{
    int64_t free_pages = sqlite3_get_autocommit(meta->db) != 0 ? ask(meta, "PRAGMA freelist_count") : -1;
    if (free_pages >= 0 && (free_pages < FREE_PAGES_MIN || meta->is_bound))
        make_room(meta, free_pages);
}

void meta_room_close(struct af_meta *meta)
{
    static const char nothing[32];
    int stay = 1;
    sqlite3_file *log = NULL;
    int in_log = 1;
    int in_file = 0;
    if (sqlite3_wal_checkpoint_v2(meta->db, NULL, SQLITE_CHECKPOINT_FULL, &in_log, &in_file) != SQLITE_OK || in_log != in_file)
        return;
    if (sqlite3_file_control(meta->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log) != SQLITE_OK || log == NULL || log->pMethods == NULL)
        return;
    if (log->pMethods->xWrite(log, nothing, sizeof nothing, 0) == SQLITE_OK)
        (void)sqlite3_file_control(meta->db, "main", SQLITE_FCNTL_PERSIST_WAL, &stay);
}

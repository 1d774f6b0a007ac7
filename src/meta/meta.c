/*
 * meta.c - the file: opening, versions, statements; see meta.h and meta_int.h.
 *
 * Ids are stored as SQLite's signed integers, the same 64 bits. A user of 1.x and one of 2.x are the same; tokens carry their permissions
 * as lines of text `r|w type org id`. A version is a step: a new file takes all of them, an older one those that it lacks.
 */
#include "base/alloc.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "meta/meta_int.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>

enum { SCHEMA_VERSION = 2, BUSY_MS = 5000 };

static const char schema_1[] =
    "CREATE TABLE org (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, description TEXT NOT NULL, created INTEGER NOT NULL,"
    " updated INTEGER NOT NULL);"
    "CREATE TABLE bucket (id INTEGER PRIMARY KEY, org INTEGER NOT NULL REFERENCES org ON DELETE CASCADE, name TEXT NOT NULL,"
    " description TEXT NOT NULL, retention INTEGER NOT NULL, shard INTEGER NOT NULL, is_system INTEGER NOT NULL,"
    " created INTEGER NOT NULL, updated INTEGER NOT NULL, UNIQUE (org, name));"
    "CREATE TABLE dbrp (id INTEGER PRIMARY KEY, org INTEGER NOT NULL REFERENCES org ON DELETE CASCADE,"
    " bucket INTEGER NOT NULL REFERENCES bucket ON DELETE CASCADE, database TEXT NOT NULL, policy TEXT NOT NULL,"
    " is_default INTEGER NOT NULL, UNIQUE (org, database, policy));"
    "CREATE TABLE user (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, is_active INTEGER NOT NULL, is_admin INTEGER NOT NULL,"
    " password TEXT, created INTEGER NOT NULL, updated INTEGER NOT NULL);"
    "CREATE TABLE granted (user INTEGER NOT NULL REFERENCES user ON DELETE CASCADE, org INTEGER NOT NULL REFERENCES org ON DELETE CASCADE,"
    " database TEXT NOT NULL, grant_bits INTEGER NOT NULL, PRIMARY KEY (user, org, database));"
    "CREATE TABLE dropped (bucket INTEGER PRIMARY KEY);"
    "CREATE TRIGGER bucket_gone AFTER DELETE ON bucket BEGIN INSERT OR IGNORE INTO dropped VALUES (old.id); END;"
    "CREATE TRIGGER bucket_back AFTER INSERT ON bucket BEGIN DELETE FROM dropped WHERE bucket = new.id; END;"
    "CREATE INDEX bucket_name ON bucket (name);"
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);"
    "CREATE TABLE token (id INTEGER PRIMARY KEY, org INTEGER NOT NULL, user INTEGER NOT NULL, name TEXT NOT NULL,"
    " is_active INTEGER NOT NULL,"
    " digest BLOB NOT NULL UNIQUE, permissions TEXT NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL);"
    "PRAGMA user_version = 1;";

/* Continuous queries and subscriptions go with the database, or the policy, that they belong to: when its last bucket or mapping goes. */
#define HAS_DATABASE(of)                                                                                                                   \
    "EXISTS (SELECT 1 FROM dbrp d WHERE d.org = " of ".org AND d.database = " of ".database)"                                              \
    " OR EXISTS (SELECT 1 FROM bucket b WHERE b.org = " of ".org AND b.is_system = 0 AND (b.name = " of ".database"                        \
    " OR substr(b.name, 1, length(" of ".database) + 1) = " of ".database || '/'))"
#define HAS_POLICY(of)                                                                                                                     \
    "EXISTS (SELECT 1 FROM dbrp d WHERE d.org = " of ".org AND d.database = " of ".database AND d.policy = " of ".policy)"                 \
    " OR EXISTS (SELECT 1 FROM bucket b WHERE b.org = " of ".org AND b.is_system = 0 AND (b.name = " of ".database || '/'"                 \
    " || " of ".policy OR (" of ".policy = 'autogen' AND b.name = " of ".database)))"
#define FORGET_STANDING                                                                                                                    \
    "DELETE FROM continuous WHERE org = old.org AND NOT (" HAS_DATABASE("continuous") ");"                                                 \
    "DELETE FROM subscription WHERE org = old.org AND NOT (" HAS_POLICY("subscription") ");"
static const char schema_2[] =
    "CREATE TABLE continuous (id INTEGER PRIMARY KEY, org INTEGER NOT NULL REFERENCES org ON DELETE CASCADE, database TEXT NOT NULL,"
    " name TEXT NOT NULL, query TEXT NOT NULL, created INTEGER NOT NULL, UNIQUE (org, database, name));"
    "CREATE TABLE subscription (id INTEGER PRIMARY KEY, org INTEGER NOT NULL REFERENCES org ON DELETE CASCADE, database TEXT NOT NULL,"
    " policy TEXT NOT NULL, name TEXT NOT NULL, is_all INTEGER NOT NULL, destinations TEXT NOT NULL, created INTEGER NOT NULL,"
    " UNIQUE (org, database, policy, name));"
    "CREATE TRIGGER bucket_gone_standing AFTER DELETE ON bucket BEGIN " FORGET_STANDING " END;"
    "CREATE TRIGGER dbrp_gone_standing AFTER DELETE ON dbrp BEGIN " FORGET_STANDING " END;"
    "PRAGMA user_version = 2;";

/* --- failures ------------------------------------------------------------------------------------------------------------------ */

static enum af_status fail_sqlite(struct af_meta *meta, struct af_error *err)
{
    int code = sqlite3_errcode(meta->db);
    const char *words = sqlite3_errmsg(meta->db);
    switch (code & 0xff) {
    case SQLITE_NOMEM: return af_fail_nomem(err, "the catalogue");
    case SQLITE_FULL: return af_fail(err, AF_EFULL, "%s: the disk is full; make room", meta->path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return af_fail(err, AF_EBUSY, "%s: another process works on it (%s)", meta->path, words);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return af_fail(err, AF_ECORRUPT, "%s is damaged (%s); restore it from a backup", meta->path, words);
    case SQLITE_CONSTRAINT:
        if (sqlite3_extended_errcode(meta->db) == SQLITE_CONSTRAINT_FOREIGNKEY)
            return af_fail(err, AF_ENOTFOUND, "what this would belong to was removed in the meantime");
        return af_fail(err, AF_ECONFLICT, "%s", words);
    default: return af_fail(err, AF_EIO, "%s: %s", meta->path, words);
    }
}

/* --- statements ------------------------------------------------------------------------------------------------------------------ */

static void note(struct meta_query *q, int code)
{
    if (code != SQLITE_OK && q->status == AF_OK)
        q->status = fail_sqlite(q->meta, q->err);
}

/* Statements are kept prepared, by their text. One that is in use is not given twice. */
static struct meta_kept *kept_of(struct af_meta *meta, const char *sql)
{
    struct meta_kept *kept = &meta->kept[af_hash_bytes(sql, strlen(sql), 0) % META_KEPT_SLOTS];
    if (kept->is_used)
        return NULL;
    if (kept->stmt != NULL && strcmp(sqlite3_sql(kept->stmt), sql) != 0) {
        (void)sqlite3_finalize(kept->stmt);
        kept->stmt = NULL;
    }
    return kept;
}

void meta_query_open(struct meta_query *q, struct af_meta *meta, const char *sql, struct af_error *err)
{
    *q = (struct meta_query){ .meta = meta, .err = err, .kept = kept_of(meta, sql) };
    if (q->kept != NULL) {
        q->stmt = q->kept->stmt;
        q->kept->is_used = true;
    }
    if (q->stmt == NULL)
        note(q, sqlite3_prepare_v3(meta->db, sql, -1, q->kept != NULL ? SQLITE_PREPARE_PERSISTENT : 0, &q->stmt, NULL));
}

void meta_bind_int(struct meta_query *q, int64_t value)
{
    q->bound++;
    if (q->status == AF_OK)
        note(q, sqlite3_bind_int64(q->stmt, q->bound, value));
}

void meta_bind_id(struct meta_query *q, uint64_t id)
{
    meta_bind_int(q, (int64_t)id);
}

void meta_bind_text(struct meta_query *q, const char *text)
{
    q->bound++;
    if (q->status == AF_OK)
        note(q, text != NULL ? sqlite3_bind_text(q->stmt, q->bound, text, -1, SQLITE_TRANSIENT) : sqlite3_bind_null(q->stmt, q->bound));
}

void meta_bind_blob(struct meta_query *q, const void *bytes, size_t len)
{
    q->bound++;
    if (q->status == AF_OK)
        note(q, sqlite3_bind_blob64(q->stmt, q->bound, bytes, len, SQLITE_TRANSIENT));
}

static void print_list(const char *columns, const char *table, const struct af_meta_filter *f, struct af_buf *sql)
{
    const char *order = f->is_descending ? "DESC" : "ASC";
    char sign = f->is_descending ? '<' : '>';
    af_buf_printf(sql, "SELECT %s FROM %s WHERE 1%s%s%s%s", columns, table, f->id != 0 ? " AND id = ?" : "",
                  f->org != 0 ? " AND org = ?" : "",
                  f->name != NULL ? " AND name = ?" : "", f->user != 0 ? " AND user = ?" : "");
    if (f->after != 0)
        af_buf_printf(sql, " AND coalesce((name, id) %c (SELECT name, id FROM %s WHERE id = ?), id %c ?)", sign, table, sign);
    af_buf_printf(sql, " ORDER BY name %s, id %s LIMIT ? OFFSET ?", order, order);
}

void meta_list_open(struct meta_query *q, struct af_meta *meta, const char *columns, const char *table, const struct af_meta_filter *f,
                    struct af_error *err)
{
    struct af_buf sql;
    af_buf_init(&sql, 4096);
    print_list(columns, table, f, &sql);
    meta_query_open(q, meta, af_buf_cstr(&sql), err);
    if (af_buf_check(&sql, "a statement", err) != AF_OK)
        q->status = AF_ENOMEM;
    af_buf_done(&sql);
    if (f->id != 0)
        meta_bind_id(q, f->id);
    if (f->org != 0)
        meta_bind_id(q, f->org);
    if (f->name != NULL)
        meta_bind_text(q, f->name);
    if (f->user != 0)
        meta_bind_id(q, f->user);
    for (int i = 0; i < 2 && f->after != 0; i++)
        meta_bind_id(q, f->after);
    meta_bind_int(q, f->limit != 0 && f->limit <= INT64_MAX ? (int64_t)f->limit : -1);
    meta_bind_int(q, f->offset <= INT64_MAX ? (int64_t)f->offset : INT64_MAX);
}

bool meta_row(struct meta_query *q)
{
    if (q->status != AF_OK)
        return false;
    int code = sqlite3_step(q->stmt);
    if (code == SQLITE_ROW)
        return true;
    note(q, code == SQLITE_DONE ? SQLITE_OK : code);
    return false;
}

int64_t meta_int(struct meta_query *q, int column)
{
    return sqlite3_column_int64(q->stmt, column);
}

uint64_t meta_id(struct meta_query *q, int column)
{
    return (uint64_t)meta_int(q, column);
}

bool meta_is_null(struct meta_query *q, int column)
{
    return sqlite3_column_type(q->stmt, column) == SQLITE_NULL;
}

const char *meta_text(struct meta_query *q, int column, struct af_arena *arena)
{
    const void *text = sqlite3_column_text(q->stmt, column);
    size_t len = (size_t)sqlite3_column_bytes(q->stmt, column);
    char *copy = af_arena_copy(arena, text != NULL ? af_slice_make(text, len) : AF_SLICE_LIT(""));
    if (copy == NULL && q->status == AF_OK)
        q->status = af_arena_fail(arena, len, "the catalogue", q->err);
    return copy;
}

void *meta_grow(struct meta_query *q, void **items, size_t *count, size_t bytes, struct af_arena *arena)
{
    size_t n = *count;
    if (n == 0 || (n >= 16 && (n & (n - 1)) == 0)) { /* room for 16, then twice as many */
        void *grown = af_arena_zero(arena, n == 0 ? 16 : n * 2, bytes);
        if (grown == NULL) {
            if (q->status == AF_OK)
                q->status = af_arena_fail(arena, bytes * n, "the catalogue", q->err);
            return NULL;
        }
        if (n != 0)
            memcpy(grown, *items, n * bytes);
        *items = grown;
    }
    *count = n + 1;
    return (char *)*items + n * bytes;
}

enum af_status meta_query_close(struct meta_query *q)
{
    if (q->kept != NULL) {
        if (q->stmt != NULL) { /* it could be prepared */
            (void)sqlite3_reset(q->stmt); /* its failure was the step's, and is noted */
            (void)sqlite3_clear_bindings(q->stmt);
        }
        q->kept->stmt = q->stmt;
        q->kept->is_used = false;
    } else {
        (void)sqlite3_finalize(q->stmt);
    }
    q->stmt = NULL;
    return q->status;
}

enum af_status meta_change(struct meta_query *q, const char *conflict_fmt, const char *name)
{
    struct af_error *err = q->err;
    meta_room_check(q->meta);
    while (meta_row(q))
        continue;
    bool is_conflict = q->status == AF_ECONFLICT && conflict_fmt != NULL;
    enum af_status status = meta_query_close(q);
    meta_forget(q->meta);
    if (is_conflict)
        return af_fail(err, AF_ECONFLICT, conflict_fmt, name); // NOLINT: the formats are ours
    return status;
}

enum af_status meta_must_change(struct meta_query *q, const char *conflict_fmt, const char *name, const char *what)
{
    struct af_meta *meta = q->meta;
    struct af_error *err = q->err;
    AF_TRY(meta_change(q, conflict_fmt, name));
    return sqlite3_changes(meta->db) != 0 ? AF_OK : af_fail(err, AF_ENOTFOUND, "%s not found", what);
}

enum af_status meta_run(struct af_meta *meta, const char *sql, struct af_error *err)
{
    return sqlite3_exec(meta->db, sql, NULL, NULL, NULL) == SQLITE_OK ? AF_OK : fail_sqlite(meta, err);
}

enum af_status meta_begin(struct af_meta *meta, struct af_error *err)
{
    meta_room_check(meta);
    return meta_run(meta, "BEGIN IMMEDIATE", err);
}

enum af_status meta_end(struct af_meta *meta, enum af_status status, struct af_error *err)
{
    if (status == AF_OK)
        status = meta_run(meta, "COMMIT", err);
    if (status != AF_OK)
        (void)!meta_run(meta, "ROLLBACK", NULL);
    meta_forget(meta);
    return status;
}

/* --- opening ----------------------------------------------------------------------------------------------------------------------- */

static enum af_status read_version(struct af_meta *meta, int64_t *out, struct af_error *err)
{
    struct meta_query q;
    meta_query_open(&q, meta, "PRAGMA user_version", err);
    *out = meta_row(&q) ? meta_int(&q, 0) : 0;
    return meta_query_close(&q);
}

static enum af_status bring_forward(struct af_meta *meta, struct af_error *err)
{
    int64_t version = 0;
    AF_TRY(read_version(meta, &version, err));
    if (version > SCHEMA_VERSION)
        return af_fail(err, AF_EUNSUPPORTED, "%s was made by a newer afluxo (catalogue version %lld, this one knows %d); use that one",
                       meta->path, (long long)version, SCHEMA_VERSION);
    if (version == SCHEMA_VERSION)
        return AF_OK;
    AF_TRY(meta_begin(meta, err));
    enum af_status status = version < 1 ? meta_run(meta, schema_1, err) : AF_OK;
    if (status == AF_OK)
        status = meta_run(meta, schema_2, err);
    return meta_end(meta, status, err);
}

/* 0600 before a secret is in it: made by us, empty, before SQLite sees it. */
static enum af_status make_private(const char *path, struct af_error *err)
{
    return af_path_kind(path) == AF_PATH_NONE ? af_file_write_atomic(path, (struct af_slice){ 0 }, true, err) : AF_OK;
}

static enum af_status open_db(struct af_meta *meta, const char *path, struct af_error *err)
{
    AF_TRY(make_private(path, err));
    meta_room_begin();
    if (sqlite3_open_v2(path, &meta->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return meta->db != NULL ? fail_sqlite(meta, err) : af_fail_nomem(err, "the catalogue");
    (void)sqlite3_busy_timeout(meta->db, BUSY_MS);
    /* EXCLUSIVE: the directory has one owner anyway, and every read would cost eight calls for locks. */
    AF_TRY(meta_run(meta, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                       "PRAGMA foreign_keys = ON;", err));
    AF_TRY(bring_forward(meta, err));
    meta_room_open(meta);
    return AF_OK;
}

enum af_status af_meta_open(const char *path, struct af_meta **out, struct af_error *err)
{
    struct af_meta *meta = af_alloc_zero(1, sizeof *meta);
    size_t len = strlen(path) + 1;
    if (meta == NULL)
        return af_fail_nomem(err, "the catalogue");
    af_mutex_init(&meta->lock);
    af_mutex_init(&meta->hash_lock);
    af_random_bytes(meta->salt, sizeof meta->salt);
    for (size_t i = 0; i < META_CACHE_SLOTS; i++)
        af_arena_init(&meta->known[i].arena, SIZE_MAX / 2);
    meta_places_init(meta);
    meta->path = af_alloc(len);
    enum af_status status = meta->path != NULL ? AF_OK : af_fail_nomem(err, "the catalogue");
    if (status == AF_OK) {
        memcpy(meta->path, path, len);
        status = open_db(meta, path, err);
    }
    if (status != AF_OK) {
        af_meta_close(meta);
        return status;
    }
    *out = meta;
    return AF_OK;
}

void af_meta_close(struct af_meta *meta)
{
    if (meta == NULL)
        return;
    for (size_t i = 0; i < META_KEPT_SLOTS; i++)
        (void)sqlite3_finalize(meta->kept[i].stmt);
    if (meta->db != NULL)
        meta_room_close(meta);
    (void)sqlite3_close(meta->db);
    for (size_t i = 0; i < META_CACHE_SLOTS; i++)
        af_arena_done(&meta->known[i].arena);
    meta_places_done(meta);
    af_wipe(meta->salt, sizeof meta->salt);
    af_mutex_done(&meta->hash_lock);
    af_mutex_done(&meta->lock);
    af_free(meta->path);
    af_free(meta);
}

/* --- ids, names, time --------------------------------------------------------------------------------------------------------------- */

void af_id_print(uint64_t id, char out[AF_ID_TEXT_BYTES])
{
    (void)snprintf(out, AF_ID_TEXT_BYTES, "%016llx", (unsigned long long)id);
}

bool af_id_parse(const char *text, uint64_t *out)
{
    uint64_t id = 0;
    size_t n = 0;
    for (; text[n] != '\0' && n <= 16; n++) {
        char c = text[n];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        id = id << 4 | (uint64_t)digit;
    }
    if (n != 16 || id == 0)
        return false;
    *out = id;
    return true;
}

uint64_t meta_new_id(void)
{
    uint64_t id = 0;
    while (id == 0) {
        af_random_bytes(&id, sizeof id);
        id &= INT64_MAX; /* ascending in SQLite as in text */
    }
    return id;
}

int64_t meta_now_ns(void)
{
    return af_clock_now_ns();
}

enum af_status meta_check_name(const char *name, const char *what, struct af_error *err)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (len == 0)
        return af_fail(err, AF_EINVAL, "%s name is empty", what);
    if (len > AF_SERVER_NAME_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "%s name is longer than %d bytes", what, AF_SERVER_NAME_BYTES_MAX);
    if (!af_utf8_is_valid(af_slice_of(name)))
        return af_fail(err, AF_EINVAL, "%s name is not UTF-8", what);
    return AF_OK;
}

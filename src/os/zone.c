/*
 * zone.c - time zones by name; see zone.h.
 *
 * Tables that were read once stay in a list that only grows, under a lock; a zone points into it for good.
 */
#include "os/zone.h"
#include "base/buf.h"
#include "os/file.h"
#include "os/thread.h"
#include <stdio.h>

#define DATABASE "/usr/share/zoneinfo"

enum {
    NAME_BYTES_MAX = 64,
    FILE_BYTES_MAX = 1 << 20,
    TABLES_MAX = 1024, /* the database has about 600 names */
};

static struct {
    pthread_mutex_t lock; /* of what follows */
    size_t count;
    struct af_zone_table *tables[TABLES_MAX];
} cache = { .lock = PTHREAD_MUTEX_INITIALIZER };

static enum af_status unknown(struct af_slice name, struct af_error *err)
{
    return af_fail(err, AF_EINVAL, "unknown time zone " AF_SLICE_FMT, AF_SLICE_ARG(name));
}

static bool is_name_char(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '+' || c == '/';
}

/* Names of the database have no dots: neither ".." nor the files beside the zones pass. */
static bool is_name(struct af_slice name)
{
    if (name.len == 0 || name.len > NAME_BYTES_MAX || name.ptr[0] == '/')
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!is_name_char(name.ptr[i]))
            return false;
    return true;
}

static enum af_status read_table(struct af_slice name, struct af_zone_table **out, struct af_error *err)
{
    char path[sizeof DATABASE + 1 + NAME_BYTES_MAX];
    char own_name[NAME_BYTES_MAX + 1];
    memcpy(own_name, name.ptr, name.len);
    own_name[name.len] = '\0';
    (void)snprintf(path, sizeof path, "%s/%s", DATABASE, own_name);
    if (af_path_kind(DATABASE) != AF_PATH_DIR)
        return af_fail(err, AF_ENOTFOUND, "there is no time zone database in %s: install the package tzdata", DATABASE);
    if (af_path_kind(path) != AF_PATH_FILE)
        return unknown(name, err);
    struct af_buf bytes;
    af_buf_init(&bytes, FILE_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK && !af_slice_has_prefix(af_buf_slice(&bytes), "TZif"))
        status = unknown(name, err);
    if (status == AF_OK)
        status = af_zone_table_new(af_buf_slice(&bytes), own_name, out, err);
    af_buf_done(&bytes);
    return status;
}

static enum af_status find_locked(struct af_slice name, const struct af_zone_table **out, struct af_error *err)
{
    for (size_t i = 0; i < cache.count; i++)
        if (af_slice_is(name, af_zone_table_name(cache.tables[i]))) {
            *out = cache.tables[i];
            return AF_OK;
        }
    if (cache.count == TABLES_MAX)
        return af_fail(err, AF_ELIMIT, "more than %d time zones are in use", (int)TABLES_MAX);
    struct af_zone_table *table;
    AF_TRY(read_table(name, &table, err));
    cache.tables[cache.count++] = table;
    *out = table;
    return AF_OK;
}

enum af_status af_zone_find(struct af_slice name, struct af_zone *out, struct af_error *err)
{
    struct af_zone zone = { .kind = AF_ZONE_FIXED };
    if (name.len == 0 || af_zone_parse(name, &zone, NULL) == AF_OK) {
        *out = zone;
        return AF_OK;
    }
    if (!is_name(name))
        return unknown(name, err);
    pthread_mutex_lock(&cache.lock);
    zone.kind = AF_ZONE_TABLE;
    enum af_status status = find_locked(name, &zone.table, err);
    pthread_mutex_unlock(&cache.lock);
    if (status == AF_OK)
        *out = zone;
    return status;
}

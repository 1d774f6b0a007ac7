/*
 * manifest.c - what a backup directory holds: the newest manifest of either kind; see docs/formats/backup.md.
 *
 * Ours say both: "buckets" for 2.x (and us), "meta" and "files" for 1.x. Those of a 1.x server may be one of several in a directory; what
 * the newest has no file for is taken from an older one.
 */
#include "format/json/json.h"
#include "os/file.h"
#include "transfer/transfer_int.h"

enum { MANIFEST_BYTES_MAX = 64 << 20, MANIFESTS_MAX = 4096 };

enum af_status transfer_split_name(const char *name, struct af_arena *arena, const char **out_database, const char **out_policy,
                                   struct af_error *err)
{
    const char *slash = strchr(name, '/');
    bool is_pair = slash != NULL && slash != name && slash[1] != '\0';
    *out_database = is_pair ? af_arena_copy(arena, af_slice_make(name, (size_t)(slash - name))) : name;
    *out_policy = is_pair ? slash + 1 : "autogen";
    return *out_database != NULL ? AF_OK : af_fail_nomem(err, "a name");
}

const char *transfer_join_name(struct af_arena *arena, const char *database, const char *policy)
{
    return strcmp(policy, "autogen") == 0 ? database : af_arena_printf(arena, "%s/%s", database, policy);
}

/* --- which ------------------------------------------------------------------------------------------------------------------ */

struct manifests {
    struct af_arena *arena;
    const char *paths[MANIFESTS_MAX]; /* ascending by name, so by time */
    size_t count;
};

static enum af_status on_file(void *ctx, const char *path, struct af_error *err)
{
    struct manifests *m = ctx;
    size_t len = strlen(path);
    if (len < 9 || strcmp(path + len - 9, ".manifest") != 0)
        return AF_OK;
    if (m->count == MANIFESTS_MAX)
        return af_fail(err, AF_ELIMIT, "%s: more than %d manifests in a directory", path, MANIFESTS_MAX);
    m->paths[m->count] = af_arena_copy(m->arena, af_slice_of(path));
    return m->paths[m->count++] != NULL ? AF_OK : af_fail_nomem(err, "a list of manifests");
}

static enum af_status find_manifests(const char *dir, struct af_arena *arena, struct manifests **out, struct af_error *err)
{
    struct manifests *m = af_arena_zero(arena, 1, sizeof *m);
    if (m == NULL)
        return af_fail_nomem(err, "a list of manifests");
    m->arena = arena;
    AF_TRY(af_dir_list(dir, on_file, m, err));
    if (m->count == 0)
        return af_fail(err, AF_ENOTFOUND, "%s holds no backup: there is no *.manifest in it (one that was interrupted has none)", dir);
    *out = m;
    return AF_OK;
}

bool af_backup_is(const char *dir)
{
    struct af_arena arena;
    struct manifests *m;
    af_arena_init(&arena, SIZE_MAX / 2);
    bool is = af_path_kind(dir) == AF_PATH_DIR && find_manifests(dir, &arena, &m, NULL) == AF_OK;
    af_arena_done(&arena);
    return is;
}

/* --- what it says ----------------------------------------------------------------------------------------------------------- */

static enum af_status read_text(const char *path, struct af_arena *arena, struct af_slice *out, struct af_error *err)
{
    struct af_buf bytes;
    af_buf_init(&bytes, MANIFEST_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &bytes, err);
    if (status == AF_OK) {
        out->ptr = af_arena_copy(arena, af_buf_slice(&bytes));
        out->len = bytes.len;
        status = out->ptr != NULL ? AF_OK : af_fail_nomem(err, path);
    }
    af_buf_done(&bytes);
    return status;
}

static enum af_status read_v1(const char *dir, const struct manifests *m, struct af_slice newest, struct af_arena *arena,
                              struct af_portable *out, struct af_error *err)
{
    const char *meta_name;
    struct af_slice meta;
    AF_TRY(af_portable_v1_meta_name(newest, arena, &meta_name, err));
    const char *path = transfer_path(arena, dir, transfer_base_name(meta_name));
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(read_text(path, arena, &meta, err));
    AF_TRY(af_portable_v1_parse(newest, meta, arena, out, err));
    for (size_t i = m->count - 1; i-- > 0;) {
        struct af_slice older;
        AF_TRY(read_text(m->paths[i], arena, &older, err));
        AF_TRY(af_portable_v1_add_files(older, arena, out, err));
    }
    for (size_t i = 0; i < out->bucket_count; i++) {
        out->buckets[i].database = transfer_join_name(arena, out->buckets[i].database, out->buckets[i].policy);
        if (out->buckets[i].database == NULL)
            return af_fail_nomem(err, "a name");
    }
    return AF_OK;
}

enum af_status transfer_manifest_read(const char *dir, struct af_arena *arena, struct transfer_backup *out, struct af_error *err)
{
    struct manifests *m;
    struct af_slice text;
    struct af_json *json;
    *out = (struct transfer_backup){ 0 };
    AF_TRY(find_manifests(dir, arena, &m, err));
    const char *newest = m->paths[m->count - 1];
    AF_TRY(read_text(newest, arena, &text, err));
    enum af_status status = af_json_parse(text, arena, &json, err);
    if (status == AF_OK) {
        out->sums = af_json_get(json, "sha256");
        const struct af_json *buckets = af_json_get(json, "buckets");
        out->is_v1 = buckets == NULL;
        if (buckets != NULL && buckets->kind != AF_JSON_ARRAY)
            status = af_fail(err, AF_ECORRUPT, "\"buckets\" is no list");
        else
            status = out->is_v1 ? read_v1(dir, m, text, arena, &out->content, err) : af_portable_v2_parse(text, arena, &out->content, err);
    }
    if (status != AF_OK)
        af_error_prefix(err, "%s: ", newest);
    return status;
}

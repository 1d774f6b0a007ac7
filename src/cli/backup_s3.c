/* backup_s3.c - see backup_s3.h. */
#include "cli/backup_s3.h"
#include "aws/s3.h"
#include "base/alloc.h"
#include "cli/cli.h"
#include "format/json/json.h"
#include "os/clock.h"
#include "os/tree.h"
#include <inttypes.h>

enum { PIECE_BYTES = 1 << 20, MANIFEST_BYTES_MAX = 256 << 20, NAMES_MAX = 100000, CALM_MEMORY = 16 << 20 };

struct name {
    struct name *next;
    const char *text;
};

struct af_cli_backup_s3 {
    struct af_cli_sources sources; /* its S3 polls the interruption */
    struct af_s3 *s3;              /* that one */
    struct af_s3 *calm;            /* without: a backup that was stopped is taken back */
    struct af_arena arena;
    char bucket[256];
    const char *prefix;            /* "", or ends with a slash */
    const char *dir;
    struct af_backup_elsewhere elsewhere;
    /* a backup */
    const char *claim;             /* key of NAME.running; NULL: not ours yet */
    struct name *put;              /* keys, the last one first */
    bool is_others;                /* somebody else has the manifest of this name */
    /* a restore */
    const char *chosen;            /* NAME.manifest that was asked for; NULL: the newest */
    struct name *found;            /* manifests and catalogues, the last one first */
    size_t found_count;
};

static const char *key_of(struct af_cli_backup_s3 *b, const char *name, const char *ending)
{
    return af_arena_printf(&b->arena, "%s%s%s", b->prefix, name, ending);
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t len = strlen(text), end_len = strlen(end);
    return len > end_len && strcmp(text + len - end_len, end) == 0;
}

static enum af_status add_name(struct af_cli_backup_s3 *b, struct name **list, const char *text, struct af_error *err)
{
    struct name *name = af_arena_zero(&b->arena, 1, sizeof *name);
    const char *kept = af_arena_copy(&b->arena, af_slice_of(text));
    if (name == NULL || kept == NULL)
        return af_fail_nomem(err, "a list of objects");
    *name = (struct name){ *list, kept };
    *list = name;
    return AF_OK;
}

/* --- a backup: its name ------------------------------------------------------------------------------------------------------ */

static enum af_status on_taken(void *ctx, const struct af_s3_object *object, struct af_error *err)
{
    const struct af_cli_backup_s3 *b = ctx;
    return af_fail(err, AF_ECONFLICT, "s3://%s/%s is there already: a backup of this second", b->bucket, object->key);
}

static enum af_status begin(void *ctx, const char *name, struct af_error *err)
{
    struct af_cli_backup_s3 *b = ctx;
    const char *all = key_of(b, name, ".");
    const char *claim = key_of(b, name, ".running");
    if (all == NULL || claim == NULL)
        return af_fail_nomem(err, "a name");
    AF_TRY(af_s3_list(b->s3, b->bucket, all, af_interrupt_flag(), on_taken, b, err));
    char text[128]; /* of each run another one: that is how S3 tells competitors apart */
    (void)snprintf(text, sizeof text, "a backup is being taken, or was interrupted: %" PRId64 " %" PRId64 "\n", af_clock_now_ns(),
                   af_clock_mono_ns());
    enum af_status status = af_s3_put(b->s3, b->bucket, claim, af_slice_of(text), "text/plain", AF_S3_IF_NEW, NULL, NULL, err);
    if (status == AF_ECONFLICT)
        return af_fail(err, AF_ECONFLICT, "s3://%s/%s is there already: another backup of this second", b->bucket, claim);
    if (status == AF_OK)
        b->claim = claim;
    return status;
}

/* --- a backup: its files ----------------------------------------------------------------------------------------------------- */

static enum af_status send_pieces(struct af_s3_upload *upload, struct af_reader *reader, struct af_error *err)
{
    enum af_status status = AF_OK;
    char *bytes = af_alloc(PIECE_BYTES);
    if (bytes == NULL)
        return af_fail_nomem(err, "a piece of an archive");
    for (uint64_t at = 0; at < reader->size && status == AF_OK;) {
        const size_t n = reader->size - at < PIECE_BYTES ? (size_t)(reader->size - at) : PIECE_BYTES;
        status = af_reader_read(reader, at, bytes, n, err);
        if (status == AF_OK)
            status = af_s3_upload_write(upload, af_slice_make(bytes, n), err);
        at += n;
    }
    af_free(bytes);
    return status == AF_OK ? af_s3_upload_finish(upload, err) : status;
}

static enum af_status put_parts(struct af_cli_backup_s3 *b, const char *path, const char *key, struct af_error *err)
{
    struct af_reader *reader;
    struct af_s3_upload *upload = NULL;
    AF_TRY(af_file_reader_open(path, &reader, err));
    enum af_status status = af_s3_upload_begin(b->s3, b->bucket, key, "application/octet-stream", &upload, err);
    if (status == AF_OK)
        status = send_pieces(upload, reader, err);
    af_s3_upload_free(upload);
    af_reader_close(reader);
    return status;
}

static enum af_status put_manifest(struct af_cli_backup_s3 *b, const char *path, const char *key, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, MANIFEST_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &text, err);
    if (status == AF_OK)
        status = af_s3_put(b->s3, b->bucket, key, af_buf_slice(&text), "application/json", AF_S3_IF_NEW, NULL, NULL, err);
    af_buf_done(&text);
    b->is_others = status == AF_ECONFLICT;
    return status;
}

static enum af_status put(void *ctx, const char *path, struct af_error *err)
{
    struct af_cli_backup_s3 *b = ctx;
    const char *key = key_of(b, last_part(path), "");
    if (key == NULL)
        return af_fail_nomem(err, "a name");
    AF_TRY(add_name(b, &b->put, key, err)); /* already now: its failure may have come after its success */
    return ends_with(key, ".manifest") ? put_manifest(b, path, key, err) : put_parts(b, path, key, err);
}

/* Without its manifest it is no backup: that goes first, and where it will not, the archives stay. */
static enum af_status take_back(struct af_cli_backup_s3 *b, struct af_error *err)
{
    if (b->is_others)
        return AF_OK;
    for (const struct name *name = b->put; name != NULL; name = name->next)
        AF_TRY(af_s3_delete(b->calm, b->bucket, name->text, err));
    return AF_OK;
}

void af_cli_backup_s3_end(struct af_cli_backup_s3 *b, bool is_well)
{
    struct af_error err = { 0 };
    if (b->claim == NULL)
        return;
    enum af_status status = is_well ? AF_OK : take_back(b, &err);
    if (status == AF_OK)
        status = af_s3_delete(b->calm, b->bucket, b->claim, &err);
    if (status != AF_OK)
        af_cli_warn("%s stays in S3: %s", is_well ? b->claim : "what was put of the failed backup", err.message);
}

/* --- a restore --------------------------------------------------------------------------------------------------------------- */

static enum af_status receive(struct af_reader *reader, struct af_file *out, struct af_error *err)
{
    const struct af_range all = { 0, reader->size };
    enum af_status status = AF_OK;
    char *bytes = af_alloc(PIECE_BYTES);
    if (bytes == NULL)
        return af_fail_nomem(err, "a piece of an archive");
    if (reader->size != 0)
        af_reader_will_need(reader, &all, 1);
    for (uint64_t at = 0; at < reader->size && status == AF_OK;) {
        const size_t n = reader->size - at < PIECE_BYTES ? (size_t)(reader->size - at) : PIECE_BYTES;
        status = af_reader_read(reader, at, bytes, n, err);
        if (status == AF_OK)
            status = af_file_write(out, af_slice_make(bytes, n), err);
        at += n;
    }
    af_free(bytes);
    return status;
}

static enum af_status get_to(struct af_reader *reader, const char *path, uint64_t bytes, struct af_error *err)
{
    struct af_file *out;
    if (bytes != 0 && reader->size != bytes)
        return af_fail(err, AF_ECORRUPT, "%s has %" PRIu64 " bytes, the manifest says %" PRIu64, reader->name, reader->size, bytes);
    AF_TRY(af_file_open(path, AF_FILE_NEW, &out, err));
    enum af_status status = receive(reader, out, err);
    af_file_close(out);
    return status;
}

static enum af_status get(void *ctx, const char *path, uint64_t bytes, struct af_error *err)
{
    struct af_cli_backup_s3 *b = ctx;
    struct af_reader *reader;
    const char *key = key_of(b, last_part(path), "");
    if (key == NULL)
        return af_fail_nomem(err, "a name");
    AF_TRY(af_s3_reader_open(b->s3, b->bucket, key, NULL, &reader, err));
    enum af_status status = get_to(reader, path, bytes, err);
    af_reader_close(reader);
    return status;
}

static enum af_status on_object(void *ctx, const struct af_s3_object *object, struct af_error *err)
{
    struct af_cli_backup_s3 *b = ctx;
    const char *name = object->key + strlen(b->prefix);
    if (strchr(name, '/') != NULL || (!ends_with(name, ".manifest") && !ends_with(name, ".meta")))
        return AF_OK;
    if (b->found_count++ == NAMES_MAX)
        return af_fail(err, AF_ELIMIT, "s3://%s/%s: more than %d manifests under one prefix", b->bucket, b->prefix, NAMES_MAX);
    return add_name(b, &b->found, name, err);
}

static enum af_status get_small(struct af_cli_backup_s3 *b, const char *name, struct af_error *err)
{
    const char *path = af_arena_printf(&b->arena, "%s/%s", b->dir, name);
    return path != NULL ? get(b, path, 0, err) : af_fail_nomem(err, "a path");
}

/* A manifest of 2.x or of ours says all there is to know. */
static enum af_status is_alone(struct af_cli_backup_s3 *b, const char *name, bool *out, struct af_error *err)
{
    struct af_buf text;
    struct af_json *json;
    const char *path = af_arena_printf(&b->arena, "%s/%s", b->dir, name);
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    af_buf_init(&text, MANIFEST_BYTES_MAX);
    enum af_status status = af_file_read_all(path, &text, err);
    if (status == AF_OK)
        status = af_json_parse(af_buf_slice(&text), &b->arena, &json, err);
    if (status == AF_OK)
        *out = af_json_get(json, "buckets") != NULL;
    else
        af_error_prefix(err, "s3://%s/%s%s: ", b->bucket, b->prefix, name);
    af_buf_done(&text);
    return status;
}

enum af_status af_cli_backup_s3_manifest(struct af_cli_backup_s3 *b, struct af_error *err)
{
    bool alone = false;
    AF_TRY(af_s3_list(b->s3, b->bucket, b->prefix, af_interrupt_flag(), on_object, b, err));
    const char *newest = b->chosen;
    for (const struct name *name = b->found; name != NULL && newest == NULL; name = name->next)
        newest = ends_with(name->text, ".manifest") ? name->text : NULL;
    if (newest == NULL)
        return af_fail(err, AF_ENOTFOUND, "s3://%s/%s holds no backup: there is no *.manifest in it (one that was interrupted has none)",
                       b->bucket, b->prefix);
    AF_TRY(get_small(b, newest, err));
    AF_TRY(is_alone(b, newest, &alone, err));
    for (const struct name *name = b->found; name != NULL && !alone; name = name->next)
        if (ends_with(name->text, ".meta") || strcmp(name->text, newest) < 0)
            AF_TRY(get_small(b, name->text, err));
    return AF_OK;
}

/* --- both -------------------------------------------------------------------------------------------------------------------- */

static enum af_status parse_url(struct af_cli_backup_s3 *b, const char *url, struct af_error *err)
{
    struct af_s3_name name;
    AF_TRY(af_s3_name_parse(url, &name, err));
    memcpy(b->bucket, name.bucket, sizeof b->bucket);
    size_t len = strlen(name.key);
    if (ends_with(name.key, ".manifest")) {
        b->chosen = af_arena_copy(&b->arena, af_slice_of(last_part(name.key)));
        len = (size_t)(last_part(name.key) - name.key);
    }
    while (len != 0 && name.key[len - 1] == '/')
        len--;
    name.key[len] = '\0';
    b->prefix = af_arena_printf(&b->arena, "%s%s", name.key, len != 0 ? "/" : "");
    return b->prefix != NULL ? AF_OK : af_fail_nomem(err, "a name");
}

static enum af_status open_all(struct af_cli_backup_s3 *b, struct af_cli *cli, const char *url, const char *house, struct af_error *err)
{
    const struct af_s3_options calm = { .memory_bytes = CALM_MEMORY };
    AF_TRY(parse_url(b, url, err));
    b->dir = af_arena_printf(&b->arena, "%s/archives.tmp", house);
    if (b->dir == NULL)
        return af_fail_nomem(err, "a path");
    const struct af_source_from from = af_cli_source_from(cli, &b->sources);
    AF_TRY(from.s3(from.ctx, &b->s3, err));
    AF_TRY(af_s3_open(b->sources.aws, &calm, &b->calm, err));
    AF_TRY(af_dir_remove(b->dir, err)); /* of a run that was killed */
    return af_dir_make(b->dir, err);
}

enum af_status af_cli_backup_s3_open(struct af_cli *cli, const char *url, const char *house, struct af_cli_backup_s3 **out,
                                     struct af_error *err)
{
    struct af_cli_backup_s3 *b = af_alloc_zero(1, sizeof *b);
    if (b == NULL)
        return af_fail_nomem(err, "a backup");
    af_arena_init(&b->arena, SIZE_MAX / 2);
    b->elsewhere = (struct af_backup_elsewhere){ begin, put, get, b };
    enum af_status status = open_all(b, cli, url, house, err);
    if (status != AF_OK)
        af_cli_backup_s3_close(b);
    else
        *out = b;
    return status;
}

const struct af_backup_elsewhere *af_cli_backup_s3_elsewhere(const struct af_cli_backup_s3 *b)
{
    return &b->elsewhere;
}

const char *af_cli_backup_s3_dir(const struct af_cli_backup_s3 *b)
{
    return b->dir;
}

void af_cli_backup_s3_close(struct af_cli_backup_s3 *b)
{
    if (b == NULL)
        return;
    if (b->dir != NULL)
        (void)!af_dir_remove(b->dir, NULL);
    af_s3_close(b->calm);
    af_cli_close_sources(&b->sources);
    af_arena_done(&b->arena);
    af_free(b);
}

/*
 * fetch.c - buckets of a running InfluxDB 2.x into a house, through its backup API.
 *
 *     GET backup/metadata ---> DIR/server.manifest, each shard with a file ID.tar ---> restore.c, which wants the files one by one
 *     GET backup/shards/ID --> DIR/ID.tar: TSM files and tombstones ---> unpacked, every block checked, landed
 *
 * The server's own catalogue (parts "kv" and "sql": users, tokens, dashboards) is passed over.
 */
#include "base/numbers.h"
#include "os/tree.h"
#include "transfer/bulkload_int.h"
#include <inttypes.h>

enum { MANIFEST_BYTES_MAX = 256 << 20 };

static bool is_wanted_here(const struct load *load, const struct af_portable_bucket *bucket)
{
    const struct af_bulkload_options *o = load->options;
    return (o->org == NULL || strcmp(bucket->org_name, o->org) == 0) &&
           (o->bucket == NULL ? bucket->database[0] != '_' : strcmp(bucket->database, o->bucket) == 0);
}

/* Those that are wanted move to the front, each shard with the name of a file that is still to come. */
static enum af_status choose(struct load *load, struct af_portable *all, struct af_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < all->bucket_count; i++) {
        if (!is_wanted_here(load, &all->buckets[i]))
            continue;
        struct af_portable_bucket *bucket = &all->buckets[count++];
        *bucket = all->buckets[i];
        if (bucket->org != all->buckets[0].org)
            return af_fail(err, AF_EINVAL, "%s has several organisations, \"%s\" and \"%s\" among them: a backup is of one, say --org",
                           load->base, all->buckets[0].org_name, bucket->org_name);
        for (size_t k = 0; k < bucket->shard_count; k++) {
            bucket->shards[k].file_name = af_arena_printf(&load->arena, "%" PRIu64 ".tar", bucket->shards[k].id);
            bucket->shards[k].is_gzip = false;
            bucket->shards[k].file_bytes = 0;
            if (bucket->shards[k].file_name == NULL)
                return af_fail_nomem(err, "a list of shards");
        }
    }
    all->bucket_count = count;
    if (count == 0 && (load->options->bucket != NULL || load->options->org != NULL))
        return af_fail(err, AF_ENOTFOUND, "%s: there is no such bucket (of the organisation and name that were asked for)", load->base);
    return AF_OK;
}

static enum af_status write_manifest(struct load *load, const struct af_portable *wanted, struct af_error *err)
{
    struct af_buf text;
    const char *path = transfer_path(&load->arena, load->options->dir, "server.manifest");
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    af_buf_init(&text, MANIFEST_BYTES_MAX);
    enum af_status status = af_portable_v2_print(wanted, &text, err);
    if (status == AF_OK)
        status = af_file_write_atomic(path, af_buf_slice(&text), true, err);
    af_buf_done(&text);
    return status;
}

/* --- a shard ---------------------------------------------------------------------------------------------------------------- */

struct receiving {
    struct load *load;
    struct af_file *out;
};

static enum af_status take_bytes(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct receiving *r = ctx;
    r->load->bytes_sent += bytes.len;
    transfer_show(&r->load->options->watch, "asking for shards", r->load->bytes_sent, 0);
    return af_file_write(r->out, bytes, err);
}

static enum af_status ask(struct receiving *r, uint64_t id, struct af_error *err)
{
    static const char empty[1024]; /* a tar without members */
    struct af_http_answer answer;
    const char *url = af_arena_printf(&r->load->arena, "%s/api/v2/backup/shards/%" PRIu64, r->load->base, id);
    if (url == NULL)
        return af_fail_nomem(err, "a URL");
    af_http_answer_init(&answer);
    const struct af_http_request request = { .method = "GET", .url = url, .headers = r->load->headers, .on_body = take_bytes, .ctx = r,
                                             .cancel = r->load->options->watch.cancel };
    enum af_status status = load_call(r->load, "asking for a shard", &request, &answer, err);
    bool is_gone = answer.status == 404; /* outlived by its retention since the list was made */
    af_http_answer_done(&answer);
    return is_gone ? af_file_write(r->out, af_slice_make(empty, sizeof empty), err) : status;
}

static enum af_status get(void *ctx, const char *path, uint64_t bytes, struct af_error *err)
{
    struct receiving r = { .load = ctx };
    uint64_t id;
    const char *name = transfer_base_name(path);
    (void)bytes;
    if (!af_u64_parse(af_slice_make(name, strcspn(name, ".")), &id))
        return af_fail(err, AF_ECORRUPT, "%s: not a shard's id", name);
    AF_TRY(af_file_open(path, AF_FILE_NEW, &r.out, err));
    enum af_status status = ask(&r, id, err);
    af_file_close(r.out);
    return status;
}

/* --- all of it -------------------------------------------------------------------------------------------------------------- */

static enum af_status run(struct load *load, struct af_house *house, struct af_error *err)
{
    struct af_portable all;
    const struct af_bulkload_options *o = load->options;
    const struct af_backup_elsewhere server = { .get = get, .ctx = load };
    AF_TRY(load_open(load, err));
    if (o->token == NULL)
        return af_fail(err, AF_EINVAL, "%s: a backup wants an operator token: --token-file, or INFLUX_TOKEN", load->base);
    AF_TRY(load_metadata(load, &all, err));
    AF_TRY(choose(load, &all, err));
    AF_TRY(write_manifest(load, &all, err));
    const struct af_restore_options restore = { .house = house, .dir = o->dir, .bucket = o->bucket, .elsewhere = &server,
                                                .watch = o->watch };
    return af_restore(&restore, load->counts, err);
}

enum af_status af_fetch(const struct af_bulkload_options *options, struct af_house *house, struct af_transfer_counts *out,
                        struct af_error *err)
{
    struct af_error own = { 0 };
    struct load load = { .options = options, .counts = out };
    *out = (struct af_transfer_counts){ 0 };
    af_arena_init(&load.arena, SIZE_MAX / 2);
    enum af_status status = run(&load, house, &own);
    if (status != AF_OK && load.base != NULL && strstr(own.message, load.base) == NULL)
        af_error_prefix(&own, "%s: ", load.base);
    if (err != NULL && status != AF_OK)
        *err = own;
    if (load.http != NULL)
        af_http_free(load.http);
    af_arena_done(&load.arena);
    return status;
}

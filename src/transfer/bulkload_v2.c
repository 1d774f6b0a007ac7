/*
 * bulkload_v2.c - shards into InfluxDB 2.x by its restore API; docs/bulkload.md.
 *
 *     new bucket    POST restore/bucketMetadata: makes bucket and empty shards, answers ids     POST restore/shards/ID for each
 *     bucket there  GET backup/metadata: which shard has the time? none: a point is written for one to be made, and deleted again
 *                   GET backup/shards/ID: the highest generation; ours are renamed to come after it, so that they win
 */
#include "format/json/json.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/tree.h"
#include "transfer/bulkload_int.h"
#include <inttypes.h>

enum { METADATA_BYTES_MAX = 256 << 20 };
#define PLACE_HOLDER "_afluxo_bulkload"

static void id_text(uint64_t id, char out[AF_ID_TEXT_BYTES])
{
    af_id_print(id, out);
}

/* --- what is there ---------------------------------------------------------------------------------------------------------- */

static enum af_status get_json(struct load *load, const char *what, const char *path, struct af_json **out, struct af_error *err)
{
    struct af_http_answer answer;
    af_http_answer_init(&answer);
    enum af_status status = load_get(load, what, path, &answer, err);
    if (status == AF_OK)
        status = af_json_parse(af_buf_slice(&answer.body), &load->arena, out, err);
    af_http_answer_done(&answer);
    return status;
}

static const char *path_with(struct load *load, const char *path, const char *name, const char *value, const char *more)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 16);
    af_buf_printf(&buf, "%s?%s=", path, name);
    af_url_append_escaped(&buf, af_slice_of(value));
    af_buf_append_str(&buf, more);
    const char *text = buf.failed ? NULL : af_arena_copy(&load->arena, af_buf_slice(&buf));
    af_buf_done(&buf);
    return text;
}

static enum af_status find_org(struct load *load, struct af_error *err)
{
    struct af_json *json;
    if (load->options->org == NULL)
        return af_fail(err, AF_EINVAL, "which organisation? Say --org NAME, or set INFLUX_ORG");
    const char *path = path_with(load, "/api/v2/orgs", "org", load->options->org, "");
    if (path == NULL)
        return af_fail_nomem(err, "a URL");
    AF_TRY(get_json(load, "looking for the organisation", path, &json, err));
    const struct af_json *orgs = af_json_get(json, "orgs");
    struct af_slice id = orgs != NULL && orgs->first != NULL ? af_json_string(orgs->first, "id") : (struct af_slice){ NULL, 0 };
    if (id.len == 0)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no organisation \"%s\"", load->base, load->options->org);
    load->org_id = af_arena_copy(&load->arena, id);
    return load->org_id != NULL ? AF_OK : af_fail_nomem(err, "an organisation");
}

/* *out 0: there is none. */
static enum af_status find_bucket(struct load *load, const char *name, uint64_t *out, struct af_error *err)
{
    struct af_json *json = NULL;
    struct af_error why = { 0 };
    *out = 0;
    const char *org = af_arena_printf(&load->arena, "&orgID=%s", load->org_id);
    const char *path = org != NULL ? path_with(load, "/api/v2/buckets", "name", name, org) : NULL;
    if (path == NULL)
        return af_fail_nomem(err, "a URL");
    enum af_status status = get_json(load, "looking for the bucket", path, &json, &why);
    if (status == AF_ENOTFOUND)
        return AF_OK;
    if (status != AF_OK && err != NULL)
        *err = why;
    AF_TRY(status);
    const struct af_json *buckets = af_json_get(json, "buckets");
    struct af_slice id = buckets != NULL && buckets->first != NULL ? af_json_string(buckets->first, "id") : (struct af_slice){ NULL, 0 };
    const char *text = id.len != 0 ? af_arena_copy(&load->arena, id) : NULL;
    if (text != NULL && !af_id_parse(text, out))
        return af_fail(err, AF_EIO, "%s: a bucket with the id \"%s\"", load->base, text);
    return AF_OK;
}

/* --- sending a shard -------------------------------------------------------------------------------------------------------- */

static enum af_status read_archive(void *ctx, uint64_t offset, void *dst, size_t len, struct af_error *err)
{
    return af_reader_read(ctx, offset, dst, len, err);
}

static enum af_status post_archive(struct load *load, const char *archive, bool is_gzip, uint64_t there, struct af_error *err)
{
    struct af_reader *reader;
    struct af_http_answer answer;
    const char *headers[] = { "Content-Type: application/octet-stream", load->headers[1] != NULL ? load->headers[1] : "Accept: */*",
                              is_gzip ? "Content-Encoding: gzip" : NULL, NULL };
    const char *url = af_arena_printf(&load->arena, "%s/api/v2/restore/shards/%" PRIu64, load->base, there);
    if (url == NULL)
        return af_fail_nomem(err, "a URL");
    AF_TRY(af_file_reader_open(archive, &reader, err));
    const struct af_http_request request = { .method = "POST", .url = url, .headers = headers, .read_body = read_archive, .ctx = reader,
                                             .body_bytes = reader->size, .cancel = load->options->watch.cancel };
    af_http_answer_init(&answer);
    enum af_status status = load_call(load, "restoring a shard", &request, &answer, err);
    af_http_answer_done(&answer);
    af_reader_close(reader);
    return status;
}

static enum af_status send_shard(struct load *load, const struct load_shard *s, const char *archive, bool is_gzip, uint64_t there,
                                 struct af_error *err)
{
    AF_TRY(post_archive(load, archive, is_gzip, there, err));
    load->bytes_sent += s->shard->file_bytes;
    load->counts->shards++;
    transfer_show(&load->options->watch, "loading", load->bytes_sent, load->bytes_all);
    return AF_OK;
}

/* The files under names that come after all that are there, in an archive of their own. */
static enum af_status repack(struct load *load, const struct load_shard *s, uint32_t after, const char **out, struct af_error *err)
{
    struct transfer_file *files = NULL;
    size_t count = 0;
    uint32_t generation = after, last = 0;
    AF_TRY(transfer_files(s->dir, &load->arena, &files, &count, err));
    const char *dir = af_arena_printf(&load->arena, "%s/%" PRIu64 ".new", load->scratch, s->shard->id);
    *out = af_arena_printf(&load->arena, "%s/%" PRIu64 ".tar.gz", load->scratch, s->shard->id);
    if (dir == NULL || *out == NULL)
        return af_fail_nomem(err, "a path");
    AF_TRY(af_dir_make(dir, err));
    for (size_t i = 0; i < count; i++) {
        generation += i == 0 || files[i].generation != last;
        last = files[i].generation;
        const char *path = af_arena_printf(&load->arena, "%s/%09u-%09u.tsm", dir, generation, files[i].sequence);
        if (path == NULL)
            return af_fail_nomem(err, "a path");
        AF_TRY(af_path_link(files[i].path, path, err));
    }
    struct transfer_pack pack = { .dir = dir, .prefix = "shard", .archive = *out, .watch = &load->options->watch };
    return transfer_pack(&pack, err);
}

/* --- a new bucket ----------------------------------------------------------------------------------------------------------- */

static enum af_status make_bucket(struct load *load, const struct af_portable_bucket *from, const struct load_shard *shards, size_t count,
                                  struct af_portable_mapping **out, size_t *out_count, struct af_error *err)
{
    struct af_portable_bucket to = *from;
    struct af_buf body;
    struct af_http_answer answer;
    uint64_t id;
    to.database = load_name(load, from);
    to.org_name = load->options->org;
    to.shard_count = 0;
    to.shards = af_arena_zero(&load->arena, count + 1, sizeof *to.shards);
    if (to.shards == NULL)
        return af_fail_nomem(err, "a list of shards");
    for (size_t i = 0; i < count; i++) /* those that have data */
        to.shards[to.shard_count++] = *shards[i].shard;
    af_random_bytes(&to.id, sizeof to.id);
    to.id |= 1;
    if (!af_id_parse(load->org_id, &to.org))
        return af_fail(err, AF_EIO, "%s: an organisation with the id \"%s\"", load->base, load->org_id);
    af_buf_init(&body, METADATA_BYTES_MAX);
    af_http_answer_init(&answer);
    enum af_status status = af_portable_v2_bucket_print(&to, &body, err);
    if (status == AF_OK)
        status = load_post(load, "making the bucket", "/api/v2/restore/bucketMetadata", af_buf_slice(&body), &answer, err);
    if (status == AF_OK)
        status = af_portable_v2_mappings_parse(af_buf_slice(&answer.body), &load->arena, &id, out, out_count, err);
    af_http_answer_done(&answer);
    af_buf_done(&body);
    return status;
}

static enum af_status load_new(struct load *load, const struct af_portable_bucket *bucket, const struct load_shard *shards, size_t count,
                               struct af_error *err)
{
    struct af_portable_mapping *mappings = NULL;
    size_t mapping_count = 0;
    AF_TRY(make_bucket(load, bucket, shards, count, &mappings, &mapping_count, err));
    for (size_t i = 0; i < count; i++) {
        uint64_t there = 0;
        for (size_t k = 0; k < mapping_count; k++)
            there = mappings[k].old_id == shards[i].shard->id ? mappings[k].new_id : there;
        if (there == 0)
            return af_fail(err, AF_EIO, "%s: the server made no place for shard %" PRIu64, load->base, shards[i].shard->id);
        const char *archive = shards[i].archive;
        if (archive == NULL)
            AF_TRY(repack(load, &shards[i], 0, &archive, err));
        AF_TRY(send_shard(load, &shards[i], archive, shards[i].archive == NULL || shards[i].shard->is_gzip, there, err));
    }
    return AF_OK;
}

/* --- a bucket that is there ------------------------------------------------------------------------------------------------- */

/* GET backup/metadata is multipart: the whole catalogue, then the part "buckets", JSON. Only that is kept. */
struct metadata {
    struct af_buf bytes;
    bool is_found;
};

static enum af_status take_metadata(void *ctx, struct af_slice bytes, struct af_error *err)
{
    static const char name[] = "name=\"buckets\"";
    struct metadata *m = ctx;
    af_buf_append_slice(&m->bytes, bytes);
    AF_TRY(af_buf_check(&m->bytes, "the server's metadata", err));
    if (m->is_found)
        return AF_OK;
    const char *at = memmem(m->bytes.ptr, m->bytes.len, name, sizeof name - 1);
    size_t drop = at != NULL ? (size_t)(at - m->bytes.ptr) : m->bytes.len < sizeof name ? 0 : m->bytes.len - sizeof name;
    m->is_found = at != NULL;
    memmove(m->bytes.ptr, m->bytes.ptr + drop, m->bytes.len - drop);
    m->bytes.len -= drop;
    return AF_OK;
}

static enum af_status parse_metadata(struct load *load, const struct metadata *m, struct af_portable *out, struct af_error *err)
{
    const char *end = m->bytes.ptr + m->bytes.len;
    const char *start = m->is_found ? memmem(m->bytes.ptr, m->bytes.len, "\r\n\r\n", 4) : NULL;
    if (start == NULL)
        return af_fail(err, AF_EIO, "%s: its backup metadata has no list of buckets", load->base);
    start += 4;
    const char *border = memmem(start, (size_t)(end - start), "\r\n--", 4);
    return af_portable_v2_parse(af_slice_make(start, (size_t)((border != NULL ? border : end) - start)), &load->arena, out, err);
}

enum af_status load_metadata(struct load *load, struct af_portable *out, struct af_error *err)
{
    struct metadata m = { 0 };
    struct af_http_answer answer;
    const char *url = af_arena_printf(&load->arena, "%s/api/v2/backup/metadata", load->base);
    if (url == NULL)
        return af_fail_nomem(err, "a URL");
    af_buf_init(&m.bytes, METADATA_BYTES_MAX);
    af_http_answer_init(&answer);
    const struct af_http_request request = { .method = "GET", .url = url, .headers = load->headers, .on_body = take_metadata, .ctx = &m,
                                             .cancel = load->options->watch.cancel };
    enum af_status status = load_call(load, "asking for its buckets and shards", &request, &answer, err);
    if (status == AF_OK)
        status = parse_metadata(load, &m, out, err);
    af_http_answer_done(&answer);
    af_buf_done(&m.bytes);
    return status;
}

static enum af_status get_groups(struct load *load, uint64_t id, struct af_portable_bucket **out, struct af_error *err)
{
    struct af_portable all;
    AF_TRY(load_metadata(load, &all, err));
    for (size_t i = 0; i < all.bucket_count; i++)
        if (all.buckets[i].id == id) {
            *out = &all.buckets[i];
            return AF_OK;
        }
    return af_fail(err, AF_ENOTFOUND, "%s: the bucket is gone", load->base);
}

static const struct af_portable_shard *group_of(const struct af_portable_bucket *bucket, int64_t time_ns)
{
    for (size_t i = 0; i < bucket->shard_count; i++)
        if (time_ns >= bucket->shards[i].start_ns && (time_ns < bucket->shards[i].end_ns || bucket->shards[i].end_ns == INT64_MAX))
            return &bucket->shards[i];
    return NULL;
}

static enum af_status write_holder(struct load *load, uint64_t bucket, int64_t time_ns, struct af_error *err)
{
    char id[AF_ID_TEXT_BYTES];
    struct af_http_answer answer;
    id_text(bucket, id);
    const char *path = af_arena_printf(&load->arena, "/api/v2/write?orgID=%s&bucket=%s&precision=ns", load->org_id, id);
    const char *line = af_arena_printf(&load->arena, PLACE_HOLDER " v=0 %" PRId64 "\n", time_ns);
    if (path == NULL || line == NULL)
        return af_fail_nomem(err, "a point");
    af_http_answer_init(&answer);
    enum af_status status = load_post(load, "making a shard", path, af_slice_of(line), &answer, err);
    af_http_answer_done(&answer);
    return status;
}

static enum af_status erase_holders(struct load *load, uint64_t bucket, struct af_error *err)
{
    char id[AF_ID_TEXT_BYTES];
    struct af_http_answer answer;
    static const char body[] = "{\"start\":\"1677-09-21T00:12:44Z\",\"stop\":\"2262-04-11T23:47:16Z\","
                               "\"predicate\":\"_measurement=\\\"" PLACE_HOLDER "\\\"\"}";
    id_text(bucket, id);
    const char *path = af_arena_printf(&load->arena, "/api/v2/delete?orgID=%s&bucketID=%s", load->org_id, id);
    if (path == NULL)
        return af_fail_nomem(err, "a URL");
    af_http_answer_init(&answer);
    enum af_status status = load_post(load, "taking the place holder away", path, af_slice_of(body), &answer, err);
    af_http_answer_done(&answer);
    return status;
}

/* The highest generation in a shard, from a backup of it. */
struct generations {
    struct af_tar_reader tar;
    uint32_t highest;
};

static enum af_status see_member(void *ctx, const char *name, uint64_t bytes, struct af_error *err)
{
    struct generations *g = ctx;
    uint32_t generation, sequence;
    (void)bytes, (void)err;
    if (transfer_name_parse(transfer_base_name(name), &generation, &sequence) && generation > g->highest)
        g->highest = generation;
    return AF_OK;
}

static enum af_status skip_data(void *ctx, struct af_slice bytes, struct af_error *err)
{
    (void)ctx, (void)bytes, (void)err;
    return AF_OK;
}

static enum af_status feed_tar(void *ctx, struct af_slice bytes, struct af_error *err)
{
    return af_tar_feed(&((struct generations *)ctx)->tar, bytes, err);
}

static enum af_status highest_generation(struct load *load, uint64_t there, uint32_t *out, struct af_error *err)
{
    struct generations g = { 0 };
    struct af_http_answer answer;
    const char *url = af_arena_printf(&load->arena, "%s/api/v2/backup/shards/%" PRIu64, load->base, there);
    if (url == NULL)
        return af_fail_nomem(err, "a URL");
    af_tar_reader_init(&g.tar);
    g.tar.member = see_member;
    g.tar.data = skip_data;
    g.tar.ctx = &g;
    af_http_answer_init(&answer);
    const struct af_http_request request = { .method = "GET", .url = url, .headers = load->headers, .on_body = feed_tar, .ctx = &g,
                                             .cancel = load->options->watch.cancel };
    enum af_status status = load_call(load, "looking into a shard", &request, &answer, err);
    af_http_answer_done(&answer);
    af_tar_reader_done(&g.tar);
    *out = g.highest;
    return status;
}

static enum af_status check_fit(const struct load_shard *s, const struct af_portable_shard *group, struct af_error *err)
{
    if (group != NULL && (s->tally.max_ns < group->end_ns || group->end_ns == INT64_MAX))
        return AF_OK;
    return af_fail(err, AF_ECONFLICT, "shard %" PRIu64 " reaches over several shards that the server has for this bucket: write it instead "
                   "(afluxo export, then write), or load it under a new name (--bucket, --new-bucket)", s->shard->id);
}

static enum af_status load_one(struct load *load, const struct load_shard *s, const struct af_portable_shard *group, struct af_error *err)
{
    uint32_t highest;
    const char *archive;
    AF_TRY(highest_generation(load, group->id, &highest, err));
    AF_TRY(repack(load, s, highest, &archive, err));
    return send_shard(load, s, archive, true, group->id, err);
}

static enum af_status make_groups(struct load *load, uint64_t id, const struct load_shard *shards, size_t count, bool *out_made,
                                  struct af_portable_bucket **out, struct af_error *err)
{
    *out_made = false;
    AF_TRY(get_groups(load, id, out, err));
    for (size_t i = 0; i < count; i++)
        if (group_of(*out, shards[i].tally.min_ns) == NULL) {
            *out_made = true;
            AF_TRY(write_holder(load, id, load_clamp(shards[i].tally.min_ns), err));
        }
    return *out_made ? get_groups(load, id, out, err) : AF_OK;
}

static enum af_status load_existing(struct load *load, uint64_t id, const struct load_shard *shards, size_t count, struct af_error *err)
{
    struct af_portable_bucket *there = NULL;
    bool made;
    enum af_status status = make_groups(load, id, shards, count, &made, &there, err);
    for (size_t i = 0; status == AF_OK && i < count; i++)
        status = check_fit(&shards[i], group_of(there, shards[i].tally.min_ns), err);
    for (size_t i = 0; status == AF_OK && i < count; i++)
        status = load_one(load, &shards[i], group_of(there, shards[i].tally.min_ns), err);
    if (made) {
        enum af_status erased = erase_holders(load, id, status == AF_OK ? err : NULL);
        status = status == AF_OK ? erased : status;
    }
    return status;
}

/* --- buckets ---------------------------------------------------------------------------------------------------------------- */

static enum af_status send_all(struct load *load, const struct af_portable_bucket *bucket, struct load_shard *shards, size_t count,
                               struct af_error *err)
{
    uint64_t id;
    AF_TRY(find_bucket(load, load_name(load, bucket), &id, err));
    int64_t start_ns = af_clock_mono_ns();
    AF_TRY(id == 0 ? load_new(load, bucket, shards, count, err) : load_existing(load, id, shards, count, err));
    load->counts->sending_ns += af_clock_mono_ns() - start_ns;
    for (size_t i = 0; i < count; i++)
        AF_TRY(load_compare(load, bucket, &shards[i], id == 0, err));
    load->counts->buckets++;
    return AF_OK;
}

static enum af_status load_bucket(struct load *load, const struct af_portable_bucket *bucket, struct af_error *err)
{
    size_t count = 0;
    struct load_shard *shards = af_arena_zero(&load->arena, bucket->shard_count + 1, sizeof *shards);
    if (shards == NULL)
        return af_fail_nomem(err, "a list of shards");
    enum af_status status = load_unpack(load, bucket, shards, &count, err);
    if (status == AF_OK)
        status = send_all(load, bucket, shards, count, err);
    load_shards_done(load, shards, count);
    return status;
}

enum af_status load_v2(struct load *load, struct af_error *err)
{
    AF_TRY(find_org(load, err));
    for (size_t i = 0; i < load->backup.content.bucket_count; i++)
        if (load_is_wanted(load, &load->backup.content.buckets[i]))
            AF_TRY(load_bucket(load, &load->backup.content.buckets[i], err));
    return AF_OK;
}

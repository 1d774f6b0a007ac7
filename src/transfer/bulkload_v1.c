/*
 * bulkload_v1.c - shards into InfluxDB 1.x by the RPC of `influxd restore -portable`: a port of its own, no credentials.
 *
 *     connect, 03                 the snapshotter, among what shares the port
 *     06, JSON, newline, catalogue         answer: u64 59590101, u64 pairs, then pairs of u64: shard here, shard there. 0 pairs: refused
 *     07, u64 shard there, tar with members DB/RP/SHARD/FILE, end         the server closes when the shard is in
 */
#include "codec/bits.h"
#include "format/json/json.h"
#include "net/url.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"
#include "transfer/bulkload_int.h"
#include <inttypes.h>

enum { MUX_SNAPSHOTTER = 3, UPDATE_META = 6, UPLOAD_SHARD = 7, PORT = 8088, ANSWER_BYTES_MAX = 64 << 20, SHARD_STALL_MS = 600000,
       PIECE_BYTES = 256 << 10 };
static const uint64_t ANSWER_MAGIC = 0x59590101;

struct pair {
    uint64_t here, there;
};
struct database {
    struct load *load;
    const char *address;
    struct af_portable content;  /* its policies */
    const char *name;            /* here */
    const char *new_name;        /* there; NULL: the same */
    const char *new_policy;
    struct pair *pairs;
    size_t pair_count;
    const struct af_portable_bucket **buckets; /* as the backup calls them, in the order of content */
};

static void put_u64(char *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (char)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const char *in)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | (uint8_t)in[i];
    return value;
}

static enum af_status open_rpc(struct database *db, struct af_socket **out, struct af_error *err)
{
    static const char mux = MUX_SNAPSHOTTER;
    const struct af_socket_options options = { .connect_timeout_ms = db->load->options->http.connect_timeout_ms,
                                               .stall_timeout_ms = SHARD_STALL_MS,
                                               .cancel = db->load->options->watch.cancel };
    enum af_status status = af_socket_connect(db->address, &options, out, err);
    if (status != AF_OK) {
        af_error_prefix(err, "the RPC port, where 1.x takes shards (--rpc HOST:PORT): ");
        return status;
    }
    status = af_socket_write(*out, af_slice_make(&mux, 1), err);
    if (status != AF_OK)
        af_socket_close(*out);
    return status;
}

/* --- the catalogue ---------------------------------------------------------------------------------------------------------- */

/* {1: Data, 2: MaxNodeID} -> Data */
static struct af_slice bare_catalogue(const struct af_buf *meta)
{
    const uint8_t *at = (const uint8_t *)meta->ptr + 1;
    const uint8_t *end = (const uint8_t *)meta->ptr + meta->len;
    uint64_t len = 0;
    if (!af_uvarint_read(&at, end, &len) || len > (uint64_t)(end - at))
        return (struct af_slice){ NULL, 0 };
    return af_slice_make(at, (size_t)len);
}

static void print_request(struct database *db, struct af_slice catalogue, struct af_buf *out)
{
    af_buf_append_char(out, UPDATE_META);
    af_buf_printf(out, "{\"Type\":%d,\"BackupDatabase\":", UPDATE_META);
    af_json_append_string(out, af_slice_of(db->name));
    af_buf_append_str(out, ",\"RestoreDatabase\":");
    af_json_append_string(out, af_slice_of(db->new_name != NULL ? db->new_name : ""));
    af_buf_append_str(out, ",\"BackupRetentionPolicy\":");
    af_json_append_string(out, af_slice_of(db->new_policy != NULL ? db->content.buckets[0].policy : ""));
    af_buf_append_str(out, ",\"RestoreRetentionPolicy\":");
    af_json_append_string(out, af_slice_of(db->new_policy != NULL ? db->new_policy : ""));
    af_buf_printf(out, ",\"UploadSize\":%zu}\n", catalogue.len);
    af_buf_append_slice(out, catalogue);
}

static enum af_status read_pairs(struct database *db, struct af_buf *answer, struct af_error *err)
{
    const char *there = db->new_name != NULL ? db->new_name : db->name;
    if (answer->len < 16 || get_u64(answer->ptr) != ANSWER_MAGIC)
        return af_fail(err, AF_EIO, "%s: this is not InfluxDB's RPC port, or the server does not know what was asked", db->address);
    uint64_t count = get_u64(answer->ptr + 8);
    if (count == 0)
        return af_fail(err, AF_ECONFLICT, "the server does not take database \"%s\": is it there already? 1.x restores into new "
                                          "ones only: say "
                       "--bucket and --new-bucket", there);
    if (count > answer->len / 16 || answer->len != 16 + count * 16)
        return af_fail(err, AF_EIO, "%s: an answer that is cut short", db->address);
    db->pairs = af_arena_zero(&db->load->arena, (size_t)count, sizeof *db->pairs);
    if (db->pairs == NULL)
        return af_fail_nomem(err, "a list of shards");
    for (size_t i = 0; i < count; i++)
        db->pairs[i] = (struct pair){ get_u64(answer->ptr + 16 + i * 16), get_u64(answer->ptr + 24 + i * 16) };
    db->pair_count = (size_t)count;
    return AF_OK;
}

static enum af_status exchange(struct database *db, struct af_slice request, struct af_buf *answer, struct af_error *err)
{
    struct af_socket *socket;
    AF_TRY(open_rpc(db, &socket, err));
    enum af_status status = af_socket_write(socket, request, err);
    size_t len = 1;
    while (status == AF_OK && len != 0) {
        char *dst = af_buf_reserve(answer, 4096);
        status = dst != NULL ? af_socket_read(socket, dst, 4096, &len, err) : af_fail(err, AF_ELIMIT, "%s: an answer too long",
                                                                                      db->address);
        answer->len += status == AF_OK ? len : 0;
    }
    af_socket_close(socket);
    return status;
}

static enum af_status send_catalogue(struct database *db, struct af_error *err)
{
    struct af_buf manifest, meta, request, answer;
    af_buf_init(&manifest, 256 << 20);
    af_buf_init(&meta, 256 << 20);
    af_buf_init(&request, 256 << 20);
    af_buf_init(&answer, ANSWER_BYTES_MAX);
    enum af_status status = af_portable_v1_print(&db->content, "meta", &manifest, &meta, err);
    if (status == AF_OK) {
        print_request(db, bare_catalogue(&meta), &request);
        status = af_buf_check(&request, "a request", err);
    }
    if (status == AF_OK)
        status = exchange(db, af_buf_slice(&request), &answer, err);
    if (status == AF_OK)
        status = read_pairs(db, &answer, err);
    af_buf_done(&manifest);
    af_buf_done(&meta);
    af_buf_done(&request);
    af_buf_done(&answer);
    return status;
}

/* --- shards ----------------------------------------------------------------------------------------------------------------- */

static enum af_status send_file(struct database *db, struct af_socket *socket, const struct transfer_file *file, const char *prefix,
                                char *buffer,
                                struct af_error *err)
{
    static const char zeros[512];
    struct af_reader *reader;
    struct af_buf header;
    const char *name = af_arena_printf(&db->load->arena, "%s/%s", prefix, file->name);
    if (name == NULL)
        return af_fail_nomem(err, "a name");
    AF_TRY(af_file_reader_open(file->path, &reader, err));
    af_buf_init(&header, 64 << 10);
    enum af_status status = af_tar_headers(name, reader->size, 0, &header, err);
    if (status == AF_OK)
        status = af_socket_write(socket, af_buf_slice(&header), err);
    for (uint64_t at = 0; status == AF_OK && at < reader->size;) {
        size_t n = reader->size - at < PIECE_BYTES ? (size_t)(reader->size - at) : PIECE_BYTES;
        status = af_reader_read(reader, at, buffer, n, err);
        if (status == AF_OK)
            status = af_socket_write(socket, af_slice_make(buffer, n), err);
        at += n;
    }
    if (status == AF_OK)
        status = af_socket_write(socket, af_slice_make(zeros, (size_t)af_tar_padding(reader->size)), err);
    af_buf_done(&header);
    af_reader_close(reader);
    return status;
}

static enum af_status send_tar(struct database *db, struct af_socket *socket, const struct load_shard *s, uint64_t there,
                               const char *policy,
                               struct af_error *err)
{
    static const char end[1024];
    char head[9] = { UPLOAD_SHARD };
    struct transfer_file *files = NULL;
    size_t count = 0;
    char *buffer = af_arena_alloc(&db->load->arena, PIECE_BYTES);
    const char *prefix = af_arena_printf(&db->load->arena, "%s/%s/%" PRIu64, db->new_name != NULL ? db->new_name : db->name, policy, there);
    if (prefix == NULL || buffer == NULL)
        return af_fail_nomem(err, "a shard");
    put_u64(head + 1, there);
    AF_TRY(transfer_files(s->dir, &db->load->arena, &files, &count, err));
    AF_TRY(af_socket_write(socket, af_slice_make(head, sizeof head), err));
    for (size_t i = 0; i < count; i++)
        AF_TRY(send_file(db, socket, &files[i], prefix, buffer, err));
    AF_TRY(af_socket_write(socket, af_slice_make(end, sizeof end), err));
    AF_TRY(af_socket_end(socket, err));
    size_t len = 1;
    while (len != 0) /* the server closes when it is done */
        AF_TRY(af_socket_read(socket, buffer, PIECE_BYTES, &len, err));
    return AF_OK;
}

static enum af_status send_shard(struct database *db, const struct load_shard *s, const char *policy, struct af_error *err)
{
    for (size_t i = 0; i < db->pair_count; i++) {
        struct af_socket *socket;
        if (db->pairs[i].here != s->shard->id)
            continue;
        AF_TRY(open_rpc(db, &socket, err));
        enum af_status status = send_tar(db, socket, s, db->pairs[i].there, policy, err);
        af_socket_close(socket);
        db->load->bytes_sent += s->shard->file_bytes;
        transfer_show(&db->load->options->watch, "loading", db->load->bytes_sent, db->load->bytes_all);
        db->load->counts->shards++;
        return status;
    }
    return af_fail(err, AF_EIO, "the server made no place for shard %" PRIu64, s->shard->id);
}

/* --- databases -------------------------------------------------------------------------------------------------------------- */

static enum af_status load_policy(struct database *db, size_t i, struct load_shard *shards, size_t count, struct af_error *err)
{
    const char *policy = db->new_policy != NULL ? db->new_policy : db->content.buckets[i].policy;
    int64_t start_ns = af_clock_mono_ns();
    for (size_t k = 0; k < count; k++)
        AF_TRY(send_shard(db, &shards[k], policy, err));
    db->load->counts->sending_ns += af_clock_mono_ns() - start_ns;
    for (size_t k = 0; k < count; k++)
        AF_TRY(load_compare(db->load, db->buckets[i], &shards[k], true, err));
    db->load->counts->buckets++;
    return AF_OK;
}

/* All is unpacked, checked and counted before the server hears of it. */
static enum af_status load_database(struct database *db, struct af_error *err)
{
    struct load_shard **shards = af_arena_zero(&db->load->arena, db->content.bucket_count, sizeof *shards);
    size_t *counts = af_arena_zero(&db->load->arena, db->content.bucket_count, sizeof *counts);
    enum af_status status = shards != NULL && counts != NULL ? AF_OK : af_fail_nomem(err, "a list of shards");
    for (size_t i = 0; status == AF_OK && i < db->content.bucket_count; i++) {
        shards[i] = af_arena_zero(&db->load->arena, db->content.buckets[i].shard_count + 1, sizeof **shards);
        status = shards[i] != NULL ? load_unpack(db->load, &db->content.buckets[i], shards[i], &counts[i], err)
                                   : af_fail_nomem(err, "a list of shards");
    }
    if (status == AF_OK)
        status = send_catalogue(db, err);
    for (size_t i = 0; status == AF_OK && i < db->content.bucket_count; i++)
        status = load_policy(db, i, shards[i], counts[i], err);
    for (size_t i = 0; shards != NULL && counts != NULL && i < db->content.bucket_count; i++)
        if (shards[i] != NULL)
            load_shards_done(db->load, shards[i], counts[i]);
    return status;
}

static enum af_status rpc_address(struct load *load, const char **out, struct af_error *err)
{
    struct af_url url;
    *out = load->options->rpc;
    if (*out != NULL)
        return AF_OK;
    AF_TRY(af_url_parse(af_slice_of(load->base), &load->arena, &url, err));
    bool is_v6 = memchr(url.host.ptr, ':', url.host.len) != NULL;
    *out = af_arena_printf(&load->arena, "%s%s%s:%d", is_v6 ? "[" : "", url.host.ptr, is_v6 ? "]" : "", PORT);
    return *out != NULL ? AF_OK : af_fail_nomem(err, "an address");
}

/* The database of bucket `first`, with all of its policies that are wanted. */
static enum af_status gather(struct load *load, size_t first, struct database *db, struct af_error *err)
{
    const struct af_portable *all = &load->backup.content;
    const char *policy;
    db->load = load;
    AF_TRY(transfer_split_name(all->buckets[first].database, &load->arena, &db->name, &policy, err));
    db->content.buckets = af_arena_zero(&load->arena, all->bucket_count, sizeof *db->content.buckets);
    db->buckets = af_arena_zero(&load->arena, all->bucket_count, sizeof *db->buckets);
    if (db->content.buckets == NULL || db->buckets == NULL)
        return af_fail_nomem(err, "a list of buckets");
    for (size_t i = first; i < all->bucket_count; i++) {
        struct af_portable_bucket *to = &db->content.buckets[db->content.bucket_count];
        *to = all->buckets[i];
        AF_TRY(transfer_split_name(all->buckets[i].database, &load->arena, &to->database, &to->policy, err));
        if (strcmp(to->database, db->name) == 0 && load_is_wanted(load, &all->buckets[i]))
            db->buckets[db->content.bucket_count++] = &all->buckets[i];
    }
    if (load->options->new_bucket != NULL)
        AF_TRY(transfer_split_name(load->options->new_bucket, &load->arena, &db->new_name, &db->new_policy, err));
    return rpc_address(load, &db->address, err);
}

static bool is_first_of_database(const struct load *load, size_t i)
{
    const struct af_portable *all = &load->backup.content;
    const char *name = all->buckets[i].database;
    size_t len = strcspn(name, "/");
    for (size_t k = 0; k < i; k++)
        if (load_is_wanted(load, &all->buckets[k]) && strncmp(all->buckets[k].database, name, len) == 0 &&
            (all->buckets[k].database[len] == '\0' || all->buckets[k].database[len] == '/'))
            return false;
    return true;
}

enum af_status load_v1(struct load *load, struct af_error *err)
{
    for (size_t i = 0; i < load->backup.content.bucket_count; i++) {
        struct database db = { 0 };
        if (!load_is_wanted(load, &load->backup.content.buckets[i]) || !is_first_of_database(load, i))
            continue;
        AF_TRY(gather(load, i, &db, err));
        AF_TRY(load_database(&db, err));
    }
    return AF_OK;
}

/*
 * unpack.c - archives of shards, read as a stream: plain or gzipped tar.
 *
 * Of a member's name only the last part counts, and it must be a TSM file's or a tombstone's: no name leads out of the directory.
 */
#include "codec/inflate.h"
#include "os/tree.h"
#include "transfer/transfer_int.h"

enum { READ_BYTES = 64 << 10 };

struct source {
    struct af_file_input *in;
    struct af_tar_reader *tar;
    const struct af_transfer_watch *watch;
};

static enum af_status read_input(void *ctx, void *dst, size_t cap, size_t *out_len, struct af_error *err)
{
    struct source *s = ctx;
    AF_TRY(transfer_go_on(s->watch, err));
    return af_file_input_read(s->in, dst, cap, out_len, err);
}

static enum af_status feed(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct source *s = ctx;
    return af_tar_feed(s->tar, bytes, err);
}

static enum af_status read_plain(struct source *s, struct af_error *err)
{
    char buffer[READ_BYTES];
    for (;;) {
        size_t len = 0;
        AF_TRY(read_input(s, buffer, sizeof buffer, &len, err));
        if (len == 0)
            return AF_OK;
        AF_TRY(feed(s, af_slice_make(buffer, len), err));
    }
}

enum af_status transfer_read_archive(const char *archive, bool is_gzip, struct af_tar_reader *tar, const struct af_transfer_watch *watch,
                                     struct af_error *err)
{
    struct source source = { .tar = tar, .watch = watch };
    AF_TRY(af_file_input_open(archive, &source.in, err));
    enum af_status status = is_gzip ? af_gunzip_stream(read_input, &source, feed, &source, err) : read_plain(&source, err);
    if (status == AF_OK)
        status = af_tar_finish(tar, err);
    af_file_input_close(source.in);
    if (status == AF_ECORRUPT)
        af_error_prefix(err, "%s: ", archive);
    return status;
}

/* --- to files --------------------------------------------------------------------------------------------------------------- */

struct unpacking {
    const char *dir;
    struct af_arena arena;
    struct af_file *out;         /* NULL: the member is skipped */
    uint64_t left;
};

static bool is_wanted(const char *name)
{
    uint32_t generation, sequence;
    char tsm[64];
    size_t len = strlen(name);
    if (transfer_name_parse(name, &generation, &sequence))
        return true;
    size_t stem = len - 10; /* ".tombstone" */
    if (len < 11 || len > sizeof tsm - 8 || strcmp(name + stem, ".tombstone") != 0)
        return false;
    memcpy(tsm, name, stem);
    memcpy(tsm + stem, ".tsm", 5);
    return transfer_name_parse(tsm, &generation, &sequence);
}

static enum af_status end_file(struct unpacking *u, struct af_error *err)
{
    if (u->out == NULL)
        return AF_OK;
    enum af_status status = af_file_sync(u->out, err);
    af_file_close(u->out);
    u->out = NULL;
    return status;
}

static enum af_status on_member(void *ctx, const char *name, uint64_t bytes, struct af_error *err)
{
    struct unpacking *u = ctx;
    AF_TRY(end_file(u, err));
    u->left = bytes;
    name = transfer_base_name(name);
    if (!is_wanted(name))
        return AF_OK;
    const char *path = transfer_path(&u->arena, u->dir, name);
    if (path == NULL)
        return af_fail_nomem(err, "a path");
    return af_file_open(path, AF_FILE_NEW, &u->out, err);
}

static enum af_status on_data(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct unpacking *u = ctx;
    return u->out != NULL ? af_file_write(u->out, bytes, err) : AF_OK;
}

enum af_status transfer_unpack(const char *archive, bool is_gzip, const char *dir, const struct af_transfer_watch *watch,
                               struct af_error *err)
{
    struct unpacking u = { .dir = dir };
    struct af_tar_reader tar;
    AF_TRY(af_dir_make(dir, err));
    af_arena_init(&u.arena, SIZE_MAX / 2);
    af_tar_reader_init(&tar);
    tar.member = on_member;
    tar.data = on_data;
    tar.ctx = &u;
    enum af_status status = transfer_read_archive(archive, is_gzip, &tar, watch, err);
    if (status == AF_OK)
        status = end_file(&u, err);
    af_file_close(u.out);
    af_tar_reader_done(&tar);
    af_arena_done(&u.arena);
    return status == AF_OK ? af_dir_sync(dir, err) : status;
}

/*
 * sum.c - SHA-256 of archives: the manifest has them (member "sha256", name -> 64 hex digits), a restore compares.
 *
 * gzip's and TSM's own checks find damage; this finds another archive of the same name.
 */
#include "base/numbers.h"
#include "codec/digest.h"
#include "format/json/json.h"
#include "os/file.h"
#include "transfer/transfer_int.h"

enum { READ_BYTES = 256 << 10 };

static enum af_status add_bytes(struct af_sha256_run *run, struct af_file_input *in, char *buffer, const struct af_transfer_watch *watch,
                                struct af_error *err)
{
    for (;;) {
        size_t len = 0;
        AF_TRY(transfer_go_on(watch, err));
        AF_TRY(af_file_input_read(in, buffer, READ_BYTES, &len, err));
        if (len == 0)
            return AF_OK;
        if (!af_sha256_add(run, af_slice_make(buffer, len)))
            return af_fail_nomem(err, "a checksum");
    }
}

static enum af_status sum(struct af_file_input *in, struct af_arena *arena, const struct af_transfer_watch *watch,
                          uint8_t out[AF_SHA256_BYTES], struct af_error *err)
{
    char *buffer = af_arena_alloc(arena, READ_BYTES);
    struct af_sha256_run *run = buffer != NULL ? af_sha256_begin() : NULL;
    if (run == NULL)
        return af_fail_nomem(err, "a checksum");
    enum af_status status = add_bytes(run, in, buffer, watch, err);
    if (!af_sha256_end(run, status == AF_OK ? out : NULL) && status == AF_OK)
        status = af_fail_nomem(err, "a checksum");
    return status;
}

enum af_status transfer_sum(const char *path, const struct af_transfer_watch *watch, char out[TRANSFER_SUM_TEXT], struct af_error *err)
{
    uint8_t digest[AF_SHA256_BYTES];
    struct af_file_input *in;
    struct af_arena arena;
    AF_TRY(af_file_input_open(path, &in, err));
    af_arena_init(&arena, SIZE_MAX / 2);
    enum af_status status = sum(in, &arena, watch, digest, err);
    af_arena_done(&arena);
    af_file_input_close(in);
    if (status != AF_OK)
        return status;
    *af_hex_print(out, digest, sizeof digest) = '\0';
    return AF_OK;
}

enum af_status transfer_sum_check(const struct transfer_backup *backup, const char *archive, const struct af_transfer_watch *watch,
                                  struct af_error *err)
{
    char is[TRANSFER_SUM_TEXT];
    const struct af_slice wanted = af_json_string(backup->sums, transfer_base_name(archive));
    if (wanted.ptr == NULL) /* a backup of InfluxDB's own, or an older one of ours */
        return AF_OK;
    AF_TRY(transfer_sum(archive, watch, is, err));
    if (af_slice_is(wanted, is))
        return AF_OK;
    return af_fail(err, AF_ECORRUPT, "%s is damaged, or not the archive that was backed up: its SHA-256 is %.16s..., the manifest says "
                   "%.*s...", archive, is, wanted.len < 16 ? (int)wanted.len : 16, wanted.ptr);
}

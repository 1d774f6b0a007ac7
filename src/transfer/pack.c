/*
 * pack.c - TSM files into a gzipped tar, and proof that it can be read again.
 *
 *     file --crc--> tar bytes --pieces of 1 MiB--> a gzip member each --> archive      archive --> gunzip --> tar --> crc: the same?
 *
 * A gzip stream may have many members: they need no more memory than one piece, and every reader of gzip takes them.
 */
#include "base/alloc.h"
#include "codec/compress.h"
#include "os/file.h"
#include "transfer/transfer_int.h"

enum { PIECE_BYTES = 1 << 20, READ_BYTES = 256 << 10, LEVEL = 3 };

struct packing {
    struct transfer_pack *pack;
    struct af_arena arena;
    struct transfer_file *files;
    uint32_t *crcs;              /* of the files as they were packed */
    size_t count;
    struct af_file *out;
    struct af_codec_ctx codec;
    struct af_buf piece, packed;
    char *read_buffer;
    /* reading back */
    size_t at;                   /* the next member */
    uint64_t seen;
    uint32_t crc;
};

/* --- writing ---------------------------------------------------------------------------------------------------------------- */

static enum af_status write_piece(struct packing *p, struct af_error *err)
{
    if (p->piece.len == 0)
        return AF_OK;
    af_buf_clear(&p->packed);
    AF_TRY(af_compress(&p->codec, AF_CODEC_GZIP, LEVEL, af_buf_slice(&p->piece), &p->packed, err));
    AF_TRY(af_file_write(p->out, af_buf_slice(&p->packed), err));
    p->pack->bytes_packed += p->packed.len;
    af_buf_clear(&p->piece);
    return AF_OK;
}

static enum af_status put(struct packing *p, struct af_slice bytes, struct af_error *err)
{
    while (bytes.len != 0) {
        size_t room = PIECE_BYTES - p->piece.len;
        size_t n = bytes.len < room ? bytes.len : room;
        af_buf_append(&p->piece, bytes.ptr, n);
        AF_TRY(af_buf_check(&p->piece, "an archive", err));
        bytes = af_slice_make(bytes.ptr + n, bytes.len - n);
        if (p->piece.len == PIECE_BYTES)
            AF_TRY(write_piece(p, err));
    }
    return AF_OK;
}

static enum af_status put_content(struct packing *p, size_t i, struct af_reader *reader, struct af_error *err)
{
    for (uint64_t at = 0; at < reader->size;) {
        size_t n = reader->size - at < READ_BYTES ? (size_t)(reader->size - at) : READ_BYTES;
        AF_TRY(transfer_go_on(p->pack->watch, err));
        AF_TRY(af_reader_read(reader, at, p->read_buffer, n, err));
        p->crcs[i] = af_crc32(p->crcs[i], p->read_buffer, n);
        AF_TRY(put(p, af_slice_make(p->read_buffer, n), err));
        at += n;
        p->pack->bytes += n;
        transfer_show(p->pack->watch, "packing", p->pack->bytes_before + p->pack->bytes, p->pack->bytes_all);
    }
    static const char zeros[512];
    return put(p, af_slice_make(zeros, (size_t)af_tar_padding(reader->size)), err);
}

static enum af_status put_file(struct packing *p, size_t i, struct af_error *err)
{
    struct af_reader *reader;
    uint64_t bytes;
    int64_t mtime_ns;
    AF_TRY(af_path_size(p->files[i].path, &bytes, &mtime_ns, err));
    const char *name = af_arena_printf(&p->arena, "%s/%s", p->pack->prefix, p->files[i].name);
    if (name == NULL)
        return af_fail_nomem(err, "an archive");
    struct af_buf header;
    af_buf_init(&header, 64 << 10);
    enum af_status status = af_tar_headers(name, p->files[i].bytes, mtime_ns / 1000000000, &header, err);
    if (status == AF_OK)
        status = put(p, af_buf_slice(&header), err);
    af_buf_done(&header);
    AF_TRY(status);
    AF_TRY(af_file_reader_open(p->files[i].path, &reader, err));
    if (reader->size != p->files[i].bytes)
        status = af_fail(err, AF_EIO, "%s changes while it is packed", p->files[i].path);
    else
        status = put_content(p, i, reader, err);
    af_reader_close(reader);
    p->pack->files++;
    return status;
}

static enum af_status write_archive(struct packing *p, struct af_error *err)
{
    static const char end[1024];
    AF_TRY(af_file_open(p->pack->archive, AF_FILE_NEW, &p->out, err));
    for (size_t i = 0; i < p->count; i++)
        AF_TRY(put_file(p, i, err));
    AF_TRY(put(p, af_slice_make(end, sizeof end), err));
    AF_TRY(write_piece(p, err));
    return af_file_sync(p->out, err);
}

/* --- reading back ----------------------------------------------------------------------------------------------------------- */

static enum af_status differs(struct packing *p, struct af_error *err)
{
    return af_fail(err, AF_EIO, "%s does not hold what was written to it: is the disk well?", p->pack->archive);
}

static enum af_status end_member(struct packing *p, struct af_error *err)
{
    if (p->at == 0)
        return AF_OK;
    return p->seen == p->files[p->at - 1].bytes && p->crc == p->crcs[p->at - 1] ? AF_OK : differs(p, err);
}

static enum af_status on_member(void *ctx, const char *name, uint64_t bytes, struct af_error *err)
{
    struct packing *p = ctx;
    AF_TRY(end_member(p, err));
    if (p->at >= p->count || strcmp(transfer_base_name(name), p->files[p->at].name) != 0 || bytes != p->files[p->at].bytes)
        return differs(p, err);
    p->at++;
    p->seen = 0;
    p->crc = 0;
    return AF_OK;
}

static enum af_status on_data(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct packing *p = ctx;
    (void)err;
    p->seen += bytes.len;
    p->crc = af_crc32(p->crc, bytes.ptr, bytes.len);
    return AF_OK;
}

static enum af_status read_back(struct packing *p, struct af_error *err)
{
    struct af_tar_reader tar;
    af_tar_reader_init(&tar);
    tar.member = on_member;
    tar.data = on_data;
    tar.ctx = p;
    enum af_status status = transfer_read_archive(p->pack->archive, true, &tar, p->pack->watch, err);
    af_tar_reader_done(&tar);
    if (status == AF_ECORRUPT)
        return differs(p, err);
    AF_TRY(status);
    AF_TRY(end_member(p, err));
    return p->at == p->count ? AF_OK : differs(p, err);
}

/* --- both ------------------------------------------------------------------------------------------------------------------- */

static enum af_status run(struct packing *p, struct af_error *err)
{
    AF_TRY(transfer_files(p->pack->dir, &p->arena, &p->files, &p->count, err));
    p->crcs = af_arena_zero(&p->arena, p->count + 1, sizeof *p->crcs);
    p->read_buffer = af_arena_alloc(&p->arena, READ_BYTES);
    if (p->crcs == NULL || p->read_buffer == NULL)
        return af_fail_nomem(err, "an archive");
    AF_TRY(write_archive(p, err));
    return read_back(p, err);
}

enum af_status transfer_pack(struct transfer_pack *pack, struct af_error *err)
{
    struct packing p = { .pack = pack };
    pack->files = pack->bytes = pack->bytes_packed = 0;
    af_arena_init(&p.arena, SIZE_MAX / 2);
    af_buf_init(&p.piece, PIECE_BYTES);
    af_buf_init(&p.packed, 2 * PIECE_BYTES);
    enum af_status status = run(&p, err);
    af_file_close(p.out);
    af_codec_ctx_done(&p.codec);
    af_buf_done(&p.piece);
    af_buf_done(&p.packed);
    af_arena_done(&p.arena);
    return status;
}

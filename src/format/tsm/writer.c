/*
 * writer.c - a TSM file, written from front to back. Blocks go out in pieces of some 256 KiB; the index stays in memory until finish.
 *
 *     index: key length, key, type, count | block, block, ... | the next key's ...
 *                                    ^ count_at: set when the key ends
 *
 * All that the caller may have got wrong is looked at before a byte is added. A failure after that (memory, the disk) is final:
 * every later call gives it again.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "codec/compress.h"
#include "format/tsm/file_int.h"

enum { OUT_BYTES = 256 << 10, ARENA_BYTES_MAX = 1 << 30 };

struct af_tsm_writer {
    af_tsm_emit emit;
    void *ctx;
    struct af_buf out;    /* not yet emitted */
    struct af_buf index;
    struct af_tsm_stats_writer *stats;
    struct af_arena arena; /* of one block that is copied */
    struct af_tsm_file_info info;
    uint64_t emitted;
    size_t key_at, key_len; /* the current key, in the index; key_len 0: none yet */
    size_t count_at;
    size_t block_count;     /* of the current key */
    enum af_type type;
    int64_t max_ns;         /* of the current key's last block */
    enum af_status failed;
    bool is_finished;
};

enum af_status af_tsm_writer_new(af_tsm_emit emit, void *ctx, struct af_tsm_writer **out, struct af_error *err)
{
    struct af_tsm_writer *w = af_alloc_zero(1, sizeof *w);
    if (w == NULL)
        return af_fail_nomem(err, "a TSM writer");
    w->emit = emit;
    w->ctx = ctx;
    af_buf_init(&w->out, SIZE_MAX / 2);
    af_buf_init(&w->index, INT32_MAX);
    af_arena_init(&w->arena, ARENA_BYTES_MAX);
    w->info = (struct af_tsm_file_info){ .name = "", .min_ns = INT64_MAX, .max_ns = INT64_MIN };
    af_buf_append(&w->out, AF_TSM_MAGIC, AF_TSM_HEADER_BYTES);
    enum af_status status = af_buf_check(&w->out, "a TSM writer", err);
    if (status == AF_OK)
        status = af_tsm_stats_writer_new(&w->stats, err);
    if (status != AF_OK) {
        af_tsm_writer_free(w);
        return status;
    }
    *out = w;
    return AF_OK;
}

void af_tsm_writer_free(struct af_tsm_writer *w)
{
    if (w == NULL)
        return;
    af_tsm_stats_writer_free(w->stats);
    af_buf_done(&w->out);
    af_buf_done(&w->index);
    af_arena_done(&w->arena);
    af_free(w);
}

void af_tsm_writer_emit_stats(struct af_tsm_writer *w, af_tsm_emit emit, void *ctx)
{
    af_tsm_stats_writer_emit(w->stats, emit, ctx);
}

uint64_t af_tsm_writer_bytes(const struct af_tsm_writer *w)
{
    return w->emitted + w->out.len;
}

uint64_t af_tsm_writer_index_bytes(const struct af_tsm_writer *w)
{
    return w->index.len;
}

/* --- what the caller may have got wrong -------------------------------------------------------------------------------------- */

static enum af_status check_open(const struct af_tsm_writer *w, struct af_error *err)
{
    if (w->failed != AF_OK)
        return af_fail(err, w->failed, "the TSM file is not complete: an earlier write to it failed");
    if (w->is_finished)
        return af_fail(err, AF_EINVAL, "the TSM file is finished already");
    return AF_OK;
}

static struct af_slice current_key(const struct af_tsm_writer *w)
{
    return af_slice_make(w->index.ptr != NULL ? w->index.ptr + w->key_at : "", w->key_len);
}

static int shown(struct af_slice key)
{
    return (int)(key.len < 200 ? key.len : 200);
}

/* May `blocks` blocks of `key` that begin at `min_ns` come next? */
static enum af_status check_next(const struct af_tsm_writer *w, struct af_slice key, enum af_type type, size_t blocks, int64_t min_ns,
                                 bool *out_is_new, struct af_error *err)
{
    if (key.len == 0 || key.len > AF_LP_KEY_BYTES_MAX)
        return af_fail(err, AF_EINVAL, "a TSM key of %zu bytes; 1 to %d are possible", key.len, AF_LP_KEY_BYTES_MAX);
    if (af_tsm_type_code(type) < 0)
        return af_fail(err, AF_EINVAL, "\"%.*s\": a TSM file cannot hold values of type %s", shown(key), key.ptr, af_type_name(type));
    const int order = af_slice_cmp(key, current_key(w));
    if (order < 0)
        return af_fail(err, AF_EINVAL, "\"%.*s\" comes after \"%.*s\": the keys of a TSM file ascend", shown(key), key.ptr,
                       shown(current_key(w)), current_key(w).ptr);
    *out_is_new = order > 0;
    if (blocks > AF_TSM_BLOCKS_MAX - (order > 0 ? 0 : w->block_count))
        return af_fail(err, AF_ELIMIT, "\"%.*s\": more than %d blocks of one key: the next TSM file must begin", shown(key), key.ptr,
                       AF_TSM_BLOCKS_MAX);
    if (order == 0 && type != w->type)
        return af_fail(err, AF_EINVAL, "\"%.*s\": values of type %s after some of type %s", shown(key), key.ptr, af_type_name(type),
                       af_type_name(w->type));
    if (order == 0 && min_ns <= w->max_ns)
        return af_fail(err, AF_EINVAL, "\"%.*s\": time %lld is not after %lld", shown(key), key.ptr, (long long)min_ns,
                       (long long)w->max_ns);
    return AF_OK;
}

static enum af_status check_times(struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    bool ascends = true;
    for (size_t i = 1; i < values->count; i++)
        ascends &= values->time_ns[i - 1] < values->time_ns[i];
    if (!ascends)
        return af_fail(err, AF_EINVAL, "\"%.*s\": times that do not ascend strictly", shown(key), key.ptr);
    return AF_OK;
}

/* Finite: the exponent is not all ones. */
static enum af_status check_floats(struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    const uint64_t inf = UINT64_C(0x7ff) << 52;
    bool is_finite = true;
    for (size_t i = 0; values->values.type == AF_TYPE_F64 && i < values->count; i++)
        is_finite &= (values->values.u64[i] & inf) != inf;
    if (!is_finite)
        return af_fail(err, AF_EINVAL, "\"%.*s\": a float that is not finite", shown(key), key.ptr);
    return AF_OK;
}

/* --- adding ------------------------------------------------------------------------------------------------------------------ */

static enum af_status flush(struct af_tsm_writer *w, struct af_error *err)
{
    if (w->out.len == 0)
        return AF_OK;
    AF_TRY(w->emit(w->ctx, af_buf_slice(&w->out), err));
    w->emitted += w->out.len;
    af_buf_clear(&w->out);
    return AF_OK;
}

static void end_key(struct af_tsm_writer *w)
{
    if (w->key_len != 0)
        af_be16_put((uint8_t *)w->index.ptr + w->count_at, (uint16_t)w->block_count);
}

static enum af_status begin_key(struct af_tsm_writer *w, struct af_slice key, enum af_type type, struct af_error *err)
{
    uint8_t head[2];
    const uint8_t tail[3] = { (uint8_t)af_tsm_type_code(type), 0, 0 };
    end_key(w);
    AF_TRY(af_tsm_stats_writer_key(w->stats, type, err));
    af_be16_put(head, (uint16_t)key.len);
    af_buf_append(&w->index, head, sizeof head);
    af_buf_append_slice(&w->index, key);
    af_buf_append(&w->index, tail, sizeof tail);
    AF_TRY(af_buf_check(&w->index, "index of a TSM file", err));
    w->count_at = w->index.len - 2;
    w->key_at = w->index.len - sizeof tail - key.len;
    w->key_len = key.len;
    w->type = type;
    w->block_count = 0;
    w->info.key_count++;
    return AF_OK;
}

/* The block that `out` ends with, `size` bytes of it. */
static enum af_status note_block(struct af_tsm_writer *w, size_t size, int64_t min_ns, int64_t max_ns, struct af_error *err)
{
    uint8_t ref[AF_TSM_REF_BYTES];
    if (size > UINT32_MAX)
        return af_fail(err, AF_ELIMIT, "a TSM block of %zu bytes", size);
    af_be64_put(ref, (uint64_t)min_ns);
    af_be64_put(ref + 8, (uint64_t)max_ns);
    af_be64_put(ref + 16, af_tsm_writer_bytes(w) - size);
    af_be32_put(ref + 24, (uint32_t)size);
    af_buf_append(&w->index, ref, sizeof ref);
    w->block_count++;
    w->info.block_count++;
    w->max_ns = max_ns;
    w->info.min_ns = min_ns < w->info.min_ns ? min_ns : w->info.min_ns;
    w->info.max_ns = max_ns > w->info.max_ns ? max_ns : w->info.max_ns;
    AF_TRY(af_buf_check(&w->index, "index of a TSM file", err));
    return w->out.len >= OUT_BYTES ? flush(w, err) : AF_OK;
}

static enum af_status add_block(struct af_tsm_writer *w, const struct af_tsm_values *values, size_t first, size_t count,
                                struct af_error *err)
{
    const size_t mark = w->out.len;
    af_buf_append(&w->out, "\0\0\0\0", AF_TSM_CRC_BYTES);
    AF_TRY(af_tsm_block_encode(values, first, count, &w->out, err));
    AF_TRY(af_buf_check(&w->out, "a TSM block", err));
    const size_t size = w->out.len - mark;
    uint8_t *raw = (uint8_t *)w->out.ptr + mark;
    af_be32_put(raw, af_crc32(0, raw + AF_TSM_CRC_BYTES, size - AF_TSM_CRC_BYTES));
    AF_TRY(af_tsm_stats_writer_block(w->stats, values, first, count, err));
    return note_block(w, size, values->time_ns[first], values->time_ns[first + count - 1], err);
}

static enum af_status add_blocks(struct af_tsm_writer *w, struct af_slice key, bool is_new, const struct af_tsm_values *values,
                                 struct af_error *err)
{
    if (is_new)
        AF_TRY(begin_key(w, key, values->values.type, err));
    for (size_t at = 0; at < values->count; at += AF_TSM_BLOCK_POINTS) {
        const size_t left = values->count - at;
        AF_TRY(add_block(w, values, at, left < AF_TSM_BLOCK_POINTS ? left : AF_TSM_BLOCK_POINTS, err));
    }
    return AF_OK;
}

enum af_status af_tsm_writer_add(struct af_tsm_writer *w, struct af_slice key, const struct af_tsm_values *values, struct af_error *err)
{
    bool is_new = false;
    AF_TRY(check_open(w, err));
    if (values->count == 0)
        return af_fail(err, AF_EINVAL, "\"%.*s\": no values to write", shown(key), key.ptr);
    const size_t blocks = (values->count - 1) / AF_TSM_BLOCK_POINTS + 1;
    AF_TRY(check_next(w, key, values->values.type, blocks, values->time_ns[0], &is_new, err));
    AF_TRY(check_times(key, values, err));
    AF_TRY(check_floats(key, values, err));
    w->failed = add_blocks(w, key, is_new, values, err);
    return w->failed;
}

/* Decoded for its statistics, and to be sure of it: what is copied will be trusted. */
static enum af_status check_copy(struct af_tsm_writer *w, struct af_slice key, enum af_type type, const struct af_tsm_block_ref *ref,
                                 struct af_slice raw, struct af_tsm_values *out, struct af_error *err)
{
    if (raw.len != ref->size || raw.len < AF_TSM_REF_SIZE_MIN)
        return af_fail(err, AF_EINVAL, "\"%.*s\": a block of %zu bytes where %u are promised", shown(key), key.ptr, raw.len, ref->size);
    const struct af_slice block = af_slice_make(raw.ptr + AF_TSM_CRC_BYTES, raw.len - AF_TSM_CRC_BYTES);
    if (af_crc32(0, block.ptr, block.len) != af_be32((const uint8_t *)raw.ptr))
        return af_fail(err, AF_ECORRUPT, "\"%.*s\": a block to copy has a wrong checksum", shown(key), key.ptr);
    af_arena_reset(&w->arena);
    AF_TRY(af_tsm_block_decode(block, &w->arena, out, err));
    if (out->values.type != type || out->time_ns[0] != ref->min_ns || out->time_ns[out->count - 1] != ref->max_ns)
        return af_fail(err, AF_ECORRUPT, "\"%.*s\": a block to copy is not of the type and times it is said to have", shown(key), key.ptr);
    return AF_OK;
}

static enum af_status copy_block(struct af_tsm_writer *w, struct af_slice key, bool is_new, struct af_slice raw,
                                 const struct af_tsm_values *values, struct af_error *err)
{
    if (is_new)
        AF_TRY(begin_key(w, key, values->values.type, err));
    af_buf_append_slice(&w->out, raw);
    AF_TRY(af_buf_check(&w->out, "a TSM block", err));
    AF_TRY(af_tsm_stats_writer_block(w->stats, values, 0, values->count, err));
    return note_block(w, raw.len, values->time_ns[0], values->time_ns[values->count - 1], err);
}

enum af_status af_tsm_writer_copy(struct af_tsm_writer *w, struct af_slice key, enum af_type type, const struct af_tsm_block_ref *ref,
                                  struct af_slice raw, struct af_error *err)
{
    struct af_tsm_values values;
    bool is_new = false;
    AF_TRY(check_open(w, err));
    AF_TRY(check_next(w, key, type, 1, ref->min_ns, &is_new, err));
    AF_TRY(check_copy(w, key, type, ref, raw, &values, err));
    w->failed = copy_block(w, key, is_new, raw, &values, err);
    return w->failed;
}

/* --- the end ----------------------------------------------------------------------------------------------------------------- */

static enum af_status finish(struct af_tsm_writer *w, struct af_error *err)
{
    uint8_t foot[AF_TSM_FOOTER_BYTES];
    end_key(w);
    w->info.index_offset = af_tsm_writer_bytes(w);
    w->info.index_bytes = w->index.len;
    w->info.index_crc = af_crc32(0, w->index.ptr, w->index.len);
    w->info.bytes = w->info.index_offset + w->index.len + sizeof foot;
    af_be64_put(foot, w->info.index_offset);
    AF_TRY(flush(w, err));
    AF_TRY(w->emit(w->ctx, af_buf_slice(&w->index), err));
    AF_TRY(w->emit(w->ctx, af_slice_make(foot, sizeof foot), err));
    return af_tsm_stats_writer_finish(w->stats, w->info.bytes, w->info.index_crc, err);
}

enum af_status af_tsm_writer_finish(struct af_tsm_writer *w, struct af_tsm_file_info *out, struct af_error *err)
{
    AF_TRY(check_open(w, err));
    if (w->info.block_count == 0)
        return af_fail(err, AF_EINVAL, "a TSM file without a block cannot be: InfluxDB refuses it");
    w->failed = finish(w, err);
    if (w->failed != AF_OK)
        return w->failed;
    w->is_finished = true;
    if (out != NULL)
        *out = w->info;
    return AF_OK;
}

enum af_status af_tsm_writer_stats(struct af_tsm_writer *w, struct af_buf *out, struct af_error *err)
{
    if (!w->is_finished)
        return af_fail(err, AF_EINVAL, "statistics of a TSM file that is not finished");
    af_buf_append_slice(out, af_tsm_stats_writer_bytes(w->stats));
    return af_buf_check(out, "statistics of a TSM file", err);
}

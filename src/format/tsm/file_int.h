/*
 * file_int.h - what the parts of a TSM file share: big-endian numbers, the open file with its sample of keys, a window that slides
 * over the index, and the builder of the side file.
 *
 *     header 5 | blocks ... | index entry, index entry, ... | offset of the index 8
 *                             ^ sample 0     ^ sample 1        at least STEP bytes of index apart
 */
#ifndef AF_FORMAT_TSM_FILE_INT_H
#define AF_FORMAT_TSM_FILE_INT_H
#include "format/tsm/tsm.h"

enum {
    AF_TSM_HEADER_BYTES = 5,
    AF_TSM_FOOTER_BYTES = 8,
    AF_TSM_CRC_BYTES = 4,
    AF_TSM_REF_BYTES = 28,      /* of a block in an index entry */
    AF_TSM_ENTRY_BYTES_MIN = 6, /* of an index entry without its key's first byte and its blocks: lengths, type, count */
    AF_TSM_REF_SIZE_MIN = 7,    /* crc, type, length of the times, one byte of times */
    AF_TSM_BLOCKS_MAX = 65535,  /* of a key: the count has 16 bits */
    AF_TSM_SAMPLE_GROUP = 64,   /* samples that share a prefix */
};
#define AF_TSM_MAGIC "\x16\xd1\x16\xd1\x01"

static inline uint16_t af_be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}
static inline uint32_t af_be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}
static inline uint64_t af_be64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}
static inline void af_be16_put(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void af_be32_put(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}
static inline void af_be64_put(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

/* --- the open file ------------------------------------------------------------------------------------------------------- */

/* A place in the index where an entry begins. Its separator is the shortest start of that entry's key that is greater than the key
 * in front: key >= separator means the key is there or later. Text: from `text` to the next sample's, without the group's prefix. */
struct af_tsm_sample {
    uint32_t at;     /* bytes from the start of the index */
    uint32_t number; /* of the key */
    uint32_t text;
};
struct af_tsm_file {
    struct af_reader *reader;
    struct af_tsm_file_info info;
    struct af_tsm_sample *samples;
    size_t sample_count, sample_cap;
    uint32_t *prefixes; /* per group of samples: where its prefix begins in `text`; it ends at the group's first text */
    size_t prefix_cap;
    struct af_buf text;
};
/* Read the whole index: counts, times and crc in file->info, and the samples. */
AF_MUST_CHECK enum af_status af_tsm_index_scan(struct af_tsm_file *file, struct af_error *err);
/* The number of the last sample that is not behind `key`. */
size_t af_tsm_sample_find(const struct af_tsm_file *file, struct af_slice key);

/* --- the window ---------------------------------------------------------------------------------------------------------- */

/* Bytes [at, end) of a reader, of which `have` are at `ptr`. A read takes `piece` bytes, twice as many each time up to 256 KiB, or what an
 * entry needs. */
struct af_tsm_window {
    struct af_reader *reader;
    const uint8_t *ptr;
    size_t have;
    uint64_t at, end;
    uint8_t *room; /* NULL: the reader's own bytes */
    size_t room_len;
    size_t piece;
    bool is_heap;   /* room is */
    bool wants_crc; /* keep `crc` of the bytes that come in (not those that are in memory) */
    uint32_t crc;
};
/* `room` (may be NULL) is used until more is needed. */
void af_tsm_window_init(struct af_tsm_window *w, struct af_reader *reader, uint64_t at, uint64_t end, size_t piece, void *room,
                        size_t room_len);
void af_tsm_window_done(struct af_tsm_window *w);

/* An entry as it is in the window. */
struct af_tsm_raw_entry {
    struct af_slice key;
    enum af_type type;
    size_t block_count;
    const uint8_t *refs;
    size_t bytes; /* of the entry */
};
/* The entry at the window's start, whole; the window stays. AF_ECORRUPT: it reaches past the end, or has no key, block or known type. */
AF_MUST_CHECK enum af_status af_tsm_window_entry(struct af_tsm_window *w, struct af_tsm_raw_entry *out, struct af_error *err);
static inline void af_tsm_window_skip(struct af_tsm_window *w, size_t bytes)
{
    w->ptr += bytes;
    w->have -= bytes;
    w->at += bytes;
}
/* Forward to `at`: within what is there, else reading begins anew there, with `piece`. */
void af_tsm_window_jump(struct af_tsm_window *w, uint64_t at, size_t piece);
/* The entry at the start is there already, whole. */
bool af_tsm_window_has_entry(const struct af_tsm_window *w);
static inline struct af_tsm_block_ref af_tsm_ref_get(const uint8_t *p)
{
    return (struct af_tsm_block_ref){ (int64_t)af_be64(p), (int64_t)af_be64(p + 8), af_be64(p + 16), af_be32(p + 24) };
}

/* --- the side file's builder (stats_write.c) --------------------------------------------------------------------------------- */

struct af_tsm_stats_writer;
AF_MUST_CHECK enum af_status af_tsm_stats_writer_new(struct af_tsm_stats_writer **out, struct af_error *err);
void af_tsm_stats_writer_free(struct af_tsm_stats_writer *sw);
/* From now on bytes go here instead of being kept. */
void af_tsm_stats_writer_emit(struct af_tsm_stats_writer *sw, af_tsm_emit emit, void *ctx);
/* The next key begins; the next block of it. */
AF_MUST_CHECK enum af_status af_tsm_stats_writer_key(struct af_tsm_stats_writer *sw, enum af_type type, struct af_error *err);
AF_MUST_CHECK enum af_status af_tsm_stats_writer_block(struct af_tsm_stats_writer *sw, const struct af_tsm_values *values,
                                                       size_t first, size_t count, struct af_error *err);
/* The last key, directory and trailer. */
AF_MUST_CHECK enum af_status af_tsm_stats_writer_finish(struct af_tsm_stats_writer *sw, uint64_t tsm_bytes, uint32_t index_crc,
                                                        struct af_error *err);
/* What was kept, when nothing was emitted. */
struct af_slice af_tsm_stats_writer_bytes(const struct af_tsm_stats_writer *sw);
#endif

/*
 * tsm.h - InfluxDB's TSM files (1.x and 2.x): blocks of one series' field, an index, tombstones beside them, and our own side file.
 *
 *     NAME.tsm        header | crc, block | crc, block | ... | index | footer       InfluxDB's, byte for byte
 *     NAME.tombstone  ranges of keys that are deleted                               InfluxDB's
 *     NAME.stats      counts and sums of each block and each day, crc of the index  ours; may be deleted, is rebuilt
 *
 * Pure over base/reader.h: no files, no threads, no globals. A file that is open may be read from several threads at once.
 * Layout and encodings, with their sources: docs/formats/tsm.md. All of it is what InfluxDB writes: encoders are byte-equal to the
 * server's (batch) encoders where those are deterministic.
 */
#ifndef AF_FORMAT_TSM_TSM_H
#define AF_FORMAT_TSM_TSM_H
#include "base/buf.h"
#include "base/reader.h"
#include "data/batch.h"

/* --- one block ------------------------------------------------------------------------------------------------------------ */

enum { AF_TSM_BLOCK_POINTS = 1000 }; /* what InfluxDB writes; any count is read */

/* The block types of the format and the batch's types: 0 F64, 1 I64, 2 BOOL, 3 STRING, 4 U64. */
int af_tsm_type_code(enum af_type type);                       /* -1: no such */
AF_MUST_CHECK bool af_tsm_type_of(int code, enum af_type *out);

/* Values of one field of one series. Times strictly ascend. `values` has `count` rows, all valid (no validity bitmap), of type F64 I64
 * U64 BOOL (bitmap) or STRING (offsets + bytes). */
struct af_tsm_values {
    size_t count;
    const int64_t *time_ns;
    struct af_column values;
};

/* Append the block (without crc) of rows [first, first + count). AF_EINVAL: no rows, or a float that is not finite. */
AF_MUST_CHECK enum af_status af_tsm_block_encode(const struct af_tsm_values *values, size_t first, size_t count, struct af_buf *out,
                                                 struct af_error *err);
/* The points of a block (without crc). Everything lives in `arena`. Times that do not ascend strictly are AF_ECORRUPT, and
 * so is any count the bytes cannot hold. At most AF_TSM_BLOCK_POINTS_MAX points (base/limits.h). */
AF_MUST_CHECK enum af_status af_tsm_block_decode(struct af_slice block, struct af_arena *arena, struct af_tsm_values *out,
                                                 struct af_error *err);
/* A block taken apart, for who does not need all of it: decoding is left to the two calls behind. */
struct af_tsm_block_view {
    enum af_type type;
    size_t count;
    bool is_regular;               /* times are first_ns + i * step_ns: nothing to decode */
    int64_t first_ns;
    uint64_t step_ns;              /* of regular ones; of a single time 0 */
    struct af_slice times, values; /* encoded, in the block's own bytes */
};
AF_MUST_CHECK enum af_status af_tsm_block_open(struct af_slice block, struct af_tsm_block_view *out, struct af_error *err);
AF_MUST_CHECK enum af_status af_tsm_block_times(const struct af_tsm_block_view *view, struct af_arena *arena, int64_t **out,
                                                struct af_error *err);
/* At least the first `rows` values (1..count); what is behind them may be neither there nor checked. */
AF_MUST_CHECK enum af_status af_tsm_block_column(const struct af_tsm_block_view *view, size_t rows, struct af_arena *arena,
                                                 struct af_column *out, struct af_error *err);
/* Names of the encodings of a block, for `tsm dump`: time and value: "rle" "s8b" "raw"; "gor" "bool" "snappy". */
AF_MUST_CHECK enum af_status af_tsm_block_describe(struct af_slice block, enum af_type *out_type, size_t *out_count,
                                                   const char **out_time_encoding, const char **out_value_encoding, struct af_error *err);

/* --- keys ------------------------------------------------------------------------------------------------------------------ */

/* A key of a file: the series key as line protocol escapes it, "#!~#", the field's name unescaped. */
#define AF_TSM_KEY_SEPARATOR "#!~#"
/* Split at the first separator; false if there is none. */
AF_MUST_CHECK bool af_tsm_key_split(struct af_slice key, struct af_slice *out_series, struct af_slice *out_field);
void af_tsm_key_append(struct af_buf *out, struct af_slice series, struct af_slice field);
/* Order of the composite keys without composing them (memcmp of series + separator + field). */
int af_tsm_key_compare(struct af_slice series_a, struct af_slice field_a, struct af_slice series_b, struct af_slice field_b);

/* --- reading a file -------------------------------------------------------------------------------------------------------- */

struct af_tsm_block_ref {
    int64_t min_ns, max_ns; /* first and last time in it */
    uint64_t offset;        /* of the crc */
    uint32_t size;          /* crc included */
};
struct af_tsm_entry {
    struct af_slice key;
    uint64_t number;                       /* of the key in the file, from 0 */
    enum af_type type;
    size_t block_count;
    const struct af_tsm_block_ref *blocks; /* ascending by min_ns */
};

struct af_tsm_file;
/* Takes `reader` (closed with the file, also on failure). Reads header and footer, and the index once, in pieces: its order, its
 * bounds and its crc if `index_crc` (from the side file) is not NULL. Keeps a sample of the keys' places (one every 8 KiB of index)
 * to search by: about half a byte a key.
 *   AF_ECORRUPT  names the reader and what is wrong at which offset */
AF_MUST_CHECK enum af_status af_tsm_file_open(struct af_reader *reader, const uint32_t *index_crc, struct af_tsm_file **out,
                                              struct af_error *err);
void af_tsm_file_close(struct af_tsm_file *file);

struct af_tsm_file_info {
    const char *name;
    uint64_t bytes;
    uint64_t index_offset, index_bytes;
    uint32_t index_crc;
    uint64_t key_count, block_count;
    int64_t min_ns, max_ns; /* over all blocks */
};
void af_tsm_file_info(const struct af_tsm_file *file, struct af_tsm_file_info *out);

/* The entry of a key, in `arena`; out->key.ptr is NULL if the file does not have it. */
AF_MUST_CHECK enum af_status af_tsm_find(struct af_tsm_file *file, struct af_slice key, struct af_arena *arena,
                                         struct af_tsm_entry *out, struct af_error *err);

/* Entries in order of key, from the first that is not less than `from`. An entry lives until the next call. One thread's own. */
struct af_tsm_cursor;
AF_MUST_CHECK enum af_status af_tsm_cursor_open(struct af_tsm_file *file, struct af_slice from, struct af_tsm_cursor **out,
                                                struct af_error *err);
/* The end is AF_OK with out->key.ptr NULL. */
AF_MUST_CHECK enum af_status af_tsm_cursor_next(struct af_tsm_cursor *cursor, struct af_tsm_entry *out, struct af_error *err);
/* Forward: the next entry is the first that is not less than `key` (nor than what the cursor has given already). Steps within what it has
 * read, else a search over the samples. */
AF_MUST_CHECK enum af_status af_tsm_cursor_seek(struct af_tsm_cursor *cursor, struct af_slice key, struct af_error *err);
void af_tsm_cursor_close(struct af_tsm_cursor *cursor);

/* One block: read, crc checked. `raw`: its bytes with the crc, as compaction copies them. */
AF_MUST_CHECK enum af_status af_tsm_read_raw(struct af_tsm_file *file, const struct af_tsm_block_ref *ref, struct af_arena *arena,
                                             struct af_slice *raw, struct af_error *err);
/* Read and decoded; that type and the times at its ends are what the index says is checked. */
AF_MUST_CHECK enum af_status af_tsm_read_block(struct af_tsm_file *file, enum af_type type, const struct af_tsm_block_ref *ref,
                                               struct af_arena *arena, struct af_tsm_values *out, struct af_error *err);

/* Blocks of files read in pieces: what lies close together is read at once. One thread's own; all zero to begin with. */
struct af_tsm_ahead {
    const struct af_tsm_file *file; /* whose bytes [at, at + len) are here */
    uint64_t at;
    size_t len;
    uint64_t behind;                /* end of the block that was asked for last */
    uint8_t *room;
    size_t cap;
};
void af_tsm_ahead_done(struct af_tsm_ahead *ahead);
/* One block, checked as af_tsm_read_block does, but for the last time where times are not regular. `end`: up to there the caller will want
 * what follows, as a hint. The view is valid until the next call. */
AF_MUST_CHECK enum af_status af_tsm_read_view(struct af_tsm_ahead *ahead, struct af_tsm_file *file, enum af_type type,
                                              const struct af_tsm_block_ref *ref, uint64_t end, struct af_tsm_block_view *out,
                                              struct af_error *err);

/* --- writing a file -------------------------------------------------------------------------------------------------------- */

/* Bytes go to `emit` in order, in pieces of some 256 KiB. The index is kept in memory until finish: roll to another file when
 * af_tsm_writer_bytes passes AF_TSM_FILE_BYTES_MAX or af_tsm_writer_index_bytes passes AF_TSM_INDEX_BYTES_MAX (base/limits.h), at a
 * border between keys. */
typedef enum af_status (*af_tsm_emit)(void *ctx, struct af_slice bytes, struct af_error *err);
struct af_tsm_writer;
AF_MUST_CHECK enum af_status af_tsm_writer_new(af_tsm_emit emit, void *ctx, struct af_tsm_writer **out, struct af_error *err);
/* Points of `key`: cut into blocks of AF_TSM_BLOCK_POINTS and encoded. Keys come in strictly ascending order; calls for the same key
 * follow each other, their times ascending; each call ends its last block. AF_EINVAL otherwise, or a float that is not finite; AF_ELIMIT:
 * the key would have more than 65,535 blocks, the next file must begin. Then nothing was added. Any other failure is final. */
AF_MUST_CHECK enum af_status af_tsm_writer_add(struct af_tsm_writer *writer, struct af_slice key, const struct af_tsm_values *values,
                                               struct af_error *err);
/* A block as it is in another file (crc first). It is decoded for its statistics; AF_ECORRUPT if it is not what `ref` says. */
AF_MUST_CHECK enum af_status af_tsm_writer_copy(struct af_tsm_writer *writer, struct af_slice key, enum af_type type,
                                                const struct af_tsm_block_ref *ref, struct af_slice raw, struct af_error *err);
uint64_t af_tsm_writer_bytes(const struct af_tsm_writer *writer);       /* of blocks so far */
uint64_t af_tsm_writer_index_bytes(const struct af_tsm_writer *writer);
/* Index and footer. AF_EINVAL: there is no block. `out` may be NULL. */
AF_MUST_CHECK enum af_status af_tsm_writer_finish(struct af_tsm_writer *writer, struct af_tsm_file_info *out, struct af_error *err);
/* The side file: either its bytes, after finish; or, asked for before the first key, handed to `emit` on the way (those of a large file of
 * hourly data may be 200 MB), the last of them in finish. */
void af_tsm_writer_emit_stats(struct af_tsm_writer *writer, af_tsm_emit emit, void *ctx);
AF_MUST_CHECK enum af_status af_tsm_writer_stats(struct af_tsm_writer *writer, struct af_buf *out, struct af_error *err);
void af_tsm_writer_free(struct af_tsm_writer *writer);

/* --- the side file: statistics --------------------------------------------------------------------------------------------- */

/* Of the values in a block or in a UTC day of a key. Numbers as the type's own 64 bits (F64, I64, U64; BOOL: min, max, first and last as
 * 0 or 1, no sum; STRING: count only). Sums of integers wrap. Floats are added in order of time, those of a block in a day first, then
 * these sums: the last bits of a sum depend on where blocks end. Of equal minima (0 and -0) the earlier one counts. */
struct af_tsm_stat {
    uint32_t count;
    uint64_t sum, min, max, first, last;
};
struct af_tsm_day {
    int64_t day;              /* days since 1970-01-01 */
    struct af_tsm_stat stat;
};
struct af_tsm_stats;
/* Over the bytes of a side file, which the caller keeps, or over a reader (closed with it, also on failure): then little stays in
 * memory, each get reads three times. AF_ECORRUPT, here or from get: it is damaged; delete and rebuild it. Whether it belongs to a TSM
 * file the caller compares (af_tsm_stats_of). */
AF_MUST_CHECK enum af_status af_tsm_stats_open_reader(struct af_reader *reader, struct af_tsm_stats **out, struct af_error *err);
AF_MUST_CHECK enum af_status af_tsm_stats_open(struct af_slice bytes, const char *name, struct af_tsm_stats **out, struct af_error *err);
void af_tsm_stats_close(struct af_tsm_stats *stats);
void af_tsm_stats_of(const struct af_tsm_stats *stats, uint64_t *out_tsm_bytes, uint32_t *out_index_crc);
/* Of key number `key` (af_tsm_entry.number); arrays in `arena`, one stat a block, and the days in order. What is not worth its bytes is
 * not kept, then a count is 0 and the blocks must be decoded: a key with fewer than 64 points a block has nothing, one with fewer than
 * 8 points a day no days. */
AF_MUST_CHECK enum af_status af_tsm_stats_get(const struct af_tsm_stats *stats, uint64_t key, struct af_arena *arena,
                                              struct af_tsm_stat **out_blocks, size_t *out_block_count, struct af_tsm_day **out_days,
                                              size_t *out_day_count, struct af_error *err);
/* From the TSM file itself, by decoding all of it: the same bytes that the writer gave. */
AF_MUST_CHECK enum af_status af_tsm_stats_build_to(struct af_tsm_file *file, af_tsm_emit emit, void *ctx, struct af_error *err);
AF_MUST_CHECK enum af_status af_tsm_stats_build(struct af_tsm_file *file, struct af_buf *out, struct af_error *err);

/* --- tombstones ------------------------------------------------------------------------------------------------------------ */

struct af_tsm_tomb {
    struct af_slice key;
    int64_t min_ns, max_ns; /* inclusive; INT64_MIN and INT64_MAX: everything */
};
/* Read versions 1 to 4; records in file order, in `arena`. A short last record is the end, as for InfluxDB. */
AF_MUST_CHECK enum af_status af_tsm_tombs_parse(struct af_slice bytes, const char *name, struct af_arena *arena,
                                                struct af_tsm_tomb **out, size_t *out_count, struct af_error *err);
/* A whole version 4 file with these records (one gzip member). */
AF_MUST_CHECK enum af_status af_tsm_tombs_print(const struct af_tsm_tomb *tombs, size_t count, struct af_buf *out, struct af_error *err);

/* --- checking -------------------------------------------------------------------------------------------------------------- */

struct af_tsm_check {
    uint64_t keys, blocks, points;
    uint64_t bad_blocks;      /* crc or content */
    uint64_t bad_entries;     /* key order, one key twice, overlap, times outside the entry, not UTF-8 */
    int64_t min_ns, max_ns;
};
/* Everything that can be wrong: decodes all blocks. Each fault is told in words; the check goes on where it can. */
AF_MUST_CHECK enum af_status af_tsm_check(struct af_tsm_file *file, void (*fault)(void *ctx, const char *words), void *ctx,
                                          struct af_tsm_check *out, struct af_error *err);

/* --- InfluxDB's write-ahead log, read ------------------------------------------------------------------------------------------ */

/* Entries of one segment, in order. A torn tail ends it (*out_torn: bytes left out). */
struct af_tsm_wal_visitor {
    void *ctx;
    /* times in any order */
    enum af_status (*write)(void *ctx, struct af_slice key, const struct af_tsm_values *values, struct af_error *err);
    enum af_status (*erase)(void *ctx, struct af_slice key, int64_t min_ns, int64_t max_ns, struct af_error *err);
};
AF_MUST_CHECK enum af_status af_tsm_wal_read(struct af_slice segment, const char *name, const struct af_tsm_wal_visitor *visitor,
                                             uint64_t *out_torn, struct af_error *err);
#endif

/*
 * wal_int.h - what the log's writing half (wal.c) and its reading half (wal_read.c) share: segments, records, names.
 */
#ifndef AF_TSM_WAL_INT_H
#define AF_TSM_WAL_INT_H
#include "tsm/tsm_int.h"

enum { AF_WAL_SEGMENT_HEADER = 16, AF_WAL_RECORD_HEADER = 16 };
#define AF_WAL_FIRST 0x80000000U /* the record begins a group: what is before it was synced */
#define AF_WAL_GAP 0x40000000U   /* tickets before it are missing, and fsck has told so */
#define AF_WAL_LENGTH 0x3fffffffU

struct af_wal_segment {
    uint64_t number;
    uint64_t bytes;
};
struct af_wal_segments { /* ascending */
    struct af_wal_segment *list;
    size_t count, cap;
};
AF_MUST_CHECK enum af_status af_wal_segments_read(const char *dir, struct af_wal_segments *out, struct af_error *err);
AF_MUST_CHECK enum af_status af_wal_segments_reserve(struct af_wal_segments *segments, struct af_error *err); /* room for one more */
void af_wal_segments_done(struct af_wal_segments *segments);

/* "<dir>/0000000007.wal<suffix>", allocated; NULL without memory. */
char *af_wal_path(const char *dir, uint64_t number, const char *suffix);

void af_wal_put_header(char *dst, uint64_t number);
/* `crc`: that of the payload. */
void af_wal_put_record(char *dst, uint32_t word, uint32_t crc, uint64_t ticket);

/* What replay has learnt: where appending goes on. */
struct af_wal_replayed {
    uint64_t next_ticket;   /* 0: no record was seen */
    uint64_t end;           /* of the whole records of the last segment; 0: not even its header is whole */
    uint64_t group_at;      /* where the last group of the last segment begins */
    struct af_wal_report report;
};
/* All segments in order. `segments` get their sizes. */
AF_MUST_CHECK enum af_status af_wal_read(const char *dir, struct af_wal_segments *segments, af_wal_replay replay, void *ctx,
                                         struct af_wal_replayed *out, struct af_error *err);
#endif

/*
 * ingest.h - files to points, in order, on several cores: the spine that migrate, convert, write and verify share.
 *
 *     sources --> [one at a time: open, decode] --> a few ready --> map, work (parallel) --> parked --> [turn: deliver in source order]
 *
 * One worker at a time decodes the next batch, so that decoding is sequential per file; each maps a batch and does the stage's parallel
 * work on its own, and parks it until its turn, so that the stage sees blocks in exactly the order of the source whatever the number
 * of workers. Memory: one batch a worker and four more. When all are taken workers wait: the back-pressure of the stage's deliver
 * holds everything.
 */
#ifndef AF_INGEST_INGEST_H
#define AF_INGEST_INGEST_H
#include "format/json/json.h"
#include "format/lp/lp.h"
#include "format/parquet/parquet.h"
#include "map/map.h"

/* --- sources ------------------------------------------------------------------------------------------------------------- */

enum af_source_format { AF_SOURCE_PARQUET, AF_SOURCE_CSV, AF_SOURCE_LP };
const char *af_source_format_name(enum af_source_format format);

struct af_file;
struct af_s3;
struct af_source {
    const char *path;         /* "-": standard input; s3://bucket/key: an object */
    enum af_source_format format;
    uint64_t bytes;           /* 0 if unknown */
    int64_t mtime_ns;
    bool is_pipe;             /* standard input, a FIFO: it can be read once, in sequence */
    bool is_guess;            /* a pipe whose name does not say its format */
    struct af_file *copy;     /* of a pipe, made by af_source_list_keep; NULL: none */
    struct af_s3 *s3;         /* of an object; NULL: it is none. Borrowed */
    char etag[64];            /* of an object: the version that was listed, the only one that is read */
};
struct af_source_list {
    size_t count;
    struct af_source *items;  /* in the order given; a directory's files in bytewise order of their paths */
    struct af_arena arena;
};
/* Where other than on this machine sources may be. `s3` is called for the first s3:// argument (credentials are looked for only then). */
struct af_source_from {
    enum af_status (*s3)(void *ctx, struct af_s3 **out, struct af_error *err);
    void *ctx;
    const bool *cancel;
};
/* Files, directories (recursive), globs, FIFOs, "-", s3://bucket/key, s3://bucket/prefix and s3://bucket/pat*ern (`from` NULL: no s3). An
 * s3:// argument that is a key itself is that object, else all below it, which must begin a whole path segment. Formats by name (.parquet
 * .pq; .csv .txt .tsv; .lp .line .lines), else by first bytes; a pipe without such a name is line protocol until af_source_list_keep
 * says otherwise. In directories files of other kinds are passed over. AF_ENOTFOUND when nothing is left, naming the argument. */
AF_MUST_CHECK enum af_status af_source_list_make(const char *const *args, size_t count, const struct af_source_from *from,
                                                 struct af_source_list *out, struct af_error *err);
void af_source_list_done(struct af_source_list *list);

/* Copy pipes to files without a name, so that they can be read at random and as often as needed: tables always, line protocol if
 * `must_repeat`. With `are_tables`, pipes whose name says nothing are tables too, of the format of their first bytes. */
struct af_source_keep {
    const char *scratch_dir; /* NULL: /tmp */
    bool are_tables;
    bool must_repeat;
};
AF_MUST_CHECK enum af_status af_source_list_keep(struct af_source_list *list, const struct af_source_keep *how, struct af_error *err);

/* One source opened as a table (Parquet, CSV). */
struct af_table;
AF_MUST_CHECK enum af_status af_table_open(const struct af_source *source, struct af_table **out, struct af_error *err);
void af_table_close(struct af_table *table);
const struct af_schema *af_table_schema(const struct af_table *table);
struct af_parquet *af_table_parquet(struct af_table *table); /* NULL for CSV */
/* columns NULL: all. For CSV the projection is ignored. Close the stream before the table; one stream at a time for CSV. */
AF_MUST_CHECK enum af_status af_table_scan(struct af_table *table, const size_t *columns, size_t column_count,
                                           uint32_t row_group_first, struct af_stream **out, struct af_error *err);

/* --- the run ------------------------------------------------------------------------------------------------------------- */

/*
 * A unit is what a journal remembers: a row group, or AF_UNIT_ROWS rows of a text file. A unit ends where the next begins, or with the
 * block that has source_ends: every source gets exactly one such block, its last, without rows.
 *
 * Rows are numbered from 0 in their file: records of a CSV (its header is none), rows of Parquet, and of line protocol the lines as an
 * editor counts them, comments and blank ones too.
 */
struct af_ingest_block {
    size_t source;                    /* index in the list */
    uint32_t part;                    /* row group, or number of the stretch */
    uint64_t ticket;                  /* 0, 1, 2 ... over the run; blocks that share one follow each other */
    size_t ticket_row;                /* points' rows of this ticket before this block: (ticket, ticket_row + row) is the order */
    bool unit_begins;                 /* first block of (source, part) */
    bool source_ends;
    bool source_is_bad;               /* with source_ends: it could not be read to its end */
    uint64_t first_row;
    size_t rows;                      /* read, good or bad */
    size_t rows_empty;
    struct af_map_rejects rejects;
    const struct af_points *points;   /* NULL: none in this block */
    const uint64_t *lines;            /* per row of points, in its file; NULL: first_row + row */
};

/*
 * What is done with points. `work` runs in parallel; `deliver` in order, one at a time, in any thread. Both may be NULL. They meet in the
 * scratch: `deliver` gets the one that `work` of the same block had; there is one for each batch on its way. Without `deliver`,
 * a worker keeps one scratch through all its blocks, which it needs if it remembers series of a set.
 *
 * With `work`, the points that `deliver` gets are without their set (NULL): by then the worker maps another block with it. Without
 * `work` they have it, and blocks are not parked.
 */
struct af_ingest_stage {
    void *ctx;
    void *(*scratch_new)(void *ctx);              /* NULL result: no memory */
    void (*scratch_free)(void *ctx, void *scratch);
    enum af_status (*work)(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err);
    enum af_status (*deliver)(void *ctx, void *scratch, const struct af_ingest_block *block, struct af_error *err);
};

struct af_ingest_totals {
    uint64_t files, files_bad;
    uint64_t parts_lost, rows_lost;   /* row groups that could not be read, in files that went on */
    uint64_t rows_read, rows_rejected, rows_empty, points;
    uint64_t bytes_done;              /* of the sources, by how far they are read */
};

struct af_ingest_options {
    const struct af_source_list *sources;
    const struct af_map *map;           /* for every table; NULL: detected per file */
    bool infer;                         /* and guessed where detection finds nothing */
    const struct af_map_override *override; /* applied to detected and guessed mappings; may be NULL */
    enum af_precision lp_precision;     /* of line-protocol sources */
    bool lp_unsigned;                   /* take 12u */
    int64_t now_ns;                     /* for lines without a time */
    unsigned workers;                   /* 0: one a processor */
    bool strict;                        /* a bad file or row group ends the run */
    /* Where to begin: everything before (source, part) is left out. */
    size_t resume_source;
    uint32_t resume_part;
    const bool *cancel;
    /* A file or row group that could not be read (rows: how many are lost if known). Called in order, under the turn. */
    void (*bad_source)(void *ctx, const struct af_source *source, uint32_t part, uint64_t first_row, uint64_t rows,
                       const struct af_error *why);
    /* Which mapping a file got; called once a file, before its first block. */
    void (*mapped)(void *ctx, const struct af_source *source, const struct af_map *map);
    void (*progress)(void *ctx, const struct af_ingest_totals *now); /* about five times a second, from the calling thread */
    void *ctx;
};

/* Blocks until done. AF_ECANCELED: *cancel became true. */
AF_MUST_CHECK enum af_status af_ingest_run(const struct af_ingest_options *options, const struct af_ingest_stage *stage,
                                           struct af_ingest_totals *out, struct af_error *err);

/* The mapping a file would get, for --dry-run and inspect. Free it. */
AF_MUST_CHECK enum af_status af_ingest_map_for(const struct af_ingest_options *options, const struct af_source *source,
                                               struct af_map **out, struct af_error *err);

/* --- dead letters, read back --------------------------------------------------------------------------------------------- */

struct af_letter {
    const char *file;               /* where it came from; "": it does not say */
    uint32_t row_group;
    uint64_t row;
    const char *column;             /* NULL: none */
    const char *reason;
    struct af_slice line;           /* line protocol in ns that the store refused; no memory: it is not that */
    const struct af_json *row_data; /* a row that became no point, an object; NULL: it is not that */
    struct af_slice raw;            /* what could not even be a row; may have no memory */
    bool is_damaged;                /* of line or row_data, some bytes were no UTF-8 and are lost: U+FFFD stands for them */
};
struct af_letters;
AF_MUST_CHECK enum af_status af_letters_open(const char *path, struct af_letters **out, struct af_error *err);
/* The next entry, in `arena` with all it points to; NULL at the end. AF_ECORRUPT names the line; a last line torn by a crash is none. */
AF_MUST_CHECK enum af_status af_letters_next(struct af_letters *letters, struct af_arena *arena, struct af_letter **out,
                                             struct af_error *err);
void af_letters_close(struct af_letters *letters); /* NULL is fine */

/* `each` of the files at `path`: itself, or of a directory the dead-letters-*.jsonl (not those that were retried: *.retried). */
AF_MUST_CHECK enum af_status af_letters_find(const char *path, enum af_status (*each)(void *ctx, const char *path, struct af_error *err),
                                             void *ctx, struct af_error *err);

/* Rows as a table again. `like`: the schema of the file they came from, NULL if it is not to be had. Rows make a batch together when
 * each fits the schema of the first; arena and letters live as long as what is made of them. */
AF_MUST_CHECK enum af_status af_letter_schema(const struct af_letter *letter, const struct af_schema *like, struct af_arena *arena,
                                              struct af_schema *out, struct af_error *err);
bool af_letter_fits(const struct af_letter *letter, const struct af_schema *like, const struct af_schema *schema);
AF_MUST_CHECK enum af_status af_letters_batch(struct af_letter *const *letters, size_t count, const struct af_schema *schema,
                                              struct af_arena *arena, struct af_batch *out, struct af_error *err);

/* --- the journal --------------------------------------------------------------------------------------------------------- */

/*
 * Which units are settled: a text file of lines, appended and fsynced now and then; a lost tail only means work done again. What is
 * skipped on resume is the longest run of settled units from the beginning, so an older file can never overwrite a newer one.
 *
 *     afluxo-journal 1 <fingerprint of target and mapping, 16 hex> <id of the run>
 *     <crc32 of the rest, 8 hex> <key of the unit, 16 hex> <- | L: last of its file | B: last, file bad> <bytes> <mtime> <part>
 */
struct af_journal;
enum { AF_RUN_ID_BYTES = 64 };
/* resume false, or another fingerprint, or no file: begins empty as run `run_id`, and *out_resumed is false. Else run_id becomes that
 * of the run that began it: what belongs to one migration keeps one name however often it is interrupted. */
AF_MUST_CHECK enum af_status af_journal_open(const char *path, uint64_t fingerprint, bool resume, char run_id[AF_RUN_ID_BYTES],
                                             struct af_journal **out, bool *out_resumed, struct af_error *err);
enum af_journal_flag { AF_JOURNAL_MORE, AF_JOURNAL_LAST, AF_JOURNAL_BAD };
void af_journal_settle(struct af_journal *journal, const struct af_source *source, uint32_t part,
                       enum af_journal_flag flag); /* any thread */
/* AF_EFULL: nothing is forgotten, the next call tries again. */
AF_MUST_CHECK enum af_status af_journal_sync(struct af_journal *journal, struct af_error *err);
void af_journal_close(struct af_journal *journal);
/* Where to go on: the first unit of `sources` that is not settled, and how many sources before it were bad. A pipe is never skipped:
 * nobody knows whether it says the same again. */
void af_journal_resume_point(struct af_journal *journal, const struct af_source_list *sources, size_t *out_source,
                             uint32_t *out_part, uint64_t *out_bad);
#endif

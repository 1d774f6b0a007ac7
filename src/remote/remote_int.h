/*
 * remote_int.h - what the files of remote/ share.
 *
 *     influx.c     opening, version, connections, create, ping
 *     verdict.c    what an answer means
 *     write.c      line protocol out
 *     first.c      who makes a shard
 *     influxql.c   chunked answers to InfluxQL (JSON, msgpack) as events of rows
 *     msgpack.c    msgpack as events
 *     scan.c       a scan in InfluxQL, window by window
 *     annotated.c  annotated CSV as events of rows
 *     flux.c       a scan in Flux
 *     predicate.c  predicates as text of either language
 *     list.c       listings
 *     series.c     series of a bucket that InfluxQL does not reach
 *     erase.c      deletes
 *     answer.c     a query in the server's own language: its answer, pulled
 *     tables.c     rows, cell by cell, as tables
 *     tables_v1.c  answers to InfluxQL as tables
 *     tables_flux.c  answers to Flux as tables
 *
 * Threads: a call takes a connection out of the pool (or makes one) and gives it back; everything else in `remote` is
 * constant after opening, but for has_dbrp, which only ever goes from unknown to known, and `first`, which has its own lock.
 */
#ifndef AF_REMOTE_INT_H
#define AF_REMOTE_INT_H
#include "base/arena.h"
#include "codec/compress.h"
#include "data/table.h"
#include "format/json/json.h"
#include "net/http.h"
#include "os/thread.h"
#include "remote/remote.h"
#include "store/listing.h"
#include "store/rows.h"

enum remote_dbrp { DBRP_UNKNOWN, DBRP_YES, DBRP_NO };

/* A connection and the buffers that a request on it needs. */
struct remote_conn {
    struct af_http *http;
    struct af_http_answer answer;
    struct af_codec_ctx codec;
    struct af_buf packed; /* the body, compressed */
    struct af_buf url;
    struct af_buf body;
    const char *headers[8];
    size_t header_count;
    struct remote_conn *next;
};

/* --- first writes (first.c) --------------------------------------------------------------------------------------------------- */

struct remote_weeks {
    int64_t *items; /* ascending */
    size_t count, cap;
    int64_t *room;  /* for these and the known ones together */
};
struct remote_first {
    struct af_mutex lock;
    struct af_cond cond;
    bool is_taken;             /* the turn */
    struct remote_weeks known;
};
void remote_first_init(struct remote_first *first);
void remote_first_done(struct remote_first *first);
/* May wait. `weeks` (zeroed) gets the weeks this write is the first to reach; if there are any, it has the turn. `leave` in any case. */
AF_MUST_CHECK enum af_status remote_first_enter(struct remote_first *first, const struct af_write *write, struct remote_weeks *weeks,
                                                struct af_error *err);
void remote_first_leave(struct remote_first *first, struct remote_weeks *weeks, bool is_done);

struct remote {
    struct af_store base;
    struct af_arena arena;    /* of the texts below */
    const char *root;         /* http://host:port/prefix, without the last '/' */
    const char *bucket;
    const char *database;     /* 1.x: the part before '/'; 2.x: the bucket */
    const char *policy;       /* 1.x: behind '/'; NULL: the default one */
    const char *org;          /* "" if none */
    const char *authorization; /* the whole header, or NULL */
    struct af_http_options http;
    bool is_v2;
    bool force_flux;
    bool no_gzip;
    uint64_t scan_window_ns;
    uint64_t shard_s;
    char version[80];
    _Atomic int has_dbrp;     /* enum remote_dbrp */
    struct af_mutex lock;
    struct remote_conn *idle;
    struct remote_first first;
};

static inline struct remote *remote_of(struct af_store *store)
{
    return (struct remote *)store;
}

/* --- requests (influx.c) ------------------------------------------------------------------------------------------------------ */

AF_MUST_CHECK enum af_status remote_take(struct remote *remote, struct remote_conn **out, struct af_error *err);
/* `conn` NULL is fine. One whose last request failed is closed instead of kept. */
void remote_give(struct remote *remote, struct remote_conn *conn, bool is_well);

/* Put a request together: URL, parameters, headers. Parts are escaped here. */
void remote_request(struct remote *remote, struct remote_conn *conn, const char *path);
void remote_param(struct remote_conn *conn, const char *name, struct af_slice value);
void remote_header(struct remote_conn *conn, const char *header);

struct remote_sending {
    const char *method;
    struct af_slice body;
    enum af_status (*on_body)(void *ctx, struct af_slice bytes, struct af_error *err);
    void *ctx;
    const bool *cancel;
};
AF_MUST_CHECK enum af_status remote_send(struct remote_conn *conn, const struct remote_sending *sending, struct af_error *err);
/* The same, to be pulled with af_http_pull(conn->http) and ended with af_http_end. */
AF_MUST_CHECK enum af_status remote_begin(struct remote_conn *conn, const struct remote_sending *sending, struct af_error *err);

/* --- verdicts (verdict.c) ----------------------------------------------------------------------------------------------------- */

/* The server's own words in an answer that is no success: the error of its JSON, else the header's, else the start of the body. */
void remote_reason(const struct af_http_answer *answer, char *dst, size_t cap);
/* A write's answer: a verdict (AF_OK) or a failure. */
AF_MUST_CHECK enum af_status remote_judge_write(const struct remote *remote, const struct af_http_answer *answer,
                                                struct af_write_answer *out, struct af_error *err);
/* Any other request's: AF_OK for 2xx. */
AF_MUST_CHECK enum af_status remote_judge(const struct remote *remote, const struct af_http_answer *answer, struct af_error *err);
/* An error text found inside the stream of a query's answer. */
enum af_status remote_judge_text(const struct remote *remote, const char *text, struct af_error *err);

/* --- InfluxQL answers (influxql.c) -------------------------------------------------------------------------------------------- */

struct iql_tag {
    struct af_slice key;
    struct af_slice value;
};
/* For who wants the whole answer, statement by statement, and the types that msgpack keeps apart. All must be there. */
struct iql_whole {
    enum af_status (*result)(void *ctx, struct af_error *err);              /* begins, in each chunk */
    enum af_status (*statement)(void *ctx, uint64_t id, struct af_error *err); /* of the result; errors in msgpack have none */
    enum af_status (*column)(void *ctx, struct af_slice name, struct af_error *err); /* before `series` */
    enum af_status (*packed)(void *ctx, const struct af_value *value, struct af_error *err); /* a cell of msgpack, instead of `cell` */
    enum af_status (*series_end)(void *ctx, struct af_error *err);          /* `series` came before, even if there are no values */
    enum af_status (*message)(void *ctx, struct af_slice level, struct af_slice text, struct af_error *err);
    enum af_status (*failed)(void *ctx, struct af_slice text, struct af_error *err); /* a statement; without this the answer ends */
    enum af_status (*result_end)(void *ctx, bool is_partial, struct af_error *err);
};
struct iql_handler {
    /* A series begins (again in each chunk). Tags are in the order of the answer. May be NULL. */
    enum af_status (*series)(void *ctx, struct af_slice name, const struct iql_tag *tags, size_t tag_count, size_t column_count,
                             struct af_error *err);
    enum af_status (*cell)(void *ctx, size_t column, enum af_json_kind kind, bool is_true, struct af_slice text,
                           struct af_error *err);
    enum af_status (*row_end)(void *ctx, struct af_error *err);
    const struct iql_whole *whole; /* may be NULL */
};
struct iql_reader;
AF_MUST_CHECK enum af_status iql_reader_new(const struct remote *remote, const struct iql_handler *handler, void *ctx,
                                            struct iql_reader **out, struct af_error *err);
/* The answer turns out to be msgpack (its Content-Type says so); before the first bytes. */
AF_MUST_CHECK enum af_status iql_reader_expect_msgpack(struct iql_reader *reader, struct af_error *err);
/* An af_http_request.on_body. Errors inside the answer end it. */
enum af_status iql_reader_feed(void *reader, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status iql_reader_finish(struct iql_reader *reader, struct af_error *err);
void iql_reader_free(struct iql_reader *reader);

/* Identifiers in double quotes, with the backslashes that InfluxQL and Flux strings share. */
void remote_append_quoted(struct af_buf *out, struct af_slice text);
/* "policy"."measurement" */
void iql_append_source(struct af_buf *out, const struct remote *remote, const char *measurement);
/* Append " WHERE ..." for the predicate, if it restricts. */
void iql_append_where(struct af_buf *out, const struct af_predicate *predicate);
/* Set up a query request: URL, form body in conn->body. `chunk_rows` 0: not chunked. */
void iql_request(struct remote *remote, struct remote_conn *conn, struct af_slice text, unsigned chunk_rows);
/* Send and read the rows of a whole answer. */
AF_MUST_CHECK enum af_status iql_run(struct remote *remote, struct af_slice text, const bool *cancel,
                                     const struct iql_handler *handler, void *ctx, struct af_error *err);

/* --- msgpack (msgpack.c) -------------------------------------------------------------------------------------------------------- */

/* As struct af_json_handler, but a scalar is a value with its type (TIME: the extensions 5 and -1). */
struct pack_handler {
    enum af_status (*value)(void *ctx, const struct af_value *value, struct af_error *err);
    enum af_status (*begin)(void *ctx, enum af_json_kind kind, struct af_error *err);
    enum af_status (*end)(void *ctx, enum af_json_kind kind, struct af_error *err);
    enum af_status (*key)(void *ctx, struct af_slice key, struct af_error *err);
};
struct pack_reader;
AF_MUST_CHECK enum af_status pack_reader_new(const struct pack_handler *handler, void *ctx, struct pack_reader **out, struct af_error *err);
/* Several documents may follow each other. AF_ECORRUPT: no msgpack; AF_ELIMIT: too deep, or a text too long. */
AF_MUST_CHECK enum af_status pack_reader_feed(struct pack_reader *reader, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status pack_reader_finish(struct pack_reader *reader, struct af_error *err); /* AF_ECORRUPT: cut short, or nothing */
void pack_reader_free(struct pack_reader *reader);

/* --- annotated CSV (annotated.c) ---------------------------------------------------------------------------------------------- */

struct csv_column {
    struct af_slice name;
    struct af_slice type;    /* "double", "long", "dateTime:RFC3339", ... */
    struct af_slice missing; /* #default: what an empty cell means */
    bool is_key;             /* #group */
};
struct csv_handler {
    enum af_status (*table)(void *ctx, const struct csv_column *columns, size_t count, struct af_error *err); /* a header row */
    enum af_status (*row)(void *ctx, const struct af_slice *cells, size_t count, struct af_error *err);
};
struct csv_reader;
AF_MUST_CHECK enum af_status csv_reader_new(const struct remote *remote, const struct csv_handler *handler, void *ctx,
                                            struct csv_reader **out, struct af_error *err);
enum af_status csv_reader_feed(void *reader, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status csv_reader_finish(struct csv_reader *reader, struct af_error *err);
void csv_reader_free(struct csv_reader *reader);

/* --- Flux (flux.c) ------------------------------------------------------------------------------------------------ */

/* A query request: JSON body in conn->body. */
void flux_request(struct remote *remote, struct remote_conn *conn, struct af_slice text);
AF_MUST_CHECK enum af_status flux_run(struct remote *remote, struct af_slice text, const bool *cancel,
                                      const struct csv_handler *handler, void *ctx, struct af_error *err);
AF_MUST_CHECK enum af_status flux_list(struct remote *remote, enum af_listing what, const struct af_scan *scan,
                                       struct af_listed *listed, struct af_error *err);

/* A string literal of Flux. */
void flux_append_string(struct af_buf *out, struct af_slice text);
/* from(bucket) |> range, both ends included. */
void flux_append_from(struct af_buf *out, const struct remote *remote, int64_t from_ns, int64_t last_ns);
/*  |> filter(...) by measurement and predicate, as far as they restrict. */
void flux_append_filters(struct af_buf *out, const char *measurement, const struct af_predicate *predicate);

/* --- answers as tables (tables.c) --------------------------------------------------------------------------------------------- */

/*
 * Rows are collected cell by cell and cut into tables: when the series ends, or there are enough cells. What is ready waits in `parts`
 * until it is taken; all of it lives in `ready`, which tables_take empties once nothing waits.
 */
struct tables {
    const char *name;             /* of the store, for messages */
    struct af_arena ready;
    struct af_remote_part *parts;
    size_t part_count, part_cap, part_next;
    uint64_t statement;           /* the one at hand */
    bool has_statement;
    struct af_arena series;       /* of the series at hand: key and names */
    struct af_group_key key;
    struct af_slice *names;
    enum af_type *types;          /* as the answer declares them; NULL: it does not */
    size_t column_count;
    bool is_loose;                /* floats may look like integers */
    bool is_open, has_rows;       /* has_rows: some table of it was made */
    struct af_arena texts;        /* of the cells at hand */
    struct af_value *cells;       /* row after row */
    size_t cell_count, cell_cap, text_bytes;
    enum af_type *before;         /* by column: its type in the tables before, of this statement; NULL: there are none */
    size_t before_count;
};
void tables_init(struct tables *tables, const char *name);
void tables_done(struct tables *tables);
/* Another statement begins, unless it is the one at hand. */
AF_MUST_CHECK enum af_status tables_statement(struct tables *tables, uint64_t id, struct af_error *err);
struct tables_head {
    const struct af_key_part *parts; /* in any order */
    size_t part_count;
    const struct af_slice *names;
    const enum af_type *types;       /* NULL: to be found */
    size_t column_count;
};
/* All is copied. Ends the series at hand. */
AF_MUST_CHECK enum af_status tables_series(struct tables *tables, const struct tables_head *head, struct af_error *err);
/* As many as there are columns make a row. */
AF_MUST_CHECK enum af_status tables_cell(struct tables *tables, const struct af_value *value, struct af_error *err);
AF_MUST_CHECK enum af_status tables_row_end(struct tables *tables, struct af_error *err);
/* A series without rows is a table too if its columns are the answer. */
AF_MUST_CHECK enum af_status tables_series_end(struct tables *tables, bool is_shown_empty, struct af_error *err);
AF_MUST_CHECK enum af_status tables_words(struct tables *tables, const char *level, struct af_slice words, struct af_error *err);
/* The oldest part that waits; NULL: none. It lives until the next call. */
const struct af_remote_part *tables_take(struct tables *tables);

struct v1_tables;   /* answers to InfluxQL (tables_v1.c) */
AF_MUST_CHECK enum af_status v1_tables_new(const struct remote *remote, struct tables *tables, struct v1_tables **out,
                                           struct af_error *err);
AF_MUST_CHECK enum af_status v1_tables_feed(struct v1_tables *v1, const char *content_type, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status v1_tables_finish(struct v1_tables *v1, struct af_error *err);
void v1_tables_free(struct v1_tables *v1);

struct flux_tables; /* answers to Flux (tables_flux.c) */
AF_MUST_CHECK enum af_status flux_tables_new(const struct remote *remote, struct tables *tables, struct flux_tables **out,
                                             struct af_error *err);
AF_MUST_CHECK enum af_status flux_tables_feed(struct flux_tables *flux, struct af_slice bytes, struct af_error *err);
AF_MUST_CHECK enum af_status flux_tables_finish(struct flux_tables *flux, struct af_error *err);
void flux_tables_free(struct flux_tables *flux);

/* --- predicates (predicate.c) ------------------------------------------------------------------------------------- */

/* What is known of a predicate without looking at data. NULL reaches all. */
enum remote_reach { REACH_NONE, REACH_SOME, REACH_ALL };
enum remote_reach remote_reach(const struct af_predicate *predicate);
/* Of REACH_SOME only. */
void iql_append_predicate(struct af_buf *out, const struct af_predicate *predicate);
void flux_append_predicate(struct af_buf *out, const struct af_predicate *predicate);
/* What 2.x's delete understands: tag = value, joined by AND to what `out` holds. False, and nothing appended, if the predicate is more. */
AF_MUST_CHECK bool remote_append_equals(struct af_buf *out, const struct af_predicate *predicate);
void remote_append_equal(struct af_buf *out, struct af_slice tag, struct af_slice value);

/* --- series (series.c) -------------------------------------------------------------------------------------------- */

/* One of the series of the bucket that have points; the same one may come again. */
typedef enum af_status (*remote_on_series)(void *ctx, struct af_slice key, struct af_error *err);
/* In Flux: of scan's measurement (NULL: all) and predicate. */
AF_MUST_CHECK enum af_status flux_each_series(struct remote *remote, const struct af_scan *scan, remote_on_series on_series, void *ctx,
                                              struct af_error *err);

/* --- scans (scan.c, flux.c) --------------------------------------------------------------------------------------------------- */

/* What both languages' scans share: rows that fill up, full ones that wait, time windows. */
enum { REMOTE_READY_MAX = 64 };
struct remote_stream {
    struct af_stream base;
    struct remote *remote;
    struct remote_conn *conn;
    struct af_arena arena;          /* texts for the life of the scan */
    const char *measurement;
    const char *where;              /* the predicate in the scan's language: "(...) AND ", or Flux filters; "" if it restricts nothing */
    struct af_field *fields;        /* the scan's columns, by name */
    size_t field_count;
    const bool *cancel;
    struct af_rows *rows;           /* being filled */
    struct af_rows *ready[REMOTE_READY_MAX];
    size_t ready_count;
    struct af_rows *spare;
    int64_t from_ns;                /* what is still to be asked for; both ends included */
    int64_t last_ns;
    int64_t window_last_ns;         /* of the running request */
    uint64_t window_ns;
    uint64_t window_rows;           /* that came so far */
    bool is_asking;                 /* a request runs */
    bool is_over;
    struct af_buf key;              /* the current series */
    const struct remote_language_ops *ops;
    struct iql_reader *iql;
    struct csv_reader *csv;
    bool has_value;                 /* InfluxQL: the row being read has one */
    struct flux_table *table;       /* Flux: what the columns of the current table mean */
};
struct remote_language_ops {
    enum af_status (*ask)(struct remote_stream *stream, struct af_error *err);    /* begin the request of a window */
    enum af_status (*finish)(struct remote_stream *stream, struct af_error *err); /* its answer is whole */
    void (*drop)(struct remote_stream *stream);                                   /* free the reader */
};

AF_MUST_CHECK enum af_status remote_scan(struct af_store *store, const struct af_scan *scan, struct af_stream **out,
                                         struct af_error *err);
AF_MUST_CHECK enum af_status remote_list(struct af_store *store, enum af_listing what, const struct af_scan *scan,
                                         struct af_stream **out, struct af_error *err);
AF_MUST_CHECK enum af_status remote_erase(struct af_store *store, const struct af_scan *scan, struct af_error *err);
AF_MUST_CHECK enum af_status remote_write(struct af_store *store, const struct af_write *write, struct af_write_answer *out,
                                          struct af_error *err);

/* Fields of the measurement as name and type word into `listed`, in whichever language works. */
AF_MUST_CHECK enum af_status remote_list_fields(struct remote *remote, const struct af_scan *scan, struct af_listed *listed,
                                                struct af_error *err);
/* What InfluxDB can keep: the ends of `scan`'s range within it, both included. False: nothing can be there. */
bool remote_clip(const struct af_scan *scan, int64_t *out_from_ns, int64_t *out_last_ns);
/* Whether InfluxQL can be asked; finds it out once for 2.x. */
AF_MUST_CHECK enum af_status remote_speaks_influxql(struct remote *remote, bool *out, struct af_error *err);

/* For the languages: a row is complete; a full builder is put aside. */
AF_MUST_CHECK enum af_status remote_stream_row_end(struct remote_stream *stream, struct af_error *err);
/* The series key from tags in any order (they get sorted); tags without a value are none. */
AF_MUST_CHECK enum af_status remote_compose_key(struct af_buf *out, struct af_slice measurement, struct iql_tag *tags, size_t tag_count,
                                                struct af_error *err);
extern const struct remote_language_ops remote_flux_ops;
/* Earliest and latest time with a value in [*from, *last], or false in *out_some. */
AF_MUST_CHECK enum af_status flux_extent(struct remote_stream *stream, bool *out_some, struct af_error *err);
#endif

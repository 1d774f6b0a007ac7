/*
 * wire.h - tables to the bytes that a client expects. A writer is fed results and puts bytes into a buffer; who feeds it sends them on when
 * there are enough. Nothing is kept but the row at hand.
 *
 *     begin -> [statement -> tables ... -> statement_end] ... -> end
 *
 * 1.x JSON: {"results":[{"statement_id":0,"series":[{"name":..,"tags":{..},"columns":[..],"values":[[..]]}]}]}, byte for byte as InfluxDB
 * 1.8 prints it: numbers as Go's encoding/json, text escaped as there, times RFC3339 or numbers of `epoch`. With chunks: one such object a
 * line, each with at most chunk_rows rows, "partial":true in series and result where more follows.
 */
#ifndef AF_WIRE_WIRE_H
#define AF_WIRE_WIRE_H
#include "base/buf.h"
#include "data/table.h"
#include "data/window.h"

enum af_wire_format {
    AF_WIRE_V1_JSON, AF_WIRE_V1_CSV, AF_WIRE_V1_MSGPACK, /* answers of /query */
    AF_WIRE_TABLE,      /* for people: columns aligned, a heading for each series */
    AF_WIRE_JSON_LINES, /* an object a row: {"time":..,"name":..,tags and columns} */
    AF_WIRE_CSV,        /* one header; name and tags as columns: `afluxo query --format csv` */
    AF_WIRE_ARROW,      /* Arrow IPC stream: one schema (AF_EINVAL when tables do not fit it), key parts as dictionary columns */
};
struct af_wire_options {
    enum af_wire_format format;
    int64_t epoch_ns;        /* times as whole numbers of so many ns; 0: RFC3339 with nanoseconds */
    struct af_zone zone;     /* RFC3339 in it; TABLE too */
    bool pretty;             /* JSON with four spaces */
    bool chunked;
    uint64_t chunk_rows;     /* 0: AF_WIRE_CHUNK_ROWS; without `chunked`: unused */
    uint64_t rows_max;       /* of all statements: then "partial":true and no more; 0: none */
    unsigned width;          /* TABLE: columns of the terminal; 0: as wide as it takes */
    bool colour;             /* TABLE */
    bool portuguese;         /* TABLE: its few words */
};
struct af_wire;
AF_MUST_CHECK enum af_status af_wire_new(const struct af_wire_options *options, struct af_buf *out, struct af_wire **out_wire,
                                         struct af_error *err);
void af_wire_free(struct af_wire *wire);

/* What a statement says about itself beside tables. */
struct af_wire_message {
    const char *level, *text;
};
void af_wire_begin(struct af_wire *wire);
void af_wire_statement(struct af_wire *wire, uint64_t id);
/* Which zone its times are in (tz()); before its first table. */
void af_wire_zone(struct af_wire *wire, const struct af_zone *zone);
/* Chunked: how the tables of the statement are cut; before the first of them. Lists of names are not cut by rows in InfluxDB. */
enum af_wire_cut {
    AF_WIRE_BY_ROWS,    /* at chunk_rows and where a series ends, "partial":true where more follows: unless said otherwise */
    AF_WIRE_BY_SERIES,  /* an answer for each series, none says that more follows */
    AF_WIRE_UNCUT,
};
void af_wire_cut(struct af_wire *wire, enum af_wire_cut cut);
/* *out_full: rows_max is reached, feed no more of any statement. */
AF_MUST_CHECK enum af_status af_wire_table(struct af_wire *wire, const struct af_table *table, bool *out_full, struct af_error *err);
/* `error` NULL: it went well. */
void af_wire_statement_end(struct af_wire *wire, const struct af_wire_message *messages, size_t message_count, const char *error);
void af_wire_end(struct af_wire *wire);
void af_wire_settle(struct af_wire *wire); /* what is in the buffer may be sent, whoever put it there */

/* The answer to a request that is refused as a whole: {"error":"..."}, in the formats of 1.x; JSON for all others. */
void af_wire_refusal(struct af_buf *out, const struct af_wire_options *options, const char *words);

/* How many bytes at the front of the buffer are final: they may be sent. An answer is held back a while (AF_WIRE_HOLD_BYTES), so that a
 * statement that fails half-way leaves its error and nothing else, as InfluxDB answers; msgpack until its counts are known. */
size_t af_wire_ready(const struct af_wire *wire);
/* The first `bytes` of them were sent: they are taken out of the buffer. */
void af_wire_taken(struct af_wire *wire, size_t bytes);

/* Text as Go's encoding/json escapes it, quotes included; a float as it prints one. Shared by who writes JSON for 1.x clients. */
void af_wire_json_text(struct af_buf *out, struct af_slice text);
void af_wire_json_float(struct af_buf *out, double value); /* finite */
#endif

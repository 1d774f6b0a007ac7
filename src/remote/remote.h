/*
 * remote.h - a store over the wire: InfluxDB 1.x or 2.x.
 *
 * Which of the two is found from the server (X-Influxdb-Version of /ping, or /health), unless said. 1.x: bucket = database or
 * database/policy, /write and /query; user and password. 2.x: org, bucket and token, /api/v2/write; a scan uses the InfluxQL
 * endpoint when the bucket has a DBRP mapping (2.7 makes one by itself), else Flux. Requests are gzipped. How answers are judged:
 * docs/formats/influxdb-http.md.
 *
 * Deletes: AF_EUNSUPPORTED, and nothing deleted, where InfluxDB would take more than was asked: points of another retention policy
 * (1.x), a series that has all tags of the one to go (2.x without InfluxQL).
 */
#ifndef AF_REMOTE_REMOTE_H
#define AF_REMOTE_REMOTE_H
#include "data/table.h"
#include "net/http.h"
#include "store/store.h"

/*
 * What is made here is for history: years of rows at once. With the server's own week a file of a year opens 53 shards and a register
 * that goes back to 1926 more than a thousand, each with its files, its index and its first write: the moment in which InfluxDB's
 * cache can mislay points (docs/formats/influxdb-http.md).
 */
#define AF_REMOTE_SHARD_S (UINT64_C(52) * 7 * 86400)

enum af_influx_version { AF_INFLUX_AUTO, AF_INFLUX_1, AF_INFLUX_2 };
struct af_remote_options {
    const char *url;           /* http(s)://host:port[/prefix] */
    const char *bucket;        /* NULL: none, for questions that need none or name it themselves */
    const char *org;           /* 2.x */
    const char *token;         /* 2.x, or "user:password"; NULL: none */
    const char *user;          /* 1.x */
    const char *password;
    enum af_influx_version version;
    bool force_flux;           /* scans in Flux even where InfluxQL would do (tests, buckets without DBRP) */
    bool no_gzip;
    uint64_t shard_duration_s; /* of what af_store_create makes; 0: AF_REMOTE_SHARD_S */
    struct af_http_options http;
    uint64_t scan_window_ns;   /* a scan asks for this much time at once; 0: chosen from the data's density */
};
/* Contacts the server to learn its version, unless said. */
AF_MUST_CHECK enum af_status af_remote_open(const struct af_remote_options *options, struct af_store **out, struct af_error *err);

/*
 * A query in a language of the server's own, its answer pulled: statement by statement (Flux: result by result), tables as they come.
 *
 *     while ((status = af_remote_answer_next(answer, &part, err)) == AF_OK && part != NULL) ...
 *
 * InfluxQL is asked for as msgpack, which keeps integers and floats apart; a server that answers JSON nonetheless prints floats like 2
 * without a point: a column of a table is F64 there as soon as one of its numbers is no integer, and stays so. A column without any value
 * is taken for F64. Flux: the columns of the group key are the key, as text; `_time` is the first column.
 */
enum af_remote_language { AF_REMOTE_INFLUXQL, AF_REMOTE_FLUX };
struct af_remote_part {
    uint64_t statement;             /* 0 .. ; a part with neither table nor words says that it begins */
    const struct af_table *table;   /* NULL: words, or none */
    const char *level, *words;      /* what the server says about the statement; level "error": it failed, what came of it may be cut */
};
struct af_remote_answer;
/* `text` and *cancel (may be NULL) must live until close. */
AF_MUST_CHECK enum af_status af_remote_ask(struct af_store *store, enum af_remote_language language, struct af_slice text,
                                           const bool *cancel, struct af_remote_answer **out, struct af_error *err);
/* The same in InfluxQL, of another database and policy of the server (both as they are, or NULL: those of the store). */
AF_MUST_CHECK enum af_status af_remote_ask_of(struct af_store *store, const char *database, const char *policy, struct af_slice text,
                                              const bool *cancel, struct af_remote_answer **out, struct af_error *err);
/* *out lives until the next call; NULL: the end. A failure is of the whole request, or of the connection. */
AF_MUST_CHECK enum af_status af_remote_answer_next(struct af_remote_answer *answer, const struct af_remote_part **out,
                                                   struct af_error *err);
void af_remote_answer_close(struct af_remote_answer *answer); /* NULL is fine; what has not come yet is not waited for */

/* The version found, for messages: "InfluxDB 1.6.7". */
const char *af_remote_version(const struct af_store *store);
#endif

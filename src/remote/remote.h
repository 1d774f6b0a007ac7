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
    const char *bucket;
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

/* Native query text straight through; the answer's bytes as the server sends them (1.x and InfluxQL: JSON, `accept_csv` for CSV;
 * Flux: annotated CSV). Errors inside a started stream are found and returned. */
enum af_remote_language { AF_REMOTE_INFLUXQL, AF_REMOTE_FLUX };
AF_MUST_CHECK enum af_status af_remote_query(struct af_store *store, enum af_remote_language language, struct af_slice text,
                                             bool accept_csv, enum af_status (*on_body)(void *ctx, struct af_slice,
                                                                                        struct af_error *),
                                             void *ctx, struct af_error *err);
/* The version found, for messages: "InfluxDB 1.6.7". */
const char *af_remote_version(const struct af_store *store);
#endif

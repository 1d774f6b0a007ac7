/*
 * prom.h - Prometheus' remote write and remote read: the few protocol buffers that are in their bodies (which are snappy blocks).
 *
 *     WriteRequest  1: TimeSeries ...                              ReadRequest   1: Query ...
 *     TimeSeries    1: Label ...  2: Sample ...                    Query         1: start ms  2: end ms  3: Matcher ...
 *     Label         1: name  2: value                              Matcher       1: type  2: name  3: value
 *     Sample        1: value (double)  2: time (ms)                ReadResponse  1: QueryResult ...; QueryResult 1: TimeSeries ...
 *
 * Reading takes no memory: a request is walked where it lies, so that foreign bytes size nothing. Fields that are not known are passed
 * over.
 */
#ifndef AF_FORMAT_PROM_H
#define AF_FORMAT_PROM_H
#include "base/buf.h"
#include "base/error.h"

enum { AF_PROM_LABELS_MAX = 256, AF_PROM_MATCHERS_MAX = 64 };

struct af_prom_label {
    struct af_slice name, value;
};
struct af_prom_sample {
    double value;
    int64_t time_ms;
};

/* --- reading ------------------------------------------------------------------------------------------------------------------------ */

struct af_prom_series {
    struct af_prom_label labels[AF_PROM_LABELS_MAX];
    size_t label_count;
    struct af_slice rest;      /* what af_prom_next_sample walks */
};
/*
 * The next series of a WriteRequest (or of a QueryResult, which looks the same), then its samples one by one. *out_has false: there are no
 * more. `at` is the request at first. AF_ECORRUPT: that is no such message. AF_ELIMIT: more labels than AF_PROM_LABELS_MAX.
 */
AF_MUST_CHECK enum af_status af_prom_next_series(struct af_slice *at, struct af_prom_series *out, bool *out_has, struct af_error *err);
AF_MUST_CHECK enum af_status af_prom_next_sample(struct af_slice *at, struct af_prom_sample *out, bool *out_has, struct af_error *err);

enum af_prom_match { AF_PROM_EQUAL, AF_PROM_NOT_EQUAL, AF_PROM_REGEX, AF_PROM_NOT_REGEX };
struct af_prom_matcher {
    enum af_prom_match type;
    struct af_slice name, value;
};
struct af_prom_query {
    int64_t start_ms, end_ms;  /* both included */
    struct af_prom_matcher matchers[AF_PROM_MATCHERS_MAX];
    size_t matcher_count;
};
/* A ReadRequest of one query; others are AF_EINVAL, as InfluxDB answers. */
AF_MUST_CHECK enum af_status af_prom_read_query(struct af_slice bytes, struct af_prom_query *out, struct af_error *err);

/* --- writing: `out` is a WriteRequest or a QueryResult that grows ------------------------------------------------------------------- */

struct af_prom_writer {
    struct af_buf *out;
    struct af_buf series;      /* the one at hand */
};
void af_prom_writer_init(struct af_prom_writer *writer, struct af_buf *out);
void af_prom_writer_done(struct af_prom_writer *writer);
void af_prom_put_label(struct af_prom_writer *writer, struct af_slice name, struct af_slice value); /* by name, before samples */
void af_prom_put_sample(struct af_prom_writer *writer, const struct af_prom_sample *sample);
void af_prom_end_series(struct af_prom_writer *writer);
/* A QueryResult as the next result of a ReadResponse. */
void af_prom_put_result(struct af_buf *out, struct af_slice result);
/* A ReadRequest of this query. */
void af_prom_put_query(struct af_buf *out, const struct af_prom_query *query);
#endif

/*
 * lp.h - InfluxDB line protocol: points to text, text to points.
 *
 *     generation_data,region=southeast,energy_source=hydro power_mw=1500.5,unit="MW" 1704110400000000000
 *     `- series key ---------------------------------------' `- fields ---------------' `- time, in the chosen precision
 *
 * Pure functions over memory: no I/O, no globals, any thread. Grammar, escapes and the cases we reject:
 * docs/formats/line-protocol.md.
 */
#ifndef AF_FORMAT_LP_H
#define AF_FORMAT_LP_H
#include "base/buf.h"
#include "data/points.h"

/* Minutes and hours only InfluxDB 1.x knows: af_precision_parse does not give them. */
enum af_precision { AF_PRECISION_NS, AF_PRECISION_US, AF_PRECISION_MS, AF_PRECISION_S, AF_PRECISION_M, AF_PRECISION_H };
AF_MUST_CHECK bool af_precision_parse(struct af_slice name, enum af_precision *out); /* "ns" "us" "u" "ms" "s" */
const char *af_precision_name(enum af_precision precision);
int64_t af_precision_ns(enum af_precision precision); /* length of one unit */

/* Encoded lines that remember where each came from. `rows[i]` is the row of line i relative to first_row of the points;
 * `ends[i]` the offset just past its newline. Owned: init/done. */
struct af_lp_text {
    struct af_buf bytes;
    uint32_t *ends;
    uint32_t *rows;
    size_t line_count;
    size_t line_cap;
    size_t value_count; /* fields written, over all lines */
};

void af_lp_text_init(struct af_lp_text *text);
void af_lp_text_done(struct af_lp_text *text);
void af_lp_text_clear(struct af_lp_text *text);
struct af_slice af_lp_text_line(const struct af_lp_text *text, size_t line); /* without its newline */

/*
 * Append one line per row of `points` to lanes[af_series_lane(series)], in row order. Rows whose series is UINT32_MAX or that
 * have no field are skipped. Times are floored to `precision`. Series keys are copied, not escaped again.
 *
 * On failure every lane is as before.
 *   AF_ELIMIT  a line passes AF_LP_LINE_BYTES_MAX, or the text 4 GiB
 *   AF_ENOMEM
 */
AF_MUST_CHECK enum af_status af_lp_encode(const struct af_points *points, enum af_precision precision,
                                          struct af_lp_text *lanes, uint32_t lane_count, struct af_error *err);

/*
 * Parsing. A parser takes whole lines out of a buffer and turns them into points, a batch at a time, by InfluxDB's own
 * rules (facts and error words: docs/formats/line-protocol.md). A line that does not parse is reported and skipped.
 */
struct af_lp_parser;

struct af_lp_bad_line {
    uint64_t line;       /* 1-based, counted over all feeds */
    struct af_slice raw; /* the line as it came, without its newline; borrowed from the input */
    char reason[160];    /* InfluxDB's words: "missing fields", "invalid number", "bad timestamp", ... */
};

struct af_lp_parse_options {
    enum af_precision precision;
    int64_t default_time_ns;  /* for lines without a time */
    bool allow_unsigned;      /* 12u: InfluxDB 2.x; 1.x refuses it unless built so */
    void (*bad_line)(void *ctx, const struct af_lp_bad_line *bad); /* may be NULL */
    void *ctx;
};

AF_MUST_CHECK enum af_status af_lp_parser_new(const struct af_lp_parse_options *options, struct af_lp_parser **out,
                                              struct af_error *err);
void af_lp_parser_free(struct af_lp_parser *parser);

/* For a parser that serves one text after another: from here on another precision, default time and receiver of bad lines, and lines are
 * counted from 1 again. What it knows of series stays. */
void af_lp_parser_reset(struct af_lp_parser *parser, const struct af_lp_parse_options *options);

/*
 * Parse from the start of `text` and stop after at most AF_BATCH_ROWS points; *out_used says how many bytes were consumed. With
 * `is_last`, a final line without a newline is taken too; otherwise it is left for the next call (feed it again with more
 * behind it). Fields of different names or types become separate columns; a field name seen with two types in one call
 * is two fields, each valid where it applies. The same field twice in a line: the later wins. The points live in `arena` and in
 * the parser's series set, until the next call; row i came from line lines[i] (out_lines, may be NULL).
 *
 *   AF_ELIMIT  a line passes AF_LP_LINE_BYTES_MAX
 */
AF_MUST_CHECK enum af_status af_lp_parse(struct af_lp_parser *parser, struct af_slice text, bool is_last,
                                         struct af_arena *arena, struct af_points *out, uint64_t **out_lines,
                                         size_t *out_used, struct af_error *err);

/* The end (just past the newline, or text.len) of the line that starts at `at`: newlines inside quoted strings do not end it. */
size_t af_lp_line_end(struct af_slice text, size_t at);

/* For messages and comparisons: append the series key of one line as it is stored (tags sorted). False if the line does not
 * parse; nothing is appended then. */
bool af_lp_line_key(struct af_slice line, struct af_buf *out_key);
#endif

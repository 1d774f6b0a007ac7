/*
 * wire_int.h - what the formats share: the writer at hand, and the table of calls that each of them fills.
 */
#ifndef AF_WIRE_INT_H
#define AF_WIRE_INT_H
#include "format/json/json.h"
#include "wire/wire.h"

struct af_wire;
struct wire_ops {
    void (*begin)(struct af_wire *wire);
    void (*statement)(struct af_wire *wire);
    /* A table of another series, or of other columns, than the one before. */
    void (*series)(struct af_wire *wire, const struct af_table *table);
    /* Rows [first, first + count) of the series at hand. */
    enum af_status (*rows)(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err);
    void (*series_end)(struct af_wire *wire, bool is_partial);
    void (*statement_end)(struct af_wire *wire, const struct af_wire_message *messages, size_t count, const char *error);
    /* Chunked only: one answer is whole, another one follows in the same statement; is_partial: it says so. */
    void (*chunk_end)(struct af_wire *wire, bool is_partial);
    void (*end)(struct af_wire *wire);
};
struct af_wire {
    struct af_wire_options options;
    const struct wire_ops *ops;
    struct af_buf *out;
    struct af_arena arena;               /* of the series at hand: its key and columns */
    const struct af_group_key *key;      /* NULL: no series is open */
    const char **columns;
    size_t column_count;
    struct af_zone zone;                 /* of the statement */
    uint64_t statement_id;
    uint64_t statements, series, rows;   /* of the answer, the statement, the series (in this chunk) */
    uint64_t all_rows;                   /* of the answer */
    enum af_wire_cut cut;                /* of the statement */
    bool is_chunk_open;
    size_t mark;                         /* where the statement began in `out` */
    bool is_mark_gone;                   /* some of it was taken */
    bool is_settled;                     /* everything in `out` is final */
    bool is_failed;                      /* no memory for a series' key */
    union {                              /* the formats' own */
        struct {
            size_t results_at, result_at, list_at, series_at, values_at; /* places of their heads */
            uint64_t series_entries;
        } msgpack;
        struct {
            uint64_t statement;          /* number + 1 of the one whose header stands last; 0: none */
            uint64_t columns;            /* their hash */
            struct af_slice lead;        /* what each row of the series at hand begins with: name, tags */
        } csv;
        struct {
            size_t *widths;              /* by column, of the series at hand; NULL: not measured yet */
            size_t narrowed;             /* the column whose text gives way; SIZE_MAX: none */
            uint64_t rows, tables;       /* of the statement */
        } people;
        struct {
            struct af_arena arena;       /* of the answer: the schema of the stream */
            const struct af_schema *schema;
            size_t key_count;            /* its first fields: name and tags */
            struct af_buf *values;       /* the dictionary of each, one value, as last sent */
            bool *is_sent;
        } arrow;
    };
};
extern const struct wire_ops wire_v1_json, wire_v1_csv, wire_v1_msgpack, wire_table, wire_json_lines, wire_csv, wire_arrow;

/* Cells (text.c). A float that is not a number is null. */
bool wire_is_null(const struct af_column *column, size_t row);
/* RFC3339 with nanoseconds as Go prints it in the zone: no zeros at the end of a fraction. Room for 48 bytes; the end. */
char *wire_time_print(char *dst, int64_t ns, const struct af_zone *zone);
char *wire_f64_print_json(char *dst, double value);  /* as Go's encoding/json: exponents below -6 and from 21 on; AF_F64_TEXT_MAX bytes */
void wire_f64_plain(struct af_buf *out, double value); /* never an exponent */
/* A cell of type JSON taken apart, in the series' arena; NULL: it is not JSON after all, print it as text. */
const struct af_json *wire_nested(struct af_wire *wire, const struct af_column *column, size_t row);
/* The measurement of a key, and its tags that are there: part 0 apart. */
struct af_slice wire_name_of(const struct af_group_key *key); /* empty: none */
size_t wire_tags_of(const struct af_group_key *key, const struct af_key_part **out);
void wire_msgpack_refusal(struct af_buf *out, const char *words);
bool wire_text_is_plain(struct af_slice text); /* every byte stands for itself in JSON */
/* A CSV cell as Go's encoding/csv writes it. */
void wire_csv_cell(struct af_buf *out, struct af_slice text);
#endif

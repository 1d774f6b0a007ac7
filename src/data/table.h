/*
 * table.h - tables, pulled: what a query is made of from the scan to the wire. An InfluxQL series, a Flux table and the one table of a SQL
 * answer are the same thing: rows that share a group key.
 *
 *     while ((status = af_tables_next(tables, arena, &table, err)) == AF_OK && table != NULL) { ...; af_arena_reset(arena); }
 *     af_tables_close(tables);
 *
 * A group comes as one or more tables behind each other, all with an equal key (compare with af_group_key_compare; pointers mean nothing)
 * and the same schema. Within a group times ascend, or descend where the plan says so, if the schema has a time at all. Rows of a table: 1
 * up to AF_BATCH_ROWS; a table without rows is never handed out, except where only its columns are the answer (SHOW).
 *
 * What `next` gives lives in the caller's arena until that is reset, whatever the stream does next; dictionaries by reference.
 */
#ifndef AF_DATA_TABLE_H
#define AF_DATA_TABLE_H
#include "data/value.h"

struct af_table {
    const struct af_group_key *key;
    const struct af_batch *rows;
};

struct af_tables;
struct af_tables_ops {
    enum af_status (*next)(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err);
    void (*close)(struct af_tables *tables);
};
struct af_tables {
    const struct af_tables_ops *ops;
};
AF_MUST_CHECK static inline enum af_status af_tables_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out,
                                                          struct af_error *err)
{
    return tables->ops->next(tables, arena, out, err);
}
static inline void af_tables_close(struct af_tables *tables)
{
    if (tables != NULL)
        tables->ops->close(tables);
}

/*
 * Tables made by hand, for answers that are lists: names, settings, statistics.
 *
 *     af_made_begin(made, "databases", 1, (const char *[]){ "name" });   another table; `name` is its `_measurement`, NULL: none
 *     af_made_tag(made, "k", "v");                                       further key parts, before the first row
 *     af_made_cell(made, af_value_text(name));                           cell by cell; a row is full after as many as there are columns
 *
 * A column has the type of its first value that is not NULL; values of another type in it are AF_EBUG at the end. Failures are remembered
 * and come from af_made_finish. Everything is kept in `arena`.
 */
struct af_made;
struct af_made *af_made_new(struct af_arena *arena); /* NULL without memory */
void af_made_begin(struct af_made *made, const char *name, size_t column_count, const char *const *columns);
void af_made_tag(struct af_made *made, const char *name, struct af_slice value);
void af_made_cell(struct af_made *made, struct af_value value);
void af_made_borrowed(struct af_made *made, struct af_slice text); /* a cell of text that lives as long as the arena */
size_t af_made_rows(const struct af_made *made); /* of the table at hand */
/* As a stream, which needs no closing beyond af_tables_close. */
AF_MUST_CHECK enum af_status af_made_finish(struct af_made *made, struct af_tables **out, struct af_error *err);
#endif

/*
 * build.h - what the operators over windows and groups share: tables on the way, and rows cut into windows.
 */
#ifndef AF_EXEC_BUILD_H
#define AF_EXEC_BUILD_H
#include "base/limits.h"
#include "exec/exec_int.h"

#define NO_ROW UINT32_MAX                 /* in lists of rows: none */

/* --- a table on the way: a grower for each column, in the arena of the pull ------------------------------------------------- */

struct build {
    const struct op *op;
    struct af_arena *arena;
    struct grower *columns;              /* of op's schema; NULL: nothing was begun */
    size_t rows;                         /* whoever adds rows to the columns counts them here */
};
/* Begins a table unless one is begun. */
AF_MUST_CHECK enum af_status build_begin(struct build *build, const struct op *op, struct af_arena *arena, struct af_error *err);
static inline size_t build_room(const struct build *build)
{
    return AF_BATCH_ROWS - build->rows;
}
/* The first column. */
AF_MUST_CHECK enum af_status build_times(struct build *build, const int64_t *times, size_t count, struct af_error *err);
/* A list of rows of `column`, NO_ROW as null; neighbours are taken in one go. */
AF_MUST_CHECK enum af_status build_rows(struct grower *grower, const struct af_column *column, const uint32_t *rows, size_t count,
                                        struct af_error *err);
AF_MUST_CHECK enum af_status build_repeat(struct grower *grower, const struct af_value *value, size_t count, struct af_error *err);
/* The table with a copy of the key; NULL if there are no rows. Nothing is begun afterwards. */
AF_MUST_CHECK enum af_status build_take(struct build *build, const struct af_group_key *key, const struct af_table **out,
                                        struct af_error *err);

/* --- windows of a range ----------------------------------------------------------------------------------------------------- */

/* Both ends included, so that the last instant needs no exception. */
struct span {
    int64_t first_ns, last_ns;
};
static inline bool span_has(const struct span *span, int64_t t)
{
    return t >= span->first_ns && t <= span->last_ns;
}
struct windows {
    const struct af_window *window;
    struct span range;
    bool is_empty;                       /* the range */
    int64_t whole_ns;                    /* time of a row where there are no windows */
};
void windows_init(struct windows *windows, const struct af_window *window, int64_t start_ns, int64_t stop_ns);
void windows_uncut(struct windows *windows); /* what lies outside of the range counts too */
/* The span of times around `t` that belong together: a window cut to the range, or what lies before or behind the range (true: inside).
 * *out_start_ns: the time that the window goes by. */
bool windows_around(const struct windows *windows, int64_t t, struct span *out, int64_t *out_start_ns);
/* Where the run of rows in `span` that begins at `first` ends. `is_ordered`: by time, up or down. */
size_t windows_run_end(const struct span *span, const int64_t *times, size_t first, size_t count, bool is_ordered);
enum af_status windows_fail(const struct exec *exec, struct af_error *err); /* AF_ELIMIT: too many */
#endif

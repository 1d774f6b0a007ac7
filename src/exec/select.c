/*
 * select.c - SELECT: some rows of each window, whole.
 *
 *     table at hand   | open window ... | window | window | window | the next open window
 *                       -> pile           chosen from as they lie     -> pile
 *
 * Windows that lie within a table are chosen from where they lie. A window that reaches the end of a table may go on in the next one: its
 * rows are piled up, and of functions whose choice can be made by and by only those that can still be chosen (choose.h), so that the
 * largest three of a hundred million rows take no memory. What is chosen waits in a list of rows, which the output is gathered from.
 */
#include "exec/choose.h"
#include "base/hash.h"

enum { PILE_ROWS = AF_BATCH_ROWS };      /* a pile is chosen from again when it has grown to this, or to four times what was left */

/* Rows of the open window. */
struct pile {
    struct mem mem;
    struct grower *columns;
    struct af_column *views;             /* of the columns */
    size_t rows;
};
struct select {
    struct op op;
    const struct af_plan_select *plan;
    struct windows windows;
    struct groups groups;
    size_t column_count;
    bool is_gradual;
    const struct af_group_key *key;      /* of the group at hand; NULL: none */
    bool is_read;                        /* all of its rows are in */
    const struct af_table *table;        /* NULL: pull */
    size_t row;
    bool is_open;                        /* a window has begun whose end was not seen */
    struct span span;                    /* of it */
    int64_t start_ns;
    struct pile piles[2];                /* by turns, when one is chosen from again */
    unsigned turn;
    size_t pile_limit;
    uint64_t seed;
    struct mem temp;                     /* of one choice */
    struct mem list_mem;                 /* of what waits */
    const struct af_column *from;
    uint32_t *list_rows;
    int64_t *list_times;
    size_t listed, list_cap, given;
    struct build build;
};

/* --- what waits to be given ------------------------------------------------------------------------------------------------- */

static enum af_status clear_list(struct select *select, size_t cap, struct af_error *err)
{
    select->listed = select->given = 0;
    if (cap <= select->list_cap)
        return AF_OK;
    mem_reset(&select->list_mem);
    select->list_cap = 0;
    select->list_rows = af_arena_array(&select->list_mem.arena, cap, sizeof *select->list_rows);
    select->list_times = af_arena_array(&select->list_mem.arena, cap, sizeof *select->list_times);
    if (select->list_rows == NULL || select->list_times == NULL)
        return mem_fail(&select->list_mem, cap * sizeof *select->list_times, err);
    select->list_cap = cap;
    return mem_charge(&select->list_mem, err);
}

static enum af_status give_list(struct select *select, struct af_error *err)
{
    size_t left = select->listed - select->given, room = build_room(&select->build), n = left < room ? left : room;
    AF_TRY(build_times(&select->build, select->list_times + select->given, n, err));
    for (size_t c = 1; c < select->column_count; c++)
        AF_TRY(build_rows(&select->build.columns[c], &select->from[c], select->list_rows + select->given, n, err));
    select->build.rows += n;
    select->given += n;
    return AF_OK;
}

/* The choice of a window goes to the list, which has room for it. */
static enum af_status list_choice(struct select *select, const struct piece *piece, int64_t start_ns, struct af_error *err)
{
    uint32_t *rows = NULL;
    size_t count = 0;
    mem_reset(&select->temp);
    AF_TRY(choose_rows(select->plan, piece, true, af_hash_mix(++select->seed), &select->temp.arena, &rows, &count, err));
    for (size_t i = 0; i < count; i++) {
        select->list_rows[select->listed] = rows[i];
        select->list_times[select->listed++] = select->plan->stamp_start ? start_ns : piece->columns[0].i64[rows[i]];
    }
    return mem_charge(&select->temp, err);
}

/* --- the open window -------------------------------------------------------------------------------------------------------- */

static void clear_pile(struct select *select, struct pile *pile)
{
    mem_reset(&pile->mem);
    for (size_t c = 0; c < select->column_count; c++)
        grower_init(&pile->columns[c], select->op.node->schema.fields[c].type, &pile->mem.arena);
    pile->rows = 0;
}

static struct piece pile_piece(const struct select *select, struct pile *pile)
{
    for (size_t c = 0; c < select->column_count; c++)
        grower_column(&pile->columns[c], &pile->views[c]);
    return (struct piece){ pile->views, 0, pile->rows };
}

static enum af_status pile_piece_up(struct select *select, struct pile *pile, const struct piece *piece, struct af_error *err)
{
    for (size_t c = 0; c < select->column_count; c++)
        AF_TRY(grower_rows(&pile->columns[c], &piece->columns[c], piece->first, piece->count, err));
    pile->rows += piece->count;
    return AF_OK;
}

static enum af_status pile_choice_up(struct select *select, struct pile *pile, const struct piece *piece, struct af_error *err)
{
    uint32_t *rows = NULL;
    size_t count = 0;
    mem_reset(&select->temp);
    AF_TRY(choose_rows(select->plan, piece, false, 0, &select->temp.arena, &rows, &count, err));
    AF_TRY(mem_charge(&select->temp, err));
    for (size_t c = 0; c < select->column_count; c++)
        AF_TRY(build_rows(&pile->columns[c], &piece->columns[c], rows, count, err));
    pile->rows += count;
    return AF_OK;
}

/* The pile has grown: what can be chosen of it moves to the other one. */
static enum af_status choose_again(struct select *select, struct af_error *err)
{
    struct pile *from = &select->piles[select->turn], *to = &select->piles[select->turn ^ 1];
    struct piece piece = pile_piece(select, from);
    clear_pile(select, to);
    AF_TRY(pile_choice_up(select, to, &piece, err));
    AF_TRY(mem_charge(&to->mem, err));
    clear_pile(select, from);
    select->turn ^= 1;
    select->pile_limit = to->rows > PILE_ROWS / 4 ? to->rows * 4 : PILE_ROWS;
    return AF_OK;
}

static enum af_status add_to_window(struct select *select, const struct piece *piece, struct af_error *err)
{
    struct pile *pile = &select->piles[select->turn];
    if (!select->is_gradual) {
        AF_TRY(pile_piece_up(select, pile, piece, err));
        return mem_charge(&pile->mem, err);
    }
    AF_TRY(pile_choice_up(select, pile, piece, err));
    AF_TRY(mem_charge(&pile->mem, err));
    return pile->rows >= select->pile_limit ? choose_again(select, err) : AF_OK;
}

static enum af_status close_window(struct select *select, struct af_error *err)
{
    struct piece piece = pile_piece(select, &select->piles[select->turn]);
    select->is_open = false;
    AF_TRY(clear_list(select, piece.count, err));
    select->from = piece.columns;
    return piece.count != 0 ? list_choice(select, &piece, select->start_ns, err) : AF_OK;
}

static enum af_status open_window(struct select *select, const struct span *span, int64_t start_ns, const struct piece *piece,
                                  struct af_error *err)
{
    select->is_open = true;
    select->span = *span;
    select->start_ns = start_ns;
    select->pile_limit = PILE_ROWS;
    clear_pile(select, &select->piles[select->turn]);
    return add_to_window(select, piece, err);
}

/* --- tables in -------------------------------------------------------------------------------------------------------------- */

/* Windows that end in this table are listed; the last one is opened. */
static enum af_status choose_in_table(struct select *select, struct af_error *err)
{
    const struct af_batch *rows = select->table->rows;
    const int64_t *times = rows->columns[0].i64;
    while (select->row < rows->row_count) {
        struct span span;
        int64_t start_ns = 0;
        struct piece piece = { rows->columns, select->row, 0 };
        bool is_inside = windows_around(&select->windows, times[select->row], &span, &start_ns);
        size_t end = windows_run_end(&span, times, select->row, rows->row_count, true);
        piece.count = end - select->row;
        if (is_inside && end == rows->row_count && select->listed != select->given)
            return AF_OK; /* the list points into this table: it goes first */
        select->row = end;
        if (is_inside && end == rows->row_count)
            AF_TRY(open_window(select, &span, start_ns, &piece, err));
        else if (is_inside)
            AF_TRY(list_choice(select, &piece, start_ns, err));
    }
    return AF_OK;
}

static enum af_status continue_window(struct select *select, struct af_error *err)
{
    const struct af_batch *rows = select->table->rows;
    const int64_t *times = rows->columns[0].i64;
    if (!span_has(&select->span, times[select->row]))
        return close_window(select, err);
    struct piece piece = { rows->columns, select->row, 0 };
    select->row = windows_run_end(&select->span, times, select->row, rows->row_count, true);
    piece.count = select->row - piece.first;
    return add_to_window(select, &piece, err);
}

static enum af_status read_rows(struct select *select, struct af_error *err)
{
    if (select->table == NULL || select->row == select->table->rows->row_count) {
        AF_TRY(groups_next(&select->groups, &select->table, err));
        select->row = 0;
        select->is_read = select->table == NULL && !select->is_open;
        if (select->table == NULL)
            return select->is_open ? close_window(select, err) : AF_OK;
    }
    if (select->row == select->table->rows->row_count)
        return AF_OK;
    if (select->is_open)
        return continue_window(select, err);
    AF_TRY(clear_list(select, AF_BATCH_ROWS, err));
    select->from = select->table->rows->columns;
    return choose_in_table(select, err);
}

static enum af_status begin_group(struct select *select, struct af_error *err)
{
    AF_TRY(groups_begin(&select->groups, &select->key, err));
    select->table = NULL;
    select->is_open = select->is_read = false;
    select->listed = select->given = 0;
    return AF_OK;
}

static enum af_status select_next(struct af_tables *tables, struct af_arena *arena, const struct af_table **out, struct af_error *err)
{
    struct select *select = (struct select *)tables;
    *out = NULL;
    select->build = (struct build){ 0 };
    for (;;) {
        if (select->key == NULL) {
            AF_TRY(begin_group(select, err));
            if (select->key == NULL)
                return AF_OK;
        }
        AF_TRY(build_begin(&select->build, &select->op, arena, err));
        if (select->given < select->listed)
            AF_TRY(give_list(select, err));
        else
            AF_TRY(read_rows(select, err));
        if (build_room(&select->build) != 0 && !select->is_read)
            continue;
        AF_TRY(build_take(&select->build, select->key, out, err));
        if (select->is_read)
            select->key = NULL;
        if (*out != NULL)
            return AF_OK;
    }
}

static void select_close(struct af_tables *tables)
{
    struct select *select = (struct select *)tables;
    groups_done(&select->groups);
    mem_done(&select->piles[0].mem);
    mem_done(&select->piles[1].mem);
    mem_done(&select->temp);
    mem_done(&select->list_mem);
}

/* --- opening ---------------------------------------------------------------------------------------------------------------- */

static enum af_status new_pile(struct exec *exec, size_t column_count, struct pile *out, struct af_error *err)
{
    out->columns = af_arena_zero(&exec->arena, column_count, sizeof *out->columns);
    out->views = af_arena_zero(&exec->arena, column_count, sizeof *out->views);
    if (out->columns == NULL || out->views == NULL)
        return af_arena_fail(&exec->arena, column_count * sizeof *out->views, "rows of a window", err);
    return AF_OK;
}

enum af_status open_select(struct exec *exec, const struct af_node *node, struct op **inputs, struct op **out, struct af_error *err)
{
    static const struct af_tables_ops ops = { select_next, select_close };
    struct pile piles[2] = { 0 };
    struct op *op;
    AF_TRY(new_pile(exec, node->schema.field_count, &piles[0], err));
    AF_TRY(new_pile(exec, node->schema.field_count, &piles[1], err));
    AF_TRY(op_new(exec, node, inputs, sizeof(struct select), &ops, &op, err));
    struct select *select = (struct select *)op;
    select->plan = &node->select;
    select->column_count = node->schema.field_count;
    select->is_gradual = choose_is_gradual(node->select.call.id);
    select->seed = exec->options.seed + node->id;
    windows_init(&select->windows, &node->select.window, node->select.start_ns, node->select.stop_ns);
    if (node->select.uncut)
        windows_uncut(&select->windows);
    groups_init(&select->groups, exec, inputs[0]);
    for (size_t i = 0; i < 2; i++) {
        select->piles[i] = piles[i];
        mem_init(&select->piles[i].mem, exec);
        clear_pile(select, &select->piles[i]);
    }
    mem_init(&select->temp, exec);
    mem_init(&select->list_mem, exec);
    *out = op;
    return AF_OK;
}

/*
 * retry.c - migrate --retry-dead-letters: what was refused, once more.
 *
 *     letters of one file, row group and shape --> group --+-- line      -> parsed, sent
 *                                                          +-- row_data  -> a table -> the mapping of its file -> sent, or a letter again
 *                                                          `-- neither, or not what it was (U+FFFD) -> a letter again
 *
 * When everything that was read is at the server or in this run's own dead letters, on disk, the files are renamed to *.retried. Before
 * that nothing of them changes, and doing it again is harmless. One lane: there are few letters, and their order is that of the files.
 */
#include "aws/s3.h"
#include "base/alloc.h"
#include "cli/migrate.h"
#include "os/clock.h"
#include "os/file.h"
#include <inttypes.h>

enum { GROUP_BYTES = 32 << 20 };
static const size_t LETTERS_BYTES_MAX = (size_t)2 << 30; /* of a group: one letter of the largest size fits as text and as a tree */

/* The file that the rows at hand came from, as far as it is still there. */
struct origin {
    char *file;              /* NULL: none yet */
    struct af_source_list list;
    struct af_table *table;  /* NULL: the file is gone, or no table */
    struct af_map *own_map;
    const struct af_map *map; /* NULL: none was found, `why` says */
    struct af_error why;
};

struct retry {
    struct migration m;
    struct af_source_list files; /* of letters; only the paths count */
    struct origin origin;
    struct af_lp_parser *parser;
    struct af_lp_text text;
    struct af_lp_bad_line bad;   /* of the line just parsed; its reason is empty if it is well */
    uint64_t next_unit;

    /* The group: its first letter lives in the arena that is not in use when it did not fit the group before. */
    struct af_arena arenas[2];
    unsigned use;
    struct af_arena work;        /* what is made of a group */
    struct af_letter **group;    /* AF_BATCH_ROWS */
    size_t group_count;
    struct af_schema schema;     /* of row_data */
};

/* --- the origin of rows -------------------------------------------------------------------------------------------------- */

static void origin_done(struct origin *o)
{
    af_table_close(o->table);
    af_source_list_done(&o->list);
    af_map_free(o->own_map);
    af_free(o->file);
    *o = (struct origin){ 0 };
}

static void open_file(struct retry *r)
{
    struct origin *o = &r->origin;
    const char *const args[] = { o->file };
    const struct af_source_from from = af_cli_source_from(r->m.cli, &r->m.sources);
    bool can_be_there = af_s3_is_name(o->file) || af_path_kind(o->file) == AF_PATH_FILE;
    if (!can_be_there || af_source_list_make(args, 1, &from, &o->list, NULL) != AF_OK)
        return;
    if (o->list.items[0].format == AF_SOURCE_LP || af_table_open(&o->list.items[0], &o->table, NULL) != AF_OK)
        o->table = NULL; /* a row still has its JSON */
}

static void find_map(struct retry *r, const struct af_letter *letter)
{
    struct origin *o = &r->origin;
    const struct af_ingest_options *options = &r->m.sources.ingest;
    struct af_schema schema;
    o->map = options->map;
    if (o->map != NULL)
        return;
    enum af_status status = AF_ENOTFOUND;
    if (o->table != NULL)
        status = af_ingest_map_for(options, &o->list.items[0], &o->own_map, &o->why);
    else if ((status = af_letter_schema(letter, NULL, &r->work, &schema, &o->why)) == AF_OK)
        status = af_map_detect(o->file, &schema, &o->own_map, &o->why);
    if (status == AF_OK && o->table == NULL)
        status = af_map_override(o->own_map, &r->m.sources.override, &o->why);
    o->map = status == AF_OK ? o->own_map : NULL;
}

static enum af_status go_to_origin(struct retry *r, const struct af_letter *letter, struct af_error *err)
{
    struct origin *o = &r->origin;
    if (o->file != NULL && strcmp(o->file, letter->file) == 0)
        return AF_OK;
    origin_done(o);
    size_t len = strlen(letter->file);
    o->file = af_alloc(len + 1);
    if (o->file == NULL)
        return af_fail_nomem(err, "dead letters");
    memcpy(o->file, letter->file, len + 1);
    open_file(r);
    find_map(r, letter);
    return AF_OK;
}

static const struct af_schema *like(const struct retry *r)
{
    return r->origin.table != NULL ? af_table_schema(r->origin.table) : NULL;
}

/* --- a group, sent ------------------------------------------------------------------------------------------------------- */

/* The letter once more, for another reason or for its old one. */
static enum af_status reject(struct retry *r, struct af_sink_unit *unit, const struct af_letter *letter, const char *column,
                             const char *reason, struct af_error *err)
{
    struct af_buf row;
    af_buf_init(&row, AF_LETTER_BYTES_MAX);
    struct af_sink_reject again = { .row = letter->row, .column = column, .reason = reason, .raw = letter->raw };
    if (letter->line.ptr != NULL)
        again.raw = letter->line;
    if (letter->row_data != NULL) {
        af_json_append(&row, letter->row_data);
        again.raw = af_buf_slice(&row);
    }
    enum af_status status = af_buf_check(&row, "a dead letter", err);
    if (status == AF_OK)
        status = af_sink_reject(r->m.sink, unit, &again, err);
    r->m.totals.rows_rejected++;
    af_buf_done(&row);
    return status;
}

enum kind { LINE, ROW, KEEP };

static enum kind kind_of(const struct af_letter *letter)
{
    if (letter->is_damaged)
        return KEEP;
    return letter->line.ptr != NULL ? LINE : letter->row_data != NULL ? ROW : KEEP;
}

static enum af_status reject_all(struct retry *r, struct af_sink_unit *unit, const char *reason, struct af_error *err)
{
    for (size_t i = 0; i < r->group_count; i++)
        AF_TRY(reject(r, unit, r->group[i], r->group[i]->column, reason != NULL ? reason : r->group[i]->reason, err));
    return AF_OK;
}

/* The last lines of the text, from `from` on, came from letter `letter`. */
static void set_rows(struct retry *r, size_t from, size_t letter)
{
    for (size_t line = from; line < r->text.line_count; line++)
        r->text.rows[line] = (uint32_t)(r->group[letter]->row - r->group[0]->row);
}

static void keep_bad(void *ctx, const struct af_lp_bad_line *bad)
{
    struct retry *r = ctx;
    r->bad = *bad;
}

static enum af_status send_line(struct retry *r, struct af_sink_unit *unit, size_t at, struct af_error *err)
{
    const struct af_letter *letter = r->group[at];
    struct af_points points;
    size_t used = 0;
    size_t before = r->text.line_count;
    r->bad.reason[0] = '\0';
    AF_TRY(af_lp_parse(r->parser, letter->line, true, &r->work, &points, NULL, &used, err));
    if (r->bad.reason[0] != '\0')
        return reject(r, unit, letter, NULL, r->bad.reason, err);
    AF_TRY(af_lp_encode(&points, r->m.precision, &r->text, 1, err));
    set_rows(r, before, at);
    r->m.totals.points += points.row_count;
    return AF_OK;
}

static enum af_status send_lines(struct retry *r, struct af_sink_unit *unit, struct af_error *err)
{
    for (size_t i = 0; i < r->group_count; i++) {
        AF_TRY(send_line(r, unit, i, err));
        if (r->work.bytes_used > GROUP_BYTES)
            af_arena_reset(&r->work);
    }
    return AF_OK;
}

static enum af_status map_rows(struct retry *r, struct af_sink_unit *unit, struct af_mapper *mapper, struct af_error *err)
{
    struct af_batch batch;
    struct af_points points;
    struct af_map_rejects rejects;
    size_t empty = 0;
    AF_TRY(af_letters_batch(r->group, r->group_count, &r->schema, &r->work, &batch, err));
    AF_TRY(af_mapper_apply(mapper, &batch, &r->work, &points, &rejects, &empty, err));
    for (size_t i = 0; i < rejects.count; i++)
        AF_TRY(reject(r, unit, r->group[rejects.items[i].row], rejects.items[i].column, rejects.items[i].reason, err));
    AF_TRY(af_lp_encode(&points, r->m.precision, &r->text, 1, err));
    for (size_t line = 0; line < r->text.line_count; line++)
        r->text.rows[line] = (uint32_t)(r->group[r->text.rows[line]]->row - r->group[0]->row);
    r->m.totals.rows_empty += empty;
    r->m.totals.points += r->text.line_count;
    return AF_OK;
}

static enum af_status send_rows(struct retry *r, struct af_sink_unit *unit, struct af_error *err)
{
    const struct origin *o = &r->origin;
    struct af_mapper *mapper;
    struct af_error why;
    if (o->map == NULL)
        return reject_all(r, unit, o->why.message, err);
    enum af_status status = af_mapper_new(o->map, &r->schema, o->file, &mapper, &why);
    if (status == AF_EINVAL || status == AF_ENOTFOUND) /* the mapping asks for a column that the row has not */
        return reject_all(r, unit, why.message, err);
    if (status != AF_OK) {
        *err = why;
        return status;
    }
    status = map_rows(r, unit, mapper, err);
    af_mapper_free(mapper);
    return status;
}

static enum af_status send_group(struct retry *r, struct af_sink_unit *unit, struct af_error *err)
{
    const struct af_letter *first = r->group[0];
    af_lp_text_clear(&r->text);
    enum kind kind = kind_of(first);
    AF_TRY(kind == LINE ? send_lines(r, unit, err) : kind == ROW ? send_rows(r, unit, err) : reject_all(r, unit, NULL, err));
    return r->text.line_count != 0 ? af_sink_put(r->m.sink, unit, 0, &r->text, first->row, err) : AF_OK;
}

static enum af_status flush(struct retry *r, struct af_error *err)
{
    struct af_sink_unit *unit;
    if (r->group_count == 0)
        return AF_OK;
    AF_TRY(af_sink_unit_begin(r->m.sink, r->next_unit++, r->group[0]->file, r->group[0]->row_group, NULL, NULL, &unit, err));
    enum af_status status = send_group(r, unit, err);
    af_sink_unit_end(r->m.sink, unit);
    af_arena_reset(&r->work);
    r->group_count = 0;
    return status;
}

/* --- letters into groups ------------------------------------------------------------------------------------------------- */

static bool fits(const struct retry *r, const struct af_letter *letter)
{
    const struct af_letter *first = r->group[0];
    if (r->group_count == AF_BATCH_ROWS || r->arenas[0].bytes_used + r->arenas[1].bytes_used > GROUP_BYTES)
        return false;
    if (strcmp(first->file, letter->file) != 0 || first->row_group != letter->row_group || letter->row < first->row ||
        letter->row - first->row > UINT32_MAX)
        return false;
    if (kind_of(first) != kind_of(letter))
        return false;
    return kind_of(first) != ROW || af_letter_fits(letter, like(r), &r->schema);
}

static enum af_status add(struct retry *r, struct af_letter *letter, struct af_error *err)
{
    r->m.totals.rows_read++;
    if (r->group_count != 0 && !fits(r, letter)) {
        AF_TRY(flush(r, err));
        r->use = !r->use;
        af_arena_reset(&r->arenas[r->use]); /* the letter at hand lives in the other one */
    }
    if (r->group_count == 0 && kind_of(letter) == ROW) {
        AF_TRY(go_to_origin(r, letter, err));
        AF_TRY(af_letter_schema(letter, like(r), &r->work, &r->schema, err));
    }
    r->group[r->group_count++] = letter;
    return AF_OK;
}

static enum af_status take_up(struct retry *r, const char *path, struct af_error *err)
{
    struct af_letters *letters;
    AF_TRY(af_letters_open(path, &letters, err));
    enum af_status status = AF_OK;
    for (;;) {
        struct af_letter *letter = NULL;
        if (*af_interrupt_flag())
            status = af_fail(err, AF_ECANCELED, "interrupted");
        if (status == AF_OK)
            status = af_letters_next(letters, &r->arenas[r->use], &letter, err);
        if (status == AF_OK && letter != NULL)
            status = add(r, letter, err);
        if (status != AF_OK || letter == NULL)
            break;
    }
    if (status == AF_OK)
        status = flush(r, err);
    af_arena_reset(&r->arenas[0]);
    af_arena_reset(&r->arenas[1]);
    af_letters_close(letters);
    return status;
}

/* --- the command --------------------------------------------------------------------------------------------------------- */

struct finder {
    struct retry *r;
    size_t cap;
};

static enum af_status add_path(void *ctx, const char *path, struct af_error *err)
{
    struct finder *f = ctx;
    struct af_source_list *list = &f->r->files;
    if (list->count == f->cap) {
        size_t cap = f->cap * 2 + 16;
        struct af_source *items = af_realloc(list->items, cap * sizeof *items);
        if (items == NULL)
            return af_fail_nomem(err, "dead letters");
        list->items = items;
        f->cap = cap;
    }
    struct af_source file = { .path = af_arena_copy(&list->arena, af_slice_of(path)) };
    if (file.path == NULL)
        return af_fail_nomem(err, "dead letters");
    AF_TRY(af_path_size(path, &file.bytes, NULL, err));
    list->items[list->count++] = file;
    return AF_OK;
}

/* Before the sink is open: its own file is none of them. */
static enum af_status find_files(struct retry *r, struct af_error *err)
{
    struct finder finder = { .r = r };
    const struct af_cli *cli = r->m.cli;
    af_arena_init(&r->files.arena, 64 << 20);
    for (size_t i = 0; i < cli->arg_count; i++)
        AF_TRY(af_letters_find(cli->args[i], add_path, &finder, err));
    if (cli->arg_count != 0 || af_path_kind(r->m.dead_letters) != AF_PATH_DIR)
        return AF_OK;
    return af_letters_find(r->m.dead_letters, add_path, &finder, err);
}

static enum af_status rename_files(const struct retry *r, struct af_error *err)
{
    for (size_t i = 0; i < r->files.count; i++) {
        struct af_buf to;
        af_buf_init(&to, AF_PATH_BYTES_MAX + 16);
        af_buf_printf(&to, "%s.retried", r->files.items[i].path);
        enum af_status status = af_buf_check(&to, "a path", err);
        if (status == AF_OK)
            status = af_path_rename(r->files.items[i].path, af_buf_cstr(&to), err);
        af_buf_done(&to);
        AF_TRY(status);
    }
    return AF_OK;
}

static enum af_status open_all(struct retry *r, struct af_error *err)
{
    AF_TRY(af_cli_open_mapping(r->m.cli, &r->m.sources, err));
    r->m.sources.ingest.sources = NULL;
    for (unsigned i = 0; i < 2; i++)
        af_arena_init(&r->arenas[i], LETTERS_BYTES_MAX);
    af_arena_init(&r->work, LETTERS_BYTES_MAX);
    af_lp_text_init(&r->text);
    r->group = af_alloc(AF_BATCH_ROWS * sizeof(struct af_letter *));
    if (r->group == NULL)
        return af_fail_nomem(err, "dead letters");
    struct af_lp_parse_options options = { .precision = AF_PRECISION_NS, .default_time_ns = af_clock_now_ns(), .allow_unsigned = true,
                                           .bad_line = keep_bad, .ctx = r };
    AF_TRY(af_lp_parser_new(&options, &r->parser, err));
    AF_TRY(migration_open_state(&r->m, err));
    AF_TRY(find_files(r, err));
    return migration_open_sink(&r->m, err);
}

static void close_all(struct retry *r)
{
    origin_done(&r->origin);
    af_lp_parser_free(r->parser);
    af_lp_text_done(&r->text);
    af_free(r->group);
    for (unsigned i = 0; i < 2; i++)
        af_arena_done(&r->arenas[i]);
    af_arena_done(&r->work);
    af_source_list_done(&r->files);
    migration_close(&r->m);
}

static enum af_status run(struct retry *r, struct af_error *err)
{
    for (size_t i = 0; i < r->files.count; i++) {
        AF_TRY(take_up(r, r->files.items[i].path, err));
        r->m.totals.files++;
        r->m.totals.bytes_done += r->files.items[i].bytes;
    }
    AF_TRY(af_sink_finish(r->m.sink, err));
    return rename_files(r, err);
}

static int retry_all(struct retry *r)
{
    struct af_error err = { 0 };
    enum af_status status = open_all(r, &err);
    if (status != AF_OK)
        return status == AF_EINVAL ? af_cli_usage_error(r->m.cli, "%s", err.message) : af_cli_fail(r->m.cli, &err);
    if (r->files.count == 0)
        af_cli_say(r->m.cli, "there are no dead letters in %s", r->m.dead_letters);
    status = run(r, &err);
    if (status == AF_OK)
        return migration_finish(&r->m);
    af_cli_warn("%s", err.message);
    bool can_repeat = status == AF_ECANCELED || af_status_is_retryable(status);
    if (can_repeat)
        af_cli_warn("no file of dead letters was renamed: the same command does it again");
    return can_repeat ? AF_EXIT_INTERRUPTED : AF_EXIT_FAILED;
}

int af_cli_retry(struct af_cli *cli)
{
    if (cli->verify || cli->resume || cli->dry_run || cli->strict)
        return af_cli_usage_error(cli, "--retry-dead-letters excludes --verify, --resume, --dry-run and --strict; verify the sources "
                                       "afterwards");
    struct retry *r = af_alloc_zero(1, sizeof *r);
    if (r == NULL)
        return AF_EXIT_FAILED;
    migration_init(&r->m, cli, 1);
    int code = retry_all(r);
    close_all(r);
    af_free(r);
    return code;
}

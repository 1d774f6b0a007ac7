/*
 * query.c - a question to a data directory or a server, its answer printed while it comes.
 *
 *     directory: af_query, which writes the bytes itself           --> standard output
 *     server, or directory that one has: parts of remote --> wire  --> standard output
 *
 * Words of failed statements go to standard error; where a table is read on a terminal they stand in it.
 */
#include "base/limits.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/zone.h"
#include "remote/remote.h"
#include "server/server.h"
#include <stdlib.h>

enum { QUERY_BYTES_MAX = 16 << 20, STDOUT = 1, STDERR = 2, MESSAGES_MAX = 8, SEND_BYTES = 64 << 10 };

struct asking {
    struct af_cli *cli;
    struct af_buf text;             /* of the query */
    bool is_flux;
    struct af_wire_options wire;
    bool has_failed;
};

/* --- options ------------------------------------------------------------------------------------------------------------------ */

static bool parse_format(const struct af_cli *cli, enum af_wire_format *out)
{
    static const struct {
        const char *name;
        enum af_wire_format format;
    } formats[] = { { "table", AF_WIRE_TABLE }, { "json", AF_WIRE_JSON_LINES }, { "csv", AF_WIRE_CSV }, { "arrow", AF_WIRE_ARROW } };
    const char *name = cli->format != NULL ? cli->format : cli->json ? "json" : "table";
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(formats[i].name, name) == 0) {
            *out = formats[i].format;
            return true;
        }
    }
    return false;
}

static bool parse_epoch(const char *name, int64_t *out_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = { { "ns", 1 },         { "n", 1 },          { "us", 1000 },      { "u", 1000 },
                  { "ms", 1000000 },   { "s", 1000000000 }, { "m", 60000000000 }, { "h", 3600000000000 } };
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(units[i].name, name) == 0) {
            *out_ns = units[i].ns;
            return true;
        }
    }
    return false;
}

/* Does who reads want Portuguese? */
static bool wants_portuguese(void)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };
    for (size_t i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && value[0] != '\0')
            return strncmp(value, "pt", 2) == 0;
    }
    return false;
}

/* Result < 0: fine; else the exit status. */
static int take_options(struct asking *asking)
{
    const struct af_cli *cli = asking->cli;
    const bool is_tty = af_tty_is(STDOUT);
    const char *lang = cli->lang != NULL ? cli->lang : "influxql";
    asking->is_flux = strcmp(lang, "flux") == 0;
    asking->wire = (struct af_wire_options){ .width = is_tty ? af_tty_columns(STDOUT) : 0, .colour = is_tty && getenv("NO_COLOR") == NULL,
                                             .portuguese = wants_portuguese() };
    if (strcmp(lang, "timestream") == 0)
        return af_cli_usage_error(cli, "Timestream SQL cannot be asked yet: --lang is influxql or flux");
    if (!asking->is_flux && strcmp(lang, "influxql") != 0)
        return af_cli_usage_error(cli, "--lang is influxql or flux, not \"%s\"", lang);
    if (!parse_format(cli, &asking->wire.format))
        return af_cli_usage_error(cli, "--format is table, json, csv or arrow, not \"%s\"", cli->format);
    if (asking->wire.format == AF_WIRE_ARROW && is_tty)
        return af_cli_usage_error(cli, "an Arrow stream is not for a terminal: send it into a file or a pipe");
    if (cli->epoch != NULL && !parse_epoch(cli->epoch, &asking->wire.epoch_ns))
        return af_cli_usage_error(cli, "--epoch is ns, us, ms, s, m or h, not \"%s\"", cli->epoch);
    if (asking->is_flux && (cli->explain || cli->analyze))
        return af_cli_usage_error(cli, "--explain and --analyze are for InfluxQL");
    return -1;
}

static enum af_status take_text(struct asking *asking, struct af_error *err)
{
    const struct af_cli *cli = asking->cli;
    struct af_buf *text = &asking->text;
    if (cli->explain || cli->analyze)
        af_buf_append_str(text, cli->analyze ? "EXPLAIN ANALYZE " : "EXPLAIN ");
    if (strcmp(cli->args[0], "-") == 0)
        return af_file_read_all("-", text, err);
    af_buf_append_str(text, cli->args[0]);
    return af_buf_check(text, "a query", err);
}

/* --- failures ----------------------------------------------------------------------------------------------------------------- */

static void say_failure(struct asking *asking, const char *words)
{
    const bool is_read = asking->wire.format == AF_WIRE_TABLE && af_tty_is(STDOUT) && af_tty_is(STDERR);
    const bool is_nameless = strcmp(words, "database name required") == 0;
    asking->has_failed = true;
    if (!is_read || is_nameless)
        (void)fprintf(stderr, "afluxo query: %s%s\n", words, is_nameless ? ": say --bucket NAME, or set INFLUX_BUCKET_NAME" : "");
}

/* --- a directory -------------------------------------------------------------------------------------------------------------- */

static enum af_status print_query(struct asking *asking, struct af_query *query, struct af_error *err)
{
    struct af_slice bytes;
    do {
        AF_TRY(af_query_next(query, &bytes, err));
        if (bytes.len != 0)
            AF_TRY(af_cli_out(bytes, err));
    } while (bytes.len != 0);
    if (af_query_failed(query))
        say_failure(asking, af_query_failure(query));
    return AF_OK;
}

static enum af_status ask_house(struct asking *asking, struct af_house *house, struct af_error *err)
{
    struct af_arena arena;
    struct af_query *query = NULL;
    const char *bucket = asking->cli->bucket;
    const char *slash = bucket != NULL ? strchr(bucket, '/') : NULL;
    if (asking->is_flux)
        return af_fail(err, AF_EUNSUPPORTED, "Flux can be asked of servers only, not yet of a data directory");
    af_arena_init(&arena, 64 << 20);
    struct af_query_request request = { .text = af_buf_slice(&asking->text), .database = bucket, .cancel = af_interrupt_flag(),
                                        .wire = asking->wire };
    if (slash != NULL) {
        request.database = af_arena_copy(&arena, (struct af_slice){ bucket, (size_t)(slash - bucket) });
        request.policy = slash[1] != '\0' ? slash + 1 : NULL;
    }
    enum af_status status = slash != NULL && request.database == NULL ? af_fail_nomem(err, "a query") : AF_OK;
    if (status == AF_OK)
        status = af_house_query_open(house, &request, &arena, &query, err);
    if (status == AF_OK)
        status = print_query(asking, query, err);
    af_query_close(query);
    af_arena_done(&arena);
    return status;
}

/* --- a server ----------------------------------------------------------------------------------------------------------------- */

struct printing {
    struct asking *asking;
    struct af_buf bytes;
    struct af_wire *wire;
    struct af_arena arena;                  /* of the statement at hand */
    struct af_arena text_arena;
    const struct af_ql_statement *parsed;   /* the text as we understand it; NULL: we do not */
    bool is_open;
    uint64_t statement;
    struct af_wire_message messages[MESSAGES_MAX];
    size_t message_count;
    const char *error;
};

static enum af_status send(struct printing *printing, struct af_error *err)
{
    size_t ready = af_wire_ready(printing->wire);
    AF_TRY(af_buf_check(&printing->bytes, "the answer", err));
    if (ready == 0)
        return AF_OK;
    AF_TRY(af_cli_out((struct af_slice){ printing->bytes.ptr, ready }, err));
    af_wire_taken(printing->wire, ready);
    return AF_OK;
}

static void end_statement(struct printing *printing)
{
    if (!printing->is_open)
        return;
    af_wire_statement_end(printing->wire, printing->messages, printing->message_count, printing->error);
    if (printing->error != NULL && !printing->asking->has_failed)
        say_failure(printing->asking, printing->error);
    printing->is_open = false;
    printing->message_count = 0;
    printing->error = NULL;
    af_arena_reset(&printing->arena);
}

/* The times of msgpack have lost the zone that tz() asked for. */
static void set_zone(struct printing *printing, uint64_t id)
{
    const struct af_ql_statement *st = printing->parsed;
    struct af_zone zone;
    for (uint64_t i = 0; i < id && st != NULL; i++)
        st = st->next;
    if (st != NULL && st->select != NULL && st->select->zone_name != NULL &&
        af_zone_find(af_slice_of(st->select->zone_name), &zone, NULL) == AF_OK)
        af_wire_zone(printing->wire, &zone);
}

static enum af_status put_words(struct printing *printing, const struct af_remote_part *part, struct af_error *err)
{
    const char *level = af_arena_copy(&printing->arena, af_slice_of(part->level));
    const char *words = af_arena_copy(&printing->arena, af_slice_of(part->words));
    if (level == NULL || words == NULL)
        return af_fail_nomem(err, "an answer");
    if (strcmp(level, "error") == 0)
        printing->error = words;
    else if (printing->message_count < MESSAGES_MAX)
        printing->messages[printing->message_count++] = (struct af_wire_message){ level, words };
    return AF_OK;
}

static enum af_status put_part(struct printing *printing, const struct af_remote_part *part, struct af_error *err)
{
    bool is_full;
    if (!printing->is_open || printing->statement != part->statement) {
        end_statement(printing);
        af_wire_statement(printing->wire, part->statement);
        set_zone(printing, part->statement);
        printing->is_open = true;
        printing->statement = part->statement;
    }
    if (part->words != NULL)
        AF_TRY(put_words(printing, part, err));
    if (part->table != NULL)
        AF_TRY(af_wire_table(printing->wire, part->table, &is_full, err));
    return printing->bytes.len >= SEND_BYTES ? send(printing, err) : AF_OK;
}

static enum af_status print_answer(struct printing *printing, struct af_remote_answer *answer, struct af_error *err)
{
    const struct af_remote_part *part = NULL;
    AF_TRY(af_wire_new(&printing->asking->wire, &printing->bytes, &printing->wire, err));
    af_wire_begin(printing->wire);
    do {
        AF_TRY(af_remote_answer_next(answer, &part, err));
        if (part != NULL)
            AF_TRY(put_part(printing, part, err));
    } while (part != NULL);
    end_statement(printing);
    af_wire_end(printing->wire);
    return send(printing, err);
}

static enum af_status ask_server(struct asking *asking, const char *target, struct af_error *err)
{
    struct af_store *store = NULL;
    struct af_remote_answer *answer = NULL;
    struct printing printing = { .asking = asking };
    af_buf_init(&printing.bytes, AF_QUERY_ANSWER_BYTES_MAX);
    af_arena_init(&printing.arena, 16 << 20);
    af_arena_init(&printing.text_arena, 256 << 20);
    struct af_ql_statement *parsed = NULL;
    if (!asking->is_flux && af_ql_parse(af_buf_slice(&asking->text), NULL, &printing.text_arena, &parsed, NULL) == AF_OK)
        printing.parsed = parsed;
    asking->cli->is_question = true;
    enum af_status status = af_cli_open_store(asking->cli, target, NULL, &store, err);
    if (status == AF_OK)
        status = af_remote_ask(store, asking->is_flux ? AF_REMOTE_FLUX : AF_REMOTE_INFLUXQL, af_buf_slice(&asking->text),
                               af_interrupt_flag(), &answer, err);
    if (status == AF_OK)
        status = print_answer(&printing, answer, err);
    af_remote_answer_close(answer);
    af_store_close(store);
    af_wire_free(printing.wire);
    af_buf_done(&printing.bytes);
    af_arena_done(&printing.arena);
    af_arena_done(&printing.text_arena);
    return status;
}

/* --- the command -------------------------------------------------------------------------------------------------------------- */

static enum af_status ask_directory(struct asking *asking, const char *dir, struct af_error *err)
{
    struct af_cli *cli = asking->cli;
    struct af_house_options options;
    struct af_house house;
    struct af_error why = { 0 };
    const char *url = NULL, *token_file = NULL;
    AF_TRY(af_cli_need_house(dir, err));
    af_cli_house_options(cli, dir, &options);
    enum af_status status = af_house_open(&options, &house, &why);
    if (status == AF_OK) {
        status = ask_house(asking, &house, err);
        af_house_close(&house);
        return status;
    }
    if (status != AF_EBUSY || af_cli_find_server(dir, &url, &token_file, NULL) != AF_OK) {
        *err = why;
        return status;
    }
    af_cli_say(cli, "%s is served at %s: going through that server", dir, url);
    if (cli->token == NULL && cli->token_file == NULL)
        cli->token_file = token_file;
    return ask_server(asking, url, err);
}

static enum af_status ask(struct asking *asking, struct af_error *err)
{
    const char *target = af_cli_target_url(asking->cli->from);
    if (target == NULL)
        return af_fail(err, AF_EINVAL, "which target? Say --from DIRECTORY or --from http://host:8086, or set INFLUX_HOST");
    AF_TRY(take_text(asking, err));
    return af_cli_is_directory(target) ? ask_directory(asking, target, err) : ask_server(asking, target, err);
}

int af_cli_query(struct af_cli *cli)
{
    struct af_error err = { 0 };
    struct asking asking = { .cli = cli };
    if (cli->arg_count != 1)
        return af_cli_usage_error(cli, "query takes one text, in quotes, or - for standard input");
    int usage = take_options(&asking);
    if (usage >= 0)
        return usage;
    af_buf_init(&asking.text, QUERY_BYTES_MAX);
    enum af_status status = ask(&asking, &err);
    af_buf_done(&asking.text);
    if (status != AF_OK)
        return af_cli_fail(cli, &err);
    return asking.has_failed ? af_interrupted() ? AF_EXIT_INTERRUPTED : AF_EXIT_FAILED : AF_EXIT_DONE;
}

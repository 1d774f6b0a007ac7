/* lambda.c - `afluxo lambda NAME`: a function on Lambda's custom runtime, or once by hand; bootstrap.c is the first without the rest. */
#include "lambda/lambda.h"
#include "base/limits.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>

static void write_line(void *ctx, struct af_slice line)
{
    (void)ctx;
    (void)fwrite(line.ptr, 1, line.len, stderr);
}

static enum af_status read_event(const struct af_cli *cli, struct af_buf *event, struct af_error *err)
{
    if (cli->arg_count == 2)
        return af_file_read_all(cli->args[1], event, err);
    af_buf_append_str(event, "{}");
    return af_buf_check(event, "an event", err);
}

/* A sick target, an object that failed: shells and cron look at the exit status. */
static bool is_good(struct af_slice answer)
{
    struct af_arena arena;
    struct af_json *json;
    int64_t code = 0;
    af_arena_init(&arena, AF_LAMBDA_ARENA_BYTES_MAX);
    bool is_read = af_json_parse(answer, &arena, &json, NULL) == AF_OK && af_json_i64(af_json_get(json, "statusCode"), &code);
    af_arena_done(&arena);
    return !is_read || code < 300;
}

static int once(const struct af_cli *cli)
{
    struct af_error err = { 0 };
    struct af_buf event, answer;
    struct af_lambda_log log = { .level = cli->verbose ? AF_LOG_DEBUG : cli->quiet ? AF_LOG_ERROR : AF_LOG_INFO, .write = write_line };
    af_buf_init(&event, AF_LAMBDA_ARENA_BYTES_MAX);
    af_buf_init(&answer, AF_LAMBDA_ANSWER_BYTES_MAX);
    enum af_status status = read_event(cli, &event, &err);
    if (status == AF_OK)
        status = af_lambda_once(cli->args[0], af_buf_slice(&event), &log, af_interrupt_flag(), &answer, &err);
    if (status == AF_OK) {
        af_buf_append_char(&answer, '\n');
        status = af_buf_check(&answer, "the answer", &err);
    }
    if (status == AF_OK)
        status = af_cli_out(af_buf_slice(&answer), &err);
    bool good = status == AF_OK && is_good(af_buf_slice(&answer));
    af_buf_done(&event);
    af_buf_done(&answer);
    return status != AF_OK ? af_cli_fail(cli, &err) : good ? AF_EXIT_DONE : AF_EXIT_FAILED;
}

int af_cli_lambda(struct af_cli *cli)
{
    struct af_error err = { 0 };
    if (cli->arg_count == 0 || cli->arg_count > (cli->once ? 2 : 1))
        return af_cli_usage_error(cli, "lambda takes the name of a function (%s), and with --once the file of an event", af_lambda_names());
    if (cli->once)
        return once(cli);
    return af_lambda_main(cli->args[0], af_interrupt_flag(), &err) == AF_OK ? AF_EXIT_DONE : af_cli_fail(cli, &err);
}

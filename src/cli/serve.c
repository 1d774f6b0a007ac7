/* serve.c - `afluxo serve`: a data directory behind InfluxDB's APIs, until SIGTERM or SIGINT. */
#include "base/calendar.h"
#include "base/limits.h"
#include "base/numbers.h"
#include "cli/cli.h"
#include "os/clock.h"
#include "os/file.h"
#include "server/server.h"
#include <stdlib.h>

enum { GRACE_MS = 10000, LOOK_MS = 50 };

/* "127.0.0.1:8086", "[::1]:8086", ":8086"; the address is cut out of `text` in place. */
static enum af_status parse_listen(char *text, struct af_serve_options *out, struct af_error *err)
{
    char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL || !af_cli_parse_count(colon + 1, &port) || port > 65535)
        return af_fail(err, AF_EINVAL, "--listen is ADDR:PORT, for example 127.0.0.1:8086 or [::]:8086, not \"%s\"", text);
    *colon = '\0';
    size_t len = strlen(text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        text[len - 1] = '\0';
        text++;
    }
    out->address = text[0] != '\0' ? text : "::";
    out->port = (uint16_t)port;
    return AF_OK;
}

static void log_line(void *ctx, const char *line)
{
    const struct af_cli *cli = ctx;
    if (!cli->quiet)
        (void)fprintf(stderr, "%s\n", line);
}

/* Where other commands find the server that has this directory. */
static enum af_status leave_address(const char *dir, const struct af_serve_options *http, uint16_t port, struct af_error *err)
{
    char path[AF_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/server.json", dir);
    const char *address = strcmp(http->address, "::") == 0 ? "[::1]" : strcmp(http->address, "0.0.0.0") == 0 ? "127.0.0.1" : http->address;
    struct af_buf text;
    af_buf_init(&text, 64 << 10);
    af_buf_printf(&text, "{\"url\":\"%s://%s:%u\"}\n", http->tls_cert != NULL ? "https" : "http", address, (unsigned)port);
    enum af_status status = af_buf_check(&text, "server.json", err);
    if (status == AF_OK)
        status = af_file_write_atomic(path, af_buf_slice(&text), true, err);
    af_buf_done(&text);
    return status;
}

static void forget_address(const char *dir)
{
    char path[AF_PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/server.json", dir);
    (void)!af_path_remove(path, NULL);
}

static void limit_queries(const struct af_cli *cli, struct af_server_options *out)
{
    out->query_limits = (struct af_exec_limits){ .bytes_max = (size_t)cli->query_memory, .points_max = cli->query_points,
                                                 .series_max = cli->query_series, .windows_max = cli->query_windows };
    out->query_timeout_ms = cli->query_timeout_ms;
    out->query_rows_max = cli->query_rows;
    out->queries_max = cli->max_queries < UINT32_MAX ? (unsigned)cli->max_queries : 0;
}

static enum af_status serve_until_told(struct af_cli *cli, struct af_house *house, struct af_serve_options *http, struct af_error *err)
{
    struct af_arena arena;
    af_arena_init(&arena, 1 << 20);
    struct af_server_options options = { .house = house, .http = *http, .version = AFLUXO_VERSION, .no_auth = cli->no_auth, .log = log_line,
                                         .ctx = cli };
    struct af_server *server = NULL;
    const char *token = NULL;
    limit_queries(cli, &options);
    enum af_status status = af_server_start(&options, &arena, &token, &server, err);
    if (status == AF_OK) {
        uint16_t port = af_server_port(server);
        status = leave_address(house->dir, http, port, err);
        if (status == AF_EFULL) { /* no reason not to serve what is there */
            af_cli_say(cli, "other commands will not find this server: %s", err->message);
            status = AF_OK;
        }
        af_cli_say(cli, "listening on %s port %u, data in %s", http->address, (unsigned)port, house->dir);
        if (token != NULL)
            af_cli_say(cli, "operator token (shown once, kept in %s/operator-token): %s", house->dir, token);
        while (status == AF_OK && !*(const volatile bool *)af_interrupt_flag())
            af_clock_sleep_ms(LOOK_MS);
        af_cli_say(cli, "stopping");
        af_server_stop(server, GRACE_MS);
        forget_address(house->dir);
    }
    af_arena_done(&arena);
    return status;
}

int af_cli_serve(struct af_cli *cli)
{
    struct af_error err = { 0 };
    struct af_serve_options http = { .tls_cert = cli->tls_cert, .tls_key = cli->tls_key, .body_bytes_max = cli->max_body };
    char listen[256];
    (void)snprintf(listen, sizeof listen, "%s", cli->listen != NULL ? cli->listen : "127.0.0.1:8086");
    if (parse_listen(listen, &http, &err) != AF_OK)
        return af_cli_usage_error(cli, "%s", err.message);
    af_descriptors_raise();
    struct af_house_options options;
    af_cli_house_options(cli, cli->data != NULL ? cli->data : "./afluxo-data", &options);
    struct af_house house;
    enum af_status status = af_house_open(&options, &house, &err);
    if (status != AF_OK)
        return af_cli_fail(cli, &err);
    status = serve_until_told(cli, &house, &http, &err);
    af_house_close(&house);
    return status == AF_OK ? AF_EXIT_DONE : af_cli_fail(cli, &err);
}

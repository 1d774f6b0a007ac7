/* query.c - text straight through to the server, its answer straight to standard output. */
#include "cli/cli.h"
#include "os/file.h"
#include "remote/remote.h"

enum { QUERY_BYTES_MAX = 16 << 20 };

static enum af_status print(void *ctx, struct af_slice bytes, struct af_error *err)
{
    (void)ctx;
    return af_cli_out(bytes, err);
}

static enum af_status run(struct af_cli *cli, bool is_flux, struct af_error *err)
{
    struct af_buf text;
    af_buf_init(&text, QUERY_BYTES_MAX);
    enum af_status status = AF_OK;
    if (strcmp(cli->args[0], "-") == 0)
        status = af_file_read_all("-", &text, err);
    else
        af_buf_append_str(&text, cli->args[0]);
    struct af_store *store = NULL;
    if (status == AF_OK)
        status = af_cli_open_store(cli, cli->from != NULL ? cli->from : cli->to, "", &store, err);
    bool csv = cli->format != NULL && strcmp(cli->format, "csv") == 0;
    if (status == AF_OK)
        status = af_remote_query(store, is_flux ? AF_REMOTE_FLUX : AF_REMOTE_INFLUXQL, af_buf_slice(&text), csv, print, NULL, err);
    af_store_close(store);
    af_buf_done(&text);
    return status;
}

int af_cli_query(struct af_cli *cli)
{
    struct af_error err = { 0 };
    if (cli->arg_count != 1)
        return af_cli_usage_error(cli, "query takes one text, in quotes, or - for standard input");
    bool is_flux = cli->lang != NULL && strcmp(cli->lang, "flux") == 0;
    if (cli->lang != NULL && !is_flux && strcmp(cli->lang, "influxql") != 0)
        return af_cli_usage_error(cli, "--lang is influxql or flux here, not \"%s\"", cli->lang);
    return run(cli, is_flux, &err) == AF_OK ? AF_EXIT_DONE : af_cli_fail(cli, &err);
}

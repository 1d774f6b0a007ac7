/* lambda.c - `afluxo lambda NAME`: a function on Lambda's custom runtime; bootstrap.c is the same without the rest of the program. */
#include "lambda/lambda.h"
#include "cli/cli.h"
#include "os/clock.h"

int af_cli_lambda(struct af_cli *cli)
{
    struct af_error err = { 0 };
    if (cli->arg_count != 1)
        return af_cli_usage_error(cli, "lambda takes the name of a function: loader");
    return af_lambda_main(cli->args[0], af_interrupt_flag(), &err) == AF_OK ? AF_EXIT_DONE : af_cli_fail(cli, &err);
}

/* main.c - one program, many commands. */
#include "cli/cli.h"
#include "net/http.h"
#include "os/clock.h"

int main(int argc, char **argv)
{
    af_interrupt_install();
    af_http_init();
    struct af_cli cli;
    const struct af_cli_command *command;
    int status = af_cli_parse(argc, argv, &cli, &command);
    if (status < 0)
        status = cli.list_datasets ? af_cli_list_datasets() : command->run(&cli);
    struct af_error err;
    if (af_cli_out(AF_SLICE_LIT(""), &err) != AF_OK && status == AF_EXIT_DONE) /* what printf left behind */
        status = af_cli_fail(&cli, &err);
    af_cli_done(&cli);
    return status;
}

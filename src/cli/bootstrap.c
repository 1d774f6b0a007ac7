/* bootstrap.c - the program of function.zip: the function that Lambda's handler setting names, on the custom runtime. */
#include "cli/cli.h"
#include "lambda/lambda.h"
#include "net/http.h"
#include "os/clock.h"
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    af_interrupt_install();
    af_http_init();
    const char *name = argc > 1 ? argv[1] : getenv("_HANDLER");
    if (name == NULL) {
        (void)fputs("bootstrap: the handler setting of the function is its name: loader, monitor or query\n", stderr);
        return AF_EXIT_USAGE;
    }
    struct af_error err;
    if (af_lambda_main(name, af_interrupt_flag(), &err) != AF_OK) {
        (void)fprintf(stderr, "bootstrap: %s\n", err.message);
        return AF_EXIT_FAILED;
    }
    return AF_EXIT_DONE;
}

/* say.c - words for people, and the exit status that goes with a failure. */
#include "base/numbers.h"
#include "cli/cli.h"
#include "os/clock.h"
#include <stdarg.h>

enum { STDOUT = 1 };

void af_cli_say(const struct af_cli *cli, const char *fmt, ...)
{
    if (cli->quiet)
        return;
    va_list args;
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

void af_cli_warn(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)fputs("afluxo: ", stderr);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fputc('\n', stderr);
}

int af_cli_fail(const struct af_cli *cli, const struct af_error *err)
{
    (void)fprintf(stderr, "afluxo %s: %s\n", cli->program_command, err->message);
    return err->status == AF_ECANCELED ? AF_EXIT_INTERRUPTED : AF_EXIT_FAILED;
}

enum af_status af_cli_out(struct af_slice bytes, struct af_error *err)
{
    if (fwrite(bytes.ptr, 1, bytes.len, stdout) == bytes.len && fflush(stdout) == 0)
        return AF_OK;
    if (af_reader_is_gone(STDOUT))
        af_end_by_sigpipe();
    return af_fail(err, AF_EIO, "standard output cannot be written: is its disk full?");
}

const char *af_cli_plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

void af_cli_print_count(char *out, size_t cap, uint64_t value)
{
    char digits[AF_I64_TEXT_MAX];
    size_t len = (size_t)(af_u64_print(digits, value) - digits);
    size_t at = 0;
    for (size_t i = 0; i < len && at + 2 < cap; i++) {
        if (i != 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
}

void af_cli_print_bytes(char *out, size_t cap, uint64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 1000 && unit < 4; unit++)
        value /= 1000;
    (void)snprintf(out, cap, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

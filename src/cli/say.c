/* say.c - words for people, and the exit status that goes with a failure. What others named (files, objects) cannot steer the terminal. */
#include "base/alloc.h"
#include "base/numbers.h"
#include "cli/cli.h"
#include "os/clock.h"
#include <stdarg.h>

enum { STDOUT = 1 };

/* A control character at `at`, also those of C1 (U+0080 to U+009F)? Its length, or 0. A line's end is ours. */
static size_t control_at(const unsigned char *at)
{
    if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
        return 2;
    return (at[0] < 0x20 && at[0] != '\n') || at[0] == 0x7f;
}

static void put_text(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    while (*at != '\0') {
        size_t len = 0;
        while (at[len] != '\0' && control_at(at + len) == 0)
            len++;
        (void)fwrite(at, 1, len, stderr);
        at += len;
        for (size_t more = *at != '\0' ? control_at(at) : 0; more > 0; more--)
            (void)fprintf(stderr, "\\x%02x", *at++);
    }
}

static void put_line(const char *prefix, const char *fmt, va_list args)
{
    enum { USUAL = 2048 };
    char usual[USUAL];
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(usual, sizeof usual, fmt, args);
    char *large = len >= USUAL ? af_alloc((size_t)len + 1) : NULL;
    if (large != NULL)
        (void)vsnprintf(large, (size_t)len + 1, fmt, again);
    va_end(again);
    (void)fputs(prefix, stderr);
    if (len >= 0)
        put_text(large != NULL ? large : usual);
    (void)fputc('\n', stderr);
    af_free(large);
}

void af_cli_say(const struct af_cli *cli, const char *fmt, ...)
{
    if (cli->quiet)
        return;
    va_list args;
    va_start(args, fmt);
    put_line("", fmt, args);
    va_end(args);
}

void af_cli_warn(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    put_line("afluxo: ", fmt, args);
    va_end(args);
}

int af_cli_fail(const struct af_cli *cli, const struct af_error *err)
{
    (void)fprintf(stderr, "afluxo %s: ", cli->program_command);
    put_text(err->message);
    (void)fputc('\n', stderr);
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

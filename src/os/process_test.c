/* process_test.c - programs that print, fail, are not there, print too much or never end. */
#include "os/process.h"
#include "os/clock.h"
#include "test/lib/test.h"

static struct af_error err;

static enum af_status run(struct af_buf *out, uint32_t timeout_ms, const char *script)
{
    char *argv[] = { "sh", "-c", (char *)(uintptr_t)script, "name", "an argument", NULL };
    return af_process_run(argv, timeout_ms, out, &err);
}

AF_TEST(what_a_program_prints_is_kept)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 20);
    AF_CHECK_OK(run(&out, 10000, "printf '%s' \"$1\"; cat; printf ' end'"), err); /* nothing is on its input */
    AF_CHECK_SLICE(af_buf_slice(&out), "an argument end");
    af_buf_clear(&out);
    AF_CHECK_OK(run(&out, 10000, "i=0; while [ $i -lt 20000 ]; do echo 1234567; i=$((i+1)); done"), err);
    AF_CHECK_INT(out.len, 160000);
    af_buf_done(&out);
}

AF_TEST(what_goes_wrong_with_programs)
{
    struct af_buf out;
    af_buf_init(&out, 1 << 16);
    char *none[] = { "/nonexistent/program", NULL };
    AF_CHECK_FAILS(af_process_run(none, 1000, &out, &err), AF_ENOTFOUND);
    char *dir[] = { "/tmp", NULL };
    AF_CHECK_FAILS(af_process_run(dir, 1000, &out, &err), AF_EDENIED);
    AF_CHECK_FAILS(run(&out, 10000, "exit 3"), AF_EIO);
    AF_CHECK(strstr(err.message, "status 3") != NULL);
    AF_CHECK_FAILS(run(&out, 10000, "kill -9 $$"), AF_EIO);
    AF_CHECK(strstr(err.message, "signal 9") != NULL);
    af_buf_done(&out);
}

AF_TEST(a_program_that_never_ends_is_stopped)
{
    static const char *const scripts[] = { "exec sleep 100", "exec >&-; exec sleep 100" }; /* with its output open, and closed */
    struct af_buf out;
    af_buf_init(&out, 1 << 16);
    for (size_t i = 0; i < 2; i++) {
        int64_t begun_ns = af_clock_mono_ns();
        AF_CHECK_FAILS(run(&out, 300, scripts[i]), AF_EIO);
        AF_CHECK(strstr(err.message, "in time") != NULL && af_clock_mono_ns() - begun_ns < INT64_C(5000000000));
    }
    af_buf_done(&out);
}

AF_TEST(a_program_that_prints_without_end_is_stopped)
{
    struct af_buf out;
    af_buf_init(&out, 100000);
    AF_CHECK_FAILS(run(&out, 60000, "exec yes"), AF_ELIMIT);
    AF_CHECK(out.len <= 100000);
    af_buf_done(&out);
}

/* process.c - see process.h. */
#include "os/process.h"
#include "os/clock.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STEP_BYTES = 4096, LOOK_MS = 50 };

/* Until the end of its output; *out_is_late: the time was up before. */
static enum af_status read_output(int fd, int64_t end_ns, struct af_buf *out, bool *out_is_late, struct af_error *err)
{
    for (;;) {
        int64_t left_ms = (end_ns - af_clock_mono_ns()) / 1000000;
        if (left_ms <= 0) {
            *out_is_late = true;
            return AF_OK;
        }
        struct pollfd wait = { .fd = fd, .events = POLLIN };
        int ready = poll(&wait, 1, left_ms < 1000 ? (int)left_ms : 1000);
        if (ready < 0 && errno != EINTR)
            return af_fail(err, AF_EIO, "cannot wait for a program's output");
        if (ready <= 0)
            continue;
        char *room = af_buf_reserve(out, STEP_BYTES);
        if (room == NULL)
            return af_buf_check(out, "what a program printed", err);
        ssize_t got = read(fd, room, STEP_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return AF_OK;
        out->len += (size_t)got;
    }
}

static enum af_status end(pid_t pid, int64_t end_ns, bool is_late, const char *name, struct af_error *err)
{
    int code = 0;
    for (;;) {
        pid_t ended = waitpid(pid, &code, is_late ? 0 : WNOHANG);
        if (ended == pid)
            break;
        if (ended < 0 && errno != EINTR)
            return af_fail(err, AF_EIO, "cannot wait for %s", name);
        if (!is_late && af_clock_mono_ns() > end_ns) {
            is_late = true;
            (void)kill(pid, SIGKILL);
        } else if (!is_late) {
            af_clock_sleep_ms(LOOK_MS / 10);
        }
    }
    if (is_late)
        return af_fail(err, AF_EIO, "%s did not end in time and was stopped", name);
    if (WIFEXITED(code) && WEXITSTATUS(code) == 127)
        return af_fail(err, AF_ENOTFOUND, "%s: there is no such program", name);
    if (!WIFEXITED(code) || WEXITSTATUS(code) != 0)
        return af_fail(err, AF_EIO, "%s failed (%s %d)", name, WIFEXITED(code) ? "status" : "signal",
                       WIFEXITED(code) ? WEXITSTATUS(code) : WTERMSIG(code));
    return AF_OK;
}

enum af_status af_process_run(char *const *argv, uint32_t timeout_ms, struct af_buf *out, struct af_error *err)
{
    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how;
    sigset_t none, usual;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return af_fail(err, AF_EIO, "cannot make a pipe");
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&how);
    (void)sigemptyset(&none);
    (void)posix_spawnattr_setsigmask(&how, &none);
    (void)sigemptyset(&usual);
    (void)sigaddset(&usual, SIGPIPE); /* which we ignore, and most programs do not expect to */
    (void)posix_spawnattr_setsigdefault(&how, &usual);
    (void)posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    int failed = posix_spawnp(&pid, argv[0], &actions, &how, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)posix_spawnattr_destroy(&how);
    (void)close(ends[1]);
    enum af_status status = AF_OK;
    if (failed != 0) {
        status = af_fail(err, failed == ENOENT ? AF_ENOTFOUND : failed == EACCES ? AF_EDENIED : AF_EIO, "cannot run %s", argv[0]);
    } else {
        int64_t end_ns = af_clock_mono_ns() + (int64_t)timeout_ms * 1000000;
        bool is_late = false;
        struct af_error why;
        enum af_status read_status = read_output(ends[0], end_ns, out, &is_late, err);
        if (is_late || read_status != AF_OK)
            (void)kill(pid, SIGKILL);
        status = end(pid, end_ns, is_late || read_status != AF_OK, argv[0], read_status == AF_OK ? err : &why);
        if (read_status != AF_OK)
            status = read_status;
    }
    (void)close(ends[0]);
    return status;
}

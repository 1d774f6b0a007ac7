/*
 * clock.c - time, randomness, interruption, the terminal; see clock.h.
 *
 * The interruption flag is written by the signal handler and read from any thread, always through __atomic builtins: it is a
 * plain bool so that af_interrupt_flag can be handed out wherever a `const bool *cancel` is asked for.
 */
#include "os/clock.h"
#include "base/calendar.h"
#include "base/prng.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts = { 0 };
    (void)clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * AF_NS_PER_S + ts.tv_nsec;
}

int64_t af_clock_now_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

int64_t af_clock_mono_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void af_clock_sleep_ms(uint32_t ms)
{
    struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
}

/* A kernel without getrandom: the clock and the process id are what is left, enough for ids and jitter. */
static void random_fallback(unsigned char *dst, size_t len)
{
    struct af_prng prng = { (uint64_t)af_clock_now_ns() ^ (uint64_t)getpid() << 40 };
    for (size_t i = 0; i < len; i++)
        dst[i] = (unsigned char)af_prng_next(&prng);
}

void af_random_bytes(void *dst, size_t len)
{
    unsigned char *at = dst;
    while (len > 0) {
        ssize_t n = getrandom(at, len, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            random_fallback(at, len);
            return;
        }
        at += n;
        len -= (size_t)n;
    }
}

static bool interrupted;
static sig_atomic_t sigints;

static void on_signal(int sig)
{
    __atomic_store_n(&interrupted, true, __ATOMIC_RELAXED);
    if (sig == SIGINT && sigints++ > 0) {
        (void)signal(SIGINT, SIG_DFL);
        (void)raise(SIGINT); /* delivered when this handler returns */
    }
}

void af_interrupt_install(void)
{
    struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART: a read of the terminal must wake up */
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

bool af_interrupted(void)
{
    return __atomic_load_n(&interrupted, __ATOMIC_RELAXED);
}

const bool *af_interrupt_flag(void)
{
    return &interrupted;
}

bool af_reader_is_gone(int fd)
{
    struct pollfd poll_fd = { .fd = fd, .events = POLLOUT };
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLERR) != 0;
}

void af_end_by_sigpipe(void)
{
    sigset_t all;
    (void)signal(SIGPIPE, SIG_DFL);
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_UNBLOCK, &all, NULL);
    (void)raise(SIGPIPE);
    _exit(128 + SIGPIPE);
}

bool af_tty_is(int fd)
{
    return isatty(fd) == 1;
}

unsigned af_tty_columns(int fd)
{
    struct winsize size = { 0 };
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

uint64_t af_memory_peak(void)
{
    struct rusage usage;
    memset(&usage, 0, sizeof usage);
    (void)getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_maxrss * 1024;
}

void af_memory_huge(void *at, size_t bytes)
{
    (void)madvise(at, bytes, MADV_HUGEPAGE);
}

uint64_t af_descriptors_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return UINT64_MAX;
    return limit.rlim_cur;
}

void af_descriptors_raise(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* refused: it stays as it was, which is no failure */
}

/*
 * test_main.c - runs the registered unit tests, each in a child process with a time limit.
 *
 *     unit [-v] [substring of "file:test" ...]
 *
 * Last line: "N passed, N failed". AF_TEST_NOFORK=1 runs in this process, for a debugger.
 */
#include "test/lib/test.h"
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TESTS_MAX = 4096, SECONDS_MAX = 300 };

struct test {
    const char *file;
    const char *name;
    void (*fn)(void);
};

static struct test tests[TESTS_MAX];
static size_t test_count;
static char dir[256];

void af_test_register(const char *file, const char *name, void (*fn)(void))
{
    if (test_count == TESTS_MAX)
        abort();
    tests[test_count++] = (struct test){ file, name, fn };
}

void af_test_failed(const char *file, int line, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(NULL);
    _exit(1);
}

const char *af_test_dir(void)
{
    if (dir[0] == '\0') {
        const char *base = getenv("TMPDIR");
        snprintf(dir, sizeof dir, "%.200s/afluxo-test-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");
        if (mkdtemp(dir) == NULL)
            abort();
    }
    return dir;
}

static void remove_dir(pid_t pid)
{
    (void)pid;
    if (dir[0] == '\0')
        return;
    char command[sizeof dir + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    if (system(command) != 0)
        fprintf(stderr, "could not remove %s\n", dir);
    dir[0] = '\0';
}

static bool wanted(const struct test *test, int argc, char **argv)
{
    char full[512];
    snprintf(full, sizeof full, "%s:%s", test->file, test->name);
    bool any = false;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-')
            continue;
        any = true;
        if (strstr(full, argv[i]) != NULL)
            return true;
    }
    return !any;
}

static bool run(const struct test *test)
{
    af_test_dir();
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        if (getenv("AFLUXO_SIM_COUNT") == NULL) /* asked for: it takes what it takes */
            alarm(SECONDS_MAX);
        test->fn();
        fflush(NULL);
        exit(0); /* not _exit: LeakSanitizer reports at exit */
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    remove_dir(pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFSIGNALED(status))
        fprintf(stderr, "%s: %s: signal %d (%s)\n", test->file, test->name, WTERMSIG(status),
                strsignal(WTERMSIG(status)));
    return false;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    size_t passed = 0;
    size_t failed = 0;
    for (size_t i = 0; i < test_count; i++) {
        if (!wanted(&tests[i], argc, argv))
            continue;
        if (getenv("AF_TEST_NOFORK") != NULL) {
            tests[i].fn();
            passed++;
            continue;
        }
        if (run(&tests[i])) {
            passed++;
            if (verbose)
                printf("ok   %s: %s\n", tests[i].file, tests[i].name);
        } else {
            failed++;
            printf("FAIL %s: %s\n", tests[i].file, tests[i].name);
        }
        fflush(stdout);
    }
    remove_dir(0);
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed != 0;
}

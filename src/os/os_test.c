/* os_test.c - files, directories, threads, the clock. */
#include "base/alloc.h"
#include "os/clock.h"
#include "os/fault.h"
#include "os/file.h"
#include "os/thread.h"
#include "test/lib/test.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct af_error err;

static const char *in_dir(const char *name)
{
    static char paths[8][256];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", af_test_dir(), name);
    return path;
}

static void put(const char *path, const char *text)
{
    AF_CHECK_OK(af_file_write_atomic(path, af_slice_of(text), false, &err), err);
}

static void check_content(const char *path, const char *want)
{
    struct af_buf buf;
    af_buf_init(&buf, 1 << 20);
    AF_CHECK_OK(af_file_read_all(path, &buf, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&buf), want);
    af_buf_done(&buf);
}

static bool says(const char *part)
{
    return strstr(err.message, part) != NULL;
}

AF_TEST(reader_reads_ranges_and_refuses_what_is_no_file)
{
    const char *path = in_dir("a");
    put(path, "0123456789");
    struct af_reader *reader;
    AF_CHECK_OK(af_file_reader_open(path, &reader, &err), err);
    AF_CHECK_INT(reader->size, 10);
    AF_CHECK_STR(reader->name, path);
    char got[10];
    AF_CHECK_OK(af_reader_read(reader, 3, got, 7, &err), err);
    AF_CHECK(memcmp(got, "3456789", 7) == 0);
    AF_CHECK(truncate(path, 5) == 0);
    AF_CHECK_FAILS(af_reader_read(reader, 3, got, 7, &err), AF_ECORRUPT);
    af_os_fault(AF_OS_READ, 1, 1, EIO);
    AF_CHECK_FAILS(af_reader_read(reader, 0, got, 5, &err), AF_EIO);
    AF_CHECK(says(path) && says("Input/output error"));
    AF_CHECK_OK(af_reader_read(reader, 0, got, 5, &err), err);
    af_reader_close(reader);

    AF_CHECK_FAILS(af_file_reader_open(af_test_dir(), &reader, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_file_reader_open(in_dir("absent"), &reader, &err), AF_ENOTFOUND);
    AF_CHECK(says("absent") && says("No such file"));
    AF_CHECK(mkfifo(in_dir("fifo"), 0600) == 0);
    AF_CHECK_FAILS(af_file_reader_open(in_dir("fifo"), &reader, &err), AF_EINVAL);
}

AF_TEST(read_all_stops_at_the_ceiling_and_leaves_the_buffer)
{
    put(in_dir("a"), "0123456789");
    struct af_buf buf;
    af_buf_init(&buf, 12);
    af_buf_append_str(&buf, "ab");
    AF_CHECK_OK(af_file_read_all(in_dir("a"), &buf, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&buf), "ab0123456789");
    af_buf_rewind(&buf, 3);
    AF_CHECK_FAILS(af_file_read_all(in_dir("a"), &buf, &err), AF_ELIMIT);
    AF_CHECK_SLICE(af_buf_slice(&buf), "ab0");
    AF_CHECK_FAILS(af_file_read_all(af_test_dir(), &buf, &err), AF_EINVAL);
    af_buf_done(&buf);
}

AF_TEST(input_reads_standard_input)
{
    int ends[2];
    AF_CHECK(pipe(ends) == 0);
    AF_CHECK(write(ends[1], "hello", 5) == 5);
    close(ends[1]);
    AF_CHECK(dup2(ends[0], 0) == 0);
    close(ends[0]);
    check_content("-", "hello");
}

AF_TEST(file_grows_and_is_cut)
{
    struct af_file *file;
    AF_CHECK_OK(af_file_open(in_dir("f"), AF_FILE_NEW, &file, &err), err);
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("one two"), &err), err);
    AF_CHECK_OK(af_file_sync(file, &err), err);
    AF_CHECK_INT(af_file_size(file), 7);
    AF_CHECK_OK(af_file_truncate(file, 3, &err), err);
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("!"), &err), err);
    char got[3];
    AF_CHECK_OK(af_file_pread(file, 1, got, 3, &err), err);
    AF_CHECK(memcmp(got, "ne!", 3) == 0);
    AF_CHECK_FAILS(af_file_pread(file, 2, got, 3, &err), AF_ECORRUPT);
    af_file_close(file);
    AF_CHECK_FAILS(af_file_open(in_dir("f"), AF_FILE_NEW, &file, &err), AF_ECONFLICT);
    AF_CHECK_OK(af_file_open(in_dir("f"), AF_FILE_APPEND, &file, &err), err);
    AF_CHECK_INT(af_file_size(file), 4);
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("?"), &err), err);
    af_file_close(file);
    check_content(in_dir("f"), "one!?");
    AF_CHECK_OK(af_file_open(in_dir("f"), AF_FILE_TRUNCATE, &file, &err), err);
    AF_CHECK_INT(af_file_size(file), 0);
    af_file_close(file);
    af_file_close(NULL);
}

AF_TEST(a_failed_write_leaves_no_half_record)
{
    struct af_file *file;
    AF_CHECK_OK(af_file_open(in_dir("f"), AF_FILE_NEW, &file, &err), err);
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("first\n"), &err), err);
    af_os_fault(AF_OS_WRITE, 1, 1, ENOSPC);
    AF_CHECK_FAILS(af_file_write(file, AF_SLICE_LIT("second, long\n"), &err), AF_EFULL);
    AF_CHECK(says("No space left") && says(in_dir("f")));
    AF_CHECK_INT(af_file_size(file), 6);
    check_content(in_dir("f"), "first\n");
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("third\n"), &err), err);
    af_file_close(file);
    check_content(in_dir("f"), "first\nthird\n");
}

AF_TEST(a_failed_fsync_is_final)
{
    struct af_file *file;
    AF_CHECK_OK(af_file_open(in_dir("f"), AF_FILE_NEW, &file, &err), err);
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("x"), &err), err);
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK_FAILS(af_file_sync(file, &err), AF_EIO);
    AF_CHECK_FAILS(af_file_sync(file, &err), AF_EIO);
    AF_CHECK(says("earlier fsync failed"));
    AF_CHECK_FAILS(af_file_write(file, AF_SLICE_LIT("y"), &err), AF_EIO);
    AF_CHECK_FAILS(af_file_truncate(file, 0, &err), AF_EIO);
    AF_CHECK_FAILS(af_file_sync(file, NULL), AF_EIO);
    af_file_close(file);
}

AF_TEST(rewriting_changes_nothing)
{
    struct af_file *file;
    struct af_buf want;
    af_buf_init(&want, 1 << 20);
    for (int i = 0; i < 30000; i++) /* more than one step */
        af_buf_printf(&want, "%d,", i);
    AF_CHECK_OK(af_file_open(in_dir("f"), AF_FILE_NEW, &file, &err), err);
    AF_CHECK_OK(af_file_write(file, af_buf_slice(&want), &err), err);
    AF_CHECK_OK(af_file_rewrite(file, 0, &err), err);
    AF_CHECK_OK(af_file_rewrite(file, 70001, &err), err);
    AF_CHECK_OK(af_file_rewrite(file, af_file_size(file), &err), err);
    af_os_fault(AF_OS_WRITE, 2, 1, EIO);
    AF_CHECK_FAILS(af_file_rewrite(file, 5, &err), AF_EIO);
    AF_CHECK_INT(af_file_size(file), want.len);
    AF_CHECK_OK(af_file_sync(file, &err), err);
    check_content(in_dir("f"), af_buf_cstr(&want));
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK_FAILS(af_file_sync(file, &err), AF_EIO);
    AF_CHECK_FAILS(af_file_rewrite(file, 0, &err), AF_EIO);
    af_file_close(file);
    af_buf_done(&want);
}

AF_TEST(a_full_device_is_EFULL)
{
    struct af_file *file;
    AF_CHECK_OK(af_file_open("/dev/full", AF_FILE_APPEND, &file, &err), err);
    AF_CHECK_FAILS(af_file_write(file, AF_SLICE_LIT("x"), &err), AF_EFULL);
    AF_CHECK(says("/dev/full") && says("free space"));
    AF_CHECK_OK(af_file_sync(file, &err), err);
    af_file_close(file);
}

/* A real file system of 64 KiB, in a mount namespace of this process. Without the right to mount, /dev/full above must do. */
AF_TEST(a_full_disk_is_survived)
{
    const char *dir = in_dir("small");
    AF_CHECK_OK(af_dir_make(dir, &err), err);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=64k") != 0) {
        printf("note: no right to mount a small disk, only /dev/full was tested\n");
        return;
    }
    static char block[10000];
    memset(block, 'x', sizeof block);
    struct af_slice bytes = af_slice_make(block, sizeof block);
    const char *path = in_dir("small/f");
    struct af_file *file;
    AF_CHECK_OK(af_file_open(path, AF_FILE_NEW, &file, &err), err);
    enum af_status status;
    uint64_t whole = 0;
    while ((status = af_file_write(file, bytes, &err)) == AF_OK)
        whole++;
    AF_CHECK_INT(status, AF_EFULL);
    AF_CHECK(whole >= 4 && whole < 8);
    uint64_t size;
    AF_CHECK_OK(af_path_size(path, &size, NULL, &err), err);
    AF_CHECK_INT(size, whole * sizeof block);
    AF_CHECK_FAILS(af_file_write_atomic(in_dir("small/g"), bytes, false, &err), AF_EFULL);
    AF_CHECK_INT(af_path_kind(in_dir("small/g")), AF_PATH_NONE);
    AF_CHECK_OK(af_file_truncate(file, 0, &err), err);
    AF_CHECK_OK(af_file_write(file, bytes, &err), err);
    af_file_close(file);
}

AF_TEST(write_atomic_keeps_the_old_file_when_it_fails)
{
    const char *path = in_dir("config");
    put(path, "old");
    enum af_os_call calls[] = { AF_OS_WRITE, AF_OS_SYNC, AF_OS_RENAME };
    for (size_t i = 0; i < 3; i++) {
        af_os_fault(calls[i], 1, 1, EIO);
        AF_CHECK_FAILS(af_file_write_atomic(path, AF_SLICE_LIT("new"), false, &err), AF_EIO);
        check_content(path, "old");
    }
    AF_CHECK_OK(af_file_write_atomic(path, AF_SLICE_LIT("secret"), true, &err), err);
    check_content(path, "secret");
    struct stat st;
    AF_CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    AF_CHECK_FAILS(af_file_write_atomic(in_dir("no/such"), AF_SLICE_LIT("x"), false, &err), AF_ENOTFOUND);
}

static enum af_status collect(void *ctx, const char *path, struct af_error *error)
{
    struct af_buf *buf = ctx;
    (void)error;
    const char *dir = af_test_dir();
    af_buf_append_str(buf, path + strlen(dir) + 1);
    af_buf_append_char(buf, ' ');
    return AF_OK;
}

static enum af_status refuse(void *ctx, const char *path, struct af_error *error)
{
    ++*(int *)ctx;
    return af_fail(error, AF_ELIMIT, "no more than %s", path);
}

AF_TEST(only_one_temporary_file_lives_beside_the_target)
{
    put(in_dir("config"), "x");
    struct af_buf buf;
    af_buf_init(&buf, 4096);
    AF_CHECK_OK(af_dir_list(af_test_dir(), collect, &buf, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&buf), "config ");
    af_buf_done(&buf);
}

AF_TEST(walk_is_sorted_and_skips_hidden_names)
{
    AF_CHECK_OK(af_dir_make(in_dir("t/b/deep/er/"), &err), err);
    AF_CHECK_OK(af_dir_make(in_dir("t/_temporary"), &err), err);
    AF_CHECK_OK(af_dir_make(in_dir("t//b"), &err), err);
    AF_CHECK_OK(af_dir_make_private(in_dir("t/own"), &err), err);
    AF_CHECK_FAILS(af_dir_make_private(in_dir("t/own"), &err), AF_ECONFLICT);
    AF_CHECK_FAILS(af_dir_make_private(in_dir("t/absent/own"), &err), AF_ENOTFOUND);
    const char *names[] = { "t/c", "t/a", "t/B", "t/b/x", "t/b/deep/er/y", "t/_SUCCESS", "t/.crc", "t/_temporary/z" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put(in_dir(names[i]), "");
    AF_CHECK(symlink(in_dir("t/a"), in_dir("t/link")) == 0);
    AF_CHECK(symlink(in_dir("t/b"), in_dir("t/loop")) == 0);
    AF_CHECK(symlink("/nowhere/at/all", in_dir("t/dangling")) == 0);
    struct af_buf buf;
    af_buf_init(&buf, 4096);
    AF_CHECK_OK(af_dir_walk(in_dir("t"), collect, &buf, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&buf), "t/B t/a t/b/deep/er/y t/b/x t/c t/link ");
    af_buf_clear(&buf);
    AF_CHECK_OK(af_dir_list(in_dir("t"), collect, &buf, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&buf), "t/.crc t/B t/_SUCCESS t/a t/c t/link ");
    af_buf_clear(&buf);
    AF_CHECK_OK(af_dir_glob(in_dir("t/[a-c]"), collect, &buf, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&buf), "t/a t/c ");
    AF_CHECK_FAILS(af_dir_glob(in_dir("t/*.parquet"), collect, &buf, &err), AF_ENOTFOUND);
    AF_CHECK_FAILS(af_dir_walk(in_dir("t/a"), collect, &buf, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_dir_walk(in_dir("none"), collect, &buf, &err), AF_ENOTFOUND);
    int calls = 0;
    AF_CHECK_FAILS(af_dir_walk(in_dir("t"), refuse, &calls, &err), AF_ELIMIT);
    AF_CHECK_INT(calls, 1);
    af_buf_done(&buf);
}

AF_TEST(walk_survives_every_failed_allocation)
{
    AF_CHECK_OK(af_dir_make(in_dir("t/b"), &err), err);
    put(in_dir("t/b/x"), "");
    put(in_dir("t/a"), "");
    struct af_buf buf;
    af_buf_init(&buf, 4096);
    enum af_status status = AF_ENOMEM;
    size_t failures = 0;
    for (size_t n = 1; status != AF_OK && n < 100; n++) {
        af_buf_clear(&buf);
        af_alloc_fail_nth(n);
        status = af_dir_walk(in_dir("t"), collect, &buf, &err);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        failures += status != AF_OK;
        if (buf.failed) /* it was collect's own */
            status = AF_ENOMEM;
    }
    AF_CHECK_SLICE(af_buf_slice(&buf), "t/a t/b/x ");
    AF_CHECK(failures >= 4);
    af_buf_done(&buf);
}

AF_TEST(opening_survives_every_failed_allocation)
{
    put(in_dir("a"), "x");
    for (size_t n = 1; n < 3; n++) {
        struct af_file *file = NULL;
        struct af_reader *reader = NULL;
        af_alloc_fail_nth(1);
        AF_CHECK_FAILS(af_file_open(in_dir("a"), AF_FILE_APPEND, &file, &err), AF_ENOMEM);
        af_alloc_fail_nth(1);
        AF_CHECK_FAILS(af_file_reader_open(in_dir("a"), &reader, &err), AF_ENOMEM);
        af_alloc_fail_nth(n);
        AF_CHECK_FAILS(af_file_open_scratch(af_test_dir(), &file, &err), AF_ENOMEM);
        af_alloc_fail_nth(n);
        AF_CHECK_FAILS(af_file_write_atomic(in_dir("a"), AF_SLICE_LIT("y"), false, &err), AF_ENOMEM);
        af_alloc_fail_nth(0);
        AF_CHECK(file == NULL && reader == NULL);
    }
    check_content(in_dir("a"), "x");
}

AF_TEST(paths_are_made_renamed_and_removed)
{
    put(in_dir("a"), "x");
    AF_CHECK_INT(af_path_kind(in_dir("a")), AF_PATH_FILE);
    AF_CHECK_INT(af_path_kind(af_test_dir()), AF_PATH_DIR);
    AF_CHECK_INT(af_path_kind("/dev/null"), AF_PATH_OTHER);
    AF_CHECK_INT(af_path_kind(in_dir("b")), AF_PATH_NONE);
    AF_CHECK_FAILS(af_dir_make(in_dir("a/b"), &err), AF_ECONFLICT);
    AF_CHECK_OK(af_path_rename(in_dir("a"), in_dir("b"), &err), err);
    AF_CHECK_FAILS(af_path_rename(in_dir("a"), in_dir("b"), &err), AF_ENOTFOUND);
    uint64_t size;
    int64_t mtime;
    AF_CHECK_OK(af_path_size(in_dir("b"), &size, &mtime, &err), err);
    AF_CHECK_INT(size, 1);
    AF_CHECK(llabs(mtime - af_clock_now_ns()) < INT64_C(60000000000));
    AF_CHECK_OK(af_path_remove(in_dir("b"), &err), err);
    AF_CHECK_OK(af_path_remove(in_dir("b"), &err), err);
    AF_CHECK_OK(af_dir_sync(af_test_dir(), &err), err);
}

AF_TEST(denied_paths_say_so)
{
    if (geteuid() == 0)
        AF_CHECK(seteuid(65534) == 0); /* root is never denied */
    struct af_file *file;
    AF_CHECK_FAILS(af_file_open("/etc/shadow", AF_FILE_APPEND, &file, &err), AF_EDENIED);
    AF_CHECK(says("/etc/shadow") && says("Permission denied") && says("permissions"));
    AF_CHECK_FAILS(af_dir_make("/root/x/y", &err), AF_EDENIED);
    if (getuid() == 0)
        AF_CHECK(seteuid(0) == 0); /* LeakSanitizer wants to trace this process when it ends */
}

AF_TEST(scratch_files_have_no_name)
{
    struct af_file *file;
    AF_CHECK_OK(af_file_open_scratch(af_test_dir(), &file, &err), err);
    AF_CHECK_OK(af_file_write(file, AF_SLICE_LIT("abcdef"), &err), err);
    char got[3];
    AF_CHECK_OK(af_file_pread(file, 2, got, 3, &err), err);
    AF_CHECK(memcmp(got, "cde", 3) == 0);
    struct af_buf buf;
    af_buf_init(&buf, 4096);
    AF_CHECK_OK(af_dir_list(af_test_dir(), collect, &buf, &err), err);
    AF_CHECK_INT(buf.len, 0);
    af_buf_done(&buf);
    af_file_close(file);
    AF_CHECK_FAILS(af_file_open_scratch(in_dir("none"), &file, &err), AF_ENOTFOUND);
}

AF_TEST(a_lock_has_one_owner_and_dies_with_it)
{
    const char *path = in_dir("lock");
    int ready[2];
    AF_CHECK(pipe(ready) == 0);
    pid_t pid = fork();
    AF_CHECK(pid >= 0);
    if (pid == 0) {
        struct af_file *mine;
        AF_CHECK_OK(af_file_lock(path, &mine, &err), err);
        AF_CHECK(write(ready[1], "x", 1) == 1);
        pause();
        _exit(0);
    }
    char c;
    AF_CHECK(read(ready[0], &c, 1) == 1);
    struct af_file *lock = NULL;
    AF_CHECK_FAILS(af_file_lock(path, &lock, &err), AF_EBUSY);
    char want[32];
    snprintf(want, sizeof want, "process %d;", (int)pid);
    AF_CHECK(says(want) && says(path));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    AF_CHECK_OK(af_file_lock(path, &lock, &err), err);
    struct af_file *second;
    AF_CHECK_FAILS(af_file_lock(path, &second, &err), AF_EBUSY);
    af_file_close(lock);
    AF_CHECK_OK(af_file_lock(path, &second, &err), err);
    af_file_close(second);
}

struct counter {
    struct af_mutex mutex;
    struct af_cond cond;
    int count;
    bool is_blocked;
};

static void count_up(void *ctx)
{
    struct counter *counter = ctx;
    sigset_t set;
    sigemptyset(&set);
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    for (int i = 0; i < 1000; i++) {
        af_mutex_lock(&counter->mutex);
        counter->count++;
        counter->is_blocked = sigismember(&set, SIGINT) == 1;
        af_cond_signal(&counter->cond);
        af_mutex_unlock(&counter->mutex);
    }
}

AF_TEST(threads_count_together)
{
    struct counter counter = { .count = 0 };
    af_mutex_init(&counter.mutex);
    af_cond_init(&counter.cond);
    struct af_thread threads[4] = { 0 };
    for (int i = 0; i < 4; i++)
        AF_CHECK_OK(af_thread_start(&threads[i], "a name longer than 15", count_up, &counter, &err), err);
    af_mutex_lock(&counter.mutex);
    while (counter.count < 4000)
        af_cond_wait(&counter.cond, &counter.mutex);
    int64_t start = af_clock_mono_ns();
    AF_CHECK(!af_cond_wait_until(&counter.cond, &counter.mutex, start + 20000000));
    AF_CHECK(af_clock_mono_ns() - start >= 20000000);
    af_mutex_unlock(&counter.mutex);
    for (int i = 0; i < 4; i++) {
        af_thread_join(&threads[i]);
        af_thread_join(&threads[i]);
    }
    AF_CHECK(counter.is_blocked);
    af_alloc_fail_nth(1);
    AF_CHECK_FAILS(af_thread_start(&threads[0], "x", count_up, &counter, &err), AF_ENOMEM);
    af_cond_done(&counter.cond);
    af_mutex_done(&counter.mutex);
    AF_CHECK(af_cpu_count() >= 1);
}

AF_TEST(interrupts_set_a_flag_first)
{
    af_interrupt_install();
    AF_CHECK(!af_interrupted());
    raise(SIGTERM);
    AF_CHECK(af_interrupted());
    AF_CHECK(*af_interrupt_flag());
    raise(SIGINT);
    pid_t pid = fork();
    if (pid == 0) {
        raise(SIGINT); /* the second ends it */
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    AF_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
}

static void read_silent_pipe(void *ctx)
{
    struct af_file_input *in;
    char byte;
    size_t got;
    AF_CHECK_OK(af_file_input_open(ctx, &in, &err), err);
    AF_CHECK(!af_file_input_is_ready(in));
    AF_CHECK_FAILS(af_file_input_read(in, &byte, 1, &got, &err), AF_ECANCELED);
    af_file_input_close(in);
}

/* Threads block signals: the one that waits for a pipe is not the one that gets the signal. */
AF_TEST(an_interrupt_ends_the_wait_for_a_pipe_in_another_thread)
{
    char path[256];
    snprintf(path, sizeof path, "%s/fifo", af_test_dir());
    AF_CHECK(mkfifo(path, 0600) == 0);
    af_interrupt_install();
    struct af_thread thread;
    AF_CHECK_OK(af_thread_start(&thread, "reader", read_silent_pipe, path, &err), err);
    af_clock_sleep_ms(50);
    raise(SIGTERM);
    af_thread_join(&thread);
}

AF_TEST(a_fifo_is_read_to_its_end_even_when_the_writer_is_late)
{
    char path[256];
    snprintf(path, sizeof path, "%s/fifo", af_test_dir());
    AF_CHECK(mkfifo(path, 0600) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        af_clock_sleep_ms(50);
        int fd = open(path, O_WRONLY);
        _exit(write(fd, "abc", 3) == 3 ? 0 : 1);
    }
    struct af_buf text;
    af_buf_init(&text, 100);
    AF_CHECK_OK(af_file_read_all(path, &text, &err), err);
    AF_CHECK_SLICE(af_buf_slice(&text), "abc");
    af_buf_done(&text);
    waitpid(pid, NULL, 0);
}

AF_TEST(surroundings_answer)
{
    unsigned char a[16] = { 0 };
    unsigned char b[16] = { 0 };
    af_random_bytes(a, sizeof a);
    af_random_bytes(b, sizeof b);
    AF_CHECK(memcmp(a, b, sizeof a) != 0);
    AF_CHECK(af_clock_now_ns() > INT64_C(1700000000000000000));
    int64_t start = af_clock_mono_ns();
    af_clock_sleep_ms(5);
    AF_CHECK(af_clock_mono_ns() - start >= 5000000);
    AF_CHECK(af_memory_peak() > 1 << 20);
    AF_CHECK(!af_tty_is(-1));
    AF_CHECK_INT(af_tty_columns(-1), 80);
}

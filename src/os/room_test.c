/* room_test.c - what is left, and who holds a lock. */
#include "os/room.h"
#include "os/file.h"
#include "test/lib/test.h"
#include <stdio.h>
#include <unistd.h>

static const char MACHINE[] = "MemTotal:       16384 kB\nMemFree:  1 kB\nMemAvailable:    8192 kB\nHugePages_Total:       0\n";

AF_TEST(memory_is_the_machines_or_the_groups)
{
    static const struct {
        const char *limit, *used;
        uint64_t available, all;
        bool is_grouped;
    } rows[] = {
        { "", "", 8192 << 10, 16384 << 10, false },
        { "max\n", "100\n", 8192 << 10, 16384 << 10, false },
        { "9223372036854771712\n", "100\n", 8192 << 10, 16384 << 10, false }, /* version 1's word for none */
        { "4194304\n", "1048576\n", 3 << 20, 4 << 20, true },
        { "4194304\n", "5000000\n", 0, 4 << 20, true },
        { "16000000\n", "0\n", 8192 << 10, 16000000, true }, /* the machine has less than the group might */
        { "nonsense", "1", 8192 << 10, 16384 << 10, false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct af_memory_room room;
        AF_CHECK(af_memory_room_of(af_slice_of(MACHINE), af_slice_of(rows[i].limit), af_slice_of(rows[i].used), &room));
        AF_CHECK_INT(room.available, rows[i].available);
        AF_CHECK_INT(room.all, rows[i].all);
        AF_CHECK_INT(room.is_grouped, rows[i].is_grouped);
    }
}

AF_TEST(memory_that_is_not_told)
{
    static const char *const texts[] = { "", "MemTotal: 1 kB\n", "MemTotal: x kB\nMemAvailable: 1 kB\n", "MemAvailable: 3 kB",
                                         "MemTotal: 18446744073709551615 kB\nMemAvailable: 1 kB\n" };
    struct af_memory_room room;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        AF_CHECK(!af_memory_room_of(af_slice_of(texts[i]), AF_SLICE_LIT(""), AF_SLICE_LIT(""), &room));
    AF_CHECK_FAILS(af_memory_room(&room, NULL), AF_OK);
    AF_CHECK(room.all > 0 && room.available <= room.all);
}

AF_TEST(room_of_paths_that_are_not_there_yet)
{
    char path[4096];
    struct af_room here, above;
    struct af_error err = { 0 };
    AF_CHECK_OK(af_path_room(af_test_dir(), &here, &err), err);
    AF_CHECK(here.bytes_all > 0 && here.bytes_free <= here.bytes_all);
    (void)snprintf(path, sizeof path, "%s/not/yet/made", af_test_dir());
    AF_CHECK_OK(af_path_room(path, &above, &err), err);
    AF_CHECK_INT(above.bytes_all, here.bytes_all);
    AF_CHECK_OK(af_path_room("no-such-name", &here, &err), err);
    AF_CHECK_OK(af_path_room("/no/such/name", &here, &err), err);
    AF_CHECK_OK(af_path_room("", &here, &err), err);
    AF_CHECK(af_path_kind(path) == AF_PATH_NONE);
    AF_CHECK(af_descriptors_hard() > 0);
}

AF_TEST(a_look_at_a_lock_takes_nothing)
{
    char path[4096];
    struct af_error err = { 0 };
    struct af_file *lock;
    bool is_held = true;
    int64_t pid = 1;
    (void)snprintf(path, sizeof path, "%s/LOCK", af_test_dir());
    AF_CHECK_OK(af_file_lock_look(path, &is_held, &pid, &err), err);
    AF_CHECK(!is_held && pid == 0 && af_path_kind(path) == AF_PATH_NONE);
    AF_CHECK_OK(af_file_lock(path, &lock, &err), err);
    AF_CHECK_OK(af_file_lock_look(path, &is_held, &pid, &err), err);
    AF_CHECK(is_held);
    AF_CHECK_INT(pid, getpid());
    af_file_close(lock);
    AF_CHECK_OK(af_file_lock_look(path, &is_held, &pid, &err), err);
    AF_CHECK(!is_held);
    AF_CHECK_OK(af_file_lock(path, &lock, &err), err);
    af_file_close(lock);
}

/*
 * crash_disk.h - what could be left on disk if the power went away: records every change below a directory (os/observe.h) and builds, for
 * any moment, one of the many states that a file system may show after a crash then.
 *
 *     crash_disk_start(disk, "/dev/shm/x")  ...the program works in that directory...  crash_disk_stop(disk)
 *     for many (moment, seed):  crash_disk_build(disk, moment, seed, "/dev/shm/y"); open what is in y and look
 *
 * What a crash may do here: of the writes and cuts of a file since its last fsync any subset is there, each whole, in part (512-byte
 * sectors) or not at all, applied in their order; of the changes of names in a directory (made, renamed, linked, removed) since that
 * directory's
 * last fsync any subset is there. A directory whose own name is lost is lost with all in it. An fsync of a file promises its bytes, not
 * its name. That is more than common file systems do, and no less than POSIX allows.
 */
#ifndef AF_TEST_CRASH_DISK_H
#define AF_TEST_CRASH_DISK_H
#include <stddef.h>
#include <stdint.h>

struct crash_disk;
struct crash_disk *crash_disk_new(const char *root); /* begins to record; `root` is empty or not there yet */
void crash_disk_free(struct crash_disk *disk);       /* stops recording */
void crash_disk_stop(struct crash_disk *disk);
/* How many changes have been made so far: a moment. */
size_t crash_disk_moment(const struct crash_disk *disk);
/* Rebuild `to` (emptied first) as it could be after a crash at `moment`. The same seed gives the same state. */
void crash_disk_build(const struct crash_disk *disk, size_t moment, uint64_t seed, const char *to);
#endif

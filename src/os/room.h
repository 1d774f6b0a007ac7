/*
 * room.h - how much is left: of disks, memory and open files; and who holds a lock. Looks only: nothing is made, changed or taken for
 * longer than the look.
 */
#ifndef AF_OS_ROOM_H
#define AF_OS_ROOM_H
#include "base/error.h"
#include "base/slice.h"

struct af_room {
    uint64_t bytes_free, bytes_all;    /* free: to users that are not root */
    uint64_t inodes_free, inodes_all;  /* all 0: the file system does not count them */
};
/* Of the file system that holds `path`, or would: the nearest directory above that is there is looked at. */
AF_MUST_CHECK enum af_status af_path_room(const char *path, struct af_room *out, struct af_error *err);

struct af_memory_room {
    uint64_t available, all;           /* the least of the machine's and the control group's; bytes */
    bool is_grouped;                   /* it is a control group (a container) that limits it */
};
AF_MUST_CHECK enum af_status af_memory_room(struct af_memory_room *out, struct af_error *err);
/* For tests: the numbers from the texts of /proc/meminfo, of a group's limit ("max": none) and its use. False: they are no such texts. */
bool af_memory_room_of(struct af_slice meminfo, struct af_slice limit, struct af_slice used, struct af_memory_room *out);

uint64_t af_descriptors_hard(void);    /* what af_descriptors_raise could reach */

/* Does a process hold the lock of af_file_lock at `path`? *out_pid: what it wrote there, 0 if nothing. No file: nobody. */
AF_MUST_CHECK enum af_status af_file_lock_look(const char *path, bool *out_is_held, int64_t *out_pid, struct af_error *err);
#endif

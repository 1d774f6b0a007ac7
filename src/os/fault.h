/*
 * fault.h - failing system calls on purpose, for tests: the disk that fills up, the fsync that fails.
 *
 *     af_os_fault(AF_OS_WRITE, 3, 1, ENOSPC);   the third write from now fails once
 *     af_os_fault(AF_OS_SYNC, 1, UINT64_MAX, EIO); every sync fails from now on
 *
 * Counted over the whole process, whatever the thread. A failing write leaves half of its bytes in the file, as a disk
 * that fills up does. Costs one atomic load a call when unused.
 */
#ifndef AF_OS_FAULT_H
#define AF_OS_FAULT_H
#include <stddef.h>
#include <stdint.h>

enum af_os_call { AF_OS_WRITE, AF_OS_SYNC, AF_OS_READ, AF_OS_RENAME, AF_OS_CALLS };

/* The `nth` call from now (1 = the next) and the `times - 1` after it fail with errno `code`. `nth` 0 ends the experiment. */
void af_os_fault(enum af_os_call call, uint64_t nth, uint64_t times, int code);

/* For os/ itself: 0, or the errno with which this call must fail. */
int af_os_fault_due(enum af_os_call call);
#endif

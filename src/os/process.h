/*
 * process.h - another program, run for what it prints.
 */
#ifndef AF_OS_PROCESS_H
#define AF_OS_PROCESS_H
#include "base/buf.h"

/*
 * Run argv[0] (looked for in PATH, no shell) with nothing on its standard input and append what it prints to `out`; its standard error is
 * ours. AF_OK: it ended with status 0. AF_ENOTFOUND: there is no such program; AF_EIO: it failed, was killed, or took longer than
 * timeout_ms, after which it is killed; AF_ELIMIT: it printed more than `out` takes.
 */
AF_MUST_CHECK enum af_status af_process_run(char *const *argv, uint32_t timeout_ms, struct af_buf *out, struct af_error *err);
#endif

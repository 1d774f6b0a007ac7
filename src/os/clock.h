/*
 * clock.h - the time, sleeping, randomness, interruption and the terminal: what the process gets from its surroundings.
 */
#ifndef AF_OS_CLOCK_H
#define AF_OS_CLOCK_H
#include "base/error.h"

int64_t af_clock_now_ns(void);  /* UTC since 1970 */
int64_t af_clock_mono_ns(void); /* only differences mean something */
void af_clock_sleep_ms(uint32_t ms);

void af_random_bytes(void *dst, size_t len); /* from the kernel; for ids and jitter seeds */

/* SIGINT and SIGTERM set a flag instead of ending the process; the second SIGINT ends it at once. SIGPIPE is ignored. */
void af_interrupt_install(void);
bool af_interrupted(void);
/* The same flag, to be handed to calls that poll a `cancel`. */
const bool *af_interrupt_flag(void);

/* Nobody reads the pipe or socket `fd` any more. */
bool af_reader_is_gone(int fd);
/* End the process at once, as writing to such a pipe ends programs that do not ignore SIGPIPE: without a word. */
void af_end_by_sigpipe(void) __attribute__((noreturn));

bool af_tty_is(int fd);
unsigned af_tty_columns(int fd); /* 80 if unknown */

/* As many open files as the system lets this process have without asking (a server has connections and TSM files). */
void af_descriptors_raise(void);
uint64_t af_descriptors_max(void); /* as it is now */

/* Peak resident set of this process, bytes. */
uint64_t af_memory_peak(void);
/* A wish: pages of 2 MiB for these bytes (aligned to that), so that filling them costs few page faults. */
void af_memory_huge(void *at, size_t bytes);
#endif

/*
 * test.h - the unit test harness: AF_TEST(name) { ... AF_CHECK(...) ... }
 *
 * Tests register themselves; test_main.c runs each in a process of its own, so a crash is one failure, and counts. A failed
 * check prints file, line and values and ends that test.
 */
#ifndef AF_TEST_H
#define AF_TEST_H
#include "base/error.h"
#include "base/slice.h"
#include <stdint.h>
#include <string.h>

void af_test_register(const char *file, const char *name, void (*fn)(void));
void af_test_failed(const char *file, int line, const char *fmt, ...) AF_PRINTF(3, 4) __attribute__((noreturn));

/* A fresh directory for this test, removed afterwards. */
const char *af_test_dir(void);

#define AF_TEST(name)                                                                                        \
    static void name(void);                                                                                  \
    __attribute__((constructor)) static void register_##name(void)                                           \
    {                                                                                                        \
        af_test_register(__FILE__, #name, name);                                                             \
    }                                                                                                        \
    static void name(void)

#define AF_CHECK(cond)                                                                                       \
    do {                                                                                                     \
        if (!(cond))                                                                                         \
            af_test_failed(__FILE__, __LINE__, "%s", #cond);                                                 \
    } while (0)

#define AF_CHECK_INT(got, want)                                                                              \
    do {                                                                                                     \
        long long af_got = (long long)(got), af_want = (long long)(want);                                    \
        if (af_got != af_want)                                                                               \
            af_test_failed(__FILE__, __LINE__, "%s is %lld, want %lld", #got, af_got, af_want);               \
    } while (0)

#define AF_CHECK_F64(got, want)                                                                              \
    do {                                                                                                     \
        double af_got = (got), af_want = (want);                                                             \
        if (memcmp(&af_got, &af_want, sizeof af_got) != 0)                                                   \
            af_test_failed(__FILE__, __LINE__, "%s is %.17g, want %.17g", #got, af_got, af_want);             \
    } while (0)

#define AF_CHECK_SLICE(got, text)                                                                            \
    do {                                                                                                     \
        struct af_slice af_got = (got), af_want = af_slice_of(text);                                         \
        if (!af_slice_eq(af_got, af_want))                                                                   \
            af_test_failed(__FILE__, __LINE__, "%s is \"%.*s\", want \"%s\"", #got, (int)af_got.len,          \
                           af_got.ptr, af_want.ptr);                                                         \
    } while (0)

#define AF_CHECK_STR(got, text) AF_CHECK_SLICE(af_slice_of(got), text)

/* The call must succeed; shows err.message otherwise. `err` is a struct af_error. */
#define AF_CHECK_OK(call, err)                                                                               \
    do {                                                                                                     \
        enum af_status af_st = (call);                                                                       \
        if (af_st != AF_OK)                                                                                  \
            af_test_failed(__FILE__, __LINE__, "%s: %s: %s", #call, af_status_name(af_st), (err).message);    \
    } while (0)

/* The call must fail with this status. */
#define AF_CHECK_FAILS(call, want_status)                                                                    \
    do {                                                                                                     \
        enum af_status af_st = (call);                                                                       \
        if (af_st != (want_status))                                                                          \
            af_test_failed(__FILE__, __LINE__, "%s: %s, want %s", #call, af_status_name(af_st),               \
                           af_status_name(want_status));                                                     \
    } while (0)
#endif

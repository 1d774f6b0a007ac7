/*
 * regex_fuzz.c - input: a pattern, a newline, a text. What is accepted translates, matches within its limits, means the same in a group and
 * beside itself; where it names the texts it matches, it matches these and no other.
 */
#include "base/regex.h"
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 0 or 1, or -1: the limit. */
static int matches(const struct af_regex *regex, struct af_slice text)
{
    bool does = false;
    enum af_status status = af_regex_match(regex, text, &does, NULL);
    if (status != AF_OK && status != AF_ELIMIT)
        abort();
    return status == AF_OK ? (int)does : -1;
}

static void check_same(struct af_slice pattern, const char *format, struct af_slice text, int want)
{
    char other[256];
    struct af_regex *regex;
    int len = snprintf(other, sizeof other, format, (int)pattern.len, pattern.ptr, (int)pattern.len, pattern.ptr);
    enum af_status status = af_regex_new(af_slice_make(other, (size_t)len), &regex, NULL);
    if (status == AF_ELIMIT)
        return;
    if (status != AF_OK)
        abort();
    int got = matches(regex, text);
    if (got >= 0 && want >= 0 && got != want)
        abort();
    af_regex_free(regex);
}

static void check_literals(const struct af_regex *regex, struct af_slice text, int want)
{
    struct af_slice literals[16];
    size_t count = af_regex_literals(regex, literals, 16);
    bool is_one = count == 0;
    for (size_t i = 0; i < count; i++) {
        if (matches(regex, literals[i]) == 0)
            abort();
        is_one |= af_slice_eq(literals[i], text);
    }
    if (want == 1 && !is_one)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *newline = size > 0 ? memchr(data, '\n', size) : NULL;
    if (newline == NULL || newline - data > 100)
        return 0;
    struct af_slice pattern = af_slice_make(data, (size_t)(newline - data));
    struct af_slice text = af_slice_make(newline + 1, size - pattern.len - 1);
    struct af_error err = { 0 };
    struct af_regex *regex;
    enum af_status status = af_regex_new(pattern, &regex, &err);
    if (status != AF_OK) {
        if (err.message[0] == '\0' || status == AF_EBUG)
            abort();
        return 0;
    }
    int want = matches(regex, text);
    bool is_plain = memchr(pattern.ptr, '\0', pattern.len) == NULL; /* for snprintf */
    bool is_open = memmem(pattern.ptr, pattern.len, "\\Q", 2) != NULL; /* may run on past a parenthesis put behind it */
    /* Flags would go on to the second alternative, and [: finds an end there. */
    bool is_alone = memmem(pattern.ptr, pattern.len, "(?", 2) == NULL && memmem(pattern.ptr, pattern.len, "[:", 2) == NULL;
    bool is_named = memmem(pattern.ptr, pattern.len, "(?P<", 4) != NULL;
    if (is_plain && !is_open && !is_named) {
        check_same(pattern, "(?:%.*s)", text, want);
        if (is_alone)
            check_same(pattern, "%.*s|%.*s", text, want);
    }
    check_literals(regex, text, want);
    af_regex_free(regex);
    return 0;
}

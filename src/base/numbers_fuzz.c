/*
 * numbers_fuzz.c - number texts against the C library, and back.
 *
 * Whole input as a number: af_f64_parse and strtod accept the same grammar once hex, inf, nan and spaces are ruled out, and give the same
 * bits. First eight bytes as a double: printing and reading gives it back. As integers: reading and printing gives the text back.
 */
#include "base/numbers.h"
#include "base/alloc.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* `text` is NUL-terminated. */
static void check_float_text(const char *text, size_t len)
{
    double got = 0;
    bool is_number = af_f64_parse(af_slice_make(text, len), &got);
    bool is_plain = len > 0 && strspn(text, "0123456789.eE+-") == len;
    if (!is_plain) {
        must(!is_number);
        return;
    }
    char *end;
    double want = strtod(text, &end);
    must(is_number == (end == text + len && isfinite(want)));
    must(!is_number || same_bits(got, want));
    const char *scanned = af_f64_scan(text, text + len, &got);
    must(scanned == NULL || (scanned == end && same_bits(got, want)));
}

static void check_double(double value)
{
    if (!isfinite(value))
        return;
    char text[AF_F64_TEXT_MAX];
    double back;
    size_t len = (size_t)(af_f64_print(text, value) - text);
    must(len <= 25 && af_f64_parse(af_slice_make(text, len), &back) && same_bits(back, value));
}

static void check_integer_text(struct af_slice text)
{
    int64_t value;
    if (!af_i64_parse(text, &value))
        return;
    char printed[AF_I64_TEXT_MAX];
    size_t len = (size_t)(af_i64_print(printed, value) - printed);
    int64_t back;
    must(af_i64_parse(af_slice_make(printed, len), &back) && back == value);
    must(len <= text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = af_alloc(size + 1);
    if (text == NULL)
        return 0;
    if (size != 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (strlen(text) == size)
        check_float_text(text, size);
    check_integer_text(af_slice_make(text, size));
    for (size_t at = 0; at + 8 <= size && at < 64; at += 8) {
        double value;
        memcpy(&value, data + at, sizeof value);
        check_double(value);
    }
    af_free(text);
    return 0;
}

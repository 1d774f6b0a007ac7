/* predicate_test.c - keys apart and together again, and predicates against a plain reading of the same key. */
#include "data/predicate.h"
#include "base/prng.h"
#include "base/regex.h"
#include "data/points.h"
#include "test/lib/test.h"

static struct af_slice lit(const char *text)
{
    return af_slice_of(text);
}

AF_TEST(key_parts)
{
    struct af_slice key = lit("m\\,n\\ o,a\\=b=c\\,d,e=,f\\\\,g=h=i");
    AF_CHECK_SLICE(af_key_measurement_raw(key), "m\\,n\\ o");
    size_t at = 0;
    struct af_slice tag, value;
    AF_CHECK(af_key_next_tag(key, &at, &tag, &value));
    AF_CHECK_SLICE(tag, "a\\=b");
    AF_CHECK_SLICE(value, "c\\,d");
    AF_CHECK(af_key_next_tag(key, &at, &tag, &value));
    AF_CHECK_SLICE(tag, "e");
    AF_CHECK_SLICE(value, "");
    AF_CHECK(af_key_next_tag(key, &at, &tag, &value));
    AF_CHECK_SLICE(tag, "f\\\\,g"); /* the comma has a backslash before it, whatever stands before that */
    AF_CHECK_SLICE(value, "h=i");
    AF_CHECK(!af_key_next_tag(key, &at, &tag, &value));
    AF_CHECK(!af_key_next_tag(key, &at, &tag, &value));
}

AF_TEST(keys_that_are_none)
{
    static const struct {
        const char *key, *measurement, *tags;
    } cases[] = {
        { "", "", "" },       { "m", "m", "" },       { "m,", "m", "[=]" },        { ",a=b", "", "[a=b]" }, { ",,", "", "[=][=]" },
        { "m,=", "m", "[=]" }, { "m,a", "m", "[a=]" }, { "m,=b,c", "m", "[=b][c=]" }, { "\\,", "\\,", "" },   { "m,a=b,", "m", "[a=b][=]" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct af_slice key = lit(cases[i].key), tag, value;
        struct af_buf got;
        af_buf_init(&got, 1 << 10);
        AF_CHECK_SLICE(af_key_measurement_raw(key), cases[i].measurement);
        for (size_t at = 0; af_key_next_tag(key, &at, &tag, &value);)
            af_buf_printf(&got, "[" AF_SLICE_FMT "=" AF_SLICE_FMT "]", AF_SLICE_ARG(tag), AF_SLICE_ARG(value));
        AF_CHECK_STR(af_buf_cstr(&got), cases[i].tags);
        af_buf_done(&got);
    }
}

AF_TEST(unescaping)
{
    struct af_buf scratch;
    af_buf_init(&scratch, 1 << 10);
    struct af_slice plain = lit("S\xc3\xa3o_Paulo");
    AF_CHECK(af_key_unescape(plain, &scratch).ptr == plain.ptr);
    AF_CHECK_SLICE(af_key_unescape(lit("a\\,b\\ c\\=d\\e\\"), &scratch), "a,b c=d\\e\\");
    AF_CHECK_SLICE(af_key_unescape(lit("\\\\,"), &scratch), "\\,");
    AF_CHECK_SLICE(af_key_unescape_measurement(lit("a\\,b\\ c\\=d"), &scratch), "a,b c\\=d");
    af_buf_done(&scratch);
    af_buf_init(&scratch, 1);
    struct af_slice raw = lit("ab\\,c");
    AF_CHECK(af_key_unescape(raw, &scratch).ptr == raw.ptr && scratch.failed);
    af_buf_done(&scratch);
}

/* What was escaped comes back, for every text that line protocol can carry. */
AF_TEST(escaped_and_back)
{
    static const char pool[] = "ab, =\\x";
    struct af_prng prng = { 5 };
    struct af_buf key, scratch;
    af_buf_init(&key, 1 << 10);
    af_buf_init(&scratch, 1 << 10);
    for (int round = 0; round < 20000; round++) {
        char text[3][10];
        struct af_slice part[3], tag, value;
        for (int i = 0; i < 3; i++) {
            size_t len = 1 + (size_t)af_prng_below(&prng, 8);
            for (size_t k = 0; k < len; k++)
                text[i][k] = pool[af_prng_below(&prng, sizeof pool - 1)];
            text[i][len - 1] = 'z'; /* none may end in a backslash */
            part[i] = af_slice_make(text[i], len);
        }
        af_buf_clear(&key);
        af_key_append_measurement(&key, part[0]);
        af_buf_append_char(&key, ',');
        af_key_append_tag(&key, part[1]);
        af_buf_append_char(&key, '=');
        af_key_append_tag(&key, part[2]);
        size_t at = 0;
        AF_CHECK(af_slice_eq(af_key_unescape_measurement(af_key_measurement_raw(af_buf_slice(&key)), &scratch), part[0]));
        AF_CHECK(af_key_next_tag(af_buf_slice(&key), &at, &tag, &value));
        AF_CHECK(af_slice_eq(af_key_unescape(tag, &scratch), part[1]));
        AF_CHECK(af_slice_eq(af_key_unescape(value, &scratch), part[2]));
        AF_CHECK(!af_key_next_tag(af_buf_slice(&key), &at, &tag, &value));
        struct af_predicate equal = { .op = AF_PREDICATE_EQUAL, .tag = part[1], .value = part[2] };
        AF_CHECK(af_predicate_match(&equal, af_buf_slice(&key)));
        text[2][0]++;
        AF_CHECK(!af_predicate_match(&equal, af_buf_slice(&key)));
    }
    af_buf_done(&key);
    af_buf_done(&scratch);
}

AF_TEST(predicates)
{
    struct af_slice key = lit("m,host=a\\ b,region=south");
    const struct af_predicate host = { .op = AF_PREDICATE_EQUAL, .tag = lit("host"), .value = lit("a b") };
    const struct af_predicate other = { .op = AF_PREDICATE_EQUAL, .tag = lit("region"), .value = lit("sout") };
    const struct af_predicate longer = { .op = AF_PREDICATE_EQUAL, .tag = lit("region"), .value = lit("southe") };
    const struct af_predicate has = { .op = AF_PREDICATE_NOT_EQUAL, .tag = lit("region"), .value = lit("") };
    const struct af_predicate without = { .op = AF_PREDICATE_EQUAL, .tag = lit("rack"), .value = lit("") };
    const struct af_predicate rack = { .op = AF_PREDICATE_NOT_EQUAL, .tag = lit("rack"), .value = lit("1") };
    const struct af_predicate prefix = { .op = AF_PREDICATE_EQUAL, .tag = lit("hos"), .value = lit("a b") };
    AF_CHECK(af_predicate_match(NULL, key));
    AF_CHECK(af_predicate_match(&host, key));
    AF_CHECK(!af_predicate_match(&other, key) && !af_predicate_match(&longer, key) && !af_predicate_match(&prefix, key));
    AF_CHECK(af_predicate_match(&has, key) && af_predicate_match(&without, key) && af_predicate_match(&rack, key));
    const struct af_predicate *both[] = { &host, &other }, *good[] = { &host, &has, &rack }, *one[] = { &other };
    struct af_predicate node = { .op = AF_PREDICATE_AND, .items = both, .item_count = 2 };
    AF_CHECK(!af_predicate_match(&node, key));
    node.op = AF_PREDICATE_OR;
    AF_CHECK(af_predicate_match(&node, key));
    node = (struct af_predicate){ .op = AF_PREDICATE_AND, .items = good, .item_count = 3 };
    AF_CHECK(af_predicate_match(&node, key));
    node = (struct af_predicate){ .op = AF_PREDICATE_NOT, .items = one, .item_count = 1 };
    AF_CHECK(af_predicate_match(&node, key));
    node = (struct af_predicate){ .op = AF_PREDICATE_AND };
    AF_CHECK(af_predicate_match(&node, key));
    node.op = AF_PREDICATE_OR;
    AF_CHECK(!af_predicate_match(&node, key));
}

AF_TEST(patterns)
{
    struct af_error err;
    struct af_regex *any, *empty, *comma, *bomb;
    AF_CHECK_OK(af_regex_new(lit("^so|b$"), &any, &err), err);
    AF_CHECK_OK(af_regex_new(lit("^$"), &empty, &err), err);
    AF_CHECK_OK(af_regex_new(lit("^a, =\\\\b$"), &comma, &err), err);
    AF_CHECK_OK(af_regex_new(lit("(a+)+$"), &bomb, &err), err);
    struct af_slice key = lit("m,host=a\\,\\ \\=\\b,long=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!,region=south");
    const struct {
        const char *tag;
        const struct af_regex *regex;
        bool want;
    } cases[] = { { "region", any, true }, { "host", any, true },  { "host", comma, true },    { "region", comma, false },
                  { "rack", empty, true }, { "rack", any, false }, { "region", empty, false } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct af_predicate match = { .op = AF_PREDICATE_MATCH, .tag = lit(cases[i].tag), .regex = cases[i].regex };
        AF_CHECK_INT(af_predicate_match(&match, key), cases[i].want);
        match.op = AF_PREDICATE_NOT_MATCH;
        AF_CHECK_INT(af_predicate_match(&match, key), !cases[i].want);
    }
    /* The one that runs into its limit is neither. */
    struct af_predicate limit = { .op = AF_PREDICATE_MATCH, .tag = lit("long"), .regex = bomb };
    AF_CHECK(!af_predicate_match(&limit, key));
    limit.op = AF_PREDICATE_NOT_MATCH;
    AF_CHECK(!af_predicate_match(&limit, key));
    af_regex_free(any);
    af_regex_free(empty);
    af_regex_free(comma);
    af_regex_free(bomb);
}

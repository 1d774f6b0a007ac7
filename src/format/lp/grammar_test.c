/* grammar_test.c - lines that InfluxDB takes and lines it refuses, with its words; and the fast path against the grammar. */
#include "base/prng.h"
#include "format/lp/dump.h"
#include "test/lib/test.h"
#include <stdio.h>

/* NULL for an accepted line. Every word here was compared with influxd 1.6.7 (test/conformance/lp_influxd.py). */
static const struct {
    const char *line;
    const char *reason;
} lines[] = {
    { "m f=1", NULL },
    { "m f=1 5", NULL },
    { "m,a=b f=1 5", NULL },
    { "m,b=1,a=2 f=1", NULL },
    { "m   f=1   5   ", NULL },
    { "m,a==b f=1", NULL },
    { "m,a=b\\=c f=1", NULL },
    { "m\\,n\\ o,a\\=b=c f=1", NULL },
    { "m=n f=1", NULL },
    { "\"m\" f=1", NULL },
    { "m,a=\"b f=1", NULL },
    { "m", "missing fields" },
    { "m,a=b", "missing fields" },
    { "m,a=b\\ f=1", "invalid tag format" },
    { "m,a=b\\ f", "missing fields" },
    { "m ", "invalid field format" },
    { ",a=b f=1", "missing measurement" },
    { "m, f=1", "missing tag key" },
    { "m,=b f=1", "missing tag key" },
    { "m,,a=b f=1", "missing tag key" },
    { "m,a=b, f=1", "missing tag key" },
    { "m,a f=1", "missing tag value" },
    { "m,a,b=c f=1", "missing tag value" },
    { "m,a= f=1", "missing tag value" },
    { "m,a=,b=c f=1", "missing tag value" },
    { "m,a=b=c f=1", "invalid tag format" },
    { "m,a=1,a=2 f=1", "duplicate tags" },
    { "m,a=1,b=2,a=3 f=1", "duplicate tags" },
    { "m,b=1,a=2,b=3 f=1", "duplicate tags" },
    { "m,time=1 f=1", "cannot use reserved tag key \"time\"" },
    { "m,_field=1 f=1", "cannot use reserved tag key \"_field\"" },
    { "m,_measurement=1 f=1", "cannot use reserved tag key \"_measurement\"" },
    { "m,\xff=1 f=1", "cannot use reserved tag key \"\\xff\"" },
    { "m,times=1,_fields=2 f=1", NULL },
    { "m f", "invalid field format" },
    { "m 5", "invalid field format" },
    { "m f=1,g", "invalid field format" },
    { "m f=1,", "invalid field format" },
    { "m ,f=1", "invalid field format" },
    { "m f=1,,g=2", "invalid field format" },
    { "m =1", "missing field key" },
    { "m f=1,=2", "missing field key" },
    { "m f=", "missing field value" },
    { "m f= 5", "missing field value" },
    { "m f=,g=1", "missing field value" },
    { "m f=\"a", "unbalanced quotes" },
    { "m f=\"a\\\" 5", "unbalanced quotes" },
    { "m f=\"a\"", NULL },
    { "m f=\"\"", NULL },
    { "m f=\"a,b=c d\" 5", NULL },
    { "m f=\"a\nb\" 5", NULL },
    { "m f=\"a\"b", NULL },
    { "m f=\"a\"=t,g", "invalid value: field-key=g" },
    { "m f=1.,g=.5,h=-0,i=1e5,j=1E+5,k=-.5,l=007", NULL },
    { "m f=+1", "invalid boolean" },
    { "m f=NaN", "invalid number" },
    { "m f=nan", "invalid number" },
    { "m f=Inf", "invalid boolean" },
    { "m f=-Inf", "invalid number" },
    { "m f=.", "invalid number" },
    { "m f=-", "invalid number" },
    { "m f=1.5.5", "invalid number" },
    { "m f=1_000", "invalid number" },
    { "m f=0x1", "invalid number" },
    { "m f=1e", "invalid float" },
    { "m f=1e400", "invalid float" },
    { "m f=1e5.5", "invalid float" },
    { "m f=-e5", "invalid float" },
    { "m f=1i,g=-1i,h=0i,i=-0i,j=9223372036854775807i,k=-9223372036854775808i,l=00000000000000000000000012i", NULL },
    { "m f=1.0i", "invalid number" },
    { "m f=1e5i", "invalid number" },
    { "m f=-i", "invalid number" },
    { "m f=1ii", "invalid number" },
    { "m f=i", "invalid boolean" },
    { "m f=9223372036854775808i",
      "unable to parse integer 9223372036854775808: strconv.ParseInt: parsing \"9223372036854775808\": value out of range" },
    { "m f=1u,g=18446744073709551615u", NULL },
    { "m f=-1u", "invalid number" },
    { "m f=18446744073709551616u",
      "unable to parse unsigned 18446744073709551616: strconv.ParseUint: parsing \"18446744073709551616\": value out of range" },
    { "m f=t,g=T,h=true,i=True,j=TRUE,k=f,l=F,n=false,o=False,p=FALSE", NULL },
    { "m f=tRUE", "invalid boolean" },
    { "m f=yes", "invalid boolean" },
    { "m f=1 x", "bad timestamp" },
    { "m f=1 5.0", "bad timestamp" },
    { "m f=1 5\r", "bad timestamp" },
    { "m f=1 --5", "bad timestamp" },
    { "m f=1 5 6", "point is invalid" },
    { "m f=1 -", "strconv.ParseInt: parsing \"-\": invalid syntax" },
    { "m f=1 99999999999999999999", "strconv.ParseInt: parsing \"99999999999999999999\": value out of range" },
    { "m f=1 9223372036854775806", NULL },
    { "m f=1 9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806" },
    { "m f=1 -9223372036854775806", NULL },
    { "m f=1 -9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806" },
    { "m time=1 5", "invalid field name: input field \"time\" on measurement \"m\" is invalid" },
    { "m time=1,f=2 5", NULL },
    { "m \t=1", "missing field key" },
};

AF_TEST(lp_grammar_words)
{
    const struct lp_rules rules = { .precision = AF_PRECISION_NS, .allow_unsigned = true };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char reason[LP_REASON_MAX];
        struct lp_line line;
        bool ok = lp_line_scan(af_slice_of(lines[i].line), &rules, &line, reason) == AF_OK;
        if (ok != (lines[i].reason == NULL) || (!ok && strcmp(reason, lines[i].reason) != 0))
            af_test_failed(__FILE__, __LINE__, "%s: \"%s\", want \"%s\"", lines[i].line, ok ? "accepted" : reason,
                           lines[i].reason != NULL ? lines[i].reason : "accepted");
    }
}

AF_TEST(lp_grammar_unsigned_needs_leave)
{
    const struct lp_rules rules = { .precision = AF_PRECISION_NS };
    char reason[LP_REASON_MAX];
    struct lp_line line;
    AF_CHECK_FAILS(lp_line_scan(af_slice_of("m f=1u"), &rules, &line, reason), AF_EINVAL);
    AF_CHECK_STR(reason, "invalid number");
}

AF_TEST(lp_grammar_scales_time)
{
    struct lp_rules rules = { .precision = AF_PRECISION_S, .default_time_ns = -1 };
    char reason[LP_REASON_MAX];
    struct lp_line line;
    AF_CHECK(lp_line_scan(af_slice_of("m f=1 -5"), &rules, &line, reason) == AF_OK);
    AF_CHECK_INT(line.time_ns, -5000000000);
    AF_CHECK_FAILS(lp_line_scan(af_slice_of("m f=1 9223372037"), &rules, &line, reason), AF_EINVAL);
    AF_CHECK_STR(reason, "time outside range -9223372036854775806 - 9223372036854775806");
    AF_CHECK(lp_line_scan(af_slice_of("m f=1"), &rules, &line, reason) == AF_OK);
    AF_CHECK_INT(line.time_ns, -1000000000);
}

AF_TEST(lp_grammar_key_length)
{
    const struct lp_rules rules = { .precision = AF_PRECISION_NS };
    static char text[70000];
    struct lp_line line;
    char reason[LP_REASON_MAX];
    for (size_t len = 65528; len < 65540; len++) { /* of "m,a=xxx" */
        memset(text, 'x', sizeof text);
        memcpy(text, "m,a=", 4);
        memcpy(text + len, " ff=1", 5);
        bool ok = lp_line_scan((struct af_slice){ text, len + 5 }, &rules, &line, reason) == AF_OK;
        AF_CHECK_INT(ok, len + 4 + 2 <= 65535);
        char want[64];
        snprintf(want, sizeof want, "max key length exceeded: %zu > 65535", len > 65535 ? len : len + 6);
        if (!ok)
            AF_CHECK_STR(reason, want);
    }
}

static void check_key(const char *line, const char *want)
{
    struct af_buf key;
    af_buf_init(&key, 1 << 20);
    AF_CHECK_INT(af_lp_line_key(af_slice_of(line), &key), want != NULL);
    AF_CHECK_SLICE(af_buf_slice(&key), want != NULL ? want : "");
    af_buf_done(&key);
}

AF_TEST(lp_grammar_stored_key)
{
    check_key("m,b=1,a=2 f=1 5\n", "m,a=2,b=1");
    check_key("m f=1", "m");
    check_key(" m,a=1 f=1", "m,a=1");
    check_key("m,b=1,a=2,aa=3,A=4,a\\=b=5 f=1", "m,A=4,a=2,a\\=b=5,aa=3,b=1");
    check_key("m\\,x,b=\\ y,a=2 f=1", "m\\,x,a=2,b=\\ y");
    check_key("m,b=1,a=2,b=3 f=1", NULL);
    check_key("# m f=1", NULL);
    check_key("m f=", NULL);
    check_key("", NULL);
}

AF_TEST(lp_grammar_sorts_many_tags)
{
    struct af_buf line;
    struct af_buf key;
    struct af_buf want;
    af_buf_init(&line, 1 << 20);
    af_buf_init(&key, 1 << 20);
    af_buf_init(&want, 1 << 20);
    af_buf_append_str(&line, "m");
    af_buf_append_str(&want, "m");
    for (unsigned i = 0; i < 5000; i++) {
        af_buf_printf(&line, ",t%04u=%u", i * 1237 % 5000, i * 1237 % 5000);
        af_buf_printf(&want, ",t%04u=%u", i, i);
    }
    af_buf_append_str(&line, " f=1");
    AF_CHECK(af_lp_line_key(af_buf_slice(&line), &key));
    AF_CHECK(af_slice_eq(af_buf_slice(&key), af_buf_slice(&want)));
    af_buf_done(&line);
    af_buf_done(&key);
    af_buf_done(&want);
}

/* --- where a line ends ------------------------------------------------------------------------------------------------------- */

AF_TEST(lp_line_ends)
{
    static const struct {
        const char *text;
        size_t end;
    } cases[] = {
        { "m f=1\nx", 6 },          { "m f=1", 5 },           { "\nm", 1 },         { "", 0 },
        { "m f=\"a\nb\"\nx", 10 },  { "m\\\nn f=1\nx", 9 },   { "m f=\"a\\\"\nb\"\nx", 12 },
        { "m,a=\"b\nm f=1\n", 7 },  /* no space before the quote: not a string */
        { "m \"\nx", 4 },           { "m a,\"=\"\nx\"\n", 8 }, /* as many commas as equals: not a string */
        { "# a=\"x\ny\" z\nw", 12 }, { "m f=\"a\nb", 8 },      { "m f=1\\", 6 },     { "m f=1\\\nx\ny", 9 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        AF_CHECK_INT(af_lp_line_end(af_slice_of(cases[i].text), 0), cases[i].end);
    AF_CHECK_INT(af_lp_line_end(af_slice_of("m f=1\nm f=\"\n\"\nx"), 6), 14);
}

AF_TEST(lp_find3_twins)
{
    struct af_prng prng = { 5 };
    char text[80];
    for (int round = 0; round < 20000; round++) {
        size_t len = af_prng_below(&prng, sizeof text);
        for (size_t i = 0; i < len; i++)
            text[i] = "abcdefgh\"\\\n"[af_prng_below(&prng, af_prng_below(&prng, 3) == 0 ? 11 : 8)];
        AF_CHECK(lp_find3(text, text + len, '"', '\\', '\n') == lp_find3_scalar(text, text + len, '"', '\\', '\n'));
        char copy[80];
        memcpy(copy, text, len);
        AF_CHECK(lp_equal(text, copy, len));
        if (len > 0) {
            copy[af_prng_below(&prng, len)] ^= 1;
            AF_CHECK(!lp_equal(text, copy, len));
        }
    }
}

/* --- the fast path reads what the grammar reads -------------------------------------------------------------------------------------- */

struct seen {
    struct af_buf text; /* points, in dump.h's form */
    struct af_buf good; /* their line numbers */
    struct af_buf bad;  /* refused lines and the words */
};

static void note_bad(void *ctx, const struct af_lp_bad_line *bad)
{
    struct seen *seen = ctx;
    af_buf_printf(&seen->bad, "%llu %s\n", (unsigned long long)bad->line, bad->reason);
}

/* Shown one line at a time, the fast path never has room. */
static void read_all(struct af_slice text, bool by_line, struct seen *seen)
{
    struct af_lp_parse_options options = { .allow_unsigned = true, .default_time_ns = 77, .bad_line = note_bad, .ctx = seen };
    struct af_lp_parser *parser;
    struct af_error err = { 0 };
    struct af_arena arena;
    af_arena_init(&arena, 1 << 28);
    af_buf_init(&seen->text, 1 << 28);
    af_buf_init(&seen->good, 1 << 28);
    af_buf_init(&seen->bad, 1 << 28);
    AF_CHECK_OK(af_lp_parser_new(&options, &parser, &err), err);
    for (size_t at = 0; at < text.len;) {
        size_t end = by_line ? af_lp_line_end(text, at) : text.len;
        struct af_points points;
        uint64_t *numbers;
        size_t used;
        AF_CHECK_OK(af_lp_parse(parser, (struct af_slice){ text.ptr + at, end - at }, true, &arena, &points, &numbers, &used, &err), err);
        AF_CHECK(used > 0);
        dump_points(&seen->text, &points);
        for (size_t i = 0; i < points.row_count; i++)
            af_buf_printf(&seen->good, "%llu\n", (unsigned long long)numbers[i]);
        af_arena_reset(&arena);
        at += used;
    }
    af_lp_parser_free(parser);
    af_arena_done(&arena);
}

static void forget(struct seen *seen)
{
    af_buf_done(&seen->text);
    af_buf_done(&seen->good);
    af_buf_done(&seen->bad);
}

static const char *const parts[] = {
    "m,a=b f=1 5\n", "m,a=b f=2.5,g=\"x\" 6\n", "m,a=c f=1,g=2i,h=t 1704110400000000000\n",
    "m,a=b f=1 9223372036854775807\n", "m,a=b f=1 -9223372036854775807\n", "m,a=b f=1 9223372036854775806\n",
    "m,a=b f=-3u 5\n", "m,a=b f=18446744073709551615u 5\n", "m,a=b f=-9223372036854775808i 5\n",
    "m,a=b f=9223372036854775808i 5\n", "m,a=b f=3i5 5\n", "m,a=b f=tr 5\n", "m,a=b", "m,b=1,a=2", " ", " ", "f=",
    "f=", "g=", "h=", ",", ",", "1", "1.5", "12i", "3u", "-7", "t", "false", "\"x\"", "\"a\\\"b\"", "\"", "\\", "\n",
    "\n", "\n", "5", " 1704110400000000000\n", " -5\n", "1e5", "123456789012345678901", "time=1", "a\\ b=", "f\\,g=",
    "#", "\t", "\r", "=", "e", "i", ".", "m,a\\ b=c\\,d f=3 7\n", "0.7379162839105682",
};

AF_TEST(lp_fast_path_is_the_grammar)
{
    struct af_prng prng = { 42 };
    size_t points = 0;
    for (int round = 0; round < 3000; round++) {
        struct af_buf text;
        struct seen fast;
        struct seen slow;
        af_buf_init(&text, 1 << 20);
        for (size_t i = 5 + af_prng_below(&prng, 60); i > 0; i--)
            af_buf_append_str(&text, parts[af_prng_below(&prng, af_prng_below(&prng, 2) == 0 ? 3 : sizeof parts / sizeof parts[0])]);
        af_buf_append_str(&text, "\n");
        read_all(af_buf_slice(&text), true, &slow);
        read_all(af_buf_slice(&text), false, &fast);
        if (!af_slice_eq(af_buf_slice(&slow.text), af_buf_slice(&fast.text)))
            af_test_failed(__FILE__, __LINE__, "differ on:\n%s\nslow:\n%s\nfast:\n%s", af_buf_cstr(&text), af_buf_cstr(&slow.text),
                           af_buf_cstr(&fast.text));
        AF_CHECK(af_slice_eq(af_buf_slice(&slow.good), af_buf_slice(&fast.good)));
        AF_CHECK(af_slice_eq(af_buf_slice(&slow.bad), af_buf_slice(&fast.bad)));
        points += slow.text.len > 0;
        forget(&slow);
        forget(&fast);
        af_buf_done(&text);
    }
    AF_CHECK(points > 2000);
}

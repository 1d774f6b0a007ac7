/* regex_test.c - what Go's regexp accepts, refuses and matches (the answers are its own), and patterns made to run for ever. */
#include "base/regex.h"
#include "base/alloc.h"
#include "base/limits.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;

static struct af_regex *must(const char *pattern)
{
    struct af_regex *regex;
    AF_CHECK_OK(af_regex_new(af_slice_of(pattern), &regex, &err), err);
    AF_CHECK_SLICE(af_regex_pattern(regex), pattern);
    return regex;
}

static void check_match(const char *pattern, const char *text, bool want)
{
    struct af_regex *regex = must(pattern);
    bool got = !want;
    AF_CHECK_OK(af_regex_match(regex, af_slice_of(text), &got, &err), err);
    if (got != want)
        af_test_failed(__FILE__, __LINE__, "`%s` on \"%s\": %s", pattern, text, got ? "matches" : "does not match");
    af_regex_free(regex);
}

AF_TEST(matches)
{
    static const struct {
        const char *pattern, *yes, *no;
    } cases[] = {
        { "", "", NULL },
        { "b", "abc", "ac" },
        { "^a", "ab", "ba" },
        { "a$", "ba", "a\n" },
        { "^$", "", "\n" },
        { "(?m)^b$", "a\nb\nc", "a\nbc" },
        { "(?m)^$", "a\n", "a" },
        { "a\\.b", "xa.by", "aXb" },
        { "^a\\$", "a$b", "a" },
        { "ab", "\xff" "ab", "a\xff" "b" },
        { "b$", "b\nb", "b\n" },
        { "^ab$", "ab", "abb" },
        { "^a.c$", "abc", "a\nc" },
        { "^(?s:a.c)$", "a\nc", "ac" },
        { "^.$", "\xc3\xa9", "ab" },
        { "(?i)^server$", "SeRvEr", "serve" },
        { "^(?i:k)$", "\xe2\x84\xaa", "c" },
        { "^(?i:a)b$", "Ab", "AB" },
        { "^a(?i)b(?-i)c$", "aBc", "aBC" },
        { "^(a(?i))b$", "ab", "aB" },
        { "^\\d+$", "0123", "\xd9\xa3" },
        { "^\\s$", "\t", "\v" },
        { "^\\w+$", "a_1", "\xc3\xa9" },
        { "^[[:alpha:]]+$", "abZ", "ab1" },
        { "^[[:^alpha:]]+$", "12", "1a" },
        { "^[^\\D5]$", "4", "5" },
        { "^[\\D5]$", "5", "4" },
        { "(?i)^[^\\Wk]$", "a", "K" },
        { "^[]a]$", "]", "b" },
        { "^[^]a]$", "b", "]" },
        { "^[a-]$", "-", "b" },
        { "^\\pL\\p{Lu}\\P{Greek}$", "aBc", "aB\xce\xb1" },
        { "^\\p{Greek}$", "\xce\xb1", "a" },
        { "^[\\x{3b1}-\\x{3c9}]$", "\xce\xb2", "b" },
        { "^\\x41\\101\\0?$", "AA", "AB" },
        { "^\\Qa.b*\\E+$", "a.b**", "axb*" },
        { "^a{2,3}$", "aaa", "aaaa" },
        { "^a{,2}$", "a{,2}", "aa" },
        { "^a{$", "a{", "a" },
        { "\\bfoo\\b", "a foo b", "afoo" },
        { "\\Boo", "foo", "oo" },
        { "\\Afoo\\z", "foo", "foo\n" },
        { "^(?P<n>a|b)(?:c)$", "bc", "ab" },
        { "^a*?(?U)b+$", "aab", "aa" },
        { "^(|a)$", "", "b" },
        { "^a(?i)*$", "aaa", "A" },
        { "^*a", "a", "b" },
        { "^\\_\\-\\/$", "_-/", "-" },
        { "a/b", "xa/b", "a" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_match(cases[i].pattern, cases[i].yes, true);
        if (cases[i].no != NULL)
            check_match(cases[i].pattern, cases[i].no, false);
    }
}

AF_TEST(refusals_in_known_words)
{
    static const struct {
        const char *pattern, *words;
    } cases[] = {
        { "(a", "missing closing ): `(a`" },
        { "a)b", "unexpected ): `a)b`" },
        { "[a", "missing closing ]: `[a`" },
        { "x[a-", "missing closing ]: `[a-`" },
        { "x[z-a]", "invalid character class range: `z-a`" },
        { "[[:foo:]]", "invalid character class range: `[:foo:]`" },
        { "\\p{Foo}", "invalid character class range: `\\p{Foo}`" },
        { "\\p{L", "invalid character class range: `\\p{L`" },
        { "*a", "missing argument to repetition operator: `*`" },
        { "a|+?", "missing argument to repetition operator: `+?`" },
        { "(?:?)", "missing argument to repetition operator: `?`" },
        { "a**", "invalid nested repetition operator: `**`" },
        { "a++", "invalid nested repetition operator: `++`" },
        { "a{2}{3}", "invalid nested repetition operator: `{2}{3}`" },
        { "a{1001}", "invalid repeat count: `{1001}`" },
        { "a{3,2}", "invalid repeat count: `{3,2}`" },
        { "(a{100}){11}", "invalid repeat count: `{11}`" },
        { "(?=a)", "invalid or unsupported Perl syntax: `(?=`" },
        { "(?!a)", "invalid or unsupported Perl syntax: `(?!`" },
        { "(?<=a)", "invalid or unsupported Perl syntax: `(?<`" },
        { "(?>a)", "invalid or unsupported Perl syntax: `(?>`" },
        { "(?#a)", "invalid or unsupported Perl syntax: `(?#`" },
        { "(?R)", "invalid or unsupported Perl syntax: `(?R`" },
        { "(?i-)", "invalid or unsupported Perl syntax: `(?i-)`" },
        { "(?P<a.>b)", "invalid named capture: `(?P<a.>`" },
        { "(?P<a", "invalid named capture: `(?P<a`" },
        { "(a)\\1", "invalid escape sequence: `\\1`" },
        { "\\Z", "invalid escape sequence: `\\Z`" },
        { "\\K", "invalid escape sequence: `\\K`" },
        { "\\C", "invalid escape sequence: `\\C`" },
        { "\\x{110000}", "invalid escape sequence: `\\x{110000`" },
        { "a\\", "trailing backslash at end of expression: ``" },
        { "a\xff", "invalid UTF-8: `a\xff`" },
        { "(*SKIP)a", "missing argument to repetition operator: `*`" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct af_regex *regex;
        char want[200];
        (void)snprintf(want, sizeof want, "error parsing regexp: %s", cases[i].words);
        AF_CHECK_FAILS(af_regex_new(af_slice_of(cases[i].pattern), &regex, &err), AF_EINVAL);
        AF_CHECK_STR(err.message, want);
    }
}

AF_TEST(nothing_runs_away)
{
    static const char *const bombs[] = { "(a+)+$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a|aa)+$" };
    static char text[2001];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 2] = '!';
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        struct af_regex *regex = must(bombs[i]);
        bool got = true;
        AF_CHECK_FAILS(af_regex_match(regex, af_slice_of(text), &got, &err), AF_ELIMIT);
        AF_CHECK(got); /* untouched */
        af_regex_free(regex);
    }
    static char deep[4001];
    memset(deep, '(', 2000);
    memset(deep + 2000, ')', 2000);
    struct af_regex *regex;
    AF_CHECK_FAILS(af_regex_new(af_slice_of(deep), &regex, &err), AF_EINVAL);
    regex = must("((((((((((a))))))))))");
    af_regex_free(regex);
    static char large[AF_REGEX_BYTES_MAX + 2];
    memset(large, 'a', sizeof large - 1);
    AF_CHECK_FAILS(af_regex_new(af_slice_of(large), &regex, &err), AF_ELIMIT);
    AF_CHECK_FAILS(af_regex_new(AF_SLICE_LIT("(abcdefghijklmnopqrstuvwxyz|[^\\W]abcdefghijklmnopq){1000}"), &regex, &err), AF_ELIMIT);
}

AF_TEST(bytes_that_are_no_utf8)
{
    struct af_regex *regex = must("^a.b$");
    bool got = true;
    AF_CHECK_OK(af_regex_match(regex, AF_SLICE_LIT("a\xff" "b"), &got, &err), err);
    AF_CHECK(!got);
    af_regex_free(regex);
    regex = must("ab");
    AF_CHECK_OK(af_regex_match(regex, AF_SLICE_LIT("\xff" "ab"), &got, &err), err);
    AF_CHECK(got);
    AF_CHECK_OK(af_regex_match(regex, (struct af_slice){ NULL, 0 }, &got, &err), err);
    AF_CHECK(!got);
    af_regex_free(regex);
    regex = must("a\\x00b");
    AF_CHECK_OK(af_regex_match(regex, (struct af_slice){ "a\0b", 3 }, &got, &err), err);
    AF_CHECK(got);
    af_regex_free(regex);
}

AF_TEST(literals)
{
    static const struct {
        const char *pattern, *list;
    } cases[] = {
        { "^a$", "a," },           { "^(a|bc|)$", "a,bc,," }, { "^x(?:a|b)y$", "xay,xby," }, { "^a\\.b$", "a.b," }, { "^$", "," },
        { "^a", "" },              { "a$", "" },              { "^a|b$", "" },               { "^(a|b)*$", "" },    { "^a.$", "" },
        { "^(?i)a$", "" },         { "^(?i:a)$", "" },        { "^\\d$", "" },               { "^(a|(b))$", "" },   { "^a+$", "" },
        { "^\xc3\xa9|a$", "" },    { "^(\xc3\xa9|a)$", "\xc3\xa9,a," },                      { "^a{2}$", "" },      { "^(a)(b)$", "" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct af_regex *regex = must(cases[i].pattern);
        struct af_slice list[4];
        char got[100] = "";
        size_t count = af_regex_literals(regex, list, 4);
        for (size_t k = 0; k < count; k++)
            (void)snprintf(got + strlen(got), sizeof got - strlen(got), AF_SLICE_FMT ",", AF_SLICE_ARG(list[k]));
        AF_CHECK_STR(got, cases[i].list);
        if (count > 1)
            AF_CHECK_INT(af_regex_literals(regex, list, count - 1), 0);
        af_regex_free(regex);
    }
}

AF_TEST(every_allocation_may_fail)
{
    for (size_t nth = 1;; nth++) {
        struct af_regex *regex = NULL;
        (void)af_alloc_fail_nth(nth);
        enum af_status status = af_regex_new(AF_SLICE_LIT("^(a|b[^\\d\\Wx]\\p{Greek})$"), &regex, &err);
        (void)af_alloc_fail_nth(0);
        if (status == AF_OK) {
            af_regex_free(regex);
            AF_CHECK(nth > 3);
            return;
        }
        AF_CHECK_INT(status, AF_ENOMEM);
    }
}

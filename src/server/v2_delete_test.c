/* v2_delete_test.c - texts of delete predicates, and what they match. */
#include "server/v2_delete.h"
#include "test/lib/test.h"

struct parsed {
    struct af_arena arena;
    struct delete_branch *first;
};

static enum af_status parse(struct parsed *p, const char *text, struct af_error *err)
{
    af_arena_init(&p->arena, 1 << 20);
    p->first = NULL;
    return delete_text_parse(af_slice_of(text), &p->arena, &p->first, err);
}

/* Would a series of this measurement and key be erased? */
static bool hits(const char *text, const char *measurement, const char *key)
{
    struct parsed p;
    struct af_error err = { 0 };
    bool hit = false;
    AF_CHECK_OK(parse(&p, text, &err), err);
    for (const struct delete_branch *b = p.first; b != NULL; b = b->next)
        hit = hit || ((b->measurement == NULL || strcmp(b->measurement, measurement) == 0) && af_predicate_match(b->predicate,
            af_slice_of(key)));
    af_arena_done(&p.arena);
    return hit;
}

AF_TEST(delete_text_matches)
{
    AF_CHECK(hits("", "m", "m,a=1") && hits("  ", "m", "m"));
    AF_CHECK(hits("a=1", "m", "m,a=1") && !hits("a=1", "m", "m,a=2") && !hits("a=1", "m", "m"));
    AF_CHECK(hits("a==\"1\"", "m", "m,a=1") && hits("\"a\"='1'", "m", "m,a=1") && hits("a!=1", "m", "m"));
    AF_CHECK(hits("a=1 AND b=2", "m", "m,a=1,b=2") && !hits("a=1 AND b=2", "m", "m,a=1"));
    AF_CHECK(hits("a=1 or b=2", "m", "m,b=2") && !hits("a=1 or b=2", "m", "m,b=3"));
    AF_CHECK(hits("(a=1 or b=2) and c=3", "m", "m,b=2,c=3") && !hits("(a=1 or b=2) and c=3", "m", "m,b=2"));
    AF_CHECK(hits("a=1 or b=2 and c=3", "m", "m,a=1")); /* AND binds closer */
    AF_CHECK(hits("_measurement=m", "m", "m,a=1") && !hits("_measurement=m", "n", "n,a=1"));
    AF_CHECK(hits("_measurement='a b' AND a=\"x\\\"y\"", "a b", "a\\ b,a=x\"y"));
    AF_CHECK(hits("_measurement=m AND a=1 OR _measurement=n", "n", "n") && !hits("_measurement=m AND a=1 OR _measurement=n", "m", "m"));
    AF_CHECK(hits("a=1 OR _measurement=n", "m", "m,a=1") && hits("a=1 OR _measurement=n", "n", "n"));
    AF_CHECK(!hits("_measurement=m AND _measurement=n", "m", "m") && !hits("_measurement=m AND _measurement=n", "n", "n"));
    AF_CHECK(hits("host=srv-01.example/x:1", "m", "m,host=srv-01.example/x:1"));
    AF_CHECK(hits("android=1 AND order=2", "m", "m,android=1,order=2")); /* words that begin like keywords */
    AF_CHECK(hits("caf\xc3\xa9=1", "m", "m,caf\xc3\xa9=1"));
}

AF_TEST(delete_text_refuses)
{
    static const char *const texts[] = {
        "a", "a=", "=1", "a=1 AND", "a=1 b=2", "(a=1", "a=1)", "a=\"1", "a<1", "a=~/x/", "_field=f", "a=1 AND _field='f'",
        "_measurement!=m",
        "a=1 AND (_measurement=m OR b=2)", "!a=1", "a=1 ANDb=2",
        "((((((((((((((((((((((((((((((((((((((a=1))))))))))))))))))))))))))))))))))))))",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct parsed p;
        struct af_error err = { 0 };
        if (parse(&p, texts[i], &err) != AF_EINVAL)
            af_test_failed(__FILE__, __LINE__, "%s was taken", texts[i]);
        AF_CHECK(strstr(err.message, "at position ") != NULL);
        af_arena_done(&p.arena);
    }
}

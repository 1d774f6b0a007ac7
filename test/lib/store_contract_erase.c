/* store_contract_erase.c - the suite of store_contract.h: deletes, and random work compared with the oracle. */
#include "base/prng.h"
#include "test/lib/store_contract_int.h"
#include "test/lib/store_contract_predicates.h"
#include "test/lib/test.h"
#include <stdio.h>

static struct af_error err;

static void erase(struct af_store *store, struct af_scan scan)
{
    enum af_status status = af_store_erase(store, &scan, &err);
    if (status != AF_OK)
        af_test_failed(__FILE__, __LINE__, "%s: erase: %s: %s", contract_running, af_status_name(status), err.message);
}

static void erase_range(struct af_store *store, int64_t start_ns, int64_t stop_ns)
{
    erase(store, (struct af_scan){ .measurement = "m", .start_ns = start_ns, .stop_ns = stop_ns });
}

static void erase_series(struct af_store *store, const char *measurement, const struct af_predicate *predicate)
{
    erase(store, (struct af_scan){ .measurement = measurement, .start_ns = INT64_MIN, .stop_ns = INT64_MAX, .predicate = predicate });
}

static void check_all(struct af_store *store, const char *want)
{
    contract_check_scan(store, contract_everything, want);
}

/* --- ranges --------------------------------------------------------------------------------------------------------------------- */

static void erased_ranges_are_half_open(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, "m v=1i 1\nm v=2i 2\nm v=3i,w=\"x\",b=t 3\nm v=4i 4\nm v=5i 5\nm,t=a v=2i 2\nm,t=a v=4i 4\n");
    erase_range(store, 3, 3);
    erase_range(store, 4, 2);
    erase_range(store, 6, INT64_MAX);
    erase_range(store, INT64_MIN, 1);
    check_all(store, "m 1 v=1i\nm 2 v=2i\nm 3 b=true v=3i w=\"x\"\nm 4 v=4i\nm 5 v=5i\nm,t=a 2 v=2i\nm,t=a 4 v=4i\n");
    erase_range(store, 2, 4);
    check_all(store, "m 1 v=1i\nm 4 v=4i\nm 5 v=5i\nm,t=a 4 v=4i\n");
    erase_range(store, 5, INT64_MAX);
    check_all(store, "m 1 v=1i\nm 4 v=4i\nm,t=a 4 v=4i\n");
    erase_range(store, INT64_MIN, 2);
    check_all(store, "m 4 v=4i\nm,t=a 4 v=4i\n");
    erase_range(store, 4, 5);
    check_all(store, "");
}

static void erased_extremes(struct af_store *store, const struct af_contract *contract)
{
    static const char points[] = "m v=1i -9223372036854775806\nm v=2i -1\nm v=3i 0\nm v=4i 9223372036854775806\n";
    const char *last = contract->is_flux ? "" : "m 9223372036854775806 v=4i\n";
    char want[200];
    contract_put(store, points);
    erase_range(store, INT64_MIN, INT64_MIN);
    erase_range(store, INT64_MAX, INT64_MAX);
    erase_range(store, INT64_MIN, -9223372036854775806);
    erase_range(store, 1, 9223372036854775806);
    snprintf(want, sizeof want, "m -9223372036854775806 v=1i\nm -1 v=2i\nm 0 v=3i\n%s", last);
    check_all(store, want);
    erase_range(store, INT64_MIN, -9223372036854775805);
    snprintf(want, sizeof want, "m -1 v=2i\nm 0 v=3i\n%s", last);
    check_all(store, want);
    erase_range(store, 9223372036854775806, INT64_MAX);
    check_all(store, "m -1 v=2i\nm 0 v=3i\n");
    erase_range(store, -1, 0);
    check_all(store, "m 0 v=3i\n");
    contract_put(store, points);
    erase_range(store, INT64_MIN, INT64_MAX);
    check_all(store, "");
}

/* Points years apart lie in different shards. */
static void erased_over_years(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    for (int year = 0; year < 6; year++) {
        char line[64];
        snprintf(line, sizeof line, "m v=%di %lld\n", year, 1500000000000000000LL + year * 31536000000000000LL);
        contract_put(store, line);
    }
    erase_range(store, 1531536000000000000, 1594608000000000001);
    check_all(store, "m 1500000000000000000 v=0i\nm 1626144000000000000 v=4i\nm 1657680000000000000 v=5i\n");
}

/* --- what of ------------------------------------------------------------------------------------------------------------------------ */

static const char points[] = "m v=0i 10\nm,t=a v=1i 11\nm,t=a,u=x v=2i 12\nm,t=b v=3i 13\nm,t=c\\,\\ \\=d,u=\"q\\ \" v=4i 14\n"
                             "m,t=it's\\e v=5i 15\nn,t=a w=1i 16\nn\\ \\,=n,u=x w=1i 17\n";

static void erased_measurements(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, points);
    erase_series(store, "nowhere", NULL);
    erase_series(store, "n", NULL);
    contract_check_list(store, AF_LIST_MEASUREMENTS, (struct af_scan){ 0 }, "m\nn ,=n\n");
    erase_series(store, "n ,=n", NULL);
    contract_check_list(store, AF_LIST_MEASUREMENTS, (struct af_scan){ 0 }, "m\n");
    contract_put(store, points);
    erase(store, (struct af_scan){ .start_ns = 15, .stop_ns = 17 });
    contract_check_list(store, AF_LIST_SERIES, (struct af_scan){ 0 },
                        "m\nm,t=a\nm,t=a,u=x\nm,t=b\nm,t=c\\,\\ \\=d,u=\"q\\ \"\nn\\ \\,=n,u=x\n");
    erase_series(store, NULL, P_EQ("u", "x"));
    contract_check_list(store, AF_LIST_SERIES, (struct af_scan){ 0 }, "m\nm,t=a\nm,t=b\nm,t=c\\,\\ \\=d,u=\"q\\ \"\n");
    erase_series(store, NULL, NULL);
    contract_check_list(store, AF_LIST_MEASUREMENTS, (struct af_scan){ 0 }, "");
    contract_check_list(store, AF_LIST_SERIES, (struct af_scan){ 0 }, "");
    contract_check_list(store, AF_LIST_TAG_KEYS, (struct af_scan){ .measurement = "m" }, "");
    contract_check_list(store, AF_LIST_TAG_VALUES, (struct af_scan){ .measurement = "m", .tag = "t" }, "");
    check_all(store, "");
}

static void erased_predicates(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, points);
    erase_series(store, "m", P_EQ("t", "nope"));
    erase_series(store, "m", P_NONE);
    erase_series(store, "m", P_EQ("nowhere", "x"));
    erase(store, (struct af_scan){ .measurement = "m", .start_ns = 12, .stop_ns = 20, .predicate = P_EQ("t", "a") });
    check_all(store, "m 10 v=0i\nm,t=a 11 v=1i\nm,t=b 13 v=3i\nm,t=c\\,\\ \\=d,u=\"q\\ \" 14 v=4i\nm,t=it's\\e 15 v=5i\n");
    erase_series(store, "m", P_AND(P_EQ("t", "c, =d"), P_EQ("u", "\"q \"")));
    erase_series(store, "m", P_EQ("t", "it's\\e"));
    check_all(store, "m 10 v=0i\nm,t=a 11 v=1i\nm,t=b 13 v=3i\n");
    erase_series(store, "m", P_OR(P_EQ("t", "a"), P_EQ("t", "b")));
    check_all(store, "m 10 v=0i\n");
    contract_put(store, points);
    erase_series(store, "m", P_NE("t", ""));
    check_all(store, "m 10 v=0i\n");
    erase_series(store, "m", P_ALL);
    check_all(store, "");
    contract_check_list(store, AF_LIST_SERIES, (struct af_scan){ 0 }, "n,t=a\nn\\ \\,=n,u=x\n");
}

/* Series whose tags others have too: without InfluxQL, 2.x cannot do it and says so (docs/formats/influxdb-http.md). */
static void erased_by_missing_tags(struct af_store *store, const struct af_contract *contract)
{
    contract_put(store, points);
    struct af_scan scan = contract_everything;
    scan.predicate = P_EQ("t", "");
    if (contract->is_flux) {
        AF_CHECK_FAILS(af_store_erase(store, &scan, &err), AF_EUNSUPPORTED);
        AF_CHECK(strstr(err.message, "nothing was deleted") != NULL);
        check_all(store, "m 10 v=0i\nm,t=a 11 v=1i\nm,t=a,u=x 12 v=2i\nm,t=b 13 v=3i\nm,t=c\\,\\ \\=d,u=\"q\\ \" 14 v=4i\n"
                         "m,t=it's\\e 15 v=5i\n");
        return;
    }
    erase(store, scan);
    erase_series(store, "m", P_AND(P_EQ("t", "a"), P_NOT(P_EQ("u", "x"))));
    check_all(store, "m,t=a,u=x 12 v=2i\nm,t=b 13 v=3i\nm,t=c\\,\\ \\=d,u=\"q\\ \" 14 v=4i\nm,t=it's\\e 15 v=5i\n");
    erase_series(store, NULL, P_AND(P_EQ("u", ""), P_NE("t", "b")));
    contract_check_list(store, AF_LIST_SERIES, (struct af_scan){ 0 },
                        "m,t=a,u=x\nm,t=b\nm,t=c\\,\\ \\=d,u=\"q\\ \"\nn\\ \\,=n,u=x\n");
}

/* --- before and after ------------------------------------------------------------------------------------------------------------ */

static void written_again_after(struct af_store *store, const struct af_contract *contract)
{
    static const char *const fields[] = { "v" };
    (void)contract;
    contract_put(store, "m,t=a v=1i 1\nm,t=a v=1i 2\nm,t=b v=1i 1\n");
    contract_put(store, "m,t=a v=2i 1\n");
    erase_range(store, 1, 2);
    check_all(store, "m,t=a 2 v=1i\n"); /* what was overwritten does not come back */
    contract_put(store, "m,t=a v=3i 1\nm,t=b v=4i 1\n");
    check_all(store, "m,t=a 1 v=3i\nm,t=a 2 v=1i\nm,t=b 1 v=4i\n");
    for (int round = 0; round < 3; round++) {
        erase_series(store, "m", NULL);
        check_all(store, "");
        erase_series(store, "m", NULL);
        contract_put(store, "m,t=a v=5i,w=true 1\nm,t=c v=6i 2\n");
        check_all(store, "m,t=a 1 v=5i w=true\nm,t=c 2 v=6i\n");
        contract_check_list(store, AF_LIST_SERIES, (struct af_scan){ 0 }, "m,t=a\nm,t=c\n");
        contract_check_list(store, AF_LIST_TAG_VALUES, (struct af_scan){ .measurement = "m", .tag = "t" }, "a\nc\n");
    }
    struct af_scan scan = contract_everything;
    scan.fields = fields;
    scan.field_count = 1;
    enum af_status status = af_store_erase(store, &scan, &err); /* single fields are not deleted */
    AF_CHECK(status == AF_EUNSUPPORTED || status == AF_EINVAL);
    check_all(store, "m,t=a 1 v=5i w=true\nm,t=c 2 v=6i\n");
}

static void erased_when_empty(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    erase_series(store, "m", NULL);
    erase_series(store, NULL, NULL);
    erase_series(store, NULL, P_OR(P_NE("t", ""), P_EQ("u", "x")));
    check_all(store, "");
}

/* --- random work ------------------------------------------------------------------------------------------------------------------ */

static const char *const measurements[] = { "m", "n n" };
static const char *const tags[] = { "a", "b ", "nowhere" };
static const char *const values[] = { "", "0", "1", "x,y" };

static void random_lines(struct af_prng *prng, struct af_buf *out)
{
    static const char *const keys[] = { "m", "n\\ n" };
    static const char *const escaped[] = { "", "0", "1", "x\\,y" };
    static const char *const fields[] = { "f=%d.5", "i=%di", "s=\"%d\"", "b=%d" };
    for (size_t count = 1 + af_prng_below(prng, 20); count > 0; count--) {
        size_t a = af_prng_below(prng, 4);
        size_t b = af_prng_below(prng, 4);
        size_t field = af_prng_below(prng, 4);
        char value[32] = "b=true";
        if (field != 3)
            snprintf(value, sizeof value, fields[field], (int)af_prng_below(prng, 1000) - 500);
        af_buf_printf(out, "%s%s%s%s%s %s %lld\n", keys[af_prng_below(prng, 2)], a > 0 ? ",a=" : "", escaped[a], b > 0 ? ",b\\ =" : "",
                      escaped[b], value, (long long)af_prng_below(prng, 30) * 40000000000000000LL);
    }
}

enum { NODES = 16 };
struct thicket {
    struct af_predicate nodes[NODES];
    const struct af_predicate *items[NODES];
    size_t count;
};

/* NULL when there is no more room, or by chance. */
static const struct af_predicate *random_predicate(struct af_prng *prng, struct thicket *thicket, int depth)
{
    if (thicket->count + 3 > NODES || (depth == 0 && af_prng_below(prng, 3) == 0))
        return NULL;
    size_t at = thicket->count++;
    struct af_predicate *node = &thicket->nodes[at];
    enum af_predicate_op op = (enum af_predicate_op)af_prng_below(prng, 5);
    if (depth == 2 && op < AF_PREDICATE_EQUAL)
        op = AF_PREDICATE_EQUAL;
    *node = (struct af_predicate){ .op = op };
    if (op >= AF_PREDICATE_EQUAL) {
        node->tag = af_slice_of(tags[af_prng_below(prng, 3)]);
        node->value = af_slice_of(values[af_prng_below(prng, 4)]);
        return node;
    }
    size_t first = thicket->count;
    size_t want = op == AF_PREDICATE_NOT ? 1 : 2;
    thicket->count += want; /* their places among the items */
    node->items = &thicket->items[first];
    for (size_t i = 0; i < want; i++) {
        const struct af_predicate *item = random_predicate(prng, thicket, depth + 1);
        if (item != NULL)
            thicket->items[first + node->item_count++] = item;
    }
    if (op == AF_PREDICATE_NOT && node->item_count == 0)
        *node = (struct af_predicate){ .op = AF_PREDICATE_OR };
    return node;
}

static struct af_scan random_scan(struct af_prng *prng, struct thicket *thicket)
{
    thicket->count = 0;
    int64_t start_ns = ((int64_t)af_prng_below(prng, 34) - 2) * 40000000000000000LL;
    int64_t length = (int64_t)af_prng_below(prng, 20) * 40000000000000000LL;
    struct af_scan scan = { .measurement = measurements[af_prng_below(prng, 2)], .predicate = random_predicate(prng, thicket, 0) };
    scan.start_ns = af_prng_below(prng, 4) == 0 ? INT64_MIN : start_ns;
    scan.stop_ns = af_prng_below(prng, 4) == 0 ? INT64_MAX : start_ns + length + (int64_t)af_prng_below(prng, 2);
    return scan;
}

static void random_write(struct af_store *store, struct af_store *oracle, struct af_prng *prng)
{
    struct af_buf lines;
    af_buf_init(&lines, 1 << 20);
    random_lines(prng, &lines);
    af_contract_write(store, af_buf_slice(&lines), 1);
    af_contract_write(oracle, af_buf_slice(&lines), 1);
    af_buf_done(&lines);
}

/* In Flux some predicates cannot be deleted by: nothing may have gone then. */
static void random_erase(struct af_store *store, struct af_store *oracle, struct af_prng *prng, bool may_refuse)
{
    struct thicket thicket;
    struct af_scan scan = random_scan(prng, &thicket);
    if (af_prng_below(prng, 4) == 0)
        scan.measurement = NULL;
    if (may_refuse && af_store_erase(store, &scan, &err) == AF_EUNSUPPORTED)
        return;
    erase(store, scan);
    erase(oracle, scan);
}

/* For messages. */
static void describe(const struct af_predicate *predicate, struct af_buf *out)
{
    static const char *const words[] = { "and", "or", "not" };
    if (predicate == NULL) {
        af_buf_append_str(out, "all");
    } else if (predicate->op >= AF_PREDICATE_EQUAL) {
        af_buf_printf(out, "%.*s%s'%.*s'", AF_SLICE_ARG(predicate->tag), predicate->op == AF_PREDICATE_EQUAL ? "=" : "!=",
                      AF_SLICE_ARG(predicate->value));
    } else {
        af_buf_printf(out, "%s(", words[predicate->op]);
        for (size_t i = 0; i < predicate->item_count; i++) {
            af_buf_append_str(out, i > 0 ? ", " : "");
            describe(predicate->items[i], out);
        }
        af_buf_append_char(out, ')');
    }
}

static void differ(bool is_list, enum af_listing what, const struct af_scan *scan, struct af_buf *got, struct af_buf *want)
{
    struct af_buf text;
    af_buf_init(&text, 1 << 16);
    describe(scan->predicate, &text);
    af_test_failed(__FILE__, __LINE__, "%s: %s %d of %s [%lld, %lld) tag %s where %s gives\n%s\nthe oracle says\n%s", contract_running,
                   is_list ? "listing" : "scan", (int)what, scan->measurement != NULL ? scan->measurement : "all",
                   (long long)scan->start_ns, (long long)scan->stop_ns, scan->tag != NULL ? scan->tag : "", af_buf_cstr(&text),
                   af_buf_cstr(got), af_buf_cstr(want));
}

static void same(struct af_store *store, struct af_store *oracle, bool is_list, enum af_listing what, const struct af_scan *scan)
{
    struct af_buf got, want;
    af_buf_init(&got, 1 << 26);
    af_buf_init(&want, 1 << 26);
    for (int i = 0; i < 2; i++)
        if (is_list)
            contract_list(i == 0 ? store : oracle, what, scan, i == 0 ? &got : &want);
        else
            af_contract_dump(i == 0 ? store : oracle, scan, i == 0 ? &got : &want);
    if (!af_slice_eq(af_buf_slice(&got), af_buf_slice(&want)))
        differ(is_list, what, scan, &got, &want);
    af_buf_done(&got);
    af_buf_done(&want);
}

/* With a predicate measurements are listed by their series, which do not linger. */
static void random_look(struct af_store *store, struct af_store *oracle, struct af_prng *prng, bool may_linger)
{
    static const struct af_predicate any = { .op = AF_PREDICATE_AND };
    static const enum af_listing listings[] = { AF_LIST_MEASUREMENTS, AF_LIST_TAG_KEYS, AF_LIST_TAG_VALUES, AF_LIST_SERIES };
    struct thicket thicket;
    struct af_scan scan = random_scan(prng, &thicket);
    same(store, oracle, false, 0, &scan);
    scan.tag = tags[af_prng_below(prng, 3)];
    if (af_prng_below(prng, 3) == 0)
        scan.measurement = NULL;
    if (scan.predicate == NULL && may_linger)
        scan.predicate = &any;
    same(store, oracle, true, listings[af_prng_below(prng, 4)], &scan);
}

static void random_work_equals_the_oracle(const struct af_contract *contract)
{
    struct af_store *store = contract->open(contract->ctx);
    struct af_store *oracle = contract->oracle(contract->ctx);
    struct af_prng prng = { 20260102 };
    contract_put(store, "m f=1,i=1i,s=\"1\",b=t 0\nn\\ n f=1,i=1i,s=\"1\",b=t 0\n"); /* the types */
    contract_put(oracle, "m f=1,i=1i,s=\"1\",b=t 0\nn\\ n f=1,i=1i,s=\"1\",b=t 0\n");
    for (int round = 0; round < 40; round++) {
        random_write(store, oracle, &prng);
        random_look(store, oracle, &prng, contract->may_linger);
        random_erase(store, oracle, &prng, contract->is_flux);
        random_look(store, oracle, &prng, contract->may_linger);
    }
    for (size_t i = 0; i < 2; i++) {
        struct af_scan scan = { .measurement = measurements[i], .start_ns = INT64_MIN, .stop_ns = INT64_MAX };
        same(store, oracle, false, 0, &scan);
        same(store, oracle, true, AF_LIST_SERIES, &scan);
    }
    af_store_close(store);
    af_store_close(oracle);
}

void contract_erases(const struct af_contract *contract)
{
    contract_with(contract, erased_ranges_are_half_open);
    contract_with(contract, erased_extremes);
    contract_with(contract, erased_over_years);
    contract_with(contract, erased_measurements);
    contract_with(contract, erased_predicates);
    contract_with(contract, erased_by_missing_tags);
    contract_with(contract, written_again_after);
    contract_with(contract, erased_when_empty);
    if (contract->oracle != NULL)
        random_work_equals_the_oracle(contract);
}

/* store_contract_select.c - the suite of store_contract.h: which series a predicate takes, and listings of tags and series. */
#include "test/lib/store_contract_int.h"
#include "test/lib/store_contract_predicates.h"
#include "test/lib/test.h"

/* The field v says which point it is. */
static const char points[] = "m v=0i 10\n"
                             "m,t=a v=1i 11\n"
                             "m,t=a,u=x v=2i 12\n"
                             "m,k\\ \\,\\=\"=1,t=b v=3i 13\n"
                             "m,t=c\\,\\ \\=d,u=\"q\" v=4i 14\n"
                             "m,t=it's\\e,u=${x} v=5i 15\n"
                             "n,t=a w=1i 16\n"
                             "n\\ n,u=x w=1i 17\n";

/* `want`: the numbers of the points in m that match. */
static void matches(struct af_store *store, const struct af_predicate *predicate, const char *want)
{
    struct af_scan scan = contract_everything;
    struct af_buf got;
    char seen[8] = { 0 };
    size_t count = 0;
    scan.predicate = predicate;
    af_buf_init(&got, 1 << 20);
    af_contract_dump(store, &scan, &got);
    const char *at = af_buf_cstr(&got);
    for (int digit = 0; digit < 7; digit++) {
        char part[] = { ' ', 'v', '=', (char)('0' + digit), 'i', '\n', '\0' };
        if (strstr(at, part) != NULL)
            seen[count++] = (char)('0' + digit);
    }
    if (strcmp(seen, want) != 0)
        af_test_failed(__FILE__, __LINE__, "%s: the predicate takes %s, want %s", contract_running, seen, want);
    af_buf_done(&got);
}

static void predicates_compare_tags(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, points);
    matches(store, NULL, "012345");
    matches(store, P_EQ("t", "a"), "12");
    matches(store, P_NE("t", "a"), "0345");
    matches(store, P_EQ("t", ""), "0");
    matches(store, P_NE("t", ""), "12345");
    matches(store, P_EQ("u", ""), "013");
    matches(store, P_NE("u", "x"), "01345");
    matches(store, P_EQ("nowhere", ""), "012345");
    matches(store, P_NE("nowhere", ""), "");
    matches(store, P_EQ("nowhere", "x"), "");
    matches(store, P_NE("nowhere", "x"), "012345");
    matches(store, P_EQ("", ""), "012345");
    matches(store, P_EQ("", "x"), "");
    matches(store, P_EQ("v", ""), "012345"); /* the field does not count */
    matches(store, P_NE("v", "1"), "012345");
}

static void predicates_take_any_text(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, points);
    matches(store, P_EQ("t", "c, =d"), "4");
    matches(store, P_EQ("t", "c\\,\\ \\=d"), "");
    matches(store, P_EQ("u", "\"q\""), "4");
    matches(store, P_EQ("u", "q"), "");
    matches(store, P_EQ("t", "it's\\e"), "5");
    matches(store, P_EQ("t", "it\\'s\\e"), "");
    matches(store, P_EQ("u", "${x}"), "5");
    matches(store, P_EQ("k ,=\"", "1"), "3");
    matches(store, P_NE("k ,=\"", ""), "3");
    matches(store, P_EQ("t", "' OR t != '"), "");
    matches(store, P_EQ("t", "\" or r.t != \""), "");
    matches(store, P_EQ("t", "\xc3\xa9\n"), "");
    matches(store, P_EQ("t' = '' OR u", "x"), "");
}

static void predicates_combine(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    contract_put(store, points);
    matches(store, P_AND(P_EQ("t", "a"), P_EQ("u", "")), "1");
    matches(store, P_AND(P_EQ("t", "a"), P_EQ("t", "b")), "");
    matches(store, P_OR(P_EQ("t", "b"), P_EQ("u", "x")), "23");
    matches(store, P_OR(P_EQ("t", "b"), P_NE("t", "b")), "012345");
    matches(store, P_NOT(P_EQ("t", "a")), "0345");
    matches(store, P_NOT(P_EQ("u", "")), "245");
    matches(store, P_NOT(P_NOT(P_EQ("t", "a"))), "12");
    matches(store, P_NOT(P_AND(P_EQ("t", "a"), P_EQ("u", "x"))), "01345");
    matches(store, P_NOT(P_OR(P_EQ("t", "a"), P_NE("u", ""))), "03");
    matches(store, P_AND(P_OR(P_EQ("t", "a"), P_EQ("t", "b")), P_NOT(P_EQ("u", "x"))), "13");
    matches(store, P_OR(P_AND(P_EQ("t", "a"), P_EQ("u", "x")), P_AND(P_NE("t", "a"), P_EQ("u", ""))), "023");
    matches(store, P_AND(P_EQ("t", "a")), "12");
    matches(store, P_ALL, "012345");
    matches(store, P_NONE, "");
    matches(store, P_NOT(P_ALL), "");
    matches(store, P_NOT(P_NONE), "012345");
    matches(store, P_AND(P_EQ("t", "b"), P_ALL), "3");
    matches(store, P_AND(P_EQ("t", "b"), P_NONE), "");
    matches(store, P_OR(P_EQ("t", "b"), P_NONE), "3");
    matches(store, P_OR(P_EQ("t", "b"), P_ALL), "012345");
}

static void predicates_meet_ranges_and_fields(struct af_store *store, const struct af_contract *contract)
{
    static const char *const v[] = { "v" };
    (void)contract;
    contract_put(store, points);
    contract_put(store, "m,t=a z=1i 11\nm,t=a z=2i 20\n");
    struct af_scan scan = { .measurement = "m", .start_ns = 11, .stop_ns = 12, .predicate = P_EQ("t", "a") };
    contract_check_scan(store, scan, "m,t=a 11 v=1i z=1i\n");
    scan.stop_ns = INT64_MAX;
    contract_check_scan(store, scan, "m,t=a 11 v=1i z=1i\nm,t=a 20 z=2i\nm,t=a,u=x 12 v=2i\n");
    scan.fields = v;
    scan.field_count = 1;
    contract_check_scan(store, scan, "m,t=a 11 v=1i\nm,t=a,u=x 12 v=2i\n");
    scan.measurement = "n";
    contract_check_scan(store, scan, "");
    scan.fields = NULL;
    scan.field_count = 0;
    contract_check_scan(store, scan, "n,t=a 16 w=1i\n");
}

/* A tag with the name of a field. Flux cannot hold the two apart (docs/formats/influxdb-http.md). */
static void predicates_mean_tags_not_fields(struct af_store *store, const struct af_contract *contract)
{
    if (contract->is_flux)
        return;
    contract_put(store, "m,v=1 v=1i 1\nm v=2i 2\nm,v=2 v=3i 3\n");
    matches(store, P_EQ("v", "1"), "1");
    matches(store, P_EQ("v", ""), "2");
    matches(store, P_NE("v", "2"), "12");
}

static void tags_are_listed(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    struct af_scan m = { .measurement = "m" };
    contract_check_list(store, AF_LIST_TAG_KEYS, m, "");
    contract_put(store, points);
    contract_check_list(store, AF_LIST_TAG_KEYS, m, "k ,=\"\nt\nu\n");
    contract_check_list(store, AF_LIST_TAG_KEYS, (struct af_scan){ .measurement = "n" }, "t\n");
    contract_check_list(store, AF_LIST_TAG_KEYS, (struct af_scan){ .measurement = "nowhere" }, "");
    contract_check_list(store, AF_LIST_TAG_KEYS, (struct af_scan){ 0 }, "k ,=\"\nt\nu\n");
    contract_check_list(store, AF_LIST_TAG_KEYS, (struct af_scan){ .measurement = "m", .predicate = P_EQ("u", "") }, "k ,=\"\nt\n");
    contract_check_list(store, AF_LIST_TAG_KEYS, (struct af_scan){ .measurement = "m", .predicate = P_NONE }, "");
    m.tag = "t";
    contract_check_list(store, AF_LIST_TAG_VALUES, m, "a\nb\nc, =d\nit's\\e\n");
    m.predicate = P_NE("u", "");
    contract_check_list(store, AF_LIST_TAG_VALUES, m, "a\nc, =d\nit's\\e\n");
    m.predicate = NULL;
    m.tag = "k ,=\"";
    contract_check_list(store, AF_LIST_TAG_VALUES, m, "1\n");
    m.tag = "nowhere";
    contract_check_list(store, AF_LIST_TAG_VALUES, m, "");
    contract_check_list(store, AF_LIST_TAG_VALUES, (struct af_scan){ .measurement = "nowhere", .tag = "t" }, "");
    contract_check_list(store, AF_LIST_TAG_VALUES, (struct af_scan){ .tag = "u" }, "\"q\"\n${x}\nx\n");
}

static void series_are_listed(struct af_store *store, const struct af_contract *contract)
{
    (void)contract;
    struct af_scan m = { .measurement = "m" };
    contract_check_list(store, AF_LIST_SERIES, m, "");
    contract_put(store, points);
    contract_check_list(store, AF_LIST_SERIES, m,
                        "m\nm,k\\ \\,\\=\"=1,t=b\nm,t=a\nm,t=a,u=x\nm,t=c\\,\\ \\=d,u=\"q\"\nm,t=it's\\e,u=${x}\n");
    m.predicate = P_OR(P_EQ("t", ""), P_EQ("u", "x"));
    contract_check_list(store, AF_LIST_SERIES, m, "m\nm,t=a,u=x\n");
    m.measurement = "nowhere";
    contract_check_list(store, AF_LIST_SERIES, m, "");
    m.measurement = NULL;
    contract_check_list(store, AF_LIST_SERIES, m, "m\nm,t=a,u=x\nn\\ n,u=x\n");
    m.predicate = P_EQ("t", "a");
    contract_check_list(store, AF_LIST_SERIES, m, "m,t=a\nm,t=a,u=x\nn,t=a\n");
    contract_check_list(store, AF_LIST_MEASUREMENTS, m, "m\nn\n");
    m.predicate = P_EQ("t", "");
    contract_check_list(store, AF_LIST_MEASUREMENTS, m, "m\nn n\n");
    m.predicate = P_NONE;
    contract_check_list(store, AF_LIST_MEASUREMENTS, m, "");
    contract_check_list(store, AF_LIST_SERIES, m, "");
}

void contract_selects(const struct af_contract *contract)
{
    contract_with(contract, predicates_compare_tags);
    contract_with(contract, predicates_take_any_text);
    contract_with(contract, predicates_combine);
    contract_with(contract, predicates_meet_ranges_and_fields);
    contract_with(contract, predicates_mean_tags_not_fields);
    contract_with(contract, tags_are_listed);
    contract_with(contract, series_are_listed);
}

/* index_test.c - the series index against a plain list of keys: ids, order, tags, the file and its damages. */
#include "base/alloc.h"
#include "base/prng.h"
#include "base/regex.h"
#include "os/fault.h"
#include "test/lib/test.h"
#include "tsm/index_int.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct af_error err;

static const char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", af_test_dir(), name);
    return path;
}

static struct af_index *open_at(const char *path)
{
    struct af_index *index;
    AF_CHECK_OK(af_index_open(path, &index, &err), err);
    return index;
}

static uint32_t add(struct af_index *index, const char *key)
{
    uint32_t id;
    AF_CHECK_OK(af_index_add(index, af_slice_of(key), &id, &err), err);
    return id;
}

/* Keys of a random bucket: few measurements (one a prefix of another, with bytes before '#' and ','), some tags, some escapes. */
static size_t random_key(struct af_prng *prng, char *out, size_t cap)
{
    static const char *const names[] = { "m", "m!", "m$", "power\\ plant", "m\\,x", "a-rather-long-measurement-name" };
    static const char *const values[] = { "north", "south", "s", "south!", "south-east", "a\\ b", "a\\=b", "1", "2" };
    size_t len = (size_t)snprintf(out, cap, "%s", names[af_prng_below(prng, 6)]);
    for (char tag = 'a'; tag < 'f'; tag++)
        if (af_prng_below(prng, 3) != 0)
            len += (size_t)snprintf(out + len, cap - len, ",%c%s=%s%u", tag, tag == 'c' ? "\\ c" : "", values[af_prng_below(prng, 9)],
                                    (unsigned)af_prng_below(prng, tag == 'd' ? 200 : 1));
    return len;
}

struct model {
    struct af_series_set keys; /* id = id of the index */
    bool *hidden;
};

static struct model fill(struct af_index *index, int rounds, uint64_t seed)
{
    struct af_prng prng = { seed };
    struct model model = { .hidden = calloc((size_t)rounds, 1) };
    af_series_set_init(&model.keys);
    for (int i = 0; i < rounds; i++) {
        char key[256];
        struct af_slice s = af_slice_make(key, random_key(&prng, key, sizeof key));
        uint32_t id, want;
        AF_CHECK_OK(af_intern_add(&model.keys.keys, s, &want, &err), err);
        AF_CHECK_OK(af_index_add(index, s, &id, &err), err);
        AF_CHECK_INT(id, want);
        AF_CHECK_INT(af_index_find(index, s), want);
    }
    return model;
}

static void check_ids(struct af_index *index, const struct model *model)
{
    uint32_t count = model->keys.keys.count, live = 0;
    for (uint32_t id = 0; id < count; id++) {
        struct af_slice key = model->keys.keys.keys[id];
        AF_CHECK(af_slice_eq(af_index_key(index, id), key));
        AF_CHECK_INT(af_index_find(index, key), id);
        AF_CHECK(af_slice_eq(af_index_measurement_name(index, af_index_measurement(index, id)), af_key_measurement_raw(key)));
        live += !model->hidden[id];
    }
    AF_CHECK_INT(af_index_count(index), live);
}

static const struct model *comparing;

static int by_tsm_key(const void *a, const void *b)
{
    struct af_slice x = comparing->keys.keys.keys[*(const uint32_t *)a];
    struct af_slice y = comparing->keys.keys.keys[*(const uint32_t *)b];
    char one[300], other[300];
    snprintf(one, sizeof one, AF_SLICE_FMT "#!~#", AF_SLICE_ARG(x));
    snprintf(other, sizeof other, AF_SLICE_FMT "#!~#", AF_SLICE_ARG(y));
    return strcmp(one, other);
}

static void check_select(struct af_index *index, const struct model *model, const char *measurement, const struct af_predicate *predicate)
{
    struct af_arena arena;
    af_arena_init(&arena, SIZE_MAX);
    uint32_t count = model->keys.keys.count;
    uint32_t *want = af_arena_array(&arena, count, sizeof *want);
    size_t want_count = 0;
    for (uint32_t id = 0; id < count; id++) {
        struct af_slice key = model->keys.keys.keys[id];
        if (!model->hidden[id] && (measurement == NULL || af_slice_is(af_key_measurement_raw(key), measurement)) &&
            af_predicate_match(predicate, key))
            want[want_count++] = id;
    }
    comparing = model;
    qsort(want, want_count, sizeof *want, by_tsm_key);
    uint32_t *got;
    size_t got_count;
    uint32_t number = measurement != NULL ? af_index_measurement_find(index, af_slice_of(measurement)) : AF_INDEX_NONE;
    if (measurement == NULL || number != AF_INDEX_NONE) {
        uint64_t measurements, series;
        AF_CHECK_OK(af_index_select(index, number, predicate, &arena, &got, &got_count, &err), err);
        AF_CHECK_INT(got_count, want_count);
        AF_CHECK_OK(af_index_counts(index, number, predicate, &arena, &measurements, &series, &err), err);
        AF_CHECK_INT(series, want_count);
        if (measurement != NULL)
            AF_CHECK_INT(measurements, want_count > 0);
        for (size_t i = 0; i < got_count; i++)
            AF_CHECK_INT(got[i], want[i]);
    }
    af_arena_done(&arena);
}

static void check_selects(struct af_index *index, const struct model *model)
{
    const struct af_predicate a = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("a"), .value = AF_SLICE_LIT("south0") };
    const struct af_predicate c = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("c c"), .value = AF_SLICE_LIT("a b0") };
    const struct af_predicate d = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("d"), .value = AF_SLICE_LIT("") };
    const struct af_predicate e = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("e"), .value = AF_SLICE_LIT("s0") };
    const struct af_predicate none = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("z"), .value = AF_SLICE_LIT("") };
    const struct af_predicate *some[] = { &a, &c }, *most[] = { &d, &e, &none };
    const struct af_predicate or = { .op = AF_PREDICATE_OR, .items = some, .item_count = 2 };
    const struct af_predicate and = { .op = AF_PREDICATE_AND, .items = most, .item_count = 3 };
    const struct af_predicate *mix[] = { &or, &and };
    const struct af_predicate both = { .op = AF_PREDICATE_AND, .items = mix, .item_count = 2 };
    const struct af_predicate *in[] = { &both };
    const struct af_predicate not = { .op = AF_PREDICATE_NOT, .items = in, .item_count = 1 };
    const struct af_predicate nothing = { .op = AF_PREDICATE_OR }, all = { .op = AF_PREDICATE_AND };
    struct af_regex *regexes[4];
    static const char *const patterns[] = { "^s", "^(south0|north0|)$", "^a b0$", "0$" };
    for (int i = 0; i < 4; i++)
        AF_CHECK_OK(af_regex_new(af_slice_of(patterns[i]), &regexes[i], &err), err);
    const struct af_predicate starts = { .op = AF_PREDICATE_MATCH, .tag = AF_SLICE_LIT("a"), .regex = regexes[0] };
    const struct af_predicate one_of = { .op = AF_PREDICATE_NOT_MATCH, .tag = AF_SLICE_LIT("a"), .regex = regexes[1] };
    const struct af_predicate exact = { .op = AF_PREDICATE_MATCH, .tag = AF_SLICE_LIT("c c"), .regex = regexes[2] };
    const struct af_predicate ends = { .op = AF_PREDICATE_MATCH, .tag = AF_SLICE_LIT("d"), .regex = regexes[3] };
    const struct af_predicate absent = { .op = AF_PREDICATE_NOT_MATCH, .tag = AF_SLICE_LIT("z"), .regex = regexes[1] };
    const struct af_predicate *list[] = { NULL, &a, &c, &d, &e, &none, &or, &and, &both, &not, &nothing, &all,
                                          &starts, &one_of, &exact, &ends, &absent };
    const char *const names[] = { NULL, "m", "m!", "m$", "m\\,x", "a-rather-long-measurement-name", "absent" };
    for (size_t i = 0; i < sizeof list / sizeof *list; i++)
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            check_select(index, model, names[k], list[i]);
    for (int i = 0; i < 4; i++)
        af_regex_free(regexes[i]);
}

static void done(struct model *model)
{
    free(model->hidden);
    af_series_set_done(&model->keys);
}

AF_TEST(index_against_a_list)
{
    struct af_index *index = open_at(path_of("series"));
    struct model model = fill(index, 4000, 1);
    check_ids(index, &model);
    check_selects(index, &model);
    AF_CHECK_OK(af_index_sync(index, &err), err);
    for (uint32_t id = 0; id < model.keys.keys.count; id += 3) {
        af_index_hide(index, id);
        model.hidden[id] = true;
    }
    check_ids(index, &model);
    check_selects(index, &model);
    AF_CHECK_OK(af_index_sync(index, &err), err);
    for (uint32_t id = 0; id < model.keys.keys.count; id += 6) { /* again, in three ways */
        uint32_t again;
        AF_CHECK_OK(af_index_add(index, model.keys.keys.keys[id], &again, &err), err);
        AF_CHECK_INT(again, id);
        model.hidden[id] = false;
    }
    AF_CHECK_OK(af_index_sync(index, &err), err);
    uint64_t bytes = af_index_bytes(index);
    AF_CHECK(bytes > 100 * 1024 && bytes < 4000 * 400);
    af_index_close(index);
    index = open_at(path_of("series"));
    check_ids(index, &model);
    check_selects(index, &model);
    af_index_close(index);
    done(&model);
}

/* Order and tags are extended, not made again: small steps, large steps, all compared. */
AF_TEST(index_grows_between_selects)
{
    struct af_index *index = open_at(path_of("series"));
    struct model model = { .hidden = calloc(30000, 1) };
    struct af_prng prng = { 7 };
    af_series_set_init(&model.keys);
    for (int step = 0; step < 12; step++) {
        for (uint64_t n = af_prng_below(&prng, step % 3 == 0 ? 900 : 12); n > 0; n--) {
            char key[256];
            struct af_slice s = af_slice_make(key, random_key(&prng, key, sizeof key));
            uint32_t id, want;
            AF_CHECK_OK(af_intern_add(&model.keys.keys, s, &want, &err), err);
            AF_CHECK_OK(af_index_add(index, s, &id, &err), err);
        }
        check_selects(index, &model);
    }
    af_index_close(index);
    done(&model);
}

AF_TEST(order_of_keys)
{
    static const char *const keys[] = { "m", "m!", "m#", "m#!~", "m#!~#x", "m,a=b", "m,a=b!", "m,a=b#", "m,a=b,c=d", "m,a=b1",
                                        "mmmmmmmm", "mmmmmmmm#!", "mmmmmmmmm", "mmmmmmmmmmmmmmmm", "mmmmmmm", "mmmmm", "mmmm" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            struct af_slice a = af_slice_of(keys[i]), b = af_slice_of(keys[k]);
            int want = af_tsm_key_compare(a, AF_SLICE_LIT(""), b, AF_SLICE_LIT(""));
            int got = index_compare(a, b);
            AF_CHECK_INT((got > 0) - (got < 0), (want > 0) - (want < 0));
        }
}

/* Long common beginnings, many equal words, ascending and descending: shapes that a quicksort minds. */
AF_TEST(sorting_awkward_sets)
{
    for (int shape = 0; shape < 4; shape++) {
        char path[32];
        snprintf(path, sizeof path, "shape%d", shape);
        struct af_index *index = open_at(path_of(path));
        struct model model = { .hidden = calloc(5000, 1) };
        af_series_set_init(&model.keys);
        for (unsigned i = 0; i < 5000; i++) {
            char key[300];
            uint32_t id, want;
            unsigned n = shape == 0 ? i : shape == 1 ? 5000 - i : shape == 2 ? i * 2654435761u : i % 7 * 1000 + i / 7;
            int len = shape == 3 ? snprintf(key, sizeof key, "m,a=%0*u", (int)(n % 200 + 1), n)
                                 : snprintf(key, sizeof key, "a_measurement_with_a_long_name,tag=the_same_for_all_of_them,b=%u", n);
            AF_CHECK_OK(af_intern_add(&model.keys.keys, af_slice_make(key, (size_t)len), &want, &err), err);
            AF_CHECK_OK(af_index_add(index, af_slice_make(key, (size_t)len), &id, &err), err);
            AF_CHECK_INT(id, want);
        }
        check_select(index, &model, shape == 3 ? "m" : "a_measurement_with_a_long_name", NULL);
        af_index_close(index);
        done(&model);
    }
}

static void check_names(const struct af_slice *got, size_t count, const char *want)
{
    char text[1000] = "";
    for (size_t i = 0, at = 0; i < count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "[" AF_SLICE_FMT "]", AF_SLICE_ARG(got[i]));
    AF_CHECK_STR(text, want);
}

AF_TEST(tags)
{
    struct af_index *index = open_at(path_of("series"));
    struct af_arena arena;
    struct af_slice *names;
    size_t count;
    af_arena_init(&arena, SIZE_MAX);
    add(index, "m,host=a,zone=x\\ y");
    add(index, "m,host=b,rack\\=1=7");
    uint32_t gone = add(index, "m,host=c,only=here");
    add(index, "n,other=1");
    AF_CHECK_OK(af_index_tag_keys(index, 0, NULL, &arena, &names, &count, &err), err);
    check_names(names, count, "[host][only][rack=1][zone]");
    AF_CHECK_OK(af_index_tag_values(index, 0, AF_SLICE_LIT("host"), NULL, &arena, &names, &count, &err), err);
    check_names(names, count, "[a][b][c]");
    AF_CHECK_OK(af_index_tag_values(index, 0, AF_SLICE_LIT("zone"), NULL, &arena, &names, &count, &err), err);
    check_names(names, count, "[x y]");
    const struct af_predicate has_zone = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("zone"), .value = AF_SLICE_LIT("") };
    AF_CHECK_OK(af_index_tag_values(index, 0, AF_SLICE_LIT("host"), &has_zone, &arena, &names, &count, &err), err);
    check_names(names, count, "[a]");
    af_index_hide(index, gone);
    add(index, "m,host=0,new=");
    AF_CHECK_OK(af_index_tag_keys(index, 0, NULL, &arena, &names, &count, &err), err);
    check_names(names, count, "[host][rack=1][zone]");
    AF_CHECK_OK(af_index_tag_values(index, 0, AF_SLICE_LIT("host"), NULL, &arena, &names, &count, &err), err);
    check_names(names, count, "[0][a][b]");
    AF_CHECK_OK(af_index_tag_values(index, 0, AF_SLICE_LIT("none"), NULL, &arena, &names, &count, &err), err);
    AF_CHECK_INT(count, 0);
    AF_CHECK_OK(af_index_tag_keys(index, 77, NULL, &arena, &names, &count, &err), err);
    AF_CHECK_INT(count, 0);
    af_arena_done(&arena);
    af_index_close(index);
}

/* --- named series and groups ---------------------------------------------------------------------------------------------- */

AF_TEST(named_series)
{
    struct af_index *index = open_at(path_of("series"));
    struct af_arena arena;
    uint32_t *ids;
    size_t count;
    const struct af_predicate north = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("r"), .value = AF_SLICE_LIT("north") };
    af_arena_init(&arena, SIZE_MAX);
    uint32_t b = add(index, "m,r=north"), hidden = add(index, "m,r=gone"), a = add(index, "m"), other = add(index, "n");
    af_index_hide(index, hidden);
    const struct af_slice keys[] = { AF_SLICE_LIT("m,r=north"), AF_SLICE_LIT("n"), AF_SLICE_LIT("nowhere"), AF_SLICE_LIT("m,r=gone"),
                                     AF_SLICE_LIT("m"), AF_SLICE_LIT("") };
    AF_CHECK_OK(af_index_pick(index, af_index_measurement(index, a), NULL, keys, 6, &arena, &ids, &count, &err), err);
    AF_CHECK(count == 2 && ids[0] == b && ids[1] == a);
    AF_CHECK_OK(af_index_pick(index, af_index_measurement(index, a), &north, keys, 6, &arena, &ids, &count, &err), err);
    AF_CHECK(count == 1 && ids[0] == b);
    AF_CHECK_OK(af_index_pick(index, af_index_measurement(index, other), NULL, keys, 6, &arena, &ids, &count, &err), err);
    AF_CHECK(count == 1 && ids[0] == other);
    af_arena_done(&arena);
    af_index_close(index);
}

static struct af_slice tag_text(struct af_slice key, const char *name, char *out, size_t cap)
{
    struct af_slice tag, value;
    struct af_buf one, two;
    size_t at = 0;
    out[0] = '\0';
    af_buf_init(&one, SIZE_MAX);
    af_buf_init(&two, SIZE_MAX);
    while (af_key_next_tag(key, &at, &tag, &value))
        if (af_slice_is(af_key_unescape(tag, &one), name)) {
            value = af_key_unescape(value, &two);
            snprintf(out, cap, "%.*s", (int)value.len, value.ptr);
        }
    af_buf_done(&one);
    af_buf_done(&two);
    return af_slice_of(out);
}

/* Every series is in a group of its own values, and the groups ascend. */
static void check_groups(struct af_index *index, const char *measurement, const struct af_slice *tags, size_t tag_count)
{
    struct af_arena arena;
    struct af_slice *values;
    uint32_t *ids, *groups;
    size_t count, group_count;
    af_arena_init(&arena, SIZE_MAX);
    uint32_t number = af_index_measurement_find(index, af_slice_of(measurement));
    AF_CHECK_OK(af_index_select(index, number, NULL, &arena, &ids, &count, &err), err);
    AF_CHECK_OK(af_index_group(index, number, ids, count, tags, tag_count, &arena, &groups, &values, &group_count, &err), err);
    AF_CHECK(count > 0 && group_count > 0 && group_count <= count);
    bool *seen = af_arena_zero(&arena, group_count, sizeof *seen);
    for (size_t i = 0; i < count; i++) {
        char text[64];
        AF_CHECK(groups[i] < group_count);
        seen[groups[i]] = true;
        for (size_t t = 0; t < tag_count; t++)
            AF_CHECK(af_slice_eq(values[groups[i] * tag_count + t], tag_text(af_index_key(index, ids[i]), tags[t].ptr, text, sizeof text)));
    }
    for (size_t g = 0; g < group_count; g++) {
        int order = 0;
        AF_CHECK(seen[g]);
        for (size_t t = 0; g > 0 && t < tag_count && order == 0; t++)
            order = af_slice_cmp(values[(g - 1) * tag_count + t], values[g * tag_count + t]);
        AF_CHECK(g == 0 || order < 0);
    }
    af_arena_done(&arena);
}

AF_TEST(groups_of_series)
{
    struct af_index *index = open_at(path_of("series"));
    struct model model = fill(index, 3000, 5);
    const struct af_slice tags[] = { AF_SLICE_LIT("a"), AF_SLICE_LIT("c c"), AF_SLICE_LIT("d"), AF_SLICE_LIT("z") };
    for (size_t first = 0; first < 4; first++)
        for (size_t n = 0; n + first <= 4; n++)
            check_groups(index, first % 2 == 0 ? "m" : "m\\,x", tags + first, n);
    af_index_close(index);
    done(&model);
}

AF_TEST(keys_that_are_refused)
{
    struct af_index *index = open_at(path_of("series"));
    char *key = malloc(70000);
    uint32_t id;
    memset(key, 'k', 70000);
    AF_CHECK_FAILS(af_index_add(index, AF_SLICE_LIT(""), &id, &err), AF_EINVAL);
    AF_CHECK_FAILS(af_index_add(index, af_slice_make(key, 65536), &id, &err), AF_EINVAL);
    AF_CHECK_OK(af_index_add(index, af_slice_make(key, 65535), &id, &err), err);
    AF_CHECK_INT(af_index_find(index, af_slice_make(key, 65535)), 0);
    AF_CHECK_INT(af_index_find(index, af_slice_make(key, 65534)), AF_INDEX_NONE);
    AF_CHECK_OK(af_index_sync(index, &err), err);
    af_index_close(index);
    index = open_at(path_of("series"));
    AF_CHECK_INT(af_index_find(index, af_slice_make(key, 65535)), 0);
    af_index_close(index);
    free(key);
}

/* --- resolve -------------------------------------------------------------------------------------------------------------- */

static struct af_points points_of(const struct af_series_set *set, const uint32_t *series, size_t rows)
{
    return (struct af_points){ .row_count = rows, .set = set, .series = series };
}

AF_TEST(resolve_with_and_without_memo)
{
    struct af_index *index = open_at(path_of("series")), *other = open_at(path_of("other"));
    struct af_tsm_series_memo *memo = af_tsm_series_memo_new();
    struct af_series_set set;
    struct af_arena arena;
    struct af_prng prng = { 3 };
    af_series_set_init(&set);
    af_arena_init(&arena, SIZE_MAX);
    add(other, "before");
    for (int round = 0; round < 200; round++) {
        uint32_t series[100], *ids;
        if (round % 50 == 49)
            af_series_set_clear(&set);
        for (size_t i = 0; i < 100; i++) {
            char key[256];
            AF_CHECK_OK(af_intern_add(&set.keys, af_slice_make(key, random_key(&prng, key, sizeof key)), &series[i], &err), err);
            if (i % 9 == 8)
                series[i] = UINT32_MAX;
        }
        struct af_index *to = round % 5 == 0 ? other : index;
        struct af_points points = points_of(&set, series, 100);
        for (int again = 0; again < 2; again++) {
            AF_CHECK_OK(af_index_resolve(to, &points, round % 7 == 0 ? NULL : memo, &arena, &ids, &err), err);
            for (size_t i = 0; i < 100; i++)
                if (series[i] == UINT32_MAX)
                    AF_CHECK_INT(ids[i], AF_INDEX_NONE);
                else
                    AF_CHECK(af_slice_eq(af_index_key(to, ids[i]), set.keys.keys[series[i]]));
        }
        uint64_t live = af_index_count(to);
        af_index_hide(to, ids[0]); /* a memo must not write to it unseen */
        AF_CHECK_INT(af_index_count(to), live - 1);
        AF_CHECK_OK(af_index_resolve(to, &points, memo, &arena, &ids, &err), err);
        AF_CHECK_INT(af_index_count(to), live);
        af_index_hide(to, ids[0]);
        af_index_show(to, ids, 100);
        AF_CHECK_INT(af_index_count(to), live);
        af_arena_reset(&arena);
    }
    af_tsm_series_memo_free(memo);
    af_arena_done(&arena);
    af_series_set_done(&set);
    af_index_close(index);
    af_index_close(other);
}

/* --- the file ------------------------------------------------------------------------------------------------------------- */

static struct af_slice read_file(const char *path)
{
    struct af_buf bytes;
    af_buf_init(&bytes, 1 << 30);
    AF_CHECK_OK(af_file_read_all(path, &bytes, &err), err);
    return af_buf_slice(&bytes);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");
    AF_CHECK(file != NULL && fwrite(bytes, 1, len, file) == len);
    AF_CHECK(fclose(file) == 0);
}

static void make_file(const char *path)
{
    struct af_index *index = open_at(path);
    add(index, "m,a=1");
    add(index, "m,a=2");
    AF_CHECK_OK(af_index_sync(index, &err), err);
    AF_CHECK_OK(af_index_sync(index, &err), err);
    add(index, "n,a=3");
    af_index_hide(index, 1);
    AF_CHECK_OK(af_index_sync(index, &err), err);
    af_index_close(index);
}

/* Cut anywhere: what is there is a beginning of the whole, and adding goes on from there. */
AF_TEST(a_torn_tail_is_cut)
{
    const char *path = path_of("series");
    make_file(path);
    struct af_slice whole = read_file(path);
    for (size_t len = 0; len < whole.len; len++)
        for (size_t zeros = 0; zeros < 40; zeros += 39) {
            char *bytes = calloc(whole.len + 40, 1);
            memcpy(bytes, whole.ptr, len);
            write_file(path, bytes, len + zeros);
            free(bytes);
            struct af_index *index;
            enum af_status status = af_index_open(path, &index, &err);
            AF_CHECK(status == AF_OK || (zeros != 0 && status == AF_ECORRUPT));
            if (status != AF_OK)
                continue;
            uint32_t count = (uint32_t)af_index_count(index);
            AF_CHECK(count == 0 || count == 2 || count == 3);
            AF_CHECK_INT(add(index, "m,a=9"), count);
            AF_CHECK_OK(af_index_sync(index, &err), err);
            af_index_close(index);
            index = open_at(path);
            AF_CHECK_INT(af_index_find(index, AF_SLICE_LIT("m,a=9")), count);
            AF_CHECK_INT(af_index_count(index), count + 1);
            af_index_close(index);
        }
    free((void *)(uintptr_t)whole.ptr);
}

AF_TEST(every_flipped_bit_is_seen)
{
    const char *path = path_of("series");
    make_file(path);
    struct af_slice whole = read_file(path);
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        char *bytes = malloc(whole.len);
        memcpy(bytes, whole.ptr, whole.len);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        write_file(path, bytes, whole.len);
        free(bytes);
        struct af_index *index;
        AF_CHECK_FAILS(af_index_open(path, &index, &err), AF_ECORRUPT);
    }
    free((void *)(uintptr_t)whole.ptr);
}

AF_TEST(many_records)
{
    const char *path = path_of("series");
    struct af_index *index = open_at(path);
    struct model model = { .hidden = calloc(40000, 1) };
    af_series_set_init(&model.keys);
    for (unsigned i = 0; i < 40000; i++) {
        char key[100];
        uint32_t id, want;
        int len = snprintf(key, sizeof key, "generation,plant=P%05u,region=southeast,source=hydro", i);
        AF_CHECK_OK(af_intern_add(&model.keys.keys, af_slice_make(key, (size_t)len), &want, &err), err);
        AF_CHECK_OK(af_index_add(index, af_slice_make(key, (size_t)len), &id, &err), err);
        if (i % 7000 == 0)
            AF_CHECK_OK(af_index_sync(index, &err), err);
    }
    for (uint32_t id = 0; id < 40000; id++) {
        af_index_hide(index, id);
        model.hidden[id] = true;
    }
    AF_CHECK_OK(af_index_sync(index, &err), err);
    af_index_close(index);
    index = open_at(path);
    check_ids(index, &model);
    af_index_close(index);
    done(&model);
}

AF_TEST(a_full_disk_and_a_failed_sync)
{
    const char *path = path_of("series");
    struct af_index *index = open_at(path);
    add(index, "m,a=1");
    for (uint64_t nth = 1; nth < 3; nth++) {
        af_os_fault(AF_OS_WRITE, nth, 1, ENOSPC);
        AF_CHECK_FAILS(af_index_sync(index, &err), AF_EFULL);
        af_os_fault(AF_OS_WRITE, 0, 0, 0);
    }
    AF_CHECK_OK(af_index_sync(index, &err), err);
    add(index, "m,a=2");
    af_index_hide(index, 0);
    af_os_fault(AF_OS_WRITE, 2, 1, ENOSPC);
    AF_CHECK_FAILS(af_index_sync(index, &err), AF_EFULL);
    af_os_fault(AF_OS_WRITE, 0, 0, 0);
    AF_CHECK_OK(af_index_sync(index, &err), err);
    af_index_close(index);
    index = open_at(path);
    AF_CHECK_INT(af_index_find(index, AF_SLICE_LIT("m,a=2")), 1);
    AF_CHECK_INT(af_index_count(index), 1);
    add(index, "m,a=3");
    af_os_fault(AF_OS_SYNC, 1, 1, EIO);
    AF_CHECK(af_index_sync(index, &err) != AF_OK);
    af_os_fault(AF_OS_SYNC, 0, 0, 0);
    af_index_close(index);
}

/* What is not worth opening: another file, an unreadable one. */
AF_TEST(not_an_index)
{
    const char *path = path_of("series");
    struct af_index *index;
    write_file(path, "something else\n", 15);
    AF_CHECK_FAILS(af_index_open(path, &index, &err), AF_ECORRUPT);
    AF_CHECK_FAILS(af_index_open(af_test_dir(), &index, &err), AF_EINVAL);
}

/* --- no memory ------------------------------------------------------------------------------------------------------------ */

static enum af_status everything(const char *path, struct af_arena *arena)
{
    struct af_index *index;
    struct af_series_set set;
    AF_TRY(af_index_open(path, &index, &err));
    enum af_status status = AF_OK;
    af_series_set_init(&set);
    uint32_t series[70], *ids;
    for (uint32_t i = 0; i < 70 && status == AF_OK; i++) {
        char key[40];
        int len = snprintf(key, sizeof key, "m%u,a\\ b=c\\ %u,d=e", i % 3, i);
        status = af_intern_add(&set.keys, af_slice_make(key, (size_t)len), &series[i], &err);
    }
    struct af_points points = points_of(&set, series, 70);
    struct af_slice *names;
    size_t count;
    const struct af_predicate d = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("d"), .value = AF_SLICE_LIT("e") };
    const struct af_predicate *items[] = { &d };
    const struct af_predicate not = { .op = AF_PREDICATE_NOT, .items = items, .item_count = 1 };
    if (status == AF_OK)
        status = af_index_resolve(index, &points, NULL, arena, &ids, &err);
    if (status == AF_OK)
        status = af_index_select(index, AF_INDEX_NONE, &not, arena, &ids, &count, &err);
    if (status == AF_OK)
        AF_CHECK_INT(count, 0);
    if (status == AF_OK)
        status = af_index_tag_keys(index, 1, NULL, arena, &names, &count, &err);
    if (status == AF_OK)
        status = af_index_tag_values(index, 1, AF_SLICE_LIT("a b"), &d, arena, &names, &count, &err);
    if (status == AF_OK)
        AF_CHECK_INT(count, 23);
    if (status == AF_OK)
        status = af_index_sync(index, &err);
    af_series_set_done(&set);
    af_index_close(index);
    return status;
}

AF_TEST(index_without_memory)
{
    enum af_status status = AF_ENOMEM;
    for (size_t nth = 1; status != AF_OK; nth++) {
        struct af_arena arena;
        af_arena_init(&arena, SIZE_MAX);
        af_alloc_fail_nth(nth);
        status = everything(path_of("series"), &arena);
        af_alloc_fail_nth(0);
        AF_CHECK(status == AF_OK || status == AF_ENOMEM);
        AF_CHECK(nth < 2000);
        af_arena_done(&arena);
    }
}

/* One that goes on: after any failure the same calls on the same index give the right answers. */
AF_TEST(index_survives_no_memory)
{
    for (size_t nth = 1; nth < 120; nth++) {
        struct af_index *index = open_at(path_of("none"));
        struct af_arena arena;
        uint32_t *ids, id;
        size_t count;
        af_arena_init(&arena, SIZE_MAX);
        for (int again = 0; again < 2; again++) {
            af_alloc_fail_nth(again == 0 ? nth : 0);
            enum af_status status = AF_OK;
            const struct af_predicate b = { .op = AF_PREDICATE_NOT_EQUAL, .tag = AF_SLICE_LIT("b"), .value = AF_SLICE_LIT("") };
            for (uint32_t i = 0; i < 200; i++) {
                char key[60];
                int len = snprintf(key, sizeof key, "m%u,a=%u,b=\\ %u", i % 20, i, i % 7);
                enum af_status one = af_index_add(index, af_slice_make(key, (size_t)len), &id, &err);
                if (one == AF_OK && i % 50 == 0)
                    one = af_index_select(index, AF_INDEX_NONE, &b, &arena, &ids, &count, &err);
                if (one != AF_OK)
                    status = one;
            }
            af_alloc_fail_nth(0);
            AF_CHECK(status == AF_OK || (again == 0 && status == AF_ENOMEM));
        }
        AF_CHECK_OK(af_index_select(index, AF_INDEX_NONE, NULL, &arena, &ids, &count, &err), err);
        AF_CHECK_INT(count, 200);
        for (size_t i = 1; i < count; i++)
            AF_CHECK(index_compare(af_index_key(index, ids[i - 1]), af_index_key(index, ids[i])) < 0);
        AF_CHECK_OK(af_index_select(index, 3, &(struct af_predicate){ .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("b"),
                                                                       .value = AF_SLICE_LIT(" 3") }, &arena, &ids, &count, &err), err);
        size_t want = 0;
        for (uint32_t i = 0; i < 200; i++)
            want += af_predicate_match(&(struct af_predicate){ .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("b"),
                                                                .value = AF_SLICE_LIT(" 3") }, af_index_key(index, i)) &&
                    af_index_measurement(index, i) == 3;
        AF_CHECK_INT(count, want);
        af_arena_done(&arena);
        af_index_close(index);
    }
}

/* --- threads -------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, THREAD_ROUNDS = 60 };

static void run_writer(void *ctx)
{
    struct af_index *index = ctx;
    static _Atomic uint64_t seeds;
    struct af_prng prng = { atomic_fetch_add(&seeds, 1) / 2 }; /* two threads each with the same keys */
    struct af_tsm_series_memo *memo = af_tsm_series_memo_new();
    struct af_series_set set;
    struct af_arena arena;
    struct af_error own;
    af_series_set_init(&set);
    af_arena_init(&arena, SIZE_MAX);
    for (int round = 0; round < THREAD_ROUNDS; round++) {
        uint32_t series[64], *ids, *selected;
        size_t count;
        for (size_t i = 0; i < 64; i++) {
            char key[256];
            AF_CHECK_OK(af_intern_add(&set.keys, af_slice_make(key, random_key(&prng, key, sizeof key)), &series[i], &own), own);
        }
        struct af_points points = points_of(&set, series, 64);
        AF_CHECK_OK(af_index_resolve(index, &points, memo, &arena, &ids, &own), own);
        for (size_t i = 0; i < 64; i++)
            AF_CHECK(af_slice_eq(af_index_key(index, ids[i]), set.keys.keys[series[i]]));
        const struct af_predicate a = { .op = AF_PREDICATE_EQUAL, .tag = AF_SLICE_LIT("a"), .value = AF_SLICE_LIT("south0") };
        uint32_t measurement = round % 4 == 0 ? AF_INDEX_NONE : af_index_measurement(index, ids[0]);
        AF_CHECK_OK(af_index_select(index, measurement, round % 3 == 0 ? NULL : &a, &arena, &selected, &count, &own), own);
        for (size_t i = 1; i < count; i++)
            AF_CHECK(index_compare(af_index_key(index, selected[i - 1]), af_index_key(index, selected[i])) < 0);
        if (round % 8 == 0)
            AF_CHECK_OK(af_index_sync(index, &own), own);
        if (round % 5 == 0)
            af_index_hide(index, ids[0]);
        af_index_show(index, ids, 64);
        af_index_bytes(index);
        af_arena_reset(&arena);
    }
    af_tsm_series_memo_free(memo);
    af_arena_done(&arena);
    af_series_set_done(&set);
}

AF_TEST(index_threads)
{
    struct af_index *index = open_at(path_of("series"));
    struct af_thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        AF_CHECK_OK(af_thread_start(&threads[i], "index", run_writer, index, &err), err);
    for (int i = 0; i < THREADS; i++)
        af_thread_join(&threads[i]);
    AF_CHECK_OK(af_index_sync(index, &err), err);
    uint64_t live = af_index_count(index);
    af_index_close(index);
    index = open_at(path_of("series"));
    AF_CHECK_INT(af_index_count(index), live);
    af_index_close(index);
}

/*
 * prices.c - the table of prices: prices.yaml, built into the program byte for byte, and any file of the same form.
 *
 *     currency, date, hours_a_month
 *     classes:      name, units
 *     prices:       name, unit, price, region, date, assumed, source
 *     assumptions:  name, unit, value, source
 */
#include "base/numbers.h"
#include "costs/costs.h"
#include "format/yaml/yaml.h"
#include <string.h>

/* The assembler takes the file in as it is; the Makefile knows that these objects need it. */
__asm__(".pushsection .rodata\n"
        ".globl af_costs_prices_begin\n.hidden af_costs_prices_begin\naf_costs_prices_begin:\n"
        ".incbin \"src/costs/prices.yaml\"\n"
        ".globl af_costs_prices_end\n.hidden af_costs_prices_end\naf_costs_prices_end:\n.byte 0\n"
        ".popsection\n");
extern const char af_costs_prices_begin[] __attribute__((visibility("hidden")));
extern const char af_costs_prices_end[] __attribute__((visibility("hidden")));

enum { ROWS_MAX = 5000 };

struct af_slice af_prices_text(void)
{
    return af_slice_make(af_costs_prices_begin, (size_t)((uintptr_t)af_costs_prices_end - (uintptr_t)af_costs_prices_begin));
}

/* --- a row is a map of known members ---------------------------------------------------------------------------------------- */

enum kind { TEXT, NUMBER, TRUTH };
struct member {
    const char *name;
    enum kind kind;
    bool is_needed;
    void *out;
};
struct reading {
    const char *name;      /* of the file */
    struct af_arena *arena;
    struct af_error *err;
};

static enum af_status wrong(const struct reading *r, const struct af_yaml *node, const char *what, const char *wanted)
{
    return af_fail_at(r->err, AF_EINVAL, node->line, node->column, "%s:%u: %s %s", r->name, node->line, what, wanted);
}

static enum af_status take_member(const struct reading *r, const struct af_yaml *node, const struct member *member)
{
    if (node->kind != AF_YAML_SCALAR)
        return wrong(r, node, member->name, "wants one value");
    if (member->kind == TRUTH)
        return af_yaml_bool(node, member->out) ? AF_OK : wrong(r, node, member->name, "is true or false");
    if (member->kind == NUMBER) {
        double *number = member->out;
        return af_f64_parse(node->text, number) && *number >= 0 && *number <= 1e12 ? AF_OK : wrong(r, node, member->name,
                                                                                                     "wants a number from 0 to 1e12");
    }
    if (node->text.len == 0 || memchr(node->text.ptr, '\0', node->text.len) != NULL)
        return wrong(r, node, member->name, "wants a text");
    const char *text = af_arena_copy(r->arena, node->text);
    *(const char **)member->out = text;
    return text != NULL ? AF_OK : af_arena_fail(r->arena, node->text.len, "prices", r->err);
}

static const struct member *find_member(const struct member *members, struct af_slice name)
{
    for (; members->name != NULL; members++)
        if (af_slice_is(name, members->name))
            return members;
    return NULL;
}

static enum af_status take_row(const struct reading *r, const struct af_yaml *row, const struct member *members)
{
    if (row->kind != AF_YAML_MAP)
        return wrong(r, row, "a row", "is members like `name: ...`");
    for (const struct af_yaml *node = row->first; node != NULL; node = node->next) {
        const struct member *member = find_member(members, node->key);
        if (member == NULL)
            return af_fail_at(r->err, AF_EINVAL, node->line, node->column, "%s:%u: a row has no \"%.*s\" here", r->name, node->line,
                              (int)(node->key.len < 40 ? node->key.len : 40), node->key.ptr);
        AF_TRY(take_member(r, node, member));
    }
    for (; members->name != NULL; members++)
        if (members->is_needed && af_yaml_get(row, members->name) == NULL)
            return af_fail_at(r->err, AF_EINVAL, row->line, row->column, "%s:%u: the row has no %s", r->name, row->line, members->name);
    return AF_OK;
}

/* Room for the rows of a list and of `base_count` more; *out_count: those of the list. */
static enum af_status make_rows(const struct reading *r, const struct af_yaml *list, size_t base_count, size_t bytes, void **out,
                                size_t *out_count)
{
    *out_count = 0;
    if (list != NULL && list->kind != AF_YAML_LIST && list->kind != AF_YAML_NULL)
        return wrong(r, list, "this", "is a list of rows, `- name: ...`");
    for (const struct af_yaml *row = list != NULL ? list->first : NULL; row != NULL; row = row->next)
        ++*out_count;
    if (*out_count + base_count > ROWS_MAX)
        return af_fail(r->err, AF_ELIMIT, "%s: more than %d rows", r->name, ROWS_MAX);
    *out = af_arena_zero(r->arena, *out_count + base_count + 1, bytes);
    return *out != NULL ? AF_OK : af_arena_fail(r->arena, bytes, "prices", r->err);
}

/* --- the three lists: those of the file first, since the first of a name counts ------------------------------------------------ */

static enum af_status take_sizes(const struct reading *r, const struct af_yaml *list, const struct af_prices *base, struct af_prices *out)
{
    void *room;
    size_t count;
    AF_TRY(make_rows(r, list, base->size_count, sizeof(struct af_cost_size), &room, &count));
    struct af_cost_size *sizes = room;
    for (size_t i = 0; i < count; i++, list = list->next) {
        list = i == 0 ? list->first : list;
        const struct member members[] = { { "name", TEXT, true, &sizes[i].name }, { "units", NUMBER, true, &sizes[i].units }, { 0 } };
        AF_TRY(take_row(r, list, members));
    }
    if (base->size_count != 0 && count == 0)
        memcpy(sizes, base->sizes, base->size_count * sizeof *sizes);
    out->sizes = sizes; /* they are a ladder: another one replaces it */
    out->size_count = count != 0 ? count : base->size_count;
    return AF_OK;
}

static enum af_status take_prices(const struct reading *r, const struct af_yaml *list, const struct af_prices *base, struct af_prices *out)
{
    void *room;
    size_t count;
    AF_TRY(make_rows(r, list, base->price_count, sizeof(struct af_price), &room, &count));
    struct af_price *prices = room;
    for (size_t i = 0; i < count; i++, list = list->next) {
        struct af_price *p = &prices[i];
        list = i == 0 ? list->first : list;
        p->is_assumed = true; /* unless somebody says otherwise */
        const struct member members[] = { { "name", TEXT, true, &p->name },     { "unit", TEXT, true, &p->unit },
                                          { "price", NUMBER, true, &p->price }, { "region", TEXT, true, &p->region },
                                          { "date", TEXT, true, &p->date },     { "assumed", TRUTH, false, &p->is_assumed },
                                          { "source", TEXT, true, &p->source }, { 0 } };
        AF_TRY(take_row(r, list, members));
    }
    if (base->price_count != 0)
        memcpy(prices + count, base->prices, base->price_count * sizeof *prices);
    out->prices = prices;
    out->price_count = count + base->price_count;
    return AF_OK;
}

static enum af_status take_assumptions(const struct reading *r, const struct af_yaml *list, const struct af_prices *base,
                                       struct af_prices *out)
{
    void *room;
    size_t count;
    AF_TRY(make_rows(r, list, base->assumption_count, sizeof(struct af_cost_assumption), &room, &count));
    struct af_cost_assumption *rows = room;
    for (size_t i = 0; i < count; i++, list = list->next) {
        list = i == 0 ? list->first : list;
        const struct member members[] = { { "name", TEXT, true, &rows[i].name }, { "unit", TEXT, true, &rows[i].unit },
                                          { "value", NUMBER, true, &rows[i].value }, { "source", TEXT, true, &rows[i].source }, { 0 } };
        AF_TRY(take_row(r, list, members));
    }
    if (base->assumption_count != 0)
        memcpy(rows + count, base->assumptions, base->assumption_count * sizeof *rows);
    out->assumptions = rows;
    out->assumption_count = count + base->assumption_count;
    return AF_OK;
}

/* --- the whole --------------------------------------------------------------------------------------------------------------- */

static enum af_status take_root(const struct reading *r, const struct af_yaml *root, const struct af_prices *base, struct af_prices *out)
{
    const struct af_yaml *sizes = NULL, *prices = NULL, *assumptions = NULL;
    const struct member members[] = { { "currency", TEXT, false, &out->currency }, { "date", TEXT, false, &out->date },
                                      { "hours_a_month", NUMBER, false, &out->hours_a_month }, { 0 } };
    if (root->kind != AF_YAML_MAP)
        return wrong(r, root, "the file", "has currency, date, hours_a_month, classes, prices, assumptions");
    for (const struct af_yaml *node = root->first; node != NULL; node = node->next) {
        const struct member *member = find_member(members, node->key);
        const struct af_yaml **list = af_slice_is(node->key, "classes") ? &sizes : af_slice_is(node->key, "prices") ? &prices
                                      : af_slice_is(node->key, "assumptions") ? &assumptions : NULL;
        if (list != NULL)
            *list = node;
        else if (member == NULL)
            return wrong(r, node, "this member", "is none of currency, date, hours_a_month, classes, prices, assumptions");
        else
            AF_TRY(take_member(r, node, member));
    }
    AF_TRY(take_sizes(r, sizes, base, out));
    AF_TRY(take_prices(r, prices, base, out));
    AF_TRY(take_assumptions(r, assumptions, base, out));
    if (base->currency != NULL && strcmp(out->currency, base->currency) != 0)
        return af_fail(r->err, AF_EINVAL, "%s: prices in %s cannot be added to those in %s", r->name, out->currency, base->currency);
    return AF_OK;
}

enum af_status af_prices_parse(const char *name, struct af_slice text, const struct af_prices *base, struct af_arena *arena,
                               struct af_prices *out, struct af_error *err)
{
    static const struct af_prices nothing = { 0 };
    const struct reading r = { name, arena, err };
    struct af_prices prices = base != NULL ? *base : nothing;
    struct af_yaml *root = NULL;
    AF_TRY(af_yaml_parse(name, text, arena, &root, err));
    if (root == NULL)
        return af_fail(err, AF_EINVAL, "%s is empty", name);
    AF_TRY(take_root(&r, root, base != NULL ? base : &nothing, &prices));
    if (prices.currency == NULL || prices.date == NULL || !(prices.hours_a_month > 0))
        return af_fail(err, AF_EINVAL, "%s: currency, date and hours_a_month are missing", name);
    *out = prices;
    return AF_OK;
}

const struct af_price *af_price_find(const struct af_prices *prices, const char *name, const char *region, bool *out_is_here)
{
    const struct af_price *other = NULL;
    for (size_t i = 0; i < prices->price_count; i++) {
        const struct af_price *p = &prices->prices[i];
        if (strcmp(p->name, name) != 0)
            continue;
        *out_is_here = strcmp(p->region, region) == 0;
        if (*out_is_here)
            return p;
        other = other != NULL ? other : p;
    }
    return other;
}

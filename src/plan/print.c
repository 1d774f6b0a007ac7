/*
 * print.c - a plan as text: a line a node, what it takes indented below it, parts of a line behind semicolons.
 *
 *     limit 10
 *       aggregate mean = mean(usage); every 1h; from 2024-01-01T00:00:00Z to 2024-01-02T00:00:00Z
 *         scan "db"."rp" cpu; fields usage f64; from ... to ...; where host = "a"; by region
 */
#include "plan/plan_int.h"
#include "base/json_escape.h"
#include "base/numbers.h"
#include "base/regex.h"
#include <math.h>

/* --- small things -------------------------------------------------------------------------------------------------------------- */

static bool is_plain(struct af_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return false;
    }
    return name.len != 0;
}

static void print_name(struct af_buf *out, struct af_slice name)
{
    if (is_plain(name))
        af_buf_append_slice(out, name);
    else
        af_json_escape(out, name);
}

static void print_time(struct af_buf *out, int64_t ns)
{
    char text[48];
    unsigned digits = ns % AF_NS_PER_S == 0 ? 0 : 9;
    *af_rfc3339_print(text, ns, digits) = '\0';
    af_buf_append_str(out, text);
}

/* In the largest unit that divides it. */
static void print_duration(struct af_buf *out, int64_t ns)
{
    static const struct {
        int64_t ns;
        const char *name;
    } units[] = {
        { 7 * AF_NS_PER_DAY, "w" }, { AF_NS_PER_DAY, "d" }, { 3600 * AF_NS_PER_S, "h" }, { 60 * AF_NS_PER_S, "m" }, { AF_NS_PER_S, "s" },
        { 1000000, "ms" },          { 1000, "us" },         { 1, "ns" },
    };
    size_t i = 0;
    while (ns % units[i].ns != 0)
        i++;
    if (ns == 0)
        i = 4;
    af_buf_printf(out, "%lld%s", (long long)(ns / units[i].ns), units[i].name);
}

void print_value(struct af_buf *out, const struct af_value *value)
{
    char text[64];
    switch (value->type) {
    case AF_TYPE_BOOL:
        af_buf_append_str(out, value->boolean ? "true" : "false");
        return;
    case AF_TYPE_I64:
        af_buf_printf(out, "%lld", (long long)value->i64);
        return;
    case AF_TYPE_U64:
        af_buf_printf(out, "%lluu", (unsigned long long)value->u64);
        return;
    case AF_TYPE_F64:
        if (!isfinite(value->f64)) {
            af_buf_append_str(out, isnan(value->f64) ? "NaN" : value->f64 < 0 ? "-Inf" : "+Inf");
            return;
        }
        *af_f64_print(text, value->f64) = '\0';
        af_buf_append_str(out, text);
        if (strpbrk(text, ".e") == NULL)
            af_buf_append_str(out, ".0"); /* unlike the integer */
        return;
    case AF_TYPE_TIME:
        print_time(out, value->i64);
        return;
    case AF_TYPE_STRING:
        af_json_escape(out, value->text);
        return;
    default:
        af_buf_append_str(out, "null");
    }
}

/* "; from A to B", without what is not limited. */
static void print_range(struct af_buf *out, int64_t start_ns, int64_t stop_ns)
{
    if (start_ns == INT64_MIN && stop_ns == INT64_MAX)
        return;
    af_buf_append_str(out, ";");
    if (start_ns != INT64_MIN) {
        af_buf_append_str(out, " from ");
        print_time(out, start_ns);
    }
    if (stop_ns != INT64_MAX) {
        af_buf_append_str(out, " to ");
        print_time(out, stop_ns);
    }
}

static void print_window(struct af_buf *out, const struct af_window *window)
{
    if (af_window_is_none(window))
        return;
    af_buf_append_str(out, "; every ");
    if (window->every_months != 0)
        af_buf_printf(out, "%lldmo", (long long)window->every_months);
    else
        print_duration(out, window->every_ns);
    if (window->offset_ns != 0) {
        af_buf_append_str(out, " offset ");
        print_duration(out, window->offset_ns);
    }
    if (window->zone.kind == AF_ZONE_TABLE)
        af_buf_printf(out, " in %s", af_zone_table_name(window->zone.table));
    else if (window->zone.kind == AF_ZONE_SAO_PAULO)
        af_buf_append_str(out, " in America/Sao_Paulo");
    else if (window->zone.offset_s != 0)
        af_buf_printf(out, " in UTC%+d s", (int)window->zone.offset_s);
}

/* --- predicates ------------------------------------------------------------------------------------------------------------------ */

static void print_test(struct af_buf *out, const struct af_predicate *test)
{
    static const char *const signs[] = { [AF_PREDICATE_EQUAL] = " = ", [AF_PREDICATE_NOT_EQUAL] = " != ", [AF_PREDICATE_MATCH] = " =~ ",
                                         [AF_PREDICATE_NOT_MATCH] = " !~ " };
    print_name(out, test->tag);
    af_buf_append_str(out, signs[test->op]);
    if (test->op == AF_PREDICATE_EQUAL || test->op == AF_PREDICATE_NOT_EQUAL) {
        af_json_escape(out, test->value);
        return;
    }
    af_buf_append_char(out, '/');
    af_buf_append_slice(out, af_regex_pattern(test->regex));
    af_buf_append_char(out, '/');
}

static bool is_list(const struct af_predicate *predicate)
{
    return predicate->op == AF_PREDICATE_AND || predicate->op == AF_PREDICATE_OR;
}

void print_predicate(struct af_buf *out, const struct af_predicate *predicate)
{
    if (predicate->op == AF_PREDICATE_NOT) {
        af_buf_append_str(out, "not (");
        print_predicate(out, predicate->items[0]);
        af_buf_append_char(out, ')');
        return;
    }
    if (!is_list(predicate)) {
        print_test(out, predicate);
        return;
    }
    bool is_and = predicate->op == AF_PREDICATE_AND;
    if (predicate->item_count == 0)
        af_buf_append_str(out, is_and ? "all" : "none");
    for (size_t i = 0; i < predicate->item_count; i++) {
        const struct af_predicate *item = predicate->items[i];
        bool is_nested = is_list(item) && item->item_count > 1;
        af_buf_append_str(out, i == 0 ? "" : is_and ? " and " : " or ");
        af_buf_append_str(out, is_nested ? "(" : "");
        print_predicate(out, item);
        af_buf_append_str(out, is_nested ? ")" : "");
    }
}

/* --- nodes ----------------------------------------------------------------------------------------------------------------------- */

static void print_names(struct af_buf *out, const char *before, const struct af_slice *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        af_buf_append_str(out, i == 0 ? before : ", ");
        print_name(out, names[i]);
    }
}

static void print_flag(struct af_buf *out, bool flag, const char *text)
{
    if (flag)
        af_buf_append_str(out, text);
}

static void print_scan(struct af_buf *out, const struct af_plan_scan *scan, const struct af_schema *schema)
{
    af_buf_printf(out, " %s ", scan->source_name != NULL ? scan->source_name : "-");
    print_name(out, af_slice_of(scan->measurement));
    for (size_t i = 0; i < scan->field_count; i++) {
        af_buf_append_str(out, i == 0 ? "; fields " : ", ");
        print_name(out, af_slice_of(scan->fields[i]));
        af_buf_printf(out, " %s", af_type_name(scan->field_types[i]));
    }
    print_names(out, scan->tags_null ? "; tags or null " : "; tags ", scan->tags, scan->tag_count);
    print_range(out, scan->start_ns, scan->stop_ns);
    if (scan->predicate != NULL) {
        af_buf_append_str(out, "; where ");
        print_predicate(out, scan->predicate);
    }
    if (scan->filter != NULL) {
        af_buf_append_str(out, "; filter ");
        af_expr_print(out, scan->filter, schema);
    }
    print_names(out, "; by ", scan->group, scan->group_count);
    if (scan->choice.is_made) {
        af_buf_printf(out, "; series %llu+%llu", (unsigned long long)scan->choice.offset, (unsigned long long)scan->choice.count);
        print_names(out, " by ", scan->choice.tags, scan->choice.tag_count);
    }
    print_flag(out, scan->unordered, "; unordered");
    print_flag(out, scan->descending, "; descending");
    if (scan->rows_hint != 0)
        af_buf_printf(out, "; rows %llu", (unsigned long long)scan->rows_hint);
}

/* mean(usage), percentile(usage, 90) */
static void print_call(struct af_buf *out, const struct af_fn_call *call, const char *column)
{
    af_buf_printf(out, "%s(", af_fn_get(call->id)->name);
    print_name(out, af_slice_of(column));
    for (size_t i = 0; i < call->param_count; i++) {
        af_buf_append_str(out, ", ");
        print_value(out, &call->params[i]);
    }
    af_buf_append_char(out, ')');
}

/* `scan`: FOLD's, whose schema is not there; NULL: columns are those of the input. */
static void print_aggregate(struct af_buf *out, const struct af_plan_aggregate *aggregate, const struct af_schema *input,
                            const struct af_plan_scan *scan)
{
    for (size_t i = 0; i < aggregate->call_count; i++) {
        const struct af_plan_call *call = &aggregate->calls[i];
        af_buf_append_str(out, i == 0 ? " " : ", ");
        print_name(out, af_slice_of(call->name));
        af_buf_append_str(out, " = ");
        print_call(out, &call->call, scan != NULL ? scan->fields[call->column - 1] : input->fields[call->column].name);
    }
    print_window(out, &aggregate->window);
    print_range(out, aggregate->start_ns, aggregate->stop_ns);
    print_flag(out, aggregate->uncut, "; rows outside too");
    print_flag(out, aggregate->stamp == AF_STAMP_POINT, "; time of the point");
    print_flag(out, aggregate->descending, "; descending");
}

static void print_fold(struct af_buf *out, const struct af_plan_fold *fold)
{
    struct af_plan_scan scan = fold->scan;
    print_aggregate(out, &fold->aggregate, NULL, &scan);
    af_buf_append_str(out, "; of");
    if (scan.start_ns == fold->aggregate.start_ns && scan.stop_ns == fold->aggregate.stop_ns) {
        scan.start_ns = INT64_MIN; /* it was said */
        scan.stop_ns = INT64_MAX;
    }
    print_scan(out, &scan, NULL);
}

static void print_map(struct af_buf *out, const struct af_plan_map *map, const struct af_schema *input)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct af_expr *expr = map->exprs[i];
        af_buf_append_str(out, i == 0 ? " " : ", ");
        print_name(out, af_slice_of(map->names[i]));
        if (expr->kind == AF_EXPR_COLUMN && strcmp(input->fields[expr->column].name, map->names[i]) == 0)
            continue;
        af_buf_append_str(out, " = ");
        af_expr_print(out, expr, input);
    }
    print_names(out, "; parts of the key ", map->keys, map->key_count);
    print_flag(out, map->drops_time, "; without time");
    print_flag(out, map->drops_empty, "; without empty rows");
}

static void print_select(struct af_buf *out, const struct af_plan_select *select, const struct af_schema *input)
{
    af_buf_append_char(out, ' ');
    print_call(out, &select->call, input->fields[select->column].name);
    for (size_t i = 0; i < select->by_count; i++) {
        af_buf_append_str(out, i == 0 ? "; best of each " : ", ");
        print_name(out, af_slice_of(input->fields[select->by[i]].name));
    }
    print_window(out, &select->window);
    print_range(out, select->start_ns, select->stop_ns);
    print_flag(out, select->uncut, "; rows outside too");
    print_flag(out, select->stamp_start, "; time of the window");
    print_flag(out, select->descending, "; descending");
}

static void print_transform(struct af_buf *out, const struct af_plan_transform *transform, const struct af_schema *input)
{
    af_buf_append_char(out, ' ');
    print_name(out, af_slice_of(transform->name));
    af_buf_append_str(out, " = ");
    print_call(out, &transform->call, input->fields[transform->column].name);
    print_range(out, transform->start_ns, transform->stop_ns);
    print_flag(out, transform->descending, "; descending");
}

static void print_fill(struct af_buf *out, const struct af_plan_fill *fill, const struct af_schema *schema)
{
    static const char *const modes[] = { [AF_FILL_NULL] = "null", [AF_FILL_VALUE] = "value", [AF_FILL_PREVIOUS] = "previous",
                                         [AF_FILL_LINEAR] = "linear" };
    for (size_t i = 0; i + 1 < schema->field_count; i++) {
        af_buf_append_str(out, i == 0 ? " " : ", ");
        print_name(out, af_slice_of(schema->fields[1 + i].name));
        af_buf_append_char(out, ' ');
        if (fill->modes[i] == AF_FILL_VALUE)
            print_value(out, &fill->values[i]);
        else
            af_buf_append_str(out, modes[fill->modes[i]]);
    }
    print_window(out, &fill->window);
    print_range(out, fill->start_ns, fill->stop_ns);
    print_flag(out, fill->nulls_too, "; nulls too");
    print_flag(out, fill->descending, "; descending");
}

static void print_join(struct af_buf *out, const struct af_plan_join *join, const struct af_schema *schema)
{
    if (join->absent == AF_ABSENT_KEEP)
        af_buf_append_str(out, join->nulls_too ? " absent or null: the last" : " absent: the last");
    for (size_t i = 0; join->absent == AF_ABSENT_VALUE && i + 1 < schema->field_count; i++) {
        af_buf_append_str(out, i == 0 ? " absent: " : ", ");
        print_value(out, &join->values[i]);
    }
    print_flag(out, join->descending, "; descending");
}

static void print_limit(struct af_buf *out, const struct af_plan_limit *limit)
{
    if (limit->count != 0)
        af_buf_printf(out, " %llu", (unsigned long long)limit->count);
    if (limit->offset != 0)
        af_buf_printf(out, " offset %llu", (unsigned long long)limit->offset);
}

static void print_settings(struct af_buf *out, const struct af_node *node)
{
    const struct af_schema *input = node->input_count != 0 ? &node->inputs[0]->schema : &node->schema;
    switch (node->kind) {
    case AF_NODE_SCAN:
        print_scan(out, &node->scan, &node->schema);
        return;
    case AF_NODE_FOLD:
        print_fold(out, &node->fold);
        return;
    case AF_NODE_EMPTY:
        for (size_t i = 0; i < node->schema.field_count; i++)
            af_buf_printf(out, "%s%s %s", i == 0 ? " " : ", ", node->schema.fields[i].name, af_type_name(node->schema.fields[i].type));
        return;
    case AF_NODE_FILTER:
        af_buf_append_char(out, ' ');
        af_expr_print(out, node->filter, input);
        return;
    case AF_NODE_MAP:
        print_map(out, &node->map, input);
        return;
    case AF_NODE_REGROUP:
        print_names(out, " by ", node->regroup.group, node->regroup.group_count);
        print_flag(out, node->regroup.group_count == 0, " into one");
        print_flag(out, node->regroup.descending, "; descending");
        return;
    case AF_NODE_AGGREGATE:
        print_aggregate(out, &node->aggregate, input, NULL);
        return;
    case AF_NODE_SELECT:
        print_select(out, &node->select, input);
        return;
    case AF_NODE_TRANSFORM:
        print_transform(out, &node->transform, input);
        return;
    case AF_NODE_FILL:
        print_fill(out, &node->fill, &node->schema);
        return;
    case AF_NODE_JOIN:
        print_join(out, &node->join, &node->schema);
        return;
    case AF_NODE_UNION:
        print_flag(out, node->merge.descending, " descending");
        return;
    case AF_NODE_LIMIT: case AF_NODE_GROUP_LIMIT:
        print_limit(out, &node->limit);
        return;
    case AF_NODE_DEDUPE:
        return;
    }
}

static void print_node(struct af_buf *out, const struct af_node *node, unsigned depth, const char *const *notes)
{
    if (out->failed)
        return; /* a node that many take is printed as often */
    for (unsigned i = 0; i < depth && i < 40; i++)
        af_buf_append_str(out, "  ");
    af_buf_append_str(out, node_name(node->kind));
    print_settings(out, node);
    if (notes != NULL && notes[node->id] != NULL)
        af_buf_printf(out, "  [%s]", notes[node->id]);
    af_buf_append_char(out, '\n');
    for (size_t i = 0; i < node->input_count; i++)
        print_node(out, node->inputs[i], depth + 1, notes);
}

void af_plan_print(struct af_buf *out, const struct af_plan *plan, const char *const *notes)
{
    print_node(out, plan->root, 0, notes);
}

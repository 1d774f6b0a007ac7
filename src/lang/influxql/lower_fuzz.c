/* lower_fuzz.c - whatever is asked: refused in words, or a plan that checks, before rules and after them. */
#include "lang/influxql/influxql.h"
#include "base/limits.h"

static enum af_status source(void *ctx, const char *database, const char *policy, uint32_t *out, const char **out_name,
                             struct af_error *err)
{
    (void)ctx, (void)policy, (void)err, (void)database;
    *out = 0;
    *out_name = "db";
    return AF_OK;
}

static enum af_status measurements(void *ctx, uint32_t from, struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                   struct af_error *err)
{
    static struct af_slice names[] = { AF_SLICE_LIT("m"), AF_SLICE_LIT("n") };
    (void)ctx, (void)from, (void)arena, (void)err;
    *out = names;
    *out_count = 2;
    return AF_OK;
}

static enum af_status fields(void *ctx, uint32_t from, const char *measurement, struct af_arena *arena, struct af_catalog_field **out,
                             size_t *out_count, struct af_error *err)
{
    static struct af_catalog_field all[] = { { AF_SLICE_LIT("b"), AF_TYPE_BOOL }, { AF_SLICE_LIT("f"), AF_TYPE_F64 },
                                             { AF_SLICE_LIT("i"), AF_TYPE_I64 },  { AF_SLICE_LIT("s"), AF_TYPE_STRING },
                                             { AF_SLICE_LIT("u"), AF_TYPE_U64 } };
    (void)ctx, (void)from, (void)arena, (void)err;
    *out = all;
    *out_count = strcmp(measurement, "m") == 0 ? 5 : strcmp(measurement, "n") == 0 ? 2 : 0;
    return AF_OK;
}

static enum af_status tags(void *ctx, uint32_t from, const char *measurement, struct af_arena *arena, struct af_slice **out,
                           size_t *out_count, struct af_error *err)
{
    static struct af_slice all[] = { AF_SLICE_LIT("i"), AF_SLICE_LIT("t") };
    (void)ctx, (void)from, (void)arena, (void)err;
    *out = measurement[0] == 'n' ? all : all + 1;
    *out_count = measurement[0] == 'n' ? 2 : 1;
    return AF_OK;
}

static void lower(const struct af_ql_select *select, struct af_arena *arena)
{
    static const struct af_catalog catalog = { NULL, source, measurements, fields, tags };
    static const uint32_t caps[] = { AF_STORE_CAN_FOLD | AF_STORE_CAN_SERIES };
    struct af_ql_lower_options options = { .catalog = &catalog, .database = "db", .now_ns = 1000000000 };
    struct af_rules_world world = { caps, 1 };
    struct af_ql_lowered lowered;
    struct af_plan plan;
    struct af_error err = { .message = "" };
    af_plan_init(&plan, arena);
    enum af_status status = af_ql_lower(select, &options, &plan, &lowered, &err);
    if (status != AF_OK && (status == AF_EBUG || err.message[0] == '\0'))
        __builtin_trap();
    if (status != AF_OK)
        return;
    if (af_plan_check(&plan, &err) != AF_OK && err.status == AF_EBUG)
        __builtin_trap();
    if (plan.root->schema.field_count != lowered.column_count)
        __builtin_trap();
    if (af_plan_improve(&plan, &world, &err) != AF_OK && (err.status == AF_EBUG || err.status == AF_EINVAL))
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct af_arena arena;
    struct af_ql_statement *statement = NULL;
    struct af_error err;
    af_arena_init(&arena, 64 << 20);
    if (af_ql_parse((struct af_slice){ (const char *)data, size }, NULL, &arena, &statement, &err) == AF_OK)
        for (; statement != NULL; statement = statement->next)
            if (statement->select != NULL)
                lower(statement->select, &arena);
    af_arena_done(&arena);
    return 0;
}

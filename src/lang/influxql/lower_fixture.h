/*
 * lower_fixture.h - for tests of lowering: a catalogue without a store behind it, a statement, its plan as text.
 *
 *     db "db", policies "" and "rp", source 0; "other" is source 1
 *         cpu   value f64, total i64, count u64, label string, ok boolean; tags host, region
 *         mem   value i64, free f64; tags host, rack
 */
#ifndef AF_LANG_INFLUXQL_LOWER_FIXTURE_H
#define AF_LANG_INFLUXQL_LOWER_FIXTURE_H
#include "lang/influxql/influxql.h"
#include "test/lib/test.h"

#define LOWER_NOW INT64_C(1000000000000) /* 1000 s */

static inline enum af_status lf_source(void *ctx, const char *database, const char *policy, uint32_t *out, const char **out_name,
                                       struct af_error *err)
{
    (void)ctx, (void)policy;
    *out = strcmp(database, "other") == 0;
    *out_name = *out == 0 ? "db" : "other";
    return strcmp(database, "db") == 0 || *out == 1 ? AF_OK : af_fail(err, AF_ENOTFOUND, "database not found: %s", database);
}

static inline enum af_status lf_measurements(void *ctx, uint32_t source, struct af_arena *arena, struct af_slice **out, size_t *out_count,
                                             struct af_error *err)
{
    (void)ctx, (void)err;
    *out = af_arena_zero(arena, 2, sizeof **out);
    (*out)[0] = AF_SLICE_LIT("cpu");
    (*out)[1] = AF_SLICE_LIT("mem");
    *out_count = source == 0 ? 2 : 1;
    return AF_OK;
}

static inline enum af_status lf_fields(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena,
                                       struct af_catalog_field **out, size_t *out_count, struct af_error *err)
{
    static const struct af_catalog_field cpu[] = {
        { AF_SLICE_LIT("count"), AF_TYPE_U64 },   { AF_SLICE_LIT("label"), AF_TYPE_STRING }, { AF_SLICE_LIT("ok"), AF_TYPE_BOOL },
        { AF_SLICE_LIT("total"), AF_TYPE_I64 },   { AF_SLICE_LIT("value"), AF_TYPE_F64 },
    };
    static const struct af_catalog_field mem[] = { { AF_SLICE_LIT("free"), AF_TYPE_F64 }, { AF_SLICE_LIT("value"), AF_TYPE_I64 } };
    (void)ctx, (void)source;
    bool is_cpu = strcmp(measurement, "cpu") == 0;
    *out_count = is_cpu ? 5 : strcmp(measurement, "mem") == 0 ? 2 : 0;
    *out = af_arena_zero(arena, 5, sizeof **out);
    if (*out == NULL)
        return af_fail_nomem(err, "fields");
    memcpy(*out, is_cpu ? cpu : mem, *out_count * sizeof **out);
    return AF_OK;
}

static inline enum af_status lf_tags(void *ctx, uint32_t source, const char *measurement, struct af_arena *arena, struct af_slice **out,
                                     size_t *out_count, struct af_error *err)
{
    (void)ctx, (void)source;
    bool is_cpu = strcmp(measurement, "cpu") == 0;
    *out_count = is_cpu || strcmp(measurement, "mem") == 0 ? 2 : 0;
    *out = af_arena_zero(arena, 2, sizeof **out);
    if (*out == NULL)
        return af_fail_nomem(err, "tags");
    (*out)[0] = AF_SLICE_LIT("host");
    (*out)[1] = is_cpu ? AF_SLICE_LIT("region") : AF_SLICE_LIT("rack");
    return AF_OK;
}

static inline struct af_catalog lf_catalog(void)
{
    return (struct af_catalog){ NULL, lf_source, lf_measurements, lf_fields, lf_tags };
}

struct lf {
    struct af_arena arena;
    struct af_plan plan;
    struct af_ql_lowered lowered;
    struct af_catalog catalog;
    struct af_ql_lower_options options;
    struct af_buf text;
    struct af_error err;
};

static inline void lf_begin(struct lf *f)
{
    *f = (struct lf){ .catalog = lf_catalog() };
    f->options = (struct af_ql_lower_options){ .catalog = &f->catalog, .database = "db", .now_ns = LOWER_NOW };
    af_arena_init(&f->arena, SIZE_MAX);
    af_buf_init(&f->text, SIZE_MAX);
}

static inline void lf_end(struct lf *f)
{
    af_arena_done(&f->arena);
    af_buf_done(&f->text);
}

static inline enum af_status lf_lower(struct lf *f, const char *text)
{
    struct af_ql_statement *statement = NULL;
    af_plan_init(&f->plan, &f->arena);
    enum af_status status = af_ql_parse(af_slice_of(text), NULL, &f->arena, &statement, &f->err);
    return status == AF_OK ? af_ql_lower(statement->select, &f->options, &f->plan, &f->lowered, &f->err) : status;
}

/* The plan, which must be a good one; or why there is none. */
static inline const char *lf_plan(struct lf *f, const char *text)
{
    af_buf_clear(&f->text);
    if (lf_lower(f, text) != AF_OK) {
        af_buf_printf(&f->text, "%s: %s\n", af_status_name(f->err.status), f->err.message);
        return af_buf_cstr(&f->text);
    }
    AF_CHECK_OK(af_plan_check(&f->plan, &f->err), f->err);
    af_plan_print(&f->text, &f->plan, NULL);
    return af_buf_cstr(&f->text);
}

/* Names of its columns, behind each other. */
static inline const char *lf_columns(struct lf *f, const char *text)
{
    AF_CHECK_OK(lf_lower(f, text), f->err);
    af_buf_clear(&f->text);
    for (size_t i = 0; i < f->lowered.column_count; i++)
        af_buf_printf(&f->text, "%s%s", i != 0 ? " " : "", f->lowered.columns[i]);
    return af_buf_cstr(&f->text);
}
#endif

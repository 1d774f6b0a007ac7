/* timestream_test.c - where LiveAnalytics is asked: the endpoint found out, kept, refused, and gone without. */
#include "aws/aws_int.h"
#include "aws/service_fixture.h"
#include "aws/timestream_int.h"
#include "os/clock.h"

/* A region's host, which knows DescribeEndpoints alone, and a cell: two servers. */
struct places {
    struct service region;
    struct af_peer *cell;
    unsigned asked;       /* DescribeEndpoints */
    unsigned served;      /* by the cell */
    unsigned refusals;    /* so many times the cell says that it is not ours */
    bool is_down;         /* the region's host */
};

static bool say(struct af_buf *out, int status, const char *body)
{
    af_buf_printf(out, "HTTP/1.1 %d Said\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %zu\r\n\r\n%s", status,
                  strlen(body), body);
    return true;
}

static bool region_says(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct places *p = ctx;
    char body[200];
    if (!service_has(request, "Timestream_20181101.DescribeEndpoints"))
        return say(out, 421, "{\"__type\":\"InvalidEndpointException\",\"message\":\"not here\"}");
    p->asked++;
    if (p->is_down)
        return say(out, 500, "{\"__type\":\"InternalServerException\"}");
    (void)snprintf(body, sizeof body, "{\"Endpoints\":[{\"Address\":\"%s\",\"CachePeriodInMinutes\":10}]}", af_peer_url(p->cell));
    return say(out, 200, body);
}

static bool cell_says(void *ctx, struct af_slice request, struct af_buf *out)
{
    struct places *p = ctx;
    AF_CHECK(!service_has(request, "DescribeEndpoints"));
    if (p->refusals != 0) {
        p->refusals--;
        return say(out, 421, "{\"__type\":\"com.amazonaws.timestream.v20181101#InvalidEndpointException\",\"message\":\"moved\"}");
    }
    p->served++;
    return say(out, 200, "{\"Databases\":[{\"DatabaseName\":\"ons\"}]}");
}

static void begin(struct places *p)
{
    *p = (struct places){ 0 };
    p->region.peer = af_peer_start_with(region_says, p);
    p->cell = af_peer_start_with(cell_says, p);
    const struct af_aws_options options = { .max_attempts = 1, .variable = service_variable, .ctx = &p->region };
    struct af_error err = { 0 };
    AF_CHECK_OK(af_aws_open(&options, &p->region.aws, &err), err);
    af_arena_init(&p->region.arena, 16 << 20);
    AF_CHECK_OK(af_aws_client_new(p->region.aws, "timestream-write", &p->region.client, &err), err);
}

static void end(struct places *p)
{
    service_end(&p->region);
    af_peer_stop(p->cell);
}

static enum af_status call(struct places *p, struct af_error *err)
{
    const struct af_json *out = NULL;
    const enum af_status status =
        timestream_call(p->region.client, "ListDatabases", (struct af_slice){ 0 }, true, &p->region.arena, &out, err);
    if (status == AF_OK)
        AF_CHECK_SLICE(af_json_string(af_json_get(out, "Databases")->first, "DatabaseName"), "ons");
    return status;
}

AF_TEST(timestream_finds_its_cell)
{
    struct places p;
    struct af_error err = { 0 };
    begin(&p);
    for (int i = 0; i < 3; i++)
        AF_CHECK_OK(call(&p, &err), err);
    AF_CHECK(p.asked == 1 && p.served == 3);
    *aws_client_until(p.region.client) = 1; /* long ago */
    AF_CHECK_OK(call(&p, &err), err);
    AF_CHECK(p.asked == 2 && p.served == 4);
    p.refusals = 1;
    AF_CHECK_OK(call(&p, &err), err);
    AF_CHECK(p.asked == 3 && p.served == 5);
    p.refusals = 100; /* whoever refuses for ever is asked twice a call, not for ever */
    AF_CHECK_FAILS(call(&p, &err), AF_EINVAL);
    AF_CHECK_INT(p.asked, 4);
    AF_CHECK_INT(p.refusals, 98);
    end(&p);
}

AF_TEST(timestream_goes_on_with_an_old_cell)
{
    struct places p;
    struct af_error err = { 0 };
    begin(&p);
    p.is_down = true;
    AF_CHECK_FAILS(call(&p, &err), AF_EIO);
    AF_CHECK_INT(p.served, 0);
    p.is_down = false;
    AF_CHECK_OK(call(&p, &err), err);
    p.is_down = true;
    *aws_client_until(p.region.client) = 1;
    AF_CHECK_OK(call(&p, &err), err);
    AF_CHECK_INT(p.asked, 3);
    AF_CHECK_OK(call(&p, &err), err); /* and asks again in a minute, not at once */
    AF_CHECK_INT(p.asked, 3);
    AF_CHECK_INT(p.served, 3);
    end(&p);
}

AF_TEST(timestream_cells_that_are_none)
{
    static const char *const bad[] = { "{}", "{\"Endpoints\":[]}", "{\"Endpoints\":[{}]}",
                                       "{\"Endpoints\":[{\"Address\":\"\",\"CachePeriodInMinutes\":1}]}",
                                       "{\"Endpoints\":[{\"Address\":\"a b\",\"CachePeriodInMinutes\":1}]}",
                                       "{\"Endpoints\":[{\"Address\":\"user@host\",\"CachePeriodInMinutes\":1}]}",
                                       "{\"Endpoints\":[{\"Address\":\"host?x\",\"CachePeriodInMinutes\":1}]}",
                                       "{\"Endpoints\":[{\"Address\":\"host\\r\\nX: y\",\"CachePeriodInMinutes\":1}]}",
                                       "{\"Endpoints\":[{\"Address\":\"host\"}]}",
                                           "{\"Endpoints\":[{\"Address\":\"host\",\"CachePeriodInMinutes\":0}]}",
                                       "{\"Endpoints\":[{\"Address\":\"host\",\"CachePeriodInMinutes\":\"1\"}]}", "{\"Endpoints\":7}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct service s;
        const struct service_answer answers[] = { SAYS(200, bad[i]), { 0 } };
        const struct af_json *out = NULL;
        service_begin(&s, "timestream-query", answers);
        AF_CHECK_FAILS(timestream_call(s.client, "Query", (struct af_slice){ 0 }, true, &s.arena, &out, &s.err), AF_ECORRUPT);
        AF_CHECK(strstr(s.err.message, "Timestream DescribeEndpoints") != NULL);
        service_end(&s);
    }
}

AF_TEST(timestream_asks_nobody_where_an_endpoint_is_configured)
{
    struct service s;
    const struct service_answer answers[] = { WHEN("Timestream_20181101.Query", 200, "{\"QueryId\":\"q\"}"), { 0 } };
    const struct af_json *out = NULL;
    service_begin(&s, "timestream-query", answers);
    AF_CHECK_OK(af_timestream_discover(s.client, &s.err), s.err);
    AF_CHECK_OK(af_timestream_call(s.client, "Query", AF_SLICE_LIT("{\"QueryString\":\"SELECT 1\"}"), &s.arena, &out, &s.err), s.err);
    AF_CHECK_SLICE(af_json_string(out, "QueryId"), "q");
    AF_CHECK_INT(af_peer_requests(s.peer), 1);
    service_end(&s);
}

/*
 * platform_fuzz.c - any bytes are a request or a refusal: the answer is JSON of one of two shapes, its count is that of its rows, and
 * nothing has changed in the store. And Flux: what is allowed hides nothing, so the same with a write behind it is refused.
 *
 *     first byte: the path    the rest: the body (of '!': a Flux text; of '?': an InfluxQL text)
 *     '+': two bytes that say what is put where into the Flux text that follows: a write, or another host
 */
#include "platform/platform_int.h"
#include "store/memory.h"
#include <assert.h>
#include <stdlib.h>

static const char sample[] = "m,t=a v=1,s=\"x\" 1\nm,t=b v=2,n=3i 2\nm,t=b v=4 3\nk w=true 5\n";
static struct af_store *store;
static uint64_t values;

static void check_flux(struct af_slice text)
{
    struct af_buf more;
    if (af_platform_flux_reads(text, NULL) != AF_OK)
        return;
    af_buf_init(&more, SIZE_MAX);
    af_buf_append_slice(&more, text);
    af_buf_append_str(&more, "\n|> to (bucket: \"b\")");
    assert(af_platform_flux_reads(af_buf_slice(&more), NULL) == AF_EDENIED);
    af_buf_done(&more);
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A write or another host begins at `at`, outside of texts. "to" behind letters is of a longer name, unless a digit begins that. */
static bool is_evil(struct af_slice text, size_t at)
{
    static const char *const evils[] = { "to()", "(host:", "(host)", "(host,", "(\"host\":" };
    const struct af_slice rest = af_slice_make(text.ptr + at, text.len - at);
    size_t first = at;
    for (size_t i = 1; i < sizeof evils / sizeof evils[0]; i++)
        if (af_slice_has_prefix(rest, evils[i]))
            return true;
    while (first > 0 && (is_letter(text.ptr[first - 1]) || is_digit(text.ptr[first - 1])))
        first--;
    return af_slice_has_prefix(rest, evils[0]) && (first == at || is_digit(text.ptr[first]));
}

/* Flux without comments and regexes, cut as its scanner's rules say: in a text "\" and "$" make a pair with what follows, "${" apart. */
static bool has_evil(struct af_slice text)
{
    bool in_text = false;
    char open[1024];
    size_t depth = 0;
    for (size_t i = 0; i < text.len && depth < sizeof open; i++) {
        char c = text.ptr[i], following = i + 1 < text.len ? text.ptr[i + 1] : '\0';
        if (in_text && c == '$' && following == '{') {
            open[depth++] = '$';
            in_text = false;
            i++;
        } else if (in_text && (c == '\\' || (c == '$' && following != '"'))) {
            i++;
        } else if (c == '"') {
            in_text = !in_text;
        } else if (!in_text && is_evil(text, i)) {
            return true;
        } else if (!in_text && c == '{') {
            open[depth++] = c;
        } else if (!in_text && c == '}' && depth > 0) {
            in_text = open[--depth] == '$';
        }
    }
    return false;
}

static void check_evil(uint8_t what, uint8_t where, struct af_slice text)
{
    static const char *const evils[] = { "to()", " to() ", "(host:1)", "f(host)", "f(host,a)", "f(\"host\":1)", "\"to()", "${to()}" };
    struct af_buf more;
    size_t at = text.len * where / 255;
    af_buf_init(&more, SIZE_MAX);
    af_buf_append_slice(&more, af_slice_make(text.ptr, at));
    af_buf_append_str(&more, evils[what % (sizeof evils / sizeof evils[0])]);
    af_buf_append_slice(&more, af_slice_make(text.ptr + at, text.len - at));
    check_flux(af_buf_slice(&more));
    if (memchr(more.ptr, '/', more.len) == NULL && has_evil(af_buf_slice(&more)))
        assert(af_platform_flux_reads(af_buf_slice(&more), NULL) != AF_OK);
    af_buf_done(&more);
}

static void check_answer(struct af_slice answer, const struct af_platform_result *result, const char *path)
{
    struct af_arena arena;
    struct af_json *json;
    int64_t number;
    af_arena_init(&arena, 64 << 20);
    assert(af_json_parse(answer, &arena, &json, NULL) == AF_OK);
    if (result->http_status != 200) {
        assert(af_json_i64(af_json_get(json, "status_code"), &number) && number == result->http_status);
        assert(af_json_string(af_json_get(json, "error"), "code").len != 0);
    } else if (strcmp(path, "/query/influxql") == 0) {
        int64_t rows = 0;
        for (const struct af_json *row = af_json_get(json, "data")->first; row != NULL; row = row->next)
            rows++;
        assert(af_json_i64(af_json_get(json, "result_count"), &number) && number == rows && (uint64_t)rows == result->rows && rows <= 100);
    }
    af_arena_done(&arena);
}

static void check_request(const char *path, struct af_slice body)
{
    struct af_query_one one;
    struct af_platform_result result;
    struct af_buf out;
    af_query_one_init(&one, store);
    const struct af_platform platform = { .host = &one.host, .database = "d", .timeout_ms = 2000, .rows_max = 100,
                                          .answer_bytes_max = 300 << 10 };
    const struct af_platform_request request = { .method = AF_SLICE_LIT("POST"), .path = af_slice_of(path), .body = body };
    af_buf_init(&out, 1 << 20);
    enum af_status status = af_platform_answer(&platform, &request, &result, &out, NULL);
    assert(status == AF_OK || status == AF_ENOMEM);
    if (status == AF_OK)
        check_answer(af_buf_slice(&out), &result, path);
    assert(out.len <= 300 << 10 || result.http_status != 200);
    assert(af_memory_values(store) == values);
    af_buf_done(&out);
}

static void check_text(struct af_slice text)
{
    struct af_buf body;
    af_buf_init(&body, SIZE_MAX);
    af_buf_append_str(&body, "{\"query\":");
    af_json_append_string(&body, text);
    af_buf_append_char(&body, '}');
    check_request("/query/influxql", af_buf_slice(&body));
    af_buf_done(&body);
}

static void set_up(void)
{
    struct af_write_answer answer;
    const struct af_write write = { .lines = af_slice_of(sample), .line_count = 4, .precision_ns = 1 };
    if (store != NULL)
        return;
    if (af_memory_open(NULL, &store, NULL) != AF_OK || af_store_write(store, &write, &answer, NULL) != AF_OK)
        abort();
    values = af_memory_values(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = { "/query/influxql", "/query/flux", "/query", "/elsewhere" };
    if (size == 0)
        return 0;
    set_up();
    const struct af_slice rest = af_slice_make(data + 1, size - 1);
    if (data[0] == '!')
        check_flux(rest);
    else if (data[0] == '+' && size >= 3)
        check_evil(data[1], data[2], af_slice_make(data + 3, size - 3));
    else if (data[0] == '?')
        check_text(rest);
    else
        check_request(paths[data[0] % 4], rest);
    return 0;
}

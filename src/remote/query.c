/*
 * query.c - native query text straight through; see af_remote_query in remote.h.
 *
 * The bytes go to the caller as they come; beside that they are read for errors, which servers put into answers that began
 * well with status 200. InfluxQL as CSV says an error as a section of two lines, `error` and the text; 1.6 says nothing at
 * all then, so an empty answer to a question is asked for again as JSON.
 */
#include "base/buf.h"
#include "remote/remote_int.h"
#include <stdio.h>

struct through {
    const struct remote *remote;
    enum af_status (*on_body)(void *ctx, struct af_slice bytes, struct af_error *err);
    void *ctx;
    struct iql_reader *iql; /* one of the two, or neither: CSV of InfluxQL */
    struct csv_reader *csv;
    char line[512];         /* the start of the current line */
    size_t line_len;
    bool is_section_start;  /* the line is the first, or behind an empty one */
    bool is_error;          /* the line before was `error` */
    uint64_t bytes;
};

static enum af_status end_line(struct through *through, struct af_error *err)
{
    struct af_slice line = af_slice_trim(af_slice_make(through->line, through->line_len));
    if (through->is_error) {
        char words[sizeof through->line + 1];
        (void)snprintf(words, sizeof words, "%.*s", AF_SLICE_ARG(line));
        return remote_judge_text(through->remote, words, err);
    }
    through->is_error = through->is_section_start && af_slice_is(line, "error");
    through->is_section_start = line.len == 0;
    through->line_len = 0;
    return AF_OK;
}

static enum af_status inspect_lines(struct through *through, struct af_slice bytes, struct af_error *err)
{
    for (size_t i = 0; i < bytes.len; i++) {
        if (bytes.ptr[i] == '\n')
            AF_TRY(end_line(through, err));
        else if (through->line_len < sizeof through->line)
            through->line[through->line_len++] = bytes.ptr[i];
    }
    return AF_OK;
}

static enum af_status on_bytes(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct through *through = ctx;
    through->bytes += bytes.len;
    AF_TRY(through->on_body(through->ctx, bytes, err));
    if (through->iql != NULL)
        return iql_reader_feed(through->iql, bytes, err);
    if (through->csv != NULL)
        return csv_reader_feed(through->csv, bytes, err);
    return inspect_lines(through, bytes, err);
}

static enum af_status finish(struct through *through, struct af_error *err)
{
    if (through->iql != NULL)
        return iql_reader_finish(through->iql, err);
    if (through->csv != NULL)
        return csv_reader_finish(through->csv, err);
    return through->line_len > 0 ? end_line(through, err) : AF_OK;
}

static enum af_status run_on(struct remote *remote, struct remote_conn *conn, enum af_remote_language language,
                             struct af_slice text, struct through *through, struct af_error *err)
{
    if (language == AF_REMOTE_FLUX) {
        flux_request(remote, conn, text);
    } else {
        iql_request(remote, conn, text, 10000);
        if (through->iql == NULL)
            conn->headers[conn->header_count - 1] = "Accept: application/csv";
    }
    AF_TRY(af_buf_check(&conn->body, "a query", err));
    struct remote_sending sending = { .method = "POST", .body = af_buf_slice(&conn->body), .on_body = on_bytes, .ctx = through };
    AF_TRY(remote_send(conn, &sending, err));
    AF_TRY(remote_judge(remote, &conn->answer, err));
    return finish(through, err);
}

/* Only what changes nothing may be asked twice. */
static bool is_question(struct af_slice text)
{
    static const char *const words[] = { "select", "show", "explain" };
    text = af_slice_trim(text);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = 0;
        while (words[i][n] != '\0' && n < text.len && (text.ptr[n] | 0x20) == words[i][n])
            n++;
        if (words[i][n] == '\0')
            return true;
    }
    return false;
}

static enum af_status ask_again(struct remote *remote, struct af_slice text, const struct through *through, struct af_error *err)
{
    static const struct iql_handler no_rows = { 0 };
    bool is_silent = through->iql == NULL && through->csv == NULL && through->bytes == 0;
    return is_silent && is_question(text) ? iql_run(remote, text, NULL, &no_rows, NULL, err) : AF_OK;
}

static enum af_status make_reader(const struct remote *remote, enum af_remote_language language, bool accept_csv,
                                  struct through *through, struct af_error *err)
{
    static const struct iql_handler no_rows = { 0 };
    static const struct csv_handler no_cells = { 0 };
    if (language == AF_REMOTE_FLUX)
        return csv_reader_new(remote, &no_cells, NULL, &through->csv, err);
    return accept_csv ? AF_OK : iql_reader_new(remote, &no_rows, NULL, &through->iql, err);
}

enum af_status af_remote_query(struct af_store *store, enum af_remote_language language, struct af_slice text, bool accept_csv,
                               enum af_status (*on_body)(void *ctx, struct af_slice,
                                                         struct af_error *), void *ctx, struct af_error *err)
{
    struct remote *remote = remote_of(store);
    struct through through = { .remote = remote, .on_body = on_body, .ctx = ctx, .is_section_start = true };
    struct remote_conn *conn = NULL;
    AF_TRY(make_reader(remote, language, accept_csv, &through, err));
    enum af_status status = remote_take(remote, &conn, err);
    if (status == AF_OK) {
        status = run_on(remote, conn, language, text, &through, err);
        remote_give(remote, conn, status == AF_OK);
    }
    if (status == AF_OK)
        status = ask_again(remote, text, &through, err);
    iql_reader_free(through.iql);
    csv_reader_free(through.csv);
    return status;
}

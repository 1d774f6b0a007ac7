/*
 * answer.c - a query in the server's own language, its answer pulled; see remote.h.
 *
 *     next:  a part that waits?  else pull some bytes --> reader of the language --> tables --> parts that wait
 *
 * What is held is what one pull gave and the rows of the series at hand.
 */
#include "base/alloc.h"
#include "net/url.h"
#include "remote/remote_int.h"
#include <stdio.h>

enum { CHUNK_ROWS = 10000 };

struct af_remote_answer {
    struct remote *remote;
    struct remote_conn *conn;
    struct tables tables;
    struct v1_tables *v1;     /* one of the two */
    struct flux_tables *flux;
    bool is_asking;           /* the request runs */
    bool is_well;             /* it ended as it should: the connection can be kept */
};

static enum af_status on_bytes(void *ctx, struct af_slice bytes, struct af_error *err)
{
    struct af_remote_answer *answer = ctx;
    if (answer->flux != NULL)
        return flux_tables_feed(answer->flux, bytes, err);
    return v1_tables_feed(answer->v1, answer->conn->answer.content_type, bytes, err);
}

struct question {
    enum af_remote_language language;
    struct af_slice text;
    const char *database, *policy;  /* of InfluxQL; NULL: none */
    const bool *cancel;
};

/* Not as scans ask: without `epoch`, which would make times look like integers, and with the policy. */
static void influxql_request(struct remote *remote, struct remote_conn *conn, const struct question *question)
{
    char number[16];
    (void)snprintf(number, sizeof number, "%d", CHUNK_ROWS);
    remote_request(remote, conn, "/query");
    if (question->database != NULL && question->database[0] != '\0')
        remote_param(conn, "db", af_slice_of(question->database));
    if (question->policy != NULL)
        remote_param(conn, "rp", af_slice_of(question->policy));
    if (remote->is_v2 && remote->org[0] != '\0')
        remote_param(conn, "org", af_slice_of(remote->org));
    remote_param(conn, "chunked", AF_SLICE_LIT("true"));
    remote_param(conn, "chunk_size", af_slice_of(number));
    remote_header(conn, "Content-Type: application/x-www-form-urlencoded");
    remote_header(conn, "Accept: application/x-msgpack");
    af_buf_clear(&conn->body);
    af_buf_append_str(&conn->body, "q=");
    af_url_append_escaped(&conn->body, question->text);
}

static enum af_status begin(struct af_remote_answer *answer, const struct question *question, struct af_error *err)
{
    struct remote *remote = answer->remote;
    AF_TRY(remote_take(remote, &answer->conn, err));
    if (question->language == AF_REMOTE_FLUX) {
        AF_TRY(flux_tables_new(remote, &answer->tables, &answer->flux, err));
        flux_request(remote, answer->conn, question->text);
    } else {
        AF_TRY(v1_tables_new(remote, &answer->tables, &answer->v1, err));
        influxql_request(remote, answer->conn, question);
    }
    AF_TRY(af_buf_check(&answer->conn->body, "a query", err));
    const struct remote_sending sending = { .method = "POST", .body = af_buf_slice(&answer->conn->body), .on_body = on_bytes,
                                            .ctx = answer, .cancel = question->cancel };
    AF_TRY(remote_begin(answer->conn, &sending, err));
    answer->is_asking = true;
    return AF_OK;
}

static enum af_status ask(struct af_store *store, const struct question *question, struct af_remote_answer **out, struct af_error *err)
{
    struct af_remote_answer *answer = af_alloc_zero(1, sizeof *answer);
    if (answer == NULL)
        return af_fail_nomem(err, "a query");
    answer->remote = remote_of(store);
    tables_init(&answer->tables, store->name);
    enum af_status status = begin(answer, question, err);
    if (status != AF_OK) {
        af_remote_answer_close(answer);
        return status;
    }
    *out = answer;
    return AF_OK;
}

enum af_status af_remote_ask(struct af_store *store, enum af_remote_language language, struct af_slice text, const bool *cancel,
                             struct af_remote_answer **out, struct af_error *err)
{
    const struct remote *remote = remote_of(store);
    const struct question question = { .language = language, .text = text, .database = remote->database, .policy = remote->policy,
                                       .cancel = cancel };
    return ask(store, &question, out, err);
}

enum af_status af_remote_ask_of(struct af_store *store, const char *database, const char *policy, struct af_slice text, const bool *cancel,
                                struct af_remote_answer **out, struct af_error *err)
{
    const struct remote *remote = remote_of(store);
    const struct question question = { .language = AF_REMOTE_INFLUXQL, .text = text, .cancel = cancel,
                                       .database = database != NULL ? database : remote->database,
                                       .policy = database != NULL ? policy : remote->policy };
    return ask(store, &question, out, err);
}

static enum af_status end(struct af_remote_answer *answer, struct af_error *err)
{
    af_http_end(answer->conn->http);
    answer->is_asking = false;
    AF_TRY(remote_judge(answer->remote, &answer->conn->answer, err));
    AF_TRY(answer->flux != NULL ? flux_tables_finish(answer->flux, err) : v1_tables_finish(answer->v1, err));
    answer->is_well = true;
    return AF_OK;
}

enum af_status af_remote_answer_next(struct af_remote_answer *answer, const struct af_remote_part **out, struct af_error *err)
{
    while ((*out = tables_take(&answer->tables)) == NULL && answer->is_asking) {
        bool is_done;
        AF_TRY(af_http_pull(answer->conn->http, &is_done, err));
        if (is_done)
            AF_TRY(end(answer, err));
    }
    return AF_OK;
}

void af_remote_answer_close(struct af_remote_answer *answer)
{
    if (answer == NULL)
        return;
    if (answer->is_asking)
        af_http_end(answer->conn->http);
    remote_give(answer->remote, answer->conn, answer->is_well);
    v1_tables_free(answer->v1);
    flux_tables_free(answer->flux);
    tables_done(&answer->tables);
    af_free(answer);
}

/* write.c - line protocol to /write (1.x) or /api/v2/write (2.x), compressed; see remote.h. */
#include "remote/remote_int.h"

enum { GZIP_LEVEL = 1, GZIP_BYTES_MIN = 1024 /* less is not worth it */ };

static const char *precision_name(int64_t precision_ns)
{
    switch (precision_ns) {
    case 1000: return "us";
    case 1000000: return "ms";
    case 1000000000: return "s";
    default: return "ns";
    }
}

static void set_up(struct remote *remote, struct remote_conn *conn, int64_t precision_ns)
{
    const char *precision = precision_name(precision_ns);
    remote_request(remote, conn, remote->is_v2 ? "/api/v2/write" : "/write");
    if (remote->is_v2) {
        remote_param(conn, "org", af_slice_of(remote->org));
        remote_param(conn, "bucket", af_slice_of(remote->bucket));
    } else {
        remote_param(conn, "db", af_slice_of(remote->database));
        if (remote->policy != NULL)
            remote_param(conn, "rp", af_slice_of(remote->policy));
        precision = precision_ns == 1 ? "n" : precision_ns == 1000 ? "u" : precision; /* 1.6 takes "us" for ns without a word */
    }
    remote_param(conn, "precision", af_slice_of(precision));
    remote_header(conn, "Content-Type: text/plain; charset=utf-8");
}

static enum af_status write_on(struct remote *remote, struct remote_conn *conn, const struct af_write *write,
                               struct af_write_answer *out, struct af_error *err)
{
    struct remote_sending sending = { .method = "POST", .body = write->lines, .cancel = write->cancel };
    set_up(remote, conn, write->precision_ns);
    if (!remote->no_gzip && write->lines.len >= GZIP_BYTES_MIN) {
        af_buf_clear(&conn->packed);
        AF_TRY(af_compress(&conn->codec, AF_CODEC_GZIP, GZIP_LEVEL, write->lines, &conn->packed, err));
        remote_header(conn, "Content-Encoding: gzip");
        sending.body = af_buf_slice(&conn->packed);
    }
    AF_TRY(remote_send(conn, &sending, err));
    out->bytes_sent = conn->answer.bytes_sent;
    return AF_OK;
}

static enum af_status write_now(struct remote *remote, const struct af_write *write, struct af_write_answer *out,
                                struct af_error *err)
{
    struct remote_conn *conn = NULL;
    struct af_write_answer answer = { 0 };
    AF_TRY(remote_take(remote, &conn, err));
    enum af_status status = write_on(remote, conn, write, &answer, err);
    bool is_well = status == AF_OK;
    if (is_well)
        status = remote_judge_write(remote, &conn->answer, &answer, err);
    remote_give(remote, conn, is_well);
    if (status == AF_OK)
        *out = answer;
    return status;
}

enum af_status remote_write(struct af_store *store, const struct af_write *write, struct af_write_answer *out, struct af_error *err)
{
    struct remote *remote = remote_of(store);
    struct remote_weeks weeks = { 0 };
    enum af_status status = remote_first_enter(&remote->first, write, &weeks, err);
    if (status == AF_OK)
        status = write_now(remote, write, out, err);
    remote_first_leave(&remote->first, &weeks, status == AF_OK && out->verdict == AF_WRITE_DONE);
    return status;
}

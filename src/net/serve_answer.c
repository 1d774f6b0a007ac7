/*
 * serve_answer.c - how an answer leaves: whole from memory, or in pieces that a worker fetches while the connection is suspended; see
 * serve.h.
 *
 *     I/O thread: MHD wants bytes -> piece left? copy : suspend, queue the job       worker: next() -> piece, resume
 */
#include "base/limits.h"
#include "net/serve_int.h"

enum { PIECE_BYTES = 64 << 10 };

void serve_answer_init(struct serve_job *job)
{
    job->answer = (struct af_serve_answer){ .status = 200, .own = job };
    af_buf_init(&job->answer.body, SIZE_MAX / 2);
    job->headers = NULL;
    job->headers_tail = &job->headers;
}

void af_serve_add_header(struct af_serve_answer *answer, const char *name, const char *value)
{
    struct serve_job *job = answer->own;
    struct serve_header *header = af_arena_alloc(&job->arena, sizeof *header);
    char *name_copy = af_arena_copy(&job->arena, af_slice_of(name));
    char *value_copy = af_arena_copy(&job->arena, af_slice_of(value));
    if (header == NULL || name_copy == NULL || value_copy == NULL)
        return; /* an answer without one of its headers is better than none */
    for (char *c = value_copy; *c != '\0'; c++)
        if (*c == '\r' || *c == '\n')
            *c = ' ';
    *header = (struct serve_header){ .name = name_copy, .value = value_copy };
    *job->headers_tail = header;
    job->headers_tail = &header->next;
}

void serve_answer_plain(struct serve_job *job, int status, const char *words)
{
    af_buf_clear(&job->answer.body);
    job->answer.status = status;
    job->answer.content_type = "application/json; charset=utf-8";
    af_buf_printf(&job->answer.body, "{\"code\":\"%s\",\"message\":\"%s\"}",
                  status == 413 ? "request too large" : status == 503 ? "unavailable" : "invalid", words);
}

/* --- in pieces --------------------------------------------------------------------------------------------------------------- */

static ssize_t read_piece(void *ctx, uint64_t at, char *dst, size_t cap)
{
    struct serve_job *job = ctx;
    (void)at;
    if (job->piece.len != 0) {
        size_t n = job->piece.len < cap ? job->piece.len : cap;
        memcpy(dst, job->piece.ptr, n);
        job->piece.ptr += n;
        job->piece.len -= n;
        job->bytes_out += n;
        return (ssize_t)n;
    }
    if (job->has_failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (job->has_ended)
        return MHD_CONTENT_READER_END_OF_STREAM;
    serve_enqueue(job, SERVE_PIECE);
    return 0;
}

/* --- whole ------------------------------------------------------------------------------------------------------------------- */

static struct MHD_Response *make_response(struct serve_job *job)
{
    struct af_serve_answer *answer = &job->answer;
    if (answer->next != NULL) {
        serve_set_deadline(job, 0); /* MHD ends one whose client stopped reading */
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, read_piece, job, NULL);
    }
    if (answer->body.failed) { /* the handler ran out of memory */
        af_buf_clear(&answer->body);
        serve_answer_plain(job, 503, "no memory for the answer; try again");
    }
    job->bytes_out = answer->body.len;
    return MHD_create_response_from_buffer(answer->body.len, answer->body.len != 0 ? answer->body.ptr : "", MHD_RESPMEM_PERSISTENT);
}

enum MHD_Result serve_answer_queue(struct serve_job *job)
{
    struct MHD_Response *response = make_response(job);
    if (response == NULL)
        return MHD_NO;
    if (job->answer.content_type != NULL)
        (void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, job->answer.content_type);
    for (const struct serve_header *h = job->headers; h != NULL; h = h->next)
        (void)MHD_add_response_header(response, h->name, h->value);
    job->state = SERVE_ANSWERED;
    enum MHD_Result result = MHD_queue_response(job->mhd, (unsigned)job->answer.status, response);
    MHD_destroy_response(response);
    return result;
}

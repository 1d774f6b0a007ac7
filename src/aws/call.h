/*
 * call.h - one call of a JSON service from begin to end: its body as it grows, the answer as a tree, the memory of both.
 *
 *     struct aws_call call;
 *     aws_call_begin(&call, client, "SQS", "SendMessage");
 *     aws_put_text(&call, "QueueUrl", af_slice_of(queue));
 *     status = aws_call_send(&call, err);             the tree is call.answer
 *     status = aws_need_text(&call, call.answer, "MessageId", &id, err);
 *     aws_call_end(&call);
 *
 * For the services of this folder only. Whatever a service answers is foreign: the readers below name service, operation and member when it
 * is not what its reference says. Bodies and answers are wiped at the end, since keys and secrets come this way.
 */
#ifndef AF_AWS_CALL_H
#define AF_AWS_CALL_H
#include "aws/aws.h"
#include "format/json/json.h"

struct aws_call {
    struct af_aws_client *client;
    const char *service, *operation;  /* for messages, and the operation for X-Amz-Target */
    const char *path;                 /* of REST services, encoded; NULL: "/" and a target */
    const struct af_aws_pair *headers;
    size_t header_count;
    const bool *cancel;
    struct af_buf body;               /* "{...", closed by send */
    struct af_buf text;               /* what came */
    struct af_arena arena;            /* of the tree; the caller's own uses too, until the end */
    const struct af_json *answer;     /* always an object */
    char code[96];                    /* of a failure, as in af_aws_answer */
    int http_status;
};
void aws_call_begin(struct aws_call *call, struct af_aws_client *client, const char *service, const char *operation);
void aws_call_end(struct aws_call *call);

/* Members of the body, in the order of the calls. */
void aws_put_text(struct aws_call *call, const char *name, struct af_slice text);
void aws_put_u64(struct aws_call *call, const char *name, uint64_t value);
void aws_put_json(struct aws_call *call, const char *name, struct af_slice json); /* as it is */
void aws_put_name(struct aws_call *call, const char *name);                       /* its value is appended by the caller */

AF_MUST_CHECK enum af_status aws_call_send(struct aws_call *call, struct af_error *err);
/* The same with a body that is an object already. */
AF_MUST_CHECK enum af_status aws_call_send_body(struct aws_call *call, struct af_slice body, struct af_error *err);

/* What is in `text` becomes the answer (send does it). Nothing at all is an empty object. */
AF_MUST_CHECK enum af_status aws_call_parse(struct aws_call *call, struct af_error *err);

/* AF_ECORRUPT: "SQS SendMessage: the answer ...". */
enum af_status aws_bad_answer(const struct aws_call *call, struct af_error *err, const char *fmt, ...) AF_PRINTF(3, 4);
/* A text that must be there and have something in it. */
AF_MUST_CHECK enum af_status aws_need_text(const struct aws_call *call, const struct af_json *object, const char *name,
                                           struct af_slice *out, struct af_error *err);
/* A list; absent or null is an empty one. *out: its first item or NULL. */
AF_MUST_CHECK enum af_status aws_take_list(const struct aws_call *call, const struct af_json *object, const char *name,
                                           const struct af_json **out, struct af_error *err);
/* A text that must be there, copied with a NUL into `cap` bytes. */
AF_MUST_CHECK enum af_status aws_need_copy(const struct aws_call *call, const struct af_json *object, const char *name, char *out,
                                           size_t cap, struct af_error *err);
/* The answer's tree and text stay behind in arenas of callers: copies of what they keep. NULL pointer: no memory. */
struct af_slice aws_keep(struct af_arena *arena, struct af_slice text);

/* `text` parsed as an object into the call's arena; AF_EINVAL speaks of `what`. No memory at text.ptr: *out NULL. */
AF_MUST_CHECK enum af_status aws_take_object(struct aws_call *call, struct af_slice text, const char *what, const struct af_json **out,
                                             struct af_error *err);
#endif

/*
 * write.h - line protocol of a request into a bucket: what /write and /api/v2/write share; see write.c.
 */
#ifndef AF_SERVER_WRITE_H
#define AF_SERVER_WRITE_H
#include "format/lp/lp.h"
#include "server/server_int.h"

struct write_target {
    uint64_t bucket;
    enum af_precision precision;
    bool all_or_nothing;        /* 2.x: one line that does not parse and none is written. 1.x: the good ones are */
};
/* What became of a body that was read to its end. Texts are in the request's arena; "" if there is nothing to say. */
struct write_result {
    uint64_t bad_lines;         /* that did not parse */
    uint64_t kept;              /* points */
    uint64_t dropped;           /* points that parsed and may not be kept */
    uint64_t conflicts, expired; /* of them */
    const char *bad_words;      /* "unable to parse '...': ...", joined by newlines */
    const char *drop_words;     /* of the gravest drop: a conflict before all others */
    const char *expired_words;  /* 2.x's account of what was too old */
};
/* The body of the request, unpacked. False: the refusal is answered (1.x and 2.x words by request->api). */
AF_MUST_CHECK bool write_body(struct af_request *request, struct af_slice *out);
/* A failure means that lines before it may have been kept: writing again is harmless. */
AF_MUST_CHECK enum af_status write_lines(struct af_request *request, const struct write_target *target, struct af_slice body,
                                         struct write_result *out, struct af_error *err);
/* 1.x's: the bucket that `db` and `rp` lead to, if the asker may. False: it is answered. */
AF_MUST_CHECK bool write_find_v1(struct af_request *request, enum af_action action, struct af_meta_bucket *out);
void write_answer_v1(struct af_request *request, const struct write_result *result);
/* The engine or the disk refused: 503 with the reason and Retry-After, or what else the status says. */
void write_failed(struct af_request *request, const struct af_error *err);
#endif

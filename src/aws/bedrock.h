/*
 * bedrock.h - models: a conversation's next turn, an embedding (service "bedrock-runtime").
 */
#ifndef AF_AWS_BEDROCK_H
#define AF_AWS_BEDROCK_H
#include "aws/aws.h"

struct af_bedrock_turn {
    const char *model;         /* id or ARN; its path segment is encoded */
    struct af_slice system;    /* no memory: none */
    struct af_slice user;
    uint32_t max_tokens;       /* 0: 1,024 */
    double temperature;
};
/* Converse; the text blocks of the answer joined into `out`. *out_stop: "end_turn", "max_tokens", ... in `arena`. */
AF_MUST_CHECK enum af_status af_bedrock_converse(struct af_aws_client *client, const struct af_bedrock_turn *turn, struct af_arena *arena,
                                                 struct af_buf *out, const char **out_stop, struct af_error *err);
/* InvokeModel of a Titan text embedding; the vector in `arena`. */
AF_MUST_CHECK enum af_status af_bedrock_embed(struct af_aws_client *client, const char *model, struct af_slice text, uint32_t dimensions,
                                              struct af_arena *arena, float **out, size_t *out_count, struct af_error *err);
#endif

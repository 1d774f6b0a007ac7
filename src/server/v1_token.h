/* v1_token.h - InfluxQL's words one by one; see v1_token.c. */
#ifndef AF_SERVER_V1_TOKEN_H
#define AF_SERVER_V1_TOKEN_H
#include "base/arena.h"
#include "base/buf.h"

enum v1_token_kind { V1_END, V1_IDENT, V1_KEYWORD, V1_STRING, V1_BAD, V1_INTEGER, V1_NUMBER, V1_DURATION, V1_SIGN };
struct v1_token {
    enum v1_token_kind kind;
    const char *text;       /* unescaped; keywords in capitals; "EOF" at the end. NULL: no memory */
    uint32_t line, column;  /* as InfluxDB counts them, quirks included */
    size_t start, end;      /* in the text */
};
struct v1_scanner {
    struct af_slice text;
    size_t at;
    uint32_t line, column;  /* of `at`, from 0 */
    size_t word_end;        /* of the last word without quotes */
    struct af_arena *arena;
};
struct v1_token v1_scan(struct v1_scanner *scanner);
/* 1h30m, 7d, 52w ... False: it is none, or past int64. */
AF_MUST_CHECK bool v1_duration_parse(const char *text, int64_t *out_ns);
#endif

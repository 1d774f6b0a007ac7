/*
 * json_escape.h - text as a JSON string. format/json and data/ print with it; JSON itself is format/json's business.
 */
#ifndef AF_BASE_JSON_ESCAPE_H
#define AF_BASE_JSON_ESCAPE_H
#include "base/buf.h"

/* Append `text` in quotes, escaped: \" \\ \b \f \n \r \t, \u00XX for other control characters; the rest as it is. What is not
 * UTF-8 becomes U+FFFD, one for each longest piece of a broken sequence. */
void af_json_escape(struct af_buf *out, struct af_slice text);
#endif

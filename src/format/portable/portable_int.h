/* portable_int.h - what v1.c and v2.c share. */
#ifndef AF_FORMAT_PORTABLE_INT_H
#define AF_FORMAT_PORTABLE_INT_H
#include "format/portable/portable.h"

enum { AF_PORTABLE_ID_TEXT = 17 };
void portable_id_print(uint64_t id, char out[AF_PORTABLE_ID_TEXT]); /* 16 hex digits */
AF_MUST_CHECK bool portable_id_parse(struct af_slice text, uint64_t *out);
#endif

/*
 * thrift.h - the Thrift compact protocol, read from bytes in memory.
 *
 *     struct af_thrift_field field = { 0 };
 *     while (af_thrift_next(&in, &field)) {
 *         if (field.id == 1) rows = af_thrift_int(&in, &field);
 *         else af_thrift_skip(&in, field.type);
 *     }
 *     if (in.fault != NULL) ...
 *
 * Failure is sticky: the first fault stays, every later call gives zeroes and false, so a parser tests once at its end.
 * Nothing is allocated. Whatever the bytes claim, no loop runs longer than there are bytes.
 */
#ifndef AF_FORMAT_PARQUET_THRIFT_H
#define AF_FORMAT_PARQUET_THRIFT_H
#include "base/slice.h"
#include <stdint.h>

enum af_thrift_type {
    AF_THRIFT_STOP,
    AF_THRIFT_TRUE,
    AF_THRIFT_FALSE,
    AF_THRIFT_BYTE,
    AF_THRIFT_I16,
    AF_THRIFT_I32,
    AF_THRIFT_I64,
    AF_THRIFT_DOUBLE,
    AF_THRIFT_BINARY,
    AF_THRIFT_LIST,
    AF_THRIFT_SET,
    AF_THRIFT_MAP,
    AF_THRIFT_STRUCT,
    AF_THRIFT_UUID,
};

struct af_thrift {
    const uint8_t *at;
    const uint8_t *end;
    const char *fault; /* NULL: none so far */
    bool is_short;     /* the fault is that the bytes end */
};

struct af_thrift_field {
    int32_t id; /* 0 before the first */
    uint8_t type;
};

/* The next field of a struct; false at its end or on a fault. */
bool af_thrift_next(struct af_thrift *in, struct af_thrift_field *field);

/* The value of the field just met. A field of another type than asked for is a fault. */
int64_t af_thrift_int(struct af_thrift *in, const struct af_thrift_field *field); /* BYTE, I16, I32, I64 */
int32_t af_thrift_int32(struct af_thrift *in, const struct af_thrift_field *field);
bool af_thrift_bool(struct af_thrift *in, const struct af_thrift_field *field);
struct af_slice af_thrift_binary(struct af_thrift *in, const struct af_thrift_field *field);
/* True when the field is a struct: then read its fields with an af_thrift_field of their own. */
bool af_thrift_struct(struct af_thrift *in, const struct af_thrift_field *field);
/* The number of elements (<= bytes left) of a list of `type`; TRUE stands for booleans. */
uint32_t af_thrift_list(struct af_thrift *in, const struct af_thrift_field *field, enum af_thrift_type type);

/* Elements of a list. */
int64_t af_thrift_element_int(struct af_thrift *in);
bool af_thrift_element_bool(struct af_thrift *in);
struct af_slice af_thrift_element_binary(struct af_thrift *in);

/* Step over a value of any type, whatever is inside (to a depth of 64). */
void af_thrift_skip(struct af_thrift *in, uint8_t type);

/* Record a fault of the meaning, unless there is one already. */
void af_thrift_fault(struct af_thrift *in, const char *fault);
#endif

/* one_array.c - an array and its schema, as __arrow_c_array__ gives them, as a stream of one batch. */
#include "base/alloc.h"
#include "ffi/ffi_int.h"
#include <errno.h>

struct one {
    struct ArrowSchema schema; /* released: given away */
    struct ArrowArray array;
    bool had_schema;
};

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct one *one = stream->private_data;
    if (one->had_schema)
        return EINVAL;
    *out = one->schema;
    one->schema.release = NULL;
    one->had_schema = true;
    return 0;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct one *one = stream->private_data;
    *out = one->array;
    one->array.release = NULL;
    return 0;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    (void)stream;
    return "the schema was taken already";
}

static void release(struct ArrowArrayStream *stream)
{
    struct one *one = stream->private_data;
    ARROW_RELEASE(&one->schema);
    ARROW_RELEASE(&one->array);
    af_free(one);
    stream->release = NULL;
}

int af_ffi_stream_of_array(void *arrow_schema, void *arrow_array, void *out_arrow_stream)
{
    struct ArrowSchema *schema = arrow_schema;
    struct ArrowArray *array = arrow_array;
    struct af_error err = { 0 };
    if (schema == NULL || array == NULL || schema->release == NULL || array->release == NULL)
        return ffi_result(af_fail(&err, AF_EINVAL, "an Arrow array that was released or taken already"), &err);
    struct one *one = af_alloc_zero(1, sizeof *one);
    if (one == NULL)
        return ffi_result(af_fail_nomem(&err, "an Arrow array"), &err);
    one->schema = *schema;
    one->array = *array;
    schema->release = NULL;
    array->release = NULL;
    *(struct ArrowArrayStream *)out_arrow_stream = (struct ArrowArrayStream){
        .get_schema = get_schema, .get_next = get_next, .get_last_error = get_last_error, .release = release, .private_data = one
    };
    return 0;
}

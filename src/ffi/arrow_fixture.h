/*
 * arrow_fixture.h - for the tests of ffi/: Arrow arrays made by hand.
 *
 * Every buffer is a block of its own of exactly the size that the format asks for, so that the sanitizer sees a read past it. What is
 * released twice, or never, is seen by `live`.
 */
#ifndef AF_FFI_ARROW_FIXTURE_H
#define AF_FFI_ARROW_FIXTURE_H
#include "base/alloc.h"
#include "ffi/ffi_int.h"
#include <assert.h>
#include <stdlib.h>

static int live; /* schemas, arrays and streams not released yet */

static inline void fixture_release_schema(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        ARROW_RELEASE(schema->children[i]);
        free(schema->children[i]);
    }
    if (schema->dictionary != NULL) {
        ARROW_RELEASE(schema->dictionary);
        free(schema->dictionary);
    }
    free(schema->children);
    schema->release = NULL;
    live--;
}

static inline void fixture_release_array(struct ArrowArray *array)
{
    for (int64_t i = 0; i < array->n_children; i++) {
        ARROW_RELEASE(array->children[i]);
        free(array->children[i]);
    }
    if (array->dictionary != NULL) {
        ARROW_RELEASE(array->dictionary);
        free(array->dictionary);
    }
    for (int64_t i = 0; i < array->n_buffers; i++)
        free((void *)array->buffers[i]);
    free(array->buffers);
    free(array->children);
    array->release = NULL;
    live--;
}

static inline void *fixture_copy(const void *bytes, size_t len)
{
    if (bytes == NULL)
        return NULL;
    void *copy = malloc(len == 0 ? 1 : len);
    assert(copy != NULL);
    memcpy(copy, bytes, len);
    return copy;
}

static inline struct ArrowSchema *fixture_schema(const char *format, const char *name)
{
    struct ArrowSchema *schema = calloc(1, sizeof *schema);
    assert(schema != NULL);
    *schema = (struct ArrowSchema){ .format = format, .name = name, .flags = ARROW_FLAG_NULLABLE, .release = fixture_release_schema };
    live++;
    return schema;
}

static inline struct ArrowArray *fixture_array(int64_t length, int64_t nulls, int64_t offset, int64_t buffers)
{
    struct ArrowArray *array = calloc(1, sizeof *array);
    assert(array != NULL);
    *array = (struct ArrowArray){ .length = length, .null_count = nulls, .offset = offset, .n_buffers = buffers,
                                  .buffers = calloc((size_t)buffers + 1, sizeof(void *)), .release = fixture_release_array };
    live++;
    return array;
}

static inline void fixture_add_schema(struct ArrowSchema *parent, struct ArrowSchema *child)
{
    parent->children = realloc(parent->children, (size_t)(parent->n_children + 1) * sizeof *parent->children);
    assert(parent->children != NULL);
    parent->children[parent->n_children++] = child;
}

static inline void fixture_add_array(struct ArrowArray *parent, struct ArrowArray *child)
{
    parent->children = realloc(parent->children, (size_t)(parent->n_children + 1) * sizeof *parent->children);
    assert(parent->children != NULL);
    parent->children[parent->n_children++] = child;
}

/* `nulls`: a text of 0 and 1 for each row of the buffers (offset included), or NULL. */
static inline void fixture_validity(struct ArrowArray *array, const char *nulls)
{
    const size_t rows = nulls != NULL ? strlen(nulls) : 0;
    uint8_t *bits = calloc(rows / 8 + 1, 1);
    if (nulls == NULL) {
        free(bits);
        return;
    }
    for (size_t i = 0; i < rows; i++)
        if (nulls[i] == '1')
            bits[i / 8] |= (uint8_t)(1 << i % 8);
    array->buffers[0] = fixture_copy(bits, (rows + 7) / 8);
    free(bits);
}

static inline struct ArrowArray *fixture_fixed(const void *values, size_t width, int64_t length, int64_t offset, const char *valid)
{
    struct ArrowArray *array = fixture_array(length, valid != NULL ? -1 : 0, offset, 2);
    array->buffers[1] = fixture_copy(values, (size_t)(length + offset) * width);
    fixture_validity(array, valid);
    return array;
}

/* Words separated by '|'. */
static inline struct ArrowArray *fixture_text(const char *words, int64_t offset, const char *valid)
{
    int32_t offsets[64] = { 0 };
    char bytes[1024];
    int32_t count = 0, used = 0;
    for (const char *p = words; words[0] != '\0'; p++) {
        if (*p != '|' && *p != '\0') {
            bytes[used++] = *p;
            continue;
        }
        offsets[++count] = used;
        if (*p == '\0')
            break;
    }
    struct ArrowArray *array = fixture_array(count - offset, valid != NULL ? -1 : 0, offset, 3);
    array->buffers[1] = fixture_copy(offsets, ((size_t)count + 1) * sizeof *offsets);
    array->buffers[2] = used != 0 ? fixture_copy(bytes, (size_t)used) : NULL;
    fixture_validity(array, valid);
    return array;
}

/* --- a table and a stream of one array ---------------------------------------------------------------------------------------- */

struct fixture_table {
    struct ArrowSchema *schema;
    struct ArrowArray *array;
};

static inline struct fixture_table fixture_table(int64_t rows)
{
    return (struct fixture_table){ fixture_schema("+s", ""), fixture_array(rows, 0, 0, 1) };
}

static inline void fixture_column(struct fixture_table *table, const char *format, const char *name, struct ArrowArray *array)
{
    fixture_add_schema(table->schema, fixture_schema(format, name));
    fixture_add_array(table->array, array);
}

static inline void fixture_done(struct fixture_table *table)
{
    ARROW_RELEASE(table->schema);
    ARROW_RELEASE(table->array);
    free(table->schema);
    free(table->array);
}

/* Takes the table over. */
static inline struct ArrowArrayStream fixture_stream(struct fixture_table *table)
{
    struct ArrowArrayStream stream = { 0 };
    int code = af_ffi_stream_of_array(table->schema, table->array, &stream);
    assert(code == 0);
    (void)code;
    free(table->schema);
    free(table->array);
    return stream;
}
#endif

/*
 * arrow_fuzz.c - a table as foreign bytes describe it: Arrow formats, lengths, offsets, validity, codes and values at will. What a consumer
 * of the interface cannot check (that buffers are as long as the lengths say) is held to; all else may lie, also that there is a buffer.
 *
 *     lines of "format[|format of a dictionary's values]", an empty line, then the bytes of buffers
 *
 * Properties: every cell of a column that was taken can be read, nulls are counted rightly, codes are within their dictionary, and a
 * second import says the same.
 */
#include "base/limits.h"
#include "ffi/arrow_fixture.h"
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 300, COLUMNS_FUZZ_MAX = 6 };

struct input {
    const uint8_t *at;
    size_t left;
};

static uint8_t take(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->at++;
}

static void *take_bytes(struct input *in, size_t len)
{
    uint8_t *bytes = malloc(len == 0 ? 1 : len);
    assert(bytes != NULL);
    for (size_t i = 0; i < len; i++)
        bytes[i] = take(in);
    return bytes;
}

/* Offsets that lead past their bytes would be a lie about memory; descending or negative ones are not. */
static void tame(void *offsets, size_t count, size_t width, int64_t most)
{
    for (size_t i = 0; i < count; i++) {
        int64_t v = 0;
        memcpy(&v, (char *)offsets + i * width, width);
        if (width == 4)
            v = (int32_t)v;
        v = v > most ? v % (most + 1) : v;
        memcpy((char *)offsets + i * width, &v, width);
    }
}

/* Views may say what they like: how long their buffers are is told. */
static struct ArrowArray *make_views(struct input *in, int64_t rows, int64_t offset)
{
    const int64_t texts = take(in) % 4;
    struct ArrowArray *array = fixture_array(rows, 0, offset, 3 + texts);
    int64_t sizes[4] = { 0 };
    array->buffers[1] = take_bytes(in, (size_t)(rows + offset) * 16);
    for (int64_t i = 0; i < texts; i++) {
        sizes[i] = take(in) % 100;
        array->buffers[2 + i] = take_bytes(in, (size_t)sizes[i]);
    }
    array->buffers[2 + texts] = fixture_copy(sizes, (size_t)texts * sizeof *sizes);
    return array;
}

/* Buffers for what the format says; eight bytes a row where it says nothing that is known. */
static struct ArrowArray *make_array(struct input *in, const char *format, int64_t rows)
{
    enum { TEXT = 64 };
    const int64_t offset = take(in) % 5;
    const size_t all = (size_t)(rows + offset);
    const uint8_t how = take(in);
    const bool is_view = format[0] == 'v' && (how & 4) == 0;
    struct ArrowArray *array = is_view ? make_views(in, rows, offset) : fixture_array(rows, 0, offset, 3);
    array->null_count = (int64_t)(how & 1) - 1;
    if ((how & 2) != 0)
        array->buffers[0] = take_bytes(in, all / 8 + 1);
    else
        array->null_count = how & 1 ? 0 : -1;
    if ((how & 4) != 0 || is_view)
        return array;
    if (format[0] == 'u' || format[0] == 'z' || format[0] == 'U' || format[0] == 'Z') {
        const size_t width = format[0] >= 'a' ? 4 : 8;
        array->buffers[1] = take_bytes(in, (all + 1) * width);
        tame((void *)array->buffers[1], all + 1, width, TEXT);
        array->buffers[2] = (how & 8) != 0 ? NULL : take_bytes(in, TEXT);
    } else {
        int width = 16;
        (void)sscanf(format, "w:%d", &width);
        array->buffers[1] = take_bytes(in, all * (size_t)(width > 16 && width < 4096 ? width : 16));
    }
    return array;
}

static void add_column(struct input *in, struct fixture_table *table, char *line, int64_t rows)
{
    char *values = strchr(line, '|');
    if (values != NULL)
        *values++ = '\0';
    struct ArrowArray *array = make_array(in, line, rows);
    fixture_column(table, line, line, array);
    if (values == NULL)
        return;
    table->schema->children[table->schema->n_children - 1]->dictionary = fixture_schema(values, "");
    array->dictionary = make_array(in, values, take(in) % 20);
}

static uint64_t read_cell(const struct af_column *col, size_t row)
{
    uint64_t sum = 0;
    struct af_slice text;
    switch (col->type) {
    case AF_TYPE_BOOL: return af_bit_get(col->bits, row);
    case AF_TYPE_DECIMAL: return (uint64_t)col->i128[row];
    case AF_TYPE_STRING:
    case AF_TYPE_BYTES:
        text = af_column_text(col, row);
        for (size_t i = 0; i < text.len; i++)
            sum = sum * 31 + (uint8_t)text.ptr[i];
        return sum;
    case AF_TYPE_NULL: return 0;
    default: return col->u64[row];
    }
}

static uint64_t read_column(const struct af_column *col, size_t rows)
{
    uint64_t sum = 0;
    size_t nulls = 0;
    for (size_t i = 0; i < rows; i++) {
        if (col->codes != NULL && col->dict->count != 0 && col->codes[i] >= col->dict->count)
            abort();
        nulls += !af_column_has(col, i);
        if (af_column_has(col, i))
            sum = sum * 1000003 + read_cell(col, i);
    }
    if (nulls != col->null_count)
        abort();
    return sum;
}

static void try_column(struct arrow_table *table, const struct ArrowArray *array, size_t column, size_t rows)
{
    uint64_t sums[2] = { 0, 0 };
    struct af_error err = { 0 };
    for (int again = 0; again < 2; again++) {
        struct af_arena arena;
        struct af_column col;
        af_arena_init(&arena, 64 << 20);
        bool is_fine = arrow_array_begin(table, array, &column, 1, &err) == AF_OK &&
                       arrow_import(table, array, &column, 1, 0, rows, &arena, &col, &err) == AF_OK;
        sums[again] = is_fine ? read_column(&col, rows) : 1;
        if (!is_fine && err.message[0] == '\0')
            abort();
        af_arena_done(&arena);
    }
    if (sums[0] != sums[1])
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size };
    char lines[COLUMNS_FUZZ_MAX][24];
    size_t count = 0;
    for (size_t len = 0; in.left != 0 && count < COLUMNS_FUZZ_MAX; len = 0) {
        for (uint8_t c = take(&in); c != '\n' && len < sizeof lines[0] - 1; c = take(&in)) {
            lines[count][len++] = (char)c;
            if (in.left == 0)
                break;
        }
        lines[count][len] = '\0';
        if (len == 0)
            break;
        count++;
    }
    const int64_t rows = (take(&in) * 7) % ROWS_MAX;
    struct fixture_table table = fixture_table(rows);
    struct arrow_table *read = NULL;
    for (size_t i = 0; i < count; i++)
        add_column(&in, &table, lines[i], rows);
    if (arrow_table_new(table.schema, &read, NULL) == AF_OK)
        for (size_t i = 0; i < read->schema.field_count; i++)
            try_column(read, table.array, i, (size_t)rows);
    arrow_table_free(read);
    fixture_done(&table);
    if (live != 0)
        abort();
    return 0;
}

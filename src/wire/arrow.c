/*
 * arrow.c - an Arrow IPC stream: one schema, a record batch for each table, the end (https://arrow.apache.org/docs/format/Columnar.html).
 *
 *     message   ff ff ff ff | int32 bytes of metadata | metadata, padded to 8 | body
 *     stream    schema message, (dictionary messages, record batch message) ..., ff ff ff ff 00 00 00 00
 *
 * Columns: name and tags of the key, then the table's. The schema is that of the first table; later tables may lack columns of it
 * (they are null) but have no others. A part of the key is one text for all of a table: a dictionary of that text alone, which is sent anew
 * when it is another one, and codes of 0.
 */
#include "wire/flatbuffer.h"
#include "wire/wire_int.h"

enum { VERSION_5 = 4, HEADER_SCHEMA = 1, HEADER_DICTIONARY = 2, HEADER_BATCH = 3,
       TYPE_INT = 2, TYPE_FLOAT = 3, TYPE_UTF8 = 5, TYPE_BOOL = 6, TYPE_TIMESTAMP = 10,
       UNIT_NS = 3, PRECISION_DOUBLE = 2, PAD = 8, CODE_BITS = 32 };

static void nothing(struct af_wire *wire)
{
    (void)wire;
}

/* --- messages ------------------------------------------------------------------------------------------------------------------------ */

static void put_message(struct af_wire *wire, struct fb *fb, size_t header, unsigned kind, uint64_t body_bytes)
{
    fb_table(fb);
    fb_slot(fb, 3, body_bytes, 8);
    fb_slot_ref(fb, 2, header);
    fb_slot(fb, 0, VERSION_5, 2);
    fb_slot(fb, 1, kind, 1);
    struct af_slice metadata = fb_finish(fb, fb_table_end(fb));
    uint32_t marks[2] = { UINT32_MAX, (uint32_t)(metadata.len + PAD - 1) / PAD * PAD };
    if (fb->failed)
        wire->is_failed = true;
    af_buf_append(wire->out, marks, sizeof marks);
    af_buf_append_slice(wire->out, metadata);
    for (size_t i = metadata.len; i < marks[1]; i++)
        af_buf_append_char(wire->out, '\0');
}

static size_t put_type(struct fb *fb, enum af_type type, unsigned *out_kind)
{
    size_t zone = type == AF_TYPE_TIME ? fb_string(fb, AF_SLICE_LIT("UTC")) : 0;
    fb_table(fb);
    switch (type) {
    case AF_TYPE_F64:
        *out_kind = TYPE_FLOAT;
        fb_slot(fb, 0, PRECISION_DOUBLE, 2);
        break;
    case AF_TYPE_I64:
    case AF_TYPE_U64:
        *out_kind = TYPE_INT;
        fb_slot(fb, 0, 64, 4);
        fb_slot(fb, 1, type == AF_TYPE_I64, 1);
        break;
    case AF_TYPE_TIME:
        *out_kind = TYPE_TIMESTAMP;
        fb_slot_ref(fb, 1, zone);
        fb_slot(fb, 0, UNIT_NS, 2);
        break;
    case AF_TYPE_BOOL: *out_kind = TYPE_BOOL; break;
    default: *out_kind = TYPE_UTF8; break;
    }
    return fb_table_end(fb);
}

static size_t put_encoding(struct fb *fb, size_t id)
{
    fb_table(fb);
    fb_slot(fb, 0, CODE_BITS, 4);
    fb_slot(fb, 1, true, 1);
    size_t codes = fb_table_end(fb);
    fb_table(fb);
    fb_slot(fb, 0, id, 8);
    fb_slot_ref(fb, 1, codes);
    return fb_table_end(fb);
}

static size_t put_field(struct fb *fb, const struct af_field *field, bool is_key, size_t id)
{
    unsigned kind;
    size_t encoding = is_key ? put_encoding(fb, id) : 0;
    size_t name = fb_string(fb, af_slice_of(field->name));
    size_t type = put_type(fb, field->type, &kind);
    size_t children = fb_offsets(fb, NULL, 0);
    fb_table(fb);
    fb_slot_ref(fb, 0, name);
    fb_slot_ref(fb, 3, type);
    fb_slot_ref(fb, 5, children);
    if (is_key)
        fb_slot_ref(fb, 4, encoding);
    fb_slot(fb, 1, 1, 1);
    fb_slot(fb, 2, kind, 1);
    return fb_table_end(fb);
}

static enum af_status put_schema(struct af_wire *wire, struct af_error *err)
{
    struct fb fb;
    const struct af_schema *schema = wire->arrow.schema;
    size_t *fields = af_arena_alloc(&wire->arrow.arena, (schema->field_count + 1) * sizeof *fields);
    if (fields == NULL)
        return af_fail_nomem(err, "an answer");
    fb_init(&fb, &wire->arrow.arena);
    for (size_t i = 0; i < schema->field_count; i++)
        fields[i] = put_field(&fb, &schema->fields[i], i < wire->arrow.key_count, i);
    size_t list = fb_offsets(&fb, fields, schema->field_count);
    fb_table(&fb);
    fb_slot_ref(&fb, 1, list);
    put_message(wire, &fb, fb_table_end(&fb), HEADER_SCHEMA, 0);
    return AF_OK;
}

/* --- the schema: of the first table --------------------------------------------------------------------------------------------------- */

static enum af_status make_schema(struct af_wire *wire, const struct af_table *table, struct af_error *err)
{
    const struct af_key_part *tags;
    const struct af_schema *from = table->rows->schema;
    size_t tag_count = wire_tags_of(table->key, &tags), at = 0;
    struct af_field *fields = af_arena_zero(&wire->arrow.arena, 1 + tag_count + from->field_count, sizeof *fields);
    struct af_schema *schema = af_arena_zero(&wire->arrow.arena, 1, sizeof *schema);
    wire->arrow.key_count = tag_count + (wire_name_of(table->key).len != 0);
    wire->arrow.values = af_arena_zero(&wire->arrow.arena, wire->arrow.key_count + 1, sizeof *wire->arrow.values);
    wire->arrow.is_sent = af_arena_zero(&wire->arrow.arena, wire->arrow.key_count + 1, sizeof *wire->arrow.is_sent);
    bool fits = fields != NULL && schema != NULL && wire->arrow.values != NULL && wire->arrow.is_sent != NULL;
    for (size_t i = 0; fits && i < wire->arrow.key_count; i++)
        af_buf_init(&wire->arrow.values[i], INT32_MAX);
    if (fits && wire_name_of(table->key).len != 0)
        fields[at++] = (struct af_field){ .name = "name", .type = AF_TYPE_STRING };
    for (size_t i = 0; fits && i < tag_count; i++, at++)
        fits = (fields[at].name = af_arena_copy(&wire->arrow.arena, tags[i].name)) != NULL && (fields[at].type = AF_TYPE_STRING);
    for (size_t i = 0; fits && i < from->field_count; i++, at++) {
        fields[at].type = table->rows->columns[i].type;
        fits = (fields[at].name = af_arena_copy(&wire->arrow.arena, af_slice_of(from->fields[i].name))) != NULL;
    }
    if (!fits)
        return af_fail_nomem(err, "an answer");
    *schema = (struct af_schema){ at, fields };
    wire->arrow.schema = schema;
    return put_schema(wire, err);
}

/* --- bodies --------------------------------------------------------------------------------------------------------------------------- */

struct body {
    struct af_buf bytes;
    int64_t *nodes, *buffers; /* length, nulls; offset, length */
    size_t node_words, buffer_words;
};

static bool begin_body(struct body *body, size_t fields, struct af_arena *arena)
{
    body->nodes = af_arena_zero(arena, fields + 1, 2 * sizeof *body->nodes);
    body->buffers = af_arena_zero(arena, fields + 1, 6 * sizeof *body->buffers);
    return body->nodes != NULL && body->buffers != NULL;
}

static void add_buffer(struct body *body, const void *bytes, size_t len)
{
    body->buffers[body->buffer_words++] = (int64_t)body->bytes.len;
    body->buffers[body->buffer_words++] = (int64_t)len;
    af_buf_append(&body->bytes, bytes, len);
    while (body->bytes.len % PAD != 0)
        af_buf_append_char(&body->bytes, '\0');
}

static void add_text(struct body *body, const struct af_column *column, struct af_slice constant, size_t first, size_t count,
                     struct af_arena *arena)
{
    struct af_buf text;
    int32_t *offsets = af_arena_zero(arena, count + 1, sizeof *offsets);
    af_buf_init(&text, INT32_MAX);
    for (size_t i = 0; offsets != NULL && i < count; i++) {
        struct af_slice one = column == NULL ? constant : af_column_has(column, first + i) ? af_column_text(column, first + i)
                              : AF_SLICE_LIT("");
        af_buf_append_slice(&text, one);
        offsets[i + 1] = (int32_t)text.len;
    }
    add_buffer(body, offsets, offsets != NULL ? (count + 1) * sizeof *offsets : 0);
    add_buffer(body, text.ptr, text.len);
    if (text.failed || offsets == NULL)
        body->bytes.failed = true;
    af_buf_done(&text);
}

static void add_bits(struct body *body, const uint64_t *bits, size_t first, size_t count, struct af_arena *arena)
{
    uint64_t *copy = af_bits_new(arena, count + 1, false);
    for (size_t i = 0; copy != NULL && i < count; i++)
        if (af_bit_get(bits, first + i))
            af_bit_set(copy, i);
    if (copy == NULL)
        body->bytes.failed = true;
    else
        add_buffer(body, copy, (count + 7) / 8);
}

/* All null, whatever the type. */
static void add_nulls(struct body *body, enum af_type type, size_t count, struct af_arena *arena)
{
    struct af_column none = { .type = AF_TYPE_NULL };
    void *zeros = af_arena_zero(arena, count + 1, 8);
    body->nodes[body->node_words++] = (int64_t)count;
    body->nodes[body->node_words++] = (int64_t)count;
    if (zeros == NULL) {
        body->bytes.failed = true;
        return;
    }
    add_buffer(body, zeros, (count + 7) / 8);
    if (af_type_is_text(type))
        add_text(body, &none, AF_SLICE_LIT(""), 0, count, arena);
    else
        add_buffer(body, zeros, type == AF_TYPE_BOOL ? (count + 7) / 8 : count * 8);
}

static void add_column(struct body *body, const struct af_column *column, size_t first, size_t count, struct af_arena *arena)
{
    size_t nulls = 0;
    for (size_t i = 0; i < count; i++)
        nulls += !af_column_has(column, first + i);
    body->nodes[body->node_words++] = (int64_t)count;
    body->nodes[body->node_words++] = (int64_t)nulls;
    if (nulls != 0)
        add_bits(body, column->validity, first, count, arena);
    else
        add_buffer(body, NULL, 0);
    if (af_type_is_text(column->type))
        add_text(body, column, AF_SLICE_LIT(""), first, count, arena);
    else if (column->type == AF_TYPE_BOOL)
        add_bits(body, column->bits, first, count, arena);
    else
        add_buffer(body, column->i64 + first, count * 8);
}

/* --- tables --------------------------------------------------------------------------------------------------------------------------- */

/* A part of the key, by its place among the schema's; false: the table has no such part. */
static bool key_part(const struct af_wire *wire, const struct af_table *table, size_t place, struct af_slice *out)
{
    const struct af_key_part *tags;
    const char *name = wire->arrow.schema->fields[place].name;
    size_t tag_count = wire_tags_of(table->key, &tags);
    for (size_t i = 0; i < tag_count; i++) {
        *out = tags[i].value.text;
        if (af_slice_is(tags[i].name, name) && tags[i].value.type == AF_TYPE_STRING)
            return true;
    }
    *out = wire_name_of(table->key);
    return place == 0 && out->len != 0 && strcmp(name, "name") == 0;
}

/* Codes: there is one text. */
static void add_key(struct body *body, bool has_it, size_t count, struct af_arena *arena)
{
    void *zeros = af_arena_zero(arena, count + 1, CODE_BITS / 8);
    body->nodes[body->node_words++] = (int64_t)count;
    body->nodes[body->node_words++] = has_it ? 0 : (int64_t)count;
    if (zeros == NULL) {
        body->bytes.failed = true;
        return;
    }
    add_buffer(body, zeros, has_it ? 0 : (count + 7) / 8);
    add_buffer(body, zeros, count * CODE_BITS / 8);
}

static enum af_status add_field(struct body *body, const struct af_table *table, const struct af_field *field, size_t first, size_t count,
                                size_t *used, struct af_arena *arena, struct af_error *err)
{
    size_t at = af_schema_find(table->rows->schema, af_slice_of(field->name));
    if (at == SIZE_MAX || table->rows->columns[at].type == AF_TYPE_NULL) {
        *used += at != SIZE_MAX;
        add_nulls(body, field->type, count, arena);
        return AF_OK;
    }
    const struct af_column *column = &table->rows->columns[at];
    if (column->type != field->type && !(af_type_is_text(column->type) && af_type_is_text(field->type)))
        return af_fail(err, AF_EINVAL, "column %s is %s here and was %s before: Arrow has one schema, ask for these series apart",
                       field->name,
                       af_type_name(column->type), af_type_name(field->type));
    (*used)++;
    add_column(body, column, first, count, arena);
    return AF_OK;
}

static enum af_status add_fields(struct af_wire *wire, struct body *body, const struct af_table *table, size_t first, size_t count,
                                 struct af_arena *arena, struct af_error *err)
{
    const struct af_key_part *tags;
    const struct af_schema *schema = wire->arrow.schema;
    size_t used = 0, all = table->rows->schema->field_count + wire_tags_of(table->key, &tags) + (wire_name_of(table->key).len != 0);
    struct af_slice ignored;
    if (!begin_body(body, schema->field_count, arena))
        return af_fail_nomem(err, "an answer");
    for (size_t i = 0; i < wire->arrow.key_count; i++) {
        bool has_it = key_part(wire, table, i, &ignored);
        add_key(body, has_it, count, arena);
        used += has_it;
    }
    for (size_t i = wire->arrow.key_count; i < schema->field_count; i++)
        AF_TRY(add_field(body, table, &schema->fields[i], first, count, &used, arena, err));
    if (used != all)
        return af_fail(err, AF_EINVAL,
                       "a series has columns or tags that the first one has not: Arrow has one schema, ask for these series apart");
    return af_buf_check(&body->bytes, "a record batch", err);
}

static size_t put_body(struct fb *fb, const struct body *body, size_t count)
{
    size_t buffers = fb_structs(fb, body->buffers, body->buffer_words, 2);
    size_t nodes = fb_structs(fb, body->nodes, body->node_words, 2);
    fb_table(fb);
    fb_slot(fb, 0, count, 8);
    fb_slot_ref(fb, 1, nodes);
    fb_slot_ref(fb, 2, buffers);
    return fb_table_end(fb);
}

static void put_batch(struct af_wire *wire, const struct body *body, size_t count, struct af_arena *arena)
{
    struct fb fb;
    fb_init(&fb, arena);
    put_message(wire, &fb, put_body(&fb, body, count), HEADER_BATCH, body->bytes.len);
    af_buf_append_slice(wire->out, af_buf_slice(&body->bytes));
}

static enum af_status put_dictionary(struct af_wire *wire, size_t id, struct af_slice text, struct af_arena *arena, struct af_error *err)
{
    struct fb fb;
    struct body body = { 0 };
    if (!begin_body(&body, 1, arena))
        return af_fail_nomem(err, "an answer");
    af_buf_init(&body.bytes, SIZE_MAX / 2);
    body.nodes[body.node_words++] = 1;
    body.nodes[body.node_words++] = 0;
    add_buffer(&body, NULL, 0);
    add_text(&body, NULL, text, 0, 1, arena);
    fb_init(&fb, arena);
    size_t data = put_body(&fb, &body, 1);
    fb_table(&fb);
    fb_slot(&fb, 0, id, 8);
    fb_slot_ref(&fb, 1, data);
    put_message(wire, &fb, fb_table_end(&fb), HEADER_DICTIONARY, body.bytes.len);
    af_buf_append_slice(wire->out, af_buf_slice(&body.bytes));
    enum af_status status = af_buf_check(&body.bytes, "a dictionary", err);
    af_buf_done(&body.bytes);
    return status;
}

/* Those that changed. One that a table has not is null there, but a reader wants its dictionary. */
static enum af_status put_dictionaries(struct af_wire *wire, const struct af_table *table, struct af_arena *arena, struct af_error *err)
{
    for (size_t i = 0; i < wire->arrow.key_count; i++) {
        struct af_slice text;
        struct af_buf *last = &wire->arrow.values[i];
        if (!key_part(wire, table, i, &text))
            text = af_buf_slice(last);
        if (wire->arrow.is_sent[i] && af_slice_eq(text, af_buf_slice(last)))
            continue;
        wire->arrow.is_sent[i] = true;
        af_buf_clear(last);
        af_buf_append_slice(last, text);
        AF_TRY(af_buf_check(last, "a dictionary", err));
        AF_TRY(put_dictionary(wire, i, text, arena, err));
    }
    return AF_OK;
}

static enum af_status put_table(struct af_wire *wire, struct body *body, const struct af_table *table, size_t first, size_t count,
                                struct af_arena *arena, struct af_error *err)
{
    if (wire->arrow.schema == NULL)
        AF_TRY(make_schema(wire, table, err));
    AF_TRY(add_fields(wire, body, table, first, count, arena, err));
    AF_TRY(put_dictionaries(wire, table, arena, err));
    put_batch(wire, body, count, arena);
    return wire->is_failed ? af_fail_nomem(err, "an answer") : AF_OK;
}

static enum af_status arrow_rows(struct af_wire *wire, const struct af_table *table, size_t first, size_t count, struct af_error *err)
{
    struct af_arena arena;
    struct body body = { 0 };
    af_arena_init(&arena, SIZE_MAX / 2);
    af_buf_init(&body.bytes, SIZE_MAX / 2);
    enum af_status status = put_table(wire, &body, table, first, count, &arena, err);
    af_buf_done(&body.bytes);
    af_arena_done(&arena);
    return status;
}

static void arrow_series(struct af_wire *wire, const struct af_table *table)
{
    (void)wire;
    (void)table;
}

static void arrow_series_end(struct af_wire *wire, bool is_partial)
{
    (void)wire;
    (void)is_partial;
}

/* There is no place for words in it: who feeds the writer says them. */
static void arrow_statement_end(struct af_wire *wire, const struct af_wire_message *messages, size_t count, const char *error)
{
    (void)wire;
    (void)messages;
    (void)count;
    (void)error;
}

/* Nothing was there: a schema without columns is a stream too. */
static void arrow_end(struct af_wire *wire)
{
    static const uint32_t end[2] = { UINT32_MAX, 0 };
    static const struct af_schema none = { 0 };
    if (wire->arrow.schema == NULL) {
        wire->arrow.schema = &none;
        if (put_schema(wire, NULL) != AF_OK)
            wire->out->failed = true;
    }
    af_buf_append(wire->out, end, sizeof end);
}

const struct wire_ops wire_arrow = {
    .begin = nothing,
    .statement = nothing,
    .series = arrow_series,
    .rows = arrow_rows,
    .series_end = arrow_series_end,
    .statement_end = arrow_statement_end,
    .chunk_end = arrow_series_end,
    .end = arrow_end,
};

/*
 * nested.c - repeated columns put together again, a row at a time, as JSON.
 *
 *     schema                                     printed
 *     optional group a (LIST)                    null | [ ... ]
 *       repeated group list
 *         optional group element                 null | { ... }
 *           required int64 x                     "x":1
 *
 * A slot of a leaf is a pair of levels and, where the definition level is the highest, a value. To print a node is to take slots
 * from all leaves below it:
 *
 *     optional    the next slot of its first leaf has a lower definition level: null; takes one slot of each leaf
 *     repeated    lower: empty, one slot of each leaf; else elements, as long as the next slots repeat at the node's level
 *
 * All leaves below a node must agree on both levels wherever they share the node: this is checked at every step, so damaged levels end in
 * an error, not in rows that slide against each other. Leaves are read in blocks of a few hundred slots, so memory does not depend on
 * how often a row repeats; its text is bounded by AF_STRING_BYTES_MAX.
 *
 * Maps whose keys are values are JSON objects, keys quoted; other maps are arrays of {"key":...,"value":...}.
 */
#include "base/limits.h"
#include "format/json/json.h"
#include "format/parquet/parquet_int.h"

enum { BLOCK = 256 };

struct block {
    uint32_t rep[BLOCK];
    uint32_t def[BLOCK];
    size_t len;
    size_t at;
    size_t value_at;
    struct af_pq_vec vec;
    uint32_t codes[BLOCK];
    int32_t offsets[BLOCK + 1];
    uint64_t bits[BLOCK / 64];
    uint64_t validity[BLOCK / 64];
    void *values; /* of 16 bytes */
    struct af_field field;
    struct af_schema schema;
    struct af_column column;
    struct af_batch batch; /* the values of the block as a batch of one column, for the printer */
};

struct af_pq_nested {
    const struct af_parquet *file;
    const struct af_pq_field *field;
    struct af_pq_reader *readers;
    struct block *blocks;
    uint32_t current;     /* leaf last read */
    size_t row_start;     /* of `out` */
    struct af_buf key;
};

enum af_status af_pq_nested_new(const struct af_parquet *file, const struct af_pq_field *field, struct af_pq_reader *readers,
                                struct af_arena *arena, struct af_pq_nested **out, struct af_error *err)
{
    struct af_pq_nested *nested = af_arena_zero(arena, 1, sizeof *nested);
    struct block *blocks = af_arena_zero(arena, field->leaf_count, sizeof *blocks);
    if (nested == NULL || blocks == NULL)
        return af_fail_nomem(err, "a nested column");
    *nested = (struct af_pq_nested){ .file = file, .field = field, .readers = readers, .blocks = blocks };
    af_buf_init(&nested->key, AF_STRING_BYTES_MAX * (size_t)8);
    for (uint32_t i = 0; i < field->leaf_count; i++) {
        struct block *b = &blocks[i];
        const struct af_pq_leaf *leaf = readers[i].leaf;
        b->values = af_arena_array(arena, BLOCK, 16);
        if (b->values == NULL)
            return af_fail_nomem(err, "a nested column");
        af_buf_init(&b->vec.text, (size_t)AF_PARQUET_PAGE_BYTES_MAX + BLOCK * 64);
        b->field = (struct af_field){ .name = "", .source_type = "", .type = leaf->type, .scale = leaf->scale, .is_local = leaf->is_local };
        b->schema = (struct af_schema){ 1, &b->field };
        b->batch = (struct af_batch){ .schema = &b->schema, .columns = &b->column };
    }
    *out = nested;
    return AF_OK;
}

void af_pq_nested_done(struct af_pq_nested *nested)
{
    if (nested == NULL)
        return;
    for (uint32_t i = 0; i < nested->field->leaf_count; i++)
        af_buf_done(&nested->blocks[i].vec.text);
    af_buf_done(&nested->key);
}

void af_pq_nested_begin(struct af_pq_nested *nested)
{
    for (uint32_t i = 0; i < nested->field->leaf_count; i++)
        nested->blocks[i].len = nested->blocks[i].at = 0;
}

const struct af_pq_reader *af_pq_nested_current(const struct af_pq_nested *nested)
{
    return &nested->readers[nested->current];
}

/* --- slots ------------------------------------------------------------------------------------------------------------------- */

/* The block's values as a column. Times that could not be held print as null; a JSON text inside is printed as a string, since
 * nobody checked that it is JSON. */
static void show_values(struct block *b, const struct af_pq_reader *reader, size_t count)
{
    const enum af_type type = reader->leaf->type == AF_TYPE_JSON ? AF_TYPE_STRING : reader->leaf->type;
    b->column = (struct af_column){ .type = type, .scale = reader->leaf->scale, .values = b->values };
    if (reader->leaf->form == AF_PQ_FORM_BOOL)
        b->column.bits = b->bits;
    if (af_pq_form_is_text(reader->leaf->form)) {
        b->column.codes = b->vec.is_coded ? b->codes : NULL;
        b->column.dict = b->vec.is_coded ? reader->dict.text : NULL;
        b->column.offsets = b->offsets;
        b->column.bytes = b->vec.text.ptr != NULL ? b->vec.text.ptr : "";
    }
    b->batch.row_count = count;
    if (!b->vec.has_misfit)
        return;
    for (size_t i = 0; i < count; i++) {
        const bool is_misfit = reader->leaf->form == AF_PQ_FORM_DECIMAL ? b->vec.i128[i] == AF_PQ_NO_DECIMAL
                                                                        : b->vec.i64[i] == AF_PQ_NO_TIME;
        if (is_misfit)
            af_bit_clear(b->validity, i), b->column.null_count++;
        else
            af_bit_set(b->validity, i);
    }
    b->column.validity = b->validity;
}

static enum af_status load_block(struct af_pq_nested *nested, uint32_t leaf, struct af_error *err)
{
    struct af_pq_reader *reader = &nested->readers[leaf];
    struct block *b = &nested->blocks[leaf];
    b->len = b->at = b->value_at = 0;
    nested->current = leaf;
    if (reader->page_left == 0) {
        if (reader->slots_left == 0)
            return AF_OK;
        AF_TRY(af_pq_page_next(reader, err));
    }
    const size_t n = reader->page_left < BLOCK ? reader->page_left : BLOCK;
    size_t present = 0;
    AF_TRY(af_pq_levels_read(&reader->rep, b->rep, n, err));
    AF_TRY(af_pq_levels_read(&reader->def, b->def, n, err));
    for (size_t i = 0; i < n; i++)
        present += b->def[i] == reader->leaf->def;
    b->vec.fixed = b->values;
    b->vec.bits = b->bits;
    b->vec.codes = b->codes;
    b->vec.offsets = b->offsets;
    b->vec.is_coded = reader->values.source == AF_PQ_SOURCE_DICT;
    b->vec.has_misfit = false;
    b->offsets[0] = 0;
    af_buf_clear(&b->vec.text);
    AF_TRY(af_pq_values_read(reader, present, &b->vec, 0, err));
    show_values(b, reader, present);
    reader->page_left -= (uint32_t)n;
    b->len = n;
    return reader->page_left == 0 ? af_pq_values_end(reader, err) : AF_OK;
}

/* Make sure that the next slot is there to be looked at; at the end of the chunk there is none. */
static enum af_status look(struct af_pq_nested *nested, uint32_t leaf, bool *out_has, struct af_error *err)
{
    const struct block *b = &nested->blocks[leaf];
    if (b->at == b->len)
        AF_TRY(load_block(nested, leaf, err));
    *out_has = b->at < b->len;
    return AF_OK;
}

static enum af_status fail_levels(struct af_pq_nested *nested, uint32_t leaf, const char *what, struct af_error *err)
{
    nested->current = leaf;
    return af_fail(err, AF_ECORRUPT, "%s", what);
}

/* Repetition level of the next slots of all leaves of a node; they must agree. The end of the chunk is like a new row. */
static enum af_status next_rep(struct af_pq_nested *nested, uint32_t first, uint32_t count, uint32_t *out_rep, struct af_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        bool has = false;
        AF_TRY(look(nested, first + i, &has, err));
        const uint32_t rep = has ? nested->blocks[first + i].rep[nested->blocks[first + i].at] : 0;
        if (i != 0 && rep != *out_rep)
            return fail_levels(nested, first + i, "its repetition levels do not fit those of its neighbour", err);
        *out_rep = rep;
    }
    return AF_OK;
}

static enum af_status next_def(struct af_pq_nested *nested, uint32_t leaf, uint32_t *out_def, struct af_error *err)
{
    bool has = false;
    AF_TRY(look(nested, leaf, &has, err));
    if (!has)
        return fail_levels(nested, leaf, "its levels end before the row does", err);
    *out_def = nested->blocks[leaf].def[nested->blocks[leaf].at];
    return AF_OK;
}

/* One slot of each leaf: there is nothing at this place, at the definition level `def`. */
static enum af_status take_nothing(struct af_pq_nested *nested, uint32_t first, uint32_t count, uint32_t def, struct af_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t own = 0;
        AF_TRY(next_def(nested, first + i, &own, err));
        if (own != def)
            return fail_levels(nested, first + i, "its definition levels do not fit those of its neighbour", err);
        nested->blocks[first + i].at++;
    }
    return AF_OK;
}

/* The same for an optional or repeated node whose parent is there: then the level can only be the parent's. */
static enum af_status take_missing(struct af_pq_nested *nested, const struct af_pq_node *node, uint32_t def, struct af_error *err)
{
    const uint32_t first = node->first_leaf - nested->field->first_leaf;
    if (def + 1 != node->def)
        return fail_levels(nested, first, "its definition levels do not fit those of its neighbour", err);
    return take_nothing(nested, first, node->leaf_count, def, err);
}

/* --- printing ---------------------------------------------------------------------------------------------------------------- */

/* `out` is NULL where a row is passed over. */
static void put(struct af_buf *out, const char *text)
{
    if (out != NULL)
        af_buf_append_str(out, text);
}

static uint32_t leaf_of(const struct af_pq_nested *nested, uint32_t node)
{
    return nested->file->nodes[node].first_leaf - nested->field->first_leaf;
}

static enum af_status print_member(struct af_pq_nested *nested, struct af_buf *out, uint32_t node, struct af_error *err);
static enum af_status print_content(struct af_pq_nested *nested, struct af_buf *out, uint32_t node, struct af_error *err);

static enum af_status print_value(struct af_pq_nested *nested, struct af_buf *out, uint32_t node, struct af_error *err)
{
    const uint32_t leaf = leaf_of(nested, node);
    struct block *b = &nested->blocks[leaf];
    uint32_t def = 0;
    AF_TRY(next_def(nested, leaf, &def, err));
    if (def != nested->file->nodes[node].def)
        return fail_levels(nested, leaf, "its definition levels do not fit those of its neighbour", err);
    if (out != NULL)
        af_batch_print_json(out, &b->batch, b->value_at, 0);
    b->value_at++;
    b->at++;
    return AF_OK;
}

static enum af_status print_struct(struct af_pq_nested *nested, struct af_buf *out, uint32_t node, struct af_error *err)
{
    const struct af_pq_node *nodes = nested->file->nodes;
    put(out, "{");
    for (uint32_t at = node + 1; at < nodes[node].end; at = nodes[at].end) {
        if (out != NULL) {
            if (at != node + 1)
                af_buf_append_char(out, ',');
            af_json_append_string(out, nodes[at].name);
            af_buf_append_char(out, ':');
        }
        AF_TRY(print_member(nested, out, at, err));
    }
    put(out, "}");
    return AF_OK;
}

/* The key of a map as a JSON string, whatever its type. */
static enum af_status print_key(struct af_pq_nested *nested, struct af_buf *out, uint32_t node, struct af_error *err)
{
    af_buf_clear(&nested->key);
    AF_TRY(print_member(nested, out != NULL ? &nested->key : NULL, node, err));
    if (out == NULL)
        return AF_OK;
    AF_TRY(af_buf_check(&nested->key, "the key of a map", err));
    if (nested->key.len != 0 && nested->key.ptr[0] == '"')
        af_buf_append_slice(out, af_buf_slice(&nested->key));
    else
        af_json_append_string(out, af_buf_slice(&nested->key));
    return AF_OK;
}

static enum af_status print_entry(struct af_pq_nested *nested, struct af_buf *out, uint32_t key, struct af_error *err)
{
    const struct af_pq_node *nodes = nested->file->nodes;
    const uint32_t value = nodes[key].end;
    if (nodes[key].is_group || nodes[key].repetition == AF_PQ_REPEATED) {
        put(out, "{\"key\":");
        AF_TRY(print_member(nested, out, key, err));
        put(out, ",\"value\":");
        AF_TRY(print_member(nested, out, value, err));
        put(out, "}");
        return AF_OK;
    }
    AF_TRY(print_key(nested, out, key, err));
    put(out, ":");
    return print_member(nested, out, value, err);
}

/* The row grows by at least a byte an element, so this also bounds the loop. */
static enum af_status check_row(const struct af_pq_nested *nested, const struct af_buf *out, struct af_error *err)
{
    if (out == NULL)
        return AF_OK;
    if (out->len - nested->row_start > AF_STRING_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "a nested value that is over AF_STRING_BYTES_MAX as JSON");
    return af_buf_check(out, "the text of a batch", err);
}

/* All that repeats at `repeated`; each is an `element` (`repeated` itself, or something inside), or an entry of a map. */
static enum af_status print_array(struct af_pq_nested *nested, struct af_buf *out, uint32_t repeated, uint32_t element, bool is_map,
                                  struct af_error *err)
{
    const struct af_pq_node *node = &nested->file->nodes[repeated];
    const struct af_pq_node *key = &nested->file->nodes[element];
    const bool is_object = is_map && !key->is_group && key->repetition != AF_PQ_REPEATED;
    const uint32_t first = leaf_of(nested, repeated);
    uint32_t def = 0;
    uint32_t rep = 0;
    put(out, is_object ? "{" : "[");
    AF_TRY(next_def(nested, first, &def, err));
    if (def < node->def) {
        put(out, is_object ? "}" : "]");
        return take_missing(nested, node, def, err);
    }
    for (;;) {
        AF_TRY(is_map                ? print_entry(nested, out, element, err)
               : element == repeated ? print_content(nested, out, element, err)
                                     : print_member(nested, out, element, err));
        AF_TRY(check_row(nested, out, err));
        AF_TRY(next_rep(nested, first, node->leaf_count, &rep, err));
        if (rep != node->rep)
            break;
        put(out, ",");
    }
    if (rep > node->rep)
        return fail_levels(nested, first, "its repetition levels rise inside a row", err);
    put(out, is_object ? "}" : "]");
    return AF_OK;
}

/* A node that is there, its own repetition aside. */
static enum af_status print_content(struct af_pq_nested *nested, struct af_buf *out, uint32_t node, struct af_error *err)
{
    uint32_t repeated = 0;
    uint32_t element = 0;
    switch (af_pq_node_shape(nested->file, node, &repeated, &element)) {
    case AF_PQ_SHAPE_VALUE: return print_value(nested, out, node, err);
    case AF_PQ_SHAPE_STRUCT: return print_struct(nested, out, node, err);
    case AF_PQ_SHAPE_MAP: return print_array(nested, out, repeated, element, true, err);
    default: return print_array(nested, out, repeated, element, false, err);
    }
}

static enum af_status print_member(struct af_pq_nested *nested, struct af_buf *out, uint32_t index, struct af_error *err)
{
    const struct af_pq_node *node = &nested->file->nodes[index];
    const uint32_t first = leaf_of(nested, index);
    if (node->repetition == AF_PQ_REPEATED)
        return print_array(nested, out, index, index, false, err);
    if (node->repetition == AF_PQ_OPTIONAL) {
        uint32_t def = 0;
        AF_TRY(next_def(nested, first, &def, err));
        if (def < node->def) {
            put(out, "null");
            return take_missing(nested, node, def, err);
        }
    }
    return print_content(nested, out, index, err);
}

enum af_status af_pq_nested_row(struct af_pq_nested *nested, struct af_buf *out, bool *out_null, struct af_error *err)
{
    const struct af_pq_field *field = nested->field;
    const struct af_pq_node *node = &nested->file->nodes[field->node];
    uint32_t rep = 0;
    uint32_t def = 0;
    AF_TRY(next_rep(nested, 0, field->leaf_count, &rep, err));
    if (rep != 0)
        return fail_levels(nested, 0, "a row begins with a repetition level that is not 0", err);
    AF_TRY(next_def(nested, 0, &def, err));
    nested->row_start = out != NULL ? out->len : 0;
    *out_null = def < (uint32_t)node->def - (node->repetition == AF_PQ_REPEATED);
    if (*out_null)
        return take_nothing(nested, 0, field->leaf_count, def, err);
    AF_TRY(node->repetition == AF_PQ_REPEATED ? print_array(nested, out, field->node, field->node, false, err)
                                              : print_content(nested, out, field->node, err));
    return check_row(nested, out, err);
}

enum af_status af_pq_nested_end(struct af_pq_nested *nested, struct af_error *err)
{
    for (uint32_t i = 0; i < nested->field->leaf_count; i++) {
        bool has = false;
        AF_TRY(look(nested, i, &has, err));
        if (has)
            return fail_levels(nested, i, "it has more values than the row group has rows", err);
    }
    return AF_OK;
}

/* --- marks ------------------------------------------------------------------------------------------------------------------- */

void af_pq_nested_mark(const struct af_pq_nested *nested, struct af_pq_mark *marks)
{
    for (uint32_t i = 0; i < nested->field->leaf_count; i++) {
        const struct af_pq_reader *reader = &nested->readers[i];
        const uint32_t pending = (uint32_t)(nested->blocks[i].len - nested->blocks[i].at);
        marks[i] = af_pq_reader_mark(reader);
        if (pending != 0)
            marks[i] = (struct af_pq_mark){ .at = reader->page_at, .slots_left = reader->slots_left + reader->page_slots,
                                            .page = reader->page - 1, .taken = reader->page_slots - reader->page_left - pending };
    }
}

enum af_status af_pq_nested_restore(struct af_pq_nested *nested, const struct af_pq_mark *marks, struct af_error *err)
{
    for (uint32_t i = 0; i < nested->field->leaf_count; i++) {
        nested->current = i;
        AF_TRY(af_pq_reader_restore(&nested->readers[i], &marks[i], err));
        nested->blocks[i].len = nested->blocks[i].at = 0;
    }
    return AF_OK;
}

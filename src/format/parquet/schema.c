/*
 * schema.c - the schema of a file: from the flat list of elements to a tree with levels, and from the tree to columns.
 *
 *     message                          fields that callers see
 *       optional group a               a.b   (a struct is flattened; it is null where a is)
 *         required int64 b             a.c   one JSON column: what repeats, and all below it
 *         optional group c (LIST)
 *           repeated group list
 *             optional binary element
 *
 * Levels: def counts the optional and repeated elements on the way from the root, rep the repeated ones. The older "converted types"
 * and the newer "logical types" are brought together in enum af_pq_logical; what is unknown falls back to the physical type.
 */
#include "base/limits.h"
#include "format/parquet/parquet_int.h"

enum { PATH_BYTES_MAX = 65535, DECIMAL_DIGITS_MAX = 38 };

const char *af_pq_physical_name(uint8_t physical)
{
    static const char *const names[] = { "BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY" };
    return physical < 8 ? names[physical] : "?";
}

const char *af_pq_encoding_name(uint32_t encoding)
{
    static const char *const names[] = { "PLAIN", "GROUP_VAR_INT", "PLAIN_DICTIONARY", "RLE", "BIT_PACKED", "DELTA_BINARY_PACKED",
                                         "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "RLE_DICTIONARY", "BYTE_STREAM_SPLIT", "ALP" };
    return encoding < sizeof names / sizeof names[0] ? names[encoding] : NULL;
}

const char *af_pq_codec_name(int32_t codec)
{
    static const char *const names[] = { "UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW" };
    return codec >= 0 && codec < 8 ? names[codec] : NULL;
}

/* --- elements -------------------------------------------------------------------------------------------------------------- */

static void set_time(struct af_pq_node *node, uint8_t logical, uint8_t unit, bool is_local)
{
    node->logical = logical;
    node->unit = unit;
    node->is_local = is_local;
}

/* Converted types of times do not say whether they are UTC: writers used them for wall time as well. */
static void apply_converted(struct af_pq_node *node, int32_t converted)
{
    static const uint8_t simple[] = { AF_PQ_LOGICAL_STRING, AF_PQ_LOGICAL_MAP, AF_PQ_LOGICAL_MAP, AF_PQ_LOGICAL_LIST, AF_PQ_LOGICAL_ENUM,
                                      AF_PQ_LOGICAL_DECIMAL, AF_PQ_LOGICAL_DATE };
    enum { MAP_KEY_VALUE = 2, TIME_MILLIS = 7, TIMESTAMP_MILLIS = 9, UINT_8 = 11, INT_8 = 15, JSON = 19, BSON, INTERVAL };
    if (converted < 0 || converted > INTERVAL)
        return;
    if (converted < TIME_MILLIS)
        node->logical = converted == MAP_KEY_VALUE && node->repetition == AF_PQ_REPEATED ? AF_PQ_LOGICAL_NONE : simple[converted];
    else if (converted < TIMESTAMP_MILLIS)
        set_time(node, AF_PQ_LOGICAL_TIME, converted == TIME_MILLIS ? 3 : 6, true);
    else if (converted < UINT_8)
        set_time(node, AF_PQ_LOGICAL_TIMESTAMP, converted == TIMESTAMP_MILLIS ? 3 : 6, true);
    else if (converted < JSON) {
        node->logical = AF_PQ_LOGICAL_INTEGER;
        node->is_signed = converted >= INT_8;
        node->bits = (uint8_t)(8u << ((unsigned)(converted - UINT_8) & 3));
    } else {
        node->logical = (uint8_t)(converted == JSON ? AF_PQ_LOGICAL_JSON : converted == BSON ? AF_PQ_LOGICAL_BSON : AF_PQ_LOGICAL_INTERVAL);
    }
}

static void parse_time(struct af_thrift *in, struct af_pq_node *node, uint8_t logical)
{
    struct af_thrift_field field = { 0 };
    uint8_t unit = 0;
    bool is_utc = false;
    while (af_thrift_next(in, &field)) {
        struct af_thrift_field inner = { 0 };
        if (field.id == 1)
            is_utc = af_thrift_bool(in, &field);
        else if (field.id == 2 && af_thrift_struct(in, &field))
            while (af_thrift_next(in, &inner)) {
                unit = inner.id >= 1 && inner.id <= 3 ? (uint8_t)(3 * inner.id) : unit;
                af_thrift_skip(in, inner.type);
            }
        else
            af_thrift_skip(in, field.type);
    }
    if (unit != 0)
        set_time(node, logical, unit, !is_utc);
}

static void parse_decimal(struct af_thrift *in, struct af_pq_node *node)
{
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(in, &field))
        if (field.id == 1)
            node->scale = af_thrift_int32(in, &field);
        else if (field.id == 2)
            node->precision = af_thrift_int32(in, &field);
        else
            af_thrift_skip(in, field.type);
    node->logical = AF_PQ_LOGICAL_DECIMAL;
}

static void parse_integer(struct af_thrift *in, struct af_pq_node *node)
{
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(in, &field))
        if (field.id == 1)
            node->bits = (uint8_t)af_thrift_int(in, &field);
        else if (field.id == 2)
            node->is_signed = af_thrift_bool(in, &field);
        else
            af_thrift_skip(in, field.type);
    node->logical = AF_PQ_LOGICAL_INTEGER;
}

/* The union LogicalType: one field whose id says which. */
static void parse_logical(struct af_thrift *in, struct af_pq_node *node)
{
    static const uint8_t simple[] = {
        [1] = AF_PQ_LOGICAL_STRING,    [2] = AF_PQ_LOGICAL_MAP,       [3] = AF_PQ_LOGICAL_LIST,       [4] = AF_PQ_LOGICAL_ENUM,
        [6] = AF_PQ_LOGICAL_DATE,      [11] = AF_PQ_LOGICAL_NULL,     [12] = AF_PQ_LOGICAL_JSON,      [13] = AF_PQ_LOGICAL_BSON,
        [14] = AF_PQ_LOGICAL_UUID,     [15] = AF_PQ_LOGICAL_FLOAT16,  [16] = AF_PQ_LOGICAL_VARIANT,   [17] = AF_PQ_LOGICAL_GEOMETRY,
        [18] = AF_PQ_LOGICAL_GEOGRAPHY,
    };
    enum { DECIMAL = 5, TIME = 7, TIMESTAMP = 8, INTEGER = 10 };
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(in, &field)) {
        if (field.type != AF_THRIFT_STRUCT)
            af_thrift_skip(in, field.type);
        else if (field.id == DECIMAL)
            parse_decimal(in, node);
        else if (field.id == TIME || field.id == TIMESTAMP)
            parse_time(in, node, field.id == TIME ? AF_PQ_LOGICAL_TIME : AF_PQ_LOGICAL_TIMESTAMP);
        else if (field.id == INTEGER)
            parse_integer(in, node);
        else {
            if (field.id > 0 && field.id < (int32_t)sizeof simple && simple[field.id] != 0)
                node->logical = simple[field.id];
            af_thrift_skip(in, field.type);
        }
    }
}

struct element {
    struct af_pq_node node;
    int32_t children;
    bool has_type;
};

static void parse_element(struct af_thrift *in, struct element *out)
{
    struct af_thrift_field field = { 0 };
    struct af_pq_node *node = &out->node;
    struct af_pq_node logical = { 0 };
    int32_t converted = -1;
    bool has_name = false;
    while (af_thrift_next(in, &field)) {
        int32_t value;
        switch (field.id) {
        case 1:
        case 3:
            value = af_thrift_int32(in, &field);
            if (value < 0 || value > (field.id == 1 ? AF_PQ_FIXED : AF_PQ_REPEATED))
                af_thrift_fault(in, "a column's type or repetition is not one that exists");
            if (field.id == 1)
                out->has_type = true, node->physical = (uint8_t)value;
            else
                node->repetition = (uint8_t)value;
            break;
        case 2: node->type_length = af_thrift_int32(in, &field); break;
        case 4: node->name = af_thrift_binary(in, &field); has_name = true; break;
        case 5: out->children = af_thrift_int32(in, &field); break;
        case 6: converted = af_thrift_int32(in, &field); break;
        case 7: node->scale = af_thrift_int32(in, &field); break;
        case 8: node->precision = af_thrift_int32(in, &field); break;
        case 10:
            if (af_thrift_struct(in, &field))
                parse_logical(in, &logical);
            break;
        default: af_thrift_skip(in, field.type);
        }
    }
    if (!has_name)
        af_thrift_fault(in, "a column has no name");
    apply_converted(node, converted);
    if (logical.logical == AF_PQ_LOGICAL_NONE)
        return;
    if (logical.unit != 0 && node->unit != 0 && node->logical == logical.logical && node->unit != logical.unit)
        af_thrift_fault(in, "a column's time has two units: one of its two annotations is damaged");
    if (logical.logical == AF_PQ_LOGICAL_DECIMAL)
        node->scale = logical.scale, node->precision = logical.precision;
    node->logical = logical.logical;
    node->unit = logical.unit;
    node->bits = logical.bits;
    node->is_signed = logical.is_signed;
    node->is_local = logical.is_local;
}

/* The groups that are open while elements arrive. */
struct tree {
    uint32_t depth;
    uint32_t open[AF_PARQUET_SCHEMA_DEPTH_MAX + 1];
    int32_t left[AF_PARQUET_SCHEMA_DEPTH_MAX + 1];
};

static void close_groups(struct af_parquet *file, struct tree *tree)
{
    while (tree->depth > 0 && tree->left[tree->depth - 1] == 0)
        file->nodes[tree->open[--tree->depth]].end = file->node_count;
}

static enum af_status add_element(struct af_parquet *file, struct tree *tree, const struct element *element, struct af_error *err)
{
    const bool is_root = file->node_count == 0;
    struct af_pq_node *node = &file->nodes[file->node_count];
    if (!is_root && tree->depth == 0)
        return af_fail(err, AF_ECORRUPT, "%s: the schema has elements after its end", file->reader->name);
    if (element->children < 0 || (!element->has_type && element->children == 0 && !is_root) ||
        (element->has_type && (element->children > 0 || is_root)))
        return af_fail(err, AF_ECORRUPT, "%s: schema element %u is neither a column nor a group", file->reader->name, file->node_count);
    if (memchr(element->node.name.ptr, 0, element->node.name.len) != NULL)
        return af_fail(err, AF_ECORRUPT, "%s: the name of schema element %u has a NUL byte", file->reader->name, file->node_count);
    *node = element->node;
    node->is_group = !element->has_type;
    node->first_leaf = file->leaf_count;
    if (!is_root) {
        node->parent = tree->open[tree->depth - 1];
        const struct af_pq_node *parent = &file->nodes[node->parent];
        node->def = (uint8_t)(parent->def + (node->repetition != AF_PQ_REQUIRED));
        node->rep = (uint8_t)(parent->rep + (node->repetition == AF_PQ_REPEATED));
        tree->left[tree->depth - 1]--;
    }
    file->node_count++;
    node->end = file->node_count;
    if (node->is_group) {
        if (tree->depth > AF_PARQUET_SCHEMA_DEPTH_MAX)
            return af_fail(err, AF_ELIMIT, "%s: the schema is nested more than %d deep", file->reader->name, AF_PARQUET_SCHEMA_DEPTH_MAX);
        tree->open[tree->depth] = file->node_count - 1;
        tree->left[tree->depth++] = element->children;
    } else {
        file->leaf_count++;
    }
    close_groups(file, tree);
    return AF_OK;
}

enum af_status af_pq_schema_parse(struct af_parquet *file, struct af_thrift *in, const struct af_thrift_field *list, struct af_error *err)
{
    struct tree tree = { 0 };
    uint32_t count = af_thrift_list(in, list, AF_THRIFT_STRUCT);
    if (count > AF_PARQUET_SCHEMA_NODES_MAX)
        return af_fail(err, AF_ELIMIT, "%s: the schema has %u elements, more than %d", file->reader->name, count,
                       AF_PARQUET_SCHEMA_NODES_MAX);
    file->node_count = 0;
    file->leaf_count = 0;
    file->nodes = af_arena_zero(&file->arena, count, sizeof *file->nodes);
    if (file->nodes == NULL)
        return af_arena_fail(&file->arena, count * sizeof *file->nodes, "the schema of a Parquet file", err);
    for (uint32_t i = 0; i < count && in->fault == NULL; i++) {
        struct element element = { 0 };
        parse_element(in, &element);
        if (in->fault == NULL)
            AF_TRY(add_element(file, &tree, &element, err));
    }
    if (in->fault == NULL && (count == 0 || tree.depth != 0))
        return af_fail(err, AF_ECORRUPT, "%s: the schema ends before all its groups have their columns", file->reader->name);
    for (uint32_t i = file->node_count; i-- > 0;) {
        struct af_pq_node *node = &file->nodes[i];
        node->leaf_count += !node->is_group;
        if (i != 0)
            file->nodes[node->parent].leaf_count += node->leaf_count;
    }
    return AF_OK;
}

/* --- shapes ---------------------------------------------------------------------------------------------------------------- */

static uint32_t child_count(const struct af_parquet *file, uint32_t node)
{
    uint32_t count = 0;
    for (uint32_t at = node + 1; at < file->nodes[node].end; at = file->nodes[at].end)
        count++;
    return count;
}

/* Is the repeated node itself the element (the two-level lists of old writers)? */
static bool is_two_level(const struct af_parquet *file, uint32_t list, uint32_t repeated)
{
    const struct af_pq_node *node = &file->nodes[repeated];
    if (!node->is_group || child_count(file, repeated) != 1 || file->nodes[repeated + 1].repetition == AF_PQ_REPEATED)
        return true;
    struct af_slice owner = file->nodes[list].name;
    return af_slice_is(node->name, "array") ||
           (node->name.len == owner.len + 6 && memcmp(node->name.ptr, owner.ptr, owner.len) == 0 &&
            memcmp(node->name.ptr + owner.len, "_tuple", 6) == 0);
}

enum af_pq_shape af_pq_node_shape(const struct af_parquet *file, uint32_t index, uint32_t *out_repeated, uint32_t *out_element)
{
    const struct af_pq_node *node = &file->nodes[index];
    if (!node->is_group)
        return AF_PQ_SHAPE_VALUE;
    const uint32_t repeated = index + 1;
    if (node->logical != AF_PQ_LOGICAL_LIST && node->logical != AF_PQ_LOGICAL_MAP)
        return AF_PQ_SHAPE_STRUCT;
    if (child_count(file, index) != 1 || file->nodes[repeated].repetition != AF_PQ_REPEATED)
        return AF_PQ_SHAPE_STRUCT;
    *out_repeated = repeated;
    if (node->logical == AF_PQ_LOGICAL_LIST) {
        *out_element = is_two_level(file, index, repeated) ? repeated : repeated + 1;
        return AF_PQ_SHAPE_LIST;
    }
    if (!file->nodes[repeated].is_group || child_count(file, repeated) > 2)
        return AF_PQ_SHAPE_STRUCT;
    *out_element = repeated + 1;
    /* A map without values is a set of its keys. */
    return child_count(file, repeated) == 2 ? AF_PQ_SHAPE_MAP : AF_PQ_SHAPE_LIST;
}

/* --- leaves ---------------------------------------------------------------------------------------------------------------- */

static void set_form(struct af_pq_leaf *leaf, enum af_type type, enum af_pq_form form)
{
    leaf->type = type;
    leaf->form = (uint8_t)form;
}

static void form_of_physical(struct af_pq_leaf *leaf)
{
    switch (leaf->physical) {
    case AF_PQ_BOOLEAN: set_form(leaf, AF_TYPE_BOOL, AF_PQ_FORM_BOOL); break;
    case AF_PQ_INT32: set_form(leaf, AF_TYPE_I64, AF_PQ_FORM_I32); break;
    case AF_PQ_INT64: set_form(leaf, AF_TYPE_I64, AF_PQ_FORM_I64); break;
    case AF_PQ_INT96: set_form(leaf, AF_TYPE_TIME, AF_PQ_FORM_INT96); leaf->is_local = true; break;
    case AF_PQ_FLOAT: set_form(leaf, AF_TYPE_F64, AF_PQ_FORM_F32); break;
    case AF_PQ_DOUBLE: set_form(leaf, AF_TYPE_F64, AF_PQ_FORM_F64); break;
    default: set_form(leaf, AF_TYPE_BYTES, AF_PQ_FORM_TEXT);
    }
}

static void form_of_decimal(struct af_parquet *file, const struct af_pq_node *node, struct af_pq_leaf *leaf)
{
    int64_t digits = leaf->physical == AF_PQ_INT32 ? 9 : leaf->physical == AF_PQ_INT64 ? 18 : INT32_MAX;
    if (leaf->physical == AF_PQ_FIXED)
        digits = (8 * (int64_t)node->type_length - 1) * 30103 / 100000;
    if (leaf->physical != AF_PQ_INT32 && leaf->physical != AF_PQ_INT64 && leaf->physical < AF_PQ_BYTE_ARRAY)
        return; /* no such thing: the physical type stands */
    set_form(leaf, AF_TYPE_DECIMAL, AF_PQ_FORM_DECIMAL);
    if (node->precision < 1 || node->scale < 0 || node->scale > node->precision || node->precision > digits)
        leaf->unsupported = af_arena_printf(&file->arena, "DECIMAL(%d,%d) cannot be on %s of this width", node->precision, node->scale,
                                            af_pq_physical_name(leaf->physical));
    else if (node->precision > DECIMAL_DIGITS_MAX)
        leaf->unsupported = af_arena_printf(&file->arena, "DECIMAL(%d,%d) has more than %d digits", node->precision, node->scale,
                                            DECIMAL_DIGITS_MAX);
    else
        leaf->scale = (uint8_t)node->scale;
}

static void form_of_time(const struct af_pq_node *node, struct af_pq_leaf *leaf)
{
    const bool is_stamp = node->logical == AF_PQ_LOGICAL_TIMESTAMP;
    const enum af_type type = is_stamp ? AF_TYPE_TIME : AF_TYPE_CLOCK;
    if (leaf->physical == AF_PQ_INT32 && !is_stamp && node->unit == 3)
        set_form(leaf, type, AF_PQ_FORM_I32_MS);
    else if (leaf->physical == AF_PQ_INT64)
        set_form(leaf, type, node->unit == 3 ? AF_PQ_FORM_I64_MS : node->unit == 6 ? AF_PQ_FORM_I64_US : AF_PQ_FORM_I64);
    leaf->is_local = node->is_local;
}

static void form_of_bytes(const struct af_pq_node *node, struct af_pq_leaf *leaf)
{
    const bool is_text = leaf->physical == AF_PQ_BYTE_ARRAY;
    if (node->logical == AF_PQ_LOGICAL_STRING || node->logical == AF_PQ_LOGICAL_ENUM)
        leaf->type = is_text ? AF_TYPE_STRING : leaf->type;
    else if (node->logical == AF_PQ_LOGICAL_JSON)
        leaf->type = is_text ? AF_TYPE_JSON : leaf->type;
    else if (node->logical == AF_PQ_LOGICAL_UUID && leaf->width == 16)
        set_form(leaf, AF_TYPE_STRING, AF_PQ_FORM_UUID);
    else if (node->logical == AF_PQ_LOGICAL_FLOAT16 && leaf->width == 2)
        set_form(leaf, AF_TYPE_F64, AF_PQ_FORM_F16);
    else if (node->logical == AF_PQ_LOGICAL_GEOMETRY || node->logical == AF_PQ_LOGICAL_GEOGRAPHY)
        leaf->unsupported = node->logical == AF_PQ_LOGICAL_GEOMETRY ? "the logical type GEOMETRY" : "the logical type GEOGRAPHY";
}

static void form_of_leaf(struct af_parquet *file, const struct af_pq_node *node, struct af_pq_leaf *leaf)
{
    form_of_physical(leaf);
    switch (node->logical) {
    case AF_PQ_LOGICAL_NULL: set_form(leaf, AF_TYPE_NULL, AF_PQ_FORM_NULL); break;
    case AF_PQ_LOGICAL_DECIMAL: form_of_decimal(file, node, leaf); break;
    case AF_PQ_LOGICAL_TIME:
    case AF_PQ_LOGICAL_TIMESTAMP: form_of_time(node, leaf); break;
    case AF_PQ_LOGICAL_DATE:
        if (leaf->physical == AF_PQ_INT32)
            set_form(leaf, AF_TYPE_DATE, AF_PQ_FORM_I32);
        break;
    case AF_PQ_LOGICAL_INTEGER:
        if (!node->is_signed && leaf->physical == AF_PQ_INT32)
            set_form(leaf, AF_TYPE_U64, AF_PQ_FORM_U32);
        else if (!node->is_signed && leaf->physical == AF_PQ_INT64)
            set_form(leaf, AF_TYPE_U64, AF_PQ_FORM_I64);
        break;
    default:
        if (leaf->physical >= AF_PQ_BYTE_ARRAY)
            form_of_bytes(node, leaf);
    }
}

static enum af_status build_leaf(struct af_parquet *file, uint32_t index, const char *path, struct af_error *err)
{
    static const uint8_t widths[] = { 0, 4, 8, 12, 4, 8, 0, 0 };
    const struct af_pq_node *node = &file->nodes[index];
    struct af_pq_leaf *leaf = &file->leaves[node->first_leaf];
    *leaf = (struct af_pq_leaf){ .node = index, .path = path, .physical = node->physical, .def = node->def, .rep = node->rep,
                                 .width = widths[node->physical], .encodings = "" };
    if (node->physical == AF_PQ_FIXED) {
        if (node->type_length < 1)
            return af_fail(err, AF_ECORRUPT, "%s: column %s has values of %d bytes", file->reader->name, path, node->type_length);
        leaf->width = (uint32_t)node->type_length;
    }
    form_of_leaf(file, node, leaf);
    if (leaf->width > AF_STRING_BYTES_MAX)
        leaf->unsupported = "values longer than AF_STRING_BYTES_MAX";
    return AF_OK;
}

/* --- fields ---------------------------------------------------------------------------------------------------------------- */

struct builder {
    struct af_parquet *file;
    struct af_field *fields;
    size_t field_count;
};

static const char *source_of_leaf(struct af_parquet *file, const struct af_pq_node *node)
{
    static const char *const names[] = { "", "STRING", "MAP", "LIST", "ENUM", "DECIMAL", "DATE", "TIME", "TIMESTAMP", "INTEGER", "NULL",
                                         "JSON", "BSON", "UUID", "FLOAT16", "INTERVAL", "VARIANT", "GEOMETRY", "GEOGRAPHY" };
    static const char *const units[] = { [3] = "MILLIS", [6] = "MICROS", [9] = "NANOS" };
    const char *physical = af_pq_physical_name(node->physical);
    if (node->physical == AF_PQ_FIXED)
        physical = af_arena_printf(&file->arena, "FIXED(%d)", node->type_length);
    if (physical == NULL || node->logical == AF_PQ_LOGICAL_NONE)
        return physical;
    switch (node->logical) {
    case AF_PQ_LOGICAL_DECIMAL:
        return af_arena_printf(&file->arena, "DECIMAL(%d,%d) on %s", node->precision, node->scale, physical);
    case AF_PQ_LOGICAL_TIME:
    case AF_PQ_LOGICAL_TIMESTAMP:
        return af_arena_printf(&file->arena, "%s(%s%s) on %s", names[node->logical], units[node->unit], node->is_local ? "" : ",UTC",
                               physical);
    case AF_PQ_LOGICAL_INTEGER:
        return af_arena_printf(&file->arena, "%s%u on %s", node->is_signed ? "INT" : "UINT", node->bits, physical);
    default: return af_arena_printf(&file->arena, "%s on %s", names[node->logical], physical);
    }
}

static enum af_status add_field(struct builder *b, uint32_t index, const char *path, bool is_nested, struct af_error *err)
{
    struct af_parquet *file = b->file;
    const struct af_pq_node *node = &file->nodes[index];
    const uint32_t number = (uint32_t)b->field_count;
    if (b->field_count >= AF_COLUMNS_MAX)
        return af_fail(err, AF_ELIMIT, "%s: more than %d columns", file->reader->name, AF_COLUMNS_MAX);
    struct af_pq_field *field = &file->fields[number];
    *field = (struct af_pq_field){ .node = index, .first_leaf = node->first_leaf, .leaf_count = node->leaf_count, .is_nested = is_nested };
    if (node->logical == AF_PQ_LOGICAL_VARIANT)
        field->unsupported = "the logical type VARIANT";
    for (uint32_t i = 0; i < node->leaf_count; i++) {
        file->leaves[node->first_leaf + i].field = number;
        if (field->unsupported == NULL)
            field->unsupported = file->leaves[node->first_leaf + i].unsupported;
    }
    const struct af_pq_leaf *leaf = &file->leaves[node->first_leaf];
    const char *source = !is_nested ? source_of_leaf(file, node)
                         : node->logical == AF_PQ_LOGICAL_MAP     ? "MAP"
                         : node->logical == AF_PQ_LOGICAL_LIST    ? "LIST"
                         : node->logical == AF_PQ_LOGICAL_VARIANT ? "VARIANT"
                                                                  : "REPEATED";
    if (source == NULL)
        return af_fail_nomem(err, "the schema of a Parquet file");
    const bool is_nullable = node->def > (node->repetition == AF_PQ_REPEATED ? 1 : 0) || (!is_nested && leaf->type == AF_TYPE_NULL);
    b->fields[b->field_count++] = (struct af_field){ .name = path, .source_type = source, .type = is_nested ? AF_TYPE_JSON : leaf->type,
                                                     .scale = is_nested ? 0 : leaf->scale, .is_nullable = is_nullable,
                                                     .is_local = !is_nested && leaf->is_local };
    return AF_OK;
}

static const char *child_path(struct af_parquet *file, const char *parent, struct af_slice name)
{
    if (strlen(parent) + name.len > PATH_BYTES_MAX)
        return NULL;
    const int len = (int)name.len;
    return parent[0] == '\0' ? af_arena_printf(&file->arena, "%.*s", len, name.ptr)
                             : af_arena_printf(&file->arena, "%s.%.*s", parent, len, name.ptr);
}

/* Nested to the depth of the schema, at most AF_PARQUET_SCHEMA_DEPTH_MAX. */
static enum af_status build(struct builder *b, uint32_t index, const char *path, bool is_inside, struct af_error *err)
{
    struct af_parquet *file = b->file;
    const struct af_pq_node *node = &file->nodes[index];
    uint32_t repeated;
    uint32_t element;
    const enum af_pq_shape shape = af_pq_node_shape(file, index, &repeated, &element);
    const bool is_nested = index != 0 && !is_inside && (node->repetition == AF_PQ_REPEATED || shape == AF_PQ_SHAPE_LIST ||
                                                        shape == AF_PQ_SHAPE_MAP || node->logical == AF_PQ_LOGICAL_VARIANT);
    if (!node->is_group)
        AF_TRY(build_leaf(file, index, path, err));
    for (uint32_t at = index + 1; at < node->end; at = file->nodes[at].end) {
        const char *name = child_path(file, path, file->nodes[at].name);
        if (name == NULL)
            return af_fail(err, AF_ELIMIT, "%s: the names of its columns are too long", file->reader->name);
        AF_TRY(build(b, at, name, is_inside || is_nested, err));
    }
    if (is_nested || (!node->is_group && !is_inside))
        return add_field(b, index, path, is_nested, err);
    return AF_OK;
}

enum af_status af_pq_schema_build(struct af_parquet *file, struct af_error *err)
{
    struct builder b = { .file = file };
    file->leaves = af_arena_zero(&file->arena, file->leaf_count, sizeof *file->leaves);
    file->fields = af_arena_zero(&file->arena, file->leaf_count, sizeof *file->fields);
    b.fields = af_arena_zero(&file->arena, file->leaf_count, sizeof *b.fields);
    if (file->leaves == NULL || file->fields == NULL || b.fields == NULL)
        return af_fail_nomem(err, "the schema of a Parquet file");
    file->nodes[0].repetition = AF_PQ_REQUIRED;
    AF_TRY(build(&b, 0, "", false, err));
    file->schema = (struct af_schema){ b.field_count, b.fields };
    return AF_OK;
}

/*
 * meta.c - opening a file: the footer, from bytes to structs.
 *
 *     PAR1 pages ... | FileMetaData (compact Thrift) | u32 LE its length | PAR1
 *
 * "PARE" at the end is an encrypted footer. The footer is parsed twice: once for the schema, once for the row groups, whose
 * chunks must be as many as the schema has columns; so nothing is allocated for what the bytes only claim. Slices of names and
 * statistics point into the footer, which the file keeps.
 */
#include "base/alloc.h"
#include "base/limits.h"
#include "format/parquet/parquet_int.h"

enum { TAIL_BYTES = 8, HEAD_BYTES = 4, FIRST_READ_BYTES = 64 * 1024 };

struct footer {
    struct af_parquet *file;
    uint32_t seen; /* bit per field id */
    int64_t rows;
    uint32_t row_group_cap;
    struct af_error *err;
    enum af_status status; /* of what is not a fault of the Thrift: memory, limits */
};

static void fail(struct footer *footer, enum af_status status)
{
    if (footer->status == AF_OK)
        footer->status = status;
}

/* --- chunks ---------------------------------------------------------------------------------------------------------------- */

static void parse_statistics(struct af_thrift *in, struct af_pq_chunk *chunk, bool is_signed)
{
    struct af_thrift_field field = { 0 };
    struct af_slice old_min = { 0 };
    struct af_slice old_max = { 0 };
    while (af_thrift_next(in, &field)) {
        switch (field.id) {
        case 1: old_max = af_thrift_binary(in, &field); break;
        case 2: old_min = af_thrift_binary(in, &field); break;
        case 5: chunk->max = af_thrift_binary(in, &field); break;
        case 6: chunk->min = af_thrift_binary(in, &field); break;
        default: af_thrift_skip(in, field.type);
        }
    }
    /* The first form of statistics compared as signed, whatever the type: of use only for signed numbers. */
    if (chunk->min.len == 0 && chunk->max.len == 0 && is_signed) {
        chunk->min = old_min;
        chunk->max = old_max;
    }
}

static const char *encoding_list(struct af_parquet *file, const uint8_t *ids, uint32_t count)
{
    const char *text = "";
    for (uint32_t i = 0; i < count && text != NULL; i++) {
        const char *name = af_pq_encoding_name(ids[i]);
        text = af_arena_printf(&file->arena, "%s%s%s", text, i != 0 ? "," : "", name != NULL ? name : "?");
    }
    return text;
}

static void parse_encodings(struct af_thrift *in, const struct af_thrift_field *list, struct af_pq_chunk *chunk, uint8_t *ids,
                            uint32_t *out_count)
{
    uint32_t count = af_thrift_list(in, list, AF_THRIFT_I32);
    for (uint32_t i = 0; i < count && in->fault == NULL; i++) {
        int64_t id = af_thrift_element_int(in);
        uint32_t bit = id >= 0 && id <= 30 ? (uint32_t)id : 31;
        if ((chunk->encodings >> bit & 1) == 0 && *out_count < 16)
            ids[(*out_count)++] = (uint8_t)bit;
        chunk->encodings |= UINT32_C(1) << bit;
    }
}

static void parse_chunk_meta(struct af_thrift *in, struct footer *footer, struct af_pq_leaf *leaf, struct af_pq_chunk *chunk)
{
    enum { REQUIRED = 1 << 1 | 1 << 2 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 9 };
    struct af_thrift_field field = { 0 };
    uint32_t seen = 0;
    uint8_t ids[16];
    uint32_t id_count = 0;
    int64_t physical = -1;
    while (af_thrift_next(in, &field)) {
        if (field.id > 0 && field.id < 32)
            seen |= UINT32_C(1) << field.id;
        switch (field.id) {
        case 1: physical = af_thrift_int(in, &field); break;
        case 2: parse_encodings(in, &field, chunk, ids, &id_count); break;
        case 4: chunk->codec = af_thrift_int32(in, &field); break;
        case 5: chunk->num_values = af_thrift_int(in, &field); break;
        case 6: chunk->raw_bytes = af_thrift_int(in, &field); break;
        case 7: chunk->stored_bytes = af_thrift_int(in, &field); break;
        case 9: chunk->data_offset = af_thrift_int(in, &field); break;
        case 11: chunk->dict_offset = af_thrift_int(in, &field); break;
        case 12:
            if (af_thrift_struct(in, &field))
                parse_statistics(in, chunk, leaf->physical == AF_PQ_INT64 && leaf->type != AF_TYPE_U64);
            break;
        default: af_thrift_skip(in, field.type);
        }
    }
    if ((seen & REQUIRED) != REQUIRED)
        af_thrift_fault(in, "the metadata of a column chunk lack a required field");
    else if (physical != leaf->physical)
        af_thrift_fault(in, "a column chunk has another type than the schema says");
    else if (leaf->encodings[0] == '\0') {
        leaf->encodings = encoding_list(footer->file, ids, id_count);
        if (leaf->encodings == NULL) {
            leaf->encodings = "";
            fail(footer, af_fail_nomem(footer->err, "the footer of a Parquet file"));
        }
    }
}

static void parse_chunk(struct af_thrift *in, struct footer *footer, struct af_pq_leaf *leaf, struct af_pq_chunk *chunk)
{
    struct af_thrift_field field = { 0 };
    bool has_meta = false;
    *chunk = (struct af_pq_chunk){ .dict_offset = -1, .offset_index_offset = -1, .column_index_offset = -1 };
    while (af_thrift_next(in, &field)) {
        switch (field.id) {
        case 1: chunk->is_elsewhere = af_thrift_binary(in, &field).len != 0; break;
        case 3:
            has_meta = true;
            if (af_thrift_struct(in, &field))
                parse_chunk_meta(in, footer, leaf, chunk);
            break;
        case 4: chunk->offset_index_offset = af_thrift_int(in, &field); break;
        case 5: chunk->offset_index_bytes = af_thrift_int32(in, &field); break;
        case 6: chunk->column_index_offset = af_thrift_int(in, &field); break;
        case 7: chunk->column_index_bytes = af_thrift_int32(in, &field); break;
        case 8:
        case 9: chunk->is_encrypted = true; af_thrift_skip(in, field.type); break;
        default: af_thrift_skip(in, field.type);
        }
    }
    if (!has_meta && !chunk->is_encrypted)
        af_thrift_fault(in, "a column chunk has no metadata");
}

/* A reason why the chunk cannot be read makes the whole column unsupported. */
static enum af_status judge_chunk(struct footer *footer, struct af_pq_leaf *leaf, const struct af_pq_chunk *chunk)
{
    enum { KNOWN = 1 << AF_PQ_PLAIN | 1 << AF_PQ_PLAIN_DICTIONARY | 1 << AF_PQ_RLE | 1 << AF_PQ_BIT_PACKED | 0x3e0 };
    struct af_arena *arena = &footer->file->arena;
    if (leaf->unsupported != NULL)
        return AF_OK;
    if (chunk->is_encrypted)
        leaf->unsupported = "encryption of a column";
    else if (chunk->is_elsewhere)
        leaf->unsupported = "column chunks in other files";
    else if (af_pq_codec_name(chunk->codec) == NULL)
        leaf->unsupported = af_arena_printf(arena, "the codec %d", chunk->codec);
    else if (chunk->codec == 3)
        leaf->unsupported = "the codec LZO";
    else if ((chunk->encodings & ~(uint32_t)KNOWN) != 0) {
        unsigned id = (unsigned)__builtin_ctz(chunk->encodings & ~(uint32_t)KNOWN);
        const char *name = af_pq_encoding_name(id);
        leaf->unsupported = name != NULL ? af_arena_printf(arena, "the encoding %s", name)
                                               : af_arena_printf(arena, "the encoding %u", id);
    } else {
        return AF_OK;
    }
    if (leaf->unsupported == NULL)
        return af_fail_nomem(footer->err, "the footer of a Parquet file");
    struct af_pq_field *field = &footer->file->fields[leaf->field];
    if (field->unsupported == NULL)
        field->unsupported = leaf->unsupported;
    return AF_OK;
}

/* --- row groups -------------------------------------------------------------------------------------------------------------- */

static void parse_chunks(struct af_thrift *in, struct footer *footer, const struct af_thrift_field *list, struct af_pq_row_group *group)
{
    struct af_parquet *file = footer->file;
    uint32_t count = af_thrift_list(in, list, AF_THRIFT_STRUCT);
    if (count != file->leaf_count || group->chunks != NULL) {
        af_thrift_fault(in, "a row group has not as many column chunks as the schema has columns");
        return;
    }
    group->chunks = af_arena_zero(&file->arena, count, sizeof *group->chunks);
    if (group->chunks == NULL) {
        fail(footer, af_arena_fail(&file->arena, count * sizeof *group->chunks, "the row groups of a Parquet file", footer->err));
        return;
    }
    for (uint32_t i = 0; i < count && in->fault == NULL && footer->status == AF_OK; i++) {
        parse_chunk(in, footer, &file->leaves[i], &group->chunks[i]);
        if (in->fault == NULL && footer->status == AF_OK)
            footer->status = judge_chunk(footer, &file->leaves[i], &group->chunks[i]);
    }
}

static void parse_row_group(struct af_thrift *in, struct footer *footer, struct af_pq_row_group *group)
{
    struct af_thrift_field field = { 0 };
    int64_t rows = -1;
    while (af_thrift_next(in, &field) && footer->status == AF_OK) {
        if (field.id == 1)
            parse_chunks(in, footer, &field, group);
        else if (field.id == 3)
            rows = af_thrift_int(in, &field);
        else
            af_thrift_skip(in, field.type);
    }
    if (rows < 0 || rows > INT64_MAX / 2 || (group->chunks == NULL && footer->file->leaf_count != 0))
        af_thrift_fault(in, "a row group lacks its columns or its number of rows");
    group->rows = (uint64_t)rows;
}

/* Room for one more row group; doubled, so the arena keeps at most as much again. */
static struct af_pq_row_group *next_group(struct footer *footer)
{
    struct af_parquet *file = footer->file;
    if (file->row_group_count == footer->row_group_cap) {
        uint32_t cap = footer->row_group_cap != 0 ? footer->row_group_cap * 2 : 16;
        struct af_pq_row_group *grown = af_arena_zero(&file->arena, cap, sizeof *grown);
        if (grown == NULL) {
            fail(footer, af_arena_fail(&file->arena, cap * sizeof *grown, "the row groups of a Parquet file", footer->err));
            return NULL;
        }
        if (file->row_group_count != 0)
            memcpy(grown, file->row_groups, file->row_group_count * sizeof *grown);
        file->row_groups = grown;
        footer->row_group_cap = cap;
    }
    return &file->row_groups[file->row_group_count];
}

static void parse_row_groups(struct af_thrift *in, struct footer *footer, const struct af_thrift_field *list)
{
    struct af_parquet *file = footer->file;
    uint32_t count = af_thrift_list(in, list, AF_THRIFT_STRUCT);
    uint64_t first_row = 0;
    file->row_group_count = 0;
    for (uint32_t i = 0; i < count && in->fault == NULL && footer->status == AF_OK; i++) {
        struct af_pq_row_group *group = next_group(footer);
        if (group == NULL)
            return;
        parse_row_group(in, footer, group);
        group->first_row = first_row;
        if (__builtin_add_overflow(first_row, group->rows, &first_row) || first_row > INT64_MAX)
            af_thrift_fault(in, "the row groups have too many rows");
        if (in->fault == NULL)
            file->row_group_count++;
    }
    file->info.rows = first_row;
}

/* --- the rest ---------------------------------------------------------------------------------------------------------------- */

static void parse_pair(struct af_thrift *in, struct af_slice *out_key, struct af_slice *out_value, bool *out_has_value)
{
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(in, &field)) {
        if (field.id == 1)
            *out_key = af_thrift_binary(in, &field);
        else if (field.id == 2)
            *out_value = af_thrift_binary(in, &field), *out_has_value = true;
        else
            af_thrift_skip(in, field.type);
    }
}

static void parse_pairs(struct af_thrift *in, struct footer *footer, const struct af_thrift_field *list)
{
    struct af_parquet *file = footer->file;
    uint32_t count = af_thrift_list(in, list, AF_THRIFT_STRUCT);
    const char **keys = af_arena_zero(&file->arena, count, sizeof *keys);
    const char **values = af_arena_zero(&file->arena, count, sizeof *values);
    bool has_memory = keys != NULL && values != NULL;
    for (uint32_t i = 0; i < count && in->fault == NULL && has_memory; i++) {
        struct af_slice key = { 0 };
        struct af_slice value = { 0 };
        bool has_value = false;
        parse_pair(in, &key, &value, &has_value);
        keys[i] = af_arena_copy(&file->arena, key);
        values[i] = has_value ? af_arena_copy(&file->arena, value) : NULL;
        has_memory = keys[i] != NULL && (!has_value || values[i] != NULL);
    }
    if (!has_memory)
        fail(footer, af_fail_nomem(footer->err, "the key-value metadata of a Parquet file"));
    file->info.kv_count = count;
    file->info.kv_keys = keys;
    file->info.kv_values = values;
}

static void parse_footer_field(struct af_thrift *in, struct footer *footer, const struct af_thrift_field *field)
{
    struct af_parquet *file = footer->file;
    const char *text;
    switch (field->id) {
    case 1: file->info.version = af_thrift_int32(in, field); break;
    case 3: footer->rows = af_thrift_int(in, field); break;
    case 5: parse_pairs(in, footer, field); break;
    case 6:
        text = af_arena_copy(&file->arena, af_thrift_binary(in, field));
        if (text == NULL)
            fail(footer, af_fail_nomem(footer->err, "the footer of a Parquet file"));
        else
            file->info.created_by = text;
        break;
    default: af_thrift_skip(in, field->type);
    }
}

/* First pass: all but the row groups. Second: only these. */
static enum af_status parse_footer(struct footer *footer, bool is_second)
{
    struct af_parquet *file = footer->file;
    struct af_thrift in = { .at = (const uint8_t *)file->footer.ptr, .end = (const uint8_t *)file->footer.ptr + file->footer.len };
    struct af_thrift_field field = { 0 };
    while (af_thrift_next(&in, &field) && footer->status == AF_OK) {
        const uint32_t bit = field.id > 0 && field.id < 32 ? UINT32_C(1) << field.id : 0;
        if ((field.id == 2 || field.id == 4 || field.id == 5) && !is_second && (footer->seen & bit) != 0)
            af_thrift_fault(&in, "a field comes twice");
        if (!is_second)
            footer->seen |= bit;
        if (field.id == 2 && !is_second)
            fail(footer, af_pq_schema_parse(file, &in, &field, footer->err));
        else if (field.id == 4 && is_second)
            parse_row_groups(&in, footer, &field);
        else if (field.id == 2 || field.id == 4 || is_second)
            af_thrift_skip(&in, field.type);
        else
            parse_footer_field(&in, footer, &field);
    }
    if (footer->status != AF_OK)
        return footer->status;
    if (in.fault != NULL)
        return af_fail(footer->err, AF_ECORRUPT, "%s: damaged footer (%zu bytes before the last 8): %s", file->reader->name,
                       file->footer.len, in.fault);
    return AF_OK;
}

static enum af_status load_footer(struct af_parquet *file, struct af_error *err)
{
    enum { NEEDED = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 };
    struct footer footer = { .file = file, .err = err };
    AF_TRY(parse_footer(&footer, false));
    if ((footer.seen & NEEDED) != NEEDED)
        return af_fail(err, AF_ECORRUPT, "%s: damaged footer: version, schema, rows or row groups are missing", file->reader->name);
    AF_TRY(af_pq_schema_build(file, err));
    AF_TRY(parse_footer(&footer, true));
    /* Some writers leave the total at 0. */
    if (footer.rows != 0 && (uint64_t)footer.rows != file->info.rows)
        return af_fail(err, AF_ECORRUPT, "%s: damaged footer: %lld rows in the file, but %llu in its row groups", file->reader->name,
                       (long long)footer.rows, (unsigned long long)file->info.rows);
    file->info.row_groups = file->row_group_count;
    return AF_OK;
}

/* --- bytes ------------------------------------------------------------------------------------------------------------------- */

static enum af_status check_frame(struct af_reader *reader, const uint8_t *tail, uint32_t *out_footer_bytes, struct af_error *err)
{
    uint8_t head[HEAD_BYTES];
    AF_TRY(af_reader_read(reader, 0, head, HEAD_BYTES, err));
    if (memcmp(tail + 4, "PARE", 4) == 0)
        return af_fail(err, AF_EUNSUPPORTED, "%s: encrypted Parquet (it ends with PARE): encryption is not supported", reader->name);
    if (memcmp(tail + 4, "PAR1", 4) != 0)
        return af_fail(err, AF_ECORRUPT, "%s: no Parquet file, or cut short: its last 4 bytes are not PAR1", reader->name);
    if (memcmp(head, "PAR1", 4) != 0)
        return af_fail(err, AF_ECORRUPT, "%s: its last 4 bytes are Parquet's PAR1, but not its first 4", reader->name);
    const uint32_t len = (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 | (uint32_t)tail[3] << 24;
    if (len == 0 || len > reader->size - TAIL_BYTES - HEAD_BYTES)
        return af_fail(err, AF_ECORRUPT, "%s: a footer of %u bytes does not fit the file of %llu", reader->name, len,
                       (unsigned long long)reader->size);
    if (len > AF_PARQUET_FOOTER_BYTES_MAX)
        return af_fail(err, AF_ELIMIT, "%s: a footer of %u bytes is over AF_PARQUET_FOOTER_BYTES_MAX", reader->name, len);
    *out_footer_bytes = len;
    return AF_OK;
}

/* The footer into memory; one read is enough where it fits the last 64 KiB. */
static enum af_status read_footer(struct af_parquet *file, struct af_error *err)
{
    struct af_reader *reader = file->reader;
    uint32_t len = 0;
    if (reader->size < TAIL_BYTES + HEAD_BYTES)
        return af_fail(err, AF_ECORRUPT, "%s: %llu bytes are too few for a Parquet file", reader->name, (unsigned long long)reader->size);
    const size_t first = reader->size < FIRST_READ_BYTES ? (size_t)reader->size : FIRST_READ_BYTES;
    const uint8_t *tail = reader->bytes != NULL ? reader->bytes + reader->size - first : NULL;
    uint8_t *own = NULL;
    if (tail == NULL) {
        const struct af_range both[] = { { reader->size - first, first }, { 0, HEAD_BYTES } };
        af_reader_will_need(reader, both, 2);
        own = af_arena_alloc(&file->arena, first);
        if (own == NULL)
            return af_fail_nomem(err, "the footer of a Parquet file");
        AF_TRY(af_reader_read(reader, reader->size - first, own, first, err));
        tail = own;
    }
    AF_TRY(check_frame(reader, tail + first - TAIL_BYTES, &len, err));
    file->data_end = reader->size - TAIL_BYTES - len;
    file->arena.bytes_max += (size_t)len * 64;
    if (reader->bytes != NULL) {
        file->footer = af_slice_make(reader->bytes + file->data_end, len);
    } else if (len + TAIL_BYTES <= first) {
        file->footer = af_slice_make(tail + first - TAIL_BYTES - len, len);
    } else {
        own = af_arena_alloc(&file->arena, len);
        if (own == NULL)
            return af_fail_nomem(err, "the footer of a Parquet file");
        const struct af_range rest = { file->data_end, len };
        af_reader_will_need(reader, &rest, 1);
        AF_TRY(af_reader_read(reader, file->data_end, own, len, err));
        file->footer = af_slice_make(own, len);
    }
    return AF_OK;
}

enum af_status af_parquet_open(struct af_reader *reader, struct af_parquet **out, struct af_error *err)
{
    struct af_parquet *file = af_alloc_zero(1, sizeof *file);
    if (file == NULL)
        return af_fail_nomem(err, "a Parquet file");
    file->reader = reader;
    file->info.created_by = "";
    af_arena_init(&file->arena, (size_t)16 << 20);
    enum af_status status = read_footer(file, err);
    if (status == AF_OK)
        status = load_footer(file, err);
    if (status != AF_OK) {
        af_parquet_close(file);
        return status;
    }
    *out = file;
    return AF_OK;
}

void af_parquet_close(struct af_parquet *file)
{
    if (file == NULL)
        return;
    af_arena_done(&file->arena);
    af_free(file);
}

const struct af_schema *af_parquet_schema(const struct af_parquet *file)
{
    return &file->schema;
}

void af_parquet_info(const struct af_parquet *file, struct af_parquet_info *out)
{
    *out = file->info;
}

void af_parquet_column_info(const struct af_parquet *file, size_t column, struct af_parquet_column_info *out)
{
    const struct af_pq_field *field = &file->fields[column];
    *out = (struct af_parquet_column_info){ .codec = "", .encodings = file->leaves[field->first_leaf].encodings,
                                            .unsupported = field->unsupported };
    for (uint32_t g = 0; g < file->row_group_count; g++) {
        const struct af_pq_chunk *chunks = &file->row_groups[g].chunks[field->first_leaf];
        const char *codec = af_pq_codec_name(chunks[0].codec);
        if (g == 0)
            out->codec = codec != NULL ? codec : "?";
        for (uint32_t i = 0; i < field->leaf_count; i++) {
            out->bytes_compressed += chunks[i].stored_bytes > 0 ? (uint64_t)chunks[i].stored_bytes : 0;
            out->bytes_raw += chunks[i].raw_bytes > 0 ? (uint64_t)chunks[i].raw_bytes : 0;
        }
    }
}

uint64_t af_parquet_row_group_rows(const struct af_parquet *file, uint32_t row_group)
{
    return file->row_groups[row_group].rows;
}

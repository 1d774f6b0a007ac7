/*
 * thrift.c - the Thrift compact protocol; see thrift.h.
 *
 *     field header   dddd tttt            d = id - previous id; 0: a zig-zag varint with the id follows. t = type, 0 ends the struct
 *     boolean        the type nibble is the value; in lists a byte each: 1 true, 2 (old writers: 0) false
 *     integers       zig-zag varints; a BYTE is one byte; a DOUBLE eight, a UUID sixteen
 *     binary         varint length, bytes
 *     list, set      nnnn tttt            n = count; 15: a varint with the count follows
 *     map            varint count; unless 0: kkkk vvvv, the types of keys and values
 */
#include "format/parquet/thrift.h"

enum { DEPTH_MAX = 64, VARINT_BYTES_MAX = 10 };

void af_thrift_fault(struct af_thrift *in, const char *fault)
{
    if (in->fault == NULL)
        in->fault = fault;
    in->at = in->end;
}

static void fault_short(struct af_thrift *in)
{
    if (in->fault == NULL)
        in->is_short = true;
    af_thrift_fault(in, "the bytes end inside a value");
}

static uint8_t get_byte(struct af_thrift *in)
{
    if (in->at == in->end) {
        fault_short(in);
        return 0;
    }
    return *in->at++;
}

static uint64_t get_varint(struct af_thrift *in)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        uint8_t byte = get_byte(in);
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return in->fault == NULL ? value : 0;
    }
    af_thrift_fault(in, "an integer has more than ten bytes");
    return 0;
}

static int64_t get_zigzag(struct af_thrift *in)
{
    uint64_t value = get_varint(in);
    return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

static struct af_slice get_bytes(struct af_thrift *in, uint64_t len)
{
    if (len > (uint64_t)(in->end - in->at)) {
        fault_short(in);
        return (struct af_slice){ 0 };
    }
    struct af_slice bytes = af_slice_make(in->at, (size_t)len);
    in->at += len;
    return bytes;
}

bool af_thrift_next(struct af_thrift *in, struct af_thrift_field *field)
{
    uint8_t head = get_byte(in);
    if (in->fault != NULL || head == AF_THRIFT_STOP)
        return false;
    int64_t id = head >> 4 != 0 ? field->id + (head >> 4) : get_zigzag(in);
    field->type = head & 15;
    if (id < INT16_MIN || id > INT16_MAX)
        af_thrift_fault(in, "a field id is out of range");
    else if (field->type == AF_THRIFT_STOP || field->type > AF_THRIFT_UUID)
        af_thrift_fault(in, "a field has an unknown type");
    field->id = (int32_t)id;
    return in->fault == NULL;
}

int64_t af_thrift_int(struct af_thrift *in, const struct af_thrift_field *field)
{
    if (field->type == AF_THRIFT_BYTE)
        return (int8_t)get_byte(in);
    if (field->type >= AF_THRIFT_I16 && field->type <= AF_THRIFT_I64)
        return get_zigzag(in);
    af_thrift_fault(in, "a field should be an integer");
    return 0;
}

int32_t af_thrift_int32(struct af_thrift *in, const struct af_thrift_field *field)
{
    int64_t value = af_thrift_int(in, field);
    if (value >= INT32_MIN && value <= INT32_MAX)
        return (int32_t)value;
    af_thrift_fault(in, "an integer of 32 bits is out of range");
    return 0;
}

bool af_thrift_bool(struct af_thrift *in, const struct af_thrift_field *field)
{
    if (field->type != AF_THRIFT_TRUE && field->type != AF_THRIFT_FALSE)
        af_thrift_fault(in, "a field should be a boolean");
    return field->type == AF_THRIFT_TRUE;
}

struct af_slice af_thrift_element_binary(struct af_thrift *in)
{
    uint64_t len = get_varint(in);
    return get_bytes(in, len);
}

struct af_slice af_thrift_binary(struct af_thrift *in, const struct af_thrift_field *field)
{
    if (field->type != AF_THRIFT_BINARY)
        af_thrift_fault(in, "a field should be bytes");
    return af_thrift_element_binary(in);
}

bool af_thrift_struct(struct af_thrift *in, const struct af_thrift_field *field)
{
    if (field->type != AF_THRIFT_STRUCT)
        af_thrift_fault(in, "a field should be a struct");
    return in->fault == NULL;
}

/* Every element takes a byte at least, so a count beyond the bytes left is a lie. */
static uint64_t checked_count(struct af_thrift *in, uint64_t count)
{
    if (count <= (uint64_t)(in->end - in->at) && count <= UINT32_MAX)
        return count;
    fault_short(in);
    return 0;
}

static uint32_t list_header(struct af_thrift *in, uint8_t *out_type)
{
    uint8_t head = get_byte(in);
    *out_type = head & 15;
    return (uint32_t)checked_count(in, head >> 4 == 15 ? get_varint(in) : head >> 4);
}

uint32_t af_thrift_list(struct af_thrift *in, const struct af_thrift_field *field, enum af_thrift_type type)
{
    if (field->type != AF_THRIFT_LIST)
        af_thrift_fault(in, "a field should be a list");
    uint8_t got;
    uint32_t count = list_header(in, &got);
    if (type == AF_THRIFT_TRUE && got == AF_THRIFT_FALSE)
        got = AF_THRIFT_TRUE;
    if (count != 0 && got != type)
        af_thrift_fault(in, "a list has elements of another type than it should");
    return in->fault == NULL ? count : 0;
}

int64_t af_thrift_element_int(struct af_thrift *in)
{
    return get_zigzag(in);
}

bool af_thrift_element_bool(struct af_thrift *in)
{
    return get_byte(in) == AF_THRIFT_TRUE;
}

static void skip(struct af_thrift *in, uint8_t type, unsigned depth, bool is_element);

static void skip_list(struct af_thrift *in, unsigned depth)
{
    uint8_t type;
    uint32_t count = list_header(in, &type);
    for (uint32_t i = 0; i < count && in->fault == NULL; i++)
        skip(in, type, depth + 1, true);
}

static void skip_map(struct af_thrift *in, unsigned depth)
{
    uint64_t count = checked_count(in, get_varint(in));
    uint8_t types = count != 0 ? get_byte(in) : 0;
    for (uint64_t i = 0; i < count && in->fault == NULL; i++) {
        skip(in, types >> 4, depth + 1, true);
        skip(in, types & 15, depth + 1, true);
    }
}

static void skip(struct af_thrift *in, uint8_t type, unsigned depth, bool is_element)
{
    struct af_thrift_field field = { 0 };
    if (depth > DEPTH_MAX) {
        af_thrift_fault(in, "values are nested more than 64 deep");
        return;
    }
    switch (type) {
    case AF_THRIFT_TRUE:
    case AF_THRIFT_FALSE:
        if (is_element)
            (void)get_byte(in);
        break;
    case AF_THRIFT_BYTE: (void)get_byte(in); break;
    case AF_THRIFT_I16:
    case AF_THRIFT_I32:
    case AF_THRIFT_I64: (void)get_varint(in); break;
    case AF_THRIFT_DOUBLE: (void)get_bytes(in, 8); break;
    case AF_THRIFT_UUID: (void)get_bytes(in, 16); break;
    case AF_THRIFT_BINARY: (void)af_thrift_element_binary(in); break;
    case AF_THRIFT_LIST:
    case AF_THRIFT_SET: skip_list(in, depth); break;
    case AF_THRIFT_MAP: skip_map(in, depth); break;
    case AF_THRIFT_STRUCT:
        while (af_thrift_next(in, &field))
            skip(in, field.type, depth + 1, false);
        break;
    default: af_thrift_fault(in, "a value has an unknown type");
    }
}

void af_thrift_skip(struct af_thrift *in, uint8_t type)
{
    skip(in, type, 0, false);
}

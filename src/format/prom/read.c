/*
 * read.c - the reading half of prom.h: protocol buffers walked field by field.
 *
 *     field = key (varint: number << 3 | kind), then kind 0: a varint, 1: 8 bytes, 2: a length and as many bytes, 5: 4 bytes
 */
#include "format/prom/prom.h"
#include <string.h>

enum kind { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct field {
    uint32_t number;
    enum kind kind;
    uint64_t value;         /* VARINT, FIXED64, FIXED32 */
    struct af_slice bytes;  /* BYTES */
};

static bool take_varint(struct af_slice *at, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at->len > 0; shift += 7) {
        uint8_t byte = (uint8_t)at->ptr[0];
        at->ptr++;
        at->len--;
        if (shift == 63 && byte > 1)
            return false;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

static bool take_bytes(struct af_slice *at, uint64_t len, struct af_slice *out)
{
    if (len > at->len)
        return false;
    *out = af_slice_make(at->ptr, (size_t)len);
    at->ptr += len;
    at->len -= (size_t)len;
    return true;
}

/* Least significant byte first. */
static bool take_fixed(struct af_slice *at, unsigned bytes, uint64_t *out)
{
    struct af_slice raw;
    if (!take_bytes(at, bytes, &raw))
        return false;
    *out = 0;
    for (unsigned i = 0; i < bytes; i++)
        *out |= (uint64_t)(uint8_t)raw.ptr[i] << (8 * i);
    return true;
}

static bool take_value(struct af_slice *at, struct field *out)
{
    switch (out->kind) {
    case VARINT: return take_varint(at, &out->value);
    case FIXED64: return take_fixed(at, 8, &out->value);
    case FIXED32: return take_fixed(at, 4, &out->value);
    case BYTES: return take_varint(at, &out->value) && take_bytes(at, out->value, &out->bytes);
    default: return false;
    }
}

static enum af_status take_field(struct af_slice *at, struct field *out, struct af_error *err)
{
    uint64_t key = 0;
    if (!take_varint(at, &key) || key >> 3 == 0 || key >> 3 > UINT32_MAX >> 3)
        return af_fail(err, AF_ECORRUPT, "the body is no such message: a field without a number");
    *out = (struct field){ .number = (uint32_t)(key >> 3), .kind = (enum kind)(key & 7) };
    return take_value(at, out) ? AF_OK : af_fail(err, AF_ECORRUPT, "the body is no such message: field %u is cut short", out->number);
}

static bool is_field(const struct field *field, uint32_t number, enum kind kind)
{
    return field->number == number && field->kind == kind;
}

static enum af_status read_label(struct af_slice at, struct af_prom_label *out, struct af_error *err)
{
    struct field field;
    *out = (struct af_prom_label){ 0 };
    while (at.len > 0) {
        AF_TRY(take_field(&at, &field, err));
        if (is_field(&field, 1, BYTES))
            out->name = field.bytes;
        else if (is_field(&field, 2, BYTES))
            out->value = field.bytes;
    }
    return AF_OK;
}

static enum af_status read_series(struct af_slice at, struct af_prom_series *out, struct af_error *err)
{
    struct field field;
    out->label_count = 0;
    out->rest = at;
    while (at.len > 0) {
        AF_TRY(take_field(&at, &field, err));
        if (!is_field(&field, 1, BYTES))
            continue;
        if (out->label_count == AF_PROM_LABELS_MAX)
            return af_fail(err, AF_ELIMIT, "a series has more than %d labels", AF_PROM_LABELS_MAX);
        AF_TRY(read_label(field.bytes, &out->labels[out->label_count++], err));
    }
    return AF_OK;
}

enum af_status af_prom_next_series(struct af_slice *at, struct af_prom_series *out, bool *out_has, struct af_error *err)
{
    struct field field;
    *out_has = false;
    while (at->len > 0) {
        AF_TRY(take_field(at, &field, err));
        if (!is_field(&field, 1, BYTES))
            continue;
        *out_has = true;
        return read_series(field.bytes, out, err);
    }
    return AF_OK;
}

static enum af_status read_sample(struct af_slice at, struct af_prom_sample *out, struct af_error *err)
{
    struct field field;
    *out = (struct af_prom_sample){ 0 };
    while (at.len > 0) {
        AF_TRY(take_field(&at, &field, err));
        if (is_field(&field, 1, FIXED64))
            memcpy(&out->value, &field.value, sizeof out->value);
        else if (is_field(&field, 2, VARINT))
            out->time_ms = (int64_t)field.value;
    }
    return AF_OK;
}

enum af_status af_prom_next_sample(struct af_slice *at, struct af_prom_sample *out, bool *out_has, struct af_error *err)
{
    struct field field;
    *out_has = false;
    while (at->len > 0) {
        AF_TRY(take_field(at, &field, err));
        if (!is_field(&field, 2, BYTES))
            continue;
        *out_has = true;
        return read_sample(field.bytes, out, err);
    }
    return AF_OK;
}

static enum af_status read_matcher(struct af_slice at, struct af_prom_matcher *out, struct af_error *err)
{
    struct field field;
    *out = (struct af_prom_matcher){ 0 };
    while (at.len > 0) {
        AF_TRY(take_field(&at, &field, err));
        if (is_field(&field, 1, VARINT) && field.value > AF_PROM_NOT_REGEX)
            return af_fail(err, AF_EINVAL, "unknown match type %llu", (unsigned long long)field.value);
        if (is_field(&field, 1, VARINT))
            out->type = (enum af_prom_match)field.value;
        else if (is_field(&field, 2, BYTES))
            out->name = field.bytes;
        else if (is_field(&field, 3, BYTES))
            out->value = field.bytes;
    }
    return AF_OK;
}

static enum af_status read_one_query(struct af_slice at, struct af_prom_query *out, struct af_error *err)
{
    struct field field;
    while (at.len > 0) {
        AF_TRY(take_field(&at, &field, err));
        if (is_field(&field, 1, VARINT))
            out->start_ms = (int64_t)field.value;
        else if (is_field(&field, 2, VARINT))
            out->end_ms = (int64_t)field.value;
        if (!is_field(&field, 3, BYTES))
            continue;
        if (out->matcher_count == AF_PROM_MATCHERS_MAX)
            return af_fail(err, AF_ELIMIT, "a query has more than %d matchers", AF_PROM_MATCHERS_MAX);
        AF_TRY(read_matcher(field.bytes, &out->matchers[out->matcher_count++], err));
    }
    return AF_OK;
}

enum af_status af_prom_read_query(struct af_slice bytes, struct af_prom_query *out, struct af_error *err)
{
    struct field field;
    size_t count = 0;
    *out = (struct af_prom_query){ 0 };
    while (bytes.len > 0) {
        AF_TRY(take_field(&bytes, &field, err));
        if (is_field(&field, 1, BYTES) && count++ == 0)
            AF_TRY(read_one_query(field.bytes, out, err));
    }
    return count == 1 ? AF_OK : af_fail(err, AF_EINVAL, "Prometheus read endpoint currently only supports one query at a time");
}

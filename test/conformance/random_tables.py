"""Random Arrow tables and random ways to write them, the same for the same seed."""
import datetime
import decimal
import math
import random
import struct

import pyarrow as pa

WORDS = ["", "a", "southeast", "São Paulo", "tab\tline\nquote\"back\\slash", "日本語", "\U0001f600", "x" * 300, "null", "NaN", "\x01\x1f\x7f"]
CODECS = ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]


def integers(rng, low, high):
    """Values that differ little, or not at all, or wildly."""
    style = rng.randrange(4)
    start, step = rng.randint(low, high), rng.choice([0, 1, 3600, 10 ** 9])

    def pick(i):
        if style == 0:
            return rng.randint(low, high)
        if style == 1:
            return max(low, min(high, start + i * step))
        if style == 2:
            return rng.choice([low, high, 0 if low <= 0 else low, start])
        return max(low, min(high, rng.randint(-1000, 1000) if low < 0 else rng.randint(0, 1000)))
    return pick


def f64(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return struct.unpack("<d", rng.getrandbits(64).to_bytes(8, "little"))[0]
    if kind == 1:
        return rng.choice([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 1e21, 1e20, 123456789012345680.0])
    return rng.choice([float(rng.randint(-1000, 100000)), rng.randint(0, 10 ** 6) / 1000, rng.random()])


def fitting(value, code):
    try:
        return struct.unpack(code, struct.pack(code, value))[0]
    except OverflowError:
        return 0.5


def text(rng):
    kind = rng.randrange(4)
    if kind == 0:
        return "".join(chr(rng.choice([rng.randint(32, 126), rng.randint(0xa0, 0x2ff), rng.randint(0x10000, 0x10ffff)]))
                       for _ in range(rng.randrange(12)))
    if kind == 1:
        return "prefix/shared/%04d" % rng.randrange(3000)
    return rng.choice(WORDS)


def decimal_of(rng, precision, scale):
    digits = rng.choice([precision, rng.randint(1, precision)])
    return decimal.Decimal((rng.randrange(2), tuple(rng.randrange(10) for _ in range(digits)), -scale))


def day(rng):
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=rng.choice([rng.randint(-700000, 2900000), rng.randint(-1, 20000)]))


def leaf(rng):
    """A type without children, and what makes a value of it from its index."""
    kind = rng.randrange(22)
    if kind < 8:
        bits, signed = rng.choice([8, 16, 32, 64]), kind < 5
        low, high = (-2 ** (bits - 1), 2 ** (bits - 1) - 1) if signed else (0, 2 ** bits - 1)
        return getattr(pa, "%s%d" % ("int" if signed else "uint", bits))(), integers(rng, low, high)
    if kind == 8:
        return pa.bool_(), (lambda i: rng.random() < 0.5) if rng.random() < 0.5 else (lambda i: i % 400 < 300)
    if kind < 11:
        return pa.float64(), lambda i: f64(rng)
    if kind == 11:
        return pa.float32(), lambda i: fitting(f64(rng), "<f")
    if kind == 12:
        return pa.float16(), lambda i: fitting(f64(rng), "<e")
    if kind < 15:
        return rng.choice([pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]), lambda i: text(rng)
    if kind == 15:
        return rng.choice([pa.binary(), pa.large_binary()]), lambda i: rng.randbytes(rng.randrange(20))
    if kind == 16:
        width = rng.choice([1, 2, 5, 16, 20])
        return pa.binary(width), lambda i: rng.randbytes(width)
    if kind == 17:
        precision = rng.choice([1, 9, 10, 18, 19, 38, rng.randint(1, 38)])
        scale = rng.randint(0, precision)
        return pa.decimal128(precision, scale), lambda i: decimal_of(rng, precision, scale)
    if kind == 18:
        return rng.choice([pa.date32(), pa.date64()]), lambda i: day(rng)
    if kind == 19:
        unit = rng.choice(["s", "ms"]) if rng.random() < 0.5 else rng.choice(["us", "ns"])
        top = 86400 * {"s": 1, "ms": 10 ** 3, "us": 10 ** 6, "ns": 10 ** 9}[unit] - 1
        return (pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)), integers(rng, 0, top)
    unit = rng.choice(["s", "ms", "us", "ns"])
    per = {"s": 1, "ms": 10 ** 3, "us": 10 ** 6, "ns": 10 ** 9}[unit]
    pick = integers(rng, -9 * 10 ** 9 * per, 9 * 10 ** 9 * per)  # years 1684 to 2255: all int64 nanoseconds
    return pa.timestamp(unit, rng.choice([None, "UTC", "America/Sao_Paulo"])), pick


def sparse(rng, make):
    share = rng.choice([0, 0, 0.1, 0.5, 0.95, 1])
    gap = rng.randrange(2000) if rng.random() < 0.2 else None
    return lambda i: None if rng.random() < share or (gap is not None and gap <= i < gap + 700) else make(i)


def kind_of(rng, depth):
    """A type and what makes a value of it."""
    choice = rng.random()
    if depth == 0 or choice < 0.6:
        return leaf(rng)
    if choice < 0.75:
        inner, make = kind_of(rng, depth - 1)
        make, most = sparse(rng, make), rng.choice([1, 3, 20])
        if rng.random() < 0.15:
            return pa.list_(inner, most), lambda i: [make(i) for _ in range(most)]
        return rng.choice([pa.list_, pa.large_list])(inner), lambda i: [make(i) for _ in range(rng.randrange(most + 1))]
    if choice < 0.9:
        children = [(name, *kind_of(rng, depth - 1)) for name in ("x", "y \"z\"", "ç")[:rng.randint(1, 3)]]
        makers = [(name, sparse(rng, make)) for name, _, make in children]
        return pa.struct([(name, kind) for name, kind, _ in children]), lambda i: {name: make(i) for name, make in makers}
    inner, make = kind_of(rng, depth - 1)
    make = sparse(rng, make)
    key, of = rng.choice([(pa.string(), str), (pa.int32(), int), (pa.string(), lambda n: "k\"" + str(n))])
    return pa.map_(key, inner), lambda i: [(of(n), make(i)) for n in range(rng.randrange(4))]


def table(seed, depth=2, rows=None, columns=None):
    rng = random.Random(seed)
    count = rows if rows is not None else rng.choice([0, 1, 2, 7, 8, 9, 63, 65, 100, 1000, 3000])
    fields, arrays = [], []
    for number in range(columns or rng.randint(1, 8)):
        kind, make = kind_of(rng, depth)
        nullable = rng.random() < 0.7
        if nullable:
            make = sparse(rng, make)
        fields.append(pa.field("c%d" % number, kind, nullable))
        arrays.append(array([make(i) for i in range(count)], kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def array(values, kind):
    if pa.types.is_dictionary(kind):
        return pa.array(values, kind.value_type).dictionary_encode().cast(kind)
    return pa.array(values, kind)


ENCODINGS = [
    (lambda t: pa.types.is_integer(t) or pa.types.is_timestamp(t) or pa.types.is_time(t) or t == pa.date32(),
     ["PLAIN", "DELTA_BINARY_PACKED", "BYTE_STREAM_SPLIT"]),
    (lambda t: t in (pa.float32(), pa.float64()), ["PLAIN", "BYTE_STREAM_SPLIT"]),
    (lambda t: t in (pa.string(), pa.binary(), pa.large_string(), pa.large_binary()),
     ["PLAIN", "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"]),
    (lambda t: t == pa.bool_(), ["PLAIN", "RLE"]),
    (lambda t: pa.types.is_fixed_size_binary(t) or t == pa.float16(), ["PLAIN", "BYTE_STREAM_SPLIT"]),
]


def encodings(rng, schema):
    out = {}
    for field in schema:
        for fits, names in ENCODINGS:
            if fits(field.type):
                out[field.name] = rng.choice(names)
    return out


def writing(seed, schema):
    """Keyword arguments for pyarrow.parquet.write_table."""
    rng = random.Random(-seed - 1)
    out = {"compression": rng.choice(CODECS), "version": rng.choice(["1.0", "2.4", "2.6"]),
           "data_page_version": rng.choice(["1.0", "2.0"]), "write_statistics": rng.random() < 0.5,
           "write_page_index": rng.random() < 0.3, "write_page_checksum": rng.random() < 0.5, "store_schema": rng.random() < 0.5,
           "use_compliant_nested_type": rng.random() < 0.7, "data_page_size": rng.choice([64, 1000, 1 << 20]),
           "write_batch_size": rng.choice([1, 10, 1024]), "row_group_size": rng.choice([None, None, 1, 50, 700])}
    if schema.field(0).type == pa.float16() or out["row_group_size"] == 1:
        out["row_group_size"] = None if rng.random() < 0.8 else out["row_group_size"]
    if rng.random() < 0.5:
        out.update(use_dictionary=False, column_encoding=encodings(rng, schema))
    elif rng.random() < 0.5:
        out["dictionary_pagesize_limit"] = 200
    if rng.random() < 0.3:
        out["use_deprecated_int96_timestamps"] = True
        out.pop("column_encoding", None)
    return out

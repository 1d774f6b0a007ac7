"""What an Arrow table holds, as the JSON values that `afluxo inspect sample` prints (the rules are in src/data/batch_json.c).

A struct is flattened into columns `a.b`; lists and maps are JSON. Times are RFC 3339 with nine decimals, bytes lower-case hex, decimals
and UUIDs strings, numbers that JSON lacks are "NaN", "Infinity", "-Infinity". A time that int64 nanoseconds cannot hold is null.
"""
import datetime
import decimal
import json
import math
import subprocess
import uuid

try:
    import pyarrow as pa
except ImportError:  # the half below that reads our own output does without
    pa = None

UNITS = {"s": 10 ** 9, "ms": 10 ** 6, "us": 10 ** 3, "ns": 1}
EPOCH = datetime.datetime(1970, 1, 1)


def stamp(nanoseconds):
    if not -(2 ** 63) < nanoseconds < 2 ** 63:
        return None
    seconds, rest = divmod(nanoseconds, 10 ** 9)
    return (EPOCH + datetime.timedelta(seconds=seconds)).isoformat(timespec="seconds") + ".%09dZ" % rest


def clock(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10 ** 9)
    return "%02d:%02d:%02d.%09d" % (seconds // 3600, seconds // 60 % 60, seconds % 60, rest)


def number(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def key_text(value):
    return value if isinstance(value, str) else json.dumps(value)


def each(values, convert):
    return [None if value is None else convert(value) for value in values]


def list_values(array, kind):
    out = []
    for scalar in array:
        if not scalar.is_valid:
            out.append(None)
        elif len(scalar) == 0:
            out.append([])
        else:
            out.append(values_of(scalar.values))
    return out


def map_values(array):
    out = []
    for scalar in array:
        if not scalar.is_valid:
            out.append(None)
            continue
        entries = scalar.values
        keys, items = values_of(entries.field(0)), values_of(entries.field(1))
        out.append({key_text(k): v for k, v in zip(keys, items)})
    return out


def struct_values(array):
    kind = array.type
    columns = [values_of(array.field(i)) for i in range(kind.num_fields)]
    names = [kind.field(i).name for i in range(kind.num_fields)]
    return [dict(zip(names, row)) if valid else None
            for valid, row in zip(array.is_valid().to_pylist(), zip(*columns) if columns else [()] * len(array))]


def extension_values(array):
    if array.type.extension_name == "arrow.uuid":
        return each(array.storage.to_pylist(), lambda b: str(uuid.UUID(bytes=b)))
    if array.type.extension_name == "arrow.json":
        return each(array.storage.to_pylist(), json.loads)
    return values_of(array.storage)


def values_of(array):
    """The values of an array, nested ones as Python lists and dicts."""
    kind, types = array.type, pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return extension_values(array)
    if types.is_dictionary(kind):
        return values_of(array.dictionary_decode())
    if types.is_timestamp(kind):
        factor = UNITS[kind.unit]
        return each(array.cast(pa.int64()).to_pylist(), lambda v: stamp(v * factor))
    if types.is_time(kind):
        factor = UNITS[kind.unit]
        return each(array.view(pa.int32() if types.is_time32(kind) else pa.int64()).to_pylist(), lambda v: clock(v * factor))
    if types.is_duration(kind):
        return array.cast(pa.int64()).to_pylist()
    if types.is_date(kind):
        return each(array.to_pylist(), lambda v: v.isoformat())
    if types.is_decimal(kind):
        return each(array.to_pylist(), lambda v: format(decimal.Decimal(v), "f"))
    if types.is_floating(kind):
        return each(array.cast(pa.float64()).to_pylist(), number)
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind) or types.is_binary_view(kind):
        return each(array.to_pylist(), lambda v: v.hex())
    if types.is_map(kind):
        return map_values(array)
    if types.is_nested(kind) and not types.is_struct(kind):
        return list_values(array, kind)
    if types.is_struct(kind):
        return struct_values(array)
    try:
        return array.to_pylist()
    except UnicodeDecodeError:  # what is not UTF-8 becomes U+FFFD
        return each(array.cast(pa.large_binary()).to_pylist(), lambda v: v.decode("utf-8", "replace"))


def flatten(name, array, out):
    """Columns (name, values) of an array: a struct is one for each leaf, null where the struct is."""
    kind = array.type
    if not pa.types.is_struct(kind):
        out.append((name, values_of(array)))
        return
    for i, child in enumerate(array.flatten()):
        flatten(name + "." + kind.field(i).name, child, out)


def rows_of(table):
    columns = []
    for i in range(table.num_columns):
        whole = table.column(i)
        chunks = whole.chunks or [pa.array([], whole.type)]
        parts = []
        for chunk in chunks:
            part = []
            flatten(table.field(i).name, chunk, part)
            parts.append(part)
        for j, (name, _) in enumerate(parts[0]):
            columns.append((name, [value for part in parts for value in part[j][1]]))
    names = [name for name, _ in columns]
    return [dict(zip(names, row)) for row in zip(*(values for _, values in columns))]


# --- the other side -------------------------------------------------------------------------------------------------------------

def parse_rows(text):
    """Rows as afluxo prints them. JSON has no negative zero among its integers, we print one."""
    return [json.loads(line, parse_int=lambda s: -0.0 if s == "-0" else int(s)) for line in text.split("\n") if line.startswith("{")]


def sample(program, *paths, timeout=120):
    """Exit code, rows, messages of `program`, a list that begins with what to run, over the paths."""
    done = subprocess.run([*program, *paths], capture_output=True, timeout=timeout, check=False)
    text = done.stdout.decode("utf-8", "replace")
    rows = parse_rows(text)
    return done.returncode, rows, done.stderr.decode("utf-8", "replace") + ("" if rows else text)


# --- equal? ---------------------------------------------------------------------------------------------------------------------

def same(got, want):
    if isinstance(want, float) and isinstance(got, (int, float)) and not isinstance(got, bool):
        return float(got) == want and math.copysign(1, float(got)) == math.copysign(1, want)
    if isinstance(want, dict) and isinstance(got, dict):
        return list(got) == list(want) and all(same(got[k], want[k]) for k in want)
    if isinstance(want, list) and isinstance(got, list):
        return len(got) == len(want) and all(same(g, w) for g, w in zip(got, want))
    return type(got) is type(want) and got == want


def difference(got, want, is_same=same):
    """None, or where the first difference is."""
    if len(got) != len(want):
        return "%d rows, want %d" % (len(got), len(want))
    for i, (g, w) in enumerate(zip(got, want)):
        if is_same(g, w):
            continue
        for k in w:
            if k not in g or not is_same(g[k], w[k]):
                return "row %d: %s is %.200r, want %.200r" % (i, k, g.get(k, "absent"), w[k])
        return "row %d: columns %s, want %s" % (i, list(g), list(w))
    return None

#!/usr/bin/env python3
"""Read apache/parquet-testing with afluxo and judge every file.

    parquet_testing.py CHECKOUT [--program "build/afluxo inspect sample --rows 0 --json"] [--no-oracle] [-v]

Every file of data/ must give the values that pyarrow gives (where pyarrow is installed and can read it) or those written down below,
or must be refused with the words below. Every file of bad_data/ must be refused. Nothing may crash or hang. The last line is
"N passed, N failed"; the exit code says whether any failed.

The program prints one JSON object a row; nested values as JSON, times with nine decimals, bytes as hex, decimals as strings.
"""
import argparse
import csv
import datetime
import decimal
import glob
import json
import math
import os
import shlex
import subprocess
import sys

SECONDS_MAX = 120

# Refused, and what the message must name.
REFUSED = {
    "data/datapage_v1-corrupt-checksum.parquet": "CRC",
    "data/rle-dict-uncompressed-corrupt-checksum.parquet": "CRC",
    "data/large_string_map.brotli.parquet": "AF_PARQUET_PAGE_BYTES_MAX",
    "bad_data/PARQUET-1481.parquet": "type",
    "bad_data/ARROW-RS-GH-6229-DICTHEADER.parquet": "column chunk",
    "bad_data/ARROW-RS-GH-6229-LEVELS.parquet": "",
    "bad_data/ARROW-GH-41317.parquet": "",
    "bad_data/ARROW-GH-41321.parquet": "",
    "bad_data/ARROW-GH-45185.parquet": "repetition level",
    "bad_data/ARROW-GH-47662.parquet": "values of the page end early",
}
for _name in ("encrypt_columns_and_footer", "encrypt_columns_and_footer_aad", "encrypt_columns_and_footer_bloom_filter",
              "encrypt_columns_and_footer_ctr", "encrypt_columns_and_footer_disable_aad_storage", "external_key_material_java",
              "uniform_encryption", "aes256/encrypt_columns_and_footer", "aes256/encrypt_columns_and_footer_ctr",
              "aes256/encrypt_columns_and_footer_disable_aad_storage", "aes256/uniform_encryption"):
    REFUSED["data/%s.parquet.encrypted" % _name] = "ncrypt"

# Columns that cannot be read are left out of the rows.
MISSING = {"data/geospatial": "geometry or geography", "variant": "variant", "shredded_variant": "variant"}

# Rows that are known from the files' own descriptions, where pyarrow cannot be asked.
KNOWN = {
    "data/int96_from_spark.parquet": [
        {"a": "2024-01-01T20:34:56.123456000Z"}, {"a": "2024-01-01T01:00:00.000000000Z"}, {"a": None},
        {"a": "2024-12-30T23:00:00.000000000Z"}, {"a": None}, {"a": None}],
    "data/old_list_structure.parquet": [{"a": [[1, 2], [3, 4]]}],
    "data/map_no_value.parquet": [
        {"my_map": {"%d" % k: None for k in range(n, n + 3)}, "my_map_no_v": [n, n + 1, n + 2], "my_list": [n, n + 1, n + 2]}
        for n in (1, 4, 7)],
    "data/repeated_primitive_no_list.parquet": [
        {"Int32_list": [0, 1, 2, 3], "String_list": ["foo", "zero", "one", "two"],
         "group_of_lists.Int32_list_in_group": [0, 1, 2, 3], "group_of_lists.String_list_in_group": ["foo", "zero", "one", "two"]},
        {"Int32_list": [], "String_list": ["three"], "group_of_lists.Int32_list_in_group": [],
         "group_of_lists.String_list_in_group": ["three"]},
        {"Int32_list": [4], "String_list": ["four"], "group_of_lists.Int32_list_in_group": [4],
         "group_of_lists.String_list_in_group": ["four"]},
        {"Int32_list": [5, 6, 7, 8], "String_list": ["five", "six", "seven", "eight"],
         "group_of_lists.Int32_list_in_group": [5, 6, 7, 8],
         "group_of_lists.String_list_in_group": ["five", "six", "seven", "eight"]}],
    "data/repeated_no_annotation.parquet": [
        {"id": 1, "phoneNumbers.phone": None}, {"id": 2, "phoneNumbers.phone": None}, {"id": 3, "phoneNumbers.phone": []},
        {"id": 4, "phoneNumbers.phone": [{"number": 5555555555, "kind": None}]},
        {"id": 5, "phoneNumbers.phone": [{"number": 1111111111, "kind": "home"}]},
        {"id": 6, "phoneNumbers.phone": [{"number": 1111111111, "kind": "home"}, {"number": 2222222222, "kind": None},
                                         {"number": 3333333333, "kind": "mobile"}]}],
}

# Rows of files that pyarrow cannot read and nobody wrote down: their number.
COUNTS = {"data/incorrect_map_schema.parquet": 1, "data/nation.dict-malformed.parquet": 25,
          "data/nested_structs.rust.parquet": 1, "bad_data/ARROW-GH-43605.parquet": 21186}

EXPECT_CSV = {"data/%s.parquet" % n: "data/%s_expect.csv" % n for n in
              ("delta_binary_packed", "delta_byte_array", "delta_encoding_optional_column", "delta_encoding_required_column")}


def run(program, path):
    """Exit code, rows, messages."""
    done = subprocess.run(program + [path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS_MAX, check=False)
    text = done.stdout.decode("utf-8", "replace")
    rows = []
    for line in text.splitlines():
        if line.startswith("{"):
            rows.append(json.loads(line, parse_int=lambda s: -0.0 if s == "-0" else int(s)))
    return done.returncode, rows, done.stderr.decode("utf-8", "replace") + ("" if rows else text)


# --- what pyarrow says, in the program's form ---------------------------------------------------------------------------------

def stamp(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10 ** 9)
    day = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    return day.isoformat(timespec="seconds") + ".%09dZ" % rest


def clock(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10 ** 9)
    return "%02d:%02d:%02d.%09d" % (seconds // 3600, seconds // 60 % 60, seconds % 60, rest)


def number(value):
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def plain(pa, kind, scalar):
    """A pyarrow scalar as the JSON value the program prints."""
    if scalar is None or not scalar.is_valid:
        return None
    types = pa.types
    unit = {"s": 10 ** 9, "ms": 10 ** 6, "us": 10 ** 3, "ns": 1}
    if types.is_dictionary(kind):
        return plain(pa, kind.value_type, pa.scalar(scalar.as_py(), kind.value_type))
    if types.is_timestamp(kind):
        return stamp(scalar.value * unit[kind.unit])
    if types.is_time(kind):
        return clock(scalar.value * unit[kind.unit])
    if types.is_date(kind):
        return scalar.as_py().isoformat()
    if types.is_decimal(kind):
        return format(decimal.Decimal(scalar.as_py()), "f")
    if types.is_floating(kind):
        return number(float(scalar.as_py()))
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return scalar.as_py().hex()
    if types.is_map(kind):
        pairs = [(plain(pa, kind.key_type, e["key"]), plain(pa, kind.item_type, e["value"])) for e in scalar.values]
        return {k if isinstance(k, str) else json.dumps(k): v for k, v in pairs}
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return [plain(pa, kind.value_type, e) for e in scalar.values]
    if types.is_struct(kind):
        return {kind.field(i).name: plain(pa, kind.field(i).type, scalar[i]) for i in range(kind.num_fields)}
    if isinstance(kind, pa.BaseExtensionType):
        return plain(pa, kind.storage_type, scalar.value)
    return scalar.as_py()


def flat(pa, name, kind, scalar, out):
    if pa.types.is_struct(kind):
        for i in range(kind.num_fields):
            child = scalar[i] if scalar is not None and scalar.is_valid else None
            flat(pa, name + "." + kind.field(i).name, kind.field(i).type, child, out)
    else:
        out[name] = plain(pa, kind, scalar)


def oracle(pa, pq, path):
    table = pq.read_table(path, partitioning=None)
    rows = []
    columns = [(table.field(i).name, table.field(i).type, table.column(i)) for i in range(table.num_columns)]
    for row in range(table.num_rows):
        out = {}
        for name, kind, column in columns:
            flat(pa, name, kind, column[row], out)
        rows.append(out)
    return rows


# --- judging ------------------------------------------------------------------------------------------------------------------

def same(got, want):
    if isinstance(want, float) and isinstance(got, (int, float)) and not isinstance(got, bool):
        return float(got) == want and math.copysign(1, float(got)) == math.copysign(1, want)
    if isinstance(want, dict) and isinstance(got, dict):
        return list(got) == list(want) and all(same(got[k], want[k]) for k in want)
    if isinstance(want, list) and isinstance(got, list):
        return len(got) == len(want) and all(same(g, w) for g, w in zip(got, want))
    if isinstance(want, str) and isinstance(got, str) and want != got:
        # 128-bit UUIDs are text here and bytes in Arrow
        return got.replace("-", "") == want
    return type(got) is type(want) and got == want


def compare(got, want, is_partial):
    if len(got) != len(want):
        return "%d rows, want %d" % (len(got), len(want))
    for i, (g, w) in enumerate(zip(got, want)):
        if is_partial:
            w = {k: v for k, v in w.items() if k in g}
        if not same(g, w):
            for k in w:
                if k not in g or not same(g[k], w[k]):
                    return "row %d: %s is %.200r, want %.200r" % (i, k, g.get(k, "absent"), w[k])
            return "row %d: columns %s, want %s" % (i, list(g), list(w))
    return None


def compare_csv(rows, path):
    with open(path, newline="") as f:
        want = list(csv.reader(f))
    header, want = want[0], want[1:]
    if len(rows) != len(want):
        return "%d rows, the CSV has %d" % (len(rows), len(want))
    for i, (row, cells) in enumerate(zip(rows, want)):
        for value, cell, name in zip(row.values(), cells, header):
            text = "" if value is None else str(value)
            if text != cell and not (value is not None and cell != "" and not isinstance(value, str) and float(cell) == float(value)):
                return "row %d: %s is %r, the CSV says %r" % (i, name, value, cell)
    return None


def judge(args, arrow, checkout, name):
    """None, or what is wrong."""
    path = os.path.join(checkout, name)
    code, rows, messages = run(args.program, path)
    if code < 0 or code >= 128:
        return "crashed with %d: %s" % (code, messages[-300:])
    if name in REFUSED:
        if code == 0:
            return "was read, should have been refused"
        return None if REFUSED[name].lower() in messages.lower() else "refused without naming %r: %s" % (REFUSED[name], messages[-300:])
    partial = any(name.startswith(p) for p in MISSING) or "plaintext_footer" in name
    if code != 0:
        return None if partial and not name.startswith("data/") else "refused: " + messages[-300:]
    if name in KNOWN:
        return compare(rows, KNOWN[name], False)
    if name in EXPECT_CSV:
        problem = compare_csv(rows, os.path.join(checkout, EXPECT_CSV[name]))
        if problem is not None:
            return problem
    if name in COUNTS and len(rows) != COUNTS[name]:
        return "%d rows, want %d" % (len(rows), COUNTS[name])
    if arrow is None or not name.startswith("data/"):
        return None
    try:
        want = oracle(arrow[0], arrow[1], path)
    except Exception as e:  # pyarrow refuses some of them
        return None if partial or name in COUNTS else "no oracle: pyarrow says %s" % str(e)[:200]
    return compare(rows, want, partial)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout")
    parser.add_argument("--program", type=shlex.split, default="build/afluxo inspect sample --rows 0 --json")
    parser.add_argument("--no-oracle", action="store_true")
    parser.add_argument("-v", action="store_true")
    args = parser.parse_args()
    arrow = None
    if not args.no_oracle:
        try:
            import pyarrow
            import pyarrow.parquet
            arrow = (pyarrow, pyarrow.parquet)
        except ImportError:
            print("pyarrow is not installed: values are compared only where they are written down")
    names = []
    for pattern in ("data/*.parquet", "data/*.encrypted", "data/aes256/*.encrypted", "data/geospatial/*.parquet", "bad_data/*.parquet",
                    "variant/**/*.parquet", "shredded_variant/**/*.parquet"):
        found = glob.glob(os.path.join(args.checkout, pattern), recursive=True)
        names += sorted(os.path.relpath(p, args.checkout) for p in found)
    failed = 0
    for name in names:
        try:
            problem = judge(args, arrow, args.checkout, name)
        except subprocess.TimeoutExpired:
            problem = "took more than %d s" % SECONDS_MAX
        if problem is not None:
            failed += 1
            print("FAIL %s: %s" % (name, problem))
        elif args.v:
            print("ok   %s" % name)
    print("%d passed, %d failed" % (len(names) - failed, failed))
    return 1 if failed or not names else 0


if __name__ == "__main__":
    sys.exit(main())

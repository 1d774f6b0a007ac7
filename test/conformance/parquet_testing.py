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
import glob
import os
import shlex
import subprocess
import sys

from arrow_values import difference, rows_of, same, sample

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


# --- judging ------------------------------------------------------------------------------------------------------------------

def alike(got, want):
    """UUIDs are text here; where pyarrow does not know the logical type they are bytes there."""
    return same(got, want) or (isinstance(want, str) and isinstance(got, str) and got.replace("-", "") == want)


def compare(got, want, is_partial):
    if is_partial and len(got) == len(want):
        want = [{k: v for k, v in w.items() if k in g} for g, w in zip(got, want)]
    return difference(got, want, alike)


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


def judge(args, pq, checkout, name):
    """None, or what is wrong."""
    path = os.path.join(checkout, name)
    code, rows, messages = sample(args.program, path, timeout=SECONDS_MAX)
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
    if pq is None or not name.startswith("data/"):
        return None
    try:
        want = rows_of(pq.read_table(path, partitioning=None))
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
    pq = None
    if not args.no_oracle:
        try:
            import pyarrow.parquet as pq
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
            problem = judge(args, pq, args.checkout, name)
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

"""Parquet between afluxo, pyarrow and DuckDB: what one writes the others read, value by value.

Needs pyarrow, pandas and duckdb (tools/install.sh extra). AFLUXO is the program (build/afluxo); libafluxo.so lies beside it.
AFLUXO_TEST_ONS_DIR: a directory with Parquet files of one's own, read too if it is set. AFLUXO_TEST_SEED: where random tables start.
"""
import datetime
import decimal
import glob
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest

import duckdb
import pandas
import pyarrow as pa
import pyarrow.parquet as pq

import random_tables
from arrow_values import difference, rows_of, sample

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AFLUXO = os.environ.get("AFLUXO", os.path.join(ROOT, "build", "afluxo"))
SAMPLE = [AFLUXO, "inspect", "sample", "--rows", "0", "--json"]
SEED = int(os.environ.get("AFLUXO_TEST_SEED", "1"))
CODECS = random_tables.CODECS
decimal.getcontext().prec = 100


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="afluxo-peers-")
        self.addCleanup(shutil.rmtree, self.dir, True)
        self.count = 0

    def path(self, name=None):
        self.count += 1
        return os.path.join(self.dir, name or "t%d.parquet" % self.count)

    def ours(self, *paths):
        code, rows, messages = sample(SAMPLE, *paths)
        self.assertEqual(code, 0, messages[-2000:])
        return rows

    def agree(self, got, want, hint=""):
        wrong = difference(got, want)
        if wrong is not None:
            self.fail("%s %s" % (wrong, hint))

    def check(self, table, **how):
        """Written by pyarrow, read by pyarrow and by us."""
        path = self.path()
        pq.write_table(table, path, **how)
        self.agree(self.ours(path), rows_of(pq.read_table(path)), how)
        return path


def of(*columns, nulls=True):
    """A table of (type, values), and of the same values with some missing."""
    arrays = [random_tables.array(values, kind) for kind, values in columns]
    if nulls:
        arrays += [random_tables.array([None if i % 3 == 1 else v for i, v in enumerate(values)], kind) for kind, values in columns]
    return pa.Table.from_arrays(arrays, names=["c%d" % i for i in range(len(arrays))])


def scalars(ns_step=1):
    """A column of each type without children. Format versions before 2.6 take nanoseconds only in steps of 1000."""
    stamps = [0, 1, -1, 1704110400, -62135596800 // 10, 9000000000]
    numbers = [(getattr(pa, name)(), [0, 1, top, bottom, top // 3, bottom // 3])
               for bits in (8, 16, 32, 64)
               for name, bottom, top in (("int%d" % bits, -2 ** (bits - 1), 2 ** (bits - 1) - 1), ("uint%d" % bits, 0, 2 ** bits - 1))]
    times = [(pa.timestamp(unit, zone), [s * per + (per > 1) * (ns_step if unit == "ns" else 1) for s in stamps])
             for unit, per in (("s", 1), ("ms", 10 ** 3), ("us", 10 ** 6), ("ns", 10 ** 9)) for zone in (None, "UTC", "America/Sao_Paulo")]
    clocks = [(kind(unit), [0, 1, per * 43200, per * 86400 - 1, 7, 59 * per])
              for kind, unit, per in ((pa.time32, "s", 1), (pa.time32, "ms", 10 ** 3), (pa.time64, "us", 10 ** 6), (pa.time64, "ns", 10 ** 9))]
    days = [datetime.date(1970, 1, 1), datetime.date(1, 1, 1), datetime.date(9999, 12, 31), datetime.date(2024, 2, 29),
            datetime.date(1969, 12, 31), datetime.date(1900, 3, 1)]
    floats = [0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan")]
    texts = ["", "a", "ção", "\"\\\n\t\x00\x01", "日本\U0001f600", "b" * 1000]
    raw = [b"", b"\x00", b"\xff\xfe", b"abc", b"\x80" * 40, b"{"]
    fixed = [bytes([i] * 16) for i in (0, 1, 127, 128, 255, 17)]
    return numbers + times + clocks + [
        (pa.bool_(), [True, False, True, True, False, False]), (pa.float64(), floats), (pa.float32(), floats), (pa.float16(), floats),
        (pa.float64(), [0.1, 1e300, 5e-324, 1e21, -1e20, 123456789.125]), (pa.float32(), [0.1, 3.4e38, 1e-45, 16777216, -1.5, 7]),
        (pa.date32(), days), (pa.date64(), days), (pa.string(), texts), (pa.large_string(), texts), (pa.string_view(), texts),
        (pa.binary(), raw), (pa.large_binary(), raw), (pa.binary_view(), raw), (pa.binary(16), fixed), (pa.uuid(), fixed),
        (pa.dictionary(pa.int8(), pa.string()), texts), (pa.duration("us"), [0, 1, -1, 2 ** 62, -2 ** 62, 5]), (pa.null(), [None] * 6)]


class Arrow(Case):
    """pyarrow writes."""

    def test_every_type_with_every_codec(self):
        columns = scalars()
        for codec in CODECS:
            self.check(of(*columns), compression=codec)

    def test_every_type_in_every_version(self):
        for version, page in itertools.product(("1.0", "2.4", "2.6"), ("1.0", "2.0")):
            for dictionary in (True, False):
                self.check(of(*scalars(1000)), version=version, data_page_version=page, use_dictionary=dictionary)

    def test_required_columns(self):
        table = of(*scalars(), nulls=False)
        strict = pa.schema([pa.field(f.name, f.type, pa.types.is_null(f.type)) for f in table.schema])
        for page in ("1.0", "2.0"):
            self.check(table.cast(strict), data_page_version=page)

    def test_delta_encodings(self):
        numbers = [1000 + 3 * i + (i % 7 == 0) * 10 ** (i % 18) for i in range(5000)]
        table = pa.table({
            "i64": numbers, "wild": [(-1) ** i * (2 ** 63 - 1 - i) for i in range(5000)],
            "i32": pa.array([i * i % 65537 for i in range(5000)], pa.int32()), "flat": [5] * 5000,
            "holes": [None if i % 5 < 2 else i for i in range(5000)],
            "time": pa.array([i * 3600 * 10 ** 9 for i in range(5000)], pa.timestamp("ns")),
            "text": ["%s/%06d" % ("ab"[i // 2500], i) for i in range(5000)], "empty": [""] * 5000,
            "raw": pa.array([b"\xff" * (i % 40) for i in range(5000)], pa.binary()),
            "mixed": [None if i % 11 == 0 else "x" * (i % 300) for i in range(5000)]})
        whole = {n: "DELTA_BINARY_PACKED" for n in ("i64", "wild", "i32", "flat", "holes", "time")}
        for texts in ("DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY"):
            for page, size in itertools.product(("1.0", "2.0"), (1000, 1 << 20)):
                self.check(table, use_dictionary=False, data_page_version=page, data_page_size=size,
                           column_encoding={**whole, **{n: texts for n in ("text", "empty", "raw", "mixed")}})

    def test_byte_stream_split(self):
        table = pa.table({
            "f32": pa.array([i / 7 for i in range(3000)], pa.float32()), "f64": [i / 7 for i in range(3000)],
            "f16": pa.array([i / 8 for i in range(3000)], pa.float16()), "i32": pa.array(range(3000), pa.int32()),
            "i64": [i * 10 ** 14 for i in range(3000)], "fixed": pa.array([b"%05d" % i for i in range(3000)], pa.binary(5)),
            "holes": [None if i % 3 == 0 else i / 3 for i in range(3000)]})
        for page, size in itertools.product(("1.0", "2.0"), (500, 1 << 20)):
            self.check(table, use_dictionary=False, data_page_version=page, data_page_size=size,
                       column_encoding={n: "BYTE_STREAM_SPLIT" for n in table.column_names})

    def test_rle_booleans(self):
        table = pa.table({"runs": [i % 1000 < 500 for i in range(5000)], "mixed": [i * i % 7 < 3 for i in range(5000)],
                          "holes": [None if i % 4 == 0 else i % 3 == 0 for i in range(5000)]})
        for page in ("1.0", "2.0"):
            self.check(table, use_dictionary=False, data_page_version=page, column_encoding={n: "RLE" for n in table.column_names})

    def test_dictionary_overflow(self):
        table = pa.table({"s": ["value %d" % (i % 4000) for i in range(20000)], "n": [i % 4000 for i in range(20000)],
                          "t": pa.array([i % 4000 * 10 ** 9 for i in range(20000)], pa.timestamp("ns"))})
        for limit in (100, 10000, 1 << 20):
            for page in ("1.0", "2.0"):
                self.check(table, dictionary_pagesize_limit=limit, data_page_version=page, data_page_size=2000)

    def test_nulls(self):
        for page in ("1.0", "2.0"):
            for rows in (1, 8, 1000):
                all_null = pa.table({n: pa.nulls(rows, kind) for n, kind in enumerate_types()})
                self.check(all_null, data_page_version=page)
        gaps = [None if 300 <= i < 2700 else i for i in range(3000)]
        self.check(pa.table({"n": gaps, "s": [None if v is None else str(v) for v in gaps]}), data_page_size=100)

    def test_empty(self):
        empty = of(*scalars()).slice(0, 0)
        self.assertEqual(self.ours(self.check(empty)), [])
        self.check(of(*scalars()).slice(0, 0), compression="none", data_page_version="2.0")
        path = self.path()
        with pq.ParquetWriter(path, pa.schema([("a", pa.int64())])):
            pass
        self.assertEqual(self.ours(path), [])

    def test_nested(self):
        inner = [[1, None, 3], [], None, [4], [5, 6] * 40]
        deep = [[[1], []], None, [None, [2, None]], [], [[3] * 100]]
        structs = [{"a": 1, "b": {"c": "x", "d": [1, 2]}}, None, {"a": None, "b": None}, {"a": 4, "b": {"c": None, "d": []}},
                   {"a": 5, "b": {"c": "y", "d": None}}]
        in_lists = [[{"k": 1, "v": "a"}, None], [], None, [{"k": None, "v": None}], [{"k": 2, "v": "b"}]]
        maps = [[("a", 1), ("b", None)], [], None, [("c\"d", 3)], [("ç", 4)]]
        table = pa.table({
            "list": pa.array(inner, pa.list_(pa.int64())), "large": pa.array(inner, pa.large_list(pa.int32())),
            "deep": pa.array(deep, pa.list_(pa.list_(pa.int8()))),
            "struct": pa.array(structs, pa.struct([("a", pa.int64()), ("b", pa.struct([("c", pa.string()), ("d", pa.list_(pa.int64()))]))])),
            "structs": pa.array(in_lists, pa.list_(pa.struct([("k", pa.int64()), ("v", pa.string())]))),
            "map": pa.array(maps, pa.map_(pa.string(), pa.int64())),
            "days": pa.array([[(1, [datetime.date(2024, 1, 1)])], [], None, [(2, None)], [(3, [])]], pa.map_(pa.int32(), pa.list_(pa.date32()))),
            "fixed": pa.array([[1, 2], [3, 4], [5, None], [6, 7], [8, 9]], pa.list_(pa.int64(), 2)),
            "texts": pa.array([["a\"b", "\n", None], None, [], [""], ["日本"]], pa.list_(pa.string())),
            "times": pa.array([[0, None], [1], [], None, [10 ** 18]], pa.list_(pa.timestamp("ns"))),
            "decimals": pa.array([[decimal.Decimal("1.25")], None, [], [None], [decimal.Decimal("-0.01")]], pa.list_(pa.decimal128(10, 2))),
            "bytes": pa.array([[b"\x00\xff"], None, [], [None], [b""]], pa.list_(pa.binary()))})
        many = pa.concat_tables([table] * 300)
        for page, compliant, size in itertools.product(("1.0", "2.0"), (True, False), (100, 1 << 20)):
            self.check(many, data_page_version=page, use_compliant_nested_type=compliant, data_page_size=size, row_group_size=701)

    def test_every_type_in_a_list(self):
        columns = [(pa.list_(kind), [[v] * i for i, v in enumerate(values)]) for kind, values in scalars()
                   if not isinstance(kind, pa.DictionaryType | pa.BaseExtensionType) and kind not in (pa.string_view(), pa.binary_view())]
        for dictionary in (True, False):
            self.check(of(*columns), use_dictionary=dictionary)

    def test_decimals(self):
        columns = []
        for precision in (1, 2, 4, 5, 9, 10, 18, 19, 28, 38):
            for scale in {0, 1, precision // 2, precision}:
                top = decimal.Decimal((0, (9,) * precision, -scale))
                step = decimal.Decimal((0, (1,), -scale))
                columns.append((pa.decimal128(precision, scale), [top, -top, step, -step, step * 0, step * 7]))
        for as_integer in (True, False):
            for dictionary in (True, False):
                self.check(of(*columns), store_decimal_as_integer=as_integer, use_dictionary=dictionary)
        small = [decimal.Decimal("1.5"), decimal.Decimal("-2.5")]
        self.check(of((pa.decimal32(7, 1), small), (pa.decimal64(12, 1), small), (pa.decimal256(38, 1), small)))

    def test_decimals_too_wide_are_named(self):
        path = self.path()
        pq.write_table(pa.table({"n": [1], "wide": pa.array([decimal.Decimal(10) ** 60], pa.decimal256(76, 3))}), path)
        code, rows, messages = sample(SAMPLE, path)
        self.assertEqual((code, rows), (0, [{"n": 1}]), messages)

    def test_int96(self):
        stamps = [0, 1, -1, 1704110400123456789, -9 * 10 ** 18, 9 * 10 ** 18]
        columns = [(pa.timestamp("ns"), stamps), (pa.timestamp("us"), [s // 1000 for s in stamps]),
                   (pa.timestamp("ms", "UTC"), [s // 10 ** 6 for s in stamps]), (pa.list_(pa.timestamp("ns")), [[s, None] for s in stamps])]
        for dictionary, page in itertools.product((True, False), ("1.0", "2.0")):
            self.check(of(*columns), use_deprecated_int96_timestamps=True, use_dictionary=dictionary, data_page_version=page)

    def test_time_units(self):
        stamps = [0, 1, -1, 1704110400123456, -62135596800, 253402300799]
        for unit in ("ms", "us"):
            self.check(of((pa.timestamp("us"), stamps), (pa.timestamp("us", "UTC"), stamps)), coerce_timestamps=unit,
                       allow_truncated_timestamps=True)

    def test_times_past_int64(self):
        edge = 2 ** 63 // 10 ** 3
        values = [edge - 1, edge, edge + 1, -edge - 1, -edge + 1, 2 ** 63 - 1]
        path = self.path()
        kinds = [pa.timestamp("us"), pa.timestamp("us", "UTC"), pa.timestamp("ms"), pa.list_(pa.timestamp("us"))]
        table = of(*((kind, [[v] for v in values] if pa.types.is_list(kind) else values) for kind in kinds))
        pq.write_table(table, path)
        self.agree(self.ours(path), rows_of(table))
        self.assertEqual([row["c0"] is None for row in rows_of(table)], [False, False, True, True, False, True])

    def test_small_pages(self):
        table = pa.concat_tables([of(*scalars())] * 100)
        for page in ("1.0", "2.0"):
            self.check(table, data_page_size=32, write_batch_size=3, data_page_version=page, write_page_index=True, write_page_checksum=True)

    def test_many_row_groups(self):
        table = pa.concat_tables([of(*scalars())] * 40)
        path = self.check(table, row_group_size=3)
        self.assertEqual(pq.ParquetFile(path).num_row_groups, 80)

    def test_names(self):
        names = ["with space", "a,b=c", "\"quoted\"", "ção", "日本", "", "dot.ted", "time", "x" * 500, "new\nline"]
        self.check(pa.table({n: [1, 2] for n in names}))

    def test_many_columns(self):
        self.check(pa.table({"c%04d" % i: [i, None] for i in range(2000)}))

    def test_pandas_metadata(self):
        frame = pandas.DataFrame({
            "timestamp": pandas.date_range("2024-01-01", periods=50, freq="h"), "zoned": pandas.date_range("2024-01-01", periods=50, freq="h", tz="America/Sao_Paulo"),
            "region": pandas.Categorical(["southeast", "north"] * 25), "value": [None if i % 7 == 0 else i / 3 for i in range(50)],
            "whole": pandas.array([None if i % 5 == 0 else i for i in range(50)], dtype="Int32"), "flag": [i % 2 == 0 for i in range(50)]})
        frames = [frame, frame.set_index("timestamp"), frame.set_index(["region", "timestamp"]), frame[frame.value > 3]]
        for frame in frames:
            path = self.path()
            frame.to_parquet(path)
            self.agree(self.ours(path), rows_of(pq.read_table(path)))

    def test_partitioned_directory(self):
        table = pa.table({"year": [2023, 2024] * 500, "region": ["N", "SE", "São Paulo", "a b"] * 250, "value": [i / 2 for i in range(1000)],
                          "n": list(range(1000))})
        root = self.path("dataset")
        pq.write_to_dataset(table, root, partition_cols=["year", "region"])
        got = sorted(self.ours(root), key=lambda row: row["n"])
        self.agree(got, rows_of(table.select(["value", "n"])))

    def test_metadata_of_the_file(self):
        path = self.path()
        pq.write_table(pa.table({"a": [1, 2, 3], "b": ["x", None, "z"]}), path, row_group_size=2, compression="zstd")
        done = subprocess.run([AFLUXO, "inspect", "schema", "--json", path], capture_output=True, check=True)
        schema = json.loads(done.stdout)
        self.assertEqual((schema["rows"], schema["row_groups"]), (3, 2))
        self.assertEqual([(c["name"], c["type"], c["codec"]) for c in schema["columns"]], [("a", "i64", "ZSTD"), ("b", "string", "ZSTD")])
        self.assertTrue(schema["created_by"].startswith("parquet-cpp-arrow"))

    def test_statistics(self):
        table = random_tables.table(7, depth=0, rows=3000, columns=12)
        path = self.check(table)
        stats = json.loads(subprocess.run([AFLUXO, "inspect", "stats", "--json", path], capture_output=True, check=True).stdout)
        self.assertEqual(stats["rows"], 3000)
        self.assertEqual([c["nulls"] for c in stats["columns"]], [table.column(i).null_count for i in range(12)])


def enumerate_types():
    return (("c%d" % i, kind) for i, (kind, _) in enumerate(scalars())
            if kind not in (pa.string_view(), pa.binary_view()) and not isinstance(kind, pa.BaseExtensionType))


class RandomTables(Case):
    """pyarrow writes random tables in random ways; seeds in the messages."""

    def random(self, first, count, depth):
        refusals = []
        for seed in range(SEED * 1000 + first, SEED * 1000 + first + count):
            table = random_tables.table(seed, depth)
            how = random_tables.writing(seed, table.schema)
            path = self.path()
            try:
                pq.write_table(table, path, **how)
            except (pa.ArrowNotImplementedError, pa.ArrowInvalid, IndexError):  # nanoseconds before 2.6
                try:
                    pq.write_table(table, path, **dict(how, version="2.6"))
                except (pa.ArrowNotImplementedError, pa.ArrowInvalid, IndexError) as refusal:
                    refusals.append("seed %d: %s" % (seed, refusal))
                    continue
            try:
                want = rows_of(pq.read_table(path))
            except pa.ArrowInvalid:  # what pyarrow wrote but cannot read again
                want = rows_of(table)
            self.agree(self.ours(path), want, "seed %d %s" % (seed, how))
            os.remove(path)
        self.assertLess(len(refusals), count // 10, refusals)

    def test_flat_1(self):
        self.random(0, 50, 0)

    def test_flat_2(self):
        self.random(50, 50, 0)

    def test_nested_1(self):
        self.random(100, 50, 2)

    def test_nested_2(self):
        self.random(150, 50, 2)

    def test_deep(self):
        self.random(200, 50, 4)


DUCK_TYPES = """SELECT
  i % 2 = 0 AS b, i::TINYINT AS i8, i::SMALLINT AS i16, i::INTEGER AS i32, (i * 10000000000)::BIGINT AS i64,
  i::UTINYINT AS u8, i::USMALLINT AS u16, i::UINTEGER AS u32, (i * 10000000000)::UBIGINT AS u64,
  (i / 3)::FLOAT AS f32, i / 7 AS f64, (i / 4)::DECIMAL(4, 1) AS d4, (i / 4)::DECIMAL(9, 2) AS d9, (i / 4)::DECIMAL(18, 3) AS d18,
  (i * 1000000)::DECIMAL(38, 10) AS d38, 'text ' || (i % 10) AS s, CASE WHEN i % 3 = 0 THEN NULL ELSE 'null ' || i END AS sn,
  ('\\x' || printf('%02X', i % 256))::BLOB AS raw, DATE '2024-01-01' + i::INTEGER AS day,
  TIME '00:00:01' + INTERVAL (i) MINUTE AS clock, TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR AS ts,
  (TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR)::TIMESTAMP_S AS ts_s, (TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR)::TIMESTAMP_MS AS ts_ms,
  (TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR)::TIMESTAMP_NS AS ts_ns, (TIMESTAMP '2024-01-01' + INTERVAL (i) HOUR)::TIMESTAMPTZ AS tz,
  CASE WHEN i % 2 = 0 THEN 'on' ELSE 'off' END::ENUM('on', 'off') AS e,
  [i, NULL, i + 1] AS list, {'x': i, 'y': 'v' || i} AS st, MAP {'k' || i: i} AS m, [[i], []] AS deep, [{'a': i, 'b': [i]}] AS ls,
  (CASE WHEN i % 4 = 0 THEN NULL ELSE [i] END) AS ln, [i, i]::BIGINT[2] AS fixed
FROM range({rows}) t(i)"""


class DuckDB(Case):
    """DuckDB writes."""

    def setUp(self):
        super().setUp()
        self.con = duckdb.connect(config={"threads": 1})
        self.con.execute("SET TimeZone = 'UTC'")
        self.addCleanup(self.con.close)

    def read(self, path, columns="*"):
        return rows_of(self.con.execute("SELECT %s FROM read_parquet('%s')" % (columns, path)).to_arrow_table())

    def peers(self, path):
        """As pyarrow reads it, and if it cannot, as DuckDB does."""
        try:
            return rows_of(pq.read_table(path))
        except (OSError, pa.ArrowInvalid):
            return self.read(path)

    def check(self, query, options=""):
        path = self.path()
        self.con.execute("COPY (%s) TO '%s' (FORMAT parquet%s)" % (query, path, options))
        got = self.ours(path)
        self.agree(got, self.peers(path), options + " (pyarrow)")
        self.agree(got, self.read(path), options + " (DuckDB)")

    def test_types_codecs_versions(self):
        query = DUCK_TYPES.replace("{rows}", "120")
        for codec, version in itertools.product(("uncompressed", "snappy", "zstd", "gzip", "lz4_raw", "brotli"), ("v1", "v2")):
            self.check(query, ", COMPRESSION %s, PARQUET_VERSION %s" % (codec, version))

    def test_row_groups(self):
        query = "SELECT i, 'region ' || (i %% 5) AS region, i / 8 AS value, CASE WHEN i %% 9 = 0 THEN NULL ELSE i END AS n FROM range(%d) t(i)"
        for size in (2048, 122880):
            self.check(query % 9000, ", ROW_GROUP_SIZE %d" % size)
            self.check(query % 9000, ", ROW_GROUP_SIZE %d, PARQUET_VERSION v2" % size)

    def test_deltas_wider_than_the_integer(self):
        """DuckDB packs differences of INT32 in 33 bits, which pyarrow refuses."""
        self.check("SELECT (CASE WHEN i % 2 = 0 THEN -2147483648 ELSE 2147483647 END)::INTEGER AS i FROM range(300) t(i)",
                   ", PARQUET_VERSION v2, DICTIONARY_SIZE_LIMIT 1")

    def test_empty(self):
        self.check(DUCK_TYPES.replace("{rows}", "0"))

    def test_uuid(self):
        path = self.path()
        self.con.execute("COPY (SELECT uuid() AS u FROM range(50)) TO '%s' (FORMAT parquet)" % path)
        want = [{"u": str(u)} for (u,) in self.con.execute("SELECT u::VARCHAR FROM read_parquet('%s')" % path).fetchall()]
        self.agree(self.ours(path), want)

    def test_dictionary_limits(self):
        query = "SELECT 's' || (i * 7919 % 5000) AS s, (i * 7919 % 5000) AS n, (i * 7919 % 5000) / 8 AS f FROM range(20000) t(i)"
        for limit in (1, 100, 1000000):
            self.check(query, ", DICTIONARY_SIZE_LIMIT %d" % limit)

    def test_partitioned(self):
        root = self.path("hive")
        self.con.execute("COPY (SELECT i, i %% 3 AS part FROM range(300) t(i)) TO '%s' (FORMAT parquet, PARTITION_BY (part))" % root)
        self.agree(sorted(self.ours(root), key=lambda row: row["i"]), [{"i": i} for i in range(300)])

    def random(self, seed):
        """Is the file that DuckDB makes of a random table what it was given? (Not always: fixed binaries in structs come out as zeros.)"""
        table = random_tables.table(seed, depth=1)
        # No half floats in DuckDB; and for null arrays it writes levels that neither pyarrow nor we take.
        table = table.select([f.name for f in table.schema if not re.search("halffloat|fixed_size_list", str(f.type))])
        if table.num_columns == 0:
            return True
        rng = random.Random(seed)
        options = "COMPRESSION %s, PARQUET_VERSION %s" % (rng.choice(["snappy", "zstd", "gzip", "lz4_raw", "brotli"]), rng.choice(["v1", "v2"]))
        path = self.path()
        self.con.register("t", table)
        given = rows_of(self.con.execute("SELECT * FROM t").to_arrow_table())
        self.con.execute("COPY t TO '%s' (FORMAT parquet, %s)" % (path, options))
        self.con.unregister("t")
        try:
            want = self.peers(path)
        except duckdb.Error:
            return False
        if difference(want, given) is not None:
            return False
        self.agree(self.ours(path), want, "seed %d %s" % (seed, options))
        return True

    def test_random_tables(self):
        """What pyarrow makes, DuckDB writes."""
        damaged = [seed for seed in range(SEED * 1000 + 300, SEED * 1000 + 340) if not self.random(seed)]
        self.assertLess(len(damaged), 10, damaged)


RECODINGS = ["", "v2", "plain", "plain v2", "plain delta", "plain delta v2", "legacy", "index crc", "delta index v2 crc", "page=7", "page=7 v2 rows=100",
             "rows=1000 page=100 index", "codec=1", "codec=2 v2", "codec=3", "codec=4 delta plain", "codec=5", "codec=5 v2 crc"]


class Ours(Case):
    """We write, pyarrow and DuckDB read."""

    @classmethod
    def setUpClass(cls):
        cls.tools = tempfile.mkdtemp(prefix="afluxo-recode-")
        cls.addClassCleanup(shutil.rmtree, cls.tools, True)
        cls.recoder = os.path.join(cls.tools, "recode_parquet")
        built = os.path.dirname(os.path.abspath(AFLUXO))
        subprocess.run([os.environ.get("CC", "gcc"), "-std=c17", "-D_GNU_SOURCE", "-I" + os.path.join(ROOT, "src"), "-o", cls.recoder,
                        os.path.join(ROOT, "test", "conformance", "recode_parquet.c"), os.path.join(built, "libafluxo.so"),
                        "-Wl,-rpath," + built], check=True)

    def duck(self, path):
        con = duckdb.connect(config={"threads": 1})
        con.execute("SET TimeZone = 'UTC'")
        table = con.execute("SELECT * FROM read_parquet('%s', hive_partitioning = false)" % path).to_arrow_table()
        con.close()
        return rows_of(table)

    def generate(self, *options):
        root = self.path("ons%d" % self.count)
        subprocess.run([AFLUXO, "generate", "ons", "--quiet", "--out", root, "--from", "2024-01-30", "--to", "2024-02-02", "--plants", "7", *options],
                       check=True)
        files = sorted(glob.glob(root + "/**/*.parquet", recursive=True))
        self.assertEqual(len(files), 6)
        return files

    def compare(self, path, hint, duck_too=True):
        got = self.ours(path)
        self.agree(got, rows_of(pq.ParquetFile(path).read()), "pyarrow, " + hint)
        if duck_too:
            self.agree(got, self.duck(path), "DuckDB, " + hint)
        return got

    def test_generated_with_every_codec(self):
        seen = None
        for codec in CODECS:
            rows = [row for path in self.generate("--codec", codec) for row in self.compare(path, codec)]
            seen = seen or rows
            self.assertEqual(rows, seen, codec)
        self.assertGreater(len(seen), 7 * 72)

    def test_generated_with_bad_rows(self):
        for path in self.generate("--bad-rows-every", "3"):
            self.compare(path, "bad rows", duck_too=False)  # DuckDB refuses text that is not UTF-8

    def test_generated_metadata_is_read(self):
        path = self.generate()[0]
        file = pq.ParquetFile(path)
        self.assertEqual(file.metadata.num_rows, len(self.ours(path)))
        self.assertIn("afluxo", file.metadata.created_by)

    def recode(self, source, options):
        path = self.path()
        done = subprocess.run([self.recoder, source, path, *options.split()], capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, "%s: %s" % (options, done.stderr.decode()))
        return path

    def test_random_tables_in_every_way(self):
        """pyarrow writes, we read and write again: nothing may change, whoever reads."""
        for number, options in enumerate(RECODINGS * 4):
            seed = SEED * 1000 + 400 + number
            table = random_tables.table(seed, depth=0)
            source = self.path()
            pq.write_table(table, source)
            before = rows_of(pq.read_table(source))
            again = self.recode(source, options)
            hint = "seed %d %s" % (seed, options)
            self.agree(self.ours(again), before, "our own reading, " + hint)
            self.agree(rows_of(pq.ParquetFile(again).read()), before, "pyarrow, " + hint)
            self.agree(self.duck(again), before, "DuckDB, " + hint)

    def test_time_forms(self):
        stamps = [0, 1704110400123000000, -1704110400123000000, 999000000, -1000000, 9 * 10 ** 18]
        source = self.path()
        pq.write_table(of((pa.timestamp("ns"), stamps), (pa.timestamp("ns", "UTC"), stamps), (pa.time64("us"), [0, 1000, 86399999000, 5, 6, 7])), source)
        before = rows_of(pq.read_table(source))
        for form, version in itertools.product(range(4), ("", "v2", "plain", "plain delta", "legacy")):
            again = self.recode(source, "time=%d %s" % (form, version))
            self.agree(self.ours(again), before, "time=%d %s" % (form, version))
            self.agree(rows_of(pq.ParquetFile(again).read()), before, "pyarrow, time=%d %s" % (form, version))
            self.agree(self.duck(again), before, "DuckDB, time=%d %s" % (form, version))

    def test_statistics_are_true(self):
        """Bounds that a peer would prune by hold every value."""
        for seed in range(SEED * 1000 + 500, SEED * 1000 + 520):
            source = self.path()
            pq.write_table(random_tables.table(seed, depth=0, rows=500), source)
            file = pq.ParquetFile(self.recode(source, "rows=120 index"))
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                for column in range(table.num_columns):
                    stats = file.metadata.row_group(group).column(column).statistics
                    values = table.column(column)
                    if stats is None:
                        continue
                    hint = "seed %d, row group %d, column %d" % (seed, group, column)
                    if stats.has_null_count:
                        self.assertEqual(stats.null_count, values.null_count, hint)
                    if stats.has_min_max and not pa.types.is_boolean(values.type) and not pa.types.is_floating(values.type):
                        held = [v for v in values.to_pylist() if v is not None]
                        if isinstance(held[0], (int, str, bytes, decimal.Decimal)):
                            self.assertLessEqual(stats.min, min(held), hint)
                            self.assertGreaterEqual(stats.max, max(held), hint)

    def test_duckdb_prunes_by_our_statistics(self):
        source = self.path()
        pq.write_table(pa.table({"n": list(range(5000)), "s": ["k%05d" % i for i in range(5000)], "f": [i / 8 for i in range(5000)],
                                 "t": pa.array([i * 3600 * 10 ** 6 for i in range(5000)], pa.timestamp("us"))}), source)
        again = self.recode(source, "rows=512 page=100 index")
        con = duckdb.connect()
        for test in ("n = 4321", "s = 'k04321'", "f = 540.125", "t = TIMESTAMP '1970-06-30 01:00:00'", "s > 'k04990'", "n BETWEEN 510 AND 514"):
            query = "SELECT count(*) FROM read_parquet('%s') WHERE " + test
            self.assertEqual(con.execute(query % again).fetchall(), con.execute(query % source).fetchall(), test)
        con.close()


ONS_DIR = os.environ.get("AFLUXO_TEST_ONS_DIR")
if ONS_DIR:
    class RealFiles(Case):
        def test_all(self):
            paths = sorted(glob.glob(os.path.join(ONS_DIR, "**", "*.parquet"), recursive=True))
            self.assertTrue(paths, "no Parquet file below " + ONS_DIR)
            for path in paths:
                self.agree(self.ours(path), rows_of(pq.ParquetFile(path).read()), path)


if __name__ == "__main__":
    unittest.main()

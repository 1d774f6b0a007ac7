"""The Python package: tables and files to line protocol, files to Arrow, stores.

The judge of lines is `afluxo convert` on a Parquet file of the same table: byte for byte. Tables come from pyarrow, pandas and polars.
Needs pyarrow, pandas, polars, mypy (tools/install.sh extra).
"""
import datetime
import decimal
import json
import os
import random
import re
import resource
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import python_lib  # noqa: E402
import lib  # noqa: E402
import pandas  # noqa: E402
import polars  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet  # noqa: E402
import random_tables  # noqa: E402

import afluxo  # noqa: E402

TABLES = int(os.environ.get("AFLUXO_TEST_TABLES", "150"))


def processed(rows=1000, seed=1):
    """As the platform's processed Parquet has it."""
    rng = random.Random(seed)
    begin = datetime.datetime(2024, 1, 1)
    return pa.table({
        "timestamp": pa.array([begin + datetime.timedelta(seconds=i) for i in range(rows)], pa.timestamp("ms")),
        "dataset_type": ["generation"] * rows,
        "region": [rng.choice(["southeast", "south", "nordeste", "SE"]) for _ in range(rows)],
        "energy_source": [rng.choice(["hydro", "wind", None]) for _ in range(rows)],
        "measurement_type": ["power_output"] * rows,
        "value": [rng.choice([rng.random() * 2000, None, 5.0]) for _ in range(rows)],
        "unit": [rng.choice(["MW", "MWh", "?"]) for _ in range(rows)],
        "quality_flag": ["valid"] * rows,
    })


class Convert(lib.Case):
    def by_program(self, path, *args):
        done = subprocess.run([lib.RELEASE, "convert", path, *args], capture_output=True, timeout=120, env=lib.environment())
        return done.returncode, done.stdout, done.stderr.decode()

    def parquet(self, table, name="x.parquet", **how):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        pa.parquet.write_table(table, path, **how)
        return path

    # --- the same lines as the program's -----------------------------------------------------------------------------------------

    def same(self, table, mapping, source=None):
        """Lines, or a refusal, of both ways."""
        with open(self.path("m.yaml"), "w") as f:
            f.write(mapping)
        status, want, words = self.by_program(self.parquet(table), "--mapping", self.path("m.yaml"))
        try:
            lines = afluxo.to_line_protocol(source if source is not None else table, mapping=mapping, block_bytes=random.randint(1, 5000))
            got = bytes(lines)
        except afluxo.InvalidInput as e:
            self.assertNotIn(status, (0, 3), f"the program takes what Python refuses: {e}\n{mapping}{table.schema}")
            return False
        self.assertIn(status, (0, 3), words + mapping + str(table.schema))
        self.assertEqual(got, want, mapping + str(table.schema))
        self.assertEqual(lines.counts.points + lines.counts.rejected + lines.counts.empty, lines.counts.rows)
        return True

    def test_random_tables(self):
        taken = 0
        for seed in range(TABLES):
            with self.subTest(seed=seed):
                rng = random.Random(seed)
                table = random_tables.table(seed, depth=rng.choice([0, 0, 1]))
                keep = [f.name for f in table.schema if not pa.types.is_nested(f.type) or pa.types.is_struct(f.type)]
                table = table.select(keep)
                times = pa.array([rng.choice([i, i * 1000, -i]) for i in range(table.num_rows)],
                                 pa.timestamp(rng.choice(["ms", "us", "ns"]), "UTC"))
                table = table.append_column("ts", times)
                leaves = [leaf for leaf in leaves_of(table) if leaf[0] != "ts"]
                tags = [n for n, _ in leaves if rng.random() < 0.3]
                fields = [{"column": n, "type": type_of(rng, kind)} for n, kind in leaves if n not in tags]
                fields.append({"column": "ts", "type": "integer"})
                mapping = json.dumps({"measurement": "m", "time": "ts", "tags": {f"t{i}": n for i, n in enumerate(tags)},
                                      "fields": {f"f{i}": f for i, f in enumerate(fields)}})
                source = table
                if table.num_rows > 4 and rng.random() < 0.5:  # slices: offsets that are not 0, chunks
                    cut = rng.randint(1, table.num_rows - 1)
                    source = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
                taken += self.same(table, mapping, source)
        self.assertGreater(taken, TABLES * 0.6)

    def test_processed_data_in_every_form(self):
        table = processed(40000)
        path = self.parquet(table, "dataset=generation/year=2024/month=01/x.parquet", use_deprecated_int96_timestamps=True)
        _, want, _ = self.by_program(path)
        self.assertGreater(want.count(b"\n"), 20000)
        frame = table.to_pandas()
        encoded = pa.table([c.dictionary_encode() if pa.types.is_string(c.type) else c for c in table.columns], names=table.column_names)
        large = table.cast(pa.schema([pa.field(f.name, pa.large_string() if pa.types.is_string(f.type) else f.type) for f in table.schema]))
        batch = table.combine_chunks().to_batches()[0]
        forms = {"file": path, "pyarrow": table, "pandas": frame, "polars": polars.from_arrow(table), "dictionaries": encoded, "large": large,
                 "batch": batch, "reader": table.to_reader(max_chunksize=777), "categories": frame.astype({"region": "category", "unit": "category"})}
        for name, form in forms.items():
            with self.subTest(form=name):
                self.assertEqual(bytes(afluxo.to_line_protocol(form, dataset="generation")), want)

    def test_detected_like_the_program_does(self):
        table = processed(10)
        want = bytes(afluxo.to_line_protocol(table, dataset="generation"))
        self.assertEqual(bytes(afluxo.to_line_protocol(table)), want)
        self.assertEqual(bytes(afluxo.to_line_protocol(table, path="s3://x/dataset=generation/y.parquet")), want)
        with self.assertRaises(afluxo.NotFound):
            afluxo.to_line_protocol(pa.table({"a": [1]}))

    def test_precisions_and_measurements(self):
        table = pa.table({"time": pa.array([1700000000123456789], pa.timestamp("ns", "UTC")), "v": [1.5]})
        for precision, text in (("ns", "1700000000123456789"), ("us", "1700000000123456"), ("ms", "1700000000123"), ("s", "1700000000")):
            self.assertEqual(bytes(afluxo.to_line_protocol(table, measurement="m", precision=precision)).decode(), f"m v=1.5 {text}\n")
        with self.assertRaises(afluxo.InvalidInput):
            afluxo.to_line_protocol(table, measurement="m", precision="weeks")

    def test_mappings_as_text_dict_and_file(self):
        table = pa.table({"t": [1, 2], "k": ["a", "b"], "v": [1, 2]})
        mapping = {"measurement": "m", "time": {"column": "t", "unit": "s"}, "tags": {"k": "k"}, "fields": {"v": "v"}}
        self.write("m.yaml", json.dumps(mapping))
        want = b"m,k=a v=1 1000000000\nm,k=b v=2 2000000000\n"
        import pathlib
        for form in (mapping, json.dumps(mapping), pathlib.Path(self.path("m.yaml"))):
            self.assertEqual(bytes(afluxo.to_line_protocol(table, mapping=form)), want)
        text = afluxo.mapping_of(table, mapping=mapping)
        self.assertEqual(bytes(afluxo.to_line_protocol(table, mapping=text)), want)
        local = pa.table({"t": pa.array([datetime.datetime(2024, 1, 1)]), "v": [1]})
        self.assertEqual(bytes(afluxo.to_line_protocol(local, measurement="m",
                         time_zone="America/Sao_Paulo")), b"m v=1i 1704078000000000000\n")

    def test_pandas_with_a_time_index(self):
        frame = pandas.DataFrame({"v": [1.0, 2.0]}, index=pandas.DatetimeIndex(["2024-01-01", "2024-01-02"], name="when"))
        self.assertEqual(bytes(afluxo.to_line_protocol(frame, measurement="m", precision="s")), b"m v=1 1704067200\nm v=2 1704153600\n")

    def test_pandas_with_other_indexes(self):
        times = pandas.to_datetime(["2024-01-01", "2024-01-02"])
        unnamed = pandas.DataFrame({"v": [1.0, 2.0]}, index=pandas.DatetimeIndex(times))
        frame = pandas.DataFrame({"time": [*times, times[1]], "v": [1.0, 2.0, 3.0]})
        pairs = pandas.MultiIndex.from_arrays([["a", "b"], times], names=["region", "time"])
        for table, want in ((unnamed, b"m v=1 1704067200\nm v=2 1704153600\n"), (frame[frame["v"] > 2.5], b"m v=3 1704153600\n"),
                            (frame.set_index(pandas.Index([7, 8, 8], name="n")), b"m v=1,n=7i 1704067200\nm v=2,n=8i 1704153600\nm v=3,n=8i 1704153600\n"),
                            (pandas.DataFrame({"v": [1.0, 2.0]}, index=pairs), b"m,region=a v=1 1704067200\nm,region=b v=2 1704153600\n")):
            self.assertEqual(bytes(afluxo.to_line_protocol(table, measurement="m", precision="s")), want)

    def test_every_type(self):
        """What docs/python.md promises to read, and to refuse by name."""
        day, word = datetime.date(2024, 1, 1), "longer than twelve bytes"
        at, dot = datetime.datetime(2024, 1, 1, 2), decimal.Decimal("1.25")
        read = [(pa.int8(), -128, "-128i"), (pa.int16(), -32768, "-32768i"), (pa.int32(), -2 ** 31, f"{-2 ** 31}i"),
                (pa.int64(), -2 ** 63, f"{-2 ** 63}i"), (pa.uint8(), 255, "255i"), (pa.uint16(), 65535, "65535i"),
                (pa.uint32(), 2 ** 32 - 1, f"{2 ** 32 - 1}i"), (pa.uint64(), 2 ** 63 - 1, f"{2 ** 63 - 1}i"), (pa.bool_(), True, "true"),
                (pa.float16(), 1.5, "1.5"), (pa.float32(), 0.25, "0.25"), (pa.float64(), 0.1, "0.1"), (pa.decimal32(5, 2), dot, "1.25"),
                (pa.decimal64(10, 2), dot, "1.25"), (pa.decimal128(38, 2), dot, "1.25"), (pa.date32(), day, "19723i"),
                (pa.date64(), day, "19723i"), (pa.time32("s"), at.time(), "7200000000000i"),
                (pa.time32("ms"), at.time(), "7200000000000i"), (pa.time64("us"), at.time(), "7200000000000i"),
                (pa.time64("ns"), at.time(), "7200000000000i"), (pa.binary(3), b"abc", '"abc"')]
        read += [(pa.timestamp(unit, zone), at, "1704074400000000000i") for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "America/Sao_Paulo")]
        read += [(kind, word, f'"{word}"') for kind in (pa.string(), pa.large_string(), pa.string_view())]
        read += [(kind, word.encode(), f'"{word}"') for kind in (pa.binary(), pa.large_binary(), pa.binary_view())]
        read += [(pa.dictionary(code, pa.string()), "x", '"x"') for code in (pa.int8(), pa.uint8(), pa.int16(), pa.uint32(), pa.int64())]
        read += [(pa.dictionary(pa.int8(), pa.large_string()), "x", '"x"'), (pa.dictionary(pa.int32(), pa.int16()), 7, "7i"),
                 (pa.dictionary(pa.int8(), pa.float64()), 0.5, "0.5"), (pa.dictionary(pa.int8(), pa.bool_()), True, "true")]
        kinds = {"i": "integer", "e": "boolean", '"': "string"}
        when = pa.array([0, 10 ** 9, 2 * 10 ** 9], pa.timestamp("ns", "UTC"))
        for kind, value, text in read:
            mapping = {"measurement": "m", "time": "t", "fields": {"v": {"column": "v", "type": kinds.get(text[-1], "float")}}}
            for values, want in (([value, None, value], f"m v={text} 0\nm v={text} 2000000000\n"), ([None, value, None], f"m v={text} 1000000000\n")):
                with self.subTest(type=str(kind), values=values):
                    table = pa.table({"t": when, "v": pa.array(values, kind)})
                    self.assertEqual(bytes(afluxo.to_line_protocol(table, mapping=mapping)).decode(), want)
                    sliced = pa.table({"t": when.slice(1), "v": pa.array([value] + values, kind).slice(2)})
                    self.assertEqual(bytes(afluxo.to_line_protocol(sliced, mapping=mapping)).decode(), want.replace("m v=" + text + " 0\n", ""))
        refused = {"a list": [pa.array([[1]]), pa.array([[1]], pa.large_list(pa.int8())), pa.array([[1]], pa.list_(pa.int8(), 1)),
                              pa.array([[1]], pa.list_view(pa.int8()))], "a map": [pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8()))],
                   "a duration": [pa.array([1], pa.duration("s"))], "an interval": [pa.array([pa.MonthDayNano([1, 2, 3])])],
                   "a decimal": [pa.array([dot], pa.decimal256(50, 2))], "run-end encoded": [pa.RunEndEncodedArray.from_arrays([1], [5])],
                   "a union": [pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])]}
        for words, arrays in refused.items():
            for array in arrays:
                table = pa.table({"t": when.slice(0, 1), "v": array, "w": [1.5]})
                with self.assertRaisesRegex(afluxo.InvalidInput, f"column 'v' is {words}"):
                    bytes(afluxo.to_line_protocol(table, mapping={"measurement": "m", "time": "t", "fields": {"v": "v"}}))
                self.assertEqual(bytes(afluxo.to_line_protocol(table, mapping={"measurement": "m", "time": "t", "fields": {"w": "w"}})), b"m w=1.5 0\n")

    # --- blocks, refused rows, failures ---------------------------------------------------------------------------------------------

    def test_blocks_are_whole_lines(self):
        table = processed(20000)
        whole = bytes(afluxo.to_line_protocol(table, dataset="generation"))
        for size in (1, 1000, 100_000, 1 << 30):
            blocks = list(afluxo.to_line_protocol(table, dataset="generation", block_bytes=size))
            self.assertEqual(b"".join(blocks), whole)
            self.assertTrue(all(b.endswith(b"\n") for b in blocks))
            self.assertTrue(all(len(b) <= max(size, 300) for b in blocks))
        with afluxo.to_line_protocol(table, dataset="generation", block_lines=100) as lines:
            for block in lines:
                self.assertEqual(block.count(b"\n"), lines.block_lines)
                self.assertLessEqual(lines.block_lines, 100)

    def test_rows_that_are_no_points(self):
        table = pa.table({"t": [1, None, 3], "v": ["1.5", "2", "x"]})
        mapping = {"measurement": "m", "time": {"column": "t", "unit": "s"}, "fields": {"v": {"column": "v", "type": "float"}}}
        for source in (table, self.parquet(table)):
            rejects = afluxo.Rejects()
            lines = afluxo.to_line_protocol(source, mapping=mapping, rejects=rejects)
            self.assertEqual(bytes(lines), b"m v=1.5 1000000000\n")
            self.assertEqual([(r.row, r.column) for r in rejects], [(1, "t"), (2, "v")])
            self.assertEqual(json.loads(rejects[1].raw), {"t": 3, "v": "x"})
            self.assertEqual(sum(rejects.summary().values()), 2)
            self.assertEqual(tuple(lines.counts), (3, 1, 1, 2, 0))

    def test_failures_are_exceptions_with_the_words(self):
        with self.assertRaisesRegex(afluxo.NotFound, "/nowhere/x.parquet"):
            afluxo.to_line_protocol("/nowhere/x.parquet")
        path = self.write("x.parquet", b"PAR1 nothing PAR1")
        with self.assertRaises(afluxo.Corrupt) as caught:
            bytes(afluxo.to_line_protocol(path, dataset="generation"))
        self.assertIn("x.parquet", str(caught.exception))
        self.assertEqual(caught.exception.status, "ECORRUPT")
        with self.assertRaisesRegex(afluxo.InvalidInput, "'l' is a list"):
            bytes(afluxo.to_line_protocol(pa.table({"t": [1], "l": [[1]]}), mapping={
                  "measurement": "m", "time": {"column": "t", "unit": "s"}, "fields": {"l": "l"}}))
        with self.assertRaisesRegex(afluxo.InvalidInput, "no table"):
            afluxo.to_line_protocol(object())
        with self.assertRaisesRegex(afluxo.NotFound, "nowhere"):
            afluxo.to_line_protocol(pa.table({"t": [1]}), dataset="nowhere")

        def broken():
            yield pa.record_batch({"t": [1], "v": [1.0]})
            raise RuntimeError("the source broke")
        reader = pa.RecordBatchReader.from_batches(pa.schema({"t": pa.int64(), "v": pa.float64()}), broken())
        with self.assertRaisesRegex(afluxo.Unavailable, "the source broke"):
            bytes(afluxo.to_line_protocol(reader, mapping={"measurement": "m", "time": {"column": "t", "unit": "s"}, "fields": {"v": "v"}}))

    def test_what_breaks_in_the_middle_lets_go_of_all(self):
        mapping = {"measurement": "m", "time": {"column": "t", "unit": "s"}, "fields": {"v": "v"}}
        schema = pa.schema({"t": pa.int64(), "v": pa.float64()})
        before = pa.total_allocated_bytes()

        def broken(bad):
            for i in range(3):
                yield pa.record_batch({"t": pa.array(range(50_000)), "v": pa.array([1.5] * 50_000)}, schema=schema)
            if bad == "raises":
                raise RuntimeError("the source broke")
            yield pa.record_batch({"t": pa.array([1]), "v": pa.array([1.5])}, schema=schema)

        for bad in ("raises", "is left"):
            for _ in range(3):
                lines = afluxo.to_line_protocol(pa.RecordBatchReader.from_batches(schema, broken(bad)), mapping=mapping, block_bytes=10_000)
                next(lines)
                if bad == "raises":
                    with self.assertRaisesRegex(afluxo.Unavailable, "the source broke"):
                        list(lines)
                    self.assertEqual(list(lines), [])
                    self.assertEqual(lines.counts.rows, 150_000)
                lines.close()
        with self.assertRaises(afluxo.InvalidInput):  # taken over, and let go of, before there is a result
            afluxo.to_line_protocol(pa.RecordBatchReader.from_batches(schema, broken("")), mapping="nonsense: 1")
        del lines
        self.assertEqual(pa.total_allocated_bytes(), before)

    def test_two_threads_at_one_result(self):
        """As with a generator, the second is told; the first goes on."""
        import threading
        asked, go = threading.Event(), threading.Event()
        schema = pa.schema({"t": pa.int64(), "v": pa.float64()})

        def slow():
            asked.set()
            go.wait(60)
            yield pa.record_batch({"t": pa.array([1]), "v": pa.array([1.5])}, schema=schema)
        lines = afluxo.to_line_protocol(pa.RecordBatchReader.from_batches(schema, slow()),
                                        mapping={"measurement": "m", "time": {"column": "t", "unit": "s"}, "fields": {"v": "v"}})
        got = []
        thread = threading.Thread(target=lambda: got.extend(lines))
        thread.start()
        self.assertTrue(asked.wait(60))
        with self.assertRaisesRegex(ValueError, "another thread"):
            next(lines)
        go.set()
        thread.join()
        self.assertEqual(got, [b"m v=1.5 1000000000\n"])

    def test_a_path_is_just_that_file(self):
        for name in ("[1].parquet", "1.parquet"):
            self.parquet(processed(100), name)
        os.makedirs(self.path("d"))
        want = bytes(afluxo.to_line_protocol(self.path("1.parquet"), dataset="generation"))
        self.assertEqual(bytes(afluxo.to_line_protocol(self.path("[1].parquet"), dataset="generation", exact=True)), want)
        with self.assertRaises(afluxo.NotFound):
            afluxo.to_line_protocol(self.path("d"), dataset="generation", exact=True)
        odd = os.fsdecode(os.fsencode(self.path("x")) + b"\xff.parquet")  # a name that is no UTF-8
        os.rename(self.path("1.parquet"), odd)
        self.assertEqual(bytes(afluxo.to_line_protocol(odd, dataset="generation", exact=True)), want)

    def test_stopping_early_lets_go_of_all(self):
        path = self.parquet(processed(300_000))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for _ in range(30):
            lines = afluxo.to_line_protocol(path, dataset="generation")
            next(lines)
            lines.close()
            self.assertRaises(StopIteration, next, lines)
        self.assertLess(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 150 << 10)

    def test_values_are_not_copied(self):
        """400 MB of values, and the process grows by little: in a process of its own, since a peak never sinks."""
        code = """
import numpy, pyarrow as pa, afluxo
def peak():  # of this program; ru_maxrss is also that of the process it was forked from
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
columns = {f"v{i}": numpy.ones(5_000_000) * i for i in range(10)}
columns["time"] = pa.array(numpy.arange(5_000_000), pa.timestamp("ns", "UTC"))
table = pa.table(columns)
assert table.column("v3").chunk(0).buffers()[1].address == columns["v3"].__array_interface__["data"][0]
before = peak()
points = 0
with afluxo.to_line_protocol(table, mapping={"measurement": "m", "time": "time", "fields": {f"v{i}": f"v{i}" for i in range(10)}}) as lines:
    for i, block in enumerate(lines):
        points += lines.block_lines
        if points > 400_000:
            break
print((peak() - before) >> 10)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, env=python_lib.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(int(done.stdout), 60, "MB")

    def test_threads(self):
        from concurrent.futures import ThreadPoolExecutor
        tables = [processed(5000, seed) for seed in range(8)]
        want = [bytes(afluxo.to_line_protocol(t, dataset="generation")) for t in tables]
        with ThreadPoolExecutor(8) as pool:
            self.assertEqual(list(pool.map(lambda t: bytes(afluxo.to_line_protocol(t, dataset="generation")), tables)), want)

    # --- files as Arrow ---------------------------------------------------------------------------------------------------------------

    def test_read_parquet(self):
        table = pa.table({
            "i": pa.array([1, None, 3], pa.int32()), "u": pa.array([1, 2, 2 ** 64 - 1], pa.uint64()), "f": [0.5, None, -0.0], "b": [True, None, False],
            "s": pa.array(["a", None, "a"]).dictionary_encode(), "y": [b"x", b"", None], "d": [datetime.date(2024, 1, 1), None, datetime.date(1969, 12, 31)],
            "t": pa.array([1, None, -1], pa.timestamp("us", "UTC")), "l": pa.array([1, None, -1], pa.timestamp("ms")), "k": pa.array([1, None, 2], pa.time64("us")),
            "n": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-2.25")], pa.decimal128(10, 2))})
        path = self.parquet(table, row_group_size=2)
        read = afluxo.read_parquet(path)
        read.validate(full=True)
        self.assertEqual([str(f.type) for f in read.schema], ["int64", "uint64", "double", "bool", "string", "binary", "date32[day]",
                                                              "timestamp[ns, tz=UTC]", "timestamp[ns]", "time64[ns]", "decimal128(38, 2)"])
        for name in table.column_names:
            want = table.column(name).cast(read.schema.field(name).type).to_pylist()
            self.assertEqual(read.column(name).to_pylist(), want, name)
        self.assertEqual(afluxo.read_parquet(path, columns=["f", "i"]).column_names, ["f", "i"])
        with self.assertRaisesRegex(afluxo.NotFound, "nope"):
            afluxo.read_parquet(path, columns=["nope"])

    def test_values_that_do_not_fit_are_told(self):
        table = pa.table({"v": [1, 2, 3], "t": pa.array([0, None, 2 ** 62], pa.timestamp("us"))})
        path = self.parquet(table)
        with self.assertRaisesRegex(Exception, "row 2, column 't': time out of range"):
            afluxo.read_parquet(path)
        self.assertEqual(afluxo.read_parquet(path, columns=["v"]).num_rows, 3)
        with open(self.path("x.csv"), "w") as f:
            f.write("a,v\n1,2\n3,4\n")
        self.assertEqual(afluxo.read_parquet(self.path("x.csv"), columns=["v"]).column("v").to_pylist(), ["2", "4"])
        with afluxo.open_parquet(path) as reader:
            for _ in range(2):  # the second time, too: it is no end
                with self.assertRaisesRegex(Exception, "row 2, column 't'"):
                    reader.read_next_batch()
        coded = pa.table({"v": [1.0, 2.0, 3.0], "t": pa.array([0, 2 ** 62, 0], pa.timestamp("us")).dictionary_encode()})
        lines = afluxo.to_line_protocol(coded, mapping={"measurement": "m", "time": "t", "fields": {"v": "v"}})
        self.assertEqual(bytes(lines).count(b"\n"), 2)
        self.assertEqual([(r.row, "time out of range" in r.reason) for r in lines.rejects], [(1, True)])

    def test_read_random_tables(self):
        for seed in range(TABLES // 3):
            with self.subTest(seed=seed):
                table = random_tables.table(seed, depth=0)
                try:
                    path = self.parquet(table, **random_tables.writing(seed, table.schema))
                except pa.ArrowInvalid:  # what the format's version cannot hold
                    continue
                read = afluxo.read_parquet(path)
                read.validate(full=True)
                self.assertEqual(read.num_rows, table.num_rows)
                for name in table.column_names:
                    if read.schema.field(name).type == table.schema.field(name).type:
                        self.assertTrue(same_values(read.column(name).to_pylist(), table.column(name).to_pylist()), name)
                again = afluxo.read_parquet(self.parquet(read, "again.parquet"))
                self.assertTrue(again.equals(read) or same_values(again.to_pylist(), read.to_pylist()))

    # --- stores ---------------------------------------------------------------------------------------------------------------------

    def check_store(self, store):
        written = store.write(processed(2000), dataset="generation")
        self.assertEqual(written.rejected, 0)
        self.assertGreater(written.points, 1000)
        counts = store.query('SELECT count(power_mw), count(energy_mwh), count("value") FROM generation_data')
        self.assertEqual(sum(counts["results"][0]["series"][0]["values"][0][1:]), written.points)
        bad = store.write_lines("m v=1 1\nm v=\"text\" 2\nm v=3 3\n", "s")
        self.assertEqual((bad.points, bad.rejected), (2, 1))
        self.assertIn("field type conflict", bad.reason)
        values = store.query("SELECT v FROM m")["results"][0]["series"][0]["values"]
        self.assertEqual([v for _, v in values], [1, 3])
        with self.assertRaises(afluxo.AfluxoError):
            store.query("SELECT v FROM")

    def test_a_directory(self):
        with afluxo.Store(self.path("data"), "b", create=True) as store:
            self.check_store(store)
            with self.assertRaises(afluxo.Unavailable):  # one owner
                afluxo.Store(self.path("data"), "b")
        with self.assertRaises(ValueError):
            store.query("SHOW DATABASES")
        with afluxo.Store(self.path("data"), "b") as store:
            self.assertEqual(len(store.query("SELECT v FROM m")["results"][0]["series"][0]["values"]), 2)

    def test_what_a_write_says(self):
        table = pa.table({"t": pa.array([1_700_000_000_123, None, 1_700_000_001_000], pa.timestamp("ms")), "v": [1.0, 2.0, 3.0]})
        mapping = {"measurement": "m", "time": "t", "fields": {"v": "v"}}
        with afluxo.Store(self.path("data"), "b", create=True) as store:
            for precision, digits in (("s", 9), ("ms", 6), ("ns", 0)):
                rejects = afluxo.Rejects([afluxo.Reject(7, None, "of another write", "")])
                written = store.write(table, mapping={**mapping, "measurement": precision}, precision=precision, rejects=rejects)
                self.assertEqual((written.points, written.rejected, len(rejects)), (2, 1, 2))
                self.assertEqual(written.reason, rejects[1].reason)
                values = store.query(f"SELECT v FROM {precision}")["results"][0]["series"][0]["values"]
                self.assertEqual(values, [["2023-11-14T22:13:20Z" if digits == 9 else "2023-11-14T22:13:20.123Z", 1], ["2023-11-14T22:13:21Z", 3]])
            self.assertIsNone(store.write(table.take([0]), mapping=mapping, rejects=rejects).reason)
            self.assertEqual(store.write_lines('# n\nm s="a\n\nb" 1\n\nm v=1 2').points, 2)

    def test_where_lines_end(self):
        """As af_lp_line_end has it."""
        from afluxo._lines import split_lines
        cases = (b"m f=1\n", b'm f="a\nb"\n', b"m\\\nn f=1\n", b'm f="a\\"\nb"\n', b'm,a="b\n', b'm "\n', b'm a,"="\n',
                 b'm s="C:\\\\" 2\n', b'm s="a\n\n \nb",t="\xff" 1\r\n', b"# x\n", b'm,t=a\\ b" f="\\\\\\"\n" 5\n')
        for case in cases:
            self.assertEqual(split_lines(case + b"\n" + case + b"m v=1"), [case, case, b"m v=1"])
        rng = random.Random(3)
        for _ in range(200):
            want = [rng.choice(cases) for _ in range(20)]
            self.assertEqual(split_lines(b"".join(want)), want)
        for torn in (b'm f="a\nb', b"m f=1\\", b"\\", b'm f="\\'):
            self.assertEqual(split_lines(torn), [torn])
        self.assertEqual(len(split_lines(b'm s="' + b"x" * 2_000_000 + b'\\')), 1)

    def test_influxd(self):
        influxd = lib.Influxd()
        self.addCleanup(influxd.close)
        with afluxo.Store(influxd.url, "b", create=True) as store:
            self.check_store(store)
        self.assertEqual(influxd.count("m", "v", "b"), 2)

    def test_servers_of_2(self):
        for name, url, token, org, own in python_lib.servers(lib):
            if own is not None:
                self.addCleanup(own.close)
            with self.subTest(server=name):
                with afluxo.Store(url, f"b{random.getrandbits(40)}", org=org, token=token, create=True) as store:
                    self.check_store(store)
                with self.assertRaises(afluxo.AfluxoError):
                    with afluxo.Store(url, "b", org=org, token="wrong") as store:
                        store.write_lines("m v=1 1")

    # --- the package --------------------------------------------------------------------------------------------------------------------

    def test_types_are_complete(self):
        done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", self.path("cache"), "--config-file",
                               os.path.join(python_lib.ROOT, "python", "pyproject.toml"), os.path.join(python_lib.PACKAGE, "afluxo")],
                              capture_output=True, text=True, timeout=300, env={**os.environ, "MYPYPATH": python_lib.PACKAGE})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_library_exports_its_header_and_nothing_else(self):
        names = subprocess.run(["nm", "-D", "--defined-only", python_lib.LIBRARY], capture_output=True, text=True, check=True).stdout
        exported = {line.split()[-1] for line in names.splitlines()}
        with open(os.path.join(python_lib.ROOT, "src", "ffi", "afluxo.h")) as f:
            text = f.read()
        import re
        self.assertEqual(exported, set(re.findall(r"\b(af_ffi_\w+)\(", text)))
        from afluxo import _library
        self.assertEqual(exported, set(_library._SIGNATURES))


def leaves_of(table):
    """Columns as afluxo names them, leaves of structs by their path, with their types."""
    def leaves(field, prefix):
        name = f"{prefix}.{field.name}" if prefix else field.name
        if pa.types.is_struct(field.type):
            return [leaf for i in range(field.type.num_fields) for leaf in leaves(field.type.field(i), name)]
        return [] if pa.types.is_nested(field.type) else [(name, field.type)]
    return [leaf for f in table.schema for leaf in leaves(f, "")]


def type_of(rng, kind):
    """A type of field that a column can have."""
    if pa.types.is_temporal(kind):
        return rng.choice(["integer", "string"])
    if pa.types.is_integer(kind):
        return rng.choice(["integer", "float", "string"])
    if pa.types.is_boolean(kind):
        return rng.choice(["boolean", "string"])
    return rng.choice(["float", "string"]) if pa.types.is_floating(kind) or pa.types.is_decimal(kind) else "string"


def same_values(a, b):
    return json.dumps(a, default=repr) == json.dumps(b, default=repr)


class Wheel(lib.Case):
    """The wheel as a user has it: installed into an empty environment, without the tree."""

    def test_installed_and_run(self):
        build = subprocess.run([os.path.join(python_lib.ROOT, "python", "wheel.sh")], capture_output=True, text=True, timeout=600,
                               env={**os.environ, "BUILD": python_lib.BUILD, "PYTHON": sys.executable})
        self.assertEqual(build.returncode, 0, build.stdout + build.stderr)
        dist = os.path.join(python_lib.BUILD, "python", "dist")
        wheels = [f for f in os.listdir(dist) if f.endswith(".whl")]
        self.assertEqual(len(wheels), 1)
        self.assertRegex(wheels[0], r"^afluxo-[0-9.]+-py3-none-manylinux_2_[0-9]+_(x86_64|aarch64)\.whl$")
        subprocess.run([sys.executable, "-m", "zipfile", "-e", os.path.join(dist, wheels[0]), self.path("wheel")], check=True, timeout=300)
        files = [os.path.join(dir, f) for dir, _, names in os.walk(self.path("wheel")) for f in names if ".so" in f]
        dynamic = subprocess.run(["readelf", "-dW", *files], check=True, capture_output=True, text=True, timeout=300).stdout
        needed = set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)) - {os.path.basename(f) for f in files}
        self.assertLessEqual(needed, {"libc.so.6", "libm.so.6", "libresolv.so.2", "libz.so.1", "libstdc++.so.6", "libgcc_s.so.1"}
                             | {n for n in needed if n.startswith("ld-linux")})
        versions = subprocess.run(["readelf", "-VW", *files], check=True, capture_output=True, text=True, timeout=300).stdout
        newest = max(int(v) for v in re.findall(r"GLIBC_2\.([0-9]+)", versions))
        self.assertLessEqual(newest, int(re.search(r"manylinux_2_([0-9]+)", wheels[0]).group(1)))  # the tag is true
        subprocess.run([sys.executable, "-m", "venv", self.path("venv")], check=True, timeout=300)
        python = self.path("venv", "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-index", os.path.join(dist, wheels[0])], check=True, timeout=300)
        pa.parquet.write_table(processed(100), self.path("x.parquet"))
        code = """
import afluxo, sys, os
lines = afluxo.to_line_protocol(sys.argv[1], dataset="generation")
text = bytes(lines)
with afluxo.Store(sys.argv[2], "b", create=True) as store:
    written = store.write_lines(text)
assert written.points == text.count(b"\\n") > 50, written
assert "afluxo.libs" in open("/proc/self/maps").read()
assert os.path.exists(os.path.join(os.path.dirname(afluxo.__file__), "py.typed"))
print(afluxo.__version__, written.points)
"""
        env = {k: v for k, v in os.environ.items() if k not in ("AFLUXO_LIBRARY", "PYTHONPATH")}
        done = subprocess.run([python, "-c", code, self.path("x.parquet"), self.path("data")],
                              capture_output=True, text=True, timeout=120, env=env, cwd=self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()

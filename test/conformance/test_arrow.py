"""Arrow IPC streams that `afluxo query --format arrow` writes, read by pyarrow: types, values, nulls, several series, nothing at all.

Needs pyarrow (tools/install.sh extra). AFLUXO is the program (build/afluxo).
"""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

import pyarrow as pa

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import lib  # noqa: E402

AFLUXO = os.environ.get("AFLUXO", os.path.join(lib.ROOT, "build", "afluxo"))
LINES = """
cpu,host=a,region=eu f=1.5,i=-3i,ok=true,s="text é" 1600000000000000000
cpu,host=a,region=eu f=2.5 1600000001000000001
cpu,host=b i=9i,ok=false,s="" 1600000002000000000
mem,host=a free=7i 1600000003000000000
"""


class Arrow(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="afluxo-arrow-")
        cls.data = os.path.join(cls.dir, "data")
        server = lib.Server(cls.data, "--no-auth", binary=AFLUXO)
        status, _, _ = server.request("POST", "/query?" + urllib.parse.urlencode({"q": "CREATE DATABASE db"}), b"", auth=False)
        assert status == 200, status
        status, body, _ = server.request("POST", "/write?db=db", (LINES.strip() + many()).encode(), auth=False)
        assert status == 204, body
        server.stop()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.dir, True)

    def stream(self, query, expect=0):
        done = subprocess.run([AFLUXO, "query", query, "--from", self.data, "--bucket", "db", "--format", "arrow"], capture_output=True,
                              timeout=60, env=lib.environment())
        self.assertEqual(done.returncode, expect, done.stderr.decode())
        return done

    def table(self, query):
        table = pa.ipc.open_stream(self.stream(query).stdout).read_all()
        table.validate(full=True)
        return table

    def test_types_values_and_nulls(self):
        table = self.table("SELECT f, i, ok, s FROM cpu")
        self.assertEqual([(f.name, str(f.type)) for f in table.schema], [
            ("name", "dictionary<values=string, indices=int32, ordered=0>"), ("time", "timestamp[ns, tz=UTC]"), ("f", "double"),
            ("i", "int64"), ("ok", "bool"), ("s", "string")])
        self.assertEqual(table.column("time").cast(pa.int64()).to_pylist(), [1600000000000000000, 1600000001000000001, 1600000002000000000])
        self.assertEqual(table.drop(["time"]).to_pylist(), [
            {"name": "cpu", "f": 1.5, "i": -3, "ok": True, "s": "text é"}, {"name": "cpu", "f": 2.5, "i": None, "ok": None, "s": None},
            {"name": "cpu", "f": None, "i": 9, "ok": False, "s": ""}])

    def test_tags_are_columns(self):
        table = self.table("SELECT sum(i) FROM cpu GROUP BY host, region")
        self.assertEqual(table.column("host").to_pylist(), ["a", "b"])
        self.assertEqual(table.column("region").to_pylist(), ["eu", ""])
        self.assertEqual(table.column("sum").to_pylist(), [-3, 9])

    def test_many_rows_in_many_batches(self):
        table = self.table("SELECT v, odd FROM long")
        self.assertEqual(table.num_rows, ROWS)
        self.assertEqual(table.column("v").to_pylist(), [i * 0.5 for i in range(ROWS)])
        self.assertEqual(table.column("odd").to_pylist(), [i if i % 3 == 0 else None for i in range(ROWS)])

    def test_nothing_is_a_stream_too(self):
        self.assertEqual(self.table("SELECT nope FROM cpu").num_rows, 0)

    def test_what_does_not_fit_one_schema_is_refused(self):
        done = self.stream("SELECT f FROM cpu; SELECT free FROM mem", expect=1)
        self.assertIn(b"one schema", done.stderr)


ROWS = 20000


def many():
    return "".join("\nlong v=%s%s %d" % (i * 0.5, ",odd=%di" % i if i % 3 == 0 else "", i + 1) for i in range(ROWS))


if __name__ == "__main__":
    unittest.main()

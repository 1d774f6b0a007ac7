"""`afluxo query`: of a data directory, of one that a server has, of an InfluxDB 1.6; all formats, failures, interruption, large answers.

A real InfluxDB 2.x besides where AFLUXO_TEST_INFLUXDB2 and its _TOKEN and _ORG are set.
"""
import json
import os
import resource
import signal
import struct
import subprocess
import time
import urllib.request

import lib
from lib import DONE, FAILED, INTERRUPTED, RELEASE, USAGE, Case

LINES = ('geração,região=NE,usina=São\\ João mw=1.5,n=3i,ok=true,nome="a, \\"b\\"" 1704067200000000000\n'
         'geração,região=NE,usina=São\\ João mw=2,n=4i 1704067200123456789\n'
         'geração,região=S,usina=B mw=-0.25,n=9007199254740993i,ok=false 1704070800000000000\n')
ROWS = 'SELECT "mw","n","ok","nome" FROM "geração" GROUP BY "região"'

TABLE = """geração  região=NE
time                            mw n ok   nome
------------------------------ --- - ---- ------
2024-01-01T00:00:00Z           1.5 3 true a, "b"
2024-01-01T00:00:00.123456789Z   2 4      \n
geração  região=S
time                    mw                n ok    nome
-------------------- ----- ---------------- ----- ----
2024-01-01T01:00:00Z -0.25 9007199254740993 false \n(3 rows)
"""
JSON_ROWS = [
    {"time": "2024-01-01T00:00:00Z", "name": "geração", "tags": {"região": "NE"}, "mw": 1.5, "n": 3, "ok": True, "nome": 'a, "b"'},
    {"time": "2024-01-01T00:00:00.123456789Z", "name": "geração", "tags": {"região": "NE"}, "mw": 2, "n": 4, "ok": None, "nome": None},
    {"time": "2024-01-01T01:00:00Z", "name": "geração", "tags": {"região": "S"}, "mw": -0.25, "n": 9007199254740993, "ok": False,
     "nome": None},
]
CSV = """name,região,time,mw,n,ok,nome
geração,NE,1704067200000000,1.5,3,true,"a, ""b\"""
geração,NE,1704067200123456,2,4,,
geração,S,1704070800000000,-0.25,9007199254740993,false,
"""


def batches(data):
    """Rows of each message of an Arrow stream, as its header says; None for the schema. Fails where the stream is no stream."""
    at, rows = 0, []
    while True:
        mark, size = struct.unpack_from("<Ii", data, at)
        assert mark == 0xffffffff, data[at:at + 16]
        at += 8
        if size == 0:
            assert at == len(data), (at, len(data))
            return rows
        meta = data[at:at + size]
        root = struct.unpack_from("<I", meta)[0]
        table = root - struct.unpack_from("<i", meta, root)[0]
        slot = [struct.unpack_from("<H", meta, table + 4 + 2 * i)[0] for i in range((struct.unpack_from("<H", meta, table)[0] - 4) // 2)]
        body = struct.unpack_from("<q", meta, root + slot[3])[0] if len(slot) > 3 and slot[3] else 0
        kind = meta[root + slot[1]]
        if kind == 3:
            header = root + slot[2] + struct.unpack_from("<I", meta, root + slot[2])[0]
            fields = header - struct.unpack_from("<i", meta, header)[0]
            place = struct.unpack_from("<H", meta, fields + 4)[0]
            rows.append(struct.unpack_from("<q", meta, header + place)[0] if place else 0)
        else:
            rows.append(None)
        at += size + body


class Queries:
    """Asked in the same way of each kind of target: `target` says what comes behind --from."""
    binary = lib.BINARY

    def target(self):
        raise NotImplementedError

    def query(self, status, text, *args, bucket="energia", **kw):
        more = ["--bucket", bucket] if bucket else []
        return self.afluxo(status, "query", text, "--from", *self.target(), *more, *args, **kw)

    def test_a_table_to_read(self):
        r = self.query(DONE, ROWS)
        self.assertEqual(r.out, TABLE)
        self.assertEqual(self.query(DONE, ROWS, "--format", "table").out, TABLE)
        pt = self.query(DONE, ROWS + "; SELECT x FROM nada", env=lib.environment(LANG="pt_BR.UTF-8", LC_ALL=""))
        self.assertIn("(3 linhas)", pt.out)
        self.assertIn("(nenhuma linha)", pt.out)
        self.assertIn("(no rows)", self.query(DONE, "SELECT x FROM nada", env=lib.environment(LANG="pt_BR", LC_ALL="C")).out)

    def test_rows_for_programs(self):
        out = self.query(DONE, ROWS, "--format", "json").out
        self.assertEqual([json.loads(line) for line in out.splitlines()], JSON_ROWS)
        self.assertEqual(self.query(DONE, ROWS, "--json").out, out)
        self.assertEqual(self.query(DONE, ROWS, "--format", "csv", "--epoch", "us").out, CSV)
        self.assertEqual(self.query(DONE, ROWS, "--format", "csv", "--epoch", "h").out.splitlines()[1].split(",")[2], "473352")

    def test_arrow(self):
        p = subprocess.run([self.binary, "query", ROWS, "--from", *map(str, self.target()), "--bucket", "energia", "--format", "arrow"],
                           capture_output=True, timeout=120, env=lib.environment())
        self.assertEqual(p.returncode, DONE, p.stderr)
        # the schema; name and tag as dictionaries; rows; the second series replaces the tag's; its row
        self.assertEqual(batches(p.stdout), [None, None, None, 2, None, 1])
        for word in ("name", "região", "time", "mw", "UTC", "São João"):
            self.assertEqual(word.encode() in p.stdout, word != "São João", word)

    def test_several_statements_and_failures(self):
        r = self.query(FAILED, "SHOW MEASUREMENTS; SELECT foo(mw) FROM geração; SHOW DATABASES".replace("geração", '"geração"'), "--format", "csv")
        self.assertTrue(r.out.startswith("name,name\nmeasurements,geração\n"), r.out)
        self.assertIn("afluxo query: undefined function foo()\n", r.err)
        self.assertNotIn("energia", r.out)
        r = self.query(FAILED, "SELECT mw FRM x")
        self.assertIn("error parsing query: found FRM, expected FROM at line 1, char 11", r.err)
        self.assertEqual(r.out, "")
        self.assertIn("database not found: nirgends", self.query(FAILED, "SELECT mw FROM x", bucket="nirgends").err)
        self.assertIn("--bucket", self.query(FAILED, "SELECT mw FROM x", bucket=None).err)
        self.assertIn("energia", self.query(DONE, "SHOW DATABASES", bucket=None).out)

    def test_the_bucket_may_name_a_policy(self):
        self.assertEqual(self.query(DONE, ROWS, bucket="energia/autogen").out, TABLE)
        self.assertIn("retention policy not found: x", self.query(FAILED, ROWS, bucket="energia/x").err)

    def test_explain(self):
        for option in ("--explain", "--analyze"):
            self.assertTrue(self.query(DONE, ROWS, option).out.startswith("QUERY PLAN\n" if option == "--explain" else "EXPLAIN ANALYZE\n"))

    def test_from_standard_input(self):
        self.assertEqual(self.query(DONE, "-", stdin=(ROWS + "\n").encode()).out, TABLE)

    def test_times_in_a_zone(self):
        r = self.query(DONE, "SELECT mw FROM \"geração\" LIMIT 1 tz('America/Sao_Paulo')", "--format", "csv")
        self.assertIn(",2023-12-31T21:00:00-03:00,1.5", r.out)

    def test_what_is_wrong_on_the_command_line(self):
        for more, words in ((["--format", "xml"], "table, json, csv or arrow"), (["--epoch", "d"], "--epoch is"),
                            (["--lang", "timestream"], "Timestream"), (["--lang", "sql"], "influxql or flux"),
                            (["--lang", "flux", "--explain"], "InfluxQL")):
            self.assertIn(words, self.query(USAGE, "x", *more).err)
        self.assertIn("one text", self.afluxo(USAGE, "query", "a", "b", "--from", "x").err)


class Directory(Queries, Case):
    def setUp(self):
        super().setUp()
        self.write("l.lp", LINES)
        self.afluxo(DONE, "write", self.path("l.lp"), "--to", self.path("data"), "--bucket", "energia", "--create")

    def target(self):
        return [self.path("data")]

    def test_flux_is_refused_for_now(self):
        self.assertIn("Flux", self.query(FAILED, "buckets()", "--lang", "flux").err)

    def test_statements_that_change_things(self):
        self.query(DONE, 'CREATE RETENTION POLICY r ON energia DURATION 0s REPLICATION 1; SELECT mw INTO energia.r.copy FROM "geração"')
        self.assertEqual(self.query(DONE, "SELECT count(mw) FROM copy", "--format", "csv", bucket="energia/r").out,
                         "name,time,count\ncopy,1970-01-01T00:00:00Z,3\n")

    def test_what_is_no_data_directory(self):
        r = self.afluxo(FAILED, "query", "SHOW DATABASES", "--from", self.path("nowhere"))
        self.assertIn("not a data directory", r.err)
        self.assertFalse(os.path.exists(self.path("nowhere")))


class Served(Queries, Case):
    def setUp(self):
        super().setUp()
        self.server = lib.Server(self.path("data"))
        self.addCleanup(self.server.close)
        for q in ("CREATE DATABASE energia",):
            self.assertEqual(self.server.request("POST", "/query?q=" + urllib.request.quote(q))[0], 200)
        self.assertEqual(self.server.request("POST", "/write?db=energia", LINES)[0], 204)

    def target(self):
        return [self.path("data")]

    def test_it_goes_through_the_server(self):
        self.assertIn("is served at " + self.server.url, self.query(DONE, ROWS).err)
        self.assertNotIn("is served", self.query(DONE, ROWS, "--quiet").err)

    def test_by_its_address(self):
        r = self.afluxo(DONE, "query", ROWS, "--from", self.server.url, "--bucket", "energia", "--token", self.server.token)
        self.assertEqual(r.out, TABLE)
        r = self.afluxo(FAILED, "query", ROWS, "--from", self.server.url, "--bucket", "energia", "--token", "wrong")
        self.assertNotIn("wrong", r.err)


class Influx1(Queries, Case):
    @classmethod
    def setUpClass(cls):
        cls.server = lib.Influxd()
        cls.server.query("CREATE DATABASE energia")
        urllib.request.urlopen(cls.server.url + "/write?db=energia", LINES.encode()).close()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def target(self):
        return [self.server.url]


class Large(Case):
    """The release binary, in little memory: 400,000 rows, 16 MB of text."""
    ROWS = 400000

    def setUp(self):
        super().setUp()
        self.write("l.lp", "".join(f"m,s={i % 4} v={i},w={i}i {1600000000000000000 + i * 10**9}\n" for i in range(self.ROWS)))
        self.afluxo(DONE, "write", self.path("l.lp"), "--to", self.path("data"), "--bucket", "b", "--create", binary=RELEASE)

    def started(self, target, *args):
        return subprocess.Popen([RELEASE, "query", "SELECT * FROM m", "--from", target, "--bucket", "b", *args], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=lib.environment(),
                                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)))

    def check(self, target):
        for form in ("csv", "json", "table", "arrow"):
            p = self.started(target, "--format", form)
            out, err = p.communicate(timeout=120)
            self.assertEqual(p.returncode, DONE, err)
            if form == "arrow":
                self.assertEqual(sum(n or 0 for n in batches(out)), self.ROWS)
            else:
                self.assertEqual(out.count(b"\n"), self.ROWS + {"csv": 1, "json": 0, "table": 4}[form])
                self.assertTrue(str(self.ROWS - 1).encode() in out[-200:], out[-200:])

    def test_of_a_directory(self):
        self.check(self.path("data"))

    def test_of_servers(self):
        peer = lib.Influxd()
        self.addCleanup(peer.close)
        peer.query("CREATE DATABASE b")
        with open(self.path("l.lp"), "rb") as f:
            urllib.request.urlopen(peer.url + "/write?db=b", f.read()).close()
        self.check(peer.url)
        server = lib.Server(self.path("data"), binary=RELEASE)
        self.addCleanup(server.close)
        self.check(self.path("data"))

    def test_interrupted_while_nobody_reads(self):
        p = self.started(self.path("data"), "--format", "json")
        p.stdout.read(1)
        time.sleep(0.2)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, INTERRUPTED, err)
        self.assertIn(b"query interrupted", err)
        self.assertLess(len(out), 30 << 20)
        self.afluxo(DONE, "query", "SHOW MEASUREMENTS", "--from", self.path("data"), "--bucket", "b")

    def test_readers_that_leave(self):
        p = self.started(self.path("data"), "--format", "csv")
        p.stdout.read(100)
        p.stdout.close()
        self.assertEqual(p.wait(timeout=60), -signal.SIGPIPE)
        self.assertEqual(p.stderr.read(), b"")
        p.stderr.close()


if os.environ.get("AFLUXO_TEST_INFLUXDB2"):
    import test_influx2

    class Influx2(test_influx2.Influx2, Case):
        def ask(self, status, text, *args):
            return self.afluxo(status, "query", text, *self.server(to=None, **{"from": test_influx2.URL}), *args)

        def test_both_languages(self):
            self.write("l.lp", LINES)
            self.afluxo(DONE, "write", self.path("l.lp"), *self.target(), "--create")
            self.assertEqual(self.ask(DONE, ROWS).out, TABLE)
            self.assertEqual(self.ask(DONE, ROWS, "--format", "csv", "--epoch", "us").out, CSV)
            flux = (f'from(bucket: "{self.bucket}") |> range(start: 2024-01-01T00:00:00Z, stop: 2024-01-02T00:00:00Z) '
                    '|> filter(fn: (r) => r._field == "n") |> drop(columns: ["_start", "_stop"])')
            self.assertEqual(self.ask(DONE, flux, "--lang", "flux", "--format", "csv").out,
                             "name,_field,região,usina,_time,_value\n"
                             "geração,n,NE,São João,2024-01-01T00:00:00Z,3\n"
                             "geração,n,NE,São João,2024-01-01T00:00:00.123456789Z,4\n"
                             "geração,n,S,B,2024-01-01T01:00:00Z,9007199254740993\n")
            two = self.ask(DONE, flux + ' |> yield(name: "a") |> count() |> yield(name: "b")', "--lang", "flux").out
            self.assertIn("result=a", two)
            self.assertIn("result=b", two)
            r = self.ask(FAILED, flux + " |> foo()", "--lang", "flux")
            self.assertIn("undefined identifier foo", r.err)
            r = self.ask(FAILED, flux + ' |> map(fn: (r) => ({r with x: if r._value > 3 then die(msg: "too much") else 1}))', "--lang", "flux")
            self.assertIn("too much", r.err)
            self.assertIn("found FRM", self.ask(FAILED, "SELECT x FRM y").err)

"""Real clients ask `afluxo serve`, unmodified: the influx shell and python3-influxdb (Debian), pandas through its DataFrameClient, npm's influx,
Grafana's requests byte by byte, pyarrow on `afluxo query --format arrow`.

Clients run twice: against us and against Debian's influxd 1.6 with the same data. What they got must be the same, and besides what is written
here. NODE_PACKAGES is where npm put the packages (build/npm/node_modules).
"""
import base64
import io
import json
import os
import re
import subprocess
import sys
import unittest
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
import lib  # noqa: E402

BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
NODE_PACKAGES = os.environ.get("NODE_PACKAGES", os.path.join(BUILD, "npm", "node_modules"))
T0 = 1700000000  # 2023-11-14T22:13:20Z
LINES = "".join(f"plant,host={h},region={r} mw={i * k + 0.5},n={i * k}i {(T0 + 10 * i) * 10**9}\n"
                for k, (h, r) in enumerate((("a\\ b", "NE"), ("c", "S"), ("d", "S")), 1) for i in range(12))
LINES += (f'event,kind=trip title="line, 500 kV",text="says \\"open\\"",ok=true {(T0 + 30) * 10**9}\n'
          f'event,kind=close title="geração",text="",ok=false {(T0 + 60) * 10**9}\n')


def setUpModule():
    global ours, peer
    ours = lib.Server(binary=lib.RELEASE)
    peer = lib.Influxd()


def tearDownModule():
    ours.close()
    peer.close()


def fill(database, lines=LINES):
    """The same database, fresh, on both sides."""
    headers = {"Authorization": "Token " + ours.token}
    for url in (ours.url, peer.url):
        for q in (f'DROP DATABASE "{database}"', f'CREATE DATABASE "{database}"'):
            request = urllib.request.Request(url + "/query", urllib.parse.urlencode({"q": q}).encode(), headers)
            with urllib.request.urlopen(request) as r:
                assert "error" not in json.load(r)["results"][0]
        urllib.request.urlopen(urllib.request.Request(url + "/write?db=" + database, lines.encode(), headers)).close()


class Both(lib.Case):
    maxDiff = None

    def both(self, run):
        """What `run` says of us, after it said the same of influxd."""
        mine, theirs = run(ours.port, ours.token), run(peer.port, "unused")
        self.assertEqual(mine, theirs)
        return mine

    def output(self, command, port, token, stdin=None, **env):
        p = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120,
                           env=lib.environment(PORT=str(port), TOKEN=token, INFLUX_USERNAME="any", INFLUX_PASSWORD=token, **env))
        return p.returncode, p.stdout, p.stderr

    def said(self, command, port, token, **kw):
        status, out, err = self.output(command, port, token, **kw)
        self.assertEqual(status, 0, out + err)
        return json.loads(out.strip().splitlines()[-1])


STATEMENTS = [
    "SHOW MEASUREMENTS", "SHOW TAG KEYS", "SHOW FIELD KEYS FROM plant", "SHOW TAG VALUES WITH KEY = host", "SHOW SERIES FROM event",
    "SHOW TAG VALUES FROM plant WITH KEY IN (host, region) WHERE region = 'S'", "SHOW MEASUREMENTS WITH MEASUREMENT =~ /^p/ LIMIT 1",
    "SELECT * FROM plant LIMIT 3", "SELECT * FROM event", "SELECT mw FROM plant WHERE host = 'a b' AND mw > 9 ORDER BY time DESC",
    "SELECT mean(mw), count(n) FROM plant GROUP BY host", "SELECT max(mw) FROM plant GROUP BY time(1m), region fill(none)",
    "SELECT mean(mw) FROM plant WHERE time >= 1700000000s AND time < 1700000240s GROUP BY time(1m) fill(linear)",
    "SELECT top(mw, host, 2) FROM plant", "SELECT percentile(mw, 90), spread(n), stddev(mw) FROM plant", "SELECT derivative(mw, 1s) FROM plant "
    "WHERE host = 'c'", "SELECT sum(x) FROM (SELECT max(mw) AS x FROM plant GROUP BY host)", "SELECT count(*) FROM /.*/",
    "SELECT mw + n * 2 AS s FROM plant WHERE host = 'd' LIMIT 2 OFFSET 1", "SELECT last(title) FROM event GROUP BY *",
    "SELECT mw FROM plant GROUP BY * SLIMIT 1 SOFFSET 1", "SELECT mw FROM nothing", "SELECT mean(mw) FROM plant; SHOW MEASUREMENTS",
    "SELECT elapsed(mw, 1s), non_negative_difference(mw) FROM plant WHERE host = 'c' LIMIT 2",
    "SELECT mean(mw) FROM plant WHERE time >= 1700000000s AND time < 1700000060s GROUP BY time(30s) tz('America/Sao_Paulo')",
    "SELECT FRM", "SELECT foo(mw) FROM plant", "SHOW RETENTION POLICIES ON nowhere", "SHOW GRANTS FOR nobody", "DROP MEASUREMENT",
]


class Shell(Both):
    def setUp(self):
        super().setUp()
        fill("shell")

    def influx(self, text, *args, stdin=None):
        return self.both(lambda port, token: self.output(["influx", "-host", "127.0.0.1", "-port", str(port), "-database", "shell",
                                                          *(["-execute", text] if text else []), *args], port, token, stdin))

    def test_statements_in_every_format(self):
        for form in ("column", "csv", "json"):
            for text in STATEMENTS:
                with self.subTest(form=form, text=text):
                    self.influx(text, "-format", form)

    def test_precisions(self):
        for precision in ("rfc3339", "h", "m", "s", "ms", "u", "ns"):
            for text in ("SELECT mw FROM plant WHERE host = 'c' LIMIT 2", "SELECT mean(mw) FROM plant GROUP BY time(1m), host LIMIT 1"):
                with self.subTest(precision=precision, text=text):
                    self.influx(text, "-precision", precision)
        status, out, _ = self.influx("SELECT mw FROM plant WHERE host = 'c' LIMIT 1", "-precision", "rfc3339", "-format", "csv")
        self.assertEqual((status, out), (0, "name,time,mw\nplant,2023-11-14T22:13:20Z,0.5\n"))

    def test_pretty_json(self):
        self.influx("SELECT mean(mw) FROM plant GROUP BY region; SHOW TAG KEYS", "-format", "json", "-pretty")

    def test_inserting(self):
        for text in ('INSERT new,t=x v=1.5,s="a b",i=3i,b=false 1700000000000000000', "INSERT INTO autogen new,t=y v=2 1700000001000000000",
                     'INSERT new,t=x v="text" 1700000000000000000'):
            self.influx(text)
        status, out, _ = self.influx("SELECT * FROM new", "-format", "csv")
        self.assertEqual(out, "name,time,b,i,s,t,v\nnew,1700000000000000000,false,3,a b,x,1.5\nnew,1700000001000000000,,,,y,2\n")

    def test_administration(self):
        for text in ("CREATE RETENTION POLICY week ON shell DURATION 7d REPLICATION 1 SHARD DURATION 1d", "SHOW RETENTION POLICIES",
                     "ALTER RETENTION POLICY week ON shell DURATION 30d DEFAULT", "SHOW RETENTION POLICIES ON shell",
                     "SELECT mw INTO shell.autogen.copied FROM shell.autogen.plant WHERE host = 'c'",
                     "SELECT count(mw) FROM shell.autogen.copied", "CREATE CONTINUOUS QUERY q ON shell BEGIN SELECT mean(mw) INTO m2 FROM plant "
                     "GROUP BY time(1h) END", "DROP CONTINUOUS QUERY q ON shell", "DELETE FROM shell..copied", "DROP RETENTION POLICY week ON shell",
                     "ALTER RETENTION POLICY autogen ON shell DEFAULT", "DELETE FROM plant WHERE host = 'd'", "SELECT count(mw) FROM plant",
                     "DROP SERIES FROM plant WHERE host = 'c'", "SHOW SERIES", "DROP MEASUREMENT event", "SHOW MEASUREMENTS"):
            with self.subTest(text=text):
                self.influx(text)

    def test_import_of_an_export(self):
        path = self.write("dump", "# DDL\nCREATE DATABASE shell\n\n# DML\n# CONTEXT-DATABASE: shell\n# CONTEXT-RETENTION-POLICY: autogen\n\n"
                          + "".join(f"imported,k={i % 3} v={i} {T0 + i}\n" for i in range(1000)))

        def load(port, token):
            status, out, err = self.output(["influx", "-host", "127.0.0.1", "-port", str(port), "-import", "-path", path, "-precision", "s"],
                                           port, token)
            return status, re.findall(r"(?:Processed|Failed) \d+ \w+", out + err)
        self.assertEqual(self.both(load), (0, ["Processed 1 commands", "Processed 1000 inserts", "Failed 0 inserts"]))
        self.assertIn("imported,1970-01-01T00:00:00Z,499500", self.influx("SELECT sum(v) FROM imported", "-format", "csv", "-precision",
                                                                          "rfc3339")[1])


PYTHON_V1 = r"""
import json, os
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError
def client(user="any", password=os.environ["TOKEN"], **kw):
    return InfluxDBClient("127.0.0.1", int(os.environ["PORT"]), user, password, **kw)
def points(result):
    return [[key[0], key[1], list(rows)] for key, rows in result.items()]
def failure(call, *args, **kw):
    try:
        call(*args, **kw)
    except InfluxDBClientError as e:
        return [e.code, e.content.strip() if isinstance(e.content, str) else e.content]
# Unless told otherwise it asks for msgpack, and cannot read that in pieces.
is_json = os.environ["ACCEPT"] == "application/json"
c = client(database="py", headers={"Accept": "application/json"} if is_json else None)
said = {}
said["rows"] = points(c.query("SELECT mw, n FROM plant WHERE host = 'c' LIMIT 2"))
said["groups"] = points(c.query("SELECT mean(mw) FROM plant GROUP BY host, region"))
for epoch in ("h", "m", "s", "ms", "u", "ns"):
    said["epoch " + epoch] = points(c.query("SELECT mw FROM plant WHERE host = 'c' LIMIT 1", epoch=epoch))
said["bound"] = points(c.query("SELECT mw FROM plant WHERE host = $host AND mw > $least AND ok = $flag OR host = $host AND n = $n",
                               bind_params={"host": "a b", "least": 3.5, "flag": True, "n": 4}))
said["bound twice"] = points(c.query("SELECT title FROM event WHERE ok = $flag", bind_params={"flag": False}))
said["chunked"] = [points(r) for r in c.query("SELECT mw FROM plant WHERE host = 'c'", chunked=True, chunk_size=5)] if is_json else []
said["several"] = [points(r) for r in c.query("SELECT count(mw) FROM plant; SHOW MEASUREMENTS; SELECT x FROM nothing")]
said["post"] = points(c.query("SELECT sum(n) INTO py.autogen.sums FROM plant GROUP BY region", method="POST"))
said["params"] = points(c.query("SELECT sum FROM sums GROUP BY region", params={"epoch": "s"}))
said["failed"] = failure(c.query, "SELECT foo(mw) FROM plant")
said["no text"] = failure(c.query, "SELECT FRM")
said["unbound"] = failure(c.query, "SELECT mw FROM plant WHERE host = $host")
said["quiet"] = [r.error if hasattr(r, "error") else None for r in [c.query("SELECT foo(mw) FROM plant", raise_errors=False)]]
said["nowhere"] = failure(c.query, "SELECT mw FROM plant", database="nowhere")
said["measurements"] = c.get_list_measurements()
said["databases"] = [d for d in c.get_list_database() if d["name"] == "py"]
said["series"] = [c.get_list_series(), c.get_list_series(measurement="plant"), c.get_list_series(tags={"region": "S"}), c.get_list_series(measurement="plant", tags={"host": "c"})]
c.create_retention_policy("week", "7d", 1, default=True, shard_duration="1d")
c.create_retention_policy("month", "30d", 1)
c.alter_retention_policy("week", duration="14d", default=False, shard_duration="2d")
c.alter_retention_policy("month", default=True)
said["policies"] = c.get_list_retention_policies()
c.drop_retention_policy("week")
c.drop_retention_policy("month")
c.alter_retention_policy("autogen", default=True)
said["policies at last"] = c.get_list_retention_policies("py")
for user in ("py_u", "py_boss"):
    try:
        c.drop_user(user)
    except InfluxDBClientError:
        pass
c.create_user("py_u", "its password")
c.create_user("py_boss", "boss's own", admin=True)
said["users"] = [u for u in c.get_list_users() if u["user"].startswith("py_")]
c.grant_privilege("read", "py", "py_u")
said["privileges"] = c.get_list_privileges("py_u")
c.grant_privilege("all", "py", "py_u")
said["more privileges"] = c.get_list_privileges("py_u")
c.revoke_privilege("all", "py", "py_u")
c.grant_admin_privileges("py_u")
c.revoke_admin_privileges("py_u")
# influxd goes on naming the database, with "NO PRIVILEGES".
said["fewer privileges"] = [[p for p in c.get_list_privileges("py_u") if p["privilege"] != "NO PRIVILEGES"], [u for u in c.get_list_users() if u["user"] == "py_u"]]
c.set_user_password("py_u", "another password")
c.drop_user("py_u")
c.drop_user("py_boss")
c.create_continuous_query("cq", 'SELECT mean("mw") INTO "hourly" FROM "plant" GROUP BY time(1h)', "py", 'EVERY 10m FOR 2h')
said["continuous"] = [q for q in c.get_list_continuous_queries() if "py" in q]
c.drop_continuous_query("cq", "py")
c.delete_series(measurement="plant", tags={"host": "d"})
said["after delete_series"] = c.get_list_series(measurement="plant")
c.drop_measurement("event")
said["after drop_measurement"] = c.get_list_measurements()
print(json.dumps(said))
"""

DATA_FRAMES = r"""
import json, os, sys, warnings
warnings.simplefilter("ignore")
sys.path.append("/usr/lib/python3/dist-packages")
import pandas
from influxdb import DataFrameClient
c = DataFrameClient("127.0.0.1", int(os.environ["PORT"]), "any", os.environ["TOKEN"], "frames")
frame = pandas.DataFrame({"v": [1.5, 2.0, -3.25], "i": [1, 2, 3], "s": ["x", "y z", "ü"]},
                         index=pandas.to_datetime(["2024-01-01T00:00:00.5Z", "2024-01-01T00:00:01.5Z", "2024-01-02T00:00:00.5Z"], format="ISO8601").as_unit("ns"))
c.write_points(frame, "written", tags={"from": "pandas"}, protocol="line")
def shown(result):
    return {str(k): [str(v.index.tz), [str(t) for t in v.index], {n: [str(x) for x in v[n]] for n in v.columns}] for k, v in result.items()}
said = {"all": shown(c.query('SELECT * FROM "written"')), "grouped": shown(c.query("SELECT mean(mw), max(n) FROM plant GROUP BY host")),
        "windows": shown(c.query("SELECT mean(mw) FROM plant WHERE time >= 1700000000s AND time < 1700000120s GROUP BY time(30s), region fill(0)")),
        "none": len(c.query("SELECT x FROM nothing")), "chunked": shown(c.query("SELECT mw FROM plant WHERE host = 'c'", chunked=True, chunk_size=100)),
        "same": c.query('SELECT v FROM "written"')["written"]["v"].tolist() == frame["v"].tolist()}
print(json.dumps(said))
"""


class Python(Both):
    def ask(self, kind):
        fill("py")
        return self.both(lambda port, token: self.said(["/usr/bin/python3", "-"], port, token, stdin=PYTHON_V1, ACCEPT=kind))

    def test_debians_client_in_both_formats(self):
        said, packed = self.ask("application/json"), self.ask("application/x-msgpack")
        self.assertEqual({k: v for k, v in said.items() if k not in self.FORMAT}, {k: v for k, v in packed.items() if k not in self.FORMAT})
        self.assertEqual(said["rows"], [["plant", None, [{"time": "2023-11-14T22:13:20Z", "mw": 0.5, "n": 0},
                                                         {"time": "2023-11-14T22:13:30Z", "mw": 2.5, "n": 2}]]])
        self.assertEqual(said["groups"][0], ["plant", {"host": "a b", "region": "NE"}, [{"time": "1970-01-01T00:00:00Z", "mean": 6.0}]])
        self.assertEqual(said["bound"], [["plant", None, [{"time": "2023-11-14T22:14:00Z", "mw": 4.5}]]])
        self.assertEqual(said["epoch ms"][0][2][0]["time"], T0 * 1000)
        self.assertEqual(sum(len(rows) for r in said["chunked"] for _, _, rows in r), 12)
        self.assertEqual(said["post"], [["result", None, [{"time": "1970-01-01T00:00:00Z", "written": 2}]]])
        self.assertEqual(said["failed"][1], "undefined function foo()")
        self.assertEqual([p["name"] for p in said["policies"]], ["autogen", "week", "month"])
        self.assertEqual(said["after delete_series"], [r"plant,host=a\ b,region=NE", "plant,host=c,region=S"])

    # Failures of a whole request come as the body, in its format.
    FORMAT = ("quiet", "chunked", "no text", "unbound", "nowhere")

    def test_data_frames(self):
        fill("frames")
        said = self.both(lambda port, token: self.said([sys.executable, "-"], port, token, stdin=DATA_FRAMES))
        self.assertTrue(said["same"])
        self.assertEqual(said["all"]["written"][0], "UTC")
        self.assertEqual(said["all"]["written"][1][1:], ["2024-01-01 00:00:01.500000+00:00", "2024-01-02 00:00:00.500000+00:00"])
        self.assertEqual(said["none"], 0)
        self.assertEqual(said["windows"]["('plant', (('region', 'S'),))"][2]["mean"][1], "5.5")


NODE_V1 = r"""
const {InfluxDB, FieldType, toNanoDate, Precision, escape} = require('influx')
async function main() {
  const said = {}
  const db = new InfluxDB({host: '127.0.0.1', port: +process.env.PORT, username: 'any', password: process.env.TOKEN, database: 'node'})
  said.databases = (await db.getDatabaseNames()).filter(n => n === 'node')
  said.measurements = await db.getMeasurements()
  const rows = await db.query(`select * from plant where host = ${escape.stringLit('c')} limit 2`)
  said.rows = rows.map(r => ({...r, time: r.time.toNanoISOString()}))
  const grouped = await db.query('select mean(mw) as avg from plant group by host, region')
  said.groups = grouped.groups().map(g => [g.tags, g.name, g.rows.map(r => r.avg)])
  said.group = grouped.group({host: 'c', region: 'S'}).map(r => r.avg)
  said.several = (await db.query(['select count(mw) from plant', 'select last(title) from event'])).map(r => r.map(x => [x.count, x.last]))
  said.placeholders = (await db.query('select mw from plant where host = $host and n > $n', {placeholders: {host: 'a b', n: 9}})).map(r => r.mw)
  said.precision = (await db.query('select mw from plant limit 1', {precision: Precision.Seconds})).map(r => r.time.getTime())
  said.raw = await db.queryRaw('select n from plant where host = \'d\' limit 1', {precision: 'ms'})
  said.policy = (await db.query('select count(mw) from plant', {retentionPolicy: 'autogen'})).map(r => r.count)
  await db.query('select mw into copied from plant where time > ' + toNanoDate('1700000050000000000').toNanoISOString().replace(/^/, "'").replace(/$/, "'"))
  said.copied = (await db.query('select count(mw) from copied')).map(r => r.count)
  await db.dropSeries({measurement: m => m.name('plant'), where: e => e.tag('host').equals.value('d')})
  said.series = await db.getSeries({measurement: 'plant', database: 'node'})
  said.policies = await db.showRetentionPolicies('node')
  await db.createContinuousQuery('cq', 'SELECT MEAN(mw) INTO hourly FROM plant GROUP BY time(1h)')
  said.continuous = (await db.showContinousQueries()).length
  await db.dropContinuousQuery('cq')
  try { await db.query('select foo(mw) from plant') } catch (e) { said.failure = e.message }
  try { await db.query('select frm') } catch (e) { said.text = e.message }
  console.log(JSON.stringify(said))
}
main().catch(e => { console.error(e); process.exit(1) })
"""


class Node(Both):
    def test_influx(self):
        fill("node")
        said = self.both(lambda port, token: self.said(["node", "-e", NODE_V1], port, token, NODE_PATH=NODE_PACKAGES))
        self.assertEqual(said["measurements"], ["event", "plant"])
        self.assertEqual(said["rows"][1], {"time": "2023-11-14T22:13:30.000000000Z", "host": "c", "mw": 2.5, "n": 2, "region": "S"})
        self.assertEqual(said["groups"][1], [{"host": "c", "region": "S"}, "plant", [11.5]])
        self.assertEqual(said["several"], [[[36, None]], [[None, "geração"]]])
        self.assertEqual(said["placeholders"], [10.5, 11.5])
        self.assertEqual(said["raw"]["results"][0]["series"][0]["values"], [[T0 * 1000, 0]])
        self.assertEqual(said["copied"], [6])
        self.assertEqual(said["series"], [r"plant,host=a\ b,region=NE", "plant,host=c,region=S"])
        self.assertEqual(said["failure"], "Error from InfluxDB: undefined function foo()")


class Grafana(Both):
    """What the InfluxQL data source sends: GET or POST, `db`, `epoch=ms`, Basic or Token, `User-Agent: Grafana/...`."""

    def setUp(self):
        super().setUp()
        fill("grafana")

    def ask(self, q, method="GET", auth="Basic", **params):
        params = {"db": "grafana", "epoch": "ms", **params}

        def send(port, token):
            word = "Token " + token if auth == "Token" else "Basic " + base64.b64encode(b"grafana:" + token.encode()).decode()
            headers = {"User-Agent": "Grafana/10.4.2", "Accept": "application/json", "Accept-Encoding": "identity", "Authorization": word}
            body, query = None, dict(params)
            if method == "GET":
                query["q"] = q
            else:
                body = urllib.parse.urlencode({"q": q}).encode()
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            url = f"http://127.0.0.1:{port}/query?" + urllib.parse.urlencode(query)
            try:
                with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=60) as r:
                    return r.status, r.headers["Content-Type"], json.load(r)
            except urllib.error.HTTPError as e:
                return e.code, e.headers["Content-Type"], json.load(e)
        status, kind, answer = self.both(send)
        self.assertEqual((status, kind), (200 if "results" in answer else 400, "application/json"))
        return answer

    def results(self, q, **kw):
        """Of each statement: [tags, columns, values] of each series."""
        return [[[s.get("tags", {}), s["columns"], s["values"]] for s in r.get("series", [])] for r in self.ask(q, **kw)["results"]]

    def values(self, q, **kw):
        (series,), = self.results(q, **kw)
        return series[2]

    def test_health(self):
        self.assertEqual(self.values('SHOW RETENTION POLICIES on "grafana"'), [["autogen", "0s", "168h0m0s", 1, True]])
        self.assertEqual(self.values("SHOW MEASUREMENTS LIMIT 1"), [["event"]])
        self.assertEqual(self.values("SHOW measurements", auth="Token"), [["event"], ["plant"]])
        status, body, _ = ours.request("GET", "/query?epoch=ms&q=SHOW+DATABASES")
        self.assertEqual(status, 200)
        self.assertIn(["grafana"], json.loads(body)["results"][0]["series"][0]["values"])
        self.assertIn("error parsing query", self.ask("SHOW")["error"])

    def test_a_wrong_token_is_refused(self):
        for word in ("Token nonsense", "Basic " + base64.b64encode(b"grafana:nonsense").decode(), "Bearer nonsense"):
            status, body, _ = ours.request("GET", "/query?db=grafana&epoch=ms&q=SHOW+MEASUREMENTS", headers={"Authorization": word})
            self.assertEqual(status, 401)
            self.assertIn("error", json.loads(body))

    def test_template_variables(self):
        self.assertEqual(self.values('SHOW TAG VALUES FROM "plant" WITH KEY = "host"'), [["host", "a b"], ["host", "c"], ["host", "d"]])
        self.assertEqual(self.values('SHOW TAG VALUES FROM "plant" WITH KEY = "host" WHERE "region" =~ /^(S|N)$/'), [["host", "c"], ["host", "d"]])
        self.assertEqual(self.values('SHOW TAG VALUES WITH KEY IN ("kind", "region") WHERE "kind" = \'trip\''), [["kind", "trip"]])
        self.assertEqual(self.values('SHOW TAG KEYS FROM "plant"'), [["host"], ["region"]])
        self.assertEqual(self.values('SHOW FIELD KEYS FROM "plant"'), [["mw", "float"], ["n", "integer"]])
        self.assertEqual(self.values("SHOW MEASUREMENTS WITH MEASUREMENT =~ /(?i)PL/ LIMIT 100"), [["plant"]])
        self.assertEqual(self.values('SHOW TAG VALUES FROM "autogen"."plant" WITH KEY = "region"'), [["region", "NE"], ["region", "S"]])

    FILTER = "time >= 1700000000000ms and time <= 1700000110000ms"

    def test_panels(self):
        series, = self.results(f'SELECT mean("mw") FROM "plant" WHERE {self.FILTER} GROUP BY time(30s), "host"::tag fill(null)')
        first = T0 * 1000 // 30000 * 30000
        self.assertEqual([s[0] for s in series], [{"host": "a b"}, {"host": "c"}, {"host": "d"}])
        self.assertEqual(series[1][1:], [["time", "mean"], [[first, 0.5], [first + 30000, 4.5], [first + 60000, 10.5], [first + 90000, 16.5],
                                                            [first + 120000, 21.5]]])
        self.assertEqual(self.values(f'SELECT max("n") FROM "plant" WHERE ("host"::tag =~ /^(c|d)$/ AND "region"::tag = \'S\') AND {self.FILTER} '
                                     'GROUP BY time(1m) fill(null)'), [[T0 * 1000 // 60000 * 60000, 9], [T0 * 1000 // 60000 * 60000 + 60000, 27],
                                                                       [T0 * 1000 // 60000 * 60000 + 120000, 33]])
        self.assertEqual(self.values(f'SELECT "mw" * 1000 FROM "autogen"."plant" WHERE ("host" = \'c\') AND {self.FILTER} LIMIT 2'),
                         [[T0 * 1000, 500], [T0 * 1000 + 10000, 2500]])
        self.assertEqual(self.values(f'SELECT last("mw") FROM "plant" WHERE {self.FILTER}'), [[T0 * 1000 + 110000, 33.5]])
        self.assertEqual(len(self.values(f'SELECT non_negative_derivative(mean("mw"), 1s) FROM "plant" WHERE {self.FILTER} GROUP BY time(10s) '
                                         'fill(previous)')), 11)
        self.assertEqual(self.results(f'SELECT mean("x") FROM "plant" WHERE {self.FILTER} GROUP BY time(30s) fill(null)'), [[]])

    def test_several_panels_in_one_request(self):
        two = self.results(f'SELECT count("mw") FROM "plant" WHERE {self.FILTER};SELECT "title" FROM "event" WHERE {self.FILTER};\n'
                           'SHOW TAG KEYS FROM "event"')
        self.assertEqual([r[0][2] for r in two], [[[T0 * 1000, 36]], [[T0 * 1000 + 30000, "line, 500 kV"], [T0 * 1000 + 60000, "geração"]],
                                                  [["kind"]]])
        # influxd loses the words of the one that failed when others follow; we keep them.
        q = f'SELECT count("mw") FROM "plant" WHERE {self.FILTER}; SELECT foo("mw") FROM "plant"; SHOW MEASUREMENTS'
        status, body, _ = ours.request("GET", "/query?db=grafana&epoch=ms&q=" + urllib.parse.quote(q))
        self.assertEqual((status, [r.get("error") for r in json.loads(body)["results"]]),
                         (200, [None, "undefined function foo()", "not executed"]))

    def test_annotations(self):
        q = f'SELECT "title", "text", "ok", "kind" FROM "event" WHERE {self.FILTER} ORDER BY time DESC LIMIT 1000'
        self.assertEqual(self.values(q), [[T0 * 1000 + 60000, "geração", "", False, "close"],
                                          [T0 * 1000 + 30000, "line, 500 kV", 'says "open"', True, "trip"]])

    def test_by_post(self):
        q = f'SELECT mean("mw") FROM "plant" WHERE {self.FILTER} GROUP BY "region"'
        for auth in ("Basic", "Token"):
            self.assertEqual(self.results(q, method="POST", auth=auth), self.results(q))
        self.assertEqual([s[2][0][1] for s in self.results(q)[0]], [6, 14.25])


class Arrow(lib.Case):
    def test_pyarrow_reads_what_query_prints(self):
        import pyarrow
        fill("arrow")
        for url, token in ((ours.url, ours.token), (peer.url, "x")):
            p = subprocess.run([lib.RELEASE, "query", "SELECT mw, n FROM plant GROUP BY host", "--from", url, "--token", token, "--bucket",
                                "arrow", "--format", "arrow"], capture_output=True, env=lib.environment(), timeout=60)
            self.assertEqual(p.returncode, 0, p.stderr)
            table = pyarrow.ipc.open_stream(io.BytesIO(p.stdout)).read_all()
            table.validate(full=True)
            self.assertEqual([str(f.type) for f in table.schema][:2], 2 * ["dictionary<values=string, indices=int32, ordered=0>"])
            self.assertEqual(re.sub("dictionary<.*?>", "string", str(table.schema)).splitlines()[:5],
                             ["name: string", "host: string", "time: timestamp[ns, tz=UTC]", "mw: double", "n: int64"])
            self.assertEqual(table.num_rows, 36)
            self.assertEqual(table.slice(13, 1).to_pylist()[0]["mw"], 2.5)
            self.assertEqual(table.column("host").to_pylist()[13], "c")
            self.assertEqual(table.to_pandas()["host"].astype(str).iloc[13], "c")
            self.assertEqual({v for v in table.column("name").to_pylist()}, {"plant"})
            self.assertEqual(table.column("time").cast(pyarrow.int64()).to_pylist()[13], (T0 + 10) * 10**9)


if __name__ == "__main__":
    unittest.main()

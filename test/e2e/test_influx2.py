"""A real InfluxDB 2.x: what no scripted answer can promise.

Runs where AFLUXO_TEST_INFLUXDB2 (a URL), AFLUXO_TEST_INFLUXDB2_TOKEN and AFLUXO_TEST_INFLUXDB2_ORG are set; elsewhere there are no tests in
here, since a skipped test counts as a failed one. Buckets are made and removed again.
"""
import json
import os
import time
import urllib.parse
import urllib.request

import lib
from lib import DIFFERENT, DONE, FAILED, REJECTED, USAGE, Case

URL = os.environ.get("AFLUXO_TEST_INFLUXDB2")
TOKEN = os.environ.get("AFLUXO_TEST_INFLUXDB2_TOKEN", "")
ORG = os.environ.get("AFLUXO_TEST_INFLUXDB2_ORG", "")


def call(method, path, body=None, **params):
    url = URL.rstrip("/") + path + ("?" + urllib.parse.urlencode(params) if params else "")
    request = urllib.request.Request(url, method=method, data=json.dumps(body).encode() if body is not None else None,
                                     headers={"Authorization": "Token " + TOKEN, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as r:
        data = r.read()
    return json.loads(data) if data else None


class Influx2:
    """Mixed into Case below: what each test has."""

    def setUp(self):
        super().setUp()
        self.bucket = f"afluxo-e2e-{os.getpid()}-{self.id().rsplit('.', 1)[1]}"[:120]
        self.addCleanup(self.remove)

    def remove(self):
        for b in call("GET", "/api/v2/buckets", org=ORG, limit=100)["buckets"]:
            if b["name"] == self.bucket:
                call("DELETE", "/api/v2/buckets/" + b["id"])

    def about(self):
        return call("GET", "/api/v2/buckets", org=ORG, name=self.bucket)["buckets"][0]

    def server(self, **changes):
        options = {"to": URL, "bucket": self.bucket, "org": ORG, "token": TOKEN, **changes}
        return [part for name, value in options.items() if value is not None for part in ("--" + name, value)]

    def target(self, **changes):
        return self.server(**changes) + ["--state", self.path("state")]

    def rows(self, q):
        result = call("GET", "/query", db=self.bucket, epoch="ns", q=q)["results"][0]
        return {tuple(v for _, v in sorted(s.get("tags", {}).items())): s["values"] for s in result.get("series", [])}

    def dead_letters(self, result):
        with open(result.json["dead_letters"], encoding="utf-8") as f:
            return [json.loads(line) for line in f]


class Migrations(Influx2):
    def test_parquet_arrives_and_both_languages_prove_it(self):
        self.afluxo(DONE, "generate", "ons", "--out", self.path("d"), "--to", "2023-02-10", "--plants", "20")
        r = self.afluxo(DONE, "migrate", self.path("d"), *self.target(), "--create", "--verify", "--json")
        self.assertTrue(r.json["verified"]["equal"])
        self.assertEqual(r.json["rows_read"], r.json["points_written"])
        for more in ([], ["--force-flux"]):
            again = self.afluxo(DONE, "verify", self.path("d"), *self.server(), "--json", *more).json
            for key in ("equal", "series", "points", "values", "digest"):
                self.assertEqual(again[key], r.json["verified"][key], (key, more))
        self.assertEqual(self.about()["retentionRules"][0]["shardGroupDurationSeconds"], 52 * 7 * 86400)
        self.assertEqual(self.about()["retentionRules"][0]["everySeconds"], 0)

    def test_a_difference_is_found_in_both_languages(self):
        head = "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n"
        old = self.write("old/CURVA_CARGA_2023.csv", head + "N;NORTE;2023-01-01 00:00:00;5\nS;SUL;2023-01-01 00:00:00;7\n")
        new = self.write("new/CURVA_CARGA_2023.csv", head + "N;NORTE;2023-01-01 00:00:00;5.5\nS;SUL;2023-01-01 00:00:00;7\n")
        self.afluxo(DONE, "migrate", old, *self.target(), "--create")
        for more in ([], ["--force-flux"]):
            r = self.afluxo(DIFFERENT, "verify", new, *self.server(), "--json", *more)
            self.assertEqual((r.json["differing"], r.json["differences"][0]["store"]), (1, "5"))
        self.afluxo(DONE, "migrate", new, *self.target(), "--verify")

    def test_words_survive(self):
        line = ('geração\\ solar,região=Nordeste\\ \\=\\ NE,usina=São\\ João potência=1.5,descrição="Restrição; \\"transmissão\\" 500 kV",'
                'válido=true,n=-9223372036854775808i 1\n')
        path = self.write("x.lp", line)
        self.afluxo(DONE, "migrate", path, *self.target(), "--create", "--verify")
        self.afluxo(DONE, "verify", path, *self.server(), "--force-flux")
        flux = f'from(bucket: "{self.bucket}") |> range(start: time(v: 0), stop: time(v: 10))'
        out = self.afluxo(DONE, "query", flux, "--lang", "flux", "--from", URL, *self.server(to=None)).out
        self.assertIn("São João", out)
        out = self.afluxo(DONE, "query", 'SELECT "potência" FROM "geração solar"', "--from", URL, *self.server(to=None)).out
        self.assertIn("1.5", out)

    def test_many_first_writes_at_once_lose_nothing(self):
        week = 7 * 86400
        for lane in range(8):
            self.write(f"lp/{lane}.lp", "".join(f"m,s={lane} v={i} {(1000000000 + i // 10 * week + i) * 10**9}\n" for i in range(500)))
        r = self.afluxo(DONE, "migrate", self.path("lp"), *self.target(), "--create", "--shard-duration", "1w", "--lanes", "4",
                        "--batch-lines", "100", "--verify", "--json")
        self.assertEqual(r.json["verified"]["points"], 4000)
        self.assertEqual(self.about()["retentionRules"][0]["shardGroupDurationSeconds"], week)


class Refusals(Influx2):
    def test_a_bad_token(self):
        path = self.write("x.lp", "m v=1 1\n")
        for token in ("wrong", None):
            r = self.afluxo(FAILED, "write", path, *self.target(token=token))
            self.assertIn("unauthorized", r.err)
            self.assertIn("--token-file", r.err)

    def test_names_that_are_not_there(self):
        path = self.write("x.lp", "m v=1 1\n")
        r = self.afluxo(FAILED, "write", path, *self.target())
        self.assertIn(self.bucket, r.err)
        self.assertIn("--create", r.err)
        for more in ([], ["--create"]):
            r = self.afluxo(FAILED, "write", path, *self.target(org="nobody"), *more)
            self.assertIn("check --org", r.err)
        self.assertIn("--org", self.expect(lib.run("write", path, *self.target(org=None)), FAILED).err)

    def test_types_that_clash_become_dead_letters(self):
        self.afluxo(DONE, "write", self.write("a.lp", "m v=1 1\n"), *self.target(), "--create")
        lines = [f"m v={i}.5 {i}\n" for i in range(2, 3000)]
        for i in (10, 1500, 2990):
            lines[i] = f"m v={i}i {i + 2}\n"
        path = self.write("b.lp", "".join(lines))
        r = self.afluxo(REJECTED, "migrate", path, *self.target(), "--json", "--verify")
        self.assertEqual((r.json["rows_rejected"], r.json["points_written"]), (3, 2995))
        self.assertEqual(sorted(e["row"] for e in self.dead_letters(r)), [10, 1500, 2990])
        self.assertTrue(all("field type conflict" in e["reason"] for e in self.dead_letters(r)))
        self.assertEqual(self.rows("SELECT count(v) FROM m")[()][0][1], 2996)

    def test_lines_that_only_the_server_refuses(self):
        path = self.write("a.lp", "m v=1 1\nm,_field=x v=2 2\nm v=3 3\n")
        r = self.afluxo(REJECTED, "migrate", path, *self.target(), "--create", "--json", "--verify")
        self.assertEqual(r.json["rows_rejected"], 1)
        self.assertEqual(self.rows("SELECT count(v) FROM m")[()][0][1], 2)

    def test_what_is_older_than_the_bucket_keeps(self):
        org = call("GET", "/api/v2/orgs", org=ORG)["orgs"][0]["id"]
        call("POST", "/api/v2/buckets", {"orgID": org, "name": self.bucket, "retentionRules": [{"type": "expire", "everySeconds": 86400}]})
        now = time.time_ns()
        r = self.afluxo(REJECTED, "migrate", self.write("a.lp", f"m v=1 1000\nm v=2 {now}\n"), *self.target(), "--json", "--verify")
        self.assertEqual(r.json["rows_rejected"], 1)
        self.assertIn("retention policy", self.dead_letters(r)[0]["reason"])
        self.assertEqual(self.rows("SELECT v FROM m")[()], [[now, 2]])

    def test_queries_that_fail(self):
        self.afluxo(DONE, "write", self.write("a.lp", "m v=1 1\n"), *self.target(), "--create")
        for text, lang, part in (("SELEC 1", "influxql", "SELEC"), ("from(bukket: 1)", "flux", "bukket")):
            self.assertIn(part, self.afluxo(FAILED, "query", text, "--lang", lang, "--from", URL, *self.server(to=None)).err)
        self.afluxo(USAGE, "query", "x", "--lang", "sql", "--from", URL)


if URL:
    class RealMigrations(Migrations, Case):
        pass

    class RealRefusals(Refusals, Case):
        pass

"""migrate, verify and write against a real influxd: the main job, its exit statuses and its reports."""
import json
import os
import signal
import time

import lib
from lib import DIFFERENT, DONE, FAILED, INTERRUPTED, REJECTED, Case


def setUpModule():
    global server
    server = lib.Influxd()


def tearDownModule():
    server.close()


class Migrate(Case):
    def setUp(self):
        super().setUp()
        self.db = "db_" + self.id().rsplit(".", 1)[1]

    def target(self):
        return ["--to", server.url, "--bucket", self.db, "--create", "--state", self.path("state")]

    def generate(self, *args):
        out = self.path("data")
        return out, self.afluxo(DONE, "generate", "ons", "--out", out, "--json", "--quiet", *args).json

    def test_parquet_arrives_and_is_verified(self):
        out, made = self.generate("--to", "2023-02-15", "--plants", "30")
        r = self.afluxo(DONE, "migrate", out, *self.target(), "--verify", "--json", "--report", self.path("report.json"))
        result = r.json
        self.assertEqual(result["rows_read"], made["rows"])
        self.assertEqual(result["points_written"], made["rows"])
        self.assertEqual(result["rows_rejected"], 0)
        self.assertIsNone(result["dead_letters"])
        self.assertTrue(result["verified"]["equal"])
        self.assertEqual(result["verified"]["points"], made["rows"])
        with open(self.path("report.json")) as f:
            self.assertEqual(json.load(f)["verified"]["digest"], result["verified"]["digest"])
        total = sum(server.count(m, "unit", self.db) for m in ("generation_data", "consumption_data", "transmission_data"))
        self.assertEqual(total, made["rows"])
        # verify by itself says the same; a second migration changes nothing
        again = self.afluxo(DONE, "verify", out, "--to", server.url, "--bucket", self.db, "--json").json
        self.assertEqual(again["digest"], result["verified"]["digest"])
        self.afluxo(DONE, "migrate", out, *self.target(), "--verify", "--workers", "4", "--lanes", "3")

    def test_a_difference_is_found_and_named(self):
        out, made = self.generate("--to", "2023-01-05", "--plants", "5")
        self.afluxo(DONE, "migrate", out, *self.target())
        series = server.query('SELECT power_mw FROM generation_data GROUP BY * LIMIT 1', self.db)["results"][0]["series"][0]
        tags = ",".join(f"{k}={v}".replace(" ", "\\ ") for k, v in sorted(series["tags"].items()) if v)
        when = series["values"][0][0]
        line = self.write("one.lp", f"generation_data,{tags} power_mw=123456.5 {when}\n")
        self.afluxo(DONE, "write", line, *self.target())
        r = self.afluxo(DIFFERENT, "verify", out, "--to", server.url, "--bucket", self.db, "--json")
        self.assertEqual(r.json["differing"], 1)
        self.assertEqual(r.json["differences"][0]["store"], "123456.5")
        self.assertIn("123456.5", r.err)

    def test_bad_rows_become_dead_letters(self):
        out, made = self.generate("--to", "2023-01-20", "--plants", "10", "--bad-rows-every", "50")
        r = self.afluxo(REJECTED, "migrate", out, *self.target(), "--verify", "--json", "--dead-letters", self.path("dead"))
        self.assertGreater(made["bad_rows"], 10)
        self.assertTrue(r.json["verified"]["equal"])
        entries = [json.loads(line) for line in open(r.json["dead_letters"])]
        self.assertEqual(len(entries), r.json["rows_rejected"])
        self.assertEqual(r.json["rows_rejected"] + r.json["rows_empty"], made["bad_rows"])
        self.assertEqual(r.json["points_written"], made["rows"] - made["bad_rows"])
        for e in entries:
            self.assertTrue(os.path.exists(e["file"]), e)
            self.assertIsInstance(e["row"], int)
            self.assertTrue(e["reason"])
        self.assertEqual(len({(e["file"], e["row"]) for e in entries}), len(entries))

    def test_server_refused_lines_are_found_by_splitting(self):
        lines = [f"m,s={i % 10} v={i} {i}\n" for i in range(5000)]
        self.write("first.lp", "m,s=1 w=1i 100000\n")
        self.afluxo(DONE, "write", self.path("first.lp"), *self.target())
        for i in (17, 2500, 4999):
            lines[i] = f"m,s={i % 10} v={i},w=1.5 {i}\n"  # w is an integer there
        path = self.write("many.lp", "".join(lines))
        r = self.afluxo(REJECTED, "migrate", path, *self.target(), "--json", "--verify")
        self.assertEqual(r.json["rows_rejected"], 3)
        self.assertTrue(r.json["verified"]["equal"], r)
        self.assertEqual(server.count("m", "v", self.db), 4997)
        rows = [json.loads(line) for line in open(r.json["dead_letters"])]
        self.assertEqual(sorted(e["row"] for e in rows), [17, 2500, 4999])
        self.assertTrue(all("type" in e["reason"] for e in rows), rows)

    def test_one_bad_file_among_many(self):
        out, made = self.generate("--to", "2023-03-01", "--plants", "3")
        bad = os.path.join(out, "dataset=generation", "year=2023", "month=02")
        name = os.path.join(bad, os.listdir(bad)[0])
        data = open(name, "rb").read()
        open(name, "wb").write(data[: len(data) // 2])
        r = self.afluxo(REJECTED, "migrate", out, *self.target(), "--json")
        self.assertIn(name, r.err)
        self.assertEqual(r.json["files_bad"], 1)
        self.assertGreater(r.json["points_written"], 0)
        self.assertEqual(r.json["rows_read"], r.json["points_written"])
        self.expect(lib.run("migrate", out, *self.target(), "--strict"), FAILED)

    def test_dry_run_writes_nothing(self):
        out, made = self.generate("--to", "2023-01-03", "--plants", "3")
        r = self.afluxo(DONE, "migrate", out, "--dry-run", "--json")
        self.assertEqual(r.json["points_written"], made["rows"])
        self.assertNotIn(self.db, json.dumps(server.query("SHOW DATABASES")))

    def test_unknown_database_says_what_to_do(self):
        path = self.write("x.lp", "m v=1 1\n")
        r = self.afluxo(FAILED, "write", path, "--to", server.url, "--bucket", "nobody_made_it", "--state", self.path("s"))
        self.assertIn("nobody_made_it", r.err)
        self.assertIn("--create", r.err)

    def test_write_from_standard_input_with_precision(self):
        r = self.afluxo(DONE, "write", "-", *self.target(), "--precision", "s", "--json", stdin=b"m v=1 1700000000\nm v=2 1700000001\n")
        self.assertEqual(r.json["points_written"], 2)
        self.assertEqual(server.values("SELECT v FROM m", self.db), [[1700000000000000000, 1], [1700000001000000000, 2]])

    def test_every_type_and_odd_text_survives(self):
        path = self.write("odd.lp", 'm\\ x,t\\,a\\=g=v\\ \\,\\=é f=1.7976931348623157e308,g=-0,h=5e-324,i=-9223372036854775808i,'
                                    'b=true,s="a\\"b\\\\c,d=e\nnew líne 😀" -9223372036854775806\n')
        self.afluxo(DONE, "migrate", path, *self.target(), "--verify")

    def test_ctrl_c_is_resumable(self):
        out, made = self.generate("--to", "2023-06-01", "--plants", "60")
        p = lib.start("migrate", out, *self.target(), "--rate", "50000")
        time.sleep(1.5)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, INTERRUPTED, err.decode())
        self.assertIn(b"--resume", err)
        r = self.afluxo(DONE, "migrate", out, *self.target(), "--resume", "--verify", "--json")
        self.assertTrue(r.json["resumed"])
        self.assertTrue(r.json["verified"]["equal"])

    def test_rate_limit_holds(self):
        path = self.write("rate.lp", "".join(f"m v={i} {i}\n" for i in range(30000)))
        began = time.monotonic()
        self.afluxo(DONE, "migrate", path, *self.target(), "--rate", "10000")
        self.assertGreater(time.monotonic() - began, 1.5)

"""migrate --retry-dead-letters against a real influxd: refused lines and rejected rows, once more."""
import glob
import json
import os

import lib
from lib import DONE, FAILED, INTERRUPTED, REJECTED, USAGE, Case

CSV = "when;plant;value\n2024-01-01 00:00:00;p1;1,5\n2024-01-01 01:00:00;p1;abc\nnever;p2;2,5\n2024-01-01 02:00:00;p1;1,5;9\n"
MAPPING = """measurement: c
time: {column: when, zone: America/Sao_Paulo}
tags:
  plant: plant
fields:
  value: {column: value, decimal: comma}
"""


def setUpModule():
    global server
    server = lib.Influxd()


def tearDownModule():
    server.close()


class Retry(Case):
    def setUp(self):
        super().setUp()
        self.db = "db_" + self.id().rsplit(".", 1)[1]

    def target(self):
        return ["--to", server.url, "--bucket", self.db, "--create", "--state", self.path("state")]

    def letters(self, pattern="*.jsonl"):
        found = []
        for path in sorted(glob.glob(self.path("state", "dead-letters", pattern))):
            with open(path) as f:
                found += [json.loads(line) for line in f]
        return found

    def test_lines_the_server_refused_are_accepted_later(self):
        self.write("first.lp", "m,s=1 w=1i 100000\n")
        self.afluxo(DONE, "write", self.path("first.lp"), *self.target())
        lines = [f"m,s={i % 10} v={i}{',w=1.5' if i in (17, 2500, 4999) else ''} {i}\n" for i in range(5000)]
        path = self.write("many.lp", "".join(lines))
        self.afluxo(REJECTED, "migrate", path, *self.target())
        # the server still refuses: the letters move to the new run's file, with where they came from
        before = self.letters()
        r = self.afluxo(REJECTED, "migrate", "--retry-dead-letters", *self.target(), "--json")
        self.assertEqual((r.json["rows_read"], r.json["points_written"], r.json["rows_rejected"]), (3, 0, 3))
        after = self.letters()
        keys = ("file", "row_group", "row", "line")
        self.assertEqual([[e[k] for k in keys] for e in after], [[e[k] for k in keys] for e in before])
        self.assertEqual(len(self.letters("*.retried")), 3)
        # the reason is gone: they are accepted, and the sources are at the server
        server.query("DROP MEASUREMENT m", self.db)
        self.afluxo(DONE, "migrate", "--retry-dead-letters", *self.target())
        self.assertEqual(server.count("m", "w", self.db), 3)
        self.assertEqual(self.letters(), [])
        self.assertEqual(len(self.letters("*.retried")), 6)
        self.afluxo(DONE, "migrate", path, *self.target(), "--verify")
        self.afluxo(DONE, "migrate", "--retry-dead-letters", *self.target())  # nothing is left

    def test_rejected_rows_go_through_a_better_mapping(self):
        path = self.write("r.csv", CSV)
        mapping = self.write("r.yaml", MAPPING)
        self.afluxo(REJECTED, "migrate", path, "--mapping", mapping, *self.target())
        self.assertEqual(len(self.letters()), 3)
        better = self.write("better.yaml", MAPPING.replace("decimal: comma", "decimal: comma, omit: [abc]") +
                            "  note: {column: value, type: string}\n")
        os.remove(path)  # the row is in the letter, the file is not needed
        r = self.afluxo(REJECTED, "migrate", "--retry-dead-letters", "--mapping", better, *self.target(), "--json")
        self.assertEqual((r.json["rows_read"], r.json["points_written"], r.json["rows_rejected"]), (3, 1, 2))
        self.assertEqual(server.values("SELECT note FROM c", self.db), [[1704081600000000000, "abc"]])  # 01:00 in São Paulo
        left = {e["row"]: e for e in self.letters()}
        self.assertEqual(sorted(left), [2, 3])
        self.assertIn("never", left[2]["reason"])
        self.assertEqual(left[2]["row_data"], {"when": "never", "plant": "p2", "value": "2,5"})
        self.assertEqual(left[3]["raw"], "2024-01-01 02:00:00;p1;1,5;9")
        # somebody mends the row with an editor
        name, = glob.glob(self.path("state", "dead-letters", "*.jsonl"))
        with open(name) as f:
            text = f.read().replace('"never"', '"2024-01-01 03:00:00"')
        with open(name, "w") as f:
            f.write(text)
        self.afluxo(REJECTED, "migrate", "--retry-dead-letters", name, "--mapping", better, *self.target())
        self.assertEqual(server.values("SELECT value FROM c WHERE plant = 'p2'", self.db), [[1704088800000000000, 2.5]])

    def test_rows_without_a_mapping_stay(self):
        path = self.write("r.csv", CSV)
        mapping = self.write("r.yaml", MAPPING)
        self.afluxo(REJECTED, "migrate", path, "--mapping", mapping, *self.target())
        self.afluxo(REJECTED, "migrate", "--retry-dead-letters", *self.target())
        reasons = [e["reason"] for e in self.letters() if "row_data" in e]
        self.assertEqual(len(reasons), 2)
        self.assertTrue(all("--mapping" in r or "mapping" in r for r in reasons), reasons)

    def test_parquet_rows_are_found_by_their_path_and_types(self):
        out = self.path("data")
        made = self.afluxo(DONE, "generate", "ons", "--out", out, "--json", "--quiet", "--to", "2023-01-20", "--plants", "10",
                           "--bad-rows-every", "50").json
        r = self.afluxo(REJECTED, "migrate", out, *self.target(), "--json")
        rejected = r.json["rows_rejected"]
        self.assertGreater(rejected, 0)
        again = self.afluxo(REJECTED, "migrate", "--retry-dead-letters", *self.target(), "--json").json
        self.assertEqual((again["rows_read"], again["rows_rejected"], again["points_written"]), (rejected, rejected, 0))
        new, old = self.letters(), self.letters("*.retried")
        keys = ("file", "row", "column", "reason", "row_data")  # the same judgement about the same row, damaged text included
        self.assertTrue(any("\ufffd" in json.dumps(e, ensure_ascii=False) for e in old))
        order = lambda e: (e["file"], e["row"])
        self.assertEqual([[e.get(k) for k in keys] for e in sorted(new, key=order)],
                         [[e.get(k) for k in keys] for e in sorted(old, key=order)])

    def test_server_that_is_down_leaves_the_files(self):
        self.write("first.lp", "m,s=1 w=1i 1\n")
        self.write("second.lp", "m,s=1 w=1.5 2\n")
        self.afluxo(DONE, "write", self.path("first.lp"), *self.target())
        self.afluxo(REJECTED, "write", self.path("second.lp"), *self.target())
        before = self.letters()
        bad = ["--to", f"http://127.0.0.1:{lib.free_port()}", "--bucket", self.db, "--state", self.path("state"), "--patience", "1s"]
        self.assertIn(lib.run("migrate", "--retry-dead-letters", *bad).status, (FAILED, INTERRUPTED))
        self.assertEqual(self.letters(), before)

    def test_a_broken_file_is_named_and_left(self):
        path = self.write("mine.jsonl", '{"file":"a.lp","row":1,"line":"m v=1 1"}\n{"file": oops}\n')
        r = self.afluxo(FAILED, "migrate", "--retry-dead-letters", path, *self.target())
        self.assertIn("mine.jsonl", r.err)
        self.assertIn("line 2", r.err)
        self.assertTrue(os.path.exists(path))

    def test_options_that_make_no_sense_together(self):
        r = self.afluxo(USAGE, "migrate", "--retry-dead-letters", *self.target(), "--verify")
        self.assertIn("--verify", r.err)

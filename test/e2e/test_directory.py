"""migrate into a directory of ours: what arrives, what is refused and named, what is left after kills, how much memory it takes.

Everything is read back through the store by `verify` and by `export`, which know nothing of how it came in."""
import glob
import json
import os
import random
import re
import signal
import subprocess
import time
import unittest

import lib
from lib import DIFFERENT, DONE, FAILED, INTERRUPTED, REJECTED, Case

KILLS = int(os.environ.get("AFLUXO_TEST_DIRECTORY_KILLS", "12"))


class Directory(Case):
    def setUp(self):
        super().setUp()
        self.data = self.path("db")

    def target(self):
        return ["--to", self.data, "--bucket", "b", "--state", self.path("state")]

    def generate(self, *args):
        out = self.path("data")
        return out, self.afluxo(DONE, "generate", "ons", "--out", out, "--json", "--quiet", *args, binary=lib.RELEASE).json

    def migrate(self, *sources, status=DONE, options=(), **kw):
        r = self.afluxo(status, "migrate", *sources, *self.target(), "--verify", "--json", *options, **kw)
        self.assertTrue(r.json["verified"]["equal"], r)
        return r.json

    def lines(self):
        return sorted(self.afluxo(DONE, "export", "--from", self.data, "--bucket", "b", "--quiet").out.splitlines())

    def files(self):
        return sorted(glob.glob(self.data + "/engine/data/*/autogen/*/*.tsm"))

    def check_files(self):
        self.afluxo(DONE, "tsm", "verify", self.data, "--quiet")
        shards = {}
        for path in self.files():
            shards.setdefault(os.path.dirname(path), set()).add(os.path.basename(path).split("-")[0])
        for shard, generations in shards.items():
            self.assertEqual(len(generations), 1, shard)

    def test_parquet_arrives_and_is_verified(self):
        out, made = self.generate("--to", "2023-02-15", "--plants", "30")
        r = self.migrate(out)
        self.assertEqual((r["rows_read"], r["points_written"], r["rows_rejected"]), (made["rows"], made["rows"], 0))
        self.assertEqual(r["values_written"], r["verified"]["values"])
        self.assertIsNone(r["dead_letters"])
        self.check_files()
        self.assertEqual(len(self.lines()), made["rows"])
        again = self.afluxo(DONE, "verify", out, "--to", self.data, "--bucket", "b", "--json").json
        self.assertEqual(again["digest"], r["verified"]["digest"])
        self.migrate(out, options=("--workers", "4"))  # twice is harmless
        self.assertEqual(len(self.lines()), made["rows"])

    def test_there_is_no_log_left_and_what_was_there_stays(self):
        first = self.write("first.lp", "".join(f"m,s=a v={i} {i}\n" for i in range(100)))
        second = self.write("second.lp", "".join(f"m,s=b v={i} {i}\n" for i in range(100)))
        with open(first, "rb") as f:
            self.afluxo(DONE, "write", "-", *self.target(), stdin=f.read())  # a pipe: through the log
        self.migrate(second)
        self.assertEqual(len(self.lines()), 200)
        self.check_files()

    def test_small_memory_gives_the_same(self):
        out, made = self.generate("--to", "2023-04-01", "--plants", "100")
        r = self.migrate(out, options=("--memory", "8M"), binary=lib.RELEASE)
        self.assertEqual(r["points_written"], made["rows"])
        self.check_files()

    def test_bad_rows_become_dead_letters(self):
        out, made = self.generate("--to", "2023-01-20", "--plants", "10", "--bad-rows-every", "50")
        r = self.migrate(out, status=REJECTED, options=("--dead-letters", self.path("dead")))
        with open(r["dead_letters"]) as f:
            entries = [json.loads(line) for line in f]
        self.assertEqual(len(entries), r["rows_rejected"])
        self.assertEqual(r["rows_rejected"] + r["rows_empty"], made["bad_rows"])
        self.assertEqual(r["points_written"], made["rows"] - made["bad_rows"])
        for e in entries:
            self.assertTrue(os.path.exists(e["file"]), e)
            self.assertTrue(e["reason"])
        self.assertEqual(len({(e["file"], e["row"]) for e in entries}), len(entries))
        self.expect(lib.run("migrate", out, *self.target(), "--strict"), FAILED)

    def test_type_conflicts_are_named_row_by_row(self):
        lines = [f"m,s={i % 10} v={i} {i}\n" for i in range(50000)]
        lines[3] = "m,s=3 v=3,w=1i 3\n"
        bad = {17: "w=1.5", 2500: "w=true", 49999: "v=1i"}
        for i, field in bad.items():
            lines[i] = f"m,s={i % 10} {field} {i}\n"
        path = self.write("many.lp", "".join(lines))
        r = self.migrate(path, status=REJECTED)
        self.assertEqual((r["rows_rejected"], r["points_written"]), (3, 49997))
        with open(r["dead_letters"]) as f:
            rows = {e["row"]: e for e in map(json.loads, f)}
        self.assertEqual(sorted(rows), sorted(bad))
        self.assertIn('input field "w" on measurement "m" is type float, already exists as type integer', rows[17]["reason"])
        self.assertIn('input field "w" on measurement "m" is type boolean, already exists as type integer', rows[2500]["reason"])
        self.assertIn('input field "v" on measurement "m" is type integer, already exists as type float', rows[49999]["reason"])
        self.assertEqual(rows[17]["line"], "m,s=7 w=1.5 17")
        # the refused ones can be mended and taken up again
        again = self.afluxo(REJECTED, "migrate", "--retry-dead-letters", self.path("state", "dead-letters"), *self.target(), "--json")
        self.assertEqual(again.json["rows_rejected"], 3, again)
        self.expect(lib.run("migrate", path, *self.target(), "--strict", "--dead-letters", self.path("none")), FAILED)

    def test_what_the_engine_cannot_hold_is_named(self):
        path = self.write("long.lp", "m v=1 1\nm s=\"%s\" 2\nm,t=%s v=1 3\nm v=4 4\n" % ("x" * (1 << 20 | 1), "y" * 65530))
        r = self.migrate(path, status=REJECTED)
        self.assertEqual((r["rows_rejected"], r["points_written"]), (2, 2))
        with open(r["dead_letters"]) as f:
            reasons = {e["row"]: e["reason"] for e in map(json.loads, f)}
        self.assertIn("is too long", reasons[1])
        self.assertIn("max key length exceeded", reasons[2])

    def test_the_later_file_wins(self):
        head = "id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed\n"
        old = self.write("a/CURVA_CARGA_2023.csv", head + "".join(f"N;NORTE;2023-04-{d:02} 01:00:00;{d}\n" for d in range(1, 30)))
        new = self.write("b/CURVA_CARGA_2023.csv", head + "".join(f"N;NORTE;2023-04-{d:02} 01:00:00;{d}.5\n" for d in range(10, 20)))
        r = self.migrate(old, new)
        self.assertEqual(r["verified"]["doubles"], 10)
        values = sorted(float(line.split("demand_mw=")[1].split(" ")[0]) for line in self.lines())
        self.assertEqual(values, sorted([d + (0.5 if 10 <= d < 20 else 0) for d in range(1, 30)]))
        self.afluxo(DIFFERENT, "verify", old, "--to", self.data, "--bucket", "b")
        self.migrate(old)  # and now the other way
        self.assertEqual(sum(".5 " in line for line in self.lines()), 0)

    def test_many_restated_rows_over_many_flushes(self):
        rng = random.Random(7)
        want = {}
        lines = []
        for i in range(200000):
            key = (rng.randrange(40), rng.randrange(3000))
            want[key] = i
            lines.append(f"m,s={key[0]} v={i}i {key[1]}\n")
        path = self.write("restated.lp", "".join(lines))
        self.migrate(path, options=("--memory", "4M"))
        self.check_files()
        self.assertEqual(self.lines(), sorted(f"m,s={s} v={v}i {t}" for (s, t), v in want.items()))

    def test_dry_run_writes_nothing(self):
        out, made = self.generate("--to", "2023-01-03", "--plants", "3")
        r = self.afluxo(DONE, "migrate", out, *self.target(), "--dry-run", "--json")
        self.assertEqual(r.json["points_written"], made["rows"])
        self.assertFalse(os.path.exists(self.data))

    def test_rate_limit_holds(self):
        path = self.write("rate.lp", "".join(f"m v={i} {i}\n" for i in range(60000)))
        began = time.monotonic()
        self.migrate(path, options=("--rate", "20000"))
        self.assertGreater(time.monotonic() - began, 1.5)

    def test_ctrl_c_is_resumable(self):
        out, made = self.generate("--to", "2023-06-01", "--plants", "60")
        p = lib.start("migrate", out, *self.target(), "--rate", "50000")
        time.sleep(1.5)
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=60)
        self.assertEqual(p.returncode, INTERRUPTED, err.decode())
        self.assertIn(b"--resume", err)
        r = self.migrate(out, options=("--resume",))
        self.assertTrue(r["resumed"])
        self.check_files()

    def test_kills_at_any_moment_lose_nothing(self):
        rng = random.Random(20261124)
        out, made = self.generate("--to", "2023-06-01", "--plants", "300", "--bad-rows-every", "5000")
        command = ["migrate", out, *self.target(), "--memory", "16M", "--quiet", "--json"]
        for kill in range(KILLS):
            p = lib.start(*command, "--resume", binary=lib.RELEASE)
            time.sleep(rng.random() * 0.6)
            p.kill()
            p.communicate()
            if p.returncode != -signal.SIGKILL:
                self.assertEqual(p.returncode, REJECTED)
                subprocess.run(["rm", "-rf", self.data, self.path("state")], check=True)
        r = self.afluxo(REJECTED, *command, "--resume", "--verify", binary=lib.RELEASE).json
        self.assertTrue(r["verified"]["equal"], r)
        self.assertEqual(r["verified"]["points"], made["rows"] - made["bad_rows"])
        self.check_files()
        with open(r["dead_letters"]) as f:
            rows = {(e["file"], e["row"]) for e in map(json.loads, f)}
        self.assertGreaterEqual(made["bad_rows"], len(rows))
        self.assertGreaterEqual(len(rows), made["bad_rows"] // 2)

    def test_a_journal_never_runs_ahead_of_the_files(self):
        """Killed, then what the journal calls settled must be there without the rest."""
        out, made = self.generate("--to", "2023-12-01", "--plants", "200")
        journal = self.path("state", "journal")
        p = lib.start("migrate", out, *self.target(), "--memory", "8M", "--quiet", "--rate", "400000", binary=lib.RELEASE)
        done = 0
        while done < 3 and p.poll() is None:
            time.sleep(0.01)
            if os.path.exists(journal):
                with open(journal) as f:
                    done = sum(" L " in line for line in f)
        p.kill()
        p.communicate()
        self.assertEqual(p.returncode, -signal.SIGKILL)
        with open(journal) as f:
            done = sum(" L " in line for line in f)
        files = sorted(glob.glob(out + "/**/*.parquet", recursive=True), key=os.fsencode)
        r = lib.run("verify", *files[:done], "--to", self.data, "--bucket", "b", "--json", binary=lib.RELEASE)
        self.assertEqual((r.json["missing"], r.json["differing"]), (0, 0), r)

    def test_a_server_that_has_the_directory_is_used(self):
        out, made = self.generate("--to", "2023-01-05", "--plants", "5")
        server = lib.Server(self.data)
        try:
            r = self.afluxo(DONE, "migrate", out, *self.target(), "--create", "--json")
            self.assertIn("going through that server", r.err)
            self.assertEqual(r.json["points_written"], made["rows"])
            self.assertEqual(server.stop(), 0)
        finally:
            server.close()
        self.afluxo(DONE, "verify", out, "--to", self.data, "--bucket", "b")

    def test_influxd_reads_what_was_built_in_many_flushes(self):
        out, made = self.generate("--to", "2023-07-01", "--plants", "100")
        self.afluxo(DONE, "migrate", out, *self.target(), "--memory", "8M", binary=lib.RELEASE)
        self.assertGreater(len(self.files()), 4)  # of one generation, not compacted
        self.afluxo(DONE, "backup", self.path("backup"), "--from", self.data, "--bucket", "b", binary=lib.RELEASE)
        server = lib.Influxd()
        try:
            with open(server.config) as f:
                address = re.search(r'^bind-address = "(.*)"', f.read(), re.M).group(1)
            subprocess.run(["influxd", "restore", "-portable", "-host", address, self.path("backup")], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=True)
            r = self.afluxo(DONE, "verify", out, "--to", server.url, "--bucket", "b", "--json", binary=lib.RELEASE)
            self.assertEqual(r.json["points"], made["rows"])
        finally:
            server.close()

    def test_memory_is_what_it_says(self):
        out, made = self.generate("--to", "2023-09-01", "--plants", "1000")
        for memory, most in (("64M", 128), ("128M", 176)):  # the workers' batches come on top of a small setting
            subprocess.run(["rm", "-rf", self.data, self.path("state")], check=True)
            code = ("import resource,subprocess,sys\np=subprocess.run(sys.argv[1:],stdout=subprocess.DEVNULL)\n"
                    "print(p.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss//1024)")
            done = subprocess.run(["python3", "-c", code, lib.RELEASE, "migrate", out, *self.target(), "--quiet", "--memory", memory],
                                  stdout=subprocess.PIPE, check=True, env=lib.environment())
            status, peak = map(int, done.stdout.split())
            self.assertEqual(status, 0)
            self.assertLess(peak, most, memory)


if __name__ == "__main__":
    unittest.main()

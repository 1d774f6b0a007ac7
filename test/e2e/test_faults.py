"""Nothing is lost: afluxo against a real influxd that is reset, refused, slowed, killed, behind a proxy that misbehaves on
purpose; and afluxo itself killed at random moments. Every test ends with a verification straight against the server.

Which moments and which faults depends on seeds; AFLUXO_SEED=n gives other ones. How long something takes never decides.
"""
import glob
import json
import os
import random
import shutil
import subprocess
import sys
import time
import urllib.request

import lib
from lib import DONE, FAILED, INTERRUPTED, REJECTED, Case

SEED = int(os.environ.get("AFLUXO_SEED", "1"))
PROXY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fault_proxy.py")


def setUpModule():
    global server
    server = lib.Influxd()


def tearDownModule():
    server.close()


class Proxy:
    """fault_proxy.py in front of a server."""

    def __init__(self, case, target, faults="", rate=0.25, seed=SEED, **options):
        args = [sys.executable, PROXY, "--listen", "0", "--target", str(target.port), "--faults", faults, "--rate", str(rate),
                "--seed", str(seed), "--log", case.path("proxy.log")]
        for name, value in options.items():
            args += ["--" + name.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        case.addCleanup(self.close)
        self.port = int(self.process.stdout.readline().split()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self.process.stdout.close()

    def faults(self):
        with urllib.request.urlopen(self.url + "/__faults", timeout=10) as r:
            return json.load(r)

    def set_sick(self, is_sick):
        url = self.url + ("/__sick" if is_sick else "/__healthy")
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10).read()


class Faults(Case):
    # Small batches make many requests, and so many chances to fail.
    OPTIONS = ["--batch-lines", "500", "--quiet", "--json"]

    def setUp(self):
        super().setUp()
        self.db = "db_" + self.id().rsplit(".", 1)[1]

    def command(self, sources, url, *more, db=None, state="state"):
        return ["migrate", *sources, "--to", url, "--bucket", db or self.db, "--create", "--state", self.path(state),
                *self.OPTIONS, *more]

    def generate(self, *args, name="data"):
        return self.path(name), self.afluxo(DONE, "generate", "ons", "--out", self.path(name), "--json", "--quiet", *args).json

    # Bad rows of every kind: rows that cannot be points in Parquet and CSV, lines that do not parse, lines that the server refuses.
    def bad_sources(self, plants=3, to="2023-01-15", lines=4000, every=211):
        data, made = self.generate("--to", to, "--plants", str(plants), "--bad-rows-every", str(every))
        out = self.afluxo(REJECTED, "migrate", data, "--to", server.url, "--bucket", self.db + "_ref", "--create", "--state",
                          self.path("ref"), "--json", "--quiet", binary=lib.RELEASE).json
        bad = self.letters(out["dead_letters"])
        self.assertEqual(len(bad) + out["rows_empty"], made["bad_rows"])  # as many as the generator says it made
        text = []
        lp = self.path("lines.lp")
        for i in range(lines):
            if i % 397 == 5:
                text.append(f"m,s={i % 10} v={i}i,w= {i}")           # does not parse
                bad.add((lp, i))
            elif i % 401 == 7:
                text.append(f'm,s={i % 10} v="text {i}" {i}')        # v is a float on the server
                bad.add((lp, i))
            else:
                text.append(f"m,s={i % 10} v={i}.5 {i}")
        self.write("lines.lp", "\n".join(text) + "\n")
        csv = self.path("CURVA_CARGA_2023.csv")
        rows = ["id_subsistema;nom_subsistema;din_instante;val_cargaenergiahomwmed"]
        for i in range(600):
            day, hour = 1 + i // 24, i % 24
            when = "2023-01-%02d %02d:00:00" % (day, hour) if i % 97 != 3 else "2023-13-01 00:00:00"
            rows.append(f"N;NORTE;{when};{'x' if i % 89 == 4 else i + 0.25}")
            if i % 97 == 3 or i % 89 == 4:
                bad.add((csv, i))
        self.write("CURVA_CARGA_2023.csv", "\n".join(rows) + "\n")
        good = {"m": ("v", lines - sum(1 for f, _ in bad if f == lp)),
                "consumption_data": ("demand_mw", 600 - sum(1 for f, _ in bad if f == csv))}
        return [data, lp, csv], bad, good

    def seed_types(self, url=None, db=None):
        """m.v is a float before the first run, so that the type conflict is the same line whatever comes first."""
        line = self.write("types.lp", "m,s=type v=0.5 1000000000000\n")
        self.afluxo(DONE, "write", line, "--to", url or server.url, "--bucket", db or self.db, "--create", "--state",
                    self.path("types"), "--quiet", binary=lib.RELEASE)

    @staticmethod
    def letters(path):
        """(file, row) of every dead letter; a line torn by a kill counts for nothing."""
        with open(path, "rb") as f:
            whole = f.read().rpartition(b"\n")[0]
        entries = [json.loads(line) for line in whole.splitlines()]
        return {(e["file"], e["row"]) for e in entries}

    def check(self, sources, bad=(), good=None, db=None, target=None, state="state", tolerate_other=True):
        """The server holds exactly what the sources say, and the dead letters are exactly the bad rows."""
        target = target or server
        directory = self.path(state, "dead-letters")
        files = glob.glob(os.path.join(directory, "*.jsonl"))
        more = ["--dead-letters", directory] if files else []
        result = self.afluxo(REJECTED if bad else DONE, "verify", *sources, "--to", target.url, "--bucket", db or self.db, "--json",
                             "--quiet", *more, binary=lib.RELEASE).json
        self.assertTrue(result["equal"])
        found = set()
        for path in files:
            found |= self.letters(path)
        self.assertEqual(found, set(bad))
        for measurement, (field, count) in (good or {}).items():
            extra = 1 if measurement == "m" else 0  # of seed_types
            self.assertEqual(target.count(measurement, field, db or self.db), count + extra, measurement)
        return result

    def check_spool_is_empty(self, state="state"):
        self.assertEqual(glob.glob(self.path(state, "spool", "*.blk*")), [])


class EachFault(Faults):
    """One kind of fault at a time, on a quarter of all requests; with good rows only, then with bad ones among them."""

    OPTIONS = ["--batch-lines", "150", "--quiet", "--json"]

    def fault(self, name, rate=0.25, options=(), **proxy):
        data, made = self.generate("--to", "2023-01-08", "--plants", "4")
        p = Proxy(self, server, name, rate, seed=SEED * 100 + len(name), **proxy)
        r = self.afluxo(DONE, *self.command([data], p.url, *options))
        self.assertEqual(r.json["points_written"], made["rows"])
        self.assertEqual(r.json["rows_rejected"], 0)
        self.assertIsNone(r.json["dead_letters"])
        self.check([data])
        self.assertFalse(os.path.exists(self.path("state", "dead-letters")))
        # again, with bad rows, into another database
        sources, bad, good = self.bad_sources(lines=1000)
        self.seed_types(db=self.db + "_bad")
        self.afluxo(REJECTED, *self.command(sources, p.url, *options, db=self.db + "_bad", state="bad"))
        self.assertGreater(p.faults()["faults"], 2)
        self.check(sources, bad, good, db=self.db + "_bad", state="bad")
        self.check_spool_is_empty("bad")

    def test_reset(self):
        self.fault("reset")

    def test_close_before_the_answer(self):
        self.fault("close")

    def test_truncated_answers(self):
        self.fault("truncate")

    def test_429(self):
        self.fault("429")

    def test_503(self):
        self.fault("503")

    def test_500(self):
        self.fault("500")

    def test_429_with_retry_after(self):
        self.fault("429-retry-after", 0.06)

    def test_503_with_retry_after(self):
        self.fault("503-retry-after", 0.06)

    def test_dribbled_answers(self):
        self.fault("slow", 0.3, slow=0.06)

    def test_blackhole(self):
        self.fault("blackhole", 0.06, ["--timeout", "300ms"], blackhole=5)


class MixedFaults(Faults):
    ALL = "reset,close,truncate,429,503,500,429-retry-after,503-retry-after,slow,blackhole"

    def mixed(self, seed):
        sources, bad, good = self.bad_sources()
        self.seed_types()
        p = Proxy(self, server, self.ALL, 0.25, seed=SEED * 1000 + seed, slow=0.2, blackhole=5)
        self.OPTIONS = ["--batch-lines", random.Random(seed).choice(["150", "700", "3000"]), "--quiet", "--json"]
        r = self.afluxo(REJECTED, *self.command(sources, p.url, "--timeout", "300ms", "--lanes", str(1 + seed % 4),
                                                "--workers", str(1 + seed % 3), "--retry-budget", "400ms"))
        self.assertGreater(p.faults()["faults"], 5)
        self.assertEqual(r.json["rows_rejected"], len(bad))
        self.assertEqual(r.json["lines_waiting"], 0)
        self.check(sources, bad, good)
        self.check_spool_is_empty()

    def test_seed_1(self):
        self.mixed(1)

    def test_seed_2(self):
        self.mixed(2)

    def test_seed_3(self):
        self.mixed(3)

    def test_verification_through_the_faults(self):
        data, made = self.generate("--to", "2023-01-06", "--plants", "3")
        p = Proxy(self, server, self.ALL, 0.1, seed=SEED * 1000 + 77, slow=0.2, blackhole=5, retry_after=0)
        r = self.afluxo(DONE, *self.command([data], p.url, "--timeout", "300ms", "--verify"))
        self.assertTrue(r.json["verified"]["equal"])
        self.assertEqual(r.json["verified"]["points"], made["rows"])


class DeadServer(Faults):
    def test_server_killed_twice(self):
        own = lib.Influxd()
        self.addCleanup(own.close)
        data, made = self.generate("--to", "2023-04-01", "--plants", "5")
        p = lib.start(*self.command([data], own.url, "--rate", "40000", "--retry-budget", "300ms"), binary=lib.RELEASE)
        for share in (0.2, 0.5):
            self.wait_for_points(own, share * made["rows"])
            own.kill()
            time.sleep(1.5)
            own.start()
        out, err = p.communicate(timeout=120)
        r = self.expect(lib.Result(p, out.decode(), err.decode()), DONE)
        self.assertGreater(r.json["retries"], 0)
        self.assertGreater(r.json["batches_spooled"], 0)
        self.check([data], target=own)
        self.check_spool_is_empty()

    def wait_for_points(self, target, count):
        for _ in range(600):
            total = sum(target.count(m, f, self.db) for m, f in (("generation_data", "power_mw"), ("consumption_data", "energy_mwh"),
                        ("consumption_data", "power_mw"), ("transmission_data", "power_mw"), ("transmission_data", "energy_mwh")))
            if total >= count:
                return
            time.sleep(0.05)
        self.fail(f"{total} points arrived, {count} were waited for")

    def test_server_down_for_good_then_resumed(self):
        own = lib.Influxd()
        self.addCleanup(own.close)
        data, made = self.generate("--to", "2023-03-01", "--plants", "5", "--bad-rows-every", "501")
        command = self.command([data], own.url, "--rate", "40000", "--retry-budget", "200ms", "--patience", "2s")
        command.remove("--quiet")
        p = lib.start(*command, binary=lib.RELEASE)
        self.wait_for_points(own, 0.2 * made["rows"])
        own.kill()
        out, err = p.communicate(timeout=120)
        self.assertEqual(p.returncode, INTERRUPTED, err.decode())
        self.assertIn(b"wait in the spool", err)
        self.assertIn(b"--resume", err)
        self.assertIn(self.path("state", "spool").encode(), err)
        self.assertNotEqual(glob.glob(self.path("state", "spool", "*.blk")), [])
        # still down: says so, loses nothing
        r = self.afluxo(FAILED, *command, "--resume", binary=lib.RELEASE)
        self.assertIn("is the server running", r.err)
        self.assertNotEqual(glob.glob(self.path("state", "spool", "*.blk")), [])
        own.start()
        r = self.afluxo(REJECTED, *command, "--resume", binary=lib.RELEASE)
        self.assertTrue(r.json["resumed"])
        self.check([data], self.bad_rows(data, own), target=own)
        self.check_spool_is_empty()

    def bad_rows(self, data, target):
        r = self.afluxo(REJECTED, "migrate", data, "--to", target.url, "--bucket", self.db + "_ref", "--create", "--state",
                        self.path("ref"), "--json", "--quiet", binary=lib.RELEASE)
        return self.letters(r.json["dead_letters"])

    def test_the_spool_is_not_forgotten(self):
        """What waits in a spool goes to its target, or the run refuses."""
        data, made = self.generate("--to", "2023-01-10", "--plants", "3")
        p = Proxy(self, server, "503", 1.0, only="/write")
        command = self.command([data], p.url, "--retry-budget", "100ms", "--patience", "1s")
        self.afluxo(INTERRUPTED, *command, binary=lib.RELEASE)
        p.set_sick(False)
        r = self.afluxo(FAILED, *command, "--resume", "--no-spool", binary=lib.RELEASE)
        self.assertIn("--no-spool", r.err)
        other = [self.db + "_other" if a == self.db else a for a in command]
        r = self.afluxo(FAILED, *other, binary=lib.RELEASE)
        self.assertIn(self.db + "_other", r.err)
        self.assertIn("--state", r.err)
        self.afluxo(DONE, *command, "--resume", binary=lib.RELEASE)
        self.check([data])
        self.afluxo(DONE, *other, binary=lib.RELEASE)  # nothing waits any more
        self.check([data], db=self.db + "_other")


class Killed(Faults):
    """SIGKILL at random moments, then --resume."""

    OPTIONS = ["--batch-lines", "300", "--quiet", "--json"]

    def kill_and_resume(self, command, rng, kills, low=0.03, high=0.7, between=None):
        """Up to `kills` kills; (how many, the result of the run that came to its end)."""
        for done in range(kills):
            p = lib.start(*command, *(["--resume"] if done else []), binary=lib.RELEASE)
            try:
                out, err = p.communicate(timeout=rng.uniform(low, high))
                return done, lib.Result(p, out.decode(), err.decode())
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
            if between is not None:
                between()
        return kills, lib.run(*command, "--resume", binary=lib.RELEASE)

    def campaign(self, kills_all, sources, bad, good, proxy=None, between=None, options=(), rounds=12):
        rng = random.Random(SEED * 7 + kills_all)
        kills = 0
        for n in range(rounds):
            db, state = f"{self.db}_{n}", f"state{n}"
            self.seed_types(db=db)
            url = proxy.url if proxy is not None else server.url
            command = self.command(sources, url, *options, db=db, state=state)
            n_kills, r = self.kill_and_resume(command, rng, min(18, kills_all - kills), between=between)
            kills += n_kills
            if proxy is not None and r.status == INTERRUPTED:
                proxy.set_sick(False)
                r = lib.run(*command, "--resume", binary=lib.RELEASE)
            self.expect(r, REJECTED)
            self.check(sources, bad, good, db=db, state=state)
            self.check_spool_is_empty(state)
            # once more: nothing is left to do, and the dead letters of all those runs are remembered
            r = self.afluxo(REJECTED, *command, "--resume", "--verify", binary=lib.RELEASE)
            self.assertEqual((r.json["resumed"], r.json["rows_read"], r.json["verified"]["equal"]), (True, 0, True))
            if proxy is not None:
                proxy.set_sick(True)
            if kills >= kills_all:
                return
        self.fail(f"{kills} kills only: the runs were over too soon")

    def test_killed_and_resumed(self):
        sources, bad, good = self.bad_sources(plants=4, to="2023-04-01", lines=20000)
        self.campaign(50, sources, bad, good, options=["--rate", "60000"])

    def test_killed_while_the_spool_has_blocks(self):
        sources, bad, good = self.bad_sources(plants=4, to="2023-02-20", lines=10000)
        p = Proxy(self, server, "503,reset", 0.9, only="/write", seed=SEED)
        rng = random.Random(SEED)
        seen = {"with blocks": 0}

        def between():
            seen["with blocks"] += glob.glob(self.path("state*", "spool", "*.blk")) != []
            p.set_sick(rng.random() < 0.5)

        self.campaign(30, sources, bad, good, p, between, ["--rate", "60000", "--retry-budget", "30ms", "--spool-bytes", "60k",
                                                           "--patience", "5s"])
        self.assertGreater(seen["with blocks"], 3)

    def test_the_newest_values_win(self):
        """Files that restate the same points, killed and resumed, through a spool as well: the last one's values stay."""
        files, keys = 5, 4000
        sources = [self.write(f"{f}.lp", "".join(f"m,s={i % 50} v={f * 1000000 + i}i {i // 50}\n" for i in range(keys)))
                   for f in range(files)]
        p = Proxy(self, server, "503", 0.5, only="/write", seed=SEED)
        rng = random.Random(SEED * 13)
        blocks = 0

        def between():
            nonlocal blocks
            blocks += glob.glob(self.path("state*", "spool", "*.blk")) != []
            p.set_sick(rng.random() < 0.6)

        kills = 0
        for n in range(4):
            db, state = f"{self.db}_{n}", f"state{n}"
            lanes = str(rng.choice([1, 2, 5]))
            command = self.command(sources, p.url, "--rate", "15000", "--retry-budget", "30ms", "--patience", "5s", "--lanes", lanes,
                                   db=db, state=state)
            n_kills, r = self.kill_and_resume(command, rng, 7, low=0.1, between=between)
            kills += n_kills
            if r.status == INTERRUPTED:
                p.set_sick(False)
                r = lib.run(*command, "--resume", binary=lib.RELEASE)
            self.expect(r, DONE)
            p.set_sick(True)
            self.check(sources, db=db, state=state)
            self.assertEqual(server.count("m", "v", db), keys)
            lowest = server.values("SELECT min(v), max(v) FROM m", db)[0]
            self.assertEqual(lowest[1:], [(files - 1) * 1000000, (files - 1) * 1000000 + keys - 1])
        self.assertGreater(kills, 10)
        self.assertGreater(blocks, 0)


class Places(Faults):
    """Directories that are full, forbidden or taken."""

    def small_disk(self):
        """A disk of 1 MB at 'disk', or None where it cannot be mounted: --spool-bytes stands in for it then."""
        os.mkdir(self.path("disk"))
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", self.path("disk")], capture_output=True)
        if mount.returncode == 0:
            self.addCleanup(subprocess.run, ["umount", self.path("disk")], check=True)
        return mount.returncode == 0

    def test_the_disk_of_the_spool_is_full(self):
        has_disk = self.small_disk()
        own = lib.Influxd()
        self.addCleanup(own.close)
        data, made = self.generate("--to", "2023-05-01", "--plants", "20")
        state = os.path.join("disk", "state")
        command = self.command([data], own.url, "--rate", "200000", "--retry-budget", "50ms", "--patience", "2s", state=state)
        command.remove("--quiet")
        if not has_disk:
            command += ["--spool-bytes", "900k"]
        own_was_up = lib.start(*command, binary=lib.RELEASE)
        while own_was_up.poll() is None and not glob.glob(self.path(state, "journal")):
            time.sleep(0.01)
        own.kill()
        out, err = own_was_up.communicate(timeout=120)
        self.assertEqual(own_was_up.returncode, INTERRUPTED, err.decode())
        self.assertIn(b"No space left" if has_disk else b"is full", err)
        self.assertIn(b"--resume", err)
        own.start()
        r = self.afluxo(DONE, *command, "--resume", binary=lib.RELEASE)
        self.assertTrue(r.json["resumed"])
        self.check([data], target=own, state=state)
        self.check_spool_is_empty(state)

    def test_a_full_disk_that_the_server_outlives(self):
        has_disk = self.small_disk()
        data, made = self.generate("--to", "2023-04-01", "--plants", "10")
        state = os.path.join("disk", "state")
        p = Proxy(self, server, "503", 1.0, only="/write")
        more = [] if has_disk else ["--spool-bytes", "900k"]
        job = lib.start(*self.command([data], p.url, "--retry-budget", "50ms", "--patience", "60s", *more, state=state))
        full = None
        for _ in range(1200):  # until nothing more fits
            used = sum(os.path.getsize(f) for f in glob.glob(self.path(state, "spool", "*.blk")) if os.path.exists(f))
            if used > 500000 and used == full:
                break
            full = used
            time.sleep(0.2)
        p.set_sick(False)
        out, err = job.communicate(timeout=120)
        r = self.expect(lib.Result(job, out.decode(), err.decode()), DONE)
        self.assertGreater(r.json["batches_spooled"], 0)
        self.check([data], state=state)
        self.check_spool_is_empty(state)

    def test_state_in_use(self):
        data, made = self.generate("--to", "2023-02-01", "--plants", "5")
        command = self.command([data], server.url, "--rate", "20000")
        p = lib.start(*command, binary=lib.RELEASE)
        while p.poll() is None and not os.path.exists(self.path("state", "journal")):
            time.sleep(0.01)
        for more in ([], ["--resume"], ["--no-spool"]):
            r = self.afluxo(FAILED, *command, *more)
            self.assertIn("in use by process %d" % p.pid, r.err)
            self.assertIn("--state", r.err)
        out, err = p.communicate(timeout=120)
        self.expect(lib.Result(p, out.decode(), err.decode()), DONE)
        self.check([data])

    def as_nobody(self, *args):
        """Run the release binary as a user without rights here; its own copy, since the build may be behind closed doors."""
        os.chmod(self.dir, 0o755)
        binary = self.path("afluxo")
        if not os.path.exists(binary):
            shutil.copy(lib.RELEASE, binary)
            os.chmod(binary, 0o755)
        if os.geteuid() == 0:
            return lib.run("--reuid=65534", "--regid=65534", "--clear-groups", "--", binary, *args, binary="setpriv")
        return lib.run(*args, binary=binary)

    def test_no_permission_on_the_state(self):
        data, made = self.generate("--to", "2023-01-05", "--plants", "2")
        os.mkdir(self.path("closed"), 0o755)
        os.chmod(self.path("closed"), 0o555)
        command = self.command([data], server.url, state=os.path.join("closed", "state"))
        r = self.expect(self.as_nobody(*command), FAILED)
        self.assertIn(self.path("closed"), r.err)
        self.assertIn("permission", r.err)
        self.assertEqual(server.count("generation_data", "power_mw", self.db), 0)

    def test_no_permission_on_the_dead_letters(self):
        sources, bad, good = self.bad_sources(lines=1000)
        os.mkdir(self.path("open"))
        os.chmod(self.path("open"), 0o777)
        os.mkdir(self.path("closed"))
        os.chmod(self.path("closed"), 0o555)
        self.seed_types()
        state = os.path.join("open", "state")
        command = self.command(sources, server.url, state=state)
        r = self.expect(self.as_nobody(*command, "--dead-letters", self.path("closed", "letters")), FAILED)
        self.assertIn(self.path("closed", "letters"), r.err)
        # what was settled had its dead letters: with a place for them, the resumed run has all
        self.expect(self.as_nobody(*command, "--resume"), REJECTED)
        self.check(sources, bad, good, state=state)

    def test_read_only_sources_are_enough(self):
        data, made = self.generate("--to", "2023-01-05", "--plants", "2")
        for root, dirs, files in os.walk(data):
            for f in files:
                os.chmod(os.path.join(root, f), 0o444)
            os.chmod(root, 0o555)
        os.mkdir(self.path("open"))
        os.chmod(self.path("open"), 0o777)
        self.expect(self.as_nobody(*self.command([data], server.url, "--verify", state=os.path.join("open", "state"))), DONE)
        self.check([data])

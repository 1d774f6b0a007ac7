"""Wholes in and out: backups that a real influxd restores, its data directories read, bulk loads, exports, TSM files, administration.

With AFLUXO_TEST_INFLUXDB2 (and _TOKEN of an operator, _ORG) also against a real InfluxDB 2.x; AFLUXO_TEST_INFLUXDB2_ENGINE may name its
engine directory, to be read while nobody writes.
"""
import gzip
import json
import os
import random
import re
import shutil
import subprocess
import tarfile
import time
import unittest
import urllib.parse
import urllib.request

import lib
from lib import DONE, FAILED, USAGE, Case, Influxd

DAY = 86400 * 10**9


def value(text):
    """Floats have several spellings."""
    return float(text).hex() if text[0] in "+-.0123456789" and text[-1] not in "iu" else text


def points(text):
    """Line protocol as {(series, time): {field: value}}: what two ways to tell the same points have in common."""
    out = {}
    for line in text.splitlines():
        head = re.match(r"((?:[^\\ ]|\\.)+) ", line).group(1)
        rest, when = line[len(head) + 1:].rsplit(" ", 1)
        fields = re.findall(r'((?:[^\\,=]|\\.)+)=("(?:[^"\\]|\\.)*"|[^,]*),?', rest)
        out.setdefault((head, int(when)), {}).update((name, value(v)) for name, v in fields)
    return out


def sample(seed, rows=4000):
    """All of 1.x's types, several weeks, escapes, repeated points, restated values, times at odd distances."""
    rng = random.Random(seed)
    lines = []
    for i in range(rows):
        series = rng.choice(["m,t=a", "m,t=b\\ c,u=x\\,y", "m\\ n,t=\\=z", "solo"])
        when = rng.randrange(0, 40) * DAY + rng.randrange(0, 24) * 3600 * 10**9 + rng.choice([0, 0, 0, 1, 999])
        fields = []
        if rng.random() < 0.8:
            fields.append("f=" + rng.choice(["1", "1.5", "-0", "1e300", "5e-324", repr(rng.random())]))
        if rng.random() < 0.6:
            fields.append("i=%di" % rng.choice([0, 1, -1, 2**63 - 1, -2**63, rng.randrange(-1000, 1000), i]))
        if rng.random() < 0.4:
            fields.append("b=" + rng.choice(["true", "false"]))
        if rng.random() < 0.4:
            fields.append('s="%s"' % rng.choice(["", "x", "say \\\"hi\\\"", "\u00e9", "long " * 50]))
        if fields:
            lines.append(f"{series} {','.join(fields)} {1_600_000_000 * 10**9 // DAY * DAY + when}")
    return "\n".join(lines) + "\n"


class Transfer(Case):
    maxDiff = 2000

    def rpc(self, server):
        return re.search(r'^bind-address = "(.*)"', open(server.config).read(), re.M).group(1)

    def influxd(self, extra=""):
        server = Influxd(extra=extra)
        self.addCleanup(server.close)
        return server

    def house(self, text, name="house", bucket="d", **more):
        path = self.write(name + ".lp", text)
        self.afluxo(DONE, "migrate", path, "--to", self.path(name), "--bucket", bucket, "--create", "--state", self.path(name + ".state"),
                    *[part for k, v in more.items() for part in ("--" + k.replace("_", "-"), v)])
        return self.path(name)

    def points_of(self, target, bucket, *more):
        """All points of a bucket, directory or server."""
        return points(self.afluxo(DONE, "export", "--from", target, "--bucket", bucket, *more).out)


class Backups(Transfer):
    def test_influxd_restores_what_we_back_up(self):
        text = sample(1)
        house = self.house(text, shard_duration="1w")
        r = self.afluxo(DONE, "backup", self.path("bk"), "--from", house, "--json")
        self.assertGreater(r.json["shards"], 3)
        server = self.influxd()
        done = subprocess.run(["influxd", "restore", "-portable", "-host", self.rpc(server), self.path("bk")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        want = points(text)
        for _ in range(100):  # it answers before the shards are open
            if lib.run("export", "--from", server.url, "--bucket", "d").status == DONE:
                break
            time.sleep(0.1)
        self.assertEqual(self.points_of(server.url, "d"), want)
        self.afluxo(DONE, "verify", self.path("house.lp"), "--to", server.url, "--bucket", "d")

    def test_a_backup_comes_back_under_its_name_another_and_into_what_is_there(self):
        text = sample(2)
        house = self.house(text)
        self.house("other v=1 5\n", bucket="other")
        self.afluxo(DONE, "backup", self.path("bk"), "--from", house)
        r = self.afluxo(DONE, "restore", self.path("bk"), "--to", self.path("again"), "--json")
        self.assertEqual((r.json["buckets"], r.json["shards"], r.json["shards_linked"]), (2, r.json["shards"], r.json["shards"]))
        self.assertEqual(self.points_of(self.path("again"), "d"), points(text))
        self.assertEqual(self.points_of(self.path("again"), "other"), points("other v=1 5\n"))
        self.afluxo(DONE, "restore", self.path("bk"), "--to", self.path("again"), "--bucket", "d", "--new-bucket", "copy")
        self.assertEqual(self.points_of(self.path("again"), "copy"), points(text))
        # Into a bucket with points of its own, and shards of another length: all are there, of equal ones the backup's count.
        more = "m,t=a f=77 %d\nm,t=new f=78 1600000000000000001\n" % (1_600_000_000 * 10**9 // DAY * DAY)
        there = self.house(more + more, name="there", shard_duration="2d")
        self.afluxo(DONE, "restore", self.path("bk"), "--to", there, "--bucket", "d")
        want = points(more)
        for key, fields in points(text).items():
            want.setdefault(key, {}).update(fields)
        self.assertEqual(self.points_of(there, "d"), want)

    def test_each_form_alone_comes_back(self):
        house = self.house("m f=1 5\n", bucket="db/rp")
        for form in ("1", "2"):
            self.afluxo(DONE, "backup", self.path("bk" + form), "--from", house, "--form", form)
            manifest = json.load(open(self.path("bk" + form, [f for f in os.listdir(self.path("bk" + form)) if f.endswith(".manifest")][0])))
            self.assertEqual(("files" in manifest, "buckets" in manifest), (form == "1", form == "2"))
            self.afluxo(DONE, "restore", self.path("bk" + form), "--to", self.path("again" + form))
            self.assertEqual(self.points_of(self.path("again" + form), "db/rp"), points("m f=1 5\n"))
        self.afluxo(USAGE, "backup", self.path("bk3"), "--from", house, "--form", "3")
        self.afluxo(USAGE, "backup", self.path("bk3"))

    def test_what_only_reads_makes_no_directory(self):
        nowhere = self.path("nowhere")
        os.makedirs(self.path("influx", "data", "db"))
        for args in (["backup", self.path("bk"), "--from", nowhere], ["export", "--from", nowhere, "--bucket", "b"],
                     ["bulkload", nowhere, "--to", "http://127.0.0.1:1"], ["bucket", "list", "--to", nowhere],
                     ["bulkload", self.path("influx"), "--to", "http://127.0.0.1:1"]):
            self.assertIn("data directory", self.afluxo(FAILED, *args).err)
        self.assertEqual(os.listdir(self.dir), ["influx"])
        self.assertEqual(os.listdir(self.path("influx")), ["data"])

    def test_a_damaged_or_unfinished_backup_changes_nothing(self):
        house = self.house(sample(3, rows=500))
        self.afluxo(DONE, "backup", self.path("bk"), "--from", house)
        archives = sorted(f for f in os.listdir(self.path("bk")) if f.endswith(".tar.gz"))
        last = self.path("bk", archives[-1])
        whole = open(last, "rb").read()
        for damaged in (whole[:-9], whole[:100] + bytes([whole[100] ^ 8]) + whole[101:]):
            open(last, "wb").write(damaged)
            r = self.afluxo(FAILED, "restore", self.path("bk"), "--to", self.path("again"))
            self.assertIn(archives[-1], r.err)
            self.assertEqual(self.afluxo(DONE, "bucket", "list", "--to", self.path("again"), "--json").json["buckets"], [])
        open(last, "wb").write(whole)
        manifest = [f for f in os.listdir(self.path("bk")) if f.endswith(".manifest")][0]
        os.rename(self.path("bk", manifest), self.path("kept"))
        self.assertIn("no *.manifest", self.afluxo(FAILED, "restore", self.path("bk"), "--to", self.path("again")).err)
        os.rename(self.path("kept"), self.path("bk", manifest))
        self.afluxo(DONE, "restore", self.path("bk"), "--to", self.path("again"))

    def test_a_flipped_byte_inside_a_block_is_found_before_anything_changes(self):
        house = self.house("m f=1 5\nm f=2 6\n")
        self.afluxo(DONE, "backup", self.path("bk"), "--from", house)
        archive = [self.path("bk", f) for f in os.listdir(self.path("bk")) if f.endswith(".tar.gz")][0]
        with tarfile.open(archive) as tar:
            member = tar.getmembers()[0]
            self.assertRegex(member.name, r"^d/autogen/\d+/\d{9}-\d{9}\.tsm$")
            content = bytearray(tar.extractfile(member).read())
        content[12] ^= 1
        open(self.path("x.tsm"), "wb").write(content)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(self.path("x.tsm"), arcname=member.name)
        r = self.afluxo(FAILED, "restore", self.path("bk"), "--to", self.path("again"))
        self.assertIn("SHA-256", r.err)
        manifest = self.path("bk", [f for f in os.listdir(self.path("bk")) if f.endswith(".manifest")][0])
        with open(manifest) as f:
            told = json.load(f)
        del told["sha256"]  # as in one of InfluxDB's own: then the block's own check finds it
        with open(manifest, "w") as f:
            json.dump(told, f)
        r = self.afluxo(FAILED, "restore", self.path("bk"), "--to", self.path("again"))
        self.assertNotIn("SHA-256", r.err)
        self.assertIn("damaged", r.err)
        self.assertEqual(self.afluxo(DONE, "bucket", "list", "--to", self.path("again"), "--json").json["buckets"], [])

    def test_a_portable_backup_of_influxd_is_restored(self):
        text = sample(4)
        server = self.influxd()
        self.afluxo(DONE, "write", self.write("x.lp", text), "--to", server.url, "--bucket", "d", "--create", "--state", self.path("s"))
        server.query('CREATE RETENTION POLICY "long" ON d DURATION INF REPLICATION 1 SHARD DURATION 52w')
        self.afluxo(DONE, "write", self.path("x.lp"), "--to", server.url, "--bucket", "d/long", "--state", self.path("s"))
        done = subprocess.run(["influxd", "backup", "-portable", "-host", self.rpc(server), self.path("bk")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.afluxo(DONE, "restore", self.path("bk"), "--to", self.path("house"))
        buckets = self.afluxo(DONE, "bucket", "list", "--to", self.path("house"), "--json").json["buckets"]
        self.assertEqual(sorted(b["name"] for b in buckets), ["d", "d/long"])
        self.assertEqual(self.points_of(self.path("house"), "d"), points(text))
        self.assertEqual(self.points_of(self.path("house"), "d/long"), points(text))


class Imports(Transfer):
    FAST = 'cache-snapshot-write-cold-duration = "1s"\ncompact-full-write-cold-duration = "1s"\nindex-version = "inmem"\n'

    def stop(self, server):
        server.process.terminate()
        server.process.wait()

    def test_files_tombstones_and_log_of_an_influxd(self):
        server = self.influxd(extra=self.FAST)
        url = server.url
        put = lambda text: self.afluxo(DONE, "write", self.write("x.lp", text), "--to", url, "--bucket", "d", "--create", "--state", self.path("s"))
        put(sample(5))
        for _ in range(100):
            if any(f.endswith(".tsm") for _, _, files in os.walk(server.dir + "/data/d") for f in files):
                break
            time.sleep(0.2)
        put(sample(6))
        time.sleep(3)  # a second generation, or both made one
        base = 1_600_000_000 * 10**9 // DAY * DAY
        server.query(f"DELETE FROM m WHERE t = 'a' AND time >= {base + 3 * DAY} AND time < {base + 9 * DAY}", "d")
        server.query("DELETE FROM solo WHERE time < %d" % (base + 20 * DAY), "d")
        put(f"m,t=a f=4.25 {base + 4 * DAY}\n" + sample(7, rows=300))  # into what was deleted; in the log
        server.query("DELETE FROM \"m n\" WHERE time > %d" % (base + 30 * DAY), "d")
        put(f"m\\ n,t=\\=z i=5i {base + 35 * DAY}\n")
        want = self.points_of(url, "d")
        self.stop(server)
        self.assertTrue(any(f.endswith(".tombstone") for _, _, files in os.walk(server.dir + "/data/d") for f in files))
        self.assertTrue(any(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(server.dir + "/wal/d") for f in files))
        r = self.afluxo(DONE, "restore", server.dir, "--to", self.path("house"), "--json")
        self.assertGreater(r.json["values_written"], 0)
        self.assertEqual(self.points_of(self.path("house"), "d"), want)
        self.afluxo(DONE, "tsm", "verify", server.dir)

    def test_whole_files_are_taken_as_they_are(self):
        server = self.influxd(extra=self.FAST)
        text = sample(8)
        self.afluxo(DONE, "write", self.write("x.lp", text), "--to", server.url, "--bucket", "d", "--create", "--state", self.path("s"))
        time.sleep(4)
        self.stop(server)
        r = self.afluxo(DONE, "restore", server.dir, "--to", self.path("house"), "--bucket", "d", "--new-bucket", "e", "--json")
        self.assertGreater(r.json["shards_linked"], 0)
        self.assertEqual(self.points_of(self.path("house"), "e"), points(text))
        self.assertIn("neither", self.afluxo(FAILED, "restore", self.path("s"), "--to", self.path("house")).err)


class BulkLoads(Transfer):
    def test_shards_into_a_running_influxd(self):
        text = sample(9)
        house = self.house(text)
        server = self.influxd()
        target = ["--to", server.url, "--rpc", self.rpc(server)]
        r = self.afluxo(DONE, "bulkload", house, *target, "--json")
        self.assertEqual(r.json["values_verified"], sum(len(f) for f in points(text).values()))
        self.assertEqual(self.points_of(server.url, "d"), points(text))
        r = self.afluxo(FAILED, "bulkload", house, *target)
        self.assertIn("--new-bucket", r.err)
        self.afluxo(DONE, "bulkload", house, *target, "--bucket", "d", "--new-bucket", "e/year")
        self.assertEqual(self.points_of(server.url, "e/year"), points(text))
        self.assertFalse(os.path.exists(os.path.join(house, "bulkload.tmp")))

    def test_errors_say_what_to_do(self):
        house = self.house("m f=1 5\n")
        server = self.influxd()
        r = self.afluxo(FAILED, "bulkload", house, "--to", server.url, "--rpc", "127.0.0.1:1")
        self.assertIn("--rpc HOST:PORT", r.err)
        r = self.afluxo(FAILED, "bulkload", house, "--to", server.url, "--bucket", "none")
        self.assertIn("none", r.err)
        self.afluxo(USAGE, "bulkload", house, "--to", self.path("x"))
        r = self.afluxo(FAILED, "bulkload", house, "--to", server.url, "--rpc", server.url[7:])
        self.assertIn("RPC", r.err)


class Exports(Transfer):
    def test_line_protocol_plain_packed_and_cut_by_time(self):
        text = sample(10)
        house = self.house(text)
        self.afluxo(DONE, "export", "--from", house, "--bucket", "d", "-o", self.path("x.lp.gz"))
        self.assertEqual(points(gzip.open(self.path("x.lp.gz"), "rt").read()), points(text))
        one = self.points_of(house, "d", "--measurement", "m n")
        self.assertEqual(one, {k: v for k, v in points(text).items() if k[0].startswith("m\\ n")})
        day = 1_600_000_000 * 10**9 // DAY * DAY + 5 * DAY
        when = time.strftime("%Y-%m-%d", time.gmtime(day // 10**9))
        cut = self.points_of(house, "d", "--start", when, "--stop", when + "T23:00:00Z")
        self.assertEqual(cut, {k: v for k, v in points(text).items() if day <= k[1] < day + 23 * 3600 * 10**9})

    def test_parquet_comes_back_equal(self):
        self.afluxo(DONE, "generate", "ons", "--out", self.path("gen"), "--to", "2023-01-15", "--plants", "5")
        house = self.path("house")
        self.afluxo(DONE, "migrate", self.path("gen"), "--to", house, "--create", "--state", self.path("s"))
        self.afluxo(DONE, "export", "--from", house, "--bucket", "energy_data", "--format", "parquet", "-o", self.path("out"))
        names = sorted(os.listdir(self.path("out")))
        self.assertEqual(names, ["consumption_data.parquet", "generation_data.parquet", "transmission_data.parquet"])
        rows = 0
        for name in names:
            stats = self.afluxo(DONE, "inspect", "stats", self.path("out", name), "--json").json
            self.assertEqual(stats["columns"][0]["name"], "time")
            rows += stats["rows"]
        self.assertEqual(rows, len(self.points_of(house, "energy_data")))
        one = self.afluxo(DONE, "export", "--from", house, "--bucket", "energy_data", "--measurement", "generation_data", "-o", self.path("g.parquet"))
        self.assertIn("rows", one.err)
        self.afluxo(USAGE, "export", "--from", house, "--bucket", "energy_data", "--format", "parquet")
        self.afluxo(USAGE, "export", "--from", house, "--bucket", "energy_data", "--start", "yesterday")

    def test_a_tag_and_a_field_of_one_name_are_two_columns(self):
        house = self.house("m,x=tag x=1.5,time2=2 5\nm,y=only f=3 6\n")
        self.afluxo(DONE, "export", "--from", house, "--bucket", "d", "--measurement", "m", "-o", self.path("m.parquet"))
        r = self.afluxo(DONE, "inspect", "sample", self.path("m.parquet"), "--rows", "0", "--json")
        rows = sorted((json.loads(line) for line in r.out.splitlines()), key=lambda row: row["time"])
        self.assertEqual([(row["x"], row["y"], row["x_1"], row["f"]) for row in rows], [("tag", None, 1.5, None), (None, "only", None, 3)])


class Files(Transfer):
    def tsm(self, house):
        return sorted(os.path.join(d, f) for d, _, files in os.walk(house) for f in files if f.endswith(".tsm"))

    def test_build_verify_dump_export(self):
        text = sample(11)
        self.write("x.lp", text)
        built = self.path("built")
        self.afluxo(DONE, "tsm", "build", self.path("x.lp"), "-o", built, "--bucket", "d", "--shard-duration", "52w", "--json")
        self.assertEqual(self.points_of(built, "d"), points(text))
        files = self.tsm(built)
        for directory in {os.path.dirname(f) for f in files}:
            self.assertEqual(sum(os.path.dirname(f) == directory for f in files), 1, files)  # one generation a shard
        r = self.afluxo(DONE, "tsm", "verify", built, "--json").json
        self.assertEqual((r["faults"], r["values"]), (0, sum(len(f) for f in points(text).values())))
        r = self.afluxo(DONE, "tsm", "verify", *files, "--json").json
        self.assertEqual((r["faults"], r["values"]), (0, sum(len(f) for f in points(text).values())))
        self.assertEqual(points(self.afluxo(DONE, "tsm", "export", built + "/engine/data").out), points(text))
        dump = [json.loads(line) for line in self.afluxo(DONE, "tsm", "dump", files[0], "--json").out.splitlines()]
        self.assertEqual(dump[0]["keys"], len(dump) - 1)
        self.assertIn("gor", {b["encoding"].split("/")[1] for k in dump[1:] for b in k["blocks"]})
        self.assertIn("blocks", self.afluxo(DONE, "tsm", "dump", files[0], "--verbose").out)
        self.afluxo(USAGE, "tsm", "build", self.path("x.lp"), "-o", built)

    def test_damage_is_told_with_its_place(self):
        house = self.house(sample(12, rows=200))
        path = self.tsm(house)[0]
        content = bytearray(open(path, "rb").read())
        content[20] ^= 4
        open(path, "wb").write(content)
        r = self.afluxo(FAILED, "tsm", "verify", path)
        self.assertIn(path, r.out)
        r = self.afluxo(FAILED, "tsm", "verify", house, "--json")
        self.assertGreater(r.json["faults"], 0)
        self.assertTrue(any(os.path.basename(path) in words for words in r.json["details"]), r)
        self.assertIn("no such file", self.afluxo(FAILED, "tsm", "verify", self.path("none")).err)


class Administration(Transfer):
    def test_buckets_users_tokens_of_a_directory(self):
        d = ["--to", self.path("house")]
        made = self.afluxo(DONE, "bucket", "create", "b", *d, "--retention", "30d", "--json").json
        self.assertEqual((made["name"], made["retention_s"], made["shard_s"]), ("b", 30 * 86400, 86400))
        self.assertIn("already", self.afluxo(FAILED, "bucket", "create", "b", *d).err)
        self.afluxo(DONE, "bucket", "create", "history", *d)
        buckets = self.afluxo(DONE, "bucket", "list", *d, "--json").json["buckets"]
        self.assertEqual([(b["name"], b["shard_s"]) for b in buckets], [("b", 86400), ("history", 52 * 7 * 86400)])
        env = lib.environment(INFLUX_PASSWORD="correct horse")
        self.expect(lib.run("user", "create", "ana", *d, env=env), DONE)
        users = self.afluxo(DONE, "user", "list", *d, "--json").json["users"]
        self.assertEqual([u["name"] for u in users], ["ana"])
        self.afluxo(USAGE, "token", "create", *d)
        token = self.afluxo(DONE, "token", "create", *d, "--write-bucket", "b", "--description", "loader", "--json").json
        self.assertGreater(len(token["token"]), 40)
        tokens = self.afluxo(DONE, "token", "list", *d, "--json")
        self.assertNotIn(token["token"], tokens.out)
        self.assertEqual([(t["id"], t["description"], t["permissions"]) for t in tokens.json["tokens"]], [(token["id"], "loader", 1)])
        self.assertIn("loader", self.afluxo(DONE, "token", "list", *d).out)
        self.afluxo(DONE, "token", "delete", token["id"], *d)
        self.afluxo(DONE, "user", "delete", "ana", *d)
        self.afluxo(DONE, "bucket", "delete", "b", *d)
        self.afluxo(FAILED, "bucket", "delete", "b", *d)
        self.afluxo(FAILED, "user", "delete", "ana", *d)
        self.afluxo(FAILED, "token", "delete", token["id"], *d)
        self.afluxo(USAGE, "bucket", "make", "b", *d)
        self.assertEqual(len(self.afluxo(DONE, "bucket", "list", *d, "--json").json["buckets"]), 1)


URL = os.environ.get("AFLUXO_TEST_INFLUXDB2")
TOKEN = os.environ.get("AFLUXO_TEST_INFLUXDB2_TOKEN", "")
ORG = os.environ.get("AFLUXO_TEST_INFLUXDB2_ORG", "")
ENGINE = os.environ.get("AFLUXO_TEST_INFLUXDB2_ENGINE")

if URL:  # a skipped test counts as a failed one
    class Influx2(Transfer):
        def setUp(self):
            super().setUp()
            self.bucket = f"afluxo-transfer-{os.getpid()}-{self.id().rsplit('.', 1)[1]}"[:120]
            self.target = ["--to", URL, "--org", ORG, "--token", TOKEN]
            self.addCleanup(lib.run, "bucket", "delete", self.bucket, *self.target)

        def there(self):
            return self.points_of(URL, self.bucket, "--org", ORG, "--token", TOKEN)

        def test_a_new_bucket_then_the_same_again_then_more(self):
            text = sample(13)
            house = self.house(text)
            load = [house, *self.target, "--bucket", "d", "--new-bucket", self.bucket, "--json"]
            r = self.afluxo(DONE, "bulkload", *load)
            self.assertEqual(r.json["values_verified"], sum(len(f) for f in points(text).values()))
            self.assertEqual(self.there(), points(text))
            self.afluxo(DONE, "bulkload", *load)
            self.assertEqual(self.there(), points(text))
            # Restated values win; what is new comes in, also in shards that are not there yet.
            more = "m,t=a f=77.5 %d\nm,t=new b=true 300000000000000000\n" % (1_600_000_000 * 10**9 // DAY * DAY)
            second = self.house(more, name="second")
            self.afluxo(DONE, "bulkload", second, *self.target, "--bucket", "d", "--new-bucket", self.bucket)
            want = points(text)
            for key, fields in points(more).items():
                want.setdefault(key, {}).update(fields)
            self.assertEqual(self.there(), want)

        def test_unsigned_values_too(self):
            path = self.write("u.lp", "m u=18446744073709551615u 5\nm u=0u 6\n")
            self.afluxo(DONE, "tsm", "build", path, "-o", self.path("built"), "--bucket", "d", "--unsigned")
            self.afluxo(DONE, "bulkload", self.path("built"), *self.target, "--bucket", "d", "--new-bucket", self.bucket)
            self.assertEqual(self.there(), points("m u=18446744073709551615u 5\nm u=0u 6\n"))

        def test_administration(self):
            made = self.afluxo(DONE, "bucket", "create", self.bucket, *self.target, "--retention", "30d", "--json").json
            self.assertEqual((made["retention_s"], made["shard_s"]), (30 * 86400, 86400))
            listed = self.afluxo(DONE, "bucket", "list", *self.target, "--json").json["buckets"]
            self.assertIn(made["id"], [b["id"] for b in listed])
            token = self.afluxo(DONE, "token", "create", *self.target, "--write-bucket", self.bucket, "--json").json
            path = self.write("x.lp", "m f=1 %d\n" % (time.time_ns() - DAY))
            self.afluxo(DONE, "write", path, "--to", URL, "--org", ORG, "--token", token["token"], "--bucket", self.bucket, "--state", self.path("s"))
            self.afluxo(DONE, "token", "delete", token["id"], *self.target)
            r = self.afluxo(FAILED, "bulkload", self.house("m f=1 5\n"), "--to", URL, "--org", ORG, "--token", "no", "--bucket", "d")
            self.assertIn("401", r.err)

        def test_its_engine_directory(self):
            if not ENGINE:
                return
            text = sample(14)
            path = self.write("x.lp", text)
            self.afluxo(DONE, "write", path, *self.target, "--bucket", self.bucket, "--create", "--state", self.path("s"))
            made = [b for b in self.afluxo(DONE, "bucket", "list", *self.target, "--json").json["buckets"] if b["name"] == self.bucket][0]
            shutil.copytree(os.path.dirname(ENGINE.rstrip("/")), self.path("copy"))
            self.afluxo(DONE, "restore", self.path("copy"), "--to", self.path("house"), "--bucket", made["id"], "--new-bucket", "e")
            self.assertEqual(self.points_of(self.path("house"), "e"), points(text))


if __name__ == "__main__":
    unittest.main()

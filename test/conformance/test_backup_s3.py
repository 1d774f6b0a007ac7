"""`afluxo backup s3://... --from DIR` and `restore s3://... --to DIR`, against moto behind a door that watches and breaks.

A prefix with a manifest is a whole backup, whatever happened on the way; without one it is none, and a restore changes nothing before all
of it was there and checked.
"""
import base64
import collections
import datetime
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest

import aws_lib
import lib
import test_aws_s3 as s3_lib
import test_backup_server
from lib import DONE, FAILED, USAGE

BUCKET = "backups"
WEEK = 7 * 86400 * 10**9
START = 1_600_000_000 * 10**9 // WEEK * WEEK


def setUpModule():
    s3_lib.MOTO = aws_lib.Moto()
    s3_lib.MOTO.client("s3").create_bucket(Bucket=BUCKET)


def tearDownModule():
    s3_lib.MOTO.close()


def sample(seed, weeks=5, rows=300):
    rng = random.Random(seed)
    lines = [f"m,t={rng.choice('abc')} f={rng.random()!r},i={rng.randrange(10**6)}i,s=\"x{rng.random()}\" {START + w * WEEK + i * 10**9}"
             for w in range(weeks) for i in range(rows)]
    return "\n".join(lines) + "\n"


class Case(s3_lib.Case):
    @property
    def url(self):
        return f"s3://{BUCKET}/{self.prefix}"

    def house(self, text, name="house", bucket="d"):
        path = self.write(name + ".lp", text)
        self.afluxo(DONE, "migrate", path, "--to", self.path(name), "--bucket", bucket, "--create", "--shard-duration", "1w", "--state",
                    self.path("state"), binary=lib.RELEASE)
        return self.path(name)

    def objects(self, prefix=None):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=(prefix or self.prefix) + "/")
        return {o["Key"].split("/")[-1]: o["Size"] for page in pages for o in page.get("Contents", [])}

    def kinds(self):
        return collections.Counter(name.rsplit(".", 1)[-1] for name in self.objects())

    def body(self, name):
        return self.s3.get_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")["Body"].read()

    def manifest(self):
        return json.loads(self.body(max(name for name in self.objects() if name.endswith(".manifest"))))

    def archives(self):
        return sorted(name for name in self.objects() if name.endswith(".tar.gz"))

    def back_up(self, house, status=DONE, url=None, door=None, args=(), **kw):
        r = self.afluxo(status, "backup", url or self.url, "--from", house, "--json", *args, env=self.env(door and door.url), **kw)
        self.assertFalse(os.path.exists(os.path.join(house, "archives.tmp")))
        return r

    def restore(self, status=DONE, to="again", url=None, door=None, args=(), **kw):
        r = self.afluxo(status, "restore", url or self.url, "--to", self.path(to), "--json", *args, env=self.env(door and door.url), **kw)
        self.assertFalse(os.path.exists(self.path(to, "archives.tmp")))
        self.assertFalse(os.path.exists(self.path(to, "restore.tmp")))
        return r

    def points(self, house, bucket="d"):
        return sorted(self.afluxo(DONE, "export", "--from", house, "--bucket", bucket, binary=lib.RELEASE).out.splitlines())

    def unchanged(self, to="again"):
        """No bucket came of a restore that failed."""
        r = lib.run("bucket", "list", "--to", self.path(to), "--json")
        self.assertNotIn('"d"', r.out, r)

    def refused(self, *words, **kw):
        r = self.restore(FAILED, **kw)
        for word in words:
            self.assertIn(word, r.err)
        self.unchanged()


class RoundTrip(Case):
    def test_the_same_points_come_back(self):
        house = self.house(sample(1))
        self.house("other v=1 5\n", bucket="other")
        r = self.back_up(house)
        self.assertEqual((r.json["buckets"], r.json["shards"]), (2, 6))
        self.assertEqual(self.kinds(), {"manifest": 1, "meta": 1, "gz": 6})
        self.assertEqual({name.split(".")[0] for name in self.objects()}, {r.json["name"]})
        sums = self.manifest()["sha256"]
        self.assertEqual(sums, {name: hashlib.sha256(self.body(name)).hexdigest() for name in self.archives()})
        r = self.restore()
        self.assertEqual((r.json["buckets"], r.json["shards"], r.json["shards_linked"]), (2, 6, 6))
        for bucket in ("d", "other"):
            self.assertEqual(self.points(self.path("again"), bucket), self.points(house, bucket))
        self.restore(to="copy", args=("--bucket", "d", "--new-bucket", "e"))
        self.assertEqual(self.points(self.path("copy"), "e"), self.points(house))

    def test_the_objects_are_the_files_of_a_backup_directory(self):
        house = self.house(sample(2))
        self.back_up(house)
        for name in self.objects():
            self.write("carried/" + name, self.body(name))
        self.afluxo(DONE, "restore", self.path("carried"), "--to", self.path("again"))
        self.assertEqual(self.points(self.path("again")), self.points(house))
        # and the other way: a directory that was copied up, even one of a version that knew no sums
        self.afluxo(DONE, "backup", self.path("local"), "--from", house)
        for name in os.listdir(self.path("local")):
            with open(self.path("local", name), "rb") as f:
                body = f.read()
            if name.endswith(".manifest"):
                body = json.dumps({k: v for k, v in json.loads(body).items() if k != "sha256"}).encode()
            self.s3.put_object(Bucket=BUCKET, Key=f"{self.prefix}-up/deep/{name}", Body=body)
        self.restore(to="up", url=self.url + "-up/deep/")
        self.assertEqual(self.points(self.path("up")), self.points(house))

    def test_each_form_alone(self):
        house = self.house(sample(3, weeks=2))
        for form in ("1", "2"):
            self.back_up(house, url=self.url + "/" + form, args=("--form", form))
            self.restore(to="again" + form, url=self.url + "/" + form)
            self.assertEqual(self.points(self.path("again" + form)), self.points(house))

    def test_the_newest_counts_or_the_one_that_is_named(self):
        house = self.house(sample(4, weeks=1))
        old = self.back_up(house).json["name"]
        time.sleep(1.1)
        self.house("m,t=new f=1 %d\n" % START)
        self.back_up(house)
        self.restore(to="new")
        self.assertEqual(self.points(self.path("new")), self.points(house))
        self.restore(to="old", url=f"{self.url}/{old}.manifest")
        self.assertEqual([p for p in self.points(house) if ",t=new " not in p], self.points(self.path("old")))

    def test_endpoint_region_and_the_whole_bucket(self):
        self.s3.create_bucket(Bucket="whole")
        house = self.house("m f=1 5\n")
        env = lib.environment(**aws_lib.KEYS)
        how = ("--endpoint-url", s3_lib.MOTO.url, "--region", "us-east-1")
        self.afluxo(DONE, "backup", "s3://whole", "--from", house, *how, env=env)
        self.afluxo(DONE, "restore", "s3://whole/", "--to", self.path("again"), *how, env=env)
        self.assertEqual(self.points(self.path("again")), self.points(house))

    def test_of_a_running_server(self):
        """Server -> S3 -> directory. What a server's answers may be: test/e2e/test_backup_server.py."""
        text = sample(16)
        self.afluxo(DONE, "backup", self.path("local"), "--from", self.house(text))
        server = test_backup_server.Server2()
        self.addCleanup(server.close)
        server.add_backup(self.path("local"))
        env = self.env(INFLUX_TOKEN="operator", TMPDIR=self.path())
        self.afluxo(DONE, "backup", self.url, "--from", server.url, env=env)
        self.assertEqual([n for n in os.listdir(self.path()) if n.endswith(".tmp")], [])
        self.restore()
        self.assertEqual(self.points(self.path("again")), self.points(self.path("house")))
        server.hook = lambda path: (500, b"so it is") if path.endswith("/4") else None
        before = self.objects()
        self.assertIn("500", self.afluxo(FAILED, "backup", self.url, "--from", server.url, env=env).err)
        self.assertEqual(self.objects(), before)

    def test_usage(self):
        self.assertIn("copy it", self.afluxo(USAGE, "restore", self.url, "--to", "http://127.0.0.1:1").err)

    def test_a_broken_network_changes_nothing_of_it(self):
        """Every third answer ends half way or is reset: all is tried again."""
        house = self.house(sample(5))

        def bend(seen, number, raw, body_at):
            if len(door.seen) % 3 == 0 and len(raw) > body_at:
                return raw[:body_at + (len(raw) - body_at) // 2], random.choice(["close", "reset"])
            return None
        door = self.door(bend=bend)
        self.back_up(house)
        self.restore(door=door)
        self.assertGreater(door.bent, 1)
        self.assertEqual(self.points(self.path("again")), self.points(house))


class NoBackup(Case):
    def setUp(self):
        super().setUp()
        self.made = self.house(sample(6))
        self.back_up(self.made)

    def put_back(self, name, body):
        self.s3.put_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}", Body=body)

    def test_damaged_archive(self):
        name = self.archives()[3]
        good = self.body(name)
        for at in (len(good) // 2, len(good) - 3):
            self.put_back(name, good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
            self.refused(name)

    def test_damaged_archive_without_sums(self):
        """gzip's own check finds it, too: what a backup of InfluxDB has."""
        [manifest] = [n for n in self.objects() if n.endswith(".manifest")]
        self.put_back(manifest, json.dumps({k: v for k, v in self.manifest().items() if k != "sha256"}))
        name = self.archives()[3]
        good = self.body(name)
        self.put_back(name, good[:len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1:])
        self.refused(name)

    def test_an_archive_of_another_size(self):
        name = self.archives()[1]
        self.put_back(name, self.body(name)[:-100])
        self.refused(name, "the manifest says")

    def test_another_archive_that_is_sound(self):
        name = self.archives()[1]
        body = self.body(name)
        other = body[:4] + b"1234" + body[8:]  # the time in gzip's header, which nothing else looks at
        self.assertEqual(gzip.decompress(other), gzip.decompress(body))
        self.put_back(name, other)
        self.refused(name, "SHA-256")

    def test_missing_archive(self):
        name = self.archives()[-1]
        self.s3.delete_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")
        self.refused(name)

    def test_missing_manifest(self):
        [name] = [n for n in self.objects() if n.endswith(".manifest")]
        self.s3.delete_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")
        self.refused("no *.manifest")
        self.refused("no *.manifest", url=self.url + "/nothing")
        self.refused(name, url=f"{self.url}/{name}")
        self.refused("absent", url="s3://absent-bucket/x")

    def test_manifests_that_are_none(self):
        [name] = [n for n in self.objects() if n.endswith(".manifest")]
        for body in (b"", b"{", b"[]", b"{}", b'{"buckets": 5}', b"\0" * 100, json.dumps(self.manifest()).encode()[:-20]):
            self.put_back(name, body)
            self.refused(self.prefix)

    def test_an_object_replaced_while_it_is_read_is_never_a_mixture(self):
        name = self.archives()[2]
        body = self.body(name)

        def hook(seen, number):
            if seen.is_get and seen.path.endswith(name):
                self.put_back(name, body[:-1] + b"x")
        self.refused(name, door=self.door(hook))

    def test_no_right_to_read(self):
        name = self.archives()[2]
        door = self.door(lambda seen, n: s3_lib.error(403, "AccessDenied") if seen.path.endswith(name) else None)
        self.refused(name, door=door)
        door = self.door(lambda seen, n: s3_lib.error(403, "AccessDenied"))
        self.refused("AccessDenied", door=door)


class Interrupted(Case):
    def is_archive(self, seen):
        return seen.method in ("PUT", "POST") and ".tar.gz" in seen.path

    def denied(self, *methods, after=0, only=""):
        count = [0]

        def hook(seen, number):
            if seen.method in methods and only in seen.path and not seen.path.endswith(".running"):
                count[0] += 1
                if count[0] > after:
                    return s3_lib.error(403, "AccessDenied")
            return None
        return self.door(hook)

    def test_killed_in_the_middle_then_run_again(self):
        house = self.house(sample(7))
        for victim in range(1, 8):
            for name in self.objects():
                self.s3.delete_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")
            process, puts = None, []

            def hook(seen, number):
                if seen.method == "PUT":
                    puts.append(seen.path)
                    if len(puts) == victim:
                        process.send_signal(signal.SIGKILL)
                        process.wait()
                        return s3_lib.error(500, "InternalError") if victim % 2 else None
                return None
            door = self.door(hook)
            process = lib.start("backup", self.url, "--from", house, env=self.env(door.url), binary=lib.RELEASE)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, -signal.SIGKILL)
            self.assertEqual(self.kinds()["manifest"], 0, self.objects())
            self.restore(FAILED, to=f"none{victim}")
            time.sleep(1.1)
            self.back_up(house, binary=lib.RELEASE)
            self.restore(to=f"again{victim}", binary=lib.RELEASE)
            self.assertEqual(self.points(self.path(f"again{victim}")), self.points(house))

    def test_killed_restore_then_run_again(self):
        house = self.house(sample(8))
        self.back_up(house)
        process, gets = None, []

        def hook(seen, number):
            if seen.is_get and ".tar.gz" in seen.path:
                gets.append(seen.path)
                if len(gets) == 3:
                    process.send_signal(signal.SIGKILL)
                    process.wait()
        door = self.door(hook)
        process = lib.start("restore", self.url, "--to", self.path("again"), env=self.env(door.url), binary=lib.RELEASE)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGKILL)
        self.assertTrue(os.path.exists(self.path("again", "archives.tmp")))
        self.restore()
        self.assertEqual(self.points(self.path("again")), self.points(house))

    def test_stopped_by_the_user_leaves_nothing(self):
        house = self.house(sample(9))
        process, puts = None, []

        def hook(seen, number):
            if self.is_archive(seen):
                puts.append(seen.path)
                if len(puts) == 3:
                    process.send_signal(signal.SIGINT)
                    time.sleep(0.2)
        door = self.door(hook)
        process = lib.start("backup", self.url, "--from", house, env=self.env(door.url))
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, FAILED, err)
        self.assertEqual(self.objects(), {})
        self.assertFalse(os.path.exists(os.path.join(house, "archives.tmp")))

    def test_no_right_to_write(self):
        house = self.house(sample(10))
        door = self.door(lambda seen, n: s3_lib.error(403, "AccessDenied") if seen.method in ("PUT", "POST") else None)
        self.assertIn("AccessDenied", self.back_up(house, FAILED, door=door).err)
        self.assertEqual(len([s for s in door.seen if self.is_archive(s)]), 0)  # known before anything was packed
        self.assertEqual(self.objects(), {})
        self.assertIn("absent", self.back_up(house, FAILED, url="s3://absent-bucket/x").err)

    def test_a_failure_on_the_way_is_taken_back(self):
        house = self.house(sample(11))
        for after in (0, 2, 5):  # archives, the catalogue
            self.assertIn("AccessDenied", self.back_up(house, FAILED, door=self.denied("PUT", after=after)).err)
            self.assertEqual(self.objects(), {})
        self.back_up(house, FAILED, door=self.denied("PUT", only=".manifest"))
        self.assertEqual(self.objects(), {})

    def test_without_the_right_to_delete(self):
        house = self.house(sample(12))
        r = self.back_up(house, door=self.door(lambda seen, n: s3_lib.error(403, "AccessDenied") if seen.method == "DELETE" else None))
        self.assertIn(".running stays", r.err)
        self.restore()  # a backup all the same
        self.assertEqual(self.points(self.path("again")), self.points(house))
        for name in self.objects():
            self.s3.delete_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")

        def hook(seen, number):
            if seen.method == "DELETE" or (seen.method == "PUT" and seen.path.endswith(".meta")):
                return s3_lib.error(403, "AccessDenied")
            return None
        self.assertIn("stays in S3", self.back_up(house, FAILED, door=self.door(hook)).err)
        self.assertEqual(self.kinds(), {"gz": 5, "running": 1})
        self.restore(FAILED, to="none")

    def test_a_manifest_whose_answer_was_lost_is_a_backup_or_gone(self):
        """S3 has it, the client is told 500 each time: what is seen then must be whole."""
        house = self.house(sample(13))

        def hook(seen, number):
            if seen.method == "DELETE":
                return s3_lib.error(403, "AccessDenied")
            return None

        def bend(seen, number, raw, body_at):
            if seen.method in ("PUT", "GET", "HEAD") and seen.path.endswith(".manifest"):
                return b"", "close"
            return None
        r = self.back_up(house, FAILED, door=self.door(hook, bend=bend))
        self.assertIn("stays in S3", r.err)
        self.assertEqual(self.kinds()["manifest"], 1)
        self.restore()
        self.assertEqual(self.points(self.path("again")), self.points(house))

    def test_a_backup_of_this_second_is_there(self):
        house = self.house(sample(14, weeks=1))
        now = datetime.datetime.now(datetime.timezone.utc)
        for ending in (".manifest", ".running"):
            names = [f"{(now + datetime.timedelta(seconds=i)):%Y%m%dT%H%M%SZ}{ending}" for i in range(60)]
            for name in names:
                self.s3.put_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}", Body=b"theirs")
            self.assertIn("is there already", self.back_up(house, FAILED).err)
            self.assertEqual(self.objects(), {name: 6 for name in names})
            for name in names:
                self.s3.delete_object(Bucket=BUCKET, Key=f"{self.prefix}/{name}")

    def test_two_at_once_in_one_second(self):
        """Each that says it is well has a backup of its own that comes back."""
        houses = [self.house(sample(20 + i, weeks=2), name=f"house{i}") for i in range(3)]
        time.sleep(1 - time.time() % 1)
        runs = [lib.start("backup", self.url, "--from", house, "--json", env=self.env(), binary=lib.RELEASE) for house in houses]
        ends = [(p.communicate(timeout=60), p.returncode) for p in runs]
        well = [i for i, (_, code) in enumerate(ends) if code == DONE]
        self.assertGreaterEqual(len(well), 1, ends)
        for i in well:
            name = json.loads(ends[i][0][0])["name"]
            self.restore(to=f"again{i}", url=f"{self.url}/{name}.manifest", binary=lib.RELEASE)
            self.assertEqual(self.points(self.path(f"again{i}")), self.points(houses[i]))
        self.assertEqual(self.kinds()["manifest"], len(well))


PEAK = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


class Big(Case):
    def peak(self, *args):
        """The most memory that a run had, in bytes."""
        p = subprocess.run([sys.executable, "-c", PEAK, lib.RELEASE, *args], env=self.env(), capture_output=True, text=True, timeout=300)
        self.assertEqual(p.returncode, 0, p.stderr)
        return int(p.stdout.split()[-1]) * 1024

    def test_memory_is_bounded(self):
        rng = random.Random(15)
        lines = (f'm s="{base64.b64encode(rng.randbytes(3000)).decode()}" {START + i * 10**9}\n' for i in range(120_000))
        house = self.house("".join(lines))
        up = self.peak("backup", self.url, "--from", house)
        size = max(self.objects().values())
        self.assertGreater(size, 300 << 20)
        down = self.peak("restore", self.url, "--to", self.path("again"))
        print(f"an archive of {size >> 20} MiB: backup {up >> 20} MiB of memory, restore {down >> 20} MiB", file=sys.stderr)
        self.assertLess(max(up, down), size * 3 // 4)
        digests = [hashlib.sha256("\n".join(self.points(h)).encode()).hexdigest() for h in (house, self.path("again"))]
        self.assertEqual(digests[0], digests[1])


if __name__ == "__main__":
    unittest.main()

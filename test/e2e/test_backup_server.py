"""`afluxo backup ... --from URL`: buckets of an InfluxDB 2.x through its backup API.

A server of 2.x's answers stands here: it hands out TSM files and tombstones that a real influxd (1.x) wrote, as 2.x does, and lies where a
test wants it. With AFLUXO_TEST_INFLUXDB2 (and _TOKEN of an operator, _ORG) also against a real InfluxDB 2.x.
"""
import gzip
import http.server
import io
import json
import os
import signal
import subprocess
import tarfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

import lib
from lib import DONE, FAILED, USAGE
from test_transfer import DAY, Transfer, points, sample

URL = os.environ.get("AFLUXO_TEST_INFLUXDB2")
TOKEN = os.environ.get("AFLUXO_TEST_INFLUXDB2_TOKEN", "")
ORG = os.environ.get("AFLUXO_TEST_INFLUXDB2_ORG", "")
BASE = 1_600_000_000 * 10**9 // DAY * DAY


def read_backup(folder, first=1):
    """[(bucket, [(id, start, end, {file: bytes})])] of a backup directory."""
    [manifest] = [n for n in os.listdir(folder) if n.endswith(".manifest")]
    with open(os.path.join(folder, manifest)) as f:
        buckets = json.load(f)["buckets"]
    out = []
    for bucket in buckets:
        shards = []
        for group in bucket["retentionPolicies"][0]["shardGroups"]:
            with tarfile.open(os.path.join(folder, group["shards"][0]["fileName"])) as tar:
                files = {m.name.split("/")[-1]: tar.extractfile(m).read() for m in tar.getmembers()}
            shards.append((first, group["startTime"], group["endTime"], files))
            first += 1
        out.append((bucket["bucketName"], shards))
    return out


class Server2:
    """GET /api/v2/backup/metadata and /api/v2/backup/shards/ID. `hook(path)` may return (status, body) instead."""

    def __init__(self):
        self.buckets, self.shards, self.hook, self.asked = [], {}, None, []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                fake.asked.append(self.path)
                status, body = (fake.hook and fake.hook(self.path)) or fake.answer(self.path, self.headers.get("Authorization"))
                cut = status < 0
                packed = "gzip" in self.headers.get("Accept-Encoding", "") and "/shards/" in self.path
                body = gzip.compress(body) if packed else body
                self.send_response(abs(status))
                if packed:
                    self.send_header("Content-Encoding", "gzip")
                if self.path.endswith("metadata"):
                    self.send_header("Content-Type", "multipart/mixed; boundary=b0undary")
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for at in range(0, len(body) // 2 if cut else len(body), 5000):
                    piece = body[at:at + 5000]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                if cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *args: None  # who asked is gone
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, path, authorization):
        if authorization != "Token operator":
            return 401, b'{"code":"unauthorized","message":"unauthorized access"}'
        if path == "/api/v2/backup/metadata":
            return 200, self.metadata()
        shard = self.shards.get(int(path.rsplit("/", 1)[1])) if path.startswith("/api/v2/backup/shards/") else None
        return (200, shard) if shard is not None else (404, b'{"code":"not found","message":"shard not found"}')

    def metadata(self):
        """As 2.7 says it: the catalogue, which is not ours, then SQL, then the buckets."""
        parts = [("kv", "application/octet-stream", os.urandom(200_000) + b'{"token":"secret-of-the-server"}\r\n\r\n--b0\r\n'),
                 ("sql", "application/octet-stream", b"SQLite format 3\0" + os.urandom(50_000)),
                 ("buckets", "application/json; charset=utf-8", json.dumps(self.buckets).encode())]
        body = b"".join(b"--b0undary\r\nContent-Disposition: attachment; name=\"%s\"\r\nContent-Type: %s\r\n\r\n%s\r\n" %
                        (name.encode(), kind.encode(), content) for name, kind, content in parts)
        return body + b"--b0undary--\r\n"

    def add(self, name, shards, org="o", org_id="00000000000000aa"):
        """shards: [(id, start, end, {file name: bytes} or None)], times as 2.x prints them."""
        number = 0xb0 + len(self.buckets)
        groups = [{"id": i, "startTime": start, "endTime": end, "shards": [{"id": i, "shardOwners": []}]} for i, start, end, _ in shards]
        self.buckets.append({"organizationID": org_id, "organizationName": org, "bucketID": f"{number:016x}", "bucketName": name,
                             "defaultRetentionPolicy": "autogen", "retentionPolicies": [
                                 {"name": "autogen", "replicaN": 1, "duration": 0, "shardGroupDuration": 7 * DAY, "shardGroups": groups,
                                  "subscriptions": None}]})
        for i, _, _, files in shards:
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
                for file, content in (files or {}).items():
                    member = tarfile.TarInfo(f"{number:016x}/autogen/{i}/{file}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
            self.shards[i] = out.getvalue()

    def add_backup(self, folder, first=1):
        """What a backup directory of ours has, under other ids."""
        for name, shards in read_backup(folder, first):
            self.add(name, shards)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Case(Transfer):
    def setUp(self):
        super().setUp()
        self.server = Server2()
        self.addCleanup(self.server.close)
        self.token = self.write("token", "operator\n")

    def influxd_files(self, text, *deletes):
        """What an influxd keeps of it: shards with files and tombstones; and its points as it tells them."""
        server = self.influxd(extra='cache-snapshot-write-cold-duration = "1s"\ncompact-full-write-cold-duration = "1s"\n'
                                    'index-version = "inmem"\n')
        self.afluxo(DONE, "write", self.write("x.lp", text), "--to", server.url, "--bucket", "d", "--create", "--state", self.path("s"))
        time.sleep(4)
        for q in deletes:
            server.query(q, "d")
        want = self.points_of(server.url, "d")
        [shown] = [s for s in server.query("SHOW SHARDS")["results"][0]["series"] if s["name"] == "d"]
        server.process.terminate()
        server.process.wait()
        shards = []
        for row in (dict(zip(shown["columns"], values)) for values in shown["values"]):
            folder = os.path.join(server.dir, "data", "d", "autogen", str(row["id"]))
            files = {}
            for name in sorted(os.listdir(folder)):
                if name.endswith((".tsm", ".tombstone")):
                    with open(os.path.join(folder, name), "rb") as f:
                        files[name] = f.read()
            shards.append((row["id"], row["start_time"], row["end_time"], files))
        return shards, want

    def tsm(self, text, first=1):
        """The same of a house of ours, without another server."""
        house = self.house(text, name=f"made{first}", shard_duration="1w")
        self.afluxo(DONE, "backup", self.path(f"made-bk{first}"), "--from", house)
        [(_, shards)] = read_backup(self.path(f"made-bk{first}"), first)
        return shards

    def back_up(self, status=DONE, *more, to="bk", url=None):
        r = self.afluxo(status, "backup", self.path(to), "--from", url or self.server.url, "--token-file", self.token, "--json", *more)
        names = os.listdir(self.path(to)) if os.path.exists(self.path(to)) else []
        self.assertEqual([n for n in names if n.endswith(".tmp")], [])
        if status != DONE:
            self.assertEqual(names, [])
        return r

    def comes_back(self, bucket, want, bk="bk"):
        self.afluxo(DONE, "restore", self.path(bk), "--to", self.path("again-" + bk))
        self.assertEqual(self.points_of(self.path("again-" + bk), bucket), want)


class Backups(Case):
    def test_files_and_tombstones_come_back_as_points(self):
        shards, want = self.influxd_files(
            sample(5), f"DELETE FROM m WHERE t = 'a' AND time >= {BASE + 3 * DAY} AND time < {BASE + 9 * DAY}",
            f"DELETE FROM solo WHERE time < {BASE + 20 * DAY}")
        self.assertTrue(any(name.endswith(".tombstone") for *_, files in shards for name in files))
        self.server.add("d", shards)
        self.server.add("_monitoring", [(900, "2020-09-07T00:00:00Z", "2020-09-14T00:00:00Z", None)])
        r = self.back_up()
        self.assertEqual(r.json["buckets"], 1)
        self.assertNotIn("/api/v2/backup/shards/900", self.server.asked)
        self.comes_back("d", want)
        for name in os.listdir(self.path("bk")):  # deleted points and secrets are nowhere in it
            with open(self.path("bk", name), "rb") as f:
                body = f.read()
            if name.endswith(".gz"):
                with tarfile.open(self.path("bk", name)) as tar:
                    self.assertEqual([m.name for m in tar.getmembers() if not m.name.endswith(".tsm")], [])
            self.assertNotIn(b"secret-of-the-server", body)

    def test_an_influxd_restores_it(self):
        """The other readers' formats: 1.x's own tool is here to ask."""
        text = sample(6)
        self.server.add("d", self.tsm(text))
        self.back_up()
        influxd = self.influxd()
        done = subprocess.run(["influxd", "restore", "-portable", "-host", self.rpc(influxd), self.path("bk")], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for _ in range(100):  # it answers before the shards are open
            if lib.run("export", "--from", influxd.url, "--bucket", "d").status == DONE:
                break
            time.sleep(0.1)
        self.assertEqual(self.points_of(influxd.url, "d"), points(text))

    def test_empty_shards_and_ones_that_are_gone_are_left_out(self):
        text = sample(7)
        self.server.add("d", self.tsm(text) + [(500, "2021-01-04T00:00:00Z", "2021-01-11T00:00:00Z", None),
                                               (501, "2021-01-11T00:00:00Z", "2021-01-18T00:00:00Z", None)])
        del self.server.shards[501]
        self.back_up()
        self.comes_back("d", points(text))

    def test_one_bucket_of_several_and_organisations(self):
        text = sample(8, rows=300)
        self.server.add("d", self.tsm(text))
        self.server.add("e", self.tsm("m f=1 5\n", first=100))
        self.back_up(DONE, "--bucket", "e", to="e")
        self.comes_back("e", points("m f=1 5\n"), bk="e")
        self.server.add("d", self.tsm("m f=2 5\n", first=200), org="p", org_id="00000000000000bb")
        self.assertIn("--org", self.back_up(FAILED).err)
        self.back_up(DONE, "--org", "p", to="p")
        self.comes_back("d", points("m f=2 5\n"), bk="p")
        self.assertIn("no such bucket", self.back_up(FAILED, "--bucket", "nope", "--org", "o").err)

    def test_usage(self):
        self.afluxo(USAGE, "backup", self.path("bk"), "--from", "ftp://x")
        self.assertIn("operator", self.afluxo(FAILED, "backup", self.path("bk"), "--from", self.server.url).err)


class Failures(Case):
    def setUp(self):
        super().setUp()
        self.shards = self.tsm(sample(9, rows=500))
        self.server.add("d", self.shards)

    def refused(self, *words, **kw):
        r = self.back_up(FAILED, **kw)
        for word in words:
            self.assertIn(word, r.err)

    def test_a_shard_that_is_cut_short_or_damaged(self):
        good = self.server.shards[2]
        at = 512 + 40  # in the first block of the first file
        for bad in (good[:len(good) // 2], good[:600], b"", good[:at] + bytes([good[at] ^ 1]) + good[at + 1:], os.urandom(5000)):
            self.server.shards[2] = bad
            self.refused(self.server.url)

    def test_a_connection_that_ends_half_way(self):
        self.server.hook = lambda path: (-200, self.server.shards[2]) if path.endswith("/shards/2") else None
        self.refused(self.server.url)
        self.server.hook = lambda path: (-200, self.server.metadata()) if path.endswith("metadata") else None
        self.refused(self.server.url)

    def test_answers_that_are_no_success(self):
        for status in (401, 403, 404, 500, 503):
            self.server.hook = lambda path: (status, b"so it is") if path.endswith("metadata") else None
            self.refused(str(status), self.server.url)
            self.server.hook = lambda path: (status, b"so it is") if path.endswith("/shards/2") else None
            if status != 404:
                self.refused(str(status), self.server.url)

    def test_metadata_that_is_none(self):
        for body in (b"", b"--b0undary--\r\n", b"[]", b'name="buckets"', b'name="buckets"\r\n\r\n{',
                     b'name="buckets"\r\n\r\n[{"bucketID":5}]\r\n--', os.urandom(1000)):
            self.server.hook = lambda path: (200, body) if path.endswith("metadata") else None
            self.refused(self.server.url)

    def test_stopped_by_the_user_leaves_nothing(self):
        process = None

        def hook(path):
            if path.endswith("/shards/2"):
                process.send_signal(signal.SIGINT)
                time.sleep(0.3)
        self.server.hook = hook
        process = lib.start("backup", self.path("bk"), "--from", self.server.url, "--token-file", self.token)
        _, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, FAILED, err)
        self.assertEqual(os.listdir(self.path("bk")), [])

    def test_nobody_there(self):
        self.refused("127.0.0.1", url=f"http://127.0.0.1:{lib.free_port()}")


def call(method, path, body=None, **query):
    request = urllib.request.Request(URL + path + ("?" + urllib.parse.urlencode(query) if query else ""), data=body, method=method,
                                     headers={"Authorization": "Token " + TOKEN, "Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        text = answer.read()
    return json.loads(text) if text else None


class Real:
    """Mixed into Case below where there is one."""

    def test_a_real_server_comes_back_whole(self):
        bucket = f"afluxo-backup-{os.getpid()}"
        [org] = call("GET", "/api/v2/orgs", org=ORG)["orgs"]
        made = call("POST", "/api/v2/buckets", json.dumps({"orgID": org["id"], "name": bucket, "retentionRules": []}).encode())
        self.addCleanup(call, "DELETE", "/api/v2/buckets/" + made["id"])
        here = ("--org", ORG, "--token", TOKEN)
        write = lambda text: call("POST", "/api/v2/write", text.encode(), org=ORG, bucket=bucket, precision="ns")
        write(sample(11))
        self.write("token", TOKEN + "\n")
        more = ("--bucket", bucket, "--org", ORG)
        self.back_up(DONE, *more, to="first", url=URL)  # the server writes its cache to files for it
        self.comes_back(bucket, self.points_of(URL, bucket, *here), bk="first")
        erase = {"start": "2020-09-16T00:00:00Z", "stop": "2020-09-25T00:00:00Z", "predicate": '_measurement="m" AND t="a"'}
        call("POST", "/api/v2/delete", json.dumps(erase).encode(), org=ORG, bucket=bucket)  # tombstones
        write(f"m,t=a f=4.25 {BASE + 4 * DAY}\n" + sample(12, rows=300))  # into what was deleted; in the cache
        time.sleep(1.1)
        r = self.back_up(DONE, *more, to="second", url=URL)
        self.assertGreater(r.json["shards"], 3)
        want = self.points_of(URL, bucket, *here)
        self.comes_back(bucket, want, bk="second")
        # and into a server again, by its restore API: what `influx restore` calls
        self.addCleanup(lambda: [call("DELETE", "/api/v2/buckets/" + b["id"]) for b in
                                 call("GET", "/api/v2/buckets", org=ORG, name=bucket + "-2")["buckets"]])
        self.afluxo(DONE, "bulkload", self.path("second"), "--to", URL, "--bucket", bucket, "--new-bucket", bucket + "-2", *here)
        self.assertEqual(self.points_of(URL, bucket + "-2", *here), want)


if URL:
    class RealServer(Real, Case):
        pass


if __name__ == "__main__":
    unittest.main()

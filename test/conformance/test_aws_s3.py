"""Sources in S3: moto's server behind a door that watches, changes and breaks what goes through it.

Objects are read as files are: the same points, whatever the network does; what changes or vanishes is named, never mixed.
"""
import calendar
import http.client
import http.server
import json
import os
import random
import re
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import urllib.request

import aws_lib
import lib
import pyarrow
import pyarrow.parquet

BUCKET = "lake"
MOTO = None


def setUpModule():
    global MOTO
    MOTO = aws_lib.Moto()
    MOTO.client("s3").create_bucket(Bucket=BUCKET)


def tearDownModule():
    MOTO.close()


class Seen:
    def __init__(self, method, target, headers):
        self.method, self.target, self.headers = method, target, {k.lower(): v for k, v in headers.items()}
        self.path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.status, self.bytes = 0, 0

    @property
    def is_get(self):
        return self.method == "GET" and "list-type" not in self.query

    @property
    def access_key(self):
        return re.search(r"Credential=([^/]*)/", self.headers.get("authorization", "Credential=/")).group(1)


class Door:
    """A proxy in front of moto. `hook(seen, number)` may return (status, headers, body) instead of what moto says; the number counts GETs
    of objects from 1. `bend(seen, number, raw, body_at)` may return (bytes, end) instead of the answer's bytes on the wire, of which the
    body begins at `body_at`; end: "keep", "close" or "reset". `clock_s`: how far the service's clock is ahead."""

    def __init__(self, hook=None, delay=0.0, bend=None, clock_s=0):
        self.seen, self.lock, self.gets, self.hook, self.delay, self.bend, self.clock_s = [], threading.Lock(), 0, hook, delay, bend, clock_s
        self.at_once, self.at_once_max, self.bent = 0, 0, 0
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def handle(self):
                try:
                    super().handle()
                except (OSError, ValueError):  # who asked is gone, or we are
                    pass

            def do_ANY(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen = Seen(self.command, self.path, self.headers)
                with door.lock:
                    door.seen.append(seen)
                    door.gets += seen.is_get
                    number = door.gets
                    door.at_once += 1
                    door.at_once_max = max(door.at_once_max, door.at_once)
                if seen.is_get:
                    time.sleep(door.delay)
                status, headers, answer = (door.hook and door.hook(seen, number)) or self.forward(body)
                with door.lock:
                    door.at_once -= 1
                seen.status, seen.bytes = status, len(answer)
                head = f"HTTP/1.1 {status} {http.client.responses.get(status, 'x')}\r\n"
                head += f"Date: {self.date_time_string(time.time() + door.clock_s)}\r\n"
                for name, value in headers.items():
                    if name.lower() not in ("connection", "transfer-encoding", "date", "server") and (
                            name.lower() != "content-length" or self.command == "HEAD"):
                        head += f"{name}: {value}\r\n"
                if self.command != "HEAD":
                    head += f"Content-Length: {len(answer)}\r\n"
                self.give(seen, number, (head + "\r\n").encode("latin-1"), b"" if self.command == "HEAD" else answer)

            def give(self, seen, number, head, answer):
                raw, end = head + answer, "keep"
                bent = door.bend and door.bend(seen, number, raw, len(head))
                if bent:
                    raw, end = bent
                    with door.lock:
                        door.bent += 1
                try:
                    self.wfile.write(raw)
                    if end == "reset":
                        time.sleep(0.02)  # a reset overtakes what was not read yet
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        socket.close(self.connection.detach())
                except OSError:
                    pass
                self.close_connection = self.close_connection or end != "keep"

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_ANY

            def forward(self, body):
                connection = http.client.HTTPConnection("127.0.0.1", MOTO.port, timeout=60)
                connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    connection.putheader(name, value)
                connection.endheaders(body)
                answer = connection.getresponse()
                content = answer.read()
                connection.close()
                return answer.status, dict(answer.getheaders()), content

        class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def objects(self):
        return [s for s in self.seen if s.is_get]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def error(status, code, **more):
    inner = "".join(f"<{k}>{v}</{k}>" for k, v in more.items())
    return status, {"Content-Type": "application/xml"}, f"<Error><Code>{code}</Code><Message>so it is</Message>{inner}</Error>".encode()


class Case(lib.Case):
    def setUp(self):
        super().setUp()
        self.s3 = MOTO.client("s3")
        self.prefix = self.id().rsplit(".", 1)[-1]

    def door(self, hook=None, delay=0.0, **kw):
        door = Door(hook, delay, **kw)
        self.addCleanup(door.close)
        return door

    def env(self, url=None, **more):
        env = lib.environment(**aws_lib.KEYS, AWS_ENDPOINT_URL=url or MOTO.url, XDG_STATE_HOME=self.path("state"))
        env.update(more)
        return env

    def put(self, name, content):
        key = f"{self.prefix}/{name}"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content.encode() if isinstance(content, str) else content)
        return key

    @property
    def url(self):
        return f"s3://{BUCKET}/{self.prefix}"

    def generate(self, *args):
        """ONS-shaped Parquet, in a directory and in the bucket."""
        self.afluxo(lib.DONE, "generate", "ons", "--out", self.path("data"), *args, binary=lib.RELEASE)
        for folder, _, names in os.walk(self.path("data")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    self.put(os.path.relpath(os.path.join(folder, name), self.dir), f.read())

    def script(self, expires_s):
        """A credential_process that gives another key each time."""
        count = self.path("count")
        return self.write("give.py", f"""
import datetime, json, os
n = int(open({count!r}).read()) if os.path.exists({count!r}) else 0
open({count!r}, "w").write(str(n + 1))
end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds={expires_s})
print(json.dumps(dict(Version=1, AccessKeyId=f"key{{n}}", SecretAccessKey="s", SessionToken=f"token{{n}}", Expiration=end.strftime("%Y-%m-%dT%H:%M:%SZ"))))
""")

    def profile(self, expires_s=3600):
        config = self.write("config", f"[default]\nregion = us-east-1\ncredential_process = {sys.executable} {self.script(expires_s)}\n")
        env = {"AWS_CONFIG_FILE": config}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            env[name] = ""
        return env

    def convert(self, *args, status=lib.DONE, **kw):
        return self.afluxo(status, "convert", *args, env=self.env(**kw)).out


def small(**kw):
    return ("--plants", "5", "--from", "2024-01-01", "--to", kw.get("to", "2024-03-01"))


class AsFiles(Case):
    def test_same_points_as_the_directory(self):
        self.generate(*small())
        here = self.convert(self.path("data"))
        self.assertGreater(here.count("\n"), 10000)
        for name in (self.url, self.url + "/", self.url + "/data", self.url + "/*/dataset=*/year=*/month=*/*.parquet"):
            self.assertEqual(self.convert(name), here, name)
        lines = {d: self.convert(f"{self.url}/data/dataset={d}") for d in ("consumption", "generation", "transmission")}
        self.assertEqual("".join(lines[d] for d in sorted(lines)), here)
        one = f"{self.url}/data/dataset=generation/year=2024/month=02/part-000.parquet"
        self.assertEqual(self.convert(one), self.convert(one.replace(self.url, self.dir)))

    def test_migrate_and_verify(self):
        self.generate(*small())
        influxd = lib.Influxd()
        self.addCleanup(influxd.close)
        for to in (self.path("built"), influxd.url):
            r = self.afluxo(lib.DONE, "migrate", self.url, "--to", to, "--bucket", "energy", "--create", "--verify", "--json", env=self.env())
            self.assertGreater(r.json["points_written"] if "points_written" in r.json else r.json["points"], 10000, r)
            self.assertIn("equal", r.err)
            self.afluxo(lib.DONE, "verify", self.url, "--to", to, "--bucket", "energy", env=self.env())

    def test_every_command_that_takes_sources(self):
        key = self.put("a/m.lp", "m,t=a v=1 1000000000\nm,t=b v=2 2000000000\n")
        self.put("a/plain", "m,t=c v=3 3000000000\n")
        url = f"s3://{BUCKET}/{key}"
        self.assertIn("m,t=a v=1", self.convert(url))
        self.afluxo(lib.DONE, "write", url, "--to", self.path("db"), "--bucket", "b", env=self.env())
        self.assertIn("2 points", self.afluxo(lib.DONE, "inspect", "stats", url, env=self.env()).out.replace(" lines", " points"))
        self.afluxo(lib.DONE, "tsm", "build", url, "-o", self.path("tsm"), "--bucket", "b", env=self.env())
        self.afluxo(lib.DONE, "migrate", url, "--to", self.path("dry"), "--bucket", "b", "--dry-run", env=self.env())

    def test_format_by_first_bytes(self):
        table = pyarrow.table({"time": pyarrow.array([1, 2], pyarrow.timestamp("ns")), "value": [1.5, 2.5]})
        pyarrow.parquet.write_table(table, self.path("t"))
        with open(self.path("t"), "rb") as f:
            key = self.put("no-name", f.read())
        out = self.convert(f"s3://{BUCKET}/{key}", "--infer")
        self.assertEqual(out.count("\n"), 2)

    def test_nothing_there(self):
        self.put("database/x.lp", "m v=1 1\n")
        for name in (self.url + "/data", self.url + "/data/", self.url + "/da*se/nothing-*", f"s3://{BUCKET}-absent/x"):
            r = self.afluxo(lib.FAILED, "convert", name, env=self.env())
            self.assertIn("s3://" + BUCKET, r.err)
        r = self.afluxo(lib.USAGE, "convert", "s3://", env=self.env())
        self.assertIn("s3://BUCKET/KEY", r.err)


class Keys(Case):
    names = ["plain.lp", "with space.lp", "plus+plus.lp", "100%.lp", "%41.lp", "a%2Fb.lp", "é€😀.lp", "tab\tand\x7f.lp", "double//slash.lp",
             "?&=#;,:@$.lp", "quote'\"<>&.lp", "{}[]|\\^`~.lp", "back\\slash.lp", "x" * 200 + ".lp"]

    def test_every_name(self):
        door = self.door()
        for i, name in enumerate(self.names):
            self.put(name, f"m,i=a{i} v=1 {i + 1}\n")
        everything = self.convert(self.url, url=door.url)
        # those that a directory would hide are passed over
        hidden = [n for n in self.names if any(p.startswith((".", "_")) for p in n.split("/"))]
        self.assertEqual(everything.count("\n"), len(self.names) - len(hidden))
        for i, name in enumerate(self.names):
            door.seen.clear()
            got = self.convert(f"{self.url}/{name}", url=door.url) if not set(name) & set("*?[") else None
            if got is None:
                continue
            self.assertEqual(got, f"m,i=a{i} v=1 {i + 1}\n")
            self.assertEqual([s.path for s in door.objects()], [f"/{BUCKET}/{self.prefix}/" + urllib.parse.quote(name, safe="/~")], name)

    def test_key_with_every_byte(self):
        """All bytes that UTF-8 has, but 0 and the line end (moto finds no such key), in two keys; also in what is said about them, where none may
        reach the terminal as a control."""
        low = "".join(map(chr, [*range(1, 10), *range(11, 128)]))
        high = "".join(chr(c) for c in [*range(0x80, 0x100), *range(0x100, 0x800, 64), *range(0x1000, 0xd000, 0x1000), 0xe000, 0xf000, 0x10000,
                                        0x50000, 0x90000, 0xd0000, 0x10ffff])
        for i, name in enumerate((low, high)):
            self.put(name + ".lp", f"m,i=a{i} v=1 {i + 1}\n")
        self.assertEqual(sorted(self.convert(self.url).splitlines()), ["m,i=a0 v=1 1", "m,i=a1 v=1 2"])
        args = ("migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--state", self.path("st"))
        r = self.afluxo(lib.DONE, *args, "--verify", env=self.env())
        self.assertIn("equal", r.err)
        self.assertIn("done: 0 files", self.afluxo(lib.DONE, *args, "--resume", env=self.env()).err)
        door = self.door(lambda seen, n: error(403, "AccessDenied") if seen.is_get else None)
        r = self.afluxo(lib.FAILED, "convert", self.url, env=self.env(door.url))
        self.assertEqual(r.err.count("AccessDenied"), 2)
        self.assertIn("\\x1b", r.err)
        self.assertEqual(set(r.err + r.out) & set(map(chr, [*range(1, 10), *range(11, 32), *range(127, 160)])), set())

    def test_leading_slash(self):
        self.s3.put_object(Bucket=BUCKET, Key="/" + self.prefix + "/k.lp", Body=b"m v=1 1\n")
        self.assertEqual(self.convert(f"s3://{BUCKET}//{self.prefix}/k.lp"), "m v=1 1\n")
        self.assertEqual(self.convert(f"s3://{BUCKET}//{self.prefix}"), "m v=1 1\n")

    def test_prefix_is_a_whole_segment(self):
        self.put("data.lp", "m v=1 1\n")
        self.put("data/x.lp", "m v=2 2\n")
        self.put("data2/x.lp", "m v=3 3\n")
        self.put("data/_SUCCESS", "")
        self.put("data/_temporary/x.lp", "m v=9 9\n")
        self.put("data/folder/", "")
        self.put("data/readme.md", "no")
        self.assertEqual(self.convert(self.url + "/data"), "m v=2 2\n")
        self.assertEqual(self.convert(self.url + "/data.lp"), "m v=1 1\n")

    def test_patterns(self):
        for i, name in enumerate(("a1.lp", "a2.lp", "ab.lp", "d/a1.lp", "a*.lp", "é1.lp")):
            self.put(name, f"m v=1 {i + 1}\n")
        for pattern, expected in (("a?.lp", "1235"), ("a[0-9].lp", "12"), ("a[!0-9].lp", "35"), ("*/a*.lp", "4"), ("a\\*.lp", "5"), ("?1.lp", "16"),
                                  ("*.lp", "12356"), ("[aé]1.lp", "16"), ("?*", "12356"), ("d/*", "4"), ("[", None), ("*/*/*", None)):
            if expected is None:
                self.afluxo(lib.FAILED, "convert", self.url + "/" + pattern, env=self.env())
                continue
            out = self.convert(self.url + "/" + pattern)
            self.assertEqual("".join(sorted(line.rsplit(" ", 1)[1] for line in out.splitlines())), expected, pattern)

    def test_more_than_a_page(self):
        """S3 says 1,000 keys at once; here it says 7."""
        for i in range(60):
            self.put(f"{i:05}.lp", f"m v=1 {i + 1}\n")

        def hook(seen, number):
            if "list-type" in seen.query:
                with urllib.request.urlopen(MOTO.url + seen.target + "&max-keys=7") as answer:
                    return answer.status, dict(answer.headers), answer.read()

        door = self.door(hook)
        out = self.convert(self.url, url=door.url)
        self.assertEqual([int(line.rsplit(" ", 1)[1]) for line in out.splitlines()], list(range(1, 61)))
        self.assertEqual(sum("continuation-token" in s.query for s in door.seen), 8)


class Bytes(Case):
    """What is fetched, counted at the door."""

    def wide(self, columns=20, groups=4, rows=40000):
        """Row groups of columns that do not compress: about 300 KiB a chunk."""
        import random
        rng = random.Random(1)
        data = {"time": pyarrow.array(range(groups * rows), pyarrow.timestamp("ns"))}
        for c in range(columns - 1):
            data[f"c{c:02}"] = [rng.random() for _ in range(groups * rows)]
        pyarrow.parquet.write_table(pyarrow.table(data), self.path("wide.parquet"), row_group_size=rows, use_dictionary=False)
        with open(self.path("wide.parquet"), "rb") as f:
            content = f.read()
        return content, pyarrow.parquet.ParquetFile(self.path("wide.parquet")).metadata

    def test_only_the_columns_that_are_needed(self):
        content, meta = self.wide()
        self.put("wide.parquet", content)
        mapping = self.write("map.yaml", "measurement: m\ntime: { column: time }\nfields: { c07: c07 }\n")
        door = self.door()
        out = self.convert(self.url, "--mapping", mapping, url=door.url)
        self.assertEqual(out, self.convert(self.path("wide.parquet"), "--mapping", mapping))
        needed = sum(meta.row_group(g).column(c).total_compressed_size for g in range(meta.num_row_groups) for c in (0, 8))
        fetched = sum(s.bytes for s in door.objects())
        self.assertLess(fetched, needed + (64 << 10) + 4096)
        self.assertGreaterEqual(fetched, needed)
        self.assertLess(fetched, len(content) * 0.12)
        self.assertTrue(all("if-match" in s.headers for s in door.objects()))

    def test_all_columns_are_fetched_once(self):
        content, _ = self.wide(columns=5)
        self.put("wide.parquet", content)
        door = self.door()
        self.convert(self.url, "--infer", url=door.url)
        sizes = sum(s.bytes for s in door.objects())
        self.assertLess(sizes, 2.5 * len(content))  # --infer reads a first batch with a table of its own
        mapping = self.write("map.yaml", "measurement: m\ntime: { column: time }\nfields: { c0: c00, c1: c01, c2: c02, c3: c03 }\n")
        door.seen.clear()
        self.convert(self.url, "--mapping", mapping, url=door.url)
        self.assertLess(sum(s.bytes for s in door.objects()), len(content) + (64 << 10) + 4096)

    def test_text_is_fetched_once(self):
        content = "".join(f"m,t=a v={i} {i + 1}\n" for i in range(200000))
        self.put("big.lp", content)
        door = self.door()
        self.assertEqual(self.convert(self.url, url=door.url).count("\n"), 200000)
        self.assertEqual(sum(s.bytes for s in door.objects()), len(content))

    def test_small_objects_are_one_request_each(self):
        for i in range(300):
            self.put(f"{i:04}.lp", f"m,i=x{i} v={i} {i + 1}\n")
        door = self.door(delay=0.01)
        begin = time.time()
        r = self.afluxo(lib.DONE, "migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--verify", env=self.env(door.url))
        self.assertIn("equal", r.err)
        self.assertEqual(len(door.objects()), 600)  # once to write, once to verify
        print(f"300 small objects, written and verified: {time.time() - begin:.1f} s")


class Faults(Case):
    def proxy(self, *args):
        p = subprocess.Popen([sys.executable, os.path.join(lib.ROOT, "test", "e2e", "fault_proxy.py"), "--listen", "0", "--target",
                              str(MOTO.port), *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(p.wait)
        self.addCleanup(p.kill)
        self.addCleanup(p.stdout.close)
        return "http://127.0.0.1:" + p.stdout.readline().split()[1]

    def test_network_that_fails(self):
        self.generate(*small(to="2024-06-01"))
        here = self.convert(self.path("data"))
        for seed in range(3):
            url = self.proxy("--seed", str(seed), "--faults", "reset,500,503,503-retry-after,slow,truncate,close", "--rate", "0.25", "--slow",
                             "0.3", "--retry-after", "1")
            self.assertEqual(self.convert(self.url, url=url), here)

    def test_migrate_through_faults_is_equal(self):
        self.generate(*small(to="2024-06-01"))
        url = self.proxy("--seed", "5", "--faults", "reset,500,503,truncate", "--rate", "0.2")
        r = self.afluxo(lib.DONE, "migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--verify", env=self.env(url))
        self.assertIn("equal", r.err)

    def test_service_that_is_gone_stops_the_run(self):
        """It must not make every file a bad one: a later run would pass them over."""
        for i in range(20):
            self.put(f"{i:02}.lp", f"m,i=x{i} v={i} {i + 1}\n")
        door = self.door(lambda seen, n: error(503, "SlowDown") if seen.is_get and n > 5 else None)
        args = ("migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--patience", "1s")
        r = self.afluxo(lib.INTERRUPTED, *args, env=self.env(door.url, AWS_MAX_ATTEMPTS="1"))
        self.assertIn("SlowDown", r.err)
        self.assertIn("--resume", r.err)
        r = self.afluxo(lib.DONE, *args, "--resume", "--verify", env=self.env())
        self.assertIn("equal", r.err)

    def test_killed_and_resumed(self):
        self.generate(*small(to="2025-01-01"))
        door = self.door(delay=0.5)
        args = ("migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--state", self.path("st"))
        kills = 0
        for _ in range(3):
            p = lib.start(*args, "--resume", env=self.env(door.url))
            try:
                p.wait(1.5)
            except subprocess.TimeoutExpired:
                kills += 1
                p.send_signal(signal.SIGKILL)
            p.communicate()
        self.assertGreater(kills, 0)
        r = self.afluxo(lib.DONE, *args, "--resume", "--verify", env=self.env(door.url))
        self.assertIn("equal", r.err)

    def test_interrupted_run_ends_at_once(self):
        self.generate(*small())
        door = self.door(delay=20)
        p = lib.start("migrate", self.url, "--to", self.path("db"), "--bucket", "b", env=self.env(door.url))
        time.sleep(2)
        begin = time.time()
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=15)
        self.assertLess(time.time() - begin, 5)
        self.assertEqual(p.returncode, lib.INTERRUPTED, err)


class Hostile(Case):
    """Into a real influxd, through a door that does one thing after another: all arrives, and verifies equal."""

    def migrate(self, door, *args, status=lib.DONE, **env):
        """... and verified, through the same door."""
        r = self.afluxo(status, "migrate", self.url, "--to", self.influxd.url, "--bucket", self.prefix, "--create", "--verify", "--state",
                        self.path("st"), *args, env=self.env(door.url, **env))
        if status == lib.DONE:
            self.assertIn("equal", r.err)
        return r

    def setUp(self):
        super().setUp()
        self.influxd = lib.Influxd()
        self.addCleanup(self.influxd.close)

    def lines(self, count, rows=3):
        for i in range(count):
            self.put(f"{i:03}.lp", "".join(f"m,i=x{i} v={i}.5,n={n}i {n + 1}\n" for n in range(rows)))

    def test_reset_and_cut_at_every_sort_of_place(self):
        """The first answers about each object end at another byte each, by a reset or in order: in the status line, between the header's lines, in
        the body, before the last byte."""
        self.lines(48)
        left, places = {}, []

        def bend(seen, number, raw, body_at):
            if not seen.is_get:
                return None
            with lock:
                turn = left[seen.path] = left.get(seen.path, 0) + 1
                if turn != 1:
                    return None
                i = len(left) - 1
            edges = [0, 1, 8, 9, 12, 13, body_at - 4, body_at - 3, body_at - 2, body_at - 1, body_at, body_at + 1, len(raw) - 2, len(raw) - 1]
            at = edges[i // 2] if i // 2 < len(edges) else (i * 7919) % len(raw)
            places.append(at)
            return raw[:at], "reset" if i % 2 else "close"

        lock = threading.Lock()
        door = self.door(bend=bend)
        self.migrate(door)
        self.assertEqual(len(left), 48)
        self.assertGreater(len(set(places)), 30)

    def test_length_that_lies(self):
        """Too short, too long, none, twice, negative, and not a number: what comes is not taken for the object."""
        self.lines(12)
        lies = [b"Content-Length: 1\r\n", b"Content-Length: 100000\r\n", b"", b"Content-Length: 1\r\nContent-Length: 5\r\n",
                b"Content-Length: -5\r\n", b"Content-Length: 99999999999999999999\r\n", b"Content-Length: many\r\n"]
        done = {}

        def bend(seen, number, raw, body_at):
            with lock:
                if not seen.is_get or done.setdefault(seen.path, 0):
                    return None
                done[seen.path] = 1
                lie = lies[len(done) % len(lies)]
            head = re.sub(rb"Content-Length: \d+\r\n", lie, raw[:body_at])
            return head + raw[body_at:], "close"

        lock = threading.Lock()
        door = self.door(bend=bend)
        self.migrate(door)
        self.assertEqual(door.bent, 12)

    def test_lies_without_end_are_named(self):
        self.lines(3)

        def bend(seen, number, raw, body_at):
            if seen.is_get and seen.path.endswith("001.lp"):
                return re.sub(rb"(Content-Length: )\d+", rb"\g<1>4", raw[:body_at]) + raw[body_at:body_at + 4], "close"
            return None

        r = self.migrate(self.door(bend=bend), status=lib.REJECTED)
        self.assertIn("001.lp", r.err)
        self.assertIn("instead of the", r.err)
        r = self.migrate(self.door(), status=lib.DONE)

    def test_slow_body(self):
        self.lines(4)

        def bend(seen, number, raw, body_at):
            if seen.is_get:
                time.sleep(0.3)

        self.migrate(self.door(bend=bend))

    def test_body_that_never_ends_is_asked_for_again(self):
        """Half of it comes, and then nothing: --timeout ends the wait."""
        self.lines(4)
        stuck, go = [], threading.Event()

        def bend(seen, number, raw, body_at):
            if not seen.is_get or stuck:
                return None
            stuck.append(seen)
            go.wait(20)
            return raw[:len(raw) // 2], "close"

        door = self.door(bend=bend)
        begin = time.time()
        self.migrate(door, "--timeout", "1s")
        go.set()
        self.assertLess(time.time() - begin, 15)

    def test_throttled_and_failing(self):
        """Every third answer, of listings too: SlowDown, InternalError, ServiceUnavailable, RequestTimeout, a 502 of something between."""
        self.lines(30)
        faults = [error(503, "SlowDown"), error(500, "InternalError"), error(503, "ServiceUnavailable"), error(400, "RequestTimeout"),
                  (502, {"Content-Type": "text/html"}, b"<html>Bad Gateway</html>")]
        count = []

        def hook(seen, number):
            count.append(1)
            return faults[len(count) // 3 % len(faults)] if len(count) % 3 == 0 else None

        self.migrate(self.door(hook), AWS_MAX_ATTEMPTS="6")
        self.assertGreater(len(count), 60)

    def test_clock_that_is_off(self):
        """The service's clock is two hours ahead, or behind: one refusal, then requests are signed by its time."""
        self.lines(6)
        for off in (7200, -7200):
            def hook(seen, number):
                signed = calendar.timegm(time.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ"))
                if abs(signed - (time.time() + off)) > 900:
                    return error(403, "RequestTimeTooSkewed")

            door = self.door(hook, clock_s=off)
            self.migrate(door)
            refused = [s.status for s in door.seen].count(403)
            self.assertTrue(1 <= refused <= 8, refused)  # those that were on their way at once
            self.assertLess(refused, len(door.seen) / 2)
        # HEAD's refusal has no body that could say so
        door = self.door(lambda seen, n: error(403, "AccessDenied") if "list-type" in seen.query else hook(seen, n), clock_s=off)
        self.assertIn("m,i=x1 ", self.convert(self.url + "/001.lp", url=door.url))

    def test_clock_that_nobody_can_correct(self):
        self.lines(1)
        r = self.migrate(self.door(lambda seen, n: error(403, "RequestTimeTooSkewed")), status=lib.FAILED)
        self.assertIn("RequestTimeTooSkewed", r.err)

    def test_all_at_once(self):
        """Parquet in many ranges; every sort of failure, a quarter of the answers; credentials expire again and again."""
        self.generate("--plants", "5", "--from", "2024-01-01", "--to", "2024-05-01")
        rng, lock, refused = random.Random(11), threading.Lock(), set()

        def hook(seen, number):
            with lock:
                if rng.random() < 0.1:
                    return rng.choice([error(503, "SlowDown"), error(500, "InternalError"), error(503, "ServiceUnavailable")])
                if len(refused) < 4 and number > 12 * (len(refused) + 1):
                    refused.add(seen.access_key)
                if seen.access_key in refused:
                    return error(400, "ExpiredToken")

        def bend(seen, number, raw, body_at):
            with lock:
                dice, at = rng.random(), rng.randrange(len(raw))
            if dice < 0.1:
                return raw[:at], rng.choice(["reset", "close"])
            if dice < 0.13:
                return raw[:body_at].replace(b"Content-Length: ", b"Content-Length: 9") + raw[body_at:], "close"

        door = self.door(hook, bend=bend)
        self.migrate(door, **self.profile())
        self.assertGreaterEqual(len(refused), 2)
        self.assertGreater(door.bent, 5)

    def test_other_version_in_the_middle_of_a_file(self):
        """If-Match fails for the second row group on: nothing of the new version gets in, the message says what to do, and that does it."""
        table = pyarrow.table({"time": pyarrow.array(range(400000), pyarrow.timestamp("ns")), "v": [i * 0.37 for i in range(400000)]})
        other = pyarrow.table({"time": pyarrow.array(range(400000), pyarrow.timestamp("ns")), "v": [i * -1.11 for i in range(400000)]})
        content = []
        for t in (table, other):
            pyarrow.parquet.write_table(t, self.path("t.parquet"), row_group_size=50000, use_dictionary=False, compression="none")
            with open(self.path("t.parquet"), "rb") as f:
                content.append(f.read())
        key = self.put("t.parquet", content[0])
        mapping = self.write("map.yaml", "measurement: m\ntime: { column: time }\nfields: { v: v }\n")
        done = []

        def hook(seen, number):
            if seen.is_get and number == 4 and not done:
                done.append(1)
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=content[1])

        r = self.migrate(self.door(hook), "--mapping", mapping, status=lib.REJECTED)
        self.assertIn("changed while it was read", r.err)
        self.assertIn("run again", r.err)
        self.assertEqual(self.influxd.values("select v from m where v < 0 limit 5", self.prefix), [])
        r = self.migrate(self.door(), "--mapping", mapping)
        self.assertEqual(self.influxd.count("m", "v", self.prefix), 400000)


class Parallel(Case):
    def test_connections_pay(self):
        """Half a second an answer: the ranges of an object are fetched beside each other."""
        content = b"".join(b"m,t=a v=%d %d\n" % (i, i + 1) for i in range(2400000))  # 60 MB: 8 requests
        self.put("big.lp", content)
        door = self.door(delay=0.5)
        begin = time.time()
        self.afluxo(lib.DONE, "convert", self.url, "-q", "-o", "/dev/null", env=self.env(door.url), binary=lib.RELEASE)
        requests = len(door.objects())
        self.assertGreater(door.at_once_max, 3)
        print(f"{requests} requests of 0.5 s each: {time.time() - begin:.1f} s, {door.at_once_max} at once")


class Changes(Case):
    def big(self, value):
        return "".join(f"m,t=a v={value} {i + 1}\n" for i in range(300000))  # more than one request

    def test_object_replaced_while_it_is_read(self):
        key = self.put("a.lp", self.big(1))
        self.put("b.lp", "m,t=b v=5 1\n")

        def hook(seen, number):
            if not (seen.is_get and seen.path.endswith("a.lp")):
                return None
            with lock:
                is_first = not done
                done.append(1)
            if is_first:  # its answer is the old one, all that come after it wait for the new one
                answer = http.client.HTTPConnection("127.0.0.1", MOTO.port)
                answer.request("GET", seen.target, headers=seen.headers)
                got = answer.getresponse()
                body, headers = got.read(), dict(got.getheaders())
                self.s3.put_object(Bucket=BUCKET, Key=key, Body=self.big(2 + len(replaced)).encode())
                replaced.append(1)
                changed.set()
                return got.status, headers, body
            changed.wait(10)
            return None

        done, replaced, lock, changed = [], [], threading.Lock(), threading.Event()
        door = self.door(hook)
        args = ("migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--state", self.path("st"))
        r = self.afluxo(lib.REJECTED, *args, env=self.env(door.url))
        self.assertIn(f"s3://{BUCKET}/{key}: changed while it was read", r.err)
        r = self.afluxo(lib.REJECTED, *args, "--resume", "--verify", env=self.env(door.url))  # another version is another unit
        self.assertIn("resuming at file 1 of 2", r.err)
        self.assertIn("1 dead letters are from before", r.err)
        self.assertIn("equal", r.err)
        done.clear()
        changed.clear()
        r = self.afluxo(lib.FAILED, *args[:4], "--bucket", "c", "--strict", env=self.env(door.url))
        self.assertIn("changed while it was read", r.err)

    def test_object_deleted_after_the_listing(self):
        key = self.put("a.lp", "m,t=a v=1 1\n")
        self.put("b.lp", "m,t=b v=2 2\n")

        def hook(seen, number):
            if seen.is_get and number == 1:
                self.s3.delete_object(Bucket=BUCKET, Key=key)

        door = self.door(hook)
        r = self.afluxo(lib.REJECTED, "convert", self.url, env=self.env(door.url))
        self.assertIn(f"s3://{BUCKET}/{key}: deleted since it was listed", r.err)
        self.assertEqual(r.out, "m,t=b v=2 2\n")

    def test_resume_skips_what_is_settled_and_same(self):
        for i in range(6):
            self.put(f"{i}.lp", f"m,t=x{i} v=1 {i + 1}\n")
        args = ("migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--state", self.path("st"))
        self.afluxo(lib.DONE, *args, env=self.env())
        door = self.door()
        self.afluxo(lib.DONE, *args, "--resume", env=self.env(door.url))
        self.assertEqual(door.objects(), [])
        self.put("4.lp", "m,t=x4 v=7 5\n")  # same size, another ETag
        self.afluxo(lib.DONE, *args, "--resume", env=self.env(door.url))
        self.assertEqual([s.path.rsplit("/", 1)[1] for s in door.objects()], ["4.lp", "5.lp"])


class Credentials(Case):
    def test_expired_in_the_middle(self):
        for i in range(30):
            self.put(f"{i:02}.lp", f"m,t=x{i} v=1 {i + 1}\n")
        door = self.door(lambda seen, n: error(400, "ExpiredToken") if seen.access_key == "key0" and n > 10 else None)
        r = self.afluxo(lib.DONE, "migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--verify", env=self.env(door.url, **self.profile()))
        self.assertIn("equal", r.err)
        self.assertEqual({s.access_key for s in door.seen}, {"key0", "key1"})

    def test_expired_for_good(self):
        for i in range(30):
            self.put(f"{i:02}.lp", f"m,t=x{i} v=1 {i + 1}\n")
        door = self.door(lambda seen, n: error(403, "ExpiredToken") if seen.is_get and n > 10 else None)
        args = ("migrate", self.url, "--to", self.path("db"), "--bucket", "b", "--state", self.path("st"))
        r = self.afluxo(lib.FAILED, *args, env=self.env(door.url))
        self.assertIn("ExpiredToken", r.err)
        self.assertNotIn("testing", r.err)  # the secret
        r = self.afluxo(lib.DONE, *args, "--resume", "--verify", env=self.env())
        self.assertIn("equal", r.err)

    def test_one_object_forbidden(self):
        self.put("a.lp", "m,t=a v=1 1\n")
        self.put("b.lp", "m,t=b v=2 2\n")
        door = self.door(lambda seen, n: error(403, "AccessDenied") if seen.path.endswith("a.lp") else None)
        r = self.afluxo(lib.REJECTED, "convert", self.url, env=self.env(door.url))
        self.assertIn("AccessDenied", r.err)
        self.assertEqual(r.out, "m,t=b v=2 2\n")

    def test_no_right_to_list(self):
        self.put("a.lp", "m,t=a v=1 1\n")
        door = self.door(lambda seen, n: error(403, "AccessDenied") if "list-type" in seen.query else None)
        self.assertEqual(self.convert(self.url + "/a.lp", url=door.url), "m,t=a v=1 1\n")
        self.assertIn("AccessDenied", self.afluxo(lib.FAILED, "convert", self.url, env=self.env(door.url)).err)


class Ways(Case):
    def test_requester_pays(self):
        self.put("a.lp", "m,t=a v=1 1\n")
        for args, env, pays in (((), {}, None), (("--requester-pays",), {}, "requester"), ((), {"AWS_REQUEST_PAYER": "requester"}, "requester")):
            door = self.door()
            self.afluxo(lib.DONE, "convert", self.url, *args, env=self.env(door.url, **env))
            self.assertTrue(door.seen)
            self.assertEqual({s.headers.get("x-amz-request-payer") for s in door.seen}, {pays})

    def test_bucket_of_another_region(self):
        self.put("a.lp", "m,t=a v=1 1\n")
        self.put("b.lp", "m,t=b v=1 2\n")

        def hook(seen, number):
            if "/sa-east-1/s3/" not in seen.headers["authorization"]:
                return error(400, "AuthorizationHeaderMalformed", Region="sa-east-1")

        door = self.door(hook)
        self.assertEqual(self.convert(self.url, url=door.url).count("\n"), 2)
        self.assertEqual([s.status for s in door.seen].count(400), 1)  # once, then it is known

    def test_options_win_over_the_environment(self):
        self.put("a.lp", "m,t=a v=1 1\n")
        config = self.write("config", "[profile other]\nregion = eu-north-1\naws_access_key_id = OTHERKEY\naws_secret_access_key = s\n")
        door = self.door()
        env = self.env("http://127.0.0.1:9", AWS_CONFIG_FILE=config)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            env.pop(name)
        self.afluxo(lib.DONE, "convert", self.url, "--profile", "other", "--region", "eu-west-3", "--endpoint-url", door.url, env=env)
        self.assertEqual({re.search(r"Credential=(\w+)/\d+/([\w-]+)/", s.headers["authorization"]).groups() for s in door.seen},
                         {("OTHERKEY", "eu-west-3")})

    def test_dead_letters_of_objects_are_retried(self):
        """The types of a row that became no point are those of its object."""
        self.put("a.csv", "time;name;value\n2024-01-01T00:00:00Z;a;1.5\nnever;b;2.5\n")
        mapping = self.write("map.yaml", "measurement: m\ntime: { column: time }\ntags: { name: name }\nfields: { value: value }\n")
        args = ("--to", self.path("db"), "--bucket", "b", "--state", self.path("st"), "--mapping", mapping)
        self.afluxo(lib.REJECTED, "migrate", self.url, *args, env=self.env())
        r = self.afluxo(lib.REJECTED, "migrate", "--retry-dead-letters", *args, env=self.env())
        self.assertIn("1", r.err)


class Large(Case):
    """An object of gigabytes that nobody has: a server that makes up the bytes of each range."""

    LINE = b"m,host=a0 v=1.5 1700000000000000000\n"

    def server(self, size):
        block = self.LINE * (1 << 15)
        counts = {"bytes": 0, "gets": 0}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_GET(self):
                if "list-type" in self.path:
                    body = (f"<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>big.lp</Key><LastModified>2024-01-01T00:00:00.000Z"
                            f"</LastModified><ETag>&quot;e&quot;</ETag><Size>{size}</Size></Contents></ListBucketResult>").encode()
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                    return
                first, last = map(int, re.match(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
                counts["bytes"] += last - first + 1
                counts["gets"] += 1
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
                self.send_header("Content-Length", str(last - first + 1))
                self.send_header("ETag", '"e"')
                self.end_headers()
                try:
                    while first <= last:
                        at = first % len(block)
                        piece = block[at:at + min(len(block) - at, last - first + 1)]
                        self.wfile.write(piece)
                        first += len(piece)
                except OSError:
                    self.close_connection = True

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}", counts

    def test_gigabytes_in_bounded_memory(self):
        lines = 60_000_000  # 2.1 GB
        url, counts = self.server(lines * len(self.LINE))
        p = subprocess.Popen(["/usr/bin/env", "python3", "-c", "import resource,subprocess,sys\nr=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE)\n"
                              "sys.stdout.buffer.write(r.stdout)\nprint(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\nsys.exit(r.returncode)",
                              lib.RELEASE, "migrate", f"s3://{BUCKET}/big.lp", "--to", self.path("db"), "--bucket", "b", "--dry-run", "--memory",
                              "64M", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env(url))
        begin = time.time()
        out, err = p.communicate(timeout=600)
        self.assertEqual(p.returncode, 0, err.decode())
        report, rss = out.decode().strip().splitlines()[-2:]
        self.assertEqual(json.loads(report)["rows_read"], lines)
        self.assertEqual(counts["bytes"], lines * len(self.LINE))
        print(f"{counts['bytes'] / 1e9:.1f} GB in {counts['gets']} requests, {time.time() - begin:.0f} s, {int(rss) / 1024:.0f} MiB resident")
        self.assertLess(int(rss), 160 * 1024)


if __name__ == "__main__":
    unittest.main()

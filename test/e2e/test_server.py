"""`afluxo serve` as a process: InfluxDB's words on the wire, hostile clients, SIGKILL and SIGTERM under load, metrics and their document."""
import base64
import gzip
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest
import urllib.parse
import zlib

import lib
from lib import DONE, FAILED, USAGE, RELEASE, ROOT, run, start


class Server:
    """Our server over a directory, on a free loopback port."""

    def __init__(self, case, directory, *options, binary=None):
        self.dir = directory
        self.log = open(directory + ".log", "ab")
        self.process = subprocess.Popen([binary or lib.BINARY, "serve", "--data", directory, "--listen", "127.0.0.1:0", *options],
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=lib.environment())
        case.addCleanup(self.kill)
        where = os.path.join(directory, "server.json")
        for _ in range(600):
            try:
                self.url = urllib.parse.urlsplit(json.load(open(where))["url"])
                with socket.create_connection((self.url.hostname, self.url.port), timeout=1):
                    break
            except (OSError, ValueError):
                if self.process.poll() is not None:
                    raise AssertionError("the server ended: " + self.said())
                time.sleep(0.05)
        else:
            raise AssertionError("the server did not answer: " + self.said())
        token = os.path.join(directory, "operator-token")
        self.token = open(token).read().strip() if os.path.exists(token) else None

    def said(self):
        return open(self.dir + ".log", errors="replace").read()

    def connect(self, timeout=30):
        return http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=timeout)

    def socket(self, timeout=30):
        return socket.create_connection((self.url.hostname, self.url.port), timeout=timeout)

    def ask(self, method, path, body=None, headers=None, token=True, connection=None):
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = "Token " + (self.token if token is True else token)
        c = connection or self.connect()
        c.request(method, path, body, headers)
        answer = c.getresponse()
        text = answer.read()
        if connection is None:
            c.close()
        return answer.status, text.decode(), answer.headers

    def write(self, lines, path="/write?db=default", **kw):
        return self.ask("POST", path, lines, **kw)[0]

    def kill(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self, case):
        self.process.send_signal(signal.SIGTERM)
        case.assertEqual(self.process.wait(timeout=60), DONE, self.said()[-3000:])
        said = self.said()
        for marker in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            case.assertNotIn(marker, said, said[-5000:])

    def memory_peak(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return 0


class Words(lib.Case):
    """What clients branch on, to the byte."""

    def test_answers(self):
        s = Server(self, self.path("data"))
        self.assertEqual(s.write("m,t=a v=1 1"), 204)
        both = [
            # method, path, body, token, status, answer
            ("POST", "/write?db=default", "", True, 204, ""),
            ("POST", "/write?db=default", "m,t=a v=2 2\n", True, 204, ""),
            ("POST", "/write?db=default", "m v=1", False, 401, '{"error":"unable to parse authentication credentials"}\n'),
            ("POST", "/write?db=default", "m v=1", "x" * 40, 401, '{"error":"authorization failed"}\n'),
            ("POST", "/write", "m v=1", True, 400, '{"error":"database is required"}\n'),
            ("POST", "/write?db=x", "m v=1", True, 404, '{"error":"database not found: \\"x\\""}\n'),
            ("POST", "/write?db=default&rp=x", "m v=1", True, 500, '{"error":"retention policy not found: x"}\n'),
            ("POST", "/write?db=default", "m,t=a v=3 3\nm,t=a v= 4\n", True, 400,
             '{"error":"partial write: unable to parse \'m,t=a v= 4\': missing field value dropped=0"}\n'),
            ("POST", "/write?db=default", "m 1\nm v=1 x", True, 400,
             '{"error":"unable to parse \'m 1\': invalid field format\\nunable to parse \'m v=1 x\': bad timestamp"}\n'),
            ("POST", "/write?db=default", "m,t=a v=3i 5\nm,t=a v=4 6", True, 400,
             '{"error":"partial write: field type conflict: input field \\"v\\" on measurement \\"m\\" is type integer, already exists as type '
             'float dropped=1"}\n'),
            ("POST", "/api/v2/write?bucket=default&org=afluxo", "m,t=a v=7 7", True, 204, ""),
            ("POST", "/api/v2/write?bucket=default&org=afluxo", "m,t=a v=7 8\nm", True, 400,
             '{"code":"invalid","message":"unable to parse \'m\': missing fields"}'),
            ("POST", "/api/v2/write?bucket=default", "m,t=a v=3i 9", True, 422,
             '{"code":"unprocessable entity","message":"failure writing points to database: partial write: field type conflict: input field \\"v\\" '
             'on measurement \\"m\\" is type integer, already exists as type float dropped=1"}'),
            ("POST", "/api/v2/write?bucket=default&precision=h", "m v=1", True, 400,
             '{"code":"invalid","message":"invalid precision; valid precision units are ns, us, ms, and s"}'),
            ("POST", "/api/v2/write", "m v=1", True, 404, '{"code":"not found","message":"bucket not found"}'),
            ("POST", "/api/v2/write?bucket=x", "m v=1", True, 404, '{"code":"not found","message":"bucket \\"x\\" not found"}'),
            ("POST", "/api/v2/write?bucket=default", "m v=1", False, 401, '{"code":"unauthorized","message":"unauthorized access"}'),
            ("GET", "/no/such/path", None, True, 404, '{"code":"not found","message":"path not found"}'),
        ]
        connection = s.connect()  # one, kept alive through all of it
        for method, path, body, token, status, answer in both:
            with self.subTest(path=path, body=body):
                got = s.ask(method, path, body, token=token, connection=connection)
                self.assertEqual(got[:2], (status, answer))
                if path.startswith("/write"):
                    self.assertEqual(got[2]["X-Influxdb-Version"], "1.8.10")
                    self.assertEqual(got[2]["X-Influxdb-Build"], "OSS")
                    if status >= 400:
                        self.assertEqual(got[2]["X-Influxdb-Error"], json.loads(answer)["error"].replace("\n", " "))
                elif status >= 400:
                    self.assertEqual(got[2]["X-Platform-Error-Code"], json.loads(answer)["code"])
                    self.assertEqual(got[2]["Content-Type"], "application/json; charset=utf-8")
        connection.close()
        s.stop(self)
        want = self.write("want.lp", "".join(f"m,t=a v={v} {t}\n" for v, t in ((1, 1), (2, 2), (3, 3), (4, 6), (7, 7))))
        self.afluxo(DONE, "verify", want, "--to", s.dir, "--bucket", "default", "--quiet")

    def test_gzip_and_chunks(self):
        s = Server(self, self.path("data"))
        lines = "".join(f"m,i={i % 50} v={i} {i}\n" for i in range(20000))
        packed = gzip.compress(lines.encode())
        self.assertEqual(s.write(packed, headers={"Content-Encoding": "gzip"}), 204)
        pieces = (packed[i:i + 1000] for i in range(0, len(packed), 1000))
        self.assertEqual(s.write(pieces, "/api/v2/write?bucket=default", headers={"Content-Encoding": "gzip"}), 204)
        self.assertEqual(s.ask("POST", "/write?db=default", packed[:-12], {"Content-Encoding": "gzip"})[:2], (400, '{"error":"unexpected EOF"}\n'))
        s.stop(self)
        self.afluxo(DONE, "verify", self.write_lines(lines), "--to", s.dir, "--bucket", "default", "--quiet")

    def write_lines(self, lines):
        return lib.Case.write(self, "want.lp", lines)


class Starting(lib.Case):
    def test_token_is_told_once(self):
        s = Server(self, self.path("data"))
        self.assertIn(s.token, s.said())
        self.assertEqual(os.stat(self.path("data", "operator-token")).st_mode & 0o777, 0o600)
        s.stop(self)
        again = Server(self, self.path("data"))
        self.assertEqual(again.said().count(again.token), 1)
        self.assertEqual(again.write("m v=1 1"), 204)
        again.stop(self)
        self.assertFalse(os.path.exists(self.path("data", "server.json")))

    def test_one_owner(self):
        s = Server(self, self.path("data"))
        r = self.afluxo(FAILED, "serve", "--data", s.dir, "--listen", "127.0.0.1:0")
        self.assertIn(str(s.process.pid), r.err)
        r = self.afluxo(FAILED, "serve", "--data", self.path("other"), "--listen", f"127.0.0.1:{s.url.port}")
        self.assertIn("another server", r.err)
        s.stop(self)

    def test_no_auth_is_for_this_machine(self):
        r = run("serve", "--data", self.path("data"), "--no-auth", "--listen", "0.0.0.0:0")
        self.assertIn(r.status, (FAILED, USAGE), repr(r))
        self.assertIn("--no-auth", r.err)
        r = run("serve", "--data", self.path("data"), "--listen", "[::]:0")
        self.assertIn("--tls-cert", r.err)
        s = Server(self, self.path("data"), "--no-auth")
        self.assertEqual(s.write("m v=1 1", token=False), 204)
        self.assertEqual(s.ask("POST", "/write?db=default", "m v=1 1", {"Origin": "http://elsewhere.example"}, token=False)[0], 403)
        s.stop(self)

    def test_tls(self):
        cert, key = self.path("cert.pem"), self.path("key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
                       check=True, stderr=subprocess.DEVNULL)
        s = Server(self, self.path("data"), "--tls-cert", cert, "--tls-key", key)
        self.assertEqual(s.url.scheme, "https")
        lines = lib.Case.write(self, "a.lp", "m,a=b v=1 1\nm,a=b v=2 2\n")
        self.afluxo(DONE, "write", lines, "--to", s.url.geturl(), "--bucket", "default", "--org", "afluxo", "--ca-file", cert, "--token", s.token,
                    "--influx-version", "2")
        s.stop(self)
        self.afluxo(DONE, "verify", lines, "--to", s.dir, "--bucket", "default", "--quiet")


class Hostile(lib.Case):
    """Whatever one client does, it gets an error or is dropped, and others do not notice."""

    def setUp(self):
        super().setUp()
        self.server = Server(self, self.path("data"), binary=RELEASE)  # memory is measured: no sanitizer
        self.assertEqual(self.server.write("warm v=1 1"), 204)

    def others_are_served(self):
        began = time.time()
        self.assertEqual(self.server.write("other v=1 1"), 204)
        self.assertLess(time.time() - began, 5)

    def tearDown(self):
        self.others_are_served()
        self.assertLess(self.server.memory_peak(), 400 << 20)
        self.server.stop(self)
        super().tearDown()

    def head(self, *lines, path="/write?db=default"):
        return "".join(line + "\r\n" for line in (f"POST {path} HTTP/1.1", "Host: h", f"Authorization: Token {self.server.token}", *lines, "")).encode()

    def test_drips(self):
        sockets = [self.server.socket() for _ in range(100)]
        for i, s in enumerate(sockets):
            s.sendall(self.head("Content-Length: 100000") if i % 2 else b"POST /wri")
        for _ in range(5):
            for s in sockets:
                s.sendall(b"x")
            self.others_are_served()
            time.sleep(0.3)
        for s in sockets:
            s.close()

    def test_bomb(self):
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        member = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
        bomb = member * 100  # 10 GB of zeros
        status, text, _ = self.server.ask("POST", "/write?db=default", bomb, {"Content-Encoding": "gzip"})
        self.assertEqual((status, text), (413, '{"error":"Request Entity Too Large"}\n'))
        threads = [threading.Thread(target=self.server.ask, args=("POST", "/api/v2/write?bucket=default", bomb, {"Content-Encoding": "gzip"}))
                   for _ in range(8)]
        for t in threads:
            t.start()
        self.others_are_served()
        for t in threads:
            t.join()

    def test_endless_line(self):
        """1 GB without a newline, with and without saying so beforehand."""
        piece = b"x" * (1 << 20)
        for head in (self.head("Transfer-Encoding: chunked"), self.head(f"Content-Length: {1 << 30}")):
            s = self.server.socket()
            sent, answer = 0, b""
            try:
                s.sendall(head)
                for _ in range(1024):
                    s.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n" if b"chunked" in head else piece)
                    sent += len(piece)
            except OSError:
                pass
            try:
                answer = s.recv(4000)
            except OSError:
                pass
            self.assertLess(sent, 1 << 30)
            self.assertTrue(answer == b"" or b" 413 " in answer, answer)
            s.close()
            self.others_are_served()

    def test_strangers_send_nothing(self):
        """Without credentials a body is not even kept."""
        s = self.server.socket()
        s.sendall(b"POST /api/v2/write?bucket=default HTTP/1.1\r\nHost: h\r\nContent-Length: 20000000\r\nExpect: 100-continue\r\n\r\n")
        self.assertIn(b" 401 ", s.recv(4000))
        s.close()

    def test_many_tags(self):
        line = "m" + "".join(f",t{i}=v" for i in range(1000000)) + " v=1 1\n"
        status, text, _ = self.server.ask("POST", "/write?db=default", line + "m v=1 1\n")
        self.assertEqual(status, 400)
        self.assertIn("partial write: unable to parse 'm,t0=v", text)
        self.assertLess(len(text), 40000)
        fields = "m " + ",".join(f"f{i}=1" for i in range(1000000)) + " 1\n"
        self.assertEqual(self.server.write(fields), 400)
        self.assertEqual(self.server.write("".join(f"m{i},t=a f{i}=1 1\n" for i in range(100000))), 204)

    def test_nonsense(self):
        for junk in (b"\x00" * 1000, b"GET / HTTP/1.1\r\n" * 1000, b"POST /write HTTP/1.1\r\nContent-Length: -1\r\n\r\n", os.urandom(10000),
                     b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n", b"GET /%2e%2e/%00 HTTP/1.1\r\nHost: h\r\n\r\n"):
            s = self.server.socket(timeout=2)
            try:
                s.sendall(junk)
                s.shutdown(socket.SHUT_WR)
                while s.recv(4000):
                    pass
            except OSError:
                pass
            s.close()

    def test_wrong_passwords(self):
        """Passwords are slow to check on purpose; that must not hold up those who have a token."""
        stop = threading.Event()

        def guess(n):
            while not stop.is_set():
                word = base64.b64encode(f"user{n}:{time.time()}".encode()).decode()
                self.server.ask("POST", "/write?db=default", "m v=1", {"Authorization": "Basic " + word}, token=False)

        threads = [threading.Thread(target=guess, args=(n,)) for n in range(4)]
        for t in threads:
            t.start()
        for _ in range(5):
            self.others_are_served()
        stop.set()
        for t in threads:
            t.join()


class Writers:
    """Threads that write batches of their own and remember which were acknowledged."""

    def __init__(self, server, count, lines=200):
        self.server, self.lines = server, lines
        self.acknowledged = [0] * count
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self.main, args=(n,)) for n in range(count)]
        for t in self.threads:
            t.start()

    def batch(self, writer, number):
        base = number * self.lines
        return "".join(f"load,writer={writer},i={i % 7} v={base + i},s=\"x{i}\" {base + i}\n" for i in range(self.lines))

    def main(self, n):
        connection = self.server.connect(timeout=10)
        while not self.stop.is_set():
            try:
                path = "/write?db=default" if n % 2 else "/api/v2/write?bucket=default"
                if self.server.write(self.batch(n, self.acknowledged[n]), path, connection=connection) != 204:
                    return
            except (OSError, http.client.HTTPException):
                return
            self.acknowledged[n] += 1

    def join(self):
        self.stop.set()
        for t in self.threads:
            t.join()

    def all_lines(self, more=0):
        return "".join(self.batch(n, b) for n, count in enumerate(self.acknowledged) for b in range(count + more))


class Ends(lib.Case):
    def check(self, writers, server):
        """What was acknowledged is there; of what was not, any part may be: it is written again, then all must be equal."""
        self.assertGreater(sum(writers.acknowledged), 5)
        again = Server(self, server.dir)
        self.assertEqual(again.token, server.token)
        for n in range(len(writers.acknowledged)):
            self.assertEqual(again.write(writers.batch(n, writers.acknowledged[n])), 204)
        again.stop(self)
        want = lib.Case.write(self, "want.lp", writers.all_lines(more=1))
        self.afluxo(DONE, "verify", want, "--to", server.dir, "--bucket", "default", "--quiet")

    def test_kill(self):
        for round in range(3):
            with self.subTest(round=round):
                server = Server(self, self.path(f"data{round}"))
                writers = Writers(server, 4)
                time.sleep(0.7 + 0.4 * round)
                server.kill()
                writers.join()
                self.check(writers, server)

    def test_term(self):
        server = Server(self, self.path("data"))
        writers = Writers(server, 4)
        time.sleep(1)
        began = time.time()
        server.stop(self)
        self.assertLess(time.time() - began, 15)
        writers.join()
        self.check(writers, server)


class Metrics(lib.Case):
    def test_names_are_documented_once(self):
        s = Server(self, self.path("data"))
        self.assertEqual(s.ask("GET", "/metrics", token=False)[0], 401)
        self.assertEqual(s.write("m v=1 1\nbad"), 400)
        status, text, headers = s.ask("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(headers["Content-Type"].startswith("text/plain; version=0.0.4"))
        types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
        self.assertEqual(len(types), len(re.findall(r"^# TYPE ", text, re.M)))
        for line in text.splitlines():
            if not line.startswith("#"):
                self.assertRegex(line, r'^afluxo_[a-z0-9_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? [0-9.e+-]+$')
                name = line.split("{")[0].split(" ")[0]
                self.assertTrue(any(name == n or (t == "histogram" and name in (n + "_bucket", n + "_sum", n + "_count")) for n, t in types.items()), line)
        documented = re.findall(r"^\| `(afluxo_[a-z0-9_]+)` \| (\w+) \|", open(os.path.join(ROOT, "docs", "metrics.md")).read(), re.M)
        self.assertEqual(sorted(documented), sorted(types.items()))
        self.assertIn("\nafluxo_engine_points_written_total 1\n", text)
        self.assertIn("\nafluxo_write_bad_lines_total 1\n", text)
        s.stop(self)


def varint(n):
    out = b""
    n &= (1 << 64) - 1
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def series(labels, samples):
    return field(1, b"".join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in labels) +
                 b"".join(field(2, b"\x09" + struct.pack("<d", v) + b"\x10" + varint(t)) for v, t in samples))


def matchers(start, end, *list_):
    return field(1, b"\x08" + varint(start) + b"\x10" + varint(end) +
                 b"".join(field(3, b"\x08" + varint(kind) + field(2, k.encode()) + field(3, v.encode())) for k, kind, v in list_))


def snappy(data):
    """One block of literals."""
    out = varint(len(data))
    for i in range(0, len(data), 60):
        out += bytes([len(data[i:i + 60]) - 1 << 2]) + data[i:i + 60]
    return out


def unsnappy(data):
    at, n, shift = 0, 0, 0
    while True:
        n |= (data[at] & 0x7f) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            break
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                size = length - 59
                length = int.from_bytes(data[at:at + size], "little")
                at += size
            out += data[at:at + length + 1]
            at += length + 1
            continue
        size = (1, 2, 4)[(tag & 3) - 1]
        length = (tag >> 2 & 7) + 4 if size == 1 else (tag >> 2) + 1
        offset = int.from_bytes(data[at:at + size], "little") | (tag >> 5 << 8 if size == 1 else 0)
        at += size
        for _ in range(length):
            out.append(out[-offset])
    assert len(out) == n
    return bytes(out)


class Prometheus(lib.Case):
    """Remote write and remote read at 1.8's paths."""

    def post(self, s, path, body, status):
        c = s.connect()
        c.request("POST", path, snappy(body), {"Authorization": "Token " + s.token, "Content-Encoding": "snappy",
                                               "Content-Type": "application/x-protobuf"})
        answer = c.getresponse()
        got = answer.read()
        c.close()
        self.assertEqual(answer.status, status, got)
        return got, answer.headers

    def read(self, s, *list_, start=0, end=10**13):
        got, headers = self.post(s, "/api/v1/prom/read?db=default", matchers(start, end, *list_), 200)
        self.assertEqual((headers["Content-Type"], headers["Content-Encoding"]), ("application/x-protobuf", "snappy"))
        return unsnappy(got)

    def test_what_is_written_is_read(self):
        s = Server(self, self.path("data"))
        a = series([("__name__", "up"), ("instance", "a b,c=d"), ("job", "x")], [(1, 1000), (0.5, 2000)])
        b = series([("Zone", "1"), ("__name__", "up"), ("job", "y")], [(2, 1500)])
        c = series([("__name__", "http_total"), ("job", "x")], [(7, 1000)])
        stale = series([("__name__", "gone")], [(float("nan"), 1000), (float("inf"), 2000)])
        self.post(s, "/api/v1/prom/write?db=default", a + b + c + stale, 204)
        self.assertEqual(self.read(s, ("__name__", 0, "up")), field(1, b + a))
        self.assertEqual(self.read(s, ("__name__", 0, "up"), ("job", 0, "x")), field(1, a))
        self.assertEqual(self.read(s, ("__name__", 2, "up|http_.*"), ("job", 1, "y")), field(1, c + a))
        self.assertEqual(self.read(s, ("__name__", 3, "u"), ("job", 2, "[xy]")), field(1, c + b + a))
        self.assertEqual(self.read(s, ("__name__", 0, "up"), ("Zone", 0, "")), field(1, a))  # has none
        self.assertEqual(self.read(s, ("__name__", 0, "up"), start=1001, end=1500), field(1, b))  # both ends included
        self.assertEqual(self.read(s, ("__name__", 0, "none")), field(1, b""))
        self.assertEqual(s.ask("GET", "/query?db=default&epoch=ms&q=SELECT+value+FROM+up+WHERE+job='x'")[1],
                         '{"results":[{"statement_id":0,"series":[{"name":"up","columns":["time","value"],"values":[[1000,1],[2000,0.5]]}]}]}\n')
        self.assertEqual(s.write("plain,t=a value=3i 5000000"), 204)
        self.assertEqual(self.read(s, ("__name__", 0, "plain")), field(1, series([("__name__", "plain"), ("t", "a")], [(3, 5)])))
        s.stop(self)

    def test_refusals(self):
        s = Server(self, self.path("data"))
        for path, body, status, words in (
                ("write", b"", 400, "database is required"), ("write?db=x", b"", 404, 'database not found: \\"x\\"'),
                ("write?db=default", b"\x0b\x0c", 400, "the body is no such message"),
                ("read?db=x", matchers(0, 1, ("a", 0, "b")), 404, 'database not found: \\"x\\"'),
                ("read?db=default", matchers(0, 1), 400, "expected matcher"),
                ("read?db=default", b"", 400, "Prometheus read endpoint currently only supports one query at a time"),
                ("read?db=default", matchers(0, 1, ("a", 2, "(")), 400, "error parsing regexp")):
            with self.subTest(path=path, body=body):
                self.assertIn(words, self.post(s, "/api/v1/prom/" + path, body, status)[0].decode())
        c = s.connect()
        for body in (b"", b"\xff\xff\xff\xff\x0f", b"\x05abc"):
            c.request("POST", "/api/v1/prom/write?db=default", body, {"Authorization": "Token " + s.token})
            answer = c.getresponse()
            self.assertIn((answer.status, answer.read()), ((400, b'{"error":"snappy: corrupt input"}\n'), (413, b'{"error":"Request Entity Too Large"}\n')))
        c.close()
        s.stop(self)


class Queries(lib.Case):
    """SHOW QUERIES, KILL QUERY, and the limits that `serve` is given."""

    POINTS = 400000

    def fill(self, s):
        lines = "".join(f"m,i={i % 10} v={i * 0.37} {i * 1000000000 + i % 10}\n" for i in range(self.POINTS))
        self.assertEqual(s.write(lines.encode()), 204)

    def begin(self, s, q="SELECT * FROM m"):
        """A query whose answer nobody takes yet: it goes on until the connection's buffers are full."""
        c = s.connect()
        c.sock = None
        c.connect()
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.request("GET", "/query?db=default&chunked=true&q=" + urllib.parse.quote(q), headers={"Authorization": "Token " + s.token})
        return c

    def query(self, s, q, **params):
        return s.ask("POST", "/query?" + urllib.parse.urlencode(dict(params, q=q, db="default")))

    def running(self, s):
        results = json.loads(self.query(s, "SHOW QUERIES")[1])["results"]
        return {row[1]: row for row in results[0]["series"][0]["values"]}

    def test_kill_query(self):
        s = Server(self, self.path("data"), binary=RELEASE)
        self.fill(s)
        c = self.begin(s)
        for _ in range(100):
            if "SELECT * FROM m" in self.running(s):
                break
            time.sleep(0.05)
        row = self.running(s)["SELECT * FROM m"]
        self.assertEqual((row[2], row[4]), ("default", "running"))
        self.assertRegex(row[3], r"^[0-9.]+(ns|us|ms|s|\u00b5s)$")
        self.assertEqual(self.query(s, f"KILL QUERY {row[0]}")[1], '{"results":[{"statement_id":0}]}\n')
        self.assertIn("no such query id: 999999", self.query(s, "KILL QUERY 999999")[1])
        text = c.getresponse().read().decode().splitlines()
        self.assertEqual(json.loads(text[-1])["results"][0].get("error"), "query killed")
        self.assertLess(len(text), self.POINTS / 10000)
        c.close()
        self.assertNotIn("SELECT * FROM m", self.running(s))
        metrics = s.ask("GET", "/metrics")[1]
        self.assertIn("\nafluxo_queries_killed_total 1\n", metrics)
        self.assertIn("\nafluxo_queries_running 0\n", metrics)
        s.stop(self)

    def test_as_many_as_may(self):
        s = Server(self, self.path("data"), "--max-queries", "1", binary=RELEASE)
        self.fill(s)
        c = self.begin(s)
        time.sleep(0.5)
        status, body, _ = self.query(s, "SELECT count(v) FROM m")
        self.assertEqual((status, body), (429, '{"error":"max-concurrent-queries limit exceeded(1, 1)"}\n'))
        self.assertIn("\nafluxo_queries_refused_total 1\n", s.ask("GET", "/metrics")[1])
        c.close()  # who leaves ends the query
        for _ in range(100):
            if self.query(s, "SELECT count(v) FROM m")[0] == 200:
                break
            time.sleep(0.1)
        self.assertEqual(self.query(s, "SELECT count(v) FROM m")[0], 200)
        s.stop(self)

    def test_limits(self):
        for options, q, words in (
                (("--query-series", "5"), "SELECT v FROM m", "5"), (("--query-points", "1000"), "SELECT max(v) FROM m WHERE v > 1", "1000"),
                (("--query-windows", "10"), "SELECT count(v) FROM m WHERE time >= 0 AND time < 1h GROUP BY time(1m)", "max-select-buckets limit exceeded: (60/10)"),
                (("--query-memory", "1M"), "SELECT percentile(v, 50) FROM m", "1"), (("--query-timeout", "1ms"), "SELECT stddev(v) FROM m WHERE v > 1", "time")):
            with self.subTest(options):
                s = Server(self, self.path("data" + options[0]), *options, binary=RELEASE)
                self.fill(s)
                body = json.loads(self.query(s, q)[1])
                self.assertIn(words, body["results"][0].get("error", "no error"))
                s.stop(self)
        s = Server(self, self.path("rows"), "--query-rows", "100", binary=RELEASE)
        self.fill(s)
        result = json.loads(self.query(s, "SELECT v FROM m")[1])["results"][0]
        self.assertEqual(len(result["series"][0]["values"]), 100)
        self.assertTrue(result["series"][0]["partial"])
        s.stop(self)

if __name__ == "__main__":
    unittest.main()

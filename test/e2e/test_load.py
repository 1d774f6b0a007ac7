"""Many connections at once, writing and administering, against the sanitizer build: no error, no growth, nothing left open. And hostile
clients beside a good one, who must not notice them.

AFLUXO_TEST_LOAD_SECONDS says how long the load lasts (8 unless given; 600 is the long run). AFLUXO_TEST_LOAD_BINARY: another build."""
import gzip
import http.client
import json
import os
import random
import socket
import threading
import time
import warnings
import zlib

import lib

SECONDS = float(os.environ.get("AFLUXO_TEST_LOAD_SECONDS", "8"))
BINARY = os.environ.get("AFLUXO_TEST_LOAD_BINARY", lib.BINARY)
CONNECTIONS = 200
GROWTH_KB = 64 << 10   # of resident memory, from the first half to the last quarter
GOOD_WITHIN_S = 5      # a good client's answer beside hostile ones; the machine may be busy and the build is slow


def serve(case, *args):
    # What ASan keeps back of freed memory would look like growth.
    env = lib.environment(ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:quarantine_size_mb=8:malloc_context_size=5",
                          TSAN_OPTIONS="halt_on_error=0:exitcode=66")
    server = lib.Server(case.path("data"), *args, binary=BINARY, env=env)
    case.addCleanup(server.close)
    return server


def resident_kb(server):
    with open(f"/proc/{server.process.pid}/status") as f:
        found = [int(line.split()[1]) for line in f if line.startswith("VmRSS")]
    if not found:  # a zombie
        raise AssertionError(f"the server ended with {server.process.wait()}: " + server.log[-6000:])
    return found[0]


def open_files(server):
    """How many sockets, how many others but TSM files and series indexes, and all names."""
    names = []
    for fd in os.listdir(f"/proc/{server.process.pid}/fd"):
        try:
            names.append(os.readlink(f"/proc/{server.process.pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    sockets = sum(n.startswith("socket:") for n in names)
    return sockets, len(names) - sockets - sum(n.endswith((".tsm", "/series")) for n in names), sorted(names)


def metric(server, name):
    body = server.request("GET", "/metrics")[1].decode()
    return int(float([line.split()[1] for line in body.splitlines() if line.startswith(name + " ")][0]))


def org_of(server):
    return json.loads(server.request("GET", "/api/v2/orgs")[1])["orgs"][0]["id"]


class Client(threading.Thread):
    """One connection, kept; each turn a few requests. An answer that is not expected is an error."""

    def __init__(self, server, number, org):
        super().__init__(daemon=True)
        self.port = server.port
        self.head = {"Authorization": "Token " + server.token}
        self.number = number
        self.org = org
        self.random = random.Random(number)
        self.stop = False
        self.errors = []
        self.requests = 0
        self.points = 0
        self.turn_number = 0

    def ask(self, method, path, body=None, want=(200,), **headers):
        if isinstance(body, dict):
            body = json.dumps(body)
        self.connection.request(method, path, body, {**self.head, **headers})
        answer = self.connection.getresponse()
        content = answer.read()
        self.requests += 1
        if answer.status not in want:
            self.errors.append((method, path, answer.status, content[:300]))
        return answer.status, content

    def lines(self, count):
        base = 1700000000 + self.turn_number % 50 * 1000
        self.points += count
        return "".join(f'm{self.number % 3},c={self.number},s={i % 5} v={self.turn_number}i,w={i}.5,t="text {i}" {base + i}000000000\n'
                       for i in range(count)).encode()

    def write_v2(self):
        body = self.lines(self.random.choice((1, 10, 100, 500)))
        if self.turn_number % 2:
            self.ask("POST", "/api/v2/write?org=afluxo&bucket=default", gzip.compress(body, 1), (204,), **{"Content-Encoding": "gzip"})
        else:
            self.ask("POST", "/api/v2/write?org=afluxo&bucket=default", body, (204,))

    def write_v1(self):
        self.ask("POST", "/write?db=default", self.lines(50), (204,))

    def buckets(self):
        name = f"b{self.number}_{self.turn_number}"
        status, content = self.ask("POST", "/api/v2/buckets", {"orgID": self.org, "name": name, "retentionRules": []}, (201,))
        if status != 201:
            return
        self.ask("POST", f"/api/v2/write?org=afluxo&bucket={name}", self.lines(20), (204,))
        self.ask("GET", f"/api/v2/buckets?name={name}")
        self.ask("DELETE", "/api/v2/buckets/" + json.loads(content)["id"], want=(204,))
        self.ask("GET", f"/api/v2/buckets?name={name}", want=(200, 404))

    def databases(self):
        name = f"d{self.number}_{self.turn_number}"
        self.ask("POST", f"/query?q=CREATE+DATABASE+{name}")
        self.ask("POST", f"/write?db={name}", self.lines(20), (204,))
        self.ask("GET", "/query?q=SHOW+DATABASES")
        self.ask("POST", f"/query?q=DROP+DATABASE+{name}")

    def tokens(self):
        body = {"orgID": self.org, "permissions": [{"action": "read", "resource": {"type": "buckets"}}]}
        status, content = self.ask("POST", "/api/v2/authorizations", body, (201,))
        if status == 201:
            self.ask("GET", "/api/v2/authorizations")
            self.ask("DELETE", "/api/v2/authorizations/" + json.loads(content)["id"], want=(204,))

    def look(self):
        for path in ("/api/v2/buckets", "/api/v2/orgs", "/metrics", "/health", "/ready", "/query?q=SHOW+DATABASES"):
            self.ask("GET", path)
        self.ask("GET", "/ping", want=(204,))
        self.ask("GET", "/nothing", want=(404,))
        if self.turn_number % 20 == 5:
            body = {"start": "2023-11-14T22:13:20Z", "stop": "2023-11-14T22:13:25Z", "predicate": f'c="{self.number - 5}"'}
            self.ask("POST", "/api/v2/delete?org=afluxo&bucket=default", body, (204,))

    def turn(self):
        kinds = [self.write_v2] * 6 + [self.write_v1, self.buckets, self.databases if self.number % 20 > 9 else self.tokens, self.look]
        self.turn_number += 1
        kinds[self.number % 10]()

    def run(self):
        try:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            while not self.stop and not self.errors:
                self.turn()
            self.connection.close()
        except (OSError, http.client.HTTPException) as e:
            self.errors.append(repr(e))


class Load(lib.Case):
    def expect_clean_end(self, server):
        status = server.stop()
        log = server.log
        for marker in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer"):
            self.assertNotIn(marker, log, log[max(0, log.find(marker) - 200):][:6000])
        self.assertEqual(status, 0, log[-3000:])

    def test_two_hundred_connections(self):
        server = serve(self, "--memory", "16M")
        org = org_of(server)
        self.assertEqual(server.request("POST", "/api/v2/write?org=afluxo&bucket=default", "m0,c=0 v=1i 1700000000000000000")[0], 204)
        sockets, others, before = open_files(server)
        clients = [Client(server, i, org) for i in range(CONNECTIONS)]
        for client in clients:
            client.start()
        began = time.time()
        early = late = 0
        while time.time() < began + SECONDS:
            time.sleep(0.25)
            share = (time.time() - began) / SECONDS
            if share < 0.5:
                early = max(early, resident_kb(server))
            elif share > 0.75:
                late = max(late, resident_kb(server))
            if any(c.errors for c in clients):
                break
        for client in clients:
            client.stop = True
        for client in clients:
            client.join(60)
        self.assertEqual([e for c in clients for e in c.errors][:5], [], server.log[-1500:])
        self.assertLess(late - early, GROWTH_KB, f"resident memory went from {early} to {late} KiB")
        end = time.time() + 30
        while True:  # a compaction may be under way
            now = open_files(server)
            files = [n for n in now[2] if n.endswith(".tsm") or ".tsm " in n]
            if (now[0] <= sockets and now[1] <= others and len(files) <= metric(server, "afluxo_engine_files")) or time.time() > end:
                break
            time.sleep(0.1)
        self.assertLessEqual(now[0], sockets, "sockets are left open")
        self.assertLessEqual(now[1], others, f"files are left open: {before}, then {now[2]}")
        self.assertLessEqual(len(files), metric(server, "afluxo_engine_files"), files)
        self.assertEqual(metric(server, "afluxo_engine_buckets"), 1)
        self.expect_clean_end(server)
        check = self.afluxo(lib.DONE, "tsm", "verify", server.data, "--json")
        self.assertEqual(json.loads(check.out.strip().splitlines()[-1])["faults"], 0)
        print(f"{sum(c.requests for c in clients)} requests, {sum(c.points for c in clients)} points in {SECONDS:.0f} s; "
              f"resident {early} KiB, then {late} KiB")


# --- hostile clients: each gets a port, a token and a moment at which it must have ended -------------------------------------------------


def connect(port):
    s = socket.create_connection(("127.0.0.1", port), timeout=30)
    return s


def head(token, length=None, more="", path="/api/v2/write?org=afluxo&bucket=default"):
    size = f"Content-Length: {length}\r\n" if length is not None else "Transfer-Encoding: chunked\r\n"
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Token {token}\r\n{size}{more}\r\n".encode()


def status_of(s):
    """The status of the answer; None: the connection was ended without one."""
    try:
        s.settimeout(60)
        got = b""
        while b"\r\n" not in got:
            piece = s.recv(4096)
            if not piece:
                return None
            got += piece
        return int(got.split()[1])
    except (ConnectionError, ValueError, IndexError):
        return None


def send_all(s, pieces):
    """As many bytes as the other side takes."""
    sent = 0
    try:
        for piece in pieces:
            s.sendall(piece)
            sent += len(piece)
    except OSError:
        pass
    return sent


def drip_head(port, token, until):
    s = connect(port)
    text = head(token, 100) * 100
    for i in range(int(until - time.time())):
        s.sendall(text[i:i + 1])
        time.sleep(1)


def drip_body(port, token, until):
    s = connect(port)
    s.sendall(head(token, 100000))
    while time.time() < until:
        s.sendall(b"m")
        time.sleep(1)


def gzip_zeros(port, token, until):
    """10 GB of zeros: one block of deflate again and again."""
    block = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = block.compress(bytes(64 << 20)) + block.flush(zlib.Z_FULL_FLUSH)
    body = b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + piece * 160
    s = connect(port)
    send_all(s, [head(token, len(body), "Content-Encoding: gzip\r\n"), body])
    status = status_of(s)
    assert status in (413, 503), status  # too large, or too much beside what others send just now


def one_line_of_a_gigabyte(port, token, until):
    piece = b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"
    s = connect(port)
    sent = send_all(s, [head(token)] + [piece] * 1024)
    assert sent < 512 << 20, f"{sent} bytes were taken"
    assert status_of(s) in (413, None)


def a_gigabyte_announced(port, token, until):
    s = connect(port)
    s.sendall(head(token, 1 << 30))
    sent = send_all(s, [b"x" * (1 << 20)] * 256)
    assert sent < 256 << 20, f"{sent} bytes were taken"
    assert status_of(s) in (413, None)


def post(port, token, body, path="/api/v2/write?org=afluxo&bucket=default"):
    s = connect(port)
    send_all(s, [head(token, len(body), path=path), body])
    return status_of(s)


def tag_keys_on_a_line(port, token, until):
    body = b"m," + b",".join(b"k%07d=v" % i for i in range(1000000)) + b" v=1 1\n"
    status = post(port, token, body)
    assert status == 400, status


def field_keys_on_a_line(port, token, until):
    body = b"m " + b",".join(b"k%07d=1" % i for i in range(1000000)) + b" 1\n"
    status = post(port, token, body)
    assert status in (204, 400, 422), status


def tag_keys_on_many_lines(port, token, until):
    body = b"".join(b"m,k%07d=v v=1 1\n" % i for i in range(1000000))
    status = post(port, token, body)
    assert status in (204, 400, 422, 503), status


def random_bytes(port, token, until):
    rng = random.Random(1)
    for _ in range(20):
        s = connect(port)
        send_all(s, [rng.randbytes(100000)])
        s.close()


def pipelined(port, token, until):
    """Never reads what it asked for."""
    s = connect(port)
    s.settimeout(2)
    send_all(s, [b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Token " + token.encode() + b"\r\n\r\n"] * 20000)
    time.sleep(max(0, until - time.time() - 1))


def pipelined_garbage(port, token, until):
    s = connect(port)
    send_all(s, [b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\xff\r\n\r\nPOST\r\n" * 10000])
    assert status_of(s) == 204
    s.close()


def huge_headers(port, token, until):
    for text in (b"X-A: " + b"x" * (8 << 20), b"".join(b"X-%d: y\r\n" % i for i in range(200000)), b"x" * (1 << 20)):
        s = connect(port)
        send_all(s, [b"GET /ping HTTP/1.1\r\nHost: x\r\n" + text + b"\r\n\r\n"])
        status = status_of(s)
        assert status in (400, 413, 414, 431, 494, None), status
        s.close()
    s = connect(port)
    send_all(s, [b"GET /ping?" + b"x" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n"])
    status = status_of(s)
    assert status in (400, 413, 414, 431, None), status


def deep(port, token, until):
    for path, body in (("/api/v2/buckets", b'{"a":' + b"[" * 1000000),
                       ("/api/v2/delete?org=afluxo&bucket=default",
                        b'{"start":"2020-01-01T00:00:00Z","stop":"2020-01-02T00:00:00Z","predicate":"' + b"(" * 1000000 + b'"}'),
                       ("/api/v2/delete?org=afluxo&bucket=default",
                        b'{"start":"2020-01-01T00:00:00Z","stop":"2020-01-02T00:00:00Z","predicate":"' +
                        b" OR ".join(b"a=b%d" % i for i in range(500000)) + b'"}')):
        status = post(port, token, body, path)
        assert status in (204, 400, 413, 422, 503), (path, status)
    s = connect(port)
    body = b"q=" + b"SHOW+DATABASES%3B" * 100000
    send_all(s, [head(token, len(body), "Content-Type: application/x-www-form-urlencoded\r\n", "/query"), body])
    assert status_of(s) in (200, 400, 413, 503)


def leavers(port, token, until):
    """Ask, and are gone before the answer."""
    while time.time() < until:
        s = connect(port)
        send_all(s, [head(token, 11), b"m v=1 1\nm v"[:random.randrange(12)]])
        s.close()
        time.sleep(0.005)


HOSTILE = [(drip_head, 20), (drip_body, 20), (gzip_zeros, 2), (one_line_of_a_gigabyte, 2), (a_gigabyte_announced, 2), (tag_keys_on_a_line, 1),
           (field_keys_on_a_line, 1), (tag_keys_on_many_lines, 1), (random_bytes, 2), (pipelined, 10), (pipelined_garbage, 2),
           (huge_headers, 2), (deep, 1), (leavers, 2)]


class Hostile(lib.Case):
    expect_clean_end = Load.expect_clean_end

    def good(self, server, seconds):
        """Writes of one point and questions, for so long: how long each took."""
        took = []
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        end = time.time() + seconds
        auth = {"Authorization": "Token " + server.token}
        while time.time() < end:
            for method, path, body, want in (("POST", "/api/v2/write?org=afluxo&bucket=default", f"good v=1 {len(took) + 1}\n", 204),
                                             ("GET", "/api/v2/buckets", None, 200)):
                began = time.time()
                connection.request(method, path, body, auth)
                answer = connection.getresponse()
                content = answer.read()
                took.append(time.time() - began)
                self.assertEqual(answer.status, want, content)
            time.sleep(0.005)
        return sorted(took)

    def test_others_do_not_notice(self):
        server = serve(self, "--memory", "16M")
        alone = self.good(server, 2)
        until = time.time() + max(SECONDS, 8)
        failures = []

        def run(hostile):
            warnings.simplefilter("ignore", ResourceWarning)  # hostile clients do not tidy up
            try:
                hostile(server.port, server.token, until)
            except AssertionError as e:
                failures.append(f"{hostile.__name__}: {e}")
            except OSError:
                pass  # it was thrown out, or could not come in

        threads = [threading.Thread(target=run, args=(h,), daemon=True) for h, count in HOSTILE for _ in range(count)]
        for thread in threads:
            thread.start()
        beside = self.good(server, until - time.time())
        for thread in threads:
            thread.join(60)
        self.assertEqual(failures, [])
        self.assertEqual([t.name for t in threads if t.is_alive()], [])
        self.assertLess(beside[-1], GOOD_WITHIN_S)
        peak = resident_kb(server)
        print("good client, ms: alone median %.1f p99 %.1f max %.1f; beside hostile ones median %.1f p99 %.1f max %.1f; resident %d KiB"
              % (*(1000 * x[int(len(x) * q)] for x in (alone, beside) for q in (0.5, 0.99, 0.9999)), peak))
        self.expect_clean_end(server)

    def test_many_buckets(self):
        """The thousandth bucket takes no longer than the first, lists stay bounded, and names are."""
        server = serve(self)
        org = org_of(server)
        count = int(os.environ.get("AFLUXO_TEST_BUCKETS", "600"))
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        auth = {"Authorization": "Token " + server.token}
        took = []
        for i in range(count):
            began = time.time()
            connection.request("POST", "/api/v2/buckets", json.dumps({"orgID": org, "name": f"b{i}", "retentionRules": []}), auth)
            answer = connection.getresponse()
            content = answer.read()
            took.append(time.time() - began)
            if answer.status != 201:
                print(f"bucket {i}: {answer.status} {content}")
                self.assertGreater(i, 99000)
                self.assertIn(answer.status, (403, 413, 422, 429))
                break
        part = len(took) // 3
        first, last = sorted(took[:part])[part // 2], sorted(took[-part:])[part // 2]
        print(f"{len(took)} buckets: {1000 * first:.2f} ms each, then {1000 * last:.2f} ms; resident {resident_kb(server)} KiB")
        self.assertLess(last, 5 * first + 0.01)
        for limit, want in (("", 20), ("?limit=100", 100), ("?limit=1000000", 100)):
            status, body, _ = server.request("GET", "/api/v2/buckets" + limit)
            self.assertIn(status, (200, 400, 422))
            if status == 200:
                self.assertLessEqual(len(json.loads(body)["buckets"]), want)
        for name in ("x" * 2000, "x" * 1000000):
            status, body, _ = server.request("POST", "/api/v2/buckets", {"orgID": org, "name": name, "retentionRules": []})
            self.assertEqual(status, 400, body[:200])
        began = time.time()
        server.kill()
        server.start()
        print(f"started again in {time.time() - began:.2f} s")
        self.assertEqual(metric(server, "afluxo_engine_buckets"), len(took) + 1)
        self.expect_clean_end(server)


if __name__ == "__main__":
    lib.unittest.main()

"""What the end-to-end tests share: a real influxd, afluxo itself, temporary directories. Standard library only."""
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RELEASE = os.environ.get("AFLUXO", os.path.join(ROOT, "build", "afluxo"))
# The tests run the sanitizer build; where a test needs speed it says so.
BINARY = os.environ.get("AFLUXO_ASAN", os.path.join(ROOT, "build", "afluxo-asan"))

DONE, FAILED, USAGE, REJECTED, DIFFERENT, INTERRUPTED = range(6)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Influxd:
    """Debian's influxd on a free loopback port, with its data in a directory of its own."""

    def __init__(self, extra="", http_extra=""):
        self.dir = tempfile.mkdtemp(prefix="afluxo-influxd-")
        self.port = free_port()
        self.config = os.path.join(self.dir, "influxdb.conf")
        with open(self.config, "w") as f:
            f.write(f"""
reporting-disabled = true
bind-address = "127.0.0.1:{free_port()}"
[meta]
  dir = "{self.dir}/meta"
[data]
  dir = "{self.dir}/data"
  wal-dir = "{self.dir}/wal"
  max-series-per-database = 0
  max-values-per-tag = 0
  query-log-enabled = false
{extra}
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{self.port}"
  log-enabled = false
  max-body-size = 0
{http_extra}
""")
        self.process = None
        self.start()
        atexit.register(self.close)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def start(self):
        log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen(["influxd", "run", "-config", self.config], stdout=log, stderr=log)
        log.close()
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url + "/ping", timeout=1)
                return
            except (OSError, urllib.error.URLError):
                if self.process.poll() is not None:
                    raise RuntimeError("influxd ended: " + open(os.path.join(self.dir, "log")).read()[-2000:])
                time.sleep(0.1)
        raise RuntimeError("influxd did not answer")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            shutil.rmtree(self.dir, ignore_errors=True)

    def query(self, q, db="", **params):
        params.update(q=q, db=db, epoch="ns")
        data = urllib.parse.urlencode(params).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + "/query", data=data), timeout=120) as r:
            return json.load(r)

    def values(self, q, db):
        """Rows of the first series of the first result."""
        series = self.query(q, db)["results"][0].get("series")
        return series[0]["values"] if series else []

    def count(self, measurement, field, db):
        rows = self.values(f'SELECT count("{field}") FROM "{measurement}"', db)
        return rows[0][1] if rows else 0


def environment(**more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("INFLUX", "AFLUXO_"))}
    env["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0"
    env["UBSAN_OPTIONS"] = "print_stacktrace=1"
    env.update(more)
    return env


class Result:
    def __init__(self, process, out, err):
        self.status = process.returncode
        self.out = out
        self.err = err

    @property
    def json(self):
        return json.loads(self.out.strip().splitlines()[-1])

    def __repr__(self):
        return f"exit {self.status}\n--- stdout\n{self.out[-3000:]}\n--- stderr\n{self.err[-3000:]}"


def run(*args, binary=None, stdin=None, timeout=300, env=None):
    p = subprocess.Popen([binary or BINARY, *map(str, args)], stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env or environment())
    try:
        out, err = p.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        p.kill()
        out, err = p.communicate()
        raise AssertionError("timed out: " + " ".join(map(str, args)) + "\n" + err.decode(errors="replace")[-3000:])
    return Result(p, out.decode(errors="replace"), err.decode(errors="replace"))


def start(*args, binary=None, env=None):
    return subprocess.Popen([binary or BINARY, *map(str, args)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, env=env or environment())


class Case(unittest.TestCase):
    """A temporary directory a test, and checks that show what the program said."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="afluxo-e2e-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, content):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(content.encode() if isinstance(content, str) else content)
        return path

    def expect(self, result, status):
        for marker in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer"):
            self.assertNotIn(marker, result.err, repr(result))
        self.assertEqual(result.status, status, repr(result))
        return result

    def afluxo(self, status, *args, **kw):
        return self.expect(run(*args, **kw), status)


class Server:
    """`afluxo serve` on a free loopback port over a directory of its own (or the one given)."""

    def __init__(self, data=None, *args, binary=None, env=None):
        self.own = data is None
        self.data = data or tempfile.mkdtemp(prefix="afluxo-serve-")
        self.args = args
        self.binary = binary or BINARY
        self.env = env
        self.port = free_port()
        self.process = None
        self.start()
        atexit.register(self.close)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def token(self):
        with open(os.path.join(self.data, "operator-token")) as f:
            return f.read().strip()

    @property
    def log(self):
        with open(self.data + ".log", errors="replace") as f:
            return f.read()

    def start(self):
        with open(self.data + ".log", "ab") as log:
            self.process = subprocess.Popen([self.binary, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", *self.args],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env or environment())
        end = time.time() + 60
        while time.time() < end:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError("afluxo serve ended: " + self.log[-3000:])
                time.sleep(0.01)
        raise RuntimeError("afluxo serve did not answer: " + self.log[-3000:])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        if self.own:
            shutil.rmtree(self.data, ignore_errors=True)
            try:
                os.remove(self.data + ".log")
            except FileNotFoundError:
                pass

    def request(self, method, path, body=None, headers=None, auth=True):
        """Status, body and headers; any status is an answer."""
        headers = dict(headers or {})
        if auth and "Authorization" not in headers:
            headers["Authorization"] = "Token " + self.token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        request = urllib.request.Request(self.url + path, data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as r:
                return r.status, r.read(), r.headers
        except urllib.error.HTTPError as e:
            return e.code, e.read(), e.headers

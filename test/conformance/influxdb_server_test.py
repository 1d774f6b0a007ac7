#!/usr/bin/env python3
"""InfluxDB's own tests of its server (tests/server_test.go, server_suite.go, server_delete_test.go), run on ours over HTTP.

    influxdb_server_test.py [DIRECTORY] [--afluxo PROGRAM | --influxd PROGRAM | --url URL] [--only SUBSTRING] [-v]

DIRECTORY (or AFLUXO_TEST_INFLUXDB_TESTS) is tests/ of a checkout of github.com/influxdata/influxdb, v1.8.10; nothing of it is kept here.
The Go source is interpreted (go_tests.py): each TestServer_* function runs as it is, with servers, tests and queries of our own classes, which
write, ask and compare as its harness does. Every function has a fresh server with the settings it asks for, started from the program given;
--url uses a server that runs (its databases are dropped!) and skips what wants settings or a restart.

A case is a t.Run; a function without any is one. One that needs what only Go has (locking inside the server, its meta client, protobuf) is
unrunnable and counts neither way. The last line is "N passed, N failed".
"""
import argparse
import datetime
import functools
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import types
import urllib.parse
import zoneinfo

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from go_tests import Panic, Program, Struct, Unsupported  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FILES = ("server_test.go", "server_suite.go", "server_delete_test.go")
SECOND = 10**9
MAX_NANO_TIME = 9223372036854775806
MIN_NANO_TIME = -9223372036854775806


class GoError(str):
    def Error(self):
        return str(self)


# --- time ---------------------------------------------------------------------------------------------------------------------------

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Time:
    """time.Time: nanoseconds since 1970 and a zone."""

    def __init__(self, ns=0, zone=datetime.timezone.utc):
        self.ns, self.zone = ns, zone

    def wall(self):
        return (EPOCH + datetime.timedelta(seconds=self.ns // SECOND)).astimezone(self.zone)

    def Add(self, duration):
        return Time(self.ns + duration, self.zone)

    def Sub(self, other):
        return self.ns - other.ns

    def AddDate(self, years, months, days):
        wall = self.wall()
        year, month = wall.year + years, wall.month - 1 + months
        year, month = year + month // 12, month % 12 + 1
        begin = datetime.datetime(year, month, 1, wall.hour, wall.minute, wall.second, tzinfo=self.zone)
        moved = (begin.replace(tzinfo=None) + datetime.timedelta(days=wall.day - 1 + days)).replace(tzinfo=self.zone)
        return Time(int((moved - EPOCH).total_seconds()) * SECOND + self.ns % SECOND, self.zone)

    ZERO = -62135596800 * SECOND  # Truncate and Round count from year 1

    def Truncate(self, duration):
        return Time(self.ns - (self.ns - self.ZERO) % duration, self.zone)

    def Round(self, duration):
        over = (self.ns - self.ZERO) % duration
        return Time(self.ns - over + (duration if over * 2 >= duration else 0), self.zone)

    def UTC(self):
        return Time(self.ns)

    def In(self, zone):
        return Time(self.ns, zone)

    def Unix(self):
        return self.ns // SECOND

    def UnixNano(self):
        return self.ns

    def Before(self, other):
        return self.ns < other.ns

    def After(self, other):
        return self.ns > other.ns

    def Format(self, layout):
        if layout not in (Clock.RFC3339, Clock.RFC3339Nano):
            raise Unsupported("the time layout " + layout)
        wall = self.wall()
        text = wall.strftime("%Y-%m-%dT%H:%M:%S")
        if layout == Clock.RFC3339Nano and self.ns % SECOND:
            text += (".%09d" % (self.ns % SECOND)).rstrip("0")
        offset = int(wall.utcoffset().total_seconds()) // 60
        return text + ("Z" if offset == 0 else "%s%02d:%02d" % ("-" if offset < 0 else "+", abs(offset) // 60, abs(offset) % 60))

    def __eq__(self, other):
        return isinstance(other, Time) and self.ns == other.ns


class Clock:
    """The package time."""
    RFC3339, RFC3339Nano = "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00"
    Nanosecond, Microsecond, Millisecond, Second, Minute, Hour = 1, 1000, 10**6, SECOND, 60 * SECOND, 3600 * SECOND
    Duration = int
    Time = Time
    UTC = datetime.timezone.utc
    January, February, March, April, May, June, July, August, September, October, November, December = range(1, 13)

    @staticmethod
    def Now():
        return Time(time.time_ns())

    @staticmethod
    def Unix(seconds, ns):
        return Time(seconds * SECOND + ns)

    @staticmethod
    def Date(year, month, day, hour, minute, second, ns, zone):
        begin = datetime.datetime(year, month, day, hour, minute, second, tzinfo=zone)
        return Time(int((begin - EPOCH).total_seconds()) * SECOND + ns, zone)

    @staticmethod
    def Sleep(duration):
        time.sleep(duration / SECOND)

    @staticmethod
    def Parse(layout, text):
        match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[-+]\d\d:\d\d)", text)
        if match is None:
            return None, GoError("parsing time " + text)
        whole = datetime.datetime.fromisoformat(match.group(1) + match.group(3).replace("Z", "+00:00"))
        delta = whole - EPOCH
        return Time((delta.days * 86400 + delta.seconds) * SECOND + int((match.group(2) or "").ljust(9, "0"))), None


# --- fmt, strings and the like --------------------------------------------------------------------------------------------------------

def show(value):
    """%v."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)[:-2] if value == int(value) and abs(value) < 1e21 else repr(value)
    if isinstance(value, list):
        return "[" + " ".join(map(show, value)) + "]"
    if isinstance(value, dict):
        return "map[" + " ".join("%s:%s" % (show(k), show(value[k])) for k in sorted(value)) + "]"
    return str(value)


def quote(text):
    return json.dumps(text, ensure_ascii=False)


def sprintf(format_text, *arguments):
    left = list(arguments)

    def one(match):
        flags, verb = match.group(1), match.group(2)
        if verb == "%":
            return "%"
        value = left.pop(0)
        if verb == "q":
            return quote(str(value))
        if verb in "vs":
            return ("%" + flags + "s") % show(value)
        return ("%" + flags + verb) % value
    return re.sub(r"%([-+ #0]*\d*(?:\.\d+)?)([vsdqfgxXct%])", one, format_text)


def format_float(value, _kind, precision, _bits):
    return show(value) if precision < 0 else "%.*f" % (precision, value)


def unmarshal(data, target):
    """Into a structure like its harness has: lower-case names of JSON to its fields."""
    try:
        value = json.loads(data)
    except ValueError as error:
        return GoError(str(error))

    def fill(value):
        if isinstance(value, dict):
            filled = {key.capitalize(): fill(inner) for key, inner in value.items()}
            return Struct(None, {"Series": None, "Values": None, "Err": "", **filled})
        return [fill(inner) for inner in value] if isinstance(value, list) else value
    filled = fill(value)
    target.__dict__.update({k: v for k, v in filled.__dict__.items() if k != "_kind"})
    return None


class Once:
    """sync.Once."""

    def __init__(self):
        self.is_done = False

    def Do(self, function):
        if not self.is_done:
            self.is_done = True
            function()


def package(**names):
    return types.SimpleNamespace(**names)


class Values:
    is_map = True


def surroundings(program, run):
    """Binds all that the test files import and what their harness defines."""
    program.bind("time", Clock)
    program.bind("fmt", package(Sprintf=sprintf, Sprint=lambda *a: "".join(map(show, a)), Errorf=lambda *a: GoError(sprintf(*a)),
                                Printf=lambda *a: None, Println=lambda *a: None))
    program.bind("strings", package(Join=lambda items, by: by.join(items or []), Repeat=lambda text, count: text * count,
                                    Contains=lambda text, part: part in text, TrimSpace=str.strip, HasPrefix=str.startswith,
                                    Replace=lambda text, old, new, count: text.replace(old, new, count),
                                    Split=lambda text, by: text.split(by)))
    program.bind("strconv", package(Itoa=str, FormatInt=lambda value, base: str(value), FormatFloat=format_float, Quote=quote))
    program.bind("url", package(Values=Values))
    program.bind("json", package(Unmarshal=unmarshal))
    program.bind("sort", package(Strings=lambda items: items.sort() if items else None))
    program.bind("reflect", package(DeepEqual=lambda a, b: (a or None) == (b or None)))
    program.bind("http", package(StatusOK=200, StatusNoContent=204, StatusBadRequest=400))
    program.bind("sync", package(Once=Once))
    program.bind("os", package(Getenv=lambda name: ""))
    program.bind("testing", package(Short=lambda: False, Verbose=lambda: False, T=None, M=None))
    program.bind("models", package(MaxNanoTime=MAX_NANO_TIME, MinNanoTime=MIN_NANO_TIME, EnableUintSupport=lambda: None))
    program.bind("verboseServerLogs", False)
    program.bind("indexType", "inmem")
    program.bind("seed", 1)
    program.bind("byte", lambda value: value)
    for name, value in {"Query": Query, "Write": Write, "Test": Test, "Tests": Values, "Writes": Writes, "Server": None}.items():
        program.bind(name, value)
    program.bind("NewTest", lambda db, rp: Test(db=db, rp=rp))
    program.bind("NewConfig", lambda: Config(run))
    program.bind("OpenServer", run.open)
    program.bind("OpenDefaultServer", run.open_default)
    program.bind("OpenServerWithVersion", run.no_version)
    program.bind("RemoteEnabled", lambda: run.where.url is not None)
    program.bind("NewRetentionPolicySpec", lambda name, copies, duration: package(Name=name, ReplicaN=copies, Duration=duration,
                                                                                  ShardGroupDuration=0))
    program.bind("mustParseTime", must_parse)
    program.bind("now", Clock.Now)
    program.bind("yesterday", lambda: Time(time.time_ns() - 24 * 3600 * SECOND))
    program.bind("maxInt64", lambda: "-1")
    program.bind("expectPattern", expect_pattern)
    program.bind("mustParseLocation", zoneinfo.ZoneInfo)
    program.bind("LosAngeles", zoneinfo.ZoneInfo("America/Los_Angeles"))
    program.bind("db", "db0")
    program.bind("rp", "rp0")


@functools.lru_cache
def must_parse(layout, text):
    value, error = Clock.Parse(layout, text)
    if error is not None:
        raise Panic(error)
    return value


def expect_pattern(pattern, text):
    return re.search(pattern.replace("*.", "*"), text, re.S) is not None


# --- its harness: tests, queries, writes ------------------------------------------------------------------------------------------------

class Query:
    def __init__(self, name="", command="", params=None, exp="", pattern=False, skip=False, repeat=0, once=False):
        self.name, self.command, self.params, self.exp = name, command, params, exp
        self.pattern, self.skip, self.repeat, self.once, self.act = pattern, skip, repeat, once, ""

    def Execute(self, server):
        self.act, error = server.QueryWithParams(self.command, self.params)
        return error

    def success(self):
        return re.search(self.exp, self.act) is not None if self.pattern else self.exp == self.act

    def Error(self, error):
        return "%s: %s" % (self.name, error)

    def failureMessage(self):
        return "%s\n    query   %s  %s\n    exp     %s\n    actual  %s" % (self.name, self.command, self.params or "", self.exp, self.act)


class Write:
    def __init__(self, db="", rp="", data=""):
        self.db, self.rp, self.data = db, rp, data


class Writes:
    is_list = True


class Test:
    def __init__(self, initialized=False, writes=None, params=None, db="", rp="", exp="", queries=None):
        self.initialized, self.writes, self.params, self.exp = initialized, writes or [], params, exp
        self.db, self.rp, self.queries = db, rp, queries or []

    def duplicate(self):
        return Test(self.initialized, [Write(w.db, w.rp, w.data) for w in self.writes], self.params, self.db, self.rp, self.exp,
                    list(self.queries))

    def addQueries(self, *queries):
        self.queries = self.queries + list(queries)

    def database(self):
        return self.db or "db0"

    def retentionPolicy(self):
        return self.rp or "default"

    def init(self, server):
        if not self.writes or self.initialized:
            return None
        self.db, self.rp = self.db or "db0", self.rp or "rp0"
        for i, write in enumerate(self.writes):
            write.db, write.rp = write.db or self.db, write.rp or self.rp
            error = server.CreateDatabaseAndRetentionPolicy(write.db, package(Name=write.rp, ReplicaN=1, Duration=0), True)
            if error is not None:
                return error
            answer, error = server.Write(write.db, write.rp, write.data, self.params)
            if error is not None:
                return GoError("write #%d: %s" % (i, error))
            if answer != self.exp:
                return GoError("unexpected results\nexp: %s\ngot: %s\n" % (self.exp, answer))
        self.initialized = True
        return None


class Failed(Exception):
    pass


class Skipped(Exception):
    pass


class T:
    """testing.T: a case, or a function with its cases."""

    def __init__(self, report, name):
        self.report, self.name, self.failures, self.cases = report, name, [], 0

    def Run(self, name, body):
        inner = T(self.report, self.name + "/" + name)
        self.cases += 1
        outcome = inner.perform(lambda: body(inner))
        self.report.count(self.name, name, outcome, inner.failures)
        return outcome == "passed"

    def perform(self, body):
        try:
            body()
        except Failed:
            pass
        except Skipped:
            return "skipped"
        except Unsupported as error:
            self.failures.append(str(error))
            return "unrunnable"
        except (Panic, OSError, http.client.HTTPException) as error:
            self.failures.append("panic: %s" % error)
        return "failed" if self.failures else "passed"

    def Error(self, *words):
        self.failures.append(" ".join(map(show, words)))

    def Errorf(self, *words):
        self.failures.append(sprintf(*words))

    def Fatal(self, *words):
        self.Error(*words)
        raise Failed()

    def Fatalf(self, *words):
        self.Errorf(*words)
        raise Failed()

    def FailNow(self):
        self.failures.append("FailNow")
        raise Failed()

    def Skip(self, *words):
        raise Skipped()

    Skipf = SkipNow = Skip

    def Log(self, *words):
        pass

    Logf = Parallel = Helper = Log


# --- servers ----------------------------------------------------------------------------------------------------------------------------

class Settings:
    """Takes whatever a test sets: config.Coordinator.MaxSelectSeriesN = 3."""

    def __init__(self, wanted, prefix):
        self.__dict__.update(_wanted=wanted, _prefix=prefix)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return Settings(self._wanted, self._prefix + name + ".")

    def __setattr__(self, name, value):
        self._wanted[self._prefix + name] = value


class Config(Settings):
    def __init__(self, run):
        super().__init__({}, "")
        self.__dict__["server"] = None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Afluxo:
    """How an afluxo is started."""
    FLAGS = {"HTTPD.MaxRowLimit": "--query-rows", "Coordinator.MaxSelectSeriesN": "--query-series",
             "Coordinator.MaxSelectBucketsN": "--query-windows", "Coordinator.MaxSelectPointN": "--query-points"}
    NOTHING = {"Retention.Enabled", "Monitor.StoreEnabled"}
    url = None

    def __init__(self, program):
        self.program = program

    def command(self, directory, port, wanted):
        out = [self.program, "serve", "--data", os.path.join(directory, "data"), "--no-auth", "--listen", "127.0.0.1:%d" % port]
        for name, value in wanted.items():
            if name not in self.FLAGS and name not in self.NOTHING:
                raise Unsupported("the setting " + name)
            if name in self.FLAGS:
                out += [self.FLAGS[name], str(value)]
        return out


class Influxd:
    """How an influxd 1.x is started."""
    SECTIONS = {"HTTPD.MaxRowLimit": ("http", "max-row-limit"), "Meta.RetentionAutoCreate": ("meta", "retention-autocreate"),
                "HTTPD.AuthEnabled": ("http", "auth-enabled"), "Coordinator.MaxSelectSeriesN": ("coordinator", "max-select-series"),
                "Coordinator.MaxSelectBucketsN": ("coordinator", "max-select-buckets")}
    url = None

    def __init__(self, program):
        self.program = program

    def command(self, directory, port, wanted):
        sections = {"meta": ['dir = "%s/meta"' % directory], "data": ['dir = "%s/data"' % directory, 'wal-dir = "%s/wal"' % directory],
                    "monitor": ["store-enabled = false"], "http": ['bind-address = "127.0.0.1:%d"' % port, "log-enabled = false"],
                    "coordinator": []}
        for name, value in wanted.items():
            if name not in self.SECTIONS:
                raise Unsupported("the setting " + name)
            section, key = self.SECTIONS[name]
            sections[section].append("%s = %s" % (key, show(value)))
        path = os.path.join(directory, "influxdb.conf")
        with open(path, "w") as file:
            file.write('reporting-disabled = true\nbind-address = "127.0.0.1:%d"\n' % free_port())
            for section, lines in sections.items():
                file.write("[%s]\n%s\n" % (section, "\n".join(lines)))
        return [self.program, "run", "-config", path]


class Url:
    def __init__(self, url):
        self.url = url

    def command(self, directory, port, wanted):
        raise Unsupported("settings of a server that runs")


class Server:
    def __init__(self, where, config):
        self.where, self.Config, self.process = where, config, None
        if where.url is not None:
            if config is not None and config._wanted:
                raise Unsupported("settings of a server that runs")
            self.address = urllib.parse.urlsplit(where.url).netloc
            return
        self.directory = tempfile.mkdtemp(prefix="afluxo-suite-")
        self.start()

    def start(self):
        port = free_port()
        self.address = "127.0.0.1:%d" % port
        with open(os.path.join(self.directory, "log"), "ab") as log:
            self.process = subprocess.Popen(self.where.command(self.directory, port, self.Config._wanted), stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        end = time.time() + 30
        while time.time() < end:
            try:
                if self.exchange("GET", "/ping")[0] == 204:
                    return
            except (OSError, http.client.HTTPException):
                pass
            if self.process.poll() is not None:
                with open(os.path.join(self.directory, "log"), errors="replace") as log:
                    words = log.read()[-300:].strip()
                raise Unsupported("the server does not start: " + words)
            time.sleep(0.02)
        raise Unsupported("the server does not answer")

    def restart(self):
        self.process.terminate()
        self.process.wait()
        self.start()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            shutil.rmtree(self.directory, True)

    def exchange(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, timeout=120)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "surrogateescape")
        finally:
            connection.close()

    # what tests call

    def is_a(self, name):
        return name == "LocalServer" and self.where.url is None

    @property
    def Server(self):
        return self

    def URL(self):
        return "http://" + self.address

    def Close(self):
        pass  # the function's end closes all of its servers

    def Closed(self):
        return False

    def Query(self, text):
        return self.QueryWithParams(text, None)

    def MustQuery(self, text):
        answer, error = self.Query(text)
        if error is not None:
            raise Panic(error)
        return answer

    def QueryWithParams(self, text, values):
        pairs = [(key, value) for key, items in (values or {}).items() for value in items] + [("q", text)]
        return self.post("/query?" + urllib.parse.urlencode(pairs, errors="surrogateescape"))

    def post(self, path):
        status, body = self.exchange("POST", path, b"", {"Content-Type": "application/json"})
        body = body.strip()
        if status in (200, 204) or (status == 400 and expect_pattern(".*error parsing query*.", body)):
            return body, None
        return "", GoError("unexpected status code: code=%d, body=%s" % (status, body))

    def Write(self, db, rp, body, params):
        pairs = {key: values[0] for key, values in (params or {}).items()}
        pairs["db"], pairs["rp"] = pairs.get("db") or db, pairs.get("rp") or rp
        status, answer = self.exchange("POST", "/write?" + urllib.parse.urlencode(pairs), body.encode("utf-8", "surrogateescape"))
        if status not in (200, 204):
            return "", WriteError("invalid status code: code=%d, body=%s" % (status, answer), status, answer)
        return answer, None

    def MustWrite(self, db, rp, body, params):
        answer, error = self.Write(db, rp, body, params)
        if error is not None:
            raise Panic(error)
        return answer

    def ask(self, text):
        return self.post("/query?" + urllib.parse.urlencode({"q": text}))[1]

    def CreateDatabase(self, name):
        return None, self.ask('CREATE DATABASE "%s"' % name)

    def CreateDatabaseAndRetentionPolicy(self, database, policy, is_default):
        error = self.ask('CREATE DATABASE "%s"' % database)
        if error is not None:
            return error
        return self.ask('CREATE RETENTION POLICY "%s" ON "%s" DURATION %dns REPLICATION %d SHARD DURATION 0s%s' % (
            policy.Name, database, policy.Duration, policy.ReplicaN, " DEFAULT" if is_default else ""))

    def CreateSubscription(self, database, policy, name, mode, destinations):
        return self.ask('CREATE SUBSCRIPTION "%s" ON "%s"."%s" DESTINATIONS %s %s' % (
            name, database, policy, mode, ", ".join("'%s'" % d for d in destinations)))

    def DropDatabase(self, name):
        return self.ask('DROP DATABASE "%s"' % name)

    def Reset(self):
        answer = json.loads(self.MustQuery("SHOW DATABASES"))
        for series in answer["results"][0].get("series", []):
            for row in series.get("values", []):
                self.DropDatabase(row[0])


class WriteError(GoError):
    def __new__(cls, words, status, body):
        self = super().__new__(cls, words)
        self.status, self.body = status, body
        return self

    def StatusCode(self):
        return self.status

    def Body(self):
        return self.body

    @staticmethod
    def is_a(name):
        return name == "WriteError"


# --- running ----------------------------------------------------------------------------------------------------------------------------

class Run:
    """The servers of the function at hand."""

    def __init__(self, where):
        self.where, self.servers = where, []

    def open(self, config):
        if config.server is not None:  # again, with the same configuration
            config.server.restart()
            return config.server
        server = Server(self.where, config)
        config.__dict__["server"] = server
        self.servers.append(server)
        server.Reset()
        return server

    def open_default(self, config):
        server = self.open(config)
        server.CreateDatabaseAndRetentionPolicy("db0", package(Name="rp0", ReplicaN=1, Duration=0), True)
        return server

    def no_version(self, config, version):
        raise Unsupported("a version of one's own")

    def close(self):
        for server in self.servers:
            server.stop()
        self.servers = []


class Report:
    def __init__(self, is_verbose):
        self.is_verbose, self.counts, self.words = is_verbose, {}, []

    def count(self, function, case, outcome, failures):
        mine = self.counts.setdefault(function, dict.fromkeys(("passed", "failed", "unrunnable", "skipped"), 0))
        mine[outcome] += 1
        if outcome in ("failed", "unrunnable"):
            self.words.append("  %s %s: %s" % (outcome, case, "; ".join(failures)))

    def print_function(self, function):
        mine = self.counts[function]
        print("%-66s %s" % (function, "  ".join("%d %s" % (n, what) for what, n in mine.items() if n)))
        for words in self.words:
            print(words if self.is_verbose else words[:1500])
        self.words = []
        sys.stdout.flush()

    def total(self, what):
        return sum(mine[what] for mine in self.counts.values())


def run_function(program, run, report, name):
    t = T(report, name)
    outcome = t.perform(lambda: program.call(name, t))
    run.close()
    if t.cases == 0 or outcome != "passed":
        report.count(name, "(itself)", outcome, t.failures)
    report.print_function(name)


def main():
    parser = argparse.ArgumentParser(description="InfluxDB's tests of its server, run on ours")
    parser.add_argument("directory", nargs="?", default=os.environ.get("AFLUXO_TEST_INFLUXDB_TESTS"))
    parser.add_argument("--afluxo", default=os.environ.get("AFLUXO", os.path.join(ROOT, "build", "afluxo")))
    parser.add_argument("--influxd")
    parser.add_argument("--url")
    parser.add_argument("--only", default="")
    parser.add_argument("-v", action="store_true", help="failures whole")
    options = parser.parse_args()
    if options.directory is None:
        parser.error("DIRECTORY or AFLUXO_TEST_INFLUXDB_TESTS: tests/ of a checkout of github.com/influxdata/influxdb")
    run = Run(Url(options.url) if options.url else Influxd(options.influxd) if options.influxd else Afluxo(os.path.abspath(options.afluxo)))
    sources = []
    for name in FILES:
        with open(os.path.join(options.directory, name), encoding="utf-8", errors="surrogateescape") as file:
            sources.append(file.read())
    sys.setrecursionlimit(10000)
    program = Program(sources)
    surroundings(program, run)
    program.begin()
    report = Report(options.v)
    names = [name for name in program.functions if isinstance(name, str) and name.startswith("TestServer_") and options.only in name]
    try:
        for name in names:
            run_function(program, run, report, name)
    finally:
        run.close()
    print("%d unrunnable, %d skipped by themselves" % (report.total("unrunnable"), report.total("skipped")))
    print("%d passed, %d failed" % (report.total("passed"), report.total("failed")))
    return 1 if report.total("failed") else 0


if __name__ == "__main__":
    sys.exit(main())

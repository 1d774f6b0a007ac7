"""`afluxo serve` beside a bare sink, Debian's influxd and victoria-metrics: the same batches, the same disk, one after another in each
round. Prints a table of ratios with the goals beside them. Standard library only.

    server.py [--quick] [--rounds N] [--scale F] [PART ...]      parts: plants cpu series start latency migrate; all unless given

The programs come from $BUILD (build); data goes below $BUILD/bench-data/server, so on that disk. --scale: so much of the lines, points and
series (1). --quick: a few seconds, figures mean nothing. The load (http_load.c) has all its requests ready before the clock starts; it
shares the processors with the server.
"""
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
import lib

BUILD = os.environ.get("BUILD", "build")
AFLUXO = os.environ.get("AFLUXO", os.path.join(BUILD, "afluxo"))
ROOT = os.path.join(os.path.abspath(BUILD), "bench-data", "server")
TICK = os.sysconf("SC_CLK_TCK")
QUICK = False
DATABASE = "CREATE DATABASE b WITH DURATION INF SHARD DURATION 52w"


def tool(*args):
    """A program of bench/; what it printed, a JSON object."""
    done = subprocess.run([os.path.join(BUILD, "bench", args[0]), *map(str, args[1:])], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(map(str, args)), done.stderr.decode(errors="replace")[-500:]))
    return json.loads(done.stdout)


def bytes_below(path, suffix=""):
    return sum(os.lstat(os.path.join(d, f)).st_blocks * 512 if not suffix else os.path.getsize(os.path.join(d, f))
               for d, _, files in os.walk(path) for f in files if f.endswith(suffix))


# --- the four servers ------------------------------------------------------------------------------------------------------------------

class Served:
    """A server with a directory of its own, new at first; start and stop it as often as you like."""
    name, path, settings = "", "/write?db=b", ""
    crash = signal.SIGKILL # how it is ended under load

    def __init__(self):
        self.dir = os.path.join(ROOT, self.name.replace(" ", "-"))
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)
        self.port, self.process = lib.free_port(), None

    def start(self):
        """Seconds from exec to the first answer."""
        with open(self.dir + ".log", "ab") as log:
            begin = time.monotonic()
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() - begin > 300:
                raise RuntimeError("%s does not answer: %s" % (self.name, open(self.dir + ".log", errors="replace").read()[-1000:]))
            time.sleep(0.0005)
        return time.monotonic() - begin

    def is_ready(self):
        try:
            self.request("GET", "/ping")
            return True
        except (OSError, http.client.HTTPException):
            return False

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def query(self, text):
        status, body = self.request("POST", "/query", urllib.parse.urlencode({"q": text}), {"Content-Type": "application/x-www-form-urlencoded"})
        if status != 200 or b"error" in body:
            raise RuntimeError("%s: %s: %d %s" % (self.name, text, status, body[:300]))

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process = None

    def remove(self):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.dir, ignore_errors=True)

    def cpu(self):
        with open("/proc/%d/stat" % self.process.pid) as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self, what):
        with open("/proc/%d/status" % self.process.pid) as f:
            return next(int(line.split()[1]) * 1024 for line in f if line.startswith(what + ":"))

    def prepare(self):
        self.query(DATABASE)

    def settle(self):
        """Stopped, everything compacted."""
        self.stop()


class Sink(Served):
    name = "bare sink"

    def command(self):
        return [os.path.join(BUILD, "bench", "bare_sink"), str(self.port), os.path.join(self.dir, "file")]

    def prepare(self):
        pass


class Afluxo(Served):
    name = "afluxo"

    def command(self):
        return [AFLUXO, "serve", "--no-auth", "--quiet", "--data", self.dir, "--listen", "127.0.0.1:%d" % self.port]

    def settle(self):
        self.stop()
        return tool("engine_load", "settle", self.dir)

    def data_bytes(self):
        return bytes_below(self.dir, ".tsm"), bytes_below(os.path.join(self.dir, "engine"))


class Influxd(Served):
    name = "influxd"

    def command(self):
        config = os.path.join(self.dir, "influxdb.conf")
        with open(config, "w") as f:
            f.write("""reporting-disabled = true
bind-address = "127.0.0.1:%d"
[meta]
  dir = "%s/meta"
[data]
  dir = "%s/data"
  wal-dir = "%s/wal"
  max-series-per-database = 0
  max-values-per-tag = 0
  query-log-enabled = false
%s
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:%d"
  log-enabled = false
  max-body-size = 0
""" % (lib.free_port(), self.dir, self.dir, self.dir, self.settings, self.port))
        return ["influxd", "run", "-config", config]

    def settle(self):
        """Cold at once: the cache is written and each shard becomes one generation; over when nothing changes for some seconds."""
        self.stop()
        self.settings = '  cache-snapshot-write-cold-duration = "1s"\n  compact-full-write-cold-duration = "1s"'
        self.start()
        still, before, end = 0, None, time.monotonic() + 300
        while still < (1 if QUICK else 8) and time.monotonic() < end:
            time.sleep(1)
            now = sorted((d, f, os.path.getsize(os.path.join(d, f))) for d, _, fs in os.walk(self.dir) for f in fs if f.endswith((".tsm", ".tmp")))
            still, before = still + 1 if now == before else 0, now
        self.stop()
        self.settings = ""

    def data_bytes(self):
        return bytes_below(self.dir, ".tsm"), bytes_below(os.path.join(self.dir, "data"))


class Victoria(Served):
    """Its answer does not mean that the data is on disk: it syncs in the background, and killed it would have less to show."""
    name = "VictoriaMetrics"
    crash = signal.SIGTERM

    def command(self):
        return ["victoria-metrics", "-httpListenAddr=127.0.0.1:%d" % self.port, "-storageDataPath=" + os.path.join(self.dir, "data"),
                "-retentionPeriod=100y", "-loggerLevel=ERROR"]

    def prepare(self):
        pass

    def settle(self):
        if self.process is None:
            self.start()
        self.request("GET", "/internal/force_flush")
        self.request("GET", "/internal/force_merge")
        time.sleep(0.5 if QUICK else 10)
        self.stop()

    def data_bytes(self):
        both = bytes_below(os.path.join(self.dir, "data"))
        return both, both


def peers():
    found = [Sink, Afluxo]
    found += [Influxd] if shutil.which("influxd") else []
    return found + ([Victoria] if shutil.which("victoria-metrics") else [])


# --- the table ----------------------------------------------------------------------------------------------------------------------------

def row(*cells):
    print("| %-44s | %-16s | %-76s | %-32s |" % cells, flush=True)


def number(value):
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return "%.3g%s" % (value / limit, unit)
    return "%.3g" % value


def goal(text, met):
    return text + (": met" if met else ": not met")


def ratio(results, name, key):
    """Ours over theirs: the median over the rounds, each of which had both within a minute or so. 0: it was not there."""
    pairs = zip(results["afluxo"], results.get(name, []))
    return statistics.median([ours[key] / theirs[key] for ours, theirs in pairs if theirs[key]] or [0])


def middle(results, name, key):
    return statistics.median(r[key] for r in results[name])


def beside(results, key, form):
    """'influxd 1.2 M: 3.4x' of every peer: theirs, and ours over it."""
    return "; ".join("%s %s: %.2fx" % (n, form(middle(results, n, key)), ratio(results, n, key)) for n in results if n != "afluxo")


# --- ingest ----------------------------------------------------------------------------------------------------------------------------------

def load_once(server, kind, lines):
    server.start()
    server.prepare()
    cpu = server.cpu()
    result = tool("http_load", server.port, server.path, kind, "lines=%d" % lines)
    result["cpu_us"] = (server.cpu() - cpu) * 1e6 / result["values"]
    result["peak"] = server.memory("VmHWM")
    return result


def rounds_of(kind, lines, rounds):
    """name -> what each round gave; the servers of the last round, stopped, by name."""
    results, last = {}, {}
    for i in range(rounds):
        for make in peers():
            server = make()
            try:
                results.setdefault(server.name, []).append(load_once(server, kind, lines))
            except BaseException:
                server.remove()
                raise
            if i == rounds - 1 and server.name != "bare sink":
                last[server.name] = server
                server.stop(server.crash) # the next start replays the log, and none of them works while others are measured
            else:
                server.remove()
    return results, last


def ingest_rows(title, results):
    cpu, peak = middle(results, "afluxo", "cpu_us"), middle(results, "afluxo", "peak")
    row("%s: lines/s until acknowledged" % title, number(middle(results, "afluxo", "lines_per_s")), beside(results, "lines_per_s", number),
        "; ".join(goal("%s %gx" % (name, least), ratio(results, name, "lines_per_s") >= least)
                  for name, least in (("influxd", 7), ("VictoriaMetrics", 5), ("bare sink", 0.5)) if name in results))
    row("  server CPU, us a value", "%.3f" % cpu, beside(results, "cpu_us", lambda v: "%.3f" % v), goal("0.15", cpu <= 0.15))
    row("  peak resident memory, MB", "%.0f" % (peak / 1e6), beside(results, "peak", lambda v: "%.0f" % (v / 1e6)), goal("200", peak <= 200e6))
    times = {n: " / ".join("%.1f" % middle(results, n, key) for key in ("p50_ms", "p99_ms", "max_ms")) for n in results}
    row("  latency of a request, p50 / p99 / max ms", times.pop("afluxo"), "; ".join("%s %s" % pair for pair in times.items()), "")


def start_and_stop(server):
    took = server.start()
    server.stop()
    return took * 1e3


def start_rows(servers, goal_ms):
    after_kill = {n: [{"ms": start_and_stop(s)}] for n, s in servers.items()}
    row("  first answer after kill -9 (VM: SIGTERM), ms", "%.0f" % middle(after_kill, "afluxo", "ms"),
        beside(after_kill, "ms", lambda v: "%.0f" % v), "")
    for s in servers.values():
        s.settle()
    settled = {n: [{"ms": start_and_stop(s)} for _ in range(1 if QUICK else 5)] for n, s in servers.items()}
    ours = middle(settled, "afluxo", "ms")
    row("  first answer, compacted, ms", "%.0f" % ours, beside(settled, "ms", lambda v: "%.0f" % v), goal("%d" % goal_ms, ours <= goal_ms))


def size_rows(servers, values):
    sizes = {n: [dict(zip(("tsm", "all"), (b / values for b in s.data_bytes())))] for n, s in servers.items()}
    ours, theirs = sizes["afluxo"][0], sizes["influxd"][0]["tsm"] if "influxd" in sizes else 0
    row("  bytes a value, compacted, TSM files", "%.3f" % ours["tsm"], beside(sizes, "tsm", lambda v: "%.3f" % v),
        goal("influxd's", ours["tsm"] <= theirs))
    row("  the same with all side files", "%.3f" % ours["all"], beside(sizes, "all", lambda v: "%.3f" % v),
        goal("influxd's TSM + 2 %", ours["all"] <= 1.02 * theirs))


def ingest(kind, title, lines, rounds):
    results, servers = rounds_of(kind, lines, rounds)
    try:
        ingest_rows(title, results)
        start_rows(servers, 15)
        size_rows(servers, results["afluxo"][0]["values"])
    finally:
        for s in servers.values():
            s.remove()
    return results


# --- many series -------------------------------------------------------------------------------------------------------------------------------

def memory_a_series(make, series):
    """Bytes a series that an empty server does not have: when all were written once, and after a start with them, compacted."""
    server = make()
    try:
        server.start()
        server.prepare()
        empty = server.memory("VmRSS")
        tool("http_load", server.port, server.path, "series", "lines=%d" % series, "series=%d" % series)
        written = server.memory("VmRSS")
        server.settle()
        took = server.start()
        time.sleep(0.2 if QUICK else 2)
        started = server.memory("VmRSS")
        return {"written": (written - empty) / series, "started": (started - empty) / series, "start_ms": took * 1e3}
    finally:
        server.remove()


def many_series(series):
    results = {make.name: [memory_a_series(make, series)] for make in peers() if make is not Sink}
    for key, words in (("written", "memory a series, just written, bytes"), ("started", "memory a series, after a start, bytes")):
        row("%s series: %s" % (number(series), words), "%.0f" % middle(results, "afluxo", key), beside(results, key, lambda v: "%.0f" % v),
            goal("1/4 of influxd's", 0 < ratio(results, "influxd", key) <= 0.25))
    row("  start with one point each, ms", "%.0f" % middle(results, "afluxo", "start_ms"), beside(results, "start_ms", lambda v: "%.0f" % v), "")


def big_start(series, points):
    """Ours alone: influxd needs minutes to take as much."""
    server = Afluxo()
    try:
        server.start()
        server.prepare()
        step = max(1, series * points // 10)
        for skip in range(0, series * points, step):
            tool("http_load", server.port, server.path, "series", "lines=%d" % step, "series=%d" % series, "points=%d" % points, "skip=%d" % skip)
        server.stop(signal.SIGKILL)
        dirty = server.start() * 1e3
        server.settle()
        ms = statistics.median(start_and_stop(server) for _ in range(3))
        server.start()
        rss = server.memory("VmRSS") / 1e6
        row("start with %s points, %s series, ms" % (number(series * points), number(series)), "%.0f" % ms,
            "after kill -9 under load %.0f; resident then %.0f MB" % (dirty, rss), goal("1,000", ms < 1000))
    finally:
        server.remove()


# --- latency, migration ----------------------------------------------------------------------------------------------------------------------

def latency(seconds, lines):
    directory = os.path.join(ROOT, "latency")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(ROOT, exist_ok=True)
    r = tool("engine_load", "latency", directory, seconds, lines)
    shutil.rmtree(directory, ignore_errors=True)
    row("write p99, 25 batches/s: idle, ms", "%.1f" % r["idle"]["p99_ms"], "", "")
    for key, words in (("compacting", "  while compacting"), ("compacting_and_scanning", "  while compacting, and a reader scans everything")):
        more = r[key]["p99_ms"] / r["idle"]["p99_ms"]
        row(words, "%.1f" % r[key]["p99_ms"], "%.2fx of idle" % more, goal("3x", more <= 3))


def migrate(plants, last_day, influxd_values):
    source, target = os.path.join(ROOT, "ons-%d" % plants), os.path.join(ROOT, "migrated")
    if not os.path.isdir(source):
        subprocess.run([AFLUXO, "generate", "ons", "--out", source, "--from", "2023-01-01", "--to", last_day, "--plants", str(plants), "--quiet"],
                       check=True)
    times = []
    for _ in range(1 if QUICK else 5):
        shutil.rmtree(target, ignore_errors=True)
        begin = time.monotonic()
        done = subprocess.run([AFLUXO, "migrate", os.path.join(source, "dataset=generation"), "--to", target, "--state", os.path.join(ROOT, "state"),
                               "--json", "--quiet"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, check=True, env=lib.environment())
        times.append(time.monotonic() - begin)
        values = json.loads(done.stdout)["values_written"]
        shutil.rmtree(os.path.join(ROOT, "state"), ignore_errors=True)
    shutil.rmtree(target, ignore_errors=True)
    rate = values / statistics.median(times)
    times_influxd = rate / influxd_values if influxd_values else 0
    row("migrate Parquet into a directory, values/s", number(rate),
        "influxd over HTTP, first set: %s: %.1fx" % (number(influxd_values), times_influxd) if influxd_values else "influxd: not measured in this run",
        goal("40 M", rate >= 40e6) + "; " + goal("25x", times_influxd >= 25))


def option(args, name, default):
    return float(args[args.index(name) + 1]) if name in args else default


def main(args):
    global QUICK
    QUICK = "--quick" in args
    rounds, scale = int(option(args, "--rounds", 1 if QUICK else 3)), option(args, "--scale", 1)
    parts = [a for a in args if a in ("plants", "cpu", "series", "start", "latency", "migrate")]
    size = lambda quick, full: quick if QUICK else int(full * scale)
    wanted = lambda part: not parts or part in parts
    influxd = 0
    os.makedirs(ROOT, exist_ok=True)
    print("load %s, %d processors, %d round%s, scale %g, medians" % (open("/proc/loadavg").read().split()[0], os.cpu_count(), rounds,
                                                                    "s" * (rounds > 1), scale))
    print()
    row("work", "afluxo", "beside it, and ours over theirs", "goal")
    row("---", "---", "---", "---")
    if wanted("plants"):
        results = ingest("plants", "1,000 plants hourly, 2 fields", size(20000, 10000000), rounds)
        influxd = 2 * middle(results, "influxd", "lines_per_s") if "influxd" in results else 0
    if wanted("cpu"):
        ingest("cpu", "4,000 hosts, 10 tags, 10 fields", size(8000, 2000000), rounds)
    if wanted("series"):
        many_series(size(10000, 1000000))
    if wanted("start"):
        big_start(size(2000, 1000000), 10 if QUICK else 100)
    if wanted("latency"):
        latency(0.2 if QUICK else 40, size(50000, 10000000))
    if wanted("migrate"):
        migrate(size(20, 710), "2023-02-01" if QUICK else "2024-01-01", influxd)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    finally:
        if QUICK:
            shutil.rmtree(ROOT, ignore_errors=True)

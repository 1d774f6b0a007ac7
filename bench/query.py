"""Queries: `afluxo serve` beside Debian's influxd and, where its language can say the same, victoria-metrics. One data set in each of them,
compacted, warm; medians of HTTP round trips on one connection; the answers are compared. Standard library only.

    query.py [--quick] [--rounds N] [PART ...]       parts: plants cpu series clients; all unless given

    plants    1,000 plants, hourly, 10,000 hours, 2 fields: 20 M values          cpu       TSBS's shapes: 100 hosts, 10 s, 1 day, 10 fields
    series    1,000,000 series                                                   clients   16 at once; p99 while 200 requests a second write

The programs come from $BUILD (build); data goes below $BUILD/bench-data/server. --quick: a hundredth of the data, figures mean nothing.
"""
import http.client
import json
import statistics
import sys
import threading
import time
import urllib.parse

import server as bench

BEGIN = 1672531200 # as in lines.h: 2023-01-01
HOUR = 3600


class Asker:
    """One connection, kept."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)

    def get(self, path):
        self.connection.request("GET", path)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError("%s: %d %s" % (path, answer.status, body[:300]))
        return body


def influx_path(text):
    return "/query?" + urllib.parse.urlencode({"db": "b", "epoch": "ns", "q": text})


def instant(text, at):
    return "/api/v1/query?" + urllib.parse.urlencode({"query": text, "time": at, "nocache": 1})


def ranged(text, start, end, step):
    return "/api/v1/query_range?" + urllib.parse.urlencode({"query": text, "start": start, "end": end, "step": step, "nocache": 1})


def took(asker, path, rounds):
    """(median seconds, body) after two to warm up; slow ones are asked less often."""
    times = []
    body = b""
    for i in range(rounds + 2):
        begin = time.perf_counter()
        body = asker.get(path)
        times.append(time.perf_counter() - begin)
        if i >= 4 and sum(times) > 10:
            break
    return statistics.median(times[2:]), body


# --- the same answer? -------------------------------------------------------------------------------------------------------------------

def same(a, b):
    if isinstance(a, dict) and isinstance(b, dict):
        a, b = ({k: v for k, v in x.items() if k != "partial"} for x in (a, b)) # 1.6.7 says it of every answer past 10,000 rows
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b)) # sums of floats in another order
    return a == b


def first_difference(a, b, path=""):
    if isinstance(a, dict) and isinstance(b, dict):
        pairs = [(k, a.get(k), b.get(k)) for k in sorted(set(a) | set(b))]
    elif isinstance(a, list) and isinstance(b, list):
        pairs = [(i, a[i] if i < len(a) else None, b[i] if i < len(b) else None) for i in range(max(len(a), len(b)))]
    else:
        return "%s: %.80r and %.80r" % (path, a, b)
    return next((first_difference(x, y, "%s/%s" % (path, k)) for k, x, y in pairs if not same(x, y)), "")


# --- what is asked --------------------------------------------------------------------------------------------------------------------------

def plants_questions(hours):
    end = BEGIN + hours * HOUR
    month = "time >= %ds AND time < %ds" % (BEGIN, BEGIN + min(720, hours) * HOUR)
    year = "time >= %ds AND time < %ds" % (BEGIN, BEGIN + min(8760, hours) * HOUR)
    every = "time >= %ds AND time < %ds" % (BEGIN, end)
    one = "plant_name = 'plant_0042'"
    m, f = "generation_data", "power_mw"
    v = "%s_%s" % (m, f)
    # name, InfluxQL, VictoriaMetrics or None, goal against influxd, goal against VM
    return [
        ("last point of every series", "SELECT last(%s) FROM %s GROUP BY plant_name" % (f, m), instant("last_over_time(%s[%dh])" % (v, hours), end), 40, 30),
        ("mean by 1 h over all series, 1 month", "SELECT mean(%s) FROM %s WHERE %s GROUP BY time(1h)" % (f, m, month),
         ranged("avg(avg_over_time(%s[1h]))" % v, BEGIN + HOUR, BEGIN + min(720, hours) * HOUR, "1h"), 200, 4),
        ("mean by region and day, everything", "SELECT mean(%s) FROM %s WHERE %s GROUP BY time(1d), region" % (f, m, every),
         ranged("avg(avg_over_time(%s[1d])) by (region)" % v, BEGIN + 86400, end, "1d"), 70, 4),
        ("count of everything", "SELECT count(%s) FROM %s" % (f, m), instant("sum(count_over_time(%s[%dh]))" % (v, hours), end), 1000, 90),
        ("top 10 plants by energy, 1 year", "SELECT top(energy, plant_name, 10) FROM (SELECT sum(%s) AS energy FROM %s WHERE %s GROUP BY plant_name)" %
         (f, m, year), instant("topk(10, sum_over_time(%s[%dh]))" % (v, min(8760, hours)), BEGIN + min(8760, hours) * HOUR), 50, 5),
        ("max of one plant, everything", "SELECT max(%s) FROM %s WHERE %s" % (f, m, one), instant("max_over_time(%s{plant_name=\"plant_0042\"}[%dh])" %
         (v, hours), end), 5, 0),
        ("one plant raw, 1 week", "SELECT * FROM %s WHERE %s AND time >= %ds AND time < %ds" % (m, one, BEGIN, BEGIN + 168 * HOUR), None, 3, 0),
        ("one plant raw, everything", "SELECT * FROM %s WHERE %s" % (m, one), None, 8, 0),
        ("stddev by day of all plants, 1 month (decodes)", "SELECT stddev(%s) FROM %s WHERE %s GROUP BY time(1d)" % (f, m, month), None, 0, 0),
        ("mean by 1 h and plant where > 50, 1 month", "SELECT mean(%s) FROM %s WHERE %s > 50 AND %s GROUP BY time(1h), plant_name" % (f, m, f, month), None, 0, 0),
    ]


CPU_FIELDS = ["usage_user", "usage_system", "usage_idle", "usage_nice", "usage_iowait", "usage_irq", "usage_softirq", "usage_steal", "usage_guest",
              "usage_guest_nice"]


def cpu_questions(fields):
    span = "time >= %ds AND time < %ds" % (BEGIN, BEGIN + 12 * HOUR)
    means = ", ".join("mean(%s)" % f for f in fields)
    return [
        ("TSBS double-groupby-all, 100 hosts, 12 h", "SELECT %s FROM cpu WHERE %s GROUP BY time(1h), hostname" % (means, span), None, 30, 0),
        ("TSBS high-cpu-all, 100 hosts, 12 h", "SELECT * FROM cpu WHERE %s > 90.0 AND %s" % (fields[0], span), None, 10, 0),
        ("TSBS single-groupby-1-1-1", "SELECT max(%s) FROM cpu WHERE hostname = 'host_7' AND time >= %ds AND time < %ds GROUP BY time(1m)" %
         (fields[0], BEGIN, BEGIN + HOUR), None, 0, 0),
        ("TSBS lastpoint", "SELECT last(*) FROM cpu GROUP BY hostname", None, 0, 0),
    ]


def series_questions(name, tag):
    return [
        ("regex on a tag, a tenth of the series", "SELECT count(v) FROM %s WHERE %s =~ /7$/" % (name, tag), None, 10, 0),
        ("SHOW TAG VALUES with all series", "SHOW TAG VALUES FROM %s WITH KEY = %s" % (name, tag), None, 10, 0),
        ("SHOW SERIES CARDINALITY", "SHOW SERIES CARDINALITY", None, 100, 0),
        ("SHOW SERIES EXACT CARDINALITY", "SHOW SERIES EXACT CARDINALITY", None, 0, 0),
    ]


# --- the run -----------------------------------------------------------------------------------------------------------------------------------

def load(server, kind, lines, **more):
    """In parts: the requests of a part are all made before it is sent."""
    part = 1000000
    for skip in range(0, lines, part):
        bench.tool("http_load", server.port, server.path, kind, "lines=%d" % min(part, lines - skip), "skip=%d" % skip,
                   *["%s=%d" % pair for pair in more.items()])


def ready(kinds):
    """name -> a server that has the data, compacted, started again and warm."""
    servers = {}
    for make in bench.peers():
        if make is bench.Sink:
            continue
        server = make()
        servers[server.name] = server
        server.start()
        server.prepare()
        for kind, lines, more in kinds:
            load(server, kind, lines, **more)
        server.settle()
        server.start()
    return servers


def victoria_count(body):
    return len(json.loads(body)["data"]["result"])


def ask(servers, question, rounds):
    name, text, promql, goal_influx, goal_vm = question
    times, bodies = {}, {}
    for who, server in servers.items():
        path = promql if who == "VictoriaMetrics" else influx_path(text)
        if path is not None:
            times[who], bodies[who] = took(Asker(server.port), path, rounds)
    ours = times["afluxo"]
    theirs = "; ".join("%s %.2f: %.1fx" % (who, t * 1e3, t / ours) for who, t in times.items() if who != "afluxo")
    goals = [bench.goal("%s %gx" % (who, least), times[who] / ours >= least)
             for who, least in (("influxd", goal_influx), ("VictoriaMetrics", goal_vm)) if least and who in times]
    verdict = ""
    if "influxd" in bodies:
        a, b = json.loads(bodies["afluxo"]), json.loads(bodies["influxd"])
        verdict = "" if same(a, b) else " ANSWERS DIFFER: " + first_difference(a, b)
    bench.row(name, "%.3f ms" % (ours * 1e3), theirs, "; ".join(goals) + verdict)
    return verdict == ""


def at_once(port, path, clients, seconds):
    """Sorted latencies of `clients` connections that ask again and again."""
    times, end = [], time.perf_counter() + seconds

    def run():
        asker = Asker(port)
        while time.perf_counter() < end:
            begin = time.perf_counter()
            asker.get(path)
            times.append(time.perf_counter() - begin)
    threads = [threading.Thread(target=run) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sorted(times)


def clients_rows(servers, path, seconds):
    for title, writes in (("16 clients: one plant, mean by day", False), ("4 clients, p99 while it is written to", True)):
        results = {}
        for who, server in servers.items():
            if who == "VictoriaMetrics":
                continue
            writer = None
            if writes:
                writer = threading.Thread(target=lambda s=server: bench.tool("http_load", s.port, s.path, "cpu", "series=100", "batch=500", "rate=200",
                                                                              "lines=%d" % (100000 * seconds)))
                writer.start()
            times = at_once(server.port, path, 4 if writes else 16, seconds)
            if writer is not None:
                writer.join()
            results[who] = (len(times) / seconds, times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3)
        words = {who: "%.0f/s, p50 %.2f, p99 %.2f ms" % r for who, r in results.items()}
        bench.row(title, words.pop("afluxo"), "; ".join("%s %s" % pair for pair in words.items()), "")


def main(args):
    bench.QUICK = "--quick" in args
    rounds = int(bench.option(args, "--rounds", "9"))
    parts = [a for a in args if a in ("plants", "cpu", "series", "clients")] or ["plants", "cpu", "series", "clients"]
    hours = 200 if bench.QUICK else 10000
    series = 10000 if bench.QUICK else 1000000
    fine = True
    bench.row("query", "afluxo", "peers, ms: how many times faster we are", "goal")
    if "plants" in parts or "cpu" in parts or "clients" in parts:
        servers = ready([("plants", 1000 * hours, {}), ("cpu", 100 * (864 if bench.QUICK else 8640), {"series": 100})])
        try:
            questions = (plants_questions(hours) if "plants" in parts else []) + (cpu_questions(CPU_FIELDS) if "cpu" in parts else [])
            for question in questions:
                fine = ask(servers, question, rounds) and fine
            if "clients" in parts:
                text = "SELECT mean(power_mw) FROM generation_data WHERE plant_name = 'plant_0042' AND time < %ds GROUP BY time(1d)" % (BEGIN + hours * HOUR)
                clients_rows(servers, influx_path(text), 1 if bench.QUICK else 10)
        finally:
            for server in servers.values():
                server.remove()
    if "series" in parts:
        servers = ready([("series", series, {"series": series})])
        try:
            for question in series_questions("meter", "id"):
                fine = ask(servers, question, rounds) and fine
        finally:
            for server in servers.values():
                server.remove()
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

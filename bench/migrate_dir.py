"""How fast Parquet becomes a data directory, beside what influxd takes over HTTP. Standard library only.

    migrate_dir.py AFLUXO [--rounds N] [--plants N] [--to DAY] [--influxd-lines N] [--memory SIZE ...]

Data: `afluxo generate ons`, hourly, its generation files: two fields a row; 20 million values unless told otherwise. For each --memory the
command is run N times into a fresh directory; printed are the medians: values a second of wall time and of processor time on one core
(which says what other work on the machine hides), the most memory it held and bytes a value on disk. With them, what reading and mapping
alone take (a dry run, which prints line protocol too), and the same rows as line protocol to a real influxd: 10,000 lines a request, two
connections. The ratio to that is the last line.
"""
import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
import lib

LINES = 10000


def timed(command):
    """Wall and processor seconds, peak megabytes and what it printed. Runs in a child of its own, so that the peak is of this run alone."""
    code = ("import json,resource,subprocess,sys,time\nt=time.monotonic()\np=subprocess.run(sys.argv[1:],stdin=subprocess.DEVNULL,"
            "stdout=subprocess.PIPE)\nw=time.monotonic()-t\nu=resource.getrusage(resource.RUSAGE_CHILDREN)\n"
            "print(json.dumps([p.returncode,w,u.ru_utime+u.ru_stime,u.ru_maxrss//1024,p.stdout.decode()]))")
    done = subprocess.run([sys.executable, "-c", code, *map(str, command)], stdout=subprocess.PIPE, check=True, env=lib.environment())
    status, wall, cpu, peak, out = json.loads(done.stdout)
    if status != 0:
        sys.exit(" ".join(map(str, command)) + ": exit code %d" % status)
    return wall, cpu, peak, out


def median(values):
    return sorted(values)[len(values) // 2]


def disk_bytes(path):
    return sum(os.path.getsize(os.path.join(d, f)) for d, _, files in os.walk(path) for f in files)


def migrate(afluxo, data, work, memory, rounds):
    runs = []
    for _ in range(rounds):
        for name in ("db", "state"):
            shutil.rmtree(os.path.join(work, name), ignore_errors=True)
        wall, cpu, peak, out = timed([afluxo, "migrate", data, "--to", work + "/db", "--bucket", "b", "--state", work + "/state", "--quiet",
                                      "--json", *(["--memory", memory] if memory else [])])
        values = json.loads(out)["values_written"]
        runs.append((wall, cpu, peak, values, disk_bytes(work + "/db/engine")))
    wall, cpu, peak, values = (median([r[i] for r in runs]) for i in range(4))
    print(f"migrate --memory {memory or '(128M)':7}  {values / wall / 1e6:6.1f} M values/s   {values / cpu / 1e6:6.1f} M values/s of one core   "
          f"{peak:4} MB   {runs[0][4] / values:.2f} bytes a value   ({wall:.2f} s, best {min(r[0] for r in runs):.2f} s)", flush=True)
    return values / wall


def influxd(afluxo, data, work, count):
    """Values a second that influxd takes of the first `count` lines."""
    text = os.path.join(work, "lines.lp")
    with open(text, "wb") as f:
        p = subprocess.Popen([afluxo, "convert", data, "--quiet"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=lib.environment())
        lines = [line for _, line in zip(range(count), p.stdout)]
        p.kill()
        p.communicate()
    bodies = [b"".join(lines[i:i + LINES]) for i in range(0, len(lines), LINES)]
    server, failures = lib.Influxd(), []
    server.query("CREATE DATABASE b WITH DURATION INF SHARD DURATION 52w")

    def send(some):
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        for body in some:
            connection.request("POST", "/write?db=b&precision=ns", body)
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 204:
                failures.append("%d %s" % (answer.status, text[:200]))
                return

    threads = [threading.Thread(target=send, args=(bodies[i::2],)) for i in range(2)]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wall = time.monotonic() - start
    server.close()
    if failures:
        sys.exit(failures[0])
    rate = 2 * len(lines) / wall
    print(f"influxd, HTTP, {len(lines):,} lines   {rate / 1e6:6.2f} M values/s", flush=True)
    return rate


def main():
    p = argparse.ArgumentParser()
    p.add_argument("afluxo")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--plants", default="1000")
    p.add_argument("--to", default="2024-02-22")
    p.add_argument("--influxd-lines", type=int, default=2000000)
    p.add_argument("--memory", nargs="*", default=[None, "512M"])
    args = p.parse_args()
    work = tempfile.mkdtemp(prefix="afluxo-bench-")
    try:
        timed([args.afluxo, "generate", "ons", "--out", work + "/made", "--plants", args.plants, "--to", args.to, "--quiet"])
        data = work + "/made/dataset=generation"
        runs = [timed([args.afluxo, "migrate", data, "--dry-run", "--quiet", "--json"]) for _ in range(args.rounds)]
        rows = json.loads(runs[0][3])["rows_read"]
        print(f"{rows:,} rows, two fields each")
        print(f"dry run (read, map, print text)  {2 * rows / median([r[0] for r in runs]) / 1e6:6.1f} M values/s   "
              f"{2 * rows / median([r[1] for r in runs]) / 1e6:6.1f} M values/s of one core")
        best = max(migrate(args.afluxo, data, work, memory, args.rounds) for memory in args.memory)
        if args.influxd_lines:
            print(f"ratio to influxd   {best / influxd(args.afluxo, data, work, args.influxd_lines):.0f}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


main()

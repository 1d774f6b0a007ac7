#!/usr/bin/env python3
"""Time and money of a migration by many workers: a simulation, and the measurement that it is checked against. See docs/scale.md.

    tools/scale.py predict                          100 times ONS's history, by so many workers, and by Lambda
    tools/scale.py predict --times 1 --workers 1,2  something else
    tools/scale.py measure --workers 1,2,4          a real run on this machine (moto, influxd), measured and predicted side by side

Standard library only; `measure` needs what the tests of AWS need (boto3, moto, influxd) and AFLUXO=path/to/afluxo.
"""
import argparse
import heapq
import os
import random
import sys

# What a file of ONS is like: name, files, rows, bytes as Parquet. From its data dictionary and from files at hand; the whole is 190 M rows.
ONS = [
    ("generation of plants, a file a year (2000-2021)", 22, 67_000_000, 560_000_000),
    ("generation of plants, a file a month (2022-)", 59, 30_000_000, 350_000_000),
    ("curtailment in detail, a file a month", 82, 60_000_000, 500_000_000),
    ("everything else", 1_300, 33_000_000, 480_000_000),
]

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "src", "costs", "prices.yaml")
USED = ("lambda_gb_s", "lambda_request", "sqs_request", "s3_get", "s3_put_or_list", "worker_hour", "influx_medium_hour")


def read_prices(path=TABLE):
    """
    The table that `afluxo costs --plan` has built in: name to (price, "assumed" or nothing, date, source). Of YAML only what that file uses:
    under `prices:`, rows of `name: value`, a dash before the first. A test compares with a real reader.
    """
    rows, part = [], None
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            words = line.split("#")[0].strip() if line.lstrip().startswith("#") else line.strip()
            if line[:1].strip():
                part = words.rstrip(":")
            elif part == "prices" and words:
                if words.startswith("- "):
                    rows.append({})
                name, _, value = words.removeprefix("- ").partition(": ")
                rows[-1][name] = value.strip().strip('"')
    return {row["name"]: (float(row["price"]), "assumed" if row["assumed"] == "true" else "", row["date"], row["source"]) for row in rows}


# US dollars, us-east-1, on demand, without free tiers. The smallest InfluxDB has one vCPU and an instance of twice the size costs twice as
# much (so AWS says): its price is that of a vCPU.
PRICES = {name: price for name, price in read_prices().items() if name in USED}

# InfluxDB's instances: vCPU, and lines a second that AWS's guide gives for the class.
CLASSES = {"large": (2, 50e3), "xlarge": (4, 100e3), "2xlarge": (8, 150e3), "4xlarge": (16, 250e3), "8xlarge": (32, 500e3),
           "12xlarge": (48, 750e3), "16xlarge": (64, 1e6), "24xlarge": (96, 1.25e6)}

WORKER = {"rows_per_s": 1.8e6,      # what a worker of 2 vCPU reads, maps and compresses: half of what was measured (docs/scale.md)
          "request_s": 0.015,       # of S3 and SQS, one after the other: an assumption, there is no AWS here
          "requests": 5,            # of an object: receive, look up, read, write down, delete
          "visibility_s": 120, "beat_s": 30}
FUNCTION = {"rows_per_s": 0.9e6, "memory_gb": 1.769, "request_s": 0.015, "requests": 3} # 1 vCPU; the queue is Lambda's affair
SLICE_ROWS = 1_000_000              # so much of an object is sent before others have their turn at the target


def objects_of(sets, times, seed=1):
    """Rows and bytes of every object, in the order in which they are listed; files of a set differ by a factor of three."""
    chance, out = random.Random(seed), []
    for _, files, rows, size in sets:
        weights = [chance.uniform(0.5, 1.5) for _ in range(files * times)]
        whole = sum(weights)
        out += [(max(1, int(rows * times * w / whole)), int(size * times * w / whole)) for w in weights]
    return out


def simulate(jobs, workers, stations):
    """
    jobs: a list of steps (station, seconds) each; station None is a pause that costs nobody anything. `stations` says how many a station
    serves at once. Who comes first is served first; a worker that is through takes the next job. Returns seconds, and how busy all were.
    """
    free = {name: [0.0] * servers for name, servers in stations.items()}
    busy = dict.fromkeys(stations, 0.0)
    queue = list(reversed(jobs))
    events = []                     # (time, number, steps left): what a worker does next
    for number in range(workers):
        if queue:
            heapq.heappush(events, (0.0, number, iter(queue.pop())))
    end = 0.0
    while events:
        now, number, steps = heapq.heappop(events)
        step = next(steps, None)
        if step is None:
            end = max(end, now)
            if queue:
                heapq.heappush(events, (now, number, iter(queue.pop())))
            continue
        station, seconds = step
        if station is not None:
            at = max(now, heapq.heappop(free[station]))
            heapq.heappush(free[station], at + seconds)
            busy[station] += seconds
            now = at
        heapq.heappush(events, (now + seconds, number, steps))
    return end, {name: busy[name] / (end * servers) if end else 0 for name, servers in stations.items()}


def steps_of(rows, worker, target_per_s):
    yield None, worker["requests"] * worker["request_s"]
    while rows > 0:
        part = min(rows, SLICE_ROWS)
        yield None, part / worker["rows_per_s"]
        yield "target", part / target_per_s
        rows -= part


def cost(objects, seconds, workers, influx_vcpu, is_lambda):
    price = {name: p[0] for name, p in PRICES.items()}
    count = len(objects)
    gets = sum(2 + size // (8 << 20) for _, size in objects)
    out = {"InfluxDB": influx_vcpu * price["influx_medium_hour"] * seconds / 3600,
           "SQS": price["sqs_request"] * (count / 10 + 2 * count + workers * seconds * 3 / WORKER["visibility_s"]),
           "S3": price["s3_get"] * gets + price["s3_put_or_list"] * (count / 1000 + count + workers * seconds / WORKER["beat_s"])}
    if is_lambda:
        # A function that waits for the target is paid for as one that works.
        out["workers"] = price["lambda_gb_s"] * FUNCTION["memory_gb"] * workers * seconds + price["lambda_request"] * count
    else:
        out["workers"] = price["worker_hour"] * workers * seconds / 3600
    return out


def duration(seconds):
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.1f} s"


def predict(args):
    objects = objects_of(ONS, args.times)
    rows, size = sum(r for r, _ in objects), sum(b for _, b in objects)
    vcpu, per_s = CLASSES[args.instance]
    per_s = args.target or per_s
    print(f"{args.times} x ONS: {len(objects):,} objects, {size / 1e9:,.1f} GB, {rows / 1e9:,.2f} G rows; "
          f"target db.influx.{args.instance}: {per_s:,.0f} lines/s; dollars rest on assumed prices (below)")
    for name, worker, is_lambda in (("workers of 2 vCPU", WORKER, False), ("Lambda, concurrency", FUNCTION, True)):
        print(f"\n| {name} | time | target busy | InfluxDB | workers | SQS | S3 | all |\n|---|---|---|---|---|---|---|---|")
        for n in args.workers:
            seconds, busy = simulate([list(steps_of(r, worker, per_s)) for r, _ in objects], n, {"target": 1})
            c = cost(objects, seconds, n, vcpu, is_lambda)
            print(f"| {n} | {duration(seconds)} | {busy['target'] * 100:.0f} % | " +
                  " | ".join(f"${c[k]:,.2f}" for k in ("InfluxDB", "workers", "SQS", "S3")) + f" | ${sum(c.values()):,.2f} |")
    print("\n| price | dollars | | of | source |\n|---|---|---|---|---|")
    for name, (value, mark, date, source) in PRICES.items():
        print(f"| {name} | {value:.10f} | {mark} | {date} | {source} |")


# --- a real run, here ---------------------------------------------------------------------------------------------------------------

def cpu_of(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run_once(lib, moto, influxd, name, objects, workers):
    """Seconds of the run, and processor seconds of moto, influxd and the workers."""
    s3, sqs = moto.client("s3"), moto.client("sqs")
    s3.create_bucket(Bucket=name)
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    hour = 3600 * 10**9
    for i in range(objects):
        body = "".join(f"scale,plant=p{i % 50} mw={i}.{k} {1700000000000000000 + (i * 200 + k) * hour}\n" for k in range(200))
        s3.put_object(Bucket=name, Key=f"in/{i:05}.lp", Body=body.encode())
    env = moto.env(**lib.environment())
    common = ["migrate", "--queue", queue, "--run", f"s3://{name}/run", "--quiet", "--json"]
    planned = lib.run(*common, f"s3://{name}/in/", binary=lib.RELEASE, env=env)
    assert planned.status == 0, planned
    before = [cpu_of(p.process.pid) for p in (moto, influxd)]
    running = [lib.start(*common, "--work", "--to", influxd.url, "--bucket", name.replace("-", "_"), "--create", "--idle", "1ms",
                         binary=lib.RELEASE, env=env) for _ in range(workers)]
    used = 0.0
    for process in running:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        used += usage.ru_utime + usage.ru_stime
        assert process.returncode == 0, process.stderr.read()
    after = [cpu_of(p.process.pid) for p in (moto, influxd)]
    status = lib.run("migrate", "--status", f"s3://{name}/run", "--json", binary=lib.RELEASE, env=env).json
    assert status["complete"] and status["points_written"] == objects * 200, status
    # From the first object taken to the last one over, as the journal says: workers look for more a while longer.
    return {"seconds": status["seconds"], "moto": after[0] - before[0], "influxd": after[1] - before[1], "workers": used}


def expect(base, workers, objects, is_busy):
    """
    From an object's times with one worker. moto is one thread, influxd and workers share the other processors. What nobody worked on was
    waiting, of which more workers do more at once; or, if the machine was busy, it is what every step takes longer.
    """
    other = base["influxd"] + base["workers"]
    stretch = max(1.0, base["seconds"] / (base["moto"] + other)) if is_busy else 1.0
    wait = 0.0 if is_busy else max(0.0, base["seconds"] - base["moto"] - other)
    moto = base["moto"] * stretch
    steps = [("moto", moto / 2), ("cores", other * stretch), (None, wait), ("moto", moto / 2)]
    return simulate([steps] * objects, workers, {"moto": 1, "cores": max(1, os.cpu_count() - 1)})[0]


def measure(args):
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test")
    sys.path[:0] = [os.path.join(root, "conformance"), os.path.join(root, "e2e")]
    import lib
    import test_aws_fleet
    aws_lib = test_aws_fleet.aws_lib
    moto, influxd = aws_lib.Moto(("-c", test_aws_fleet.MOTO)), lib.Influxd()
    print(f"{args.objects} objects of 200 lines; load of the machine before: {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors\n")
    print("| workers | measured | predicted | off by | processor time: moto | influxd | workers | load |\n|---|---|---|---|---|---|---|---|")
    base = None
    try:
        for turn, n in enumerate(args.workers):
            m = run_once(lib, moto, influxd, f"scale-{turn}-{os.getpid()}", args.objects, n)
            if base is None:
                base = {k: v / args.objects for k, v in m.items()}
                assert n == 1, "the first run is that of one worker: the others are predicted from it"
            low, high = (expect(base, n, args.objects, is_busy) for is_busy in (False, True))
            off = max(m["seconds"] / high - 1, 0) or min(m["seconds"] / low - 1, 0)
            print(f"| {n} | {m['seconds']:.1f} s | {low:.1f} to {high:.1f} s | {-off * 100:+.0f} % | {m['moto']:.1f} s | "
                  f"{m['influxd']:.1f} s | {m['workers']:.1f} s | {os.getloadavg()[0]:.1f} |", flush=True)
    finally:
        moto.close()
        influxd.close()


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_subparsers(required=True)
    p = what.add_parser("predict")
    p.add_argument("--times", type=int, default=100, help="so many times ONS's history")
    p.add_argument("--workers", type=numbers, default=[1, 2, 4, 16, 64])
    p.add_argument("--instance", choices=CLASSES, default="8xlarge")
    p.add_argument("--target", type=float, help="lines/s that the target takes; that of the class unless given")
    p.set_defaults(run=predict)
    m = what.add_parser("measure")
    m.add_argument("--workers", type=numbers, default=[1, 2, 4])
    m.add_argument("--objects", type=int, default=300)
    m.set_defaults(run=measure)
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    main()

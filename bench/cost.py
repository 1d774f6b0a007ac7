"""What it costs to load one Parquet object as a Lambda function, in one run: the platform's present Python path, afluxo in Python, in C.

    python bench/cost.py [--rounds 3] [--step 15m] [--skip frame,rows] [--quick] [--usd 0.0000166667]

    platform    pandas, a Point of influxdb-client for every row (iterrows), all Points in a list, then the client's batching writer, 1,000
                a batch, gzip: as the platform's InfluxDB loader does (without its checks of Points, its health check and its metrics)
    rows        the same made as cheap as a Point a row can be: itertuples, a batch in memory at a time, written at once
    frame       pandas, then influxdb-client's own DataFrame serializer, 10,000 rows a batch, gzip
    python      afluxo.aws_lambda.handler: libafluxo reads and converts, influxdb-client writes
    c           the loader on the custom runtime: BOOTSTRAP, $BUILD/lambda/x86_64/bootstrap, or else `afluxo lambda loader`

Each invocation is a process of its own that asks a runtime API for an event, on one core; the object comes from bench/range_server.c,
the target is `afluxo serve` on another core (counted afterwards) and, second, a sink that answers 204 and keeps nothing. `start` is from
exec to the question for the first event, `run` from there to the answer; what other work kept the core from them is taken off.

Cost, twice, of start and run (both are billed), rounded up to a millisecond, with as much memory as was needed, 128 MB at least:
`core`: a whole core at every size, which is what was measured; `share`: processor time stretched as Lambda does, a core is what 1,769 MB
buy (docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html). The price of a GB-second is that of aws.amazon.com/lambda/pricing,
x86, us-east-1. A request's price (0.20 USD a million) is in the table of small objects only: there it counts. Millionths of a dollar.
"""
import argparse
import http.client
import http.server
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
AFLUXO = os.environ.get("AFLUXO", os.path.join(BUILD, "afluxo"))
CORE = int(os.environ.get("BENCH_CORE", "1"))
KEY = "dataset=generation/year=2024/month=01/part-000.parquet"
WAYS = ["platform", "rows", "frame", "python", "c"]
TAGS = ["region", "energy_source", "measurement_type", "quality_flag", "plant_name"]
FIELDS = {"MW": "power_mw", "MWh": "energy_mwh", "kV": "voltage_kv", "A": "current_a", "Hz": "frequency_hz", "%": "percentage"}
EMPTY = ("", "nan", "none", "null")
MB_PER_CORE, MB_MIN, REQUEST_USD = 1769, 128, 0.20e-6


# --- the earlier path, in forms; each is in a process of its own -----------------------------------------------------------------------


def frame_of(event):
    """The object, cleaned as the platform does it."""
    import io
    import boto3
    import pandas
    s3 = event["Records"][0]["s3"]
    body = boto3.client("s3").get_object(Bucket=s3["bucket"]["name"], Key=s3["object"]["key"])["Body"].read()
    frame = pandas.read_parquet(io.BytesIO(body))
    frame["timestamp"] = pandas.to_datetime(frame["timestamp"], errors="coerce")
    frame["value"] = pandas.to_numeric(frame["value"], errors="coerce")
    frame = frame[~frame["timestamp"].isna() & ~frame["value"].isna()]
    for column in frame.select_dtypes(include=["object", "string"]).columns:
        frame[column] = frame[column].astype(str).str.strip()
    return frame


def influx(**how):
    from influxdb_client import InfluxDBClient
    return InfluxDBClient(os.environ["INFLUXDB_URL"], token=os.environ["INFLUXDB_TOKEN"], org=os.environ["INFLUXDB_ORG"], enable_gzip=True,
                          timeout=30_000, **how)


def point_of(row):
    import pandas
    from influxdb_client import Point
    time_of = pandas.Timestamp(row["timestamp"])
    point = Point("generation_data").time(time_of.tz_localize("UTC") if time_of.tz is None else time_of)
    for tag in TAGS:
        if pandas.notna(row[tag]):
            text = str(row[tag]).strip()
            if text.lower() not in EMPTY:
                point = point.tag(tag, text)
    return point.field(FIELDS.get(str(row["unit"]).strip(), "value"), float(row["value"])).field("unit", str(row["unit"]))


def platform(event, context):
    from influxdb_client.client.write_api import WriteOptions
    points = [point_of(row) for _, row in frame_of(event).iterrows()]
    with influx() as client:
        with client.write_api(write_options=WriteOptions(batch_size=1000, flush_interval=1000, jitter_interval=200)) as api:
            for i in range(0, len(points), 1000):
                api.write(os.environ["INFLUXDB_BUCKET"], record=points[i:i + 1000])
    return {"points": len(points)}


def rows(event, context):
    from influxdb_client import Point
    from influxdb_client.client.write_api import SYNCHRONOUS
    frame = frame_of(event)
    with influx() as client:
        api, batch = client.write_api(write_options=SYNCHRONOUS), []
        for row in frame.itertuples(index=False):
            point = Point("generation_data").time(row.timestamp)
            for tag in TAGS:
                text = getattr(row, tag)
                if text.lower() not in EMPTY:
                    point.tag(tag, text)
            batch.append(point.field(FIELDS.get(row.unit, "value"), row.value).field("unit", row.unit))
            if len(batch) == 1000:
                api.write(os.environ["INFLUXDB_BUCKET"], record=batch)
                batch = []
        if batch:
            api.write(os.environ["INFLUXDB_BUCKET"], record=batch)
    return {"points": len(frame)}


def frame(event, context):
    from influxdb_client.client.write_api import SYNCHRONOUS
    table = frame_of(event).rename(columns={"value": "power_mw"}).set_index("timestamp").drop(columns=["dataset_type"])
    with influx() as client:
        api = client.write_api(write_options=SYNCHRONOUS)
        for i in range(0, len(table), 10_000):
            api.write(os.environ["INFLUXDB_BUCKET"], record=table.iloc[i:i + 10_000], data_frame_measurement_name="generation_data",
                      data_frame_tag_columns=TAGS)
    return {"points": len(table)}


class Context:
    aws_request_id = "1"

    def __init__(self, deadline_ms):
        self.deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self):
        return self.deadline_ms - time.time() * 1000


def serve(way):
    """Lambda's runtime for Python, in short: what the function needs is imported first, then events are asked for."""
    if way == "python":
        handler = importlib.import_module("afluxo.aws_lambda").handler
    else:
        for module in ("boto3", "pandas", "pyarrow.parquet", "influxdb_client"):
            importlib.import_module(module)
        handler = {"platform": platform, "rows": rows, "frame": frame}[way]
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        connection.request("GET", "/2018-06-01/runtime/invocation/next")
        got = connection.getresponse()
        event = json.loads(got.read())
        answer = handler(event, Context(int(got.headers["Lambda-Runtime-Deadline-Ms"])))
        connection.request("POST", f"/2018-06-01/runtime/invocation/{got.headers['Lambda-Runtime-Aws-Request-Id']}/response",
                           json.dumps(answer), {"Lambda-Runtime-Invocation-Id": got.headers["Lambda-Runtime-Invocation-Id"]})
        connection.getresponse().read()


# --- what is around a function ----------------------------------------------------------------------------------------------------------


class Sink(http.server.BaseHTTPRequestHandler):
    """Answers as InfluxDB 2 does, and keeps nothing."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self):
        left = int(self.headers.get("Content-Length", 0))
        while left > 0:
            left -= len(self.rfile.read(min(left, 1 << 18))) or left
        self.send_response(204)
        self.send_header("X-Influxdb-Version", "v2.7.0")
        self.send_header("X-Influxdb-Build", "OSS")
        self.end_headers()

    do_GET = do_HEAD = do_POST = answer

    def log_message(self, *args):
        pass


class Target:
    """`afluxo serve`, or the sink."""

    def __init__(self, lib, is_sink):
        self.is_sink, self.serial, self.token, self.org = is_sink, 0, "t", "o"
        if is_sink:
            self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Sink)
            threading.Thread(target=self.server.serve_forever, daemon=True).start()
            self.url = f"http://127.0.0.1:{self.server.server_port}"
        else:
            self.server = lib.Server(binary=AFLUXO)
            os.sched_setaffinity(self.server.process.pid, others())
            self.url, self.token, self.org = self.server.url, self.server.token, "afluxo"

    def ask(self, path, body, kind):
        request = urllib.request.Request(self.url + path, body, {"Authorization": "Token " + self.token, "Content-Type": kind})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())

    def bucket(self):
        """A new one for each invocation."""
        self.serial += 1
        name = f"b{self.serial}"
        if not self.is_sink:
            self.ask("/query", f"q=CREATE+DATABASE+{name}".encode(), "application/x-www-form-urlencoded")
        return name

    def count(self, bucket):
        answer = self.ask(f"/query?db={bucket}", b"q=SELECT+count(power_mw)+FROM+generation_data", "application/x-www-form-urlencoded")
        return answer["results"][0]["series"][0]["values"][0][1]

    def close(self):
        self.server.shutdown() if self.is_sink else self.server.close()


def others():
    """The cores that functions do not have."""
    cores = os.sched_getaffinity(0)
    return cores - {CORE} or cores


def bootstrap():
    for path in (os.environ.get("BOOTSTRAP", ""), os.path.join(BUILD, "lambda", "x86_64", "bootstrap")):
        if path and os.path.exists(path):
            return [path]
    return [AFLUXO, "lambda", "loader"]


def waited(process):
    """Seconds that the first thread was ready and had no core."""
    with open(f"/proc/{process.pid}/schedstat") as f:
        return int(f.read().split()[1]) / 1e9


def command(way):
    return bootstrap() if way == "c" else [sys.executable, "-W", "ignore", os.path.abspath(__file__), "--serve", way]


def invoke(way, api, env, event):
    """Start, run (s), processor time of both, peak memory (MB), the answer."""
    request = api.put(event, left=900)
    begin = time.monotonic()
    env = {**env, "AWS_LAMBDA_RUNTIME_API": api.address, "_HANDLER": "loader"}
    process = subprocess.Popen(command(way), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               preexec_fn=lambda: os.sched_setaffinity(0, {CORE}))
    while request not in api.taken and process.poll() is None and time.monotonic() - begin < 60:
        time.sleep(0.0005)
    middle, middle_waited = time.monotonic(), waited(process)
    kind, answer = api.wait(request)
    end, end_waited = time.monotonic(), waited(process)
    with open(f"/proc/{process.pid}/status") as f:  # not ru_maxrss: that is also of the process it was forked from
        peak = next((int(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM")), 0)
    process.kill()
    words = process.stderr.read().decode(errors="replace")[-2000:]
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    if kind != "response" or answer.get("statusCode", 200) >= 300:
        sys.exit(f"{way}: {kind} {answer}\n{words}")
    cpu, start = used.ru_utime + used.ru_stime, middle - begin - middle_waited
    return {"start": start, "run": max(end - middle - (end_waited - middle_waited), cpu - start), "cpu": cpu, "mb": peak, "answer": answer}


# --- money ------------------------------------------------------------------------------------------------------------------------------


def gb_seconds(r):
    """(with a whole core, with Lambda's share of one) of start and run."""
    wall, mb = r["start"] + r["run"], max(r["mb"], MB_MIN)
    stretched = max(wall - r["cpu"], 0) + r["cpu"] / min(mb / MB_PER_CORE, 1)
    return tuple(mb / 1024 * -(-s * 1000 // 1) / 1000 for s in (wall, max(stretched, wall)))


def money(r, count, usd, small):
    """Millionths of a dollar, with a whole core and with Lambda's share of one: of a million rows, or of one invocation."""
    return [(g * usd + REQUEST_USD) * 1e6 if small else g * usd * 1e12 / count for g in gb_seconds(r)]


def show(title, results, count, usd, small):
    of = "an event" if small else "M rows"
    print(f"\n{title}\n{'way':<9}{'start ms':>9}{'run s':>9}{'cpu s':>9}{'peak MB':>9}{'rows/s':>12} | "
          f"{'USD/1e6 ' + of + ': core':>23}{'share':>10} | less than platform: cpu{'memory':>9}{'core':>9}{'share':>9}")
    first = results.get("platform")
    for way, r in results.items():
        core, share = money(r, count, usd, small)
        line = (f"{way:<9}{r['start'] * 1e3:9.0f}{r['run']:9.3f}{r['cpu']:9.3f}{r['mb']:9.0f}{count / (r['start'] + r['run']):12,.0f} | "
                f"{core:23.4g}{share:10.4g} |")
        if first and r is not first:
            theirs = money(first, count, usd, small)
            line += "".join(f"{x:{w}.1f}x" for x, w in ((first["cpu"] / r["cpu"], 23), (first["mb"] / r["mb"], 8), (theirs[0] / core, 8),
                                                        (theirs[1] / share, 8)))
        print(line, flush=True)


def measure(ways, target, folder, env, rounds, count):
    """Medians by processor time; rounds are interleaved, so that all meet the same mood of the machine. What takes minutes runs once."""
    from runtime_api import RuntimeApi
    s3 = {"bucket": {"name": "processed"}, "object": {"key": KEY, "size": os.path.getsize(os.path.join(folder, KEY))}}
    event = {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}
    taken = {way: [] for way in ways}
    for n in range(rounds):
        for way in ways:
            if n > 0 and taken[way][0]["cpu"] > 20:
                continue
            api, bucket = RuntimeApi(timeout=900), target.bucket()
            into = {"INFLUXDB_URL": target.url, "INFLUXDB_TOKEN": target.token, "INFLUXDB_ORG": target.org, "INFLUXDB_BUCKET": bucket}
            taken[way].append(invoke(way, api, {**env, **into}, event))
            api.close()
            if not target.is_sink and target.count(bucket) != count:
                sys.exit(f"{way} wrote {target.count(bucket)} of {count} points: {taken[way][-1]['answer']}")
    return {way: sorted(runs, key=lambda r: r["cpu"])[len(runs) // 2] for way, runs in taken.items()}


class Objects:
    """A folder of generated data as a bucket."""

    def __init__(self, dir, *how):
        import pyarrow.parquet
        self.folder = dir
        subprocess.run([AFLUXO, "generate", "ons", "--out", dir, "--from", "2024-01-01", *how, "--quiet"], check=True)
        self.process = subprocess.Popen([os.path.join(BUILD, "bench", "range_server"), "0", dir], stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self.process.pid, others())
        self.env = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:" + self.process.stdout.readline().split()[1],
                    "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
                    "AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": os.path.join(ROOT, "python", "src"),
                    "PYTHONPYCACHEPREFIX": os.path.join(os.path.dirname(dir), "pycache")}
        self.env.pop("PYTHONDONTWRITEBYTECODE", None)
        self.env.setdefault("AFLUXO_LIBRARY", os.path.join(BUILD, "python", "libafluxo.so"))
        self.rows = pyarrow.parquet.read_metadata(os.path.join(dir, KEY)).num_rows
        self.bytes = os.path.getsize(os.path.join(dir, KEY))

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--step", default="15m", help="between rows of a plant: 15m makes 10 MB")
    options.add_argument("--skip", default="", help="ways to leave out, by comma")
    options.add_argument("--usd", type=float, default=0.0000166667, help="a GB-second")
    options.add_argument("--quick", action="store_true", help="a few rows: does it run?")
    options.add_argument("--serve", help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.serve:
        return serve(args.serve)
    sys.path[:0] = [os.path.join(ROOT, "test", room) for room in ("e2e", "lib")]
    import lib
    ways, rounds = [w for w in WAYS if w not in args.skip.split(",")], 1 if args.quick else args.rounds
    size = ["--to", "2024-01-02", "--plants", "20"] if args.quick else ["--to", "2024-02-01", "--plants", "710", "--step", args.step]
    with tempfile.TemporaryDirectory() as dir:
        large = Objects(os.path.join(dir, "large"), *size)
        small = Objects(os.path.join(dir, "small"), "--to", "2024-01-02", "--plants", "10")
        best = {}
        # Compiled and read once, as what is installed is.
        subprocess.run([sys.executable, "-c", "import afluxo.aws_lambda, boto3, pandas, pyarrow.parquet"], env=large.env, check=True)
        print(f"c is {' '.join(os.path.basename(part) for part in bootstrap())}")
        for name, is_sink in (("afluxo serve", False), ("a sink", True)):
            target = Target(lib, is_sink)
            best[name] = measure(ways, target, large.folder, large.env, rounds, large.rows)
            show(f"{large.rows:,} rows, {large.bytes / 1e6:.1f} MB of Parquet, into {name}", best[name], large.rows, args.usd, False)
            if is_sink:
                show(f"{small.rows} rows, {small.bytes / 1e3:.0f} kB of Parquet, into {name}: the start counts",
                     measure(ways, target, small.folder, small.env, rounds, small.rows), small.rows, args.usd, True)
            target.close()
        large.close()
        small.close()
    if "platform" in ways:
        ratios = {way: [gb_seconds(best["afluxo serve"]["platform"])[i] / gb_seconds(best["afluxo serve"][way])[i] for i in (0, 1)]
                  for way in ("python", "c") if way in ways}
        print("\ncheaper a million rows than the platform's path (core, share of a core): "
              + "; ".join(f"{way} {a:.0f}x, {b:.0f}x" for way, (a, b) in ratios.items()) + "; goals: python 8x, c 50x")
    else:
        print(f"\n{len(ways)} ways")


if __name__ == "__main__":
    main()

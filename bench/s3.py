"""Objects of S3, beside the physical limit, the same file on disk, pyarrow's S3 filesystem and boto3: ratios of one run.

    s3.py [--quick] [--large] [ROUNDS]

The server is bench/range_server.c, on this machine. Three parts:

    connections   an object of zeros in order by 1, 2, 4, ... connections (s3_load.c), 20 ms before each answer and 60 MB/s a connection, which is
                  about what S3 gives; beside as many bare sockets that take the same ranges and forget them
    Parquet       once as fast as the server can, once with 30 ms and 60 MB/s: all columns, and 2 of 20. afluxo decodes every value (`inspect
                  stats`; for two columns it also writes line protocol), pyarrow makes a table
    --large       an object of 2.4 GB: what `convert` and pyarrow, which takes it row group by row group, ever held in memory

Each round takes all in turn; figures are medians, ratios the median of the rounds' ratios. Requests and bytes are counted by the server.
"""
import io
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

BUILD = os.environ.get("BUILD", "build")
KEYS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
HOW_S3_IS = (30, 60)


class Server:
    def __init__(self, folder, *how):
        self.process = subprocess.Popen([os.path.join(BUILD, "bench", "range_server"), "0", folder, *map(str, how)], stdout=subprocess.PIPE, text=True)
        self.url = "http://127.0.0.1:" + self.process.stdout.readline().split()[1]

    def counts(self):
        return [int(n) for n in urllib.request.urlopen(self.url + "/?counts").read().split()]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def timed(action):
    begin = time.monotonic()
    action()
    return time.monotonic() - begin


def environment(url=None):
    return {**os.environ, **KEYS, **({"AWS_ENDPOINT_URL": url} if url else {})}


def afluxo(*args, url=None):
    subprocess.run([os.path.join(BUILD, "afluxo"), *args], env=environment(url), check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)


def median(values):
    return sorted(values)[len(values) // 2]


# --- connections -------------------------------------------------------------------------------------------------------------------


def load(url, connections, *how):
    """Seconds and bytes."""
    out = subprocess.run([os.path.join(BUILD, "bench", "s3_load"), url, "bench/zeros", str(connections), *how], env=environment(url), check=True,
                         stdout=subprocess.PIPE, text=True).stdout.split()
    return float(out[0]), int(out[1])


def connections(folder, rounds, size):
    with open(os.path.join(folder, "zeros"), "wb") as f:
        f.truncate(size)
    server = Server(folder, 20, 60)
    print(f"\n{size / 1e6:.0f} MB in order, 20 ms an answer, 60 MB/s a connection")
    numbers = (1, 2, 4, 8, 16)
    ours, bare = {n: [] for n in numbers}, {n: [] for n in numbers}
    for _ in range(rounds):
        for n in numbers:
            ours[n].append(load(server.url, n, "128")[0])
            bare[n].append(load(server.url, n, "raw")[0])
    for n in numbers:
        gain = median([one / many for one, many in zip(ours[1], ours[n])])
        limit = median([b / o for b, o in zip(bare[n], ours[n])])
        print(f"  {n:2} connection{'s' if n > 1 else ' '} {size / median(ours[n]) / 1e6:6.0f} MB/s   {gain:5.2f}x of one   {limit:4.2f} of bare sockets'"
              f" {size / median(bare[n]) / 1e6:.0f} MB/s")
    server.close()
    os.remove(os.path.join(folder, "zeros"))


# --- Parquet -----------------------------------------------------------------------------------------------------------------------


def make(folder, rows, repeats=1):
    """A column of times and 19 of floats that do not compress, in row groups of an eighth; the rows `repeats` times."""
    import numpy
    import pyarrow
    import pyarrow.parquet
    rng = numpy.random.default_rng(1)
    columns = {"time": pyarrow.array(numpy.arange(rows) * 1000000000, pyarrow.timestamp("ns"))}
    for c in range(19):
        columns[f"c{c:02}"] = pyarrow.array(rng.random(rows))
    table = pyarrow.table(columns)
    path = os.path.join(folder, "wide.parquet")
    with pyarrow.parquet.ParquetWriter(path, table.schema, use_dictionary=False) as writer:
        for _ in range(repeats):
            writer.write_table(table, row_group_size=max(rows // 8, 1))
    with open(os.path.join(folder, "two.yaml"), "w") as f:
        f.write("measurement: m\ntime: { column: time }\nfields: { v: c07 }\n")
    return path


def readers(path, url):
    """name -> what reads all columns; name -> what reads two."""
    import boto3
    import pyarrow.fs
    import pyarrow.parquet
    host = url.split("//")[1]
    two = ["time", "c07"]
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    arrow = pyarrow.fs.S3FileSystem(access_key="x", secret_key="x", region="us-east-1", scheme="http", endpoint_override=host)
    mapping = os.path.join(os.path.dirname(path), "two.yaml")

    def by_boto(columns=None):
        body = client.get_object(Bucket="bench", Key="wide.parquet")["Body"].read()
        pyarrow.parquet.read_table(io.BytesIO(body), columns=columns)

    def by_arrow(columns=None):
        pyarrow.parquet.read_table("bench/wide.parquet", filesystem=arrow, columns=columns)

    return ({"afluxo, file": lambda: afluxo("inspect", "stats", path), "afluxo, S3": lambda: afluxo("inspect", "stats", "s3://bench/wide.parquet", url=url),
             "pyarrow, file": lambda: pyarrow.parquet.read_table(path, memory_map=False), "boto3 + pyarrow": by_boto, "pyarrow's S3": by_arrow},
            {"afluxo, file": lambda: afluxo("convert", path, "-m", mapping, "-q"),
             "afluxo, S3": lambda: afluxo("convert", "s3://bench/wide.parquet", "-m", mapping, "-q", url=url),
             "pyarrow, file": lambda: pyarrow.parquet.read_table(path, columns=two), "boto3 + pyarrow": lambda: by_boto(two),
             "pyarrow's S3": lambda: by_arrow(two)})


def compare(title, actions, server, rounds, size):
    times, traffic = {name: [] for name in actions}, {}
    for _ in range(rounds):
        for name, action in actions.items():
            before = server.counts()
            times[name].append(timed(action))
            traffic[name] = [b - a for a, b in zip(before, server.counts())]
    print(f"\n{title}")
    for name in actions:
        ratio = median([t / o for t, o in zip(times[name], times["afluxo, S3"])])
        requests, count = traffic[name]
        print(f"  {name:18} {median(times[name]) * 1000:8.0f} ms {size / median(times[name]) / 1e6:8.0f} MB/s   {ratio:5.2f}x of afluxo, S3"
              + (f"   {requests} requests, {count / 1e6:.1f} MB" if requests else ""))


def parquet(folder, rounds, rows):
    path = make(folder, rows)
    size = os.path.getsize(path)
    print(f"\nParquet of {size / 1e6:.0f} MB, 20 columns, 8 row groups")
    for title, how in (("as fast as it can", ()), ("{} ms an answer, {} MB/s a connection".format(*HOW_S3_IS), HOW_S3_IS)):
        server = Server(folder, *how)
        everything, two = readers(path, server.url)
        compare(f"all columns, {title}", everything, server, rounds, size)
        compare(f"2 of 20 columns, {title}", two, server, rounds, size)
        server.close()


# --- large -------------------------------------------------------------------------------------------------------------------------

BY_ROW_GROUP = """
import pyarrow.fs, pyarrow.parquet, sys
fs = pyarrow.fs.S3FileSystem(access_key="x", secret_key="x", region="us-east-1", scheme="http", endpoint_override=sys.argv[1])
with pyarrow.parquet.ParquetFile(fs.open_input_file("bench/wide.parquet")) as f:
    for i in range(f.num_row_groups):
        f.read_row_group(i)
"""


def large(folder):
    size = os.path.getsize(make(folder, 1000000, 15))
    server = Server(folder)
    print(f"\n{size / 1e9:.1f} GB, 120 row groups, all columns: what was held at most")
    here = os.path.dirname(os.path.abspath(__file__))
    for name, command in (("afluxo convert", [os.path.join(BUILD, "afluxo"), "convert", "s3://bench/wide.parquet", "--infer", "-q", "-o", "/dev/null"]),
                          ("afluxo inspect stats", [os.path.join(BUILD, "afluxo"), "inspect", "stats", "s3://bench/wide.parquet"]),
                          ("pyarrow", [sys.executable, "-c", BY_ROW_GROUP, server.url.split("//")[1]])):
        before = server.counts()
        begin = time.monotonic()
        peak = subprocess.run([sys.executable, os.path.join(here, "measure.py"), "peak", *command], env=environment(server.url), check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        took = time.monotonic() - begin
        requests, count = [b - a for a, b in zip(before, server.counts())]
        print(f"  {name:22} {int(peak):6} MB   {took:6.1f} s   {requests} requests, {count / 1e9:.2f} GB")
    server.close()


def main():
    quick = "--quick" in sys.argv
    numbers = [int(a) for a in sys.argv[1:] if a.isdigit()]
    rounds = numbers[0] if numbers else 1 if quick else 5
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        print(f"{rounds} rounds; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        connections(folder, rounds, (20 if quick else 400) << 20)
        parquet(folder, rounds, 20000 if quick else 2000000)
        if "--large" in sys.argv:
            large(folder)


main()

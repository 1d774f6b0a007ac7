"""Tables to line protocol in Python: afluxo.to_line_protocol beside influxdb-client, in one run: processor time and memory.

    python bench/python.py [--rows 200000] [--rounds 3] [--quick]

    points      a Point of influxdb-client for each row (itertuples), printed
    serialize   influxdb-client's DataFrame serializer, 10,000 rows a time
    pandas      afluxo, from the same DataFrame
    arrow       afluxo, from the same table in pyarrow: its memory is read where it is
    file        afluxo, from the Parquet file

Each runs in a process of its own and keeps no line. Rates are of processor time, without what reading the file into pandas or pyarrow took;
memory is of the whole process, the table among it. What a whole load costs: cost.py.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
TAGS = ["region", "energy_source", "measurement_type", "quality_flag", "plant_name"]
WAYS = ["points", "serialize", "pandas", "arrow", "file"]


def make(path, rows):
    """As the platform's processed Parquet: INT96, snappy, text columns; 710 plants, hourly."""
    import numpy
    import pyarrow
    import pyarrow.parquet
    rng = numpy.random.default_rng(1)
    plants = numpy.array(["Usina %03d" % i for i in range(710)])
    hour = numpy.arange(rows) // 710
    table = pyarrow.table({
        "timestamp": pyarrow.array(hour * 3_600_000 + 1_704_067_200_000, pyarrow.timestamp("ms")), "dataset_type": ["generation"] * rows,
        "region": numpy.array(["southeast", "south", "northeast", "north"])[numpy.arange(rows) % 4],
        "energy_source": numpy.array(["hydro", "wind", "solar", "thermal", "nuclear"])[numpy.arange(rows) % 5],
        "measurement_type": ["power_output"] * rows, "value": numpy.round(rng.random(rows) * 2000, 3), "unit": ["MW"] * rows,
        "quality_flag": ["valid"] * rows, "plant_name": plants[numpy.arange(rows) % 710]})
    pyarrow.parquet.write_table(table, path, version="1.0", use_deprecated_int96_timestamps=True, flavor="spark")


def by_points(frame):
    from influxdb_client import Point
    count = 0
    for row in frame.itertuples(index=False):
        point = Point("generation_data").time(row.timestamp)
        for tag in TAGS:
            point.tag(tag, getattr(row, tag))
        count += len(point.field("power_mw", row.value).field("unit", row.unit).to_line_protocol()) + 1
    return count


def by_serializer(frame):
    from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
    from influxdb_client.client.write_api import PointSettings
    frame = frame.rename(columns={"value": "power_mw"}).set_index("timestamp").drop(columns=["dataset_type"])
    return sum(len(line) + 1 for i in range(0, len(frame), 10_000) for line in data_frame_to_list_of_points(
        frame.iloc[i:i + 10_000], PointSettings(), data_frame_measurement_name="generation_data", data_frame_tag_columns=TAGS))


def by_afluxo(source):
    import afluxo
    with afluxo.to_line_protocol(source, dataset="generation") as blocks:
        return sum(len(block) for block in blocks)


def run(way, path):
    """In the process of a way: what it took is printed."""
    source = path
    if way in ("points", "serialize", "pandas"):
        import pandas
        source = pandas.read_parquet(path)
    elif way == "arrow":
        import pyarrow.parquet
        source = pyarrow.parquet.read_table(path)
    begin = time.process_time()
    count = {"points": by_points, "serialize": by_serializer}.get(way, by_afluxo)(source)
    print(json.dumps({"bytes": count, "cpu": time.process_time() - begin, "mb": peak_mb()}))


def peak_mb():
    """Of this program: ru_maxrss is also that of the process it was forked from."""
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) / 1024


def once(way, path):
    env = {**os.environ, "PYTHONPATH": os.path.join(ROOT, "python", "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    env.setdefault("AFLUXO_LIBRARY", os.path.join(BUILD, "python", "libafluxo.so"))
    done = subprocess.run([sys.executable, "-W", "ignore", __file__, "--way", way, path], capture_output=True, text=True, env=env)
    if done.returncode != 0:
        sys.exit(f"{way}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=200_000)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--quick", action="store_true", help="a few rows: does it run?")
    options.add_argument("--way", nargs=2, help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.way:
        return run(*args.way)
    rows, rounds = (2000, 1) if args.quick else (args.rows, args.rounds)
    taken = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as dir:
        path = os.path.join(dir, "x.parquet")
        make(path, rows)
        for _ in range(rounds):  # interleaved, so that all meet the same mood of the machine
            for way in WAYS:
                taken[way].append(once(way, path))
    best = {way: sorted(runs, key=lambda r: r["cpu"])[len(runs) // 2] for way, runs in taken.items()}
    print(f"{rows:,} rows\n{'way':<10}{'rows/s of a core':>18}{'MB of lines':>13}{'peak MB':>9}   beside points, serialize")
    for way, r in best.items():
        ratios = f"{best['points']['cpu'] / r['cpu']:10.1f}x {best['serialize']['cpu'] / r['cpu']:8.1f}x" if way in WAYS[2:] else ""
        print(f"{way:<10}{rows / r['cpu']:18,.0f}{r['bytes'] / 1e6:13.1f}{r['mb']:9.0f} {ratios}")


main()

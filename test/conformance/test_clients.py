"""The line protocol that influxdb-client (PyPI) writes, Point by Point and from a DataFrame, is what `afluxo convert` writes.

Byte for byte, but for the order of fields within a line, which means nothing and which the client sorts by name: both sides are compared
with their fields sorted, and as they are where the order agrees anyway. Two things the client writes otherwise, on purpose here: floats from
1e16 to 1e21 (`1e+16` there, plain digits here, the same value), and tags that line protocol cannot hold (line breaks, a backslash at the
end), which we reject. AFLUXO is the program (build/afluxo).
"""
import datetime
import os
import random
import re
import shutil
import subprocess
import tempfile
import unittest
import warnings

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
from influxdb_client import Point, WritePrecision
from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
from influxdb_client.client.write_api import PointSettings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AFLUXO = os.environ.get("AFLUXO", os.path.join(ROOT, "build", "afluxo"))
SEED = int(os.environ.get("AFLUXO_TEST_SEED", "1"))

KEYS = {"generation": "energy_source", "consumption": "consumer_type", "transmission": "line_id"}
OPTIONAL = {"generation": ["plant_name", "operator", "capacity_mw", "efficiency"], "consumption": ["sector", "subsector", "tariff_type"],
            "transmission": ["voltage_kv", "line_type", "operator"]}
NUMBERS = ["capacity_mw", "efficiency", "voltage_kv", "current_a", "frequency_hz"]
FIELDS = {"MW": "power_mw", "MWh": "energy_mwh", "kV": "voltage_kv", "A": "current_a", "Hz": "frequency_hz", "%": "percentage", "ratio": "ratio"}

# What the platform's own tests expect.
VECTORS = [
    ("generation", {"region": "southeast", "value": 1500.5, "unit": "MW", "energy_source": "hydro", "measurement_type": "power_output",
                    "plant_name": "Itaipu", "quality_flag": "good"},
     'generation_data,energy_source=hydro,measurement_type=power_output,plant_name=Itaipu,quality_flag=good,region=southeast '
     'power_mw=1500.5,unit="MW" 1704110400000000000'),
    ("consumption", {"region": "northeast", "value": 850.2, "unit": "MWh", "consumer_type": "industrial", "measurement_type": "demand",
                     "quality_flag": "good"},
     'consumption_data,consumer_type=industrial,measurement_type=demand,quality_flag=good,region=northeast '
     'energy_mwh=850.2,unit="MWh" 1704110400000000000'),
    ("transmission", {"region": "south", "value": 2500.0, "unit": "MW", "line_id": "SE-NE-001", "measurement_type": "flow", "voltage_kv": 500.0},
     'transmission_data,line_id=SE-NE-001,measurement_type=flow,region=south,voltage_kv=500.0 '
     'power_mw=2500,unit="MW",voltage_kv=500 1704110400000000000'),
    ("generation", {"region": "south", "value": 7.0, "unit": "unknown", "energy_source": "wind", "measurement_type": "x"},
     'generation_data,energy_source=wind,measurement_type=x,region=south unit="unknown",value=7 1704110400000000000'),
    ("generation", {"region": "south", "value": 7.0, "unit": None, "energy_source": "wind", "measurement_type": "x"},
     'generation_data,energy_source=wind,measurement_type=x,region=south value=7 1704110400000000000'),
]
NOON = datetime.datetime(2024, 1, 1, 12)


def is_missing(value):
    return value is None or value != value or str(value).strip().lower() in ("", "nan", "none", "null", "<na>")


def platform_point(dataset, row):
    """The platform's conversion of a row, with its client's Point."""
    point = Point(dataset + "_data").time(row["timestamp"].value if isinstance(row["timestamp"], pandas.Timestamp) else row["timestamp"],
                                          WritePrecision.NS)
    for tag in ["region", KEYS[dataset], "measurement_type", "quality_flag"] + OPTIONAL[dataset]:
        if not is_missing(row.get(tag)):
            point.tag(tag, str(row[tag]).strip())
    point.field(FIELDS.get(str(row.get("unit")).strip(), "value"), float(row["value"]))
    if not is_missing(row.get("unit")):
        point.field("unit", str(row["unit"]).strip())
    for name in NUMBERS:
        if not is_missing(row.get(name)):
            point.field(name, float(row[name]))
    return point.to_line_protocol()


PARTS = re.compile(r'((?:\\.|[^ \\])*) ((?:[^ "]|"(?:\\.|[^"\\])*")*) (-?\d+)$', re.S)
FIELD = re.compile(r'((?:\\.|[^,=\\])+)=("(?:\\.|[^"\\])*"|[^,]*)(?:,|$)', re.S)


def with_sorted_fields(line):
    key, fields, time = PARTS.match(line).groups()
    found = sorted(FIELD.findall(fields))
    assert ",".join("%s=%s" % f for f in found) and sum(len(n) + len(v) + 2 for n, v in found) == len(fields) + 1, line
    return "%s %s %s" % (key, ",".join("%s=%s" % f for f in found), time)


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="afluxo-clients-")
        self.addCleanup(shutil.rmtree, self.dir, True)

    def write(self, table, name):
        path = os.path.join(self.dir, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        pq.write_table(table, path)
        return path

    def convert(self, *args, status=0):
        done = subprocess.run([AFLUXO, "convert", "--quiet", *args], capture_output=True, check=False)
        self.assertEqual(done.returncode, status, done.stderr.decode()[-2000:])
        return done.stdout.decode()

    def equal(self, ours, theirs, hint=""):
        self.assertEqual(len(ours), len(theirs), hint)
        for number, (a, b) in enumerate(zip(ours, theirs)):
            if a != b:
                self.assertEqual(with_sorted_fields(a), with_sorted_fields(b), "row %d %s" % (number, hint))


def lines(text):
    """Lines of line protocol: a line break inside quotes does not end one."""
    out, start, quoted, at = [], 0, False, 0
    while at < len(text):
        c = text[at]
        if quoted and c == "\\":
            at += 1
        elif c == '"' and (quoted or text[at - 1] == "="):
            quoted = not quoted
        elif c == "\n" and not quoted:
            out.append(text[start:at])
            start = at + 1
        at += 1
    return out


class Vectors(Case):
    def test_each(self):
        for number, (dataset, row, want) in enumerate(VECTORS):
            row = {"timestamp": NOON, **row}
            table = pa.Table.from_pylist([row], schema=pa.schema([
                (k, pa.timestamp("ms") if k == "timestamp" else pa.float64() if isinstance(v, float) else pa.string()) for k, v in row.items()]))
            path = self.write(table, "dataset=%s/year=2024/month=01/%d.parquet" % (dataset, number))
            self.assertEqual(platform_point(dataset, row), want)  # the client itself
            self.equal(lines(self.convert(path)), [want])

    def test_the_first_is_the_same_to_the_byte(self):
        dataset, row, want = VECTORS[0]
        path = self.write(pa.Table.from_pylist([{"timestamp": NOON, **row}]), "dataset=generation/x.parquet")
        self.assertEqual(self.convert(path), want + "\n")


TEXTS = ["southeast", "NE", "São Paulo", "a b", "a,b", "a=b", "a\"b\"", "a\\b", "\\,", "日本", " padded ", "#1", "'", "nan", "None", "", "x" * 200]


def number(rng):
    kind = rng.randrange(6)
    if kind == 0:
        return rng.choice([0.0, -0.0, 1e15, 123456789012345.6, 1e-4, 0.00012345, 1e21, 1e300, -1e22, 5e-324, 1.7976931348623157e308, 1e-5, 1.5e-7])
    if kind == 1:
        return rng.uniform(-1, 1) * 10.0 ** rng.randint(-30, 15)
    return rng.choice([float(rng.randint(0, 20000)), rng.randint(0, 10 ** 7) / 1000, rng.random() * 1e4])


class RandomRows(Case):
    def table(self, dataset, seed, count):
        rng = random.Random(seed)
        units = list(FIELDS) + ["GW", "unknown", "", None, " MW ", "mw"]
        text = lambda: rng.choice(TEXTS + [None])
        rows = []
        for _ in range(count):
            row = {"timestamp": rng.randint(-2 ** 61, 2 ** 61), "value": number(rng), "unit": rng.choice(units),
                   "region": rng.choice(TEXTS), "measurement_type": text(), "quality_flag": text(), KEYS[dataset]: text()}
            row.update((name, number(rng) if name in NUMBERS else text()) for name in OPTIONAL[dataset])
            row.update((name, rng.choice([None, number(rng)])) for name in NUMBERS if name not in row)
            rows.append(row)
        kinds = {name: pa.float64() for name in NUMBERS + ["value"]}
        kinds["timestamp"] = pa.timestamp("ns")
        return pa.Table.from_pylist(rows, schema=pa.schema([(k, kinds.get(k, pa.string())) for k in rows[0]])), rows

    def test_points(self):
        for dataset in KEYS:
            for seed in range(SEED, SEED + 5):
                table, rows = self.table(dataset, seed, 400)
                path = self.write(table, "dataset=%s/%d.parquet" % (dataset, seed))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    theirs = [platform_point(dataset, row) for row in rows]
                self.equal(lines(self.convert(path)), theirs, "%s seed %d" % (dataset, seed))

    def test_precisions(self):
        table, rows = self.table("generation", 77, 200)
        path = self.write(table, "dataset=generation/p.parquet")
        ours = lines(self.convert(path))
        for precision, factor in (("us", 10 ** 3), ("ms", 10 ** 6), ("s", 10 ** 9)):
            rounded = ["%s %d" % (line.rpartition(" ")[0], int(line.rpartition(" ")[2]) // factor) for line in ours]
            self.assertEqual(lines(self.convert("--precision", precision, path)), rounded)

    def test_what_line_protocol_cannot_hold_is_rejected(self):
        rows = [{"timestamp": NOON, "region": region, "value": 1.0, "unit": "MW", "energy_source": "hydro"}
                for region in ("good", "line\nbreak", "ends\\", "fine")]
        path = self.write(pa.Table.from_pylist(rows), "dataset=generation/bad.parquet")
        got = lines(self.convert(path, status=3))
        self.assertEqual(got, [platform_point("generation", rows[0]), platform_point("generation", rows[3])])

    def test_large_floats_are_the_same_values(self):
        values = [1e16, 123456789012345680.0, 9.99e20, -1e17, 2.0 ** 53, 2.0 ** 60]
        rows = [{"timestamp": NOON, "region": "N", "value": v, "unit": "MW", "energy_source": "hydro"} for v in values]
        path = self.write(pa.Table.from_pylist(rows), "dataset=generation/large.parquet")
        got = [float(re.search("power_mw=([^,]*),", line).group(1)) for line in lines(self.convert(path))]
        self.assertEqual(got, values)


MAPPING = """
measurement: {measurement}
time: time
tags: {{ plant: plant, "key, with=signs": region }}
fields:
  value: {{ column: value, optional: true }}
  count: {{ column: count, type: integer, optional: true }}
  text: {{ column: text, type: string, trim: false, optional: true }}
"""


class DataFrames(Case):
    """The client's other way: a whole DataFrame by a generated function."""

    def compare(self, frame, measurement, seed):
        path = self.write(pa.Table.from_pandas(frame.rename(columns={"key, with=signs": "region"}), preserve_index=False), "%d.parquet" % seed)
        mapping = os.path.join(self.dir, "map.yaml")
        with open(mapping, "w") as f:
            f.write(MAPPING.format(measurement='"%s"' % measurement))
        theirs = data_frame_to_list_of_points(frame.set_index("time"), PointSettings(), data_frame_measurement_name=measurement,
                                              data_frame_tag_columns=["plant", "key, with=signs"])
        # The client leaves whole floats their ".0" here, which Point cuts off.
        theirs = [re.sub(r"(,| )value=(-?\d+)\.0(?=[, ])", r"\1value=\2", line) for line in theirs]
        self.equal(lines(self.convert("--mapping", mapping, path)), theirs, "seed %d" % seed)

    def frame(self, seed, holes):
        rng = random.Random(seed)
        maybe = lambda value: None if holes and rng.random() < 0.3 else value
        tags = [t for t in TEXTS if t.strip() == t and t not in ("nan", "None", "", "a\"b\"", "a\\b", "\\,")]
        count = 300
        columns = {
            "time": pandas.to_datetime([rng.randint(0, 2 ** 61) for _ in range(count)], unit="ns"),
            "plant": [maybe(rng.choice(tags if not holes else ["A", "B1", "ção"])) for _ in range(count)],
            "key, with=signs": [rng.choice(tags) for _ in range(count)],
            "value": [number(rng) for _ in range(count)]}
        if not holes:
            columns["count"] = [rng.randint(-2 ** 63, 2 ** 63 - 1) for _ in range(count)]
            columns["text"] = [rng.choice(["x", "a b", "q\"q", "back\\slash", "a,b=c", "ção", " padded "]) for _ in range(count)]
        return pandas.DataFrame(columns)

    def test_whole_frames(self):
        for seed in range(SEED, SEED + 5):
            self.compare(self.frame(seed, False), "plain", seed)

    def test_frames_with_holes(self):
        for seed in range(SEED + 100, SEED + 105):
            self.compare(self.frame(seed, True), "holes", seed)

    def test_measurements_with_signs(self):
        self.compare(self.frame(7, False), "a, b=c", 7)


if __name__ == "__main__":
    unittest.main()

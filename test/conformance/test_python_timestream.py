"""afluxo.timestream in place of boto3: the same code as the platform's, against `afluxo serve` and, where AFLUXO_TEST_INFLUXDB2 is set, InfluxDB 2.

Judges: botocore's service models for every answer (types, required members, unions), Python for the values, and moto for the shape of errors.
"""
import os
import random
import sys
import unittest
from collections import defaultdict
from datetime import datetime, timezone

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import python_lib  # noqa: E402
import lib  # noqa: E402
import botocore.session  # noqa: E402
from botocore.exceptions import ClientError, ParamValidationError  # noqa: E402
from botocore.validate import ParamValidator  # noqa: E402

from afluxo import timestream  # noqa: E402
from afluxo.timestream._values import parse_time, print_double, print_interval, print_time  # noqa: E402

BEGIN = 1700000000  # 2023-11-14 22:13:20


def setUpModule():
    global servers
    servers = python_lib.servers(lib)


def tearDownModule():
    for server in servers:
        if server[4] is not None:
            server[4].close()


def conforms(test, service, operation, answer):
    """An answer is one that the service could have given."""
    loader = botocore.session.get_session().get_component("data_loader")
    from botocore.model import ServiceModel
    shape = ServiceModel(loader.load_service_model(service, "service-2")).operation_model(operation).output_shape
    if shape is None:
        test.assertEqual(set(answer), {"ResponseMetadata"})
        return
    body = {k: v for k, v in answer.items() if k != "ResponseMetadata"}
    report = ParamValidator().validate(body, shape)
    test.assertFalse(report.has_errors(), report.generate_report())
    test.assertLessEqual(set(body), set(shape.members))
    for info in body.get("ColumnInfo", ()):
        test.assertEqual(len(info["Type"]), 1)
    for row in body.get("Rows", ()):
        test.assertEqual(len(row["Data"]), len(body["ColumnInfo"]))
        test.assertTrue(all(len(d) == 1 and all(isinstance(v, (str, bool)) for v in d.values()) for d in row["Data"]))


class Clients(unittest.TestCase):
    """One server after the other: `each` runs the body for all of them."""

    def each(self, body, **options):
        for name, url, token, org, _ in servers:
            with self.subTest(server=name):
                database = f"db{random.getrandbits(48)}"
                known = dict(url=url, token=token, org=org, **options)
                self.write = timestream.client("timestream-write", **known)
                self.query_client = timestream.client("timestream-query", **known)
                self.write.create_database(DatabaseName=database)
                body(database)

    def put(self, database, records, table="generation_data", **common):
        answer = self.write.write_records(DatabaseName=database, TableName=table, Records=records, CommonAttributes=common)
        conforms(self, "timestream-write", "WriteRecords", answer)
        return answer

    def ask(self, text, **more):
        answer = self.query_client.query(QueryString=text, **more)
        conforms(self, "timestream-query", "Query", answer)
        return answer

    def rows(self, text):
        return [[d.get("ScalarValue") for d in row["Data"]] for row in self.ask(text)["Rows"]]

    def refused(self, code, call, *args, **kw):
        with self.assertRaises(ClientError) as caught:
            call(*args, **kw)
        e = caught.exception
        self.assertEqual(e.response["Error"]["Code"], code)
        self.assertIsInstance(e, getattr(self.write.exceptions, code))
        self.assertIn("HTTPStatusCode", e.response["ResponseMetadata"])
        return e


def record(i, value, region="southeast", **more):
    """As the platform's loader makes them."""
    return {"Time": str((BEGIN + i) * 1000), "TimeUnit": "MILLISECONDS", "MeasureName": "value", "MeasureValue": str(value), "MeasureValueType": "DOUBLE",
            "Dimensions": [{"Name": "region", "Value": region}, {"Name": "dataset_type", "Value": "generation"}], **more}


class Writes(Clients):
    def test_the_platforms_batches(self):
        def body(db):
            rng = random.Random(1)
            records = [record(i, rng.random() * 100, rng.choice(["southeast", "northeast"])) for i in range(1000)]
            for i in range(0, 1000, 100):
                answer = self.put(db, records[i:i + 100])
                self.assertEqual(answer["RecordsIngested"]["Total"], 100)
                self.assertEqual(answer["ResponseMetadata"]["HTTPStatusCode"], 200)
            self.put(db, records)  # 1,000 at once, again: the same points
            self.assertEqual(self.rows(f'SELECT COUNT(*) FROM "{db}"."generation_data"'), [["1000"]])
            read = self.rows(f'SELECT time, region, measure_value::double FROM "{db}"."generation_data" ORDER BY time')
            want = [[print_time((BEGIN + i) * 10 ** 9), r["Dimensions"][0]["Value"], print_double(float(r["MeasureValue"]))]
                                for i, r in enumerate(records)]
            self.assertEqual(read, want)
        self.each(body)

    def test_common_attributes_units_and_types(self):
        def body(db):
            values = {"BIGINT": str(2 ** 62 + 1), "VARCHAR": 'é "quoted" \\ back\\', "BOOLEAN": "TRUE", "DOUBLE": "-0.0"}
            for unit, per in (("SECONDS", 1), ("MILLISECONDS", 10 ** 3), ("MICROSECONDS", 10 ** 6), ("NANOSECONDS", 10 ** 9)):
                self.put(db, [{"MeasureName": f"{unit}_{kind}", "MeasureValue": value, "MeasureValueType": kind} for kind, value in values.items()],
                         Dimensions=[{"Name": "k", "Value": "v,=\" x"}], Time=str(BEGIN * per + per // 10), TimeUnit=unit)
            columns = "k, measure_name, time, measure_value::double, measure_value::bigint, measure_value::varchar, measure_value::boolean"
            rows = self.rows(f'SELECT {columns} FROM "{db}"."generation_data"')
            self.assertEqual(len(rows), 16)
            for k, name, at, double, bigint, varchar, boolean in rows:
                unit, kind = name.split("_")
                self.assertEqual(k, 'v,=" x')
                self.assertEqual(at, print_time(BEGIN * 10 ** 9 + (0 if unit == "SECONDS" else 10 ** 8)))
                want = {"DOUBLE": "-0.0", "BIGINT": str(2 ** 62 + 1), "VARCHAR": values["VARCHAR"], "BOOLEAN": "true"}[kind]
                got = {"DOUBLE": double, "BIGINT": bigint, "VARCHAR": varchar, "BOOLEAN": boolean}
                self.assertEqual({k: v for k, v in got.items() if v is not None}, {kind: want if kind != "DOUBLE" else got["DOUBLE"]})
                self.assertIn(double, (None, "-0.0", "0.0"))
        self.each(body)

    def test_multi_measure_records(self):
        def body(db):
            self.put(db, [{"Time": str(BEGIN + i), "MeasureValues": [
                {"Name": "mw", "Value": str(i / 2), "Type": "DOUBLE"}, {"Name": "count", "Value": str(i), "Type": "BIGINT"},
                {"Name": "started", "Value": str(BEGIN), "Type": "TIMESTAMP"}, {"Name": "note", "Value": f"n{i}", "Type": "VARCHAR"}]} for i in range(10)],
                MeasureName="metrics", MeasureValueType="MULTI", TimeUnit="SECONDS", Dimensions=[{"Name": "region", "Value": "south"}])
            answer = self.ask(f'SELECT * FROM "{db}"."generation_data" ORDER BY time DESC LIMIT 2')
            self.assertEqual([c["Name"] for c in answer["ColumnInfo"]], [
                             "region", "measure_name", "time", "count", "mw", "note", "started"])
            self.assertEqual([c["Type"]["ScalarType"] for c in answer["ColumnInfo"]], [
                             "VARCHAR", "VARCHAR", "TIMESTAMP", "BIGINT", "DOUBLE", "VARCHAR", "BIGINT"])
            self.assertEqual([d.get("ScalarValue") for d in answer["Rows"][0]["Data"]],
                             ["south", "metrics", print_time((BEGIN + 9) * 10 ** 9), "9", "4.5", "n9", str(BEGIN * 10 ** 9)])
            self.assertEqual(self.rows(f"SELECT AVG(mw), MAX(count), COUNT(*) FROM \"{db}\".\"generation_data\" WHERE measure_name = 'metrics' AND region = 'south'"),
                             [["2.25", "9", "10"]])
        self.each(body)

    def test_rejected_records(self):
        def body(db):
            bad = [record(0, 1.0), record(1, "nan"), record(2, "x"), record(3, 4.0), {**record(4, 1), "Time": "-5"}, record(5, 1.0, region="a\nb"),
                   {**record(6, 1), "Dimensions": [{"Name": "measure_name", "Value": "x"}]}, {**record(7, "7"), "Time": str(2 ** 62)}]
            e = self.refused("RejectedRecordsException", self.put, db, bad)
            self.assertEqual([r["RecordIndex"] for r in e.response["RejectedRecords"]], [1, 2, 4, 5, 6, 7])
            self.assertIn("One or more records have been rejected", e.response["Error"]["Message"])
            self.assertTrue(all(r["Reason"] for r in e.response["RejectedRecords"]))
            self.assertEqual(self.rows(f'SELECT measure_value::double FROM "{db}"."generation_data" ORDER BY time'), [["1.0"], ["4.0"]])
            # What the server refuses: another type under the same name, in one of many.
            mixed = [record(10 + i, i) for i in range(20)]
            mixed[13] = {**record(23, "text"), "MeasureValueType": "VARCHAR"}
            e = self.refused("RejectedRecordsException", self.put, db, mixed)
            self.assertEqual([r["RecordIndex"] for r in e.response["RejectedRecords"]], [13])
            self.assertIn("type conflict", e.response["RejectedRecords"][0]["Reason"])
            self.assertEqual(self.rows(f'SELECT COUNT(*) FROM "{db}"."generation_data"'), [["21"]])
        self.each(body)

    def test_versions_within_a_call(self):
        def body(db):
            e = self.refused("RejectedRecordsException", self.put, db, [record(0, 1.0, Version=5), record(0, 2.0, Version=3), record(0, 3.0, Version=5),
                                                                        record(0, 4.0, Version=9), record(1, 7.0), record(1, 7.0)])
            self.assertEqual([(r["RecordIndex"], r["ExistingVersion"]) for r in e.response["RejectedRecords"]], [(1, 5), (2, 5)])
            self.assertEqual(self.rows(f'SELECT measure_value::double FROM "{db}"."generation_data" ORDER BY time'), [["4.0"], ["7.0"]])
        self.each(body)

    def test_requests_that_are_wrong(self):
        def body(db):
            for params in ({"DatabaseName": db, "TableName": "t1"}, {"DatabaseName": db, "TableName": "t1", "Records": [{"Time": 5}]}):
                with self.assertRaises(ParamValidationError):
                    self.write.write_records(**params)
            self.refused("ValidationException", self.put, db, [record(0, 1, Version=0)])
            self.refused("ValidationException", self.put, db, [{"MeasureName": "x", "MeasureValue": "1"}])
            self.refused("ValidationException", self.put, db, [record(0, 1)], Dimensions=[{"Name": "region", "Value": "x"}])
            self.refused("ValidationException", self.put, db, [{**record(0, 1), "MeasureValueType": "MULTI"}])
            self.refused("ResourceNotFoundException", self.put, "nowhere" + db, [record(0, 1)])
            self.refused("ValidationException", self.write.create_batch_load_task, TargetDatabaseName=db)
            self.assertRaises(AttributeError, lambda: self.write.no_such_operation)
        self.each(body)

    def test_what_is_checked_before_anything_is_written(self):
        def body(db):
            for table in ("#t1", "t\nx", "ab", "t 1", "ta\xe9"):
                self.refused("ValidationException", self.put, db, [record(0, 1)], table=table)
            multi = {"MeasureValueType": "MULTI", "MeasureName": "m", "Time": str(BEGIN * 1000)}
            for wrong in ({**record(0, 1), "MeasureValueType": "FLOAT"}, {**record(0, 1), "TimeUnit": "MINUTES"},
                          {**multi, "MeasureValues": [{"Name": "a", "Value": "1", "Type": "MULTI"}]}):
                self.refused("ValidationException", self.put, db, [record(1, 1), wrong])
            numbers = [{**record(i, v), "MeasureValueType": kind} for i, (v, kind) in enumerate(
                (("1_000", "DOUBLE"), (" 1", "DOUBLE"), ("1\n", "DOUBLE"), ("1_0", "BIGINT"), ("1 ", "BIGINT"), ("\u0661", "BIGINT"), ("0x1", "DOUBLE"),
                 ("1.", "DOUBLE"), ("-.5e+3", "DOUBLE"), ("+7", "BIGINT")))]
            numbers.append({**record(20, 1), "Time": "1_700"})
            numbers.append({**record(21, 1), "MeasureName": "time"})
            e = self.refused("RejectedRecordsException", self.put, db, numbers[:7] + [numbers[10], numbers[11]])
            self.assertEqual([r["RecordIndex"] for r in e.response["RejectedRecords"]], list(range(9)))
            self.put(db, numbers[7:9], table="good")
            names = ([{"Name": "a", "Value": "1", "Type": "DOUBLE"}, {"Name": n, "Value": "1", "Type": "DOUBLE"}] for n in
                     ("a", "time", "measure_name", "measure_value::double", "ts_x"))
            e = self.refused("RejectedRecordsException", self.put, db, [{**multi, "MeasureValues": values} for values in names])
            self.assertEqual([r["RecordIndex"] for r in e.response["RejectedRecords"]], list(range(5)))
        self.each(body)

    def test_a_server_that_is_away(self):
        write = self.write = timestream.client("timestream-write", url=f"http://127.0.0.1:{lib.free_port()}", token="t", org="o")
        write._influx._retries = 0
        for call in (lambda: write.list_databases(), lambda: write.create_database(DatabaseName="dbx"),
                     lambda: write.describe_table(DatabaseName="dbx", TableName="tab"),
                     lambda: write.write_records(DatabaseName="dbx", TableName="tab", Records=[record(0, 1)])):
            self.refused("InternalServerException", call)

    def test_only_what_is_no_statement_is_deleted_otherwise(self):
        def body(db):
            self.put(db, [record(0, 1)])
            asked, ask = [], self.write._influx.ask

            def failing(bucket, text, *more):
                if not text.startswith("DROP"):
                    return ask(bucket, text, *more)
                raise timestream._base.WriteFailed(asked[-1], 400)
            self.write._influx.ask = failing
            asked.append("engine: the disk is full")
            self.refused("ValidationException", self.write.delete_table, DatabaseName=db, TableName="generation_data")
            self.write._influx.ask = ask
            self.assertEqual(self.rows(f'SELECT COUNT(*) FROM "{db}"."generation_data"'), [["1"]])
            self.write._influx.ask = failing
            asked.append("error parsing query: found DROP")
            self.write.delete_table(DatabaseName=db, TableName="generation_data")
            self.write._influx.ask = ask
            self.assertEqual(self.write.list_tables(DatabaseName=db)["Tables"], [])
        self.each(body)

    def test_databases_and_tables(self):
        def body(db):
            call = lambda operation, **kw: self.checked(operation, **kw)  # noqa: E731
            self.refused("ConflictException", self.write.create_database, DatabaseName=db)
            made = call("CreateTable", DatabaseName=db, TableName="t_1", RetentionProperties={"MemoryStoreRetentionPeriodInHours": 24,
                                                                                             "MagneticStoreRetentionPeriodInDays": 2555})["Table"]
            self.assertEqual((made["TableStatus"], made["TableName"]), ("ACTIVE", "t_1"))
            self.refused("ConflictException", self.write.create_table, DatabaseName=db, TableName="t_1")
            self.assertEqual(call("DescribeTable", DatabaseName=db, TableName="t_1")["Table"]["TableName"], "t_1")
            self.put(db, [record(0, 1)], table="t_2")
            self.assertEqual([t["TableName"] for t in call("ListTables", DatabaseName=db)["Tables"]], ["t_1", "t_2"])
            self.assertEqual(call("ListTables", DatabaseName=db, MaxResults=1)["NextToken"], "1")
            self.assertEqual(call("DescribeDatabase", DatabaseName=db)["Database"]["TableCount"], 1)
            found, token = [], {}
            while token is not None:
                page = call("ListDatabases", **token)
                found += [d["DatabaseName"] for d in page["Databases"]]
                token = {"NextToken": page["NextToken"]} if "NextToken" in page else None
            self.assertIn(db, found)
            self.refused("ResourceNotFoundException", self.write.describe_table, DatabaseName=db, TableName="nope")
            self.refused("ResourceNotFoundException", self.write.describe_database, DatabaseName="nope" + db)
            self.refused("ValidationException", self.write.delete_database, DatabaseName=db)
            call("DeleteTable", DatabaseName=db, TableName="t_2")
            self.refused("ResourceNotFoundException", self.write.describe_table, DatabaseName=db, TableName="t_2")
            call("DeleteDatabase", DatabaseName=db)
            self.refused("ResourceNotFoundException", self.write.describe_database, DatabaseName=db)
            self.assertEqual(len(call("DescribeEndpoints")["Endpoints"]), 1)
        self.each(body)

    def checked(self, operation, **kw):
        name = "".join("_" + c.lower() if c.isupper() else c for c in operation).lstrip("_")
        answer = getattr(self.write, name)(**kw)
        conforms(self, "timestream-write", operation, answer)
        return answer

    def test_a_database_may_be_another_bucket(self):
        def body(db):
            _, url, token, org, _ = next(s for s in servers if s[1] == self.write._influx.url)
            named = timestream.client("timestream-write", url=url, token=token, org=org, databases={"ons_energy_data": db})
            named.write_records(DatabaseName="ons_energy_data", TableName="generation_data", Records=[record(0, 2.5)])
            self.assertEqual(named.describe_database(DatabaseName="ons_energy_data")["Database"]["DatabaseName"], "ons_energy_data")
            self.assertEqual(self.rows(f'SELECT measure_value::double FROM "{db}"."generation_data"'), [["2.5"]])
        self.each(body)

    def test_errors_look_like_those_of_boto3(self):
        """What moto's server makes boto3 raise has the same members."""
        import aws_lib
        moto = aws_lib.Moto()
        self.addCleanup(moto.close)
        real = moto.client("timestream-write")
        with self.assertRaises(ClientError) as theirs:
            real.describe_database(DatabaseName="nope")

        def body(db):
            ours = self.refused("ResourceNotFoundException", self.write.describe_database, DatabaseName="nope" + db)
            self.assertEqual(ours.response["Error"]["Code"], theirs.exception.response["Error"]["Code"])
            self.assertEqual(set(ours.response["Error"]), set(theirs.exception.response["Error"]))
            self.assertLessEqual({"HTTPStatusCode", "RetryAttempts", "HTTPHeaders"}, set(ours.response["ResponseMetadata"]))
            self.assertEqual(ours.operation_name, "DescribeDatabase")
        self.each(body)


# --- queries ------------------------------------------------------------------------------------------------------------------------


class Queries(Clients):
    """Random single-measure rows, and the same questions answered by Python."""

    def fill(self, db, count=1500):
        rng = random.Random(7)
        self.data = []
        records = []
        for i in range(count):
            region, source = rng.choice(["southeast", "northeast", "south"]), rng.choice(["hydro", "wind", None])
            measure = rng.choice(["value", "capacity"])
            ns = (BEGIN + rng.randrange(86400)) * 10 ** 9 + i
            value = round(rng.random() * 1000, 3)
            self.data.append({"region": region, "energy_source": source, "measure_name": measure,
                             "time": ns, "measure_value::double": value})
            dimensions = [{"Name": "region", "Value": region}] + ([{"Name": "energy_source", "Value": source}] if source else [])
            records.append({"Time": str(ns), "TimeUnit": "NANOSECONDS", "MeasureName": measure,
                           "MeasureValue": str(value), "Dimensions": dimensions})
        for i in range(0, count, 100):
            self.put(db, records[i:i + 100])
        self.data.sort(key=lambda r: r["time"])

    def test_rows(self):
        def body(db):
            self.fill(db)
            table = f'"{db}"."generation_data"'
            answer = self.ask(f"SELECT * FROM {table} LIMIT 5")
            self.assertEqual([(c["Name"], c["Type"]["ScalarType"]) for c in answer["ColumnInfo"]], [
                ("energy_source", "VARCHAR"), ("region", "VARCHAR"), ("measure_name", "VARCHAR"), ("time", "TIMESTAMP"), ("measure_value::double", "DOUBLE")])
            want = [[r["energy_source"], r["region"], r["measure_name"], print_time(
                r["time"]), print_double(r["measure_value::double"])] for r in self.data]
            pages = list(self.query_client.get_paginator("query").paginate(
                QueryString=f"SELECT * FROM {table} ORDER BY time", PaginationConfig={"PageSize": 400}))
            for page in pages:
                conforms(self, "timestream-query", "Query", page)
            self.assertEqual([len(p["Rows"]) for p in pages], [400, 400, 400, 300])
            self.assertEqual([[d.get("ScalarValue") for d in row["Data"]] for p in pages for row in p["Rows"]], want)
            whole = self.query_client.get_paginator("query").paginate(QueryString=f"SELECT * FROM {table}").build_full_result()
            self.assertEqual(len(whole["Rows"]), 1500)
        self.each(body)

    def test_conditions(self):
        hour = BEGIN * 10 ** 9 + 3600 * 10 ** 9
        conditions = [
            ("time BETWEEN '2023-11-14 22:13:20' AND '2023-11-14 23:13:20.000000000'", lambda r: r["time"] <= hour),
            ("time >= '2023-11-14 23:13:20' AND time < from_milliseconds(1700010000000)",
             lambda r: hour <= r["time"] < 1700010000 * 10 ** 9),
            ("time > timestamp '2023-11-15'", lambda r: r["time"] > parse_time("2023-11-15")),
            ("time >= ago(36500d) AND time <= now() + 1h", lambda r: True),
            ("region = 'south' AND measure_name = 'value'", lambda r: r["region"] == "south" and r["measure_name"] == "value"),
            ("region IN ('south', 'northeast') AND measure_name IN ('value')",
             lambda r: r["region"] != "southeast" and r["measure_name"] == "value"),
            ("region <> 'south'", lambda r: r["region"] != "south"),
            ("energy_source <> 'wind'", lambda r: r["energy_source"] not in (None, "wind")),
            ("energy_source IS NULL", lambda r: r["energy_source"] is None),
            ("energy_source IS NOT NULL AND NOT region = 'south'", lambda r: r["energy_source"] is not None and r["region"] != "south"),
            ("region = 'south' OR measure_value::double > 900", lambda r: r["region"] == "south" or r["measure_value::double"] > 900),
            ("(region LIKE '%east' AND measure_value::double BETWEEN 10 AND 20) OR (energy_source = 'hydro' AND time < '2023-11-15')",
             lambda r: (r["region"].endswith("east") and 10 <= r["measure_value::double"] <= 20) or (r["energy_source"] == "hydro" and r["time"] < parse_time("2023-11-15"))),
            ("measure_value::double * 2 - 1 >= 1500.5", lambda r: r["measure_value::double"] * 2 - 1 >= 1500.5),
            ("region NOT IN ('south') AND energy_source NOT LIKE 'w%'", lambda r: r["region"] != "south" and r["energy_source"] == "hydro"),
            ("time < '2000-01-01'", lambda r: False), ("region = 'it''s'", lambda r: False), ("measure_name = 'nope'", lambda r: False),
        ]

        def body(db):
            self.fill(db)
            for text, test in conditions:
                with self.subTest(where=text):
                    rows = self.rows(f'SELECT time, measure_value::double FROM "{db}"."generation_data" WHERE {text} ORDER BY time')
                    self.assertEqual(rows, [[print_time(r["time"]), print_double(r["measure_value::double"])]
                                     for r in self.data if test(r)][:1000])
                    count = sum(1 for r in self.data if test(r))
                    self.assertEqual(self.rows(f'SELECT COUNT(*) FROM "{db}"."generation_data" WHERE {text}'), [[str(count)]])
        self.each(body)

    def test_the_platforms_queries(self):
        """As its exporter, its validator and its handbook ask, word for word but for names and times."""
        begin, end = (datetime.fromtimestamp(BEGIN + s, timezone.utc) for s in (0, 70000))
        spans = [(begin.isoformat(), end.isoformat()), (begin.replace(tzinfo=None).isoformat(), end.replace(tzinfo=None, microsecond=5).isoformat())]

        def body(db):
            self.fill(db)
            table = f'"{db}"."generation_data"'
            for low, high in spans:
                inside = [r for r in self.data if BEGIN * 10 ** 9 <= r["time"] <= parse_time(high)]
                self.assertTrue(0 < len(inside) < len(self.data))
                where = f"FROM {table}\n WHERE time BETWEEN '{low}' AND '{high}'\n"
                rows, token = [], {}
                while True:
                    page = self.ask(f"\n SELECT * {where} ORDER BY time\n", MaxRows=1000, **token)
                    rows += page["Rows"]
                    if "NextToken" not in page:
                        break
                    token = {"NextToken": page["NextToken"]}
                self.assertEqual(len(rows), len(inside))
                names = [c["Name"] for c in page["ColumnInfo"]]
                self.assertLessEqual({"region", "measure_name", "time", "measure_value::double"}, set(names))
                at = names.index("time")
                self.assertEqual([r["Data"][at]["ScalarValue"] for r in rows], [print_time(r["time"]) for r in inside])
                self.assertEqual(self.rows(f" SELECT COUNT(*) as record_count {where}"), [[str(len(inside))]])
                self.assertEqual(self.rows(f" SELECT MIN(time) as min_time, MAX(time) as max_time {where}"),
                                 [[print_time(inside[0]["time"]), print_time(inside[-1]["time"])]])
                self.assertEqual(len(self.rows(f" SELECT * {where} ORDER BY time ASC\n LIMIT 7")), 7)
                self.assertEqual(len(self.rows(f" SELECT * {where} LIMIT 1")), 1)
            whole = [print_time(self.data[0]["time"]), print_time(self.data[-1]["time"]), str(len(self.data))]
            self.assertEqual(self.rows(f" SELECT \n min(time) as min_time,\n max(time) as max_time,\n count(*) as record_count\n FROM {table}\n"),
                             [whole])
            self.assertEqual(self.rows(f"SELECT COUNT(*), MAX(time) FROM {table} WHERE time > ago(1h)"), [["0", None]])
            self.assertEqual(self.rows(f"SELECT * FROM {table} WHERE time > ago(1h) ORDER BY time DESC LIMIT 10"), [])
            self.assertEqual(self.rows(f"SELECT COUNT(*) FROM {table} WHERE time BETWEEN ago(24h) AND now()"), [["0"]])
            hours = self.rows(f"SELECT bin(time, 1h) as hour, AVG(measure_value::double) FROM {table} WHERE time > ago(36500d) GROUP BY bin(time, 1h) "
                              "ORDER BY hour")
            self.assertEqual([h[0] for h in hours], sorted({print_time(r["time"] // (3600 * 10 ** 9) * 3600 * 10 ** 9) for r in self.data}))
        self.each(body)

    def test_groups(self):
        keys = {"region": lambda r: r["region"], "energy_source": lambda r: r["energy_source"], "measure_name": lambda r: r["measure_name"],
                "bin(time, 1h)": lambda r: r["time"] // (3600 * 10 ** 9) * 3600 * 10 ** 9,
                "bin(time, 15m)": lambda r: r["time"] // (900 * 10 ** 9) * 900 * 10 ** 9,
                "date_trunc('day', time)": lambda r: r["time"] // (86400 * 10 ** 9) * 86400 * 10 ** 9}
        wheres = {"time BETWEEN '2023-11-14' AND '2023-11-17'": lambda r: True,
                  "time BETWEEN '2023-11-14' AND '2023-11-17' AND measure_name = 'value'": lambda r: r["measure_name"] == "value",
                  "region = 'south'": lambda r: r["region"] == "south", "measure_value::double > 500": lambda r: r["measure_value::double"] > 500}

        def printed(v):
            return v if v is None or isinstance(v, str) else print_time(v)

        def body(db):
            self.fill(db)
            rng = random.Random(3)
            for where, test in wheres.items():
                for by in [[], ["region"], ["bin(time, 1h)"]] + [rng.sample(list(keys), rng.randint(1, 3)) for _ in range(4)]:
                    with self.subTest(where=where, by=by):
                        groups = defaultdict(list)
                        for r in self.data:
                            if test(r):
                                groups[tuple(printed(keys[k](r)) for k in by)].append(r["measure_value::double"])
                        aggregates = "COUNT(*), COUNT(measure_value::double), SUM(measure_value::double), AVG(measure_value::double), MIN(measure_value::double), MAX(measure_value::double)"
                        text = f'SELECT {", ".join(by + [aggregates])} FROM "{db}"."generation_data" WHERE {where}' + \
                                                   (f' GROUP BY {", ".join(by)}' if by else "")
                        got = {tuple(row[:len(by)]): [float(v) for v in row[len(by):]] for row in self.rows(text)}
                        self.assertEqual(set(got), set(groups))
                        for key, values in groups.items():
                            want = [len(values), len(values), sum(values), sum(values) / len(values), min(values), max(values)]
                            self.assertTrue(all(abs(a - b) <= 1e-9 * abs(b) for a, b in zip(got[key], want)), (key, got[key], want))
        self.each(body)

    def test_influxdb_folds_what_it_can(self):
        def body(db):
            self.fill(db, 200)
            asked = []
            ask = self.query_client._influx.ask
            self.query_client._influx.ask = lambda bucket, text, *a: asked.append(text) or ask(bucket, text, *a)
            table = f'"{db}"."generation_data"'
            for text, folds in ((f"SELECT COUNT(*) FROM {table}", True), (f"SELECT region, AVG(measure_value::double) FROM {table} GROUP BY region", True),
                                (f"SELECT bin(time, 1h), COUNT(*) FROM {table} WHERE time BETWEEN '2023-11-14' AND '2023-11-16' GROUP BY 1", True),
                                (f"SELECT COUNT(*) FROM {table} WHERE region LIKE 's%'", False), (f"SELECT max_by(region, time) FROM {table}", False)):
                del asked[:]
                self.ask(text)
                self.assertEqual("count(" in asked[-1], folds, asked[-1])
                self.assertEqual(asked[-1].startswith("SELECT"), True)
        self.each(body)

    def test_order_limit_and_expressions(self):
        def body(db):
            self.fill(db, 300)
            table = f'"{db}"."generation_data"'
            best = sorted(self.data, key=lambda r: -r["measure_value::double"])[:5]
            rows = self.rows(f"SELECT region AS r, measure_value::double AS v FROM {table} ORDER BY v DESC, 1 LIMIT 5")
            self.assertEqual(rows, [[r["region"], print_double(r["measure_value::double"])] for r in best])
            nulls = [r[0] for r in self.rows(f"SELECT energy_source FROM {table} ORDER BY energy_source")]
            self.assertEqual(nulls, sorted((v for v in nulls if v is not None)) + [None] * nulls.count(None))
            first = [r[0] for r in self.rows(f"SELECT energy_source FROM {table} ORDER BY energy_source DESC NULLS FIRST")]
            self.assertEqual(first, list(reversed(nulls)))
            latest = self.data[-1]
            rows = self.rows(
                f"SELECT max_by(measure_value::double, time), MAX(time), COUNT(*) / 2, round(AVG(measure_value::double), 1) > 0, upper('x') || 'y' FROM {table}")
            self.assertEqual(rows, [[print_double(latest["measure_value::double"]), print_time(latest["time"]), "150", "true", "Xy"]])
            rows = self.rows(f"SELECT region, COUNT(*) AS n FROM {table} GROUP BY region ORDER BY n DESC LIMIT 1")
            self.assertEqual(len(rows), 1)
            self.assertEqual(self.rows(f"SELECT COUNT(*) FROM {table} WHERE region = 'nowhere'"), [["0"]])
            self.assertEqual(self.rows(f"SELECT region, COUNT(*) FROM {table} WHERE region = 'nowhere' GROUP BY region"), [])
            self.assertEqual(self.rows(f"SELECT SUM(measure_value::double) FROM {table} WHERE region = 'nowhere'"), [[None]])
            self.assertEqual(self.rows("SELECT 1"), [["1"]])
            self.assertEqual(self.rows("SELECT 1.5 AS x, 'a', true, NULL, 90m, bin(timestamp '2022-06-17 10:15:20', 30d), 7 / 2"),
                             [["1.5", "a", "true", None, "0 01:30:00.000000000", "2022-05-28 00:00:00.000000000", "3"]])
        self.each(body)

    def test_listings(self):
        def body(db):
            self.fill(db, 50)
            self.assertIn([db], self.rows("SHOW DATABASES"))
            self.assertEqual(self.rows(f'SHOW TABLES FROM "{db}"'), [["generation_data"]])
            self.assertEqual(self.rows(f"SHOW TABLES FROM \"{db}\" LIKE 'cons%'"), [])
            self.assertEqual(self.rows(f'DESCRIBE "{db}"."generation_data"'), [
                ["energy_source", "varchar", "DIMENSION"], ["region", "varchar", "DIMENSION"], ["measure_name", "varchar", "MEASURE_NAME"],
                ["time", "timestamp", "TIMESTAMP"], ["measure_value::double", "double", "MEASURE_VALUE"]])
            prepared = self.query_client.prepare_query(
                QueryString=f'SELECT region, COUNT(*) AS n FROM "{db}"."generation_data" GROUP BY region')
            conforms(self, "timestream-query", "PrepareQuery", prepared)
            self.assertEqual([(c["Name"], c["Aliased"]) for c in prepared["Columns"]], [("region", False), ("n", True)])
        self.each(body)

    def test_what_is_not_understood_is_named(self):
        refused = {
            "SELECT DISTINCT region FROM {t}": "SELECT DISTINCT", "SELECT region FROM {t} GROUP BY region HAVING COUNT(*) > 1": "HAVING",
            "WITH a AS (SELECT 1) SELECT * FROM a": "WITH", "SELECT * FROM {t} JOIN {t} ON 1 = 1": "JOIN", "SELECT * FROM (SELECT 1)": "subquery",
            "SELECT * FROM {t} WHERE region IN (SELECT 1)": "subquery", "SELECT CASE WHEN true THEN 1 END": "CASE", "SELECT CAST(1 AS DOUBLE)": "CAST",
            "SELECT rank() OVER (ORDER BY time) FROM {t}": "rank()", "SELECT avg(x) OVER () FROM {t}": "OVER", "SELECT 1 UNION SELECT 2": "UNION",
            "SELECT approx_percentile(measure_value::double, 0.5) FROM {t}": "approx_percentile", "SELECT * FROM {t} a": "alias",
            "SELECT COUNT(DISTINCT region) FROM {t}": "DISTINCT", "UNLOAD (SELECT 1) TO 's3://x'": "UNLOAD", "SELECT * FROM {t} CROSS JOIN UNNEST(x)": "JOIN",
            "SELECT time + 1month FROM {t}": "months",
        }
        wrong = {
            "SELECT nope FROM {t}": "line 1:8: Column 'nope' does not exist", "SELECT * FROM {t} WHERE": "line 1:", "SELEC 1": "line 1:1: mismatched input 'SELEC'",
            "SELECT region, COUNT(*) FROM {t}": "'region' must be an aggregate expression", "SELECT region + 1 FROM {t}": "cannot be applied to varchar, integer",
            "SELECT * FROM {t} WHERE region > 1": "cannot be applied", "SELECT * FROM {t} WHERE time > 'yesterday'": "Invalid timestamp",
            "SELECT SUM(region) FROM {t}": "Unexpected parameters", "SELECT 'x": "line 1:8", "SELECT * FROM {t} LIMIT x": "mismatched", "SELECT *": "without FROM",
            "SELECT\n  nope FROM {t}": "line 2:3", "SELECT " + "(" * 300 + "1" + ")" * 300: "nested", "SELECT " + "NOT " * 300 + "true": "nested",
        }

        def body(db):
            self.fill(db, 10)
            for text, words in {**refused, **wrong}.items():
                with self.subTest(query=text[:80]):
                    e = self.refused("ValidationException", self.query_client.query, QueryString=text.format(t=f'"{db}"."generation_data"'))
                    self.assertIn(words, e.response["Error"]["Message"])
                    if text in refused:
                        self.assertIn("not supported", e.response["Error"]["Message"])
            self.refused("ValidationException", self.query_client.query, QueryString=f'SELECT * FROM "{db}"."nothing"')
            self.refused("ValidationException", self.query_client.query, QueryString='SELECT * FROM "nowhere"."nothing"')
            self.refused("QueryExecutionException", self.query_client.query, QueryString="SELECT 1 / 0")
            with self.assertRaises(ParamValidationError):
                self.query_client.query()
        self.each(body)

    def test_pages_are_remembered_for_a_while(self):
        def body(db):
            self.fill(db, 50)
            text = f'SELECT * FROM "{db}"."generation_data"'
            first = self.ask(text, MaxRows=20)
            second = self.ask(text, MaxRows=20, NextToken=first["NextToken"])
            again = self.ask(text, MaxRows=20, NextToken=first["NextToken"])
            self.assertEqual(second["Rows"], again["Rows"])
            self.assertEqual(first["QueryId"], second["QueryId"])
            third = self.ask(text, NextToken=second["NextToken"])
            self.assertEqual((len(third["Rows"]), "NextToken" in third), (10, False))
            for token in ("x", "1.NOPE", second["NextToken"]):
                self.refused("ValidationException", self.query_client.query, QueryString=text, NextToken=token)
            self.refused("ValidationException", self.query_client.query, QueryString="SELECT 1", NextToken=first["NextToken"])
            cancelled = self.query_client.cancel_query(QueryId=self.ask(text, MaxRows=1)["QueryId"])
            conforms(self, "timestream-query", "CancelQuery", cancelled)
        self.each(body)

    def test_a_failure_in_the_middle_is_no_end(self):
        """What was read up to it is lost, and the token with it."""
        from urllib3.exceptions import ProtocolError

        def body(db):
            self.fill(db, 50)
            text, ask = f'SELECT * FROM "{db}"."generation_data"', self.query_client._influx.ask

            def torn(bucket, query, *more):
                for series in ask(bucket, query, *more):
                    yield {**series, "values": series["values"][:30]}
                    if query.startswith("SELECT f") or " AS f0" in query:
                        raise ProtocolError("cut off")
            self.query_client._influx.ask = torn
            first = self.ask(text, MaxRows=20)
            self.refused("InternalServerException", self.query_client.query, QueryString=text, MaxRows=20, NextToken=first["NextToken"])
            self.refused("ValidationException", self.query_client.query, QueryString=text, MaxRows=20, NextToken=first["NextToken"])
            self.query_client._influx.ask = ask
        self.each(body)

    def test_arithmetic_nulls_and_aliases(self):
        def body(db):
            self.fill(db, 20)
            table = f'"{db}"."generation_data"'
            for text in ("SELECT 1.5 % 0.0", "SELECT round(1e300 * 1e300, 2)", "SELECT round(1.5, 400)", "SELECT from_milliseconds(9000000000000000)",
                         f"SELECT region FROM {table} WHERE measure_value::double % 0.0 > 1",
                         f"SELECT 1 / (COUNT(*) - 20) FROM {table}"):
                with self.subTest(query=text):
                    self.refused("QueryExecutionException", self.query_client.query, QueryString=text)
            self.assertEqual(self.rows(f"SELECT * FROM {table} WHERE time IS NULL"), [])
            self.assertEqual(self.rows(f"SELECT COUNT(*) FROM {table} WHERE time IS NOT NULL"), [["20"]])
            values = [float(r[0]) for r in self.rows(f'SELECT 0 - measure_value::double AS time FROM {table} ORDER BY time')]
            self.assertEqual(values, sorted(-r["measure_value::double"] for r in self.data))
            hours = self.rows(f"SELECT bin(time, 1h) AS time, COUNT(*) FROM {table} GROUP BY bin(time, 1h) ORDER BY time DESC")
            self.assertEqual([h[0] for h in hours], sorted({print_time(r["time"] // (3600 * 10 ** 9) * 3600 * 10 ** 9) for r in self.data}, reverse=True))
        self.each(body)

    def test_what_others_wrote_can_be_asked(self):
        """Points with several fields, and a tag that is a field too, as the platform's generation data has them."""
        def body(db):
            lines = 'generation_data,region=south,capacity_mw=500.0 power_mw=1.5,unit="MW",capacity_mw=500 1700000000000000000\n'
            self.write._influx.write(db, lines.encode())
            rows = self.rows(
                f'SELECT measure_name, measure_value::double, measure_value::varchar, capacity_mw FROM "{db}"."generation_data" ORDER BY measure_name')
            self.assertEqual(rows, [["capacity_mw", "500.0", None, "500.0"], [
                             "power_mw", "1.5", None, "500.0"], ["unit", None, "MW", "500.0"]])
            self.assertEqual(
                self.rows(f"SELECT AVG(measure_value::double) FROM \"{db}\".\"generation_data\" WHERE measure_name = 'power_mw'"), [["1.5"]])
            self.assertEqual(self.rows(f'SELECT COUNT(*), SUM(measure_value::double) FROM "{db}"."generation_data"'), [["3", "501.5"]])
        self.each(body)


class Texts(unittest.TestCase):
    def test_doubles_as_java_prints_them(self):
        for value, text in ((1.0, "1.0"), (40.232656725296536, "40.232656725296536"), (1.6554878837710001e9, "1.6554878837710001E9"), (1e7, "1.0E7"),
                            (9999999.0, "9999999.0"), (1e-3, "0.001"), (9.99e-4, "9.99E-4"), (-0.0, "-0.0"), (5e-324, "4.9E-324"), (1e21, "1.0E21"),
                            (float("nan"), "NaN"), (float("-inf"), "-Infinity"), (123456.789, "123456.789")):
            if value == 5e-324:
                text = "5.0E-324"  # the shortest digits that read back; older Java prints one that is as good
            self.assertEqual(print_double(value), text)

    def test_times_and_intervals(self):
        for text in ("1970-01-01 00:00:00.000000000", "2262-04-11 23:47:16.854775807", "1677-09-21 00:12:44.000000000", "2024-02-29 12:00:00.000000001"):
            self.assertEqual(print_time(parse_time(text)), text)
        self.assertEqual(parse_time("2024-01-01T00:00:00Z"), parse_time("2024-01-01"))
        self.assertEqual(parse_time("2024-01-01 00:00-03:00"), parse_time("2024-01-01 03:00"))
        self.assertEqual(print_interval(1 * 86400 * 10 ** 9 + 21 * 3600 * 10 ** 9), "1 21:00:00.000000000")
        self.assertEqual(print_interval(42_800_000), "0 00:00:00.042800000")
        for bad in ("", "2024", "2024-13-01", "2024-01-01 25:00", "now"):
            self.assertRaises(ValueError, parse_time, bad)

    def test_methods_are_those_of_boto3(self):
        """Every operation of AWS's models is a method, every error an exception, and what is not offered says so."""
        from botocore import xform_name
        from botocore.exceptions import OperationNotPageableError
        import boto3
        for service in ("timestream-write", "timestream-query"):
            theirs = boto3.client(service, "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
            ours = timestream.client(service, "eu-west-1", config=None, url="http://127.0.0.1:1", token="t", org="o")
            self.assertEqual(ours.meta.region_name, "eu-west-1")
            self.assertEqual(ours.meta.service_model.service_name, theirs.meta.service_model.service_name)
            self.assertEqual(ours.waiter_names, theirs.waiter_names)
            for code in theirs.exceptions._code_to_exception:
                self.assertTrue(issubclass(getattr(ours.exceptions, code), ClientError))
            offered = 0
            for operation in theirs.meta.service_model.operation_names:
                method = xform_name(operation)
                self.assertTrue(callable(getattr(ours, method)), method)
                offered += method in dir(type(ours))
                self.assertLessEqual(ours.can_paginate(method), theirs.can_paginate(method))
                if not ours.can_paginate(method):
                    with self.assertRaises(OperationNotPageableError):
                        ours.get_paginator(method)
                if method not in dir(type(ours)):
                    with self.assertRaisesRegex(ClientError, f"ValidationException.*{operation} is not offered"):
                        getattr(ours, method)()
            self.assertEqual(offered, {"timestream-write": 11, "timestream-query": 4}[service])
            with self.assertRaises(AttributeError):
                ours.no_such_operation

    def test_only_two_services(self):
        self.assertRaises(ValueError, timestream.client, "s3")
        client = timestream.client("timestream-query", url="http://127.0.0.1:1", token="t",
                                   org="o", region_name="sa-east-1", config=object(), verify=False)
        self.assertEqual(client.meta.region_name, "sa-east-1")
        self.assertTrue(client.can_paginate("query"))
        self.assertIsInstance(datetime.now(timezone.utc), datetime)


if __name__ == "__main__":
    unittest.main()

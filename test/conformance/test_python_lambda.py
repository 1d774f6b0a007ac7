"""afluxo.aws_lambda.handler: objects in moto's S3 become points in `afluxo serve` (and in InfluxDB 2 where AFLUXO_TEST_INFLUXDB2 is set), through
influxdb-client; every envelope of an event, partial batches, retries through a proxy that fails, SQS for what cannot be written, secrets, metrics."""
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import python_lib  # noqa: E402
import lib  # noqa: E402
import aws_lib  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet  # noqa: E402
from test_python_convert import processed  # noqa: E402

import afluxo  # noqa: E402
from afluxo import aws_lambda  # noqa: E402

KEY = "dataset=generation/year=2025/month=09/processing_metadata_processed_at=2025-09-28 16:47:55.123456/0123abcd.snappy.parquet"


def setUpModule():
    global moto, servers
    moto = aws_lib.Moto()
    servers = python_lib.servers(lib)


def tearDownModule():
    moto.close()
    for server in servers:
        if server[4] is not None:
            server[4].close()


class Context:
    aws_request_id = "request-1"

    def __init__(self, left_ms=300_000):
        self.left_ms = left_ms

    def get_remaining_time_in_millis(self):
        return self.left_ms


class Proxy:
    """test/e2e/fault_proxy.py in front of a server."""

    def __init__(self, target, *args):
        self.process = subprocess.Popen([sys.executable, os.path.join(python_lib.ROOT, "test", "e2e", "fault_proxy.py"), "--listen", "0", "--target", str(target),
                                         *args], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.port = int(self.process.stdout.readline().split()[1])

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Handler(lib.Case):

    def setUp(self):
        super().setUp()
        _, self.url, self.token, self.org, _ = servers[0]
        self.target = f"b{random.getrandbits(48)}"
        afluxo.Store(self.url, self.target, org=self.org, token=self.token, create=True).close()
        self.s3, self.sqs = moto.client("s3"), moto.client("sqs")
        self.bucket = "processed-" + str(random.getrandbits(48))
        self.s3.create_bucket(Bucket=self.bucket)
        self.queue = self.sqs.create_queue(QueueName="failed-" + self.bucket)["QueueUrl"]
        before = dict(os.environ)
        self.addCleanup(self.restore, before)
        os.environ.update(aws_lib.KEYS, AWS_ENDPOINT_URL=moto.url, INFLUXDB_URL=self.url, INFLUXDB_TOKEN=self.token, INFLUXDB_ORG=self.org,
                          INFLUXDB_BUCKET=self.target, FAILED_WRITES_QUEUE_URL=self.queue, RETRY_BACKOFF_SECONDS="0.01")
        self.forget()

    @staticmethod
    def forget():
        """What a new sandbox does not know."""
        if aws_lambda._influx is not None:
            aws_lambda._influx.close()
        aws_lambda._influx = aws_lambda._influx_key = None
        aws_lambda._secret = ("", "", 0.0)
        aws_lambda._yaml = ("", "")
        aws_lambda._clients.clear()

    def restore(self, before):
        self.forget()
        os.environ.clear()
        os.environ.update(before)

    def put(self, table, key=KEY, **how):
        sink = pa.BufferOutputStream()
        pa.parquet.write_table(table, sink, use_deprecated_int96_timestamps=True, **how)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=sink.getvalue().to_pybytes())

    def call(self, event, context=None):
        """The answer; what was printed is in self.lines, parsed."""
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                return aws_lambda.handler(json.loads(json.dumps(event)), context or Context())
        finally:
            self.lines = [json.loads(line) for line in out.getvalue().splitlines()]

    def metrics(self):
        """name: value of the EMF lines."""
        found = {}
        for line in self.lines:
            for block in line.get("_aws", {}).get("CloudWatchMetrics", ()):
                self.assertEqual(block["Namespace"], "ONS/InfluxDB")
                self.assertTrue(all(isinstance(line[d], str) for d in block["Dimensions"][0]))
                found.update({m["Name"]: line[m["Name"]] for m in block["Metrics"]})
        return found

    def points(self, measurement="generation_data", field="*"):
        with afluxo.Store(self.url, self.target, org=self.org, token=self.token) as store:
            series = store.query(f'SELECT {field} FROM "{measurement}"')["results"][0].get("series", [{"values": [], "columns": []}])[0]
        return [dict(zip(series["columns"], row)) for row in series["values"]]

    def messages(self):
        found = []
        while True:
            got = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
            if not got:
                return found
            for m in got:
                self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=m["ReceiptHandle"])
                self.assertIn("Reason", m["MessageAttributes"])
            found += got

    def want(self, table):
        return bytes(afluxo.to_line_protocol(table, dataset="generation")).count(b"\n")


class Events(Handler):
    def s3_event(self, key=KEY):
        return aws_lib.s3_event(self.bucket, key)

    def test_an_s3_event_with_an_encoded_key(self):
        table = processed(3000)
        self.put(table)
        answer = self.call(self.s3_event())
        self.assertEqual((answer["statusCode"], answer["message"]), (200, "Data successfully loaded to InfluxDB"))
        data = answer["data"]
        self.assertEqual((data["points_written"], data["source_records"], data["dataset_type"]), (self.want(table), 3000, "generation"))
        self.assertEqual(data["health_check"]["status"], "healthy")
        self.assertGreater(data["processing_time_seconds"], 0)
        self.assertEqual(len(self.points()), self.want(table))
        rows = {(p["time"], p["region"]): p for p in self.points()}
        for row in table.to_pylist():
            if row["value"] is not None:
                key = (row["timestamp"].isoformat() + "Z", row["region"])
                field = {"MW": "power_mw", "MWh": "energy_mwh"}.get(row["unit"], "value")
                self.assertEqual((rows[key][field], rows[key]["unit"]), (row["value"], row["unit"]))
        metrics = self.metrics()
        self.assertEqual((metrics["PointsWritten"], metrics["SourceRecords"], metrics["FailedBatches"]), (self.want(table), 3000, 0))
        self.assertEqual([line["level"] for line in self.lines if "level" in line], ["INFO"])

    def test_every_envelope(self):
        s3 = self.s3_event()
        sns = {"Type": "Notification", "MessageId": "x", "TopicArn": "arn:aws:sns:us-east-1:1:t", "Message": json.dumps(s3)}
        bridge = {"version": "0", "source": "aws.s3", "detail-type": "Object Created",
            "detail": {"bucket": {"name": self.bucket}, "object": {"key": KEY}}}
        direct = {"bucket": self.bucket, "key": KEY}
        plain = {"s3": s3, "sns": {"Records": [{"EventSource": "aws:sns", "Sns": sns}]}, "eventbridge": bridge, "direct": direct,
                 "body": {"body": json.dumps(direct)}, "objects": {"objects": [direct, direct]}}
        queued = {"s3 in sqs": s3, "sns in sqs": sns, "eventbridge in sqs": bridge, "direct in sqs": direct, "raw sns in sqs": s3}
        self.put(processed(50))
        for name, event in plain.items():
            with self.subTest(event=name):
                answer = self.call(event)
                self.assertEqual(answer["statusCode"], 200)
                self.assertEqual(answer["data"]["source_records"], 50)
        for name, body in queued.items():
            with self.subTest(event=name):
                self.assertEqual(self.call(aws_lib.sqs_event(body)), {"batchItemFailures": []})
                self.assertEqual(self.metrics()["SourceRecords"], 50)
        self.assertEqual(len(self.points()), self.want(processed(50)))

    def test_a_real_message_of_sns_and_sqs(self):
        """Through moto's SNS into its SQS, as AWS's services word it."""
        sns = moto.client("sns")
        topic = sns.create_topic(Name="objects-" + self.bucket)["TopicArn"]
        queue = self.sqs.create_queue(QueueName="in-" + self.bucket)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        self.put(processed(20))
        sns.publish(TopicArn=topic, Message=json.dumps(self.s3_event()))
        body = self.sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"]
        self.assertEqual(self.call(aws_lib.sqs_event(body)), {"batchItemFailures": []})
        self.assertEqual(len(self.points()), self.want(processed(20)))

    def test_nothing_to_do(self):
        removed = aws_lib.s3_event(self.bucket, "gone")
        removed["Records"][0]["eventName"] = "ObjectRemoved:Delete"
        for event in ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": self.bucket}, removed, {"Records": []}, {"objects": []}):
            answer = self.call(event)
            self.assertEqual((answer["statusCode"], answer["message"]), (200, "No data to process"), event)
        self.put(processed(0))
        self.assertEqual(self.call({"bucket": self.bucket, "key": KEY})["message"], "No data to process")

    def test_events_of_no_known_shape(self):
        deep = json.loads("[" * 500 + "]" * 500)
        for event in ({}, [], "x", 5, None, {"bucket": "b"}, {"Records": [{}]}, {"Records": [{"s3": {"bucket": {}}}]}, {"body": "{"}, {"detail": {}}, deep, {"x": deep}):
            answer = self.call(event)
            self.assertEqual((answer["statusCode"], answer["message"]), (400, "Invalid event format"), event)
        self.assertEqual(self.metrics()["ProcessingErrors"], 1)

    def test_one_bad_message_of_a_batch(self):
        self.put(processed(50))
        self.s3.put_object(Bucket=self.bucket, Key="dataset=generation/broken.parquet", Body=b"PAR1 this is none")
        good, broken, gone = (aws_lib.s3_event(self.bucket, key)
                              for key in (KEY, "dataset=generation/broken.parquet", "dataset=generation/gone.parquet"))
        answer = self.call(aws_lib.sqs_event(good, "{", broken, gone, json.dumps([[[]]]), good, "x" * 6_000_000, "[" * 100_000))
        self.assertEqual([f["itemIdentifier"] for f in answer["batchItemFailures"]], ["m1", "m2", "m3", "m4", "m6", "m7"])
        self.assertEqual(len(self.points()), self.want(processed(50)))

    def test_keys_of_every_kind(self):
        """The object of just that name: letters of patterns, spaces, percent signs, accents, and names that others begin with."""
        name = "dataset=generation/ações & co/a+b %2B [1]*?\\ '\"<>#~|\t\x7f.parquet"
        every = "dataset=generation/" + "".join(chr(c) for c in range(1, 256) if c not in (0x0a, 0x2e, 0x2f)) + "x"
        for i, key in enumerate((name, every, "dataset=generation/y[12].parquet", "dataset=generation/x")):
            with self.subTest(key=key):
                self.put(processed(20, seed=i), key)
                self.put(processed(1000), key.replace("[12]", "1").replace("*", "?") + "/below.parquet")
                self.put(processed(1000), key.replace("[12]", "1").replace("*", "b"))
                self.put(processed(20, seed=i), key)
                self.assertEqual(self.call(aws_lib.s3_event(self.bucket, key))["data"]["source_records"], 20)
                self.s3.delete_object(Bucket=self.bucket, Key=key)
                self.assertEqual(self.call({"bucket": self.bucket, "key": key})["statusCode"], 404)

    def test_keys_that_are_none(self):
        raw = {"Records": [{"s3": {"bucket": {"name": self.bucket}, "object": {"key": "dataset=generation/%ff%fe.parquet"}}}]}
        for event in (raw, {"bucket": "a/b", "key": "x"}, {"bucket": self.bucket, "key": ""}, {"bucket": self.bucket, "key": 5},
                      {"bucket": self.bucket, "key": "a\0b"}, {"bucket": self.bucket, "key": "x" * 1025}, {"bucket": ["b"], "key": "k"}):
            answer = self.call(event)
            self.assertEqual((answer["statusCode"], answer["message"]), (400, "Invalid event format"), event)
        for key in ("dataset=generation/", "a/b/"):  # what stands for a folder
            self.put(processed(5), key + "x.parquet")
            self.assertEqual(self.call(aws_lib.s3_event(self.bucket, key))["message"], "No data to process")

    def test_several_objects_of_an_event(self):
        """One is broken: the others are loaded, and it is told where somebody looks."""
        self.put(processed(50))
        self.s3.put_object(Bucket=self.bucket, Key="dataset=generation/broken.parquet", Body=b"PAR1 this is none")
        keys = ("dataset=generation/broken.parquet", KEY, "dataset=generation/gone.parquet")
        event = aws_lib.s3_event(self.bucket, *keys)
        answer = self.call(event)  # S3 reads no answer: what failed for good is in the queue
        self.assertEqual((answer["statusCode"], answer["data"]["failed_objects"]), (404, 2))
        self.assertEqual(len(self.points()), self.want(processed(50)))
        bodies = [json.loads(m["Body"]) for m in self.messages()]
        self.assertEqual([b["key"] for b in bodies], [keys[0], keys[2]])
        self.s3.put_object(Bucket=self.bucket, Key=keys[0], Body=self.s3.get_object(Bucket=self.bucket, Key=KEY)["Body"].read())
        self.assertEqual(self.call(aws_lib.sqs_event(*bodies))["batchItemFailures"], [{"itemIdentifier": "m1"}])
        answer = self.call({"objects": [{"bucket": self.bucket, "key": k} for k in keys]})  # a caller does
        self.assertEqual((answer["statusCode"], answer["data"]["failed_objects"], self.messages()), (404, 1, []))
        del os.environ["FAILED_WRITES_QUEUE_URL"]
        with self.assertRaises(aws_lambda.LoadFailed):
            self.call(event)

    def test_one_bad_entry_of_an_event(self):
        """The others are loaded, and it is told."""
        self.put(processed(50))
        event = aws_lib.s3_event(self.bucket, KEY)
        bad = {"eventSource": "aws:s3", "s3": {"bucket": {}}}
        sns = {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps({"Records": [bad, *event["Records"]]})}}]}
        direct = {"objects": [{"bucket": "a/b", "key": "x"}, {"bucket": self.bucket, "key": KEY}]}
        for name, batch in {"s3": {"Records": [bad, *event["Records"]]}, "sns": sns, "direct": direct}.items():
            with self.subTest(event=name):
                answer = self.call(batch)
                self.assertEqual((answer["statusCode"], answer["message"]), (400, "Invalid event format"))
                self.assertEqual(answer["data"]["points_written"], self.want(processed(50)))
                want = [{"Records": [bad]}] if name != "direct" else []
                self.assertEqual([json.loads(m["Body"]) for m in self.messages()], want)
                self.assertEqual(len(self.call(aws_lib.sqs_event(batch))["batchItemFailures"]), 1)
        del os.environ["FAILED_WRITES_QUEUE_URL"]
        self.assertEqual(self.call(direct)["statusCode"], 400)
        for batch in (sns, {"Records": [bad]}, {"source": "aws.s3", "detail": {}}):
            with self.assertRaises(aws_lambda.LoadFailed):
                self.call(batch)

    def test_answers_of_the_earlier_loader(self):
        self.put(pa.table({"a": [1]}), "strange/x.parquet")
        answer = self.call({"bucket": self.bucket, "key": "strange/x.parquet"})
        self.assertEqual((answer["statusCode"], answer["message"]), (400, "Unable to determine dataset type from key: strange/x.parquet"))
        self.assertEqual(self.call({"bucket": self.bucket, "key": "dataset=generation/gone.parquet"})["statusCode"], 404)
        table = processed(10)
        self.put(table.set_column(table.column_names.index("value"), "value", pa.nulls(10, pa.float64())))
        self.assertEqual(self.call({"bucket": self.bucket, "key": KEY})["message"], "No valid data to process")


class Failures(Handler):
    def proxied(self, *args):
        proxy = Proxy(urllib.parse.urlsplit(self.url).port, *args)
        self.addCleanup(proxy.close)
        os.environ["INFLUXDB_URL"] = f"http://127.0.0.1:{proxy.port}"
        self.forget()
        return proxy

    def event(self):
        return {"bucket": self.bucket, "key": KEY}

    def test_retries_until_all_is_written(self):
        table = processed(5000)
        self.put(table)
        os.environ.update(MAX_BATCH_SIZE="200", MAX_RETRIES="8")
        self.proxied("--seed", "5", "--faults", "reset,429,503,500,close,truncate,slow",
                     "--rate", "0.4", "--slow", "0.01", "--only", "/api/v2/write")
        answer = self.call(self.event())
        self.assertEqual((answer["statusCode"], answer["data"]["failed_batches"]), (200, 0), answer)
        self.assertEqual(len(self.points()), self.want(table))
        self.assertGreater(aws_lambda._influx.retried, 3)
        self.assertEqual(self.messages(), [])

    def test_what_cannot_be_written_goes_to_the_queue_and_comes_back(self):
        table = processed(5000)
        self.put(table)
        os.environ.update(MAX_BATCH_SIZE="1000", MAX_RETRIES="1")
        with open(self.path("plan"), "w") as f:
            f.write("3-4 503@before\n* slow 0\n")
        self.proxied("--plan", self.path("plan"), "--only", "/api/v2/write")
        answer = self.call(self.event())
        data = answer["data"]
        self.assertEqual(answer["statusCode"], 200)  # the others were written
        self.assertEqual((data["failed_batches"], data["lines_queued"], data["points_written"]), (1, 1000, self.want(table) - 1000))
        self.assertEqual(self.metrics()["FailedBatches"], 1)
        self.assertEqual(len(self.points()), self.want(table) - 1000)
        messages = self.messages()
        letters = [json.loads(line) for m in messages for line in m["Body"].splitlines()]
        self.assertEqual(len(letters), 1000)
        self.assertTrue(all(letter["line"].startswith("generation_data,") and letter["file"]
                        == f"s3://{self.bucket}/{KEY}" for letter in letters))
        self.assertEqual(self.call(aws_lib.sqs_event(*[m["Body"] for m in messages])), {"batchItemFailures": []})
        self.assertEqual(len(self.points()), self.want(table))

    def test_a_server_that_is_away(self):
        self.put(processed(100))
        os.environ.update(INFLUXDB_URL=f"http://127.0.0.1:{lib.free_port()}", MAX_RETRIES="0")
        self.forget()
        answer = self.call(self.event())
        self.assertEqual(answer["statusCode"], 503)
        self.assertIn("InfluxDB connection failed", answer["message"])
        self.assertEqual(len(self.call(aws_lib.sqs_event(self.event()))["batchItemFailures"]), 1)
        with self.assertRaises(aws_lambda.LoadFailed) as caught:  # nobody reads what S3 is answered
            self.call(aws_lib.s3_event(self.bucket, KEY))
        self.assertEqual(caught.exception.response["statusCode"], 503)

    def test_no_queue_no_silence(self):
        self.put(processed(2000))
        del os.environ["FAILED_WRITES_QUEUE_URL"]
        os.environ.update(MAX_BATCH_SIZE="500", MAX_RETRIES="0")
        with open(self.path("plan"), "w") as f:
            f.write("2 503@before\n* slow 0\n")
        self.proxied("--plan", self.path("plan"), "--only", "/api/v2/write")
        self.assertEqual(self.call(self.event())["statusCode"], 503)

    def test_lines_that_are_refused(self):
        with afluxo.Store(self.url, self.target, org=self.org, token=self.token) as store:
            store.write_lines('generation_data power_mw="text" 1704067200000000000')  # a type that those of this hour clash with
        table = processed(500)
        self.put(table)
        os.environ["MAX_BATCH_SIZE"] = "100"
        clash = bytes(afluxo.to_line_protocol(table, dataset="generation")).count(b" power_mw=")
        answer = self.call(self.event())
        self.assertEqual(answer["data"]["records_rejected"], clash)
        self.assertEqual(answer["data"]["points_written"], self.want(table) - clash)
        letters = [json.loads(line) for m in self.messages() for line in m["Body"].splitlines()]
        self.assertEqual(len(letters), clash)
        self.assertTrue(all("power_mw=" in letter["line"] and "type conflict" in letter["reason"] for letter in letters))
        self.assertEqual(len(self.points()), self.want(table) - clash + 1)

    def test_lines_that_are_refused_without_a_queue(self):
        with afluxo.Store(self.url, self.target, org=self.org, token=self.token) as store:
            store.write_lines('generation_data power_mw="text" 1704067200000000000')
        table = processed(300)
        self.put(table)
        other = KEY.replace("0123abcd", "other")
        self.put(processed(20), other)
        os.environ["MAX_BATCH_SIZE"] = "100"
        del os.environ["FAILED_WRITES_QUEUE_URL"]
        clash = bytes(afluxo.to_line_protocol(table, dataset="generation")).count(b" power_mw=")
        answer = self.call(self.event())
        self.assertEqual((answer["statusCode"], answer["data"]["records_rejected"], answer["data"]["points_written"]),
                         (500, clash, self.want(table) - clash))
        self.assertIn("type conflict", answer["message"])
        self.assertEqual(len(self.call(aws_lib.sqs_event(self.event()))["batchItemFailures"]), 1)
        with self.assertRaises(aws_lambda.LoadFailed) as caught:
            self.call(aws_lib.s3_event(self.bucket, KEY, other))
        self.assertEqual(caught.exception.response["data"]["source_records"], 320)  # the second was tried, too

    def test_a_batch_that_is_refused_whole(self):
        with afluxo.Store(self.url, self.target, org=self.org, token=self.token) as store:
            store.write_lines('generation_data power_mw="text" 1704067200000000000')
        table = processed(200)
        table = table.set_column(table.column_names.index("value"), "value", pa.array([1.0] * 200))
        table = table.set_column(table.column_names.index("unit"), "unit", pa.array(["MW"] * 200))
        self.put(table)
        answer = self.call(self.event())
        data = answer["data"]
        self.assertEqual((answer["statusCode"], data["points_written"], data["failed_batches"], data["lines_queued"], data["records_rejected"]),
                         (200, 0, 1, 200, 200))
        self.assertEqual(len([line for m in self.messages() for line in m["Body"].splitlines()]), 200)

    def test_all_lines_in_the_queue_are_no_failure(self):
        self.put(processed(500))
        os.environ["MAX_RETRIES"] = "0"
        with open(self.path("plan"), "w") as f:
            f.write("* 503@before\n")
        self.proxied("--plan", self.path("plan"), "--only", "/api/v2/write")
        for _ in range(2):
            self.assertEqual(self.call(aws_lib.sqs_event(self.event())), {"batchItemFailures": []})
            self.assertEqual(len([line for m in self.messages() for line in m["Body"].splitlines()]), self.want(processed(500)))
        answer = self.call(self.event())
        self.assertEqual((answer["statusCode"], answer["data"]["points_written"]), (200, 0))
        self.assertIn("in the queue", answer["message"])

    def test_more_rows_that_are_no_points_than_are_kept(self):
        table = processed(1).take(pa.array([0] * 120_000)).set_column(0, "timestamp", pa.nulls(120_000, pa.timestamp("us")))
        self.put(table.set_column(table.column_names.index("value"), "value", pa.array([1.0] * 120_000)))
        del os.environ["FAILED_WRITES_QUEUE_URL"]
        answer = self.call(self.event())
        self.assertEqual((answer["statusCode"], answer["data"]["records_rejected"]), (400, 120_000))
        self.assertIn("20000 rows are no points", answer["message"])

    def test_a_request_ends_with_the_invocation(self):
        self.put(processed(100))
        del os.environ["FAILED_WRITES_QUEUE_URL"]
        with open(self.path("plan"), "w") as f:
            f.write("* blackhole@before\n")
        for only in (("--only", "/api/v2/write"), ()):
            self.proxied("--plan", self.path("plan"), *only)
            begin = time.monotonic()
            self.assertEqual(self.call(self.event(), Context(5000))["statusCode"], 503)
            self.assertLess(time.monotonic() - begin, 8)
        letter = json.dumps({"file": "x", "reason": "y", "line": "m v=1 1"}, separators=(",", ":")) + "\n"
        self.assertEqual(len(self.call(aws_lib.sqs_event(letter), Context(1000))["batchItemFailures"]), 1)

    def test_no_halving_past_the_deadline(self):
        load, asked = aws_lambda._Load(Context()), []

        def refuse(lines):
            asked.append(lines)
            load.deadline = 0
            raise aws_lambda.WriteFailed("no", 400)
        load._send = refuse
        with self.assertRaises(aws_lambda._TimeUp):
            load.write(b"m v=1 1\n" * 8, 8, "x", aws_lambda._Result())
        self.assertEqual(len(asked), 1)

    def test_rows_that_are_no_points(self):
        table = processed(100).set_column(0, "timestamp", pa.array(
            [None if i % 10 == 0 else i * 10 ** 6 for i in range(100)], pa.timestamp("us")))
        table = table.set_column(table.column_names.index("value"), "value", pa.array([float(i) for i in range(100)]))
        self.put(table)
        answer = self.call(self.event())
        self.assertEqual((answer["statusCode"], answer["data"]["points_written"], answer["data"]["records_rejected"]), (200, 90, 10))
        letters = [json.loads(line) for m in self.messages() for line in m["Body"].splitlines()]
        self.assertEqual([letter["row"] for letter in letters], list(range(0, 100, 10)))
        self.assertEqual(letters[1]["row_data"]["value"], 10)
        path = self.write("dead-letters-x.jsonl", "\n".join(json.dumps(letter) for letter in letters) + "\n")
        done = lib.run("migrate", "--retry-dead-letters", path, "--to", self.path("data"),
                       "--bucket", "b", "--create", "--dataset", "generation", binary=lib.RELEASE)
        self.assertNotIn("line 1", done.err, repr(done))  # it reads them; they are still no points
        os.environ["DROP_INVALID_RECORDS"] = "false"
        self.assertEqual(self.call(self.event())["statusCode"], 400)

    def test_time_that_is_nearly_up(self):
        self.put(processed(100))
        answer = self.call(aws_lib.sqs_event(self.event()), Context(1000))
        self.assertEqual(len(answer["batchItemFailures"]), 1)
        self.assertEqual(self.points(), [])


class Configuration(Handler):
    def event(self):
        return {"bucket": self.bucket, "key": KEY}

    def test_a_secret_is_kept_and_a_rotated_one_noticed(self):
        secrets = moto.client("secretsmanager")
        name = "token-" + self.bucket
        secrets.create_secret(Name=name, SecretString=json.dumps({"token": self.token, "x": 1}))
        os.environ["INFLUXDB_TOKEN_SECRET_NAME"] = name
        del os.environ["INFLUXDB_TOKEN"]
        self.put(processed(50))
        self.assertEqual(self.call(self.event())["statusCode"], 200)
        secrets.put_secret_value(SecretId=name, SecretString="old")
        self.assertEqual(self.call(self.event())["statusCode"], 200)  # the one that is kept
        aws_lambda._secret = (name, "an old token", aws_lambda._secret[2])
        secrets.put_secret_value(SecretId=name, SecretString=self.token)
        answer = self.call(self.event())
        self.assertEqual((answer["statusCode"], answer["data"]["points_written"]), (200, self.want(processed(50))), answer)
        self.assertNotIn(self.token, json.dumps(self.lines))

    def test_what_is_missing_is_said(self):
        for missing in ("INFLUXDB_URL", "INFLUXDB_TOKEN"):
            kept = os.environ.pop(missing)
            self.forget()
            self.put(processed(1))
            answer = self.call(self.event())
            self.assertEqual(answer["statusCode"], 500)
            self.assertIn(missing, answer["message"])
            os.environ[missing] = kept

    def test_mappings(self):
        self.put(pa.table({"t": [1, 2], "v": [1.5, 2.5]}), "other/x.parquet")
        yaml = "measurement: other\ntime: { column: t, unit: s }\nfields: { v: v }\n"
        self.s3.put_object(Bucket=self.bucket, Key="conf/m.yaml", Body=yaml.encode())
        for mapping in (f"s3://{self.bucket}/conf/m.yaml", self.write("m.yaml", yaml)):
            os.environ["MAPPING"] = mapping
            self.assertEqual(self.call({"bucket": self.bucket, "key": "other/x.parquet"})["data"]["points_written"], 2)
        self.assertEqual([p["v"] for p in self.points("other")], [1.5, 2.5])
        os.environ["MAPPING"] = "generation"
        self.put(processed(10), "no/hint.parquet")
        self.assertEqual(self.call({"bucket": self.bucket, "key": "no/hint.parquet"})["data"]["dataset_type"], "generation")

    def test_a_real_influxdb_2_too(self):
        for name, url, token, org, _ in servers[1:]:
            self.url, self.token, self.org = url, token, org
            afluxo.Store(url, self.target, org=org, token=token, create=True).close()
            os.environ.update(INFLUXDB_URL=url, INFLUXDB_TOKEN=token, INFLUXDB_ORG=org)
            self.forget()
            table = processed(3000)
            self.put(table)
            self.assertEqual(self.call(self.event())["data"]["points_written"], self.want(table), name)
            self.assertEqual(len(self.points()), self.want(table))

    def test_metrics_may_be_off(self):
        os.environ["ENABLE_METRICS"] = "false"
        self.put(processed(5))
        self.call(self.event())
        self.assertEqual(self.metrics(), {})


if __name__ == "__main__":
    unittest.main()

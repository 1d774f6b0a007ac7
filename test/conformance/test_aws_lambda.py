"""The Lambda loader as it runs in AWS: a runtime API that hands out events, objects and queues in moto, a real influxd as the target."""
import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import aws_lib  # noqa: E402
from aws_lib import lib, s3_event, sqs_event  # noqa: E402

LINES = "\n".join(f"load,region=SE mw={i}.5 {1700000000000000000 + i * 3600000000000}" for i in range(1000)) + "\n"


def setUpModule():
    global moto, influxd
    moto = aws_lib.Moto()
    influxd = lib.Influxd()
    influxd.query("CREATE DATABASE energy_data")


def tearDownModule():
    moto.close()
    influxd.close()


class Loader(lib.Case):
    def setUp(self):
        super().setUp()
        self.s3, self.sqs = moto.client("s3"), moto.client("sqs")
        name = "b" + os.path.basename(os.path.dirname(self.path("x"))).lower().replace("_", "-")[-20:].strip("-")
        self.bucket = name + str(time.time_ns() % 10**9)
        self.s3.create_bucket(Bucket=self.bucket)
        self.dead = self.sqs.create_queue(QueueName="dead-" + self.bucket)["QueueUrl"]
        self.api = aws_lib.RuntimeApi()
        self.process = None
        influxd.query("DROP SERIES FROM /.*/", "energy_data")

    def tearDown(self):
        self.stop()
        self.api.close()
        super().tearDown()

    def start(self, **more):
        env = {"AWS_LAMBDA_RUNTIME_API": self.api.address, "AWS_LAMBDA_FUNCTION_NAME": "loader", "INFLUXDB_URL": influxd.url,
               "INFLUXDB_TOKEN": "any:thing", "FAILED_WRITES_QUEUE_URL": self.dead, **more}
        self.log = open(self.path("log"), "ab")
        self.process = subprocess.Popen([lib.BINARY, "lambda", "loader"], env=moto.env(**{k: v for k, v in env.items() if v is not None}),
                                        stdout=self.log, stderr=self.log)

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.assertEqual(self.process.wait(20), 0)
        if self.process is not None:
            self.log.close()
        self.process = None

    def said(self):
        with open(self.path("log")) as f:
            return f.read()

    def put(self, key, text=LINES):
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode())

    def count(self, measurement="load"):
        return influxd.count(measurement, "mw", "energy_data")

    def dead_letters(self):
        out = []
        while True:
            got = self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
            if not got:
                return out
            for m in got:
                out.append((m["Body"], m.get("MessageAttributes", {}).get("Reason", {}).get("StringValue")))
                self.sqs.delete_message(QueueUrl=self.dead, ReceiptHandle=m["ReceiptHandle"])

    def test_an_object_of_s3_is_loaded_and_the_answer_has_the_earlier_shape(self):
        self.put("dataset=x/processed_at=2025-09-28 16:47:55.1+é/a.lp")
        self.start()
        kind, body = self.api.invoke(s3_event(self.bucket, "dataset=x/processed_at=2025-09-28 16:47:55.1+é/a.lp"))
        self.assertEqual(kind, "response", body)
        self.assertEqual(body["statusCode"], 200)
        self.assertEqual(body["data"]["points_written"], 1000)
        self.assertEqual(self.count(), 1000)
        metrics = [json.loads(line) for line in self.said().splitlines() if '"_aws"' in line]
        self.assertEqual(metrics[0]["PointsWritten"], 1000)
        self.assertEqual(metrics[0]["ColdStart"], 1)
        self.assertEqual(metrics[0]["Function"], "loader")

    def test_every_envelope_is_opened(self):
        self.put("a.lp")
        self.start()
        event = s3_event(self.bucket, "a.lp")
        notification = {"Type": "Notification", "Message": json.dumps(event)}
        bridge = {"version": "0", "detail-type": "Object Created", "source": "aws.s3",
                  "detail": {"bucket": {"name": self.bucket}, "object": {"key": "a.lp", "size": 1, "etag": "x", "sequencer": "1"}}}
        for one in (event, bridge, {"bucket": self.bucket, "key": "a.lp"}, {"objects": [{"bucket": self.bucket, "key": "a.lp"}]},
                    {"body": json.dumps({"bucket": self.bucket, "key": "a.lp"})},
                    {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(event)}}]}):
            kind, body = self.api.invoke(one)
            self.assertEqual((kind, body.get("statusCode")), ("response", 200), (one, body))
            self.assertEqual(body["data"]["objects_loaded"], 1, one)
        kind, body = self.api.invoke(sqs_event(event, notification, bridge, {"bucket": self.bucket, "key": "a.lp"}))
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}))
        self.assertEqual(self.count(), 1000)

    def test_what_is_no_load_is_no_fault(self):
        self.start()
        self.assertEqual(self.api.invoke({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": self.bucket})[0], "response")
        removed = s3_event(self.bucket, "gone")
        removed["Records"][0]["eventName"] = "ObjectRemoved:Delete"
        self.assertEqual(self.api.invoke(sqs_event(removed, {"Event": "s3:TestEvent"}))[1], {"batchItemFailures": []})

    def test_bad_records_of_a_batch_harm_no_others(self):
        self.put("a.lp")
        self.put("broken.parquet", "PAR1 this is none PAR1")
        self.start()
        kind, body = self.api.invoke(sqs_event(s3_event(self.bucket, "a.lp"), "no json", {"what": "ever"}, s3_event(self.bucket, "broken.parquet"),
                                               "[" * 100000, {"Records": [{"s3": {"bucket": {"name": self.bucket}, "object": {"key": "%zz"}}}]}))
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}))
        self.assertEqual(self.count(), 1000)
        reasons = sorted(reason for _, reason in self.dead_letters())
        self.assertEqual(len(reasons), 5, reasons)
        self.assertTrue(any("broken.parquet" in r for r in reasons), reasons)

    def test_without_a_queue_of_failures_bad_messages_go_back(self):
        self.put("a.lp")
        self.start(FAILED_WRITES_QUEUE_URL=None)
        kind, body = self.api.invoke(sqs_event("no json", s3_event(self.bucket, "a.lp")))
        self.assertEqual((kind, body), ("response", {"batchItemFailures": [{"itemIdentifier": "m0"}]}))

    def test_rows_that_are_no_points_go_to_the_queue(self):
        self.put("a.lp", LINES + "this is no line\n")
        self.start()
        kind, body = self.api.invoke(s3_event(self.bucket, "a.lp"))
        self.assertEqual(kind, "response", body)
        self.assertEqual(body["data"]["rows_rejected"], 1)
        letters = self.dead_letters()
        self.assertEqual(len(letters), 1)
        self.assertIn("this is no line", letters[0][0])

    def test_a_target_that_is_down_sends_messages_back_and_fails_others(self):
        self.put("a.lp")
        self.start(INFLUXDB_URL="http://127.0.0.1:%d" % lib.free_port())
        event = s3_event(self.bucket, "a.lp")
        self.assertEqual(self.api.invoke(sqs_event(event)), ("response", {"batchItemFailures": [{"itemIdentifier": "m0"}]}))
        kind, body = self.api.invoke(event)
        self.assertEqual(kind, "error", body)
        self.assertEqual(body["errorType"], "EIO")
        self.assertEqual(self.dead_letters(), [])

    def test_what_there_is_no_time_for_goes_back(self):
        self.put("a.lp")
        self.start()
        event = s3_event(self.bucket, "a.lp")
        self.assertEqual(self.api.invoke(sqs_event(event, event), left=1),
                         ("response", {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}))
        self.assertEqual(self.api.invoke(sqs_event(event)), ("response", {"batchItemFailures": []}))

    def test_only_the_newest_event_of_a_key_is_loaded(self):
        self.put("a.lp")
        self.start()
        kind, body = self.api.invoke(sqs_event(s3_event(self.bucket, "a.lp", sequencer="0A"), s3_event(self.bucket, "a.lp", sequencer="0B")))
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}))
        metrics = [json.loads(line) for line in self.said().splitlines() if '"_aws"' in line]
        self.assertEqual(metrics[0]["ObjectsLoaded"], 1)

    def test_a_secret_is_read_and_its_rotation_noticed(self):
        target = lib.Influxd(http_extra="auth-enabled = true")
        try:
            urllib.request.urlopen(target.url + "/query", data=urllib.parse.urlencode(
                {"q": "CREATE USER root WITH PASSWORD 'one' WITH ALL PRIVILEGES"}).encode()).read()
            secrets, name = moto.client("secretsmanager"), "token-" + self.bucket
            secrets.create_secret(Name=name, SecretString=json.dumps({"token": "root:one"}))

            def ask(q, password):
                url = target.url + "/query?" + urllib.parse.urlencode({"u": "root", "p": password, "q": q, "db": "energy_data"})
                return json.load(urllib.request.urlopen(urllib.request.Request(url, data=b"")))
            ask("CREATE DATABASE energy_data", "one")
            self.put("a.lp")
            self.start(INFLUXDB_URL=target.url, INFLUXDB_TOKEN=None, INFLUXDB_TOKEN_SECRET_NAME=name)
            self.assertEqual(self.api.invoke(s3_event(self.bucket, "a.lp"))[0], "response")
            ask("SET PASSWORD FOR root = 'two'", "one")
            time.sleep(10)  # a secret is not asked for again sooner, however often its value is refused
            secrets.put_secret_value(SecretId=name, SecretString=json.dumps({"token": "root:two"}))
            kind, body = self.api.invoke(s3_event(self.bucket, "a.lp"))
            self.assertEqual(kind, "response", body)
            self.assertNotIn("root:", self.said())
        finally:
            target.close()

    def test_a_function_that_cannot_be_set_up_says_why(self):
        self.start(INFLUXDB_URL=None)
        kind, body = self.api.wait("init")
        self.assertEqual(kind, "init")
        self.assertIn("INFLUXDB_URL", body["errorMessage"])
        self.assertEqual(self.process.wait(20), 1)
        self.process = None
        self.log.close()

    def test_the_api_drops_connections_refuses_answers_and_breaks(self):
        self.put("a.lp")
        self.start()
        self.api.drop = 2
        self.assertEqual(self.api.invoke(s3_event(self.bucket, "a.lp"))[0], "response")
        self.api.too_large = True
        kind, body = self.api.invoke(s3_event(self.bucket, "a.lp"))
        self.assertEqual((kind, body["errorType"]), ("error", "ELIMIT"))
        self.api.too_large = False
        self.assertEqual(self.api.invoke(s3_event(self.bucket, "a.lp"))[0], "response")
        self.api.close()
        self.assertEqual(self.process.wait(20), 1)
        self.process = None
        self.log.close()

    def test_a_thousand_invocations_are_all_accounted_for(self):
        self.put("a.lp", LINES[:2000])
        self.start()
        event, bad = s3_event(self.bucket, "a.lp"), {"nothing": "known"}
        requests = [(self.api.put(bad if i % 10 == 3 else event, left=0.5 if i % 10 == 7 else 60), i) for i in range(1000)]
        kinds = {}
        for request, i in requests:
            kind, body = self.api.wait(request)
            kinds[kind] = kinds.get(kind, 0) + 1
            self.assertEqual(kind, "error" if i % 10 in (3, 7) else "response", (i, body))
        self.assertEqual(kinds, {"response": 800, "error": 200})

    def test_killed_between_and_within_nothing_is_lost(self):
        self.put("a.lp")
        self.start()
        event = s3_event(self.bucket, "a.lp")
        for _ in range(5):
            request = self.api.put(sqs_event(event))
            time.sleep(0.05)
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.log.close()
            self.start()
            if self.api.outcomes.get(request) is None: # the queue gives it again
                self.assertEqual(self.api.invoke(sqs_event(event)), ("response", {"batchItemFailures": []}))
            self.assertEqual(self.count(), 1000)


if __name__ == "__main__":
    lib.unittest.main()

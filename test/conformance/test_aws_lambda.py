"""The Lambda loader as it runs in AWS: a runtime API that hands out events, objects and queues in moto, a real influxd as the target."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import aws_lib  # noqa: E402
from aws_lib import lib, s3_event, sqs_event  # noqa: E402
from lying_s3 import LyingS3  # noqa: E402
from test_faults import Proxy  # noqa: E402

LINES = "\n".join(f"load,region=SE mw={i}.5 {1700000000000000000 + i * 3600000000000}" for i in range(1000)) + "\n"


class Counter:
    """Hands connections on to a port of this machine, and counts them."""

    def __init__(self, target):
        self.count, self.target = 0, target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            far = socket.create_connection(("127.0.0.1", self.target))
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.listener.close()


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
        self.name = "loader"
        influxd.query("DROP SERIES FROM /.*/", "energy_data")

    def tearDown(self):
        self.stop()
        self.api.close()
        super().tearDown()

    def start(self, **more):
        env = {"AWS_LAMBDA_RUNTIME_API": self.api.address, "AWS_LAMBDA_FUNCTION_NAME": "loader", "INFLUXDB_URL": influxd.url,
               "INFLUXDB_TOKEN": "any:thing", "FAILED_WRITES_QUEUE_URL": self.dead, **more}
        self.log = open(self.path("log"), "ab")
        self.process = subprocess.Popen([lib.BINARY, "lambda", self.name], env=moto.env(**{k: v for k, v in env.items() if v is not None}),
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

    def test_an_event_that_is_not_understood_goes_to_the_queue_as_it_came(self):
        self.start()
        event = {"what": "ever"}
        kind, body = self.api.invoke(event)
        self.assertEqual((kind, body["statusCode"]), ("response", 400), body)
        (letter, reason), = self.dead_letters()
        self.assertEqual(json.loads(letter), event)
        self.assertIn("EventBridge", reason)

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
        self.put("b.lp")
        self.start()
        event = s3_event(self.bucket, "a.lp")
        self.assertEqual(self.api.invoke(sqs_event(event, s3_event(self.bucket, "b.lp")), left=1),
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

    def test_keys_of_every_kind_are_found(self):
        keys = ["a b:c.lp", "é/ü 日本.lp", "100%+?.lp", "x*y[z].lp", "a//b.lp", "a#b;c=d&e.lp", "q\\w\"'<>.lp", "%2F.lp", "~!@$^(){}|.lp"]
        for key in keys:
            self.put(key, f"load,region=SE mw=1.5 {1700000000000000000 + keys.index(key)}\n")
        self.start()
        kind, body = self.api.invoke(s3_event(self.bucket, *keys))
        self.assertEqual((kind, body.get("data", {}).get("objects_loaded")), ("response", len(keys)), body)
        self.assertEqual(self.count(), len(keys))

    def test_a_key_stands_for_nothing_but_itself(self):
        self.put("dir/a.lp")
        self.put("dir/", "")
        self.put("x1.lp")
        self.start()
        self.assertEqual(self.api.invoke(sqs_event(s3_event(self.bucket, "dir/"))), ("response", {"batchItemFailures": []}))
        kind, body = self.api.invoke(sqs_event(s3_event(self.bucket, "dir"), s3_event(self.bucket, "x*.lp")))
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}))
        self.assertEqual(self.count(), 0)
        self.assertEqual(sorted(json.loads(b)["key"] for b, _ in self.dead_letters()), ["dir", "x*.lp"])

    def test_what_is_wrong_with_the_target_never_empties_the_queue(self):
        self.put("a.lp")
        self.start(INFLUXDB_BUCKET="nowhere")
        event = s3_event(self.bucket, "a.lp")
        self.assertEqual(self.api.invoke(sqs_event(event)), ("response", {"batchItemFailures": [{"itemIdentifier": "m0"}]}))
        kind, body = self.api.invoke(event)
        self.assertEqual((kind, body["errorType"]), ("error", "ENOTFOUND"), body)
        self.assertEqual(self.dead_letters(), [])

    def test_a_mapping_of_s3_and_a_failure_that_is_mended(self):
        self.put("curve.csv", "when;where;much\n2024-01-01 00:00;SE;1,5\n2024-01-01 01:00;SE;2,5\n")
        self.start()
        kind, body = self.api.invoke(sqs_event(s3_event(self.bucket, "curve.csv")))
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}))
        (letter, reason), = self.dead_letters()
        self.assertIn("curve.csv", reason)
        self.stop()
        self.put("mapping.yaml", "measurement: load\ntime: { column: when, zone: UTC }\ntags: { region: where }\nfields: { mw: much }\ndecimal: comma\n")
        self.start(MAPPING=f"s3://{self.bucket}/mapping.yaml")
        kind, body = self.api.invoke(sqs_event(letter))  # the dead letter is an event of its own
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}), self.said())
        self.assertEqual(self.count(), 2)

    def test_failed_for_good_is_answered_with_the_earlier_loaders_status(self):
        self.put("a.lp")
        self.put("broken.parquet", "PAR1 this is none PAR1")
        self.start()
        kind, body = self.api.invoke(s3_event(self.bucket, "broken.parquet"))
        self.assertEqual((kind, body["statusCode"], body["data"]["objects_failed"]), ("response", 400, 1))
        self.assertIn("broken.parquet", body["message"])
        kind, body = self.api.invoke({"objects": [{"bucket": self.bucket, "key": k} for k in ("a.lp", "broken.parquet")]})
        self.assertEqual((kind, body["statusCode"], body["data"]["points_written"]), ("response", 207, 1000))
        self.assertEqual(len(self.dead_letters()), 2)
        self.stop()
        self.start(FAILED_WRITES_QUEUE_URL=None)
        kind, body = self.api.invoke(s3_event(self.bucket, "broken.parquet"))
        self.assertEqual((kind, body["errorType"]), ("error", "ECORRUPT"), body)

    def test_refused_rows_make_their_object_fail_where_that_is_wanted(self):
        self.put("a.lp", LINES + "this is no line\n")
        self.start(DROP_INVALID_RECORDS="false")
        self.assertEqual(self.api.invoke(sqs_event(s3_event(self.bucket, "a.lp"))), ("response", {"batchItemFailures": []}))
        (letter, reason), = self.dead_letters()
        self.assertEqual(json.loads(letter), {"bucket": self.bucket, "key": "a.lp"})
        self.assertIn("DROP_INVALID_RECORDS", reason)

    def test_many_and_long_refused_rows_are_whole_in_the_queue(self):
        long_line = "no line " + "x" * 300000
        self.put("a.lp", LINES + "".join(f"no line {i} {'y' * 100}\n" for i in range(3000)) + long_line + "\n")
        self.start()
        kind, body = self.api.invoke(s3_event(self.bucket, "a.lp"))
        self.assertEqual((kind, body["data"]["rows_rejected"]), ("response", 3001), body)
        letters = self.dead_letters()
        rows = [json.loads(line) for text, _ in letters for line in text.splitlines()]
        self.assertEqual(len(rows), 3001)
        self.assertGreater(len(letters), 2)
        self.assertLessEqual(max(len(text) for text, _ in letters), 200 << 10)
        too_long, = [row for row in rows if "too_long" in row]
        self.assertGreater(too_long["too_long"], 300000)
        self.assertIn("a.lp", too_long["begins"])

    def test_characters_that_a_queue_does_not_take_are_kept(self):
        """U+FFFE and U+FFFF are no characters of XML: SQS refuses them as they are."""
        self.put("a.lp", LINES + "no line \ufffe\uffff\ufffd\n")
        self.start()
        kind, body = self.api.invoke(s3_event(self.bucket, "a.lp"))
        self.assertEqual((kind, body["data"]["rows_rejected"]), ("response", 1), body)
        kind, body = self.api.invoke(sqs_event(s3_event(self.bucket, "\ufffe.lp")))
        self.assertEqual((kind, body), ("response", {"batchItemFailures": []}))
        letters = [text for text, _ in self.dead_letters()]
        self.assertEqual(len(letters), 2)
        self.assertIn("no line \ufffe\uffff\ufffd", json.dumps([json.loads(text) for text in letters], ensure_ascii=False))
        self.assertIn({"bucket": self.bucket, "key": "\ufffe.lp"}, [json.loads(text) for text in letters])

    def test_faults_of_the_target_lose_nothing(self):
        proxy = Proxy(self, influxd, "reset,503,429-retry-after,slow", rate=0.4, slow=0.2)
        for i in range(10):
            self.put(f"{i}.lp", LINES.replace("region=SE", f"region=R{i}"))
        self.start(INFLUXDB_URL=proxy.url, MAX_BATCH_SIZE="200", INFLUXDB_VERSION="1")
        left = [s3_event(self.bucket, f"{i}.lp") for i in range(10)]
        for _ in range(10):  # the queue gives again what went back
            kind, body = self.api.invoke(sqs_event(*left), left=60)
            self.assertEqual(kind, "response", body)
            left = [left[int(f["itemIdentifier"][1:])] for f in body["batchItemFailures"]]
            if not left:
                break
        self.assertEqual((left, self.count()), ([], 10000))
        self.assertGreater(proxy.faults()["faults"], 5)

    def test_faults_of_aws_lose_nothing(self):
        proxy = Proxy(self, moto, "reset,503,500,slow,truncate", rate=0.2, slow=0.2)
        for i in range(10):
            self.put(f"{i}.lp", LINES.replace("region=SE", f"region=R{i}") + "no line\n")
        self.start(AWS_ENDPOINT_URL=proxy.url)
        left = [s3_event(self.bucket, f"{i}.lp") for i in range(10)]
        for _ in range(10):
            kind, body = self.api.invoke(sqs_event(*left), left=60)
            self.assertEqual(kind, "response", body)
            left = [left[int(f["itemIdentifier"][1:])] for f in body["batchItemFailures"]]
            if not left:
                break
        self.assertEqual((left, self.count()), ([], 10000))
        self.assertGreaterEqual(len(self.dead_letters()), 10)  # at least once each

    def test_a_load_that_meets_its_deadline_goes_back_in_time(self):
        proxy = Proxy(self, influxd, "slow", rate=1, slow=30, only="/write")
        self.put("a.lp")
        self.start(INFLUXDB_URL=proxy.url, DEADLINE_MARGIN_MS="1000")
        begun = time.time()
        kind, body = self.api.invoke(sqs_event(s3_event(self.bucket, "a.lp")), left=4)
        self.assertEqual((kind, body), ("response", {"batchItemFailures": [{"itemIdentifier": "m0"}]}))
        self.assertLess(time.time() - begun, 4)
        proxy.set_sick(False)
        self.assertEqual(self.api.invoke(sqs_event(s3_event(self.bucket, "a.lp"))), ("response", {"batchItemFailures": []}))
        self.assertEqual(self.count(), 1000)

    def test_connections_live_from_one_invocation_to_the_next(self):
        counter = Counter(influxd.port)
        self.addCleanup(counter.close)
        self.put("a.lp")
        self.start(INFLUXDB_URL=counter.url)
        for _ in range(20):
            self.assertEqual(self.api.invoke(s3_event(self.bucket, "a.lp"))[0], "response")
        self.assertLessEqual(counter.count, 3)  # one or two lanes, and the question for the version

    def test_the_monitor_reads_the_queue_and_puts_metrics(self):
        self.sqs.send_message(QueueUrl=self.dead, MessageBody="x")
        self.name = "monitor"
        self.start(METRICS_MODE="put", METRICS_NAMESPACE="Afluxo/" + self.bucket)
        kind, body = self.api.invoke({})
        self.assertEqual((kind, body["statusCode"], body["data"]["DlqDepth"]), ("response", 200, 1), body)
        cloudwatch, namespace = moto.client("cloudwatch"), "Afluxo/" + self.bucket
        metrics = cloudwatch.list_metrics(Namespace=namespace)["Metrics"]
        self.assertEqual({m["MetricName"] for m in metrics}, set(body["data"]))
        self.assertTrue(all(m["Dimensions"] == [{"Name": "Function", "Value": "loader"}] for m in metrics), metrics)
        for name in ("ConnectMs", "DlqDepth", "WriteSuccess"):
            point, = cloudwatch.get_metric_statistics(Namespace=namespace, MetricName=name, StartTime=time.time() - 600, EndTime=time.time() + 600,
                                                      Period=3600, Statistics=["Sum"], Dimensions=metrics[0]["Dimensions"])["Datapoints"]
            self.assertAlmostEqual(point["Sum"], body["data"][name], 3)
        self.assertNotIn("_aws", self.said())

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
        """Of ten: seven load a point of their own (by the queue or directly), one has no time, one event and one message are for good in
        the queue of failures. Answers, queue of failures and target together account for each. Objects are in a server of our own, since
        moto's answers take 40 ms (head and body in two packets)."""
        objects = LyingS3()
        self.addCleanup(objects.close)
        self.start(AWS_LAMBDA_LOG_LEVEL="FATAL", AWS_ENDPOINT_URL_S3=objects.url)
        wanted, requests = set(), []
        for i in range(1000):
            key, left = f"{i}.lp", 60
            if i % 10 == 3:
                event, outcome = {"nothing": i}, 400
            elif i % 10 == 5:
                event, outcome = sqs_event(f"no json {i}"), []
            elif i % 10 == 7:
                left = 1
                event, outcome = (sqs_event(s3_event(self.bucket, key)), ["m0"]) if i % 20 == 7 else (s3_event(self.bucket, key), "ECANCELED")
            else:
                objects.objects[key.encode()] = f"load,region=SE mw={i} {i + 1}\n".encode()
                wanted.add(i + 1)
                event, outcome = (sqs_event(s3_event(self.bucket, key)), []) if i % 2 else (s3_event(self.bucket, key), 200)
            requests.append((self.api.put(event, left=left), outcome, i))
        for request, outcome, i in requests:
            kind, body = self.api.wait(request)
            if isinstance(outcome, str):
                self.assertEqual((kind, body.get("errorType")), ("error", outcome), (i, body))
            elif isinstance(outcome, list):
                self.assertEqual((kind, [f["itemIdentifier"] for f in body["batchItemFailures"]]), ("response", outcome), (i, body))
            else:
                self.assertEqual((kind, body["statusCode"], body["data"]["points_written"]), ("response", outcome, outcome == 200), (i, body))
        self.assertEqual({row[0] for row in influxd.values("SELECT mw FROM load", "energy_data")}, wanted)
        self.assertEqual(sorted(body.replace(" ", "") for body, _ in self.dead_letters()),
                         sorted([f"nojson{i}" for i in range(5, 1000, 10)] + ['{"nothing":%d}' % i for i in range(3, 1000, 10)]))

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
            self.assertEqual(self.api.invoke(sqs_event(event)), ("response", {"batchItemFailures": []}))  # the queue gives it again
            self.assertIn(self.api.wait(request), [("response", {"batchItemFailures": []}), ("exited", None)])
            self.assertEqual(self.count(), 1000)


if __name__ == "__main__":
    lib.unittest.main()

"""The runtime loop of Lambda and the functions that need no AWS: a runtime API of our own, a real influxd, ourselves over TLS."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import lib
from lib import DONE, FAILED, ROOT, USAGE, free_port
from lying_s3 import LyingS3
from runtime_api import RuntimeApi

TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}
SHAPES = ("S3", "SQS", "SNS", "EventBridge", '{"bucket", "key"}', '{"objects": [...]}')


def setUpModule():
    global influxd
    influxd = lib.Influxd()
    influxd.query("CREATE DATABASE energy_data")


def tearDownModule():
    influxd.close()


def function_env(**more):
    env = lib.environment(AWS_ACCESS_KEY_ID="none", AWS_SECRET_ACCESS_KEY="none", AWS_REGION="us-east-1", AWS_CONFIG_FILE="/nonexistent",
                          AWS_SHARED_CREDENTIALS_FILE="/nonexistent", AWS_EC2_METADATA_DISABLED="true",
                          AWS_ENDPOINT_URL="http://127.0.0.1:9", INFLUXDB_URL=influxd.url, INFLUXDB_TOKEN="any:thing")
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


class Function(lib.Case):
    def setUp(self):
        super().setUp()
        self.api = RuntimeApi()
        self.addCleanup(self.api.close)
        self.processes = []

    def tearDown(self):
        for p in self.processes:
            if p.poll() is None:
                p.terminate()
                self.assertEqual(p.wait(20), 0, self.said())
        for marker in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(marker, self.said())
        super().tearDown()

    def start(self, name, **more):
        with open(self.path("log"), "ab") as log:
            p = subprocess.Popen([lib.BINARY, "lambda", name], stdout=log, stderr=log,
                                 env=function_env(AWS_LAMBDA_RUNTIME_API=self.api.address, AWS_LAMBDA_FUNCTION_NAME=name, **more))
        self.processes.append(p)
        return p

    def said(self):
        return open(self.path("log"), errors="replace").read() if os.path.exists(self.path("log")) else ""

    def lines(self):
        return [json.loads(line) for line in self.said().splitlines() if line.startswith("{")]

    def kill(self, p):
        p.send_signal(signal.SIGKILL)
        p.wait()
        self.processes.remove(p)


class Loop(Function):
    def test_an_answer_an_error_and_the_words_of_the_log(self):
        self.start("loader")
        kind, body = self.api.invoke(TEST_EVENT)
        self.assertEqual((kind, body["statusCode"], body["message"]), ("response", 200, "No data to process"))
        request = self.api.put({"what": "ever"})
        kind, body = self.api.wait(request)
        self.assertEqual((kind, body["errorType"], body["stackTrace"]), ("error", "EINVAL", []))
        self.assertEqual(self.api.error_types[request], "EINVAL")
        for shape in SHAPES:
            self.assertIn(shape, body["errorMessage"])
        errors = [line for line in self.lines() if line.get("level") == "ERROR"]
        self.assertEqual({(e["requestId"], e["message"]) for e in errors}, {(request, body["errorMessage"])})
        self.assertRegex(errors[0]["timestamp"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(self.api.refused, [])

    def test_log_levels_are_heeded(self):
        self.start("loader", AWS_LAMBDA_LOG_LEVEL="FATAL", ENABLE_METRICS="false")
        self.assertEqual(self.api.invoke({"what": "ever"})[0], "error")
        self.assertEqual(self.said(), "")

    def test_a_function_that_cannot_be_made_says_why(self):
        for name, more, words in (("loader", {"INFLUXDB_URL": None}, "INFLUXDB_URL"), ("loader", {"INFLUXDB_TOKEN": None}, "INFLUXDB_TOKEN"),
                                  ("loader", {"DEADLINE_MARGIN_MS": "soon"}, "DEADLINE_MARGIN_MS"), ("loader", {"MAPPING": "none"}, "none"),
                                  ("loader", {"METRICS_MODE": "loud"}, "METRICS_MODE"), ("loader", {"INFER": "maybe"}, "INFER"),
                                  ("monitor", {"MONITOR_TIMEOUT_MS": "-1"}, "MONITOR_TIMEOUT_MS"),
                                  ("monitor", {"TOKEN_EXPIRES": "some day"}, "TOKEN_EXPIRES"), ("nothing", {}, "loader, monitor")):
            self.api.outcomes.clear()
            p = self.start(name, **more)
            kind, body = self.api.wait("init")
            self.assertEqual(kind, "init", (name, more))
            self.assertIn(words, body["errorMessage"])
            self.assertEqual(p.wait(20), FAILED)
            self.processes.remove(p)

    def test_dropped_connections_are_tried_again_and_answers_are_not_lost(self):
        self.start("loader")
        self.api.drop = 3
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")
        self.api.drop_after = 1  # the answer was taken, but its sender does not know
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")
        self.assertEqual([status for _, status in self.api.refused], [403])
        self.api.refuse = 2
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")

    def test_an_answer_to_an_invocation_is_sent_again_when_its_connection_is_lost(self):
        self.start("loader")
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")
        request = self.api.put(TEST_EVENT)
        while request not in self.api.taken:
            time.sleep(0.001)
        self.api.drop = 1  # of the response, or of the next request: the event was handed out
        self.assertEqual(self.api.wait(request)[0], "response")

    def test_an_api_that_is_broken_or_gone_ends_it(self):
        p = self.start("loader")
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")
        begun = time.time()
        self.api.broken = True
        self.assertEqual(p.wait(20), FAILED)
        self.assertLess(time.time() - begun, 5)
        self.processes.remove(p)
        gone = subprocess.run([lib.BINARY, "lambda", "loader"], capture_output=True, timeout=60,
                              env=function_env(AWS_LAMBDA_RUNTIME_API="127.0.0.1:%d" % free_port()))
        self.assertEqual(gone.returncode, FAILED)

    def test_too_large_an_answer_is_an_error_of_its_own(self):
        self.start("loader")
        self.api.too_large = True
        kind, body = self.api.invoke(TEST_EVENT)
        self.assertEqual((kind, body["errorType"]), ("error", "ELIMIT"))
        self.api.too_large = False
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")

    def test_a_runtime_that_was_killed_begins_anew(self):
        for _ in range(5):
            p = self.start("loader")
            self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")
            self.kill(p)
        self.start("loader")
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")

    def test_two_functions_in_turn(self):
        for name in ("loader", "monitor", "loader", "monitor"):
            p = self.start(name)
            for _ in range(3):
                kind, body = self.api.invoke(TEST_EVENT)
                self.assertEqual((kind, body["statusCode"]), ("response", 200), body)
            self.kill(p)

    def test_a_thousand_invocations_are_all_accounted_for(self):
        """Every tenth is refused, every tenth has no time, every hundredth dies with its runtime."""
        p = self.start("loader", ENABLE_METRICS="false")
        requests = []
        for i in range(1000):
            event = {"nothing": "known"} if i % 10 == 3 else TEST_EVENT
            if i % 10 == 7:
                event = {"bucket": "b", "key": f"k{i}"}
            requests.append(self.api.put(event, left=0.1 if i % 10 == 7 else 60))
            if i % 100 == 99:
                self.kill(p)
                p = self.start("loader", ENABLE_METRICS="false")
        self.api.timeout = 120
        kinds = {}
        for i, request in enumerate(requests):
            kind, body = self.api.wait(request)
            kinds[kind] = kinds.get(kind, 0) + 1
            if kind != "exited":
                self.assertEqual(kind, "error" if i % 10 in (3, 7) else "response", (i, body))
            if kind == "error" and i % 10 == 7:
                self.assertEqual(body["errorType"], "ECANCELED")
        self.assertEqual(sum(kinds.values()), 1000)
        self.assertNotIn("lost", kinds)
        self.assertLessEqual(kinds.get("exited", 0), 10)  # handed out at the moment of a kill; Lambda gives those again

    def test_an_event_that_nobody_should_send(self):
        self.start("loader")
        for event in (b"[" * (6 << 20), b'{"a":' * (1 << 20), b'{"Records":[' + b"[]," * 100000 + b"[]]}", b"\x00\xff", b"", b'"' + b"a" * (6 << 20)):
            begun = time.time()
            kind, body = self.api.invoke(event)
            self.assertEqual(kind, "error", event[:20])
            self.assertLess(time.time() - begun, 10)
        self.assertEqual(self.api.invoke(TEST_EVENT)[0], "response")

    def test_sigterm_ends_it_while_it_waits(self):
        p = self.start("monitor")
        self.assertEqual(self.api.invoke({})[0], "response")
        begun = time.time()
        p.terminate()
        self.assertEqual(p.wait(20), DONE)
        self.assertLess(time.time() - begun, 5)


class Hostile(Function):
    def setUp(self):
        super().setUp()
        self.s3 = LyingS3()
        self.addCleanup(self.s3.close)
        influxd.query("DROP SERIES FROM /.*/", "energy_data")

    def begin(self, **more):
        self.start("loader", AWS_ENDPOINT_URL=self.s3.url, MAX_RETRIES="1", **more)

    def regions(self):
        return sorted(row[1] for row in influxd.values("SHOW TAG VALUES FROM load WITH KEY = region", "energy_data"))

    @staticmethod
    def messages(*keys):
        """As S3 notifies a queue: keys percent-encoded, byte by byte."""
        bodies = [json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "bucket"}, "object": {
            "key": urllib.parse.quote_plus(key)}}}]}) for key in keys]
        return {"Records": [{"messageId": f"m{i}", "receiptHandle": "r", "eventSource": "aws:sqs", "body": body}
                            for i, body in enumerate(bodies)]}

    def test_answers_that_lie_about_their_length_harm_no_other_object(self):
        keys = ["good/1.lp", *(lie + "/x.lp" for lie in LyingS3.LIES), "good/2.lp"]
        for key in keys:
            self.s3.put(key, key.replace("/", "-"))
        self.begin()
        kind, body = self.api.invoke(self.messages(*keys), left=120)
        self.assertEqual((kind, body), ("response", {"batchItemFailures": [{"itemIdentifier": f"m{i + 1}"} for i in range(len(LyingS3.LIES))]}))
        self.assertEqual([r for r in self.regions() if r.startswith("good")], ["good-1.lp", "good-2.lp"])
        self.assertNotIn("XX", self.regions())
        words = [line["message"] for line in self.lines() if line.get("level") == "ERROR"]
        self.assertEqual(len(words), len(LyingS3.LIES))
        for lie, said in zip(LyingS3.LIES, words):
            self.assertIn(lie + "/x.lp", said)

    def test_a_key_may_have_every_byte(self):
        """Each of the bytes that UTF-8 is made of is asked for as it is; what is no UTF-8 is no key, and harms no others."""
        keys = [bytes([b]) + b".lp" for b in range(1, 128)] + ["\u0080\u07ff\u0800\uffff\U00010000\U0010ffff.lp".encode(), b"./../a.lp", b"a//b/./c.lp"]
        bad = [bytes([b]) + b".lp" for b in range(128, 256)] + [b"\xed\xa0\x80", b"a\0b", b"k" * 1025]
        for i, key in enumerate(keys):
            self.s3.put(key, "r%03d" % i)
        self.begin()
        event = self.messages(*bad, *keys)
        kind, body = self.api.invoke(event, left=120)
        self.assertEqual(kind, "response", body)
        self.assertEqual([f["itemIdentifier"] for f in body["batchItemFailures"]], [f"m{i}" for i in range(len(bad))])
        self.assertEqual(self.regions(), ["r%03d" % i for i in range(len(keys))])
        self.assertEqual(set(self.s3.asked), set(keys))

    def test_records_of_two_kinds_in_one_batch(self):
        """A record without a name cannot be named; an empty name makes the queue give all of them again."""
        self.s3.put("a.lp", "a")
        self.begin()
        event = self.messages("a.lp")
        event["Records"] += [{"what": "ever"}, {"eventSource": "aws:sqs", "body": "["}, {"eventSource": "aws:sqs", "messageId": 7, "body": {}}, None, []]
        kind, body = self.api.invoke(event)
        self.assertEqual((kind, body), ("response", {"batchItemFailures": [{"itemIdentifier": ""}] * 5}))
        self.assertEqual(self.regions(), ["a"])

    def test_s3_that_never_answers_ends_at_the_deadline(self):
        """Also before the first byte of an object: what asks for it waits no longer than the function may."""
        hole = socket.create_server(("127.0.0.1", 0))  # takes connections, and says nothing
        self.addCleanup(hole.close)
        self.start("loader", AWS_ENDPOINT_URL="http://127.0.0.1:%d" % hole.getsockname()[1])
        begun = time.time()
        kind, body = self.api.invoke(self.messages("a.lp", "b.lp"), left=4)
        self.assertEqual((kind, body), ("response", {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}))
        self.assertLess(time.time() - begun, 4)


class Monitor(Function):
    def test_a_healthy_target_is_measured(self):
        self.start("monitor", MONITOR_BUCKET="of_this_test")
        kind, body = self.api.invoke({})
        self.assertEqual((kind, body["statusCode"], body["message"]), ("response", 200, "healthy"), body)
        data = body["data"]
        self.assertEqual((data["ConnectSuccess"], data["WriteSuccess"], data["QuerySuccess"], data["QueryTimeouts"]), (1, 1, 1, 0))
        for name in ("ConnectMs", "WriteMs", "QueryMs"):
            self.assertGreater(data[name], 0)
        self.assertNotIn("TlsDaysLeft", data)  # there is no TLS
        self.assertEqual(influxd.values("SELECT count(value) FROM afluxo_health", "of_this_test")[0][1], 1)
        self.assertEqual(influxd.values("SHOW MEASUREMENTS", "energy_data"), [])  # never into the production bucket
        metrics = [line for line in self.lines() if "_aws" in line]
        self.assertEqual(len(metrics), 1)
        self.assertEqual({k: v for k, v in metrics[0].items() if k not in ("_aws", "Function", "requestId")}, data)
        self.assertEqual(metrics[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Afluxo")

    def test_a_sick_target_is_an_answer_and_no_failed_invocation(self):
        self.start("monitor", INFLUXDB_URL="http://127.0.0.1:%d" % free_port())
        kind, body = self.api.invoke({})
        self.assertEqual((kind, body["statusCode"], body["data"]), ("response", 503, {"ConnectSuccess": 0}))

    def test_a_target_that_refuses_is_a_success_of_zero(self):
        self.start("monitor", INFLUXDB_TOKEN=None, INFLUXDB_TOKEN_SECRET_NAME="nowhere")  # no secret is to be had
        kind, body = self.api.invoke({})
        data = body["data"]
        self.assertEqual((kind, body["statusCode"], data["ConnectSuccess"], data["WriteSuccess"]), ("response", 503, 1, 0), body)
        self.assertNotIn("QuerySuccess", data)  # nothing was there to be asked for
        self.assertNotIn("WriteMs", data)

    def test_a_check_ends_before_its_time(self):
        hole = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(hole.close)
        self.start("monitor", INFLUXDB_URL="http://127.0.0.1:%d" % hole.getsockname()[1], MONITOR_TIMEOUT_MS="60000")
        begun = time.time()
        kind, body = self.api.invoke({}, left=3)
        self.assertEqual((kind, body["statusCode"], body["data"]["ConnectSuccess"]), ("response", 503, 0), body)
        self.assertLess(time.time() - begun, 3)
        metrics = [line for line in self.lines() if "_aws" in line]
        self.assertEqual([m["ConnectSuccess"] for m in metrics], [0])

    def test_a_secrets_manager_that_never_answers_hides_no_connection(self):
        hole = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(hole.close)
        self.start("monitor", INFLUXDB_TOKEN=None, INFLUXDB_TOKEN_SECRET_NAME="s", AWS_ENDPOINT_URL="http://127.0.0.1:%d" % hole.getsockname()[1])
        begun = time.time()
        kind, body = self.api.invoke({}, left=4)
        self.assertLess(time.time() - begun, 4)
        self.assertEqual((kind, body["statusCode"], body["data"]["ConnectSuccess"], body["data"]["WriteSuccess"]), ("response", 503, 1, 0), body)
        self.assertGreater(body["data"]["ConnectMs"], 0)
        metrics = [line for line in self.lines() if "_aws" in line]
        self.assertEqual([m["ConnectSuccess"] for m in metrics], [1])

    def test_once_by_hand(self):
        result = lib.run("lambda", "monitor", "--once", env=function_env(TOKEN_EXPIRES=time.strftime("%Y-%m-%d", time.gmtime(time.time() + 864000))))
        self.expect(result, DONE)
        self.assertEqual(result.json["statusCode"], 200)
        self.assertEqual(result.json["data"]["TokenDaysLeft"], 9)  # that date begins within the tenth day
        self.assertNotIn("_aws", result.out + result.err)
        sick = lib.run("lambda", "monitor", "--once", env=function_env(INFLUXDB_URL="http://127.0.0.1:1"))
        self.expect(sick, FAILED)
        event = self.write("event.json", json.dumps(TEST_EVENT))
        loaded = lib.run("lambda", "loader", "--once", event, env=function_env())
        self.assertEqual(self.expect(loaded, DONE).json["statusCode"], 200)
        self.afluxo(USAGE, "lambda")
        self.afluxo(USAGE, "lambda", "loader", "two")

    def test_over_tls_the_days_of_the_certificate_are_counted(self):
        cert, key = self.path("cert.pem"), self.path("key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, "-days", "30", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        port = free_port()
        server = lib.start("serve", "--data", self.path("data"), "--listen", f"127.0.0.1:{port}", "--tls-cert", cert, "--tls-key", key)
        try:
            token_file = self.path("data", "operator-token")
            for _ in range(200):
                if os.path.exists(token_file) and os.path.getsize(token_file):
                    break
                time.sleep(0.05)
            org = "afluxo"
            env = function_env(INFLUXDB_URL=f"https://127.0.0.1:{port}", INFLUXDB_TOKEN=open(token_file).read().strip(), INFLUXDB_CA_FILE=cert,
                               INFLUXDB_ORG=org)
            for _ in range(100):
                result = lib.run("lambda", "monitor", "--once", env=env)
                if result.json["data"]["ConnectSuccess"]:
                    break
                time.sleep(0.1)
            data = result.json["data"]
            self.assertEqual((data["ConnectSuccess"], data["TlsDaysLeft"]), (1, 29), result)
            self.assertEqual((data["WriteSuccess"], data["QuerySuccess"]), (1, 1), result)
            untrusted = lib.run("lambda", "monitor", "--once", env={**env, "INFLUXDB_CA_FILE": "/etc/ssl/certs/ca-certificates.crt"})
            self.assertEqual(untrusted.json["data"]["ConnectSuccess"], 0, untrusted)
            self.assertIn("certificate", untrusted.json["message"])
        finally:
            server.terminate()
            server.communicate(timeout=30)


class Docs(unittest.TestCase):
    """Tables of the pages are those of the code."""

    def table(self, page, pattern):
        return re.findall(pattern, open(os.path.join(ROOT, "docs", page)).read(), re.M)

    def code(self, name, pattern):
        return re.findall(pattern, open(os.path.join(ROOT, "src", "lambda", name)).read(), re.M)

    def test_the_environment(self):
        in_code = [(n, d, who) for n, d, who in self.code("settings.def", r'^AF_X\((\w+),\s*"(.*?)",\s*"([LMQSPB]+)"\)')]
        in_docs = [(n, d, "".join(w[0].upper() for w in who.split(", "))) for n, d, who in
                   self.table("lambda.md", r"^\| `([A-Z0-9_]+)` \| (?:`(.*?)`)? ?\| ([a-z, ]+) \|")]
        self.assertEqual(in_docs, in_code)

    def test_the_metrics(self):
        in_code = self.code("metrics.def", r'^AF_X\((\w+),\s*"(\w+)"\)')
        self.assertEqual(self.table("metrics.md", r"^\| `([A-Z]\w+)` \| (\w+) \|"), in_code)


if __name__ == "__main__":
    unittest.main()

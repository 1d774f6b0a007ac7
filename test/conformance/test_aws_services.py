"""Our calls against services that answer: moto's server, a control plane of Timestream for InfluxDB of our own, and a proxy that misbehaves.

What is shown: queues lose nothing under faults (a message may come twice), secrets follow rotation, metrics that were put are read back, a
topic reaches its queue, data keys open only with their context, `afluxo aws` prints what it should; and every failure that stays is told
with service, operation and reason.
"""
import collections
import http.client
import http.server
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
import aws_lib  # noqa: E402
import aws_program  # noqa: E402
import lib  # noqa: E402

moto = program = None


def setUpModule():
    global moto, program
    directory = tempfile.TemporaryDirectory(prefix="afluxo-calls-")
    unittest.addModuleCleanup(directory.cleanup)
    program = aws_program.build(directory.name)
    moto = aws_lib.Moto()
    unittest.addModuleCleanup(moto.close)


class Server:
    """An HTTP server in a thread; `answer(handler, body)` is the subclass's."""

    def __init__(self):
        owner = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                owner.asked.append(self.headers.get("X-Amz-Target", body[:60].decode(errors="replace")))
                owner.answer(self, body)

            def say(self, status, text, kind="application/x-amz-json-1.0"):
                text = text if isinstance(text, bytes) else json.dumps(text).encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("x-amzn-RequestId", "request-7")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def reset(self):
                self.close_connection = True
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        class Quiet(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args):
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy(Server):
    """In front of moto. `faults`: names by chance, or `plan`: names for the first requests, None for none.

    throttle, 500, html: instead of the service; reset: the connection, before; lost: the same after the service has done it; slow: in pieces.
    """

    def __init__(self, faults=(), rate=0.0, seed=1, plan=()):
        self.faults, self.rate, self.random, self.plan = faults, rate, random.Random(seed), list(plan)
        self.met = collections.Counter()
        self.lock = threading.Lock()
        super().__init__()

    def choose(self):
        with self.lock:
            if self.plan:
                return self.plan.pop(0)
            fault = self.random.choice(self.faults) if self.faults and self.random.random() < self.rate else None
            self.met[fault] += 1
            return fault

    def answer(self, handler, body):
        fault = self.choose()
        if fault == "throttle":
            return handler.say(400, {"__type": "com.amazonaws.x#ThrottlingException", "message": "Rate exceeded"})
        if fault == "500":
            return handler.say(500, {"__type": "InternalServerException", "message": "sorry"})
        if fault == "503":
            return handler.say(503, b"<html>Service Unavailable</html>", "text/html")
        if fault == "html":
            return handler.say(200, b"<html>log in</html>", "text/html")
        if fault == "reset":
            return handler.reset()
        status, kind, text = self.forward(handler, body)
        if fault == "lost":
            return handler.reset()
        if fault == "slow":
            handler.send_response(status)
            handler.send_header("Content-Type", kind)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            for i in range(0, len(text), 7):
                handler.wfile.write(text[i:i + 7])
                time.sleep(0.0005)
            return None
        return handler.say(status, text, kind)

    @staticmethod
    def forward(handler, body):
        connection = http.client.HTTPConnection("127.0.0.1", moto.port, timeout=60)
        connection.request(handler.command, handler.path, body, dict(handler.headers))
        answer = connection.getresponse()
        text = answer.read()
        kind = answer.getheader("Content-Type", "application/x-amz-json-1.0")
        connection.close()
        return answer.status, kind, text


class Case(lib.Case):
    def proxy(self, *args, **kw):
        proxy = Proxy(*args, **kw)
        self.addCleanup(proxy.close)
        return proxy

    def call(self, *args, url=None, **env):
        return aws_program.run(program, *args, env={**moto.env(url), **env})

    def fails(self, status, *args, url=None, **env):
        with self.assertRaises(aws_program.Failed) as caught:
            self.call(*args, url=url, **env)
        self.assertEqual(caught.exception.status, status, caught.exception)
        return caught.exception.message

    def queue(self, name, **attributes):
        return moto.client("sqs").create_queue(QueueName=name, Attributes={k: str(v) for k, v in attributes.items()})["QueueUrl"]


class Queues(Case):
    def test_there_and_back(self):
        url = self.queue("there")
        self.assertEqual(self.call("sqs-url", "there"), [{"url": url}])
        arn = moto.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.assertEqual(self.call("sqs-url", arn), [{"url": url}])
        self.call("sqs-send", url, 'café "x" \U0001f600\n', "why é")
        rows = self.call("sqs-receive", url, 10, 0, 30)
        self.assertEqual([(r["body"], r["reason"], r["receives"]) for r in rows], [('café "x" \U0001f600\n', "why é", "1")])
        self.assertLess(abs(time.time() * 1000 - int(rows[0]["sent_ms"])), 60000)
        self.assertEqual(self.call("sqs-receive", url, 10, 0, 30), [])
        self.call("sqs-visibility", url, rows[0]["receipt"], 0)
        again = self.call("sqs-receive", url, 10, 0, 30)
        self.assertEqual([(r["id"], r["receives"]) for r in again], [(rows[0]["id"], "2")])
        self.call("sqs-delete", url, again[0]["receipt"])
        depth = self.call("sqs-depth", url)[0]
        self.assertEqual((depth["visible"], depth["in_flight"], depth["dead_letters"]), ("0", "0", ""))

    def test_what_fails_goes_to_the_dead_letters(self):
        dead = self.queue("dead")
        arn = moto.client("sqs").get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        url = self.queue("jobs", RedrivePolicy=json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2}), VisibilityTimeout=77)
        depth = self.call("sqs-depth", url)[0]
        self.assertEqual((depth["max_receives"], depth["dead_letters"], depth["visibility_s"]), ("2", arn, "77"))
        self.call("sqs-batch", url, 0, 3, "because")
        for _ in range(3):
            self.call("sqs-receive", url, 10, 0, 0)
        self.assertEqual(self.call("sqs-receive", url, 10, 0, 0), [])
        self.assertEqual(sorted((r["body"], r["reason"]) for r in self.call("sqs-drain", dead, 0, 30)),
                         [(f"message {i}", "because") for i in range(3)])

    def test_a_message_that_is_ours_no_more(self):
        url = self.queue("gone")
        self.call("sqs-send", url, "m")
        receipt = self.call("sqs-receive", url, 1, 0, 30)[0]["receipt"]
        self.call("sqs-delete", url, receipt)
        self.assertIn("ChangeMessageVisibility", self.fails("ENOTFOUND", "sqs-visibility", url, receipt, 0))

    def test_a_queue_that_is_not_there(self):
        message = self.fails("ENOTFOUND", "sqs-url", "nowhere")
        self.assertIn("GetQueueUrl", message)
        self.assertIn("QueueDoesNotExist", message.replace("NonExistentQueue", "QueueDoesNotExist"))
        self.fails("ENOTFOUND", "sqs-send", moto.url + "/123456789012/nowhere", "m")

    def test_nothing_is_lost_under_faults(self):
        """120 messages sent and received through a proxy that fails every seventh request, in six ways."""
        url = self.queue("faulty")
        proxy = self.proxy(("throttle", "500", "503", "reset", "lost", "slow"), rate=0.15, seed=5)
        for first in range(0, 120, 40):
            self.call("sqs-batch", url, first, 40, url=proxy.url, AWS_MAX_ATTEMPTS="8")
        got = collections.Counter()
        end = time.time() + 90
        while len(got) < 120 and time.time() < end:
            for row in self.call("sqs-drain", url, 0, 2, url=proxy.url, AWS_MAX_ATTEMPTS="8"):
                got[row["body"]] += 1
            time.sleep(0.5)
        self.assertEqual(set(got), {f"message {i}" for i in range(120)})
        self.assertGreater(proxy.met["lost"] + proxy.met["reset"], 3)
        self.assertGreater(proxy.met["throttle"] + proxy.met["500"] + proxy.met["503"], 3)


    def test_a_fifo_queue_has_each_message_once(self):
        """Though answers are lost: what is sent again says that it is."""
        url = self.queue("once.fifo", FifoQueue="true")
        proxy = self.proxy(("lost",), rate=0.4, seed=2)
        self.call("sqs-batch", url, 0, 40, url=proxy.url, AWS_MAX_ATTEMPTS="10")
        self.call("sqs-send", url, "message 40", url=proxy.url, AWS_MAX_ATTEMPTS="10")
        self.assertGreater(proxy.met["lost"], 0)
        got = collections.Counter(row["body"] for row in self.call("sqs-drain", url, 0, 60))
        self.assertEqual(got, {f"message {i}": 1 for i in range(41)})


class Failures(Case):
    """Faults that stay: what is said."""

    def expect(self, fault, status, *words, call=("sqs-url", "x")):
        proxy = self.proxy((fault,), rate=1.0)
        message = self.fails(status, *call, url=proxy.url, AWS_MAX_ATTEMPTS="2")
        for word in words:
            self.assertIn(word, message)
        return proxy

    def test_throttled_to_the_end(self):
        proxy = self.expect("throttle", "EBUSY", "sqs", "GetQueueUrl", "ThrottlingException", "Rate exceeded", "request-7")
        self.assertEqual(len(proxy.asked), 2)

    def test_failing_to_the_end(self):
        self.expect("500", "EIO", "GetQueueUrl", "InternalServerException")
        self.expect("503", "EIO", "GetQueueUrl", "503")
        self.expect("reset", "EIO", "GetQueueUrl")

    def test_another_server(self):
        proxy = self.expect("html", "ECORRUPT", "SQS GetQueueUrl", "no JSON", "<html>")
        self.assertEqual(len(proxy.asked), 1)
        for call in (("secret-get", "s"), ("metric-exists", "N", "D"), ("kms-state", "k"), ("tfi", "ListDbInstances"), ("sts-identity",),
                     ("sns", "t", "", "m"), ("bedrock-embed", "m", "t", 2)):
            self.expect("html", "ECORRUPT", call=call)

    def test_every_service_is_patient(self):
        """Throttled, failed, cut off, and then answered."""
        moto.client("secretsmanager").create_secret(Name="patience", SecretString="s")
        key = moto.client("kms").create_key()["KeyMetadata"]["KeyId"]
        topic = moto.client("sns").create_topic(Name="patience")["TopicArn"]
        calls = [("sqs-url", "patience"), ("secret-get", "patience"), ("metric-put", "N", 3, int(time.time())), ("metric-exists", "N", "D"),
                 ("kms-make", key), ("sns", topic, "", "m"), ("sts-identity",), ("tfi-list", "ListDbInstances")]
        self.queue("patience")
        for call in calls:
            for fault in ("throttle", "503", "reset"):
                with self.subTest(call=call, fault=fault):
                    proxy = self.proxy(plan=[fault])
                    self.call(*call, url=proxy.url)
                    self.assertEqual(len(proxy.asked), 2)


class Secrets(Case):
    def watch(self, name, ttl_ms, url=None):
        p = subprocess.Popen([program, "secret-watch", name, str(ttl_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                             env=moto.env(url))
        self.addCleanup(p.wait)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stdin.close)

        def say(word):
            p.stdin.write(word + "\n")
            p.stdin.flush()
            return json.loads(p.stdout.readline()) if word == "get" else None
        return say

    def test_rotation_is_noticed(self):
        manager = moto.client("secretsmanager")
        manager.create_secret(Name="rotated", SecretString='{"token":"one"}')
        keeps, say = self.watch("rotated", 600000), self.watch("rotated", 400)
        first = say("get")
        self.assertEqual(keeps("get"), first)
        self.assertEqual(first["value"], '{"token":"one"}')
        self.call("secret-put", "rotated", '{"token":"two"}', "0123456789abcdef0123456789abcdef")
        self.call("secret-put", "rotated", '{"token":"two"}', "0123456789abcdef0123456789abcdef")  # again: no third version
        self.assertEqual(len(manager.list_secret_version_ids(SecretId="rotated")["Versions"]), 2)
        self.assertEqual(keeps("get"), first)
        time.sleep(0.5)
        second = say("get")
        self.assertEqual((second["value"], second["version"]), ('{"token":"two"}', "0123456789abcdef0123456789abcdef"))
        self.assertNotEqual(first["version"], second["version"])

    def test_the_old_one_goes_on_while_nobody_answers(self):
        moto.client("secretsmanager").create_secret(Name="kept", SecretString="s")
        proxy = self.proxy(("500",), plan=[None])
        say = self.watch("kept", 50, url=proxy.url)
        first = say("get")
        proxy.rate = 1.0
        time.sleep(0.1)
        self.assertEqual(say("get"), first)
        self.assertGreater(len(proxy.asked), 1)

    def test_many_readers_ask_once(self):
        moto.client("secretsmanager").create_secret(Name="crowded", SecretString="s")
        proxy = self.proxy()
        self.assertEqual(self.call("secret-crowd", "crowded", url=proxy.url), [{"fine": "8"}])
        self.assertEqual(len(proxy.asked), 1)

    def test_a_secret_that_is_not_there(self):
        message = self.fails("ENOTFOUND", "secret-get", "nowhere")
        for word in ("nowhere", "GetSecretValue", "ResourceNotFoundException"):
            self.assertIn(word, message)


class Metrics(Case):
    def test_put_and_read_back(self):
        now = int(time.time()) // 60 * 60 - 600
        self.call("metric-put", "Afluxo", 1500, now)  # two requests
        rows = self.call("metric-get", "Afluxo", "m1499", "Sum", now - 600, now + 600)
        self.assertEqual([(r["time_s"], r["value"]) for r in rows], [(str(now), 1499.5)])
        self.assertEqual(self.call("metric-get", "Afluxo", "absent", "Sum", now - 600, now + 600), [])
        self.assertEqual(self.call("metric-exists", "Afluxo", "Function"), [{"exists": "1"}])
        self.assertEqual(self.call("metric-exists", "Afluxo", "Instance"), [{"exists": "0"}])
        listed = moto.client("cloudwatch").list_metrics(Namespace="Afluxo", MetricName="m7")["Metrics"]
        self.assertEqual(listed[0]["Dimensions"], [{"Name": "Function", "Value": "loader"}, {"Name": "Stage", "Value": 'café "x"'}])

    def test_embedded(self):
        (line,) = self.call("emf", "Afluxo", 1700000000)
        (directive,) = line["_aws"]["CloudWatchMetrics"]
        self.assertEqual(line["_aws"]["Timestamp"], 1700000000000)
        for key in directive["Dimensions"][0]:
            self.assertIsInstance(line[key], str)
        self.assertEqual({m["Name"]: line[m["Name"]] for m in directive["Metrics"]}, {"Points": 1000, "Ms": [1.5, 2.5]})
        self.assertEqual(line["request"], "r-1")


class KeysTopicsRoles(Case):
    def test_data_keys(self):
        kms = moto.client("kms")
        key = kms.create_key()["KeyMetadata"]
        kms.create_alias(AliasName="alias/data", TargetKeyId=key["KeyId"])
        context = '{"file":"a.tsm","block":"7"}'
        (row,) = self.call("kms-round", "alias/data", context, context)
        self.assertEqual(row["same"], "1")
        self.assertIn(key["KeyId"], row["key"])
        self.fails("EINVAL", "kms-round", "alias/data", context, '{"file":"b.tsm"}')
        self.assertEqual(self.call("kms-state", key["KeyId"]), [{"state": "Enabled"}])
        kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
        self.assertEqual(self.call("kms-state", key["KeyId"]), [{"state": "PendingDeletion"}])
        self.fails("ENOTFOUND", "kms-make", "alias/nowhere")

    def test_a_topic_reaches_its_queue(self):
        url = self.queue("subscriber")
        sns, sqs = moto.client("sns"), moto.client("sqs")
        topic = sns.create_topic(Name="alarms")["TopicArn"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        self.call("sns", topic, "Instance down", "a&b=c +é\nline two")
        (row,) = self.call("sqs-drain", url, 0, 30)
        note = json.loads(row["body"])
        self.assertEqual((note["Subject"], note["Message"], note["TopicArn"]), ("Instance down", "a&b=c +é\nline two", topic))
        self.fails("ENOTFOUND", "sns", topic + "-not", "", "m")

    def test_roles(self):
        (me,) = self.call("sts-identity")
        self.assertEqual(me["account"], "123456789012")
        (row,) = self.call("sts-assume", "arn:aws:iam::123456789012:role/loader", "me", "", 900)
        self.assertTrue(row["access_key"].startswith("ASIA"))


class ControlPlane(Server):
    """Timestream for InfluxDB in little: instances that become what they should after a few looks."""

    def __init__(self):
        self.things = {}
        super().__init__()

    def answer(self, handler, body):
        operation = handler.headers["X-Amz-Target"].split(".")[1]
        request = json.loads(body)
        name = request.get("identifier") or request.get("dbClusterId")
        if operation == "CreateDbInstance":
            identifier = f"id{len(self.things)}xyz"
            self.things[identifier] = {"looks": ["CREATING", "CREATING", request["name"] == "doomed" and "FAILED" or "AVAILABLE"]}
            return handler.say(200, {"id": identifier, "name": request["name"], "status": "CREATING"})
        if operation == "DeleteDbInstance" and name in self.things:
            self.things[name]["looks"] = ["DELETING", "DELETING", None]
            return handler.say(200, {"id": name, "status": "DELETING"})
        if operation == "ListDbInstances":
            items = [{"id": k, "name": "ü"} for k in sorted(self.things)]
            at = int(request.get("nextToken", 0))
            return handler.say(200, {"items": items[at:at + 2], **({"nextToken": str(at + 2)} if at + 2 < len(items) else {})})
        thing = self.things.get(name, {"looks": [None]})
        status = thing["looks"].pop(0) if len(thing["looks"]) > 1 else thing["looks"][0]
        if status is None:
            return handler.say(400, {"__type": "ResourceNotFoundException", "message": f"no {name}", "resourceId": name, "resourceType": "i"})
        return handler.say(200, {"id": name, "status": status, "endpoint": "host"})


class Command(Case):
    """afluxo aws ..."""

    def aws(self, status, *args, url=None, stdin=None, **env):
        return self.afluxo(status, "aws", *args, stdin=stdin, env={**lib.environment(), **moto.env(url), **env})

    def test_whoami(self):
        who = self.aws(lib.DONE, "whoami", "--json").json
        self.assertEqual((who["credentials"], who["account"], who["region"], who["endpoint"]),
                         ("environment", "123456789012", "us-east-1", moto.url))
        text = self.aws(lib.DONE, "whoami").out
        self.assertRegex(text, r"(?m)^account +123456789012$")
        self.assertNotIn("testing", text)

    def test_whoami_without_credentials(self):
        result = self.aws(lib.FAILED, "whoami", AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        self.assertIn("credentials", result.err)

    def test_queue(self):
        url = self.queue("shown")
        self.call("sqs-send", url, "m é", "why")
        for name in ("shown", url):
            self.assertEqual(self.aws(lib.DONE, "queue", "depth", name, "--json").json["visible"], 1)
        self.assertRegex(self.aws(lib.DONE, "queue", "depth", "shown").out, r"(?m)^visible +1$")
        for receives in (1, 2):
            row = self.aws(lib.DONE, "queue", "peek", "shown").json
            self.assertEqual((row["body"], row["reason"], row["receives"]), ("m é", "why", receives))
        self.assertIn("nothing came", self.aws(lib.DONE, "queue", "peek", self.queue("hollow")).err)

    def test_metrics(self):
        self.aws(lib.DONE, "metrics", "put", "Shown", "Points=12", "Ms=1.5:Milliseconds", "--dimensions", "Function=loader,Stage=a b")
        self.assertEqual(sorted(self.aws(lib.DONE, "metrics", "list", "Shown").out.splitlines()),
                         ["Ms Function=loader Stage=a b", "Points Function=loader Stage=a b"])
        row = self.aws(lib.DONE, "metrics", "get", "Shown", "Ms", "--dimensions", "Function=loader,Stage=a b", "--statistic", "Maximum", "--json").json
        self.assertEqual(row["value"], 1.5)
        for wrong in (["put", "N", "x"], ["put", "N", "x=y"], ["get", "N"], ["put", "N"], ["get", "N", "m", "--dimensions", "a"],
                      ["get", "N", "m", "--start", "soon"]):
            self.aws(lib.FAILED, "metrics", *wrong)

    def test_operations_are_listed(self):
        lines = self.aws(lib.DONE, "influxdb").out.splitlines()
        self.assertEqual(len(lines), 24)
        self.assertIn("CreateDbBackup            name dbResourceId", lines)

    def test_influxdb_of_moto(self):
        instance = {"name": "grid", "password": "secret123", "dbInstanceType": "db.influx.medium", "vpcSubnetIds": ["subnet-0123"],
                    "vpcSecurityGroupIds": ["sg-0123"], "allocatedStorage": 20}
        made = json.loads(self.aws(lib.DONE, "influxdb", "CreateDbInstance", "-", stdin=json.dumps(instance).encode()).out)
        shown = json.loads(self.aws(lib.DONE, "influxdb", "GetDbInstance", json.dumps({"identifier": made["id"]})).out)
        self.assertEqual(shown["name"], "grid")
        listed = json.loads(self.aws(lib.DONE, "influxdb", "ListDbInstances").out)
        self.assertEqual([i["id"] for i in listed["items"]], [made["id"]])
        missing = self.aws(lib.FAILED, "influxdb", "CreateDbInstance", '{"name":"x"}').err
        self.assertIn('"password", "dbInstanceType"', missing)
        self.assertIn("ListDbInstances", self.aws(lib.FAILED, "influxdb", "ListInstances").err)

    def test_influxdb_is_waited_for(self):
        plane = ControlPlane()
        self.addCleanup(plane.close)
        body = json.dumps({"name": "grid", "password": "p", "dbInstanceType": "t", "vpcSubnetIds": [], "vpcSecurityGroupIds": [],
                           "allocatedStorage": 20})
        result = self.aws(lib.DONE, "influxdb", "createdbinstance", body, "--wait", "AVAILABLE", "--every", "10ms", url=plane.url)
        self.assertEqual(json.loads(result.out), {"id": "id0xyz", "status": "AVAILABLE", "endpoint": "host"})
        self.assertEqual(result.err.split(), ["CREATING", "AVAILABLE"])
        failed = self.aws(lib.FAILED, "influxdb", "CreateDbInstance", body.replace("grid", "doomed"), "--wait", "AVAILABLE", "--every", "10ms",
                          url=plane.url)
        self.assertIn("is FAILED", failed.err)
        for _ in range(3):
            self.aws(lib.DONE, "influxdb", "CreateDbInstance", body, url=plane.url)
        self.assertEqual(len(json.loads(self.aws(lib.DONE, "influxdb", "ListDbInstances", url=plane.url).out)["items"]), 5)
        gone = self.aws(lib.DONE, "influxdb", "DeleteDbInstance", '{"identifier":"id0xyz"}', "--wait", "DELETED", "--every", "10ms", url=plane.url)
        self.assertEqual(json.loads(gone.out)["status"], "DELETING")
        late = self.aws(lib.FAILED, "influxdb", "GetDbInstance", '{"identifier":"id2xyz"}', "--wait", "NEVER", "--every", "10ms",
                        "--patience", "300ms", url=plane.url)
        self.assertIn("in time", late.err)
        self.aws(lib.FAILED, "influxdb", "ListDbInstances", "--wait", "AVAILABLE", url=plane.url)

    def test_timestream_finds_its_endpoint(self):
        """moto answers DescribeEndpoints; with an endpoint of ours nobody asks it."""
        moto.client("timestream-write").create_database(DatabaseName="ons_energy")
        listed = json.loads(self.aws(lib.DONE, "timestream", "write", "ListDatabases").out)
        self.assertEqual([d["DatabaseName"] for d in listed["Databases"]], ["ons_energy"])
        error = self.aws(lib.FAILED, "timestream", "write", "DescribeDatabase", '{"DatabaseName":"nowhere"}').err
        self.assertIn("DescribeDatabase", error)

    def test_usage(self):
        for wrong in ([], ["nonsense"], ["whoami", "x"], ["queue", "depth"], ["queue", "purge", "q"], ["timestream", "read", "x"],
                      ["metrics"], ["queue", "depth", "q", "--wait", "X"]):
            self.aws(lib.USAGE, *wrong)


if __name__ == "__main__":
    unittest.main()

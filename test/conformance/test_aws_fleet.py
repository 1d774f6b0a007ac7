"""One migration, many workers: a queue and buckets in moto, a real influxd, workers that are killed, stopped, lied to."""
import concurrent.futures
import hashlib
import json
import os
import random
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import aws_lib  # noqa: E402
from aws_lib import lib  # noqa: E402
from test_faults import Proxy  # noqa: E402

HOUR = 3600 * 10**9

# moto asks for the time of day twice a message and call, in a slow way: with a thousand messages that is all it does.
MOTO = """
import time
from moto.sqs import models
asked = models.unix_time_millis
models.unix_time_millis = lambda *when: asked(*when) if when else time.time() * 1000
from moto.server import main
main()
"""


def lines(i, count=20):
    return "".join(f"fleet,plant=p{i % 50} mw={i}.{k},n={k}i {1700000000000000000 + (i * count + k) * HOUR}\n" for k in range(count))


class Gate:
    """Hands connections on to a port of this machine; while it is shut, nothing that is asked goes through."""

    def __init__(self, target):
        self.target, self.is_shut = target, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            for a, b, is_question in ((near, far, True), (far, near, False)):
                threading.Thread(target=self.copy, args=(a, b, is_question), daemon=True).start()

    def copy(self, a, b, is_question):
        try:
            while data := a.recv(65536):
                while is_question and self.is_shut:
                    time.sleep(0.02)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self):
        self.is_shut = False
        self.listener.close()


def setUpModule():
    global moto, influxd
    moto = aws_lib.Moto(("-c", MOTO))
    influxd = lib.Influxd()


def tearDownModule():
    moto.close()
    influxd.close()


class Fleet(lib.Case):
    number = 0

    def setUp(self):
        super().setUp()
        Fleet.number += 1
        self.name = f"fleet{Fleet.number}-{os.getpid()}"
        self.db = self.name.replace("-", "_")
        self.s3, self.sqs = moto.client("s3"), moto.client("sqs")
        self.s3.create_bucket(Bucket=self.name)
        self.dead = self.sqs.create_queue(QueueName=self.name + "-dead")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        self.queue = self.sqs.create_queue(QueueName=self.name, Attributes={"RedrivePolicy": json.dumps(
            {"deadLetterTargetArn": arn, "maxReceiveCount": "50"})})["QueueUrl"]
        self.run_url = f"s3://{self.name}/runs/one"
        self.target = ["--to", influxd.url, "--bucket", self.db, "--create"]
        self.workers = []
        self.addCleanup(self.kill_all)

    def kill_all(self):
        for process in self.workers:
            process.kill()
            process.communicate()

    # --- the program -------------------------------------------------------------------------------------------------------

    def migrate(self, status, *args, **env):
        return self.afluxo(status, "migrate", *args, env=moto.env(**lib.environment(**env)), timeout=120)

    def plan(self, *sources, status=lib.DONE, more=()):
        result = self.migrate(status, "--queue", self.queue, "--run", self.run_url, "--json", *more, *(sources or [f"s3://{self.name}/in/"]))
        return result.json if status == lib.DONE else result

    def worker_command(self, *more):
        return ["migrate", "--queue", self.queue, "--work", "--json", "--idle", "2s", "--visibility", "3s", *self.target, *more]

    def work(self, status, *more):
        return self.migrate(status, *self.worker_command(*more)[1:])

    def start(self, *more, binary=None):
        process = lib.start(*self.worker_command(*more), binary=binary, env=moto.env(**lib.environment()))
        self.workers.append(process)
        return process

    def status(self, status, *more):
        return self.migrate(status, "--status", self.run_url, "--queue", self.queue, "--json", *more).json

    def verify(self, status=lib.DONE):
        return self.afluxo(status, "verify", f"s3://{self.name}/in/", "--to", influxd.url, "--bucket", self.db,
                           env=moto.env(**lib.environment()))

    # --- what is around it ---------------------------------------------------------------------------------------------------

    def put(self, key, body):
        self.s3.put_object(Bucket=self.name, Key=key, Body=body if isinstance(body, bytes) else body.encode())

    def fill(self, count):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: self.put(f"in/y={i % 10}/{i:05}.lp", lines(i)), range(count)))

    def depth(self, queue):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        return tuple(int(n) for n in self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"].values())

    def dead_letters(self):
        out = []
        while True:
            got = self.sqs.receive_message(QueueUrl=self.dead, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])
            if not got:
                return out
            for m in got:
                out.append((m["Body"], m.get("MessageAttributes", {}).get("Reason", {}).get("StringValue")))
                self.sqs.delete_message(QueueUrl=self.dead, ReceiptHandle=m["ReceiptHandle"])

    def outcome(self, key):
        name = hashlib.sha256(f"{self.name}/{key}".encode()).hexdigest()
        return json.load(self.s3.get_object(Bucket=self.name, Key=f"runs/one/objects/{name[:2]}/{name}.json")["Body"])

    def count(self):
        return influxd.count("fleet", "mw", self.db)

    # --- tests -----------------------------------------------------------------------------------------------------------------

    def test_four_workers_of_whom_two_are_killed_again_and_again(self):
        objects, chance = 1000, random.Random(6)
        self.fill(objects)
        planned = self.plan()
        self.assertEqual((planned["objects"], planned["sent"], planned["is_new"]), (objects, objects, True))
        self.assertEqual(self.status(lib.INTERRUPTED)["complete"], False)
        running = [self.start(binary=lib.RELEASE) for _ in range(4)]
        killed = 0
        for _ in range(8):
            time.sleep(0.7)
            for i in chance.sample(range(4), 2):
                if running[i].poll() is None:
                    running[i].kill()
                    running[i].communicate()
                    killed += 1
                    self.workers.remove(running[i])
                    running[i] = self.start(binary=lib.RELEASE)
        for process in running:
            out, err = process.communicate(timeout=120)
            self.assertEqual(process.returncode, lib.DONE, err)
        self.assertGreater(killed, 4)
        self.assertEqual(self.depth(self.queue), (0, 0))
        self.assertEqual(self.dead_letters(), [])
        status = self.status(lib.DONE)
        self.assertEqual((status["complete"], status["done"], status["failed"], status["rejected"]), (True, objects, 0, 0))
        self.assertEqual(status["points_written"], objects * 20)
        self.assertGreaterEqual(status["workers"], 4)
        self.assertEqual(self.count(), objects * 20)
        self.verify()

    def test_what_is_damaged_goes_to_the_dead_letter_queue_with_the_reason_and_the_rest_is_done(self):
        self.fill(5)
        self.put("in/broken.parquet", b"PAR1 this is none PAR1")
        self.put("in/rows.lp", lines(7) + "fleet,plant=x mw=nonsense 1\n")
        self.plan()
        work = self.work(lib.REJECTED)
        self.assertEqual((work.json["done"], work.json["rejected"], work.json["failed"]), (5, 1, 1))
        (body, reason), = self.dead_letters()
        self.assertEqual(json.loads(body)["key"], "in/broken.parquet")
        self.assertIn("broken.parquet", reason)
        self.assertEqual(self.outcome("in/broken.parquet")["outcome"], "failed")
        self.assertEqual(self.outcome("in/broken.parquet")["reason"], reason)
        rows = self.outcome("in/rows.lp")
        self.assertEqual((rows["outcome"], rows["rows_rejected"], rows["points_written"]), ("rejected", 1, 20))
        name = hashlib.sha256(f"{self.name}/in/rows.lp".encode()).hexdigest()
        letter = self.s3.get_object(Bucket=self.name, Key=f"runs/one/letters/{name[:2]}/{name}.jsonl")["Body"].read()
        self.assertIn(b"nonsense", letter)
        status = self.status(lib.REJECTED)
        self.assertEqual([f["object"] for f in status["failures"]], [f"s3://{self.name}/in/broken.parquet"])
        table = self.migrate(lib.REJECTED, "--status", self.run_url).out
        self.assertIn("7 of 7", table)
        self.assertIn("broken.parquet", table)

    def test_a_run_that_is_gone_on_with_does_what_is_new_and_what_failed(self):
        self.fill(12)
        self.put("in/late.parquet", b"not yet")
        self.assertEqual(self.plan()["sent"], 13)
        self.work(lib.REJECTED)
        self.s3.delete_object(Bucket=self.name, Key="in/late.parquet")
        self.put("in/y=1/00001.lp", lines(1) + lines(500))   # another ETag
        self.put("in/new.lp", lines(501))
        self.put("in/late.parquet", self.parquet())
        again = self.plan()
        self.assertEqual((again["is_new"], again["objects"], again["done_before"], again["sent"]), (False, 14, 11, 3))
        self.assertEqual(self.status(lib.INTERRUPTED)["done"], 11)
        self.assertEqual(self.work(lib.DONE).json["done"], 3)
        self.assertEqual(self.count(), 14 * 20)
        self.assertEqual(self.status(lib.DONE)["done"], 14)
        self.assertEqual(self.plan()["sent"], 0)

    def parquet(self):
        out = self.path("made")
        self.afluxo(lib.DONE, "generate", "ons", "--out", out, "--plants", "2", "--from", "2024-01-01", "--to", "2024-01-02")
        found = [os.path.join(d, f) for d, _, files in os.walk(out) for f in files if f.endswith(".parquet")]
        with open(sorted(found)[0], "rb") as f:
            return f.read()

    def test_a_run_planned_twice_at_once_is_done_once(self):
        self.fill(30)
        self.assertEqual(self.plan()["sent"], 30)
        self.assertEqual(self.plan()["sent"], 30)   # nothing is done yet: the messages are there twice
        work = self.work(lib.DONE)
        self.assertEqual((work.json["done"], work.json["done_before"]), (30, 30))
        self.assertEqual(self.count(), 600)
        self.assertIn("another dataset", self.plan(status=lib.FAILED, more=["--dataset", "ons-curva-carga"]).err)

    def test_a_worker_that_is_told_to_stop_gives_its_message_back_at_once(self):
        gate = Gate(influxd.port)
        self.addCleanup(gate.close)
        self.target = ["--to", gate.url, "--bucket", self.db]
        influxd.query(f"CREATE DATABASE {self.db}")
        process = self.start("--visibility", "300s", "--idle", "30s")
        time.sleep(1.5)   # it has found its target
        self.put("in/a.lp", lines(0, 5000))
        gate.is_shut = True
        self.plan()
        self.until(lambda: self.depth(self.queue) == (0, 1))
        time.sleep(0.5)
        process.terminate()
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, lib.INTERRUPTED, err)
        self.assertEqual(json.loads(out)["returned"], 1)
        self.assertEqual(self.depth(self.queue), (1, 0))
        gate.is_shut = False
        self.assertEqual(self.work(lib.DONE).json["done"], 1)
        self.assertEqual(self.count(), 5000)

    def until(self, true, seconds=30):
        end = time.time() + seconds
        while not true():
            self.assertLess(time.time(), end, "it did not come true")
            time.sleep(0.05)

    def test_messages_that_are_no_tasks_harm_nobody(self):
        self.fill(10)
        task = {"afluxo": 1, "run": self.plan()["run"], "journal": self.run_url, "bucket": self.name, "key": "in/y=0/00000.lp", "etag": "x"}
        garbage = ["nothing", "[1,2", "{}", json.dumps({"bucket": "..", "key": "k"}), json.dumps({"bucket": self.name, "key": "in/"}),
                   json.dumps({**task, "afluxo": 99}), json.dumps({**task, "journal": "http://x/"}), json.dumps({**task, "dataset": "nope"}),
                   json.dumps({**task, "mapping": f"s3://{self.name}/in/y=0/00000.lp"}), json.dumps({**task, "key": "in/*"}),
                   json.dumps({**task, "key": "in/none.lp"}), json.dumps({**task, "bucket": "no-such-bucket-here"}),
                   "[" * 200000, json.dumps({**task, "size": -1}),
                   json.dumps({**task, "key": "in/none.lp", "size": 1 << 50, "format": "lp"})]
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=json.dumps({**task, "format": "parquet", "size": 7}))   # lies about it
        for body in garbage:
            self.sqs.send_message(QueueUrl=self.queue, MessageBody=body)
        work = self.work(lib.REJECTED, "--run", self.run_url + "/", "--attempts", "1")
        self.assertEqual(self.depth(self.queue), (0, 0))
        letters = self.dead_letters()
        self.assertEqual(sorted(body[:100] for body, _ in letters), sorted(body[:100] for body in garbage), work)
        self.assertTrue(all(reason for _, reason in letters))
        self.assertEqual(self.count(), 200)
        self.assertEqual(self.status(lib.REJECTED)["done"], 10)

    def test_a_target_that_is_away_costs_no_attempts_and_one_that_refuses_ends_the_worker(self):
        self.fill(3)
        proxy = Proxy(self, influxd, faults="503", rate=1)
        proxy.set_sick(False)
        influxd.query(f"CREATE DATABASE {self.db}")
        self.target = ["--to", proxy.url, "--bucket", self.db]
        process = self.start("--attempts", "1", "--retry-budget", "1s", "--idle", "30s")
        time.sleep(1.5)   # it has found its target
        proxy.set_sick(True)
        self.plan()
        time.sleep(6)     # longer than the visibility: the message is extended meanwhile
        self.assertEqual(sum(self.depth(self.queue)), 3, process.poll() is not None and process.communicate())
        proxy.set_sick(False)
        self.until(lambda: self.depth(self.queue) == (0, 0))
        process.terminate()
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, lib.INTERRUPTED, err)
        self.assertEqual((json.loads(out)["done"], json.loads(out)["returned"]), (3, 0), err)
        self.assertEqual(self.dead_letters(), [])
        self.put("in/more.lp", lines(77))
        self.plan()
        self.target = ["--to", influxd.url, "--bucket", "no_such_database"]
        self.work(lib.FAILED, "--attempts", "1")
        self.assertEqual(self.dead_letters(), [])
        self.until(lambda: self.depth(self.queue) == (1, 0))

    def test_services_that_fail_and_lose_answers_lose_nothing(self):
        self.fill(40)
        proxy = Proxy(self, moto, faults="503,500,429,reset,close", rate=0.12)
        planned = self.afluxo(lib.DONE, "migrate", "--queue", self.queue, "--run", self.run_url, "--json", f"s3://{self.name}/in/",
                              env=moto.env(proxy.url, **lib.environment(AWS_MAX_ATTEMPTS="8"))).json
        self.assertEqual(planned["objects"], 40)
        work = self.afluxo(lib.DONE, *self.worker_command(), env=moto.env(proxy.url, **lib.environment(AWS_MAX_ATTEMPTS="4")), timeout=120)
        self.assertEqual(self.depth(self.queue), (0, 0))
        self.assertEqual(self.dead_letters(), [], work)
        self.assertEqual(self.count(), 800)
        self.assertEqual(self.status(lib.DONE)["done"], 40)

    def test_the_lambda_loader_takes_the_same_messages(self):
        self.fill(4)
        self.put("in/broken.parquet", b"PAR1 this is none PAR1")
        mapping = self.write("m.yaml", "measurement: mapped\ntime: {column: t, unit: s}\nfields: {v: {column: v}}\n")
        self.put("in/table.csv", "t,v\n1700000000,1.5\n1700000060,2.5\n")
        self.plan(more=["--mapping", mapping])
        influxd.query(f"CREATE DATABASE {self.db}")
        api = aws_lib.RuntimeApi()
        self.addCleanup(api.close)
        env = moto.env(**lib.environment(AWS_LAMBDA_RUNTIME_API=api.address, INFLUXDB_URL=influxd.url, INFLUXDB_TOKEN="any:thing",
                                         INFLUXDB_BUCKET=self.db, FAILED_WRITES_QUEUE_URL=self.dead))
        process = lib.start("lambda", "loader", env=env)
        self.workers.append(process)
        bodies = []
        while got := self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", []):
            bodies += [m["Body"] for m in got]
        self.assertEqual(len(bodies), 6)
        self.assertEqual(api.invoke(aws_lib.sqs_event(*bodies)), ("response", {"batchItemFailures": []}))
        (body, reason), = self.dead_letters()
        self.assertEqual(json.loads(body)["key"], "in/broken.parquet")
        self.assertEqual(self.outcome("in/broken.parquet")["reason"], reason)
        self.assertEqual(self.outcome("in/table.csv")["points_written"], 2)
        self.assertEqual((self.count(), influxd.count("mapped", "v", self.db)), (80, 2))
        status = self.migrate(lib.REJECTED, "--status", self.run_url, "--json").json
        self.assertEqual((status["complete"], status["done"], status["failed"]), (True, 5, 1))
        influxd.query("DROP SERIES FROM fleet", self.db)
        self.assertEqual(api.invoke(aws_lib.sqs_event(*bodies[:1])), ("response", {"batchItemFailures": []}))
        self.assertEqual(self.count(), 0)   # it is done already

    def test_the_lambda_loader_without_a_queue_of_failures_keeps_refused_rows_in_the_journal(self):
        self.put("in/rows.lp", lines(7) + "fleet,plant=x mw=nonsense 1\n")
        self.plan()
        influxd.query(f"CREATE DATABASE {self.db}")
        api = aws_lib.RuntimeApi()
        self.addCleanup(api.close)
        self.workers.append(lib.start("lambda", "loader", env=moto.env(**lib.environment(
            AWS_LAMBDA_RUNTIME_API=api.address, INFLUXDB_URL=influxd.url, INFLUXDB_TOKEN="any:thing", INFLUXDB_BUCKET=self.db))))
        message, = self.sqs.receive_message(QueueUrl=self.queue)["Messages"]
        self.assertEqual(api.invoke(aws_lib.sqs_event(message["Body"])), ("response", {"batchItemFailures": []}))
        self.assertEqual(self.outcome("in/rows.lp")["outcome"], "rejected")
        name = hashlib.sha256(f"{self.name}/in/rows.lp".encode()).hexdigest()
        letter = f"runs/one/letters/{name[:2]}/{name}.jsonl"
        self.assertIn(b"nonsense", self.s3.get_object(Bucket=self.name, Key=letter)["Body"].read())
        self.put("in/rows.lp", lines(7))   # mended: planned anew, its letters are gone
        self.assertEqual(self.plan()["sent"], 1)
        self.assertNotIn("Contents", self.s3.list_objects_v2(Bucket=self.name, Prefix="runs/one/letters/"))

    def test_what_the_journal_says_cannot_steer_the_terminal(self):
        self.put("in/a.lp", lines(1))
        self.plan()
        key = "in/\x1b[2J\u009b.lp"
        name = hashlib.sha256(f"{self.name}/{key}".encode()).hexdigest()
        self.put(f"runs/one/objects/{name[:2]}/{name}.json", json.dumps(
            {"afluxo": 1, "outcome": "failed", "bucket": self.name, "key": key, "reason": "bell \x07\x7f"}))
        table = self.migrate(lib.REJECTED, "--status", self.run_url).out
        self.assertIn("in/\\x1b[2J\\xc2\\x9b.lp: bell \\x07\\x7f", table)
        self.assertFalse(set(table) & set("\x1b\x07\x7f\u009b"))

    def test_words_of_the_command_line(self):
        for args, words in (([], "SOURCE"), (["/tmp"], "in S3"), (["--work", "s3://abc/x"], "no SOURCE"), (["--work", "--verify"], "--verify"),
                            (["s3://abc/x", "--run", "/tmp"], "s3://"), (["s3://abc/x", "--dataset", "nope"], None)):
            result = lib.run("migrate", "--queue", self.queue, *args, env=moto.env(**lib.environment()))
            self.expect(result, lib.USAGE if words else lib.FAILED)
            self.assertIn(words or "nope", result.err)
        self.migrate(lib.USAGE, "--work")
        told = self.migrate(lib.FAILED, "--queue", self.dead, "--work", *self.target).err   # which has none of its own
        self.assertIn("--dead-letter-queue", told)
        self.migrate(lib.FAILED, "--status", f"s3://{self.name}/nothing")
        self.put("in/a.lp", lines(1))
        ordered = self.sqs.create_queue(QueueName=self.name + ".fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        self.assertIn("FIFO", self.migrate(lib.FAILED, "--queue", ordered, f"s3://{self.name}/in/").err)
        self.assertEqual(self.plan(more=["--dry-run"])["sent"], 0)
        self.assertEqual(self.depth(self.queue), (0, 0))
        mapping = self.write("m.yaml", "no: mapping\n")
        self.migrate(lib.FAILED, "--queue", self.queue, "--mapping", mapping, f"s3://{self.name}/in/")


if __name__ == "__main__":
    unittest.main()

"""The scaler for real: moto for S3, SSM, SNS, SQS and CloudWatch, the control plane of test/lib for the instance; decisions, not their table
(that is src/lambda/scaling_test.c)."""
import datetime
import json
import os
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", room) for room in ("conformance", "e2e", "lib"))]
import lib  # noqa: E402
from aws_lib import Moto  # noqa: E402
from front import Front  # noqa: E402
from tfi_plane import Plane  # noqa: E402

BUCKET, PARAMETER = "journal", "/afluxo/grid/size"
POLICY = {"class_min": "db.influx.medium", "class_max": "db.influx.xlarge", "tier_max": "T2", "storage_max_gib": 1000}


def setUpModule():
    global moto, plane, front
    moto = Moto()
    plane = Plane(delays={"create": 0, "update": 3600}).start()
    front = Front(moto.url, plane.url)


def tearDownModule():
    front.close()
    plane.stop()
    moto.close()


class Scaler(unittest.TestCase):
    def setUp(self):
        plane.reset()
        for service in ("s3", "ssm", "sns", "sqs", "cloudwatch", "timestream-influxdb"):
            setattr(self, service.replace("-", "_"), client_of(service))
        self.reset_moto()
        self.s3.create_bucket(Bucket=BUCKET)
        self.ssm.put_parameter(Name=PARAMETER, Type="String", Value='{"class":"db.influx.large","storage_gib":100,"tier":"T1"}')
        self.topic = self.sns.create_topic(Name="decisions")["TopicArn"]
        queue = self.sqs.create_queue(QueueName="ear")["QueueUrl"]
        self.ear = queue
        self.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:ear")
        made = self.timestream_influxdb.create_db_instance(
            name="grid", username="admin", password="abcdefgh1", organization="ons", bucket="energy", dbInstanceType="db.influx.large",
            allocatedStorage=100, vpcSubnetIds=["subnet-0123456789abcdef0"], vpcSecurityGroupIds=["sg-0123456789abcdef0"])
        self.id = made["id"]
        plane.advance(60)
        self.assertEqual(self.instance()["status"], "AVAILABLE")

    def reset_moto(self):
        import urllib.request
        urllib.request.urlopen(urllib.request.Request(moto.url + "/moto-api/reset", method="POST")).read()

    def instance(self):
        return self.timestream_influxdb.get_db_instance(identifier=self.id)

    def size(self):
        return json.loads(self.ssm.get_parameter(Name=PARAMETER)["Parameter"]["Value"])

    def feed(self, minutes=90, **values):
        """A point a minute of each metric, up to now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        for name, value in values.items():
            for start in range(0, minutes, 30):
                self.cloudwatch.put_metric_data(Namespace="AWS/Timestream/InfluxDB", MetricData=[
                    {"MetricName": name, "Dimensions": [{"Name": "DbInstanceName", "Value": "grid"}], "Value": float(value),
                     "Timestamp": now - datetime.timedelta(minutes=minute)} for minute in range(start, min(start + 30, minutes))])

    def run_scaler(self, mode="act", wait=True, policy=None, **env):
        argv = [lib.BINARY, "lambda", "scaler", "--once", "-"]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=moto.env(
            front.url, INSTANCE_ID=self.id, SCALING_MODE=mode, SCALING_BUCKET=BUCKET, SIZE_PARAMETER=PARAMETER, NOTIFY_TOPIC=self.topic,
            SCALING_POLICY=json.dumps({**POLICY, **(policy or {})}), **env))
        process.stdin.write("{}")
        process.stdin.close()
        process.stdin = None
        return self.answer(process) if wait else process

    def answer(self, process):
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 0, err)
        return json.loads(out)

    def keys(self):
        return [o["Key"] for o in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def audits(self):
        return [json.loads(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()) for key in self.keys() if "/audit/" in key]

    def heard(self):
        messages = self.sqs.receive_message(QueueUrl=self.ear, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(json.loads(m["Body"])["Message"]) for m in messages]

    def test_up_is_written_down_done_audited_and_said(self):
        self.feed(CPUUtilization=95, MemoryUtilization=50, DiskUtilization=30)
        said = self.run_scaler()
        self.assertEqual((said["decision"], said["outcome"], said["to"]["class"]), ("class-up", "done", "db.influx.xlarge"), said)
        self.assertEqual(self.size(), {"class": "db.influx.xlarge", "storage_gib": 100, "tier": "T1"})
        update, = plane.requests("UpdateDbInstance")
        self.assertEqual(update["request"], {"identifier": self.id, "dbInstanceType": "db.influx.xlarge"})
        self.assertEqual([(a["decision"], a["outcome"]) for a in self.audits()], [("class-up", "done")])
        self.assertEqual([(h["decision"], h["outcome"]) for h in self.heard()], [("class-up", "done")])
        self.assertNotIn(f"scaler/{self.id}/lock", self.keys())
        # While the service is at work nothing more is asked of it.
        self.assertEqual(self.run_scaler()["outcome"], "held")
        self.assertEqual(len(plane.requests("UpdateDbInstance")), 1)

    def test_advice_changes_nothing_and_is_said_once(self):
        self.feed(CPUUtilization=95)
        for _ in range(3):
            self.assertEqual(self.run_scaler("advise")["outcome"], "advised")
        self.assertEqual(plane.requests("UpdateDbInstance"), [])
        self.assertEqual(self.size()["class"], "db.influx.large")
        self.assertEqual(len(self.heard()), 1)
        self.assertEqual(len(self.audits()), 3)

    def test_an_ordinary_day_is_left_alone(self):
        self.feed(CPUUtilization=50, MemoryUtilization=50, DiskUtilization=30, TotalIOpsPerSec=100)
        said = self.run_scaler()
        self.assertEqual((said["decision"], said["outcome"]), ("stay", "nothing"), said)
        self.assertEqual((self.audits(), self.heard()), ([], []))

    def test_without_any_metric_nothing_is_done(self):
        self.assertEqual(self.run_scaler()["decision"], "stay")

    def test_storage_grows_and_rests_for_six_hours(self):
        self.feed(DiskUtilization=80)
        self.assertEqual(self.run_scaler()["to"]["storage_gib"], 140)
        plane.advance(3700)
        said = self.run_scaler()
        self.assertEqual((said["decision"], said["outcome"]), ("storage", "held"), said)
        self.assertIn("six hours", said["why"])

    def test_a_refusal_is_taken_back_and_said(self):
        plane.fault("UpdateDbInstance", error="AccessDeniedException", count=1)
        self.feed(CPUUtilization=95)
        said = self.run_scaler()
        self.assertEqual(said["outcome"], "refused", said)
        self.assertIn("AccessDeniedException", said["refusal"])
        self.assertEqual(self.size()["class"], "db.influx.large")
        self.assertEqual([a["outcome"] for a in self.audits()], ["refused"])
        self.assertEqual(self.run_scaler()["outcome"], "done")  # and it is no cooldown

    def test_whatever_the_service_refuses_with_nothing_is_left_behind(self):
        self.feed(CPUUtilization=95)
        for error in ("ValidationException", "ResourceNotFoundException", "ServiceQuotaExceededException", "AccessDeniedException"):
            with self.subTest(error=error):
                plane.fault("UpdateDbInstance", error=error, count=1)
                said = self.run_scaler()
                self.assertEqual(said["outcome"], "refused", said)
                self.assertIn(error, said["refusal"])
                self.assertEqual(self.size()["class"], "db.influx.large")
                self.assertNotIn(f"scaler/{self.id}/lock", self.keys())
        self.assertEqual(self.instance()["dbInstanceType"], "db.influx.large")
        self.assertEqual(self.run_scaler()["outcome"], "done")  # none of them is a cooldown

    def test_who_does_not_see_the_instance_does_nothing(self):
        self.feed(CPUUtilization=95)
        plane.fault("GetDbInstance", error="AccessDeniedException", count=1)
        process = self.run_scaler(wait=False)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, out)
        self.assertIn("AccessDeniedException", err)
        self.assertEqual((plane.requests("UpdateDbInstance"), self.size()["class"]), ([], "db.influx.large"))
        self.assertNotIn(f"scaler/{self.id}/lock", self.keys())
        self.assertEqual(self.run_scaler()["outcome"], "done")

    def killed(self, arrives):
        """A scaler that dies when its wish is written down, and the service was asked (`arrives`) or not."""
        plane.fault("UpdateDbInstance", delay=2, count=1, **({"lost": "after"} if arrives else {"lost": "before"}))
        process = self.run_scaler(wait=False)
        for _ in range(200):
            if self.size()["class"] == "db.influx.xlarge":
                break
            time.sleep(0.05)
        time.sleep(0.5)  # its call is on the way
        process.kill()
        process.wait()
        time.sleep(2)    # and has arrived by now, or never will
        self.assertIn(f"scaler/{self.id}/lock", self.keys())
        self.assertEqual(self.run_scaler()["outcome"], "locked")
        self.s3.put_object(Bucket=BUCKET, Key=f"scaler/{self.id}/lock", Body=json.dumps({"who": "gone", "from_ns": 1, "until_ns": 2}))

    def test_killed_before_the_service_was_asked_the_next_does_it(self):
        self.feed(CPUUtilization=95)
        self.killed(arrives=False)
        said = self.run_scaler("advise")
        self.assertEqual(said["outcome"], "advised", said)
        self.assertEqual(self.size()["class"], "db.influx.large")  # the wish was taken back: Terraform must not do it in between
        said = self.run_scaler()
        self.assertEqual((said["outcome"], self.size()["class"]), ("done", "db.influx.xlarge"), said)

    def test_killed_after_the_service_was_asked_it_is_done_once(self):
        self.feed(CPUUtilization=95)
        self.killed(arrives=True)
        self.assertEqual(self.run_scaler()["outcome"], "held")  # it is at work
        plane.advance(3700)
        said = self.run_scaler()
        self.assertEqual((said["decision"], said["outcome"], self.size()["class"]), ("class-up", "held", "db.influx.xlarge"), said)
        self.assertEqual(self.instance()["dbInstanceType"], "db.influx.xlarge")

    def test_half_of_the_measures_are_enough_for_what_they_say(self):
        self.feed(CPUUtilization=95)  # memory, disk, operations and writes say nothing
        said = self.run_scaler("advise")
        self.assertEqual((said["decision"], said["memory"], said["disk"]), ("class-up", None, None), said)

    def test_what_is_not_measured_is_not_quiet(self):
        self.feed(MemoryUtilization=10, DiskUtilization=10)  # no processor
        self.assertEqual(self.run_scaler("advise", policy={"window": "Mon:00:00-Sun:23:59"})["decision"], "stay")

    def test_a_conflict_may_be_with_oneself(self):
        """The first attempt arrives, its answer is lost, the second finds the instance at work: that is no refusal to be taken back."""
        plane.fault("UpdateDbInstance", lost="after", count=1)
        self.feed(CPUUtilization=95)
        self.assertEqual(self.run_scaler()["outcome"], "refused")
        self.assertEqual(self.size()["class"], "db.influx.xlarge")
        plane.advance(4000)
        self.assertEqual(self.instance()["dbInstanceType"], "db.influx.xlarge")
        said = self.run_scaler()
        self.assertEqual((said["decision"], said["outcome"], self.size()["class"]), ("class-up", "held", "db.influx.xlarge"), said)

    def test_throttling_is_waited_out(self):
        plane.fault("UpdateDbInstance", error="ThrottlingException", count=1)
        self.feed(CPUUtilization=95)
        self.assertEqual(self.run_scaler()["outcome"], "done")

    def test_a_call_that_was_never_answered_is_found_out(self):
        self.feed(DiskUtilization=80)
        plane.fault("UpdateDbInstance", lost="before", count=10)
        self.assertEqual(self.run_scaler()["outcome"], "refused")
        plane.control("faults", "DELETE")
        self.assertEqual(self.run_scaler()["outcome"], "done")  # it had not arrived: no six hours are waited
        self.assertEqual(self.size()["storage_gib"], 140)

    def test_quiet_for_a_day_is_a_whole_day(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        policy = {"window": "Mon:00:00-Sun:23:59"}
        self.feed(CPUUtilization=5, MemoryUtilization=10)
        self.assertEqual(self.run_scaler(policy=policy)["decision"], "stay")  # an hour and a half is no day
        for metric in ("CPUUtilization", "MemoryUtilization"):
            for start in range(0, 300, 30):
                self.cloudwatch.put_metric_data(Namespace="AWS/Timestream/InfluxDB", MetricData=[
                    {"MetricName": metric, "Dimensions": [{"Name": "DbInstanceName", "Value": "grid"}], "Value": 5.0,
                     "Timestamp": now - datetime.timedelta(minutes=5 * n)} for n in range(start, start + 30)])
        said = self.run_scaler(policy=policy)
        self.assertEqual((said["decision"], said["outcome"], said["to"]["class"]), ("class-down", "done", "db.influx.medium"), said)

    def test_the_ceiling_holds(self):
        self.feed(CPUUtilization=95)
        said = self.run_scaler(policy={"class_max": "db.influx.large"})
        self.assertEqual(said["outcome"], "held")
        self.assertIn("ceiling", said["why"])

    def test_two_at_once_decide_once(self):
        self.feed(CPUUtilization=95)
        processes = [self.run_scaler(wait=False) for _ in range(4)]
        outcomes = sorted(self.answer(process)["outcome"] for process in processes)
        self.assertEqual(outcomes.count("done"), 1, outcomes)
        self.assertLessEqual(set(outcomes), {"done", "locked", "held"})
        self.assertEqual(len(plane.requests("UpdateDbInstance")), 1)

    def test_a_lock_left_behind_is_taken_over(self):
        key = f"scaler/{self.id}/lock"
        self.feed(CPUUtilization=95)
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps({"who": "gone", "from_ns": 1, "until_ns": 2**62}))
        self.assertEqual(self.run_scaler()["outcome"], "locked")
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps({"who": "gone", "from_ns": 1, "until_ns": 2}))
        self.assertEqual(self.run_scaler()["outcome"], "done")

    def test_a_policy_that_is_none_is_refused_by_name(self):
        for policy, word in (({"class_max": "db.m5.large"}, "class_max"), ({"cpu_up": 0}, "cpu_up"), ({"window": "Sunday"}, "window"),
                             ({"class_min": "db.influx.2xlarge"}, "class_min"), ({"budget_month": 5}, "price_medium"),
                             ({"cpu_down": 90}, "cpu_down")):
            done = subprocess.run([lib.BINARY, "lambda", "scaler", "--once", "-"], input="{}", capture_output=True, text=True, env=moto.env(
                front.url, INSTANCE_ID=self.id, SCALING_BUCKET=BUCKET, SCALING_POLICY=json.dumps({**POLICY, **policy})))
            self.assertEqual(done.returncode, 1)
            self.assertIn(word, done.stderr)


def client_of(service):
    import boto3
    return boto3.client(service, endpoint_url=front.url, region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")


if __name__ == "__main__":
    unittest.main()

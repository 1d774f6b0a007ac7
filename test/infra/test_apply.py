"""The smallest whole platform, applied and destroyed for real: Terraform, the AWS provider, moto and the control plane of test/lib.

What moto forgets and therefore Terraform wants to set again after an apply: descriptions of security group rules. Nothing else may change.
"""
import json
import os
import re
import sys
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", room) for room in ("conformance", "e2e", "lib"))]
import terraform  # noqa: E402
from aws_lib import Moto  # noqa: E402
from front import Front  # noqa: E402
from tfi_plane import Plane  # noqa: E402

# Roles and policies: where a wildcard stands, and why there is no narrower way. (statement's Sid, what)
WILDCARDS = {("NetworkInterfaces", "Resource *"), ("Log", "stream"), ("OwnAccount", "Action *"), ("OwnAccount", "Resource *"),
             ("TlsOnly", "Action s3:*"), ("ReadObjects", "prefix")}


def setUpModule():
    global moto, plane, front, infra, planned, after
    moto = Moto()
    plane = Plane(delays={"create": 1, "delete": 1}).start()
    front = Front(moto.url, plane.url)
    infra = terraform.Infra(front.url, example="minimal")
    zip_path = os.path.join(infra.where(), "function.zip")
    with open(zip_path, "wb") as f:
        f.write(b"PK\x05\x06" + bytes(18))
    infra.variables(zip=zip_path, emails=["a@b.co"])
    infra.run("apply", "-auto-approve")
    infra.run("plan", "-detailed-exitcode", "-out=again", status=2)
    after = json.loads(infra.run("show", "-json", "again"))


def tearDownModule():
    infra.close()
    front.close()
    plane.stop()
    moto.close()


def statements(resources):
    for resource in resources:
        for key in ("policy", "assume_role_policy"):
            text = resource["values"].get(key)
            if text:
                said = json.loads(text)["Statement"]
                for statement in said if isinstance(said, list) else [said]:
                    yield resource["address"], statement


def all_resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from all_resources(child)


def as_list(value):
    return value if isinstance(value, list) else [value]


class Applied(unittest.TestCase):
    maxDiff = None

    def resources(self, kind=None):
        return [r for r in all_resources(after["prior_state"]["values"]["root_module"]) if r["mode"] == "managed" and kind in (None, r["type"])]

    def test_1_nothing_is_left_to_change(self):
        changed = [c for c in after["resource_changes"] if c["change"]["actions"] not in (["no-op"], ["read"])]
        for change in changed:
            before, then = change["change"]["before"], change["change"]["after"]
            differs = {key for key in then if then[key] != before.get(key)}
            self.assertEqual((differs, change["type"].rpartition("_")[0]), ({"description"}, re.sub("_rule$", "", change["type"])), change["address"])

    def test_2_the_database_is_private_and_reached_by_functions_alone(self):
        instance, = plane.state()["things"].values() if isinstance(plane.state()["things"], dict) else plane.state()["things"]
        text = json.dumps(instance)
        self.assertIn('"publiclyAccessible": false', text)
        database, = [r["values"] for r in self.resources("aws_security_group") if "influxdb" in r["values"]["name"]]
        rules = [r["values"] for r in self.resources("aws_vpc_security_group_ingress_rule") if r["values"]["security_group_id"] == database["id"]]
        self.assertEqual([(r["from_port"], r["to_port"], r["cidr_ipv4"], r["referenced_security_group_id"] != "") for r in rules],
                         [(8086, 8086, None, True)])

    def test_3_no_wildcard_is_unexplained(self):
        found = set()
        for address, statement in statements(self.resources()):
            sid = statement.get("Sid", "")
            for action in as_list(statement.get("Action", [])):
                if "*" in action:
                    found.add((sid, f"Action {action}"))
            for resource in as_list(statement.get("Resource", [])):
                if resource == "*":
                    found.add((sid, "Resource *"))
                elif resource.endswith(":log-stream:*"):
                    found.add((sid, "stream"))
                elif sid == "ReadObjects" and resource.endswith("/dataset=*"):
                    found.add((sid, "prefix"))
                elif "*" in resource and sid != "TlsOnly":
                    found.add((sid, resource))
        self.assertEqual(found, WILDCARDS)

    def test_4_every_alarm_has_a_page_and_a_metric_that_somebody_emits(self):
        ours = set(re.findall(r"^AF_X\((\w+),", open(os.path.join(terraform.ROOT, "src/lambda/metrics.def")).read(), re.M))
        service = set("""CPUUtilization MemoryUtilization DiskUtilization HeapMemoryUsage ActiveMemoryAllocation ReadOpsPerSec WriteOpsPerSec
            TotalIOpsPerSec ReadThroughput WriteThroughput APIRequestRate QueryResponseVolume QueryRequestsTotal SeriesCardinality TotalBuckets
            EngineUptime WriteTimeouts ActiveTaskWorkers TaskExecutionFailures""".split())
        known = {"Afluxo": ours, "AWS/Timestream/InfluxDB": service,
                 "AWS/Lambda": {"Errors", "Throttles", "Duration", "Invocations", "ConcurrentExecutions"},
                 "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible", "NumberOfMessagesSent", "NumberOfMessagesDeleted"},
                 "AWS/ApiGateway": {"5XXError", "4XXError", "Latency", "Count"}}
        alarms = [r["values"] for r in self.resources("aws_cloudwatch_metric_alarm")]
        self.assertGreater(len(alarms), 20)
        for alarm in alarms:
            page = re.search(r"docs/runbooks/([a-z-]+\.md)", alarm["alarm_description"])
            self.assertTrue(page and os.path.exists(os.path.join(terraform.ROOT, "docs/runbooks", page[1])), alarm["alarm_name"])
            metrics = [(q["metric"][0]["namespace"], q["metric"][0]["metric_name"]) for q in alarm["metric_query"] if q["metric"]] or \
                [(alarm["namespace"], alarm["metric_name"])]
            for namespace, metric in metrics:
                self.assertIn(metric, known[namespace], alarm["alarm_name"])
        members = {m for r in self.resources("aws_cloudwatch_composite_alarm") for m in re.findall(r'ALARM\("([^"]+)"\)', r["values"]["alarm_rule"])}
        self.assertEqual(members, {a["alarm_name"] for a in alarms})  # each pages by a group, and by one alone

    def test_5_functions_know_where_to_go_and_hold_no_secret(self):
        functions = {r["values"]["function_name"]: r["values"]["environment"][0]["variables"] for r in self.resources("aws_lambda_function")}
        self.assertEqual(set(functions), {"afluxo-loader", "afluxo-monitor"})
        known = set(re.findall(r"^AF_X\((\w+),", open(os.path.join(terraform.ROOT, "src/lambda/settings.def")).read(), re.M))
        for name, variables in functions.items():
            self.assertLessEqual(set(variables), known, name)
            self.assertTrue(variables["INFLUXDB_URL"].startswith("https://"), name)
            self.assertNotIn("INFLUXDB_TOKEN", variables)

    def test_6_grafana_reads_the_same_dashboard(self):
        body = json.loads(self.resources("aws_cloudwatch_dashboard")[0]["values"]["dashboard_body"])
        charts = [w for w in body["widgets"] if w["type"] == "metric"]
        self.assertGreater(len(charts), 10)
        for chart in charts:
            self.assertTrue(chart["properties"]["metrics"], chart["properties"]["title"])

    def test_9_destroy_leaves_nothing_behind(self):
        infra.run("destroy", "-auto-approve")
        with urllib.request.urlopen(moto.url + "/moto-api/data.json") as answer:
            data = json.load(answer)
        self.assertEqual(infra.run("state", "list").strip(), "")
        for service, kinds in {"s3": ["FakeBucket"], "sqs": ["Queue"], "secretsmanager": ["FakeSecret"], "logs": ["LogGroup"],
                               "awslambda": ["LambdaFunction"], "iam": ["Role"], "sns": ["Topic", "Subscription"], "scheduler": ["Schedule"],
                               "cloudwatch": ["FakeAlarm", "Dashboard"], "ec2": ["VPCEndPoint", "NetworkInterface"]}.items():
            for kind in kinds:
                self.assertEqual(data.get(service, {}).get(kind, []), [], f"{service} {kind}")
        self.assertEqual(front.alarms.kept, {})


if __name__ == "__main__":
    unittest.main()

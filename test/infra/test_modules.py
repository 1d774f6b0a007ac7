"""Every module and example by itself: written as `fmt` writes it, valid for the real provider, planned by its own tests (mock provider).

What needs provider 6.x cannot be planned with the provider that is here (5.100): its variables are, with every rule on them.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import terraform  # noqa: E402

INFRA = os.path.join(terraform.ROOT, "infra")
ALL = sorted(os.path.relpath(os.path.dirname(name), INFRA) for name in glob.glob(os.path.join(INFRA, "*", "*", "versions.tf")))
KEY = {"kms_key_arn": "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"}

CLUSTER = {"name": "grid", "vpc_id": "vpc-1", "subnet_ids": ["subnet-1", "subnet-2"], "allowed_cidrs": {"office": "10.0.0.0/16"}}
V2 = {**CLUSTER, "marketplace_subscribed": True, "storage_gib": 400}
V3 = {**CLUSTER, "engine": "v3-core", "s3_endpoint_id": "vpce-1"}
KNOWLEDGE = {"name": "grid"}
RIGHT = [("influxdb_cluster", V2), ("influxdb_cluster", V3),
         ("influxdb_cluster", {**V3, "engine": "v3-enterprise", "subnet_ids": ["subnet-1"]}),
         ("influxdb_cluster", {**V2, "storage_tier": "T3", "port": 9000, "maintenance": {"window": "Sun:03:00-Sun:05:00"}}),
         ("knowledge_base", KNOWLEDGE),
         ("knowledge_base", {**KNOWLEDGE, "dimension": 512, "encryption": KEY, "documents_bucket": "my-docs"})]
# module, what is right but for the last, words of the one message
BROKEN = [
    ("influxdb_cluster", {**V2, "name": "grid_1"}, "no underscores"),
    ("influxdb_cluster", {**V2, "engine": "v1"}, "v2, v3-core or v3-enterprise"),
    ("influxdb_cluster", {**V2, "marketplace_subscribed": False}, "AWS Marketplace"),
    ("influxdb_cluster", {**V2, "storage_gib": None}, "engine v2 needs a whole number"),
    ("influxdb_cluster", {**V2, "storage_gib": 16000}, "from 20 to 15360"),
    ("influxdb_cluster", {**V2, "storage_gib": 100, "storage_tier": "T2"}, "begins at 400"),
    ("influxdb_cluster", {**V2, "subnet_ids": ["subnet-1"]}, "with v2 at least two"),
    ("influxdb_cluster", {**V2, "failover_mode": "MANUAL"}, "AUTOMATIC or NO_FAILOVER"),
    ("influxdb_cluster", {**V2, "bucket": "_tasks"}, "no underscore first"),
    ("influxdb_cluster", {**V2, "password": "short"}, "8 to 64"),
    ("influxdb_cluster", {**V2, "instance_class": "db.r5.large"}, "db.influx.medium"),
    ("influxdb_cluster", {**V2, "port": 8090}, "keeps for itself"),
    ("influxdb_cluster", {**V2, "maintenance": {"window": "sunday night"}}, "Sun:03:00-Sun:05:00"),
    ("influxdb_cluster", {**V2, "maintenance": {"window": "Sun:25:00-Sun:26:00"}}, "Sun:03:00-Sun:05:00"),
    ("influxdb_cluster", {**V2, "maintenance": {"window": "Sun:03:00-Sun:05:00", "timezone": "America/Argentina/Buenos_Aires"}},
     "19 characters"),
    ("influxdb_cluster", {**V2, "allowed_cidrs": {"all": "0.0.0.0/0"}}, "never 0.0.0.0/0"),
    ("influxdb_cluster", {**V3, "storage_gib": 100}, "keeps its data in S3"),
    ("influxdb_cluster", {**V3, "bucket": "energy_data"}, "refuses it with InfluxDB 3"),
    ("influxdb_cluster", {**V3, "username": "admin"}, "refuses it with InfluxDB 3"),
    ("influxdb_cluster", {**V3, "password": "Secret123"}, "refuses it with InfluxDB 3"),
    ("influxdb_cluster", {**V3, "organization": "ons"}, "refuses it with InfluxDB 3"),
    ("influxdb_cluster", {**V3, "parameter_group_id": "abc123"}, "refuses it with InfluxDB 3"),
    ("influxdb_cluster", {**V3, "s3_endpoint_id": None}, "gateway endpoint of S3"),
    ("knowledge_base", {**KNOWLEDGE, "name": "Grid"}, "lower-case"),
    ("knowledge_base", {**KNOWLEDGE, "dimension": 768}, "256, 512 or 1024"),
    ("knowledge_base", {**KNOWLEDGE, "distance": "manhattan"}, "cosine or euclidean"),
    ("knowledge_base", {**KNOWLEDGE, "documents_bucket": "s3://docs"}, "no s3://"),
    ("knowledge_base", {**KNOWLEDGE, "prefix": "/docs"}, "without a slash"),
    ("knowledge_base", {**KNOWLEDGE, "model": "arn:aws:bedrock:us-east-1::foundation-model/x"}, "no ARN"),
    ("knowledge_base", {**KNOWLEDGE, "chunk_tokens": 10}, "20 to 8192"),
    ("knowledge_base", {**KNOWLEDGE, "encryption": {"kms_key_arn": "alias/grid"}}, "not an alias"),
]


def claims(name):
    with open(os.path.join(INFRA, name, "versions.tf")) as f:
        return "5" if ">= 5.100, < 7.0" in f.read() else "6"


def run(where, *args):
    """(exit status, what was printed), as a caller sees it."""
    done = subprocess.run([terraform.program(), *args], cwd=where, env=terraform.clean_env(), stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    return done.returncode, done.stdout


def setUpModule():
    global kept, copy
    kept = tempfile.TemporaryDirectory(prefix="afluxo-modules-")
    copy = os.path.join(kept.name, "infra")
    shutil.copytree(INFRA, copy, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))


def tearDownModule():
    kept.cleanup()


class Modules(unittest.TestCase):
    maxDiff = None

    def test_written_as_fmt_writes_it(self):
        self.assertEqual(run(INFRA, "fmt", "-check", "-recursive", "-no-color"), (0, ""))

    def test_each_has_its_files(self):
        self.assertGreaterEqual(len(ALL), 15)
        for name in ALL:
            with self.subTest(of=name):
                there = {os.path.basename(path) for path in glob.glob(os.path.join(INFRA, name, "*.tf"))}
                self.assertLessEqual({"main.tf", "variables.tf", "versions.tf"}, there)
                if claims(name) == "5":
                    self.assertTrue(glob.glob(os.path.join(INFRA, name, "tests", "*.tftest.hcl")), "no tests/*.tftest.hcl")

    def test_versions_are_pinned(self):
        for name in ALL:
            with open(os.path.join(INFRA, name, "versions.tf")) as f:
                text = f.read()
            with self.subTest(of=name):
                self.assertIn('required_version = ">= 1.11"', text)
                self.assertRegex(text, r'version = ">= (5\.100|6\.66), < 7\.0"')
                self.assertEqual(re.findall(r'source  = "(.*)"', text), ["hashicorp/aws"])

    def test_no_module_sets_up_a_provider(self):
        for name in ALL:
            if name.startswith("modules"):
                for path in glob.glob(os.path.join(INFRA, name, "*.tf")):
                    with open(path) as f:
                        self.assertNotRegex(f.read(), r'(?m)^provider "', path)


def planned(name):
    def test(self):
        where = os.path.join(copy, name)
        plugins = terraform.plugins()
        status, said = run(where, "init", "-no-color", *([f"-plugin-dir={plugins}"] if plugins else []))
        self.assertEqual(status, 0, said)
        status, said = run(where, "validate", "-no-color", "-json")
        self.assertEqual((status, json.loads(said)["diagnostics"]), (0, []), said)
        status, said = run(where, "test", "-no-color")
        self.assertEqual(status, 0, said)
        self.assertRegex(said, r"Success! [1-9]\d* passed, 0 failed")
    return test


for one in ALL:
    if claims(one) == "5":
        setattr(Modules, "test_plans_of_" + one.replace("/", "_").replace("-", "_"), planned(one))


class Newer(unittest.TestCase):
    """Rules on the variables of what needs provider 6.x, planned without the resources that 5.100 does not know."""
    maxDiff = None

    def plan(self, module, values):
        with tempfile.TemporaryDirectory(prefix="afluxo-variables-") as where:
            shutil.copy(os.path.join(INFRA, "modules", module, "variables.tf"), where)
            with open(os.path.join(where, "test.auto.tfvars.json"), "w") as f:
                json.dump(values, f)
            return run(where, "plan", "-no-color")

    def test_right_inputs_plan(self):
        for module, values in RIGHT:
            with self.subTest(module=module, given=values):
                status, said = self.plan(module, values)
                self.assertEqual(status, 0, said)

    def test_broken_inputs_say_what_to_change(self):
        for module, values, words in BROKEN:
            with self.subTest(module=module, words=words):
                status, said = self.plan(module, values)
                faults = terraform.errors(said)
                self.assertEqual((status, len(faults)), (1, 1), said)
                self.assertIn(words, faults[0])


if __name__ == "__main__":
    unittest.main()

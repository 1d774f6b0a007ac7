"""Every resource, argument and block of infra/ against the schema of the AWS provider: 6.66 for all of it, and 5.100 where it is claimed.

The 6.66 schema comes from an npm package (schema/provider6.py), the other from the provider itself. The checker is tested first: faults
put into a right module must each be found, and nothing else.
"""
import glob
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "schema")]
import terraform  # noqa: E402
import provider5  # noqa: E402
import provider6  # noqa: E402
from check import Directory, check, wanted  # noqa: E402

ALL = sorted(os.path.dirname(name) for name in glob.glob(os.path.join(terraform.ROOT, "infra", "*", "*", "versions.tf")))
AWS = 'terraform {\n  required_providers {\n    aws = {\n      source = "hashicorp/aws"\n    }\n  }\n}\n'
# file, what is replaced (once), by what, words of the one fault
SEEDED = [
    ("modules/network/main.tf", 'resource "aws_vpc" "this"', 'resource "aws_vcp" "this"', "the provider has no resource aws_vcp"),
    ("modules/network/main.tf", 'data "aws_region" "here"', 'data "aws_regions_of" "here"',
     "the provider has no data source aws_regions_of"),
    ("modules/network/main.tf", "enable_dns_support   =", "enable_dns_suport   =", "aws_vpc.this: no argument enable_dns_suport"),
    ("modules/network/main.tf", "enable_dns_support   = true", "arn = \"x\"", "aws_vpc.this: arn is for AWS to say"),
    ("modules/influxdb/main.tf", "  timeouts {", "  time_outs {", "no block time_outs"),
    ("modules/influxdb/main.tf", 'dynamic "log_delivery_configuration"', 'dynamic "log_delivery"', "no block log_delivery"),
    ("modules/influxdb/main.tf", "        enabled     = true\n", "", "s3_configuration: enabled is required"),
    ("modules/influxdb/main.tf", "  organization                  = var.organization\n", "",
     "aws_timestreaminfluxdb_db_instance.this: organization is required"),
    ("modules/influxdb/main.tf", "local.size.tier", "local.sice.tier", "local sice is not declared"),
    ("modules/influxdb/main.tf", "var.network_type\n  port", "var.network_kind\n  port", "variable network_kind is not declared"),
    ("modules/influxdb/outputs.tf", "aws_security_group.database.id", "aws_security_group.databases.id",
     "aws_security_group.databases is not declared"),
    ("modules/influxdb/outputs.tf", "aws_security_group.database.id", "aws_security_group.database.ident", "has no attribute ident"),
    ("modules/influxdb/main.tf", "data.aws_subnet.each : subnet.vpc_id == var.vpc_id])\n",
     "data.aws_subnet.every : subnet.vpc_id == var.vpc_id])\n",
     "data.aws_subnet.every is not declared"),
    ("modules/influxdb/main.tf", '"InfluxIOIncluded${local.size.tier}"', '"InfluxIOIncluded${local.size.tier}', "a string is not closed"),
    ("modules/bucket/variables.tf", 'variable "tags"', 'variable "left_over" {\n  description = "x"\n  type = string\n}\n\nvariable "tags"',
     "variable left_over is not used"),
    ("modules/bucket/main.tf", "bucket        = var.name", "bucket = \"x\"", "variable name is not used"),
    ("modules/bucket/main.tf", 'resource "aws_s3_bucket" "this"', 'locals {\n  idle = 1\n}\n\nresource "aws_s3_bucket" "this"',
     "local idle is not used"),
    ("modules/bucket/outputs.tf", '  description = "Its ARN."\n', "", "output arn has no description"),
    ("examples/minimal/main.tf", "  influxdb_url       = module.influxdb.url", "  influxdb_uri       = module.influxdb.url",
     "it has no variable influxdb_uri"),
    ("examples/minimal/main.tf", "  emails        = var.emails\n", "  # var.emails\n", "module observability: emails is required"),
    ("examples/minimal/main.tf", "module.influxdb.name\n", "module.influxdb.called\n", "module influxdb has no output called"),
    ("examples/minimal/main.tf", "module.influxdb.name\n", "module.influx.name\n", "module influx is not declared"),
    ("examples/minimal/main.tf", "module \"network\" {", "module \"network\" {\n  source = \"../../modules/network\"",
     "source is given twice"),
    ("examples/minimal/main.tf", "flow_log_days       = 0", "flow_log_days       = (0", "main.tf:"),
    ("modules/ingest/main.tf", "-${data.aws_caller_identity.me.account_id}", "-${data.aws_caller_identity.you.account_id}",
     "data.aws_caller_identity.you is not declared"),
]


def claims(path):
    """The oldest provider that a directory says it takes."""
    with open(os.path.join(path, "versions.tf")) as f:
        return "5" if ">= 5.100, < 7.0" in f.read() else "6"


def label(path):
    return "/".join(path.split(os.sep)[-2:])


def setUpModule():
    global schema5, schema6, configuration
    types = wanted(ALL)
    schema6 = provider6.load(types)
    configuration = terraform.Terraform(AWS)
    schema5 = provider5.load(terraform.program(), configuration.where(), configuration.env, types)


def tearDownModule():
    configuration.close()


class Schema(unittest.TestCase):
    maxDiff = None

    def test_all_of_it_is_of_provider_6(self):
        for path in ALL:
            with self.subTest(of=label(path)):
                self.assertEqual(check(path, schema6), [])

    def test_what_claims_so_is_of_provider_5_too(self):
        claiming = [path for path in ALL if claims(path) == "5"]
        self.assertGreaterEqual(len(claiming), 13)
        for path in claiming:
            with self.subTest(of=label(path)):
                self.assertEqual(check(path, schema5), [])

    def test_what_needs_provider_6_needs_it(self):
        for path in ALL:
            if claims(path) == "6":
                with self.subTest(of=label(path)):
                    self.assertTrue(check(path, schema5), "nothing in it is newer than 5.100: let versions.tf say so")

    def test_examples_take_what_their_modules_take(self):
        for path in ALL:
            for block in Directory(path).modules.values():
                child = os.path.normpath(os.path.join(path, block.arguments["source"].text.strip('"')))
                if claims(path) == "5":
                    self.assertEqual(claims(child), "5", f"{label(path)} uses {label(child)}")


class Checker(unittest.TestCase):
    """Does the checker see?"""
    maxDiff = None

    def seeded(self, name, old, new):
        with tempfile.TemporaryDirectory(prefix="afluxo-schema-") as where:
            infra = os.path.join(where, "infra")
            shutil.copytree(os.path.join(terraform.ROOT, "infra"), infra, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
            path = os.path.join(infra, name)
            with open(path) as f:
                text = f.read()
            self.assertIn(old, text, f"{name} is not what this test was written for")
            with open(path, "w") as f:
                f.write(text.replace(old, new, 1))
            return [check(os.path.dirname(path), schema) for schema in (schema5, schema6)]

    def test_each_fault_is_found_with_both_schemas(self):
        for name, old, new, words in SEEDED:
            with self.subTest(fault=words):
                for faults in self.seeded(name, old, new):
                    self.assertTrue(any(words in fault for fault in faults), faults)
                    self.assertTrue(all(":" in fault for fault in faults))

    def test_where_it_is_said_so(self):
        for faults in self.seeded("modules/network/main.tf", "enable_dns_support   =", "enable_dns_suport   ="):
            with open(os.path.join(terraform.ROOT, "infra/modules/network/main.tf")) as f:
                line = f.read().split("enable_dns_support")[0].count("\n") + 1
            self.assertEqual(faults, [f"main.tf:{line}: aws_vpc.this: no argument enable_dns_suport"])

    def test_the_two_schemas_agree_on_what_both_know(self):
        """The extract is as good as the real thing where both can be asked: same arguments and blocks but for what 6.x added or took."""
        known = differ = 0
        for kind in ("resource", "data"):
            for of in schema5[kind].keys() & schema6[kind].keys():
                for part in ("arguments", "blocks"):
                    old, new = set(schema5[kind][of][part]), set(schema6[kind][of][part])
                    known += len(old)
                    differ += len(old - new)
        self.assertGreater(known, 500)
        self.assertLess(differ, known // 50, "more than one in fifty is unknown to the extract: it is read wrongly")


if __name__ == "__main__":
    unittest.main()

"""The real Terraform and the real AWS provider against the control plane of Timestream for InfluxDB for tests (test/lib/tfi_plane.py).

One life of two instances: created, one of them in vain; then the good one is changed in place while the other is made anew; no drift;
destroyed. Each test looks at one side of it. The provider waits 30 seconds before it looks after a deletion, twice.
"""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import terraform  # noqa: E402
from tfi_plane import Plane  # noqa: E402

MAIN = """
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "url"     { type = string }
variable "class"   { default = "db.influx.medium" }
variable "storage" { default = 400 }
variable "tier"    { default = "InfluxIOIncludedT1" }
variable "zones"   { default = "SINGLE_AZ" }
variable "group"   { default = null }

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    timestreaminfluxdb = var.url
  }
}

resource "aws_timestreaminfluxdb_db_instance" "grid" {
  name                          = "grid"
  username                      = "admin"
  password                      = "secret123"
  organization                  = "org"
  bucket                        = "energy"
  db_instance_type              = var.class
  db_storage_type               = var.tier
  allocated_storage             = var.storage
  deployment_type               = var.zones
  db_parameter_group_identifier = var.group
  vpc_subnet_ids                = ["subnet-0a", "subnet-0b"]
  vpc_security_group_ids        = ["sg-0a"]
  tags                          = { team = "grid" }
}

resource "aws_timestreaminfluxdb_db_instance" "doomed" {
  name                   = "doomed"
  username               = "admin"
  password               = "secret123"
  organization           = "org"
  bucket                 = "energy"
  db_instance_type       = "db.influx.medium"
  allocated_storage      = 20
  vpc_subnet_ids         = ["subnet-0a"]
  vpc_security_group_ids = ["sg-0a"]
}
"""
DELAYS = {name: 0.5 for name in ("create", "update", "delete", "backup", "gone")}


class Life(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.plane = plane = Plane(delays=DELAYS).start()
        cls.addClassCleanup(plane.stop)
        parameters = {"InfluxDBv2": {"queryConcurrency": 8}}
        cls.group = plane.call("CreateDbParameterGroup", {"name": "tuned", "parameters": parameters})["id"]
        plane.fault("CreateDbInstance", when={"name": "doomed"}, ends="FAILED")
        plane.fault("GetDbInstance", error="ThrottlingException", count=2)
        tf = terraform.Terraform(MAIN, url=plane.url)
        cls.addClassCleanup(tf.close)
        cls.first = tf.run("apply", "-auto-approve", status=1)
        cls.half = json.loads(tf.run("show", "-json"))["values"]["root_module"]["resources"]
        plane.control("reset", "POST", {"things": False})
        change = {"class": "db.influx.large", "storage": 500, "tier": "InfluxIOIncludedT2", "zones": "WITH_MULTIAZ_STANDBY",
                  "group": cls.group}
        cls.second = tf.run("apply", "-auto-approve", **change)
        cls.changes = plane.requests()
        cls.whole = {t["facts"]["name"]: t["facts"] for t in plane.state()["things"].values()}
        tf.run("plan", "-detailed-exitcode", **change)  # exit status 2 would be drift
        plane.call("CreateDbBackup", {"name": "last", "dbResourceId": cls.whole["grid"]["id"]})
        plane.advance(1)
        cls.last = tf.run("destroy", "-auto-approve", **change)
        cls.left = {t["facts"]["name"] for t in plane.state()["things"].values()}
        cls.requests = plane.requests()

    def asked(self, operation):
        return [r["request"] for r in self.changes if r["operation"] == operation]

    def test_a_failed_creation_is_told_and_tainted(self):
        self.assertIn("unexpected state 'FAILED', wanted target 'AVAILABLE'", self.first)
        state = {r["name"]: r for r in self.half}
        self.assertTrue(state["doomed"]["tainted"])
        self.assertNotIn("tainted", state["grid"])
        self.assertEqual(state["grid"]["values"]["port"], 8086)

    def test_the_next_apply_makes_it_anew(self):
        self.assertIn("1 added, 1 changed, 1 destroyed", self.second)
        self.assertEqual([r["name"] for r in self.asked("CreateDbInstance")], ["doomed"])
        self.assertEqual(len(self.asked("DeleteDbInstance")), 1)

    def test_the_other_is_changed_in_place(self):
        (update,) = self.asked("UpdateDbInstance")
        self.assertEqual(update, {"identifier": self.whole["grid"]["id"], "dbInstanceType": "db.influx.large", "allocatedStorage": 500,
                                  "dbStorageType": "InfluxIOIncludedT2", "deploymentType": "WITH_MULTIAZ_STANDBY",
                                  "dbParameterGroupIdentifier": self.group})
        grid = next(r["values"] for r in self.half if r["name"] == "grid")
        self.assertEqual(grid["id"], self.whole["grid"]["id"])
        self.assertEqual(self.whole["grid"]["dbInstanceType"], "db.influx.large")
        self.assertEqual(self.whole["grid"]["secondaryAvailabilityZone"], "us-east-1b")

    def test_nothing_is_left_but_what_the_service_keeps(self):
        self.assertIn("2 destroyed", self.last)
        self.assertEqual(self.left, {"tuned", "last"})  # no call deletes a parameter group; backups on demand stay

    def test_the_provider_asks_only_what_the_service_knows(self):
        self.assertEqual([r for r in self.requests if r.get("unknown")], [])
        self.assertLessEqual({r.get("error") for r in self.requests}, {None, "ResourceNotFoundException"})


if __name__ == "__main__":
    unittest.main()

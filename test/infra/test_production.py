"""The example production, applied, changed and destroyed for real: two zones with a standby, API with WAF, a key, the scaler, a budget.

A life in order: applied; nothing to change; the scaler's decision followed; applied again, nothing; a budget raised; destroyed.
"""
import json
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import applied  # noqa: E402

CALLER = "arn:aws:iam::123456789012:role/analyst"
GIVEN = {"emails": ["a@b.co", "c@d.org"], "callers": [CALLER], "monthly_budget": 500}
# Beyond those of every example: where a wildcard stands and why.
WILDCARDS = applied.WILDCARDS | {
    ("Administration", "Action kms:*"), ("Administration", "Resource *"),  # a key's own policy: this key, the account
    *{("Services", what) for what in ("Action kms:GenerateDataKey*", "Action kms:ReEncrypt*", "Resource *")},  # the same key
    ("Measure", "Resource *"),   # CloudWatch knows no narrower resource for reading metrics
    ("Audit", "AUDIT"),          # an object a decision
    ("Callers", "ROUTES"), ("NobodyElse", "ROUTES"),  # an API's own policy: its routes
    ("MakeGroup", "Resource *"),  # a list knows no resource, and a group that is to be made has no identifier yet
    ("ReadGroup", "arn:aws:timestream-influxdb:us-east-1:123456789012:db-parameter-group/*"),  # known by its name, not yet by its identifier
    ("List", "Resource *"), ("Place", "Resource *"),  # lists, and what EC2 is asked for where an instance is placed, know none narrower
    *{(sid, f"arn:aws:timestream-influxdb:us-east-1:123456789012:{kind}/*") for sid, kind in (  # named by the service when they are made:
        ("Look", "db-instance"), ("Look", "db-backup"), ("Make", "db-backup"), ("Tag", "db-backup"), ("Tag", "db-instance"),
        ("Drop", "db-backup"), ("Restore", "db-backup"), ("Restore", "db-instance"), ("RemoveTest", "db-instance"))},  # our tags narrow it
    ("NeverInPlace", "Resource *"),  # a refusal is as wide as it can be
    ("", "STREAM"),              # flow log: a stream an interface, named by AWS
}


def setUpModule():
    global world, infra, plan
    world = applied.World()
    unittest.addModuleCleanup(world.close)
    infra = world.apply("production", **GIVEN)
    unittest.addModuleCleanup(infra.close)
    plan = applied.planned(infra)


def instance():
    found, = [t["facts"] for t in world.plane.state()["things"].values() if t["kind"] == "db-instance"]
    return found


class Production(applied.Checks, unittest.TestCase):
    @property
    def plan(self):
        return plan

    def test_1_nothing_is_left_to_change_but_what_moto_forgets(self):
        self.assertEqual(applied.drift(plan), applied.FORGOTTEN)

    def test_2_the_database_is_private_with_a_standby_in_the_second_zone(self):
        facts = self.check_database_is_private(world.plane, zones=2)
        self.assertEqual((facts["dbInstanceType"], facts["dbStorageType"], facts["allocatedStorage"], facts["deploymentType"]),
                         ("db.influx.2xlarge", "InfluxIOIncludedT1", 400, "WITH_MULTIAZ_STANDBY"))
        self.assertNotEqual(facts["availabilityZone"], facts["secondaryAvailabilityZone"])

    def test_3_no_wildcard_is_unexplained(self):
        self.assertEqual(applied.wildcards(self.resources()), WILDCARDS)

    def test_4_alarms_and_dashboards_name_what_is_emitted(self):
        self.assertGreater(len(self.check_alarms()), 28)
        self.assertGreater(len(self.check_dashboards()), 25)

    def test_5_functions_know_where_to_go_and_hold_no_secret(self):
        functions = self.check_functions(["grid-backup", "grid-loader", "grid-monitor", "grid-query", "grid-scaler"])
        scaler = functions["grid-scaler"]
        self.assertEqual((scaler["SCALING_MODE"], scaler["INSTANCE_ID"], scaler["MONITOR_FUNCTION"]),
                         ("advise", instance()["id"], "grid-monitor"))
        self.assertNotIn("SIZE_PARAMETER", scaler)  # who advises writes nothing down
        self.assertEqual(json.loads(scaler["SCALING_POLICY"])["class_max"], "db.influx.8xlarge")

    def test_5_the_api_is_behind_waf_and_admits_the_callers_alone(self):
        api, = [r["values"] for r in self.resources("aws_api_gateway_rest_api")]
        denied, = [s for s in json.loads(api["policy"])["Statement"] if s["Effect"] == "Deny"]
        self.assertEqual(denied["Condition"], {"ArnNotEquals": {"aws:PrincipalArn": CALLER}})
        self.assertEqual({r["values"]["authorization"] for r in self.resources("aws_api_gateway_method")}, {"AWS_IAM"})
        association, = [r["values"] for r in self.resources("aws_wafv2_web_acl_association")]
        stage, = [r["values"] for r in self.resources("aws_api_gateway_stage")]
        self.assertEqual(association["resource_arn"], stage["arn"])

    def test_5_what_is_kept_is_encrypted_with_the_key(self):
        key, = [r["values"]["arn"] for r in self.resources("aws_kms_key")]
        self.assertEqual({r["values"]["kms_master_key_id"] for r in self.resources("aws_sqs_queue")}, {key})
        self.assertEqual({r["values"]["kms_master_key_id"] for r in self.resources("aws_sns_topic")}, {key})
        self.assertEqual({r["values"]["kms_key_id"] for r in self.resources("aws_cloudwatch_log_group")}, {key})
        for r in self.resources("aws_s3_bucket_server_side_encryption_configuration"):
            self.assertEqual(r["values"]["rule"][0]["apply_server_side_encryption_by_default"][0]["kms_master_key_id"], key)

    def test_5_costs_are_told_by_tag_and_reach_every_address(self):
        budgets = world.front.budgets
        budget, notifications = budgets.kept["grid-month"], budgets.notifications["grid-month"]
        self.assertEqual((float(budget["BudgetLimit"]["Amount"]), budget["CostFilters"]), (500, {"TagKeyValue": ["user:project$grid"]}))
        self.assertEqual({(n["NotificationType"], n["Threshold"]) for n, _ in notifications},
                         {("ACTUAL", 50), ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100)})
        for _, subscribers in notifications:
            self.assertEqual({s["Address"] for s in subscribers}, set(GIVEN["emails"]))
        subscription, = world.front.costs.subscriptions.values()
        self.assertEqual({s["Address"] for s in subscription["Subscribers"]}, set(GIVEN["emails"]))
        self.assertEqual(world.front.costs.allocation, {})  # activating a tag is for the payer's account

    def test_6_what_the_scaler_decided_is_followed_and_not_undone(self):
        ssm, name = world.moto.client("ssm"), "/afluxo/grid/size"
        size = json.loads(ssm.get_parameter(Name=name)["Parameter"]["Value"])
        self.assertEqual(size, {"class": "db.influx.2xlarge", "tier": "T1", "storage_gib": 400})
        ssm.put_parameter(Name=name, Value=json.dumps({**size, "class": "db.influx.4xlarge", "tier": "T2"}), Overwrite=True)
        changed = applied.drift(applied.planned(infra)) - applied.FORGOTTEN
        self.assertEqual(changed, {("aws_timestreaminfluxdb_db_instance", key)
                                   for key in ("db_instance_type", "db_storage_type", "secondary_availability_zone")})
        before = len(world.plane.requests("UpdateDbInstance"))
        infra.run("apply", "-auto-approve")
        update, = world.plane.requests("UpdateDbInstance")[before:]
        self.assertEqual(update["request"], {"identifier": instance()["id"], "dbInstanceType": "db.influx.4xlarge",
                                             "dbStorageType": "InfluxIOIncludedT2"})
        # The scaler acts itself, as it does in the cloud: Terraform then has nothing to do.
        ssm.put_parameter(Name=name, Value=json.dumps({**size, "class": "db.influx.8xlarge", "tier": "T2"}), Overwrite=True)
        world.plane.call("UpdateDbInstance", {"identifier": instance()["id"], "dbInstanceType": "db.influx.8xlarge"})
        world.plane.advance(60)
        self.assertLessEqual(applied.drift(applied.planned(infra)), applied.FORGOTTEN)
        self.assertEqual(instance()["dbInstanceType"], "db.influx.8xlarge")

    def test_7_a_budget_is_changed_in_place(self):
        infra.variables(**{**json.loads(open(os.path.join(infra.where(), "test.auto.tfvars.json")).read()), "monthly_budget": 750})
        changed = applied.drift(applied.planned(infra)) - applied.FORGOTTEN
        self.assertEqual(changed, {("aws_budgets_budget", "limit_amount")})
        infra.run("apply", "-auto-approve", "-target=module.cost")
        self.assertEqual(float(world.front.budgets.kept["grid-month"]["BudgetLimit"]["Amount"]), 750)

    def test_9_destroy_leaves_what_aws_itself_keeps(self):
        world.plane.call("CreateDbBackup", {"name": "by-hand", "dbResourceId": instance()["id"]})
        world.plane.advance(60)
        there = set(world.left())
        self.assertLessEqual({"wafv2 WebACLs", "apigateway items", "budgets", "anomaly monitors", "anomaly subscriptions", "ec2 FlowLogs",
                              "events Rules", "ssm Parameters", "kms Keys"}, there)
        said = " ".join(infra.run("destroy", "-auto-approve").split())
        self.assertIn("What AWS keeps of grid: the backup final-grid-..., until you delete it;", said)
        self.assertTrue(applied.nothing_in_state(infra))
        left = world.left()
        keys = left.pop("kms Keys")  # until their waiting time is over
        states = [world.moto.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for key in keys]
        self.assertEqual(set(states), {"PendingDeletion"})
        secrets = left.pop("secretsmanager SecretList", set())
        self.assertTrue(all(name.endswith("(until its recovery is over)") for name in secrets), secrets)
        names = left.pop("db-backup")
        self.assertEqual(left, {})
        final, = names - {"by-hand"}  # made on demand they stay, and cost, until somebody deletes them
        self.assertRegex(final, r"^final-grid-\d{8}T\d{4}$")
        for backup in [t for t in world.plane.state()["things"].values() if t["kind"] == "db-backup"]:
            self.assertEqual(backup["status"], "COMPLETED")
            world.plane.call("DeleteDbBackup", {"identifier": backup["id"]})
        world.plane.advance(60)
        self.assertNotIn("db-backup", world.left())


if __name__ == "__main__":
    unittest.main()

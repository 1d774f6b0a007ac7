"""The smallest whole platform, applied and destroyed for real: Terraform, the AWS provider, moto and the control plane of test/lib."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import applied  # noqa: E402


def setUpModule():
    global world, infra, plan
    world = applied.World()
    unittest.addModuleCleanup(world.close)
    infra = world.apply("minimal", emails=["a@b.co"])
    unittest.addModuleCleanup(infra.close)
    plan = applied.planned(infra)


class Applied(applied.Checks, unittest.TestCase):
    @property
    def plan(self):
        return plan

    def test_1_nothing_is_left_to_change_but_what_moto_forgets(self):
        self.assertEqual(applied.drift(plan), applied.FORGOTTEN)

    def test_2_the_database_is_private_and_reached_by_functions_alone(self):
        instance = self.check_database_is_private(world.plane, zones=1)
        self.assertEqual((instance["dbInstanceType"], instance["allocatedStorage"], instance["deploymentType"]),
                         ("db.influx.medium", 20, "SINGLE_AZ"))

    def test_3_no_wildcard_is_unexplained(self):
        self.assertEqual(applied.wildcards(self.resources()), applied.WILDCARDS)

    def test_4_every_alarm_has_a_page_a_metric_that_somebody_emits_and_one_group(self):
        self.assertGreater(len(self.check_alarms()), 20)

    def test_5_functions_know_where_to_go_and_hold_no_secret(self):
        functions = self.check_functions(["afluxo-loader", "afluxo-monitor"])
        for name in ("afluxo-loader", "afluxo-monitor"):
            self.assertTrue(functions[name]["INFLUXDB_URL"].startswith("https://"), name)

    def test_6_dashboards_show_what_is_emitted(self):
        self.assertGreater(len(self.check_dashboards()), 20)

    def test_9_destroy_leaves_nothing_behind(self):
        there = set(world.left())
        self.assertLessEqual({"s3 Buckets", "sqs QueueUrls", "db-instance", "composite alarms", "iam Roles", "ec2 Vpcs", "logs logGroups",
                              "lambda Functions", "secretsmanager SecretList", "sns Topics", "scheduler Schedules"}, there)
        infra.run("destroy", "-auto-approve")
        self.assertTrue(applied.nothing_in_state(infra))
        self.assertEqual(world.left(), {})


if __name__ == "__main__":
    unittest.main()

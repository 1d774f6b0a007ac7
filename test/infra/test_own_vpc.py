"""The example own-vpc in a network that was there before it: planned against one that will not do, applied and destroyed in one that will."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import applied  # noqa: E402
import terraform  # noqa: E402

SERVICES = ("s3", "sqs", "secretsmanager")


def setUpModule():
    global world, network
    world = applied.World()
    unittest.addModuleCleanup(world.close)
    network = make_network(world.moto.client("ec2"))
    world.before = world.inventory()


def make_network(ec2):
    """What a company has: a VPC with two private subnets, a group for its functions, endpoints."""
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    for name in ("EnableDnsSupport", "EnableDnsHostnames"):
        ec2.modify_vpc_attribute(VpcId=vpc, **{name: {"Value": True}})
    subnets = [ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.7.{i}.0/24", AvailabilityZone=f"us-east-1{zone}")["Subnet"]["SubnetId"]
               for i, zone in enumerate("ab")]
    group = ec2.create_security_group(GroupName="functions", Description="functions", VpcId=vpc)["GroupId"]
    for service in SERVICES:
        kind = {"VpcEndpointType": "Gateway"} if service == "s3" else {"VpcEndpointType": "Interface", "SubnetIds": subnets}
        ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.us-east-1.{service}", **kind)
    return {"vpc_id": vpc, "subnet_ids": subnets, "security_group_id": group}


class OwnVpc(unittest.TestCase):
    maxDiff = None

    def test_1_a_network_that_will_not_do_fails_the_plan(self):
        other = world.moto.client("ec2").create_vpc(CidrBlock="10.8.0.0/16")["Vpc"]["VpcId"]
        self.addCleanup(world.moto.client("ec2").delete_vpc, VpcId=other)
        infra = terraform.Infra(world.front.url, example="own-vpc")
        self.addCleanup(infra.close)
        for instead, words in (({"endpoints": ["s3", "kms"]}, "no matching"), ({"vpc_id": other}, "belongs to")):
            with self.subTest(given=instead):
                infra.variables(zip="versions.tf", emails=["a@b.co"], **{**network, **instead})
                self.assertIn(words, infra.run("plan", status=1))

    def test_2_applied_and_destroyed(self):
        infra = world.apply("own-vpc", emails=["a@b.co"], multi_az=True, **network)
        self.addCleanup(infra.close)
        plan = applied.planned(infra)
        self.assertLessEqual(applied.drift(plan), applied.FORGOTTEN)
        made = {resource["type"] for resource in applied.resources_of(plan)}
        self.assertFalse(made & {"aws_vpc", "aws_subnet", "aws_route_table", "aws_vpc_endpoint"}, "nothing of the network is made")
        instance, = [t["facts"] for t in world.plane.state()["things"].values() if t["kind"] == "db-instance"]
        self.assertEqual((sorted(instance["vpcSubnetIds"]), instance["publiclyAccessible"]), (sorted(network["subnet_ids"]), False))
        for function in applied.resources_of(plan, "aws_lambda_function"):
            self.assertEqual(set(function["values"]["vpc_config"][0]["security_group_ids"]), {network["security_group_id"]})
        # The group that was there has one rule more, to the database, until the end.
        rules = [r["values"] for r in applied.resources_of(plan, "aws_vpc_security_group_egress_rule")]
        self.assertEqual([(r["security_group_id"], r["from_port"]) for r in rules], [(network["security_group_id"], 8086)])
        infra.run("destroy", "-auto-approve")
        left = world.left()
        secrets = left.pop("secretsmanager SecretList", set())
        self.assertTrue(all(name.endswith("(until its recovery is over)") for name in secrets), secrets)
        self.assertEqual(left, {})


if __name__ == "__main__":
    unittest.main()

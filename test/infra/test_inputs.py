"""Broken inputs fail at plan time, each with one message that says what to change."""
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", room) for room in ("conformance", "e2e", "lib"))]
import terraform  # noqa: E402
from aws_lib import Moto  # noqa: E402
from front import Front  # noqa: E402

SECRET = '"arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf"'
RIGHT = {
    "network": {"name": '"grid"', "availability_zones": '["us-east-1a"]'},
    "influxdb": {"name": '"grid"', "vpc_id": '"VPC"', "subnet_ids": '["PRIVATE"]', "allowed_cidrs": '{ office = "10.0.0.0/16" }'},
    "ingest": {"name": '"grid"', "influxdb_url": '"https://db:8086"', "token_secret_arn": SECRET, "zip": '"ZIP"', "subnet_ids": '["PRIVATE"]',
               "security_group_ids": '["sg-1"]'},
    "api": {"name": '"grid"', "influxdb_url": '"https://db:8086"', "token_secret_arn": SECRET, "zip": '"ZIP"', "subnet_ids": '["PRIVATE"]',
            "security_group_ids": '["sg-1"]', "callers": '["arn:aws:iam::123456789012:role/analyst"]'},
    "autoscaling": {"name": '"grid"', "zip": '"ZIP"', "instance": '{ id = "abc", arn = "arn:aws:timestream-influxdb:us-east-1:123456789012:db-instance/abc", class = "db.influx.large" }'},
    "observability": {"name": '"grid"', "emails": '["a@b.co"]', "instance_name": '"grid"',
                      "monitor": f'{{ zip = "ZIP", influxdb_url = "https://db:8086", token_secret_arn = {SECRET}, subnet_ids = ["PRIVATE"], security_group_ids = ["sg-1"] }}'},
    "cost": {"name": '"grid"', "emails": '["a@b.co"]', "monthly_budget": "100", "tag": '{ key = "project", value = "grid" }'},
}
# module, what is given instead, words of the message
BROKEN = [
    ("network", {"name": '"Grid_1"'}, "lower-case"),
    ("network", {"cidr": '"8.8.8.0/20"'}, "not private"),
    ("network", {"cidr": '"10.0.0.0/28"'}, "/16 to /24"),
    ("network", {"availability_zones": '["us-east-1a", "us-east-1a"]'}, "twice"),
    ("network", {"flow_log_days": "8"}, "flow_log_days 8"),
    ("influxdb", {"name": '"grid_db"'}, "no underscores"),
    ("influxdb", {"instance_class": '"db.t3.medium"'}, "db.influx.medium"),
    ("influxdb", {"storage_gib": "10"}, "20 to 15360"),
    ("influxdb", {"storage_tier": '"T2"'}, "begins at 400"),
    ("influxdb", {"storage_tier": '"gp3"'}, "T1, T2 or T3"),
    ("influxdb", {"password": '"short"'}, "8 to 64"),
    ("influxdb", {"bucket": '"_tasks"'}, "no underscore first"),
    ("influxdb", {"username": '"1admin"'}, "a letter first"),
    ("influxdb", {"port": "8090"}, "keeps for itself"),
    ("influxdb", {"multi_az": "true"}, "two subnets"),
    ("influxdb", {"multi_az": "true", "subnet_ids": '["PRIVATE", "SAME_ZONE"]'}, "second zone"),
    ("influxdb", {"subnet_ids": '["PUBLIC"]'}, "internet gateway"),
    ("influxdb", {"subnet_ids": '["ELSEWHERE"]'}, "is not in"),
    ("influxdb", {"allowed_cidrs": '{ all = "0.0.0.0/0" }'}, "never 0.0.0.0/0"),
    ("influxdb", {"allowed_cidrs": "{}"}, "Nobody may connect"),
    ("influxdb", {"parameter_group_id": '"my-group"'}, "not its name or ARN"),
    ("influxdb", {"log_bucket": '"s3://logs"'}, "no s3://"),
    ("influxdb", {"encryption": '{ kms_key_arn = "alias/grid" }'}, "not an alias"),
    ("ingest", {"timeout_s": "900"}, "six times"),
    ("ingest", {"zip": '"/nowhere/function.zip"'}, "make lambda"),
    ("ingest", {"influxdb_url": '"http://db:8086"'}, "never travel in the clear"),
    ("ingest", {"bucket_name": '"My.Bucket"'}, "without dots"),
    ("ingest", {"concurrency": "1"}, "2 to 1000"),
    ("api", {"callers": '["*"]'}, "a wildcard would open"),
    ("api", {"timeout_s": "60"}, "3 to 29"),
    ("autoscaling", {"mode": '"act"'}, "scaler_owns_size"),
    ("autoscaling", {"policy": '{ class_min = "db.influx.4xlarge", class_max = "db.influx.large" }'}, "above the ceiling"),
    ("autoscaling", {"policy": '{ class_max = "db.influx.medium" }'}, "below the instance's class"),
    ("autoscaling", {"policy": "{ cooldown_up_s = 60 }"}, "cooldown_up_s 60"),
    ("autoscaling", {"policy": "{ budget_month = 500 }"}, "price_medium"),
    ("autoscaling", {"policy": '{ window = "sunday" }'}, "Sun:03:00"),
    ("observability", {"emails": "[]"}, "reach nobody"),
    ("observability", {"emails": '["a@b"]'}, "at least one address"),
    ("observability", {"limits": "{ disk_percent = 100 }"}, "between 1 and 99"),
    ("observability", {"storage_tier": '"gp3"'}, "T1, T2 or T3"),
    ("observability", {"name": '"a-prefix-that-is-much-too-long-for-roles"'}, "3 to 24 characters"),
    ("cost", {"monthly_budget": "0"}, "more than nothing"),
    ("cost", {"emails": "[]"}, "reaches nobody"),
    ("cost", {"other_tag_keys": '["afluxo:module"]'}, "only the payer's account"),
    ("cost", {"activate_tag": "true", "other_tag_keys": '["aws:region"]'}, "none of AWS's own"),
]


def setUpModule():
    global moto, front, names, infra
    moto = Moto()
    front = Front(moto.url)
    names = make_network(moto.client("ec2"))
    infra = terraform.Infra(front.url, text=modules())
    names["ZIP"] = os.path.join(infra.where(), "function.zip")
    with open(names["ZIP"], "wb") as f:
        f.write(b"PK\x05\x06" + bytes(18))


def tearDownModule():
    infra.close()
    front.close()
    moto.close()


def make_network(ec2):
    """A VPC with a private and a public subnet, a second in the private one's zone, and one in another VPC."""
    vpc, other = (ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(2))

    def subnet(of, cidr, zone="us-east-1a"):
        return ec2.create_subnet(VpcId=of, CidrBlock=cidr, AvailabilityZone=zone)["Subnet"]["SubnetId"]
    made = {"VPC": vpc, "PRIVATE": subnet(vpc, "10.0.0.0/24"), "SAME_ZONE": subnet(vpc, "10.0.1.0/24"), "PUBLIC": subnet(vpc, "10.0.2.0/24"),
            "ELSEWHERE": subnet(other, "10.0.0.0/24")}
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    ec2.associate_route_table(RouteTableId=table, SubnetId=made["PUBLIC"])
    return made


def modules():
    """All modules once, so that one init is enough; a plan targets one."""
    return "".join(f'module "{module}" {{\n  source = "../../modules/{module}"\n' + "".join(f"  {k} = {v}\n" for k, v in args.items()) + "}\n"
                   for module, args in RIGHT.items())


class Inputs(unittest.TestCase):
    maxDiff = None

    def plan(self, module, instead, status=0):
        args = {**RIGHT[module], **instead}
        text = f'module "{module}" {{\n  source = "../../modules/{module}"\n' + "".join(f"  {k} = {v}\n" for k, v in args.items()) + "}\n"
        for name in sorted(names, key=len, reverse=True):
            text = text.replace(f'"{name}"', f'"{names[name]}"')
        infra.write("main.tf", text)
        return infra.run("plan", "-refresh=false", status=status)

    def test_right_inputs_plan(self):
        for module in RIGHT:
            with self.subTest(module=module):
                self.assertIn("to add", self.plan(module, {}))

    def test_broken_inputs_say_what_to_change(self):
        for module, instead, words in BROKEN:
            with self.subTest(module=module, given=instead):
                said = terraform.errors(self.plan(module, instead, status=1))
                self.assertEqual(len(said), 1, said)
                self.assertIn(words, said[0])


if __name__ == "__main__":
    unittest.main()

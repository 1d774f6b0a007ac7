"""`afluxo doctor --aws` against stand-ins of AWS: moto for STS, EC2, IAM, Secrets Manager, CloudWatch, SQS and Lambda, the control plane of
test/lib for the instance. Healthy, and one thing wrong at a time; rights that are missing are those that moto's own IAM refuses."""
import io
import json
import os
import socket
import sys
import time
import urllib.request
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", room) for room in ("infra", "e2e", "lib")]
import boto3  # noqa: E402
import lib  # noqa: E402
from aws_lib import Moto  # noqa: E402
from front import Front  # noqa: E402
from tfi_plane import Plane  # noqa: E402

ROLE = "AWSServiceRoleForTimestreamInfluxDB"
USUAL = ("AWS/Timestream/InfluxDB", "DbInstanceName")
OTHER = ("AWS/TimestreamInfluxDB", "DBInstanceIdentifier")
REGION, ACCOUNT = "us-east-1", "123456789012"


def setUpModule():
    global moto, plane, front
    moto = Moto()
    plane = Plane(delays={"create": 600}, aws=moto.url).start()
    front = Front(moto.url, plane.url)


def tearDownModule():
    front.close()
    plane.stop()
    moto.close()


def ask_moto(path, body=b""):
    urllib.request.urlopen(urllib.request.Request(moto.url + path, data=body, method="POST",
                                                  headers={"Content-Type": "text/plain"})).read()


class DoctorAws(lib.Case):
    def setUp(self):
        super().setUp()
        ask_moto("/moto-api/reset")
        plane.reset()
        for service in ("ec2", "iam", "cloudwatch", "sqs", "lambda"):
            setattr(self, service + "_", moto.client(service))
        vpc = self.ec2_.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.vpc = vpc
        self.subnets = [self.subnet(f"10.0.{i}.0/24", f"{REGION}{zone}") for i, zone in enumerate("ab")]
        self.group = self.ec2_.create_security_group(GroupName="db", Description="db", VpcId=vpc)["GroupId"]

    def subnet(self, block, zone=REGION + "a"):
        return self.ec2_.create_subnet(VpcId=self.vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"]

    def let_in(self, block="10.0.0.0/8", port=8086):
        self.ec2_.authorize_security_group_ingress(GroupId=self.group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, "IpRanges": [{"CidrIp": block}]}])

    def role(self):
        self.iam_.create_service_linked_role(AWSServiceName="timestream-influxdb.amazonaws.com")
        names = [role["RoleName"] for role in self.iam_.list_roles()["Roles"]]
        if ROLE not in names:  # moto makes the name up in its own way
            self.iam_.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")

    def instance(self, ends=None, done=True, name="grid", **more):
        client = front_client("timestream-influxdb")
        if ends:
            plane.fault("CreateDbInstance", ends=ends)
        made = client.create_db_instance(name=name, username="admin", password="abcdefgh1", organization="ons", bucket="energy",
                                         dbInstanceType="db.influx.large", allocatedStorage=100,
                                         **{"vpcSubnetIds": self.subnets, "vpcSecurityGroupIds": [self.group], **more})
        if done:
            plane.advance(3600)
        return made["id"]

    def metric(self, spelling, value, name="CPUUtilization"):
        space, dimension = spelling
        self.cloudwatch_.put_metric_data(Namespace=space, MetricData=[
            {"MetricName": name, "Dimensions": [{"Name": dimension, "Value": value}], "Value": 1.0}])

    def queue(self):
        dead = self.sqs_.create_queue(QueueName="dead")["QueueUrl"]
        arn = self.sqs_.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
        self.sqs_.create_queue(QueueName="objects", Attributes={"RedrivePolicy": policy})
        return dead

    def loader(self, enabled=True):
        self.iam_.create_role(RoleName="fn", AssumeRolePolicyDocument="{}")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as z:
            z.writestr("bootstrap", "")
        self.lambda_.create_function(FunctionName="loader", Runtime="provided.al2023", Role=f"arn:aws:iam::{ACCOUNT}:role/fn",
                                     Handler="loader.handler", Code={"ZipFile": packed.getvalue()})
        self.lambda_.create_event_source_mapping(FunctionName="loader", Enabled=enabled, BatchSize=1,
                                                 EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:objects")

    def healthy(self):
        self.let_in()
        self.role()
        found = self.instance(logDeliveryConfiguration={"s3Configuration": {"bucketName": "logs-of-grid", "enabled": True}})
        self.metric(USUAL, "grid")
        self.metric(("Afluxo", "Function"), "monitor", "ConnectSuccess")
        return found

    def doctor(self, status, *args, **env):
        result = lib.run("doctor", "--aws", "--json", *args, timeout=120,
                         env=moto.env(front.url, **{**lib.environment(XDG_STATE_HOME=self.dir), **env}))
        self.expect(result, status)
        report = json.loads(result.out)
        self.assertEqual(report["healthy"], status == lib.DONE)
        self.assertNotIn("abcdefgh1", result.out + result.err)
        return {check["name"]: check for check in report["checks"]}

    def states(self, found, **wanted):
        for name, state in wanted.items():
            check = found[name.replace("_", " ")]
            self.assertEqual(check["state"], state, check)

    def says(self, check, *words):
        for word in words:
            self.assertIn(word, check["seen"] + " " + (check["advice"] or ""))

    # --- an account ---

    def test_healthy(self):
        found = self.healthy()
        self.queue()
        self.loader()
        report = self.doctor(lib.DONE, "--instance", "grid", "--queue", "objects")
        self.says(report["identity"], ACCOUNT)
        self.says(report["instance"], "grid", found)
        self.says(report["endpoints"], front.url)
        self.says(report["loader"], "loader")
        self.states(report, endpoints="warning")
        for name, check in report.items():
            if name != "endpoints" and check["group"] != "this machine":
                self.assertEqual(check["state"], "ok", check)
        self.assertNotIn("likely reason", report)
        # Nothing but questions was asked of the control plane.
        self.assertEqual({r["operation"] for r in plane.requests()} - {"CreateDbInstance"}, {"ListDbInstances", "GetDbInstance"})
        self.assertEqual(self.doctor(lib.DONE, "--instance", found)["instance"]["state"], "ok")
        self.assertEqual(self.doctor(lib.DONE)["instance"]["state"], "ok")  # the only one

    def test_nobody_and_nowhere(self):
        report = self.doctor(lib.FAILED, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
        self.states(report, credentials="failed", region="not_checked", identity="not_checked", instance="not_checked", quota="not_checked")
        report = self.doctor(lib.FAILED, AWS_REGION="", AWS_DEFAULT_REGION="")
        self.states(report, credentials="ok", region="failed", identity="not_checked")
        report = self.doctor(lib.FAILED, AWS_ENDPOINT_URL=f"http://127.0.0.1:{lib.free_port()}", AWS_MAX_ATTEMPTS="1")
        self.states(report, identity="failed", instance="not_checked")

    def test_which_instance(self):
        report = self.doctor(lib.FAILED)  # no role
        self.states(report, instance="not_checked", status="not_checked", quota="ok", service_role="failed")
        self.says(report["service role"], "create-service-linked-role")
        self.role()
        self.states(self.doctor(lib.FAILED, "--instance", "other"), instance="failed")
        self.let_in()
        self.instance()
        self.instance(name="second")
        report = self.doctor(lib.DONE)
        self.states(report, instance="not_checked")
        self.says(report["instance"], "grid, second", "--instance")
        self.states(self.doctor(lib.DONE, "--instance", "second"), instance="ok", status="ok")

    def test_by_its_id_where_none_may_be_listed(self):
        found = self.healthy()
        plane.fault("ListDbInstances", error="AccessDeniedException", count=9)
        report = self.doctor(lib.DONE, "--instance", found)
        self.states(report, instance="ok", status="ok", quota="not_checked")
        report = self.doctor(lib.DONE, "--instance", "grid")
        self.states(report, instance="not_checked", status="not_checked")
        self.says(report["instance"], "ListDbInstances", "id")
        plane.control("faults", "DELETE")
        plane.fault("GetDbInstance", error="ThrottlingException", count=9)
        report = self.doctor(lib.DONE)
        self.states(report, instance="not_checked")

    def test_a_public_one_without_logs_that_is_open_to_the_world(self):
        self.role()
        self.let_in("0.0.0.0/0")
        self.instance(publiclyAccessible=True)
        report = self.doctor(lib.DONE)
        self.states(report, reach="warning", log_delivery="warning", security_groups="warning")

    # --- what it stands on ---

    def test_failed_for_want_of_addresses(self):
        self.role()
        self.let_in()
        small = self.subnet("10.0.9.0/28")
        free = self.ec2_.describe_subnets(SubnetIds=[small])["Subnets"][0]["AvailableIpAddressCount"]
        for _ in range(free):
            self.ec2_.create_network_interface(SubnetId=small)
        self.instance(ends="FAILED", vpcSubnetIds=[small])
        report = self.doctor(lib.FAILED)
        self.states(report, status="failed", subnets="failed", likely_reason="failed")
        self.says(report["subnets"], small, "0 free addresses")
        self.says(report["likely reason"], "no free address")

    def test_failed_and_nothing_is_seen(self):
        self.healthy()
        self.instance(ends="FAILED", name="second")
        report = self.doctor(lib.FAILED, "--instance", "second")
        self.states(report, status="failed", subnets="ok", security_groups="ok", service_role="ok", likely_reason="warning")
        self.says(report["likely reason"], "capacity")

    def test_failed_since_its_subnet_is_gone(self):
        self.role()
        self.let_in()
        self.instance(ends="FAILED", vpcSubnetIds=self.subnets[:1])
        self.ec2_.delete_subnet(SubnetId=self.subnets[0])
        report = self.doctor(lib.FAILED)
        self.states(report, subnets="failed", likely_reason="failed")
        self.says(report["likely reason"], "subnets is gone")

    def test_a_service_that_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            begun = time.monotonic()
            report = self.doctor(lib.FAILED, "--timeout", "500ms", AWS_ENDPOINT_URL=f"http://127.0.0.1:{silent.getsockname()[1]}")
            self.assertLess(time.monotonic() - begun, 30)
        self.states(report, identity="failed", instance="not_checked", own_metrics="not_checked")

    def test_creating(self):
        self.role()
        self.let_in()
        self.instance(done=False)
        report = self.doctor(lib.DONE)
        self.states(report, status="warning", secret="not_checked", likely_reason="ok")

    def test_nobody_gets_in(self):
        self.role()
        self.let_in(port=443)
        self.instance()
        self.states(self.doctor(lib.FAILED), security_groups="failed")

    def test_the_quota(self):
        self.role()
        self.let_in()
        for i in range(36):
            self.instance(name=f"grid-{i}", done=i == 35)
        report = self.doctor(lib.DONE, "--instance", "grid-0")
        self.states(report, quota="warning")
        self.says(report["quota"], "36 of 40")

    # --- metrics, queues ---

    def test_metrics_in_the_other_namespace(self):
        self.role()
        self.let_in()
        identifier = self.instance()
        report = self.doctor(lib.DONE)
        self.states(report, service_metrics="warning", own_metrics="warning")
        self.metric(OTHER, identifier)
        report = self.doctor(lib.FAILED)
        self.states(report, service_metrics="failed")
        self.says(report["service metrics"], "service_namespace", OTHER[0], OTHER[1])
        self.metric(USUAL, "another")  # not ours
        self.states(self.doctor(lib.FAILED), service_metrics="failed")
        self.metric(USUAL, "grid")
        self.states(self.doctor(lib.DONE), service_metrics="ok")

    def test_queues_that_need_a_look(self):
        self.healthy()
        self.sqs_.create_queue(QueueName="bare")
        report = self.doctor(lib.DONE, "--queue", "bare")
        self.assertEqual(report["dead-letter queue"]["state"], "warning")
        self.assertEqual(report["loader"]["state"], "warning")
        dead = self.queue()
        self.loader(enabled=False)
        self.sqs_.send_message(QueueUrl=dead, MessageBody="x")
        self.cloudwatch_.put_metric_data(Namespace="AWS/SQS", MetricData=[
            {"MetricName": "ApproximateAgeOfOldestMessage", "Dimensions": [{"Name": "QueueName", "Value": "dead"}], "Value": 7200.0}])
        report = self.doctor(lib.FAILED, "--queue", "objects")
        self.says(report["dead-letter queue"], "1 message", "2 h", "peek")
        self.assertEqual(report["loader"]["state"], "failed")
        self.states(self.doctor(lib.FAILED, "--queue", "nowhere"), queue="failed", loader="not_checked")

    # --- rights ---

    def test_rights_that_are_missing_are_named(self):
        self.healthy()
        self.queue()
        self.iam_.create_user(UserName="looker")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}]}
        self.iam_.put_user_policy(UserName="looker", PolicyName="p", PolicyDocument=json.dumps(policy))
        key = self.iam_.create_access_key(UserName="looker")["AccessKey"]
        ask_moto("/moto-api/reset-auth", b"0")
        self.addCleanup(ask_moto, "/moto-api/reset-auth", b"1000000000")
        who = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
        report = self.doctor(lib.DONE, "--queue", "objects", **who)
        self.says(report["identity"], "user/looker")
        for name, right in {"subnets": "ec2:DescribeSubnets", "security groups": "ec2:DescribeSecurityGroups",
                            "interfaces": "ec2:DescribeNetworkInterfaces", "service role": "iam:GetRole",
                            "secret": "secretsmanager:GetSecretValue", "service metrics": "cloudwatch:ListMetrics",
                            "own metrics": "cloudwatch:ListMetrics", "queue": "sqs:GetQueueUrl"}.items():
            self.assertEqual(report[name]["state"], "not_checked", report[name])
            self.says(report[name], right)
        # The control plane has no IAM of its own: it is told to refuse.
        for operation, name, right in (("ListDbInstances", "instance", "timestream-influxdb:ListDbInstances"),
                                       ("GetDbInstance", "instance", "timestream-influxdb:GetDbInstance")):
            plane.fault(operation, error="AccessDeniedException", count=3)
            report = self.doctor(lib.DONE, **who)
            self.assertEqual(report[name]["state"], "not_checked", report[name])
            self.says(report[name], right)
            plane.control("faults", "DELETE")

    def test_a_failed_instance_that_may_not_be_looked_into(self):
        self.healthy()
        self.instance(ends="FAILED", name="second")
        self.iam_.create_user(UserName="looker")
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}
        self.iam_.put_user_policy(UserName="looker", PolicyName="p", PolicyDocument=json.dumps(policy))
        key = self.iam_.create_access_key(UserName="looker")["AccessKey"]
        ask_moto("/moto-api/reset-auth", b"0")
        self.addCleanup(ask_moto, "/moto-api/reset-auth", b"1000000000")
        report = self.doctor(lib.FAILED, "--instance", "second", AWS_ACCESS_KEY_ID=key["AccessKeyId"],
                             AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"])
        self.states(report, status="failed", likely_reason="not_checked")


def front_client(service):
    return boto3.client(service, endpoint_url=front.url, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")

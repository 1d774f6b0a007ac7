"""What lies around Timestream for InfluxDB: subnets and their zones, security groups, the secret of the first user.

World       makes it up: every subnet is in the next zone by the order in which it is first seen, unless told (zones), secrets are names
AwsWorld    asks a stand-in of AWS (moto's server) that keeps them: EC2 for subnets and security groups, Secrets Manager for secrets
"""
import json
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

from tfi_service import invalid

ASK_SECONDS = 30
ASK = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # on this machine: never through a proxy


class World:
    def zones(self, service, subnets):
        """The zone of each subnet; those seen stay where they are."""
        known = service.state["zones"]
        for subnet in subnets:
            known.setdefault(subnet, f"{service.region}{'abc'[len(known) % 3]}")
        return {subnet: known[subnet] for subnet in subnets}

    def check_groups(self, service, groups, subnets):
        pass

    def put_secret(self, service, name, value):
        """The secret's ARN, which ends in six characters that Secrets Manager adds."""
        return f"arn:aws:secretsmanager:{service.region}:{service.account}:secret:{name}-{name[-6:]}"

    def drop_secret(self, service, arn):
        pass


class AwsWorld(World):
    """`url`: where EC2 and Secrets Manager answer."""

    def __init__(self, url):
        self.url = url

    def ask(self, service, name, body, **headers):
        scope = f"AKIAPLANE/20260101/{service.region}/{name}/aws4_request"
        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={'0' * 64}"
        with ASK.open(urllib.request.Request(self.url + "/", body, headers), timeout=ASK_SECONDS) as answer:
            return answer.read()

    def describe(self, service, action, parameter, identifiers, tag):
        """EC2's answer as a list of elements, in which what is not found is missing."""
        form = {"Action": action, "Version": "2016-11-15", **{f"{parameter}.{i + 1}": v for i, v in enumerate(identifiers)}}
        try:
            text = self.ask(service, "ec2", urllib.parse.urlencode(form).encode(), Host=f"ec2.{service.region}.amazonaws.com")
        except urllib.error.HTTPError as e:
            e.close()
            return []
        root = ET.fromstring(text)
        space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
        return [{child.tag.replace(space, ""): child.text for child in item} for item in root.findall(f"{space}{tag}/{space}item")]

    def zones(self, service, subnets):
        found = {s["subnetId"]: s for s in self.describe(service, "DescribeSubnets", "SubnetId", subnets, "subnetSet")}
        if absent := [s for s in subnets if s not in found]:
            raise invalid(f"The subnets {', '.join(absent)} do not exist.")
        if len({s["vpcId"] for s in found.values()}) > 1:
            raise invalid("The subnets are in different VPCs.")
        return {s: found[s]["availabilityZone"] for s in subnets}

    def check_groups(self, service, groups, subnets):
        found = {g["groupId"]: g for g in self.describe(service, "DescribeSecurityGroups", "GroupId", groups, "securityGroupInfo")}
        if absent := [g for g in groups if g not in found]:
            raise invalid(f"The security groups {', '.join(absent)} do not exist.")
        vpcs = {s["vpcId"] for s in self.describe(service, "DescribeSubnets", "SubnetId", subnets, "subnetSet")}
        if outside := [g for g in groups if found[g]["vpcId"] not in vpcs]:
            raise invalid(f"The security groups {', '.join(outside)} are not in the subnets' VPC.")

    def secrets(self, service, operation, request):
        text = self.ask(service, "secretsmanager", json.dumps(request).encode(), **{
            "X-Amz-Target": f"secretsmanager.{operation}", "Content-Type": "application/x-amz-json-1.1"})
        return json.loads(text)

    def put_secret(self, service, name, value):
        return self.secrets(service, "CreateSecret", {"Name": name, "SecretString": json.dumps(value)})["ARN"]

    def drop_secret(self, service, arn):
        """The service-linked role deletes what it made; that it is gone already is no fault of ours."""
        try:
            self.secrets(service, "DeleteSecret", {"SecretId": arn, "ForceDeleteWithoutRecovery": True})
        except urllib.error.HTTPError as e:
            e.close()

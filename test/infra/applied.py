"""An example of infra/ applied for real, and what is looked at afterwards: shared by test_apply.py and test_production.py.

    Terraform + provider aws -> front (front.py) -> moto, the control plane of Timestream for InfluxDB (test/lib/tfi_plane.py)

Each test file says what is its own: variables, wildcards, what moto forgets.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", room) for room in ("conformance", "e2e", "lib"))]
import terraform  # noqa: E402
from aws_lib import Moto  # noqa: E402
from emitted import Emitted, pictured, watched  # noqa: E402
from front import Front  # noqa: E402
from functions import Provisioned  # noqa: E402
from tfi_plane import Plane  # noqa: E402

# Where a wildcard stands in a role or policy that any example has, and why there is no narrower way: (statement's Sid, what).
NETWORK_INTERFACES = {("NetworkInterfaces", "Resource *"), ("NotByCode", "Resource *")}    # Lambda asks before it has one; code never may
OWN_ACCOUNT = {("OwnAccount", f"{what} *") for what in ("Action", "Resource", "Principal")}  # endpoints: what roles of this account allow
LOG_STREAMS = {("Log", "STREAM")}                                                           # a stream a sandbox, named by Lambda
TLS_ONLY = {("TlsOnly", "Action s3:*"), ("TlsOnly", "OBJECTS")}                             # a refusal is as wide as it can be
WILDCARDS = NETWORK_INTERFACES | OWN_ACCOUNT | LOG_STREAMS | TLS_ONLY | {("ReadObjects", "PREFIX")}
SHORTER = ((r":log-stream:\*$", "STREAM"), (r"/dataset=\*$", "PREFIX"), (r"/audit/\*$", "AUDIT"), (r"^arn:aws:s3:::[^/*]+/\*$", "OBJECTS"),
           (r"^execute-api:/(v1/)?\*$", "ROUTES"))
# moto does not keep descriptions of security group rules, so that Terraform wants to set them again.
FORGOTTEN = {("aws_vpc_security_group_ingress_rule", "description"), ("aws_vpc_security_group_egress_rule", "description")}
# What each group of alarms is: a page now, or a ticket in working hours.
TOPICS = {"database": "page", "ingestion": "page", "queries": "page", "resources": "ticket", "data": "ticket", "expiry": "ticket"}


class World:
    """moto, the control plane and the front, and what there was before anything was applied."""

    def __init__(self, **plane):
        self.moto = Moto()
        self.plane = Plane(delays={"create": 1, "delete": 1, "update": 1, **plane.pop("delays", {})}, aws=self.moto.url, **plane).start()
        self.front = Front(self.moto.url, self.plane.url)
        self.provisioned = Provisioned(self.moto, self.front)  # functions that Terraform calls are run, and an instance stands behind them
        self.before = self.inventory()

    def close(self):
        self.provisioned.close()
        self.front.close()
        self.plane.stop()
        self.moto.close()

    def apply(self, example, **variables):
        infra = terraform.Infra(self.front.url, example=example)
        zip_path = os.path.join(infra.where(), "function.zip")
        with open(zip_path, "wb") as f:
            f.write(b"PK\x05\x06" + bytes(18))
        infra.variables(zip=zip_path, **variables)
        infra.run("apply", "-auto-approve")
        return infra

    def left(self):
        """What is there now and was not before."""
        now = self.inventory()
        return {kind: names for kind in now if (names := now[kind] - self.before[kind])}

    def inventory(self):
        """kind -> names of all that stands in moto, the control plane and the front."""
        out = {f"{service} {key}": self.names(service, operation, key, name, given)
               for service, operation, key, name, given in INVENTORY}
        for kind in ("db-instance", "db-cluster", "db-backup"):
            out[kind] = {t["facts"]["name"] for t in self.plane.state()["things"].values() if t["kind"] == kind and "name" in t["facts"]}
        out["composite alarms"], out["budgets"] = set(self.front.alarms.kept), set(self.front.budgets.kept)
        out["anomaly monitors"] = {m["MonitorName"] for m in self.front.costs.monitors.values()}
        out["anomaly subscriptions"] = {s["SubscriptionName"] for s in self.front.costs.subscriptions.values()}
        out["active cost tags"] = {key for key, status in self.front.costs.allocation.items() if status == "Active"}
        return out

    def names(self, service, operation, key, name, given):
        client = self.moto.client(service)
        if client.can_paginate(operation):
            items = [item for page in client.get_paginator(operation).paginate(**given) for item in page.get(key) or []]
        else:
            items = getattr(client, operation)(**given).get(key) or []
        out = {name(item) if callable(name) else item[name] if name else item for item in items}
        return out - {None}


def key_name(key):
    return key["KeyId"]


def stack_name(stack):
    return None if stack["StackStatus"] == "DELETE_COMPLETE" else stack["StackName"]


def secret_name(secret):
    return secret["Name"] + (" (until its recovery is over)" if secret.get("DeletedDate") else "")


def endpoint_name(endpoint):
    return None if endpoint["State"].lower() == "deleted" else endpoint["VpcEndpointId"]


INVENTORY = (  # service, operation, key of the list, name of an item, arguments
    ("s3", "list_buckets", "Buckets", "Name", {}),
    ("sqs", "list_queues", "QueueUrls", None, {}),
    ("secretsmanager", "list_secrets", "SecretList", secret_name, {"IncludePlannedDeletion": True}),
    ("logs", "describe_log_groups", "logGroups", "logGroupName", {}),
    ("lambda", "list_functions", "Functions", "FunctionName", {}),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID", {}),
    ("iam", "list_roles", "Roles", "RoleName", {}),
    ("iam", "list_policies", "Policies", "PolicyName", {"Scope": "Local"}),
    ("sns", "list_topics", "Topics", "TopicArn", {}),
    ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn", {}),
    ("scheduler", "list_schedules", "Schedules", "Name", {}),
    ("events", "list_rules", "Rules", "Name", {}),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName", {}),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName", {}),
    ("ssm", "describe_parameters", "Parameters", "Name", {}),
    ("kms", "list_keys", "Keys", key_name, {}),
    ("wafv2", "list_web_acls", "WebACLs", "Name", {"Scope": "REGIONAL"}),
    ("apigateway", "get_rest_apis", "items", "name", {}),
    ("cloudformation", "list_stacks", "StackSummaries", stack_name, {}),
    ("ec2", "describe_vpcs", "Vpcs", "VpcId", {}),
    ("ec2", "describe_subnets", "Subnets", "SubnetId", {}),
    ("ec2", "describe_route_tables", "RouteTables", "RouteTableId", {}),
    ("ec2", "describe_security_groups", "SecurityGroups", "GroupId", {}),
    ("ec2", "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId", {}),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", endpoint_name, {}),
    ("ec2", "describe_flow_logs", "FlowLogs", "FlowLogId", {}),
)


def planned(infra, name="again", **status):
    """A plan as JSON."""
    infra.run("plan", f"-out={name}", **status)
    return json.loads(infra.run("show", "-json", name))


def nothing_in_state(infra):
    return "values" not in json.loads(infra.run("show", "-json"))


def all_resources(module):
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from all_resources(child)


def resources_of(plan, kind=None, where="prior_state"):
    root = plan[where]["values"]["root_module"] if where == "prior_state" else plan[where]["root_module"]
    return [r for r in all_resources(root) if r["mode"] == "managed" and kind in (None, r["type"])]


def any_true(value):
    if isinstance(value, (dict, list)):
        return any(any_true(v) for v in (value.values() if isinstance(value, dict) else value))
    return bool(value)


def drift(plan):
    """(type, attribute) of all that Terraform would change; "new", "gone" or "replaced" for an attribute where it is the whole."""
    out = set()
    for change in plan["resource_changes"]:
        actions, said = change["change"]["actions"], change["change"]
        if actions in (["no-op"], ["read"]):
            continue
        if actions != ["update"]:
            out.add((change["type"], {"create": "new", "delete": "gone"}.get("".join(actions), "replaced")))
            continue
        unknown = {key for key, value in said["after_unknown"].items() if any_true(value)}
        other = {key for key, value in said["after"].items() if value != said["before"].get(key)}
        out |= {(change["type"], key) for key in unknown | other}
    return out


def as_list(value):
    return value if isinstance(value, list) else [value]


def statements(resources):
    for resource in resources:
        for key in ("policy", "assume_role_policy"):
            text = resource["values"].get(key)
            if text:
                for statement in as_list(json.loads(text)["Statement"]):
                    yield resource["address"], statement


def wildcards(resources):
    """(Sid, what) of every wildcard in a policy."""
    out = set()
    for _, statement in statements(resources):
        sid = statement.get("Sid", "")
        out |= {(sid, f"Action {action}") for action in as_list(statement.get("Action", [])) if "*" in action}
        for resource in as_list(statement.get("Resource", [])):
            if "*" in resource:
                short = next((word for pattern, word in SHORTER if re.search(pattern, resource)), resource)
                out.add((sid, "Resource *" if resource == "*" else short))
        if statement.get("Effect") == "Allow" and any("*" in as_list(value) for value in as_list_of_principals(statement)):
            out.add((sid, "Principal *"))
    return out


def as_list_of_principals(statement):
    principal = statement.get("Principal", {})
    return [principal] if isinstance(principal, str) else list(principal.values())


class Checks:
    """What holds for every example. The class that uses it has `plan`: of after the apply."""
    maxDiff = None

    def resources(self, kind=None):
        return resources_of(self.plan, kind)

    def check_database_is_private(self, plane, zones):
        instance, = [t["facts"] for t in plane.state()["things"].values() if t["kind"] == "db-instance"]
        self.assertFalse(instance["publiclyAccessible"])
        self.assertEqual(len(instance["vpcSubnetIds"]), zones)
        database, = [r["values"] for r in self.resources("aws_security_group") if "influxdb" in r["values"]["name"]]
        self.assertEqual(instance["vpcSecurityGroupIds"], [database["id"]])
        rules = [r["values"] for r in self.resources("aws_vpc_security_group_ingress_rule")]
        rules = [r for r in rules if r["security_group_id"] == database["id"]]
        clients, = [r["values"] for r in self.resources("aws_security_group") if "-clients-" in r["values"]["name"]]
        self.assertEqual([(r["from_port"], r["to_port"], r["cidr_ipv4"], r["referenced_security_group_id"]) for r in rules],
                         [(8086, 8086, None, clients["id"])])
        return instance

    def check_alarms(self):
        alarms = [r["values"] for r in self.resources("aws_cloudwatch_metric_alarm")]
        known = self.emitted()
        for alarm in alarms:
            page = re.search(r"docs/runbooks/([a-z-]+\.md)", alarm["alarm_description"])
            self.assertTrue(page and os.path.exists(os.path.join(terraform.ROOT, "docs/runbooks", page[1])), alarm["alarm_name"])
            self.assertEqual([c for w in watched(alarm) if (c := known.complaint(*w))], [], alarm["alarm_name"])
        groups = [r["values"] for r in self.resources("aws_cloudwatch_composite_alarm")]
        members = [m for group in groups for m in re.findall(r'ALARM\("([^"]+)"\)', group["alarm_rule"])]
        self.assertEqual(sorted(members), sorted(a["alarm_name"] for a in alarms))  # each pages by a group, and by one alone
        for group in groups:
            for actions in (group["alarm_actions"], group["ok_actions"]):
                self.assertEqual([a.rpartition("-")[2] for a in actions], [TOPICS[group["alarm_name"].rpartition("-")[2]]])
        return alarms

    def emitted(self):
        filters = [t["name"] for r in self.resources("aws_cloudwatch_log_metric_filter") for t in r["values"]["metric_transformation"]]
        return Emitted(filters=filters)

    def check_dashboards(self):
        body = json.loads(self.resources("aws_cloudwatch_dashboard")[0]["values"]["dashboard_body"])
        lines, known = pictured(body), self.emitted()
        self.assertEqual([(title, c) for title, *line in lines if (c := known.complaint(*line))], [])
        text = self.plan["prior_state"]["values"]["outputs"].get("grafana_dashboard", {}).get("value")
        if text is None:  # not every example puts it out
            return lines
        grafana = json.loads(text)
        targets = [(p["title"], t["namespace"], t["metricName"], t["dimensions"]) for p in grafana["panels"] for t in p.get("targets", [])]
        self.assertEqual(sorted(map(str, targets)), sorted(map(str, lines)))  # both are the same pictures
        return lines

    def check_functions(self, names):
        functions = [r["values"] for r in self.resources("aws_lambda_function")]
        functions = {f["function_name"]: f["environment"][0]["variables"] for f in functions}
        self.assertLessEqual(set(names), set(functions))
        with open(os.path.join(terraform.ROOT, "src/lambda/settings.def")) as f:
            known = set(re.findall(r"^AF_X\((\w+),", f.read(), re.M))
        for name, variables in functions.items():
            self.assertLessEqual(set(variables), known, name)
            self.assertNotIn("INFLUXDB_TOKEN", variables, name)
            self.assertTrue(variables.get("INFLUXDB_URL", "https://").startswith("https://"), name)
        return functions

"""The control plane of Timestream for InfluxDB for tests (test/lib/tfi_plane.py): is it one that AWS's own client and afluxo believe?

What it may be asked is compared with botocore's model of the service, member by member; every answer, to boto3 and to afluxo, is held
against the model's output shapes. Then its rules, one by one, its states by its own clock, and its failures. Nothing here waits for
time to pass.
"""
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import aws_lib
import boto3
import botocore.config
import botocore.session
import lib
import tfi_shapes
from botocore.exceptions import ClientError
from tfi_plane import Plane
from tfi_service import DELAYS, OPERATIONS

MODEL = botocore.session.get_session().get_service_model("timestream-influxdb")
PROGRAM = os.path.join(lib.ROOT, "test", "lib", "tfi_plane.py")
HOUR, DAY = 3600, 86400
INSTANCE = {"name": "grid", "username": "admin", "password": "secret123", "organization": "org", "bucket": "energy",
            "dbInstanceType": "db.influx.medium", "vpcSubnetIds": ["subnet-0a", "subnet-0b"], "vpcSecurityGroupIds": ["sg-01"],
            "allocatedStorage": 20}
CLUSTER = {**INSTANCE, "name": "fleet"}
V3 = {k: v for k, v in CLUSTER.items() if k in ("name", "dbInstanceType", "vpcSubnetIds", "vpcSecurityGroupIds")}
CORE = {**V3, "dbParameterGroupIdentifier": "InfluxDBV3Core"}
ENTERPRISE = {**V3, "dbParameterGroupIdentifier": "InfluxDBV3Enterprise"}


def flaws(shape, value, path="answer"):
    """What in `value` is not as the model has it."""
    kinds = {"string": str, "boolean": bool, "integer": int, "long": int, "float": (int, float), "timestamp": str, "list": list,
             "map": dict, "structure": dict}
    if not isinstance(value, kinds[shape.type_name]) or (isinstance(value, bool) and shape.type_name != "boolean"):
        return [f"{path}: {value!r} is no {shape.type_name}"]
    if shape.type_name == "structure":
        out = [f"{path}: no member {name}" for name in value if name not in shape.members]
        out += [f"{path}.{name} is missing" for name in shape.required_members if name not in value]
        return sum((flaws(shape.members[name], value[name], f"{path}.{name}") for name in value if name in shape.members), out)
    if shape.type_name == "list":
        return sum((flaws(shape.member, item, f"{path}[{i}]") for i, item in enumerate(value)), [])
    if shape.type_name == "map":
        return sum((flaws(shape.key, k, path) + flaws(shape.value, v, f"{path}.{k}") for k, v in value.items()), [])
    if shape.type_name == "timestamp":
        return [] if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) else [f"{path}: {value} is no time"]
    metadata, out = shape.metadata, []
    if "enum" in metadata and value not in metadata["enum"]:
        out.append(f"{path}: {value} is none of {metadata['enum']}")
    if "pattern" in metadata and not re.fullmatch(metadata["pattern"], value):
        out.append(f"{path}: {value} is not like {metadata['pattern']}")
    size = len(value) if isinstance(value, str) else value
    if not isinstance(value, bool) and not metadata.get("min", size) <= size <= metadata.get("max", size):
        out.append(f"{path}: {value} is beyond {metadata}")
    return out


class Case(lib.Case):
    """A plane whose clock stands still until it is told to go on, and boto3 whose answers are all held against the model."""

    def setUp(self):
        super().setUp()
        self.plane = Plane(seed=self.id()).start()
        self.addCleanup(self.plane.stop)
        self.plane.control("clock", "POST", {"now": "2026-11-25T00:00:00Z", "frozen": True})
        self.seen = set()
        self.client = self.boto()

    def boto(self, url=None, region="us-east-1", attempts=1):
        config = botocore.config.Config(retries={"total_max_attempts": attempts, "mode": "standard"}, parameter_validation=False)
        client = boto3.client("timestream-influxdb", endpoint_url=url or self.plane.url, region_name=region, aws_access_key_id="testing",
                              aws_secret_access_key="testing", config=config)
        client.meta.events.register("before-parse.*", self.hold_against_model)
        return client

    def hold_against_model(self, operation_model, response_dict, **_):
        self.seen.add(operation_model.name)
        body = json.loads(response_dict["body"] or b"{}")
        if response_dict["status_code"] == 200:
            shape = operation_model.output_shape
            wrong = flaws(shape, body) if shape else [f"{name} is not expected" for name in body]
        else:
            name = body.pop("__type").split("#")[1]
            shape = MODEL.shape_for(name) if name in MODEL.shape_names else None
            wrong = flaws(shape, body, name) if shape else []
        self.assertEqual(wrong, [], operation_model.name)

    def refused(self, error, words, call, *args, **request):
        with self.assertRaises(ClientError) as caught:
            call(*args, **request)
        answer = caught.exception.response
        self.assertEqual(answer["Error"]["Code"].split("#")[-1], error, answer)
        self.assertIn(words, answer["Error"]["Message"])
        return answer

    def make(self, **more):
        """An instance, AVAILABLE."""
        made = self.client.create_db_instance(**{**INSTANCE, **more})
        self.plane.advance(3)
        return made["id"]

    def status(self, identifier):
        return self.client.get_db_instance(identifier=identifier)["status"]


class Model(unittest.TestCase):
    """What may be asked is what botocore's model says."""

    def test_operations(self):
        self.assertEqual(sorted(OPERATIONS), sorted(MODEL.operation_names))
        self.assertEqual(sorted(tfi_shapes.INPUTS), sorted(MODEL.operation_names))
        self.assertEqual(len(OPERATIONS), 24)

    def test_inputs(self):
        for name in MODEL.operation_names:
            with self.subTest(name):
                self.compare(tfi_shapes.INPUTS[name], MODEL.operation_model(name).input_shape, name)

    def compare(self, ours, shape, path):
        metadata = shape.metadata
        if isinstance(ours, tfi_shapes.Record):
            self.assertEqual(shape.type_name, "structure", path)
            self.assertEqual(sorted(ours.members), sorted(shape.members), path)
            self.assertEqual(sorted(ours.needs), sorted(shape.required_members), path)
            self.assertEqual(ours.union, bool(getattr(shape, "is_tagged_union", False)), path)
            for name, member in ours.members.items():
                self.compare(member, shape.members[name], f"{path}.{name}")
            return
        kinds = {tfi_shapes.Text: "string", tfi_shapes.OneOf: "string", tfi_shapes.Flag: "boolean", tfi_shapes.Items: "list",
                 tfi_shapes.Pairs: "map", tfi_shapes.Moment: "timestamp", tfi_shapes.Number: ("integer", "long", "float")}
        self.assertIn(shape.type_name, kinds[type(ours)], path)
        self.assertEqual(getattr(ours, "low", None), metadata.get("min"), path)
        self.assertEqual(getattr(ours, "high", None), metadata.get("max"), path)
        self.assertEqual(getattr(ours, "pattern", None), metadata.get("pattern"), path)
        self.assertEqual(getattr(ours, "names", []), metadata.get("enum", []), path)
        self.assertEqual(getattr(ours, "secret", False), bool(metadata.get("sensitive")), path)
        if isinstance(ours, tfi_shapes.Items):
            self.compare(ours.member, shape.member, path)
        if isinstance(ours, tfi_shapes.Pairs):
            self.compare(ours.key, shape.key, path)
            self.compare(ours.value, shape.value, path)


class Boto(Case):
    """Every operation with AWS's own client."""

    def test_all_operations(self):
        c = self.client
        group = c.create_db_parameter_group(name="tuned", parameters={"InfluxDBv2": {"logLevel": "info", "queryConcurrency": 8}})
        self.assertEqual(c.get_db_parameter_group(identifier=group["id"])["parameters"]["InfluxDBv2"]["queryConcurrency"], 8)
        made = c.create_db_instance(**INSTANCE, dbParameterGroupIdentifier=group["id"], tags={"team": "grid"})
        self.assertEqual((made["status"], "endpoint" in made), ("CREATING", False))
        self.plane.advance(3)
        shown = c.get_db_instance(identifier=made["id"])
        self.assertEqual((shown["status"], shown["port"], shown["dbStorageType"]), ("AVAILABLE", 8086, "InfluxIOIncludedT1"))
        self.assertRegex(shown["endpoint"], rf"^{made['id']}-\w+\.timestream-influxdb\.us-east-1\.on\.aws$")
        self.assertIn(f":secret:READONLY-InfluxDB-auth-parameters-{made['id']}-", shown["influxAuthParametersSecretArn"])
        self.assertFalse({"password", "username", "bucket", "organization"} & set(shown))
        self.assertEqual(c.update_db_instance(identifier=made["id"], port=9000)["status"], "UPDATING")
        self.plane.advance(3)
        self.assertEqual(c.reboot_db_instance(identifier=made["id"])["status"], "REBOOTING")
        self.plane.advance(3)
        c.tag_resource(resourceArn=made["arn"], tags={"team": "north", "stage": "test"})
        c.untag_resource(resourceArn=made["arn"], tagKeys=["stage", "never"])
        self.assertEqual(c.list_tags_for_resource(resourceArn=made["arn"])["tags"], {"team": "north"})
        backup = c.create_db_backup(name="before", dbResourceId=made["id"], retentionDays=7)
        self.assertEqual((backup["status"], backup["type"], backup["expiresAfter"]), ("IN_PROGRESS", "ON_DEMAND", "2026-12-02"))
        self.plane.advance(3)
        self.assertEqual(c.get_db_backup(identifier=backup["id"])["status"], "COMPLETED")
        restored = c.restore_from_db_backup(name="again", dbBackupId=backup["id"])
        self.assertEqual((restored["restoreStatus"], restored["resourceType"]), ("RESTORING", "DB_INSTANCE"))
        self.plane.advance(3)
        self.assertEqual(self.status(restored["restoredDbResourceId"]), "AVAILABLE")
        self.assertEqual(c.delete_db_instance(identifier=made["id"])["status"], "DELETING")
        self.plane.advance(3)
        self.refused("ResourceNotFoundException", made["id"], c.get_db_instance, identifier=made["id"])
        self.assertEqual([b["id"] for b in c.list_db_backups(dbResourceId=made["id"])["items"]], [backup["id"]])
        self.assertEqual(c.delete_db_backup(identifier=backup["id"])["status"], "DELETING")
        self.plane.advance(3)
        self.assertEqual(c.list_db_backups()["items"], [])
        self.assertEqual([i["name"] for i in c.list_db_instances()["items"]], ["again"])
        self.assertEqual([g["id"] for g in c.list_db_parameter_groups()["items"]], [group["id"]])
        self.clusters()
        self.assertEqual(self.seen, set(MODEL.operation_names))

    def clusters(self):
        c = self.client
        made = c.create_db_cluster(**CLUSTER)
        self.assertEqual(made["dbClusterStatus"], "CREATING")
        self.plane.advance(3)
        shown = c.get_db_cluster(dbClusterId=made["dbClusterId"])
        self.assertEqual((shown["status"], shown["engineType"], shown["failoverMode"]), ("AVAILABLE", "INFLUXDB_V2", "AUTOMATIC"))
        self.assertNotEqual(shown["readerEndpoint"], shown["endpoint"])
        nodes = c.list_db_instances_for_cluster(dbClusterId=made["dbClusterId"])["items"]
        self.assertEqual([n["instanceMode"] for n in nodes], ["PRIMARY", "REPLICA"])
        self.assertEqual(c.get_db_instance(identifier=nodes[0]["id"])["dbClusterId"], made["dbClusterId"])
        here = {"dbClusterId": made["dbClusterId"]}
        self.assertEqual(c.update_db_cluster(**here, failoverMode="NO_FAILOVER")["dbClusterStatus"], "UPDATING")
        self.plane.advance(3)
        self.assertEqual(c.reboot_db_cluster(**here, instanceIds=[nodes[1]["id"]])["dbClusterStatus"], "REBOOTING")
        self.assertEqual(self.status(nodes[1]["id"]), "REBOOTING")
        self.plane.advance(3)
        self.assertEqual([self.status(n["id"]) for n in nodes], ["AVAILABLE", "AVAILABLE"])
        self.assertEqual(len(c.list_db_clusters()["items"]), 1)
        self.assertEqual(c.delete_db_cluster(**here)["dbClusterStatus"], "DELETING")
        self.plane.advance(3)
        self.assertEqual(c.list_db_clusters()["items"], [])
        self.refused("ResourceNotFoundException", nodes[0]["id"], c.get_db_instance, identifier=nodes[0]["id"])

    def test_pages(self):
        names = [f"group{i}" for i in range(7)]
        for name in names:
            self.client.create_db_parameter_group(name=name)
        paginator = self.client.get_paginator("list_db_parameter_groups")
        pages = list(paginator.paginate(PaginationConfig={"PageSize": 3}))
        self.assertEqual([len(p["items"]) for p in pages], [3, 3, 1])
        self.assertEqual([g["name"] for p in pages for g in p["items"]], names)
        self.refused("ValidationException", "nextToken", self.client.list_db_parameter_groups, nextToken="!")

    def test_signature_in_form(self):
        self.refused("InvalidSignatureException", "valid region", self.boto(region="eu-west-1").list_db_instances)
        scope = "Credential=a/20261125/us-east-1/sqs/aws4_request, SignedHeaders=host, Signature=" + "0" * 64
        for header, status, word in (({}, 403, "MissingAuthenticationToken"), ({"Authorization": "AWS4-HMAC-SHA256 x"}, 400, "Incomplete"),
                                     ({"Authorization": "AWS4-HMAC-SHA256 " + scope, "X-Amz-Date": "20261125T000000Z"}, 403, "service")):
            link = http.client.HTTPConnection("127.0.0.1", self.plane.port)
            self.addCleanup(link.close)
            link.request("POST", "/", b"{}", {"X-Amz-Target": "AmazonTimestreamInfluxDB.ListDbInstances", **header})
            answer = link.getresponse()
            self.assertIn(word, answer.read().decode())
            self.assertEqual(answer.status, status)


class Rules(Case):
    """One refusal a rule."""

    CREATE = [  # (what is changed in INSTANCE, words of the message)
        ({"name": "ab"}, "greater than or equal to 3"), ({"name": "9grid"}, "'name'"), ({"name": "a--b"}, "'name'"),
        ({"name": "gr_id"}, "'name'"), ({"name": "a" * 41}, "less than or equal to 40"), ({"name": "grid-"}, "'name'"),
        ({"password": "short12"}, "greater than or equal to 8"), ({"password": "with-hyphen1"}, "'password'"),
        ({"password": "a" * 65}, "less than or equal to 64"), ({"password": None}, "'password'"),
        ({"username": "-x"}, "username"), ({"username": "a--b"}, "consecutive hyphens"), ({"username": "a-"}, "username"),
        ({"bucket": "_hidden"}, "'bucket'"), ({"bucket": 'a"b'}, "'bucket'"), ({"bucket": "b"}, "'bucket'"),
        ({"organization": ""}, "'organization'"), ({"organization": "o" * 65}, "'organization'"),
        ({"dbInstanceType": "db.influx.nano"}, "enum value set"), ({"dbStorageType": "T4"}, "enum value set"),
        ({"allocatedStorage": 19}, "greater than or equal to 20"), ({"allocatedStorage": 15361}, "less than or equal to 15360"),
        ({"allocatedStorage": None}, "not be null"), ({"dbStorageType": "InfluxIOIncludedT2"}, "at least 400 GiB"),
        ({"dbStorageType": "InfluxIOIncludedT3", "allocatedStorage": 399}, "at least 400 GiB"),
        ({"port": 1023}, "'port'"), ({"port": 65536}, "'port'"), ({"port": 2376}, "reserved"), ({"port": 7790}, "reserved"),
        ({"port": 8090}, "reserved"), ({"port": 51680}, "reserved"), ({"vpcSubnetIds": []}, "'vpcSubnetIds'"),
        ({"vpcSubnetIds": [f"subnet-{i}" for i in range(7)]}, "less than or equal to 6"), ({"vpcSubnetIds": ["vpc-1"]}, "subnet-"),
        ({"vpcSecurityGroupIds": []}, "'vpcSecurityGroupIds'"), ({"vpcSecurityGroupIds": [f"sg-{i}" for i in range(6)]}, "to 5"),
        ({"vpcSubnetIds": ["subnet-0a"], "deploymentType": "WITH_MULTIAZ_STANDBY"}, "Availability Zones"),
        ({"networkType": "IPV6"}, "enum"), ({"deploymentType": "MULTI_NODE_READ_REPLICAS"}, "enum"),
        ({"logDeliveryConfiguration": {"s3Configuration": {"bucketName": "UPPER", "enabled": True}}}, "bucketName"),
        ({"logDeliveryConfiguration": {}}, "s3Configuration"), ({"tags": {"": "x"}}, "tags"), ({"kmsKeyId": "a b"}, "kmsKeyId"),
        ({"maintenanceSchedule": {"timezone": "UTC", "preferredMaintenanceWindow": "Sun:02:00-Sun:03:00"}}, "at least 2 hours"),
        ({"maintenanceSchedule": {"timezone": "UTC", "preferredMaintenanceWindow": "Sun:02:00-Tue:03:00"}}, "24 hours"),
        ({"maintenanceSchedule": {"timezone": "UTC", "preferredMaintenanceWindow": "Sunday"}}, "pattern"),
        ({"maintenanceSchedule": {"timezone": "Mars", "preferredMaintenanceWindow": ""}}, "timezone"),
        ({"dbBackupConfigurations": [{"type": "DAILY", "retentionDays": 366, "enabled": True}]}, "365"),
        ({"dbBackupConfigurations": [{"type": "DAILY", "retentionDays": 7, "enabled": True}] * 2}, "each type"),
        ({"dbBackupConfigurations": [{"type": "CUSTOM_SCHEDULE", "retentionDays": 7, "enabled": True}]}, "customSchedule"),
        ({"dbBackupConfigurations": [{"type": "CONTINUOUS", "retentionDays": 7, "enabled": True}]}, "InfluxDB 3"),
        ({"dbParameterGroupIdentifier": "InfluxDBV3Core"}, "InfluxDB 2"),
    ]

    def test_instances_that_cannot_be(self):
        for change, words in self.CREATE:
            with self.subTest(change):
                request = {k: v for k, v in {**INSTANCE, **change}.items() if v is not None}
                answer = self.refused("ValidationException", words, self.client.create_db_instance, **request)
                self.assertIn(answer["reason"], ("FIELD_VALIDATION_FAILED", "OTHER"))
                self.assertNotIn("short12", str(answer))
        self.assertEqual(self.client.list_db_instances()["items"], [])
        self.refused("ResourceNotFoundException", "nowhere", self.client.create_db_instance, **INSTANCE,
                     dbParameterGroupIdentifier="nowhere")

    def test_instances_at_the_edges(self):
        edges = ({"name": "abc"}, {"name": "a" * 40}, {"allocatedStorage": 15360}, {"port": 1024}, {"port": 65535}, {"password": "a" * 64},
                 {"dbStorageType": "InfluxIOIncludedT3", "allocatedStorage": 400}, {"dbInstanceType": "db.influx.24xlarge"},
                 {"maintenanceSchedule": {"timezone": "Europe/London", "preferredMaintenanceWindow": "Sun:23:00-Mon:01:00"}},
                 {"maintenanceSchedule": {"timezone": "UTC", "preferredMaintenanceWindow": ""}}, {"kmsKeyId": "alias/data"})
        for i, change in enumerate(edges):
            self.client.create_db_instance(**{**INSTANCE, "name": f"edge{i}", **change})

    def test_wrong_kinds_are_no_validation(self):
        self.refused("SerializationException", "allocatedStorage", self.raw, {**INSTANCE, "allocatedStorage": "20"})
        self.refused("SerializationException", "vpcSubnetIds", self.raw, {**INSTANCE, "vpcSubnetIds": "subnet-1"})

    def raw(self, request):
        """As boto3 would not send it."""
        def replace(params, **_):
            params["body"] = json.dumps(request).encode()
        self.client.meta.events.register("before-call.timestream-influxdb.CreateDbInstance", replace)
        self.client.create_db_instance(**INSTANCE)

    def test_names_are_unique_and_come_back(self):
        first = self.make()
        answer = self.refused("ConflictException", "already exists", self.client.create_db_instance, **INSTANCE)
        self.assertEqual((answer["resourceId"], answer["resourceType"]), (first, "db-instance"))
        self.client.create_db_parameter_group(name="tuned")
        self.refused("ConflictException", "tuned", self.client.create_db_parameter_group, name="tuned")
        self.client.delete_db_instance(identifier=first)
        self.plane.advance(3)
        self.assertNotEqual(self.make(), first)

    def test_quota(self):
        self.plane.control("settings", "POST", {"quotas": {"db-instance": 2}})
        self.client.create_db_cluster(**CLUSTER)  # its nodes do not count, nor do their names
        self.make()
        self.make(name="fleet-1")
        self.refused("ServiceQuotaExceededException", "2", self.client.create_db_instance, **{**INSTANCE, "name": "third"})

    def test_a_value_that_is_there_already(self):
        identifier = self.make()
        for same in ({"dbInstanceType": "db.influx.medium"}, {"allocatedStorage": 20}, {"port": 8086}, {"deploymentType": "SINGLE_AZ"},
                     {"dbInstanceType": "db.influx.large", "port": 8086}):
            self.refused("ValidationException", "already has", self.client.update_db_instance, identifier=identifier, **same)
        self.refused("ValidationException", "No changes", self.client.update_db_instance, identifier=identifier)
        self.assertEqual(self.status(identifier), "AVAILABLE")

    def test_storage_only_grows_and_rests_six_hours(self):
        identifier, update = self.make(allocatedStorage=400), self.client.update_db_instance
        self.refused("ValidationException", "only be increased", update, identifier=identifier, allocatedStorage=399)
        self.assertEqual(update(identifier=identifier, dbStorageType="InfluxIOIncludedT2")["status"], "MODIFYING")
        self.plane.advance(6 * HOUR - 1)
        self.refused("ValidationException", "2026-11-25T06:00:03Z", update, identifier=identifier, dbStorageType="InfluxIOIncludedT3")
        self.refused("ValidationException", "6 hours", update, identifier=identifier, allocatedStorage=800)
        update(identifier=identifier, dbInstanceType="db.influx.large")  # a class is no storage
        self.plane.advance(3)
        update(identifier=identifier, dbStorageType="InfluxIOIncludedT1", allocatedStorage=800)  # and the tier may fall
        self.plane.advance(3)
        shown = self.client.get_db_instance(identifier=identifier)
        self.assertEqual((shown["dbStorageType"], shown["allocatedStorage"], shown["dbInstanceType"]),
                         ("InfluxIOIncludedT1", 800, "db.influx.large"))
        small = self.make(name="small")
        self.refused("ValidationException", "400 GiB", update, identifier=small, dbStorageType="InfluxIOIncludedT2")

    def test_a_standby_needs_another_zone(self):
        self.plane.control("settings", "POST", {"zones": {"subnet-1": "us-east-1c", "subnet-2": "us-east-1c", "subnet-3": "us-east-1a"}})
        one = self.make(vpcSubnetIds=["subnet-1", "subnet-2"])
        self.refused("ValidationException", "us-east-1c", self.client.update_db_instance, identifier=one,
                     deploymentType="WITH_MULTIAZ_STANDBY")
        two = self.make(name="two", vpcSubnetIds=["subnet-1", "subnet-3"])
        self.client.update_db_instance(identifier=two, deploymentType="WITH_MULTIAZ_STANDBY")
        self.assertEqual(self.status(two), "UPDATING_DEPLOYMENT_TYPE")
        self.plane.advance(3)
        shown = self.client.get_db_instance(identifier=two)
        self.assertEqual((shown["availabilityZone"], shown["secondaryAvailabilityZone"]), ("us-east-1a", "us-east-1c"))
        self.client.update_db_instance(identifier=two, deploymentType="SINGLE_AZ")
        self.plane.advance(3)
        self.assertNotIn("secondaryAvailabilityZone", self.client.get_db_instance(identifier=two))

    def test_parameter_groups(self):
        create = self.client.create_db_parameter_group
        for parameters, words in (({"InfluxDBv2": {"queryConcurrency": 257}}, "256"), ({"InfluxDBv2": {"logLevel": "loud"}}, "enum"),
                                  ({"InfluxDBv2": {"httpIdleTimeout": {"durationType": "weeks", "value": 1}}}, "durationType"),
                                  ({"InfluxDBv2": {"queryInitialMemoryBytes": 9, "queryMemoryBytes": 8}}, "queryMemoryBytes"),
                                  ({"InfluxDBv2": {"storageCacheMaxMemorySize": 1000}}, "storageCacheSnapshotMemorySize"),
                                  ({"InfluxDBv2": {"storageRetentionCheckInterval": {"durationType": "days", "value": 0}}}, "than 0"),
                                  ({}, "exactly one"),
                                  ({"InfluxDBv3Core": {"execMemPoolBytes": {"percent": "101%"}}}, "percent"),
                                  ({"InfluxDBv3Enterprise": {"ingestQueryInstances": 5}}, "4")):
            with self.subTest(parameters):
                self.refused("ValidationException", words, create, name="tuned", parameters=parameters)
        self.refused("ValidationException", "dbpg-", create, name="dbpg-mine")
        self.refused("ValidationException", "'name'", create, name="default.InfluxDB.2.7")
        self.assertEqual(self.client.get_db_parameter_group(identifier="InfluxDBV3Core")["name"], "InfluxDBV3Core")

    def test_tags(self):
        arn = self.client.create_db_parameter_group(name="tagged", tags={"a": "1"})["arn"]
        for _ in range(2):
            self.client.tag_resource(resourceArn=arn, tags={"b": ""})
            self.client.untag_resource(resourceArn=arn, tagKeys=["a"])
        self.assertEqual(self.client.list_tags_for_resource(resourceArn=arn)["tags"], {"b": ""})
        self.client.tag_resource(resourceArn=arn, tags={f"k{i}": "v" for i in range(199)})
        self.refused("ServiceQuotaExceededException", "200", self.client.tag_resource, resourceArn=arn, tags={"one": "more"})
        self.refused("ValidationException", "aws:", self.client.tag_resource, resourceArn=arn, tags={"aws:x": "y"})
        gone = arn.rsplit("/", 1)[0] + "/nowhere"
        self.refused("ResourceNotFoundException", "nowhere", self.client.list_tags_for_resource, resourceArn=gone)


class Clusters(Case):
    def create(self, **request):
        made = self.client.create_db_cluster(**request)["dbClusterId"]
        self.plane.advance(3)
        return made, self.client.get_db_cluster(dbClusterId=made)

    def nodes(self, cluster):
        return [n["instanceModes"] for n in self.client.list_db_instances_for_cluster(dbClusterId=cluster)["items"]]

    def test_what_each_engine_needs(self):
        for request, words in (({**V3}, "needs allocatedStorage, username"),
                               ({**CORE, "bucket": "b1", "username": "u"}, "must not be given username, bucket"),
                               ({**ENTERPRISE, "deploymentType": "MULTI_NODE_READ_REPLICAS"}, "deploymentType"),
                               ({k: v for k, v in CLUSTER.items() if k != "dbInstanceType"}, "Exactly one of dbInstanceType")):
            self.refused("ValidationException", words, self.client.create_db_cluster, **request)

    def test_core(self):
        made, shown = self.create(**CORE)
        self.assertEqual((shown["engineType"], shown["port"]), ("INFLUXDB_V3_CORE", 8181))
        self.assertIn(".timestream-influxdb3.", shown["endpoint"])
        self.assertEqual(len(self.nodes(made)), 1)
        self.refused("ValidationException", "another engine", self.client.update_db_cluster, dbClusterId=made,
                     dbParameterGroupIdentifier="InfluxDBV3Enterprise")

    def test_enterprise_is_laid_out(self):
        made, shown = self.create(**ENTERPRISE)
        self.assertEqual(shown["clusterConfiguration"], {"ingestQueryInstances": 2, "queryOnlyInstances": 0, "dedicatedCompactor": True})
        self.assertEqual(len(self.nodes(made)), 3)
        groups = [{"instanceModes": ["INGEST"], "instanceType": "db.influx.large", "count": 2},
                  {"instanceModes": ["QUERY"], "instanceType": "db.influx.xlarge", "count": 2},
                  {"instanceModes": ["COMPACT"], "instanceType": "db.influx.large", "count": 1}]
        topology = {"InfluxDBv3Enterprise": {"nodeGroups": groups}}
        self.client.update_db_cluster(dbClusterId=made, deploymentConfiguration=topology)
        self.assertEqual(self.client.get_db_cluster(dbClusterId=made)["status"], "UPDATING_INSTANCE_TYPE")
        self.plane.advance(3)
        self.assertEqual(self.nodes(made), [["INGEST"], ["INGEST"], ["QUERY"], ["QUERY"], ["COMPACT"]])
        for change, words in (([{**groups[0], "count": 5}, *groups[1:]], "1 to 4 INGEST"), (groups[:2], "exactly one COMPACT"),
                              ([{**groups[0], "instanceModes": ["INGEST", "INGEST"]}, *groups[1:]], "unique"),
                              ([*groups[:2], {**groups[2], "instanceModes": ["COMPACT", "PROCESS"]}], "of its own")):
            topology = {"InfluxDBv3Enterprise": {"nodeGroups": change}}
            self.refused("ValidationException", words, self.client.update_db_cluster, dbClusterId=made, deploymentConfiguration=topology)

    def test_nodes_are_not_for_themselves(self):
        made, _ = self.create(**CLUSTER)
        node = self.client.list_db_instances_for_cluster(dbClusterId=made)["items"][0]["id"]
        self.refused("ValidationException", made, self.client.delete_db_instance, identifier=node)
        self.refused("ValidationException", made, self.client.update_db_instance, identifier=node, port=9000)
        self.refused("ValidationException", "no node", self.client.reboot_db_cluster, dbClusterId=made, instanceIds=["another"])
        self.assertEqual(self.client.list_db_instances()["items"], [])
        self.plane.control("moves", "POST", {"id": made, "what": "degrade"})
        self.assertEqual((self.client.get_db_cluster(dbClusterId=made)["status"], self.status(node)), ("PARTIALLY_AVAILABLE", "AVAILABLE"))


class States(Case):
    """The moves, by the clock alone."""

    def watch(self, identifier, seconds):
        """Each status in turn while the time goes by."""
        out = []
        for _ in range(seconds * 2):
            try:
                status = self.status(identifier)
            except self.client.exceptions.ResourceNotFoundException:
                status = None
            if not out or out[-1] != status:
                out.append(status)
            self.plane.advance(0.5)
        return out

    def test_a_life(self):
        self.plane.control("settings", "POST", {"delays": {"gone": 2}})
        identifier = self.client.create_db_instance(**INSTANCE)["id"]
        self.assertEqual(self.watch(identifier, 4), ["CREATING", "AVAILABLE"])
        self.client.update_db_instance(identifier=identifier, dbInstanceType="db.influx.large", allocatedStorage=40)
        self.assertEqual(self.client.get_db_instance(identifier=identifier)["dbInstanceType"], "db.influx.medium")  # not before it is done
        self.assertEqual(self.watch(identifier, 4), ["UPDATING_INSTANCE_TYPE", "AVAILABLE"])
        self.assertEqual(self.client.get_db_instance(identifier=identifier)["dbInstanceType"], "db.influx.large")
        self.client.reboot_db_instance(identifier=identifier)
        self.assertEqual(self.watch(identifier, 4), ["REBOOTING", "AVAILABLE"])
        self.plane.control("moves", "POST", {"id": identifier, "what": "maintain"})
        self.assertEqual(self.watch(identifier, 4), ["MAINTENANCE", "AVAILABLE"])
        self.client.delete_db_instance(identifier=identifier)
        self.assertEqual(self.watch(identifier, 6), ["DELETING", "DELETED", None])

    def test_delays_are_settings(self):
        self.plane.control("settings", "POST", {"delays": {"create": 900}})
        identifier = self.client.create_db_instance(**INSTANCE)["id"]
        self.plane.advance(899)
        self.assertEqual(self.status(identifier), "CREATING")
        self.plane.advance(1)
        self.assertEqual(self.status(identifier), "AVAILABLE")

    def test_while_something_runs(self):
        identifier = self.make()
        self.client.update_db_instance(identifier=identifier, port=9000)
        for call, request in ((self.client.update_db_instance, {"port": 9001}), (self.client.reboot_db_instance, {})):
            self.refused("ConflictException", "UPDATING", call, identifier=identifier, **request)
        self.refused("ConflictException", "UPDATING", self.client.create_db_backup, name="early", dbResourceId=identifier)
        self.refused("ValidationException", "in progress", self.client.delete_db_instance, identifier=identifier)

    def test_moves_that_end_badly(self):
        self.plane.fault("CreateDbInstance", ends="FAILED", when={"name": "doomed"})
        good, doomed = (self.client.create_db_instance(**{**INSTANCE, "name": name})["id"] for name in ("grid", "doomed"))
        self.plane.advance(3)
        self.assertEqual((self.status(good), self.status(doomed)), ("AVAILABLE", "FAILED"))
        self.refused("ConflictException", "FAILED", self.client.update_db_instance, identifier=doomed, port=9000)
        self.client.delete_db_instance(identifier=doomed)
        self.plane.fault("RebootDbInstance", ends="REBOOT_FAILED")
        self.client.reboot_db_instance(identifier=good)
        self.plane.advance(3)
        self.assertEqual(self.status(good), "REBOOT_FAILED")
        self.client.reboot_db_instance(identifier=good)
        self.plane.advance(3)
        self.plane.fault("UpdateDbInstance", ends="FAILED")
        self.client.update_db_instance(identifier=good, dbInstanceType="db.influx.large")
        self.plane.advance(3)
        shown = self.client.get_db_instance(identifier=good)
        self.assertEqual((shown["status"], shown["dbInstanceType"]), ("FAILED", "db.influx.medium"))


class Backups(Case):
    SCHEDULE = [{"type": "DAILY", "retentionDays": 3, "enabled": True}, {"type": "WEEKLY", "retentionDays": 30, "enabled": False}]

    def kinds(self, identifier):
        return sorted(b["type"] for b in self.client.list_db_backups(dbResourceId=identifier)["items"])

    def test_what_a_deletion_leaves(self):
        for retain, left in ((False, ["ON_DEMAND"]), (True, ["DAILY", "ON_DEMAND"])):
            identifier = self.make(name=f"kept{retain}", dbBackupConfigurations=self.SCHEDULE)
            self.assertIn("nextAutomatedBackupTime", self.client.get_db_instance(identifier=identifier)["dbBackupConfigurations"][0])
            self.plane.advance(DAY)
            self.client.create_db_backup(name=f"mine{retain}", dbResourceId=identifier)
            self.plane.advance(3)
            self.assertEqual(self.kinds(identifier), ["DAILY", "ON_DEMAND"])
            self.client.delete_db_instance(identifier=identifier, retainAutomatedBackups=retain)
            self.plane.advance(3)
            self.assertEqual(self.kinds(identifier), left)

    def test_they_run_out(self):
        identifier = self.make(dbBackupConfigurations=self.SCHEDULE)
        self.client.create_db_backup(name="kept", dbResourceId=identifier, retentionDays=2)
        self.plane.advance(10 * DAY)
        self.assertEqual(self.kinds(identifier), ["DAILY"] * 4)  # of the last days, that of today's date included
        self.refused("ValidationException", "already has", self.client.update_db_instance, identifier=identifier,
                     dbBackupConfigurations=self.SCHEDULE)

    def test_one_at_a_time_and_unique_names(self):
        identifier = self.make()
        first = self.client.create_db_backup(name="one", dbResourceId=identifier)["id"]
        self.refused("ConflictException", first, self.client.create_db_backup, name="two", dbResourceId=identifier)
        self.refused("ConflictException", "IN_PROGRESS", self.client.delete_db_backup, identifier=first)
        self.refused("ConflictException", "IN_PROGRESS", self.client.restore_from_db_backup, name="new", dbBackupId=first)
        self.plane.advance(3)
        self.refused("ConflictException", "one", self.client.create_db_backup, name="one", dbResourceId=identifier)
        self.refused("ResourceNotFoundException", "nowhere", self.client.create_db_backup, name="two", dbResourceId="nowhere")

    def test_restores(self):
        identifier, restore = self.make(port=9000, allocatedStorage=50), self.client.restore_from_db_backup
        backup = self.client.create_db_backup(name="one", dbResourceId=identifier)["id"]
        self.plane.advance(3)
        self.refused("ConflictException", "grid", restore, name="grid", dbBackupId=backup)
        self.refused("ValidationException", "continuous", restore, name="new", dbBackupId=backup, restoreToTime="2026-11-25T00:00:00Z")
        self.refused("ValidationException", "must be grid", restore, name="other", dbBackupId=backup, restoreMode="REPLACE_EXISTING")
        made = restore(name="new", dbBackupId=backup, port=9001)["restoredDbResourceId"]
        self.assertEqual(self.status(made), "RESTORING")
        self.plane.fault("RestoreFromDbBackup", ends="RESTORE_FAILED")
        failed = restore(name="bad", dbBackupId=backup)["restoredDbResourceId"]
        over = restore(name="grid", dbBackupId=backup, restoreMode="REPLACE_EXISTING", port=9002)
        self.assertEqual(over["restoredDbResourceId"], identifier)
        self.plane.advance(3)
        shown = self.client.get_db_instance(identifier=made)
        self.assertEqual((shown["status"], shown["port"], shown["allocatedStorage"]), ("AVAILABLE", 9001, 50))
        self.assertEqual((self.status(failed), self.client.get_db_instance(identifier=identifier)["port"]), ("RESTORE_FAILED", 9002))
        replicas = restore(name="replicas", dbBackupId=backup, deploymentType="MULTI_NODE_READ_REPLICAS")
        self.assertEqual((replicas["resourceType"], replicas["deploymentType"]), ("DB_CLUSTER", "MULTI_NODE_READ_REPLICAS"))

    def test_clusters_and_points_in_time(self):
        continuous = [{"type": "CONTINUOUS", "retentionDays": 7, "enabled": True}]
        cluster = self.client.create_db_cluster(**CORE, dbBackupConfigurations=continuous)["dbClusterId"]
        self.plane.advance(HOUR)
        (backup,) = self.client.list_db_backups(dbResourceId=cluster)["items"]
        self.assertEqual((backup["type"], backup["status"], backup["engineType"]), ("CONTINUOUS", "COMPLETED", "INFLUXDB_V3_CORE"))
        restore = self.client.restore_from_db_backup
        self.plane.advance(HOUR)
        self.refused("ValidationException", "window", restore, name="new", dbBackupId=backup["id"], restoreToTime="2026-11-24T00:00:00Z")
        self.refused("ValidationException", "DB instance", restore, name="new", dbBackupId=backup["id"], deploymentType="SINGLE_AZ")
        made = restore(name="new", dbBackupId=backup["id"], restoreToTime="2026-11-25T01:30:00Z")
        self.assertEqual(made["resourceType"], "DB_CLUSTER")
        self.plane.advance(3)
        self.assertEqual(self.client.get_db_cluster(dbClusterId=made["restoredDbResourceId"])["status"], "AVAILABLE")


class Faults(Case):
    def test_every_error_of_the_model(self):
        for name in sorted({e.name for o in MODEL.operation_names for e in MODEL.operation_model(o).error_shapes}):
            self.plane.fault("GetDbInstance", error=name, message=f"told {name}")
            self.refused(name, f"told {name}", self.client.get_db_instance, identifier="any")
        self.plane.fault("*", error=503)
        with self.assertRaises(Exception):
            self.client.list_db_instances()
        self.client.list_db_instances()

    def test_counts_and_conditions(self):
        self.plane.fault("GetDbInstance", error="ThrottlingException", skip=1, count=2, when={"identifier": "abc"})
        get = self.client.get_db_instance
        for identifier, error in (("abc", "ResourceNotFoundException"), ("abd", "ResourceNotFoundException"),
                                  ("abc", "ThrottlingException"), ("abc", "ThrottlingException"), ("abc", "ResourceNotFoundException")):
            self.refused(error, "", get, identifier=identifier)
        self.assertEqual([r.get("error") for r in self.plane.requests("GetDbInstance")].count("ThrottlingException"), 2)

    def test_boto_retries(self):
        self.plane.fault("ListDbInstances", error="ThrottlingException")
        self.plane.fault("ListDbInstances", lost="before")
        self.plane.fault("ListDbInstances", error="InternalServerException")
        self.assertEqual(self.boto(attempts=5).list_db_instances()["items"], [])
        self.assertEqual(len(self.plane.requests("ListDbInstances")), 4)

    def test_an_answer_lost_after_the_deed(self):
        """No operation has an idempotency token: who tries again is told of a conflict."""
        self.plane.fault("CreateDbInstance", lost="after")
        self.refused("ConflictException", "already exists", self.boto(attempts=3).create_db_instance, **INSTANCE)
        self.assertEqual(len(self.client.list_db_instances()["items"]), 1)

    def test_over_http(self):
        def ask(method, path, body=None):
            data = json.dumps(body).encode() if body is not None else None
            request = urllib.request.Request(self.plane.url + path, data, method=method)
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return json.load(answer)
        ask("POST", "/plane/faults", {"operation": "ListDbInstances", "error": "AccessDeniedException"})
        self.refused("AccessDeniedException", "", self.client.list_db_instances)
        self.assertEqual(ask("GET", "/plane/faults")["faults"][0]["count"], 0)
        ask("DELETE", "/plane/faults")
        self.make(name="seen")
        at = ask("POST", "/plane/clock", {"advance": 60})["now"]
        self.assertEqual(ask("GET", "/plane/clock")["now"], at)
        (thing,) = ask("GET", "/plane/state")["things"].values()
        self.assertEqual((thing["facts"]["name"], thing["status"]), ("seen", "AVAILABLE"))
        (call,) = ask("GET", "/plane/requests?operation=CreateDbInstance")["requests"]
        self.assertEqual((call["request"]["password"], call["status"], call["unknown"]), ("(hidden)", 200, []))
        ask("POST", "/plane/reset", {"things": False})
        self.assertEqual((ask("GET", "/plane/requests")["requests"], len(ask("GET", "/plane/state")["things"])), ([], 1))
        ask("POST", "/plane/reset")
        self.assertEqual(ask("GET", "/plane/state")["things"], {})
        for method, path, body in (("GET", "/plane/nothing", None), ("POST", "/plane/faults", {"operation": "Fly"}),
                                   ("POST", "/plane/faults", {"operation": "*", "eror": 1}), ("POST", "/plane/moves", {"id": "x"})):
            with self.assertRaises(urllib.error.HTTPError) as caught:
                ask(method, path, body)
            self.assertIn("error", json.load(caught.exception))
            caught.exception.close()


class Program(Case):
    """The plane as a process of its own."""

    def spawn(self, *args, **how):
        process = subprocess.Popen([sys.executable, "-B", PROGRAM, *args], stdin=how.get("stdin", subprocess.PIPE), text=True,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        if process.stdin:
            self.addCleanup(process.stdin.close)
        return process, process.stdout.readline().strip()

    def test_several_share_a_file(self):
        with tempfile.TemporaryDirectory() as directory:
            file = os.path.join(directory, "state.json")
            urls = [self.spawn("--state", file, "--delay", "0", "--quota", "db-instance=3")[1] for _ in range(2)]
            one, two = (self.boto(url) for url in urls)
            made = one.create_db_instance(**INSTANCE)["id"]
            self.assertEqual(two.get_db_instance(identifier=made)["status"], "AVAILABLE")
            self.refused("ConflictException", "grid", two.create_db_instance, **INSTANCE)
            two.delete_db_instance(identifier=made)
            self.assertEqual(one.list_db_instances()["items"], [])

    def test_it_ends_with_its_parent_or_a_signal(self):
        process, _ = self.spawn()
        process.stdin.close()
        self.assertEqual(process.wait(30), 0)
        process, _ = self.spawn(stdin=subprocess.DEVNULL)
        self.assertIsNone(process.poll())
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 0)
        process, _ = self.spawn("--minutes", "0.001")
        self.assertEqual(process.wait(30), 0)


class Neighbours(Case):
    """With moto's server around it: subnets that are there, security groups of the same VPC, a secret that comes and goes."""

    def setUp(self):
        super().setUp()
        self.moto = aws_lib.Moto()
        self.addCleanup(self.moto.close)
        self.plane.stop()
        self.plane = Plane(aws=self.moto.url, delays={"create": 0, "delete": 0}).start()
        self.addCleanup(self.plane.stop)
        self.client = self.boto()

    def test_subnets_groups_and_the_secret(self):
        ec2, secrets = self.moto.client("ec2"), self.moto.client("secretsmanager")
        vpcs = [ec2.create_vpc(CidrBlock=f"10.{i}.0.0/16")["Vpc"]["VpcId"] for i in range(2)]
        subnets = [ec2.create_subnet(VpcId=vpcs[0], CidrBlock=f"10.0.{i}.0/24", AvailabilityZone="us-east-1" + zone)["Subnet"]["SubnetId"]
                   for i, zone in enumerate("bbd")]
        groups = [ec2.create_security_group(VpcId=vpc, GroupName="db", Description="db")["GroupId"] for vpc in vpcs]
        create, place = self.client.create_db_instance, {"vpcSubnetIds": subnets[:2], "vpcSecurityGroupIds": groups[:1]}
        for change, words in (({"vpcSubnetIds": ["subnet-0123"]}, "subnet-0123 do not exist"),
                              ({"vpcSecurityGroupIds": ["sg-0123"]}, "sg-0123 do not exist"),
                              ({"vpcSecurityGroupIds": groups}, "not in the subnets' VPC"),
                              ({"deploymentType": "WITH_MULTIAZ_STANDBY"}, "us-east-1b")):
            self.refused("ValidationException", words, create, **{**INSTANCE, **place, **change})
        made = create(**{**INSTANCE, **place, "vpcSubnetIds": subnets, "deploymentType": "WITH_MULTIAZ_STANDBY"})["id"]
        shown = self.client.get_db_instance(identifier=made)
        self.assertEqual((shown["availabilityZone"], shown["secondaryAvailabilityZone"]), ("us-east-1b", "us-east-1d"))
        secret = secrets.get_secret_value(SecretId=shown["influxAuthParametersSecretArn"])
        self.assertEqual(json.loads(secret["SecretString"]),
                         {"username": "admin", "password": "secret123", "organization": "org", "bucket": "energy"})
        self.client.delete_db_instance(identifier=made)
        self.client.list_db_instances()
        self.assertEqual(secrets.list_secrets()["SecretList"], [])


class Afluxo(Case):
    """afluxo aws influxdb, all operations."""

    def aws(self, status, operation, request=None, *args, **env):
        words = ["aws", "influxdb", operation, *([json.dumps(request)] if request is not None else []), *args]
        env = {**lib.environment(), **aws_lib.KEYS, "AWS_ENDPOINT_URL": self.plane.url, **env}
        result = self.afluxo(status, *words, env=env)
        if status != lib.DONE:
            return result
        out = json.loads(result.out) if result.out.strip() else {}
        if "--wait" not in args:
            shape = MODEL.operation_model(operation).output_shape
            self.assertEqual(flaws(shape, out) if shape else out, [] if shape else {}, operation)
        return out

    def wait(self, operation, request, status):
        """The plane's clock goes on by itself for this."""
        self.plane.control("clock", "POST", {"frozen": False})
        out = self.aws(lib.DONE, operation, request, "--wait", status, "--every", "20ms")
        self.plane.control("clock", "POST", {"frozen": True})
        return out

    def test_all_operations(self):
        self.plane.control("settings", "POST", {"delays": dict.fromkeys(DELAYS, 0.15)})
        group = self.aws(lib.DONE, "CreateDbParameterGroup", {"name": "tuned", "parameters": {"InfluxDBv2": {"noTasks": True}}})
        self.aws(lib.DONE, "GetDbParameterGroup", {"identifier": group["id"]})
        self.assertEqual([g["name"] for g in self.aws(lib.DONE, "ListDbParameterGroups")["items"]], ["tuned"])
        made = self.wait("CreateDbInstance", {**INSTANCE, "tags": {"a": "1"}}, "AVAILABLE")
        here = {"identifier": made["id"]}
        self.assertEqual(self.aws(lib.DONE, "GetDbInstance", here)["status"], "AVAILABLE")
        self.wait("UpdateDbInstance", {**here, "dbParameterGroupIdentifier": group["id"]}, "AVAILABLE")
        self.wait("RebootDbInstance", here, "AVAILABLE")
        self.aws(lib.DONE, "TagResource", {"resourceArn": made["arn"], "tags": {"b": "2"}})
        self.aws(lib.DONE, "UntagResource", {"resourceArn": made["arn"], "tagKeys": ["a"]})
        self.assertEqual(self.aws(lib.DONE, "ListTagsForResource", {"resourceArn": made["arn"]})["tags"], {"b": "2"})
        backup = self.wait("CreateDbBackup", {"name": "one", "dbResourceId": made["id"]}, "COMPLETED")
        self.assertEqual(len(self.aws(lib.DONE, "ListDbBackups")["items"]), 1)
        self.aws(lib.DONE, "GetDbBackup", {"identifier": backup["id"]})
        self.aws(lib.DONE, "RestoreFromDbBackup", {"name": "new", "dbBackupId": backup["id"]})
        self.assertEqual(len(self.aws(lib.DONE, "ListDbInstances", {"maxResults": 1})["items"]), 2)
        self.wait("DeleteDbBackup", {"identifier": backup["id"]}, "DELETED")
        self.wait("DeleteDbInstance", here, "DELETED")
        self.clusters()
        done = {r["operation"] for r in self.plane.requests() if r["status"] == 200}
        self.assertEqual(done, set(MODEL.operation_names))
        self.assertEqual([r for r in self.plane.requests() if r.get("unknown")], [])

    def clusters(self):
        made = self.wait("CreateDbCluster", ENTERPRISE, "AVAILABLE")
        here = {"dbClusterId": made["id"]}
        self.aws(lib.DONE, "GetDbCluster", here)
        self.assertEqual(len(self.aws(lib.DONE, "ListDbClusters")["items"]), 1)
        self.assertEqual(len(self.aws(lib.DONE, "ListDbInstancesForCluster", {**here, "maxResults": 1})["items"]), 3)
        self.wait("UpdateDbCluster", {**here, "dbInstanceType": "db.influx.large"}, "AVAILABLE")
        self.wait("RebootDbCluster", here, "AVAILABLE")
        self.wait("DeleteDbCluster", here, "DELETED")

    def test_what_the_service_says_is_told(self):
        self.aws(lib.DONE, "CreateDbInstance", INSTANCE)
        told = self.aws(lib.FAILED, "CreateDbInstance", INSTANCE).err
        for word in ("CreateDbInstance", "ConflictException", "already exists"):
            self.assertIn(word, told)
        self.assertNotIn("secret123", told)
        told = self.aws(lib.FAILED, "CreateDbInstance", {**INSTANCE, "name": "x", "allocatedStorage": 5}).err
        self.assertIn("2 validation errors", told)

    def test_throttling_is_met_with_patience(self):
        self.plane.fault("ListDbInstances", error="ThrottlingException", count=2)
        self.aws(lib.DONE, "ListDbInstances")
        self.plane.fault("ListDbInstances", error="ThrottlingException", count=9)
        self.assertIn("ThrottlingException", self.aws(lib.FAILED, "ListDbInstances", AWS_MAX_ATTEMPTS="2").err)
        self.assertEqual(len(self.plane.requests("ListDbInstances")), 5)

    def test_a_wait_through_failures(self):
        self.plane.control("clock", "POST", {"frozen": False})
        self.plane.control("settings", "POST", {"delays": {"create": 0.3}})
        self.plane.fault("GetDbInstance", error="InternalServerException", count=2)
        self.plane.fault("GetDbInstance", lost="before")
        self.assertEqual(self.aws(lib.DONE, "CreateDbInstance", INSTANCE, "--wait", "AVAILABLE", "--every", "20ms")["status"], "AVAILABLE")
        self.plane.fault("CreateDbInstance", ends="FAILED")
        told = self.aws(lib.FAILED, "CreateDbInstance", {**INSTANCE, "name": "doomed"}, "--wait", "AVAILABLE", "--every", "20ms").err
        self.assertIn("is FAILED", told)


if __name__ == "__main__":
    unittest.main()

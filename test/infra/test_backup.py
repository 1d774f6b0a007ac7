"""Backups for real: the program as a function of Lambda, the control plane of test/lib, and two instances (instance.py) behind TLS for what a restore
test compares. Decisions, not their table (that is src/lambda/backup_plan_test.c). With INFLUXD2=/path/to/influxd the two are InfluxDB 2."""
import datetime
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", room) for room in ("conformance", "e2e", "lib"))]
import lib  # noqa: E402
from aws_lib import KEYS  # noqa: E402
from instance import BUCKET, OPERATOR, Instance  # noqa: E402
from runtime_api import RuntimeApi  # noqa: E402
from tfi_plane import Plane  # noqa: E402

TRIAL = "grid-restore-test"
DAY = 86400


def setUpModule():
    global plane, source, restored, ca
    plane = Plane(delays={"create": 0, "backup": 0, "restore": 3600, "delete": 0}).start()
    unittest.addModuleCleanup(plane.stop)
    source = Instance()
    unittest.addModuleCleanup(source.close)
    restored = Instance()
    unittest.addModuleCleanup(restored.close)
    ca = tempfile.NamedTemporaryFile("w", suffix=".pem")
    unittest.addModuleCleanup(ca.close)
    for instance in (source, restored):
        with open(instance.ca) as f:
            ca.write(f.read())
    ca.flush()


def client():
    import boto3
    return boto3.client("timestream-influxdb", endpoint_url=plane.url, region_name="us-east-1", aws_access_key_id="testing",
                        aws_secret_access_key="testing")


def organization(instance):
    """That of the operator's token: `serve` has one of its own beside ons."""
    orgs = {o["name"]: o["id"] for o in instance.ask("GET", "/api/v2/orgs")["orgs"]}
    name = next((name for name in orgs if name != "ons"), "ons")
    return name, orgs[name]


def renew(instance, lines):
    """Nothing but these lines in the bucket."""
    name, org = organization(instance)
    for bucket in instance.ask("GET", f"/api/v2/buckets?orgID={org}&limit=100")["buckets"]:
        if bucket["name"] == BUCKET:
            instance.ask("DELETE", f"/api/v2/buckets/{bucket['id']}")
    instance.ask("POST", "/api/v2/buckets", {"orgID": org, "name": BUCKET, "retentionRules": []})
    url = f"{instance.url}/api/v2/write?org={name}&bucket={BUCKET}&precision=s"
    with instance.opener.open(urllib.request.Request(url, lines.encode(), {"Authorization": f"Token {OPERATOR}"}), timeout=30) as answer:
        answer.read()


def yesterday():
    """Noon of yesterday: the closed day before a backup of now."""
    return int(time.time()) // DAY * DAY - DAY // 2


class Backups(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        plane.reset()
        self.service = client()
        self.id = self.service.create_db_instance(
            name="grid", username="admin", password="abcdefgh1", organization="ons", bucket=BUCKET, dbInstanceType="db.influx.large",
            allocatedStorage=100, vpcSubnetIds=["subnet-0123456789abcdef0"], vpcSecurityGroupIds=["sg-0123456789abcdef0"])["id"]
        self.assertEqual(self.service.get_db_instance(identifier=self.id)["status"], "AVAILABLE")

    # --- calls ------------------------------------------------------------------------------------------------------------------------

    def start(self, event, left=60, **env):
        """A sandbox with one event in it."""
        api = RuntimeApi(timeout=left + 30)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "INFLUX")) and not k.lower().endswith("_proxy")}
        clean.update(KEYS, AWS_ENDPOINT_URL=plane.url, AWS_LAMBDA_RUNTIME_API=api.address, INSTANCE_ID=self.id, INFLUXDB_URL=source.url,
                     INFLUXDB_TOKEN=OPERATOR, INFLUXDB_ORG=organization(source)[0], INFLUXDB_CA_FILE=ca.name, RESTORE_TEST_URL=restored.url)
        clean.update(env)
        log = tempfile.TemporaryFile("w+")
        process = subprocess.Popen([lib.BINARY, "lambda", "backup.handler"], env=clean, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return api, process, log, api.put(event, left)

    def invoke(self, event, left=60, **env):
        api, process, log, request = self.start(event, left, **env)
        kind, said = api.wait(request)
        process.kill()
        process.wait()
        api.close()
        log.seek(0)
        self.log = log.read()
        log.close()
        self.assertIn(kind, ("response", "error"), self.log)
        return kind, said

    def do(self, what=None, left=60, **env):
        kind, said = self.invoke({"do": what} if what else {"source": "aws.scheduler"}, left, **env)
        self.assertEqual(kind, "response", (said, self.log))
        return said

    def refused(self, event, left=60, **env):
        kind, said = self.invoke(event, left, **env)
        self.assertEqual(kind, "error", said)
        return said["errorMessage"]

    def final(self, action="delete", **more):
        return {"do": "final", "instance": self.id, **more, "tf": {"action": action}}

    # --- what is there ------------------------------------------------------------------------------------------------------------------

    def backups(self):
        return {b["name"]: b["status"] for b in self.service.list_db_backups(dbResourceId=self.id)["items"]}

    def trial(self):
        return next((i for i in self.service.list_db_instances()["items"] if i["name"] == TRIAL), None)

    def clock(self, age_h):
        plane.control("clock", "POST", {"now": stamp(time.time() - age_h * 3600)})

    def old(self, name, age_h, **more):
        """A backup that was made so long ago."""
        self.clock(age_h)
        made = self.service.create_db_backup(name=name, dbResourceId=self.id, **more)
        self.service.list_db_backups()
        self.clock(0)
        return made

    def metric(self, name):
        """What the last call published."""
        lines = [json.loads(line) for line in self.log.splitlines() if '"_aws"' in line]
        return lines[-1].get(name) if lines else None

    def fill(self, *instances, value="1", count=50, more=""):
        for instance in instances:
            rows = "".join(f"load,area=a{n % 3} mw={value},n={n}i {yesterday() + n}\n" for n in range(count)) + more
            renew(instance, rows)

    # --- backups ------------------------------------------------------------------------------------------------------------------------

    def test_a_scheduled_event_makes_one_that_is_named_tagged_and_ends(self):
        said = self.do()
        self.assertEqual((said["do"], said["step"]), ("backup", "create"), said)
        self.assertRegex(said["backup"], r"^grid-\d{8}T\d{4}$")
        made, = plane.requests("CreateDbBackup")
        self.assertEqual(made["request"], {"name": said["backup"], "dbResourceId": self.id, "retentionDays": 35,
                                           "tags": {"afluxo:backup-of": self.id}})
        self.do("look")
        self.assertEqual(self.backups(), {said["backup"]: "COMPLETED"})
        self.assertLess(self.metric("BackupAgeHours"), 0.1)
        self.assertEqual(self.metric("BackupsFailed"), 0)

    def test_one_at_a_time(self):
        self.do()
        plane.control("settings", "POST", {"delays": {"backup": 3600}})
        self.service.create_db_backup(name="another-hand", dbResourceId=self.id)
        said = self.do("backup")
        self.assertEqual((said["step"], said["why"]), ("wait", "a backup is being made"), said)
        self.assertEqual(len(plane.requests("CreateDbBackup")), 2)
        plane.control("settings", "POST", {"delays": {"backup": 0}})

    def test_an_instance_at_work_is_waited_for(self):
        plane.control("moves", "POST", {"id": self.id, "what": "maintain", "ends": None})
        self.assertEqual(self.do("backup")["step"], "wait")
        self.assertEqual(self.backups(), {})

    def test_a_conflict_is_no_failure(self):
        plane.fault("CreateDbBackup", error="ConflictException", count=1)
        said = self.do("backup")
        self.assertEqual(said["step"], "wait")
        self.assertIn("ConflictException", said["why"])
        self.assertEqual(self.do("backup")["step"], "create")

    def test_throttling_is_waited_out(self):
        for operation in ("GetDbInstance", "ListDbBackups", "CreateDbBackup"):
            plane.fault(operation, error="ThrottlingException", count=1)
        self.assertEqual(self.do("backup")["step"], "create")
        self.assertEqual(len(self.backups()), 1)

    def test_a_right_that_is_missing_fails_and_the_age_is_known_still(self):
        self.old("grid-20260101T0000", 40)
        plane.fault("CreateDbBackup", error="AccessDeniedException", count=1)
        self.assertIn("AccessDeniedException", self.refused({"do": "backup"}))
        self.assertAlmostEqual(self.metric("BackupAgeHours"), 40, delta=0.1)

    def test_a_failed_one_is_counted_and_goes_after_the_next(self):
        plane.fault("CreateDbBackup", ends="FAILED", count=1)
        first = self.do("backup")["backup"]
        self.do("look")
        self.assertEqual((self.backups(), self.metric("BackupsFailed"), self.metric("BackupAgeHours")), ({first: "FAILED"}, 1, None))
        time.sleep(2)
        self.old("other-hand", 0)
        said = self.do("backup")
        self.assertEqual(said["dropped"], [first], said)

    def test_retention_and_number(self):
        kept = [self.old(f"grid-2026010{n}T0000", 24 * n)["name"] for n in range(1, 6)]
        mine = self.old("by-hand", 24 * 60)["name"]
        almost = self.old("grid-20260101T000", 24 * 60)["name"]  # no name of ours
        said = self.do("backup", KEEP_BACKUPS="3")
        self.assertEqual(sorted(said["dropped"]), kept[3:], said)
        self.assertEqual(set(self.backups()), {*kept[:3], mine, almost, said["backup"]})
        said = self.do("look", BACKUP_RETENTION_DAYS="1")
        self.assertEqual((said["step"], said["dropped"]), ("nothing", []))  # only a backup drops

    def test_automated_backups_are_neither_ours_nor_many(self):
        self.service.update_db_instance(identifier=self.id, dbBackupConfigurations=[{"type": "HOURLY", "enabled": True, "retentionDays": 30}])
        plane.advance(100 * 3600)
        self.service.list_db_backups()
        self.assertEqual(self.do("backup", KEEP_BACKUPS="1")["dropped"], [])
        self.clock(0)

    def test_what_is_wrong_is_said(self):
        self.assertIn("restore-test", self.refused({"do": "everything"}))
        for env, word in (({"KEEP_BACKUPS": "0"}, "KEEP_BACKUPS"), ({"BACKUP_PREFIX": "final-grid"}, "BACKUP_PREFIX"),
                          ({"BACKUP_PREFIX": "grid_db"}, "BACKUP_PREFIX"), ({"TEST_HOURS_MAX": "500"}, "TEST_HOURS_MAX")):
            api, process, log, _ = self.start({}, **env)
            self.assertIn(word, api.wait("init")[1]["errorMessage"])
            process.wait()
            api.close()
            log.close()

    # --- restore tests -------------------------------------------------------------------------------------------------------------------

    def begin_trial(self, **env):
        backup = self.old("grid-20260101T0000", 0)
        said = self.do("restore-test", **env)
        self.assertEqual(said["step"], "restore", said)
        return backup

    def available(self):
        plane.advance(3700)
        self.assertEqual(self.trial()["status"], "AVAILABLE")

    def proven(self, backup):
        return self.service.list_tags_for_resource(resourceArn=backup["arn"])["tags"].get("afluxo:restore-tested")

    def test_restored_and_equal(self):
        self.fill(source, restored)
        backup = self.begin_trial()
        asked, = plane.requests("RestoreFromDbBackup")
        self.assertEqual((asked["request"]["restoreMode"], asked["request"]["name"], asked["request"]["publiclyAccessible"]),
                         ("NEW_RESOURCE", TRIAL, False))
        said = self.do("look")
        self.assertEqual((said["step"], said["why"]), ("wait", "the instance is being restored"))
        self.available()
        said = self.do("look")
        self.assertEqual((said["step"], said["restore_test_ok"], said["measurements"], said["values"]), ("compare", True, 1, 100), said)
        self.assertEqual(self.metric("RestoreTestOk"), 1)
        self.assertIsNotNone(self.proven(backup))
        self.assertIsNone(self.trial())
        self.assertEqual(self.do("look")["step"], "nothing")
        self.assertLess(self.metric("RestoreTestAgeHours"), 1.2)
        self.assertIsNone(self.metric("RestoreTestOk"))

    def check_different(self, words):
        backup = self.begin_trial()
        self.available()
        said = self.do("look")
        self.assertEqual((said["step"], said["restore_test_ok"], self.metric("RestoreTestOk")), ("compare", False, 0), said)
        self.assertIn(words, said["why"])
        self.assertIsNone(self.proven(backup))
        self.assertIsNone(self.trial())

    def test_a_point_that_is_missing_is_found(self):
        self.fill(source, count=50)
        self.fill(restored, count=49)
        self.check_different("has 100 values, restored 98")

    def test_a_value_that_differs_is_found(self):
        self.fill(source)
        self.fill(restored, value="1.0000000000000002")
        self.check_different("but not the same")

    def test_a_measurement_too_many_is_found(self):
        self.fill(source)
        self.fill(restored, more=f"ghost,area=a mw=1 {yesterday()}\n")
        self.check_different("ghost")

    def test_a_day_without_values_proves_nothing(self):
        self.fill(source, restored, count=0, more=f"load,area=a mw=1 {yesterday() - 3 * DAY}\n")
        self.check_different("nothing is proven")

    def test_what_came_after_the_day_is_not_looked_at(self):
        self.fill(source, more=f"load,area=a mw=1 {int(time.time())}\n")
        self.fill(restored)
        self.begin_trial()
        self.available()
        self.assertEqual(self.do("restore-test")["restore_test_ok"], True)

    def test_an_instance_that_does_not_answer_is_asked_again_until_time_is_up(self):
        self.fill(source)
        nowhere = f"https://127.0.0.1:{lib.free_port()}"
        self.begin_trial()
        self.available()
        for _ in range(2):
            said = self.do("look", RESTORE_TEST_URL=nowhere)
            self.assertEqual(said["step"], "wait", said)
            self.assertIn("could not be compared yet", said["why"])
        self.service.tag_resource(resourceArn=self.trial()["arn"], tags={"afluxo:started": stamp(time.time() - 7 * 3600)})
        said = self.do("look", RESTORE_TEST_URL=nowhere)
        self.assertEqual((said["step"], said["restore_test_ok"], self.metric("RestoreTestOk")), ("give-up", False, 0), said)
        self.assertIsNone(self.trial())

    def test_a_restore_that_hangs_is_given_up_and_deleted_when_the_service_lets_it(self):
        self.begin_trial()
        self.service.tag_resource(resourceArn=self.trial()["arn"], tags={"afluxo:started": stamp(time.time() - 7 * 3600)})
        said = self.do("look")
        self.assertEqual((said["step"], self.metric("RestoreTestOk")), ("wait", 0), said)
        self.assertIn("in progress", said["why"])
        self.available()
        self.assertEqual(self.do("look")["step"], "give-up")
        self.assertIsNone(self.trial())

    def test_a_restore_that_fails_is_given_up(self):
        plane.fault("RestoreFromDbBackup", ends="RESTORE_FAILED", count=1)
        self.begin_trial()
        plane.advance(3700)
        self.assertEqual(self.trial()["status"], "RESTORE_FAILED")
        self.assertEqual((self.do("look")["step"], self.metric("RestoreTestOk"), self.trial()), ("give-up", 0, None))

    def test_killed_at_every_call_the_next_goes_on(self):
        self.fill(source, restored)
        for operation in ("RestoreFromDbBackup", "TagResource", "DeleteDbInstance"):
            for lost in ("before", "after"):
                with self.subTest(operation=operation, lost=lost):
                    self.setUp()
                    backup = self.old("grid-20260101T0000", 0)
                    if operation != "RestoreFromDbBackup":
                        self.do("restore-test")
                        self.available()
                    plane.fault(operation, delay=1, lost=lost, count=1)
                    api, process, log, _ = self.start({"do": "restore-test"})
                    for _ in range(600):
                        if any(r["operation"] == operation for r in plane.requests()) or process.poll() is not None:
                            break
                        time.sleep(0.02)
                    process.kill()
                    process.wait()
                    api.close()
                    log.close()
                    time.sleep(1.2)
                    plane.control("faults", "DELETE")
                    for _ in range(4):
                        self.do("restore-test" if self.trial() or not self.proven(backup) else "look")
                        if self.trial():
                            plane.advance(3700)
                            self.trial()
                        elif self.proven(backup):
                            break
                    self.assertIsNotNone(self.proven(backup))
                    self.assertIsNone(self.trial())
                    self.clock(0)

    def test_an_instance_of_that_name_that_is_not_ours_is_not_touched(self):
        self.old("grid-20260101T0000", 0)
        self.service.create_db_instance(
            name=TRIAL, username="admin", password="abcdefgh1", organization="ons", bucket=BUCKET, dbInstanceType="db.influx.large",
            allocatedStorage=100, vpcSubnetIds=["subnet-0123456789abcdef0"], vpcSecurityGroupIds=["sg-0123456789abcdef0"],
            tags={"afluxo:restore-test-of": "another"})
        self.assertIn("not ours", self.refused({"do": "restore-test"}))
        self.assertIn("not ours", self.refused({"do": "look"}))
        self.assertEqual(plane.requests("DeleteDbInstance"), [])
        self.assertEqual(self.do("backup")["step"], "create")

    def test_nothing_is_restored_that_could_not_be_compared(self):
        self.old("grid-20260101T0000", 0)
        self.assertIn("INFLUXDB_TOKEN", self.refused({"do": "restore-test"}, INFLUXDB_TOKEN=""))
        self.assertEqual(plane.requests("RestoreFromDbBackup"), [])

    def test_two_at_once_restore_once(self):
        self.old("grid-20260101T0000", 0)
        started = [self.start({"do": "restore-test"}) for _ in range(3)]
        for api, process, log, request in started:
            self.assertEqual(api.wait(request)[0], "response")
            process.kill()
            process.wait()
            api.close()
            log.close()
        self.assertEqual(sum(i["name"] == TRIAL for i in self.service.list_db_instances()["items"]), 1)

    # --- the final one -------------------------------------------------------------------------------------------------------------------

    def test_only_a_delete_does_anything(self):
        for action in ("create", "update"):
            self.assertEqual(self.invoke(self.final(action))[1]["step"], "nothing")
        self.assertEqual(plane.requests(), [r for r in plane.requests() if r["operation"] in ("CreateDbInstance", "GetDbInstance")])

    def test_the_final_backup_is_made_and_the_others_go(self):
        old, hand = self.old("grid-20260101T0000", 24)["name"], self.old("by-hand", 24)["name"]
        kind, said = self.invoke(self.final(retention_days=90))
        self.assertEqual((kind, said["step"], said["dropped"], said["kept"][0]), ("response", "done", [old], hand), (said, self.log))
        self.assertRegex(said["final_backup"]["name"], r"^final-grid-\d{8}T\d{4}$")
        self.assertEqual(plane.requests("CreateDbBackup")[-1]["request"]["retentionDays"], 90)
        self.assertEqual(self.backups(), {hand: "COMPLETED", said["final_backup"]["name"]: "COMPLETED"})
        self.assertTrue(any("service-linked role" in what for what in said["stays"]))
        again = self.invoke(self.final())[1]  # the destroy failed at something else
        self.assertEqual(again["final_backup"], said["final_backup"])

    def test_a_deadline_too_short_then_finished(self):
        plane.control("settings", "POST", {"delays": {"backup": 3600}})
        words = self.refused(self.final(), left=8)
        self.assertRegex(words, r"the backup final-grid-\d{8}T\d{4} is IN_PROGRESS: run destroy again")
        self.assertIn("IN_PROGRESS", self.refused(self.final(), left=8))
        self.assertEqual(len(plane.requests("CreateDbBackup")), 1)
        plane.advance(3700)
        kind, said = self.invoke(self.final())
        self.assertEqual((kind, said["step"], len(plane.requests("CreateDbBackup"))), ("response", "done", 1), said)
        plane.control("settings", "POST", {"delays": {"backup": 0}})

    def test_backups_are_kept_where_that_is_wanted(self):
        old = self.old("grid-20260101T0000", 24)["name"]
        said = self.invoke(self.final(keep_backups=True))[1]
        self.assertEqual((said["dropped"], set(self.backups())), ([], {old, said["final_backup"]["name"]}))

    def test_no_final_backup_where_none_is_wanted(self):
        self.old("grid-20260101T0000", 24)
        said = self.invoke(self.final(final_backup=False))[1]
        self.assertEqual((said["step"], said["final_backup"], self.backups()), ("done", None, {}), said)
        self.assertEqual(len(plane.requests("CreateDbBackup")), 1)

    def test_a_final_backup_that_fails_is_said_once_a_call(self):
        old = self.old("grid-20260101T0000", 24)["name"]
        plane.fault("CreateDbBackup", ends="FAILED", count=1)
        self.assertIn("final_backup = false", self.refused(self.final()))
        self.assertEqual(self.backups()[old], "COMPLETED")
        self.assertEqual(len(plane.requests("CreateDbBackup")), 2)

    def test_an_instance_that_is_gone_or_failed_does_not_hold_a_destroy_up(self):
        old = self.old("grid-20260101T0000", 24)["name"]
        self.service.delete_db_instance(identifier=self.id)
        said = self.invoke(self.final(), BACKUP_PREFIX="grid")[1]
        self.assertEqual((said["step"], said["final_backup"], said["kept"]), ("done", None, [old]), said)
        self.assertEqual(self.invoke(self.final())[1]["step"], "done")
        self.assertEqual(set(self.backups()), {old})

    def test_a_restore_test_under_way_ends_with_the_destroy(self):
        self.old("grid-20260101T0000", 24)
        self.do("restore-test")
        timer = threading.Timer(4, plane.advance, (3700,))
        timer.start()
        said = self.invoke(self.final())[1]
        timer.join()
        self.assertEqual((said["step"], self.trial()), ("done", None), said)
        self.clock(0)

    def test_a_backup_that_cannot_be_deleted_fails_the_destroy(self):
        self.old("grid-20260101T0000", 24)
        plane.fault("DeleteDbBackup", error="AccessDeniedException", count=1)
        self.assertIn("cannot be deleted", self.refused(self.final()))
        self.assertEqual(self.invoke(self.final())[0], "response")


def stamp(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    unittest.main()

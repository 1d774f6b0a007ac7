"""Provisioning for real: the program as a function of Lambda, moto's secrets, the control plane of test/lib, and `afluxo serve` behind TLS as the
instance (or InfluxDB 2 itself: INFLUXD2=/path/to/influxd). Killed at every request it makes, it must never leave an instance whose password no
secret holds, and the next call must complete what the killed one left."""
import datetime
import http.client
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", room) for room in ("conformance", "e2e", "lib"))]
import lib  # noqa: E402
import terraform  # noqa: E402
from aws_lib import Moto  # noqa: E402
from front import HOP, Front  # noqa: E402
from functions import Functions, Proxy  # noqa: E402
from instance import BUCKET, Instance  # noqa: E402
from runtime_api import RuntimeApi  # noqa: E402
from tfi_plane import Plane  # noqa: E402

FIRST = "first1234567"
PREFIX = "afluxo grid "


def setUpModule():
    global moto, plane, front, instance
    moto = Moto()
    unittest.addModuleCleanup(moto.close)
    plane = Plane(delays={"create": 0}, aws=moto.url).start()
    unittest.addModuleCleanup(plane.stop)
    front = Front(moto.url, plane.url)
    unittest.addModuleCleanup(front.close)
    instance = Instance()
    unittest.addModuleCleanup(instance.close)


class Gate:
    """Everything that the program sends goes through here, to AWS by HTTP and to the instance by HTTPS, and is counted. At request number
    `kill_at` the process is killed: `before` it is passed on, or `after` it was answered and nobody heard the answer."""

    def __init__(self):
        self.lock, self.log, self.kill_at, self.when, self.process, self.answers = threading.Lock(), [], None, "before", None, {}
        self.servers = [self.serve(front.url, None), self.serve(instance.url, instance)]
        self.aws = f"http://127.0.0.1:{self.servers[0].server_address[1]}"
        self.influx = f"https://localhost:{self.servers[1].server_address[1]}"

    def close(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def arm(self, kill_at=None, when="before"):
        self.log, self.kill_at, self.when, self.answers = [], kill_at, when, {}

    def serve(self, to, tls):
        gate, peer = self, urllib.parse.urlsplit(to)
        context = ssl.create_default_context(cafile=tls.ca) if tls else None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def log_message(self, *_):
                pass

            def handle_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                name = self.headers.get("X-Amz-Target", f"{self.command} {self.path}").split("?")[0]
                with gate.lock:
                    gate.log.append(name)
                    is_it = len(gate.log) == gate.kill_at
                if is_it and gate.when == "before":
                    return self.end()
                said = gate.answers.get(name)
                status, headers, text = said if said else self.pass_on(body)
                if is_it:
                    return self.end()
                self.send_response(status)
                for key, value in headers:
                    if key.lower() not in HOP:
                        self.send_header(key, value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                self.wfile.flush()

            def pass_on(self, body):
                link = (http.client.HTTPSConnection(peer.hostname, peer.port, context=context) if tls
                        else http.client.HTTPConnection(peer.hostname, peer.port))
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                link.request(self.command, self.path, body=body, headers={**headers, "Content-Length": str(len(body))})
                answer = link.getresponse()
                text = answer.read()
                link.close()
                return answer.status, answer.getheaders(), text

            def end(self):
                gate.process.send_signal(signal.SIGKILL)
                gate.process.wait()
                self.close_connection = True

            def handle_all(self):
                try:
                    self.handle_any()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_all

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        server = Server(("127.0.0.1", 0), Handler)
        if tls:
            server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server_side.load_cert_chain(tls.ca, tls.key)
            server.socket = server_side.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server


class Base(unittest.TestCase):
    maxDiff = None
    serial = 0

    def setUp(self):
        plane.reset()
        self.secrets = moto.client("secretsmanager")
        self.gate = Gate()
        self.addCleanup(self.gate.close)
        self.fresh()

    def fresh(self):
        """A new instance, and secrets that hold nothing yet."""
        Base.serial += 1
        n = Base.serial
        instance.begin(FIRST)
        self.initial = self.secrets.create_secret(Name=f"READONLY-{n}", SecretString=json.dumps(
            {"organization": "ons", "bucket": BUCKET, "username": "admin", "password": FIRST}))["ARN"]
        self.admin, self.loader, self.query = (self.secrets.create_secret(Name=f"{name}-{n}")["ARN"] for name in ("admin", "loader", "query"))

    def event(self, do="bootstrap", action="create", **more):
        return {"do": do, "instance": None, "url": self.gate.influx, "org": "ons", "prefix": PREFIX,
                "admin": {"initial_secret": self.initial, "secret": self.admin},
                "buckets": [{"name": BUCKET}, {"name": "monitor", "retention_s": 2592000, "shard_group_s": 86400}],
                "tokens": [{"secret": self.loader, "description": PREFIX + "loader", "write": [BUCKET], "read": []},
                           {"secret": self.query, "description": PREFIX + "query", "read": [BUCKET, "monitor"], "valid_days": 30}],
                "tf": {"action": action}, **more}

    def env(self, **more):
        return moto.env(self.gate.aws, **{"INFLUXDB_CA_FILE": instance.ca, "PROVISION_WAIT_SECONDS": "0", **more})

    def run_once(self, event, status=0, **env):
        """The answer; of a failure what it said."""
        with subprocess.Popen([lib.BINARY, "lambda", "provision", "--once", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, env=self.env(**env)) as process:
            self.gate.process = process
            out, err = process.communicate(json.dumps(event), timeout=120)
        self.assertEqual(process.returncode, status, err)
        self.check_says_no_secret(out + err)
        return json.loads(out) if status == 0 else err

    def value(self, arn):
        """What the secret holds; None: nothing, or nothing of ours."""
        try:
            return json.loads(self.secrets.get_secret_value(SecretId=arn)["SecretString"])
        except (self.secrets.exceptions.ResourceNotFoundException, json.JSONDecodeError):
            return None

    def version(self, arn):
        return self.secrets.get_secret_value(SecretId=arn)["VersionId"]

    def check_says_no_secret(self, text):
        for arn in (self.initial, self.admin, self.loader, self.query):
            for key, value in (self.value(arn) or {}).items():
                if key in ("password", "previous", "token"):
                    self.assertNotIn(value, text)

    def check_never_locked_out(self):
        known = [v for arn in (self.admin, self.initial) for k, v in (self.value(arn) or {}).items() if k in ("password", "previous")]
        self.assertTrue(any(instance.opens(password) for password in known), "no secret holds the password")

    def check_complete(self):
        admin = self.value(self.admin)
        self.assertEqual(set(admin), {"username", "password"})
        self.assertTrue(instance.opens(admin["password"]))
        self.assertFalse(instance.opens(FIRST))
        self.assertRegex(admin["password"], "^[A-Za-z0-9]{40}$")
        buckets = instance.buckets()
        self.assertEqual(set(buckets), {BUCKET, "monitor"})
        rule = buckets["monitor"]["retentionRules"][0]
        self.assertEqual((rule["everySeconds"], rule["shardGroupDurationSeconds"]), (2592000, 86400))
        held = {PREFIX + "loader": self.value(self.loader), PREFIX + "query": self.value(self.query)}
        self.assertEqual({t["id"]: t["description"] for t in instance.tokens()}, {v["id"]: k for k, v in held.items()})
        today = datetime.datetime.now(datetime.timezone.utc).date()
        self.assertIn(datetime.date.fromisoformat(held[PREFIX + "loader"]["expires"]) - today, [datetime.timedelta(d) for d in (364, 365)])
        self.check_rights(held, buckets)

    def check_rights(self, held, buckets):
        ids = {name: bucket["id"] for name, bucket in buckets.items()}
        rights = {t["description"]: {(p["action"], p["resource"]["type"], p["resource"].get("id")) for p in t["permissions"]}
                  for t in instance.tokens()}
        self.assertEqual(rights, {PREFIX + "loader": {("write", "buckets", ids[BUCKET])},
                                  PREFIX + "query": {("read", "buckets", ids[BUCKET]), ("read", "buckets", ids["monitor"])}})
        self.assertEqual(instance.writes(held[PREFIX + "loader"]["token"], BUCKET), 204)
        self.assertIn(instance.writes(held[PREFIX + "loader"]["token"], "monitor"), (401, 403, 404))
        self.assertIn(instance.writes(held[PREFIX + "query"]["token"], BUCKET), (401, 403, 404))

    def versions(self):
        return [self.version(arn) for arn in (self.admin, self.loader, self.query)]


class Bootstrap(Base):
    def test_the_first_time(self):
        said = self.run_once(self.event())
        self.check_complete()
        self.assertEqual((said["organization"], said["password"], said["revoked"]), ("ons", "renewed", []))
        self.assertEqual([(b["name"], b["created"]) for b in said["buckets"]], [(BUCKET, False), ("monitor", True)])
        self.assertEqual([(t["description"], t["secret"], t["created"]) for t in said["tokens"]],
                         [(PREFIX + "loader", self.loader, True), (PREFIX + "query", self.query, True)])

    def test_the_second_time_changes_nothing(self):
        self.run_once(self.event())
        before = self.versions()
        self.gate.arm()
        said = self.run_once(self.event(action="update"))
        self.assertEqual((said["password"], said["revoked"], [t["created"] for t in said["tokens"]]), ("kept", [], [False, False]))
        self.assertEqual(self.versions(), before)
        self.assertEqual([name for name in self.gate.log if "Put" in name or name.startswith(("DELETE", "POST"))],
                         ["POST /api/v2/signin", "POST /api/v2/signout"])
        self.check_complete()

    def test_what_changed_is_made_right_and_nothing_else(self):
        self.run_once(self.event())
        loader, query, admin = (self.version(arn) for arn in (self.loader, self.query, self.admin))
        old = self.value(self.query)
        event = self.event(action="update")
        event["tokens"][1]["read"] = [BUCKET]
        said = self.run_once(event)
        self.assertEqual([t["created"] for t in said["tokens"]], [False, True])
        self.assertEqual(said["revoked"], [old["id"]])
        self.assertEqual((self.version(self.loader), self.version(self.admin)), (loader, admin))
        self.assertNotEqual(self.version(self.query), query)
        self.assertEqual(instance.status("GET", "/api/v2/buckets?limit=1", old["token"]), 401)

    def test_a_token_that_was_taken_away_or_stopped_is_made_anew(self):
        self.run_once(self.event())
        instance.ask("DELETE", f"/api/v2/authorizations/{self.value(self.loader)['id']}")
        instance.ask("PATCH", f"/api/v2/authorizations/{self.value(self.query)['id']}", {"status": "inactive"})
        said = self.run_once(self.event(action="update"))
        self.assertEqual([t["created"] for t in said["tokens"]], [True, True])
        self.check_complete()

    def test_a_token_of_the_secret_that_is_another_one_is_made_anew(self):
        self.run_once(self.event())
        held = self.value(self.loader)
        self.secrets.put_secret_value(SecretId=self.loader, SecretString=json.dumps({**held, "token": "by-hand"}))
        self.assertEqual([t["created"] for t in self.run_once(self.event(action="update"))["tokens"]], [True, False])
        self.check_complete()

    def test_tokens_of_others_are_left_alone(self):
        other = instance.ask("POST", "/api/v2/authorizations", {"orgID": instance.org, "description": "afluxo other platform", "permissions": [
            {"action": "read", "resource": {"type": "buckets", "orgID": instance.org}}]})
        self.run_once(self.event())
        self.run_once(self.event("rotate"))
        self.assertIn(other["id"], [t["id"] for t in instance.tokens()])

    def test_an_operator_is_made_where_one_is_named(self):
        event = self.event()
        event["tokens"][1] = {"secret": self.query, "description": PREFIX + "operator", "operator": True}
        self.assertEqual([t["created"] for t in self.run_once(event)["tokens"]], [True, True])
        self.assertEqual(instance.status("GET", "/api/v2/users", self.value(self.query)["token"]), 200)
        self.assertEqual([t["created"] for t in self.run_once(event)["tokens"]], [False, False])

    def test_the_first_password_is_worthless_wherever_it_stands(self):
        self.secrets.put_secret_value(SecretId=self.admin, SecretString=json.dumps({"username": "admin", "password": FIRST}))
        self.assertEqual(self.run_once(self.event())["password"], "renewed")
        self.check_complete()

    def test_the_first_secret_is_not_needed_any_more(self):
        self.run_once(self.event())
        self.secrets.delete_secret(SecretId=self.initial, ForceDeleteWithoutRecovery=True)
        self.assertEqual(self.run_once(self.event(action="update"))["password"], "kept")
        event = self.event(action="update")
        event["admin"]["initial_secret"] = None
        self.assertEqual(self.run_once(event)["password"], "kept")

    def test_another_instance_behind_the_same_secrets(self):
        self.run_once(self.event())
        instance.begin(FIRST)
        self.assertEqual(self.run_once(self.event(action="update"))["password"], "renewed")
        self.check_complete()

    def test_a_password_that_somebody_changed(self):
        self.run_once(self.event())
        instance.set_password("by-hand-1234")
        err = self.run_once(self.event(action="update"), status=1)
        self.assertIn("no password that is known opens", err)
        self.assertIn(self.admin, err)
        self.secrets.put_secret_value(SecretId=self.admin, SecretString=json.dumps({"username": "admin", "password": "by-hand-1234"}))
        self.assertEqual(self.run_once(self.event(action="update"))["password"], "kept")

    def test_secrets_that_cannot_be_read_or_written(self):
        for what, words in (("GetSecretValue", "AccessDenied"), ("PutSecretValue", "AccessDenied")):
            with self.subTest(what=what):
                self.gate.answers[f"secretsmanager.{what}"] = (400, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(
                    {"__type": "AccessDeniedException", "Message": "not for you"}).encode())
                self.assertIn(words, self.run_once(self.event(), status=1))
                self.assertEqual(instance.tokens(), [])
                self.assertTrue(instance.opens(FIRST))
                self.gate.answers.clear()
        self.run_once(self.event())
        self.check_complete()

    def test_a_right_that_was_just_given_is_waited_for(self):
        refusal = (400, [("Content-Type", "application/x-amz-json-1.1")],
                   json.dumps({"__type": "AccessDeniedException", "Message": "not yet"}).encode())
        self.gate.answers["secretsmanager.GetSecretValue"] = refusal
        later = threading.Timer(2, self.gate.answers.clear)
        later.start()
        self.assertEqual(self.run_once(self.event(), PROVISION_WAIT_SECONDS="60")["password"], "renewed")
        later.join()
        self.check_complete()

    def test_an_instance_that_is_starting_is_waited_for(self):
        instance.stop()
        later = threading.Timer(2, instance.start)
        later.start()
        said = self.run_once(self.event(), PROVISION_WAIT_SECONDS="60")
        later.join()
        self.assertEqual(said["password"], "renewed")

    def test_a_secret_of_something_else_is_not_overwritten(self):
        self.secrets.put_secret_value(SecretId=self.admin, SecretString="my own words")
        err = self.run_once(self.event(), status=1)
        self.assertIn("no JSON object", err)
        self.assertNotIn("my own words", err)
        self.assertTrue(instance.opens(FIRST))

    def test_a_bucket_that_is_nowhere(self):
        event = self.event()
        event["tokens"][0]["write"] = ["nowhere"]
        self.assertIn('"nowhere"', self.run_once(event, status=1))
        self.check_never_locked_out()

    def test_an_organisation_that_is_nowhere(self):
        self.assertIn('"nobody"', self.run_once(self.event(org="nobody"), status=1))

    def test_events_that_are_wrong_call_nobody(self):
        for event, words in (({}, "bootstrap"), (self.event(do="destroy"), "bootstrap"), (self.event(url="http://db"), "https"),
                             (self.event(tokens=[{"secret": "a", "description": "other"}]), "must begin with")):
            self.gate.arm()
            self.assertIn(words, self.run_once(event, status=1))
            self.assertEqual(self.gate.log, [])

    def test_an_instance_that_does_not_answer(self):
        err = self.run_once(self.event(url=f"https://localhost:{lib.free_port()}"), status=1)
        self.assertIn("localhost", err)

    def test_a_certificate_that_nobody_signed(self):
        self.assertIn("certificate", self.run_once(self.event(), status=1, INFLUXDB_CA_FILE="/etc/ssl/certs/ca-certificates.crt"))
        self.assertTrue(instance.opens(FIRST))

    def test_two_at_once_lock_nobody_out(self):
        for _ in range(3):
            self.fresh()
            processes = [subprocess.Popen([lib.BINARY, "lambda", "provision", "--once", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=subprocess.PIPE, text=True, env=self.env()) for _ in range(3)]
            for process in processes:
                process.stdin.write(json.dumps(self.event()))
                process.stdin.close()
                process.stdin = None
            for process in processes:
                process.communicate(timeout=120)
            self.check_never_locked_out()
            self.run_once(self.event(action="update"))
            self.check_complete()


class Rotation(Base):
    def test_new_password_new_tokens_old_ones_revoked(self):
        self.run_once(self.event())
        old = [self.value(arn) for arn in (self.admin, self.loader, self.query)]
        said = self.run_once(self.event("rotate"))
        self.check_complete()
        self.assertEqual((said["password"], [t["created"] for t in said["tokens"]]), ("renewed", [True, True]))
        self.assertEqual(sorted(said["revoked"]), sorted(v["id"] for v in old[1:]))
        self.assertFalse(instance.opens(old[0]["password"]))
        for held in old[1:]:
            self.assertEqual(instance.status("GET", "/api/v2/buckets?limit=1", held["token"]), 401)

    def test_the_old_ones_go_after_the_new_ones_are_stored(self):
        self.run_once(self.event())
        self.gate.arm()
        self.run_once(self.event("rotate"))
        puts = [i for i, name in enumerate(self.gate.log) if name.endswith("PutSecretValue")]
        deletes = [i for i, name in enumerate(self.gate.log) if name.startswith("DELETE")]
        self.assertEqual(len(deletes), 2)
        self.assertLess(max(puts), min(deletes))


class Delete(Base):
    def test_tokens_are_revoked_and_secrets_left(self):
        self.run_once(self.event())
        ids = [self.value(arn)["id"] for arn in (self.loader, self.query)]
        self.assertEqual(self.run_once(self.event("revoke")), {"revoked": []})
        self.assertEqual(self.run_once(self.event("revoke", "update")), {"revoked": []})
        self.assertEqual(len(instance.tokens()), 2)
        self.assertEqual(sorted(self.run_once(self.event("revoke", "delete"))["revoked"]), sorted(ids))
        self.assertEqual(instance.tokens(), [])
        self.assertTrue(instance.opens(self.value(self.admin)["password"]))
        self.assertEqual(self.run_once(self.event(action="delete"))["revoked"], [])

    def test_an_instance_that_is_gone(self):
        self.run_once(self.event())
        said = self.run_once(self.event(action="delete", instance="abcdefghij"))
        self.assertIn("gone", said)
        said = self.run_once(self.event(action="delete", url=f"https://localhost:{lib.free_port()}"))
        self.assertIn("does not answer", said["gone"])


class Killed(Base):
    """At request N, before it was sent on or after it was answered, for every N."""

    def sweep(self, prepare, event, when):
        self.fresh()
        prepare()
        self.gate.arm()
        self.run_once(event())
        requests = len(self.gate.log)
        self.assertGreater(requests, 10)
        for n in range(1, requests + 1):
            self.fresh()
            prepare()
            self.gate.arm(n, when)
            self.run_once(event(), status=-signal.SIGKILL)
            with self.subTest(n=n, when=when, request=self.gate.log[-1]):
                self.check_never_locked_out()
                self.gate.arm()
                self.run_once(self.event(action="update"))
                self.check_complete()
                before = self.versions()
                self.assertEqual(self.run_once(self.event(action="update"))["password"], "kept")
                self.assertEqual(self.versions(), before)

    def test_bootstrap_before_a_request(self):
        self.sweep(lambda: None, self.event, "before")

    def test_bootstrap_after_a_request(self):
        self.sweep(lambda: None, self.event, "after")

    def test_rotation_before_a_request(self):
        self.sweep(lambda: self.run_once(self.event()), lambda: self.event("rotate"), "before")

    def test_rotation_after_a_request(self):
        self.sweep(lambda: self.run_once(self.event()), lambda: self.event("rotate"), "after")


class Groups(Base):
    PARAMETERS = {"logLevel": "info", "queryConcurrency": 10, "storageRetentionCheckInterval": {"durationType": "minutes", "value": 30}}

    def group(self, action="create", status=0, prefix="grid", **parameters):
        return self.run_once({"do": "parameter-group", "prefix": prefix, "description": "of a test", "parameters": parameters or self.PARAMETERS,
                              "tf": {"action": action}}, status)

    def asked(self, operation):
        return [r["request"] for r in plane.requests(operation)]

    def test_made_once_and_found_again(self):
        made = self.group()
        self.assertRegex(made["name"], "^grid-[0-9a-f]{12}$")
        self.assertTrue(made["created"])
        again = self.group("update")
        self.assertEqual(again, {**made, "created": False})
        self.assertEqual(self.asked("CreateDbParameterGroup"), [
            {"name": made["name"], "description": "of a test", "parameters": {"InfluxDBv2": self.PARAMETERS}}])

    def test_others_are_another_group(self):
        self.assertNotEqual(self.group()["id"], self.group(queryConcurrency=11)["id"])

    def test_what_is_wrong_calls_nobody(self):
        for parameters, words in (({"queryQueueSize": 2048}, "0 to 256"), ({"query-concurrency": 1}, "query-concurrency"),
                                  ({"logLevel": "warn"}, "debug info error")):
            self.assertIn(words, self.group(status=1, **parameters))
        self.assertIn("prefix", self.group(prefix="dbpg-x", status=1))
        self.assertEqual(plane.requests(), [])

    def test_throttling_is_waited_out(self):
        plane.fault("CreateDbParameterGroup", error="ThrottlingException", count=1)
        plane.fault("ListDbParameterGroups", error="ThrottlingException", count=1)
        self.assertTrue(self.group()["created"])

    def test_a_conflict_is_looked_at_again(self):
        """The answer of the first attempt is lost, the second is told of a conflict with the first."""
        plane.fault("CreateDbParameterGroup", lost="after", count=1)
        said = self.group()
        self.assertFalse(said["created"])
        self.assertEqual(len(self.asked("CreateDbParameterGroup")), 2)
        self.assertEqual(self.group()["id"], said["id"])

    def test_a_conflict_with_nobody_is_a_failure(self):
        plane.fault("CreateDbParameterGroup", error="ConflictException", count=9)
        self.assertIn("ConflictException", self.group(status=1))

    def test_many_groups_are_listed_in_pages(self):
        made = self.group()
        for n in range(12):
            self.group(queryConcurrency=n)
        self.assertEqual(self.group()["id"], made["id"])

    def test_deleting_says_what_stays(self):
        made = self.group()
        self.assertEqual(self.group("delete"), {"kept": f"parameter group {made['name']}: the service has no call that deletes one"})

    def test_killed_at_every_request(self):
        self.gate.arm()
        self.group()
        for when in ("before", "after"):
            for n in range(1, len(self.gate.log) + 1):
                plane.reset()
                self.gate.arm(n, when)
                self.group(status=-signal.SIGKILL)
                self.gate.arm()
                self.group()
                self.assertEqual(len([t for t in self.listed() if t["name"].startswith("grid-")]), 1)

    def listed(self):
        import boto3
        client = boto3.client("timestream-influxdb", endpoint_url=front.url, region_name="us-east-1", aws_access_key_id="testing",
                              aws_secret_access_key="testing")
        return client.list_db_parameter_groups()["items"]


class Inside(Base):
    """As a function: waiting, deadlines, errors of the runtime API."""

    def setUp(self):
        super().setUp()
        self.api = RuntimeApi(timeout=60)
        self.process = subprocess.Popen([lib.BINARY, "lambda", "provision"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=self.env(AWS_LAMBDA_RUNTIME_API=self.api.address))
        self.addCleanup(self.api.close)
        self.addCleanup(self.process.wait)
        self.addCleanup(self.process.kill)

    def make_instance(self):
        ec2 = moto.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName=f"db-{Base.serial}", Description="d", VpcId=vpc)["GroupId"]
        import boto3
        client = boto3.client("timestream-influxdb", endpoint_url=front.url, region_name="us-east-1", aws_access_key_id="testing",
                              aws_secret_access_key="testing")
        return client.create_db_instance(name=f"grid{Base.serial}", username="admin", password=FIRST, organization="ons", bucket=BUCKET,
                                         dbInstanceType="db.influx.large", allocatedStorage=100, vpcSubnetIds=[subnet],
                                         vpcSecurityGroupIds=[group])["id"]

    def test_it_waits_for_the_instance(self):
        plane.control("settings", "POST", {"delays": {"create": 3}})
        kind, said = self.api.invoke(self.event(instance=self.make_instance()), left=60)
        plane.control("settings", "POST", {"delays": {"create": 0}})
        self.assertEqual(kind, "response", said)
        self.assertGreater(len(plane.requests("GetDbInstance")), 1)
        self.check_complete()

    def test_it_stops_in_time_and_says_so(self):
        plane.control("settings", "POST", {"delays": {"create": 3600}})
        kind, said = self.api.invoke(self.event(instance=self.make_instance()), left=6)
        plane.control("settings", "POST", {"delays": {"create": 0}})
        self.assertEqual(kind, "error")
        self.assertIn("time is up", said["errorMessage"])
        self.assertTrue(instance.opens(FIRST))

    def test_a_sandbox_that_lives_on_sees_what_others_changed(self):
        self.assertEqual(self.api.invoke(self.event())[0], "response")
        self.run_once(self.event("rotate"))
        kind, said = self.api.invoke(self.event(action="update"))
        self.assertEqual((kind, said["password"]), ("response", "kept"), said)
        self.check_complete()

    def test_an_event_that_is_wrong_is_an_error_of_the_invocation(self):
        self.assertEqual(self.api.invoke({"do": "bootstrap"})[0], "error")
        self.assertEqual(self.api.invoke([])[0], "error")


CONFIGURATION = """
variable "parameters" { type = any }
variable "tokens" { type = any }
module "provision" {
  source          = "../../modules/provision"
  name            = "grid"
  zip             = "${path.module}/function.zip"
  parameter_group = { parameters = var.parameters }
  tokens          = var.tokens
  recovery_days   = 0
  rotation_days   = 30
  instance = {
    id               = module.influxdb.id
    arn              = module.influxdb.arn
    url              = module.influxdb.url
    admin_secret_arn = module.influxdb.admin_secret_arn
  }
}
module "influxdb" {
  source             = "../../modules/influxdb"
  name               = "grid"
  vpc_id             = "VPC"
  subnet_ids         = ["SUBNET"]
  allowed_cidrs      = { office = "10.0.0.0/16" }
  parameter_group_id = module.provision.parameter_group_id
}
output "secrets" { value = merge(module.provision.token_secret_arns, { admin = module.provision.admin_secret_arn }) }
output "group" { value = module.provision.parameter_group_id }
output "buckets" { value = module.provision.buckets }
"""


class Terraformed(unittest.TestCase):
    """Terraform calls the function: one life of a configuration, in order."""

    TOKENS = {"loader": {"write": [BUCKET]}, "query": {"read": [BUCKET]}}

    @classmethod
    def setUpClass(cls):
        ec2 = moto.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.0.0/24")["Subnet"]["SubnetId"]
        plane.reset()
        cls.proxy = Proxy(instance.port)
        cls.addClassCleanup(cls.proxy.close)
        front.functions = cls.functions = Functions(front.url, {"https_proxy": cls.proxy.url, "INFLUXDB_CA_FILE": instance.ca,
                                                                "PROVISION_WAIT_SECONDS": "0"}, before=cls.begin)
        cls.addClassCleanup(setattr, front, "functions", None)
        cls.first, cls.secrets = None, moto.client("secretsmanager")
        cls.infra = terraform.Infra(front.url, text=CONFIGURATION.replace('"VPC"', f'"{vpc}"').replace('"SUBNET"', f'"{subnet}"'))
        cls.addClassCleanup(cls.infra.close)
        with open(os.path.join(cls.infra.where(), "function.zip"), "wb") as f:
            f.write(b"PK\x05\x06" + bytes(18))
        cls.apply({"queryConcurrency": 10, "logLevel": "info"}, cls.TOKENS)

    @classmethod
    def begin(cls, name, event):
        """The instance that the control plane made has the password that Terraform made up."""
        if event["do"] == "bootstrap" and cls.first is None:
            cls.first = json.loads(cls.secrets.get_secret_value(SecretId=event["admin"]["initial_secret"])["SecretString"])["password"]
            instance.begin(cls.first)

    @classmethod
    def apply(cls, parameters, tokens, status=0):
        cls.infra.variables(parameters=parameters, tokens=tokens)
        return cls.infra.run("apply", "-auto-approve", status=status)

    def output(self, name):
        return json.loads(self.infra.run("output", "-json", name))

    def held(self):
        return {name: json.loads(self.secrets.get_secret_value(SecretId=arn)["SecretString"]) for name, arn in self.output("secrets").items()}

    def the_instance(self):
        found, = [t["facts"] for t in plane.state()["things"].values() if t["kind"] == "db-instance"]
        return found

    def state(self):
        with open(os.path.join(self.infra.where(), "terraform.tfstate")) as f:
            return f.read()

    def test_1_the_password_of_the_state_is_dead_and_tokens_work(self):
        held = self.held()
        self.assertIn(self.first, self.state())
        self.assertFalse(instance.opens(self.first))
        self.assertTrue(instance.opens(held["admin"]["password"]))
        self.assertEqual(instance.writes(held["loader"]["token"], BUCKET), 204)
        for secret in (held["admin"]["password"], held["loader"]["token"], held["query"]["token"]):
            self.assertNotIn(secret, self.state())
            for call in self.functions.calls:
                self.assertNotIn(secret, json.dumps(call))
        self.assertEqual(set(self.output("buckets")), {BUCKET, "afluxo_monitor"})
        self.assertTrue(all(".timestream-influxdb.us-east-1.on.aws:8086" in host for host in self.proxy.hosts), self.proxy.hosts)

    def test_2_the_instance_has_the_group(self):
        group, = plane.requests("CreateDbParameterGroup")
        self.assertEqual(group["request"]["parameters"], {"InfluxDBv2": {"logLevel": "info", "queryConcurrency": 10}})
        self.assertEqual(self.the_instance()["dbParameterGroupIdentifier"], self.output("group"))

    def test_3_a_second_time_nothing_is_called(self):
        calls = len(self.functions.calls)
        self.assertIn("No changes.", self.infra.run("plan"))
        self.assertEqual(len(self.functions.calls), calls)

    def test_4_a_token_more_is_one_token_more(self):
        before = self.held()
        self.apply({"queryConcurrency": 10, "logLevel": "info"}, {**self.TOKENS, "audit": {"read": ["afluxo_monitor"]}})
        after = self.held()
        self.assertEqual({name: after[name] for name in before}, before)
        self.assertEqual({t["description"] for t in instance.tokens()}, {f"afluxo grid {name}" for name in ("loader", "query", "audit")})

    def test_5_a_token_less_is_revoked(self):
        self.apply({"queryConcurrency": 10, "logLevel": "info"}, self.TOKENS)
        self.assertEqual({t["description"] for t in instance.tokens()}, {f"afluxo grid {name}" for name in ("loader", "query")})

    def test_6_other_parameters_are_another_group_in_place(self):
        before = self.the_instance(), self.output("group")
        self.apply({"queryConcurrency": 20, "logLevel": "info"}, self.TOKENS)
        after = self.the_instance()
        self.assertEqual(after["id"], before[0]["id"])
        self.assertNotEqual(self.output("group"), before[1])
        self.assertEqual(after["dbParameterGroupIdentifier"], self.output("group"))
        self.assertIn("no call that deletes one", json.dumps([c["answer"] for c in self.functions.calls[-2:]]))
        self.assertIn("No changes.", self.infra.run("plan"))

    def test_7_the_schedule_rotates(self):
        schedule = moto.client("scheduler").get_schedule(Name="grid-rotation")
        event, before = json.loads(schedule["Target"]["Input"]), self.held()
        self.assertEqual((schedule["ScheduleExpression"], event["do"]), ("rate(30 days)", "rotate"))
        status, headers, body = self.functions.answer("POST", "/2015-03-31/functions/grid-provision/invocations", json.dumps(event).encode())
        self.assertNotIn("X-Amz-Function-Error", dict(headers), body)
        after = self.held()
        for name in before:
            self.assertNotEqual(before[name], after[name])
        self.assertIn("No changes.", self.infra.run("plan"))

    def test_8_what_fails_says_why_and_is_made_good(self):
        held = self.held()
        instance.set_password("by-hand-1234")
        said = " ".join(self.apply({"queryConcurrency": 20, "logLevel": "info"}, {**self.TOKENS, "late": {"read": [BUCKET]}}, status=1).split())
        self.assertIn("no password that is known opens", said)
        self.secrets.put_secret_value(SecretId=self.output("secrets")["admin"], SecretString=json.dumps({**held["admin"], "password": "by-hand-1234"}))
        self.apply({"queryConcurrency": 20, "logLevel": "info"}, {**self.TOKENS, "late": {"read": [BUCKET]}})
        self.assertEqual(len(instance.tokens()), 3)

    def test_9_destroy_revokes_and_leaves_groups_alone(self):
        self.infra.run("destroy", "-auto-approve")
        self.assertEqual(instance.tokens(), [])
        self.assertEqual({t["kind"] for t in plane.state()["things"].values()}, {"db-parameter-group"})
        self.assertEqual([s["Name"] for s in self.secrets.list_secrets()["SecretList"] if s["Name"].startswith("grid/")], [])


if __name__ == "__main__":
    unittest.main()

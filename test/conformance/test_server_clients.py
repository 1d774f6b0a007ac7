"""Official clients, unmodified, write to `afluxo serve` and manage it: influxdb-client (PyPI), python3-influxdb (Debian), and from npm
@influxdata/influxdb-client (with its -apis) and influx.

What they wrote is read back through 1.x SHOW statements, the queries that this version has. NODE_PACKAGES is where npm put the packages
(build/npm/node_modules).
"""
import datetime
import json
import os
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "test", "e2e"))
import lib  # noqa: E402
from influxdb_client import BucketRetentionRules, InfluxDBClient, Permission, PermissionResource, Point, WriteOptions  # noqa: E402
from influxdb_client.client.write_api import SYNCHRONOUS  # noqa: E402
from influxdb_client.rest import ApiException  # noqa: E402

BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))
NODE_PACKAGES = os.environ.get("NODE_PACKAGES", os.path.join(BUILD, "npm", "node_modules"))


class Clients(lib.Case):
    def setUp(self):
        super().setUp()
        self.server = lib.Server(self.path("data"), binary=lib.RELEASE)
        self.addCleanup(self.server.close)

    def series(self, database, token=None):
        headers = {"Authorization": "Token " + (token or self.server.token)}
        status, body, _ = self.server.request("GET", "/query?q=SHOW+SERIES&db=" + database, headers=headers)
        self.assertEqual(status, 200, body)
        series = json.loads(body)["results"][0].get("series", [{}])
        return [row[0] for row in series[0].get("values", [])]

    def output(self, *command, stdin=None, **env):
        p = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=120,
                           env=lib.environment(URL=self.server.url, PORT=str(self.server.port), TOKEN=self.server.token, **env))
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        return json.loads(p.stdout.strip().splitlines()[-1])


class PythonV2(Clients):
    def setUp(self):
        super().setUp()
        self.client = InfluxDBClient(self.server.url, token=self.server.token, org="afluxo")
        self.addCleanup(self.client.close)

    def refused(self, status, call, *args, **kw):
        with self.assertRaises(ApiException) as caught:
            call(*args, **kw)
        self.assertEqual(caught.exception.status, status)
        return json.loads(caught.exception.body)

    def test_it_is_well(self):
        self.assertTrue(self.client.ping())
        self.assertEqual(self.client.health().status, "pass")
        self.assertEqual(self.client.ready().status, "ready")
        self.assertTrue(self.client.version())

    def test_points_one_by_one_and_in_batches(self):
        api = self.client.write_api(write_options=SYNCHRONOUS)
        api.write("default", record=Point("m").tag("a b", "c,d=").field("f", 1.5).field("s", 'x"y').field("i", 7).field("t", True)
                  .time(datetime.datetime(2024, 1, 2, tzinfo=datetime.timezone.utc)))
        api.write("default", record=["n,k=1 v=1 1", "n,k=2 v=2 2"], write_precision="s")
        api.write("default", record={"measurement": "d", "tags": {"k": "v"}, "fields": {"v": 1}, "time": 1})
        self.assertEqual(self.series("default"), ["d,k=v", r"m,a\ b=c\,d\=", "n,k=1", "n,k=2"])
        body = self.refused(422, api.write, "default", record='m f="text" 1704153600000000000')
        self.assertIn("field type conflict", body["message"])
        self.assertEqual(self.refused(400, api.write, "default", record="m f=")["code"], "invalid")
        self.refused(404, api.write, "nowhere", record="m f=1")
        with InfluxDBClient(self.server.url, token=self.server.token, org="afluxo", enable_gzip=True) as zipped:
            with zipped.write_api(write_options=WriteOptions(batch_size=500, flush_interval=1000)) as batching:
                for i in range(2000):
                    batching.write("default", record=f"batched,k={i % 100} v={i} {i}")
        self.assertEqual(len([s for s in self.series("default") if s.startswith("batched")]), 100)

    def test_buckets(self):
        api = self.client.buckets_api()
        rule = BucketRetentionRules(type="expire", every_seconds=86400 * 7)
        made = api.create_bucket(bucket_name="b", retention_rules=rule, description="d", org="afluxo")
        self.assertEqual((made.name, made.description, made.retention_rules[0].every_seconds, made.retention_rules[0].shard_group_duration_seconds),
                         ("b", "d", 86400 * 7, 86400))
        self.assertEqual(api.find_bucket_by_name("b").id, made.id)
        self.assertEqual(api.find_bucket_by_id(made.id).name, "b")
        self.assertIsNone(api.find_bucket_by_name("nowhere"))
        made.description, made.name = "changed", "c"
        self.assertEqual(api.update_bucket(bucket=made).description, "changed")
        for i in range(45):
            api.create_bucket(bucket_name=f"many{i:02}", org="afluxo")
        self.assertEqual(len([b for b in api.find_buckets_iter() if b.name.startswith("many")]), 45)
        self.assertEqual(len(api.find_buckets(limit=100).buckets), 47)
        self.assertEqual(self.refused(422, api.create_bucket, bucket_name="c", org="afluxo")["code"], "conflict")
        api.delete_bucket(made)
        self.refused(404, api.find_bucket_by_id, made.id)

    def test_organisations_users_and_tokens(self):
        orgs, users, tokens = self.client.organizations_api(), self.client.users_api(), self.client.authorizations_api()
        org = orgs.create_organization("o")
        self.assertIn("o", [o.name for o in orgs.find_organizations()])
        self.assertEqual(orgs.find_organization(org.id).name, "o")
        org.description = "changed"
        self.assertEqual(orgs.update_organization(org).description, "changed")
        self.assertEqual(users.me().name, "admin")
        user = users.create_user("u")
        users.update_password(user, "a long password")
        with InfluxDBClient(self.server.url, username="u", password="a long password") as signed_in:
            self.assertEqual(signed_in.users_api().me().name, "u")
        bucket = self.client.buckets_api().create_bucket(bucket_name="b", org_id=org.id)
        may = [Permission(a, PermissionResource(type="buckets", id=bucket.id, org_id=org.id)) for a in ("read", "write")]
        token = tokens.create_authorization(org_id=org.id, permissions=may)
        with InfluxDBClient(self.server.url, token=token.token, org="o") as limited:
            limited.write_api(write_options=SYNCHRONOUS).write("b", record="m v=1")
            self.refused(403, limited.buckets_api().create_bucket, bucket_name="x", org_id=org.id)
        self.assertEqual(self.series("b", token.token), ["m"])
        self.assertEqual([t.id for t in tokens.find_authorizations(org="o")], [token.id])
        token.status = "inactive"
        self.assertEqual(tokens.update_authorization(token).status, "inactive")
        tokens.delete_authorization(token)
        users.delete_user(user)
        orgs.delete_organization(org.id)
        self.refused(404, self.client.buckets_api().find_bucket_by_id, bucket.id)

    def test_delete_and_what_is_not_offered(self):
        self.client.write_api(write_options=SYNCHRONOUS).write("default", record="m,a=1 v=1 1\nm,a=2 v=1 1\nn v=1 1")
        self.client.delete_api().delete("1970-01-01T00:00:00Z", "2030-01-01T00:00:00Z", '_measurement="m" AND a="1"', bucket="default")
        self.assertEqual(self.series("default"), ["m,a=2", "n"])
        self.assertEqual(self.client.tasks_api().find_tasks(), [])
        self.assertEqual(self.client.labels_api().find_labels(), [])
        self.assertEqual(self.refused(501, self.client.query_api().query, "buckets()")["code"], "not implemented")


PYTHON_V1 = r"""
import json, os
from influxdb import InfluxDBClient
from influxdb.exceptions import InfluxDBClientError
def client(user="any", password=os.environ["TOKEN"]):
    return InfluxDBClient("127.0.0.1", int(os.environ["PORT"]), user, password)
c = client()
said = {"ping": c.ping()}
c.create_database("d")
c.switch_database("d")
c.create_retention_policy("week", "7d", 1, default=True)
c.alter_retention_policy("week", duration="30d", shard_duration="2d")
said["policies"] = c.get_list_retention_policies()
c.write_points([{"measurement": "m", "tags": {"host": "a b"}, "time": "2026-01-02T03:04:05Z", "fields": {"f": 1.5, "i": 3, "s": "x", "b": True}}],
               retention_policy="autogen")
c.write_points(["l,k=v v=1 1\n", "l,k=w v=2 2"], protocol="line", time_precision="s", retention_policy="autogen", batch_size=1)
zipped = InfluxDBClient("127.0.0.1", int(os.environ["PORT"]), "any", os.environ["TOKEN"], "d", gzip=True)
zipped.write_points([{"measurement": "z", "fields": {"v": i}, "time": i} for i in range(100)], retention_policy="autogen")
said["measurements"] = sorted(x["name"] for x in c.get_list_measurements())
said["series"] = c.get_list_series()
said["tag keys"] = list(c.query("SHOW TAG KEYS FROM m").get_points())
said["queries"] = c.get_list_continuous_queries()
try:
    c.write_points(["l v=1i 1\n"], protocol="line", time_precision="s", retention_policy="autogen")
except InfluxDBClientError as e:
    said["conflict"] = [e.code, e.content]
c.create_user("u", "its password")
c.create_user("boss", "boss's own", admin=True)
c.grant_privilege("read", "d", "u")
said["privileges"] = c.get_list_privileges("u")
said["users"] = [u["user"] for u in c.get_list_users()]
u = client("u", "its password")
said["seen by u"] = u.get_list_database()
try:
    u.create_database("x")
except InfluxDBClientError as e:
    said["refused"] = e.code
c.set_user_password("u", "another password")
client("u", "another password").get_list_database()
c.revoke_privilege("read", "d", "u")
c.delete_series(measurement="l", tags={"k": "v"})
said["after delete"] = c.get_list_series(measurement="l")
c.drop_measurement("m")
c.drop_retention_policy("week")
c.drop_user("u")
c.drop_user("boss")
c.drop_database("d")
said["databases"] = [d["name"] for d in c.get_list_database()]
print(json.dumps(said))
"""


class PythonV1(Clients):
    def test_debians_client(self):
        said = self.output("/usr/bin/python3", "-", stdin=PYTHON_V1)
        self.assertEqual(said["ping"], "1.8.10")
        self.assertEqual([(p["name"], p["duration"], p["shardGroupDuration"], p["default"]) for p in said["policies"]],
                         [("autogen", "0s", "168h0m0s", False), ("week", "720h0m0s", "48h0m0s", True)])
        self.assertEqual(said["measurements"], ["l", "m", "z"])
        self.assertEqual(said["series"], ["l,k=v", "l,k=w", r"m,host=a\ b", "z"])
        self.assertEqual(said["tag keys"], [{"tagKey": "host"}])
        self.assertIn({"d": []}, said["queries"])
        self.assertEqual(said["conflict"][0], 400)
        self.assertIn("field type conflict", said["conflict"][1])
        self.assertEqual(said["privileges"], [{"database": "d", "privilege": "READ"}])
        self.assertEqual(said["users"], ["u", "boss"])  # the first start's own is none of 1.x's
        self.assertEqual(said["seen by u"], [{"name": "d"}])
        self.assertEqual(said["refused"], 403)
        self.assertEqual(said["after delete"], ["l,k=w"])
        self.assertEqual(said["databases"], ["default"])


NODE_V2 = r"""
const {InfluxDB, Point, HttpError} = require('@influxdata/influxdb-client')
const {PingAPI, HealthAPI, ReadyAPI, SetupAPI, OrgsAPI, BucketsAPI, AuthorizationsAPI, MeAPI, DeleteAPI} = require('@influxdata/influxdb-client-apis')
async function main() {
  const said = {}
  let written = 0
  const db = new InfluxDB({url: process.env.URL, token: process.env.TOKEN})
  await new PingAPI(db).getPing()
  said.health = (await new HealthAPI(db).getHealth()).status
  said.ready = (await new ReadyAPI(db).getReady()).status
  said.setup = (await new SetupAPI(db).getSetup()).allowed
  const org = (await new OrgsAPI(db).getOrgs({org: 'afluxo'})).orgs[0]
  const buckets = new BucketsAPI(db)
  const bucket = await buckets.postBuckets({body: {orgID: org.id, name: 'js', retentionRules: [{type: 'expire', everySeconds: 0}]}})
  said.found = (await buckets.getBuckets({orgID: org.id, name: 'js'})).buckets.length
  const api = db.getWriteApi('afluxo', 'js', 'ms', {gzipThreshold: 100, batchSize: 50, writeSuccess: lines => { written += lines.length }})
  for (let i = 0; i < 200; i++) api.writePoint(new Point('m').tag('k', 'v ' + (i % 4)).floatField('f', i / 3).intField('i', i).stringField('s', 'ü"').timestamp(i))
  await api.close()
  while (written < 200) await new Promise(wake => setTimeout(wake, 5)) // close() waits for the last batch only
  const auth = await new AuthorizationsAPI(db).postAuthorizations({body: {orgID: org.id, permissions: [{action: 'write', resource: {type: 'buckets', id: bucket.id, orgID: org.id}}]}})
  const limited = new InfluxDB({url: process.env.URL, token: auth.token}).getWriteApi('afluxo', 'default', 'ns', {maxRetries: 0, writeFailed: e => { said.refused = e.statusCode }})
  limited.writeRecord('m v=1')
  await limited.close().catch(() => {})
  said.me = (await new MeAPI(db).getMe()).name
  await new DeleteAPI(db).postDelete({org: 'afluxo', bucket: 'js', body: {start: '1970-01-01T00:00:00Z', stop: '2030-01-01T00:00:00Z', predicate: 'k="v 3"'}})
  try { await buckets.getBucketsID({bucketID: '0000000000000001'}) } catch (e) { said.missing = [e instanceof HttpError, e.statusCode, e.code] }
  console.log(JSON.stringify(said))
}
main().catch(e => { console.error(e); process.exit(1) })
"""

NODE_V1 = r"""
const {InfluxDB, FieldType} = require('influx')
async function main() {
  const said = {}
  const db = new InfluxDB({host: '127.0.0.1', port: +process.env.PORT, username: 'any', password: process.env.TOKEN, database: 'nodes',
    schema: [{measurement: 'm', fields: {f: FieldType.FLOAT, s: FieldType.STRING}, tags: ['host']}]})
  said.ping = (await db.ping(5000)).map(h => [h.online, h.version])
  await db.createDatabase('nodes')
  await db.createRetentionPolicy('week', {database: 'nodes', duration: '7d', replication: 1})
  await db.writePoints([{measurement: 'm', tags: {host: 'a b'}, fields: {f: 1.5, s: 'x'}}, {measurement: 'm', tags: {host: 'c'}, fields: {f: 2}}])
  said.databases = await db.getDatabaseNames()
  said.measurements = await db.getMeasurements()
  said.series = await db.getSeries({database: 'nodes', measurement: 'm'})
  said.policies = (await db.showRetentionPolicies('nodes')).map(p => [p.name, p.default])
  await db.createUser('u', 'pw of u')
  await db.grantPrivilege('u', 'READ', 'nodes')
  said.users = (await db.getUsers()).map(u => u.user)
  await db.dropUser('u')
  await db.dropMeasurement('m', 'nodes')
  said.after = await db.getMeasurements()
  await db.dropDatabase('nodes')
  said.left = await db.getDatabaseNames()
  console.log(JSON.stringify(said))
}
main().catch(e => { console.error(e); process.exit(1) })
"""


class Node(Clients):
    def node(self, script):
        return self.output("node", "-e", script, NODE_PATH=NODE_PACKAGES)

    def test_influxdata_influxdb_client(self):
        said = self.node(NODE_V2)
        self.assertEqual(said, {"health": "pass", "ready": "ready", "setup": False, "found": 1, "refused": 403, "me": "admin",
                                "missing": [True, 404, "not found"]})
        self.assertEqual(self.series("js"), [r"m,k=v\ 0", r"m,k=v\ 1", r"m,k=v\ 2"])

    def test_influx(self):
        said = self.node(NODE_V1)
        self.assertEqual(said, {"ping": [[True, "1.8.10"]], "databases": ["default", "nodes"], "measurements": ["m"],
                                "series": [r"m,host=a\ b", "m,host=c"], "policies": [["autogen", True], ["week", False]],
                                "users": ["u"], "after": [], "left": ["default"]})


if __name__ == "__main__":
    unittest.main()

"""Managing `afluxo serve` over HTTP: 1.x statements beside a real influxd (byte for byte) and its shell, 2.x routes, who may what, what stays
after a restart, what is never told again."""
import base64
import json
import re
import subprocess
import threading
import unittest
import urllib.parse

import lib
from lib import Case

NOBODY = "0000000000000001"
POINTS = b"""cpu,host=a,region=eu v=1,i=2i 1000000000
cpu,host=b,region=us v=2,s="x" 2000000000
cpu,host=b,region=eu v=2 3000000000
mem,host=a used=5i,b=true 1000000000
mem,zone=z,host=q used=6i 1000000000
m\\ 1,t\\ ag=v\\ al f\\ 1=1 1000000000
q,a=<b>&c x=1 1000000000
"""

# What both servers answer with the same bytes, in this order.
STATEMENTS = r"""
SHOW DATABASES
CREATE DATABASE d1
CREATE DATABASE d1
create database "d 2"
CREATE DATABASE d3 WITH DURATION 3d REPLICATION 1 SHARD DURATION 1h NAME rpx
CREATE DATABASE d4 WITH NAME foo
CREATE DATABASE d5 WITH DURATION 1m
CREATE DATABASE d5 WITH DURATION INF
CREATE DATABASE d3 WITH DURATION 4d
CREATE DATABASE
CREATE DATABASE 1x
CREATE DATABASE d1 foo
CREATE DATABASE IF NOT EXISTS d1
CREATE DATABASE select
CREATE DATABASE "unterminated
CREATE DATABASE foo-bar
CREATE DATABASE ""
CREATE DATABASE "a/b"
CREATE DATABASE "."
CREATE DATABASE d1 WITH
CREATE DATABASE d1 WITH DURATION
CREATE DATABASE d1 WITH DURATION 1d NAME
CREATE DATABASE d1 WITH REPLICATION x
CREATE
CREATE FOO
FOO
SHOW
SHOW FOO
SHOW DATABASES;
SHOW DATABASES; SHOW DATABASES
;
;;SHOW DATABASES
SHOW DATABASES; FOO
SHOW RETENTION POLICIES ON d1
SHOW RETENTION POLICIES ON d3
SHOW RETENTION POLICIES ON nope
SHOW RETENTION POLICIES
CREATE RETENTION POLICY rp1 ON d1 DURATION 2d REPLICATION 1
CREATE RETENTION POLICY rp1 ON d1 DURATION 2d REPLICATION 1
CREATE RETENTION POLICY rp1 ON d1 DURATION 3d REPLICATION 1
CREATE RETENTION POLICY "rp 2" ON d1 DURATION 52w REPLICATION 1 SHARD DURATION 2d DEFAULT
CREATE RETENTION POLICY rp3 ON d1 DURATION 30m REPLICATION 1
CREATE RETENTION POLICY rp3 ON d1 DURATION 0s REPLICATION 1
CREATE RETENTION POLICY rp4 ON d1 DURATION INF REPLICATION 1 SHARD DURATION 30m
CREATE RETENTION POLICY rp5 ON d1 DURATION 1h REPLICATION 1 SHARD DURATION 2h
CREATE RETENTION POLICY rp6 ON nope DURATION 1h REPLICATION 1
CREATE RETENTION POLICY rp7 ON d1 DURATION 1h
CREATE RETENTION POLICY rp7 ON d1
CREATE RETENTION POLICY rp7 ON d1 DURATION 1x REPLICATION 1
CREATE RETENTION POLICY rp7 ON d1 DURATION 1h REPLICATION 0
CREATE RETENTION POLICY rp7 ON d1 DURATION 90m REPLICATION 1
CREATE RETENTION POLICY rp8 ON d1 DURATION 1h1m1s REPLICATION 1
SHOW RETENTION POLICIES ON d1
ALTER RETENTION POLICY rp1 ON d1 DURATION 4d
ALTER RETENTION POLICY rp1 ON d1 SHARD DURATION 2h REPLICATION 1 DEFAULT
ALTER RETENTION POLICY rp1 ON d1
ALTER RETENTION POLICY nope ON d1 DURATION 4d
ALTER RETENTION POLICY rp1 ON nope DURATION 4d
ALTER RETENTION POLICY rp1 ON d1 DURATION 1m
ALTER RETENTION POLICY rp1 ON d1 DURATION 1h SHARD DURATION 5h
SHOW RETENTION POLICIES ON d1
DROP RETENTION POLICY rp3 ON d1
DROP RETENTION POLICY rp3 ON d1
DROP RETENTION POLICY rp1 ON nope
DROP RETENTION POLICY x
SHOW RETENTION POLICIES ON d1
DROP DATABASE d4
DROP DATABASE d4
DROP DATABASE
SHOW DATABASES
CREATE USER u1 WITH PASSWORD 'pw'
CREATE USER u1 WITH PASSWORD 'pw'
CREATE USER u1 WITH PASSWORD 'pw2'
CREATE USER u2 WITH PASSWORD "x"
CREATE USER u2 WITH PASSWORD 'it''s'
CREATE USER u2 WITH PASSWORD 'it\'s'
CREATE USER adm WITH PASSWORD 'pw' WITH ALL PRIVILEGES
CREATE USER "a b" WITH PASSWORD 'pw'
CREATE USER "" WITH PASSWORD 'x'
CREATE USER x
SHOW USERS
SHOW GRANTS FOR u1
GRANT READ ON d1 TO u1
SHOW GRANTS FOR u1
GRANT ALL ON d1 TO u1
SHOW GRANTS FOR u1
GRANT READ ON nope TO u1
GRANT READ ON d1 TO nope
GRANT FOO ON d1 TO u1
REVOKE READ ON d1 FROM u1
SHOW GRANTS FOR u1
REVOKE ALL PRIVILEGES ON nope FROM u1
REVOKE READ ON d1 FROM nope
REVOKE READ FROM u1
REVOKE ALL
GRANT ALL PRIVILEGES TO u1
SHOW USERS
REVOKE ALL FROM u1
SHOW GRANTS FOR nope
SHOW GRANTS FOR adm
SET PASSWORD FOR u1 = 'abc'
SET PASSWORD FOR nope = 'abc'
SET PASSWORD FOR u1
DROP USER u1
DROP USER u1
SHOW USERS
"""
STORED = r"""
SHOW MEASUREMENTS
SHOW MEASUREMENTS ON t1
SHOW MEASUREMENTS ON nope
SHOW MEASUREMENTS LIMIT 1
SHOW MEASUREMENTS LIMIT 1 OFFSET 1
SHOW MEASUREMENTS OFFSET 5
SHOW MEASUREMENTS WITH MEASUREMENT = cpu
SHOW MEASUREMENTS WHERE host = 'a'
SHOW MEASUREMENTS WHERE host = 'zz'
SHOW TAG KEYS
SHOW TAG KEYS FROM cpu
SHOW TAG KEYS FROM "m 1"
SHOW TAG KEYS FROM nope
SHOW TAG KEYS FROM cpu, mem
SHOW TAG KEYS LIMIT 1
SHOW TAG KEYS FROM cpu LIMIT 1 OFFSET 1
SHOW TAG KEYS ON nope
SHOW TAG VALUES WITH KEY = host
SHOW TAG VALUES FROM cpu WITH KEY IN (host, region)
SHOW TAG VALUES FROM cpu WITH KEY != host
SHOW TAG VALUES FROM cpu WITH KEY = nope
SHOW TAG VALUES FROM cpu WITH KEY = host WHERE region = 'us'
SHOW TAG VALUES FROM cpu WITH KEY = host LIMIT 1 OFFSET 1
SHOW TAG VALUES
SHOW FIELD KEYS
SHOW FIELD KEYS FROM cpu LIMIT 1
SHOW FIELD KEYS FROM nope
SHOW FIELD KEYS ON nope
SHOW SERIES
SHOW SERIES FROM cpu WHERE host = 'a' OR region = 'us'
SHOW SERIES FROM cpu WHERE host != 'a' AND (region = 'us')
SHOW SERIES LIMIT 1 OFFSET 2
SHOW SERIES ON nope
SHOW SUBSCRIPTIONS
CREATE CONTINUOUS QUERY q ON t1 BEGIN SELECT mean(v) INTO o FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q ON t1 BEGIN SELECT mean(v) INTO o FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q ON t1 BEGIN SELECT max(v) INTO o FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY "q 2" ON t1 RESAMPLE EVERY 30s FOR 1h BEGIN SELECT mean(v) AS "a b" INTO t1.autogen.:MEASUREMENT FROM /c.*/ WHERE host = 'a' GROUP BY time(1h, 5m), * fill(none) tz('America/Sao_Paulo') END
CREATE CONTINUOUS QUERY q3 ON t1 RESAMPLE FOR 2m BEGIN SELECT top(m, 2) INTO "o 2" FROM (SELECT mean(v) AS m FROM cpu, mem GROUP BY host, time(10s)) GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q4 ON t1 BEGIN SELECT v INTO o FROM cpu END
CREATE CONTINUOUS QUERY q5 ON nope BEGIN SELECT mean(v) INTO o FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q5 ON t1 BEGIN SELECT mean(v) INTO nope..o FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q5 ON t1 BEGIN SELECT mean(v) INTO o FROM t1.rp.cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q5 ON t1 BEGIN SELECT mean(v) INTO o FROM cpu END
CREATE CONTINUOUS QUERY q5 ON t1 BEGIN SELECT mean(v) FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q5 ON t1 RESAMPLE FOR 5s BEGIN SELECT mean(v) INTO o FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q5 ON t1 RESAMPLE BEGIN SELECT mean(v) INTO o FROM cpu GROUP BY time(1m) END
CREATE CONTINUOUS QUERY q5 ON t1 BEGIN SELECT mean(v) INTO o FROM cpu GROUP BY time(1m)
CREATE CONTINUOUS QUERY q5
SHOW CONTINUOUS QUERIES
DROP CONTINUOUS QUERY q ON t1
DROP CONTINUOUS QUERY q ON t1
DROP CONTINUOUS QUERY q ON nope
DROP CONTINUOUS QUERY q
SHOW CONTINUOUS QUERIES
DROP CONTINUOUS QUERY "q 2" ON t1
DROP CONTINUOUS QUERY q3 ON t1
CREATE SUBSCRIPTION s ON t1.autogen DESTINATIONS ALL 'http://127.0.0.1:1', 'http://127.0.0.1:2'
CREATE SUBSCRIPTION s ON t1.autogen DESTINATIONS ANY 'http://127.0.0.1:1'
CREATE SUBSCRIPTION s2 ON t1.autogen DESTINATIONS ANY 'http://127.0.0.1'
CREATE SUBSCRIPTION s2 ON t1.nope DESTINATIONS ANY 'http://127.0.0.1:1'
CREATE SUBSCRIPTION s2 ON nope.autogen DESTINATIONS ANY 'http://127.0.0.1:1'
CREATE SUBSCRIPTION s2 ON t1.autogen DESTINATIONS ANY
DROP SUBSCRIPTION nope ON t1.autogen
DROP SUBSCRIPTION s ON t1.nope
DROP SUBSCRIPTION s ON t1.autogen
SHOW SUBSCRIPTIONS
DELETE
DELETE FROM cpu WHERE time < '2001-01-01' AND host = 'a'
SHOW SERIES
DELETE WHERE host = 'b'
SHOW SERIES
DELETE FROM nope
DELETE FROM mem WHERE time > now()
DROP SERIES WHERE host = 'q'
DROP SERIES FROM mem WHERE time > 5
DROP SERIES
SHOW SERIES
DROP MEASUREMENT mem
DROP MEASUREMENT nope
DROP MEASUREMENT "m 1"
SHOW MEASUREMENTS
DROP FOO
"""


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Admin(Case):
    def setUp(self):
        super().setUp()
        self.server = lib.Server(self.path("data"))
        self.addCleanup(self.close)

    def close(self):
        if self.server.process is not None and self.server.process.poll() is None:
            self.assertEqual(self.server.stop(), 0, self.server.log[-3000:])
        for marker in ("AddressSanitizer", "LeakSanitizer", "runtime error:"):
            self.assertNotIn(marker, self.server.log)
        self.server.close()

    def ask(self, want, method, path, body=None, **kw):
        status, data, headers = self.server.request(method, path, body, **kw)
        self.assertEqual(status, want, (method, path, body, data))
        if data:
            self.assertTrue(headers["Content-Type"].startswith("application/json"), (path, headers["Content-Type"]))
        return json.loads(data) if data else None

    def query(self, q, headers=None, method="POST", **params):
        body = urllib.parse.urlencode({"q": q, **params})
        headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        if method == "GET":
            return self.server.request("GET", "/query?" + body, headers=headers)[:2]
        return self.server.request(method, "/query", body, headers=headers)[:2]

    def names(self, q, headers=None, **params):
        status, body = self.query(q, headers, **params)
        self.assertEqual(status, 200, body)
        series = json.loads(body)["results"][0].get("series", [{}])
        return [row[0] for row in series[0].get("values", [])]

    @property
    def org(self):
        return self.ask(200, "GET", "/api/v2/orgs")["orgs"][0]["id"]

    def bucket(self, name, org=None, **rule):
        body = {"orgID": org or self.org, "name": name, "retentionRules": [rule] if rule else []}
        return self.ask(201, "POST", "/api/v2/buckets", body)

    def token(self, *permissions, org=None, **more):
        org = org or self.org
        body = {"orgID": org, "permissions": [{"action": a, "resource": {"orgID": org, **r}} for a, r in permissions], **more}
        return self.ask(201, "POST", "/api/v2/authorizations", body)


class Beside1x(Admin):
    """The same statements to Debian's influxd."""

    def setUp(self):
        super().setUp()
        self.influxd = lib.Influxd()
        self.addCleanup(self.influxd.close)
        default = self.ask(200, "GET", "/api/v2/buckets?name=default")["buckets"][0]["id"]
        self.ask(204, "DELETE", "/api/v2/buckets/" + default)

    def theirs(self, q, method="POST", **params):
        body = urllib.parse.urlencode({"q": q, **params}).encode()
        url = self.influxd.url + "/query" + ("?" + body.decode() if method == "GET" else "")
        request = lib.urllib.request.Request(url, data=body if method == "POST" else None, method=method)
        try:
            with lib.urllib.request.urlopen(request) as r:
                return r.status, r.read()
        except lib.urllib.error.HTTPError as e:
            return e.code, e.read()

    def same(self, statements, **params):
        for q in statements.strip().splitlines():
            with self.subTest(q):
                self.assertEqual(self.query(q, **params), self.theirs(q, **params))

    def test_statements_answer_with_influxds_bytes(self):
        self.same(STATEMENTS)

    def test_what_is_stored_is_shown_and_deleted_alike(self):
        for q in ("CREATE DATABASE t1",):
            self.query(q)
            self.theirs(q)
        self.assertEqual(self.server.request("POST", "/write?db=t1", POINTS)[0], 204)
        lib.urllib.request.urlopen(lib.urllib.request.Request(self.influxd.url + "/write?db=t1", data=POINTS))
        self.same(STORED, db="t1")
        self.same("SHOW MEASUREMENTS\nSHOW SERIES\nSHOW TAG KEYS\nSHOW FIELD KEYS")

    def test_get_warns_and_pretty_is_pretty(self):
        for q in ("SHOW DATABASES", "CREATE DATABASE g", "SHOW RETENTION POLICIES ON g", "FOO", ";", ""):
            for params in ({}, {"pretty": "true"}):
                with self.subTest(q, **params):
                    self.assertEqual(self.query(q, method="GET", **params), self.theirs(q, method="GET", **params))


class Statements(Admin):
    def test_influxs_shell(self):
        def shell(*args):
            p = subprocess.run(["influx", "-host", "127.0.0.1", "-port", str(self.server.port), "-username", "any", "-password", self.server.token,
                                *args], capture_output=True, text=True, timeout=60, env=lib.environment(HOME=self.dir))
            self.assertEqual(p.returncode, 0, p.stderr + p.stdout)
            return p.stdout
        shell("-execute", "CREATE DATABASE shell WITH DURATION 30d NAME month")
        self.assertIn("month 720h0m0s 24h0m0s            1        true", shell("-execute", "SHOW RETENTION POLICIES ON shell"))
        shell("-database", "shell", "-execute", "INSERT m,host=a v=1")
        self.assertIn("m,host=a", shell("-database", "shell", "-execute", "SHOW SERIES"))
        self.assertIn("v        float", shell("-database", "shell", "-execute", "SHOW FIELD KEYS"))
        shell("-execute", "DROP DATABASE shell")
        self.assertNotIn("shell", shell("-execute", "SHOW DATABASES"))

    def test_policies_lead_writes_where_they_say(self):
        self.query("CREATE DATABASE d; CREATE RETENTION POLICY week ON d DURATION 7d REPLICATION 1; CREATE RETENTION POLICY a ON d DURATION INF "
                   "REPLICATION 1 DEFAULT")
        for rp, measurement in (("", "to_default"), ("week", "to_week"), ("autogen", "to_autogen")):
            self.assertEqual(self.server.request("POST", f"/write?db=d&rp={rp}", f"{measurement} v=1".encode())[0], 204)
        for policy, measurement in (("a", "to_default"), ("week", "to_week"), ("autogen", "to_autogen")):
            self.assertEqual(self.names(f"SHOW SERIES FROM d.{policy}.{measurement}"), [measurement])
        self.assertEqual(self.names("SHOW MEASUREMENTS ON d"), ["to_autogen", "to_default", "to_week"])
        self.assertEqual(self.server.request("POST", "/write?db=d&rp=week", b"old v=1 1000000000")[0], 400)  # the engine knows the retention
        self.query("DROP RETENTION POLICY week ON d")
        self.assertEqual(self.names("SHOW MEASUREMENTS ON d"), ["to_autogen", "to_default"])
        self.query("DROP DATABASE d; CREATE DATABASE d")
        self.assertEqual(self.names("SHOW MEASUREMENTS ON d"), [])

    def test_a_new_policy_does_not_become_the_default_by_its_name(self):
        self.query("CREATE DATABASE d WITH DURATION INF NAME m; CREATE RETENTION POLICY a ON d DURATION INF REPLICATION 1")
        body = json.loads(self.query("SHOW RETENTION POLICIES ON d")[1])
        self.assertEqual({row[0]: row[4] for row in body["results"][0]["series"][0]["values"]}, {"m": True, "a": False})

    def test_dropping_a_database_leaves_a_bucket_that_was_only_mapped_to_it(self):
        bucket = self.bucket("energy")["id"]
        self.ask(201, "POST", "/api/v2/dbrps", {"orgID": self.org, "bucketID": bucket, "database": "d", "retention_policy": "p"})
        self.assertEqual(self.server.request("POST", "/write?db=d&rp=p", b"m v=1")[0], 204)
        self.assertEqual(self.names("SHOW MEASUREMENTS ON d"), ["m"])
        self.query("DROP DATABASE d")
        self.assertNotIn("d", self.names("SHOW DATABASES"))
        self.assertEqual(self.names("SHOW MEASUREMENTS ON energy"), ["m"])

    def test_fields_are_not_taken_for_tags_that_no_series_has(self):
        self.query("CREATE DATABASE d")
        self.server.request("POST", "/write?db=d", b'm,t=a s="x" 1\nn,s=tag v=1 1')
        for q in ("DELETE FROM m WHERE s != 'y'", "DELETE WHERE s != 'y'", "DROP SERIES FROM m WHERE t = 'a' AND s != 'y'"):
            body = json.loads(self.query(q, db="d")[1])
            self.assertRegex(body["results"][0]["error"], r"^shard \d+: fields not supported in WHERE clause during deletion$")
        self.assertEqual(self.names("SHOW SERIES", db="d"), ["m,t=a", "n,s=tag"])
        self.query("DELETE FROM n WHERE s != 'y'", db="d")
        self.assertEqual(self.names("SHOW MEASUREMENTS", db="d"), ["m"])

    def test_the_first_failure_ends_a_query(self):
        status, body = self.query("SHOW RETENTION POLICIES ON nope; CREATE DATABASE never; SELECT v FROM m")
        results = json.loads(body)["results"]
        self.assertEqual([r["error"] for r in results], ["database not found: nope", "not executed", "not executed"])
        self.assertEqual([r["statement_id"] for r in results], [0, 1, 2])
        self.assertNotIn("never", self.names("SHOW DATABASES"))
        self.assertEqual(json.loads(self.query("SELECT * FROM m", db="d")[1])["results"][0]["error"], "database not found: d")

    def test_what_grants_allow(self):
        self.query("CREATE DATABASE d1; CREATE DATABASE d2; CREATE DATABASE d3; CREATE USER u WITH PASSWORD 'secret-of-u'; GRANT WRITE ON d1 TO u; "
                   "GRANT READ ON d2 TO u")
        u = basic("u", "secret-of-u")
        self.assertEqual(self.names("SHOW DATABASES", u), ["d1", "d2"])
        for database, status in (("d1", 204), ("d2", 403), ("d3", 403)):
            self.assertEqual(self.server.request("POST", f"/write?db={database}", b"m v=1", headers=u)[0], status)
        self.assertEqual(self.names("SHOW MEASUREMENTS ON d2", u), [])
        forbidden = ["CREATE DATABASE x", "DROP DATABASE d1", "CREATE RETENTION POLICY p ON d1 DURATION INF REPLICATION 1", "SHOW USERS",
                     "SHOW MEASUREMENTS ON d1", "DELETE FROM m", "GRANT ALL TO u", "SET PASSWORD FOR u = 'x'",
                     "CREATE USER v WITH PASSWORD 'told to nobody'", "SHOW DATABASES; DROP DATABASE d2"]
        for q in forbidden:
            with self.subTest(q):
                status, body = self.query(q, u, db="d2")
                self.assertEqual(status, 403, body)
                self.assertTrue(json.loads(body)["error"].startswith("error authorizing query: u not authorized to execute statement"), body)
                self.assertNotIn(b"told to nobody", body)
        self.assertEqual(self.names("SHOW DATABASES")[-3:], ["d1", "d2", "d3"])
        bucket = self.ask(200, "GET", "/api/v2/buckets?name=d1")["buckets"][0]["id"]
        self.ask(403, "DELETE", "/api/v2/buckets/" + bucket, headers=u)
        self.ask(403, "PATCH", "/api/v2/buckets/" + bucket, {"name": "x"}, headers=u)
        self.query("DROP DATABASE d1; CREATE DATABASE d1")  # what was granted went with it
        self.assertEqual(self.server.request("POST", "/write?db=d1", b"m v=1", headers=u)[0], 403)
        self.query("GRANT ALL PRIVILEGES TO u")
        self.assertEqual(self.query("CREATE DATABASE by_u", u)[0], 200)
        self.query("DROP USER u")
        self.assertEqual(self.query("SHOW DATABASES", u)[0], 401)
        for secret in ("secret-of-u", "told to nobody"):
            self.assertNotIn(secret, self.server.log)


class V2(Admin):
    def test_setup_was_done_by_the_first_start(self):
        self.assertEqual(self.ask(200, "GET", "/api/v2/setup", auth=False), {"allowed": False})
        answer = self.ask(422, "POST", "/api/v2/setup", {"username": "x", "password": "password", "org": "o", "bucket": "b"}, auth=False)
        self.assertEqual(answer, {"code": "conflict", "message": "onboarding has already been completed"})
        me = self.ask(200, "GET", "/api/v2/me")
        self.assertEqual((me["name"], me["status"]), ("admin", "active"))

    def test_losing_the_last_token_does_not_open_the_setup(self):
        user = self.ask(200, "GET", "/api/v2/me")["id"]
        self.ask(204, "DELETE", "/api/v2/users/" + user)
        self.ask(401, "GET", "/api/v2/me")
        self.assertEqual(self.ask(200, "GET", "/api/v2/setup", auth=False), {"allowed": False})
        self.assertEqual(self.server.stop(), 0)
        self.server.start()
        self.assertEqual(self.ask(200, "GET", "/api/v2/setup", auth=False), {"allowed": False})

    def test_a_bucket_from_making_to_dropping(self):
        b = self.bucket("b", everySeconds=7200, shardGroupDurationSeconds=1800)
        self.assertEqual(b["retentionRules"], [{"type": "expire", "everySeconds": 7200, "shardGroupDurationSeconds": 3600}])
        self.assertRegex(b["createdAt"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$")
        self.assertEqual(b["links"]["write"], f"/api/v2/write?org={b['orgID']}&bucket={b['id']}")
        self.assertEqual(self.ask(200, "GET", "/api/v2/buckets/" + b["id"]), b)
        write = f"/api/v2/write?bucket={b['id']}"
        self.ask(422, "POST", write, b"m v=1 1000000000")  # the engine has been told of the retention
        b = self.ask(200, "PATCH", "/api/v2/buckets/" + b["id"], {"name": "c", "retentionRules": [{"everySeconds": 0}]})
        self.ask(204, "POST", write, b"m v=1 1000000000")
        self.assertEqual(self.names("SHOW MEASUREMENTS ON c"), ["m"])
        self.ask(204, "DELETE", "/api/v2/buckets/" + b["id"])
        self.ask(404, "POST", write, b"m v=1 1000000000")
        self.bucket("c")
        self.assertEqual(self.names("SHOW MEASUREMENTS ON c"), [])

    def test_pages_of_buckets(self):
        org = self.org
        want = {f"b{i * 37 % 101:03}" for i in range(101)}
        for name in sorted(want, key=hash):
            self.bucket(name, org)
        seen = []
        path = f"/api/v2/buckets?orgID={org}&limit=7"
        while path:
            page = self.ask(200, "GET", path)
            seen += [b["name"] for b in page["buckets"]]
            path = page["links"].get("next") if page["buckets"] else None
        self.assertEqual(seen, sorted(want | {"default"}))
        for order in ("", "&descending=true"):
            after, last = [], ""
            while True:
                page = self.ask(200, "GET", f"/api/v2/buckets?orgID={org}&limit=10{order}" + last)["buckets"]
                if not page:
                    break
                after += [b["name"] for b in page]
                last = "&after=" + page[-1]["id"]
            self.assertEqual(after, sorted(want | {"default"}, reverse=bool(order)))
        for query in ("limit=0", "limit=101", "limit=x", "offset=x", "after=zz", "id=zz"):
            self.assertEqual(self.ask(400, "GET", "/api/v2/buckets?" + query)["code"], "invalid")

    def test_what_buckets_refuse(self):
        org = self.org
        for want, code, body in [(400, "invalid", {"name": "x"}), (400, "invalid", {"orgID": "zz", "name": "x"}),
                                 (404, "not found", {"orgID": NOBODY, "name": "x"}), (400, "invalid", {"orgID": org, "name": "_x"}),
                                 (400, "invalid", {"orgID": org, "name": 'a"b'}), (400, "invalid", {"orgID": org, "name": ""}),
                                 (422, "conflict", {"orgID": org, "name": "default"}), (400, "invalid", {"orgID": org, "name": "a\0b"}),
                                 (400, "invalid", {"orgID": org, "name": 5}), (400, "invalid", "[]"), (400, "invalid", "{"), (400, "invalid", ""),
                                 (422, "unprocessable entity", {"orgID": org, "name": "x", "retentionRules": [{"everySeconds": -1}]}),
                                 (422, "unprocessable entity", {"orgID": org, "name": "x", "retentionRules": [{"everySeconds": 60}]}),
                                 (422, "unprocessable entity", {"orgID": org, "name": "x", "retentionRules": [{"everySeconds": 1 << 62}]}),
                                 (422, "unprocessable entity", {"orgID": org, "name": "x", "retentionRules": [{}, {}]})]:
            with self.subTest(body):
                self.assertEqual(self.ask(want, "POST", "/api/v2/buckets", body)["code"], code)

    def test_a_token_is_told_once_and_gives_what_it_says(self):
        mine, other = self.bucket("mine")["id"], self.bucket("other")["id"]
        made = self.token(("write", {"type": "buckets", "id": mine}), description="only mine")
        self.assertEqual(len(made["token"]), 88)
        self.assertEqual(made["permissions"][0]["resource"]["name"], "mine")
        as_it = {"headers": {"Authorization": "Token " + made["token"]}}
        self.ask(204, "POST", "/api/v2/write?bucket=mine", b"m v=1", **as_it)
        self.ask(403, "POST", "/api/v2/write?bucket=other", b"m v=1", **as_it)
        self.assertEqual(self.ask(200, "GET", "/api/v2/buckets", **as_it)["buckets"], [])
        self.ask(403, "GET", "/api/v2/buckets/" + mine, **as_it)
        self.ask(403, "DELETE", "/api/v2/buckets/" + other, **as_it)
        self.ask(403, "POST", "/api/v2/users", {"name": "x"}, **as_it)
        self.ask(403, "POST", "/api/v2/orgs", {"name": "x"}, **as_it)
        self.ask(403, "PUT", "/api/v2/me/password", {"password": "a new password"}, **as_it)
        path = "/api/v2/authorizations/" + made["id"]
        for answer in (self.ask(200, "GET", path), self.ask(200, "PATCH", path, {"description": "x"}), self.ask(200, "GET", "/api/v2/authorizations")):
            self.assertNotIn(made["token"], json.dumps(answer))
            self.assertNotIn(self.server.token, json.dumps(answer))
        self.ask(200, "PATCH", path, {"status": "inactive"})
        self.ask(401, "POST", "/api/v2/write?bucket=mine", b"m v=1", **as_it)
        self.ask(200, "PATCH", path, {"status": "active"})
        self.ask(204, "POST", "/api/v2/write?bucket=mine", b"m v=1", **as_it)
        self.ask(204, "DELETE", path)
        self.ask(401, "POST", "/api/v2/write?bucket=mine", b"m v=1", **as_it)
        self.assertNotIn(made["token"], self.server.log)
        with open(self.path("data", "afluxo.sqlite"), "rb") as f:
            self.assertNotIn(made["token"].encode(), f.read())

    def test_nobody_gives_more_than_he_has(self):
        org, bucket = self.org, self.bucket("b")["id"]
        clerk = self.token(("write", {"type": "authorizations"}), ("read", {"type": "buckets", "id": bucket}))
        as_clerk = {"headers": {"Authorization": "Token " + clerk["token"]}}

        def give(want, action, **resource):
            self.ask(want, "POST", "/api/v2/authorizations", {"orgID": org, "permissions": [{"action": action, "resource": resource}]}, **as_clerk)
        give(201, "read", type="buckets", id=bucket, orgID=org)
        give(403, "write", type="buckets", id=bucket, orgID=org)
        give(403, "read", type="buckets", orgID=org)
        give(403, "read", type="buckets", id=bucket)  # in all organisations
        give(403, "read", type="orgs", orgID=org)
        give(400, "read", type="nonsense", orgID=org)
        give(400, "own", type="buckets", orgID=org)
        user = self.ask(201, "POST", "/api/v2/users", {"name": "u"})["id"]
        self.ask(403, "POST", "/api/v2/authorizations", {"orgID": org, "userID": user, "permissions": [
            {"action": "read", "resource": {"type": "buckets", "id": bucket, "orgID": org}}]}, **as_clerk)

    def test_users_passwords_and_sessions(self):
        user = self.ask(201, "POST", "/api/v2/users", {"name": "u"})["id"]
        path = "/api/v2/users/" + user
        self.assertEqual(self.ask(422, "POST", "/api/v2/users", {"name": "u"})["message"], "user with name u already exists")
        self.assertEqual(self.ask(400, "POST", path + "/password", {"password": "short"})["message"],
                         "passwords must be between 8 and 72 characters long")
        self.ask(204, "POST", path + "/password", {"password": "the first one"})
        status, _, headers = self.server.request("POST", "/api/v2/signin", headers=basic("u", "the first one"))
        self.assertEqual(status, 204)
        cookie = {"headers": {"Cookie": headers["Set-Cookie"].split(";")[0]}, "auth": False}
        self.assertIn("HttpOnly", headers["Set-Cookie"])
        self.assertEqual(self.ask(200, "GET", "/api/v2/me", **cookie)["name"], "u")
        self.ask(403, "GET", "/api/v2/users/" + self.ask(200, "GET", "/api/v2/me")["id"], **cookie)
        self.ask(204, "PUT", "/api/v2/me/password", {"password": "the second one"}, **cookie)
        self.ask(401, "POST", "/api/v2/signin", headers=basic("u", "the first one"))
        self.ask(204, "PUT", "/api/v2/me/password", {"password": "the third one"}, headers=basic("u", "the second one"))
        self.ask(401, "POST", "/api/v2/signin", headers={"Authorization": "Token " + self.server.token})
        self.ask(401, "GET", "/api/v2/me", **cookie)  # a new password ends what the old one began
        status, _, headers = self.server.request("POST", "/api/v2/signin", headers=basic("u", "the third one"))
        cookie = {"headers": {"Cookie": headers["Set-Cookie"].split(";")[0]}, "auth": False}
        self.ask(200, "GET", "/api/v2/me", **cookie)
        self.ask(204, "POST", "/api/v2/signout", **cookie)
        self.ask(401, "GET", "/api/v2/me", **cookie)
        self.ask(200, "PATCH", path, {"status": "inactive"})
        self.ask(401, "POST", "/api/v2/signin", headers=basic("u", "the third one"))
        self.ask(204, "DELETE", path)
        self.ask(404, "GET", path)
        for secret in ("the first one", "the second one", "the third one"):
            self.assertNotIn(secret, self.server.log)

    def test_organisations_are_worlds_of_their_own(self):
        first = self.org
        other = self.ask(201, "POST", "/api/v2/orgs", {"name": "other", "description": "d"})
        self.assertEqual(other["links"]["self"], "/api/v2/orgs/" + other["id"])
        self.bucket("b", first)
        theirs = self.bucket("b", other["id"])  # the same name
        inside = self.token(("read", {"type": "buckets"}), ("write", {"type": "buckets"}), org=other["id"])
        as_it = {"headers": {"Authorization": "Token " + inside["token"]}}
        self.assertEqual([b["id"] for b in self.ask(200, "GET", "/api/v2/buckets", **as_it)["buckets"]], [theirs["id"]])
        self.ask(204, "POST", "/api/v2/write?bucket=b", b"m v=1", **as_it)
        self.assertEqual(self.names("SHOW MEASUREMENTS ON b", as_it["headers"]), ["m"])
        self.assertEqual(self.names("SHOW MEASUREMENTS ON b", org="afluxo"), [])
        self.ask(403, "POST", f"/api/v2/write?bucket=b&orgID={first}", b"m v=1", **as_it)
        self.assertEqual([o["name"] for o in self.ask(200, "GET", "/api/v2/orgs", **as_it)["orgs"]], ["other"])
        self.ask(200, "PATCH", "/api/v2/orgs/" + other["id"], {"name": "renamed"})
        self.ask(204, "DELETE", "/api/v2/orgs/" + other["id"])
        self.ask(401, "GET", "/api/v2/buckets", **as_it)
        self.ask(404, "GET", "/api/v2/buckets/" + theirs["id"])
        self.ask(204, "DELETE", "/api/v2/orgs/" + first)  # the operator's token outlives the organisation it was made in
        self.ask(201, "POST", "/api/v2/orgs", {"name": "again"})

    def test_dbrps(self):
        org, bucket = self.org, self.bucket("energy")["id"]
        here = f"?orgID={org}"
        d = self.ask(201, "POST", "/api/v2/dbrps", {"orgID": org, "bucketID": bucket, "database": "d", "retention_policy": "p"})
        self.assertEqual((d["default"], d["virtual"], d["bucketID"]), (True, False, bucket))
        self.assertEqual(self.server.request("POST", "/write?db=d", b"m v=1")[0], 204)
        self.assertEqual(self.names("SHOW MEASUREMENTS ON energy"), ["m"])
        self.assertEqual(self.ask(200, "GET", "/api/v2/dbrps" + here + "&db=d")["content"], [d])
        virtual = self.ask(200, "GET", "/api/v2/dbrps" + here + "&db=energy")["content"]
        self.assertEqual([(v["id"], v["retention_policy"], v["virtual"]) for v in virtual], [(bucket, "autogen", True)])
        self.ask(400, "DELETE", f"/api/v2/dbrps/{bucket}{here}")
        changed = self.ask(200, "PATCH", f"/api/v2/dbrps/{d['id']}{here}", {"retention_policy": "q"})["content"]
        self.assertEqual(changed["retention_policy"], "q")
        self.ask(204, "DELETE", f"/api/v2/dbrps/{d['id']}{here}")
        self.ask(404, "GET", f"/api/v2/dbrps/{d['id']}{here}")
        self.assertEqual(self.server.request("POST", "/write?db=d", b"m v=1")[0], 404)

    def test_everything_is_still_there_after_a_restart(self):
        self.bucket("b", everySeconds=86400)
        token = self.token(("write", {"type": "buckets"}))["token"]
        self.query("CREATE DATABASE d; CREATE RETENTION POLICY p ON d DURATION 2d REPLICATION 1 DEFAULT; CREATE USER u WITH PASSWORD 'pw'; GRANT READ "
                   "ON d TO u")
        before = [self.ask(200, "GET", p) for p in ("/api/v2/orgs", "/api/v2/buckets", "/api/v2/users", "/api/v2/authorizations")]
        for end in (self.server.stop, self.server.kill):
            end()
            self.server.start()
            after = [self.ask(200, "GET", p) for p in ("/api/v2/orgs", "/api/v2/buckets", "/api/v2/users", "/api/v2/authorizations")]
            self.assertEqual(after, before)
            self.ask(204, "POST", "/api/v2/write?bucket=d/p", b"m v=1", headers={"Authorization": "Token " + token})
            self.assertEqual(self.names("SHOW MEASUREMENTS ON d", basic("u", "pw")), ["m"])

    def test_what_is_not_kept_is_none_and_never_html(self):
        lists = {"tasks": "tasks", "labels": "labels", "variables": "variables", "dashboards": "dashboards", "checks": "checks",
                 "notificationRules": "notificationRules", "notificationEndpoints": "notificationEndpoints", "telegrafs": "configurations",
                 "scrapers": "configurations", "stacks": "stacks", "sources": "sources", "remotes": "remotes", "replications": "replications"}
        for path, key in lists.items():
            with self.subTest(path):
                self.assertEqual(self.ask(200, "GET", f"/api/v2/{path}?orgID={self.org}")[key], [])
                self.assertEqual(self.ask(404, "GET", f"/api/v2/{path}/{NOBODY}")["code"], "not found")
                self.assertEqual(self.ask(400, "DELETE", f"/api/v2/{path}/nonsense")["code"], "invalid")
                self.assertEqual(self.ask(501, "POST", f"/api/v2/{path}", {"name": "x"})["code"], "not implemented")
        self.assertIn("buckets", self.ask(200, "GET", "/api/v2/resources"))
        for path in ("", "/flags", "/config", "/query/suggestions"):
            self.ask(200, "GET", "/api/v2" + path)
        for path in ("query", "query/ast", "query/analyze"):
            self.ask(501, "POST", "/api/v2/" + path, {"query": "buckets()"})
        self.ask(404, "GET", "/api/v2/nonsense")
        self.ask(405, "PUT", "/api/v2/buckets", {})

    def test_many_at_once(self):
        org, failures = self.org, []

        def work(n):
            for i in range(8):
                name = f"w{n}-{i}"
                steps = [("POST", "/api/v2/buckets", {"orgID": org, "name": name}, 201), ("GET", f"/api/v2/buckets?name={name}", None, 200),
                         ("POST", f"/api/v2/write?bucket={name}", b"m v=1", 204),
                         ("POST", "/query?" + urllib.parse.urlencode({"q": f"CREATE DATABASE db{n}{i}; SHOW DATABASES; DROP DATABASE db{n}{i}"}), b"", 200)]
                for method, path, body, want in steps:
                    status, answer, _ = self.server.request(method, path, body)
                    if status != want or b'"error"' in answer:
                        failures.append((method, path, status, answer))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])
        page = self.ask(200, "GET", "/api/v2/buckets?limit=100")["buckets"]
        self.assertEqual(len([b for b in page if re.match(r"w\d-\d", b["name"])]), 64)


if __name__ == "__main__":
    unittest.main()

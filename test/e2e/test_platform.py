"""The platform's direct query paths: behind API Gateway (`afluxo lambda query`, a runtime API of our own, a real influxd) and on our server.

Flux is asked of a real InfluxDB 2.x where AFLUXO_TEST_INFLUXDB2 (a URL), AFLUXO_TEST_INFLUXDB2_TOKEN and AFLUXO_TEST_INFLUXDB2_ORG are set;
elsewhere those tests do not exist.
"""
import base64
import json
import os
import socket
import threading
import time
import unittest
import urllib.parse
import urllib.request

import lib
import test_lambda
from lib import DONE, FAILED, free_port

START = 1704067200  # 2024-01-01
REGIONS = ("norte", "sudeste", 'a "b" \\c, d')
SERIES = {region: [(START + 3600 * hour, 100.5 + hour + index) for hour in range(24)] for index, region in enumerate(REGIONS)}
URL2 = os.environ.get("AFLUXO_TEST_INFLUXDB2")


def escaped(tag):
    return tag.replace(",", "\\,").replace(" ", "\\ ")


LINES = "".join(f"generation_data,region={escaped(region)} power_mw={value},n={i}i,unit=\"MW\" {at}000000000\n"
                for region, points in SERIES.items() for i, (at, value) in enumerate(points))


def setUpModule():
    global influxd
    influxd = test_lambda.influxd = lib.Influxd()
    influxd.query("CREATE DATABASE energy_data")
    influxd.query("CREATE DATABASE other")
    for database, lines in (("energy_data", LINES), ("other", "m v=7 1\n")):
        urllib.request.urlopen(urllib.request.Request(f"{influxd.url}/write?db={database}", data=lines.encode())).close()


def tearDownModule():
    influxd.close()


def rest(method, path, body="", **more):
    return {"resource": "/{proxy+}", "path": path, "httpMethod": method, "headers": {"content-TYPE": "application/json"}, "multiValueHeaders": {},
            "requestContext": {"stage": "prod", "path": "/prod" + path, "requestId": "r"}, "body": body, "isBase64Encoded": False, **more}


def http(method, path, body="", stage="$default"):
    full = path if stage == "$default" else f"/{stage}{path}"
    return {"version": "2.0", "routeKey": "$default", "rawPath": full, "rawQueryString": "", "headers": {"content-type": "application/json"},
            "requestContext": {"stage": stage, "http": {"method": method, "path": full}}, "isBase64Encoded": True,
            "body": base64.b64encode(body.encode()).decode()}


def balancer(method, path, body=""):
    return {"requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": method, "path": path, "multiValueHeaders": {"accept": ["*/*"]},
            "body": body, "isBase64Encoded": False}


def expected_rows(result):
    """influxd's own answer to a statement as rows of the platform."""
    rows = []
    for series in result.get("series", []):
        for values in series["values"]:
            row = {("_time" if i == 0 and name == "time" else name): value for i, (name, value) in enumerate(zip(series["columns"], values))}
            rows.append({**row, **({"_measurement": series["name"]} if series.get("name") else {}), **series.get("tags", {})})
    return rows


def asked_of_influxd(text, database):
    query = urllib.parse.urlencode({"q": text, "db": database})
    with urllib.request.urlopen(f"{influxd.url}/query?{query}", timeout=60) as r:
        return [row for result in json.load(r)["results"] for row in expected_rows(result)]


class Silent:
    """A port that takes connections and says nothing."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.socket.getsockname()[1]
        self.taken = []
        threading.Thread(target=self.take, daemon=True).start()

    def take(self):
        try:
            while True:
                self.taken.append(self.socket.accept()[0])
        except OSError:
            pass

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.taken:
            connection.close()


class Gateway(test_lambda.Function):
    def setUp(self):
        super().setUp()
        self.api.timeout = 20

    def ask(self, event, left=30):
        kind, answer = self.api.invoke(event, left)
        self.assertEqual(kind, "response", answer)
        self.assertIs(answer["isBase64Encoded"], False)
        return answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None, answer

    def post(self, path, body, event=rest, left=30):
        return self.ask(event("POST", path, body if isinstance(body, str) else json.dumps(body)), left)[:2]

    def influxql(self, text, **more):
        return self.post("/query/influxql", {"query": text, **more})

    def fails(self, answer, status, code):
        got, body = answer
        self.assertEqual((got, body["status_code"], body["error"]["code"]), (status, status, code), body)
        self.assertEqual(set(body), {"error", "status_code"})
        self.assertEqual(set(body["error"]), {"code", "message", "details", "timestamp", "query_id"})
        self.assertEqual(set(body["error"]["details"]), {"influxdb_error", "query_line", "query_position", "suggested_fix"})
        return body["error"]


class Query(Gateway):
    def test_answers_are_influxds(self):
        self.start("query")
        for text in ("SELECT power_mw, unit, n FROM generation_data LIMIT 5",
                     "SELECT mean(power_mw) FROM generation_data WHERE time >= '2024-01-01' AND time < '2024-01-02' GROUP BY time(6h), region fill(none)",
                     "SELECT max(power_mw), region FROM generation_data", "SELECT count(n) FROM generation_data WHERE region = 'norte'",
                     "SELECT mean(x) FROM (SELECT power_mw * 2 AS x FROM generation_data GROUP BY region)",
                     "SELECT power_mw FROM generation_data WHERE region =~ /^s/ ORDER BY time DESC LIMIT 2 tz('America/Sao_Paulo')",
                     "SELECT mean(power_mw) FROM generation_data WHERE region = 'none'", "SHOW MEASUREMENTS", "SHOW DATABASES", "SHOW FIELD KEYS",
                     "SHOW TAG VALUES WITH KEY = region", "SELECT v FROM other..m; SHOW RETENTION POLICIES", "SELECT last(power_mw) -- c\nFROM generation_data"):
            with self.subTest(text):
                want = asked_of_influxd(text, "energy_data")
                status, body = self.influxql(text)
                self.assertEqual(status, 200, body)
                if "tz(" in text:  # times are UTC here, whatever zone cut the windows
                    for row in want:
                        row["_time"] = row["_time"].replace("T20:00:00-03:00", "T23:00:00Z").replace("T19:00:00-03:00", "T22:00:00Z")
                self.assertEqual(body["data"], want)
                self.assertEqual((body["query"], body["result_count"], body["truncated"]), (text, len(want), False))
                self.assertEqual(set(body["metadata"]["columns"]), {name for row in want for name in row})
                self.assertEqual(len(body["metadata"]["columns"]), len(body["metadata"]["data_types"]))
        self.assertEqual([r["v"] for r in self.influxql("SELECT v FROM m", database="other")[1]["data"]], [7])

    def test_every_event_means_the_same(self):
        self.start("query", API_BASE_PATH="/v1")
        body = {"query": "SELECT power_mw FROM generation_data LIMIT 3", "options": {"format": "json", "include_metadata": True}}
        answers = [self.post(path, body, event) for event in (rest, http, balancer, lambda *a: http(*a, stage="dev"))
                   for path in ("/query/influxql", "/v1/query/influxql")]
        self.assertEqual({status for status, _ in answers}, {200})
        self.assertEqual(len({json.dumps((a["data"], a["metadata"])) for _, a in answers}), 1)
        self.assertEqual(len({a["query_id"] for _, a in answers}), len(answers))
        status, _, answer = self.ask(balancer("GET", "/health"))
        self.assertEqual((status, answer["statusDescription"], answer["multiValueHeaders"]["Content-Type"]), (200, "200 OK", ["application/json"]))

    def test_what_writes_is_refused(self):
        self.start("query")
        for text in ("DROP MEASUREMENT generation_data", "SELECT * INTO x FROM generation_data", "DELETE FROM generation_data", "CREATE DATABASE d",
                     "SHOW DATABASES; DROP DATABASE energy_data", "GRANT ALL TO u", "CREATE USER u WITH PASSWORD 'hidden'", "SHOW USERS"):
            error = self.fails(self.influxql(text), 403, "INFLUXDB_PERMISSION_ERROR")
            self.assertNotIn("hidden", json.dumps(error))
        self.fails(self.post("/query/flux", {"query": 'from(bucket: "a") |> range(start: -1h) |> to(bucket: "b")'}), 403, "INFLUXDB_PERMISSION_ERROR")
        self.assertEqual(influxd.count("generation_data", "power_mw", "energy_data"), 72)
        self.assertEqual(influxd.values("SHOW DATABASES", ""), [["energy_data"], ["other"]])

    def test_failures_say_what_to_mend(self):
        self.start("query")
        error = self.fails(self.influxql("SELECT x\nFROM"), 400, "INFLUXDB_SYNTAX_ERROR")
        self.assertEqual((error["details"]["query_line"], "error parsing query" in error["details"]["influxdb_error"]), (2, True))
        self.fails(self.influxql("SELECT v FROM m", database="nowhere"), 404, "DATA_NOT_FOUND")
        self.fails(self.influxql("SELECT nothing(power_mw) FROM generation_data"), 400, "INFLUXDB_QUERY_ERROR")
        self.fails(self.influxql(7), 400, "INVALID_REQUEST")
        self.fails(self.influxql("SHOW DATABASES", options={"limit": "1"}), 400, "INVALID_REQUEST")
        self.fails(self.post("/query/flux", {"query": "buckets()"}), 501, "NOT_IMPLEMENTED")  # 1.6 has none
        self.fails(self.post("/query", {"question": "Quanto gerou Itaipu ontem?"}), 501, "NOT_IMPLEMENTED")
        self.fails(self.post("/nothing", {}), 404, "ENDPOINT_NOT_FOUND")
        self.fails(self.ask(rest("GET", "/query/flux"))[:2], 405, "METHOD_NOT_ALLOWED")
        self.fails(self.ask(rest("POST", "/query/flux", "a?", isBase64Encoded=True))[:2], 400, "INVALID_REQUEST")
        self.fails(self.ask(rest("POST", "/query/flux", "x", headers={"CONTENT-Encoding": "gzip"}))[:2], 415, "INVALID_REQUEST")

    def test_cors_and_the_description(self):
        self.start("query")
        status, body, answer = self.ask(rest("OPTIONS", "/query/flux"))
        self.assertEqual((status, body), (200, None))
        self.assertEqual((answer["headers"]["Access-Control-Allow-Origin"], answer["headers"]["Access-Control-Allow-Methods"]), ("*", "POST,GET,OPTIONS"))
        status, body, answer = self.ask(rest("GET", "/openapi.json"))
        self.assertEqual((status, sorted(body["paths"])), (200, ["/query", "/query/flux", "/query/influxql"]))
        self.kill(self.processes[0])
        self.start("query", CORS_ALLOW_ORIGIN="none")
        self.assertNotIn("Access-Control-Allow-Origin", self.ask(rest("OPTIONS", "/query/flux"))[2]["headers"])

    def test_an_answer_fits_into_lambdas(self):
        """Texts of quotes, which JSON in JSON makes longest."""
        lines = "".join(f"big,t=x v=\"{'q' + chr(92) + chr(34)}{chr(92) + chr(34)}{'x' * 200}{i}\" {i}\n" for i in range(30000))
        urllib.request.urlopen(urllib.request.Request(f"{influxd.url}/write?db=other", data=lines.encode())).close()
        self.start("query", MAX_RESULT_SIZE="1000000")
        status, body = self.influxql("SELECT v FROM big", database="other")
        self.assertEqual((status, body["truncated"], body["result_count"]), (200, True, len(body["data"])))
        self.assertGreater(len(body["data"]), 5000)
        self.assertEqual(body["data"][7]["v"], '"'.join(("q", "", "x" * 200 + "7")))
        status, body = self.influxql("SELECT v FROM big", database="other", options={"limit": 10})
        self.assertEqual((body["truncated"], len(body["data"])), (True, 10))

    def test_health_does_not_wait_for_a_target_that_is_silent(self):
        silent = Silent()
        self.addCleanup(silent.close)
        self.start("query")
        status, body, _ = self.ask(http("GET", "/health"))
        self.assertEqual((status, body["status"], body["components"]["influxdb"]["status"]), (200, "healthy", "healthy"))
        self.kill(self.processes[0])
        for url in (silent.url, "http://127.0.0.1:%d" % free_port()):
            self.start("query", INFLUXDB_URL=url)
            begun = time.time()
            status, body, _ = self.ask(http("GET", "/health"))
            self.assertEqual((status, body["status"]), (503, "unhealthy"))
            self.assertLess(time.time() - begun, 5)
            self.assertNotIn("127.0.0.1", json.dumps(body))
            self.kill(self.processes[0])

    def test_the_deadline_is_kept(self):
        silent = Silent()
        self.addCleanup(silent.close)
        self.start("query", INFLUXDB_URL=silent.url, INFLUXDB_VERSION="1")
        begun = time.time()
        self.fails(self.post("/query/influxql", {"query": "SELECT v FROM m"}, left=2.5), 504, "INFLUXDB_QUERY_TIMEOUT")
        self.assertLess(time.time() - begun, 15)
        metrics = [line for line in self.lines() if "_aws" in line]
        self.assertEqual((metrics[0]["Queries"], metrics[0]["QueryErrors"], metrics[0]["QueryTimeouts"]), (1, 1, 1))
        self.kill(self.processes[0])
        self.start("query", INFLUXDB_URL="http://127.0.0.1:%d" % free_port())
        self.fails(self.influxql("SELECT v FROM m"), 503, "INFLUXDB_CONNECTION_ERROR")

    def test_a_target_that_cannot_be_opened_is_told_without_its_words(self):
        silent = Silent()
        self.addCleanup(silent.close)
        arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s"
        hidden = {"INFLUXDB_TOKEN": None, "INFLUXDB_TOKEN_SECRET_NAME": arn, "AWS_MAX_ATTEMPTS": "1"}
        for left, more in ((30, {"INFLUXDB_URL": "htp:/nowhere"}), (30, hidden), (3, {**hidden, "AWS_ENDPOINT_URL": silent.url}),
                           (3, {"INFLUXDB_URL": silent.url})):  # the last two: silent, up to the deadline
            with self.subTest(more):
                self.start("query", **more)
                begun = time.time()
                answer = self.post("/query/influxql", {"query": "SELECT v FROM m"}, left=left)
                error = json.dumps(self.fails(answer, 503, "INFLUXDB_CONNECTION_ERROR"))
                self.assertLess(time.time() - begun, 3.5)
                for word in ("secret", "arn:", "127.0.0.1", "http"):
                    self.assertNotIn(word, error)
                self.assertEqual([line["level"] for line in self.lines() if line.get("level") == "ERROR"][-1:], ["ERROR"], self.said())
                self.kill(self.processes[0])
        self.assertIn(arn, self.said())

    def test_the_log_level_of_a_501(self):
        self.start("query")
        self.fails(self.post("/query", {"question": "Quanto gerou Itaipu ontem?"}), 501, "NOT_IMPLEMENTED")
        self.assertEqual({line["level"] for line in self.lines() if line.get("level") in ("WARN", "ERROR")}, {"WARN"})

    def test_events_that_nobody_should_send(self):
        self.start("query")
        for event in (b"[" * (6 << 20), b'{"a":' * (1 << 20), b"{}", b"null", b'{"Records":[]}', b"\x00\xff"):
            kind, body = self.api.invoke(event)
            self.assertEqual((kind, body["errorType"]), ("error", "EINVAL"), event[:20])
        for body in ("[" * (5 << 20), '{"query":' * 100000, '{"query":"' + "(" * (1 << 18) + '"}', "\x00", '{"query":"\\ud800"}'):
            status, answer = self.post("/query/influxql", body)
            self.assertIn(status, (400, 413), answer)
        self.assertEqual(self.influxql("SELECT count(n) FROM generation_data")[1]["data"][0]["count"], 72)

    def test_settings_that_are_wrong(self):
        for more, words in (({"INFLUXDB_URL": None}, "INFLUXDB_URL"), ({"QUERY_TIMEOUT_SECONDS": "0"}, "QUERY_TIMEOUT_SECONDS"),
                            ({"MAX_RESULT_SIZE": "many"}, "MAX_RESULT_SIZE")):
            self.api.outcomes.clear()
            p = self.start("query", **more)
            kind, body = self.api.wait("init")
            self.assertEqual((kind, words in body["errorMessage"]), ("init", True), body)
            self.assertEqual(p.wait(20), FAILED)
            self.processes.remove(p)

    def test_once_by_hand(self):
        event = self.write("event.json", json.dumps(http("POST", "/query/influxql", '{"query":"SELECT count(n) FROM generation_data"}')))
        result = self.afluxo(DONE, "lambda", "query", "--once", event, env=test_lambda.function_env())
        self.assertEqual(json.loads(result.json["body"])["data"][0]["count"], 72)


class Served(lib.Case):
    """The same paths of our own server, beside its 1.x API."""

    @classmethod
    def setUpClass(cls):
        cls.server = lib.Server()
        assert cls.server.request("POST", "/query?q=CREATE+DATABASE+energy_data")[0] == 200
        assert cls.server.request("POST", "/write?db=energy_data", LINES)[0] == 204

    @classmethod
    def tearDownClass(cls):
        status = cls.server.stop()
        log = cls.server.log
        cls.server.close()
        assert status == 0 and "AddressSanitizer" not in log and "LeakSanitizer" not in log and "runtime error:" not in log, log[-3000:]

    def post(self, path, body, **kw):
        status, answer, headers = self.server.request("POST", path, body, **kw)
        self.assertEqual(headers["Content-Type"], "application/json")
        return status, json.loads(answer)

    def test_answers_are_those_of_influxd(self):
        for text in ("SELECT power_mw, unit, n FROM generation_data WHERE region = 'norte' LIMIT 5", "SHOW TAG VALUES WITH KEY = region",
                     "SELECT mean(power_mw) FROM generation_data WHERE time >= '2024-01-01' AND time < '2024-01-02' GROUP BY time(6h), region"):
            status, body = self.post("/query/influxql", {"query": text, "database": "energy_data"})
            self.assertEqual(status, 200, body)
            self.assertEqual(body["data"], asked_of_influxd(text, "energy_data"))

    def test_credentials(self):
        body = {"query": "SELECT count(n) FROM generation_data", "database": "energy_data"}
        self.assertEqual(self.post("/query/influxql", body, auth=False)[1]["error"]["code"], "UNAUTHORIZED")
        for name, value in (("x-api-key", self.server.token), ("Authorization", "Bearer " + self.server.token),
                            ("Authorization", "Basic " + base64.b64encode(b"x:" + self.server.token.encode()).decode())):
            status, answer = self.post("/query/influxql", body, headers={name: value}, auth=False)
            self.assertEqual((status, answer["data"][0]["count"]), (200, 72))
        self.assertEqual(self.post("/query/influxql", {"query": "DROP DATABASE energy_data"})[0], 403)
        self.assertEqual(self.post("/query/flux", {"query": "buckets()"})[0], 501)
        self.assertEqual(self.post("/query", {"question": "how much?"})[0], 501)
        self.assertEqual(self.post("/query/influxql", body)[0], 200)

    def test_the_description_is_open(self):
        status, body, _ = self.server.request("GET", "/openapi.json", auth=False)
        self.assertEqual((status, json.loads(body)["openapi"]), (200, "3.0.3"))


class Flux:
    """Mixed into Gateway below: a real InfluxDB 2.x."""

    def setUp(self):
        super().setUp()
        self.token, self.org = os.environ.get("AFLUXO_TEST_INFLUXDB2_TOKEN", ""), os.environ.get("AFLUXO_TEST_INFLUXDB2_ORG", "")
        self.bucket = f"afluxo-platform-{os.getpid()}"
        lp = self.write("a.lp", LINES)
        self.afluxo(DONE, "write", lp, "--to", URL2, "--bucket", self.bucket, "--org", self.org, "--token", self.token, "--create")
        self.start("query", INFLUXDB_URL=URL2, INFLUXDB_TOKEN=self.token, INFLUXDB_ORG=self.org, INFLUXDB_BUCKET=self.bucket)
        self.addCleanup(self.remove)

    def call(self, method, path):
        request = urllib.request.Request(URL2.rstrip("/") + path, method=method, headers={"Authorization": "Token " + self.token})
        with urllib.request.urlopen(request, timeout=60) as r:
            return r.read()

    def remove(self):
        for bucket in json.loads(self.call("GET", f"/api/v2/buckets?name={self.bucket}"))["buckets"]:
            self.call("DELETE", "/api/v2/buckets/" + bucket["id"])

    def flux(self, text):
        return self.post("/query/flux", {"query": text.replace("BUCKET", self.bucket), "options": {"format": "json", "include_metadata": True}})

    def test_rows(self):
        status, body = self.flux('from(bucket: "BUCKET") |> range(start: 2024-01-01T00:00:00Z, stop: 2024-01-02T00:00:00Z) '
                                 '|> filter(fn: (r) => r["_field"] == "power_mw") |> drop(columns: ["_start", "_stop"])')
        self.assertEqual(status, 200, body)
        got = {(row["region"], row["_time"]): row["_value"] for row in body["data"]}
        self.assertEqual(got, {(region, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))): value
                               for region, points in SERIES.items() for at, value in points})
        self.assertEqual(body["data"][0].keys(), {"_time", "_value", "_field", "_measurement", "region"})
        types = dict(zip(body["metadata"]["columns"], body["metadata"]["data_types"]))
        self.assertEqual(types, {"_time": "datetime", "_value": "float", "_field": "string", "_measurement": "string", "region": "string"})

    def test_functions_of_the_documents(self):
        whole = 'from(bucket: "BUCKET") |> range(start: 2024-01-01T00:00:00Z, stop: 2024-01-02T00:00:00Z)'
        for text, rows in ((whole + ' |> filter(fn: (r) => r._field == "power_mw") |> aggregateWindow(every: 6h, fn: mean, createEmpty: false)', 12),
                           (whole + ' |> filter(fn: (r) => r._field == "n") |> derivative(unit: 1h)', 69),
                           (whole + ' |> filter(fn: (r) => r._field != "unit") |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")', 72),
                           ('import "influxdata/influxdb/schema"\nschema.tagValues(bucket: "BUCKET", tag: "region", start: 0)', 3),
                           ('import "array"\narray.from(rows: [{x: 1, y: "a"}, {x: 2, y: "b"}])', 2)):
            status, body = self.flux(text)
            self.assertEqual((status, body.get("result_count")), (200, rows), body)

    def test_failures(self):
        error = self.fails(self.flux('from(bucket: "BUCKET")\n  |> rangee(start: -1h)'), 400, "INFLUXDB_SYNTAX_ERROR")
        self.assertEqual(error["details"]["query_line"], 2)
        self.fails(self.flux('from(bucket: "nowhere") |> range(start: -1h)'), 404, "DATA_NOT_FOUND")
        self.fails(self.flux('from(bucket: "BUCKET") |> range(start: -1h) |> to(bucket: "BUCKET")'), 403, "INFLUXDB_PERMISSION_ERROR")
        self.fails(self.flux('from(bucket: "BUCKET") |> range(start: 0) |> sum()'), 400, "INFLUXDB_QUERY_ERROR")  # of texts

    def test_influxql_too(self):
        status, body = self.influxql("SELECT count(n) FROM generation_data")
        self.assertEqual((status, body["data"][0]["count"]), (200, 72), body)

    def test_a_token_that_is_none(self):
        self.kill(self.processes[0])
        self.start("query", INFLUXDB_URL=URL2, INFLUXDB_TOKEN="wrong", INFLUXDB_ORG=self.org, INFLUXDB_BUCKET=self.bucket, INFLUXDB_VERSION="2")
        error = self.fails(self.flux("buckets()"), 503, "INFLUXDB_PERMISSION_ERROR")
        self.assertNotIn("wrong", json.dumps(error))


if URL2:
    class RealFlux(Flux, Gateway):
        pass


if __name__ == "__main__":
    unittest.main()

"""`afluxo costs` as a program: Cost Explorer replayed by moto, forecasts by a stand-in before it, and plans reckoned once more here.

    afluxo -> stand-in -> moto       GetCostAndUsage (moto replays what it is given), STS, CloudWatch
                       -> here       GetCostForecast, GetDimensionValues, and faults

The stand-in makes every signature again with botocore's signer: region us-east-1 and service ce, whatever the region of the rest.
"""
import datetime
import http.client
import json
import os
import re
import sys
import tempfile
import threading
import unittest
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(ROOT, "test", "e2e"), os.path.join(ROOT, "tools")]
import aws_lib  # noqa: E402
import lib  # noqa: E402
import scale  # noqa: E402

TABLE = os.path.join(ROOT, "src", "costs", "prices.yaml")
moto = None


def setUpModule():
    global moto
    moto = aws_lib.Moto()
    unittest.addModuleCleanup(moto.close)


def month_starts():
    """The first days of last month, of this one and of the next, and today: UTC."""
    today = datetime.datetime.now(datetime.timezone.utc).date()
    this = today.replace(day=1)
    return (this - datetime.timedelta(days=1)).replace(day=1), this, (this + datetime.timedelta(days=32)).replace(day=1), today


class StandIn:
    """In front of moto; `faults`: answers (status, body) given to Cost Explorer's next requests instead."""

    def __init__(self):
        self.asked, self.wrong, self.faults = [], [], []
        self.forecast = (200, {"Total": {"Amount": "61.5", "Unit": "USD"}, "ForecastResultsByTime": []})
        self.services = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, kind, text = owner.answer(self, body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler, body):
        target = handler.headers.get("X-Amz-Target", "")
        if not target.startswith("AWSInsightsIndexService."):
            return self.forward(handler, body)
        operation = target.split(".")[1]
        self.asked.append((operation, json.loads(body)))
        self.check_signature(handler, body)
        if self.faults:
            status, said = self.faults.pop(0)
        elif operation == "GetCostAndUsage":
            return self.forward(handler, body)
        elif operation == "GetCostForecast":
            status, said = self.forecast
        else:
            status, said = 200, {"DimensionValues": [{"Value": name, "Attributes": {}} for name in self.services],
                                 "ReturnSize": len(self.services), "TotalSize": len(self.services)}
        return status, "application/x-amz-json-1.1", json.dumps(said).encode()

    def check_signature(self, handler, body):
        header = handler.headers["Authorization"]
        region, service = re.search(r"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request", header).groups()
        signed = re.search(r"SignedHeaders=([^,]+)", header).group(1).split(";")
        signer = botocore.auth.SigV4Auth(botocore.credentials.Credentials("testing", "testing"), service, region)
        again = botocore.awsrequest.AWSRequest("POST", f"http://{handler.headers['Host']}{handler.path}", data=body,
                                               headers={k: v for k, v in handler.headers.items() if k.lower() in signed})
        again.context["timestamp"] = handler.headers["X-Amz-Date"]
        headers = signer.headers_to_sign(again)
        for name in list(headers.keys()):
            if name not in signed:
                del headers[name]
        payload = handler.headers.get("X-Amz-Content-Sha256") or signer.payload(again)
        path = signer._normalize_url_path(urllib.parse.urlsplit(again.url).path)
        canonical = "\n".join(["POST", path, "", signer.canonical_headers(headers) + "\n", signer.signed_headers(headers), payload])
        made = signer.signature(signer.string_to_sign(again, canonical), again)
        if (region, service) != ("us-east-1", "ce") or f"Signature={made}" not in header:
            self.wrong.append(header)

    @staticmethod
    def forward(handler, body):
        connection = http.client.HTTPConnection("127.0.0.1", moto.port, timeout=60)
        connection.request("POST", handler.path, body, dict(handler.headers))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, answer.getheader("Content-Type", "application/json"), text


def group(service, usage_type, cost, quantity, unit="Hrs", currency="USD"):
    return {"Keys": [service, usage_type], "Metrics": {"UnblendedCost": {"Amount": str(cost), "Unit": currency},
                                                       "UsageQuantity": {"Amount": str(quantity), "Unit": unit}}}


def month(start, *groups):
    return {"TimePeriod": {"Start": str(start), "End": "unused"}, "Total": {}, "Groups": list(groups), "Estimated": True}


class Case(lib.Case):
    numbers = iter(range(10**6))

    def setUp(self):
        super().setUp()
        self.stand_in = StandIn()
        self.addCleanup(self.stand_in.close)
        home = tempfile.TemporaryDirectory(prefix="afluxo-costs-")
        self.addCleanup(home.cleanup)
        self.cache = home.name
        self.tag = f"project=afluxo{next(self.numbers)}"  # moto answers the same request as before: each test has its own
        self.last, self.this, self.next, self.today = month_starts()

    def replay(self, *results):
        request = urllib.request.Request(moto.url + "/moto-api/static/ce/cost-and-usage-results", json.dumps({"results": results}).encode(),
                                         {"Content-Type": "application/json"})
        self.assertEqual(urllib.request.urlopen(request, timeout=30).status, 201)

    def costs(self, status, *args, tag=True, **env):
        env = {"AWS_REGION": "sa-east-1", "XDG_CACHE_HOME": self.cache, "AWS_MAX_ATTEMPTS": "2", **env}
        more = ["--tag", self.tag] if tag is True else []
        result = self.afluxo(status, "costs", *more, *args, env={**lib.environment(), **moto.env(self.stand_in.url), **env})
        self.assertEqual(self.stand_in.wrong, [])
        return result

    def operations(self):
        return [operation for operation, _ in self.stand_in.asked]

    def two_months(self):
        """In two pages, as moto replays them one after the other."""
        self.replay({"ResultsByTime": [month(self.last, group("Amazon Timestream", "SAE1-InstanceUsage:db.influx.large", "190.25", 730),
                                             group("AWS Lambda", "SAE1-Lambda-GB-Second-ARM", "1.5", 112500, "Lambda-GB-Second"))],
                     "NextPageToken": "page two"},
                    {"ResultsByTime": [month(self.this, group("Amazon Timestream", "SAE1-InstanceUsage:db.influx.large", "150.75", 578.5),
                                             group("Amazon Timestream", "SAE1-Flux-Capacitor-Hrs", "7.125", 3),
                                             group("Amazon Simple Queue Service", "SAE1-Requests-Tier1", "0.002", 5000, "Requests"),
                                             group("Refund\x1b[2J", "Credit", "-10", 0, ""))]})


class Report(Case):
    def test_two_months_in_two_pages(self):
        self.two_months()
        said = self.costs(lib.DONE, "--json").json
        self.assertEqual(self.operations(), ["GetCostAndUsage", "GetCostAndUsage", "GetCostForecast"])
        first, second, third = (request for _, request in self.stand_in.asked)
        tomorrow = self.today + datetime.timedelta(days=1)
        self.assertEqual(first["TimePeriod"], {"Start": str(self.last), "End": str(tomorrow)})
        self.assertEqual(first["Filter"], {"Tags": {"Key": "project", "Values": [self.tag.split("=")[1]]}})
        self.assertEqual({**first, "NextPageToken": "page two"}, second)
        self.assertEqual(third["TimePeriod"], {"Start": str(self.today), "End": str(self.next)})
        last, this = said["months"]
        self.assertEqual((last["month"], this["month"]), (str(self.last)[:7], str(self.this)[:7]))
        self.assertAlmostEqual(last["total"], 191.75)
        self.assertAlmostEqual(this["total"], 147.877)
        self.assertAlmostEqual(this["classes"]["instance hours"], 150.75)
        self.assertAlmostEqual(this["classes"]["other"], -2.875)
        self.assertAlmostEqual(said["forecast"], 147.877 + 61.5)
        self.assertEqual((said["account"], said["tag"], said["currency"], said["cached"]), ("123456789012", self.tag, "USD", False))
        self.assertAlmostEqual(said["asking_cost_usd"], 0.03)
        self.assertEqual([r["usage_type"] for r in said["usage"]][0], "SAE1-InstanceUsage:db.influx.large")
        self.assertEqual({r["usage_type"]: r["class"] for r in said["usage"]}["SAE1-Flux-Capacitor-Hrs"], "other")
        self.assertIsNone(this["per_million_points"])

    def test_table(self):
        self.two_months()
        out = self.costs(lib.DONE).out
        self.assertRegex(out, r"(?m)^instance hours +190\.25 +150\.75$")
        self.assertRegex(out, r"(?m)^lambda +1\.50 +0\.00$")
        self.assertRegex(out, r"(?m)^sqs +0\.00 +<0\.01$")
        self.assertRegex(out, r"(?m)^all +191\.75 +147\.88$")
        self.assertRegex(out, r"(?m)^forecast of the month's end +209\.38$")
        self.assertRegex(out, r"(?m)^per million points +unknown +unknown +\(namespace Afluxo has no PointsWritten of a function\)$")
        self.assertRegex(out, r"(?m)^Amazon Timestream +SAE1-Flux-Capacitor-Hrs +other +0\.00 +7\.12 +3  Hrs$")
        self.assertIn("Refund?[2J", out)
        self.assertNotIn("\x1b", out)
        self.assertIn("Asking cost 0.03 USD: 3 requests", out)
        self.assertIn("AWS renews it up to three times a day", out)

    def test_kept_for_the_day(self):
        self.two_months()
        first = self.costs(lib.DONE, "--json").json
        asked = len(self.stand_in.asked)
        again = self.costs(lib.DONE, "--json").json
        self.assertEqual(len(self.stand_in.asked), asked)
        self.assertEqual((again.pop("cached"), again.pop("asking_cost_usd")), (True, 0))
        self.assertEqual({k: v for k, v in first.items() if k in again}, again)
        self.assertIn("This cost nothing", self.costs(lib.DONE).out)
        self.costs(lib.DONE, "--refresh")
        self.assertEqual(len(self.stand_in.asked), 2 * asked)
        (name,) = os.listdir(os.path.join(self.cache, "afluxo", "costs"))
        path = os.path.join(self.cache, "afluxo", "costs", name)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
        kept = json.load(open(path))
        for broken in ("", "{", "{}", json.dumps({**kept, "taken": "2020-01-01T00:00:00Z"}), json.dumps({**kept, "usage": 7})):
            with open(path, "w") as f:
                f.write(broken)
            before = len(self.stand_in.asked)
            self.assertFalse(self.costs(lib.DONE, "--json").json["cached"], broken)
            self.assertEqual(len(self.stand_in.asked), before + asked)
        self.tag = "project=other"
        self.assertFalse(self.costs(lib.DONE, "--json").json["cached"])

    def test_without_a_place_to_keep(self):
        self.two_months()
        with open(os.path.join(self.cache, "file"), "w"):
            pass
        result = self.costs(lib.DONE, XDG_CACHE_HOME=os.path.join(self.cache, "file"))
        self.assertIn("asks (and pays) again", result.err)
        self.assertIn("147.88", result.out)

    def test_per_million_points(self):
        name_space = "Points/" + self.tag.replace("=", "-")
        for function, points in (("one", 500_000_000), ("two", 1_250_000)):
            moto.client("cloudwatch").put_metric_data(Namespace=name_space, MetricData=[
                {"MetricName": "PointsWritten", "Value": points, "Unit": "Count", "Dimensions": [{"Name": "Function", "Value": function}]}])
        # moto's metrics stand in the region of its client, so this test asks there too
        self.two_months()
        said = self.costs(lib.DONE, "--json", "--namespace", name_space, AWS_REGION="us-east-1").json
        self.assertEqual([m["points"] for m in said["months"]], [0, 501_250_000])
        self.assertIsNone(said["months"][0]["per_million_points"])
        self.assertAlmostEqual(said["months"][1]["per_million_points"], 147.877 / 501.25)
        out = self.costs(lib.DONE, "--namespace", name_space, AWS_REGION="us-east-1").out
        self.assertRegex(out, r"(?m)^points written +0 +501,250,000$")
        self.assertRegex(out, r"(?m)^per million points +unknown +0\.2950$")

    def test_no_forecast_yet(self):
        self.two_months()
        self.stand_in.forecast = (400, {"__type": "DataUnavailableException", "Message": "Insufficient amount of historical data"})
        result = self.costs(lib.DONE)
        self.assertRegex(result.out, r"(?m)^forecast of the month's end +unknown +\(.*Insufficient amount of historical data.*\)$")

    def test_no_forecast_for_us(self):
        self.two_months()
        self.stand_in.forecast = (400, {"__type": "AccessDeniedException", "Message": "ce:GetCostForecast"})
        self.assertIn("ce:GetCostForecast", self.costs(lib.DONE, "--json").json["why_no_forecast"])


class Faults(Case):
    def test_throttled_once(self):
        self.two_months()
        self.stand_in.faults = [(400, {"__type": "LimitExceededException", "Message": "Rate exceeded"})]
        self.assertAlmostEqual(self.costs(lib.DONE, "--json").json["months"][1]["total"], 147.877)
        self.assertEqual(self.operations(), ["GetCostAndUsage"] * 3 + ["GetCostForecast"])

    def test_throttled_to_the_end(self):
        self.stand_in.faults = [(400, {"__type": "LimitExceededException", "Message": "Rate exceeded"})] * 2
        self.assertIn("Rate exceeded", self.costs(lib.FAILED).err)
        self.assertEqual(os.listdir(self.cache), [])

    def test_not_allowed(self):
        self.stand_in.faults = [(400, {"__type": "AccessDeniedException", "Message": "User: u is not authorized"})]
        error = self.costs(lib.FAILED).err
        self.assertIn('needs the action ce:GetCostAndUsage on resource "*"', error)
        self.assertIn("User: u is not authorized", error)

    def test_not_switched_on(self):
        self.stand_in.faults = [(400, {"__type": "AccessDeniedException", "Message": "User not enabled for cost explorer access"})]
        self.assertIn("Cost Explorer is not switched on in this account", self.costs(lib.FAILED).err)
        self.stand_in.faults = [(400, {"__type": "DataUnavailableException", "Message": "Data is not available. Please try to adjust"})]
        self.assertIn("Cost Explorer has no data yet", self.costs(lib.FAILED).err)

    def test_tag_that_is_not_active(self):
        self.stand_in.services = ["AWS Lambda", "Amazon Timestream"]
        result = self.costs(lib.DONE)
        self.assertIn("The account has costs of 2 services, and none with this tag", result.out)
        self.assertIn("activated for cost allocation", result.out)
        self.assertEqual(self.operations(), ["GetCostAndUsage", "GetDimensionValues"])

    def test_account_without_costs(self):
        result = self.costs(lib.DONE)
        self.assertIn("No costs at all in these two months", result.out)
        said = self.costs(lib.DONE, "--refresh", "--json").json
        self.assertEqual((said["usage"], said["currency"], said["forecast"]), ([], "", None))

    def test_whole_account(self):
        self.replay({"ResultsByTime": [month(self.this, group("AWS Lambda", "Request", 3, 1, "Requests"))]})
        self.assertEqual(self.costs(lib.DONE, "--json", tag=False).json["months"][1]["total"], 3)
        self.assertNotIn("Filter", self.stand_in.asked[0][1])

    def test_answers_that_are_none(self):
        for said in ({"ResultsByTime": {}}, {"ResultsByTime": [month(self.this, {"Keys": ["a"]})]},
                     {"ResultsByTime": [month(self.this, group("a", "b", "much", 1))]}, {"NextPageToken": "x", "ResultsByTime": 1}):
            self.stand_in.faults = [(200, said)]
            self.assertIn("Cost Explorer GetCostAndUsage: the answer", self.costs(lib.FAILED).err)

    def test_two_currencies(self):
        self.stand_in.faults = [(200, {"ResultsByTime": [month(self.this, group("a", "b", 1, 1), group("c", "d", 1, 1, currency="BRL"))]})]
        self.assertIn("cannot be added", self.costs(lib.FAILED).err)

    def test_usage(self):
        for wrong in (["x"], ["--plan"], ["--plan", "--class", "large"], ["--class", "large"], ["--plan", "--class", "large", "--storage", "20",
                      "--refresh"], ["--prices", "x.yaml"]):
            self.costs(lib.USAGE, *wrong, tag=False)
        for wrong in ("afluxo", "=x"):
            self.assertIn("KEY=VALUE", self.costs(lib.FAILED, "--tag", wrong, tag=False).err)


class Plan(Case):
    """Reckoned here once more from the same table, read by another reader of YAML."""

    @classmethod
    def setUpClass(cls):
        with open(TABLE, encoding="utf-8") as f:
            cls.table = yaml.safe_load(f)
        cls.price = {p["name"]: p["price"] for p in cls.table["prices"]}
        cls.assume = {a["name"]: a["value"] for a in cls.table["assumptions"]}
        cls.units = {c["name"]: c["units"] for c in cls.table["classes"]}

    def plan(self, *args, status=lib.DONE):
        return self.costs(status, "--plan", *args, tag=False)

    def reckon(self, size, tier, gib, zones, points, objects, queries):
        p, a, hours = self.price, self.assume, self.table["hours_a_month"]
        days = hours / 24
        points, objects, queries, small = (n * days for n in (points, objects, queries, a["small_runs"]))
        load_s = objects * a["loader_object_s"] + points / a["loader_points_per_s"]
        return {
            "instance hours": hours * zones * self.units[size] * p["influx_medium_hour"],
            "storage": gib * zones * p[f"influx_{tier}_gib_month"],
            "backups": gib * a["backup_share"] * p["s3_gb_month"],
            "lambda": p["lambda_gb_s"] * (load_s * a["loader_gb"] + queries * a["query_s"] * a["query_gb"] + small * a["small_s"] * a["small_gb"])
            + p["lambda_request"] * (objects + queries + small),
            "sqs": p["sqs_request"] * objects * a["sqs_requests"],
            "s3": objects * (a["s3_gets"] * p["s3_get"] + a["s3_puts"] * p["s3_put_or_list"]),
            "logs and metrics": (objects + queries + small) * a["log_kb"] / 1e6 * p["logs_gb"] + a["metrics"] * p["metric_month"]
            + a["alarms"] * p["alarm_month"],
            "transfer": a["endpoints"] * a["zones_multi" if zones == 2 else "zones_single"] * hours * p["endpoint_hour"],
            "other": queries * p["api_request"] + a["secrets"] * p["secret_month"] + a["kms_keys"] * p["kms_key_month"]
            + a["cost_requests"] * p["cost_explorer_request"],
        }

    def test_against_another_reckoning(self):
        for size, tier, gib, zones, load in (("db.influx.2xlarge", "t1", 400, 2, (50_000_000, 2000, 100_000)),
                                             ("db.influx.medium", "t1", 20, 1, (0, 0, 0)), ("db.influx.24xlarge", "t3", 16384, 1, (7, 1, 3))):
            args = ["--class", size, "--tier", tier.upper(), "--storage", gib, "--points-per-day", load[0], "--objects-per-day", load[1],
                    "--queries-per-day", load[2], *(["--multi-az"] if zones == 2 else [])]
            said = self.plan("--json", *map(str, args)).json
            sums = {}
            for line in said["lines"]:
                sums[line["class"]] = sums.get(line["class"], 0) + line["amount"]
            want = self.reckon(size, tier, gib, zones, *load)
            self.assertEqual(set(sums), set(want))
            for name, amount in want.items():
                self.assertAlmostEqual(sums[name], amount, places=6, msg=name)
            self.assertAlmostEqual(said["total"], sum(want.values()), places=6)
            names = list(self.units)
            for word, step in (("up", 1), ("down", -1)):
                i = names.index(size) + step
                if not 0 <= i < len(names):
                    self.assertIsNone(said[word])
                    continue
                beside = self.reckon(names[i], tier, gib, zones, *load)
                self.assertEqual(said[word]["class"], names[i])
                self.assertAlmostEqual(said[word]["total"], sum(beside.values()), places=6)
        self.assertEqual(self.stand_in.asked, [])

    def test_every_figure_has_its_mark(self):
        out = self.plan("--class", "db.influx.2xlarge", "--tier", "T1", "--storage", "400", "--multi-az", "--region", "us-east-1",
                        "--points-per-day", "50M", "--objects-per-day", "2000", "--queries-per-day", "100k").out
        head, _, rest = out.partition("\n\n")
        self.assertIn("* assumed", head)
        self.assertIn("prices of 2026-11-25", head)
        lines = [line for line in rest.splitlines() if re.search(r"\d\.\d\d", line)]
        self.assertEqual(len(lines), 18 + 3)
        for line in lines:
            self.assertRegex(line, r"\d \*($|  )", line)
        self.assertRegex(out, r"(?m)^instance hours +two instances, one a zone +1,460 +hour +x +1\.0408 \* = +1,519\.57 \*$")
        self.assertRegex(out, r"(?m)^a class up +db\.influx\.4xlarge +[\d,.]+ \*  \(\+1,519\.57 \*\)$")

    def test_elsewhere(self):
        said = self.plan("--class", "large", "--storage", "20", "--region", "sa-east-1", "--json").json
        self.assertEqual({line["price_region"] for line in said["lines"]}, {"us-east-1"})
        self.assertTrue(all(line["price_assumed"] for line in said["lines"]))
        self.assertIn("price of us-east-1", self.plan("--class", "large", "--storage", "20", "--region", "sa-east-1").out)

    def test_prices_of_ones_own(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("prices:\n  - {name: db.influx.large, unit: hour, price: 0.5, region: sa-east-1, date: 2026-11-25, assumed: false, "
                    "source: our bill}\nassumptions:\n  - {name: endpoints, unit: endpoints, value: 0, source: a network of our own}\n")
            f.flush()
            args = ["--class", "db.influx.large", "--storage", "20", "--region", "sa-east-1", "--prices", f.name]
            lines = {line["what"]: line for line in self.plan(*args, "--json").json["lines"]}
            self.assertEqual((lines["the instance"]["amount"], lines["the instance"]["assumed"]), (365, False))
            self.assertEqual(lines["endpoints of the network"]["amount"], 0)
            self.assertRegex(self.plan(*args).out, r"(?m)^instance hours +the instance +730 +hour +x +0\.50 += +365\.00 *$")

    def test_wishes_that_cannot_be(self):
        for args, words in ((["--class", "db.influx.huge", "--storage", "20"], "there are db.influx.medium, db.influx.large"),
                            (["--class", "large", "--storage", "399", "--tier", "T2"], "T2 has 400 to 16384 GiB"),
                            (["--class", "large", "--storage", "20", "--tier", "T9"], "--tier is T1"),
                            (["--class", "large", "--storage", "20", "--prices", "/nonexistent"], "/nonexistent")):
            self.assertIn(words, self.plan(*args, status=lib.FAILED).err)

    def test_one_table(self):
        """tools/scale.py reads the same file; its own small reader sees what a real one sees; the classes are the scaler's."""
        read = scale.read_prices()
        self.assertEqual({name: p[0] for name, p in read.items()}, self.price)
        for p in self.table["prices"]:
            self.assertEqual(read[p["name"]][1:], ("assumed" if p["assumed"] else "", str(p["date"]), p["source"]))
            self.assertRegex(str(p["date"]), r"^20\d\d(-\d\d){0,2}$")
        self.assertEqual(set(scale.PRICES), set(scale.USED))
        with open(os.path.join(ROOT, "src", "lambda", "scaling.c"), encoding="utf-8") as f:
            scaler = re.findall(r'\{ "(db\.influx\.\w+)", (\d+), ', f.read())
        self.assertEqual([(name, int(units)) for name, units in scaler], list(self.units.items()))


if __name__ == "__main__":
    unittest.main()

"""Queries that want too much: each ends with words that name a limit (or simply with its answer), quickly, and the server goes on as before."""
import json
import threading
import time
import unittest
import urllib.parse

import lib

SERIES, POINTS = 200, 500
BEGIN = 1600000000


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = lib.Server(None, "--no-auth", "--query-memory", "64M", "--query-timeout", "30s")
        cls.server.request("POST", "/query", urllib.parse.urlencode({"q": "CREATE DATABASE db0"}), {"Content-Type": "application/x-www-form-urlencoded"})
        for series in range(0, SERIES, 20):
            lines = ["m,host=%s v=%d,s=\"%s\" %d" % ("a" * (1 + s % 40), s * i % 1000, "x" * 40, (BEGIN + i * 10 + s) * 10 ** 9)
                     for s in range(series, series + 20) for i in range(POINTS)]
            status, body, _ = cls.server.request("POST", "/write?db=db0", "\n".join(lines))
            assert status == 204, body
        # Hosts repeat, so series do: points with the same host and time are one.
        cls.points = len({("a" * (1 + s % 40), BEGIN + i * 10 + s) for s in range(SERIES) for i in range(POINTS)})

    @classmethod
    def tearDownClass(cls):
        assert cls.server.stop() == 0
        assert "AddressSanitizer" not in cls.server.log and "runtime error" not in cls.server.log, cls.server.log[-3000:]
        cls.server.close()

    def ask(self, text, seconds=60):
        begin = time.monotonic()
        status, body, _ = self.server.request("POST", "/query", urllib.parse.urlencode({"q": text, "db": "db0"}),
                                              {"Content-Type": "application/x-www-form-urlencoded"})
        self.assertLess(time.monotonic() - begin, seconds, text[:100])
        status_after, after, _ = self.server.request("GET", "/query?db=db0&q=SELECT+count(v)+FROM+m")
        self.assertEqual(status_after, 200)
        self.assertEqual(json.loads(after)["results"][0]["series"][0]["values"][0][1], self.points, after)
        return status, json.loads(body)

    def words(self, text):
        status, answer = self.ask(text)
        error = answer.get("error") or answer["results"][0].get("error")
        self.assertIsNotNone(error, json.dumps(answer)[:300])
        self.assertIn(status, (200, 400, 413, 503))
        return error

    def test_nesting(self):
        self.assertIn("500", self.words("SELECT " + "(" * 10000 + "v" + ")" * 10000 + " FROM m"))
        self.assertIn("500", self.words("SELECT v FROM m WHERE " + "(" * 10000 + "v > 1" + ")" * 10000))
        self.assertIn("500", self.words("SELECT v FROM " + "(SELECT v FROM " * 2000 + "m" + ")" * 2000))
        self.words("SELECT " + "-" * 100000 + "v FROM m")

    def test_regular_expressions(self):
        # Go's engine takes them in linear time; ours has a limit of steps. What matters: quick, and no harm.
        for pattern in ("(a+)+$", "(a|a)*b", "(a?){25}a{25}b", "(.*)(.*)(.*)(.*)(.*)x", "((a*)*)*b"):
            self.ask("SELECT count(v) FROM m WHERE host =~ /%s/" % pattern)
            self.ask("SELECT count(v) FROM m WHERE s =~ /%s/" % pattern.replace("a", "x"))
        self.words("SELECT v FROM m WHERE host =~ /(a/")
        self.words("SELECT v FROM m WHERE host =~ /(?=a)/")
        self.words("SELECT v FROM m WHERE host =~ /%s/" % ("(a{1000}){1000}"))

    def test_windows(self):
        year = "time >= '2020-01-01T00:00:00Z' AND time < '2021-01-01T00:00:00Z'"
        for fill in ("", " fill(0)", " fill(none)"):
            status, answer = self.ask("SELECT mean(v) FROM m WHERE %s GROUP BY time(1ns)%s" % (year, fill))
            if fill != " fill(none)":
                self.assertIn("bucket", json.dumps(answer)[:2000])

    def test_memory(self):
        # Everything is kept until its end: more than the budget allows, or few enough to be answered.
        self.ask("SELECT v, s FROM m ORDER BY time DESC")
        self.ask("SELECT * FROM (SELECT v, s FROM m) GROUP BY host")
        status, answer = self.ask("SELECT median(x) FROM (SELECT v + 1 AS x, s FROM m, m, m, m, m, m, m, m, m, m, m, m, m, m, m, m) GROUP BY s")
        self.assertEqual(status, 200, json.dumps(answer)[:300])

    def test_much_text(self):
        self.ask("SELECT " + ", ".join("v AS c%d" % i for i in range(3000)) + " FROM m LIMIT 1")
        self.ask("SELECT v FROM m WHERE " + " OR ".join("v = %d" % i for i in range(5000)) + " LIMIT 1")
        self.ask("SELECT v FROM " + ", ".join(["m"] * 300) + " LIMIT 1")
        self.ask(";" * 100000)
        self.ask("SELECT v FROM m LIMIT 1;" * 500)
        self.words("SELECT v FROM m WHERE host = '" + "a" * (2 << 20) + "'")
        self.words("SELECT \x00 FROM m")
        self.ask("SELECT v FROM m LIMIT 99999999999999999999") # as InfluxDB reads it: the largest number
        self.ask("SELECT top(v, 9223372036854775807) FROM m LIMIT 1")
        self.ask("SELECT moving_average(v, 9223372036854775807) FROM m LIMIT 1")
        self.ask("SELECT holt_winters(mean(v), 1000000000, 4) FROM m WHERE time > 0 AND time < 2000s GROUP BY time(10s)")

    def test_many_at_once(self):
        failures = []

        def run():
            try:
                self.ask("SELECT median(v), stddev(v) FROM m GROUP BY host")
            except Exception as e: # noqa: any of them fails the test
                failures.append(repr(e))
        threads = [threading.Thread(target=run) for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])


if __name__ == "__main__":
    unittest.main()

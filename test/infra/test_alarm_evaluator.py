"""The evaluator of alarms against the user guide's own tables and examples, and against what it must refuse."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alarm_evaluator as ev  # noqa: E402
import emitted  # noqa: E402
from alarm_evaluator import ALARM, NO_DATA, OK  # noqa: E402

KEY = ev.key_of("N", "M", {"D": "d"})
KEEPS = "keeps"  # the state it had
# "Configuring how CloudWatch alarms treat missing data": points oldest first (0 good, X bad, - missing), what each treatment makes of them.
THREE_OF_THREE = [
    ("0-X-X", OK, OK, OK, OK),
    ("0----", OK, OK, OK, OK),
    ("-----", NO_DATA, KEEPS, ALARM, OK),
    ("0XX-X", ALARM, ALARM, ALARM, ALARM),
    ("--X--", ALARM, KEEPS, ALARM, OK),
    ("----X", NO_DATA, KEEPS, ALARM, OK),  # "does not go immediately into ALARM state"
    ("---X-", NO_DATA, KEEPS, ALARM, OK),
    ("---XO".replace("O", "0"), OK, OK, OK, OK),
]
TWO_OF_THREE = [
    ("0-X-X", ALARM, ALARM, ALARM, ALARM),
    ("00X0X", ALARM, ALARM, ALARM, ALARM),
    ("0-X--", OK, OK, ALARM, OK),
    ("----0", OK, OK, ALARM, OK),
    ("---X-", ALARM, KEEPS, ALARM, OK),
]


def alarm(**given):
    return ev.Alarm({"alarm_name": "a", "namespace": "N", "metric_name": "M", "dimensions": {"D": "d"}, "statistic": "Average",
                     "comparison_operator": "GreaterThanThreshold", "threshold": 10, "period": 60, "evaluation_periods": 3, **given})


def metrics(*values, key=KEY, start=0):
    out = ev.Metrics()
    for minute, value in enumerate(values, start):
        if value is not None:
            out.put(key, minute, *(value if isinstance(value, tuple) else (value,)))
    return out


class Missing(unittest.TestCase):
    def test_the_guides_tables(self):
        points = {"0": False, "X": True, "-": None}
        for over, table in ((3, THREE_OF_THREE), (2, TWO_OF_THREE)):
            for text, *wanted in table:
                for treatment, state in zip(("missing", "ignore", "breaching", "notBreaching"), wanted):
                    for had in (OK, ALARM):
                        got = ev.judge([points[c] for c in reversed(text)], over, 3, treatment, had)
                        self.assertEqual(got, had if state == KEEPS else state, f"{over} of 3, {text}, {treatment}, was {had}")

    def test_data_that_end_are_looked_at_again_and_then_missing(self):
        """Row 2 of the guide: the last good point holds the state until it leaves the range of five."""
        series, breaching = metrics(*[1] * 10), alarm(treat_missing_data="breaching")
        states = [breaching.look(series, minute) for minute in range(10, 18)]
        self.assertEqual(states, [OK] * 5 + [ALARM] * 3)
        rare = alarm(treat_missing_data="missing")
        self.assertEqual([rare.look(series, minute) for minute in range(10, 18)], [OK] * 5 + [NO_DATA] * 3)


class Points(unittest.TestCase):
    def test_m_of_n(self):
        three = alarm(datapoints_to_alarm=3, evaluation_periods=5)
        self.assertEqual(three.look(metrics(99, 1, 99, 1, 1), 5), OK)
        self.assertEqual(three.look(metrics(99, 1, 99, 1, 99), 5), ALARM)

    def test_periods_slide_by_the_minute(self):
        """The guide: at the end of minute 5 the points are those of minutes 1 to 5, a minute later those of minutes 2 to 6."""
        five, series = alarm(period=300, evaluation_periods=1, statistic="Maximum"), metrics(0, 0, 0, 0, 0, 50, 0, 0, 0, 0, 0)
        self.assertEqual([five.look(series, minute) for minute in range(5, 12)], [OK] + [ALARM] * 5 + [OK])

    def test_statistics(self):
        for name, value in (("Average", 2.5), ("Sum", 10), ("Minimum", 1), ("Maximum", 4), ("SampleCount", 4), ("p50", 2.5), ("p90", 3.7),
                            ("p100", 4)):
            self.assertAlmostEqual(metrics((1, 2), (3, 4)).value(KEY, 0, 2, name), value, msg=name)
        self.assertIsNone(metrics((1,)).value(KEY, 5, 2, "Sum"))

    def test_operators_stand_at_the_limit(self):
        for operator, at in (("GreaterThanThreshold", OK), ("GreaterThanOrEqualToThreshold", ALARM), ("LessThanThreshold", OK),
                             ("LessThanOrEqualToThreshold", ALARM)):
            self.assertEqual(alarm(comparison_operator=operator).look(metrics(10, 10, 10), 3), at, operator)
            beyond = 11 if operator.startswith("Greater") else 9
            self.assertEqual(alarm(comparison_operator=operator).look(metrics(*[beyond] * 3), 3), ALARM, operator)

    def test_another_dimension_is_another_metric(self):
        self.assertEqual(alarm(dimensions={"D": "e"}).look(metrics(99, 99, 99), 3), NO_DATA)

    def test_what_is_refused(self):
        for given, error in (({"threshold_metric_id": "band"}, ev.Unsupported), ({"period": 10}, ev.Unsupported),
                             ({"period": 90}, ev.Unsupported), ({"comparison_operator": "GreaterThanUpperThreshold"}, ev.Unsupported),
                             ({"datapoints_to_alarm": 4}, ev.Invalid),
                             ({"period": 3000, "evaluation_periods": 30}, ev.Invalid), ({"treat_missing_data": "good"}, ev.Invalid)):
            with self.assertRaises(error, msg=given):
                alarm(**given)
        alarm(period=3600, evaluation_periods=168)  # seven days, where a period is an hour
        with self.assertRaises(ev.Unsupported):
            alarm(statistic=None, extended_statistic="tm90").look(metrics(1, 2, 3), 3)


class Math(unittest.TestCase):
    def series(self, text, **given):
        ids = {name: ev.Series({age: v for age, v in enumerate(reversed(points)) if v is not None}, 60, True)
               for name, points in given.items()}
        length = max(len(points) for points in given.values())
        points = ev.Expression(text, ids, length).value.points
        return [points.get(age) for age in reversed(range(length))]

    def test_arithmetic(self):
        for text, wanted in (("a + b", [11, 22, 33]), ("a - b * 2", [-19, -38, -57]), ("(a - b) * 2", [-18, -36, -54]),
                             ("b / a", [10, 10, 10]), ("-a", [-1, -2, -3]), ("100 * a / (a + b)", [100 / 11] * 3),
                             ("10 - 2 - a", [7, 6, 5]), ("2e1 * a", [20, 40, 60])):
            for got, want in zip(self.series(text, a=[1, 2, 3], b=[10, 20, 30]), wanted):
                self.assertAlmostEqual(got, want, msg=text)

    def test_a_point_needs_both_sides(self):
        self.assertEqual(self.series("a + b", a=[1, None, 3], b=[1, 1, None]), [2, None, None])
        self.assertEqual(self.series("a / b", a=[1, 2], b=[0, 1]), [None, 2])

    def test_functions(self):
        self.assertEqual(self.series("RATE(a)", a=[0, 60, 180]), [None, 1, 2])
        self.assertEqual(self.series("RATE(a)", a=[0, None, 120]), [None, None, 1])  # over the two minutes that lie between
        self.assertEqual(self.series("DIFF(a)", a=[5, 7, 4]), [None, 2, -3])
        self.assertEqual(self.series("a / PERIOD(a)", a=[60, 120]), [1, 2])
        self.assertEqual(self.series("FILL(a, 0) + 1", a=[1, None, 3]), [2, 1, 4])
        self.assertEqual(self.series("ABS(a - b)", a=[1, 5], b=[3, 3]), [2, 2])

    def test_what_is_refused(self):
        for error, texts in ((ev.Unsupported, ("SUM(METRICS())", "IF(a > 1, a)", "a > 1", "ANOMALY_DETECTION_BAND(a)")),
                             (ev.Invalid, ("a +", "a b", "(a", "c", "1 + 2", "PERIOD(a + a)"))):
            for text in texts:
                with self.assertRaises(error, msg=text):
                    self.series(text, a=[1, 2])

    def test_an_alarm_on_an_expression(self):
        metric = {"namespace": "N", "metric_name": "M", "dimensions": {"D": "d"}, "period": 60, "stat": "Average"}
        given = {"alarm_name": "a", "comparison_operator": "GreaterThanThreshold", "threshold": 95, "evaluation_periods": 2}
        given["metric_query"] = [
            {"id": "then", "expression": "m + RATE(m) * 600", "return_data": True}, {"id": "m", "metric": [metric]}]
        self.assertEqual(ev.Alarm(given).look(metrics(50, 50, 50, 50), 4), OK)
        self.assertEqual(ev.Alarm(given).look(metrics(50, 55, 60, 65), 4), ALARM)  # 65 + 5 a minute * 10
        with self.assertRaises(ev.Invalid):
            ev.Alarm({**given, "metric_query": given["metric_query"] + [{"id": "n", "metric": [{**metric, "period": 300}]}]})


class Composites(unittest.TestCase):
    def test_rules(self):
        states = {"a": ALARM, "b": OK, "c d": NO_DATA}
        for rule, holds in (('ALARM("a")', True), ("ALARM(a) AND OK(b)", True), ('ALARM("b") OR INSUFFICIENT_DATA("c d")', True),
                            ("NOT ALARM(a)", False), ("NOT (ALARM(b) OR ALARM(a)) OR TRUE", True), ("ALARM(b) AND ALARM(a) OR ALARM(a)", True),
                            ("ALARM(b) AND (ALARM(a) OR ALARM(a))", False), ("FALSE", False)):
            self.assertEqual(ev.Rule(rule).holds(states), holds, rule)
        for rule in ("ALARM(a) ALARM(b)", "(ALARM(a)", "", "a", "ALARM(a) OR", "AND"):
            with self.assertRaises(ev.Invalid, msg=rule):
                ev.Rule(rule)

    def board(self, a, b, wait=2, extension=3, minutes=30):
        """Composite main follows metric a and is suppressed by metric b's alarm; 1 is bad."""
        kinds = {name: ev.key_of("N", name, {}) for name in "ab"}
        alarms = [{"alarm_name": name, "namespace": "N", "metric_name": name, "dimensions": {}, "statistic": "Maximum", "threshold": 0,
                   "comparison_operator": "GreaterThanThreshold", "period": 60, "evaluation_periods": 1} for name in "ab"]
        main = {"alarm_name": "main", "alarm_rule": "ALARM(a)", "actions_suppressor": [
            {"alarm": "b", "wait_period": wait * 60, "extension_period": extension * 60}]}
        series = ev.Metrics()
        for minute in range(minutes):
            series.put(kinds["a"], minute, int(minute in a))
            series.put(kinds["b"], minute, int(minute in b))
        # A sample of minute n is seen at n + 1.
        return [(minute - 1, state) for minute, _, state in ev.Board(alarms, [main]).run(series, 1, minutes).messages if minute > 5]

    def test_actions_wait_for_the_suppressor(self):
        self.assertEqual(self.board(a=range(10, 20), b=[]), [(12, ALARM), (22, OK)])

    def test_suppressed_when_the_suppressor_follows_in_time(self):
        self.assertEqual(self.board(a=range(10, 20), b=range(11, 20)), [])
        self.assertEqual(self.board(a=range(10, 20), b=range(13, 20)), [(12, ALARM), (23, OK)])  # too late

    def test_back_within_the_wait_is_nothing(self):
        self.assertEqual(self.board(a=[10], b=[]), [])

    def test_the_extension_gives_time_to_recover(self):
        self.assertEqual(self.board(a=range(10, 22), b=range(9, 20)), [])
        self.assertEqual(self.board(a=range(10, 25), b=range(9, 20)), [(23, ALARM), (27, OK)])

    def test_an_unknown_name_is_refused(self):
        with self.assertRaises(ev.Invalid):
            ev.Board([], [{"alarm_name": "main", "alarm_rule": "ALARM(a)"}])


class Emitted(unittest.TestCase):
    """The join of what is watched with what somebody emits finds what it is for."""

    def test_what_somebody_emits(self):
        known = emitted.Emitted(filters=["LogErrors-loader"])
        for namespace, metric, dimensions in (
                ("Afluxo", "ConnectSuccess", {"Function": "grid-monitor"}), ("Afluxo", "QueryMs", {"Function": "grid-query"}),
                ("AWS/Timestream/InfluxDB", "SeriesCardinality", {"DbInstanceName": "grid", "Bucket": "b"}),
                ("AWS/Lambda", "Errors", {"FunctionName": "f"}), ("Afluxo", "LogErrors-loader", {})):
            self.assertIsNone(known.complaint(namespace, metric, dimensions), metric)

    def test_what_nobody_emits(self):
        known = emitted.Emitted()
        for namespace, metric, dimensions, why in (
                ("AWS/TimestreamInfluxDB", "CPUUtilization", {"DbInstanceName": "grid"}, "nobody emits"),
                ("AWS/Timestream/InfluxDB", "CPUUtilization", {"DBInstanceIdentifier": "grid"}, "has the dimensions"),
                ("AWS/Timestream/InfluxDB", "SeriesCardinality", {"DbInstanceName": "grid"}, "has the dimensions"),
                ("AWS/Timestream/InfluxDB", "DatabaseConnections", {"DbInstanceName": "grid"}, "nobody emits"),
                ("Afluxo", "ConnectSuccess", {"Function": "grid-loader"}, "not by loader"),
                ("Afluxo", "Connects", {"Function": "grid-monitor"}, "no function"),
                ("Afluxo", "ConnectSuccess", {"FunctionName": "grid-monitor"}, "has the dimension Function"),
                ("AWS/SQS", "Age", {"QueueName": "q"}, "nobody emits"),
                ("Afluxo", "LogErrors-loader", {}, "no function")):
            self.assertIn(why, known.complaint(namespace, metric, dimensions) or "", (namespace, metric))


if __name__ == "__main__":
    unittest.main()

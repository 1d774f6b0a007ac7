"""Every alarm of the examples minimal and production, as a plan has it, fed with series: quiet on a normal day, ringing at its own fault,
one page for one fault, and what it does when no data come at all. The days and faults are tables (alarm_days.py); the evaluator is
alarm_evaluator.py. docs/infra/alarms.md is printed from the same tables: `python3 test/infra/test_alarms.py --write` (with moto installed).
"""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import alarm_days as days  # noqa: E402
import alarm_evaluator as ev  # noqa: E402
import applied  # noqa: E402
import emitted  # noqa: E402
import terraform  # noqa: E402

EXAMPLES = {"minimal": {"emails": ["a@b.co"]},
            "production": {"emails": ["a@b.co"], "callers": ["arn:aws:iam::123456789012:role/a"], "monthly_budget": 500}}
PAGE = os.path.join(terraform.ROOT, "docs/infra/alarms.md")
WARM = 6 * 60  # minutes that alarms see before what they do counts
HEARTBEATS = {"connection-lost", "backup-old"}  # the alarms that ring when nothing is heard


def setUpModule():
    global examples
    moto = applied.Moto()
    unittest.addModuleCleanup(moto.close)
    front = applied.Front(moto.url)
    unittest.addModuleCleanup(front.close)
    examples = {name: Example(front.url, name, given) for name, given in EXAMPLES.items()}


class Example:
    """The alarms of an example's plan, by their names without the installation's."""

    def __init__(self, url, name, given):
        infra = terraform.Infra(url, example=name)
        try:
            with open(os.path.join(infra.where(), "function.zip"), "wb") as f:
                f.write(b"PK\x05\x06" + bytes(18))
            infra.variables(zip=f.name, **given)
            plan = applied.planned(infra)
        finally:
            infra.close()
        self.prefix = plan["variables"]["name"]["value"]
        self.alarms = [r["values"] for r in applied.resources_of(plan, "aws_cloudwatch_metric_alarm", "planned_values")]
        self.composites = [r["values"] for r in applied.resources_of(plan, "aws_cloudwatch_composite_alarm", "planned_values")]
        self.keys = {}
        for alarm in self.alarms:
            for namespace, metric, dimensions in emitted.watched(alarm):
                self.keys[days.whose(namespace, dimensions, self.prefix), metric] = ev.key_of(namespace, metric, dimensions)
        self.group = {self.short(member): self.short(composite["alarm_name"]) for composite in self.composites
                      for member in re.findall(r'ALARM\("([^"]+)"\)', composite["alarm_rule"])}
        self.day = days.normal({row: key for row, key in self.keys.items() if row in days.NORMAL})

    def short(self, name):
        return name.removeprefix(self.prefix + "-")

    def run(self, metrics, first, last, extra=ev.EXTRA):
        board = ev.Board(self.alarms, self.composites, extra)
        return board.run(metrics, first, last)

    def disturb(self, series, length, after, extra=ev.EXTRA):
        """A fault of `length` minutes in a day, looked at until so many minutes after it."""
        metrics = days.disturbed(self.day, self.keys, series, length)
        return self.run(metrics, days.FAULT - WARM, days.FAULT + length + after, extra)

    def rang(self, board, since):
        """alarm -> the minute in which it first rang."""
        out = {}
        for minute, name, state in board.changes:
            if state == ev.ALARM and minute >= since and name in board.alarms:
                out.setdefault(self.short(name), minute)
        return out

    def said(self, board, since, state=ev.ALARM):
        """[(group, minute)] of messages for a state."""
        return [(self.short(name), minute) for minute, name, what in board.messages if what == state and minute >= since]


def groups(names, kind):
    return sorted(name for name in names if applied.TOPICS[name] == kind)


class Alarms(unittest.TestCase):
    maxDiff = None

    def each(self):
        for name, example in examples.items():
            with self.subTest(example=name):
                yield example

    def test_tables_have_each_alarm_and_each_metric(self):
        for example in self.each():
            self.assertEqual(sorted(set(example.keys) - set(days.NORMAL)), [])
            self.assertEqual(sorted({example.short(a["alarm_name"]) for a in example.alarms} - set(days.FAULTS)), [])
        every = {example.short(a["alarm_name"]) for example in examples.values() for a in example.alarms}
        self.assertEqual(sorted(set(days.FAULTS) - every), [])

    def test_each_listens_to_a_metric_that_somebody_emits(self):
        for example in self.each():
            for alarm in example.alarms:
                self.assertEqual([c for w in emitted.watched(alarm) if (c := emitted.Emitted().complaint(*w))], [], alarm["alarm_name"])

    def test_a_normal_day_wakes_nobody(self):
        for example in self.each():
            for extra in (0, 2, 7):  # how long the evaluation range is, is not published
                board = example.run(example.day, days.HISTORY - WARM, days.HISTORY + 1440, extra)
                self.assertEqual(example.rang(board, days.HISTORY), {})
                self.assertEqual([m for m in board.messages if m[0] >= days.HISTORY], [])
                self.assertEqual({state for name, state in board.states.items()}, {ev.OK})

    def test_each_alarm_rings_at_its_fault_and_pages_once(self):
        for example in self.each():
            for alarm in sorted(example.group):
                what, series, after, also = days.FAULTS[alarm]
                with self.subTest(alarm=alarm, fault=what):
                    length = max(180, after + 60)
                    board = example.disturb(series, length, 24 * 60)
                    rang = example.rang(board, days.FAULT)
                    self.assertEqual(set(rang), {alarm, *also})
                    self.assertEqual(rang[alarm] - days.FAULT, after)
                    wanted = [example.group[alarm]]
                    self.assertEqual([name for name, _ in example.said(board, days.FAULT)], wanted)
                    self.assertEqual([name for name, _ in example.said(board, days.FAULT, ev.OK)], wanted)  # and once that it is over

    def test_one_disaster_pages_once(self):
        for example in self.each():
            for what, (series, length, pages, tickets, members) in days.DISASTERS.items():
                with self.subTest(disaster=what):
                    board = example.disturb(series, length, 8 * 60)
                    said = [name for name, _ in example.said(board, days.FAULT)]
                    self.assertEqual((groups(said, "page"), groups(said, "ticket")), (pages, tickets), example.said(board, days.FAULT))
                    self.assertLessEqual(members & set(example.group), set(example.rang(board, days.FAULT)))
                    self.assertEqual({state for state in board.states.values()}, {ev.OK})

    def test_no_data_at_all(self):
        wanted = {"missing": ev.NO_DATA, "notBreaching": ev.OK, "breaching": ev.ALARM}
        for example in self.each():
            board = example.run(ev.Metrics(), 0, 120)
            for alarm in example.alarms:
                self.assertEqual(board.states[alarm["alarm_name"]], wanted[alarm["treat_missing_data"]], alarm["alarm_name"])
            beats = HEARTBEATS & set(example.group)
            self.assertEqual({example.short(a["alarm_name"]) for a in example.alarms if a["treat_missing_data"] == "breaching"}, beats)
            self.assertEqual(sorted(name for name, _ in example.said(board, 0)), sorted({example.group[beat] for beat in beats}))

    def test_data_that_end_make_heartbeats_ring_alone(self):
        for example in self.each():
            nothing = {row: days.never for row in example.keys}
            for extra in (0, 2, 7):
                board = example.disturb(nothing, 36 * 60, 0, extra)
                rang = example.rang(board, days.FAULT)
                beats = HEARTBEATS & set(example.group)
                self.assertEqual(set(rang), beats)
                self.assertEqual(rang["connection-lost"] - days.FAULT, 3 + extra)
                self.assertEqual(sorted(name for name, _ in example.said(board, days.FAULT)), sorted({example.group[beat] for beat in beats}))

    def test_the_page_is_as_the_tables_are(self):
        with open(PAGE) as f:
            self.assertEqual(f.read(), page(), "docs/infra/alarms.md: write it anew (see this file's first lines)")


# --- docs/infra/alarms.md --------------------------------------------------------------------------------------------------------------

WORDS = {"GreaterThanThreshold": "above", "LessThanThreshold": "below"}
MISSING = {"missing": "no data", "notBreaching": "well", "breaching": "it rings"}
HEAD = """# Alarms

Printed from the tables that the tests run (`test/infra/alarm_days.py`, `test/infra/test_alarms.py`), with the limits that are defaults.
Each alarm has a page in [../runbooks](../runbooks/README.md) and belongs to one group; groups send the messages, alarms themselves none.
Groups `{pages}` go to the topic page, the others to the topic ticket. `{behind}` are silent while `database` rings, and
{extension} minutes longer.

`rings when`: the measure of so many minutes, in so many of the last so many periods. `without data`: what missing points count as.
`after`: minutes from the beginning of the fault in the test to the alarm, by CloudWatch's rules as documented (an evaluator of our own: the
service itself was not asked, and its metrics arrive a minute or two later).

| alarm | group | rings when | without data | the fault of the test | after |
|---|---|---|---|---|---|
"""
DISASTERS = """
## One fault, one message

The same series fed to all alarms at once; a fault that many alarms see is one message, and one more when it is over.

| what happens | minutes | pages | tickets |
|---|---|---|---|
"""
TAIL = """
## What is normal

On a normal day nothing rings, and the day of the test has these: a failed check of the monitor now and then, one failed invocation, one
throttled one, one batch that is refused, one error of the API in 200 minutes, a nightly query that takes the processor to 99 % for twelve
minutes, compactions that move the disk by a percent, no files at night.

## When nothing is heard

Without data only `connection-lost` rings (the monitor is the heartbeat of all: three minutes after its last check, and as long as
CloudWatch looks back) and `backup-old` (of the backups). Measures that come and go keep quiet, and show no data.

## After a long outage

Groups that were silent speak up when what they watch is still bad that much later: after more than an hour without the database the queue
takes its time, and `ingestion` says so, once.
"""


def rule(alarm):
    queries = {q["id"]: q for q in alarm.get("metric_query") or []}
    if queries:
        metric = next(q["metric"][0] for q in queries.values() if q.get("metric"))
        what = next(q["expression"] for q in queries.values() if q.get("return_data"))
        what, period = f"`{what}` of {metric['metric_name'] if len(queries) == 2 else 'messages'}", metric["period"]
    else:
        what, period = f"{alarm['metric_name']} ({alarm.get('statistic') or alarm['extended_statistic']})", alarm["period"]
    limit = f"{alarm['threshold']:g}" if abs(alarm["threshold"]) < 1e5 else f"{alarm['threshold']:,.0f}"
    often = f"{alarm['datapoints_to_alarm']} of {alarm['evaluation_periods']}"
    return f"{what} {WORDS[alarm['comparison_operator']]} {limit}, {period // 60} min, {often}"


def page():
    example = examples["production"]  # it has all of them
    rows = []
    for alarm in sorted(example.alarms, key=lambda a: a["alarm_name"]):
        name = example.short(alarm["alarm_name"])
        what, _, after, _ = days.FAULTS[name]
        missing = MISSING[alarm["treat_missing_data"]]
        rows.append(f"| [{name}](../runbooks/{name}.md) | {example.group[name]} | {rule(alarm)} | {missing} | {what} | {after} |\n")
    disasters = [f"| {what} | {length} | {', '.join(pages) or '-'} | {', '.join(tickets) or '-'} |\n"
                 for what, (_, length, pages, tickets, _) in days.DISASTERS.items()]
    pages = "`, `".join(name for name, topic in applied.TOPICS.items() if topic == "page")
    behind = [c for c in example.composites if c["actions_suppressor"]]
    head = HEAD.format(pages=pages, behind="`, `".join(sorted(example.short(c["alarm_name"]) for c in behind)),
                       extension=behind[0]["actions_suppressor"][0]["extension_period"] // 60)
    return head + "".join(rows) + DISASTERS + "".join(disasters) + TAIL


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        setUpModule()
        with open(PAGE, "w") as out:
            out.write(page())
        unittest.doModuleCleanups()
    else:
        unittest.main()

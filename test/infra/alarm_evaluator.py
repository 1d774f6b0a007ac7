"""CloudWatch's alarms as a program: fed with series, it says when each alarm changes its state and what its actions are.

    samples -> Metrics --statistic of a period--> Alarm (M of the last N periods, missing data) -> OK, ALARM, INSUFFICIENT_DATA
                                                    `-> Composite (a rule over states; actions, unless suppressed) -> messages to topics

What follows the user guide: sliding periods looked at every minute; an evaluation range that is longer than N periods, so that real points
go before filled ones; the four treatments of missing data; an alarm that goes off early when all it has is bad and old enough; arithmetic
of metric math on points that both sides have; suppression of actions with its two periods. What the guide does not say is chosen here:
the range is N + EXTRA periods (its examples have 3 + 2; callers vary it), percentiles are interpolated linearly, a composite's action is
taken when nothing suppresses it any more and the state is another one than that of its last action.

What is not built is refused by name: anomaly bands, functions of metric math other than FUNCTIONS, statistics other than STATISTICS and
pNN, periods below a minute. Limits that PutMetricAlarm and PutCompositeAlarm have are checked when an alarm is read.
"""
import collections
import re

MINUTE, DAY = 60, 86400
EXTRA = 2
STATISTICS = {"Average": lambda v: sum(v) / len(v), "Sum": sum, "Minimum": min, "Maximum": max, "SampleCount": len}
OPERATORS = {"GreaterThanThreshold": lambda a, b: a > b, "GreaterThanOrEqualToThreshold": lambda a, b: a >= b,
             "LessThanThreshold": lambda a, b: a < b, "LessThanOrEqualToThreshold": lambda a, b: a <= b}
TREATMENTS = ("missing", "ignore", "breaching", "notBreaching")
OK, ALARM, NO_DATA = "OK", "ALARM", "INSUFFICIENT_DATA"


class Unsupported(Exception):
    """Of CloudWatch, but not built here."""


class Invalid(Exception):
    """CloudWatch would refuse it."""


# --- metrics ------------------------------------------------------------------------------------------------------------------------

def percentile(values, share):
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def statistic(name, values):
    if name in STATISTICS:
        return STATISTICS[name](values)
    if re.fullmatch(r"p\d{1,2}(\.\d+)?|p100", name):
        return percentile(values, float(name[1:]) / 100)
    raise Unsupported(f"statistic {name}")


def key_of(namespace, name, dimensions):
    return namespace, name, tuple(sorted((dimensions or {}).items()))


class Metrics:
    """Samples by metric and minute: {key: {minute: [values]}}, minutes counted from the start."""

    def __init__(self):
        self.kept = collections.defaultdict(dict)
        self.seen = {}

    def put(self, key, minute, *values):
        if values:
            self.kept[key].setdefault(minute, []).extend(values)

    def value(self, key, start, minutes, name):
        """The statistic of [start, start + minutes), or None: there is no sample. Asked again it is remembered: put before you ask."""
        asked = key, start, minutes, name
        if asked not in self.seen:
            samples = self.kept.get(key, {})
            values = [v for minute in range(start, start + minutes) for v in samples.get(minute, ())]
            self.seen[asked] = statistic(name, values) if values else None
        return self.seen[asked]


# --- metric math ----------------------------------------------------------------------------------------------------------------------

class Series:
    """Points by age in periods, 0 being the newest; what is missing is not in it."""

    def __init__(self, points, period, metric=False):
        self.points, self.period, self.metric = points, period, metric

    def each(self, what):
        return Series({age: what(v) for age, v in self.points.items()}, self.period)


def rate(series, per=None):
    """Against the point before it that is there, however old."""
    ages = sorted(series.points)
    return Series({age: (series.points[age] - series.points[before]) / (per or (before - age) * series.period)
                   for age, before in zip(ages, ages[1:])}, series.period)


def fill(series, value, length):
    if not isinstance(value, float):
        raise Unsupported("FILL with a series or a word")
    return Series({age: series.points.get(age, value) for age in range(length)}, series.period)


def period_of(series):
    if not series.metric:
        raise Invalid("PERIOD is of a metric, not of an expression")
    return float(series.period)


FUNCTIONS = {"RATE": lambda s, length: rate(s), "DIFF": lambda s, length: rate(s, 1), "ABS": lambda s, length: s.each(abs),
             "PERIOD": lambda s, length: period_of(s), "FILL": lambda s, v, length: fill(s, v, length)}
ARITHMETIC = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b if b else None}


class Expression:
    """sum = product {+|- product}; product = factor {*|/ factor}; factor = number, id, FUNCTION(...), -factor, (sum)"""
    TOKEN = re.compile(r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?)|([a-z][A-Za-z0-9_]*)|([A-Z][A-Z0-9_]*)|([-+*/(),])|(\S))")

    def __init__(self, text, ids, length):
        self.ids, self.length, self.at = ids, length, 0
        self.tokens = [m.groups() for m in self.TOKEN.finditer(text)]
        if wrong := [t[4] for t in self.tokens if t[4]]:
            raise Unsupported(f"{wrong[0]} in the expression {text}")
        self.value = self.sum()
        if self.at < len(self.tokens):
            raise Invalid(f"the expression {text} goes on after its end")
        if not isinstance(self.value, Series):
            raise Invalid(f"the expression {text} is no series")

    def sign(self):
        return self.tokens[self.at][3] if self.at < len(self.tokens) else None

    def take(self, sign=None):
        if self.at >= len(self.tokens) or (sign and self.sign() != sign):
            raise Invalid(f"the expression needs {sign or 'a value'} at token {self.at + 1}")
        self.at += 1
        return self.tokens[self.at - 1]

    def chain(self, part, signs):
        value = part()
        while self.sign() in signs:
            value = self.join(self.take()[3], value, part())
        return value

    def sum(self):
        return self.chain(self.product, ("+", "-"))

    def product(self):
        return self.chain(self.factor, ("*", "/"))

    def factor(self):
        number, name, function, sign, _ = self.take()
        if number:
            return float(number)
        if name:
            if name not in self.ids:
                raise Invalid(f"the expression names {name}, which is no id")
            return self.ids[name]
        if function:
            return self.call(function)
        if sign == "-":
            return self.join("-", 0.0, self.factor())
        if sign != "(":
            raise Invalid(f"{sign} where a value should be")
        value = self.sum()
        self.take(")")
        return value

    def call(self, name):
        if name not in FUNCTIONS:
            raise Unsupported(f"function {name} of metric math")
        self.take("(")
        given = [self.sum()]
        while self.sign() == ",":
            self.take()
            given.append(self.sum())
        self.take(")")
        return FUNCTIONS[name](*given, length=self.length)

    @staticmethod
    def join(sign, a, b):
        what = ARITHMETIC[sign]
        if isinstance(a, Series) and isinstance(b, Series):
            points = {age: what(v, b.points[age]) for age, v in a.points.items() if age in b.points}
        elif isinstance(a, Series):
            points = {age: what(v, b) for age, v in a.points.items()}
        elif isinstance(b, Series):
            points = {age: what(a, v) for age, v in b.points.items()}
        else:
            return what(a, b)
        return Series({age: v for age, v in points.items() if v is not None}, (a if isinstance(a, Series) else b).period)


# --- alarms of metrics ------------------------------------------------------------------------------------------------------------------

def judge(points, over, of, missing, state):
    """The new state. `points`: True (breaching), False or None (missing), newest first, as many as the evaluation range has."""
    there = [(age, bad) for age, bad in enumerate(points) if bad is not None]
    if not there and missing in ("missing", "ignore"):
        return state if missing == "ignore" else NO_DATA
    used = [bad for _, bad in there][:of]
    lacking = of - len(used)
    bad = sum(used)
    if lacking and missing == "breaching":
        bad += lacking
    if bad >= over:
        return ALARM
    if lacking and missing in ("missing", "ignore") and there and all(b for _, b in there):
        # All that is there is bad. Old enough, and it is an alarm although the points are fewer than `over` (the guide's "premature" rule).
        if there[-1][0] + 1 >= over:
            return state if missing == "ignore" else ALARM
        return state if missing == "ignore" else NO_DATA
    return OK


def check_alarm(name, period, over, of, missing):
    if period < MINUTE or period % MINUTE:
        raise Unsupported(f"{name}: a period of {period} s")
    if not 1 <= over <= of:
        raise Invalid(f"{name}: {over} of {of} points")
    if of * period > (7 * DAY if period >= 3600 else DAY):
        raise Invalid(f"{name}: {of} periods of {period} s are too long")
    if missing not in TREATMENTS:
        raise Invalid(f"{name}: missing data as {missing}")


class Alarm:
    """aws_cloudwatch_metric_alarm as a plan or state shows it."""

    def __init__(self, values):
        self.name = values["alarm_name"]
        if values.get("threshold_metric_id"):
            raise Unsupported(f"{self.name}: anomaly bands")
        if values["comparison_operator"] not in OPERATORS:
            raise Unsupported(f"{self.name}: {values['comparison_operator']}")
        self.operator, self.limit = values["comparison_operator"], float(values["threshold"])
        self.of = values["evaluation_periods"]
        self.over = values.get("datapoints_to_alarm") or self.of
        self.missing = values.get("treat_missing_data") or "missing"
        self.actions = values.get("alarm_actions") or []
        self.read(values)
        check_alarm(self.name, self.period, self.over, self.of, self.missing)
        self.state = NO_DATA

    def read(self, values):
        """metrics: id -> (key, statistic); expressions: id -> text; result: the id that is looked at."""
        self.metrics, self.expressions, periods = {}, {}, set()
        queries = values.get("metric_query") or []
        for query in queries:
            metric = (query.get("metric") or [None])[0]
            if metric:
                self.metrics[query["id"]] = key_of(metric["namespace"], metric["metric_name"], metric.get("dimensions")), metric["stat"]
                periods.add(metric["period"])
            else:
                self.expressions[query["id"]] = query["expression"]
        if queries:
            results = [query["id"] for query in queries if query.get("return_data")]
            if len(results) != 1 or len(periods) != 1:
                raise Invalid(f"{self.name}: {len(results)} results, periods {sorted(periods)}: one of each is needed")
            self.result, self.period = results[0], periods.pop()
        else:
            key = key_of(values["namespace"], values["metric_name"], values.get("dimensions"))
            self.metrics = {"m": (key, values.get("statistic") or values["extended_statistic"])}
            self.result, self.period = "m", values["period"]

    def points(self, metrics, minute, extra=EXTRA):
        """The series looked at as of the start of `minute`: of periods that are over by then."""
        minutes, length = self.period // MINUTE, self.of + extra
        ids = {}
        for name, (key, stat) in self.metrics.items():
            values = {age: metrics.value(key, minute - (age + 1) * minutes, minutes, stat) for age in range(length)}
            ids[name] = Series({age: v for age, v in values.items() if v is not None}, self.period, True)
        for name, text in self.expressions.items():
            ids[name] = Expression(text, ids, length).value
        return [ids[self.result].points.get(age) for age in range(length)]

    def look(self, metrics, minute, extra=EXTRA):
        over = OPERATORS[self.operator]
        seen = [None if v is None else over(v, self.limit) for v in self.points(metrics, minute, extra)]
        self.state = judge(seen, self.over, self.of, self.missing, self.state)
        return self.state


# --- composite alarms -----------------------------------------------------------------------------------------------------------------

class Rule:
    """or = and {OR and}; and = not {AND not}; not = NOT not, (or), TRUE, FALSE, STATE(name)"""
    TOKEN = re.compile(r'\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]+)"|([^")\s]+))\s*\)|(AND|OR|NOT|TRUE|FALSE)\b|([()])|(\S))')

    def __init__(self, text):
        if not 1 <= len(text) <= 10240:
            raise Invalid(f"a rule of {len(text)} characters")
        self.tokens, self.at = [], 0
        for state, quoted, plain, word, bracket, wrong in (m.groups() for m in self.TOKEN.finditer(text)):
            if wrong:
                raise Invalid(f"{wrong} in the rule {text[:80]}")
            self.tokens.append((state, quoted or plain) if state else word or bracket)
        self.names = {t[1] for t in self.tokens if isinstance(t, tuple)}
        if len(self.names) > 100:
            raise Invalid(f"{len(self.names)} alarms in one rule")
        self.tree = self.any()
        if self.at < len(self.tokens):
            raise Invalid(f"the rule {text[:80]} goes on after its end")

    def next(self):
        self.at += 1
        if self.at > len(self.tokens):
            raise Invalid("the rule ends too early")
        return self.tokens[self.at - 1]

    def chain(self, part, word):
        parts = [part()]
        while self.at < len(self.tokens) and self.tokens[self.at] == word:
            self.at += 1
            parts.append(part())
        return (word, parts) if len(parts) > 1 else parts[0]

    def any(self):
        return self.chain(self.all, "OR")

    def all(self):
        return self.chain(self.one, "AND")

    def one(self):
        token = self.next()
        if isinstance(token, tuple) or token in ("TRUE", "FALSE"):
            return token
        if token == "NOT":
            return "NOT", [self.one()]
        if token != "(":
            raise Invalid(f"{token} where an alarm should be")
        inner = self.any()
        if self.next() != ")":
            raise Invalid("a bracket is not closed")
        return inner

    def holds(self, states, tree=None):
        tree = tree or self.tree
        if tree in ("TRUE", "FALSE"):
            return tree == "TRUE"
        word, what = tree
        if word == "OR":
            return any(self.holds(states, part) for part in what)
        if word == "AND":
            return all(self.holds(states, part) for part in what)
        if word == "NOT":
            return not self.holds(states, what[0])
        return states[what] == word


class Composite:
    """aws_cloudwatch_composite_alarm. Its state follows its rule at once; its actions may have to wait."""

    def __init__(self, values):
        self.name, self.rule = values["alarm_name"], Rule(values["alarm_rule"])
        suppressor = (values.get("actions_suppressor") or [None])[0]
        self.suppressor = suppressor and suppressor["alarm"]
        self.wait = suppressor["wait_period"] // MINUTE if suppressor else 0
        self.extension = suppressor["extension_period"] // MINUTE if suppressor else 0
        self.state = self.acted = NO_DATA
        self.changed = self.released = -10**9  # when the state changed; when the suppressor left ALARM

    def suppressed(self, states, minute):
        if not self.suppressor:
            return False
        return states[self.suppressor] == ALARM or minute < self.released + self.extension or minute < self.changed + self.wait

    def look(self, states, before, minute):
        """The state that an action is taken for, or None."""
        state = ALARM if self.rule.holds(states) else OK
        if state != self.state:
            self.state, self.changed = state, minute
        if self.suppressor and before.get(self.suppressor) == ALARM and states[self.suppressor] != ALARM:
            self.released = minute
        if self.acted == self.state or self.suppressed(states, minute):
            return None
        self.acted = self.state
        return self.state


class Board:
    """All alarms of a plan, looked at minute by minute. `changes`: (minute, alarm, state); `messages`: (minute, composite, state)."""

    def __init__(self, alarms, composites=(), extra=EXTRA):
        self.alarms = {a["alarm_name"]: Alarm(a) for a in alarms}
        self.composites, self.extra = {}, extra
        waiting = [Composite(c) for c in composites]
        while waiting:  # those that others name come first
            known = {*self.alarms, *self.composites}
            ready = [c for c in waiting if c.rule.names <= known and (c.suppressor is None or c.suppressor in known)]
            if not ready:
                raise Invalid(f"{waiting[0].name} names {sorted((waiting[0].rule.names | {waiting[0].suppressor}) - known - {None})}")
            self.composites.update({c.name: c for c in ready})
            waiting = [c for c in waiting if c.name not in self.composites]
        self.states = {name: NO_DATA for name in (*self.alarms, *self.composites)}
        self.changes, self.messages = [], []

    def look(self, metrics, minute):
        before = dict(self.states)
        for name, alarm in self.alarms.items():
            self.states[name] = alarm.look(metrics, minute, self.extra)
        for name, composite in self.composites.items():
            act = composite.look(self.states, before, minute)
            self.states[name] = composite.state
            if act:
                self.messages.append((minute, name, act))
        self.changes += [(minute, name, state) for name, state in self.states.items() if state != before[name]]

    def run(self, metrics, first, last):
        for minute in range(first, last):
            self.look(metrics, minute)
        return self

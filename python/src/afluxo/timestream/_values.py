"""Values as Timestream prints and reads them, and expressions compiled to Python functions over a row."""
from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Callable, Dict, List, NoReturn, Sequence, Tuple

from ._sql import NS, Call, Column, Expr, Literal, SqlError

Row = Sequence[Any]
Cell = Callable[[Row], Any]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?\s*(Z|UTC|[+-]\d\d:?\d\d)?$")
_NUMBERS = ("integer", "bigint", "double")


def parse_time(text: str) -> int:
    """ns since 1970 of `2024-01-02 03:04:05.123456789`."""
    match = _TIME.match(text.strip())
    if match is None:
        raise ValueError(f"Invalid timestamp: {text}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=timezone.utc)
    if zone and zone[0] in "+-":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[-2:]))
        moment -= offset if zone[0] == "+" else -offset
    whole = moment - _EPOCH
    return (whole.days * 86400 + whole.seconds) * 10 ** 9 + int((fraction or "0").ljust(9, "0"))


def print_time(ns: int) -> str:
    seconds, rest = divmod(ns, 10 ** 9)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%d %H:%M:%S}.{rest:09d}"


def print_double(value: float) -> str:
    """As Java's Double.toString."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        text = format(Decimal(repr(value)), "f")
        return text if "." in text else text + ".0"
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    text = "".join(map(str, digits))
    return f"{'-' if sign else ''}{text[0]}.{text[1:] or '0'}E{exponent + len(text) - 1}"


def print_interval(ns: int) -> str:
    sign, ns = ("-" if ns < 0 else ""), abs(ns)
    days, ns = divmod(ns, NS["d"])
    hours, ns = divmod(ns, NS["h"])
    minutes, ns = divmod(ns, NS["m"])
    return f"{sign}{days} {hours:02d}:{minutes:02d}:{ns // 10 ** 9:02d}.{ns % 10 ** 9:09d}"


_PRINT: Dict[str, Callable[[Any], str]] = {
    "varchar": str, "bigint": str, "integer": str, "boolean": lambda v: "true" if v else "false",
    "double": lambda v: print_double(float(v)),
    "timestamp": print_time, "interval": print_interval, "unknown": str,
}
SCALAR = {"varchar": "VARCHAR", "bigint": "BIGINT", "integer": "INTEGER", "boolean": "BOOLEAN", "double": "DOUBLE",
          "timestamp": "TIMESTAMP",
          "interval": "INTERVAL_DAY_TO_SECOND", "unknown": "UNKNOWN"}


def datum(value: Any, kind: str) -> Dict[str, Any]:
    return {"NullValue": True} if value is None else {"ScalarValue": _PRINT[kind](value)}


@dataclass
class Typed:
    """What an expression gives. `constant`: the same for every row."""
    kind: str
    cell: Cell
    constant: bool = False

    def value(self) -> Any:
        return self.cell(())


def constant(value: Any, kind: str) -> Typed:
    return Typed(kind, lambda row: value, True)


def divide(a: Any, b: Any) -> Any:
    """Whole numbers are cut towards zero."""
    if isinstance(a, float) or isinstance(b, float):
        if b == 0:
            return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)
        return a / b
    if b == 0:
        raise ZeroDivisionError("Division by zero")
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


_COMPARE: Dict[str, Callable[[Any, Any], Any]] = {
    "=": lambda a, b: a == b, "<>": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_CALCULATE: Dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": divide, "%": lambda a, b: math.fmod(a, b) if
    isinstance(a, float) or isinstance(b, float) else a - b * divide(a, b), "||": lambda a, b: a + b,
}


def like(pattern: str) -> "re.Pattern[str]":
    return re.compile("".join(".*" if c == "%" else "." if c == "_" else re.escape(c) for c in pattern), re.DOTALL)


class Compiler:
    """Expressions over rows whose columns are `columns`: name to place and kind. `place` words where something is wrong."""

    def __init__(self, columns: Dict[str, Tuple[int, str]], now_ns: int, place: Callable[[int], str]) -> None:
        self.columns = columns
        self.now_ns = now_ns
        self.place = place
        self.slots: List[Tuple[Expr, Typed]] = []  # whole expressions that have a place of their own: groups and aggregates

    def refuse(self, at: int, what: str) -> NoReturn:
        raise SqlError(f"{self.place(at)}: {what}")

    def find(self, column: Column) -> Tuple[int, str]:
        if column.name in self.columns:
            return self.columns[column.name]
        same = [n for n in self.columns if n.lower() == column.name.lower()]
        if len(same) != 1:
            self.refuse(column.at, f"Column '{column.name}' does not exist")
        return self.columns[same[0]]

    def compile(self, expr: Expr) -> Typed:
        for known, typed in self.slots:
            if known == expr:
                return typed
        if isinstance(expr, Literal):
            return constant(expr.value, expr.kind)
        if isinstance(expr, Column):
            i, kind = self.find(expr)
            return Typed(kind, lambda row: row[i])
        args = [self.compile(a) for a in expr.args]
        typed = self.call(expr, args)
        if typed.constant or (args and all(a.constant for a in args)):
            return constant(typed.cell(()), typed.kind)
        return typed

    # - operators

    def call(self, call: Call, args: List[Typed]) -> Typed:
        name = call.name
        if name in ("and", "or", "not", "is null"):
            return _logic(name, args)
        if name in _COMPARE:
            a, b = self.alike(call, args[0], args[1])
            return _both(a, b, "boolean", _COMPARE[name])
        if name in _CALCULATE:
            return self.calculate(call, args[0], args[1])
        if name == "between":
            low, x = self.alike(call, args[1], args[0])
            high, x = self.alike(call, args[2], x)
            return _logic("and", [_both(x, low, "boolean", _COMPARE[">="]), _both(x, high, "boolean", _COMPARE["<="])])
        if name == "in":
            tests = []
            for value in args[1:]:
                a, b = self.alike(call, args[0], value)
                tests.append(_both(a, b, "boolean", _COMPARE["="]))
            result = tests[0]
            for test in tests[1:]:
                result = _logic("or", [result, test])
            return result
        if name == "like":
            if not args[1].constant or args[1].kind != "varchar" or args[0].kind not in ("varchar", "unknown"):
                self.refuse(call.at, "LIKE is for texts, with a constant pattern")
            pattern, text = like(args[1].value()), args[0].cell
            return Typed("boolean", lambda row: None if text(row) is None else pattern.fullmatch(text(row)) is not None)
        return self.function(call, args)

    def alike(self, call: Call, a: Typed, b: Typed) -> Tuple[Typed, Typed]:
        """Made comparable: a constant text is a time beside a time."""
        if a.kind == "timestamp" and b.kind == "varchar" and b.constant:
            return a, self.time_of(call, b)
        if b.kind == "timestamp" and a.kind == "varchar" and a.constant:
            return self.time_of(call, a), b
        same = a.kind == b.kind or (a.kind in _NUMBERS and b.kind in _NUMBERS) or "unknown" in (a.kind, b.kind)
        if not same:
            self.refuse(call.at, f"'{call.name}' cannot be applied to {a.kind}, {b.kind}")
        return a, b

    def time_of(self, call: Call, text: Typed) -> Typed:
        try:
            return constant(parse_time(text.value()), "timestamp")
        except ValueError as e:
            self.refuse(call.at, str(e))

    def calculate(self, call: Call, a: Typed, b: Typed) -> Typed:
        kinds = (a.kind, b.kind)
        do = _CALCULATE[call.name]
        if a.kind in _NUMBERS and b.kind in _NUMBERS and call.name != "||":
            return _both(a, b, "double" if "double" in kinds else "bigint" if "bigint" in kinds else "integer", do)
        if call.name == "||" and kinds == ("varchar", "varchar"):
            return _both(a, b, "varchar", do)
        if call.name in ("+", "-") and kinds == ("timestamp", "interval"):
            return _both(a, b, "timestamp", do)
        if call.name == "+" and kinds == ("interval", "timestamp"):
            return _both(a, b, "timestamp", do)
        if call.name in ("+", "-") and kinds == ("interval", "interval"):
            return _both(a, b, "interval", do)
        if call.name == "*" and "interval" in kinds and ("integer" in kinds or "bigint" in kinds):
            return _both(a, b, "interval", do)
        self.refuse(call.at, f"'{call.name}' cannot be applied to {a.kind}, {b.kind}")

    # - functions

    def function(self, call: Call, args: List[Typed]) -> Typed:
        kinds = tuple(a.kind for a in args)
        name = call.name
        if name == "now" and not args:
            return constant(self.now_ns, "timestamp")
        if name == "ago" and kinds == ("interval",):
            return _one(args[0], "timestamp", lambda v: self.now_ns - v)
        if name == "timestamp" or (name == "from_iso8601_timestamp" and kinds == ("varchar",)):
            return self.time_of(call, args[0]) if args[0].constant else _one(args[0], "timestamp", parse_time)
        if name in ("from_milliseconds", "from_nanoseconds") and len(args) == 1 and kinds[0] in ("integer", "bigint"):
            factor = 1_000_000 if name == "from_milliseconds" else 1
            return _one(args[0], "timestamp", lambda v: v * factor)
        if name in ("to_milliseconds", "to_nanoseconds") and kinds in (("timestamp",), ("interval",)):
            factor = 1_000_000 if name == "to_milliseconds" else 1
            return _one(args[0], "bigint", lambda v: v // factor)
        if name == "bin" and len(args) == 2 and args[1].kind == "interval" and args[1].constant and args[1].value() > 0:
            width = args[1].value()
            of = self.time_of(call, args[0]) if kinds[0] == "varchar" and args[0].constant else args[0]
            if of.kind == "timestamp":
                return _one(of, "timestamp", lambda v: v // width * width)
        if name == "date_trunc" and len(args) == 2 and args[0].constant and kinds[1] == "timestamp":
            return self.date_trunc(call, str(args[0].value()), args[1])
        return self.plain(call, args, kinds)

    def plain(self, call: Call, args: List[Typed], kinds: Tuple[str, ...]) -> Typed:
        name = call.name
        if name in ("lower", "upper") and kinds == ("varchar",):
            return _one(args[0], "varchar", str.lower if name == "lower" else str.upper)
        if name == "abs" and len(args) == 1 and kinds[0] in _NUMBERS:
            return _one(args[0], kinds[0], abs)
        if name == "round" and args and kinds[0] in _NUMBERS:
            if len(args) == 1 or (args[1].constant and kinds[1] in ("integer", "bigint")):
                scale = 10.0 ** (args[1].value() if len(args) == 2 else 0)
                return _one(args[0], kinds[0], lambda v: _round(v, scale))
        if name == "coalesce" and args and len(set(kinds) - {"unknown"}) == 1:
            cells = [a.cell for a in args]
            return Typed((set(kinds) - {"unknown"}).pop(), lambda row: next((v for v in (c(row) for c in cells) if v is not None), None))
        self.refuse(call.at, f"Unexpected parameters ({', '.join(kinds)}) for function {name}")

    def date_trunc(self, call: Call, unit: str, time: Typed) -> Typed:
        if unit in ("second", "minute", "hour", "day"):
            width = NS[unit]
            return _one(time, "timestamp", lambda v: v // width * width)
        if unit == "week":  # which begins on Monday; 1970-01-01 was a Thursday
            width, shift = 7 * NS["d"], 3 * NS["d"]
            return _one(time, "timestamp", lambda v: (v + shift) // width * width - shift)
        months = {"month": 1, "quarter": 3, "year": 12}.get(unit)
        if months is None:
            self.refuse(call.at, f"'{unit}' is not a valid TIMESTAMP field")

        def cut(v: int) -> int:
            day = _EPOCH + timedelta(seconds=v // 10 ** 9)
            return parse_time(f"{day.year:04d}-{(day.month - 1) // months * months + 1:02d}-01")
        return _one(time, "timestamp", cut)


def _round(v: Any, scale: float) -> Any:
    """Halves away from zero."""
    return v if isinstance(v, int) else math.copysign(math.floor(abs(v) * scale + 0.5) / scale, v)


def _one(a: Typed, kind: str, do: Callable[[Any], Any]) -> Typed:
    cell = a.cell

    def run(row: Row) -> Any:
        v = cell(row)
        return None if v is None else do(v)
    return Typed(kind, run, a.constant)


def _both(a: Typed, b: Typed, kind: str, do: Callable[[Any, Any], Any]) -> Typed:
    left, right = a.cell, b.cell

    def run(row: Row) -> Any:
        v, w = left(row), right(row)
        return None if v is None or w is None else do(v, w)
    return Typed(kind, run, a.constant and b.constant)


def _logic(name: str, args: List[Typed]) -> Typed:
    """With SQL's third truth: None."""
    a = args[0].cell
    if name == "not":
        return _one(args[0], "boolean", lambda v: not v)
    if name == "is null":
        return Typed("boolean", lambda row: a(row) is None)
    b = args[1].cell
    ends = name == "or"

    def run(row: Row) -> Any:
        v = a(row)
        if v is ends:
            return ends
        w = b(row)
        if w is ends:
            return ends
        return None if v is None or w is None else not ends
    return Typed("boolean", run)

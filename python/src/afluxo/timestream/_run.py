"""A statement carried out: what InfluxQL can do exactly is asked of InfluxDB, the rest is done here, row by row as they come.

    table -> columns           dimensions, measure_name, time, measures
    WHERE -> InfluxQL          conjuncts on time, dimensions and measure_name; all of it is tested here again
    aggregates -> InfluxQL     count, sum, avg, min, max by dimensions, measure_name and bin(time), where nothing is left to test here
"""
from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from .._influx import Influx, name, string
from ._sql import AGGREGATES, STAR, Call, Column, Expr, Item, Literal, Order, SqlError, Statement
from ._values import Compiler, Typed, like
from ._write import MULTI_TAG

_KINDS = {"float": "double", "integer": "bigint", "unsigned": "bigint", "string": "varchar", "boolean": "boolean"}
_TIME_MIN, _TIME_MAX = -9223372036854775806, 9223372036854775806
Rows = Iterator[Tuple[Any, ...]]


@dataclass
class Answer:
    """Names and kinds of columns, and rows that are made while they are taken."""
    names: List[str]
    kinds: List[str]
    rows: Rows
    columns: "Optional[List[Tuple[str, bool]]]" = None  # of a SELECT: the column behind each, and whether it was renamed


# --- a table ---------------------------------------------------------------------------------------------------------------------


class Table:
    """What a measurement looks like to SQL."""

    def __init__(self, influx: Influx, bucket: str, measurement: str) -> None:
        self.influx, self.bucket, self.measurement = influx, bucket, measurement
        source = f"FROM {name(measurement)}"
        fields: Dict[str, str] = {}
        for row in self.ask(f"SHOW FIELD KEYS {source}"):
            fields.setdefault(str(row[0]), _KINDS.get(str(row[1]), "varchar"))
        tags = [str(row[0]) for row in self.ask(f"SHOW TAG KEYS {source}")]
        self.fields = dict(sorted(fields.items()))
        self.is_multi = MULTI_TAG in tags
        self.dimensions = sorted(t for t in tags if t != MULTI_TAG)
        self.tags = tags
        where = f'WHERE "{MULTI_TAG}" = \'\''
        self.has_single = not self.is_multi or any(self.ask(f"SELECT * {source} {where} LIMIT 1"))
        self.columns: List[Tuple[str, str, str]] = self._columns()  # name, kind, what it is

    def ask(self, query: str) -> Iterator[List[Any]]:
        for series in self.influx.ask(self.bucket, query):
            yield from series.get("values", ())

    def _columns(self) -> List[Tuple[str, str, str]]:
        columns = [(d, "varchar", "DIMENSION") for d in self.dimensions]
        columns += [("measure_name", "varchar", "MEASURE_NAME"), ("time", "timestamp", "TIMESTAMP")]
        if self.has_single:
            kinds = set(self.fields.values())
            columns += [(f"measure_value::{k}", k, "MEASURE_VALUE") for k in ("double", "bigint", "varchar", "boolean") if k in kinds]
        if self.is_multi:
            columns += [(f, k, "MULTI") for f, k in self.fields.items()]
        return columns

    def places(self) -> Dict[str, Tuple[int, str]]:
        out: Dict[str, Tuple[int, str]] = {}
        for i, (n, kind, _) in enumerate(self.columns):
            out.setdefault(n, (i, kind))
        return out

    def field(self, f: str) -> str:
        return name(f) + ("::field" if f in self.tags else "")


# --- WHERE ------------------------------------------------------------------------------------------------------------------------


def _conjuncts(expr: Optional[Expr]) -> List[Expr]:
    if isinstance(expr, Call) and expr.name == "and":
        return _conjuncts(expr.args[0]) + _conjuncts(expr.args[1])
    return [] if expr is None else [expr]


class Filter:
    """A condition: as much of it as InfluxQL says in the same way, and all of it as a test of rows."""

    def __init__(self, table: Table, compiler: Compiler, where: Optional[Expr]) -> None:
        self.table, self.compiler = table, compiler
        self.start, self.stop = _TIME_MIN, _TIME_MAX  # both included
        self.measures: Optional[Set[str]] = None      # of single-measure rows; None: all
        self.terms: List[str] = []
        self.is_exact = True                          # nothing is left to be tested here
        self.test: Optional[Typed] = compiler.compile(where) if where is not None else None
        if self.test is not None and self.test.kind not in ("boolean", "unknown"):
            raise SqlError(f"line 1:1: WHERE clause must evaluate to a boolean: actual type {self.test.kind}")
        for conjunct in _conjuncts(where):
            self.is_exact &= self._take(conjunct)

    def _value(self, expr: Expr, kind: str) -> Any:
        """A constant of this kind, or None."""
        typed = self.compiler.compile(expr)
        if not typed.constant:
            return None
        if kind == "timestamp" and typed.kind == "varchar":
            typed = self.compiler.time_of(Call("=", ()), typed)
        return typed.value() if typed.kind == kind else None

    def _take(self, e: Expr) -> bool:
        if not isinstance(e, Call) or not e.args or not isinstance(e.args[0], Column):
            return False
        i, kind = self.compiler.find(e.args[0])
        column, _, what = self.table.columns[i]
        values = [self._value(a, kind) for a in e.args[1:]]
        if any(v is None for v in values):
            return False
        if what == "TIMESTAMP":
            return self._take_time(e.name, values)
        if what == "MEASURE_NAME" and e.name in ("=", "in"):
            return self._take_measure(set(values))
        if what == "DIMENSION" and e.name in ("=", "in") and "" not in values:
            tests = [f"{name(column)}::tag = {string(v)}" for v in values]
            self.terms.append("(" + " OR ".join(tests) + ")")
            return True
        return False

    def _take_time(self, op: str, values: List[int]) -> bool:
        if not values:  # IS NULL
            return False
        v = values[0]
        if op in (">=", ">", "=", "between"):
            self.start = max(self.start, v + 1 if op == ">" else v)
        if op in ("<=", "<", "="):
            self.stop = min(self.stop, v - 1 if op == "<" else v)
        if op == "between":
            self.stop = min(self.stop, values[1])
        return op in (">=", ">", "=", "<=", "<", "between")

    def _take_measure(self, names: Set[str]) -> bool:
        if self.table.is_multi and not self.table.has_single:
            self.terms.append("(" + " OR ".join(f'"{MULTI_TAG}"::tag = {string(n)}' for n in sorted(names)) + ")")
            return True
        self.measures = names if self.measures is None else self.measures & names
        return not self.table.is_multi

    @property
    def is_empty(self) -> bool:
        return self.start > self.stop

    def influxql(self) -> str:
        terms = list(self.terms)
        if self.start > _TIME_MIN:
            terms.append(f"time >= {self.start}")
        if self.stop < _TIME_MAX:
            terms.append(f"time <= {self.stop}")
        return " WHERE " + " AND ".join(terms) if terms else ""

    def fields(self) -> List[str]:
        """Those that a row can come from."""
        if self.measures is None or self.table.is_multi:
            return list(self.table.fields)
        return [f for f in self.table.fields if f in self.measures]


# --- rows -------------------------------------------------------------------------------------------------------------------------


def scan(table: Table, where: Filter, needed: Set[int], is_descending: bool) -> Rows:
    """Rows of the table by time, tested. Only what is needed of them is asked for."""
    fields = where.fields()
    if not fields or where.is_empty:
        return
    tags = [i for i, c in enumerate(table.columns) if c[2] == "DIMENSION" and i in needed]
    parts = [f"{table.field(f)} AS f{i}" for i, f in enumerate(fields)]
    parts += [f"{name(table.columns[i][0])}::tag AS t{i}" for i in tags]
    if table.is_multi:
        parts.append(f'"{MULTI_TAG}"::tag AS m')
    query = f"SELECT {', '.join(parts)} FROM {name(table.measurement)}{where.influxql()}{' ORDER BY time DESC' if is_descending else ''}"
    test = where.test.cell if where.test is not None and not where.is_exact else None
    for row in _unfold(table, fields, tags, query):
        if test is None or test(row):
            yield row


def _unfold(table: Table, fields: Sequence[str], tags: Sequence[int], query: str) -> Rows:
    """Points to rows: one for each field of a single-measure point, one for a multi-measure point."""
    width = len(table.columns)
    places = table.places()
    name_at, time_at = places["measure_name"][0], places["time"][0]
    is_double = [table.fields[f] == "double" for f in fields]
    single = [places.get(f"measure_value::{table.fields[f]}", (0, ""))[0] for f in fields]
    multi = [next((i for i, c in enumerate(table.columns) if c[0] == f and c[2] == "MULTI"), -1) for f in fields]
    behind = 1 + len(fields)
    for values in table.ask(query):
        base: List[Any] = [None] * width
        base[time_at] = values[0]
        for k, i in enumerate(tags):
            base[i] = values[behind + k] or None
        measure = values[behind + len(tags)] if table.is_multi else None
        cells = [float(v) if double and v is not None else v for v, double in zip(values[1:behind], is_double)]
        if measure:
            base[name_at] = measure
            for i, v in zip(multi, cells):
                base[i] = v
            yield tuple(base)
            continue
        for f, i, v in zip(fields, single, cells):
            if v is not None:
                row = list(base)
                row[name_at], row[i] = f, v
                yield tuple(row)


# --- aggregates -------------------------------------------------------------------------------------------------------------------


class Fold:
    """One aggregate of one group. add(row) takes rows, merge(...) what InfluxDB folded already."""

    def __init__(self, call: Call, args: Sequence[Typed]) -> None:
        self.name = call.name
        self.args = [a.cell for a in args]
        self.count = 0
        self.sum: Any = None
        self.best: Any = None
        self.key: Any = None

    def add(self, row: Sequence[Any]) -> None:
        if not self.args:
            self.count += 1
            return
        v = self.args[0](row)
        if self.name in ("max_by", "min_by"):
            key = self.args[1](row)
            if key is not None and (self.key is None or (key > self.key if self.name == "max_by" else key < self.key)):
                self.key, self.best = key, v
            return
        if v is not None:
            self.merge(1, v, v, v)

    def merge(self, count: int, total: Any, low: Any, high: Any) -> None:
        self.count += count
        if self.name in ("sum", "avg") and total is not None:
            self.sum = total if self.sum is None else self.sum + total
        best = low if self.name == "min" else high
        if self.name in ("min", "max") and best is not None:
            if self.best is None or (best < self.best if self.name == "min" else best > self.best):
                self.best = best

    def result(self) -> Any:
        if self.name == "count":
            return self.count
        if self.name == "sum":
            return self.sum
        if self.name == "avg":
            return float(self.sum) / self.count if self.count else None
        return self.best


def _aggregates(expr: Expr, found: List[Call]) -> None:
    if isinstance(expr, Call):
        if expr.name in AGGREGATES:
            if expr not in found:
                found.append(expr)
            return
        for a in expr.args:
            _aggregates(a, found)


def _kind_of(call: Call, args: Sequence[Typed], compiler: Compiler) -> str:
    counts = {"count": (1,), "max_by": (2,), "min_by": (2,)}.get(call.name, (1,))
    if (len(args) or 1) not in counts:
        compiler.refuse(call.at, f"Unexpected parameters for function {call.name}")
    if call.name == "count":
        return "bigint"
    kind = args[0].kind
    if call.name in ("avg", "sum") and kind not in ("double", "bigint", "integer"):
        compiler.refuse(call.at, f"Unexpected parameters ({kind}) for function {call.name}")
    return "double" if call.name == "avg" else "bigint" if kind == "integer" and call.name == "sum" else kind


class Grouping:
    """GROUP BY and the aggregates: rows in, rows of groups out (their keys, then the aggregates)."""

    def __init__(self, statement: Statement, compiler: Compiler) -> None:
        self.keys = [_resolve(e, statement.items, compiler, False) for e in statement.group]
        self.calls: List[Call] = []
        for item in statement.items:
            _aggregates(item.expr, self.calls)
        for order in statement.order:
            _aggregates(_resolve(order.expr, statement.items, compiler), self.calls)
        self.key_cells = [compiler.compile(k) for k in self.keys]
        self.args = [[compiler.compile(a) for a in call.args if a != STAR] for call in self.calls]
        self.kinds = [_kind_of(call, args, compiler) for call, args in zip(self.calls, self.args)]

    def new(self) -> List[Fold]:
        return [Fold(call, args) for call, args in zip(self.calls, self.args)]

    def run(self, rows: Rows) -> "Dict[Tuple[Any, ...], List[Fold]]":
        groups: Dict[Tuple[Any, ...], List[Fold]] = {}
        cells = [k.cell for k in self.key_cells]
        for row in rows:
            key = tuple(c(row) for c in cells)
            folds = groups.get(key)
            if folds is None:
                folds = groups[key] = self.new()
            for fold in folds:
                fold.add(row)
        return groups

    def rows(self, groups: "Dict[Tuple[Any, ...], List[Fold]]") -> Rows:
        if not self.keys and not groups:
            groups = {(): self.new()}
        for key, folds in groups.items():
            yield key + tuple(f.result() for f in folds)

    def compiler(self, compiler: Compiler) -> Compiler:
        """For what is made of groups."""
        made = _OverGroups(compiler)
        for i, (expr, kind) in enumerate(itertools.chain(zip(self.keys, (k.kind for k in self.key_cells)), zip(self.calls, self.kinds))):
            made.slots.append((expr, Typed(kind, _getter(i))))
        return made


def _getter(i: int) -> Callable[[Sequence[Any]], Any]:
    return lambda row: row[i]


class _OverGroups(Compiler):
    """Columns are only to be had inside of groups and aggregates, which have slots."""

    def __init__(self, inner: Compiler) -> None:
        super().__init__({}, inner.now_ns, inner.place)
        self.inner = inner

    def find(self, column: Column) -> Tuple[int, str]:
        self.inner.find(column)
        self.refuse(column.at, f"'{column.name}' must be an aggregate expression or appear in GROUP BY clause")


def _resolve(expr: Expr, items: Sequence[Item], compiler: Compiler, is_order: bool = True) -> Expr:
    """A number or an alias of the SELECT list is what stands there. Columns go before aliases in GROUP BY, aliases in ORDER BY."""
    if isinstance(expr, Literal) and expr.kind == "integer":
        i = int(expr.value or 0)
        if not 1 <= i <= len(items):
            raise SqlError(f"line 1:1: GROUP BY or ORDER BY position {i} is not in select list")
        return items[i - 1].expr
    if isinstance(expr, Column) and (is_order or expr.name not in compiler.columns):
        for item in items:
            if item.alias == expr.name:
                return item.expr
    return expr


# --- aggregates that InfluxDB folds -------------------------------------------------------------------------------------------------


class Pushed:
    """Is it InfluxQL's to do? Then `groups` does it."""

    def __init__(self, table: Table, where: Filter, grouping: Grouping) -> None:
        self.table, self.where, self.grouping = table, where, grouping
        self.fields = where.fields()
        self.width = 0
        self.tags: List[str] = []
        self.is_possible = where.is_exact and bool(self.fields) and not where.is_empty and self._keys() and self._calls()

    def _keys(self) -> bool:
        kinds = {c[0]: c[2] for c in self.table.columns}
        for key in self.grouping.keys:
            if isinstance(key, Column) and kinds.get(key.name) == "DIMENSION":
                self.tags.append(key.name)
            elif isinstance(key, Column) and key.name == "measure_name" and not self.table.is_multi:
                continue
            elif (isinstance(key, Call) and key.name == "bin" and key.args[0] == Column("time") and isinstance(key.args[1], Literal)
                  and not self.width and self.where.stop < _TIME_MAX and self.where.start > _TIME_MIN):
                self.width = int(key.args[1].value or 0)
            else:
                return False
        return not (self.table.is_multi and self.table.has_single)

    def _calls(self) -> bool:
        for call in self.grouping.calls:
            if call.name not in ("count", "sum", "avg", "min", "max"):
                return False
            if call.args[0] == STAR:
                if self.table.is_multi:  # rows of points with fields here and there: nobody counted them
                    return False
            elif not isinstance(call.args[0], Column) or not self._of(call.args[0].name):
                return False
            elif call.name != "count" and self._kind(call.args[0].name) not in ("double", "bigint"):
                return False
        return True

    def _of(self, column: str) -> List[str]:
        """The fields that are in a column of measures."""
        if self.table.is_multi:
            return [column] if column in self.table.fields else []
        return [f for f in self.fields if column == f"measure_value::{self.table.fields[f]}"]

    def _kind(self, column: str) -> str:
        return self.table.fields[self._of(column)[0]]

    def query(self) -> str:
        parts = []
        for i, f in enumerate(self.fields):
            of = self.table.field(f)
            parts.append(f"count({of}) AS c{i}")
            if self.table.fields[f] in ("double", "bigint"):
                parts += [f"sum({of}) AS s{i}", f"min({of}) AS n{i}", f"max({of}) AS x{i}"]
        by = [name(t) + ("::tag" if t in self.table.fields else "") for t in self.tags] + ([f"time({self.width}ns)"] if self.width else [])
        group = f" GROUP BY {', '.join(by)}" if by else ""
        fill = " fill(none)" if self.width else ""
        return f"SELECT {', '.join(parts)} FROM {name(self.table.measurement)}{self.where.influxql()}{group}{fill}"

    def groups(self) -> "Dict[Tuple[Any, ...], List[Fold]]":
        groups: Dict[Tuple[Any, ...], List[Fold]] = {}
        for series in self.table.influx.ask(self.table.bucket, self.query()):
            tags = series.get("tags", {})
            columns = series["columns"]
            for values in series["values"]:
                self._merge(groups, tags, dict(zip(columns, values)))
        return groups

    def _merge(self, groups: "Dict[Tuple[Any, ...], List[Fold]]", tags: Dict[str, str], row: Dict[str, Any]) -> None:
        for i, f in enumerate(self.fields):
            count = row.get(f"c{i}") or 0
            if count == 0:
                continue
            key = tuple(self._key(k, tags, row, f) for k in self.grouping.keys)
            folds = groups.setdefault(key, self.grouping.new())
            for call, fold in zip(self.grouping.calls, folds):
                arg = call.args[0]
                if arg == STAR or (isinstance(arg, Column) and f in self._of(arg.name)):
                    values = [row.get(f"{c}{i}") for c in "snx"]
                    if self.table.fields[f] == "double":
                        values = [float(v) if v is not None else None for v in values]
                    fold.merge(count, *values)

    def _key(self, key: Expr, tags: Dict[str, str], row: Dict[str, Any], f: str) -> Any:
        if isinstance(key, Call):
            return row["time"]
        assert isinstance(key, Column)
        return f if key.name == "measure_name" else tags.get(key.name) or None


# --- SELECT -----------------------------------------------------------------------------------------------------------------------


def _expand(statement: Statement, table: Table) -> List[Item]:
    items: List[Item] = []
    for item in statement.items:
        items += [Item(Column(c[0]), None) for c in table.columns] if item.expr == STAR else [item]
    return items


def _names(items: Sequence[Item]) -> List[str]:
    return [item.alias if item.alias is not None else item.expr.name if isinstance(item.expr, Column) else f"_col{i}"
            for i, item in enumerate(items)]


def _columns_in(expr: Optional[Expr], out: List[Column]) -> None:
    if isinstance(expr, Column) and expr != STAR:
        out.append(expr)
    elif isinstance(expr, Call):
        for a in expr.args:
            _columns_in(a, out)


def _sorted(rows: Rows, orders: Sequence[Tuple[Typed, Order]]) -> Rows:
    kept = list(rows)
    for typed, order in reversed(orders):
        def rank(row: Sequence[Any], typed: Typed = typed, order: Order = order) -> Tuple[bool, Any]:
            v = typed.cell(row)
            last = order.nulls_first == order.is_descending  # where a null's rank has to be, before it is turned around
            return ((v is None) if last else (v is not None), v if v is not None else 0)
        kept.sort(key=rank, reverse=order.is_descending)
    return iter(kept)


def select(influx: Influx, bucket: str, statement: Statement, now_ns: int, place: Callable[[int], str]) -> Answer:
    if not statement.table:
        return _select_nothing(statement, now_ns, place)
    table = Table(influx, bucket, statement.table)
    if not table.fields:
        raise SqlError(f"line 1:15: Table '{statement.database}.{statement.table}' does not exist")
    compiler = Compiler(table.places(), now_ns, place)
    statement.items = _expand(statement, table)
    where = Filter(table, compiler, statement.where)
    calls: List[Call] = []
    for e in [i.expr for i in statement.items] + [o.expr for o in statement.order]:
        _aggregates(e, calls)
    if calls or statement.group:
        return _select_groups(statement, table, compiler, where)
    orders = [(compiler.compile(_resolve(o.expr, statement.items, compiler)), o) for o in statement.order]
    used: List[Column] = []
    for e in [i.expr for i in statement.items] + [_resolve(o.expr, statement.items, compiler) for o in statement.order]:
        _columns_in(e, used)
    _columns_in(statement.where, used)
    needed = {compiler.find(c)[0] for c in used}
    outputs = [compiler.compile(i.expr) for i in statement.items]
    by_time = len(statement.order) == 1 and _resolve(statement.order[0].expr, statement.items, compiler) == Column("time")
    rows = scan(table, where, needed, by_time and statement.order[0].is_descending)
    if orders and not by_time:
        rows = _sorted(rows, orders)
    return _answer(statement, outputs, rows)


def _answer(statement: Statement, outputs: Sequence[Typed], rows: Rows) -> Answer:
    cells = [o.cell for o in outputs]
    out = (tuple(c(row) for c in cells) for row in (rows if statement.limit is None else itertools.islice(rows, statement.limit)))
    columns = [(i.expr.name if isinstance(i.expr, Column) else "", i.alias is not None) for i in statement.items]
    return Answer(_names(statement.items), [o.kind for o in outputs], out, columns)


def _select_groups(statement: Statement, table: Table, compiler: Compiler, where: Filter) -> Answer:
    grouping = Grouping(statement, compiler)
    over = grouping.compiler(compiler)
    outputs = [over.compile(i.expr) for i in statement.items]
    orders = [(over.compile(_resolve(o.expr, statement.items, compiler)), o) for o in statement.order]
    pushed = Pushed(table, where, grouping)

    def rows() -> Rows:
        if pushed.is_possible:
            yield from grouping.rows(pushed.groups())
        else:
            yield from grouping.rows(grouping.run(scan(table, where, set(range(len(table.columns))), False)))
    return _answer(statement, outputs, _sorted(rows(), orders) if orders else rows())


def _select_nothing(statement: Statement, now_ns: int, place: Callable[[int], str]) -> Answer:
    compiler = Compiler({}, now_ns, place)
    if any(i.expr == STAR for i in statement.items):
        raise SqlError("line 1:8: SELECT * not allowed in queries without FROM clause")
    return _answer(statement, [compiler.compile(i.expr) for i in statement.items], iter([()]))


# --- SHOW, DESCRIBE ----------------------------------------------------------------------------------------------------------------


def listing(influx: Influx, statement: Statement, bucket: str, databases: Sequence[str]) -> Answer:
    if statement.kind == "databases":
        found: List[Tuple[Any, ...]] = [(d,) for d in databases]
        names = ["Database"]
    elif statement.kind == "tables":
        found = sorted((str(row[0]),) for series in influx.ask(bucket, "SHOW MEASUREMENTS") for row in series["values"])
        names = ["Table"]
    else:
        table = Table(influx, bucket, statement.table)
        if not table.fields:
            raise SqlError(f"line 1:1: Table '{statement.database}.{statement.table}' does not exist")
        found = [(n, kind, what) for n, kind, what in table.columns]
        names = ["Column", "Type", "Timestream attribute type"]
    if statement.like is not None:
        pattern = like(statement.like)
        found = [row for row in found if pattern.fullmatch(row[0])]
    return Answer(names, ["varchar"] * len(names), iter(found))

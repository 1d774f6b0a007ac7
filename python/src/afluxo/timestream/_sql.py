"""The part of Timestream's SQL that is understood: text to a tree. What else there is, is refused by name.

    SELECT {* | item [[AS] alias], ...} FROM "db"."table" [WHERE cond] [GROUP BY expr, ...]
           [ORDER BY expr [ASC|DESC] [NULLS FIRST|LAST], ...] [LIMIT n]
    SELECT literal ...          SHOW DATABASES | TABLES FROM "db" | MEASURES FROM "db"."table"          DESCRIBE "db"."table"
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import List, NoReturn, Optional, Tuple, Union

NS = {"ns": 1, "nanosecond": 1, "us": 1_000, "microsecond": 1_000, "ms": 1_000_000, "millisecond": 1_000_000,
      "s": 10 ** 9, "second": 10 ** 9,
      "m": 60 * 10 ** 9, "minute": 60 * 10 ** 9, "h": 3600 * 10 ** 9, "hour": 3600 * 10 ** 9, "d": 86400 * 10 ** 9, "day": 86400 * 10 ** 9}
AGGREGATES = frozenset(("count", "avg", "sum", "min", "max", "max_by", "min_by"))
FUNCTIONS = frozenset(("ago", "now", "bin", "from_milliseconds", "from_nanoseconds", "from_iso8601_timestamp", "to_milliseconds",
                       "to_nanoseconds",
                       "date_trunc", "current_timestamp", "lower", "upper", "abs", "round", "coalesce"))


class SqlError(ValueError):
    """Of a place in the text, as Timestream words it."""


@dataclass(frozen=True)
class Literal:
    value: Union[str, int, float, bool, None]
    kind: str  # varchar bigint integer double boolean timestamp interval unknown


@dataclass(frozen=True)
class Column:
    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Call:
    """A function, aggregate or operator: "=", "and", "not", "is null", "between", "in", "like", "count" ..."""
    name: str
    args: "Tuple[Expr, ...]"
    at: int = field(default=0, compare=False)


Expr = Union[Literal, Column, Call]
STAR = Column("*")


@dataclass
class Item:
    expr: Expr
    alias: Optional[str]


@dataclass
class Order:
    expr: Expr
    is_descending: bool
    nulls_first: bool


@dataclass
class Statement:
    kind: str  # select, databases, tables, measures, describe
    database: str = ""
    table: str = ""
    items: List[Item] = field(default_factory=list)
    where: Optional[Expr] = None
    group: List[Expr] = field(default_factory=list)
    order: List[Order] = field(default_factory=list)
    limit: Optional[int] = None
    like: Optional[str] = None


_TOKEN = re.compile(r"""
    (?P<space>\s+|--[^\n]*)
  | (?P<duration>\d+(?:nanosecond|microsecond|millisecond|second|minute|hour|day|ns|us|ms|s|m|h|d)\b)
  | (?P<months>\d+(?:month|year|y)\b)
  | (?P<number>\d+\.\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+)
  | (?P<string>'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<word>[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z]+)?)
  | (?P<mark><>|!=|<=|>=|\|\||[=<>(),.*+\-/%\[\];@])
""", re.VERBOSE)

_KEYWORDS = frozenset("select from where group order by limit and or not in is null like between as asc desc nulls having union "
                      "intersect except with distinct join on using case when over unnest exists filter inner left right full cross".split())


@dataclass
class _Token:
    kind: str
    text: str
    at: int


def _tokens(text: str) -> List[_Token]:
    out: List[_Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise SqlError(f"{place(text, at)}: mismatched input '{text[at]}'")
        kind = match.lastgroup or ""
        value = match.group()
        if kind == "string":
            value = value[1:-1].replace("''", "'")
        elif kind == "quoted":
            value = value[1:-1].replace('""', '"')
        if kind != "space":
            out.append(_Token(kind, value, at))
        at = match.end()
    out.append(_Token("end", "<EOF>", len(text)))
    return out


def place(text: str, at: int) -> str:
    """line 1:8, both from 1."""
    line = text.count("\n", 0, at) + 1
    return f"line {line}:{at - (text.rfind(chr(10), 0, at) + 1) + 1}"


class Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.i = 0
        self.depth = 0

    # - tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.i]

    def refuse(self, what: str, token: Optional[_Token] = None) -> NoReturn:
        raise SqlError(f"{place(self.text, (token or self.token).at)}: {what}")

    def unsupported(self, what: str, token: Optional[_Token] = None) -> NoReturn:
        self.refuse(f"{what} is not supported by afluxo.timestream yet", token)

    def is_word(self, *words: str) -> bool:
        return self.token.kind == "word" and self.token.text.lower() in words

    def take_word(self, *words: str) -> bool:
        if not self.is_word(*words):
            return False
        self.i += 1
        return True

    def take_mark(self, *marks: str) -> Optional[str]:
        if self.token.kind != "mark" or self.token.text not in marks:
            return None
        self.i += 1
        return self.tokens[self.i - 1].text

    def need_word(self, word: str) -> None:
        if not self.take_word(word):
            self.refuse(f"mismatched input '{self.token.text}'. Expecting: '{word.upper()}'")

    def need_mark(self, mark: str) -> None:
        if self.take_mark(mark) is None:
            self.refuse(f"mismatched input '{self.token.text}'. Expecting: '{mark}'")

    def name(self) -> str:
        token = self.token
        if token.kind not in ("word", "quoted") or (token.kind == "word" and token.text.lower() in _KEYWORDS):
            self.refuse(f"mismatched input '{token.text}'. Expecting: <identifier>")
        self.i += 1
        return token.text

    # - statements

    def statement(self) -> Statement:
        if self.is_word("with"):
            self.unsupported("WITH")
        if self.take_word("show"):
            made = self.show()
        elif self.take_word("describe", "desc"):
            made = Statement("describe", *self.table())
        elif self.take_word("select"):
            made = self.select()
        else:
            self.unsupported(f"{self.token.text.upper()}") if self.is_word("unload") else self.refuse(
                f"mismatched input '{self.token.text}'. Expecting: 'SELECT'")
        self.take_mark(";")
        if self.token.kind != "end":
            for words in ("union", "intersect", "except", "having"):
                if self.is_word(words):
                    self.unsupported(words.upper())
            self.refuse(f"mismatched input '{self.token.text}'")
        return made

    def show(self) -> Statement:
        made = Statement("")
        if self.take_word("databases"):
            made.kind = "databases"
        elif self.take_word("tables"):
            made.kind = "tables"
            self.need_word("from")
            made.database = self.name()
        elif self.take_word("measures"):
            made.kind = "measures"
            self.need_word("from")
            made.database, made.table = self.table()
        else:
            self.refuse(f"mismatched input '{self.token.text}'. Expecting: 'DATABASES', 'TABLES', 'MEASURES'")
        if self.take_word("like"):
            made.like = self.string()
        return made

    def string(self) -> str:
        if self.token.kind != "string":
            self.refuse(f"mismatched input '{self.token.text}'. Expecting: <string>")
        self.i += 1
        return self.tokens[self.i - 1].text

    def table(self) -> Tuple[str, str]:
        if self.take_mark("("):
            self.unsupported("a subquery in FROM", self.tokens[self.i - 1])
        if self.is_word("unnest"):
            self.unsupported("UNNEST")
        database = self.name()
        self.need_mark(".")
        return database, self.name()

    def select(self) -> Statement:
        made = Statement("select")
        if self.is_word("distinct"):
            self.unsupported("SELECT DISTINCT")
        self.take_word("all")
        made.items.append(self.item())
        while self.take_mark(","):
            made.items.append(self.item())
        if self.take_word("from"):
            made.database, made.table = self.table()
            self.refuse_joins()
        if self.take_word("where"):
            made.where = self.expr()
        if self.take_word("group"):
            self.need_word("by")
            made.group = self.list_of_exprs()
        if self.is_word("having"):
            self.unsupported("HAVING")
        if self.take_word("order"):
            self.need_word("by")
            made.order.append(self.order())
            while self.take_mark(","):
                made.order.append(self.order())
        if self.take_word("limit"):
            made.limit = self.limit()
        return made

    def refuse_joins(self) -> None:
        if self.take_mark(","):
            self.unsupported("a second table in FROM", self.tokens[self.i - 1])
        if self.is_word("join", "inner", "left", "right", "full", "cross"):
            self.unsupported("JOIN")
        if self.is_word("as") or self.token.kind == "quoted" or (self.token.kind == "word" and self.token.text.lower() not in _KEYWORDS):
            self.unsupported("an alias of a table")

    def item(self) -> Item:
        if self.take_mark("*"):
            return Item(STAR, None)
        expr = self.expr()
        if self.take_word("as"):
            return Item(expr, self.name())
        if self.token.kind == "quoted" or (self.token.kind == "word" and self.token.text.lower() not in _KEYWORDS):
            return Item(expr, self.name())
        return Item(expr, None)

    def list_of_exprs(self) -> List[Expr]:
        out = [self.expr()]
        while self.take_mark(","):
            out.append(self.expr())
        return out

    def order(self) -> Order:
        expr = self.expr()
        descending = self.take_word("desc")
        if not descending:
            self.take_word("asc")
        first = False
        if self.take_word("nulls"):
            first = self.take_word("first")
            if not first:
                self.need_word("last")
        return Order(expr, descending, first)

    def limit(self) -> Optional[int]:
        if self.take_word("all"):
            return None
        if self.token.kind != "number" or not self.token.text.isdigit():
            self.refuse(f"mismatched input '{self.token.text}'. Expecting: <integer>")
        self.i += 1
        return int(self.tokens[self.i - 1].text)

    # - expressions, loosest first

    def expr(self) -> Expr:
        self.depth += 1
        if self.depth > 100:
            self.refuse("the expression is nested too deep")
        left = self.conjunction()
        while self.take_word("or"):
            left = Call("or", (left, self.conjunction()))
        self.depth -= 1
        return left

    def conjunction(self) -> Expr:
        left = self.negation()
        while self.take_word("and"):
            left = Call("and", (left, self.negation()))
        return left

    def negation(self) -> Expr:
        if self.take_word("not"):
            self.depth += 1
            if self.depth > 100:
                self.refuse("the expression is nested too deep")
            inner = self.negation()
            self.depth -= 1
            return Call("not", (inner,))
        return self.comparison()

    def comparison(self) -> Expr:
        left = self.sum()
        token = self.token
        mark = self.take_mark("=", "<>", "!=", "<", "<=", ">", ">=")
        if mark is not None:
            return Call("<>" if mark == "!=" else mark, (left, self.sum()), token.at)
        if self.take_word("is"):
            is_not = self.take_word("not")
            self.need_word("null")
            test: Expr = Call("is null", (left,), token.at)
            return Call("not", (test,)) if is_not else test
        is_not = self.take_word("not")
        if self.take_word("between"):
            low = self.sum()
            self.need_word("and")
            test = Call("between", (left, low, self.sum()), token.at)
        elif self.take_word("in"):
            test = self.membership(left, token)
        elif self.take_word("like"):
            test = Call("like", (left, self.sum()), token.at)
        elif is_not:
            self.refuse(f"mismatched input '{self.token.text}'. Expecting: 'BETWEEN', 'IN', 'LIKE'")
        else:
            return left
        return Call("not", (test,)) if is_not else test

    def membership(self, left: Expr, token: _Token) -> Expr:
        self.need_mark("(")
        if self.is_word("select"):
            self.unsupported("a subquery in IN")
        values = self.list_of_exprs()
        self.need_mark(")")
        return Call("in", (left, *values), token.at)

    def sum(self) -> Expr:
        left = self.product()
        while True:
            token = self.token
            mark = self.take_mark("+", "-", "||")
            if mark is None:
                return left
            left = Call(mark, (left, self.product()), token.at)

    def product(self) -> Expr:
        left = self.unary()
        while True:
            token = self.token
            mark = self.take_mark("*", "/", "%")
            if mark is None:
                return left
            left = Call(mark, (left, self.unary()), token.at)

    def unary(self) -> Expr:
        token = self.token
        if self.take_mark("-"):
            inner = self.primary()
            if isinstance(inner, Literal) and inner.kind in ("integer", "bigint", "double", "interval"):
                return Literal(-inner.value, inner.kind)  # type: ignore[operator]
            return Call("-", (Literal(0, "integer"), inner), token.at)
        return self.primary()

    def primary(self) -> Expr:
        token = self.token
        if self.take_mark("("):
            if self.is_word("select"):
                self.unsupported("a subquery")
            inner = self.expr()
            self.need_mark(")")
            return inner
        if token.kind in ("duration", "months", "number", "string"):
            return self.literal()
        if token.kind == "quoted":
            self.i += 1
            return self.column_behind(token.text, token.at)
        if token.kind != "word":
            self.refuse(f"mismatched input '{token.text}'. Expecting: <expression>")
        return self.word()

    def literal(self) -> Expr:
        token = self.token
        self.i += 1
        if token.kind == "months":
            self.unsupported("an interval of months or years", token)
        if token.kind == "string":
            return Literal(token.text, "varchar")
        if token.kind == "duration":
            digits = re.match(r"\d+", token.text)
            assert digits is not None
            return Literal(int(digits.group()) * NS[token.text[digits.end():]], "interval")
        if token.text.isdigit():
            value = int(token.text)
            return Literal(value, "integer" if value < 2 ** 31 else "bigint")
        return Literal(float(token.text), "double")

    def word(self) -> Expr:
        token = self.token
        low = token.text.lower()
        if low in ("true", "false", "null"):
            self.i += 1
            return Literal(None, "unknown") if low == "null" else Literal(low == "true", "boolean")
        if low in ("case", "cast", "exists", "array", "row", "interval", "extract", "try_cast"):
            self.unsupported(low.upper())
        if low == "timestamp" and self.tokens[self.i + 1].kind == "string":
            self.i += 1
            return Call("timestamp", (Literal(self.string(), "varchar"),), token.at)
        if self.tokens[self.i + 1].text == "(" and self.tokens[self.i + 1].kind == "mark":
            return self.call()
        if low == "current_timestamp":
            self.i += 1
            return Call("now", (), token.at)
        return self.column_behind(self.name(), token.at)

    def column_behind(self, text: str, at: int) -> Expr:
        """A column, perhaps with its table in front: the last part is it."""
        while self.token.kind == "mark" and self.token.text == "." and self.tokens[self.i + 1].kind in ("word", "quoted"):
            self.i += 1
            text = self.name()
        return Column(text, at)

    def call(self) -> Expr:
        token = self.token
        low = token.text.lower()
        if low not in AGGREGATES and low not in FUNCTIONS:
            self.unsupported(f"the function {low}()")
        self.i += 1
        self.need_mark("(")
        if self.is_word("distinct"):
            self.unsupported(f"{low.upper()}(DISTINCT)")
        args: List[Expr] = []
        if low == "count" and self.take_mark("*"):
            args.append(STAR)
        elif not (self.token.kind == "mark" and self.token.text == ")"):
            args = self.list_of_exprs()
        self.need_mark(")")
        if self.is_word("over"):
            self.unsupported("OVER")
        if self.is_word("filter"):
            self.unsupported("FILTER")
        return Call(low, tuple(args), token.at)


def parse(text: str) -> Statement:
    """SqlError says where and what."""
    return Parser(text).statement()

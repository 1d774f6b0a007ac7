#!/usr/bin/env python3
"""InfluxDB's own tests of its InfluxQL parser, run on ours.

    influxql_parser.py [DIRECTORY] [--peer PROGRAM] [-v]

DIRECTORY (or AF_INFLUXQL_DIR) is a checkout of github.com/influxdata/influxql, v1.1; nothing of it is kept here. The cases are read out of
the test files' tables: what is accepted must be accepted, as the same statement, and print to text that parses and prints the same; what is
refused must be refused in the same words; what has an expected text must give it. Trees are not compared. --peer is influxql_peer, built
from influxql_peer.c beside build/libafluxo.so if it is not given. The last line is "N passed, N failed".
"""
import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NOW = 946684800000000000
SECOND = 10**9
LOWEST, HIGHEST = -(2**63), 2**63 - 1


class Peer:
    """influxql_peer on a pipe."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, mode, text, now=NOW, zone="UTC", params=()):
        for param in params:
            self.send("param", "\t".join(param), 0, "UTC")
        self.send(mode, text, now, zone)
        self.process.stdin.flush()
        status, size = self.process.stdout.readline().split()
        answer = self.process.stdout.read(int(size) + 1)[:-1]
        return status == b"ok", answer.decode("utf-8", "surrogateescape")

    def send(self, mode, text, now, zone):
        data = text.encode("utf-8", "surrogateescape")
        self.process.stdin.write(b"%s %d %d %s\n" % (mode.encode(), len(data), now, zone.encode()) + data)


# --- Go source, as far as tables of tests need it -----------------------------------------------------------------------------------

TOKEN = re.compile(r"//[^\n]*|/\*.*?\*/|`[^`]*`|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[A-Za-z_]\w*|\d[\w.]*|\s+|.", re.S)
OPEN, CLOSE = {"{": "}", "(": ")", "[": "]"}, set("})]")


def tokens_of(source):
    return [t for t in TOKEN.findall(source) if not t.isspace() and not t.startswith(("//", "/*"))]


def is_text(token):
    return token[0] in "`\""


def text_of(token):
    return token[1:-1] if token[0] == "`" else token[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")


def close_of(tokens, at):
    depth = 0
    for i in range(at, len(tokens)):
        depth += (tokens[i] in OPEN) - (tokens[i] in CLOSE)
        if depth == 0:
            return i
    raise ValueError("no closing bracket")


def parts_of(tokens):
    """The elements of a composite literal's inside: (key tokens or None, value tokens)."""
    parts, start, key, depth = [], 0, None, 0
    for i, token in enumerate(tokens + [","]):
        depth += (token in OPEN) - (token in CLOSE)
        if depth == 0 and token == ":" and key is None:
            key, start = tokens[start:i], i + 1
        elif depth == 0 and token == ",":
            if i > start:
                parts.append((key, tokens[start:i]))
            key, start = None, i + 1
    return parts


def value_of(tokens):
    """Strings, also added up; a Sprintf with a time in it gets one."""
    if "Sprintf" in tokens:
        return re.sub("%s", "2020-01-02 03:04:05.123456", text_of(next(t for t in tokens if is_text(t))))
    if tokens and all(is_text(t) or t == "+" for t in tokens):
        return "".join(text_of(t) for t in tokens if is_text(t))
    return tokens


class Source:
    def __init__(self, directory, name):
        with open(os.path.join(directory, name), encoding="utf-8") as file:
            self.tokens = tokens_of(file.read())

    def body(self, function):
        for i in range(len(self.tokens) - 1):
            if self.tokens[i] == "func" and self.tokens[i + 1] == function:
                at = self.tokens.index("{", close_of(self.tokens, i + 2))
                return self.tokens[at + 1 : close_of(self.tokens, at)]
        raise SystemExit("there is no test function %s" % function)

    def table(self, function):
        """The rows of the first []struct{...}{...}: dictionaries of fields, by name; by place where rows have no names."""
        body = self.body(function)
        at = next(i for i in range(len(body)) if body[i : i + 4] == ["[", "]", "struct", "{"]) + 3
        first = close_of(body, at) + 1
        rows = []
        for _, row in parts_of(body[first + 1 : close_of(body, first)]):
            fields = parts_of(row[1:-1])
            rows.append({(key[0] if key else i): value_of(value) for i, (key, value) in enumerate(fields)})
        return rows


def duration_of(tokens):
    units = {"Nanosecond": 1, "Microsecond": 1000, "Millisecond": 10**6, "Second": SECOND, "Minute": 60 * SECOND, "Hour": 3600 * SECOND}
    words = [str(units[t]) if t in units else t for t in tokens if t not in ("time", ".")]
    if not all(re.fullmatch(r"[\d]+|[-+*()]", w) for w in words):
        raise ValueError("no duration: %s" % tokens)
    return eval("".join(words))  # digits and signs only


def time_of(tokens):
    """mustParseTime("...").Add(n), now.Add(n)."""
    if tokens[0] == "now":
        ns = NOW
    else:
        when = datetime.datetime.strptime(text_of(tokens[2]), "%Y-%m-%dT%H:%M:%SZ")
        ns = int((when - datetime.datetime(1970, 1, 1)).total_seconds()) * SECOND
    if "Add" in tokens:
        ns += int("".join(tokens[tokens.index("Add") + 2 : -1]))
    return ns


# --- parameters, as BindValue makes them of Go's values -------------------------------------------------------------------------------

WORDS = {"int64": "integer", "float64": "number", "int": "integer"}


def bare_value(tokens):
    """(kind, value) of a Go literal as JSON would have given it."""
    if len(tokens) == 1 and is_text(tokens[0]):
        return "string", text_of(tokens[0])
    if tokens[0] in ("true", "false"):
        return "bool", tokens[0]
    if tokens[0] == "json":
        number = text_of(tokens[4])
        return ("number" if "." in number else "integer"), number
    if tokens[0] in WORDS:
        inside = tokens[2:-1]
        return WORDS[tokens[0]], str(duration_of(inside)) if "time" in inside else "".join(inside)
    if tokens[0] == "map":
        return "map", parts_of(tokens[tokens.index("}") + 2 : -1])
    number = "".join(tokens)
    if re.fullmatch(r"-?[\d.]+", number):
        return "number", number
    return "error", "unable to bind parameter with type " + "".join(tokens)


def bind(tokens):
    kind, value = bare_value(tokens)
    if kind != "map":
        return kind, value
    if len(value) != 1:
        return "error", "bound object parameter value must have exactly one entry"
    wanted = text_of(value[0][0][0])
    kind, value = bare_value(value[0][1])
    if wanted in ("ident", "identifier"):
        return ("ident", value) if kind == "string" else ("error", "identifier must be a string value")
    if wanted in ("regex", "string"):
        return (wanted, value) if kind == "string" else ("error", "%s literal must be a string value" % wanted)
    if wanted in ("float", "number"):
        return ("number", value) if kind in ("number", "integer") else ("error", "number literal must be a float value")
    if wanted in ("int", "integer"):
        return ("integer", value) if kind == "integer" else ("error", "integer literal must be an integer value")
    if wanted == "duration":
        return ("duration", value + "ns" if kind == "integer" else value)
    return "error", "unknown bind object type: %s" % wanted


def params_of(row):
    if "params" not in row:
        return []
    tokens = row["params"]
    inside = tokens[tokens.index("}") + 2 : -1]  # behind map[string]interface{}{
    return [(text_of(key[0]), *bind(value)) for key, value in parts_of(inside)]


# --- the tests --------------------------------------------------------------------------------------------------------------------------

# Where Go's type has another name than our kind.
KINDS = {
    "DeleteSeries": "DELETE", "CreateContinuousQuery": "CREATE_CQ", "DropContinuousQuery": "DROP_CQ",
    "ShowContinuousQueries": "SHOW_CQS", "CreateRetentionPolicy": "CREATE_POLICY", "AlterRetentionPolicy": "ALTER_POLICY",
    "DropRetentionPolicy": "DROP_POLICY", "ShowRetentionPolicies": "SHOW_POLICIES", "SetPasswordUser": "SET_PASSWORD",
    "ShowGrantsForUser": "SHOW_GRANTS",
}
TOKENS = {
    "BAD_STRING": "BADSTRING", "BAD_ESCAPE": "BADESCAPE", "BAD_REGEX": "BADREGEX", "BOUND": "BOUNDPARAM", "DOUBLE_COLON": "DOUBLECOLON",
    "DURATION_VALUE": "DURATIONVAL",
}


def kind_names():
    with open(os.path.join(ROOT, "src", "lang", "influxql", "influxql.h"), encoding="utf-8") as file:
        body = re.search(r"enum af_ql_kind \{(.*?)\};", file.read(), re.S).group(1)
    return re.findall(r"AF_QL_(\w+)", body)


def kind_of(tokens):
    name = re.sub("^new|Statement$", "", next(t for t in tokens if t.endswith("Statement")))
    if name == "Explain" and "Analyze" in tokens:
        return "EXPLAIN_ANALYZE"
    return KINDS.get(name) or re.sub(r"(?<!^)(?=[A-Z])", "_", name).upper()


class Suite:
    def __init__(self, peer, is_verbose):
        self.peer, self.is_verbose = peer, is_verbose
        self.counts = {}
        self.kinds = kind_names()

    def check(self, function, case, got, want):
        passed, failed, skipped = self.counts.get(function, (0, 0, 0))
        self.counts[function] = (passed + (got == want), failed + (got != want), skipped)
        if got != want:
            print("%s: %r\n    got  %r\n    want %r" % (function, case, got, want))
        elif self.is_verbose:
            print("%s: %r ok" % (function, case))

    def skip(self, function):
        passed, failed, skipped = self.counts.get(function, (0, 0, 0))
        self.counts[function] = (passed, failed, skipped + 1)

    def round_trip(self, mode, text, params):
        """What must be equal: the printed text, and what is printed when it is parsed."""
        ok, printed = self.peer.ask(mode, text, params=params)
        if not ok:
            return printed, ""
        if "[REDACTED]" in printed:
            return printed, printed
        return self.peer.ask(mode, printed)[1], printed

    def statements(self, source):
        name = "TestParser_ParseStatement"
        for row in source.table(name):
            if "skip" in row or row["s"] == "":  # nothing is no statement, but it is a query
                self.skip(name)
                continue
            params, text = params_of(row), row["s"]
            if row.get("err"):
                self.check(name, text, self.peer.ask("query", text, params=params), (False, row["err"]))
                continue
            ok, kinds = self.peer.ask("words", text, params=params)
            got = [self.kinds[int(k)] for k in kinds.split()] if ok else kinds
            self.check(name, text, got, [kind_of(row["stmt"])])
            self.check(name + " printed", text, *self.round_trip("query", text, params))

    def expressions(self, source):
        name = "TestParser_ParseExpr"
        for row in source.table(name):
            if row.get("err"):
                self.check(name, row["s"], self.peer.ask("expr", row["s"]), (False, row["err"]))
            else:
                self.check(name, row["s"], *self.round_trip("expr", row["s"], ()))

    def queries(self, source):
        """Tests without a table: the query, then the count of statements or the error."""
        for name in ("ParseQuery", "ParseQuery_TrailingSemicolon", "ParseQuery_Empty", "ParseQuery_SkipComments", "ParseQuery_ParseError",
                     "ParseQuery_NoSemicolon"):
            body = source.body("TestParser_" + name)
            texts = [text_of(t) for t in body if is_text(t)]
            if "Error" in body[: len(body) // 2 + 20] and "Statements" not in body:
                self.check("TestParser_" + name, texts[0], self.peer.ask("query", texts[0]), (False, texts[1]))
                continue
            ok, kinds = self.peer.ask("words", texts[0])
            count = int(body[max(i for i, t in enumerate(body) if t == "!") + 2])
            self.check("TestParser_" + name, texts[0], (ok, len(kinds.split())), (True, count))

    def durations(self, source):
        for row in source.table("TestParseDuration"):
            want = (False, row["err"]) if row.get("err") else (True, str(duration_of(row["d"])))
            self.check("TestParseDuration", row["s"], self.peer.ask("duration", row["s"]), want)
        for row in source.table("TestFormatDuration"):
            ns = duration_of(row["d"])
            self.check("TestFormatDuration", ns, self.peer.ask("span", str(ns)), (True, row["s"]))

    def quoting(self, source):
        for row in source.table("TestQuote"):
            self.check("TestQuote", row[0], self.peer.ask("text", row[0]), (True, row[1]))
        for row in source.table("TestQuoteIdent"):
            parts = [text_of(t) for t in row[0] if is_text(t)]
            if len(parts) == 1:
                self.check("TestQuoteIdent", parts, self.peer.ask("name", parts[0]), (True, row[1]))
                continue
            text = '"%s"."%s"' % (".".join(parts[:-2]) or "x", '"."'.join(parts[-2:]))  # names of more parts print in an error only
            text = "SELECT f FROM a.b.c." + row[1]
            want = "too many segments in " + '"a"."b"."c".' + row[1] + " at line 1, char 1"
            self.check("TestQuoteIdent", parts, self.peer.ask("query", text), (False, want))

    def strings(self, source, other):
        for name in ("TestDeleteSeriesStatement_String", "TestDropSeriesStatement_String"):
            for row in other.table(name):
                self.check(name, row["s"], self.peer.ask("query", row["s"]), (True, row["s"]))
        for row in source.table("TestParseString"):
            self.check("TestParseString", row["stmt"], *self.round_trip("query", row["stmt"], ()))

    def conditions(self, source):
        for row in source.table("TestConditionExpr"):
            if row.get("err"):
                want = (False, row["err"])
            else:
                start = time_of(row["min"]) if "min" in row else LOWEST
                stop = time_of(row["max"]) + 1 if "max" in row else HIGHEST
                want = (True, "%d %d %s" % (start, stop, row.get("cond") or ""))
            self.check("TestConditionExpr", row["s"], self.peer.ask("condition", row["s"]), want)

    def reductions(self, source):
        for row in source.table("TestReduce"):
            if "data" in row:  # values of names from outside: not something a query can have
                self.skip("TestReduce")
                continue
            self.check("TestReduce", row["in"], self.peer.ask("reduce", row["in"]), (True, row["out"]))

    def scanner(self, source):
        for row in source.table("TestScanner_Scan"):
            pos = "".join(row.get("pos", []))
            place = [int(n) for n in re.findall(r":(\d+)", pos)] or [0, 0]
            want = (row["tok"][-1], *place, row.get("lit") or "")
            _, answer = self.peer.ask("token", row["s"])
            self.check("TestScanner_Scan", row["s"], token_of(answer), want)
        for row in source.table("TestScanRegex"):
            _, answer = self.peer.ask("regex", row["in"])
            self.check("TestScanRegex", row["in"], token_of(answer)[::3], (row["tok"][-1], row["lit"]))
        for row in source.table("TestScanString"):
            _, answer = self.peer.ask("token", row["in"])
            kind = {"bad string": "BADSTRING", "bad escape": "BADESCAPE"}.get(row.get("err"), "STRING")
            kind = "IDENT" if kind == "STRING" and row["in"][0] == '"' else kind
            self.check("TestScanString", row["in"], token_of(answer)[::3], (kind, row["out"]))
        self.tokens(source.body("TestScanner_Scan_Multi"))

    def tokens(self, body):
        text = text_of(body[body.index("v") + 3])
        at = body.index("{", body.index("result", body.index("exp")))
        want = []
        for _, row in parts_of(body[at + 1 : close_of(body, at)]):
            fields = {key[0]: value for key, value in parts_of(row[1:-1])}
            want.append((fields["tok"][-1], *[int(n) for n in re.findall(r":(\d+)", "".join(fields["pos"]))], text_of(fields["lit"][0])))
        _, answer = self.peer.ask("tokens", text)
        self.check("TestScanner_Scan_Multi", text, [token_of(line) for line in answer.split("\n")[:-1]], want)

    def report(self):
        for name, (passed, failed, skipped) in self.counts.items():
            print("%-46s %4d of %4d%s" % (name, passed, passed + failed, ", %d skipped" % skipped if skipped else ""))
        passed, failed = (sum(c[i] for c in self.counts.values()) for i in (0, 1))
        print("%d passed, %d failed" % (passed, failed))
        return failed != 0


def token_of(answer):
    name, line, column, lit = answer.split(" ", 3)
    return TOKENS.get(name, name), int(line), int(column), lit.replace("\\n", "\n") if "\\n" in lit else lit


def build_peer(directory):
    program = os.path.join(directory, "influxql_peer")
    library = os.path.join(ROOT, "build")
    subprocess.run([os.environ.get("CC", "gcc"), "-std=c17", "-D_GNU_SOURCE", "-I" + os.path.join(ROOT, "src"), "-o", program,
                    os.path.join(ROOT, "test", "conformance", "influxql_peer.c"), os.path.join(library, "libafluxo.so"),
                    "-Wl,-rpath," + library], check=True)
    return program


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("directory", nargs="?", default=os.environ.get("AF_INFLUXQL_DIR"))
    options.add_argument("--peer", help="influxql_peer, built already")
    options.add_argument("-v", action="store_true", help="show what passes too")
    args = options.parse_args()
    if args.directory is None:
        options.error("say where InfluxQL's own source is: DIRECTORY or AF_INFLUXQL_DIR")
    with tempfile.TemporaryDirectory(prefix="afluxo-influxql-") as scratch:
        suite = Suite(Peer(args.peer or build_peer(scratch)), args.v)
        parser, tree, scanner = (Source(args.directory, n + "_test.go") for n in ("parser", "ast", "scanner"))
        suite.queries(parser)
        suite.statements(parser)
        suite.expressions(parser)
        suite.durations(parser)
        suite.quoting(parser)
        suite.strings(tree, parser)
        suite.conditions(tree)
        suite.reductions(tree)
        suite.scanner(scanner)
        return suite.report()


if __name__ == "__main__":
    sys.exit(main())

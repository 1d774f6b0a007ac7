"""A reader of Terraform's language: blocks, arguments, and what an expression refers to. It evaluates nothing.

    parse(text, name) -> Block of kind "" whose `blocks` and `arguments` are the file's
    references(expression) -> ("var", "name"), ("aws_vpc", "this", "id"), ("data", "aws_subnet", "each", "id") ...

Enough for checks and pages over infra/; whether a file is right is for `terraform validate` to say, which the tests run too.
"""
import re
from dataclasses import dataclass, field

TOKEN = re.compile(r"""(?P<space>[ \t\r]+)|(?P<comment>\#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<newline>\n)
    |(?P<name>[A-Za-z_][\w-]*)|(?P<number>\d+(?:\.\d+)?)|(?P<heredoc><<-?(?P<end>\w+)\n)
    |(?P<sign>==|!=|<=|>=|&&|\|\||=>|\.\.\.|[{}()\[\],.:?=<>!+*/%-])""", re.X | re.S)
OPEN, CLOSE = "{[(", "}])"


class Wrong(Exception):
    """A file that is not the language; says where."""


@dataclass
class Token:
    kind: str  # name, number, sign, string, newline, comment
    text: str
    line: int
    parts: list = field(default_factory=list)  # of a string: tokens of each ${...} and %{...}


@dataclass
class Expression:
    tokens: list
    text: str
    line: int


@dataclass
class Block:
    kind: str
    labels: list
    line: int
    arguments: dict = field(default_factory=dict)
    blocks: list = field(default_factory=list)

    def of(self, kind):
        return [block for block in self.blocks if block.kind == kind]


class Reader:
    def __init__(self, text, name, line=1):
        self.text, self.name, self.at, self.line = text, name, 0, line

    def wrong(self, what):
        return Wrong(f"{self.name}:{self.line}: {what}")

    def tokens(self, until=None):
        """Tokens up to the end, or up to the closing brace of a template."""
        out, depth = [], 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if until and depth == 0 and char == until:
                self.at += 1
                return out
            if char == '"':
                out.append(self.string())
                continue
            match = TOKEN.match(self.text, self.at)
            if not match:
                raise self.wrong(f"{self.text[self.at]!r} is no part of the language")
            self.at = match.end()
            if match["heredoc"]:
                out.append(self.heredoc(match["end"]))
                continue
            kind = next(kind for kind in ("space", "comment", "newline", "name", "number", "sign") if match[kind] is not None)
            if kind != "space":
                out.append(Token(kind, match[0], self.line))
            depth += (match[0] in OPEN) - (match[0] in CLOSE) if kind == "sign" else 0
            self.line += match[0].count("\n")
        if until:
            raise self.wrong("a template is not closed")
        return out

    def string(self):
        start, line, parts = self.at, self.line, []
        self.at += 1
        while self.at < len(self.text):
            two = self.text[self.at:self.at + 2]
            if two[:1] == '"':
                self.at += 1
                return Token("string", self.text[start:self.at], line, parts)
            if two[:1] == "\n":
                break
            if self.text[self.at:self.at + 3] in ("$${", "%%{"):
                self.at += 3
            elif two in ("${", "%{"):
                self.at += 2
                parts.append(self.tokens(until="}"))
            else:
                self.at += 2 if two[:1] == "\\" else 1
        raise self.wrong("a string is not closed")

    def heredoc(self, end):
        line = self.line
        closing = re.compile(rf"^[ \t]*{end}$", re.M).search(self.text, self.at)
        if not closing:
            raise self.wrong(f"<<{end} is not closed")
        body = self.text[self.at:closing.start()]
        self.at, self.line = closing.end(), self.line + 1 + body.count("\n")
        parts = [Reader(found, self.name, line).tokens() for found in re.findall(r"(?<!\$)\$\{([^}]*)\}", body)]
        return Token("string", body, line, parts)


class Parser:
    def __init__(self, text, name):
        self.tokens = [t for t in Reader(text, name).tokens() if t.kind != "comment"]
        self.name, self.at = name, 0

    def look(self):
        return self.tokens[self.at] if self.at < len(self.tokens) else Token("end", "", self.tokens[-1].line if self.tokens else 1)

    def take(self):
        token = self.look()
        self.at += 1
        return token

    def skip_newlines(self):
        while self.look().kind == "newline":
            self.at += 1

    def body(self, block, closed):
        while True:
            self.skip_newlines()
            token = self.take()
            if closed and token.text == "}" and token.kind == "sign":
                return block
            if token.kind == "end" and not closed:
                return block
            if token.kind != "name":
                raise Wrong(f"{self.name}:{token.line}: {token.text!r} where an argument or a block begins")
            if self.look().text == "=" and self.look().kind == "sign":
                self.take()
                if token.text in block.arguments:
                    raise Wrong(f"{self.name}:{token.line}: {token.text} is given twice")
                block.arguments[token.text] = self.expression()
            else:
                block.blocks.append(self.block(token))

    def block(self, first):
        labels = []
        while self.look().kind in ("string", "name"):
            labels.append(self.take().text.strip('"'))
        if self.take().text != "{":
            raise Wrong(f"{self.name}:{first.line}: {first.text} is neither an argument nor a block")
        return self.body(Block(first.text, labels, first.line), closed=True)

    def expression(self):
        start, depth = self.at, 0
        while True:
            token = self.look()
            if token.kind == "end" or (depth == 0 and (token.kind == "newline" or (token.kind == "sign" and token.text == "}"))):
                break
            depth += (token.text in OPEN) - (token.text in CLOSE) if token.kind == "sign" else 0
            self.at += 1
        tokens = self.tokens[start:self.at]
        if not tokens or depth:
            raise Wrong(f"{self.name}:{self.look().line}: an expression is not whole")
        return Expression(tokens, spell(tokens), tokens[0].line)


def spell(tokens):
    """The expression on one line, for pages."""
    out = ""
    for token in tokens:
        if token.kind == "newline":
            out += "" if out.endswith((" ", "{", "[", "(")) else " "
            continue
        tight = token.text in ",.)]" or out.endswith((".", "(", "[", "!")) or (token.text == "}" and out.endswith("{"))
        tight = tight or (token.text in "([" and re.search(r"[\w\])]$", out))
        out += ("" if tight or not out or out.endswith(" ") else " ") + token.text
    return out.strip()


def parse(text, name="text"):
    return Parser(text, name).body(Block("", [], 1), closed=False)


def flat(tokens):
    for token in tokens:
        yield token
        for part in token.parts:
            yield from flat(part)
            yield Token("sign", ",", token.line)


def references(expression):
    """Every dotted name, with indices and splats left out."""
    tokens = [t for t in flat(expression.tokens) if t.kind != "newline"]
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.kind != "name" or (at and tokens[at - 1].text == "." and tokens[at - 1].kind == "sign"):
            at += 1
            continue
        names, after = [token.text], at + 1
        while after < len(tokens) and tokens[after].kind == "sign":
            if tokens[after].text == "." and after + 1 < len(tokens):
                if tokens[after + 1].kind == "name":
                    names.append(tokens[after + 1].text)
                after += 2
            elif tokens[after].text == "[":
                after = skip_index(tokens, after)
            else:
                break
        if len(names) > 1:
            yield tuple(names)
        at += 1


def skip_index(tokens, at):
    depth = 0
    while at < len(tokens):
        depth += (tokens[at].text in OPEN) - (tokens[at].text in CLOSE) if tokens[at].kind == "sign" else 0
        at += 1
        if depth == 0:
            break
    return at


def expressions(block):
    """Every expression of a block and of those inside it."""
    yield from block.arguments.values()
    for inner in block.blocks:
        yield from expressions(inner)

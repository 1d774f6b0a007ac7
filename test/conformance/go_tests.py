"""Enough of Go to run test functions of others as they are: a parser and an interpreter of the statements and expressions such files use.

    program = Program([paths])          # reads all functions and package variables
    program.bind("fmt", package)        # packages and functions of the surroundings are Python objects
    program.call("TestX", t)

Strings are str (bytes beyond UTF-8 as surrogates), numbers int and float, slices lists, maps dictionaries, several results
tuples, nil None.
Structs declared by the program are Struct; the surroundings may give classes for names of types (bind("Query", class)): a composite
literal then calls the class with its fields. What is not known raises Unsupported: the test is unrunnable, not failed.
"""
import re


class Unsupported(Exception):
    pass


class Returned(Exception):
    def __init__(self, value):
        self.value = value


class Break(Exception):
    pass


class Continue(Exception):
    pass


class Panic(Exception):
    pass


# --- tokens -----------------------------------------------------------------------------------------------------------------------

TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/)|(?P<line>\n)|(?P<text>`[^`]*`|\"(?:\\.|[^\"\\\n])*\")|(?P<rune>'(?:\\.[^']*|[^'\\])')"
    r"|(?P<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark><<=|>>=|&\^=|\.\.\.|&&|\|\||<-|\+\+|--|==|!=|<=|>=|:=|\+=|-=|\*=|/=|%=|&=|\|=|\^=|<<|>>|&\^|[-+*/%&|^<>=!()\[\]{},;.:])",
    re.S)
KEYWORDS = set("break case chan const continue default defer else fallthrough for func go goto if import interface map package range return"
               " select struct switch type var".split())
ENDS_LINE = {"break", "continue", "fallthrough", "return", "++", "--", ")", "]", "}"}
ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.S)
SIMPLE = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def unescape(text):
    def one(match):
        code = match.group(1)
        if code[:1] == b"x":
            return bytes([int(code[1:], 16)])
        if code[:1] in b"uU" and len(code) > 1:
            return chr(int(code[1:], 16)).encode()
        return bytes([int(code, 8)]) if len(code) == 3 else SIMPLE.get(code, code)
    return ESCAPE.sub(one, text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def tokens_of(source):
    """(kind, value, line); semicolons put where Go puts them."""
    out, line, at = [], 1, 0
    while at < len(source):
        match = TOKEN.match(source, at)
        if match is None:
            raise Unsupported("line %d: %r" % (line, source[at:at + 20]))
        kind, value = match.lastgroup, match.group()
        at = match.end()
        ends = kind == "line" or (kind == "space" and "\n" in value)
        if ends and out and (out[-1][0] in ("text", "rune", "number") or out[-1][1] in ENDS_LINE
                             or (out[-1][0] == "name" and out[-1][1] not in KEYWORDS)):
            out.append(("mark", ";", line))
        if kind == "text":
            out.append((kind, value[1:-1].replace("\r", "") if value[0] == "`" else unescape(value[1:-1]), line))
        elif kind == "rune":
            out.append(("number", ord(unescape(value[1:-1])), line))
        elif kind == "number":
            value = value.replace("_", "")
            is_float = not value.lower().startswith("0x") and re.search(r"[.eE]", value)
            out.append((kind, float(value) if is_float else int(value, 0 if value.lower().startswith("0x") else 10), line))
        elif kind in ("name", "mark"):
            out.append((kind, value, line))
        line += match.group().count("\n")
    out.append(("end", "", line))
    return out


# --- the parser: tuples, the kind first ----------------------------------------------------------------------------------------------

LEVELS = {"||": 1, "&&": 2, "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "+": 4, "-": 4, "|": 4, "^": 4,
          "*": 5, "/": 5, "%": 5, "<<": 5, ">>": 5, "&": 5, "&^": 5}
ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", ":="}


class Parser:
    def __init__(self, source):
        self.tokens = tokens_of(source)
        self.at = 0
        self.no_literal = 0  # in the head of a statement `{` begins its block

    def peek(self, ahead=0):
        return self.tokens[self.at + ahead][1] if self.tokens[self.at + ahead][0] in ("mark", "name") else None

    def take(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def is_next(self, value):
        if self.peek() == value:
            self.at += 1
            return True
        return False

    def expect(self, value):
        if not self.is_next(value):
            raise Unsupported("line %d: %r where %r was expected" % (self.tokens[self.at][2], self.tokens[self.at][1], value))

    def name(self):
        kind, value, line = self.take()
        if kind != "name":
            raise Unsupported("line %d: a name was expected" % line)
        return value

    # declarations

    def file(self):
        functions, variables, types = {}, [], {}
        while self.tokens[self.at][0] != "end":
            word = self.take()[1]
            if word == "package":
                self.name()
            elif word == "import":
                self.skip_import()
            elif word == "func":
                name, value = self.function()
                functions[name] = value
            elif word in ("var", "const"):
                variables += self.declarations(word)
            elif word == "type":
                for name, kind in self.type_declarations():
                    types[name] = kind
            elif word != ";":
                raise Unsupported("line %d: %r" % (self.tokens[self.at - 1][2], word))
        return functions, variables, types

    def skip_import(self):
        if not self.is_next("("):
            self.take()
            return
        while not self.is_next(")"):
            self.take()

    def function(self):
        receiver = None
        if self.peek() == "(":
            receiver = self.parameters()
        name = self.name()
        parameters = self.signature()
        begin = self.at
        try:
            body = self.block() if self.peek() == "{" else None
        except Unsupported as why:  # who calls it is unrunnable
            self.at, self.no_literal, body = begin, 0, [("unsupported", str(why))]
            self.skip_braces()
        if receiver is not None:
            kind = receiver[0][1]
            kind = kind[1] if kind[0] == "pointer" else kind
            return (kind[1], name), ("func", [receiver[0]] + parameters, body)
        return name, ("func", parameters, body)

    def signature_and_body(self):
        parameters = self.signature()
        return parameters, self.block() if self.peek() == "{" else None

    def signature(self):
        parameters = self.parameters()
        if self.peek() == "(":
            self.parameters()
        elif self.peek() not in ("{", ";", ")", ",", "}", None, "]", ":=", "=", ":"):
            self.type()
        return parameters

    def parameters(self):
        """[(name, type, is_variadic)]; names may be missing."""
        self.expect("(")
        parts = []
        while not self.is_next(")"):
            variadic = self.is_next("...")
            first = self.type()
            if not variadic and self.peek() not in (",", ")"):
                variadic = self.is_next("...")
                parts.append((first[1], self.type(), variadic))
            else:
                parts.append((None, first, variadic))
            self.is_next(",")
        if any(name is not None for name, _, _ in parts):  # a, b int
            for i in range(len(parts) - 1, -1, -1):
                if parts[i][0] is None:
                    parts[i] = (parts[i][1][1], parts[i + 1][1], False)
        return parts

    def group(self, one):
        if not self.is_next("("):
            return [one()]
        out = []
        while not self.is_next(")"):
            out.append(one())
            self.is_next(";")
        return out

    def declarations(self, word):
        def one():
            names = [self.name()]
            while self.is_next(","):
                names.append(self.name())
            kind = self.type() if self.peek() not in ("=", ";", ")") else None
            values = self.expressions() if self.is_next("=") else None
            return ("var", names, kind, values)
        return self.group(one)

    def type_declarations(self):
        def one():
            name = self.name()
            self.is_next("=")
            return name, self.type()
        return self.group(one)

    def type(self):
        word = self.take()[1]
        if word == "(":
            kind = self.type()
            self.expect(")")
            return kind
        if word == "*":
            return ("pointer", self.type())
        if word == "[":
            size = None
            if self.is_next("..."):
                pass
            elif self.peek() != "]":
                size = self.expression()
            self.expect("]")
            return ("slice", self.type(), size)
        if word == "map":
            self.expect("[")
            key = self.type()
            self.expect("]")
            return ("map", key, self.type())
        if word == "chan":
            self.is_next("<-")
            return ("chan", self.type())
        if word == "<-":
            self.expect("chan")
            return ("chan", self.type())
        if word == "func":
            return ("functype", self.signature())
        if word == "struct":
            return ("struct", self.struct_fields())
        if word == "interface":
            self.skip_braces()
            return ("interface",)
        if not isinstance(word, str) or not re.match(r"[A-Za-z_]", word):
            raise Unsupported("line %d: a type was expected, not %r" % (self.tokens[self.at - 1][2], word))
        if self.peek() == ".":
            self.take()
            return ("named", word + "." + self.name())
        return ("named", word)

    def skip_braces(self):
        self.expect("{")
        depth = 1
        while depth:
            value = self.take()[1]
            depth += (value == "{") - (value == "}")

    def struct_fields(self):
        """[(name, type)]; an embedded one bears its type's name."""
        self.expect("{")
        fields = []
        while not self.is_next("}"):
            if self.peek() == "*" or self.peek(1) in (".", ";", "}") or self.tokens[self.at + 1][0] == "text":
                kind = self.type()
                base = kind[1] if kind[0] == "pointer" else kind
                fields.append((base[1].split(".")[-1], kind))
            else:
                names = [self.name()]
                while self.is_next(","):
                    names.append(self.name())
                kind = self.type()
                fields += [(name, kind) for name in names]
            if self.tokens[self.at][0] == "text":
                self.take()
            self.is_next(";")
        return fields

    # statements

    def block(self):
        self.expect("{")
        saved, self.no_literal = self.no_literal, 0
        out = []
        while not self.is_next("}"):
            if not self.is_next(";"):
                out.append(self.statement())
        self.no_literal = saved
        return out

    def statement(self):
        word = self.peek()
        line = self.tokens[self.at][2]
        handler = getattr(self, "do_" + word, None) if self.tokens[self.at][0] == "name" and word in KEYWORDS else None
        if handler is not None:
            self.take()
            return handler()
        if word == "{":
            return ("block", self.block())
        if word in KEYWORDS and word not in ("func", "map", "struct"):
            raise Unsupported("line %d: %s" % (line, word))
        return self.simple()

    def simple(self):
        left = self.expressions()
        word = self.peek()
        if word in ASSIGN:
            self.take()
            if word in (":=", "=") and self.is_next("range"):
                return ("range", left, self.expression(), word == ":=")
            return ("assign", word, left, self.expressions())
        if word in ("++", "--"):
            self.take()
            return ("assign", "+=" if word == "++" else "-=", left, [("literal", 1)])
        if word == "<-":
            raise Unsupported("a send")
        return ("expression", left[0])

    def head(self):
        self.no_literal += 1

    def end_head(self):
        self.no_literal -= 1

    def do_var(self):
        return ("vars", self.declarations("var"))
    do_const = do_var

    def do_type(self):
        return ("types", self.type_declarations())

    def do_return(self):
        return ("return", self.expressions() if self.peek() not in (";", "}") else [])

    def do_defer(self):
        return ("defer", self.expression())

    def do_go(self):
        return ("go", self.expression())

    def do_break(self):
        return ("break",)

    def do_continue(self):
        return ("continue",)

    def do_if(self):
        self.head()
        init, condition = None, self.simple() if self.peek() != ";" else None
        if self.is_next(";"):
            init, condition = condition, self.simple()
        self.end_head()
        then, other = self.block(), []
        if self.is_next("else"):
            other = [("block", self.block())] if self.peek() == "{" else [self.statement()]
        return ("if", init, condition[1], then, other)

    def do_for(self):
        self.head()
        init = condition = after = None
        if self.is_next("range"):
            init = ("range", [], self.expression(), False)
        elif self.peek() != "{":
            init = self.simple() if self.peek() != ";" else None
            if init is None or init[0] != "range":
                if self.is_next(";"):
                    condition = self.simple() if self.peek() != ";" else None
                    self.expect(";")
                    after = self.simple() if self.peek() != "{" else None
                else:
                    init, condition = None, init
        self.end_head()
        body = self.block()
        if init is not None and init[0] == "range":
            return init + (body,)
        return ("for", init, condition[1] if condition else None, after, body)

    def do_switch(self):
        self.head()
        init = value = None
        if self.peek() != "{":
            value = self.simple() if self.peek() != ";" else None
            if self.is_next(";"):
                init, value = value, self.simple() if self.peek() != "{" else None
        self.end_head()
        self.expect("{")
        cases = []
        while not self.is_next("}"):
            tests = None if self.is_next("default") else (self.expect("case"), self.expressions())[1]
            self.expect(":")
            body = []
            while self.peek() not in ("case", "default", "}"):
                if not self.is_next(";"):
                    body.append(self.statement())
            cases.append((tests, body))
        if value is not None and value[0] != "expression":
            raise Unsupported("a switch over types")
        return ("switch", init, value[1] if value else None, cases)

    # expressions

    def expressions(self):
        out = [self.expression()]
        while self.is_next(","):
            out.append(self.expression())
        return out

    def expression(self, level=1):
        left = self.unary()
        while self.tokens[self.at][0] == "mark" and LEVELS.get(self.peek(), 0) >= level:
            op = self.take()[1]
            left = ("binary", op, left, self.expression(LEVELS[op] + 1))
        return left

    def unary(self):
        if self.tokens[self.at][0] == "mark" and self.peek() in ("-", "+", "!", "^", "&", "*", "<-"):
            op = self.take()[1]
            return ("unary", op, self.unary())
        return self.primary()

    def operand(self):
        kind, value, line = self.tokens[self.at]
        if kind in ("text", "number"):
            self.take()
            return ("literal", value)
        if value == "(":
            self.take()
            saved, self.no_literal = self.no_literal, 0
            inner = ("type", self.type()) if self.peek() == "*" and self.tokens[self.at - 2][1] == "." else self.expression()
            self.no_literal = saved
            self.expect(")")
            return inner
        if value == "func":
            self.take()
            parameters, body = self.signature_and_body()
            return ("type", ("functype", parameters)) if body is None else ("closure", parameters, body)
        if value in ("[", "map", "struct", "chan", "interface"):
            kind = self.type()
            return ("composite", kind, self.elements(kind)) if self.peek() == "{" else ("type", kind)
        if kind != "name" or value in KEYWORDS:
            raise Unsupported("line %d: %r in an expression" % (line, value))
        self.take()
        return ("name", value)

    def primary(self):
        left = self.operand()
        while True:
            word = self.peek() if self.tokens[self.at][0] == "mark" else None
            if word == ".":
                self.take()
                if self.is_next("("):
                    if self.is_next("type"):
                        raise Unsupported("a switch over types")
                    kind = self.type()
                    self.expect(")")
                    left = ("assert", left, kind)
                else:
                    left = ("select", left, self.name())
            elif word == "(":
                left = self.call(left)
            elif word == "[":
                left = self.index(left)
            elif word == "{" and self.no_literal == 0 and self.is_type_name(left):
                kind = ("named", left[1] if left[0] == "name" else left[1][1] + "." + left[2])
                left = ("composite", kind, self.elements(kind))
            else:
                return left

    @staticmethod
    def is_type_name(node):
        return node[0] == "name" or (node[0] == "select" and node[1][0] == "name")

    def call(self, function):
        self.expect("(")
        saved, self.no_literal = self.no_literal, 0
        arguments, spread = [], False
        while not self.is_next(")"):
            arguments.append(self.expression())
            spread = self.is_next("...")
            self.is_next(",")
        self.no_literal = saved
        return ("call", function, arguments, spread)

    def index(self, left):
        self.expect("[")
        saved, self.no_literal = self.no_literal, 0
        low = self.expression() if self.peek() != ":" else None
        node = ("index", left, low)
        if self.is_next(":"):
            node = ("cut", left, low, self.expression() if self.peek() != "]" else None)
        self.no_literal = saved
        self.expect("]")
        return node

    def elements(self, kind):
        """[(key or None, value)]; an inner literal may leave out its type."""
        inner = kind[2] if kind[0] == "map" else kind[1] if kind[0] == "slice" else None
        self.expect("{")
        saved, self.no_literal = self.no_literal, 0
        out = []
        while not self.is_next("}"):
            key, value = None, self.element(inner)
            if self.is_next(":"):
                key, value = value, self.element(inner)
            out.append((key, value))
            self.is_next(",")
            self.is_next(";")
        self.no_literal = saved
        return out

    def element(self, inner):
        if self.peek() == "{" and self.tokens[self.at][0] == "mark":
            kind = inner[1] if inner is not None and inner[0] == "pointer" else inner
            return ("composite", kind, self.elements(kind))
        return self.expression()


# --- the interpreter ------------------------------------------------------------------------------------------------------------------

class Struct:
    def __init__(self, kind, fields):
        self.__dict__["_kind"] = kind
        self.__dict__.update(fields)


class Slice(list):
    """One that make() made: it knows its capacity."""
    cap = 0


class Scope:
    def __init__(self, outer=None):
        self.names, self.outer = {}, outer

    def home(self, name):
        scope = self
        while scope is not None:
            if name in scope.names:
                return scope
            scope = scope.outer
        return None


NUMBERS = {"int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "byte", "rune", "time.Duration"}


def quotient(a, b):
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    if b == 0:
        raise Panic("integer divide by zero")
    value = abs(a) // abs(b)
    return value if (a < 0) == (b < 0) else -value


OPERATORS = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": quotient, "%": lambda a, b: a - b * quotient(a, b),
    "==": lambda a, b: a is b if a is None or b is None else a == b, "!=": lambda a, b: a is not b if a is None or b is None else a != b,
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "|": lambda a, b: a | b, "&": lambda a, b: a & b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << b, ">>": lambda a, b: a >> b,
    "&^": lambda a, b: a & ~b,
}


class Program:
    def __init__(self, sources):
        self.functions, self.types, self.world = {}, {}, Scope()
        self.world.names.update({"nil": None, "true": True, "false": False, "len": lambda x: len(x) if x is not None else 0,
                                 "cap": lambda x: getattr(x, "cap", len(x)),
                                 "append": self.append, "panic": self.panic, "string": self.to_string, "float64": float, "copy": self.copy,
                                 "delete": lambda m, k: m.pop(k, None), "error": str, "bool": bool})
        self.initialisers, variables = [], []
        for source in sources:
            functions, declared, types = Parser(source).file()
            if "init" in functions:
                self.initialisers.append(functions.pop("init"))
            self.functions.update(functions)
            self.types.update(types)
            variables += declared
        for name, function in self.functions.items():
            if isinstance(name, str):
                self.world.names[name] = self.closure(function[1], function[2], self.world)
        self.variables = variables

    def bind(self, name, value):
        self.world.names[name] = value

    def begin(self):
        """Package variables and init functions, after the surroundings are bound."""
        for declaration in self.variables:
            try:
                self.run(declaration, self.world)
            except Unsupported:
                pass  # who uses it is unrunnable
        for function in self.initialisers:
            self.closure(function[1], function[2], self.world)()

    def call(self, name, *arguments):
        return self.world.names[name](*arguments)

    @staticmethod
    def append(items, *more):
        items = [] if items is None else items
        items.extend(more)
        return items

    @staticmethod
    def copy(to, source):
        count = min(len(to), len(source))
        to[:count] = source[:count]
        return count

    @staticmethod
    def panic(value):
        raise Panic(str(value))

    @staticmethod
    def to_string(value):
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        return chr(value) if isinstance(value, int) else value

    def closure(self, parameters, body, scope):
        def function(*arguments):
            inner = Scope(scope)
            for i, (name, _, variadic) in enumerate(parameters):
                if name is not None:
                    inner.names[name] = list(arguments[i:]) if variadic else arguments[i]
            deferred = inner.names["defer "] = []
            try:
                self.run_all(body, inner)
            except Returned as result:
                return result.value
            finally:
                for late in reversed(deferred):
                    late()
            return None
        return function

    # statements

    def run_all(self, statements, scope):
        for statement in statements:
            self.run(statement, scope)

    def run(self, node, scope):
        getattr(self, "run_" + node[0])(node, scope)

    def run_block(self, node, scope):
        self.run_all(node[1], Scope(scope))

    def run_expression(self, node, scope):
        self.value(node[1], scope)

    def run_vars(self, node, scope):
        for declaration in node[1]:
            self.run_var(declaration, scope)

    def run_var(self, node, scope):
        _, names, kind, values = node
        if values is None:
            for name in names:
                scope.names[name] = self.zero(kind)
        else:
            for name, value in zip(names, self.values(values, len(names), scope)):
                scope.names[name] = value

    def run_types(self, node, scope):
        for name, kind in node[1]:
            self.types[name] = kind

    def values(self, nodes, count, scope):
        if len(nodes) == count:
            return [self.value(node, scope) for node in nodes]
        node = nodes[0]
        if node[0] == "assert":
            return self.asserted(node, scope)
        if node[0] == "index":
            container, key = self.value(node[1], scope), self.value(node[2], scope)
            return (container or {}).get(key), key in (container or {})
        value = self.value(node, scope)
        if not isinstance(value, tuple) or len(value) != count:
            raise Unsupported("%d results" % count)
        return value

    def run_assign(self, node, scope):
        _, op, left, right = node
        values = self.values(right, len(left), scope)
        for target, value in zip(left, values):
            if op == ":=":
                if target[1] != "_":
                    scope.names[target[1]] = value
                continue
            if op != "=":
                value = OPERATORS[op[:-1]](self.value(target, scope), value)
            self.put(target, value, scope)

    def put(self, target, value, scope):
        if target[0] == "name":
            if target[1] == "_":
                return
            home = scope.home(target[1])
            if home is None:
                raise Unsupported("no variable " + target[1])
            home.names[target[1]] = value
        elif target[0] == "select":
            setattr(self.value(target[1], scope), self.attribute(target[2]), value)
        elif target[0] == "index":
            self.value(target[1], scope)[self.value(target[2], scope)] = value
        else:
            raise Unsupported("an assignment to " + target[0])

    def run_return(self, node, scope):
        values = [self.value(v, scope) for v in node[1]]
        raise Returned(None if not values else values[0] if len(values) == 1 else tuple(values))

    def run_defer(self, node, scope):
        _, function, arguments, _ = node[1]
        call, values = self.value(function, scope), [self.value(a, scope) for a in arguments]
        scope.home("defer ").names["defer "].append(lambda: call(*values))

    def run_go(self, node, scope):
        raise Unsupported("a goroutine")

    def run_unsupported(self, node, scope):
        raise Unsupported(node[1])

    def run_break(self, node, scope):
        raise Break()

    def run_continue(self, node, scope):
        raise Continue()

    def run_if(self, node, scope):
        _, init, condition, then, other = node
        inner = Scope(scope)
        if init is not None:
            self.run(init, inner)
        self.run_all(then if self.value(condition, inner) else other, Scope(inner))

    def run_for(self, node, scope):
        _, init, condition, after, body = node
        inner = Scope(scope)
        if init is not None:
            self.run(init, inner)
        while condition is None or self.value(condition, inner):
            try:
                self.run_all(body, Scope(inner))
            except Break:
                return
            except Continue:
                pass
            if after is not None:
                self.run(after, inner)

    def run_range(self, node, scope):
        _, left, over, is_new, body = node
        items = self.value(over, scope)
        if items is None:
            return
        pairs = list(items.items()) if isinstance(items, dict) else list(enumerate(items))
        for pair in pairs:
            inner = Scope(scope)
            for target, value in zip(left, pair):
                if target != ("name", "_"):
                    if is_new:
                        inner.names[target[1]] = value
                    else:
                        self.put(target, value, scope)
            try:
                self.run_all(body, Scope(inner))
            except Break:
                return
            except Continue:
                continue

    def run_switch(self, node, scope):
        _, init, subject, cases = node
        inner = Scope(scope)
        if init is not None:
            self.run(init, inner)
        value = True if subject is None else self.value(subject, inner)
        chosen = next((body for tests, body in cases if tests is not None and any(self.value(t, inner) == value for t in tests)), None)
        if chosen is None:
            chosen = next((body for tests, body in cases if tests is None), [])
        try:
            self.run_all(chosen, Scope(inner))
        except Break:
            pass

    # values

    def value(self, node, scope):
        return getattr(self, "value_" + node[0])(node, scope)

    def value_literal(self, node, scope):
        return node[1]

    def value_name(self, node, scope):
        home = scope.home(node[1])
        if home is not None:
            return home.names[node[1]]
        if node[1] in NUMBERS:
            return int
        raise Unsupported("no " + node[1])

    def value_closure(self, node, scope):
        return self.closure(node[1], node[2], scope)

    def value_unary(self, node, scope):
        _, op, operand = node
        value = self.value(operand, scope)
        if op in "&*":
            return value
        if op == "<-":
            raise Unsupported("a receive")
        return not value if op == "!" else -value if op == "-" else ~value if op == "^" else value

    def value_binary(self, node, scope):
        _, op, left, right = node
        if op == "&&":
            return self.value(left, scope) and self.value(right, scope)
        if op == "||":
            return self.value(left, scope) or self.value(right, scope)
        return OPERATORS[op](self.value(left, scope), self.value(right, scope))

    def value_call(self, node, scope):
        _, function, arguments, spread = node
        if function == ("name", "make"):
            return self.make(arguments, scope)
        if function[0] == "type":
            return self.value(arguments[0], scope)
        call = self.value(function, scope)
        values = [self.value(a, scope) for a in arguments]
        if len(values) == 1 and isinstance(values[0], tuple):
            values = list(values[0])
        if spread:
            values[-1:] = values[-1] or []
        return call(*values)

    def make(self, arguments, scope):
        kind = arguments[0][1] if arguments[0][0] == "type" else ("named", arguments[0][1])
        kind = self.types.get(kind[1], kind) if kind[0] == "named" else kind
        if kind[0] == "map":
            return {}
        bound = self.bound_type(kind[1]) if kind[0] == "named" else None
        if kind[0] != "slice" and not getattr(bound, "is_list", False):
            raise Unsupported("make of " + kind[0])
        inner = kind[1] if kind[0] == "slice" else None
        made = Slice(self.zero(inner) for _ in range(self.value(arguments[1], scope)))
        made.cap = self.value(arguments[2], scope) if len(arguments) > 2 else len(made)
        return made

    @staticmethod
    def attribute(name):
        return name + "_" if name in ("None", "del", "print", "exec") else name

    def value_select(self, node, scope):
        subject = self.value(node[1], scope)
        name = self.attribute(node[2])
        try:
            return getattr(subject, name)
        except AttributeError:
            pass
        method = self.functions.get((getattr(subject, "_kind", None), node[2]))
        if method is None and isinstance(subject, dict):  # of a type that is a map
            method = next((f for key, f in self.functions.items() if isinstance(key, tuple) and key[1] == node[2]), None)
        if method is None:
            raise Unsupported("no %s of %s" % (node[2], node[1][1] if node[1][0] == "name" else type(subject).__name__))
        bound = self.closure(method[1], method[2], self.world)
        return lambda *arguments: bound(subject, *arguments)

    def value_index(self, node, scope):
        container, key = self.value(node[1], scope), self.value(node[2], scope)
        if isinstance(container, dict):
            return container.get(key)
        try:
            return container[key]
        except (IndexError, TypeError) as error:
            raise Panic(str(error))

    def value_cut(self, node, scope):
        _, subject, low, high = node
        return self.value(subject, scope)[self.value(low, scope) if low else None:self.value(high, scope) if high else None]

    def asserted(self, node, scope):
        """Value and whether it is of that type: the surroundings' classes say so with is_a()."""
        value = self.value(node[1], scope)
        kind = node[2][1] if node[2][0] == "pointer" else node[2]
        if not hasattr(value, "is_a"):
            raise Unsupported("a type assertion")
        return value, value.is_a(kind[1])

    def value_assert(self, node, scope):
        value, is_so = self.asserted(node, scope)
        if not is_so:
            raise Panic("interface conversion")
        return value

    def value_type(self, node, scope):
        return node[1]

    def value_composite(self, node, scope):
        _, kind, elements = node
        if kind[0] == "slice":
            return [self.value(value, scope) for _, value in elements]
        if kind[0] == "map":
            return {self.value(key, scope): self.value(value, scope) for key, value in elements}
        if kind[0] == "struct":
            return self.struct(None, kind[1], elements, scope)
        bound = self.bound_type(kind[1])
        if bound is not None:
            if getattr(bound, "is_map", False):
                return {self.value(key, scope): self.value(value, scope) for key, value in elements}
            if getattr(bound, "is_list", False):
                return [self.value(value, scope) for _, value in elements]
            return bound(**{key[1]: self.value(value, scope) for key, value in elements})
        declared = self.types.get(kind[1])
        if declared is None:
            raise Unsupported("the type " + kind[1])
        if declared[0] == "struct":
            return self.struct(kind[1], declared[1], elements, scope)
        return self.value_composite(("composite", declared, elements), scope)

    def bound_type(self, name):
        first, _, rest = name.partition(".")
        value = self.world.names.get(first)
        return getattr(value, rest, None) if rest else value

    def struct(self, name, fields, elements, scope):
        values = {field: self.zero(kind) for field, kind in fields}
        for i, (key, value) in enumerate(elements):
            values[key[1] if key is not None else fields[i][0]] = self.value(value, scope)
        return Struct(name, values)

    def zero(self, kind):
        if kind is None or kind[0] in ("pointer", "slice", "map", "functype", "interface", "chan"):
            return None
        if kind[0] == "struct":
            return Struct(None, {field: self.zero(inner) for field, inner in kind[1]})
        name = kind[1]
        if name in NUMBERS:
            return 0
        if name in ("string", "bool", "float64", "float32", "error"):
            return {"string": "", "bool": False, "error": None}.get(name, 0.0)
        if name in self.types:
            return self.zero(self.types[name])
        bound = self.bound_type(name)
        if getattr(bound, "is_map", False) or getattr(bound, "is_list", False):
            return None
        return bound() if isinstance(bound, type) else None

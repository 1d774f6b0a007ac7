"""Every resource, argument and block of a Terraform directory against a provider's schema, and every name against its declaration.

    check(directory, schema) -> ["main.tf:12: aws_vpc.this: no argument cidr_blok", ...]

What it cannot know: rules on values, what excludes what, how often a block may stand, and anything that takes evaluation.
"""
import glob
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import hcl  # noqa: E402

META = {"count", "for_each", "provider", "depends_on"}
META_BLOCKS = {"lifecycle", "provisioner", "connection"}
MODULE_META = {"source", "version", "providers", "count", "for_each", "depends_on"}
BUILT_IN = {"terraform_data"}


class Directory:
    """What a directory's files declare, and the expressions in them."""

    def __init__(self, path):
        self.path = path
        self.files = {}
        for name in sorted(glob.glob(os.path.join(path, "*.tf"))):
            with open(name) as f:
                self.files[os.path.basename(name)] = hcl.parse(f.read(), os.path.basename(name))
        self.variables = {b.labels[0]: b for _, b in self.blocks("variable")}
        self.outputs = {b.labels[0]: b for _, b in self.blocks("output")}
        self.modules = {b.labels[0]: b for _, b in self.blocks("module")}
        self.locals = {name for _, b in self.blocks("locals") for name in b.arguments}
        self.things = {(kind, *b.labels): (file, b) for kind in ("resource", "data") for file, b in self.blocks(kind)}

    def blocks(self, kind):
        for file, whole in self.files.items():
            for block in whole.of(kind):
                yield file, block

    def expressions(self):
        for file, whole in self.files.items():
            for expression in hcl.expressions(whole):
                yield file, expression

    def used(self):
        return {reference[:2] for _, expression in self.expressions() for reference in hcl.references(expression)}

    def wanted(self):
        return {key[:2] for key in self.things}


def wanted(paths):
    """The types that these directories use: what a schema has to hold."""
    return set().union(*(Directory(path).wanted() for path in paths))


class Checker:
    def __init__(self, directory, schema):
        self.it, self.schema, self.faults = directory, schema, []

    def fault(self, file, line, what):
        self.faults.append(f"{file}:{line}: {what}")

    # --- resources ------------------------------------------------------------------------------------------------------------

    def things(self):
        for (kind, of, name), (file, block) in self.it.things.items():
            if of in BUILT_IN:
                continue
            known = self.schema[kind].get(of)
            if known is None:
                self.fault(file, block.line, f"the provider has no {'data source' if kind == 'data' else kind} {of}")
            else:
                self.body(file, f"{of}.{name}", block, known, top=True)

    def body(self, file, where, block, node, top=False):
        given = set(block.arguments)
        for name, expression in block.arguments.items():
            if not (top and name in META):
                self.argument(file, where, name, expression.line, node)
        for inner in block.blocks:
            if top and inner.kind in META_BLOCKS:
                continue
            given.add(self.inner(file, where, inner, node))
        required = {name for name, facts in [*node["arguments"].items(), *node["blocks"].items()] if facts["required"]}
        for name in sorted(required - given):
            self.fault(file, block.line, f"{where}: {name} is required")

    def argument(self, file, where, name, line, node):
        if name in node["blocks"] and not node["blocks"][name]["either"]:
            self.fault(file, line, f"{where}: {name} is a block, not an argument")
        elif name in node["arguments"] and not (node["arguments"][name]["required"] or node["arguments"][name]["optional"]):
            self.fault(file, line, f"{where}: {name} is for AWS to say")
        elif name not in node["blocks"] and name not in node["arguments"]:
            self.fault(file, line, f"{where}: no argument {name}")

    def inner(self, file, where, block, node):
        name, content = block.kind, block
        if name == "dynamic":
            name, (content,) = block.labels[0], block.of("content")
        if node["arguments"].get(name, {}).get("any"):
            return name
        if name not in node["blocks"]:
            self.fault(file, block.line, f"{where}: no block {name}")
        else:
            self.body(file, f"{where}.{name}", content, node["blocks"][name]["node"])
        return name

    # --- names ----------------------------------------------------------------------------------------------------------------

    def names(self):
        for file, expression in self.it.expressions():
            for reference in hcl.references(expression):
                self.name(file, expression.line, reference)

    def name(self, file, line, reference):
        head, second = reference[:2]
        if head == "var" and second not in self.it.variables:
            self.fault(file, line, f"variable {second} is not declared")
        elif head == "local" and second not in self.it.locals:
            self.fault(file, line, f"local {second} is not declared")
        elif head == "module":
            self.output(file, line, reference)
        elif head == "data":
            self.attribute(file, line, reference)
        elif head.startswith("aws_"):
            self.attribute(file, line, ("resource", *reference))

    def attribute(self, file, line, reference):
        key, rest = reference[:3], reference[3:]
        spelled = ".".join(reference[1:3] if reference[0] == "resource" else reference[:3])
        if key not in self.it.things:
            self.fault(file, line, f"{spelled} is not declared")
        elif rest and key[1] in self.schema[key[0]]:
            node = self.schema[key[0]][key[1]]
            if rest[0] not in node["arguments"] and rest[0] not in node["blocks"]:
                self.fault(file, line, f"{spelled} has no attribute {rest[0]}")

    # --- modules --------------------------------------------------------------------------------------------------------------

    def child(self, block):
        source = block.arguments["source"].text.strip('"')
        return Directory(os.path.normpath(os.path.join(self.it.path, source))) if source.startswith(".") else None

    def output(self, file, line, reference):
        if reference[1] not in self.it.modules:
            self.fault(file, line, f"module {reference[1]} is not declared")
            return
        child = self.child(self.it.modules[reference[1]])
        if child and len(reference) > 2 and reference[2] not in child.outputs:
            self.fault(file, line, f"module {reference[1]} has no output {reference[2]}")

    def modules(self):
        for file, block in self.it.blocks("module"):
            child = self.child(block)
            if not child:
                continue
            if not child.files:
                self.fault(file, block.line, f"module {block.labels[0]}: nothing at {block.arguments['source'].text}")
                continue
            given = set(block.arguments) - MODULE_META
            for name in sorted(given - set(child.variables)):
                self.fault(file, block.line, f"module {block.labels[0]}: it has no variable {name}")
            required = {name for name, variable in child.variables.items() if "default" not in variable.arguments}
            for name in sorted(required - given):
                self.fault(file, block.line, f"module {block.labels[0]}: {name} is required")

    # --- habits ---------------------------------------------------------------------------------------------------------------

    def habits(self):
        used = self.it.used()
        for file, block in self.it.blocks("variable"):
            if ("var", block.labels[0]) not in used - self.of_own_rules(block):
                self.fault(file, block.line, f"variable {block.labels[0]} is not used")
            for needed in ("description", "type"):
                if needed not in block.arguments:
                    self.fault(file, block.line, f"variable {block.labels[0]} has no {needed}")
        for file, block in self.it.blocks("locals"):
            for name, expression in block.arguments.items():
                if ("local", name) not in used:
                    self.fault(file, expression.line, f"local {name} is not used")
        for file, block in self.it.blocks("output"):
            if "description" not in block.arguments:
                self.fault(file, block.line, f"output {block.labels[0]} has no description")
        for (kind, of, name), (file, block) in self.it.things.items():
            if kind == "data" and ("data", of) not in used:
                self.fault(file, block.line, f"data.{of}.{name} is not used")

    def of_own_rules(self, variable):
        """A variable that nothing but its own rules mention, and those nothing else, is not used."""
        me = ("var", variable.labels[0])
        own = [ref[:2] for e in hcl.expressions(variable) for ref in hcl.references(e) if ref[0] in ("var", "local")]
        everywhere = sum(ref[:2] == me for _, e in self.it.expressions() for ref in hcl.references(e))
        return {me} if own.count(me) == everywhere and set(own) <= {me} else set()


def check(path, schema):
    try:
        directory = Directory(path)
    except hcl.Wrong as wrong:
        return [str(wrong)]
    checker = Checker(directory, schema)
    checker.things()
    checker.names()
    checker.modules()
    checker.habits()
    return checker.faults

"""README.md of each module and example of infra/, from what its files say.

    python3 tools/infra_docs.py            writes them
    python3 tools/infra_docs.py --check    prints those that are not current; exit status 1 if there are any

The first comment of main.tf is the head; then providers, inputs, outputs, what is made and what is used. Nothing is written by hand in
such a page: what is to be said stands in the files.
"""
import glob
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tools"))
import hcl  # noqa: E402

NOTICE = "<!-- Made by tools/infra_docs.py from the files here: make docs. -->"


def head(text):
    """The comment that a file begins with, as sentences, and what is drawn in it."""
    words, drawn = [], []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        line = line[1:].rstrip()
        (drawn if line.startswith("   ") else words).append(line[1:] if line.startswith(" ") else line)
    return " ".join(word for word in words if word), [line[2:] for line in drawn]


def string(expression):
    """The text of a quoted string."""
    return re.sub(r'\\(["\\])', r"\1", expression.text[1:-1]).replace("$${", "${")


def cell(text):
    return text.replace("|", "\\|")


def default(block):
    given = block.arguments.get("default")
    if given is None:
        return "required"
    return "`" + (given.text if len(given.text) <= 60 else given.text[:57] + "...").replace("`", "'") + "`"


def kind(block):
    text = block.arguments["type"].text
    return "`" + (text if len(text) <= 40 else text.split("(")[0] + "(...)") + "`"


def described(block):
    return string(block.arguments["description"]) if "description" in block.arguments else ""


def table(title, header, rows):
    if not rows:
        return []
    return ["", f"## {title}", "", "| " + " | ".join(header) + " |", "|" + "---|" * len(header),
            *("| " + " | ".join(cell(value) for value in row) + " |" for row in rows)]


class Pages:
    def __init__(self, directory):
        self.directory, self.files = directory, {}
        for path in sorted(glob.glob(os.path.join(directory, "*.tf"))):
            with open(path) as f:
                self.files[os.path.basename(path)] = f.read()
        self.parsed = {name: hcl.parse(text, name) for name, text in self.files.items()}

    def blocks(self, kind_of):
        return [block for whole in self.parsed.values() for block in whole.of(kind_of)]

    def providers(self):
        for terraform in self.blocks("terraform"):
            yield "terraform", string(terraform.arguments["required_version"])
            for required in terraform.of("required_providers"):
                for name, expression in required.arguments.items():
                    version = re.search(r'version = "([^"]*)"', expression.text)
                    yield name, version[1] if version else "any"

    def made(self):
        counted = {}
        for block in self.blocks("resource"):
            counted.setdefault(block.labels[0], []).append(block.labels[1])
        return [(f"`{of}`", ", ".join(f"`{name}`" for name in names)) for of, names in sorted(counted.items())]

    def used(self):
        for block in self.blocks("module"):
            source = string(block.arguments["source"])
            yield f"`{block.labels[0]}`", f"[{os.path.basename(source)}]({source})"

    def page(self):
        words, drawn = head(self.files["main.tf"])
        folder = os.path.basename(os.path.dirname(self.directory)).removesuffix("s")
        lines = [f"# {folder.capitalize()} {os.path.basename(self.directory)}", "", NOTICE, "", words]
        lines += ["", *("    " + line for line in drawn)] if drawn else []
        lines += table("Needs", ("what", "version"), [(f"`{name}`", f"`{version}`") for name, version in self.providers()])
        lines += table("Inputs", ("name", "what it is", "type", "default"),
                       [(f"`{b.labels[0]}`", described(b), kind(b), default(b)) for b in self.blocks("variable")])
        lines += table("Outputs", ("name", "what it is"), [(f"`{b.labels[0]}`", described(b)) for b in self.blocks("output")])
        lines += table("Makes", ("kind", "called"), self.made())
        lines += table("Uses", ("as", "module"), list(self.used()))
        return "\n".join(lines) + "\n"


def pages():
    for versions in sorted(glob.glob(os.path.join(ROOT, "infra", "*", "*", "versions.tf"))):
        directory = os.path.dirname(versions)
        yield os.path.join(directory, "README.md"), Pages(directory).page()


def main(check):
    stale = []
    for path, text in pages():
        old = None
        if os.path.exists(path):
            with open(path) as f:
                old = f.read()
        if old != text:
            stale.append(os.path.relpath(path, ROOT))
            if not check:
                with open(path, "w") as f:
                    f.write(text)
    for path in stale:
        print(f"{path} is old: make docs" if check else path)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))

"""The schema of AWS provider 6.66.0, read out of the npm package @cdktn/provider-aws, which is generated from it.

The package is fetched once into a cache beside the repository's users, never into the repository; its checksum is pinned. For each
resource it holds a class for each block, with a comment for each argument (computed, optional, required), and a function that says which
of them are blocks. What it does not hold: rules on values, how often a block may stand, what excludes what.

A schema is {"resource": {type: node}, "data": {type: node}}, a node {"arguments": {name: {"required", "optional", "computed"}},
"blocks": {name: {"required", "either", "node"}}}; `either`: a list of objects, which may be written as a block or as an argument.
An argument with "any" may be a block of whatever is in it: the package gives up on blocks that hold themselves (WAF's statements).
"""
import base64
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile

PACKAGE = "@cdktn/provider-aws"
VERSION = "25.7.0"
PROVIDER = "6.66.0"
INTEGRITY = "sha512-E/nhu0yVZE4mXMgIPuI8tEFt1BExLkA7ARjihdG+/HmfDfzLr+OEF3dkFRvI6glRt30lrrBWQLwXqCJBxcmyUg=="

CLASS = re.compile(r"^class (\w+) extends cdktn\.(\w+) \{(.*?)^\}", re.M | re.S)
COMMENT = re.compile(r"// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n"
                     r"(?:    \w+ = new (\w+)\(this, \"\w+\")?")
ANY = re.compile(r"(\w+): \{\s+value: cdktn\.anyToHclTerraform\(")
TYPE = re.compile(r'static tfResourceType = "(\w+)"')
BLOCK = re.compile(r"(\w+): \{\s+value: (?:(?!isBlock).)*?isBlock: true,", re.S)
FUNCTION = re.compile(r"^function (\w+)ToHclTerraform\(struct\) \{(.*?)^\}", re.M | re.S)


def cache():
    place = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    place = os.path.join(place, "afluxo")
    os.makedirs(place, exist_ok=True)
    return place


def right(path):
    with open(path, "rb") as f:
        digest = hashlib.file_digest(f, "sha512") if hasattr(hashlib, "file_digest") else hashlib.sha512(f.read())
    return INTEGRITY == "sha512-" + base64.b64encode(digest.digest()).decode()


def package():
    """Path of the package's archive, fetched if it is not there."""
    kept = os.path.join(cache(), f"cdktn-provider-aws-{VERSION}.tgz")
    if os.path.exists(kept) and right(kept):
        return kept
    with tempfile.TemporaryDirectory(dir=cache()) as where:
        done = subprocess.run(["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=where, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"npm pack {PACKAGE}@{VERSION}: {done.stderr.strip()[-500:]}")
        made = os.path.join(where, done.stdout.split()[-1])
        if not right(made):
            raise RuntimeError(f"{PACKAGE}@{VERSION} is not what it was when its checksum was written down ({INTEGRITY[:20]}...)")
        os.replace(made, kept)
    return kept


def folder(kind, name):
    """aws_s3_bucket -> s3-bucket; data sources: data-aws-s3-bucket."""
    return ("data-aws-" if kind == "data" else "") + name.removeprefix("aws_").replace("_", "-")


def lower(name):
    return name[0].lower() + name[1:]


def node(classes, blocks, name):
    """The node of a class: its arguments, and its blocks with theirs. `blocks`: by class, the names of blocks and of what may be any."""
    are_blocks, are_any = blocks.get(name, ((), ()))
    found = {"arguments": {}, "blocks": {}}
    for argument, computed, optional, required, inner in COMMENT.findall(classes[name]):
        facts = {"computed": computed == "true", "optional": optional == "true", "required": required == "true"}
        if argument in are_blocks:
            made = re.sub("List$", "OutputReference", inner)
            found["blocks"][argument] = {"required": facts["required"], "either": facts["computed"], "node": node(classes, blocks, made)}
        else:
            found["arguments"][argument] = {**facts, "any": argument in are_any}
    return found


def kinds(body):
    return set(BLOCK.findall(body)), set(ANY.findall(body))


def read(text):
    """(type, node) of one resource's index.js."""
    classes, whole, of = {}, None, None
    for name, base, body in CLASS.findall(text):
        classes[name] = body
        if base in ("TerraformResource", "TerraformDataSource"):
            whole, of = name, TYPE.search(body)[1]
    blocks = {whole: kinds(classes[whole][classes[whole].index("synthesizeHclAttributes"):])}
    named = {lower(re.sub("OutputReference$", "", name)): name for name in classes if name.endswith("OutputReference")}
    for name, body in FUNCTION.findall(text):
        if name in named:
            blocks[named[name]] = kinds(body)
    return of, node(classes, blocks, whole)


def load(wanted):
    """The schema of `wanted`, pairs of ("resource" or "data", type); what the provider does not know is not in it."""
    paths = {f"package/lib/{folder(kind, name)}/index.js": kind for kind, name in wanted}
    schema = {"resource": {}, "data": {}}
    with tarfile.open(package(), "r|gz") as archive:
        for member in archive:
            if member.name in paths:
                of, found = read(archive.extractfile(member).read().decode())
                schema[paths[member.name]][of] = found
    return schema


if __name__ == "__main__":
    import json
    json.dump(load({tuple(arg.split(".", 1)) for arg in sys.argv[1:]}), sys.stdout, indent=1)

"""The schema of the AWS provider that Terraform has here, as `terraform providers schema -json` prints it, in the form of provider6.py."""
import json
import subprocess


def facts(attribute):
    return {name: bool(attribute.get(name)) for name in ("computed", "optional", "required")}


def objects(attribute):
    """A list or set of objects: an argument that may be written as a block."""
    kind = attribute.get("type")
    many = isinstance(kind, list) and kind[0] in ("list", "set") and isinstance(kind[1], list) and kind[1][0] == "object"
    return many and attribute.get("optional")


def of_object(attributes):
    return {"arguments": {name: {"computed": True, "optional": True, "required": False} for name in attributes}, "blocks": {}}


def node(block):
    found = {"arguments": {}, "blocks": {}}
    for name, attribute in block.get("attributes", {}).items():
        if objects(attribute):
            found["blocks"][name] = {"required": False, "either": True, "node": of_object(attribute["type"][1][1])}
        else:
            found["arguments"][name] = facts(attribute)
    for name, inner in block.get("block_types", {}).items():
        found["blocks"][name] = {"required": inner.get("min_items", 0) > 0, "either": False, "node": node(inner["block"])}
    return found


def load(program, directory, env, wanted):
    """`directory`: a configuration that was initialised and requires hashicorp/aws."""
    done = subprocess.run([program, "providers", "schema", "-json"], cwd=directory, env=env, stdout=subprocess.PIPE, check=True)
    said = json.loads(done.stdout)
    aws = next(schema for name, schema in said["provider_schemas"].items() if name.endswith("/hashicorp/aws"))
    kinds = {"resource": aws["resource_schemas"], "data": aws["data_source_schemas"]}
    return {kind: {name: node(known[name]["block"]) for asked, name in wanted if asked == kind and name in known}
            for kind, known in kinds.items()}

"""aws_calls.c, built beside build/libafluxo.so: every call of src/aws from a test."""
import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))


class Failed(Exception):
    """A call that failed: its status and message."""

    def __init__(self, text):
        super().__init__(text)
        self.status, _, self.message = text.strip().partition(": ")


def build(directory):
    program = os.path.join(directory, "aws_calls")
    library = os.path.abspath(BUILD)
    subprocess.run([os.environ.get("CC", "gcc"), "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-I" + os.path.join(ROOT, "src"),
                    "-I" + ROOT, "-o", program, os.path.join(ROOT, "test", "conformance", "aws_calls.c"), os.path.join(library, "libafluxo.so"),
                    "-Wl,-rpath," + library, "-lpthread"], check=True)
    return program


def run(program, *args, env):
    """The rows that the call printed."""
    p = subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=120, env=env)
    if p.returncode != 0:
        raise Failed(p.stderr)
    return [json.loads(line) for line in p.stdout.splitlines()]

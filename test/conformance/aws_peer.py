"""aws_peer.c, built beside build/libafluxo.so and kept on a pipe: what src/aws signs, resolves and finds, asked from a test."""
import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD", os.path.join(ROOT, "build"))


class Failed(Exception):
    """A call that failed: its status and message."""

    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Peer:
    def __init__(self, directory):
        program = os.path.join(directory, "aws_peer")
        library = os.path.abspath(BUILD)
        subprocess.run([os.environ.get("CC", "gcc"), "-std=c17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                        "-I" + os.path.join(ROOT, "src"), "-o", program, os.path.join(ROOT, "test", "conformance", "aws_peer.c"),
                        os.path.join(library, "libafluxo.so"), "-Wl,-rpath," + library, "-lpthread"], check=True)
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, call, **arguments):
        self.process.stdin.write(json.dumps({"do": call, **arguments}).encode() + b"\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise Failed(answer["error"], answer["message"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()

"""The loader as Lambda runs it: cold start to the first byte, and peak memory and time of one object of 10 MB, Parquet and line protocol.

    python3 bench/lambda.py [BOOTSTRAP]      default: build/lambda/x86_64/bootstrap (make lambda), else `afluxo lambda`

Cold start is from the fork of the process until it asks the runtime API for its first event: program load, relocations, configuration,
libcurl and its TLS, one connection. Objects come from a server that speaks S3, the target is Debian's influxd; all are on this machine. Where root may, the program runs in an empty root, as in test/conformance/test_lambda_zip.py; else as it lies there.
"""
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "test", room) for room in ("e2e", "lib")]
import lib  # noqa: E402
from lying_s3 import LyingS3  # noqa: E402
from runtime_api import RuntimeApi  # noqa: E402

STARTS, LINES, PLANTS, GOAL_MS, GOAL_MIB = 15, 305000, 2900, 10, 64


def s3_event(key):
    return {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "bucket"}, "object": {"key": key}}}]}


class Sandbox:
    """One process of the function, asking an API of its own."""

    def __init__(self, command, root, event, **env):
        self.api = RuntimeApi(timeout=120)
        self.request = self.api.put(event, left=120)
        env = {"AWS_LAMBDA_RUNTIME_API": self.api.address, "_HANDLER": "loader", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
               "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "INFLUXDB_TOKEN": "any:thing",
               "AWS_EC2_METADATA_DISABLED": "true", **env}
        self.begun = time.perf_counter()
        self.process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL,
                                        preexec_fn=(lambda: (os.chroot(root), os.chdir("/"))) if root else None)
        while not self.api.taken:
            time.sleep(0.0001)
        self.first_ms = (time.perf_counter() - self.begun) * 1e3

    def memory(self, name):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) / 1024 for line in f if line.startswith(name))

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.api.close()


def cpu_s():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def empty_root(program):
    root = tempfile.mkdtemp(prefix="afluxo-root-")
    os.mkdir(os.path.join(root, "tmp"))
    shutil.copy(program, os.path.join(root, "bootstrap"))
    return root


def put_objects(s3):
    """A month of hourly rows as the platform's Spark job writes it, and lines."""
    s3.put("load.lp", "SE", LINES)
    with tempfile.TemporaryDirectory(prefix="afluxo-generate-") as out:
        subprocess.run([lib.RELEASE, "generate", "ons", "--out", out, "--from", "2024-01-01", "--to", "2024-02-01", "--plants", str(PLANTS),
                        "--quiet"], check=True)
        key = "dataset=generation/year=2024/month=01/part-000.parquet"
        with open(os.path.join(out, key), "rb") as f:
            s3.objects[key.encode()] = f.read()
    return ["load.lp", key]


def cold_starts(command, root, env):
    firsts = []
    for _ in range(STARTS):
        sandbox = Sandbox(command, root, {"Event": "s3:TestEvent"}, **env)
        firsts.append(sandbox.first_ms)
        sandbox.api.wait(sandbox.request)
        idle_mib = sandbox.memory("VmRSS")
        sandbox.end()
    return {"cold_start_ms_median": round(statistics.median(firsts), 2), "cold_start_ms_least": round(min(firsts), 2),
            "idle_mib": round(idle_mib, 1)}


def load(command, root, env, s3, key):
    before = cpu_s()
    sandbox = Sandbox(command, root, s3_event(key), **env)
    kind, body = sandbox.api.wait(sandbox.request)
    seconds = time.perf_counter() - sandbox.begun
    peak_mib = sandbox.memory("VmHWM")
    sandbox.end()
    assert (kind, body["statusCode"]) == ("response", 200), body
    return {"object": key, "object_bytes": len(s3.objects[key.encode()]), "points": body["data"]["points_written"],
            "seconds": round(seconds, 3), "cpu_s": round(cpu_s() - before, 3), "peak_mib": round(peak_mib, 1)}


def measure(command, root):
    influxd, s3 = lib.Influxd(), LyingS3()
    influxd.query("CREATE DATABASE energy_data")
    env = {"INFLUXDB_URL": influxd.url, "AWS_ENDPOINT_URL": s3.url}
    keys = put_objects(s3)
    result = {**cold_starts(command, root, env), "loads": [load(command, root, env, s3, key) for key in keys]}
    influxd.close()
    s3.close()
    return result


def main():
    built = os.path.join(lib.ROOT, os.environ.get("BUILD", "build"), "lambda", "x86_64", "bootstrap")
    program = sys.argv[1] if len(sys.argv) > 1 else built if os.path.exists(built) else None
    root = empty_root(program) if program and os.geteuid() == 0 else None
    command = ["/bootstrap"] if root else [os.path.abspath(program)] if program else [lib.RELEASE, "lambda", "loader"]
    result = measure(command, root)
    if root:
        shutil.rmtree(root)
    print(json.dumps({"program": program or "afluxo lambda", "empty_root": bool(root), **result}))
    print(f"cold start {result['cold_start_ms_median'] / GOAL_MS:.2f} of the goal of {GOAL_MS} ms; "
          f"peak memory {max(one['peak_mib'] for one in result['loads']) / GOAL_MIB:.2f} of the goal of {GOAL_MIB} MiB")


main()

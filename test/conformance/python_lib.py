"""The Python package out of the tree, over the library that `make` built ($BUILD/python/libafluxo.so); imported before `afluxo` is."""
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
LIBRARY = os.path.join(BUILD, "python", "libafluxo.so")
PACKAGE = os.path.join(ROOT, "python", "src")
os.environ.setdefault("AFLUXO_LIBRARY", LIBRARY)
sys.dont_write_bytecode = True
for path in (os.path.join(ROOT, "test", "e2e"), PACKAGE):
    if path not in sys.path:
        sys.path.insert(0, path)


def environment(**more):
    """For a process that imports the package out of the tree."""
    return {**os.environ, "PYTHONPATH": PACKAGE, "PYTHONDONTWRITEBYTECODE": "1", **more}


def servers(lib):
    """Where the clients of InfluxDB 2 are tried: name, URL, token, organisation, and the server to stop, if it is ours."""
    own = lib.Server(binary=lib.RELEASE)
    found = [("afluxo", own.url, own.token, "afluxo", own)]
    if os.environ.get("AFLUXO_TEST_INFLUXDB2"):  # a real one, as in test/e2e/test_influx2.py
        found.append(("influxdb2", os.environ["AFLUXO_TEST_INFLUXDB2"], os.environ.get("AFLUXO_TEST_INFLUXDB2_TOKEN", ""),
                      os.environ.get("AFLUXO_TEST_INFLUXDB2_ORG", ""), None))
    return found

"""What a real influxd on this machine does beside afluxo. Standard library only.

    influxd.py rate FILE                        line protocol through /write, MB per second: 10,000 lines a request, two connections
    influxd.py peak AFLUXO FILE SECONDS         `afluxo migrate` of a file, ended after so long; the most memory it held, MB
"""
import http.client
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "test", "e2e"))
import lib

LINES = 10000


def requests(path):
    with open(path, "rb") as f:
        lines = f.readlines()
    return [b"".join(lines[i:i + LINES]) for i in range(0, len(lines), LINES)]


def send(port, bodies, failures):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for body in bodies:
        connection.request("POST", "/write?db=b&precision=ns", body)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status != 204:
            failures.append("%d %s" % (answer.status, text[:200]))
            return


def rate(path):
    bodies, failures = requests(path), []
    server = lib.Influxd()
    server.query("CREATE DATABASE b")
    threads = [threading.Thread(target=send, args=(server.port, bodies[i::2], failures)) for i in range(2)]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took = time.monotonic() - start
    server.close()
    if failures:
        sys.exit(failures[0])
    return "%.1f" % (sum(map(len, bodies)) / took / 1e6)


def peak_of(pid):
    with open("/proc/%d/status" % pid) as f: # a process that has just ended has no such line
        return max((-(-int(line.split()[1]) // 1024) for line in f if line.startswith("VmHWM")), default=0)


def peak(afluxo, path, seconds):
    server = lib.Influxd()
    with tempfile.TemporaryDirectory() as state:
        process = subprocess.Popen([afluxo, "migrate", path, "--to", server.url, "--bucket", "b", "--create", "--state", state, "--quiet"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        stop, most = time.monotonic() + float(seconds), 0
        while process.poll() is None and time.monotonic() < stop:
            most = max(most, peak_of(process.pid))
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        messages = process.communicate()[1].decode(errors="replace")
    server.close()
    if process.returncode not in (0, 5):
        sys.exit("migrate: exit code %d: %s" % (process.returncode, messages[-500:]))
    return most


print({"rate": rate, "peak": peak}[sys.argv[1]](*sys.argv[2:]))

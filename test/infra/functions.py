"""Lambda's functions for Terraform: an invocation runs the real program with the environment that the function was created with.

    front.functions = Functions(front.url, more={"INFLUXDB_CA_FILE": instance.ca})

answers what aws_lambda_invocation asks (POST /2015-03-31/functions/NAME/invocations): handler, time-out and environment are those that moto
keeps, the program is a custom runtime at a stand-in of the runtime API (test/lib/runtime_api.py). What it answers, and what it says in its
log, is in `calls`. Functions that the zip would hold are those of the program: the zip is not looked at.

Proxy is a way to a host that is none here: https://anything.on.aws becomes a port of this machine, with TLS from end to end.
"""
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", room) for room in ("conformance", "e2e", "lib"))]
import lib  # noqa: E402
from aws_lib import KEYS  # noqa: E402
from instance import Instance  # noqa: E402
from runtime_api import RuntimeApi  # noqa: E402

PATH = re.compile(r"^/2015-03-31/functions/([^/?]+)/invocations(\?.*)?$")
KIND = [("Content-Type", "application/json")]


class Functions:
    def __init__(self, url, more=None, before=None):
        """`url`: where AWS is. `more`: variables besides the function's own. `before`: called with name and event of each invocation."""
        import boto3
        self.url, self.more, self.before, self.calls, self.lock = url, more or {}, before, [], threading.Lock()
        self.client = boto3.client("lambda", endpoint_url=url, region_name="us-east-1", aws_access_key_id="testing",
                                   aws_secret_access_key="testing")

    def answer(self, method, path, body):
        """(status, headers, body), or None where nobody is invoked."""
        found = PATH.match(path)
        if method != "POST" or not found:
            return None
        name = urllib.parse.unquote(found[1]).rpartition(":function:")[2]
        function = self.client.get_function(FunctionName=name)["Configuration"]
        if self.before:
            self.before(name, json.loads(body or b"{}"))
        kind, said, log = self.run(function, body or b"{}")
        with self.lock:
            self.calls.append({"function": name, "event": json.loads(body or b"{}"), "outcome": kind, "answer": said, "log": log})
        headers = KIND + [("X-Amz-Executed-Version", "$LATEST")] + ([("X-Amz-Function-Error", "Unhandled")] if kind != "response" else [])
        return 200, headers, json.dumps(said).encode()

    def run(self, function, body):
        api = RuntimeApi(timeout=function["Timeout"] + 30)
        variables = function.get("Environment", {}).get("Variables", {})
        env = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "INFLUX")) and not k.lower().endswith("_proxy")}
        env.update(KEYS, AWS_ENDPOINT_URL=self.url, AWS_LAMBDA_RUNTIME_API=api.address, **variables)
        env.update(self.more)
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen([lib.BINARY, "lambda", function["Handler"]], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            request = api.put(body, left=function["Timeout"])
            watch = threading.Thread(target=self.settle_the_dead, args=(process, api, request), daemon=True)
            watch.start()
            kind, said = api.wait(request)
            process.kill()
            process.wait()
            api.close()
            log.seek(0)
            return kind, said if said is not None else {"errorMessage": f"the program ended: {kind}", "errorType": "Runtime.ExitError"}, log.read()

    @staticmethod
    def settle_the_dead(process, api, request):
        """A program that ends answers no more."""
        process.wait()
        init = api.outcomes.get("init")
        with api.lock:
            if request not in api.outcomes:
                api.settle(request, ("error", init[1]) if init else ("exited", None))


class Provisioned:
    """Functions with an instance behind them (instance.py), which has the password that its first secret says when it is first asked for. The
    control plane must keep its secrets in moto (Plane(aws=...)). Nothing is started before a function is invoked."""

    def __init__(self, moto, front):
        self.moto, self.front, self.instance, self.proxy, self.seen, self.lock = moto, front, None, None, set(), threading.Lock()
        self.functions = front.functions = Functions(front.url, before=self.before)

    def before(self, name, event):
        with self.lock:
            if self.instance is None:
                self.instance = Instance()
                self.proxy = Proxy(self.instance.port)
                self.functions.more = {"https_proxy": self.proxy.url, "INFLUXDB_CA_FILE": self.instance.ca, "PROVISION_WAIT_SECONDS": "5"}
            first = event.get("admin", {}).get("initial_secret")
            if first and first not in self.seen:
                self.seen.add(first)
                value = self.moto.client("secretsmanager").get_secret_value(SecretId=first)["SecretString"]
                self.instance.begin(json.loads(value)["password"])

    def close(self):
        self.front.functions = None
        if self.instance is not None:
            self.proxy.close()
            self.instance.close()


class Proxy:
    """CONNECT, whatever the host, to `port` of this machine."""

    def __init__(self, port):
        self.to, self.hosts = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(link,), daemon=True).start()

    def serve(self, link):
        head = b""
        while b"\r\n\r\n" not in head:
            piece = link.recv(4096)
            if not piece:
                return link.close()
            head += piece
        self.hosts.append(head.split()[1].decode())
        try:
            there = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            link.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return link.close()
        link.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        for a, b in ((link, there), (there, link)):
            threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    @staticmethod
    def pump(a, b):
        try:
            while piece := a.recv(65536):
                b.sendall(piece)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()

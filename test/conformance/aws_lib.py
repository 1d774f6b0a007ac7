"""What the tests of AWS share: moto's server (S3, SQS, Secrets Manager, STS ...), boto3 to look at it, a runtime API of Lambda."""
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import lib  # noqa: E402
import boto3  # noqa: E402

REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION,
        "AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"}


class Moto:
    """moto's server in a process of its own, on a free loopback port."""

    def __init__(self):
        self.port = lib.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + "/moto-api/data.json", timeout=5).read()
                return
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.05)
        self.close()
        raise RuntimeError("moto's server did not start")

    def close(self):
        self.process.kill()
        self.process.wait()

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="testing",
                            aws_secret_access_key="testing")

    def env(self, url=None, **more):
        return {**os.environ, **KEYS, "AWS_ENDPOINT_URL": url or self.url, **more}


class RuntimeApi:
    """Lambda's runtime API as its documentation describes it: events handed out one by one, what came of them kept.

    invoke(event) puts one in line and waits for its outcome: ("response", body), ("error", body), ("init", body) or ("lost", None).
    """

    def __init__(self, timeout=30):
        self.timeout, self.lock = timeout, threading.Condition()
        self.waiting, self.outcomes, self.taken, self.serial = [], {}, [], 0
        self.too_large = self.broken = False
        self.drop = 0  # so many of the next requests are hung up on
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, status, body=b"", headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                try:
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:  # who asked is gone
                    self.close_connection = True

            def hang_up(self):
                with api.lock:
                    if api.drop == 0:
                        return False
                    api.drop -= 1
                self.close_connection = True
                self.connection.close()
                return True

            def do_GET(self):
                if self.path != "/2018-06-01/runtime/invocation/next" or self.hang_up():
                    return
                with api.lock:
                    while not api.waiting and not api.broken:
                        api.lock.wait(0.2)
                    if api.broken:
                        return self.answer(500, b"{}")
                    request, event, left = api.waiting.pop(0)
                    api.taken.append(request)
                self.answer(200, event, [("Lambda-Runtime-Aws-Request-Id", request),
                                         ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + left) * 1000))),
                                         ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:loader"),
                                         ("Lambda-Runtime-Invocation-Id", "inv-" + request),
                                         ("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793")])

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.hang_up():
                    return
                parts = self.path.split("/")
                if self.path.endswith("/init/error"):
                    api.keep("init", ("init", json.loads(body)))
                    return self.answer(202)
                request, kind = parts[4], parts[5]
                if self.headers.get("Lambda-Runtime-Invocation-Id") != "inv-" + request:
                    return self.answer(400, b'{"errorType":"InvalidInvocationId"}')
                if kind == "response" and api.too_large:
                    return self.answer(413, b"{}")
                api.keep(request, (kind, json.loads(body)))
                self.answer(202)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, request, outcome):
        with self.lock:
            self.outcomes[request] = outcome
            self.lock.notify_all()

    def put(self, event, left=30):
        with self.lock:
            self.serial += 1
            request = f"request-{self.serial}"
            self.waiting.append((request, event if isinstance(event, bytes) else json.dumps(event).encode(), left))
            self.lock.notify_all()
            return request

    def wait(self, request):
        end = time.time() + self.timeout
        with self.lock:
            while request not in self.outcomes and time.time() < end:
                self.lock.wait(0.2)
            return self.outcomes.get(request, ("lost", None))

    def invoke(self, event, left=30):
        return self.wait(self.put(event, left))

    def close(self):
        with self.lock:
            self.broken = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()


def s3_event(bucket, *keys, sequencer=None):
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
                         "s3": {"bucket": {"name": bucket}, "object": {"key": urllib.parse.quote_plus(key, safe="/"), "size": 1,
                                                                      "sequencer": sequencer or "0055AED6DCD90281E5"}}} for key in keys]}


def sqs_event(*bodies):
    return {"Records": [{"messageId": f"m{i}", "receiptHandle": f"r{i}", "eventSource": "aws:sqs",
                         "body": body if isinstance(body, str) else json.dumps(body)} for i, body in enumerate(bodies)]}

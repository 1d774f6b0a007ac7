"""Lambda's runtime API, as its documentation describes it, for tests of custom runtimes. Standard library only.

    GET  /2018-06-01/runtime/invocation/next             hands out events one by one; waits while there is none
    POST /2018-06-01/runtime/invocation/ID/response      202; 413 past 6 MB; 400 InvalidInvocationId; 403 if ID is not at work
    POST /2018-06-01/runtime/invocation/ID/error         202; the same
    POST /2018-06-01/runtime/init/error                  202; 403 once an event was asked for

    api = RuntimeApi()
    outcome = api.invoke(event)       ("response", body), ("error", body), ("lost", None) when none came within `timeout` seconds
    api.wait("init")                  ("init", body)

What it does wrong on request: `drop` of the next requests are hung up on before they are looked at, `drop_after` of the next answers
after they were taken; `too_large` refuses every response; `refuse` answers so many requests for an event with 403; `broken` is 500.
A runtime that dies and comes again is one that asks for an event while another is at work: that one becomes ("exited", None), as Lambda
calls it.
"""
import http.server
import json
import socket
import threading
import time

ROOT = "/2018-06-01/runtime/"
RESPONSE_BYTES_MAX = 6 << 20


class RuntimeApi:
    def __init__(self, timeout=30):
        self.timeout, self.lock = timeout, threading.Condition()
        self.waiting, self.outcomes, self.taken, self.serial = [], {}, [], 0
        self.at_work = None       # id of the event that was handed out
        self.asked = False        # for an event, ever
        self.too_large = self.broken = False
        self.drop = self.drop_after = self.refuse = 0
        self.refused = []         # (path, status) of answers that were not taken
        self.error_types = {}     # by id, the header
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: two wait for each other's acknowledgement, 40 ms an answer

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
                    self.wfile.flush()
                except OSError:  # who asked is gone
                    self.close_connection = True

            def hang_up(self, which):
                with api.lock:
                    if getattr(api, which) == 0:
                        return False
                    setattr(api, which, getattr(api, which) - 1)
                self.close_connection = True
                self.connection.close()
                return True

            def is_there(self):
                """Was the runtime not killed while it waited?"""
                try:
                    return self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
                except BlockingIOError:
                    return True
                except OSError:
                    return False

            def no(self, status, kind):
                with api.lock:
                    api.refused.append((self.path, status))
                self.answer(status, json.dumps({"errorType": kind, "errorMessage": kind}).encode())

            def do_GET(self):
                if self.hang_up("drop"):
                    return
                if self.path != ROOT + "invocation/next":
                    return self.answer(404)
                with api.lock:
                    if api.refuse:
                        api.refuse -= 1
                        return self.answer(403, b"{}")
                    api.asked = True
                    if api.at_work is not None:  # it never answered
                        api.settle(api.at_work, ("exited", None))
                    while not api.waiting and not api.broken and self.is_there():
                        api.lock.wait(0.2)
                    if not self.is_there():
                        self.close_connection = True
                        return
                    if api.broken:
                        return self.answer(500, b"{}")
                    request, event, left = api.waiting.pop(0)
                    api.taken.append(request)
                    api.at_work = request
                self.answer(200, event, [("Lambda-Runtime-Aws-Request-Id", request),
                                         ("Lambda-Runtime-Deadline-Ms", str(int((time.time() + left) * 1000))),
                                         ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:123456789012:function:loader"),
                                         ("Lambda-Runtime-Invocation-Id", "inv-" + request),
                                         ("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793")])

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.hang_up("drop"):
                    return
                if self.path == ROOT + "init/error":
                    if api.asked:
                        return self.no(403, "InvalidStateTransition")
                    api.keep("init", ("init", json.loads(body)))
                    return self.answer(202)
                parts = self.path[len(ROOT):].split("/")
                if len(parts) != 3 or parts[0] != "invocation" or parts[2] not in ("response", "error"):
                    return self.answer(404)
                self.take(parts[1], parts[2], body)

            def take(self, request, kind, body):
                if self.headers.get("Lambda-Runtime-Invocation-Id") != "inv-" + request:
                    return self.no(400, "InvalidInvocationId")
                with api.lock:
                    at_work = api.at_work == request
                if not at_work:
                    return self.no(403, "InvalidRequestID")
                if kind == "response" and (api.too_large or len(body) > RESPONSE_BYTES_MAX):
                    return self.no(413, "RequestEntityTooLarge")
                api.error_types[request] = self.headers.get("Lambda-Runtime-Function-Error-Type")
                api.keep(request, (kind, json.loads(body)))
                if not self.hang_up("drop_after"):
                    self.answer(202)

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):  # connections that a killed runtime leaves behind
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def settle(self, request, outcome):  # with the lock
        self.outcomes[request] = outcome
        if self.at_work == request:
            self.at_work = None
        self.lock.notify_all()

    def keep(self, request, outcome):
        with self.lock:
            self.settle(request, outcome)

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

"""A control plane of Amazon Timestream for InfluxDB for tests: all 24 operations over HTTP, its rules, its states, its failures.

    python3 test/lib/tfi_plane.py [--port P] [--state FILE] [--delay create=5] [--aws URL]     prints its URL, then serves

    plane = Plane(delays={"create": 0.2}).start()       at plane.url; or: with Plane() as plane
    plane.fault("GetDbInstance", error="ThrottlingException", count=2)
    plane.advance(6 * 3600)
    plane.stop()

It ends by a signal, when its standard input is a pipe that closes, or after --minutes. It listens on loopback alone. No signature is
verified, but a request must be signed in form: for this service, for this region. The rules are in tfi_service.py and tfi_shapes.py,
what is around it in tfi_world.py. With --state several processes share what they know in one file, under a lock.

Time is real time plus what was added to it, or stands still: nothing needs to be waited for. Control, JSON in and out:
    GET    /plane/state        settings, clock, faults, things (with each one's move)
    POST   /plane/reset        as it was at the start; {"things": false} keeps what was made and forgets faults and requests
    POST   /plane/settings     {"delays": {"create": 60}, "quotas": {"db-instance": 2}, "zones": {"subnet-1": "us-east-1a"}}
    GET    /plane/clock        POST {"advance": seconds}, {"now": "2026-11-25T00:00:00Z"}, {"frozen": true}
    GET    /plane/faults       POST one (see `fault`), DELETE all
    POST   /plane/moves        {"id": ID, "what": "maintain", "ends": null}: what nobody asked for, as maintenance
    GET    /plane/requests     every call so far, oldest first; ?operation=NAME
"""
import argparse
import contextlib
import copy
import fcntl
import http.server
import json
import os
import re
import signal
import socket
import stat
import struct
import sys
import tempfile
import threading
import time
import traceback
import urllib.parse
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tfi_shapes as shapes  # noqa: E402
from tfi_service import KINDS, MOVES, OPERATIONS, Refusal, Service, fresh, invalid, seconds_of, stamp  # noqa: E402
from tfi_world import AwsWorld, World  # noqa: E402

SERVICE, TARGET, KIND = "timestream-influxdb", "AmazonTimestreamInfluxDB", "application/x-amz-json-1.0"
BODY_MAX = 1 << 20
REQUESTS_MAX = 5000
HIDDEN = "(hidden)"


class Store:
    """The state between requests: in memory, or in a file that is read and replaced under a lock by each who uses it."""

    def __init__(self, path, make):
        self.path, self.make, self.lock = path, make, threading.Lock()
        self.kept = None if path else make()

    @contextlib.contextmanager
    def open(self):
        with self.lock:
            if self.path is None:
                yield self.kept
                return
            with open(self.path + ".lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                state = self.load()
                yield state
                self.save(state)

    def load(self):
        try:
            with open(self.path) as f:
                return json.load(f)
        except FileNotFoundError:
            return self.make()

    def save(self, state):
        with tempfile.NamedTemporaryFile("w", dir=os.path.dirname(os.path.abspath(self.path)), delete=False) as f:
            json.dump(state, f)
        os.replace(f.name, self.path)


def masked(value):
    """Without what should not be in logs."""
    if isinstance(value, dict):
        return {k: HIDDEN if k in ("password", "secret") else masked(v) for k, v in value.items()}
    return [masked(v) for v in value] if isinstance(value, list) else value


class Plane:
    """The control plane, served from a thread of this process; also its remote control for tests that have it at hand."""

    def __init__(self, port=0, state=None, aws=None, region="us-east-1", account="123456789012", delays=None, quotas=None, seed=None):
        self.port, self.region, self.account = port, region, account
        self.world = AwsWorld(aws) if aws else World()
        self.begin = {"delays": delays or {}, "quotas": quotas or {}}
        self.seed = seed if seed is not None else uuid.uuid4().hex
        self.store = Store(state, self.blank)
        self.server = None

    def blank(self):
        return {**fresh(self.seed, **self.begin), "clock": {"offset": 0.0, "frozen": None}, "faults": [], "requests": []}

    # --- as a server ------------------------------------------------------------------------------------------------------------

    def start(self):
        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

            def handle_error(self, *_):  # a client that went away
                pass

        self.server = Server(("127.0.0.1", self.port), type("Bound", (Handler,), {"plane": self}))
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def stop(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    # --- as its own remote control: the same as /plane/... --------------------------------------------------------------------------

    def control(self, what, method="GET", ask=None):
        with self.store.open() as state:
            return CONTROLS[what, method](self, state, ask or {})

    def fault(self, operation, **how):
        return self.control("faults", "POST", {"operation": operation, **how})

    def advance(self, seconds):
        return self.control("clock", "POST", {"advance": seconds})

    def requests(self, operation=None):
        return self.control("requests", "GET", {"operation": operation})["requests"]

    def state(self):
        return self.control("state")

    def reset(self, **how):
        return self.control("reset", "POST", how)

    # --- what both do -----------------------------------------------------------------------------------------------------------------

    @staticmethod
    def now(state):
        clock = state["clock"]
        return clock["frozen"] if clock["frozen"] is not None else time.time() + clock["offset"]

    def service(self, state):
        service = Service(state, self.now(state), self.world, self.region, self.account)
        service.settle()
        return service

    def take_fault(self, operation, request):
        """The fault that meets this request, if one does; it is used up by that."""
        with self.store.open() as state:
            for fault in state["faults"]:
                if fault["operation"] not in ("*", operation) or any(request.get(k) != v for k, v in fault["when"].items()):
                    continue
                if fault["skip"] > 0:
                    fault["skip"] -= 1
                elif fault["count"] > 0:
                    fault["count"] -= 1
                    return copy.deepcopy(fault)
        return None

    def call(self, operation, request, fault=None):
        """One operation on the state. What is over by now is kept also when the operation is refused: secrets were made for it."""
        refused = None
        with self.store.open() as state:
            service = self.service(state)
            try:
                out = copy.deepcopy(service.call(operation, request, (fault or {}).get("ends")))
            except Refusal as e:
                refused = e
        if refused:
            raise refused
        return out

    def note(self, **what):
        with self.store.open() as state:
            state["requests"] = [*state["requests"][-REQUESTS_MAX + 1:], {"at": stamp(self.now(state)), **masked(what)}]

    # --- control endpoints --------------------------------------------------------------------------------------------------------

    def see_state(self, state, _):
        self.service(state)
        return masked({k: v for k, v in state.items() if k != "requests"})

    def do_reset(self, state, ask):
        new = self.blank()
        for key in ("faults", "requests") if ask.get("things") is False else list(new):
            state[key] = new[key]
        return {}

    def do_settings(self, state, ask):
        for key in ("delays", "quotas"):
            state["settings"][key].update(ask.get(key, {}))
        state["zones"].update(ask.get("zones", {}))
        return state["settings"]

    def see_clock(self, state, _):
        return {"now": stamp(self.now(state)), **state["clock"]}

    def do_clock(self, state, ask):
        clock, at = state["clock"], self.now(state)
        at = (seconds_of(ask["now"]) if "now" in ask else at) + ask.get("advance", 0)
        frozen = ask.get("frozen", clock["frozen"] is not None)
        state["clock"] = {"offset": at - time.time(), "frozen": at if frozen else None}
        self.service(state)
        return self.see_clock(state, ask)

    def see_faults(self, state, _):
        return {"faults": state["faults"]}

    def do_fault(self, state, ask):
        """operation (or *), count (1) after skip (0) requests, when: {"member": value} of the request; and what happens: error (a name of
        the API's, or a bare HTTP status) with message, delay (real seconds), lost ("before" or "after" it was done), ends ("FAILED" ...:
        how the move that the operation starts comes to its end)."""
        if ask.get("operation") != "*" and ask.get("operation") not in OPERATIONS:
            raise invalid(f"There is no operation {ask.get('operation')}.")
        known = {"operation", "error", "message", "count", "skip", "delay", "when", "lost", "ends", "members"}
        if unknown := set(ask) - known:
            raise invalid(f"A fault has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}.")
        state["faults"].append({"count": 1, "skip": 0, "delay": 0, "when": {}, **ask})
        return {"faults": state["faults"]}

    def drop_faults(self, state, _):
        state["faults"] = []
        return {}

    def do_move(self, state, ask):
        service = self.service(state)
        thing = state["things"].get(ask.get("id"))
        if thing is None or ask.get("what") not in MOVES:
            raise invalid(f"A move needs the id of a thing that is there, and what: {', '.join(MOVES)}.")
        service.ends = ask.get("ends")
        service.begin(thing, ask["what"])
        return service.show(thing)

    def see_requests(self, state, ask):
        return {"requests": [r for r in copy.deepcopy(state["requests"]) if ask.get("operation") in (None, r["operation"])]}


CONTROLS = {
    ("state", "GET"): Plane.see_state,
    ("reset", "POST"): Plane.do_reset,
    ("settings", "POST"): Plane.do_settings,
    ("clock", "GET"): Plane.see_clock,
    ("clock", "POST"): Plane.do_clock,
    ("faults", "GET"): Plane.see_faults,
    ("faults", "POST"): Plane.do_fault,
    ("faults", "DELETE"): Plane.drop_faults,
    ("moves", "POST"): Plane.do_move,
    ("requests", "GET"): Plane.see_requests,
}


class Handler(http.server.BaseHTTPRequestHandler):
    plane = None
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            raise Refusal("SerializationException", "Bodies in chunks are not taken.")
        size = int(self.headers.get("Content-Length") or 0)
        if size > BODY_MAX:
            raise Refusal("RequestEntityTooLargeException", f"The request is larger than {BODY_MAX} bytes.")
        return self.rfile.read(size)

    def say(self, status, out, kind=KIND, request_id=None):
        body = out if isinstance(out, bytes) else json.dumps(out).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if request_id:
            self.send_header("x-amzn-RequestId", request_id)
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        """A reset, not an end: the client must not take what came for an answer."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    # --- control ------------------------------------------------------------------------------------------------------------------

    def control(self):
        path = urllib.parse.urlsplit(self.path)
        try:
            ask = json.loads(self.body() or b"{}")
            ask.update(urllib.parse.parse_qsl(path.query))
            what = (path.path.removeprefix("/plane/"), self.command)
            if not path.path.startswith("/plane/") or what not in CONTROLS:
                return self.say(404, {"error": f"no {self.command} {path.path}"}, "application/json")
            return self.say(200, self.plane.control(*what, ask), "application/json")
        except Refusal as e:
            return self.say(400, {"error": e.message}, "application/json")
        except (ValueError, AttributeError, TypeError, KeyError) as e:
            return self.say(400, {"error": f"not as it should be: {e}"}, "application/json")

    do_GET = do_DELETE = control

    # --- the service --------------------------------------------------------------------------------------------------------------

    def do_POST(self):
        if self.path.startswith("/plane/"):
            return self.control()
        seen = {"id": str(uuid.uuid4()), "operation": None, "agent": self.headers.get("User-Agent"),
                "attempt": self.headers.get("amz-sdk-request")}
        try:
            status, out = 200, self.answer(seen)
        except Refusal as e:
            status, out = e.status, {"__type": f"com.amazonaws.timestreaminfluxdb#{e.name}", "message": e.message, **e.members}
            seen["error"] = e.name
        except BareFailure as e:
            status, out = e.status, b"<html><body>no service</body></html>"
            seen["error"] = str(e.status)
        except LostAnswer as e:
            self.plane.note(**seen, lost=e.when)
            return self.hang_up()
        except Exception as e:  # of this program: told, and seen by who runs it
            traceback.print_exc()
            status, out = 500, {"__type": "InternalServerException", "message": f"the control plane failed: {e!r}"}
            seen["error"] = repr(e)
        self.plane.note(**seen, status=status)
        return self.say(status, out, KIND if isinstance(out, dict) else "text/html", seen["id"])

    def answer(self, seen):
        body = self.body()
        self.check_signature()
        target, _, operation = self.headers.get("X-Amz-Target", "").partition(".")
        if target != TARGET or operation not in OPERATIONS or self.path != "/":
            raise Refusal("UnknownOperationException", f"No operation {target}.{operation} at {self.path}.")
        seen["operation"] = operation
        if self.headers.get("Content-Type") != KIND:
            raise Refusal("SerializationException", f"The content type must be {KIND}.")
        try:
            request = json.loads(body or b"{}")
            if not isinstance(request, dict):
                raise ValueError
        except ValueError:
            raise Refusal("SerializationException", "The body is no JSON object.") from None
        seen["request"], seen["unknown"] = request, shapes.INPUTS[operation].unknown(request)
        fault = self.plane.take_fault(operation, request)
        if fault is not None:
            self.meet(fault)
        out = self.plane.call(operation, request, fault)
        if fault is not None and fault.get("lost") == "after":
            raise LostAnswer("after")
        return out

    def meet(self, fault):
        time.sleep(fault["delay"])
        if fault.get("lost") == "before":
            raise LostAnswer("before")
        error = fault.get("error")
        if isinstance(error, int):
            raise BareFailure(error)
        if error:
            members = {"ValidationException": {"reason": "OTHER"}, "ThrottlingException": {"retryAfterSeconds": 1},
                       "ConflictException": {"resourceId": "unknown", "resourceType": "db-instance"},
                       "ResourceNotFoundException": {"resourceId": "unknown", "resourceType": "db-instance"}}.get(error, {})
            raise Refusal(error, fault.get("message", f"{error}, as asked for by a fault."), **{**members, **fault.get("members", {})})

    def check_signature(self):
        """Signature Version 4 in form: the credential's scope names a day, this region and this service [AWS: Signature Version 4]."""
        text = self.headers.get("Authorization")
        if not text:
            raise Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, *SignedHeaders=([^,]+), *"
                         r"Signature=[0-9a-f]{64}", text)
        if m is None or not self.headers.get("X-Amz-Date", "").startswith(m[2]):
            raise Refusal("IncompleteSignatureException", "Authorization or X-Amz-Date is not in the form of Signature Version 4.")
        if m[4] != SERVICE:
            raise Refusal("InvalidSignatureException", f"Credential should be scoped to correct service: '{SERVICE}'.")
        if m[3] != self.plane.region:
            raise Refusal("InvalidSignatureException", f"Credential should be scoped to a valid region, not '{m[3]}'.")
        if "host" not in m[5].split(";"):
            raise Refusal("InvalidSignatureException", "'Host' must be a signed header.")


class BareFailure(Exception):
    """An HTTP status that no service gave: a balancer's."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


class LostAnswer(Exception):
    def __init__(self, when):
        super().__init__(when)
        self.when = when


# --- as a program -----------------------------------------------------------------------------------------------------------------

def pairs(text):
    name, _, value = text.rpartition("=")
    return name, float(value)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="a free one when it is not given")
    parser.add_argument("--state", help="a file that keeps everything, shared by several processes")
    parser.add_argument("--aws", help="URL of a stand-in of AWS that has EC2 and Secrets Manager")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--delay", action="append", type=pairs, default=[], metavar="[NAME=]SECONDS",
                        help="how long a change takes: create, restore, update, reboot, maintain, backup, delete, gone; no name: all")
    parser.add_argument("--quota", action="append", type=pairs, default=[], metavar="KIND=N", help=", ".join(KINDS))
    parser.add_argument("--minutes", type=float, default=120, help="end after that long (%(default)s)")
    return parser.parse_args()


def wait_for_end(minutes):
    """Until a signal, the end of a standard input that is a pipe or socket, or the time."""
    end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: end.set())
    mode = os.fstat(0).st_mode

    def read():
        while os.read(0, 4096):
            pass
        end.set()

    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        threading.Thread(target=read, daemon=True).start()
    end.wait(minutes * 60)


def main():
    given = arguments()
    delays = {}
    for name, seconds in given.delay:
        delays.update({name: seconds} if name else {key: seconds for key in fresh()["settings"]["delays"]})
    plane = Plane(given.port, given.state, given.aws, given.region, delays=delays, quotas={k: int(n) for k, n in given.quota}).start()
    print(plane.url, flush=True)
    wait_for_end(given.minutes)
    plane.stop()


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A proxy that misbehaves on purpose, in front of a real InfluxDB. For tests.

    fault_proxy.py --listen 0 --target 8086 --seed 7 --faults reset,429,503-retry-after,slow --rate 0.2
    fault_proxy.py --listen 9999 --target 8086 --plan plan.txt

Listens on 127.0.0.1 only. Prints "listening PORT" when it is ready (--listen 0 takes a free one), then one line for each fault
to --log (or stderr). SIGTERM ends it.

Faults ("before": the target never saw the request; "after": it did, so a write has happened although the client is told otherwise):

    reset             the connection is reset at a random byte of the request (before) or of the answer (after)
    429, 503, 500     that status; before or after, by the seed
    429-retry-after, 503-retry-after    the same with a Retry-After header of --retry-after seconds
    slow              the true answer, in small pieces over --slow seconds
    truncate          the true answer, cut at a random byte, then an orderly close
    close             an orderly close instead of the answer (after)
    blackhole         no answer for --blackhole seconds, then a close; before or after, by the seed

A fault may be written NAME@before or NAME@after to leave that choice to nobody (not slow, truncate, close).

Which request fails how depends on the seed and on the number of the request (1, 2, ... in the order of arrival), on nothing else: with
one connection a run repeats exactly; with several, the same faults come in the same order but may meet other requests.

A plan has a line per rule, the first that fits a request decides:

    12 reset            the 12th request
    20-30 503@after     the 20th to the 30th
    * slow 0.1          any other, with this probability
    # comment

--only PREFIX[,PREFIX] leaves other paths alone (they are not counted either).

The proxy's own paths:  GET /__faults (counters, JSON)   POST /__healthy (no more faults)   POST /__sick (faults again)
"""
import argparse
import asyncio
import collections
import json
import random
import signal
import socket
import struct
import sys

STATUS_FAULTS = {
    "429": (429, "Too Many Requests", "too many requests", False),
    "429-retry-after": (429, "Too Many Requests", "too many requests", True),
    "503": (503, "Service Unavailable", "unavailable", False),
    "503-retry-after": (503, "Service Unavailable", "unavailable", True),
    "500": (500, "Internal Server Error", "internal error", False),
}
FAULTS = set(STATUS_FAULTS) | {"reset", "slow", "truncate", "close", "blackhole"}
HEAD_BYTES_MAX = 64 << 10
BODY_BYTES_MAX = 256 << 20


class BadMessage(Exception):
    """What came is no HTTP/1.x message, or it ended early."""


class Message:
    """A request or an answer: its head and its body as they were on the wire (chunks included)."""

    def __init__(self, head, body, reader_is_done):
        self.head = head
        self.body = body
        self.reader_is_done = reader_is_done  # the body was ended by the close of the connection
        self.first_line = head.split(b"\r\n", 1)[0].decode("latin-1")

    def header(self, name):
        return find_header(self.head, name)


def find_header(head, name):
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("latin-1")
    return None


async def read_head(reader):
    """The head with its empty line; None when the other side closed between messages."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise BadMessage("the head ends early") from error
    except asyncio.LimitOverrunError as error:
        raise BadMessage("the head is too long") from error
    return head


async def read_chunks(reader):
    raw = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        raw += line
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        if len(raw) + size > BODY_BYTES_MAX:
            raise BadMessage("the body is too long")
        raw += await reader.readexactly(size + 2)
    while True:  # trailers, then the empty line
        line = await reader.readuntil(b"\r\n")
        raw += line
        if line == b"\r\n":
            return bytes(raw)


async def read_answer(reader, method):
    head = await read_head(reader)
    if head is None:
        raise BadMessage("closed without an answer")
    status = int(head.split(b" ", 2)[1])
    if method == "HEAD" or status in (204, 304) or status < 200:
        return Message(head, b"", False)
    if "chunked" in (find_header(head, b"transfer-encoding") or "").lower():
        return Message(head, await read_chunks(reader), False)
    length = find_header(head, b"content-length")
    if length is not None:
        return Message(head, await reader.readexactly(int(length)), False)
    return Message(head, await reader.read(BODY_BYTES_MAX), True)


def reset(writer):
    """Close so that the other side gets a reset, not an end of file."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Rule:
    def __init__(self, first, last, fault, rate):
        self.first, self.last, self.fault, self.rate = first, last, fault, rate


def parse_fault(text):
    name, _, when = text.partition("@")
    if name not in FAULTS or when not in ("", "before", "after"):
        raise SystemExit(f"fault_proxy: no such fault: {text} (there are {', '.join(sorted(FAULTS))}, with @before or @after)")
    return name, when


def parse_plan(text):
    rules = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            first, _, last = words[0].partition("-")
            low, high = (1, sys.maxsize) if first == "*" else (int(first), int(last or first))
            rate = float(words[2]) if len(words) > 2 else 1.0
            rules.append(Rule(low, high, parse_fault(words[1]), rate))
        except (ValueError, IndexError):
            raise SystemExit(f"fault_proxy: plan, line {number}: want NUMBER|FIRST-LAST|* FAULT [RATE]") from None
    return rules


class Proxy:
    def __init__(self, args):
        self.args = args
        self.rules = parse_plan(open(args.plan, encoding="utf-8").read()) if args.plan else None
        self.faults = [parse_fault(name) for name in args.faults.split(",") if name]
        self.only = [prefix for prefix in args.only.split(",") if prefix]
        self.is_healthy = False
        self.requests = 0
        self.forwarded = 0
        self.counts = collections.Counter()
        self.log = open(args.log, "a", encoding="utf-8") if args.log else sys.stderr

    # --- decisions ---

    def choose(self, number):
        """(fault, when, random numbers for its details), or (None, ...)."""
        rng = random.Random(f"{self.args.seed}:{number}")
        roll = rng.random()
        if self.is_healthy:
            return None, None, rng
        if self.rules is not None:
            for rule in self.rules:
                if rule.first <= number <= rule.last and roll < rule.rate:
                    return (*self.settle(rule.fault, rng), rng)
            return None, None, rng
        if not self.faults or roll >= self.args.rate:
            return None, None, rng
        return (*self.settle(rng.choice(self.faults), rng), rng)

    @staticmethod
    def settle(fault, rng):
        name, when = fault
        if name in ("slow", "truncate", "close"):
            return name, "after"
        return name, when or rng.choice(("before", "after"))

    def note(self, number, fault, when, request_line, detail=""):
        self.counts[f"{fault}@{when}"] += 1
        print(f"request={number} fault={fault} when={when}{detail} {request_line}", file=self.log, flush=True)

    # --- a client's connection ---

    async def serve(self, reader, writer):
        try:
            while await self.serve_one(reader, writer):
                pass
        except (BadMessage, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def serve_one(self, reader, writer):
        """One request. True: the connection can serve another."""
        head = await read_head(reader)
        if head is None:
            return False
        method, path = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")[:2]
        number, fault, when, rng = 0, None, None, None
        is_own = path.startswith("/__")
        if not is_own and (not self.only or any(path.startswith(prefix) for prefix in self.only)):
            self.requests += 1
            number = self.requests
            fault, when, rng = self.choose(number)
        if fault == "reset" and when == "before":
            await self.reset_in_request(number, head, reader, writer, rng)
            return False
        request = await self.read_request(head, reader, writer)
        if is_own:
            return await self.answer_own(method, path, writer)
        if fault is not None and fault != "reset":
            return await self.misbehave(number, fault, when, request, method, writer, rng)
        answer = await self.forward(request, method)
        if fault == "reset":
            return await self.reset_in_answer(number, request, answer, writer, rng)
        writer.write(answer.head + answer.body)
        await writer.drain()
        return self.stays_open(request, answer)

    @staticmethod
    async def read_request(head, reader, writer):
        if (find_header(head, b"expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"expect:")]
            head = b"\r\n".join(lines)
        if "chunked" in (find_header(head, b"transfer-encoding") or "").lower():
            return Message(head, await read_chunks(reader), False)
        length = int(find_header(head, b"content-length") or 0)
        if length > BODY_BYTES_MAX:
            raise BadMessage("the body is too long")
        return Message(head, await reader.readexactly(length), False)

    @staticmethod
    def stays_open(request, answer):
        wants_close = any((m.header(b"connection") or "").lower() == "close" for m in (request, answer))
        return not wants_close and not answer.reader_is_done

    async def forward(self, request, method):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.args.target, limit=HEAD_BYTES_MAX)
        except OSError as error:
            return self.status_answer(502, "Bad Gateway", "bad gateway", f"the target does not answer: {error}", None)
        try:
            writer.write(request.head + request.body)
            await writer.drain()
            self.forwarded += 1
            return await read_answer(reader, method)
        finally:
            writer.close()

    # --- faults ---

    @staticmethod
    def status_answer(status, reason, code, message, retry_after):
        body = json.dumps({"code": code, "message": message, "error": message}).encode()
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        if retry_after is not None:
            head += f"Retry-After: {retry_after}\r\n"
        return Message(head.encode() + b"\r\n", body, False)

    async def reset_in_request(self, number, head, reader, writer, rng):
        """Read as much of the body as a random number says, then reset."""
        length = int(find_header(head, b"content-length") or 0)
        stop = rng.randint(0, length)
        got = 0
        if (find_header(head, b"expect") or "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while got < stop:
            piece = await reader.read(min(stop - got, 1 << 16))
            if not piece:
                break
            got += len(piece)
        self.note(number, "reset", "before", head.split(b"\r\n", 1)[0].decode("latin-1"), f" byte={got}/{length}")
        reset(writer)

    async def reset_in_answer(self, number, request, answer, writer, rng):
        raw = answer.head + answer.body
        stop = rng.randint(0, len(raw) - 1)
        self.note(number, "reset", "after", request.first_line, f" byte={stop}/{len(raw)}")
        writer.write(raw[:stop])
        await writer.drain()
        if stop:
            await asyncio.sleep(0.02)  # a reset overtakes what was not read yet: let it arrive
        reset(writer)
        return False

    async def misbehave(self, number, fault, when, request, method, writer, rng):
        answer = await self.forward(request, method) if when == "after" else None
        if fault in STATUS_FAULTS:
            status, reason, code, has_retry = STATUS_FAULTS[fault]
            said = self.status_answer(status, reason, code, f"fault_proxy: {fault}", self.args.retry_after if has_retry else None)
            self.note(number, fault, when, request.first_line)
            writer.write(said.head + (b"" if method == "HEAD" else said.body))
            await writer.drain()
            return self.stays_open(request, said)
        if fault == "slow":
            self.note(number, fault, when, request.first_line)
            await self.dribble(answer, writer)
            return self.stays_open(request, answer)
        if fault == "truncate":
            raw = answer.head + answer.body
            stop = rng.randint(1, len(raw) - 1)
            self.note(number, fault, when, request.first_line, f" byte={stop}/{len(raw)}")
            writer.write(raw[:stop])
            await writer.drain()
            return False
        self.note(number, fault, when, request.first_line)
        if fault == "blackhole":
            await asyncio.sleep(self.args.blackhole)
        return False

    async def dribble(self, answer, writer):
        raw = answer.head + answer.body
        pieces = min(len(raw), 40)
        for i in range(pieces):
            writer.write(raw[len(raw) * i // pieces:len(raw) * (i + 1) // pieces])
            await writer.drain()
            await asyncio.sleep(self.args.slow / pieces)

    # --- the proxy's own paths ---

    async def answer_own(self, method, path, writer):
        status = "200 OK"
        if method == "POST" and path in ("/__healthy", "/__sick"):
            self.is_healthy = path == "/__healthy"
        elif method != "GET" or path != "/__faults":
            status = "404 Not Found"
        body = json.dumps({
            "requests": self.requests,
            "forwarded": self.forwarded,
            "faults": sum(self.counts.values()),
            "by_fault": dict(sorted(self.counts.items())),
            "healthy": self.is_healthy,
        }).encode() + b"\n"
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True


def parse_args():
    parser = argparse.ArgumentParser(description="a proxy that misbehaves on purpose (see the top of this file)")
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    parser.add_argument("--target", type=int, required=True, metavar="PORT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plan", metavar="FILE")
    parser.add_argument("--faults", default="", metavar="NAME,NAME")
    parser.add_argument("--rate", type=float, default=0.1, help="share of requests that fail (without --plan)")
    parser.add_argument("--only", default="", metavar="PREFIX,PREFIX", help="paths that may fail")
    parser.add_argument("--retry-after", type=int, default=1, metavar="S")
    parser.add_argument("--slow", type=float, default=1.0, metavar="S")
    parser.add_argument("--blackhole", type=float, default=10.0, metavar="S")
    parser.add_argument("--log", metavar="FILE")
    return parser.parse_args()


async def run(args):
    proxy = Proxy(args)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", args.listen, limit=HEAD_BYTES_MAX)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    print(f"listening {server.sockets[0].getsockname()[1]}", flush=True)
    await stop.wait()
    server.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(run(parse_args()))

"""InfluxDB's own Python client (influxdb-client), as the Lambda handler and the Timestream clients use it.

Lines go through its WriteService with a body that is compressed here: the client's own gzip works at level 9, which costs more than all
else. Retries are ours: exponential, with full jitter, within a deadline.
"""
from __future__ import annotations

import json
import random
import time
import zlib
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Optional, Sequence

from influxdb_client import InfluxDBClient, PingService, WriteService
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

#: Statuses that may go well another time.
RETRYABLE = frozenset((408, 425, 429, 500, 502, 503, 504))


class WriteFailed(Exception):
    """A request was not carried out. `status` is InfluxDB's, 0: it could not be reached."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status

    @property
    def is_about_lines(self) -> bool:
        """Some of the lines are refused; others may be kept."""
        return self.status in (400, 413, 422)

    @property
    def is_passing(self) -> bool:
        """Worth another try later."""
        return self.status == 0 or self.status in RETRYABLE


def gzip(data: bytes, level: int = 1) -> bytes:
    """As gzip.compress, without a time in the header."""
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def _words(e: ApiException) -> str:
    body = e.body.decode(errors="replace") if isinstance(e.body, bytes) else str(e.body or e.reason or e)
    try:
        parsed = json.loads(body)
        return str(parsed.get("message") or parsed.get("error") or body)
    except (ValueError, AttributeError):
        return body.strip()[:500]


def _pause_of(e: ApiException) -> float:
    try:
        return float((e.headers or {}).get("Retry-After", 0))
    except (TypeError, ValueError):
        return 0.0


class Influx:
    """A connection that is kept, and its retries."""

    def __init__(self, url: str, token: str, org: str, *, timeout_ms: int = 30_000, retries: int = 3, backoff_s: float = 1.0,
                 backoff_max_s: float = 30.0, gzip_level: int = 1, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url.rstrip("/")
        self.org = org
        self.client = InfluxDBClient(url=self.url, token=token, org=org, timeout=timeout_ms)
        self._writes = WriteService(self.client.api_client)
        self._retries = retries
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
        self._level = gzip_level
        self._timeout_ms = timeout_ms
        self._sleep = sleep
        self.retried = 0

    def close(self) -> None:
        self.client.close()

    def write(self, bucket: str, lines: bytes, precision: str = "ns", *, deadline: Optional[float] = None,
              retries: Optional[int] = None) -> None:
        """Lines, acknowledged when this returns. `deadline` (time.monotonic) ends the request at hand and the retries."""
        body = gzip(lines, self._level)

        def send() -> None:
            left_ms = self._left_ms(deadline)
            self._writes.post_write(org=self.org, bucket=bucket, body=body, precision=precision, content_encoding="gzip",
                                    content_type="text/plain; charset=utf-8", _request_timeout=left_ms)
        self._with_retries(send, deadline, self._retries if retries is None else retries)

    def _left_ms(self, deadline: Optional[float]) -> int:
        left_ms = self._timeout_ms if deadline is None else min(self._timeout_ms, int((deadline - time.monotonic()) * 1000))
        if left_ms <= 0:
            raise WriteFailed("no time is left for the request", 0)
        return left_ms

    def _with_retries(self, send: Callable[[], Any], deadline: Optional[float], retries: int) -> Any:
        for attempt in range(retries + 1):
            try:
                with self.errors():
                    return send()
            except WriteFailed as e:
                failed = e
                pause = _pause_of(e.__cause__) if isinstance(e.__cause__, ApiException) else 0.0
            if not failed.is_passing or attempt == retries:
                raise failed
            backoff = min(self._backoff_s * 2 ** attempt, self._backoff_max_s)
            pause = max(pause, backoff * random.uniform(0.5, 1.0))
            if deadline is not None and time.monotonic() + pause >= deadline:
                raise failed
            self.retried += 1
            self._sleep(pause)
        raise AssertionError("unreachable")

    @contextmanager
    def errors(self) -> Iterator[None]:
        """What the client and its HTTP layer raise, as WriteFailed."""
        try:
            yield
        except ApiException as e:
            raise WriteFailed(_words(e), int(e.status or 0)) from e
        except (HTTPError, OSError) as e:
            raise WriteFailed(f"{self.url}: {e}", 0) from e

    def ping(self, deadline: Optional[float] = None) -> float:
        """Milliseconds of an answer to /ping; WriteFailed where there is none."""
        begin = time.monotonic()
        try:
            with self.errors():
                PingService(self.client.api_client).get_ping(_request_timeout=self._left_ms(deadline))
        except WriteFailed as e:
            raise WriteFailed(f"{self.url} does not answer: {e}", 0) from e
        return (time.monotonic() - begin) * 1000

    def ask(self, bucket: str, query: str, chunk_rows: int = 10_000) -> "Iterator[Dict[str, Any]]":
        """InfluxQL: the series of the answer as they come, {"name", "tags", "columns", "values"}; times in ns."""
        database, _, policy = bucket.partition("/")
        params = [("db", database), ("epoch", "ns"), ("chunked", "true"), ("chunk_size", str(chunk_rows))]
        if policy:
            params.append(("rp", policy))

        def send() -> Any:
            return self.client.api_client.call_api(
                "/query", "POST", query_params=params, post_params=[("q", query)], response_type=None, _preload_content=False,
                header_params={"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"},
                _return_http_data_only=True)
        answer = self._with_retries(send, None, self._retries)
        try:
            for part in self._parts(answer):
                if "error" in part:
                    raise WriteFailed(str(part["error"]), 400)
                for result in part.get("results", ()):
                    if "error" in result:
                        raise WriteFailed(str(result["error"]), 400)
                    yield from result.get("series", ())
        finally:
            answer.close()
            answer.release_conn()

    def _parts(self, answer: Any) -> "Iterator[Dict[str, Any]]":
        with self.errors():
            for line in _lines(answer):
                try:
                    yield json.loads(line)
                except ValueError:
                    raise WriteFailed(f"{self.url}: the answer was cut off", 0) from None


def _lines(answer: Any) -> Iterator[bytes]:
    rest = b""
    for piece in answer.stream(1 << 16):
        rest += piece
        *lines, rest = rest.split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest


def name(text: str) -> str:
    """A name as InfluxQL writes it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def string(text: str) -> str:
    """A text as InfluxQL writes it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def escape(text: str, characters: Sequence[str]) -> str:
    """As line protocol escapes names and tags."""
    for c in characters:
        text = text.replace(c, "\\" + c)
    return text

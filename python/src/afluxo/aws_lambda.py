"""A Lambda handler that loads Parquet objects from S3 into InfluxDB: `afluxo.aws_lambda.handler`.

    event --> objects --> libafluxo reads and converts s3://bucket/key --> batches of lines --> influxdb-client --> InfluxDB
                                                                              '-- after all retries --> SQS, the queue of failed writes

It answers as the platform's earlier loader did, and takes the same environment (docs/python.md has the table). What cannot be written
and cannot be queued either is a failure of the invocation, or of its SQS message, so that AWS tries it again: writing a point twice is
harmless.

Messages of the queue of failed writes are JSON lines, as the dead letters of `afluxo migrate` and of the loader in C are: {"file",
"reason", "line"} for a line of line protocol, {"file", "row", "column", "reason", "row_data"} for a row that is no point. The handler
takes the former back as an event.
"""
from __future__ import annotations

import json
import os
import re
import sys
import time
import urllib.parse
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from . import AfluxoError, InvalidInput, NotFound, Reject, Rejects, Unavailable, to_line_protocol
from ._influx import Influx, WriteFailed
from ._lines import split_lines

#: A message of SQS holds 256 KiB.
_MESSAGE_BYTES = 250 * 1024
_SECRET_SECONDS = 300.0
_LEAVE_SECONDS = 3.0


class LoadFailed(Exception):
    """An invocation that nobody waits for (S3, SNS, EventBridge) failed; AWS will try again. `response` is what a caller would have got."""

    def __init__(self, response: Dict[str, Any]) -> None:
        super().__init__(response["message"])
        self.response = response


class _TimeUp(WriteFailed):
    """What is at hand is given up, for the next invocation."""

    def __init__(self) -> None:
        super().__init__("the invocation's time is nearly up: the object is loaded again", 0)


# --- configuration --------------------------------------------------------------------------------------------------------------


def _flag(name: str, default: bool) -> bool:
    return os.environ.get(name, str(default)).strip().lower() in ("1", "true", "yes", "on")


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "").strip()
    return int(value) if value else default


def _boto(service: str) -> Any:
    import boto3

    if service not in _clients:
        _clients[service] = boto3.client(service)
    return _clients[service]


_clients: Dict[str, Any] = {}
_influx: Optional[Influx] = None
_influx_key: Optional[Tuple[str, str, str]] = None
_secret: Tuple[str, str, float] = ("", "", 0.0)
_yaml: Tuple[str, str] = ("", "")


def _secret_token(name: str, fresh: bool) -> str:
    """The secret's text, or the token in it if it is JSON; kept for some minutes."""
    global _secret
    if not fresh and _secret[0] == name and time.monotonic() < _secret[2]:
        return _secret[1]
    text: str = _boto("secretsmanager").get_secret_value(SecretId=name)["SecretString"]
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if isinstance(parsed, dict):
        found = [parsed[k] for k in ("token", "INFLUXDB_TOKEN", "influxdb_token", "password") if k in parsed]
        if not found:
            raise ValueError(f"the secret {name} is JSON without a member `token`")
        text = str(found[0])
    _secret = (name, text.strip(), time.monotonic() + _SECRET_SECONDS)
    return _secret[1]


def _connect(fresh: bool = False) -> Influx:
    """The connection, kept between invocations; a new one if its address or token changed."""
    global _influx, _influx_key
    url, org = os.environ.get("INFLUXDB_URL", ""), os.environ.get("INFLUXDB_ORG", "ons-energy")
    if not url:
        raise ValueError("INFLUXDB_URL is not set")
    token = os.environ.get("INFLUXDB_TOKEN", "")
    secret = os.environ.get("INFLUXDB_TOKEN_SECRET_NAME", "")
    if not token and not secret:
        raise ValueError("neither INFLUXDB_TOKEN nor INFLUXDB_TOKEN_SECRET_NAME is set")
    token = token or _secret_token(secret, fresh)
    key = (url, org, token)
    if _influx is None or _influx_key != key:
        if _influx is not None:
            _influx.close()
        _influx = Influx(url, token, org, retries=_number("MAX_RETRIES", 3), timeout_ms=_number("INFLUXDB_TIMEOUT_MS", 30_000),
                         backoff_s=float(os.environ.get("RETRY_BACKOFF_SECONDS", "1")), gzip_level=_number("GZIP_LEVEL", 1))
        _influx_key = key
    return _influx


# --- events -----------------------------------------------------------------------------------------------------------------------


@dataclass
class _Record:
    """A message of a queue, or the whole event."""
    objects: List[Tuple[str, str]] = field(default_factory=list)
    message_id: Optional[str] = None
    failed_lines: Optional[List[str]] = None
    bad: Optional[str] = None  # why it, or the first of `bad_entries`, is none
    bad_entries: List[Any] = field(default_factory=list)  # events of one entry each
    is_awaited: bool = False


class _Unknown(ValueError):
    pass


_CREATIONS = ("ObjectCreated", "s3:ObjectCreated", "ObjectRestore:Completed")


def _object(bucket: Any, key: Any) -> Iterator[Tuple[str, str]]:
    """An object, if it can be one: both become one name, s3://bucket/key. Keys that end in a slash are those of empty folders."""
    if not isinstance(bucket, str) or not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", bucket):
        raise _Unknown(f"{str(bucket)[:80]!r} is no name of a bucket")
    if not isinstance(key, str) or not 1 <= len(key.encode()) <= 1024 or "\0" in key:
        raise _Unknown(f"{str(key)[:80]!r} is no key of an object")
    if not key.endswith("/"):
        yield bucket, key


def _s3_object(record: Dict[str, Any]) -> Iterator[Tuple[str, str]]:
    name = record.get("eventName", "")
    if name == "" or name.startswith(_CREATIONS):
        s3 = record["s3"]
        yield from _object(s3["bucket"]["name"], urllib.parse.unquote_plus(s3["object"]["key"], errors="strict"))


_BAD = (KeyError, TypeError, ValueError, AttributeError, RecursionError)


def _each(entries: List[Any], of: Callable[[Any], Iterator[Tuple[str, str]]], member: str, record: _Record) -> Iterator[Tuple[str, str]]:
    """The objects of all entries; one that is wrong is noted, the others are loaded."""
    for entry in entries:
        try:
            yield from list(of(entry))
        except _BAD as e:
            record.bad = record.bad or f"{type(e).__name__}: {e}"
            record.bad_entries.append({member: [entry]})


def _objects(event: Any, record: _Record, depth: int = 0) -> Iterator[Tuple[str, str]]:
    """Bucket and key of everything that an event, or what is in an envelope, speaks of."""
    def of_record(r: Any) -> Iterator[Tuple[str, str]]:
        return _objects(r["Sns"]["Message"], record, depth + 1) if "Sns" in r else _s3_object(r)

    if isinstance(event, str) and depth < 4:
        yield from _objects(json.loads(event), record, depth + 1)
        return
    if not isinstance(event, dict):
        raise _Unknown("not an object")
    if event.get("Event") == "s3:TestEvent":
        return
    if isinstance(event.get("Records"), list):
        yield from _each(event["Records"], of_record, "Records", record)
    elif event.get("Type") == "Notification" and "Message" in event:
        yield from _objects(event["Message"], record, depth + 1)
    elif event.get("source") == "aws.s3" and isinstance(event.get("detail"), dict):
        if event.get("detail-type") in ("Object Created", "Object Restore Completed", None):
            yield from _object(event["detail"]["bucket"]["name"], event["detail"]["object"]["key"])
    elif isinstance(event.get("objects"), list):
        yield from _each(event["objects"], lambda item: _object(item["bucket"], item["key"]), "objects", record)
    elif "bucket" in event and "key" in event:
        yield from _object(event["bucket"], event["key"])
    elif "body" in event and depth < 4:
        yield from _objects(event["body"], record, depth + 1)
    else:
        raise _Unknown("of no known shape")


def _letters_of(body: str) -> Optional[List[str]]:
    """The lines of a message of the queue of failed writes; None: it is something else."""
    if not body.startswith('{"file":'):
        return None
    return [str(json.loads(line)["line"]) for line in body.split("\n") if line]


def _read(event: Any, message_id: Optional[str] = None) -> _Record:
    record = _Record(message_id=message_id, is_awaited=True)
    try:
        record.failed_lines = _letters_of(event) if isinstance(event, str) else None
        if record.failed_lines is not None:
            return record
        parsed = json.loads(event) if isinstance(event, str) else event
        record.is_awaited = not (isinstance(parsed, dict) and any(k in parsed for k in ("Records", "detail", "Type")))
        record.objects = list(dict.fromkeys(_objects(parsed, record)))
    except _BAD as e:
        record.bad = f"{type(e).__name__}: {e}"
        record.bad_entries = [event]
    return record


def _is_queue(event: Any) -> bool:
    return (isinstance(event, dict) and isinstance(event.get("Records"), list) and len(event["Records"]) != 0
            and all(isinstance(r, dict) and r.get("eventSource") == "aws:sqs" for r in event["Records"]))


# --- loading -----------------------------------------------------------------------------------------------------------------------


@dataclass
class _Result:
    """What became of one record: a response, and the figures of all its objects."""
    status: int = 200
    message: str = "Data successfully loaded to InfluxDB"
    dataset: str = ""
    points: int = 0
    batches: int = 0
    failed_batches: int = 0
    queued: int = 0
    rows: int = 0
    rejected: int = 0
    reason: str = ""
    failed_objects: int = 0
    is_settled: bool = True  # all that failed stands in the queue

    def fail(self, status: int, message: str) -> None:
        if status > self.status:
            self.status, self.message = status, message


class _Load:
    """One invocation."""

    def __init__(self, context: Any) -> None:
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        self.begin = time.monotonic()
        self.deadline = self.begin + (remaining() / 1000 if remaining is not None else 900.0) - _LEAVE_SECONDS
        self.request_id = getattr(context, "aws_request_id", None)
        self.bucket = os.environ.get("INFLUXDB_BUCKET", "energy_data")
        self.batch_lines = _number("MAX_BATCH_SIZE", 10_000)
        self.queue = os.environ.get("FAILED_WRITES_QUEUE_URL", "")
        self.is_down = False  # the last batch could not be written: the next gets one try
        self.refused = ""  # why the object at hand fails though it was read whole
        self.refused_lines = ""  # the same: InfluxDB's words, with no queue to put its lines into
        self.health: Dict[str, Any] = {}

    def log(self, level: str, message: str, **more: Any) -> None:
        line = {"timestamp": datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"), "level": level,
                "requestId": self.request_id, "message": message, **more}
        print(json.dumps({k: v for k, v in line.items() if v is not None}, default=str), flush=True)

    # - one batch of lines: written, or in the queue, or the exception goes up

    def write(self, lines: bytes, count: int, source: str, result: _Result) -> None:
        result.batches += 1
        try:
            self._send(lines)
            self.is_down = False
            result.points += count
        except WriteFailed as e:
            if e.is_about_lines:
                points = result.points
                self._write_parts(split_lines(lines), source, result, e)
                result.failed_batches += result.points == points
                return
            self.is_down = e.is_passing
            result.failed_batches += 1
            result.reason = result.reason or str(e)
            self._queue(lines, count, source, str(e), result)

    def _send(self, lines: bytes) -> None:
        influx = _connect()
        try:
            influx.write(self.bucket, lines, deadline=self.deadline, retries=0 if self.is_down else None)
        except WriteFailed as e:
            if e.status != 401 or os.environ.get("INFLUXDB_TOKEN"):
                raise
            _connect(fresh=True).write(self.bucket, lines, deadline=self.deadline)  # the secret was rotated

    def _write_parts(self, lines: List[bytes], source: str, result: _Result, why: WriteFailed) -> None:
        """Halves, until the lines that InfluxDB refuses are alone, or all of them are refused for one reason."""
        dropped = re.search(r"\bdropped=(\d+)", str(why))
        if len(lines) == 1 or (dropped is not None and int(dropped.group(1)) == len(lines)):
            result.rejected += len(lines)
            result.reason = result.reason or str(why)
            self._queue(b"".join(lines), len(lines), source, str(why), result, is_refused=True)
            return
        for part in (lines[:len(lines) // 2], lines[len(lines) // 2:]):
            self._check_time()
            try:
                self._send(b"".join(part))
                result.points += len(part)
            except WriteFailed as e:
                if not e.is_about_lines:
                    result.failed_batches += 1
                    self._queue(b"".join(part), len(part), source, str(e), result)
                else:
                    self._write_parts(part, source, result, e)

    def _queue(self, lines: bytes, count: int, source: str, why: str, result: _Result, is_refused: bool = False) -> None:
        if self.queue:
            self._send_letters([{"file": source, "reason": why[:500], "line": line.decode(errors="replace").rstrip("\n")}
                                for line in split_lines(lines)], why)
            result.queued += count
        elif is_refused:
            self.log("ERROR", "lines were refused and there is no FAILED_WRITES_QUEUE_URL", source=source, reason=why, lines=count,
                     line=lines[:500].decode(errors="replace"))
            self.refused_lines = self.refused_lines or why
        else:
            raise WriteFailed(why, 0)

    def _send_letters(self, letters: List[Dict[str, Any]], why: str) -> None:
        """As few messages as hold them."""
        body: List[str] = []
        size = 0
        for letter in letters:
            text = json.dumps(letter, ensure_ascii=False, separators=(",", ":")) + "\n"
            length = len(text.encode())
            if body and size + length > _MESSAGE_BYTES:
                self._check_time()
                self._send_message("".join(body), why)
                body, size = [], 0
            body.append(text)
            size += length
        if body:
            self._send_message("".join(body), why)

    def _check_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise _TimeUp

    def _send_message(self, body: str, why: str) -> None:
        reason = "".join(c for c in why if c.isprintable())[:200] or "unknown"
        _boto("sqs").send_message(QueueUrl=self.queue, MessageBody=body,
                                  MessageAttributes={"Reason": {"DataType": "String", "StringValue": reason}})

    def _take_rejects(self, rejects: Rejects, source: str, result: _Result) -> None:
        """Rows that are no points: into the queue if there is one, into the log in any case."""
        if not rejects:
            return
        result.reason = result.reason or rejects[0].reason
        self.log("WARN", "rows became no points", source=source, rejected=len(rejects), reasons=dict(list(rejects.summary().items())[:20]))
        if not _flag("DROP_INVALID_RECORDS", True):
            self.refused = self.refused or f"row {rejects[0].row}: {rejects[0].reason}"
        elif self.queue:
            self._send_letters([_letter(source, r) for r in rejects], rejects[0].reason)
        rejects.clear()

    # - one object

    def load(self, bucket: str, key: str, result: _Result) -> None:
        source = f"s3://{bucket}/{key}"
        dataset, mapping = _mapping()
        result.dataset = dataset or _dataset_of(key) or result.dataset
        rejects = Rejects()
        self.refused = self.refused_lines = ""
        taken = 0
        with to_line_protocol(source, dataset, mapping, rejects=rejects, infer=_flag("INFER", False), exact=True, block_bytes=4 << 20,
                              block_lines=self.batch_lines) as blocks:
            try:
                for block in blocks:
                    self._check_time()
                    self.write(block, blocks.block_lines, source, result)
                    taken += len(rejects)
                    self._take_rejects(rejects, source, result)
                taken += len(rejects)
                self._take_rejects(rejects, source, result)
            finally:
                result.rows += blocks.counts.rows
                result.rejected += blocks.counts.rejected
        if blocks.counts.rejected > taken:  # more in a row than the library keeps: nobody has their words
            self.refused = self.refused or f"{blocks.counts.rejected - taken} rows are no points and could not be kept for the queue"
        if self.refused_lines:
            raise WriteFailed(self.refused_lines, 422)
        if self.refused:
            raise InvalidInput(self.refused, "EINVAL")

    def _again(self, lines: List[str], result: _Result) -> None:
        """A message of the queue of failed writes: its lines are written once more."""
        try:
            self._check_time()
            self._send("".join(line + "\n" for line in lines).encode())
        except Exception as e:  # the message goes back, the others are done
            result.fail(*_meaning(e, ""))
            result.reason = str(e)
            return
        result.points += len(lines)
        result.batches += 1

    def run(self, record: _Record) -> _Result:
        """All that a record speaks of."""
        result = _Result()
        if record.bad is not None:
            result.fail(400, "Invalid event format")
            result.reason = record.bad
            for entry in record.bad_entries:
                self._give_up(entry, "an event", f"Invalid event format: {record.bad}", record, result)
        if record.bad is not None and not record.objects:
            pass
        elif record.failed_lines is not None:
            self._again(record.failed_lines, result)
        elif not record.objects:
            result.message = "No data to process"
        else:
            self._load_all(record, result)
        return result

    def _load_all(self, record: _Record, result: _Result) -> None:
        """Every object is tried, whatever became of those before it, as long as InfluxDB answers and there is time."""
        for number, (bucket, key) in enumerate(record.objects):
            try:
                self._check_time()
                self._check_health()
                self.load(bucket, key, result)
            except Exception as e:  # whatever it is, the others are done
                status, words = _meaning(e, key)
                result.fail(status, words)
                result.reason = result.reason or str(e)
                result.failed_objects += 1
                if status < 500:
                    self._give_up({"bucket": bucket, "key": key}, f"s3://{bucket}/{key}", words, record, result)
                elif isinstance(e, WriteFailed) and not e.is_about_lines:
                    result.failed_objects = len(record.objects) - number
                    break
        if result.status == 200 and result.rows == 0:
            result.message = "No data to process"
        elif result.status == 200 and result.points == 0 and result.queued == 0:
            result.message = "No valid data to process"
        elif result.status == 200 and result.failed_batches and result.points == 0:  # a repetition would queue them once more
            result.message = f"No line could be written, all are in the queue: {result.reason}"

    def _give_up(self, event: Any, source: str, why: str, record: _Record, result: _Result) -> None:
        """What no repetition mends. SQS and callers are told; for S3 and its like it goes into the queue of failures."""
        self.log("ERROR", why, source=source)
        if not self.queue or record.is_awaited or record.message_id is not None:
            result.is_settled = False
            return
        try:
            self._send_message(json.dumps(event), why)
        except Exception as e:  # it is told by LoadFailed then
            self.log("ERROR", f"the queue of failed writes: {e}")
            result.is_settled = False

    def _check_health(self) -> None:
        if not self.health:
            self.health = {"status": "healthy", "response_time_ms": round(_connect().ping(self.deadline), 3)}


def _meaning(e: Exception, key: str) -> Tuple[int, str]:
    """An exception as the earlier loader would have answered it."""
    if isinstance(e, NotFound):
        if "no built-in dataset" in str(e):
            return 400, f"Unable to determine dataset type from key: {key}"
        return (400, f"Data conversion failed: {e}") if "--mapping" in str(e) else (404, str(e))
    if isinstance(e, WriteFailed):
        return (503, f"InfluxDB connection failed: {e}") if e.is_passing else (500, f"Failed to write data to InfluxDB: {e}")
    if isinstance(e, Unavailable):
        return 503, str(e)
    if isinstance(e, AfluxoError):
        return 400, f"Data conversion failed: {e}"
    return 500, f"Internal error: {type(e).__name__}: {e}"


def _letter(source: str, reject: Reject) -> Dict[str, Any]:
    letter: Dict[str, Any] = {"file": source, "row_group": 0, "row": reject.row, "column": reject.column, "reason": reject.reason}
    try:
        letter["row_data"] = json.loads(reject.raw)
    except ValueError:
        letter["raw"] = reject.raw
    return letter


def _mapping() -> Tuple[Optional[str], Optional[str]]:
    """MAPPING: a built-in dataset, or YAML in a file of the function or in S3."""
    global _yaml
    value = os.environ.get("MAPPING", "").strip()
    if not value.endswith((".yaml", ".yml")):
        return value or None, None
    if _yaml[0] != value:
        if value.startswith("s3://"):
            bucket, _, key = value[5:].partition("/")
            text = _boto("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        else:
            with open(value, encoding="utf-8") as f:
                text = f.read()
        _yaml = (value, text)
    return None, _yaml[1]


def _dataset_of(key: str) -> str:
    low = key.lower()
    for part in low.split("/"):
        if part.startswith("dataset="):
            return part[8:]
    return next((d for d in ("generation", "consumption", "transmission") if d in low), "")


# --- answers --------------------------------------------------------------------------------------------------------------------


def _metrics(load: _Load, result: _Result, seconds: float) -> None:
    if not _flag("ENABLE_METRICS", True):
        return
    batches = max(result.batches, 1)
    values = {"PointsWritten": (result.points, "Count"), "BatchesProcessed": (result.batches, "Count"),
              "ProcessingTime": (seconds, "Seconds"), "SourceRecords": (result.rows, "Count"),
              "FailedBatches": (result.failed_batches, "Count"), "RejectedRecords": (result.rejected, "Count"),
              "ConversionRate": (100.0 * (1 - result.rejected / result.rows) if result.rows else 0.0, "Percent"),
              "BatchSuccessRate": (100.0 * (batches - result.failed_batches) / batches, "Percent")}
    dimensions = {"DatasetType": result.dataset or "unknown", "Function": "InfluxDBLoader"}
    _emf(values, dimensions)
    if result.status >= 400:
        _emf({"ProcessingErrors": (1, "Count")}, {"ErrorType": str(result.status)})


def _emf(values: Dict[str, Tuple[float, str]], dimensions: Dict[str, str]) -> None:
    """One line of CloudWatch's embedded metric format."""
    described = [{"Name": k, "Unit": unit} for k, (_, unit) in values.items()]
    meta = {"Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [{"Namespace": "ONS/InfluxDB", "Dimensions": [list(dimensions)], "Metrics": described}]}
    print(json.dumps({"_aws": meta, **dimensions, **{k: v for k, (v, _) in values.items()}}), flush=True)


def _response(load: _Load, result: _Result, seconds: float) -> Dict[str, Any]:
    data = {"points_written": result.points, "batches_processed": result.batches, "dataset_type": result.dataset or None,
            "processing_time_seconds": round(seconds, 3), "source_records": result.rows, "health_check": load.health,
            "failed_objects": result.failed_objects, "failed_batches": result.failed_batches, "lines_queued": result.queued,
            "records_rejected": result.rejected,
            "reason": result.reason or None}
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return {"statusCode": result.status, "message": result.message, "timestamp": now.isoformat(),
            "data": data}


def _finish(load: _Load, result: _Result, seconds: float) -> Dict[str, Any]:
    response = _response(load, result, seconds)
    _metrics(load, result, seconds)
    load.log("INFO" if result.status < 400 else "ERROR", result.message, **response["data"])
    return response


def handler(event: Any, context: Any = None) -> Dict[str, Any]:
    """The function to name in Lambda: `afluxo.aws_lambda.handler`.

    SQS: {"batchItemFailures": [...]} (switch ReportBatchItemFailures on). A direct call, Step Functions, a JSON `body`: the response of the
    earlier loader, with its statusCode. S3, SNS, EventBridge: the same, but what failed and is not in the queue of failures raises
    LoadFailed, for nobody would read the answer.
    """
    load = _Load(context)
    if _is_queue(event):
        failures = []
        for message in event["Records"]:
            begin = time.monotonic()
            result = load.run(_read(message.get("body"), message.get("messageId")))
            _finish(load, result, time.monotonic() - begin)
            if result.status >= 400:
                failures.append({"itemIdentifier": message.get("messageId")})
        sys.stdout.flush()
        return {"batchItemFailures": failures}
    record = _read(event)
    result = load.run(record)
    response = _finish(load, result, time.monotonic() - load.begin)
    sys.stdout.flush()
    if not record.is_awaited and (result.status >= 500 or not result.is_settled):
        raise LoadFailed(response)
    return response

"""The client for boto3's "timestream-write": records become points.

    table          measurement                 Dimensions   tags
    MeasureName    field (single measure)      MULTI        tag measure_name, one field for each of MeasureValues
    DOUBLE float, BIGINT integer, BOOLEAN boolean, VARCHAR string, TIMESTAMP integer (ns)      Time x TimeUnit: exact to the nanosecond
"""
from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional, Tuple

from .._influx import WriteFailed, escape, name
from ._base import Base, operation
from ._errors import error, metadata

_UNITS = {"NANOSECONDS": 1, "MICROSECONDS": 1_000, "MILLISECONDS": 1_000_000, "SECONDS": 1_000_000_000}
_TYPES = ("DOUBLE", "BIGINT", "VARCHAR", "BOOLEAN", "TIMESTAMP")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_DOUBLE = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|[Ii]nf(?:inity)?|[Nn]a[Nn])")
_TIME_MAX = 2 ** 63 - 1
_VALUE_BYTES = 2048
_RECORDS = "One or more records have been rejected. See RejectedRecords for details."
#: The tag that says that a point was a multi-measure record.
MULTI_TAG = "measure_name"

_Point = Tuple[str, Dict[str, str], int]  # series key, fields as written, time


class _Refused(ValueError):
    """A record that is no point; Timestream would list it, too."""


def _text(value: str) -> str:
    if any(c in value for c in "\n\r") or value.endswith("\\"):
        raise _Refused(f"InfluxDB cannot hold a line break or a backslash at the end in the name or tag {value!r}")
    return escape(value, [",", "=", " "])


def _field(value: str, kind: str, unit_ns: int) -> str:
    """A measure's value as line protocol writes it."""
    if len(value.encode()) > _VALUE_BYTES:
        raise _Refused(f"The measure value is longer than {_VALUE_BYTES} bytes")
    try:
        if kind == "DOUBLE":
            number = float(value if _DOUBLE.fullmatch(value) else "no number")
            if not math.isfinite(number):
                raise _Refused(f"The measure value {value} cannot be stored: NaN and Infinity are not supported")
            return repr(number)
        if kind == "BIGINT":
            return _integer(_whole(value))
        if kind == "TIMESTAMP":
            return _integer(_whole(value) * unit_ns)
    except _Refused:
        raise
    except ValueError:
        raise _Refused(f"The measure value {value!r} is no {kind}") from None
    if kind == "BOOLEAN":
        if value.lower() not in ("true", "false"):
            raise _Refused(f"The measure value {value!r} is no BOOLEAN")
        return value.lower()
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(text)
    return int(text)


def _integer(number: int) -> str:
    if not -2 ** 63 <= number < 2 ** 63:
        raise _Refused(f"The measure value {number} has no place in 64 bits")
    return f"{number}i"


def _merge(common: Dict[str, Any], record: Dict[str, Any]) -> Dict[str, Any]:
    merged = {**common, **record}
    merged["Dimensions"] = list(common.get("Dimensions", ())) + list(record.get("Dimensions", ()))
    merged["MeasureValues"] = list(common.get("MeasureValues", ())) + list(record.get("MeasureValues", ()))
    return merged


def _is_reserved(column: str) -> bool:
    return column in ("time", MULTI_TAG, "_measurement", "_field") or column.startswith(("ts_", "measure_value"))


def _dimensions(record: Dict[str, Any]) -> Dict[str, str]:
    tags: Dict[str, str] = {}
    for dimension in record["Dimensions"]:
        key = dimension["Name"]
        if key in tags:
            raise KeyError(key)
        if _is_reserved(key):
            raise _Refused(f"The dimension name {key} is reserved")
        tags[key] = dimension["Value"]
    return tags


def _time(record: Dict[str, Any], unit_ns: int) -> int:
    try:
        ns = _whole(record["Time"]) * unit_ns
    except ValueError:
        raise _Refused(f"The time {record['Time']!r} is no whole number") from None
    if not 0 <= ns <= _TIME_MAX:
        raise _Refused(f"The time {record['Time']} is outside of 1970-01-01 and 2262-04-11")
    return ns


def _point(table: str, record: Dict[str, Any]) -> _Point:
    unit_ns = _UNITS[record.get("TimeUnit", "MILLISECONDS")]
    kind = record.get("MeasureValueType", "DOUBLE")
    tags = _dimensions(record)
    fields: Dict[str, str] = {}
    if kind == "MULTI":
        tags[MULTI_TAG] = record["MeasureName"]
        for value in record["MeasureValues"]:
            if _is_reserved(value["Name"]):
                raise _Refused(f"The measure name {value['Name']} is reserved")
            if _text(value["Name"]) in fields:
                raise _Refused(f"The measure name {value['Name']} is given twice")
            fields[_text(value["Name"])] = _field(value["Value"], value["Type"], unit_ns)
    else:
        if record["MeasureName"] == "time":  # a field that InfluxDB drops without a word
            raise _Refused("The measure name time is reserved")
        fields[_text(record["MeasureName"])] = _field(record["MeasureValue"], kind, unit_ns)
    key = escape(table, [",", " "])
    # Of an empty value InfluxDB would say that the line is broken; there is no such tag then.
    for k, v in sorted((k.encode(), v) for k, v in tags.items()):
        if v != "":
            key += f",{_text(k.decode())}={_text(v)}"
    return key, fields, _time(record, unit_ns)


def _check_enums(record: Dict[str, Any], where: str) -> None:
    found = [("TimeUnit", record.get("TimeUnit", "SECONDS"), tuple(_UNITS)),
             ("MeasureValueType", record.get("MeasureValueType", "DOUBLE"), (*_TYPES, "MULTI"))]
    found += [("Type of a measure value", v["Type"], _TYPES) for v in record["MeasureValues"]]
    for what, value, values in found:
        if value not in values:
            raise error("ValidationException", f"{where}{what} {value!r} is none of {', '.join(values)}", "WriteRecords")


def _check_table(table: str, operation: str) -> None:
    if not re.fullmatch(r"[a-zA-Z0-9_.-]{3,256}", table):
        raise error("ValidationException", "A table's name has 3 to 256 letters, digits, _ . and -.", operation)


class TimestreamWrite(Base):
    """In place of boto3.client("timestream-write")."""

    service = "timestream-write"

    # --- records --------------------------------------------------------------------------------------------------------------

    @operation("WriteRecords")
    def write_records(self, **params: Any) -> Dict[str, Any]:
        """As boto3's, with more than 100 records at once if need be.

        Of two records of one call for the same point, the one with the higher Version counts. Across calls there are no versions: the
        later write wins.
        """
        _check_table(params["TableName"], "WriteRecords")
        common = params.get("CommonAttributes", {})
        records = [_merge(common, r) for r in params["Records"]]
        self._check_records(records)
        lines, rejected = self._lines(params["TableName"], records)
        if lines:
            rejected.update(self._write(self.bucket_of(params["DatabaseName"]), lines, params["DatabaseName"]))
        if rejected:
            raise error("RejectedRecordsException", _RECORDS, "WriteRecords", [rejected[i] for i in sorted(rejected)])
        count = len(records)
        return {"RecordsIngested": {"Total": count, "MemoryStore": count, "MagneticStore": 0}, "ResponseMetadata": metadata()}

    def _check_records(self, records: List[Dict[str, Any]]) -> None:
        """What makes Timestream refuse the request as a whole."""
        for i, r in enumerate(records):
            where = f"Record {i}: "
            if r.get("Version", 1) < 1:
                raise error("ValidationException", where + "Version must be at least 1", "WriteRecords")
            _check_enums(r, where)
            for member in ("MeasureName", "Time"):
                if not r.get(member):
                    raise error("ValidationException", where + f"{member} is missing", "WriteRecords")
            if r.get("MeasureValueType") == "MULTI":
                if not r["MeasureValues"] or "MeasureValue" in r:
                    raise error("ValidationException", where + "a MULTI record has MeasureValues and no MeasureValue", "WriteRecords")
            elif r["MeasureValues"] or not r.get("MeasureValue"):
                raise error("ValidationException", where + "MeasureValue is missing, or MeasureValues without type MULTI", "WriteRecords")
            elif r.get("MeasureValueType") == "TIMESTAMP":
                raise error("ValidationException", where + "TIMESTAMP is a type of MeasureValues only", "WriteRecords")

    def _lines(self, table: str, records: List[Dict[str, Any]]) -> Tuple[List[Tuple[int, bytes]], Dict[int, Dict[str, Any]]]:
        """Number and line of every record that is one, and those that are rejected."""
        rejected: Dict[int, Dict[str, Any]] = {}
        points: List[Tuple[int, _Point]] = []
        newest: Dict[Tuple[str, str, int], Tuple[int, Dict[str, str], int]] = {}
        for i, record in enumerate(records):
            try:
                key, fields, ns = _point(table, record)
            except KeyError as e:
                raise error("ValidationException", f"Record {i}: the dimension {e} is given twice", "WriteRecords") from None
            except _Refused as e:
                rejected[i] = {"RecordIndex": i, "Reason": str(e)}
                continue
            version = record.get("Version", 1)
            identity = (key, record["MeasureName"], ns)
            before = newest.get(identity)
            if before is not None and (version < before[0] or (version == before[0] and fields != before[1])):
                rejected[i] = {"RecordIndex": i, "ExistingVersion": before[0], "Reason": _version_reason(version, before[0])}
                continue
            newest[identity] = (version, fields, i)
            points.append((i, (key, fields, ns)))
        current = {i for _, _, i in newest.values()}
        lines = [(i, f"{key} {','.join(f'{k}={v}' for k, v in fields.items())} {ns}\n".encode())
                  for i, (key, fields, ns) in points if i in current]
        return lines, rejected

    def _write(self, bucket: str, lines: List[Tuple[int, bytes]], database: str) -> Dict[int, Dict[str, Any]]:
        """Halves what InfluxDB refuses, until the records that it refuses are alone."""
        try:
            self._influx.write(bucket, b"".join(line for _, line in lines))
            return {}
        except WriteFailed as e:
            if not e.is_about_lines:
                raise self.failed(e, "WriteRecords", f"The database {database}") from e
            if len(lines) == 1:
                return {lines[0][0]: {"RecordIndex": lines[0][0], "Reason": str(e)}}
        half = len(lines) // 2
        return {**self._write(bucket, lines[:half], database), **self._write(bucket, lines[half:], database)}

    # --- databases: buckets ---------------------------------------------------------------------------------------------------

    def _arn(self, what: str) -> str:
        return f"arn:aws:timestream:{self.region}:000000000000:database/{what}"

    def _find(self, database: str, operation: str) -> Any:
        found = self._influx.client.buckets_api().find_bucket_by_name(self.bucket_of(database))
        if found is None:
            raise error("ResourceNotFoundException", f"The database {database} does not exist.", operation)
        return found

    def _tables(self, bucket: str) -> List[str]:
        return sorted(str(row[0]) for series in self._influx.ask(bucket, "SHOW MEASUREMENTS") for row in series["values"])

    def _database(self, bucket: Any) -> Dict[str, Any]:
        database = self.database_of(bucket.name)
        now = datetime.now(timezone.utc)
        return {"Arn": self._arn(database), "DatabaseName": database, "TableCount": len(self._tables(bucket.name)),
                "CreationTime": bucket.created_at or now, "LastUpdatedTime": bucket.updated_at or now}

    @operation("CreateDatabase")
    def create_database(self, **params: Any) -> Dict[str, Any]:
        from influxdb_client.rest import ApiException

        database = params["DatabaseName"]
        try:
            made = self._influx.client.buckets_api().create_bucket(bucket_name=self.bucket_of(database), org=self._influx.org)
        except ApiException as e:
            if e.status == 422:
                raise error("ConflictException", f"Database {database} already exists.", "CreateDatabase") from e
            raise
        return {"Database": self._database(made), "ResponseMetadata": metadata()}

    @operation("DescribeDatabase")
    def describe_database(self, **params: Any) -> Dict[str, Any]:
        found = self._find(params["DatabaseName"], "DescribeDatabase")
        return {"Database": self._database(found), "ResponseMetadata": metadata()}

    @operation("DeleteDatabase")
    def delete_database(self, **params: Any) -> Dict[str, Any]:
        found = self._find(params["DatabaseName"], "DeleteDatabase")
        if self._tables(found.name):
            raise error("ValidationException", "The database is not empty: delete its tables first.", "DeleteDatabase")
        self._influx.client.buckets_api().delete_bucket(found)
        return {"ResponseMetadata": metadata()}

    @operation("ListDatabases")
    def list_databases(self, **params: Any) -> Dict[str, Any]:
        names = [b for b in self._influx.client.buckets_api().find_buckets_iter() if not b.name.startswith("_")]
        page, token = _page(sorted(names, key=lambda b: str(b.name)), params)
        return {"Databases": [self._database(b) for b in page], **token, "ResponseMetadata": metadata()}

    # --- tables: measurements -------------------------------------------------------------------------------------------------

    def _table(self, bucket: Any, table: str) -> Dict[str, Any]:
        database = self.database_of(bucket.name)
        seconds = bucket.retention_rules[0].every_seconds if bucket.retention_rules else 0
        now = datetime.now(timezone.utc)
        days = min(max(math.ceil(seconds / 86400), 1), 73000) if seconds else 73000
        return {"Arn": self._arn(f"{database}/table/{table}"), "TableName": table, "DatabaseName": database, "TableStatus": "ACTIVE",
                "RetentionProperties": {"MemoryStoreRetentionPeriodInHours": min(days * 24, 8766),
                                        "MagneticStoreRetentionPeriodInDays": days},
                "CreationTime": bucket.created_at or now, "LastUpdatedTime": bucket.updated_at or now,
                "MagneticStoreWriteProperties": {"EnableMagneticStoreWrites": True},
                "Schema": {"CompositePartitionKey": [{"Type": "MEASURE"}]}}

    def _made(self) -> "Dict[Tuple[str, str], bool]":
        made: Dict[Tuple[str, str], bool] = self.__dict__.setdefault("_made_tables", {})
        return made

    @operation("CreateTable")
    def create_table(self, **params: Any) -> Dict[str, Any]:
        """A measurement is there with its first point; until then this client remembers it. Retention is the bucket's."""
        bucket = self._find(params["DatabaseName"], "CreateTable")
        _check_table(params["TableName"], "CreateTable")
        if params["TableName"] in self._tables(bucket.name) or (bucket.name, params["TableName"]) in self._made():
            raise error("ConflictException", f"Table {params['TableName']} already exists.", "CreateTable")
        self._made()[bucket.name, params["TableName"]] = True
        return {"Table": self._table(bucket, params["TableName"]), "ResponseMetadata": metadata()}

    @operation("DescribeTable")
    def describe_table(self, **params: Any) -> Dict[str, Any]:
        bucket = self._existing(params, "DescribeTable")
        return {"Table": self._table(bucket, params["TableName"]), "ResponseMetadata": metadata()}

    @operation("UpdateTable")
    def update_table(self, **params: Any) -> Dict[str, Any]:
        """Nothing changes: retention is the bucket's."""
        bucket = self._existing(params, "UpdateTable")
        return {"Table": self._table(bucket, params["TableName"]), "ResponseMetadata": metadata()}

    def _existing(self, params: Dict[str, Any], operation: str) -> Any:
        bucket = self._find(params["DatabaseName"], operation)
        table = params["TableName"]
        if (bucket.name, table) not in self._made() and table not in self._tables(bucket.name):
            raise error("ResourceNotFoundException", f"The table {table} does not exist.", operation)
        return bucket

    @operation("DeleteTable")
    def delete_table(self, **params: Any) -> Dict[str, Any]:
        bucket = self._existing(params, "DeleteTable")
        table = params["TableName"]
        self._made().pop((bucket.name, table), None)
        try:
            for _ in self._influx.ask(bucket.name, f"DROP MEASUREMENT {name(table)}"):
                pass
        except WriteFailed as e:
            if re.search("error parsing|not implemented|not supported", str(e)) is None:
                raise
            quoted = table.replace("\\", "\\\\").replace('"', '\\"')  # InfluxDB 2 has no such statement in some versions
            self._influx.client.delete_api().delete("1970-01-01T00:00:00Z", "2262-04-11T23:47:16Z", f'_measurement="{quoted}"',
                                                    bucket=bucket.name, org=self._influx.org)
        return {"ResponseMetadata": metadata()}

    @operation("ListTables")
    def list_tables(self, **params: Any) -> Dict[str, Any]:
        if "DatabaseName" in params:
            buckets = [self._find(params["DatabaseName"], "ListTables")]
        else:
            buckets = [b for b in self._influx.client.buckets_api().find_buckets_iter() if not b.name.startswith("_")]
        found = []
        for bucket in sorted(buckets, key=lambda b: str(b.name)):
            names = set(self._tables(bucket.name)) | {t for b, t in self._made() if b == bucket.name}
            found += [(bucket, table) for table in sorted(names)]
        page, token = _page(found, params)
        return {"Tables": [self._table(b, t) for b, t in page], **token, "ResponseMetadata": metadata()}


def _version_reason(version: int, existing: int) -> str:
    if version < existing:
        return (f"The record version {version} is lower than the existing version {existing}. A higher version is required to update the "
                "measure value.")
    return (f"The record version {version} already exists. A higher version is required to update the measure value. A record with the "
            "same time, dimensions, measure name and version exists.")


def _page(items: List[Any], params: Dict[str, Any]) -> Tuple[List[Any], Dict[str, str]]:
    token: Optional[str] = params.get("NextToken")
    if token is not None and not token.isdigit():
        raise error("ValidationException", "Invalid pagination token", "List")
    begin, count = int(token or 0), params.get("MaxResults", 20)
    more = {"NextToken": str(begin + count)} if begin + count < len(items) else {}
    return items[begin:begin + count], more


__all__ = ["MULTI_TAG", "TimestreamWrite"]

"""Clients in place of boto3's for Timestream, over InfluxDB. One line changes:

    import boto3                                        from afluxo import timestream
    client = boto3.client("timestream-write")           client = timestream.client("timestream-write")
    client = boto3.client("timestream-query")           client = timestream.client("timestream-query")

What a record becomes, which SQL is understood, and what differs: docs/python.md.
"""
from __future__ import annotations

from typing import Any, Literal, Union, overload

from ._query import TimestreamQuery
from ._sql import SqlError
from ._write import TimestreamWrite


@overload
def client(service_name: "Literal['timestream-write']", region_name: Any = None, **kw: Any) -> TimestreamWrite: ...
@overload
def client(service_name: "Literal['timestream-query']", region_name: Any = None, **kw: Any) -> TimestreamQuery: ...


def client(service_name: str, region_name: Any = None, *ignored: Any, url: Any = None, token: Any = None, org: Any = None,
           databases: Any = None, influx: Any = None, **more: Any) -> Union[TimestreamWrite, TimestreamQuery]:
    """A client for "timestream-write" or "timestream-query".

    url, token, org    InfluxDB; by default INFLUXDB_URL, INFLUXDB_TOKEN, INFLUXDB_ORG
    databases          {"timestream database": "bucket"}; by default TIMESTREAM_DATABASES ("a=b,c=d"), else the same name

    Other arguments of boto3.client (config, endpoint_url, aws_access_key_id ...) are taken and mean nothing.
    """
    options = {"url": url, "token": token, "org": org, "databases": databases, "region_name": region_name, "influx": influx}
    if service_name == "timestream-write":
        return TimestreamWrite(**options)
    if service_name == "timestream-query":
        return TimestreamQuery(**options)
    raise ValueError(f"afluxo.timestream is for timestream-write and timestream-query, not {service_name}")


__all__ = ["SqlError", "TimestreamQuery", "TimestreamWrite", "client"]

"""What both clients share: connection, parameters checked by botocore's own models, names of databases, failures in AWS's words."""
from __future__ import annotations

import os
from functools import lru_cache, wraps
from typing import Any, Callable, Dict, List, Mapping, Optional

import botocore.session
from botocore.exceptions import ClientError, OperationNotPageableError, ParamValidationError
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from .._influx import Influx, WriteFailed
from ._errors import Exceptions, error


@lru_cache(maxsize=None)
def model(service: str) -> ServiceModel:
    """AWS's description of a service."""
    loader = botocore.session.get_session().get_component("data_loader")
    return ServiceModel(loader.load_service_model(service, "service-2"), service_name=service)


def operation(name: str) -> "Callable[[Callable[..., Dict[str, Any]]], Callable[..., Dict[str, Any]]]":
    """Of a method: what InfluxDB or the way to it fails with is an error of this operation."""
    def wrap(method: Callable[..., Dict[str, Any]]) -> Callable[..., Dict[str, Any]]:
        @wraps(method)
        def run(self: "Base", **params: Any) -> Dict[str, Any]:
            self.check(name, params)
            try:
                with self._influx.errors():
                    return method(self, **params)
            except WriteFailed as e:
                raise self.failed(e, name, f"The database {params.get('DatabaseName', '')}".strip()) from e
        return run
    return wrap


def _databases(text: str) -> Dict[str, str]:
    return dict(part.split("=", 1) for part in text.split(",") if "=" in part)


class Base:
    """
    url, token, org     InfluxDB; by default INFLUXDB_URL, INFLUXDB_TOKEN, INFLUXDB_ORG
    databases           which bucket a Timestream database is: {"ons_energy_data": "energy_data"}, by default TIMESTREAM_DATABASES
                        ("a=b,c=d"); others are the bucket of their own name
    """

    service = ""
    exceptions = Exceptions

    def __init__(self, *, url: Optional[str] = None, token: Optional[str] = None, org: Optional[str] = None,
                 databases: Optional[Mapping[str, str]] = None, region_name: Optional[str] = None, influx: Optional[Influx] = None) -> None:
        env = os.environ
        self._databases = dict(databases) if databases is not None else _databases(env.get("TIMESTREAM_DATABASES", ""))
        self.region = region_name or env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or "us-east-1"
        if influx is None:
            influx = Influx(url or env.get("INFLUXDB_URL", "http://127.0.0.1:8086"), token or env.get("INFLUXDB_TOKEN", ""),
                            org or env.get("INFLUXDB_ORG", "ons-energy"), retries=4, backoff_s=0.5)
        self._influx = influx
        self.meta = _Meta(self)

    def close(self) -> None:
        self._influx.close()

    def bucket_of(self, database: str) -> str:
        return self._databases.get(database, database)

    def database_of(self, bucket: str) -> str:
        return next((d for d, b in self._databases.items() if b == bucket), bucket)

    def check(self, operation: str, params: Dict[str, Any]) -> None:
        """botocore's own check of parameters, with its own exception."""
        shape = model(self.service).operation_model(operation).input_shape
        report = ParamValidator().validate(params, shape)
        if report.has_errors():
            raise ParamValidationError(report=report.generate_report())

    def failed(self, e: WriteFailed, operation: str, what: str) -> ClientError:
        """A failure of InfluxDB as AWS would word it."""
        if e.status in (401, 403):
            return error("AccessDeniedException", f"User is not authorized to perform: timestream:{operation} on {what}: {e}", operation)
        if e.status == 404 or "database not found" in str(e):
            return error("ResourceNotFoundException", f"{what} does not exist: {e}", operation)
        if e.status == 429:
            return error("ThrottlingException", f"Request rate limit exceeded: {e}", operation)
        if e.status in (0, 500, 502, 503, 504):
            return error("InternalServerException", f"InfluxDB is not well: {e}", operation)
        return error("ValidationException", str(e), operation)

    def describe_endpoints(self) -> Dict[str, Any]:
        from ._errors import metadata

        host = self._influx.url.split("://", 1)[-1]
        return {"Endpoints": [{"Address": host, "CachePeriodInMinutes": 1440}], "ResponseMetadata": metadata()}

    def can_paginate(self, operation_name: str) -> bool:
        return False

    def get_paginator(self, operation_name: str) -> Any:
        raise OperationNotPageableError(operation_name=operation_name)

    @property
    def waiter_names(self) -> List[str]:
        return []

    def get_waiter(self, waiter_name: str) -> Any:
        raise ValueError(f"Waiter does not exist: {waiter_name}")

    def __getattr__(self, name: str) -> Any:
        operation = "".join(part.capitalize() for part in name.split("_"))
        if not name.startswith("_") and operation in model(type(self).service).operation_names:
            def refused(**params: Any) -> Any:
                raise error("ValidationException", f"{operation} is not offered by afluxo.timestream", operation)
            return refused
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


class _Meta:
    """As much of `client.meta` as code looks at."""

    def __init__(self, client: Base) -> None:
        self.region_name = client.region
        self.endpoint_url = client._influx.url
        self.service_model = model(client.service)

    @property
    def partition(self) -> str:
        return "aws"

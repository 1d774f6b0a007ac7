"""Errors as boto3's clients raise them: subclasses of botocore's ClientError with the same `response`."""
from __future__ import annotations

import uuid
from typing import Any, Dict, List, Optional, Type

from botocore.exceptions import ClientError

_STATUS = {"ValidationException": 400, "QueryExecutionException": 400, "ServiceQuotaExceededException": 402, "AccessDeniedException": 403,
           "ResourceNotFoundException": 404, "ConflictException": 409, "RejectedRecordsException": 419, "InvalidEndpointException": 421,
           "ThrottlingException": 429, "InternalServerException": 500}


class Exceptions:
    """What `client.exceptions` is."""

    ClientError = ClientError


def _make(code: str) -> Type[ClientError]:
    return type(code, (ClientError,), {"__module__": __name__, "__doc__": f"{code}, HTTP {_STATUS[code]}."})


for _code in _STATUS:
    setattr(Exceptions, _code, _make(_code))


def metadata(status: int = 200) -> Dict[str, Any]:
    """ResponseMetadata of an answer."""
    return {"RequestId": uuid.uuid4().hex.upper(), "HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0}


def error(code: str, message: str, operation: str, rejected: Optional[List[Dict[str, Any]]] = None) -> ClientError:
    """To be raised."""
    response: Dict[str, Any] = {"Error": {"Message": message, "Code": code},
        "ResponseMetadata": metadata(_STATUS[code]), "message": message}
    if rejected is not None:
        response["RejectedRecords"] = rejected
    made: ClientError = getattr(Exceptions, code)(response, operation)
    return made

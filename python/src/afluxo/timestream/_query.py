"""The client for boto3's "timestream-query": a documented part of its SQL over InfluxQL, in Timestream's exact answers."""
from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Tuple

import botocore.session
from botocore.exceptions import ClientError
from botocore.paginate import Paginator, PaginatorModel

from .._influx import WriteFailed
from ._base import Base, model, operation
from ._errors import error, metadata
from ._run import Answer, listing, select
from ._sql import SqlError, Statement, parse, place
from ._values import SCALAR, datum

_PAGE_ROWS, _PAGE_BYTES = 1000, 1_000_000
_OPEN_MAX = 64


@dataclass
class _Running:
    """A query whose answer is taken page by page."""
    id: str
    text: str
    columns: List[Dict[str, Any]]
    kinds: List[str]
    rows: Iterator[Tuple[Any, ...]]
    page: int = 0
    last: Dict[str, Any] = field(default_factory=dict)  # the page given last, for who asks for it again


class TimestreamQuery(Base):
    """In place of boto3.client("timestream-query")."""

    service = "timestream-query"

    def __init__(self, **kw: Any) -> None:
        super().__init__(**kw)
        self._running: Dict[str, _Running] = {}

    def can_paginate(self, operation_name: str) -> bool:
        return operation_name == "query"

    def get_paginator(self, operation_name: str) -> Paginator:
        """botocore's own paginator over this client's `query`."""
        if operation_name != "query":
            super().get_paginator(operation_name)
        loader = botocore.session.get_session().get_component("data_loader")
        config = PaginatorModel(loader.load_service_model(self.service, "paginators-1")).get_paginator("Query")
        return Paginator(self.query, config, model(self.service).operation_model("Query"))

    @operation("Query")
    def query(self, **params: Any) -> Dict[str, Any]:
        try:
            running, page = self._find(params)
            answer = self._page(running, page, params.get("MaxRows", _PAGE_ROWS))
        except SqlError as e:
            raise error("ValidationException", str(e), "Query") from e
        except (ArithmeticError, ValueError) as e:
            raise error("QueryExecutionException", str(e), "Query") from e
        return {**answer, "ResponseMetadata": metadata()}

    def failed(self, e: WriteFailed, operation: str, what: str) -> ClientError:
        if "database not found" in str(e) or "bucket" in str(e) and e.status == 404:
            return error("ValidationException", f"The requested database does not exist: {e}", operation)
        return super().failed(e, operation, what)

    # --- pages

    def _find(self, params: Dict[str, Any]) -> Tuple[_Running, int]:
        token = params.get("NextToken")
        if token is None:
            return self._start(params["QueryString"]), 0
        number, _, query_id = token.partition(".")
        running = self._running.get(query_id)
        if (running is None or running.text != params["QueryString"] or not number.isdigit()
                or int(number) not in (running.page, running.page - 1)):
            raise SqlError("Invalid pagination token")
        return running, int(number)

    def _start(self, text: str) -> _Running:
        answer = self._run(text)
        columns = [{"Name": n, "Type": {"ScalarType": SCALAR[k]}} for n, k in zip(answer.names, answer.kinds)]
        return _Running(("AFLUXO" + uuid.uuid4().hex).upper(), text, columns, answer.kinds, answer.rows)

    def _page(self, running: _Running, page: int, rows_max: int) -> Dict[str, Any]:
        """The page; after a failure there is none any more, for the rows are lost."""
        if page < running.page:
            return running.last
        try:
            return self._next_page(running, rows_max)
        except BaseException:
            self._running.pop(running.id, None)
            raise

    def _next_page(self, running: _Running, rows_max: int) -> Dict[str, Any]:
        rows: List[Dict[str, Any]] = []
        size = 0
        while len(rows) < rows_max and size < _PAGE_BYTES:
            row = next(running.rows, None)
            if row is None:
                break
            data = [datum(v, k) for v, k in zip(row, running.kinds)]
            size += sum(len(str(d.get("ScalarValue", ""))) + 20 for d in data)
            rows.append({"Data": data})
        following = next(running.rows, None)
        answer: Dict[str, Any] = {"QueryId": running.id, "Rows": rows, "ColumnInfo": running.columns,
                                  "QueryStatus": {"ProgressPercentage": 100.0, "CumulativeBytesScanned": size,
                                                  "CumulativeBytesMetered": size}}
        running.page += 1
        running.last = answer
        if following is None:
            self._running.pop(running.id, None)
            return answer
        running.rows = itertools.chain([following], running.rows)
        answer["QueryStatus"]["ProgressPercentage"] = 50.0
        answer["NextToken"] = f"{running.page}.{running.id}"
        self._running[running.id] = running
        while len(self._running) > _OPEN_MAX:
            self._running.pop(next(iter(self._running)))
        return answer

    # --- statements

    def _run(self, text: str) -> Answer:
        statement = parse(text)
        if statement.kind == "select":
            return select(self._influx, self.bucket_of(statement.database), statement, time.time_ns(), lambda at: place(text, at))
        if statement.kind == "measures":
            raise SqlError("line 1:6: SHOW MEASURES is not supported by afluxo.timestream yet: use DESCRIBE")
        databases = self._database_names() if statement.kind == "databases" else []
        return listing(self._influx, statement, self.bucket_of(statement.database), databases)

    def _database_names(self) -> List[str]:
        names = (str(b.name) for b in self._influx.client.buckets_api().find_buckets_iter())
        return sorted(self.database_of(n) for n in names if not n.startswith("_"))

    @operation("CancelQuery")
    def cancel_query(self, **params: Any) -> Dict[str, Any]:
        self._running.pop(params["QueryId"], None)
        return {"CancellationMessage": "The query was cancelled.", "ResponseMetadata": metadata()}

    @operation("PrepareQuery")
    def prepare_query(self, **params: Any) -> Dict[str, Any]:
        try:
            statement = parse(params["QueryString"])
            answer = self._run(params["QueryString"])
        except SqlError as e:
            raise error("ValidationException", str(e), "PrepareQuery") from e
        except (ArithmeticError, ValueError) as e:
            raise error("QueryExecutionException", str(e), "PrepareQuery") from e
        columns = [_described(n, k, c, statement) for n, k, c in zip(
            answer.names, answer.kinds, answer.columns or [("", False)] * len(answer.names))]
        return {"QueryString": params["QueryString"], "Columns": columns, "Parameters": [], "ResponseMetadata": metadata()}


def _described(name: str, kind: str, column: Tuple[str, bool], statement: Statement) -> Dict[str, Any]:
    described: Dict[str, Any] = {"Name": name, "Type": {"ScalarType": SCALAR[kind]}, "Aliased": column[1]}
    if column[0]:
        described.update(DatabaseName=statement.database, TableName=statement.table)
    return described


__all__ = ["TimestreamQuery"]

"""A place for points: a data directory of afluxo, or a server (afluxo's, InfluxDB 1.x or 2.x)."""
from __future__ import annotations

import ctypes
import json
import os
import threading
from typing import Any, NamedTuple, Optional, Tuple, Union

from ._convert import MappingLike, Rejects, to_line_protocol
from ._library import Target, check, lib, message, path_text, take_text, text
from ._lines import split_lines


class Written(NamedTuple):
    """What became of a write. `reason` is why the first line was rejected."""
    points: int
    rejected: int
    reason: Optional[str]


class Store:
    """
    Store("/data/afluxo", bucket="energy_data", create=True)                       a directory; one process at a time
    Store("https://host:8086", bucket="energy_data", org="ons-energy", token=...)  a server

    A context manager. Calls of several threads wait for each other.
    """

    def __init__(self, to: "Union[str, os.PathLike[str]]", bucket: str, *, org: Optional[str] = None, token: Optional[str] = None,
                 create: bool = False) -> None:
        self._handle = ctypes.c_void_p()
        self._lock = threading.Lock()
        target = Target(path_text(to), text(bucket), text(org), text(token), int(create))
        check(lib.af_ffi_store_open(ctypes.byref(target), ctypes.byref(self._handle)))

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Safe to call again."""
        lock = getattr(self, "_lock", None)
        if lock is not None:
            with lock:
                handle, self._handle = self._handle, ctypes.c_void_p()
                lib.af_ffi_store_close(handle)

    def _need_handle(self) -> ctypes.c_void_p:
        if not self._handle:
            raise ValueError("the store is closed")
        return self._handle

    def write_lines(self, lines: Union[str, bytes], precision: str = "ns") -> Written:
        """Line protocol, acknowledged when this returns. Lines that the store refuses are counted; the others are kept."""
        raw = lines.encode() if isinstance(lines, str) else bytes(lines)
        rejected, reason = self._send(raw, precision)
        count = sum(1 for line in split_lines(raw) if not line.lstrip().startswith(b"#"))
        return Written(max(count - rejected, 0), rejected, reason)

    def _send(self, raw: bytes, precision: str) -> Tuple[int, Optional[str]]:
        rejected = ctypes.c_uint64()
        with self._lock:
            check(lib.af_ffi_store_write(self._need_handle(), raw, len(raw), text(precision), ctypes.byref(rejected)))
            return rejected.value, message() if rejected.value else None

    def write(self, source: Any, dataset: Optional[str] = None, mapping: Optional[MappingLike] = None, measurement: Optional[str] = None, *,
              precision: str = "ns", rejects: Optional[Rejects] = None, block_bytes: int = 4 << 20, **more: Any) -> Written:
        """Points of a table or of files, as `to_line_protocol` makes them. Rows that become no point are collected in `rejects`.

        `precision`: of the times that are sent; digits past it are cut off.
        """
        points = rejected = 0
        reason: Optional[str] = None
        found = rejects if rejects is not None else Rejects()
        before = len(found)
        with to_line_protocol(source, dataset, mapping, measurement, precision, block_bytes=block_bytes, rejects=found, **more) as blocks:
            for block in blocks:
                refused, why = self._send(block, precision)
                points += blocks.block_lines - refused
                rejected += refused
                reason = reason or why
        if len(found) > before and reason is None:
            reason = found[before].reason
        return Written(points, rejected + blocks.counts.rejected, reason)

    def query(self, query: str, lang: str = "influxql") -> Any:
        """InfluxQL: the answer of InfluxDB 1.x as dict ({"results": [...]}). Flux (servers only): a list of rows as dicts."""
        out = ctypes.c_void_p()
        with self._lock:
            check(lib.af_ffi_store_query(self._need_handle(), text(lang), text(query), ctypes.byref(out)))
        answer = take_text(out)
        if lang == "flux":
            return [json.loads(line) for line in answer.split("\n") if line]
        return json.loads(answer)

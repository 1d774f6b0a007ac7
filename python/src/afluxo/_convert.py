"""Tables and files to line protocol."""
from __future__ import annotations

import ctypes
import json
import os
import threading
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Union

from . import _arrow
from ._library import Counts as _Counts
from ._library import InvalidInput, MappingOptions, RejectStruct, check, lib, path_text, take_text, text

#: A mapping: YAML text, its content as a dict, or the path of a file (as a pathlib.Path).
MappingLike = Union[str, Mapping[str, Any], "os.PathLike[str]"]


class Counts(NamedTuple):
    """What has been read and made so far. rows = points + rejected + empty."""
    rows: int
    points: int
    values: int
    rejected: int
    empty: int


class Reject(NamedTuple):
    """A row that became no point."""
    row: int
    column: Optional[str]
    reason: str
    raw: str


class Rejects(List[Reject]):
    """Collects the rows that became no point; pass one to several conversions to collect all of theirs."""

    def summary(self) -> "dict[str, int]":
        """How many rows for each reason."""
        counts: "dict[str, int]" = {}
        for reject in self:
            counts[reject.reason] = counts.get(reject.reason, 0) + 1
        return counts


def _yaml(mapping: Optional[MappingLike]) -> Optional[str]:
    if mapping is None or isinstance(mapping, str):
        return mapping
    if isinstance(mapping, Mapping):
        return json.dumps(mapping)  # which is YAML
    with open(mapping, encoding="utf-8") as f:
        return f.read()


def _options(dataset: Optional[str], mapping: Optional[MappingLike], path: Optional[str], measurement: Optional[str],
             time_zone: Optional[str], infer: Optional[bool], exact: bool = False) -> MappingOptions:
    if infer is None:
        infer = measurement is not None
    return MappingOptions(text(dataset), text(_yaml(mapping)), text(path), text(measurement), text(time_zone), int(infer), int(exact))


class LineProtocol(Iterator[bytes]):
    """Blocks of whole lines, made while they are asked for; `bytes(...)` is all that is left of them.

    `rejects` fills while blocks are taken. Closed at its end, by `close()`, or as a context manager. As with a generator, a second thread
    that asks while one does gets a ValueError.
    """

    def __init__(self, handle: ctypes.c_void_p, block_bytes: int, block_lines: int, rejects: Rejects) -> None:
        self._handle = handle
        self._lock = threading.Lock()
        self._block_bytes = block_bytes
        self._lines_max = block_lines
        self._counts = Counts(0, 0, 0, 0, 0)
        self._lines = 0
        #: Rows that became no point.
        self.rejects = rejects

    def __iter__(self) -> "LineProtocol":
        return self

    def __next__(self) -> bytes:
        if not self._lock.acquire(blocking=False):
            raise ValueError("another thread is reading these lines")
        try:
            return self._next()
        finally:
            self._lock.release()

    def _next(self) -> bytes:
        if not self._handle:
            raise StopIteration
        pointer, length, lines = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_uint64(self._lines_max)
        try:
            check(lib.af_ffi_convert_next(self._handle, self._block_bytes, ctypes.byref(pointer), ctypes.byref(length),
                                          ctypes.byref(lines)))
            self._take_rejects()
        except BaseException:
            self._close()
            raise
        self._lines = lines.value
        if length.value == 0:
            self._close()
            raise StopIteration
        return ctypes.string_at(pointer.value or 0, length.value)

    def __bytes__(self) -> bytes:
        return b"".join(self)

    def __enter__(self) -> "LineProtocol":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _take_rejects(self) -> None:
        found = RejectStruct()
        while lib.af_ffi_convert_reject(self._handle, ctypes.byref(found)) == 1:
            column = found.column.decode(errors="replace") if found.column is not None else None
            self.rejects.append(Reject(found.row, column, found.reason.decode(errors="replace"), found.raw.decode(errors="replace")))

    def _read_counts(self) -> None:
        counts = _Counts()
        lib.af_ffi_convert_counts(self._handle, ctypes.byref(counts))
        self._counts = Counts(counts.rows, counts.points, counts.values, counts.rejected, counts.empty)

    @property
    def counts(self) -> Counts:
        """Of what has been read so far; a little more than what the blocks taken hold."""
        with self._lock:
            if self._handle:
                self._read_counts()
            return self._counts

    @property
    def block_lines(self) -> int:
        """Lines of the last block."""
        return self._lines

    def close(self) -> None:
        """Stop reading. Safe to call again; waits for a thread that is reading."""
        lock = getattr(self, "_lock", None)
        if lock is not None:
            with lock:
                self._close()

    def _close(self) -> None:
        handle = self._handle
        if handle:
            self._read_counts()
            self._handle = ctypes.c_void_p()
            lib.af_ffi_convert_free(handle)


def to_line_protocol(source: Any, dataset: Optional[str] = None, mapping: Optional[MappingLike] = None, measurement: Optional[str] = None,
                     precision: str = "ns", *, path: Optional[str] = None, time_zone: Optional[str] = None, infer: Optional[bool] = None,
                     exact: bool = False, block_bytes: int = 1 << 20, block_lines: int = 0,
                     rejects: Optional[Rejects] = None) -> LineProtocol:
    """InfluxDB line protocol of a table or of files, as an iterator of blocks (bytes, whole lines); `bytes(...)` gives it whole.

    source        a pandas, polars or pyarrow table, anything with __arrow_c_stream__ or __arrow_c_array__; or a path: Parquet, CSV or line
                  protocol, a directory, a pattern, s3://bucket/key
    dataset       a built-in mapping by name ("generation", "timestream-unload", ...)
    mapping       a mapping of your own (docs/mapping.md): YAML text, a dict, or a pathlib.Path to a file
    measurement   the measurement's name, in place of the mapping's
    precision     of the times: "ns", "us", "ms", "s"
    path          what a table is to be taken for, for datasets that are known by their path ("dataset=generation/...")
    time_zone     how times without a zone are read
    infer         guess a mapping where no built-in one fits; by default if `measurement` is given
    exact         a path is the file or object of just that name, never a directory or a pattern
    block_bytes   at most so many bytes a block, but at least a line
    block_lines   at most so many lines a block; 0: any number
    rejects       where rows that become no point are collected; by default in `.rejects` of the result

    Values of a table are read where they are (no copy) if they are int64, uint64, float64, timestamp[ns], decimal128 or text; others are
    widened, some thousand rows at a time.
    """
    if block_bytes < 1 or block_lines < 0:
        raise InvalidInput("block_bytes is at least 1, block_lines at least 0", "EINVAL")
    handle = ctypes.c_void_p()
    unit = text(precision)
    if isinstance(source, (str, os.PathLike)):
        options = _options(dataset, mapping, None, measurement, time_zone, infer, exact)
        check(lib.af_ffi_convert_file(path_text(source), ctypes.byref(options), unit, ctypes.byref(handle)))
    else:
        options = _options(dataset, mapping, path, measurement, time_zone, infer)
        address, owners = _arrow.stream_of(source)
        check(lib.af_ffi_convert_stream(address, ctypes.byref(options), unit, ctypes.byref(handle)))
        del owners
    return LineProtocol(handle, block_bytes, block_lines, rejects if rejects is not None else Rejects())


def mapping_of(source: Any, dataset: Optional[str] = None, mapping: Optional[MappingLike] = None, measurement: Optional[str] = None, *,
               path: Optional[str] = None, time_zone: Optional[str] = None, infer: bool = True) -> str:
    """The mapping that `to_line_protocol` would use for a table, as YAML: to look at, or to start from. A guess sees the schema only."""
    options = _options(dataset, mapping, path, measurement, time_zone, infer)
    address, owners = _arrow.schema_of(source)
    out = ctypes.c_void_p()
    check(lib.af_ffi_mapping_yaml(ctypes.byref(options), address, ctypes.byref(out)))
    del owners
    return take_text(out)

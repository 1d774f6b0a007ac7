"""libafluxo through ctypes: src/ffi/afluxo.h, function by function.

A call lets other Python threads run (ctypes.CDLL gives up the lock). A handle is used by one thread at a time.
"""
from __future__ import annotations

import ctypes
import os
from typing import Any, Optional, Type, Union

ABI = 1


class AfluxoError(Exception):
    """A call of libafluxo failed; the text says what, where and what to do. `status` is the name of the kind: "EINVAL", "ENOTFOUND"."""

    def __init__(self, message: str, status: str = "EBUG") -> None:
        super().__init__(message)
        self.status = status


class InvalidInput(AfluxoError, ValueError):
    """The input or the call is wrong, or of a kind that is not supported."""


class NotFound(AfluxoError, LookupError):
    """There is no such file, dataset, column, bucket."""


class Corrupt(AfluxoError):
    """Stored or received bytes break their own format."""


class Unavailable(AfluxoError):
    """It may go well another time: disk, network or the other side are not well now."""


_KINDS: "dict[str, Type[AfluxoError]]" = {
    "EINVAL": InvalidInput, "EUNSUPPORTED": InvalidInput, "ECONFLICT": InvalidInput, "ELIMIT": InvalidInput, "ENOTFOUND": NotFound,
    "ECORRUPT": Corrupt, "EIO": Unavailable, "EBUSY": Unavailable, "EFULL": Unavailable, "ENOMEM": Unavailable,
}


class MappingOptions(ctypes.Structure):
    _fields_ = [("dataset", ctypes.c_char_p), ("yaml", ctypes.c_char_p), ("path", ctypes.c_char_p), ("measurement", ctypes.c_char_p),
                ("time_zone", ctypes.c_char_p), ("infer", ctypes.c_int), ("exact", ctypes.c_int)]


class Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("rows", "points", "values", "rejected", "empty")]


class RejectStruct(ctypes.Structure):
    _fields_ = [("row", ctypes.c_uint64), ("column", ctypes.c_char_p), ("reason", ctypes.c_char_p), ("raw", ctypes.c_char_p)]


class Target(ctypes.Structure):
    _fields_ = [("to", ctypes.c_char_p), ("bucket", ctypes.c_char_p), ("org", ctypes.c_char_p), ("token", ctypes.c_char_p),
                ("create", ctypes.c_int)]


class ArrowArrayStream(ctypes.Structure):
    """As the Arrow C stream interface has it."""
    _fields_ = [(name, ctypes.c_void_p) for name in ("get_schema", "get_next", "get_last_error", "release", "private_data")]


_P = ctypes.POINTER
_SIGNATURES: "dict[str, tuple[Any, list[Any]]]" = {
    "af_ffi_abi": (ctypes.c_int, []),
    "af_ffi_version": (ctypes.c_char_p, []),
    "af_ffi_message": (ctypes.c_char_p, []),
    "af_ffi_status_name": (ctypes.c_char_p, [ctypes.c_int]),
    "af_ffi_mapping_yaml": (ctypes.c_int, [_P(MappingOptions), ctypes.c_void_p, _P(ctypes.c_void_p)]),
    "af_ffi_free": (None, [ctypes.c_void_p]),
    "af_ffi_convert_stream": (ctypes.c_int, [ctypes.c_void_p, _P(MappingOptions), ctypes.c_char_p, _P(ctypes.c_void_p)]),
    "af_ffi_convert_file": (ctypes.c_int, [ctypes.c_char_p, _P(MappingOptions), ctypes.c_char_p, _P(ctypes.c_void_p)]),
    "af_ffi_convert_next": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_size_t, _P(ctypes.c_void_p), _P(ctypes.c_size_t),
                                           _P(ctypes.c_uint64)]),
    "af_ffi_convert_reject": (ctypes.c_int, [ctypes.c_void_p, _P(RejectStruct)]),
    "af_ffi_convert_counts": (None, [ctypes.c_void_p, _P(Counts)]),
    "af_ffi_convert_free": (None, [ctypes.c_void_p]),
    "af_ffi_stream_of_array": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
    "af_ffi_read_file": (ctypes.c_int, [ctypes.c_char_p, _P(ctypes.c_char_p), ctypes.c_size_t, ctypes.c_void_p]),
    "af_ffi_store_open": (ctypes.c_int, [_P(Target), _P(ctypes.c_void_p)]),
    "af_ffi_store_close": (None, [ctypes.c_void_p]),
    "af_ffi_store_write": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, _P(ctypes.c_uint64)]),
    "af_ffi_store_query": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, _P(ctypes.c_void_p)]),
}


def _path() -> str:
    given = os.environ.get("AFLUXO_LIBRARY")
    return given or os.path.join(os.path.dirname(os.path.abspath(__file__)), "_lib", "libafluxo.so")


def _load() -> ctypes.CDLL:
    path = _path()
    try:
        library = ctypes.CDLL(path)
    except OSError as e:
        raise ImportError(f"libafluxo cannot be loaded from {path}: {e}. Install a wheel, or set AFLUXO_LIBRARY to a library built by "
                          "`make wheel` or `make`.") from e
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    if library.af_ffi_abi() != ABI:
        raise ImportError(f"{path} has interface {library.af_ffi_abi()}, this package needs {ABI}")
    return library


lib = _load()


def message() -> str:
    """The words of the last failure in this thread."""
    return (lib.af_ffi_message() or b"").decode(errors="replace")


def check(code: int) -> None:
    """Raise what a negative result means."""
    if code < 0:
        status = lib.af_ffi_status_name(code).decode()
        raise _KINDS.get(status, AfluxoError)(message(), status)


def text(value: Optional[str]) -> Optional[bytes]:
    """A string as C wants it."""
    if value is None:
        return None
    raw = value.encode()
    if b"\0" in raw:
        raise InvalidInput("a text with a NUL character", "EINVAL")
    return raw


def path_text(path: "Union[str, bytes, os.PathLike[str], os.PathLike[bytes]]") -> bytes:
    """A path as C wants it."""
    raw = os.fsencode(path)
    if b"\0" in raw:
        raise InvalidInput("a path with a NUL character", "EINVAL")
    return raw


def take_text(pointer: ctypes.c_void_p) -> str:
    """A text that C made, freed."""
    try:
        return ctypes.string_at(pointer.value or 0).decode(errors="replace")
    finally:
        lib.af_ffi_free(pointer)

"""Tables of other libraries as addresses of Arrow streams, by the Arrow PyCapsule interface. Nothing is copied."""
from __future__ import annotations

import ctypes
from typing import Any, List, Tuple

from ._library import ArrowArrayStream, InvalidInput, check, lib

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


def _from_pandas(table: Any) -> Any:
    try:
        import pyarrow
    except ImportError as e:
        raise ImportError("pandas tables need pyarrow: pip install afluxo[pandas]") from e
    # An index that nobody named says where rows came from (a filter leaves such numbers), unless it is the time.
    index = table.index
    is_data = any(name is not None for name in index.names) or type(index).__name__ == "DatetimeIndex"
    return pyarrow.Table.from_pandas(table, preserve_index=None if is_data else False)


def is_table(source: Any) -> bool:
    """Something that gives Arrow, or that pyarrow makes Arrow of?"""
    return any(hasattr(source, name) for name in ("__arrow_c_stream__", "__arrow_c_array__", "to_arrow")) or _is_pandas(source)


def _is_pandas(source: Any) -> bool:
    return type(source).__module__.split(".")[0] == "pandas" and hasattr(source, "columns")


def stream_of(source: Any) -> Tuple[int, List[Any]]:
    """The address of an ArrowArrayStream, and what must live until it was taken over."""
    if _is_pandas(source):
        source = _from_pandas(source)
    if hasattr(source, "__arrow_c_stream__"):
        capsule = source.__arrow_c_stream__()
        return _pointer(capsule, b"arrow_array_stream"), [capsule]
    if hasattr(source, "__arrow_c_array__"):
        schema, array = source.__arrow_c_array__()
        stream = ArrowArrayStream()
        check(lib.af_ffi_stream_of_array(_pointer(schema, b"arrow_schema"), _pointer(array, b"arrow_array"), ctypes.addressof(stream)))
        return ctypes.addressof(stream), [stream, schema, array]
    if hasattr(source, "to_arrow"):  # polars and others, before they had the interface
        return stream_of(source.to_arrow())
    raise InvalidInput(f"a {type(source).__name__} is no table: give a path, or a pandas, polars or pyarrow table, or anything with "
                       "__arrow_c_stream__", "EINVAL")


def schema_of(source: Any) -> Tuple[int, List[Any]]:
    """The address of an ArrowSchema, and what must live as long as it is used."""
    if _is_pandas(source):
        source = _from_pandas(source)
    if hasattr(source, "schema") and hasattr(source.schema, "__arrow_c_schema__"):
        source = source.schema
    if not hasattr(source, "__arrow_c_schema__"):
        if hasattr(source, "to_arrow"):
            return schema_of(source.to_arrow())
        raise InvalidInput(f"a {type(source).__name__} does not tell its schema (__arrow_c_schema__)", "EINVAL")
    capsule = source.__arrow_c_schema__()
    return _pointer(capsule, b"arrow_schema"), [capsule]

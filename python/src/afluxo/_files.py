"""Files as Arrow tables."""
from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Optional, Sequence, Union

from ._library import ArrowArrayStream, check, lib, path_text, text

if TYPE_CHECKING:
    import pyarrow


def open_parquet(path: "Union[str, os.PathLike[str]]", columns: Optional[Sequence[str]] = None) -> "pyarrow.RecordBatchReader":
    """A Parquet or CSV file (also s3://) as a pyarrow.RecordBatchReader: batch by batch, in little memory."""
    import pyarrow

    names: Any = None
    if columns is not None:
        names = (ctypes.c_char_p * max(len(columns), 1))(*[text(c) for c in columns])
    stream = ArrowArrayStream()
    check(lib.af_ffi_read_file(path_text(path), names, len(columns or ()), ctypes.addressof(stream)))
    return pyarrow.RecordBatchReader._import_from_c(ctypes.addressof(stream))


def read_parquet(path: "Union[str, os.PathLike[str]]", columns: Optional[Sequence[str]] = None) -> "pyarrow.Table":
    """A Parquet or CSV file (also s3://) as a pyarrow.Table, structs flattened to `a.b`, lists as JSON text."""
    with open_parquet(path, columns) as reader:
        return reader.read_all()

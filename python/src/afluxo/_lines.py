"""Lines of line protocol, told apart as the servers and the C library (af_lp_line_end) do."""
from __future__ import annotations

import re
from typing import List

_NAMES = re.compile(rb"(?:[^\\ \n]+|\\.?)*", re.DOTALL)         # measurement and tags: a quote means nothing there
_MARK = re.compile(rb'[=,\n"]|\\.?', re.DOTALL)
_STRING = re.compile(rb'(?:[^"\\]+|\\.?)*"?', re.DOTALL)


def _end(block: bytes, at: int) -> int:
    """Past the line that begins at `at`. A string is what a quote begins where a value is owed: more = than commas."""
    match = _NAMES.match(block, at)
    at = match.end() if match is not None else at
    owed = 0
    for mark in iter(lambda: _MARK.search(block, at), None):
        at, what = mark.end(), mark.group()
        if what == b"\n":
            return at
        if what == b"=":
            owed += 1
        elif what == b",":
            owed -= 1
        elif what == b'"' and owed > 0:
            string = _STRING.match(block, at)
            at = string.end() if string is not None else at
    return len(block)


def split_lines(block: bytes) -> List[bytes]:
    """Lines with their ends, byte for byte, without blank ones; a newline inside a quoted string does not end a line."""
    lines: List[bytes] = []
    if b'"' in block or b"\\" in block:
        at = 0
        while at < len(block):
            end = _end(block, at)
            lines.append(block[at:end])
            at = end
    else:
        *whole, last = block.split(b"\n")
        lines = [line + b"\n" for line in whole] + [last]
    return [line for line in lines if line.strip()]

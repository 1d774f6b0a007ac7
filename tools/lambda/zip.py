#!/usr/bin/env python3
"""A zip that is the same, byte for byte, for the same files: names in order, one time, one mode each.

    zip.py OUT NAME=FILE...      a FILE that may be executed is stored as 0755, others as 0644
"""
import os
import sys
import zipfile


def main():
    out, *entries = sys.argv[1:]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for entry in sorted(entries):
            name, path = entry.split("=", 1)
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            with open(path, "rb") as f:
                z.writestr(info, f.read(), zipfile.ZIP_DEFLATED, 9)


main()

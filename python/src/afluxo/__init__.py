"""afluxo: Parquet, DataFrames and Arrow tables to InfluxDB.

    import afluxo

    lines = bytes(afluxo.to_line_protocol(frame, measurement="load"))
    table = afluxo.read_parquet("x.parquet")
    with afluxo.Store("http://127.0.0.1:8086", bucket="energy_data", org="o", token="t") as store:
        store.write("dataset=generation/year=2024/")

`afluxo.aws_lambda` is a Lambda handler that loads Parquet objects into InfluxDB; `afluxo.timestream` has clients in place of boto3's
"timestream-write" and "timestream-query".
"""
from ._convert import Counts, LineProtocol, MappingLike, Reject, Rejects, mapping_of, to_line_protocol
from ._files import open_parquet, read_parquet
from ._library import AfluxoError, Corrupt, InvalidInput, NotFound, Unavailable
from ._store import Store, Written

__version__ = "0.1.0"
__all__ = ["AfluxoError", "Corrupt", "Counts", "InvalidInput", "LineProtocol", "MappingLike", "NotFound", "Reject", "Rejects", "Store",
           "Unavailable", "Written", "mapping_of", "open_parquet", "read_parquet", "to_line_protocol", "__version__"]

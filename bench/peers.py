"""The peers of the bench, one measurement a call; prints one number (rows per second) or, for `make`, writes files.

    peers.py make SOURCE_DIR OUT_DIR           six columns of the platform's generation schema, as pyarrow and DuckDB write them
    peers.py pyarrow FILE | duckdb FILE        decode all columns, one thread: pyarrow into memory, DuckDB into aggregates
    peers.py points FILE | dataframe FILE      Parquet to line protocol with pandas and influxdb-client, rows per second
"""
import sys
import time

COLUMNS = ["timestamp", "region", "energy_source", "quality_flag", "plant_name", "value"]


def rate(run, rows, rounds=5):
    """Rows per second of processor time, the median."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    times.sort()
    return rows / times[len(times) // 2]


def make(source, out):
    import duckdb
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    table = ds.dataset(source, format="parquet").to_table(columns=COLUMNS)
    pq.write_table(table, f"{out}/pyarrow-int96.parquet", use_deprecated_int96_timestamps=True, version="1.0", row_group_size=1 << 20)
    pq.write_table(table, f"{out}/pyarrow.parquet")
    duckdb.sql(f"COPY (SELECT * FROM read_parquet('{out}/pyarrow.parquet')) TO '{out}/duckdb.parquet' (FORMAT parquet)")
    print(table.num_rows)


def read_pyarrow(path):
    import pyarrow.parquet as pq
    rows = pq.ParquetFile(path).metadata.num_rows
    return rate(lambda: pq.read_table(path, use_threads=False, read_dictionary=["region", "energy_source", "quality_flag", "plant_name"]), rows)


def read_duckdb(path):
    """Into aggregates that need every value. max() and count() would not do: DuckDB answers them from the file's statistics. Lengths of
    dictionary strings it takes once an entry, as we do; making Arrow tables of all rows costs it ten times as much."""
    import duckdb
    con = duckdb.connect()
    con.execute("SET threads=1")
    rows = con.execute(f"SELECT count(*) FROM read_parquet('{path}')").fetchone()[0]
    touch = ", ".join(f"bit_xor(epoch_us({c}))" if c == "timestamp" else f"sum({c})" if c == "value" else f"sum(strlen({c}))" for c in COLUMNS)
    return rate(lambda: con.execute(f"SELECT {touch} FROM read_parquet('{path}')").fetchall(), rows)


def frame(path, rows):
    import pyarrow.parquet as pq
    return pq.read_table(path).slice(0, rows).to_pandas()


def line_points(path):
    from influxdb_client import Point
    data = frame(path, 30000)
    start = time.process_time()
    for row in data.itertuples(index=False):
        point = Point("generation_data").time(row.timestamp)
        for tag in COLUMNS[1:5]:
            point.tag(tag, getattr(row, tag))
        point.field("power_mw", float(row.value)).field("unit", "MW").to_line_protocol()
    return len(data) / (time.process_time() - start)


def line_dataframe(path):
    from influxdb_client.client.write.dataframe_serializer import data_frame_to_list_of_points
    from influxdb_client.client.write.point import DEFAULT_WRITE_PRECISION
    from influxdb_client.client.write_api import PointSettings
    data = frame(path, 300000).set_index("timestamp")
    data["unit"] = "MW"
    start = time.process_time()
    data_frame_to_list_of_points(data, PointSettings(), DEFAULT_WRITE_PRECISION, data_frame_measurement_name="generation_data",
                                 data_frame_tag_columns=COLUMNS[1:5])
    return len(data) / (time.process_time() - start)


if __name__ == "__main__":
    what, args = sys.argv[1], sys.argv[2:]
    if what == "make":
        make(*args)
    else:
        print(f"{ {'pyarrow': read_pyarrow, 'duckdb': read_duckdb, 'points': line_points, 'dataframe': line_dataframe}[what](*args):.0f}")

"""Reads a lake as fleet/INGEST.md says that DuckDB and pandas read it, and prints what each has read.

    lake_readers.py LAKE INGEST.md

One JSON object: by reader, a list of rows. Numbers are in whole thousandths, so that nobody's rounding shows.
"""
import glob, json, math, re, sys

import duckdb
import pyarrow.parquet

LAKE, DOCUMENT = sys.argv[1:]
# What is read is what the document prints, with the lake where it lies here.
BLOCKS = {kind: text.replace("'lake/", f"'{LAKE}/").replace('"lake/', f'"{LAKE}/')
          for kind, text in re.findall(r"```(\w+)\n(.*?)```", open(DOCUMENT).read(), re.S) if "sequence" in text and "copy" in text or "drop_duplicates" in text}


def thousandths(value):
    return None if value is None or isinstance(value, float) and math.isnan(value) else round(float(value) * 1000)


def row(hub, boot, sequence, wall, load, volts, breeze, loads, more):
    listed = lambda items: [] if items is None else items
    return {
        "hub": hub, "boot": int(boot), "sequence": int(sequence), "wall": wall,
        "load_w": thousandths(load), "battery_v": thousandths(volts), "breeze_w": thousandths(breeze),
        "loads": sorted([one["name"], None if one["on"] is None else bool(one["on"]), thousandths(one["w"])] for one in listed(loads)),
        "more": sorted([one["name"], thousandths(one["value"])] for one in listed(more)),
    }


def by_duckdb():
    columns = "hub, boot, sequence, epoch_ms(wall), load_w, battery_v, breeze_w, loads, more"
    return [row(*found) for found in duckdb.sql(f"SELECT {columns} FROM ({BLOCKS['sql']})").fetchall()]


def by_pandas():
    names = {}
    exec(BLOCKS["python"], names)
    found = names["rows"]
    walls = [None if str(wall) == "NaT" else round(wall.timestamp() * 1000) for wall in found["wall"]]
    columns = [found[name] for name in ("hub", "boot", "sequence")] + [walls]
    columns += [found[name] for name in ("load_w", "battery_v", "breeze_w", "loads", "more")]
    return [row(*values) for values in zip(*columns)]


print(json.dumps({"duckdb": by_duckdb(), "pandas": by_pandas()}))

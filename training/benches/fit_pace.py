#!/usr/bin/env python3
"""How fast the fleet's load model is made: sunkeep-train beside Python, in one run.

    fit_pace.py --lake LAKE --held-back LAKE --sunkeep-train BINARY [--slots 2] [--rows 20000]
    fit_pace.py --features TABLE --sunkeep-train BINARY [--slots 2] [--rows 20000]

Wants what tests/requirements-pace.txt names. From a lake, the whole way is gone twice: `sunkeep-train features` and `fit`, and
`lake_in_pandas.py` beside this file with a fit in Python. Both tables are compared, row by row, and all models are scored
on the sites of another lake, which no model has seen. From a feature table only the fits are timed, on that table, and scored
on its rows. All may use all processors and read from the same disk. Each fits the same class of model, a linear quantile
regression (P10, P50, P90) for each slot of the day:

    sunkeep-train   `fit`: all slots, with export and the check against tract
    scikit-learn    pandas and QuantileRegressor (HiGHS, no penalty), on some slots and rows only, as it takes long;
                    its seconds are multiplied by the rows that were left out, which flatters it (its time grows
                    faster than the rows)
    numpy           the algorithm of sunkeep-train by hand (majorisation, ridge towards common weights, as many passes),
                    with BLAS

Prints wall and processor seconds, site-years a second (the span of each site), the most memory that one process had, and
what the models are worth on the rows of the slots that scikit-learn fitted: nMAE of the P50 (mean error over mean load) and
mean pinball loss over the level. That of sunkeep-train is computed by onnxruntime from the file it wrote.
"""
import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.parquet as pq
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from sklearn.linear_model import QuantileRegressor

QUANTILES = [0.1, 0.5, 0.9]
SLOTS_A_YEAR = 365.25 * 48
# As in load_fit.rs and quantile_fit.rs.
PASSES, LEAST, COMMON_ROWS = 25, 5e-3, 60_000
RIDGE_COMMON, RIDGE_SLOT = 1.0, 400.0
# By how much a feature may differ from ours, in units of one plus its size: ours is of 32 bits.
ROUNDING = 1e-5


def columns_of(features):
    """The columns of a model in the order of the Rust code: what lies between `level` and `target`."""
    names = list(pd.read_parquet(next((features / "slot_of_day=00").glob("*.parquet")), columns=None).columns)
    return names[names.index("slot_of_day") : names.index("target")]


def read_slot(features, slot, columns, constant=True):
    """Columns and targets of a slot of the day; the first column is the constant in place of the slot."""
    frame = pd.concat(
        pd.read_parquet(file, columns=columns + ["target"], partitioning=None)
        for file in sorted((features / f"slot_of_day={slot:02}").glob("*.parquet"))
    )
    x = frame[columns].to_numpy(dtype=np.float64, copy=True)
    if constant:
        x[:, 0] = 1.0
    return x, frame["target"].to_numpy(dtype=np.float64)


def site_years(features):
    file = sorted((features / "slot_of_day=00").glob("*.parquet"))
    frame = pd.concat(pd.read_parquet(f, columns=["site", "target_slot"], partitioning=None) for f in file)
    span = frame.groupby("site")["target_slot"].agg(lambda slots: slots.max() - slots.min() + 48)
    return span.sum() / SLOTS_A_YEAR, len(span)


def pinball(y, said):
    return np.mean([np.mean(np.maximum(q * (y - p), (q - 1) * (y - p))) for q, p in zip(QUANTILES, said)])


def in_parallel(work, places):
    """A process for each processor, each with one thread of BLAS, which is quicker here than the other way round."""
    return Parallel(n_jobs=-1)(delayed(work)(place) for place in places)


def mm(x, y, prior, quantile, ridge):
    weights = prior.copy()
    diagonal = ridge * np.eye(x.shape[1])
    for step in range(PASSES):
        least = max(LEAST, 0.1 * 0.6**step)
        size = least + np.abs(y - x @ weights)
        weighted = x / size[:, None]
        wanted = y + size * (2 * quantile - 1)
        new = np.linalg.solve(x.T @ weighted + diagonal, weighted.T @ wanted + ridge * prior)
        change, weights = np.abs(new - weights).max(), new
        if change < 1e-4 and least <= LEAST:
            break
    return weights


def fit_numpy(features, columns):
    total = sum(pq.ParquetFile(file).metadata.num_rows for file in features.glob("slot_of_day=*/*.parquet"))
    every = max(1, -(-total // COMMON_ROWS))
    chosen = in_parallel(lambda slot: [part[::every] for part in read_slot(features, slot, columns)], range(48))
    x, y = np.concatenate([x for x, _ in chosen]), np.concatenate([y for _, y in chosen])
    common = [mm(x, y, np.zeros(x.shape[1]), q, RIDGE_COMMON) for q in QUANTILES]

    def one(slot):
        x, y = read_slot(features, slot, columns)
        return [mm(x, y, prior, q, RIDGE_SLOT) for q, prior in zip(QUANTILES, common)]

    return in_parallel(one, range(48))


def fit_sklearn(features, columns, slots, rows):
    def one(slot, quantile):
        x, y = read_slot(features, slot, columns)
        every = max(1, -(-len(y) // rows))
        model = QuantileRegressor(quantile=quantile, alpha=0.0, fit_intercept=False, solver="highs")
        model.fit(x[::every], y[::every])
        return model.coef_, len(y[::every])

    done = in_parallel(lambda task: one(*task), [(slot, q) for slot in slots for q in QUANTILES])
    fitted = {slot: [done[3 * place + q][0] for q in range(3)] for place, slot in enumerate(slots)}
    return fitted, sum(count for _, count in done) / 3


def of_onnx(file, x, slot):
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    rows = x.astype(np.float32)
    rows[:, 0] = slot
    padded = np.concatenate([rows, np.zeros((-len(rows) % 96, rows.shape[1]), np.float32)])
    said = [session.run(None, {"rows": padded[at : at + 96]})[0] for at in range(0, len(padded), 96)]
    return np.concatenate(said)[: len(rows)].T


def processor_seconds():
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in spent)


def timed(work):
    wall, spent = time.perf_counter(), processor_seconds()
    done = work()
    # Processor time of children counts once they have ended.
    get_reusable_executor().shutdown(wait=True)
    return done, time.perf_counter() - wall, processor_seconds() - spent


def run(command):
    """Wall and processor seconds of a program with its children, the most memory one of them had (MiB), what it said."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen([str(word) for word in command], stdout=said)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            sys.exit(f"{command[0]} ended with {process.returncode}")
        said.seek(0)
        return (time.perf_counter() - begun, used.ru_utime + used.ru_stime), used.ru_maxrss / 1024, said.read()


def compare(ours, theirs):
    """Ends unless both feature tables have the same rows with the same values, up to rounding."""
    key, worst, count = ["site", "issued", "target_slot"], 0.0, 0
    for slot in range(48):
        tables = [folder / f"slot_of_day={slot:02}" / "features.parquet" for folder in (ours, theirs)]
        one, other = (pd.read_parquet(file, partitioning=None).sort_values(key, ignore_index=True) for file in tables)
        same = len(one) == len(other) and all((one[name].astype(str) == other[name].astype(str)).all() for name in key)
        if not same:
            sys.exit(f"slot {slot} of the day: the tables have different rows ({len(one)} and {len(other)})")
        values = [table.drop(columns=key).to_numpy(np.float64) for table in (one, other)]
        worst, count = max(worst, (np.abs(values[0] - values[1]) / (1 + np.abs(values[0]))).max()), count + len(one)
    if worst > ROUNDING:
        sys.exit(f"the tables differ by {worst:.2g}, expected at most {ROUNDING:g}")
    print(f"both tables have the same {count} rows; values differ by {worst:.1g} of one plus their size at most")


def worth(table, slots, columns, answers):
    """nMAE of the P50 and mean pinball of each model, on the rows of these slots of the day."""
    error, load, loss, rows = np.zeros(len(answers)), 0.0, np.zeros(len(answers)), 0
    for slot in slots:
        x, y = read_slot(table, slot, columns)
        level, _ = read_slot(table, slot, ["level"], constant=False)
        said = [answer(x, slot) for answer in answers]
        error += [np.abs(y - p50) @ level[:, 0] for _, p50, _ in said]
        loss += [pinball(y, p) * len(y) for p in said]
        load, rows = load + y @ level[:, 0], rows + len(y)
    return zip(error / load, loss / rows)


def tables_of(lake, arguments, out):
    """Both feature tables of a lake, and what each cost."""
    ours, theirs = out / "ours", out / "theirs"
    by_us = run([arguments.sunkeep_train, "features", "--lake", lake, "--out", ours])
    script = Path(__file__).with_name("lake_in_pandas.py")
    by_them = run([sys.executable, script, "--lake", lake, "--out", theirs])
    compare(ours, theirs)
    return (ours, by_us), (theirs, by_them)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--lake", type=Path)
    source.add_argument("--features", type=Path)
    parser.add_argument("--held-back", type=Path, help="with --lake: a lake of other sites")
    parser.add_argument("--sunkeep-train", required=True)
    parser.add_argument("--slots", type=int, default=2, help="slots of the day that scikit-learn fits")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of each that it fits at most")
    arguments = parser.parse_args()
    if (arguments.lake is None) != (arguments.held_back is None):
        parser.error("--lake and --held-back go together")
    with tempfile.TemporaryDirectory() as out:
        pace(arguments, Path(out))


def pace(arguments, out):
    nothing = ((0.0, 0.0), 0.0, "")
    ours = theirs = scored = arguments.features
    made_here = made_there = nothing
    if arguments.lake:
        (ours, made_here), (theirs, made_there) = tables_of(arguments.lake, arguments, out)
        scored = out / "held-back"
        run([arguments.sunkeep_train, "features", "--lake", arguments.held_back, "--out", scored])
    columns = columns_of(ours)
    years, sites = site_years(ours)
    slots = [48 * place // arguments.slots for place in range(arguments.slots)]
    spent, peak, said = run([arguments.sunkeep_train, "fit", "--features", ours, "--out", out / "model"])
    rows = int(re.search(r"of (\d+) rows", said)[1])
    fitted, *by_hand = timed(lambda: fit_numpy(theirs, columns))
    (others, taken), *library = timed(lambda: fit_sklearn(theirs, columns, slots, arguments.rows))
    left_out = rows / taken
    answers = [
        lambda x, slot: of_onnx(str(out / "model" / "load.onnx"), x, slot),
        lambda x, slot: [x @ weights for weights in others[slot]],
        lambda x, slot: [x @ weights for weights in fitted[slot]],
    ]
    worths = worth(scored, slots, columns, answers)
    print(f"{rows} rows of {sites} sites, {years:.2f} site-years; scored on {len(slots)} slots of the day", end=" ")
    print("of other sites" if arguments.lake else "of the same rows")
    print(f"scikit-learn fitted {taken:.0f} rows; its seconds are those times {left_out:.1f}")
    costs = [
        (made_here, spent, f"{max(peak, made_here[1]):.0f}"),
        (made_there, [seconds * left_out for seconds in library], f"{made_there[1]:.0f}"),
        (made_there, by_hand, f"{made_there[1]:.0f}"),
    ]
    print(f"{'':14} {'tables':>15} {'fit':>17} {'site-years a second':>19} {'memory':>7} {'nMAE':>7} {'pinball':>8} {'slower by':>15}")
    print(f"{'':14} {'wall s':>8} {'cpu s':>6} {'wall s':>9} {'cpu s':>7} {'wall':>9} {'cpu':>9} {'MiB':>7} {'':7} {'':8} {'wall':>7} {'cpu':>7}")
    first = None
    for name, ((tables, _, _), fit, memory), (error, loss) in zip(["sunkeep-train", "scikit-learn", "numpy"], costs, worths):
        total = [tables[place] + fit[place] for place in range(2)]
        first = first or total
        print(
            f"{name:14} {tables[0]:8.1f} {tables[1]:6.1f} {fit[0]:9.1f} {fit[1]:7.1f} {years / total[0]:9.3f}"
            f" {years / total[1]:9.3f} {memory:>7} {error:7.4f} {loss:8.5f} {total[0] / first[0]:6.1f}x {total[1] / first[1]:6.1f}x"
        )


if __name__ == "__main__":
    main()

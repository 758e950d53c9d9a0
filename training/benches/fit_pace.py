#!/usr/bin/env python3
"""How fast the fleet's load model is fitted to a feature table: sunkeep-train beside Python, in one run.

    fit_pace.py --features DIR --sunkeep-train BINARY [--slots 2] [--rows 20000]

Wants numpy, pandas, pyarrow, scikit-learn and onnxruntime. All read the same table from the same disk, and may use all
processors. Each fits the same class of model, a linear quantile regression (P10, P50, P90) for each slot of the day:

    sunkeep-train   `fit`: all slots, with export and the check against tract
    numpy           the same algorithm (majorisation, ridge towards common weights, as many passes), with BLAS
    scikit-learn    pandas and QuantileRegressor (HiGHS, no penalty), on some slots and rows only, as it takes long;
                    its seconds are multiplied by the rows that were left out, which flatters it (its time grows
                    faster than the rows)

Prints wall and processor seconds, site-years a second (the span of each site), and the mean pinball loss over the
level on the rows of those slots; that of sunkeep-train is computed by onnxruntime from the file it wrote.
"""
import argparse
import re
import resource
import subprocess
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


def columns_of(features):
    """The columns of a model in the order of the Rust code: what lies between `level` and `target`."""
    names = list(pd.read_parquet(next((features / "slot_of_day=00").glob("*.parquet")), columns=None).columns)
    return names[names.index("slot_of_day") : names.index("target")]


def read_slot(features, slot, columns):
    frame = pd.concat(
        pd.read_parquet(file, columns=columns + ["target"], partitioning=None)
        for file in sorted((features / f"slot_of_day={slot:02}").glob("*.parquet"))
    )
    x = frame[columns].to_numpy(dtype=np.float64, copy=True)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--features", type=Path, required=True)
    parser.add_argument("--sunkeep-train", required=True)
    parser.add_argument("--slots", type=int, default=2, help="slots of the day that scikit-learn fits")
    parser.add_argument("--rows", type=int, default=20_000, help="rows of each that it fits at most")
    arguments = parser.parse_args()
    features, columns = arguments.features, columns_of(arguments.features)
    years, sites = site_years(features)
    slots = [48 * place // arguments.slots for place in range(arguments.slots)]
    with tempfile.TemporaryDirectory() as out:
        command = [arguments.sunkeep_train, "fit", "--features", features, "--out", out]
        ran, *ours = timed(lambda: subprocess.run(command, check=True, capture_output=True, text=True))
        fitted, *ours_in_numpy = timed(lambda: fit_numpy(features, columns))
        (others, taken), *theirs = timed(lambda: fit_sklearn(features, columns, slots, arguments.rows))
        rows = int(re.search(r"of (\d+) rows", ran.stdout)[1])
        losses = np.zeros(3)
        for slot in slots:
            x, y = read_slot(features, slot, columns)
            losses[0] += pinball(y, of_onnx(f"{out}/load.onnx", x, slot)) / len(slots)
            losses[1] += pinball(y, [x @ w for w in fitted[slot]]) / len(slots)
            losses[2] += pinball(y, [x @ w for w in others[slot]]) / len(slots)
    left_out = rows / taken
    theirs = [seconds * left_out for seconds in theirs]
    print(f"{rows} rows of {sites} sites, {years:.2f} site-years; pinball on the rows of {len(slots)} slots of the day")
    print(f"scikit-learn fitted {taken:.0f} rows; its seconds are those times {left_out:.1f}")
    print(f"{'':14} {'wall s':>9} {'cpu s':>9} {'site-years/s':>13} {'by cpu':>9} {'pinball':>9} {'slower by':>10} {'by cpu':>8}")
    for name, (wall, cpu), loss in zip(["sunkeep-train", "numpy", "scikit-learn"], [ours, ours_in_numpy, theirs], losses):
        print(
            f"{name:14} {wall:9.1f} {cpu:9.1f} {years / wall:13.3f} {years / cpu:9.3f} {loss:9.5f}"
            f" {wall / ours[0]:9.1f}x {cpu / ours[1]:7.1f}x"
        )


if __name__ == "__main__":
    main()

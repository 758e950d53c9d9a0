#!/usr/bin/env python3
"""From a lake to slots and the feature table, in pandas and pyarrow: what `sunkeep-train features` does, as a peer.

    lake_in_pandas.py --lake LAKE --out TABLES [--issues 10000]

Wants what tests/requirements-pace.txt names. Reads the lake whole, as one does with pandas, drops repeats, places records in
time, sums them by slot, masks, and computes the features of all issues of a site at once in numpy, a process for each
processor. `training/lake/LAKE.md` says what is computed, and the files it writes are those of that page, without
`features.toml`. Numbers are of 64 bits here and of 32 bits there, so the tables equal each other up to rounding; in the
hour that the end of daylight saving repeats, an issue may see half an hour more than a hub would.
"""
import argparse
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from joblib import Parallel, delayed

SLOT_MS, HOUR_MS, JUMP_MS = 1_800_000, 3_600_000, 900_000
PLAUSIBLE_MS = (1_577_836_800_000, 4_102_444_800_000)
LONGEST_UPTIME_MS = PLAUSIBLE_MS[1] - PLAUSIBLE_MS[0]
CLAIMED_MS = SLOT_MS + SLOT_MS // 4
BOOT = ["site", "hub", "store", "boot"]
IDENTITY = BOOT + ["sequence"]
CONTENT = ["uptime_ms", "span_ms", "load", "pv", "throttled", "shed", "ambient", "irradiance"]
TIERS = ["critical_on", "important_on", "convenience_on", "background_on"]
QUANTITIES = {"load": "load_w", "pv": "pv_w", "ambient": "ambient_c", "irradiance": "irradiance_w_m2"}
WEATHER = {"temperature_c": (-90, 90), "irradiance_w_m2": (0, 2000), "cloud_share": (0, 1)}
DAY, HORIZON, GRID_DAYS, REACH, LEAST_STRIDE = 48, 96, 30, 9 * 48, 7
COLUMNS = """slot_of_day mean_7d mean_28d median_14d mean_7d_smooth mean_28d_smooth low_28d median_28d high_28d spread_7d
last_day last_day_smooth day_before_smooth week_before_smooth same_weekday_4w same_kind_of_day level_28d excess_24h
excess_72h excess_24h_shaped excess_1h_fading excess_4h_fading excess_4h_shaped_fading excess_12h_fading
excess_0_to_3h_ago excess_3_to_6h_ago excess_6_to_9h_ago excess_9_to_12h_ago excess_12_to_15h_ago excess_15_to_18h_ago
excess_18_to_21h_ago excess_21_to_24h_ago lead second_day weekend weekend_shaped last_day_missing
share_missing_28d""".split()


def read(folder, columns, names=()):
    """A table of the lake; columns of names are dictionaries, which groups and joins are quickest with."""
    form = ds.ParquetFileFormat(read_options={"dictionary_columns": list(names)})
    table = ds.dataset(folder, format=form).to_table(columns=columns)
    return table.unify_dictionaries().to_pandas(split_blocks=True, self_destruct=True)


def milliwatts(watts):
    """Whole milliwatts; -1 below zero, -2 where absurd, missing where nothing was measured."""
    watts = watts.to_numpy(np.float64)
    whole = np.floor(watts * 1000 + 0.5)
    return np.where(np.isnan(watts), np.nan, np.where(watts < -0.0005, -1, np.where(watts > 1e6, -2, whole)))


def within(values, least, most):
    values = values.to_numpy(np.float64)
    return np.where((values >= least) & (values <= most), np.trunc(values * 1000), np.nan)


def records(lake):
    """Each record once, and what every boot's records say of its beginning."""
    columns = IDENTITY + ["uptime_ms", "span_ms", "wall", "wall_uncertainty_ms", "load_w", "pv_w", "throttled"]
    columns += TIERS + ["ambient_c", "irradiance_w_m2"]
    rows = read(lake / "telemetry", columns, ["site", "hub", "store"])
    rows = rows.dropna(subset=IDENTITY + ["uptime_ms", "span_ms"])
    wall = rows["wall"].astype("int64").where(rows["wall"].notna())
    uptime = rows["uptime_ms"]
    sure = wall.between(*PLAUSIBLE_MS, inclusive="left") & ~(rows["wall_uncertainty_ms"] > SLOT_MS)
    raw = rows[IDENTITY + ["uptime_ms", "span_ms"]].assign(
        load=milliwatts(rows["load_w"]),
        pv=milliwatts(rows["pv_w"]),
        throttled=rows["throttled"].eq(True),
        shed=rows[TIERS].eq(False).any(axis=1),
        ambient=within(rows["ambient_c"], -90, 90),
        irradiance=within(rows["irradiance_w_m2"], 0, 2000),
        own=(wall - uptime).where(sure & uptime.between(0, LONGEST_UPTIME_MS)),
    )
    raw = raw.drop_duplicates()
    stamps = raw.loc[raw["own"].notna(), IDENTITY + ["own"]].drop_duplicates()
    # Of what came with several stamps the first counts; what came with several contents is not used.
    once = raw.sort_values("own") if raw.duplicated(IDENTITY).any() else raw
    once = once.drop_duplicates(IDENTITY + CONTENT)
    variants = once.duplicated(IDENTITY, keep=False)
    return once.assign(conflicting=variants).drop_duplicates(IDENTITY), stamps


def anchors(lake, stamps):
    """When each boot began, ms: by what most of its records say, and by what was learnt late."""
    counted = stamps.assign(bin=stamps["own"] // JUMP_MS).groupby(BOOT + ["bin"], observed=True)["own"]
    counted = counted.agg(["size", "min"]).reset_index().sort_values(["size", "bin"], ascending=[False, True])
    said = counted.drop_duplicates(BOOT)[BOOT + ["min"]].rename(columns={"min": "anchor"})
    if not (lake / "corrections").exists():
        return said.assign(told=np.nan)
    late = read(lake / "corrections", BOOT + ["boot_wall", "uncertainty_ms"])
    late["told"] = late["boot_wall"].astype("int64")
    late = late[late["told"].between(*PLAUSIBLE_MS, inclusive="left") & (late["uncertainty_ms"] <= SLOT_MS)]
    late = late.sort_values(["uncertainty_ms", "told"]).drop_duplicates(BOOT)[BOOT + ["told"]]
    for name in ["site", "hub", "store"]:
        late[name] = late[name].astype(said[name].dtype)
    return said.merge(late, on=BOOT, how="outer")


def placed(rows, boots):
    """The records with the slot in which each begins, and the ms that lie in it and in the next one."""
    rows = rows.merge(boots, on=BOOT, how="left")
    anchor = rows["told"].fillna(rows["anchor"])
    own = rows["own"].where((rows["own"] - anchor).abs() <= JUMP_MS, anchor)
    uptime = rows["uptime_ms"].between(0, LONGEST_UPTIME_MS)
    rows["usable"] = ~rows["conflicting"] & rows["span_ms"].between(1, SLOT_MS) & uptime
    span = rows["span_ms"].where(rows["usable"], 1)
    end = own + rows["uptime_ms"]
    known = (rows["uptime_ms"] >= 0) & end.between(*PLAUSIBLE_MS, inclusive="left")
    rows, end, span = rows[known], end[known].astype("int64"), span[known]
    slot = (end - span) // SLOT_MS
    over = (end - (slot + 1) * SLOT_MS).clip(lower=0)
    return rows.assign(slot=slot, here=span - over, over=over)


def part(rows, slot, ms, own):
    """The sums that some records give to a slot."""
    usable = rows["usable"].to_numpy()
    ms = np.where(usable, ms, 0)
    into = {"site": rows["site"], "slot": slot, "own": own, "covered": ms}
    for mask in ["shed", "throttled"]:
        into[mask] = usable & (ms > 0) & rows[mask].to_numpy()
    for name in QUANTITIES:
        value = rows[name].to_numpy()
        valid = usable & (value >= (0 if name in ("load", "pv") else -np.inf))
        into[name] = np.where(valid, value * ms, 0).astype(np.int64)
        into[name + "_ms"] = np.where(valid, ms, 0)
    return pd.DataFrame(into)


def slots(lake):
    """The slot table."""
    rows, stamps = records(lake)
    rows = placed(rows, anchors(lake, stamps))
    reaching = rows[rows["usable"] & (rows["over"] > 0)]
    both = [part(rows, rows["slot"], rows["here"], 1), part(reaching, reaching["slot"] + 1, reaching["over"], 0)]
    sums = pd.concat(both, ignore_index=True).groupby(["site", "slot"], observed=True, sort=True).sum().reset_index()
    table = sums[["site", "slot"]].copy()
    contradicted = sums["covered"] > CLAIMED_MS
    for name, column in QUANTITIES.items():
        spoilt = contradicted | (sums[{"load": "shed", "pv": "throttled"}[name]] > 0 if name in ("load", "pv") else False)
        enough = sums[name + "_ms"] >= SLOT_MS / 2
        mean = sums[name] / (sums[name + "_ms"] * 1000).where(enough & ~spoilt)
        table[column] = mean.astype(np.float32)
    return with_weather(lake, table, sums["own"] > 0)


def with_weather(lake, table, own):
    names = [f"weather_{name}" for name in WEATHER]
    if not (lake / "weather").exists():
        return table.assign(**dict.fromkeys(names, np.float32(np.nan)))
    hours = read(lake / "weather", ["place", "start", *WEATHER])
    hours["hour"] = hours["start"].astype("int64") // HOUR_MS
    for name, bounds in WEATHER.items():
        hours[f"weather_{name}"] = within(hours[name], *bounds)
    hours = (hours.groupby(["place", "hour"])[names].mean() / 1000).reset_index()
    places = read(lake / "sites", ["site", "place"]).dropna().groupby("site")["place"].min()
    found = pd.DataFrame({"place": table["site"].astype(object).map(places), "hour": table["slot"] // 2})
    found = found.merge(hours, on=["place", "hour"], how="left")[names].where(own)
    return table.join(found.astype(np.float32))


def stride_of(total, issues):
    stride = max(LEAST_STRIDE, -(-total // issues))
    while stride % 2 == 0 or stride % 3 == 0:
        stride += 1
    return stride


def offset_of(site, stride):
    return int(hashlib.sha256(site.encode()).hexdigest()[:15], 16) % stride


def mean_of(values, axis):
    """Mean without what is missing, NaN where all is."""
    there = ~np.isnan(values)
    count = there.sum(axis)
    return np.where(there, values, 0).sum(axis) / np.where(count > 0, count, np.nan)


def quantiles_of(values, quantiles):
    """Quantiles over the last axis, without what is missing: it sorts to the end."""
    values = np.sort(values, axis=-1)
    last = (~np.isnan(values)).sum(-1) - 1
    said = []
    for quantile in quantiles:
        place = quantile * np.maximum(last, 0)
        below = place.astype(np.int64)
        above = np.minimum(below + 1, np.maximum(last, 0))
        low, high = (np.take_along_axis(values, at[..., None], -1)[..., 0] for at in (below, above))
        said.append(low + (high - low) * (place - below))
    return said


def filled(profile, otherwise):
    """Slots of the day without a value, from the nearest on either side."""
    out = profile.copy()
    for distance in range(1, DAY // 2 + 1):
        missing = np.isnan(out)
        if not missing.any():
            break
        near = mean_of(np.stack([np.roll(profile, distance, 1), np.roll(profile, -distance, 1)]), 0)
        out = np.where(missing, near, out)
    return np.where(np.isnan(out), otherwise[:, None], out)


def smoothed(profile):
    return sum(weight * np.roll(profile, by, 1) for by, weight in zip(range(-2, 3), [1, 2, 3, 2, 1])) / 9


class Calendar:
    """Local day and slot of the day of all slots of a site."""

    def __init__(self, first, count, zone):
        moments = pd.to_datetime((first + np.arange(count)) * 1800, unit="s", utc=True).tz_convert(zone)
        seconds = moments.tz_localize(None).astype("datetime64[s]").astype(np.int64).to_numpy()
        self.day, self.slot = seconds // 86_400, seconds % 86_400 // 1800
        self.weekend = (self.day + 3) % 7 >= 5


def features(site, slot, load, zone, stride):
    """All rows of a site: `issued`, `target_slot`, `level`, features, `target`."""
    first, last = slot[0], slot[-1]
    issued = np.arange(first + 1, last + 1)
    issued = issued[issued % stride == offset_of(site, stride)]
    before = slot[np.searchsorted(slot, issued) - 1]
    issued = issued[issued - before <= REACH]
    series = np.full(last - first + 1 + HORIZON, np.nan)
    series[slot - first] = load
    calendar = Calendar(first, len(series), zone)
    day0 = calendar.day[0] - GRID_DAYS
    at = issued - first
    issue_day, issue_slot = calendar.day[at], calendar.slot[at]
    grid = np.full((calendar.day[-1] - day0 + 1, DAY), np.nan)
    cell = (calendar.day - day0) * DAY + calendar.slot
    known = ~np.isnan(series)
    counts = np.bincount(cell[known], minlength=grid.size)
    grid.flat[counts > 0] = (np.bincount(cell[known], series[known], grid.size) / np.maximum(counts, 1))[counts > 0]
    # By issue, days before it, and slot of the day; nothing from the issue on.
    cells = grid[(issue_day - day0)[:, None] - np.arange(GRID_DAYS)]
    passed = np.arange(DAY) < issue_slot[:, None]
    cells[:, 0][~passed] = np.nan
    same = np.where(passed[:, None], cells[:, 0:28], cells[:, 1:29])
    there = (~np.isnan(same)).sum(1)
    use = (there.sum(1) >= DAY) & (there[:, :] > 0).any(1) & (~np.isnan(same[:, :7])).any((1, 2))
    at, issued, issue_day, issue_slot, cells, same, there = (
        value[use] for value in (at, issued, issue_day, issue_slot, cells, same, there)
    )
    if len(at) == 0:
        return None
    profiles = profiles_of(same, there)
    recent = recent_of(series, calendar, at, profiles)
    return rows_of(series, calendar, at, issued, issue_day, issue_slot, cells, profiles, recent)


def profiles_of(same, there):
    raw_28d, raw_7d = mean_of(same, 1), mean_of(same[:, :7], 1)
    watts_28d = mean_of(raw_28d, 1)
    level = np.maximum(mean_of(np.where(np.isnan(raw_7d), raw_28d, raw_7d), 1), 0.01)
    over = level[:, None]
    filled_28d = filled(raw_28d / over, watts_28d / level)
    filled_7d = np.where(np.isnan(raw_7d), filled_28d, raw_7d / over)
    by_slot = np.swapaxes(same, 1, 2)
    pooled = np.concatenate([np.roll(by_slot, by, 1) for by in (1, 0, -1)], axis=2)
    or_mean = lambda values: np.where(np.isnan(values), filled_28d, values / over)
    low, median, high = (or_mean(values) for values in quantiles_of(pooled, [0.1, 0.5, 0.9]))
    spread = mean_of(np.abs(same[:, :7] / over[:, None] - filled_7d[:, None]), 1)
    return {
        "level": level,
        "level_28d": watts_28d / level,
        "mean_7d": filled_7d,
        "mean_28d": filled_28d,
        "median_14d": or_mean(quantiles_of(by_slot[:, :, :14], [0.5])[0]),
        "mean_7d_smooth": smoothed(filled_7d),
        "mean_28d_smooth": smoothed(filled_28d),
        "low_28d": low,
        "median_28d": median,
        "high_28d": high,
        "spread_7d": np.nan_to_num(spread),
        "share_missing_28d": 1 - there / 28,
    }


def recent_of(series, calendar, at, profiles):
    """By how much the last slots exceeded the 28-day profile: means over the newest so many, and of each block."""
    back = at[:, None] - np.arange(1, 145)
    values = np.where(back >= 0, series[np.maximum(back, 0)], np.nan)
    # What lies before the first slot was not measured, whatever its slot of the day.
    usual = np.take_along_axis(profiles["mean_28d"], calendar.slot[np.maximum(back, 0)], 1)
    there = ~np.isnan(values)
    excess = np.where(there, values / profiles["level"][:, None] - usual, 0)
    summed, count = excess.cumsum(1), there.cumsum(1)
    expected = np.where(there, usual, 0).cumsum(1)
    mean = summed / np.maximum(count, 1)
    share = np.where(expected > 0, np.minimum(summed / np.where(expected > 0, expected, 1), 3), 0)
    blocks = excess[:, :48].reshape(-1, 8, 6).sum(2) / np.maximum(there[:, :48].reshape(-1, 8, 6).sum(2), 1)
    return {hours: mean[:, 2 * hours - 1] for hours in (1, 4, 12, 24, 72)} | {"share": share[:, 7], "blocks": blocks}


def rows_of(series, calendar, at, issued, issue_day, issue_slot, cells, profiles, recent):
    count, level = len(at), profiles["level"][:, None]
    target = at[:, None] + np.arange(HORIZON)
    inside = target < len(series)
    target = np.minimum(target, len(series) - 1)
    slot, weekend = calendar.slot[target], calendar.weekend[target]
    ahead = calendar.day[target] - issue_day[:, None]
    issue, lead = np.arange(count)[:, None], np.arange(HORIZON)[None, :]
    newest = (slot >= issue_slot[:, None]).astype(np.int64)
    # The days one after the other, oldest first: a neighbour of midnight lies in the day beside.
    line = np.pad(cells[:, ::-1].reshape(count, -1), ((0, 0), (1, 1)), constant_values=np.nan)
    weights = np.stack([line[:, :-2], line[:, 1:-1], line[:, 2:]])
    factors = np.array([1.0, 2.0, 1.0])[:, None, None] * ~np.isnan(weights)
    total = factors.sum(0)
    smooth = (np.nan_to_num(weights) * factors).sum(0) / np.where(total > 0, total, np.nan)
    smooth = smooth.reshape(count, GRID_DAYS, DAY)[:, ::-1] / level[:, None]
    of = lambda name: np.take_along_axis(profiles[name], slot, 1)
    wide = lambda values: np.broadcast_to(values[:, None], slot.shape)
    or_else = lambda values, other: np.where(np.isnan(values), other, values)
    last = cells[issue, newest, slot] / level
    last_smooth = or_else(smooth[issue, newest, slot], of("mean_7d"))
    weeks = np.stack([cells[issue, 7 * week - ahead, slot] for week in range(1, 5)])
    ago = (issue_day[:, None] - np.arange(GRID_DAYS) + 3) % 7 >= 5
    kinds = np.stack([mean_of(np.where((ago == kind)[:, :, None], cells, np.nan), 1) for kind in (False, True)])
    usual = of("mean_28d_smooth")
    fading = lambda half: half / (half + lead)
    columns = {name: of(name) for name in COLUMNS[1:10]} | {
        "slot_of_day": slot,
        "last_day": or_else(last, last_smooth),
        "last_day_smooth": last_smooth,
        "day_before_smooth": or_else(smooth[issue, newest + 1, slot], of("mean_7d")),
        "week_before_smooth": or_else(smooth[issue, 7 - ahead, slot], of("mean_28d")),
        "same_weekday_4w": or_else(mean_of(weeks, 0) / level, of("mean_28d")),
        "same_kind_of_day": or_else(kinds[weekend.astype(int), issue, slot] / level, usual),
        "level_28d": wide(profiles["level_28d"]),
        "excess_24h": wide(recent[24]),
        "excess_72h": wide(recent[72]),
        "excess_24h_shaped": recent[24][:, None] * usual,
        "excess_1h_fading": recent[1][:, None] * fading(2),
        "excess_4h_fading": recent[4][:, None] * fading(6),
        "excess_4h_shaped_fading": recent["share"][:, None] * usual * fading(8),
        "excess_12h_fading": recent[12][:, None] * fading(16),
        "lead": lead / HORIZON + 0 * slot,
        "second_day": (lead >= DAY) + 0 * slot,
        "weekend": weekend,
        "weekend_shaped": weekend * usual,
        "last_day_missing": np.isnan(last),
        "share_missing_28d": of("share_missing_28d"),
    }
    columns |= {name: wide(recent["blocks"][:, place]) for place, name in enumerate(COLUMNS[24:32])}
    measured = np.where(inside, series[target], np.nan)
    keep = ~np.isnan(measured)
    table = {"issued": np.broadcast_to(issued[:, None], slot.shape)[keep], "target_slot": (issued[:, None] + lead)[keep]}
    table["level"] = wide(profiles["level"])[keep].astype(np.float32)
    for name in COLUMNS:
        table[name] = np.clip(columns[name][keep], -50, 50).astype(np.float32)
    table["target"] = (measured / level)[keep].astype(np.float32)
    return pd.DataFrame(table)


def make(lake, out, issues):
    table = slots(lake)
    out.mkdir(parents=True, exist_ok=True)
    table.to_parquet(out / "slots.parquet", compression="zstd", index=False)
    stride = stride_of(len(table), issues)
    zones = read(lake / "sites", ["site", "zone"]).drop_duplicates().set_index("site")["zone"]
    sites = [(site, rows["slot"].to_numpy(), rows["load_w"].to_numpy()) for site, rows in table.groupby("site", observed=True)]
    done = Parallel(n_jobs=-1)(delayed(features)(*site, zones[site[0]], stride) for site in sites)
    parts = [rows.assign(site=site[0]) for site, rows in zip(sites, done) if rows is not None]
    rows = pd.concat(parts, ignore_index=True)[["site", "issued", "target_slot", "level", *COLUMNS, "target"]]
    for slot, own in rows.groupby("slot_of_day"):
        folder = out / f"slot_of_day={int(slot):02}"
        folder.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pandas(own, preserve_index=False), folder / "features.parquet", compression="zstd")
    print(f"{len(sites)} sites, {len(table)} slots, {len(rows)} rows")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--issues", type=int, default=10_000)
    arguments = parser.parse_args()
    make(arguments.lake, arguments.out, arguments.issues)

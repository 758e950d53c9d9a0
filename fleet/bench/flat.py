#!/usr/bin/env python3
"""Resident memory of sunkeep-fleet ingest over millions of rows, published as fast as they are taken.

    v/bin/python fleet/bench/flat.py target/release/sunkeep-fleet --rows 10000000       # v as in rate.py

Messages are days of minutes of 20 channels, compact. Fails where a row is missing in the lake, or where memory at the
end is more than a tenth above that after the first fifth of the rows: until then what is held grows to its bounds.
"""
import argparse, glob, subprocess, sys, tempfile, time

import pyarrow.parquet as pq

from rate import client, filed, free_port, memory, message, mosquitto

DAY = 1440


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=10_000_000)
    asked = parser.parse_args()
    messages = -(-asked.rows // DAY)
    rows = messages * DAY
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        broker = mosquitto(folder, port)
        time.sleep(0.5)
        log = open(f"{folder}/log", "w+")
        ingest = subprocess.Popen([asked.binary, "ingest", "--broker", f"mqtt://127.0.0.1:{port}", "--lake", f"{folder}/lake"],
                                  stderr=log, stdout=subprocess.DEVNULL)
        try:
            while "subscribed" not in open(log.name).read():
                time.sleep(0.05)
            publisher = client("hubs", port, False)
            publisher.loop_start()
            begun, seen, under_way = time.monotonic(), [], []

            def look():
                done = filed(log.name)
                if not seen or done >= seen[-1][0] + 500_000 or done >= rows:
                    seen.append((done, memory(ingest.pid, "VmRSS")))
                    print(f"{done:>12,} rows {time.monotonic() - begun:7.1f} s {seen[-1][1] >> 10:5} MiB", flush=True)
                return done

            for number in range(messages):
                hub, block = number % 200, number // 200
                for payload in message(hub, block, "compact", DAY):
                    under_way.append(publisher.publish(f"sunkeep/v1/hub-{hub}/up/telemetry", payload, 1))
                if len(under_way) > 50:
                    under_way.pop(0).wait_for_publish()
                    look()
            while look() < rows and ingest.poll() is None:
                time.sleep(0.2)
            took, peak = time.monotonic() - begun, memory(ingest.pid)
            ingest.terminate()
            ingest.wait()
        finally:
            ingest.kill()
            broker.kill()
            broker.wait()
        written = sum(pq.read_metadata(path).num_rows for path in glob.glob(f"{folder}/lake/**/*.parquet", recursive=True))
        first = next(kb for done, kb in seen if done >= rows / 5)
        print(f"{written:,} of {rows:,} rows in {took:.0f} s, {written / took:,.0f} rows/s; {first >> 10} MiB after the first fifth, "
              f"{seen[-1][1] >> 10} MiB at the end, {peak >> 10} MiB at the peak")
        sys.exit(written != rows or seen[-1][1] > 1.1 * first)


main()

#!/usr/bin/env python3
"""Rows a second from a broker's queue into Parquet: sunkeep-fleet beside paho-mqtt and pyarrow doing the same.

    python3 -m venv v && v/bin/pip install paho-mqtt==2.2.0 pyarrow==26.0.1 cbor2==6.2.1 zstandard==0.25.0
    v/bin/python fleet/bench/rate.py target/release/sunkeep-fleet --rows 300000 --form compact

Both find the same messages waiting in a Mosquitto of their own, hold 100,000 rows, write a file an hour (written
through to the disk, then renamed), and acknowledge after that. A quarter more than --rows waits, so that neither comes
to an end before the other would; taken is the time from the start of the process until --rows rows are in files.
"""
import argparse, glob, json, os, re, resource, socket, subprocess, sys, tempfile, time

import cbor2
import paho.mqtt.client as mqtt
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

NAMES = ["load_w", "pv_w", "battery_v", "battery_a", "battery_c", "charge_low", "charge_best", "charge_high",
         "critical_w", "important_w", "convenience_w", "background_w", "critical_on", "important_on", "throttled",
         "load.tv.w", "load.tv.on", "load.pump.w", "load.pump.on", "ambient_c"]
FLAGS = {"critical_on", "important_on", "throttled"}
HUBS, RECORDS, FLUSH, START = 200, 30, 100_000, 1_795_000_000_000


def message(hub, block, form, records=RECORDS):
    """Half an hour of minutes of a hub, or so many: payloads."""
    head = dict(v=1, kind="telemetry", site=f"site-{hub}", hub=f"hub-{hub}")
    numbers = range(block * records, (block + 1) * records)
    def value(name, n):
        return n % 2 if name.endswith("_on") or name.endswith(".on") or name == "throttled" else 1200 + (n * 7 + len(name)) % 97
    walls = [START + n * 60_000 for n in numbers]
    if form == "json":
        for n, wall in zip(numbers, walls):
            yield json.dumps(head | dict(store=f"{hub:032x}", boot=1, sequence=n, uptime_ms=n * 60_000, span_ms=60_000,
                             wall_ms=wall, values={name: value(name, n) for name in NAMES})).encode()
        return
    columns = dict(boot=[1, 0, [1] * records], sequence=[1, 0, list(numbers)], uptime_ms=[1, 0, [n * 60_000 for n in numbers]],
                   wall_ms=[1, 0, walls], span_ms=[1, 0, [60_000] * records])
    columns |= {name: [1, 0, [value(name, n) for n in numbers]] for name in NAMES}
    yield zstandard.compress(cbor2.dumps(head | dict(store=hub.to_bytes(16, "big"), columns=columns)), 3)


def client(name, port, kept):
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 1_000_000 if kept else 0
    properties.ReceiveMaximum = 20_000
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5, manual_ack=kept)
    made.connect("127.0.0.1", port, clean_start=not kept, properties=properties)
    return made


def fill(port, rows, form):
    """Subscribes as both will, then publishes."""
    for name in ["sunkeep", "paho"]:
        subscriber = client(name, port, True)
        subscriber.on_connect = lambda c, *_: c.subscribe(f"$share/{c._client_id.decode()}/sunkeep/v1/+/up/+", 1)
        subscriber.on_subscribe = lambda c, *_: c.disconnect()
        subscriber.loop_forever()
    publisher = client("hubs", port, False)
    publisher.loop_start()
    last = None
    for number in range(rows // RECORDS):
        hub, block = number % HUBS, number // HUBS
        for payload in message(hub, block, form):
            last = publisher.publish(f"sunkeep/v1/hub-{hub}/up/telemetry", payload, 1)
        if number % 50 == 0:
            last.wait_for_publish()
    last.wait_for_publish()
    publisher.disconnect()


def records(payload):
    """The rows of a message, as dicts."""
    if payload[:1] == b"{":
        told = json.loads(payload)
        values = told.pop("values")
        yield told | values
        return
    told = cbor2.loads(zstandard.ZstdDecompressor(max_window_size=4 << 20).stream_reader(payload).read(4 << 20))
    columns = {}
    for name, (parts, differences, numbers) in told["columns"].items():
        for _ in range(differences):
            total = 0
            for place, number in enumerate(numbers):
                if number is not None:
                    numbers[place] = total = total + number
        columns[name] = numbers if parts == 1 else [n if n is None else n / parts for n in numbers]
    head = dict(site=told["site"], hub=told["hub"], store=told["store"].hex())
    for values in zip(*columns.values()):
        yield head | dict(zip(columns, values))


def ingest_with_paho(port, lake, rows):
    """The same as ingest does, as one would write it."""
    held, seen, acks, done = {}, set(), [], 0
    def flush(c):
        for hour, some in held.items():
            folder = time.strftime(f"{lake}/year=%Y/month=%m/day=%d/hour=%H", time.gmtime(hour * 3600))
            os.makedirs(folder, exist_ok=True)
            path = f"{folder}/{time.time_ns()}.parquet"
            with open(path + ".half", "wb") as file:
                pq.write_table(pa.Table.from_pylist(some), file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            os.rename(path + ".half", path)
            entry = os.open(folder, os.O_RDONLY)
            os.fsync(entry)
            os.close(entry)
        for mid in acks:
            c.ack(mid, 1)
        held.clear(), seen.clear(), acks.clear()
    def take(c, _, arrived):
        nonlocal done
        acks.append(arrived.mid)
        for row in records(arrived.payload):
            identity = (row["hub"], row["store"], row["boot"], row["sequence"])
            if identity in seen:
                continue
            seen.add(identity)
            values = {"loads": [], "wall": None}
            for name, value in row.items():
                if name.startswith("load.") and name.endswith(".w"):
                    load = name[5:-2]
                    values["loads"].append(dict(name=load, w=float(value), on=bool(row.get(f"load.{load}.on"))))
                elif not name.startswith("load."):
                    values[name] = bool(value) if name in FLAGS else value
            held.setdefault(row["wall_ms"] // 3_600_000, []).append(values)
            done += 1
        if len(seen) >= FLUSH or len(acks) >= 10_000 or done >= rows:
            flush(c)
            if done >= rows:
                c.disconnect()
    taker = client("paho", port, True)
    taker.on_message = take
    taker.loop_forever()


def mosquitto(folder, port, more=""):
    with open(f"{folder}/conf", "w") as conf:
        conf.write(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n{more}")
    return subprocess.Popen(["/usr/sbin/mosquitto", "-c", f"{folder}/conf"], stderr=subprocess.DEVNULL)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--form", choices=["compact", "json"], default="compact")
    parser.add_argument("--paho", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    rows = asked.rows // (RECORDS * HUBS) * RECORDS * HUBS
    if asked.paho:
        return ingest_with_paho(int(asked.paho[0]), asked.paho[1], rows)
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        broker = mosquitto(folder, port)
        try:
            time.sleep(0.5)
            fill(port, rows // 4 * 5, asked.form)
            own = [asked.binary, "ingest", "--broker", f"mqtt://127.0.0.1:{port}", "--name", "sunkeep", "--group", "sunkeep",
                   "--in-flight", "20000", "--flush-seconds", "1", "--lake", f"{folder}/own"]
            other = [sys.executable, __file__, asked.binary, "--rows", str(asked.rows), "--paho", str(port), f"{folder}/other"]
            for name, command in [("paho and pyarrow", other), ("sunkeep-fleet", own)]:
                before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
                log = open(f"{folder}/log", "w+")
                process = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL)
                peak = 0
                while name.startswith("paho") and process.poll() is None:
                    peak = max(peak, memory(process.pid) or 0)
                    time.sleep(0.05)
                while name.startswith("sunkeep") and filed(log.name) < rows and process.poll() is None:
                    peak = max(peak, memory(process.pid) or 0)
                    time.sleep(0.05)
                took = time.monotonic() - begun
                done = filed(log.name) if name.startswith("sunkeep") else rows
                process.terminate()
                process.wait()
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                lake = f"{folder}/own" if name.startswith("sunkeep") else f"{folder}/other"
                written = sum(pq.read_metadata(path).num_rows for path in glob.glob(f"{lake}/**/*.parquet", recursive=True))
                # What was held when it was stopped is filed, too: so processor time is by what was written in all.
                print(f"{name}: {done} rows in {took:.2f} s, {done / took:,.0f} rows/s; {cpu / written * 1e6:.1f} µs of a processor a row, peak {peak >> 10} MiB")
                if written < rows:
                    print(f"expected {rows} rows or more, {written} are in files\n{open(log.name).read()}")
        finally:
            broker.terminate()
            broker.wait()


def filed(log):
    return sum(int(n) for n in re.findall(r"records=(\d+)", open(log).read()))


def memory(pid, of="VmHWM"):
    """Peak of resident memory, kB; or what it is now, VmRSS."""
    try:
        return int(re.search(of + r":\s+(\d+)", open(f"/proc/{pid}/status").read())[1])
    except (OSError, TypeError):
        return None


if __name__ == "__main__":
    main()

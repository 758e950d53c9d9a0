#!/usr/bin/env python3
"""Ten thousand hubs that stay connected and publish now and then: what broker and ingest take, and how long a hub waits.

    v/bin/python fleet/bench/hubs.py target/release/sunkeep-fleet --hubs 10000 --seconds 120 [--tls]      # v as in rate.py

Each hub has a connection of its own (MQTT 5, as few bytes as can be) and publishes 15 minutes of 20 channels every
--period seconds, at a moment of its own. With --tls each connection is secured; certificates of hubs are left out.
Raises its limit of open files. Fails where a hub loses its connection or a row is missing in the lake.
"""
import argparse, asyncio, glob, os, random, resource, ssl, subprocess, sys, tempfile, time

import pyarrow.parquet as pq

from rate import filed, free_port, memory, message, mosquitto

RECORDS = 15


def packet(kind, rest):
    length, left = bytearray(), len(rest)
    while True:
        length.append(left & 0x7F | (0x80 if left > 0x7F else 0))
        left >>= 7
        if not left:
            return bytes([kind]) + bytes(length) + rest


def text(words):
    return len(words).to_bytes(2, "big") + words.encode()


class Hub:
    def __init__(self, number, port, secured):
        self.number, self.port, self.secured, self.waits, self.sent = number, port, secured, [], 0

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=self.secured, limit=1 << 12)
        self.writer.write(packet(0x10, text("MQTT") + bytes([5, 2]) + (3600).to_bytes(2, "big") + b"\0" + text(f"hub-{self.number}")))
        kind, rest = await self.read()
        assert kind == 0x20 and rest[1] == 0, rest

    async def read(self):
        kind, length = await self.reader.readexactly(2)
        assert length < 0x80
        return kind, await self.reader.readexactly(length)

    async def live(self, begun, seconds, period):
        at = random.random() * period
        while at < seconds:
            await asyncio.sleep(max(0, begun + at - time.monotonic()))
            payload, = message(self.number, self.sent, "compact", RECORDS)
            before = time.monotonic()
            self.writer.write(packet(0x32, text(f"sunkeep/v1/hub-{self.number}/up/telemetry") + (self.sent % 60_000 + 1).to_bytes(2, "big") + b"\0" + payload))
            kind, rest = await self.read()
            assert kind == 0x40 and (len(rest) == 2 or rest[2] == 0), rest
            self.waits.append(time.monotonic() - before)
            self.sent += 1
            at += period
        await asyncio.sleep(max(0, begun + seconds - time.monotonic()))


def used(pid):
    """Seconds of a processor."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def drive(asked, port, secured, broker, ingest, log):
    hubs = [Hub(number, port, secured) for number in range(asked.hubs)]
    begun = time.monotonic()
    for first in range(0, len(hubs), 100):
        await asyncio.gather(*(hub.connect() for hub in hubs[first:first + 100]))
    print(f"{len(hubs)} hubs connected in {time.monotonic() - begun:.0f} s; broker {memory(broker.pid, 'VmRSS') >> 10} MiB", flush=True)
    begun, before = time.monotonic(), [used(broker.pid), used(ingest.pid)]
    await asyncio.gather(*(hub.live(begun, asked.seconds, asked.period) for hub in hubs))
    cpu = [(now - then) / asked.seconds * 100 for now, then in zip([used(broker.pid), used(ingest.pid)], before)]
    waits = sorted(wait for hub in hubs for wait in hub.waits)
    rows = RECORDS * sum(hub.sent for hub in hubs)
    print(f"{len(waits):,} messages, {rows:,} rows in {asked.seconds} s; acknowledged after {waits[len(waits) // 2] * 1000:.1f} ms (half), "
          f"{waits[int(len(waits) * .99)] * 1000:.1f} ms (99 %), {waits[-1] * 1000:.0f} ms (all)", flush=True)
    end = time.monotonic() + 90
    while filed(log.name) < rows and time.monotonic() < end:
        await asyncio.sleep(0.2)
    # Nobody has been thrown out meanwhile: each still gets an answer.
    for hub in hubs:
        hub.writer.write(b"\xc0\0")
        assert await hub.read() == (0xD0, b"")
    for name, process, share in [("broker", broker, cpu[0]), ("ingest", ingest, cpu[1])]:
        print(f"{name}: {share:.0f} % of a processor, {memory(process.pid, 'VmRSS') >> 10} MiB, {memory(process.pid) >> 10} MiB at the peak")
    return rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--hubs", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--period", type=int, default=60)
    parser.add_argument("--tls", action="store_true")
    asked = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if most < asked.hubs + 200:
        sys.exit(f"{most} files may be open; {asked.hubs + 200} are wanted: ulimit -Hn")
    with tempfile.TemporaryDirectory() as folder:
        port, own = free_port(), free_port()
        more, secured = "", None
        if asked.tls:
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/key",
                            "-out", f"{folder}/pem", "-days", "2", "-subj", "/CN=localhost"], check=True, stderr=subprocess.DEVNULL)
            os.chmod(folder, 0o755)
            os.chmod(f"{folder}/key", 0o644)
            more = f"certfile {folder}/pem\nkeyfile {folder}/key\n"
            secured = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            secured.check_hostname, secured.verify_mode = False, ssl.CERT_NONE
        # Ingest has a listener of its own, for hubs may have to speak TLS.
        broker = mosquitto(folder, port, more + f"listener {own} 127.0.0.1\n")
        time.sleep(0.5)
        log = open(f"{folder}/log", "w+")
        command = [asked.binary, "ingest", "--broker", f"mqtt://127.0.0.1:{own}", "--lake", f"{folder}/lake", "--flush-seconds", "10"]
        ingest = subprocess.Popen(command, stderr=log, stdout=subprocess.DEVNULL)
        try:
            while "subscribed" not in open(log.name).read():
                assert ingest.poll() is None, open(log.name).read()
                time.sleep(0.05)
            rows = asyncio.run(drive(asked, port, secured, broker, ingest, log))
            ingest.terminate()
            ingest.wait()
        finally:
            ingest.kill()
            broker.kill()
            broker.wait()
        written = sum(pq.read_metadata(path).num_rows for path in glob.glob(f"{folder}/lake/**/*.parquet", recursive=True))
        print(f"{written:,} of {rows:,} rows are in the lake")
        sys.exit(written != rows)


main()

"""A line between this machine and a network namespace that delays and loses packets, by user-space code: kernels of small
machines have no netem. Two TUN devices, and this between them. Root, Linux, Python 3 alone.

    line.py NAMESPACE NEAR FAR DELAY_MS JITTER_MS LOSS_PERCENT SEED

NEAR and FAR are the addresses of the two ends, in one /30. Says "ready"; then reads from standard input: "up" (packets pass),
"silent" (all of them vanish). When its input ends it takes the namespace away and ends. To cut the line so that this end
knows, take its device down: `ip link set NAMESPACE down`.
"""

import fcntl
import heapq
import ipaddress
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
TUN_NO_INFO = 0x1001
MOST_WAITING = 1000  # packets; a real line drops, too, where its queue is full


def tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), TUN_NO_INFO))
    return device


def ip(*arguments, **options):
    subprocess.run(["ip", *arguments], check=True, **options)


def main():
    namespace, near, far = sys.argv[1:4]
    delay, jitter, loss, seed = (float(argument) for argument in sys.argv[4:8])
    chance = random.Random(int(seed))
    net = str(ipaddress.ip_interface(near + "/30").network)
    other = namespace + "x"
    ends = [tun(namespace), tun(other)]
    ip("netns", "add", namespace)
    try:
        ip("link", "set", other, "netns", namespace)
        ip("address", "add", near + "/30", "dev", namespace)
        ip("link", "set", namespace, "up")
        # Where the device is down, nobody else's network is asked. The device's own route to the same net comes first.
        ip("route", "add", "unreachable", net, "metric", "4000")
        ip("-n", namespace, "address", "add", far + "/30", "dev", other)
        ip("-n", namespace, "link", "set", other, "up")
        ip("-n", namespace, "link", "set", "lo", "up")
        print("ready", flush=True)
        pass_on(ends, delay / 1000, jitter / 1000, loss / 100, chance)
    finally:
        subprocess.run(["ip", "route", "delete", "unreachable", net], check=False)
        subprocess.run(["ip", "netns", "delete", namespace], check=False)


def pass_on(ends, delay, jitter, loss, chance):
    waiting, count, up = [], 0, True
    last = [0.0, 0.0]
    command = b""
    while True:
        due = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        readable, _, _ = select.select([0, *ends], [], [], due)
        now = time.monotonic()
        if 0 in readable:
            read = os.read(0, 4096)
            if not read:
                return
            *lines, command = (command + read).split(b"\n")
            for line in lines:
                up = line == b"up"
                waiting.clear()
        for end in readable[:]:
            if end == 0:
                continue
            try:
                packet = os.read(end, 65536)
            except OSError:
                # The device is down: nothing can be read until it is up, and asking at once would burn a processor.
                time.sleep(0.02)
                continue
            if up and chance.random() >= loss and len(waiting) < MOST_WAITING:
                to = 1 - ends.index(end)
                # Packets of one way stay in their order.
                last[to] = max(last[to], now + delay + chance.uniform(-jitter, jitter))
                count += 1
                heapq.heappush(waiting, (last[to], count, to, packet))
        while waiting and waiting[0][0] <= now:
            _, _, to, packet = heapq.heappop(waiting)
            try:
                os.write(ends[to], packet)
            except OSError:
                pass  # the device is down: the packet is lost


main()

"""Two hosts with a slow network between them: two network namespaces, and this process is the wire.

    python benchmarks/slow_network.py [--delay 20] [--rate 1000] [--json]      what the wire really does

Each namespace has a TUN interface; this process takes the packets of each, holds them for the delay of one
direction, lets no more through than the rate, and gives them to the other. So the TCP of the kernel has its
true windows, its congestion control and its waiting. ``tc netem`` would do the same, but needs a module that
many kernels of virtual machines lack. The wire costs some time of a processor, at the expense of those who
use it: figures are those of a network that is a little slower still. Needs root and ``ip``.

``with SlowNetwork(delay, rate) as network:`` gives ``network.mpirun(2)``, the words of a launcher that starts
rank 0 on one host and rank 1 on the other (Open MPI).
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from pathlib import Path

from measured import machine

HOSTS = ("pantoum-a", "pantoum-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
MTU = 9000
"""Bytes of a packet at most: jumbo frames, of which this process can carry 1 Gbit/s."""
WAITING = 64 << 20
"""Bytes that wait for the wire at most; what comes then is lost, as in a switch."""
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
AGENT = """#!/bin/sh
# What Open MPI calls in place of ssh, with the host's name and a command.
shift
exec ip netns exec {host} unshare --uts sh -c 'hostname {host}; exec sh -c "$0"' "$*"
"""


class Direction:
    """One direction of the wire: two threads."""

    def __init__(self, taken: int, given: int, delay: float, bytes_a_second: float) -> None:
        self._taken, self._given = taken, given
        self._delay, self._rate = delay, bytes_a_second
        self._packets: deque[tuple[float, bytes]] = deque()
        self._bytes, self._free = 0, 0.0
        self._news = threading.Event()
        self.lost = 0
        for work in (self._take, self._give):
            threading.Thread(target=work, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                packet = os.read(self._taken, MTU + 64)
            except OSError:
                return  # the wire was taken down
            if self._bytes > WAITING:
                self.lost += 1
                continue
            self._free = max(time.perf_counter(), self._free) + len(packet) / self._rate
            self._packets.append((self._free + self._delay, packet))
            self._bytes += len(packet)
            self._news.set()

    def _give(self) -> None:
        while True:
            if not self._packets:
                self._news.wait()
                self._news.clear()
                continue
            left = self._packets[0][0] - time.perf_counter()
            if left > 0:
                time.sleep(left)
            _, packet = self._packets.popleft()
            self._bytes -= len(packet)
            try:
                os.write(self._given, packet)
            except OSError:
                self.lost += 1


class SlowNetwork:
    """Two hosts, while inside."""

    def __init__(self, delay: float, megabits: float) -> None:
        """``delay``: seconds of one direction; ``megabits``: per second."""
        self._delay, self._rate = delay, megabits * 1e6 / 8.0
        self._files: list[int] = []
        self._folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> SlowNetwork:
        for host, own, other in zip(HOSTS, ADDRESSES, reversed(ADDRESSES), strict=True):
            subprocess.run(["ip", "netns", "del", host], capture_output=True)
            _ip("netns", "add", host)
            self._files.append(os.open("/dev/net/tun", os.O_RDWR))
            fcntl.ioctl(self._files[-1], TUNSETIFF, struct.pack("16sH", host.encode(), IFF_TUN | IFF_NO_PI))
            _ip("link", "set", host, "netns", host)
            _ip("-n", host, "address", "add", own, "peer", other, "dev", host)
            _ip("-n", host, "link", "set", host, "mtu", str(MTU), "txqueuelen", "10000", "up")
            _ip("-n", host, "link", "set", "lo", "up")
        first, second = self._files
        self.directions = [
            Direction(taken, given, self._delay, self._rate)
            for taken, given in ((first, second), (second, first))
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            os.close(file)
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], capture_output=True)
        self._folder.cleanup()

    def mpirun(self, threads: int = 1) -> list[str]:
        """Starts two ranks of so many threads, the first on this side, the second on the other."""
        agent = Path(self._folder.name) / "agent"
        agent.write_text(AGENT.format(host=HOSTS[1]))
        agent.chmod(0o755)
        mpirun = shutil.which("mpirun") or str(Path(sys.executable).parent / "mpirun")
        network = f"{ADDRESSES[0]}/24"
        options = {
            "--mca": ("pml ob1", "btl tcp,self", f"btl_tcp_if_include {network}"),
            "--prtemca": (f"plm_ssh_agent {agent}", f"prte_if_include {network}"),
        }
        words = [word for option, each in options.items() for one in each for word in (option, *one.split())]
        exported = [word for name in ("PATH", "PYTHONPATH", "PANTOUM_THREADS") for word in ("-x", name)]
        hosts = ",".join(f"{address}:1" for address in ADDRESSES)
        return [
            *("ip", "netns", "exec", HOSTS[0], "unshare", "--uts", "sh", "-c"),
            'hostname $0; exec "$@"',
            HOSTS[0],
            *(mpirun, "--allow-run-as-root", "--host", hosts, "-n", "2", "--bind-to", "none"),
            *words,
            *exported,
        ]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


SEND = """
import socket, sys, time
with socket.create_connection((sys.argv[1], 7007)) as wire:
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    trips = []
    for _ in range(5):
        began = time.perf_counter(); wire.sendall(b"x"); wire.recv(1)
        trips.append(time.perf_counter() - began)
    print(min(trips), flush=True)
    wire.sendall(b"y"); size = int(sys.argv[2]); began = time.perf_counter(); wire.sendall(bytes(size))
    wire.recv(1); print(size * 8e-6 / (time.perf_counter() - began - min(trips) / 2))
"""
RECEIVE = """
import socket, sys
with socket.create_server(("0.0.0.0", 7007)) as server:
    print("ready", flush=True)
    wire = server.accept()[0]
    while wire.recv(1) == b"x": wire.sendall(b"x")
    left = int(sys.argv[1])
    while left: left -= len(wire.recv(min(left, 1 << 20)))
    wire.sendall(b"z")
"""


def checked(network: SlowNetwork, size: int) -> dict[str, float]:
    """Milliseconds of a round trip, and the rate of one transfer of so many bytes in Mbit/s, by sockets."""
    inside = [["ip", "netns", "exec", host, sys.executable, "-c"] for host in HOSTS]
    receiver = subprocess.Popen([*inside[1], RECEIVE, str(size)], stdout=subprocess.PIPE, text=True)
    assert receiver.stdout is not None
    receiver.stdout.readline()
    told = subprocess.run(
        [*inside[0], SEND, ADDRESSES[1], str(size)], check=True, capture_output=True, text=True
    ).stdout.split()
    receiver.wait(10)
    lost = sum(direction.lost for direction in network.directions)
    return {"round trip, ms": 1e3 * float(told[0]), "Mbit/s": float(told[1]), "packets lost": lost}


def main() -> None:
    """Measure the wire."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--delay", type=float, default=20.0, help="of one direction, in milliseconds")
    parser.add_argument("--rate", type=float, default=1000.0, help="Mbit/s")
    parser.add_argument("--megabytes", type=float, default=20.0, help="of the transfer")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    with SlowNetwork(asked.delay / 1e3, asked.rate) as network:
        found = checked(network, int(asked.megabytes * 1e6))
    if asked.json:
        print(json.dumps({"machine": machine(), **vars(asked), **found}))
    else:
        print(", ".join(f"{name} {value:.1f}" for name, value in found.items()))


if __name__ == "__main__":
    main()

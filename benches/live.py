#!/usr/bin/env python3
"""Listening on an interface under load: drops and memory.

usage: benches/live.py [--quick]

Builds the release and two loads (examples/make-load), makes a cable in a network namespace of its own (no root needed where
the kernel allows that) and replays the loads onto it with tcpreplay:

  pace    100,000 packets a second for 30 seconds: not one may be lost
  flows   200,000 new connections a minute for five minutes: memory must be flat once its cap is reached

What is missed makes the exit code 1. --quick: 5 seconds and one minute.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
IMWARDEN = os.path.join(TARGET, "release", "imwarden")
MAKE_LOAD = os.path.join(TARGET, "release", "examples", "make-load")
LOADS = os.path.join(TARGET, "bench")
# What a process of imwarden holds besides its flows: the program, the kernel's ring, queues.
BESIDE_FLOWS_MIB = 96

missed = []


def target(text, holds):
    print(f"    {'ok    ' if holds else 'MISSED'} {text}", flush=True)
    if not holds:
        missed.append(text)


def load(kind, count):
    os.makedirs(LOADS, exist_ok=True)
    path = os.path.join(LOADS, f"{kind}-{count}.pcap")
    if not os.path.exists(path):
        subprocess.run([MAKE_LOAD, kind, path, str(count)], check=True, stdout=subprocess.DEVNULL)
    return path


def cable():
    """v0 to v1, without anybody's chatter."""
    for which in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w") as off:
            off.write("1")
    subprocess.run("ip link add v0 mtu 9000 type veth peer name v1 mtu 9000".split(), check=True)
    for end in ("v0", "v1"):
        subprocess.run(["ip", "link", "set", end, "up"], check=True)


class Sniffer:
    def __init__(self, folder, *options):
        self.records = os.path.join(folder, "records.ndjson")
        self.child = subprocess.Popen(
            [IMWARDEN, "sniff", "-i", "v1", "--format", "ndjson", "-o", self.records, "--interval", "10", *options],
            stderr=subprocess.PIPE,
            text=True,
        )
        while "listening on" not in (line := self.child.stderr.readline()):
            if not line:
                sys.exit("imwarden did not begin to listen")

    def resident_mib(self):
        with open(f"/proc/{self.child.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024

    def processor_seconds(self):
        with open(f"/proc/{self.child.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def summary(self):
        self.child.send_signal(signal.SIGTERM)
        self.child.wait(60)
        with open(self.records, "rb") as records:
            records.seek(0, os.SEEK_END)
            records.seek(max(0, records.tell() - 65536))
            return json.loads(records.read().splitlines()[-1])


def replay(path, *options):
    return subprocess.Popen(
        ["tcpreplay", "-q", "-i", "v0", *options, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def sent(said):
    packets = int(re.search(r"Actual: (\d+) packets", said)[1])
    rate = float(re.search(r"([\d.]+) pps", said)[1])
    return packets, rate


def pace(folder, seconds):
    print(f"pace: 100000 packets a second for {seconds} s, small packets, every twentieth flow a messenger's")
    path = load("small", 1_000_000)
    sniffer = Sniffer(folder)
    player = replay(path, "--preload-pcap", "--pps", "100000", "--loop", "0", "--duration", str(seconds))
    said, _ = player.communicate()
    time.sleep(1)
    used = sniffer.processor_seconds()
    packets, rate = sent(said)
    summary = sniffer.summary()
    drops = summary["listening"]
    print(
        f"    sent {packets} at {rate:.0f} a second; seen {summary['packets']}, messengers' flows {summary['detected']}, "
        f"{used:.1f} s of processor time, drops {drops['drops_ring']} ring, {drops['drops_kernel']} kernel, "
        f"{drops['drops_interface']} interface, {drops['lost_records']} records"
    )
    target("tcpreplay kept the pace (95,000 a second)", rate >= 95_000)
    target("every packet was seen", summary["packets"] == packets)
    target("nothing was dropped or lost", drops["drops_ring"] == 0 and drops["lost_records"] == 0)


def flows(folder, minutes):
    print(f"flows: 200000 new connections a minute for {minutes} min, --max-memory 64M")
    count = 200_000 * minutes
    path = load("random", count)
    sniffer = Sniffer(folder, "--max-memory", "64M")
    player = replay(path, "--pps", str(200_000 * 5 // 60))
    resident = []
    while player.poll() is None:
        time.sleep(5)
        resident.append(sniffer.resident_mib())
    packets, _ = sent(player.stdout.read())
    time.sleep(1)
    summary = sniffer.summary()
    settled = resident[len(resident) // 2 :]
    print(
        f"    sent {packets}; seen {summary['packets']} in {summary['flows']} flows, evictions {summary['evictions']}, "
        f"resident {' '.join(f'{mib:.0f}' for mib in resident[:: max(1, len(resident) // 12)])} MiB"
    )
    target("every packet was seen", summary["packets"] == packets)
    target(f"resident memory stays below 64 + {BESIDE_FLOWS_MIB} MiB", max(resident) < 64 + BESIDE_FLOWS_MIB)
    target("and is flat in the second half (2 MiB)", max(settled) - min(settled) <= 2)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][7:])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        build = ["cargo", "build", "--release", "--locked", "--bin", "imwarden", "--example", "make-load"]
        subprocess.run(build, check=True, cwd=HERE)
        own = [sys.executable, os.path.abspath(__file__), "--inside", *sys.argv[1:]]
        sys.exit(subprocess.run(["unshare", "-Urn", *own], check=False).returncode)
    cable()
    with tempfile.TemporaryDirectory() as folder:
        pace(folder, 5 if arguments.quick else 30)
    with tempfile.TemporaryDirectory() as folder:
        flows(folder, 1 if arguments.quick else 5)
    if missed:
        print(f"missed: {len(missed)}")
    sys.exit(1 if missed else 0)


main()

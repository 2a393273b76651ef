#!/usr/bin/env python3
"""Time and peak memory of `imwarden analyze`, beside other readers of the same file in the same run.

usage: benches/read-speed.py [MEGABYTES]     (default 200; needs `cargo build --release` first)

The capture is sample-pcaps/office.pcap again and again, each round with other addresses and a later time, so that every
round brings new flows. The cache is warm: each command runs once unmeasured, then five times; the median counts.
"""

import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BINARY = os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target")), "release", "imwarden")
ROUNDS = 5


def enlarge(source, target, size):
    """Repeats a little-endian microsecond Ethernet capture up to `size` bytes."""
    data = open(source, "rb").read()
    assert data[:4] == b"\xd4\xc3\xb2\xa1", "a little-endian microsecond pcap"
    records, at = [], 24
    while at < len(data):
        seconds, micros, captured, length = struct.unpack_from("<IIII", data, at)
        records.append((seconds, micros, captured, length, data[at + 16 : at + 16 + captured]))
        at += 16 + captured
    span = records[-1][0] - records[0][0] + 1
    packets, turn = 0, 0
    with open(target, "wb") as out:
        out.write(data[:24])
        while out.tell() < size:
            for seconds, micros, captured, length, frame in records:
                frame = bytearray(frame)
                # The second octet of IPv4 addresses, the third group of IPv6 ones: a new network each round.
                if frame[12:14] == b"\x08\x00":
                    frame[27] ^= turn & 0xFF
                    frame[31] ^= turn & 0xFF
                elif frame[12:14] == b"\x86\xdd":
                    frame[26] ^= turn & 0xFF
                    frame[42] ^= turn & 0xFF
                out.write(struct.pack("<IIII", seconds + turn * span, micros, captured, length))
                out.write(frame)
                packets += 1
            turn += 1
    return packets


def run(command):
    """Seconds, and peak resident memory in MiB."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, f"{command[0]} failed"
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main():
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as folder:
        capture = os.path.join(folder, "large.pcap")
        packets = enlarge(os.path.join(HERE, "sample-pcaps", "office.pcap"), capture, megabytes * 1_000_000)
        size = os.path.getsize(capture)
        print(f"{size / 1e6:.0f} MB, {packets} packets")
        commands = {
            "imwarden": [BINARY, "analyze", "--format", "ndjson", capture],
            "tcpdump -r F -w /dev/null": ["tcpdump", "-r", capture, "-w", "/dev/null"],
            "cat": ["cat", capture],
            "ndpiReader": ["ndpiReader", "-q", "-i", capture],
        }
        base = None
        for name, command in commands.items():
            if not shutil.which(command[0]):
                print(f"{name:28} not installed")
                continue
            run(command)
            results = [run(command) for _ in range(ROUNDS)]
            seconds = statistics.median(second for second, _ in results)
            memory = max(memory for _, memory in results)
            base = base or seconds
            print(f"{name:28} {seconds:7.3f} s  {memory:7.1f} MiB  {packets / seconds / 1e6:6.2f} Mpkt/s  {seconds / base:6.2f} x imwarden's time")


if __name__ == "__main__":
    main()

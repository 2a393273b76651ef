#!/usr/bin/env python3
"""Listening on an interface under load: drops and memory.

usage: benches/live.py [--quick] [--accounting] [--programs FOLDER] [--minutes N]

Builds the release and two loads (examples/make-load), makes a cable in a network namespace of its own (no root needed where
the kernel allows that) and replays the loads onto it with tcpreplay:

  pace    100,000 packets a second for 30 seconds: not one may be lost
  flows   200,000 new connections a minute for five minutes: memory must be flat once its cap is reached

What is missed makes the exit code 1. --quick: 5 seconds and one minute.

--accounting: the same, for a machine that may be slow or busy with something else. What depends on that is measured and said
(for the pace, three times at most) and fails nobody. The exit code is about what holds at any speed: each packet that was
sent has been seen or is counted as dropped, each record is there or is counted as lost, memory stays below its bound and
flat, and where nothing was dropped all flows and all messengers have been counted.

--programs FOLDER: builds nothing and uses FOLDER/imwarden and FOLDER/examples/make-load, say those of target/debug.
--minutes N: so many minutes of flows.
"""

import argparse
import atexit
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
LOADS = os.path.join(TARGET, "bench")
MIB = 1 << 20
FLOWS_MIB = 64
# What a process of imwarden holds besides its flows: the program, the kernel's ring, queues.
BESIDE_FLOWS_MIB = 96
# So many evictions, and memory is full for good: more than half of all that it has room for have gone.
FULL = 60_000
PACE = 100_000
ATTEMPTS = 3
# How long somebody may take to look at what the kernel has kept for him.
PATIENCE = 120

missed = []
wrong = []
accounting = False


def target(text, holds):
    """What a machine may be too slow for."""
    print(f"    {'ok         ' if holds else 'slower here' if accounting else 'MISSED     '} {text}", flush=True)
    if not holds:
        missed.append(text)


def must(text, holds):
    """What holds on any machine."""
    print(f"    {'ok         ' if holds else 'WRONG      '} {text}", flush=True)
    if not holds:
        wrong.append(text)


def start(command, **handles):
    """A process that does not outlive this one."""
    child = subprocess.Popen(command, text=True, **handles)
    atexit.register(child.kill)
    return child


class Load:
    """A capture that `make-load` makes, and what it has put in."""

    def __init__(self, kind, count):
        os.makedirs(LOADS, exist_ok=True)
        self.path = os.path.join(LOADS, f"{kind}-{count}.pcap")
        said = self.path + ".said"
        if not os.path.exists(said):
            made = subprocess.run([MAKE_LOAD, kind, self.path, str(count)], check=True, capture_output=True, text=True)
            with open(said, "w") as file:
                file.write(made.stdout)
        with open(said) as file:
            numbers = re.search(r"(\d+) packets .*, (\d+) messenger flows .* among (\d+) that are played", file.read())
        self.packets, self.messengers, played = map(int, numbers.groups())
        # Those of the flood are not played.
        self.flows = played + (count if kind == "random" else 0)


def cable():
    """v0 to v1, without anybody's chatter."""
    for which in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6", "w") as off:
            off.write("1")
    subprocess.run("ip link add v0 mtu 9000 type veth peer name v1 mtu 9000".split(), check=True)
    for end in ("v0", "v1"):
        subprocess.run(["ip", "link", "set", end, "up"], check=True)


def carried():
    """Packets that the kernel has taken from the cable at v1, ever."""
    with open("/proc/net/dev") as table:
        return int(re.search(r"^ *v1: *\d+ +(\d+)", table.read(), re.M)[1])


class Sniffer:
    def __init__(self, folder, *options):
        self.records = os.path.join(folder, "records.ndjson")
        self.metrics = os.path.join(folder, "metrics")
        self.carried_before = carried()
        said = os.path.join(folder, "said.txt")
        command = [IMWARDEN, "sniff", "-i", "v1", "--format", "ndjson", "-o", self.records, "--interval", "10"]
        with open(said, "w") as stderr:
            self.child = start([*command, "--metrics", "unix:" + self.metrics, *options], stderr=stderr)
        until = time.monotonic() + PATIENCE
        while "listening on" not in (words := open(said).read()):
            if self.child.poll() is not None or time.monotonic() > until:
                sys.exit(f"imwarden did not begin to listen: {words}")
            time.sleep(0.05)

    def carried(self):
        return carried() - self.carried_before

    def counts(self):
        """What it has counted, at most a second ago; by Prometheus' names."""
        counts = {}
        # It hangs up on whoever takes two seconds to ask, as one may on a busy machine.
        while "flow_memory_bytes" not in counts:
            with socket.socket(socket.AF_UNIX) as asking:
                asking.settimeout(PATIENCE)
                asking.connect(self.metrics)
                try:
                    asking.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
                    text = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
                except (BrokenPipeError, ConnectionResetError):
                    continue
            counts = {name: int(number) for name, number in re.findall(r"^imwarden_(\w+) (\d+)$", text, re.M)}
        return counts

    def resident_mib(self):
        with open(f"/proc/{self.child.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) * 1024 / MIB

    def processor_seconds(self):
        with open(f"/proc/{self.child.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        """Waits until it has looked at all that there is, and ends it: the summary, and what it wrote."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            counts = self.counts()
            if counts["packets_total"] + counts["ring_drops_total"] >= self.carried():
                break
            time.sleep(0.2)
        used = self.processor_seconds()
        self.child.send_signal(signal.SIGTERM)
        code = self.child.wait(PATIENCE)
        with open(self.records) as records:
            records = [json.loads(line) for line in records]
        return Heard(records, code, used, self.carried())


class Heard:
    """What came of a replay."""

    def __init__(self, records, code, used, arrived):
        self.summary = records[-1]
        self.drops = self.summary["listening"]
        self.code = code
        self.used = used
        self.arrived = arrived
        self.told = sum(it["event_type"] == "flow" and it["confidence"] != "possible" for it in records)

    def has_all(self):
        return self.drops["drops_ring"] + (self.drops["drops_interface"] or 0) == 0

    def words(self):
        drops = self.drops
        return (
            f"seen {self.summary['packets']} in {self.summary['flows']} flows, {self.summary['detected']} of messengers; "
            f"{self.used:.1f} s of processor time, drops {drops['drops_ring']} ring, {drops['drops_kernel']} kernel (all networks), "
            f"{drops['drops_interface']} interface, {drops['lost_records']} records"
        )

    def account(self, player, load):
        """What holds however slow the machine is."""
        summary, drops = self.summary, self.drops
        ring, interface = drops["drops_ring"], drops["drops_interface"] or 0
        seen = summary["packets"]
        must(
            f"all that was sent has arrived or is counted by the interface: {player.sent} + {player.again} again "
            f"= {self.arrived} + {interface}",
            player.sent + player.again == self.arrived + interface,
        )
        must(f"all that arrived was seen or is counted as dropped: {self.arrived} = {seen} + {ring}", self.arrived == seen + ring)
        must("the summary's drops are those of the ring", summary["drops"] == ring)
        lost = summary["detected"] - self.told
        must(
            f"each messenger's flow was told once or is counted as lost: {summary['detected']} = {self.told} + {lost}, of "
            f"{drops['lost_records']} lost records",
            0 <= lost <= drops["lost_records"],
        )
        must("it ended as told", self.code == (3 if drops["lost_records"] else 0))
        # What takes many times as long as it was made for has other pauses in it.
        if player.sent == load.packets and player.rate >= 0.8 * player.asked and self.has_all():
            must(f"all flows were counted: {load.flows}", summary["flows"] == load.flows)
            must(f"all messengers were found, and nobody else: {load.messengers}", summary["detected"] == load.messengers)


class Player:
    """tcpreplay at work."""

    def __init__(self, load, asked, *options):
        self.asked = asked
        command = ["tcpreplay", "-q", "-i", "v0", "--pps", str(asked), *options, load.path]
        self.child = start(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def plays(self):
        return self.child.poll() is None

    def end(self):
        said, _ = self.child.communicate()
        self.sent = int(re.search(r"Actual: (\d+) packets", said)[1])
        self.rate = float(re.search(r"([\d.]+) pps", said)[1])
        # There was no room for them at first: the interface has counted each time.
        self.again = int(re.search(r"Retried packets \(ENOBUFS\): +(\d+)", said)[1])


def pace(seconds):
    print(f"pace: {PACE} packets a second for {seconds} s, small packets, every twentieth flow a messenger's", flush=True)
    load = Load("small", PACE * seconds)
    for attempt in range(1, (ATTEMPTS if accounting else 1) + 1):
        with tempfile.TemporaryDirectory() as folder:
            sniffer = Sniffer(folder)
            # On a slow machine it ends before all is sent.
            player = Player(load, PACE, "--preload-pcap", "--duration", str(seconds + 10))
            player.end()
            heard = sniffer.end()
        print(f"    sent {player.sent} at {player.rate:.0f} a second; {heard.words()}", flush=True)
        heard.account(player, load)
        kept = player.sent == load.packets and player.rate >= 0.95 * PACE
        if kept and heard.has_all() and heard.drops["lost_records"] == 0:
            break
    target(f"tcpreplay kept the pace ({0.95 * PACE:.0f} a second)", kept)
    target("nothing was dropped or lost", heard.has_all() and heard.drops["lost_records"] == 0)
    if accounting and missed:
        print(
            f"    !!!!!!!!!!! NOT SHOWN on this machine, in {attempt} attempts: {PACE} packets a second for {seconds} s without a drop. "
            "What it managed is above.",
            flush=True,
        )


def flows(minutes):
    print(f"flows: 200000 new connections a minute for {minutes} min, --max-memory {FLOWS_MIB}M", flush=True)
    load = Load("random", 200_000 * minutes)
    samples = []
    with tempfile.TemporaryDirectory() as folder:
        sniffer = Sniffer(folder, "--max-memory", f"{FLOWS_MIB}M")
        begun = time.monotonic()
        player = Player(load, 200_000 * 5 // 60)
        while player.plays():
            time.sleep(1)
            counts = sniffer.counts()
            samples.append((counts["evictions_total"], sniffer.resident_mib(), counts["flow_memory_bytes"]))
        player.end()
        took = time.monotonic() - begun
        heard = sniffer.end()
    resident = [mib for _, mib, _ in samples]
    few = resident[:: max(1, len(resident) // 12)]
    print(
        f"    sent {player.sent} in {took:.0f} s; {heard.words()}, evictions {heard.summary['evictions']}, "
        f"resident {' '.join(f'{mib:.0f}' for mib in few)} MiB",
        flush=True,
    )
    heard.account(player, load)
    evictions = heard.summary["evictions"]
    most = max(memory for _, _, memory in samples) / MIB
    must(f"the cap for flows holds: {most:.1f} MiB", most <= FLOWS_MIB)
    must(f"resident memory stays below {FLOWS_MIB} + {BESIDE_FLOWS_MIB} MiB", max(resident) < FLOWS_MIB + BESIDE_FLOWS_MIB)
    # By what had to go, not by the clock: that is the same work on any machine. Who has seen hardly anything has not got so far.
    full = evictions >= FULL or heard.has_all()
    settled = [mib for gone, mib, _ in samples if gone >= evictions / 2]
    (must if full else target)(
        f"it does not grow in the second half of {evictions} evictions (4 MiB): {settled[0] if settled else 0:.1f}, then at most "
        f"{max(settled, default=0):.1f} MiB, looked at {len(settled)} times",
        evictions >= FULL and len(settled) > 1 and max(settled) - settled[0] <= 4,
    )
    target("200,000 connections a minute (190,000)", load.flows / took * 60 >= 190_000)
    target("nothing was dropped or lost", heard.has_all() and heard.drops["lost_records"] == 0)


def cannot(why):
    """It cannot be tried here. With --accounting that fails only where it must be."""
    if not accounting or os.environ.get("IMWARDEN_REQUIRE_KERNEL") == "1":
        sys.exit(why)
    print(f"SKIPPED: {why}", file=sys.stderr)
    sys.exit(0)


def outside(arguments):
    """Builds, or looks whether all is there, and goes into a network of its own."""
    if not arguments.programs:
        build = ["cargo", "build", "--release", "--locked", "--bin", "imwarden", "--example", "make-load"]
        subprocess.run(build, check=True, cwd=HERE)
    for program in (IMWARDEN, MAKE_LOAD):
        if not os.access(program, os.X_OK):
            sys.exit(f"there is no program {program}: build it, or leave out --programs")
    for tool in ("ip", "tcpreplay", "unshare"):
        if not shutil.which(tool):
            cannot(f"{tool} is missing, so that nothing can be replayed onto an interface")
    if subprocess.run(["unshare", "-Urn", "true"], check=False).returncode:
        cannot("this kernel gives no network namespace of one's own")
    own = [sys.executable, os.path.abspath(__file__), "--inside", *sys.argv[1:]]
    sys.exit(subprocess.run(["unshare", "-Urn", *own], check=False).returncode)


def main():
    global IMWARDEN, MAKE_LOAD, accounting
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1][7:])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--accounting", action="store_true")
    parser.add_argument("--programs", metavar="FOLDER")
    parser.add_argument("--minutes", type=int)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    programs = arguments.programs or os.path.join(TARGET, "release")
    IMWARDEN = os.path.join(programs, "imwarden")
    MAKE_LOAD = os.path.join(programs, "examples", "make-load")
    accounting = arguments.accounting
    if not arguments.inside:
        outside(arguments)
    version = subprocess.run([IMWARDEN, "--version"], check=True, capture_output=True, text=True).stdout
    backend = re.search(r"interfaces: (.*)", version)[1]
    print(f"{IMWARDEN}, interfaces by {backend}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}", flush=True)
    cable()
    pace(5 if arguments.quick else 30)
    flows(arguments.minutes or (1 if arguments.quick else 5))
    if missed:
        print(f"{'slower here' if accounting else 'missed'}: {len(missed)}")
    if wrong:
        print(f"wrong: {len(wrong)}")
        for text in wrong:
            print(f"  {text}")
    sys.exit(1 if wrong or (missed and not accounting) else 0)


main()

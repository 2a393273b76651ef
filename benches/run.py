#!/usr/bin/env python3
"""Speed, memory and recognition of imwarden beside other tools, in one run.

usage: benches/run.py [--quick] [--only speed,memory,linear,first,peers] [--loads DIR]

Builds the release and the loads (examples/make-load; some 5 GB under target/bench, kept for the next run), then measures with
a warm cache: each command once unmeasured, then some times in turn with the others; the fastest time of each counts.
Nothing runs in parallel and imwarden reads with one thread (`--jobs 1`). Tools that are not installed are said to be missing
and left out. What is missed of the targets makes the exit code 1.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "target"))
IMWARDEN = os.path.join(TARGET, "release", "imwarden")
CAP_MIB = 256
ABOVE_CAP_MIB = 64

missed = []


def target(text, holds):
    """Prints a target and whether it holds."""
    print(f"    {'ok    ' if holds else 'MISSED'} {text}", flush=True)
    if not holds:
        missed.append(text)


def measure(command, output=subprocess.DEVNULL):
    """Seconds, peak resident memory in MiB, and seconds of work in all threads, the system's share included."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)}: exit status {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def analyze(capture, form="ndjson"):
    return [IMWARDEN, "analyze", "--jobs", "1", "--format", form, capture]


def example(name):
    return os.path.join(TARGET, "release", "examples", name)


def makers():
    """Tells one state of what makes the loads from another."""
    digest = hashlib.sha256()
    for name in ("make-load", "make-samples/scenario"):
        for folder, folders, files in os.walk(os.path.join(HERE, "examples", name)):
            folders.sort()
            for file in sorted(files):
                with open(os.path.join(folder, file), "rb") as source:
                    digest.update(file.encode() + b"\0" + source.read())
    return digest.hexdigest()


class Loads:
    """Captures that `make-load` writes once; again, when what it would write is another."""

    def __init__(self, folder):
        self.folder = folder
        self.makers = makers()
        os.makedirs(folder, exist_ok=True)

    def is_made(self, path):
        try:
            with open(path + ".by") as by:
                return by.read() == self.makers
        except FileNotFoundError:
            return False

    def make(self, kind, count):
        path = os.path.join(self.folder, f"{kind}-{count}.pcap")
        if not self.is_made(path):
            made = subprocess.run([example("make-load"), kind, path + ".part", str(count)], check=True, capture_output=True, text=True)
            os.rename(path + ".part", path)
            os.rename(path + ".part.tsv", path + ".tsv")
            with open(path + ".by", "w") as by:
                by.write(self.makers)
            print(f"  made {made.stdout.strip().replace('.part', '')}", flush=True)
        # Into the page cache.
        measure(["cat", path])
        return path


def fastest(commands, rounds):
    """The fastest time of each command, the most memory and the least work; the rounds go in turn."""
    best = {}
    for name, command in commands.items():
        if not shutil.which(command[0]):
            print(f"  {name:28} is not installed")
            continue
        best[name] = measure(command)
    for turn in range(rounds):
        for name in best:
            # The slow ones say enough in two rounds.
            if turn >= 2 and best[name][0] > 2:
                continue
            seconds, memory, work = measure(commands[name])
            best[name] = (min(seconds, best[name][0]), max(memory, best[name][1]), min(work, best[name][2]))
    return best


def table(best, packets):
    """Prints the times; gives back how much longer a tool took than imwarden."""
    ours = best["imwarden"][0]
    for name, (seconds, memory, work) in best.items():
        print(
            f"  {name:28} {seconds:8.3f} s (work {work:.3f} s) {packets / seconds / 1e6:8.2f} Mpkt/s {memory:8.0f} MiB"
            f"   {seconds / ours:6.2f} x imwarden's time"
        )
    return lambda name: best[name][0] / ours if name in best else None


def race(loads, kind, packets, title, tools):
    """imwarden's time and the others' on one load."""
    capture = loads.make(kind, packets)
    print(f"\nspeed: {title}, {packets} packets, {os.path.getsize(capture) / 1e6:.0f} MB")
    commands = {
        # With every event of every messenger; what is asked of imwarden is asked of this.
        "imwarden": analyze(capture),
        # What it writes unless told otherwise.
        "imwarden, a table": analyze(capture, "table"),
        # The least that one can do; see its head.
        "plain loop": [example("plain-loop"), capture],
        "cat F": ["cat", capture],
        "tcpdump -r F -w /dev/null": ["tcpdump", "-r", capture, "-w", "/dev/null"],
        "ndpiReader": ["ndpiReader", "-q", "-i", capture],
        "tshark": ["tshark", "-r", capture],
    }
    wanted = {name: command for name, command in commands.items() if name.startswith("imwarden") or name in ("plain loop", "cat F", *tools)}
    ratio = table(fastest(wanted, 9), packets)
    for name, least in tools.items():
        # So that it shows what a ratio asks for on this machine.
        if (than := ratio(name)) is not None and (loop := ratio("plain loop")):
            print(f"    {least} times as fast as {name} is {than / least / loop:.2f} times the plain loop here; imwarden takes {1 / loop:.2f}")
    for name, least in tools.items():
        if (than := ratio(name)) is not None:
            target(f"{than:.1f} times as fast as {name} (at least {least})", than >= least)
    return 1 / ratio("cat F")


def speed(loads, quick):
    tools = {"ndpiReader": 12, "tcpdump -r F -w /dev/null": 1}
    cat = race(loads, "office", 500_000 if quick else 2_000_000, "an office", tools)
    target(f"{cat:.1f} times the time of cat (at most 3)", cat <= 3)
    race(loads, "small", 200_000 if quick else 1_000_000, "small packets", {"ndpiReader": 8, "tshark": 40})


FLOODS = {
    "syn-scan": (10_000_000, "flows of one SYN each"),
    "random": (1_000_000, "flows of random payload"),
    "fragments": (4_000_000, "fragments that never become whole"),
    "queues": (1_000_000, "connections that wait for a lost segment"),
}


def wanted(capture):
    """The messenger flows of a load, by their ends in either order."""
    with open(capture + ".tsv") as rows:
        next(rows)
        flows = {}
        for row in rows:
            proto, client, client_port, server, server_port, service = row.split()
            flows[proto, ends_of(client, client_port, server, server_port)] = service
    return flows


def found(records):
    """The named flows of our records, and the summary."""
    flows, summary = {}, {}
    for line in records.splitlines():
        record = json.loads(line)
        if record["event_type"] == "summary":
            summary = record
        elif record["event_type"] == "flow" and record["service"] and record["confidence"] != "possible":
            ends = ends_of(record["src_ip"], record["src_port"], record["dest_ip"], record["dest_port"])
            flows[record["proto"], ends] = record["service"]
    return flows, summary


def ends_of(a, a_port, b, b_port):
    return frozenset([(a, int(a_port)), (b, int(b_port))])


def memory(loads, quick):
    for kind, (units, what) in FLOODS.items():
        units = units // 20 if quick else units
        capture = loads.make(kind, units)
        print(f"\nmemory: {units} {what}, {os.path.getsize(capture) / 1e6:.0f} MB, with messengers among them")
        output = os.path.join(loads.folder, "out.ndjson")
        with open(output, "w") as sink:
            seconds, peak, _ = measure(analyze(capture), sink)
        with open(output) as records:
            got, summary = found(records.read())
        truth = wanted(capture)
        right = sum(got.get(flow) == service for flow, service in truth.items())
        false = sum(flow not in truth for flow in got)
        packets = summary["packets"]
        print(
            f"  {seconds:.2f} s, {packets / seconds / 1e6:.2f} Mpkt/s, {summary['evictions']} flows evicted,"
            f" {summary['given_up']} given up"
        )
        target(f"{peak:.0f} MiB resident at most (cap {CAP_MIB} + {ABOVE_CAP_MIB})", peak <= CAP_MIB + ABOVE_CAP_MIB)
        target(f"{right} of {len(truth)} messenger flows found", right == len(truth))
        target(f"{false} false alarms", false == 0)
        if kind == "syn-scan":
            target(f"{packets / seconds / 1e6:.2f} million packets a second (at least 1)", packets / seconds >= 1e6)


def linear(loads, quick):
    print("\nlinear: the work that all of a load makes against that of a quarter of it")
    for kind, (units, _) in FLOODS.items():
        units = units // 20 if quick else units
        times = []
        for count in (units // 4, units):
            capture = loads.make(kind, count)
            times.append(min(measure(analyze(capture))[2] for _ in range(3)))
        grown = times[1] / times[0]
        # A quarter may stay within the caches and below the cap, where all of it does not.
        target(f"{kind}: {times[0]:.2f} s, then {times[1]:.2f} s: {grown:.1f} times (at most 5)", grown <= 5)


def first(loads, quick):
    capture = loads.make("office", 500_000 if quick else 2_000_000)
    print("\nfirst finding, as ndjson through a pipe")
    started = time.perf_counter()
    with subprocess.Popen(analyze(capture), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        child.stdout.readline()
        first = time.perf_counter() - started
        child.stdout.read()
    whole = time.perf_counter() - started
    target(f"after {first * 1000:.0f} ms of {whole * 1000:.0f} ms (before half of the time)", first < whole / 2)


# What the others call them.
TSHARK = {"aim": "aim", "aim_oft": "aim", "icq": "icq", "msnms": "msn", "ymsg": "yahoo"}
NDPI = {"AIM": "aim", "OSCAR": "aim", "ICQ": "icq", "MSN": "msn", "Yahoo": "yahoo", "YahooMessenger": "yahoo"}


def named_by_tshark(capture):
    fields = ["frame.protocols", "ip.src", "ipv6.src", "ip.dst", "ipv6.dst"]
    fields += ["tcp.srcport", "udp.srcport", "tcp.dstport", "udp.dstport"]
    command = ["tshark", "-r", capture, "-T", "fields"] + [part for field in fields for part in ("-e", field)]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    named = {}
    for line in text.splitlines():
        # Of several, the innermost.
        protocols, *cells = (cell.split(",")[-1] for cell in line.split("\t"))
        src, dst, src_port, dst_port = (a or b for a, b in zip(cells[::2], cells[1::2]))
        for protocol in protocols.split(":"):
            if protocol in TSHARK and src_port:
                named[ends_of(src, src_port, dst, dst_port)] = TSHARK[protocol]
    return named


def named_by_ndpi(capture):
    command = ["ndpiReader", "-v", "2", "-i", capture]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    named = {}
    flow = r"(?:TCP|UDP) \[?([\da-f.:]+?)\]?:(\d+) <?->? \[?([\da-f.:]+?)\]?:(\d+) \[proto: [\d.]+/([^\]]+)\]"
    for src, src_port, dst, dst_port, protocol in re.findall(flow, text):
        services = [NDPI.get(part) for part in protocol.split(".")]
        if service := next(filter(None, services), None):
            named[ends_of(src, src_port, dst, dst_port)] = service
    return named


def named_by_imwarden(capture):
    text = subprocess.run(analyze(capture), check=False, capture_output=True, text=True).stdout
    return {ends: service for (_, ends), service in found(text)[0].items()}


def true_flows(sample):
    with open(sample, "rb") as file:
        flows = tomllib.load(file).get("flow", [])
    sure = [flow for flow in flows if flow["confidence"] != "possible"]
    sides = [(flow["client"].rsplit(":", 1), flow["server"].rsplit(":", 1), flow["service"]) for flow in sure]
    return {ends_of(c.strip("[]"), c_port, s.strip("[]"), s_port): service for (c, c_port), (s, s_port), service in sides}


def peers(_loads, _quick):
    print("\npeers: messenger flows of sample-pcaps/ that are named rightly, with default settings")
    tools = {"tshark": named_by_tshark, "ndpiReader": named_by_ndpi}
    tools = {"imwarden": named_by_imwarden} | {name: ask for name, ask in tools.items() if shutil.which(name)}
    columns = ["aim", "icq", "msn", "yahoo", "false"]
    count = {name: dict.fromkeys(columns, 0) for name in ["in truth", *tools]}
    folder = os.path.join(HERE, "sample-pcaps")
    for sample in sorted(name for name in os.listdir(folder) if name.endswith(".pcap")):
        capture = os.path.join(folder, sample)
        truth = true_flows(capture[: -len("pcap")] + "toml")
        for service in truth.values():
            count["in truth"][service] += 1
        for name, ask in tools.items():
            named = ask(capture)
            for ends, service in truth.items():
                # Either name of OSCAR counts for the others, which do not tell AIM from ICQ.
                either = name != "imwarden" and {named.get(ends), service} <= {"aim", "icq"}
                count[name][service] += either or named.get(ends) == service
            count[name]["false"] += sum(ends not in truth for ends in named)
    print("  " + " " * 12 + "".join(f"{column:>8}" for column in columns))
    for name, row in count.items():
        print(f"  {name:12}" + "".join(f"{row[column]:8}" for column in columns))
    target("every flow is named, and nothing else", count["imwarden"] == count["in truth"])


PARTS = {"speed": speed, "memory": memory, "linear": linear, "first": first, "peers": peers}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small loads: to try the script, not to quote")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, by comma: " + ", ".join(PARTS))
    parser.add_argument("--loads", default=os.path.join(TARGET, "bench"), help="where the loads are kept")
    options = parser.parse_args()
    parts = [PARTS.get(name) or parser.error(f"no part {name}") for name in options.only.split(",")]
    build = ["cargo", "build", "--release", "--locked", "--bin", "imwarden", "--example", "make-load", "--example", "plain-loop"]
    subprocess.run(build, cwd=HERE, check=True)
    loads = Loads(options.loads)
    for part in parts:
        part(loads, options.quick)
    print(f"\n{len(missed)} targets missed" if missed else "\nall targets hold")
    for text in missed:
        print(f"  {text}")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Holds the units that imwarden counts (SNACs, MSN verbs, YMSG services, ICQ commands) against tshark's.

usage: units.py [CAPTURE...]    default: sample-pcaps/*.pcap

tshark is told what each flow is (-d tcp.port==N,aim and so on), for it does not find out by itself. Prints, for each
format, how many units both count, and every difference. Needs tshark; exit code 1 when less than 99 % agree.
"""
import collections, json, pathlib, re, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMWARDEN = ROOT / "target/release/imwarden"
# What tshark calls the format, and the fields that name its units.
FORMATS = {
    "oscar": ("aim", ["aim.fnac.family", "aim.fnac.subtype"]),
    "msnp": ("msnms", None),
    "ymsg": (None, ["ymsg.service"]),
    "icq-udp": ("icq", ["icq.client_cmd", "icq.server_cmd"]),
}
VERB = re.compile(r"^\s{4}([A-Z]{3})(?: .*|)\\r\\n$")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def ours(capture):
    """Counts by format, and the flows of each."""
    counts, flows = collections.defaultdict(collections.Counter), collections.defaultdict(list)
    for line in run(IMWARDEN, "analyze", "--format", "ndjson", capture).splitlines():
        flow = json.loads(line)
        if flow["event_type"] != "flow" or flow["app_proto"] not in FORMATS:
            continue
        said = run(IMWARDEN, "explain", str(flow["flow_id"]), capture)
        units = re.search(r"^Units of the protocol\n  (.*)$", said, re.M)
        # tshark reads version 5 of ICQ over UDP and prints no more than the number of the others.
        old = flow["app_proto"] == "icq-udp" and "version 5" not in said
        if units and not flow["path"] and not old:
            flows[flow["app_proto"]].append(flow)
            for unit in units.group(1).split(", "):
                name, count = unit.rsplit(" x ", 1)
                counts[flow["app_proto"]][name] += int(count)
    return counts, flows


def theirs(capture, proto, flows):
    name, fields = FORMATS[proto]
    ports = sorted({(flow["proto"].lower(), flow["dest_port"]) for flow in flows})
    told = [part for kind, port in ports for part in ("-d", f"{kind}.port=={port},{name}")] if name else []
    ends = " or ".join(
        f"({flow['proto'].lower()}.port=={flow['src_port']} and {flow['proto'].lower()}.port=={flow['dest_port']})"
        for flow in flows
    )
    counts = collections.Counter()
    if fields is None:
        text = run("tshark", "-r", capture, *told, "-Y", f"msnms and ({ends})", "-O", "msnms")
        verbs = (VERB.match(line) for line in text.splitlines())
        counts.update(verb.group(1) for verb in verbs if verb)
        return counts
    show = [part for field in fields for part in ("-e", field)]
    # YMSG is nobody's port's, and port 23 is telnet's unless the content is asked first.
    first = ("-o", "tcp.try_heuristic_first:TRUE") if proto == "ymsg" else ()
    text = run("tshark", "-r", capture, *told, *first, "-Y", ends, "-T", "fields", *show)
    for line in text.splitlines():
        cells = [cell.split(",") if cell else [] for cell in line.split("\t")]
        number = lambda cell: int(cell, 0)
        if proto == "oscar":
            counts.update(f"{number(a):04x}/{number(b):04x}" for a, b in zip(*cells))
        elif proto == "ymsg":
            counts.update(f"{number(cell):#04x}" for cell in cells[0])
        else:
            for side, cell in zip(("client", "server"), cells):
                counts.update(f"{side} {number(one):04x}" for one in cell)
    return counts


def main():
    captures = sys.argv[1:] or sorted(map(str, (ROOT / "sample-pcaps").glob("*.pcap")))
    totals = collections.defaultdict(collections.Counter)
    for capture in captures:
        counts, flows = ours(capture)
        for proto, mine in sorted(counts.items()):
            other = theirs(capture, proto, flows[proto])
            agree = sum((mine & other).values())
            totals[proto].update(agree=agree, ours=sum(mine.values()), theirs=sum(other.values()))
            for unit in sorted(mine | other):
                if mine[unit] != other[unit]:
                    print(f"{pathlib.Path(capture).name}: {proto} {unit}: imwarden {mine[unit]}, tshark {other[unit]}")
    worst = 1.0
    for proto, total in sorted(totals.items()):
        most = max(total["ours"], total["theirs"])
        worst = min(worst, total["agree"] / most)
        print(f"{proto:8} {total['agree']} of {most} units agree, {100 * total['agree'] / most:.2f} %")
    sys.exit(worst < 0.99)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Holds the units that imwarden counts (SNACs, MSN verbs, YMSG services, ICQ commands) and the names it tells
(accounts, peers, whoever is the subject of an event) against tshark's.

usage: units.py [CAPTURE...]    default: sample-pcaps/*.pcap

tshark is told what each flow is (-d tcp.port==N,aim and so on), for it does not find out by itself. Prints, for each
format, how many units and names both have, and every difference: of units either way, of names those that tshark
shows and imwarden does not (tshark has no names for MSN). Needs tshark; exit code 1 when less than 99 % agree.
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
# The fields in which tshark names people: one of names, or one of keys and one of values, and the keys that are names.
NAMES = {
    "oscar": ("aim.buddyname",),
    "icq-udp": ("icq.uin",),
    "ymsg": ("ymsg.content-line.key", "ymsg.content-line.value", {"0", "1", "4", "5"}),
}
# A SNAC whose subtype tshark has no name for has no fields; the Info column says it, if it is the last of its frame.
NAMELESS = re.compile(r"AIM Messaging, Subtype: 0x([0-9a-f]{4})$")
VERB = re.compile(r"^\s{4}([A-Z]{3})(?: .*|)\\r\\n$")


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def ours(capture):
    """Counts by format, and the flows of each, with the names told of them."""
    counts, flows = collections.defaultdict(collections.Counter), collections.defaultdict(list)
    records = [json.loads(line) for line in run(IMWARDEN, "analyze", "--format", "ndjson", capture).splitlines()]
    named = collections.defaultdict(set)
    for record in records:
        if record["event_type"] == "event":
            named[record["flow_id"]].update(same(record[side]) for side in ("from", "to") if record[side])
    for flow in records:
        if flow["event_type"] != "flow" or flow["app_proto"] not in FORMATS:
            continue
        flow["names"] = named[flow["flow_id"]].union(map(same, flow["accounts"] + flow["peers"]))
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


def same(name):
    """AIM's names are the same whatever their case and spaces."""
    return name.lower().replace(" ", "")


def names(capture, proto, flows, told):
    """The names that tshark shows in each flow, and which of them imwarden lacks."""
    both, lacking = 0, []
    fields = NAMES.get(proto)
    for flow in flows if fields else ():
        kind = flow["proto"].lower()
        ends = f"{kind}.port=={flow['src_port']} and {kind}.port=={flow['dest_port']}"
        # Values hold commas.
        show = ["-E", "aggregator=\x1f", *(part for field in fields[:2] for part in ("-e", field))]
        shown = set()
        for line in run("tshark", "-r", capture, *told, "-Y", ends, "-T", "fields", *show).splitlines():
            cells = [cell.split("\x1f") if cell else [] for cell in line.split("\t")]
            if len(fields) == 3:
                shown.update(value for key, value in zip(*cells) if key in fields[2])
            else:
                shown.update(cells[0])
        for name in map(same, shown - {"", "0"}):  # UIN 0 is nobody
            both += name in flow["names"]
            lacking += [(flow["flow_id"], name)] * (name not in flow["names"])
    return both, lacking


def told_to(proto, flows):
    """What tshark is told to read the flows as."""
    name, _ = FORMATS[proto]
    ports = sorted({(flow["proto"].lower(), flow["dest_port"]) for flow in flows})
    # YMSG is nobody's port's, and port 23 is telnet's unless the content is asked first.
    first = ["-o", "tcp.try_heuristic_first:TRUE"] if proto == "ymsg" else []
    return [part for kind, port in ports for part in ("-d", f"{kind}.port=={port},{name}")] if name else first


def theirs(capture, proto, flows, told):
    _, fields = FORMATS[proto]
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
    show = [part for field in (*fields, "_ws.col.Info") for part in ("-e", field)]
    text = run("tshark", "-r", capture, *told, "-Y", ends, "-T", "fields", *show)
    for line in text.splitlines():
        cells = [cell.split(",") if cell else [] for cell in line.split("\t")]
        number = lambda cell: int(cell, 0)
        if proto == "oscar":
            counts.update(f"{number(a):04x}/{number(b):04x}" for a, b in zip(*cells[:2]))
            nameless = NAMELESS.search(line)
            counts.update([f"0004/{nameless.group(1)}"] if nameless else ())
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
            told = told_to(proto, flows[proto])
            other = theirs(capture, proto, flows[proto], told)
            both, lacking = names(capture, proto, flows[proto], told)
            totals[proto].update(named=both, lacking=len(lacking))
            for flow, _name in lacking:
                print(f"{pathlib.Path(capture).name}: {proto} flow {flow}: a name that only tshark shows")
            agree = sum((mine & other).values())
            totals[proto].update(agree=agree, ours=sum(mine.values()), theirs=sum(other.values()))
            for unit in sorted(mine | other):
                if mine[unit] != other[unit]:
                    print(f"{pathlib.Path(capture).name}: {proto} {unit}: imwarden {mine[unit]}, tshark {other[unit]}")
    agree = most = 0
    for proto, total in sorted(totals.items()):
        units, names_shown = max(total["ours"], total["theirs"]), total["named"] + total["lacking"]
        agree += total["agree"] + total["named"]
        most += units + names_shown
        print(f"{proto:8} {total['agree']} of {units} units agree, {total['named']} of {names_shown} names")
    print(f"all      {agree} of {most} agree, {100 * agree / max(most, 1):.2f} %")
    sys.exit(most == 0 or agree / most < 0.99)


if __name__ == "__main__":
    main()

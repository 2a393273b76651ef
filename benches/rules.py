#!/usr/bin/env python3
"""What a hundred more rule files cost: instructions with and without them, on the same load.

usage: benches/rules.py [--files N] [--packets N] [--kinds hosts,ports,...] [--load small|office] [--loads DIR]

Builds the release and one load (examples/make-load), then counts instructions with valgrind's callgrind, which
gives the same number on a busy machine. Reading the rule files is paid once, when the program begins: it is measured on a capture of
one packet and told apart. More than 5 % of the load's instructions for any kind of rules makes the exit code 1.
"""

import argparse
import os
import random
import re
import subprocess
import sys
import tempfile

from run import HERE, IMWARDEN, TARGET, Loads

MOST = 5.0


def text(kind, n):
    """The facts of one rule file."""
    dice = random.Random(f"{kind} {n}")
    some = lambda bytes: " ".join(f"{dice.randrange(256):02x}" for _ in range(bytes))
    if kind == "hosts":
        facts = [f'[[host]]\nname = "h{i}.m{n}.example"\nmatch = "suffix"\nfeature = "session"\nuse = "exclusive"\n' for i in range(10)]
    elif kind == "ports":
        facts = [
            f'[[port]]\nid = "m{n}/p{i}"\nfeature = "session"\ntransport = "{"tcp" if i % 2 else "udp"}"\nport = {20000 + 10 * n + i}\n'
            for i in range(10)
        ]
    elif kind == "beginnings":
        facts = [
            f'[[beginning]]\nid = "m{n}/b{i}"\ntransport = "{"tcp" if i % 2 else "udp"}"\nsender = "client"\nbytes = "{some(6)}"\n'
            for i in range(4)
        ]
    elif kind == "regexes":
        facts = [
            f'[[beginning]]\nid = "m{n}/r{i}"\ntransport = "{"tcp" if i % 2 else "udp"}"\nsender = "client"\nbytes = "{some(3)}"\n'
            f'length = 3\nregex = "[a-z]+-m{n}"\nwithin = 200\n'
            for i in range(4)
        ]
    elif kind == "stun":
        facts = [
            f'[[stun]]\nid = "m{n}/realm"\nrealm = "turn.m{n}.example"\n',
            f'[[stun]]\nid = "m{n}/attribute"\nattribute = {0x5000 + n}\n',
        ]
    elif kind == "networks":
        facts = [f'[[network]]\nnet = "198.{18 + n % 2}.{n}.{16 * i}/28"\n' for i in range(10)]
    elif kind == "alpn":
        facts = [f'[[alpn]]\nprotocol = "m{n}-{i}"\n' for i in range(4)]
    elif kind == "ja4":
        prints = ", ".join(f'"t13d1516h2_{dice.randrange(1 << 48):012x}_{dice.randrange(1 << 48):012x}"' for _ in range(4))
        facts = [f'[[fingerprint]]\nja4 = [{prints}]\ndate = "2026-11-28"\n']
    head = f'id = "m{n}"\nname = "M{n}"\nabout = "Made for a measurement."\nupdated = "2026-11-28"\n'
    # No file is without one of these.
    if kind in ("networks", "alpn", "ja4"):
        facts.append(f'[[host]]\nname = "m{n}.example"\nmatch = "exact"\nfeature = "session"\nuse = "exclusive"\n')
    return head + "".join(f'\n{fact}source = "site"\n' for fact in facts)


KINDS = ["hosts", "ports", "beginnings", "regexes", "stun", "networks", "alpn", "ja4"]


def instructions(capture, rules):
    """Of all threads, from beginning to end."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", IMWARDEN, "analyze"]
        command += ["--jobs", "1", "--format", "ndjson", *(["--rules", rules] if rules else []), capture]
        run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    return int(re.search(r"Collected : (\d+)", run.stderr)[1])


def shorter(capture, folder):
    """The same capture's first packet."""
    path = os.path.join(folder, "one.pcap")
    with open(capture, "rb") as source, open(path, "wb") as out:
        head = source.read(24 + 16)
        out.write(head + source.read(int.from_bytes(head[32:36], "little")))
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=100)
    parser.add_argument("--packets", type=int, default=200_000)
    parser.add_argument("--kinds", default=",".join(KINDS), help="by comma: " + ", ".join(KINDS))
    parser.add_argument("--load", default="small", choices=["small", "office"], help="small packets, or an office's")
    parser.add_argument("--loads", default=os.path.join(TARGET, "bench"), help="where the load is kept")
    options = parser.parse_args()
    build = ["cargo", "build", "--release", "--locked", "--bin", "imwarden", "--example", "make-load"]
    subprocess.run(build, cwd=HERE, check=True)
    capture = Loads(options.loads).make(options.load, options.packets)
    with tempfile.TemporaryDirectory() as folder:
        one = shorter(capture, folder)
        base, begin = instructions(capture, None), instructions(one, None)
        work = base - begin
        print(f"{options.load}, {options.packets} packets: {work / 1e6:.1f} million instructions, and {begin / 1e6:.1f} to begin")
        worst = 0
        for kind in options.kinds.split(","):
            rules = os.path.join(folder, kind)
            os.mkdir(rules)
            for n in range(options.files):
                with open(os.path.join(rules, f"m{n}.toml"), "w") as out:
                    out.write(text(kind, n))
            more_begin = instructions(one, rules) - begin
            more = instructions(capture, rules) - base - more_begin
            share = 100 * more / work
            worst = max(worst, share)
            print(f"  {options.files} files of {kind:11} {share:+6.2f} %, and {more_begin / 1e6:6.1f} million to begin", flush=True)
    print(f"{'ok    ' if worst < MOST else 'MISSED'} {options.files} rule files cost less than {MOST} %")
    sys.exit(worst >= MOST)


if __name__ == "__main__":
    main()

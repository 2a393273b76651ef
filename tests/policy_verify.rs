//! `imwarden verify` in private networks: faults that administrators make and report are found, each by its name, and nothing
//! is raised on machines that are as they should be, whatever else is loaded beside.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod policy_support;

use policy_support::{can_run, in_private_network};
use std::path::Path;

/// A router with two interfaces, both families; and pieces to build machines from.
const PROLOGUE: &str = r#"
set -u
export IMWARDEN_STATE="$PWD/state"
ip link set lo up
ip link add lan type veth peer name lan0
ip link add wan type veth peer name wan0
for link in lan lan0 wan wan0; do ip link set $link up; done
ip addr add 192.0.2.1/24 dev lan; ip addr add 2001:db8:1::1/64 dev lan nodad
ip addr add 198.51.100.1/24 dev wan; ip addr add 2001:db8:2::1/64 dev wan nodad
forwarding() { for name in ipv4/ip_forward ipv6/conf/all/forwarding; do echo $1 >/proc/sys/net/$name; done; }
forwarding 1
apply() { "$imwarden" apply --yes "$@" >told 2>&1 || cat told; }
# The names of the faults, or nothing.
faults() { "$imwarden" verify --json "$@" >found 2>errors; code=$?; cat errors
	echo $code $(sed -n 's/^ *"kind": "\(.*\)",/\1/p' found | sort -u); }
sound() { told=$(faults "$@"); [ "$told" = 0 ] || { echo "NOT SOUND: $told"; cat found; }; }
firewalld_like() {
	nft -f - <<-'END'
	table inet firewalld {
		chain filter_INPUT { type filter hook input priority filter + 10; policy accept;
			ct state { established, related } accept
			iifname "lo" accept
			tcp dport 22 accept
			reject with icmpx admin-prohibited
		}
		chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept;
			ct state { established, related } accept
			iifname "lan" accept
			reject with icmpx admin-prohibited
		}
		chain filter_OUTPUT { type filter hook output priority filter + 10; policy accept;
			oifname "lo" accept
		}
	}
	END
}
early_accept() {
	nft -f - <<-'END'
	table inet early {
		chain forward { type filter hook forward priority -300; policy accept; accept
		}
		chain output { type filter hook output priority -300; policy accept;
			ct state established,related accept
		}
	}
	END
}
nat() {
	nft -f - <<-'END'
	table ip nat {
		chain post { type nat hook postrouting priority srcnat; oifname "wan" masquerade
		}
		chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 dnat to 192.0.2.9:80
		}
	}
	END
}
# What docker leaves, with a container that listens on port 80. docker_like PROGRAM
docker_like() {
	for chain in DOCKER DOCKER-USER DOCKER-ISOLATION; do "$1" -w -N $chain; done
	"$1" -w -A DOCKER ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
	"$1" -w -A DOCKER-ISOLATION -i docker0 ! -o docker0 -j RETURN
	"$1" -w -A DOCKER-USER -j RETURN
	"$1" -w $2 FORWARD -i docker0 -o docker0 -j DROP
	"$1" -w $2 FORWARD -o docker0 -j DOCKER
	"$1" -w $2 FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	"$1" -w $2 FORWARD -j DOCKER-ISOLATION
	"$1" -w $2 FORWARD -j DOCKER-USER
}
ufw_like() {
	"$1" -w -N ufw-before-forward
	"$1" -w -A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
	"$1" -w -A ufw-before-forward -p icmp -j ACCEPT
	"$1" -w -A FORWARD -j ufw-before-forward
	"$1" -w -P FORWARD DROP
}
# A policy by host names, as administrators write them.
by_name() {
	cat <<-END
	table inet imwarden
	delete table inet imwarden
	table inet imwarden {
		counter names { }
		set names4 { type ipv4_addr; flags dynamic,timeout; timeout 1h; size 4096; }
		set names6 { type ipv6_addr; flags dynamic,timeout; timeout 1h; size 4096; }
		chain refuse { meta l4proto tcp reject with tcp reset
			reject
		}
		chain f_names { counter name names goto refuse
		}
		chain judge {
			ct direction reply accept comment "imwarden: answers pass"
			ip daddr @names4 goto f_names
			ip6 daddr @names6 goto f_names
		}
		chain forward { type filter hook forward priority filter - 5; policy accept; $1 jump judge
		}
		chain output { type filter hook output priority filter - 5; policy accept; oifname "lo" accept comment "imwarden: loopback"
			jump judge
		}
	}
	END
}
# Two resolvers: one that knows the names, at 127.0.0.2, and one that asks it and fills the sets, at 127.0.0.1. This machine
# asks the one given.
dnsmasq_like() {
	cat >common.conf <<-'END'
	bind-interfaces
	no-resolv
	no-hosts
	pid-file=
	END
	(cat common.conf; echo 'listen-address=127.0.0.2'; echo 'address=/login.example.com/203.0.113.7'
	 echo 'address=/login.example.com/2001:db8:9::7') >upstream.conf
	mkdir -p conf
	(cat common.conf; echo 'listen-address=127.0.0.1 # here'; echo 'server=127.0.0.2'
	 echo "conf-dir=$PWD/conf,*.conf") >dnsmasq.conf
	dnsmasq --no-daemon -C upstream.conf 2>/dev/null & resolvers=$!
	dnsmasq --no-daemon -C dnsmasq.conf 2>/dev/null & resolvers="$resolvers $!"
	echo "nameserver $1" >resolv.conf
	mount --bind resolv.conf /etc/resolv.conf
	for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
		[ "$(grep -c ':0035 ' /proc/net/udp)" -ge 2 ] && return
		sleep 0.1
	done
	echo 'no resolver came up'
}
feed() { mkdir -p conf; echo "nftset=/login.example.com/4#inet#imwarden#$1,6#inet#imwarden#$2" >conf/sets.conf; }
rest() { for pid in $resolvers; do kill $pid; wait $pid 2>/dev/null; done; }
"#;

const PROGRAMS: [&str; 9] = [
    "ipset",
    "nft",
    "ip",
    "iptables-nft",
    "ip6tables-nft",
    "iptables-legacy",
    "ip6tables-legacy",
    "dnsmasq",
    "setpriv",
];

fn run(dir: &Path, script: &str) -> String {
    let program = env!("CARGO_BIN_EXE_imwarden");
    // A file system of its own too, so that the resolver that is asked can be another one.
    let script = format!("imwarden={program}\n{PROLOGUE}\n{script}");
    std::fs::write(dir.join("script"), script).unwrap();
    in_private_network(dir, "exec unshare -m sh ./script")
}

/// Each script prints what is expected of it.
fn expect(test: &str, cases: &[(&str, &str, &str)]) {
    if !can_run(test, &PROGRAMS) {
        return;
    }
    let mut wrong = Vec::new();
    for (name, script, told) in cases {
        let dir = tempfile::tempdir().unwrap();
        let found = run(dir.path(), script);
        if found.trim() != told.trim() {
            wrong.push(format!("{name}: {found}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );
}

#[test]
fn nothing_is_raised_on_sound_machines() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps/office.pcap");
    let observed = format!(
        "apply --observed {0}; sound\napply --observed {0} --backend iptables-nft 2>/dev/null; \"$imwarden\" undo >/dev/null\napply --observed {0} --direction forward,output,input --backend iptables-nft; sound",
        dir.display()
    );
    let cases = [
        ("a router with nftables", "apply; sound; \"$imwarden\" verify", "No fault was found."),
        ("rules that were loaded by hand", "\"$imwarden\" policy | nft -f -; sound", ""),
        ("beside firewalld", "firewalld_like; nat; apply; sound; nft delete table inet firewalld; firewalld_like; sound", ""),
        ("accepts in another table, before ours", "early_accept; nat; apply; sound", ""),
        ("nftables beside docker", "docker_like iptables-nft -A; nat; apply; sound", ""),
        ("iptables before docker", "docker_like iptables-nft -A; docker_like ip6tables-nft -A; nat; apply --backend iptables-nft; sound", ""),
        (
            "iptables behind docker, which was started again: established connections stay, new ones are judged",
            "apply --backend iptables-nft; docker_like iptables-nft -I; sound; \"$imwarden\" verify | cut -c 1-8",
            "To know:\nNo fault",
        ),
        ("the old iptables before ufw", "ufw_like iptables-legacy; ufw_like ip6tables-legacy; apply --backend iptables-legacy; sound", ""),
        (
            "a machine by itself",
            "forwarding 0; firewalld_like; apply --direction output,input; sound; apply --direction output,input --backend iptables-nft 2>/dev/null; sound",
            "imwarden: a policy is already in force in nftables: `imwarden undo` takes it back first, else both would be in force",
        ),
        (
            "a machine without IPv6",
            "ip -6 addr flush dev lan; ip -6 addr flush dev wan; ip -6 addr flush dev lan0; ip -6 addr flush dev wan0
             apply --backend iptables-nft; ip6tables-nft -w -F; ip6tables-nft -w -F IMWARDEN; rm -r state; sound",
            "",
        ),
        (
            "some clients, some exceptions, one that only looks",
            "apply --source 10.0.0.0/8,2001:db8:1::/48 --except 10.0.0.7; sound
             apply --source 10.0.0.0/8 --except 10.0.0.7,2001:db8::7; sound
             apply --action log; sound; apply --action drop --profile full; sound; \"$imwarden\" undo --all >/dev/null
             apply --backend iptables-nft --source 10.0.0.0/8 --except 10.0.0.7; sound
             apply --backend iptables-nft --action drop --profile full; sound
             apply --backend iptables-nft --action log; sound",
            "",
        ),
        // What nobody was seen to call, at an address that may be anybody's, is no fault either.
        ("what was seen", &observed, "imwarden: no rule for flow 36 of office.pcap, 10.0.1.23:4001: a private address: here it may be anybody's, and nobody was seen to go there
imwarden: a policy is already in force in nftables: `imwarden undo` takes it back first, else both would be in force"),
        (
            "names, with a resolver that fills the sets",
            "feed names4 names6; dnsmasq_like 127.0.0.1; by_name '' >by_name; apply by_name
             sound; \"$imwarden\" verify | grep -c 'nobody has asked'
             sound --resolve
             nft list set inet imwarden names4 | grep -c 203.0.113.7
             sound; rest",
            "1\n1",
        ),
    ];
    expect("nothing_is_raised_on_sound_machines", &cases);
}

#[test]
fn every_seeded_fault_is_found_by_its_name() {
    let office = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps/office.pcap");
    let endpoints = format!(
        "apply --observed {} --backend iptables-nft; sound; apply --observed {0} --service msn --backend iptables-nft; sound
         apply --observed {0} --backend iptables-nft; sound; ipset flush imw-seen-aim-session4; faults
         \"$imwarden\" undo --all >/dev/null; apply --observed {0} --backend iptables-legacy; sound
         ipset del imw-seen-aim-session4 205.188.9.17,tcp:5190; faults",
        office.display()
    );
    let cases = [
        ("never loaded", "faults", "1 not-loaded"),
        ("flushed by somebody", "apply; nft flush ruleset; faults; \"$imwarden\" verify | grep -c 'flush ruleset'", "1 not-loaded\n1"),
        (
            "the jumps are gone",
            "apply --backend iptables-nft; for p in iptables-nft ip6tables-nft; do $p -w -F FORWARD; $p -w -F OUTPUT; done; faults",
            "1 changed not-loaded",
        ),
        (
            "a chain that leads nowhere",
            "apply; nft flush chain inet imwarden forward; nft flush chain inet imwarden output; faults",
            "1 changed not-loaded",
        ),
        (
            "endpoints that were seen are gone, all of them or one",
            &endpoints,
            "1 changed empty-set\n1 changed",
        ),
        (
            "wrong hook: prerouting",
            "\"$imwarden\" policy --direction forward | sed 's/hook forward priority filter - 5/hook prerouting priority raw/' >bad; apply bad; faults",
            "1 wrong-hook",
        ),
        (
            "wrong hook: only input on a router",
            "apply --direction input; faults; \"$imwarden\" undo >/dev/null; apply --direction input --backend iptables-legacy; faults",
            "1 wrong-hook\n1 wrong-hook",
        ),
        ("wrong hook: only forward on a machine by itself", "apply --direction forward; sound; forwarding 0; faults", "1 wrong-hook"),
        (
            "behind an accept",
            "apply --backend iptables-nft; sound; iptables-nft -w -I FORWARD 1 -i lan -j ACCEPT; faults
             iptables-nft -w -D FORWARD 1; sound; ip6tables-nft -w -N SOMEBODY; ip6tables-nft -w -A SOMEBODY -p tcp -m multiport --dports 80,5000:6000 -j ACCEPT
             ip6tables-nft -w -I OUTPUT 1 -j SOMEBODY; faults; grep -c 'SOMEBODY -p tcp -m multiport' found",
            "1 behind-accept\n1 behind-accept\n1",
        ),
        (
            "behind an accept, in the old iptables",
            "apply --backend iptables-legacy; iptables-legacy -w -I OUTPUT 1 -j ACCEPT; faults",
            "1 behind-accept",
        ),
        (
            "shadowed: somebody is let pass",
            "apply; nft insert rule inet imwarden judge tcp dport 5190 accept; faults",
            "1 changed shadowed",
        ),
        (
            "shadowed: the whole of it, in a file that was changed",
            "\"$imwarden\" policy | sed 's/^\\tchain judge {/\\tchain judge {\\n\\t\\tcounter accept/' >bad; apply bad; faults",
            "1 shadowed",
        ),
        (
            "shadowed, in iptables",
            "apply --backend iptables-nft; iptables-nft -w -I IMWARDEN 1 -d 203.0.113.0/24 -j RETURN; faults
             ip6tables-nft -w -I IMWARDEN 2 -j ACCEPT; faults; grep -c 'no packet comes to' found",
            "1 changed shadowed\n1 changed shadowed\n1",
        ),
        (
            "empty set",
            "apply; nft flush map inet imwarden tcp_ports; faults",
            "1 changed empty-set",
        ),
        (
            "no IPv6: ip6tables was forgotten",
            "apply --backend iptables-nft; rm -r state; ip6tables-nft -w -F FORWARD; ip6tables-nft -w -F OUTPUT; faults",
            "1 no-ipv6",
        ),
        (
            "no IPv6: only IPv4 comes to be judged",
            "by_name 'meta nfproto ipv4' >bad; sed -i '/hook output/,$d' bad; printf '\\t}\\n}\\n' | sed '1d' >>bad
             for n in 4 6; do :; done; apply bad; nft add element inet imwarden names4 { 203.0.113.7 }; nft add element inet imwarden names6 { 2001:db8:9::7 }; faults",
            "1 no-ipv6",
        ),
        (
            "no IPv6: let pass as a whole, and a twin that nobody looks into",
            "apply; rm -r state; nft insert rule inet imwarden judge meta nfproto ipv6 accept; faults; nft delete table inet imwarden
             by_name '' | sed '/@names6/d' | nft -f -; nft add element inet imwarden names4 { 203.0.113.7 }; nft add element inet imwarden names6 { 2001:db8:9::7 }; faults",
            "1 no-ipv6\n1 no-ipv6",
        ),
        (
            "wrong interface",
            "by_name 'iifname \"eth7\"' >bad; apply bad; nft add element inet imwarden names4 { 203.0.113.7 }; nft add element inet imwarden names6 { 2001:db8:9::7 }; faults
             by_name 'iifname \"la*\"' >good; apply good; sound
             \"$imwarden\" undo --all >/dev/null; apply --backend iptables-nft; rm -r state
             iptables-nft -w -D FORWARD 1; iptables-nft -w -I FORWARD -i eth7 -j IMWARDEN; faults",
            "1 wrong-interface\n1 wrong-interface",
        ),
        (
            "stale: what was seen has come to its end",
            "by_name '' | sed 's/^\\t\\?set names4/set observed { type ipv4_addr . inet_proto . inet_service; flags timeout; elements = { 203.0.113.7 . tcp . 9999 timeout 3s, 203.0.113.8 . tcp . 9999 timeout 1h }; }\\n&/; s/^\\t*ip daddr @names4/ip daddr . meta l4proto . th dport @observed goto f_names\\n&/' >seen
             apply seen; nft add element inet imwarden names4 { 203.0.113.7 }; nft add element inet imwarden names6 { 2001:db8:9::7 }; sound
             while nft list set inet imwarden observed | grep -q 203.0.113.7; do sleep 0.1; done; faults",
            "1 stale",
        ),
        (
            "stale: the name is somewhere else by now, and the set is not told",
            "feed names4 names6; dnsmasq_like 127.0.0.2; by_name '' >bad; apply bad; faults
             nft add element inet imwarden names4 { 203.0.113.1 }; nft add element inet imwarden names6 { 2001:db8:9::7 }
             faults --resolve; grep -c 'has the address 203.0.113.7 now' found; grep -c 'has the address 2001' found; rest",
            "0\n1 stale\n1\n0",
        ),
        ("resolver: none runs", "by_name '' >good; apply good; faults", "1 resolver"),
        (
            "resolver: it was not told",
            "dnsmasq_like 127.0.0.1; by_name '' >good; apply good; faults; grep -c 'was told to fill it' found; rest",
            "1 resolver\n1",
        ),
        (
            "resolver: it was told another set",
            "feed namen4 namen6; dnsmasq_like 127.0.0.1; by_name '' >good; apply good; faults; grep -c 'which is not there' found; rest",
            "1 resolver\n1",
        ),
        (
            "resolver: it may not",
            // Of today's dnsmasq none would start so. Older ones do: this stands for one, with their rights and arguments.
            "feed names4 names6; mkdir old; printf '#!/bin/sh\\nread never <fifo\\n' >old/dnsmasq; chmod +x old/dnsmasq; mkfifo fifo
             echo \"conf-dir=$PWD/conf,*.conf\" >dnsmasq.conf
             setpriv --bounding-set=-net_admin --inh-caps=-net_admin ./old/dnsmasq -k -C dnsmasq.conf & resolvers=$!; sleep 0.3
             by_name '' >good; apply good; faults; grep -c 'has given CAP_NET_ADMIN away' found; rest",
            "1 resolver\n1",
        ),
        (
            "changed: a port was taken out",
            "apply; nft delete element inet imwarden tcp_ports { 1863 }; faults",
            "1 changed",
        ),
        (
            "unguarded: whoever takes it back was killed",
            "\"$imwarden\" apply --confirm-within 1h >/dev/null
             for comm in /proc/[0-9]*/cmdline; do cat $comm 2>/dev/null | tr '\\0' ' ' | grep -q \"guard-apply --state $PWD/state\" && kill -9 \"$(echo $comm | tr -dc 0-9)\"; done
             sleep 0.2; faults",
            "1 unguarded",
        ),
    ];
    expect("every_seeded_fault_is_found_by_its_name", &cases);
}

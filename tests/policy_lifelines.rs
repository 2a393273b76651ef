//! A file that is applied is tried with those around who must be reached: the administrator's own SSH connection, resolver and
//! gateway, and the ports that everybody lives by. What would cut one of them is refused, whatever words it uses; what does not, is not.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod policy_support;

use policy_support::{can_run, in_private_network};

/// A machine with a network at each side, a gateway and a resolver; `try_ FILE` tells the exit code and what is said to be cut.
const PROLOGUE: &str = r#"
set -u
export IMWARDEN_STATE="$PWD/state"
printf 'nameserver 192.0.2.53\nnameserver 2001:db8:9::53\n' >resolv.conf
mount --bind resolv.conf /etc/resolv.conf
ip link set lo up
for n in wan0 lan0; do ip link add $n type veth peer name far-$n; ip link set $n up; done
ip addr add 192.0.2.1/24 dev wan0; ip addr add 2001:db8:9::1/64 dev wan0 nodad
ip addr add 10.0.0.1/24 dev lan0; ip addr add 2001:db8:10::1/64 dev lan0 nodad
ip route add default via 192.0.2.254; ip -6 route add default via 2001:db8:9::fe
unset SSH_CONNECTION SUDO_COMMAND
unset_ssh() { unset SSH_CONNECTION; }
ssh() { export SSH_CONNECTION='10.0.0.7 50211 10.0.0.1 22'; }
table() { # HOOK RULES...: a table of ours
	hook=$1; shift
	printf 'table inet imwarden\ndelete table inet imwarden\ntable inet imwarden {\n\tcounter c { }\n\tchain x { type filter hook %s priority -5; policy accept;\n' "$hook"
	for rule; do printf '\t\t%s\n' "$rule"; done
	printf '\t}\n}\n'
}
try_() { # FILE OPTION...
	"$imwarden" apply --yes "$@" >told 2>&1; code=$?
	[ $code = 0 ] || nft list table inet imwarden 2>/dev/null
	echo "$code $(sed -n 's/^  //p; s/.*force overrides: /by force /p' told | tr '\n' '|')"
	"$imwarden" undo --all >/dev/null
}
"#;

fn expect(test: &str, programs: &[&str], script: &str, told: &str) {
    if !can_run(test, programs) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_imwarden");
    std::fs::write(
        dir.path().join("inside"),
        format!("imwarden={program}\n{PROLOGUE}\n{script}"),
    )
    .unwrap();
    let found = in_private_network(dir.path(), "unshare -m sh ./inside");
    assert_eq!(found.trim(), told.trim(), "{test}");
}

const NFT: [&str; 3] = ["nft", "ip", "mount"];

#[test]
fn what_touches_only_messengers_is_applied() {
    expect(
        "what_touches_only_messengers_is_applied",
        &NFT,
        r#"
ssh
"$imwarden" policy --profile full --match port,name,signature --direction forward,output,input >a.nft; try_ a.nft
"$imwarden" policy --action drop --interface in:lan0 --source 10.0.0.0/8 >a.nft; try_ a.nft
# Narrow, at ports that everybody lives by; and wide, at others.
table forward 'ip daddr 203.0.113.0/24 tcp dport { 22, 53, 80, 443 } reject' 'tcp dport 5190-6000 drop' >a.nft; try_ a.nft
table output 'ip daddr 192.0.2.254 tcp dport 5190 drop' 'ip daddr 192.0.2.53 tcp dport 5190 drop' >a.nft; try_ a.nft
table input 'ip saddr 10.0.0.8 drop' 'ip saddr 10.0.0.7 tcp dport 5190 drop' >a.nft; try_ a.nft
# Nobody is connected.
unset_ssh
table input 'ip saddr 10.0.0.7 drop' >a.nft; try_ a.nft
"#,
        "0 \n0 \n0 \n0 \n0 \n0",
    );
}

#[test]
fn the_connection_that_one_sits_at_is_tried() {
    expect(
        "the_connection_that_one_sits_at_is_tried",
        &NFT,
        r#"
ssh
table input 'ip saddr 10.0.0.7 drop' >a.nft; try_ a.nft
table output 'ip daddr 10.0.0.0/24 reject with icmpx type admin-prohibited' >a.nft; try_ a.nft
# Words that say neither the address nor the port.
table input 'iifname "lan0" ct direction original meta mark 0 drop' >a.nft; try_ a.nft
# Only what is open; only what is new.
table input 'tcp dport 22 ct state established drop' >a.nft; try_ a.nft
table input 'iifname "lan0" tcp dport 22 tcp flags & (syn | ack) == syn drop' >a.nft; try_ a.nft
# By another way it is not this connection's.
table input 'iifname "eth7" tcp dport 22 drop' >a.nft; try_ a.nft
# sudo takes the variable away.
table input 'ip saddr 10.0.0.7 drop' >a.nft
sh -c 'env -u SSH_CONNECTION "$1" apply --yes a.nft; exit $?' sh "$imwarden" 2>told; echo "$? $(grep -c 'your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one' told)"
try_ a.nft --force
try_ a.nft --dry-run
# A server elsewhere, over IPv6.
export SSH_CONNECTION='2001:db8:9::7 50211 2001:db8:9::1 2222'
try_ a.nft
table input 'ip6 saddr 2001:db8:9::7 tcp dport 2222 drop' >a.nft; try_ a.nft
"#,
        "\
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one from there would be let in|
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one from there would be let in|
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one from there would be let in|
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end|
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: no new one from there would be let in|
0 
2 1
0 by force your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one from there would be let in|
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one from there would be let in|
0 
2 your own SSH connection from [2001:db8:9::7]:50211 to [2001:db8:9::1]:2222: it would end; no new one from there would be let in|",
    );
}

#[test]
fn gateway_resolver_and_the_ports_of_everybody_are_tried() {
    expect(
        "gateway_resolver_and_the_ports_of_everybody_are_tried",
        &NFT,
        r"
table output 'ip daddr 192.0.2.254 drop' >a.nft; try_ a.nft
table output 'ip daddr 192.0.2.53 meta l4proto udp reject' >a.nft; try_ a.nft
# Its answers.
table input 'ip6 saddr 2001:db8:9::53 drop' >a.nft; try_ a.nft
table forward 'tcp dport 443 reject with tcp reset' >a.nft; try_ a.nft | tr '|' '\n' | cut -c -90
table forward 'ip saddr 172.16.0.0/12 tcp dport { 80, 8080 } drop' >a.nft; try_ a.nft
table input 'meta nfproto ipv4 tcp dport 22 drop' >a.nft; try_ a.nft
table output 'meta nfproto ipv6 meta l4proto { tcp, udp } th dport 53 drop' >a.nft; try_ a.nft
table output 'drop' >a.nft; try_ a.nft | tr '|' '\n' | cut -d : -f 1
",
        "\
2 this machine's gateway 192.0.2.254: everything|
2 this machine's resolver 192.0.2.53: UDP 53|
2 this machine's resolver 2001:db8:9::53: UDP 53; TCP 53|
2 what clients such as 10.0.0.252 open through this machine, anywhere: TCP 443, which carr
what clients such as 10.77.0.9 open through this machine, anywhere: TCP 443, which carries
what clients such as 172.16.77.9 open through this machine, anywhere: TCP 443, which carri
what clients such as 192.168.77.9 open through this machine, anywhere: TCP 443, which carr
what clients such as 2001:db8:10:0:ffff:ffff:ffff:fffc open through this machine, anywhere
what clients such as fd77::9 open through this machine, anywhere: TCP 443, which carries t

2 what clients such as 172.16.77.9 open through this machine, anywhere: TCP 80, which carries the web|
2 what others open to this machine by IPv4, from anywhere: TCP 22, which carries remote administration (SSH)|
2 this machine's resolver 2001:db8:9::53: UDP 53; TCP 53|what this machine opens by IPv6, anywhere: TCP 53, which carries name resolution (DNS); UDP 53, which carries name resolution (DNS)|
2 this machine's resolver 192.0.2.53
this machine's resolver 2001
this machine's gateway 192.0.2.254
this machine's gateway 2001
what this machine opens by IPv4, anywhere
what others open to this machine by IPv4, from anywhere
what this machine opens by IPv6, anywhere
what others open to this machine by IPv6, from anywhere
",
    );
}

#[test]
fn scripts_of_iptables_are_tried_as_well() {
    for backend in ["iptables-nft", "iptables-legacy"] {
        expect(
            "scripts_of_iptables_are_tried_as_well",
            &["ip", "mount", "nft", "iptables-nft", "iptables-legacy"],
            &format!(
                r#"
ssh
"$imwarden" policy --format iptables-script --direction forward,output,input --match port,signature >good.sh
try_ good.sh --backend {backend}
with() {{ # RULE: in the first of our chains, after the first rule; IPv4 and IPv6
	awk -v rule="$1" '{{ print }} /^-A IMWARDEN .*resets pass/ {{ print rule }}' good.sh >a.sh
	try_ a.sh --backend {backend} | tr '|' '\n' | head -n 2
}}
with '-A IMWARDEN -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j DROP' | head -n 1
# Where connections are tracked already, the one that is open is not new.
nft -f - <<-'END'
	table inet others {{
		chain x {{ type filter hook output priority 0; ct state new accept
		}}
	}}
END
bash -c 'echo >/dev/udp/127.0.0.1/9'
with '-A IMWARDEN -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j DROP' | head -n 1
with '-A IMWARDEN -i lan0 -p tcp -m tcp ! --dport 5190 -m conntrack --ctdir ORIGINAL -m connmark --mark 0 -j DROP' | head -n 1
with '-A IMWARDEN -p udp -m udp --sport 53 -j REJECT' | head -n 1
with '-A IMWARDEN -i lan0 -p tcp -m tcp --dport 7000 -j REJECT'
"#
            ),
            "\
0 
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one from there would be let in
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: no new one from there would be let in
2 your own SSH connection from 10.0.0.7:50211 to 10.0.0.1:22: it would end; no new one from there would be let in
2 this machine's resolver 192.0.2.53: UDP 53
0",
        );
    }
}

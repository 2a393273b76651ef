//! Exceptions by host name and by user, in a real kernel on three firewalls: who is meant gets through, everybody else is refused,
//! and `policy explain` says so before.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod policy_support;

use policy_support::{can_run, path, skip};
use std::process::{Command, Stdio};

/// This machine, and a network with a server in it that counts what it is sent. Users are those of the machine.
const PROLOGUE: &str = r#"
set -u
export IMWARDEN_STATE="$PWD/state" LC_ALL=C
printf '127.0.0.1 localhost\n192.0.2.9 printer.example.com\n2001:db8::9 printer.example.com\n0.0.0.0 refused.example.com\n' >hosts
mount --bind hosts /etc/hosts
printf 'hosts: files\n' >nsswitch; mount --bind nsswitch /etc/nsswitch.conf
ip link set lo up
unshare -n sleep 1000 & far=$!
until_() { n=200; while ! "$@" 2>/dev/null; do n=$((n - 1)); [ $n -gt 0 ] || { echo "never: $*"; exit; }; sleep 0.1; done; }
apart() { [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; }
until_ apart
ip link add d0 type veth peer name d1 netns $far
ip addr add 192.0.2.1/24 dev d0; ip addr add 2001:db8::1/64 dev d0 nodad; ip link set d0 up
nsenter -t $far -n sh -c 'for n in 9 10; do ip addr add 192.0.2.$n/24 dev d1; ip addr add 2001:db8::$n/64 dev d1 nodad; done; ip link set d1 up'
cat >serve.py <<'END'
import socket, threading
def each(there):
    count = 0
    while data := there.recv(65536):
        count += len(data)
    if count > 1:
        open("got", "a").write(f"{count}\n")
def serve(port):
    own = socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        threading.Thread(target=each, args=(own.accept()[0],)).start()
for port in (80, 1863, 5190):
    threading.Thread(target=serve, args=(port,)).start()
END
nsenter -t $far -n python3 serve.py & server=$!
trap 'kill $server $far' EXIT
as() { user=$1; shift; setpriv --reuid $user --regid $user --clear-groups timeout 5 "$@"; }
reach() { as $1 bash -c "echo >/dev/tcp/$2/$3" 2>/dev/null && echo open || echo refused; }
until_ sh -c 'bash -c "echo >/dev/tcp/192.0.2.9/5190" && bash -c "echo >/dev/tcp/2001:db8::10/5190"'
apply() { "$imwarden" apply --plan policy.toml --backend "$@" --yes >told 2>&1 || cat told; }
"#;

/// As root of the machine: a user's namespace has one user.
fn expect(test: &str, script: &str, told: &str) {
    let programs = [
        "nft",
        "ip",
        "mount",
        "iptables-nft",
        "iptables-legacy",
        "setpriv",
        "python3",
        "bash",
        "nsenter",
    ];
    if !can_run(test, &programs) {
        return;
    }
    if !rustix::process::geteuid().is_root() {
        let strict = std::env::var_os("IMWARDEN_REQUIRE_KERNEL").is_some_and(|value| value == "1");
        assert!(!strict, "{test} must run here, as root");
        skip(test, "users are told apart by root only");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // Others look into it.
    std::fs::set_permissions(
        dir.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let script = format!(
        "imwarden={}\n{PROLOGUE}\n{script}",
        env!("CARGO_BIN_EXE_imwarden")
    );
    let run = Command::new("unshare")
        .args(["-n", "-m", "sh", "-c", &script])
        .current_dir(dir.path())
        .env("PATH", path())
        .env("XTABLES_LOCKFILE", dir.path().join("xtables.lock"))
        .env_remove("SSH_CONNECTION")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&run.stdout);
    let wrong = String::from_utf8_lossy(&run.stderr);
    assert_eq!(found.trim(), told.trim(), "{test}\n{wrong}");
}

#[test]
fn what_a_user_of_this_machine_opens_is_left_alone_and_nobody_elses() {
    for (backend, counter) in [
        ("nftables", "msn_session"),
        ("iptables-nft", "IMW-MSN-SESSION"),
        ("iptables-legacy", "IMW-MSN-SESSION"),
    ] {
        expect(
            "what_a_user_of_this_machine_opens_is_left_alone_and_nobody_elses",
            &format!(
                r#"
cat >policy.toml <<'END'
services = ["msn"]
direction = ["output", "input"]
[[exception]]
user = 1001
why = "talks to customers"
[[exception]]
user = "backup"
why = "made up"
END
apply {backend}
for user in 1001 34; do
	for host in 192.0.2.9 2001:db8::10; do echo "$user $(reach $user $host 1863)"; done
done
for user in 0 1002 33; do
	for host in 192.0.2.9 2001:db8::10; do echo "$user $(reach $user $host 1863) $(reach $user $host 80)"; done
done
"$imwarden" status --json | tr -d ' \n' | grep -o '"name":"{counter}","packets":[0-9]*'
# The last of it is sent when the program is gone, and is not lost.
for n in 1 2 3; do as 1001 bash -c 'head -c 1000000 /dev/zero >/dev/tcp/192.0.2.9/1863'; done
until_ sh -c '[ "$(cat got | tr "\n" " ")" = "1000000 1000000 1000000 " ]'
for user in 1001 backup 1002; do "$imwarden" policy explain --plan policy.toml --user $user --flow 'tcp:192.0.2.1->192.0.2.9:1863' | grep -o -e passes -e refused; done
"$imwarden" status | grep -c -e '^  +' -e '^  -'
"$imwarden" verify | grep -i -e user -e owner -e 'no chain'
# Once more: nothing changes; and without the exceptions they are like everybody.
apply {backend}; grep -o 'in force already' told
sed -i '/exception/,$d' policy.toml
apply {backend}
echo "1001 $(reach 1001 192.0.2.9 1863) $(reach 1001 192.0.2.9 80)"
"#
            ),
            &format!(
                "\
1001 open
1001 open
34 open
34 open
0 refused open
0 refused open
1002 refused open
1002 refused open
33 refused open
33 refused open
\"name\":\"{counter}\",\"packets\":6
passes
passes
refused
0
in force already
1001 refused open"
            ),
        );
    }
}

#[test]
fn a_host_that_is_left_alone_by_name_is_so_by_its_addresses_of_that_day() {
    for backend in ["nftables", "iptables-nft", "iptables-legacy"] {
        expect(
            "a_host_that_is_left_alone_by_name_is_so_by_its_addresses_of_that_day",
            &format!(
                r#"
cat >policy.toml <<'END'
services = ["aim"]
direction = ["output"]
[[exception]]
name = "printer.example.com"
why = "it reports by AIM"
until = 2026-01-31
END
# Rules know no day: once it is over, somebody must be told.
apply {backend} --as-of 2026-01-31
"$imwarden" verify | grep -o '.except-name printer.example.com. was to end on 2026-01-31, and is still in force'
sed -i '/^until/d' policy.toml
apply {backend}
"$imwarden" verify | grep -c 'was to end'
for host in 192.0.2.9 2001:db8::9 192.0.2.10 2001:db8::10; do echo "$host $(reach 0 $host 5190)"; done
"$imwarden" policy --plan policy.toml >written
grep -c "printer.example.com (192.0.2.9, 2001:db8::9 on $(date -u +%F)) is left alone: it reports by AIM" written
# It moves: until the rules are written again they are about where it was, and a difference shows it.
sed 's/192.0.2.9/192.0.2.10/' hosts >moved; cat moved >/etc/hosts
"$imwarden" policy --plan policy.toml --diff written
"$imwarden" verify --resolve >told; echo "$? $(grep -c 'printer.example.com is to be left alone and has the address 192.0.2.10 now, which is not' told)"
apply {backend}
"$imwarden" verify --resolve | grep -c printer
for host in 192.0.2.9 2001:db8::9 192.0.2.10; do echo "$host $(reach 0 $host 5190)"; done
# Without an address there are no rules at all.
for name in gone refused; do
	sed -i "s/\"[a-z]*.example.com/\"$name.example.com/" policy.toml
	"$imwarden" apply --plan policy.toml --yes >/dev/null 2>told; echo "$? $(grep -c "the exception for $name.example.com: no address is known of it" told)"
done
echo "192.0.2.10 $(reach 0 192.0.2.10 5190)"
"#
            ),
            "\
`except-name printer.example.com` was to end on 2026-01-31, and is still in force
0
192.0.2.9 open
2001:db8::9 open
192.0.2.10 refused
2001:db8::10 refused
1
+ except 192.0.2.10/32
- except 192.0.2.9/32
1 1
0
192.0.2.9 refused
2001:db8::9 open
192.0.2.10 open
2 1
2 1
192.0.2.10 open",
        );
    }
}

# shellcheck shell=bash disable=SC2154
# The service, driven as an administrator would; sourced by `installed`, in a machine where the package is installed.

process() { property MainPID; }
status() { in_machine sed -n "s/^$1:\s*//p" "/proc/$(process)/status"; }
log=/var/log/imwarden/findings.ndjson
seen() { in_machine grep -qE "\"event_type\":\"(detection|flow)\".*\"service\":\"$1\".*\"confidence\":\"confirmed\"" "$log" 2>/dev/null; }
all_seen() { seen aim && seen icq && seen msn && seen yahoo; }
said() { grep -qF -- "$1" <(journal); }

# systemctl, and what the service said if that failed.
service() { in_machine systemctl "$@" || { journal | tail -n 20; return 1; }; }

# Nobody said which interface.
check "without an interface it does not start" not in_machine systemctl start imwarden
check "the journal says why, and what to do" eventually 5 said "which interface?"
check "and it is not tried again and again" equal "$(property NRestarts)" 0

in_machine sed -i 's/^IMWARDEN_INTERFACES=.*/IMWARDEN_INTERFACES="-i cable0"/' /etc/default/imwarden
check "with an interface it starts, and says when it is ready" service enable --quiet --now imwarden
# What does not run cannot be looked at.
is_active || { verdict "the package, installed"; exit 1; }
check "it is nobody who may do anything" equal "$(status Uid | tr '\t' '\n' | sort -u)" "$(in_machine id -u imwarden)"
check "it has given up its right to packets" equal "$(status CapEff) $(status CapPrm) $(status CapBnd)" \
    "0000000000000000 0000000000000000 0000000000002000"
check "it can get no other" equal "$(status NoNewPrivs)" 1
check "its system calls are filtered" equal "$(status Seccomp)" 2

check "a capture is replayed" ip netns exec "$outer" tcpreplay --quiet --intf1=cable1 --mbps=20 sample-pcaps/office.pcap
check "all four messengers are found on the wire" eventually 20 all_seen
check "findings are not for everybody" equal "$(in_machine stat -c '%U %a' "$log")" "imwarden 640"
check "nor is their folder" equal "$(in_machine stat -c '%U %a' "${log%/*}")" "imwarden 750"

check "systemd waits for its word and looks after it" equal "$(property Type) $(property WatchdogUSec)" "notify 30s"

first=$(process)
check "rules are read again" service reload imwarden
check "the journal says so" eventually 5 said "the rules were read again"
in_machine sh -c 'echo "ports = [" >> /etc/imwarden/rules/aim.toml'
check "wrong rules are refused" not in_machine systemctl reload imwarden
check "the journal says where they are wrong" eventually 5 said "aim.toml"
check "the service goes on as it was" equal "$(process) $(property ActiveState)" "$first active"
# shellcheck disable=SC2016
in_machine sed -i '$d' /etc/imwarden/rules/aim.toml

# A signs-of-life test in a few seconds instead of minutes.
in_machine mkdir -p /run/systemd/system/imwarden.service.d
in_machine sh -c 'printf "[Service]\nWatchdogSec=2\nRestartSec=100ms\n" > /run/systemd/system/imwarden.service.d/quick.conf'
in_machine systemctl daemon-reload
in_machine systemctl restart imwarden
first=$(process)
sleep 5
check "on a silent interface it gives signs of life" equal "$(process) $(property NRestarts)" "$first 0"
in_machine kill -STOP "$first"
is_another() { is_active && [ "$(process)" != "$first" ]; }
check "when it hangs, it is replaced" eventually 20 is_another
in_machine rm -r /run/systemd/system/imwarden.service.d
in_machine systemctl daemon-reload
in_machine systemctl restart imwarden

# The journal instead of a file, from inside the unit's own restrictions.
in_machine cp /etc/default/imwarden /root/default
in_machine sh -c 'echo "IMWARDEN_OPTIONS=--journald" >> /etc/default/imwarden'
in_machine systemctl restart imwarden
check "a capture is replayed again" ip netns exec "$outer" tcpreplay --quiet --intf1=cable1 --mbps=20 sample-pcaps/office.pcap
entries() { in_machine journalctl --output json --all --no-pager "$@"; }
kept() { grep -q '"IMWARDEN_EVIDENCE"' <(entries SYSLOG_IDENTIFIER=imwarden IMWARDEN_EVENT=detection IMWARDEN_CONFIDENCE=confirmed "IMWARDEN_SERVICE=$1"); }
all_kept() { kept aim && kept icq && kept msn && kept yahoo; }
check "all four messengers are in the journal, found by their fields" eventually 20 all_kept
check "risks as well, by how bad they are" grep -q '"IMWARDEN_ADVICE"' <(entries --priority 3 IMWARDEN_RISK=cleartext-cookie)
check "an entry knows whose it is" grep -q '"_SYSTEMD_UNIT":"imwarden.service"' <(entries IMWARDEN_SERVICE=aim)
check "nothing was lost" not said "cannot write"
in_machine mv /root/default /etc/default/imwarden
in_machine systemctl restart imwarden

# The drop-in of docs/packaging/README.md, word for word, and what is found is acted on.
in_machine mkdir -p /run/systemd/system/imwarden.service.d
sed -n '/^  ```ini$/,/^  ```$/{/```/d;s/^  //;p}' docs/packaging/README.md |
    in_machine tee /run/systemd/system/imwarden.service.d/enforce.conf >/dev/null
in_machine cp /etc/default/imwarden /root/default
in_machine sed -i 's/^IMWARDEN_OPTIONS="/&--enforce /' /etc/default/imwarden
in_machine systemctl daemon-reload
lines=$(in_machine cat "$log" | wc -l)
check "with one right more it enforces" service restart imwarden
check "and says so" eventually 5 said "enforcing, by nftables"
check "whoever listens has no right" equal "$(status CapEff) $(status CapPrm)" "0000000000000000 0000000000000000"
# shellcheck disable=SC2016
enforcer() { in_machine sh -c 'for it in /proc/[0-9]*; do grep -qa enforce-liv[e] $it/cmdline && sed -n "s/^CapEff:\s*//p" $it/status; done' 2>/dev/null; }
check "the one that acts has one" equal "$(enforcer)" 0000000000001000
check "a capture is replayed once more" ip netns exec "$outer" tcpreplay --quiet --intf1=cable1 --mbps=20 sample-pcaps/office.pcap
refused() { in_machine nft list table inet imwarden_live | grep -q '207\.46\..* tcp .*1863\|198\.51\.100\.\|205\.188\.\|216\.155\.'; }
check "servers are refused" eventually 20 refused
check "what was done is on record" eventually 5 in_machine grep -q '"event_type":"action".*"action":"blocked"' "$log"
. tests/packaging/inline.sh
in_machine mv /root/default /etc/default/imwarden
in_machine rm -r /run/systemd/system/imwarden.service.d
in_machine systemctl daemon-reload
check "it goes back to looking on" service restart imwarden
check "the rules went with it" not in_machine nft list table inet imwarden_live
# With the restart a file of its own began.
check "as the record says" in_machine sh -c "grep -q '\"action\":\"removed\"' ${log%/*}/findings*"

# A newer package: settings stay as they were made, the service runs the new program.
newer=$(mktemp -d)
dpkg-deb -R "$package" "$newer"
sed -i 's/^Version: .*/&.1/' "$newer/DEBIAN/control"
dpkg-deb --root-owner-group -Znone -b "$newer" "$root/root/newer.deb" >/dev/null
rm -rf "$newer"
first=$(process)
check "a newer package replaces it" in_machine dpkg --install /root/newer.deb
check "settings are kept" in_machine grep -q cable0 /etc/default/imwarden
check "the service was started anew" eventually 10 is_another
check "and is still enabled" equal "$(in_machine systemctl is-enabled imwarden)" enabled

lines=$(in_machine cat "$log" | wc -l)
check "it stops when told" service stop imwarden
check "with success" equal "$(property Result) $(property ExecMainStatus)" "success 0"
check "and sums up" grep -q '"event_type":"summary"' <(in_machine tail -n +"$((lines + 1))" "$log")
check "every line is whole" in_machine sh -c "! grep -vE '^\{.*\}$' $log"
# So that removal has something to stop.
check "it starts once more" service start imwarden

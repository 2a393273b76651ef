# shellcheck shell=bash disable=SC2154,SC2034
# The service with --inline, from inside the unit's own restrictions; sourced by service.sh, with the drop-in that gives it the right.
# The machine's own connections over the cable go through the queue: a messenger's opening, and others'.

# What it is asked with GET it answers; what else arrived is in a file.
listener=$(mktemp -d)
cat >"$listener/listen.py" <<'END'
import os, socket, sys, threading

def serve(connection):
    with connection, open("arrived", "ab") as arrived:
        try:
            while piece := connection.recv(4096):
                if piece.startswith(b"GET"):
                    connection.sendall(open("download", "rb").read())
                    connection.shutdown(socket.SHUT_WR)
                    # All that is left of the question, so that nothing is reset.
                    while connection.recv(4096):
                        pass
                    return
                arrived.write(piece)
                arrived.flush()
        except OSError:
            pass

def listen(port):
    with socket.create_server(("192.0.2.2", port)) as server:
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

os.chdir(sys.argv[1])
open("download", "wb").write(os.urandom(3_000_000))
for port in sys.argv[2:]:
    threading.Thread(target=listen, args=(int(port),)).start()
END
ip -n "$inner" addr add 192.0.2.1/24 dev cable0
ip -n "$outer" addr add 192.0.2.2/24 dev cable1
ip netns exec "$outer" python3 "$listener/listen.py" "$listener" 4000 4001 4002 4003 8000 &
listening=$!
is_reached() { in_machine timeout 5 bash -c ': >/dev/tcp/192.0.2.2/8000' 2>/dev/null; }
check "somebody listens at the other end of the cable" eventually 20 is_reached

in_machine sed -i 's/--enforce /--inline /' /etc/default/imwarden
check "with the same right it holds packets" service restart imwarden
check "and says so" eventually 5 said "packets of a connection wait until it is known"
holds() { in_machine iptables -t mangle -S | grep -q -- '-j NFQUEUE --queue-num 18765 --queue-bypass'; }
check "the rules that hold are there" holds
check "for IPv6 as well" in_machine sh -c 'ip6tables -t mangle -S | grep -q IMWHOLD'
check "whoever listens has no right" equal "$(status CapEff) $(status CapPrm)" "0000000000000000 0000000000000000"
check "the one that acts has those that iptables needs" equal "$(enforcer)" 0000000000003000

# Each word is a segment of its own, since the one before has been let go by then or is held until the end of all.
opening() {
    rm -f "$listener/arrived"
    in_machine timeout 20 bash -c "exec 3<>/dev/tcp/192.0.2.2/$1 && printf 'VER 1 MS' >&3 && sleep 0.05 &&
        printf 'NP9 MSNP8 CVR0\r\n' >&3 && sleep 0.05 && printf 'USR 2 TWN I alice@example.com\r\n' >&3; cat <&3" 2>&1 || true
}
# A machine that is so busy that nobody looks in time lets things pass: then it is tried again, with another server.
is_cut_in_time() {
    for port in 4000 4001 4002 4003; do
        echo "$port" >"$listener/port"
        opening "$port"
        [ ! -e "$listener/arrived" ] || ! grep -q 'CVR0' "$listener/arrived" || continue
        eventually 20 said "cut TCP 192.0.2.1:" && return
    done
    cat "$listener/arrived"
    return 1
}
check "a messenger's opening is cut, and what proves it does not arrive" is_cut_in_time
port=$(cat "$listener/port")
check "its server is refused" not in_machine timeout 5 bash -c ": >/dev/tcp/192.0.2.2/$port"
download() { in_machine timeout 60 bash -c 'exec 3<>/dev/tcp/192.0.2.2/8000 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && cat <&3'; }
check "a download through the queue is whole" cmp "$listener/download" <(download)
last_count() { journal | grep -o 'inline: [0-9].*' | tail -n 1; }
is_counted() {
    in_machine systemctl kill --kill-who=main --signal=USR1 imwarden
    sleep 0.5
    last_count | grep -qE 'inline: [1-9][0-9]* packets looked at before they went on, [1-9][0-9]* of them held'
}
check "packets were looked at and held, and are counted" eventually 20 is_counted
echo "--inline under the unit: $(last_count)"

# Whoever holds packets is stopped: the service gives no signs of life any more, and is replaced.
in_machine sh -c 'printf "[Service]\nWatchdogSec=2\nRestartSec=100ms\n" > /run/systemd/system/imwarden.service.d/quick.conf'
in_machine systemctl daemon-reload
check "with a quick watchdog it starts" service restart imwarden
first=$(process)
holder=$(in_machine pgrep -f "^[^ ]*imwarden enforce-live " || true)
check "whoever holds packets can be stopped" in_machine kill -STOP "$holder"
check "then new connections wait" not is_reached
check "but not for long: the service is replaced" eventually 60 is_another
check "and holds nobody up" eventually 20 is_reached
check "the journal says why" said "NOTHING IS HEARD of the process that holds packets"
check "whoever was stopped is gone" not in_machine kill -0 "$holder"


check "it stops when told, while it holds" service stop imwarden
check "the rules that hold went with it" not in_machine sh -c '(iptables-save; ip6tables-save) | grep -q IMWHOLD'
check "its server is reached again" in_machine timeout 5 bash -c ": >/dev/tcp/192.0.2.2/$port"
kill "$listening"
wait "$listening" 2>/dev/null || true
listening=
rm -rf "$listener"
ip -n "$inner" addr flush dev cable0
ip -n "$outer" addr flush dev cable1

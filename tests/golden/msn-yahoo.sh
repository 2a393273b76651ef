#!/bin/sh
# imwarden policy: closes every known port, whoever states it (profile full), for MSN Messenger and
# Yahoo! Messenger.
#
#   check    sh FILE check
#   load     sh FILE (again at will: it replaces itself)
#   watch    iptables -w -nvL; ip6tables -w -nvL
#   remove   sh FILE remove
#
# Connections that pass through this machine either way (forward) are judged by the port that they
# are opened to, and refused: TCP with a reset, UDP with "port unreachable", so that clients give up
# at once. A session that is open already ends with the next packet of the side that opened it; on a
# machine that tracked no connections until now, one whose server speaks first goes on. Loopback is
# left alone, and nothing here opens what other rules close.
#
# What these rules cannot stop:
#   - MSN: the client falls back to HTTP (TCP 80) by way of gateway.messenger.hotmail.com; only the
#     host names close that way.
#   - MSN: later clients pass files and media through the session itself, through 443 or between any
#     two ports; closing 6891, 13324 and 13325 stops the older ones.
#   - MSN: after a redirect the client calls an address, not a name: refusing names alone is not
#     enough, keep TCP 1863 closed too.
#   - Yahoo!: much of it goes over TCP 80 as well, which cannot be closed: very difficult to
#     restrict. Closing 5050 stops the usual session; only the host names close the rest.
#   - Yahoo!: when 5050 is closed the client tries 20, 23, 25, 80, 119, 8001 and 8002 by itself.
#   - Any messenger inside a tunnel, a VPN, a proxy or a web page.
#
# Not blocked because more than a messenger would go with it:
#   - msn/conferencing-low: UDP 2001-2120 (field) is shared with NFS (2049), NetFlow (2055) and
#     others
#   - msn/conferencing-any: UDP 5004-65535 (vendor) is shared with everybody (nearly every UDP port)
#   - msn/h323: TCP 1720 (vendor) is shared with H.323 telephony
#   - msn/remote-assistance: TCP 3389 (vendor) is shared with remote desktop
#   - msn/sip: TCP 5061 (vendor) is shared with SIP telephony
#   - msn/network-test-tcp: TCP 7001 (vendor) is shared with application servers
#   - msn/network-test-udp: UDP 7001 (vendor) is shared with AFS
#   - msn/http: TCP 80 (vendor) is shared with the web (HTTP)
#   - msn/tls: TCP 443 (vendor) is shared with the web (HTTPS)
#   - yahoo/http: TCP 80 (document) is shared with the web (HTTP)
#   - yahoo/fallback-20: TCP 20 (software) is shared with FTP data
#   - yahoo/fallback-23: TCP 23 (software) is shared with Telnet
#   - yahoo/fallback-25: TCP 25 (software) is shared with mail (SMTP)
#   - yahoo/fallback-119: TCP 119 (software) is shared with news (NNTP)
#   - yahoo/fallback-21: TCP 21 (field) is shared with FTP
#   - yahoo/fallback-27: TCP 27 (field) is shared with whatever a site runs there
#   - yahoo/fallback-37: TCP 37 (field) is shared with time
#   - yahoo/fallback-110: TCP 110 (field) is shared with mail (POP3)
#   - yahoo/phone-sip: TCP 5061 (field) is shared with SIP telephony
#
# Hosts to deny as well. A packet filter knows addresses, not names: these need a resolver or a
# proxy that refuses them (*. stands for the name itself and all names below it).
#   *.messenger.hotmail.com         msn (document): complete deny: these hosts and TCP 1863; takes
#                                   in gateway.messenger.hotmail.com (HTTP)
#   *.msgr.hotmail.com              msn (field): servers named in older block lists
#   *.messenger.msn.com             msn (vendor): configuration, offline messages (ows), voice
#                                   (vp.sip, relay.voice)
#   *.messenger.live.com            msn (software): gateway.edge and voice of the last clients
#   geo.gateway.messenger.live.com  msn (software): gateway of the last years (bitlbee,
#                                   protocols/msn/gw.c); what else is below
#                                   gateway.messenger.live.com is Skype's
#   *.contacts.msn.com              msn (software): contact lists
#   rsi.hotmail.com                 msn (software): offline messages
#   ebyrdromegactcsmsn.log1p.xyz    msn (revival): contact lists of patched clients
#   eowsmsgrmsn.log1p.xyz           msn (revival): offline messages of patched clients
#   ersih.log1p.xyz                 msn (revival): offline messages of patched clients
#   *.msg.yahoo.com                 yahoo (document): complete deny; takes in the pagers (scs),
#                                   filetransfer, relay and insider
#   http.pager.yahoo.com            yahoo (software): HTTP mode; not under msg.yahoo.com
#   webcam.yahoo.com                yahoo (software): webcam server, TCP 5100
#   cs1.yahoo.com                   yahoo (software): pager of the older clients
#   cs2.yahoo.com                   yahoo (software): pager of the older clients
#   cs3.yahoo.com                   yahoo (software): pager of the older clients
#   lookup.msg.vip.mud.yahoo.com    yahoo (software): carriers for text messages
#   *.msg.yahoo.co.jp               yahoo (software): Japan: filetransfer, relay, insider
#   cs.yahoo.co.jp                  yahoo (software): Japan: pager
#   cs1.msg.vip.ogk.yahoo.co.jp     yahoo (software): Japan: pager
#   wc.yahoo.co.jp                  yahoo (software): Japan: webcam

set -eu

# To choose a back-end: IPTABLES=iptables-legacy IP6TABLES=ip6tables-legacy sh FILE
IPTABLES=${IPTABLES:-iptables}
IP6TABLES=${IP6TABLES:-ip6tables}

CHAINS="IMWARDEN IMW-REFUSE IMW-MSN-SESSION IMW-MSN-FILES IMW-MSN-CONF IMW-MSN-APPSHARE IMW-YAHOO-SESSION IMW-YAHOO-VOICE IMW-YAHOO-WEBCAM IMW-YAHOO-GAMES IMW-YAHOO-P2P"

rules_v4() {
	cat <<'END-OF-RULES'
*filter
:IMWARDEN - [0:0]
:IMW-REFUSE - [0:0]
:IMW-MSN-SESSION - [0:0]
:IMW-MSN-FILES - [0:0]
:IMW-MSN-CONF - [0:0]
:IMW-MSN-APPSHARE - [0:0]
:IMW-YAHOO-SESSION - [0:0]
:IMW-YAHOO-VOICE - [0:0]
:IMW-YAHOO-WEBCAM - [0:0]
:IMW-YAHOO-GAMES - [0:0]
:IMW-YAHOO-P2P - [0:0]
# Resets pass first: a refusal is itself a reset, and must get out.
-A IMWARDEN -p tcp -m tcp --tcp-flags RST RST -m comment --comment "imwarden: resets pass" -j RETURN
# Only the opener's packets are judged: whose own port happens to be 5190 loses nothing.
-A IMWARDEN -m conntrack --ctdir REPLY -m comment --comment "imwarden: answers pass" -j RETURN
# msn/session: sign-on, presence and messages; the port is not configurable, which makes it easy to
# restrict
# msn/switchboard: conversations on servers that are run today
-A IMWARDEN -p tcp -m multiport --dports 1863,1864 -m comment --comment "msn/session (document), msn/switchboard (software)" -g IMW-MSN-SESSION
-A IMW-MSN-SESSION -m comment --comment "msn/session (document), msn/switchboard (software)" -j IMW-REFUSE
# msn/file-transfer: stops file transfers, incoming and outgoing
# msn/file-transfer-range: further file transfers at the same time
-A IMWARDEN -p tcp -m multiport --dports 6891,6892:6900 -m comment --comment "msn/file-transfer (document), msn/file-transfer-range (vendor)" -g IMW-MSN-FILES
-A IMW-MSN-FILES -m comment --comment "msn/file-transfer (document), msn/file-transfer-range (vendor)" -j IMW-REFUSE
# msn/conferencing: stops audio and video; the vendor names UDP 5004-65535 instead
# msn/voice-tcp: voice
# msn/voice-udp: voice
# msn/conferencing-old: voice over a telephone gateway; one list names it
-A IMWARDEN -p tcp -m tcp --dport 6901 -m comment --comment "msn/voice-tcp (vendor)" -g IMW-MSN-CONF
-A IMWARDEN -p udp -m multiport --dports 6801,6901,13324:13325 -m comment --comment "msn/conferencing (document), msn/voice-udp (vendor), msn/conferencing-old (field)" -g IMW-MSN-CONF
-A IMW-MSN-CONF -m comment --comment "msn/conferencing (document), msn/voice-tcp, msn/voice-udp (vendor), msn/conferencing-old (field)" -j IMW-REFUSE
# msn/application-sharing: stops application sharing and the whiteboard (T.120)
# msn/whiteboard: whiteboard; one list names it
-A IMWARDEN -p tcp -m multiport --dports 1503,7800:7825 -m comment --comment "msn/application-sharing (document), msn/whiteboard (field)" -g IMW-MSN-APPSHARE
-A IMW-MSN-APPSHARE -m comment --comment "msn/application-sharing (document), msn/whiteboard (field)" -j IMW-REFUSE
# yahoo/session: stops instant messaging, as long as the client does not fall back to another port
# yahoo/fallback-8001-8002: tried when 5050 is closed
-A IMWARDEN -p tcp -m multiport --dports 5050,8001:8002 -m comment --comment "yahoo/session (document), yahoo/fallback-8001-8002 (software)" -g IMW-YAHOO-SESSION
-A IMW-YAHOO-SESSION -m comment --comment "yahoo/session (document), yahoo/fallback-8001-8002 (software)" -j IMW-REFUSE
# yahoo/phone: calls to telephones; one list names it
# yahoo/voice-tcp: voice; one list says TCP 5000-5010, and development servers like 5000 too
# yahoo/voice-udp: voice; RTP and others use these ports too
-A IMWARDEN -p tcp -m multiport --dports 5000:5001,5055 -m comment --comment "yahoo/phone, yahoo/voice-tcp (field)" -g IMW-YAHOO-VOICE
-A IMWARDEN -p udp -m udp --dport 5000:5010 -m comment --comment "yahoo/voice-udp (field)" -g IMW-YAHOO-VOICE
-A IMW-YAHOO-VOICE -m comment --comment "yahoo/phone, yahoo/voice-tcp, yahoo/voice-udp (field)" -j IMW-REFUSE
# yahoo/webcam: pictures, through the server or between clients
-A IMWARDEN -p tcp -m tcp --dport 5100 -m comment --comment "yahoo/webcam (software)" -g IMW-YAHOO-WEBCAM
-A IMW-YAHOO-WEBCAM -m comment --comment "yahoo/webcam (software)" -j IMW-REFUSE
# yahoo/games: games; one forum post names it
-A IMWARDEN -p tcp -m tcp --dport 11999 -m comment --comment "yahoo/games (field)" -g IMW-YAHOO-GAMES
-A IMW-YAHOO-GAMES -m comment --comment "yahoo/games (field)" -j IMW-REFUSE
# yahoo/peer: messages and files from client to client
-A IMWARDEN -p tcp -m tcp --dport 5101 -m comment --comment "yahoo/peer (software)" -g IMW-YAHOO-P2P
-A IMW-YAHOO-P2P -m comment --comment "yahoo/peer (software)" -j IMW-REFUSE
-A IMW-REFUSE -p tcp -m comment --comment "imwarden: TCP, at once" -j REJECT --reject-with tcp-reset
-A IMW-REFUSE -m comment --comment "imwarden: UDP, at once" -j REJECT --reject-with icmp-port-unreachable
COMMIT
END-OF-RULES
}

rules_v6() {
	cat <<'END-OF-RULES'
*filter
:IMWARDEN - [0:0]
:IMW-REFUSE - [0:0]
:IMW-MSN-SESSION - [0:0]
:IMW-MSN-FILES - [0:0]
:IMW-MSN-CONF - [0:0]
:IMW-MSN-APPSHARE - [0:0]
:IMW-YAHOO-SESSION - [0:0]
:IMW-YAHOO-VOICE - [0:0]
:IMW-YAHOO-WEBCAM - [0:0]
:IMW-YAHOO-GAMES - [0:0]
:IMW-YAHOO-P2P - [0:0]
# Resets pass first: a refusal is itself a reset, and must get out.
-A IMWARDEN -p tcp -m tcp --tcp-flags RST RST -m comment --comment "imwarden: resets pass" -j RETURN
# Only the opener's packets are judged: whose own port happens to be 5190 loses nothing.
-A IMWARDEN -m conntrack --ctdir REPLY -m comment --comment "imwarden: answers pass" -j RETURN
# msn/session: sign-on, presence and messages; the port is not configurable, which makes it easy to
# restrict
# msn/switchboard: conversations on servers that are run today
-A IMWARDEN -p tcp -m multiport --dports 1863,1864 -m comment --comment "msn/session (document), msn/switchboard (software)" -g IMW-MSN-SESSION
-A IMW-MSN-SESSION -m comment --comment "msn/session (document), msn/switchboard (software)" -j IMW-REFUSE
# msn/file-transfer: stops file transfers, incoming and outgoing
# msn/file-transfer-range: further file transfers at the same time
-A IMWARDEN -p tcp -m multiport --dports 6891,6892:6900 -m comment --comment "msn/file-transfer (document), msn/file-transfer-range (vendor)" -g IMW-MSN-FILES
-A IMW-MSN-FILES -m comment --comment "msn/file-transfer (document), msn/file-transfer-range (vendor)" -j IMW-REFUSE
# msn/conferencing: stops audio and video; the vendor names UDP 5004-65535 instead
# msn/voice-tcp: voice
# msn/voice-udp: voice
# msn/conferencing-old: voice over a telephone gateway; one list names it
-A IMWARDEN -p tcp -m tcp --dport 6901 -m comment --comment "msn/voice-tcp (vendor)" -g IMW-MSN-CONF
-A IMWARDEN -p udp -m multiport --dports 6801,6901,13324:13325 -m comment --comment "msn/conferencing (document), msn/voice-udp (vendor), msn/conferencing-old (field)" -g IMW-MSN-CONF
-A IMW-MSN-CONF -m comment --comment "msn/conferencing (document), msn/voice-tcp, msn/voice-udp (vendor), msn/conferencing-old (field)" -j IMW-REFUSE
# msn/application-sharing: stops application sharing and the whiteboard (T.120)
# msn/whiteboard: whiteboard; one list names it
-A IMWARDEN -p tcp -m multiport --dports 1503,7800:7825 -m comment --comment "msn/application-sharing (document), msn/whiteboard (field)" -g IMW-MSN-APPSHARE
-A IMW-MSN-APPSHARE -m comment --comment "msn/application-sharing (document), msn/whiteboard (field)" -j IMW-REFUSE
# yahoo/session: stops instant messaging, as long as the client does not fall back to another port
# yahoo/fallback-8001-8002: tried when 5050 is closed
-A IMWARDEN -p tcp -m multiport --dports 5050,8001:8002 -m comment --comment "yahoo/session (document), yahoo/fallback-8001-8002 (software)" -g IMW-YAHOO-SESSION
-A IMW-YAHOO-SESSION -m comment --comment "yahoo/session (document), yahoo/fallback-8001-8002 (software)" -j IMW-REFUSE
# yahoo/phone: calls to telephones; one list names it
# yahoo/voice-tcp: voice; one list says TCP 5000-5010, and development servers like 5000 too
# yahoo/voice-udp: voice; RTP and others use these ports too
-A IMWARDEN -p tcp -m multiport --dports 5000:5001,5055 -m comment --comment "yahoo/phone, yahoo/voice-tcp (field)" -g IMW-YAHOO-VOICE
-A IMWARDEN -p udp -m udp --dport 5000:5010 -m comment --comment "yahoo/voice-udp (field)" -g IMW-YAHOO-VOICE
-A IMW-YAHOO-VOICE -m comment --comment "yahoo/phone, yahoo/voice-tcp, yahoo/voice-udp (field)" -j IMW-REFUSE
# yahoo/webcam: pictures, through the server or between clients
-A IMWARDEN -p tcp -m tcp --dport 5100 -m comment --comment "yahoo/webcam (software)" -g IMW-YAHOO-WEBCAM
-A IMW-YAHOO-WEBCAM -m comment --comment "yahoo/webcam (software)" -j IMW-REFUSE
# yahoo/games: games; one forum post names it
-A IMWARDEN -p tcp -m tcp --dport 11999 -m comment --comment "yahoo/games (field)" -g IMW-YAHOO-GAMES
-A IMW-YAHOO-GAMES -m comment --comment "yahoo/games (field)" -j IMW-REFUSE
# yahoo/peer: messages and files from client to client
-A IMWARDEN -p tcp -m tcp --dport 5101 -m comment --comment "yahoo/peer (software)" -g IMW-YAHOO-P2P
-A IMW-YAHOO-P2P -m comment --comment "yahoo/peer (software)" -j IMW-REFUSE
-A IMW-REFUSE -p tcp -m comment --comment "imwarden: TCP, at once" -j REJECT --reject-with tcp-reset
-A IMW-REFUSE -m comment --comment "imwarden: UDP, at once" -j REJECT --reject-with icmp6-port-unreachable
COMMIT
END-OF-RULES
}

# jumps PROGRAM: leads the directions asked for into our chains, and no others.
jumps() {
	if ! only "$1" FORWARD -m comment --comment "imwarden" -j IMWARDEN; then
		"$1" -w -I FORWARD 1 -m comment --comment "imwarden" -j IMWARDEN
		unjump "$1" FORWARD 1
	fi
	unjump "$1" OUTPUT 0
	unjump "$1" INPUT 0
}

no_jumps() {
	unjump "$1" FORWARD 0
	unjump "$1" OUTPUT 0
	unjump "$1" INPUT 0
}

# count PROGRAM CHAIN: how many jumps of ours are there.
count() {
	"$1" -w -S "$2" | grep -c -- '-j IMWARDEN$' || true
}

# only PROGRAM CHAIN RULE...: whether this rule leads into our chains, and no other does.
only() {
	[ "$(count "$1" "$2")" = 1 ] || return 1
	asked=$1
	shift
	"$asked" -w -C "$@" 2>/dev/null
}

# unjump PROGRAM CHAIN KEEP: takes out our jumps but the first KEEP of them.
unjump() {
	number=0
	seen=0
	old=
	for target in $("$1" -w -S "$2" | sed -n 's/^-A .*-j IMWARDEN$/ours/p; t; s/^-A .*/other/p'); do
		number=$((number + 1))
		[ "$target" = ours ] || continue
		seen=$((seen + 1))
		[ "$seen" -le "$3" ] || old="$number $old"
	done
	# From the last to the first, so that numbers stay what they are.
	for number in $old; do "$1" -w -D "$2" "$number"; done
}

# our_chains PROGRAM: every chain that an imwarden policy has left here.
our_chains() {
	"$1" -w -S | sed -n 's/^-N \(IMWARDEN\)$/\1/p; s/^-N \(IMW-[A-Z0-9-]*\)$/\1/p'
}

# drop_chains PROGRAM KEEP: deletes our chains but those to keep. All are emptied before the first is
# deleted, because a chain that another one names cannot go.
drop_chains() {
	old=
	for chain in $(our_chains "$1"); do
		case " $2 " in
		*" $chain "*) ;;
		*) old="$old $chain" ;;
		esac
	done
	for chain in $old; do "$1" -w -F "$chain"; done
	for chain in $old; do "$1" -w -X "$chain"; done
}

check() {
	rules_v4 | "$IPTABLES-restore" -w --noflush --test
	rules_v6 | "$IP6TABLES-restore" -w --noflush --test
}

load() {
	check
	rules_v4 | "$IPTABLES-restore" -w --noflush
	rules_v6 | "$IP6TABLES-restore" -w --noflush
	for program in "$IPTABLES" "$IP6TABLES"; do
		jumps "$program"
		drop_chains "$program" "$CHAINS"
	done
}

remove() {
	for program in "$IPTABLES" "$IP6TABLES"; do
		no_jumps "$program"
		drop_chains "$program" ""
	done
}

usage() {
	echo "usage: sh $0 [load|check|remove]" >&2
	exit 2
}

case ${1:-load} in
load) load ;;
check) check ;;
remove) remove ;;
*) usage ;;
esac
#
# What this file is about, for imwarden policy --diff:
# imwarden-rule: action reject
# imwarden-rule: direction forward
# imwarden-rule: host *.contacts.msn.com msn
# imwarden-rule: host *.messenger.hotmail.com msn
# imwarden-rule: host *.messenger.live.com msn
# imwarden-rule: host *.messenger.msn.com msn
# imwarden-rule: host *.msg.yahoo.co.jp yahoo
# imwarden-rule: host *.msg.yahoo.com yahoo
# imwarden-rule: host *.msgr.hotmail.com msn
# imwarden-rule: host cs.yahoo.co.jp yahoo
# imwarden-rule: host cs1.msg.vip.ogk.yahoo.co.jp yahoo
# imwarden-rule: host cs1.yahoo.com yahoo
# imwarden-rule: host cs2.yahoo.com yahoo
# imwarden-rule: host cs3.yahoo.com yahoo
# imwarden-rule: host ebyrdromegactcsmsn.log1p.xyz msn
# imwarden-rule: host eowsmsgrmsn.log1p.xyz msn
# imwarden-rule: host ersih.log1p.xyz msn
# imwarden-rule: host geo.gateway.messenger.live.com msn
# imwarden-rule: host http.pager.yahoo.com yahoo
# imwarden-rule: host lookup.msg.vip.mud.yahoo.com yahoo
# imwarden-rule: host rsi.hotmail.com msn
# imwarden-rule: host wc.yahoo.co.jp yahoo
# imwarden-rule: host webcam.yahoo.com yahoo
# imwarden-rule: port tcp 11999 yahoo games yahoo/games
# imwarden-rule: port tcp 1503 msn application-sharing msn/application-sharing
# imwarden-rule: port tcp 1863 msn session msn/session
# imwarden-rule: port tcp 1864 msn session msn/switchboard
# imwarden-rule: port tcp 5000-5001 yahoo voice yahoo/voice-tcp
# imwarden-rule: port tcp 5050 yahoo session yahoo/session
# imwarden-rule: port tcp 5055 yahoo voice yahoo/phone
# imwarden-rule: port tcp 5100 yahoo webcam yahoo/webcam
# imwarden-rule: port tcp 5101 yahoo peer-to-peer yahoo/peer
# imwarden-rule: port tcp 6891 msn file-transfer msn/file-transfer
# imwarden-rule: port tcp 6892-6900 msn file-transfer msn/file-transfer-range
# imwarden-rule: port tcp 6901 msn conferencing msn/voice-tcp
# imwarden-rule: port tcp 7800-7825 msn application-sharing msn/whiteboard
# imwarden-rule: port tcp 8001-8002 yahoo session yahoo/fallback-8001-8002
# imwarden-rule: port udp 13324-13325 msn conferencing msn/conferencing
# imwarden-rule: port udp 5000-5010 yahoo voice yahoo/voice-udp
# imwarden-rule: port udp 6801 msn conferencing msn/conferencing-old
# imwarden-rule: port udp 6901 msn conferencing msn/voice-udp

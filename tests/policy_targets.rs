//! Files for resolvers and proxies, judged by those: each is accepted by its own checker, refuses the names that it should when it
//! is asked, and leaves their neighbours alone.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "policy_support/combinations.rs"]
mod combinations;
#[path = "policy_support/mod.rs"]
mod support;

use assert_cmd::Command;
use combinations::texts;
use imwarden::policy::Target;
use std::path::{Path, PathBuf};

fn write(folder: &Path, format: &str, choice: &[&str]) -> PathBuf {
    let path = folder.join(format);
    Command::cargo_bin("imwarden")
        .unwrap()
        .args(["policy", "--format", format, "-o"])
        .arg(&path)
        .args(choice)
        .assert()
        .success();
    path
}

/// Runs a script in a private network, and returns what it wrote.
fn shell(script: &str) -> String {
    let run = std::process::Command::new("unshare")
        .args(["-Urn", "sh", "-euc", script])
        .env("PATH", support::path())
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{script}\n{words}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

#[test]
fn every_combination_is_accepted_by_the_program_it_is_for() {
    let programs = ["named-checkzone", "unbound-checkconf", "dnsmasq", "squid"];
    if !support::can_run(
        "every_combination_is_accepted_by_the_program_it_is_for",
        &programs,
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for (target, check) in [
        (Target::Rpz, "named-checkzone -i none rpz.imwarden"),
        (Target::Unbound, "unbound-checkconf"),
        (Target::Dnsmasq, "dnsmasq --test -C"),
        (Target::DnsmasqNftset, "dnsmasq --test -C"),
        (Target::DnsmasqIpset, "dnsmasq --test -C"),
        (Target::Squid, "squid -n imwardentest -k parse -f"),
    ] {
        let texts = texts(target);
        assert!(texts.len() > 5, "{target:?}: {}", texts.len());
        for (number, (text, _)) in texts.iter().enumerate() {
            let path = folder.path().join(format!("{target:?}-{number}"));
            std::fs::write(&path, text).unwrap();
            let run = std::process::Command::new("sh")
                .args(["-c", &format!("{check} {} 2>&1", path.display())])
                .env("PATH", support::path())
                .output()
                .unwrap();
            let words = String::from_utf8_lossy(&run.stdout);
            assert!(run.status.success(), "{target:?}: {words}\n{text}");
            for bad in ["WARNING", "ERROR", "FATAL", "ignoring"] {
                assert!(!words.contains(bad), "{target:?}: {words}\n{text}");
            }
        }
        // Nothing but the policy decides: it is the same when it is written again.
        assert_eq!(combinations::texts(target), texts, "{target:?}");
    }
}

/// Names that the default policy refuses, and neighbours that it does not.
const REFUSED: [&str; 5] = [
    "login.oscar.aol.com",
    "login.icq.com",
    "messenger.hotmail.com",
    "gateway.messenger.hotmail.com",
    "deep.scs.msg.yahoo.com",
];
const ALLOWED: [&str; 6] = [
    "aol.com",
    "www.icq.com",
    "hotmail.com",
    "notmsg.yahoo.com",
    "msg.yahoo.com.example.com",
    "www.example.com",
];

/// The status of an answer for each name, by a resolver on port 5300.
fn answers(start: &str) -> Vec<(String, String)> {
    let names = [&REFUSED[..], &ALLOWED[..]].concat().join(" ");
    let first = REFUSED[0];
    let script = format!(
        "ip link set lo up
        {start}
        for try in 1 2 3 4 5 6 7 8 9 10; do
            dig +tries=1 +time=1 -p 5300 @127.0.0.1 www.example.com >/dev/null 2>&1 && break
            sleep 0.2
        done
        for name in {names}; do
            echo $name $(dig +tries=2 +time=2 -p 5300 @127.0.0.1 $name | sed -n 's/.*status: \\([A-Z]*\\),.*/\\1/p')
        done
        # Whoever asks somebody else, over HTTPS or not, is not refused.
        echo elsewhere $(dig +tries=2 +time=2 -p 5301 @127.0.0.1 {first} | sed -n 's/.*status: \\([A-Z]*\\),.*/\\1/p')
        kill $(cat pids) 2>/dev/null || true"
    );
    let told = shell(&script);
    told.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, status)| (name.to_owned(), status.to_owned()))
        .collect()
}

fn judge(what: &str, answers: &[(String, String)]) {
    assert_eq!(
        answers.len(),
        REFUSED.len() + ALLOWED.len() + 1,
        "{what}: {answers:?}"
    );
    for (name, status) in answers {
        let wanted = if REFUSED.contains(&name.as_str()) {
            "NXDOMAIN"
        } else {
            "NOERROR"
        };
        assert_eq!(status, wanted, "{what}: {name}");
    }
}

#[test]
fn resolvers_refuse_the_names_and_none_beside_them() {
    if !support::can_run(
        "resolvers_refuse_the_names_and_none_beside_them",
        &["dnsmasq", "unbound", "dig"],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    // Everything that is not refused has an address, whoever is asked.
    let upstream = format!(
        "cd {at}
        dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --port=5301 --listen-address=127.0.0.1 \
            --bind-interfaces --address=/#/192.0.2.80 --pid-file= --user= >up.log 2>&1 & echo $! >pids"
    );
    let dnsmasq = write(folder.path(), "dnsmasq", &[]);
    judge(
        "dnsmasq",
        &answers(&format!(
            "{upstream}
            dnsmasq --no-daemon --conf-file={} --no-resolv --no-hosts --port=5300 --listen-address=127.0.0.1 --bind-interfaces \
                --server=127.0.0.1#5301 --pid-file= --user= >own.log 2>&1 & echo $! >>pids",
            dnsmasq.display()
        )),
    );
    let base = format!(
        "server:\n interface: 127.0.0.1@5300\n chroot: \"\"\n username: \"\"\n directory: \"{at}\"\n pidfile: \"\"\n use-syslog: no\n \
         do-not-query-localhost: no\n MODULES\nforward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@5301\nremote-control:\n control-enable: no\n"
    );
    let unbound = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        judge(
            name,
            &answers(&format!(
                "{upstream}\nunbound -d -c {at}/{name} >own.log 2>&1 & echo $! >>pids"
            )),
        );
    };
    let own = write(folder.path(), "unbound", &[]);
    unbound(
        "unbound.conf",
        &format!(
            "{}include: \"{}\"\n",
            base.replace("MODULES", "module-config: \"iterator\""),
            own.display()
        ),
    );
    // The file that BIND takes works there as well.
    let zone = write(folder.path(), "rpz", &[]);
    unbound(
        "rpz.conf",
        &format!(
            "{}rpz:\n name: rpz.imwarden\n zonefile: \"{}\"\n",
            base.replace("MODULES", "module-config: \"respip iterator\""),
            zone.display()
        ),
    );
}

#[test]
fn strict_refuses_what_a_format_cannot_say_and_nothing_is_left_out_in_silence() {
    let run = |arguments: &[&str]| {
        let run = Command::cargo_bin("imwarden")
            .unwrap()
            .arg("policy")
            .args(arguments)
            .output()
            .unwrap();
        (
            run.status.code().unwrap(),
            String::from_utf8(run.stdout).unwrap(),
            String::from_utf8(run.stderr).unwrap(),
        )
    };
    let (code, out, words) = run(&["--format", "hosts", "--strict"]);
    assert_eq!((code, out.as_str()), (2, ""));
    for what in ["*.msg.yahoo.com", "aim, icq session (TCP 5190)"] {
        assert!(words.contains(what), "{words}");
    }
    let (code, out, _) = run(&["--format", "hosts"]);
    assert_eq!(code, 0);
    assert!(out.contains("*.msg.yahoo.com: not here") && out.contains("0.0.0.0 login.icq.com"));
    // A policy of ports alone is nothing to a resolver, and that is said.
    let (code, out, words) = run(&["--format", "rpz", "--feature", "aim:images"]);
    assert_eq!(code, 0);
    assert!(
        out.contains("THIS FILE REFUSES NOTHING") && words.contains("can say nothing"),
        "{words}"
    );
    // What it can say exactly, it may write.
    let (code, _, words) = run(&[
        "--format",
        "nftables",
        "--feature",
        "aim:images",
        "--strict",
    ]);
    assert_eq!(code, 0, "{words}");
}

/// Names in hellos, of one's own: at any port, and at one.
const BY_NAME: &str = "profile = \"none\"\nmatch = [\"sni\"]\n\
    [[rule]]\nid = \"chat\"\nsni = \"*.chat.example.com\"\nreason = \"not here\"\n\
    [[rule]]\nid = \"talk\"\nsni = \"talk.example.net\"\nport = \"8443-8444\"\nreason = \"nor here\"\n";

/// `HTTP/1.1 403`, or what else a proxy says to whoever asks it for a tunnel.
#[test]
fn squid_refuses_tunnels_to_names_in_hellos_and_no_others() {
    if !support::can_run(
        "squid_refuses_tunnels_to_names_in_hellos_and_no_others",
        &["squid", "curl"],
    ) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    std::fs::write(folder.path().join("policy.toml"), BY_NAME).unwrap();
    let own = write(
        folder.path(),
        "squid",
        &["--plan", &format!("{at}/policy.toml")],
    );
    // Whatever is allowed goes to a place where nobody is: squid then says 503, not 403.
    let conf = format!(
        "include {}\nhttp_access allow all\nhttp_port 127.0.0.1:3128\npid_filename {at}/pid\ncache_log {at}/log\naccess_log none\n\
         coredump_dir {at}\nhosts_file {at}/hosts\nnetdb_filename none\npinger_enable off\nforward_timeout 2 seconds\n",
        own.display()
    );
    std::fs::write(folder.path().join("squid.conf"), conf).unwrap();
    let names = [
        ("chat.example.com:443", "403"),
        ("a.b.chat.example.com:5222", "403"),
        ("talk.example.net:8443", "403"),
        ("talk.example.net:8444", "403"),
        ("talk.example.net:443", "503"),
        ("notchat.example.com:443", "503"),
        ("chat.example.com.example.net:443", "503"),
        ("www.example.com:443", "503"),
    ];
    let hosts: Vec<String> = names
        .iter()
        .map(|(name, _)| format!("127.0.0.1 {}\n", name.split(':').next().unwrap()))
        .collect();
    std::fs::write(folder.path().join("hosts"), hosts.concat()).unwrap();
    let asked: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let told = shell(&format!(
        "ip link set lo up
        # It does not run as root.
        unshare -U --map-user=1000 --map-group=1000 -- squid -n imwardenhello -N -f {at}/squid.conf >{at}/out 2>&1 & squid=$!
        for try in $(seq 100); do
            curl -s -o {at}/none http://127.0.0.1:3128/ && break
            sleep 0.2
        done
        for name in {}; do
            echo $name $(curl -s -o {at}/none -w '%{{http_connect}}' --proxy http://127.0.0.1:3128 https://$name/)
        done
        kill $squid",
        asked.join(" ")
    ));
    for (name, status) in names {
        assert!(
            told.contains(&format!("{name} {status}\n")),
            "{name} {status}:\n{told}"
        );
    }
}

/// One rule of Suricata: `action proto source ports -> destination ports (option; option:value; ...)`.
#[test]
fn suricatas_rules_have_the_form_that_its_manual_gives() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("policy.toml");
    std::fs::write(&plan, BY_NAME).unwrap();
    let own = write(
        folder.path(),
        "suricata",
        &["--plan", &plan.display().to_string()],
    );
    let mut all: Vec<String> = vec![std::fs::read_to_string(own).unwrap()];
    assert!(all[0].contains("-> any 8443:8444 (msg:\"imwarden talk talk.example.net (site)\"; tls.sni; content:\"talk.example.net\"; nocase; bsize:16; "));
    assert!(
        all[0].contains("tls.sni; dotprefix; content:\".chat.example.com\"; nocase; endswith; ")
    );
    all.extend(texts(Target::Suricata).into_iter().map(|(text, _)| text));
    let mut bodies = 0;
    for text in all {
        let mut ids = std::collections::BTreeSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (head, rest) = line.split_once(" (").unwrap_or_else(|| panic!("{line}"));
            let words: Vec<&str> = head.split(' ').collect();
            let [action, proto, _, _, "->", _, ports] = words[..] else {
                panic!("{line}");
            };
            assert!(["reject", "drop", "alert"].contains(&action), "{line}");
            assert!(
                ["tcp", "udp", "dns", "tls", "http"].contains(&proto),
                "{line}"
            );
            assert!(
                ports
                    .chars()
                    .all(|c| c.is_ascii_digit() || "any:[]!,".contains(c)),
                "{line}"
            );
            let options: Vec<&str> = rest.strip_suffix(";)").unwrap().split("; ").collect();
            let mut buffer = "";
            for option in &options {
                let (name, value) = option.split_once(':').unwrap_or((option, ""));
                match name {
                    "msg" | "content" => assert!(
                        value.starts_with('"') && value.ends_with('"') && value.len() > 2,
                        "{line}"
                    ),
                    "sid" => assert!(ids.insert(value.parse::<u32>().unwrap()), "{line}"),
                    "bsize" | "offset" | "depth" | "rev" => _ = value.parse::<u32>().unwrap(),
                    "dns.query" | "tls.sni" | "http.host" | "http.request_body" => {
                        buffer = name;
                        assert!(name.starts_with(proto) && value.is_empty(), "{line}");
                    }
                    "dotprefix" | "nocase" | "endswith" => {
                        assert!(value.is_empty() && !buffer.is_empty(), "{line}");
                    }
                    "flow" | "stream_size" | "classtype" => assert!(!value.is_empty(), "{line}"),
                    other => panic!("{other}: {line}"),
                }
            }
            bodies += u32::from(buffer == "http.request_body");
            assert!(options.iter().any(|it| it.starts_with("sid:")), "{line}");
        }
    }
    assert!(bodies > 0, "what is posted is looked at");
}

//! Files for resolvers and proxies, judged by those: each is accepted by its own checker, refuses the names that it should when it
//! is asked, and leaves their neighbours alone.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "policy_support/combinations.rs"]
mod combinations;
#[path = "policy_support/sharing.rs"]
mod sharing;
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
const ALLOWED: [&str; 7] = [
    "below.login.icq.com",
    "aol.com",
    "www.icq.com",
    "hotmail.com",
    "notmsg.yahoo.com",
    "msg.yahoo.com.example.com",
    "www.example.com",
];

/// The status of an answer for each name and the address in it, by a resolver on port 5300.
fn answers(start: &str, refused: &[&str], allowed: &[&str]) -> Vec<(String, String)> {
    let names = [refused, allowed].concat().join(" ");
    let first = refused[0];
    let script = format!(
        "ip link set lo up
        {start}
        for try in 1 2 3 4 5 6 7 8 9 10; do
            dig +tries=1 +time=1 -p 5300 @127.0.0.1 www.example.com >/dev/null 2>&1 && break
            sleep 0.2
        done
        for name in {names}; do
            dig +tries=2 +time=2 -p 5300 @127.0.0.1 $name >answer
            echo $name $(sed -n 's/.*status: \\([A-Z]*\\),.*/\\1/p' answer) $(sed -n 's/.*IN\tA\t//p' answer)
        done
        # Whoever asks somebody else, over HTTPS or not, is not refused.
        dig +tries=2 +time=2 -p 5301 @127.0.0.1 {first} >answer
        echo elsewhere $(sed -n 's/.*status: \\([A-Z]*\\),.*/\\1/p' answer) $(sed -n 's/.*IN\tA\t//p' answer)
        kill $(cat pids) 2>/dev/null || true"
    );
    let told = shell(&script);
    told.lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, status)| (name.to_owned(), status.to_owned()))
        .collect()
}

/// A name is refused where there is no such name, or none with an address; else it has the one that all have.
fn judge(what: &str, start: &str, refused: &[&str], allowed: &[&str]) {
    let answers = answers(start, refused, allowed);
    let all = refused.len() + allowed.len() + 1;
    assert_eq!(answers.len(), all, "{what}: {answers:?}");
    for (name, answer) in answers {
        if refused.contains(&name.as_str()) {
            let none = ["NXDOMAIN", "NOERROR"].contains(&answer.as_str());
            assert!(none, "{what}: {name} {answer}");
        } else {
            assert_eq!(answer, "NOERROR 192.0.2.80", "{what}: {name}");
        }
    }
}

#[test]
fn resolvers_refuse_the_names_and_none_beside_them() {
    let name = "resolvers_refuse_the_names_and_none_beside_them";
    if support::can_run(name, &["dnsmasq", "unbound", "dig"]) {
        let same = |_: &str| (REFUSED.to_vec(), ALLOWED.to_vec());
        by_each_resolver(&[], same);
    }
}

#[test]
fn hosts_that_serve_others_below_refused_ones_are_answered() {
    let name = "hosts_that_serve_others_below_refused_ones_are_answered";
    if !support::can_run(name, &["dnsmasq", "unbound", "dig"]) {
        return;
    }
    let rules = tempfile::tempdir().unwrap();
    sharing::write(rules.path());
    let rules = rules.path().to_str().unwrap();
    let choice = ["--rules", rules, "--service", "chat"];
    by_each_resolver(&choice, |resolver| {
        let mut refused = vec![
            "chat.example.com",
            "a.b.chat.example.com",
            "notwww.chat.example.com",
            "bot.cdn.chat.example.com",
            "a.talk.example.net",
        ];
        let mut allowed = vec![
            "www.chat.example.com",
            "cdn.chat.example.com",
            "a.cdn.chat.example.com",
            "a.b.cdn.chat.example.com",
            "a.bot.cdn.chat.example.com",
            "notchat.example.com",
            "example.com",
        ];
        // What unbound cannot say exactly it says, and this is what becomes of it.
        if resolver == "unbound.conf" {
            allowed.push("below.www.chat.example.com");
            refused.push("talk.example.net");
        } else {
            refused.push("below.www.chat.example.com");
            allowed.push("talk.example.net");
        }
        (refused, allowed)
    });
    let folder = tempfile::tempdir().unwrap();
    for (format, exact) in [
        ("rpz", true),
        ("dnsmasq", true),
        ("squid", true),
        ("unbound", false),
    ] {
        let text = std::fs::read_to_string(write(folder.path(), format, &choice)).unwrap();
        assert_eq!(!text.contains("weaker"), exact, "{format}: {text}");
        assert!(text.contains("imwarden-rule: host-except www.chat.example.com"));
    }
}

/// Asks dnsmasq, unbound, and unbound with the file that BIND takes. `expected`: what they must refuse and answer.
fn by_each_resolver<'a>(choice: &[&str], expected: impl Fn(&str) -> (Vec<&'a str>, Vec<&'a str>)) {
    let judge = |what: &str, start: &str| {
        let (refused, allowed) = expected(what);
        judge(what, start, &refused, &allowed);
    };
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    // Everything that is not refused has an address, whoever is asked.
    let upstream = format!(
        "cd {at}
        dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --port=5301 --listen-address=127.0.0.1 \
            --bind-interfaces --address=/#/192.0.2.80 --pid-file= --user= >up.log 2>&1 & echo $! >pids"
    );
    let dnsmasq = write(folder.path(), "dnsmasq", choice);
    judge(
        "dnsmasq",
        &format!(
            "{upstream}
            dnsmasq --no-daemon --conf-file={} --no-resolv --no-hosts --port=5300 --listen-address=127.0.0.1 --bind-interfaces \
                --server=127.0.0.1#5301 --pid-file= --user= >own.log 2>&1 & echo $! >>pids",
            dnsmasq.display()
        ),
    );
    let base = format!(
        "server:\n interface: 127.0.0.1@5300\n chroot: \"\"\n username: \"\"\n directory: \"{at}\"\n pidfile: \"\"\n use-syslog: no\n \
         do-not-query-localhost: no\n MODULES\nforward-zone:\n name: \".\"\n forward-addr: 127.0.0.1@5301\nremote-control:\n control-enable: no\n"
    );
    let unbound = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        judge(
            name,
            &format!("{upstream}\nunbound -d -c {at}/{name} >own.log 2>&1 & echo $! >>pids"),
        );
    };
    let own = write(folder.path(), "unbound", choice);
    unbound(
        "unbound.conf",
        &format!(
            "{}include: \"{}\"\n",
            base.replace("MODULES", "module-config: \"iterator\""),
            own.display()
        ),
    );
    // The file that BIND takes works there as well.
    let zone = write(folder.path(), "rpz", choice);
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

#[test]
fn squid_refuses_tunnels_to_names_in_hellos_and_no_others() {
    let name = "squid_refuses_tunnels_to_names_in_hellos_and_no_others";
    if !support::can_run(name, &["squid", "curl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("policy.toml");
    std::fs::write(&plan, BY_NAME).unwrap();
    let own = write(folder.path(), "squid", &["--plan", plan.to_str().unwrap()]);
    through_squid(
        &own,
        "hello",
        &[
            ("chat.example.com:443", "403"),
            ("a.b.chat.example.com:5222", "403"),
            ("talk.example.net:8443", "403"),
            ("talk.example.net:8444", "403"),
            ("talk.example.net:443", "503"),
            ("notchat.example.com:443", "503"),
            ("chat.example.com.example.net:443", "503"),
            ("www.example.com:443", "503"),
        ],
    );
}

#[test]
fn squid_lets_pass_what_serves_others_below_refused_names() {
    let name = "squid_lets_pass_what_serves_others_below_refused_names";
    if !support::can_run(name, &["squid", "curl"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    sharing::write(folder.path());
    let rules = folder.path().to_str().unwrap();
    let own = write(
        folder.path(),
        "squid",
        &["--rules", rules, "--service", "chat"],
    );
    through_squid(
        &own,
        "shared",
        &[
            ("chat.example.com:443", "403"),
            ("a.b.chat.example.com:443", "403"),
            ("below.www.chat.example.com:443", "403"),
            ("bot.cdn.chat.example.com:443", "403"),
            ("a.talk.example.net:443", "403"),
            ("www.chat.example.com:443", "503"),
            ("a.cdn.chat.example.com:443", "503"),
            ("talk.example.net:443", "503"),
        ],
    );
}

/// Asks a squid with these rules for tunnels. Whatever is allowed goes to a place where nobody is: it then says 503, not 403.
fn through_squid(own: &Path, run: &str, names: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().display();
    let conf = format!(
        "include {at}/own\nhttp_access allow all\nhttp_port 127.0.0.1:3128\npid_filename {at}/pid\ncache_log {at}/log\naccess_log none\n\
         coredump_dir {at}\nhosts_file {at}/hosts\nnetdb_filename none\npinger_enable off\nforward_timeout 2 seconds\n"
    );
    std::fs::copy(own, folder.path().join("own")).unwrap();
    std::fs::write(folder.path().join("squid.conf"), conf).unwrap();
    let hosts: Vec<String> = names
        .iter()
        .map(|(name, _)| format!("127.0.0.1 {}\n", name.split(':').next().unwrap()))
        .collect();
    std::fs::write(folder.path().join("hosts"), hosts.concat()).unwrap();
    let asked: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
    let told = shell(&format!(
        "ip link set lo up
        # It does not run as root.
        unshare -U --map-user=1000 --map-group=1000 -- squid -n imwarden{run} -N -f {at}/squid.conf >{at}/out 2>&1 & squid=$!
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
                        value.trim_start_matches('!').starts_with('"')
                            && value.ends_with('"')
                            && value.len() > 2,
                        "{line}"
                    ),
                    "sid" => assert!(ids.insert(value.parse::<u32>().unwrap()), "{line}"),
                    "bsize" | "offset" | "depth" | "rev" => _ = value.parse::<u32>().unwrap(),
                    "dns.query" | "tls.sni" | "http.host" | "http.request_body" => {
                        buffer = name;
                        assert!(name.starts_with(proto) && value.is_empty(), "{line}");
                    }
                    "dotprefix" | "nocase" | "endswith" | "startswith" => {
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

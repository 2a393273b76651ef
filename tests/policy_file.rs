//! `policy.toml` as an administrator meets it: what it says goes, what is wrong with it is shown in its place, what is over is left
//! out and said, what would cut somebody off is refused, and what changes is told rule by rule.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "policy_support/hello.rs"]
#[allow(dead_code, reason = "the firewalls' part of it")]
mod hello;

use assert_cmd::Command;
use std::fmt::Write as _;
use std::path::PathBuf;

struct Site {
    folder: tempfile::TempDir,
}

struct Told {
    code: i32,
    out: String,
    err: String,
}

impl Site {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `imwarden policy ...` in this folder; on a machine that nobody is logged in to.
    fn run(&self, args: &[&str]) -> Told {
        self.run_from(args, None)
    }

    fn run_from(&self, args: &[&str], ssh: Option<&str>) -> Told {
        let mut command = Command::cargo_bin("imwarden").unwrap();
        command
            .arg("policy")
            .args(args)
            .env_remove("SSH_CONNECTION")
            .current_dir(self.folder.path());
        if let Some(ssh) = ssh {
            command.env("SSH_CONNECTION", ssh);
        }
        let output = command.output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Told {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// The rules of a policy file, which must be good.
    fn rules(&self, text: &str, args: &[&str]) -> Told {
        self.write("policy.toml", text);
        let told = self.run(&[&["--plan", "policy.toml"], args].concat());
        assert_eq!(told.code, 0, "{text}\n{}", told.err);
        told
    }
}

/// What a file is about, as it says itself.
fn manifest(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# imwarden-rule: "))
        .collect()
}

const WHOLE: &str = r#"
services = ["aim", "yahoo"]
profile = "document"
match = ["port", "name", "signature"]
direction = ["forward"]
action = "drop"
sources = ["10.0.0.0/8", "2001:db8::/32"]
interfaces = ["in:lan0", "out:wan0"]
mark = "0x5500/0xff00"
log = 73

[[rule]]
id = "old-chat"
to = "192.0.2.0/24"
port = "7000-7010"
reason = "closed since the audit"

[[rule]]
id = "web-chat"
to = "*.chat.example.com"
reason = "asked for by the works council"
until = 2027-01-31

[[exception]]
net = "10.0.0.7"
why = "the press office"
until = "2026-12-31"
"#;

#[test]
fn all_that_a_file_says_is_in_the_rules() {
    let site = Site::new();
    let told = site.rules(WHOLE, &["--as-of", "2026-11-28"]);
    for rule in [
        "action drop",
        "direction forward",
        "except 10.0.0.7/32",
        "host *.chat.example.com web-chat",
        "host login.oscar.aol.com aim",
        "interfaces in:lan0, out:wan0",
        "log group 73",
        "mark 0x5500/0xff00",
        "port tcp 5190 aim session aim/session",
        "rule old-chat to 192.0.2.0/24 tcp 7000-7010",
        "set *.chat.example.com web-chat",
        "set *.msg.yahoo.com yahoo",
        "source 10.0.0.0/8",
        "source 2001:db8::/32",
    ] {
        assert!(manifest(&told.out).contains(&rule), "{rule}\n{}", told.out);
    }
    for absent in [
        "direction output",
        "port tcp 1863",
        "host login.icq.com",
        "expired",
    ] {
        let hit = manifest(&told.out).iter().any(|line| line.contains(absent));
        assert!(!hit, "{absent}");
    }
    for line in [
        "ip daddr 192.0.2.0/24 tcp dport 7000-7010 goto f_rule_old_chat",
        "log prefix \"imwarden: \" group 73 snaplen 96",
        "ct mark set ct mark and 0xffff00ff or 0x00005500",
        "ct direction original iifname != { \"lan0\" } accept",
        "#   - 10.0.0.7 is left alone until 2026-12-31: the press office",
    ] {
        assert!(told.out.contains(line), "{line}\n{}", told.out);
    }
    // The same again, byte for byte.
    assert_eq!(site.rules(WHOLE, &["--as-of", "2026-11-28"]).out, told.out);
    let explained = site.run(&["explain", "--plan", "policy.toml", "--as-of", "2026-11-28"]);
    for line in [
        "Only by in:lan0, out:wan0",
        "Left alone: 10.0.0.7 until 2026-12-31: the press office",
        "old-chat (policy file): closed since the audit",
        "Addresses of *.chat.example.com, as a resolver tells them",
        "also icq's (icq/session), which was not asked for and is refused with it",
    ] {
        assert!(explained.out.contains(line), "{line}\n{}", explained.out);
    }
}

#[test]
fn what_a_flag_says_goes_before_what_the_file_says() {
    let site = Site::new();
    let told = site.rules(
        WHOLE,
        &[
            "--as-of",
            "2026-11-28",
            "--service",
            "msn",
            "--action",
            "reject",
            "--direction",
            "input",
            "--match",
            "port",
            "--source",
            "192.0.2.0/24",
            "--except",
            "192.0.2.9",
            "--interface",
            "in:eth1",
            "--log",
            "5",
        ],
    );
    let rules = manifest(&told.out);
    for rule in [
        "action reject",
        "direction input",
        "port tcp 1863 msn session msn/session",
        "source 192.0.2.0/24",
        "interfaces in:eth1",
        "log group 5",
        // Exceptions add up.
        "except 10.0.0.7/32",
        "except 192.0.2.9/32",
        "rule old-chat to 192.0.2.0/24 tcp 7000-7010",
    ] {
        assert!(rules.contains(&rule), "{rule}\n{rules:#?}");
    }
    for absent in ["direction forward", "5190", "10.0.0.0/8", "set ", "mark "] {
        assert!(
            !rules.iter().any(|line| line.contains(absent)),
            "{absent}\n{rules:#?}"
        );
    }
}

#[test]
fn what_is_over_is_left_out_and_said() {
    let site = Site::new();
    let on = |day: &str| site.rules(WHOLE, &["--as-of", day]);
    let last = on("2026-12-31");
    assert!(
        last.out.contains("10.0.0.7") && !last.err.contains("left out"),
        "{}",
        last.err
    );
    let after = on("2027-01-01");
    assert!(!manifest(&after.out).contains(&"except 10.0.0.7/32"));
    assert!(
        after
            .err
            .contains("left out: exception (10.0.0.7) ended on 2026-12-31"),
        "{}",
        after.err
    );
    assert!(
        after
            .out
            .contains("LEFT OUT: exception (10.0.0.7) ended on 2026-12-31")
    );
    assert!(manifest(&after.out).contains(&"host *.chat.example.com web-chat"));
    let later = on("2027-02-01");
    assert!(
        !manifest(&later.out)
            .iter()
            .any(|line| line.contains("web-chat"))
    );
    assert!(
        later.err.contains("web-chat") && later.err.contains("ended on 2027-01-31"),
        "{}",
        later.err
    );
    let flow = [
        "explain",
        "--plan",
        "policy.toml",
        "--flow",
        "tcp:10.0.0.7->192.0.2.5:7005",
    ];
    let decides = |day: &str| site.run(&[&flow[..], &["--as-of", day]].concat()).out;
    assert!(decides("2026-12-31").contains("passes"));
    assert!(
        decides("2027-01-01").contains("by rule_old_chat"),
        "{}",
        decides("2027-01-01")
    );
}

#[test]
fn every_rule_says_how_many_flows_of_others_it_would_touch() {
    let site = Site::new();
    let office = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps/office.pcap");
    let flow = |port: u16| {
        format!(
            "{{\"schema\":\"imwarden/1\",\"event_type\":\"flow\",\"flow_id\":1,\"service\":null,\"confidence\":null,\"proto\":\"TCP\",\
             \"src_ip\":\"10.0.0.5\",\"src_port\":50000,\"dest_ip\":\"192.0.2.9\",\"dest_port\":{port}}}\n"
        )
    };
    site.write(
        "seen.ndjson",
        &[flow(443), flow(1863), flow(5190), flow(1863), flow(80)].concat(),
    );
    let observed = [
        "--observed",
        "seen.ndjson",
        "--profile",
        "document",
        "--match",
        "port,signature",
    ];
    let told = site.run(&[&["explain"], &observed[..], &["--service", "msn,yahoo"]].concat());
    let line = told
        .out
        .lines()
        .find(|line| line.starts_with("Of 5 flows of others"))
        .unwrap();
    for words in [
        " msn_session 2,",
        " yahoo_session 0;",
        "a capture tells: sig_msn_",
    ] {
        assert!(line.contains(words), "{words}: {line}");
    }
    let refused = site.run(&[&observed[..], &["--service", "msn"]].concat());
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("would also touch 2 of 5 flows"),
        "{}",
        refused.err
    );
    let forced = site.run(&[&observed[..], &["--service", "msn", "--force"]].concat());
    let flat = forced.out.replace("\n#     ", " ");
    assert!(
        flat.contains(
            "Of 5 flows of others that were seen, so many would be touched by each rule: "
        ),
        "{}",
        forced.out
    );
    // Without anything seen, there is nothing to say.
    assert!(!site.run(&["explain"]).out.contains("flows of others"));
    let seen = site.run(&["explain", "--observed", office.to_str().unwrap()]);
    assert!(
        seen.out.contains("flows of others that were seen, so many"),
        "{}",
        seen.out
    );
    assert!(seen.out.contains("seen_aim_session 0"), "{}", seen.out);
}

#[test]
fn each_mistake_is_shown_in_its_place() {
    let site = Site::new();
    let rule = |more: &str| format!("[[rule]]\nid = \"a\"\nreason = \"b\"\n{more}\n");
    for (text, place, label) in [
        (
            "services = [\"aim\", \"icqq\"]".to_owned(),
            "1:20",
            "one of: aim, icq, msn, yahoo",
        ),
        (
            "features = [\"aim:webcam\"]".to_owned(),
            "1:13",
            "there is: ",
        ),
        (
            "features = [\"talk:session\"]".to_owned(),
            "1:13",
            "there is no such messenger",
        ),
        (
            "profile = \"most\"".to_owned(),
            "1:11",
            "one of: document, full, none",
        ),
        (
            "match = [\"smell\"]".to_owned(),
            "1:10",
            "one of: port, name, signature",
        ),
        (
            "confidence = \"possible\"".to_owned(),
            "1:14",
            "one of: confirmed, probable",
        ),
        (
            "direction = [\"up\"]".to_owned(),
            "1:14",
            "one of: forward, output, input",
        ),
        (
            "action = \"allow\"".to_owned(),
            "1:10",
            "one of: reject, drop, log",
        ),
        (
            "sources = [\"10.0.0.0/33\"]".to_owned(),
            "1:12",
            "an address or a network",
        ),
        (
            "interfaces = [\"eth0\"]".to_owned(),
            "1:15",
            "write in:NAME or out:NAME",
        ),
        (
            "interfaces = [\"in:a\\\" drop\"]".to_owned(),
            "1:15",
            "an interface's name",
        ),
        ("mark = \"0x49\"".to_owned(), "1:8", "one whole byte"),
        ("log = 70000".to_owned(), "1:7", "a number from 0 to 65535"),
        ("log = \"x\"".to_owned(), "1:7", "a number from 0 to 65535"),
        ("colour = \"red\"".to_owned(), "1:1", "here"),
        ("action = ".to_owned(), "1:10", "here"),
        (
            rule(""),
            "2:6",
            "without either it would be about everything",
        ),
        (
            rule("to = \"10.0.0.0/8/9\""),
            "4:6",
            "an address or a network",
        ),
        (rule("to = \"chat\""), "4:6", "at least two labels"),
        (
            rule("to = \"*.*.example.com\""),
            "4:6",
            "labels are letters",
        ),
        (rule("port = \"9-1\""), "4:8", "did you mean \"1-9\"?"),
        (rule("port = 0"), "4:8", "ports go from 1"),
        (
            rule("to = \"192.0.2.1\"\ntransport = \"tcp\""),
            "5:13",
            "add a port",
        ),
        (
            rule("port = 1\ntransport = \"sctp\""),
            "5:13",
            "one of: tcp, udp",
        ),
        (rule("port = 1\nuntil = 2026-13-01"), "5:9", "here"),
        (
            rule("port = 1\nuntil = \"tomorrow\""),
            "5:9",
            "such as 2026-12-31",
        ),
        (
            rule("port = 1\nuntil = 2026-12-01T10:00:00"),
            "5:9",
            "such as 2026-12-31",
        ),
        (
            rule("port = 7\n[[rule]]\nid = \"a\"\nreason = \"c\"\nport = 8"),
            "6:6",
            "choose another id",
        ),
        (
            "[[rule]]\nid = \"Bad Id\"\nport = 7\nreason = \"x\"".to_owned(),
            "2:6",
            "a letter, then letters",
        ),
        (
            "[[rule]]\nid = \"aim\"\nport = 7\nreason = \"x\"".to_owned(),
            "2:6",
            "choose another id",
        ),
        (
            "[[rule]]\nid = \"a\"\nport = 7\nreason = \"x\\ny\"".to_owned(),
            "4:10",
            "one line",
        ),
        (
            "[[exception]]\nnet = \"10.0.0.7\"".to_owned(),
            "1:1",
            "here",
        ),
        (
            "[[exception]]\nnet = \"host\"\nwhy = \"x\"".to_owned(),
            "2:7",
            "an address or a network",
        ),
        (
            "[[exception]]\nwhy = \"x\"".to_owned(),
            "2:7",
            "write another exception for another",
        ),
        (
            "[[exception]]\nuser = 5\nnet = \"10.0.0.7\"\nwhy = \"x\"".to_owned(),
            "4:7",
            "write another exception for another",
        ),
        (
            "[[exception]]\nname = \"*.example.com\"\nwhy = \"x\"".to_owned(),
            "2:8",
            "write each",
        ),
        (
            "[[exception]]\nuser = \"a b\"\nwhy = \"x\"".to_owned(),
            "2:8",
            "such as backup or 1001",
        ),
        (
            "[[exception]]\nuser = -1\nwhy = \"x\"".to_owned(),
            "2:8",
            "such as backup or 1001",
        ),
    ] {
        site.write("policy.toml", &text);
        let told = site.run(&["--plan", "policy.toml"]);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{text}");
        let shown = told.err.contains(&format!("policy.toml:{place}"))
            && told.err.contains(label)
            && told.err.contains('^');
        assert!(shown, "{text}\n{place} {label}\n{}", told.err);
    }
    // All at once.
    site.write("policy.toml", "action = \"a\"\nprofile = \"b\"\n");
    let told = site.run(&["--plan", "policy.toml"]);
    assert!(
        told.err.contains("1:10") && told.err.contains("2:11"),
        "{}",
        told.err
    );
    let told = site.run(&["--plan", "missing.toml"]);
    assert_eq!(told.code, 2);
    assert!(
        told.err.contains("cannot read missing.toml"),
        "{}",
        told.err
    );
}

#[test]
fn what_would_cut_off_everybody_or_this_machine_is_refused() {
    let site = Site::new();
    let rule = |more: &str| format!("[[rule]]\nid = \"mine\"\nreason = \"because\"\n{more}\n");
    let refused = |more: &str, why: &str, forced: bool| {
        site.write("policy.toml", &rule(more));
        let told = site.run(&["--plan", "policy.toml"]);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{more}");
        assert!(told.err.contains(why), "{more}: {}", told.err);
        let told = site.run(&["--plan", "policy.toml", "--force"]);
        assert_eq!(told.code == 0, forced, "{more}: {}", told.err);
        if forced {
            let said = "--force overrides: the rule mine";
            assert!(told.err.contains(said), "{}", told.err);
            assert!(told.out.contains(said), "the file says it as well");
        }
    };
    for (more, why) in [
        ("port = 80", "port 80 carries the web"),
        ("port = \"400-500\"", "port 443 carries the web"),
        (
            "port = 53\ntransport = \"udp\"",
            "port 53 carries name resolution",
        ),
        ("port = 22", "port 22 carries remote administration"),
        ("to = \"0.0.0.0/0\"", "is everybody"),
        ("to = \"::/0\"\nport = 9", "is everybody"),
    ] {
        refused(more, why, false);
    }
    for (more, why) in [
        ("to = \"16.0.0.0/7\"", "a good part of the Internet"),
        ("to = \"2000::/3\"", "a good part of the Internet"),
        ("port = \"10000-20000\"", "take in other people's traffic"),
        ("to = \"login.yahoo.com\"", "serves others as well"),
        ("to = \"*.yahoo.com\"", "below it, serves others as well"),
    ] {
        refused(more, why, true);
    }
    // What only looks like it is nobody's.
    for fine in [
        "to = \"192.0.2.1\"\nport = 443",
        "to = \"chat.example.com\"",
        "to = \"*.msg.yahoo.com\"",
        "port = 8080",
    ] {
        site.write("policy.toml", &rule(fine));
        let told = site.run(&["--plan", "policy.toml"]);
        assert_eq!(told.code, 0, "{fine}: {}", told.err);
    }
}

#[test]
fn the_connection_that_this_is_asked_over_is_not_cut() {
    let site = Site::new();
    let from = |args: &[&str], ssh| site.run_from(args, Some(ssh));
    // A server of SSH on a messenger's port.
    let odd = "192.0.2.10 50000 192.0.2.1 5190";
    let told = from(&["--direction", "input"], odd);
    assert_eq!((told.code, told.out.as_str()), (2, ""));
    assert!(
        told.err.contains("refusing to cut your own SSH connection from 192.0.2.10:50000 to 192.0.2.1:5190, by aim_icq_session"),
        "{}",
        told.err
    );
    let told = from(&["--direction", "input", "--force"], odd);
    assert_eq!(told.code, 0);
    assert!(
        told.err
            .contains("--force overrides: to cut your own SSH connection"),
        "{}",
        told.err
    );
    // It does not pass through this machine, it is left alone, or it is on the usual port.
    for (args, ssh) in [
        (&["--direction", "forward"][..], odd),
        (&["--direction", "input", "--except", "192.0.2.10"], odd),
        (&["--direction", "input"], "192.0.2.10 5190 192.0.2.1 22"),
        (&["--direction", "input"], "nonsense"),
    ] {
        assert_eq!(from(args, ssh).code, 0, "{args:?} {ssh}");
    }
    site.write(
        "policy.toml",
        "[[rule]]\nid = \"wide\"\nto = \"203.0.113.0/24\"\nreason = \"because\"\n",
    );
    let told = from(&["--plan", "policy.toml"], "203.0.113.10 50000 10.0.0.1 22");
    assert_eq!(told.code, 2);
    assert!(
        told.err.contains("203.0.113.10 is this machine's SSH peer"),
        "{}",
        told.err
    );
}

#[test]
fn what_never_decides_is_said() {
    let site = Site::new();
    let told = site.rules(
        "sources = [\"10.1.0.0/16\"]\n\
         [[rule]]\nid = \"wide\"\nto = \"198.51.100.0/24\"\nreason = \"a\"\n\
         [[rule]]\nid = \"mail\"\nport = 5050\nreason = \"b\"\n\
         [[rule]]\nid = \"spared\"\nto = \"203.0.113.9\"\nreason = \"c\"\n\
         [[exception]]\nnet = \"203.0.113.0/24\"\nwhy = \"d\"\n\
         [[exception]]\nnet = \"10.0.0.0/8\"\nwhy = \"e\"\n",
        &[],
    );
    for line in [
        "yahoo/session (TCP 5050) never decides: mail (TCP 5050 anywhere) comes before it",
        "spared (everything at 203.0.113.9) never decides: the exception 203.0.113.0/24 comes before it",
        "every rule for clients in 10.1.0.0/16 never decides: the exception 10.0.0.0/8 comes before it",
    ] {
        assert!(told.err.contains(line), "{line}\n{}", told.err);
    }
    assert!(
        !told.err.contains("wide (") && !told.err.contains("msn/session"),
        "{}",
        told.err
    );
    // The narrower rule stands first, so that the wider one hides nothing.
    let told = site.rules(
        "[[rule]]\nid = \"wide\"\nto = \"198.51.100.0/24\"\nreason = \"a\"\n\
         [[rule]]\nid = \"narrow\"\nto = \"198.51.100.7\"\nport = 7000\nreason = \"b\"\n",
        &[],
    );
    assert_eq!(told.err, "");
    let at = |name: &str| told.out.find(&format!("goto f_rule_{name} ")).unwrap();
    assert!(at("narrow") < at("wide"));
}

#[test]
fn strict_refuses_what_is_weaker_and_nothing_is_left_out_in_silence() {
    let site = Site::new();
    site.write("policy.toml", WHOLE);
    let policy = ["--plan", "policy.toml", "--as-of", "2026-11-28"];
    for (format, what) in [
        (
            "nftables",
            "yahoo session, by what is said: weaker, a request that is cut into several segments passes",
        ),
        (
            "iptables-script",
            "so does one behind IPv6 extension headers",
        ),
        (
            "rpz",
            "old-chat (TCP 7000-7010 at 192.0.2.0/24): not here, names are all that a resolver knows",
        ),
        ("unbound", "only some clients: not here"),
        ("hosts", "*.chat.example.com: not here"),
        ("dnsmasq", "exceptions: not here"),
        ("squid", "only some interfaces: not here"),
        ("ufw", "exceptions: not here, they would have to be allowed"),
        (
            "firewalld",
            "aim session, by what is said: not here, it judges by address and port",
        ),
        ("openwrt", "only some clients: not here"),
        ("pf", "*.msg.yahoo.com: not here"),
        ("mikrotik", "aim images (TCP 4443): weaker"),
        (
            "dnsmasq-nftset",
            "*.msg.yahoo.com: weaker, by the addresses that dnsmasq tells",
        ),
    ] {
        let told = site.run(&[&policy[..], &["--format", format, "--strict"]].concat());
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{format}");
        assert!(told.err.contains(what), "{format}: {what}\n{}", told.err);
    }
}

#[test]
fn what_changes_is_told_rule_by_rule() {
    let site = Site::new();
    site.write(
        "old.toml",
        "services = [\"aim\", \"msn\"]\naction = \"drop\"\n",
    );
    site.write(
        "new.toml",
        "services = [\"aim\", \"yahoo\"]\n[[rule]]\nid = \"x\"\nto = \"192.0.2.1\"\nport = 7000\nreason = \"y\"\n",
    );
    let wanted = "+ action reject\n- action drop\n";
    let diff = |old: &str| site.run(&["--plan", "new.toml", "--diff", old]);
    let told = diff("old.toml");
    assert_eq!(told.code, 0, "{}", told.err);
    let mut lines: Vec<&str> = told.out.lines().collect();
    lines.sort_unstable();
    let mut expected = vec![
        "+ host *.msg.yahoo.com yahoo",
        "+ port tcp 5050 yahoo session yahoo/session",
        "+ rule x to 192.0.2.1 tcp 7000",
        "- host *.messenger.hotmail.com msn",
        "- port tcp 1503 msn application-sharing msn/application-sharing",
        "- port tcp 1863 msn session msn/session",
        "- port tcp 6891 msn file-transfer msn/file-transfer",
        "- port udp 13324-13325 msn conferencing msn/conferencing",
    ];
    expected.extend(wanted.lines());
    expected.sort_unstable();
    assert_eq!(lines, expected);
    // Every format carries it, so that any file can be the older one.
    for format in [
        "nftables",
        "nftables-keep",
        "iptables",
        "ip6tables",
        "iptables-script",
        "ipset",
        "rpz",
        "unbound",
        "dnsmasq",
        "dnsmasq-nftset",
        "dnsmasq-ipset",
        "hosts",
        "squid",
        "suricata",
        "firewalld",
        "ufw",
        "pf",
        "openwrt",
        "mikrotik",
    ] {
        let file = format!("old.{format}");
        let written = site.run(&["--plan", "old.toml", "--format", format, "-o", &file]);
        assert_eq!(written.code, 0, "{format}: {}", written.err);
        assert_eq!(diff(&file).out, told.out, "{format}");
    }
    let same = site.run(&["--plan", "old.toml", "--diff", "old.nftables"]);
    assert_eq!((same.code, same.out.as_str()), (0, "nothing changes\n"));
    site.write("foreign", "table inet x { }\n");
    let told = diff("foreign");
    assert_eq!((told.code, told.out.as_str()), (2, ""));
    assert!(
        told.err.contains("it has no lines `imwarden-rule:`"),
        "{}",
        told.err
    );
}

#[test]
fn observed_captures_are_beside_the_file() {
    let site = Site::new();
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("sample-pcaps/office.pcap");
    std::fs::create_dir(site.folder.path().join("policies")).unwrap();
    std::fs::copy(sample, site.folder.path().join("policies/office.pcap")).unwrap();
    site.write(
        "policies/seen.toml",
        "observed = [\"office.pcap\"]\nservices = [\"msn\"]\n",
    );
    let told = site.run(&["--plan", "policies/seen.toml"]);
    assert_eq!(told.code, 0, "{}", told.err);
    let rules = manifest(&told.out);
    assert!(
        rules.iter().any(|line| line.starts_with("seen tcp ")),
        "{rules:?}"
    );
    // What was seen stands for the tables, unless they are asked for as well.
    assert!(
        !rules.iter().any(|line| line.starts_with("port ")),
        "{rules:?}"
    );
    assert!(
        rules.iter().all(|line| !line.contains(" aim ")),
        "{rules:?}"
    );
}

const BY_NAME: &str = "profile = \"none\"\nmatch = [\"sni\"]\n\
    [[rule]]\nid = \"chat\"\nsni = \"*.Chat.example.com\"\nreason = \"not here\"\n\
    [[rule]]\nid = \"talk\"\nsni = \"talk.example.net\"\nport = 8443\nreason = \"nor here\"\n\
    [[rule]]\nid = \"edge\"\nto = \"edge.chat.example.com\"\nreason = \"taken in by the first\"\n\
    [[rule]]\nid = \"old\"\nto = \"old.example.org\"\nreason = \"a name, known by hellos here\"\n";

#[test]
fn names_in_hellos_are_asked_for_in_the_file() {
    let site = Site::new();
    let told = site.rules(BY_NAME, &["--format", "iptables"]);
    for line in [
        "-m string --algo kmp --icase --from 92 --hex-string \"|000000150013000010|chat.example.com\"",
        "-p tcp -m tcp --dport 8443 -m string --algo kmp --icase --from 92 --hex-string \"|000000150013000010|talk.example.net\"",
        "--hex-string \".chat.example.com|00|\" -g IMW-SNI-CHAT",
        "-g IMW-SNI-OLD",
        "#   - talk, talk.example.net: weaker, ",
        "(nor here)",
        "# imwarden-rule: sni *.chat.example.com chat\n",
        "# imwarden-rule: sni talk.example.net talk tcp 8443\n",
        "edge (a hello for edge.chat.example.com) never decides: chat (a hello for *.chat.example.com) comes before it",
        "QUIC (HTTP/3) encrypts its hello",
    ] {
        let flat = told.out.replace("\n#     ", " ");
        assert!(
            told.out.contains(line) || flat.contains(line),
            "{line}\n{}",
            told.out
        );
    }
    // Who cannot search says so, and `--strict` refuses it there as it does where it is nearly so.
    let told = site.rules(BY_NAME, &["--format", "nftables"]);
    assert!(
        told.out.contains("THIS FILE CLOSES NOTHING")
            && told.out.contains("not here, nftables compares")
    );
    assert!(
        told.err.contains("this format can say nothing"),
        "{}",
        told.err
    );
    for (format, code) in [("nftables", 2), ("iptables", 2), ("suricata", 0)] {
        let file = BY_NAME.split("[[rule]]\nid = \"edge\"").next().unwrap();
        site.write("strict.toml", file);
        let told = site.run(&["--plan", "strict.toml", "--format", format, "--strict"]);
        assert_eq!(told.code, code, "{format}: {}", told.err);
    }
    // Which rule decides about a hello.
    let hello = |name: &str| -> String {
        let bytes = hello::Hello::to(name);
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    };
    let asks = |name: &str, port: u16| {
        let flow = format!("tcp:10.0.0.5->192.0.2.9:{port}:{}", hello(name));
        let told = site.run(&["explain", "--plan", "policy.toml", "--flow", &flow]);
        assert_eq!(told.code, 0, "{}", told.err);
        told.out.replace(&flow, "FLOW")
    };
    let refused = "FLOW, with nftables: passes: no rule is against it\n\
        FLOW, with iptables: opened, and refused at this request, by IMW-SNI-CHAT: its TLS hello asks for *.chat.example.com (site)\n";
    assert_eq!(asks("a.chat.example.com", 443), refused);
    assert!(asks("talk.example.net", 8443).contains("by IMW-SNI-TALK"));
    for (name, port) in [("talk.example.net", 443), ("notchat.example.com", 443)] {
        assert_eq!(asks(name, port), "FLOW: passes: no rule is against it\n");
    }
    let told = site.run(&["explain", "--plan", "policy.toml"]);
    for line in [
        "TCP, any port, when a TLS hello asks for *.chat.example.com\n  chat (site): not here\n",
        "TCP 8443, when a TLS hello asks for talk.example.net\n",
        "With nftables: TLS to talk.example.net on TCP 8443 (talk); ",
        "Cannot stop: A server's name that is not in a TLS hello in clear",
    ] {
        assert!(told.out.contains(line), "{line}\n{}", told.out);
    }
    // What changes is told by name.
    site.write(
        "new.toml",
        &BY_NAME.replace("talk.example.net", "talks.example.net"),
    );
    let told = site.run(&["--plan", "new.toml", "--diff", "policy.toml"]);
    assert_eq!(
        told.out,
        "- sni talk.example.net talk tcp 8443\n+ sni talks.example.net talk tcp 8443\n"
    );
}

#[test]
fn a_name_in_hellos_is_written_rightly_or_not_at_all() {
    let site = Site::new();
    for (rule, message) in [
        (
            "sni = \"chat.example.com\"\nto = \"192.0.2.9\"",
            "a rule has `to` or `sni`",
        ),
        (
            "sni = \"chat.example.com\"\ntransport = \"udp\"\nport = 443",
            "a TLS hello goes over TCP",
        ),
        ("sni = \"192.0.2.9\"", "`192.0.2.9` is no host name"),
        ("sni = \"com\"", "`com` is no host name"),
        ("sni = \"*.chat_*.example.com\"", "is no host name"),
    ] {
        site.write(
            "policy.toml",
            &format!("[[rule]]\nid = \"mine\"\n{rule}\nreason = \"because\"\n"),
        );
        let told = site.run(&["--plan", "policy.toml"]);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{rule}");
        assert!(told.err.contains(message), "{rule}: {}", told.err);
    }
    // A name that serves others too is nobody's to refuse, or below which such a one is.
    for shared in ["login.yahoo.com", "*.yahoo.com"] {
        site.write(
            "policy.toml",
            &format!("match = [\"sni\"]\n[[rule]]\nid = \"mine\"\nsni = \"{shared}\"\nreason = \"because\"\n"),
        );
        let told = site.run(&["--plan", "policy.toml", "--format", "iptables"]);
        assert_eq!((told.code, told.out.as_str()), (2, ""), "{shared}");
        assert!(
            told.err.contains("serves others as well"),
            "{shared}: {}",
            told.err
        );
    }
}

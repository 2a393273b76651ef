//! The network of the scan. Runs in the gateway's namespace; client and server are children in their own.

use super::again::again;
use super::agent::{self, SERVER, TCP, UDP};
use super::attempts::Attempt;
use super::policy_support::{can_run, hex};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "IMWARDEN_LAB_ROLE";
const BACKEND: &str = "IMWARDEN_LAB_BACKEND";

/// Runs `inside_the_lab` in a private network, if this machine has the programs; what it has said aloud.
pub fn run(test: &str, backend: Backend, programs: &[&str]) -> String {
    if !can_run(test, programs) {
        return String::new();
    }
    let locks = tempfile::tempdir().unwrap();
    let name = backend.name();
    again("-Urn", "inside_the_lab", BACKEND, name, locks.path())
}

/// What `inside_the_lab` does: one of the machines, or the scenario on the gateway. Nothing when nobody asked for it.
pub fn inside(scenario: impl FnOnce(Backend)) {
    if std::env::var(ROLE).as_deref() == Ok("agent") {
        agent::run();
    } else if let Ok(backend) = std::env::var(BACKEND) {
        scenario(Backend::from_name(&backend));
    }
}

/// Which firewall is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    Nftables,
    /// Whichever this machine calls `iptables`.
    Iptables,
    IptablesNft,
    IptablesLegacy,
}

impl Backend {
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
            Self::IptablesNft => "iptables-nft",
            Self::IptablesLegacy => "iptables-legacy",
        }
    }

    pub fn from_name(name: &str) -> Self {
        let all = [
            Self::Nftables,
            Self::Iptables,
            Self::IptablesNft,
            Self::IptablesLegacy,
        ];
        all.into_iter()
            .find(|backend| backend.name() == name)
            .unwrap()
    }
}

/// On which machine rules are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Gateway,
    Client,
    Server,
}

/// A loaded rule file.
pub struct Rules {
    place: Place,
    load: String,
    remove: String,
}

impl Rules {
    pub fn load(&self, lab: &mut Lab) {
        lab.sh(self.place, &self.load);
    }

    pub fn remove(self, lab: &mut Lab) {
        lab.sh(self.place, &self.remove);
    }
}

/// A child in a namespace of its own.
struct Machine {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Machine {
    fn start() -> Self {
        let mut child = Command::new("unshare")
            .args(["-n", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "inside_the_lab", "--nocapture"])
            .env(ROLE, "agent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut machine = Self {
            child,
            stdin,
            stdout,
        };
        // `unshare` has become the agent by now, so the child's id is a process inside the namespace.
        assert_eq!(machine.answer(), "up");
        machine
    }

    fn ask(&mut self, command: &str) -> String {
        assert!(!command.contains('\n'), "{command}");
        writeln!(self.stdin, "{command}").unwrap();
        self.answer()
    }

    /// The next line meant for us; the test runner prints some of its own.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "a machine of the lab is gone"
            );
            if let Some((_, answer)) = line.split_once("LAB ") {
                return answer.trim_end().to_owned();
            }
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Lab {
    client: Machine,
    server: Machine,
    dir: tempfile::TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let (client, server) = (Machine::start(), Machine::start());
        let (c, s) = (client.child.id(), server.child.id());
        let dir = tempfile::tempdir().unwrap();
        let mut lab = Self {
            client,
            server,
            dir,
        };
        for command in [
            format!("ip link add lan type veth peer name c0 netns {c}"),
            format!("ip link add wan type veth peer name s0 netns {s}"),
            "ip addr add 192.0.2.1/24 dev lan; ip addr add 2001:db8:1::1/64 dev lan nodad"
                .to_owned(),
            "ip addr add 198.51.100.1/24 dev wan; ip addr add 2001:db8:2::1/64 dev wan nodad"
                .to_owned(),
            "ip link set lo up; ip link set lan up; ip link set wan up".to_owned(),
            "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"
                .to_owned(),
        ] {
            lab.sh(Place::Gateway, &command);
        }
        let host = |device: &str, v4: &str, v6: &str, net: u8, gateway: &str| {
            format!(
                "ip addr add {v4}/24 dev {device} && ip addr add {v6}/64 dev {device} nodad && \
                 ip link set lo up && ip link set {device} up && ip route add default via {gateway} && \
                 ip -6 route add default via 2001:db8:{net}::1"
            )
        };
        lab.sh(
            Place::Client,
            &host("c0", "192.0.2.10", "2001:db8:1::10", 1, "192.0.2.1"),
        );
        lab.sh(
            Place::Server,
            &host("s0", SERVER[0], SERVER[1], 2, "198.51.100.1"),
        );
        lab
    }

    /// The scan's ports answer on the server.
    pub fn serve(&mut self) {
        assert_eq!(self.server.ask("serve"), "serving");
    }

    /// These places answer on the server: `tcp PORT`, `udp ADDRESS:PORT`.
    pub fn listen(&mut self, places: &[String]) {
        let told = self.server.ask(&format!("listen {}", places.join(",")));
        assert_eq!(told, "listening");
    }

    /// What became of each of the client's connections: `open`, or how it was refused.
    pub fn attempt(&mut self, attempts: &[Attempt]) -> Vec<String> {
        let lines: Vec<_> = attempts.iter().map(Attempt::line).collect();
        let told = self.client.ask(&format!("attempt {}", lines.join(",")));
        let results: Vec<_> = told.split(',').map(str::to_owned).collect();
        assert_eq!(results.len(), attempts.len());
        results
    }

    /// What became of a client's connection that opens with these bytes.
    pub fn opening(&mut self, to: &str, bytes: &[u8]) -> String {
        self.client.ask(&format!("opening {to} {}", hex(bytes)))
    }

    /// How often each place of the server was reached since the last time: `tcp 198.51.100.10:80`.
    pub fn arrived(&mut self) -> BTreeMap<String, u64> {
        let told = self.server.ask("arrived");
        told.split(',')
            .filter_map(|place| place.rsplit_once(' '))
            .map(|(place, times)| (place.to_owned(), times.parse().unwrap()))
            .collect()
    }

    /// What a command line prints on one machine.
    pub fn out(&mut self, place: Place, command: &str) -> String {
        let machine = match place {
            Place::Gateway => {
                let output = Command::new("sh").args(["-c", command]).output().unwrap();
                assert!(output.status.success(), "{command}");
                return String::from_utf8(output.stdout).unwrap();
            }
            Place::Client => &mut self.client,
            Place::Server => &mut self.server,
        };
        machine.ask(&format!("out {command}")).replace('\t', "\n")
    }

    /// What each feature's rule has counted on one machine.
    pub fn counters(&mut self, place: Place, backend: Backend) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        if backend == Backend::Nftables {
            let text = self.out(place, "nft list counters table inet imwarden");
            let words: Vec<&str> = text.split_whitespace().collect();
            for counter in words.windows(5) {
                if let ["counter", name, "{", "packets", packets] = counter {
                    all.insert((*name).to_owned(), packets.parse().unwrap());
                }
            }
            return all;
        }
        let name = backend.name();
        for program in [name.to_owned(), name.replace("ip", "ip6")] {
            let text = self.out(place, &format!("{program}-save -c -t filter"));
            for line in text.lines().filter(|line| line.starts_with('[')) {
                let (packets, rule) = line[1..].split_once(':').unwrap();
                let chain = rule.split(' ').nth(2).unwrap();
                // The one rule of each feature's chain ends so.
                let ends = ["-j IMW-REFUSE", "-j DROP", "-j IMW-AUDIT"];
                if ends.iter().any(|end| rule.ends_with(end)) {
                    *all.entry(chain.to_owned()).or_default() += packets.parse::<u64>().unwrap();
                }
            }
        }
        all
    }

    /// Runs a command line on one machine.
    pub fn sh(&mut self, place: Place, command: &str) {
        let machine = match place {
            Place::Gateway => {
                let status = Command::new("sh").args(["-c", command]).status().unwrap();
                assert!(status.success(), "{command}");
                return;
            }
            Place::Client => &mut self.client,
            Place::Server => &mut self.server,
        };
        assert_eq!(machine.ask(&format!("sh {command}")), "rc 0", "{command}");
    }

    /// Writes rules with the program under test, as an administrator would, and loads them.
    pub fn load(&mut self, place: Place, backend: Backend, args: &[&str]) -> Rules {
        let file: PathBuf = self.dir.path().join("rules");
        let format = match backend {
            Backend::Nftables => "nftables",
            _ => "iptables-script",
        };
        let status = Command::new(env!("CARGO_BIN_EXE_imwarden"))
            .args(["policy", "--format", format, "-o"])
            .arg(&file)
            .args(args)
            .status()
            .unwrap();
        assert!(status.success(), "imwarden policy {args:?}");
        let (file, lock) = (file.display(), self.dir.path().join("lock"));
        let script = |programs: &str| {
            let run = format!("XTABLES_LOCKFILE={} {programs} sh {file}", lock.display());
            (run.clone(), format!("{run} remove"))
        };
        let (load, remove) = match backend {
            Backend::Nftables => (
                format!("nft -f {file}"),
                "nft delete table inet imwarden".to_owned(),
            ),
            Backend::Iptables => script(""),
            Backend::IptablesNft => script("IPTABLES=iptables-nft IP6TABLES=ip6tables-nft"),
            Backend::IptablesLegacy => {
                script("IPTABLES=iptables-legacy IP6TABLES=ip6tables-legacy")
            }
        };
        let rules = Rules {
            place,
            load,
            remove,
        };
        rules.load(self);
        rules
    }

    fn probe(&mut self) -> BTreeMap<String, String> {
        let mut cells = BTreeMap::new();
        let mut line = self.client.ask("probe");
        while let Some((cell, result)) = line.strip_prefix("cell ").and_then(|l| l.split_once(' '))
        {
            cells.insert(cell.to_owned(), result.to_owned());
            line = self.client.answer();
        }
        assert_eq!(line, "end");
        assert_eq!(cells.len(), 2 * (17 + 6) + 1);
        cells
    }

    /// The baseline. A path that is not up yet would read as "all is blocked", IPv6 takes a moment.
    pub fn wait_until_all_is_open(&mut self) {
        let start = Instant::now();
        while self.probe().values().any(|result| result != "open") {
            assert!(
                start.elapsed() < Duration::from_secs(15),
                "no baseline: {:?}",
                self.probe()
            );
        }
    }

    pub fn expect_all_open(&mut self, when: &str) {
        let closed: Vec<_> = self
            .probe()
            .into_iter()
            .filter(|(_, result)| result != "open")
            .collect();
        assert!(closed.is_empty(), "{when}: {closed:?}");
    }

    /// The document's table is closed, in one of these ways; all else is open.
    pub fn expect_closed(&mut self, when: &str, how: &[&str]) {
        self.expect(when, &TCP, &UDP, how);
    }

    /// These TCP ports are closed; all else is open.
    pub fn expect_closed_only(&mut self, when: &str, tcp: &[u16], how: &[&str]) {
        self.expect(when, tcp, &[], how);
    }

    fn expect(&mut self, when: &str, tcp: &[u16], udp: &[u16], how: &[&str]) {
        let cells = |transport: &str, ports: &[u16]| -> Vec<String> {
            let both = |port| [4, 6].map(|family| format!("{transport}/{family}/{port}"));
            ports.iter().flat_map(both).collect()
        };
        let closed: Vec<_> = cells("tcp", tcp)
            .into_iter()
            .chain(cells("udp", udp))
            .collect();
        let wrong: Vec<_> = self
            .probe()
            .into_iter()
            .filter(|(cell, result)| {
                let right = if closed.contains(cell) {
                    how
                } else {
                    &["open"]
                };
                !right.contains(&result.as_str())
            })
            .collect();
        assert!(wrong.is_empty(), "{when}: {wrong:?}");
    }

    /// A session that is open before the rules come.
    pub fn hold_session(&mut self) {
        assert_eq!(self.client.ask("hold"), "talk open");
    }

    pub fn expect_session_cut(&mut self) {
        assert_eq!(self.client.ask("held"), "talk reset");
    }

    /// A client whose own port happens to be 5190 reaches a web server.
    pub fn expect_open_from_a_messengers_port(&mut self) {
        let range = "/proc/sys/net/ipv4/ip_local_port_range";
        self.sh(
            Place::Client,
            &format!("cat {range} >{}/range", self.dir.path().display()),
        );
        self.sh(Place::Client, &format!("echo 5190 5190 >{range}"));
        assert_eq!(self.client.ask("tcp 80"), "from 5190 open");
        self.sh(
            Place::Client,
            &format!("cat {}/range >{range}", self.dir.path().display()),
        );
    }

    /// One probe has passed: each feature has counted one attempt a port and family.
    pub fn expect_counters() {
        let counter = |name: &str| -> u64 {
            let output = Command::new("nft")
                .args(["list", "counter", "inet", "imwarden", name])
                .output()
                .unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let mut words = text
                .split_whitespace()
                .skip_while(|&word| word != "packets");
            words.nth(1).unwrap().parse().unwrap()
        };
        for name in [
            "aim_images",
            "icq_file_transfer",
            "icq_images",
            "msn_session",
            "msn_file_transfer",
            "msn_application_sharing",
            "yahoo_session",
        ] {
            assert_eq!(counter(name), 2, "{name}");
        }
        assert_eq!(counter("msn_conferencing"), 4, "two ports");
        assert!(
            counter("aim_icq_session") >= 3,
            "and the session that was cut"
        );
    }
}

//! Host names end to end: a client asks the gateway's dnsmasq for a name, the sets of the gateway's firewall fill, and the
//! connection is refused, over IPv4 and IPv6, while other sites on the same port work; and nothing opens when elements end,
//! when rules are loaded again, or when an answer comes from a cache.
//!
//! Three network namespaces inside a private one: client, gateway, server. The test starts itself again inside, and each
//! connection is one more start.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "policy_support/again.rs"]
mod again;
mod policy_support;

use again::again;
use policy_support::can_run;
use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const ROLE: &str = "IMWARDEN_NAMES";
const PATIENCE: Duration = Duration::from_secs(5);

/// Who is at which address: the last number of both.
const SITES: [(u8, &str); 4] = [
    (30, "scs.msg.yahoo.com"),
    (31, "deep.er.msg.yahoo.com"),
    (80, "www.example.com"),
    (81, "notmsg.yahoo.com"),
];
const PORTS: [u16; 3] = [80, 443, 5050];

fn v4(last: u8, port: u16) -> String {
    format!("198.51.100.{last}:{port}")
}

fn v6(last: u8, port: u16) -> String {
    format!("[2001:db8:2::{last}]:{port}")
}

/// Runs a command line in this namespace; gives what it wrote.
fn sh(line: &str) -> String {
    let run = Command::new("sh").args(["-ec", line]).output().unwrap();
    let err = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(run.status.success(), "{line}\n{err}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// A program that runs until this goes.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(line: &str) -> Running {
    let child = Command::new("sh")
        .args(["-c", &format!("exec {line}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    Running(child.unwrap())
}

fn own(namespace: &str, role: &str) -> Command {
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", namespace])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "inside", "--nocapture"])
        .env(ROLE, role);
    command
}

/// Waits until something is so; a loaded machine takes its time.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Which firewall, and who tells it what dnsmasq says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    Nft,
    IptablesNft,
    IptablesLegacy,
}

struct Network {
    folder: PathBuf,
    backend: Backend,
    dnsmasq: Option<Running>,
    _others: Vec<Running>,
}

impl Network {
    fn new(folder: &Path, backend: Backend) -> Self {
        sh("mount -t tmpfs none /run
            for n in cli gw srv; do ip netns add $n; ip -n $n link set lo up; done
            for n in cli gw srv; do ip netns exec $n sh -c 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad'; done
            ip link add c0 netns cli type veth peer name lan netns gw
            ip link add s0 netns srv type veth peer name wan netns gw
            ip -n cli addr add 192.0.2.10/24 dev c0
            ip -n cli addr add 2001:db8:1::10/64 dev c0 nodad
            ip -n gw addr add 192.0.2.1/24 dev lan
            ip -n gw addr add 2001:db8:1::1/64 dev lan nodad
            ip -n gw addr add 198.51.100.1/24 dev wan
            ip -n gw addr add 2001:db8:2::1/64 dev wan nodad
            ip -n cli link set c0 up; ip -n gw link set lan up; ip -n gw link set wan up; ip -n srv link set s0 up
            ip -n cli route add default via 192.0.2.1; ip -n cli -6 route add default via 2001:db8:1::1
            ip netns exec gw sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'");
        let mut addresses = String::from("--address=/none.example/");
        for (last, name) in SITES {
            sh(&format!(
                "ip -n srv addr add 198.51.100.{last}/24 dev s0; ip -n srv addr add 2001:db8:2::{last}/64 dev s0 nodad"
            ));
            write!(
                addresses,
                " --address=/{name}/198.51.100.{last} --address=/{name}/2001:db8:2::{last}"
            )
            .unwrap();
        }
        sh("ip -n srv addr add 198.51.100.53/24 dev s0
            ip -n srv route add default via 198.51.100.1; ip -n srv -6 route add default via 2001:db8:2::1");
        let upstream = start(&format!(
            "ip netns exec srv dnsmasq --no-daemon --conf-file=/dev/null --no-resolv --no-hosts --listen-address=198.51.100.53 \
             --bind-interfaces --local-ttl=300 --pid-file= --user= {addresses} 2>/dev/null"
        ));
        let servers = Running(own("srv", "serve").stdout(Stdio::null()).spawn().unwrap());
        Self {
            folder: folder.to_owned(),
            backend,
            dnsmasq: None,
            _others: vec![upstream, servers],
        }
    }

    /// Writes a file with the program under test, as an administrator would.
    fn write(&self, format: &str, args: &[&str]) -> PathBuf {
        let path = self.folder.join(format);
        let run = Command::new(env!("CARGO_BIN_EXE_imwarden"))
            .args([
                "policy",
                "--format",
                format,
                "--match",
                "name",
                "--direction",
                "forward",
                "-o",
            ])
            .arg(&path)
            .args(args)
            .status();
        assert!(run.unwrap().success());
        path
    }

    fn load(&self, file: &Path) {
        match self.backend {
            Backend::Nft => {
                sh(&format!("ip netns exec gw nft -f {}", file.display()));
            }
            _ => self.script(file, "load"),
        }
    }

    /// Runs a script of `--format iptables-script`.
    fn script(&self, file: &Path, verb: &str) {
        let kind = match self.backend {
            Backend::IptablesLegacy => "legacy",
            _ => "nft",
        };
        let lock = self.folder.join("lock");
        sh(&format!(
            "ip netns exec gw env XTABLES_LOCKFILE={} IPTABLES=iptables-{kind} IP6TABLES=ip6tables-{kind} sh {} {verb}",
            lock.display(),
            file.display()
        ));
    }

    /// The gateway's resolver, as the file's head says: as root, or it may change no set.
    fn resolver(&mut self, file: &Path) {
        self.dnsmasq = None;
        self.dnsmasq = Some(start(&format!(
            "ip netns exec gw dnsmasq --no-daemon --conf-file={} --user=root --no-resolv --no-hosts --listen-address=192.0.2.1 \
             --bind-interfaces --server=198.51.100.53 --pid-file= 2>>{}",
            file.display(),
            self.folder.join("dnsmasq.log").display()
        )));
        until("the gateway resolves", || {
            Network::ask("www.example.com", "A") == "198.51.100.80"
        });
    }

    /// What a client is told.
    fn ask(name: &str, kind: &str) -> String {
        let line = format!(
            "ip netns exec cli dig +short +tries=1 +time=2 @192.0.2.1 {name} {kind} || true"
        );
        sh(&line).trim().to_owned()
    }

    fn ask_both(name: &str) {
        let (last, _) = SITES.into_iter().find(|(_, it)| *it == name).unwrap();
        assert_eq!(Network::ask(name, "A"), format!("198.51.100.{last}"));
        assert_eq!(Network::ask(name, "AAAA"), format!("2001:db8:2::{last}"));
    }

    /// What becomes of connections from the client, all at once.
    fn connect(to: &[String]) -> Vec<String> {
        let run = own("cli", &format!("connect {}", to.join(" ")))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&run.stdout);
        let all: Vec<String> = text
            .lines()
            .filter_map(|line| line.split_once("CELL ").map(|(_, rest)| rest.to_owned()))
            .collect();
        assert_eq!(all.len(), to.len(), "{text}");
        all
    }

    /// Both families, all ports.
    fn site(last: u8) -> Vec<String> {
        PORTS
            .into_iter()
            .flat_map(|port| [v4(last, port), v6(last, port)])
            .collect()
    }

    fn is(last: u8, how: &str, when: &str) {
        let told = Network::connect(&Self::site(last));
        assert!(
            told.iter().all(|it| it.ends_with(how)),
            "{when}: {last} is to be {how}: {told:?}"
        );
    }

    fn elements(&self) -> String {
        match self.backend {
            Backend::Nft => {
                sh("ip netns exec gw nft list table inet imwarden | grep -A1 'elements = ' || true")
            }
            _ => sh("ip netns exec gw ipset list | grep timeout || true"),
        }
    }

    /// Everything dnsmasq remembers is forgotten, as the head of the file says to do.
    fn hang_up(&self) {
        let pid = self.dnsmasq.as_ref().unwrap().0.id();
        sh(&format!("kill -HUP {pid}"));
    }
}

fn scenario(folder: &Path, backend: Backend) {
    let mut network = Network::new(folder, backend);
    until("a path to every server, over both families", || {
        let all: Vec<String> = SITES
            .iter()
            .flat_map(|(last, _)| Network::site(*last))
            .collect();
        Network::connect(&all).iter().all(|it| it.ends_with("open"))
    });
    let (rules, feed) = match backend {
        Backend::Nft => ("nftables", "dnsmasq-nftset"),
        _ => ("iptables-script", "dnsmasq-ipset"),
    };
    let rules = network.write(rules, &["--service", "yahoo"]);
    let feed = network.write(feed, &["--service", "yahoo"]);
    network.load(&rules);
    network.resolver(&feed);
    Network::is(30, "open", "nobody has asked yet");

    // Asked for, told, refused; whatever the port, and not its neighbours.
    Network::ask_both("scs.msg.yahoo.com");
    let told = network.elements();
    assert!(
        told.contains("198.51.100.30") && told.contains("2001:db8:2::30"),
        "{told}"
    );
    Network::is(30, "refused", "the name was asked for");
    Network::is(31, "open", "another name, not asked for");
    Network::ask_both("deep.er.msg.yahoo.com");
    Network::is(31, "refused", "a name further below");
    for name in ["www.example.com", "notmsg.yahoo.com"] {
        Network::ask_both(name);
    }
    Network::is(80, "open", "another site on the same ports");
    Network::is(81, "open", "a name that only ends alike");

    // Loaded again around what is there: never open.
    let keep = match backend {
        Backend::Nft => network.write("nftables-keep", &["--service", "yahoo"]),
        _ => rules.clone(),
    };
    for _ in 0..3 {
        network.load(&keep);
        Network::is(30, "refused", "loaded again, with what was learned");
    }

    if backend == Backend::Nft {
        // Replaced as a whole: what was learned is gone, and dnsmasq answers from its cache without telling anybody. The head of the file
        // says so, and what to do.
        network.load(&rules);
        Network::ask_both("scs.msg.yahoo.com");
        Network::is(30, "open", "the hole that is documented");
        network.hang_up();
        until("told again", || {
            Network::ask_both("scs.msg.yahoo.com");
            Network::connect(&Network::site(30))
                .iter()
                .all(|it| it.ends_with("refused"))
        });
    }

    // An element ends, unless somebody goes on asking for it. (Seconds for a day, here.)
    let text = std::fs::read_to_string(&rules).unwrap();
    let short = text
        .replace("timeout 1d", "timeout 4s")
        .replace("timeout 86400", "timeout 4");
    assert_ne!(short, text);
    let file = network.folder.join("short");
    std::fs::write(&file, short).unwrap();
    if backend != Backend::Nft {
        // A set's time is given when it is made.
        network.script(&rules, "remove");
    }
    network.load(&file);
    network.hang_up();
    until("told to the new sets", || {
        Network::ask_both("scs.msg.yahoo.com");
        network.elements().contains("2001:db8:2::30")
    });
    let (first, mut start) = (Instant::now(), Instant::now());
    let mut asked = start;
    while start.elapsed() < Duration::from_secs(9) {
        let told = Network::connect(&Network::site(30));
        let slept = asked.elapsed() > Duration::from_secs(3);
        asked = Instant::now();
        if slept {
            // A machine that did nothing for so long asked too late: it begins again.
            assert!(
                first.elapsed() < Duration::from_secs(90),
                "too slow to tell"
            );
            network.hang_up();
            until("told once more", || {
                Network::ask_both("scs.msg.yahoo.com");
                network.elements().contains("2001:db8:2::30")
            });
            (start, asked) = (Instant::now(), Instant::now());
            continue;
        }
        assert!(
            told.iter().all(|it| it.ends_with("refused")),
            "still asked for, long after its time: {told:?}"
        );
        thread::sleep(Duration::from_millis(300));
    }
    until("its time is over", || {
        thread::sleep(Duration::from_secs(1));
        !network.elements().contains("198.51.100.30")
    });
    Network::is(30, "open", "nobody asked for it any more");
    network.hang_up();
    until("asked for once more", || {
        Network::ask_both("scs.msg.yahoo.com");
        Network::connect(&Network::site(30))
            .iter()
            .all(|it| it.ends_with("refused"))
    });
    Network::is(80, "open", "another site, at the end");
}

fn serve() {
    for (last, _) in SITES {
        for port in PORTS {
            for place in [v4(last, port), v6(last, port)] {
                let listener = TcpListener::bind(place.parse::<SocketAddr>().unwrap()).unwrap();
                thread::spawn(move || {
                    for mut stream in listener.incoming().flatten() {
                        let _ = stream.write_all(b"pong");
                    }
                });
            }
        }
    }
    loop {
        thread::park();
    }
}

fn connect(place: &str) -> &'static str {
    let to: SocketAddr = place.parse().unwrap();
    let mut buffer = [0; 4];
    let tried = TcpStream::connect_timeout(&to, PATIENCE).and_then(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.read_exact(&mut buffer)
    });
    match tried.map_err(|error| error.kind()) {
        Ok(()) => "open",
        Err(ErrorKind::ConnectionRefused) => "refused",
        Err(ErrorKind::ConnectionReset) => "reset",
        Err(_) => "silent",
    }
}

#[test]
#[ignore = "the inside of the tests below; they start it themselves"]
fn inside() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let (verb, rest) = role.split_once(' ').unwrap_or((&role, ""));
    match verb {
        "serve" => serve(),
        "connect" => {
            let places: Vec<String> = rest.split(' ').map(str::to_owned).collect();
            let all: Vec<_> = places
                .into_iter()
                .map(|place| thread::spawn(move || (connect(&place), place)))
                .collect();
            for one in all {
                let (how, place) = one.join().unwrap();
                writeln!(std::io::stdout(), "CELL {place} {how}").unwrap();
            }
        }
        "nft" => scenario(Path::new(rest), Backend::Nft),
        "iptables-nft" => scenario(Path::new(rest), Backend::IptablesNft),
        "iptables-legacy" => scenario(Path::new(rest), Backend::IptablesLegacy),
        _ => panic!("{role}"),
    }
}

fn judge(backend: &str, programs: &[&str]) {
    let common = ["ip", "mount", "dnsmasq", "dig"];
    if !can_run(backend, &[&common[..], programs].concat()) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let role = format!("{backend} {}", folder.path().display());
    again("-Urnm", "inside", ROLE, &role, folder.path());
    let log = std::fs::read_to_string(folder.path().join("dnsmasq.log")).unwrap();
    // dnsmasq says it there, and only there, when it may not, or there is no set.
    assert!(!log.contains("nftset") || !log.contains("rror"), "{log}");
}

#[test]
fn names_are_refused_by_nftables() {
    judge("nft", &["nft"]);
}

#[test]
fn names_are_refused_by_iptables() {
    judge("iptables-nft", &["iptables-nft", "ip6tables-nft", "ipset"]);
}

#[test]
fn names_are_refused_by_iptables_legacy() {
    judge(
        "iptables-legacy",
        &["iptables-legacy", "ip6tables-legacy", "ipset"],
    );
}

//! `imwarden doctor`: what is missing on this host, and the command that mends it.
//!
//! Nothing is guessed: rights are read from the process and its file, listening is tried on a real interface, firewall
//! tools are looked for where they would be started from.

use super::{CliError, DONE, PERMISSION};
use crate::capture::live::{self, Live, LiveError};
use caps::{CapSet, Capability};
use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// How a check went.
enum Health {
    /// As it should be.
    Well(String),
    /// It works, with less.
    Less(String, Vec<String>),
    /// It does not work; the commands that mend it.
    Ill(String, Vec<String>),
}

/// Where the process runs, since that decides what mends it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Host,
    Container,
    Service,
}

/// Runs all checks; the exit code.
pub fn run(out: &mut dyn Write) -> Result<u8, CliError> {
    let place = Place::find();
    let checks = [
        ("backend", backend()),
        ("permission", permission(place)),
        ("interface", interface(place)),
        ("sandbox", sandbox()),
        ("firewall", firewall()),
        ("enforce", enforce()),
        ("inline", inline()),
        ("namespaces", namespaces()),
    ];
    let mut ill = false;
    for (name, health) in checks {
        let (mark, text, commands) = match health {
            Health::Well(text) => ("ok", text, Vec::new()),
            Health::Less(text, commands) => ("less", text, commands),
            Health::Ill(text, commands) => {
                ill = true;
                ("MISSING", text, commands)
            }
        };
        writeln!(out, "{mark:<8} {name:<11} {text}")?;
        for command in commands {
            writeln!(out, "{:<20} > {command}", "")?;
        }
    }
    let verdict = if ill {
        "Something is missing: the lines behind > mend it."
    } else {
        "Ready: imwarden sniff -i INTERFACE"
    };
    writeln!(out, "\n{verdict}")?;
    Ok(if ill { PERMISSION } else { DONE })
}

impl Place {
    fn find() -> Self {
        let is_container = Path::new("/.dockerenv").exists()
            || Path::new("/run/.containerenv").exists()
            || env::var_os("container").is_some();
        if is_container {
            Self::Container
        } else if env::var_os("INVOCATION_ID").is_some() && env::var_os("JOURNAL_STREAM").is_some()
        {
            Self::Service
        } else {
            Self::Host
        }
    }
}

fn backend() -> Health {
    if cfg!(have_libpcap) {
        return Health::Well("libpcap: filters (-f), -i any, a ring in the kernel".to_owned());
    }
    Health::Less(
        "pnet, without libpcap: no -f, no -i any, a smaller buffer".to_owned(),
        vec!["sudo apt install libpcap-dev pkg-config && cargo build --release".to_owned()],
    )
}

fn permission(place: Place) -> Health {
    let has = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    let (raw, admin) = (has(Capability::CAP_NET_RAW), has(Capability::CAP_NET_ADMIN));
    let program = env::current_exe().unwrap_or_else(|_| PathBuf::from("imwarden"));
    let command = match place {
        Place::Host => format!(
            "sudo setcap cap_net_raw,cap_net_admin=eip {}",
            program.display()
        ),
        // Root there, which sniff is only until the interface is open; the image's own user has no rights whatever is added.
        Place::Container => {
            "docker run --user root --network host --cap-add NET_RAW --cap-add NET_ADMIN ...".to_owned()
        }
        Place::Service => "sudo systemctl edit imwarden   # [Service] AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN and CapabilityBoundingSet= the same"
            .to_owned(),
    };
    let commands = vec![command];
    match (raw, admin) {
        (true, true) => Health::Well("CAP_NET_RAW and CAP_NET_ADMIN".to_owned()),
        (true, false) if cfg!(have_libpcap) => {
            Health::Well("CAP_NET_RAW; libpcap needs no more".to_owned())
        }
        (true, false) => Health::Less(
            "CAP_NET_RAW, but not CAP_NET_ADMIN: the buffer is as small as net.core.rmem_max"
                .to_owned(),
            commands,
        ),
        (false, _) => Health::Ill(
            "no CAP_NET_RAW: packet sockets are refused".to_owned(),
            commands,
        ),
    }
}

/// Listens on each interface that is up until one works.
fn interface(place: Place) -> Health {
    let devices = match live::devices() {
        Ok(devices) => devices,
        Err(error) => return Health::Ill(format!("cannot list them: {error}"), Vec::new()),
    };
    let names = |state: &str| -> Vec<String> {
        let devices = devices.iter().filter(|it| it.name != "any");
        let with = devices.filter(|it| it.state == Some(state));
        with.map(|it| it.name.clone()).collect()
    };
    let up = names("up");
    let real = up.iter().find(|name| *name != "lo").or(up.first());
    let Some(name) = real else {
        let mut down = names("down");
        down.extend(names("up, no link"));
        let commands = down
            .first()
            .map(|name| format!("sudo ip link set {name} up"));
        return Health::Ill("none is up".to_owned(), commands.into_iter().collect());
    };
    let options = live::Options {
        filter: None,
        snap_len: 256,
        promiscuous: false,
        buffer: 1 << 20,
        immediate: false,
    };
    match Live::open(std::slice::from_ref(name), &options) {
        Ok(_) => {
            let whose = match place {
                Place::Container => " (the host's own only with --network host)",
                Place::Host | Place::Service => "",
            };
            let up = up.join(", ");
            Health::Well(format!("listening on {name} works; up: {up}{whose}"))
        }
        Err(LiveError::Permission { .. }) => Health::Ill(
            format!(
                "up: {}; none can be listened on (see permission)",
                up.join(", ")
            ),
            Vec::new(),
        ),
        Err(error) => Health::Ill(error.to_string(), Vec::new()),
    }
}

fn sandbox() -> Health {
    let actions = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let seccomp = actions.contains("errno");
    // The list of security modules is only there where securityfs is; without it, the system call answers.
    let landlock = super::sniff::has_landlock();
    match (seccomp, landlock) {
        (true, true) => Health::Well("Landlock and seccomp".to_owned()),
        (true, false) => Health::Less(
            "seccomp, but no Landlock: files are guarded by their permissions only".to_owned(),
            vec!["add landlock to the kernel's lsm= parameter (Linux 5.13 and later)".to_owned()],
        ),
        (false, _) => Health::Ill(
            "this kernel has no seccomp filters: imwarden sniff needs --no-sandbox".to_owned(),
            Vec::new(),
        ),
    }
}

fn firewall() -> Health {
    let found: Vec<&str> = ["nft", "iptables", "ip6tables", "ipset", "conntrack"]
        .into_iter()
        .filter(|tool| find_program(tool).is_some())
        .collect();
    if found.contains(&"nft") || found.contains(&"iptables") {
        return Health::Well(found.join(", "));
    }
    Health::Less(
        "neither nft nor iptables: policies can be written here, but not loaded or proven"
            .to_owned(),
        vec!["sudo apt install nftables".to_owned()],
    )
}

/// What `sniff --enforce` would use.
fn enforce() -> Health {
    let lacking = |tools: &[&str]| -> Vec<String> {
        let missing = tools.iter().filter(|tool| find_program(tool).is_none());
        missing.map(|tool| (*tool).to_owned()).collect()
    };
    let iptables = lacking(&["iptables", "ip6tables", "ipset"]);
    let (by, install) = if lacking(&["nft"]).is_empty() {
        ("nft", None)
    } else if iptables.is_empty() {
        ("iptables and ipset", None)
    } else if iptables.len() == 1 {
        ("", Some("sudo apt install ipset"))
    } else {
        ("", Some("sudo apt install nftables"))
    };
    if let Some(command) = install {
        return Health::Less(
            "no nft, and not all of iptables, ip6tables and ipset: imwarden sniff --enforce cannot act".to_owned(),
            vec![command.to_owned()],
        );
    }
    if !Path::new("/proc/net/netfilter").exists() {
        return Health::Less(
            "this kernel has no netfilter here: imwarden sniff --enforce cannot act".to_owned(),
            vec!["sudo modprobe nf_conntrack_netlink".to_owned()],
        );
    }
    let admin = caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_ADMIN).unwrap_or(false);
    let also = if admin {
        ""
    } else {
        "; it needs CAP_NET_ADMIN (see permission)"
    };
    Health::Well(format!("imwarden sniff --enforce by {by}{also}"))
}

/// What `sniff --inline` would use. What a kernel could load when it is asked is not loaded for the question.
fn inline() -> Health {
    let missing: Vec<&str> = ["iptables", "ip6tables"]
        .into_iter()
        .filter(|tool| find_program(tool).is_none())
        .collect();
    if !missing.is_empty() {
        return Health::Less(
            format!(
                "no {}: imwarden sniff --inline cannot hold packets",
                missing.join(" and no ")
            ),
            vec!["sudo apt install iptables".to_owned()],
        );
    }
    let has_queue = Path::new("/proc/self/net/netfilter/nfnetlink_queue").exists();
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let modules =
        fs::read_to_string(format!("/lib/modules/{release}/modules.dep")).unwrap_or_default();
    let has_module = |name: &str| {
        modules
            .lines()
            .any(|line| line.contains(&format!("/{name}.ko")))
    };
    if has_queue {
        Health::Well("imwarden sniff --inline by iptables' NFQUEUE".to_owned())
    } else if has_module("nfnetlink_queue") && has_module("xt_NFQUEUE") {
        Health::Less(
            "NFQUEUE is not loaded yet; root's imwarden sniff --inline has the kernel load it"
                .to_owned(),
            vec!["sudo modprobe -a nfnetlink_queue xt_NFQUEUE".to_owned()],
        )
    } else {
        Health::Less(
            "this kernel has no NFQUEUE: imwarden sniff --inline cannot hold packets, --enforce can still cut".to_owned(),
            vec!["a kernel with CONFIG_NETFILTER_NETLINK_QUEUE and CONFIG_NETFILTER_XT_TARGET_NFQUEUE".to_owned()],
        )
    }
}

/// `prove` builds its router in one.
fn namespaces() -> Health {
    let missing: Vec<&str> = ["ip", "unshare"]
        .into_iter()
        .filter(|tool| find_program(tool).is_none())
        .collect();
    if !missing.is_empty() {
        return Health::Less(
            format!("no {}: imwarden prove needs it", missing.join(" and no ")),
            vec!["sudo apt install iproute2 util-linux".to_owned()],
        );
    }
    let most = fs::read_to_string("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let is_refused =
        |path: &str, value: &str| fs::read_to_string(path).is_ok_and(|text| text.trim() == value);
    if most.trim() == "0" {
        return Health::Less(
            "user namespaces are switched off: imwarden prove needs root".to_owned(),
            vec!["sudo sysctl user.max_user_namespaces=15000".to_owned()],
        );
    }
    if is_refused("/proc/sys/kernel/unprivileged_userns_clone", "0") {
        return Health::Less(
            "only root may make user namespaces: imwarden prove needs root".to_owned(),
            vec!["sudo sysctl kernel.unprivileged_userns_clone=1".to_owned()],
        );
    }
    if is_refused(
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
    ) {
        return Health::Less(
            "AppArmor keeps user namespaces from users: imwarden prove needs root".to_owned(),
            vec!["sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0".to_owned()],
        );
    }
    Health::Well("imwarden prove can build its router".to_owned())
}

/// Where a program of that name would be started from. Administrators' tools are not in everybody's PATH.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let mut files = folders.map(|folder| folder.join(name));
    files.find(|file| file.is_file())
}

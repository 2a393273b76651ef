//! What the enforcer gives up: everything but the one right, and what `nft` or `iptables` need to run.
//!
//! The programs that it starts inherit all of it.

use crate::cli::sniff::user;
use caps::{CapSet, Capability, CapsHashSet};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Programs, their libraries, and what these read.
const READ: [&str; 19] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix",
    "/etc/alternatives",
    "/etc/ethertypes",
    "/etc/host.conf",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/proc",
    "/run/systemd/resolve",
    "/dev/null",
];

/// Calls that none of these programs has a use for.
const REFUSED: [i64; 29] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_chroot,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_perf_event_open,
    libc::SYS_personality,
    libc::SYS_pivot_root,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_swapon,
    libc::SYS_syslog,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// Gives it up, for good. `nftables` says that iptables is not needed.
pub fn confine(nftables: bool, asked: Option<&str>) -> Result<(), String> {
    // The old iptables talks to the kernel over a raw socket. Its lock belongs to root.
    let mut keep = CapsHashSet::from([Capability::CAP_NET_ADMIN]);
    if !nftables {
        keep.insert(Capability::CAP_NET_RAW);
    }
    let had = caps::read(None, CapSet::Permitted).map_err(|error| error.to_string())?;
    keep.retain(|capability| had.contains(capability));
    for capability in caps::all() {
        if !keep.contains(&capability) {
            // Without the right to drop it there is nothing that could give it back.
            let _ = caps::drop(None, CapSet::Bounding, capability);
        }
    }
    if nftables && let Some(user) = user::choose(asked)? {
        caps::securebits::set_keepcaps(true).map_err(|error| error.to_string())?;
        // Whoever listens says the same.
        let _ = user::become_user(&user)?;
    }
    for set in [CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::set(None, set, &keep)
            .map_err(|error| format!("cannot give up capabilities: {error}"))?;
    }
    for capability in &keep {
        // So that the programs have it as well, whoever they run as.
        caps::raise(None, CapSet::Ambient, *capability)
            .map_err(|error| format!("cannot hand a capability down: {error}"))?;
    }
    // Without Landlock, permissions are what guards files: whoever listens says so.
    restrict_files(nftables)
        .map_err(|error| format!("cannot restrict access to files: {error}"))?;
    seal(nftables)
}

fn restrict_files(nftables: bool) -> Result<(), RulesetError> {
    let all = ABI::V6;
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    let write = read | AccessFs::WriteFile | AccessFs::MakeReg;
    let mut writable = vec![PathBuf::from("/dev/null")];
    if !nftables {
        // Where iptables has its lock.
        writable.push("/run".into());
        let elsewhere = std::env::var_os("XTABLES_LOCKFILE").map(PathBuf::from);
        writable.extend(elsewhere.and_then(|file| file.parent().map(PathBuf::from)));
    }
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(all))?
        .handle_access(AccessNet::from_all(all))?
        .scope(Scope::Signal)?
        .scope(Scope::AbstractUnixSocket)?
        .create()?
        .add_rules(path_beneath_rules(READ, read))?
        .add_rules(path_beneath_rules(writable, write))?;
    // A program of one's own may be anywhere.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        .filter(|it| it.is_absolute())
        .collect();
    ruleset = ruleset.add_rules(path_beneath_rules(folders, read))?;
    ruleset.restrict_self()?;
    Ok(())
}

fn seal(nftables: bool) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot restrict system calls: {error}");
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    // Sockets to the kernel and to nobody else.
    let mut families = vec![libc::AF_NETLINK as u64, libc::AF_UNIX as u64];
    if !nftables {
        families.extend([libc::AF_INET as u64, libc::AF_INET6 as u64]);
    }
    let other =
        |family: &u64| SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, *family);
    let conditions: Result<Vec<_>, _> = families.iter().map(other).collect();
    let strange = conditions
        .and_then(SeccompRule::new)
        .map_err(|error| failed(&error))?;
    rules.insert(libc::SYS_socket, vec![strange]);
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(|error| failed(&error))?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM as u32),
        arch,
    )
    .map_err(|error| failed(&error))?;
    let program: BpfProgram = filter.try_into().map_err(|error| failed(&error))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| failed(&error))
}

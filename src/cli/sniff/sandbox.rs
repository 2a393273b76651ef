//! What the process gives up once everything is open: rights, user, files, system calls.
//!
//! Two steps. [`confine`] comes before the threads are started, since Landlock and capabilities are a thread's own and
//! inherited; [`seal`] after it, for all of them, since then none is to be started any more.

use super::user::{self, User};
use caps::CapSet;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is still needed from now on.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch")]
pub struct Needs {
    /// Folders that are read from again.
    pub read: Vec<PathBuf>,
    /// Folders in which files are made, renamed and removed.
    pub write: Vec<PathBuf>,
    /// Messages to the service manager: a socket of the local kind.
    pub local_socket: bool,
    /// A log may have to be connected to again.
    pub log: bool,
    /// What is too large for a message is handed over in a file without a name.
    pub large: bool,
    /// Connections are taken on a socket that is open.
    pub accept: bool,
}

/// Newest of Landlock's versions that we know; an older kernel does what it can.
const LANDLOCK: ABI = ABI::V6;

/// Gives up the user, all capabilities and all files but those that are needed. What could not be given up is told.
pub fn confine(needs: &Needs, user: Option<&User>) -> Result<Vec<String>, String> {
    let mut notices = Vec::new();
    // Before the user is another: dropping from this set is a right as well. Without any there is nothing to drop.
    for capability in caps::all() {
        let _ = caps::drop(None, CapSet::Bounding, capability);
    }
    if let Some(user) = user {
        notices.extend(user::become_user(user)?);
    }
    for set in [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ] {
        caps::clear(None, set).map_err(|error| format!("cannot give up capabilities: {error}"))?;
    }
    match restrict_files(needs) {
        Ok(RulesetStatus::NotEnforced) => notices.push(
            "this kernel has no Landlock: files are guarded by their permissions only".to_owned(),
        ),
        Ok(_) => {}
        Err(error) => return Err(format!("cannot restrict access to files: {error}")),
    }
    Ok(notices)
}

/// Whether this kernel has Landlock. To make a ruleset restricts nobody; that it is made of nothing less says so.
pub fn has_landlock() -> bool {
    let made = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))
        .and_then(Ruleset::create);
    made.is_ok()
}

fn restrict_files(needs: &Needs) -> Result<RulesetStatus, RulesetError> {
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let write =
        read | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::Signal)?;
    // A service manager may listen on a socket without a file.
    if !needs.local_socket {
        ruleset = ruleset.scope(Scope::AbstractUnixSocket)?;
    }
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(&needs.read, read))?
        .add_rules(path_beneath_rules(&needs.write, write))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// Closes all system calls but those that are needed from now on, for all threads.
pub fn seal(needs: &Needs) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| {
        format!("cannot restrict system calls: {error} (--no-sandbox goes on without)")
    };
    let arch = std::env::consts::ARCH
        .try_into()
        .map_err(|error| failed(&error))?;
    let rules = allowed(needs).map_err(|error| failed(&error))?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM as u32),
        SeccompAction::Allow,
        arch,
    )
    .map_err(|error| failed(&error))?;
    let program: BpfProgram = filter.try_into().map_err(|error| failed(&error))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|error| failed(&error))
}

/// Calls that are allowed whatever their arguments.
const ALWAYS: &[i64] = &[
    // Files and sockets that are open, and files where Landlock lets us.
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_ftruncate,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_openat,
    libc::SYS_getdents64,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_unlinkat,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    // Interfaces: packets, counts, and binding again. Questions to interfaces are ioctls.
    libc::SYS_ppoll,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_bind,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_ioctl,
    // Memory, time, threads that are there, the end.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_membarrier,
    libc::SYS_prctl,
    libc::SYS_dup,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_uname,
];

/// The same, where the processor has older calls as well.
#[cfg(target_arch = "x86_64")]
const OLDER: &[i64] = &[
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_rename,
    libc::SYS_unlink,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[i64] = &[];

fn allowed(needs: &Needs) -> Result<BTreeMap<i64, Vec<SeccompRule>>, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALWAYS
        .iter()
        .chain(OLDER)
        .map(|call| (*call, Vec::new()))
        .collect();
    // Memory, but none that code could be put into.
    let not_executable = |argument| {
        SeccompRule::new(vec![SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64),
            0,
        )?])
    };
    rules.insert(libc::SYS_mmap, vec![not_executable(2)?]);
    rules.insert(libc::SYS_mprotect, vec![not_executable(2)?]);
    if needs.local_socket {
        let local = SeccompRule::new(vec![SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Eq,
            libc::AF_UNIX as u64,
        )?])?;
        rules.insert(libc::SYS_socket, vec![local]);
        rules.insert(libc::SYS_connect, Vec::new());
        rules.insert(libc::SYS_sendmsg, Vec::new());
    }
    if needs.log {
        rules.insert(libc::SYS_connect, Vec::new());
    }
    if needs.large {
        rules.insert(libc::SYS_memfd_create, Vec::new());
        rules.insert(libc::SYS_sendmsg, Vec::new());
    }
    if needs.accept {
        rules.insert(libc::SYS_accept4, Vec::new());
        rules.insert(libc::SYS_shutdown, Vec::new());
    }
    Ok(rules)
}

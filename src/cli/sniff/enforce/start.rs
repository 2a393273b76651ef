//! What is asked for, and the enforcer, started.

use super::slip;
use super::wire::{Answer, Request};
use crate::cli::apply::BackendArg;
use crate::cli::policy::{ask_for_addresses, today};
use crate::cli::{CliError, quoted};
use crate::model::Confidence;
use crate::policy::apply::ApplyError;
use crate::policy::live::{holder, usual_backend};
use crate::policy::{Mark, PolicyFile, Who};
use crate::ruleset::RuleSet;
use clap::ArgGroup;
use ipnet::IpNet;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// An answer that takes longer will not come: nft and iptables wait ten seconds for others at most.
const PATIENCE: Duration = Duration::from_secs(40);

/// What to do about what is found.
#[derive(Clone, Debug, clap::Args)]
#[command(group(ArgGroup::new("acting").args(["enforce", "inline"]).multiple(true)))]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch")]
pub struct EnforceArgs {
    /// Act: cut confirmed connections that pass here, and refuse their servers for a time
    #[arg(long)]
    enforce: bool,

    /// --enforce, and hold the first packets of each TCP connection (by iptables' NFQUEUE) until it is known whose it is: for a
    /// fraction of a second at most
    #[arg(long, conflicts_with = "filter")]
    inline: bool,

    /// With --enforce or --inline, change nothing: say what would be done
    #[arg(long, requires = "acting")]
    dry_run: bool,

    /// Act on what is at least so sure
    #[arg(
        long,
        value_enum,
        default_value = "confirmed",
        value_name = "NAME",
        requires = "acting"
    )]
    enforce_confidence: crate::cli::policy::ConfidenceArg,

    /// For how long a server is refused after the last attempt to reach it: 30s, 10m, 1h
    #[arg(long, default_value = "1h", value_name = "TIME", requires = "acting", value_parser = crate::cli::apply::span)]
    enforce_timeout: Duration,

    /// Act on so many connections a minute; what is more is counted, said, and tried again
    #[arg(long, default_value_t = 60, value_name = "N", requires = "acting", value_parser = clap::value_parser!(u32).range(1..=6000))]
    enforce_rate: u32,

    /// Leave these addresses and networks alone, whichever end of a connection they are (several: --allow A --allow B)
    #[arg(long, value_name = "NET", requires = "acting", value_parser = crate::cli::policy::net)]
    allow: Vec<IpNet>,

    /// Leave alone what this policy file has exceptions for
    #[arg(long, value_name = "FILE", requires = "acting")]
    plan: Option<PathBuf>,

    /// Which firewall [default: nftables, or iptables where there is no nft]
    #[arg(long, value_enum, value_name = "NAME", requires = "acting")]
    firewall: Option<BackendArg>,

    /// The byte of the connection mark that is ours, and what is written there
    #[arg(
        long,
        default_value = "0x4a0000/0xff0000",
        value_name = "VALUE/MASK",
        requires = "acting"
    )]
    enforce_mark: Mark,

    /// Leave the rules in force when sniffing ends
    #[arg(long, requires = "acting")]
    keep: bool,
}

/// What else the enforcer has to know.
pub struct Surroundings<'a> {
    /// Rule files that know ports of others.
    pub rules: Option<&'a Path>,
    /// The same, read.
    pub ruleset: &'a RuleSet,
    /// Whom to become.
    pub user: Option<&'a str>,
    /// Lock it in.
    pub sandbox: bool,
    /// What is listened on.
    pub interfaces: &'a [String],
}

/// The process that may change the firewall, as the one that listens knows it.
pub struct Enforcer {
    pub(super) socket: UnixStream,
    pub(super) packets: Option<OwnedFd>,
}

impl EnforceArgs {
    /// How sure a finding must be.
    pub fn least(&self) -> Confidence {
        self.enforce_confidence.into()
    }

    /// For how long a server is refused.
    pub const fn timeout(&self) -> Duration {
        self.enforce_timeout
    }

    /// Nothing is to be changed.
    pub const fn dry_run(&self) -> bool {
        self.dry_run
    }

    /// The rules are to stay.
    pub const fn keep(&self) -> bool {
        self.keep
    }

    /// Starts the enforcer, if it is wanted. It does nothing before [`Enforcer::begin`].
    pub fn start(&self, around: &Surroundings<'_>) -> Result<Option<Enforcer>, CliError> {
        if !self.enforce && !self.inline {
            return Ok(None);
        }
        let (here, there) = UnixStream::pair()?;
        here.set_read_timeout(Some(PATIENCE))?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(self.words(around)?)
            .stdin(Stdio::from(OwnedFd::from(there)));
        let packets = if self.inline && !self.dry_run {
            let (here, there) = slip::pair()?;
            command.stdout(Stdio::from(there));
            Some(here)
        } else {
            command.stdout(Stdio::null());
            None
        };
        let child = command.spawn();
        // It ends when its socket does, and whoever started it ends with it: nobody waits for it.
        child.map_err(|error| CliError::Enforce(format!("cannot start the enforcer: {error}")))?;
        Ok(Some(Enforcer {
            socket: here,
            packets,
        }))
    }

    fn words(&self, around: &Surroundings<'_>) -> Result<Vec<OsString>, CliError> {
        let backend = match self.firewall {
            Some(firewall) => firewall.backend().map_err(CliError::from)?,
            None => usual_backend().map_err(ApplyError::from)?,
        };
        let mut words: Vec<OsString> = vec!["enforce-live".into()];
        let mut say = |option: &str, value: OsString| {
            words.push(option.into());
            words.push(value);
        };
        say("--backend", backend.name().into());
        say("--mark", self.enforce_mark.to_string().into());
        say(
            "--timeout",
            self.enforce_timeout.as_secs().to_string().into(),
        );
        say("--rate", self.enforce_rate.to_string().into());
        for net in self
            .allow
            .iter()
            .copied()
            .chain(self.exceptions(around.ruleset)?)
        {
            say("--allow", net.to_string().into());
        }
        if self.inline {
            let by = holder(backend).map_err(ApplyError::from)?;
            say("--hold-by", by.name().into());
            // Of all interfaces, no name is asked for.
            let all = around.interfaces.iter().any(|name| name == "any");
            for name in around.interfaces.iter().filter(|_| !all) {
                say("--interface", name.into());
            }
        }
        if let Some(rules) = around.rules {
            say("--rules", std::path::absolute(rules)?.into());
        }
        if let Some(user) = around.user {
            say("--user", user.into());
        }
        for (option, wanted) in [
            ("--keep", self.keep),
            ("--dry-run", self.dry_run),
            ("--no-sandbox", !around.sandbox),
        ] {
            if wanted {
                words.push(option.into());
            }
        }
        Ok(words)
    }

    /// Those of a policy file that are not over.
    fn exceptions(&self, rules: &RuleSet) -> Result<Vec<IpNet>, CliError> {
        let Some(path) = &self.plan else {
            return Ok(Vec::new());
        };
        let file = PolicyFile::load(path, rules).map_err(crate::cli::policy::PolicyError::from)?;
        let today = today();
        let mut lasting = file.exceptions;
        lasting.retain(|it| it.until.is_none_or(|until| until >= today));
        ask_for_addresses(&mut lasting, today)?;
        // Packets do not say whose they are.
        if let Some(user) = lasting.iter().find(|it| matches!(it.who, Who::User(_))) {
            return Err(CliError::Enforce(format!(
                "the exception for {}: --enforce sees packets, and not which user they are of; use --allow with addresses",
                user.who
            )));
        }
        Ok(lasting.iter().flat_map(|it| it.who.nets()).collect())
    }
}

impl Enforcer {
    /// Has the rules loaded; what was done, in words.
    pub fn begin(&mut self) -> Result<String, CliError> {
        let gone = |_| CliError::Enforce("the enforcer did not come up".to_owned());
        Request::send(&[Request::Begin], &mut self.socket).map_err(gone)?;
        match Answer::receive(&mut self.socket).map_err(gone)? {
            Answer::Done(what) => Ok(what),
            Answer::Failed {
                permission: true,
                what,
            } => {
                let words: Vec<String> = std::env::args_os().map(|word| quoted(&word)).collect();
                Err(CliError::Permission(what, words.join(" ")))
            }
            Answer::Failed { what, .. } => Err(CliError::Enforce(what)),
            _ => Err(CliError::Enforce("the enforcer talks nonsense".to_owned())),
        }
    }
}

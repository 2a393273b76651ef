//! What is opened while there are rights for it: interfaces first, then sockets and files.

use super::args::{Args, Format};
use super::log::{Log, Protocol};
use super::metrics;
use super::pieces::{Existing, Pieces, Rotation};
use super::sandbox::Needs;
use super::user::User;
use super::wishes::{self, Wishes};
use super::write::Output;
use crate::capture::live::Live;
use crate::cli::CliError;
use std::path::Path;

/// All of it.
pub struct Opened {
    /// The interfaces.
    pub live: Live,
    /// How records are written, and where; nowhere if there is only a screen.
    pub format: Format,
    pub output: Option<Output>,
    /// Where packets are saved.
    pub saved: Option<Pieces>,
    /// Where somebody may ask how it goes.
    pub metrics: Option<metrics::Listener>,
}

impl Opened {
    /// Opens it.
    pub fn open(args: &Args, wishes: &Wishes<'_>) -> Result<Self, CliError> {
        let live = Live::open(&wishes.interfaces, &args.options())?;
        let (format, log) = match (&args.syslog, &args.journald) {
            (Some(path), _) => (Format::Syslog, Some((path, Protocol::Syslog))),
            (None, Some(path)) => (Format::Journal, Some((path, Protocol::Journal))),
            (None, None) => (args.format, None),
        };
        let metrics = args.metrics.as_ref().map(metrics::Listener::open);
        let metrics = metrics.transpose().map_err(|source| CliError::Socket {
            what: "the socket of --metrics".to_owned(),
            source,
        })?;
        let output = match (log, wishes.output) {
            (Some((path, protocol)), _) => Some(Output::Log(open_log(path, protocol)?)),
            (None, Some(path)) => {
                let file = open_file(path, args.rotation(), Existing::Lines)?;
                Some(Output::File(file))
            }
            (None, None) if args.tui => None,
            (None, None) => Some(Output::stdout()?),
        };
        let saved = match &args.write {
            Some(path) => Some(open_file(path, args.ring(), Existing::Replaced)?),
            None => None,
        };
        Ok(Self {
            live,
            format,
            output,
            saved,
            metrics,
        })
    }

    /// What is needed once the sandbox is shut.
    pub fn needs(&self, args: &Args) -> Result<Needs, CliError> {
        let output = match &self.output {
            Some(Output::File(file)) => Some(file),
            Some(Output::Stdout(_) | Output::Log(_)) | None => None,
        };
        let rotating = [output, self.saved.as_ref()].into_iter().flatten();
        let write = rotating
            .filter(|file| file.rotates())
            .map(|file| file.folder().canonicalize())
            .collect::<Result<_, _>>()?;
        Ok(Needs {
            read: args.rules.iter().cloned().collect(),
            write,
            local_socket: std::env::var_os("NOTIFY_SOCKET").is_some(),
            log: args.syslog.is_some() || args.journald.is_some(),
            large: args.journald.is_some(),
            accept: args.metrics.is_some(),
        })
    }
}

fn open_file(path: &Path, rotation: Rotation, existing: Existing) -> Result<Pieces, CliError> {
    Pieces::open(path, rotation, existing).map_err(|error| CliError::Write {
        what: path.display().to_string(),
        source: wishes::explained(path, error),
    })
}

fn open_log(path: &Path, protocol: Protocol) -> Result<Log, CliError> {
    Log::open(path, protocol).map_err(|source| {
        let log = match protocol {
            Protocol::Syslog => "the system log",
            Protocol::Journal => "the journal",
        };
        CliError::Socket {
            what: format!("{log} at {}", path.display()),
            source,
        }
    })
}

/// A folder that later files are to be made in: better now than in an hour.
pub fn may_write(folder: &Path, user: Option<&User>) -> Result<(), CliError> {
    let probe = folder.join(format!(".imwarden-{}", std::process::id()));
    let made = std::fs::File::create_new(&probe).and_then(|_| std::fs::remove_file(&probe));
    made.map_err(|error| {
        let name = user.map_or("root", |user| user.name());
        let folder = folder.display();
        CliError::Sandbox(format!(
            "user {name} cannot make files in {folder}, as rotation needs: {error}
  give it the folder:  sudo chown {name} {folder}
  or stay root, without root's rights:  --user root"
        ))
    })
}

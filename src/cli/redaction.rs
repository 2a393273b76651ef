//! Whether names are told.

use super::CliError;
use crate::report::Redactor;
use std::io;

/// `--redact` and its key.
#[derive(Debug, clap::Args)]
pub struct Redaction {
    /// Replace accounts, hosts and names of files by keyed hashes
    #[arg(long)]
    redact: bool,

    /// The key for --redact: with the same key a name is hidden in the same way; without, each run has its own
    #[arg(
        long,
        env = "IMWARDEN_REDACT_KEY",
        hide_env_values = true,
        value_name = "KEY",
        requires = "redact"
    )]
    redact_key: Option<String>,
}

impl Redaction {
    /// Who does it, if it is wanted.
    pub fn redactor(&self) -> Result<Option<Redactor>, CliError> {
        if !self.redact {
            return Ok(None);
        }
        let key = if let Some(key) = &self.redact_key {
            key.clone().into_bytes()
        } else {
            let mut key = [0; 32];
            getrandom::fill(&mut key).map_err(io::Error::other)?;
            key.to_vec()
        };
        let redactor = Redactor::new(&key);
        redactor
            .map(Some)
            .ok_or(CliError::Usage("--redact-key is empty"))
    }
}

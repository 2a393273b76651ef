//! `imwarden rules import`: rules of other programs.

use super::RulesCommandError;
use crate::cli::{DONE, UNREADABLE, output};
use crate::ruleset::RuleSet;
use crate::ruleset::import::{self, Imported, MAX_FILE};
use clap::{Args, ValueEnum};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Reasons that are listed.
const MAX_LISTED: usize = 200;

/// Whose rules.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Language {
    /// A pattern file of l7-filter (NAME.pat)
    #[value(name = "l7-filter")]
    L7Filter,
    /// A rule file of Suricata (NAME.rules)
    Suricata,
}

/// `imwarden rules import suricata local.rules`.
#[derive(Args, Clone, Debug)]
pub struct ImportArgs {
    /// Whose rules
    #[arg(value_enum)]
    pub language: Language,
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The messenger that they are about [default: after the file's name]
    #[arg(long, value_name = "ID")]
    pub id: Option<String>,
    /// Write the rule file there instead of to standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Takes what can be said and lists what cannot; the exit code.
pub fn run(args: &ImportArgs, out: &mut dyn Write) -> Result<u8, RulesCommandError> {
    let bytes = read(&args.file)?;
    let id = match &args.id {
        Some(id) => id.clone(),
        None => id(&args.file)?,
    };
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let imported = match args.language {
        Language::L7Filter => import::l7_filter(&name, &bytes, &id),
        Language::Suricata => import::suricata(&name, &bytes, &id),
    }?;
    let Imported { text, taken, left } = imported;
    let file = args.file.display();
    for left in left.iter().take(MAX_LISTED) {
        output::complain(&format!("left: {file}:{left}"));
    }
    if left.len() > MAX_LISTED {
        output::complain(&format!("left: {} more", left.len() - MAX_LISTED));
    }
    output::complain(&format!("{file}: {taken} taken, {} left", left.len()));
    if taken == 0 {
        return Err(RulesCommandError::NothingTaken(args.file.clone()));
    }
    if let Some(path) = &args.output {
        let written = std::fs::write(path, text);
        written.map_err(|error| RulesCommandError::Unwritable {
            path: path.clone(),
            error,
        })?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    output::complain(
        "add samples of what must be found and what must not; `imwarden rules test` runs them",
    );
    Ok(if left.is_empty() { DONE } else { UNREADABLE })
}

fn read(path: &Path) -> Result<Vec<u8>, RulesCommandError> {
    let unreadable = |error| RulesCommandError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_FILE as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_FILE {
        let text = format!("more than {} MiB", MAX_FILE >> 20);
        return Err(unreadable(std::io::Error::other(text)));
    }
    Ok(bytes)
}

/// An id out of the file's name that takes no built-in messenger's place.
fn id(file: &Path) -> Result<String, RulesCommandError> {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let kept = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let lower = stem.to_ascii_lowercase();
    let mut id: String = lower.chars().filter(|c| kept(*c)).take(14).collect();
    let is_taken = id == "oscar" || RuleSet::builtin()?.messenger(&id).is_some();
    if is_taken || !id.starts_with(|c: char| c.is_ascii_lowercase()) {
        id = format!("own-{}", id.chars().take(10).collect::<String>());
    }
    Ok(id.trim_end_matches('-').to_owned())
}

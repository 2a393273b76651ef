//! What is done in a network that nobody is in.

use super::super::namespace::Namespace;
use super::super::{CliError, DONE, output};
use crate::policy::apply::{self, Generation, Ours, Task, Tried};
use std::ffi::OsString;
use std::io::{Read, Write};

/// Does this in a network that nobody is in.
pub fn in_private(namespace: &Namespace, task: &Task) -> Result<Tried, CliError> {
    let text = serde_json::to_string(task).map_err(std::io::Error::from)?;
    let arguments: [OsString; 1] = ["try-in-namespace".into()];
    let output = namespace.run_own(&arguments, &text)?;
    let answer: Result<Tried, String> =
        serde_json::from_slice(&output.stdout).map_err(std::io::Error::from)?;
    answer.map_err(CliError::Findings)
}

/// What the child does in its namespace.
pub fn in_namespace() -> Result<u8, CliError> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let task: Task = serde_json::from_str(&text).map_err(std::io::Error::from)?;
    let answer = apply::perform(&task).map_err(|error| error.to_string());
    let mut out = output::stdout();
    serde_json::to_writer(&mut out, &answer).map_err(std::io::Error::from)?;
    out.flush()?;
    Ok(DONE)
}

/// What differs between what was applied and what is there, as the same programs print both.
pub fn differences(now: &Generation) -> Result<Vec<String>, CliError> {
    let live = apply::read_plain(now.backend)?;
    let task = Task::Print(now.backend, Box::new(now.wanted.clone()));
    // Where no private network is to be had, what was printed when it was applied must do.
    let wanted: Ours = Namespace::find()
        .and_then(|namespace| in_private(&namespace, &task))
        .map_or_else(|_| now.wanted.clone(), |tried| tried.wanted);
    Ok(apply::drift(&wanted, &live))
}

//! The programs that administrators use, run with something to read.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

/// Why a program did not do what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("{program}: {what}")]
pub struct ToolError {
    /// Which.
    pub program: String,
    /// What it said.
    pub what: String,
}

impl ToolError {
    /// Whether it may not do this to the firewall, as opposed to being unable to.
    pub fn is_permission(&self) -> bool {
        let words = [
            "Operation not permitted",
            "Permission denied",
            "you must be root",
        ];
        words.iter().any(|word| self.what.contains(word))
    }

    /// Whether it spoke of something that is not there.
    pub fn is_missing(&self) -> bool {
        self.what.contains("No such file or directory")
    }

    /// Whether it spoke of a set that some rule looks into.
    pub fn is_in_use(&self) -> bool {
        self.what.contains("it is in use by a kernel component")
    }
}

/// Runs a program, gives it this to read, and returns what it wrote.
pub(super) fn run(
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
    input: &str,
) -> Result<String, ToolError> {
    let failed = |what: String| ToolError {
        program: program.to_owned(),
        what,
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", path())
        // What it says is read below.
        .env("LC_ALL", "C")
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => failed("it is not installed, and is needed here".to_owned()),
            _ => failed(error.to_string()),
        })?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may end without reading: then its exit status says why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let first: Vec<&str> = words.lines().take(4).collect();
    Err(failed(format!("{} ({})", first.join("; "), output.status)))
}

/// Where system programs are, which is not in everybody's path.
fn path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/local/sbin:/usr/sbin:/sbin")
}

/// Whether a program can be found.
pub(super) fn is_installed(program: &str) -> bool {
    path()
        .split(':')
        .any(|dir| std::path::Path::new(dir).join(program).is_file())
}

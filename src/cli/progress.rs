//! A progress bar for one file.

use crate::report;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::time::{Duration, Instant};

/// Work shorter than this shows no progress bar.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is counted.
#[derive(Clone, Copy)]
enum Template {
    Bytes,
    Flows,
}

/// A bar on stderr, when that is a terminal and the work takes long enough to wonder.
pub struct Progress {
    name: String,
    template: Template,
    total: Option<u64>,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// For the file of this name.
    pub fn new(name: String) -> Self {
        Self::with(name, Template::Bytes)
    }

    /// For work that is done flow by flow.
    pub fn flows(name: &str) -> Self {
        Self::with(name.to_owned(), Template::Flows)
    }

    fn with(name: String, template: Template) -> Self {
        Self {
            name,
            template,
            total: None,
            started: Instant::now(),
            bar: None,
        }
    }

    /// So much of so much was done.
    pub fn at(&mut self, position: u64, total: Option<u64>) {
        self.total = self.total.or(total);
        if self.bar.is_none() && self.started.elapsed() < PATIENCE {
            return;
        }
        self.bar
            .get_or_insert_with(|| progress_bar(&self.name, self.template, self.total))
            .set_position(position);
    }

    /// The bar goes away while `write` writes, so that the two do not mix on a terminal.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// The file was read.
    pub fn done(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

fn progress_bar(name: &str, template: Template, total: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(8));
    let template = match (template, total) {
        (Template::Flows, _) => "{msg} [{wide_bar}] {pos}/{len} flows {eta}",
        (Template::Bytes, Some(_)) => {
            "{msg} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        }
        (Template::Bytes, None) => "{msg} {spinner} {bytes} {bytes_per_sec}",
    };
    // The templates are constants; a mistake in one shows the default bar.
    bar.set_style(
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar.set_message(report::clean(name).into_owned());
    bar
}

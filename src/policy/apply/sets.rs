//! Our sets of `ipset`, which rules of iptables look into and a resolver fills.

use super::ApplyError;
use crate::policy::tool::{is_installed, run};
use serde::{Deserialize, Serialize};

/// How their names begin.
const OURS: &str = "imw-";
/// Rules that are gone let go of their sets a moment later.
const TRIES: u32 = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// The sets and what is in them, as `ipset save` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sets(Vec<String>);

impl Sets {
    /// Reads them.
    pub fn read() -> Result<Self, ApplyError> {
        if !is_installed("ipset") {
            return Ok(Self::default());
        }
        let text = run("ipset", &["save"], &[], "")?;
        Ok(Self::of(&text))
    }

    fn of(text: &str) -> Self {
        let ours = |line: &&str| {
            line.split(' ')
                .nth(1)
                .is_some_and(|it| it.starts_with(OURS))
        };
        Self(text.lines().filter(ours).map(str::to_owned).collect())
    }

    /// Each set's name, and how much is in it.
    pub fn sizes(&self) -> Vec<(&str, usize)> {
        let mut all: Vec<(&str, usize)> = Vec::new();
        for line in &self.0 {
            let mut words = line.split(' ');
            match (words.next(), words.next()) {
                (Some("create"), Some(name)) => all.push((name, 0)),
                (Some("add"), Some(name)) => {
                    if let Some(set) = all.iter_mut().find(|set| set.0 == name) {
                        set.1 += 1;
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// Makes them, where they are not there yet. What is in one that is there stays.
    pub fn make(&self) -> Result<(), ApplyError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut text = self.0.join("\n");
        text.push('\n');
        run("ipset", &["restore", "-exist"], &[], &text)?;
        Ok(())
    }

    /// Destroys those that are not among the wanted. No rule may look into them any more.
    pub fn destroy_but(&self, wanted: &Self) -> Result<(), ApplyError> {
        let wanted = wanted.sizes();
        for (name, _) in self.sizes() {
            if wanted.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let mut tries = 0;
            while let Err(error) = run("ipset", &["destroy", name], &[], "") {
                tries += 1;
                if tries == TRIES {
                    return Err(error.into());
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// As text that can be compared: without what is in them.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.0.iter().filter(|line| line.starts_with("create ")) {
            // What a kernel adds by itself differs with its version and from set to set.
            let words: Vec<&str> = line.split(' ').collect();
            let kept = words.iter().position(|word| *word == "hashsize");
            text.push_str(
                &words
                    .get(..kept.unwrap_or(words.len()))
                    .unwrap_or_default()
                    .join(" "),
            );
            text.push('\n');
        }
        text
    }
}

/// Takes everything out of these, where they are.
pub(super) fn empty(names: &[String]) -> Result<(), ApplyError> {
    let there = Sets::read()?;
    for name in names {
        if there.sizes().iter().any(|(it, _)| it == name) {
            run("ipset", &["flush", name], &[], "")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Sets;

    #[test]
    fn our_sets_are_told_from_others() {
        let sets = Sets::of(
            "create imw-a4 hash:ip family inet hashsize 1024 maxelem 65536 timeout 60 bucketsize 12 initval 0x61\n\
             create blocked hash:ip family inet\nadd imw-a4 192.0.2.1 timeout 59\nadd blocked 192.0.2.2\n",
        );
        assert_eq!(sets.sizes(), [("imw-a4", 1)]);
        assert_eq!(sets.text(), "create imw-a4 hash:ip family inet\n");
    }
}

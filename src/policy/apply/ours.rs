//! What of this machine's rules is ours: read, and replaced by another, in one transaction for each program.

use super::ApplyError;
use super::listing;
use super::sets::Sets;
use super::xtables::{self, Chains};
use crate::policy::prove::Backend;
use crate::policy::tool::{ToolError, is_installed, run};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// So long is waited for somebody else who is changing rules, in seconds.
const LOCK_WAIT: &str = "10";

/// Our part of one firewall. Counters and learned elements are in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ours {
    /// Our table as `nft list table` prints it; empty if there is none.
    Nftables(String),
    /// Our chains of both families.
    Xtables {
        /// iptables.
        v4: Chains,
        /// ip6tables.
        v6: Chains,
        /// The built-in chains of each: iptables over nftables makes them, and their table, when they are first used.
        built_in: [Vec<String>; 2],
        /// What rules look into.
        sets: Sets,
    },
}

impl Ours {
    /// Nothing.
    pub fn none(backend: Backend) -> Self {
        match backend {
            Backend::Nftables => Self::Nftables(String::new()),
            Backend::IptablesNft | Backend::IptablesLegacy => Self::Xtables {
                v4: Chains::default(),
                v6: Chains::default(),
                built_in: Default::default(),
                sets: Sets::default(),
            },
        }
    }

    /// Sets and maps whose elements come to an end, with how many they have.
    pub fn timed_sets(&self) -> Vec<(String, usize)> {
        let Self::Nftables(table) = self else {
            return Vec::new();
        };
        let all = listing::blocks(table);
        let timed = all.iter().filter(|block| block.is_timed());
        timed
            .map(|block| (block.name.to_owned(), block.size()))
            .collect()
    }

    /// Whether there is nothing of ours.
    pub fn is_none(&self) -> bool {
        match self {
            Self::Nftables(table) => table.is_empty(),
            // Sets that no rule looks into do nothing.
            Self::Xtables { v4, v6, .. } => v4.is_empty() && v6.is_empty(),
        }
    }
}

/// Reads our part.
pub fn read(backend: Backend) -> Result<Ours, ApplyError> {
    match backend {
        Backend::Nftables => Ok(Ours::Nftables(table(&[])?)),
        Backend::IptablesNft | Backend::IptablesLegacy => {
            let [v4, v6] = backend.xtables();
            Ok(Ours::Xtables {
                built_in: [built_in(backend, "ip")?, built_in(backend, "ip6")?],
                v4: Chains::of(&save(v4)?),
                v6: Chains::of(&save(v6)?),
                sets: Sets::read()?,
            })
        }
    }
}

/// The same without what is counted.
pub fn read_plain(backend: Backend) -> Result<Ours, ApplyError> {
    match backend {
        Backend::Nftables => Ok(Ours::Nftables(table(&["-s"])?)),
        Backend::IptablesNft | Backend::IptablesLegacy => read(backend),
    }
}

/// Our table with what is counted and learned, or (`-s`) without; empty if there is none.
pub fn table(options: &[&str]) -> Result<String, ApplyError> {
    let mut arguments = options.to_vec();
    arguments.extend(["list", "table", "inet", "imwarden"]);
    match run("nft", &arguments, &[], "") {
        Ok(text) => Ok(text),
        Err(error) if error.is_missing() => Ok(String::new()),
        Err(error) => Err(error.into()),
    }
}

/// The filter table of one family, with counters.
pub fn save(program: &str) -> Result<String, ToolError> {
    run(&format!("{program}-save"), &["-c", "-t", "filter"], &[], "")
}

/// The built-in chains of a family's filter table. The old iptables has them all, always.
fn built_in(backend: Backend, family: &str) -> Result<Vec<String>, ApplyError> {
    if backend != Backend::IptablesNft || !is_installed("nft") {
        return Ok(Vec::new());
    }
    match run("nft", &["-s", "list", "table", family, "filter"], &[], "") {
        Ok(text) => Ok(listing::blocks(&text)
            .iter()
            .filter(|block| {
                block
                    .lines
                    .first()
                    .is_some_and(|line| line.starts_with("type "))
            })
            .map(|block| block.name.to_owned())
            .collect()),
        Err(error) if error.is_missing() => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// [`replace`], but rules of iptables that stay go on counting from where they are.
pub fn replace_counting(backend: Backend, wanted: &Ours) -> Result<(), ApplyError> {
    let mut wanted = wanted.clone();
    if let Ours::Xtables { v4, v6, .. } = &mut wanted {
        for (program, chains) in backend.xtables().into_iter().zip([v4, v6]) {
            chains.count_on_from(&Chains::of(&save(program)?));
        }
    }
    replace(backend, &wanted)
}

/// Puts `wanted` in the place of whatever of ours is there.
pub fn replace(backend: Backend, wanted: &Ours) -> Result<(), ApplyError> {
    match wanted {
        Ours::Nftables(table) => {
            // The first line makes the second work on an empty machine.
            let text = format!("table inet imwarden\ndelete table inet imwarden\n{table}");
            load(&text)?;
        }
        Ours::Xtables { v4, v6, sets, .. } => {
            // Before a rule that looks into them.
            sets.make()?;
            let [first, second] = backend.xtables();
            let before = Chains::of(&save(first)?);
            restore(first, &v4.in_place_of(&before))?;
            if let Err(error) = replace_family(second, v6) {
                // Each family is a transaction of its own: one without the other would be a hole.
                restore(first, &before.in_place_of(v4))?;
                return Err(error);
            }
            // Sets of the policy before, which no rule looks into any more. One that somebody else's rule names stays.
            match Sets::read()?.destroy_but(sets) {
                Err(ApplyError::Tool(error)) if error.is_in_use() => {}
                done => done?,
            }
        }
    }
    Ok(())
}

fn replace_family(program: &str, wanted: &Chains) -> Result<(), ApplyError> {
    let live = Chains::of(&save(program)?);
    restore(program, &wanted.in_place_of(&live))
}

/// Loads a file into nftables.
pub fn load(text: &str) -> Result<(), ApplyError> {
    run("nft", &["-f", "/dev/stdin"], &[], text)?;
    Ok(())
}

fn restore(program: &str, text: &str) -> Result<(), ApplyError> {
    let arguments = ["-w", LOCK_WAIT, "-c", "--noflush"];
    run(&format!("{program}-restore"), &arguments, &[], text)?;
    Ok(())
}

/// [`replace`], and takes away what else came with what is replaced: built-in chains that are only there because we used
/// them, if nobody else has put anything into them since.
pub fn take_back(backend: Backend, before: &Ours) -> Result<(), ApplyError> {
    replace(backend, before)?;
    let Ours::Xtables {
        built_in: had,
        sets,
        ..
    } = before
    else {
        return Ok(());
    };
    Sets::read()?.destroy_but(sets)?;
    if backend != Backend::IptablesNft {
        return Ok(());
    }
    for (family, had) in ["ip", "ip6"].into_iter().zip(had) {
        let listed = run("nft", &["-s", "list", "table", family, "filter"], &[], "");
        let Ok(text) = listed else { continue };
        let all = listing::blocks(&text);
        let idle: Vec<&str> = all
            .iter()
            .filter(|block| {
                !had.iter().any(|name| name == block.name)
                    && matches!(block.lines.as_slice(), [only] if only.ends_with("policy accept;"))
            })
            .map(|block| block.name)
            .collect();
        let text = if had.is_empty() && idle.len() == all.len() {
            format!("delete table {family} filter")
        } else {
            let delete = |name: &&str| format!("delete chain {family} filter {name}\n");
            idle.iter().map(delete).collect()
        };
        // They do nothing: if somebody came to use one at this moment, it stays.
        let _ = load(&text);
    }
    Ok(())
}

/// Takes away whatever is ours.
pub fn remove(backend: Backend) -> Result<(), ApplyError> {
    replace(backend, &Ours::none(backend))?;
    if backend != Backend::Nftables {
        Sets::read()?.destroy_but(&Sets::default())?;
    }
    Ok(())
}

/// The firewalls of this machine in which there is anything of ours.
pub fn in_force() -> Result<Vec<(Backend, Ours)>, ApplyError> {
    let mut all = Vec::new();
    for backend in Backend::ALL {
        if !is_here(backend) {
            continue;
        }
        match read(backend) {
            Ok(ours) if !ours.is_none() => all.push((backend, ours)),
            Ok(_) => {}
            // Programs without a kernel for them: nothing of ours is there.
            Err(error) if backend != Backend::Nftables && !error.is_permission() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// Which of the two `iptables` is on this machine.
pub fn usual_iptables() -> Result<Backend, ApplyError> {
    let version = run("iptables", &["--version"], &[], "")?;
    Ok(if version.contains("nf_tables") {
        Backend::IptablesNft
    } else {
        Backend::IptablesLegacy
    })
}

/// Whether this machine has the programs for it. The old iptables makes a table when it is asked about it, so it is not
/// asked where it has none.
pub fn is_here(backend: Backend) -> bool {
    match backend {
        Backend::Nftables => is_installed("nft"),
        Backend::IptablesNft => is_installed("iptables-nft-save"),
        Backend::IptablesLegacy => {
            let any = ["/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]
                .iter()
                .any(|path| {
                    std::fs::read_to_string(path).is_ok_and(|names| names.contains("filter"))
                });
            any && is_installed("iptables-legacy-save")
        }
    }
}

/// Whether this machine joins networks as a bridge; as far as `ip` can say, and if not, it may.
pub fn has_bridge() -> bool {
    let arguments = ["-o", "link", "show", "type", "bridge"];
    run("ip", &arguments, &[], "").map_or(true, |text| !text.trim().is_empty())
}

/// A hash of everything that is not ours, without counters. The same before and after: nobody else's rules were touched.
pub fn fingerprint(backend: Backend) -> Result<String, ApplyError> {
    let text = match backend {
        Backend::Nftables => {
            listing::without_our_table(&run("nft", &["-s", "list", "ruleset"], &[], "")?)
        }
        Backend::IptablesNft | Backend::IptablesLegacy => {
            let mut text = String::new();
            for program in backend.xtables() {
                let save = run(&format!("{program}-save"), &[], &[], "")?;
                text.push_str(&xtables::without_ours(&save));
            }
            text
        }
    };
    let hash = Sha256::digest(text.as_bytes());
    Ok(format!("{hash:x}"))
}

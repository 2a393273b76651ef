//! Our nftables table as `nft -j` tells it: for counting and looking, never to be loaded again.

use super::ApplyError;
use super::sets::Sets;
use crate::policy::prove::{Backend, Firewall};
use crate::policy::tool::run;
use serde::Serialize;
use serde_json::Value;
use std::net::IpAddr;

/// The table.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Its chains.
    pub chains: Vec<Chain>,
    /// Its rules, in their order.
    pub rules: Vec<TableRule>,
    /// Its sets and maps.
    pub sets: Vec<Set>,
    /// Its named counters.
    pub counters: Vec<Count>,
}

/// A chain.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where packets come into it, if they do.
    pub base: Option<Base>,
}

/// Where packets come into a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// `filter`, `nat`, `route`.
    pub kind: String,
    /// `forward`, `output`, `input`, ...
    pub hook: String,
    /// `accept` or `drop`.
    pub policy: String,
}

/// A rule.
#[derive(Clone, Debug)]
pub struct TableRule {
    /// Its chain.
    pub chain: String,
    /// Its comment.
    pub comment: String,
    /// What it says.
    pub expressions: Vec<Value>,
}

/// A set or a map.
#[derive(Clone, Debug)]
pub struct Set {
    /// Its name.
    pub name: String,
    /// Whether it is a map.
    pub is_map: bool,
    /// What it takes: a word, or several for values that are joined.
    pub of_type: Value,
    /// Whether its elements come and go.
    pub timed: bool,
    /// Its elements.
    pub elements: Vec<Value>,
}

impl Set {
    /// Whether an element is more than an address: with a port, say.
    pub fn is_joined(&self) -> bool {
        self.of_type.is_array()
    }
}

/// What a rule has refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The rule's name.
    pub name: String,
    /// How many packets.
    pub packets: u64,
}

/// How much is in a set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Its name.
    pub name: String,
    /// How many elements.
    pub elements: usize,
    /// Whether they come and go by themselves.
    pub timed: bool,
}

/// The numbers of a policy that is in force.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// What each rule has refused.
    pub counters: Vec<Count>,
    /// What is in each set.
    pub sets: Vec<Size>,
}

impl Table {
    /// Reads it; `None` if there is none.
    pub fn read() -> Result<Option<Self>, ApplyError> {
        match run("nft", &["-j", "list", "table", "inet", "imwarden"], &[], "") {
            Ok(text) => Ok(Some(Self::of(&text))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a listing apart. What is not known is passed over: other versions of nft say more.
    pub fn of(text: &str) -> Self {
        let listing: Value = serde_json::from_str(text).unwrap_or_default();
        let mut table = Self::default();
        let none = Vec::new();
        for item in listing["nftables"].as_array().unwrap_or(&none) {
            let Some((kind, body)) = item.as_object().and_then(|object| object.iter().next())
            else {
                continue;
            };
            let word = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
            match kind.as_str() {
                "chain" => table.chains.push(Chain {
                    name: word("name"),
                    base: body["hook"].is_string().then(|| Base {
                        kind: word("type"),
                        hook: word("hook"),
                        policy: word("policy"),
                    }),
                }),
                "rule" => table.rules.push(TableRule {
                    chain: word("chain"),
                    comment: word("comment"),
                    expressions: body["expr"].as_array().cloned().unwrap_or_default(),
                }),
                "set" | "map" => table.sets.push(Set {
                    name: word("name"),
                    is_map: kind == "map",
                    of_type: body["type"].clone(),
                    timed: body["timeout"].is_number()
                        || body["flags"].as_array().is_some_and(|flags| {
                            flags
                                .iter()
                                .any(|flag| flag == "timeout" || flag == "dynamic")
                        }),
                    elements: body["elem"].as_array().cloned().unwrap_or_default(),
                }),
                "counter" => table.counters.push(Count {
                    name: word("name"),
                    packets: body["packets"].as_u64().unwrap_or_default(),
                }),
                _ => {}
            }
        }
        table
    }
}

/// Whether an address is in a set of ours, of nftables or of ipset.
pub fn set_has(set: &str, nftables: bool, address: IpAddr) -> Result<bool, ApplyError> {
    let address = address.to_string();
    let found = if nftables {
        let element = format!("{{ {address} }}");
        let arguments = ["get", "element", "inet", "imwarden", set, &element];
        run("nft", &arguments, &[], "")
    } else {
        run("ipset", &["test", set, &address], &[], "")
    };
    match found {
        Ok(_) => Ok(true),
        Err(error) if error.is_permission() => Err(error.into()),
        Err(_) => Ok(false),
    }
}

/// The numbers of what is in force.
pub fn counts(backend: Backend) -> Result<Counts, ApplyError> {
    if backend == Backend::Nftables {
        let table = Table::read()?.unwrap_or_default();
        let size = |set: &Set| Size {
            name: set.name.clone(),
            elements: set.elements.len(),
            timed: set.timed,
        };
        return Ok(Counts {
            sets: table.sets.iter().map(size).collect(),
            counters: table.counters,
        });
    }
    let counters = Firewall::here(backend).counters()?;
    Ok(Counts {
        counters: counters
            .into_iter()
            .filter(|(name, _)| super::is_our_chain(name))
            .map(|(name, packets)| Count { name, packets })
            .collect(),
        sets: Sets::read()?
            .sizes()
            .into_iter()
            .map(|(name, elements)| Size {
                name: name.to_owned(),
                elements,
                timed: true,
            })
            .collect(),
    })
}

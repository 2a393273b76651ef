//! Replaces bytes as long as the verdict stays.

use super::Scrap;
use super::material::{Material, Place};
use super::names::Pseudonyms;
use super::oracle::{self, Level, Verdict};
use super::select::{Group, Taken};
use crate::capture::Record;
use crate::ruleset::RuleSet;
use std::collections::{BTreeMap, HashSet};

/// Bytes that the oracle may be shown for one group. What needs more is not a few flows any more.
const MAX_WORK: u64 = 4 << 30;
/// Shorter runs that stand in two places stand there by chance.
const SHORTEST_TOKEN: usize = 4;

/// A group of flows on its way to being unrecognisable.
pub struct Reduction<'r> {
    group: Group,
    rules: &'r RuleSet,
    level: Level,
    verdicts: Vec<Verdict>,
    material: Material,
    records: Vec<Record>,
    /// Have got their name.
    settled: HashSet<Place>,
    work: u64,
}

impl<'r> Reduction<'r> {
    /// The group must give its verdicts at this level.
    pub fn new(mut group: Group, rules: &'r RuleSet, level: Level) -> Self {
        let bytes = std::mem::take(&mut group.bytes);
        let mut reduction = Self {
            verdicts: Vec::new(),
            material: Material::new(bytes, &group.frames),
            records: Vec::new(),
            settled: HashSet::new(),
            work: 0,
            group,
            rules,
            level,
        };
        reduction.records = records(&reduction.group.frames);
        reduction.verdicts = reduction.ask();
        reduction
    }

    fn ask(&mut self) -> Vec<Verdict> {
        self.material.settle();
        self.work += self
            .records
            .iter()
            .map(|it| it.len as u64 + 64)
            .sum::<u64>();
        oracle::ask(&self.material.bytes, &self.records, self.rules, self.level)
    }

    /// Whether the verdicts are what they were.
    fn holds(&mut self) -> bool {
        self.work < MAX_WORK && self.ask() == self.verdicts
    }

    fn holds_but_for_names(&mut self) -> bool {
        let nameless = |verdicts: Vec<Verdict>| -> Vec<Verdict> {
            verdicts.into_iter().map(Verdict::anonymous).collect()
        };
        self.work < MAX_WORK && nameless(self.ask()) == nameless(self.verdicts.clone())
    }

    /// Leaves out what follows the verdict: of each flow as few packets as it takes.
    pub fn shorten(&mut self) {
        let flows: BTreeMap<u64, usize> =
            self.group
                .frames
                .iter()
                .fold(BTreeMap::new(), |mut flows, frame| {
                    *flows.entry(frame.flow).or_default() += 1;
                    flows
                });
        for (flow, all) in flows {
            let (mut too_few, mut enough) = (0, all);
            let first = |frames: &[Taken], most: usize| {
                let mut seen = 0;
                let kept = frames.iter().filter(|frame| {
                    seen += usize::from(frame.flow == flow);
                    frame.flow != flow || seen <= most
                });
                kept.map(|frame| frame.record).collect::<Vec<_>>()
            };
            while enough > too_few + 1 {
                let middle = usize::midpoint(too_few, enough);
                self.records = first(&self.group.frames, middle);
                if self.holds() {
                    enough = middle;
                } else {
                    too_few = middle;
                }
            }
            let mut seen = 0;
            self.group.frames.retain(|frame| {
                seen += usize::from(frame.flow == flow);
                frame.flow != flow || seen <= enough
            });
            self.records = records(&self.group.frames);
        }
        let none = Material::new(Vec::new(), &[]);
        let bytes = std::mem::replace(&mut self.material, none).undo();
        self.material = Material::new(bytes, &self.group.frames);
    }

    /// Gives accounts their other names. Returns the flows where that was not possible everywhere.
    pub fn rename(&mut self, names: &Pseudonyms) -> Vec<u64> {
        let mut left = Vec::new();
        for name in 0..names.count() {
            let found = names.find(name, &self.material);
            let free = |occurrence: &Vec<(Place, u8)>| {
                occurrence
                    .iter()
                    .all(|(place, _)| !self.settled.contains(place))
            };
            let found: Vec<_> = found.into_iter().filter(free).collect();
            let puts = |reduction: &mut Self, bytes: &[(Place, u8)]| {
                reduction.put(bytes, Self::holds_but_for_names)
            };
            if found.is_empty() || puts(self, &found.concat()) {
                continue;
            }
            // A name may be a word of the protocol as well: then only where it is none.
            for occurrence in found {
                if !puts(self, &occurrence)
                    && let Some((place, _)) = occurrence.first()
                {
                    left.extend(self.flow_at(*place));
                }
            }
        }
        // From here on, whoever has got a name keeps it.
        self.verdicts = self.ask();
        left
    }

    /// Puts these bytes there for good, if the verdicts allow it.
    fn put(&mut self, bytes: &[(Place, u8)], allowed: fn(&mut Self) -> bool) -> bool {
        let before: Vec<(Place, u8)> = bytes
            .iter()
            .map(|(place, _)| (*place, self.material.at(*place)))
            .collect();
        for (place, value) in bytes {
            self.material.set(*place, *value);
        }
        let allowed = allowed(self);
        if allowed {
            self.settled.extend(bytes.iter().map(|(place, _)| *place));
        } else {
            for (place, value) in before {
                self.material.set(place, value);
            }
        }
        allowed
    }

    /// Replaces everything that no verdict rests on. `false` when that would take too long.
    pub fn replace(&mut self, names: &Pseudonyms) -> bool {
        let cells = self.material.cells().to_vec();
        // Anything at all first; then what is at least of the same kind.
        self.reduce(&cells, &|_| b'x', false);
        let left: Vec<Place> = cells
            .iter()
            .copied()
            .filter(|place| self.is_open(*place))
            .collect();
        self.reduce(&left, &same_kind, false);
        self.tokens(names);
        self.work < MAX_WORK && self.holds()
    }

    fn is_open(&self, place: Place) -> bool {
        self.material.is_original(place) && !self.settled.contains(&place)
    }

    /// Replaces as many of these as possible; `known_bad`: not all of them can be. Returns whether all could be.
    fn reduce(&mut self, cells: &[Place], instead: &dyn Fn(u8) -> u8, known_bad: bool) -> bool {
        if self.work >= MAX_WORK {
            return false;
        }
        if !known_bad {
            let changed: Vec<(Place, u8)> = cells
                .iter()
                .filter(|place| !self.settled.contains(place))
                .map(|place| (*place, self.material.at(*place)))
                .filter(|(_, value)| instead(*value) != *value)
                .collect();
            for (place, value) in &changed {
                self.material.set(*place, instead(*value));
            }
            if changed.is_empty() || self.holds() {
                return true;
            }
            for (place, value) in changed {
                self.material.set(place, value);
            }
        }
        if cells.len() > 1 {
            let (left, right) = cells.split_at(cells.len() / 2);
            let left = self.reduce(left, instead, false);
            // If the left half can be replaced, it was the right one that could not.
            self.reduce(right, instead, left);
        }
        false
    }

    /// What is still as it was because it stands in two places, as a cookie does that one flow gives out and another
    /// one shows: replaced in all of them at once.
    fn tokens(&mut self, names: &Pseudonyms) {
        let streams = self.material.streams().to_vec();
        for stream in &streams {
            let mut run = Vec::new();
            for place in stream.iter().copied().map(Some).chain([None]) {
                match place.filter(|place| self.is_open(*place)) {
                    Some(place) => run.push(place),
                    None => self.token(&std::mem::take(&mut run), &streams, names),
                }
            }
        }
    }

    fn token(&mut self, run: &[Place], streams: &[Vec<Place>], names: &Pseudonyms) {
        if run.len() < SHORTEST_TOKEN || self.work >= MAX_WORK {
            return;
        }
        let bytes: Vec<u8> = run.iter().map(|place| self.material.at(*place)).collect();
        let mut there = Vec::new();
        for stream in streams {
            let text: Vec<u8> = stream
                .iter()
                .map(|place| self.material.at(*place))
                .collect();
            for at in memchr::memmem::find_iter(&text, &bytes) {
                let places = stream.get(at..at + bytes.len()).unwrap_or_default();
                if places.iter().all(|place| self.is_open(*place)) {
                    there.push(places);
                }
            }
        }
        if there.len() > 1 {
            for kind in [false, true] {
                let token = names.token(&bytes, kind);
                let each = there
                    .iter()
                    .flat_map(|places| places.iter().copied().zip(token.iter().copied()));
                let all: Vec<(Place, u8)> = each.collect();
                if token != bytes && self.put(&all, Self::holds) {
                    return;
                }
            }
        }
        let (left, right) = run.split_at(run.len() / 2);
        self.token(left, streams, names);
        self.token(right, streams, names);
    }

    fn flow_at(&self, place: Place) -> Option<u64> {
        let within = |frame: &&Taken| {
            (frame.record.start..frame.record.start + frame.record.len).contains(&place)
        };
        self.group
            .frames
            .iter()
            .find(within)
            .map(|frame| frame.flow)
    }

    /// Payload bytes, and those of them that are as they were.
    pub fn kept(&self) -> (u64, u64) {
        let cells = self.material.cells();
        let kept = cells
            .iter()
            .filter(|place| self.material.is_original(**place));
        (cells.len() as u64, kept.count() as u64)
    }

    /// The frames, as they are now.
    pub fn scraps(mut self) -> Vec<Scrap> {
        self.material.settle();
        self.material.sum_up();
        let scrap = |frame: &Taken| {
            let record = frame.record;
            let data = self
                .material
                .bytes
                .get(record.start..record.start + record.len);
            Scrap {
                number: frame.number,
                record,
                data: data.unwrap_or_default().to_vec(),
                comment: self.group.comment(frame.flow).to_owned(),
            }
        };
        self.group.frames.iter().map(scrap).collect()
    }
}

fn records(frames: &[Taken]) -> Vec<Record> {
    frames.iter().map(|frame| frame.record).collect()
}

/// The plainest byte of the same kind.
const fn same_kind(value: u8) -> u8 {
    match value {
        b'a'..=b'z' => b'x',
        b'A'..=b'Z' => b'X',
        b'0'..=b'9' => b'0',
        b'\t' | b'\r' | b'\n' | b' ' => value,
        0..0x20 => 0,
        0x80.. => 0xFF,
        _ => b'-',
    }
}

//! Which packets are taken: those of messengers, and of the flows that their verdicts depend on.

use super::ScrubError;
use super::oracle::{self, Level, Verdict};
use crate::capture::{self, CaptureError, Frame, Record};
use crate::flow::Chosen;
use crate::model::{Finding, FiveTuple, Occurrence, Party, Timestamp, Transport, risk};
use crate::packet::{Decoded, decode};
use crate::pipeline::{self, Settings, Sink};
use crate::ruleset::RuleSet;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flow is what it is after far less than that.
const MAX_FLOW_BYTES: usize = 256 << 10;
/// Flows to a name server that are taken for one client.
const MAX_QUESTIONS: u32 = 64;
const DNS: u16 = 53;

/// What was taken.
pub struct Selection {
    /// Packets read.
    pub packets: u64,
    /// Names of accounts.
    pub names: BTreeSet<String>,
    pub groups: Vec<Group>,
    /// The capture ended with this.
    pub damaged: Option<CaptureError>,
}

/// Flows that depend on each other, with their frames.
pub struct Group {
    pub bytes: Vec<u8>,
    pub frames: Vec<Taken>,
    flows: Vec<Flow>,
}

/// A frame of a group.
pub struct Taken {
    pub record: Record,
    /// Its number in the capture.
    pub number: u64,
    /// The flow of the capture; of a fragment, some flow between its hosts.
    pub flow: u64,
}

/// A flow that is taken.
struct Flow {
    id: u64,
    tuple: FiveTuple,
    first: Timestamp,
    last: Timestamp,
    /// With everything, and with the name only; none for one that is taken for another's sake.
    verdicts: Option<[Verdict; 2]>,
    comment: String,
    teacher: Option<u64>,
}

impl Flow {
    fn of(finding: &Finding) -> Self {
        let of = |level| Verdict::of(finding, level);
        let told = finding.service.is_some();
        Self {
            id: finding.flow_id,
            tuple: finding.tuple,
            first: finding.first_seen,
            last: finding.last_seen,
            verdicts: told.then(|| [of(Level::Everything), of(Level::Name)]),
            comment: match finding.verdict() {
                Some(verdict) => format!("imwarden scrub: {verdict}"),
                None => "imwarden scrub: announces a messenger's flow".to_owned(),
            },
            teacher: finding.learned_from,
        }
    }
}

impl Group {
    const fn empty() -> Self {
        Self {
            bytes: Vec::new(),
            frames: Vec::new(),
            flows: Vec::new(),
        }
    }

    fn of(flow: Flow) -> Self {
        Self {
            flows: vec![flow],
            ..Self::empty()
        }
    }

    fn take(&mut self, frame: &Frame<'_>, number: u64, flow: u64) {
        let record = Record {
            timestamp: frame.timestamp,
            link: frame.link,
            wire_len: frame.wire_len,
            start: self.bytes.len(),
            len: frame.data.len(),
        };
        self.bytes.extend(frame.data);
        self.frames.push(Taken {
            record,
            number,
            flow,
        });
    }

    /// Takes another group in.
    fn join(&mut self, mut other: Self) {
        for frame in &mut other.frames {
            frame.record.start += self.bytes.len();
        }
        self.bytes.append(&mut other.bytes);
        self.frames.append(&mut other.frames);
        self.frames.sort_by_key(|frame| frame.number);
        self.flows.append(&mut other.flows);
    }

    fn shares_client(&self, other: &Self) -> bool {
        let client = |flow: &Flow| flow.tuple.client.ip;
        let mine: HashSet<IpAddr> = self.flows.iter().map(client).collect();
        other.flows.iter().any(|flow| mine.contains(&client(flow)))
    }

    /// The flows that something is told of.
    pub fn told(&self) -> impl Iterator<Item = u64> + '_ {
        let told = self.flows.iter().filter(|flow| flow.verdicts.is_some());
        told.map(|flow| flow.id)
    }

    /// What is to be said of a flow's packets.
    pub fn comment(&self, flow: u64) -> &str {
        let found = self.flows.iter().find(|it| it.id == flow);
        found.map_or("", |flow| &flow.comment)
    }

    /// How much of what the whole capture told the group tells alone.
    pub fn level(&self, rules: &RuleSet) -> Option<Level> {
        let records: Vec<Record> = self.frames.iter().map(|frame| frame.record).collect();
        [Level::Everything, Level::Name].into_iter().find(|level| {
            let verdicts = self.flows.iter().filter_map(|flow| flow.verdicts.clone());
            let expected = verdicts.map(|[everything, name]| match level {
                Level::Everything => everything,
                Level::Name => name,
            });
            oracle::ask(&self.bytes, &records, rules, *level)
                == oracle::in_order(expected.collect())
        })
    }
}

/// First reading: who is a messenger.
#[derive(Default)]
struct Found {
    flows: BTreeMap<u64, Flow>,
    names: BTreeSet<String>,
    /// Clients of servers that no name led to: that they ask for names is a part of it.
    asking: HashMap<IpAddr, u32>,
}

impl Sink for Found {
    fn finding(&mut self, finding: Finding) {
        self.names.extend(finding.accounts.iter().cloned());
        self.names.extend(finding.peers.iter().cloned());
        if finding.risks.contains_key(risk::UNEXPECTED_SERVER) {
            self.asking.insert(finding.tuple.client.ip, 0);
        }
        self.flows.insert(finding.flow_id, Flow::of(&finding));
    }

    fn occurrence(&mut self, occurrence: Occurrence) {
        for party in [occurrence.activity.from, occurrence.activity.to] {
            if let Some(Party::Account(name)) = party {
                self.names.insert(name);
            }
        }
    }
}

/// Second reading: the flows that announced one of them, and what their clients asked name servers.
struct Teachers<'a> {
    found: &'a mut Found,
    wanted: BTreeSet<u64>,
}

impl Sink for Teachers<'_> {
    fn finding(&mut self, finding: Finding) {
        let id = finding.flow_id;
        let tuple = &finding.tuple;
        let question = tuple.transport == Transport::Udp && tuple.server.port == DNS;
        let asked = self.found.asking.get_mut(&tuple.client.ip);
        let asked = asked.filter(|asked| question && **asked < MAX_QUESTIONS);
        let wanted = self.wanted.contains(&id) || asked.is_some();
        if let Some(asked) = asked {
            *asked += 1;
        }
        if wanted && !self.found.flows.contains_key(&id) {
            self.found.flows.insert(id, Flow::of(&finding));
        }
    }
}

/// Reads a capture.
pub fn select(capture: &Path, rules: &RuleSet, stop: &AtomicBool) -> Result<Selection, ScrubError> {
    let mut found = Found::default();
    let settings = Settings {
        activities: true,
        ..Settings::default()
    };
    let mut source = capture::open(capture)?;
    let analysis = pipeline::run(
        source.as_mut(),
        rules,
        settings,
        stop,
        &mut |_| {},
        &mut found,
    );
    let announced = found.flows.values().filter_map(|flow| flow.teacher);
    let wanted: BTreeSet<u64> = announced
        .filter(|teacher| !found.flows.contains_key(teacher))
        .collect();
    if !wanted.is_empty() || !found.asking.is_empty() {
        let settings = Settings {
            keep_all: true,
            ..Settings::default()
        };
        let mut teachers = Teachers {
            found: &mut found,
            wanted,
        };
        let mut source = capture::open(capture)?;
        pipeline::run(
            source.as_mut(),
            rules,
            settings,
            stop,
            &mut |_| {},
            &mut teachers,
        );
    }
    if stop.load(Ordering::Relaxed) {
        return Err(ScrubError::Stopped);
    }
    let groups = read(capture, found.flows)?;
    Ok(Selection {
        packets: analysis.summary.packets,
        names: found.names,
        groups: join_clients(groups, rules),
        damaged: analysis.error,
    })
}

/// Third reading: takes the frames, and puts flows together that announced each other or that came in fragments.
fn read(capture: &Path, flows: BTreeMap<u64, Flow>) -> Result<Vec<Group>, ScrubError> {
    let mut chosen = Chosen::default();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    let mut pairs: HashMap<[IpAddr; 2], Vec<u64>> = HashMap::new();
    for flow in flows.values() {
        chosen.add(&flow.tuple, flow.first, flow.last, flow.id);
        joined.extend(flow.teacher.map(|teacher| (flow.id, teacher)));
        let (client, server) = (flow.tuple.client.ip, flow.tuple.server.ip);
        let pair = [client.min(server), client.max(server)];
        pairs.entry(pair).or_default().push(flow.id);
    }
    let mut groups: BTreeMap<u64, Group> = flows
        .into_iter()
        .map(|(id, flow)| (id, Group::of(flow)))
        .collect();
    let mut source = capture::open(capture)?;
    let mut number = 0;
    // What cannot be read was said when it was read for the first time.
    while let Ok(Some(frame)) = source.next_frame() {
        number += 1;
        let meta = pipeline::frame_meta(number, &frame);
        let flow = match &decode(meta, frame.data) {
            Decoded::Packet(packet) => chosen.flow_of(packet).copied(),
            Decoded::Fragment(fragment) => {
                let (src, dst) = (fragment.src, fragment.dst);
                // Taken together once is enough.
                let others = pairs.remove(&[src.min(dst), src.max(dst)]);
                for two in others.unwrap_or_default().windows(2) {
                    if let [one, other] = *two {
                        joined.push((one, other));
                    }
                }
                chosen.between(src, dst).copied()
            }
            Decoded::Ignored(_) => None,
        };
        if let Some(flow) = flow
            && let Some(group) = groups.get_mut(&flow)
            && group.bytes.len() < MAX_FLOW_BYTES
        {
            group.take(&frame, number, flow);
        }
    }
    // A flow joins the group of what it depends on; who is where is found by going from one to the next.
    let mut moved: HashMap<u64, u64> = HashMap::new();
    let now_in = |moved: &HashMap<u64, u64>, mut flow: u64| {
        while let Some(next) = moved.get(&flow) {
            flow = *next;
        }
        flow
    };
    for (one, other) in joined {
        let (one, other) = (now_in(&moved, one), now_in(&moved, other));
        if one != other
            && groups.contains_key(&other)
            && let Some(group) = groups.remove(&one)
            && let Some(other_group) = groups.get_mut(&other)
        {
            other_group.join(group);
            moved.insert(one, other);
        }
    }
    Ok(groups.into_values().collect())
}

/// A flow may also depend on another one of its client in a way that is not told: those are put together where the
/// group alone does not tell what the whole capture did.
fn join_clients(groups: Vec<Group>, rules: &RuleSet) -> Vec<Group> {
    let (mut alone, unhappy): (Vec<Group>, Vec<Group>) = groups
        .into_iter()
        .partition(|group| group.level(rules) == Some(Level::Everything));
    let mut joined: Vec<Group> = Vec::new();
    for group in unhappy {
        match joined.iter_mut().find(|it| it.shares_client(&group)) {
            Some(other) => other.join(group),
            None => joined.push(group),
        }
    }
    for group in &mut joined {
        let (theirs, rest) = alone
            .into_iter()
            .partition(|other| other.shares_client(group));
        alone = rest;
        let theirs: Vec<Group> = theirs;
        for other in theirs {
            group.join(other);
        }
    }
    alone.extend(joined);
    alone
}

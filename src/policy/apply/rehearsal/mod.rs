//! What a rule file would do to the lines that a machine hangs on, tried instead of read: in a private network that looks like
//! this machine's, with the file loaded, real sockets call those who must be reached.
//!
//! * [`lifelines`] gathers what this machine cannot do without, and which way it lies;
//! * [`stage`] builds the network: interfaces of the same names, and a network of others behind each;
//! * [`call`] opens connections and sends datagrams, many at a time.
//!
//! Everything is tried without rules first: what does not work then says nothing.

mod call;
mod lifelines;
mod stage;

pub use lifelines::Lifelines;

use self::call::{Call, Session};
use self::lifelines::Own;
use self::stage::Stage;
use super::ApplyError;
use crate::model::Transport;
use crate::policy::safety::PROTECTED;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Without rules everything comes at once, or not at all.
const BASELINE: Duration = Duration::from_secs(3);
/// What does not come by then is refused. A SYN that was lost is sent again after a second; else the kernel is done at once.
const PATIENCE: Duration = Duration::from_secs(2);
/// Ports that nobody has a rule for, far from each other.
const ANY_PORTS: [u16; 2] = [30_011, 61_003];

/// How many calls must come through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    All,
    /// Only some of it is refused: that is what rules are for.
    Any,
    Half,
}

/// Calls that are judged together.
struct Line {
    who: String,
    what: String,
    needs: Needs,
    calls: Vec<Call>,
}

/// A network that looks like this machine's, without rules so far.
pub struct Rehearsal {
    stage: Stage,
    sessions: Option<[Session; 2]>,
    ssh: Option<String>,
    lines: Vec<Line>,
}

impl Rehearsal {
    /// Builds it, and tries everything. Meant for a network namespace that holds nothing else.
    pub fn new(lifelines: &Lifelines) -> Result<Self, ApplyError> {
        let mut lines = Vec::new();
        let stage = Stage::new(lifelines)?;
        let mut sessions = None;
        let mut ssh = None;
        if let Some((client, server)) = lifelines.ssh {
            ssh = Some(format!("your own SSH connection from {client} to {server}"));
            sessions = stage.sessions(client, server, lifelines.tracks);
            if let Some(call) = stage.call_in(client.ip(), server) {
                lines.push(Line {
                    who: ssh.clone().unwrap_or_default(),
                    what: "no new one from there would be let in".to_owned(),
                    needs: Needs::All,
                    calls: vec![call],
                });
            }
        }
        for ip in &lifelines.resolvers {
            for transport in [Transport::Udp, Transport::Tcp] {
                lines.push(Line {
                    who: format!("this machine's resolver {ip}"),
                    what: format!("{} 53", transport.name()),
                    needs: Needs::All,
                    calls: stage.call_out(transport, *ip, 53).into_iter().collect(),
                });
            }
        }
        for ip in &lifelines.gateways {
            let all = [Transport::Tcp, Transport::Udp].into_iter();
            let all = all.flat_map(|transport| ANY_PORTS.map(|port| (transport, port)));
            lines.push(Line {
                who: format!("this machine's gateway {ip}"),
                what: "everything".to_owned(),
                needs: Needs::Any,
                calls: all
                    .filter_map(|(transport, port)| stage.call_out(transport, *ip, port))
                    .collect(),
            });
        }
        for (port, what) in PROTECTED {
            let transports: &[Transport] = match port {
                53 | 443 => &[Transport::Tcp, Transport::Udp],
                _ => &[Transport::Tcp],
            };
            for transport in transports {
                for (who, calls) in stage.everywhere(*transport, port) {
                    lines.push(Line {
                        who,
                        what: format!("{} {port}, which carries {what}", transport.name()),
                        needs: Needs::Half,
                        calls,
                    });
                }
            }
        }
        let came = stage.run(lines.iter().flat_map(|line| &line.calls), BASELINE);
        let mut came = came.into_iter();
        for line in &mut lines {
            line.calls.retain(|_| came.next().unwrap_or(false));
        }
        lines.retain(|line| !line.calls.is_empty());
        if lines.is_empty() && sessions.is_none() {
            return Err(ApplyError::Trial(
                "could not be judged: in the private network nothing comes through even without rules"
                    .to_owned(),
            ));
        }
        Ok(Self {
            stage,
            sessions,
            ssh,
            lines,
        })
    }

    /// What no longer works, now that rules are loaded: who, and what of it.
    pub fn cut(mut self) -> Vec<String> {
        let mut cut: Vec<(String, Vec<String>)> = Vec::new();
        let mut say = |who: &str, what: &str| match cut.iter_mut().find(|(it, _)| it == who) {
            Some((_, all)) => all.push(what.to_owned()),
            None => cut.push((who.to_owned(), vec![what.to_owned()])),
        };
        let (stage, sessions, lines) = (&self.stage, &mut self.sessions, &self.lines);
        let (goes_on, came) = std::thread::scope(|scope| {
            let goes_on = sessions.as_mut().map(|[typed, printed]| {
                // Whoever is at it types, and in another one the machine speaks first.
                [
                    scope.spawn(|| typed.talks(true, PATIENCE)),
                    scope.spawn(|| printed.talks(false, PATIENCE)),
                ]
            });
            let came = stage.run(lines.iter().flat_map(|line| &line.calls), PATIENCE);
            let mut goes_on = goes_on.into_iter().flatten();
            let goes_on = goes_on.all(|one| one.join().unwrap_or(false));
            (goes_on, came)
        });
        if let (false, Some(ssh)) = (goes_on, &self.ssh) {
            say(ssh, "it would end");
        }
        let mut came = came.into_iter();
        for line in &self.lines {
            let passed = line.calls.iter().filter(|_| came.next() == Some(true));
            let (passed, all) = (passed.count(), line.calls.len());
            let fine = match line.needs {
                Needs::All => passed == all,
                Needs::Any => passed > 0,
                Needs::Half => 2 * passed >= all,
            };
            if !fine {
                say(&line.who, &line.what);
            }
        }
        let words = |(who, what): (String, Vec<String>)| format!("{who}: {}", what.join("; "));
        cut.into_iter().map(words).collect()
    }
}

/// Addresses of others, and behind which of this machine's interfaces they are.
type Others = BTreeMap<IpAddr, usize>;

//! The head of the screen: how much comes in, what is lost, what is held.

use super::text;
use crate::model::{Listening, Summary};
use std::time::{Duration, Instant};

/// Shorter than this, a rate says little.
const LEAST: Duration = Duration::from_millis(400);

/// Rates out of sums.
#[derive(Debug)]
pub struct Meter {
    interfaces: String,
    /// `--max-memory`.
    cap: u64,
    begun: Instant,
    last: Option<Instant>,
    summary: Summary,
    packets: u64,
    bits: u64,
    /// News that the screen was too slow for.
    pub missed: u64,
}

/// One part of the head's lines; what matters less goes first where there is no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub text: String,
    /// Something was lost.
    pub alarm: bool,
}

impl Meter {
    pub fn new(interfaces: String, cap: u64, now: Instant) -> Self {
        Self {
            interfaces,
            cap,
            begun: now,
            last: None,
            summary: Summary::default(),
            packets: 0,
            bits: 0,
            missed: 0,
        }
    }

    /// Sums as they were then; whether they are news.
    pub fn take(&mut self, at: Instant, summary: Summary) -> bool {
        let since = self.last.unwrap_or(self.begun);
        let passed = at.saturating_duration_since(since);
        if self.last == Some(at) || passed < LEAST && self.last.is_some() {
            return false;
        }
        let more = |new: u64, old: u64| text::rate(new.saturating_sub(old), passed.max(LEAST));
        self.packets = more(summary.packets, self.summary.packets);
        self.bits = more(summary.bytes, self.summary.bytes).saturating_mul(8);
        self.summary = summary;
        self.last = Some(at);
        true
    }

    fn listening(&self) -> Listening {
        self.summary.listening.unwrap_or_default()
    }

    /// The three lines, each in parts from the left; the last part of the first line stands to the right.
    pub fn lines(&self, now: Instant, clock: &str, paused: bool) -> [Vec<Part>; 3] {
        let part = |text: String| Part { text, alarm: false };
        let listening = self.listening();
        let up = text::duration(now.saturating_duration_since(self.begun).as_secs());
        let mut first = vec![
            part(format!("imwarden {}", env!("CARGO_PKG_VERSION"))),
            part(self.interfaces.clone()),
            part(format!("up {up}")),
            part(format!("{clock} UTC")),
        ];
        if paused {
            first.insert(
                2,
                Part {
                    text: "PAUSED".to_owned(),
                    alarm: true,
                },
            );
        }
        let second = vec![
            part(format!("{} packets/s", text::grouped(self.packets))),
            part(text::bits(self.bits)),
            part(format!(
                "{} flow{} open",
                text::grouped(listening.open_flows),
                if listening.open_flows == 1 { "" } else { "s" }
            )),
            part(format!(
                "{} of a messenger",
                text::grouped(self.summary.detected)
            )),
        ];
        [first, second, self.third(&listening)]
    }

    fn third(&self, listening: &Listening) -> Vec<Part> {
        let held = listening.memory;
        let percent = held.saturating_mul(100) / self.cap.max(1);
        let or_none = |count: Option<u64>| count.map_or("-".to_owned(), |it| it.to_string());
        let some = |count: Option<u64>| count.unwrap_or(0) > 0;
        let mut parts = vec![
            Part {
                text: format!(
                    "memory {} of {} ({percent}%)",
                    text::bytes(held),
                    text::bytes(self.cap)
                ),
                alarm: percent >= 90,
            },
            Part {
                text: format!("lost: ring {}", listening.drops_ring),
                alarm: listening.drops_ring > 0,
            },
            Part {
                text: format!("kernel {}", or_none(listening.drops_kernel)),
                alarm: some(listening.drops_kernel),
            },
            Part {
                text: format!("interface {}", or_none(listening.drops_interface)),
                alarm: some(listening.drops_interface),
            },
        ];
        let unwritten = listening.lost_records + listening.lost_packets;
        parts.push(Part {
            text: format!("records {unwritten}"),
            alarm: unwritten > 0,
        });
        // Rare, and of less weight: only when it is so.
        if self.missed > 0 {
            parts.push(Part {
                text: format!("screen {}", self.missed),
                alarm: true,
            });
        }
        if self.summary.evictions > 0 {
            parts.push(Part {
                text: format!("flows {}", self.summary.evictions),
                alarm: true,
            });
        }
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between_two_sums() {
        let begun = Instant::now();
        let mut meter = Meter::new("eth0 (libpcap)".into(), 256 << 20, begun);
        let sums = |packets, bytes| Summary {
            packets,
            bytes,
            ..Summary::default()
        };
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert!(meter.take(at(1), sums(100, 1000)));
        assert!(!meter.take(at(1), sums(100, 1000)), "the same once more");
        assert!(meter.take(at(3), sums(2500, 2_501_000)));
        let [first, second, third] = meter.lines(at(3), "12:00:03", false);
        let texts =
            |parts: Vec<Part>| -> Vec<String> { parts.into_iter().map(|part| part.text).collect() };
        assert_eq!(
            texts(first)[1..],
            ["eth0 (libpcap)", "up 00:00:03", "12:00:03 UTC"]
        );
        assert_eq!(texts(second)[..2], ["1,200 packets/s", "10.0 Mbit/s"]);
        assert!(third.iter().all(|part| !part.alarm));
        assert_eq!(third[2].text, "kernel -");
        // Silence is seen as well.
        assert!(meter.take(at(4), sums(2500, 2_501_000)));
        let [_, second, _] = meter.lines(at(4), "12:00:04", true);
        assert_eq!(second[0].text, "0 packets/s");
    }

    #[test]
    fn losses_are_told_by_place_and_stand_out() {
        let begun = Instant::now();
        let mut meter = Meter::new("eth0".into(), 100, begun);
        let listening = Listening {
            drops_ring: 7,
            drops_kernel: Some(0),
            lost_records: 2,
            memory: 95,
            ..Listening::default()
        };
        meter.missed = 3;
        meter.take(
            begun + Duration::from_secs(1),
            Summary {
                listening: Some(listening),
                ..Summary::default()
            },
        );
        let [_, _, third] = meter.lines(begun, "", false);
        let alarms: Vec<&str> = third
            .iter()
            .filter(|part| part.alarm)
            .map(|part| part.text.as_str())
            .collect();
        assert_eq!(
            alarms,
            [
                "memory 95 of 100 (95%)",
                "lost: ring 7",
                "records 2",
                "screen 3"
            ]
        );
    }
}

//! The samples of a rule file.

use super::parse::RawSample;
use super::read::optional;
use super::validate::Check;
use super::validate_wire::TRANSPORTS;
use super::{Sample, Traffic};
use crate::model::Confidence;
use toml::Spanned;

const MAX_SAMPLE: usize = 64 << 10;

impl Check<'_> {
    pub(super) fn samples(&mut self, raw: &[RawSample]) -> Option<Vec<Sample>> {
        let samples: Vec<_> = raw.iter().map(|raw| self.sample(raw)).collect();
        samples.into_iter().collect()
    }

    fn sample(&mut self, raw: &RawSample) -> Option<Sample> {
        let expect = self.read.choice(
            "expect",
            &raw.expect,
            &[
                ("confirmed", Some(Confidence::Confirmed)),
                ("probable", Some(Confidence::Probable)),
                ("possible", Some(Confidence::Possible)),
                ("silent", None),
            ],
        );
        let note = raw.note.as_ref().map(|text| self.read.text(text));
        let bytes = raw.client.is_some() || raw.server.is_some();
        let tls = raw.host.is_some() || raw.alpn.is_some();
        let ways = [bytes, tls, raw.capture.is_some()];
        if ways.into_iter().filter(|way| *way).count() != 1 {
            let label = "`client`/`server`, or `host`/`alpn`, or `capture`";
            self.read
                .wrong(raw.expect.span(), "a sample is one kind of traffic", label);
            return None;
        }
        let traffic = if tls {
            let host = raw.host.as_ref().map(|host| self.read.host_name(host));
            Traffic::Tls {
                host: optional(host)?,
                alpn: raw.alpn.as_ref().map(|alpn| alpn.get_ref().clone()),
            }
        } else if let Some(capture) = &raw.capture {
            Traffic::Capture(capture.get_ref().clone())
        } else {
            self.bytes(raw)?
        };
        Some(Sample {
            expect: expect?,
            traffic,
            note: optional(note)?,
            origin: self.read.file.origin(raw.expect.span().start),
        })
    }

    fn bytes(&mut self, raw: &RawSample) -> Option<Traffic> {
        let (Some(transport), Some(port)) = (&raw.transport, &raw.port) else {
            let label = "add `transport` and `port`";
            self.read
                .wrong(raw.expect.span(), "bytes of what connection?", label);
            return None;
        };
        let transport = self.read.choice("transport", transport, &TRANSPORTS);
        let port = self.number(port, 1, 65_535, "not a port");
        let mut side = |text: &Option<Spanned<String>>| match text {
            None => Some(Vec::new()),
            Some(text) => {
                let bytes = hex(text.get_ref());
                if bytes.is_none() {
                    let label = "hexadecimal, two digits a byte, at most 64 KiB";
                    self.read.wrong(text.span(), "these are no bytes", label);
                }
                bytes
            }
        };
        let (client, server) = (side(&raw.client), side(&raw.server));
        Some(Traffic::Bytes {
            transport: transport?,
            port: port? as u16,
            client: client?,
            server: server?,
        })
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let whole = digits.len().is_multiple_of(2) && digits.len() / 2 <= MAX_SAMPLE;
    whole.then(|| {
        digits
            .chunks_exact(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    })
}

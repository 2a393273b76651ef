//! The shape of a rule file. Values keep their place, so that [`super::validate`] can point at them.

use super::error::{Mistake, SourceFile};
use super::read;
use super::stun::RawStun;
use serde::Deserialize;
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFile {
    pub(super) id: Spanned<String>,
    pub(super) name: Spanned<String>,
    pub(super) about: Spanned<String>,
    #[serde(default)]
    pub(super) limits: Vec<Spanned<String>>,
    pub(super) updated: Option<Spanned<String>>,
    pub(super) policy: Option<Spanned<String>>,
    pub(super) servers: Option<Spanned<String>>,
    #[serde(default, rename = "port")]
    pub(super) ports: Vec<RawPort>,
    #[serde(default, rename = "host")]
    pub(super) hosts: Vec<RawHost>,
    #[serde(default, rename = "signature")]
    pub(super) signatures: Vec<RawSignature>,
    #[serde(default, rename = "alpn")]
    pub(super) alpns: Vec<RawAlpn>,
    #[serde(default, rename = "fingerprint")]
    pub(super) fingerprints: Vec<RawFingerprint>,
    #[serde(default, rename = "network")]
    pub(super) networks: Vec<RawNetwork>,
    #[serde(default, rename = "beginning")]
    pub(super) beginnings: Vec<RawBeginning>,
    #[serde(default, rename = "stun")]
    pub(super) stuns: Vec<RawStun>,
    #[serde(default, rename = "sample")]
    pub(super) samples: Vec<RawSample>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPort {
    pub(super) id: Spanned<String>,
    pub(super) feature: Spanned<String>,
    pub(super) transport: Spanned<String>,
    pub(super) port: Spanned<toml::Value>,
    pub(super) direction: Option<Spanned<String>>,
    pub(super) source: Spanned<String>,
    pub(super) hint: Option<Spanned<bool>>,
    pub(super) shared_with: Option<Spanned<String>>,
    pub(super) reference: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawHost {
    pub(super) name: Spanned<String>,
    #[serde(rename = "match")]
    pub(super) matching: Spanned<String>,
    pub(super) feature: Spanned<String>,
    #[serde(rename = "use")]
    pub(super) usage: Spanned<String>,
    pub(super) source: Spanned<String>,
    pub(super) reference: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlpn {
    pub(super) protocol: Spanned<String>,
    pub(super) source: Spanned<String>,
    pub(super) reference: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFingerprint {
    pub(super) ja4: Spanned<Vec<Spanned<String>>>,
    pub(super) date: Spanned<String>,
    pub(super) source: Spanned<String>,
    pub(super) reference: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNetwork {
    pub(super) net: Spanned<String>,
    pub(super) source: Spanned<String>,
    pub(super) reference: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBeginning {
    pub(super) id: Spanned<String>,
    pub(super) transport: Spanned<String>,
    pub(super) sender: Spanned<String>,
    pub(super) bytes: Spanned<String>,
    pub(super) mask: Option<Spanned<String>>,
    pub(super) offset: Option<Spanned<i64>>,
    pub(super) length: Option<Spanned<i64>>,
    pub(super) longest: Option<Spanned<i64>>,
    pub(super) port: Option<Spanned<toml::Value>>,
    pub(super) regex: Option<Spanned<String>>,
    pub(super) within: Option<Spanned<i64>>,
    pub(super) answers: Option<Spanned<String>>,
    pub(super) alone: Option<bool>,
    pub(super) source: Spanned<String>,
    pub(super) reference: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSample {
    pub(super) expect: Spanned<String>,
    pub(super) host: Option<Spanned<String>>,
    pub(super) alpn: Option<Spanned<String>>,
    pub(super) transport: Option<Spanned<String>>,
    pub(super) port: Option<Spanned<i64>>,
    pub(super) client: Option<Spanned<String>>,
    pub(super) server: Option<Spanned<String>>,
    pub(super) capture: Option<Spanned<String>>,
    pub(super) note: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSignature {
    pub(super) id: Spanned<String>,
    pub(super) feature: Spanned<String>,
    pub(super) from: Spanned<String>,
    pub(super) pattern: Spanned<String>,
    pub(super) in_http: Option<Spanned<bool>>,
    pub(super) source: Spanned<String>,
    pub(super) note: Option<Spanned<String>>,
}

pub(super) fn parse(file: &SourceFile) -> Result<RawFile, Mistake> {
    read::toml(file, "not a rule file")
}

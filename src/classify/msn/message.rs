//! Payloads of `MSG`: what the content type says.

use super::chunk::{Assembler, Content};
use super::invite::Invites;
use super::line::{decode, passport};
use super::mime;
use super::notes::Notes;
use super::slp::Request;
use super::transfer::{Sessions, picture};
use crate::classify::Events;
use crate::classify::exploit::exploit;
use crate::model::{Event, feature, risk, what};

/// The charset of a text, as far as it is one that clients use.
fn charset(head: &mime::Fields<'_>) -> Option<&'static str> {
    let known = ["utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16"];
    let given = given_charset(head)?;
    known
        .into_iter()
        .find(|known| given.eq_ignore_ascii_case(known))
}

fn given_charset<'a>(head: &mime::Fields<'a>) -> Option<&'a str> {
    let (_, parameters) = head.get("Content-Type")?.split_once(';')?;
    let charset = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    })?;
    Some(charset)
}

/// Longest name of a font that clients know.
const MAX_FONT: usize = 200;

/// Headers of messages that made clients fall over.
fn suspicious(head: &mime::Fields<'_>, out: &mut Events) {
    // `UTF-8.0`: a charset that looks like a known one and is none.
    if let Some(charset) = given_charset(head)
        && charset.len() > 5
        && charset
            .get(..5)
            .is_some_and(|start| start.eq_ignore_ascii_case("utf-8"))
    {
        exploit(
            "message with a charset that does not exist (CVE-2009-0647)",
            out,
        );
    }
    let font = head.get("X-MMS-IM-Format").and_then(|format| {
        let font = format
            .split(';')
            .find_map(|part| part.trim().strip_prefix("FN="));
        font.map(str::len)
    });
    if let Some(length) = font.filter(|length| *length > MAX_FONT) {
        exploit(
            format!("message with a font name of {length} bytes (CVE-2002-1698)"),
            out,
        );
    }
}

/// A message to be read.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    /// Header and body.
    pub payload: &'a [u8],
    /// Whether the payload has no holes and no missing end.
    pub whole: bool,
    /// Length of the text: of the body, whether it was kept or not.
    pub length: usize,
    /// It comes from this flow's client.
    pub from_client: bool,
    /// It comes from a user, not from the notification server.
    pub from_user: bool,
}

/// What messages of one stream leave behind for the next ones.
#[derive(Debug, Default)]
pub(super) struct Messages {
    invites: Invites,
    /// Of the client and of the others.
    requests: [Assembler; 2],
    sessions: Sessions,
}

impl Messages {
    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        let requests: usize = self.requests.iter().map(Assembler::memory).sum();
        requests + self.sessions.memory()
    }

    /// Reads a message.
    pub fn read(&mut self, message: &Message<'_>, notes: &mut Notes, out: &mut Events) {
        let Message {
            payload,
            whole,
            from_client,
            from_user,
            ..
        } = *message;
        let (head, body) = mime::split(payload);
        match head.content_type().to_ascii_lowercase().as_str() {
            // Ink is a drawn message.
            "text/plain" | "application/x-ms-ink" | "image/gif" if from_user => {
                notes.feature(feature::MESSAGE, out);
                out.push(Event::Risk(risk::CLEARTEXT_MESSAGES));
                suspicious(&head, out);
                let said = notes.done(what::MESSAGE, from_client);
                out.done(
                    said.with("length", message.length)
                        .maybe("charset", charset(&head)),
                );
            }
            "text/x-msnmsgr-datacast" if from_user => {
                let kind = match mime::fields(body).get("ID") {
                    Some("1") => "nudge",
                    Some("2") => "wink",
                    Some("3") => "voice-clip",
                    _ => "action",
                };
                let signal = notes.done(what::SIGNAL, from_client);
                out.done(signal.with("kind", kind));
            }
            "text/x-msmsgsinvite" if from_user => self.invites.read(body, from_client, notes, out),
            "application/x-msnmsgrp2p" if from_user && whole => {
                self.chunk(body, from_client, notes, out);
            }
            // Only the typist says this: in a conversation that was joined late it names the user.
            "text/x-msmsgscontrol" if from_user => {
                let typist = head
                    .get("TypingUser")
                    .or_else(|| mime::fields(body).get("TypingUser"));
                match typist.and_then(passport) {
                    Some(name) if from_client => notes.account(name, out),
                    Some(name) => notes.peer(name, out),
                    None => return,
                }
                let typing = notes.done(what::TYPING, from_client);
                out.done(typing.with("state", "begun"));
            }
            "text/x-clientcaps" if from_client => {
                let name = mime::fields(body).get("Client-Name").unwrap_or_default();
                notes.client(decode(name).chars().take(64).collect(), out);
            }
            // The session cookie of the web sites, sent to its owner over an open connection. `ClientIP` next
            // to it reveals nothing: the owner is told the own address.
            "text/x-msmsgsprofile" if !from_user => {
                let (profile, more) = (head.get("MSPAuth"), mime::fields(body));
                if profile
                    .or_else(|| more.get("MSPAuth"))
                    .is_some_and(|cookie| !cookie.is_empty())
                {
                    out.push(Event::Risk(risk::CLEARTEXT_COOKIE));
                }
            }
            _ => {}
        }
    }

    fn chunk(&mut self, chunk: &[u8], from_client: bool, notes: &mut Notes, out: &mut Events) {
        let [own, others] = &mut self.requests;
        match if from_client { own } else { others }.relayed(chunk) {
            Content::Request(text) => {
                if let Some(request) = Request::parse(text) {
                    request.tell(from_client, &mut self.sessions, notes, out);
                }
            }
            Content::Object(data) => {
                notes.feature(feature::IMAGES, out);
                picture(data.bytes, out);
            }
            Content::File(data) => self.sessions.file_data(&data, from_client, out),
            Content::Malformed(what) => exploit(what, out),
            Content::Nothing => {}
        }
    }
}

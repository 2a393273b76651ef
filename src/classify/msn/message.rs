//! Payloads of `MSG`: what the content type says.

use super::chunk::{Assembler, Content};
use super::invite::Invites;
use super::line::{decode, passport};
use super::mime;
use super::notes::Notes;
use super::slp::Request;
use crate::classify::Events;
use crate::model::{feature, risk};

/// A message to be read.
#[derive(Clone, Copy)]
pub(super) struct Message<'a> {
    /// Header and body.
    pub payload: &'a [u8],
    /// Whether the payload has no holes and no missing end.
    pub whole: bool,
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
}

impl Messages {
    /// Bytes held on the heap.
    pub fn memory(&self) -> usize {
        self.requests.iter().map(Assembler::memory).sum()
    }

    /// Reads a message.
    pub fn read(&mut self, message: &Message<'_>, notes: &mut Notes, out: &mut Events) {
        let Message {
            payload,
            whole,
            from_client,
            from_user,
        } = *message;
        let (head, body) = mime::split(payload);
        match head.content_type().to_ascii_lowercase().as_str() {
            // Ink is a drawn message.
            "text/plain" | "application/x-ms-ink" | "image/gif" if from_user => {
                notes.feature(feature::MESSAGE, out);
                notes.risk(risk::CLEARTEXT_MESSAGES, out);
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
                    None => {}
                }
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
                    notes.risk(risk::CLEARTEXT_COOKIE, out);
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
                    request.tell(from_client, notes, out);
                }
            }
            Content::Object => notes.feature(feature::IMAGES, out),
            Content::File => notes.file_transfer(out),
            Content::Nothing => {}
        }
    }
}

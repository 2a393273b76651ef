//! Captures of conversations whose truth is known, since they are made here.
#![allow(dead_code, reason = "a test uses what it needs")]

use imwarden::capture::{Frame, Writer};
use imwarden::model::{
    Endpoint, LayerPath, LinkType, Packet, TcpFlags, TcpHeader, Timestamp, TransportHeader,
};
use imwarden::policy::prove::packet;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;

/// A capture in the making, a packet a millisecond.
pub struct Capture {
    writer: Writer<File>,
    packets: i64,
    port: u16,
}

fn end(text: &str) -> Endpoint {
    let at: SocketAddr = text.parse().unwrap();
    Endpoint::new(at.ip(), at.port())
}

impl Capture {
    pub fn new(path: &Path) -> Self {
        Self {
            writer: Writer::new(File::create(path).unwrap()).unwrap(),
            packets: 0,
            port: 20_000,
        }
    }

    fn send(&mut self, src: Endpoint, dst: Endpoint, header: TransportHeader, payload: &[u8]) {
        self.packets += 1;
        let timestamp = Timestamp::from_nanos(1_700_000_000_000_000_000 + self.packets * 1_000_000);
        let data = packet(&Packet {
            number: 1,
            timestamp,
            src,
            dst,
            header,
            payload,
            cut: 0,
            wire_len: 0,
            path: LayerPath::default(),
            card: None,
        })
        .unwrap();
        let frame = Frame {
            timestamp,
            link: LinkType::RAW,
            wire_len: u32::try_from(data.len()).unwrap(),
            data: &data,
        };
        self.writer.frame(&frame, None).unwrap();
    }

    /// A TCP flow: what each side says, in segments, `true` for the client's.
    pub fn talk(&mut self, server: &str, said: &[(bool, &[u8])]) {
        self.port += 1;
        let (client, server) = (Endpoint::new([10, 0, 0, 5].into(), self.port), end(server));
        let mut sent = [1_000_u32, 7_000];
        let mut segment = |it: &mut Self, by_client: bool, syn: bool, fin: bool, said: &[u8]| {
            let side = usize::from(!by_client);
            let (src, dst) = if by_client {
                (client, server)
            } else {
                (server, client)
            };
            let flags = TcpFlags {
                syn,
                fin,
                ack: !(syn && by_client),
                ..TcpFlags::default()
            };
            let ack = if flags.ack { sent[1 - side] } else { 0 };
            let header = TransportHeader::Tcp(TcpHeader {
                seq: sent[side],
                ack,
                flags,
            });
            sent[side] += u32::try_from(said.len()).unwrap() + u32::from(syn || fin);
            it.send(src, dst, header, said);
        };
        segment(self, true, true, false, b"");
        segment(self, false, true, false, b"");
        segment(self, true, false, false, b"");
        for (by_client, bytes) in said {
            segment(self, *by_client, false, false, bytes);
            segment(self, !by_client, false, false, b"");
        }
        segment(self, true, false, true, b"");
        segment(self, false, false, true, b"");
        segment(self, true, false, false, b"");
    }

    /// DNS gives an address for a name.
    pub fn resolve(&mut self, name: &str, address: [u8; 4]) {
        self.port += 1;
        let (client, server) = (
            Endpoint::new([10, 0, 0, 5].into(), self.port),
            end("10.0.0.53:53"),
        );
        let mut question = Vec::new();
        for label in name.split('.') {
            question.push(u8::try_from(label.len()).unwrap());
            question.extend(label.bytes());
        }
        question.extend([0, 0, 1, 0, 1]);
        let asked = [&[7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &question].concat();
        let head = [7, 7, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
        let answer = [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4];
        let told = [&head[..], &question, &answer, &address].concat();
        self.send(client, server, TransportHeader::Udp, &asked);
        self.send(server, client, TransportHeader::Udp, &told);
    }

    pub fn finish(self) {
        self.writer.finish().unwrap();
    }
}

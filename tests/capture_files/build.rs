//! Writers for test captures. They write what they are told, right or wrong.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

pub const BOTH: [Order; 2] = [Order::Little, Order::Big];

impl Order {
    pub fn u16(self, value: u16) -> [u8; 2] {
        if self == Self::Little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        if self == Self::Little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        }
    }

    pub fn u64(self, value: u64) -> [u8; 8] {
        if self == Self::Little {
            value.to_le_bytes()
        } else {
            value.to_be_bytes()
        }
    }

    pub fn words(self, values: &[u32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u32(*value)).collect()
    }

    pub fn pcap_header(self, magic: u32, link: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        [
            self.words(&[magic]),
            version,
            self.words(&[0, 0, 65535, link]),
        ]
        .concat()
    }

    pub fn pcap_record(self, seconds: u32, fraction: u32, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap();
        [
            self.words(&[seconds, fraction, length, length]),
            data.to_vec(),
        ]
        .concat()
    }

    pub fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let length = u32::try_from(padded + 12).unwrap();
        let mut block = [self.words(&[kind, length]), body.to_vec()].concat();
        block.resize(padded + 8, 0);
        block.extend(self.u32(length));
        block
    }

    pub fn section(self) -> Vec<u8> {
        let body = [
            self.words(&[0x1a2b_3c4d]),
            self.u16(1).into(),
            self.u16(0).into(),
            self.u64(u64::MAX).into(),
        ];
        self.block(0x0a0d_0d0a, &body.concat())
    }

    pub fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        let mut option = [&self.u16(code)[..], &self.u16(length), value].concat();
        option.resize(4 + value.len().next_multiple_of(4), 0);
        option
    }

    pub fn interface(self, link: u16, snaplen: u32, options: &[Vec<u8>]) -> Vec<u8> {
        let head = [&self.u16(link)[..], &[0, 0], &self.u32(snaplen)].concat();
        self.block(1, &[head, options.concat()].concat())
    }

    pub fn enhanced(self, interface: u32, time: u64, data: &[u8]) -> Vec<u8> {
        self.block(6, &self.enhanced_body(interface, time, data))
    }

    pub fn enhanced_body(self, interface: u32, time: u64, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap();
        let (high, low) = (
            u32::try_from(time >> 32).unwrap(),
            u32::try_from(time & 0xffff_ffff).unwrap(),
        );
        [
            self.words(&[interface, high, low, length, length]),
            data.to_vec(),
        ]
        .concat()
    }

    pub fn simple(self, wire_len: u32, data: &[u8]) -> Vec<u8> {
        self.block(3, &[self.words(&[wire_len]), data.to_vec()].concat())
    }

    pub fn obsolete(self, interface: u16, drops: u16, time: u64, data: &[u8]) -> Vec<u8> {
        let mut body = self.enhanced_body(0, time, data);
        body[..2].copy_from_slice(&self.u16(interface));
        body[2..4].copy_from_slice(&self.u16(drops));
        self.block(2, &body)
    }

    pub fn statistics(self, interface: u32, options: &[Vec<u8>]) -> Vec<u8> {
        self.block(
            5,
            &[self.words(&[interface, 0, 0]), options.concat()].concat(),
        )
    }
}

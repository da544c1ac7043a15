//! A minimal HTTP/2 client (RFC 9113) that can send frames which no library sends.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// The flags END_STREAM (or ACK) and END_HEADERS.
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// Identifiers of settings.
pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The first four bytes, as in WINDOW_UPDATE and RST_STREAM.
    pub(crate) fn number(&self) -> u32 {
        u32::from_be_bytes(self.payload[..4].try_into().unwrap())
    }

    /// The status of a response: indexed in the static table or literal. This client has no dynamic table.
    pub(crate) fn status(&self) -> u16 {
        let is_size = |byte: &&u8| **byte & 0xe0 == 0x20;
        let payload = &self.payload[self.payload.iter().take_while(is_size).count()..];
        match payload[0] {
            0x88 => 200,
            0x89 => 204,
            0x8c => 400,
            0x8d => 404,
            0x8e => 500,
            // A literal with an indexed name; the value is plain or Huffman-coded. Digits have five bits.
            _ => {
                let value = &payload[2..2 + usize::from(payload[1] & 0x7f)];
                if payload[1] & 0x80 == 0 {
                    return std::str::from_utf8(value).unwrap().parse().unwrap();
                }
                let mut bits = value.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
                let mut left = value.len() * 8;
                let mut status = 0;
                for _ in 0..3 {
                    let five = (bits >> (left - 5)) & 31;
                    let (digit, length) =
                        if five < 3 { (five, 5) } else { ((bits >> (left - 6) & 63) - 22, 6) };
                    status = status * 10 + digit;
                    left -= length;
                    bits &= (1 << left) - 1;
                }
                u16::try_from(status).unwrap()
            }
        }
    }
}

pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A literal header without Huffman coding.
pub(crate) fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        let length = text.len();
        if length < 127 {
            bytes.push(u8::try_from(length).unwrap());
        } else {
            bytes.push(127);
            let mut rest = length - 127;
            while rest >= 128 {
                bytes.push(u8::try_from(rest % 128).unwrap() | 128);
                rest /= 128;
            }
            bytes.push(u8::try_from(rest).unwrap());
        }
        bytes.extend(text.as_bytes());
    }
    bytes
}

/// The headers of a request.
pub(crate) fn head(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = literal(":method", method);
    bytes.extend(literal(":scheme", "http"));
    bytes.extend(literal(":path", path));
    bytes.extend(literal(":authority", "localhost"));
    for (name, value) in more {
        bytes.extend(literal(name, value));
    }
    bytes
}

/// A request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", path, &[]))
}

/// A connection.
pub(crate) struct Client {
    pub(crate) socket: TcpStream,
    /// Settings of the server.
    pub(crate) settings: Vec<(u16, u32)>,
}

impl Client {
    /// Connects and exchanges settings.
    pub(crate) async fn connect(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let socket = TcpStream::connect(address).await.unwrap();
        socket.set_nodelay(true).unwrap();
        let mut client = Self { socket, settings: Vec::new() };
        let mut payload = Vec::new();
        // HEADER_TABLE_SIZE is 0: see `Frame::status`.
        for (number, value) in [(1, 0)].iter().chain(settings) {
            payload.extend(number.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(&frame(SETTINGS, 0, 0, &payload)).await;
        let settings = client.next_of(SETTINGS).await.unwrap();
        for setting in settings.payload.chunks(6) {
            let number = u16::from_be_bytes(setting[..2].try_into().unwrap());
            client.settings.push((number, u32::from_be_bytes(setting[2..].try_into().unwrap())));
        }
        client.send(&frame(SETTINGS, ACK, 0, &[])).await;
        client
    }

    pub(crate) fn setting(&self, number: u16) -> Option<u32> {
        self.settings.iter().find(|(of, _)| *of == number).map(|(_, value)| *value)
    }

    /// Sends bytes; returns whether the connection still accepts them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).await.is_ok()
    }

    /// The next frame; `None` when the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.socket.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.socket.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of a kind; other frames are discarded.
    pub(crate) async fn next_of(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let next = self.next().await?;
            if next.kind == kind && !(kind == SETTINGS && next.flags == ACK) {
                return Some(next);
            }
        }
    }

    /// Sends a PING; returns the frames that the server sent before its acknowledgement.
    pub(crate) async fn ping(&mut self) -> Option<Vec<Frame>> {
        if !self.send(&frame(PING, 0, 0, b"12345678")).await {
            return None;
        }
        let mut before = Vec::new();
        loop {
            let next = self.next().await?;
            if next.kind == PING {
                return Some(before);
            }
            before.push(next);
        }
    }
}

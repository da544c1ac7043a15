//! JSON bodies: within the bounds they are what another reader reads, beyond them nothing.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signet::http::budget::{LONGEST_TEXT as LONGEST, MOST_ENTRIES as MOST, MOST_NODES};
use signet::http::json::parameters;
use signet_fuzz::walk::measure;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Octets(&'a [u8]),
    /// A body of many repetitions, as one must be that reaches a bound.
    Repeated(Vec<(Piece, u16)>),
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Piece {
    Open,
    Close,
    Member,
    List,
    EndOfList,
    Entry,
    Quote,
    EscapedQuote,
    Text,
    LongText,
}

impl Piece {
    const fn octets(self) -> &'static str {
        match self {
            Self::Open => "{",
            Self::Close => "}",
            Self::Member => "\"a\":",
            Self::List => "[",
            Self::EndOfList => "]",
            Self::Entry => "1,",
            Self::Quote => "\"",
            Self::EscapedQuote => "\\\"",
            Self::Text => "x",
            Self::LongText => "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        }
    }
}

const DEEPEST: usize = 32;

fuzz_target!(|input: Input<'_>| match input {
    Input::Octets(body) => check(body),
    Input::Repeated(pieces) => {
        let mut body = String::from("{\"a\":");
        for (piece, times) in pieces.iter().take(24) {
            if body.len() > 2 * LONGEST {
                break;
            }
            // Most repetitions stay short, since a body at a bound takes milliseconds.
            let times = if *times < 0xf000 { times % 64 } else { *times };
            body.push_str(&piece.octets().repeat(usize::from(times)));
        }
        check(body.as_bytes());
        body.push('}');
        check(body.as_bytes());
    }
});

fn check(body: &[u8]) {
    let read = parameters(body);
    let first = serde_json::Deserializer::from_slice(body).into_iter::<Value>().next();
    // Bytes after the first value are refused.
    let whole = serde_json::from_slice::<Value>(body).is_ok();
    match (read, first) {
        (Ok(read), Some(Ok(Value::Object(other)))) => {
            assert!(whole);
            let measures = measure(&Value::Object(read.clone()));
            assert!(measures.depth <= DEEPEST && measures.entries <= MOST, "{measures:?}");
            assert!(measures.string <= LONGEST && measures.nodes <= MOST_NODES, "{measures:?}");
            assert_eq!(read, other);
        }
        (Ok(read), None | Some(Ok(Value::Null))) => assert!(read.is_empty()),
        (Ok(read), other) => panic!("{read:?} where another reader has {other:?}"),
        (Err(error), Some(Ok(Value::Object(other)))) => {
            let count = |wanted: &[u8]| body.iter().filter(|byte| wanted.contains(byte)).count();
            let within = measure(&Value::Object(other)).depth <= DEEPEST
                && count(b",") < MOST
                && count(b",:[{\\") < MOST_NODES
                && body.len() <= LONGEST;
            assert!(!(within && whole), "{}", error.0);
        }
        (Err(error), _) => assert!(error.0.starts_with("failed to decode JSON input: ")),
    }
}

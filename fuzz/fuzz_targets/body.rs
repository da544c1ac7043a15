//! JSON bodies: within the limits they equal what another parser reads; beyond them they are refused.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use signet::http::budget::{MAX_ENTRIES as MOST, MAX_NODES, MAX_STRING_LENGTH as LONGEST};
use signet::http::json::parameters;
use signet_fuzz::walk::measure;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Bytes(&'a [u8]),
    /// A body of many repetitions, which can reach a limit.
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
    const fn text(self) -> &'static str {
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

const MAX_DEPTH: usize = 32;

fuzz_target!(|input: Input<'_>| match input {
    Input::Bytes(body) => check(body),
    Input::Repeated(pieces) => {
        let mut body = String::from("{\"a\":");
        for (piece, times) in pieces.iter().take(24) {
            if body.len() > 2 * LONGEST {
                break;
            }
            // Most repetitions are short, because a body at a limit takes milliseconds.
            let times = if *times < 0xf000 { times % 64 } else { *times };
            body.push_str(&piece.text().repeat(usize::from(times)));
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
            assert!(measures.depth <= MAX_DEPTH && measures.entries <= MOST, "{measures:?}");
            assert!(measures.string <= LONGEST && measures.nodes <= MAX_NODES, "{measures:?}");
            assert_eq!(read, other);
        }
        (Ok(read), None | Some(Ok(Value::Null))) => assert!(read.is_empty()),
        (Ok(read), other) => panic!("{read:?} where another parser has {other:?}"),
        (Err(error), Some(Ok(Value::Object(other)))) => {
            let count =
                |characters: &[u8]| body.iter().filter(|byte| characters.contains(byte)).count();
            let within = measure(&Value::Object(other)).depth <= MAX_DEPTH
                && count(b",") < MOST
                && count(b",:[{\\") < MAX_NODES
                && body.len() <= LONGEST;
            assert!(!(within && whole), "{}", error.0);
        }
        (Err(error), _) => assert!(error.0.starts_with("failed to decode JSON input: ")),
    }
}

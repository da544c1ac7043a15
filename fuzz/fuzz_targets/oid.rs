//! Object identifiers as text and as DER, against long division on the digits (X.690, 8.19).

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signet::ca::oid::{MAX_BYTES, ObjectIdentifier};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Text(&'a str),
    Arcs(Vec<u128>),
    Content(&'a [u8]),
}

fuzz_target!(|input: Input<'_>| match input {
    Input::Text(text) => check(text),
    Input::Arcs(arcs) => {
        check(&arcs.iter().map(u128::to_string).collect::<Vec<_>>().join("."));
    }
    Input::Content(content) => {
        let Ok(oid) = ObjectIdentifier::from_bytes(content) else { return };
        assert_eq!(oid.as_bytes(), content);
        check(&oid.to_string());
        assert_eq!(ObjectIdentifier::new(&oid.to_string()), Ok(oid));
    }
});

fn check(text: &str) {
    // The reference takes quadratic time.
    if text.len() > 1 << 12 {
        return;
    }
    let parsed = ObjectIdentifier::new(text);
    assert_eq!(
        parsed.as_ref().ok().map(|oid| oid.as_bytes().to_vec()),
        reference(text),
        "{text:?}"
    );
    let Ok(oid) = parsed else { return };
    assert_eq!(ObjectIdentifier::from_bytes(oid.as_bytes()), Ok(oid));
    let plain: Vec<_> = text.split('.').map(without_zeros).collect();
    assert_eq!(oid.to_string(), plain.join("."));
}

fn without_zeros(arc: &str) -> &str {
    let rest = arc.trim_start_matches('0');
    if rest.is_empty() { "0" } else { rest }
}

/// The content of the DER, or `None` if the text is not an OID of at most 127 bytes.
fn reference(text: &str) -> Option<Vec<u8>> {
    let mut arcs = Vec::new();
    for arc in text.split('.') {
        let is_number = !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
        arcs.push(is_number.then(|| without_zeros(arc))?);
    }
    let (first, second) = (*arcs.first()?, *arcs.get(1)?);
    let below_40 = second.len() == 1 || (second.len() == 2 && second < "40");
    let mut numbers: Vec<String> = arcs.iter().skip(1).map(|arc| (*arc).to_owned()).collect();
    match first {
        "0" if below_40 => {}
        "1" if below_40 => numbers[0] = (40 + second.parse::<u8>().ok()?).to_string(),
        "2" => numbers[0] = plus_80(second),
        _ => return None,
    }
    let content: Vec<u8> = numbers.iter().flat_map(|number| base_128(number)).collect();
    (content.len() <= MAX_BYTES).then_some(content)
}

/// Adds 80 by schoolbook addition.
fn plus_80(number: &str) -> String {
    let mut digits: Vec<u8> = format!("0000{number}").bytes().map(|byte| byte - b'0').collect();
    let tens = digits.len() - 2;
    digits[tens] += 8;
    for at in (1..digits.len()).rev() {
        digits[at - 1] += digits[at] / 10;
        digits[at] %= 10;
    }
    let text: String = digits.into_iter().map(|digit| char::from(digit + b'0')).collect();
    without_zeros(&text).to_owned()
}

/// Schoolbook division by 128: the remainders are the groups of seven bits, the lowest one first.
fn base_128(number: &str) -> Vec<u8> {
    let mut digits: Vec<u16> = number.bytes().map(|byte| u16::from(byte - b'0')).collect();
    let mut groups = Vec::new();
    loop {
        let mut remainder = 0;
        for digit in &mut digits {
            let value = remainder * 10 + *digit;
            *digit = value / 128;
            remainder = value % 128;
        }
        let more = if groups.is_empty() { 0 } else { 0x80 };
        groups.push(u8::try_from(remainder).expect("below 128") | more);
        if digits.iter().all(|digit| *digit == 0) {
            groups.reverse();
            return groups;
        }
    }
}

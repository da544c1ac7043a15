//! Thousands of URIs with the scheme `spiffe`: valid IDs and mutations of them. A role that allows
//! everything signs, from a parameter and from a CSR, exactly those that the automaton of `uris.rs`
//! accepts, which implements the standard alone. The same holds for authorities.

use signet::ca::authority::CaCertificateParams;
use signet::ca::permit::AlternativeNames;
use signet::ca::role::{CertificateParams, CsrFields, RoleFields};

use super::judge::Pair;
use super::pairs;
use super::rng::Rng;
use super::uris::{has_readable_host, is_of_the_scheme, spiffe_id, written};

/// Texts that a mutation inserts into an ID.
const ODD: &[&str] = &[
    "%2e", "%2E%2e", "%2f", "%00", "%0d%0a", "%", "%zz", "%25", "/", "//", "/.", "/..", "/./",
    "/../", ".", "..", "...", "?", "?q=1", "#", "#f", "@", "u@", ":", ":8443", ";", ",", "=", "+",
    "~", "*", "!", "$", "&", "'", "(", "[", "]", "\\", "|", "^", "`", "{", "\"", "<", " ", "\t",
    "\n", "\0", "\u{7f}", "\u{85}", "\u{202e}", "ü", "Ａ", "𝟎", "A", "Z", "a", "0", "-", "_",
];

fn domain(rng: &mut Rng) -> String {
    let length = *rng.pick(&[1, 1, 2, 3, 5, 11, 63, 64, 250, 254, 255, 256]);
    let mut name: String = (0..length).map(|_| rng.word(&["a", "z", "0", "9", "-", "_"])).collect();
    if rng.percent(60) && length > 4 {
        name.replace_range(2..3, ".");
    }
    name
}

fn id(rng: &mut Rng) -> String {
    let mut text = format!("spiffe://{}", domain(rng));
    let segments = *rng.pick(&[0, 1, 1, 1, 2, 3, 7]);
    for _ in 0..segments {
        text.push('/');
        for _ in 0..*rng.pick(&[1, 1, 2, 3, 8]) {
            text += &rng.word(&["a", "Z", "0", ".", "-", "_", "ns", "sa"]);
        }
    }
    if rng.percent(5) {
        let length = *rng.pick(&[2047, 2048, 2049]);
        text.push('/');
        text += &"l".repeat(length - text.len().min(length));
    }
    text
}

fn position(rng: &mut Rng, text: &str) -> usize {
    let positions: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    *rng.pick(&positions)
}

fn mutated(rng: &mut Rng, mut text: String) -> String {
    let mutations = *rng.pick(&[0, 1, 1, 1, 2, 3]);
    for _ in 0..mutations {
        let at = position(rng, &text);
        match rng.below(8) {
            0 if at < text.len() => drop(text.remove(at)),
            1 => text.truncate(at),
            2 => text = text.replace("spiffe", rng.pick::<&str>(&["SPIFFE", "Spiffe", "spiffE"])),
            3 => text = text.replace("://", rng.pick::<&str>(&[":", ":/", ":///", "://u@"])),
            4 => {
                let (front, back) = text.split_at(at);
                text = format!("{front}{}{back}", back.chars().take(3).collect::<String>());
            }
            _ => text.insert_str(at, rng.pick::<&str>(ODD)),
        }
    }
    text
}

/// A role that allows everything that the standard allows.
fn lenient() -> RoleFields {
    RoleFields {
        require_cn: false,
        allowed_uri_sans: vec!["*".to_owned()],
        key_type: "ec".to_owned(),
        ..RoleFields::unspecified()
    }
}

fn signed(pair: &Pair) -> Option<Vec<String>> {
    let (role, _) = pair.role.clone().compile("web").unwrap();
    let permit = role.permit(&pair.ask, pair.csr.as_ref(), pair.kind, &pair.bounds, pair.now);
    permit.ok().map(|permit| permit.template().names.uri.clone())
}

/// Checks `count` URIs; the number of those that were IDs.
pub(crate) fn count_accepted(first: u64, count: u64) -> u64 {
    let mut accepted = 0;
    let mut pair = pairs::pair(first);
    (pair.role, pair.bounds.mount.default) = (lenient(), 60);
    pair.bounds.issuer_end = pair.now.plus(86_400);
    for seed in (0..count).map(|at| first.wrapping_add(at)) {
        let mut rng = Rng(seed);
        let valid = id(&mut rng);
        let text = mutated(&mut rng, valid);
        if !is_of_the_scheme(&text) {
            continue;
        }
        // A host with an empty label is not signed either: Go's parser refuses such a certificate.
        let readable = || written(&text).is_some_and(|it| has_readable_host(&it));
        let has_path = spiffe_id(&text).filter(|_| readable());
        let expected = (has_path == Some(true)).then(|| vec![text.clone()]);
        accepted += u64::from(has_path.is_some());

        pair.ask =
            CertificateParams { uri_sans: vec![text.clone()], ..CertificateParams::default() };
        pair.csr = None;
        assert_eq!(signed(&pair), expected, "seed {seed}: {text:?} from the API");
        // Another URI in the request does not change the decision.
        pair.ask.uri_sans.insert(0, "https://example.org/".to_owned());
        assert_eq!(
            signed(&pair).is_some(),
            expected.is_some(),
            "seed {seed}: {text:?} with another URI"
        );
        pair.ask = CertificateParams::default();
        let names = AlternativeNames { uri: vec![text.clone()], ..AlternativeNames::default() };
        pair.csr = Some(CsrFields { names, ..CsrFields::default() });
        assert_eq!(signed(&pair), expected, "seed {seed}: {text:?} from a CSR");

        let ask =
            CertificateParams { uri_sans: vec![text.clone()], ..CertificateParams::default() };
        let authority = CaCertificateParams { params: ask, ..CaCertificateParams::default() };
        let accepted_by_authority = authority.csr_subject(&mut Vec::new()).is_ok();
        assert_eq!(
            accepted_by_authority,
            has_path == Some(false),
            "seed {seed}: {text:?} of an authority"
        );
    }
    accepted
}

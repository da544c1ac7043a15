//! Names of parameters that a request got wrong, and the name that was meant.

use strsim::levenshtein;

/// Names that people and other programs use, and the parameter that holds the same.
const OTHER_NAMES: &[(&str, &str, &str)] = &[
    ("cn", "common_name", "the common name"),
    ("dns_names", "alt_names", "DNS names"),
    ("dns_sans", "alt_names", "DNS names"),
    ("email_sans", "alt_names", "e-mail addresses"),
    ("ips", "ip_sans", "IP addresses"),
    ("ip_addresses", "ip_sans", "IP addresses"),
    ("names", "alt_names", "DNS names"),
    ("sans", "alt_names", "DNS names"),
    ("spiffe_id", "uri_sans", "URIs"),
    ("subject_alt_names", "alt_names", "DNS names"),
    ("uris", "uri_sans", "URIs"),
    ("validity", "ttl", "the time to live"),
];

/// The longest name that is compared, in bytes: the comparison takes the product of both lengths.
const LONGEST: usize = 48;

/// Advice about a parameter that was ignored; `None` if no known name is near it.
pub(super) fn advice(sent: &str, known: impl Iterator<Item = &'static str>) -> Option<String> {
    if sent.len() > LONGEST {
        return None;
    }
    let known: Vec<&str> = known.collect();
    let meant = OTHER_NAMES
        .iter()
        .find(|(other, name, _)| *other == sent && known.contains(name))
        .map(|(_, name, holds)| format!("{name} holds {holds}"));
    let near = || {
        let distances = known.iter().map(|name| (levenshtein(sent, name), *name));
        let (distance, name) = distances.min()?;
        let most = if sent.len() > 4 { 2 } else { 1 };
        (distance <= most).then(|| format!("did you mean {name}?"))
    };
    let advice = meant.or_else(near)?;
    Some(format!("Signet: the parameter {sent:?} is not known and was ignored; {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["alt_names", "common_name", "ip_sans", "ttl", "uri_sans"];

    fn advised(sent: &str) -> Option<String> {
        advice(sent, KNOWN.into_iter()).map(|text| text.rsplit("; ").next().unwrap().to_owned())
    }

    #[test]
    fn a_name_of_other_programs_leads_to_the_parameter_that_holds_the_same() {
        assert_eq!(advised("dns_sans").as_deref(), Some("alt_names holds DNS names"));
        assert_eq!(advice("dns_sans", ["ttl"].into_iter()), None, "the route does not take it");
    }

    #[test]
    fn a_name_with_a_mistake_leads_to_the_nearest_and_an_unlike_one_to_none() {
        assert_eq!(advised("uri_san").as_deref(), Some("did you mean uri_sans?"));
        assert_eq!(advised("tttl").as_deref(), Some("did you mean ttl?"));
        for unlike in ["lease", "x", &"a".repeat(100_000)] {
            assert_eq!(advised(unlike), None);
        }
    }
}

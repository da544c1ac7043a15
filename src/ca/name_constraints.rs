//! Name constraints (RFC 5280, 4.2.1.10): from the parameters of a request, and from the bytes of
//! an extension. What cannot be interpreted is refused, never left out: a constraint that is
//! missing in a certificate would go unnoticed.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::go::{self, idna::to_ascii};

use super::asn1::{DerError, DerReader, tag};
use super::distinguished_name;
use super::general_names::{DNS, EMAIL, IP, URI, unsupported_kind};
use super::hostname::is_host_name;
use super::permit::NameConstraints;

/// directoryName
pub(in crate::ca) const DIRECTORY: u8 = tag::explicit(4);

/// The parameters of a request, as they were sent.
#[derive(Clone, Debug, Default)]
pub struct NameConstraintParams {
    /// `permitted_dns_domains`
    pub permitted_dns_domains: Vec<String>,
    /// `excluded_dns_domains`
    pub excluded_dns_domains: Vec<String>,
    /// `permitted_ip_ranges`, each in CIDR form.
    pub permitted_ip_ranges: Vec<String>,
    /// `excluded_ip_ranges`, each in CIDR form.
    pub excluded_ip_ranges: Vec<String>,
    /// `permitted_email_addresses`: mailboxes, hosts, or domains with a dot in front.
    pub permitted_email_addresses: Vec<String>,
    /// `excluded_email_addresses`
    pub excluded_email_addresses: Vec<String>,
    /// `permitted_uri_domains`: hosts, or domains with a dot in front.
    pub permitted_uri_domains: Vec<String>,
    /// `excluded_uri_domains`
    pub excluded_uri_domains: Vec<String>,
}

impl NameConstraintParams {
    /// The constraints of a certificate; `None` if no parameter was sent.
    ///
    /// # Errors
    /// Names the parameter, the value and what is wrong with it.
    pub(in crate::ca) fn compile(&self) -> Result<Option<NameConstraints>, String> {
        let constraints = NameConstraints {
            permitted_dns: compile_all(
                "permitted_dns_domains",
                &self.permitted_dns_domains,
                domain,
            )?,
            excluded_dns: compile_all("excluded_dns_domains", &self.excluded_dns_domains, domain)?,
            permitted_ip: compile_all("permitted_ip_ranges", &self.permitted_ip_ranges, range)?,
            excluded_ip: compile_all("excluded_ip_ranges", &self.excluded_ip_ranges, range)?,
            permitted_email: compile_all(
                "permitted_email_addresses",
                &self.permitted_email_addresses,
                mailbox,
            )?,
            excluded_email: compile_all(
                "excluded_email_addresses",
                &self.excluded_email_addresses,
                mailbox,
            )?,
            permitted_uri: compile_all(
                "permitted_uri_domains",
                &self.permitted_uri_domains,
                uri_host,
            )?,
            excluded_uri: compile_all(
                "excluded_uri_domains",
                &self.excluded_uri_domains,
                uri_host,
            )?,
            ..NameConstraints::default()
        };
        Ok(Some(constraints).filter(|constraints| *constraints != NameConstraints::default()))
    }
}

/// The compiled values of a parameter, without duplicates.
fn compile_all<T: Ord + Clone>(
    parameter: &str,
    values: &[String],
    compile: fn(&str) -> Result<T, &'static str>,
) -> Result<Vec<T>, String> {
    let (mut compiled, mut seen) = (Vec::with_capacity(values.len()), BTreeSet::new());
    for value in values {
        let one = compile(value.trim())
            .map_err(|why| format!("{parameter}: {} {why}", go::quote(value)))?;
        if seen.insert(one.clone()) {
            compiled.push(one);
        }
    }
    Ok(compiled)
}

/// A DNS name, or one with a dot in front for the names below it.
fn domain(text: &str) -> Result<String, &'static str> {
    const WHY: &str = "is not a domain name: write example.org for it and all below it, or .example.org for those below it";
    let (dot, name) = match text.strip_prefix('.') {
        Some(name) => (".", name),
        None => ("", text),
    };
    let name = to_ascii(name).map_err(|_| WHY)?;
    if !is_host_name(&name) || name.ends_with('.') || name.parse::<IpAddr>().is_ok() {
        return Err(WHY);
    }
    Ok(format!("{dot}{name}"))
}

/// A range in CIDR form: its address and its mask, 8 or 32 bytes. Bits after the prefix are
/// cleared, as in Go.
fn range(text: &str) -> Result<Vec<u8>, &'static str> {
    const WHY: &str = "is not an IP range in CIDR form such as 10.0.0.0/8 or 2001:db8::/32";
    let (address, length) = text.split_once('/').ok_or(WHY)?;
    let address: IpAddr = address.parse().map_err(|_| WHY)?;
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u32 = if digits { length.parse().map_err(|_| WHY)? } else { return Err(WHY) };
    let bytes = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    if usize::try_from(length).unwrap_or(usize::MAX) > bytes.len().saturating_mul(8) {
        return Err(WHY);
    }
    let mask: Vec<u8> = (0_u32..)
        .take(bytes.len())
        .map(|position| length.saturating_sub(position.saturating_mul(8)).min(8))
        .map(|ones| u8::MAX.checked_shl(8_u32.saturating_sub(ones)).unwrap_or(0))
        .collect();
    let network = bytes.iter().zip(&mask).map(|(byte, mask)| byte & mask);
    Ok(network.chain(mask.iter().copied()).collect())
}

/// A mailbox, a host, or a domain with a dot in front.
fn mailbox(text: &str) -> Result<String, &'static str> {
    const WHY: &str =
        "is not an e-mail constraint: write user@example.org, example.org or .example.org";
    let Some((local, host)) = text.rsplit_once('@') else { return domain(text).map_err(|_| WHY) };
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"\"(),:;<>@[\\]".contains(&byte);
    let host = domain(host).map_err(|_| WHY)?;
    if local.is_empty() || !local.bytes().all(legal) || host.starts_with('.') {
        return Err(WHY);
    }
    Ok(format!("{local}@{host}"))
}

/// The host of URIs, or a domain with a dot in front.
fn uri_host(text: &str) -> Result<String, &'static str> {
    domain(text).map_err(|_| {
        "is not a host: write example.org for URIs of that host, or .example.org for those below it, without scheme, port and path"
    })
}

impl NameConstraints {
    /// The number of subtrees.
    pub(in crate::ca) const fn len(&self) -> usize {
        let permitted = self.permitted_dns.len()
            + self.permitted_ip.len()
            + self.permitted_email.len()
            + self.permitted_uri.len()
            + self.permitted_directory.len();
        let excluded = self.excluded_dns.len()
            + self.excluded_ip.len()
            + self.excluded_email.len()
            + self.excluded_uri.len()
            + self.excluded_directory.len();
        permitted + excluded
    }

    /// Does a constraint on mailboxes or URIs have an empty name, which matches every name of its
    /// kind?
    /// RFC 5280 does not define that form; some certificates have it, and Java rejects them.
    pub(in crate::ca) fn has_an_empty_host(&self) -> bool {
        [&self.permitted_email, &self.excluded_email, &self.permitted_uri, &self.excluded_uri]
            .into_iter()
            .flatten()
            .any(String::is_empty)
    }
}

/// Reads the value of the extension. A kind of name that cannot be enforced later is an error, and
/// so is a minimum or a maximum.
pub(in crate::ca) fn read(value: &[u8]) -> Result<NameConstraints, String> {
    let plain = |error: DerError| error.to_string();
    let mut outer = DerReader::new(value);
    let mut fields = outer.sequence("x509.nameConstraints").map_err(plain)?;
    outer.end().map_err(plain)?;
    let mut found = NameConstraints::default();
    for (number, permitted) in [(0, true), (1, false)] {
        let Some(list) = fields.optional(tag::explicit(number)).map_err(plain)? else { continue };
        let mut list = DerReader::new(list.content);
        if list.is_empty() {
            return Err("a list of subtrees is empty".to_owned());
        }
        while !list.is_empty() {
            let mut subtree = list.sequence("x509.generalSubtree").map_err(plain)?;
            let base = subtree.any().map_err(plain)?;
            if !subtree.is_empty() {
                return Err("a subtree has a minimum or a maximum".to_owned());
            }
            add_subtree(&mut found, permitted, base.tag, base.content)?;
        }
    }
    fields.end().map_err(plain)?;
    if found == NameConstraints::default() {
        return Err("it names no subtree".to_owned());
    }
    Ok(found)
}

fn add_subtree(
    found: &mut NameConstraints,
    permitted: bool,
    kind: u8,
    content: &[u8],
) -> Result<(), String> {
    let pick =
        |permitted_list, excluded_list| if permitted { permitted_list } else { excluded_list };
    match kind {
        DNS => pick(&mut found.permitted_dns, &mut found.excluded_dns)
            .push(ia5_constraint(content, domain, "DNS name")?),
        EMAIL => pick(&mut found.permitted_email, &mut found.excluded_email).push(ia5_constraint(
            content,
            mailbox,
            "e-mail address",
        )?),
        URI => pick(&mut found.permitted_uri, &mut found.excluded_uri)
            .push(ia5_constraint(content, uri_host, "URI host")?),
        IP => {
            let list = if permitted { &mut found.permitted_ip } else { &mut found.excluded_ip };
            list.push(ip_range(content)?);
        }
        DIRECTORY => {
            let mut reader = DerReader::new(content);
            let name = reader.expect(tag::SEQUENCE, "pkix.RDNSequence");
            let name = name.map_err(|error| error.to_string())?;
            reader.end().map_err(|error| error.to_string())?;
            distinguished_name::comparable(name.content).map_err(|error| error.to_string())?;
            let list = if permitted {
                &mut found.permitted_directory
            } else {
                &mut found.excluded_directory
            };
            list.push(name.whole.to_vec());
        }
        other => {
            return Err(format!(
                "a subtree is of an unsupported kind: {}",
                unsupported_kind(other)
            ));
        }
    }
    Ok(())
}

/// A constraint that is an IA5String; an empty one matches every name of its kind.
fn ia5_constraint(
    content: &[u8],
    compile: fn(&str) -> Result<String, &'static str>,
    kind: &str,
) -> Result<String, String> {
    let text = std::str::from_utf8(content).ok().filter(|text| text.is_ascii());
    match text {
        Some("") => Ok(String::new()),
        Some(text) if compile(text).is_ok() => Ok(text.to_owned()),
        _ => Err(format!("a subtree is not a valid {kind}")),
    }
}

/// Address and mask; the mask is ones followed by zeros (RFC 4632, 3.1). Address bits outside the
/// mask are cleared: they have no meaning, and some parsers reject them.
fn ip_range(content: &[u8]) -> Result<Vec<u8>, String> {
    let wrong = || "a subtree is not a valid IP range".to_owned();
    if !matches!(content.len(), 8 | 32) {
        return Err(wrong());
    }
    let (address, mask) = content.split_at(content.len() / 2);
    let zeros = mask.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
    let is_prefix = zeros.skip_while(|bit| *bit == 1).all(|bit| bit == 0);
    let network = address.iter().zip(mask).map(|(byte, mask)| byte & mask);
    if is_prefix { Ok(network.chain(mask.iter().copied()).collect()) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ca::asn1::{TaggedValue, encode};
    use crate::ca::extensions;

    fn strings(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn requested_constraints_are_encoded_and_read_back() {
        let asked = NameConstraintParams {
            permitted_dns_domains: strings(&["example.org", ".example.org", "example.org"]),
            excluded_dns_domains: strings(&["münchen.example.org"]),
            permitted_ip_ranges: strings(&["10.1.2.3/8", "2001:db8::/33"]),
            excluded_ip_ranges: strings(&["0.0.0.0/0", "10.0.0.1/32"]),
            permitted_email_addresses: strings(&["a@example.org", ".example.org"]),
            excluded_email_addresses: strings(&["example.com"]),
            permitted_uri_domains: strings(&["example.org"]),
            excluded_uri_domains: strings(&[".example.org"]),
        };
        let compiled = asked.compile().unwrap().unwrap();
        assert_eq!(compiled.permitted_dns, ["example.org", ".example.org"]);
        assert_eq!(compiled.excluded_dns, ["xn--mnchen-3ya.example.org"]);
        assert_eq!(compiled.permitted_ip[0], [10, 0, 0, 0, 255, 0, 0, 0]);
        assert_eq!(compiled.permitted_ip[1][16..22], [255, 255, 255, 255, 0x80, 0]);
        assert_eq!(compiled.excluded_ip[0], [0; 8]);
        assert_eq!(compiled.excluded_ip[1], [10, 0, 0, 1, 255, 255, 255, 255]);
        assert_eq!(read(&extensions::name_constraints(&compiled)).unwrap(), compiled);
        assert_eq!(NameConstraintParams::default().compile().unwrap(), None);
    }

    #[test]
    fn an_invalid_value_is_refused_with_its_parameter() {
        for (value, works) in [
            ("", false),
            (".", false),
            ("*.example.org", false),
            ("a..b", false),
            ("example.org.", false),
            ("10.0.0.1", false),
            ("https://example.org", false),
            ("a b", false),
            ("a\0b", false),
            ("localhost", true),
        ] {
            let names = strings(&[value]);
            let dns =
                NameConstraintParams { permitted_dns_domains: names.clone(), ..Default::default() };
            let uri =
                NameConstraintParams { excluded_uri_domains: names.clone(), ..Default::default() };
            let mail =
                NameConstraintParams { permitted_email_addresses: names, ..Default::default() };
            for (asked, parameter) in [
                (dns, "permitted_dns_domains: "),
                (uri, "excluded_uri_domains: "),
                (mail, "permitted_email_addresses: "),
            ] {
                match asked.compile() {
                    Ok(_) => assert!(works, "{value}"),
                    Err(why) => assert!(!works && why.starts_with(parameter), "{value}: {why}"),
                }
            }
        }
        for value in
            ["", "10.0.0.1", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "::/129", "x/8", "1.2.3.4/+8"]
        {
            let ranges = strings(&[value]);
            let asked = NameConstraintParams { excluded_ip_ranges: ranges, ..Default::default() };
            let why = asked.compile().unwrap_err();
            assert!(why.starts_with("excluded_ip_ranges: "), "{value}: {why}");
        }
        for value in ["@example.org", "a@", "a@b@c", "a b@example.org", "a@.example.org"] {
            assert!(mailbox(value).is_err(), "{value}");
        }
    }

    #[test]
    fn refuses_other_kinds_and_trailing_bytes() {
        let subtrees = |bytes: &[u8]| {
            let subtree = TaggedValue::of(tag::SEQUENCE, bytes);
            encode(&TaggedValue::new(tag::SEQUENCE, TaggedValue::new(tag::explicit(0), subtree)))
        };
        assert!(read(&subtrees(&[DNS, 1, b'a'])).is_ok());
        assert!(read(&subtrees(&[DNS, 0])).is_ok());
        for bytes in [
            &[DNS, 1, b'a', 0x80, 1, 0][..],
            &[DNS, 1, b'a', 0x81, 1, 1],
            &[DNS, 1, 0],
            &[0x88, 1, 0x2a],
            &[0xa0, 0],
            &[IP, 4, 10, 0, 0, 0],
            &[IP, 8, 10, 0, 0, 0, 255, 0, 255, 0],
            &[0x89, 0],
            &[],
        ] {
            assert!(read(&subtrees(bytes)).is_err(), "{bytes:?}");
        }
        for bytes in [&[0x30, 0][..], &[0x30, 2, 0xa0, 0], &[0x30, 2, 0xa2, 0], &[5, 0], &[]] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
        let mut trailing = subtrees(&[DNS, 1, b'a']);
        trailing.push(0);
        assert!(read(&trailing).is_err());
    }
}

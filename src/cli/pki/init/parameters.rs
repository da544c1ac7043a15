//! From the command line of `signet pki init` to checked parameters. No request is sent.

use std::net::IpAddr;

use clap::ArgMatches;
use hyper::Uri;

use super::plan::InitParameters;
use crate::ca::spiffe::SpiffeId;
use crate::cli::arguments::{is_on, text, words};
use crate::cli::failure::CommandFailure;
use crate::cli::{Context, duration};

/// Kinds of keys: the word of the flag, `key_type` and `key_bits`.
const KEYS: [(&str, &str, &str); 7] = [
    ("ec-256", "ec", "256"),
    ("ec-384", "ec", "384"),
    ("ec-521", "ec", "521"),
    ("rsa-2048", "rsa", "2048"),
    ("rsa-3072", "rsa", "3072"),
    ("rsa-4096", "rsa", "4096"),
    ("ed25519", "ed25519", "0"),
];

/// Flags of the connection, each with the variable that does the same.
const CONNECTION: [(&str, &str); 8] = [
    ("address", "SIGNET_ADDR"),
    ("agent-address", "SIGNET_AGENT_ADDR"),
    ("ca-cert", "SIGNET_CACERT"),
    ("ca-path", "SIGNET_CAPATH"),
    ("client-cert", "SIGNET_CLIENT_CERT"),
    ("client-key", "SIGNET_CLIENT_KEY"),
    ("tls-server-name", "SIGNET_TLS_SERVER_NAME"),
    ("namespace", "SIGNET_NAMESPACE"),
];

/// Ten years: the root outlives the services that trust it, since its replacement reaches each of
/// them by hand.
const ROOT_TTL: &str = "87600h";
/// One year: the intermediate can be replaced at any time without a change at any service.
const INTERMEDIATE_TTL: &str = "8760h";
const TTL: &str = "1h";
const MAX_TTL: &str = "24h";

/// Reads and checks the parameters.
///
/// # Errors
/// What is wrong, and what to write instead.
pub(super) fn read(
    context: &Context<'_>,
    matches: &ArgMatches,
) -> Result<InitParameters, CommandFailure> {
    let words = words(matches, 1, 1)?;
    let mount = mount_path("PATH", words.first().map_or("", String::as_str))?;
    let root_mount = match text(matches, "root-mount") {
        Some(path) => mount_path("-root-mount", path)?,
        None => format!("{mount}-root"),
    };
    if format!("{mount}/").starts_with(&format!("{root_mount}/"))
        || format!("{root_mount}/").starts_with(&format!("{mount}/"))
    {
        return Err(CommandFailure::local(format!(
            "-root-mount={root_mount} and the mount {mount} overlap: root and intermediate have a mount each, such as {mount}-root and {mount}"
        )));
    }
    let (key_type, key_bits) = key(text(matches, "key").unwrap_or("ec-256"))?;
    let init = InitParameters {
        domain: domain(text(matches, "spiffe"))?,
        role: role_name(text(matches, "role").unwrap_or("spiffe"))?,
        public_address: public_address(context, matches)?,
        root_ttl: lifetime(matches, "root-ttl", ROOT_TTL)?,
        intermediate_ttl: lifetime(matches, "intermediate-ttl", INTERMEDIATE_TTL)?,
        ttl: lifetime(matches, "ttl", TTL)?,
        max_ttl: lifetime(matches, "max-ttl", MAX_TTL)?,
        max_path_length: path_length(text(matches, "max-path-length").unwrap_or("0"))?,
        mount,
        root_mount,
        key_type,
        key_bits,
    };
    in_order(&init)?;
    Ok(init)
}

/// The flags of the connection that were given, as variables.
pub(super) fn connection(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let given = |(flag, variable): &(&str, &'static str)| {
        text(matches, flag).map(|value| (*variable, value.to_owned()))
    };
    let mut variables: Vec<_> = CONNECTION.iter().filter_map(given).collect();
    if matches.get_one::<bool>("tls-skip-verify").is_some() {
        variables.push(("SIGNET_SKIP_VERIFY", is_on(matches, "tls-skip-verify").to_string()));
    }
    variables
}

/// What a person has to know about the parameters, although they work.
pub(super) fn notes(init: &InitParameters) -> Vec<String> {
    let address = &init.public_address;
    let mut notes = Vec::new();
    if is_loopback(address) {
        notes.push(format!(
            "Certificates will name {address} as the source of issuers and revocation lists, which other machines cannot reach: give their address in -public-address."
        ));
    } else if address.starts_with("https://") {
        notes.push(format!(
            "Certificates will name {address} as the source of revocation lists. Verifiers fetch lists over plain HTTP (RFC 5280, section 8): a listener with purpose = \"public\" serves them, and -public-address names it."
        ));
    }
    notes
}

fn is_loopback(address: &str) -> bool {
    let uri = address.parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

fn domain(given: Option<&str>) -> Result<SpiffeId, CommandFailure> {
    let given = given.ok_or_else(|| {
        CommandFailure::local(
            "-spiffe is missing: name the trust domain, such as -spiffe=example.com",
        )
    })?;
    let name = given.strip_prefix("spiffe://").unwrap_or(given);
    let wrong = |why: &str| {
        CommandFailure::local(format!(
            "-spiffe={given} is not a trust domain: {why}; write a name such as example.com, in lower case and without a path"
        ))
    };
    let id = SpiffeId::parse(&format!("spiffe://{name}")).map_err(|why| wrong(&why.to_string()))?;
    // The subject of an authority holds the name and a word: 64 characters at most (RFC 5280, A.1).
    let longest = 64 - " intermediate".len();
    match (id.path().is_empty(), id.trust_domain().len() <= longest) {
        (false, _) => Err(wrong("it has a path")),
        (true, false) => Err(wrong(&format!(
            "it is longer than the {longest} characters that fit into the subject of an issuer"
        ))),
        (true, true) => Ok(id),
    }
}

fn mount_path(what: &str, given: &str) -> Result<String, CommandFailure> {
    let path = given.trim_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(is_plain);
    if path.split('/').all(is_segment) {
        return Ok(path.to_owned());
    }
    Err(CommandFailure::local(format!(
        "{what} {given:?} is not a path for a mount: write letters, digits, hyphens, underscores and dots, with slashes between them, such as team/pki"
    )))
}

fn role_name(name: &str) -> Result<String, CommandFailure> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.starts_with(is_word)
        && name.ends_with(is_word)
        && name.chars().all(|c| is_word(c) || c == '-' || c == '.');
    if is_name {
        return Ok(name.to_owned());
    }
    Err(CommandFailure::local(format!(
        "-role={name} is not a name for a role: write letters, digits and underscores, with hyphens and dots between them"
    )))
}

fn key(word: &str) -> Result<(&'static str, &'static str), CommandFailure> {
    let known = KEYS.iter().find(|(known, ..)| *known == word);
    known.map(|(_, key_type, key_bits)| (*key_type, *key_bits)).ok_or_else(|| {
        let words: Vec<&str> = KEYS.iter().map(|(word, ..)| *word).collect();
        CommandFailure::local(format!(
            "-key={word} is not known: write one of {}",
            words.join(", ")
        ))
    })
}

fn path_length(word: &str) -> Result<u8, CommandFailure> {
    word.parse().map_err(|_| {
        CommandFailure::local(format!(
            "-max-path-length={word} is not a number of intermediates: write 0, or 1 for a SPIRE server"
        ))
    })
}

fn lifetime(matches: &ArgMatches, flag: &str, default: &str) -> Result<i64, CommandFailure> {
    let given = text(matches, flag).unwrap_or(default);
    let span = duration::parse(given)
        .map_err(|why| CommandFailure::local(format!("-{flag}={given} cannot be used: {why}")))?;
    match span.whole_seconds() {
        seconds if seconds > 0 => Ok(seconds),
        _ => Err(CommandFailure::local(format!(
            "-{flag}={given} cannot be used: a lifetime is a second or longer, such as {default}"
        ))),
    }
}

/// No certificate outlives its issuer.
fn in_order(init: &InitParameters) -> Result<(), CommandFailure> {
    let lifetimes = [
        ("ttl", init.ttl),
        ("max-ttl", init.max_ttl),
        ("intermediate-ttl", init.intermediate_ttl),
        ("root-ttl", init.root_ttl),
    ];
    for ((shorter, one), (longer, other)) in lifetimes.iter().zip(lifetimes.iter().skip(1)) {
        // A request may ask for the longest lifetime; an issuer is made before what it signs.
        let is_good = if *shorter == "ttl" { one <= other } else { one < other };
        if !is_good {
            return Err(CommandFailure::local(format!(
                "-{shorter}={} is too long for -{longer}={}: shorten the one or raise the other",
                duration::short(*one),
                duration::short(*other)
            )));
        }
    }
    Ok(())
}

fn public_address(context: &Context<'_>, matches: &ArgMatches) -> Result<String, CommandFailure> {
    let given =
        text(matches, "public-address").map_or_else(|| context.address(matches), str::to_owned);
    let address = given.trim_end_matches('/');
    let is_good = address.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && !uri.authority().is_some_and(|authority| authority.as_str().contains('@'))
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && !address.contains('#')
    });
    if is_good && address.is_ascii() {
        return Ok(address.to_owned());
    }
    Err(CommandFailure::local(format!(
        "{given:?} cannot be the address in certificates: give one in -public-address, such as http://pki.example.com"
    )))
}

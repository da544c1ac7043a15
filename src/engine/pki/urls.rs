//! URLs in certificates: one rule for `config/urls`, issuers, `config/cluster` and rendered templates.
//! Every stored URL can be encoded, so that issuing does not fail on it later.

use std::borrow::Cow;

use crate::engine::Failure;
use crate::go::url::{canonical, host};
use crate::store::id::IssuerId;

use super::records::UrlsRecord;

/// Whether a certificate can hold this text as a URL: it has a scheme and a host, and only visible
/// ASCII (RFC 5280, 4.2.1.6 and 4.2.1.13: an IA5String that is a URI by RFC 3986). An LDAP URL may
/// omit the host (RFC 4516, 2).
pub(super) fn fits_a_certificate(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let is_ldap = scheme.eq_ignore_ascii_case("ldap") || scheme.eq_ignore_ascii_case("ldaps");
    let is_located = if is_ldap { rest.len() > 1 } else { !host(text).is_empty() };
    !scheme.is_empty() && is_located && is_visible(text) && canonical(text).is_some()
}

/// Whether this is a URL with scheme and host and without templates.
pub(super) fn is_absolute(text: &str) -> bool {
    fits_a_certificate(text) && !text.contains("{{") && !host(text).is_empty()
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Replaces the cluster's address in the check of a template.
const SAMPLE: &str = "http://localhost/v1/pki";

/// Refuses lists with an entry that no certificate can hold, whatever values its template will have.
pub(super) fn check_urls(urls: &UrlsRecord) -> Result<(), Failure> {
    for (field, list) in [
        ("issuing_certificates", &urls.issuing_certificates),
        ("crl_distribution_points", &urls.crl_distribution_points),
        ("delta_crl_distribution_points", &urls.delta_crl_distribution_points),
        ("ocsp_servers", &urls.ocsp_servers),
    ] {
        let is_good = |url: &String| {
            let rendered = if urls.templating {
                Cow::Owned(with_words(url, SAMPLE, SAMPLE, &IssuerId::new([0; 16]).to_string()))
            } else {
                Cow::Borrowed(url.as_str())
            };
            fits_a_certificate(&rendered) && !rendered.contains("{{")
        };
        if let Some(url) = list.iter().find(|url| !is_good(url)) {
            return Err(Failure::refused(format!(
                "invalid URL found in Authority Information Access (AIA) parameter {field}: {url}{}",
                advice(url, list, urls.templating)
            )));
        }
    }
    Ok(())
}

/// A URL with the words of a template replaced.
pub(super) fn with_words(url: &str, path: &str, aia_path: &str, issuer: &str) -> String {
    url.replace("{{cluster_path}}", path)
        .replace("{{cluster_aia_path}}", aia_path)
        .replace("{{issuer_id}}", issuer)
}

/// How to write it so that it is accepted.
fn advice(url: &str, list: &[String], templating: bool) -> String {
    if !is_visible(url) {
        let encoded = canonical(url).filter(|encoded| fits_a_certificate(encoded));
        let suggestion = encoded.map(|encoded| format!("; write {encoded}")).unwrap_or_default();
        return format!("; a certificate holds only ASCII characters without blanks{suggestion}");
    }
    let is_ldap = |other: &String| other.starts_with("ldap");
    if !url.contains("://") && list.iter().any(is_ldap) {
        return "; a comma in a text separates URLs: send a JSON list, or write the comma as %2C"
            .to_owned();
    }
    if templating && url.contains("{{") {
        return "; the words of a template are {{issuer_id}}, {{cluster_path}} and {{cluster_aia_path}}"
            .to_owned();
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ldap_url_may_lack_its_host() {
        for url in [
            "ldap:///CN=Example%20CA,CN=CDP,DC=example,DC=com?certificateRevocationList?base?objectClass=cRLDistributionPoint",
            "ldaps:///CN=x",
            "LDAP:///CN=x",
            "ldap://host/CN=x",
            "http://a/ca",
            "http://a",
            "ftp://a/b",
            "http://[::1]:8080/crl",
        ] {
            assert!(fits_a_certificate(url), "{url}");
        }
        for url in [
            "",
            "foo",
            "http://",
            "http:///crl",
            "file:///crl",
            "ldap://",
            "ldap:///",
            "://a",
            "http://a/b c",
            "http://a/größe",
            "http://größe/",
            "http://a/\n",
            "http://a/%zz",
            "http://a:x/",
            "mailto:a@b",
        ] {
            assert!(!fits_a_certificate(url), "{url}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_write_the_url() {
        let refused = |urls: &[&str], templating: bool| {
            let list = urls.iter().map(|url| (*url).to_owned()).collect();
            let record =
                UrlsRecord { crl_distribution_points: list, templating, ..UrlsRecord::default() };
            check_urls(&record).unwrap_err().to_string()
        };
        assert!(
            refused(&["http://crl.example.com/größe.crl"], false)
                .ends_with("; write http://crl.example.com/gr%C3%B6%C3%9Fe.crl")
        );
        assert!(
            refused(&["http://crl.example.com/a b"], false)
                .ends_with("write http://crl.example.com/a%20b")
        );
        assert!(refused(&["{{cluster_path}}/größe"], true).contains("only ASCII"));
        assert!(refused(&["ldap:///CN=x", "CN=CDP"], false).contains("JSON list"));
        assert!(refused(&["foo"], false).ends_with("crl_distribution_points: foo"));
        assert!(refused(&["{{cluster_path}}/x"], false).ends_with("{{cluster_path}}/x"));
        assert!(refused(&["http://a/{{cluster}}"], true).contains("the words of a template"));
        for url in ["foo", "", "*", "{{issuer_id}}", "http://{{x}}/"] {
            assert!(refused(&[url], true).contains("invalid URL found"), "{url}");
        }
        let urls = ["{{cluster_path}}/x", "{{cluster_aia_path}}/{{issuer_id}}/der", "ldap:///CN=x"];
        let issuing_certificates = urls.map(str::to_owned).to_vec();
        let good = UrlsRecord { issuing_certificates, templating: true, ..UrlsRecord::default() };
        assert_eq!(check_urls(&good), Ok(()));
    }
}

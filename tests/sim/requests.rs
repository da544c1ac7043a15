//! Builds the request of an operation.

use serde_json::{Value, json};

use crate::model::Model;
use crate::names::NAMES;
use crate::odd::{self, Shape};
use crate::steps::Op;
use crate::upkeep;
use crate::world::{Request, TOKEN};

/// The paths of the two mounts.
pub(crate) const MOUNTS: [&str; 2] = ["pki", "edge"];

/// What an operation refers to, at the time of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Nothing,
    /// The serial number of a certificate of the mount.
    Certificate(String),
    /// The identifier of an issuer of the mount.
    Issuer(String),
    /// A certificate in PEM, to become an issuer.
    Authority(String),
}

/// An operation and its request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) op: Op,
    pub(crate) mount: usize,
    pub(crate) subject: Subject,
    pub(crate) request: Request,
}

/// The request of this operation; `None` if it has nothing to refer to.
pub(crate) fn ask(op: Op, model: &Model) -> Option<Asked> {
    let mount = usize::from(op.mount()) % MOUNTS.len();
    let (subject, method, rest, body) = parts(op, model, mount)?;
    let path = match op {
        Op::Enable { .. } | Op::Disable { .. } => format!("sys/mounts/{}", MOUNTS[mount]),
        _ => format!("{}/{rest}", MOUNTS[mount]),
    };
    let token = match op {
        Op::Unauthenticated { .. } => Some("unknown"),
        Op::ReadCrl { .. } | Op::ReadCertificate { .. } => None,
        _ => Some(TOKEN),
    };
    Some(Asked { op, mount, subject, request: Request { method, path, token, body } })
}

type Parts = (Subject, &'static str, String, Option<Value>);

fn parts(op: Op, model: &Model, mount: usize) -> Option<Parts> {
    let nothing = Subject::Nothing;
    let seen = &model.mounts[mount];
    Some(match op {
        Op::Enable { .. } => {
            let config = json!({ "max_lease_ttl": "87600h" });
            (nothing, "POST", String::new(), Some(json!({ "type": "pki", "config": config })))
        }
        Op::Disable { .. } => (nothing, "DELETE", String::new(), None),
        Op::Jobs { .. } => (nothing, upkeep::JOBS, String::new(), None),
        Op::AutoTidy { tidy, .. } => (nothing, upkeep::AUTO_TIDY, String::new(), Some(tidy.body())),
        Op::WriteRole { role, rules, .. } => {
            let mut body = rules.parameters(0xff);
            body["key_type"] = "ed25519".into();
            body["require_cn"] = false.into();
            (nothing, "POST", format!("roles/r{role}"), Some(body))
        }
        Op::PatchRole { role, rules, fields, .. } => {
            (nothing, "PATCH", format!("roles/r{role}"), Some(rules.parameters(fields)))
        }
        Op::DeleteRole { role, .. } => (nothing, "DELETE", format!("roles/r{role}"), None),
        Op::ReadRole { role, .. } => (nothing, "GET", format!("roles/r{role}"), None),
        Op::Issue { role, names, ttl, issuer, .. } => {
            let issuer = issuer.and_then(|pick| newest(&seen.issuers, pick));
            let path = match issuer {
                Some(issuer) => format!("issuer/{}/issue/r{role}", issuer.id),
                None => format!("issue/r{role}"),
            };
            (nothing, "POST", path, Some(leaf(names, ttl)))
        }
        Op::Sign { role, names, csr, ttl, .. } => {
            let mut body = leaf(names, ttl);
            body["csr"] = model.leaf_requests[usize::from(csr) % NAMES.len()].as_str().into();
            (nothing, "POST", format!("sign/r{role}"), Some(body))
        }
        Op::Revoke { certificate, .. } | Op::RevokeCertificate { certificate, .. } => {
            let found = newest(&seen.certificates, certificate)?;
            let body = match op {
                Op::Revoke { .. } => json!({ "serial_number": found.serial }),
                _ => json!({ "certificate": found.pem }),
            };
            let subject = Subject::Certificate(found.serial.clone());
            (subject, "POST", "revoke".to_owned(), Some(body))
        }
        Op::ReadCertificate { certificate, .. } => {
            let serial = newest(&seen.certificates, certificate)?.serial.clone();
            let path = format!("cert/{serial}");
            (Subject::Certificate(serial), "GET", path, None)
        }
        Op::List { .. } => (nothing, "LIST", "certs".to_owned(), None),
        Op::Unauthenticated { .. } => (nothing, "POST", "issue/r0".to_owned(), Some(leaf(0, 0))),
        Op::Odd { shape, pick, .. } => return odd_parts(shape, pick, model, mount),
        _ => return authority_parts(op, model, mount),
    })
}

fn authority_parts(op: Op, model: &Model, mount: usize) -> Option<Parts> {
    let seen = &model.mounts[mount];
    let of_issuer = |pick: u8| newest(&seen.issuers, pick).map(|issuer| issuer.id.clone());
    Some(match op {
        Op::Root { name, same_key, ttl, .. } => {
            let mut body = json!({ "common_name": format!("Root {name}"), "ttl": ttl });
            if same_key {
                body["key_ref"] = "default".into();
            } else {
                body["key_type"] = "ed25519".into();
            }
            let kind = if same_key { "existing" } else { "internal" };
            (Subject::Nothing, "POST", format!("root/generate/{kind}"), Some(body))
        }
        Op::Request { name, .. } => {
            let body =
                json!({ "common_name": format!("Intermediate {name}"), "key_type": "ed25519" });
            (Subject::Nothing, "POST", "intermediate/generate/internal".to_owned(), Some(body))
        }
        Op::SignRequest { request, ttl, .. } => {
            let body = json!({ "csr": newest(&model.requests, request)?, "ttl": ttl });
            (Subject::Nothing, "POST", "root/sign-intermediate".to_owned(), Some(body))
        }
        Op::SetSigned { certificate, .. } => {
            let pem = newest(&model.authorities, certificate)?.clone();
            let body = json!({ "certificate": pem });
            let path = "intermediate/set-signed".to_owned();
            (Subject::Authority(pem), "POST", path, Some(body))
        }
        Op::Usage { issuer, issues, signs_crls, .. } => {
            let id = of_issuer(issuer)?;
            let mut usages = vec!["read-only"];
            usages.extend(issues.then_some("issuing-certificates"));
            usages.extend(signs_crls.then_some("crl-signing"));
            let body = json!({ "usage": usages.join(",") });
            (Subject::Issuer(id.clone()), "PATCH", format!("issuer/{id}"), Some(body))
        }
        Op::NotAfterBehavior { issuer, behavior, .. } => {
            let id = of_issuer(issuer)?;
            let behavior = ["err", "truncate", "permit"][usize::from(behavior) % 3];
            let body = json!({ "leaf_not_after_behavior": behavior });
            (Subject::Issuer(id.clone()), "PATCH", format!("issuer/{id}"), Some(body))
        }
        Op::Default { issuer, .. } => {
            let id = of_issuer(issuer)?;
            let body = json!({ "default": id });
            (Subject::Issuer(id), "POST", "config/issuers".to_owned(), Some(body))
        }
        Op::DeleteIssuer { issuer, .. } => {
            let id = of_issuer(issuer)?;
            (Subject::Issuer(id.clone()), "DELETE", format!("issuer/{id}"), None)
        }
        Op::ReadCrl { issuer: None, .. } => (Subject::Nothing, "GET", "crl".to_owned(), None),
        Op::ReadCrl { issuer: Some(issuer), .. } => {
            let id = of_issuer(issuer)?;
            let path = format!("issuer/{id}/crl/der");
            (Subject::Issuer(id), "GET", path, None)
        }
        _ => return None,
    })
}

fn odd_parts(shape: Shape, pick: u8, model: &Model, mount: usize) -> Option<Parts> {
    let mut body = odd::body(shape);
    let (method, path) = match shape {
        Shape::Role(_) => ("POST", "roles/odd".to_owned()),
        Shape::ReadRole(at) if at % 2 == 0 => ("LIST", "roles".to_owned()),
        Shape::ReadRole(_) => ("GET", "roles/odd".to_owned()),
        Shape::Issue(_) => ("POST", "issue/odd".to_owned()),
        Shape::Sign(_, csr) => {
            body["csr"] = model.leaf_requests[usize::from(csr) % NAMES.len()].as_str().into();
            ("POST", "sign/odd".to_owned())
        }
        Shape::Authority(_) => {
            body["csr"] = newest(&model.requests, pick)?.as_str().into();
            ("POST", "root/sign-intermediate".to_owned())
        }
        Shape::Issuer(_) => {
            let issuer = newest(&model.mounts[mount].issuers, pick)?;
            ("PATCH", format!("issuer/{}", issuer.id))
        }
        Shape::Urls(_) => ("POST", "config/urls".to_owned()),
    };
    let body = Some(body).filter(|body| !body.is_null());
    Some((Subject::Nothing, method, path, body))
}

fn leaf(names: u8, ttl: i64) -> Value {
    let names = &NAMES[usize::from(names) % NAMES.len()];
    let mut body = json!({
        "common_name": names.common,
        "alt_names": names.hosts.join(","),
        "uri_sans": names.uris,
        "ip_sans": names.addresses,
    });
    if ttl > 0 {
        body["ttl"] = ttl.into();
    }
    body
}

/// The entry at this position from the end.
fn newest<T>(list: &[T], pick: u8) -> Option<&T> {
    let pick = usize::from(pick).checked_rem(list.len())?;
    list.iter().rev().nth(pick)
}

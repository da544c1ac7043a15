//! CSRs with one flipped bit, truncated or extended.

use super::der_by_hand::*;
use super::*;

/// CSRs that together contain every structure that the parser knows.
fn shapes() -> Vec<Vec<u8>> {
    let san = plain(
        SAN,
        &sequence(&[
            &element(0x82, &[b"a.example.org"]),
            &element(0x81, &[b"a@example.org"]),
            &element(0x87, &[&[10, 0, 0, 1]]),
            &element(0x86, &[b"spiffe://example.org"]),
            &element(0xa0, &[&oid(&[0x2a, 3]), &element(0xa0, &[&[0x0c, 1, b'x']])]),
        ]),
    );
    let everything = [
        san,
        plain(SKI, &element(4, &[&[9; 20]])),
        extension(&ce(KEY_USAGE), true, &[3, 2, 1, 6]),
        extension(&ce(CONSTRAINTS), true, &sequence(&[&[1, 1, 0xff]])),
        plain(EKU, &sequence(&[&oid(&[0x2b, 6, 1, 5, 5, 7, 3, 1])])),
        plain(NAMES, &subtree(0, 0x82, b"example.org")),
        plain(POLICIES, &sequence(&[&sequence(&[&oid(&[0x2a, 3])])])),
        plain(AKI, &sequence(&[&element(0x80, &[&[9; 20]])])),
    ];
    vec![
        request_der(&common_name("below.example.org"), &[]),
        request_der(&common_name("below.example.org"), &everything),
        request_der(&[0x30, 0], &everything[..1]),
    ]
}

/// Signs the changed part again, so that the checks after the signature are reached.
fn signed_again(changed: &[u8], at: usize) -> Option<Vec<u8>> {
    let info = changed.get(at..)?;
    let length = match info {
        [0x30, length @ 0..=0x7f, ..] => usize::from(*length) + 2,
        [0x30, 0x81, length, ..] => usize::from(*length) + 3,
        [0x30, 0x82, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])) + 4,
        _ => return None,
    };
    let info = info.get(..length)?;
    Some(request_of(info, &sequence(&[&oid(ED25519)]), edwards().sign(info).as_ref()))
}

#[tokio::test]
async fn no_changed_csr_causes_a_5xx() {
    let server = server().await;
    let odd = json!({
        "key_type": "any", "allow_any_name": true, "require_cn": false, "use_csr_sans": true,
        "allowed_uri_sans": "*", "allowed_other_sans": "*", "key_usage": [], "ext_key_usage": [],
        "basic_constraints_valid_for_non_ca": true, "server_flag": false, "client_flag": false,
        "serial_number_source": "json-csr", "allowed_serial_numbers": "*", "allowed_user_ids": "*",
        "no_store": true,
    });
    server.post("pki/roles/odd", odd).await.ok();
    for (at, asked) in [
        ("plain", json!({})),
        (
            "limited",
            json!({
                "permitted_dns_domains": "example.org", "excluded_ip_ranges": "0.0.0.0/0",
                "permitted_uri_domains": "example.org", "max_path_length": 1,
            }),
        ),
    ] {
        let mut root = json!({ "common_name": "R", "key_type": "ec", "issuer_name": at });
        root.as_object_mut().unwrap().extend(asked.as_object().unwrap().clone());
        server.post("pki/root/generate/internal", root).await.ok();
    }
    let mut round = 0_usize;
    for shape in shapes() {
        let at = match shape[1] {
            0x81 => 3,
            0x82 => 4,
            _ => 2,
        };
        let changes = (0..shape.len()).flat_map(|index| [1, 0x20, 0x80].map(|flip| (index, flip)));
        for (index, flip) in changes {
            let mut changed = shape.clone();
            changed[index] ^= flip;
            let csr = match round % 4 {
                0 => Some(changed),
                1 => Some(changed[..index].to_vec()),
                2 => Some([&changed[..], &shape[index..]].concat()),
                _ => signed_again(&changed, at),
            };
            // Each change that keeps the outer structure intact is also signed again.
            let mut again = shape.clone();
            again[index] ^= flip;
            let again = signed_again(&again, at);
            for csr in csr.into_iter().chain(again) {
                round += 1;
                let (path, own) = [
                    ("pki/root/sign-intermediate", true),
                    ("pki/issuer/limited/sign-intermediate", true),
                    ("pki/issuer/limited/sign/odd", false),
                    ("pki/sign/odd", false),
                    ("pki/root/sign-intermediate", false),
                ][round % 5];
                let body = json!({ "csr": text(&csr), "use_csr_values": own });
                let answer = server.post(path, body).await;
                assert!(answer.status < 500, "{path} {index} {flip:02x} {csr:02x?}: {answer:?}");
            }
        }
    }
}

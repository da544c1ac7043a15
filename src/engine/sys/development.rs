//! What `signet server -dev -dev-spiffe=example.com` sets up: a root, an issuing intermediate, and a
//! role for that trust domain.

use crate::ca::authority::CaCertificateParams;
use crate::ca::pem::{self, KeyForm};
use crate::ca::role::{CertificateParams, RoleFields};
use crate::ca::spiffe::SpiffeId;
use crate::ca::time::Timestamp;
use crate::engine::pki::Pki;
use crate::engine::pki::auto_tidy::AutoTidyChange;
use crate::engine::pki::generate::{KeyOrigin, KeySpec, RootRequest};
use crate::engine::pki::intermediate::{IntermediateRequest, SignIntermediateRequest};
use crate::engine::{Engine, Failure};

use super::new_mount;

/// The mounts of the root and of the intermediate.
const ROOT_MOUNT: &str = "pki_root/";
const MOUNT: &str = "pki/";

/// Lifetimes in seconds: ten years for the root, one for the intermediate.
const ROOT_LIFE: i64 = 10 * 8760 * 3600;
const INTERMEDIATE_LIFE: i64 = 8760 * 3600;

impl Engine {
    /// Creates the mounts `pki_root` and `pki`, and the role `spiffe` in the latter.
    ///
    /// # Errors
    /// Fails if one of the mounts already exists.
    pub async fn prepare_trust_domain(
        &self,
        domain: &SpiffeId,
        now: Timestamp,
    ) -> Result<(), Failure> {
        for (path, life) in [(ROOT_MOUNT, ROOT_LIFE), (MOUNT, INTERMEDIATE_LIFE)] {
            let mut record = new_mount(&self.env().entropy, path, Pki::KIND);
            record.max_lease_ttl = life;
            self.mount(record).await?;
        }
        let mounts = self.mounts();
        let pki =
            |path| mounts.at(path).and_then(|mount| mount.core::<Pki>()).ok_or(Failure::NotFound);
        let (root_mount, issuing_mount) = (pki(ROOT_MOUNT)?, pki(MOUNT)?);
        let root = RootRequest {
            params: authority(domain, "root", ROOT_LIFE),
            key: new_key(),
            issuer_name: Some("root".to_owned()),
            archive: None,
        };
        let root = root_mount.generate_root(&root, now).await?;
        let request = IntermediateRequest {
            params: authority(domain, "intermediate", INTERMEDIATE_LIFE),
            key: new_key(),
            add_basic_constraints: false,
        };
        let request = issuing_mount.generate_intermediate(&request).await?;
        let signing = SignIntermediateRequest {
            params: authority(domain, "intermediate", INTERMEDIATE_LIFE),
            csr: pem::encode("CERTIFICATE REQUEST", &request.csr),
            issuer_ref: "default".to_owned(),
            format_is_known: true,
            archive: None,
        };
        let signed = root_mount.sign_intermediate(&signing, now).await?;
        let bundle = [&signed.der, &root.der].map(|der| pem::encode("CERTIFICATE", der)).join("\n");
        issuing_mount.set_signed(&bundle, now).await?;
        issuing_mount.write_role("spiffe", role(domain), now).await?;
        let tidy = AutoTidyChange {
            enabled: Some(true),
            tidy_cert_store: Some(true),
            tidy_revoked_certs: Some(true),
            ..AutoTidyChange::default()
        };
        for mount in [root_mount, issuing_mount] {
            mount.write_auto_tidy(&tidy, now).await?;
        }
        Ok(())
    }
}

fn new_key() -> KeySpec {
    KeySpec {
        origin: KeyOrigin::Internal,
        key_type: Some("ec".to_owned()),
        key_bits: Some(256),
        name: None,
        reference: String::new(),
        form: KeyForm::Traditional,
    }
}

/// X509-SVID, section 3.2: a signing certificate carries the trust domain's ID.
fn authority(domain: &SpiffeId, what: &str, life: i64) -> CaCertificateParams {
    CaCertificateParams {
        params: CertificateParams {
            common_name: format!("{} {what}", domain.trust_domain()),
            uri_sans: vec![domain.to_string()],
            exclude_cn_from_sans: true,
            ttl: life,
            ..CertificateParams::default()
        },
        ..CaCertificateParams::default()
    }
}

fn role(domain: &SpiffeId) -> RoleFields {
    RoleFields {
        allow_localhost: false,
        allow_ip_sans: false,
        allow_wildcard_certificates: false,
        allowed_uri_sans: vec![format!("{domain}/*")],
        require_cn: false,
        key_type: "ec".to_owned(),
        key_bits: 256,
        ttl: 3600,
        max_ttl: 24 * 3600,
        key_usage: vec!["DigitalSignature".to_owned()],
        ..RoleFields::unspecified()
    }
}

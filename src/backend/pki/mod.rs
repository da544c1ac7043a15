//! The PKI engine's routes.

mod authority;
mod auto_tidy;
mod issue;
mod issuers;
mod public;
mod revoke;
pub mod roles;
mod settings;

use crate::backend::kind::Backend;
use crate::backend::route::Class;
use crate::backend::table::{Route, handler};
use crate::engine::pki::Pki;

use authority::{
    AuthorityKey, Constraints, RequestOptions, SetSignedParams, Signing, SubjectFields,
};
use issue::{Csr, KeyStore, LeafOptions, Names, NewKey};
use public::{FileForm, PEM_CHAIN, PEM_FILE, PKIX_CERT, PKIX_CRL};

/// The parameters of paths for leaves.
const ISSUE: &[&[crate::backend::field::Field]] =
    &[Names::FIELDS, LeafOptions::FIELDS, KeyStore::FIELDS, NewKey::FIELDS];
const SIGN: &[&[crate::backend::field::Field]] =
    &[Names::FIELDS, LeafOptions::FIELDS, KeyStore::FIELDS, Csr::FIELDS];

/// The parameters of paths for authorities.
const ROOT: &[&[crate::backend::field::Field]] = &[
    Names::FIELDS,
    SubjectFields::FIELDS,
    AuthorityKey::FIELDS,
    Constraints::FIELDS,
    KeyStore::FIELDS,
];
const INTERMEDIATE: &[&[crate::backend::field::Field]] =
    &[Names::FIELDS, SubjectFields::FIELDS, AuthorityKey::FIELDS, RequestOptions::FIELDS];
const SIGN_INTERMEDIATE: &[&[crate::backend::field::Field]] =
    &[Names::FIELDS, SubjectFields::FIELDS, Constraints::FIELDS, KeyStore::FIELDS, Signing::FIELDS];

impl Backend for Pki {
    const TYPE: &'static str = "pki";

    const HELP: &'static str = "A certificate authority: issuers, roles that define which certificates may be issued, and the certificates and revocation lists themselves.";

    const ROUTES: &'static [Route<Self>] = &[
        // Leaves.
        Route::update("issue/{role}", handler!(issue::issue))
            .class(Class::Issue)
            .takes(ISSUE)
            .help("Issues a certificate and its key under a role."),
        Route::update("issuer/{issuer_ref}/issue/{role}", handler!(issue::issue))
            .class(Class::Issue)
            .takes(ISSUE)
            .help("Issues a certificate and its key under a role, by a named issuer."),
        Route::update("sign/{role}", handler!(issue::sign))
            .class(Class::Issue)
            .takes(SIGN)
            .help("Signs a request under a role."),
        Route::update("issuer/{issuer_ref}/sign/{role}", handler!(issue::sign))
            .class(Class::Issue)
            .takes(SIGN)
            .help("Signs a request under a role, by a named issuer."),
        Route::update("revoke", handler!(revoke::revoke))
            .class(Class::Urgent)
            .takes(&[revoke::Revoke::FIELDS])
            .help("Revokes a certificate by its serial number or by itself."),
        Route::list("certs", handler!(revoke::list_certificates))
            .help("Lists the serial numbers of everything stored."),
        Route::read("crl/rotate", handler!(revoke::rotate_crl))
            .class(Class::Urgent)
            .help("Signs every revocation list again."),
        // Roles.
        Route::list("roles", handler!(roles::list)).help("Lists the roles."),
        Route::read("roles/{name}", handler!(roles::read)).help("Reads a role."),
        Route::update("roles/{name}", handler!(roles::write))
            .takes(&[roles::FIELDS])
            .help("Creates or replaces a role."),
        Route::patch("roles/{name}", handler!(roles::patch))
            .takes(&[roles::FIELDS])
            .help("Changes the fields of a role that are sent."),
        Route::delete("roles/{name}", handler!(roles::delete)).help("Deletes a role."),
        // Authorities.
        Route::update("root/generate/{exported:any}", handler!(authority::generate_root))
            .class(Class::Heavy)
            .takes(ROOT)
            .help("Generates a root."),
        Route::update("issuers/generate/root/{exported:any}", handler!(authority::generate_root))
            .class(Class::Heavy)
            .takes(ROOT)
            .help("Generates a root."),
        Route::update("root/rotate/{exported:any}", handler!(authority::rotate_root))
            .class(Class::Heavy)
            .takes(ROOT)
            .help("Generates a root beside the present one; its name is next if none is sent."),
        Route::update(
            "intermediate/generate/{exported:any}",
            handler!(authority::generate_intermediate),
        )
        .class(Class::Heavy)
        .takes(INTERMEDIATE)
        .help("Generates a key and a request for an intermediate."),
        Route::update(
            "issuers/generate/intermediate/{exported:any}",
            handler!(authority::generate_intermediate),
        )
        .class(Class::Heavy)
        .takes(INTERMEDIATE)
        .help("Generates a key and a request for an intermediate."),
        Route::update("intermediate/cross-sign", handler!(authority::cross_sign))
            .class(Class::Heavy)
            .takes(INTERMEDIATE)
            .help("Makes a request with a key that is there, to be signed by another authority."),
        Route::update("intermediate/set-signed", handler!(authority::set_signed))
            .class(Class::Heavy)
            .takes(&[SetSignedParams::FIELDS])
            .help("Imports certificates that another authority signed."),
        Route::update("root/sign-intermediate", handler!(authority::sign))
            .class(Class::Heavy)
            .takes(SIGN_INTERMEDIATE)
            .help("Signs a request as an intermediate."),
        Route::update("issuer/{issuer_ref:any}/sign-intermediate", handler!(authority::sign))
            .class(Class::Heavy)
            .takes(SIGN_INTERMEDIATE)
            .help("Signs a request as an intermediate, by a named issuer."),
        // Issuers and keys.
        Route::list("issuers", handler!(issuers::list)).public().help("Lists the issuers."),
        Route::read("issuer/{issuer_ref}", handler!(issuers::read)).help("Reads an issuer."),
        Route::update("issuer/{issuer_ref}", handler!(issuers::replace))
            .takes(&[issuers::IssuerParams::FIELDS])
            .help("Replaces the settings of an issuer."),
        Route::patch("issuer/{issuer_ref}", handler!(issuers::patch))
            .takes(&[issuers::IssuerParams::FIELDS])
            .help("Changes the settings of an issuer that are sent."),
        Route::delete("issuer/{issuer_ref}", handler!(issuers::delete))
            .help("Deletes an issuer; its key stays."),
        Route::update("issuer/{issuer_ref}/revoke", handler!(issuers::revoke))
            .class(Class::Urgent)
            .help("Revokes an issuer."),
        Route::list("keys", handler!(issuers::list_keys)).help("Lists the keys of issuers."),
        Route::read("key/{key_ref}", handler!(issuers::read_key))
            .help("Reads a key's description."),
        Route::delete("key/{key_ref}", handler!(issuers::delete_key)).help("Deletes a key."),
        // Settings.
        Route::read("config/issuers", handler!(settings::read_issuers))
            .help("Reads which issuer is the default one."),
        Route::update("config/issuers", handler!(settings::write_issuers))
            .takes(&[settings::DefaultIssuer::FIELDS])
            .help("Sets the default issuer."),
        Route::read("config/keys", handler!(settings::read_keys))
            .help("Reads which key is the default one."),
        Route::update("config/keys", handler!(settings::write_keys))
            .takes(&[settings::DefaultKey::FIELDS])
            .help("Sets the default key."),
        Route::read("config/urls", handler!(settings::read_urls))
            .help("Reads the URLs that go into certificates."),
        Route::update("config/urls", handler!(settings::write_urls))
            .takes(&[settings::Urls::FIELDS])
            .help("Sets the URLs that go into certificates."),
        Route::read("config/cluster", handler!(settings::read_cluster))
            .help("Reads the addresses that templates of URLs use."),
        Route::update("config/cluster", handler!(settings::write_cluster))
            .takes(&[settings::ClusterParams::FIELDS])
            .help("Sets the addresses that templates of URLs use."),
        Route::read("config/auto-tidy", handler!(auto_tidy::read))
            .help("Reads what is removed automatically after its expiry."),
        Route::update("config/auto-tidy", handler!(auto_tidy::write))
            .takes(&[auto_tidy::AutoTidy::FIELDS])
            .help("Sets what is removed automatically after its expiry."),
        // Without a token.
        Route::read("ca", handler!(public::ca, FileForm::Der))
            .file(PKIX_CERT)
            .help("The default issuer's certificate, DER."),
        Route::read("ca/pem", handler!(public::ca, FileForm::Pem))
            .file(PEM_CHAIN)
            .help("The default issuer's certificate, PEM."),
        Route::read("ca_chain", handler!(public::ca_chain))
            .file(PKIX_CERT)
            .help("The default issuer's chain, PEM."),
        Route::read("crl", handler!(public::crl, FileForm::Der))
            .file(PKIX_CRL)
            .help("The default issuer's revocation list, DER."),
        Route::read("crl/pem", handler!(public::crl, FileForm::Pem))
            .file(PEM_FILE)
            .help("The default issuer's revocation list, PEM."),
        Route::read("cert/ca", handler!(public::ca_json))
            .public()
            .help("The default issuer's certificate, JSON."),
        Route::read("cert/ca_chain", handler!(public::ca_chain_json))
            .public()
            .help("The default issuer's chain, JSON."),
        Route::read("cert/crl", handler!(public::crl_json))
            .public()
            .help("The default issuer's revocation list, JSON."),
        Route::read("cert/{serial:serial}", handler!(public::certificate_json))
            .public()
            .help("A stored certificate, JSON."),
        Route::read("cert/{serial:serial}/raw", handler!(public::certificate_raw, FileForm::Der))
            .file(PKIX_CERT)
            .help("A stored certificate, DER."),
        Route::read(
            "cert/{serial:serial}/raw/pem",
            handler!(public::certificate_raw, FileForm::Pem),
        )
        .file(PEM_CHAIN)
        .help("A stored certificate, PEM."),
        Route::read("cert/ca/raw", handler!(public::ca, FileForm::Der))
            .file(PKIX_CERT)
            .help("The default issuer's certificate, DER."),
        Route::read("cert/ca/raw/pem", handler!(public::ca, FileForm::Pem))
            .file(PEM_CHAIN)
            .help("The default issuer's certificate, PEM."),
        Route::read("issuer/{issuer_ref}/json", handler!(public::issuer_json))
            .public()
            .help("An issuer's certificate and chain, JSON."),
        Route::read("issuer/{issuer_ref}/der", handler!(public::issuer_raw, FileForm::Der))
            .file(PKIX_CERT)
            .help("An issuer's certificate, DER."),
        Route::read("issuer/{issuer_ref}/pem", handler!(public::issuer_raw, FileForm::Pem))
            .file(PEM_CHAIN)
            .help("An issuer's certificate, PEM."),
        Route::read("issuer/{issuer_ref}/crl", handler!(public::issuer_crl_json))
            .public()
            .help("An issuer's revocation list, JSON."),
        Route::read("issuer/{issuer_ref}/crl/der", handler!(public::issuer_crl, FileForm::Der))
            .file(PKIX_CRL)
            .help("An issuer's revocation list, DER."),
        Route::read("issuer/{issuer_ref}/crl/pem", handler!(public::issuer_crl, FileForm::Pem))
            .file(PEM_FILE)
            .help("An issuer's revocation list, PEM."),
    ];
}

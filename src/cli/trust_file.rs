//! `ca.pem`: the certificate that clients of a development server with TLS must trust.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::failure::CommandFailure;
use crate::ca::certificate::CertificateFields;
use crate::entropy::Entropy;

/// The common name of the CAs that development servers make.
const OURS: &str = "Signet development CA";

/// Refuses a folder whose `ca.pem` no development server wrote.
pub(super) fn check(folder: &Path) -> Result<(), CommandFailure> {
    let file = folder.join("ca.pem");
    let is_ours = match fs::read(&file) {
        Ok(text) => CertificateDer::from_pem_slice(&text).is_ok_and(|found| is_development(&found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(_) => false,
    };
    if is_ours {
        return Ok(());
    }
    Err(CommandFailure::local(format!(
        "{} is not the certificate of a development server and would be lost: move it away, or name another folder with -dev-tls-cert-dir",
        file.display()
    )))
}

fn is_development(certificate: &CertificateDer<'_>) -> bool {
    CertificateFields::read(certificate).is_ok_and(|fields| fields.has_subject(OURS))
}

/// Writes the file; without a folder into a new one, so that no other user can have prepared it.
pub(super) fn write(folder: Option<&Path>, pem: &str) -> Result<PathBuf, CommandFailure> {
    let made = match folder {
        Some(folder) => fs::create_dir_all(folder).map(|()| folder.to_owned()),
        None => {
            let name = format!("signet-dev-tls-{}", Entropy::System.uuid());
            let folder = std::env::temp_dir().join(name);
            fs::DirBuilder::new().mode(0o700).create(&folder).map(|()| folder)
        }
    };
    let failed = |what: &Path, error: io::Error| {
        CommandFailure::local(format!("cannot write {}: {error}", what.display()))
    };
    let folder = made.map_err(|error| failed(folder.unwrap_or(Path::new("a folder")), error))?;
    check(&folder)?;
    let (file, fresh) =
        (folder.join("ca.pem"), folder.join(format!(".ca.pem-{}", Entropy::System.uuid())));
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&fresh)
        .and_then(|mut new| new.write_all(pem.as_bytes()))
        .and_then(|()| fs::rename(&fresh, &file))
        .map_err(|error| {
            let _ = fs::remove_file(&fresh);
            failed(&file, error)
        })?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_certificate_of_a_development_server_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, OURS);
        let made = params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        let made = der::pem::encode_string("CERTIFICATE", der::pem::LineEnding::LF, made.der());
        let made = made.unwrap();
        let file = write(Some(folder.path()), &made).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), made);
        write(Some(folder.path()), &made).unwrap();
        for theirs in ["mine", ""] {
            fs::write(&file, theirs).unwrap();
            let refusal = check(folder.path()).unwrap_err();
            assert!(refusal.text.contains("-dev-tls-cert-dir"), "{}", refusal.text);
            assert!(write(Some(folder.path()), &made).is_err());
            assert_eq!(fs::read_to_string(&file).unwrap(), theirs);
        }
    }
}

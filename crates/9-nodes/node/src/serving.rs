//! The certificate that the kubelet serves with.
//!
//! Where nobody gives it one, the kubelet makes its own, signed by nobody that others know: two RSA keys, which take it
//! seconds on an emulated machine, before it does anything else. The agent does the same with an elliptic curve in next
//! to no time, and with the node's addresses in it. It is made anew at every start of the kubelet: the API server does not
//! check it, and who wants it checked has `serverTLSBootstrap`.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use miette::Diagnostic;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::elliptic_curve::Generate;
use p256::pkcs8::{EncodePrivateKey, LineEnding};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::Ia5String;
use x509_cert::der::oid::db::rfc5280::ID_KP_SERVER_AUTH;
use x509_cert::der::{DateTime, EncodePem};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

use crate::apply::{self, ApplyError};
use crate::paths;
use crate::plan::PlannedFile;

/// A certificate could not be made.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ServingError {
    /// No random numbers.
    #[error("the kernel gave no random numbers for a key")]
    #[diagnostic(help("give the machine a source of them, such as virtio-rng"))]
    Random,
    /// The certificate could not be put together.
    #[error("cannot make the kubelet's serving certificate: {0}")]
    #[diagnostic(help("this is a mistake in basalt-node: please report it with the node's name"))]
    Certificate(String),
    /// A file could not be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] ApplyError),
}

/// Makes a key and a certificate for a node, and writes them where the kubelet's configuration names them.
pub fn write(root: &Path, hostname: &str, addresses: &[IpAddr]) -> Result<(), ServingError> {
    let (certificate, key) = make(hostname, addresses)?;
    let file = |path: &str, mode, content| PlannedFile {
        path: path.to_owned(),
        mode,
        content,
    };
    apply::write(root, &file(paths::SERVING_KEY, 0o600, key))?;
    apply::write(root, &file(paths::SERVING_CERTIFICATE, 0o644, certificate))?;
    Ok(())
}

/// A certificate and its key, both in PEM.
fn make(hostname: &str, addresses: &[IpAddr]) -> Result<(String, String), ServingError> {
    let key = SigningKey::try_generate().map_err(|_| ServingError::Random)?;
    let serial = <[u8; 16]>::try_generate().map_err(|_| ServingError::Random)?;
    let made = || -> Result<_, x509_cert::builder::Error> {
        // The clock of a machine that has just started may be anywhere: from long ago, without an end.
        let start = Time::from(DateTime::new(2025, 1, 1, 0, 0, 0)?);
        let validity = Validity::new(start, Time::INFINITY);
        let public = SubjectPublicKeyInfo::from_key(key.verifying_key())?;
        let profile = SelfSigned(Name::from_str(&format!("CN={hostname}"))?);
        // A serial number is positive.
        let serial = SerialNumber::new(&[&[1], &serial[..]].concat())?;
        let mut builder = CertificateBuilder::new(profile, serial, validity, public)?;
        let mut names = vec![GeneralName::DnsName(Ia5String::new(hostname)?)];
        names.extend(addresses.iter().copied().map(GeneralName::from));
        builder.add_extension(&SubjectAltName(names))?;
        builder.add_extension(&KeyUsage(KeyUsages::DigitalSignature.into()))?;
        builder.add_extension(&ExtendedKeyUsage(vec![ID_KP_SERVER_AUTH]))?;
        let certificate = builder.build::<_, DerSignature>(&key)?;
        Ok(certificate.to_pem(LineEnding::LF)?)
    };
    let certificate = made().map_err(|error| ServingError::Certificate(error.to_string()))?;
    let key = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| ServingError::Certificate(error.to_string()))?;
    Ok((certificate, key.to_string()))
}

/// A certificate that vouches for itself only.
struct SelfSigned(Name);

impl BuilderProfile for SelfSigned {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> Result<Vec<Extension>, x509_cert::builder::Error> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use x509_cert::Certificate;
    use x509_cert::der::DecodePem;

    use super::*;
    use crate::apply::below;

    #[test]
    fn a_pair_is_written() {
        let root = tempfile::tempdir().unwrap();
        let addresses: [IpAddr; 2] = ["10.87.0.11", "fd00::11"].map(|address| address.parse().unwrap());
        write(root.path(), "node-1.example", &addresses).unwrap();
        let pem = fs_err::read(below(root.path(), paths::SERVING_CERTIFICATE)).unwrap();
        let certificate = Certificate::from_pem(pem).unwrap();
        let facts = certificate.tbs_certificate();
        assert_eq!(facts.subject().to_string(), "CN=node-1.example");
        assert_eq!(facts.subject(), facts.issuer());
        let (_, names) = facts.get_extension::<SubjectAltName>().unwrap().unwrap();
        assert_eq!(names.0.len(), 3, "{names:?}");
        let key = below(root.path(), paths::SERVING_KEY);
        assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            fs_err::read_to_string(key)
                .unwrap()
                .starts_with("-----BEGIN PRIVATE KEY-----")
        );
    }

    #[test]
    fn each_start_has_its_own() {
        assert_ne!(make("a", &[]).unwrap().0, make("a", &[]).unwrap().0);
    }
}

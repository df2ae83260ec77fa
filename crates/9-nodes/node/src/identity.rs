//! Owner of the kubelet's client certificate, and its fate when the NodeConfig has changed.
//!
//! The kubelet goes on with a client certificate until it expires. A machine that was given to another cluster, or has
//! another name, would knock with the old one for ever and never use its bootstrap token. But a bootstrap token lives
//! for a day and a certificate for a year: a certificate that is taken away without need loses the node. So the
//! certificate itself says what it is good for (the node in its subject, the key that signed it), a record beside it
//! only adds what a certificate cannot say, and without that record the certificate stays. What this cannot know, the
//! API server does: a certificate that it refuses is set aside, see [`crate::readiness`].

use std::collections::BTreeSet;
use std::fmt;

use basalt_digest::Digest;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use x509_cert::der::{DecodePem as _, Encode as _};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
use x509_cert::{Certificate, SubjectPublicKeyInfo};

/// Prefix of a kubelet's user name, the common name of its client certificate.
const NODE_USER: &str = "system:node:";

/// A signing key as certificates name it: distinguished name and key identifier (RFC 5280, 4.2.1.1 and 4.2.1.2).
///
/// The name alone does not do: every cluster of kubeadm has a `CN=kubernetes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    name: String,
    key: Option<Vec<u8>>,
}

impl Signer {
    fn is(&self, authority: &Self) -> bool {
        let same_key = match (&self.key, &authority.key) {
            (Some(key), Some(other)) => key == other,
            _ => true,
        };
        self.name == authority.name && same_key
    }
}

/// Facts of a kubelet's client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    /// Name of the node that it is for; none when the subject names no node.
    pub node: Option<String>,
    /// Key that signed it.
    pub signer: Signer,
}

impl NodeCertificate {
    /// Reads the first certificate of a PEM file, which may have a private key, too.
    pub fn read(pem: &str) -> Option<Self> {
        let certificate = certificates(pem).into_iter().next()?;
        let facts = certificate.tbs_certificate();
        let subject = facts.subject().to_string();
        let mut names = subject.split([',', '+']).filter_map(|part| part.strip_prefix("CN="));
        let node = names.find_map(|name| name.strip_prefix(NODE_USER)).map(str::to_owned);
        let key = facts.get_extension::<AuthorityKeyIdentifier>().ok().flatten();
        let key = key.and_then(|(_, identifier)| Some(identifier.key_identifier?.as_bytes().to_vec()));
        let name = facts.issuer().to_string();
        Some(Self {
            node,
            signer: Signer { name, key },
        })
    }
}

/// A certificate authority of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAuthority {
    /// SHA-256 digest of its certificate in DER, in hexadecimal.
    digest: String,
    signer: Signer,
}

impl ClusterAuthority {
    /// Reads all certificates of a PEM file.
    pub fn read_all(pem: &str) -> Vec<Self> {
        let authority = |certificate: &Certificate| {
            let facts = certificate.tbs_certificate();
            let key = facts.get_extension::<SubjectKeyIdentifier>().ok().flatten();
            Some(Self {
                digest: Digest::of(certificate.to_der().ok()?).to_hex(),
                signer: Signer {
                    name: facts.subject().to_string(),
                    key: key.map(|(_, identifier)| identifier.0.as_bytes().to_vec()),
                },
            })
        };
        certificates(pem).iter().filter_map(authority).collect()
    }
}

/// Returns `true` if a PEM file has both a certificate and a private key.
pub fn is_whole(pem: &str) -> bool {
    !certificates(pem).is_empty() && PrivateKeyDer::from_pem_slice(pem.as_bytes()).is_ok()
}

/// Returns `true` if the first certificate of a PEM file is for this public key.
pub fn is_for(pem: &str, key: &SubjectPublicKeyInfo) -> bool {
    let certificate = certificates(pem).into_iter().next();
    certificate.is_some_and(|certificate| certificate.tbs_certificate().subject_public_key_info() == key)
}

/// The certificates of a PEM file; other blocks and what cannot be read are passed over.
fn certificates(pem: &str) -> Vec<Certificate> {
    const END: &str = "-----END CERTIFICATE-----";
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let bodies = blocks.filter_map(|block| Some(block.split_once(END)?.0));
    let whole = bodies.map(|body| format!("-----BEGIN CERTIFICATE-----{body}{END}\n"));
    whole.filter_map(|block| Certificate::from_pem(block).ok()).collect()
}

/// Membership of a cluster, recorded beside the kubelet's certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Membership {
    /// Name of the node.
    pub hostname: String,
    /// URL of the API server.
    pub endpoint: String,
    /// SHA-256 digests of the certificates of the cluster's authorities.
    pub authorities: BTreeSet<String>,
}

impl Membership {
    /// Membership that a NodeConfig asks for.
    pub fn new(hostname: &str, endpoint: &str, authorities: &[ClusterAuthority]) -> Self {
        Self {
            hostname: hostname.to_owned(),
            endpoint: endpoint.to_owned(),
            authorities: authorities.iter().map(|one| one.digest.clone()).collect(),
        }
    }

    /// Returns `true` if both have one authority in common, as each step of a rotation has it, or one endpoint.
    fn is_same_cluster(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint || !self.authorities.is_disjoint(&other.authorities)
    }
}

/// Reason to set a certificate aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// Torn file: the kubelet does not sync it to the disk, and refuses to start with what a power cut leaves.
    Torn,
    /// Certificate for a node of another name, or for none.
    OtherNode(Option<String>),
    /// Signed by none of the cluster's authorities, while the machine was in a cluster that shares none with it.
    OtherCluster(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("the certificate's file was cut short, by a power cut perhaps"),
            Self::OtherNode(Some(name)) => write!(f, "the certificate is that of node {name}"),
            Self::OtherNode(None) => f.write_str("the certificate is that of no node"),
            Self::OtherCluster(endpoint) => write!(f, "the certificate is of the cluster at {endpoint}"),
        }
    }
}

/// Reason against using a client certificate in a cluster; none when it is, or may be, that node's there.
pub fn misfit(
    certificate: &NodeCertificate,
    wanted: &Membership,
    authorities: &[ClusterAuthority],
    recorded: Option<&Membership>,
) -> Option<Misfit> {
    if certificate.node.as_ref() != Some(&wanted.hostname) {
        return Some(Misfit::OtherNode(certificate.node.clone()));
    }
    if authorities
        .iter()
        .any(|authority| certificate.signer.is(&authority.signer))
    {
        return None;
    }
    // Many clusters sign clients with another key than servers: the certificate shows no more.
    let recorded = recorded?;
    (!recorded.is_same_cluster(wanted)).then(|| Misfit::OtherCluster(recorded.endpoint.clone()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

    use super::*;

    /// An authority with a key of this number.
    fn authority(number: u8) -> ClusterAuthority {
        ClusterAuthority {
            digest: format!("{number:064x}"),
            signer: signer(number),
        }
    }

    fn signer(number: u8) -> Signer {
        Signer {
            name: "CN=kubernetes".to_owned(),
            key: Some(vec![number]),
        }
    }

    fn certificate(node: &str, number: u8) -> NodeCertificate {
        NodeCertificate {
            node: Some(node.to_owned()),
            signer: signer(number),
        }
    }

    fn authorities(numbers: &[u8]) -> Vec<ClusterAuthority> {
        numbers.iter().map(|number| authority(*number)).collect()
    }

    fn membership(node: &str, endpoint: &str, numbers: &[u8]) -> Membership {
        Membership::new(node, endpoint, &authorities(numbers))
    }

    #[test]
    fn table() {
        let other_cluster = || Some(Misfit::OtherCluster("e".to_owned()));
        let other_node = || Some(Misfit::OtherNode(Some("n".to_owned())));
        // Certificate of node `n` signed by 1, which joined `e` with authority 1: what is asked for now.
        let cases: [(&str, &str, &[u8], Option<Misfit>); 8] = [
            ("n", "e", &[1], None),
            ("n", "e", &[1, 2], None),
            ("n", "e", &[2], None),
            ("n", "f", &[1], None),
            ("n", "f", &[2, 1], None),
            ("n", "f", &[2], other_cluster()),
            ("m", "e", &[1], other_node()),
            ("m", "f", &[2], other_node()),
        ];
        let recorded = membership("n", "e", &[1]);
        for (node, endpoint, numbers, expected) in cases {
            let wanted = membership(node, endpoint, numbers);
            let judged = misfit(&certificate("n", 1), &wanted, &authorities(numbers), Some(&recorded));
            assert_eq!(judged, expected, "{node} {endpoint} {numbers:?}");
        }
        // Without the record nothing but the name speaks against a certificate.
        let wanted = membership("n", "f", &[2]);
        assert_eq!(misfit(&certificate("n", 1), &wanted, &authorities(&[2]), None), None);
        let nobody = NodeCertificate {
            node: None,
            signer: signer(1),
        };
        assert_eq!(
            misfit(&nobody, &wanted, &authorities(&[1]), None),
            Some(Misfit::OtherNode(None))
        );
    }

    #[test]
    fn a_separate_authority_of_clients_is_no_other_cluster() {
        let recorded = membership("n", "e", &[1]);
        let wanted = membership("n", "moved", &[1, 2]);
        assert_eq!(
            misfit(&certificate("n", 9), &wanted, &authorities(&[1, 2]), Some(&recorded)),
            None
        );
    }

    proptest! {
        /// Old authority, both, new one: whatever signed the certificate, however often each step was seen, and
        /// whenever the record was lost, the certificate stays. The endpoint changes at every step.
        #[test]
        fn a_rotation_loses_no_node(
            steps in proptest::collection::vec((0usize..3, any::<bool>()), 1..12),
            signed_by in 1u8..4,
        ) {
            const STEPS: [&[u8]; 3] = [&[1], &[1, 2], &[2]];
            let mut recorded: Option<Membership> = None;
            let mut at = 0;
            for (index, (step, lost)) in steps.into_iter().enumerate() {
                // A rotation goes on by one step at a time.
                at = step.clamp(at, at + 1);
                let numbers = STEPS[at];
                let wanted = membership("n", &format!("e{index}"), numbers);
                if lost {
                    recorded = None;
                }
                let judged = misfit(&certificate("n", signed_by), &wanted, &authorities(numbers), recorded.as_ref());
                prop_assert_eq!(judged, None);
                recorded = Some(wanted);
            }
        }

        #[test]
        fn nothing_panics(text in ".{0,400}") {
            let _ = NodeCertificate::read(&text);
            let _ = NodeCertificate::read(&format!("-----BEGIN CERTIFICATE-----{text}-----END CERTIFICATE-----"));
            let _ = ClusterAuthority::read_all(&text);
        }
    }

    #[test]
    fn what_certificates_say_is_read() {
        let issuer = |name: &str| {
            let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
            parameters.distinguished_name = rcgen::DistinguishedName::new();
            parameters.distinguished_name.push(DnType::CommonName, name);
            parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
        };
        let (one, other) = (issuer("kubernetes"), issuer("kubernetes"));
        let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters
            .distinguished_name
            .push(DnType::OrganizationName, "system:nodes");
        parameters
            .distinguished_name
            .push(DnType::CommonName, "system:node:worker-1");
        parameters.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().unwrap();
        let leaf = parameters.signed_by(&key, &one).unwrap();
        // The kubelet keeps both in one file, the key last.
        let file = leaf.pem() + &key.serialize_pem();
        assert!(is_whole(&file));
        // Cut off at the end of the certificate, in it, and at once.
        for length in [leaf.pem().len(), 100, 0] {
            assert!(!is_whole(file.get(..length).unwrap()), "{length}");
        }
        let certificate = NodeCertificate::read(&file).unwrap();
        assert_eq!(certificate.node.as_deref(), Some("worker-1"));

        let bundle = ClusterAuthority::read_all(&(other.pem() + &one.pem()));
        assert_eq!(bundle.len(), 2);
        assert_eq!(bundle[0].signer.name, bundle[1].signer.name);
        assert!(!certificate.signer.is(&bundle[0].signer));
        assert!(certificate.signer.is(&bundle[1].signer));
    }
}

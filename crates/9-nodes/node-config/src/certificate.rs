//! Certificate authorities in PEM.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use x509_cert::Certificate as X509;
use x509_cert::der::{Decode, DecodePem};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::time::Time;

use basalt_document::Finding;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const SOON: Duration = Duration::from_secs(30 * 24 * 3600);

/// One or more certificates of authorities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    pem: String,
    certificates: Vec<Authority>,
}

/// Facts of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Subject: `CN=kubernetes`.
    pub subject: String,
    /// Begin of its validity.
    pub not_before: SystemTime,
    /// End of its validity.
    pub not_after: SystemTime,
    /// Both, as people write them.
    from: String,
    until: String,
}

impl Authorities {
    /// The certificates in PEM, without whatever stood around them.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Each certificate.
    pub fn iter(&self) -> impl Iterator<Item = &Authority> {
        self.certificates.iter()
    }

    /// Findings on these certificates at a time: errors by the clock, and warnings of what comes soon.
    ///
    /// While a new authority takes over, an old one may be expired; only when none is valid, nothing can be trusted.
    pub(super) fn at(&self, now: SystemTime) -> Option<Finding> {
        let renew = "get the present certificate of the cluster: \
                     `kubectl config view --raw --minify -o jsonpath='{.clusters[0].cluster.certificate-authority-data}' | base64 -d`";
        let [first, ..] = &self.certificates[..] else {
            return None;
        };
        let valid = |authority: &&Authority| authority.not_before <= now && now <= authority.not_after;
        let Some(last) = self
            .certificates
            .iter()
            .filter(valid)
            .max_by_key(|authority| authority.not_after)
        else {
            let Authority {
                subject, from, until, ..
            } = first;
            return Some(if now < first.not_before {
                let help = format!("check the clock of this machine, or {renew}");
                Finding::error(
                    format!("the certificate of {subject} is not valid before {from}"),
                    "not yet valid",
                )
                .with_help(help)
            } else {
                Finding::error(format!("the certificate of {subject} expired on {until}"), "expired").with_help(renew)
            });
        };
        (last.not_after < now + SOON).then(|| {
            let Authority { subject, until, .. } = last;
            Finding::warning(
                format!("the certificate of {subject} expires soon, on {until}"),
                "expires soon",
            )
            .with_help(renew)
        })
    }
}

/// A certificate that the node shows, and its key, both in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its authority.
    pub certificate: String,
    /// The private key.
    key: String,
}

impl ClientCertificate {
    /// A pair of which the certificate can be read, and the key is one.
    pub(super) fn new(certificate: &str, key: &str) -> Result<Self, ClientFault> {
        match X509::load_pem_chain(certificate.as_bytes()) {
            Ok(chain) if !chain.is_empty() => {}
            _ => return Err(ClientFault::Certificate),
        }
        let begins = key.trim_start().starts_with(BEGIN) && key.contains("PRIVATE KEY-----");
        if !begins || key.contains("ENCRYPTED") || !key.trim_end().ends_with("PRIVATE KEY-----") {
            return Err(ClientFault::Key);
        }
        let line = |text: &str| format!("{}\n", text.trim());
        Ok(Self {
            certificate: line(certificate),
            key: line(key),
        })
    }

    /// The key in PEM.
    pub fn reveal_key(&self) -> &str {
        &self.key
    }
}

/// Never shows the key.
impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").finish_non_exhaustive()
    }
}

/// The half of a client certificate that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientFault {
    Certificate,
    Key,
}

impl FromStr for Authorities {
    type Err = Finding;

    fn from_str(text: &str) -> Result<Self, Finding> {
        let mut found = Self {
            pem: String::new(),
            certificates: Vec::new(),
        };
        let mut rest = text;
        while let Some((_, begun)) = rest.split_once(BEGIN) {
            let (block, after) = block(begun, found.certificates.len() + 1)?;
            found
                .certificates
                .push(authority(&block, found.certificates.len() + 1)?);
            found.pem.push_str(&block);
            rest = after;
        }
        if found.certificates.is_empty() {
            let help = "paste the whole PEM block below `|`, indented, from `-----BEGIN CERTIFICATE-----` on";
            let message = match text.trim_start().starts_with("LS0t") {
                true => "this is PEM inside base64, as a kubeconfig has it",
                false => "there is no certificate in PEM here",
            };
            return Err(Finding::error(message, "no certificate").with_help(help));
        }
        Ok(found)
    }
}

/// A PEM block in its plainest form, from after its `-----BEGIN `, and what follows it.
fn block(text: &str, number: usize) -> Result<(String, &str), Finding> {
    let cut = || {
        let finding = Finding::error(
            format!("the PEM block of certificate {number} is cut short"),
            "not a certificate",
        );
        finding.with_help("paste it whole, down to `-----END CERTIFICATE-----`")
    };
    let (kind, body) = text.split_once(DASHES).ok_or_else(cut)?;
    if kind.contains("PRIVATE KEY") {
        let finding = Finding::error("this is a private key, not a certificate", "a private key");
        return Err(finding.with_help("remove it: no node may have the key of the authority. Give its certificate"));
    }
    if kind != "CERTIFICATE" {
        let finding = Finding::error(
            format!("this is PEM of a {}, not of a certificate", kind.to_lowercase()),
            "not a certificate",
        );
        return Err(finding.with_help("give the certificate of the authority: `-----BEGIN CERTIFICATE-----`"));
    }
    let (body, after) = body.split_once("-----END CERTIFICATE-----").ok_or_else(cut)?;
    let letters: Vec<char> = body.chars().filter(|c| !c.is_whitespace()).collect();
    let mut plain = format!("{BEGIN}CERTIFICATE{DASHES}\n");
    for line in letters.chunks(64) {
        plain.extend(line);
        plain.push('\n');
    }
    plain.push_str("-----END CERTIFICATE-----\n");
    Ok((plain, after))
}

fn authority(pem: &str, number: usize) -> Result<Authority, Finding> {
    let x509 = X509::from_pem(pem).map_err(|error| {
        let finding = Finding::error(
            format!("certificate {number} cannot be read: {error}"),
            "not a certificate",
        );
        finding.with_help("copy it again: something is missing or was changed")
    })?;
    let subject = x509.tbs_certificate().subject().to_string();
    let subject = if subject.is_empty() {
        format!("certificate {number}")
    } else {
        format!("`{subject}`")
    };
    let mut extensions = x509.tbs_certificate().extensions().into_iter().flatten();
    let constraints =
        extensions.find(|extension| extension.extn_id == <BasicConstraints as x509_cert::der::oid::AssociatedOid>::OID);
    let may_sign = constraints
        .and_then(|extension| BasicConstraints::from_der(extension.extn_value.as_bytes()).ok())
        .is_some_and(|constraints| constraints.ca);
    if !may_sign {
        let message = format!("the certificate of {subject} is not that of an authority");
        let finding = Finding::error(message, "cannot vouch for others");
        let help = "give the certificate that signed it, the one with `CA:TRUE`: /etc/kubernetes/pki/ca.crt of a kubeadm cluster";
        return Err(finding.with_help(help));
    }
    let validity = x509.tbs_certificate().validity();
    let time = |time: Time| SystemTime::UNIX_EPOCH + time.to_unix_duration();
    Ok(Authority {
        subject,
        not_before: time(validity.not_before),
        not_after: time(validity.not_after),
        from: date(validity.not_before),
        until: date(validity.not_after),
    })
}

fn date(time: Time) -> String {
    let date = time.to_date_time();
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02} UTC",
        date.year(),
        date.month(),
        date.day(),
        date.hour(),
        date.minutes()
    )
}

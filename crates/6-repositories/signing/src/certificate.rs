//! The public half of keys.

use std::cmp::Reverse;
use std::fmt;

use pgp::composed::{ArmorOptions, PublicOrSecret, SignedPublicKey};
use pgp::packet::{PublicKey, PublicSubkey, Signature, SignatureType};
use pgp::ser::Serialize as _;
use pgp::types::{KeyDetails as _, KeyVersion, PublicParams, Tag};

use crate::{KeyError, Timestamp};

/// Number of days before the end of a key from which on it is reported as ending soon.
pub(crate) const WARNING_DAYS: u32 = 30;
/// The shortest RSA keys that still count, in bits.
const RSA_BITS: usize = 2048;

/// The public half of a key, with what its owner says about it.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    inner: SignedPublicKey,
    fingerprint: String,
    user: String,
    expires: Option<Timestamp>,
    revoked: bool,
}

/// Validity of a key at a given time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// The key is valid.
    Valid,
    /// The key is valid and expires in less than thirty days.
    EndsSoon {
        /// Number of whole days left.
        days: u32,
    },
    /// The key has expired.
    Expired,
    /// The creation time of the key is in the future: a clock is wrong.
    FromTheFuture,
    /// The key has been revoked by its owner.
    Revoked,
}

/// A key of a certificate that may sign.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Signer<'c> {
    Primary(&'c PublicKey),
    Sub(&'c PublicSubkey),
}

impl Certificate {
    /// Reads certificates, as text in armor (any number of blocks) or in binary form. Of secret keys, the public half is
    /// taken.
    ///
    /// # Errors
    /// When there is none, or one of them is damaged or not bound together by its owner's signatures.
    pub fn parse(bytes: &[u8], what: &str) -> Result<Vec<Self>, KeyError> {
        let mut found = Vec::new();
        for key in read(bytes, what)? {
            found.push(Self::of(match key {
                PublicOrSecret::Public(key) => key,
                PublicOrSecret::Secret(key) => key.to_public_key(),
            })?);
        }
        if found.is_empty() {
            return Err(malformed(what, "it holds no key"));
        }
        Ok(found)
    }

    pub(crate) fn of(inner: SignedPublicKey) -> Result<Self, KeyError> {
        let fingerprint = inner.primary_key.fingerprint().to_string().to_uppercase();
        let primary = &inner.primary_key;
        if primary.version() != KeyVersion::V4 {
            return Err(KeyError::Unsuitable {
                key: fingerprint,
                why: format!("it is of version {}", u8::from(primary.version())),
            });
        }
        // What the owner says of the whole key: in a signature over it, or over one of its names. The newest counts.
        let mut statements: Vec<(&Signature, Option<&str>)> = Vec::new();
        for signature in &inner.details.direct_signatures {
            if signature.typ() == Some(SignatureType::Key) && signature.verify_key(primary).is_ok() {
                statements.push((signature, None));
            }
        }
        for user in &inner.details.users {
            for signature in user.signatures.iter().filter(|signature| is_statement(signature)) {
                if signature.verify_certification(primary, Tag::UserId, &user.id).is_ok() {
                    statements.push((signature, user.id.as_str()));
                }
            }
        }
        statements.sort_by_key(|(signature, _)| Reverse(signature.created()));
        let Some((newest, _)) = statements.first() else {
            return Err(malformed(
                &fingerprint,
                "nothing in it is signed by its owner, so it may be anybody's",
            ));
        };
        let named = statements
            .iter()
            .filter_map(|(signature, user)| Some((signature, (*user)?)));
        let user = named
            .clone()
            .find(|(signature, _)| signature.is_primary())
            .or_else(|| named.clone().next())
            .map_or_else(String::new, |(_, user)| user.to_owned());
        let lifetime = newest.key_expiration_time();
        let made = Timestamp::from(primary.created_at());
        let expires = lifetime
            .map(|lifetime| lifetime.as_secs())
            .filter(|seconds| *seconds > 0)
            .map(|seconds| made.plus_secs(seconds));
        let revoked = inner.details.revocation_signatures.iter().any(|signature| {
            signature.typ() == Some(SignatureType::KeyRevocation) && signature.verify_key(primary).is_ok()
        });
        Ok(Self {
            fingerprint,
            user,
            expires,
            revoked,
            inner,
        })
    }

    /// Returns the fingerprint: forty hexadecimal digits in upper case.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Returns the key id, as [`key_id`] does.
    pub fn key_id(&self) -> &str {
        key_id(&self.fingerprint)
    }

    /// Returns the primary user id, such as `Name <address>`; empty if the key has none.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Returns the creation time.
    pub fn made(&self) -> Timestamp {
        self.inner.primary_key.created_at().into()
    }

    /// Returns the expiration time, if there is one.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// Returns the algorithm of the key that signs: `Ed25519`, `RSA 4096`.
    pub fn algorithm(&self) -> String {
        let params = match self.signers().next() {
            Some(Signer::Sub(key)) => key.public_params(),
            _ => self.inner.primary_key.public_params(),
        };
        algorithm(params)
    }

    /// Returns the validity of the key at a given time.
    pub fn validity(&self, now: Timestamp) -> Validity {
        if self.revoked {
            return Validity::Revoked;
        }
        if self.made() > now {
            return Validity::FromTheFuture;
        }
        match self.expires {
            Some(end) if end <= now => Validity::Expired,
            Some(end) if now.days_until(end) < WARNING_DAYS => Validity::EndsSoon {
                days: now.days_until(end),
            },
            _ => Validity::Valid,
        }
    }

    /// Checks that the key is valid.
    ///
    /// # Errors
    /// When it has expired, is revoked, or was created in the future.
    pub fn ensure_valid(&self, now: Timestamp) -> Result<(), KeyError> {
        let key = self.fingerprint.clone();
        match self.validity(now) {
            Validity::Valid | Validity::EndsSoon { .. } => Ok(()),
            Validity::Expired => Err(KeyError::Expired {
                key,
                end: self.expires.unwrap_or(now),
            }),
            Validity::FromTheFuture => Err(KeyError::FromTheFuture { key, made: self.made() }),
            Validity::Revoked => Err(KeyError::Revoked { key }),
        }
    }

    /// Encodes the certificate in ASCII armor, which `rpmkeys --import` and `gpgkey=` of dnf read.
    ///
    /// # Errors
    /// When the library cannot write it.
    pub fn armored(&self) -> Result<String, KeyError> {
        self.inner
            .to_armored_string(ArmorOptions::default())
            .map_err(KeyError::openpgp("writing a public key"))
    }

    pub(crate) fn is_revoked(&self) -> bool {
        self.revoked
    }

    /// The keys of it that may sign: subkeys that are for signing, and the primary key.
    pub(crate) fn signers(&self) -> impl Iterator<Item = Signer<'_>> {
        let primary = &self.inner.primary_key;
        let subkeys = self.inner.public_subkeys.iter().filter(|subkey| {
            subkey.signatures.iter().any(|signature| {
                signature.typ() == Some(SignatureType::SubkeyBinding)
                    && signature.key_flags().sign()
                    && signature.verify_subkey_binding(primary, &subkey.key).is_ok()
                    // A subkey for signing agrees to belong to the primary key.
                    && signature
                        .embedded_signature()
                        .is_some_and(|back| back.verify_primary_key_binding(&subkey.key, primary).is_ok())
            }) && !subkey.signatures.iter().any(|signature| {
                signature.typ() == Some(SignatureType::SubkeyRevocation)
                    && signature.verify_subkey_binding(primary, &subkey.key).is_ok()
            })
        });
        subkeys
            .map(|subkey| Signer::Sub(&subkey.key))
            .chain(std::iter::once(Signer::Primary(primary)))
            .filter(|signer| is_suitable(signer.params()))
    }

    /// Returns the expiration time of a subkey by its newest binding signature, if it has one.
    pub(crate) fn subkey_end(&self, key: &PublicSubkey) -> Option<Timestamp> {
        let subkey = self.inner.public_subkeys.iter().find(|subkey| subkey.key == *key)?;
        let newest = subkey
            .signatures
            .iter()
            .filter(|signature| signature.typ() == Some(SignatureType::SubkeyBinding))
            .max_by_key(|signature| signature.created())?;
        let seconds = newest.key_expiration_time()?.as_secs();
        (seconds > 0).then(|| Timestamp::from(key.created_at()).plus_secs(seconds))
    }
}

impl Signer<'_> {
    pub(crate) fn params(&self) -> &PublicParams {
        match self {
            Self::Primary(key) => key.public_params(),
            Self::Sub(key) => key.public_params(),
        }
    }

    pub(crate) fn fingerprint(&self) -> String {
        let fingerprint = match self {
            Self::Primary(key) => key.fingerprint(),
            Self::Sub(key) => key.fingerprint(),
        };
        fingerprint.to_string().to_uppercase()
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {:?})", self.fingerprint, self.user)
    }
}

fn is_statement(signature: &Signature) -> bool {
    matches!(
        signature.typ(),
        Some(
            SignatureType::CertGeneric
                | SignatureType::CertPersona
                | SignatureType::CertCasual
                | SignatureType::CertPositive
        )
    )
}

/// Returns `true` if rpm verifies signatures of such a key: RSA from 2048 bits, ECDSA, EdDSA (legacy).
pub(crate) fn is_suitable(params: &PublicParams) -> bool {
    match params {
        PublicParams::RSA(_) => bits(params).is_some_and(|bits| bits >= RSA_BITS),
        PublicParams::EdDSALegacy(_) | PublicParams::ECDSA(_) => true,
        _ => false,
    }
}

fn bits(params: &PublicParams) -> Option<usize> {
    /// Bytes of an RSA key packet beside the modulus: two lengths of two bytes, and an exponent of three bytes.
    const OTHER_BYTES: usize = 2 + 2 + 3;
    match params {
        PublicParams::RSA(_) => Some(params.write_len().saturating_sub(OTHER_BYTES) * 8),
        _ => None,
    }
}

fn algorithm(params: &PublicParams) -> String {
    match params {
        PublicParams::RSA(_) => format!("RSA {}", bits(params).unwrap_or_default()),
        PublicParams::EdDSALegacy(_) | PublicParams::Ed25519(_) => "Ed25519".to_owned(),
        PublicParams::ECDSA(_) => "ECDSA".to_owned(),
        PublicParams::DSA(_) => "DSA".to_owned(),
        PublicParams::Ed448(_) => "Ed448".to_owned(),
        _ => "unknown".to_owned(),
    }
}

/// Returns the key id of a fingerprint: its last sixteen digits. rpm and dnf show it in lower case.
pub fn key_id(fingerprint: &str) -> &str {
    let start = fingerprint.len().saturating_sub(16);
    fingerprint.get(start..).unwrap_or(fingerprint)
}

/// Reads all keys of a file: one or several blocks in ASCII armor, or binary packets.
pub(crate) fn read(bytes: &[u8], what: &str) -> Result<Vec<PublicOrSecret>, KeyError> {
    let mut keys = Vec::new();
    let wrong = |error: pgp::errors::Error| malformed(what, &error.to_string());
    if bytes.first().is_some_and(|byte| byte & 0x80 != 0) {
        for key in PublicOrSecret::from_bytes_many(bytes).map_err(wrong)? {
            keys.push(key.map_err(wrong)?);
        }
        return Ok(keys);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(what, "it is neither text nor binary OpenPGP"))?;
    let begins: Vec<usize> = text.match_indices(BEGIN).map(|(place, _)| place).collect();
    if begins.is_empty() {
        return Err(malformed(what, "it has no line `-----BEGIN PGP ... KEY BLOCK-----`"));
    }
    let ends = begins.iter().skip(1).copied().chain([text.len()]);
    for (begin, end) in begins.iter().zip(ends) {
        let block = bytes.get(*begin..end).unwrap_or_default();
        let (found, _) = PublicOrSecret::from_armor_many_buf(block).map_err(wrong)?;
        for key in found {
            keys.push(key.map_err(wrong)?);
        }
    }
    Ok(keys)
}

const BEGIN: &str = "-----BEGIN PGP ";

pub(crate) fn malformed(what: &str, why: &str) -> KeyError {
    KeyError::Malformed {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

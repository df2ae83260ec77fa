//! The secret half of keys, and signing.

use std::fmt;

use pgp::composed::{ArmorOptions, DetachedSignature, KeyType, PublicOrSecret, SignedKeyDetails, SignedSecretKey};
use pgp::packet::{
    KeyFlags, PubKeyInner, PublicKey, SecretKey, SignatureConfig, SignatureType, Subpacket, SubpacketData, UserId,
};
use pgp::ser::Serialize as _;
use pgp::types::{Duration, KeyDetails as _, KeyVersion, Password, SignedUser, Tag};
use rand::rngs::OsRng;

use crate::certificate::{is_suitable, malformed, read};
use crate::{Certificate, KeyError, Timestamp};

/// A key that is unlocked and can sign.
pub struct SigningKey {
    certificate: Certificate,
    secret: SignedSecretKey,
    /// Index of the subkey that signs; `None` for the primary key.
    subkey: Option<usize>,
    password: Password,
}

impl SigningKey {
    /// Generates a signing key: version 4, EdDSA with Curve25519, which expires after `days` days. With a passphrase,
    /// it is stored encrypted.
    ///
    /// # Errors
    /// When the OpenPGP library fails.
    pub fn generate(user: &str, now: Timestamp, days: u32, passphrase: Option<&str>) -> Result<Self, KeyError> {
        let password = passphrase.map_or_else(Password::empty, Password::from);
        let make = || -> Result<SignedSecretKey, pgp::errors::Error> {
            let kind = KeyType::Ed25519Legacy;
            let (public, secret) = kind.generate(OsRng)?;
            let public = PubKeyInner::new(KeyVersion::V4, kind.to_alg(), now.into(), None, public)?;
            let mut secret = SecretKey::new(PublicKey::from_inner(public)?, secret)?;
            if passphrase.is_some() {
                secret.set_password(OsRng, &password)?;
            }
            let mut flags = KeyFlags::default();
            flags.set_certify(true);
            flags.set_sign(true);
            let mut config = SignatureConfig::from_key(OsRng, &secret, SignatureType::CertPositive)?;
            config.hashed_subpackets = vec![
                Subpacket::regular(SubpacketData::SignatureCreationTime(now.into()))?,
                Subpacket::regular(SubpacketData::IssuerFingerprint(secret.fingerprint()))?,
                Subpacket::regular(SubpacketData::KeyFlags(flags))?,
                Subpacket::regular(SubpacketData::KeyExpirationTime(Duration::from_secs(
                    now.plus_days(days).as_secs() - now.as_secs(),
                )))?,
                Subpacket::regular(SubpacketData::IsPrimary(true))?,
            ];
            config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(secret.legacy_key_id()))?];
            let user = UserId::from_str(Default::default(), user)?;
            let statement = config.sign_certification(&secret, secret.public_key(), &password, Tag::UserId, &user)?;
            let details = SignedKeyDetails::new(
                Vec::new(),
                Vec::new(),
                vec![SignedUser::new(user, vec![statement])],
                Vec::new(),
            );
            Ok(SignedSecretKey::new(secret, details, Vec::new(), Vec::new()))
        };
        let secret = make().map_err(KeyError::openpgp("making a key"))?;
        Self::unlock(secret, passphrase)
    }

    /// Reads a secret key from a file's content, and unlocks what signs in it.
    ///
    /// # Errors
    /// When it holds none, when nothing in it can sign, and when the passphrase is missing or wrong.
    pub fn parse(bytes: &[u8], what: &str, passphrase: Option<&str>) -> Result<Self, KeyError> {
        Self::unlock(read_secret(bytes, what)?, passphrase)
    }

    fn unlock(secret: SignedSecretKey, passphrase: Option<&str>) -> Result<Self, KeyError> {
        let certificate = Certificate::of(secret.to_public_key())?;
        let key = certificate.fingerprint().to_owned();
        // Where the owner has made a subkey for signing, the primary key is likely to lie in a safe.
        let signers: Vec<String> = certificate.signers().map(|signer| signer.fingerprint()).collect();
        let subkey = secret.secret_subkeys.iter().position(|subkey| {
            let fingerprint = subkey.key.fingerprint().to_string().to_uppercase();
            fingerprint != key && signers.contains(&fingerprint)
        });
        if subkey.is_none() && !is_suitable(secret.primary_key.public_params()) {
            return Err(KeyError::Unsuitable {
                key,
                why: format!("nothing in it is for signing ({})", certificate.algorithm()),
            });
        }
        let password = passphrase.map_or_else(Password::empty, Password::from);
        let (unlocked, locked) = match subkey.and_then(|subkey| secret.secret_subkeys.get(subkey)) {
            Some(subkey) => (
                subkey.key.unlock(&password, |_, _| Ok(())),
                subkey.key.secret_params().is_encrypted(),
            ),
            None => (
                secret.primary_key.unlock(&password, |_, _| Ok(())),
                secret.primary_key.secret_params().is_encrypted(),
            ),
        };
        match (unlocked.and_then(|inner| inner), passphrase) {
            (Ok(()), _) => Ok(Self {
                certificate,
                secret,
                subkey,
                password,
            }),
            (Err(_), None) if locked => Err(KeyError::PassphraseNeeded { key }),
            (Err(_), Some(_)) if locked => Err(KeyError::WrongPassphrase { key }),
            (Err(error), _) => Err(KeyError::openpgp("unlocking a secret key")(error)),
        }
    }

    /// The public half.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The secret key as text in armor, as it is kept.
    pub(crate) fn armored(&self) -> Result<String, KeyError> {
        self.secret
            .to_armored_string(ArmorOptions::default())
            .map_err(KeyError::openpgp("writing a secret key"))
    }

    /// Signs bytes; the signature as a bare packet, for the header of an RPM.
    ///
    /// # Errors
    /// When the key does not count at that time, and when the library fails.
    pub fn sign(&self, data: &[u8], now: Timestamp) -> Result<Vec<u8>, KeyError> {
        self.detached(data, now)?
            .to_bytes()
            .map_err(KeyError::openpgp("writing a signature"))
    }

    /// Signs bytes; the signature as text in armor, for a file of its own.
    ///
    /// # Errors
    /// When the key does not count at that time, and when the library fails.
    pub fn sign_armored(&self, data: &[u8], now: Timestamp) -> Result<String, KeyError> {
        self.detached(data, now)?
            .to_armored_string(ArmorOptions::default())
            .map_err(KeyError::openpgp("writing a signature"))
    }

    fn detached(&self, data: &[u8], now: Timestamp) -> Result<DetachedSignature, KeyError> {
        self.certificate.ensure_valid(now)?;
        let signed = match self.subkey.and_then(|subkey| self.secret.secret_subkeys.get(subkey)) {
            Some(subkey) => self.sign_with(&subkey.key, data, now),
            None => self.sign_with(&self.secret.primary_key, data, now),
        };
        signed.map_err(KeyError::openpgp("signing"))
    }

    fn sign_with(
        &self,
        key: &impl pgp::types::SigningKey,
        data: &[u8],
        now: Timestamp,
    ) -> Result<DetachedSignature, pgp::errors::Error> {
        let mut config = SignatureConfig::from_key(OsRng, key, SignatureType::Binary)?;
        config.hashed_subpackets = vec![
            Subpacket::regular(SubpacketData::SignatureCreationTime(now.into()))?,
            Subpacket::regular(SubpacketData::IssuerFingerprint(key.fingerprint()))?,
        ];
        config.unhashed_subpackets = vec![Subpacket::regular(SubpacketData::IssuerKeyId(key.legacy_key_id()))?];
        Ok(DetachedSignature::new(config.sign(key, &self.password, data)?))
    }
}

/// The one secret key of a file, locked as it may be.
pub(crate) fn read_secret(bytes: &[u8], what: &str) -> Result<SignedSecretKey, KeyError> {
    let mut keys = read(bytes, what)?.into_iter();
    match (keys.next(), keys.next()) {
        (Some(PublicOrSecret::Secret(key)), None) => Ok(key),
        (Some(_), None) => Err(malformed(what, "it holds the public half only")),
        (None, _) => Err(malformed(what, "it holds no key")),
        (Some(_), Some(_)) => Err(malformed(what, "it holds more than one key")),
    }
}

impl fmt::Debug for SigningKey {
    /// Writes the fingerprint only, no secret material.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.certificate.fingerprint())
    }
}

//! Keyring: the keys of a person or of a team, in a folder.
//!
//! ```text
//! <keys>/<fingerprint>.asc          public half
//! <keys>/<fingerprint>.secret.asc   secret half, if it is kept here: mode 0600, encrypted or not as imported
//! <keys>/keyring.json               fingerprint of the key that signs
//! ```
//!
//! The folder is no cache: without it, nothing can be signed as before, and every machine that trusts the old key needs
//! a new one. So it is part of the user's data, not of the store.

use std::os::unix::fs::PermissionsExt as _;

use basalt_store::{FileError, place, write};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::certificate::{malformed, read};
use crate::secret::read_secret;
use crate::{Certificate, KeyError, SigningKey, Timestamp, Validity};

const STATE: &str = "keyring.json";
const SECRET: &str = ".secret.asc";
const PUBLIC: &str = ".asc";

/// Folder of keys.
#[derive(Debug, Clone)]
pub struct Keyring {
    folder: Utf8PathBuf,
}

/// Key of a keyring.
#[derive(Debug, Clone)]
pub struct KeyringEntry {
    /// Public half of the key.
    pub certificate: Certificate,
    /// `true` if the keyring has the secret half.
    pub secret: bool,
    /// `true` if it is the key that signs.
    pub signing: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    signing: Option<String>,
}

impl Keyring {
    /// The user's keyring: `$BASALT_KEYS`, or `basalt/keys` in the user's data folder.
    ///
    /// # Errors
    /// When the environment names no place.
    pub fn default_path() -> Result<Utf8PathBuf, KeyError> {
        place("BASALT_KEYS", ("XDG_DATA_HOME", ".local/share"), "basalt/keys")?.ok_or(KeyError::NoPlace)
    }

    /// The keyring in a folder, which need not be there yet.
    pub fn new(folder: impl Into<Utf8PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Returns the folder of the keyring.
    pub fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    /// Returns all keys, sorted by creation time, the oldest first.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn entries(&self) -> Result<Vec<KeyringEntry>, KeyError> {
        let signing = self.state()?.signing;
        let mut entries = Vec::new();
        if !self.folder.is_dir() {
            return Ok(entries);
        }
        let failed = || FileError::new("cannot list", &self.folder);
        for entry in self.folder.read_dir_utf8().map_err(failed())? {
            let path = entry.map_err(failed())?.into_path();
            let name = path.file_name().unwrap_or_default();
            if !name.ends_with(PUBLIC) || name.ends_with(SECRET) {
                continue;
            }
            let bytes = fs_err::read(&path).map_err(FileError::new("cannot read", &path))?;
            for certificate in Certificate::parse(&bytes, path.as_str())? {
                let fingerprint = certificate.fingerprint();
                entries.push(KeyringEntry {
                    secret: self.secret_path(fingerprint).is_file(),
                    signing: signing.as_deref() == Some(fingerprint),
                    certificate,
                });
            }
        }
        entries.sort_by(|one, other| {
            let place = |entry: &KeyringEntry| (entry.certificate.made(), entry.certificate.fingerprint().to_owned());
            place(one).cmp(&place(other))
        });
        Ok(entries)
    }

    /// The key that signs, if there is one.
    ///
    /// # Errors
    /// When the keyring cannot be read.
    pub fn signing(&self) -> Result<Option<KeyringEntry>, KeyError> {
        Ok(self.entries()?.into_iter().find(|entry| entry.signing))
    }

    /// The key of a fingerprint, or of a part of one: a key id, some digits of it.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, name: &str) -> Result<KeyringEntry, KeyError> {
        let digits = name.trim_start_matches("0x").replace(' ', "").to_uppercase();
        let entries = self.entries()?;
        let mut fitting = entries
            .iter()
            .filter(|entry| !digits.is_empty() && entry.certificate.fingerprint().contains(&digits));
        if let (Some(found), None) = (fitting.next(), fitting.next()) {
            return Ok(found.clone());
        }
        let all: Vec<_> = entries.iter().map(|entry| entry.certificate.fingerprint()).collect();
        Err(KeyError::Unknown {
            name: name.to_owned(),
            folder: self.folder.clone(),
            help: match all.as_slice() {
                [] => "there is none at all: ./basalt repo keys new".to_owned(),
                _ => format!("the fingerprints, of which a part is enough: {}", all.join(", ")),
            },
        })
    }

    /// Makes a key, which signs from now on. Those before it stay trusted until their end.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn make(
        &self,
        user: &str,
        now: Timestamp,
        days: u32,
        passphrase: Option<&str>,
    ) -> Result<SigningKey, KeyError> {
        let key = SigningKey::generate(user, now, days, passphrase)?;
        self.keep(key.certificate(), Some(&key.armored()?))?;
        self.choose(key.certificate().fingerprint())?;
        Ok(key)
    }

    /// Imports keys from the content of a file. A secret key is stored as it is, locked or not. With `signs`, the first
    /// of the keys becomes the one that signs.
    ///
    /// # Errors
    /// When it is no key, or one that cannot sign.
    pub fn import(&self, bytes: &[u8], what: &str, signs: bool) -> Result<Vec<KeyringEntry>, KeyError> {
        let mut taken = Vec::new();
        let secret = matches!(
            read(bytes, what)?.first(),
            Some(pgp::composed::PublicOrSecret::Secret(_))
        );
        let certificates = Certificate::parse(bytes, what)?;
        if secret {
            let key = read_secret(bytes, what)?;
            let armored = key
                .to_armored_string(pgp::composed::ArmorOptions::default())
                .map_err(KeyError::openpgp("writing a secret key"))?;
            let certificate = Certificate::of(key.to_public_key())?;
            suitable(&certificate)?;
            self.keep(&certificate, Some(&armored))?;
        } else {
            if signs && certificates.len() > 1 {
                return Err(malformed(
                    what,
                    "it holds more than one key, of which only one could sign",
                ));
            }
            for certificate in &certificates {
                suitable(certificate)?;
                self.keep(certificate, None)?;
            }
        }
        if let (true, Some(certificate)) = (signs, certificates.first()) {
            self.choose(certificate.fingerprint())?;
        }
        for certificate in certificates {
            taken.push(self.find(certificate.fingerprint())?);
        }
        Ok(taken)
    }

    /// Lets another of the keys sign.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn choose(&self, fingerprint: &str) -> Result<(), KeyError> {
        let state = State {
            signing: Some(fingerprint.to_owned()),
        };
        let text = serde_json::to_vec_pretty(&state).map_err(|error| self.damaged(&error.to_string()))?;
        Ok(write::atomically(&self.folder.join(STATE), text)?)
    }

    /// Unlocks a key of the keyring.
    ///
    /// # Errors
    /// When its secret half is elsewhere or open to others, and when the passphrase is missing or wrong.
    pub fn unlock(&self, entry: &KeyringEntry, passphrase: Option<&str>) -> Result<SigningKey, KeyError> {
        let key = entry.certificate.fingerprint();
        if !entry.secret {
            return Err(KeyError::NoSecret { key: key.to_owned() });
        }
        let path = self.secret_path(key);
        let metadata = fs_err::metadata(&path).map_err(FileError::new("cannot read", &path))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path, mode });
        }
        let bytes = fs_err::read(&path).map_err(FileError::new("cannot read", &path))?;
        SigningKey::parse(&bytes, path.as_str(), passphrase)
    }

    /// Returns the certificates that are valid at the given time: those whose signatures are accepted and that a
    /// repository publishes.
    ///
    /// # Errors
    /// When the keyring cannot be read.
    pub fn trusted(&self, now: Timestamp) -> Result<Vec<Certificate>, KeyError> {
        let certificates = self.entries()?.into_iter().map(|entry| entry.certificate);
        Ok(certificates
            .filter(|certificate| matches!(certificate.validity(now), Validity::Valid | Validity::EndsSoon { .. }))
            .collect())
    }

    /// Writes the secret half first: a public one without it would look like a key that is kept elsewhere.
    fn keep(&self, certificate: &Certificate, secret: Option<&str>) -> Result<(), KeyError> {
        if !self.folder.is_dir() {
            fs_err::create_dir_all(&self.folder).map_err(FileError::new("cannot create", &self.folder))?;
            fs_err::set_permissions(&self.folder, std::fs::Permissions::from_mode(0o700))
                .map_err(FileError::new("cannot change the permissions of", &self.folder))?;
        }
        let fingerprint = certificate.fingerprint();
        if let Some(secret) = secret {
            write::with_mode(&self.secret_path(fingerprint), secret, 0o600)?;
        }
        let public = self.folder.join(format!("{fingerprint}{PUBLIC}"));
        Ok(write::atomically(&public, certificate.armored()?)?)
    }

    fn secret_path(&self, fingerprint: &str) -> Utf8PathBuf {
        self.folder.join(format!("{fingerprint}{SECRET}"))
    }

    fn state(&self) -> Result<State, KeyError> {
        let path = self.folder.join(STATE);
        match fs_err::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| self.damaged(&error.to_string())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(State::default()),
            Err(error) => Err(FileError::new("cannot read", &path)(error).into()),
        }
    }

    fn damaged(&self, why: &str) -> KeyError {
        let path = self.folder.join(STATE);
        FileError::new("cannot understand", &path)(std::io::Error::other(why.to_owned())).into()
    }
}

fn suitable(certificate: &Certificate) -> Result<(), KeyError> {
    if certificate.signers().next().is_some() {
        return Ok(());
    }
    Err(KeyError::Unsuitable {
        key: certificate.fingerprint().to_owned(),
        why: format!("{} is not verified by rpm", certificate.algorithm()),
    })
}

//! Errors of keys and signatures.

use basalt_store::{FileError, StoreError};
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::Timestamp;

/// Failure to obtain or use a key.
#[derive(Debug, Error, Diagnostic)]
pub enum KeyError {
    /// The location of the keyring is unknown.
    #[error("cannot tell where keys are kept: neither BASALT_KEYS, XDG_DATA_HOME nor HOME is set")]
    #[diagnostic(code(signing::place), help("set BASALT_KEYS to a folder that only you can read"))]
    NoPlace,
    /// The content is not an OpenPGP key.
    #[error("{what} is not an OpenPGP key: {why}")]
    #[diagnostic(
        code(signing::key),
        help("expected is what `gpg --export --armor KEY` or `gpg --export-secret-keys --armor KEY` writes")
    )]
    Malformed {
        /// Name of the content, such as a path.
        what: String,
        /// Defect of the content.
        why: String,
    },
    /// A key that repositories cannot be signed with.
    #[error("the key {key} cannot sign repositories: {why}")]
    #[diagnostic(
        code(signing::unsuitable),
        help(
            "what rpm verifies: version 4 keys of EdDSA (Ed25519), ECDSA (NIST P-256 and up) or RSA (2048 bits and up)"
        )
    )]
    Unsuitable {
        /// Fingerprint of the key.
        key: String,
        /// Reason.
        why: String,
    },
    /// The keyring has only the public half of the key.
    #[error("the secret half of the key {key} is not here")]
    #[diagnostic(
        code(signing::no_secret),
        help(
            "bring what has to be signed to where it is (`./basalt repo publish` prepares it, `./basalt repo sign export` \
             writes it), or import it: ./basalt repo keys import FILE"
        )
    )]
    NoSecret {
        /// Fingerprint of the key.
        key: String,
    },
    /// The key is protected by a passphrase, and none was given.
    #[error("the secret key {key} is protected by a passphrase, and none was given")]
    #[diagnostic(
        code(signing::passphrase),
        help("put it into a file (--passphrase-file FILE) or into the variable BASALT_KEY_PASSPHRASE")
    )]
    PassphraseNeeded {
        /// Fingerprint of the key.
        key: String,
    },
    /// The passphrase does not unlock the key.
    #[error("the passphrase does not unlock the secret key {key}")]
    #[diagnostic(
        code(signing::passphrase),
        help(
            "nothing was signed. See which key is meant (`./basalt repo keys list`); one line break at the end of a \
             passphrase file does not count, blanks do"
        )
    )]
    WrongPassphrase {
        /// Fingerprint of the key.
        key: String,
    },
    /// The key has expired.
    #[error("the key {key} ended on {end}")]
    #[diagnostic(
        code(signing::expired),
        help(
            "nothing was signed. `./basalt repo keys rotate` makes the next one; for a key that is kept elsewhere, extend its \
             end there and import it again"
        )
    )]
    Expired {
        /// Fingerprint of the key.
        key: String,
        /// Expiration time.
        end: Timestamp,
    },
    /// The creation time of the key is in the future.
    #[error("the key {key} was made on {made}, which is still to come")]
    #[diagnostic(code(signing::clock), help("see whether the clock of this machine is right: `date`"))]
    FromTheFuture {
        /// Fingerprint of the key.
        key: String,
        /// Creation time.
        made: Timestamp,
    },
    /// The key has been revoked by its owner.
    #[error("the key {key} was revoked by its owner")]
    #[diagnostic(
        code(signing::revoked),
        help("nothing was signed. Make another: ./basalt repo keys rotate")
    )]
    Revoked {
        /// Fingerprint of the key.
        key: String,
    },
    /// No single key of the keyring matches.
    #[error("there is no key `{name}` in {folder}")]
    #[diagnostic(code(signing::unknown), help("{help}"))]
    Unknown {
        /// Fingerprint, or the part of one, that was asked for.
        name: String,
        /// Folder of the keyring.
        folder: Utf8PathBuf,
        /// Help text with the fingerprints of all keys.
        help: String,
    },
    /// The file of a secret key is accessible to other users.
    #[error("others may read the secret key {path}: its mode is {mode:03o}")]
    #[diagnostic(
        code(signing::mode),
        help("it is no secret like that. If nobody else has been on this machine: chmod 600 {path}; else rotate it")
    )]
    Open {
        /// The file.
        path: Utf8PathBuf,
        /// Permission bits of the file (`st_mode & 0o777`).
        mode: u32,
    },
    /// The library failed.
    #[error("{action} failed: {why}")]
    #[diagnostic(code(signing::openpgp))]
    OpenPgp {
        /// Failed operation, such as `signing`.
        action: &'static str,
        /// Error of the library.
        why: String,
    },
    /// An operation on a file failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Io(#[from] FileError),
    /// A file could not be read or written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Store(#[from] StoreError),
}

impl KeyError {
    pub(crate) fn openpgp(action: &'static str) -> impl FnOnce(pgp::errors::Error) -> Self {
        move |error| Self::OpenPgp {
            action,
            why: error.to_string(),
        }
    }
}

/// Failure of a verification: no signature, or not one by a trusted key.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum VerifyError {
    /// The content is not an OpenPGP signature.
    #[error("this is not an OpenPGP signature: {0}")]
    #[diagnostic(
        code(signing::signature),
        help("expected is what `gpg --detach-sign FILE` writes, armored or not")
    )]
    Malformed(String),
    /// Signed by a key that is not trusted.
    #[error("it is signed by the key {issuer}, which is not trusted here")]
    #[diagnostic(code(signing::stranger), help("the keys that are trusted: ./basalt repo keys list"))]
    UnknownSigner {
        /// Issuer that the signature names: a fingerprint or key id.
        issuer: String,
    },
    /// The signature of a trusted key does not match the data.
    #[error("the signature of the key {key} does not fit: what was signed is not this, or one of the two was changed")]
    #[diagnostic(code(signing::bad))]
    Bad {
        /// The key's fingerprint.
        key: String,
    },
    /// A signature of a trusted key that is not accepted: weak digest, wrong type, or made while the key was not valid.
    #[error("the signature of the key {key} does not count: {why}")]
    #[diagnostic(code(signing::weak))]
    Invalid {
        /// The key's fingerprint.
        key: String,
        /// Reason.
        why: String,
    },
}

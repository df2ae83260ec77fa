//! How keys and signatures go wrong.

use basalt_store::StoreError;
use camino::Utf8PathBuf;
use miette::Diagnostic;
use thiserror::Error;

use crate::Moment;

/// A key cannot be had or used.
#[derive(Debug, Error, Diagnostic)]
pub enum KeyError {
    /// There is no place for keys.
    #[error("cannot tell where keys are kept: neither BASALT_KEYS, XDG_DATA_HOME nor HOME is set")]
    #[diagnostic(code(signing::place), help("set BASALT_KEYS to a folder that only you can read"))]
    NoPlace,
    /// Not an OpenPGP key.
    #[error("{what} is not an OpenPGP key: {why}")]
    #[diagnostic(
        code(signing::key),
        help("expected is what `gpg --export --armor KEY` or `gpg --export-secret-keys --armor KEY` writes")
    )]
    Malformed {
        /// What was read.
        what: String,
        /// What is wrong with it.
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
        /// Its fingerprint.
        key: String,
        /// Why not.
        why: String,
    },
    /// Only the public half is known.
    #[error("the secret half of the key {key} is not here")]
    #[diagnostic(
        code(signing::no_secret),
        help(
            "bring what has to be signed to where it is (`./basalt repo publish` prepares it, `./basalt repo sign export` \
             writes it), or import it: ./basalt repo keys import FILE"
        )
    )]
    NoSecret {
        /// Its fingerprint.
        key: String,
    },
    /// The key is locked, and nobody said how to unlock it.
    #[error("the secret key {key} is protected by a passphrase, and none was given")]
    #[diagnostic(
        code(signing::passphrase),
        help("put it into a file (--passphrase-file FILE) or into the variable BASALT_KEY_PASSPHRASE")
    )]
    PassphraseNeeded {
        /// Its fingerprint.
        key: String,
    },
    /// The passphrase does not unlock it.
    #[error("the passphrase does not unlock the secret key {key}")]
    #[diagnostic(
        code(signing::passphrase),
        help(
            "nothing was signed. See which key is meant (`./basalt repo keys list`); one line break at the end of a \
             passphrase file does not count, blanks do"
        )
    )]
    WrongPassphrase {
        /// Its fingerprint.
        key: String,
    },
    /// Its time is over.
    #[error("the key {key} ended on {end}")]
    #[diagnostic(
        code(signing::expired),
        help(
            "nothing was signed. `./basalt repo keys rotate` makes the next one; for a key that is kept elsewhere, extend its \
             end there and import it again"
        )
    )]
    Expired {
        /// Its fingerprint.
        key: String,
        /// When.
        end: Moment,
    },
    /// Its time has not begun.
    #[error("the key {key} was made on {made}, which is still to come")]
    #[diagnostic(code(signing::clock), help("see whether the clock of this machine is right: `date`"))]
    FromTheFuture {
        /// Its fingerprint.
        key: String,
        /// When.
        made: Moment,
    },
    /// Its owner has withdrawn it.
    #[error("the key {key} was revoked by its owner")]
    #[diagnostic(
        code(signing::revoked),
        help("nothing was signed. Make another: ./basalt repo keys rotate")
    )]
    Revoked {
        /// Its fingerprint.
        key: String,
    },
    /// No key of that name.
    #[error("there is no key `{name}` in {folder}")]
    #[diagnostic(code(signing::unknown), help("{help}"))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Where.
        folder: Utf8PathBuf,
        /// What there is.
        help: String,
    },
    /// Others could read a secret.
    #[error("others may read the secret key {path}: its mode is {mode:03o}")]
    #[diagnostic(
        code(signing::mode),
        help("it is no secret like that. If nobody else has been on this machine: chmod 600 {path}; else rotate it")
    )]
    Open {
        /// The file.
        path: Utf8PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The library failed.
    #[error("{action} failed: {why}")]
    #[diagnostic(code(signing::openpgp))]
    OpenPgp {
        /// What was tried.
        action: &'static str,
        /// What the library said.
        why: String,
    },
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

/// A signature is none, or not one of somebody who is trusted.
#[derive(Debug, Clone, PartialEq, Eq, Error, Diagnostic)]
pub enum VerifyError {
    /// Not a signature.
    #[error("this is not an OpenPGP signature: {0}")]
    #[diagnostic(
        code(signing::signature),
        help("expected is what `gpg --detach-sign FILE` writes, armored or not")
    )]
    Malformed(String),
    /// Signed by somebody else.
    #[error("it is signed by the key {issuer}, which is not trusted here")]
    #[diagnostic(code(signing::stranger), help("the keys that are trusted: ./basalt repo keys list"))]
    Stranger {
        /// What the signature says of its maker.
        issuer: String,
    },
    /// Signed by the right key, but something else.
    #[error("the signature of the key {key} does not fit: what was signed is not this, or one of the two was changed")]
    #[diagnostic(code(signing::bad))]
    Bad {
        /// The key's fingerprint.
        key: String,
    },
    /// Made in a way that does not count.
    #[error("the signature of the key {key} does not count: {why}")]
    #[diagnostic(code(signing::weak))]
    Invalid {
        /// The key's fingerprint.
        key: String,
        /// Why not.
        why: String,
    },
}

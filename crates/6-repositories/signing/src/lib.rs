//! OpenPGP keys: generation, storage and rotation of keys, signing and verification.
//!
//! ```text
//! nothing ----(Keyring::make: Ed25519, an end in sight)--┐
//! a key file --(Keyring::import: secret or public)-------┴--> Keyring, a folder that only its owner reads
//!     Keyring + a passphrase --(signer)--> SigningKey  --(sign)---> signatures, for RPMs and for repository indexes
//!     Keyring + a time -------(trusted)--> [Certificate] --(verify)-> signer, or the reason for the rejection
//! ```
//!
//! One key of a keyring signs. Others stay trusted until they end, so that what they signed goes on being accepted
//! after a change of keys. A key of which only the public half is here signs elsewhere: what it signed is verified
//! before it is accepted, like everybody's.
//!
//! OpenPGP is read and written by the `pgp` crate ([RFC 9580]). Keys that are made here are of version 4 with EdDSA, as
//! in RFC 4880 and its successors' appendix: what rpm, GnuPG and Sequoia have verified for years.
//!
//! Nothing here reads the clock, except [`Timestamp::now`]: callers pass the time as a [`Timestamp`].
//!
//! [RFC 9580]: https://www.rfc-editor.org/rfc/rfc9580

mod certificate;
mod error;
mod keyring;
mod secret;
mod signature;
mod timestamp;

pub use certificate::{Certificate, Validity, key_id};
pub use error::{KeyError, VerifyError};
pub use keyring::{Keyring, KeyringEntry};
pub use secret::SigningKey;
pub use signature::{Verified, armored, binary, issuers, verify};
pub use timestamp::Timestamp;

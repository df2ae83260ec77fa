//! Keys and signatures, with keys that are made here.

#![cfg(test)]

use std::os::unix::fs::PermissionsExt as _;

use basalt_signing::{Certificate, KeyError, Keyring, SigningKey, Timestamp, Validity, VerifyError, issuers, verify};
use camino::Utf8PathBuf;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_secs(1_795_600_000);
const DATA: &[u8] = b"what is signed";

fn keyring() -> (tempfile::TempDir, Keyring) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
    (folder, Keyring::new(path.join("keys")))
}

fn key() -> SigningKey {
    SigningKey::generate("Somebody <somebody@example.org>", NOW, 730, None).expect("a key")
}

fn trusted(key: &SigningKey) -> Vec<Certificate> {
    vec![key.certificate().clone()]
}

#[test]
fn what_is_signed_is_verified_and_nothing_else() {
    let (key, other) = (key(), key());
    for signature in [
        key.sign(DATA, NOW).expect("signed"),
        key.sign_armored(DATA, NOW).expect("signed").into_bytes(),
    ] {
        let verified = verify(DATA, &signature, &trusted(&key), NOW).expect("verifies");
        assert_eq!(
            (verified.key.as_str(), verified.made),
            (key.certificate().fingerprint(), NOW)
        );
        assert!(
            issuers(&signature)
                .expect("a signature")
                .contains(&key.certificate().fingerprint().to_owned())
        );
        let changed = verify(b"what is signee", &signature, &trusted(&key), NOW);
        assert!(matches!(changed, Err(VerifyError::Bad { .. })), "{changed:?}");
        let unknown_signer = verify(DATA, &signature, &trusted(&other), NOW);
        assert!(
            matches!(unknown_signer, Err(VerifyError::UnknownSigner { .. })),
            "{unknown_signer:?}"
        );
    }
}

#[test]
fn every_byte_of_a_signature_counts() {
    let key = key();
    let signature = key.sign(DATA, NOW).expect("signed");
    // The key id beside it is a hint, outside of what is signed; the fingerprint inside says the same. And the lengths of
    // its two numbers are said in bits, of which readers only need the bytes.
    let mut accepted = Vec::new();
    for place in 0..signature.len() {
        let mut changed = signature.clone();
        changed[place] ^= 1;
        if verify(DATA, &changed, &trusted(&key), NOW).is_ok() {
            accepted.push(place);
        }
    }
    assert!(accepted.len() <= 12, "changes at {accepted:?} are not noticed");
}

#[test]
fn a_key_has_an_end_and_warns_of_it() {
    let key = SigningKey::generate("x", NOW, 730, None).expect("a key");
    let certificate = key.certificate();
    let end = NOW.plus_days(730);
    assert_eq!((certificate.expires(), certificate.user()), (Some(end), "x"));
    assert_eq!(certificate.algorithm(), "Ed25519");
    assert_eq!(certificate.validity(NOW), Validity::Valid);
    assert_eq!(certificate.validity(NOW.plus_days(699)), Validity::Valid);
    assert_eq!(
        certificate.validity(NOW.plus_days(701)),
        Validity::EndsSoon { days: 29 }
    );
    assert_eq!(certificate.validity(end), Validity::Expired);
    assert_eq!(certificate.validity(Timestamp::from_secs(1)), Validity::FromTheFuture);
    assert!(matches!(key.sign(DATA, end), Err(KeyError::Expired { .. })));
    assert!(key.sign(DATA, NOW.plus_days(729)).is_ok());
}

#[test]
fn what_an_old_key_signed_in_its_time_still_counts() {
    let key = key();
    let signature = key.sign(DATA, NOW.plus_days(10)).expect("signed");
    assert!(verify(DATA, &signature, &trusted(&key), NOW.plus_days(1000)).is_ok());
    let early = verify(DATA, &signature, &trusted(&key), NOW);
    assert!(matches!(early, Err(VerifyError::Invalid { .. })), "{early:?}");
}

#[test]
fn keys_are_kept_and_changed() {
    let (_guard, ring) = keyring();
    assert!(ring.signing().expect("read").is_none());
    let first = ring.make("first", NOW, 730, None).expect("made");
    let second = ring.make("second", NOW.plus_days(700), 730, None).expect("made");
    let entries = ring.entries().expect("read");
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry.certificate.user(), entry.signing, entry.secret))
        .collect();
    assert_eq!(seen, [("first", false, true), ("second", true, true)]);
    let now = NOW.plus_days(710);
    assert_eq!(ring.trusted(now).expect("read").len(), 2);
    assert_eq!(ring.trusted(NOW.plus_days(731)).expect("read").len(), 1);
    let signature = first.sign(DATA, NOW).expect("signed");
    assert!(verify(DATA, &signature, &ring.trusted(now).expect("read"), now).is_ok());
    let found = ring.find(&second.certificate().key_id().to_lowercase()).expect("found");
    assert!(found.signing);
    assert!(matches!(ring.find("zzz"), Err(KeyError::Unknown { .. })));
    let unlocked = ring.unlock(&found, None).expect("unlocks");
    let signature = unlocked.sign(DATA, now).expect("signed");
    assert!(verify(DATA, &signature, &trusted(&second), now).is_ok());
}

#[test]
fn secrets_are_for_their_owner() {
    let (_guard, ring) = keyring();
    let key = ring.make("x", NOW, 10, None).expect("made");
    let path = ring
        .folder()
        .join(format!("{}.secret.asc", key.certificate().fingerprint()));
    let mode = |path: &Utf8PathBuf| fs_err::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&ring.folder().to_owned())), (0o600, 0o700));
    fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("changed");
    let entry = ring.signing().expect("read").expect("one");
    assert!(matches!(
        ring.unlock(&entry, None),
        Err(KeyError::Open { mode: 0o640, .. })
    ));
}

#[test]
fn a_passphrase_is_asked_for() {
    let (_guard, ring) = keyring();
    let key = ring.make("x", NOW, 10, Some("open sesame")).expect("made");
    key.sign(DATA, NOW).expect("signed");
    let entry = ring.signing().expect("read").expect("one");
    assert!(matches!(
        ring.unlock(&entry, None),
        Err(KeyError::PassphraseNeeded { .. })
    ));
    for wrong in ["", "open sesame ", "x"] {
        let error = ring.unlock(&entry, Some(wrong)).expect_err("wrong");
        assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{error:?}");
    }
    let unlocked = ring.unlock(&entry, Some("open sesame")).expect("right");
    let signature = unlocked.sign(DATA, NOW).expect("signed");
    assert!(verify(DATA, &signature, &trusted(&key), NOW).is_ok());
}

#[test]
fn a_public_key_signs_elsewhere() {
    let (_guard, ring) = keyring();
    let key = key();
    let public = key.certificate().armored().expect("text");
    let taken = ring.import(public.as_bytes(), "release.asc", true).expect("taken");
    assert!(taken[0].signing && !taken[0].secret);
    assert!(matches!(ring.unlock(&taken[0], None), Err(KeyError::NoSecret { .. })));
}

#[test]
fn many_keys_in_one_file() {
    let keys = [key(), key()];
    let text: String = keys
        .iter()
        .map(|key| key.certificate().armored().expect("text"))
        .collect();
    let read = Certificate::parse(text.as_bytes(), "RPM-GPG-KEY").expect("read");
    let fingerprints: Vec<_> = read.iter().map(Certificate::fingerprint).collect();
    let expected: Vec<_> = keys.iter().map(|key| key.certificate().fingerprint()).collect();
    assert_eq!(fingerprints, expected);
}

#[test]
fn what_is_no_key_is_told() {
    for bytes in [
        &b""[..],
        b"hello",
        b"\x00\x01",
        b"\xff\xff\xff\xff",
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEaSV\n",
        b"-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0\n-----END PGP SIGNATURE-----\n",
    ] {
        let error = Certificate::parse(bytes, "x.asc").expect_err("no key");
        assert!(error.to_string().contains("x.asc"), "{error}");
    }
    let text = key().certificate().armored().expect("text");
    for cut in (0..text.len()).step_by(37) {
        drop(Certificate::parse(&text.as_bytes()[..cut], "x.asc"));
    }
    let error = SigningKey::parse(text.as_bytes(), "x.asc", None).expect_err("public");
    assert!(error.to_string().contains("public half"), "{error}");
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(Certificate::parse(&bytes, "x"));
        drop(verify(DATA, &bytes, &[], NOW));
    }
}

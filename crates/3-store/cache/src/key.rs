//! Ed25519 keys that sign action results, in the text form of Nix's binary caches: `NAME:BASE64`, one line.
//!
//! OpenPGP, with which packages and repositories are signed (`basalt-signing`), is not used here: a cache's signature is
//! made thousands of times without a person, wants neither expiry nor user ids, and a public key has to fit into a line
//! of a configuration. Keys that `nix key generate-secret` makes are read, too.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read as _};
use std::str::FromStr;

use basalt_process::without_path;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use camino::{Utf8Path, Utf8PathBuf};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use miette::Diagnostic;
use thiserror::Error;

/// A key cannot be had or used.
#[derive(Debug, Error, Diagnostic)]
pub enum KeyFileError {
    /// Text that is no key. The text is not repeated, as it may be a secret.
    #[error("this is not a key of a cache: {0}")]
    #[diagnostic(
        code(cache::key),
        help("expected is one line, NAME:BASE64, as `./basalt cache key` writes it")
    )]
    Malformed(&'static str),
    /// A line of a file that is no key, or one that contradicts a line above it.
    #[error("`{path}`, line {line}: {problem}")]
    #[diagnostic(code(cache::key))]
    Line {
        /// The file.
        path: Utf8PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// Defect of the line.
        problem: Box<Self>,
        /// Advice about that defect.
        #[help]
        help: String,
    },
    /// Two keys under one name.
    #[error("two different keys are called `{0}`")]
    #[diagnostic(
        code(cache::key),
        help("take away the one that is no longer trusted, or give them names that differ")
    )]
    Ambiguous(String),
    /// A file with a secret key is accessible to other users.
    #[error("others may read the secret key {path}: its mode is {mode:03o}")]
    #[diagnostic(
        code(cache::key_mode),
        help(
            "if nobody else has been on this machine: chmod 600 {path}; else make another key and trust that one instead"
        )
    )]
    Open {
        /// The file.
        path: Utf8PathBuf,
        /// Permission bits of the file (`st_mode & 0o777`).
        mode: u32,
    },
    /// The kernel gives no random numbers.
    #[error("no key can be made without random numbers from the kernel")]
    #[diagnostic(code(cache::random))]
    Random(#[source] std::io::Error),
    /// A key file could not be read or written.
    #[error("{what} `{path}`")]
    #[diagnostic(code(cache::key_file))]
    Io {
        /// Failed operation, such as `cannot read the secret key`.
        what: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl KeyFileError {
    fn io(what: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            source: without_path(source, &path),
            what,
            path,
        }
    }

    /// Returns the conversion of a defect of a line into one that names file and line.
    fn at(path: &Utf8Path, line: usize) -> impl FnOnce(Self) -> Self {
        let path = path.to_owned();
        move |problem| Self::Line {
            path,
            line,
            help: problem.help().map(|help| help.to_string()).unwrap_or_default(),
            problem: Box::new(problem),
        }
    }
}

/// Secret key with its name: signs what is pushed. Never shown.
pub struct SecretKey {
    name: String,
    key: SigningKey,
}

/// Public key with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    key: VerifyingKey,
}

/// Public keys whose signatures are trusted, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedKeys(BTreeMap<String, VerifyingKey>);

impl SecretKey {
    /// Makes a key from the system's random numbers.
    ///
    /// # Errors
    /// When `name` is not 1 to 64 letters, digits, `.`, `-` or `_`, and when the kernel gives no random numbers.
    pub fn generate(name: &str) -> Result<Self, KeyFileError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| KeyFileError::Random(error.into()))?;
        Ok(Self {
            name: checked_name(name)?,
            key: SigningKey::from_bytes(&seed),
        })
    }

    /// Reads the file of a secret key, which must not be accessible to other users.
    ///
    /// # Errors
    /// When it cannot be read, is accessible to other users, or holds no key.
    pub fn load(path: &Utf8Path) -> Result<Self, KeyFileError> {
        use std::os::unix::fs::MetadataExt as _;
        let failed = || KeyFileError::io("cannot read the secret key", path);
        let file = open(path).map_err(failed())?;
        let mode = file.metadata().map_err(failed())?.mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(KeyFileError::Open { path, mode });
        }
        let text = text(&file).map_err(failed())?;
        text.parse().map_err(KeyFileError::at(path, 1))
    }

    /// Writes a new key file with mode 0600. An existing file is never replaced.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn save(&self, path: &Utf8Path) -> Result<(), KeyFileError> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = fs_err::OpenOptions::new();
        options.write(true).create_new(true).options_mut().mode(0o600);
        let write = || {
            let mut file = options.open(path)?;
            writeln!(file, "{}:{}", self.name, BASE64.encode(self.key.to_keypair_bytes()))?;
            file.sync_all()
        };
        write().map_err(KeyFileError::io("cannot write the secret key", path))
    }

    /// Name that signatures carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey {
            name: self.name.clone(),
            key: self.key.verifying_key(),
        }
    }

    /// Ed25519 signature (RFC 8032) of a message, 64 bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(message).to_vec()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.name)
    }
}

impl FromStr for SecretKey {
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        let (name, bytes) = split(text)?;
        let public = || KeyFileError::Malformed("a secret key has 64 bytes; a public key has 32 and signs nothing");
        let bytes: [u8; 64] = bytes.try_into().map_err(|_| public())?;
        let key = SigningKey::from_keypair_bytes(&bytes)
            .map_err(|_| KeyFileError::Malformed("its public half does not belong to its secret half"))?;
        Ok(Self { name, key })
    }
}

impl PublicKey {
    /// Name that signatures carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns `true` if the key has made this signature (Ed25519, RFC 8032) of a message.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        let signature = Signature::from_slice(signature);
        signature.is_ok_and(|signature| self.key.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(self.key.as_bytes()))
    }
}

impl FromStr for PublicKey {
    type Err = KeyFileError;

    fn from_str(text: &str) -> Result<Self, KeyFileError> {
        let (name, bytes) = split(text)?;
        let secret =
            || KeyFileError::Malformed("a public key has 32 bytes; a secret one has 64 and is not to be given away");
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| secret())?;
        let key = VerifyingKey::from_bytes(&bytes)
            .ok()
            .filter(|key| !key.is_weak())
            .ok_or(KeyFileError::Malformed("its bytes are no usable point of the curve"))?;
        Ok(Self { name, key })
    }
}

impl TrustedKeys {
    /// Trusts these keys.
    ///
    /// # Errors
    /// When two of them have one name.
    pub fn new(keys: impl IntoIterator<Item = PublicKey>) -> Result<Self, KeyFileError> {
        let mut trusted = Self::default();
        keys.into_iter().try_for_each(|key| trusted.add(key))?;
        Ok(trusted)
    }

    fn add(&mut self, PublicKey { name, key }: PublicKey) -> Result<(), KeyFileError> {
        match self.0.insert(name.clone(), key) {
            Some(other) if other != key => Err(KeyFileError::Ambiguous(name)),
            _ => Ok(()),
        }
    }

    /// Parses a list of public keys, one per line or separated by blanks; `#` begins a comment.
    ///
    /// # Errors
    /// When one is malformed, or two have one name.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        Self::parse_lines(text).map_err(|(_, error)| error)
    }

    /// Parses a list of public keys; an error comes with the number of its line.
    fn parse_lines(text: &str) -> Result<Self, (usize, KeyFileError)> {
        let mut trusted = Self::default();
        for (index, line) in text.lines().enumerate() {
            let keys = line.split('#').next().unwrap_or_default();
            for key in keys.split_whitespace() {
                let added = key.parse().and_then(|key| trusted.add(key));
                added.map_err(|error| (index + 1, error))?;
            }
        }
        Ok(trusted)
    }

    /// Reads a file of public keys.
    ///
    /// # Errors
    /// When it cannot be read, and as [`Self::parse`], with file and line.
    pub fn load(path: &Utf8Path) -> Result<Self, KeyFileError> {
        let read = open(path).and_then(|file| text(&file));
        let text = read.map_err(KeyFileError::io("cannot read the trusted keys", path))?;
        Self::parse_lines(&text).map_err(|(line, error)| KeyFileError::at(path, line)(error))
    }

    /// Trusts the keys of another list, too.
    ///
    /// # Errors
    /// When two different keys have one name.
    pub fn merge(self, other: Self) -> Result<Self, KeyFileError> {
        let keys = self.0.into_iter().chain(other.0);
        Self::new(keys.map(|(name, key)| PublicKey { name, key }))
    }

    /// Returns `true` if no key is trusted, so that nothing can be read from any cache.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of that name; `None` when it is not trusted.
    pub fn get(&self, name: &str) -> Option<PublicKey> {
        let key = *self.0.get(name)?;
        Some(PublicKey {
            name: name.to_owned(),
            key,
        })
    }

    /// The keys, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = PublicKey> {
        self.0.keys().filter_map(|name| self.get(name))
    }
}

/// Opens a file of keys. A named pipe is none, and does not make anybody wait.
fn open(path: &Utf8Path) -> io::Result<fs_err::File> {
    use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::CLOEXEC;
    let mut options = fs_err::OpenOptions::new();
    options
        .read(true)
        .options_mut()
        .custom_flags(flags.bits().cast_signed());
    let file = options.open(path)?;
    let kind = file.metadata()?.file_type();
    // `/dev/null` stands for no keys.
    match kind.is_file() || kind.is_char_device() {
        true => Ok(file),
        false => Err(io::Error::other("it is not an ordinary file")),
    }
}

/// Text of an open file of keys.
fn text(file: &fs_err::File) -> io::Result<String> {
    /// Size of a file of keys, at most, in bytes: some ten thousand of them.
    const LARGEST: u64 = 1 << 20;
    let mut text = String::new();
    let read = file.take(LARGEST + 1).read_to_string(&mut text)?;
    match read as u64 > LARGEST {
        true => Err(io::Error::other("it is too large for a list of keys")),
        false => Ok(text),
    }
}

fn checked_name(name: &str) -> Result<String, KeyFileError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    match (1..=64).contains(&name.len()) && name.chars().all(plain) {
        true => Ok(name.to_owned()),
        false => Err(KeyFileError::Malformed(
            "its name is not 1 to 64 letters, digits, `.`, `-` or `_`",
        )),
    }
}

fn split(text: &str) -> Result<(String, Vec<u8>), KeyFileError> {
    let (name, base64) = text
        .trim()
        .split_once(':')
        .ok_or(KeyFileError::Malformed("there is no `:` between name and key"))?;
    let bytes = BASE64
        .decode(base64)
        .map_err(|_| KeyFileError::Malformed("what follows the `:` is not Base64"))?;
    Ok((checked_name(name)?, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> SecretKey {
        SecretKey::generate(name).expect("a name")
    }

    #[test]
    fn a_key_survives_its_file_and_is_for_its_owner() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("key")).expect("UTF-8");
        let secret = key("team-1");
        secret.save(&path).expect("writes");
        assert_eq!(SecretKey::load(&path).expect("reads").public(), secret.public());
        assert!(
            matches!(secret.save(&path), Err(KeyFileError::Io { .. })),
            "never replaced"
        );
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("chmod");
        assert!(matches!(
            SecretKey::load(&path),
            Err(KeyFileError::Open { mode: 0o640, .. })
        ));
    }

    #[test]
    fn the_form_is_that_of_nix() {
        // RFC 8032, 7.1, test 1: the secret's seed with its public key.
        let text = "rfc:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
        let secret: SecretKey = text.parse().expect("parses");
        let public = secret.public().to_string();
        assert_eq!(public, "rfc:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        assert_eq!(public.parse::<PublicKey>().expect("parses"), secret.public());
        assert!(!format!("{secret:?}").contains("nWG"));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_repeated() {
        let secret = "k:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
        let zero = format!("k:{}", BASE64.encode([0; 32]));
        for wrong in [secret, "", "k", "k:", "k:!", ":AAAA", "a b:AAAA", &zero] {
            let error = wrong.parse::<PublicKey>().expect_err(wrong);
            assert!(!error.to_string().contains("nWG"));
        }
        let swapped = "k:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURqdYbGd7/1aYLqESvSS7CzERElxaXsyaRlwO6wDHK5/YA==";
        assert!(swapped.parse::<SecretKey>().is_err());
    }

    #[test]
    fn a_named_pipe_is_no_file_of_keys_and_no_wait() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("keys")).expect("UTF-8");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(rustix::fs::CWD, path.as_std_path(), mode).expect("a named pipe");
        assert!(matches!(TrustedKeys::load(&path), Err(KeyFileError::Io { .. })));
        assert!(matches!(SecretKey::load(&path), Err(KeyFileError::Io { .. })));
        let none = TrustedKeys::load(Utf8Path::new("/dev/null")).expect("no keys");
        assert!(none.is_empty());
        assert!(TrustedKeys::load(Utf8Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn an_error_names_file_and_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("keys")).expect("UTF-8");
        let (one, other) = (key("one").public(), key("one").public());
        for (text, line, words) in [
            (
                format!("# the team\n\n{one}\nnonsense\n"),
                4,
                "this is not a key of a cache",
            ),
            (format!("{one}\n{other}\n"), 2, "two different keys are called `one`"),
        ] {
            fs_err::write(&path, text).expect("writes");
            let error = TrustedKeys::load(&path).expect_err("malformed");
            let shown = error.to_string();
            assert!(shown.contains(&format!("`{path}`, line {line}: {words}")), "{shown}");
            assert!(error.help().is_some());
        }
        key("one").save(&folder_file(&folder, "secret")).expect("writes");
        let secret = folder_file(&folder, "secret");
        fs_err::write(&secret, "nonsense").expect("writes");
        let shown = SecretKey::load(&secret).expect_err("malformed").to_string();
        assert!(shown.contains(&format!("`{secret}`, line 1")), "{shown}");
    }

    fn folder_file(folder: &tempfile::TempDir, name: &str) -> Utf8PathBuf {
        Utf8PathBuf::from_path_buf(folder.path().join(name)).expect("UTF-8")
    }

    #[test]
    fn trust_is_by_name_and_key() {
        let (one, two) = (key("one"), key("two"));
        let list = format!("# the team\n{}\n\n{} # CI\n", one.public(), two.public());
        let trusted = TrustedKeys::parse(&list).expect("parses");
        let verify = |name: &str, message: &[u8], signature: &[u8]| {
            let key = trusted.get(name);
            key.map(|key| key.verify(message, signature))
        };
        assert_eq!(verify("one", b"m", &one.sign(b"m")), Some(true));
        assert_eq!(verify("one", b"m", &two.sign(b"m")), Some(false));
        assert_eq!(verify("one", b"n", &one.sign(b"m")), Some(false));
        assert_eq!(verify("one", b"m", b"short"), Some(false));
        assert_eq!(verify("three", b"m", &one.sign(b"m")), None);
        assert_eq!(trusted.iter().collect::<Vec<_>>(), [one.public(), two.public()]);
        let clash = TrustedKeys::new([one.public(), key("one").public()]);
        assert!(matches!(clash, Err(KeyFileError::Ambiguous(_))));
        assert!(TrustedKeys::new([one.public(), one.public()]).is_ok());
    }
}

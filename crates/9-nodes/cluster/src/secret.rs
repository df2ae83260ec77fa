//! Random secrets, and files that only their owner can read.

use std::io::{Read as _, Write as _};

use basalt_process::without_path;
use camino::Utf8Path;

use crate::ClusterError;

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Random word of `length` letters and digits (a-z, 2-7), from /dev/urandom.
pub(crate) fn random_word(length: usize) -> Result<String, ClusterError> {
    let mut bytes = vec![0; length];
    fs_err::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .map_err(ClusterError::file("read random bytes"))?;
    Ok(bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(byte % 32)).copied())
        .map(char::from)
        .collect())
}

/// Bootstrap token of Kubernetes: an id of six characters and a secret of sixteen.
#[derive(Clone, PartialEq, Eq)]
pub struct GeneratedToken {
    /// Id of the token, which is not secret.
    pub id: String,
    /// Secret of the token.
    pub secret: String,
}

impl GeneratedToken {
    /// Makes a random token.
    pub(crate) fn new() -> Result<Self, ClusterError> {
        Ok(Self {
            id: random_word(6)?,
            secret: random_word(16)?,
        })
    }

    /// Token in the format that nodes present: `ID.SECRET`.
    pub fn text(&self) -> String {
        format!("{}.{}", self.id, self.secret)
    }
}

/// Debug output without the secret.
impl std::fmt::Debug for GeneratedToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GeneratedToken")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Writes a file with mode 0600, by renaming a temporary file: whole or not at all.
pub(crate) fn write_private(path: &Utf8Path, contents: impl AsRef<[u8]>) -> Result<(), ClusterError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let fresh = path.with_added_extension("new");
    let write = || {
        let mut options = fs_err::OpenOptions::new();
        options.options_mut().mode(0o600);
        let mut file = options.write(true).create(true).truncate(true).open(&fresh)?;
        file.write_all(contents.as_ref())?;
        fs_err::rename(&fresh, path)
    };
    write().map_err(|error| ClusterError::file(format!("write {path}"))(without_path(error, path)))
}

/// Makes a folder with mode 0700, and its missing parents.
#[expect(
    clippy::disallowed_methods,
    reason = "fs_err has no DirBuilder; ClusterError::file names the path"
)]
pub(crate) fn make_private_folder(path: &Utf8Path) -> Result<(), ClusterError> {
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder
        .create(path)
        .and_then(|()| fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o700)))
        .map_err(|error| ClusterError::file(format!("make the folder {path}"))(without_path(error, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_the_form_that_kubernetes_wants_and_hide() {
        let token = GeneratedToken::new().expect("random bytes");
        assert_eq!((token.id.len(), token.secret.len()), (6, 16));
        assert!(
            token
                .text()
                .bytes()
                .all(|byte| byte == b'.' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
        );
        assert!(!format!("{token:?}").contains(&token.secret));
        assert_ne!(token, GeneratedToken::new().expect("random bytes"));
    }

    #[test]
    fn private_files_are_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8").join("key");
        write_private(&path, "first, which is longer").expect("written");
        write_private(&path, "second").expect("written");
        assert_eq!(fs_err::read_to_string(&path).expect("readable"), "second");
        assert_eq!(
            fs_err::metadata(&path).expect("there").permissions().mode() & 0o777,
            0o600
        );
    }
}

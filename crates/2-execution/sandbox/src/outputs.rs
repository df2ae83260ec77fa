//! Safe access to the files that a sandboxed program leaves behind.
//!
//! A program chooses the names and kinds of its outputs: a symbolic link may lead to a file of the host, a FIFO makes its
//! reader wait for ever, a newline in a name makes two lines of one. Outputs are therefore listed here only. What [`list`] returns
//! may be opened by its path, once the sandbox has ended and nobody else writes to the folder; else [`open`] is for it.

use std::fs::File;
use std::os::fd::OwnedFd;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::SandboxError;

/// Folders below one another that are looked into, at most.
const DEPTH: usize = 64;

/// The regular files below a folder of outputs, as paths below it, sorted.
///
/// # Errors
/// When something there is neither a regular file nor a folder, has a name that is not plain text, is setuid or setgid, or
/// has further names (hard links), when the folder itself is none, and when it cannot be read.
pub fn list(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, SandboxError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened =
        rustix::fs::openat(CWD, folder.as_std_path(), flags, Mode::empty()).map_err(|source| match source {
            Errno::NOTDIR | Errno::LOOP => refused(
                folder.file_name().unwrap_or_default(),
                "a link or a file in place of a folder",
            ),
            source => SandboxError::path(folder)(source.into()),
        })?;
    let mut files = Vec::new();
    walk(&opened, Utf8Path::new(""), 0, &mut files)?;
    files.sort();
    Ok(files)
}

/// Opens a file that [`list`] named for reading, without following any link, out of the folder least of all.
///
/// # Errors
/// When it is not a regular file, leads out of the folder, or cannot be read.
pub fn open(folder: &Utf8Path, path: &Utf8Path) -> Result<File, SandboxError> {
    let failed = |source: rustix::io::Errno| SandboxError::path(folder.join(path))(source.into());
    let root = rustix::fs::openat(
        CWD,
        folder.as_std_path(),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(failed)?;
    // Without NONBLOCK, a FIFO would make us wait.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::io::retry_on_intr(|| rustix::fs::openat2(&root, path.as_std_path(), flags, Mode::empty(), how))
        .map_err(failed)?;
    let status = rustix::fs::fstat(&file).map_err(failed)?;
    match wrong(&status) {
        Some(what) => Err(refused(path.as_str(), what)),
        None => Ok(File::from(file)),
    }
}

fn walk(folder: &OwnedFd, below: &Utf8Path, depth: usize, files: &mut Vec<Utf8PathBuf>) -> Result<(), SandboxError> {
    let failed = |source: rustix::io::Errno| SandboxError::path(below)(source.into());
    for entry in Dir::read_from(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let lossy = || {
            below
                .join(String::from_utf8_lossy(name.to_bytes()).as_ref())
                .into_string()
        };
        let plain = name.to_str().ok().filter(|name| !name.chars().any(char::is_control));
        let Some(plain) = plain else {
            return Err(refused(&lossy(), "a name that is not plain text"));
        };
        let path = below.join(plain);
        let status = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(status.st_mode) == FileType::Directory {
            if depth == DEPTH {
                return Err(refused(path.as_str(), "a folder too deep below others"));
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let deeper = rustix::fs::openat(folder, name, flags, Mode::empty()).map_err(failed)?;
            walk(&deeper, &path, depth + 1, files)?;
        } else if let Some(what) = wrong(&status) {
            return Err(refused(path.as_str(), what));
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Reason to refuse a file that is not a folder; `None` for a plain regular file.
fn wrong(status: &Stat) -> Option<&'static str> {
    let mode = Mode::from_raw_mode(status.st_mode);
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile if mode.intersects(Mode::SUID | Mode::SGID) => Some("a setuid or setgid file"),
        FileType::RegularFile if status.st_nlink > 1 => Some("a file with several names"),
        FileType::RegularFile => None,
        FileType::Symlink => Some("a symbolic link"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        _ => Some("a device"),
    }
}

fn refused(path: &str, what: &'static str) -> SandboxError {
    SandboxError::Output {
        path: path.to_owned(),
        what,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    /// Expected reason of the refusal, and a function that puts such a file into a folder of outputs.
    type Case = (&'static str, fn(&Utf8Path));

    fn outputs() -> (tempfile::TempDir, Utf8PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("out")).expect("UTF-8");
        std::fs::create_dir_all(path.join("b")).expect("made");
        std::fs::write(path.join("b/two"), "2").expect("written");
        std::fs::write(path.join("a"), "1").expect("written");
        std::fs::write(folder.path().join("secret"), "s").expect("written");
        (folder, path)
    }

    #[test]
    fn regular_files_are_listed_and_opened() {
        let (_keep, path) = outputs();
        assert_eq!(list(&path).expect("listed"), ["a", "b/two"]);
        let mut text = String::new();
        let mut file = open(&path, Utf8Path::new("b/two")).expect("opened");
        file.read_to_string(&mut text).expect("read");
        assert_eq!(text, "2");
    }

    #[test]
    fn nothing_else_is_taken() {
        let cases: [Case; 5] = [
            ("a symbolic link", |path| {
                symlink("../secret", path.join("l")).expect("linked")
            }),
            ("a name that is not plain text", |path| {
                std::fs::write(path.join("x\ny"), "").expect("written")
            }),
            ("a setuid or setgid file", |path| {
                std::fs::set_permissions(path.join("a"), std::fs::Permissions::from_mode(0o4755)).expect("changed");
            }),
            ("a file with several names", |path| {
                std::fs::hard_link(path.join("a"), path.join("again")).expect("linked");
            }),
            ("a FIFO", |path| {
                let mode = Mode::from_raw_mode(0o644);
                rustix::fs::mknodat(CWD, path.join("f").as_std_path(), FileType::Fifo, mode, 0).expect("made");
            }),
        ];
        for (what, prepare) in cases {
            let (_keep, path) = outputs();
            prepare(&path);
            let error = list(&path).expect_err(what).to_string();
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn the_folder_itself_is_one() {
        let (_keep, path) = outputs();
        let link = path.with_file_name("link");
        symlink(&path, &link).expect("linked");
        for (path, name) in [(link, "`link`"), (path.join("a"), "`a`")] {
            let error = list(&path).expect_err(name).to_string();
            assert!(
                error.contains(name) && error.contains("in place of a folder"),
                "{error}"
            );
        }
    }

    #[test]
    fn no_link_is_followed_on_the_way() {
        let (_keep, path) = outputs();
        symlink("..", path.join("up")).expect("linked");
        symlink("../secret", path.join("link")).expect("linked");
        for name in ["up/secret", "link", "../secret", "/etc/passwd"] {
            assert!(open(&path, Utf8Path::new(name)).is_err(), "{name}");
        }
    }
}

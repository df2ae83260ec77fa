//! Carries a plan out.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err::os::unix::fs::OpenOptionsExt;
use miette::Diagnostic;
use serde::{Deserialize, Serialize};

use crate::address::Wanted;
use crate::paths;
use crate::plan::{Plan, PlannedFile};

/// Record of what was done, for `basalt-node status` and for the next time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// Origin of the NodeConfig, in words.
    pub origin: String,
    /// The name of the node.
    pub hostname: String,
    /// URL of the API server.
    pub endpoint: String,
    /// The addresses that the node shall register with.
    pub wanted: Wanted,
    /// The files that were written.
    pub files: Vec<String>,
    /// Failures that do not keep the node from joining, in words.
    pub warnings: Vec<String>,
}

/// Something that keeps the node from joining.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ApplyError {
    /// A file could not be written.
    #[error("cannot write {}", object(path, source))]
    #[diagnostic(help("its folder has to be writable and must not be full; `basalt-node` runs as root"))]
    Write {
        /// The file.
        path: PathBuf,
        /// Error of the operating system; that of `fs_err` names the file, too.
        source: std::io::Error,
    },
    /// The host name could not be set.
    #[error("cannot set the host name to {hostname}")]
    #[diagnostic(help("`basalt-node apply` runs as root, on the machine itself"))]
    Hostname {
        /// The name.
        hostname: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
}

/// The path of a file, if the error about it does not name it.
fn object(path: &Path, source: &std::io::Error) -> String {
    let path = path.display().to_string();
    if source.to_string().contains(&format!("`{path}`")) {
        return "a file".to_owned();
    }
    path
}

/// Writes the files of a plan below a root, takes away those of an earlier one, and writes down what it did.
///
/// The last file to appear is [`paths::APPLIED`]: whoever sees it sees all the others.
pub fn write_files(root: &Path, plan: &Plan, mut applied: Applied) -> Result<Applied, ApplyError> {
    let earlier = read_applied(root).map(|earlier| earlier.files).unwrap_or_default();
    applied.files = plan.files.iter().map(|file| file.path.clone()).collect();
    for path in earlier.iter().filter(|path| !applied.files.contains(path)) {
        // What is gone is gone; what cannot be removed would only matter if it were written again.
        let _ = fs_err::remove_file(below(root, path));
    }
    for file in &plan.files {
        write(root, file)?;
    }
    write_applied(root, &applied)?;
    Ok(applied)
}

/// Writes the record of what was done.
///
/// # Errors
/// When it cannot be written.
pub fn write_applied(root: &Path, applied: &Applied) -> Result<(), ApplyError> {
    let content = serde_json::to_string_pretty(applied).unwrap_or_default() + "\n";
    write(root, &PlannedFile::public(paths::APPLIED, content))
}

/// Sets kernel settings, and says which ones the kernel did not take.
///
/// A setting may be of something that is not there yet, such as a network interface: systemd-sysctl knows them all and
/// sets them again when it appears.
pub fn set_sysctls(root: &Path, plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    for (path, value) in &plan.sysctls {
        let file = below(root, "/proc/sys").join(path);
        let result = fs_err::OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|mut file| file.write_all(value.as_bytes()));
        if let Err(error) = result {
            warnings.push(format!("the kernel did not take {path} = {value}: {error}"));
        }
    }
    warnings
}

/// Gives the running system its name.
pub fn set_hostname(plan: &Plan) -> Result<(), ApplyError> {
    rustix::system::sethostname(plan.hostname.as_bytes()).map_err(|error| ApplyError::Hostname {
        hostname: plan.hostname.clone(),
        source: error.into(),
    })
}

/// The record of the last time.
pub fn read_applied(root: &Path) -> Option<Applied> {
    serde_json::from_slice(&fs_err::read(below(root, paths::APPLIED)).ok()?).ok()
}

/// Writes a file so that a reader sees the old one or the new one, and never with wider permissions than it shall have.
///
/// By hand, and not by `basalt-store`, which writes so, too: the agent would have all of its dependencies in the image.
pub fn write(root: &Path, file: &PlannedFile) -> Result<(), ApplyError> {
    let path = below(root, &file.path);
    let written = || {
        let folder = path.parent().unwrap_or(root);
        fs_err::create_dir_all(folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let new = folder.join(format!(".{name}.new"));
        // One that an interrupted run left may have other permissions.
        let _ = fs_err::remove_file(&new);
        let mut opened = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(file.mode)
            .open(&new)?;
        opened.set_permissions(std::fs::Permissions::from_mode(file.mode))?;
        opened.write_all(file.content.as_bytes())?;
        // Some of these files are on the state partition, and power may fail at any moment.
        opened.sync_all()?;
        fs_err::rename(&new, &path)?;
        fs_err::File::open(folder)?.sync_all()
    };
    written().map_err(|source| ApplyError::Write {
        path: path.clone(),
        source,
    })
}

/// Removes a file; one that is not there is no error.
pub fn remove(path: PathBuf) -> Result<(), ApplyError> {
    match fs_err::remove_file(&path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(ApplyError::Write { path, source }),
        _ => Ok(()),
    }
}

/// An absolute path of the node, below a root.
pub fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(files: &[(&str, u32)]) -> Plan {
        let file = |(path, mode): &(&str, u32)| PlannedFile {
            path: (*path).to_owned(),
            mode: *mode,
            content: "a\n".to_owned(),
        };
        Plan {
            hostname: "worker-1".to_owned(),
            endpoint: "https://a:1".to_owned(),
            sysctls: vec![
                ("net/core/somaxconn".to_owned(), "4096".to_owned()),
                ("net/none".to_owned(), "1".to_owned()),
            ],
            files: files.iter().map(file).collect(),
            warnings: Vec::new(),
        }
    }

    fn applied() -> Applied {
        Applied {
            origin: "test".to_owned(),
            hostname: "worker-1".to_owned(),
            endpoint: "https://a:1".to_owned(),
            wanted: Wanted::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn files_come_and_go() {
        let root = tempfile::tempdir().unwrap();
        write_files(
            root.path(),
            &plan(&[("/run/a/one", 0o644), ("/run/a/two", 0o600)]),
            applied(),
        )
        .unwrap();
        let mode = |path: &str| below(root.path(), path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("/run/a/one"), mode("/run/a/two")), (0o644, 0o600));
        // The same path with other permissions, and one file less.
        write_files(root.path(), &plan(&[("/run/a/one", 0o600)]), applied()).unwrap();
        assert_eq!(mode("/run/a/one"), 0o600);
        assert!(!below(root.path(), "/run/a/two").exists());
        assert_eq!(read_applied(root.path()).unwrap().files, ["/run/a/one"]);
        // Nothing half-written is left.
        assert_eq!(fs_err::read_dir(below(root.path(), "/run/a")).unwrap().count(), 1);
    }

    #[test]
    fn an_unwritable_file_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs_err::write(root.path().join("run"), "not a folder").unwrap();
        let error = write_files(root.path(), &plan(&[("/run/a", 0o644)]), applied()).unwrap_err();
        assert!(error.to_string().ends_with("/run/a"), "{error}");
    }

    #[test]
    fn a_path_is_named_once() {
        let root = tempfile::tempdir().unwrap();
        let ApplyError::Write { path, source } = remove(root.path().to_owned()).unwrap_err() else {
            panic!("it is a folder")
        };
        let named = |source| {
            ApplyError::Write {
                path: path.clone(),
                source,
            }
            .to_string()
        };
        assert!(source.to_string().contains(root.path().to_str().unwrap()), "{source}");
        assert_eq!(named(source), "cannot write a file");
        let of_the_system = std::io::Error::from_raw_os_error(13);
        assert_eq!(named(of_the_system), format!("cannot write {}", root.path().display()));
    }

    #[test]
    fn sysctls_that_are_not_there_are_told() {
        let root = tempfile::tempdir().unwrap();
        let setting = below(root.path(), "/proc/sys/net/core/somaxconn");
        fs_err::create_dir_all(setting.parent().unwrap()).unwrap();
        fs_err::write(&setting, "").unwrap();
        let warnings = set_sysctls(root.path(), &plan(&[]));
        assert_eq!(fs_err::read_to_string(setting).unwrap(), "4096");
        assert!(warnings.len() == 1 && warnings[0].contains("net/none"), "{warnings:?}");
    }
}

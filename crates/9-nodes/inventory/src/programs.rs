//! Programs that jobs and units start: of a command line, only a program that is known, without its arguments.

use crate::host_files::HostFiles;
use crate::redaction::{first_word, lists};

/// Folders in which a program without a path is looked for.
const FOLDERS: [&str; 7] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/snap/bin",
];
/// Folders of a root that programs are below.
const ROOTS: &str = "bin etc home lib lib64 mnt nix opt root sbin snap srv usr var";
/// Commands of a shell.
const BUILTINS: &str = "[ cd command echo eval exec export false for if printf set test true umask while";

/// Program of a command line. `None` where the first word can be something else: lines without an account, broken lines.
pub(crate) fn program(files: &HostFiles<'_>, command: &str) -> Option<String> {
    let word = first_word(command)?;
    let is_known = match word.strip_prefix('/') {
        Some(path) => path.split_once('/').is_some_and(|(root, _)| lists(ROOTS, root)),
        None => {
            let is_there = |folder: &&str| files.has(&format!("{folder}/{word}"));
            !word.contains('/') && (lists(BUILTINS, &word) || FOLDERS.iter().any(is_there))
        }
    };
    is_known.then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_known_by_their_place() {
        let root = tempfile::tempdir().expect("a folder");
        fs_err::create_dir_all(root.path().join("usr/bin")).expect("made");
        fs_err::write(root.path().join("usr/bin/restic"), "").expect("written");
        let files = HostFiles::new(root.path());
        for (command, kept) in [
            ("-/usr/bin/backup --password x", Some("/usr/bin/backup")),
            ("TOKEN=x restic backup", Some("restic")),
            ("cd / && run-parts /etc/cron.hourly", Some("cd")),
            ("hunter2", None),
            ("/hunter2/abc", None),
            ("./hunter2", None),
        ] {
            assert_eq!(program(&files, command).as_deref(), kept, "{command}");
        }
    }
}

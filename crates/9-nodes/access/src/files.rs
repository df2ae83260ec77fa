//! Files of a node: listed, shown and copied by an image of tools that has the node's root at `/host`.
//!
//! Symbolic links are followed as the node sees them: an absolute target means a path of the node, and not one of the pod.

use basalt_archive::{ArchiveLimits, Devices, Links, Policy};
use serde::Serialize;

use crate::AccessError;

/// Absolute path on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePath(String);

impl NodePath {
    /// Checks a path.
    ///
    /// # Errors
    /// [`AccessError::Path`] for one that is relative or has a control character in it.
    pub fn parse(text: &str) -> Result<Self, AccessError> {
        if text.starts_with('/') && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err(AccessError::Path { path: text.to_owned() })
    }

    /// Text of the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Start of all scripts: `$target` becomes the path in the pod of the node's path `$1`, without symbolic links on the way,
/// its last part included.
///
/// `$HOST_ROOT` is where the node's root is, `/host` unless set.
const RESOLVE: &str = r#"
host=${HOST_ROOT:-/host}
rest=$1
done=
links=0
while [ -n "$rest" ]; do
    rest=${rest#/}
    part=${rest%%/*}
    case $rest in */*) rest=/${rest#*/} ;; *) rest= ;; esac
    case $part in
        ''|.) continue ;;
        ..) done=${done%/*}; continue ;;
    esac
    if [ -L "$host$done/$part" ]; then
        links=$((links + 1))
        if [ "$links" -gt 40 ]; then echo "$1: too many symbolic links" >&2; exit 1; fi
        link=$(readlink "$host$done/$part")
        case $link in /*) done= ;; esac
        rest=/$link$rest
    else
        done=$done/$part
    fi
done
target=$host$done
if [ ! -e "$target" ]; then echo "$1: there is no such file on the node" >&2; exit 1; fi
"#;

/// Lists a folder, or names a file.
const LIST: &str = r#"
if [ -d "$target" ]; then
    cd "$target" && find . -mindepth 1 -maxdepth 1 -exec stat -c '%f %u %g %s %Y %n' {} +
else
    stat -c '%f %u %g %s %Y %n' "$target"
fi
"#;

/// Shows a file.
const SHOW: &str = r#"
if [ -d "$target" ]; then echo "$1: a folder; \`basalt node files list\` shows what is in it" >&2; exit 1; fi
cat "$target"
"#;

/// Writes a file or a folder as a tar archive. The names in it begin with its own name.
const PACK: &str = r#"
case $done in '') cd "$target" && set . ;; *) cd "${target%/*}" && set "./${target##*/}" ;; esac
tar -cf - "$1"
"#;

/// Operation of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileOperation {
    /// Entries of a folder, read by [`parse_list`].
    List,
    /// Content of a file.
    Show,
    /// A tar archive.
    Pack,
}

/// Command that performs an operation on a path, for a shell of POSIX.
pub fn command(operation: FileOperation, path: &NodePath) -> Vec<String> {
    let body = match operation {
        FileOperation::List => LIST,
        FileOperation::Show => SHOW,
        FileOperation::Pack => PACK,
    };
    ["sh", "-c", &format!("{RESOLVE}{body}"), "sh", path.as_str()]
        .map(str::to_owned)
        .to_vec()
}

/// Rules for what is copied from a node, whose files tenants may have made: nothing outside of the folder is written, links
/// that lead elsewhere, devices and sockets are left out.
pub fn policy() -> Policy<'static> {
    Policy {
        top: None,
        links: Links::InsideOrSkip,
        hard_links: true,
        devices: Devices::Skip,
        case_pairs: true,
        metadata: true,
        limits: ArchiveLimits::LARGE,
    }
}

/// Recognizes what tar says, and kubectl after it, of files that were written or removed while they were read, as logs are,
/// and of sockets. The archive is whole otherwise.
pub fn is_harmless(line: &str) -> bool {
    let remarks = [
        "file changed as we read it",
        "file removed before we read it",
        "File removed before we read it",
        "socket ignored",
        // GNU tar and busybox's about such a file, and at their end.
        "No such file or directory",
        "due to previous errors",
        "from previous errors",
        "command terminated with exit code",
    ];
    line.trim().is_empty() || remarks.iter().any(|remark| line.contains(remark))
}

/// Kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum NodeFileKind {
    /// Regular file.
    File,
    /// Folder.
    Folder,
    /// Symbolic link.
    Link,
    /// Device, pipe or socket.
    Special,
}

/// File or folder on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileInfo {
    /// Name.
    pub name: String,
    /// Kind.
    pub kind: NodeFileKind,
    /// Permission bits, with set-user-ID, set-group-ID and sticky.
    pub mode: u32,
    /// User id of the owner.
    pub user: u32,
    /// Group id of the owner.
    pub group: u32,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last change of the content, in seconds since 1970.
    pub modified: i64,
}

/// Reads what a script printed for [`FileOperation::List`], sorted by name. A line that is no entry continues the name of
/// the one before it, which has a line break.
pub fn parse_list(text: &str) -> Vec<FileInfo> {
    let mut files: Vec<FileInfo> = Vec::new();
    for line in text.lines() {
        match (entry(line), files.last_mut()) {
            (Some(file), _) => files.push(file),
            (None, Some(last)) => last.name = format!("{}\n{line}", last.name),
            (None, None) => {}
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

fn entry(line: &str) -> Option<FileInfo> {
    let mut words = line.splitn(6, ' ');
    let mode = u32::from_str_radix(words.next()?, 16).ok()?;
    Some(FileInfo {
        // S_IFMT of inode(7).
        kind: match mode & 0o170_000 {
            0o100_000 => NodeFileKind::File,
            0o040_000 => NodeFileKind::Folder,
            0o120_000 => NodeFileKind::Link,
            _ => NodeFileKind::Special,
        },
        mode: mode & 0o7777,
        user: words.next()?.parse().ok()?,
        group: words.next()?.parse().ok()?,
        size: words.next()?.parse().ok()?,
        modified: words.next()?.parse().ok()?,
        name: base_name(words.next()?).to_owned(),
    })
}

/// Last part of a path.
fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use basalt_process::Command;
    use camino::{Utf8Path, Utf8PathBuf};

    use super::*;

    /// Root of a node, in a folder.
    struct Root(tempfile::TempDir);

    impl Root {
        fn new() -> Self {
            let root = Self(tempfile::tempdir().expect("a folder"));
            fs_err::create_dir_all(root.path().join("run/deep")).expect("made");
            fs_err::create_dir_all(root.path().join("etc")).expect("made");
            fs_err::write(root.path().join("run/deep/id"), "abc\n").expect("written");
            let link = |to: &str, at: &str| fs_err::os::unix::fs::symlink(to, root.path().join(at)).expect("linked");
            link("/run", "var");
            link("/run/deep/id", "etc/id");
            link("../var/deep", "etc/deep");
            link("loop", "etc/loop");
            root
        }

        fn path(&self) -> Utf8PathBuf {
            Utf8PathBuf::try_from(self.0.path().to_owned()).expect("UTF-8")
        }

        fn run(&self, operation: FileOperation, path: &str) -> Result<Vec<u8>, String> {
            let words = command(operation, &NodePath::parse(path).expect("a path"));
            let (program, arguments) = words.split_first().expect("a program");
            let command = Command::new(program).args(arguments).env("HOST_ROOT", self.path());
            command
                .output()
                .map(|output| output.stdout)
                .map_err(|error| error.to_string())
        }

        fn show(&self, path: &str) -> Result<String, String> {
            self.run(FileOperation::Show, path)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
    }

    #[test]
    fn links_are_those_of_the_node() {
        let root = Root::new();
        for path in [
            "/run/deep/id",
            "/etc/id",
            "/var/deep/id",
            "/etc/deep/id",
            "/etc/../var/./deep//id",
            "/../run/deep/id",
        ] {
            assert_eq!(root.show(path).as_deref(), Ok("abc\n"), "{path}");
        }
        for (path, why) in [
            ("/etc/loop", "too many symbolic links"),
            ("/etc/none", "no such file on the node"),
            ("/etc/deep", "a folder"),
        ] {
            let error = root.show(path).expect_err(path);
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn folders_are_listed() {
        let root = Root::new();
        fs_err::write(root.path().join("run/two\nlines"), "").expect("written");
        let list = |path: &str| {
            let bytes = root.run(FileOperation::List, path).expect("listed");
            parse_list(&String::from_utf8_lossy(&bytes))
        };
        let names: Vec<_> = list("/var").into_iter().map(|file| (file.name, file.kind)).collect();
        assert_eq!(
            names,
            [
                ("deep".to_owned(), NodeFileKind::Folder),
                ("two\nlines".to_owned(), NodeFileKind::File)
            ]
        );
        let file = list("/etc/id").pop().expect("a file");
        assert_eq!(
            (file.name.as_str(), file.kind, file.size),
            ("id", NodeFileKind::File, 4)
        );
        let links = list("/etc")
            .iter()
            .filter(|file| file.kind == NodeFileKind::Link)
            .count();
        assert_eq!(links, 3);
    }

    fn unpacked(root: &Root, path: &str, into: &Utf8Path) {
        let bytes = root.run(FileOperation::Pack, path).expect("packed");
        basalt_archive::extract(bytes.as_slice(), path, into, policy()).expect("extracted");
    }

    #[test]
    fn files_and_folders_are_packed_under_their_names() {
        let root = Root::new();
        let target = tempfile::tempdir().expect("a folder");
        let into = Utf8Path::from_path(target.path()).expect("UTF-8");
        unpacked(&root, "/etc/deep", into);
        assert_eq!(fs_err::read_to_string(into.join("deep/id")).expect("read"), "abc\n");
        let target = tempfile::tempdir().expect("a folder");
        let into = Utf8Path::from_path(target.path()).expect("UTF-8");
        unpacked(&root, "/etc/id", into);
        assert_eq!(fs_err::read_to_string(into.join("id")).expect("read"), "abc\n");
    }

    #[test]
    fn nothing_is_written_outside() {
        for (name, link, is_refused) in [
            ("../evil", None, true),
            ("/evil", None, true),
            ("a", Some("/etc/passwd"), false),
            ("a", Some("../../b"), false),
        ] {
            let mut archive = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(0);
            if let Some(link) = link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(link).expect("a link");
            }
            let bytes = header.as_gnu_mut().expect("GNU");
            for (place, byte) in bytes.name.iter_mut().zip(name.bytes()) {
                *place = byte;
            }
            header.set_cksum();
            archive.append(&header, std::io::empty()).expect("appended");
            let bytes = archive.into_inner().expect("an archive");
            let target = tempfile::tempdir().expect("a folder");
            let into = Utf8Path::from_path(target.path()).expect("UTF-8").join("in");
            fs_err::create_dir(&into).expect("made");
            let extracted = basalt_archive::extract(bytes.as_slice(), "test", &into, policy());
            assert_eq!(extracted.is_err(), is_refused, "{name} {link:?}");
            // Neither outside nor inside.
            assert!(into.join("a").symlink_metadata().is_err());
            assert_eq!(fs_err::read_dir(target.path()).expect("a folder").count(), 1);
        }
    }

    #[test]
    fn remarks_about_changing_files_are_harmless() {
        for line in [
            "tar: ./log/pods/x: file changed as we read it",
            "tar: ./run/x.sock: socket ignored",
            "tar: ./log/gone: Cannot stat: No such file or directory",
            "tar: log/gone: No such file or directory",
            "tar: Exiting with failure status due to previous errors",
            "tar: error exit delayed from previous errors",
            "command terminated with exit code 1",
        ] {
            assert!(is_harmless(line), "{line}");
        }
        for line in [
            "tar: ./x: Read error: Input/output error",
            "/x: there is no such file on the node",
            "sh: tar: not found",
        ] {
            assert!(!is_harmless(line), "{line}");
        }
    }

    #[test]
    fn paths_are_absolute() {
        assert!(NodePath::parse("/var/lib/x y").is_ok());
        for path in ["", "etc", "./a", "/a\nb", "/a\u{1b}[0m"] {
            assert!(NodePath::parse(path).is_err(), "{path:?}");
        }
    }
}

//! Manifests in files, folders and on standard input.

use std::collections::BTreeSet;
use std::io::Read;

use basalt_document::Document;
use basalt_process::without_path;
use camino::{Utf8Path, Utf8PathBuf};
use walkdir::WalkDir;

use super::{ObjectSource, UnreadSource};
use crate::{ManifestObject, PreflightError};

/// Bytes of a file that are read at most.
const LARGEST: u64 = 256 << 20;
/// Ends of the names of manifests.
const EXTENSIONS: [&str; 3] = ["json", "yaml", "yml"];

/// Files, folders and standard input (`-`).
#[derive(Debug)]
pub struct FileSource<R> {
    paths: Vec<Utf8PathBuf>,
    stdin: R,
}

impl<R: Read> FileSource<R> {
    /// Source of some paths; `stdin` is what `-` stands for.
    pub fn new(paths: Vec<Utf8PathBuf>, stdin: R) -> Self {
        Self { paths, stdin }
    }

    fn text(&mut self, path: &Utf8Path) -> std::io::Result<String> {
        let mut text = String::new();
        // One byte more, to tell a file of that size from a larger one.
        let limit = LARGEST + 1;
        let length = match path == "-" {
            true => (&mut self.stdin).take(limit).read_to_string(&mut text)?,
            false => fs_err::File::open(path)?.take(limit).read_to_string(&mut text)?,
        };
        if u64::try_from(length).is_ok_and(|length| length > LARGEST) {
            return Err(std::io::Error::other(format!(
                "it is larger than {} MiB",
                LARGEST >> 20
            )));
        }
        Ok(text)
    }

    /// Adds the objects of a file, or the reason why it cannot be read.
    fn read_file(&mut self, path: &Utf8Path, objects: &mut Vec<ManifestObject>, unread: &mut Vec<UnreadSource>) {
        let documents = match self.text(path) {
            Ok(text) => Document::parse_stream(path.as_str(), &text).map_err(|problems| brief(&problems)),
            Err(error) => Err(without_path(error, path).to_string()),
        };
        match documents {
            Ok(documents) => {
                unread.extend(documents.iter().flat_map(|document| incomplete(path, document)));
                let numbered = documents.into_iter().zip(1..);
                objects.extend(numbered.flat_map(|(document, number)| ManifestObject::of_document(document, number)));
            }
            Err(reason) => unread.push(UnreadSource {
                source: path.to_string(),
                reason,
            }),
        }
    }
}

/// What a path that has no object at all is.
fn nothing(path: &Utf8Path) -> UnreadSource {
    let reason = if path == "-" {
        "no object of Kubernetes came in: the command before may have failed"
    } else if path.is_dir() {
        "no object of Kubernetes in it: `*.yaml`, `*.yml` and `*.json` are looked into"
    } else {
        "no object of Kubernetes in it: one has `apiVersion` and `kind`"
    };
    UnreadSource {
        source: path.to_string(),
        reason: reason.to_owned(),
    }
}

impl<R: Read> ObjectSource for FileSource<R> {
    fn read(&mut self) -> Result<(Vec<ManifestObject>, Vec<UnreadSource>), PreflightError> {
        let (mut objects, mut unread) = (Vec::new(), Vec::new());
        for path in self.paths.clone() {
            let mut files = Vec::new();
            let before = (objects.len(), unread.len());
            list(&path, &mut files, &mut unread)?;
            for file in files {
                self.read_file(&file, &mut objects, &mut unread);
            }
            if before == (objects.len(), unread.len()) {
                unread.push(nothing(&path));
            }
        }
        Ok((objects, unread))
    }
}

/// Objects of a document that have a kind and no apiVersion.
fn incomplete(path: &Utf8Path, document: &Document) -> Vec<UnreadSource> {
    let unread = |(offset, kind): (usize, &str)| UnreadSource {
        source: path.to_string(),
        reason: format!(
            "line {}: the object of kind {kind} has no apiVersion (add it; without one, the API server refuses the object)",
            document.line_and_column(offset).0
        ),
    };
    ManifestObject::without_version(document)
        .into_iter()
        .map(unread)
        .collect()
}

/// Problem of a file in one line, without its name.
fn brief(problems: &basalt_document::problem::Problems) -> String {
    let first = problems.iter().next();
    first.map_or_else(String::new, |problem| {
        let help = problem.help.as_deref().unwrap_or_default();
        format!("line {}: {} ({help})", problem.line, problem.message)
    })
}

/// Adds the files of a path: itself, or the manifests of a folder, in the order of their names. Hidden ones are left out.
fn list(path: &Utf8Path, files: &mut Vec<Utf8PathBuf>, unread: &mut Vec<UnreadSource>) -> Result<(), PreflightError> {
    if path == "-" {
        files.push(path.to_owned());
        return Ok(());
    }
    let help = "name files and folders with manifests, or `-` for standard input";
    let metadata = fs_err::metadata(path).map_err(PreflightError::read(path, help))?;
    if !metadata.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    let is_shown =
        |entry: &walkdir::DirEntry| entry.depth() == 0 || !entry.file_name().to_string_lossy().starts_with('.');
    for entry in WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(is_shown)
    {
        let found = entry.map_err(|error| error.to_string()).and_then(|entry| {
            let is_file = entry.file_type().is_file() || entry.path_is_symlink() && entry.path().is_file();
            let path = Utf8PathBuf::from_path_buf(entry.into_path());
            let path = path.map_err(|path| format!("`{}` is not UTF-8", path.display()))?;
            Ok(is_file.then_some(path))
        });
        match found {
            Ok(Some(path)) if path.extension().is_some_and(|end| EXTENSIONS.contains(&end)) => {
                if seen.insert(path.clone()) {
                    files.push(path);
                }
            }
            Ok(_) => {}
            Err(reason) => unread.push(UnreadSource {
                source: path.to_string(),
                reason,
            }),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_standard_input_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs_err::create_dir_all(path.parent().expect("a parent")).expect("made");
            fs_err::write(path, text).expect("written");
        };
        write("b/two.yml", "apiVersion: v1\nkind: Pod\nmetadata: {name: two}\n");
        write(
            "a.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"one\"}}",
        );
        write(".git/x.yaml", "kind: [");
        write("notes.txt", "kind: [");
        write("broken.yaml", "a: [\n");
        write("templates/x.yaml", "a: {{ .Values.a }}\n{{ end }}\n");
        let stdin = "apiVersion: v1\nkind: Pod\nmetadata: {name: in}\n".as_bytes();
        let mut source = FileSource::new(vec![root.to_owned(), "-".into()], stdin);
        let (objects, unread) = source.read().expect("read");
        let names: Vec<_> = objects.iter().map(|object| object.id.name.as_str()).collect();
        assert_eq!(names, ["one", "two", "in"]);
        let unread: Vec<_> = unread
            .iter()
            .map(|unread| (unread.source.as_str(), unread.reason.as_str()))
            .collect();
        assert_eq!(unread.len(), 2);
        assert!(
            unread[0].0.ends_with("broken.yaml") && unread[1].1.contains("helm template"),
            "{unread:?}"
        );
    }

    #[test]
    fn a_path_without_an_object_is_not_looked_at() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8");
        fs_err::create_dir(root.join("empty")).expect("made");
        fs_err::write(root.join("values.yaml"), "replicas: 2\n").expect("written");
        fs_err::write(root.join("pod.yaml"), "kind: Pod\nmetadata: {name: a}\n").expect("written");
        for (path, stdin, reason) in [
            (Utf8PathBuf::from("-"), "", "the command before may have failed"),
            (
                "-".into(),
                "Error: chart not found\n",
                "the command before may have failed",
            ),
            (root.join("empty"), "", "are looked into"),
            (root.join("values.yaml"), "", "`apiVersion` and `kind`"),
            (root.join("pod.yaml"), "", "the object of kind Pod has no apiVersion"),
        ] {
            let mut source = FileSource::new(vec![path.clone()], stdin.as_bytes());
            let (objects, unread) = source.read().expect("read");
            assert!(objects.is_empty());
            assert_eq!(unread.len(), 1, "{path}: {unread:?}");
            assert!(unread[0].reason.contains(reason), "{path}: {unread:?}");
        }
    }

    #[test]
    fn objects_without_a_version_are_named_by_their_places() {
        let text = "# a chart's values\nkind: DaemonSet\nimage: {tag: 1}\n---\napiVersion: v2\nname: chart\n---\n\
                    kind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: List\nitems:\n- kind: Job\n  spec: {}\n";
        let mut source = FileSource::new(vec!["-".into()], text.as_bytes());
        let (objects, unread) = source.read().expect("read");
        assert!(objects.is_empty(), "{objects:?}");
        let unread: Vec<_> = unread.iter().map(|unread| unread.reason.split(" (").next()).collect();
        let expected = [
            "line 8: the object of kind Pod has no apiVersion",
            "line 14: the object of kind Job has no apiVersion",
        ];
        assert_eq!(unread, expected.map(Some));
    }

    #[test]
    fn a_path_that_does_not_exist_is_an_error() {
        let mut source = FileSource::new(vec!["/nowhere".into()], std::io::empty());
        assert!(matches!(source.read(), Err(PreflightError::Read { .. })));
    }
}

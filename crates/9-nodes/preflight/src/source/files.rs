//! Manifests in files, folders and on standard input.

use std::collections::BTreeSet;
use std::io::Read;

use basalt_document::Document;
use basalt_process::{interrupt, without_path};
use camino::{Utf8Path, Utf8PathBuf};
use walkdir::WalkDir;

use super::defect::{self, Defect};
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

    /// Adds the objects of a file, and the reasons why it or some of its objects cannot be read.
    fn read_file(
        &mut self,
        path: &Utf8Path,
        objects: &mut Vec<ManifestObject>,
        unread: &mut Vec<UnreadSource>,
    ) -> Result<(), PreflightError> {
        interrupt::check()?;
        let refused = |reason: String| UnreadSource {
            source: path.to_string(),
            reason,
        };
        let text = match self.text(path) {
            Ok(text) => text,
            Err(error) => {
                unread.push(refused(without_path(error, path).to_string()));
                return Ok(());
            }
        };
        let documents = match Document::parse_stream(path.as_str(), &text) {
            Ok(documents) => documents,
            Err(problems) => {
                unread.push(refused(brief(&problems)));
                return Ok(());
            }
        };
        let in_line = |line: usize, defect: Defect| refused(format!("line {line}: {}", defect.reason));
        for (document, number) in documents.into_iter().zip(1..) {
            if let Some(defect) = defect::of_document(&document, &text) {
                unread.push(in_line(document.line_and_column(defect.offset).0, defect));
                continue;
            }
            unread.extend(without_version(path, &document));
            for object in ManifestObject::of_document(document, number) {
                interrupt::check()?;
                match defect::of_object(&object) {
                    Some(defect) => {
                        let line = object.position(defect.offset).map_or(1, |position| position.line);
                        unread.push(in_line(line, defect));
                    }
                    None => objects.push(object),
                }
            }
        }
        Ok(())
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
                self.read_file(&file, &mut objects, &mut unread)?;
            }
            if before == (objects.len(), unread.len()) {
                unread.push(nothing(&path));
            }
        }
        Ok((objects, unread))
    }
}

/// Objects of a document that have a kind and no apiVersion.
fn without_version(path: &Utf8Path, document: &Document) -> Vec<UnreadSource> {
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
        interrupt::check()?;
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
        write("b/two.yml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\n");
        write(
            "a.json",
            "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"one\"}}",
        );
        write(".git/x.yaml", "kind: [");
        write("notes.txt", "kind: [");
        write("broken.yaml", "a: [\n");
        write("templates/x.yaml", "a: {{ .Values.a }}\n{{ end }}\n");
        let stdin = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: in}\n".as_bytes();
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
    fn defects_are_named_by_their_lines_and_leave_the_rest() {
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  \
                    name: {{ .Release.Name }}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n    - name: c\n      \
                    image: \"{{ .Values.image }}\"\n---\napiVersion: v1\nkind: List\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  \
                    metadata: {name: x}\n";
        let mut source = FileSource::new(vec!["-".into()], text.as_bytes());
        let (objects, unread) = source.read().expect("read");
        let names: Vec<_> = objects.iter().map(|object| object.id.to_string()).collect();
        assert_eq!(names, ["ConfigMap a"]);
        let unread: Vec<_> = unread.iter().map(|unread| unread.reason.split(" (").next()).collect();
        let expected = [
            "line 8: this is a template",
            "line 16: this is a template",
            "line 21: Deployment x has no containers",
        ];
        assert_eq!(unread, expected.map(Some));
    }

    #[test]
    fn an_interruption_ends_the_reading() {
        let cancellation = basalt_process::Cancellation::default();
        cancellation.request();
        let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
        let mut source = FileSource::new(vec!["-".into()], text.as_bytes());
        let read = cancellation.scope(|| source.read());
        assert!(matches!(read, Err(PreflightError::Process(error)) if error.is_interrupt()));
    }

    #[test]
    fn a_path_that_does_not_exist_is_an_error() {
        let mut source = FileSource::new(vec!["/nowhere".into()], std::io::empty());
        assert!(matches!(source.read(), Err(PreflightError::Read { .. })));
    }
}

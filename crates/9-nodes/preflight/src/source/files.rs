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
        if path == "-" {
            (&mut self.stdin).take(LARGEST).read_to_string(&mut text)?;
        } else {
            fs_err::File::open(path)?.take(LARGEST).read_to_string(&mut text)?;
        }
        Ok(text)
    }
}

impl<R: Read> ObjectSource for FileSource<R> {
    fn read(&mut self) -> Result<(Vec<ManifestObject>, Vec<UnreadSource>), PreflightError> {
        let mut files = Vec::new();
        let mut unread = Vec::new();
        for path in &self.paths {
            list(path, &mut files, &mut unread)?;
        }
        let mut objects = Vec::new();
        for path in files {
            let documents = match self.text(&path) {
                Ok(text) => Document::parse_stream(path.as_str(), &text).map_err(|problems| brief(&problems)),
                Err(error) => Err(without_path(error, &path).to_string()),
            };
            match documents {
                Ok(documents) => {
                    unread.extend(documents.iter().flat_map(|document| incomplete(&path, document)));
                    let numbered = documents.into_iter().zip(1..);
                    objects
                        .extend(numbered.flat_map(|(document, number)| ManifestObject::of_document(document, number)));
                }
                Err(reason) => unread.push(UnreadSource {
                    source: path.to_string(),
                    reason,
                }),
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

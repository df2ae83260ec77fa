//! Tree of files: paths with their kinds, and the ways that links lead.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Links on one way; more lead in a circle (as many as Linux follows).
const MOST_LINKS: usize = 40;

/// Kind of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeEntry {
    /// Directory.
    Directory,
    /// Regular file.
    File,
    /// Socket.
    Socket,
    /// Symbolic link with its target.
    Link(String),
}

/// Files by absolute path. As JSON, a list of lines as `ls -F` writes them: `/usr/`, `/usr/bin/mount`,
/// `/run/x.sock=`, `/bin -> usr/bin`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTree(BTreeMap<String, TreeEntry>);

impl FileTree {
    /// Adds an entry unless there is one; folders above it are added, too.
    pub fn add(&mut self, path: &str, entry: TreeEntry) {
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            if self.0.contains_key(parent) {
                break;
            }
            self.0.insert(parent.to_owned(), TreeEntry::Directory);
            above = parent;
        }
        self.0.entry(path.to_owned()).or_insert(entry);
    }

    /// Removes an entry and all below it.
    pub fn remove(&mut self, path: &str) {
        self.0.retain(|other, _| !super::is_below(other, path));
    }

    /// Entry of a path, whose folders are no links.
    pub fn entry(&self, path: &str) -> Option<&TreeEntry> {
        match path {
            "/" => Some(&TreeEntry::Directory),
            _ => self.0.get(path),
        }
    }

    /// Paths below a folder, with their entries.
    pub fn below<'t>(&'t self, folder: &'t str) -> impl Iterator<Item = (&'t str, &'t TreeEntry)> {
        let entries = self.0.range(folder.to_owned()..);
        let entries = entries.take_while(move |(path, _)| path.starts_with(folder));
        let entries = entries.filter(move |(path, _)| super::is_below(path, folder));
        entries.map(|(path, entry)| (path.as_str(), entry))
    }

    /// Path that an absolute path leads to when all links are followed, the last one, too. Dots and doubled slashes are
    /// resolved; a way in a circle ends where it is found to be one.
    pub fn real_path(&self, path: &str) -> String {
        let mut left: Vec<String> = steps(path);
        let mut real = String::new();
        let mut followed = 0;
        while let Some(step) = left.pop() {
            if step == ".." {
                let up = real.rfind('/').unwrap_or(0);
                real.truncate(up);
                continue;
            }
            let next = format!("{real}/{step}");
            match self.0.get(&next) {
                Some(TreeEntry::Link(target)) if followed < MOST_LINKS => {
                    followed += 1;
                    if target.starts_with('/') {
                        real.clear();
                    }
                    left.extend(steps(target));
                }
                _ => real = next,
            }
        }
        if real.is_empty() { "/".to_owned() } else { real }
    }
}

/// Steps of a path in reverse order, without those that lead nowhere.
fn steps(path: &str) -> Vec<String> {
    let steps = path.split('/').filter(|step| !step.is_empty() && *step != ".");
    steps.rev().map(str::to_owned).collect()
}

impl Serialize for FileTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(path, entry)| match entry {
            TreeEntry::Directory => format!("{path}/"),
            TreeEntry::File => path.clone(),
            TreeEntry::Socket => format!("{path}="),
            TreeEntry::Link(target) => format!("{path} -> {target}"),
        }))
    }
}

impl<'de> Deserialize<'de> for FileTree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let lines = Vec::<String>::deserialize(deserializer)?;
        let mut tree = Self::default();
        for line in lines {
            match (line.split_once(" -> "), line.strip_suffix('/'), line.strip_suffix('=')) {
                (Some((path, target)), ..) => tree.add(path, TreeEntry::Link(target.to_owned())),
                (_, Some(path), _) => tree.add(path, TreeEntry::Directory),
                (.., Some(path)) => tree.add(path, TreeEntry::Socket),
                _ => tree.add(&line, TreeEntry::File),
            }
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> FileTree {
        let lines = r#"["/bin -> usr/bin", "/usr/bin/mount", "/opt -> /var/opt", "/etc/cni -> ../var/lib/cni-conf",
                        "/var/lib/", "/run/x.sock=", "/a -> b", "/b -> a", "/usr/bin-extra"]"#;
        serde_json::from_str(lines).expect("a tree")
    }

    #[test]
    fn links_are_followed() {
        for (path, real) in [
            ("/bin/mount", "/usr/bin/mount"),
            ("/opt/cni/bin", "/var/opt/cni/bin"),
            ("/etc/cni/net.d/", "/var/lib/cni-conf/net.d"),
            ("//bin/./../bin/mount", "/usr/bin/mount"),
            ("/../..", "/"),
            ("/usr/bin/../bin/none", "/usr/bin/none"),
        ] {
            assert_eq!(tree().real_path(path), real, "{path}");
        }
        assert!(["/a", "/b"].contains(&tree().real_path("/a").as_str()));
    }

    #[test]
    fn a_folder_is_no_prefix() {
        let tree = tree();
        let below: Vec<_> = tree.below("/usr/bin").map(|(path, _)| path).collect();
        assert_eq!(below, ["/usr/bin", "/usr/bin/mount"]);
        assert_eq!(tree.entry("/usr"), Some(&TreeEntry::Directory));
    }

    #[test]
    fn lines_are_written_as_they_are_read() {
        let text = serde_json::to_string(&tree()).expect("written");
        assert_eq!(serde_json::from_str::<FileTree>(&text).expect("read"), tree());
    }
}

//! Merge of the packages' files into one tree; conflicts between packages are errors.

use std::collections::{BTreeMap, BTreeSet};

use basalt_rpm::{FileEntry, FileKind};

use crate::accounts::Accounts;
use crate::root::{COMPOSER, Entry, Root, What};
use crate::{ImageError, ImagePackage};

/// Maximum number of links that are followed in one path; more are a cycle.
const MOST_LINKS: usize = 40;
/// Folders that the state partition or a file system in memory covers on a running node: files of packages in them
/// would never be visible.
const COVERED: &[&str] = &["/var/", "/run/", "/tmp/", "/dev/", "/proc/", "/sys/"];

/// Resolved paths of a package's files, in the order of its header; `None` for `%ghost` files and the root folder.
pub(crate) type Places = Vec<Option<String>>;

/// Files of all packages as one tree.
#[derive(Debug)]
pub(crate) struct Merged {
    /// Tree of the entries.
    pub(crate) root: Root,
    /// Resolved paths of each package's files, in the order of the packages.
    pub(crate) places: Vec<Places>,
}

/// Merges the files of all packages. For a `node`, files in folders that are covered at run time are an error.
pub(crate) fn merge(payloads: &[ImagePackage<'_>], accounts: &Accounts, node: bool) -> Result<Merged, ImageError> {
    let mut headers = Vec::with_capacity(payloads.len());
    for payload in payloads {
        if !payload.package.scriptlets.is_empty() {
            return Err(ImageError::Script {
                package: payload.package.name.clone(),
                scripts: payload.package.scriptlets.join(", "),
            });
        }
        if payload.package.is_build_tool() {
            return Err(ImageError::Tool {
                package: payload.package.name.clone(),
            });
        }
        headers.push(basalt_rpm::read_files(payload.path)?);
    }
    let links = Links::of(headers.iter().flatten());
    let mut root = Root::default();
    let mut places = Vec::with_capacity(payloads.len());
    for (index, (payload, files)) in payloads.iter().zip(&headers).enumerate() {
        let mut own = Places::with_capacity(files.len());
        for file in files {
            let package = &payload.package.name;
            let path = links.real_place(package, &file.path)?;
            own.push((!file.ghost && path != "/").then(|| path.clone()));
            if file.ghost || path == "/" {
                continue;
            }
            if node && file.kind != FileKind::Directory && COVERED.iter().any(|covered| path.starts_with(covered)) {
                return Err(ImageError::Place {
                    package: package.clone(),
                    path: file.path.clone(),
                    why: format!("it lies at `{path}`, which a running node covers with something else"),
                    help: "put it below /usr, and let tmpfiles.d make what has to be in /var or /run",
                });
            }
            let entry = entry(payload, index, file, accounts)?;
            root.add_parents(&path);
            add(&mut root, path, entry)?;
        }
        places.push(own);
    }
    check_parents(&root)?;
    Ok(Merged { root, places })
}

fn entry(payload: &ImagePackage<'_>, index: usize, file: &FileEntry, accounts: &Accounts) -> Result<Entry, ImageError> {
    let package = payload.package.name.clone();
    let place = |why: &str, help| ImageError::Place {
        package: package.clone(),
        path: file.path.clone(),
        why: why.to_owned(),
        help,
    };
    if !file.capabilities.is_empty() {
        let why = "it has file capabilities, which images do not carry";
        return Err(place(why, "let its unit give it AmbientCapabilities="));
    }
    let what = match &file.kind {
        FileKind::Directory => What::Directory,
        FileKind::Symlink(target) => What::Symlink(target.clone()),
        FileKind::Regular { digest, size } => What::Packaged {
            payload: index,
            path: file.path.clone(),
            digest: digest.clone(),
            size: *size,
        },
        FileKind::Special => {
            let why = "it is a device, a pipe or a socket";
            return Err(place(why, "let tmpfiles.d make it at boot"));
        }
    };
    let owner = |what, name: &str| ImageError::Owner {
        package: package.clone(),
        path: file.path.clone(),
        what,
        name: name.to_owned(),
    };
    Ok(Entry {
        what,
        mode: file.mode & 0o7777,
        user: accounts.user(&file.user).ok_or_else(|| owner("user", &file.user))?,
        group: accounts.group(&file.group).ok_or_else(|| owner("group", &file.group))?,
        package: package.clone(),
    })
}

fn add(root: &mut Root, path: String, entry: Entry) -> Result<(), ImageError> {
    let Some(there) = root.entries.get(&path) else {
        root.entries.insert(path, entry);
        return Ok(());
    };
    // This package declares a folder that was added only as the parent of an entry.
    if there.package == COMPOSER && there.what == What::Directory && entry.what == What::Directory {
        root.entries.insert(path, entry);
        return Ok(());
    }
    if same(there, &entry) {
        return Ok(());
    }
    Err(ImageError::Conflict {
        path,
        first: there.package.clone(),
        first_what: describe(there, &entry),
        second: entry.package.clone(),
        second_what: describe(&entry, there),
    })
}

/// Returns `true` if two entries are the same: type and content, and for all but links mode, owner and group.
fn same(one: &Entry, other: &Entry) -> bool {
    let content = match (&one.what, &other.what) {
        (What::Directory, What::Directory) => true,
        (What::Symlink(one), What::Symlink(other)) => return one == other,
        (What::Packaged { digest: one, .. }, What::Packaged { digest: other, .. }) => one == other,
        _ => false,
    };
    content && (one.mode, one.user, one.group) == (other.mode, other.user, other.group)
}

/// Returns a description of an entry: its type and content, and owner and mode if they differ from those of the other.
fn describe(entry: &Entry, other: &Entry) -> String {
    let what = match &entry.what {
        What::Directory => "a folder".to_owned(),
        What::Symlink(target) => format!("a link to `{target}`"),
        What::Packaged { digest, .. } => format!("a file ({}…)", digest.get(..12).unwrap_or(digest)),
        What::Made(_) => "a file".to_owned(),
    };
    let rights = |entry: &Entry| (entry.mode, entry.user, entry.group);
    match rights(entry) == rights(other) {
        true => what,
        false => format!("{what} of {}:{} with mode {:o}", entry.user, entry.group, entry.mode),
    }
}

/// Checks that the parents of all entries are folders.
fn check_parents(root: &Root) -> Result<(), ImageError> {
    for (path, entry) in &root.entries {
        let Some((parent, _)) = path.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) else {
            continue;
        };
        let Some(above) = root.entries.get(parent).filter(|above| above.what != What::Directory) else {
            continue;
        };
        return Err(ImageError::Place {
            package: entry.package.clone(),
            path: path.clone(),
            why: format!("`{parent}` of the package {} is not a folder", above.package),
            help: "move one of the two",
        });
    }
    Ok(())
}

/// Symbolic links of all packages, which paths of other packages may lead through.
struct Links {
    targets: BTreeMap<String, String>,
}

impl Links {
    fn of<'f>(files: impl Iterator<Item = &'f FileEntry>) -> Self {
        let mut targets = BTreeMap::new();
        let mut folders = BTreeSet::new();
        for file in files.filter(|file| !file.ghost) {
            match &file.kind {
                FileKind::Symlink(target) => drop(targets.insert(file.path.clone(), target.clone())),
                FileKind::Directory => drop(folders.insert(file.path.clone())),
                _ => {}
            }
        }
        // A folder of one package at the place of another's link is a conflict that the merge reports.
        targets.retain(|path, _| !folders.contains(path));
        Self { targets }
    }

    /// Resolves the links in the folders above a path of a package; the last component is not followed.
    ///
    /// # Errors
    /// When the links form a cycle.
    fn real_place(&self, package: &str, path: &str) -> Result<String, ImageError> {
        let mut left: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .rev()
            .map(str::to_owned)
            .collect();
        let mut real = String::new();
        let mut followed = 0;
        while let Some(part) = left.pop() {
            match part.as_str() {
                "." => continue,
                ".." => {
                    let up = real.rfind('/').unwrap_or(0);
                    real.truncate(up);
                    continue;
                }
                _ => {}
            }
            let next = format!("{real}/{part}");
            match self.targets.get(&next).filter(|_| !left.is_empty()) {
                None => real = next,
                Some(target) => {
                    followed += 1;
                    if followed > MOST_LINKS {
                        return Err(ImageError::Place {
                            package: package.to_owned(),
                            path: path.to_owned(),
                            why: "the links that it leads through go in a circle".to_owned(),
                            help: "look at the links of the package `filesystem`",
                        });
                    }
                    if target.starts_with('/') {
                        real.clear();
                    }
                    left.extend(
                        target
                            .split('/')
                            .filter(|part| !part.is_empty())
                            .rev()
                            .map(str::to_owned),
                    );
                }
            }
        }
        Ok(if real.is_empty() { "/".to_owned() } else { real })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(path: &str, target: &str) -> FileEntry {
        FileEntry {
            path: path.to_owned(),
            kind: FileKind::Symlink(target.to_owned()),
            mode: 0o777,
            user: "root".to_owned(),
            group: "root".to_owned(),
            capabilities: String::new(),
            ghost: false,
        }
    }

    #[test]
    fn paths_lead_through_the_links_of_other_packages() {
        let files = [
            link("/lib", "usr/lib"),
            link("/sbin", "usr/bin"),
            link("/usr/sbin", "bin"),
            link("/etc/cni", "../var/lib/cni-conf"),
            link("/opt", "/var/opt"),
        ];
        let links = Links::of(files.iter());
        let real = |path| links.real_place("example", path).expect("a place");
        assert_eq!(real("/lib/modules/x"), "/usr/lib/modules/x");
        assert_eq!(real("/usr/sbin/init"), "/usr/bin/init");
        assert_eq!(real("/etc/cni/net.d"), "/var/lib/cni-conf/net.d");
        assert_eq!(real("/opt/a/b"), "/var/opt/a/b");
        assert_eq!(real("/lib"), "/lib");
        assert_eq!(real("/usr/lib"), "/usr/lib");
    }

    #[test]
    fn links_in_a_circle_are_said() {
        let files = [link("/a", "b"), link("/b", "a")];
        let error = Links::of(files.iter())
            .real_place("example", "/a/x")
            .expect_err("a circle");
        assert!(error.to_string().contains("circle"), "{error}");
    }
}

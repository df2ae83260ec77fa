//! Checks of entries, one after the other, without touching a file system.

use std::collections::HashMap;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use crate::{Devices, Links, Policy, Violation};

/// Longest name of one file in bytes (`NAME_MAX`).
const LONGEST_PART: usize = 255;

/// Kind of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with content.
    File,
    /// A folder.
    Folder,
    /// A symbolic link.
    Symlink,
    /// Another name of a file.
    HardLink,
    /// A device node, pipe or socket, and its name.
    Special(&'static str),
    /// Facts about the archive or the next entry, no entry itself.
    Metadata,
    /// Anything else, by its type flag.
    Unknown(u8),
}

/// Head of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveEntry<'e> {
    /// Name, as it stands.
    pub name: &'e [u8],
    /// Kind.
    pub kind: EntryKind,
    /// Bytes of content.
    pub size: u64,
    /// Target of a link, as it stands; empty for all others.
    pub target: &'e [u8],
}

/// Instruction for one entry. Paths are relative, plain, and below the folder that is extracted into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtractionStep {
    /// Write its content.
    File(Utf8PathBuf),
    /// Make it, unless it is there.
    Folder(Utf8PathBuf),
    /// Link to this target.
    Symlink(Utf8PathBuf, String),
    /// Link to this other file of the archive.
    HardLink(Utf8PathBuf, Utf8PathBuf),
    /// Nothing.
    Skip,
}

/// Kind of the entry that has taken a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    File,
    /// A folder that has an entry, or one that only follows from the names of others.
    Folder,
    Link,
}

/// Checks the entries of one archive.
#[derive(Debug)]
pub struct Checker<'p> {
    policy: Policy<'p>,
    taken: HashMap<Utf8PathBuf, Taken>,
    /// Lower-case form of every path, with the path.
    folded: HashMap<String, Utf8PathBuf>,
    entries: u64,
    total: u64,
}

impl<'p> Checker<'p> {
    /// A checker for one archive.
    pub fn new(policy: Policy<'p>) -> Self {
        Self {
            policy,
            taken: HashMap::new(),
            folded: HashMap::new(),
            entries: 0,
            total: 0,
        }
    }

    /// Checks the next entry.
    ///
    /// # Errors
    /// With the rule that it breaks. Nothing more of the archive should be extracted then.
    pub fn check(&mut self, entry: &ArchiveEntry<'_>) -> Result<ExtractionStep, Violation> {
        self.count(entry)?;
        if entry.kind == EntryKind::Metadata {
            return Ok(ExtractionStep::Skip);
        }
        let path = self.name(entry.name)?;
        match entry.kind {
            EntryKind::Metadata => Ok(ExtractionStep::Skip),
            EntryKind::Unknown(flag) => Err(Violation::UnknownKind(flag)),
            EntryKind::Special(what) => match self.policy.devices {
                Devices::Refuse => Err(Violation::Special(what)),
                Devices::Skip => Ok(ExtractionStep::Skip),
            },
            // The folder itself that everything goes into.
            EntryKind::Folder if path.as_str().is_empty() => Ok(ExtractionStep::Skip),
            _ if path.as_str().is_empty() => Err(Violation::Empty),
            EntryKind::Folder => {
                self.take_folder(&path)?;
                Ok(ExtractionStep::Folder(path))
            }
            EntryKind::File => {
                self.take(&path, Taken::File)?;
                Ok(ExtractionStep::File(path))
            }
            EntryKind::Symlink => self.symlink(path, entry.target),
            EntryKind::HardLink => self.hard_link(path, entry.target),
        }
    }

    fn count(&mut self, entry: &ArchiveEntry<'_>) -> Result<(), Violation> {
        self.entries += 1;
        if self.entries > self.policy.limits.entries {
            return Err(Violation::TooMany(self.policy.limits.entries));
        }
        self.total = self.total.saturating_add(entry.size);
        if self.total > self.policy.limits.total {
            return Err(Violation::TooLarge(self.policy.limits.total));
        }
        Ok(())
    }

    /// The plain form of a name: without `.`, and below the folder that all must be in.
    fn name(&self, name: &[u8]) -> Result<Utf8PathBuf, Violation> {
        let limits = self.policy.limits;
        let path = plain(name)?;
        let too_long = path.as_str().len() > limits.name
            || path.components().count() > limits.depth
            || path.components().any(|part| part.as_str().len() > LONGEST_PART);
        if too_long {
            return Err(Violation::TooLong(limits.name, limits.depth));
        }
        match self.policy.top {
            Some(top) if !path.starts_with(top) => Err(Violation::OutsideTop(top.to_owned())),
            _ => Ok(path),
        }
    }

    fn symlink(&mut self, path: Utf8PathBuf, target: &[u8]) -> Result<ExtractionStep, Violation> {
        let target = std::str::from_utf8(target).map_err(|_| Violation::NotUtf8)?;
        let outside = || Violation::LinkOutside(target.to_owned());
        match self.policy.links {
            Links::Refuse => return Err(Violation::Link("symbolic")),
            Links::InsideOrSkip if !stays_inside(&path, target, self.policy.top) => return Ok(ExtractionStep::Skip),
            Links::Inside if !stays_inside(&path, target, self.policy.top) => return Err(outside()),
            Links::Any if target.is_empty() || target.contains('\0') => return Err(outside()),
            Links::Inside | Links::InsideOrSkip | Links::Any => {}
        }
        self.take(&path, Taken::Link)?;
        Ok(ExtractionStep::Symlink(path, target.to_owned()))
    }

    fn hard_link(&mut self, path: Utf8PathBuf, target: &[u8]) -> Result<ExtractionStep, Violation> {
        if !self.policy.hard_links {
            return Err(Violation::Link("hard"));
        }
        let to = self.name(target)?;
        // Only a file that is extracted already: whatever else is on this disk must not get another name.
        if self.taken.get(&to) != Some(&Taken::File) {
            return Err(Violation::HardLink(to.into_string()));
        }
        self.take(&path, Taken::File)?;
        Ok(ExtractionStep::HardLink(path, to))
    }

    /// Takes a path for something that is no folder.
    fn take(&mut self, path: &Utf8Path, what: Taken) -> Result<(), Violation> {
        self.take_parents(path)?;
        if self.taken.contains_key(path) {
            return Err(Violation::Twice);
        }
        self.insert(path, what)
    }

    fn take_folder(&mut self, path: &Utf8Path) -> Result<(), Violation> {
        self.take_parents(path)?;
        match self.taken.get(path) {
            None => self.insert(path, Taken::Folder),
            Some(Taken::Folder) => Ok(()),
            Some(_) => Err(Violation::Twice),
        }
    }

    fn take_parents(&mut self, path: &Utf8Path) -> Result<(), Violation> {
        let mut parents: Vec<_> = path.ancestors().skip(1).collect();
        // The last one is the empty path.
        parents.pop();
        for parent in parents.into_iter().rev() {
            match self.taken.get(parent) {
                Some(Taken::Folder) => {}
                Some(_) => return Err(Violation::Through(parent.to_string())),
                None => self.insert(parent, Taken::Folder)?,
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: &Utf8Path, what: Taken) -> Result<(), Violation> {
        if !self.policy.case_pairs
            && let Some(other) = self.folded.insert(path.as_str().to_lowercase(), path.to_owned())
        {
            return Err(Violation::CasePair(other.into_string()));
        }
        self.taken.insert(path.to_owned(), what);
        Ok(())
    }
}

/// A name without `.`; relative, and with nothing in it that leads or looks elsewhere.
fn plain(name: &[u8]) -> Result<Utf8PathBuf, Violation> {
    let name = std::str::from_utf8(name).map_err(|_| Violation::NotUtf8)?;
    if name.chars().any(char::is_control) {
        return Err(Violation::Control);
    }
    let mut path = Utf8PathBuf::new();
    for part in Utf8Path::new(name).components() {
        match part {
            Utf8Component::RootDir | Utf8Component::Prefix(_) => return Err(Violation::Absolute),
            Utf8Component::ParentDir => return Err(Violation::Upwards),
            Utf8Component::CurDir => {}
            Utf8Component::Normal(part) => path.push(part),
        }
    }
    if name.is_empty() {
        return Err(Violation::Empty);
    }
    Ok(path)
}

/// Returns `true` if a link at `path` with that target leads to a path inside of the folder (below `top` in it, where
/// there is one): up by as many folders as there are, which are real ones, then down. Links on the way down stay
/// inside, too.
fn stays_inside(path: &Utf8Path, target: &str, top: Option<&str>) -> bool {
    if target.is_empty() || target.starts_with('/') || target.chars().any(char::is_control) {
        return false;
    }
    let mut depth = path.components().count().saturating_sub(1);
    let least = top.map_or(0, |top| Utf8Path::new(top).components().count());
    let mut down = false;
    for part in Utf8Path::new(target).components() {
        match part {
            // After a step down, `..` may be the parent of where a link leads: only leading ones are simple.
            Utf8Component::ParentDir if down => return false,
            Utf8Component::ParentDir if depth <= least => return false,
            Utf8Component::ParentDir => depth -= 1,
            Utf8Component::Normal(_) => down = true,
            _ => {}
        }
    }
    true
}

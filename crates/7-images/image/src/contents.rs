//! Listing of the entries of an image with their contents, without composing it.

use std::io::Read;

use crate::definition::{ImageDefinition, ImageKind};

use crate::accounts::{self, Accounts};
use crate::merge::{self, Merged};
use crate::payload::extract;
use crate::root::{Entry, Sink};
use crate::{ImageError, ImagePackage};

/// Entry of an image, at its path after resolving links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'c> {
    /// Absolute path.
    pub path: &'c str,
    /// Type of the entry.
    pub kind: ContentKind<'c>,
    /// Permissions, with the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// UID of the owner.
    pub user: u32,
    /// GID of the group.
    pub group: u32,
    /// Name of the package that contains the entry; `the composer` if no package does.
    pub package: &'c str,
}

/// Type of an entry. Composing refuses devices, pipes, sockets and file capabilities, so that images have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind<'c> {
    /// Directory.
    Directory,
    /// Symbolic link, with its target.
    Symlink(&'c str),
    /// Regular file, with its size in bytes.
    File(u64),
    /// Hard link, with the path of the same file that was listed before.
    HardLink(&'c str),
}

/// Callback that is called once for each entry, with a reader of the content for regular files and an empty reader for
/// others.
pub type Look<'l> = dyn FnMut(&Content<'_>, &mut dyn Read) -> std::io::Result<()> + 'l;

/// Calls `look` for each entry in the root of an image of this definition, composed of these packages. The rpm database
/// and the bills of materials, which describe the packages, are left out, and so is the EFI system partition.
///
/// # Errors
/// When packages conflict, when one is damaged, when `look` fails.
pub fn contents(
    definition: &ImageDefinition,
    rpms: &[ImagePackage<'_>],
    look: &mut Look<'_>,
) -> Result<(), ImageError> {
    let mut payloads = rpms.to_vec();
    payloads.sort_by(|one, other| (&one.package.name, one.digest).cmp(&(&other.package.name, other.digest)));
    let extracted = extract(&payloads, |path| path.starts_with(accounts::FOLDER))?;
    let accounts = Accounts::from_sysusers(&extracted)?;
    let node = matches!(definition.kind, ImageKind::Disk(_));
    let Merged { mut root, .. } = merge::merge(&payloads, &accounts, node)?;
    root.exclude(&definition.exclude);
    if !matches!(definition.kind, ImageKind::Tree) {
        root.add_made("/etc/passwd", accounts.passwd().into_bytes())?;
        root.add_made("/etc/group", accounts.group_file().into_bytes())?;
    }
    root.hand_over(&payloads, &mut Shown(look))
}

struct Shown<'s, 'l>(&'s mut Look<'l>);

impl Shown<'_, '_> {
    fn show(
        &mut self,
        path: &str,
        entry: &Entry,
        kind: ContentKind<'_>,
        bytes: &mut dyn Read,
    ) -> Result<(), ImageError> {
        let content = Content {
            path,
            kind,
            mode: entry.mode,
            user: entry.user,
            group: entry.group,
            package: &entry.package,
        };
        (self.0)(&content, bytes).map_err(ImageError::io("cannot look at", path))
    }
}

impl Sink for Shown<'_, '_> {
    fn directory(&mut self, path: &str, entry: &Entry) -> Result<(), ImageError> {
        self.show(path, entry, ContentKind::Directory, &mut std::io::empty())
    }

    fn symlink(&mut self, path: &str, entry: &Entry, target: &str) -> Result<(), ImageError> {
        self.show(path, entry, ContentKind::Symlink(target), &mut std::io::empty())
    }

    fn file(&mut self, path: &str, entry: &Entry, size: u64, content: &mut dyn Read) -> Result<(), ImageError> {
        self.show(path, entry, ContentKind::File(size), content)
    }

    fn hard_link(&mut self, path: &str, entry: &Entry, first: &str) -> Result<(), ImageError> {
        self.show(path, entry, ContentKind::HardLink(first), &mut std::io::empty())
    }
}

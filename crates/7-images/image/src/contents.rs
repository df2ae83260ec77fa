//! What is in an image, file by file, without composing it.

use std::io::Read;

use crate::definition::{ImageDefinition, ImageKind};

use crate::accounts::{self, Accounts};
use crate::merge::{self, Merged};
use crate::payload::extract;
use crate::root::{Entry, Sink};
use crate::{ImageError, Payload};

/// One entry of an image, at its real place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content<'c> {
    /// The absolute path.
    pub path: &'c str,
    /// What it is.
    pub kind: ContentKind<'c>,
    /// The permissions, with the set-user-ID, set-group-ID and sticky bits.
    pub mode: u32,
    /// The number of the owner.
    pub user: u32,
    /// The number of the group.
    pub group: u32,
    /// The package that it is from; `the composer` for what is from none.
    pub package: &'c str,
}

/// What an entry of an image is. File capabilities, devices, pipes and sockets are in no image: composing refuses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentKind<'c> {
    /// A folder.
    Directory,
    /// A symbolic link, and where it leads.
    Symlink(&'c str),
    /// A file, and how many bytes it has.
    File(u64),
    /// Another name of a file that came before.
    HardLink(&'c str),
}

/// Who looks at the contents: at each entry once, with a reader of the bytes where it is a file.
pub type Look<'l> = dyn FnMut(&Content<'_>, &mut dyn Read) -> std::io::Result<()> + 'l;

/// Shows all that an image of this definition has in its root, from the packages that it installs. Left out are the
/// rpm database and bills of materials, which describe the packages, and the boot loader's partition.
///
/// # Errors
/// When packages are at odds, when one is damaged, when `look` fails.
pub fn contents(definition: &ImageDefinition, rpms: &[Payload<'_>], look: &mut Look<'_>) -> Result<(), ImageError> {
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

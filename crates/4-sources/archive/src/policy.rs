//! Rules for the content of an archive.

/// Limits of the size of an archive's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Entries, folders among them.
    pub entries: u64,
    /// Bytes of all files together, unpacked.
    pub total: u64,
    /// Bytes of a name.
    pub name: usize,
    /// Folders inside each other.
    pub depth: usize,
}

impl ArchiveLimits {
    /// For source archives and trees of programs: 500,000 entries (Linux has 90,000) and 32 GiB.
    pub const LARGE: Self = Self {
        entries: 500_000,
        total: 32 << 30,
        name: 4095,
        depth: 128,
    };
    /// For archives of single libraries: 50,000 entries and 1 GiB.
    pub const SMALL: Self = Self {
        entries: 50_000,
        total: 1 << 30,
        name: 1024,
        depth: 64,
    };
}

/// Symbolic links that are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// None: an archive with one is refused.
    Refuse,
    /// Links whose target is a relative path that stays inside of the folder.
    Inside,
    /// Links as of [`Links::Inside`]; others are left out. For files of a running system, whose links are often absolute.
    InsideOrSkip,
    /// All: the folder becomes the root of a sandbox, and targets are paths in there.
    Any,
}

/// Device nodes and pipes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Devices {
    /// An archive with one is refused.
    Refuse,
    /// Device nodes and pipes are left out: sandboxes have a `/dev` of their own.
    Skip,
}

/// Rules for one archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy<'p> {
    /// The one folder below which all entries have to be; any, unless said.
    pub top: Option<&'p str>,
    /// Symbolic links.
    pub links: Links,
    /// `true` if a file may have several names.
    pub hard_links: bool,
    /// Devices.
    pub devices: Devices,
    /// `true` if two names may differ by case only. File systems that are not case-sensitive would lose one.
    pub case_pairs: bool,
    /// `true` to keep modes and times. Otherwise files become 0644, or 0755 where their owner may run them, folders
    /// 0755, and times are those of extraction: the tree follows from names and contents alone.
    pub metadata: bool,
    /// Limits of size.
    pub limits: ArchiveLimits,
}

impl<'p> Policy<'p> {
    /// For the archive of a library: regular files and folders below `top`, and nothing else.
    pub fn library(top: &'p str) -> Self {
        Self {
            top: Some(top),
            links: Links::Refuse,
            hard_links: false,
            devices: Devices::Refuse,
            case_pairs: false,
            metadata: false,
            limits: ArchiveLimits::SMALL,
        }
    }

    /// For source archives: links inside are common, and kept.
    pub fn source() -> Self {
        Self {
            top: None,
            links: Links::Inside,
            hard_links: true,
            devices: Devices::Refuse,
            case_pairs: false,
            metadata: true,
            limits: ArchiveLimits::LARGE,
        }
    }

    /// For whole file systems, as installers pack them.
    pub fn file_system() -> Self {
        Self {
            top: None,
            links: Links::Any,
            hard_links: true,
            devices: Devices::Skip,
            case_pairs: true,
            metadata: true,
            limits: ArchiveLimits::LARGE,
        }
    }
}

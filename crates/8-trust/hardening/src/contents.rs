//! Contents of an image that hardening checks look at: files with their modes and owners, ELF files, the kernel's
//! settings.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use basalt_image::definition::ImageDefinition;
use basalt_image::{Content, ContentKind, ImagePackage};

use crate::elf::{Elf, read_elf};
use crate::kernel_package::release_of_config;
use crate::settings::Kernel;
use crate::{HardeningError, Kconfig};

/// Folders with settings of the kernel; a file of the first folder replaces one of its name in the second.
const SYSCTLS: [&str; 2] = ["/etc/sysctl.d/", "/usr/lib/sysctl.d/"];
/// Bytes of an ELF file that are read at most; a larger file is judged by its beginning.
const LARGEST: u64 = 512 << 20;

/// Name of a file with settings of the kernel, and `true` if it is in the first of [`SYSCTLS`].
fn sysctl_file(path: &str) -> Option<(&str, bool)> {
    let [first, second] = SYSCTLS;
    let first = path.strip_prefix(first).map(|name| (name, true));
    let found = first.or_else(|| Some((path.strip_prefix(second)?, false)));
    found.filter(|(name, _)| name.ends_with(".conf"))
}

/// Contents of an image, read from the payloads of its packages.
#[derive(Debug, Clone, Default)]
pub struct ImageContents {
    /// Files and folders of the image; symbolic links have no permissions of their own and are left out.
    pub(crate) entries: Vec<Entry>,
    /// Paths of the image, symbolic links among them.
    pub(crate) paths: BTreeSet<String>,
    /// ELF files, sorted by path.
    pub(crate) programs: Vec<Program>,
    /// The kernel, if there is one.
    pub(crate) kernel: Option<Kernel>,
    /// Names of users by user ID, from /etc/passwd.
    pub(crate) users: BTreeMap<u32, String>,
    pub(crate) groups: BTreeMap<u32, String>,
}

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) path: String,
    pub(crate) package: String,
    pub(crate) directory: bool,
    pub(crate) mode: u32,
    pub(crate) user: u32,
    pub(crate) group: u32,
}

/// A program or a library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: String,
    pub(crate) package: String,
    pub(crate) elf: Elf,
}

/// Contents read so far; settings of the kernel are evaluated when all files have been read.
#[derive(Default)]
struct Gathered {
    contents: ImageContents,
    config: Option<Kconfig>,
    /// Text of each `*.conf` file by its name, and `true` if it is from the first folder of [`SYSCTLS`].
    sysctls: BTreeMap<String, (bool, String)>,
    damaged: Option<HardeningError>,
}

impl ImageContents {
    /// Reads the packages that an image installs. `command_line` is what the kernel of a disk is told.
    ///
    /// # Errors
    /// When a package is damaged, or packages are at odds.
    pub fn read(
        definition: &ImageDefinition,
        rpms: &[ImagePackage<'_>],
        command_line: Option<&str>,
    ) -> Result<Self, HardeningError> {
        let gathered = RefCell::new(Gathered::default());
        let look = &mut |content: &Content<'_>, bytes: &mut dyn Read| gathered.borrow_mut().look(content, bytes);
        let read = basalt_image::contents(definition, rpms, look).map_err(HardeningError::from);
        let gathered = gathered.into_inner();
        if let Some(damaged) = gathered.damaged {
            return Err(damaged);
        }
        read?;
        Ok(gathered.finish(command_line))
    }
}

impl Gathered {
    fn look(&mut self, content: &Content<'_>, bytes: &mut dyn Read) -> std::io::Result<()> {
        let new = self.contents.paths.insert(content.path.to_owned());
        if !new || matches!(content.kind, ContentKind::Symlink(_)) {
            return Ok(());
        }
        self.contents.entries.push(Entry {
            path: content.path.to_owned(),
            package: content.package.to_owned(),
            directory: content.kind == ContentKind::Directory,
            mode: content.mode,
            user: content.user,
            group: content.group,
        });
        let ContentKind::File(size) = content.kind else {
            return Ok(());
        };
        let path = content.path;
        let mut text = || {
            let mut text = Vec::new();
            bytes.read_to_end(&mut text)?;
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&text).into_owned())
        };
        match path {
            "/etc/passwd" => self.contents.users = numbers(&text()?),
            "/etc/group" => self.contents.groups = numbers(&text()?),
            _ if release_of_config(path).is_some() => self.config = Some(Kconfig::parse(&text()?)),
            _ => match sysctl_file(path) {
                Some((name, overrides)) => {
                    let text = text()?;
                    let kept = self.sysctls.entry(name.to_owned()).or_insert((overrides, text.clone()));
                    if overrides {
                        *kept = (true, text);
                    }
                }
                _ => self.program(content, size, bytes)?,
            },
        }
        Ok(())
    }

    fn program(&mut self, content: &Content<'_>, size: u64, bytes: &mut dyn Read) -> std::io::Result<()> {
        let mut program = Vec::new();
        bytes.take(4).read_to_end(&mut program)?;
        if program != b"\x7fELF" {
            return Ok(());
        }
        program.reserve(usize::try_from(size.min(LARGEST)).unwrap_or_default());
        bytes.take(LARGEST).read_to_end(&mut program)?;
        match read_elf(&program) {
            Ok(None) => {}
            Ok(Some(elf)) => self.contents.programs.push(Program {
                path: content.path.to_owned(),
                package: content.package.to_owned(),
                elf,
            }),
            Err(why) => {
                self.damaged.get_or_insert(HardeningError::Elf {
                    path: content.path.to_owned(),
                    package: content.package.to_owned(),
                    why,
                });
            }
        }
        Ok(())
    }

    fn finish(self, command_line: Option<&str>) -> ImageContents {
        let mut contents = self.contents;
        contents.entries.sort_by(|one, other| one.path.cmp(&other.path));
        contents.programs.sort_by(|one, other| one.path.cmp(&other.path));
        contents.kernel = self.config.map(|config| {
            let mut kernel = Kernel {
                config,
                command_line: command_line.unwrap_or_default().to_owned(),
                ..Kernel::default()
            };
            // In the order of their names, whatever their folder: sysctl.d(5).
            for (_, text) in self.sysctls.values() {
                kernel.read_sysctl(text);
            }
            kernel
        });
        contents
    }
}

/// Numbers and names of /etc/passwd or /etc/group.
fn numbers(text: &str) -> BTreeMap<u32, String> {
    let lines = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
    });
    lines.collect()
}

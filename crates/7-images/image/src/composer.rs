//! Composition of images: from a definition and RPMs to an image in the store.

use crate::definition::{DiskSettings, ImageDefinition, ImageKind};
use basalt_action::{Action, Blob, Directory, Node};
use basalt_bom::{Catalogue, Format, Inventory, Subject};
use basalt_digest::Digest;
use basalt_progress::{Outcome, Reporter, Unit};
use basalt_release::Arch;
use basalt_sdk::SdkTree;
use basalt_store::Store;
use camino::Utf8Path;

use crate::accounts::{self, Accounts};
use crate::disk::{self, Contents};
use crate::facts::{self, DISK, DiskFacts, Facts, Image, InstalledPackage, TREE, UKI};
use crate::guid::Guid;
use crate::merge::{self, Merged};
use crate::payload::{Extracted, extract};
use crate::root::Root;
use crate::uki::Parts;
use crate::verity::{BLOCK, HashTree};
use crate::{BUILD_TIME, ImageError, ImagePackage, archive, container, erofs, folder, rpmdb, uki};

/// Source text of the modules that determine the bytes of an image; part of the key of its action.
const CODE: [&str; 19] = [
    include_str!("accounts.rs"),
    include_str!("archive.rs"),
    include_str!("composer.rs"),
    include_str!("container.rs"),
    include_str!("contents.rs"),
    include_str!("disk.rs"),
    include_str!("erofs.rs"),
    include_str!("esp.rs"),
    include_str!("facts.rs"),
    include_str!("folder.rs"),
    include_str!("guid.rs"),
    include_str!("merge.rs"),
    include_str!("payload.rs"),
    include_str!("root.rs"),
    include_str!("rpmdb.rs"),
    include_str!("uki.rs"),
    include_str!("verity.rs"),
    basalt_rpm::UNPACK_CODE[1],
    basalt_rpm::UNPACK_CODE[2],
];
/// Folder of systemd-boot and of the EFI stub in the package systemd-boot.
const BOOT_FOLDER: &str = "/usr/lib/systemd/boot/efi/";
const OS_RELEASE: &str = "/usr/lib/os-release";
/// Folder of the bills of materials in an image; scanners look there.
const BOM_FOLDER: &str = "/usr/share/sbom";
/// Configuration of systemd-boot (loader.conf(5)): no menu, no editor for the command line, no entries for other
/// systems or for the firmware's settings.
const LOADER_CONF: &str = "timeout 0\neditor no\nauto-entries no\nauto-firmware no\n";
/// Number of boot attempts before systemd-boot falls back to another kernel (boot counting).
const TRIES: u32 = 3;

/// Composer of images for one architecture.
#[derive(Clone, Copy)]
pub struct Composer<'a> {
    /// Store for images.
    pub store: &'a Store,
    /// SDK with the tools: mkfs.erofs.
    pub sdk: &'a SdkTree,
    /// Architecture of the images.
    pub arch: Arch,
    /// Data about packages that RPMs do not contain, for the bills of materials.
    pub catalogue: &'a Catalogue,
    /// Receiver of progress reports.
    pub reporter: &'a dyn Reporter,
}

impl Composer<'_> {
    /// Composes the image of a definition from all packages that it installs: those that it names, and their
    /// requirements. An image of the same inputs that is in the store is returned without composing it again.
    ///
    /// # Errors
    /// When packages conflict, when none of them has a file that the image needs, when a program fails.
    pub fn compose(&self, definition: &ImageDefinition, rpms: &[ImagePackage<'_>]) -> Result<Image, ImageError> {
        let mut payloads = rpms.to_vec();
        payloads.sort_by(|one, other| (&one.package.name, one.digest).cmp(&(&other.package.name, other.digest)));
        let inside = Inside::of(self, definition, &payloads)?;
        let action = self.action(definition, &payloads, &inside)?;
        if let Some(known) = self.store.known_directory(&action.key())? {
            return Image::open(&action, &known, self.store);
        }
        let steps = if matches!(definition.kind, ImageKind::Disk(_)) {
            6
        } else {
            3
        };
        let task = self
            .reporter
            .task(&format!("composing {}", definition.name), Unit::Items, Some(steps));
        let step = |what: &str| {
            task.detail(what);
            task.advance(1);
        };
        let work = Work {
            composer: self,
            definition,
            payloads: &payloads,
            inside: &inside,
            key: action.inputs.blob().digest,
            step: &step,
        };
        let made = self.store.made_directory(&action, |folder| work.make(folder))?;
        task.finish(Outcome::Done);
        Image::open(&action, &made, self.store)
    }

    /// Returns the action that composes an image. Its inputs are the definition, the packages, the bills of materials
    /// and, for disks, the SDK.
    fn action(
        &self,
        definition: &ImageDefinition,
        payloads: &[ImagePackage<'_>],
        inside: &Inside,
    ) -> Result<Action, ImageError> {
        let text = serde_json::to_vec(definition).map_err(ImageError::document("the key of the image"))?;
        let mut inputs = Directory::new();
        let mut add = |path: &str, node| {
            inputs.insert(path, node).map_err(|source| ImageError::Inputs {
                image: definition.name.clone(),
                source,
            })
        };
        let file = |bytes: &[u8]| Node::File {
            blob: Blob::of(bytes),
            mode: 0o644,
        };
        add("definition.json", file(&text))?;
        if matches!(definition.kind, ImageKind::Disk(_)) {
            add("sdk", Node::Tree(self.sdk.root))?;
        }
        for (place, payload) in payloads.iter().enumerate() {
            let blob = Blob {
                digest: payload.digest,
                size: payload.size,
            };
            let path = format!("packages/{place:04}-{}", payload.package.name);
            add(&path, Node::File { blob, mode: 0o444 })?;
        }
        for (path, document) in &inside.documents {
            add(&format!("documents{path}"), file(document))?;
        }
        let mut action = Action::function("compose-image", &CODE, inputs);
        action.platform.insert("arch".to_owned(), self.arch.name().to_owned());
        Ok(action)
    }
}

/// Inventory of an image, and the bills of materials that describe it.
struct Inside {
    inventory: Inventory,
    /// Bills of materials: path in the image, and content. Trees have none, since they are not shipped.
    documents: Vec<(String, Vec<u8>)>,
}

impl Inside {
    fn of(
        composer: &Composer<'_>,
        definition: &ImageDefinition,
        payloads: &[ImagePackage<'_>],
    ) -> Result<Self, ImageError> {
        let subject = Subject {
            name: definition.name.clone(),
            version: version(definition, payloads),
            arch: composer.arch.name().to_owned(),
            image: true,
        };
        let rpms = payloads.iter().map(|payload| basalt_bom::Rpm {
            package: payload.package,
            path: payload.path,
            digest: payload.digest,
            size: payload.size,
        });
        let rpms: Vec<_> = rpms.collect();
        let inventory = Inventory::of_rpms(subject, &rpms, composer.catalogue, composer.store)?;
        let mut documents = Vec::new();
        if !matches!(definition.kind, ImageKind::Tree) {
            for format in Format::ALL {
                let path = format!("{BOM_FOLDER}/{}.{}", definition.name, format.suffix());
                documents.push((path, inventory.document(format, &composer.catalogue.licences)?));
            }
        }
        Ok(Self { inventory, documents })
    }
}

/// Returns the version of an image: that of the first package in its definition.
fn version(definition: &ImageDefinition, payloads: &[ImagePackage<'_>]) -> String {
    let main = definition.packages.first();
    let main = payloads.iter().find(|payload| Some(&payload.package.name) == main);
    main.map_or_else(|| "0".to_owned(), |payload| payload.package.version.clone())
}

/// Composition of one image.
struct Work<'w> {
    composer: &'w Composer<'w>,
    definition: &'w ImageDefinition,
    /// Packages, sorted by name.
    payloads: &'w [ImagePackage<'w>],
    inside: &'w Inside,
    /// Digest of the action's inputs; identifiers of disks and file systems are derived from it.
    key: Digest,
    step: &'w dyn Fn(&str),
}

impl Work<'_> {
    fn make(&self, folder: &Utf8Path) -> Result<(), ImageError> {
        (self.step)("merging packages");
        let wanted = |path: &str| {
            path.starts_with(accounts::FOLDER)
                || matches!(self.definition.kind, ImageKind::Disk(_)) && is_for_booting(path)
        };
        let mut extracted = extract(self.payloads, wanted)?;
        let accounts = Accounts::from_sysusers(&extracted)?;
        let node = matches!(self.definition.kind, ImageKind::Disk(_));
        let Merged { mut root, places } = merge::merge(self.payloads, &accounts, node)?;
        root.exclude(&self.definition.exclude);
        if node && let Some(file) = extracted.iter_mut().find(|file| file.path == OS_RELEASE) {
            if !file.content.ends_with(b"\n") {
                file.content.push(b'\n');
            }
            file.content.extend_from_slice(self.image_lines().as_bytes());
            root.replace(OS_RELEASE, &file.content);
        }
        if !matches!(self.definition.kind, ImageKind::Tree) {
            root.add_made("/etc/passwd", accounts.passwd().into_bytes())?;
            root.add_made("/etc/group", accounts.group_file().into_bytes())?;
            (self.step)("rpm database");
            let database = folder.join("rpmdb.sqlite");
            rpmdb::make(&database, &root, self.payloads, &places)?;
            let bytes = fs_err::read(&database).map_err(ImageError::io("cannot read", &database))?;
            root.add_made(rpmdb::PATH, bytes)?;
            remove(&database)?;
        }
        for (path, document) in &self.inside.documents {
            root.add_made(path, document.clone())?;
        }
        let mut facts = self.facts(&root);
        match &self.definition.kind {
            ImageKind::Disk(settings) => facts.disk = Some(self.disk(folder, settings, &root, &extracted)?),
            ImageKind::Container(settings) => {
                (self.step)("layer");
                facts.container = Some(container::write(
                    folder,
                    self.composer.arch,
                    settings,
                    &root,
                    self.payloads,
                )?);
            }
            ImageKind::Tree => {
                (self.step)("unpacking");
                folder::write(&root, self.payloads, &folder.join(TREE))?;
            }
        }
        facts::write_inventory(&self.inside.inventory, folder)?;
        facts.write(folder)
    }

    /// Version of a disk: part of the name of its kernel in the EFI system partition, too.
    fn image_version(&self) -> String {
        self.key.short()
    }

    /// Lines of os-release(5) that tell the images of one release apart. The composer adds them: the package with the file is
    /// the same in all of them.
    fn image_lines(&self) -> String {
        format!(
            "IMAGE_ID={}\nIMAGE_VERSION={}\n",
            self.definition.name,
            self.image_version()
        )
    }

    fn facts(&self, root: &Root) -> Facts {
        let packages = self.payloads.iter().map(|payload| InstalledPackage {
            nevra: payload.package.nevra(),
            source: payload.package.source.clone(),
            license: payload.package.license.clone(),
            digest: payload.digest,
        });
        Facts {
            name: self.definition.name.clone(),
            kind: self.definition.kind.plain(),
            arch: self.composer.arch,
            version: version(self.definition, self.payloads),
            packages: packages.collect(),
            content_bytes: root.content_bytes(),
            disk: None,
            container: None,
        }
    }

    /// Writes the root file system into a file, and returns its hash tree.
    fn root_file_system(&self, folder: &Utf8Path, root: &Root, erofs: &Utf8Path) -> Result<HashTree, ImageError> {
        (self.step)("archive");
        let tar = folder.join("root.tar");
        let file = fs_err::File::create_new(&tar).map_err(ImageError::io("cannot create", &tar))?;
        archive::write(root, self.payloads, std::io::BufWriter::with_capacity(1 << 20, file))?;
        (self.step)("root file system");
        erofs::make(
            self.composer.sdk,
            &tar,
            erofs,
            &Guid::derived(&self.key, "root file system").to_string(),
        )?;
        remove(&tar)?;
        (self.step)("hash tree");
        let tree_id = Guid::derived(&self.key, "hash tree").0;
        HashTree::of_file(erofs, *self.key.as_bytes(), tree_id)
    }

    fn disk(
        &self,
        folder: &Utf8Path,
        settings: &DiskSettings,
        root: &Root,
        extracted: &[Extracted],
    ) -> Result<DiskFacts, ImageError> {
        let boot = Boot::find(&self.definition.name, self.composer.arch, extracted)?;
        let erofs = folder.join("root.erofs");
        let tree = self.root_file_system(folder, root, &erofs)?;
        (self.step)("disk");
        let command_line = command_line(&tree, &settings.kernel_arguments);
        let kernel = uki::assemble(&Parts {
            stub: boot.stub,
            kernel: boot.kernel,
            release: boot.release,
            command_line: &command_line,
            os_release: boot.os_release,
        })?;
        let kernel_file = folder.join(UKI);
        basalt_store::write::atomically(&kernel_file, &kernel)?;
        let loader_name = format!("systemd-boot{}.efi", efi_suffix(self.composer.arch));
        let default_name = format!("EFI/BOOT/BOOT{}.EFI", efi_suffix(self.composer.arch).to_uppercase());
        let loader_path = format!("EFI/systemd/{loader_name}");
        let kernel_path = format!("EFI/Linux/basalt_{}+{TRIES}.efi", self.image_version());
        let (size_bytes, partitions) = disk::write(
            &folder.join(DISK),
            &Contents {
                image: &self.definition.name,
                key: &self.key,
                arch: self.composer.arch,
                settings,
                root: &erofs,
                tree: &tree,
                esp: &[
                    (&default_name, boot.loader),
                    (&loader_path, boot.loader),
                    ("loader/loader.conf", LOADER_CONF.as_bytes()),
                    (&kernel_path, &kernel),
                ],
            },
        )?;
        remove(&erofs)?;
        Ok(DiskFacts {
            image_version: self.image_version(),
            size_bytes,
            kernel: boot.release.to_owned(),
            command_line,
            root_hash: Digest::from_bytes(tree.root_hash).to_hex(),
            root_bytes: tree.data_blocks * BLOCK,
            kernel_bytes: kernel.len() as u64,
            partitions,
        })
    }
}

/// Files of the packages that booting a disk needs, and the release of the kernel.
struct Boot<'e> {
    stub: &'e [u8],
    loader: &'e [u8],
    kernel: &'e [u8],
    release: &'e str,
    os_release: &'e [u8],
}

fn efi_suffix(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 => "x64",
        Arch::Aarch64 => "aa64",
    }
}

/// Returns the kernel's release in `/usr/lib/modules/<release>/vmlinuz`; `None` for other paths.
fn kernel_release(path: &str) -> Option<&str> {
    path.strip_prefix("/usr/lib/modules/")?
        .strip_suffix("/vmlinuz")
        .filter(|release| !release.contains('/'))
}

fn is_for_booting(path: &str) -> bool {
    path == OS_RELEASE || path.starts_with(BOOT_FOLDER) || kernel_release(path).is_some()
}

impl<'e> Boot<'e> {
    fn find(image: &str, arch: Arch, extracted: &'e [Extracted]) -> Result<Self, ImageError> {
        let missing = |what, package| ImageError::Missing {
            image: image.to_owned(),
            what,
            package,
        };
        let file = |path: &str| {
            extracted
                .iter()
                .find(|file| file.path == path)
                .map(|file| file.content.as_slice())
        };
        let suffix = efi_suffix(arch);
        let stub = file(&format!("{BOOT_FOLDER}linux{suffix}.efi.stub"));
        let loader = file(&format!("{BOOT_FOLDER}systemd-boot{suffix}.efi"));
        let kernel = extracted
            .iter()
            .find_map(|file| Some((kernel_release(&file.path)?, file)));
        let (release, kernel) = kernel.ok_or_else(|| missing("kernel", "kernel"))?;
        Ok(Self {
            stub: stub.ok_or_else(|| missing("EFI stub", "systemd-boot"))?,
            loader: loader.ok_or_else(|| missing("boot loader", "systemd-boot"))?,
            kernel: &kernel.content,
            release,
            os_release: file(OS_RELEASE).ok_or_else(|| missing("/usr/lib/os-release", "basalt-release"))?,
        })
    }
}

/// Returns the kernel command line: the dm-verity device of the root (`dm-mod.create=`), its mount options, and the
/// arguments of the definition.
fn command_line(tree: &HashTree, more: &[String]) -> String {
    let (data, hashes) = Guid::of_root_hash(&tree.root_hash);
    let blocks = tree.data_blocks;
    let sectors = blocks * (BLOCK / 512);
    let hex = |bytes: [u8; 32]| Digest::from_bytes(bytes).to_hex();
    let (hash, salt, start) = (hex(tree.root_hash), hex(tree.salt), HashTree::START);
    let mut line = format!(
        "dm-mod.create=\"root,,,ro,0 {sectors} verity 1 PARTUUID={data} PARTUUID={hashes} {BLOCK} {BLOCK} {blocks} \
         {start} sha256 {hash} {salt} 1 panic_on_corruption\" dm-mod.waitfor=PARTUUID={data},PARTUUID={hashes} \
         root=/dev/dm-0 rootfstype=erofs ro"
    );
    for argument in more {
        line.push(' ');
        line.push_str(argument);
    }
    line
}

fn remove(path: &Utf8Path) -> Result<(), ImageError> {
    fs_err::remove_file(path).map_err(ImageError::io("cannot remove", path))
}

const _: () = assert!(BUILD_TIME < u32::MAX as u64);

//! Disk of a Debian system: installed, packed and laid out, or taken from the store.

use basalt_progress::{Outcome, Reporter, Unit};
use basalt_sdk::sdk_lock::{SdkDefinition, SdkLock};
use basalt_sdk::{Changes, SdkTree, bootstrap, resolve_today};
use basalt_store::{Store, write};
use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::{DebianError, DebianSystem};

/// Size of the disk in MiB, the same as of the machines of `up`.
const DISK_MIB: u64 = 8192;
/// Size of the EFI system partition in MiB. FAT32 needs 65525 clusters, thus more than 256 MiB; with fewer, OVMF reads
/// it as FAT16 and finds no files.
const ESP_MIB: u64 = 264;
const ESP_GUID: &str = "6f5c0f4e-9d0c-4b0f-8f2e-0d9a3c1e7b01";
const ROOT_GUID: &str = "6f5c0f4e-9d0c-4b0f-8f2e-0d9a3c1e7b02";
/// Type GUID of a root partition for x86-64 (Discoverable Partitions Specification).
const ROOT_TYPE: &str = "4f68bce3-e8cd-4db1-96e7-fbcaf984b709";
const FACTS: &str = "debian.json";
const DISK: &str = "disk.raw";

/// Disk of a Debian system, with figures for reports.
#[derive(Debug, Clone)]
pub struct DebianDisk {
    /// Path of the raw disk image, which is sparse.
    pub disk: Utf8PathBuf,
    /// Release of the kernel, as `uname -r` prints it.
    pub kernel: String,
    /// Number of packages, Debian's and Basalt's together.
    pub packages: usize,
    /// Allocated size of the disk image, in bytes.
    pub bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct SystemFacts {
    kernel: String,
    packages: SdkLock,
}

impl DebianDisk {
    /// Returns the disk from the store, where it is made if it is missing.
    ///
    /// # Errors
    /// When Debian cannot be reached or installed, or a tool fails.
    pub fn make(
        system: DebianSystem<'_>,
        store: &Store,
        sdk: &SdkTree,
        reporter: &dyn Reporter,
    ) -> Result<Self, DebianError> {
        let made = store.made_directory(&system.action(sdk)?, |tree| {
            let work = Work {
                system,
                tree,
                store,
                sdk,
                reporter,
            };
            work.make()
        })?;
        let folder = store.directory_path(&made.root.digest);
        Self::open(&folder, system.stack.len())
    }

    fn open(folder: &Utf8Path, stack: usize) -> Result<Self, DebianError> {
        use std::os::unix::fs::MetadataExt as _;
        let (facts, disk) = (folder.join(FACTS), folder.join(DISK));
        let text = fs_err::read(&facts).map_err(DebianError::io("cannot read", &facts))?;
        let facts: SystemFacts = serde_json::from_slice(&text)
            .map_err(|error| DebianError::io("cannot understand", &facts)(error.into()))?;
        let metadata = fs_err::metadata(&disk).map_err(DebianError::io("cannot look at", &disk))?;
        Ok(Self {
            disk,
            kernel: facts.kernel,
            packages: facts.packages.packages.len() + stack,
            bytes: metadata.blocks() * 512,
        })
    }
}

/// Construction of one disk.
struct Work<'w> {
    system: DebianSystem<'w>,
    /// Folder that receives the disk and its facts.
    tree: &'w Utf8Path,
    store: &'w Store,
    sdk: &'w SdkTree,
    reporter: &'w dyn Reporter,
}

impl Work<'_> {
    fn make(&self) -> Result<(), DebianError> {
        let lock = resolve_today(&self.definition()?, self.store, self.reporter)?;
        let workspace = self.store.workspace()?;
        let place = |name: &str| workspace.path().join(name);
        let (add, root, boot, loader) = (
            place("add.tar"),
            place("root.tar"),
            place("boot.tar"),
            place("loader.tar"),
        );
        self.additions(&place("add"), &add)?;
        let changes = Changes {
            add: &add,
            extract: &[("/boot", &boot), ("/usr/lib/systemd/boot/efi", &loader)],
            // Creates the users of Basalt's packages, as installing a Debian package would have done.
            run: &["systemd-sysusers"],
        };
        bootstrap(&lock, changes, &root, self.store, self.reporter)?;
        let task = self.reporter.task("the Debian node's disk", Unit::Items, None);
        for archive in [&boot, &loader] {
            let file = fs_err::File::open(archive).map_err(DebianError::io("cannot read", archive))?;
            tar::Archive::new(file)
                .unpack(workspace.path())
                .map_err(DebianError::io("cannot unpack", archive))?;
        }
        let kernel = self.esp(workspace.path())?;
        self.disk(&root, &place("esp"))?;
        let text = serde_json::to_vec_pretty(&SystemFacts { kernel, packages: lock })
            .map_err(|error| DebianError::io("cannot write", FACTS)(error.into()))?;
        write::atomically(&self.tree.join(FACTS), text)?;
        task.finish(Outcome::Done);
        Ok(())
    }

    fn definition(&self) -> Result<SdkDefinition, DebianError> {
        let path = self.system.packages.to_owned();
        let text = fs_err::read_to_string(&path).map_err(DebianError::io("cannot read", &path))?;
        SdkDefinition::parse(&text).map_err(|error| DebianError::Definition {
            path,
            message: error.to_string(),
        })
    }

    fn missing(&self, what: &'static str) -> DebianError {
        DebianError::Missing {
            what,
            packages: self.system.packages.to_owned(),
        }
    }

    /// Writes all files that are added to Debian's packages into one tar archive, in which they belong to root.
    fn additions(&self, folder: &Utf8Path, archive: &Utf8Path) -> Result<(), DebianError> {
        for package in self.system.stack {
            basalt_rpm::unpack(&package.path, folder)?;
        }
        let sysctl = folder.join("etc/sysctl.d/90-kubernetes.conf");
        let text = fs_err::read(self.system.sysctl).map_err(DebianError::io("cannot read", self.system.sysctl))?;
        write::atomically(&sysctl, text)?;
        let pack = || -> std::io::Result<()> {
            let mut builder = tar::Builder::new(fs_err::File::create(archive)?);
            builder.mode(tar::HeaderMode::Deterministic);
            builder.follow_symlinks(false);
            builder.append_dir_all(".", folder)?;
            for files in self.system.files {
                builder.append_dir_all(".", files)?;
            }
            builder.finish()
        };
        pack().map_err(DebianError::io("cannot write", archive))
    }

    /// Assembles the content of the EFI system partition: kernel, initramfs, boot loader. Returns the release of the
    /// kernel.
    fn esp(&self, work: &Utf8Path) -> Result<String, DebianError> {
        let boot = work.join("boot");
        let file = |start: &str| {
            let names = boot.read_dir_utf8().into_iter().flatten().flatten();
            names
                .map(|entry| entry.file_name().to_owned())
                .find(|name| name.starts_with(start))
        };
        let kernel = file("vmlinuz-").ok_or_else(|| self.missing("kernel"))?;
        let initrd = file("initrd.img-").ok_or_else(|| self.missing("initramfs"))?;
        let loader = work.join("efi/systemd-bootx64.efi");
        let esp = work.join("esp");
        for (from, to) in [
            (boot.join(&kernel), "vmlinuz"),
            (boot.join(initrd), "initrd.img"),
            (loader, "EFI/BOOT/BOOTX64.EFI"),
        ] {
            let content = fs_err::read(&from).map_err(DebianError::io("cannot read", &from))?;
            write::atomically(&esp.join(to), content)?;
        }
        let arguments = self.system.kernel_arguments.join(" ");
        let entry = format!(
            "title Debian\nlinux /vmlinuz\ninitrd /initrd.img\noptions root=PARTUUID={ROOT_GUID} ro console=tty0 \
             console=ttyS0,115200 quiet {arguments}\n"
        );
        write::atomically(&esp.join("loader/entries/debian.conf"), entry)?;
        write::atomically(&esp.join("loader/loader.conf"), "timeout 0\ndefault debian.conf\n")?;
        Ok(kernel.trim_start_matches("vmlinuz-").to_owned())
    }

    /// Makes the disk with the SDK's tools: partition table, EFI system partition, root file system.
    fn disk(&self, root: &Utf8Path, esp: &Utf8Path) -> Result<(), DebianError> {
        const MIB: u64 = 1 << 20;
        let disk = self.tree.join(DISK);
        fs_err::File::create_new(&disk)
            .and_then(|file| file.set_len(DISK_MIB * MIB))
            .map_err(DebianError::io("cannot write", &disk))?;
        let sandbox = self.sdk.sandbox().show_writable(self.tree).show(root).show(esp);
        let run = |program: &str, arguments: &[&str], input: String| -> Result<(), DebianError> {
            sandbox.command(program, arguments).input(input).output()?;
            Ok(())
        };
        // One MiB for the table at the beginning, and one for its copy at the end.
        let root_mib = DISK_MIB - ESP_MIB - 2;
        let table = format!(
            "label: gpt\nstart=1MiB, size={ESP_MIB}MiB, type=uefi, uuid={ESP_GUID}, name=esp\n\
             size={root_mib}MiB, type={ROOT_TYPE}, uuid={ROOT_GUID}, name=root\n"
        );
        run("sfdisk", &["--quiet", disk.as_str()], table)?;
        let blocks = (ESP_MIB * 1024).to_string();
        run(
            "mkfs.vfat",
            &["-F", "32", "-n", "ESP", "--offset", "2048", disk.as_str(), &blocks],
            String::new(),
        )?;
        let (place, from) = (format!("{disk}@@1M"), |name: &str| esp.join(name).into_string());
        let files = ["EFI", "loader", "vmlinuz", "initrd.img"].map(from);
        let mut copy = vec!["-s", "-i", &place];
        copy.extend(files.iter().map(String::as_str));
        copy.push("::/");
        run("mcopy", &copy, String::new())?;
        let offset = format!("offset={}", (1 + ESP_MIB) * MIB);
        let size = format!("{root_mib}M");
        run(
            "mkfs.ext4",
            &[
                "-q",
                "-F",
                "-L",
                "root",
                "-E",
                &offset,
                "-d",
                root.as_str(),
                disk.as_str(),
                &size,
            ],
            String::new(),
        )
    }
}

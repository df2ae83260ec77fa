//! Test fixture: small packages, and a store of their own.

use basalt_bom::Catalogue;
use basalt_digest::Digest;
use basalt_image::definition::{ImageDefinition, check};
use basalt_image::{Composer, Image, ImageError, ImagePackage};
use basalt_progress::Silent;
use basalt_release::Arch;
use basalt_rpm::Package;
use basalt_sdk::SdkTree;
use basalt_store::Store;
use camino::Utf8PathBuf;
use rpm::{BuildConfig, FileOptions, PackageBuilder};

use crate::efi::efi_program;

/// Entry of a test package.
pub enum FixtureFile<'a> {
    /// Regular file: path, content, owner and group, mode.
    Plain(&'a str, &'a [u8], &'a str, u16),
    /// Folder: path.
    Folder(&'a str),
    /// Symbolic link: path and target.
    Link(&'a str, &'a str),
}

/// RPM of a test package.
pub struct FixtureRpm {
    pub package: Package,
    pub path: Utf8PathBuf,
    pub digest: Digest,
}

/// Store, and folder with RPMs.
pub struct Fixture {
    _folder: tempfile::TempDir,
    path: Utf8PathBuf,
    pub store: Store,
    pub sdk: SdkTree,
    catalogue: Catalogue,
}

impl Fixture {
    pub fn new(sdk: Option<&Utf8PathBuf>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        let store = Store::open(&path.join("store")).expect("opens");
        let tree = sdk.cloned().unwrap_or_else(|| "/nowhere".into());
        let sdk = SdkTree::outside(tree);
        Self {
            _folder: folder,
            path,
            store,
            sdk,
            catalogue: Catalogue::default(),
        }
    }

    pub fn rpm(&self, name: &str, files: &[FixtureFile<'_>]) -> FixtureRpm {
        self.rpm_with(name, files, |builder| builder)
    }

    pub fn rpm_with(
        &self,
        name: &str,
        files: &[FixtureFile<'_>],
        more: impl Fn(&mut PackageBuilder) -> &mut PackageBuilder,
    ) -> FixtureRpm {
        let config = BuildConfig::default().source_date(1_760_000_000_u32);
        let mut builder = PackageBuilder::new(name, "1.2", "MIT", "x86_64", "An example");
        builder.using_config(config).release("3.bs1");
        for file in files {
            match *file {
                FixtureFile::Plain(path, content, owner, mode) => {
                    let options = FileOptions::new(path).permissions(mode).user(owner).group(owner);
                    builder.with_file_contents(content, options)
                }
                FixtureFile::Folder(path) => builder.with_dir_entry(FileOptions::dir(path).permissions(0o755)),
                FixtureFile::Link(path, to) => builder.with_symlink(FileOptions::symlink(path, to)),
            }
            .expect("a file");
        }
        more(&mut builder);
        let built = builder.build().expect("an RPM");
        let path = self.path.join(format!("{name}.rpm"));
        built.write_file(&path).expect("written");
        let digest = Digest::of(fs_err::read(&path).expect("read"));
        FixtureRpm {
            package: basalt_rpm::read_package(&path).expect("an RPM"),
            path,
            digest,
        }
    }

    /// Writes a copy of a package in which all occurrences of `from` are replaced.
    pub fn changed(&self, rpm: &FixtureRpm, from: &[u8], to: &[u8]) -> FixtureRpm {
        assert_eq!(from.len(), to.len(), "offsets must stay");
        let mut bytes = fs_err::read(&rpm.path).expect("read");
        let mut found = 0;
        for at in 0..bytes.len().saturating_sub(from.len()) {
            if bytes[at..].starts_with(from) {
                bytes[at..at + to.len()].copy_from_slice(to);
                found += 1;
            }
        }
        assert!(found > 0, "there is nothing to change");
        let path = self.path.join(format!("{}-changed.rpm", rpm.package.name));
        fs_err::write(&path, &bytes).expect("written");
        FixtureRpm {
            package: basalt_rpm::read_package(&path).expect("an RPM"),
            path,
            digest: Digest::of(bytes),
        }
    }

    /// Writes an RPM with the header of one package and the payload of another.
    pub fn with_payload_of(&self, rpm: &FixtureRpm, other: &FixtureRpm) -> FixtureRpm {
        let split = |rpm: &FixtureRpm| {
            let header = rpm::PackageMetadata::open(&rpm.path).expect("an RPM");
            let start = usize::try_from(header.get_package_segment_offsets().payload).expect("small");
            let mut bytes = fs_err::read(&rpm.path).expect("read");
            let payload = bytes.split_off(start);
            (bytes, payload)
        };
        let bytes = [split(rpm).0, split(other).1].concat();
        let path = self.path.join(format!("{}-swapped.rpm", rpm.package.name));
        fs_err::write(&path, &bytes).expect("written");
        FixtureRpm {
            package: rpm.package.clone(),
            path,
            digest: Digest::of(bytes),
        }
    }

    pub fn compose(&self, text: &str, rpms: &[&FixtureRpm]) -> Result<Image, ImageError> {
        self.composer().compose(&definition(text), &payloads(rpms))
    }

    fn composer(&self) -> Composer<'_> {
        Composer {
            store: &self.store,
            sdk: &self.sdk,
            arch: Arch::X86_64,
            catalogue: &self.catalogue,
            reporter: &Silent,
        }
    }

    /// Composes the same image in another store, which is empty.
    pub fn compose_elsewhere(&self, text: &str, rpms: &[&FixtureRpm]) -> (Fixture, Image) {
        let elsewhere = Fixture::new(Some(&self.sdk.path));
        let image = elsewhere.compose(text, rpms).expect("composed elsewhere");
        (elsewhere, image)
    }
}

pub fn definition(text: &str) -> ImageDefinition {
    let name = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("name: "))
        .expect("a name first");
    check(&format!("{name}.yaml"), text).unwrap_or_else(|problems| panic!("{}", problems.brief()))
}

pub fn payloads<'a>(rpms: &[&'a FixtureRpm]) -> Vec<ImagePackage<'a>> {
    rpms.iter()
        .map(|rpm| ImagePackage {
            package: &rpm.package,
            path: &rpm.path,
            digest: rpm.digest,
            size: fs_err::metadata(&rpm.path).map_or(0, |found| found.len()),
        })
        .collect()
}

/// Returns packages that suffice for composing a node's disk, which is never booted.
pub fn node(fixture: &Fixture) -> Vec<FixtureRpm> {
    let kernel = efi_program(&[7; 300_000]);
    let text: Vec<u8> = (0..200_000_u32).flat_map(|number| (number / 3).to_le_bytes()).collect();
    vec![
        fixture.rpm(
            "filesystem",
            &[
                FixtureFile::Folder("/etc"),
                FixtureFile::Folder("/usr"),
                FixtureFile::Folder("/usr/bin"),
                FixtureFile::Folder("/usr/lib"),
                FixtureFile::Link("/lib", "usr/lib"),
                FixtureFile::Link("/usr/sbin", "bin"),
                FixtureFile::Link("/etc/os-release", "../usr/lib/os-release"),
            ],
        ),
        fixture.rpm(
            "basalt-release",
            &[FixtureFile::Plain(
                "/usr/lib/os-release",
                b"ID=basalt\nNAME=Basalt\n",
                "root",
                0o644,
            )],
        ),
        fixture.rpm(
            "kernel",
            &[FixtureFile::Plain(
                "/usr/lib/modules/6.12.1-1.bs1/vmlinuz",
                &kernel,
                "root",
                0o644,
            )],
        ),
        fixture.rpm(
            "systemd-boot",
            &[
                FixtureFile::Plain(
                    "/usr/lib/systemd/boot/efi/linuxx64.efi.stub",
                    &efi_program(b"stub"),
                    "root",
                    0o644,
                ),
                FixtureFile::Plain(
                    "/usr/lib/systemd/boot/efi/systemd-bootx64.efi",
                    &efi_program(b"loader"),
                    "root",
                    0o644,
                ),
            ],
        ),
        fixture.rpm(
            "chrony",
            &[
                FixtureFile::Plain(
                    "/usr/lib/sysusers.d/chrony.conf",
                    b"u chrony 190 \"Clock\" /var/lib/chrony\n",
                    "root",
                    0o644,
                ),
                FixtureFile::Plain("/etc/chrony.keys", b"secret", "chrony", 0o640),
                FixtureFile::Plain("/usr/sbin/chronyd", &text, "root", 0o755),
            ],
        ),
    ]
}

pub const NODE: &str = "name: node\nkind: disk\npackages: [chrony]\nexclude: [/usr/lib/systemd/boot, '/usr/lib/modules/*/vmlinuz']\n\
                        kernelArguments: [quiet]\npartitions: { rootMib: 16 }\n";

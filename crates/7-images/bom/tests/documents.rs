//! Bills of materials of small packages, as they are written.

#![cfg(test)]

use std::io::Write as _;

use basalt_bom::{BomError, Catalogue, ComponentKind, Format, Inventory, Rpm, Subject, groups};
use basalt_digest::Digest;
use basalt_rpm::Package;
use basalt_store::Store;
use camino::{Utf8Path, Utf8PathBuf};
use cyclonedx_bom::models::bom::Bom;
use cyclonedx_bom::validation::Validate as _;
use object::write::Object;
use object::{Architecture, BinaryFormat, Endianness, SectionKind};
use packageurl::PackageUrl;
use rpm::{BuildConfig, Dependency, FileOptions, PackageBuilder};

const GO: &str = "path\texample.org/Tool/cmd/tool\nmod\tbasalt.local/packages/tool\t(devel)\t\n\
    dep\texample.org/Tool\tv1.2.3\th1:abc=\ndep\tk8s.io/api\tv0.0.0\n=>\tk8s.io/api\tv0.37.2+incompatible\th1:def=\n";
const CRATES: &str = r#"{"packages":[{"name":"agent","version":"0.1.0","source":"local","dependencies":[1,2],"root":true},
    {"name":"libc","version":"0.2.191","source":"crates.io"},
    {"name":"syn","version":"2.0.119","source":"crates.io","kind":"build"}],"format":1}"#;

struct Fixture {
    _folder: tempfile::TempDir,
    path: Utf8PathBuf,
    store: Store,
    catalogue: Catalogue,
}

struct Made {
    package: Package,
    path: Utf8PathBuf,
}

fn section(name: &str, content: &[u8]) -> Vec<u8> {
    let mut file = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let section = file.add_section(Vec::new(), name.into(), SectionKind::ReadOnlyData);
    file.append_section_data(section, content, 16);
    file.write().expect("an ELF file")
}

fn go_program(lines: &str) -> Vec<u8> {
    let mut bytes = b"\xff Go buildinf:\x08\x02".to_vec();
    bytes.resize(32, 0);
    let lines = format!("{0}{lines}{0}", "<sentinel bytes>");
    for text in ["go1.27.1 X:some", &lines] {
        let length = text.len();
        if length >= 0x80 {
            bytes.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
            bytes.push(u8::try_from(length >> 7).expect("short"));
        } else {
            bytes.push(u8::try_from(length).expect("short"));
        }
        bytes.extend_from_slice(text.as_bytes());
    }
    section(".go.buildinfo", &bytes)
}

fn rust_program() -> Vec<u8> {
    let mut packer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(CRATES.as_bytes()).expect("in memory");
    section(".dep-v0", &packer.finish().expect("in memory"))
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        let packages = path.join("packages");
        fs_err::create_dir_all(packages.join("tool")).expect("a folder");
        let write = |name: &str, text: &str| fs_err::write(packages.join(name), text).expect("written");
        write(
            "identity.toml",
            "[tool]\nupstream = \"the-tool\"\ncpe = \"a:example:tool\"\n",
        );
        write(
            "licences.lock",
            "[go]\n\"example.org/Tool@v1.2.3\" = \"MPL-2.0\"\n[crates]\n\"libc@0.2.191\" = \"MIT OR Apache-2.0\"\n",
        );
        write(
            "licences.toml",
            "[reference.LicenseRef-Own]\nname = \"Our own\"\ntext = \"Do as you like.\"\n",
        );
        write(
            "tool/sources.toml",
            &format!(
                "[[file]]\nfile = \"tool-1.2.tar.gz\"\nurl = \"https://example.org/tool-1.2.tar.gz\"\nsha256 = \"{}\"\n\
                 size = 3\n[[cargo]]\nlock = \"Cargo.lock\"\n",
                Digest::of("source")
            ),
        );
        write(
            "tool/Cargo.lock",
            &format!(
                "[[package]]\nname = \"libc\"\nversion = \"0.2.191\"\nchecksum = \"{}\"\n",
                Digest::of("libc")
            ),
        );
        Self {
            store: Store::open(&path.join("store")).expect("opens"),
            catalogue: Catalogue::read([packages.as_path()]).expect("understood"),
            _folder: folder,
            path,
        }
    }

    fn rpm(&self, name: &str, licence: &str, files: &[(&str, &[u8])], requires: &[&str]) -> Made {
        let config = BuildConfig::default().source_date(1_760_000_000_u32);
        let mut builder = PackageBuilder::new(name, "1.2", licence, "x86_64", "An example");
        builder.using_config(config).release("3.bs1");
        for (path, content) in files {
            let options = FileOptions::new(*path).permissions(0o755);
            builder.with_file_contents(*content, options).expect("a file");
        }
        for name in requires {
            builder.requires(Dependency::any(*name));
        }
        let path = self.path.join(format!("{name}.rpm"));
        builder.build().expect("an RPM").write_file(&path).expect("written");
        Made {
            package: basalt_rpm::read_package(&path).expect("an RPM"),
            path,
        }
    }

    fn inventory(&self, made: &[Made]) -> Result<Inventory, BomError> {
        let rpms: Vec<_> = made
            .iter()
            .map(|made| Rpm {
                package: &made.package,
                path: &made.path,
                // Not that of the file: the golden documents must not change with the crate that writes RPMs.
                digest: Digest::of(&made.package.name),
                size: 0,
            })
            .collect();
        let subject = Subject {
            name: "example".to_owned(),
            version: "7".to_owned(),
            arch: "x86_64".to_owned(),
            image: true,
        };
        Inventory::of_rpms(subject, &rpms, &self.catalogue, &self.store)
    }

    fn example(&self) -> Inventory {
        let made = [
            self.rpm(
                "tool",
                "GPL-2.0-only AND LicenseRef-Own",
                &[
                    ("/usr/bin/tool", &go_program(GO)),
                    ("/usr/bin/agent", &rust_program()),
                    ("/usr/bin/script", b"#!/bin/sh\n"),
                ],
                &["lib", "/usr/lib/lib.so"],
            ),
            self.rpm("lib", "MIT", &[("/usr/lib/lib.so", b"a library")], &[]),
            self.rpm("other", "0BSD", &[("/usr/bin/other", &go_program("path\tx\n"))], &[]),
        ];
        self.inventory(&made).expect("an inventory")
    }

    fn document(&self, inventory: &Inventory, format: Format) -> serde_json::Value {
        let text = inventory.document(format, &self.catalogue.licences).expect("written");
        assert_eq!(text.last(), Some(&b'\n'));
        serde_json::from_slice(&text).expect("JSON")
    }
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).expect("JSON")
}

#[test]
fn an_spdx_document_stays_as_it_is() {
    let fixture = Fixture::new();
    insta::assert_snapshot!(pretty(&fixture.document(&fixture.example(), Format::Spdx)));
}

#[test]
fn a_cyclonedx_document_stays_as_it_is() {
    let fixture = Fixture::new();
    let document = fixture.document(&fixture.example(), Format::CycloneDx);
    insta::assert_snapshot!(pretty(&document));
    let read = Bom::parse_json_value(document).expect("CycloneDX");
    let result = read.validate();
    assert!(result.passed(), "{result:?}");
}

#[test]
fn what_is_inside_is_found() {
    let fixture = Fixture::new();
    let inventory = fixture.example();
    let names = |kind| -> Vec<_> {
        let components = inventory.of_kind(kind);
        components
            .map(|component| format!("{} {}", component.name, component.version))
            .collect()
    };
    assert_eq!(
        names(ComponentKind::Package),
        ["lib 1.2-3.bs1", "other 1.2-3.bs1", "tool 1.2-3.bs1"]
    );
    assert_eq!(
        names(ComponentKind::GoModule),
        [
            "example.org/Tool v1.2.3",
            "k8s.io/api v0.37.2+incompatible",
            "stdlib 1.27.1"
        ]
    );
    assert_eq!(names(ComponentKind::Crate), ["agent 0.1.0", "libc 0.2.191"]);
    for component in &inventory.components {
        let purl: PackageUrl<'_> = component.purl.parse().expect("a package URL");
        assert_eq!(purl.to_string(), component.purl);
    }
    // Go's library is in two programs of two packages.
    let library = inventory.component("pkg:golang/stdlib@1.27.1").expect("there");
    let places: Vec<_> = library
        .inside
        .iter()
        .map(|place| (&*place.package, &*place.file))
        .collect();
    assert_eq!(places, [("other", "/usr/bin/other"), ("tool", "/usr/bin/tool")]);
    assert_eq!(inventory.requirers("lib"), ["tool"]);
    assert_eq!(
        inventory.requirement_chain(&["tool".to_owned()], "lib"),
        Some(vec!["tool".to_owned(), "lib".to_owned()])
    );
    assert_eq!(inventory.requirement_chain(&["other".to_owned()], "lib"), None);
    // What is remembered is the same as what was read, and so is what is read from JSON.
    assert_eq!(fixture.example(), inventory);
    let text = serde_json::to_string(&inventory).expect("JSON");
    assert_eq!(
        serde_json::from_str::<Inventory>(&text).expect("an inventory"),
        inventory
    );
}

#[test]
fn licences_are_grouped_by_what_they_ask_for() {
    let inventory = Fixture::new().example();
    let groups = groups(&inventory).expect("SPDX expressions");
    let told: Vec<_> = groups
        .iter()
        .map(|group| {
            let asks: Vec<_> = group.asks.iter().map(|obligation| obligation.name()).collect();
            (group.licence.unwrap_or("?"), asks.join(" "), group.components.len())
        })
        .collect();
    let told: Vec<_> = told
        .iter()
        .map(|(licence, asks, count)| (*licence, asks.as_str(), *count))
        .collect();
    assert_eq!(
        told,
        [
            ("GPL-2.0-only AND LicenseRef-Own", "text source", 2),
            ("MPL-2.0", "text source", 1),
            ("BSD-3-Clause", "text", 1),
            ("MIT", "text", 1),
            ("MIT OR Apache-2.0", "text", 1),
            ("0BSD", "", 1),
            ("?", "", 1),
        ]
    );
}

#[test]
fn a_damaged_program_is_named() {
    let fixture = Fixture::new();
    let damaged = section(".go.buildinfo", b"\xff Go buildinf:\x08\x02");
    let made = fixture.rpm("tool", "MIT", &[("/usr/bin/tool", &damaged)], &[]);
    let error = fixture.inventory(&[made]).expect_err("damaged").to_string();
    assert!(error.contains("`/usr/bin/tool` in tool-1.2-3.bs1.x86_64"), "{error}");
    let made = fixture.rpm("zlib", "zlib licence", &[], &[]);
    let error = fixture.inventory(&[made]).expect_err("no licence").to_string();
    assert!(error.contains("`zlib licence`"), "{error}");
}

#[test]
fn every_package_of_the_distribution_is_known() {
    let packages = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages");
    let catalogue = Catalogue::read([packages.as_path()]).expect("understood");
    let mut wrong = Vec::new();
    let mut licences = 0;
    for entry in packages
        .read_dir_utf8()
        .expect("the packages")
        .flatten()
        .filter(|entry| entry.path().is_dir())
    {
        let name = entry.file_name();
        if catalogue.project(name).is_none() {
            wrong.push(format!(
                "distro/packages/identity.toml does not say what others call `{name}`"
            ));
        }
        let spec = entry.path().join(format!("{name}.spec"));
        let text = fs_err::read_to_string(&spec).expect("a spec");
        for licence in text.lines().filter_map(|line| line.strip_prefix("License:")) {
            licences += 1;
            let licence = licence.trim();
            if let Err(error) = basalt_bom::check(name, licence) {
                wrong.push(format!("{spec}: {error}"));
            }
            for reference in licence
                .split_whitespace()
                .filter(|word| word.starts_with("LicenseRef-"))
            {
                if catalogue.licences.reference(reference).is_none() {
                    wrong.push(format!(
                        "distro/packages/licences.toml does not have the text of {reference}"
                    ));
                }
            }
        }
    }
    assert!(licences > 40, "{licences} licences were read");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

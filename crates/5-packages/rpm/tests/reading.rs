//! Reading and unpacking RPMs.

#![cfg(test)]

mod demo_package;
mod temporary;

use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use basalt_rpm::{FileKind, Package, Payload, read_files, read_package, unpack};
use camino::{Utf8Path, Utf8PathBuf};
use rpm::{CompressionType, Dependency, FileOptions, PackageBuilder};

use temporary::folder;

fn build(folder: &Utf8Path, compression: CompressionType) -> Utf8PathBuf {
    let package = demo_package::builder(compression)
        .requires(Dependency::greater_eq("glibc", "2.41"))
        .provides(Dependency::any("libdemo.so.1()(64bit)"))
        .with_file_contents("hello\n", FileOptions::new("/usr/bin/demo").permissions(0o755))
        .and_then(|builder| {
            builder.with_file_contents(
                "secret",
                FileOptions::new("/etc/demo.conf")
                    .permissions(0o440)
                    .user("demo")
                    .group("adm"),
            )
        })
        .and_then(|builder| builder.with_symlink(FileOptions::symlink("/usr/bin/other", "demo")))
        .and_then(|builder| builder.with_dir_entry(FileOptions::dir("/var/lib/demo").permissions(0o700)))
        .and_then(PackageBuilder::build)
        .expect("an RPM");
    let path = folder.join(format!("demo-{compression:?}.rpm"));
    package.write_file(&path).expect("written");
    path
}

#[test]
fn the_header_says_what_it_is() {
    let (_guard, folder) = folder();
    let package = read_package(&build(&folder, CompressionType::Zstd)).expect("reads");
    assert_eq!(package.nevra(), "demo-1.2-3.bs1.x86_64");
    let provides: Vec<_> = package.provides.iter().map(ToString::to_string).collect();
    assert!(provides.contains(&"demo = 1.2-3.bs1".to_owned()), "{provides:?}");
    assert!(provides.contains(&"libdemo.so.1()(64bit)".to_owned()), "{provides:?}");
    let requires: Vec<_> = package.requires.iter().map(ToString::to_string).collect();
    assert_eq!(requires, ["glibc >= 2.41"]);
    assert!(package.files.contains(&"/usr/bin/demo".to_owned()));
    let json = serde_json::to_string(&package).expect("JSON");
    assert_eq!(serde_json::from_str::<Package>(&json).expect("JSON"), package);
}

#[test]
fn files_have_their_owners() {
    let (_guard, folder) = folder();
    let files = read_files(&build(&folder, CompressionType::Zstd)).expect("reads");
    let find = |path: &str| files.iter().find(|file| file.path == path).expect("listed");
    let config = find("/etc/demo.conf");
    assert_eq!(
        (config.mode, config.user.as_str(), config.group.as_str()),
        (0o440, "demo", "adm")
    );
    assert!(matches!(&config.kind, FileKind::Regular { size: 6, digest } if digest.len() == 64));
    assert_eq!(find("/usr/bin/other").kind, FileKind::Symlink("demo".into()));
    assert_eq!(find("/var/lib/demo").kind, FileKind::Directory);
}

#[test]
fn a_payload_is_unpacked_whatever_its_compression() {
    for compression in [CompressionType::Zstd, CompressionType::Gzip, CompressionType::None] {
        let (_guard, folder) = folder();
        let into = folder.join("tree");
        unpack(&build(&folder, compression), &into).expect("unpacks");
        let program = fs_err::metadata(into.join("usr/bin/demo")).expect("there");
        assert_eq!(program.permissions().mode() & 0o7777, 0o755);
        assert_eq!(
            fs_err::read_to_string(into.join("usr/bin/other")).expect("the link leads to it"),
            "hello\n"
        );
        let config = fs_err::metadata(into.join("etc/demo.conf")).expect("there");
        assert_eq!(config.permissions().mode() & 0o7777, 0o440);
        assert!(into.join("var/lib/demo").is_dir());
        assert_eq!(config.mtime(), program.mtime());
    }
}

#[test]
fn a_payload_is_a_stream() {
    let (_guard, folder) = folder();
    let mut payload = Payload::open(&build(&folder, CompressionType::Zstd)).expect("opens");
    let mut contents = Vec::new();
    while let Some(file) = payload.next().expect("reads") {
        if file.is_regular() {
            let mut text = String::new();
            payload.read_to_string(&mut text).expect("reads");
            contents.push((file.paths[0].clone(), text));
        }
    }
    contents.sort();
    assert_eq!(
        contents,
        [
            ("/etc/demo.conf".into(), "secret".into()),
            ("/usr/bin/demo".into(), "hello\n".into())
        ]
    );
}

#[test]
fn an_rpm_that_is_cut_short_is_refused() {
    let (_guard, folder) = folder();
    let path = build(&folder, CompressionType::Zstd);
    let whole = fs_err::read(&path).expect("reads");
    for cut in [10, 200, whole.len() - 12] {
        fs_err::write(&path, &whole[..cut]).expect("writes");
        let error = unpack(&path, &folder.join(format!("tree-{cut}"))).expect_err("it is cut short");
        assert!(error.to_string().contains(path.as_str()), "{error}");
    }
}

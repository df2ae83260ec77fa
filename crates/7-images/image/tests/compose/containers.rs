//! Container images and the registry's storage.

use std::io::Read as _;

use basalt_digest::Digest;
use basalt_image::registry;
use basalt_progress::Silent;
use libtest_mimic::Failed;
use oci_spec::image::{ImageConfiguration, ImageIndex, ImageManifest};

use crate::fixture::{Fixture, FixtureFile, FixtureRpm};

const WEB: &str = "name: web\nkind: container\npackages: [web]\nentrypoint: [/usr/bin/web]\nuser: '65532:65532'\n\
                   environment: { B: '2', A: '1' }\n";

fn web(fixture: &Fixture) -> FixtureRpm {
    fixture.rpm(
        "web",
        &[
            FixtureFile::Folder("/usr/bin"),
            FixtureFile::Plain("/usr/bin/web", b"program", "root", 0o755),
            FixtureFile::Link("/bin", "usr/bin"),
        ],
    )
}

pub fn a_container_is_as_oci_describes_it() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let image = fixture.compose(WEB, &[&web(&fixture)])?;
    assert_eq!(image.reference(), "web:1.2");
    let layout = image.oci_layout().expect("a container");
    let blob = |digest: &oci_spec::image::Digest| {
        let bytes = fs_err::read(layout.join("blobs/sha256").join(digest.digest())).expect("the blob");
        assert_eq!(Digest::of(&bytes).to_hex(), digest.digest());
        bytes
    };
    let index = ImageIndex::from_file(layout.join("index.json"))?;
    let manifest = ImageManifest::from_reader(blob(index.manifests()[0].digest()).as_slice())?;
    let config = ImageConfiguration::from_reader(blob(manifest.config().digest()).as_slice())?;
    let settings = config.config().as_ref().expect("settings");
    assert_eq!(settings.entrypoint().as_deref(), Some(&["/usr/bin/web".to_owned()][..]));
    assert_eq!(settings.user().as_deref(), Some("65532:65532"));
    let environment = ["PATH=/usr/bin", "A=1", "B=2"].map(str::to_owned);
    assert_eq!(settings.env().as_deref(), Some(&environment[..]));
    assert_eq!(config.architecture().to_string(), "amd64");

    let mut tar = Vec::new();
    zstd::Decoder::new(blob(manifest.layers()[0].digest()).as_slice())?.read_to_end(&mut tar)?;
    assert_eq!(format!("sha256:{}", Digest::of(&tar)), config.rootfs().diff_ids()[0]);
    let mut archive = tar::Archive::new(tar.as_slice());
    let paths: Vec<_> = archive
        .entries()?
        .map(|entry| Ok(entry?.path()?.display().to_string()))
        .collect::<Result<_, Failed>>()?;
    for path in [
        "usr/bin/",
        "bin",
        "etc/passwd",
        "etc/group",
        "usr/lib/sysimage/rpm/rpmdb.sqlite",
        "usr/share/sbom/web.spdx.json",
        "usr/share/sbom/web.cdx.json",
        "usr/bin/web",
    ] {
        assert!(paths.iter().any(|found| found == path), "{path} is not in {paths:?}");
    }
    Ok(())
}

pub fn twice_gives_the_same_bytes() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let web = web(&fixture);
    let image = fixture.compose(WEB, &[&web])?;
    let (_elsewhere, again) = fixture.compose_elsewhere(WEB, &[&web]);
    assert_eq!((image.key, &image.facts), (again.key, &again.facts));
    // What is known is not made again.
    let marker = image.folder.join("marker");
    fs_err::write(&marker, "")?;
    assert!(fixture.compose(WEB, &[&web])?.folder.join("marker").exists());
    Ok(())
}

pub fn a_registry_has_names_tags_and_blobs() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let image = fixture.compose(WEB, &[&web(&fixture)])?;
    let storage = registry(&fixture.store, std::slice::from_ref(&image), &Silent)?;
    let root = storage.join("docker/registry/v2");
    let read = |path: &str| fs_err::read_to_string(root.join(path));
    let manifest = read("repositories/web/_manifests/tags/1.2/current/link")?;
    let digest: Digest = manifest.parse()?;
    assert_eq!(
        read(&format!("repositories/web/_manifests/revisions/sha256/{digest}/link"))?,
        manifest
    );
    let document = ImageManifest::from_reader(read(&blob(&digest))?.as_bytes())?;
    for part in document.layers().iter().chain([document.config()]) {
        let digest: Digest = part.digest().digest().parse()?;
        assert_eq!(fs_err::metadata(root.join(blob(&digest)))?.len(), part.size());
        assert_eq!(
            read(&format!("repositories/web/_layers/sha256/{digest}/link"))?,
            format!("sha256:{digest}")
        );
    }
    let tree = fixture.compose("name: t\nkind: tree\npackages: [web]\n", &[&web(&fixture)])?;
    assert!(registry(&fixture.store, &[tree], &Silent).is_err());
    Ok(())
}

fn blob(digest: &Digest) -> String {
    format!("blobs/sha256/{:.2}/{digest}/data", digest.to_hex())
}

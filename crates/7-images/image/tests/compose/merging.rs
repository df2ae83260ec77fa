//! Merge of packages, and conflicts between them.

use basalt_image::ImageError;
use libtest_mimic::Failed;
use miette::Diagnostic as _;
use rpm::Dependency;

use crate::fixture::{Fixture, FixtureFile, FixtureRpm};

const TREE: &str = "name: tree\nkind: tree\npackages: [one]\n";

fn refused(fixture: &Fixture, rpms: &[&FixtureRpm]) -> String {
    let error: ImageError = fixture.compose(TREE, rpms).expect_err("refused");
    assert!(error.help().is_some(), "no help for: {error}");
    error.to_string()
}

fn expect(said: &str, parts: &[&str]) -> Result<(), Failed> {
    match parts.iter().find(|part| !said.contains(**part)) {
        Some(part) => Err(format!("`{part}` is not in: {said}").into()),
        None => Ok(()),
    }
}

pub fn a_conflict_names_both_packages() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let one = fixture.rpm("one", &[FixtureFile::Plain("/usr/bin/x", b"1", "root", 0o755)]);
    let other = fixture.rpm("other", &[FixtureFile::Plain("/usr/bin/x", b"2", "root", 0o755)]);
    expect(&refused(&fixture, &[&other, &one]), &["/usr/bin/x", "one", "other"])?;
    let mode = fixture.rpm("mode", &[FixtureFile::Plain("/usr/bin/x", b"1", "root", 0o700)]);
    expect(
        &refused(&fixture, &[&one, &mode]),
        &["/usr/bin/x", "mode 700", "mode 755"],
    )?;
    let folder = fixture.rpm("folder", &[FixtureFile::Folder("/usr/bin/x")]);
    expect(&refused(&fixture, &[&one, &folder]), &["a folder", "a file"])?;
    let below = fixture.rpm("below", &[FixtureFile::Plain("/usr/bin/x/y", b"1", "root", 0o644)]);
    refused(&fixture, &[&one, &below]);
    Ok(())
}

pub fn what_is_the_same_may_be_there_twice() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let files = || {
        [
            FixtureFile::Folder("/usr/bin"),
            FixtureFile::Plain("/usr/bin/x", b"1", "root", 0o755),
            FixtureFile::Link("/a", "b"),
        ]
    };
    let (one, other) = (fixture.rpm("one", &files()), fixture.rpm("other", &files()));
    let image = fixture.compose(TREE, &[&one, &other])?;
    assert_eq!(fs_err::read(image.tree().expect("a tree").join("usr/bin/x"))?, b"1");
    Ok(())
}

pub fn files_land_where_links_lead() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let links = fixture.rpm(
        "links",
        &[
            FixtureFile::Link("/lib", "usr/lib"),
            FixtureFile::Link("/usr/sbin", "bin"),
        ],
    );
    let one = fixture.rpm(
        "one",
        &[
            FixtureFile::Plain("/lib/a", b"a", "root", 0o644),
            FixtureFile::Plain("/usr/sbin/b", b"b", "root", 0o755),
        ],
    );
    let image = fixture.compose(TREE, &[&links, &one])?;
    let tree = image.tree().expect("a tree");
    assert_eq!(fs_err::read(tree.join("usr/lib/a"))?, b"a");
    assert!(fs_err::symlink_metadata(tree.join("lib"))?.is_symlink());
    assert!(!fs_err::symlink_metadata(tree.join("usr/bin/b"))?.is_symlink());
    Ok(())
}

pub fn what_cannot_be_in_an_image_is_refused() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let script = fixture.rpm_with("script", &[], |builder| builder.post_install_script("true"));
    expect(&refused(&fixture, &[&script]), &["script", "%post"])?;
    let tool = fixture.rpm_with("tool", &[], |builder| builder.provides(Dependency::any("build-tool")));
    expect(&refused(&fixture, &[&tool]), &["tool", "build tool"])?;
    let owner = fixture.rpm("owner", &[FixtureFile::Plain("/etc/x", b"", "stranger", 0o644)]);
    expect(&refused(&fixture, &[&owner]), &["/etc/x", "stranger"])?;
    let covered = fixture.rpm("covered", &[FixtureFile::Plain("/var/lib/x", b"", "root", 0o644)]);
    let node = "name: node\nkind: disk\npackages: [covered]\n";
    let error = fixture.compose(node, &[&covered]).expect_err("refused");
    expect(&error.to_string(), &["/var/lib/x", "covers"])?;
    let kernel = fixture.rpm("empty", &[FixtureFile::Folder("/usr")]);
    let error = fixture.compose(node, &[&kernel]).expect_err("refused");
    expect(&error.to_string(), &["`node` has no kernel"])
}

pub fn excluded_files_are_not_there() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let one = fixture.rpm(
        "one",
        &[
            FixtureFile::Plain("/usr/include/x.h", b"", "root", 0o644),
            FixtureFile::Plain("/usr/bin/x", b"", "root", 0o755),
        ],
    );
    let image = fixture.compose(&format!("{TREE}exclude: [/usr/include]\n"), &[&one])?;
    let tree = image.tree().expect("a tree");
    assert!(tree.join("usr/bin/x").exists() && !tree.join("usr/include").exists());
    Ok(())
}

pub fn nothing_leaves_the_root() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    // A path in a header leads out of the root.
    let honest = fixture.rpm("honest", &[FixtureFile::Plain("/usr/bin/x", b"1", "root", 0o755)]);
    let hostile = fixture.changed(&honest, b"/usr/bin/\0", b"/../../x/\0");
    expect(&refused(&fixture, &[&hostile]), &["/../../x/x", "normal form"])?;
    // A link of one package leads out of the root, and a path of another leads through it: the file stays below the
    // root.
    let up = fixture.rpm("up", &[FixtureFile::Link("/way", "../../../../../../../srv/out")]);
    let through = fixture.rpm("through", &[FixtureFile::Plain("/way/file", b"inside", "root", 0o644)]);
    let image = fixture.compose(TREE, &[&up, &through])?;
    let tree = image.tree().expect("a tree");
    assert_eq!(fs_err::read(tree.join("srv/out/file"))?, b"inside");
    assert!(fs_err::symlink_metadata(tree.join("way"))?.is_symlink());
    // A link replaces a folder that the composer itself writes to.
    let away = fixture.rpm(
        "away",
        &[
            FixtureFile::Link("/etc", "/srv"),
            FixtureFile::Plain("/usr/x", b"", "root", 0o644),
        ],
    );
    let container = "name: tree\nkind: container\npackages: [one]\nentrypoint: [/usr/x]\n";
    let error = fixture.compose(container, &[&away]).expect_err("refused");
    expect(&error.to_string(), &["away", "/etc", "/etc/passwd", "must be a folder"])
}

pub fn content_that_is_not_the_headers_is_refused() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let file = |name: &str, content: &'static [u8]| {
        fixture.rpm(name, &[FixtureFile::Plain("/usr/bin/x", content, "root", 0o755)])
    };
    let (honest, other) = (file("honest", b"program"), file("other", b"another"));
    fixture.compose(TREE, &[&honest])?;
    let swapped = fixture.with_payload_of(&honest, &other);
    expect(
        &refused(&fixture, &[&swapped]),
        &[
            "`/usr/bin/x` of the package honest",
            "has the digest",
            "according to its header",
        ],
    )?;
    let more = fixture.rpm(
        "more",
        &[
            FixtureFile::Plain("/usr/bin/backdoor", b"x", "root", 0o755),
            FixtureFile::Plain("/usr/bin/x", b"program", "root", 0o755),
        ],
    );
    let swapped = fixture.with_payload_of(&honest, &more);
    expect(
        &refused(&fixture, &[&swapped]),
        &["honest-swapped.rpm", "`/usr/bin/backdoor` is not in its header"],
    )
}

pub fn file_capabilities_are_refused() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let ping = fixture.rpm_with("ping", &[], |builder| {
        let options = rpm::FileOptions::new("/usr/bin/ping").permissions(0o755);
        let options = options.caps("cap_net_raw=ep").expect("capabilities");
        builder.with_file_contents(b"x".as_slice(), options).expect("a file")
    });
    expect(&refused(&fixture, &[&ping]), &["/usr/bin/ping", "file capabilities"])
}

pub fn what_is_in_an_image_can_be_looked_at() -> Result<(), Failed> {
    let fixture = Fixture::new(None);
    let packages = fixture.rpm(
        "one",
        &[
            FixtureFile::Link("/bin", "usr/bin"),
            FixtureFile::Plain("/bin/x", b"1234", "root", 0o4755),
            FixtureFile::Plain("/usr/include/x.h", b"", "root", 0o644),
            FixtureFile::Plain("/usr/lib/sysusers.d/one.conf", b"u keeper 190\n", "root", 0o644),
            FixtureFile::Plain("/etc/keys", b"secret", "keeper", 0o640),
        ],
    );
    let definition = crate::fixture::definition(&format!("{TREE}exclude: [/usr/include]\n"));
    let mut seen = Vec::new();
    basalt_image::contents(
        &definition,
        &crate::fixture::payloads(&[&packages]),
        &mut |content, bytes| {
            let mut text = String::new();
            bytes.read_to_string(&mut text)?;
            let kind = match content.kind {
                basalt_image::ContentKind::Directory => "folder".to_owned(),
                basalt_image::ContentKind::Symlink(to) => format!("link to {to}"),
                basalt_image::ContentKind::File(size) => format!("file of {size}: {text}"),
                basalt_image::ContentKind::HardLink(first) => format!("also {first}"),
            };
            seen.push(format!(
                "{} {:o} {}:{} {kind}",
                content.path, content.mode, content.user, content.group
            ));
            Ok(())
        },
    )?;
    seen.sort();
    let expected = [
        "/bin 777 0:0 link to usr/bin",
        "/etc 755 0:0 folder",
        "/etc/keys 640 190:190 file of 6: secret",
        "/usr 755 0:0 folder",
        "/usr/bin 755 0:0 folder",
        "/usr/bin/x 4755 0:0 file of 4: 1234",
        "/usr/lib 755 0:0 folder",
        "/usr/lib/sysusers.d 755 0:0 folder",
        "/usr/lib/sysusers.d/one.conf 644 0:0 file of 13: u keeper 190\n",
    ];
    match seen == expected {
        true => Ok(()),
        false => Err(format!("{seen:#?}").into()),
    }
}

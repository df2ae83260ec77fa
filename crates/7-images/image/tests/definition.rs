//! Checks of image definitions, and the messages for those that are wrong.

#![cfg(test)]

use std::path::Path;

use basalt_image::definition::{ImageKind, check, json_schema};

fn said(text: &str) -> String {
    check("distro/images/node.yaml", text).expect_err("wrong").brief()
}

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schemas/image.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, json_schema()).unwrap();
    }
    let published = fs_err::read_to_string(&path).unwrap_or_default();
    assert!(
        published == json_schema(),
        "{} is out of date: run the tests with UPDATE_SCHEMAS=1",
        path.display()
    );
}

#[test]
fn every_definition_of_the_distribution_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/images");
    let mut seen = 0;
    for entry in fs_err::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs_err::read_to_string(&path).unwrap();
        check(path.to_str().unwrap(), &text).unwrap_or_else(|problems| panic!("{}", problems.brief()));
        seen += 1;
    }
    assert!(seen >= 7, "only {seen} definitions");
}

#[test]
fn everything_wrong_is_said_at_once() {
    insta::assert_snapshot!(said(
        "\
name: nodes
kind: disk
package: [systemd]
packages: [systemd, 'a b', systemd, 7]
exclude: [usr/include, '/usr/[a', /var/]
kernelArguments: ['quiet loglevel=4', root=/dev/sda, '']
partitions: { espMib: 100, rootMiB: 400 }
entrypoint: [/usr/bin/x]
"
    ));
}

#[test]
fn a_container_says_what_it_runs() {
    insta::assert_snapshot!(said(
        "name: node\nkind: container\npackages: [a]\nuser: nobody\nexclude: yes\n"
    ));
    insta::assert_snapshot!(said("name: node\nkind: contianer\nextends: node\n"));
}

#[test]
fn extending_adds_and_replaces() {
    let base = "name: base\nkind: disk\npackages: [a, b]\nkernelArguments: [quiet]\npartitions: { rootMib: 100 }\n";
    let own = "name: own\nkind: disk\nextends: base\npackages: [b, c]\npartitions: { espMib: 300 }\n";
    let base = check("base.yaml", base).unwrap();
    let own = check("own.yaml", own).unwrap().extending(&base).unwrap();
    assert_eq!(own.packages, ["a", "b", "c"]);
    let ImageKind::Disk(disk) = &own.kind else {
        panic!("{own:?}")
    };
    assert_eq!(
        (disk.esp_mib(), disk.root_mib(), &disk.kernel_arguments[..]),
        (300, 100, &["quiet".to_owned()][..])
    );
    let tree = check("tree.yaml", "name: tree\nkind: tree\nextends: base\n").unwrap();
    let error = tree.extending(&base).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the image `tree` is a tree and cannot extend `base`, which is a disk"
    );
}

#[test]
fn patterns_cover_what_is_below() {
    let text = "name: t\nkind: tree\npackages: [a]\nexclude: [/usr/include, '/usr/lib/*/vmlinuz', '/usr/lib/**/*.a']\n";
    let definition = check("t.yaml", text).unwrap();
    let covered = |path: &str| definition.exclude.iter().any(|pattern| pattern.covers(path));
    for path in [
        "/usr/include",
        "/usr/include/a/b.h",
        "/usr/lib/6.12/vmlinuz",
        "/usr/lib/x.a",
        "/usr/lib/a/b/x.a",
    ] {
        assert!(covered(path), "{path}");
    }
    for path in [
        "/usr",
        "/usr/included",
        "/usr/lib/vmlinuz",
        "/usr/lib/a/b/vmlinuz",
        "/usr/lib/x.abc",
    ] {
        assert!(!covered(path), "{path}");
    }
}

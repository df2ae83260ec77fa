//! Outputs that attack the process which collects them.

use std::io;

use basalt_sandbox::outputs;
use camino::Utf8Path;
use libtest_mimic::{Failed, Trial};

use crate::AttemptTarget;
use crate::fixture::{Fixture, nothing};

pub fn trials() -> Vec<Trial> {
    ["link", "folder_link", "newline", "fifo", "setuid"]
        .into_iter()
        .map(|name| Trial::test(format!("an_output_is_refused_{name}"), move || is_refused(name)))
        .collect()
}

fn is_refused(name: &str) -> Result<(), Failed> {
    let fixture = Fixture::new()?;
    let sandbox = fixture.sandbox();
    sandbox
        .command("/attempt", fixture.arguments("outputs/plain"))
        .output()?;
    let folder = fixture.path().join("work");
    assert_eq!(outputs::list(&folder)?, ["plain"]);
    sandbox
        .command("/attempt", fixture.arguments(&format!("outputs/{name}")))
        .output()?;
    // Careless code would follow it: what it leads to can be read.
    if name == "link" {
        assert_eq!(std::fs::read_to_string(folder.join("out"))?, "the host's");
    }
    if name == "folder_link" {
        assert_eq!(std::fs::read_to_string(folder.join("out/secret"))?, "the host's");
        assert!(outputs::open(&folder, Utf8Path::new("out/secret")).is_err());
    }
    assert!(outputs::list(&folder).is_err());
    assert!(outputs::open(&folder, Utf8Path::new("out")).is_err());
    outputs::open(&folder, Utf8Path::new("plain"))?;
    Ok(())
}

pub fn inside(name: &str) -> fn(&AttemptTarget) -> io::Result<()> {
    match name {
        "outputs/plain" => |_| std::fs::write("/work/plain", "x"),
        "outputs/link" => |target| std::os::unix::fs::symlink(format!("{}/secret", target.folder), "/work/out"),
        "outputs/folder_link" => |target| std::os::unix::fs::symlink(&target.folder, "/work/out"),
        "outputs/newline" => |_| std::fs::write("/work/out\nplain", "x"),
        "outputs/fifo" => |_| {
            let mode = rustix::fs::Mode::from_raw_mode(0o644);
            let kind = rustix::fs::FileType::Fifo;
            Ok(rustix::fs::mknodat(rustix::fs::CWD, "/work/out", kind, mode, 0)?)
        },
        "outputs/setuid" => |_| {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::write("/work/out", "x")?;
            std::fs::set_permissions("/work/out", std::fs::Permissions::from_mode(0o4755))
        },
        _ => |_| Err(nothing("no such output")),
    }
}

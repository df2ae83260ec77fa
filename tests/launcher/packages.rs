//! Debian packages that are missing: named for an ordinary user, installed for root.

use std::collections::BTreeSet;

use basalt_process::tool;
use basalt_test_environment::{Failed, ensure, has_all};

use crate::checkout::silent;
use crate::machine::{Machine, PACKAGES, User, repository};

/// Fails unless these packages, and no others, are said to be missing, with the command that installs them.
fn are_named(stderr: &str, packages: &str) -> Result<(), Failed> {
    let first = format!("basalt: this machine lacks: {packages}\n");
    let command = format!("    sudo sh -c 'apt-get update; apt-get install -y --no-install-recommends {packages}'\n");
    has_all(stderr, &[&first, &command])
}

pub fn missing_packages_are_named(machine: &Machine) -> Result<(), Failed> {
    for (package, ..) in PACKAGES {
        machine.uninstall(package)?;
        let ran = machine.run(&["status"])?.ended_with(3)?;
        // Without a compiler, nothing is known of what it links with.
        are_named(&ran.stderr, if *package == "gcc" { "gcc libc6-dev" } else { package })?;
        machine.install(package)?;
    }
    for (package, ..) in PACKAGES {
        machine.uninstall(package)?;
    }
    let ran = machine.run(&["status"])?.ended_with(3)?;
    are_named(&ran.stderr, "mmdebstrap debian-archive-keyring uidmap gcc libc6-dev")?;
    machine.not_called(&["apt-get", "cargo"])
}

pub fn missing_packages_are_installed(machine: &Machine) -> Result<(), Failed> {
    machine.file("update-fails", "")?;
    for (package, ..) in PACKAGES {
        machine.uninstall(package)?;
    }
    let ran = machine.run(&["status"])?.ended_with(0)?;
    has_all(&ran.stderr, &["going on with the package lists that there are"])?;
    // Root maps ids without newuidmap.
    let packages = "mmdebstrap debian-archive-keyring gcc libc6-dev";
    let options = "--no-install-recommends -o DPkg::Lock::Timeout=300";
    has_all(
        &machine.calls()?,
        &[
            "apt-get update -q\n",
            &format!("apt-get install -y {options} {packages}\n"),
        ],
    )?;

    // Nothing that can be installed has it, and the command is to be built.
    machine.change_source()?;
    machine.uninstall("mmdebstrap")?;
    machine.remove("archive/mmdebstrap/bin/mmdebstrap")?;
    for _ in ["with apt-get", "without"] {
        let ran = machine.run(&["status"])?.ended_with(3)?;
        let command = "    sh -c 'apt-get update; apt-get install -y --no-install-recommends mmdebstrap'\n";
        has_all(&ran.stderr, &["basalt: this machine lacks: mmdebstrap\n", command])?;
        machine.remove("bin/apt-get")?;
    }
    Ok(())
}

pub fn failed_link_is_shown(machine: &Machine) -> Result<(), Failed> {
    machine.remove("bin/apt-get")?;
    machine.uninstall("libc6-dev")?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    has_all(
        &ran.stderr,
        &[
            "this machine lacks: libc6-dev\n",
            "linked: /usr/bin/ld: cannot find Scrt1.o",
        ],
    )?;
    machine.not_called(&["cargo"])
}

pub fn temporary_folder_is_missing(machine: &Machine) -> Result<(), Failed> {
    let ran = machine
        .call()
        .set("TMPDIR", "/nowhere/at/all")
        .run(&["status"])?
        .ended_with(3)?;
    has_all(&ran.stderr, &["no temporary folder can be made. TMPDIR has to name"])?;
    ensure(!ran.stderr.contains("lacks"), || ran.stderr.clone())?;
    machine.not_called(&["apt-get", "cargo"])
}

pub fn temporary_folder_is_full(machine: &Machine) -> Result<(), Failed> {
    fs_err::create_dir(machine.root.join("full"))?;
    machine.set_mode("../full", 0o777)?;
    fs_err::os::unix::fs::symlink("/dev/full", machine.root.join("full/probe.c"))?;
    machine.remove("bin/mktemp")?;
    machine.link("mktemp", "bin/mktemp")?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    let words = format!(
        "basalt: {}/full cannot be written: its disk may be full. TMPDIR can",
        machine.root
    );
    has_all(&ran.stderr, &[&words])?;
    // The compiler, which would find no program in the file, is not to blame.
    ensure(!ran.stderr.contains("lacks"), || ran.stderr.clone())?;
    machine.not_called(&["apt-get", "cargo", "cc"])
}

pub fn built_command_needs_no_compiler(machine: &Machine) -> Result<(), Failed> {
    machine.run(&[])?.ended_with(0)?;
    machine.uninstall("gcc")?;
    machine.uninstall("libc6-dev")?;
    let ran = machine.run(&["status"])?.ended_with(0)?;
    silent(&ran.stderr)?;
    // mmdebstrap is for what the command does, which says so itself. Root has it installed all the same.
    machine.uninstall("mmdebstrap")?;
    let ran = machine.run(&["status"])?.ended_with(0)?;
    if machine.user() == User::Ordinary {
        silent(&ran.stderr)?;
    }
    Ok(())
}

pub fn built_command_says_what_is_missing_itself(machine: &Machine) -> Result<(), Failed> {
    machine.run(&[])?.ended_with(0)?;
    for (package, ..) in PACKAGES {
        machine.uninstall(package)?;
    }
    for kind in ["subuid", "subgid"] {
        machine.remove(&format!("etc/{kind}"))?;
    }
    machine.file(
        "unshare-fails",
        "--user unshare: unshare failed: Operation not permitted\n",
    )?;
    for arguments in [
        &["status"][..],
        &["store", "path"],
        &["--help"],
        &["check", "node.yaml"],
    ] {
        let ran = machine.run(arguments)?.ended_with(0)?;
        silent(&ran.stderr)?;
        has_all(&ran.stdout, &[&format!("arguments: {}\n", arguments.join(" "))])?;
    }
    // A changed source has to be compiled, and that is worth a look at the machine.
    machine.change_source()?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    has_all(&ran.stderr, &["this machine lacks: mmdebstrap", "no user namespaces"])
}

/// Names of packages in the launcher, in this test, in README and in the table of the command's tools.
pub fn packages_are_named_alike() -> Result<(), Failed> {
    let launcher = fs_err::read_to_string(repository().join("basalt"))?;
    let pieces = launcher.split("missing=\"$missing ").skip(1);
    let named: Vec<_> = pieces.filter_map(|piece| piece.split('"').next()).collect();
    let known: Vec<_> = PACKAGES.iter().map(|(package, ..)| *package).collect();
    ensure(named == known, || {
        format!("the launcher names {named:?}, these tests {known:?}")
    })?;
    let once: BTreeSet<_> = named.iter().collect();
    ensure(once.len() == named.len(), || format!("one is named twice: {named:?}"))?;
    for tool in [tool::MMDEBSTRAP, tool::NEWUIDMAP] {
        let package = tool.package.unwrap_or_default();
        ensure(named.contains(&package), || {
            format!("the launcher does not name {package}")
        })?;
    }
    let readme = fs_err::read_to_string(repository().join("README.md"))?;
    has_all(
        &readme,
        &[&format!("apt-get install --no-install-recommends {}", known.join(" "))],
    )
}

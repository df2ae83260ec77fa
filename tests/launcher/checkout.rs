//! Checkouts: built and not, reached by links, from other folders, read-only, without a network, with other line ends.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use basalt_process::Command;
use basalt_test_environment::{Failed, ensure, has_all};

use crate::machine::{Machine, repository};

/// Fails unless nothing was said.
pub fn silent(stderr: &str) -> Result<(), Failed> {
    ensure(stderr.is_empty(), || {
        format!("there was nothing to say, but:\n{stderr}")
    })
}

/// Returns `true` for a time of day, `HH:MM:SS`.
fn is_time(text: &str) -> bool {
    let fits = |(index, letter): (usize, char)| match index % 3 {
        2 => letter == ':',
        _ => letter.is_ascii_digit(),
    };
    text.len() == 8 && text.char_indices().all(fits)
}

/// Times of the lines that the launcher writes with one.
fn times(stderr: &str) -> Vec<&str> {
    let lines = stderr
        .lines()
        .filter_map(|line| line.strip_prefix("basalt: ")?.get(..8));
    lines.filter(|time| is_time(time)).collect()
}

pub fn command_is_built_and_run(machine: &Machine) -> Result<(), Failed> {
    let first = machine.run(&["build", "zlib", "a b"])?.ended_with(0)?;
    has_all(
        &first.stdout,
        &[
            "arguments: build zlib a b\n",
            &format!("checkout: {}\n", machine.checkout),
        ],
    )?;
    // Also without a terminal, a build that takes minutes says when it began, what it does, and when it ended.
    has_all(
        &first.stderr,
        &[
            "building the basalt command",
            "Compiling basalt",
            "the basalt command is built, after ",
        ],
    )?;
    ensure(times(&first.stderr).len() == 2, || {
        format!("not two times:\n{}", first.stderr)
    })?;
    let call = "for default: build --locked --profile tool --package basalt --message-format json-render-diagnostics";
    has_all(
        &machine.calls()?,
        &["cc ", &format!("cargo in {} {call}\n", machine.checkout)],
    )?;

    let second = machine.run(&["build", "zlib", "a b"])?.ended_with(0)?;
    silent(&second.stderr)?;
    ensure(second.stdout == first.stdout, || second.stdout.clone())?;
    has_all(&machine.calls()?, &["for default: build --quiet --locked"])?;

    machine.change_source()?;
    let third = machine.run(&[])?.ended_with(0)?;
    has_all(&third.stderr, &["Compiling basalt"])
}

pub fn symbolic_links_are_followed(machine: &Machine) -> Result<(), Failed> {
    let link = machine.root.join("home/bin/basalt");
    fs_err::create_dir_all(machine.root.join("home/bin"))?;
    fs_err::os::unix::fs::symlink("../another", &link)?;
    fs_err::os::unix::fs::symlink("../a checkout/basalt", machine.root.join("home/another"))?;
    let ran = machine
        .call()
        .script(link)
        .folder("/")
        .run(&["status"])?
        .ended_with(0)?;
    has_all(
        &ran.stdout,
        &[
            "arguments: status\n",
            "folder: /\n",
            &format!("checkout: {}\n", machine.checkout),
        ],
    )
}

pub fn current_folder_is_left_alone(machine: &Machine) -> Result<(), Failed> {
    // rustup and cargo would go by these.
    machine.file("work/rust-toolchain.toml", "[toolchain]\nchannel = \"1.40\"\n")?;
    machine.file(
        "work/.cargo/config.toml",
        "[build]\ntarget = \"wasm32-unknown-unknown\"\n",
    )?;
    let call = machine
        .call()
        .set("BASALT_STORE", "a/store")
        .set("CDPATH", &machine.root);
    let ran = call.run(&["status"])?.ended_with(0)?;
    has_all(
        &machine.calls()?,
        &[&format!("cargo in {} for default: ", machine.checkout)],
    )?;
    // A relative path is relative to the user's folder, which the command has to be in.
    let folder = format!("folder: {}/work\n", machine.root);
    has_all(&ran.stdout, &[&folder, "store: a/store\n"])
}

pub fn unchanged_command_runs_offline(machine: &Machine) -> Result<(), Failed> {
    machine.run(&[])?.ended_with(0)?;
    machine.file("cargo-fails", "error: failed to download from the registry\n")?;
    let ran = machine.run(&["status"])?.ended_with(0)?;
    has_all(&ran.stdout, &["arguments: status\n"])?;
    has_all(
        &ran.stderr,
        &["failed to download from the registry", "no source was changed"],
    )?;

    machine.remove("bin/cargo")?;
    let ran = machine.run(&["status"])?.ended_with(0)?;
    silent(&ran.stderr)?;

    // A command that is older than its sources is not what was asked for.
    machine.change_source()?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    has_all(&ran.stderr, &["this machine lacks Rust (cargo)"])?;
    machine.link("cargo", "bin/cargo")?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    let rust = format!(
        "It takes Rust {} or newer; this is cargo 1.95.0",
        env!("CARGO_PKG_RUST_VERSION")
    );
    has_all(&ran.stderr, &["failed to download from the registry", &rust])?;
    ensure(ran.stdout.is_empty(), || ran.stdout.clone())
}

/// Name of the file with the path of the command.
const NOTE: &str = "a checkout/target/launcher";

pub fn disk_is_full(machine: &Machine) -> Result<(), Failed> {
    machine.run(&[])?.ended_with(0)?;
    let note = machine.root.join(NOTE);
    let whole = fs_err::read_to_string(&note)?;
    fs_err::os::unix::fs::symlink("/dev/full", note.with_extension("new"))?;
    for is_there in [true, false] {
        if !is_there {
            machine.remove(NOTE)?;
        }
        machine.change_source()?;
        let ran = machine.run(&["status"])?.ended_with(0)?;
        has_all(&ran.stdout, &["arguments: status\n"])?;
        ensure(!ran.stderr.contains("No space left"), || ran.stderr.clone())?;
        // No part of it, either.
        let kept = is_there.then(|| whole.clone());
        let found = fs_err::read_to_string(&note).ok();
        ensure(found == kept, || format!("the note has become {found:?}"))?;
    }
    Ok(())
}

pub fn torn_note_is_written_again(machine: &Machine) -> Result<(), Failed> {
    machine.run(&[])?.ended_with(0)?;
    let whole = fs_err::read_to_string(machine.root.join(NOTE))?;
    for torn in ["", "targ", "target", "target/tool", "target/tool/basa"] {
        ensure(whole.starts_with(torn), || whole.clone())?;
        machine.file(NOTE, torn)?;
        let ran = machine.run(&["status"])?.ended_with(0)?;
        has_all(&ran.stdout, &["arguments: status\n"])?;
        let found = fs_err::read_to_string(machine.root.join(NOTE))?;
        ensure(found == whole, || format!("after {torn:?}, the note is {found:?}"))?;
    }
    // A folder is no command.
    machine.file(NOTE, "target/tool")?;
    machine.remove("bin/cargo")?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    has_all(&ran.stderr, &["this machine lacks Rust (cargo)"])
}

pub fn path_is_not_utf_8(machine: &Machine) -> Result<(), Failed> {
    let link = machine.root.join("home/basalt");
    for (name, code) in [(&b"caf\xe9"[..], 3), ("café au lait".as_bytes(), 0)] {
        let folder = machine.root.as_std_path().join(OsStr::from_bytes(name));
        fs_err::rename(&machine.checkout, &folder)?;
        fs_err::os::unix::fs::symlink(folder.join("basalt"), &link)?;
        let ran = machine.call().script(link.clone()).run(&["status"]);
        machine.remove("home/basalt")?;
        fs_err::rename(&folder, &machine.checkout)?;
        let ran = ran?.ended_with(code)?;
        if code == 0 {
            has_all(&ran.stdout, &["arguments: status\n", "/café au lait\n"])?;
        } else {
            has_all(&ran.stderr, &["the path of this checkout is not UTF-8. Move"])?;
            machine.not_called(&["cargo"])?;
        }
    }
    Ok(())
}

pub fn read_only_checkout(machine: &Machine) -> Result<(), Failed> {
    machine.set_mode("", 0o555)?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    let help = format!(
        "    CARGO_TARGET_DIR=~/.cache/basalt-target '{}/basalt'",
        machine.checkout
    );
    has_all(&ran.stderr, &["this user cannot write ", &help])?;
    // What the help says.
    let elsewhere = machine.root.join("home/target");
    let ran = machine.call().set("CARGO_TARGET_DIR", &elsewhere).run(&["status"])?;
    has_all(
        &ran.ended_with(0)?.stdout,
        &[&format!("command: {elsewhere}/tool/basalt\n")],
    )?;

    machine.set_mode("", 0o777)?;
    machine.run(&[])?.ended_with(0)?;
    machine.set_mode("", 0o555)?;
    machine.set_mode("target", 0o555)?;
    machine.file(
        "cargo-fails",
        "error: failed to open .cargo-lock: Read-only file system\n",
    )?;
    let ran = machine.run(&["status"]);
    machine.set_mode("", 0o777)?;
    machine.set_mode("target", 0o777)?;
    has_all(&ran?.ended_with(0)?.stdout, &["arguments: status\n"])
}

pub fn ci_script_runs_the_tests(machine: &Machine) -> Result<(), Failed> {
    machine.file("update-fails", "")?;
    machine.file("shared/cache/cache-keys", "")?;
    let script = machine.checkout.join(".ci/run");
    let call = machine.call().script(script).folder("/").set("CDPATH", &machine.root);
    let ran = call.run(&[])?.ended_with(0)?;
    let checkout = &machine.checkout;
    has_all(
        &ran.stdout,
        &[
            "arguments: test\n",
            &format!("folder: {checkout}\n"),
            &format!("cache: {checkout}/../shared/cache?mode=read\n"),
            // Without a store, cargo's files stay in the checkout.
            "build folder: \n",
        ],
    )?;
    has_all(&machine.calls()?, &["apt-get update -q\n"])?;

    // What was compiled stays for the next checkout, until a crate changes.
    let kept = machine.file("home/.cache/basalt/cargo/kept", "")?;
    let folder = format!("build folder: {}/home/.cache/basalt/cargo\n", machine.root);
    let mut is_kept = Vec::new();
    for lock in ["", "", "checksum = \"1\"\n"] {
        machine.file("a checkout/Cargo.lock", lock)?;
        let script = machine.checkout.join(".ci/run");
        let ran = machine.call().script(script).run(&[])?.ended_with(0)?;
        has_all(&ran.stdout, &[folder.as_str()])?;
        is_kept.push(kept.exists());
        machine.file("home/.cache/basalt/cargo/kept", "")?;
    }
    ensure(is_kept == [false, true, false], || format!("{is_kept:?}"))
}

/// Line ends of a clone, where git is set up to convert them.
pub fn line_ends_are_kept() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let root = camino::Utf8Path::from_path(folder.path()).ok_or("the folder of temporary files is not UTF-8")?;
    let git = |arguments: &[&str]| {
        Command::new("git")
            .args([
                "-c",
                "user.name=test",
                "-c",
                "user.email=test@example.org",
                "-c",
                "core.autocrlf=true",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .current_dir(root)
            .output()
    };
    let attributes = ".gitattributes";
    for (name, files) in [("plain", &["basalt"][..]), ("ours", &["basalt", attributes][..])] {
        git(&["init", "--quiet", name])?;
        for file in files {
            fs_err::copy(repository().join(file), root.join(name).join(file))?;
        }
        git(&["-C", name, "add", "."])?;
        git(&["-C", name, "commit", "--quiet", "--message=Files"])?;
        let clone = format!("{name}-clone");
        git(&["clone", "--quiet", name, clone.as_str()])?;
    }
    let has_carriage_returns = |clone: &str| -> Result<bool, Failed> {
        let launcher = fs_err::read(root.join(clone).join("basalt"))?;
        Ok(launcher.contains(&b'\r'))
    };
    ensure(has_carriage_returns("plain-clone")?, || {
        "git converted nothing: this tests nothing".to_owned()
    })?;
    ensure(!has_carriage_returns("ours-clone")?, || {
        format!("{attributes} does not keep line ends")
    })
}

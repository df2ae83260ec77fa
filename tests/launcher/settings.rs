//! Settings of the user: cargo's target folder and target, by file and by environment; HOME and CARGO_HOME.

use basalt_test_environment::{Failed, ensure, has_all};

use crate::checkout::silent;
use crate::machine::Machine;

pub fn target_folder_of_the_user(machine: &Machine) -> Result<(), Failed> {
    // Where the command would be without any settings, there is an old one.
    let old = machine.file("a checkout/target/tool/basalt", "#!/bin/sh\necho old\n")?;
    machine.set_mode("target/tool/basalt", 0o777)?;
    machine.set_mode("target", 0o777)?;
    let elsewhere = machine.root.join("home/target folder");
    machine.file("target-dir", elsewhere.as_str())?;
    let command = format!("command: {elsewhere}/tool/basalt\n");
    for _ in ["built", "there"] {
        let ran = machine.run(&["status"])?.ended_with(0)?;
        has_all(&ran.stdout, &[&command])?;
    }
    machine.file("cargo-fails", "error: no network\n")?;
    let ran = machine.run(&["status"])?.ended_with(0)?;
    has_all(&ran.stdout, &[&command])?;
    machine.remove("cargo-fails")?;
    ensure(fs_err::read_to_string(&old)?.contains("echo old"), || {
        format!("{old} was written")
    })?;

    let by_variable = machine.root.join("home/other");
    for _ in ["built", "there"] {
        let ran = machine
            .call()
            .set("CARGO_TARGET_DIR", &by_variable)
            .run(&["status"])?
            .ended_with(0)?;
        has_all(&ran.stdout, &[&format!("command: {by_variable}/tool/basalt\n")])?;
    }
    Ok(())
}

pub fn target_of_the_user(machine: &Machine) -> Result<(), Failed> {
    let configuration = "home/.cargo/config.toml";
    machine.file(
        configuration,
        "[target.x86_64-unknown-linux-gnu]\nlinker = \"clang\"\n[build]\ntarget-dir = \"x\"\n",
    )?;
    machine.run(&[])?.ended_with(0)?;
    ensure(!machine.calls()?.contains("for host-tuple"), || {
        "no target was set".to_owned()
    })?;

    let ran = machine
        .call()
        .set("CARGO_BUILD_TARGET", "wasm32-wasip1")
        .run(&["status"])?
        .ended_with(0)?;
    let command = format!("command: {}/target/the-host/tool/basalt\n", machine.checkout);
    has_all(&ran.stdout, &[&command])?;
    has_all(&machine.calls()?, &["for host-tuple: build"])?;
    for text in [
        "[build]\n  target = \"wasm32-wasip1\"\n",
        "build.target = [\"aarch64-unknown-linux-gnu\"]\n",
    ] {
        machine.file(configuration, text)?;
        let ran = machine.run(&["status"])?.ended_with(0)?;
        has_all(&ran.stdout, &[&command])?;
    }
    // The folder of cargo's settings can be another one.
    machine.file("settings/config.toml", "")?;
    let call = machine.call().set("CARGO_HOME", machine.root.join("settings"));
    let ran = call.run(&["status"])?.ended_with(0)?;
    has_all(
        &ran.stdout,
        &[&format!("command: {}/target/tool/basalt\n", machine.checkout)],
    )
}

pub fn home_is_unset(machine: &Machine) -> Result<(), Failed> {
    machine.call().unset("HOME").run(&["status"])?.ended_with(0)?;
    machine.change_source()?;
    machine.remove("bin/cargo")?;
    let ran = machine.call().unset("HOME").run(&["status"])?.ended_with(3)?;
    has_all(&ran.stderr, &["this machine lacks Rust (cargo)", "HOME is not set"])?;
    // Nothing of it is the shell's.
    let own = |line: &str| line.starts_with("basalt: ") || line.starts_with("    ");
    ensure(ran.stderr.lines().all(own), || ran.stderr.clone())
}

pub fn cargo_is_found_where_rustup_puts_it(machine: &Machine) -> Result<(), Failed> {
    machine.remove("bin/cargo")?;
    let ran = machine.run(&["status"])?.ended_with(3)?;
    let rust = format!(
        "lacks Rust (cargo), version {} or newer",
        env!("CARGO_PKG_RUST_VERSION")
    );
    has_all(&ran.stderr, &[&rust])?;
    machine.link("cargo", "home/.cargo/bin/cargo")?;
    machine.run(&["status"])?.ended_with(0)?;
    machine.link("cargo", "rust/bin/cargo")?;
    let call = machine
        .call()
        .unset("HOME")
        .set("CARGO_HOME", machine.root.join("rust"));
    silent(&call.run(&["status"])?.ended_with(0)?.stderr)
}

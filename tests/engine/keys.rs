//! Keys: what makes a package be built again, and that nothing changes under a build.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use basalt_build::PackageNames;
use basalt_test_environment::{Failed, ensure, has_all, marked_processes, shown, until};

use crate::distro::{Distro, Fixture};
use crate::failures::TIMEOUT;

/// A package whose build waits for `seconds` before it takes the file `word` from its sources.
fn slow(distro: &Distro, seconds: &str) -> Result<(), Failed> {
    let sections = format!(
        "%build\nsleep {seconds}\n\n%install\n\
         install -D -m 0644 %{{_sourcedir}}/word %{{buildroot}}%{{_datadir}}/slow/word\n\n%files\n%{{_datadir}}/slow"
    );
    distro.write("slow", "", &sections)?;
    Ok(fs_err::write(distro.file("slow", "word"), "before\n")?)
}

/// The content of the file that the package installs.
fn word(distro: &Distro) -> Result<String, Failed> {
    let (_, built) = distro.build(&["slow"]).map_err(shown)?;
    let rpm = built["slow"].rpms[0].path(&distro.store);
    let mut payload = basalt_rpm::Payload::open(&rpm).map_err(shown)?;
    while let Some(file) = payload.next().map_err(shown)? {
        if file.is_regular() {
            return Ok(std::io::read_to_string(&mut payload)?);
        }
    }
    Err("no file in the package".into())
}

pub fn an_edit_during_a_build_reaches_the_next_one(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let seconds = "3.625";
    slow(&distro, seconds)?;
    let started = distro.cli().start(&["build", "slow"])?;
    until("the package is being built", TIMEOUT, || {
        !marked_processes(&format!("sleep {seconds}")).is_empty()
    })?;
    fs_err::write(distro.file("slow", "word"), "after\n")?;
    started.wait(TIMEOUT)?.ended_with(0)?;
    // What was built is kept under the key of what it was built from, so the edit is built now.
    ensure(word(&distro)? == "after\n", || "the edit was not built".to_owned())?;
    fs_err::write(distro.file("slow", "word"), "before\n")?;
    let (built, _) = distro.build(&["slow"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built again: {built:?}"))?;
    ensure(word(&distro)? == "before\n", || {
        "the edit reached the build that was running".to_owned()
    })
}

pub fn the_input_that_changed_is_named(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let explain = |expected: &[&str]| -> Result<(), Failed> {
        let ran = distro
            .cli()
            .run(&["build", "--explain", "testapp"], TIMEOUT)?
            .ended_with(0)?;
        has_all(&ran.stdout, expected)
    };
    explain(&["testapp was never built in this store"])?;
    distro.build(&["testapp"]).map_err(shown)?;
    explain(&["testapp is built: nothing"])?;
    // Its own folder.
    distro.edit("testapp", "Four counts.", "Four more counts.")?;
    explain(&["testapp is built again", "build/SPECS/testapp.spec has changed"])?;
    distro.edit("testapp", "Four more counts.", "Four counts.")?;
    explain(&["testapp is built: nothing"])?;
    // A package that it is built with.
    distro.edit(
        "testlib",
        "%install",
        "%install\ninstall -D -m 0644 /dev/null %{buildroot}%{_datadir}/testlib/more\n",
    )?;
    explain(&["testapp is built again", "sysroot/000-testlib has changed"])?;
    // A macro, which everything begins with.
    let macros = distro.root.join("distro/macros");
    let copy = distro.root.join("distro/macros-of-its-own");
    fs_err::create_dir(&copy)?;
    for entry in macros.read_dir_utf8()? {
        let entry = entry?;
        fs_err::copy(entry.path(), copy.join(entry.file_name()))?;
    }
    fs_err::remove_file(&macros)?;
    fs_err::rename(&copy, &macros)?;
    let text = fs_err::read_to_string(macros.join("macros.basalt"))?;
    fs_err::write(macros.join("macros.basalt"), text + "\n%basalt_test 1\n")?;
    explain(&["testapp is built again", "layers/base-0-macros"])?;
    distro.nothing_is_left()
}

pub fn an_executable_bit_counts_and_other_modes_do_not(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.build(&["testdocs"]).map_err(shown)?;
    let manual = distro.file("testdocs", "manual");
    let set = |mode| fs_err::set_permissions(&manual, std::fs::Permissions::from_mode(mode));
    set(0o600)?;
    let (built, _) = distro.build(&["testdocs"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built again: {built:?}"))?;
    set(0o755)?;
    let (built, _) = distro.build(&["testdocs"]).map_err(shown)?;
    ensure(built == ["testdocs"], || format!("built: {built:?}"))
}

/// Names by the text of specs, compared with those that rpmspec finds in all specs of this distribution.
pub fn names_are_known_without_the_sdk(fixture: &Fixture) -> Result<(), Failed> {
    let (content, distribution) = fixture.own_packages()?;
    let names = PackageNames::read(&content).map_err(shown)?;
    let known: BTreeSet<&str> = distribution.graph.names().collect();
    ensure(known.len() > 100, || format!("{known:?}"))?;
    let refused: Vec<_> = known.iter().filter(|name| !names.is_possible(name)).collect();
    ensure(refused.is_empty(), || format!("{refused:?} are names of packages"))
}

pub fn a_package_is_not_named_like_an_option(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    for name in ["-rf", "--help", "a b", "a\nb"] {
        let folder = distro.root.join("distro/packages").join(name);
        fs_err::create_dir(&folder)?;
        let error = distro.read().err().ok_or_else(|| format!("{name:?} was read"))?;
        has_all(&error.to_string(), &["cannot be the name of a package"])?;
        fs_err::remove_dir(&folder)?;
    }
    distro.read().map(drop).map_err(shown)
}

pub fn a_spec_sees_nothing_outside_of_its_folder(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    // By a link.
    let link = distro.file("testdocs", "secret");
    fs_err::os::unix::fs::symlink("/etc/passwd", &link)?;
    let error = distro.read().err().ok_or("the link was read")?;
    has_all(&error.to_string(), &["leads out of its folder", "/etc/passwd"])?;
    fs_err::remove_file(&link)?;
    // By a path that rpmspec reads: there is no such file where it runs.
    let secret = distro.root.join("secret");
    fs_err::write(&secret, "host words")?;
    distro.edit(
        "testdocs",
        "Summary:        Manual",
        &format!("Summary:        %(cat {secret} || echo none) manual"),
    )?;
    let read = distro.read().map_err(shown)?;
    let (_, built) = distro.build(&["testdocs"]).map_err(shown)?;
    drop(read);
    let summary = &built["testdocs"].rpms[0].package.summary;
    ensure(summary.starts_with("none"), || {
        format!("the spec read the host: {summary}")
    })
}

pub fn a_limit_that_is_reached_is_named(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let resources = distro.root.join("distro/packages/resources.toml");
    let cases = [
        (
            "memory_mib = 96",
            "python3 -c 'import time; x = b\"x\" * (400 << 20); time.sleep(60)'",
            "limit of memory",
        ),
        (
            "disk_mib = 16",
            "dd if=/dev/zero of=big bs=1M count=200; sync; sleep 60",
            "limit of disk space",
        ),
        // Into the log.
        (
            "disk_mib = 16",
            "yes 'words without end, which are kept in a log that grows' | head -c 200000000; sleep 60",
            "limit of disk space",
        ),
    ];
    for (limit, command, message) in cases {
        fs_err::write(
            &resources,
            format!("[excessive]\nseconds = 1\nlimits = {{ {limit} }}\n"),
        )?;
        distro.write("excessive", "", &format!("%build\n{command}\n\n%files"))?;
        let error = distro.build(&["excessive"]).err().ok_or("that should have failed")?;
        let text = basalt_test_environment::rendered(&error.into());
        has_all(&text, &["excessive was ended in %build", message, "resources.toml"])?;
    }
    distro.nothing_is_left()
}

pub fn timings_are_written(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let ran = distro
        .cli()
        .run(&["build", "--timings", "testapp"], TIMEOUT)?
        .ended_with(0)?;
    has_all(&ran.stderr, &["timings: ", "critical path"])?;
    let logs = distro.store.root().join("logs");
    let page = fs_err::read_to_string(logs.join("build-timings.html"))?;
    has_all(&page, &["<svg", "testdata", "testlib", "testapp"])?;
    let numbers: serde_json::Value = serde_json::from_str(&fs_err::read_to_string(logs.join("build-timings.json"))?)?;
    ensure(numbers["jobs"].as_array().is_some_and(|jobs| jobs.len() == 3), || {
        numbers.to_string()
    })?;
    ensure(numbers["cpu"].as_f64().is_some_and(|cpu| cpu > 0.0), || {
        "no processor time was measured".to_owned()
    })
}

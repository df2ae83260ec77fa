//! Choice of the packages that are built again after a change.

use std::collections::BTreeMap;

use basalt_build::Built;
use basalt_model::digest::Digest;
use basalt_tests::{Failed, ensure, shown};

use crate::distro::{ALL, Fixture};

fn names_and_digests(built: &BTreeMap<String, Built>) -> Vec<(&str, Digest)> {
    let rpms = built.values().flat_map(|built| &built.rpms);
    rpms.map(|rpm| (rpm.file.as_str(), rpm.digest)).collect()
}

pub fn what_is_built_is_not_built_again(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (built, results) = distro.build(&["house", "garden"]).map_err(shown)?;
    ensure(built == ALL, || format!("built: {built:?}"))?;
    for name in ALL {
        let rpms = &results[name].rpms;
        ensure(rpms.len() == 1 && rpms[0].path(&distro.store).is_file(), || {
            format!("{name}: {rpms:?}")
        })?;
        ensure(rpms[0].file == format!("{name}-1-1.bs1.noarch.rpm"), || {
            rpms[0].file.clone()
        })?;
    }
    let (again, same) = distro.build(&["house", "garden"]).map_err(shown)?;
    ensure(again.is_empty(), || format!("built again: {again:?}"))?;
    ensure(names_and_digests(&same) == names_and_digests(&results), || {
        "other results are known than were built".to_owned()
    })?;
    distro.nothing_is_left()
}

pub fn a_leaf_is_rebuilt_alone(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.build(&["house", "garden"]).map_err(shown)?;
    fs_err::write(distro.file("garden", "flowers"), "tulip\n")?;
    let (built, _) = distro.build(&["house", "garden"]).map_err(shown)?;
    ensure(built == ["garden"], || format!("built: {built:?}"))?;
    // And back: that was built before.
    fs_err::write(distro.file("garden", "flowers"), "rose\n")?;
    let (built, _) = distro.build(&["house", "garden"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built: {built:?}"))
}

pub fn what_comes_out_the_same_ends_the_rebuild(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (_, before) = distro.build(&["house"]).map_err(shown)?;
    // Its result is another, but what wall makes of it is the same.
    distro.edit("stone", "grey grey", "grey black")?;
    let (built, after) = distro.build(&["house"]).map_err(shown)?;
    ensure(built == ["stone", "wall"], || format!("built: {built:?}"))?;
    ensure(before["stone"].rpms[0].digest != after["stone"].rpms[0].digest, || {
        "stone is the same".to_owned()
    })?;
    ensure(before["wall"].rpms[0].digest == after["wall"].rpms[0].digest, || {
        "wall is another".to_owned()
    })?;
    // Not even its own result is another.
    distro.edit("stone", "# The lowest package.", "# The very lowest package.")?;
    let (built, _) = distro.build(&["house"]).map_err(shown)?;
    ensure(built == ["stone"], || format!("built: {built:?}"))
}

pub fn a_change_reaches_what_is_made_of_it(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.build(&["house", "garden"]).map_err(shown)?;
    distro.edit("stone", "grey grey", "grey grey grey")?;
    let (built, _) = distro.build(&["house", "garden"]).map_err(shown)?;
    ensure(built == ["house", "stone", "wall"], || format!("built: {built:?}"))
}

pub fn a_build_tool_runs_and_is_in_no_sysroot(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let chisel = |word: &str| {
        let install = format!(
            "%install\nmkdir -p %{{buildroot}}/opt/chisel\nprintf '#!/bin/sh\\necho {word}\\n' >%{{buildroot}}/opt/chisel/carve\n\
             chmod 755 %{{buildroot}}/opt/chisel/carve\n%files\n/opt/chisel"
        );
        distro.write("chisel", "Provides: build-tool", &install)
    };
    chisel("figure")?;
    // It is asked for by way of something else, as the compiler is.
    distro.write("marble", "Requires: chisel", "%files")?;
    distro.write(
        "statue",
        "BuildRequires: marble",
        "%build\ntest ! -e /sysroot/opt/chisel\n%install\nmkdir -p %{buildroot}%{_datadir}/statue\n\
         /opt/chisel/carve >%{buildroot}%{_datadir}/statue/shape\n%files\n%{_datadir}/statue",
    )?;
    let (_, before) = distro.build(&["statue"]).map_err(shown)?;
    chisel("torso")?;
    let (built, after) = distro.build(&["statue"]).map_err(shown)?;
    ensure(built == ["chisel", "statue"], || format!("built: {built:?}"))?;
    ensure(
        before["statue"].rpms[0].digest != after["statue"].rpms[0].digest,
        || "statue was carved by the chisel from before".to_owned(),
    )?;
    distro.nothing_is_left()
}

pub fn a_package_that_is_lost_is_built_again(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (_, results) = distro.build(&["house"]).map_err(shown)?;
    fs_err::remove_file(results["wall"].rpms[0].path(&distro.store))?;
    // What house is made from is known by digests: nobody needs the RPM.
    let (built, _) = distro.build(&["house"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built: {built:?}"))?;
    let (built, again) = distro.build(&["wall"]).map_err(shown)?;
    ensure(built == ["wall"], || format!("built: {built:?}"))?;
    ensure(again["wall"].rpms[0].digest == results["wall"].rpms[0].digest, || {
        "it came out otherwise".to_owned()
    })
}

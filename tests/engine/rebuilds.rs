//! Choice of the packages that are built again after a change.

use std::collections::BTreeMap;

use basalt_build::Built;
use basalt_digest::Digest;
use basalt_test_environment::{Failed, ensure, shown};

use crate::distro::{ALL, Fixture};

fn names_and_digests(built: &BTreeMap<String, Built>) -> Vec<(&str, Digest)> {
    let rpms = built.values().flat_map(|built| &built.rpms);
    rpms.map(|rpm| (rpm.file.as_str(), rpm.digest)).collect()
}

pub fn what_is_built_is_not_built_again(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (built, results) = distro.build(&["testapp", "testdocs"]).map_err(shown)?;
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
    let (again, same) = distro.build(&["testapp", "testdocs"]).map_err(shown)?;
    ensure(again.is_empty(), || format!("built again: {again:?}"))?;
    ensure(names_and_digests(&same) == names_and_digests(&results), || {
        "other results are known than were built".to_owned()
    })?;
    distro.nothing_is_left()
}

pub fn a_leaf_is_rebuilt_alone(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.build(&["testapp", "testdocs"]).map_err(shown)?;
    fs_err::write(distro.file("testdocs", "manual"), "other\n")?;
    let (built, _) = distro.build(&["testapp", "testdocs"]).map_err(shown)?;
    ensure(built == ["testdocs"], || format!("built: {built:?}"))?;
    // And back: that was built before.
    fs_err::write(distro.file("testdocs", "manual"), "text\n")?;
    let (built, _) = distro.build(&["testapp", "testdocs"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built: {built:?}"))
}

pub fn what_comes_out_the_same_ends_the_rebuild(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (_, before) = distro.build(&["testapp"]).map_err(shown)?;
    // Its result is another, but what testlib makes of it is the same.
    distro.edit("testdata", "first first", "first second")?;
    let (built, after) = distro.build(&["testapp"]).map_err(shown)?;
    ensure(built == ["testdata", "testlib"], || format!("built: {built:?}"))?;
    ensure(
        before["testdata"].rpms[0].digest != after["testdata"].rpms[0].digest,
        || "testdata is the same".to_owned(),
    )?;
    ensure(
        before["testlib"].rpms[0].digest == after["testlib"].rpms[0].digest,
        || "testlib is another".to_owned(),
    )?;
    // Not even its own result is another.
    distro.edit("testdata", "# The lowest package.", "# The very lowest package.")?;
    let (built, _) = distro.build(&["testapp"]).map_err(shown)?;
    ensure(built == ["testdata"], || format!("built: {built:?}"))
}

pub fn a_change_reaches_what_is_made_of_it(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.build(&["testapp", "testdocs"]).map_err(shown)?;
    distro.edit("testdata", "first first", "first first first")?;
    let (built, _) = distro.build(&["testapp", "testdocs"]).map_err(shown)?;
    ensure(built == ["testapp", "testdata", "testlib"], || {
        format!("built: {built:?}")
    })
}

pub fn a_build_tool_runs_and_is_in_no_sysroot(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let codegen = |word: &str| {
        let install = format!(
            "%install\nmkdir -p %{{buildroot}}/opt/codegen\n\
             printf '#!/bin/sh\\necho {word}\\n' >%{{buildroot}}/opt/codegen/generate\n\
             chmod 755 %{{buildroot}}/opt/codegen/generate\n%files\n/opt/codegen"
        );
        distro.write("codegen", "Provides: build-tool", &install)
    };
    codegen("first")?;
    // It is asked for by way of something else, as the compiler is.
    distro.write("codegen-meta", "Requires: codegen", "%files")?;
    distro.write(
        "consumer",
        "BuildRequires: codegen-meta",
        "%build\ntest ! -e /sysroot/opt/codegen\n%install\nmkdir -p %{buildroot}%{_datadir}/consumer\n\
         /opt/codegen/generate >%{buildroot}%{_datadir}/consumer/output\n%files\n%{_datadir}/consumer",
    )?;
    let (_, before) = distro.build(&["consumer"]).map_err(shown)?;
    codegen("second")?;
    let (built, after) = distro.build(&["consumer"]).map_err(shown)?;
    ensure(built == ["codegen", "consumer"], || format!("built: {built:?}"))?;
    ensure(
        before["consumer"].rpms[0].digest != after["consumer"].rpms[0].digest,
        || "consumer was built with the codegen from before".to_owned(),
    )?;
    distro.nothing_is_left()
}

pub fn a_package_that_is_lost_is_built_again(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (_, results) = distro.build(&["testapp"]).map_err(shown)?;
    fs_err::remove_file(results["testlib"].rpms[0].path(&distro.store))?;
    // What testapp is made from is known by digests: nobody needs the RPM.
    let (built, _) = distro.build(&["testapp"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built: {built:?}"))?;
    let (built, again) = distro.build(&["testlib"]).map_err(shown)?;
    ensure(built == ["testlib"], || format!("built: {built:?}"))?;
    ensure(
        again["testlib"].rpms[0].digest == results["testlib"].rpms[0].digest,
        || "it came out otherwise".to_owned(),
    )
}

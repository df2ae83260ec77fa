//! Second builds under other conditions (`verify`), and provenance statements.

use std::time::Duration;

use basalt_digest::Digest;
use basalt_test_environment::{Failed, Ran, ensure, has_all, shown};
use serde_json::Value;

use crate::distro::{Distro, Fixture};

/// Time-out of a command that makes two small builds on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(240);

/// A package that records its environment in its header and in files.
const IMPURE: &str = "Provides: impure-%(date +%s)";
const RECORDS_ENVIRONMENT: &str = r"
%build
pwd >place

%install
install -D -m 0644 place %{buildroot}%{_datadir}/impure/place
cd %{buildroot}%{_datadir}/impure
date +%s >time
date +%Z >zone
uname -n >host
id -u >user
echo %{_smp_build_ncpus} >processes
echo $HOME >home
cp %{_sourcedir}/seed seed

%files
%{_datadir}/impure
";

/// A package of a static library.
fn library(distro: &Distro, name: &str, build: &str) -> Result<(), Failed> {
    let spec = format!(
        "Name: {name}\nVersion: 1\nRelease: 1%{{?dist}}\nSummary: A library\nLicense: Apache-2.0 OR MIT\n\
         %description\n%{{summary}}.\n\n\
         %build\necho 'const char *when(void) {{ return \"at \" __DATE__; }}' >when.c\n{build}\n\
         gcc -O2 -c when.c\nar rcD libwhen.a when.o\n\n\
         %install\ninstall -D -m 0644 libwhen.a %{{buildroot}}%{{_libdir}}/libwhen.a\n\n\
         %files\n%{{_libdir}}/libwhen.a\n"
    );
    let path = distro.file(name, &format!("{name}.spec"));
    fs_err::create_dir_all(path.parent().unwrap_or(&path))?;
    Ok(fs_err::write(path, spec)?)
}

/// Has packages checked; the answer, and one text with all differences.
fn verify(distro: &Distro, arguments: &[&str], code: i32) -> Result<(Value, String), Failed> {
    let words = [&["--json", "verify"], arguments].concat();
    let ran = distro.cli().run(&words, TIMEOUT)?.ended_with(code)?;
    let answer: Value = serde_json::from_str(&ran.stdout)?;
    let mut differences = String::new();
    for checked in answer["checked"].as_array().ok_or("nothing was checked")? {
        for difference in checked["differences"].as_array().into_iter().flatten() {
            let place: Vec<_> = difference["place"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let what = difference["what"].as_str().unwrap_or_default();
            differences += &format!("{} {what}\n", place.join(": "));
        }
    }
    Ok((answer, differences))
}

fn run(distro: &Distro, arguments: &[&str], code: i32) -> Result<Ran, Failed> {
    distro.cli().run(arguments, TIMEOUT)?.ended_with(code)
}

pub fn what_is_pure_comes_out_the_same(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    // SOURCE_DATE_EPOCH is what its compiler goes by.
    library(&distro, "pure", "")?;
    let (answer, differences) = verify(&distro, &["pure", "testapp"], 0)?;
    ensure(differences.is_empty(), || differences.clone())?;
    let verdicts: Vec<_> = answer["checked"].as_array().into_iter().flatten().collect();
    ensure(verdicts.len() == 2, || answer.to_string())?;
    for checked in verdicts {
        let same = checked["verdict"] == "identical" && checked["remembered"] == false;
        ensure(same, || checked.to_string())?;
    }
    let varied = answer["varied"].to_string();
    has_all(
        &varied,
        &[
            "build folder",
            "clock",
            "host name",
            "user and group",
            "umask",
            "processes",
        ],
    )?;
    // What is known is not found out again, unless it is asked for.
    let (known, _) = verify(&distro, &["pure"], 0)?;
    ensure(known["checked"][0]["remembered"] == true, || known.to_string())?;
    let (anew, _) = verify(&distro, &["--again", "pure"], 0)?;
    ensure(anew["checked"][0]["remembered"] == false, || anew.to_string())?;
    distro.nothing_is_left()
}

pub fn what_depends_on_the_environment_is_told(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.write("impure", IMPURE, RECORDS_ENVIRONMENT)?;
    fs_err::write(distro.file("impure", "seed"), "seed\n")?;
    let (answer, differences) = verify(&distro, &["impure"], 1)?;
    ensure(answer["checked"][0]["verdict"] == "different", || answer.to_string())?;
    let within = "impure-1-1.bs1: ";
    let file = |name: &str, what: &str| format!("{within}/usr/share/impure/{name}{what}");
    let expected = [
        format!("{within}header PROVIDENAME is `impure-"),
        file("time", ": line 1 is `"),
        file("place", ": line 1 is `/build/BUILD/"),
        file("zone", ": line 1 is `UTC`, then `ELSE`"),
        file("host", ": line 1 is `basalt`, then `elsewhere`"),
        file("user", ": line 1 is `0`, then `1000`"),
        file("processes", ": line 1 is `"),
        file("home", ": line 1 is `/build`, then `/home/rebuilder`"),
        file("seed", " has mode 0644, then 0600"),
    ];
    has_all(&differences, &expected.each_ref().map(String::as_str))?;
    // Both are there to be looked at.
    let kept = &answer["checked"][0]["kept"][0];
    for which in ["first", "second"] {
        let path = kept[which].as_str().unwrap_or_default();
        basalt_rpm::read_package(path.into()).map_err(shown)?;
    }
    // For people, too.
    let ran = run(&distro, &["verify", "impure"], 1)?;
    has_all(&ran.stdout, &["differs", &expected[4], "1 different"])
}

pub fn a_time_in_a_library_is_told_by_its_section(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    library(&distro, "dated", "unset SOURCE_DATE_EPOCH")?;
    let (_, differences) = verify(&distro, &["dated"], 1)?;
    let place = "dated-1-1.bs1: /usr/lib/libwhen.a: member when.o: section .rodata";
    has_all(&differences, &[place, "`at "])
}

pub fn what_cannot_be_built_elsewhere_is_told(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let sections = "%build\nif [ $(id -u) != 0 ]; then echo 'error: needs root'; exit 1; fi\n\n%files";
    distro.write("rootonly", "", sections)?;
    let (answer, _) = verify(&distro, &["rootonly"], 1)?;
    let checked = &answer["checked"][0];
    ensure(checked["verdict"] == "failed", || answer.to_string())?;
    has_all(
        &checked.to_string(),
        &["rootonly failed in %build", "needs root", "rootonly-again.log"],
    )?;
    // It may have been the machine: that is tried again.
    let ran = run(&distro, &["verify", "rootonly"], 1)?;
    has_all(&ran.stdout, &["cannot be built again", "1 not built again"])?;
    distro.nothing_is_left()
}

pub fn a_statement_says_what_went_in(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (_, built) = distro.build(&["testapp"]).map_err(shown)?;
    let ran = run(&distro, &["provenance", "testapp"], 0)?;
    let statement: Value = serde_json::from_str(&ran.stdout)?;
    let rpm = &run(&distro, &["--json", "build", "testapp"], 0)?.stdout;
    let rpm: Value = serde_json::from_str(rpm)?;
    let path = rpm["packages"][0]["rpms"][0]["path"].as_str().ok_or("no RPM")?;
    let digest = Digest::of(fs_err::read(path)?);
    ensure(statement["subject"][0]["digest"]["sha256"] == digest.to_hex(), || {
        format!("{digest} is not in {statement:#}")
    })?;
    ensure(statement["_type"] == "https://in-toto.io/Statement/v1", || {
        statement.to_string()
    })?;
    ensure(statement["predicateType"] == "https://slsa.dev/provenance/v1", || {
        statement.to_string()
    })?;
    // The digests are those of files that a reader can add up.
    let dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"].to_string();
    let spec = Digest::of(fs_err::read(distro.file("testapp", "testapp.spec"))?).to_hex();
    let lock = Digest::of(fs_err::read(distro.root.join("distro/sdk/sdk.lock"))?).to_hex();
    let testlib = built["testlib"].rpms[0].digest.to_hex();
    has_all(
        &dependencies,
        &[
            &spec,
            &lock,
            &testlib,
            "pkg:rpm/basalt/testlib@1-1.bs1?arch=noarch&distro=basalt-1",
            "distro/macros/",
        ],
    )?;
    // The file itself leads to the same statement; another file of that name does not.
    let copy = distro.root.join("testapp-1-1.bs1.noarch.rpm");
    fs_err::copy(path, &copy)?;
    let ran = run(&distro, &["provenance", copy.as_str()], 0)?;
    ensure(serde_json::from_str::<Value>(&ran.stdout)? == statement, || {
        ran.stdout.clone()
    })?;
    let mut bytes = fs_err::read(path)?;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs_err::remove_file(&copy)?;
    fs_err::write(&copy, &bytes)?;
    let ran = run(&distro, &["provenance", copy.as_str()], 1)?;
    ensure(!ran.stderr.is_empty(), || "a damaged RPM was believed".to_owned())?;
    fs_err::write(&copy, &bytes[..300])?;
    let ran = run(&distro, &["provenance", copy.as_str()], 1)?;
    has_all(&ran.stderr, &["cannot read the header", copy.as_str()])
}

pub fn a_statement_can_be_made_later(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.build(&["testdata"]).map_err(shown)?;
    let first = run(&distro, &["provenance", "testdata"], 0)?.stdout;
    // As if it had been built when nothing was written down about what goes in: only the notes are taken away.
    let results = distro.store.root().join("results");
    for entry in results.read_dir_utf8()? {
        let path = entry?.into_path();
        if fs_err::read_to_string(&path)?.contains("\"foundation\"") {
            fs_err::remove_file(path)?;
        }
    }
    let (built, _) = distro.build(&["testdata"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built again: {built:?}"))?;
    let later = run(&distro, &["provenance", "testdata"], 0)?.stdout;
    ensure(first == later, || format!("{first}\nis not\n{later}"))
}

//! Reports of failed builds.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use basalt_build::{BuildError, log::BuildPhase};
use basalt_digest::Digest;
use basalt_process::Command;
use basalt_test_environment::{Failed, Recorder, Started, ensure, has_all, rendered, shown};
use camino::Utf8Path;

use crate::distro::{Distro, Fixture, built_ones};

/// Time-out of a command that makes a small build on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The text of an error that has to come.
fn error_text<T>(result: Result<T, BuildError>) -> Result<String, Failed> {
    match result {
        Ok(_) => Err("that should have failed".into()),
        Err(error) => Ok(rendered(&error.into())),
    }
}

pub fn a_failing_build_is_told(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.write(
        "broken",
        "",
        "%build\necho all went well\necho 'broken.c:7: error: a header is missing'\nexit 3\n\n%files",
    )?;
    let error = distro.build(&["broken"]).err().ok_or("that should have failed")?;
    let BuildError::Failed {
        package,
        phase,
        lines,
        log,
        ..
    } = &error
    else {
        return Err(shown(error));
    };
    ensure(package == "broken" && *phase == BuildPhase::Build, || {
        format!("{package}, {phase:?}")
    })?;
    ensure(
        lines
            .iter()
            .any(|line| line.contains("broken.c:7: error: a header is missing")),
        || format!("{lines:?}"),
    )?;
    has_all(&fs_err::read_to_string(log)?, &["all went well", "a header is missing"])?;
    has_all(
        &rendered(&error.into()),
        &["broken failed in %build", "./basalt shell broken", "broken.log"],
    )?;
    distro.nothing_is_left()
}

pub fn going_on_after_a_failure(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.edit("testdata", "%install", "%build\nexit 1\n\n%install")?;
    let recorder = Recorder::default();
    let error = error_text(distro.build_with(&["testapp", "testdocs"], true, &recorder))?;
    has_all(&error, &["testdata failed in %build"])?;
    let built = built_ones(&recorder);
    ensure(built == ["testdocs"], || format!("built: {built:?}"))
}

pub fn a_spec_that_makes_nothing(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.write("nothing", "", "%build\necho nothing")?;
    let error = error_text(distro.build(&["nothing"]))?;
    has_all(
        &error,
        &["nothing was built, but it made no package", "%files", "nothing.log"],
    )
}

/// The build of one package leaves an RPM under the name of another, in a newer version.
pub fn a_package_of_another_name_is_refused(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let nested = "Name: testlib\nVersion: 99\nRelease: 1%{?dist}\nSummary: Another testlib\nLicense: MIT\nBuildArch: noarch\n\
                  %description\n%{summary}.\n%files\n";
    distro.write(
        "intruder",
        "",
        "%install\nrpmbuild -bb --nodeps --define '_topdir %{_topdir}' %{_sourcedir}/testlib.spec\n\n%files",
    )?;
    fs_err::write(distro.file("intruder", "testlib.spec"), nested)?;
    let error = error_text(distro.build(&["intruder"]))?;
    has_all(
        &error,
        &[
            "intruder was built, but it left `testlib-99-1.bs1.noarch.rpm`",
            "it declares intruder",
            "intruder.log",
        ],
    )?;
    distro.nothing_is_left()?;
    let (_, built) = distro.build(&["testlib"]).map_err(shown)?;
    let testlib = &built["testlib"].rpms[0].package;
    ensure(testlib.version == "1", || testlib.to_string())
}

/// Every kind of scriptlet and trigger, also those without a body, is refused at its line before anything is built.
pub fn scriptlets_are_refused_at_their_lines(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let sections = [
        "%pre -p /bin/true",
        "%post -p /sbin/ldconfig",
        "%preun -p <lua>",
        "%postun",
        "%pretrans -p <lua>",
        "%posttrans",
        "%preuntrans",
        "%postuntrans",
        "%verifyscript",
        "%triggerin -- testlib",
        "%filetriggerin -- /usr/lib",
        "%transfiletriggerpostun -- /usr/share",
    ];
    distro.write("scripted", "", &format!("%files\n\n{}\n", sections.join("\n\n")))?;
    // Its spec is read, and other packages can be built.
    distro.build(&["testdata"]).map_err(shown)?;
    let error = error_text(distro.build(&["scripted"]))?;
    has_all(&error, &["scripted.spec", "sysusers.d"])?;
    has_all(&error, &sections)?;
    for section in sections {
        let word = section.split(' ').next().unwrap_or_default();
        let kind = word
            .find("trigger")
            .and_then(|place| word.get(..place + "trigger".len()))
            .unwrap_or(word);
        has_all(&error, &[&format!("{kind} of scripted")])?;
    }
    distro.nothing_is_left()
}

/// A build can add sections to its spec; scriptlets among them are seen in the RPM.
pub fn scriptlets_of_generated_sections_are_refused(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.write(
        "generated",
        "",
        "%build\nprintf '%%%%post -p /bin/true\\n' > %{specpartsdir}/x.specpart\n\n%files",
    )?;
    let error = error_text(distro.build(&["generated"]))?;
    has_all(&error, &["scriptlets, which nothing would run: %post of generated"])?;
    distro.nothing_is_left()
}

pub fn versions_of_build_requires_count(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.edit(
        "testlib",
        "BuildRequires:  testdata",
        "BuildRequires:  (testdata >= 99 or testdata)",
    )?;
    distro.build(&["testlib"]).map_err(shown)?;
    distro.edit("testlib", "(testdata >= 99 or testdata)", "testdata >= 99")?;
    has_all(
        &error_text(distro.read())?,
        &["`testdata >= 99`", "testlib.spec", "there is `testdata = "],
    )
}

pub fn a_spec_asks_for_an_unknown_package(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.edit("testlib", "BuildRequires:  testdata", "BuildRequires:  testdatas")?;
    has_all(
        &error_text(distro.read())?,
        &["`testdatas`", "testlib.spec", "`testdata`"],
    )
}

pub fn packages_need_each_other(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.edit(
        "testdata",
        "BuildArch:      noarch",
        "BuildArch:      noarch\nBuildRequires:  testapp",
    )?;
    let error = error_text(distro.read())?;
    has_all(&error, &["testapp -> testlib -> testdata -> testapp", "BuildRequires"])
}

pub fn a_spec_that_cannot_be_read(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.edit("testdata", "Version:        1", "Versoin:        1")?;
    has_all(
        &error_text(distro.read())?,
        &["distro/packages/testdata/testdata.spec", "Versoin"],
    )
}

/// A spec whose macros start processes without end: 400 of them, so that it ends without a limit, too.
pub fn a_spec_that_takes_too_much_is_told(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.edit(
        "testdocs",
        "Summary:        Manual",
        "Summary:        %(for i in $(seq 400); do sleep 60 & done; wait) manual",
    )?;
    has_all(
        &error_text(distro.read())?,
        &[
            "distro/packages/testdocs/testdocs.spec cannot be read",
            "the limit of processes was reached",
            "`%(...)`",
        ],
    )?;
    distro.nothing_is_left()
}

/// In a user namespace that may have none within.
pub fn a_machine_without_namespaces_is_blamed(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let script = format!(
        "echo 0 >/proc/sys/user/max_user_namespaces || exit 99\nexec {} build testdocs",
        distro.cli().program()
    );
    let command = Command::new("unshare").args(["--user", "--map-root-user", "sh", "-c", &script]);
    let ran = Started::new(&distro.cli().within(command))?.wait(TIMEOUT)?;
    if ran.code == 99 {
        let name = "a_machine_without_namespaces_is_blamed";
        basalt_test_output::skip(name, "/proc/sys cannot be written");
        return Ok(());
    }
    let text = ran.ended_with(1)?.stderr;
    has_all(
        &text,
        &["the kernel refuses new namespaces", "user.max_user_namespaces"],
    )?;
    ensure(!text.contains("testdocs.spec"), || {
        format!("the spec is blamed:\n{text}")
    })?;
    distro.nothing_is_left()
}

/// Has testdocs take its manual from a server that answers with whatever bytes.
fn serve_manual(distro: &Distro, answer: &'static str) -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/manual", listener.local_addr()?);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    lock_manual(distro, &url, "")?;
    Ok(url)
}

/// Locks the manual of testdocs, five bytes that are to come from this address.
pub fn lock_manual(distro: &Distro, url: &str, more: &str) -> Result<(), Failed> {
    fs_err::remove_file(distro.file("testdocs", "manual"))?;
    let digest = Digest::of("text\n");
    let lock = format!("[[file]]\nfile = \"manual\"\nsha256 = \"{digest}\"\nsize = 5\nurl = \"{url}\"\n{more}");
    Ok(fs_err::write(distro.file("testdocs", "sources.toml"), lock)?)
}

pub fn a_source_of_another_digest(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let url = serve_manual(&distro, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil\n")?;
    let error = error_text(distro.build(&["testdocs"]))?;
    let wrong = Digest::of("evil\n").to_string();
    has_all(
        &error,
        &[
            "testdocs",
            "manual",
            &url,
            "sources.toml",
            &wrong,
            "./basalt sources lock testdocs",
        ],
    )?;
    ensure(distro.store.object(&Digest::of("evil\n")).is_none(), || {
        "it was kept".to_owned()
    })?;
    distro.nothing_is_left()?;
    // Nothing is spoilt: with what is locked, it goes on.
    build_with_the_locked_manual(&distro)
}

pub fn a_source_that_is_cut_short(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let url = serve_manual(&distro, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nte")?;
    let error = error_text(distro.build(&["testdocs"]))?;
    has_all(&error, &["manual", &url, "cut short at 2 of 5 bytes", "sources.toml"])?;
    distro.nothing_is_left()?;
    build_with_the_locked_manual(&distro)
}

fn build_with_the_locked_manual(distro: &Distro) -> Result<(), Failed> {
    fs_err::write(distro.file("testdocs", "manual"), "")?;
    serve_manual(distro, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ntext\n")?;
    let (built, _) = distro.build(&["testdocs"]).map_err(shown)?;
    ensure(built == ["manual", "testdocs"], || format!("{built:?}"))
}

/// A port of loopback that nobody listens on.
fn closed_port() -> Result<String, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

pub fn no_network(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let nobody = closed_port()?;
    let upstream = format!("http://{nobody}/manual");
    lock_manual(
        &distro,
        &upstream,
        "alternatives = [\"debian:testdocs/testdocs_1.orig.tar.gz\"]\n",
    )?;
    let cli = distro
        .cli()
        .env("BASALT_DEBIAN_MIRROR", format!("http://{nobody}/debian"));
    let ran = cli.run(&["build", "testdocs"], TIMEOUT)?.ended_with(1)?;
    let text = ran.stderr;
    has_all(
        &text,
        &[
            "manual",
            "testdocs",
            "debian:testdocs/testdocs_1.orig.tar.gz",
            &upstream,
            "the same command goes on",
        ],
    )?;
    distro.nothing_is_left()
}

pub fn builds_have_no_network_and_no_host(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let outside = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = format!(
        "%build\ntest \"$(ls /sys/class/net)\" = lo\ntest ! -e {outside}\ntest \"$(hostname)\" = basalt\n\
         test \"$SOURCE_DATE_EPOCH\" -gt 0\ntest -z \"$BASALT_STORE\"\ntest \"$(ls /home)\" = \"\"\n\n%files"
    );
    distro.write("isolated", "", &build)?;
    distro.build(&["isolated"]).map(drop).map_err(shown)
}

/// The store on a disk of a few MiB, in namespaces of its own, where a user may mount one.
pub fn a_full_disk(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    distro.write(
        "large",
        "",
        "%install\ninstall -D %{_sourcedir}/block %{buildroot}/usr/share/block\n\n%files\n/usr/share/block",
    )?;
    fs_err::write(distro.file("large", "block"), vec![7; 24 << 20])?;
    let disk = distro.root.with_file_name("disk");
    fs_err::create_dir(&disk)?;
    let trees = fixture.shared_trees().map(Utf8Path::as_str).join(" ");
    let actions = fixture.shared_actions().map(camino::Utf8PathBuf::into_string).join(" ");
    let script = format!(
        "set -eu\nmount -t tmpfs -o size=16m tmpfs {disk}\n{program} store path >/dev/null\n\
         ln -s {trees} {disk}/trees\ncp {actions} {disk}/actions\ncode=0\n{program} build testdocs large || code=$?\nls -A {disk}/tmp\n{program} build testdocs\n\
         mount -o remount,size=256m {disk}\n{program} build testdocs large >&2\nexit $code",
        program = distro.cli().program(),
    );
    let command = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let command = distro.cli().env("BASALT_STORE", &disk).within(command);
    let ran = Started::new(&command)?.wait(TIMEOUT)?.ended_with(1)?;
    has_all(
        &ran.stderr,
        &[
            "the disk is full",
            "./basalt clean",
            "BASALT_STORE",
            "goes on from there",
        ],
    )?;
    // What was built before is whole, nothing of the rest is left.
    ensure(
        ran.stdout
            .lines()
            .all(|line| line.starts_with("testdocs-1-1.bs1.noarch.rpm")),
        || ran.stdout.clone(),
    )
}

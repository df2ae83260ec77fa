//! Reports of failed builds.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use basalt_build::{BuildError, log::Phase};
use basalt_model::digest::Digest;
use basalt_process::Command;
use basalt_tests::{Failed, Recorder, Started, ensure, has_all, rendered, shown};
use camino::Utf8Path;

use crate::distro::{Distro, Ground, built_ones};

/// Time-out of a command that makes a small build on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The text of an error that has to come.
fn told<T>(result: Result<T, BuildError>) -> Result<String, Failed> {
    match result {
        Ok(_) => Err("that should have failed".into()),
        Err(error) => Ok(rendered(&error.into())),
    }
}

pub fn a_failing_build_is_told(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    distro.write(
        "ruin",
        "",
        "%build\necho all went well\necho 'ruin.c:7: error: the roof is missing'\nexit 3\n\n%files",
    )?;
    let error = distro.build(&["ruin"]).err().ok_or("that should have failed")?;
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
    ensure(package == "ruin" && *phase == Phase::Build, || {
        format!("{package}, {phase:?}")
    })?;
    ensure(
        lines
            .iter()
            .any(|line| line.contains("ruin.c:7: error: the roof is missing")),
        || format!("{lines:?}"),
    )?;
    has_all(&fs_err::read_to_string(log)?, &["all went well", "the roof is missing"])?;
    has_all(
        &rendered(&error.into()),
        &["ruin failed in %build", "./basalt shell ruin", "ruin.log"],
    )?;
    distro.nothing_is_left()
}

pub fn going_on_after_a_failure(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    distro.edit("stone", "%install", "%build\nexit 1\n\n%install")?;
    let recorder = Recorder::default();
    let error = told(distro.build_with(&["house", "garden"], true, &recorder))?;
    has_all(&error, &["stone failed in %build"])?;
    let built = built_ones(&recorder);
    ensure(built == ["garden"], || format!("built: {built:?}"))
}

pub fn a_spec_that_makes_nothing(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    distro.write("nothing", "", "%build\necho nothing")?;
    let error = told(distro.build(&["nothing"]))?;
    has_all(
        &error,
        &["nothing was built, but it made no package", "%files", "nothing.log"],
    )
}

pub fn a_spec_asks_for_an_unknown_package(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    distro.edit("wall", "BuildRequires:  stone", "BuildRequires:  stones")?;
    has_all(
        &told(distro.read())?,
        &["`stones`", "distro/packages/wall/wall.spec", "`stone`"],
    )
}

pub fn packages_need_each_other(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    distro.edit(
        "stone",
        "BuildArch:      noarch",
        "BuildArch:      noarch\nBuildRequires:  house",
    )?;
    let error = told(distro.read())?;
    has_all(&error, &["house -> wall -> stone -> house", "BuildRequires"])
}

pub fn a_spec_that_cannot_be_read(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    distro.edit("stone", "Version:        1", "Versoin:        1")?;
    has_all(&told(distro.read())?, &["distro/packages/stone/stone.spec", "Versoin"])
}

/// Has garden take its flowers from a server that answers with whatever bytes.
fn grow_from(distro: &Distro, answer: &'static str) -> Result<String, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/flowers", listener.local_addr()?);
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    lock_flowers(distro, &url, "")?;
    Ok(url)
}

/// Locks the flowers of garden, five bytes that are to come from this address.
pub fn lock_flowers(distro: &Distro, url: &str, more: &str) -> Result<(), Failed> {
    fs_err::remove_file(distro.file("garden", "flowers"))?;
    let digest = Digest::of("rose\n");
    let lock = format!("[[file]]\nfile = \"flowers\"\nsha256 = \"{digest}\"\nsize = 5\nurl = \"{url}\"\n{more}");
    Ok(fs_err::write(distro.file("garden", "sources.toml"), lock)?)
}

pub fn a_source_of_another_digest(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    let url = grow_from(&distro, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nweed\n")?;
    let error = told(distro.build(&["garden"]))?;
    let wrong = Digest::of("weed\n").to_string();
    has_all(
        &error,
        &[
            "garden",
            "flowers",
            &url,
            "sources.toml",
            &wrong,
            "./basalt sources lock garden",
        ],
    )?;
    ensure(distro.store.object(&Digest::of("weed\n")).is_none(), || {
        "it was kept".to_owned()
    })?;
    distro.nothing_is_left()?;
    // Nothing is spoilt: with what is locked, it goes on.
    grow_again(&distro)
}

pub fn a_source_that_is_cut_short(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    let url = grow_from(&distro, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nro")?;
    let error = told(distro.build(&["garden"]))?;
    has_all(&error, &["flowers", &url, "cut short at 2 of 5 bytes", "sources.toml"])?;
    distro.nothing_is_left()?;
    grow_again(&distro)
}

fn grow_again(distro: &Distro) -> Result<(), Failed> {
    fs_err::write(distro.file("garden", "flowers"), "")?;
    grow_from(distro, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nrose\n")?;
    let (built, _) = distro.build(&["garden"]).map_err(shown)?;
    ensure(built == ["flowers", "garden"], || format!("{built:?}"))
}

/// A port of loopback that nobody listens on.
fn closed_port() -> Result<String, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

pub fn no_network(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    let nobody = closed_port()?;
    let upstream = format!("http://{nobody}/flowers");
    lock_flowers(
        &distro,
        &upstream,
        "alternatives = [\"debian:garden/garden_1.orig.tar.gz\"]\n",
    )?;
    let cli = distro
        .cli()
        .env("BASALT_DEBIAN_MIRROR", format!("http://{nobody}/debian"));
    let ran = cli.run(&["build", "garden"], PATIENCE)?.ended_with(1)?;
    let text = ran.stderr;
    has_all(
        &text,
        &[
            "flowers",
            "garden",
            "debian:garden/garden_1.orig.tar.gz",
            &upstream,
            "the same command goes on",
        ],
    )?;
    distro.nothing_is_left()
}

pub fn builds_have_no_network_and_no_host(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    let outside = Utf8Path::new(env!("CARGO_MANIFEST_DIR"));
    let build = format!(
        "%build\ntest \"$(ls /sys/class/net)\" = lo\ntest ! -e {outside}\ntest \"$(hostname)\" = basalt\n\
         test \"$SOURCE_DATE_EPOCH\" -gt 0\ntest -z \"$BASALT_STORE\"\ntest \"$(ls /home)\" = \"\"\n\n%files"
    );
    distro.write("hermit", "", &build)?;
    distro.build(&["hermit"]).map(drop).map_err(shown)
}

/// The store on a disk of a few MiB, in namespaces of its own, where a user may mount one.
pub fn a_full_disk(ground: &Ground) -> Result<(), Failed> {
    let distro = ground.distro()?;
    distro.write(
        "large",
        "",
        "%install\ninstall -D %{_sourcedir}/block %{buildroot}/usr/share/block\n\n%files\n/usr/share/block",
    )?;
    fs_err::write(distro.file("large", "block"), vec![7; 24 << 20])?;
    let disk = distro.root.with_file_name("disk");
    fs_err::create_dir(&disk)?;
    let trees = ground.shared_trees().map(Utf8Path::as_str).join(" ");
    let actions = ground.shared_actions().map(camino::Utf8PathBuf::into_string).join(" ");
    let script = format!(
        "set -eu\nmount -t tmpfs -o size=16m tmpfs {disk}\n{program} store path >/dev/null\n\
         ln -s {trees} {disk}/trees\ncp {actions} {disk}/actions\ncode=0\n{program} build garden large || code=$?\nls -A {disk}/tmp\n{program} build garden\nexit $code",
        program = distro.cli().program(),
    );
    let command = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    let command = distro.cli().env("BASALT_STORE", &disk).within(command);
    let ran = Started::new(&command)?.wait(PATIENCE)?.ended_with(1)?;
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
            .all(|line| line.starts_with("garden-1-1.bs1.noarch.rpm")),
        || ran.stdout.clone(),
    )
}

//! The command on stores that are killed, full, read-only, damaged, or used with a wrong clock. In each case the same
//! command goes on afterwards, and comes to the same packages.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant, SystemTime};

use basalt_process::Command;
use basalt_store::remove_tree;
use basalt_test_environment::{Cli, Failed, Started, ensure, has_all, is_long, shown};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::Signal;

use crate::distro::{Distro, Fixture};
use crate::failures::TIMEOUT;
use crate::sharing::{reader_of, rpms, was_built};

/// Number of builds that are killed, and that in the long tests.
const KILLS: [u32; 2] = [30, 200];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A tree with one package, as an image.
const NODE: &str = "name: node\nkind: tree\npackages:\n  - testapp\n";

/// Files of a store's folder, without links to what stores share.
fn files(distro: &Distro, folder: &str) -> Result<Vec<Utf8PathBuf>, Failed> {
    let entries = distro.store.root().join(folder).read_dir_utf8()?;
    let paths = entries.flatten().map(camino::Utf8DirEntry::into_path);
    Ok(paths.filter(|path| !path.is_symlink()).collect())
}

/// Objects and action results of a store, without the results that stores share.
fn own_files(fixture: &Fixture, distro: &Distro) -> Result<Vec<Utf8PathBuf>, Failed> {
    let shared = fixture.shared_actions();
    let is_shared = |path: &Utf8PathBuf| shared.iter().any(|known| known.file_name() == path.file_name());
    let mut files_of_both = files(distro, "objects")?;
    files_of_both.extend(files(distro, "actions")?.into_iter().filter(|path| !is_shared(path)));
    Ok(files_of_both)
}

/// Flips a bit in the middle of a file, in place, as only a failing disk does.
fn flip(path: &Utf8Path) -> Result<(), Failed> {
    let mut bytes = fs_err::read(path)?;
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x10;
    }
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o644))?;
    Ok(fs_err::write(path, bytes)?)
}

fn forget_logs(distro: &Distro) -> Result<(), Failed> {
    for log in files(distro, "logs")? {
        fs_err::remove_file(log)?;
    }
    Ok(())
}

fn nothing_was_built(distro: &Distro) -> Result<(), Failed> {
    for package in ["testdata", "testlib", "testapp", "testdocs"] {
        ensure(!was_built(distro, package), || format!("{package} was built again"))?;
    }
    Ok(())
}

/// Makes a copy of a tree of hard links.
fn link_tree(from: &Utf8Path, to: &Utf8Path) -> Result<(), Failed> {
    fs_err::create_dir(to)?;
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            link_tree(path, &copy)?;
        } else {
            fs_err::hard_link(path, copy)?;
        }
    }
    Ok(())
}

fn used(path: &Utf8Path) -> Result<SystemTime, Failed> {
    Ok(fs_err::metadata(path)?.modified()?)
}

fn set_used(path: &Utf8Path, time: SystemTime) -> Result<(), Failed> {
    Ok(fs_err::File::open(path)?.set_modified(time)?)
}

pub fn a_build_marks_the_trees_that_it_runs_on(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let [toolchain, _] = fixture.shared_trees();
    let name = toolchain.file_name().unwrap_or_default();
    let tree = distro.store.root().join("trees").join(name);
    fs_err::remove_file(&tree)?;
    link_tree(toolchain, &tree)?;
    let began = SystemTime::now();
    for manual in ["first\n", "second\n"] {
        set_used(&tree, began - 20 * DAY)?;
        fs_err::write(distro.file("testdocs", "manual"), manual)?;
        rpms(&distro.cli(), &distro, "testdocs")?;
        ensure(used(&tree)? >= began - DAY, || {
            "the toolchain counts as unused for 20 days".to_owned()
        })?;
    }
    let planned = distro.cli().json(&["clean", "--dry-run"], TIMEOUT, 0)?;
    ensure(!planned.to_string().contains(name), || planned.to_string())
}

pub fn a_flipped_bit_in_every_file_costs_time_only(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let before = rpms(&distro.cli(), &distro, "testapp")?;
    let damaged = own_files(fixture, &distro)?;
    ensure(damaged.len() > 20, || format!("only {damaged:?}"))?;
    for path in &damaged {
        flip(path)?;
    }
    forget_logs(&distro)?;
    let after = rpms(&distro.cli(), &distro, "testapp")?;
    ensure(after == before, || "it came out otherwise".to_owned())?;
    ensure(was_built(&distro, "testapp"), || {
        "a damaged package was taken".to_owned()
    })?;
    // What is there now is whole.
    let (built, _) = distro.build(&["testapp"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("built again: {built:?}"))?;
    distro.nothing_is_left()
}

pub fn an_image_is_composed_of_intact_packages(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    fs_err::write(distro.root.join("distro/images/node.yaml"), NODE)?;
    let image = || -> Result<(Utf8PathBuf, Vec<u8>), Failed> {
        let built = distro.cli().json(&["build", "node"], TIMEOUT, 0)?;
        let folder = Utf8PathBuf::from(built["images"][0]["folder"].as_str().ok_or("no folder")?);
        let counts = fs_err::read(folder.join("root/usr/share/testapp/counts"))?;
        Ok((folder, counts))
    };
    let (folder, before) = image()?;
    let (_, built) = distro.build(&["testapp"]).map_err(shown)?;
    flip(&built["testapp"].rpms[0].path(&distro.store))?;
    // The image is known, and has to be composed again.
    remove_tree(&folder).map_err(shown)?;
    forget_logs(&distro)?;
    let (again, after) = image()?;
    ensure((again, after) == (folder, before), || "it is another image".to_owned())?;
    ensure(was_built(&distro, "testapp"), || "the damage was not seen".to_owned())?;
    ensure(!was_built(&distro, "testlib"), || {
        "more than testapp was built".to_owned()
    })?;
    distro.nothing_is_left()
}

pub fn kills_at_any_point_of_a_build(fixture: &Fixture) -> Result<(), Failed> {
    let kills = KILLS[usize::from(is_long())];
    let distro = fixture.distro()?;
    // In every round there is something to build. The second one, undisturbed, says how long that takes.
    let start = |number: u32| -> Result<Started, Failed> {
        fs_err::write(distro.file("testdocs", "manual"), format!("{number}\n"))?;
        distro.cli().start(&["build", "testapp", "testdocs"])
    };
    start(kills)?.wait(TIMEOUT)?.ended_with(0)?;
    let began = Instant::now();
    start(kills + 1)?.wait(TIMEOUT)?.ended_with(0)?;
    let whole = began.elapsed();
    let mut killed = 0;
    for number in 0..kills {
        let started = start(number)?;
        std::thread::sleep(whole * number / kills);
        started.signal(Signal::KILL)?;
        let ran = started.wait(TIMEOUT)?;
        ensure([0, 137].contains(&ran.code), || format!("{}\n{}", ran.code, ran.stderr))?;
        killed += u32::from(ran.code == 137);
    }
    ensure(killed > kills / 4, || format!("only {killed} of them were killed"))?;
    let other = fixture.distro()?;
    let manual = fs_err::read(distro.file("testdocs", "manual"))?;
    fs_err::write(other.file("testdocs", "manual"), manual)?;
    for package in ["testapp", "testdocs"] {
        let after_kills = rpms(&distro.cli(), &distro, package)?;
        let undisturbed = rpms(&other.cli(), &other, package)?;
        ensure(after_kills == undisturbed, || format!("{package} came out otherwise"))?;
    }
    distro.nothing_is_left()
}

/// A store compares the times of its entries with the clock: when the clock is set back a year, they are of next year.
pub fn a_clock_that_was_set_back_a_year(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let before = rpms(&distro.cli(), &distro, "testapp")?;
    forget_logs(&distro)?;
    let folders = ["objects", "actions", "results", "trees"];
    let entries = folders.iter().map(|folder| files(&distro, folder));
    let entries: Vec<_> = entries.collect::<Result<Vec<_>, _>>()?.concat();
    for path in &entries {
        set_used(path, SystemTime::now() + 365 * DAY)?;
    }
    distro.cli().run(&["clean"], TIMEOUT)?.ended_with(0)?;
    let gone: Vec<_> = entries.iter().filter(|path| !path.exists()).collect();
    ensure(gone.is_empty(), || format!("these were removed: {gone:?}"))?;
    let after = rpms(&distro.cli(), &distro, "testapp")?;
    ensure(after == before, || "it is another package".to_owned())?;
    nothing_was_built(&distro)
}

/// Returns a command that runs a script in mount and user namespaces of its own, with the variables of ours.
fn with_own_mounts(cli: &Cli, script: &str) -> Command {
    let command = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    cli.within(command)
}

pub fn a_read_only_store_serves_what_is_built(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let before = rpms(&distro.cli(), &distro, "testapp")?;
    forget_logs(&distro)?;
    let cli = distro.cli();
    let script = format!(
        "set -eu\nmount --bind {store} {store}\nmount -o remount,bind,ro {store}\nexec {program} build testapp",
        store = distro.store.root(),
        program = cli.program(),
    );
    let command = with_own_mounts(&cli, &script);
    let ran = Started::new(&command)?.wait(TIMEOUT)?.ended_with(0)?;
    has_all(&ran.stdout, &["testapp-1-1.bs1.noarch.rpm"])?;
    // What is not built is not built there, and is said; where the store can be written, the same command builds it.
    distro.edit("testapp", "Four counts.", "Four more counts.")?;
    let ran = Started::new(&command)?.wait(TIMEOUT)?.ended_with(1)?;
    has_all(
        &ran.stderr,
        &["can only be read", distro.store.root().as_str(), "BASALT_STORE"],
    )?;
    nothing_was_built(&distro)?;
    let after = rpms(&cli, &distro, "testapp")?;
    ensure(after != before, || "the edit is not in the package".to_owned())?;
    distro.nothing_is_left()
}

/// Adds a package that compression makes no smaller.
fn write_large(distro: &Distro) -> Result<(), Failed> {
    distro.write(
        "large",
        "",
        "%install\ninstall -D %{_sourcedir}/block %{buildroot}/usr/share/block\n\n%files\n/usr/share/block",
    )?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let numbers = std::iter::repeat_with(|| {
        // Xorshift.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let content: Vec<u8> = numbers.take((24 << 20) / 8).flatten().collect();
    Ok(fs_err::write(distro.file("large", "block"), content)?)
}

pub fn what_a_full_disk_cannot_take_is_not_built_instead(fixture: &Fixture) -> Result<(), Failed> {
    let owner = fixture.distro()?;
    write_large(&owner)?;
    let cache = owner.root.join("team-cache");
    let cli = owner.cli().env("BASALT_CACHE", &cache);
    let cli = cli.env("BASALT_CACHE_SECRET", owner.root.join("secret"));
    let key = cli.json(&["cache", "key", "tests"], TIMEOUT, 0)?;
    cli.json(&["cache", "push", "large"], TIMEOUT, 0)?;
    let other = fixture.distro()?;
    write_large(&other)?;
    let disk = other.root.with_file_name("disk");
    fs_err::create_dir(&disk)?;
    let trusted = key["public"].as_str().ok_or("no public key")?;
    let cli = reader_of(&other, cache.as_str(), trusted)?.env("BASALT_STORE", &disk);
    let script = format!(
        "set -eu\nmount -t tmpfs -o size=16m tmpfs {disk}\n{program} store path >/dev/null\n\
         ln -s {trees} {disk}/trees\ncp {actions} {disk}/actions\n\
         code=0\n{program} build large || code=$?\nmount -o remount,size=256m {disk}\n{program} build large\n\
         if test -e {disk}/logs/large.log; then exit 3; fi\nexit $code",
        program = cli.program(),
        trees = fixture.shared_trees().map(Utf8Path::as_str).join(" "),
        actions = fixture.shared_actions().map(Utf8PathBuf::into_string).join(" "),
    );
    let ran = Started::new(&with_own_mounts(&cli, &script))?
        .wait(TIMEOUT)?
        .ended_with(1)?;
    has_all(&ran.stderr, &["the disk is full", "goes on from there"])?;
    has_all(&ran.stdout, &["large-1-1.bs1.noarch.rpm"])
}

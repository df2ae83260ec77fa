//! Contents of a cache that was filled for `up`, and their use by an empty store: no build, no fetch and no SDK where
//! results are known, and a build of just what is missing where they are not.

use std::collections::BTreeSet;

use basalt_action::{Action, ActionResult, Blob, Directory, Node, OutputDirectory};
use basalt_sources::InputContent;
use basalt_store::files_below;
use basalt_test_environment::{Cli, Failed, ensure, has_all, shown};
use camino::{Utf8Path, Utf8PathBuf};

use crate::buildgrid::BuildGrid;
use crate::distro::{Distro, Fixture};
use crate::failures::TIMEOUT;
use crate::sharing::{reader_of, rpms, was_built};

/// A tree with one package: an image of `up`, by its name.
const NODE: &str = "name: node\nkind: tree\npackages:\n  - testapp\n";

/// Adds an image, and a package whose source is an action that runs in the SDK: fetching Go modules, of which it has none.
fn extend(distro: &Distro) -> Result<(), Failed> {
    fs_err::write(distro.root.join("distro/images/node.yaml"), NODE)?;
    distro.write(
        "testserver",
        "BuildRequires: testlib\n",
        "%install\ntest -d %{_sourcedir}/gomodcache\ninstall -d %{buildroot}%{_datadir}/testserver\n\n\
         %files\n%{_datadir}/testserver",
    )?;
    fs_err::write(
        distro.file("testserver", "go.mod"),
        "module example.org/testserver\n\ngo 1.26\n",
    )?;
    fs_err::write(distro.file("testserver", "sources.toml"), "[[go]]\ndir = \".\"\n")?;
    distro.edit(
        "testapp",
        "BuildRequires:  testlib",
        "BuildRequires:  testserver testlib",
    )
}

/// A store that has filled a cache by `cache push`.
struct Filled {
    owner: Distro,
    cli: Cli,
    location: String,
    public: String,
}

impl Filled {
    fn new(fixture: &Fixture, location: Option<&str>, names: &[&str]) -> Result<Self, Failed> {
        let owner = fixture.distro()?;
        extend(&owner)?;
        let folder = owner.root.join("team-cache");
        let location = location.unwrap_or(folder.as_str()).to_owned();
        let cli = owner.cli().env("BASALT_CACHE", &location);
        let cli = cli.env("BASALT_CACHE_SECRET", owner.root.join("secret"));
        let key = cli.json(&["cache", "key", "tests"], TIMEOUT, 0)?;
        let public = key["public"].as_str().ok_or("no public key")?.to_owned();
        let pushed = cli.json(&[&["cache", "push"], names].concat(), TIMEOUT, 0)?;
        ensure(pushed["results"].as_u64().is_some_and(|results| results > 8), || {
            pushed.to_string()
        })?;
        Ok(Self {
            owner,
            cli,
            location,
            public,
        })
    }

    /// A checkout of the same content with an empty store, and its command, which has no network.
    fn reader(&self, fixture: &Fixture) -> Result<(Distro, Cli), Failed> {
        let other = fixture.distro()?;
        other.forget_trees()?;
        extend(&other)?;
        let cli = reader_of(&other, &self.location, &self.public)?;
        Ok((other, without_network(cli)))
    }

    /// Digests of the RPMs of a package that is built, and whether the cache folder has their content.
    fn shares(&self, package: &str) -> Result<bool, Failed> {
        let digest = rpms(&self.cli, &self.owner, package)?;
        let blob = format!("cas/{digest:.2}/{digest}.zst");
        Ok(Utf8Path::new(&self.location).join(blob).exists())
    }
}

/// Sets a mirror that does not exist and no module proxy, so that every fetch fails.
fn without_network(cli: Cli) -> Cli {
    cli.env("BASALT_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
        .env("GOPROXY", "off")
}

/// Trees of a store that hold programs: the SDK, or what was unpacked of a build tool.
fn has_sdk(distro: &Distro) -> Result<bool, Failed> {
    let trees = distro.store.root().join("trees").read_dir_utf8()?;
    Ok(trees
        .flatten()
        .any(|tree| tree.path().join("usr/bin/rpmbuild").exists()))
}

fn nothing_was_built(distro: &Distro) -> Result<(), Failed> {
    for package in ["testdata", "testlib", "testserver", "testapp"] {
        ensure(!was_built(distro, package), || format!("{package} was built"))?;
    }
    ensure(!has_sdk(distro)?, || "the SDK was made".to_owned())
}

pub fn what_up_needs_is_pushed_and_no_more(fixture: &Fixture) -> Result<(), Failed> {
    let filled = Filled::new(fixture, None, &[])?;
    ensure(filled.shares("testapp")?, || {
        "testapp is installed and not shared".to_owned()
    })?;
    for package in ["testdata", "testlib", "testserver"] {
        ensure(!filled.shares(package)?, || format!("{package} is shared"))?;
    }
    let shared = files_below(&filled.owner.root.join("team-cache/cas")).map_err(shown)?;
    let (other, cli) = filled.reader(fixture)?;
    let built = cli.json(&["build", "node"], TIMEOUT, 0)?;
    let root = built["images"][0]["folder"].as_str().ok_or("no folder")?;
    let counts = Utf8PathBuf::from(root).join("root/usr/share/testapp/counts");
    ensure(counts.exists(), || format!("{counts} is not there"))?;
    nothing_was_built(&other)?;
    // The content of the cache is metadata of the packages and one RPM.
    ensure(shared.len() < 12, || format!("{shared:?}"))?;
    let status = filled.cli.json(&["cache", "status"], TIMEOUT, 0)?;
    ensure(status[0]["bytes"].as_u64().is_some_and(|bytes| bytes > 0), || {
        status.to_string()
    })?;
    other.nothing_is_left()
}

pub fn a_package_comes_from_a_cache_without_the_sdk(fixture: &Fixture) -> Result<(), Failed> {
    let filled = Filled::new(fixture, None, &["testapp"])?;
    let (other, cli) = filled.reader(fixture)?;
    let expected = rpms(&filled.cli, &filled.owner, "testapp")?;
    ensure(rpms(&cli, &other, "testapp")? == expected, || {
        "another RPM came".to_owned()
    })?;
    nothing_was_built(&other)?;
    // Where something has to run, the SDK is needed, and cannot be had here.
    other.edit("testapp", "Four counts.", "Four more counts.")?;
    let ran = cli.run(&["build", "testapp"], TIMEOUT)?.ended_with(1)?;
    has_all(&ran.stderr, &["127.0.0.1:9"])
}

pub fn what_a_cache_lacks_is_built_again(fixture: &Fixture) -> Result<(), Failed> {
    let filled = Filled::new(fixture, None, &[])?;
    let other = fixture.distro()?;
    extend(&other)?;
    let cli = reader_of(&other, &filled.location, &filled.public)?;
    let expected = rpms(&filled.cli, &filled.owner, "testapp")?;
    ensure(rpms(&cli, &other, "testapp")? == expected, || {
        "another RPM came".to_owned()
    })?;
    ensure(!was_built(&other, "testlib"), || "testlib was built".to_owned())?;
    // The changed package is compiled against testlib and testserver, of which the cache has the digests only, as of
    // testdata.
    other.edit("testapp", "Four counts.", "Four more counts.")?;
    rpms(&cli, &other, "testapp")?;
    let built: BTreeSet<_> = ["testdata", "testlib", "testserver", "testapp"]
        .into_iter()
        .filter(|package| was_built(&other, package))
        .collect();
    ensure(
        built == BTreeSet::from(["testdata", "testlib", "testserver", "testapp"]),
        || format!("only {built:?} were built"),
    )?;
    // An RPM that is asked for and nowhere is made, too.
    let third = fixture.distro()?;
    extend(&third)?;
    let cli = reader_of(&third, &filled.location, &filled.public)?;
    let testlib = rpms(&filled.cli, &filled.owner, "testlib")?;
    ensure(rpms(&cli, &third, "testlib")? == testlib, || {
        "testlib came out otherwise".to_owned()
    })?;
    ensure(was_built(&third, "testlib") && !was_built(&third, "testapp"), || {
        "not just testlib was built".to_owned()
    })?;
    third.nothing_is_left()
}

/// A folder that no action makes, and the result that names it.
fn false_result() -> (OutputDirectory, ActionResult) {
    let said = OutputDirectory {
        path: String::new(),
        tree: Blob::of("another tree"),
        root: Blob::of("another root"),
    };
    let result = ActionResult {
        directories: vec![said.clone()],
        ..ActionResult::default()
    };
    (said, result)
}

/// A known result of fetching modules, without content, that says something else than what comes.
pub fn modules_that_come_otherwise_than_said_make_another_key(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    extend(&distro)?;
    let distribution = distro.read().map_err(shown)?;
    let testserver = distribution.package(distribution.find("testserver").map_err(shown)?);
    let mut inputs = testserver.sources.inputs(&distro.tools).map_err(shown)?;
    let Some(InputContent::Modules(modules)) = inputs.pop().map(|input| input.content) else {
        return Err("testserver has no modules".into());
    };
    let (said, result) = false_result();
    let action = modules.action.encode();
    distro.store.put_action_result(&action, &result).map_err(shown)?;
    let (built, first) = distro.build(&["testserver"]).map_err(shown)?;
    ensure(built.contains(&"testserver".to_owned()), || {
        format!("only {built:?} were built")
    })?;
    let came = modules.known(&distro.store).ok_or("nothing was fetched")?;
    ensure(came.root != said.root, || "what was said is believed".to_owned())?;
    // The key is that of what came: the package is known from now on, and known to others who fetch the same.
    let (built, again) = distro.build(&["testserver"]).map_err(shown)?;
    ensure(built.is_empty(), || format!("{built:?} were built again"))?;
    ensure(first["testserver"].key == again["testserver"].key, || {
        "the key is another".to_owned()
    })
}

/// A known result of unpacking an RPM, without content, that says something else than what is in the RPM.
pub fn a_payload_that_comes_otherwise_than_said_makes_another_key(fixture: &Fixture) -> Result<(), Failed> {
    let distro = fixture.distro()?;
    let (_, below) = distro.build(&["testlib"]).map_err(shown)?;
    let rpm = &below["testlib"].rpms[0];
    let mut inputs = Directory::new();
    let blob = rpm.blob();
    inputs.insert("rpm", Node::File { blob, mode: 0o644 })?;
    let action = Action::function("unpack-rpm", &basalt_rpm::UNPACK_CODE, inputs).encode();
    ensure(distro.store.action_result(&action.key).is_none(), || {
        "testlib is unpacked already".to_owned()
    })?;
    let (said, result) = false_result();
    distro.store.put_action_result(&action, &result).map_err(shown)?;
    let (built, first) = distro.build(&["testapp"]).map_err(shown)?;
    ensure(built == ["testapp"], || format!("{built:?} were built"))?;
    let came = distro.store.action_result(&action.key).ok_or("nothing was unpacked")?;
    ensure(came.directory().is_some_and(|came| came.root != said.root), || {
        "what was said is believed".to_owned()
    })?;
    // The key is the one that others come to, who were told nothing.
    let (_, again) = distro.build(&["testapp"]).map_err(shown)?;
    let (_, undisturbed) = fixture.distro()?.build(&["testapp"]).map_err(shown)?;
    for other in [again, undisturbed] {
        ensure(first["testapp"].key == other["testapp"].key, || {
            "the key was made with what was said".to_owned()
        })?;
    }
    Ok(())
}

pub fn the_command_works_with_buildgrid(fixture: &Fixture) -> Result<(), Failed> {
    let Some(server) = BuildGrid::start("the_command_works_with_buildgrid") else {
        return Ok(());
    };
    let filled = Filled::new(fixture, Some(&server.location("team/main")), &["testapp"])?;
    let (other, cli) = filled.reader(fixture)?;
    let pulled = cli.json(&["cache", "pull", "testapp"], TIMEOUT, 0)?;
    ensure(pulled["bytes"].as_u64().is_some_and(|bytes| bytes > 0), || {
        pulled.to_string()
    })?;
    let expected = rpms(&filled.cli, &filled.owner, "testapp")?;
    ensure(rpms(&cli, &other, "testapp")? == expected, || {
        "another RPM came".to_owned()
    })?;
    nothing_was_built(&other)?;
    let (third, cli) = filled.reader(fixture)?;
    ensure(rpms(&cli, &third, "testapp")? == expected, || {
        "another RPM came".to_owned()
    })?;
    nothing_was_built(&third)?;
    let ran = cli.run(&["cache", "status"], TIMEOUT)?.ended_with(0)?;
    has_all(&ran.stdout, &["a server that takes results"])
}

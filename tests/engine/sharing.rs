//! A cache that two stores share: what one has built the other need not, and a cache costs time, never correctness.

use basalt_store::files_below;
use basalt_test_environment::{Cli, Failed, ensure, has_all};
use camino::{Utf8Path, Utf8PathBuf};

use crate::distro::{Distro, Fixture};
use crate::failures::TIMEOUT;

/// A cache in a folder, filled with testapp by a store of its own.
struct Filled {
    cache: Utf8PathBuf,
    public: String,
    /// The digests of the RPM of testapp, as JSON tells them.
    rpms: String,
    _owner: Distro,
}

fn fill(fixture: &Fixture) -> Result<Filled, Failed> {
    let owner = fixture.distro()?;
    let cache = owner.root.join("team-cache");
    let secret = owner.root.join("secret");
    let cli = owner
        .cli()
        .env("BASALT_CACHE", &cache)
        .env("BASALT_CACHE_SECRET", &secret);
    let key = cli.json(&["cache", "key", "tests"], TIMEOUT, 0)?;
    let public = key["public"].as_str().ok_or("no public key")?.to_owned();
    let pushed = cli.json(&["cache", "push", "testapp"], TIMEOUT, 0)?;
    ensure(pushed["results"].as_u64().is_some_and(|results| results > 3), || {
        pushed.to_string()
    })?;
    Ok(Filled {
        cache,
        public,
        rpms: rpms(&cli, &owner, "testapp")?,
        _owner: owner,
    })
}

/// The digest of the RPM of a package, built by the command if need be.
pub fn rpms(cli: &Cli, distro: &Distro, package: &str) -> Result<String, Failed> {
    let built = cli.json(&["build", package], TIMEOUT, 0)?;
    let path = built["packages"][0]["rpms"][0]["path"].as_str().ok_or("no RPM")?;
    ensure(path.starts_with(distro.store.root().as_str()), || path.to_owned())?;
    Ok(basalt_store::digest_of(Utf8Path::new(path))
        .map_err(basalt_test_environment::shown)?
        .0
        .to_hex())
}

/// The command of another store, which reads the cache and trusts these keys.
fn reader(distro: &Distro, filled: &Filled, trusted: &str) -> Result<Cli, Failed> {
    reader_of(distro, filled.cache.as_str(), trusted)
}

/// The same, of a cache at any location.
pub fn reader_of(distro: &Distro, location: &str, trusted: &str) -> Result<Cli, Failed> {
    let keys = distro.root.join("cache-keys");
    fs_err::write(&keys, trusted)?;
    Ok(distro
        .cli()
        .env("BASALT_CACHE", format!("{location}?mode=read"))
        .env("BASALT_CACHE_KEYS", &keys)
        .env("BASALT_CACHE_SECRET", distro.root.join("none")))
}

pub fn was_built(distro: &Distro, package: &str) -> bool {
    distro.store.root().join("logs").join(format!("{package}.log")).exists()
}

pub fn what_one_has_built_another_need_not(fixture: &Fixture) -> Result<(), Failed> {
    let filled = fill(fixture)?;
    let other = fixture.distro()?;
    let cli = reader(&other, &filled, &filled.public)?;
    ensure(rpms(&cli, &other, "testapp")? == filled.rpms, || {
        "other RPMs came".to_owned()
    })?;
    for package in ["testdata", "testlib", "testapp"] {
        ensure(!was_built(&other, package), || format!("{package} was built"))?;
    }
    // It is in the store now: without the cache, nothing is built either.
    let without = other.cli().env("BASALT_CACHE_KEYS", other.root.join("cache-keys"));
    ensure(rpms(&without, &other, "testapp")? == filled.rpms, || {
        "other RPMs are kept".to_owned()
    })?;
    ensure(!was_built(&other, "testapp"), || "testapp was built".to_owned())?;
    // A change here is built here, on what came from there.
    other.edit("testapp", "Four counts.", "Four more counts.")?;
    rpms(&cli, &other, "testapp")?;
    ensure(was_built(&other, "testapp") && !was_built(&other, "testlib"), || {
        "not just testapp was built".to_owned()
    })?;
    other.nothing_is_left()
}

pub fn a_key_that_is_no_longer_trusted_vouches_for_nothing(fixture: &Fixture) -> Result<(), Failed> {
    let filled = fill(fixture)?;
    // The cache is named or not, when the key is taken from the list.
    for is_named in [true, false] {
        let other = fixture.distro()?;
        let cli = reader(&other, &filled, &filled.public)?;
        rpms(&cli, &other, "testapp")?;
        ensure(!was_built(&other, "testapp"), || "testapp was built".to_owned())?;
        fs_err::write(other.root.join("cache-keys"), "")?;
        let cli = if is_named { cli } else { cli.env("BASALT_CACHE", "") };
        ensure(rpms(&cli, &other, "testapp")? == filled.rpms, || {
            "it is not the same".to_owned()
        })?;
        ensure(was_built(&other, "testapp"), || {
            "the result of a revoked key was used".to_owned()
        })?;
    }
    Ok(())
}

pub fn what_is_published_comes_from_the_cache(fixture: &Fixture) -> Result<(), Failed> {
    let filled = fill(fixture)?;
    let other = fixture.distro()?;
    let keys = other.root.join("cache-keys");
    fs_err::write(&keys, &filled.public)?;
    let cli = (other.cli())
        .env("BASALT_CACHE_KEYS", &keys)
        .env("BASALT_CACHE_SECRET", other.root.join("none"))
        .env("BASALT_KEYS", other.root.join("keys"))
        .env("BASALT_REPOSITORIES", other.root.join("repositories"));
    let location = format!("{}?mode=read", filled.cache);
    let ran = cli.run(&["--cache", &location, "repo", "publish", "testapp"], TIMEOUT)?;
    has_all(&ran.ended_with(0)?.stdout, &["1 packages"])?;
    ensure(!was_built(&other, "testapp"), || "testapp was built".to_owned())
}

pub fn a_result_of_an_unknown_signer_is_not_used(fixture: &Fixture) -> Result<(), Failed> {
    let filled = fill(fixture)?;
    // What is trusted is a key of another name than the signer's, and another key of the signer's name.
    let (unknown, wrong) = (
        "the key tests, which is not trusted",
        "a wrong signature of the trusted key tests",
    );
    for (name, shown, hidden) in [("colleague", unknown, wrong), ("tests", wrong, unknown)] {
        let other = fixture.distro()?;
        let unknown_signer = other
            .cli()
            .env("BASALT_CACHE_SECRET", other.root.join("unknown-signer"));
        let key = unknown_signer.json(&["cache", "key", name], TIMEOUT, 0)?;
        let cli = reader(&other, &filled, key["public"].as_str().unwrap_or_default())?;
        let ran = cli.run(&["build", "testapp"], TIMEOUT)?.ended_with(0)?;
        has_all(&ran.stderr, &[shown])?;
        ensure(!ran.stderr.contains(hidden), || ran.stderr.clone())?;
        ensure(was_built(&other, "testapp"), || {
            "a result of an unknown signer was used".to_owned()
        })?;
        ensure(rpms(&cli, &other, "testapp")? == filled.rpms, || {
            "it is not the same".to_owned()
        })?;
    }
    Ok(())
}

pub fn a_damaged_cache_costs_time_only(fixture: &Fixture) -> Result<(), Failed> {
    let filled = fill(fixture)?;
    for path in files_below(&filled.cache.join("cas")).map_err(basalt_test_environment::shown)? {
        let mut bytes = fs_err::read(&path)?;
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 0x20;
        }
        fs_err::remove_file(&path)?;
        fs_err::write(&path, bytes)?;
    }
    let other = fixture.distro()?;
    let cli = reader(&other, &filled, &filled.public)?;
    ensure(rpms(&cli, &other, "testapp")? == filled.rpms, || {
        "a damaged RPM was taken".to_owned()
    })?;
    ensure(was_built(&other, "testapp"), || "testapp was not built".to_owned())
}

pub fn a_cache_that_is_not_there_is_told(fixture: &Fixture) -> Result<(), Failed> {
    let filled = fill(fixture)?;
    let other = fixture.distro()?;
    let cli = reader(&other, &filled, &filled.public)?.env("BASALT_CACHE", "grpc://127.0.0.1:9?mode=read");
    let ran = cli.run(&["build", "testapp"], TIMEOUT)?.ended_with(0)?;
    has_all(&ran.stderr, &["127.0.0.1:9"])?;
    ensure(was_built(&other, "testapp"), || "testapp was not built".to_owned())?;
    let ran = other
        .cli()
        .run(&["--cache", "ftp://x", "build", "testapp"], TIMEOUT)?
        .ended_with(1)?;
    has_all(&ran.stderr, &["cache"])
}

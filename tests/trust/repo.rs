//! Repositories as others see them: dnf as it is, createrepo_c, gpg; and what becomes of hostile and unlucky moments.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use basalt_repodata::raw::{Entry, FilelistsPackage, PrimaryPackage};
use basalt_repodata::{parse_filelists, parse_primary, parse_repomd};
use basalt_signing::{Keyring, Timestamp};
use basalt_test_environment::{Failed, Started, TestDirectory, ensure, has_all, until};
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::Signal;

use crate::dnf::User;
use crate::fixture::{Fixture, TIMEOUT};

/// A small package, and one that it requires.
const PACKAGE: &str = "basalt-release";

pub fn dnf_installs_from_it(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "installs")?;
    user.publish(&["node"])?;
    let served = user.serve("basalt")?;
    let client = user.client("a", &served.url, &user.trusted("keys.asc")?)?;
    client.installs(PACKAGE)?;
    let release = fs_err::read_to_string(client.root().join("usr/lib/os-release"))?;
    has_all(&release, &["ID=basalt"])?;
    let installed = user.tool(
        "rpm",
        &[
            &format!("--root={}", client.root()),
            "-q",
            "--qf",
            "%{NAME} %{DSAHEADER:pgpsig}",
            PACKAGE,
        ],
    )?;
    // rpm has kept the signature: EdDSA, with the id of our key.
    let key = user.json(&["repo", "keys", "list"])?[0]["fingerprint"]
        .as_str()
        .unwrap_or_default()
        .to_lowercase();
    has_all(
        &installed.to_lowercase(),
        &["eddsa", key.get(key.len().saturating_sub(16)..).unwrap_or_default()],
    )?;
    let checked = user.run(&["repo", "check"])?.stdout;
    has_all(&checked, &["is as it was published"])
}

/// Publishes the small package, and lets `manipulation` change the folder of the snapshot.
fn manipulate(user: &User, name: &str, with: impl FnOnce(&Utf8Path) -> Result<(), Failed>) -> Result<(), Failed> {
    let folder = user.publish(&["--name", name, PACKAGE])?;
    // What is published is read-only; whoever means harm is not kept by that.
    for folder in [folder.clone(), folder.join("repodata"), folder.join("packages")] {
        fs_err::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    }
    for entry in folder.join("packages").read_dir_utf8()? {
        fs_err::set_permissions(entry?.path(), std::fs::Permissions::from_mode(0o755))?;
    }
    with(&folder)
}

/// Changes one bit in the middle of a file, which becomes another than the one in the pool.
fn change(path: &Utf8Path) -> Result<(), Failed> {
    let mut bytes = fs_err::read(path)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs_err::remove_file(path)?;
    Ok(fs_err::write(path, bytes)?)
}

/// The file in a folder whose name has a piece in it.
fn file_with(folder: &Utf8Path, piece: &str) -> Result<Utf8PathBuf, Failed> {
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        if entry.file_name().contains(piece) {
            return Ok(entry.into_path());
        }
    }
    Err(format!("there is no {piece} in {folder}").into())
}

/// Manipulation of a repository's folder.
type Manipulation<'a> = &'a dyn Fn(&Utf8Path) -> Result<(), Failed>;

pub fn dnf_refuses_what_was_changed(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "changed")?;
    user.publish(&["--name", "right", PACKAGE])?;
    let keys = user.trusted("keys.asc")?;
    let rpm = |folder: &Utf8Path| file_with(&folder.join("packages/b"), PACKAGE);
    let cases: [(&str, Manipulation<'_>, &[&str]); 5] = [
        (
            "rpm",
            &|folder| change(&rpm(folder)?),
            &["checksum", "interrupted by header"],
        ),
        (
            "metadata",
            &|folder| change(&file_with(&folder.join("repodata"), "primary.xml.zst")?),
            &["checksum", "doesn't match"],
        ),
        (
            "index",
            &|folder| change(&folder.join("repodata/repomd.xml")),
            &["signature", "gpg"],
        ),
        (
            "signature",
            &|folder| change(&folder.join("repodata/repomd.xml.asc")),
            &["signature", "gpg"],
        ),
        (
            "no-signature",
            &|folder| Ok(fs_err::remove_file(folder.join("repodata/repomd.xml.asc"))?),
            &["gpg", "404"],
        ),
    ];
    for (name, manipulation, because) in cases {
        manipulate(&user, name, manipulation)?;
        let served = user.serve(name)?;
        user.client(name, &served.url, &keys)?.refuses(PACKAGE, because)?;
        // Our own check says so too.
        let checked = user
            .cli
            .run(&["repo", "check", "--name", name], TIMEOUT)?
            .ended_with(1)?;
        ensure(!checked.stdout.is_empty(), || {
            "it does not say what is wrong".to_owned()
        })?;
    }
    // What nobody touched is installed, so it was not for another reason.
    let served = user.serve("right")?;
    user.client("right", &served.url, &keys)?.installs(PACKAGE)
}

pub fn dnf_refuses_who_is_not_trusted(directory: &TestDirectory) -> Result<(), Failed> {
    let (user, other) = (User::new(directory, "trusted")?, User::new(directory, "stranger")?);
    user.publish(&[PACKAGE])?;
    other.publish(&[PACKAGE])?;
    let keys = user.trusted("keys.asc")?;
    // A repository that is signed with another key.
    let served = other.serve("basalt")?;
    let copy = other.folder.join("keys-of-the-user.asc");
    fs_err::copy(&keys, &copy)?;
    other
        .client("a", &served.url, &copy)?
        .refuses(PACKAGE, &["signature", "gpg"])?;
    drop(served);
    // Packages of a stranger, and packages of nobody, where the index is not asked for a signature: its server may have
    // made it anew. The signature of each package still counts.
    let built = user.json(&["build", PACKAGE])?;
    let unsigned = built["packages"][0]["rpms"][0]["path"]
        .as_str()
        .ok_or("no RPM was built")?
        .to_owned();
    for (name, source) in [("of-a-stranger", None), ("of-nobody", Some(unsigned))] {
        manipulate(&other, name, |folder| {
            if let Some(source) = source {
                let path = file_with(&folder.join("packages/b"), PACKAGE)?;
                fs_err::remove_file(&path)?;
                fs_err::copy(&source, &path)?;
            }
            fs_err::remove_dir_all(folder.join("repodata"))?;
            other.tool("createrepo_c", &["--quiet", folder.as_str()]).map(drop)
        })?;
        let served = other.serve(name)?;
        let mut client = other.client(name, &served.url, &copy)?;
        client.options = vec!["gpgcheck=1", "repo_gpgcheck=0"];
        client.point_to(&served.url, &copy)?;
        client.refuses(PACKAGE, &["not signed", "gpg", "public key"])?;
    }
    Ok(())
}

pub fn keys_change_and_clients_go_on(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "rotation")?;
    user.publish(&[PACKAGE])?;
    let before = user.trusted("before.asc")?;
    user.run(&["repo", "keys", "rotate", "--user", "The next one"])?;
    let folder = user.publish(&[PACKAGE])?;
    let keys = user.json(&["repo", "keys", "list"])?;
    let mut states: Vec<_> = keys
        .as_array()
        .into_iter()
        .flatten()
        .map(|key| key["state"].as_str().unwrap_or_default())
        .collect();
    states.sort_unstable();
    ensure(states == ["signs", "trusted"], || format!("{keys:#}"))?;
    let served = user.serve("basalt")?;
    // Who trusts what the repository publishes now goes on; who has only the old key is not talked into the new one.
    user.client("new", &served.url, &folder.join("RPM-GPG-KEY-basalt"))?
        .installs(PACKAGE)?;
    user.client("old", &served.url, &before)?
        .refuses(PACKAGE, &["signature", "gpg"])?;
    user.run(&["repo", "check"]).map(drop)
}

/// Data that two repositories of the same packages have in common: all but the place of a package and the time when it
/// was put there.
fn facts(folder: &Utf8Path) -> Result<BTreeMap<String, (PrimaryPackage, FilelistsPackage)>, Failed> {
    let index = parse_repomd(&fs_err::read(folder.join("repodata/repomd.xml"))?)?;
    let open = |kind: &str| -> Result<Vec<u8>, Failed> {
        let data = index
            .data
            .iter()
            .find(|data| data.kind == kind)
            .ok_or("it is not named")?;
        let bytes = fs_err::read(folder.join(&data.location.href))?;
        Ok(zstd::decode_all(bytes.as_slice())?)
    };
    let mut lists: BTreeMap<String, FilelistsPackage> = BTreeMap::new();
    for mut package in parse_filelists(&open("filelists")?)?.packages {
        package.files.sort_by(|one, other| one.path.cmp(&other.path));
        lists.insert(package.package_id.clone(), package);
    }
    let mut facts = BTreeMap::new();
    for mut package in parse_primary(&open("primary")?)?.packages {
        package.time.file = 0;
        // createrepo_c leaves out all but one of the C library's versions, since the newest has the others.
        let libc = |entry: &Entry| entry.name.starts_with("libc.so.6");
        package.format.requires.entries.retain(|entry| !libc(entry));
        let format = &mut package.format;
        for list in [
            &mut format.provides,
            &mut format.requires,
            &mut format.conflicts,
            &mut format.obsoletes,
        ] {
            list.entries
                .sort_by(|one, other| format!("{one:?}").cmp(&format!("{other:?}")));
        }
        format.files.sort_by(|one, other| one.path.cmp(&other.path));
        let id = package.checksum.value.clone();
        let list = lists.remove(&id).ok_or("filelists lacks a package")?;
        facts.insert(id, (package, list));
    }
    Ok(facts)
}

pub fn others_make_the_same_facts(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "facts")?;
    let folder = user.publish(&["node"])?;
    let copy = user.folder.join("copy");
    fs_err::create_dir_all(&copy)?;
    fs_err::os::unix::fs::symlink(folder.join("packages"), copy.join("packages"))?;
    let options = ["--quiet", "--general-compress-type=zstd", "--no-database"];
    let mut words: Vec<&str> = options.to_vec();
    words.push(copy.as_str());
    user.tool("createrepo_c", &words)?;
    let (ours, theirs) = (facts(&folder)?, facts(&copy)?);
    ensure(ours.len() > 20, || format!("only {} packages", ours.len()))?;
    for (id, our) in &ours {
        let their = theirs
            .get(id)
            .ok_or_else(|| format!("createrepo_c lacks {}", our.0.name))?;
        ensure(our == their, || {
            format!("of {} we say\n{our:#?}\nand createrepo_c\n{their:#?}", our.0.name)
        })?;
    }
    ensure(ours.len() == theirs.len(), || {
        "createrepo_c has more packages".to_owned()
    })
}

pub fn advisories_reach_dnf(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "advisories")?;
    let text = "id = \"TEST-2026-0001\"\ntitle = \"Nothing but a test\"\nseverity = \"important\"\nissued = \"2026-11-25\"\n\
                [[package]]\nname = \"basalt-release\"\nfixed = \"999-1\"\n\
                [[reference]]\nid = \"CVE-2026-00000\"\nurl = \"https://example.org/\"\n";
    let cli =
        Fixture::of(directory).checkout("repo-advisories-checkout", &[("advisories/TEST-2026-0001.toml", text)])?;
    user.of(cli)
        .run(&["repo", "publish", PACKAGE], TIMEOUT)?
        .ended_with(0)?;
    let served = user.serve("basalt")?;
    let client = user.client("a", &served.url, &user.trusted("keys.asc")?)?;
    client.installs(PACKAGE)?;
    let said = client.dnf(&["updateinfo", "list", "--all"])?.map_err(Failed::from)?;
    has_all(&said, &["TEST-2026-0001", "Important/Sec"])
}

pub fn signed_elsewhere_by_gpg(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "elsewhere")?;
    // The machine with the key: it has gpg, and knows nothing of us.
    let home = user.folder.join("gpg");
    fs_err::create_dir_all(&home)?;
    fs_err::set_permissions(&home, std::fs::Permissions::from_mode(0o700))?;
    let gpg = |arguments: &[&str]| {
        let mut words = vec![
            "--homedir",
            home.as_str(),
            "--batch",
            "--yes",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
        ];
        words.extend(arguments);
        user.tool("gpg", &words)
    };
    gpg(&[
        "--quick-generate-key",
        "Releases <releases@example.org>",
        "ed25519",
        "sign",
        "1y",
    ])?;
    let public = user.folder.join("releases.asc");
    gpg(&[
        "--armor",
        "--output",
        public.as_str(),
        "--export",
        "releases@example.org",
    ])?;
    let imported = user.json(&["repo", "keys", "import", public.as_str()])?;
    ensure(imported[0]["secret"] == false && imported[0]["signing"] == true, || {
        format!("{imported:#}")
    })?;
    let draft = user.json(&["repo", "publish", PACKAGE])?;
    ensure(draft["stage"] == "packages", || format!("{draft:#}"))?;
    for round in ["first", "second"] {
        let folder = user.folder.join(round);
        user.run(&["repo", "sign", "export", folder.as_str()])?;
        let sums = fs_err::read_to_string(folder.join("SHA256SUMS"))?;
        let files: Vec<&str> = sums.lines().filter_map(|line| line.split("  ").nth(1)).collect();
        // Before anything is signed, nothing is taken.
        let unsigned = user
            .cli
            .run(&["repo", "sign", "import", folder.as_str()], TIMEOUT)?
            .ended_with(1)?;
        has_all(
            &unsigned.stderr,
            &[&format!("{0} of {0} signatures are not in", files.len())],
        )?;
        for file in files {
            gpg(&["--detach-sign", folder.join(file).as_str()])?;
        }
        user.run(&["repo", "sign", "import", folder.as_str()])?;
    }
    user.run(&["repo", "check"])?;
    let served = user.serve("basalt")?;
    user.client("a", &served.url, &user.trusted("keys.asc")?)?
        .installs(PACKAGE)
}

pub fn killed_it_is_invisible(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "killed")?;
    user.publish(&["--snapshot", "first", PACKAGE])?;
    let names = || -> Result<Vec<String>, Failed> {
        let listed = user.json(&["repo", "list"])?;
        let list = listed.as_array().cloned().unwrap_or_default();
        let brief = list
            .iter()
            .map(|snapshot| format!("{} {}", snapshot["name"], snapshot["current"]));
        Ok(brief.collect())
    };
    let folder = user.folder.join("repositories/basalt");
    let mut halfway = 0;
    for step in 0..12_u64 {
        // Later and later: before it begins, while it signs, while it writes, when it is done.
        let mut publishing = Started::new(&user.cli.command(&["repo", "publish", "--snapshot", "second", "node"]))?;
        until("it has begun", TIMEOUT, || {
            let pool = fs_err::read_dir(folder.join("pool"))
                .map(Iterator::count)
                .unwrap_or_default();
            pool as u64 > 3 + step * 5 || folder.join("work/snapshot").exists() || publishing.has_ended()
        })?;
        // It may have ended by itself.
        drop(publishing.signal(Signal::KILL));
        drop(publishing.wait(Duration::from_secs(10))?);
        let names = names()?;
        if names == ["\"first\" true"] {
            halfway += 1;
            user.run(&["repo", "check"])?;
        } else {
            // It was quicker than we were.
            ensure(names.last().is_some_and(|name| name.starts_with("\"second\"")), || {
                format!("{names:?}")
            })?;
            break;
        }
    }
    ensure(halfway > 0, || "it was never interrupted".to_owned())?;
    user.publish(&["--snapshot", "second", "node"])?;
    ensure(names()? == ["\"first\" false", "\"second\" true"], || {
        format!("{:?}", names())
    })?;
    let left: Vec<_> = folder.join("work").read_dir_utf8()?.flatten().collect();
    ensure(left.is_empty(), || format!("{left:?}"))?;
    user.run(&["repo", "check"])?;
    // What is no longer needed goes, and what is current stays.
    user.run(&["repo", "prune", "--keep", "1"])?;
    ensure(names()? == ["\"second\" true"], || format!("{:?}", names()))
}

pub fn keys_that_do_not_count(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "keys")?;
    let publish = |more: &[&str], passphrase: Option<&str>| {
        let mut cli = user.cli.clone();
        if let Some(passphrase) = passphrase {
            cli = cli.env("BASALT_KEY_PASSPHRASE", passphrase);
        }
        let mut words = vec!["repo", "publish", PACKAGE];
        words.extend(more);
        cli.run(&words, TIMEOUT)
    };
    let nothing = || {
        let current = user.folder.join("repositories/basalt/current");
        ensure(!current.exists(), || "something was published".to_owned())
    };
    // Locked: no passphrase, a wrong one, the right one.
    let file = user.folder.join("passphrase");
    fs_err::write(&file, "open sesame\n")?;
    user.run(&["repo", "keys", "new", "--passphrase-file", file.as_str()])?;
    has_all(
        &publish(&[], None)?.ended_with(1)?.stderr,
        &["protected by a passphrase", "--passphrase-file"],
    )?;
    has_all(
        &publish(&[], Some("sesame"))?.ended_with(1)?.stderr,
        &["does not unlock", "nothing was signed"],
    )?;
    nothing()?;
    // Its end has passed; or is near.
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let year_ago = Timestamp::from_secs(u32::try_from(since)? - 365 * 24 * 60 * 60);
    let ring = Keyring::new(user.folder.join("keys"));
    ring.make("old", year_ago, 300, None)?;
    has_all(&publish(&[], None)?.ended_with(1)?.stderr, &["ended on", "keys rotate"])?;
    nothing()?;
    ring.make("ends soon", year_ago, 375, None)?;
    let near = publish(&[], None)?.ended_with(0)?;
    has_all(&near.stderr, &[" days, on ", "keys rotate"])?;
    // A secret that others can read.
    let key = ring.make("open", year_ago, 3000, None)?;
    let secret = ring
        .folder()
        .join(format!("{}.secret.asc", key.certificate().fingerprint()));
    fs_err::set_permissions(&secret, std::fs::Permissions::from_mode(0o644))?;
    has_all(
        &publish(&[], None)?.ended_with(1)?.stderr,
        &["others may read", "chmod 600"],
    )?;
    // With the right passphrase, and the locked key by a part of its fingerprint.
    let keys = user.json(&["repo", "keys", "list"])?;
    let locked = keys.as_array().into_iter().flatten().find(|key| {
        key["user"]
            .as_str()
            .is_some_and(|user| user.starts_with("Basalt development"))
    });
    let locked = locked
        .and_then(|key| key["fingerprint"].as_str())
        .and_then(|fingerprint| fingerprint.get(..12))
        .ok_or("the locked key is not listed")?;
    publish(&["--key", locked, "--passphrase-file", file.as_str()], None)?.ended_with(0)?;
    // What is no key.
    let junk = user.folder.join("junk.asc");
    fs_err::write(&junk, "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nnonsense\n")?;
    let said = publish(&["--key", junk.as_str()], None)?.ended_with(1)?.stderr;
    has_all(&said, &["is not an OpenPGP key"])
}

pub fn served_until_it_is_interrupted(directory: &TestDirectory) -> Result<(), Failed> {
    let user = User::new(directory, "served")?;
    let empty = user
        .cli
        .run(&["repo", "serve", "--port", "0"], TIMEOUT)?
        .ended_with(1)?;
    has_all(&empty.stderr, &["nothing is published", "./basalt repo publish"])?;
    user.publish(&[PACKAGE])?;
    let served = user.serve("basalt")?;
    let port = served
        .url
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap_or_default()
        .to_owned();
    let taken = user
        .cli
        .run(&["repo", "serve", "--port", &port], TIMEOUT)?
        .ended_with(1)?;
    has_all(&taken.stderr, &["cannot listen on", "--port 0"])?;
    served.process.signal(Signal::INT)?;
    served.process.wait(Duration::from_secs(10))?.ended_with(0).map(drop)
}

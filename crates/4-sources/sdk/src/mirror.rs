//! Mirrors of Debian's archive that this machine can use.
//!
//! Digests of all fetched files are locked, and indexes are signed by Debian: a wrong guess results in an error message
//! of a server, never in wrong content. So all sites of the machine's apt that may be Debian's archive are tried.

use std::sync::OnceLock;

use basalt_process::{Command, tool};

use crate::SdkError;

/// Environment variable that names a mirror. If it is set, no other mirror is used.
const VARIABLE: &str = "BASALT_DEBIAN_MIRROR";
/// Names of suites in URLs of the archive.
const SUITES: [&str; 13] = [
    "oldstable",
    "stable",
    "testing",
    "unstable",
    "experimental",
    "sid",
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "rc-buggy",
    "proposed-updates",
];
/// Maximum number of mirrors that are tried from one list.
const MOST: usize = 4;

/// Returns URLs of the archive's root, the most promising first: `$BASALT_DEBIAN_MIRROR` if it is set, else the sites
/// that the machine's apt is configured with.
///
/// # Errors
/// When `$BASALT_DEBIAN_MIRROR` is not a URL.
pub fn mirrors() -> Result<Vec<String>, SdkError> {
    if let Some(named) = std::env::var(VARIABLE).ok().filter(|named| !named.trim().is_empty()) {
        return Ok(vec![named_mirror(&named)?]);
    }
    static FOUND: OnceLock<Vec<String>> = OnceLock::new();
    Ok(FOUND.get_or_init(find).clone())
}

fn named_mirror(named: &str) -> Result<String, SdkError> {
    let mirror = named.trim().trim_end_matches('/');
    let known = ["http://", "https://", "file:/", "copy:/"];
    let plain = !mirror
        .chars()
        .any(|letter| letter.is_control() || letter.is_whitespace());
    if plain && known.iter().any(|scheme| mirror.starts_with(scheme)) {
        return Ok(mirror.to_owned());
    }
    Err(SdkError::Mirror {
        variable: VARIABLE,
        value: named.escape_debug().to_string(),
    })
}

fn find() -> Vec<String> {
    // This command reads only apt's configuration, neither package lists nor the network.
    let told = Command::tool(tool::APT_GET).args(["update", "--print-uris"]).output();
    let told = told.map(|output| output.text()).unwrap_or_else(|error| {
        tracing::debug!(%error, "apt does not tell its mirrors");
        String::new()
    });
    let mut found = Vec::new();
    for site in sites(&told) {
        found.extend(resolve(&site));
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|mirror| {
        seen.insert(
            mirror
                .trim_start_matches("https://")
                .trim_start_matches("http://")
                .to_owned(),
        )
    });
    found
}

/// Returns the sites of Debian's suites in the output of `apt-get update --print-uris`: lines of the form `'URL' file
/// size`. Sites whose path ends like that of the archive (`debian`) come first; security updates and suites of other
/// projects are left out.
fn sites(told: &str) -> Vec<String> {
    let mut sites: Vec<String> = Vec::new();
    for line in told.lines() {
        let Some(url) = line.split('\'').nth(1) else { continue };
        let Some((site, rest)) = url.split_once("/dists/") else {
            continue;
        };
        let suite = rest.split('/').next().unwrap_or_default();
        let known = SUITES
            .iter()
            .any(|known| suite == *known || suite == format!("{known}-updates"));
        if known && !is_security(site) && !sites.iter().any(|other| other == site) {
            sites.push(site.to_owned());
        }
    }
    sites.sort_by_key(|site| u8::from(!is_named_debian(site)));
    sites
}

fn is_security(site: &str) -> bool {
    site.split('/').any(|part| part.contains("security"))
}

fn is_named_debian(site: &str) -> bool {
    site.trim_end_matches(".list").rsplit('/').next() == Some("debian")
}

/// Returns the URLs of a site of apt's: the site itself, or those in its list of mirrors (apt-transport-mirror(1)).
fn resolve(site: &str) -> Vec<String> {
    if let Some(list) = site.strip_prefix("mirror+file:") {
        return fs_err::read_to_string(list)
            .map(|text| listed(&text))
            .unwrap_or_default();
    }
    // Others are lists of mirrors on servers, CDs, and unknown transports of packages.
    let usable = ["http://", "https://", "file:/", "copy:/"]
        .iter()
        .any(|scheme| site.starts_with(scheme));
    usable.then(|| site.to_owned()).into_iter().collect()
}

/// Parses a list of mirrors: one line each, with attributes after a tab. Those with the lowest `priority:` come first.
fn listed(text: &str) -> Vec<String> {
    let mut mirrors: Vec<(u64, String)> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let url = words.next()?.trim_end_matches('/');
            let priority = words.find_map(|word| word.strip_prefix("priority:")?.parse().ok());
            let usable = url.starts_with("http://") || url.starts_with("https://") || url.starts_with("file:/");
            usable.then(|| (priority.unwrap_or(u64::MAX), url.to_owned()))
        })
        .collect();
    mirrors.sort_by_key(|(priority, _)| *priority);
    mirrors.into_iter().map(|(_, url)| url).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_archive_is_told_from_its_neighbours() {
        let told = "\
'http://packages.example.org/apt/dists/bookworm/InRelease' x 0
'http://archive.example.com/ubuntu/dists/noble/InRelease' x 0
'https://artifacts.example.com/artifactory/debian-remote/dists/trixie/InRelease' x 0
'http://mirror.example.org/debian-security/dists/bookworm-security/InRelease' x 0
'http://mirror.example.org/security/dists/bookworm/InRelease' x 0
'http://snapshot.example.org/archive/debian/20260101T000000Z/dists/bookworm/InRelease' x 0
'http://mirror.example.org/debian/dists/bookworm/InRelease' x 0
'http://mirror.example.org/debian/dists/bookworm-updates/main/binary-amd64/Packages.xz' x 0
'mirror+file:/etc/apt/mirrors/debian.list/dists/bookworm/InRelease' x 0
E: something else
";
        assert_eq!(
            sites(told),
            [
                "http://mirror.example.org/debian",
                "mirror+file:/etc/apt/mirrors/debian.list",
                "http://packages.example.org/apt",
                "https://artifacts.example.com/artifactory/debian-remote",
                "http://snapshot.example.org/archive/debian/20260101T000000Z",
            ]
        );
        assert!(sites("").is_empty());
    }

    #[test]
    fn lists_of_mirrors_are_read() {
        let text = "# mirrors\nhttp://c.example/debian/\nhttp://b.example/debian\tpriority:2\n\nhttps://a.example/debian priority:1 arch:amd64\ncdrom:x\n";
        let mirrors = [
            "https://a.example/debian",
            "http://b.example/debian",
            "http://c.example/debian",
        ];
        assert_eq!(listed(text), mirrors);
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("debian.list");
        fs_err::write(&list, text).expect("written");
        assert_eq!(resolve(&format!("mirror+file:{}", list.display())), mirrors);
        assert!(resolve("mirror+file:/nowhere/at/all").is_empty());
        assert!(resolve("cdrom:[Debian]").is_empty());
    }

    #[test]
    fn a_named_mirror_is_a_url() {
        assert_eq!(
            named_mirror(" https://m.example/debian/ ").expect("one"),
            "https://m.example/debian"
        );
        for wrong in [
            "m.example/debian",
            "-oDebug=1",
            "http://m.example/a b",
            "http://m.example/a\nb",
        ] {
            assert!(named_mirror(wrong).is_err(), "{wrong}");
        }
    }
}

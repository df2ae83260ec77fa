//! Solving, from a user's point of view: requests in, packages or an explanation out.

use basalt_repo::{Package, SolveError, solve};

fn package(name: &str, version: &str, lines: &[&str]) -> Package {
    let list = |key: &str| {
        let found = lines.iter().filter_map(|line| line.strip_prefix(key));
        found
            .map(|text| text.trim().parse().expect("a capability"))
            .collect::<Vec<_>>()
    };
    let mut provides = list("P:");
    provides.push(format!("{name} = {version}").parse().expect("a capability"));
    Package {
        name: name.into(),
        epoch: 0,
        version: version.split('-').next().unwrap_or_default().into(),
        release: version.split('-').nth(1).unwrap_or_default().into(),
        arch: "x86_64".into(),
        license: "MIT".into(),
        summary: String::new(),
        source: String::new(),
        size: 0,
        provides,
        requires: list("R:"),
        conflicts: list("C:"),
        obsoletes: list("O:"),
        files: lines
            .iter()
            .filter_map(|line| line.strip_prefix("F:"))
            .map(|path| path.trim().to_owned())
            .collect(),
        scriptlets: Vec::new(),
    }
}

fn names(requests: &[&str], available: &[Package]) -> Vec<String> {
    let requests: Vec<String> = requests.iter().map(|text| (*text).to_owned()).collect();
    let solution = solve(&requests, available).unwrap_or_else(|error| panic!("{error}"));
    solution.into_iter().map(ToString::to_string).collect()
}

fn error(requests: &[&str], available: &[Package]) -> SolveError {
    let requests: Vec<String> = requests.iter().map(|text| (*text).to_owned()).collect();
    solve(&requests, available).expect_err("no solution")
}

fn distribution() -> Vec<Package> {
    vec![
        package("filesystem", "1-1", &["F: /usr/bin"]),
        package("glibc", "2.41-1", &["P: libc.so.6()(64bit)", "R: filesystem"]),
        package("zlib", "1.3-1", &["P: libz.so.1()(64bit)", "R: libc.so.6()(64bit)"]),
        package("zlib", "1.3.1-1", &["P: libz.so.1()(64bit)", "R: libc.so.6()(64bit)"]),
        package("zlib-devel", "1.3.1-1", &["R: zlib = 1.3.1-1", "R: glibc-devel"]),
        package("glibc-devel", "2.41-1", &["R: glibc = 2.41", "R: kernel-headers"]),
        package("kernel-headers", "6.12-1", &[]),
        package("util-linux", "2.41-1", &["F: /usr/bin/mount", "R: libc.so.6()(64bit)"]),
        package("mounter", "1-1", &["R: /bin/mount"]),
        package("loop-a", "1-1", &["R: loop-b"]),
        package("loop-b", "1-1", &["R: loop-a", "R: loop-b"]),
    ]
}

#[test]
fn the_closure_has_the_newest_of_each() {
    let all = distribution();
    assert_eq!(
        names(&["zlib-devel"], &all),
        [
            "filesystem-1-1",
            "glibc-2.41-1",
            "glibc-devel-2.41-1",
            "kernel-headers-6.12-1",
            "zlib-1.3.1-1",
            "zlib-devel-1.3.1-1"
        ]
    );
    assert_eq!(
        names(&["libz.so.1()(64bit)"], &all),
        ["filesystem-1-1", "glibc-2.41-1", "zlib-1.3.1-1"]
    );
    assert_eq!(names(&["kernel-headers >= 6"], &all), ["kernel-headers-6.12-1"]);
    assert_eq!(names(&["loop-a"], &all), ["loop-a-1-1", "loop-b-1-1"]);
    assert!(names(&[], &all).is_empty());
}

#[test]
fn files_count_as_what_is_provided_also_by_their_old_paths() {
    assert!(names(&["mounter"], &distribution()).contains(&"util-linux-2.41-1".to_owned()));
}

#[test]
fn an_older_version_is_taken_where_that_is_asked_for() {
    assert!(names(&["zlib < 1.3.1"], &distribution()).contains(&"zlib-1.3-1".to_owned()));
}

#[test]
fn what_is_missing_is_named_with_who_needs_it() {
    let mut all = distribution();
    all.push(package(
        "kubelet",
        "1-1",
        &["R: util-linux", "R: libseccomp.so.2()(64bit)"],
    ));
    all.push(package("node", "1-1", &["R: kubelet", "R: zlib >= 2"]));
    let error = error(&["node", "utillinux"], &all);
    let text = error.to_string();
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "no package provides `utillinux`, which was asked for; there is `util-linux`",
            "`node` needs `zlib >= 2`, which no package provides; there is `zlib = 1.3.1-1`, `zlib = 1.3-1`",
            "`kubelet` needs `libseccomp.so.2()(64bit)`, which no package provides (node needs kubelet)",
        ]
    );
}

#[test]
fn what_excludes_each_other_is_named() {
    let mut all = distribution();
    all.push(package("iptables-legacy", "1-1", &["P: iptables", "C: iptables-nft"]));
    all.push(package("iptables-nft", "1-1", &["P: iptables"]));
    assert_eq!(names(&["iptables"], &all), ["iptables-legacy-1-1"]);
    let error = error(&["iptables-legacy", "iptables-nft"], &all);
    assert!(matches!(error, SolveError::Conflict { .. }));
    let text = error.to_string();
    assert!(
        text.contains("iptables-legacy") && text.contains("iptables-nft"),
        "{text}"
    );
}

#[test]
fn an_obsoleted_package_stays_out() {
    let mut all = distribution();
    all.push(package("zlib-ng", "2-1", &["P: libz.so.1()(64bit)", "O: zlib < 2"]));
    let solution = names(&["zlib-ng", "libz.so.1()(64bit)"], &all);
    assert_eq!(solution, ["zlib-ng-2-1"]);
}

#[test]
fn the_order_of_what_is_available_does_not_matter() {
    let mut all = distribution();
    let forwards = names(&["zlib-devel", "mounter"], &all);
    all.reverse();
    assert_eq!(names(&["mounter", "zlib-devel"], &all), forwards);
}

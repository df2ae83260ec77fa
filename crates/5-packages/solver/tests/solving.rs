//! Solving through the public interface: requests in, packages or an explanation out.

#![cfg(test)]

use std::fmt::Debug;
use std::str::FromStr;

use basalt_rpm::Package;
use basalt_solver::{PackageIndex, SolveError};

fn list<T: FromStr<Err: Debug>>(lines: &[&str], key: &str) -> Vec<T> {
    let found = lines.iter().filter_map(|line| line.strip_prefix(key));
    found.map(|text| text.trim().parse().expect("a dependency")).collect()
}

fn package(name: &str, version: &str, lines: &[&str]) -> Package {
    let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
    let mut provides = list(lines, "P:");
    provides.push(format!("{name} = {version}").parse().expect("a capability"));
    Package {
        name: name.into(),
        epoch: epoch.parse().expect("a number"),
        version: rest.split('-').next().unwrap_or_default().into(),
        release: rest.split('-').nth(1).unwrap_or_default().into(),
        arch: "x86_64".into(),
        license: "MIT".into(),
        summary: String::new(),
        source: String::new(),
        size: 0,
        provides,
        requires: list(lines, "R:"),
        conflicts: list(lines, "C:"),
        obsoletes: list(lines, "O:"),
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
    let index: PackageIndex<&Package> = available.iter().collect();
    let solution = index
        .install(&requests, |_| true)
        .unwrap_or_else(|error| panic!("{error}"));
    solution.into_iter().map(ToString::to_string).collect()
}

fn error(requests: &[&str], available: &[Package]) -> SolveError {
    let requests: Vec<String> = requests.iter().map(|text| (*text).to_owned()).collect();
    let index: PackageIndex<&Package> = available.iter().collect();
    index.install(&requests, |_| true).map(drop).expect_err("no solution")
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

fn lines(requests: &[&str], available: &[Package]) -> Vec<String> {
    let error = error(requests, available);
    assert!(matches!(error, SolveError::Conflict { .. }), "{error}");
    let text = error.to_string();
    let mut lines = text.lines().map(str::to_owned);
    assert_eq!(
        lines.next().as_deref(),
        Some("the packages that were asked for cannot be installed together:")
    );
    lines.collect()
}

#[test]
fn what_conflicts_is_named_with_who_needs_it() {
    let mut all = distribution();
    all.push(package("iptables-legacy", "1-1", &["P: iptables", "C: iptables-nft"]));
    all.push(package("iptables-nft", "1-1", &["P: iptables"]));
    all.push(package("kube-proxy", "1-1", &["R: iptables-nft >= 1"]));
    all.push(package("node", "1-1", &["R: kube-proxy"]));
    assert_eq!(names(&["iptables"], &all), ["iptables-legacy-1-1"]);
    assert_eq!(
        lines(&["iptables-legacy", "iptables-nft"], &all),
        [
            "`iptables-legacy` conflicts with `iptables-nft`, and both are needed:",
            "  `iptables-legacy`, which was asked for",
            "  `iptables-nft`, which was asked for",
        ]
    );
    assert_eq!(
        lines(&["node", "iptables-legacy"], &all),
        [
            "`iptables-legacy` conflicts with `iptables-nft`, and both are needed:",
            "  `iptables-legacy`, which was asked for",
            "  `iptables-nft >= 1`, which `kube-proxy` needs (node needs kube-proxy)",
        ]
    );
}

#[test]
fn a_conflict_with_what_something_provides_counts() {
    let mut all = distribution();
    all.push(package("nftables", "1-1", &["C: iptables < 2"]));
    all.push(package("iptables-nft", "1-1", &["P: iptables = 1.8"]));
    assert_eq!(
        lines(&["iptables-nft", "nftables"], &all)[0],
        "`nftables` conflicts with `iptables-nft`, and both are needed:"
    );
}

#[test]
fn versions_that_do_not_meet_are_named_with_who_wants_them() {
    let mut all = distribution();
    all.push(package("old", "1-1", &["R: zlib < 1.3.1"]));
    assert_eq!(
        lines(&["zlib-devel", "old"], &all),
        [
            "no version of `zlib` is right for all who want it:",
            "  `zlib = 1.3.1-1`, which `zlib-devel` needs",
            "  `zlib < 1.3.1`, which `old` needs",
            "there is `1.3.1-1`, `1.3-1`",
        ]
    );
    assert_eq!(
        lines(&["zlib < 1.3.1", "zlib > 1.3"], &all),
        [
            "no version of `zlib` is right for all who want it:",
            "  `zlib < 1.3.1`, which was asked for",
            "  `zlib > 1.3`, which was asked for",
            "there is `1.3.1-1`, `1.3-1`",
        ]
    );
}

#[test]
fn what_is_replaced_cannot_be_asked_for_beside_it() {
    let mut all = distribution();
    all.push(package("zlib-ng", "2-1", &["P: libz.so.1()(64bit)", "O: zlib < 2"]));
    assert_eq!(
        lines(&["zlib-ng", "zlib-devel"], &all),
        [
            "`zlib-ng` replaces `zlib`, and both are needed:",
            "  `zlib-ng`, which was asked for",
            "  `zlib = 1.3.1-1`, which `zlib-devel` needs",
        ]
    );
}

#[test]
fn where_there_was_a_choice_the_solver_says_why_none_will_do() {
    let mut all = distribution();
    all.push(package("legacy", "1-1", &["P: filter", "C: zlib"]));
    all.push(package("modern", "1-1", &["P: filter", "C: zlib"]));
    let text = lines(&["filter", "zlib"], &all).join("\n");
    for name in ["legacy", "modern", "zlib"] {
        assert!(text.contains(name), "{text}");
    }
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

#[test]
fn expressions_are_solved() {
    let all = [
        package("y", "1-1", &[]),
        package("w", "1-1", &["R: (x or y)"]),
        package("v", "1-1", &["R: (x if z)"]),
        package("u", "1-1", &["R: (y and y >= 1)"]),
        package("t", "1-1", &["R: (y if v)", "R: v"]),
        package("s", "1-1", &["R: (w unless v else y)", "R: v"]),
        package("r", "1-1", &["R: (lib >= 2 with lib < 3)"]),
        package("q", "1-1", &["R: (lib without lib = 4)"]),
        package("lib2", "1-1", &["P: lib = 2"]),
        package("lib4", "1-1", &["P: lib = 4"]),
        package("p", "1-1", &["C: (y and v)"]),
    ];
    assert_eq!(names(&["w"], &all), ["w-1-1", "y-1-1"]);
    assert_eq!(names(&["v"], &all), ["v-1-1"]);
    assert_eq!(names(&["u"], &all), ["u-1-1", "y-1-1"]);
    assert_eq!(names(&["t"], &all), ["t-1-1", "v-1-1", "y-1-1"]);
    assert_eq!(names(&["s"], &all), ["s-1-1", "v-1-1", "y-1-1"]);
    assert_eq!(names(&["r"], &all), ["lib2-1-1", "r-1-1"]);
    assert_eq!(names(&["q"], &all), ["lib2-1-1", "q-1-1"]);
    assert_eq!(names(&["(lib4 or y)"], &all), ["lib4-1-1"]);
    assert_eq!(names(&["p", "y"], &all), ["p-1-1", "y-1-1"]);
    let text = lines(&["p", "y", "v"], &all).join("\n");
    assert!(text.contains("`p-1-1` conflicts with `(y and v)`"), "{text}");
    let missing = error(&["(a or b)"], &all);
    assert_eq!(
        missing.to_string(),
        "no package provides `(a or b)`, which was asked for"
    );
}

#[test]
fn paths_that_packages_provide_by_name_count() {
    let all = [
        package("p", "1-1", &["P: /bin/sh"]),
        package("q", "1-1", &["R: /bin/sh"]),
        package("r", "1-1", &["P: /usr/sbin/sendmail", "F: /usr/bin/sendmail"]),
        package("s", "1-1", &["R: /usr/sbin/sendmail"]),
        package("t", "1-1", &["R: /usr/bin/sh"]),
    ];
    assert_eq!(names(&["q"], &all), ["p-1-1", "q-1-1"]);
    assert_eq!(names(&["s"], &all), ["r-1-1", "s-1-1"]);
    assert_eq!(names(&["t"], &all), ["p-1-1", "t-1-1"]);
}

#[test]
fn nothing_needless_is_installed() {
    let all = [
        package("a", "1-1", &["R: v", "R: m"]),
        package("b", "1-1", &["P: v", "R: b2"]),
        package("z", "1-1", &["P: v"]),
        package("b2", "1-1", &[]),
        package("m", "1-1", &["R: z"]),
        package("m", "2-1", &["R: z"]),
    ];
    assert_eq!(names(&["a"], &all), ["a-1-1", "m-2-1", "z-1-1"]);
}

#[test]
fn providers_have_an_order() {
    let mut all = vec![
        package("b", "1-1", &["P: mta = 1"]),
        package("c", "1-1", &["P: mta = 1"]),
    ];
    assert_eq!(names(&["mta"], &all), ["b-1-1"], "by name");
    all.push(package("d", "1-1", &["P: mta = 2"]));
    assert_eq!(names(&["mta"], &all), ["d-1-1"], "a higher version");
    all.push(package("mta", "0.1-1", &[]));
    assert_eq!(names(&["mta"], &all), ["mta-0.1-1"], "the name itself");
    all.push(package("e", "1-1", &["P: mta", "O: mta"]));
    assert_eq!(names(&["mta"], &all), ["d-1-1"], "not what another replaces");
}

/// A package in several versions has the version in its name, provides the name without it, and conflicts with it.
#[test]
fn a_versioned_name_takes_the_place_of_the_plain_one() {
    let kubelet = |minor: &str, version: &str| {
        let provides = format!("P: kubelet = {version}");
        package(&format!("kubelet{minor}"), version, &[&provides, "C: kubelet"])
    };
    let all = [
        package("kubernetes-node", "1-1", &["R: kubelet"]),
        package("kubelet", "1.37.2-1", &[]),
        kubelet("1.36", "1.36.3-1"),
        kubelet("1.35", "1.35.5-1"),
    ];
    assert_eq!(
        names(&["kubernetes-node"], &all),
        ["kubelet-1.37.2-1", "kubernetes-node-1-1"]
    );
    assert_eq!(
        names(&["kubernetes-node", "kubelet1.36"], &all),
        ["kubelet1.36-1.36.3-1", "kubernetes-node-1-1"]
    );
    // Who asks for the plain name has it with the other.
    assert_eq!(names(&["kubelet1.36", "kubelet"], &all), ["kubelet1.36-1.36.3-1"]);
    let said = error(&["kubelet1.36", "kubelet1.35"], &all).to_string();
    assert!(said.contains("kubelet1.36"), "{said}");
}

#[test]
fn what_is_replaced_gives_way_when_it_is_asked_for_by_name() {
    let all = [
        package("x", "1-1", &[]),
        package("y", "1-1", &[]),
        package("y", "2-1", &["O: x"]),
        package("new", "1-1", &["O: old < 3"]),
    ];
    assert_eq!(names(&["x", "y"], &all), ["y-2-1"]);
    assert_eq!(names(&["old"], &all), ["new-1-1"]);
}

#[test]
fn epochs_tildes_and_carets_count() {
    let all = [
        package("a", "1.0~rc1-1", &[]),
        package("b", "1:1.0-1", &[]),
        package("c", "1.0^git1-1", &[]),
    ];
    for (request, is_there) in [
        ("a >= 1.0", false),
        ("a < 1.0", true),
        ("b = 1.0", false),
        ("b = 1:1.0", true),
        ("b > 99", true),
        ("c > 1.0", true),
        ("c < 1.0.1", true),
    ] {
        let index: PackageIndex<&Package> = all.iter().collect();
        assert_eq!(
            index.install(&[request.to_owned()], |_| true).is_ok(),
            is_there,
            "{request}"
        );
    }
}

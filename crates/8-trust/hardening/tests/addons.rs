//! The table of add-ons, compared with the kernel's fragments and with the page about it.
//!
//! A fragment lists options that are asked for; kernel.spec fails the build when one of them does not come out as it
//! is written. Options that other options select are in no fragment. Those can only be seen in the configuration of a
//! built kernel, which `tests/trust/addons.rs` compares.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use basalt_hardening::{AddOn, AddOnTable, DeclineKind, Kconfig, Need, OptionState};
use basalt_release::Arch;

const PAGE: &str = "docs/node/add-ons.md";
const BEGIN: &str = "<!-- tables: begin. Generated from distro/kernel-requirements.toml. -->\n";
const END: &str = "<!-- tables: end -->";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn table() -> AddOnTable {
    let path = "distro/kernel-requirements.toml";
    AddOnTable::parse(path, &read(path)).unwrap_or_else(|problems| panic!("{}", problems.brief()))
}

/// Options that the fragments of an architecture ask for, in the order in which kernel.spec reads the fragments.
fn fragments(arch: Arch) -> Kconfig {
    let spec = read("distro/packages/kernel/kernel.spec");
    let list = spec.lines().find_map(|line| line.strip_prefix("fragments='"));
    let list = list.expect("kernel.spec lists its fragments").trim_end_matches('\'');
    let mut text = String::new();
    for name in list.replace("%{_target_cpu}", arch.name()).split_whitespace() {
        for line in read(&format!("distro/packages/kernel/{name}.config")).lines() {
            // As kernel.spec does it: a fragment has comments behind options, which a `.config` has not.
            let option = line.split_once('#').map_or(line, |(option, _)| option);
            text += option.trim_end();
            text.push('\n');
        }
    }
    Kconfig::parse(&text)
}

/// Options of the table that no fragment of an architecture names.
fn unnamed(table: &AddOnTable, fragments: &Kconfig, arch: Arch) -> BTreeSet<String> {
    let requested = table.addons.iter().flat_map(|addon| addon.options_on(arch));
    requested
        .map(|requested| requested.option.clone())
        .filter(|option| fragments.state(option) == OptionState::Absent)
        .collect()
}

#[test]
fn no_fragment_contradicts_the_table() {
    let table = table();
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let fragments = fragments(arch);
        assert_eq!(fragments.arch(), Some(arch), "the fragments of {arch} are read");
        for addon in &table.addons {
            for requested in addon.options_on(arch) {
                let state = fragments.state(&requested.option);
                assert!(
                    state != OptionState::Off,
                    "{} asks for {}, which a fragment of {arch} turns off",
                    addon.name,
                    requested.option
                );
            }
        }
        for declined in &table.declined {
            assert!(
                !fragments.state(&declined.option).is_on(),
                "{} is {} in the table, and a fragment of {arch} turns it on",
                declined.option,
                declined.kind.name()
            );
        }
    }
}

#[test]
fn options_that_no_fragment_names_are_listed() {
    let table = table();
    let [x86_64, aarch64] = [Arch::X86_64, Arch::Aarch64].map(|arch| unnamed(&table, &fragments(arch), arch));
    let mut list = String::new();
    for option in x86_64.union(&aarch64) {
        let only = match (x86_64.contains(option), aarch64.contains(option)) {
            (true, true) => "",
            (true, false) => " (x86_64)",
            _ => " (aarch64)",
        };
        let _ = writeln!(list, "{option}{only}");
    }
    insta::assert_snapshot!(list);
}

#[test]
fn the_page_has_the_table() {
    let path = root().join(PAGE);
    let page = read(PAGE);
    let (before, rest) = page.split_once(BEGIN).expect("the page has a place for the tables");
    let (_, after) = rest.split_once(END).expect("the place ends");
    let current = format!("{before}{BEGIN}{}{END}{after}", tables(&table()));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &current).expect("written");
        return;
    }
    assert!(
        page == current,
        "{PAGE} is out of date: run the tests of basalt-hardening with UPDATE_DOCS=1"
    );
}

/// Tables of the page, in Markdown.
fn tables(table: &AddOnTable) -> String {
    let mut text =
        String::from("\n## Add-ons\n\n| add-on | required | optional | off |\n| --- | ---: | ---: | --- |\n");
    for addon in &table.addons {
        let _ = writeln!(
            text,
            "| [{}]({}) | {} | {} | {} |",
            addon.name,
            addon.source,
            count(addon, Need::Required),
            count(addon, Need::Optional),
            off(table, addon)
        );
    }
    for (title, kind) in [
        ("Refused", DeclineKind::Refused),
        (
            "Pending: on with the next change of the configuration",
            DeclineKind::Pending,
        ),
        ("Names that Linux 6.12 does not have", DeclineKind::Obsolete),
    ] {
        let _ = write!(
            text,
            "\n## {title}\n\n| option | documented by | reason |\n| --- | --- | --- |\n"
        );
        for declined in table.declined.iter().filter(|declined| declined.kind == kind) {
            let addons: Vec<&str> = table.declined_by(&declined.option).collect();
            let _ = writeln!(
                text,
                "| `{}` | {} | {} |",
                short(&declined.option),
                addons.join("; "),
                declined.reason
            );
        }
    }
    text.push('\n');
    text
}

fn count(addon: &AddOn, need: Need) -> usize {
    addon.options.iter().filter(|option| option.need == need).count()
}

/// Options that an add-on would use and that are off.
fn off(table: &AddOnTable, addon: &AddOn) -> String {
    let declined = addon.declined.iter().filter_map(|option| table.declined(option));
    let names = declined.filter_map(|declined| match declined.kind {
        DeclineKind::Refused => Some(format!("`{}`", short(&declined.option))),
        DeclineKind::Pending => Some(format!("`{}` (pending)", short(&declined.option))),
        DeclineKind::Obsolete => None,
    });
    names.collect::<Vec<_>>().join(", ")
}

fn short(option: &str) -> &str {
    option.strip_prefix("CONFIG_").unwrap_or(option)
}

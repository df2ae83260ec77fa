//! Secrets of hosts: what may be one is not in an inventory, wherever on the host it stands.

#![cfg(test)]

mod tree;

use basalt_inventory::read;
use proptest::prelude::*;
use proptest::sample::Index;

use tree::unpacked;

/// Host with a secret in every place that a reader comes by: each is a word that begins with `SEKRIT`.
const SECRETS: &str = include_str!("hosts/secrets.txt");
const HOSTS: [&str; 3] = [
    include_str!("hosts/ubuntu-kubeadm.txt"),
    include_str!("hosts/debian.txt"),
    include_str!("hosts/gpu-proxy.txt"),
];
/// Ends of lines, with a secret.
const ENDS: [&str; 9] = [
    " password=MARK",
    ",password=MARK",
    ";password=MARK",
    " --token MARK",
    " --token=MARK",
    " token: MARK",
    " u:MARK@x",
    ",u:MARK@x",
    " https://u:MARK@x/y?token=MARK",
];
/// Lines with a secret; the last three are what is left of broken ones.
const LINES: [&str; 5] = ["password=MARK", "password: MARK", "u:MARK@x", "MARK=", "MARK"];

/// Returns `true` if the inventory of a tree has a word, in any case of its letters.
fn shows(tree: &str, word: &str) -> bool {
    let json = read(unpacked(tree).path()).to_json();
    json.to_lowercase().contains(&word.to_lowercase())
}

#[test]
fn no_reader_keeps_a_secret() {
    assert!(SECRETS.matches("SEKRIT").count() > 150, "the fixture has secrets");
    let json = read(unpacked(SECRETS).path()).to_json();
    let kept: Vec<&str> = json
        .lines()
        .filter(|line| line.to_lowercase().contains("sekrit"))
        .collect();
    assert!(kept.is_empty(), "{}", kept.join("\n"));
    // It has been read.
    for part in [
        "/usr/bin/restic",
        "proxy:3128",
        "azure-client-secret",
        "wpa-psk",
        "10.0.0.2/24",
    ] {
        assert!(json.contains(part), "{part}");
    }
}

/// Text of a tree with a secret in one line of its files.
fn with_secret(tree: &str, at: &Index, form: usize, mark: &str) -> String {
    let lines: Vec<&str> = tree.lines().collect();
    let is_head = |line: &str| line.starts_with("-- ") && line.ends_with(" --");
    let content: Vec<usize> = (0..lines.len()).filter(|number| !is_head(lines[*number])).collect();
    let chosen = content[at.index(content.len())];
    let head = lines[..chosen].iter().rev().find(|line| is_head(line)).expect("a head");
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        text += line;
        if number == chosen {
            match ENDS.get(form) {
                Some(end) => text += &end.replace("MARK", mark),
                // Names of modules, and texts of YAML that go on in the next line, are words without more.
                None if head.contains("modules") || head.contains(".yaml") => {}
                None => text += &format!("\n{}", LINES[form - ENDS.len()].replace("MARK", mark)),
            }
        }
        text.push('\n');
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_line_gives_a_secret_away(
        host in prop::sample::select(HOSTS.to_vec()),
        at in any::<Index>(),
        form in 0..ENDS.len() + LINES.len(),
        mark in "[a-z]{4}[A-Za-z0-9]{8,16}",
    ) {
        let tree = with_secret(host, &at, form, &mark);
        prop_assert!(!shows(&tree, &mark), "{}", mark);
    }
}

//! `basalt-node check`, as a person sees it.

#![cfg(test)]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

fn example() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../distro/examples/node.yaml")
}

fn basalt_node(arguments: &[&str], input: &str) -> Output {
    #[expect(
        clippy::disallowed_methods,
        reason = "the agent's crate stands apart from the toolkit's"
    )]
    let mut command = Command::new(env!("CARGO_BIN_EXE_basalt-node"));
    command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A wrong call is answered before the input is read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn shown(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!(
        "exit code {}\n--- output\n{out}--- errors\n{err}",
        output.status.code().unwrap()
    )
}

#[test]
fn a_right_one() {
    let text = fs_err::read_to_string(example()).unwrap();
    insta::assert_snapshot!(shown(&basalt_node(&["check", "-"], &text)));
    assert!(
        basalt_node(&["check", example().to_str().unwrap()], "")
            .status
            .success()
    );
}

#[test]
fn a_wrong_one() {
    let text = fs_err::read_to_string(example()).unwrap();
    let text = text
        .replace("abcdef.0123456789abcdef\n", "abcdef.0123\n")
        .replace("https://10.87.0.1:6443", "10.87.0.1:6443")
        .replace("maxPods: 110", "maxPods: \"110\"")
        .replace("labels:", "lables:");
    insta::assert_snapshot!(shown(&basalt_node(&["check", "-"], &text)));
}

#[test]
fn one_that_is_not_there() {
    insta::assert_snapshot!(shown(&basalt_node(&["check", "/nowhere/node.yaml"], "")));
}

#[test]
fn wrong_usage() {
    let output = basalt_node(&["chekc"], "");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("basalt-node check FILE"));
}

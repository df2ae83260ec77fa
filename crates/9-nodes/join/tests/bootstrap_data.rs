//! Golden files of bootstrap data, compared with what Cluster API's own generator writes now.

#![cfg(test)]

use std::path::Path;
use std::process::Command;

/// Set by `./basalt test --long`.
const LONG: &str = "BASALT_TEST_LONG";

#[test]
fn golden_files_are_those_of_the_generator() {
    if std::env::var_os(LONG).is_none() {
        basalt_test_output::skip_this("`./basalt test --long` compiles the generator, which takes a minute");
        return;
    }
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let go = |arguments: &[&str]| go(&tests.join("oracle/bootstrap-data"), arguments);
    if let Err(why) = go(&["version"]).and_then(|()| go(&["mod", "download"])) {
        basalt_test_output::skip_this(format!("no Go, or no modules: {why}"));
        return;
    }
    let written = tempfile::tempdir().unwrap();
    go(&["run", ".", written.path().to_str().unwrap()]).unwrap();
    let golden = tests.join("bootstrap-data");
    let files = |folder: &Path| {
        let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let mut files: Vec<_> = entries
            .map(|entry| (entry.file_name(), fs_err::read_to_string(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let (written, golden) = (files(written.path()), files(&golden));
    let names = |files: &[(std::ffi::OsString, String)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&written), names(&golden));
    for ((name, text), (_, golden)) in written.iter().zip(&golden) {
        assert!(
            text == golden,
            "{name:?} is another one: run the generator as its head says, and look at what changed"
        );
    }
}

/// Runs the go command in the generator's folder. Its standard error is the error.
#[expect(clippy::disallowed_methods, reason = "this crate does without basalt-process")]
fn go(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let mut command = Command::new("go");
    command.args(arguments).current_dir(folder);
    for (name, value) in [
        ("GOFLAGS", "-mod=readonly"),
        ("GOTOOLCHAIN", "local"),
        ("GOWORK", "off"),
    ] {
        command.env(name, value);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

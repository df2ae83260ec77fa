use std::cell::Cell;

use super::*;

/// Writes a tar archive of three folders with a file in each.
fn tarball(folder: &Utf8Path) -> Utf8PathBuf {
    let path = folder.join("tree.tar");
    let mut builder = tar::Builder::new(fs_err::File::create(&path).expect("created"));
    for name in ["./a", "./b", "./dev"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o555);
        header.set_size(0);
        builder
            .append_data(&mut header, format!("{name}/"), std::io::empty())
            .expect("appended");
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(4);
        builder
            .append_data(&mut header, format!("{name}/file"), "text".as_bytes())
            .expect("appended");
    }
    builder.finish().expect("finished");
    path
}

#[test]
fn folders_may_be_read_only_and_devices_are_left_out() {
    use std::os::unix::fs::PermissionsExt as _;
    let guard = tempfile::tempdir().expect("a folder");
    let folder = Utf8Path::from_path(guard.path()).expect("UTF-8");
    let tree = folder.join("tree");
    fs_err::create_dir(&tree).expect("made");
    unpack(&tarball(folder), &tree, || Ok(())).expect("unpacks");
    for name in ["a", "b"] {
        let metadata = fs_err::metadata(tree.join(name)).expect("is there");
        assert_eq!(metadata.permissions().mode() & 0o777, 0o755);
        assert_eq!(fs_err::read(tree.join(name).join("file")).expect("read"), b"text");
    }
    assert!(tree.join("dev").is_dir() && !tree.join("dev/file").exists());
}

#[test]
fn an_interruption_ends_unpacking_at_the_next_entry() {
    let guard = tempfile::tempdir().expect("a folder");
    let folder = Utf8Path::from_path(guard.path()).expect("UTF-8");
    let tree = folder.join("tree");
    fs_err::create_dir(&tree).expect("made");
    let asked = Cell::new(0);
    let check = || {
        asked.set(asked.get() + 1);
        if asked.get() > 2 {
            return Err(ProcessError::Interrupted);
        }
        Ok(())
    };
    let error = unpack(&tarball(folder), &tree, check).expect_err("interrupted");
    assert!(
        matches!(error, SdkError::Process(ProcessError::Interrupted)),
        "{error:?}"
    );
    assert!(tree.join("a/file").exists() && !tree.join("b").exists());
}

/// /tmp may be small, or mounted with `noexec`: mmdebstrap and dpkg unpack into the folder of temporary files, and run scripts
/// there.
#[test]
fn temporary_files_of_mmdebstrap_are_in_the_workspace() {
    use std::os::unix::fs::PermissionsExt as _;
    let guard = tempfile::tempdir().expect("a folder");
    let folder = Utf8Path::from_path(guard.path()).expect("UTF-8");
    let workspace = folder.join("a store/tmp/1");
    let (repository, scratch) = (workspace.join("repository"), workspace.join("scratch"));
    let bin = folder.join("bin");
    for folder in [&repository, &scratch, &bin] {
        fs_err::create_dir_all(folder).expect("made");
    }
    // In the place of mmdebstrap: it writes a script, has it run, and so says how it was called.
    let program = bin.join("mmdebstrap");
    let script = "#!/bin/sh\necho 'echo \"$*\"' >\"$TMPDIR/script\" && sh \"$TMPDIR/script\" \"$TMPDIR\" \"$@\"\n";
    fs_err::write(&program, script).expect("written");
    fs_err::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("set");
    let lock = crate::sdk_lock::SdkLock {
        suite: "trixie".to_owned(),
        packages: Vec::new(),
    };
    let command = crate::installation::mmdebstrap(&lock, &repository, &workspace.join("sdk.tar"), []);
    if !command.pasteable().contains("--mode=root") {
        basalt_test_output::skip_this("no namespace with mounts can be made here");
        return;
    }
    let path = std::env::var("PATH").expect("a PATH");
    // The folder of this process is not the one that counts.
    let command = command.env("PATH", format!("{bin}:{path}")).env("TMPDIR", "/nowhere");
    let said = command.output().unwrap_or_else(|error| panic!("{error}")).text();
    assert!(said.contains("/scratch --mode=root "), "{said}");
    assert!(scratch.join("script").is_file(), "{said}");
}

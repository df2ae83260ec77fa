//! Check that errors about a file name its path once: an error of ours that names it does not have one of `fs_err`, which
//! does so, too, as its source.

#![cfg(test)]

use std::time::Duration;

use basalt_archive::Policy;
use basalt_cache::{SecretKey, TrustedKeys};
use basalt_migrate::drain::DrainPolicy;
use basalt_migrate::facts::ReplacementOrder;
use basalt_migrate::{
    ClusterConnection, MachineRetirement, MigrationOptions, NodeSelection, ReplacementSource, plan_migration,
};
use basalt_preflight::{ApiConnection, FileSource, NodeFacts, ObjectSource as _};
use basalt_process::chain;
use basalt_release::Arch;
use basalt_store::Store;
use camino::{Utf8Path, Utf8PathBuf};

/// Error of an operation on a path that cannot be used, with its causes.
fn shown<T>(outcome: Result<T, impl std::error::Error>) -> String {
    chain(&outcome.err().expect("an error"))
}

/// Path below a file, which can be neither read nor made.
fn unusable(folder: &tempfile::TempDir) -> Utf8PathBuf {
    let file = Utf8PathBuf::from_path_buf(folder.path().join("file")).expect("UTF-8");
    fs_err::write(&file, "").expect("written");
    file.join("below")
}

fn connection(kubeconfig: &Utf8Path) -> ClusterConnection {
    ClusterConnection {
        kubeconfig: Some(kubeconfig.into()),
        context: None,
    }
}

fn migration() -> MigrationOptions {
    MigrationOptions {
        nodes: NodeSelection::default(),
        replacement: ReplacementSource::ByHand,
        order: ReplacementOrder::BeforeEviction,
        replacement_selector: None,
        drain: DrainPolicy::default(),
        at_once: 1,
        deadline: Duration::from_secs(1),
        soak: Duration::from_secs(1),
        undo_on_stop: true,
        namespace: "kube-system".to_owned(),
        probe_image: "pause".to_owned(),
        retirement: MachineRetirement::Keep,
        delete_node_objects: false,
        management: None,
    }
}

fn archive() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    archive
        .append_data(&mut header, "folder", std::io::empty())
        .expect("added");
    archive.into_inner().expect("finished")
}

#[test]
fn a_path_is_named_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = unusable(&folder);
    let path: &Utf8Path = &path;
    let store = Utf8PathBuf::from_path_buf(folder.path().join("store")).expect("UTF-8");
    let store = Store::open(&store).expect("opens");
    let errors = [
        shown(basalt_store::write::atomically(path, "")),
        shown(basalt_sdk::SdkTree::find(&store, path)),
        shown(SecretKey::load(path)),
        shown(TrustedKeys::load(path)),
        shown(basalt_rpm::read_package(path)),
        shown(basalt_rpm::unpack(path, path)),
        shown(basalt_repodata::read(path)),
        shown(basalt_archive::extract(&archive()[..], "a.tar", path, Policy::source())),
        shown(basalt_oci::find(&format!("{path}.tar"), None, path, Arch::X86_64)),
        shown(NodeFacts::read(path)),
        shown(ApiConnection::open(path, None)),
        shown(FileSource::new(vec![path.to_owned()], std::io::empty()).read()),
        shown(plan_migration(&connection(path), &migration())),
    ];
    for error in errors {
        assert_eq!(error.matches(path.as_str()).count(), 1, "{error}");
        assert!(error.contains("(os error "), "{error}");
    }
}

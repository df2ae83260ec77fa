//! `basalt load`: container images for the running cluster.

use std::process::ExitCode;

use basalt_cluster::{LocalCluster, registry};
use basalt_oci::{ContainerImage, ImageReference, RegistryClient};
use basalt_progress::{Outcome, Unit};
use basalt_release::Arch;
use basalt_store::Workspace;
use miette::{IntoDiagnostic as _, Result, miette};
use serde::Serialize;

use super::{answer, answer_json, human};
use crate::arguments::cluster::Load;
use crate::checkout::Checkout;
use crate::table::Table;

/// Images that were read and checked.
pub(super) struct Images {
    images: Vec<ContainerImage>,
    /// Folder with unpacked archives.
    _workspace: Workspace,
}

/// Image in the cluster's registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoadedImage {
    /// Name of the image, as pods use it.
    name: String,
    /// Digest of the manifest: `sha256:...`.
    digest: String,
    /// Size of configuration and layers, in bytes.
    bytes: u64,
}

/// Loads images into the running cluster, and lists them.
pub fn run(checkout: &Checkout, options: &Load, json: bool) -> Result<ExitCode> {
    let cluster = LocalCluster::open(checkout.cluster_state())?;
    // Asked first: without a cluster, nothing has to be unpacked.
    cluster.registry()?;
    let images = read(checkout, options)?;
    let loaded = push(checkout, &cluster, &images)?;
    if json {
        answer_json(&serde_json::json!({ "images": loaded }));
    } else {
        show(&loaded);
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads images and checks them; the first problem of any is an error.
pub(super) fn read(checkout: &Checkout, options: &Load) -> Result<Images> {
    let name = options
        .name
        .as_ref()
        .map(|name| name.parse::<ImageReference>())
        .transpose()?;
    let workspace = checkout.store.workspace()?;
    let mut images = Vec::new();
    let total = u64::try_from(options.images.len()).ok();
    let task = checkout.reporter().task("reading images", Unit::Items, total);
    for (number, word) in options.images.iter().enumerate() {
        task.detail(word);
        let scratch = workspace.path().join(number.to_string());
        fs_err::create_dir(&scratch).into_diagnostic()?;
        let found = basalt_oci::find(word, options.from, &scratch, Arch::X86_64)?;
        images.extend(found.into_iter().map(|image| (word.clone(), image)));
        task.advance(1);
    }
    task.finish(Outcome::Done);
    if let Some(name) = name {
        let [(_, image)] = &mut images[..] else {
            return Err(miette!(
                code = "load::name",
                help = "leave --name out, or load one image at a time",
                "--name is for one image, and these are {}",
                images.len()
            ));
        };
        image.names = vec![name];
    }
    if let Some((word, _)) = images.iter().find(|(_, image)| image.names.is_empty()) {
        return Err(basalt_oci::OciError::Nameless { place: word.clone() }.into());
    }
    Ok(Images {
        images: images.into_iter().map(|(_, image)| image).collect(),
        _workspace: workspace,
    })
}

/// Pushes images to the registry of the running cluster, under each of their names.
pub(super) fn push(checkout: &Checkout, cluster: &LocalCluster, images: &Images) -> Result<Vec<LoadedImage>> {
    // Checked for all before anything is pushed.
    for name in images.images.iter().flat_map(|image| &image.names) {
        refuse_own(cluster, name)?;
    }
    let client = RegistryClient::new(cluster.registry()?);
    let sizes = images
        .images
        .iter()
        .map(|image| image.size() * image.names.len() as u64);
    let task = checkout
        .reporter()
        .task("loading images", Unit::Bytes, Some(sizes.sum()));
    let mut loaded = Vec::new();
    for image in &images.images {
        for name in &image.names {
            task.detail(&name.to_string());
            let repository = registry::repository(&name.host, &name.path);
            client.push(image, &repository, &name.tag, &*task)?;
            loaded.push(LoadedImage {
                name: name.to_string(),
                digest: format!("sha256:{}", image.manifest.digest),
                bytes: image.size(),
            });
        }
    }
    task.finish(Outcome::Done);
    Ok(loaded)
}

/// Refuses the name of an image that the cluster's own pods run: `localhost/coredns:1.15.0` of podman is the same
/// repository.
fn refuse_own(cluster: &LocalCluster, name: &ImageReference) -> Result<()> {
    let repository = registry::repository(&name.host, &name.path);
    if !cluster.runs_image(&repository, &name.tag)? {
        return Ok(());
    }
    Err(miette!(
        code = "load::own",
        help = "load it under another name (--name) or with another tag",
        "`{name}` is the name of an image that the cluster itself runs"
    ))
}

/// Prints loaded images for people.
pub(super) fn show(loaded: &[LoadedImage]) {
    let mut table = Table::new(["image", "digest", "size"]);
    for image in loaded {
        table.row([image.name.clone(), image.digest.clone(), human(image.bytes)]);
    }
    answer(table);
}

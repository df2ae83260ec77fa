//! Images, nodes and credentials that users bring to the cluster, and what its API server reaches.

use std::time::Duration;

use basalt_test_environment::{Failed, ensure, has_all, is_long, until};
use camino::Utf8PathBuf;

use crate::fixture::Fixture;

/// Time-out of operations that need no boot.
const SOON: Duration = Duration::from_secs(120);
/// Time-out of a boot until the node is Ready, on a busy machine without KVM.
const BOOT: Duration = Duration::from_secs(900);

/// Folder of an OCI layout: the web server's image.
fn layout(fixture: &Fixture) -> Result<Utf8PathBuf, Failed> {
    let built = fixture.cli.json(&["build", "basalt-web"], BOOT, 0)?;
    let folder = built["images"][0]["folder"].as_str();
    Ok(folder.ok_or_else(|| format!("no folder: {built:#}"))?.into())
}

/// Archive of that image, with a name in it as containerd and docker write it.
fn archive(fixture: &Fixture, name: &str) -> Result<Utf8PathBuf, Failed> {
    let folder = layout(fixture)?;
    let mut index: serde_json::Value = serde_json::from_slice(&fs_err::read(folder.join("index.json"))?)?;
    index["manifests"][0]["annotations"] = serde_json::json!({ "io.containerd.image.name": name });
    let index = index.to_string();
    let path = fixture.folder().join("web.tar");
    let mut tar = tar::Builder::new(fs_err::File::create(&path)?);
    tar.append_dir_all("blobs", folder.join("blobs"))?;
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(index.len())?);
    header.set_mode(0o644);
    tar.append_data(&mut header, "index.json", index.as_bytes())?;
    tar.finish()?;
    Ok(path)
}

/// Runs a pod of an image, asks its web server through the API server, and removes it.
fn answers(fixture: &Fixture, pod: &str, image: &str) -> Result<(), Failed> {
    let image = format!("--image={image}");
    fixture.kubectl(&["run", pod, &image, "--image-pull-policy=Always", "--port=8080"])?;
    fixture.kubectl(&["wait", "--for=condition=Ready", "--timeout=100s", &format!("pod/{pod}")])?;
    let path = format!("/api/v1/namespaces/default/pods/{pod}:8080/proxy/");
    // A pod without a readiness probe is Ready as soon as its process runs, which may not listen yet.
    until("its web server answers", SOON, || {
        let answer = fixture.kubectl(&["get", "--raw", &path]);
        answer.is_ok_and(|answer| answer.contains("Hello from Basalt Linux"))
    })?;
    fixture.kubectl(&["delete", "pod", pod, "--now"]).map(drop)
}

pub fn a_loaded_image_runs_under_the_name_of_its_upstream(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let folder = layout(fixture)?;
    // The layout has no name of its own.
    let nameless = fixture.cli.run(&["load", folder.as_str()], SOON)?.ended_with(1)?;
    has_all(&nameless.stderr, &["has no name", "--name"])?;
    // Both upload the same blobs.
    let other = fixture.cli.start(&["load", "--name", "parallel:1", folder.as_str()])?;
    let words = ["load", "--name", "loaded:1", folder.as_str()];
    let loaded = fixture.cli.run(&words, SOON)?.ended_with(0)?;
    has_all(&loaded.stdout, &["docker.io/library/loaded:1", "sha256:"])?;
    other.wait(SOON)?.ended_with(0)?;
    // The name of an image that the cluster's own pods run.
    let path = "-o=jsonpath={.spec.template.spec.containers[0].image}";
    let own = fixture.kubectl(&["get", "deployment", "web", path])?;
    let words = ["load", "--name", own.trim(), folder.as_str()];
    let refused = fixture.cli.run(&words, SOON)?.ended_with(1)?;
    has_all(&refused.stderr, &["the cluster itself runs"])?;
    answers(fixture, "loaded", "docker.io/library/loaded:1")?;
    // An image of the same path at another registry is another image.
    fixture.kubectl(&["run", "other", "--image=quay.io/library/loaded:1"])?;
    until("the pull fails", SOON, || {
        let pod = fixture
            .kubectl(&["get", "pod", "other", "-o", "json"])
            .unwrap_or_default();
        pod.contains("ErrImagePull") || pod.contains("ImagePullBackOff")
    })?;
    fixture.kubectl(&["delete", "pod", "other", "--now"]).map(drop)
}

pub fn an_archive_that_was_changed_is_refused(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let path = archive(fixture, "docker.io/library/changed:1")?;
    let mut content = fs_err::read(&path)?;
    // In the middle of the largest blob: the layer.
    let middle = content.len() / 2;
    content[middle] ^= 1;
    fs_err::write(&path, content)?;
    let refused = fixture.cli.run(&["load", path.as_str()], SOON)?.ended_with(1)?;
    has_all(&refused.stderr, &["web.tar", "blobs/sha256/", "has the digest sha256:"])
}

/// Leaves the cluster to the test cases with two nodes.
pub fn up_takes_a_node_config_and_images(fixture: &Fixture) -> Result<(), Failed> {
    let config = fixture.folder().join("all.yaml");
    let text = "apiVersion: basalt.dev/v1\nkind: NodeConfig\nhostname: a\n";
    fs_err::write(&config, text)?;
    let wrong = ["up", "--config", config.as_str()];
    let wrong = fixture.cli.run(&wrong, SOON)?.ended_with(1)?;
    has_all(
        &wrong.stderr,
        &["label at line 3", "gives this to each", "all.yaml: 1 error"],
    )?;
    if !is_long() {
        let name = "up_takes_a_node_config_and_images";
        basalt_test_output::skip(name, "a cluster of two more nodes, only in `test --long`");
        return Ok(());
    }
    fs_err::write(&config, text.replace("hostname: a", "labels: {example.org/zone: z}"))?;
    let image = archive(fixture, "registry.example/web:2")?;
    let disk = ["--disk", "6144"];
    let options = [&disk[..], &["--config", config.as_str(), "--load", image.as_str()]].concat();
    let report = fixture.up_with(2, &options)?;
    let loaded = &report["loaded"][0]["name"];
    ensure(loaded == "registry.example/web:2", || format!("{report:#}"))?;
    let labelled = fixture.kubectl(&["get", "nodes", "-l", "example.org/zone=z", "-o", "name"])?;
    has_all(&labelled, &["node/node-1", "node/node-2"])?;
    answers(fixture, "web-2", "registry.example/web:2")?;
    fixture.down().map(drop)
}

pub fn an_added_node_comes_back_after_a_power_cut(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let node = |words: &[&str]| fixture.cli.run(&[&["node"], words].concat(), BOOT)?.ended_with(0);
    has_all(&fixture.add_node()?.stdout, &["node-2 is Ready"])?;
    let boot = || {
        let path = "-o=jsonpath={.status.nodeInfo.bootID}";
        fixture.kubectl(&["get", "node", "node-2", path])
    };
    let mut before = boot()?;
    if is_long() {
        has_all(&node(&["reboot", "node-2"])?.stdout, &["node-2 is Ready"])?;
        let after = boot()?;
        ensure(before != after, || format!("one boot: {before}"))?;
        before = after;
    }
    node(&["cut-power", "node-2"])?;
    has_all(&node(&["list"])?.stdout, &["node-1", "node-2", "off"])?;
    // The disk is the one of before: the node comes back under its own certificate.
    has_all(&node(&["reboot", "node-2"])?.stdout, &["node-2 is Ready"])?;
    let after = boot()?;
    ensure(before != after, || format!("one boot: {before}"))
}

pub fn a_node_is_removed(fixture: &Fixture) -> Result<(), Failed> {
    fixture.two_nodes()?;
    fixture.remove_node()?;
    let names = fixture.kubectl(&["get", "nodes", "-o", "name"])?;
    ensure(!names.contains("node-2"), || names.clone())?;
    let unknown = fixture.cli.run(&["node", "reboot", "node-2"], SOON)?.ended_with(1)?;
    has_all(&unknown.stderr, &["no node `node-2`", "node-1"])
}

pub fn the_kubeconfig_is_merged(fixture: &Fixture) -> Result<(), Failed> {
    fixture.up(1)?;
    let path = fixture.folder().join("config");
    let other = r#"{"apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "other", "cluster": {"server": "https://192.0.2.1"}}],
        "users": [{"name": "admin", "user": {"token": "t"}}],
        "contexts": [{"name": "other", "context": {"cluster": "other", "user": "admin"}}],
        "current-context": "other"}"#;
    fs_err::write(&path, other)?;
    let cli = fixture.cli.clone().env("KUBECONFIG", path.as_str());
    cli.run(&["kubeconfig", "--merge"], SOON)?.ended_with(0)?;
    // A second time changes nothing.
    let once = fs_err::read_to_string(&path)?;
    cli.run(&["kubeconfig", "--merge"], SOON)?.ended_with(0)?;
    let twice = fs_err::read_to_string(&path)?;
    ensure(once == twice, || format!("{once}\n{twice}"))?;
    let words = [
        "current-context: basalt",
        "name: other",
        "https://192.0.2.1",
        "token: t",
        "basalt-admin",
    ];
    has_all(&once, &words)?;
    let own = cli.run(&["kubeconfig"], SOON)?.ended_with(0)?;
    has_all(&own.stdout, &["\"current-context\": \"basalt\"", "client-key-data"])
}

pub fn the_api_server_reaches_pods_of_every_node(fixture: &Fixture) -> Result<(), Failed> {
    fixture.two_nodes()?;
    let pods = fixture.web_pods()?;
    ensure(pods.len() == 2, || format!("{pods:#?}"))?;
    let mut nodes = Vec::new();
    for pod in &pods {
        let pod = pod["metadata"]["name"].as_str().unwrap_or_default();
        let path = format!("/api/v1/namespaces/default/pods/{pod}:8080/proxy/");
        let answer = fixture.kubectl(&["get", "--raw", &path])?;
        nodes.extend(answer.lines().find(|line| line.starts_with("node ")).map(str::to_owned));
    }
    nodes.sort();
    nodes.dedup();
    ensure(nodes.len() == 2, || format!("answers of two nodes: {nodes:?}"))?;
    let service = "/api/v1/namespaces/default/services/web:80/proxy/";
    has_all(
        &fixture.kubectl(&["get", "--raw", service])?,
        &["Hello from Basalt Linux"],
    )
}

//! Pods on a node of Debian and on a node of Basalt, in one cluster.

use std::time::Duration;

use basalt_test_environment::{Failed, Started, ensure, has_all, until_every};
use serde_json::Value;

use crate::cluster::{TICK, items};
use crate::fixture::Fixture;

/// Objects of these tests.
const OBJECTS: &str = include_str!("manifests/both.yaml");
/// Name under which the image of tools is loaded.
const TOOLS: &str = "docker.io/basalt/tools:1";
/// Time-out of composing an image from packages that are built.
const COMPOSING: Duration = Duration::from_secs(900);
/// Time-out of what runs pods already.
const SOON: Duration = Duration::from_secs(300);
/// Title of the web server's page.
const PAGE: &str = "Hello from Basalt Linux";

/// Name of a pod, and of its node.
fn place(pod: &Value) -> Result<(&str, &str), Failed> {
    let (name, node) = (pod["metadata"]["name"].as_str(), pod["spec"]["nodeName"].as_str());
    Ok((name.ok_or("no name")?, node.ok_or("no node")?))
}

/// Loads the image of tools, and returns the name by which machines pull it.
pub fn load_tools(fixture: &Fixture) -> Result<String, Failed> {
    let built = fixture.cli.json(&["build", "debug"], COMPOSING, 0)?;
    let folder = built["images"][0]["folder"].as_str();
    let folder = folder.ok_or_else(|| format!("no folder: {built:#}"))?;
    let load = ["load", folder, "--name", TOOLS];
    fixture.cli.run(&load, SOON)?.ended_with(0)?;
    Ok(TOOLS.to_owned())
}

/// Applies the objects, and returns the web servers and the boxes of tools: one of each on each node.
fn pods(fixture: &Fixture) -> Result<[Vec<Value>; 2], Failed> {
    let cluster = &fixture.kubeadm;
    let own = fixture.by_command()?;
    let objects = OBJECTS.replace("IMAGE_WEB", &fixture.machines().image("basalt-web")?);
    cluster.apply(&objects.replace("IMAGE_TOOLS", fixture.tools()?))?;
    let nodes = cluster.get(&["nodes"])?;
    fixture.network.add_routes(&nodes)?;
    let nodes = items(&nodes).len();
    let found = [
        cluster.pods_ready("app=both", nodes)?,
        cluster.pods_ready("app=tools", nodes)?,
    ];
    for list in &found {
        let places = list.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let both = [cluster.node.as_str(), own].map(|node| places.iter().any(|(_, other)| *other == node));
        ensure(both == [true, true], || format!("{places:?}"))?;
    }
    Ok(found)
}

pub fn pods_of_both_systems_answer(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let [web, _] = pods(fixture)?;
    // The API server asks each pod by its own address.
    for pod in &web {
        let (name, node) = place(pod)?;
        let path = format!("/api/v1/namespaces/default/pods/{name}:8080/proxy/");
        has_all(&cluster.kubectl(&["get", "--raw", &path])?, &[name, node])?;
    }
    // All are behind the Service.
    until_every(TICK, "all answer through the Service", SOON, || {
        let slices = cluster.get(&["endpointslices", "--selector", "kubernetes.io/service-name=both"]);
        let slices = slices.unwrap_or_default();
        let endpoints = items(&slices).iter().filter_map(|slice| slice["endpoints"].as_array());
        endpoints.map(Vec::len).sum::<usize>() == web.len()
    })
}

pub fn names_and_services_lead_to_both(fixture: &Fixture) -> Result<(), Failed> {
    let [web, tools] = pods(fixture)?;
    let servers = web
        .iter()
        .map(|pod| Ok(place(pod)?.0))
        .collect::<Result<Vec<_>, Failed>>()?;
    for pod in &tools {
        let (name, node) = place(pod)?;
        // Each answer is of one of them by chance; what one pod of tools has not met after so many is not led to.
        let ask = "for n in $(seq 40); do wget -q -T 10 -O - http://both.default.svc.cluster.local/ || exit 1; done";
        let mut answers = String::new();
        until_every(TICK, &format!("the Service answers on {node}"), SOON, || {
            answers = fixture
                .kubeadm
                .kubectl(&["exec", name, "--", "sh", "-c", ask])
                .unwrap_or_default();
            !answers.is_empty()
        })?;
        has_all(&answers, &servers)?;
    }
    Ok(())
}

pub fn kubectl_works_alike_on_both(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = &fixture.kubeadm;
    let [web, tools] = pods(fixture)?;
    for pod in &tools {
        let (name, node) = place(pod)?;
        let logs = cluster.kubectl(&["logs", name])?;
        ensure(logs.trim() == "started", || format!("logs on {node}: {logs}"))?;
        let echo = ["exec", "--stdin", name, "--", "busybox", "cat"];
        let echoed = cluster.command(&echo).input("through exec\n").output();
        let echoed = echoed.map_err(basalt_test_environment::shown)?.text();
        ensure(echoed.trim_end() == "through exec", || {
            format!("exec on {node}: {echoed}")
        })?;
        // Of a pod that has just started, the kubelet has no figures yet.
        until_every(TICK, &format!("{node} measures the memory of {name}"), SOON, || {
            let summary = cluster.raw(&format!("/api/v1/nodes/{node}/proxy/stats/summary"));
            let summary = summary.unwrap_or_default();
            let pods = summary["pods"].as_array().map(Vec::as_slice).unwrap_or_default();
            let measured = pods.iter().find(|pod| pod["podRef"]["name"] == name);
            let memory = measured.and_then(|pod| pod["memory"]["workingSetBytes"].as_u64());
            memory.is_some_and(|bytes| bytes > 0)
        })?;
    }
    for pod in &web {
        let (name, node) = place(pod)?;
        let pod = format!("pod/{name}");
        let forward = Started::new(&cluster.command(&["port-forward", &pod, ":8080"]))?;
        let mut port = None;
        until_every(TICK, &format!("port-forward of {node} listens"), SOON, || {
            let text = forward.stdout_so_far();
            port = text
                .split("127.0.0.1:")
                .nth(1)
                .and_then(|rest| rest.split(' ').next()?.parse::<u16>().ok());
            port.is_some()
        })?;
        let page = ureq::get(format!("http://127.0.0.1:{}/", port.ok_or("no port")?)).call();
        let page = page.and_then(|mut answer| answer.body_mut().read_to_string());
        has_all(&page.map_err(|error| error.to_string())?, &[PAGE, name])?;
    }
    Ok(())
}

pub fn apparmor_confines_alike_on_both(fixture: &Fixture) -> Result<(), Failed> {
    let [_, tools] = pods(fixture)?;
    for pod in &tools {
        let (name, node) = place(pod)?;
        let confined = ["exec", name, "--", "busybox", "cat", "/proc/self/attr/apparmor/current"];
        let profile = fixture.kubeadm.kubectl(&confined)?;
        ensure(profile.trim_end() == "cri-containerd.apparmor.d (enforce)", || {
            format!("the profile on {node} is {profile}")
        })?;
    }
    Ok(())
}

//! Application of all rules to all objects.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use basalt_hardening::AddOnTable;

use crate::field::Field;
use crate::kustomization::ReadFiles;
use crate::place::{Place, Placed};
use crate::pod::{Container, HostPath, Pod};
use crate::rule::{PreflightRule, RuleTopic, WorkloadVerdict};
use crate::script::{Call, Variables, calls_of_command, calls_of_script};
use crate::volume::{Storage, VolumeSource};
use crate::{ManifestObject, NodeFacts, ObjectId};

/// Finding: a rule, and the place that it is about.
#[derive(Debug, Clone)]
pub struct PreflightFinding {
    /// Rule.
    pub rule: &'static PreflightRule,
    /// Index of the object among those that were examined.
    pub object: usize,
    /// Place in the object.
    pub place: Place,
    /// Fault, in one sentence without a full stop.
    pub message: String,
    /// Mend.
    pub help: String,
}

/// Findings of all objects, and what was looked at.
#[derive(Debug, Clone, Default)]
pub struct PreflightResult {
    /// Findings, in the order of the objects; per object, the worst first.
    pub findings: Vec<PreflightFinding>,
    /// Number of objects that rules looked at.
    pub examined: usize,
    /// Number of objects of kinds that no rule reads, by kind.
    pub skipped: BTreeMap<String, usize>,
    /// Number of objects from which others are made, by kind: those others were not looked at.
    pub unrendered: BTreeMap<String, usize>,
    /// Pods of other operating systems, which are left out.
    pub foreign: Vec<ObjectId>,
}

/// Kinds of objects from which others are made, in the cluster by what lies in repositories and registries, or of
/// themselves: API group and kind.
const RENDERED: [(&str, &str); 11] = [
    ("addons.cluster.x-k8s.io", "HelmChartProxy"),
    ("argoproj.io", "Application"),
    ("argoproj.io", "ApplicationSet"),
    ("core.oam.dev", "Application"),
    ("fleet.cattle.io", "Bundle"),
    ("fleet.cattle.io", "GitRepo"),
    ("helm.cattle.io", "HelmChart"),
    ("helm.crossplane.io", "Release"),
    ("helm.toolkit.fluxcd.io", "HelmRelease"),
    ("kustomize.toolkit.fluxcd.io", "Kustomization"),
    ("template.openshift.io", "Template"),
];

/// Content of an object, as far as rules read it.
pub(crate) enum Content {
    Workload(Box<Pod>),
    Storage(Storage),
    /// RuntimeClass, with its handler.
    Runtime(Placed<String>),
    /// ConfigMap: texts that may be scripts.
    Texts(Vec<(String, Placed<String>)>),
}

/// Object that rules look at.
pub(crate) struct Subject<'s> {
    pub(crate) object: &'s ManifestObject,
    content: &'s Content,
    calls: OnceCell<Vec<Call>>,
}

/// Facts that rules compare with.
pub(crate) struct Context<'c> {
    pub(crate) node: &'c NodeFacts,
    /// Kernel options that add-ons document.
    pub(crate) addons: Option<&'c AddOnTable>,
    /// Handlers of the RuntimeClasses among the objects, by name.
    pub(crate) runtimes: BTreeMap<&'c str, &'c str>,
    /// Paths, without links, that objects have the kubelet make.
    pub(crate) made: BTreeSet<String>,
}

/// Findings of one rule about one object.
pub(crate) struct Found<'f> {
    rule: &'static PreflightRule,
    object: usize,
    findings: &'f mut Vec<PreflightFinding>,
}

impl Found<'_> {
    /// Reports a place. Of places with the same message, the first one counts; of rules about one host path, the one with
    /// the worst verdict, and of those the first.
    pub(crate) fn add(&mut self, place: &Place, message: impl Into<String>, help: impl Into<String>) {
        let finding = PreflightFinding {
            rule: self.rule,
            object: self.object,
            place: place.clone(),
            message: message.into(),
            help: help.into(),
        };
        let is_same = |other: &PreflightFinding| other.rule.id == finding.rule.id && other.message == finding.message;
        let of_path = |finding: &PreflightFinding| {
            finding.rule.topic == RuleTopic::HostPaths && finding.place.path.ends_with("hostPath.path")
        };
        let is_rival = |other: &PreflightFinding| of_path(&finding) && of_path(other) && other.place == finding.place;
        if let Some(other) = self.findings.iter_mut().find(|other| is_same(other) || is_rival(other)) {
            if other.rule.verdict < finding.rule.verdict {
                *other = finding;
            }
            return;
        }
        self.findings.push(finding);
    }
}

/// Content of an object; `None` for kinds that no rule reads.
fn content(object: &ManifestObject) -> Option<Content> {
    let root = object.root();
    match object.id.kind.as_str() {
        "PersistentVolume" => Storage::of_volume(&root).map(Content::Storage),
        "StorageClass" => Some(Content::Storage(Storage::of_class(&root))),
        "RuntimeClass" => root.placed("handler").map(Content::Runtime),
        "ConfigMap" => Some(Content::Texts(texts(&root))),
        _ => Pod::find(&root).map(|pod| Content::Workload(Box::new(pod))),
    }
}

/// Returns `true` for an object that rules read.
pub(crate) fn is_read(object: &ManifestObject) -> bool {
    content(object).is_some()
}

fn texts(root: &Field<'_>) -> Vec<(String, Placed<String>)> {
    let data = root.get("data").map(|data| data.entries()).unwrap_or_default();
    let data = data.into_iter();
    data.filter_map(|(key, value)| Some((key.to_owned(), value.as_placed()?)))
        .collect()
}

/// Identities of the objects that have a template of pods, or are pods.
fn workloads<'o>(objects: &'o [ManifestObject], read: &[Option<Content>]) -> BTreeSet<&'o ObjectId> {
    let known = objects.iter().zip(read);
    let workloads = known.filter(|(_, content)| matches!(content, Some(Content::Workload(_))));
    workloads.map(|(object, _)| &object.id).collect()
}

/// Applies all rules to all objects. Objects that were made from one of the others are left out: that one has the same. A
/// controller that is not among them, as that of an operator, has its objects looked at themselves.
pub fn examine(objects: &[ManifestObject], node: &NodeFacts, addons: Option<&AddOnTable>) -> PreflightResult {
    let mut result = PreflightResult::default();
    let read: Vec<Option<Content>> = objects.iter().map(content).collect();
    let workloads = workloads(objects, &read);
    let files = ReadFiles::of(objects);
    let mut contents = Vec::new();
    for (index, (object, content)) in objects.iter().zip(read).enumerate() {
        let controller = object.controller();
        if controller.is_some_and(|controller| workloads.contains(&controller)) {
            continue;
        }
        match content {
            Some(Content::Workload(pod)) if pod.is_windows => result.foreign.push(object.id.clone()),
            Some(content) => contents.push((index, object, content)),
            None => {
                let kind = (object.group(), object.id.kind.as_str());
                let is_rendered = RENDERED.contains(&kind) || files.lack(object);
                let counts = if is_rendered {
                    &mut result.unrendered
                } else {
                    &mut result.skipped
                };
                *counts.entry(object.id.kind.clone()).or_default() += 1;
            }
        }
    }
    result.examined = contents.len();
    let context = Context {
        node,
        addons,
        runtimes: contents
            .iter()
            .filter_map(|(_, object, content)| runtime(object, content))
            .collect(),
        made: contents
            .iter()
            .flat_map(|(_, _, content)| made(content, node))
            .collect(),
    };
    for (index, object, content) in &contents {
        let subject = Subject {
            object,
            content,
            calls: OnceCell::new(),
        };
        let mut findings = Vec::new();
        for rule in crate::rules() {
            let mut found = Found {
                rule,
                object: *index,
                findings: &mut findings,
            };
            (rule.check)(&subject, &context, &mut found);
        }
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.rule.verdict));
        result.findings.append(&mut findings);
    }
    result
}

/// Name and handler of a RuntimeClass.
fn runtime<'c>(object: &'c ManifestObject, content: &'c Content) -> Option<(&'c str, &'c str)> {
    match content {
        Content::Runtime(handler) => Some((&object.id.name, &handler.value)),
        _ => None,
    }
}

/// Paths that the kubelet makes for a pod, without links.
fn made(content: &Content, node: &NodeFacts) -> Vec<String> {
    let Content::Workload(pod) = content else {
        return Vec::new();
    };
    let made = pod.host_paths().filter(HostPath::is_made);
    let made = made.map(|path| node.locate(path.path));
    made.filter(|located| located.is_writable())
        .map(|located| located.path)
        .collect()
}

impl<'s> Subject<'s> {
    /// Pod, of workloads.
    pub(crate) fn pod(&self) -> Option<&'s Pod> {
        match self.content {
            Content::Workload(pod) => Some(pod),
            _ => None,
        }
    }

    /// Storage, of persistent volumes and storage classes.
    pub(crate) fn storage(&self) -> Option<&'s Storage> {
        match self.content {
            Content::Storage(storage) => Some(storage),
            _ => None,
        }
    }

    /// Handler, of RuntimeClasses.
    pub(crate) fn handler(&self) -> Option<&'s Placed<String>> {
        match self.content {
            Content::Runtime(handler) => Some(handler),
            _ => None,
        }
    }

    /// Texts of a ConfigMap.
    pub(crate) fn texts(&self) -> &'s [(String, Placed<String>)] {
        match self.content {
            Content::Texts(texts) => texts,
            _ => &[],
        }
    }

    /// Paths of the node: of pods and of persistent volumes.
    pub(crate) fn host_paths(&self) -> Vec<HostPath<'s>> {
        let of_pod = self.pod().into_iter().flat_map(Pod::host_paths);
        let volume = self.storage().and_then(|storage| storage.volume.as_ref());
        let of_volume = volume.and_then(|volume| match &volume.source {
            VolumeSource::HostPath { path, kind } => Some(HostPath {
                path: path.value.trim_end_matches('/'),
                kind,
                place: &path.place,
                is_written: true,
            }),
            _ => None,
        });
        of_pod.chain(of_volume).collect()
    }

    /// Volumes: of pods and of persistent volumes.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = &'s crate::volume::Volume> {
        let of_pod = self.pod().into_iter().flat_map(|pod| &pod.volumes);
        let of_storage = self.storage().and_then(|storage| storage.volume.as_ref());
        of_pod.chain(of_storage)
    }

    /// Calls of programs: of a pod's commands, and of scripts in ConfigMaps.
    pub(crate) fn calls(&self) -> &[Call] {
        self.calls.get_or_init(|| match self.content {
            Content::Workload(pod) => {
                let roots = pod.roots_of_node();
                let of_container = |container: &Container| -> Vec<Call> {
                    let variables = Variables::of_environment(&container.environment);
                    let commands = container.commands.iter();
                    commands
                        .flat_map(|command| calls_of_command(command, &variables, &roots))
                        .collect()
                };
                pod.containers.iter().flat_map(of_container).collect()
            }
            Content::Texts(texts) => {
                let scripts = texts.iter().filter(|(key, text)| is_script(key, &text.value));
                scripts
                    .flat_map(|(_, text)| calls_of_script(&text.value, &text.place, &[]))
                    .collect()
            }
            _ => Vec::new(),
        })
    }

    /// Calls of programs of the node.
    pub(crate) fn calls_on_node(&self) -> impl Iterator<Item = &Call> {
        self.calls().iter().filter(|call| call.is_of_node)
    }

    /// Returns `true` for pods that can change the node: privileged, or with its root or its processes.
    pub(crate) fn is_powerful(&self) -> bool {
        self.pod().is_some_and(|pod| {
            pod.host_pid
                || !pod.roots_of_node().is_empty()
                || pod.containers.iter().any(|container| container.is_powerful())
        })
    }
}

/// Returns `true` for texts that a shell runs.
fn is_script(key: &str, text: &str) -> bool {
    key.ends_with(".sh")
        || text.starts_with("#!/bin/sh")
        || text.starts_with("#!/bin/bash")
        || text.starts_with("#!/usr/bin/env bash")
}

impl PreflightResult {
    /// Worst verdict of an object, by its index.
    pub fn verdict(&self, object: usize) -> Option<WorkloadVerdict> {
        let findings = self.findings.iter().filter(|finding| finding.object == object);
        findings.map(|finding| finding.rule.verdict).max()
    }
}

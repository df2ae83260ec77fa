//! Collects what is wrong while raw values are turned into checked ones.

use std::str::FromStr;
use std::time::SystemTime;

use miette::Severity;

use super::{Clock, KubeletMinor};
use basalt_document::problem::Problem;
use basalt_document::{Document, Finding, Kind, Path};

/// Collector of the findings about one document.
pub(super) struct Finder<'d> {
    document: &'d Document,
    clock: Clock,
    kubelet: KubeletMinor,
    found: Vec<Problem>,
}

impl<'d> Finder<'d> {
    pub(super) fn new(document: &'d Document, clock: Clock, kubelet: KubeletMinor) -> Self {
        Self {
            document,
            clock,
            kubelet,
            found: Vec::new(),
        }
    }

    pub(super) fn into_found(self) -> Vec<Problem> {
        self.found
    }

    pub(super) fn now(&self) -> SystemTime {
        match self.clock {
            Clock::Right(now) | Clock::Unsure(now) => now,
        }
    }

    /// Minor version of the kubelet that the document is for.
    pub(super) fn kubelet(&self) -> KubeletMinor {
        self.kubelet
    }

    /// Returns `true` if the document has a value at a path of keys, of whatever type.
    pub(super) fn is_written(&self, path: &Path) -> bool {
        let root = Some(self.document.root());
        let value = path.keys().fold(root, |node, key| Some(&node?.get(key)?.value));
        value.is_some_and(|value| value.kind != Kind::Null)
    }

    pub(super) fn say(&mut self, path: &Path, finding: Finding) {
        self.found.push(self.document.at(path, finding));
    }

    /// Adds a finding about the key that a path ends with.
    pub(super) fn say_of_key(&mut self, path: &Path, finding: Finding) {
        self.found.push(self.document.at_key(path, finding));
    }

    /// Something that only the clock speaks for.
    pub(super) fn say_by_clock(&mut self, path: &Path, mut finding: Finding) {
        if matches!(self.clock, Clock::Unsure(_)) {
            finding.severity = Severity::Warning;
            finding.message.push_str(", if the clock of this machine is right");
        }
        self.say(path, finding);
    }

    /// The checked form of a value.
    pub(super) fn parse<T: FromStr<Err = Finding>>(&mut self, path: &Path, text: &str) -> Option<T> {
        text.parse().map_err(|finding| self.say(path, finding)).ok()
    }

    /// The checked form of the key that a path ends with.
    pub(super) fn parse_key<T: FromStr<Err = Finding>>(&mut self, path: &Path, key: &str) -> Option<T> {
        key.parse().map_err(|finding| self.say_of_key(path, finding)).ok()
    }

    /// The checked form of a value that need not be there.
    pub(super) fn parse_given<T: FromStr<Err = Finding>>(&mut self, path: &Path, text: Option<&String>) -> Option<T> {
        text.and_then(|text| self.parse(path, text))
    }

    /// The checked form of every item of a list.
    pub(super) fn parse_all<T: FromStr<Err = Finding>>(&mut self, path: &Path, texts: &[String]) -> Vec<T> {
        texts
            .iter()
            .enumerate()
            .filter_map(|(index, text)| self.parse(&path.index(index), text))
            .collect()
    }
}

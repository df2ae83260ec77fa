//! Collects what is wrong while raw values are turned into checked ones.

use std::str::FromStr;
use std::time::SystemTime;

use miette::Severity;

use super::{Clock, KubeletMinor};
use basalt_document::problem::Problem;
use basalt_document::schema::UnfitPaths;
use basalt_document::{Document, Finding, Path};

/// Collector of the findings about one document.
pub(super) struct Finder<'d> {
    document: &'d Document,
    /// Keys whose values have another type. They are told, and the raw values do not have them.
    unfit: UnfitPaths,
    clock: Clock,
    kubelet: KubeletMinor,
    found: Vec<Problem>,
}

impl<'d> Finder<'d> {
    pub(super) fn new(document: &'d Document, unfit: UnfitPaths, clock: Clock, kubelet: KubeletMinor) -> Self {
        Self {
            document,
            unfit,
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

    /// Returns `true` if the value at a path has another type, or is below one that has: nobody knows what was meant.
    pub(super) fn is_unfit(&self, path: &Path) -> bool {
        self.unfit.has(path)
    }

    /// Returns `true` if the value at a path or one below it has another type.
    pub(super) fn has_unfit(&self, path: &Path) -> bool {
        self.unfit.has_part_of(path)
    }

    pub(super) fn say(&mut self, path: &Path, finding: Finding) {
        self.found.push(self.document.at(path, finding));
    }

    /// Adds a finding that is one because the values at some paths are missing, unless one of them is there with another type.
    pub(super) fn say_missing(&mut self, path: &Path, missing: &[Path], finding: Finding) {
        if !missing.iter().any(|missing| self.is_unfit(missing)) {
            self.say(path, finding);
        }
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

//! User data of a cloud's metadata service, in the place of a NodeConfig on the machine itself.
//!
//! `basalt-node apply` runs before the network. Where it finds no NodeConfig, and the machine is in a [`Cloud`], it leaves a mark
//! ([`prepare`]); the network comes up as on a machine without a NodeConfig, by DHCP on every card; and `basalt-node user-data`
//! asks ([`Asking`]), while containerd and the kubelet wait for it. Elsewhere nothing waits, and no request is sent.
//!
//! ```text
//! apply ──▶ no credential, no disk ──▶ mark ──▶ network ──▶ UserDataState ──▶ Found ──▶ as by apply
//!                                                              ▲  │ service: EC2, GCE, Azure, ...
//!                                                              └──┘
//! ```
//!
//! It has no deadline of its own: each question has one, and that of the boot ([`crate::readiness`]) starts the machine again.
//! User data is nowhere but in memory and in what follows from it, as that of a disk.

use std::path::Path;
use std::time::Duration;

use miette::Diagnostic;

use crate::apply::{self, ApplyError, below};
use crate::cloud::Cloud;
use crate::joining::JoinClock;
use crate::paths;
use crate::plan::PlannedFile;
use crate::source::{self, Found, Source, SourceError};

mod service;
mod state;

pub use service::{MetadataService, ServiceError, UserDataService};
pub use state::{UserDataAction, UserDataEvent, UserDataReport, UserDataState, pause};

/// User data that a node cannot use.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum UserDataError {
    /// User data that cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Source(#[from] SourceError),
    /// The state could not be written.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Write(#[from] ApplyError),
}

/// Leaves the mark that a metadata service is to be asked when the network is there.
///
/// # Errors
/// When it cannot be written.
pub fn prepare(root: &Path, cloud: Cloud) -> Result<(), ApplyError> {
    write(root, cloud, &UserDataState::begin().0)
}

/// Takes the mark away.
///
/// # Errors
/// When it cannot be removed.
pub fn forget(root: &Path) -> Result<(), ApplyError> {
    apply::remove(below(root, paths::METADATA_STATE))
}

/// State of the question, if there is one in this boot.
pub fn read(root: &Path) -> Option<UserDataReport> {
    serde_json::from_slice(&fs_err::read(below(root, paths::METADATA_STATE)).ok()?).ok()
}

fn write(root: &Path, cloud: Cloud, state: &UserDataState) -> Result<(), ApplyError> {
    let state = state.clone();
    let content = serde_json::to_string(&UserDataReport { cloud, state }).unwrap_or_default() + "\n";
    apply::write(root, &PlannedFile::public(paths::METADATA_STATE, content))
}

/// The question, with what it needs.
pub struct Asking<'a> {
    /// Root of the machine.
    pub root: &'a Path,
    /// Cloud of the machine.
    pub cloud: Cloud,
    /// Its metadata service.
    pub service: &'a dyn UserDataService,
    /// Sources on the machine itself: what turns up there late counts first all the same.
    pub sources: &'a mut [Box<dyn Source>],
}

impl Asking<'_> {
    /// Asks until there is an answer, and returns the user data, if there is any. `tell` is given each state that is news.
    ///
    /// # Errors
    /// When the user data is of no use, or the state cannot be written.
    pub fn run(&mut self, clock: &impl JoinClock, mut tell: impl FnMut(&str)) -> Result<Option<Found>, UserDataError> {
        let (mut state, mut action) = UserDataState::begin();
        let mut told = String::new();
        loop {
            write(self.root, self.cloud, &state)?;
            let news = self.words(&state);
            if news != told {
                tell(&news);
                told = news;
            }
            let answer = match action {
                UserDataAction::LookForWay(after) => {
                    clock.pause(after);
                    self.look().map(|_| match self.service.has_way() {
                        true => UserDataEvent::Way,
                        false => UserDataEvent::NoWay,
                    })
                }
                UserDataAction::Ask(after) => {
                    clock.pause(after);
                    match self.look() {
                        // A drive that is only just being found, or a damaged one, which goes before the service, too.
                        Ok(Some(unreadable)) => Ok(UserDataEvent::NoAnswer(unreadable)),
                        Ok(None) => self.ask(),
                        Err(end) => Err(end),
                    }
                }
                UserDataAction::End => return Ok(None),
            };
            let (event, end) = match answer {
                Ok(event) => (event, None),
                Err(End::Found(found)) => (UserDataEvent::Found, Some(Ok(Some(*found)))),
                Err(End::Unusable(error)) => (UserDataEvent::Unusable(error.to_string()), Some(Err(error))),
            };
            (state, action) = state.on(event);
            if let Some(end) = end {
                write(self.root, self.cloud, &state)?;
                return end.map_err(UserDataError::Source);
            }
        }
    }

    /// State in words, without a number that grows.
    fn words(&self, state: &UserDataState) -> String {
        let cloud = self.cloud;
        let mut state = state.clone();
        if let UserDataState::Asking { failed, .. } = &mut state {
            *failed = (*failed).min(1);
        }
        UserDataReport { cloud, state }.to_string()
    }

    /// Looks at the sources on the machine itself once more, and returns in words what cannot be read there.
    fn look(&mut self) -> Result<Option<String>, End> {
        match source::find(self.sources, Duration::ZERO) {
            Ok(None) => Ok(None),
            Ok(Some(found)) => Err(End::Found(Box::new(found))),
            Err(error @ SourceError::Read { .. }) => Ok(Some(error.to_string())),
            Err(error) => Err(End::Unusable(error)),
        }
    }

    fn ask(&self) -> Result<UserDataEvent, End> {
        match self.service.ask() {
            Ok(Some(found)) => Err(End::Found(Box::new(found))),
            Ok(None) => Ok(UserDataEvent::NoUserData),
            Err(ServiceError::NoAnswer(why)) => Ok(UserDataEvent::NoAnswer(why)),
            Err(ServiceError::Unusable(error)) => Err(End::Unusable(error)),
        }
    }
}

/// End of the question.
enum End {
    Found(Box<Found>),
    Unusable(SourceError),
}

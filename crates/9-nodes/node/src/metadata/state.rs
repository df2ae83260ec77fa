//! State machine of the question for user data: pure, so that it can be tested by table.
//!
//! ```text
//!                     a way there            user data
//! WaitingForNetwork ──────────────▶ Asking ─────────────▶ Found
//!                                    │  ▲ └─ there is none ──▶ Absent
//!                          no answer └──┘ └─ of no use ──────▶ Unusable
//! ```
//!
//! A NodeConfig on the machine itself ends it in each state.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cloud::Cloud;

/// Pause between looks at the network.
const LOOK: Duration = Duration::from_millis(250);

/// Shortest and longest pause between two questions.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);

/// State of the question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UserDataState {
    /// There is no way to the metadata service yet.
    WaitingForNetwork,
    /// The metadata service is asked.
    Asking {
        /// Questions without an answer.
        failed: u32,
        /// Reason of the last one's failure.
        last: Option<String>,
    },
    /// There is user data, or a NodeConfig on the machine itself.
    Found,
    /// The machine was given no user data.
    Absent,
    /// The user data is of no use; in a sentence.
    Unusable(String),
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserDataEvent {
    /// There is no way to the metadata service.
    NoWay,
    /// There is one.
    Way,
    /// No answer, or one that says nothing about user data; in words.
    NoAnswer(String),
    /// The answer that there is no user data.
    NoUserData,
    /// User data, or a NodeConfig on the machine itself.
    Found,
    /// User data that no node can follow; in a sentence.
    Unusable(String),
}

/// Next thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserDataAction {
    /// Look for a way to the metadata service, after this pause.
    LookForWay(Duration),
    /// Ask, after this pause.
    Ask(Duration),
    /// Nothing more.
    End,
}

impl UserDataState {
    /// First state.
    pub fn begin() -> (Self, UserDataAction) {
        (Self::WaitingForNetwork, UserDataAction::LookForWay(Duration::ZERO))
    }

    /// State after an event. What an event means nothing for stays as it is.
    pub fn on(self, event: UserDataEvent) -> (Self, UserDataAction) {
        let end = |state| (state, UserDataAction::End);
        match (self, event) {
            (state @ (Self::Found | Self::Absent | Self::Unusable(_)), _) => end(state),
            (_, UserDataEvent::Found) => end(Self::Found),
            (_, UserDataEvent::Unusable(why)) => end(Self::Unusable(why)),
            (Self::WaitingForNetwork, UserDataEvent::Way) => {
                let state = Self::Asking { failed: 0, last: None };
                (state, UserDataAction::Ask(Duration::ZERO))
            }
            (Self::WaitingForNetwork, _) => (Self::WaitingForNetwork, UserDataAction::LookForWay(LOOK)),
            (Self::Asking { .. }, UserDataEvent::NoUserData) => end(Self::Absent),
            (Self::Asking { failed, .. }, UserDataEvent::NoAnswer(why)) => {
                let failed = failed.saturating_add(1);
                let state = Self::Asking {
                    failed,
                    last: Some(why),
                };
                (state, UserDataAction::Ask(pause(failed)))
            }
            (Self::Asking { failed, last }, UserDataEvent::Way | UserDataEvent::NoWay) => {
                (Self::Asking { failed, last }, UserDataAction::Ask(pause(failed)))
            }
        }
    }
}

/// Pause after so many failures in a row: it doubles each time.
pub fn pause(failed: u32) -> Duration {
    let doubled = 1u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
    SHORTEST.saturating_mul(doubled).min(LONGEST)
}

/// The question, as `basalt-node status` and the console show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UserDataReport {
    /// Cloud that is asked.
    pub cloud: Cloud,
    /// State.
    pub state: UserDataState,
}

/// For people.
impl fmt::Display for UserDataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cloud, state } = self;
        match state {
            UserDataState::WaitingForNetwork => {
                write!(f, "waiting for a way to the metadata service of {cloud}")
            }
            UserDataState::Asking { failed: 0, .. } => {
                write!(f, "asking the metadata service of {cloud} for user data")
            }
            UserDataState::Asking { failed, last } => {
                let last = last.as_deref().unwrap_or_default();
                write!(
                    f,
                    "asking the metadata service of {cloud} for user data (tries without an answer: {failed}; the last: {last})"
                )
            }
            UserDataState::Found => write!(f, "user data of {cloud} was found"),
            UserDataState::Absent => write!(f, "the metadata service of {cloud} has no user data for this machine"),
            UserDataState::Unusable(why) => write!(f, "the user data of {cloud} is of no use: {why}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asking(failed: u32, last: Option<&str>) -> UserDataState {
        let last = last.map(str::to_owned);
        UserDataState::Asking { failed, last }
    }

    #[test]
    fn table() {
        use UserDataAction::{Ask, End, LookForWay};
        use UserDataEvent::{Found, NoAnswer, NoUserData, NoWay, Unusable, Way};
        let waiting = UserDataState::WaitingForNetwork;
        let why = || "HTTP status 503".to_owned();
        let cases = [
            (waiting.clone(), NoWay, waiting.clone(), LookForWay(LOOK)),
            (waiting.clone(), Way, asking(0, None), Ask(Duration::ZERO)),
            (waiting.clone(), Found, UserDataState::Found, End),
            (waiting.clone(), NoUserData, waiting.clone(), LookForWay(LOOK)),
            (waiting.clone(), NoAnswer(why()), waiting, LookForWay(LOOK)),
            (asking(0, None), NoAnswer(why()), asking(1, Some(&why())), Ask(SHORTEST)),
            (
                asking(1, None),
                NoAnswer(why()),
                asking(2, Some(&why())),
                Ask(SHORTEST * 2),
            ),
            (asking(8, None), NoAnswer(why()), asking(9, Some(&why())), Ask(LONGEST)),
            (asking(3, Some("a")), Way, asking(3, Some("a")), Ask(SHORTEST * 4)),
            (asking(9, None), NoUserData, UserDataState::Absent, End),
            (asking(9, None), Found, UserDataState::Found, End),
            (asking(0, None), Unusable(why()), UserDataState::Unusable(why()), End),
            (UserDataState::Absent, Found, UserDataState::Absent, End),
            (UserDataState::Found, NoAnswer(why()), UserDataState::Found, End),
        ];
        for (state, event, expected, action) in cases {
            let name = format!("{state:?} {event:?}");
            assert_eq!(state.on(event), (expected, action), "{name}");
        }
    }

    #[test]
    fn each_state_has_its_words() {
        let states = [
            UserDataState::WaitingForNetwork,
            asking(0, None),
            asking(1, Some("Connection refused")),
            asking(7, Some("HTTP status 503")),
            UserDataState::Found,
            UserDataState::Absent,
            UserDataState::Unusable("it is larger than 1 MiB".to_owned()),
        ];
        let lines = states.map(|state| {
            let cloud = Cloud::Ec2;
            UserDataReport { cloud, state }.to_string()
        });
        insta::assert_snapshot!(lines.join("\n"), @r"
        waiting for a way to the metadata service of EC2
        asking the metadata service of EC2 for user data
        asking the metadata service of EC2 for user data (tries without an answer: 1; the last: Connection refused)
        asking the metadata service of EC2 for user data (tries without an answer: 7; the last: HTTP status 503)
        user data of EC2 was found
        the metadata service of EC2 has no user data for this machine
        the user data of EC2 is of no use: it is larger than 1 MiB
        ");
    }

    proptest! {
        #[test]
        fn pauses_grow_and_are_bounded(failed: u32) {
            prop_assert!(pause(failed) <= pause(failed.saturating_add(1)));
            prop_assert!((SHORTEST..=LONGEST).contains(&pause(failed)));
        }
    }
}

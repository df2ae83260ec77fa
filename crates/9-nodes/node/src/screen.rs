//! Status screen on the console: for whoever stands in front of a node, or looks at its screen through a provider's web
//! page, when the node cannot be reached in any other way.
//!
//! [`ScreenFacts`] (what the machine is), [`Health`] (what `basalt-node status` prints) and the last errors of the journal
//! ([`errors`]) become a text ([`render`], a pure function: 80 columns, ASCII, at most 40 lines), which [`console`] writes to
//! the screen when it changes.

pub mod console;
pub mod errors;
pub mod facts;

use basalt_join::state::JoinState;

use crate::api::ApiAnswer;
use crate::health::Health;
use crate::metadata::{UserDataReport, UserDataState};
pub use facts::ScreenFacts;

/// Columns of the screen: those of VGA's text mode.
pub const WIDTH: usize = 80;
/// Most lines of the screen: framebuffers of 1024 by 768 points have 48.
pub const HEIGHT: usize = 40;
/// Most lines of one error.
const ERROR_LINES: usize = 3;
/// Indent of continued lines: that of `basalt-node status`.
const INDENT: usize = 14;

/// Text of the screen: lines of at most [`WIDTH`] characters, each with its end.
pub fn render(status: &Health, facts: &ScreenFacts, errors: &[String]) -> String {
    let mut lines = Vec::new();
    let state = if status.is_ready() { "READY" } else { "NOT READY" };
    let name = plain(&format!("{}  {}", facts.system, facts.hostname));
    let gap = WIDTH.saturating_sub(2 + state.len() + 1);
    lines.push(format!(" {name:<gap$.gap$} {state}"));
    lines.push("-".repeat(WIDTH));
    for line in status.to_string().lines() {
        wrap(&mut lines, line, INDENT, 4);
    }
    wrap(
        &mut lines,
        &format!("addresses    {}", listed(&facts.addresses)),
        INDENT,
        4,
    );
    wrap(&mut lines, &format!("cards        {}", listed(&facts.cards)), INDENT, 4);
    let advice = advice(status, facts);
    let mut end = vec![String::new(), " WHAT TO DO".to_owned()];
    for step in &advice {
        wrap(&mut end, &format!(" - {step}"), 3, 5);
    }
    end.push("-".repeat(WIDTH));
    end.push(plain(&format!(
        " {} UTC   up {}   Ctrl-Alt-Del restarts in an orderly way",
        facts.time, facts.uptime
    )));
    if !errors.is_empty() {
        lines.extend([String::new(), " LAST ERRORS".to_owned()]);
    }
    for error in errors {
        let before = lines.len();
        wrap(&mut lines, &format!(" {error}"), 3, ERROR_LINES);
        // What to do is worth more than one more error.
        if lines.len() + end.len() > HEIGHT {
            lines.truncate(before);
            break;
        }
    }
    lines.truncate(HEIGHT.saturating_sub(end.len()));
    lines.extend(end);
    lines.iter().map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// Steps that help, the most urgent first.
fn advice(status: &Health, facts: &ScreenFacts) -> Vec<String> {
    let Some(applied) = &status.applied else {
        if let Some(question) = status.question() {
            return vec![advice_on_user_data(question)];
        }
        return vec![
            "This machine has no valid NodeConfig. `basalt check node.yaml` finds mistakes in yours.".to_owned(),
            "Hand it over as the systemd credential basalt.node (SMBIOS type 11), or on a small disk with the label \
             BASALT-CFG, then restart the machine."
                .to_owned(),
        ];
    };
    let name = &applied.hostname;
    let mut steps = Vec::new();
    if facts.addresses.is_empty() || !status.network {
        steps.push(
            "No card has an address: is the cable in, does a DHCP server answer, is `network` of the NodeConfig right?"
                .to_owned(),
        );
    }
    if !status.containerd {
        steps.push(
            "containerd does not answer. It is tried again for ever; a full or damaged disk shows in the errors."
                .to_owned(),
        );
    }
    // Without a cluster the kubelet is not started.
    let is_waited_for = status.join.is_some() && !status.joined;
    if status.kubelet.is_err() && status.containerd && !is_waited_for {
        steps.push(
            "The kubelet does not answer. It is tried again for ever; it names bad settings in the errors.".to_owned(),
        );
    }
    if let (false, Some(JoinState::Refused { refusal, .. })) = (status.joined, &status.join) {
        steps.push(format!("The node does not join: {refusal}"));
    } else if !status.joined {
        steps.push(format!(
            "The cluster gave no certificate. Is {} reached from this network? Is the NodeConfig's token valid (`kubeadm token \
             list`), and its CA the cluster's? Is the time below right?",
            applied.endpoint
        ));
    } else if !status.pod_network {
        steps.push(format!(
            "No network add-on configured the node: kubectl get pods -A -o wide --field-selector spec.nodeName={name}"
        ));
    }
    if let (true, Some(ApiAnswer::Unreachable(_))) = (status.joined, &status.api) {
        steps.push(format!(
            "{} cannot be reached now. The node goes on by itself, and its pods keep running.",
            applied.endpoint
        ));
    }
    if steps.is_empty() && !status.is_ready() {
        steps.push(format!(
            "The API server does not hold the node Ready: kubectl describe node {name}"
        ));
    }
    steps.push(format!(
        "From elsewhere: basalt node logs {name}; basalt node shell {name}; basalt node bundle {name}"
    ));
    steps
}

/// Step that helps a machine which was given no user data yet.
fn advice_on_user_data(question: &UserDataReport) -> String {
    let cloud = question.cloud;
    match &question.state {
        UserDataState::WaitingForNetwork => format!(
            "No route leads to the metadata service of {cloud}: does a DHCP server of the cloud answer on one of the cards?"
        ),
        UserDataState::Absent => {
            format!("Give the machine a NodeConfig, or bootstrap data, as user data of {cloud}, then restart it.")
        }
        UserDataState::Unusable(_) => format!("Correct the user data in {cloud}, then restart the machine."),
        _ => format!(
            "The metadata service of {cloud} is asked again and again. Is it turned on for this machine, and reached from its \
             network?"
        ),
    }
}

fn listed(words: &[String]) -> String {
    match words {
        [] => "none".to_owned(),
        words => words.join(", "),
    }
}

/// Characters that a console shows whatever its font: errors have text of others in them.
fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| match letter {
            ' '..='~' => letter,
            '\t' => ' ',
            _ => '?',
        })
        .collect()
}

/// Adds a text in lines of [`WIDTH`] characters, broken at spaces where there are any. Lines after the first are indented;
/// those after `most` are left out.
fn wrap(lines: &mut Vec<String>, text: &str, indent: usize, most: usize) {
    let text = plain(text);
    let mut rest = text.as_str();
    for number in 0..most {
        let margin = if number == 0 { 0 } else { indent };
        let room = WIDTH.saturating_sub(margin);
        let is_last = number + 1 == most;
        let end = match rest.len() <= room {
            true => rest.len(),
            false => break_at(rest, room, indent),
        };
        // All of it is ASCII, so that every place is between two characters.
        let (line, after) = rest.split_at(end);
        let cut = if is_last && !after.trim().is_empty() { "..." } else { "" };
        let kept = line.get(..line.len().min(room - cut.len())).unwrap_or_default();
        lines.push(format!("{:margin$}{kept}{cut}", ""));
        rest = after.trim_start();
        if rest.is_empty() {
            return;
        }
    }
}

/// Place of the last space before the end of the line, but not in its first part.
fn break_at(text: &str, room: usize, indent: usize) -> usize {
    let line = text.get(..room).unwrap_or(text);
    line.rfind(' ').filter(|place| *place > indent).unwrap_or(line.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cloud::Cloud;
    use crate::health::tests::{asking, nothing};

    fn facts() -> ScreenFacts {
        ScreenFacts {
            system: "Basalt Linux 1".to_owned(),
            hostname: "node-1".to_owned(),
            addresses: vec!["10.87.0.11".to_owned(), "fd00::11".to_owned()],
            cards: vec!["eth0 52:54:00:12:34:56 up".to_owned()],
            time: "2026-11-29 12:00".to_owned(),
            uptime: "7 min".to_owned(),
        }
    }

    fn applied() -> Health {
        let mut health = nothing();
        health.network = true;
        health.applied = serde_json::from_value(serde_json::json!({
            "origin": "credential basalt.node", "hostname": "node-1", "endpoint": "https://10.87.0.1:6443",
            "wanted": { "choices": [], "api_server": "10.87.0.1", "port": 6443 }, "files": [], "warnings": [],
        }))
        .ok();
        health
    }

    #[test]
    fn a_machine_without_a_config() {
        let errors = ["basalt-node: node.yaml:3:1: unknown field `clutser`".to_owned()];
        insta::assert_snapshot!(render(&nothing(), &facts(), &errors));
    }

    #[test]
    fn a_machine_that_asks_for_user_data() {
        let mut health = nothing();
        health.metadata = Some(asking());
        insta::assert_snapshot!(render(&health, &facts(), &[]));
    }

    #[test]
    fn each_state_of_the_question_has_its_advice() {
        for (state, expected) in [
            (UserDataState::WaitingForNetwork, "DHCP"),
            (UserDataState::Absent, "as user data of GCE"),
            (
                UserDataState::Unusable("it is too large".to_owned()),
                "Correct the user data",
            ),
        ] {
            let mut health = nothing();
            health.metadata = Some(UserDataReport {
                cloud: Cloud::Gce,
                state,
            });
            let advice = advice(&health, &facts());
            assert!(advice.len() == 1 && advice[0].contains(expected), "{advice:?}");
        }
    }

    #[test]
    fn a_node_that_does_not_join() {
        let mut health = applied();
        assert!(health.applied.is_some());
        health.containerd = true;
        health.kubelet = Ok(());
        let error = "kubelet: failed to run: ".to_owned() + &"a very long reason ".repeat(20);
        insta::assert_snapshot!(render(&health, &facts(), &[error]));
    }

    #[test]
    fn a_node_that_the_cluster_refuses() {
        let mut health = applied();
        health.containerd = true;
        let id = "abcdef".to_owned();
        let refused = basalt_join::state::Refusal::Token { id };
        health.join = Some(JoinState::Refused {
            refusal: refused,
            at: std::time::Duration::from_secs(60),
        });
        insta::assert_snapshot!(render(&health, &facts(), &[]));
    }

    #[test]
    fn advice_follows_from_what_is_missing() {
        let mut health = applied();
        let first = |health: &Health, facts: &ScreenFacts| advice(health, facts).into_iter().next().unwrap();
        let without = ScreenFacts {
            addresses: Vec::new(),
            ..facts()
        };
        assert!(first(&health, &without).contains("cable"));
        assert!(first(&health, &facts()).contains("containerd"));
        health.containerd = true;
        assert!(first(&health, &facts()).contains("kubelet"));
        health.kubelet = Ok(());
        assert!(first(&health, &facts()).contains("https://10.87.0.1:6443"));
        health.joined = true;
        assert!(first(&health, &facts()).contains("spec.nodeName=node-1"));
        assert!(first(&nothing(), &facts()).contains("basalt check"));
    }

    proptest! {
        #[test]
        fn it_fits(errors in proptest::collection::vec(".{0,300}", 0..30), name in ".{0,100}", count in 0usize..60) {
            let facts = ScreenFacts { hostname: name, cards: vec!["eth0 up".to_owned(); count], ..facts() };
            for health in [nothing(), applied()] {
                let text = render(&health, &facts, &errors);
                prop_assert!(text.lines().count() <= HEIGHT);
                for line in text.lines() {
                    prop_assert!(line.len() <= WIDTH && line.bytes().all(|letter| (b' '..=b'~').contains(&letter)), "{line:?}");
                }
                prop_assert!(text.contains("WHAT TO DO"));
            }
        }
    }
}

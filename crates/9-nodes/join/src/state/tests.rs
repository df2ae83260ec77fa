use proptest::prelude::*;

use super::*;

const START: Duration = Duration::from_secs(10);

fn unreachable() -> JoinEvent {
    JoinEvent::Unreachable("no route to host".to_owned())
}

fn id(id: &str) -> String {
    id.to_owned()
}

/// Name of a state.
fn name(state: &JoinState) -> &'static str {
    match state {
        JoinState::Discovering(_) => "discovering",
        JoinState::Bootstrapping(_) => "bootstrapping",
        JoinState::WaitingForApproval { .. } => "waiting",
        JoinState::Joined => "joined",
        JoinState::Refused { refusal, .. } => match refusal {
            Refusal::Token { .. } => "refused: token",
            Refusal::Untrusted(_) => "refused: untrusted",
            Refusal::NameTaken { .. } => "refused: name",
            Refusal::VersionSkew(_) => "refused: skew",
            Refusal::Denied(_) => "refused: denied",
            Refusal::Forbidden(_) => "refused: forbidden",
            Refusal::Unusable(_) => "refused: unusable",
        },
    }
}

/// State after events, each a second after the one before.
fn after(events: Vec<JoinEvent>) -> (Transition, Duration) {
    let mut now = START;
    let mut transition = JoinState::begin(now);
    for event in events {
        now += Duration::from_secs(1);
        transition = transition.state.on(event, now);
    }
    (transition, now)
}

fn requested() -> JoinEvent {
    JoinEvent::Requested {
        request: "csr-1".to_owned(),
    }
}

#[test]
fn transitions() {
    use JoinEvent as E;
    let rejected = || E::TokenRejected { id: id("abcdef") };
    let given = |token: &str| E::TokenGiven { id: id(token) };
    let taken = || E::NameTaken {
        name: "worker-1".to_owned(),
        other: "machine id 9".to_owned(),
    };
    // A second after another, for as long as it takes.
    let refused = |more: Vec<E>| [vec![E::Trusted], vec![rejected(); 20], more].concat();
    // Events, the state that they lead to, the action, and the time until then in seconds.
    let cases: Vec<(Vec<E>, &str, JoinAction, u64)> = vec![
        (vec![], "discovering", JoinAction::Discover, 0),
        (vec![unreachable()], "discovering", JoinAction::Discover, 5),
        (vec![unreachable(); 4], "discovering", JoinAction::Discover, 10),
        (vec![unreachable(); 40], "discovering", JoinAction::Discover, 60),
        (
            vec![E::Unsigned { id: id("abcdef") }],
            "discovering",
            JoinAction::Discover,
            5,
        ),
        (vec![E::Trusted], "bootstrapping", JoinAction::Request, 0),
        (vec![E::Untrusted(id("pin"))], "refused: untrusted", JoinAction::Rest, 0),
        (
            vec![E::VersionSkew(id("newer"))],
            "refused: skew",
            JoinAction::Discover,
            300,
        ),
        (vec![E::Trusted, unreachable()], "bootstrapping", JoinAction::Request, 5),
        (vec![E::Trusted, rejected()], "bootstrapping", JoinAction::Request, 5),
        (
            vec![E::Trusted, rejected(), unreachable()],
            "bootstrapping",
            JoinAction::Request,
            5,
        ),
        (refused(vec![]), "refused: token", JoinAction::Rest, 0),
        (
            vec![E::Trusted, E::Forbidden(id("csr"))],
            "refused: forbidden",
            JoinAction::Discover,
            60,
        ),
        (vec![E::Trusted, taken()], "refused: name", JoinAction::Discover, 60),
        (vec![E::Trusted, requested()], "waiting", JoinAction::Look, 5),
        (
            vec![E::Trusted, requested(), E::Pending],
            "waiting",
            JoinAction::Look,
            5,
        ),
        (
            vec![E::Trusted, requested(), E::RequestGone],
            "bootstrapping",
            JoinAction::Request,
            0,
        ),
        (
            vec![E::Trusted, requested(), E::Denied(id("no"))],
            "refused: denied",
            JoinAction::Rest,
            0,
        ),
        (
            vec![E::Trusted, requested(), rejected()],
            "refused: token",
            JoinAction::Rest,
            0,
        ),
        (vec![E::Trusted, requested(), E::Issued], "joined", JoinAction::Rest, 0),
        // The kubelet may have its certificate from the boot before.
        (vec![E::Issued], "joined", JoinAction::Rest, 0),
        (vec![E::Issued, unreachable()], "joined", JoinAction::Rest, 0),
        (
            vec![E::Issued, E::CertificateRejected],
            "discovering",
            JoinAction::Discover,
            0,
        ),
        // Another token is a new try; the same one is not.
        (refused(vec![given("abcdef")]), "refused: token", JoinAction::Rest, 0),
        (refused(vec![given("fedcba")]), "discovering", JoinAction::Discover, 0),
        (refused(vec![E::TimePassed]), "refused: token", JoinAction::Rest, 0),
        (
            vec![E::Untrusted(id("pin")), given("fedcba")],
            "discovering",
            JoinAction::Discover,
            0,
        ),
        (
            vec![E::Trusted, requested(), given("fedcba")],
            "discovering",
            JoinAction::Discover,
            0,
        ),
        // A name that is taken is asked for again after a minute, not before.
        (
            vec![E::Trusted, taken(), E::TimePassed],
            "refused: name",
            JoinAction::Discover,
            59,
        ),
    ];
    for (events, state, action, seconds) in cases {
        let (found, _) = after(events.clone());
        let found = (name(&found.state), found.action, found.after.as_secs());
        assert_eq!(found, (state, action, seconds), "{events:?}");
    }
}

#[test]
fn a_cluster_has_five_minutes_to_sign_from_its_first_answer() {
    let unsigned = || JoinEvent::Unsigned { id: id("abcdef") };
    let state = JoinState::begin(START).state;
    // An API server that starts takes as long as it takes.
    let late = START + SIGNING * 2;
    let state = state.on(unreachable(), late).state;
    let state = state.on(unsigned(), late + SIGNING / 2).state;
    assert_eq!(name(&state), "discovering");
    let state = state.on(unsigned(), late + SIGNING).state;
    assert_eq!(name(&state), "refused: token");
    assert!(state.to_string().contains("abcdef") && state.to_string().contains("kubeadm token create"));
}

#[test]
fn what_may_change_by_itself_is_tried_again() {
    let refused = JoinState::begin(START)
        .state
        .on(JoinEvent::VersionSkew(id("newer")), START);
    let again = refused.state.on(JoinEvent::TimePassed, START + refused.after);
    assert_eq!(name(&again.state), "discovering");
}

#[test]
fn each_state_says_what_to_do() {
    let (waiting, _) = after(vec![JoinEvent::Trusted, requested(), JoinEvent::Pending]);
    let text = waiting.state.to_string();
    assert!(
        text.contains("kubectl certificate approve csr-1") && text.contains("1 tries failed"),
        "{text}"
    );
    assert_eq!(JoinState::Joined.to_string(), "joined");
}

fn events() -> impl Strategy<Value = JoinEvent> {
    let token = prop_oneof![Just("abcdef"), Just("fedcba")];
    prop_oneof![
        Just(JoinEvent::Trusted),
        token.clone().prop_map(|token| JoinEvent::Unsigned { id: id(token) }),
        Just(JoinEvent::Untrusted(id("pin"))),
        Just(unreachable()),
        Just(JoinEvent::NameTaken {
            name: id("a"),
            other: id("b"),
        }),
        Just(JoinEvent::VersionSkew(id("newer"))),
        token
            .clone()
            .prop_map(|token| JoinEvent::TokenRejected { id: id(token) }),
        Just(JoinEvent::Forbidden(id("csr"))),
        Just(requested()),
        Just(JoinEvent::Pending),
        Just(JoinEvent::RequestGone),
        Just(JoinEvent::Denied(id("no"))),
        Just(JoinEvent::CertificateRejected),
        token.prop_map(|token| JoinEvent::TokenGiven { id: id(token) }),
        Just(JoinEvent::TimePassed),
    ]
}

proptest! {
    /// Without a certificate, nothing makes a node joined; and something is always done next, or a reason is told.
    #[test]
    fn no_event_but_a_certificate_joins(events in proptest::collection::vec((events(), 0u64..400), 0..30)) {
        let mut now = START;
        let mut transition = JoinState::begin(now);
        for (event, seconds) in events {
            now += Duration::from_secs(seconds);
            transition = transition.state.on(event, now);
            prop_assert!(transition.state != JoinState::Joined);
            prop_assert!(transition.after <= SIGNING);
            if transition.action == JoinAction::Rest {
                let is_refused = matches!(transition.state, JoinState::Refused { .. });
                prop_assert!(is_refused);
            }
        }
    }

    /// From any state, another token and a cluster that behaves lead to a joined node.
    #[test]
    fn another_token_always_leads_on(events in proptest::collection::vec((events(), 0u64..400), 0..30)) {
        let mut now = START;
        let mut state = JoinState::begin(now).state;
        for (event, seconds) in events {
            now += Duration::from_secs(seconds);
            state = state.on(event, now).state;
        }
        for event in [JoinEvent::TokenGiven { id: id("newest") }, JoinEvent::Trusted, requested(), JoinEvent::Issued] {
            state = state.on(event, now).state;
        }
        prop_assert_eq!(state, JoinState::Joined);
    }
}

//! NodeConfigs that are accepted, given to the real kubelet: it has to start with each of them.
//!
//! `./basalt test` names the kubelet of each minor in `BASALT_KUBELET`, one after the other.

#![cfg(test)]

mod pools;
mod rules;
mod run;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use basalt_join::kubelet_config::overlay;
use basalt_node_config::{
    Clock, KubeletMinor, NodeConfig, check_for, kubelet_extra_fields, kubelet_feature_gates, kubelet_objections,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Map, Value, json};

use pools::{EXTRA, NODE, OWN, Pool};
use rules::RULES;
use run::Planned;

/// Number of accepted NodeConfigs that are tried, and in `./basalt test --long`.
const CASES: usize = 300;
const CASES_LONG: usize = 3000;

/// NodeConfigs that are made for one that is accepted, at most.
const ATTEMPTS: usize = 200;

/// Share of the fields that a NodeConfig has.
const SHARE: f64 = 0.06;

const CA: &str = include_str!("../../../node-config/tests/certificates/ca.pem");

/// A NodeConfig as text, without the part on the cluster.
#[derive(Debug, Clone)]
struct Case {
    text: String,
    fields: BTreeSet<&'static str>,
}

/// Some fields with some of their values: names, and lines.
fn fields(pool: Pool, indent: &'static str) -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let one = move |(name, values): &'static (&'static str, &'static [&'static str])| {
        let value = proptest::sample::select(*values);
        proptest::option::weighted(SHARE, value)
            .prop_map(move |value| value.map(|value| (*name, format!("{indent}{name}: {value}\n"))))
    };
    pool.iter()
        .map(one)
        .collect::<Vec<_>>()
        .prop_map(|lines| lines.into_iter().flatten().collect())
}

/// Feature gates by name with values, mostly none.
fn feature_gates(kubelet: KubeletMinor) -> impl Strategy<Value = Option<(&'static str, String)>> {
    let names: Vec<_> = kubelet_feature_gates(kubelet).map(|(name, _)| name).collect();
    let some = proptest::collection::btree_map(proptest::sample::select(names), any::<bool>(), 1..4);
    proptest::option::weighted(0.25, some).prop_map(|gates| {
        let gates: Vec<_> = gates?
            .into_iter()
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        Some(("featureGates", format!("  featureGates: {{ {} }}\n", gates.join(", "))))
    })
}

fn cases(kubelet: KubeletMinor) -> impl Strategy<Value = Case> {
    let parts = (
        fields(NODE, ""),
        fields(OWN, "  "),
        feature_gates(kubelet),
        fields(EXTRA, "    "),
    );
    parts.prop_map(|(node, own, gates, extra)| {
        let lines = |part: &[(&str, String)]| part.iter().map(|(_, line)| line.as_str()).collect::<String>();
        let own: Vec<_> = own.into_iter().chain(gates).collect();
        let mut text = lines(&node);
        if !own.is_empty() || !extra.is_empty() {
            text += &format!("kubelet:\n{}", lines(&own));
        }
        if !extra.is_empty() {
            text += &format!("  extraConfig:\n{}", lines(&extra));
        }
        let parts = [node, own, extra].into_iter().flatten();
        Case {
            text,
            fields: parts.map(|(name, _)| name).collect(),
        }
    })
}

/// The NodeConfig with these lines, if it is accepted.
fn accepted(kubelet: KubeletMinor, lines: &str) -> Option<NodeConfig> {
    let ca: String = CA.lines().map(|line| format!("    {line}\n")).collect();
    let text = format!(
        "apiVersion: basalt.dev/v1\nkind: NodeConfig\ncluster:\n  endpoint: https://10.87.0.1:6443\n  \
         bootstrapToken: abcdef.0123456789abcdef\n  ca: |\n{ca}{lines}"
    );
    // 2030, when the certificate is valid.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_893_456_000);
    check_for("node.yaml", &text, Clock::Right(now), kubelet)
        .ok()
        .map(|(config, _)| config)
}

/// Random NodeConfigs that are accepted, always the same ones.
fn accepted_cases(kubelet: KubeletMinor, number: usize) -> Vec<(Case, Planned)> {
    let mut runner = TestRunner::deterministic();
    let strategy = cases(kubelet);
    let made = std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current());
    let good = made
        .take(ATTEMPTS * number)
        .filter_map(|case| Some((Planned::of(&accepted(kubelet, &case.text)?), case)));
    good.map(|(planned, case)| (case, planned)).take(number).collect()
}

/// Results of a function for each of some items, on all processors.
fn of_each<T: Sync, R: Send>(items: &[T], function: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
    let (next, results) = (Mutex::new(items.iter().enumerate()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let item = next.lock().unwrap().next();
                    let Some((index, item)) = item else { break };
                    let result = function(index, item);
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    results.into_inner().unwrap()
}

#[test]
fn every_field_has_values() {
    let of_pool: BTreeSet<_> = EXTRA.iter().map(|(name, _)| *name).collect();
    let known: BTreeSet<_> = kubelet_extra_fields(KubeletMinor::NEWEST).collect();
    assert_eq!(of_pool, known);
    let one = |pool: Pool, before: &str| {
        for (name, values) in pool {
            let good = values
                .iter()
                .any(|value| accepted(KubeletMinor::NEWEST, &format!("{before}{name}: {value}\n")).is_some());
            assert!(good, "no value of {name} is accepted");
        }
    };
    one(NODE, "");
    one(OWN, "kubelet:\n  ");
    one(EXTRA, "kubelet:\n  extraConfig:\n    ");
}

/// The rules judge what the agent makes of a NodeConfig as they judge the NodeConfig: else fields of a cluster would be left
/// out that have no part in what is wrong.
#[test]
fn what_is_accepted_is_accepted_as_a_whole_configuration() {
    for kubelet in KubeletMinor::ALL {
        for (case, planned) in accepted_cases(kubelet, CASES) {
            let configuration = planned.configuration.as_object().unwrap();
            let mut objections = kubelet_objections(kubelet, configuration);
            // The address of the node is an argument of the kubelet, and no field.
            objections.retain(|objection| !objection.contains("would listen at an address"));
            assert!(objections.is_empty(), "{kubelet}: {objections:?}\n{}", case.text);
        }
    }
}

#[test]
fn the_real_kubelet_takes_whatever_is_accepted() {
    let Some(runs) = run::kubelet("the_real_kubelet_takes_whatever_is_accepted") else {
        return;
    };
    // One that it has to refuse: else nothing is tested.
    let mut wrong = Planned::of(&accepted(runs.minor, "").unwrap());
    wrong.configuration["kubeAPIBurst"] = json!(-1);
    let objection = runs.objection("wrong", &wrong).unwrap_or_default();
    assert!(objection.contains("kubeAPIBurst"), "{objection}");
    wrong.configuration["kubeAPIBurst"] = json!(1);
    wrong.configuration["noSuchField"] = json!(1);
    let objection = runs.objection("unknown", &wrong).unwrap_or_default();
    assert!(objection.contains("noSuchField"), "{objection}");

    let long = std::env::var_os("BASALT_TEST_LONG").is_some();
    let number = if long { CASES_LONG } else { CASES };
    let cases = accepted_cases(runs.minor, number);
    assert_eq!(cases.len(), number, "too few NodeConfigs are accepted");
    let seen: BTreeSet<_> = cases.iter().flat_map(|(case, _)| &case.fields).collect();
    let of_kubelet: BTreeSet<_> = kubelet_extra_fields(runs.minor).collect();
    let extra = EXTRA.iter().map(|(name, _)| name);
    let extra = extra.filter(|name| of_kubelet.contains(*name));
    let all = [NODE, OWN].into_iter().flatten().map(|(name, _)| name).chain(extra);
    let missing: Vec<_> = all.filter(|name| !seen.contains(*name)).collect();
    assert!(missing.is_empty(), "no accepted NodeConfig has {missing:?}");

    let refusals = of_each(&cases, |index, (case, planned)| {
        let objection = runs.objection(&index.to_string(), planned)?;
        Some(format!("{}{objection}", case.text))
    });
    let refusals: Vec<_> = refusals.into_iter().flatten().collect();
    assert!(
        refusals.is_empty(),
        "{} of {number} accepted NodeConfigs are refused:\n\n{}",
        refusals.len(),
        refusals.join("\n\n")
    );
}

#[test]
fn each_rule_of_the_kubelet_is_one_of_the_check() {
    for (minors, says, _, lines) in RULES {
        for kubelet in *minors {
            let config = accepted(*kubelet, &format!("{lines}\n"));
            assert!(config.is_none(), "the kubelet of {kubelet} says `{says}`: {lines}");
        }
    }
}

#[test]
fn the_real_kubelet_has_each_rule() {
    let Some(runs) = run::kubelet("the_real_kubelet_has_each_rule") else {
        return;
    };
    let least = Planned::of(&accepted(runs.minor, "").unwrap());
    let rules: Vec<_> = RULES
        .iter()
        .filter(|(minors, ..)| minors.contains(&runs.minor))
        .collect();
    let wrong = of_each(&rules, |index, (_, says, fields, _)| {
        let mut planned = least.clone();
        let fields: Map<String, Value> = serde_json::from_str(fields).unwrap();
        overlay(planned.configuration.as_object_mut().unwrap(), &fields);
        let objection = runs.objection(&format!("rule-{index}"), &planned).unwrap_or_default();
        (!objection.contains(*says)).then(|| format!("{says}: {objection}"))
    });
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_real_kubelet_has_the_same_feature_gates() {
    let Some(runs) = run::kubelet("the_real_kubelet_has_the_same_feature_gates") else {
        return;
    };
    let least = Planned::of(&accepted(runs.minor, "").unwrap());
    let known: Vec<_> = kubelet_feature_gates(runs.minor).collect();
    let wrong = of_each(&known, |_, (name, default)| {
        // The other value, with nothing that would need the gate `GracefulNodeShutdown`.
        let mut planned = least.clone();
        planned.configuration["featureGates"][*name] = json!(!default);
        let lines = format!(
            "kubelet: {{ shutdownGracePeriod: 0s, featureGates: {{ {name}: {} }} }}\n",
            !default
        );
        let good = accepted(runs.minor, &lines);
        let planned = good.as_ref().map_or(planned, Planned::of);
        let objection = runs.objection(name, &planned);
        (good.is_some() == objection.is_some()).then(|| format!("{name}: {objection:?}"))
    });
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Those of the help, all but the stable ones: `Name=true|false (BETA - default=true)`. What follows is of other settings.
    let help = runs.said(&["--help".into()]);
    let of_help: Vec<_> = help
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.trim().split_once("=true|false (")?;
            Some((name, rest.split(')').next()?.ends_with("default=true")))
        })
        .collect();
    assert!(!of_help.is_empty(), "{help}");
    let other: Vec<_> = of_help.iter().filter(|gate| !known.contains(gate)).collect();
    assert!(other.is_empty(), "the table does not have these: {other:?}");
}

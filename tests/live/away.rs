//! An API server that is away, for as long as an upgrade of a control plane takes or longer.

use std::time::{Duration, Instant};

use basalt_test_environment::{Failed, ensure, pause, shown};
use serde_json::{Value, json};

use crate::fixture::{Fixture, has_condition};
use crate::node::{Node, READY, boot_id};

/// Time for which it is away.
const AWAY: Duration = Duration::from_secs(600);
/// Time-out of the nodes' return after that.
const BACK: Duration = Duration::from_secs(180);

/// What tells that a pod's container has run since then: its pod, and the number of its restarts.
fn life(pod: &Value) -> (String, u64) {
    let id = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let restarts = pod["status"]["containerStatuses"][0]["restartCount"].as_u64();
    (id.to_owned(), restarts.unwrap_or(u64::MAX))
}

/// Two nodes lose it: one stays up, with its pod; the power of the other one is cut meanwhile.
pub fn the_api_server_is_away_for_ten_minutes(fixture: &Fixture) -> Result<(), Failed> {
    let cluster = fixture.cluster()?;
    let mut stays = Node::new(fixture, "stays", &fixture.node)?;
    let mut falls = Node::new(fixture, "falls", &fixture.node)?;
    stays.switch_on()?;
    falls.switch_on()?;
    let (stayed, fell) = (boot_id(&stays.ready(None)?), boot_id(&falls.ready(None)?));
    let container = json!({ "name": "web", "image": cluster.image("basalt-web")? });
    cluster.apply(&stays.pod("stays", &container, "Always"))?;
    let pod = life(&stays.pod_until("stays", "runs", |pod| has_condition(pod, "Ready"))?);

    let began = Instant::now();
    for node in [&stays, &falls] {
        node.lan.behave(|behaviour| behaviour.is_away = true);
    }
    falls.cut_power();
    falls.switch_on()?;
    falls.wait_for("the boot is good without it", READY)?;
    pause(AWAY.saturating_sub(began.elapsed()))?;
    // Neither was given up by itself, nor by the one that watches it.
    stays.running()?.check("living without an API server").map_err(shown)?;
    ensure(stays.console().matches("stays joins https://").count() == 1, || {
        stays.console()
    })?;
    ensure(falls.console().matches("falls joins https://").count() == 1, || {
        falls.console()
    })?;

    for node in [&stays, &falls] {
        node.lan.behave(|behaviour| behaviour.is_away = false);
    }
    let object = stays.ready_within(BACK, None)?;
    ensure(boot_id(&object) == stayed, || "it started again".to_owned())?;
    falls.ready_within(BACK, Some(&fell))?;
    let after = stays.pod_until("stays", "is Ready again", |pod| has_condition(pod, "Ready"))?;
    ensure(life(&after) == pod, || format!("{:?}, not {pod:?}", life(&after)))
}

//! Leases: two runs never act at once, however slow the API server is.

use std::path::Path;
use std::time::Duration;

use basalt_migrate::{MigrateError, ReplacementSource};
use basalt_progress::Silent;
use serde_json::json;

use super::objects::basalt;
use super::replacements::two_nodes;
use super::server::Answer;
use super::simulation::{Simulation, busy, options};

#[tokio::test(start_paused = true)]
async fn a_run_whose_requests_are_slow_keeps_its_lease() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
    });
    // A round takes a minute, twice the time for which a Lease lasts.
    simulation.slow_down(Duration::from_secs(7));
    let mut options = options(&["old-1"]);
    options.deadline = Duration::from_secs(7200);
    let (first, second) = (simulation.migrator("first"), simulation.migrator("second"));
    let late = async {
        tokio::time::sleep(Duration::from_secs(60)).await;
        second.run(&options, &Silent).await
    };
    let (first, second) = tokio::join!(first.run(&options, &Silent), late);
    let error = second.expect_err("refused");
    assert!(
        matches!(&error, MigrateError::Held { holder, .. } if holder == "first"),
        "{error:?}"
    );
    assert!(first.expect("a report").complete);
    let writes = simulation.writes();
    assert!(
        writes.len() > 10 && writes.iter().all(|(client, _)| client == "first"),
        "{writes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_run_that_cannot_renew_its_lease_changes_nothing_more() {
    let simulation = Simulation::new(two_nodes);
    simulation.slow_down(Duration::from_secs(3));
    let clock = simulation.clone();
    simulation.fault(move |call| {
        let cut = call.client == "first" && call.resource == "leases" && (60..125).contains(&clock.seconds());
        cut.then(|| Answer::status(503, "ServiceUnavailable", "etcdserver: leader changed").response())
    });
    // There is something to do when the Lease has run out.
    simulation.at(88, |state| drop(state.put("nodes", "", basalt("new-1"))));
    let options = options(&["old-1"]);
    let (first, second) = (simulation.migrator("first"), simulation.migrator("second"));
    let late = async {
        tokio::time::sleep(Duration::from_secs(62)).await;
        second.run(&options, &Silent).await
    };
    let (first, second) = tokio::join!(first.run(&options, &Silent), late);
    let error = first.expect_err("it ends");
    assert!(
        matches!(&error, MigrateError::LeaseLost { holder } if holder == "second"),
        "{error:?}"
    );
    assert!(second.expect("a report").complete);
    let writes = simulation.writes();
    let acts = |client: &str| {
        let own = writes.iter().enumerate();
        own.filter(|(_, (by, resource))| by == client && resource != "leases")
            .map(|(at, _)| at)
            .collect::<Vec<_>>()
    };
    let taken = writes
        .iter()
        .position(|(by, _)| by == "second")
        .expect("it took the Lease");
    assert!(acts("first").iter().all(|at| *at < taken), "{writes:?}");
    assert!(!acts("first").is_empty() && !acts("second").is_empty(), "{writes:?}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ran_out_and_was_not_taken_is_renewed() {
    let simulation = Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
    });
    let clock = simulation.clone();
    simulation.fault(move |call| {
        let cut = call.resource == "leases" && (5..120).contains(&clock.seconds());
        cut.then(|| Answer::status(500, "InternalError", "etcdserver: request timed out").response())
    });
    let report = simulation.run(&options(&["old-1"])).await.expect("a report");
    assert!(report.complete, "{report:?}");
    assert!(simulation.seconds() >= 120, "it went on without a Lease");
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_taken_from_a_busy_server() {
    let with_failures = |until: i64| {
        let simulation = Simulation::new(|state| {
            two_nodes(state);
            state.put("nodes", "", basalt("new-1"));
        });
        let clock = simulation.clone();
        let mut asked = 0;
        simulation.fault(move |call| {
            if call.resource != "leases" || clock.seconds() >= until {
                return None;
            }
            asked += 1;
            Some(match asked % 2 {
                0 => busy("1"),
                _ => Answer::status(503, "ServiceUnavailable", "the server is shutting down").response(),
            })
        });
        simulation
    };
    let short = with_failures(60);
    assert!(short.run(&options(&["old-1"])).await.expect("a report").complete);
    let long = with_failures(100_000);
    let error = long.run(&options(&["old-1"])).await.expect_err("it gives up");
    assert!(
        matches!(error, MigrateError::Unavailable { outage, .. } if outage.as_secs() > 300),
        "{error:?}"
    );
    assert!(long.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_command_ends_when_the_lease_is_lost() {
    let folder = std::env::temp_dir().join(format!("basalt-migrate-lease-{}", std::process::id()));
    fs_err::create_dir_all(&folder).expect("a folder");
    let file = folder.join("process");
    let simulation = Simulation::new(two_nodes);
    let mut options = options(&["old-1"]);
    let command = format!("echo $$ > {0}.new; mv {0}.new {0}; exec sleep 300", file.display());
    options.replacement = ReplacementSource::Command(command);
    // Time that is paused stands still while a command runs: it is moved on here, by far more than the machine's own.
    let others = async {
        let mut taken = false;
        for _ in 0..12_000 {
            std::thread::sleep(Duration::from_millis(5));
            tokio::time::advance(Duration::from_millis(100)).await;
            if !taken && file.exists() {
                taken = true;
                let other = json!({ "spec": { "holderIdentity": "somebody else" } });
                simulation.state(|state| state.edit("leases", "kube-system", "basalt-migrate", other));
            }
        }
    };
    let error = tokio::select! {
        result = simulation.run(&options) => result.expect_err("it ends"),
        () = others => panic!("the run goes on"),
    };
    assert!(
        matches!(&error, MigrateError::LeaseLost { holder } if holder == "somebody else"),
        "{error:?}"
    );
    let process = fs_err::read_to_string(&file).expect("it was run");
    let process = Path::new("/proc").join(process.trim());
    assert!(!process.exists(), "{} runs on", process.display());
    fs_err::remove_dir_all(&folder).expect("removed");
}

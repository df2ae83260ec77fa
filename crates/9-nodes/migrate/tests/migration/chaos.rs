//! Random disturbances: lost answers, refused connections, failures, conflicts, and kills between them.

use basalt_migrate::MigrateError;
use proptest::prelude::*;

use super::objects::basalt;
use super::replacements::two_nodes;
use super::simulation::{Disturbance, Simulation, options};

fn cluster() -> Simulation {
    Simulation::new(|state| {
        two_nodes(state);
        state.put("nodes", "", basalt("new-1"));
        state.put("nodes", "", basalt("new-2"));
    })
}

/// Runs until a run comes to its end, as a patient user does; every other run is killed.
async fn persist(simulation: &Simulation, kills: &[usize]) -> Result<(), MigrateError> {
    let options = options(&["old-1", "old-2"]);
    let mut kills = kills.iter();
    for _ in 0..100 {
        let ended = match kills.next() {
            Some(writes) => simulation.run_until_kill(&options, *writes).await,
            None => Some(simulation.run(&options).await),
        };
        match ended {
            Some(Ok(_)) => return Ok(()),
            Some(Err(MigrateError::Unavailable { .. })) | None => {}
            Some(Err(error)) if error.is_transient() || error.is_conflict() => {}
            Some(Err(error)) => return Err(error),
        }
    }
    panic!("no end after 100 runs");
}

fn in_simulated_time<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().expect("a runtime");
    runtime.block_on(work)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_disturbed_migration_comes_to_the_same_end(
        seed in any::<u64>(),
        percent in 0_u64..20,
        kills in proptest::collection::vec(1_usize..40, 0..6),
    ) {
        let (expected, actual, fewest) = in_simulated_time(async move {
            let reference = cluster();
            persist(&reference, &[]).await.expect("a report");
            let simulation = cluster();
            simulation.disturb(Some(Disturbance::new(seed, percent)));
            persist(&simulation, &kills).await.expect("a report");
            // What the last run could not write any more, the next one does.
            simulation.disturb(None);
            persist(&simulation, &[]).await.expect("a report");
            reference.settle().await;
            simulation.settle().await;
            (reference.summary(), simulation.summary(), simulation.fewest("web-5f7d"))
        });
        prop_assert_eq!(actual, expected);
        prop_assert!(fewest >= 1);
    }
}

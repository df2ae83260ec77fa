//! Plans of synthetic distributions: complete, in order, the same for the same packages in any order.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use basalt_bench::{SyntheticDistribution, SyntheticPlan};
use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

fn plan(synthetic: &SyntheticDistribution) -> SyntheticPlan {
    SyntheticPlan::make(synthetic).unwrap_or_else(|error| panic!("{error}"))
}

/// Keys by the names of packages.
fn keys(plan: &SyntheticPlan) -> BTreeMap<String, String> {
    let key = |(id, built): (&_, &std::sync::Arc<basalt_build::Built>)| {
        (plan.distribution.package(*id).name().to_owned(), built.key.to_string())
    };
    plan.built.iter().map(key).collect()
}

/// Fails unless every package is in the plan once, after all that it is built from.
fn check(plan: &SyntheticPlan, count: usize) {
    let graph = &plan.distribution.graph;
    let order = graph.order().unwrap_or_else(|error| panic!("{error}"));
    let places: BTreeMap<_, _> = order.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    assert_eq!(
        (order.len(), places.len()),
        (count, count),
        "each package stands in the order once"
    );
    assert_eq!((plan.built.len(), plan.jobs.len()), (count, count));
    for id in graph.ids() {
        let below = graph.closure(graph.needs(id).iter().copied());
        assert!(below.iter().all(|need| places[need] < places[&id]));
        assert!(below.iter().all(|need| graph.below(id).contains(*need)));
        assert_eq!(below.len(), graph.below(id).len());
        let job = plan.jobs.job(basalt_schedule::JobId::new(id.index()));
        let needs: BTreeSet<usize> = job.needs.iter().map(|need| need.index()).collect();
        assert_eq!(needs, graph.needs(id).iter().map(|need| need.index()).collect());
    }
    let different: BTreeSet<_> = keys(plan).into_values().collect();
    assert_eq!(different.len(), count, "no two packages have the same key");
    assert!(plan.images.values().all(|rpms| !rpms.is_empty()));
}

#[test]
fn five_thousand_packages_are_planned() {
    let plan = plan(&SyntheticDistribution::new(5000, 1));
    check(&plan, 5000);
    let report = plan.report();
    assert!(report.rpms > 10_000 && report.most_below > 300, "{report:?}");
}

#[test]
fn an_edit_changes_the_keys_that_see_it_only() {
    let mut synthetic = SyntheticDistribution::new(100, 1);
    let before = keys(&plan(&synthetic));
    synthetic.packages[99].files[0].1.push(b'\n');
    let after = keys(&plan(&synthetic));
    let changed: Vec<_> = before.iter().filter(|(name, key)| after[*name] != **key).collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(*changed[0].0, synthetic.packages[99].name);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// The order in which packages are read makes no difference to keys and images.
    #[test]
    fn the_order_of_packages_does_not_matter(count in 1..150_usize, seed in any::<u64>()) {
        let mut synthetic = SyntheticDistribution::new(count, seed);
        let first = plan(&synthetic);
        check(&first, count);
        synthetic.packages.shuffle(&mut StdRng::seed_from_u64(seed));
        let second = plan(&synthetic);
        check(&second, count);
        prop_assert_eq!(keys(&first), keys(&second));
        prop_assert_eq!(&first.images, &second.images);
    }
}

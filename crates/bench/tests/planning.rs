#[test]
fn try_it() {
    let n = std::env::var("N").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let s = basalt_bench::SyntheticDistribution::new(n, 1);
    let p = basalt_bench::SyntheticPlan::make(&s).unwrap();
    println!("{:#?}", p.report());
}

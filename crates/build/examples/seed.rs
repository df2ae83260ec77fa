use basalt_build::*;
use basalt_model::arch::Arch;
use basalt_model::digest::Digest;
use basalt_sources::Tools;
use basalt_store::Store;
use camino::Utf8Path;
use std::collections::BTreeMap;
use std::sync::Arc;
#[derive(serde::Deserialize)]
struct Old {
    name: String,
    key: Digest,
    rpms: Vec<Rpm>,
    seconds: u64,
}
fn main() -> Result<(), Box<dyn std::error::Error>> {
    basalt_sandbox::enter_if_asked();
    let root = std::env::args().nth(1).unwrap_or("/work/main".into());
    let root = Utf8Path::new(&root);
    let store = Store::open(&Store::default_path()?)?;
    let mut old: BTreeMap<String, Old> = BTreeMap::new();
    for entry in std::fs::read_dir(store.root().join("results"))? {
        let bytes = std::fs::read(entry?.path())?;
        if let Ok(found) = serde_json::from_slice::<Old>(&bytes) {
            old.insert(found.name.clone(), found);
        }
    }
    let sdk = basalt_sdk::ensure(&store, &root.join("distro/sdk/sdk.lock"), &basalt_progress::Silent)?;
    let base = BuildBase::make(root, &sdk, Arch::X86_64, &store)?;
    let distribution = Distribution::read(&root.join("distro/packages"), &base, &store)?;
    let tools = Tools::new(root, &sdk);
    let engine = Engine::new(&store, &distribution, &base, &tools, &basalt_progress::Silent, 16000);
    let mut built: BuiltPackages = BTreeMap::new();
    for id in distribution.graph.order()? {
        let name = distribution.package(id).name().to_owned();
        if !distribution.graph.needs(id).iter().all(|need| built.contains_key(need)) {
            println!("{name}: needs are missing");
            continue;
        }
        let known = old.get(&name);
        match engine.seed(id, &built, known.map(|old| (old.rpms.clone(), old.seconds)))? {
            Some((result, how)) => {
                println!("{name}: {how} {} (was {:?})", result.key, known.map(|old| old.key));
                built.insert(id, Arc::new(result));
            }
            None => println!("{name}: not built before"),
        }
    }
    Ok(())
}

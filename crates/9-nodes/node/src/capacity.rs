//! Capacity of the machine against the configuration of its kubelet.
//!
//! What a NodeConfig or a cluster says of processors, memory and the disk was checked without the machine. Right before the
//! kubelet starts, it is compared with the machine that is there: what the kubelet would not start with is left out, and told.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value};

use crate::apply::{self, Applied, ApplyError, below};
use crate::paths;
use crate::plan::PlannedFile;
use crate::plan::kubelet::pretty;
use crate::size::{Size, online_processors};

mod fit;

pub use fit::fit;

/// Capacity of a machine, as the kubelet sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capacity {
    /// Processors and memory.
    pub size: Size,
    /// Processors that are online, by number.
    pub processors: BTreeSet<u16>,
    /// Number of sockets with such processors, if a configuration asks for it.
    pub sockets: Option<usize>,
    /// NUMA nodes by number.
    pub numa_nodes: BTreeSet<u16>,
    /// Size of the file system of `/var` in bytes, if it is known.
    pub disk: Option<u64>,
}

impl Capacity {
    /// Reads the capacity of the machine whose root is here, as far as a configuration of the kubelet asks for it.
    pub fn read(root: &Path, configuration: &Map<String, Value>) -> Option<Self> {
        let processors = online_processors(root)?;
        let disk = rustix::fs::statvfs(below(root, "/var")).ok();
        Some(Self {
            size: Size::of_processors(root, &processors)?,
            sockets: fit::aligns_by_socket(configuration).then(|| sockets(root, &processors)),
            numa_nodes: numa_nodes(root),
            disk: disk.map(|disk| disk.f_blocks.saturating_mul(disk.f_frsize)),
            processors,
        })
    }

    /// Amount of a resource, in processors or bytes.
    fn of(&self, resource: &str) -> Option<f64> {
        match resource {
            "cpu" => Some(float(self.size.processors)),
            "memory" => Some(float(self.size.memory)),
            _ => self.disk.map(float),
        }
    }
}

/// Number of the sockets that these processors are in. Each processor has a file that names its own.
fn sockets(root: &Path, processors: &BTreeSet<u16>) -> usize {
    let packages = processors.iter().filter_map(|number| {
        let path = format!("/sys/devices/system/cpu/cpu{number}/topology/physical_package_id");
        fs_err::read_to_string(below(root, &path)).ok()
    });
    packages.collect::<BTreeSet<_>>().len()
}

/// NUMA nodes of a machine. A kernel that knows none has one.
fn numa_nodes(root: &Path) -> BTreeSet<u16> {
    let folder = below(root, "/sys/devices/system/node");
    let entries = fs_err::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let nodes: BTreeSet<u16> = names
        .filter_map(|name| name.strip_prefix("node")?.parse().ok())
        .collect();
    if nodes.is_empty() { BTreeSet::from([0]) } else { nodes }
}

/// Fits the kubelet's configuration to the machine, and adds what was left out to the record of this boot; returns it in words.
///
/// # Errors
/// When a file cannot be written.
pub fn fit_configuration(root: &Path, applied: &mut Applied) -> Result<Vec<String>, ApplyError> {
    let read = fs_err::read(below(root, paths::KUBELET_CONFIG)).ok();
    let read = read.and_then(|text| serde_json::from_slice::<Map<String, Value>>(&text).ok());
    let Some(mut configuration) = read else {
        return Ok(Vec::new());
    };
    let Some(capacity) = Capacity::read(root, &configuration) else {
        return Ok(Vec::new());
    };
    let told = fit(&mut configuration, &capacity);
    if !told.is_empty() {
        let text = pretty(&Value::Object(configuration));
        apply::write(root, &PlannedFile::secret(paths::KUBELET_CONFIG, text))?;
        let new: Vec<_> = told
            .iter()
            .filter(|line| !applied.warnings.contains(line))
            .cloned()
            .collect();
        applied.warnings.extend(new);
        apply::write_applied(root, applied)?;
    }
    Ok(told)
}

/// The number as a floating-point one, exactly below 2^53.
fn float(number: u64) -> f64 {
    let half = |number: u64| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    half(number >> 32) * 4_294_967_296.0 + half(number & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_file_is_fitted_once_and_the_status_tells() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let write = |path: &str, text: &str| {
            let path = below(root, path);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(path, text).unwrap();
        };
        write("/proc/meminfo", "MemTotal: 4194304 kB\n");
        write("/sys/devices/system/cpu/online", "0-1\n");
        for cpu in [0, 1] {
            write(
                &format!("/sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"),
                "0\n",
            );
        }
        write("/sys/devices/system/node/node0/cpulist", "0-1\n");
        write("/var/a", "");
        let by_socket = json!({ "cpuManagerPolicyOptions": { "align-by-socket": "true" } });
        let capacity = Capacity::read(root, by_socket.as_object().unwrap()).unwrap();
        assert_eq!((capacity.sockets, capacity.numa_nodes.len()), (Some(1), 1));
        assert_eq!(Capacity::read(root, &Map::new()).unwrap().sockets, None);
        assert!(capacity.disk.is_some_and(|disk| disk > 0));
        let mut applied = Applied {
            origin: "test".to_owned(),
            hostname: "worker-1".to_owned(),
            endpoint: "https://a:1".to_owned(),
            wanted: crate::address::Wanted::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        };
        // Without a configuration, there is nothing to fit.
        assert!(fit_configuration(root, &mut applied).unwrap().is_empty());
        write(
            paths::KUBELET_CONFIG,
            r#"{ "reservedSystemCPUs": "0,9", "maxPods": 50 }"#,
        );
        assert_eq!(fit_configuration(root, &mut applied).unwrap().len(), 1);
        assert!(fit_configuration(root, &mut applied).unwrap().is_empty());
        let text = fs_err::read(below(root, paths::KUBELET_CONFIG)).unwrap();
        let found: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(found, json!({ "reservedSystemCPUs": "0", "maxPods": 50 }));
        assert_eq!(apply::read_applied(root).unwrap().warnings, applied.warnings);
        assert_eq!(applied.warnings.len(), 1);
    }
}

//! A machine that is to become a node of the cluster, on a network of its own.

use std::time::Duration;

use basalt_machine::{Disk, Machine, RunningMachine, SystemdCredential, mac_address};
use basalt_node_config::defaults::CREDENTIAL;
use basalt_release::Arch;
use basalt_test_environment::lan::{Behaviour, Lan, Lease};
use basalt_test_environment::{Failed, Shell, console_end, console_text, shown, until_every};
use camino::Utf8Path;
use serde_json::Value;

use crate::fixture::{Cluster, Fixture, has_condition};

/// Time-out of a boot until the node is Ready, beside another machine, without KVM.
pub const READY: Duration = Duration::from_secs(900);
/// Time-out of a boot until the first lines of the system.
pub const BOOT: Duration = Duration::from_secs(300);
/// Line of systemd when the state partition is there.
pub const MOUNTED: &str = "Mounted var.mount";
/// Interval of looks at the cluster.
pub const TICK: Duration = Duration::from_secs(2);
/// Size of disks, in MiB.
pub const DISK: u64 = 8192;
/// Duration of a lease that outlasts its test, in seconds.
const LONG_LEASE: u32 = 24 * 3600;

/// A machine, its network, and its node. All are gone when it is dropped.
pub struct Node<'f> {
    fixture: &'f Fixture,
    cluster: &'f Cluster,
    /// Name of the node.
    pub name: String,
    /// Description of the machine, for its next start.
    pub machine: Machine,
    /// Network of the machine.
    pub lan: Lan,
    /// Last number of its address.
    pub number: u8,
    running: Option<RunningMachine>,
}

impl<'f> Node<'f> {
    /// A machine with two processors, 2 GiB of memory and a virtio disk, with a NodeConfig that makes it join.
    pub fn new(fixture: &'f Fixture, name: &str, image: &Utf8Path) -> Result<Self, Failed> {
        let cluster = fixture.cluster()?;
        let folder = fixture.folder().join(name);
        let number = fixture.address();
        let behaviour = Behaviour {
            lease: Some(Lease {
                address: [10, 87, 0, number].into(),
                seconds: LONG_LEASE,
            }),
            ..Behaviour::default()
        };
        let lan = Lan::start(&folder.join("lan"), behaviour, &cluster.upstreams)?;
        let mut machine = Machine::new(name, folder, Arch::X86_64);
        machine.disks.push(Disk::overlay(image, DISK));
        machine.networks.push(lan.card(mac_address(name, 0)));
        machine.kernel_arguments.push("systemd.show_status=1".to_owned());
        let mut node = Self {
            fixture,
            cluster,
            name: name.to_owned(),
            machine,
            lan,
            number,
            running: None,
        };
        node.configure(&cluster.config(name));
        Ok(node)
    }

    /// Gives the machine another NodeConfig at its next start.
    pub fn configure(&mut self, config: &Value) {
        let credential = SystemdCredential::new(CREDENTIAL, format!("{config:#}\n"));
        self.machine.credentials = vec![credential];
    }

    /// Switches the machine on.
    pub fn switch_on(&mut self) -> Result<(), Failed> {
        self.running = Some(self.fixture.start(&self.machine)?);
        Ok(())
    }

    /// Cuts the machine's power. What its disk was not told to keep is lost.
    pub fn cut_power(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// Presses the power button, and waits for the shutdown.
    pub fn shut_down(&mut self) -> Result<(), Failed> {
        let running = self.running.take().ok_or("the machine is off")?;
        let how = running.stop(Duration::from_secs(180)).map_err(shown)?;
        match how {
            basalt_machine::Stopped::Orderly => Ok(()),
            other => Err(format!("it did not shut down: {other:?}\n{}", self.console_end()).into()),
        }
    }

    /// The machine while it runs.
    pub fn running(&mut self) -> Result<&mut RunningMachine, Failed> {
        self.running.as_mut().ok_or_else(|| "the machine is off".into())
    }

    /// Waits for a text on the console of this start.
    pub fn wait_for(&mut self, text: &str, timeout: Duration) -> Result<String, Failed> {
        let running = self.running()?;
        let mut console = running.console();
        running.wait_for(&mut console, text, timeout).map_err(shown)
    }

    /// Text of the console since the last start.
    pub fn console(&self) -> String {
        console_text(&self.machine.files().console_log())
    }

    /// Last lines of the console.
    pub fn console_end(&self) -> String {
        console_end(&self.machine.files().console_log())
    }

    /// Waits until the node is Ready, after another boot than an earlier one, and returns it.
    pub fn ready(&mut self, earlier: Option<&str>) -> Result<Value, Failed> {
        self.ready_within(READY, earlier)
    }

    /// Waits for that no longer than this.
    pub fn ready_within(&mut self, timeout: Duration, earlier: Option<&str>) -> Result<Value, Failed> {
        let what = format!("{} is Ready", self.name);
        self.until(&what, timeout, |node| {
            has_condition(node, "Ready") && earlier.is_none_or(|earlier| boot_id(node) != earlier)
        })
    }

    /// Waits until something holds of the node, and returns it.
    pub fn until(&mut self, what: &str, timeout: Duration, holds: impl Fn(&Value) -> bool) -> Result<Value, Failed> {
        let mut last = Value::Null;
        let mut ended = Ok(());
        let result = until_every(TICK, what, timeout, || {
            last = self.object().unwrap_or_default();
            ended = self.running().and_then(|running| running.check(what).map_err(shown));
            holds(&last) || ended.is_err()
        });
        ended?;
        result.map_err(|failed| {
            let text = failed.message().unwrap_or_default();
            let status = &last["status"];
            format!(
                "{text}\nconditions: {:#}\naddresses: {:#}\nthe end of its console:\n{}",
                status["conditions"],
                status["addresses"],
                self.console_end()
            )
        })?;
        Ok(last)
    }

    /// The node as the API server has it.
    pub fn object(&self) -> Result<Value, Failed> {
        self.cluster.get(&["node", &self.name])
    }

    /// The shell on the console of a debug image. Nothing is typed before the system runs: the boot loader would take it for
    /// a choice from its menu.
    pub fn shell(&mut self) -> Result<Shell, Failed> {
        self.wait_for(MOUNTED, BOOT)?;
        Shell::open(&self.machine.files(), BOOT)
    }

    /// A pod of a container on this node, whatever the node's condition: it is never moved.
    pub fn pod(&self, name: &str, container: &Value, restart: &str) -> Value {
        serde_json::json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": name },
            "spec": {
                "nodeName": self.name,
                "containers": [container],
                "restartPolicy": restart,
                "automountServiceAccountToken": false,
                "terminationGracePeriodSeconds": 1,
                "tolerations": [{ "operator": "Exists" }],
            },
        })
    }

    /// Waits until something holds of a pod, and returns it.
    pub fn pod_until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value, Failed> {
        let mut last = Value::Null;
        let result = until_every(TICK, &format!("{name} {what}"), READY, || {
            last = self.cluster.get(&["pod", name]).unwrap_or_default();
            holds(&last)
        });
        result.map_err(|failed| {
            let text = failed.message().unwrap_or_default();
            format!(
                "{text}\n{:#}\nthe end of its console:\n{}",
                last["status"],
                self.console_end()
            )
        })?;
        Ok(last)
    }
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        self.cut_power();
        let selector = format!("--field-selector=spec.nodeName={}", self.name);
        let pods = [
            "delete",
            "pods",
            "--all-namespaces",
            &selector,
            "--force",
            "--wait=false",
        ];
        let node = ["delete", "node", &self.name, "--ignore-not-found", "--wait=false"];
        drop(self.cluster.kubectl(&node));
        drop(self.cluster.kubectl(&pods));
        // Of a test that fails, the console is in its message.
        drop(fs_err::remove_dir_all(&self.machine.folder));
    }
}

/// Id of the boot that a node told last.
pub fn boot_id(node: &Value) -> String {
    node["status"]["nodeInfo"]["bootID"]
        .as_str()
        .unwrap_or_default()
        .to_owned()
}

/// Addresses of a node in its network.
pub fn addresses(node: &Value) -> Vec<String> {
    let addresses = node["status"]["addresses"].as_array().into_iter().flatten();
    let internal = addresses.filter(|address| address["type"] == "InternalIP");
    internal
        .filter_map(|address| address["address"].as_str().map(str::to_owned))
        .collect()
}

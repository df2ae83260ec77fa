//! The units of a node name the same places as the agent (`distro/packages/kubernetes-node`).

#![cfg(test)]

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use basalt_node::{join, paths, readiness};

/// The units by name.
fn units() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/kubernetes-node");
    let entries = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let units = entries.filter(|path| {
        path.extension().is_some_and(|kind| {
            ["path", "service", "socket", "timer"]
                .iter()
                .any(|known| kind == *known)
        })
    });
    let named = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, fs_err::read_to_string(path).unwrap())
    };
    units.map(named).collect()
}

#[track_caller]
fn has(unit: &str, line: &str) {
    let units = units();
    let text = units.get(unit).unwrap_or_else(|| panic!("there is no {unit}"));
    assert!(text.lines().any(|known| known == line), "{unit} has no line {line}");
}

#[test]
fn they_read_what_the_agent_writes() {
    has(
        "containerd.service",
        &format!("ExecStart=/usr/bin/containerd --config {}", paths::CONTAINERD_CONFIG),
    );
    has(
        "containerd.service",
        &format!("ConditionPathExists={}", paths::CONTAINERD_CONFIG),
    );
    has(
        "containerd.service",
        &format!("Environment=SSL_CERT_DIR={}", paths::CA_CERTIFICATES),
    );
    has(
        "containerd.service",
        &format!("EnvironmentFile=-{}", paths::CONTAINERD_ENVIRONMENT),
    );
    has("kubelet.service", &format!("ConditionPathExists={}", paths::APPLIED));
    has(
        "kubelet.service",
        &format!("EnvironmentFile={}", paths::KUBELET_ARGUMENTS),
    );
    has(
        "kubelet.service",
        &format!("EnvironmentFile=-{}", paths::KUBELET_ADDRESS),
    );
    has(
        "kubelet.service",
        &format!("EnvironmentFile=-{}", paths::KUBELET_ENVIRONMENT),
    );
    has(
        "basalt-ready.service",
        &format!("ConditionPathExists={}", paths::APPLIED),
    );
    has(
        "basalt-prepull.service",
        &format!("EnvironmentFile={}/units", paths::PREPULL),
    );
    has(
        "basalt-prepull@.service",
        &format!("EnvironmentFile={}/%i", paths::PREPULL),
    );
    has(
        "basalt-time-servers.path",
        &format!("PathChanged={}", paths::TIME_SERVERS_OF_DHCP),
    );
    has(
        "basalt-time-servers.path",
        &format!("PathChanged={}", paths::TIME_SERVERS),
    );
    has(
        "basalt-user-data.service",
        &format!("ConditionPathExists={}", paths::METADATA_STATE),
    );
    has(
        "basalt-report-ready.service",
        &format!("ConditionPathExists={}", paths::AZURE),
    );
    has("basalt-follow.service", "OnSuccess=basalt-address-change.service");
    has(
        "basalt-images.socket",
        &format!("ListenStream={}", paths::IMAGES_ADDRESS),
    );
}

#[test]
fn the_runtime_and_the_kubelet_are_started_for_ever() {
    for unit in ["containerd.service", "kubelet.service"] {
        has(unit, "Restart=always");
        has(unit, "StartLimitIntervalSec=0");
        has(unit, "RestartMaxDelaySec=1min");
        has(unit, "LimitCORE=0:infinity");
    }
    has("containerd.service", "TimeoutStartSec=3min");
    has("kubelet.service", "WatchdogSec=5min");
    let units = units();
    let kubelet = &units["kubelet.service"];
    let binds = ["Requires=", "BindsTo=", "Requisite=", "PartOf="];
    for line in kubelet.lines() {
        assert!(
            !binds.iter().any(|kind| line.starts_with(kind)),
            "a failed start elsewhere ends it: {line}"
        );
    }
}

/// The value of a time-out in a unit, in minutes or hours.
#[track_caller]
fn timeout(unit: &str, key: &str) -> Duration {
    let values = words(unit, key);
    let [value] = &values[..] else {
        panic!("{unit}: {key} {values:?}");
    };
    let (number, seconds) = match (value.strip_suffix("min"), value.strip_suffix('h')) {
        (Some(number), _) => (number, 60),
        (None, Some(number)) => (number, 3600),
        (None, None) => panic!("{unit}: {key}{value}"),
    };
    Duration::from_secs(number.parse::<u64>().unwrap() * seconds)
}

#[test]
fn the_kubelet_has_the_time_that_its_commands_take() {
    // systemd counts for each command of the unit anew.
    let kubelet = timeout("kubelet.service", "TimeoutStartSec=");
    // Name servers, the disk and the kubelet's own version take their time, too.
    let rest = Duration::from_secs(60);
    assert!(join::LONGEST + rest <= kubelet, "{:?} {kubelet:?}", join::LONGEST);
    assert!(timeout("containerd.service", "TimeoutStartSec=") <= kubelet);
    // The comment in the unit.
    assert_eq!(join::LONGEST, Duration::from_secs(5 * 60 + 20));
    // One try fits into the shortest deadline of a boot.
    assert!(kubelet < readiness::deadline(true, 0));
}

#[test]
fn a_node_joins_while_its_runtime_starts() {
    let units = units();
    let kubelet = &units["kubelet.service"];
    let line = |text: &str| {
        kubelet
            .lines()
            .position(|line| line == text)
            .unwrap_or_else(|| panic!("no line {text}"))
    };
    let join = line("ExecStartPre=/usr/bin/basalt-node join");
    // Without it, the kubelet would exit once, and its second try comes a second later.
    let runtime = line("ExecStartPre=-/usr/bin/systemctl start containerd.service");
    assert!(join < runtime);
    let mut after = kubelet.lines().filter(|line| line.starts_with("After="));
    assert!(
        !after.any(|line| line.contains("containerd")),
        "the join waits for the runtime"
    );
}

#[test]
fn what_is_idle_is_idle_beside_other_units() {
    let idle: Vec<_> = units()
        .into_iter()
        .filter(|(_, text)| text.contains("\nCPUSchedulingPolicy=idle\n"))
        .collect();
    assert!(!idle.is_empty());
    for (name, _) in idle {
        has(&name, "CPUWeight=idle");
    }
}

#[test]
fn the_pause_image_is_pulled_before_the_first_pod() {
    let unit = "basalt-pause-image.service";
    has(unit, &format!("ConditionPathExists={}", paths::CONTAINERD_SOCKET));
    has(
        unit,
        &format!(
            "ConditionPathExists=!{}/io.containerd.content.v1.content/blobs/sha256",
            paths::CONTAINERD_STATE
        ),
    );
    assert_eq!(words(unit, "After="), ["containerd.service"]);
    // The image that containerd begins pods with, in the golden files of plans, and that the root has.
    let image = format!("{}/pause:1", paths::IMAGES_HOST);
    let units = units();
    assert!(
        units[unit]
            .lines()
            .any(|line| line.ends_with(&format!(" pull {image}")))
    );
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/pause-image/pause-image.spec");
    let spec = fs_err::read_to_string(spec).unwrap();
    assert!(spec.lines().any(|line| line.split_whitespace().eq(["Version:", "1"])));
}

#[test]
fn programs_are_read_ahead_by_nobody_who_is_waited_for() {
    let unit = "basalt-read-ahead.service";
    has(unit, "ExecStart=/usr/bin/basalt-node read-ahead");
    has(unit, "DefaultDependencies=no");
    assert!(words(unit, "After=").is_empty(), "it waits");
    assert_eq!(words(unit, "Before="), ["shutdown.target"]);
    for name in units().keys() {
        assert!(!words(name, "After=").contains(&unit.to_owned()), "{name} waits for it");
    }
    // It reads what the others start.
    let started = |unit: &str, program: &str| {
        let units = units();
        let mut commands = units[unit].lines().filter_map(|line| line.strip_prefix("ExecStart="));
        assert!(
            commands.any(|command| command.split(' ').next() == Some(program)),
            "{unit}"
        );
    };
    started("containerd.service", paths::CONTAINERD);
    started("kubelet.service", paths::KUBELET);
}

#[test]
fn what_the_kernel_ends_last_has_a_limit_of_its_own() {
    // Not containerd: its control group has the shims of all containers.
    has("kubelet.service", "OOMScoreAdjust=-999");
    has("kubelet.service", "MemoryMax=50%");
}

#[test]
fn the_runtime_is_reset_before_it_starts() {
    let unit = "basalt-reset-runtime.service";
    has(unit, &format!("ConditionPathExists={}", paths::RESET_RUNTIME));
    has(unit, "Before=containerd.service");
    has(unit, "ExecStart=/usr/bin/basalt-node reset-runtime");
    // Both remove what the runtime has kept, of whatever owner.
    let capabilities = "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER";
    has(unit, capabilities);
    has("basalt-housekeeping.service", capabilities);
    // The folder is as at a first boot.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/kubernetes-node");
    let made = format!("d {} 0700 root root -", paths::CONTAINERD_STATE);
    let conf = fs_err::read_to_string(folder.join("tmpfiles.conf")).unwrap();
    assert!(conf.lines().any(|line| line == made), "{made}");
}

/// Words of all lines of a unit with this key.
fn words(unit: &str, key: &str) -> Vec<String> {
    let units = units();
    let values = units[unit].lines().filter_map(|line| line.strip_prefix(key));
    values.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

#[test]
fn user_data_is_waited_for_by_those_who_need_it_alone() {
    let unit = "basalt-user-data.service";
    assert_eq!(words(unit, "After="), ["basalt-node.service"]);
    assert_eq!(
        words(unit, "Before="),
        ["basalt-ready.service", "containerd.service", "kubelet.service"]
    );
    for name in units().keys().filter(|name| *name != "basalt-ready.service") {
        for key in ["After=", "Requires=", "BindsTo=", "Requisite="] {
            assert!(!words(name, key).contains(&unit.to_owned()), "{name} waits for it");
        }
    }
    // User data that cannot be used makes no good boot.
    assert!(words("basalt-ready.service", "Requires=").contains(&unit.to_owned()));
    assert!(words("basalt-ready.service", "After=").contains(&unit.to_owned()));
    // A question outlasts the longest boot.
    has(unit, "TimeoutStartSec=9h");
    // The spec starts both.
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/kubernetes-node");
    let spec = fs_err::read_to_string(folder.join("kubernetes-node.spec")).unwrap();
    let started = spec.split_once("for unit in ").unwrap().1.split_once("; do").unwrap().0;
    for unit in ["basalt-user-data", "basalt-report-ready"] {
        assert!(started.split_whitespace().any(|word| word == unit), "{unit}");
    }
}

#[test]
fn a_boot_that_is_not_good_ends() {
    has("basalt-deadline.service", "ExecStart=/usr/bin/basalt-node deadline");
    has("basalt-deadline.service", "FailureAction=reboot");
    has(
        "basalt-deadline.service",
        &format!("ConditionPathExists=!{}", paths::BOOT_GOOD),
    );
    // Neither waits for anything: what a boot hangs in does not keep them from running.
    for unit in ["basalt-deadline.service", "basalt-deadline.timer"] {
        has(unit, "DefaultDependencies=no");
        let after = units()[unit].lines().any(|line| line.starts_with("After="));
        assert!(!after, "{unit} waits for another unit");
    }
    // The wait for a good boot is not cut off before its deadline.
    assert!(readiness::LAST_DEADLINE < timeout("basalt-ready.service", "TimeoutStartSec="));
    // Nor is it over with its first error; boot-complete.target goes on waiting meanwhile.
    has("basalt-ready.service", "Restart=on-failure");
    has("basalt-ready.service", "RestartMode=direct");
    has("basalt-ready.service", "StartLimitIntervalSec=0");
}

#[test]
fn no_unit_waits_without_end() {
    let defaults = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/basalt-defaults");
    let mut units: Vec<_> = units().into_iter().collect();
    for entry in fs_err::read_dir(defaults).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|kind| kind == "service" || kind == "mount" || kind == "conf")
        {
            units.push((path.display().to_string(), fs_err::read_to_string(path).unwrap()));
        }
    }
    for (name, text) in units {
        for line in text.lines() {
            let endless = line.starts_with("Timeout") && line.ends_with("=infinity");
            assert!(!endless, "{name}: {line}");
        }
    }
}

/// Text of a file of `distro`.
fn distro(path: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro");
    fs_err::read_to_string(folder.join(path)).unwrap()
}

/// Values of all lines of a text that set this key.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .filter(|(known, _)| *known == key)
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn a_node_that_hangs_is_reset() {
    let manager = distro("packages/basalt-defaults/system.conf");
    assert_eq!(values(&manager, "CrashAction"), ["reboot"]);
    for key in ["RuntimeWatchdogSec", "RebootWatchdogSec"] {
        let value = values(&manager, key);
        let minutes = value.first().and_then(|value| value.strip_suffix("min"));
        let time = Duration::from_secs(
            60 * minutes
                .unwrap_or_else(|| panic!("{key} {value:?}"))
                .parse::<u64>()
                .unwrap(),
        );
        assert!(!time.is_zero() && time < readiness::deadline(true, 0), "{key} {time:?}");
    }
    // Every machine has one before systemd looks for it: they are no modules.
    let kernel = distro("packages/kernel/base.config");
    for option in ["CONFIG_WATCHDOG", "CONFIG_SOFT_WATCHDOG"] {
        let value = values(&kernel, option);
        assert!(
            value.iter().any(|value| value.split(' ').next() == Some("y")),
            "{option} {value:?}"
        );
    }
}

#[test]
fn containers_have_no_limits_of_the_runtime() {
    // They inherit them: limits of pods are those of the NodeConfig.
    has("containerd.service", "LimitMEMLOCK=infinity");
    has("containerd.service", "LimitNPROC=infinity");
    has("containerd.service", "TasksMax=infinity");
    let files = words("containerd.service", "LimitNOFILE=");
    let (soft, hard) = files[0].split_once(':').unwrap();
    let (soft, hard): (u64, u64) = (soft.parse().unwrap(), hard.parse().unwrap());
    // Programs that close all numbers up to the soft limit take long with more; Envoy raises its own to the hard one.
    assert!(soft <= 65_536 && hard >= 1 << 20, "{files:?}");
    let manager = distro("packages/basalt-defaults/system.conf");
    assert_eq!(values(&manager, "DefaultTasksMax"), ["infinity"]);
    assert_eq!(values(&manager, "DefaultLimitCORE"), ["0:infinity"]);
}

#[test]
fn the_state_of_a_node_is_mounted_for_containers() {
    let unit = distro("packages/basalt-defaults/var.mount");
    let options = values(&unit, "Options");
    let options: Vec<_> = options.iter().flat_map(|options| options.split(',')).collect();
    // Volumes of storage operators have device nodes, and containers' programs are run from there.
    for missing in ["nodev", "noexec", "ro"] {
        assert!(!options.contains(&missing), "{options:?}");
    }
    assert!(options.contains(&"nosuid"), "{options:?}");
    // A damaged file system ends the boot, and the next one repairs it.
    assert!(options.contains(&"errors=panic"), "{options:?}");
    assert_eq!(values(&unit, "Requires"), ["basalt-state-check.service"]);
    let image = distro("images/node.yaml");
    let restarts = |line: &str| line.trim().strip_prefix("- panic=").is_some_and(|time| time != "0");
    assert!(image.lines().any(restarts), "the kernel stops after a panic");
}

#[test]
fn disks_are_found_by_where_the_root_is() {
    let defaults = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/basalt-defaults");
    for (unit, device) in [("var.mount", "state"), ("boot.mount", "esp")] {
        let text = fs_err::read_to_string(defaults.join(unit)).unwrap();
        let what = format!("What=/dev/basalt/{device}");
        assert!(text.lines().any(|line| line == what), "{unit} has no line {what}");
    }
    for entry in fs_err::read_dir(&defaults).unwrap() {
        let path = entry.unwrap().path();
        let text = fs_err::read_to_string(&path).unwrap();
        let named = text
            .lines()
            .find(|line| !line.starts_with('#') && line.contains("by-partlabel"));
        assert_eq!(named, None, "{}: any disk can have that label", path.display());
    }
}

#[test]
fn the_network_is_followed_beside_the_kubelet() {
    let units = units();
    let mut wants = units["kubelet.service"]
        .lines()
        .filter_map(|line| line.strip_prefix("Wants="));
    assert!(wants.any(|wants| wants.split_whitespace().any(|unit| unit == "basalt-follow.service")));
    // Interfaces that come later belong to whoever attached them.
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/basalt-defaults/network.rules");
    let rules = fs_err::read_to_string(rules).unwrap();
    assert!(rules.contains(&format!("TEST==\"{}\"", paths::KUBELET_ADDRESS)));
    assert!(rules.contains(&format!("TEST!=\"{}/$attr{{address}}\"", paths::CARDS)));
}

#[test]
fn time_servers_take_the_place_of_the_pool() {
    let chrony = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../distro/packages/chrony");
    let conf = fs_err::read_to_string(chrony.join("chrony.conf")).unwrap();
    assert!(
        conf.lines()
            .any(|line| line == "sourcedir /run/chrony.d /usr/lib/chrony/sources.d")
    );
    assert!(
        !conf
            .lines()
            .any(|line| line.starts_with("pool") || line.starts_with("server"))
    );
    // The name of the file that the agent writes; see the golden file of the example.
    assert!(chrony.join("default.sources").exists());
    // However often they change, chronyd is started again.
    let unit = fs_err::read_to_string(chrony.join("chronyd.service")).unwrap();
    for line in ["StartLimitIntervalSec=0", "RestartMaxDelaySec=1min"] {
        assert!(
            unit.lines().any(|known| known == line),
            "chronyd.service has no line {line}"
        );
    }
}

#[test]
fn there_is_no_shell_to_call() {
    for (name, text) in units() {
        for line in text.lines().filter(|line| line.starts_with("Exec")) {
            let command = line.split_once('=').unwrap().1;
            // A failure of what has the sign does not count.
            let command = command.strip_prefix('-').unwrap_or(command);
            assert!(
                command.starts_with("/usr/bin/") && !command.contains("/sh "),
                "{name}: {line}"
            );
        }
    }
}

#[test]
fn nothing_waits_to_be_enabled() {
    for (name, text) in units() {
        assert!(
            !text.contains("[Install]"),
            "{name}: which units start is decided by links in the package"
        );
    }
}

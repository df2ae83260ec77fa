//! `basalt addons` on the kernels of the real images.

use basalt_test_environment::{Failed, TestDirectory, ensure, has_all};
use serde_json::Value;

use crate::fixture::{Fixture, TIMEOUT};

fn list<'r>(value: &'r Value, key: &str) -> Result<&'r Vec<Value>, Failed> {
    let found = value[key].as_array();
    found.ok_or_else(|| format!("there is no list `{key}`: {value:#}").into())
}

/// Returns `true` for an option that is built in or a module.
fn is_on(option: &Value) -> bool {
    ["built-in", "module"].iter().any(|state| option["state"] == *state)
}

pub fn the_kernel_has_what_is_listed(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let report = fixture.json(&["addons"], 0)?;
    ensure(report["failing"] == 0, || format!("{report:#}"))?;
    let kernel = report["kernel"]["name"].as_str().unwrap_or_default();
    ensure(
        kernel.starts_with("kernel-") && kernel.ends_with("of the image node"),
        || format!("{report:#}"),
    )?;
    let listed = fixture.text("distro/kernel-requirements.toml")?;
    let listed = listed.lines().filter(|line| *line == "[[addon]]").count();
    let addons = list(&report, "addons")?;
    ensure(addons.len() == listed && listed > 30, || {
        format!("{} add-ons of {listed}", addons.len())
    })?;
    for addon in addons {
        // Optional ones are held, too: what an add-on can use today, its users rely on tomorrow.
        for option in list(addon, "options")? {
            ensure(is_on(option), || format!("{}: {option:#}", addon["name"]))?;
        }
        for option in list(addon, "declined")? {
            ensure(!is_on(option), || format!("{}: {option:#}", addon["name"]))?;
        }
    }
    Ok(())
}

pub fn it_is_shown_in_short_and_in_full(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let short = fixture.run(&["addons"], 0)?.stdout;
    has_all(
        &short,
        &[
            "ADD-ON",
            "STATUS",
            "Cilium",
            "complete",
            "NFSD (refused)",
            "of the image node (x86_64)",
        ],
    )?;
    let full = fixture.run(&["addons", "WIREGUARD", "criu"], 0)?.stdout;
    has_all(
        &full,
        &[
            "WireGuard: complete\n  source    https://",
            "  required  CONFIG_WIREGUARD=y",
            "CRIU, the kubelet's container checkpoints: reduced",
            "  refused   CONFIG_USERFAULTFD: ",
        ],
    )?;
    ensure(!full.contains("Cilium"), || full.clone())?;
    let unknown = fixture.run(&["addons", "ciliun"], 1)?.stderr;
    has_all(&unknown, &["no add-on is called `ciliun`", "did you mean `Cilium`?"])?;
    let container = fixture.run(&["addons", "--image", "coredns"], 1)?.stderr;
    has_all(&container, &["there is no kernel in the image coredns"])
}

pub fn what_is_off_fails(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let folder = fixture.folder("kernel-of-elsewhere", &[("config", "CONFIG_X86_64=y\nCONFIG_TUN=m\n")])?;
    let config = folder.join("config");
    let ran = fixture.run(&["addons", "wireguard", "--config", config.as_str()], 1)?;
    has_all(
        &ran.stdout,
        &["WireGuard: lacking", "off       CONFIG_WIREGUARD (required): absent"],
    )?;

    // The image's kernel, and a table that asks it for more and refuses what it has.
    let table = fixture.text("distro/kernel-requirements.toml")?;
    let wireguard = "required = [\"CONFIG_WIREGUARD\", ";
    ensure(table.contains(wireguard), || "the table asks for WireGuard".to_owned())?;
    let lacking = table.replacen(wireguard, "required = [\"CONFIG_WIREGUARD\", \"CONFIG_ISDN\", ", 1);
    let cli = fixture.checkout("addons-lacking", &[("kernel-requirements.toml", &lacking)])?;
    let ran = cli.run(&["addons"], TIMEOUT)?.ended_with(1)?;
    has_all(&ran.stdout, &["lacking", "ISDN (REQUIRED)"])?;

    let refused = format!(
        "{table}\n[[addon]]\nname = \"Watchdogs\"\nsource = \"https://example.org/\"\nrequired = [\"CONFIG_WATCHDOG\"]\n\
         refused = [\"CONFIG_MAGIC_SYSRQ\"]\n\n[[refusal]]\noption = \"CONFIG_MAGIC_SYSRQ\"\nreason = \"For this test.\"\n"
    );
    let cli = fixture.checkout("addons-refused", &[("kernel-requirements.toml", &refused)])?;
    let ran = cli.run(&["addons", "watchdogs"], TIMEOUT)?.ended_with(1)?;
    has_all(
        &ran.stdout,
        &[
            "Watchdogs: contradicted",
            "wrong     CONFIG_MAGIC_SYSRQ is on, and should be off",
        ],
    )
}

pub fn a_wrong_table_is_told(directory: &TestDirectory) -> Result<(), Failed> {
    let fixture = &Fixture::of(directory);
    let table = fixture.text("distro/kernel-requirements.toml")?
        + "\n[[refusal]]\noption = \"CONFIG_VETH\"\nreason = \"No.\"\n";
    let cli = fixture.checkout("addons-wrong", &[("kernel-requirements.toml", &table)])?;
    let ran = cli.run(&["addons"], TIMEOUT)?.ended_with(1)?;
    has_all(
        &ran.stderr,
        &[
            "distro/kernel-requirements.toml",
            "`CONFIG_VETH` is to be off here, and on for the add-on",
            "this is no reason",
        ],
    )
}

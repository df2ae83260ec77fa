//! `basalt addons`: the kernel options that add-ons document, compared with an image's kernel.

use std::process::ExitCode;

use basalt_content::{ContentFile, DistributionContent};
use basalt_document::spelling::suggestion;
use basalt_hardening::{
    AddOnReport, AddOnTable, Kconfig, Need, OptionReport, OptionState, PackagedKernel, compare_addons, find_kernel,
};
use basalt_process::without_path;
use basalt_release::Arch;
use camino::{Utf8Path, Utf8PathBuf};
use miette::{IntoDiagnostic as _, Result, WrapErr as _, miette};

use super::{answer, answer_json, images};
use crate::arguments::Addons;
use crate::checkout::{Ahead, Checkout, read_text};
use crate::table::Table;

/// Width of the lists of options, in characters.
const WIDTH: usize = 100;

/// Kernel that is compared.
struct Kernel {
    /// Name for users: the package and the image, or the path of the file.
    name: String,
    config: Kconfig,
    arch: Arch,
}

/// Reads the kernel options that add-ons document.
pub(super) fn table(content: &DistributionContent) -> Result<AddOnTable> {
    let file = content.file(ContentFile::KernelRequirements);
    Ok(AddOnTable::parse(file.name.as_str(), &read_text(&file.path)?)?)
}

/// Compares the kernel with the table, and shows the add-ons.
pub fn run(checkout: &Checkout, options: &Addons, json: bool) -> Result<ExitCode> {
    // The table and the names are checked before anything is built: they may be wrong.
    let table = table(&checkout.content())?;
    check_names(&table, &options.names)?;
    let kernel = match &options.config {
        Some(path) => of_file(path)?,
        None => of_image(checkout, &options.image)?,
    };
    let mut reports = compare_addons(&table, &kernel.config, kernel.arch);
    if !options.names.is_empty() {
        reports.retain(|report| options.names.iter().any(|name| is_called(&report.name, name)));
    }
    let failing = reports.iter().filter(|report| report.status.is_failure()).count();
    if json {
        let kernel = serde_json::json!({ "name": kernel.name, "arch": kernel.arch });
        answer_json(&serde_json::json!({ "failing": failing, "kernel": kernel, "addons": reports }));
    } else if options.names.is_empty() {
        show_all(&kernel, &reports);
    } else {
        for report in &reports {
            answer(describe(report));
        }
    }
    Ok(if failing == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns `true` if a user means an add-on by a name: a part of it, in any case.
fn is_called(addon: &str, name: &str) -> bool {
    addon.to_lowercase().contains(&name.to_lowercase())
}

/// Checks that each name is one of an add-on.
fn check_names(table: &AddOnTable, names: &[String]) -> Result<()> {
    let known = || table.addons.iter().map(|addon| addon.name.as_str());
    for name in names {
        if !name.trim().is_empty() && known().any(|addon| is_called(addon, name)) {
            continue;
        }
        let list = || format!("the add-ons are: {}", known().collect::<Vec<_>>().join("; "));
        return Err(miette!(
            code = "addons::unknown",
            help = suggestion(name, known(), list),
            "no add-on is called `{name}`"
        ));
    }
    Ok(())
}

/// Reads the kernel of an image, whose packages are built if need be.
fn of_image(checkout: &Checkout, image: &str) -> Result<Kernel> {
    let context = checkout.lookup_context(Ahead::Nothing)?;
    let mut kernel = None;
    for parts in images::parts(checkout, &context, &[image])? {
        let paths: Vec<Utf8PathBuf> = parts.rpms.iter().map(|rpm| rpm.path(&checkout.store)).collect();
        kernel = find_kernel(paths.iter().map(Utf8PathBuf::as_path))?;
    }
    let Some(PackagedKernel { package, config, .. }) = kernel else {
        return Err(miette!(
            code = "addons::no_kernel",
            help = "name an image that boots, such as `node`; containers run on their node's kernel",
            "there is no kernel in the image {image}"
        ));
    };
    Ok(Kernel {
        name: format!("{package} of the image {image}"),
        config,
        arch: context.base.arch,
    })
}

/// Reads the configuration of a kernel from a file.
fn of_file(path: &Utf8Path) -> Result<Kernel> {
    let text = fs_err::read(path)
        .map_err(|error| without_path(error, path))
        .into_diagnostic()
        .wrap_err_with(|| format!("`{path}` cannot be read"))?;
    // A compressed one is no text, and has no options.
    let config = Kconfig::parse(&String::from_utf8_lossy(&text));
    let arch = config.arch().ok_or_else(|| {
        miette!(
            code = "addons::config",
            help = "it has neither CONFIG_X86_64=y nor CONFIG_ARM64=y; unpack /proc/config.gz first",
            "`{path}` is not a kernel configuration for x86_64 or aarch64"
        )
    })?;
    Ok(Kernel {
        name: path.to_string(),
        config,
        arch,
    })
}

/// Shows one line for each add-on, and a summary.
fn show_all(kernel: &Kernel, reports: &[AddOnReport]) {
    let mut table = Table::new(["add-on", "status", "on", "off"]);
    for report in reports {
        let missing = report.missing().count();
        let all = report.options.len();
        table.row([
            report.name.clone(),
            report.status.to_string(),
            format!("{} of {all}", all - missing),
            off(report).join(", "),
        ]);
    }
    answer(table);
    let failing = reports.iter().filter(|report| report.status.is_failure()).count();
    answer(format!(
        "{} ({}): {} add-ons, {failing} of them to correct. `basalt addons NAME` shows sources and reasons.",
        kernel.name,
        kernel.arch,
        reports.len(),
    ));
}

/// Options that are off, or on by mistake, in a few words each and without `CONFIG_`.
fn off(report: &AddOnReport) -> Vec<String> {
    let missing = report.missing().map(|option| match option.need {
        Need::Required => format!("{} (REQUIRED)", short(&option.option)),
        Need::Optional => short(&option.option).to_owned(),
    });
    let wrong = report.contradictions();
    let wrong = wrong.map(|declined| format!("{} ({}, AND ON)", short(&declined.option), declined.kind.name()));
    let withheld = report.withheld();
    let withheld = withheld.map(|declined| format!("{} ({})", short(&declined.option), declined.kind.name()));
    missing.chain(wrong).chain(withheld).collect()
}

fn short(option: &str) -> &str {
    option.strip_prefix("CONFIG_").unwrap_or(option)
}

/// Describes all options of an add-on, with its source and the reasons of refusals.
fn describe(report: &AddOnReport) -> String {
    let mut text = format!("{}: {}\n  source    {}\n", report.name, report.status, report.source);
    if let Some(why) = &report.why {
        text += &format!("  why       {why}\n");
    }
    for (title, need) in [("required", Need::Required), ("optional", Need::Optional)] {
        let on = report.options.iter().filter(|option| option.need == need);
        let on = on.filter_map(setting);
        text += &wrapped(title, on);
    }
    for option in report.missing() {
        let state = match option.state {
            OptionState::Absent => "absent: what it depends on is off, or this kernel does not have it",
            _ => "is not set",
        };
        let need = match option.need {
            Need::Required => "required",
            Need::Optional => "optional",
        };
        text += &format!("  off       {} ({need}): {state}\n", option.option);
    }
    for declined in report.contradictions() {
        let help = "correct distro/kernel-requirements.toml, or the kernel's fragments";
        text += &format!("  wrong     {} is on, and should be off: {help}\n", declined.option);
    }
    for declined in report.declined.iter().filter(|declined| !declined.state.is_on()) {
        let title = declined.kind.name();
        text += &format!("  {title:<9} {}: {}\n", declined.option, declined.reason);
    }
    text
}

/// Setting of an option that is on, as a configuration has it.
fn setting(option: &OptionReport) -> Option<String> {
    match option.state {
        OptionState::BuiltIn => Some(format!("{}=y", option.option)),
        OptionState::Module => Some(format!("{}=m", option.option)),
        OptionState::Off | OptionState::Absent => None,
    }
}

/// Words in lines of at most [`WIDTH`] characters, below a title.
fn wrapped(title: &str, words: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    let mut line = String::new();
    let mut title = title;
    let mut finish = |line: &mut String| {
        if !line.is_empty() {
            text += &format!("  {title:<9} {}\n", std::mem::take(line));
            title = "";
        }
    };
    for word in words {
        if !line.is_empty() && line.len() + word.len() >= WIDTH {
            finish(&mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += &word;
    }
    finish(&mut line);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = r#"
[[addon]]
name = "Rook and ceph-csi"
source = "https://example.org/rook"
why = "For this test."
required = ["CONFIG_BLK_DEV_RBD", "CONFIG_CEPH_LIB", "CONFIG_CEPH_FS", "CONFIG_BLK_DEV_DM", "CONFIG_FUSE_FS", "CONFIG_EXT4_FS", "CONFIG_XFS_FS"]
optional = ["CONFIG_DM_CRYPT"]
refused = ["CONFIG_CEPH_FSCACHE", "CONFIG_BTRFS_FS"]
obsolete = ["CONFIG_AUFS_FS"]

[[refusal]]
option = "CONFIG_CEPH_FSCACHE"
reason = "The page cache is enough."

[[refusal]]
option = "CONFIG_BTRFS_FS"
reason = "Large to compile."

[[obsolete]]
option = "CONFIG_AUFS_FS"
reason = "Never part of Linux."
"#;

    fn report() -> AddOnReport {
        let table = AddOnTable::parse("kernel-requirements.toml", TABLE).expect("right");
        let config = "CONFIG_X86_64=y\nCONFIG_BLK_DEV_RBD=m\nCONFIG_CEPH_LIB=m\nCONFIG_CEPH_FS=m\nCONFIG_BLK_DEV_DM=y\n\
                      CONFIG_FUSE_FS=y\nCONFIG_EXT4_FS=y\n# CONFIG_DM_CRYPT is not set\nCONFIG_BTRFS_FS=m\n";
        let mut reports = compare_addons(&table, &Kconfig::parse(config), Arch::X86_64);
        reports.remove(0)
    }

    #[test]
    fn an_add_on_is_called_by_a_part_of_its_name() {
        assert!(is_called("Rook and ceph-csi", "Ceph") && is_called("Rook and ceph-csi", "rook"));
        let table = AddOnTable::parse("kernel-requirements.toml", TABLE).expect("right");
        let names = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            check_names(&table, &names).map_err(|error| error.to_string())
        };
        assert!(names(&["ROOK", "ceph"]).is_ok() && names(&[]).is_ok());
        for unknown in ["longhorn", ""] {
            assert_eq!(
                names(&["rook", unknown]),
                Err(format!("no add-on is called `{unknown}`"))
            );
        }
    }

    #[test]
    fn every_option_is_described() {
        assert_eq!(
            describe(&report()),
            "\
Rook and ceph-csi: lacking
  source    https://example.org/rook
  why       For this test.
  required  CONFIG_BLK_DEV_RBD=m CONFIG_CEPH_LIB=m CONFIG_CEPH_FS=m CONFIG_BLK_DEV_DM=y CONFIG_FUSE_FS=y
            CONFIG_EXT4_FS=y
  off       CONFIG_XFS_FS (required): absent: what it depends on is off, or this kernel does not have it
  off       CONFIG_DM_CRYPT (optional): is not set
  wrong     CONFIG_BTRFS_FS is on, and should be off: correct distro/kernel-requirements.toml, or the kernel's fragments
  refused   CONFIG_CEPH_FSCACHE: The page cache is enough.
  obsolete  CONFIG_AUFS_FS: Never part of Linux.
"
        );
        assert_eq!(
            off(&report()).join(", "),
            "XFS_FS (REQUIRED), DM_CRYPT, BTRFS_FS (refused, AND ON), CEPH_FSCACHE (refused)"
        );
    }

    #[test]
    fn a_file_that_is_no_configuration_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("config")).expect("UTF-8");
        fs_err::write(&path, "hostname: x\n").expect("written");
        assert!(of_file(&path).is_err());
        fs_err::write(&path, "CONFIG_ARM64=y\n").expect("written");
        assert_eq!(of_file(&path).expect("a configuration").arch, Arch::Aarch64);
    }
}

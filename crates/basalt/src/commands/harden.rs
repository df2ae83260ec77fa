//! `basalt harden`: checks the hardening of images.

use std::process::ExitCode;

use basalt_content::ContentFile;
use basalt_hardening::{
    AllowedCompilers, CheckResult, Exceptions, HardeningReport, HardeningRequirements, ImageContents, Rules, inspect,
};
use basalt_image::definition::ImageKind;
use basalt_progress::{Outcome, Unit};
use miette::Result;

use super::{answer, answer_json, images};
use crate::arguments::Harden;
use crate::checkout::{Checkout, read_text};
use crate::table::Table;

/// Inspects the images, and shows the findings.
pub fn run(checkout: &Checkout, options: &Harden, json: bool) -> Result<ExitCode> {
    // Rules are read before anything is built: they may be wrong.
    let standard = standard(checkout)?;
    let context = checkout.build_context()?;
    let names: Vec<&str> = options.images.iter().map(String::as_str).collect();
    let all = images::parts(checkout, &context, &names)?;
    let mut reports = Vec::new();
    for parts in &all {
        let name = &parts.definition.name;
        let task = checkout
            .reporter()
            .task(&format!("looking at {name}"), Unit::Items, None);
        // Besides these, the command line of a kernel only names its root.
        let command_line = match &parts.definition.kind {
            ImageKind::Disk(settings) => Some(settings.kernel_arguments.join(" ")),
            _ => None,
        };
        let contents = images::with_payloads(checkout, &parts.rpms, |payloads| {
            ImageContents::read(&parts.definition, payloads, command_line.as_deref())
        })?;
        task.finish(Outcome::Done);
        reports.push(inspect(name, context.base.arch.name(), &contents, &standard));
    }
    let wrong: usize = reports.iter().map(HardeningReport::wrong).sum();
    if json {
        answer_json(&serde_json::json!({ "wrong": wrong, "images": reports }));
    } else {
        for report in &reports {
            show(report, options.all);
        }
    }
    for unused in reports.iter().filter_map(|report| report.unused.as_ref()) {
        crate::show_problems(unused);
    }
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Reads the distribution's rules for images.
fn standard(checkout: &Checkout) -> Result<HardeningRequirements> {
    let content = checkout.content();
    let [makers, rules, exceptions] = [
        ContentFile::Compilers,
        ContentFile::KernelHardening,
        ContentFile::HardeningExceptions,
    ]
    .map(|file| content.file(file));
    Ok(HardeningRequirements {
        makers: AllowedCompilers::parse(makers.name.as_str(), &read_text(&makers.path)?)?,
        rules: Rules::parse(rules.name.as_str(), &read_text(&rules.path)?)?,
        exceptions: Exceptions::parse(exceptions.name.as_str(), &read_text(&exceptions.path)?)?,
    })
}

fn show(report: &HardeningReport, all: bool) {
    let mut table = Table::new([report.image.as_str(), "fine", "excepted", "wrong", ""]);
    for group in &report.groups {
        let CheckResult {
            check,
            fine,
            excepted,
            wrong,
        } = group;
        table.row([
            check.to_string(),
            fine.to_string(),
            excepted.len().to_string(),
            wrong.len().to_string(),
            check.wish().to_owned(),
        ]);
    }
    answer(table);
    if all {
        for excepted in report.groups.iter().flat_map(|group| &group.excepted) {
            let finding = &excepted.finding;
            let reason = excepted.reason.split_whitespace().collect::<Vec<_>>().join(" ");
            answer(format!(
                "excepted  {}: {} {}\n          because: {reason}",
                finding.check, finding.subject, finding.what
            ));
        }
    }
    for finding in report.groups.iter().flat_map(|group| &group.wrong) {
        let from = match finding.package.as_str() {
            "" => String::new(),
            package => format!(" (of {package})"),
        };
        answer(format!(
            "wrong     {}: {}{from} {}",
            finding.check, finding.subject, finding.what
        ));
    }
    let marked = report.marked;
    answer(format!(
        "Of {} programs and libraries, {} are marked for branch tracking and {} for shadow stacks.",
        marked.programs, marked.branch_tracking, marked.shadow_stack
    ));
}

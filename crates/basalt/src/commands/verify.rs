//! `basalt verify`: rebuilds packages and images in another environment, and compares them bit for bit.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use basalt_build::PackageId;
use basalt_progress::Reporter as _;
use basalt_rebuild::{Checked, ImageRebuilder, PackageRebuilder, ProductKind, Variations, Varied, Verdict};
use miette::Result;

use super::{answer, answer_json, images, selection};
use crate::arguments::Verify;
use crate::checkout::{BuildContext, Checkout};
use crate::table::Table;

/// Verifies packages and images; all of them, if none is named.
pub fn run(checkout: &Checkout, options: &Verify, json: bool) -> Result<ExitCode> {
    let definitions = images::definitions(checkout)?;
    let context = checkout.build_context()?;
    let everything = options.names.is_empty();
    let (wanted_images, wanted_packages): (Vec<&str>, Vec<&str>) = if everything {
        (selection::without_variants(&definitions).collect(), Vec::new())
    } else {
        let names = options.names.iter().map(String::as_str);
        names.partition(|name| definitions.contains_key(*name))
    };
    let package = |name: &str| selection::package(name, &context, &definitions);
    let assembled = images::assemble(checkout, &context, &wanted_images)?;
    let mut targets: BTreeSet<PackageId> = wanted_packages.into_iter().map(package).collect::<Result<_>>()?;
    if everything {
        targets.extend(context.distribution.graph.ids());
    }
    for image in &assembled {
        for rpm in &image.parts.rpms {
            targets.insert(maker(&context, &rpm.package.name)?);
        }
    }
    for name in &options.without {
        targets.remove(&package(name)?);
    }
    let variations = Variations::prepare(&context.base, &context.sdk, &checkout.store)?;
    let mut checked = check_packages(checkout, &context, &variations, options.again, &targets)?;
    checked.extend(check_images(checkout, &context, options.again, &assembled)?);
    if json {
        let varied = variations.varied();
        answer_json(
            &serde_json::json!({ "varied": varied, "variedForImages": ImageRebuilder::varied(), "checked": checked }),
        );
    } else {
        show(&checked, &variations.varied());
    }
    let sound = checked.iter().all(Checked::is_identical);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns the package whose spec makes an RPM of a name.
fn maker(context: &BuildContext, name: &str) -> Result<PackageId> {
    match context.distribution.graph.maker(name) {
        Some(maker) => Ok(maker),
        None => Ok(context.distribution.find(name)?),
    }
}

fn check_packages(
    checkout: &Checkout,
    context: &BuildContext,
    variations: &Variations,
    again: bool,
    targets: &BTreeSet<PackageId>,
) -> Result<Vec<Checked>> {
    let engine = context.engine(checkout);
    let rebuilder = PackageRebuilder {
        engine: &engine,
        variations,
        again,
    };
    let targets: Vec<_> = targets.iter().copied().collect();
    Ok(rebuilder.check(&targets, &|checked| note_verdict(checkout, checked))?)
}

fn check_images(
    checkout: &Checkout,
    context: &BuildContext,
    again: bool,
    assembled: &[images::Assembled],
) -> Result<Vec<Checked>> {
    let catalogue = checkout.catalogue()?;
    let rebuilder = ImageRebuilder {
        composer: images::composer(checkout, context, &catalogue),
        again,
    };
    let mut checked = Vec::new();
    for one in assembled {
        let selection::Parts { definition, rpms } = &one.parts;
        let verdict = images::with_payloads(checkout, rpms, |payloads| {
            rebuilder.check(definition, payloads, &one.image)
        })?;
        note_verdict(checkout, &verdict);
        checked.push(verdict);
    }
    Ok(checked)
}

/// Number of differences that are shown at once with a verdict; all of them are shown at the end.
const AT_ONCE: usize = 3;

/// Shows a verdict as soon as it is known, unless it is remembered from an earlier run: the end may be an hour away.
fn note_verdict(checkout: &Checkout, checked: &Checked) {
    if checked.remembered {
        return;
    }
    let note = |text: String| checkout.terminal.note(&text);
    note(format!("  {:<28} {}", checked.name, word(&checked.verdict)));
    match &checked.verdict {
        Verdict::Identical => {}
        Verdict::Different { differences, .. } => {
            for difference in differences.iter().take(AT_ONCE) {
                note(format!("    {difference}"));
            }
        }
        Verdict::Failed { why, .. } => note(format!("    {why}")),
    }
}

fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Identical => "identical".to_owned(),
        Verdict::Different { differences, more, .. } => match differences.len() + more {
            1 => "differs, in 1 place".to_owned(),
            count => format!("differs, in {count} places"),
        },
        Verdict::Failed { .. } => "cannot be built again".to_owned(),
    }
}

fn show(checked: &[Checked], varied: &[Varied]) {
    let mut conditions = Table::new(["varied", "first", "again"]);
    for Varied { what, first, second } in varied {
        conditions.row([(*what).to_owned(), first.clone(), second.clone()]);
    }
    answer(conditions);
    let mut table = Table::new(["", "kind", "files", "built again in", "verdict"]);
    for one in checked {
        let kind = match one.kind {
            ProductKind::Package => "package",
            ProductKind::Image => "image",
        };
        let remembered = if one.remembered { ", as is known" } else { "" };
        table.row([
            one.name.clone(),
            kind.to_owned(),
            one.files.to_string(),
            format!("{} s", one.seconds),
            format!("{}{remembered}", word(&one.verdict)),
        ]);
    }
    answer(table);
    for one in checked {
        explain(one);
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for one in checked {
        *counts.entry(brief(&one.verdict)).or_default() += 1;
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    answer(counts.join(", "));
}

fn brief(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Identical => "identical",
        Verdict::Different { .. } => "different",
        Verdict::Failed { .. } => "not built again",
    }
}

/// Shows the differences, and the paths of both files.
fn explain(checked: &Checked) {
    match &checked.verdict {
        Verdict::Identical => {}
        Verdict::Different {
            differences,
            more,
            kept,
        } => {
            for difference in differences {
                answer(difference);
            }
            if *more > 0 {
                answer(format!("{}: and {more} more", checked.name));
            }
            for kept in kept {
                answer(format!(
                    "{}:\n  first {}\n  again {}",
                    kept.file, kept.first, kept.second
                ));
            }
            answer("");
        }
        Verdict::Failed { why, log } => {
            answer(why);
            if let Some(log) = log {
                answer(format!("the whole log: {log}\n"));
            }
        }
    }
}

//! `basalt audit`: known vulnerabilities of images and packages.

use std::collections::BTreeMap;
use std::process::ExitCode;

use basalt_advisories::{
    Assessment, Audited, Database, Level, Match, Upstreams, VexStatements, audit, backported_patches, openvex,
    parse_statements, sarif,
};
use basalt_bom::Inventory;
use basalt_content::{ContentFile, ContentFolder, ContentPath};
use basalt_document::spelling::{closest, did_you_mean};
use camino::Utf8PathBuf;
use miette::{IntoDiagnostic as _, Result, miette};

use super::{answer, answer_json};
use crate::arguments::Audit;
use crate::checkout::{BuildContext, Checkout, read_text};
use crate::table::Table;

/// Matches images and packages against a database, and shows the vulnerabilities.
pub fn run(checkout: &Checkout, options: &Audit, json: bool) -> Result<ExitCode> {
    let upstreams = checkout.content().file(ContentFile::Upstreams);
    let upstreams = Upstreams::parse(upstreams.name.as_str(), &read_text(&upstreams.path)?)?;
    // The database is read before anything is built: the path may be wrong.
    let database = Database::read(&options.database, Some(&checkout.store), checkout.reporter())?;
    let statements = vex_statements(checkout, &checkout.build_context()?)?;
    let mut audits = Vec::new();
    for name in &options.names {
        let inventory = super::bom::inventory(checkout, name)?;
        let audited = audit(&inventory, &database, &upstreams, &statements);
        audits.push((inventory, audited));
    }
    let failing = audits.iter().flat_map(|(_, audited)| &audited.matches);
    let failing = failing.filter(|found| found.fails(options.fail_on)).count();
    if json {
        let reports: Vec<_> = audits
            .iter()
            .map(|(inventory, audited)| serde_json::json!({ "subject": inventory.subject, "audit": audited }))
            .collect();
        answer_json(&serde_json::json!({ "failing": failing, "failOn": options.fail_on, "subjects": reports }));
    } else {
        for (inventory, audited) in &audits {
            show(inventory, audited, options.fail_on);
        }
    }
    let folders = checkout.content().entries(ContentFolder::Packages)?;
    for (inventory, audited) in &audits {
        let place = |path: &Utf8PathBuf| match audits.len() {
            1 => path.clone(),
            _ => with_name(path, &inventory.subject.name),
        };
        if let Some(path) = &options.vex {
            write(&place(path), &openvex(inventory, &statements))?;
        }
        if let Some(path) = &options.sarif {
            write(
                &place(path),
                &sarif(audited, options.fail_on, |package| spec(&folders, package)),
            )?;
        }
    }
    let unreadable = warn_unreadable(checkout, &database);
    Ok(if failing == 0 && !unreadable {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the path of a package's spec from the root of the checkout; that of its name, where no tree has the package.
fn spec(folders: &[ContentPath], package: &str) -> String {
    let file = format!("{package}.spec");
    match folders.iter().find(|folder| folder.file_name() == package) {
        Some(folder) => folder.join(&file).name.into_string(),
        None => file,
    }
}

/// Reports files that cannot be read, and returns `true` if there are any: an unread record may concern any package, so
/// that the audit fails.
fn warn_unreadable(checkout: &Checkout, database: &Database) -> bool {
    let statistics = &database.statistics;
    for (file, why) in &statistics.unreadable_files {
        checkout.reporter().warn(&format!("{file} is no OSV record: {why}"));
    }
    if statistics.unreadable > 0 {
        let text = format!(
            "{} files of the database could not be read; what they say is not known, so this audit fails",
            statistics.unreadable
        );
        checkout.reporter().warn(&text);
    }
    statistics.unreadable > 0
}

/// Collects our VEX statements: those of the content's folder `vex`, and the patches of the packages.
fn vex_statements(checkout: &Checkout, context: &BuildContext) -> Result<VexStatements> {
    let mut statements = VexStatements::default();
    let packages = || context.distribution.packages().map(|(_, package)| package);
    let names: Vec<&str> = packages().map(|package| package.name()).collect();
    for (package, file) in &checkout.content().files(ContentFolder::Vex, "toml")? {
        if !names.contains(&package.as_str()) {
            let help = match closest(package, names.iter().copied()) {
                Some(guess) => format!("rename it: {}", did_you_mean(format_args!("{guess}.toml"))),
                None => "a file is named like the folder of a package".to_owned(),
            };
            return Err(miette!(
                code = "advisories::vex",
                help = help,
                "`{}` is about a package that there is not",
                file.name
            ));
        }
        let text = read_text(&file.path)?;
        statements
            .statements
            .extend(parse_statements(package, file.name.as_str(), &text)?);
    }
    for package in packages() {
        let files = package.files.files().map(|(name, _)| name);
        let spec = package.files.read(&package.spec_file()).unwrap_or_default();
        let patches = backported_patches(files, &String::from_utf8_lossy(spec));
        for patch in patches.iter().filter(|patch| !patch.applied) {
            let text = format!(
                "{} of the package {} is not named in its spec, so it corrects nothing",
                patch.file,
                package.name()
            );
            checkout.reporter().warn(&text);
        }
        if !patches.is_empty() {
            statements.patches.insert(package.name().to_owned(), patches);
        }
    }
    Ok(statements)
}

fn show(inventory: &Inventory, audited: &Audited, fail_on: Level) {
    let name = &inventory.subject.name;
    if !audited.matches.is_empty() {
        let mut table = Table::new(["severity", "vulnerability", "component", "in", "fixed in", "answer"]);
        for found in &audited.matches {
            table.row(row(found));
        }
        answer(table);
    }
    let statistics = &audited.statistics;
    let failing = audited.matches.iter().filter(|found| found.fails(fail_on)).count();
    let answered = audited.matches.iter().filter(|found| found.answer.is_some()).count();
    answer(format!(
        "Known vulnerabilities in the {} components of {name}: {}; {answered} answered, {failing} to act on \
         ({fail_on} and above).",
        audited.components,
        audited.matches.len(),
    ));
    let others: u64 = statistics.other_ecosystems.values().sum();
    answer(format!(
        "Records in the database: {}, the newest of {}; {} withdrawn, {} that only list commits. Entries of ecosystems \
         whose versions are not upstream's: {others}.",
        statistics.records,
        match statistics.newest.as_str() {
            "" => "an unknown day",
            newest => newest.get(..10).unwrap_or(newest),
        },
        statistics.withdrawn,
        statistics.commits_only,
    ));
    if !audited.unmatched.is_empty() {
        let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (package, why) in &audited.unmatched {
            let why = why.split([':', ',', ';']).next().unwrap_or(why);
            reasons.entry(why).or_default().push(package);
        }
        let reasons = reasons
            .iter()
            .map(|(why, packages)| format!("  {why}: {}", packages.join(", ")));
        answer(format!(
            "Packages that are not matched themselves:\n{}",
            reasons.collect::<Vec<_>>().join("\n")
        ));
    }
}

fn row(found: &Match) -> [String; 6] {
    let severity = match found.severity {
        Some(severity) => match severity.score {
            Some(score) => format!("{} {score:.1}", severity.level),
            None => severity.level.to_string(),
        },
        None => "unrated".to_owned(),
    };
    let ids = match found.aliases.as_slice() {
        [] => found.id.clone(),
        aliases => format!("{} ({})", found.id, aliases.join(", ")),
    };
    let place = match found.files.as_slice() {
        [] => found.package.clone(),
        [one] => format!("{} {one}", found.package),
        [first, rest @ ..] => format!("{} {first} and {} more", found.package, rest.len()),
    };
    let answered = match (&found.answer, &found.undecided) {
        (Some(Assessment::Patch { file }), _) => format!("fixed: {file}"),
        (Some(Assessment::Statement(statement)), _) => format!("{}: {}", statement.status, statement.words),
        (None, Some(why)) => format!("not certain: {why}"),
        (None, None) => String::new(),
    };
    [
        severity,
        ids,
        format!("{}@{}", found.component, found.version),
        place,
        found.fixed.clone().unwrap_or_else(|| "-".to_owned()),
        answered,
    ]
}

/// Returns the file name for one of several subjects: `audit-node.json` for `audit.json`.
fn with_name(path: &Utf8PathBuf, name: &str) -> Utf8PathBuf {
    let stem = path.file_stem().unwrap_or("audit");
    let end = path.extension().map_or(String::new(), |end| format!(".{end}"));
    path.with_file_name(format!("{stem}-{name}{end}"))
}

fn write(path: &Utf8PathBuf, document: &serde_json::Value) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(document).into_diagnostic()?;
    text.push(b'\n');
    Ok(basalt_store::write::atomically(path, text)?)
}

//! `basalt cache`: the cache that a team shares.

use std::process::ExitCode;

use basalt_cache::cache::{Contents, LocationStatus};
use basalt_cache::{Cache, Keep, Pushed, SecretKey, Upload};
use basalt_progress::{Outcome, Unit};
use miette::{Result, miette};

use super::build::human;
use super::{answer, answer_json, images};
use crate::arguments::CacheVerb;
use crate::project::Project;
use crate::team_cache::{cache_blob, keys_path, secret_path};

/// Actions whose results are not pushed: apt, Go and cargo bring these again, and what is unpacked follows from what is pushed.
const LOCAL: [&str; 6] = [
    "basalt:install-debian-packages",
    "basalt:make-toolchain",
    "basalt:fetch-go-modules",
    "basalt:vendor-crates",
    "basalt:unpack-rpm",
    "basalt:lay-out-registry",
];

/// Fills the cache, fills the store from it, or tells of it.
pub fn run(project: &Project, what: &CacheVerb, json: bool) -> Result<ExitCode> {
    match what {
        CacheVerb::Key { name } => return key(name, json),
        CacheVerb::Push { names } => push(project, cache(project)?, names, json)?,
        CacheVerb::Pull { names } => pull(project, cache(project)?, names, json)?,
        CacheVerb::Status => status(cache(project)?, json),
        CacheVerb::Gc { keep, days, dry_run } => {
            let keep = Keep {
                bytes: keep.map(|size| size.as_u64()),
                days: *days,
                dry_run: *dry_run,
            };
            gc(cache(project)?, &keep, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cache(project: &Project) -> Result<&Cache> {
    let cache = project.cache.as_deref().map(|cache| &cache.0);
    cache.ok_or_else(|| {
        miette!(
            code = "cache::none",
            help =
                "name one: --cache /mnt/basalt-cache, or --cache grpcs://cache.example.org/instance, or $BASALT_CACHE",
            "no cache is named"
        )
    })
}

/// Makes a key to sign results with, unless there is one, and tells its public half.
fn key(name: &str, json: bool) -> Result<ExitCode> {
    let nowhere = || miette!("neither XDG_CONFIG_HOME nor HOME is set: name a file with BASALT_CACHE_SECRET");
    let path = secret_path()?.ok_or_else(nowhere)?;
    let key = if path.exists() {
        SecretKey::load(&path)?
    } else {
        let key = SecretKey::generate(name)?;
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder).map_err(basalt_store::StoreError::io("cannot create", folder))?;
        }
        key.save(&path)?;
        key
    };
    let public = key.public().to_string();
    if json {
        answer_json(&serde_json::json!({ "secret": path, "public": public }));
    } else {
        answer(&public);
        let list = keys_path()?.unwrap_or_default();
        answer(format!(
            "# The secret key is {path}. Whoever is to believe what it signs adds the line above to {list}."
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds what is named, as far as it is not built, and pushes the results of all actions that this took.
fn push(project: &Project, cache: &Cache, names: &[String], json: bool) -> Result<()> {
    if !cache.writes() {
        return Err(miette!(
            code = "cache::read_only",
            help = "`basalt cache key` makes a key to sign with; a location with `?mode=read` is not written to",
            "nothing can be written to the cache"
        ));
    }
    make(project, names)?;
    let keys = project.store.used_actions();
    let reporter = project.reporter();
    let task = reporter.task("pushing", Unit::Items, Some(keys.len() as u64));
    let mut sum = Pushed::default();
    let mut results = 0_u64;
    for key in &keys {
        task.advance(1);
        let Some(result) = project.store.own_action_result(&key.digest) else {
            continue;
        };
        let arguments = project.store.action_arguments(key).unwrap_or_default();
        if arguments.first().is_some_and(|name| LOCAL.contains(&name.as_str())) {
            continue;
        }
        let Some(exported) = project.store.export(&result)? else {
            continue;
        };
        let upload = Upload {
            action: cache_blob(key),
            result: result.to_proto(),
            also: Vec::new(),
        };
        let open = |blob: &basalt_cache::Blob| {
            let blob = basalt_action::Blob {
                digest: blob.digest,
                size: blob.size,
            };
            exported
                .open(&blob)
                .map(|content| Box::new(content) as Box<dyn basalt_cache::Source>)
        };
        let pushed = cache.push(&upload, &open)?;
        results += u64::from(pushed.locations > 0);
        sum.blobs += pushed.blobs;
        sum.bytes += pushed.bytes;
    }
    task.finish(Outcome::Done);
    if json {
        answer_json(&serde_json::json!({ "results": results, "blobs": sum.blobs, "bytes": sum.bytes }));
    } else {
        answer(format!(
            "{results} results are in the cache; {} blobs were new ({} before compression)",
            sum.blobs,
            human(sum.bytes)
        ));
    }
    Ok(())
}

/// Brings what is named into the store: from the cache, as far as that has it.
fn pull(project: &Project, cache: &Cache, names: &[String], json: bool) -> Result<()> {
    make(project, names)?;
    let read: u64 = cache.statistics().iter().map(|(_, one)| one.bytes_read).sum();
    if json {
        answer_json(&serde_json::json!({ "bytes": read }));
    } else {
        answer(format!("{} came from the cache", human(read)));
    }
    Ok(())
}

/// Packages and images by name; without a name, the images of a cluster and of its nodes.
fn make(project: &Project, names: &[String]) -> Result<()> {
    let definitions = images::definitions(project)?;
    let context = project.build_context()?;
    let (wanted, packages): (Vec<&str>, Vec<&str>) = names
        .iter()
        .map(String::as_str)
        .partition(|name| definitions.contains_key(*name));
    let mut targets = Vec::new();
    for name in &packages {
        targets.push(super::build::package(name, &context, &definitions)?);
    }
    if !targets.is_empty() {
        context.engine(project).build(targets)?;
    }
    let wanted = if names.is_empty() {
        definitions.keys().map(String::as_str).collect()
    } else {
        wanted
    };
    images::make_in(project, &context, &wanted).map(drop)
}

fn status(cache: &Cache, json: bool) {
    let statuses = cache.status();
    if json {
        let entries: Vec<_> = statuses
            .iter()
            .map(|status| serde_json::json!({ "location": status.location.to_string(), "contents": contents(status) }))
            .collect();
        return answer_json(&entries);
    }
    for status in &statuses {
        answer(format!("{}: {}", status.location, contents(status)));
    }
}

fn contents(status: &LocationStatus) -> String {
    match &status.contents {
        Ok(Contents::Folder(folder)) => format!(
            "{} results, {} blobs, {} on the disk",
            folder.results,
            folder.blobs,
            human(folder.bytes)
        ),
        Ok(Contents::Server(features)) => format!(
            "a server that {} results; streams {} compressed",
            if features.update { "takes" } else { "takes no" },
            if features.zstd { "are" } else { "are not" }
        ),
        Err(error) => basalt_process::chain(error),
    }
}

fn gc(cache: &Cache, keep: &Keep, json: bool) -> Result<()> {
    let mut answers = Vec::new();
    for (location, outcome) in cache.gc(keep) {
        let collected = outcome?;
        if json {
            answers.push(serde_json::json!({
                "location": location.to_string(), "blobs": collected.blobs, "results": collected.results,
                "freed": collected.freed, "kept": collected.kept,
            }));
        } else {
            let would = if keep.dry_run { "would be " } else { "" };
            answer(format!(
                "{location}: {} results and {} blobs {would}removed ({}), {} stay",
                collected.results,
                collected.blobs,
                human(collected.freed),
                human(collected.kept)
            ));
        }
    }
    if json {
        answer_json(&answers);
    }
    Ok(())
}

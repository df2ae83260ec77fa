//! `basalt cache`: the shared cache of a team.

use std::collections::BTreeSet;
use std::process::ExitCode;

use basalt_action::{ActionResult, Blob, OutputFile};
use basalt_cache::cache::{GcOutcome, LocationContents, LocationGc, LocationStatus};
use basalt_cache::{Cache, Pushed, RetentionPolicy, SecretKey, Upload};
use basalt_digest::Digest;
use basalt_progress::{Outcome, Unit};
use basalt_store::Store;
use miette::{Result, miette};

use super::selection::Selection;
use super::{answer, answer_json, human, images, up};
use crate::arguments::CacheVerb;
use crate::checkout::{Ahead, BuildContext, Checkout};
use crate::team_cache::{keys_path, secret_path};

/// Fills the cache, fills the store from it, or shows its state.
pub fn run(checkout: &Checkout, what: &CacheVerb, json: bool) -> Result<ExitCode> {
    match what {
        CacheVerb::Key { name } => return key(name, json),
        CacheVerb::Push { names, all } => push(checkout, cache(checkout)?, &Wanted::of(names, *all), json)?,
        CacheVerb::Pull { names } => pull(checkout, cache(checkout)?, &Wanted::of(names, false), json)?,
        CacheVerb::Status => return Ok(status(cache(checkout)?, json)),
        CacheVerb::Gc { keep, days, dry_run } => {
            let keep = RetentionPolicy {
                bytes: keep.map(|size| size.as_u64()),
                days: *days,
                dry_run: *dry_run,
            };
            gc(cache(checkout)?, &keep, json)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn cache(checkout: &Checkout) -> Result<&Cache> {
    let cache = checkout.cache.as_deref().map(|cache| &cache.0);
    cache.ok_or_else(|| {
        miette!(
            code = "cache::none",
            help =
                "name one: --cache /mnt/basalt-cache, or --cache grpcs://cache.example.org/instance, or $BASALT_CACHE",
            "no cache is named"
        )
    })
}

/// Makes a key that signs results, unless there is one, and shows its public half.
fn key(name: &str, json: bool) -> Result<ExitCode> {
    let nowhere = || miette!("neither XDG_CONFIG_HOME nor HOME is set: name a file with BASALT_CACHE_SECRET");
    let path = secret_path()?.ok_or_else(nowhere)?;
    let key = if path.exists() {
        SecretKey::load(&path)?
    } else {
        let key = SecretKey::generate(name)?;
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder).map_err(basalt_store::FileError::new("cannot create", folder))?;
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

/// Builds the wanted packages, unless they are built already, and pushes the results of all actions of these builds.
fn push(checkout: &Checkout, cache: &Cache, wanted: &Wanted<'_>, json: bool) -> Result<()> {
    if !cache.writes() {
        return Err(miette!(
            code = "cache::read_only",
            help = "`basalt cache key` makes a key to sign with; a location with `?mode=read` is not written to",
            "nothing can be written to the cache"
        ));
    }
    let content = wanted.content(checkout)?;
    let keys = checkout.store.used_actions();
    let reporter = checkout.reporter();
    let task = reporter.task("pushing", Unit::Items, Some(keys.len() as u64));
    let mut sum = Pushed::default();
    let (mut results, mut incomplete) = (0_u64, 0_u64);
    for key in &keys {
        task.advance(1);
        let Some(pushed) = push_result(&checkout.store, cache, key, &content)? else {
            continue;
        };
        results += u64::from(pushed.locations > 0);
        incomplete += u64::from(pushed.failed > 0);
        sum.blobs += pushed.blobs;
        sum.bytes += pushed.bytes;
    }
    task.finish(Outcome::Done);
    if json {
        answer_json(&serde_json::json!({
            "results": results, "incomplete": incomplete, "blobs": sum.blobs, "bytes": sum.bytes,
        }));
    } else {
        answer(format!(
            "{results} results are in the cache; {} blobs were new ({} before compression)",
            sum.blobs,
            human(sum.bytes)
        ));
        status(cache, false);
    }
    match incomplete {
        0 => Ok(()),
        incomplete => Err(miette!(
            code = "cache::incomplete",
            help = "the warnings above say why; the same command writes what is missing",
            "{incomplete} results could not be written to all locations of the cache"
        )),
    }
}

/// Pushes the result of an action; `None` if the store does not have it, or not all that is to be shared of it.
fn push_result(store: &Store, cache: &Cache, key: &Blob, content: &Content) -> Result<Option<Pushed>> {
    let Some(result) = store.own_action_result(&key.digest) else {
        return Ok(None);
    };
    let named = content.of(&result, store);
    let Some(exported) = store.export(&named)? else {
        return Ok(None);
    };
    // Whoever pushes vouches for the result, whoever has signed it before.
    let unsigned = |result: ActionResult| ActionResult { signer: None, ..result }.to_proto();
    let upload = Upload {
        action: *key,
        result: unsigned(result),
        named: unsigned(named),
        also: Vec::new(),
    };
    let open = |blob: &Blob| {
        let opened = exported.open(blob);
        opened.map(|content| Box::new(content) as Box<dyn basalt_cache::BlobSource>)
    };
    Ok(Some(cache.push(&upload, &open)?))
}

/// Brings the wanted packages into the store: from the cache, as far as it has them.
fn pull(checkout: &Checkout, cache: &Cache, wanted: &Wanted<'_>, json: bool) -> Result<()> {
    let context = checkout.lookup_context(Ahead::All)?;
    let selection = wanted.selection(checkout, &context)?;
    let provided = selection.provide(checkout, &context, &context.engine(checkout))?;
    images::compose(checkout, &context, provided.chosen.images)?;
    let read: u64 = cache.statistics().iter().map(|(_, one)| one.bytes_read).sum();
    if json {
        answer_json(&serde_json::json!({ "bytes": read }));
    } else {
        answer(format!("{} came from the cache", human(read)));
    }
    Ok(())
}

/// Selection of packages and images to push or pull.
enum Wanted<'a> {
    /// Images of `up`.
    Cluster,
    /// Packages and images by name.
    Named(&'a [String]),
    All,
}

impl<'a> Wanted<'a> {
    fn of(names: &'a [String], all: bool) -> Self {
        match names {
            _ if all => Self::All,
            [] => Self::Cluster,
            names => Self::Named(names),
        }
    }

    /// Returns the images and packages that are meant.
    fn selection(&self, checkout: &Checkout, context: &BuildContext) -> Result<Selection> {
        let definitions = images::definitions(checkout)?;
        match self {
            Self::Cluster => {
                let of_cluster = up::image_names();
                let images = definitions.into_keys();
                Ok(Selection {
                    images: images.filter(|name| of_cluster.contains(&name.as_str())).collect(),
                    packages: BTreeSet::new(),
                })
            }
            Self::Named(names) => Selection::named(names, context, &definitions),
            Self::All => Ok(Selection::all(context, &definitions)),
        }
    }

    /// Builds the selection, and returns the RPMs whose content is to be shared.
    fn content(&self, checkout: &Checkout) -> Result<Content> {
        let context = checkout.lookup_context(Ahead::All)?;
        let selection = self.selection(checkout, &context)?;
        let provided = selection.provide(checkout, &context, &context.engine(checkout))?;
        Ok(match self {
            Self::Cluster => {
                let installed = provided.chosen.images.iter().flat_map(|parts| &parts.rpms);
                Content::Installed(installed.map(|rpm| rpm.digest).collect())
            }
            Self::Named(_) | Self::All => Content::AllRpms,
        })
    }
}

/// Selection of outputs whose content is shared.
enum Content {
    /// RPMs that images install.
    Installed(BTreeSet<Digest>),
    /// All RPMs.
    AllRpms,
}

impl Content {
    /// Returns the part of a result whose content is shared, as far as the store has it: RPMs and their metadata. The
    /// content of folders is not shared: apt makes the SDK again, Go and cargo fetch modules, and unpacked or composed
    /// folders follow from RPMs. Their digests are part of the result, and so of keys, all the same.
    fn of(&self, result: &ActionResult, store: &Store) -> ActionResult {
        let is_shared = |file: &OutputFile| {
            let is_wanted = match self {
                Self::Installed(rpms) => rpms.contains(&file.blob.digest) || !file.path.ends_with(".rpm"),
                Self::AllRpms => true,
            };
            is_wanted && store.object(&file.blob.digest).is_some()
        };
        ActionResult {
            files: result.files.iter().filter(|file| is_shared(file)).cloned().collect(),
            directories: Vec::new(),
            ..result.clone()
        }
    }
}

/// Shows all locations; the exit code is 1 if one of them cannot be read.
fn status(cache: &Cache, json: bool) -> ExitCode {
    let statuses = cache.status();
    if json {
        let entries: Vec<_> = statuses
            .iter()
            .map(|status| {
                let bytes = match &status.contents {
                    Ok(LocationContents::Folder(folder)) => Some(folder.bytes),
                    _ => None,
                };
                let error = status.contents.as_ref().err().map(|error| basalt_process::chain(error));
                serde_json::json!({
                    "location": status.location.to_string(), "contents": contents(status), "bytes": bytes, "error": error,
                })
            })
            .collect();
        answer_json(&entries);
    } else {
        for status in &statuses {
            answer(format!("{}: {}", status.location, contents(status)));
        }
    }
    if statuses.iter().all(|status| status.contents.is_ok()) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn contents(status: &LocationStatus) -> String {
    match &status.contents {
        Ok(LocationContents::Folder(folder)) => format!(
            "{} results, {} blobs, {} on the disk",
            folder.results,
            folder.blobs,
            human(folder.bytes)
        ),
        Ok(LocationContents::Server(features)) => format!(
            "a server that {} results; streams {} compressed",
            if features.update { "takes" } else { "takes no" },
            if features.zstd { "are" } else { "are not" }
        ),
        Err(error) => basalt_process::chain(error),
    }
}

fn gc(cache: &Cache, keep: &RetentionPolicy, json: bool) -> Result<()> {
    let mut answers = Vec::new();
    for LocationGc { location, outcome } in cache.gc(keep) {
        let outcome = outcome?;
        if json {
            answers.push(gc_json(&location.to_string(), &outcome));
        } else {
            answer(format!("{location}: {}", gc_text(&outcome, keep)));
        }
    }
    if json {
        answer_json(&answers);
    }
    Ok(())
}

fn gc_json(location: &str, outcome: &GcOutcome) -> serde_json::Value {
    match outcome {
        GcOutcome::Folder { stats, dry_run } => serde_json::json!({
            "location": location, "blobs": stats.blobs, "results": stats.results, "leftovers": stats.leftovers,
            "freed": stats.freed, "kept": stats.kept, "dry_run": dry_run,
        }),
        GcOutcome::Server => serde_json::json!({ "location": location, "server": true }),
    }
}

fn gc_text(outcome: &GcOutcome, keep: &RetentionPolicy) -> String {
    let (stats, dry_run) = match outcome {
        GcOutcome::Folder { stats, dry_run } => (stats, *dry_run),
        GcOutcome::Server => return "a server, which collects by itself: nothing was done".to_owned(),
    };
    let would = if dry_run { "would be " } else { "" };
    let why = match dry_run && !keep.dry_run {
        true => "; nothing was removed, as the location has `mode=read`",
        false => "",
    };
    format!(
        "{} results and {} blobs {would}removed ({}), {} stay{why}",
        stats.results,
        stats.blobs,
        human(stats.freed),
        human(stats.kept)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collection_says_what_it_did_and_what_it_did_not() {
        let keep = RetentionPolicy::default();
        let outcome = |dry_run| GcOutcome::Folder {
            stats: basalt_cache::folder::CacheGcStats::default(),
            dry_run,
        };
        assert!(gc_text(&outcome(false), &keep).contains(" removed"));
        assert!(!gc_text(&outcome(false), &keep).contains("would"));
        let reader = gc_text(&outcome(true), &keep);
        assert!(
            reader.contains("would be removed") && reader.contains("mode=read"),
            "{reader}"
        );
        let asked = RetentionPolicy { dry_run: true, ..keep };
        assert!(!gc_text(&outcome(true), &asked).contains("mode=read"));
        assert_eq!(gc_json("/cache", &outcome(true))["dry_run"], true);
        assert!(gc_text(&GcOutcome::Server, &keep).contains("by itself"));
        assert_eq!(gc_json("grpc://cache", &GcOutcome::Server)["server"], true);
    }
}

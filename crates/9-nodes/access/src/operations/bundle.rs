//! Collection of a support bundle.

use std::time::{Duration, SystemTime};

use basalt_process::{Command, ProcessError, chain, interrupt};
use basalt_progress::{Outcome, Unit};
use basalt_store::write;
use camino::Utf8Path;

use super::{NodeAccess, OPERATION};
use crate::AccessError;
use crate::bundle::manifest::{BundleManifest, PartReport, named};
use crate::bundle::parts::{BundlePart, PartSource, parts};
use crate::bundle::redact::redact;
use crate::bundle::{BundleReport, archive};
use crate::image::{DebugImage, ProgramNeed, candidates};
use crate::logs::UtcTime;
use crate::node::{NodeInfo, NodeName};
use crate::pod::DebugPod;

/// Most bytes of one part.
const MOST: usize = 16 * 1024 * 1024;
/// Time limit of one part.
const PART: Duration = Duration::from_secs(60);

/// Output of a part's command.
#[derive(Debug, Default)]
struct Collected {
    bytes: Vec<u8>,
    problem: Option<String>,
}

impl NodeAccess<'_> {
    /// Collects a support bundle and writes it to a new file, readable for its owner alone. Parts that cannot be had are
    /// named in its manifest and in the report.
    ///
    /// # Errors
    /// When the file exists or cannot be written, or the cluster has no such node.
    pub fn bundle(&self, name: &NodeName, target: &Utf8Path, now: SystemTime) -> Result<BundleReport, AccessError> {
        if target.symlink_metadata().is_ok() {
            return Err(AccessError::Exists {
                path: target.to_owned(),
            });
        }
        let node = self.node(name)?;
        let pod = self.pod_for_bundle(&node)?;
        let parts = parts(name);
        let total = u64::try_from(parts.len()).ok();
        let task = self.reporter.task(&format!("{name}: collecting"), Unit::Items, total);
        let (mut files, mut reports) = (Vec::new(), Vec::new());
        for part in parts {
            interrupt::check()?;
            task.detail(&part.file);
            let (text, report) = report(&part, self.collect(&part, pod.as_ref()));
            if report.bytes.is_some() {
                files.push((part.file, text));
            }
            reports.push(report);
            task.advance(1);
        }
        let image = pod.as_ref().ok().map(|pod| pod.spec().image.reference().to_owned());
        drop(pod);
        let manifest = BundleManifest::new(name.as_str(), UtcTime::at(now).rfc3339(), image, reports);
        let bytes = pack(&manifest, &files, now).map_err(AccessError::file("pack the bundle"))?;
        write::with_mode(target, &bytes, 0o600)?;
        task.finish(Outcome::Done);
        Ok(BundleReport {
            path: target.to_owned(),
            bytes: bytes.len(),
            parts: manifest.parts,
        })
    }

    /// Pod with tools, or else with the node's own programs; the reason in words when there is none.
    fn pod_for_bundle(&self, node: &NodeInfo) -> Result<Result<DebugPod, String>, AccessError> {
        let (asked, served) = (self.options.image.as_deref(), self.options.served_image.as_deref());
        let mut images: Vec<DebugImage> = Vec::new();
        for need in [ProgramNeed::Tools, ProgramNeed::Node] {
            for image in candidates(asked, served, node, need).unwrap_or_default() {
                if !images.contains(&image) {
                    images.push(image);
                }
            }
        }
        match self.pod_of(node, &images, OPERATION) {
            Ok(pod) => Ok(Ok(pod)),
            Err(error) if error.is_interrupt() => Err(error),
            Err(error) => {
                let reason = chain(&error);
                self.reporter
                    .warn(&format!("only parts from the API server can be collected: {reason}"));
                Ok(Err(reason))
            }
        }
    }

    fn collect(&self, part: &BundlePart, pod: Result<&DebugPod, &String>) -> Result<Collected, String> {
        let pod = || pod.map_err(|reason| format!("there is no debug pod: {reason}"));
        let command = match &part.source {
            PartSource::Kubectl(arguments) => self.kubectl.command(arguments),
            PartSource::Node(words) => pod()?.exec_on_node(words),
            PartSource::Kernel(files) => {
                let pod = pod()?;
                if pod.spec().image == DebugImage::NodeOwn {
                    return Err("it needs an image with a shell (--image)".to_owned());
                }
                pod.exec(["grep", "-aHs", ""].iter().chain(files.iter()))
            }
        };
        run(&command.time_limit(PART))
    }
}

/// Words of journalctl (systemd 257) about a boot that the journal does not have, as on a node that has booted once.
const NO_SUCH_BOOT: &str = "No journal boot entry found";

/// Beginning of the line that kubectl adds to what a program in a pod said before it failed.
const OF_KUBECTL: &str = "command terminated with exit code";

/// Runs the command of a part. A failure after some output is a problem of a part that is not whole: `basalt-node status`
/// fails on nodes that are not well.
fn run(command: &Command) -> Result<Collected, String> {
    let mut collected = Collected::default();
    let mut is_cut = false;
    let ended = command.stream(|bytes| {
        let room = MOST.saturating_sub(collected.bytes.len()).min(bytes.len());
        is_cut |= room < bytes.len();
        collected.bytes.extend(bytes.iter().take(room));
        Ok(())
    });
    collected.problem = match ended {
        Ok(()) if is_cut => Some(format!("it is cut after {} MiB", MOST >> 20)),
        Ok(()) => None,
        Err(ProcessError::Failed { tail, .. }) if tail.iter().any(|line| line.contains(NO_SUCH_BOOT)) => {
            collected.bytes = b"there was no such boot: the journal does not go back that far\n".to_vec();
            None
        }
        Err(ProcessError::Failed { status, tail, .. }) => {
            let said = tail.iter().rev().find(|line| !line.starts_with(OF_KUBECTL));
            let last = said.map(|line| format!(": {line}")).unwrap_or_default();
            Some(format!("{status}{last}"))
        }
        Err(error) => Some(chain(&error)),
    };
    match &collected.problem {
        Some(problem) if collected.bytes.is_empty() => Err(problem.clone()),
        _ => Ok(collected),
    }
}

/// Text of a part without secrets, and its report.
fn report(part: &BundlePart, collected: Result<Collected, String>) -> (String, PartReport) {
    let mut report = PartReport {
        file: part.file.clone(),
        what: part.what.to_owned(),
        bytes: None,
        problem: None,
        redacted: Default::default(),
    };
    // Error messages of servers are text of others, too.
    let plain = |problem: &str| redact(problem).0;
    match collected {
        Err(problem) => {
            report.problem = Some(plain(&problem));
            (String::new(), report)
        }
        Ok(collected) => {
            let (text, counts) = redact(&String::from_utf8_lossy(&collected.bytes));
            report.bytes = Some(text.len());
            report.problem = collected.problem.as_deref().map(plain);
            report.redacted = named(&counts);
            (text, report)
        }
    }
}

fn pack(manifest: &BundleManifest, files: &[(String, String)], now: SystemTime) -> std::io::Result<Vec<u8>> {
    let time = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let text = manifest.text();
    let json = serde_json::to_string_pretty(manifest)?;
    let heads = [("MANIFEST", text.as_bytes()), ("manifest.json", json.as_bytes())];
    let files = files.iter().map(|(name, text)| (name.as_str(), text.as_bytes()));
    archive::pack(
        &format!("basalt-bundle-{}", manifest.node),
        time,
        heads.into_iter().chain(files),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Collected, String> {
        run(&Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn the_boot_before_the_first_one_is_no_problem() {
        let script = "echo 'No journal boot entry found for the specified boot (-1).' >&2
             echo 'command terminated with exit code 1' >&2; exit 1";
        let collected = shell(script).expect("collected");
        assert!(collected.bytes.starts_with(b"there was no such boot"));
        assert_eq!(collected.problem, None);
        let other =
            shell("echo 'Failed to open the journal' >&2; echo 'command terminated with exit code 1' >&2; exit 1");
        let problem = other.expect_err("nothing was collected");
        assert!(problem.contains("Failed to open the journal"), "{problem}");
    }
}

//! Time of writing a repository's metadata: our code beside createrepo_c, on the same RPMs, with as many workers.

use std::time::{Duration, Instant};

use basalt_repodata::{FOLDER, Index, REPOMD, list_rpms, scan, write_on};
use basalt_sandbox::{Sandbox, SandboxReport};
use basalt_sdk::SdkTree;
use basalt_store::{FileError, remove_tree, write};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::BenchError;
use crate::summary::{Summary, summarize};

/// Program of others that is measured beside our code.
const CREATEREPO: &str = "createrepo_c";
/// Number of starts of createrepo_c that do nothing, whose median time is taken off its runs.
const STARTS: usize = 5;

/// Measurement of a folder of RPMs.
#[derive(Debug)]
pub struct MetadataBenchmark {
    rpms: Utf8PathBuf,
    results: Utf8PathBuf,
    sandbox: Sandbox,
    workers: usize,
}

/// Time of one run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RunTime {
    /// Seconds from start to end.
    pub wall: f64,
    /// Seconds of processor time, in user mode and in the kernel.
    pub cpu: f64,
}

/// Figures of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetadataReport {
    /// Number of RPMs.
    pub rpms: usize,
    /// Their size in bytes.
    pub bytes: u64,
    /// Number of files in them.
    pub files: usize,
    /// Number of workers of both.
    pub workers: usize,
    /// Time for the start of createrepo_c in its sandbox, which is taken off its runs.
    pub start: RunTime,
    /// Runs of our code.
    pub ours: Vec<RunTime>,
    /// Runs of createrepo_c, without its start.
    pub createrepo: Vec<RunTime>,
    /// Size in bytes of our compressed metadata.
    pub our_size: u64,
    /// Size in bytes of createrepo_c's compressed metadata.
    pub createrepo_size: u64,
}

impl MetadataReport {
    /// Wall times of our runs, in seconds.
    pub fn our_wall(&self) -> Summary {
        summarize(self.ours.iter().map(|run| run.wall))
    }

    /// Wall times of createrepo_c's runs, in seconds.
    pub fn createrepo_wall(&self) -> Summary {
        summarize(self.createrepo.iter().map(|run| run.wall))
    }

    /// Factors by which our code is faster in wall time and in processor time, from the medians.
    pub fn speedup(&self) -> RunTime {
        let median = |runs: &[RunTime], of: fn(&RunTime) -> f64| summarize(runs.iter().map(of)).median;
        let speedup = |of| median(&self.createrepo, of) / median(&self.ours, of);
        RunTime {
            wall: speedup(|run| run.wall),
            cpu: speedup(|run| run.cpu),
        }
    }
}

impl MetadataBenchmark {
    /// Measures the RPMs of a folder; results go to folders in `work`.
    ///
    /// # Errors
    /// When the tree of reference tools lacks createrepo_c.
    pub fn new(rpms: &Utf8Path, work: &Utf8Path, reference: &SdkTree, workers: usize) -> Result<Self, BenchError> {
        if !reference.path.join("usr/bin").join(CREATEREPO).exists() {
            return Err(BenchError::NoTool { tool: CREATEREPO });
        }
        fs_err::create_dir_all(work).map_err(FileError::new("cannot create", work))?;
        Ok(Self {
            rpms: rpms.to_owned(),
            results: work.to_owned(),
            sandbox: reference
                .sandbox()
                .show(rpms)
                .show_writable(work)
                .report(work.join("report.json")),
            workers,
        })
    }

    /// Runs both by turns, and compares their results.
    ///
    /// # Errors
    /// When an RPM cannot be read, createrepo_c fails, or both describe different packages.
    pub fn run(&self, runs: usize, mut done: impl FnMut()) -> Result<MetadataReport, BenchError> {
        let rpms = list_rpms(&self.rpms)?;
        let mut files = 0;
        let starts: Vec<RunTime> = (0..STARTS).map(|_| self.start()).collect::<Result<_, _>>()?;
        let start = RunTime {
            wall: summarize(starts.iter().map(|run| run.wall)).median,
            cpu: summarize(starts.iter().map(|run| run.cpu)).median,
        };
        let (mut ours, mut createrepo) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            let (time, count) = self.ours()?;
            files = count;
            ours.push(time);
            let RunTime { wall, cpu } = self.createrepo()?;
            createrepo.push(RunTime {
                wall: wall - start.wall,
                cpu: cpu - start.cpu,
            });
            done();
        }
        let (our_index, our_size) = self.result("ours")?;
        let (index, createrepo_size) = self.result(CREATEREPO)?;
        compare(our_index, index)?;
        Ok(MetadataReport {
            rpms: rpms.len(),
            bytes: rpms.iter().map(|rpm| rpm.size).sum(),
            files,
            workers: self.workers,
            start,
            ours,
            createrepo,
            our_size,
            createrepo_size,
        })
    }

    /// Writes the metadata by our code; returns the number of files in the packages, too.
    fn ours(&self) -> Result<(RunTime, usize), BenchError> {
        let folder = self.emptied("ours")?.join(FOLDER);
        let (begin, cpu) = (Instant::now(), cpu_time());
        let packages = scan(&self.rpms, &list_rpms(&self.rpms)?, self.workers)?;
        let metadata = write_on(self.workers, &packages, &[], 0)?;
        for file in &metadata.files {
            write::atomically(&folder.join(&file.name), &file.bytes)?;
        }
        write::atomically(&folder.join(REPOMD), &metadata.repomd)?;
        let time = RunTime {
            wall: begin.elapsed().as_secs_f64(),
            cpu: (cpu_time() - cpu).as_secs_f64(),
        };
        Ok((time, packages.iter().map(|package| package.filelists.files.len()).sum()))
    }

    fn createrepo(&self) -> Result<RunTime, BenchError> {
        let folder = self.emptied(CREATEREPO)?;
        let workers = self.workers.to_string();
        let options = [
            "--quiet",
            "--no-database",
            "--general-compress-type=zstd",
            "--workers",
            &workers,
        ];
        let folders = ["--outputdir", folder.as_str(), self.rpms.as_str()];
        self.timed(&[options.as_slice(), &folders].concat())
    }

    /// Starts createrepo_c, which has nothing to do.
    fn start(&self) -> Result<RunTime, BenchError> {
        self.timed(&["--version"])
    }

    fn timed(&self, arguments: &[&str]) -> Result<RunTime, BenchError> {
        let begin = Instant::now();
        self.sandbox.command(CREATEREPO, arguments).output()?;
        let wall = begin.elapsed().as_secs_f64();
        let report = SandboxReport::read(&self.results.join("report.json"))?;
        let cpu = report.map_or(Duration::ZERO, |report| report.user_time + report.system_time);
        Ok(RunTime {
            wall,
            cpu: cpu.as_secs_f64(),
        })
    }

    fn emptied(&self, name: &str) -> Result<Utf8PathBuf, BenchError> {
        let folder = self.results.join(name);
        remove_tree(&folder)?;
        fs_err::create_dir_all(folder.join(FOLDER)).map_err(FileError::new("cannot create", &folder))?;
        Ok(folder)
    }

    /// Reads what was written; returns its size in bytes, too.
    fn result(&self, name: &str) -> Result<(Index, u64), BenchError> {
        let folder = self.results.join(name);
        let index = basalt_repodata::read(&folder)?;
        let repodata = folder.join(FOLDER);
        let failed = || FileError::new("cannot list", &repodata);
        let mut size = 0;
        for entry in repodata.read_dir_utf8().map_err(failed())? {
            size += entry.and_then(|entry| entry.metadata()).map_err(failed())?.len();
        }
        Ok((index, size))
    }
}

/// Checks that two results list the same packages.
fn compare(ours: Index, theirs: Index) -> Result<(), BenchError> {
    let sorted = |index: Index| {
        let mut packages = index.packages;
        packages.sort_by(|one, other| one.href.cmp(&other.href));
        packages
    };
    let (ours, theirs) = (sorted(ours), sorted(theirs));
    match ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs) {
        None if ours.len() == theirs.len() => Ok(()),
        None => Err(BenchError::Different {
            tool: CREATEREPO,
            what: format!("{} packages of {}", theirs.len(), ours.len()),
        }),
        Some((ours, theirs)) => Err(BenchError::Different {
            tool: CREATEREPO,
            what: format!("{theirs:?} in place of {ours:?}"),
        }),
    }
}

/// Processor time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.try_into().unwrap_or_default()
}

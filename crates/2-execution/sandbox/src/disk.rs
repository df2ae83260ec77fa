//! The disk space that a sandbox uses, measured by walking over the folders that it may write to.
//!
//! A walk takes its time, so that it is made seldom where there is much. In between, the free space of the file
//! systems is asked for: where it shrinks by more than the program may still take, the next walk does not wait.

use std::io;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use crate::walk::used_below;

/// The least time between two looks.
const SHORTEST: Duration = Duration::from_millis(500);
/// The most time between two walks: how long one takes is up to the program.
const LONGEST: Duration = Duration::from_secs(60);
/// Ratio of the pause after a walk to the time that the walk took: measuring takes 1/20 of a processor.
const RATIO: u32 = 20;
/// The same where free space shrinks quickly.
const RATIO_IN_HASTE: u32 = 2;

/// The folders, and what was seen in them.
pub(crate) struct Measured {
    folders: Vec<Utf8PathBuf>,
    limit: Option<u64>,
    /// Bytes in the folders before the sandbox started.
    before: u64,
    used: u64,
    peak: u64,
    /// Free bytes on the file systems of the folders, at the end of the last walk.
    free: Vec<u64>,
    looked: Instant,
    walked: Instant,
    took: Duration,
}

impl Measured {
    /// Nothing is measured where there is no limit.
    ///
    /// # Errors
    /// When there are too few descriptors or is too little memory to measure.
    pub(crate) fn of(folders: Vec<Utf8PathBuf>, limit: Option<u64>) -> io::Result<Self> {
        let now = Instant::now();
        let mut measured = Self {
            folders,
            limit,
            before: 0,
            used: 0,
            peak: 0,
            free: Vec::new(),
            looked: now,
            walked: now,
            took: Duration::ZERO,
        };
        if limit.is_some() {
            measured.before = measured.walk(u64::MAX)?;
        }
        Ok(measured)
    }

    /// The bytes that were added since the start, as of the last walk; walks again when it is time. No more is counted
    /// than what exceeds the limit.
    ///
    /// # Errors
    /// When there are too few descriptors or is too little memory to measure: the limit would not hold.
    pub(crate) fn used(&mut self) -> io::Result<u64> {
        let Some(limit) = self.limit.filter(|_| self.pause().is_zero()) else {
            return Ok(self.used);
        };
        self.looked = Instant::now();
        let is_shrinking = self.taken() > limit.saturating_sub(self.used);
        if self.walked.elapsed() >= pause_after(self.took, is_shrinking) {
            self.measure(limit)?;
        }
        Ok(self.used)
    }

    fn measure(&mut self, limit: u64) -> io::Result<u64> {
        let sum = self.walk(self.before.saturating_add(limit))?;
        self.used = sum.saturating_sub(self.before);
        self.peak = self.peak.max(self.used);
        Ok(self.used)
    }

    /// The same once nothing writes any more, without waiting for its time: what a program made between the last walk and
    /// its end counts, too.
    ///
    /// # Errors
    /// As of [`Self::used`].
    pub(crate) fn used_at_the_end(&mut self) -> io::Result<u64> {
        let Some(limit) = self.limit else {
            return Ok(self.used);
        };
        self.measure(limit)
    }

    /// The most that was seen, in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.peak
    }

    /// The time until the next look.
    pub(crate) fn pause(&self) -> Duration {
        SHORTEST.saturating_sub(self.looked.elapsed())
    }

    /// Adds up what is in the folders, until it is more than `enough`.
    fn walk(&mut self, enough: u64) -> io::Result<u64> {
        let began = Instant::now();
        let mut used: u64 = 0;
        for folder in &self.folders {
            used = used.saturating_add(used_below(folder, enough.saturating_sub(used))?);
        }
        self.free = self.folders.iter().map(free_on).collect();
        self.walked = Instant::now();
        self.took = self.walked - began;
        Ok(used)
    }

    /// The bytes that the file system of any folder lost since the last walk, whoever took them.
    fn taken(&self) -> u64 {
        let lost = self.folders.iter().zip(&self.free);
        lost.map(|(folder, before)| before.saturating_sub(free_on(folder)))
            .max()
            .unwrap_or_default()
    }
}

/// Time from the end of a walk, which `took` that long, to the next one.
fn pause_after(took: Duration, is_shrinking: bool) -> Duration {
    let ratio = if is_shrinking { RATIO_IN_HASTE } else { RATIO };
    (took * ratio).clamp(SHORTEST, LONGEST)
}

/// Free bytes on the file system of a folder; all there can be where it does not tell.
fn free_on(folder: &Utf8PathBuf) -> u64 {
    rustix::fs::statvfs(folder.as_std_path()).map_or(u64::MAX, |status| status.f_bavail.saturating_mul(status.f_frsize))
}

#[cfg(test)]
mod tests {
    use camino::Utf8Path;

    use super::*;

    /// The measurement, without waiting for its time.
    fn used_now(measured: &mut Measured) -> u64 {
        measured.looked -= LONGEST;
        measured.walked -= LONGEST;
        measured.used().expect("measured")
    }

    #[test]
    fn what_is_added_counts_and_links_are_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let (inside, outside) = (path.join("inside"), path.join("outside"));
        std::fs::create_dir_all(inside.join("deep")).expect("made");
        std::fs::create_dir(&outside).expect("made");
        std::fs::write(outside.join("large"), vec![1; 9 << 20]).expect("written");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("linked");
        std::fs::write(inside.join("before"), vec![1; 1 << 20]).expect("written");
        let mut measured = Measured::of(vec![inside.clone()], Some(8 << 20)).expect("measured");
        std::fs::write(inside.join("deep/file"), vec![1; 3 << 20]).expect("written");
        std::fs::hard_link(inside.join("deep/file"), inside.join("same")).expect("linked");
        let used = used_now(&mut measured);
        assert!((3 << 20..4 << 20).contains(&used), "{used}");
        assert_eq!(measured.peak(), used);
        assert!(measured.pause() > Duration::from_millis(100));
    }

    #[test]
    fn a_file_of_the_caller_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = Utf8Path::from_path(folder.path()).expect("UTF-8").join("log");
        std::fs::write(&log, "").expect("written");
        let mut measured = Measured::of(vec![log.clone()], Some(1 << 20)).expect("measured");
        assert_eq!(used_now(&mut measured), 0);
        std::fs::write(&log, vec![1; 2 << 20]).expect("written");
        assert!(used_now(&mut measured) > 1 << 20);
    }

    #[test]
    fn the_pause_is_bounded_and_shorter_where_space_shrinks() {
        let second = Duration::from_secs(1);
        assert_eq!(pause_after(Duration::ZERO, false), SHORTEST);
        assert_eq!(pause_after(second, false), 20 * second);
        assert_eq!(pause_after(second, true), 2 * second);
        assert_eq!(pause_after(3600 * second, false), LONGEST);
        assert_eq!(pause_after(3600 * second, true), LONGEST);
    }

    #[test]
    fn without_a_limit_nothing_is_measured() {
        let mut measured = Measured::of(vec!["/".into()], None).expect("nothing to measure");
        assert_eq!(measured.used().expect("nothing to measure"), 0);
        assert_eq!(used_now(&mut measured), 0);
    }
}

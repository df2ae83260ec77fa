//! Fetching of sources, ahead of the builds that need them: plain files by several threads, Go modules and crates by one.
//!
//! Plain files need no SDK, so they are fetched while it is made. A failure ahead of time is no error yet: the source
//! may turn out not to be needed, and the build that needs it fetches it once more.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{MutexGuard, PoisonError};

use basalt_content::DistributionContent;
use basalt_process::{Cancellation, interrupt};
use basalt_progress::Reporter;
use basalt_schedule::JobGraph;
use basalt_sources::{InputContent, SourceSet, SourcesError};
use basalt_store::Store;

use crate::built::BuiltPackages;
use crate::engine::{Engine, job};
use crate::graph::PackageId;
use crate::{BuildError, distribution};

/// Number of threads that fetch plain files: most servers are slower than the connection.
const FILE_THREADS: usize = 3;

/// Fetches the plain files among the sources of those packages below a folder that are wanted by name, until `ended` is
/// requested, which ends transfers, too: those of the longest builds first, since dependencies are not known without
/// the SDK.
pub fn prefetch(
    content: &DistributionContent,
    wanted: impl Fn(&str) -> bool,
    store: &Store,
    reporter: &dyn Reporter,
    ended: &Cancellation,
) {
    let listed = distribution::folders(content).and_then(|folders| Ok((folders, distribution::estimates(content)?)));
    let (mut folders, estimates) = match listed {
        Ok(listed) => listed,
        Err(error) => return tracing::debug!(%error, "sources are not fetched ahead"),
    };
    folders.retain(|folder| wanted(&folder.name));
    folders.sort_by_cached_key(|folder| Reverse(estimates.of(&folder.name, store).seconds));
    in_order(&folders, FILE_THREADS, ended, |folder| {
        let sources = SourceSet::load(&folder.path);
        note(sources.and_then(|sources| fetch_files(&sources, store, reporter)));
    });
}

impl Engine<'_> {
    /// Returns those of the packages that are still to be built, the most urgent first.
    pub(crate) fn fetch_order(
        &self,
        wanted: &BTreeSet<PackageId>,
        built: &BuiltPackages,
        plan: &JobGraph,
    ) -> Vec<PackageId> {
        let mut order: Vec<_> = wanted.iter().copied().filter(|id| !built.contains_key(id)).collect();
        order.sort_by_key(|id| Reverse(plan.urgency(job(*id))));
        order
    }

    /// Fetches the plain files of packages, in the order given, until `ended` is requested.
    pub(crate) fn fetch_files_ahead(&self, order: &[PackageId], ended: &Cancellation) {
        in_order(order, FILE_THREADS, ended, |id| note(self.fetch_files(*id)));
    }

    /// Fetches Go modules and crates of packages, one package at a time, until `ended` is
    /// requested. The build base must exist.
    pub(crate) fn fetch_modules_ahead(&self, order: &[PackageId], ended: &Cancellation) {
        let has_modules = |id: &PackageId| self.distribution.package(*id).sources.has_modules();
        let order: Vec<_> = order.iter().copied().filter(has_modules).collect();
        in_order(&order, 1, ended, |id| note(self.fetch(*id)));
    }

    /// Brings the sources of a package into the store, and returns their number.
    ///
    /// # Errors
    /// When a source cannot be fetched, or has another digest than its lock.
    pub fn fetch(&self, id: PackageId) -> Result<usize, BuildError> {
        self.fetch_files(id)?;
        let sources = &self.distribution.package(id).sources;
        if sources.has_modules() {
            self.base.materialize(self.store, self.reporter)?;
        }
        let inputs = sources.inputs(self.tools)?;
        let _alone = self.fetching_alone(id);
        for input in &inputs {
            if let InputContent::Modules(modules) = &input.content {
                modules.fetch(self.store, self.tools, self.reporter)?;
            }
        }
        Ok(inputs.len())
    }

    /// Brings the plain files of a package into the store. When all of them are there, it does not wait for a thread
    /// that fetches modules.
    fn fetch_files(&self, id: PackageId) -> Result<(), BuildError> {
        let sources = &self.distribution.package(id).sources;
        let mut files = sources.lock().files.iter();
        if files.all(|file| self.store.object(&file.sha256).is_some()) {
            return Ok(());
        }
        let _alone = self.fetching_alone(id);
        Ok(fetch_files(sources, self.store, self.reporter)?)
    }

    /// Locks out other threads that fetch sources of the package.
    pub(crate) fn fetching_alone(&self, package: PackageId) -> Option<MutexGuard<'_, ()>> {
        let fetching = self.fetching.get(package.index())?;
        Some(fetching.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn fetch_files(sources: &SourceSet, store: &Store, reporter: &dyn Reporter) -> Result<(), SourcesError> {
    for file in &sources.lock().files {
        sources.fetch_file(&file.file, store, reporter)?;
    }
    Ok(())
}

fn note<T, E: std::fmt::Display>(fetched: Result<T, E>) {
    if let Err(error) = fetched {
        tracing::debug!(%error, "fetching ahead failed");
    }
}

/// Distributes items to threads, the first item first, until none is left, `ended` is requested or the user interrupts;
/// either ends work that has begun, too.
fn in_order<T: Sync>(items: &[T], threads: usize, ended: &Cancellation, work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let worker = || {
        while !interrupt::requested() {
            let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else {
                return;
            };
            work(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| ended.scope(worker));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::sync::{Barrier, Mutex};

    use basalt_content::ContentFolder;
    use basalt_digest::Digest;
    use basalt_progress::Silent;
    use camino::Utf8PathBuf;

    use super::*;

    /// Returns the URL of a file on a server that answers once.
    fn serve(content: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let lines = BufReader::new(&stream).lines();
            let head = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
            assert!(head.count() > 0, "a request");
            let length = content.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{content}");
            (&stream).write_all(answer.as_bytes()).expect("answered");
        });
        format!("http://{address}/file.txt")
    }

    #[test]
    fn items_are_taken_in_their_order_by_all_threads_at_once() {
        let (taken, together) = (Mutex::new(Vec::new()), Barrier::new(3));
        let items: Vec<usize> = (0..12).collect();
        in_order(&items, 3, &Cancellation::default(), |item| {
            taken.lock().expect("not poisoned").push(*item);
            // Fewer than three threads would wait here for ever.
            together.wait();
        });
        let mut taken = taken.into_inner().expect("not poisoned");
        // With more threads, the items would not come in threes.
        taken.chunks_mut(3).for_each(<[usize]>::sort_unstable);
        assert_eq!(taken, items);
    }

    #[test]
    fn nothing_is_begun_after_the_end() {
        let (ended, taken) = (Cancellation::default(), AtomicUsize::new(0));
        in_order(&[(); 9], 1, &ended, |()| {
            if taken.fetch_add(1, Ordering::Relaxed) == 3 {
                ended.request();
            }
        });
        assert_eq!(taken.into_inner(), 4);
    }

    /// Makes a package with this lock.
    fn package(content: &DistributionContent, name: &str, lock: &str) {
        let folder = content.own_folder(ContentFolder::Packages).path.join(name);
        fs_err::create_dir_all(&folder).expect("made");
        fs_err::write(folder.join(format!("{name}.spec")), "").expect("written");
        fs_err::write(folder.join("sources.toml"), lock).expect("written");
    }

    fn lock(content: &str, url: &str, size: usize) -> String {
        let digest = Digest::of(content);
        format!("[[file]]\nfile = \"file.txt\"\nurl = \"{url}\"\nsha256 = \"{digest}\"\nsize = {size}\n")
    }

    #[test]
    fn a_package_whose_sources_cannot_be_had_does_not_keep_others_from_theirs() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        let store = Store::open(&root.join("store")).expect("a store");
        let packages = DistributionContent::of_checkout(&root);
        package(&packages, "a", "nonsense");
        package(&packages, "b", &lock("text", &serve("text"), "text".len()));
        // What is not wanted is not fetched.
        package(&packages, "c", &lock("other", &serve("other"), "other".len()));
        let ended = Cancellation::default();
        prefetch(&packages, |name| name != "c", &store, &Silent, &ended);
        assert!(store.object(&Digest::of("text")).is_some());
        assert!(store.object(&Digest::of("other")).is_none());
    }

    #[test]
    fn a_transfer_that_has_begun_ends_with_the_run() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        let store = Store::open(&root.join("store")).expect("a store");
        // More is announced than comes; the connection stays open.
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/file.txt", listener.local_addr().expect("bound"));
        let packages = DistributionContent::of_checkout(&root);
        package(&packages, "a", &lock("content", &url, 1 << 20));
        let (ended, began) = (Cancellation::default(), Barrier::new(2));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().expect("a client");
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\nslow", 1 << 20);
                stream.write_all(head.as_bytes()).expect("answered");
                began.wait();
                // Until the client closes it.
                BufReader::new(&stream).lines().map_while(Result::ok).for_each(drop);
            });
            let fetching = scope.spawn(|| prefetch(&packages, |_| true, &store, &Silent, &ended));
            began.wait();
            let asked = std::time::Instant::now();
            ended.request();
            fetching.join().expect("no panic");
            assert!(
                asked.elapsed() < std::time::Duration::from_secs(5),
                "{:?}",
                asked.elapsed()
            );
        });
    }
}

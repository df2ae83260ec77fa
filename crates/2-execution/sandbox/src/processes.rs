//! Memory and threads of a sandbox's processes, from the `/proc` of their PID namespace.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::os::fd::OwnedFd;
use std::{fs, io};

use rustix::fs::MemfdFlags;

/// Figures of one process from `/proc/<id>/status`, or of several.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ProcessUsage {
    /// Bytes of memory that belong to no file, anonymous (also where it is swapped out) and shared, and of the tables of
    /// its pages.
    pub(crate) memory: u64,
    /// Those of the tables alone.
    tables: u64,
    pub(crate) threads: u64,
}

/// Files in memory that are counted by themselves: those of some file systems, and System V shared memory.
#[derive(Debug)]
pub(crate) struct CountedFiles {
    /// Devices of the file systems, as `/proc/<id>/smaps` writes them.
    devices: BTreeSet<String>,
    /// Device of the kernel's own file system in memory, which holds System V segments.
    kernel: String,
}

impl CountedFiles {
    /// The files on the file systems of these folders.
    ///
    /// # Errors
    /// When there is no descriptor or memory to ask.
    pub(crate) fn on(folders: &[OwnedFd]) -> io::Result<Self> {
        let probe = rustix::fs::memfd_create(c"probe", MemfdFlags::CLOEXEC)?;
        Ok(Self {
            devices: folders.iter().map(device).collect::<io::Result<_>>()?,
            kernel: device(&probe)?,
        })
    }

    /// Returns `true` for the first line of a mapping in `/proc/<id>/smaps` that is of such a file: addresses,
    /// permissions, offset, device, inode, path.
    fn has(&self, line: &[u8]) -> bool {
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty())
            .skip(3);
        let device = words.next().map(String::from_utf8_lossy).unwrap_or_default();
        // What a program names itself begins with another word: /memfd:.
        let is_system_v = words.nth(1).is_some_and(|path| path.starts_with(b"/SYSV"));
        self.devices.contains(device.as_ref()) || (device == self.kernel.as_str() && is_system_v)
    }
}

/// Device of a file, as `/proc/<id>/smaps` writes it.
fn device(file: &OwnedFd) -> io::Result<String> {
    let device = rustix::fs::fstat(file)?.st_dev;
    Ok(format!(
        "{:02x}:{:02x}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    ))
}

/// The processes of our PID namespace but ourselves, added up.
pub(crate) fn sum() -> io::Result<ProcessUsage> {
    let mut sum = ProcessUsage::default();
    for id in ids()? {
        let process = Status::of(id)?.map_or_else(ProcessUsage::default, |status| status.usage);
        sum.memory = sum.memory.saturating_add(process.memory);
        sum.tables = sum.tables.saturating_add(process.tables);
        sum.threads = sum.threads.saturating_add(process.threads);
    }
    Ok(sum)
}

fn ids() -> io::Result<Vec<u32>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.parse::<u32>().ok());
        ids.extend(id.filter(|id| *id != 1));
    }
    Ok(ids)
}

/// Memory of the same, but with each page counted once, and without what is `counted` by itself. It costs the kernel a
/// walk over all of it.
pub(crate) fn exact_memory(counted: &CountedFiles) -> io::Result<u64> {
    let mut sum: u64 = 0;
    for id in ids()? {
        sum = sum.saturating_add(exact_memory_of(id, counted)?);
    }
    Ok(sum)
}

/// Memory of a process, its part of shared pages; all of them where the kernel does not tell.
fn exact_memory_of(id: u32, counted: &CountedFiles) -> io::Result<u64> {
    let mut memory = 0;
    // What the kernel tells of a process that ends meanwhile does not belong together; at the next look it has no memory.
    for _ in 0..3 {
        let Some(status) = Status::of(id)? else {
            return Ok(0);
        };
        memory = match read(&status.folder, "smaps_rollup") {
            Ok(Some(text)) => exact_memory_in(&text, &status, counted),
            Ok(None) | Err(_) => status.usage.memory,
        };
        if memory == 0 || Status::read(status.folder)?.is_some_and(|now| now.tells_memory) {
            break;
        }
    }
    Ok(memory)
}

/// The same from the text of `smaps_rollup`.
fn exact_memory_in(text: &str, status: &Status, counted: &CountedFiles) -> u64 {
    let shared = kibibytes(text, "Pss_Shmem");
    // Where it cannot be told, more is counted than there is.
    let mapped = if shared == 0 {
        0
    } else {
        mapped(&status.folder, counted).unwrap_or_default()
    };
    let own = kibibytes(text, "Pss_Anon") + kibibytes(text, "SwapPss") + status.usage.tables;
    own + shared.saturating_sub(mapped)
}

/// A process's part of the pages of counted files that it maps.
fn mapped(folder: &str, counted: &CountedFiles) -> io::Result<u64> {
    let smaps = BufReader::new(fs::File::open(format!("{folder}/smaps"))?);
    mapped_in(smaps, counted)
}

/// The same from the text of `smaps`.
fn mapped_in(mut smaps: impl io::BufRead, counted: &CountedFiles) -> io::Result<u64> {
    let (mut sum, mut is_counted, mut part) = (0, false, 0);
    let mut line = Vec::new();
    while smaps.read_until(b'\n', &mut line)? > 0 {
        // Names of fields begin with a capital letter, addresses with a digit of base 16.
        if line.first().is_some_and(|byte| !byte.is_ascii_uppercase()) {
            is_counted = counted.has(&line);
        } else if is_counted {
            let text = String::from_utf8_lossy(&line);
            if text.starts_with("Pss:") {
                part = kibibytes(&text, "Pss");
            } else if text.starts_with("Anonymous:") {
                // Pages of its own that it wrote in a private mapping. They follow the sum of both.
                sum += part.saturating_sub(kibibytes(&text, "Anonymous"));
                part = 0;
            }
        }
        line.clear();
    }
    Ok(sum)
}

/// Figures of a process and the folder that they are from.
struct Status {
    /// Folder of the process under `/proc`, or of one of its threads.
    folder: String,
    usage: ProcessUsage,
    /// `true` if the kernel tells its memory: it has some.
    tells_memory: bool,
}

impl Status {
    /// None where the process has ended meanwhile.
    ///
    /// Of a process whose first thread has ended the kernel tells no memory (`State: Z`), while others hold it: what one
    /// of those tells is taken.
    fn of(id: u32) -> io::Result<Option<Self>> {
        let Some(process) = Self::read(format!("/proc/{id}"))? else {
            return Ok(None);
        };
        if process.tells_memory || process.usage.threads < 2 {
            return Ok(Some(process));
        }
        let threads = match fs::read_dir(format!("/proc/{id}/task")) {
            Ok(threads) => threads,
            Err(error) if has_ended(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        for thread in threads {
            let name = match thread {
                Ok(thread) => thread.file_name(),
                Err(error) if has_ended(&error) => break,
                Err(error) => return Err(error),
            };
            let thread = Self::read(format!("/proc/{id}/task/{}", name.to_string_lossy()))?;
            if let Some(thread) = thread.filter(|thread| thread.tells_memory) {
                return Ok(Some(thread));
            }
        }
        Ok(Some(process))
    }

    fn read(folder: String) -> io::Result<Option<Self>> {
        let text = read(&folder, "status")?;
        Ok(text.map(|text| Self {
            folder,
            usage: parse_status(&text),
            tells_memory: field(&text, "VmPTE").is_some(),
        }))
    }
}

/// Text of a file in the folder of a process or thread; none where that has ended. A program names its processes with any
/// bytes, which are part of this text.
fn read(folder: &str, file: &str) -> io::Result<Option<String>> {
    match fs::read(format!("{folder}/{file}")) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(error) if has_ended(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns `true` if the error says that there is no such process any more.
fn has_ended(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

fn parse_status(text: &str) -> ProcessUsage {
    let tables = kibibytes(text, "VmPTE");
    ProcessUsage {
        memory: kibibytes(text, "RssAnon") + kibibytes(text, "RssShmem") + kibibytes(text, "VmSwap") + tables,
        tables,
        threads: field(text, "Threads").unwrap_or_default(),
    }
}

/// The bytes of a field like `RssAnon:     1234 kB`.
fn kibibytes(text: &str, name: &str) -> u64 {
    field(text, name).unwrap_or_default().saturating_mul(1024)
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> CountedFiles {
        CountedFiles {
            devices: BTreeSet::from(["00:2a".to_owned()]),
            kernel: "00:01".to_owned(),
        }
    }

    #[test]
    fn memory_and_threads_are_read_from_the_status() {
        let text = "Name:\tRssAnon: 7\nVmRSS:\t  900 kB\nRssAnon:\t  100 kB\nRssFile:\t  700 kB\nRssShmem:\t 28 kB\n\
                    VmPTE:\t 40 kB\nVmSwap:\t 4 kB\nThreads:\t3\n";
        let process = parse_status(text);
        assert_eq!((process.memory, process.threads), (172 * 1024, 3));
        assert_eq!(process.tables, 40 * 1024);
        assert_eq!(parse_status(""), ProcessUsage::default());
        assert_eq!(kibibytes("Pss_Anon:  5 kB\nPss_Shmem: x\n", "Pss_Anon"), 5120);
    }

    #[test]
    fn a_process_that_has_ended_uses_nothing() {
        // Above the largest id that a kernel gives (PID_MAX_LIMIT).
        assert!(Status::of(4_194_305).expect("no error").is_none());
        assert_eq!(exact_memory_of(4_194_305, &counted()).expect("no error"), 0);
        assert!(has_ended(&io::Error::from_raw_os_error(libc::ESRCH)));
        assert!(!has_ended(&io::Error::from_raw_os_error(libc::EMFILE)));
    }

    #[test]
    fn mappings_of_counted_files_are_told_apart() {
        let mapping = |device: &str, path: &str, part: u32, own: u32| {
            format!(
                "7f00-7f01 rw-s 00000000 {device} 12    {path}\nSize: 900 kB\nRss: 900 kB\nPss: {part} kB\nPss_Dirty: 3 kB\n\
                 Anonymous: {own} kB\nVmFlags: rd wr\n"
            )
        };
        let text = [
            mapping("00:2a", "/dev/shm/a file", 100, 0),
            mapping("00:2a", "/dev/shm/private", 50, 30),
            // Anonymous pages that it shares with another process.
            mapping("00:2a", "/dev/shm/private", 10, 30),
            mapping("00:01", "/SYSV00000000 (deleted)", 1000, 0),
            mapping("00:01", "/memfd:/SYSV00000000 (deleted)", 7, 0),
            mapping("fe:00", "/SYSV00000000", 7, 0),
            mapping("00:00", "", 7, 7),
        ]
        .concat();
        assert_eq!(mapped_in(text.as_bytes(), &counted()).expect("read"), 1120 * 1024);
    }
}

//! Text that a user gives: a file, a pipe, standard input. It is read up to a limit: a device has no end, and a file that
//! was meant to be another one may be of any size.

use std::io::{self, Read};
use std::os::fd::AsFd;

use basalt_process::{interrupt, without_path};
use camino::Utf8Path;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use miette::{Diagnostic, IntoDiagnostic as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;

/// Most bytes of a text: 16 MiB.
const LARGEST: usize = 16 << 20;
/// Time between two questions whether Ctrl-C was pressed, while nothing comes.
const PATIENCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};
/// Name of standard input, in errors.
pub const STANDARD_INPUT: &str = "standard input";

/// Failure to read a text.
#[derive(Debug, thiserror::Error, Diagnostic)]
enum TextError {
    #[error("`{name}` cannot be read")]
    Read { name: String, source: io::Error },
    #[error("`{name}` is larger than 16 MiB")]
    #[diagnostic(help("look whether it is the file that was meant"))]
    TooLarge { name: String },
    #[error("`{name}` is not UTF-8 text")]
    #[diagnostic(help("look whether it is compressed, or in another encoding: `file` says"))]
    NotText { name: String },
}

/// Reads a text file of the user.
pub fn read_text(path: &Utf8Path) -> Result<String> {
    // Opening a named pipe would wait for its writer, and not for Ctrl-C.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let opened = fs_err::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let bytes = opened
        .and_then(|file| read(file.into_file()))
        .map_err(|error| TextError::Read {
            name: path.to_string(),
            source: without_path(error, path),
        });
    interrupt::check().into_diagnostic()?;
    Ok(text(path.as_str(), bytes?)?)
}

/// Reads a text file of the user, or standard input where its path is `-`. Returns the name for errors, too.
pub fn read_text_or_input(path: &Utf8Path) -> Result<(String, String)> {
    if path != "-" {
        return Ok((path.to_string(), read_text(path)?));
    }
    let bytes = read(io::stdin().lock()).map_err(|source| TextError::Read {
        name: STANDARD_INPUT.to_owned(),
        source,
    });
    interrupt::check().into_diagnostic()?;
    Ok((STANDARD_INPUT.to_owned(), text(STANDARD_INPUT, bytes?)?))
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, TextError> {
    let name = name.to_owned();
    if bytes.len() > LARGEST {
        return Err(TextError::TooLarge { name });
    }
    String::from_utf8(bytes).map_err(|_| TextError::NotText { name })
}

/// Reads to the end, to one byte more than a text may have, or to an interruption.
fn read(mut source: impl Read + AsFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while bytes.len() <= LARGEST && !interrupt::requested() {
        let ready = poll(&mut [PollFd::new(&source.as_fd(), PollFlags::IN)], Some(&PATIENCE));
        match ready.map_err(io::Error::from) {
            Ok(0) => continue,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        match source.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => bytes.extend(buffer.iter().take(count)),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use camino::Utf8PathBuf;

    use super::*;

    fn said(path: &str) -> String {
        read_text(Utf8Path::new(path)).unwrap_or_else(|report| report.to_string())
    }

    #[test]
    fn files_and_pipes_are_read_to_their_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("a")).expect("UTF-8");
        fs_err::write(&path, "one\n").expect("written");
        assert_eq!(said(path.as_str()), "one\n");
        let pipe = path.with_file_name("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            pipe.as_std_path(),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .expect("made");
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || {
                let mut pipe = fs_err::OpenOptions::new().write(true).open(pipe).expect("opens");
                for _ in 0..3 {
                    pipe.write_all(&[b'a'; 70_000]).expect("written");
                }
            }
        });
        assert_eq!(said(pipe.as_str()).len(), 210_000);
        writer.join().expect("ended");
    }

    #[test]
    fn what_is_no_text_is_told() {
        assert_eq!(said("/dev/zero"), "`/dev/zero` is larger than 16 MiB");
        assert_eq!(said("/nowhere"), "`/nowhere` cannot be read");
        assert_eq!(said("/"), "`/` cannot be read");
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8PathBuf::from_path_buf(folder.path().join("a")).expect("UTF-8");
        fs_err::write(&path, [0xFF]).expect("written");
        assert_eq!(said(path.as_str()), format!("`{path}` is not UTF-8 text"));
    }
}

//! Copying between a reader and a writer: in chunks, ended by Ctrl-C, and with the failing side named.

use std::io::{self, BufRead as _, BufReader, Read, Write};

use basalt_process::{ProcessError, interrupt};

/// Bytes that are copied, sent or received at once.
pub(crate) const CHUNK: usize = 256 << 10;

/// Failure of a copy, by the side that failed.
#[derive(Debug)]
pub(crate) enum CopyError {
    Read(io::Error),
    Write(io::Error),
    Interrupted(ProcessError),
}

/// Copies all that `from` still holds.
pub(crate) fn copy(from: &mut dyn Read, into: &mut dyn Write) -> Result<(), CopyError> {
    let mut from = BufReader::with_capacity(CHUNK, from);
    loop {
        interrupt::check().map_err(CopyError::Interrupted)?;
        let bytes = match from.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes.map_err(CopyError::Read)?,
        };
        let length = bytes.len();
        if length == 0 {
            return into.flush().map_err(CopyError::Write);
        }
        into.write_all(bytes).map_err(CopyError::Write)?;
        from.consume(length);
    }
}

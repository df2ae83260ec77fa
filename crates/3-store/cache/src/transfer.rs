//! Copying between a reader and a writer: in chunks, ended by Ctrl-C, and with the failing side named.

use std::io::{self, Read, Write};

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
    let mut buffer = vec![0; CHUNK];
    loop {
        interrupt::check().map_err(CopyError::Interrupted)?;
        match fill(from, &mut buffer).map_err(CopyError::Read)? {
            0 => return into.flush().map_err(CopyError::Write),
            length => into.write_all(&buffer[..length]).map_err(CopyError::Write)?,
        }
    }
}

/// Reads once, whatever signals come in between; 0 is the end.
pub(crate) fn fill(from: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

//! Verification of a whole RPM.

use std::io;

use basalt_process::interrupt;
use camino::Utf8Path;

use crate::{Payload, RpmError};

/// Compares the payload of an RPM with its header: names, types, sizes and SHA-256 digests of all files. `limit` is the
/// greatest number of bytes that the files may have together.
///
/// # Errors
/// When the RPM cannot be read, its payload differs from its header, or its files are larger than the limit; and when
/// interrupted.
pub fn verify(rpm: &Utf8Path, limit: Option<u64>) -> Result<(), RpmError> {
    let mut payload = Payload::open(rpm)?;
    let mut total = 0_u64;
    while let Some(file) = payload.next()? {
        interrupt::check()?;
        total = total.saturating_add(file.size);
        if let Some(limit) = limit
            && total > limit
        {
            let path = file.paths.first().map(String::as_str).unwrap_or_default();
            return Err(RpmError::payload(
                rpm,
                format!("with `{path}`, its files have {total} bytes, and {limit} are the limit of disk space"),
            ));
        }
        let copied = io::copy(&mut payload, &mut io::sink());
        copied.map_err(|error| payload.read_error(&error))?;
    }
    Ok(())
}

//! Headers of RPMs, with their structure checked before they are parsed.
//!
//! The `rpm` crate takes offsets and counts of a header as they are, and panics where they lead out of it. So the
//! structure is checked first, by the rules and limits that rpm itself has (lib/header.c, rpmfiFC): everything that an
//! entry names lies inside of the header's data.

use std::io::{BufRead, BufReader, Read};

use camino::Utf8Path;
use fs_err::File;
use rpm::PackageMetadata;

use crate::RpmError;

/// Size of the lead in bytes: obsolete, only its magic number is checked.
const LEAD: usize = 96;
const LEAD_MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];
/// Size of a header's introduction in bytes: magic number, version, four reserved bytes; then the number of entries and
/// the size of the data.
const INTRODUCTION: usize = 16;
const MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 0x01];
/// Size of an entry in bytes: tag, type, offset, count.
const ENTRY: usize = 16;
/// Limits of a header, those of rpm itself: entries, and bytes of data.
const MOST_ENTRIES: u32 = 0xffff;
const MOST_DATA: u32 = 256 << 20;

/// Reads the headers of an RPM file and checks their structure. All code that reads headers uses this function or
/// [`parse_header`]: the `rpm` crate's own functions panic on malformed ones.
///
/// # Errors
/// When the file cannot be read or is not an RPM.
pub fn read_header(path: &Utf8Path) -> Result<PackageMetadata, RpmError> {
    let file = File::open(path).map_err(RpmError::io("cannot open", path))?;
    parse_header(path, &mut BufReader::new(file))
}

/// Reads the headers of an RPM and checks their structure; errors call it `name`. The reader is left where the payload
/// begins.
///
/// # Errors
/// When the bytes are not those of an RPM.
pub fn parse_header(name: &Utf8Path, from: &mut impl BufRead) -> Result<PackageMetadata, RpmError> {
    let wrong = RpmError::header(name);
    let bytes = checked(from).map_err(|error| match error {
        Refused::Io(error) => wrong(rpm::Error::Io(error)),
        Refused::Structure(what) => RpmError::payload(name, what),
    })?;
    PackageMetadata::parse(&mut bytes.as_slice()).map_err(wrong)
}

enum Refused {
    Io(std::io::Error),
    Structure(String),
}

impl From<std::io::Error> for Refused {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

/// Returns the bytes of the lead and both headers, unchanged, if their structure is sound.
fn checked(from: &mut impl Read) -> Result<Vec<u8>, Refused> {
    let mut bytes = vec![0; LEAD];
    from.read_exact(&mut bytes)?;
    if !bytes.starts_with(LEAD_MAGIC) {
        return Err(Refused::Structure("it does not begin like an RPM".to_owned()));
    }
    let signature = append_header(from, &mut bytes)?;
    // The main header begins at a multiple of eight bytes.
    let padding = signature.next_multiple_of(8) - signature;
    append(from, &mut bytes, padding)?;
    append_header(from, &mut bytes)?;
    Ok(bytes)
}

/// Reads one header, appends it to the bytes, checks it, and returns its length in bytes.
fn append_header(from: &mut impl Read, bytes: &mut Vec<u8>) -> Result<usize, Refused> {
    let introduction = append(from, bytes, INTRODUCTION)?;
    if !introduction.starts_with(MAGIC) {
        return Err(Refused::Structure(
            "a header does not begin with its magic number".to_owned(),
        ));
    }
    let (entries, data) = (number(introduction, 8), number(introduction, 12));
    if entries > MOST_ENTRIES || data > MOST_DATA {
        return Err(Refused::Structure(format!(
            "a header wants to have {entries} entries and {data} bytes"
        )));
    }
    let (entries, data) = (entries as usize * ENTRY, data as usize);
    let (index, data) = append(from, bytes, entries + data)?.split_at(entries);
    for entry in index.chunks_exact(ENTRY) {
        check(entry, data).map_err(Refused::Structure)?;
    }
    Ok(INTRODUCTION + index.len() + data.len())
}

/// Reads exactly so many bytes, appends them to `bytes`, and returns what was appended.
fn append<'a>(from: &mut impl Read, bytes: &'a mut Vec<u8>, length: usize) -> std::io::Result<&'a [u8]> {
    let start = bytes.len();
    let read = from.take(length as u64).read_to_end(bytes)?;
    match bytes.get(start..) {
        Some(appended) if read == length => Ok(appended),
        _ => Err(std::io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Checks that the data of an entry lie inside of the header's data; an error says what is wrong.
fn check(entry: &[u8], data: &[u8]) -> Result<(), String> {
    let (tag, kind, offset, count) = (
        number(entry, 0),
        number(entry, 4),
        number(entry, 8) as usize,
        number(entry, 12) as usize,
    );
    let wrong = |what: &str| Err(format!("the entry {tag} of a header {what}"));
    let Some(rest) = data.get(offset..).filter(|_| offset <= data.len()) else {
        return wrong("lies outside of it");
    };
    let size = match kind {
        0 => return Ok(()),
        1 | 2 | 7 => 1,
        3 => 2,
        4 => 4,
        5 => 8,
        6 | 8 | 9 => {
            let strings = if kind == 6 { 1 } else { count };
            let ends = memchr::memchr_iter(0, rest).take(strings).count();
            return if ends == strings {
                Ok(())
            } else {
                wrong("has text that does not end")
            };
        }
        _ => return wrong("is of a kind that there is not"),
    };
    match count.checked_mul(size) {
        Some(length) if length <= rest.len() => Ok(()),
        _ => wrong("goes on behind its end"),
    }
}

/// Returns the big-endian number at an offset; callers make sure that four bytes are there.
fn number(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|four| four.try_into().ok())
        .map_or(0, u32::from_be_bytes)
}

//! Reader of cpio archives in the "new ASCII" format (`070701`), which RPM payloads have.

use std::io::{self, Read};

const HEADER: usize = 110;
const MAGIC: &[u8] = b"070701";
const TRAILER: &str = "TRAILER!!!";
/// Maximum length of a name in bytes; longer ones are refused before memory is allocated.
const LONGEST_NAME: u64 = 64 * 1024;

/// Header of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) name: String,
    pub(crate) inode: u32,
    pub(crate) mode: u32,
    pub(crate) links: u32,
    pub(crate) modified: u32,
    pub(crate) size: u64,
}

/// Reader of an archive, entry by entry; as a [`Read`], it returns the data of the current entry.
pub(crate) struct Archive<R> {
    inner: R,
    left: u64,
    padding: u64,
}

impl<R: Read> Archive<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            left: 0,
            padding: 0,
        }
    }

    /// Skips the rest of the current entry and returns the header of the next one; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Head>> {
        self.skip()?;
        let mut header = [0; HEADER];
        self.inner.read_exact(&mut header)?;
        if &header[..6] != MAGIC {
            return Err(invalid("an entry does not begin with the magic number of cpio"));
        }
        let field = |number: usize| number_at(&header, number);
        let name_size = u64::from(field(11)?);
        if name_size == 0 || name_size > LONGEST_NAME {
            return Err(invalid("a name has an impossible length"));
        }
        let mut name = vec![0; usize::try_from(name_size).map_err(io::Error::other)?];
        self.inner.read_exact(&mut name)?;
        if name.pop() != Some(0) {
            return Err(invalid("a name does not end"));
        }
        discard(&mut self.inner, padding(HEADER as u64 + name_size))?;
        let head = Head {
            name: String::from_utf8(name).map_err(|_| invalid("a name is not UTF-8"))?,
            inode: field(0)?,
            mode: field(1)?,
            links: field(4)?,
            modified: field(5)?,
            size: u64::from(field(6)?),
        };
        if head.name == TRAILER {
            return Ok(None);
        }
        self.left = head.size;
        self.padding = padding(head.size);
        Ok(Some(head))
    }

    fn skip(&mut self) -> io::Result<()> {
        let rest = self.left + std::mem::take(&mut self.padding);
        self.left = 0;
        discard(&mut self.inner, rest)
    }
}

impl<R: Read> Read for Archive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.by_ref().take(self.left).read(buffer)?;
        if read == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}

fn number_at(header: &[u8; HEADER], field: usize) -> io::Result<u32> {
    let start = MAGIC.len() + field * 8;
    let digits = header.get(start..start + 8);
    digits
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| invalid("a number in an entry's head is not one"))
}

fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

fn discard(reader: &mut impl Read, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut reader.by_ref().take(bytes), &mut io::sink())?;
    if skipped == bytes {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = format!(
            "070701{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}{:08x}",
            7,
            0o100_644,
            0,
            0,
            1,
            1_760_000_000,
            data.len(),
            0,
            0,
            0,
            0,
            name.len() + 1,
            0
        )
        .into_bytes();
        bytes.extend_from_slice(name.as_bytes());
        bytes.push(0);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn entries_are_read_or_skipped() {
        let bytes = [entry("./a", b"hello"), entry("./b", b"world!!"), entry(TRAILER, b"")].concat();
        let mut archive = Archive::new(bytes.as_slice());
        assert_eq!(archive.next().expect("reads").map(|head| head.name), Some("./a".into()));
        let head = archive.next().expect("reads").expect("an entry");
        assert_eq!((head.size, head.mode, head.links), (7, 0o100_644, 1));
        let mut text = String::new();
        archive.read_to_string(&mut text).expect("reads");
        assert_eq!(text, "world!!");
        assert_eq!(archive.next().expect("reads"), None);
    }

    proptest::proptest! {
        #[test]
        fn damage_is_an_error_and_never_a_panic(at in 0_usize..240, with: u8, cut in 0_usize..240) {
            let mut bytes = [entry("./a", b"hello"), entry(TRAILER, b"")].concat();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = with;
            }
            bytes.truncate(cut);
            let mut archive = Archive::new(bytes.as_slice());
            while let Ok(Some(_)) = archive.next() {
                let _ = io::copy(&mut archive, &mut io::sink());
            }
        }
    }
}

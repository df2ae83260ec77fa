//! Archive of a bundle: tar, compressed with gzip, which every system unpacks.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Packs files below one folder. `time` is the time of all of them, in seconds since 1970.
///
/// # Errors
/// When a name is too long for the format.
pub fn pack<'f>(folder: &str, time: u64, files: impl IntoIterator<Item = (&'f str, &'f [u8])>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o600);
        header.set_mtime(time);
        header.set_size(u64::try_from(bytes.len()).map_err(io::Error::other)?);
        archive.append_data(&mut header, format!("{folder}/{name}"), bytes)?;
    }
    let mut compressed = archive.into_inner()?;
    compressed.flush()?;
    compressed.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn it_is_unpacked_as_it_was_packed() {
        let files: [(&str, &[u8]); 2] = [("MANIFEST", b"text"), ("node/journal/kubelet.txt", b"")];
        let bytes = pack("basalt-node-1", 1, files).expect("packed");
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let mut seen = Vec::new();
        for entry in archive.entries().expect("entries") {
            let mut entry = entry.expect("an entry");
            let mut content = String::new();
            entry.read_to_string(&mut content).expect("read");
            seen.push((entry.path().expect("a path").display().to_string(), content));
        }
        let expected = [
            ("basalt-node-1/MANIFEST", "text"),
            ("basalt-node-1/node/journal/kubelet.txt", ""),
        ];
        assert_eq!(seen, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    }
}

//! Sources of a NodeConfig.
//!
//! Each platform has its own way of handing a machine its first words. Those that are on the machine itself are each a
//! [`Source`]; metadata services, which need the network, are asked later, by [`crate::metadata`].

use std::io::Read;
use std::time::{Duration, Instant};

use miette::Diagnostic;

mod credential;
mod disk;
pub(crate) mod encoding;
pub mod label;

pub use credential::Credential;
pub use disk::ConfigDisk;

use crate::cloud::Cloud;

/// Largest size of a NodeConfig, in bytes.
pub(crate) const LARGEST: u64 = 1 << 20;

/// A NodeConfig that was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Place, in words that errors and `basalt-node status` show.
    pub origin: String,
    /// Text of the NodeConfig, or of bootstrap data in its place.
    pub text: String,
    /// Metadata of the machine that came with it, in YAML or JSON; often empty.
    pub metadata: String,
}

/// Something that can hold a NodeConfig.
pub trait Source {
    /// Name of the source, for people.
    fn name(&self) -> String;

    /// The NodeConfig, if it is there by now.
    fn look(&mut self) -> Result<Option<Found>, SourceError>;

    /// Returns `true` if a NodeConfig may still turn up: devices need a moment after the kernel has started.
    fn may_come_late(&self) -> bool;

    /// Devices that look like a NodeConfig's and are not trusted, in words for the console.
    fn refused(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A source that has a NodeConfig which cannot be read.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum SourceError {
    /// Failure to open or read a source.
    #[error("cannot read the NodeConfig in {place}")]
    #[diagnostic(help("look at the device or credential that the machine was given, and start it again"))]
    Read {
        /// Place of the NodeConfig.
        place: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// Bytes that are not text.
    #[error("the NodeConfig in {place} is not UTF-8 text")]
    #[diagnostic(help("give it as it is, or compressed by gzip; in `io.systemd.credential:`, not in base64"))]
    NotText {
        /// Place of the NodeConfig.
        place: String,
    },
    /// An encoding that does not hold.
    #[error("the NodeConfig in {place} cannot be decoded: it begins as {encoding}, and is not")]
    #[diagnostic(help("it was cut short or changed on its way: hand it over again"))]
    Damaged {
        /// Place of the NodeConfig.
        place: String,
        /// The encoding.
        encoding: &'static str,
    },
    /// NodeConfig that is too large.
    #[error("the NodeConfig in {place} is larger than 1 MiB")]
    #[diagnostic(help("check that it is a NodeConfig and not something else of the same name"))]
    TooLarge {
        /// Place of the NodeConfig.
        place: String,
    },
    /// A disk has the label, but no NodeConfig.
    #[error("{place} has the label of a config disk, but no file {file}")]
    #[diagnostic(help("put the NodeConfig there as `{file}`, or give the disk another label"))]
    NoFile {
        /// The disk.
        place: String,
        /// The file.
        file: &'static str,
    },
}

/// All sources on a machine in this cloud, or in none; the first one that has a NodeConfig counts.
pub fn sources(cloud: Option<Cloud>) -> Vec<Box<dyn Source>> {
    vec![
        Box::new(Credential::of_this_process()),
        Box::new(ConfigDisk::of_this_machine(cloud)),
    ]
}

/// Looks everywhere, and for a while at what may come late. A device that cannot be read is tried again until then: a
/// drive that is only just being found gives its blocks a moment later.
pub fn find(sources: &mut [Box<dyn Source>], patience: Duration) -> Result<Option<Found>, SourceError> {
    let start = Instant::now();
    loop {
        let mut failed = None;
        for source in sources.iter_mut() {
            match source.look() {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                Err(error @ SourceError::Read { .. }) if source.may_come_late() => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        if start.elapsed() >= patience || !sources.iter().any(|source| source.may_come_late()) {
            return failed.map_or(Ok(None), Err);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The text of a NodeConfig from what is read.
fn read_text(reader: impl Read, place: String) -> Result<Found, SourceError> {
    let mut bytes = Vec::new();
    let read = reader.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|source| SourceError::Read {
        place: place.clone(),
        source,
    })?;
    text_of(bytes, place)
}

/// The text of a NodeConfig from its bytes.
pub(crate) fn text_of(bytes: Vec<u8>, place: String) -> Result<Found, SourceError> {
    if bytes.len() as u64 > LARGEST {
        return Err(SourceError::TooLarge { place });
    }
    let mut bytes = encoding::decompress(bytes, &place)?;
    // Some tools end a credential with a zero byte.
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Found {
            origin: place,
            text,
            metadata: String::new(),
        }),
        Err(_) => Err(SourceError::NotText { place }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A drive that cannot be read the first so many times, and has something after that.
    struct Drive {
        failures: usize,
        then: Option<&'static str>,
    }

    impl Source for Drive {
        fn name(&self) -> String {
            "drive".to_owned()
        }

        fn look(&mut self) -> Result<Option<Found>, SourceError> {
            if self.failures > 0 {
                self.failures -= 1;
                return Err(SourceError::Read {
                    place: "drive".to_owned(),
                    source: std::io::Error::other("not ready"),
                });
            }
            let found = |text: &str| Found {
                origin: "drive".to_owned(),
                text: text.to_owned(),
                metadata: String::new(),
            };
            Ok(self.then.map(found))
        }

        fn may_come_late(&self) -> bool {
            true
        }
    }

    fn found(failures: usize, then: Option<&'static str>, patience: Duration) -> Result<Option<String>, SourceError> {
        let mut sources: Vec<Box<dyn Source>> = vec![Box::new(Drive { failures, then })];
        Ok(find(&mut sources, patience)?.map(|found| found.text))
    }

    #[test]
    fn a_drive_that_is_not_ready_is_read_again() {
        let long = Duration::from_secs(60);
        assert_eq!(found(2, Some("config"), long).unwrap().as_deref(), Some("config"));
        // Until patience is over; then the error is told.
        assert!(matches!(
            found(9, Some("config"), Duration::ZERO),
            Err(SourceError::Read { .. })
        ));
        assert_eq!(found(0, None, Duration::ZERO).unwrap(), None);
    }
}

//! State of one transfer over all of its attempts: what has come, how to go on from there, when to give up.

use std::io::{Seek as _, Write as _};
use std::time::{Duration, Instant};

use basalt_digest::Hasher;
use basalt_progress::Task;
use basalt_store::FileError;
use camino::{Utf8Path, Utf8PathBuf};

use super::connection::{Connection, Event, Head};
use super::limits::{RateWatch, TransferLimits};
use super::{DownloadError, Downloaded, ExpectedSize, TICK, TransferPhase};

pub(super) struct Transfer<'t> {
    path: Utf8PathBuf,
    file: fs_err::File,
    size: ExpectedSize,
    task: &'t dyn Task,
    hasher: Hasher,
    received: u64,
    /// Bytes reported to the task: after a restart they are not reported again.
    told: u64,
    validator: Option<String>,
    /// `true` once the server has refused to resume.
    from_start: bool,
    resumed: bool,
}

/// End of an exchange that is no failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete {
        content_type: String,
    },
    Moved {
        location: Option<String>,
    },
    /// The server cannot go on where we were: it is to be asked for the whole.
    Again,
}

/// Meaning of a response's header for a transfer.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// The body goes on where we were; the whole file has that many bytes, if it is known.
    Continues(Option<u64>),
    /// The body begins at the first byte.
    Begins(Option<u64>),
    /// The part is none that fits: it is asked for again, from the first byte.
    Unfit,
    Moved(Option<String>),
    Refused {
        status: u16,
        retry_after: Option<Duration>,
    },
}

impl<'t> Transfer<'t> {
    pub(super) fn create(path: &Utf8Path, size: ExpectedSize, task: &'t dyn Task) -> Result<Self, DownloadError> {
        let file = fs_err::File::create(path).map_err(FileError::new("cannot write", path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            size,
            task,
            hasher: Hasher::new(),
            received: 0,
            told: 0,
            validator: None,
            from_start: false,
            resumed: false,
        })
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// First byte to ask for, with the validator that makes a part of it safe. Without one, the lock's digest still tells
    /// a file that changed; where there is no lock, either, everything is asked for again.
    pub(super) fn resume_at(&self) -> (Option<u64>, Option<String>) {
        let safe = self.validator.is_some() || matches!(self.size, ExpectedSize::Locked(_));
        if self.received == 0 || self.from_start || !safe {
            return (None, None);
        }
        (Some(self.received), self.validator.clone())
    }

    /// Takes what an exchange brings until its end.
    pub(super) fn run(
        &mut self,
        connection: &Connection,
        limits: &TransferLimits,
        check: impl Fn() -> Result<(), DownloadError>,
    ) -> Result<End, DownloadError> {
        let asked_from = self.resume_at().0;
        let mut watch = Watch::new(limits);
        let mut head: Option<Head> = None;
        let mut whole = None;
        loop {
            check()?;
            let event = connection.next(TICK);
            watch.see(event.as_ref(), head.is_some())?;
            match event {
                None => {}
                Some(Event::Head(found)) => {
                    match answer(&found, asked_from, self.validator.as_deref()) {
                        Answer::Moved(location) => return Ok(End::Moved { location }),
                        Answer::Refused { status, retry_after } => {
                            return Err(DownloadError::Status { status, retry_after });
                        }
                        Answer::Unfit => {
                            self.restart()?;
                            self.from_start = true;
                            return Ok(End::Again);
                        }
                        Answer::Begins(length) => {
                            self.restart()?;
                            whole = length;
                        }
                        Answer::Continues(length) => {
                            self.resumed = true;
                            whole = length;
                        }
                    }
                    self.admit(whole)?;
                    // A part may come without one; that of the whole is still good then.
                    self.validator = found.validator.clone().or(self.validator.take());
                    head = Some(found);
                }
                Some(Event::Data(bytes)) => self.take(&bytes)?,
                Some(Event::End) => {
                    self.complete(whole, "the connection was closed")?;
                    let content_type = head.map(|head| head.content_type).unwrap_or_default();
                    return Ok(End::Complete { content_type });
                }
                Some(Event::Failed(DownloadError::Truncated { reason, .. })) => {
                    return Err(self.cut(whole, reason));
                }
                Some(Event::Failed(error)) => return Err(error),
            }
        }
    }

    /// Largest size in bytes.
    fn cap(&self) -> u64 {
        match self.size {
            ExpectedSize::Locked(size) | ExpectedSize::AtMost(size) => size,
        }
    }

    /// Refuses a file by the size that the server announces.
    fn admit(&self, whole: Option<u64>) -> Result<(), DownloadError> {
        let Some(announced) = whole else { return Ok(()) };
        match self.size {
            ExpectedSize::Locked(expected) if announced < expected => {
                Err(DownloadError::TooSmall { expected, announced })
            }
            _ if announced > self.cap() => Err(DownloadError::TooLarge {
                cap: self.cap(),
                announced: Some(announced),
            }),
            _ => Ok(()),
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), DownloadError> {
        if self.received + bytes.len() as u64 > self.cap() {
            return Err(DownloadError::TooLarge {
                cap: self.cap(),
                announced: None,
            });
        }
        let written = self.file.write_all(bytes).and_then(|()| self.hasher.write_all(bytes));
        written.map_err(FileError::new("cannot write", &self.path))?;
        self.received += bytes.len() as u64;
        if self.received > self.told {
            self.task.advance(self.received - self.told);
            self.told = self.received;
        }
        Ok(())
    }

    /// Checks that all bytes came, at the end of a body; an error when some are missing.
    fn complete(&self, whole: Option<u64>, reason: &str) -> Result<(), DownloadError> {
        let expected = match self.size {
            ExpectedSize::Locked(size) => Some(size),
            ExpectedSize::AtMost(_) => whole,
        };
        match expected {
            Some(expected) if self.received < expected => Err(self.cut(Some(expected), reason.to_owned())),
            _ => Ok(()),
        }
    }

    fn cut(&self, whole: Option<u64>, reason: String) -> DownloadError {
        let expected = match self.size {
            ExpectedSize::Locked(size) => Some(size),
            ExpectedSize::AtMost(_) => whole,
        };
        DownloadError::Truncated {
            received: self.received,
            expected,
            reason,
        }
    }

    /// Forgets what has come.
    fn restart(&mut self) -> Result<(), DownloadError> {
        if self.received > 0 {
            let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
            emptied.map_err(FileError::new("cannot write", &self.path))?;
            self.hasher = Hasher::new();
            self.received = 0;
        }
        self.validator = None;
        self.resumed = false;
        Ok(())
    }

    pub(super) fn finish(self, url: String, content_type: String) -> Downloaded {
        Downloaded {
            sha256: self.hasher.finish(),
            size: self.received,
            url,
            content_type,
            resumed: self.resumed,
        }
    }
}

/// Reads a response's header; `asked_from` is the first byte that was asked for, `validator` what the file had before.
fn answer(head: &Head, asked_from: Option<u64>, validator: Option<&str>) -> Answer {
    match head.status {
        200 => Answer::Begins(head.length),
        206 => match (head.part, asked_from) {
            (Some((first, whole)), Some(wanted)) if first == wanted => {
                let same = match (validator, head.validator.as_deref()) {
                    (Some(before), Some(now)) => before == now,
                    _ => true,
                };
                if same { Answer::Continues(whole) } else { Answer::Unfit }
            }
            (_, Some(_)) => Answer::Unfit,
            // A part that was not asked for.
            (_, None) => Answer::Refused {
                status: head.status,
                retry_after: None,
            },
        },
        416 if asked_from.is_some() => Answer::Unfit,
        301 | 302 | 303 | 307 | 308 => Answer::Moved(head.location.clone()),
        status => Answer::Refused {
            status,
            retry_after: head.retry_after,
        },
    }
}

/// Clock of one exchange.
struct Watch<'l> {
    limits: &'l TransferLimits,
    started: Instant,
    last: Instant,
    rate: RateWatch,
}

impl<'l> Watch<'l> {
    fn new(limits: &'l TransferLimits) -> Self {
        let now = Instant::now();
        Self {
            limits,
            started: now,
            last: now,
            rate: RateWatch::new(limits, now),
        }
    }

    /// Looks at the clock; an error when nothing has moved for too long, or too little.
    fn see(&mut self, event: Option<&Event>, in_body: bool) -> Result<(), DownloadError> {
        let now = Instant::now();
        let stalled = |phase, time: Duration| DownloadError::Stalled {
            phase,
            seconds: time.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        };
        match event {
            Some(Event::Data(bytes)) => {
                self.last = now;
                match self.rate.too_slow(bytes.len() as u64, now) {
                    Some(rate) => Err(DownloadError::Slow {
                        rate,
                        floor: self.limits.minimum_rate,
                    }),
                    None => Ok(()),
                }
            }
            Some(_) => {
                self.last = now;
                self.rate = RateWatch::new(self.limits, now);
                Ok(())
            }
            None if in_body && now - self.last >= self.limits.idle => {
                Err(stalled(TransferPhase::Body, self.limits.idle))
            }
            // The client's own time-outs come first, and know whether it was the connection.
            None if !in_body => {
                let most = self.limits.connect * 2 + self.limits.first_byte * 2;
                if now - self.started >= most {
                    return Err(stalled(TransferPhase::Response, most));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(first: u64, whole: Option<u64>, validator: Option<&str>) -> Head {
        Head {
            status: 206,
            part: Some((first, whole)),
            validator: validator.map(str::to_owned),
            ..Head::default()
        }
    }

    #[test]
    fn a_part_must_fit() {
        for (head, asked, validator, expected) in [
            (part(5, Some(9), None), Some(5), None, Answer::Continues(Some(9))),
            (
                part(5, None, Some("\"a\"")),
                Some(5),
                Some("\"a\""),
                Answer::Continues(None),
            ),
            (part(5, None, None), Some(5), Some("\"a\""), Answer::Continues(None)),
            (part(5, None, Some("\"b\"")), Some(5), Some("\"a\""), Answer::Unfit),
            (part(4, None, None), Some(5), None, Answer::Unfit),
        ] {
            assert_eq!(answer(&head, asked, validator), expected, "{head:?}");
        }
        let status = |status| Head {
            status,
            ..Head::default()
        };
        assert_eq!(answer(&status(200), Some(5), None), Answer::Begins(None));
        assert_eq!(answer(&status(416), Some(5), None), Answer::Unfit);
        for refused in [204, 206, 304, 404, 416, 500] {
            let answer = answer(&status(refused), None, None);
            assert!(matches!(answer, Answer::Refused { status, .. } if status == refused));
        }
    }
}

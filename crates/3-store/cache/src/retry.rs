//! Retry policy: number of attempts and pauses between them. Pure: the caller sleeps.

use std::time::Duration;

use crate::error::CacheError;

/// Time limits of a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimits {
    /// Time-out of a TCP connection with its TLS handshake.
    pub connect: Duration,
    /// Time-out of a call without a stream, and of each message of a stream.
    pub call: Duration,
    /// Bytes per second that a stream has to carry on average, at least.
    pub bytes_per_second: u64,
    /// Tries of a call, at least 1.
    pub attempts: u32,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            call: Duration::from_secs(20),
            bytes_per_second: 64 << 10,
            attempts: 3,
        }
    }
}

impl CallLimits {
    /// Returns the time-out of the whole stream of a blob with `size` bytes.
    pub(crate) fn stream(&self, size: u64) -> Duration {
        self.call + Duration::from_secs(size / self.bytes_per_second.max(1))
    }
}

/// Pause before the next try of what failed with `error`; `None` when there is to be none. `attempt` counts from 1.
pub(crate) fn pause(limits: &CallLimits, attempt: u32, error: &CacheError) -> Option<Duration> {
    use tonic::Code;
    let passing = match error {
        CacheError::Unreachable { .. } => true,
        CacheError::Server { code, .. } => matches!(
            code,
            Code::Unavailable
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::Internal
                | Code::Unknown
                | Code::Cancelled
        ),
        // A server that has let one deadline pass is not asked to let another one pass.
        _ => false,
    };
    (passing && attempt < limits.attempts).then(|| Duration::from_millis(200 << (2 * (attempt.min(4) - 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: tonic::Code) -> CacheError {
        CacheError::Server {
            cache: String::new(),
            call: "Read",
            code,
            message: String::new(),
        }
    }

    #[test]
    fn only_what_may_pass_is_tried_again_and_not_for_ever() {
        let limits = CallLimits::default();
        let passing = server(tonic::Code::Unavailable);
        let pauses: Vec<_> = (1..=4).map(|attempt| pause(&limits, attempt, &passing)).collect();
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(pauses, [millis(200), millis(800), None, None]);
        for code in [
            tonic::Code::InvalidArgument,
            tonic::Code::Unimplemented,
            tonic::Code::NotFound,
        ] {
            assert_eq!(pause(&limits, 1, &server(code)), None, "{code}");
        }
        let cache = String::new();
        let timed_out = CacheError::TimedOut {
            cache,
            call: "Read",
            seconds: 20,
        };
        assert_eq!(pause(&limits, 1, &timed_out), None);
    }

    #[test]
    fn a_large_blob_has_more_time() {
        let limits = CallLimits::default();
        assert_eq!(limits.stream(0), Duration::from_secs(20));
        assert_eq!(limits.stream(64 << 20), Duration::from_secs(20 + 1024));
    }
}

//! Limits of a transfer, and the decisions that follow from them. Nothing here does any I/O.

use std::time::{Duration, Instant};

/// Limits of every transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLimits {
    /// Time for resolving the host's name and connecting, with TLS.
    pub connect: Duration,
    /// Time from the request to the end of the response's header.
    pub first_byte: Duration,
    /// Time without a single byte of the body.
    pub idle: Duration,
    /// Time over which [`Self::minimum_rate`] is measured.
    pub rate_window: Duration,
    /// Bytes per second that a server has to send at least.
    pub minimum_rate: u64,
    /// Attempts that may fail one after the other without a new byte.
    pub attempts: u32,
    /// Attempts in all, however much each of them brought.
    pub total_attempts: u32,
    /// Pause before the second attempt; each further one doubles it.
    pub first_pause: Duration,
    /// Longest pause, also where a server asks for a longer one.
    pub longest_pause: Duration,
    /// Redirects that are followed.
    pub redirects: u32,
}

/// Largest file that is taken where the lock does not say a size yet: 4 GiB.
pub const UNKNOWN_SIZE_CAP: u64 = 4 << 30;

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            first_byte: Duration::from_secs(30),
            idle: Duration::from_secs(30),
            rate_window: Duration::from_secs(60),
            minimum_rate: 1024,
            attempts: 4,
            total_attempts: 30,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(60),
            redirects: 8,
        }
    }
}

impl TransferLimits {
    /// Pause before the next attempt after `failures` failed ones: exponential, of which `jitter` (0.0 to 1.0, random)
    /// decides up to a half, so that many machines do not come back at the same moment. What a server wishes for
    /// (Retry-After) is the least.
    pub(super) fn pause(&self, failures: u32, wish: Option<Duration>, jitter: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let full = self.first_pause.saturating_mul(1 << doublings).min(self.longest_pause);
        let pause = full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        wish.map_or(pause, |wish| wish.max(pause)).min(self.longest_pause)
    }
}

/// Returns `true` for a status that may change in a while: overload, maintenance, time-outs of gateways.
pub(super) fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Watches how fast bytes come in.
#[derive(Debug)]
pub(super) struct RateWatch {
    window: Duration,
    floor: u64,
    since: Instant,
    bytes: u64,
}

impl RateWatch {
    pub(super) fn new(limits: &TransferLimits, now: Instant) -> Self {
        Self {
            window: limits.rate_window,
            floor: limits.minimum_rate,
            since: now,
            bytes: 0,
        }
    }

    /// Takes note of bytes. At the end of a window that had too few of them, their rate in bytes per second.
    pub(super) fn too_slow(&mut self, bytes: u64, now: Instant) -> Option<u64> {
        self.bytes += bytes;
        let elapsed = now.duration_since(self.since);
        if elapsed < self.window {
            return None;
        }
        let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        let rate = self.bytes.saturating_mul(1000) / milliseconds;
        self.since = now;
        self.bytes = 0;
        (rate < self.floor).then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let limits = TransferLimits::default();
        let seconds = |failures, wish, jitter| limits.pause(failures, wish, jitter).as_secs_f64();
        assert_eq!(seconds(1, None, 1.0), 1.0);
        assert_eq!(seconds(1, None, 0.0), 0.5);
        assert_eq!(seconds(4, None, 1.0), 8.0);
        assert_eq!(seconds(40, None, 1.0), 60.0);
        assert_eq!(seconds(1, Some(Duration::from_secs(7)), 1.0), 7.0);
        assert_eq!(seconds(1, Some(Duration::from_secs(86_400)), 1.0), 60.0);
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(is_transient(status), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 416, 451, 501] {
            assert!(!is_transient(status), "{status}");
        }
    }

    #[test]
    fn a_trickle_is_told_from_a_slow_line() {
        let limits = TransferLimits::default();
        let start = Instant::now();
        let mut watch = RateWatch::new(&limits, start);
        for second in 1..60 {
            assert_eq!(watch.too_slow(1, start + Duration::from_secs(second)), None);
        }
        assert_eq!(watch.too_slow(1, start + Duration::from_secs(60)), Some(1));
        let mut watch = RateWatch::new(&limits, start);
        assert_eq!(watch.too_slow(2048 * 60, start + Duration::from_secs(60)), None);
        // A new window begins: what came before does not count.
        assert_eq!(watch.too_slow(60, start + Duration::from_secs(120)), Some(1));
    }
}

//! A downloader for tests: impatient, without proxies, and without Ctrl-C.

use std::time::Duration;

use super::{Downloader, TransferLimits};
use crate::download::proxy::Proxies;

/// Limits that let a test end within a second or two.
pub(crate) fn limits() -> TransferLimits {
    TransferLimits {
        connect: Duration::from_millis(500),
        first_byte: Duration::from_millis(500),
        idle: Duration::from_millis(500),
        rate_window: Duration::from_millis(700),
        minimum_rate: 1000,
        attempts: 2,
        total_attempts: 10,
        first_pause: Duration::from_millis(10),
        longest_pause: Duration::from_secs(2),
        redirects: 3,
    }
}

fn never() -> bool {
    false
}

pub(crate) fn downloader(limits: TransferLimits) -> Downloader {
    Downloader {
        limits,
        proxies: Proxies::default(),
        stop: never,
    }
}

//! Outages of the API server, which a run waits out for a time.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::MigrateError;

/// Longest time without an answer of the API server.
const PATIENCE: Duration = Duration::from_secs(300);

/// Time for which the API server has not answered, if it does not.
#[derive(Debug, Default)]
pub(crate) struct Outage(Option<Instant>);

impl Outage {
    /// Returns `true` if the API server does not answer.
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Takes note of an answer.
    pub(crate) fn end(&mut self) {
        self.0 = None;
    }

    /// Takes note of an error that may pass.
    ///
    /// # Errors
    /// The error, as the end of the run, when this has lasted too long.
    pub(crate) fn endure(&mut self, error: MigrateError) -> Result<(), MigrateError> {
        let lasted = self.0.get_or_insert_with(Instant::now).elapsed();
        if lasted > PATIENCE {
            return Err(error.into_unavailable(lasted));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> MigrateError {
        crate::api::failed("list nodes")(kube::Error::LinesCodecMaxLineLengthExceeded)
    }

    #[tokio::test(start_paused = true)]
    async fn an_outage_ends_a_run_after_a_time_and_an_answer_ends_the_outage() {
        let mut outage = Outage::default();
        assert!(!outage.is_on());
        outage.endure(error()).expect("patience");
        tokio::time::advance(PATIENCE - Duration::from_secs(1)).await;
        outage.endure(error()).expect("patience");
        outage.end();
        assert!(!outage.is_on());
        outage.endure(error()).expect("patience");
        tokio::time::advance(PATIENCE + Duration::from_secs(1)).await;
        assert!(outage.is_on());
        let end = outage.endure(error());
        assert!(matches!(end, Err(MigrateError::Unavailable { .. })), "{end:?}");
    }
}

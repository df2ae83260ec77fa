//! Recording of an operation's progress reports.

use std::sync::{Arc, Mutex, PoisonError};

use basalt_progress::{Outcome, Reporter, Task, Unit};

/// Keeps the outcome of every task, and every note and warning.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    outcomes: Arc<Mutex<Vec<(String, Outcome)>>>,
    notes: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    /// The titles of the tasks that ended like this, in the order in which they did.
    pub fn ended(&self, outcome: Outcome) -> Vec<String> {
        let outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = outcomes.iter().filter(|(_, other)| *other == outcome);
        fitting.map(|(title, _)| title.clone()).collect()
    }

    /// The notes and warnings.
    pub fn notes(&self) -> Vec<String> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Reporter for Recorder {
    fn task(&self, title: &str, _: Unit, _: Option<u64>) -> Box<dyn Task> {
        Box::new(Recorded {
            title: title.to_owned(),
            outcomes: Arc::clone(&self.outcomes),
        })
    }

    fn note(&self, text: &str) {
        self.notes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text.to_owned());
    }

    fn warn(&self, text: &str) {
        self.note(text);
    }
}

struct Recorded {
    title: String,
    outcomes: Arc<Mutex<Vec<(String, Outcome)>>>,
}

impl Task for Recorded {
    fn advance(&self, _: u64) {}

    fn detail(&self, _: &str) {}

    fn finish(self: Box<Self>, outcome: Outcome) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.push((self.title.clone(), outcome));
    }
}

//! The count of a jobserver's tokens: a state machine without clocks, files and threads.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Time for which a job may leave tokens unread while another one wants some.
pub const IDLE: Duration = Duration::from_millis(20);
/// Time for which a job that left tokens unread, or made some up, counts as one that wants none.
pub const SATED: Duration = Duration::from_secs(1);
/// Time for which a job waits to be begun before a token that another job keeps is written off.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Number of a job in work, in the order of their beginnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobNumber(u64);

/// Tokens of one job, beside its implicit one.
#[derive(Debug, Default)]
struct Account {
    /// Tokens that were put into the job's FIFO and not taken back: in there, or with the job's processes.
    given: usize,
    /// Tokens that were written off. While there are any, the job gets no others.
    debt: usize,
    /// Those of the given tokens that are in the FIFO, as far as is known.
    unread: usize,
    /// Time since which there was at least one unread token at every observation.
    unread_since: Option<Instant>,
    /// Fewest unread tokens at the observations since then.
    least_unread: usize,
    sated_until: Option<Instant>,
}

impl Account {
    /// Number of the job's tokens with its implicit one.
    fn holdings(&self) -> usize {
        1 + self.given
    }

    fn is_sated(&self, now: Instant) -> bool {
        self.sated_until.is_some_and(|until| now < until)
    }

    /// Returns `true` if the job may want more tokens: it has taken all that were put into its FIFO.
    fn wants(&self, now: Instant) -> bool {
        self.debt == 0 && self.unread == 0 && !self.is_sated(now)
    }

    /// Number of tokens that were unread for [`IDLE`].
    fn idle(&self, now: Instant) -> usize {
        let is_long = |since| now.saturating_duration_since(since) >= IDLE;
        if self.unread_since.is_some_and(is_long) {
            self.least_unread
        } else {
            0
        }
    }

    /// Number of unread tokens to be taken back for a job that has `poorest` tokens.
    fn reclaimable(&self, poorest: usize, now: Instant) -> usize {
        let excess = self.holdings().saturating_sub(poorest + 1).min(self.unread);
        excess.max(self.idle(now))
    }
}

/// Tokens in all, and who has them.
///
/// Every token is free, or a job's: its implicit one, or one that it was given. So `free` and the holdings of all jobs
/// are `total` together. A job's FIFO is its own; whatever it does there concerns its own account only.
///
/// **Fairness.** Nobody can see whether a job would take another token: a FIFO that is empty is the only sign. Free
/// tokens go to jobs that wait to be begun, then to those that want some, the fewest holdings first; what is left is
/// offered to all. Unread tokens are taken back when another job wants some and has at least two fewer, or when they
/// were unread for [`IDLE`]; such a job counts as one that wants none for [`SATED`].
///
/// **Losses.** When a job ends, its tokens are free, wherever they are. When none is free for a job that waits to be
/// begun, and none comes back for the time of [`PATIENCE`], one that another job keeps is written off: one process too
/// many may run then, until that job gives it back.
#[derive(Debug)]
pub struct Ledger {
    total: usize,
    free: usize,
    /// Jobs that wait for their implicit token.
    waiting: usize,
    /// Time since which one of them waits and none was begun.
    starved_since: Option<Instant>,
    patience: Duration,
    accounts: BTreeMap<JobNumber, Account>,
    next: u64,
}

impl Ledger {
    /// A ledger of so many tokens, all of them free.
    pub fn new(total: usize, patience: Duration) -> Self {
        Self {
            total,
            free: total,
            waiting: 0,
            starved_since: None,
            patience,
            accounts: BTreeMap::new(),
            next: 0,
        }
    }

    /// Number of tokens in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Number of tokens that nobody uses: those that are free, and those that are unread.
    pub fn unused(&self) -> usize {
        self.free + self.accounts.values().map(|account| account.unread).sum::<usize>()
    }

    /// Notes that a job waits to be begun.
    pub fn wait(&mut self) {
        self.waiting += 1;
    }

    /// Notes that a job does not wait any longer.
    pub fn give_up(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// Returns `true` if a job waits for a token that is free.
    pub fn can_begin(&self) -> bool {
        self.waiting > 0 && self.free > 0
    }

    /// Begins a job that waits, if a token is free.
    pub fn begin(&mut self) -> Option<JobNumber> {
        if !self.can_begin() {
            return None;
        }
        self.free -= 1;
        self.waiting -= 1;
        self.starved_since = None;
        let number = JobNumber(self.next);
        self.next += 1;
        self.accounts.insert(number, Account::default());
        Some(number)
    }

    /// Ends a job, whose processes have ended: all of its tokens are free.
    pub fn end(&mut self, job: JobNumber) {
        if let Some(account) = self.accounts.remove(&job) {
            self.free += account.holdings();
        }
    }

    /// Notes how many bytes are in a job's FIFO. Returns how many of them are no tokens that it was given: these are to
    /// be taken out, see [`Self::discarded`].
    pub fn observe(&mut self, job: JobNumber, now: Instant, in_fifo: usize) -> usize {
        let Some(account) = self.accounts.get_mut(&job) else {
            return 0;
        };
        account.unread = in_fifo.min(account.given);
        let surplus = in_fifo - account.unread;
        match account.unread_since {
            _ if account.unread == 0 => {
                account.unread_since = None;
                account.least_unread = 0;
            }
            None => {
                account.unread_since = Some(now);
                account.least_unread = account.unread;
            }
            Some(_) => account.least_unread = account.least_unread.min(account.unread),
        }
        if surplus > account.debt {
            account.sated_until = Some(now + SATED);
        }
        surplus
    }

    /// Notes that so many bytes were taken out of a job's FIFO that were no given tokens: ones that were written off,
    /// or made up.
    pub fn discarded(&mut self, job: JobNumber, count: usize) {
        if let Some(account) = self.accounts.get_mut(&job) {
            account.debt = account.debt.saturating_sub(count);
        }
    }

    /// Hands out the tokens that are free. Returns how many are to be put into which job's FIFO.
    pub fn grant(&mut self, now: Instant) -> BTreeMap<JobNumber, usize> {
        let mut grants = BTreeMap::new();
        while self.free > self.waiting {
            let accounts = self.accounts.iter_mut().filter(|(_, account)| account.debt == 0);
            let next = accounts.min_by_key(|(_, account)| (!account.wants(now), account.is_sated(now), account.given));
            let Some((job, account)) = next else { break };
            self.free -= 1;
            account.given += 1;
            account.unread += 1;
            *grants.entry(*job).or_default() += 1;
        }
        grants
    }

    /// Returns how many unread tokens are to be taken out of which job's FIFO, since another job wants some. What was
    /// there still is noted by [`Self::took`].
    pub fn reclaim(&mut self, now: Instant) -> BTreeMap<JobNumber, usize> {
        let Some(poorest) = self.poorest(now) else {
            return BTreeMap::new();
        };
        let mut takes = BTreeMap::new();
        for (job, account) in &mut self.accounts {
            let count = account.reclaimable(poorest, now);
            if account.idle(now) > 0 {
                account.sated_until = Some(now + SATED);
            }
            if count > 0 {
                takes.insert(*job, count);
            }
        }
        takes
    }

    /// Notes that so many given tokens are not in a job's FIFO, but free.
    pub fn took(&mut self, job: JobNumber, count: usize) {
        if let Some(account) = self.accounts.get_mut(&job) {
            let count = count.min(account.given);
            account.given -= count;
            account.unread = account.unread.saturating_sub(count);
            // What is left is looked at anew.
            account.unread_since = None;
            self.free += count;
        }
    }

    /// Notes that a job's FIFO takes no tokens: others go before it for a while.
    pub fn refused(&mut self, job: JobNumber, now: Instant) {
        if let Some(account) = self.accounts.get_mut(&job) {
            account.sated_until = Some(now + SATED);
        }
    }

    /// Jobs that have so much more than another one that a token which they give back is to be taken at once.
    pub fn overdrawn(&self, now: Instant) -> impl Iterator<Item = JobNumber> {
        let poorest = self.poorest(now);
        let accounts = self.accounts.iter();
        let overdrawn = accounts.filter(move |(_, account)| poorest.is_some_and(|it| account.holdings() > it + 1));
        overdrawn.map(|(job, _)| *job)
    }

    /// Writes a token off when a job has waited too long to be begun.
    pub fn write_off(&mut self, now: Instant) {
        if self.waiting <= self.free {
            self.starved_since = None;
            return;
        }
        let since = *self.starved_since.get_or_insert(now);
        if now.saturating_duration_since(since) < self.patience {
            return;
        }
        let given = self.accounts.values_mut().filter(|account| account.given > 0);
        if let Some(account) = given.max_by_key(|account| account.given) {
            account.given -= 1;
            account.debt += 1;
            self.free += 1;
            self.starved_since = None;
            tracing::debug!("a token of the jobserver was kept for too long; it is written off");
        }
    }

    /// Fewest tokens of a job that wants another one: none, for one that waits to be begun.
    fn poorest(&self, now: Instant) -> Option<usize> {
        if self.waiting > self.free {
            return Some(0);
        }
        let wanting = self.accounts.values().filter(|account| account.wants(now));
        wanting.map(Account::holdings).min()
    }
}

#[cfg(test)]
mod tests;

use proptest::prelude::*;

use super::*;

/// A ledger with clients that take and give back as they are told: each job has bytes in its FIFO, and tokens in hand.
struct World {
    ledger: Ledger,
    now: Instant,
    /// By job: bytes in its FIFO, tokens of its processes.
    jobs: BTreeMap<JobNumber, (usize, usize)>,
}

impl World {
    fn new(total: usize) -> Self {
        Self {
            ledger: Ledger::new(total, PATIENCE),
            now: Instant::now(),
            jobs: BTreeMap::new(),
        }
    }

    /// Begins a job, for which a token must be free or unread.
    fn begin(&mut self) -> JobNumber {
        self.ledger.wait();
        self.settle();
        self.begin_waiting().expect("a token is free")
    }

    fn begin_waiting(&mut self) -> Option<JobNumber> {
        let job = self.ledger.begin()?;
        self.jobs.insert(job, (0, 0));
        self.settle();
        Some(job)
    }

    fn end(&mut self, job: JobNumber) {
        self.ledger.end(job);
        self.jobs.remove(&job);
        self.settle();
    }

    fn give(&mut self) {
        for (job, count) in self.ledger.grant(self.now) {
            self.jobs.get_mut(&job).expect("a job").0 += count;
        }
    }

    /// What the relay does at each of its turns.
    fn settle(&mut self) {
        for (job, (bytes, _)) in &mut self.jobs {
            let surplus = self.ledger.observe(*job, self.now, *bytes);
            *bytes -= surplus;
            self.ledger.discarded(*job, surplus);
        }
        self.give();
        for (job, count) in self.ledger.reclaim(self.now) {
            let bytes = &mut self.jobs.get_mut(&job).expect("a job").0;
            assert!(count <= *bytes, "no more than there is");
            *bytes -= count;
            self.ledger.took(job, count);
        }
        self.ledger.write_off(self.now);
        self.give();
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.settle();
    }

    /// Processes of the job take what is in its FIFO.
    fn take(&mut self, job: JobNumber) -> usize {
        let (bytes, held) = self.jobs.get_mut(&job).expect("a job");
        *held += std::mem::take(bytes);
        *held
    }

    /// Processes of the job give tokens back, and nobody else of it takes them.
    fn give_back(&mut self, job: JobNumber, count: usize) {
        let (bytes, held) = self.jobs.get_mut(&job).expect("a job");
        *held -= count;
        *bytes += count;
        self.settle();
    }

    fn unread(&self, job: JobNumber) -> usize {
        self.jobs[&job].0
    }

    /// Every token is free, a job's implicit one, or one that a job was given.
    fn is_balanced(&self) -> bool {
        let held = self.ledger.accounts.values().map(Account::holdings).sum::<usize>();
        self.ledger.free + held == self.ledger.total
    }
}

#[test]
fn a_job_alone_is_offered_everything() {
    let mut world = World::new(8);
    let job = world.begin();
    assert_eq!(world.unread(job), 7);
    // However long it does not take them.
    world.pass(100 * SATED);
    assert_eq!(world.unread(job), 7);
    assert_eq!(world.ledger.unused(), 7);
}

#[test]
fn a_job_is_begun_with_a_token_that_nobody_has_taken() {
    let mut world = World::new(8);
    let first = world.begin();
    world.ledger.wait();
    world.settle();
    let second = world.begin_waiting().expect("taken back");
    assert_eq!(world.unread(first) + world.unread(second), 6);
}

#[test]
fn jobs_that_want_tokens_come_to_equal_shares() {
    let mut world = World::new(8);
    let first = world.begin();
    assert_eq!(world.take(first), 7);
    world.ledger.wait();
    world.settle();
    assert_eq!(world.begin_waiting(), None);
    assert_eq!(world.ledger.overdrawn(world.now).collect::<Vec<_>>(), [first]);
    world.give_back(first, 1);
    let second = world.begin_waiting().expect("given back");
    for _ in 0..6 {
        world.take(second);
        world.settle();
        world.give_back(first, 1);
        world.take(first);
    }
    // With the implicit ones four each, and neither loses any more to the other.
    assert_eq!((world.take(first), world.take(second)), (3, 3));
    assert_eq!(world.ledger.overdrawn(world.now).count(), 0);
}

#[test]
fn what_a_job_leaves_unread_goes_to_one_that_wants_it() {
    let mut world = World::new(8);
    let (idle, busy) = (world.begin(), world.begin());
    world.take(busy);
    world.settle();
    world.pass(IDLE);
    assert_eq!((world.unread(idle), world.take(busy)), (0, 6));
    // Now and then it is asked again; no token stays with it for longer than that.
    world.pass(SATED);
    world.give_back(busy, 1);
    assert_eq!(world.unread(idle), 1);
    world.settle();
    world.pass(IDLE);
    assert_eq!((world.unread(idle), world.take(busy)), (0, 6));
}

#[test]
fn whatever_a_job_had_is_free_when_it_ends() {
    let mut world = World::new(4);
    let (killed, other) = (world.begin(), world.begin());
    world.take(other);
    world.take(killed);
    world.end(killed);
    assert_eq!(world.unread(other), 2);
    assert!(world.is_balanced());
}

#[test]
fn tokens_that_a_job_makes_up_reach_nobody() {
    let mut world = World::new(3);
    let (forger, other, third) = (world.begin(), world.begin(), world.begin());
    world.jobs.get_mut(&forger).expect("a job").0 = 1000;
    world.settle();
    assert_eq!((world.unread(forger), world.unread(other)), (0, 0));
    assert_eq!(world.ledger.unused(), 0);
    // When a token is free, others are served first.
    world.end(third);
    assert_eq!((world.unread(forger), world.unread(other)), (0, 1));
    assert!(world.is_balanced());
}

#[test]
fn a_job_that_keeps_tokens_does_not_keep_others_from_being_begun() {
    let mut world = World::new(4);
    let hoarder = world.begin();
    assert_eq!(world.take(hoarder), 3);
    for _ in 0..3 {
        world.ledger.wait();
        world.settle();
        world.pass(PATIENCE / 2);
        assert_eq!(world.begin_waiting(), None);
        world.pass(PATIENCE / 2);
        let begun = world.begin_waiting().expect("written off");
        // The hoarder gets no other token: this one is for all others, again and again.
        world.end(begun);
        assert_eq!(world.unread(hoarder), 0);
        let again = world.begin();
        world.end(again);
        world.begin();
    }
    // What it gives back is no token any more.
    world.give_back(hoarder, 3);
    assert_eq!((world.unread(hoarder), world.ledger.unused()), (0, 0));
    assert!(world.is_balanced());
}

#[test]
fn nothing_is_written_off_where_every_job_has_one_token() {
    let mut world = World::new(2);
    world.begin();
    world.begin();
    world.ledger.wait();
    world.pass(PATIENCE);
    world.pass(PATIENCE);
    assert_eq!(world.begin_waiting(), None);
}

proptest! {
    /// Property: whatever jobs do with their FIFOs, every token is accounted for, no job is given more than there are,
    /// and when all have ended, all are free.
    #[test]
    fn every_token_is_accounted_for(
        total in 1usize..9,
        steps in proptest::collection::vec((0u8..7, 0usize..8, 0usize..5), 0..120),
    ) {
        let mut world = World::new(total);
        for (what, which, count) in steps {
            let job = world.jobs.keys().nth(which).copied();
            match (what, job) {
                (0, _) => world.ledger.wait(),
                (1, _) => {
                    world.begin_waiting();
                }
                (2, Some(job)) => world.end(job),
                (3, Some(job)) => {
                    world.take(job);
                }
                (4, Some(job)) => {
                    let held = world.jobs[&job].1;
                    world.give_back(job, count.min(held));
                }
                (5, Some(job)) => world.jobs.get_mut(&job).expect("a job").0 += count,
                _ => world.pass(Duration::from_secs(count as u64 * 11)),
            }
            prop_assert!(world.is_balanced());
        }
        while world.ledger.waiting > 0 {
            world.ledger.give_up();
        }
        for job in world.jobs.keys().copied().collect::<Vec<_>>() {
            world.end(job);
        }
        prop_assert_eq!(world.ledger.unused(), total);
    }
}

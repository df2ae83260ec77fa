//! Processes that are killed at any point of their operation.

use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use basalt_store::Store;

use crate::{child, faults, names, scratch};

/// Number of processes that are killed.
const KILLS: u32 = 200;

#[test]
fn a_store_outlives_kills_at_any_point() {
    let (_guard, root) = scratch();
    let (mut objects, mut swept) = (0, 0);
    for number in 0..KILLS {
        let mut working = child::command(&[], "work", &root).to_std();
        working.stdout(std::process::Stdio::null());
        let mut working = working.spawn().expect("started");
        // From before it opens the store until some rounds of its loop.
        let micros = 500 + Duration::from_micros(u64::from(number.wrapping_mul(2_654_435_761) % 90_000)).as_micros();
        std::thread::sleep(Duration::from_micros(u64::try_from(micros).expect("small")));
        working.kill().expect("killed");
        let status = working.wait().expect("waited for");
        assert_eq!(status.signal(), Some(9), "it ended by itself");
        let left = |folder: &str| root.join(folder).read_dir().map(|entries| entries.count()).unwrap_or(0);
        swept += left("tmp");
        let store = Store::open(&root).expect("opens");
        assert_eq!(faults(&store), [""; 0], "after kill {number}");
        assert_eq!(names(&store, "tmp"), [""; 0], "after kill {number}");
        let leases = names(&store, "locks")
            .iter()
            .filter(|name| name.starts_with("lease-"))
            .count();
        assert_eq!(leases, 1, "our own");
        objects += names(&store, "objects").len();
    }
    assert!(objects > 100, "the killed processes did nothing: {objects}");
    assert!(swept > 20, "they were not killed in the middle of anything: {swept}");
}

//! Everything that the fuzzer found worth keeping, by an ordinary compiler: one test for each target.

#![cfg(test)]

use std::panic::catch_unwind;

use basalt_fuzz::TARGETS;
use libtest_mimic::{Arguments, Failed, Trial};

fn main() {
    let trials = TARGETS.iter().map(|&(name, target)| {
        Trial::test(name, move || {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/").to_owned() + name;
            let mut count = 0;
            for entry in fs_err::read_dir(&folder)? {
                let path = entry?.path();
                let data = fs_err::read(&path)?;
                if catch_unwind(|| target(&data)).is_err() {
                    return Err(Failed::from(format!("it panics with {}", path.display())));
                }
                count += 1;
            }
            if count == 0 {
                return Err(Failed::from(format!("there is nothing in {folder}")));
            }
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit();
}

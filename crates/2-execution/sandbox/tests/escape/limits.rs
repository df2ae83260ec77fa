//! Programs that exceed a limit.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use basalt_process::ProcessError;
use basalt_sandbox::{ConfinementLayer, Limit, Sandbox, SandboxLimits, SandboxReport, Termination};
use libtest_mimic::{Failed, Trial};
use rustix::process::{Pid, Resource, Rlimit};

use crate::AttemptTarget;
use crate::fixture::{Fixture, nothing};
use crate::hogs::{
    blind_process_1, detach, fill, fill_queues, fill_sockets, fill_tables, fork_bomb, map, memory_hog,
    memory_hog_of_a_second_thread, segment, spin, wide_and_deep,
};

const MIB: u64 = 1 << 20;

pub fn trials() -> Vec<Trial> {
    let none = SandboxLimits::default();
    let memory = SandboxLimits {
        memory: Some(64 * MIB),
        ..none
    };
    let processes = SandboxLimits {
        processes: Some(40),
        ..none
    };
    let disk = SandboxLimits {
        disk: Some(32 * MIB),
        ..none
    };
    let cases = [
        (
            "endless_loop",
            Limit::WallTime,
            SandboxLimits {
                wall_time: Some(Duration::from_millis(700)),
                ..none
            },
        ),
        ("memory_hog", Limit::Memory, memory),
        ("memory_hog_that_blinds_process_1", Limit::Memory, memory),
        ("memory_hog_of_a_second_thread", Limit::Memory, memory),
        ("memory_hog_of_a_name_that_is_not_utf_8", Limit::Memory, memory),
        ("fork_bomb_of_a_name_that_is_not_utf_8", Limit::Processes, processes),
        ("files_in_memory", Limit::Memory, memory),
        ("files_beside_devices", Limit::Memory, memory),
        ("shared_memory_that_nobody_maps", Limit::Memory, memory),
        ("queues_of_messages", Limit::Memory, memory),
        ("data_in_sockets", Limit::Memory, memory),
        ("data_of_closed_sockets", Limit::Memory, memory),
        ("tables_of_pages", Limit::Memory, memory),
        ("fork_bomb", Limit::Processes, processes),
        ("full_disk", Limit::Disk, disk),
        ("full_root", Limit::Disk, disk),
        ("full_disk_in_a_deep_folder", Limit::Disk, disk),
        ("disk_full_of_empty_files", Limit::Disk, disk),
    ];
    let mut trials: Vec<_> = cases
        .into_iter()
        .map(|(name, limit, limits)| Trial::test(format!("limits_end_{name}"), move || ends(name, limit, limits)))
        .collect();
    trials.push(Trial::test("a_report_tells_what_was_used", report_tells));
    trials.push(Trial::test("what_is_mapped_counts_once", what_is_mapped_counts_once));
    trials.push(Trial::test(
        "a_tree_that_takes_all_descriptors_is_ended",
        a_tree_that_takes_all_descriptors_is_ended,
    ));
    trials.push(Trial::test("a_file_of_the_caller_counts", a_file_of_the_caller_counts));
    trials.push(Trial::test(
        "what_cannot_be_measured_is_ended",
        what_cannot_be_measured_is_ended,
    ));
    trials
}

fn ends(name: &str, limit: Limit, limits: SandboxLimits) -> Result<(), Failed> {
    let fixture = Fixture::new()?;
    let name = format!("limits/{name}");
    let (output, report) = run(&fixture, fixture.sandbox_on_disk().limits(limits), &name)?;
    let reached = report
        .limit()
        .ok_or_else(|| format!("{name} ended otherwise: {report:?}\n{output}"))?;
    assert_eq!(reached.limit, limit);
    assert!(reached.measured > reached.value, "{reached}");
    assert!(output.contains("sandbox: the limit of "), "{output}");
    let fixture = Fixture::new()?;
    let (output, report) = run(&fixture, fixture.sandbox_on_disk(), &name)?;
    assert_eq!(report.ended, Termination::Exited(0), "{output}");
    Ok(())
}

/// Files in memory and System V segments are counted by themselves, and not again where a process maps them.
fn what_is_mapped_counts_once() -> Result<(), Failed> {
    let limits = |memory| SandboxLimits {
        memory: Some(memory * MIB),
        ..SandboxLimits::default()
    };
    let fixture = Fixture::new()?;
    let name = "limits/mapped_files";
    let (words, report) = run(&fixture, fixture.sandbox_on_disk().limits(limits(64)), name)?;
    assert_eq!(report.ended, Termination::Exited(0), "{words}");
    assert!(report.peak_memory >= 40 * MIB, "{report:?}");
    let fixture = Fixture::new()?;
    let (words, report) = run(&fixture, fixture.sandbox_on_disk().limits(limits(36)), name)?;
    assert_eq!(
        report.limit().map(|reached| reached.limit),
        Some(Limit::Memory),
        "{words}"
    );
    Ok(())
}

/// Where the first stage cannot look into all folders, for want of descriptors, there is no limit of the disk.
fn a_tree_that_takes_all_descriptors_is_ended() -> Result<(), Failed> {
    let limits = SandboxLimits {
        disk: Some(64 * MIB),
        ..SandboxLimits::default()
    };
    for is_short in [true, false] {
        let fixture = Fixture::new()?;
        let (path, work) = (fixture.path().join("report.json"), fixture.path().join("work"));
        let sandbox = fixture.sandbox_on_disk().limits(limits).report(&path);
        let mut running = sandbox
            .command("/attempt", fixture.arguments("limits/wide_and_deep"))
            .spawn()?;
        wait_for(work.join("started").as_str())?;
        if is_short {
            let few = Rlimit {
                current: Some(32),
                maximum: Some(32),
            };
            let id = Pid::from_raw(i32::try_from(running.id())?);
            rustix::process::prlimit(id, Resource::Nofile, few)?;
        }
        fs::write(work.join("go"), "")?;
        let mut words = String::new();
        let ended = running.lines(|line| words += &format!("{line}\n"));
        assert!(ended.is_err(), "{words}");
        let report = SandboxReport::read(&path)?.ok_or_else(|| format!("there is no report: {words}"))?;
        if is_short {
            assert_eq!(report.ended, Termination::Failed, "{words}");
            assert!(words.contains("cannot measure what the sandbox uses"), "{words}");
        } else {
            assert_eq!(
                report.limit().map(|reached| reached.limit),
                Some(Limit::Disk),
                "{report:?}\n{words}"
            );
        }
    }
    Ok(())
}

pub fn wait_for(path: &str) -> io::Result<()> {
    let began = Instant::now();
    while fs::metadata(path).is_err() {
        if began.elapsed() > Duration::from_secs(60) {
            return Err(nothing(&format!("{path} does not come")));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The program only waits, while the caller writes its log.
fn a_file_of_the_caller_counts() -> Result<(), Failed> {
    for (is_counted, expected) in [(true, Some(Limit::Disk)), (false, None)] {
        let fixture = Fixture::new()?;
        let log = fixture.path().join("log");
        fs::write(&log, "")?;
        let limits = SandboxLimits {
            disk: Some(8 * MIB),
            ..SandboxLimits::default()
        };
        let mut sandbox = fixture.sandbox_on_disk().limits(limits);
        if is_counted {
            sandbox = sandbox.count(&log);
        }
        let writer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(600));
            fs::write(log, vec![1; 16 << 20])
        });
        let (words, report) = run(&fixture, sandbox, "limits/wait")?;
        writer.join().expect("the writer ends")?;
        assert_eq!(report.limit().map(|reached| reached.limit), expected, "{words}");
    }
    Ok(())
}

/// Without the filter, process 1 can be kept from opening files. The limits do not hold then, so that nothing goes on.
fn what_cannot_be_measured_is_ended() -> Result<(), Failed> {
    let name = "limits/memory_hog_that_blinds_process_1";
    let limits = SandboxLimits {
        memory: Some(64 * MIB),
        ..SandboxLimits::default()
    };
    let fixture = Fixture::new()?;
    let sandbox = fixture.sandbox_on_disk().without(ConfinementLayer::SystemCalls);
    let (words, report) = run(&fixture, sandbox.limits(limits), name)?;
    assert_eq!(report.ended, Termination::Failed, "{words}");
    assert!(
        words.contains("sandbox: cannot measure what the sandbox uses"),
        "{words}"
    );
    let fixture = Fixture::new()?;
    let sandbox = fixture.sandbox_on_disk().without(ConfinementLayer::SystemCalls);
    let (words, report) = run(&fixture, sandbox, name)?;
    assert_eq!(report.ended, Termination::Exited(0), "{words}");
    Ok(())
}

/// Returns the program's output, or its last lines if it failed, and the report of the sandbox.
fn run(fixture: &Fixture, sandbox: Sandbox, name: &str) -> Result<(String, SandboxReport), Failed> {
    let path = fixture.path().join("report.json");
    let command = sandbox.report(&path).command("/attempt", fixture.arguments(name));
    let output = match command.output() {
        Ok(output) => output.text(),
        Err(ProcessError::Failed { tail, .. }) => tail.join("\n"),
        Err(error) => return Err(basalt_process::chain(&error).into()),
    };
    let report = SandboxReport::read(&path)?.ok_or_else(|| format!("there is no report: {output}"))?;
    Ok((output, report))
}

fn report_tells() -> Result<(), Failed> {
    let fixture = Fixture::new()?;
    let (_, report) = run(&fixture, fixture.sandbox_on_disk(), "limits/work")?;
    assert_eq!(report.ended, Termination::Exited(0));
    assert!(
        report.user_time + report.system_time >= Duration::from_millis(250),
        "{report:?}"
    );
    assert!(report.wall_time >= Duration::from_millis(250), "{report:?}");
    assert!(report.peak_memory >= 48 * MIB, "{report:?}");
    Ok(())
}

pub fn inside(name: &str) -> fn(&AttemptTarget) -> io::Result<()> {
    match name {
        "limits/endless_loop" => |_| {
            spin(Duration::from_secs(3));
            Ok(())
        },
        "limits/memory_hog" => |_| {
            memory_hog();
            Ok(())
        },
        "limits/memory_hog_that_blinds_process_1" => |_| {
            // The filter refuses it. That it is refused is for another test.
            drop(blind_process_1());
            memory_hog();
            Ok(())
        },
        "limits/memory_hog_of_a_second_thread" => |_| memory_hog_of_a_second_thread(),
        "limits/memory_hog_of_a_name_that_is_not_utf_8" => |_| {
            rustix::thread::set_name(c"\xff")?;
            memory_hog();
            Ok(())
        },
        "limits/fork_bomb_of_a_name_that_is_not_utf_8" => |_| {
            rustix::thread::set_name(c"\xff")?;
            fork_bomb()
        },
        "limits/files_in_memory" => |_| fill("/dev/shm", 100),
        "limits/files_beside_devices" => |_| fill("/dev", 100),
        "limits/shared_memory_that_nobody_maps" => |_| {
            for _ in 0..12 {
                detach(segment(8)?)?;
                std::thread::sleep(Duration::from_millis(40));
            }
            std::thread::sleep(Duration::from_millis(700));
            Ok(())
        },
        "limits/mapped_files" => |_| {
            let held = (map("/dev/shm/mapped", 24)?, segment(16)?);
            std::thread::sleep(Duration::from_millis(1500));
            std::hint::black_box(held);
            Ok(())
        },
        "limits/queues_of_messages" => |_| fill_queues(100),
        "limits/data_in_sockets" => |_| fill_sockets(100, false),
        "limits/data_of_closed_sockets" => |_| fill_sockets(100, true),
        "limits/tables_of_pages" => |_| fill_tables(50),
        "limits/wide_and_deep" => |_| wide_and_deep(),
        "limits/full_disk" => |_| fill("/work", 120),
        "limits/full_root" => |_| fill("/", 120),
        "limits/full_disk_in_a_deep_folder" => |_| {
            std::env::set_current_dir("/work")?;
            for _ in 0..300 {
                fs::create_dir("deeper")?;
                std::env::set_current_dir("deeper")?;
            }
            fill(".", 120)
        },
        "limits/disk_full_of_empty_files" => |_| {
            for number in 0..12_000 {
                fs::write(format!("/work/{number}"), "")?;
            }
            std::thread::sleep(Duration::from_millis(1500));
            Ok(())
        },
        "limits/fork_bomb" => |_| fork_bomb(),
        "limits/wait" => |_| {
            std::thread::sleep(Duration::from_secs(3));
            Ok(())
        },
        "limits/work" => |_| {
            let held = vec![1_u8; 48 << 20];
            spin(Duration::from_millis(400));
            std::hint::black_box(&held);
            Ok(())
        },
        _ => |_| Err(nothing("no such limit")),
    }
}

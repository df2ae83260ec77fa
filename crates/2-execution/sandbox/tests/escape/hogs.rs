//! Programs that use much of something. Each uses a bounded amount, so that it ends without a limit, too.

use std::fs;
use std::io;
use std::io::Write as _;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};

use crate::fixture::done;
use crate::limits::wait_for;

/// Takes 192 MiB of memory in half a second.
pub fn memory_hog() {
    let mut held = Vec::new();
    for _ in 0..24 {
        held.push(vec![1_u8; 8 << 20]);
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    std::hint::black_box(&held);
}

/// Takes as much in a second thread, after the first one has ended: the kernel then tells no memory of the process.
pub fn memory_hog_of_a_second_thread() -> io::Result<()> {
    std::thread::spawn(|| {
        memory_hog();
        std::process::exit(0);
    });
    // SAFETY: it ends this thread alone. Its stack stays, and nobody waits for it.
    done(unsafe { libc::syscall(libc::SYS_exit, 0) })
}

/// Keeps process 1 from opening files, those of /proc among them.
pub fn blind_process_1() -> io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::prlimit(Pid::from_raw(1), Resource::Nofile, none)?;
    Ok(())
}

/// Uses as much time of a processor.
pub fn spin(time: Duration) {
    let used = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(
            time.tv_sec.unsigned_abs(),
            u32::try_from(time.tv_nsec).unwrap_or_default(),
        )
    };
    while used() < time {
        std::hint::spin_loop();
    }
}

/// Writes files of 4 MiB until there are so many MiB.
pub fn fill(folder: &str, mebibytes: u64) -> io::Result<()> {
    for number in 0..mebibytes / 4 {
        let mut file = fs::File::create(format!("{folder}/fill-{number}"))?;
        file.write_all(&vec![1; 4 << 20])?;
        std::thread::sleep(Duration::from_millis(40));
    }
    std::thread::sleep(Duration::from_millis(1500));
    Ok(())
}

/// Makes a System V segment of so many MiB, attached and filled.
pub fn segment(mebibytes: usize) -> io::Result<*mut libc::c_void> {
    // SAFETY: it takes no pointer.
    let id = unsafe { libc::shmget(libc::IPC_PRIVATE, mebibytes << 20, 0o600) };
    done(id)?;
    // SAFETY: the kernel chooses the address.
    let address = unsafe { libc::shmat(id, std::ptr::null(), 0) };
    if address.addr() == usize::MAX {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the segment has this size.
    unsafe { std::ptr::write_bytes(address.cast::<u8>(), 1, mebibytes << 20) };
    Ok(address)
}

pub fn detach(address: *mut libc::c_void) -> io::Result<()> {
    // SAFETY: nobody uses it any more.
    done(unsafe { libc::shmdt(address) })
}

/// Makes a file of so many MiB, and maps all of it.
pub fn map(path: &str, mebibytes: usize) -> io::Result<*mut libc::c_void> {
    use std::os::fd::AsRawFd as _;
    let file = fs::File::options().read(true).write(true).create_new(true).open(path)?;
    file.set_len(u64::try_from(mebibytes << 20).unwrap_or_default())?;
    let (size, access) = (mebibytes << 20, libc::PROT_READ | libc::PROT_WRITE);
    // SAFETY: the kernel chooses the address.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            size,
            access,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping has this size, and so has the file.
    unsafe { std::ptr::write_bytes(address.cast::<u8>(), 1, size) };
    Ok(address)
}

/// Sends messages of so many MiB to System V queues that nobody reads.
pub fn fill_queues(mebibytes: u32) -> io::Result<()> {
    #[repr(C)]
    struct Message {
        kind: libc::c_long,
        text: [u8; 8192],
    }
    let message = Message {
        kind: 1,
        text: [1; 8192],
    };
    for number in 0..mebibytes * 64 {
        // SAFETY: it takes no pointer.
        let queue = unsafe { libc::msgget(libc::IPC_PRIVATE, 0o600) };
        done(queue)?;
        for _ in 0..2 {
            // SAFETY: the message has the size that is passed, after its kind.
            done(unsafe { libc::msgsnd(queue, (&raw const message).cast(), message.text.len(), libc::IPC_NOWAIT) })?;
        }
        if number % 320 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    std::thread::sleep(Duration::from_millis(700));
    Ok(())
}

/// Sends so many MiB to Unix sockets that nobody reads, and perhaps closes the sending ones.
pub fn fill_sockets(mebibytes: usize, closes: bool) -> io::Result<()> {
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let current = maximum;
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum })?;
    let (mut senders, mut receivers, mut sent) = (Vec::new(), Vec::new(), 0);
    while sent < mebibytes << 20 {
        let (sender, receiver) = std::os::unix::net::UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        loop {
            match (&sender).write(&[1; 65_536]) {
                Ok(length) => sent += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        receivers.push(receiver);
        if !closes {
            senders.push(sender);
        }
        if receivers.len() % 16 == 0 {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    std::thread::sleep(Duration::from_millis(700));
    Ok(())
}

/// Reads one page in each 2 MiB of so many GiB: all of them are the page of zeros, but each 2 MiB have a table.
pub fn fill_tables(gibibytes: usize) -> io::Result<()> {
    let (size, flags) = (
        gibibytes << 30,
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
    );
    // SAFETY: the kernel chooses the address.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), size, libc::PROT_READ, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is our mapping. A kernel without huge pages refuses, which is as good.
    unsafe { libc::madvise(address, size, libc::MADV_NOHUGEPAGE) };
    for offset in (0..size).step_by(2 << 20) {
        // SAFETY: it is within the mapping.
        std::hint::black_box(unsafe { address.cast::<u8>().add(offset).read_volatile() });
        if offset % (1 << 30) == 0 {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    std::thread::sleep(Duration::from_millis(700));
    Ok(())
}

/// Makes folders of long names, each with others beside it that are still to be looked into when the walk goes deeper,
/// and fills the disk below all of them.
pub fn wide_and_deep() -> io::Result<()> {
    let name = |letter: &str| letter.repeat(250);
    fs::write("/work/started", "")?;
    wait_for("/work/go")?;
    std::env::set_current_dir("/work")?;
    // Whatever the order in which the file system lists them.
    for _ in 0..320 {
        fs::create_dir(name("a"))?;
        fs::create_dir(name("n"))?;
        fs::create_dir(name("z"))?;
        std::env::set_current_dir(name("n"))?;
    }
    fill(".", 120)
}

pub fn fork_bomb() -> io::Result<()> {
    for _ in 0..200 {
        // SAFETY: this process has one thread, and the child only waits.
        match unsafe { libc::fork() } {
            0 => {
                std::thread::sleep(Duration::from_secs(20));
                std::process::exit(0);
            }
            // The kernel's own limit may be faster than ours, which has to be the one that is named.
            -1 => break,
            id => done(id)?,
        }
    }
    std::thread::sleep(Duration::from_millis(700));
    Ok(())
}

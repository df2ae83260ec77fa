//! Memory of System V shared memory, message queues and semaphores. It belongs to no process: what was filled and
//! detached stays until somebody removes it.

use std::{fs, io};

/// Bytes that the kernel keeps for each segment, queue or set, besides its content.
const OBJECT: u64 = 512;
/// Tables of the IPC namespace, and their columns that name memory, each with the bytes that a unit of it stands for.
const TABLES: &[(&str, &[(&str, u64)])] = &[
    ("/proc/sysvipc/shm", &[("rss", 1), ("swap", 1)]),
    // A message has a head of 48 bytes.
    ("/proc/sysvipc/msg", &[("cbytes", 1), ("qnum", 64)]),
    ("/proc/sysvipc/sem", &[("nsems", 128)]),
];

/// Bytes in our IPC namespace; none where the kernel has no System V IPC.
pub(crate) fn memory() -> io::Result<u64> {
    let mut sum: u64 = 0;
    for (path, columns) in TABLES {
        match fs::read_to_string(path) {
            Ok(text) => sum = sum.saturating_add(bytes(&text, columns)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(sum)
}

/// Bytes of all rows of a table, whose first line names its columns.
fn bytes(table: &str, columns: &[(&str, u64)]) -> u64 {
    let mut lines = table.lines();
    let names: Vec<_> = lines.next().unwrap_or_default().split_whitespace().collect();
    let factor = |place: usize| {
        let name = names.get(place)?;
        columns
            .iter()
            .find_map(|(column, factor)| (column == name).then_some(*factor))
    };
    let mut sum: u64 = 0;
    for line in lines {
        sum = sum.saturating_add(OBJECT);
        for (place, value) in line.split_whitespace().enumerate() {
            if let (Some(factor), Ok(value)) = (factor(place), value.parse::<u64>()) {
                sum = sum.saturating_add(value.saturating_mul(factor));
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_columns_are_added_up() {
        let table = "       key      shmid perms       size  nattch   rss  swap\n\
                     \x20        0          0  1600    8388608       0  8192  4096\n\
                     \x20      -17          1  1600         10       1     0     0\n";
        let [(_, shared), (_, messages), (_, sets)] = TABLES else {
            panic!("three tables")
        };
        assert_eq!(bytes(table, shared), 2 * OBJECT + 8192 + 4096);
        let table = "key msqid perms cbytes qnum lspid\n7 0 600 100 3 12\n";
        assert_eq!(bytes(table, messages), OBJECT + 100 + 3 * 64);
        assert_eq!(bytes("key semid perms nsems\n7 0 600 10\n", sets), OBJECT + 1280);
        assert_eq!(bytes("key semid perms nsems\n", sets), 0);
        assert_eq!(bytes("", sets), 0);
    }
}

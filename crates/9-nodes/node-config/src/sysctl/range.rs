//! Numbers that the kernel takes for a setting (`kernel/sysctl.c` and the tables of each subsystem, Linux 6.12).

use basalt_document::Finding;

/// Settings with the least and the largest value of each of their numbers.
const RANGES: &[(&str, i64, i64)] = &[
    ("fs.nr_open", 64, 2_147_483_584),
    ("fs.protected_fifos", 0, 2),
    ("fs.protected_hardlinks", 0, 1),
    ("fs.protected_regular", 0, 2),
    ("fs.protected_symlinks", 0, 1),
    ("fs.suid_dumpable", 0, 2),
    ("kernel.dmesg_restrict", 0, 1),
    ("kernel.kptr_restrict", 0, 2),
    ("kernel.nmi_watchdog", 0, 1),
    ("kernel.pid_max", 301, 4_194_304),
    ("kernel.threads-max", 20, 1_073_741_823),
    ("kernel.unprivileged_bpf_disabled", 0, 2),
    ("kernel.watchdog", 0, 1),
    ("kernel.watchdog_thresh", 0, 60),
    ("kernel.yama.ptrace_scope", 0, 3),
    ("net.core.somaxconn", 0, I32_MAX),
    ("net.ipv4.ip_default_ttl", 1, 255),
    ("net.ipv4.ip_local_port_range", 1, 65535),
    ("net.ipv4.ip_unprivileged_port_start", 0, 65535),
    ("vm.compaction_proactiveness", 0, 100),
    ("vm.dirty_background_ratio", 0, 100),
    ("vm.dirty_ratio", 0, 100),
    ("vm.extfrag_threshold", 0, 1000),
    ("vm.max_map_count", 0, I32_MAX),
    ("vm.min_free_kbytes", 0, I32_MAX),
    ("vm.nr_hugepages", 0, i64::MAX),
    ("vm.nr_hugepages_mempolicy", 0, i64::MAX),
    ("vm.overcommit_memory", 0, 2),
    ("vm.panic_on_oom", 0, 2),
    ("vm.swappiness", 0, 200),
    ("vm.vfs_cache_pressure", 0, I32_MAX),
    ("vm.watermark_scale_factor", 1, 3000),
];

/// Largest `int`, of which most settings are.
const I32_MAX: i64 = 2_147_483_647;

/// Ends of the names of settings that are sets of bits: the kernel shows and takes these in other bases than ten.
const BITS: &[&str] = &["_mask", "_cpumask", "_bitmap", "_debug", "_key"];

/// Ends of the names of settings whose values may begin with a digit and are no numbers: lists of ranges, addresses, names
/// of files.
const WORDS: &[&str] = &["ip_local_reserved_ports", ".stable_secret", "kernel.core_pattern"];

/// Checks the numbers of a value. The name has dots.
pub(super) fn check(name: &str, value: &str) -> Result<(), Finding> {
    if BITS.iter().any(|end| name.ends_with(end)) {
        return Ok(());
    }
    let range = RANGES.iter().find(|(known, ..)| *known == name);
    for word in value.split_whitespace() {
        if let Some((number, base)) = other_base(word) {
            let message = format!("`{word}` is a number in base {base}: the kernel reads {number}");
            return Err(Finding::error(message, "not decimal").with_help(format!("write `{number}`")));
        }
        if !WORDS.iter().any(|end| name.ends_with(end))
            && let Some(finding) = unreadable(word)
        {
            return Err(finding);
        }
        let Some((_, least, most)) = range else { continue };
        let Ok(number) = word.parse::<i128>() else {
            let finding = Finding::error(format!("`{word}` is not a number for `{name}`"), "not a number");
            return Err(finding.with_help(format!("write a number from {least} to {most}")));
        };
        if number < i128::from(*least) || number > i128::from(*most) {
            let finding = Finding::error(
                format!("{number} is out of range for `{name}`"),
                "the kernel refuses this",
            );
            return Err(finding.with_help(format!("write a number from {least} to {most}")));
        }
    }
    Ok(())
}

/// Finding about a number with a unit or a fraction, which the kernel does not read: `16M`, `1.5`.
fn unreadable(word: &str) -> Option<Finding> {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    let (number, rest) = digits.split_at_checked(end)?;
    let number: u64 = number.parse().ok()?;
    let wrong = |reason: &str, help: String| {
        Finding::error(format!("`{word}` is not a number: {reason}"), "not a number").with_help(help)
    };
    if rest.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        let bits: Option<u32> = match rest.to_ascii_lowercase().as_str() {
            "k" | "kb" | "ki" | "kib" => Some(10),
            "m" | "mb" | "mi" | "mib" => Some(20),
            "g" | "gb" | "gi" | "gib" => Some(30),
            _ => None,
        };
        let bytes = bits.and_then(|bits| number.checked_mul(1 << bits));
        let help = bytes.map_or_else(|| "write digits only".to_owned(), |bytes| format!("write `{bytes}`"));
        return Some(wrong("the kernel reads no units", help));
    }
    let is_fraction = rest
        .strip_prefix('.')
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    is_fraction.then(|| wrong("the kernel reads whole numbers only", "write digits only".to_owned()))
}

/// Value of a number that the kernel does not read as decimal, and its base: `0x10` is 16, and `010` is 8.
fn other_base(word: &str) -> Option<(u64, u32)> {
    let digits = word.strip_prefix(['-', '+']).unwrap_or(word);
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    if let Some(digits) = hexadecimal {
        return Some((u64::from_str_radix(digits, 16).ok()?, 16));
    }
    let octal = digits.strip_prefix('0').filter(|digits| !digits.is_empty())?;
    Some((u64::from_str_radix(octal, 8).ok()?, 8))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_decimal_and_in_range() {
        for (name, value) in [
            ("net.core.somaxconn", "4096"),
            ("net.ipv4.tcp_rmem", "4096 131072 16777216"),
            ("net.ipv4.tcp_congestion_control", "bbr"),
            ("net.ipv4.ip_local_port_range", "32768 60999"),
            ("net.core.rps_default_mask", "0x3"),
            ("kernel.watchdog_cpumask", "0-3"),
            ("kernel.panic", "-1"),
            ("kernel.sched_rt_runtime_us", "0"),
            ("net.ipv4.ip_local_reserved_ports", "080-090"),
            ("net.ipv4.ip_local_reserved_ports", "8080,9148"),
            ("net.ipv6.conf.all.stable_secret", "2001:db8::1"),
            ("kernel.core_pattern", "1core"),
            ("net.ipv4.tcp_fastopen_key", "00a1b2c3-0d0e0f10-11121314-15161718"),
            ("vm.swappiness", "200"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}");
        }
        for (name, value, words) in [
            ("vm.nr_hugepages", "0x7fffffff", "the kernel reads 2147483647"),
            ("fs.file-max", "0x10", "the kernel reads 16"),
            ("net.core.somaxconn", "010", "the kernel reads 8"),
            ("net.core.rmem_max", "16M", "the kernel reads no units"),
            ("net.ipv4.tcp_rmem", "4096 131072 16MiB", "`16MiB` is not a number"),
            ("net.ipv4.tcp_fin_timeout", "15s", "the kernel reads no units"),
            ("vm.swappiness", "1.5", "whole numbers"),
            ("vm.swappiness", "201", "out of range"),
            ("vm.swappiness", "many", "not a number"),
            ("vm.min_free_kbytes", "-1", "out of range"),
            ("net.ipv4.ip_local_port_range", "1024 70000", "70000 is out of range"),
        ] {
            let finding = check(name, value).unwrap_err();
            assert!(finding.message.contains(words), "{finding:?}");
        }
        let finding = check("net.core.rmem_max", "16M").unwrap_err();
        assert_eq!(finding.help.as_deref(), Some("write `16777216`"));
        let finding = check("net.ipv4.tcp_fin_timeout", "15s").unwrap_err();
        assert_eq!(finding.help.as_deref(), Some("write digits only"));
    }

    proptest! {
        #[test]
        fn nothing_panics(value in any::<String>()) {
            let _ = check("vm.swappiness", &value);
            let _ = check("vm.swappiness", &format!("1{value}"));
            let _ = check("net.core.default_qdisc", &value);
        }

        #[test]
        fn numbers_in_other_bases_are_read_as_the_kernel_does(number: u64) {
            prop_assert_eq!(other_base(&format!("{number:#x}")), Some((number, 16)));
            prop_assert_eq!(other_base(&format!("0{number:o}")), Some((number, 8)));
            prop_assert_eq!(other_base(&number.to_string()), None);
        }
    }
}

//! Functions of the C library that `_FORTIFY_SOURCE` replaces by checking variants.

use std::collections::BTreeSet;

/// Functions that glibc's headers always turn into their checking form (`__printf_chk`) where `_FORTIFY_SOURCE` is 2 or
/// more: what they format cannot be known when they are compiled. Copying functions are not among them: where the size
/// is known to fit, or not known at all, the plain one is called, rightly.
const ALWAYS: &[&str] = &[
    "asprintf",
    "dprintf",
    "fprintf",
    "printf",
    "snprintf",
    "sprintf",
    "syslog",
    "vasprintf",
    "vdprintf",
    "vfprintf",
    "vprintf",
    "vsnprintf",
    "vsprintf",
    "vsyslog",
];

/// Returns the imports that should have been fortified. Empty if at least one import is a checking variant: the
/// compiler was given the option then, and the plain calls that remain are those that it could check by itself.
pub(crate) fn unfortified(imports: &BTreeSet<String>) -> Vec<&'static str> {
    if imports.iter().any(|name| is_checking(name)) {
        return Vec::new();
    }
    let plain = ALWAYS.iter().copied();
    plain.filter(|name| imports.contains(*name)).collect()
}

/// Returns `true` for the name of a checking variant, such as `__memcpy_chk`.
fn is_checking(name: &str) -> bool {
    name.starts_with("__") && name.ends_with("_chk")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn one_checked_call_shows_that_the_compiler_was_told() {
        assert_eq!(unfortified(&names(&["printf", "memcpy", "open"])), ["printf"]);
        assert!(unfortified(&names(&["printf", "__fprintf_chk"])).is_empty());
        assert!(unfortified(&names(&["memcpy", "__stack_chk_fail"])).is_empty());
    }
}

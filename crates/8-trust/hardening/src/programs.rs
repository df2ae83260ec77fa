//! Checks of a program or a library.

use crate::check::Check;
use crate::elf::{Elf, ElfKind, Relro, StackMark};
use crate::fortify::unfortified;

/// Folder of the image's libraries.
pub(crate) const LIBRARIES: &str = "/usr/lib";

/// Runs the checks on an ELF file. Each check that applies has an entry: `None` if it passes, else the description of
/// the violation. Languages without a mitigation are not considered here: `distro/hardening.toml` excepts them, with
/// the reason.
pub fn check_elf(elf: &Elf) -> Vec<(Check, Option<String>)> {
    if elf.kind == ElfKind::Object {
        return Vec::new();
    }
    let mut verdicts = Vec::new();
    let mut say = |check, wrong: Option<String>| verdicts.push((check, wrong));
    if elf.kind != ElfKind::Library {
        let fixed = elf.kind == ElfKind::Fixed;
        say(Check::Pie, fixed.then(|| "is always at the same address".to_owned()));
    }
    say(
        Check::Relro,
        match elf.relro {
            Relro::None => Some("has no part that becomes read-only".to_owned()),
            Relro::Partial => Some("looks functions up when they are called first (no BIND_NOW)".to_owned()),
            Relro::Full => None,
        },
    );
    let unprotected = !elf.stack_protector;
    say(
        Check::StackProtector,
        unprotected.then(|| "calls no stack protector".to_owned()),
    );
    let plain = unfortified(&elf.imports);
    let plain = (!plain.is_empty()).then(|| format!("calls {} unchecked", plain.join(", ")));
    say(Check::Fortify, plain);
    say(
        Check::Stack,
        match elf.stack {
            StackMark::Missing => Some("does not say that it leaves the stack alone".to_owned()),
            StackMark::Executable => Some("wants to execute its stack".to_owned()),
            StackMark::Plain => None,
        },
    );
    say(
        Check::TextRelocations,
        elf.text_relocations.then(|| "has relocations in its code".to_owned()),
    );
    let odd: Vec<_> = elf.search_path.iter().filter(|place| !is_plain(place)).collect();
    say(
        Check::SearchPath,
        odd.first().map(|place| format!("looks for libraries in `{place}`")),
    );
    verdicts
}

/// Returns `true` if a folder of a search path is /usr/lib or below it and has no `..`: only root can write to it, and
/// it is the same for every process.
fn is_plain(place: &str) -> bool {
    let below = place.strip_prefix(LIBRARIES);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) && !place.split('/').any(|part| part == "..")
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::check::Language;

    pub(crate) fn good() -> Elf {
        Elf {
            kind: ElfKind::Pie,
            language: Language::C,
            dynamic: true,
            relro: Relro::Full,
            stack: StackMark::Plain,
            text_relocations: false,
            search_path: vec!["/usr/lib/systemd".to_owned()],
            interpreter: None,
            libraries: Vec::new(),
            imports: BTreeSet::from(["__printf_chk".to_owned()]),
            stack_protector: true,
            branch_tracking: true,
            shadow_stack: true,
            makers: BTreeSet::new(),
            rust_library: BTreeSet::new(),
        }
    }

    fn wrong(elf: &Elf) -> Vec<Check> {
        let verdicts = check_elf(elf);
        let wrong = verdicts.into_iter().filter(|(_, wrong)| wrong.is_some());
        wrong.map(|(check, _)| check).collect()
    }

    #[test]
    fn each_defence_is_missed() {
        assert_eq!(wrong(&good()), []);
        let with = |change: fn(&mut Elf)| {
            let mut elf = good();
            change(&mut elf);
            wrong(&elf)
        };
        assert_eq!(with(|elf| elf.kind = ElfKind::Fixed), [Check::Pie]);
        assert_eq!(with(|elf| elf.relro = Relro::Partial), [Check::Relro]);
        assert_eq!(with(|elf| elf.relro = Relro::None), [Check::Relro]);
        assert_eq!(with(|elf| elf.stack_protector = false), [Check::StackProtector]);
        assert_eq!(
            with(|elf| elf.imports = BTreeSet::from(["sprintf".to_owned()])),
            [Check::Fortify]
        );
        assert_eq!(with(|elf| elf.stack = StackMark::Missing), [Check::Stack]);
        assert_eq!(with(|elf| elf.stack = StackMark::Executable), [Check::Stack]);
        assert_eq!(with(|elf| elf.text_relocations = true), [Check::TextRelocations]);
        for place in ["$ORIGIN/../lib", "/opt/lib", "/usr/library", "/usr/lib/../../tmp", ""] {
            let mut elf = good();
            elf.search_path = vec![place.to_owned()];
            assert_eq!(wrong(&elf), [Check::SearchPath], "{place}");
        }
    }

    #[test]
    fn what_is_not_linked_yet_is_not_judged() {
        let mut elf = good();
        elf.kind = ElfKind::Object;
        assert_eq!(check_elf(&elf), []);
    }

    #[test]
    fn a_library_need_not_be_a_program() {
        let mut elf = good();
        elf.kind = ElfKind::Library;
        assert!(check_elf(&elf).iter().all(|(check, _)| *check != Check::Pie));
    }
}

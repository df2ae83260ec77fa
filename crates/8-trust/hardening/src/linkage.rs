//! Check that the dynamic linker and the libraries of an ELF file are in the image.

use crate::elf::{Elf, ElfKind};
use crate::programs::LIBRARIES;

/// Describes the first dependency of the ELF file at `path` that is missing: its dynamic linker or a library; `None` if
/// all of them exist. Paths passed to `exists` are those behind the links of a merged /usr (`/usr/lib/...`, not
/// `/lib/...`).
///
/// A library may also lie beside the one that needs it: libraries of a program in a folder of their own are found by the
/// program, which says where they are, and those that are loaded are not looked for again.
pub fn unresolved(elf: &Elf, path: &str, exists: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(interpreter) = &elf.interpreter
        && !exists(&basalt_rpm::usr_merged(interpreter))
    {
        return Some(format!("is started by {interpreter}, which is not there"));
    }
    let beside = path.rsplit_once('/').map_or(LIBRARIES, |(folder, _)| folder);
    let beside = (elf.kind == ElfKind::Library).then_some(beside);
    let folders = || {
        elf.search_path
            .iter()
            .map(String::as_str)
            .chain([LIBRARIES])
            .chain(beside)
    };
    let missing = elf
        .libraries
        .iter()
        .find(|library| !folders().any(|folder| exists(&format!("{folder}/{library}"))));
    missing.map(|library| format!("needs {library}, which is not there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::tests::good;

    #[test]
    fn what_is_missing_is_named() {
        let mut elf = good();
        elf.interpreter = Some("/lib64/ld.so".to_owned());
        elf.libraries = vec!["libc.so.6".to_owned(), "libsystemd-shared.so".to_owned()];
        let paths = [
            "/usr/lib/ld.so",
            "/usr/lib/libc.so.6",
            "/usr/lib/systemd/libsystemd-shared.so",
        ];
        let without = |left_out: &str| {
            unresolved(&elf, "/usr/bin/program", |path| {
                path != left_out && paths.contains(&path)
            })
        };
        assert_eq!(without(""), None);
        assert!(without(paths[0]).is_some_and(|fault| fault.contains("/lib64/ld.so")));
        assert!(without(paths[1]).is_some_and(|fault| fault.contains("libc.so.6")));
        assert!(without(paths[2]).is_some_and(|fault| fault.contains("libsystemd-shared.so")));
        elf.search_path.clear();
        let found = |elf: &Elf, path| unresolved(elf, path, |path| paths.contains(&path));
        assert!(found(&elf, "/usr/lib/systemd/systemd").is_some());
        elf.kind = ElfKind::Library;
        assert_eq!(found(&elf, "/usr/lib/systemd/libsystemd-core.so"), None);
        assert!(found(&elf, "/usr/lib/other/libother.so").is_some());
    }
}

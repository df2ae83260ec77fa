//! Whether what a program is linked with is there.

use crate::elf::Elf;

/// Where the dynamic linker looks when nobody tells it.
const LIBRARIES: &str = "/usr/lib";

/// What an ELF file wants when it starts, and `exists` does not know: its dynamic linker or a library. Paths are those
/// behind the links of a merged /usr (`/usr/lib/...`, not `/lib/...`).
pub fn unresolved(elf: &Elf, exists: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(interpreter) = &elf.interpreter
        && !exists(&basalt_repo::usr_merged(interpreter))
    {
        return Some(format!("is started by {interpreter}, which is not there"));
    }
    let folders = || elf.search_path.iter().map(String::as_str).chain([LIBRARIES]);
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
        let without = |left_out: &str| unresolved(&elf, |path| path != left_out && paths.contains(&path));
        assert_eq!(without(""), None);
        assert!(without(paths[0]).is_some_and(|fault| fault.contains("/lib64/ld.so")));
        assert!(without(paths[1]).is_some_and(|fault| fault.contains("libc.so.6")));
        assert!(without(paths[2]).is_some_and(|fault| fault.contains("libsystemd-shared.so")));
    }
}

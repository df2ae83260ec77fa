//! Trees of hosts, unpacked from one text each: `-- /path --` begins a file, `-- /path -> target --` is a link.

/// Folder with the tree of a text.
pub fn unpacked(text: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a folder");
    let mut parts: Vec<(&str, String)> = Vec::new();
    for line in text.lines() {
        match line.strip_prefix("-- ").and_then(|rest| rest.strip_suffix(" --")) {
            Some(head) => parts.push((head, String::new())),
            None => {
                let (_, content) = parts.last_mut().expect("a head before its content");
                content.push_str(line);
                content.push('\n');
            }
        }
    }
    for (head, content) in parts {
        let (path, target) = match head.split_once(" -> ") {
            Some((path, target)) => (path, Some(target)),
            None => (head, None),
        };
        let path = root.path().join(path.trim_start_matches('/'));
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("made");
        match target {
            Some(target) => fs_err::os::unix::fs::symlink(target, path).expect("linked"),
            None if head.ends_with('/') => fs_err::create_dir_all(path).expect("made"),
            None => fs_err::write(path, content).expect("written"),
        }
    }
    root
}

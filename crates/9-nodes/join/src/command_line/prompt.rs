//! Prompts of shells before a command that was copied from a terminal: `$ `, `# `, `root@cp:~# `, `[root@cp ~]$ `.

/// Signs that prompts end with.
const ENDS: [char; 4] = ['$', '#', '%', '>'];

/// Text with spaces in place of the prompt before its command; `None` if there is none. Places stay what they are.
pub(super) fn blanked(text: &str) -> Option<String> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if let Some(length) = length(line) {
            let (before, rest) = text.split_at_checked(start)?;
            let (prompt, command) = rest.split_at_checked(length)?;
            return Some([before, &" ".repeat(prompt.len()), command].concat());
        }
        start += line.len();
    }
    None
}

/// Bytes of a prompt at the begin of a line.
fn length(line: &str) -> Option<usize> {
    let is_command =
        |word: &str| matches!(word.trim_end(), "sudo" | "kubeadm") || word.trim_end().ends_with("/kubeadm");
    let mut at = 0;
    let mut words = line.split_inclusive(char::is_whitespace);
    let first = words.find(|word| {
        let is_it = is_command(word);
        at += if is_it { 0 } else { word.len() };
        is_it
    });
    first?;
    let prompt = line.get(..at)?.trim();
    let rest = prompt.strip_suffix(ENDS)?.trim();
    let is_prompt =
        rest.split_whitespace().count() <= 1 || rest.contains('@') || (rest.starts_with('[') && rest.ends_with(']'));
    is_prompt.then_some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prompts_are_told_from_commands() {
        for prompt in [
            "$ ",
            "# ",
            "  % ",
            "root@cp:~# ",
            "[root@cp ~]# ",
            "[cp ~]$ ",
            "user@cp:/a b$ ",
            "control-plane> ",
            "é# ",
        ] {
            for command in ["kubeadm join", "sudo kubeadm join", "/usr/bin/kubeadm join x"] {
                let text = format!("\n{prompt}{command}\n");
                let expected = format!("\n{}{command}\n", " ".repeat(prompt.len()));
                assert_eq!(blanked(&text), Some(expected), "{text}");
            }
        }
        for other in [
            "",
            "kubeadm join",
            "  kubeadm",
            "echo kubeadm",
            "echo a b # kubeadm join",
            "# on the node",
            "$",
        ] {
            assert_eq!(blanked(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn places_stay(text in "[a$#@ \n]{0,12}(sudo |)kubeadm[a \n]{0,6}", other in any::<String>()) {
            for text in [text, other] {
                if let Some(blanked) = blanked(&text) {
                    prop_assert_eq!(blanked.len(), text.len());
                    prop_assert_eq!(blanked.lines().count(), text.lines().count());
                }
            }
        }
    }
}

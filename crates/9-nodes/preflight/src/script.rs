//! Programs that commands and scripts of containers call, as far as that can be seen without running them: words of simple
//! commands, with `nsenter`, `chroot` and `sh -c` followed, and variables that have fixed values replaced.

use std::collections::BTreeSet;

use crate::place::{Place, Placed};

mod variables;

pub(crate) use variables::Variables;

/// Call of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Program, as it is written.
    pub(crate) program: String,
    /// Arguments.
    pub(crate) arguments: Vec<String>,
    /// `true` if the program is one of the node: behind `nsenter` or `chroot`.
    pub(crate) is_of_node: bool,
    /// Shell of the node whose script has the call.
    pub(crate) shell: Option<String>,
    pub(crate) place: Place,
}

impl Call {
    /// Name of the program without its folder.
    pub(crate) fn name(&self) -> &str {
        self.program.rsplit('/').next().unwrap_or_default()
    }
}

/// Levels of shells in shells that are followed.
const DEEPEST: usize = 8;
/// Most calls of one text that are followed. A loop over many values with many commands in it has more than memory holds.
const MOST_CALLS: usize = 20_000;
/// Words of a shell before the name of a program.
const BEFORE_PROGRAMS: [&str; 14] = [
    "!", "command", "do", "elif", "else", "eval", "exec", "if", "sudo", "then", "time", "until", "while", "{",
];
/// Programs that call another one, which is their first argument that is no option.
const WRAPPERS: [&str; 6] = ["env", "ionice", "nice", "nohup", "setsid", "timeout"];
/// Shells.
const SHELLS: [&str; 5] = ["ash", "bash", "dash", "sh", "zsh"];
/// Options of nsenter whose value is a word of its own.
const NSENTER_VALUES: [&str; 6] = ["--setgid", "--setuid", "--target", "-G", "-S", "-t"];

/// Side that a call is made on: the container, or the node, by which of its shells.
#[derive(Debug, Clone, Copy, Default)]
struct Side<'s> {
    is_of_node: bool,
    shell: Option<&'s str>,
}

/// Calls of a command with its arguments, in a container with variables. `roots` are folders that have the root of the node.
pub(crate) fn calls_of_command(words: &[Placed<String>], variables: &Variables<'_>, roots: &[&str]) -> Vec<Call> {
    let Some(first) = words.first() else {
        return Vec::new();
    };
    let mut calls = Calls {
        roots,
        found: Vec::new(),
    };
    let texts: Vec<String> = words.iter().map(|word| variables.by_kubelet(&word.value)).collect();
    // A word of several lines or words is a script: its place is its own.
    let is_program = !first.value.trim().contains(char::is_whitespace);
    if is_program {
        calls.simple(&texts, &first.place, Side::default(), 0, variables);
    }
    for (word, text) in words.iter().zip(&texts).filter(|(word, _)| is_script(&word.value)) {
        calls.script(text, &word.place, Side::default(), 0, variables);
    }
    let mut found = calls.found;
    // Behind `sh -c`, the script was met twice: the one that knows its own place stays.
    let mut seen = BTreeSet::new();
    found.reverse();
    found.retain(|call| {
        let (program, arguments, shell) = (call.program.clone(), call.arguments.clone(), call.shell.clone());
        seen.insert((program, arguments, call.is_of_node, shell))
    });
    found.reverse();
    found
}

/// Calls of a script.
pub(crate) fn calls_of_script(text: &str, place: &Place, roots: &[&str]) -> Vec<Call> {
    let mut calls = Calls {
        roots,
        found: Vec::new(),
    };
    calls.script(text, place, Side::default(), 0, &Variables::default());
    calls.found
}

/// Returns `true` for texts that a shell would read as more than one word.
fn is_script(text: &str) -> bool {
    text.trim().contains(char::is_whitespace)
}

struct Calls<'r> {
    roots: &'r [&'r str],
    found: Vec<Call>,
}

impl Calls<'_> {
    fn script(&mut self, text: &str, place: &Place, side: Side<'_>, depth: usize, outer: &Variables<'_>) {
        let mut variables = Variables::within(outer);
        for command in simple_commands(text) {
            if variables.set(&command) {
                continue;
            }
            for command in variables.expand(&command) {
                if self.found.len() >= MOST_CALLS {
                    return;
                }
                self.simple(&command, place, side, depth, &variables);
            }
        }
    }

    /// Follows one command: `words` are a program and its arguments.
    fn simple(&mut self, words: &[String], place: &Place, side: Side<'_>, depth: usize, variables: &Variables<'_>) {
        let is_before = |word: &&String| BEFORE_PROGRAMS.contains(&word.as_str()) || is_assignment(word);
        let skipped = words.iter().take_while(is_before).count();
        let Some((program, arguments)) = words.get(skipped..).and_then(<[String]>::split_first) else {
            return;
        };
        if depth > DEEPEST || program.starts_with('-') {
            return;
        }
        let call = Call {
            program: program.clone(),
            arguments: arguments.to_vec(),
            is_of_node: side.is_of_node,
            shell: side.shell.map(str::to_owned),
            place: place.clone(),
        };
        let name = call.name().to_owned();
        self.found.push(call);
        let on_node = Side {
            is_of_node: true,
            ..side
        };
        match name.as_str() {
            "nsenter" => self.simple(behind(arguments, &NSENTER_VALUES), place, on_node, depth + 1, variables),
            "chroot" => {
                if let Some((folder, inner)) = behind(arguments, &[]).split_first() {
                    let side = if self.is_root_of_node(folder) { on_node } else { side };
                    self.simple(inner, place, side, depth + 1, variables);
                }
            }
            "timeout" => {
                let inner = behind(arguments, &["-k", "-s"]).get(1..).unwrap_or_default();
                self.simple(inner, place, side, depth + 1, variables);
            }
            wrapper if WRAPPERS.contains(&wrapper) => {
                self.simple(behind(arguments, &["-n", "-c"]), place, side, depth + 1, variables);
            }
            shell if SHELLS.contains(&shell) => {
                let side = Side {
                    shell: side.shell.or(side.is_of_node.then_some(program.as_str())),
                    ..side
                };
                let script = arguments.iter().position(|word| is_command_option(word));
                if let Some(script) = script.and_then(|option| arguments.get(option + 1)) {
                    self.script(script, place, side, depth + 1, variables);
                }
            }
            _ => {}
        }
    }

    /// Returns `true` for a folder that has the root of the node.
    fn is_root_of_node(&self, folder: &str) -> bool {
        let folder = folder.trim_end_matches('/');
        let usual = [
            "/host",
            "/rootfs",
            "/hostfs",
            "/proc/1/root",
            "/host/proc/1/root",
            "/node",
        ];
        self.roots.contains(&folder) || usual.contains(&folder)
    }
}

/// Words behind the options; `with_values` are options that take the next word.
fn behind<'w>(words: &'w [String], with_values: &[&str]) -> &'w [String] {
    let mut left = words;
    while let Some((word, rest)) = left.split_first() {
        left = match word.as_str() {
            "--" => return rest,
            option if with_values.contains(&option) => rest.get(1..).unwrap_or_default(),
            option if option.starts_with('-') || is_assignment(option) => rest,
            _ => return left,
        };
    }
    left
}

/// Returns `true` for `-c`, `-ec`, `-xc`, `-lc` and their like.
fn is_command_option(word: &str) -> bool {
    word.strip_prefix('-')
        .is_some_and(|letters| letters.ends_with('c') && letters.chars().all(|letter| letter.is_ascii_lowercase()))
}

/// Returns `true` for `NAME=value`.
fn is_assignment(word: &str) -> bool {
    let name = word.split_once('=').map(|(name, _)| name).unwrap_or_default();
    !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

/// Words of each simple command of a script. Quotes are removed; comments and here-documents' lines are read as commands of
/// their own, which name no program of interest as a rule.
fn simple_commands(text: &str) -> Vec<Vec<String>> {
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(letter),
            (_, '\\') => match letters.next() {
                Some('\n') | None => {}
                Some(escaped) => word.get_or_insert_default().push(escaped),
            },
            (Some(_), _) => word.get_or_insert_default().push(letter),
            (None, '\'' | '"') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => while letters.next_if(|letter| *letter != '\n').is_some() {},
            (None, '\n' | ';' | '|' | '&' | '(' | ')' | '`') => {
                // What a command prints is no fixed value.
                if letter == '`' && word.as_ref().is_some_and(|word| word.ends_with('=')) {
                    word.get_or_insert_default().push('$');
                }
                words.extend(word.take());
                commands.push(std::mem::take(&mut words));
            }
            (None, _) if letter.is_whitespace() => words.extend(word.take()),
            (None, '$') if letters.peek() == Some(&'(') => words.extend(word.take().map(|word| word + "$")),
            (None, _) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    commands.push(words);
    commands.retain(|command| !command.is_empty());
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls(words: &[&str]) -> Vec<String> {
        let words: Vec<_> = words
            .iter()
            .map(|word| Placed {
                value: (*word).to_owned(),
                place: Place::default(),
            })
            .collect();
        let show = |call: &Call| {
            let of_node = if call.is_of_node { "@" } else { "" };
            format!(
                "{of_node}{}",
                std::iter::once(&call.program)
                    .chain(&call.arguments)
                    .cloned()
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        };
        let environment = [("BIN_PATH", "/opt/cni/bin")].map(|(name, value)| {
            let place = Place::default();
            let value = value.to_owned();
            (name.to_owned(), Placed { value, place })
        });
        let variables = Variables::of_environment(&environment);
        let calls = calls_of_command(&words, &variables, &["/mnt/root"]);
        calls.iter().map(show).collect()
    }

    #[test]
    fn namespaces_of_the_node_are_followed() {
        assert_eq!(
            calls(&[
                "nsenter",
                "-t",
                "1",
                "--mount=/host/proc/1/ns/mnt",
                "--",
                "iscsiadm",
                "--version"
            ]),
            [
                "nsenter -t 1 --mount=/host/proc/1/ns/mnt -- iscsiadm --version",
                "@iscsiadm --version"
            ]
        );
        assert_eq!(
            calls(&["chroot", "/mnt/root", "apt-get", "install"]),
            ["chroot /mnt/root apt-get install", "@apt-get install"]
        );
        assert_eq!(calls(&["chroot", "/srv", "ls"]), ["chroot /srv ls", "ls"]);
    }

    #[test]
    fn scripts_are_read() {
        let script = "set -e\n# apt-get in a comment\nif ! X=1 modprobe \"rbd\"; then exec nsenter -m -t1 sh -c 'systemctl start x'; fi\n\
                      echo $(timeout 5 insmod a.ko) | tee";
        let found = calls(&["/bin/sh", "-ec", script]);
        let found: Vec<_> = found
            .iter()
            .map(String::as_str)
            .filter(|call| !call.starts_with("/bin/sh"))
            .collect();
        assert_eq!(
            found,
            [
                "set -e",
                "modprobe rbd",
                "nsenter -m -t1 sh -c systemctl start x",
                "@sh -c systemctl start x",
                "@systemctl start x",
                "fi",
                "echo",
                "timeout 5 insmod a.ko",
                "insmod a.ko",
                "tee"
            ]
        );
    }

    #[test]
    fn variables_of_fixed_values_are_replaced() {
        let script = "for p in 'iscsiadm --version' blkid; do nsenter -m -t 1 -- $p >/dev/null; done\n\
                      TOOL=/usr/sbin/xfs_repair\nchroot /host ${TOOL} -n\nchroot /host $OTHER x";
        let found = calls(&["sh", "-c", script]);
        let of_node: Vec<_> = found
            .iter()
            .filter(|call| call.starts_with('@'))
            .map(String::as_str)
            .collect();
        assert_eq!(
            of_node,
            [
                "@iscsiadm --version >/dev/null",
                "@blkid >/dev/null",
                "@/usr/sbin/xfs_repair -n",
                "@$OTHER x"
            ]
        );
    }

    #[test]
    fn variables_of_the_container_are_replaced() {
        let of_node = |words: &[&str]| -> Vec<String> {
            let found = calls(words);
            found.into_iter().filter(|call| call.starts_with('@')).collect()
        };
        for script in [
            "nsenter -m/p/1/ns/mnt \"${BIN_PATH}/tool\" -v;",
            "nsenter -m/p/1/ns/mnt $BIN_PATH/tool -v",
            "nsenter -m/p/1/ns/mnt $(BIN_PATH)/tool -v",
            "FOLDER=$BIN_PATH; nsenter -m/p/1/ns/mnt $FOLDER/tool -v",
            "BIN_PATH=/opt/cni; nsenter -m/p/1/ns/mnt \"$BIN_PATH/bin/tool\" -v",
        ] {
            assert_eq!(of_node(&["sh", "-ec", script]), ["@/opt/cni/bin/tool -v"], "{script}");
        }
        assert_eq!(
            of_node(&["nsenter", "-m", "--", "$(BIN_PATH)/tool"]),
            ["@/opt/cni/bin/tool"]
        );
        // In the script of a shell on the node, too; and what is not known stays.
        assert_eq!(
            of_node(&[
                "sh",
                "-c",
                "nsenter -m sh -c '$BIN_PATH/tool'; BIN_PATH=$(pwd); nsenter -m $BIN_PATH/y"
            ]),
            ["@sh -c /opt/cni/bin/tool", "@/opt/cni/bin/tool", "@${BIN_PATH}/y"]
        );
    }

    #[test]
    fn calls_know_the_shell_of_the_node_that_makes_them() {
        let script = "nsenter -m bash -c 'a b | c'; nsenter -m a b";
        let found = calls_of_script(script, &Place::default(), &[]);
        let of_node: Vec<_> = found.iter().filter(|call| call.is_of_node).collect();
        let shells: Vec<_> = of_node
            .iter()
            .map(|call| (call.name(), call.shell.as_deref()))
            .collect();
        assert_eq!(
            shells,
            [("bash", None), ("a", Some("bash")), ("c", Some("bash")), ("a", None)]
        );
    }

    #[test]
    fn loops_do_not_multiply_without_end() {
        let values: String = (0..300).map(|number| format!(" v{number}")).collect();
        let script = format!("for x in{values}; do\n{}done", "echo $x\n".repeat(300));
        assert_eq!(calls_of_script(&script, &Place::default(), &[]).len(), MOST_CALLS);
        // Each value once, though every command was read with each of them.
        let found = calls(&["sh", "-c", &script]);
        assert_eq!(found.iter().filter(|call| call.starts_with("echo v")).count(), 300);
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(
            simple_commands("a 'b c' \"d;e\" f\\ g;h"),
            [vec!["a", "b c", "d;e", "f g"], vec!["h"]]
        );
        assert_eq!(simple_commands(" ; \n"), [] as [Vec<String>; 0]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in ".{0,200}") {
            let _ = calls_of_script(&text, &Place::default(), &[]);
        }
    }
}

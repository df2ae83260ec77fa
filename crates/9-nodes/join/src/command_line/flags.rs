//! Flags of `kubeadm join`, as Go's pflag reads them.

use std::ops::Range;
use std::str::FromStr;

use basalt_document::Finding;
use basalt_document::spelling::closest;
use miette::SourceSpan;

use super::words::Word;
use super::{CommandLineProblem, JoinCommand};
use crate::kubelet_flags::{is_runtime_endpoint, truth};

/// Values that a flag has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// One value.
    Value,
    /// None, or `=true` and `=false`.
    Switch,
}

/// Flags of `kubeadm join` in 1.30 to 1.37, but for those of control planes.
const FLAGS: &[(&str, Shape)] = &[
    ("config", Shape::Value),
    ("cri-socket", Shape::Value),
    ("discovery-file", Shape::Value),
    ("discovery-token", Shape::Value),
    ("discovery-token-ca-cert-hash", Shape::Value),
    ("discovery-token-unsafe-skip-ca-verification", Shape::Switch),
    ("dry-run", Shape::Switch),
    ("ignore-preflight-errors", Shape::Value),
    ("node-name", Shape::Value),
    ("patches", Shape::Value),
    ("rootfs", Shape::Value),
    ("skip-phases", Shape::Value),
    ("tls-bootstrap-token", Shape::Value),
    ("token", Shape::Value),
    ("v", Shape::Value),
    ("vmodule", Shape::Value),
];

/// Flags that make a control-plane node, or belong to one.
const CONTROL_PLANE: &[(&str, Shape)] = &[
    ("apiserver-advertise-address", Shape::Value),
    ("apiserver-bind-port", Shape::Value),
    ("certificate-key", Shape::Value),
    ("control-plane", Shape::Switch),
    ("experimental-control-plane", Shape::Switch),
];

/// Flags that kubeadm takes beside `--config`; `--skip-...`, too.
const BESIDE_CONFIG: &[&str] = &[
    "config",
    "dry-run",
    "ignore-preflight-errors",
    "node-name",
    "rootfs",
    "v",
    "vmodule",
];

/// A flag of a command line, with its value.
struct Given<'w> {
    /// Name without dashes.
    name: &'static str,
    /// Word that the flag is in.
    word: &'w Word,
    value: String,
    /// Bytes of the value.
    place: Range<usize>,
}

impl Given<'_> {
    fn flag(&self) -> String {
        dashed(self.name)
    }

    fn at(&self) -> SourceSpan {
        self.word.span.clone().into()
    }
}

/// Returns `true` for the name of a flag that `kubeadm join` has.
pub(super) fn is_known(name: &str) -> bool {
    FLAGS.iter().chain(CONTROL_PLANE).any(|(known, _)| *known == name)
}

fn dashed(name: &str) -> String {
    if name.len() == 1 {
        format!("-{name}")
    } else {
        format!("--{name}")
    }
}

/// Places of what a command has, for problems of the whole.
#[derive(Debug, Default)]
pub(super) struct Places {
    command: Range<usize>,
    endpoint: Option<Range<usize>>,
    given: Vec<(&'static str, Range<usize>)>,
}

impl Places {
    fn of(&self, name: &str) -> Option<SourceSpan> {
        let found = self.given.iter().find(|(given, _)| *given == name);
        found.map(|(_, span)| span.clone().into())
    }

    /// Words `kubeadm join`.
    pub(super) fn command(&self) -> SourceSpan {
        self.command.clone().into()
    }

    pub(super) fn discovery_file(&self) -> SourceSpan {
        self.of("discovery-file").unwrap_or_else(|| self.command())
    }

    /// Place that shows that no pin counts.
    pub(super) fn unpinned(&self) -> SourceSpan {
        let flag = self.of("discovery-token-unsafe-skip-ca-verification");
        flag.unwrap_or_else(|| self.command())
    }

    pub(super) fn has_endpoint(&self) -> bool {
        self.endpoint.is_some()
    }

    pub(super) fn has_discovery_file(&self) -> bool {
        self.of("discovery-file").is_some()
    }

    pub(super) fn has_token(&self) -> bool {
        self.of("token").or(self.of("discovery-token")).is_some()
    }

    pub(super) fn has_pin(&self) -> bool {
        self.of("discovery-token-ca-cert-hash").is_some()
    }
}

/// A command as far as it could be read.
pub(super) struct Parsed {
    pub(super) command: JoinCommand,
    pub(super) places: Places,
    pub(super) problems: Vec<CommandLineProblem>,
}

/// Reads the words of a command.
///
/// # Errors
/// When it is another command.
pub(super) fn parse(words: &[Word]) -> Result<Parsed, CommandLineProblem> {
    let (command, arguments) = command_name(words)?;
    let mut parser = Parser {
        parsed: Parsed {
            command: JoinCommand::default(),
            places: Places {
                command,
                ..Places::default()
            },
            problems: Vec::new(),
        },
    };
    parser.arguments(arguments);
    Ok(parser.parsed)
}

/// Place of `kubeadm join`, and the words after it. `sudo` may stand before it, with options that take no word of their own.
fn command_name(words: &[Word]) -> Result<(Range<usize>, &[Word]), CommandLineProblem> {
    let sudo = words.iter().take_while(|word| word.text == "sudo").count();
    let options = words
        .iter()
        .skip(sudo)
        .take_while(|word| sudo > 0 && word.text.starts_with('-'));
    let before = sudo + options.count();
    let words = words.get(before..).unwrap_or_default();
    let (Some(first), second) = (words.first(), words.get(1)) else {
        return Err(CommandLineProblem::Empty);
    };
    let is_kubeadm = first.text == "kubeadm" || first.text.ends_with("/kubeadm");
    match second {
        Some(second) if is_kubeadm && second.text == "join" => {
            Ok((first.span.start..second.span.end, words.get(2..).unwrap_or_default()))
        }
        _ => {
            let end = second.map_or(first.span.end, |second| second.span.end);
            Err(CommandLineProblem::NotJoin {
                at: (first.span.start..end).into(),
            })
        }
    }
}

struct Parser {
    parsed: Parsed,
}

impl Parser {
    fn say(&mut self, problem: CommandLineProblem) {
        self.parsed.problems.push(problem);
    }

    fn arguments(&mut self, words: &[Word]) {
        let mut given = Vec::new();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            if word.text == "--" {
                rest.by_ref().for_each(|word| self.endpoint(word));
            } else if word.text.len() > 1 && word.text.starts_with('-') {
                match flag(word, &mut rest) {
                    Ok(flag) => given.push(flag),
                    Err(problem) => self.say(problem),
                }
            } else {
                self.endpoint(word);
            }
        }
        let places = given.iter().map(|flag| (flag.name, flag.word.span.clone()));
        self.parsed.places.given = places.collect();
        if given.iter().any(|flag| flag.name == "config") {
            self.refuse_mixture(&given);
        }
        for flag in &given {
            self.flag(flag);
        }
    }

    fn endpoint(&mut self, word: &Word) {
        if self.parsed.places.endpoint.is_some() {
            self.say(CommandLineProblem::SecondEndpoint {
                word: word.text.clone(),
                at: word.span.clone().into(),
            });
            return;
        }
        self.parsed.places.endpoint = Some(word.span.clone());
        match super::endpoint(&word.text) {
            Ok(endpoint) => self.parsed.command.endpoint = Some(endpoint),
            Err(finding) => self.say(invalid(finding, &word.span)),
        }
    }

    fn refuse_mixture(&mut self, given: &[Given<'_>]) {
        for flag in given {
            let is_control_plane = CONTROL_PLANE.iter().any(|(name, _)| *name == flag.name);
            if !BESIDE_CONFIG.contains(&flag.name) && !flag.name.starts_with("skip-") && !is_control_plane {
                self.say(CommandLineProblem::MixedWithConfig {
                    flag: flag.flag(),
                    at: flag.at(),
                });
            }
        }
    }

    fn flag(&mut self, given: &Given<'_>) {
        if CONTROL_PLANE.iter().any(|(name, _)| *name == given.name) {
            return self.control_plane(given);
        }
        match given.name {
            "token" => self.parsed.command.token = self.value(given),
            "discovery-token" => self.parsed.command.discovery_token = self.value(given),
            "tls-bootstrap-token" => self.parsed.command.tls_bootstrap_token = self.value(given),
            "node-name" => self.parsed.command.node_name = self.value(given),
            "discovery-token-ca-cert-hash" => {
                for item in given.value.split(',') {
                    match item.parse() {
                        Ok(pin) => self.parsed.command.pins.push(pin),
                        Err(finding) => self.say(invalid(finding, &given.place)),
                    }
                }
            }
            "discovery-file" => match super::discovery_file(&given.value) {
                Ok(file) => self.parsed.command.discovery_file = Some(file),
                Err(finding) => self.say(invalid(finding, &given.place)),
            },
            "config" => self.parsed.command.config = Some(given.value.clone()),
            _ => self.without_effect(given),
        }
    }

    fn value<T: FromStr<Err = Finding>>(&mut self, given: &Given<'_>) -> Option<T> {
        match given.value.parse() {
            Ok(value) => Some(value),
            Err(finding) => {
                self.say(invalid(finding, &given.place));
                None
            }
        }
    }

    fn control_plane(&mut self, given: &Given<'_>) {
        if given.name.ends_with("control-plane") && truth(&given.value) != Ok(false) {
            self.say(CommandLineProblem::ControlPlane {
                flag: given.flag(),
                at: given.at(),
            });
        } else {
            self.no_effect(given, "it is for control-plane nodes");
        }
    }

    /// Flags that say nothing to a Basalt node, or what it cannot follow.
    fn without_effect(&mut self, given: &Given<'_>) {
        let unsupported = |message: String, help| CommandLineProblem::Unsupported {
            message,
            help,
            at: given.at(),
        };
        match given.name {
            "cri-socket" if !is_runtime_endpoint(&given.value) => self.say(unsupported(
                format!(
                    "the container runtime of a Basalt node is containerd, not `{}`",
                    given.value
                ),
                "remove the flag",
            )),
            "cri-socket" => {}
            "patches" => self.say(unsupported(
                "patches of kubeadm are not read".to_owned(),
                "write what they change in the part `kubelet` of the NodeConfig",
            )),
            "rootfs" => self.say(unsupported("a Basalt node has one root".to_owned(), "remove the flag")),
            // Without a pin, that is an error of the whole.
            "discovery-token-unsafe-skip-ca-verification"
                if self.parsed.places.has_pin() && truth(&given.value) != Ok(false) =>
            {
                self.no_effect(given, "a pin is given, and counts");
            }
            "dry-run" => self.no_effect(given, "a NodeConfig changes nothing until a machine has it"),
            "ignore-preflight-errors" | "skip-phases" => {
                self.no_effect(given, "kubeadm's phases are not run; the image has what they ask for");
            }
            _ => {}
        }
    }

    fn no_effect(&mut self, given: &Given<'_>, reason: &'static str) {
        self.say(CommandLineProblem::NoEffect {
            flag: given.flag(),
            reason,
            at: given.at(),
        });
    }
}

fn invalid(finding: Finding, place: &Range<usize>) -> CommandLineProblem {
    CommandLineProblem::InvalidValue {
        message: finding.message,
        help: finding.help,
        at: place.clone().into(),
    }
}

/// A flag with its value: `--flag=value`, `--flag value`, `-v5`.
fn flag<'w>(word: &'w Word, rest: &mut std::slice::Iter<'w, Word>) -> Result<Given<'w>, CommandLineProblem> {
    let (dashes, body) = match word.text.strip_prefix("--") {
        Some(body) => (2, body),
        None => (1, word.text.strip_prefix('-').unwrap_or_default()),
    };
    let (name, attached) = match body.split_once('=') {
        Some((name, value)) => (name, Some((value, dashes + name.len() + 1))),
        // `-v5`; the first character is ASCII, or the name is unknown.
        None if dashes == 1 && body.starts_with('v') && body.len() > 1 => ("v", body.get(1..).map(|value| (value, 2))),
        None => (body, None),
    };
    let known = FLAGS.iter().chain(CONTROL_PLANE);
    let Some((name, shape)) = known
        .copied()
        .find(|(known, _)| *known == name && (known.len() == 1 || dashes == 2))
    else {
        return Err(CommandLineProblem::UnknownFlag {
            // What stands there in place of `=` does not end a name: `--x:abcdef.0123456789abcdef`.
            flag: format!("{}{name}", if dashes == 2 { "--" } else { "-" }),
            guess: closest(name, FLAGS.iter().map(|(known, _)| *known)),
            at: word.span.clone().into(),
        });
    };
    let (value, place) = match (attached, shape) {
        (Some((value, offset)), _) => (value.to_owned(), word.from(offset)),
        (None, Shape::Switch) => (String::new(), word.span.clone()),
        (None, Shape::Value) => {
            let Some(next) = rest.next() else {
                return Err(CommandLineProblem::MissingValue {
                    flag: dashed(name),
                    at: word.span.clone().into(),
                });
            };
            (next.text.clone(), next.span.clone())
        }
    };
    Ok(Given {
        name,
        word,
        value,
        place,
    })
}

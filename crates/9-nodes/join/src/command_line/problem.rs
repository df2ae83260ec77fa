//! Problems of join commands: errors and warnings.

use std::sync::Arc;

use basalt_document::redaction::{masked, redact};
use basalt_document::spelling::did_you_mean;
use miette::{Diagnostic, LabeledSpan, NamedSource, Severity, SourceSpan};

use super::secrets;

/// Defect of a join command, or something in it that has no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineProblem {
    /// No words at all.
    #[error("there is no command")]
    Empty,
    /// Another command.
    #[error("this is not `kubeadm join`")]
    NotJoin {
        /// Place of the words.
        at: SourceSpan,
    },
    /// A quote without its end.
    #[error("a quote is not closed")]
    OpenQuote {
        /// Place of the quote.
        at: SourceSpan,
    },
    /// A variable, or a command in the command.
    #[error("variables and commands within the command are not evaluated")]
    Expansion {
        /// Place of the character.
        at: SourceSpan,
    },
    /// An operator of the shell.
    #[error("`{operator}` would make the shell run something else")]
    Operator {
        /// The character.
        operator: char,
        /// Place of it.
        at: SourceSpan,
    },
    /// Blanks between a backslash and the end of its line.
    #[error("a blank after the backslash ends the command here")]
    BlankAfterBackslash {
        /// Place of the blanks.
        at: SourceSpan,
    },
    /// A second line.
    #[error("a second command follows")]
    SecondCommand {
        /// Begin of it.
        at: SourceSpan,
    },
    /// A flag that `kubeadm join` does not have.
    #[error("`kubeadm join` has no flag `{flag}`")]
    UnknownFlag {
        /// The flag with its dashes.
        flag: String,
        /// Flag that may be meant.
        guess: Option<&'static str>,
        /// Place of it.
        at: SourceSpan,
    },
    /// A flag at the end, without its value.
    #[error("`{flag}` has no value")]
    MissingValue {
        /// The flag with its dashes.
        flag: String,
        /// Place of it.
        at: SourceSpan,
    },
    /// A value that cannot be.
    #[error("{message}")]
    InvalidValue {
        /// Defect.
        message: String,
        /// Remedy.
        help: Option<String>,
        /// Place of the value.
        at: SourceSpan,
    },
    /// A second endpoint.
    #[error("`{word}` is a second address of the API server")]
    SecondEndpoint {
        /// The word.
        word: String,
        /// Place of it.
        at: SourceSpan,
    },
    /// Neither endpoint, nor discovery file, nor configuration.
    #[error("the address of the API server is missing")]
    NoEndpoint {
        /// Place of the command's name.
        at: SourceSpan,
    },
    /// No token with token discovery.
    #[error("the token is missing")]
    NoToken {
        /// Place of the command's name.
        at: SourceSpan,
    },
    /// No pin of the authority.
    #[error("nothing vouches for the API server: `--discovery-token-ca-cert-hash` is missing")]
    NoPin {
        /// Place of the flag that gives the check up, or of the command's name.
        at: SourceSpan,
    },
    /// Token and file.
    #[error("discovery is by token or by file, not by both")]
    TwoDiscoveries {
        /// Place of the file.
        at: SourceSpan,
    },
    /// A control plane is asked for.
    #[error("`{flag}` makes a control-plane node, and a Basalt node is a worker")]
    ControlPlane {
        /// The flag with its dashes.
        flag: String,
        /// Place of it.
        at: SourceSpan,
    },
    /// A flag beside `--config` that kubeadm refuses there.
    #[error("`{flag}` cannot be mixed with `--config`")]
    MixedWithConfig {
        /// The flag with its dashes.
        flag: String,
        /// Place of it.
        at: SourceSpan,
    },
    /// A flag that a Basalt node cannot follow.
    #[error("{message}")]
    Unsupported {
        /// Reason.
        message: String,
        /// Remedy.
        help: &'static str,
        /// Place of the flag.
        at: SourceSpan,
    },
    /// A flag without an effect: a warning.
    #[error("`{flag}` has no effect: {reason}")]
    NoEffect {
        /// The flag with its dashes.
        flag: String,
        /// Reason.
        reason: &'static str,
        /// Place of it.
        at: SourceSpan,
    },
}

impl CommandLineProblem {
    /// Place in the command line.
    pub fn at(&self) -> Option<SourceSpan> {
        match self {
            Self::Empty => None,
            Self::NotJoin { at }
            | Self::OpenQuote { at }
            | Self::Expansion { at }
            | Self::Operator { at, .. }
            | Self::BlankAfterBackslash { at }
            | Self::SecondCommand { at }
            | Self::UnknownFlag { at, .. }
            | Self::MissingValue { at, .. }
            | Self::InvalidValue { at, .. }
            | Self::SecondEndpoint { at, .. }
            | Self::NoEndpoint { at }
            | Self::NoToken { at }
            | Self::NoPin { at }
            | Self::TwoDiscoveries { at }
            | Self::ControlPlane { at, .. }
            | Self::MixedWithConfig { at, .. }
            | Self::Unsupported { at, .. }
            | Self::NoEffect { at, .. } => Some(*at),
        }
    }

    /// `true` if the command can be used all the same.
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::NoEffect { .. })
    }

    /// The problem, whose words do not repeat what is secret in the command, nor what is by its form: a token at the place of something
    /// else.
    fn without(mut self, secrets: &[&str]) -> Self {
        let hide = |text: &mut String| {
            *text = redact(text);
            for secret in secrets {
                *text = text.replace(secret, "…");
            }
        };
        match &mut self {
            Self::UnknownFlag { flag, .. } => hide(flag),
            Self::SecondEndpoint { word, .. } => hide(word),
            Self::Unsupported { message, .. } => hide(message),
            Self::InvalidValue { message, help, .. } => {
                hide(message);
                help.iter_mut().for_each(hide);
            }
            _ => {}
        }
        self
    }

    fn help_text(&self) -> Option<String> {
        let print = "make a new one on a control-plane node: `kubeadm token create --print-join-command`";
        Some(match self {
            Self::Empty | Self::NotJoin { .. } | Self::NoEndpoint { .. } | Self::NoToken { .. } => {
                format!("paste the whole command, `kubeadm join HOST:PORT --token ...`; {print}")
            }
            Self::OpenQuote { .. } => "add the second quote, or remove this one".to_owned(),
            Self::Expansion { .. } => "write the value itself".to_owned(),
            Self::Operator { .. } | Self::SecondCommand { .. } => "paste `kubeadm join ...` alone".to_owned(),
            Self::BlankAfterBackslash { .. } => {
                "remove it: a backslash joins two lines as the last sign of its line".to_owned()
            }
            Self::UnknownFlag { guess, .. } => did_you_mean(format_args!("--{}", (*guess)?)),
            Self::MissingValue { flag, .. } => format!("write `{flag}=VALUE`"),
            Self::InvalidValue { help, .. } => help.clone()?,
            Self::SecondEndpoint { .. } => "keep one of them".to_owned(),
            Self::NoPin { .. } => format!("without it, whoever has the token can pass for the API server; {print}"),
            Self::TwoDiscoveries { .. } => "remove the address of the API server and its token, or this".to_owned(),
            Self::ControlPlane { .. } => "leave the flag out to join as a worker".to_owned(),
            Self::MixedWithConfig { .. } => "write it into the JoinConfiguration; kubeadm refuses this, too".to_owned(),
            Self::Unsupported { help, .. } => (*help).to_owned(),
            Self::NoEffect { .. } => return None,
        })
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Empty | Self::NotJoin { .. } => "join::command::none",
            Self::OpenQuote { .. }
            | Self::Expansion { .. }
            | Self::Operator { .. }
            | Self::BlankAfterBackslash { .. }
            | Self::SecondCommand { .. } => "join::command::shell",
            Self::UnknownFlag { .. } | Self::MissingValue { .. } => "join::command::flag",
            Self::InvalidValue { .. } => "join::command::value",
            Self::NoPin { .. } => "join::command::pin",
            Self::ControlPlane { .. } => "join::command::control_plane",
            Self::NoEffect { .. } => "join::command::no_effect",
            Self::Unsupported { .. } => "join::command::unsupported",
            Self::SecondEndpoint { .. }
            | Self::NoEndpoint { .. }
            | Self::NoToken { .. }
            | Self::TwoDiscoveries { .. }
            | Self::MixedWithConfig { .. } => "join::command::discovery",
        }
    }
}

impl Diagnostic for CommandLineProblem {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        Some(Box::new(CommandLineProblem::code(self)))
    }

    fn severity(&self) -> Option<Severity> {
        Some(if self.is_warning() {
            Severity::Warning
        } else {
            Severity::Error
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help_text().map(|help| Box::new(help) as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let label = LabeledSpan::new_primary_with_span(Some("here".to_owned()), self.at()?);
        Some(Box::new(std::iter::once(label)))
    }
}

/// All problems of one join command. The command is shown without the secrets of its tokens.
#[derive(Debug, Clone)]
pub struct CommandLineError {
    source: NamedSource<Arc<str>>,
    problems: Vec<CommandLineProblem>,
}

impl CommandLineError {
    pub(super) fn new(text: &str, problems: Vec<CommandLineProblem>) -> Self {
        let spans = secrets::spans(text);
        let values: Vec<&str> = secrets::values(text, &spans).collect();
        let mut problems: Vec<_> = problems.into_iter().map(|problem| problem.without(&values)).collect();
        problems.sort_by_key(|problem| problem.at().map(|at| at.offset()));
        let shown = redact(&masked(text, &spans));
        Self {
            source: NamedSource::new("join command", shown.into()),
            problems,
        }
    }

    /// Problems in the order of the command.
    pub fn problems(&self) -> &[CommandLineProblem] {
        &self.problems
    }
}

impl std::fmt::Display for CommandLineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the join command cannot be used")
    }
}

impl std::error::Error for CommandLineError {}

impl Diagnostic for CommandLineError {
    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(&self.source)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        Some(Box::new(self.problems.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

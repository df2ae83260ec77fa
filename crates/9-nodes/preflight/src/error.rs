//! Errors that keep a preflight from looking.

use basalt_document::problem::Problems;
use basalt_image::ImageError;
use basalt_process::{ProcessError, without_path};
use camino::{Utf8Path, Utf8PathBuf};
use miette::Diagnostic;
use thiserror::Error;

/// Preflight that could not look.
#[derive(Debug, Error, Diagnostic)]
pub enum PreflightError {
    /// A file or folder cannot be read.
    #[error("cannot read `{path}`")]
    #[diagnostic(code(preflight::read), help("{help}"))]
    Read {
        /// File or folder.
        path: Utf8PathBuf,
        /// Kind of file that is wanted.
        help: &'static str,
        /// Cause, from the system.
        source: std::io::Error,
    },
    /// A NodeConfig or a kubeconfig is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Document(Box<Problems>),
    /// A file with facts is not one.
    #[error("`{path}` has no facts of a node: {reason}")]
    #[diagnostic(
        code(preflight::facts),
        help("write it with `basalt preflight --write-facts FILE` of the same version")
    )]
    Facts {
        /// File.
        path: Utf8PathBuf,
        /// Cause.
        reason: String,
    },
    /// Facts that have the settings of a NodeConfig.
    #[error("the facts have the settings of a NodeConfig already, and another one cannot take their place")]
    #[diagnostic(
        code(preflight::facts_of_config),
        help("leave --config out, or write the facts without --config first")
    )]
    OfNodeConfig,
    /// The configuration that the agent writes cannot be understood.
    #[error("the agent's configuration of {program} cannot be understood: {reason}")]
    #[diagnostic(code(preflight::agent), help("this is a bug of Basalt: please report it"))]
    Agent {
        /// Program: `containerd`, `kubelet`.
        program: &'static str,
        /// Cause.
        reason: String,
    },
    /// The image has no kernel: containers run on their node's kernel.
    #[error("the image {image} is not one that a node boots: it has no kernel")]
    #[diagnostic(code(preflight::no_kernel), help("name an image that boots, such as `node`"))]
    NoKernel {
        /// Image.
        image: String,
    },
    /// The kubeconfig lacks something, or asks for what is not supported.
    #[error("the kubeconfig `{path}` cannot be used: {reason}")]
    #[diagnostic(code(preflight::kubeconfig))]
    Kubeconfig {
        /// File.
        path: Utf8PathBuf,
        /// Cause.
        reason: String,
        /// Way out.
        #[help]
        help: String,
    },
    /// The API server cannot be reached, or refuses.
    #[error("cannot list {what} of {server}: {reason}")]
    #[diagnostic(code(preflight::cluster))]
    Cluster {
        /// Kinds that were asked for.
        what: String,
        /// URL of the API server.
        server: String,
        /// Cause.
        reason: String,
        /// Way out.
        #[help]
        help: String,
    },
    /// A file has no inventory of a host.
    #[error("`{path}` cannot be judged")]
    #[diagnostic(
        code(preflight::inventory),
        help("give what the program `basalt-inventory` wrote: `basalt preflight node --write-program FILE` has it")
    )]
    Inventory {
        /// File; `-` for standard input.
        path: Utf8PathBuf,
        /// Cause.
        source: basalt_inventory::InventoryError,
    },
    /// YAML cannot be written.
    #[error("a NodeConfig cannot be written: {0}")]
    #[diagnostic(code(preflight::yaml), help("this is a bug of Basalt: please report it"))]
    Yaml(String),
    /// Ctrl-C, or a signal to end.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Process(#[from] ProcessError),
    /// The packages of the image cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Image(#[from] ImageError),
}

impl PreflightError {
    /// Returns the conversion of an I/O error for `map_err`. `help` says which file is wanted.
    pub(crate) fn read(path: &Utf8Path, help: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Read {
            source: without_path(error, &path),
            path,
            help,
        }
    }
}

impl From<Problems> for PreflightError {
    fn from(problems: Problems) -> Self {
        Self::Document(Box::new(problems))
    }
}

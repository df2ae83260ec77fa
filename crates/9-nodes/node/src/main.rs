//! The command of the agent.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use basalt_digest::Digest;
use basalt_document::problem::Problems;
use basalt_node::address::{self, Wanted};
use basalt_node::apply::{self, Applied, ApplyError};
use basalt_node::facts::Facts;
use basalt_node::health::Health;
use basalt_node::images::Images;
use basalt_node::serving::{self, ServingError};
use basalt_node::source::{self, Found, SourceError};
use basalt_node::{follow, host_paths, join, paths, plan};
use basalt_node_config::{Clock, NodeConfig, check};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

const USAGE: &str = "\
basalt-node makes a machine a node of a Kubernetes cluster.

  basalt-node check FILE       say what is wrong with a NodeConfig; `-` reads standard input
  basalt-node status [--json]  say how this node is doing

Units of the image call these:
  basalt-node apply            find the NodeConfig and write what follows from it
  basalt-node join             before the kubelet: forget other clusters, wait for the node's address
  basalt-node follow           beside the kubelet: name servers, time servers; ends when the address has changed
  basalt-node ready            wait until the node is ready
  basalt-node serve-image      answer one connection of containerd with a baked image

Exit codes: 0 all is well, 1 something is wrong with the NodeConfig or the node, 2 wrong usage.
";

/// How long a config disk may take to turn up. Its controller has already shown the root disk.
const PATIENCE_FOR_DISKS: Duration = Duration::from_secs(3);

/// How long an address is waited for before the kubelet starts without one.
const PATIENCE_FOR_ADDRESS: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error, Diagnostic)]
enum Failure {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] Problems),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serving(#[from] ServingError),
    #[error("cannot read {path}")]
    #[diagnostic(help("give the path of a NodeConfig"))]
    Read { path: String, source: std::io::Error },
    #[error("no NodeConfig was applied")]
    #[diagnostic(help("see `journalctl -u basalt-node`, or run `basalt-node apply`"))]
    NotApplied,
    #[error("the node is not ready")]
    NotReady,
    #[error("the connection broke")]
    Connection(#[source] std::io::Error),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["check", file] => check_file(file),
        ["status"] => status(false),
        ["status", "--json"] => status(true),
        ["apply"] => apply_config(),
        ["join"] => join_cluster(),
        ["follow"] => follow_network(),
        ["ready"] => wait_until_ready(),
        ["serve-image"] => serve_image(),
        ["--version" | "-V"] => {
            println!("basalt-node {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["--help" | "-h" | "help"] => {
            print!("{USAGE}");
            Ok(())
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::NotReady) => ExitCode::FAILURE,
        Err(failure) => {
            report(&failure);
            ExitCode::FAILURE
        }
    }
}

fn check_file(path: &str) -> Result<(), Failure> {
    let failed = |source| Failure::Read {
        path: path.to_owned(),
        source,
    };
    let (name, text) = match path {
        "-" => (
            "standard input",
            std::io::read_to_string(std::io::stdin()).map_err(failed)?,
        ),
        _ => (path, std::fs::read_to_string(path).map_err(failed)?),
    };
    let (config, warnings) = check(name, &text, Clock::Right(SystemTime::now()))?;
    if !warnings.is_empty() {
        report(&warnings);
    }
    let hostname = config
        .hostname
        .as_ref()
        .map_or("a node named after its machine id", |name| name.as_str());
    println!("{name} is right: {hostname} joins {}", config.cluster.endpoint);
    Ok(())
}

fn apply_config() -> Result<(), Failure> {
    let root = Path::new("/");
    let mut sources = source::sources();
    let Some(Found { origin, text }) = source::find(&mut sources, PATIENCE_FOR_DISKS)? else {
        // Not an error: an image can be looked at without a cluster.
        let looked: Vec<_> = sources.iter().map(|source| source.name()).collect();
        println!(
            "no NodeConfig (looked for: {}); this machine joins no cluster",
            looked.join(", ")
        );
        return Ok(());
    };
    // At this point of a boot, no time server was asked yet.
    let (config, warnings) = check(&origin, &text, Clock::Unsure(SystemTime::now()))?;
    if !warnings.is_empty() {
        report(&warnings);
    }
    let plan = plan::plan(&config, &Facts::read(root));
    apply::set_hostname(&plan)?;
    let mut not_done = apply::set_sysctls(root, &plan);
    not_done.extend_from_slice(&plan.warnings);
    for warning in &not_done {
        eprintln!("{warning}");
    }
    let applied = Applied {
        origin,
        hostname: plan.hostname.clone(),
        endpoint: plan.endpoint.clone(),
        wanted: Wanted::of(&config),
        authority: authority(&config),
        files: Vec::new(),
        warnings: not_done,
    };
    let applied = apply::write_files(root, &plan, applied)?;
    println!(
        "{} joins {} (from {})",
        applied.hostname, applied.endpoint, applied.origin
    );
    Ok(())
}

/// What a cluster is known by.
fn authority(config: &NodeConfig) -> String {
    Digest::of(config.cluster.ca.pem()).to_hex()
}

fn join_cluster() -> Result<(), Failure> {
    let root = Path::new("/");
    let applied = apply::read_applied(root).ok_or(Failure::NotApplied)?;
    if join::forget_other_clusters(root, &applied)? {
        println!("this machine was a node of another cluster or had another name: it joins anew");
    }
    for warning in host_paths::provide(root) {
        eprintln!("{warning}");
    }
    let addresses = address::wait(&applied.wanted, PATIENCE_FOR_ADDRESS);
    follow::refresh(root)?;
    if addresses.is_empty() {
        eprintln!("the network has not given this machine an address: the kubelet starts without one");
    } else if addresses.len() < applied.wanted.choices.len() {
        eprintln!("this node registers with {addresses:?} only: the network has not given it the other address");
    }
    address::write(root, &addresses)?;
    serving::write(root, &applied.hostname, &addresses)?;
    Ok(())
}

fn follow_network() -> Result<(), Failure> {
    let root = Path::new("/");
    let applied = apply::read_applied(root).ok_or(Failure::NotApplied)?;
    let addresses = follow::until_change(root, &applied.wanted)?;
    println!("the network has given this machine other addresses, {addresses:?}: the kubelet starts again");
    Ok(())
}

fn status(json: bool) -> Result<(), Failure> {
    let health = Health::look();
    if json {
        println!("{}", serde_json::to_string_pretty(&health).unwrap_or_default());
    } else {
        print!("{health}");
    }
    if health.is_ready() {
        Ok(())
    } else {
        Err(Failure::NotReady)
    }
}

fn wait_until_ready() -> Result<(), Failure> {
    while !(Health::is_near() && Health::look().is_ready()) {
        std::thread::sleep(Duration::from_millis(250));
    }
    println!("the node is ready");
    Ok(())
}

fn serve_image() -> Result<(), Failure> {
    let images = Images::open(Path::new(paths::IMAGES), paths::IMAGES_HOST);
    let result = images.serve(
        std::io::stdin().lock(),
        std::io::BufWriter::new(std::io::stdout().lock()),
    );
    match result {
        // containerd hangs up when it has what it wants.
        Err(error)
            if !matches!(
                error.kind(),
                std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset
            ) =>
        {
            Err(Failure::Connection(error))
        }
        _ => Ok(()),
    }
}

/// Shows an error or warnings: with the lines of the file on a terminal, in a form for logs elsewhere.
fn report(diagnostic: &dyn Diagnostic) {
    let terminal = std::io::stderr().is_terminal();
    let theme = if terminal {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::none()
    };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_links(false);
    match handler.render_report(&mut text, diagnostic) {
        Ok(()) => eprintln!("{}", text.trim_end()),
        Err(_) => eprintln!("{diagnostic}"),
    }
}

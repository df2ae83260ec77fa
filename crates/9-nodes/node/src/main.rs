//! The command of the agent.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use basalt_digest::Digest;
use basalt_document::problem::Problems;
use basalt_node::apply::{self, Applied, ApplyError};
use basalt_node::facts::Facts;
use basalt_node::health::Health;
use basalt_node::images::Images;
use basalt_node::reset::{self, ResetError};
use basalt_node::screen;
use basalt_node::serving::{self, ServingError};
use basalt_node::source::{self, Found, SourceError};
use basalt_node::{join, paths, plan};
use basalt_node_config::{Clock, NodeConfig, check};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

const USAGE: &str = "\
basalt-node makes a machine a node of a Kubernetes cluster.

  basalt-node check FILE       say what is wrong with a NodeConfig; `-` reads standard input
  basalt-node status [--json]  say how this node is doing
  basalt-node screen --once    print the console's status screen
  basalt-node request-reset    have the next boot make the state partition anew: all data on the node is lost

Units of the image call these:
  basalt-node apply            find the NodeConfig and write what follows from it
  basalt-node join             before the kubelet: forget other clusters, wait for the node's address
  basalt-node ready            wait until the node is ready
  basalt-node serve-image      answer one connection of containerd with a baked image
  basalt-node screen           draw the status screen on the console, whenever it changes
  basalt-node reset-state      make the state partition anew, if that was requested

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
    #[error(transparent)]
    #[diagnostic(transparent)]
    Reset(#[from] ResetError),
    #[error("cannot draw the status screen")]
    #[diagnostic(help("the credential basalt.screen names other terminals than tty1, or none"))]
    Screen(#[source] std::io::Error),
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
        ["ready"] => wait_until_ready(),
        ["serve-image"] => serve_image(),
        ["screen"] => screen::console::run(Path::new("/")).map_err(Failure::Screen),
        ["screen", "--once"] => {
            print!("{}", screen::console::look(Path::new("/")).0);
            Ok(())
        }
        ["request-reset"] => request_reset(),
        ["reset-state"] => reset_state(),
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
    let not_taken = apply::set_sysctls(root, &plan);
    for warning in &not_taken {
        eprintln!("{warning}");
    }
    let applied = Applied {
        origin,
        hostname: plan.hostname.clone(),
        endpoint: plan.endpoint.clone(),
        address: plan::preferred_address(&config),
        authority: authority(&config),
        files: Vec::new(),
        warnings: not_taken,
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
    let address = join::wait_for_address(applied.address, PATIENCE_FOR_ADDRESS);
    if address.is_none() {
        let what = applied
            .address
            .map_or("an address".to_owned(), |address| address.to_string());
        eprintln!("the network has not given this machine {what}: the kubelet starts without it");
    }
    join::write_address(root, address)?;
    serving::write(root, &applied.hostname, address)?;
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

fn request_reset() -> Result<(), Failure> {
    reset::request(reset::STATE_DEVICE)?;
    println!("the next boot makes the state partition anew");
    Ok(())
}

fn reset_state() -> Result<(), Failure> {
    if reset::perform(reset::STATE_DEVICE)? {
        println!("the state partition was made anew, as it was asked for: this machine joins as a new node");
    }
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

//! The command of the agent.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own in the image"
)]

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use basalt_document::problem::Problems;
use basalt_node::address::{self, Wanted};
use basalt_node::apply::{self, Applied, ApplyError};
use basalt_node::azure::{self, WireServer};
use basalt_node::bootstrap_data::{self, Bootstrap, BootstrapDataError};
use basalt_node::cloud::Cloud;
use basalt_node::facts::MachineFacts;
use basalt_node::health::Health;
use basalt_node::images::Images;
use basalt_node::joining::{BootClock, JoinError};
use basalt_node::kubelet_version::check_config;
use basalt_node::machine_id::{IdOrigin, MachineId};
use basalt_node::metadata::{self, Asking, MetadataService, UserDataError};
use basalt_node::plan::PlannedFile;
use basalt_node::reset::{self, ResetError};
use basalt_node::screen;
use basalt_node::serving::{self, ServingError};
use basalt_node::source::{self, Found, Source, SourceError};
use basalt_node::state::{self, StateError};
use basalt_node::{
    boot, bootstrap_files, capacity, client_certificate, follow, host_paths, housekeeping, join, panics, paths, plan,
    read_ahead,
};
use basalt_node_config::name::HostName;
use basalt_node_config::{Clock, LARGEST, NodeConfig, is_user_data};
use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme};

const USAGE: &str = "\
basalt-node makes a machine a node of a Kubernetes cluster.

  basalt-node check FILE       say what is wrong with a NodeConfig; `-` reads standard input
  basalt-node status [--json]  say how this node is doing
  basalt-node panics           show the last messages of kernels that died
  basalt-node screen --once    print the console's status screen
  basalt-node request-reset    have the next boot make the state partition anew: all data on the node is lost

Units of the image call these:
  basalt-node apply            find the NodeConfig and write what follows from it
  basalt-node user-data        in a cloud, without a NodeConfig on the machine: ask the metadata service for user data
  basalt-node report-ready     on Azure: report that the machine has come up
  basalt-node check-state      before /var is mounted: check and repair its file system
  basalt-node join             before the kubelet: find the cluster, settle whose certificate it has, wait for addresses
  basalt-node follow           beside the kubelet: name servers, time servers; ends when the address has changed
  basalt-node ready            wait until the boot is good: the API server holds the node Ready
  basalt-node reset-runtime    move what containerd keeps out of its way
  basalt-node read-ahead       read the largest programs before they start
  basalt-node housekeeping     collect records of dead kernels, bound journals, tend the reserve of space
  basalt-node deadline         fail when the boot is not good and its time is over
  basalt-node serve-image      answer one connection of containerd with a baked image
  basalt-node screen           draw the status screen on the console, whenever it changes

Exit codes: 0 all is well, 1 something is wrong with the NodeConfig or the node, 2 wrong usage.
";

/// Deadline for a config disk. Virtual media of a management controller is a USB drive, which takes up to 20 s to be
/// found after the kernel has started. The time-out of `basalt-node.service` is longer.
const PATIENCE_FOR_DISKS: Duration = Duration::from_secs(60);

/// The same in a cloud that attaches disks with user data: [`user_data`] goes on looking. Elsewhere there is nothing to wait for.
const PATIENCE_IN_CLOUDS: Duration = Duration::from_secs(2);

/// Deadline for a network card, where the machine's identity has to follow from one.
const PATIENCE_FOR_CARDS: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error, Diagnostic)]
enum Failure {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(#[from] Problems),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Bootstrap(#[from] BootstrapDataError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Metadata(#[from] UserDataError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Serving(#[from] ServingError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Join(#[from] JoinError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    State(#[from] StateError),
    #[error("cannot read {what}")]
    #[diagnostic(help("give the path of a NodeConfig"))]
    Read { what: &'static str, source: std::io::Error },
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
        ["user-data"] => user_data(),
        ["report-ready"] => report_ready(),
        ["check-state"] => check_state(),
        ["join"] => join_cluster(),
        ["follow"] => follow_network(),
        ["ready"] => wait_until_ready(),
        ["deadline"] => check_deadline(),
        ["reset-runtime"] => reset_runtime(),
        ["read-ahead"] => {
            for error in read_ahead::read_programs(Path::new("/")) {
                eprintln!("{error}");
            }
            Ok(())
        }
        ["housekeeping"] => {
            for line in housekeeping::run(Path::new("/")) {
                println!("{line}");
            }
            Ok(())
        }
        ["panics"] => show_panics(),
        ["serve-image"] => serve_image(),
        ["screen"] => screen::console::run(Path::new("/")).map_err(Failure::Screen),
        ["screen", "--once"] => {
            print!("{}", screen::console::look(Path::new("/")).0);
            Ok(())
        }
        ["request-reset"] => request_reset(),
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
        Err(Failure::Config(problems) | Failure::Bootstrap(BootstrapDataError::Text(problems))) => {
            report_problems(&problems);
            ExitCode::FAILURE
        }
        Err(failure) => {
            report(&failure);
            ExitCode::FAILURE
        }
    }
}

fn check_file(path: &str) -> Result<(), Failure> {
    let failed = |what| move |source| Failure::Read { what, source };
    let (name, text) = match path {
        "-" => {
            let name = "standard input";
            (name, read_text(std::io::stdin()).map_err(failed(name))?)
        }
        _ => {
            let read = fs_err::File::open(path).and_then(read_text);
            (path, read.map_err(failed("the NodeConfig"))?)
        }
    };
    let (config, warnings) = check_config(name, &text, Clock::Right(SystemTime::now()))?;
    if !warnings.is_empty() {
        report_problems(&warnings);
    }
    let hostname = config
        .hostname
        .as_ref()
        .map_or("a node named after its machine id", |name| name.as_str());
    println!("{name} is right: {hostname} joins {}", config.cluster.endpoint);
    Ok(())
}

/// Text that is at most one byte larger than a NodeConfig may be: the check refuses such a one by its size.
fn read_text(reader: impl Read) -> std::io::Result<String> {
    let most = u64::try_from(LARGEST).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    reader.take(most).read_to_end(&mut bytes)?;
    if bytes.len() > LARGEST {
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    String::from_utf8(bytes).map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

fn apply_config() -> Result<(), Failure> {
    let root = Path::new("/");
    let cloud = Cloud::of_machine(root);
    metadata::forget(root)?;
    if cloud == Some(Cloud::Azure) {
        azure::prepare(root)?;
    }
    let mut sources = source::sources(cloud);
    let patience = match cloud {
        None => PATIENCE_FOR_DISKS,
        Some(cloud) if cloud.has_config_disks() => PATIENCE_IN_CLOUDS,
        Some(_) => Duration::ZERO,
    };
    let found = source::find(&mut sources, patience);
    tell_refused(&sources);
    let found = match (found, cloud) {
        // It may be readable by the time that the network is there.
        (Err(error @ SourceError::Read { .. }), Some(_)) => {
            report(&error);
            None
        }
        (found, _) => found?,
    };
    if let Some(found) = found {
        return apply_found(root, found);
    }
    let looked: Vec<_> = sources.iter().map(|source| source.name()).collect();
    let looked = looked.join(", ");
    match cloud {
        Some(cloud) => {
            // The network identifies the machine by it.
            find_machine_id(root);
            metadata::prepare(root, cloud)?;
            println!(
                "no NodeConfig (looked for: {looked}); the metadata service of {cloud} is asked when the network is there"
            );
        }
        // Not an error: an image can be looked at without a cluster.
        None => println!("no NodeConfig (looked for: {looked}); this machine joins no cluster"),
    }
    Ok(())
}

fn tell_refused(sources: &[Box<dyn Source>]) {
    for refused in sources.iter().flat_map(|source| source.refused()) {
        eprintln!("{refused}");
    }
}

/// Asks the metadata service of the cloud that the machine is in.
fn user_data() -> Result<(), Failure> {
    let root = Path::new("/");
    let Some(cloud) = Cloud::of_machine(root) else {
        println!("this machine is in no cloud that has a known metadata service");
        return Ok(());
    };
    let mut sources = source::sources(Some(cloud));
    let service = MetadataService::of(cloud);
    let mut asking = Asking {
        root,
        cloud,
        service: &service,
        sources: &mut sources,
    };
    let found = asking.run(&BootClock, |state| println!("{state}"));
    tell_refused(&sources);
    match found? {
        Some(found) => apply_found(root, found),
        None => Ok(()),
    }
}

/// Reports to Azure that the machine has come up, again and again until the report has arrived.
fn report_ready() -> Result<(), Failure> {
    let server = WireServer::of_azure();
    let mut failed = 0u32;
    let mut told = String::new();
    loop {
        if address::leads_to(server.address().ip()) {
            match server.report_ready() {
                Ok(()) => break,
                Err(error) if error.to_string() == told => {}
                Err(error) => {
                    told = error.to_string();
                    eprintln!("{told}: it is asked again");
                }
            }
            failed = failed.saturating_add(1);
        }
        std::thread::sleep(metadata::pause(failed));
    }
    println!("Azure knows that this machine has come up");
    Ok(())
}

/// Carries out what was found.
fn apply_found(root: &Path, found: Found) -> Result<(), Failure> {
    let Found { origin, text, metadata } = found;
    let id = find_machine_id(root);
    let facts = MachineFacts::read(root, id.map(|id| id.digits));
    // Another NodeConfig is a new try.
    apply::remove(apply::below(root, paths::JOIN_STATE))?;
    let name = bootstrap_data::machine_name(&metadata);
    let bootstrap = bootstrap(root, &origin, &text, &metadata, name.as_ref(), &facts)?;
    let mut config = checked_config(&origin, &text, bootstrap.as_ref())?;
    config.hostname = config.hostname.or(name);
    let plan = plan::plan(&config, &facts);
    apply::set_hostname(&plan)?;
    let mut not_done = apply::set_sysctls(root, &plan);
    not_done.extend_from_slice(&plan.warnings);
    for warning in &not_done {
        eprintln!("{warning}");
    }
    // These are on the console already, with the lines around each.
    not_done.extend(bootstrap.iter().flat_map(Bootstrap::warning_lines));
    let applied = Applied {
        origin,
        hostname: plan.hostname.clone(),
        endpoint: plan.endpoint.clone(),
        wanted: Wanted::of(&config),
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

/// Finds the id of the machine, and writes it down where it is not the firmware's.
fn find_machine_id(root: &Path) -> Option<MachineId> {
    let id = MachineId::find(root, PATIENCE_FOR_CARDS);
    if let Some(id) = &id {
        write_machine_id(root, id);
    }
    id
}

/// Checks the NodeConfig that was found, or that bootstrap data stands for; its findings are told where a person wrote the
/// settings.
fn checked_config(origin: &str, text: &str, bootstrap: Option<&Bootstrap>) -> Result<NodeConfig, Failure> {
    let text = bootstrap.map_or(text, |bootstrap| bootstrap.config.as_str());
    // At this point of a boot, no time server was asked yet.
    let checked = check_config(origin, text, Clock::Unsure(SystemTime::now()));
    let told = |problems: Problems| match bootstrap {
        Some(bootstrap) => bootstrap.told(&problems),
        None => vec![problems],
    };
    match checked {
        Ok((config, warnings)) => {
            for warnings in told(warnings).iter().filter(|warnings| !warnings.is_empty()) {
                report_problems(warnings);
            }
            Ok(config)
        }
        Err(problems) => {
            let mut told = told(problems.clone());
            let last = told.pop().unwrap_or(problems);
            told.iter().for_each(report_problems);
            Err(last.into())
        }
    }
}

/// Bootstrap data of Cluster API, if the text that was found is that. What later steps of this boot need of it is written.
fn bootstrap(
    root: &Path,
    origin: &str,
    text: &str,
    metadata: &str,
    name: Option<&HostName>,
    facts: &MachineFacts,
) -> Result<Option<Bootstrap>, Failure> {
    if !is_user_data(text) {
        return Ok(None);
    }
    let hostname = name.map_or_else(|| facts.default_hostname(), ToString::to_string);
    let instance = bootstrap_data::instance_data(metadata, &hostname);
    let bootstrap = bootstrap_data::read(origin, text, &instance, &hostname)?;
    if !bootstrap.warnings.is_empty() {
        report_problems(&bootstrap.warnings);
    }
    bootstrap_data::prepare(root, &bootstrap.files)?;
    Ok(Some(bootstrap))
}

/// Makes a machine id that is not the firmware's that of this boot, for whoever starts from now on; else says that it
/// will be another one at the next boot.
fn write_machine_id(root: &Path, id: &MachineId) {
    match id.origin {
        IdOrigin::Firmware => {}
        IdOrigin::ThisBoot => eprintln!(
            "neither the firmware nor a network card gives this machine an identity: without `hostname` in its \
             NodeConfig it is another node at each boot"
        ),
        IdOrigin::HardwareAddress => {
            let file = PlannedFile {
                path: paths::MACHINE_ID.to_owned(),
                mode: 0o444,
                content: format!("{}\n", id.digits),
            };
            if let Err(error) = apply::write(root, &file) {
                report(&error);
            }
        }
    }
}

fn check_state() -> Result<(), Failure> {
    if let Some(treatment) = state::prepare(Path::new("/"), paths::STATE_DEVICE)? {
        println!("{treatment}");
    }
    Ok(())
}

fn join_cluster() -> Result<(), Failure> {
    let root = Path::new("/");
    let mut applied = apply::read_applied(root).ok_or(Failure::NotApplied)?;
    let told = join::find_cluster(root, &mut applied)?;
    told.iter().for_each(|line| eprintln!("{line}"));
    match capacity::fit_configuration(root, &mut applied) {
        Ok(told) => told.iter().for_each(|line| eprintln!("{line}")),
        Err(error) => report(&error),
    }
    for line in bootstrap_files::settle(root)? {
        println!("{line}");
    }
    // What the kubelet cannot start with goes; what cannot be taken away does not keep it from being tried.
    match join::settle_identity(root, &applied) {
        Ok(told) => told.iter().for_each(|line| println!("{line}")),
        Err(error) => report(&error),
    }
    if let Err(error) = join::forget_allocations(root) {
        report(&error);
    }
    for warning in host_paths::provide(root) {
        eprintln!("{warning}");
    }
    let addresses = address::wait(&applied.wanted, join::PATIENCE_FOR_ADDRESS);
    follow::refresh(root)?;
    if addresses.is_empty() {
        eprintln!("the network has not given this machine an address: the kubelet starts without one");
    } else if addresses.len() < applied.wanted.choices.len() {
        eprintln!("this node registers with {addresses:?} only: the network has not given it the other address");
    }
    address::write(root, &addresses)?;
    serving::write(root, &applied.hostname, &addresses)?;
    match client_certificate::obtain(root, &applied.hostname, client_certificate::PATIENCE) {
        Ok(true) => println!("the cluster has signed the kubelet's first certificate"),
        Ok(false) => {}
        Err(error) => eprintln!("the kubelet requests its certificate itself: {error}"),
    }
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
    let health = Health::look_everywhere();
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

fn reset_runtime() -> Result<(), Failure> {
    boot::reset_runtime(Path::new("/"))?;
    println!("containerd did not start in two boots: it starts from nothing, and images are pulled again");
    Ok(())
}

fn show_panics() -> Result<(), Failure> {
    for path in panics::stored(Path::new("/")) {
        let name = path.display().to_string();
        let text = fs_err::read_to_string(&path).map_err(|source| Failure::Read {
            what: "the report of a panic",
            source,
        })?;
        println!("=== {name}\n{text}");
    }
    Ok(())
}

fn request_reset() -> Result<(), Failure> {
    reset::request(paths::STATE_DEVICE)?;
    println!("the next boot makes the state partition anew");
    Ok(())
}

fn wait_until_ready() -> Result<(), Failure> {
    let goodness = boot::wait_until_good(Path::new("/"), |line| println!("{line}"))?;
    println!("{goodness}");
    Ok(())
}

fn check_deadline() -> Result<(), Failure> {
    // Without a NodeConfig, containerd is not started.
    let runtime_answers = || {
        let health = Health::look();
        health.containerd || health.applied.is_none()
    };
    let Some(uptime) = boot::over(Path::new("/"), runtime_answers) else {
        return Ok(());
    };
    println!(
        "this machine is no ready node {} minutes after it was switched on, and starts again:\n{}",
        uptime.as_secs() / 60,
        Health::look_everywhere()
    );
    Err(Failure::NotReady)
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

/// Shows the problems of a file one by one, and their sum. As parts of one report, each would have a line with nothing but
/// `Error:` before it.
fn report_problems(problems: &Problems) {
    for problem in problems.shown() {
        let shown = miette::Report::new(problem.clone()).with_source_code(problems.source().clone());
        report(shown.as_ref());
        eprintln!();
    }
    if let Some(rest) = problems.rest() {
        eprintln!("{rest}");
    }
    eprintln!("{problems}");
}

/// Shows an error: with the lines of the file on a terminal, in a form for logs elsewhere.
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

//! `basalt config`: writes NodeConfigs.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use basalt_document::problem::Problems;
use basalt_join::access::{self, Credentials};
use basalt_join::administrator::{self, Administrator};
use basalt_join::client;
use basalt_join::cloud_config::{self, BootstrapData, InstanceData};
use basalt_join::cluster_info::TrustedCluster;
use basalt_join::command_line::{self, JoinSpecification};
use basalt_join::conversion::{self, ConversionSources, Converted};
use basalt_join::endpoint_origin::EndpointOrigin;
use basalt_join::origins::Origins;
use basalt_join::request::{Discovery, DiscoveryFile, JoinRequest, Registration};
use basalt_join::skew::KubernetesVersion;
use basalt_join::{configuration, pin, redaction};
use basalt_node_config::address::Endpoint;
use basalt_node_config::name::HostName;
use basalt_node_config::token::BootstrapToken;
use basalt_node_config::{Clock, KubeletMinor, check_for};
use camino::Utf8Path;
use clap::{Args as _, CommandFactory as _};
use miette::{Result, miette};

use super::{answer, answer_json};
use crate::arguments::Arguments;
use crate::arguments::config::{ConfigVerb, FromJoin};
use crate::checkout::read_text;
use crate::output;
use crate::text_file::read_text_or_input;

/// Time in which API servers know a token that was made.
const TOKEN_PATIENCE: Duration = Duration::from_secs(10);

/// Runs a verb of `basalt config`.
pub fn run(verb: &ConfigVerb, json: bool) -> Result<ExitCode> {
    match verb {
        ConfigVerb::FromJoin(options) => from_join(options, json),
    }
}

/// A join to be converted.
struct Wanted {
    request: JoinRequest,
    bootstrap: Option<BootstrapData>,
    /// Cluster and token, where no discovery is needed.
    known: Option<(TrustedCluster, BootstrapToken)>,
    /// Places that settings come from, of a file that was read.
    origins: Origins,
    /// Access by which the token has yet to be made.
    administrator: Option<Administrator>,
    /// Warnings of the file that was read, which were shown, without their sum.
    warnings: Option<Problems>,
}

impl Wanted {
    /// Join of which no more is known than the request.
    fn of(request: JoinRequest) -> Self {
        Self {
            request,
            bootstrap: None,
            known: None,
            origins: Origins::default(),
            administrator: None,
            warnings: None,
        }
    }
}

fn from_join(options: &FromJoin, json: bool) -> Result<ExitCode> {
    let kubelet: KubernetesVersion = parse(&options.kubelet)?;
    let minor = kubelet_minor(&options.kubelet)?;
    let hostname = options.hostname.as_deref().map(parse::<HostName>).transpose()?;
    let patience = Duration::from_secs(options.patience);
    let mut wanted = match (
        &options.command,
        &options.config,
        &options.kubeconfig,
        &options.bootstrap_data,
    ) {
        (Some(command), ..) => of_command(command, &options.words)?,
        (_, Some(path), ..) => {
            let (name, text) = read_text_or_input(path)?;
            of_configuration(&name, &text)?
        }
        (_, _, Some(path), _) => of_kubeconfig(path, options, patience)?,
        (.., Some(path)) => {
            let (name, text) = read_text_or_input(path)?;
            of_bootstrap_data(&name, &text, options)?
        }
        _ => return Err(miette!("no join is given")),
    };
    if let Some(hostname) = hostname {
        wanted.request.registration.kubelet.hostname = Some(hostname);
    }
    let files = wanted.bootstrap.as_ref().map_or(Ok(()), conversion::check_files);
    if !options.offline {
        // Before anything is asked: no answer makes a place for files.
        files.clone()?;
    }
    if let (Discovery::File(file), None) = (&wanted.request.discovery, &wanted.known) {
        let (cluster, token) = discovery_file(file, &wanted)?;
        EndpointOrigin::DiscoveryFile.check(&cluster.endpoint)?;
        wanted.known = Some((cluster, token));
    }
    let made = if options.offline {
        Made::of(offline(&wanted)?, minor)?
    } else {
        online(&wanted, kubelet, minor, patience)?
    };
    made.tell(&wanted);
    if !made.is_right {
        return Ok(ExitCode::FAILURE);
    }
    files?;
    let image = minor.image();
    output::print_error(format_args!(
        "note: it is for machines with the image `{image}` (kubelet {minor})"
    ));
    if json {
        answer_json(&made.converted.config);
    } else {
        answer(made.text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// NodeConfig that was made, with the findings of its check.
struct Made {
    converted: Converted,
    text: String,
    problems: Problems,
    is_right: bool,
}

impl Made {
    fn of(converted: Converted, minor: KubeletMinor) -> Result<Self> {
        let text = converted.to_yaml()?;
        let clock = Clock::Right(SystemTime::now());
        let checked = check_for("the NodeConfig that was made", &text, clock, minor);
        Ok(Self {
            converted,
            text,
            is_right: checked.is_ok(),
            problems: checked.map_or_else(|problems| problems, |(_, warnings)| warnings),
        })
    }

    fn tell(&self, wanted: &Wanted) {
        for note in &self.converted.notes {
            output::print_error(format_args!("note: {note}"));
        }
        let (told, rest) = wanted.origins.tell(&self.text, &self.problems);
        crate::show_each(&told);
        // One sum for what is in one file.
        match &wanted.warnings {
            Some(warnings) => crate::show_line(&warnings.sum_with(&told)),
            None if !told.is_empty() => crate::show_line(&told.to_string()),
            None => {}
        }
        if !rest.is_empty() {
            crate::show_problems(&rest);
        }
    }
}

/// Asks the cluster, and makes the NodeConfig and, by an administrator, its token.
fn online(wanted: &Wanted, kubelet: KubernetesVersion, minor: KubeletMinor, patience: Duration) -> Result<Made> {
    let (cluster, token) = match (&wanted.known, &wanted.request.discovery) {
        (Some(known), _) => known.clone(),
        (None, Discovery::Token(discovery)) => {
            let cluster = client::discover(discovery, patience)?;
            EndpointOrigin::ClusterInfo.check(&cluster.endpoint)?;
            let token = wanted.request.tls_bootstrap_token.as_ref();
            (cluster, token.unwrap_or(&discovery.token).clone())
        }
        (None, Discovery::File(file)) => discovery_file(file, wanted)?,
    };
    let of_token = Credentials::Token(token.reveal());
    let ask = |asked: &TrustedCluster, credentials: &Credentials| {
        let converted = convert(wanted, (&cluster, &token), (asked, credentials), kubelet, patience)?;
        Made::of(converted, minor)
    };
    let Some(administrator) = &wanted.administrator else {
        return ask(&cluster, &of_token);
    };
    let asked = administrator.asked();
    with_token(
        ask(asked, administrator.credentials())?,
        || Ok(administrator.create(&token, SystemTime::now(), TOKEN_PATIENCE)?),
        // Of what the token may not read, the node knows nothing.
        || ask(asked, &of_token),
        || {
            if let Err(error) = administrator.delete(&token) {
                let id = token.id();
                output::print_error(format_args!(
                    "note: the token {id} is left in the cluster for a day: {error}"
                ));
            }
        },
    )
}

/// Makes the token of a NodeConfig that is right, and the NodeConfig once more, by that token. A token that leads to none
/// is deleted again.
fn with_token(
    first: Made,
    create: impl FnOnce() -> Result<()>,
    again: impl FnOnce() -> Result<Made>,
    delete: impl FnOnce(),
) -> Result<Made> {
    if !first.is_right {
        return Ok(first);
    }
    create()?;
    let made = again();
    if !made.as_ref().is_ok_and(|made| made.is_right) {
        delete();
    }
    made
}

fn parse<T: std::str::FromStr<Err = basalt_document::Finding>>(text: &str) -> Result<T> {
    text.parse().map_err(|finding: basalt_document::Finding| {
        let help = finding.help.unwrap_or_default();
        miette!(help = help, "{}", finding.message)
    })
}

/// Minor of a version of the kubelet, of which there is one.
fn kubelet_minor(version: &str) -> Result<KubeletMinor> {
    KubeletMinor::of_version(version).ok_or_else(|| {
        let minors: Vec<_> = KubeletMinor::ALL.iter().map(ToString::to_string).collect();
        miette!(
            help = format!("there are kubelets of Kubernetes {}", minors.join(", ")),
            "there is no kubelet of `{version}`"
        )
    })
}

/// The NodeConfig by which the node asks the cluster itself.
fn offline(wanted: &Wanted) -> Result<Converted> {
    // An address in a file has a place, which the check tells.
    if let (Discovery::Token(discovery), true) = (&wanted.request.discovery, wanted.origins == Origins::default()) {
        EndpointOrigin::Command.check(&discovery.endpoint)?;
    }
    let config = match &wanted.known {
        Some((cluster, token)) => conversion::unasked(cluster, token, &wanted.request, wanted.bootstrap.as_ref()),
        None => conversion::undiscovered(&wanted.request, wanted.bootstrap.as_ref())?,
    };
    Ok(Converted {
        config,
        notes: Vec::new(),
    })
}

/// The value that was read, and its warnings, which are shown here without their sum; or the problems as an error.
fn usable<T>(read: Result<(T, Problems), Problems>) -> Result<(T, Option<Problems>)> {
    let (value, warnings) = read?;
    crate::show_each(&warnings);
    Ok((value, Some(warnings).filter(|warnings| !warnings.is_empty())))
}

/// The value of a file of which nothing is shown later, after its warnings and their sum.
fn usable_alone<T>(read: Result<(T, Problems), Problems>) -> Result<T> {
    let (value, warnings) = usable(read)?;
    if let Some(warnings) = warnings {
        crate::show_line(&warnings.to_string());
    }
    Ok(value)
}

/// Options of `config from-join` that `kubeadm join` does not have: all but `--config`, which is the same.
fn own_options() -> Vec<String> {
    let command = FromJoin::augment_args(Arguments::command());
    let options = command.get_arguments().filter_map(clap::Arg::get_long);
    let own = options.filter(|option| *option != "config");
    own.map(|option| format!("--{option}")).collect()
}

fn of_command(command: &str, words: &[String]) -> Result<Wanted> {
    let text = match words.first() {
        None if command == "-" => read_text_or_input(Utf8Path::new(command))?.1,
        None if is_file(command) => {
            return Err(miette!(
                help = format!(
                    "`- < {command}` reads a command in it; `--config`, `--kubeconfig` and `--bootstrap-data` read other files: \
                     `--help` says which"
                ),
                "`{command}` is a file, and no join command"
            ));
        }
        None => command.to_owned(),
        Some(_) => {
            // After a command without quotes, all is taken for a part of it.
            let own = own_options();
            let named = |word: &String| {
                own.iter()
                    .find(|option| word.split('=').next() == Some(option.as_str()))
            };
            let found = words.iter().find_map(named);
            let is_whole = command == "-" || command.contains(char::is_whitespace);
            if found.is_some() || is_whole {
                // Another word may be a secret in any form.
                let what = found.map_or_else(String::new, |option| format!(" `{option}`"));
                return Err(miette!(
                    help =
                        "options of `config from-join` stand before a command without quotes; `--help` has all of them",
                    "unexpected argument{what} after the join command"
                ));
            }
            command_line::of_words(std::iter::once(command).chain(words.iter().map(String::as_str)))
        }
    };
    let (_, specification, warnings) = command_line::read(&text)?;
    for warning in warnings {
        output::print_error(format_args!("note: {warning}"));
    }
    match specification {
        JoinSpecification::Flags(request) => Ok(Wanted::of(*request)),
        JoinSpecification::File { path, node_name } => {
            let mut wanted = of_configuration(&path, &read_text(path.as_str().into())?)?;
            let registration = &mut wanted.request.registration;
            registration.name = node_name.or(registration.name.take());
            Ok(wanted)
        }
    }
}

/// Returns `true` for one word that names a file here.
fn is_file(command: &str) -> bool {
    !command.contains(char::is_whitespace) && Utf8Path::new(command).is_file()
}

fn of_configuration(name: &str, text: &str) -> Result<Wanted> {
    let read = configuration::read_placed(name, text);
    let ((request, origins), warnings) =
        usable(read.map(|(request, origins, warnings)| ((request, origins), warnings)))?;
    Ok(Wanted {
        origins,
        warnings,
        ..Wanted::of(request)
    })
}

fn of_bootstrap_data(name: &str, text: &str, options: &FromJoin) -> Result<Wanted> {
    let mut instance = options
        .hostname
        .as_deref()
        .map(InstanceData::of_hostname)
        .unwrap_or_default();
    for pair in &options.instance_data {
        let pair = pair.split_once('=');
        let (name, value) = pair.ok_or_else(|| miette!("`--instance-data` takes NAME=VALUE"))?;
        instance = instance.with_given(name, value);
    }
    let (data, warnings) = usable(cloud_config::read(name, text, &instance))?;
    let (request, origins) = (data.request.clone(), data.origins.clone());
    Ok(Wanted {
        bootstrap: Some(data),
        origins,
        warnings,
        ..Wanted::of(request)
    })
}

/// The cluster for its nodes, and a token that is yet to be made. The kubeconfig vouches for the authority, whose pins are
/// shown, for comparison.
fn of_kubeconfig(path: &Utf8Path, options: &FromJoin, patience: Duration) -> Result<Wanted> {
    let given = options.endpoint.as_deref().map(parse::<Endpoint>).transpose()?;
    let read = access::read_context(path.as_str(), &read_text(path)?, options.context.as_deref());
    let administrator = Administrator::new(usable_alone(read)?)?;
    let asked = administrator.asked();
    let (mut cluster, mut origin) = match administrator.cluster_info(patience)? {
        Some(cluster) => (cluster, EndpointOrigin::ClusterInfo),
        None => (asked.clone(), EndpointOrigin::Kubeconfig),
    };
    if let Some(endpoint) = given {
        (cluster.endpoint, origin) = (endpoint, EndpointOrigin::Option);
    }
    origin.check(&cluster.endpoint)?;
    let pins: Vec<pin::CaPin> = cluster.authorities.iter().map(|authority| authority.pin).collect();
    for pin in &pins {
        output::print_error(format_args!("note: the cluster's authority has the public key {pin}"));
    }
    let token = administrator::new_token()?;
    let discovery = basalt_join::request::TokenDiscovery {
        // The address that was asked: a note tells of another one, unless the user gave it.
        endpoint: match origin {
            EndpointOrigin::Option => cluster.endpoint.clone(),
            _ => asked.endpoint.clone(),
        },
        token: token.clone(),
        pins: pin::PinSet::new(pins),
    };
    let request = JoinRequest {
        discovery: Discovery::Token(discovery),
        tls_bootstrap_token: Some(token.clone()),
        registration: Registration::default(),
    };
    Ok(Wanted {
        known: Some((cluster, token)),
        administrator: Some(administrator),
        ..Wanted::of(request)
    })
}

/// Asks the cluster for what is not known, at an address and with credentials, and makes the NodeConfig.
fn convert(
    wanted: &Wanted,
    (cluster, token): (&TrustedCluster, &BootstrapToken),
    (asked, credentials): (&TrustedCluster, &Credentials),
    kubelet: KubernetesVersion,
    patience: Duration,
) -> Result<Converted> {
    // What the cluster does not show to its new nodes can be done without; a refused token, or an answer that nothing can be
    // made of, cannot.
    let uncompared = match client::check_skew(asked, credentials, kubelet, patience) {
        Ok(Some(_)) => None,
        Ok(None) => Some("the API server gives no version of Kubernetes".to_owned()),
        Err(error) if error.is_missing() => Some(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    let settings = match client::settings(asked, credentials, kubelet, patience) {
        Ok(settings) => Ok(settings),
        Err(error) if error.is_missing() => Err(error.to_string()),
        Err(error) => return Err(error.into()),
    };
    Ok(conversion::node_config(&ConversionSources {
        request: &wanted.request,
        cluster,
        token,
        uncompared,
        settings: settings.as_ref().map_err(Clone::clone),
        bootstrap: wanted.bootstrap.as_ref(),
    })?)
}

/// Cluster and token of a discovery file. A path in bootstrap data is one of the machine that joins, never of this one.
fn discovery_file(file: &DiscoveryFile, wanted: &Wanted) -> Result<(TrustedCluster, BootstrapToken)> {
    let token = wanted.request.tls_bootstrap_token.as_ref();
    match (file, &wanted.bootstrap) {
        (_, Some(data)) => Ok(conversion::of_bootstrap_file(file, Some(data), token)?),
        (DiscoveryFile::Path(path), None) => {
            let access = usable_alone(access::read(path, &read_text(path.as_str().into())?))?;
            Ok(conversion::of_file(access, token)?)
        }
        (DiscoveryFile::Url(url), None) => Err(miette!(
            help = format!(
                "curl -o discovery.conf {}, then `--discovery-file discovery.conf`",
                redaction::redact(url)
            ),
            "a discovery file is not fetched from a URL"
        )),
    }
}

#[cfg(test)]
mod tests;

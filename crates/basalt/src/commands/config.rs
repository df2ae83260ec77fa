//! `basalt config`: writes NodeConfigs.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use basalt_document::problem::Problems;
use basalt_join::access::{self, ClusterAccess};
use basalt_join::client::{self, ClientError};
use basalt_join::cloud_config::{self, BootstrapData, InstanceData};
use basalt_join::cluster_info::TrustedCluster;
use basalt_join::command_line::{self, JoinSpecification};
use basalt_join::conversion::{self, ConversionSources, Converted};
use basalt_join::request::{Discovery, DiscoveryFile, JoinRequest, Registration};
use basalt_join::skew::KubernetesVersion;
use basalt_join::{configuration, pin};
use basalt_node_config::name::HostName;
use basalt_node_config::token::BootstrapToken;
use basalt_node_config::{Clock, check};
use miette::{IntoDiagnostic as _, Result, miette};

use super::{answer, answer_json};
use crate::arguments::config::{ConfigVerb, FromJoin};
use crate::checkout::read_text;
use crate::output;

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
}

fn from_join(options: &FromJoin, json: bool) -> Result<ExitCode> {
    let kubelet: KubernetesVersion = parse(&options.kubelet)?;
    let hostname = options.hostname.as_deref().map(parse::<HostName>).transpose()?;
    let mut wanted = match (&options.command, &options.kubeconfig, &options.bootstrap_data) {
        (Some(command), ..) => of_command(command)?,
        (_, Some(path), _) => of_kubeconfig(&usable(access::read(path.as_str(), &read_text(path)?))?)?,
        (_, _, Some(path)) => of_bootstrap_data(path.as_str(), &read_text(path)?, options)?,
        _ => return Err(miette!("no join is given")),
    };
    if let Some(hostname) = hostname {
        wanted.request.registration.kubelet.hostname = Some(hostname);
    }
    let converted = if options.offline {
        Converted {
            config: conversion::undiscovered(&wanted.request, wanted.bootstrap.as_ref())?,
            notes: Vec::new(),
        }
    } else {
        convert(&wanted, kubelet, Duration::from_secs(options.patience))?
    };
    let text = converted.to_yaml()?;
    for note in &converted.notes {
        output::print_error(format_args!("note: {note}"));
    }
    let (_, warnings) = match check("the NodeConfig that was made", &text, Clock::Right(SystemTime::now())) {
        Ok(checked) => checked,
        Err(problems) => {
            crate::show_problems(&problems);
            return Ok(ExitCode::FAILURE);
        }
    };
    if !warnings.is_empty() {
        crate::show_problems(&warnings);
    }
    if json {
        answer_json(&converted.config);
    } else {
        answer(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

fn parse<T: std::str::FromStr<Err = basalt_document::Finding>>(text: &str) -> Result<T> {
    text.parse().map_err(|finding: basalt_document::Finding| {
        let help = finding.help.unwrap_or_default();
        miette!(help = help, "{}", finding.message)
    })
}

/// The value that was read, after its warnings are shown; or the problems as an error.
fn usable<T>(read: Result<(T, Problems), Problems>) -> Result<T> {
    let (value, warnings) = read?;
    if !warnings.is_empty() {
        crate::show_problems(&warnings);
    }
    Ok(value)
}

fn of_command(command: &str) -> Result<Wanted> {
    let text = match command {
        "-" => std::io::read_to_string(std::io::stdin()).into_diagnostic()?,
        _ => command.to_owned(),
    };
    let (_, specification, warnings) = command_line::read(&text)?;
    for warning in warnings {
        output::print_error(format_args!("note: {warning}"));
    }
    let request = match specification {
        JoinSpecification::Flags(request) => *request,
        JoinSpecification::File { path, node_name } => {
            let text = read_text(path.as_str().into())?;
            let mut request = usable(configuration::read(&path, &text))?;
            request.registration.name = node_name.or(request.registration.name);
            request
        }
    };
    Ok(Wanted {
        request,
        bootstrap: None,
        known: None,
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
        instance = instance.with(name, value);
    }
    let data = usable(cloud_config::read(name, text, &instance))?;
    Ok(Wanted {
        request: data.request.clone(),
        bootstrap: Some(data),
        known: None,
    })
}

/// Makes a token. The kubeconfig vouches for the authority, whose pins are shown, for comparison.
fn of_kubeconfig(access: &ClusterAccess) -> Result<Wanted> {
    let token = client::create_token(access, SystemTime::now())?;
    let authorities = access
        .authorities
        .clone()
        .ok_or(conversion::ConversionError::NoAuthorities)?;
    let pins: Vec<pin::CaPin> = authorities.iter().map(|authority| authority.pin).collect();
    for pin in &pins {
        output::print_error(format_args!("note: the cluster's authority has the public key {pin}"));
    }
    let discovery = basalt_join::request::TokenDiscovery {
        endpoint: access.endpoint.clone(),
        token: token.clone(),
        pins: pin::PinSet::new(pins),
    };
    let cluster = TrustedCluster {
        endpoint: access.endpoint.clone(),
        authorities,
        unpinned: Vec::new(),
    };
    Ok(Wanted {
        request: JoinRequest {
            discovery: Discovery::Token(discovery),
            tls_bootstrap_token: Some(token.clone()),
            registration: Registration::default(),
        },
        bootstrap: None,
        known: Some((cluster, token)),
    })
}

/// Asks the cluster for what is not known, and makes the NodeConfig.
fn convert(wanted: &Wanted, kubelet: KubernetesVersion, patience: Duration) -> Result<Converted> {
    let (cluster, token) = match &wanted.known {
        Some(known) => known.clone(),
        None => discover(&wanted.request, patience)?,
    };
    let settings = match client::settings(&cluster, &token, kubelet) {
        Ok(settings) => Ok(settings),
        Err(skew @ ClientError::Skew(_)) => return Err(skew.into()),
        Err(error) => Err(error.to_string()),
    };
    Ok(conversion::node_config(&ConversionSources {
        request: &wanted.request,
        cluster: &cluster,
        token: &token,
        settings: settings.as_ref().map_err(Clone::clone),
        bootstrap: wanted.bootstrap.as_ref(),
    })?)
}

fn discover(request: &JoinRequest, patience: Duration) -> Result<(TrustedCluster, BootstrapToken)> {
    let token = request.tls_bootstrap_token.as_ref();
    match &request.discovery {
        Discovery::Token(discovery) => {
            let cluster = client::discover(discovery, patience)?;
            Ok((cluster, token.unwrap_or(&discovery.token).clone()))
        }
        Discovery::File(DiscoveryFile::Path(path)) => {
            let access = usable(access::read(path, &read_text(path.as_str().into())?))?;
            Ok(conversion::of_file(access, token)?)
        }
        Discovery::File(DiscoveryFile::Url(url)) => Err(miette!(
            help = format!("curl -o discovery.conf {url}, then `--discovery-file discovery.conf`"),
            "a discovery file is not fetched from a URL"
        )),
    }
}

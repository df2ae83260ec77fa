//! Manifests of the initial objects: files of the distribution in which `${name}` stands for a variable of the cluster
//! at hand. `$${` stands for `${` itself.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use time::OffsetDateTime;

use crate::plan::ClusterPlan;
use crate::secret::{make_private_folder, write_private};
use crate::{ClusterError, topology};

/// Validity of the bootstrap token.
const TOKEN_LIFE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Values of the variables of manifests, by name.
pub type Variables = BTreeMap<String, String>;

/// Computes the variables of a cluster. `authority` is the PEM text of its CA certificate.
pub fn variables(plan: &ClusterPlan, authority: &str, now: SystemTime) -> Variables {
    let expiration = OffsetDateTime::from(now + TOKEN_LIFE);
    let (date, time) = (expiration.date(), expiration.time());
    let expiration = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    let facts = [
        ("api_host", topology::CONTROL_PLANE.to_string()),
        ("api_port", topology::API_PORT.to_string()),
        ("ca", STANDARD.encode(authority)),
        ("dns_service", topology::DNS_SERVICE.to_string()),
        ("domain", topology::DOMAIN.to_owned()),
        ("endpoint", topology::endpoint()),
        ("node_network", topology::NODE_NETWORK.to_owned()),
        // What is to run on each of them waits for the first where there is none yet.
        ("nodes", plan.size.nodes.max(1).to_string()),
        ("pod_network", topology::POD_NETWORK.to_owned()),
        ("service_network", topology::SERVICE_NETWORK.to_owned()),
        ("token_expiration", expiration),
        ("token_id", plan.token_id.clone()),
        ("token_secret", plan.token_secret.clone()),
    ];
    let images = plan.inputs.images.iter().map(|(name, reference)| {
        let variable = format!("image_{}", name.replace('-', "_"));
        (variable, format!("{}/{reference}", topology::REGISTRY))
    });
    facts
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .chain(images)
        .collect()
}

/// Replaces the variables in the text of a manifest by their values.
///
/// # Errors
/// [`ClusterError::Variable`] for an unknown variable.
pub fn render(file: &Utf8Path, text: &str, variables: &Variables) -> Result<String, ClusterError> {
    let mut rendered = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("${") {
        if let Some(before) = before.strip_suffix('$') {
            rendered += before;
            rendered += "${";
            rest = inside;
            continue;
        }
        rendered += before;
        let (name, remainder) = inside.split_once('}').unwrap_or((inside, ""));
        let known = variables.get(name).filter(|_| name.len() < inside.len());
        let Some(value) = known else {
            return Err(ClusterError::Variable {
                file: file.to_owned(),
                line: 1 + text.matches('\n').count() - inside.matches('\n').count(),
                name: name.lines().next().unwrap_or_default().to_owned(),
                known: variables.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
            });
        };
        rendered += value;
        rest = remainder;
    }
    Ok(rendered + rest)
}

/// Renders all manifests (`*.yaml`) of a folder into another folder.
///
/// # Errors
/// When a file cannot be read or written, or names an unknown variable.
pub fn render_folder(from: &Utf8Path, to: &Utf8Path, variables: &Variables) -> Result<(), ClusterError> {
    make_private_folder(to)?;
    for file in files(from)? {
        let text = fs_err::read_to_string(&file).map_err(ClusterError::file("read a manifest"))?;
        let name = file.file_name().unwrap_or_default();
        write_private(&to.join(name), render(&file, &text, variables)?)?;
    }
    Ok(())
}

fn files(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, ClusterError> {
    let read = || -> std::io::Result<Vec<Utf8PathBuf>> {
        let mut files = Vec::new();
        for entry in folder.read_dir_utf8()? {
            let entry = entry?;
            // Editors keep locks and copies under names with a dot at the front.
            if entry.file_name().ends_with(".yaml") && !entry.file_name().starts_with('.') {
                files.push(entry.into_path());
            }
        }
        files.sort();
        Ok(files)
    };
    read().map_err(ClusterError::file(format!("read the folder {folder}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(text: &str) -> Result<String, ClusterError> {
        let variables = variables(&crate::plan::example(), "PEM", SystemTime::UNIX_EPOCH);
        render(Utf8Path::new("a.yaml"), text, &variables)
    }

    #[test]
    fn variables_are_replaced_and_nothing_else() {
        for (text, expected) in [
            ("replicas: ${nodes}\n", "replicas: 2\n"),
            ("${token_id}.${token_secret}", "abcdef.0123456789abcdef"),
            ("until: ${token_expiration}", "until: 1970-01-08T00:00:00Z"),
            ("a $${nodes} b $nodes $(nodes)", "a ${nodes} b $nodes $(nodes)"),
            ("${ca}", "UEVN"),
            ("", ""),
        ] {
            assert_eq!(rendered(text).expect("known"), expected);
        }
    }

    #[test]
    fn files_of_editors_are_no_manifests() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8");
        for name in ["b.yaml", "a.yaml", ".a.yaml.swp", "a.yaml~", "#a.yaml#", ".yaml"] {
            fs_err::write(path.join(name), "x: 1\n").expect("written");
        }
        fs_err::os::unix::fs::symlink("user@host.1:2", path.join(".#a.yaml")).expect("linked");
        assert_eq!(files(path).expect("listed"), [path.join("a.yaml"), path.join("b.yaml")]);
    }

    #[test]
    fn an_unknown_variable_is_named_with_its_place() {
        for text in ["a: 1\nb: ${nodez}\n", "\n${nodes", "a\n${}"] {
            let error = rendered(text).expect_err("unknown");
            assert!(
                error.to_string().starts_with("a.yaml:2: there is no variable `"),
                "{error}"
            );
        }
    }
}

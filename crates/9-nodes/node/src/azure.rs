//! Azure's provisioning: the file on the DVD that a machine is given, and the report that it has come up.
//!
//! Without that report Azure takes the creation of a machine for failed after some time, whatever the machine does. Both requests are
//! those that Microsoft documents for images without an agent of its own ("Creating generalized images without a provisioning
//! agent"): the goal state of the wire server names the machine, and a health report says that it is ready.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::apply::{self, ApplyError};
use crate::http::{self, HttpAnswer, HttpError, HttpLimits, HttpRequest};
use crate::paths;
use crate::plan::PlannedFile;
use crate::source::{Found, SourceError, encoding, text_of};

/// Address of the wire server, the same in every network of Azure.
const WIRE_SERVER: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)), 80);

/// Version of the protocol.
const VERSION: (&str, &str) = ("x-ms-version", "2012-11-30");

const LIMITS: HttpLimits = HttpLimits {
    connect: Duration::from_secs(5),
    answer: Duration::from_secs(20),
    largest: 1 << 20,
};

/// Leaves the mark that this machine has to report.
///
/// # Errors
/// When it cannot be written.
pub fn prepare(root: &Path) -> Result<(), ApplyError> {
    apply::write(root, &PlannedFile::public(paths::AZURE, ""))
}

/// The parts of `ovf-env.xml` that a node needs. Names of elements are without their prefixes.
#[derive(Deserialize)]
struct OvfEnvironment {
    #[serde(rename = "ProvisioningSection")]
    provisioning: ProvisioningSection,
}

#[derive(Deserialize)]
struct ProvisioningSection {
    #[serde(rename = "LinuxProvisioningConfigurationSet")]
    linux: LinuxProvisioning,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LinuxProvisioning {
    #[serde(default)]
    host_name: String,
    #[serde(default)]
    custom_data: String,
}

/// Custom data of a machine, from the text of its `ovf-env.xml`; none where it has none. The rest of the file, which has a password
/// perhaps, is passed over.
pub(crate) fn custom_data(file: &Found) -> Result<Option<Found>, SourceError> {
    let place = format!("custom data in {}", file.origin);
    let read = quick_xml::de::from_str::<OvfEnvironment>(file.text.trim_start_matches('\u{feff}'));
    // Errors of the reader may show what it read.
    let linux = read.map_err(|_| SourceError::Damaged {
        place: place.clone(),
        encoding: "XML",
    })?;
    let LinuxProvisioning { host_name, custom_data } = linux.provisioning.linux;
    if custom_data.trim().is_empty() {
        return Ok(None);
    }
    let found = text_of(encoding::base64(custom_data.as_bytes(), &place)?, place)?;
    let metadata =
        serde_json::json!({ "local-hostname": host_name.trim(), "cloud-name": "azure", "platform": "azure" });
    Ok(Some(Found {
        metadata: metadata.to_string(),
        ..found
    }))
}

/// Goal state of a machine, as far as its health report needs it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoalState {
    incarnation: String,
    container: GoalContainer,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoalContainer {
    container_id: String,
    role_instance_list: GoalInstances,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoalInstances {
    role_instance: Vec<GoalInstance>,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GoalInstance {
    instance_id: String,
}

/// Health report of a machine that is ready.
#[derive(Serialize)]
#[serde(rename = "Health", rename_all = "PascalCase")]
struct HealthReport {
    goal_state_incarnation: String,
    container: HealthContainer,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthContainer {
    container_id: String,
    role_instance_list: HealthRoles,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthRoles {
    role: HealthRole,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthRole {
    instance_id: String,
    health: RoleHealth,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RoleHealth {
    state: &'static str,
}

/// A report that did not arrive.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// No answer.
    #[error("the wire server does not answer: {0}")]
    NoAnswer(#[from] HttpError),
    /// An answer that is no success.
    #[error("the wire server answers the {question} with HTTP status {status}")]
    Status {
        /// Question.
        question: &'static str,
        /// Status.
        status: u16,
    },
    /// A goal state that names no machine.
    #[error("the goal state of the wire server cannot be read")]
    GoalState,
}

/// The wire server, by which Azure and a machine speak.
#[derive(Debug, Clone, Copy)]
pub struct WireServer {
    address: SocketAddr,
    limits: HttpLimits,
}

impl WireServer {
    /// The one of Azure.
    pub fn of_azure() -> Self {
        Self::at(WIRE_SERVER)
    }

    /// One at another address.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            address,
            limits: LIMITS,
        }
    }

    /// Address of the server.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reports that this machine has come up.
    ///
    /// # Errors
    /// When the report did not arrive.
    pub fn report_ready(&self) -> Result<(), ReportError> {
        let answer = self.ask("GET", "/machine?comp=goalstate", &[VERSION], "")?;
        let goal = succeeded("question for the goal state", answer)?;
        let report = report(&goal).ok_or(ReportError::GoalState)?;
        let headers = [
            VERSION,
            ("x-ms-agent-name", "basalt-node"),
            ("Content-Type", "text/xml;charset=utf-8"),
        ];
        let answer = self.ask("POST", "/machine?comp=health", &headers, &report)?;
        succeeded("health report", answer).map(|_| ())
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Result<HttpAnswer, HttpError> {
        let host = self.address.ip().to_string();
        let request = HttpRequest {
            method,
            host: &host,
            path,
            headers,
            body,
        };
        http::exchange(&[self.address], &request, &self.limits)
    }
}

fn succeeded(question: &'static str, answer: HttpAnswer) -> Result<Vec<u8>, ReportError> {
    match answer.status {
        200..=299 => Ok(answer.body),
        status => Err(ReportError::Status { question, status }),
    }
}

/// Text of the health report that goes with a goal state.
fn report(goal: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(goal).ok()?.trim_start_matches('\u{feff}');
    let GoalState { incarnation, container } = quick_xml::de::from_str(text).ok()?;
    let instance = container.role_instance_list.role_instance.into_iter().next()?;
    let report = HealthReport {
        goal_state_incarnation: incarnation,
        container: HealthContainer {
            container_id: container.container_id,
            role_instance_list: HealthRoles {
                role: HealthRole {
                    instance_id: instance.instance_id,
                    health: RoleHealth { state: "Ready" },
                },
            },
        },
    };
    quick_xml::se::to_string(&report).ok()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    /// An `ovf-env.xml` in the form of Azure, with this custom data.
    fn environment(custom_data: &str) -> Found {
        let text = format!(
            r#"<?xml version="1.0" encoding="utf-8"?>
<ns0:Environment xmlns="http://schemas.dmtf.org/ovf/environment/1" xmlns:ns0="http://schemas.dmtf.org/ovf/environment/1" xmlns:ns1="http://schemas.microsoft.com/windowsazure" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <ns1:ProvisioningSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:LinuxProvisioningConfigurationSet>
      <ns1:ConfigurationSetType>LinuxProvisioningConfiguration</ns1:ConfigurationSetType>
      <ns1:HostName>pool-md-0-7xk2p</ns1:HostName>
      <ns1:UserName>capi</ns1:UserName>
      <ns1:UserPassword>very-secret</ns1:UserPassword>
      <ns1:DisableSshPasswordAuthentication>true</ns1:DisableSshPasswordAuthentication>
      <ns1:SSH><ns1:PublicKeys><ns1:PublicKey><ns1:Path>/home/capi/.ssh/authorized_keys</ns1:Path></ns1:PublicKey></ns1:PublicKeys></ns1:SSH>
      {custom_data}
    </ns1:LinuxProvisioningConfigurationSet>
  </ns1:ProvisioningSection>
  <ns1:PlatformSettingsSection>
    <ns1:Version>1.0</ns1:Version>
    <ns1:PlatformSettings><ns1:KmsServerHostname>kms.core.windows.net</ns1:KmsServerHostname></ns1:PlatformSettings>
  </ns1:PlatformSettingsSection>
</ns0:Environment>"#
        );
        Found {
            origin: "ovf-env.xml on /dev/sr0".to_owned(),
            text,
            metadata: String::new(),
        }
    }

    #[test]
    fn custom_data_is_taken_out() {
        let encoded = STANDARD.encode("## template: jinja\n#cloud-config\n");
        let found = custom_data(&environment(&format!("<ns1:CustomData>{encoded}</ns1:CustomData>")));
        let found = found.unwrap().unwrap();
        assert_eq!(found.text, "## template: jinja\n#cloud-config\n");
        assert_eq!(found.origin, "custom data in ovf-env.xml on /dev/sr0");
        assert!(
            found.metadata.contains("\"local-hostname\":\"pool-md-0-7xk2p\""),
            "{}",
            found.metadata
        );
        assert!(!found.metadata.contains("very-secret"));
        for none in ["", "<ns1:CustomData/>", "<ns1:CustomData>\n</ns1:CustomData>"] {
            assert_eq!(custom_data(&environment(none)).unwrap(), None, "{none}");
        }
    }

    #[test]
    fn damage_is_told_without_the_content() {
        for wrong in [
            "<ns1:CustomData>!very-secret!</ns1:CustomData>",
            "<ns1:CustomData>very-secret",
        ] {
            let error = custom_data(&environment(wrong)).unwrap_err();
            assert!(matches!(error, SourceError::Damaged { .. }), "{error}");
            assert!(!format!("{error:?}").contains("very-secret"), "{error:?}");
        }
    }

    /// A goal state as Microsoft's pages and cloud-init's tests have it.
    const GOAL_STATE: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<GoalState xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:noNamespaceSchemaLocation="goalstate10.xsd">
  <Version>2012-11-30</Version>
  <Incarnation>3</Incarnation>
  <Machine>
    <ExpectedState>Started</ExpectedState>
    <StopRolesDeadlineHint>300000</StopRolesDeadlineHint>
  </Machine>
  <Container>
    <ContainerId>7bd5a2a4-0fd2-4c9a-9d0b-2d5c2f6b1a11</ContainerId>
    <RoleInstanceList>
      <RoleInstance>
        <InstanceId>29f2.pool&amp;1._pool-md-0-7xk2p</InstanceId>
        <State>Started</State>
        <Configuration><HostingEnvironmentConfig>http://168.63.129.16:80/machine/x?comp=config</HostingEnvironmentConfig></Configuration>
      </RoleInstance>
    </RoleInstanceList>
  </Container>
</GoalState>"#;

    #[test]
    fn a_report_names_the_machine() {
        insta::assert_snapshot!(report(GOAL_STATE.as_bytes()).unwrap(), @"<Health><GoalStateIncarnation>3</GoalStateIncarnation><Container><ContainerId>7bd5a2a4-0fd2-4c9a-9d0b-2d5c2f6b1a11</ContainerId><RoleInstanceList><Role><InstanceId>29f2.pool&amp;1._pool-md-0-7xk2p</InstanceId><Health><State>Ready</State></Health></Role></RoleInstanceList></Container></Health>");
        assert_eq!(report(b"<GoalState/>"), None);
        assert_eq!(report(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn nothing_panics(text in any::<String>(), bytes: Vec<u8>) {
            let found = Found { text: text.clone(), ..Found::default() };
            let _ = custom_data(&found);
            let _ = custom_data(&environment(&text));
            let _ = report(&bytes);
            let _ = report(text.as_bytes());
        }
    }
}

//! Questions to the metadata services of clouds, and what their answers mean.
//!
//! Each cloud has an address that leads no further than the machine's host, and paths and headers of its own. Facts about them:
//! AWS, "Use the Instance Metadata Service" (version 2, with a token of a session; version 1 is not spoken); Google, "About VM
//! metadata"; Microsoft, "Azure Instance Metadata Service"; OpenStack's user guide, "Metadata"; the API references of Hetzner and
//! DigitalOcean. The names of instance data are cloud-init's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::address;
use crate::cloud::Cloud;
use crate::http::{self, HttpAnswer, HttpError, HttpLimits, HttpRequest};
use crate::source::{Found, LARGEST, SourceError, encoding, text_of};

/// Address of all of them; it is of the link that the machine is on (RFC 3927).
const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254));

/// Addresses for machines without IPv4.
const EC2_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254));
const GCE_ADDRESS: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254));

/// Lifetime of EC2's session token, in seconds: longer than all questions of one try.
const SESSION: &str = "300";

const LIMITS: HttpLimits = HttpLimits {
    connect: Duration::from_secs(3),
    answer: Duration::from_secs(15),
    // Of what is in base64 besides, the bound of the text counts.
    largest: LARGEST * 2,
};

/// A question without user data for an answer.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No answer now; in words.
    #[error("{0}")]
    NoAnswer(String),
    /// User data that a node cannot read.
    #[error(transparent)]
    Unusable(#[from] SourceError),
}

/// Something that gives user data.
pub trait UserDataService {
    /// Returns `true` if there is a way to it.
    fn has_way(&self) -> bool;

    /// The user data of this machine, and its instance data.
    ///
    /// # Errors
    /// When there is no answer, or none that a node can read.
    fn ask(&self) -> Result<Option<Found>, ServiceError>;
}

/// Metadata service of a cloud.
#[derive(Debug, Clone)]
pub struct MetadataService {
    cloud: Cloud,
    addresses: Vec<SocketAddr>,
    limits: HttpLimits,
}

impl MetadataService {
    /// Service of a cloud.
    pub fn of(cloud: Cloud) -> Self {
        let addresses: &[IpAddr] = match cloud {
            Cloud::Ec2 => &[ADDRESS, EC2_ADDRESS],
            Cloud::Gce => &[ADDRESS, GCE_ADDRESS],
            _ => &[ADDRESS],
        };
        let addresses = addresses.iter().map(|address| SocketAddr::new(*address, 80)).collect();
        Self::at(cloud, addresses, LIMITS)
    }

    /// Service of a cloud at other addresses.
    pub fn at(cloud: Cloud, addresses: Vec<SocketAddr>, limits: HttpLimits) -> Self {
        Self {
            cloud,
            addresses,
            limits,
        }
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer, ServiceError> {
        let request = HttpRequest {
            method,
            host: match self.cloud {
                Cloud::Gce => "metadata.google.internal",
                _ => "169.254.169.254",
            },
            path,
            headers,
            body: "",
        };
        http::exchange(&self.addresses, &request, &self.limits).map_err(|error| match error {
            HttpError::NoAnswer(error) => ServiceError::NoAnswer(error.to_string()),
            HttpError::TooLarge(_) => SourceError::TooLarge { place: self.place() }.into(),
        })
    }

    /// Body of a page; none where there is no such page.
    fn page(&self, path: &str, headers: &[(&str, &str)]) -> Result<Option<Vec<u8>>, ServiceError> {
        let answer = self.send("GET", path, headers)?;
        match answer.status {
            200 => Ok(Some(answer.body)),
            404 => Ok(None),
            status => Err(refused(status)),
        }
    }

    /// The value on a page, without the space around it.
    fn value(&self, path: &str, headers: &[(&str, &str)]) -> Result<Option<String>, ServiceError> {
        let body = self.page(path, headers)?;
        let text = body.and_then(|body| String::from_utf8(body).ok());
        let text = text.map(|text| text.trim().to_owned());
        Ok(text.filter(|text| !text.is_empty()))
    }

    fn place(&self) -> String {
        format!("user data of {}'s metadata service", self.cloud)
    }

    /// User data with its instance data, which is asked for where there is user data only.
    fn with(
        &self,
        user_data: Option<Vec<u8>>,
        metadata: impl FnOnce() -> Result<Value, ServiceError>,
    ) -> Result<Option<Found>, ServiceError> {
        let Some(bytes) = user_data.filter(|bytes| !bytes.trim_ascii().is_empty()) else {
            return Ok(None);
        };
        let found = text_of(encoding::perhaps_base64(bytes), self.place())?;
        let metadata = metadata()?.to_string();
        Ok(Some(Found { metadata, ..found }))
    }

    fn ec2(&self) -> Result<Option<Found>, ServiceError> {
        let session = [("X-aws-ec2-metadata-token-ttl-seconds", SESSION)];
        let answer = self.send("PUT", "/latest/api/token", &session)?;
        if answer.status != 200 {
            return Err(refused(answer.status));
        }
        let token = String::from_utf8(answer.body).unwrap_or_default();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ServiceError::NoAnswer("it gives no session token".to_owned()));
        }
        let headers = [("X-aws-ec2-metadata-token", token.as_str())];
        let user_data = self.page("/latest/user-data", &headers)?;
        self.with(user_data, || {
            let value = |path: &str| self.value(&format!("/latest/meta-data/{path}"), &headers);
            let zone = value("placement/availability-zone")?;
            let region = value("placement/region")?;
            // A VPC with several domains has several names.
            let name = value("local-hostname")?;
            let name = name.as_deref().and_then(|name| name.split_whitespace().next());
            Ok(json!({
                "ami-id": value("ami-id")?,
                "availability-zone": &zone,
                "cloud-name": "aws",
                "instance-id": value("instance-id")?,
                "instance-type": value("instance-type")?,
                "local-hostname": name,
                "local-ipv4": value("local-ipv4")?,
                "mac": value("mac")?,
                "placement": { "availability-zone": &zone, "region": &region },
                "platform": "ec2",
                "region": &region,
            }))
        })
    }

    fn gce(&self) -> Result<Option<Found>, ServiceError> {
        let headers = [("Metadata-Flavor", "Google")];
        let instance = |path: &str| format!("/computeMetadata/v1/instance/{path}");
        let mut user_data = self.page(&instance("attributes/user-data"), &headers)?;
        if let Some(bytes) = &mut user_data
            && self
                .value(&instance("attributes/user-data-encoding"), &headers)?
                .as_deref()
                == Some("base64")
        {
            *bytes = encoding::base64(bytes, &self.place())?;
        }
        self.with(user_data, || {
            let value = |path: &str| self.value(&instance(path), &headers);
            // projects/NUMBER/zones/europe-west1-b
            let zone = value("zone")?;
            let zone = zone.as_deref().and_then(|zone| zone.rsplit('/').next());
            Ok(json!({
                "availability-zone": zone,
                "cloud-name": "gce",
                "instance-id": value("id")?,
                "local-hostname": value("hostname")?,
                // The cloud's controller knows machines by it.
                "node-name": value("name")?,
                "platform": "gce",
                "region": zone.and_then(|zone| zone.rsplit_once('-')).map(|(region, _)| region),
            }))
        })
    }

    fn azure(&self) -> Result<Option<Found>, ServiceError> {
        let path = "/metadata/instance/compute?api-version=2021-02-01&format=json";
        let answer = self.send("GET", path, &[("Metadata", "true")])?;
        if answer.status != 200 {
            return Err(refused(answer.status));
        }
        let compute = serde_json::from_slice::<AzureCompute>(&answer.body);
        // Its errors may show what it read.
        let compute = compute.map_err(|_| ServiceError::NoAnswer("its answer is not the JSON of Azure".to_owned()))?;
        let user_data = encoding::base64(compute.user_data.as_bytes(), &self.place())?;
        let name = Some(compute.os_profile.computer_name).filter(|name| !name.is_empty());
        self.with(Some(user_data), || {
            Ok(json!({
                "availability-zone": compute.zone,
                "cloud-name": "azure",
                "instance-id": compute.vm_id,
                "local-hostname": name.unwrap_or(compute.name),
                "platform": "azure",
                "region": compute.location,
            }))
        })
    }

    fn openstack(&self) -> Result<Option<Found>, ServiceError> {
        let user_data = self.page("/openstack/latest/user_data", &[])?;
        self.with(user_data, || {
            let page = self.page("/openstack/latest/meta_data.json", &[])?;
            let known = ["availability_zone", "hostname", "name", "uuid"];
            Ok(selected(
                page.as_deref(),
                &known,
                [("cloud-name", "openstack"), ("platform", "openstack")],
            ))
        })
    }

    fn digital_ocean(&self) -> Result<Option<Found>, ServiceError> {
        let user_data = self.page("/metadata/v1/user-data", &[])?;
        self.with(user_data, || {
            let page = self.page("/metadata/v1.json", &[])?;
            let known = ["droplet_id", "hostname", "region"];
            let fixed = [("cloud-name", "digitalocean"), ("platform", "digitalocean")];
            Ok(selected(page.as_deref(), &known, fixed))
        })
    }

    fn hetzner(&self) -> Result<Option<Found>, ServiceError> {
        let user_data = self.page("/hetzner/v1/userdata", &[])?;
        self.with(user_data, || {
            let value = |path: &str| self.value(&format!("/hetzner/v1/metadata/{path}"), &[]);
            Ok(json!({
                "availability-zone": value("availability-zone")?,
                "cloud-name": "hetzner",
                "instance-id": value("instance-id")?,
                "local-hostname": value("hostname")?,
                "platform": "hetzner",
                "region": value("region")?,
            }))
        })
    }
}

impl UserDataService for MetadataService {
    fn has_way(&self) -> bool {
        self.addresses.iter().any(|to| address::leads_to(to.ip()))
    }

    fn ask(&self) -> Result<Option<Found>, ServiceError> {
        match self.cloud {
            Cloud::Azure => self.azure(),
            Cloud::DigitalOcean => self.digital_ocean(),
            Cloud::Ec2 => self.ec2(),
            Cloud::Gce => self.gce(),
            Cloud::Hetzner => self.hetzner(),
            Cloud::OpenStack => self.openstack(),
        }
    }
}

/// Part of Azure's description of a machine.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AzureCompute {
    location: String,
    name: String,
    os_profile: AzureOsProfile,
    /// In base64.
    user_data: String,
    vm_id: String,
    zone: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AzureOsProfile {
    computer_name: String,
}

/// These keys of a JSON object, and fixed ones besides. An object that cannot be read has none.
fn selected(page: Option<&[u8]>, known: &[&str], fixed: [(&str, &str); 2]) -> Value {
    let page = page.and_then(|page| serde_json::from_slice::<Map<String, Value>>(page).ok());
    let mut values = page.unwrap_or_default();
    values.retain(|key, _| known.contains(&key.as_str()));
    values.extend(fixed.map(|(key, value)| (key.to_owned(), value.into())));
    values.into()
}

/// A status that says nothing about user data.
fn refused(status: u16) -> ServiceError {
    ServiceError::NoAnswer(match status {
        401 | 403 => format!("HTTP status {status}: is the metadata service turned on for this machine?"),
        _ => format!("HTTP status {status}"),
    })
}

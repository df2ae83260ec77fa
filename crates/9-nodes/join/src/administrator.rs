//! Joins by an administrator's kubeconfig: the cluster as its nodes see it, and a token for them.
//!
//! Everything that can end a join is asked before the token is made: one that is not used is left in the cluster for a day.

use std::thread::sleep;
use std::time::{Duration, SystemTime};

use basalt_node_config::token::BootstrapToken;
use x509_cert::der::DateTime;

use crate::access::{ClusterAccess, Credentials};
use crate::client::{ApiClient, ClientError, patiently};
use crate::cluster_info::{self, ClusterInfo, DiscoveryError, TrustedCluster};
use crate::token_secret;

/// Validity of a token that is made.
const TOKEN_VALIDITY: Duration = Duration::from_secs(24 * 3600);
/// Time between two questions whether API servers know a token.
const INTERVAL: Duration = Duration::from_millis(500);

/// Access to a cluster by a kubeconfig of one of its administrators.
#[derive(Debug)]
pub struct Administrator {
    client: ApiClient,
    asked: TrustedCluster,
    credentials: Credentials,
}

/// Token of random numbers, which no cluster knows yet.
///
/// # Errors
/// When no random numbers are to be had.
pub fn new_token() -> Result<BootstrapToken, ClientError> {
    let mut bytes = [0; token_secret::RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| ClientError::Random(error.to_string()))?;
    let token = token_secret::token(&bytes).and_then(|token| token.parse().ok());
    token.ok_or_else(|| ClientError::Random("too few of them can be used".to_owned()))
}

impl Administrator {
    /// Access by a kubeconfig.
    ///
    /// # Errors
    /// When it has no authority or no credentials, or TLS cannot use them.
    pub fn new(access: ClusterAccess) -> Result<Self, ClientError> {
        let authorities = access.authorities;
        let authorities = authorities.ok_or(ClientError::Kubeconfig("certificate authority"))?;
        if access.credentials == Credentials::None {
            return Err(ClientError::Kubeconfig("credentials"));
        }
        Ok(Self {
            client: ApiClient::new(&access.endpoint, &authorities, &access.credentials)?,
            asked: TrustedCluster {
                endpoint: access.endpoint,
                authorities,
                unpinned: Vec::new(),
            },
            credentials: access.credentials,
        })
    }

    /// The cluster at the address of the kubeconfig, which the machine of the administrator reaches.
    pub fn asked(&self) -> &TrustedCluster {
        &self.asked
    }

    /// Credentials of the administrator.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The cluster at the address that `cluster-info` gives to its nodes; none where there is no such ConfigMap. A verified
    /// connection vouches for it.
    ///
    /// # Errors
    /// When the API server does not answer for as long as `patience`, or with something else.
    pub fn cluster_info(&self, patience: Duration) -> Result<Option<TrustedCluster>, ClientError> {
        let answer = match patiently(patience, || self.client.get(cluster_info::PATH)) {
            Ok(answer) => answer,
            Err(error) if error.is_missing() => return Ok(None),
            Err(error) => return Err(error),
        };
        let info = match ClusterInfo::read(&answer) {
            Ok(info) => info.access()?,
            Err(DiscoveryError::NoKubeconfig) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some(TrustedCluster {
            endpoint: info.endpoint,
            authorities: info.authorities.unwrap_or_else(|| self.asked.authorities.clone()),
            unpinned: Vec::new(),
        }))
    }

    /// Makes a token known to the cluster for a day, and waits for as long as `patience` until API servers take it. One that
    /// they do not take is deleted.
    ///
    /// # Errors
    /// When the administrator may not create Secrets, or the token is not taken.
    pub fn create(&self, token: &BootstrapToken, now: SystemTime, patience: Duration) -> Result<(), ClientError> {
        let random = |why: &str| ClientError::Random(why.to_owned());
        let end = DateTime::from_system_time(now + TOKEN_VALIDITY).map_err(|error| random(&error.to_string()))?;
        let secret = token_secret::secret(&token.reveal(), &end.to_string()).ok_or_else(|| random("no token"))?;
        let created = match self.client.create(token_secret::PATH, &secret) {
            Ok(_) => self.wait_until_known(token, patience),
            Err(error) if error.is_unsure() => Err(error),
            Err(error) => return Err(error),
        };
        created.inspect_err(|_| {
            // One that cannot be deleted either ends after a day.
            let _ = self.delete(token);
        })
    }

    /// Waits until API servers know a token, which takes them a moment.
    fn wait_until_known(&self, token: &BootstrapToken, patience: Duration) -> Result<(), ClientError> {
        let credentials = Credentials::Token(token.reveal());
        let client = ApiClient::new(&self.asked.endpoint, &self.asked.authorities, &credentials)?;
        let begin = std::time::Instant::now();
        while let Err(ClientError::Status { status: 401, .. }) = client.get("/version") {
            if begin.elapsed() + INTERVAL > patience {
                return Err(ClientError::TokenRefused);
            }
            sleep(INTERVAL);
        }
        Ok(())
    }

    /// Deletes a token from the cluster.
    ///
    /// # Errors
    /// When the API server does not answer, or says no.
    pub fn delete(&self, token: &BootstrapToken) -> Result<(), ClientError> {
        let path = format!("{}/{}", token_secret::PATH, token_secret::name(token.id()));
        self.client.delete(&path).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ() {
        assert_ne!(new_token().unwrap(), new_token().unwrap());
    }

    #[test]
    fn a_kubeconfig_without_credentials_makes_no_token() {
        let (access, _) = crate::access::read("a", include_str!("../tests/vectors/cluster-info.yaml")).unwrap();
        let without = ClusterAccess {
            authorities: None,
            ..access.clone()
        };
        for (access, expected) in [(access, "no credentials"), (without, "no certificate authority")] {
            let error = Administrator::new(access).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}

//! Lease by which two migrations of a cluster refuse one another.
//!
//! As leader election of Kubernetes does it: a Lease counts as held until it was seen unchanged for its whole duration, by the
//! clock of who looks. Times that are written in it are for people, so clocks of machines may differ.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use tokio::time::Instant;

use crate::api::{ClusterApi, MANAGER, failed};
use crate::clock::MigrationClock;
use crate::error::MigrateError;
use crate::model::NamespacedName;

/// Time after which a Lease that is not renewed can be taken.
pub(crate) const DURATION: Duration = Duration::from_secs(30);

/// Time between renewals.
const RENEWAL: Duration = Duration::from_secs(8);

/// Time between two looks at a Lease that another holds.
const LOOK: Duration = Duration::from_secs(2);

/// Lease that this run holds.
pub(crate) struct HeldLease {
    api: ClusterApi,
    clock: MigrationClock,
    name: NamespacedName,
    identity: String,
    renewed: Instant,
}

impl HeldLease {
    /// Takes the Lease. One that another run left behind is taken after it stayed unchanged for [`DURATION`].
    pub(crate) async fn acquire(
        api: &ClusterApi,
        clock: &MigrationClock,
        namespace: &str,
        identity: &str,
        waiting: impl Fn(&str),
    ) -> Result<Self, MigrateError> {
        let mut lease = Self {
            api: api.clone(),
            clock: clock.clone(),
            name: NamespacedName::new(namespace, MANAGER),
            identity: identity.to_owned(),
            renewed: Instant::now(),
        };
        let first = lease.read().await?;
        let began = Instant::now();
        let mut present = first.clone();
        loop {
            let holder = present.as_ref().and_then(holder);
            if holder.is_none() || began.elapsed() >= DURATION {
                match lease.write(present.clone()).await {
                    Ok(()) => return Ok(lease),
                    Err(error) if error.is_conflict() => {}
                    Err(error) => return Err(error),
                }
            } else if let Some(holder) = &holder {
                waiting(holder);
            }
            tokio::time::sleep(LOOK).await;
            present = lease.read().await?;
            if let Some(holder) = present.as_ref().and_then(self::holder)
                && version(present.as_ref()) != version(first.as_ref())
            {
                return Err(MigrateError::Held {
                    holder,
                    lease: lease.name.name,
                    namespace: lease.name.namespace,
                });
            }
        }
    }

    /// Renews the Lease, if it is time.
    pub(crate) async fn renew(&mut self) -> Result<(), MigrateError> {
        if self.renewed.elapsed() < RENEWAL {
            return Ok(());
        }
        let present = self.read().await?;
        match present.as_ref().and_then(holder) {
            Some(holder) if holder != self.identity => Err(MigrateError::LeaseLost { holder }),
            // Somebody deleted or released it, and nobody took it.
            _ => self.write(present).await,
        }
    }

    /// Gives the Lease back, so that the next run need not wait.
    pub(crate) async fn release(self) -> Result<(), MigrateError> {
        let Some(mut lease) = self.read().await? else {
            return Ok(());
        };
        if holder(&lease).as_ref() != Some(&self.identity) {
            return Ok(());
        }
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
            spec.renew_time = Some(self.now());
        }
        self.replace(&lease).await
    }

    async fn read(&self) -> Result<Option<Lease>, MigrateError> {
        self.api.get::<Lease>(&self.name).await
    }

    /// Writes the Lease with this run as its holder; fails with a conflict when somebody else wrote it.
    async fn write(&mut self, present: Option<Lease>) -> Result<(), MigrateError> {
        let now = self.now();
        let spec = |before: Option<LeaseSpec>| {
            let before = before.unwrap_or_default();
            let same = before.holder_identity.as_ref() == Some(&self.identity);
            LeaseSpec {
                acquire_time: before.acquire_time.filter(|_| same).or_else(|| Some(now.clone())),
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
                lease_transitions: Some(before.lease_transitions.unwrap_or_default() + i32::from(!same)),
                renew_time: Some(now.clone()),
                ..LeaseSpec::default()
            }
        };
        match present {
            Some(mut lease) => {
                lease.spec = Some(spec(lease.spec));
                self.replace(&lease).await?;
            }
            None => {
                let lease = Lease {
                    metadata: ObjectMeta {
                        name: Some(self.name.name.clone()),
                        ..ObjectMeta::default()
                    },
                    spec: Some(spec(None)),
                };
                let action = format!("create lease {}", self.name);
                let created = self.leases().create(&PostParams::default(), &lease).await;
                created.map_err(failed(action))?;
            }
        }
        self.renewed = Instant::now();
        Ok(())
    }

    async fn replace(&self, lease: &Lease) -> Result<(), MigrateError> {
        let leases = self.leases();
        let replaced = leases.replace(&self.name.name, &PostParams::default(), lease).await;
        replaced
            .map(drop)
            .map_err(failed(format!("update lease {}", self.name)))
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.api.client(), &self.name.namespace)
    }

    fn now(&self) -> MicroTime {
        MicroTime(self.clock.now())
    }
}

/// Holder of a Lease; nothing if it was given back.
fn holder(lease: &Lease) -> Option<String> {
    let holder = lease.spec.as_ref()?.holder_identity.clone()?;
    (!holder.is_empty()).then_some(holder)
}

fn version(lease: Option<&Lease>) -> Option<String> {
    lease?.metadata.resource_version.clone()
}

//! Volumes of pods and persistent volumes: what they are of, and the places of what rules name.

use crate::field::Field;
use crate::place::{Place, Placed};

/// Volume of a pod, or source of a persistent volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Name in the pod; empty for a persistent volume.
    pub(crate) name: String,
    /// Source.
    pub(crate) source: VolumeSource,
    /// Place of the source.
    pub(crate) place: Place,
}

/// Source of a volume, as far as rules tell them apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum VolumeSource {
    /// Path of the node.
    HostPath {
        /// Path.
        path: Placed<String>,
        /// Type: `Directory`, `FileOrCreate`, ...; empty if nothing is checked.
        kind: String,
    },
    /// Disk or folder of one node.
    Local {
        /// Path.
        path: Placed<String>,
    },
    /// Driver of the Container Storage Interface.
    Csi {
        /// Name of the driver.
        driver: Placed<String>,
    },
    /// FlexVolume driver.
    Flex {
        /// Name of the driver: `vendor/driver`.
        driver: Placed<String>,
    },
    /// Kind that the kubelet mounts by itself: `nfs`, `iscsi`, `cephfs`, `emptyDir`, ...
    InTree(String),
}

/// Keys of a volume or of a persistent volume's spec that are no sources.
const NO_SOURCES: [&str; 9] = [
    "name",
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeMode",
];

impl Volume {
    /// Reads a volume of a pod, or the spec of a persistent volume; `None` if it has no source.
    pub(crate) fn read(field: &Field<'_>) -> Option<Self> {
        let entries = field.entries();
        let (key, source) = entries.into_iter().find(|(key, _)| !NO_SOURCES.contains(key))?;
        let path = || source.placed("path");
        let driver = || source.placed("driver");
        let kind = match key {
            "hostPath" => VolumeSource::HostPath {
                path: path()?,
                kind: source.text_of("type").unwrap_or_default().to_owned(),
            },
            "local" => VolumeSource::Local { path: path()? },
            "csi" => VolumeSource::Csi { driver: driver()? },
            "flexVolume" => VolumeSource::Flex { driver: driver()? },
            other => VolumeSource::InTree(other.to_owned()),
        };
        Some(Self {
            name: field.text_of("name").unwrap_or_default().to_owned(),
            source: kind,
            place: source.place(),
        })
    }
}

/// Persistent volume, or a storage class with what its volumes are mounted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Storage {
    /// Source; `None` for a storage class.
    pub(crate) volume: Option<Volume>,
    /// Provisioner of a storage class, or driver.
    pub(crate) provisioner: Option<Placed<String>>,
    /// Parameters of a storage class.
    pub(crate) parameters: Vec<(String, Placed<String>)>,
    /// Mount options.
    pub(crate) mount_options: Vec<Placed<String>>,
}

impl Storage {
    /// Reads a PersistentVolume.
    pub(crate) fn of_volume(root: &Field<'_>) -> Option<Self> {
        let spec = root.get("spec")?;
        let volume = Volume::read(&spec);
        let provisioner = match &volume.as_ref()?.source {
            VolumeSource::Csi { driver } => Some(driver.clone()),
            _ => None,
        };
        Some(Self {
            volume,
            provisioner,
            parameters: Vec::new(),
            mount_options: texts(&spec, "mountOptions"),
        })
    }

    /// Reads a StorageClass.
    pub(crate) fn of_class(root: &Field<'_>) -> Self {
        let parameters = root.get("parameters").map(|field| field.entries()).unwrap_or_default();
        let parameters = parameters.into_iter();
        Self {
            volume: None,
            provisioner: root.placed("provisioner"),
            parameters: parameters
                .filter_map(|(key, value)| Some((key.to_owned(), value.as_placed()?)))
                .collect(),
            mount_options: texts(root, "mountOptions"),
        }
    }
}

/// Texts of a list.
pub(crate) fn texts(field: &Field<'_>, key: &str) -> Vec<Placed<String>> {
    field.list(key).iter().filter_map(Field::as_placed).collect()
}

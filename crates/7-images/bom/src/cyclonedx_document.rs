//! A bill of materials as a CycloneDX 1.5 document in JSON.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use cyclonedx_bom::external_models::date_time::DateTime;
use cyclonedx_bom::external_models::normalized_string::NormalizedString;
use cyclonedx_bom::external_models::uri::{Purl, Uri};
use cyclonedx_bom::models::bom::{Bom, SpecVersion, UrnUuid};
use cyclonedx_bom::models::component::{
    Classification, Component as Entry, ComponentEvidence, Components, Cpe, Occurrence, Occurrences,
};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::external_reference::{
    ExternalReference, ExternalReferenceType, ExternalReferences, Uri as ReferenceUri,
};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::models::metadata::Metadata;
use cyclonedx_bom::models::organization::OrganizationalEntity;
use cyclonedx_bom::models::property::{Properties, Property};
use cyclonedx_bom::models::tool::Tools;

use crate::creation::{CREATED, SUPPLIER, TOOL, TOOL_VERSION, uuid};
use crate::identifier::{RELEASE, VENDOR};
use crate::{BomError, Component, ComponentKind, Inventory, Origin};

/// The reference of what the document is about.
const SUBJECT: &str = "subject";
/// The reference of the distribution.
const DISTRIBUTION: &str = "distribution";

pub(crate) fn write(inventory: &Inventory) -> Result<Vec<u8>, BomError> {
    let subject = &inventory.subject;
    let kind = if subject.image {
        Classification::OperatingSystem
    } else {
        Classification::Application
    };
    let about = Entry {
        supplier: Some(supplier()),
        ..Entry::new(kind, &subject.name, &subject.version, Some(SUBJECT.to_owned()))
    };
    let tool = Entry::new(Classification::Application, TOOL, TOOL_VERSION, None);
    // Scanners take the one component that is an operating system for the distribution that all packages are of, and ask
    // its advisories: it is not the kernel.
    let distribution = Entry::new(
        Classification::OperatingSystem,
        VENDOR,
        RELEASE,
        Some(DISTRIBUTION.to_owned()),
    );
    let components = std::iter::once(distribution)
        .chain(inventory.components.iter().map(entry))
        .collect();
    let bom = Bom {
        version: 1,
        serial_number: Some(UrnUuid(format!("urn:uuid:{}", uuid(&inventory.digest()?)))),
        metadata: Some(Metadata {
            timestamp: Some(DateTime::try_from(CREATED.to_owned()).map_err(BomError::document(&subject.name))?),
            tools: Some(Tools::Object {
                services: None,
                components: Some(Components(vec![tool])),
            }),
            component: Some(about),
            supplier: Some(supplier()),
            ..Metadata::default()
        }),
        components: Some(Components(components)),
        dependencies: Some(Dependencies(dependencies(inventory))),
        services: None,
        external_references: None,
        compositions: None,
        properties: None,
        vulnerabilities: None,
        signature: None,
        annotations: None,
        formulation: None,
        spec_version: SpecVersion::V1_5,
    };
    let mut pretty = Vec::new();
    bom.output_as_json(&mut pretty, SpecVersion::V1_5)
        .map_err(BomError::document(&subject.name))?;
    // By way of a value: on one line, with sorted keys.
    let value: serde_json::Value = serde_json::from_slice(&pretty).map_err(BomError::document(&subject.name))?;
    serde_json::to_vec(&value).map_err(BomError::document(&subject.name))
}

fn supplier() -> OrganizationalEntity {
    OrganizationalEntity {
        bom_ref: None,
        name: Some(NormalizedString::new(SUPPLIER)),
        url: None,
        contact: None,
    }
}

fn entry(component: &Component) -> Entry {
    let kind = match component.kind {
        ComponentKind::Package => Classification::Application,
        ComponentKind::GoModule | ComponentKind::Crate => Classification::Library,
    };
    let occurrences = component.inside.iter().map(|place| Occurrence::new(&place.file));
    let properties = component
        .inside
        .iter()
        .map(|place| Property::new("basalt:linkedInto", &place.package));
    let mut properties: Vec<_> = properties.collect();
    properties.dedup();
    properties.extend(component.go_sum.iter().map(|sum| Property::new("basalt:goSum", sum)));
    if let Some(origin) = &component.origin {
        properties.push(Property::new("basalt:source", &origin.package));
        properties.push(Property::new("basalt:upstream", &origin.upstream));
    }
    Entry {
        supplier: (component.kind == ComponentKind::Package).then(supplier),
        hashes: component.digest.map(|digest| hashes(&digest)),
        licenses: component
            .licence
            .as_ref()
            .map(|licence| Licenses(vec![LicenseChoice::expression(licence)])),
        cpe: component.cpe.as_deref().map(Cpe::new),
        purl: Purl::from_str(&component.purl).ok(),
        external_references: component.origin.as_ref().and_then(distribution),
        properties: Some(Properties(properties)),
        evidence: (!component.inside.is_empty()).then(|| ComponentEvidence {
            licenses: None,
            copyright: None,
            occurrences: Some(Occurrences(occurrences.collect())),
            callstack: None,
            identity: None,
        }),
        ..Entry::new(kind, &component.name, &component.version, Some(component.purl.clone()))
    }
}

fn hashes(digest: &basalt_digest::Digest) -> Hashes {
    Hashes(vec![Hash {
        alg: HashAlgorithm::SHA_256,
        content: HashValue(digest.to_hex()),
    }])
}

/// Upstream's files. Where they are a distribution's repack, the digest is not that of what is at the address.
fn distribution(origin: &Origin) -> Option<ExternalReferences> {
    let references = origin.sources.iter().map(|source| ExternalReference {
        external_reference_type: ExternalReferenceType::Distribution,
        url: ReferenceUri::Url(Uri::new(&source.url)),
        comment: source
            .repack
            .then(|| format!("built from a repack, sha256 {}", source.digest)),
        hashes: (!source.repack).then(|| hashes(&source.digest)),
    });
    let references: Vec<_> = references.collect();
    (!references.is_empty()).then_some(ExternalReferences(references))
}

/// Returns the dependency graph: requirements between packages, and the modules and crates that each package links.
fn dependencies(inventory: &Inventory) -> Vec<Dependency> {
    let shipped = inventory
        .of_kind(ComponentKind::Package)
        .map(|component| component.purl.clone());
    let mut all: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for component in &inventory.components {
        all.entry(&component.purl).or_default();
    }
    for relation in &inventory.relations {
        all.entry(&relation.from).or_default().push(relation.to.clone());
    }
    let mut list = vec![Dependency {
        dependency_ref: SUBJECT.to_owned(),
        dependencies: shipped.collect(),
    }];
    list.extend(all.into_iter().map(|(of, mut dependencies)| {
        dependencies.sort();
        dependencies.dedup();
        Dependency {
            dependency_ref: of.to_owned(),
            dependencies,
        }
    }));
    list
}

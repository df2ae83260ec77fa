//! A bill of materials as an SPDX 2.3 document in JSON.
//!
//! The types are defined here: `spdx-rs` knows SPDX 2.2 and stamps documents with the clock and random identifiers.
//! Names and order of the fields are those of SPDX's JSON schema.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use crate::creation::{CREATED, NO_ASSERTION, SUPPLIER, TOOL, TOOL_VERSION, uuid};
use crate::{BomError, Component, ComponentKind, Inventory, Licences, Origin, RelationKind, Subject, licences};

const DOCUMENT: &str = "SPDXRef-DOCUMENT";
const SUBJECT: &str = "SPDXRef-Subject";

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'i> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'i str,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package<'i>>,
    relationships: Vec<Relationship<'i>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    has_extracted_licensing_infos: Vec<ExtractedLicence<'i>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct CreationInfo {
    created: &'static str,
    creators: Vec<String>,
    license_list_version: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'i> {
    name: &'i str,
    #[serde(rename = "SPDXID")]
    id: String,
    version_info: &'i str,
    supplier: String,
    download_location: &'i str,
    files_analyzed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<String>,
    license_concluded: &'static str,
    license_declared: &'i str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    primary_package_purpose: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalReference<'i>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalReference<'i> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: &'i str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship<'i> {
    spdx_element_id: &'i str,
    relationship_type: &'static str,
    related_spdx_element: &'i str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ExtractedLicence<'i> {
    license_id: String,
    name: &'i str,
    extracted_text: &'i str,
}

pub(crate) fn write(inventory: &Inventory, licences: &Licences) -> Result<Vec<u8>, BomError> {
    let subject = &inventory.subject;
    let identifiers = identifiers(inventory);
    let id = |purl: &str| identifiers.get(purl).map(String::as_str).unwrap_or(SUBJECT);
    let mut packages = vec![subject_package(subject)];
    packages.extend(
        inventory
            .components
            .iter()
            .map(|component| package(component, id(&component.purl))),
    );
    let relationship = |from, kind, to| Relationship {
        spdx_element_id: from,
        relationship_type: kind,
        related_spdx_element: to,
    };
    let mut relationships = vec![relationship(DOCUMENT, "DESCRIBES", SUBJECT)];
    let shipped = inventory.of_kind(ComponentKind::Package);
    relationships.extend(shipped.map(|component| relationship(SUBJECT, "CONTAINS", id(&component.purl))));
    relationships.extend(inventory.relations.iter().map(|relation| {
        let kind = match relation.kind {
            RelationKind::Contains => "CONTAINS",
            RelationKind::DependsOn => "DEPENDS_ON",
        };
        relationship(id(&relation.from), kind, id(&relation.to))
    }));
    let document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: DOCUMENT,
        name: &subject.name,
        document_namespace: format!(
            "https://spdx.org/spdxdocs/basalt-{}-{}",
            subject.name,
            uuid(&inventory.digest()?)
        ),
        creation_info: CreationInfo {
            created: CREATED,
            creators: vec![organization(), format!("Tool: {TOOL}-{TOOL_VERSION}")],
            license_list_version: list_version(spdx::license_version()),
        },
        packages,
        relationships,
        has_extracted_licensing_infos: extracted(inventory, licences)?,
    };
    serde_json::to_vec(&document).map_err(BomError::document(&subject.name))
}

/// The specification knows the list's releases by two numbers; the list itself has three.
fn list_version(full: &str) -> String {
    full.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn organization() -> String {
    format!("Organization: {SUPPLIER}")
}

/// The package that the document describes.
fn subject_package(subject: &Subject) -> Package<'_> {
    Package {
        name: &subject.name,
        id: SUBJECT.to_owned(),
        version_info: &subject.version,
        supplier: organization(),
        download_location: NO_ASSERTION,
        files_analyzed: false,
        checksums: Vec::new(),
        source_info: None,
        license_concluded: NO_ASSERTION,
        license_declared: NO_ASSERTION,
        copyright_text: NO_ASSERTION,
        // As the JSON schema of 2.3 spells it; in the tag-value format it has a hyphen.
        primary_package_purpose: subject.image.then_some("OPERATING_SYSTEM"),
        external_refs: Vec::new(),
    }
}

fn package<'i>(component: &'i Component, id: &str) -> Package<'i> {
    let reference = |category, kind, locator| ExternalReference {
        reference_category: category,
        reference_type: kind,
        reference_locator: locator,
    };
    let mut external_refs = vec![reference("PACKAGE-MANAGER", "purl", component.purl.as_str())];
    external_refs.extend(component.cpe.iter().map(|cpe| reference("SECURITY", "cpe23Type", cpe)));
    let origin = component.origin.as_ref();
    let upstream = origin.and_then(|origin| origin.sources.first());
    Package {
        name: &component.name,
        id: id.to_owned(),
        version_info: &component.version,
        supplier: match component.kind {
            ComponentKind::Package => organization(),
            ComponentKind::GoModule | ComponentKind::Crate => NO_ASSERTION.to_owned(),
        },
        download_location: upstream.map_or(NO_ASSERTION, |source| &source.url),
        files_analyzed: false,
        checksums: component
            .digest
            .iter()
            .map(|digest| Checksum {
                algorithm: "SHA256",
                checksum_value: digest.to_hex(),
            })
            .collect(),
        source_info: origin.map_or_else(|| linked_into(component), built_from),
        license_concluded: NO_ASSERTION,
        license_declared: component.licence.as_deref().unwrap_or(NO_ASSERTION),
        copyright_text: NO_ASSERTION,
        primary_package_purpose: (component.kind != ComponentKind::Package).then_some("LIBRARY"),
        external_refs,
    }
}

fn built_from(origin: &Origin) -> Option<String> {
    let files = origin
        .sources
        .iter()
        .map(|source| format!("{} (sha256 {})", source.file, source.digest));
    let files: Vec<_> = files.collect();
    (!files.is_empty()).then(|| format!("built from {}", files.join(", ")))
}

fn linked_into(component: &Component) -> Option<String> {
    let places = component
        .inside
        .iter()
        .map(|place| format!("{} of {}", place.file, place.package));
    Some(format!("linked into {}", places.collect::<Vec<_>>().join(", ")))
}

/// The identifier of each component: letters, digits, `.` and `-`, no two the same.
fn identifiers(inventory: &Inventory) -> HashMap<&str, String> {
    let mut taken = HashSet::new();
    let mut identifiers = HashMap::new();
    for component in &inventory.components {
        let kind = match component.kind {
            ComponentKind::Package => "Package",
            ComponentKind::GoModule => "Go",
            ComponentKind::Crate => "Crate",
        };
        let name = format!("SPDXRef-{kind}-{}-{}", component.name, component.version);
        let plain = |letter: char| {
            if letter.is_ascii_alphanumeric() || letter == '.' {
                letter
            } else {
                '-'
            }
        };
        let name: String = name.chars().map(plain).collect();
        let mut id = name.clone();
        let mut number = 1;
        while !taken.insert(id.clone()) {
            number += 1;
            id = format!("{name}-{number}");
        }
        identifiers.insert(component.purl.as_str(), id);
    }
    identifiers
}

/// The licences that are not on SPDX's list, with their texts: a document has to bring them along.
fn extracted<'i>(inventory: &Inventory, licences: &'i Licences) -> Result<Vec<ExtractedLicence<'i>>, BomError> {
    let mut names = BTreeSet::new();
    for component in &inventory.components {
        let Some(licence) = &component.licence else { continue };
        let expression = licences::expression(&component.purl, licence)?;
        let used = expression.requirements().map(|part| &part.req.license);
        names.extend(used.filter(|item| item.id().is_none()).map(ToString::to_string));
    }
    Ok(names
        .into_iter()
        .map(|name| {
            let known = licences.reference(&name);
            ExtractedLicence {
                name: known.map_or(NO_ASSERTION, |known| &known.name),
                extracted_text: known.map_or(NO_ASSERTION, |known| &known.text),
                license_id: name,
            }
        })
        .collect())
}

//! The bill of materials: what is in the binary, as an SPDX 2.3 document.
//!
//! Talos shows the packages of such a document that lies in an extension (`talosctl get sbom`).

pub mod crates;

use serde::Serialize;

use crate::digest::Digest;
use crate::image::{json, timestamp};

/// What is linked into the binary, besides our own code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Part {
    /// Its name, as its ecosystem knows it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An SPDX licence expression, if it says.
    pub licence: Option<String>,
    /// The package URL.
    pub purl: Option<String>,
    /// SHA-256 of the archive that it came in, as Cargo.lock has it.
    pub checksum: Option<String>,
    /// Names and versions of what it needs itself.
    pub needs: Vec<(String, String)>,
}

impl Part {
    fn id(&self) -> String {
        id(&self.name, &self.version)
    }
}

/// What the document is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The program.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// The program itself.
    pub binary: &'a [u8],
    /// The date of the document, in seconds of Unix time.
    pub date: u64,
}

/// Writes the document; the same input gives the same bytes.
pub fn document(subject: Subject<'_>, parts: &[Part]) -> Vec<u8> {
    let Subject { name, version, binary, date } = subject;
    let digest = Digest::of(binary);
    let main = Package {
        name,
        spdx_id: id(name, version),
        version_info: version,
        supplier: "NOASSERTION",
        download_location: "NOASSERTION",
        files_analyzed: false,
        licence_concluded: "NOASSERTION",
        licence_declared: "Apache-2.0",
        copyright_text: "NOASSERTION",
        primary_package_purpose: "APPLICATION",
        file_name: Some(name),
        checksums: vec![Checksum { algorithm: "SHA256", value: digest.hex() }],
        external_refs: Vec::new(),
    };
    let mut relationships = vec![Relationship {
        from: DOCUMENT.to_owned(),
        kind: "DESCRIBES",
        to: main.spdx_id.clone(),
    }];
    for part in parts {
        let contains = Relationship { from: id(name, version), kind: "CONTAINS", to: part.id() };
        relationships.push(contains);
        let needs = part.needs.iter().map(|(name, version)| id(name, version));
        let needs = needs.map(|to| Relationship { from: part.id(), kind: "DEPENDS_ON", to });
        relationships.extend(needs);
    }
    let mut packages = vec![main];
    packages.extend(parts.iter().map(package));
    // A name that says what it is the name of: the binary's digest, as a UUID of version 8.
    let hex = digest.hex();
    let piece = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default();
    let uuid = [
        piece(0..8),
        piece(8..12),
        &format!("8{}", piece(13..16)),
        &format!("8{}", piece(17..20)),
        piece(20..32),
    ];
    json(&Document {
        spdx_version: "SPDX-2.3",
        data_licence: "CC0-1.0",
        spdx_id: DOCUMENT,
        name: format!("{name}-{version}"),
        namespace: format!("urn:uuid:{}", uuid.join("-")),
        creation_info: CreationInfo {
            created: timestamp(date),
            creators: [concat!("Tool: curfew-extension-", env!("CARGO_PKG_VERSION"))],
        },
        packages,
        relationships,
    })
}

fn package(part: &Part) -> Package<'_> {
    let purl = part.purl.as_deref().map(|locator| ExternalRef {
        category: "PACKAGE-MANAGER",
        kind: "purl",
        locator,
    });
    let checksum = part.checksum.as_deref().map(|value| Checksum { algorithm: "SHA256", value });
    Package {
        name: &part.name,
        spdx_id: part.id(),
        version_info: &part.version,
        supplier: "NOASSERTION",
        download_location: "NOASSERTION",
        files_analyzed: false,
        licence_concluded: "NOASSERTION",
        licence_declared: part.licence.as_deref().unwrap_or("NOASSERTION"),
        copyright_text: "NOASSERTION",
        primary_package_purpose: "LIBRARY",
        file_name: None,
        checksums: checksum.into_iter().collect(),
        external_refs: purl.into_iter().collect(),
    }
}

/// Returns an identifier with the characters that SPDX allows.
fn id(name: &str, version: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
    format!("SPDXRef-{name}-{version}").chars().map(allowed).collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    #[serde(rename = "dataLicense")]
    data_licence: &'static str,
    #[serde(rename = "SPDXID")]
    spdx_id: &'static str,
    name: String,
    #[serde(rename = "documentNamespace")]
    namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package<'a>>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    name: &'a str,
    #[serde(rename = "SPDXID")]
    spdx_id: String,
    version_info: &'a str,
    supplier: &'static str,
    download_location: &'static str,
    files_analyzed: bool,
    #[serde(rename = "licenseConcluded")]
    licence_concluded: &'static str,
    #[serde(rename = "licenseDeclared")]
    licence_declared: &'a str,
    copyright_text: &'static str,
    primary_package_purpose: &'static str,
    #[serde(rename = "packageFileName", skip_serializing_if = "Option::is_none")]
    file_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef<'a>>,
}

#[derive(Serialize)]
struct Checksum<'a> {
    algorithm: &'static str,
    #[serde(rename = "checksumValue")]
    value: &'a str,
}

#[derive(Serialize)]
struct ExternalRef<'a> {
    #[serde(rename = "referenceCategory")]
    category: &'static str,
    #[serde(rename = "referenceType")]
    kind: &'static str,
    #[serde(rename = "referenceLocator")]
    locator: &'a str,
}

#[derive(Serialize)]
struct Relationship {
    #[serde(rename = "spdxElementId")]
    from: String,
    #[serde(rename = "relationshipType")]
    kind: &'static str,
    #[serde(rename = "relatedSpdxElement")]
    to: String,
}

const DOCUMENT: &str = "SPDXRef-DOCUMENT";

//! `curfew check FILE`: all that is wrong with a file, or what it amounts to.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::effective::Effective;
use super::finding::{Finding, Severity};
use super::{ClusterFileError, Parsed, has_errors, read, section};

/// What `curfew check` prints and returns.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CheckOutcome {
    /// Text or JSON for standard output, ending in a line feed.
    pub report: String,
    /// 0, or 78 if the file is refused.
    pub exit_code: u8,
}

/// Checks a file and reports in text, or in JSON.
///
/// It also looks for the files that the cluster file names, on the machine on which it runs.
pub fn check(path: &Path, json: bool) -> CheckOutcome {
    let parsed = match read(path) {
        Ok(text) => section::parse(&text, &Path::exists),
        Err(error) => Parsed { findings: vec![unreadable(&error)], file: None },
    };
    let report = if json { to_json(path, &parsed) } else { to_text(path, &parsed) };
    let exit_code = if has_errors(&parsed.findings) { BAD_CONFIGURATION } else { 0 };
    CheckOutcome { report, exit_code }
}

fn unreadable(error: &ClusterFileError) -> Finding {
    let cause = std::error::Error::source(error);
    let cause = cause.map(|cause| format!(": {cause}")).unwrap_or_default();
    Finding {
        severity: Severity::Error,
        place: None,
        message: format!("{error}{cause}"),
        remedy: "name a file that this user can read: curfew check FILE".to_owned(),
    }
}

/// Writes the findings, and for a valid file its effective form: then the whole is TOML.
fn to_text(path: &Path, parsed: &Parsed) -> String {
    let (path, file) = (path.display(), parsed.file());
    let mark = if file.is_some() { "# " } else { "" };
    let mut text = String::new();
    for finding in &parsed.findings {
        let colon = if finding.place.is_some() { ":" } else { ": " };
        push_line(&mut text, &format!("{mark}{path}{colon}{finding}"));
    }
    let count = |severity| parsed.findings.iter().filter(|f| f.severity == severity).count();
    let counts = format!(
        "errors: {}, warnings: {}, notes: {}",
        count(Severity::Error),
        count(Severity::Warning),
        count(Severity::Note)
    );
    match file {
        Some(file) => {
            push_line(&mut text, &format!("# {path}: valid ({counts}), hash {}", file.hash));
            push_line(&mut text, "# This is what it amounts to, with all defaults filled in:\n");
            text.push_str(&file.to_toml());
        }
        None => push_line(&mut text, &format!("{path}: refused ({counts})")),
    }
    text
}

fn to_json(path: &Path, parsed: &Parsed) -> String {
    let file = parsed.file();
    let report = json!({
        "file": path.display().to_string(),
        "valid": file.is_some(),
        "findings": parsed.findings.iter().map(finding_to_json).collect::<Vec<_>>(),
        "hash": file.map(|file| file.hash.to_string()),
        "effective": file.map(Effective::of),
    });
    format!("{report:#}\n")
}

fn finding_to_json(finding: &Finding) -> Value {
    json!({
        "severity": finding.severity.label(),
        "line": finding.place.map(|place| place.line),
        "column": finding.place.map(|place| place.column),
        "message": finding.message,
        "remedy": finding.remedy,
    })
}

fn push_line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes all that is written to it");
}

/// `EX_CONFIG`: systemd does not restart an agent that ends with it.
const BAD_CONFIGURATION: u8 = 78;

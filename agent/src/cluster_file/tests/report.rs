//! What `curfew check` prints and returns.

use std::path::{Path, PathBuf};

use super::super::check::check;
use super::super::{ClusterFile, ClusterFileError};
use super::readable;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name)
}

#[test]
fn the_report_of_a_valid_file_is_the_effective_file() {
    let path = example("rehearsal.toml");
    let outcome = check(&path, false);
    assert_eq!(outcome.exit_code, 0);
    let file = readable(&outcome.report);
    let (loaded, _) = ClusterFile::load(&path).expect("the check passed");
    assert_eq!(file, loaded);
    let told = format!("valid (errors: 0, warnings: 0, notes: 1), hash {}", file.hash);
    assert!(outcome.report.contains(&told), "{}", outcome.report);
    let note = format!("# {}:8:1: note: without a login", path.display());
    assert!(outcome.report.contains(&note), "{}", outcome.report);
}

#[test]
fn a_refused_file_is_reported_by_line_and_ends_with_78() {
    let path = example("../configuration.md");
    let outcome = check(&path, false);
    assert_eq!(outcome.exit_code, 78);
    let first = format!("{}:3:5: error: this is not TOML", path.display());
    assert!(outcome.report.starts_with(&first), "{}", outcome.report);
    assert!(outcome.report.contains(": refused (errors: "), "{}", outcome.report);
    let error = ClusterFile::load(&path).expect_err("the check failed");
    assert!(matches!(error, ClusterFileError::Refuse { .. }), "{error:?}");
}

#[test]
fn the_json_report_has_the_findings_and_the_effective_file() {
    let outcome = check(&example("rehearsal.toml"), true);
    let report: serde_json::Value = serde_json::from_str(&outcome.report).expect("it is JSON");
    assert_eq!(report["valid"], true);
    assert_eq!(report["effective"]["host"][2]["needs"][1], "k8s-1");
    assert_eq!(report["effective"]["restart"]["charge-above"], 30);
    assert_eq!(report["findings"][0]["line"], 8);
    assert_eq!(report["findings"][0]["severity"], "note");

    let outcome = check(Path::new("/nonexistent/cluster.toml"), true);
    let report: serde_json::Value = serde_json::from_str(&outcome.report).expect("it is JSON");
    assert_eq!(outcome.exit_code, 78);
    assert_eq!(report["valid"], false);
    assert_eq!(report["findings"][0]["line"], serde_json::Value::Null);
}

#[test]
fn a_file_that_cannot_be_read_is_reported_with_the_way_to_name_it() {
    // A device that never ends stands for any file that is none of ours.
    for (path, cause) in [("/nonexistent/cluster.toml", "No such file"), ("/dev/zero", "too large")]
    {
        let outcome = check(Path::new(path), false);
        assert_eq!(outcome.exit_code, 78);
        let sentence = format!("{path}: error: cannot read the cluster file {path}: ");
        assert!(outcome.report.starts_with(&sentence), "{}", outcome.report);
        assert!(outcome.report.contains(cause), "{}", outcome.report);
        assert!(outcome.report.contains("; name a file that this user can read"));
        let error = ClusterFile::load(Path::new(path)).expect_err("there is none");
        assert!(matches!(error, ClusterFileError::Read { .. }), "{error:?}");
    }
}

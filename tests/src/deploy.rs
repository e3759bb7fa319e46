//! What `deploy/` ships, as tests need it: alerts, what their tests ask, queries of the dashboard.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use curfew_extension::yaml::{Node, parse};
use serde_json::Value;

/// One alert of the rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Alert {
    /// Its name.
    pub name: String,
    /// How grave it is.
    pub severity: String,
    /// How long its expression must hold.
    pub wait: String,
    /// When it fires.
    pub expression: String,
    /// What has happened.
    pub summary: String,
    /// What to do.
    pub description: String,
}

/// One look of a test at an alert.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Look {
    /// The file.
    pub file: String,
    /// The name of the case.
    pub case: String,
    /// Which alert.
    pub alert: String,
    /// The alert is expected to fire.
    pub is_firing: bool,
}

/// One query of the dashboard.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Query {
    /// Where it is, for people.
    pub place: String,
    /// In the language of Prometheus, with the dashboard's variables.
    pub expression: String,
    /// It is asked for one moment, not for the range of time.
    pub is_instant: bool,
}

/// A metric that an expression names, with the labels that it selects by.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Selector<'a> {
    /// The name.
    pub metric: &'a str,
    /// The names of the labels.
    pub labels: BTreeSet<&'a str>,
}

/// Returns `deploy/` of this checkout.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

/// Returns the text of a file below `deploy/`.
pub fn read(path: &str) -> Result<String> {
    fs::read_to_string(folder().join(path)).with_context(|| format!("read deploy/{path}"))
}

/// Returns all alerts, in their order.
pub fn alerts() -> Result<Vec<Alert>> {
    let document = document(RULES)?;
    let groups = items(&document, "groups");
    groups.iter().flat_map(|group| items(group, "rules")).map(alert).collect()
}

/// Returns the paths of all tests of the rules, sorted.
pub fn rule_tests() -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder().join("prometheus/tests")).context("list the tests")?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    ensure!(!paths.is_empty(), "there are no tests");
    Ok(paths)
}

/// Returns what all tests look at.
pub fn looks() -> Result<Vec<Look>> {
    let mut looks = Vec::new();
    for path in rule_tests()? {
        let file = path.file_name().and_then(|name| name.to_str()).context("a name")?;
        let document = document(&format!("prometheus/tests/{file}"))?;
        for case in items(&document, "tests") {
            for look in items(case, "alert_rule_test") {
                looks.push(Look {
                    file: file.to_owned(),
                    case: text(case, "name")?,
                    alert: text(look, "alertname")?,
                    is_firing: !items(look, "exp_alerts").is_empty(),
                });
            }
        }
    }
    Ok(looks)
}

/// Returns the dashboard.
pub fn dashboard() -> Result<Value> {
    serde_json::from_str(&read(DASHBOARD)?).context("the dashboard is no JSON")
}

/// Returns every query of the dashboard, of its panels and of its annotations.
pub fn queries() -> Result<Vec<Query>> {
    let dashboard = dashboard()?;
    let mut queries = Vec::new();
    for panel in list(&dashboard, "/panels") {
        for target in list(panel, "/targets") {
            let reference = target["refId"].as_str().unwrap_or_default();
            queries.push(Query {
                place: format!("{} {reference}", panel["title"].as_str().context("a title")?),
                expression: target["expr"].as_str().context("a query")?.to_owned(),
                is_instant: target["instant"] == true,
            });
        }
    }
    for annotation in list(&dashboard, "/annotations/list") {
        if let Some(expression) = annotation["expr"].as_str() {
            queries.push(Query {
                place: format!("annotation {}", annotation["name"]),
                expression: expression.to_owned(),
                is_instant: false,
            });
        }
    }
    Ok(queries)
}

/// Returns the items of a list in a JSON document; none if it is not there.
pub fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Returns the metrics of ours that an expression names.
pub fn selectors(expression: &str) -> BTreeSet<Selector<'_>> {
    let is_end = |letter: char| !letter.is_ascii_alphanumeric() && letter != '_';
    let mut found = BTreeSet::new();
    let mut rest = expression;
    while let Some(start) = rest.find(|letter| !is_end(letter)) {
        let (_, from) = rest.split_at(start);
        let (word, after) = from.split_at(from.find(is_end).unwrap_or(from.len()));
        rest = after;
        if !PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
            continue;
        }
        let matchers = after.strip_prefix('{').and_then(|it| it.split_once('}'));
        let matchers = matchers.map(|(matchers, _)| matchers).unwrap_or_default();
        let labels = matchers.split(',').filter_map(|it| it.split(['=', '!']).next());
        let labels = labels.map(str::trim).filter(|label| !label.is_empty()).collect();
        found.insert(Selector { metric: word, labels });
    }
    found
}

fn alert(rule: &Node) -> Result<Alert> {
    let part = |name: &str| rule.get(name).with_context(|| format!("a rule without {name}"));
    Ok(Alert {
        name: text(rule, "alert")?,
        severity: text(part("labels")?, "severity")?,
        wait: text(rule, "for")?,
        expression: text(rule, "expr")?,
        summary: text(part("annotations")?, "summary")?,
        description: text(part("annotations")?, "description")?,
    })
}

fn document(path: &str) -> Result<Node> {
    let documents = parse(&read(path)?).with_context(|| format!("parse deploy/{path}"))?;
    documents.into_iter().next().with_context(|| format!("deploy/{path} is empty"))
}

fn items<'a>(node: &'a Node, key: &str) -> &'a [Node] {
    node.get(key).map(Node::items).unwrap_or_default()
}

fn text(node: &Node, key: &str) -> Result<String> {
    let found = node.get(key).and_then(Node::text);
    Ok(found.with_context(|| format!("line {}: there is no {key}", node.line))?.to_owned())
}

/// The rules.
pub const RULES: &str = "prometheus/curfew.rules.yml";
/// What Prometheus scrapes.
pub const SCRAPE: &str = "prometheus/scrape.yml";
/// The dashboard.
pub const DASHBOARD: &str = "grafana/curfew.json";
/// The beginnings of the names of all metrics that an agent shows.
const PREFIXES: [&str; 3] = ["curfew_", "network_ups_tools_", "node_"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_told_from_labels_and_functions() {
        let found = selectors(r#"max by (ups) (curfew_a{x="1", y!~"b|c"}) - sum(node_b) or up"#);
        let found: Vec<_> = found.into_iter().collect();
        let labels = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
        let wanted = [("curfew_a", labels(&["x", "y"])), ("node_b", labels(&[]))];
        assert_eq!(found, wanted.map(|(metric, labels)| Selector { metric, labels }));
    }
}

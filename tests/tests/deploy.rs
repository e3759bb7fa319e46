//! What `deploy/` ships is whole: every alert is tested and documented, and nothing names a metric,
//! a label or a check that no agent has.
//!
//! It needs promtool, which judges the rules and plays their tests. What a real Prometheus makes of
//! it all is in `deploy_prometheus.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use curfew::metrics::families;
use curfew_tests::deploy::{self, Alert, Query, RULES, SCRAPE, list};

#[test]
fn promtool_understands_the_rules_and_their_tests_pass() -> Result<()> {
    promtool(&["check", "rules"], &[deploy::folder().join(RULES)])?;
    promtool(&["check", "config", "--syntax-only"], &[deploy::folder().join(SCRAPE)])?;
    promtool(&["test", "rules"], &deploy::rule_tests()?)
}

#[test]
fn each_alert_is_seen_to_fire_not_to_fire_and_without_its_series() -> Result<()> {
    let looks = deploy::looks()?;
    let absent: BTreeSet<_> =
        looks.iter().filter(|look| look.file == ABSENT).map(|look| look.case.as_str()).collect();
    assert_eq!(
        absent.len(),
        3,
        "{ABSENT}: nothing at all, no agent, and an agent that knows nothing"
    );
    let mut missing = Vec::new();
    for Alert { name, .. } in deploy::alerts()? {
        let own = |is_firing| {
            let is_own = |look: &&deploy::Look| look.case == name && look.alert == name;
            looks.iter().filter(is_own).any(|look| look.is_firing == is_firing)
        };
        if !own(true) {
            missing.push(format!("{name} never fires in a case of its name"));
        }
        if !own(false) {
            missing.push(format!("{name} is never silent in a case of its name"));
        }
        for case in &absent {
            if !looks.iter().any(|look| look.case == *case && look.alert == name) {
                missing.push(format!("{ABSENT}: {name} is not asked when {case}"));
            }
        }
    }
    report(&missing)
}

#[test]
fn each_alert_says_how_grave_it_is_what_happened_and_what_to_do() -> Result<()> {
    let mut names = BTreeSet::new();
    for Alert { name, severity, wait, expression, summary, description } in deploy::alerts()? {
        assert!(names.insert(name.clone()), "{name} is there twice");
        assert!(name.starts_with("Curfew"), "{name}");
        assert!(["critical", "warning", "info"].contains(&severity.as_str()), "{name}: {severity}");
        assert!(wait.ends_with(['s', 'm', 'h']), "{name}: {wait}");
        assert!(!expression.trim().is_empty() && summary.len() > 10, "{name}");
        assert!(!summary.ends_with('.'), "{name}: a summary is a line, not a sentence: {summary}");
        assert!(description.trim_end().ends_with(['.', '}']), "{name}: {description}");
    }
    Ok(())
}

#[test]
fn the_page_has_a_row_for_every_alert() -> Result<()> {
    let page = deploy::read("README.md")?;
    let rows = page.lines().filter(|line| line.starts_with("| Curfew"));
    let cells = rows.map(|row| row.split('|').skip(1).take(2).map(str::trim).collect::<Vec<_>>());
    let alerts = deploy::alerts()?;
    let wanted = alerts.iter().map(|alert| vec![alert.name.as_str(), alert.severity.as_str()]);
    assert_eq!(cells.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    Ok(())
}

#[test]
fn the_manifest_is_made_from_the_rules() -> Result<()> {
    let made = Command::new(deploy::folder().join("kubernetes/generate")).output()?;
    let made = String::from_utf8(made.stdout)?;
    assert!(made == deploy::read("kubernetes/prometheus-rule.yaml")?, "{REMEDY}");
    // With the comments above the groups left out, and nothing else.
    let rules = deploy::read(RULES)?;
    let (_, groups) = rules.split_once("\ngroups:\n").context("the rules have groups")?;
    let of = |text: &str| text.lines().map(str::trim).map(str::to_owned).collect::<Vec<_>>();
    let (_, copied) = made.split_once("  groups:\n").context("the manifest has groups")?;
    assert_eq!(of(copied), of(groups).into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn both_configurations_scrape_the_same() -> Result<()> {
    let hosts = |path: &str| -> Result<Vec<String>> {
        let text = deploy::read(path)?;
        let is_target = |line: &&str| line.contains("targets:") || line.contains("{instance:");
        Ok(text.lines().map(str::trim).filter(is_target).map(str::to_owned).collect())
    };
    let own = hosts(SCRAPE)?;
    assert_eq!(own.len(), 6, "{own:?}");
    assert_eq!(own, hosts("kubernetes/scrape-config.yaml")?);
    assert_eq!(own, hosts("flux/curfew.yaml")?);
    Ok(())
}

#[test]
fn what_dashboards_of_node_exporter_select_has_its_job() -> Result<()> {
    for (path, job) in [(SCRAPE, "node"), ("kubernetes/scrape-config.yaml", "node-exporter")] {
        let text = deploy::read(path)?;
        let rules = text.lines().map(str::trim).skip_while(|line| *line != "regex: .+");
        let own = "regex: (curfew|network_ups_tools|smartctl)_.+";
        let rules: Vec<_> =
            rules.filter(|line| line.starts_with("re") && !line.contains("label")).collect();
        let jobs = [&format!("replacement: {job}"), own, "replacement: curfew"];
        assert_eq!(rules, [&["regex: .+"], jobs.as_slice()].concat(), "{path}");
    }
    Ok(())
}

#[test]
fn nothing_names_a_metric_or_a_label_that_no_agent_has() -> Result<()> {
    let known: BTreeMap<_, _> = families().map(|family| (family.name, family.labels)).collect();
    let queries =
        deploy::queries()?.into_iter().map(|Query { place, expression, .. }| (place, expression));
    let alerts = deploy::alerts()?.into_iter().map(|alert| (alert.name, alert.expression));
    let mut wrong = Vec::new();
    for (place, expression) in queries.chain(alerts) {
        for selector in deploy::selectors(&expression) {
            let metric = selector.metric;
            let labels = match known.get(metric) {
                Some(labels) => *labels,
                // The variables of the UPS are what the UPS has; the host's families are
                // node_exporter's.
                None if metric.starts_with("network_ups_tools_") => &["ups"],
                None if metric.starts_with("node_") => continue,
                None => {
                    wrong.push(format!("{place}: no agent has {metric}"));
                    continue;
                }
            };
            let is_odd = |label: &&&str| !labels.contains(label) && !TARGET.contains(label);
            for label in selector.labels.iter().filter(is_odd) {
                wrong.push(format!("{place}: {metric} has no label {label}"));
            }
        }
    }
    report(&wrong)
}

#[test]
fn every_check_that_an_alert_goes_by_is_in_the_manual() -> Result<()> {
    let manual = deploy::read("../docs/operations.md")?;
    let mut checks = BTreeSet::new();
    for alert in deploy::alerts()? {
        for after in alert.expression.split("check").skip(1) {
            if !after.starts_with(['=', '!']) {
                continue;
            }
            // The names, between quotes and divided by `|`, right behind the operator.
            let names = after.trim_start_matches(['=', '!', '~']).strip_prefix('"');
            let names = names.and_then(|it| it.split_once('"')).map(|(names, _)| names.to_owned());
            checks.extend(names.iter().flat_map(|it| it.split('|')).map(str::to_owned));
        }
    }
    // Of a pattern for hosts only the beginning is a name.
    checks.retain(|check| !check.starts_with("peer-") && !check.is_empty());
    assert!(checks.len() > 8, "{checks:?}");
    let unknown = checks.iter().filter(|check| !manual.contains(&format!("| `{check}` |")));
    report(&unknown.map(|check| format!("docs/operations.md has no {check}")).collect::<Vec<_>>())
}

#[test]
fn every_check_of_an_agent_has_an_alert() -> Result<()> {
    let manual = deploy::read("../docs/operations.md")?;
    let (_, table) = manual.split_once("\n| check |").context("a table of the checks")?;
    let rows = table.lines().take_while(|line| !line.is_empty());
    let rows = rows.filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let checks: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
    assert!(checks.len() > 40 && checks.contains("peers-port"), "{checks:?}");
    let alerts = deploy::alerts()?;
    let mut missing = Vec::new();
    for check in &checks {
        let own = OWN_ALERTS.iter().find(|(name, _)| name == check);
        let is_covered = match own {
            Some((_, own)) => alerts.iter().any(|alert| alert.name == *own),
            None => alerts.iter().any(|alert| goes_by(&alert.expression, check)),
        };
        if !is_covered {
            missing.push(format!("{check} can fail, and no alert says so"));
        }
    }
    report(&missing)
}

/// Returns whether an expression is about a check that warns or fails.
fn goes_by(expression: &str, check: &str) -> bool {
    let selectors = expression.split("curfew_health_status{").skip(1);
    let mut selectors = selectors.filter_map(|it| it.split_once('}')).map(|(selector, _)| selector);
    selectors.any(|selector| {
        let is_bad = ["fail", "warn"].iter().any(|state| accepts(selector, "status", state));
        is_bad && accepts(selector, "check", check)
    })
}

/// Returns whether a selector takes a series with this value, of a pattern of words and `.+`.
fn accepts(selector: &str, label: &str, value: &str) -> bool {
    let Some((_, matcher)) = selector.split_once(label) else { return true };
    let mut parts = matcher.split('"');
    let (operator, pattern) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let is_in = pattern.split('|').any(|word| match word.strip_suffix(".+") {
        Some(start) => value.len() > start.len() && value.starts_with(start),
        None => value == word,
    });
    is_in != operator.starts_with('!')
}

#[test]
fn the_dashboard_is_well_formed() -> Result<()> {
    let dashboard = deploy::dashboard()?;
    assert!(dashboard["schemaVersion"].as_u64() >= Some(38), "made for an older Grafana");
    assert_eq!(dashboard["uid"], "curfew");
    assert!(dashboard["id"].is_null(), "an id belongs to one Grafana");
    let mut ids = BTreeSet::new();
    let mut cells = BTreeMap::new();
    for panel in list(&dashboard, "/panels") {
        let title = panel["title"].as_str().context("a title")?;
        ensure!(ids.insert(panel["id"].as_u64()), "{title}: its id is there twice");
        let side = |name: &str| panel["gridPos"][name].as_u64().context("a place");
        let (x, y) = (side("x")?, side("y")?);
        assert!(x + side("w")? <= 24, "{title} is too wide");
        for cell in
            (x..x + side("w")?).flat_map(|x| (y..y + side("h").unwrap_or(1)).map(move |y| (x, y)))
        {
            let other = cells.insert(cell, title);
            assert_eq!(other, None, "{title} covers another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let targets = list(panel, "/targets");
        assert!(!targets.is_empty(), "{title} asks nothing");
        let names: BTreeSet<_> = targets.iter().map(|it| it["refId"].as_str()).collect();
        assert_eq!(names.len(), targets.len(), "{title}: a query is named twice");
        let is_number =
            !["state-timeline", "table"].contains(&panel["type"].as_str().unwrap_or(""));
        let defaults = &panel["fieldConfig"]["defaults"];
        let has_unit = defaults["unit"].is_string() || defaults["mappings"].is_array();
        assert!(!is_number || has_unit || COUNTS.contains(&title), "{title} has no unit");
    }
    let variables: BTreeSet<_> =
        list(&dashboard, "/templating/list").iter().filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(variables, BTreeSet::from(["datasource", "host", "instance", "ups"]));
    Ok(())
}

fn promtool(command: &[&str], files: &[std::path::PathBuf]) -> Result<()> {
    let output = Command::new("promtool").args(command).args(files).output().context("promtool")?;
    let said = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
    ensure!(output.status.success(), "promtool {}: {}", command.join(" "), said.concat());
    Ok(())
}

fn report(findings: &[String]) -> Result<()> {
    ensure!(findings.is_empty(), "{} to put right:\n{}", findings.len(), findings.join("\n"));
    Ok(())
}

/// The checks that have an alert which goes by another metric.
const OWN_ALERTS: [(&str, &str); 7] = [
    ("journal", "CurfewJournalNotDurable"),
    ("peer-HOST", "CurfewPeerMissing"),
    ("plan-margin", "CurfewPlanDoesNotFit"),
    ("planned-stop", "CurfewPlannedStop"),
    ("shutdown", "CurfewShutdownDeclared"),
    ("ups-contact", "CurfewUpsContactLost"),
    ("ups-supply", "CurfewOnBattery"),
];
/// The tests with series that are not there.
const ABSENT: &str = "absent.test.yml";
/// The labels that Prometheus gives each series by its target.
const TARGET: [&str; 2] = ["instance", "job"];
/// Panels that show a number of things.
const COUNTS: [&str; 5] =
    ["Agents", "Checks failing", "Other NUT clients", "Stopped by hand", "Load over five minutes"];
const REMEDY: &str =
    "make it anew: deploy/kubernetes/generate > deploy/kubernetes/prometheus-rule.yaml";

//! A real Prometheus beside the switch of a laboratory, which scrapes every agent each second.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use serde_json::Value;

use crate::deploy::{self, RULES, SCRAPE, list};
use crate::directory::write;
use crate::host::Host;
use crate::http;
use crate::process::{Process, Program};

/// The program, with what `deploy/` ships.
#[derive(Debug)]
pub struct Prometheus {
    _process: Process,
    started: Duration,
}

/// The labels of an alert that fires, its name among them.
pub type Firing = BTreeMap<String, String>;

impl Prometheus {
    /// Starts it in the namespace `namespace`, which must be that of the calling thread, with its
    /// files in `folder`.
    ///
    /// The rules are those of `deploy/` but for one thing: nothing waits for its `for`. The
    /// configuration is theirs too, with the addresses of the laboratory, and all is done each
    /// second.
    pub fn start(folder: &Path, namespace: &str) -> Result<Self> {
        ensure!(
            Path::new(PROGRAM).exists(),
            "there is no {PROGRAM}: apt-get install --no-install-recommends prometheus"
        );
        write(&folder.join("curfew.rules.yml"), &without_waits(&deploy::read(RULES)?))?;
        let scrape = each_second(&here(&deploy::read(SCRAPE)?)?);
        let head = "global: {scrape_interval: 1s, evaluation_interval: 1s}\n\
                    rule_files: [curfew.rules.yml]\n";
        let configuration = folder.join("prometheus.yml");
        write(&configuration, &format!("{head}{scrape}"))?;
        let program = Program::new(namespace, Path::new(PROGRAM), &folder.join("log"));
        let process = program.args([
            format!("--config.file={}", configuration.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address={ADDRESS}"),
            "--log.level=warn".to_owned(),
        ]);
        Ok(Self { _process: process.start()?, started: now()? })
    }

    /// Returns all alerts that fire.
    pub fn firing(&self) -> Result<Vec<Firing>> {
        let answer = ask("/api/v1/alerts")?;
        let firing = list(&answer, "/data/alerts").iter().filter(|it| it["state"] == "firing");
        firing.map(|it| serde_json::from_value(it["labels"].clone()).context("labels")).collect()
    }

    /// Returns how many rules there are, once each of them was evaluated without an error.
    pub fn good_rules(&self) -> Result<usize> {
        let answer = ask("/api/v1/rules")?;
        let rules = list(&answer, "/data/groups").iter().flat_map(|group| list(group, "/rules"));
        let healths: Vec<_> = rules.map(|rule| rule["health"] == "ok").collect();
        ensure!(healths.iter().all(|is_good| *is_good), "a rule cannot be evaluated: {answer}");
        Ok(healths.len())
    }

    /// Returns how often the evaluation of a rule has failed since the start.
    pub fn failed_evaluations(&self) -> Result<f64> {
        let page = http::ask(ADDRESS, "/metrics", LIMIT)?;
        let lines = page.body.lines().filter(|line| line.starts_with(FAILURES));
        let counts: Option<Vec<f64>> = lines.map(count).collect();
        let counts = counts.filter(|counts| !counts.is_empty()).context("they are not counted")?;
        Ok(counts.iter().sum())
    }

    /// Returns how many series `expression` has now.
    pub fn count(&self, expression: &str) -> Result<usize> {
        let answer = ask(&format!("/api/v1/query?query={}", encoded(expression)))?;
        Ok(list(&answer, "/data/result").len())
    }

    /// Returns how many series `expression` has had since the start.
    pub fn count_ever(&self, expression: &str) -> Result<usize> {
        let (start, end) = (self.started.as_secs(), now()?.as_secs());
        let range = format!("start={start}&end={end}&step=1s");
        let answer = ask(&format!("/api/v1/query_range?query={}&{range}", encoded(expression)))?;
        Ok(list(&answer, "/data/result").len())
    }

    /// Returns the type of a family, as the agents name it in the form that Prometheus asks for.
    pub fn kind(&self, family: &str) -> Result<Option<String>> {
        let answer = ask(&format!("/api/v1/metadata?metric={}", encoded(family)))?;
        let first = list(&answer, &format!("/data/{family}")).first();
        Ok(first.and_then(|it| it["type"].as_str()).map(str::to_owned))
    }

    /// Returns for how many seconds it has run.
    pub fn age_seconds(&self) -> Result<u64> {
        Ok(now()?.saturating_sub(self.started).as_secs())
    }
}

fn ask(path: &str) -> Result<Value> {
    let answer = http::ask(ADDRESS, path, LIMIT)?;
    ensure!(answer.code == 200, "{path}: {}", answer.body);
    serde_json::from_str(&answer.body).context("no JSON")
}

/// Has every alert fire as soon as its expression holds: a story has no minutes.
fn without_waits(rules: &str) -> String {
    let line = |line: &str| match line.trim_start().strip_prefix("for: ") {
        Some(_) => line.split("for: ").next().unwrap_or_default().to_owned() + "for: 0s\n",
        None => format!("{line}\n"),
    };
    rules.lines().map(line).collect()
}

/// Puts the hosts of the laboratory in the place of those of the documentation.
fn here(scrape: &str) -> Result<String> {
    let mut scrape = scrape.to_owned();
    for host in Host::ALL {
        let name = format!("labels: {{instance: {host}}}");
        ensure!(scrape.contains(&name), "{SCRAPE} does not scrape {host}");
        let [.., last] = host.address().octets();
        let shipped = format!("\"10.0.0.{last}:9100\"");
        ensure!(scrape.contains(&shipped), "{SCRAPE} does not scrape {shipped}");
        scrape = scrape.replace(&shipped, &format!("\"{}:9100\"", host.address()));
    }
    Ok(scrape)
}

/// An outage of the laboratory is over within what is one scrape otherwise.
fn each_second(scrape: &str) -> String {
    scrape
        .replace("scrape_interval: 15s", "scrape_interval: 1s")
        .replace("scrape_timeout: 5s", "scrape_timeout: 1s")
}

fn count(line: &str) -> Option<f64> {
    line.rsplit(' ').next()?.parse().ok()
}

/// Escapes whatever has, or could have, a meaning in a URL.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn now() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_REALTIME).context("read the clock")?.into())
}

const PROGRAM: &str = "/usr/bin/prometheus";
/// In a namespace of the laboratory's own.
const ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);
/// A query over a whole story, on a machine that is busy with others.
const LIMIT: Duration = Duration::from_secs(5);
const FAILURES: &str = "prometheus_rule_evaluation_failures_total{";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wait_is_taken_out_and_nothing_else() {
        let rules = "      - alert: A\n        for: 15s\n        labels: {for: x}\n";
        let wanted = "      - alert: A\n        for: 0s\n        labels: {for: x}\n";
        assert_eq!(without_waits(rules), wanted);
    }

    #[test]
    fn the_shipped_configuration_fits_the_laboratory() -> Result<()> {
        let scrape = each_second(&here(&deploy::read(SCRAPE)?)?);
        assert!(!scrape.contains("10.0.0.") && !scrape.contains("15s"), "{scrape}");
        Ok(())
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(encoded(r#"a{b="c"}+1"#), "a%7Bb%3D%22c%22%7D%2B1");
    }
}

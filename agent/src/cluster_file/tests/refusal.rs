//! A failing example for every rule: on which line it is found, what it says, and what to type.

use super::super::ClusterFile;
use super::super::finding::{Finding, Severity};

/// A file without any finding; the cases below change one thing in it.
const GOOD: &str = r#"[cluster]
name = "lab"

[[ups]]
name = "eaton"
owner = "nfs"
upsd = "127.0.0.1:3493"
username = "curfew"
password-file = "/etc/password"

[[host]]
name = "nfs"
address = "127.0.0.13"
system = "dry-run"
ups = ["eaton"]

[[host]]
name = "k1"
address = "127.0.0.11"
system = "dry-run"
ups = ["eaton"]
needs = ["nfs"]
mac = "02:00:00:00:00:01"

[[host]]
name = "k2"
address = "127.0.0.12"
system = "dry-run"
ups = ["eaton"]
needs = ["nfs", "k1"]
mac = "02:00:00:00:00:02"

[shutdown]
debounce = "5s"

[restart]
charge-above = 30
"#;

/// What to replace, by what, and what is found then: line, message and remedy in part.
type Case = (&'static str, &'static str, usize, &'static str, &'static str);

/// A line of a host, in whose place others are tried.
const HEALTH: &str = "mac = \"02:00:00:00:00:02\"";

const VALUES: &[Case] = &[
    // Not TOML.
    ("name = \"lab\"", "name = lab", 2, "this is not TOML", "strings in quotes"),
    ("[restart]", "[restart", 36, "this is not TOML", "key = value"),
    ("name = \"k1\"", "name = \"k1\"\nname = \"k3\"", 19, "duplicate key", "key = value"),
    // Keys.
    ("debounce", "debuonce", 34, "`debuonce` is no key of [shutdown]", "mean `debounce`?"),
    ("owner =", "brand = \"x\"\nowner =", 6, "`brand` is no key of [[ups]]", "remove it; known"),
    ("mac = \"02:00:00:00:00:02\"", "http_port = 1", 31, "`http_port` is no", "mean `http-port`?"),
    ("[restart]", "[reboot]\n[restart]", 36, "`reboot` is no key of the file", "remove it"),
    ("[shutdown]", "[host.path]\n[shutdown]", 33, "`path` is no key of [[host]]", "`paths`?"),
    ("[cluster]\nname = \"lab\"", "", 1, "`name` is missing in [cluster]", "write name ="),
    ("name = \"k1\"\n", "", 17, "`name` is missing in [[host]]", "write name = \"nfs\""),
    ("address = \"127.0.0.11\"\n", "", 17, "`address` is missing", "write address = \"10."),
    ("upsd = \"127.0.0.1:3493\"\n", "", 4, "`upsd` is missing in [[ups]]", "write upsd = \"10."),
    ("username = \"curfew\"\n", "", 4, "`username` is missing", "write username = \"curfew\""),
    ("password-file = \"/etc/password\"\n", "", 4, "`password-file` is missing", "write pass"),
    // Types.
    ("name = \"lab\"", "name = 5", 2, "it is a whole number, not a string", "write name ="),
    ("ups = [\"eaton\"]\nneeds = [\"nfs\"]", "ups = \"eaton\"", 21, "not an array", "ups = ["),
    ("needs = [\"nfs\"]", "needs = [\n\"nfs\",\n3]", 24, "`needs` in [[host]] is wrong", "needs ="),
    ("needs = [\"nfs\"]", "control-plane = \"yes\"", 22, "not true or false", "= true"),
    ("[shutdown]\ndebounce = \"5s\"", "shutdown = 5", 33, "is no key of [[host]]", "remove it"),
    ("[cluster]", "restart = 1\n[cluster]", 37, "this is not TOML: duplicate key", "key ="),
    ("charge-above = 30", "charge-above = 30.5", 37, "it is a fraction", "charge-above = 30"),
    // Durations, numbers and their bounds.
    (
        "\"5s\"",
        "5",
        34,
        "`debounce` in [shutdown] is wrong: `5` lacks a unit",
        "write debounce = \"",
    ),
    ("\"5s\"", "\"5\"", 34, "`5` lacks a unit", "write debounce = \"60s\""),
    ("\"5s\"", "\"5 sec\"", 34, "`5 sec` is not a duration", "write debounce ="),
    ("\"5s\"", "\"2m\"", 34, "`debounce` in [shutdown] is out of bounds", "\"100ms\" to \"1m\""),
    ("upsd", "poll = \"3s\"\nupsd", 7, "`poll` in [[ups]] is out of bounds", "\"100ms\" to \"2s\""),
    ("charge-above = 30", "charge-above = 96", 37, "out of bounds", "write 0 to 95, such as 30"),
    ("charge-above = 30", "charge-above = -1", 37, "`-1` is out of bounds", "charge-above = 30"),
    ("debounce = \"5s\"", "on-battery-for = \"0s\"", 34, "shorter than a second", "\"off\" or"),
    ("debounce = \"5s\"", "stop-timeout = \"1h\"", 34, "out of bounds", "\"1s\" to \"30m\""),
    ("name = \"lab\"", "name = \"lab\"\ntime-factor = 0", 3, "out of bounds", "write 1 to 100"),
    ("mac = \"02:00:00:00:00:02\"", "http-port = 0", 31, "out of bounds", "write 1 to 65535"),
    // Values with a form of their own.
    ("name = \"k1\"", "name = \"K1\"", 18, "`K1` is not a name", "write name ="),
    ("name = \"eaton\"", "name = \"ea ton\"", 5, "`ea ton` is not a UPS of NUT", "write name ="),
    ("\"curfew\"", "\"cur few\"", 8, "not a user name without blanks", "write username"),
    ("\"/etc/password\"", "\"password\"", 9, "not an absolute path", "\"/absolute/path\""),
    ("127.0.0.1:3493", "127.0.0.1", 7, "and a port from 1", "write upsd = \"10."),
    ("127.0.0.1:3493", "127.0.0.1:0", 7, "and a port from 1", "write upsd = \"10."),
    (
        "\"127.0.0.11\"",
        "\"k1.lan\"",
        19,
        "a name would put a resolver on the path",
        "write address",
    ),
    ("\"127.0.0.11\"", "\"0.0.0.0\"", 19, "not an address of one host", "write address"),
    ("02:00:00:00:00:01", "02:00:00:00:00", 23, "not six pairs", "mac = \"aa:bb"),
    ("02:00:00:00:00:01", "ff:ff:ff:ff:ff:ff", 23, "not the address of one network card", "mac ="),
    ("mac = \"02:00:00:00:00:02\"", "ready = \"ftp://x\"", 31, "or tcp://", "write ready ="),
    (
        "mac = \"02:00:00:00:00:02\"",
        "ready = \"tcp://x\"",
        31,
        "or tcp://address:port",
        "write ready =",
    ),
    ("mac = \"02:00:00:00:00:02\"", "wake = \"10.0.0.255\"", 31, "and a port", "write wake ="),
    ("mac = \"02:00:00:00:00:02\"", "listen = \"eth0\"", 31, "not an IP address", "listen ="),
    ("mac = \"02:00:00:00:00:02\"", "nfs-exports = [\"a\"]", 31, "not an absolute path", "\"/abs"),
    // What is watched of a host and shown of it.
    (HEALTH, "health.space-below = 91", 31, "out of bounds", "write 0 to 90, such as 10"),
    (HEALTH, "health.inodes-below = 91", 31, "out of bounds", "write 0 to 90, such as 10"),
    (HEALTH, "health.full-within = \"8h\"\nhealth.full-withn = 1", 32, "no key", "`full-within`?"),
    (HEALTH, "health.full-within = \"169h\"", 31, "out of bounds", "\"off\" to \"168h\""),
    (HEALTH, "health.full-within = \"0s\"", 31, "shorter than a second", "\"off\" or"),
    (HEALTH, "health.filesystems-ignored = [\"a\"]", 31, "not an absolute", "ignored = [\"/abs"),
    (HEALTH, "health.memory-pressure = 0", 31, "out of bounds", "write 1 to 100, such as 20"),
    (HEALTH, "health.temperature-above = 20", 31, "out of bounds", "write 30 to 120, such as 85"),
    (HEALTH, "health.temperature-above = \"85\"", 31, "not a whole number", "above = 30"),
    (HEALTH, "health.clock-off = \"1ms\"", 31, "out of bounds", "\"10ms\" to \"1h\""),
    (HEALTH, "health.certificate-expires-within = \"1m\"", 31, "out of bounds", "\"720h\""),
    (HEALTH, "health.units-ignored = [\"nginx\"]", 31, "`nginx` is not the whole", "daily.service"),
    (HEALTH, "health.units-ignored = [\"a b.service\"]", 31, "not the whole", "daily.service"),
    (HEALTH, "health.smart = 1", 31, "not true or false", "write smart = true"),
    (HEALTH, "health.charge-stuck-for = \"1m\"", 31, "out of bounds", "such as \"6h\""),
    (HEALTH, "health.runtime-loss = 100", 31, "out of bounds", "write 5 to 95, such as 30"),
    (HEALTH, "metrics.text-folders = [\"x\"]", 31, "not an absolute path", "folders = [\"/abs"),
    (HEALTH, "metrics.without = [\"hwmom\"]", 31, "`hwmom` is not one of arp, ", "without = ["),
    (HEALTH, "metrics.without = [\"hwmom\"]", 31, "did you mean `hwmon`?", "write without = ["),
    ("debounce = \"5s\"", "off-proof = \"netwrk\"", 34, "did you mean `network`?", "off-proof ="),
];

const RULES: &[Case] = &[
    // Names.
    ("name = \"k2\"", "name = \"k1\"", 26, "two hosts have the name `k1`", "another name"),
    ("\"02:00:00:00:00:02\"", "\"02-00-00-00-00-01\"", 31, "two hosts have the mac", "another mac"),
    (
        "needs = [\"nfs\", \"k1\"]",
        "needs = [\"nfs\", \"k11\"]",
        30,
        "`k11`, what host `k2` needs",
        "`k1`?",
    ),
    (
        "needs = [\"nfs\"]",
        "needs = [\"gateway\"]",
        22,
        "is no [[host]]",
        "add [[host]] name = \"gat",
    ),
    ("owner = \"nfs\"", "owner = \"nsf\"", 6, "`nsf`, the owner of UPS `eaton`", "add [[host]]"),
    (
        "ups = [\"eaton\"]\n\n",
        "ups = [\"eton\"]\n\n",
        15,
        "`eton`, what feeds host `nfs`",
        "`eaton`?",
    ),
    // The network.
    (
        "127.0.0.12\"",
        "127.0.0.11\"\npeer-port = 1",
        27,
        "hosts `k1` and `k2` both listen on 127.0.0.11:9100",
        "host `k2`",
    ),
    (
        "mac = \"02:00:00:00:00:02\"",
        "http-port = 9101",
        27,
        "would listen on 127.0.0.12:9101 tw",
        "port",
    ),
    // The order.
    (
        "needs = [\"nfs\"]",
        "needs = [\"nfs\", \"k2\"]",
        22,
        "`k1` needs `k2` needs `k1`",
        "remove one of them",
    ),
    (
        "needs = [\"nfs\"]",
        "needs = [\"k1\"]",
        22,
        "circle, so that none can start: `k1` needs `k1`",
        "\"k1\"",
    ),
    // Feeds.
    (
        "ups = [\"eaton\"]\nneeds = [\"nfs\"]",
        "needs = [\"nfs\"]",
        17,
        "fed by no UPS",
        "ups = [\"eaton\"]",
    ),
    (
        "ups = [\"eaton\"]\nneeds = [\"nfs\"]",
        "ups = []",
        21,
        "`k1` is fed by no UPS",
        "write ups = [",
    ),
    // Limits.
    ("= 30", "= 20", 37, "woken above 20 % of charge", "write charge-above = 30 or more"),
    (
        "\"5s\"",
        "\"20s\"\nlow-battery-left = \"20s\"",
        34,
        "debounce is 20s and low-b",
        "less than low-b",
    ),
    ("\"5s\"", "\"5s\"\ncut-margin = \"2m\"", 35, "cut-margin is 2m and low-battery", "less than"),
    ("= 30", "= 30\nwake-every = \"10m\"", 38, "wake-every is 10m and wake-timeout", "less than"),
    // Systems.
    (
        "system = \"dry-run\"\nups = [\"eaton\"]\nneeds = [\"nfs\"]",
        "system = \"dryrun\"\nups = [\"eaton\"]",
        20,
        "one of systemd, talos, command, dry-run; did you mean `dry-run`?",
        "write system =",
    ),
    (
        "system = \"dry-run\"\nups = [\"eaton\"]\nneeds = [\"nfs\"]",
        "ups = [\"eaton\"]",
        17,
        "`system` is missing in [[host]]",
        "write system =",
    ),
    (
        "system = \"dry-run\"\nups = [\"eaton\"]\nneeds = [\"nfs\"]",
        "system = \"command\"\nups = [\"eaton\"]",
        17,
        "`stop` is missing in [host.command]",
        "stop = [\"/usr/sbin/poweroff\"]",
    ),
    (
        "[shutdown]",
        "[host.command]\nstop = [\"/x\"]\n[shutdown]",
        33,
        "[host.command] means nothing to",
        "write system = \"command\"",
    ),
    (
        "[shutdown]",
        "[host.talos]\n[shutdown]",
        33,
        "[host.talos] means nothing to host `k2`",
        "talos",
    ),
];

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from:?} is not in the good file");
    GOOD.replacen(from, to, 1)
}

/// Returns the only finding of a severity.
fn only(text: &str, severity: Severity) -> Finding {
    let findings = ClusterFile::parse(text).findings;
    let mut found = findings.iter().filter(|finding| finding.severity == severity);
    match (found.next(), found.next()) {
        (Some(finding), None) => finding.clone(),
        _ => panic!("not one {severity:?} but {findings:#?}\n{text}"),
    }
}

fn is_found(finding: &Finding, (line, message, remedy): (usize, &str, &str)) -> bool {
    finding.place.map(|place| place.line) == Some(line)
        && finding.message.contains(message)
        && finding.remedy.contains(remedy)
}

fn assert_found(finding: &Finding, expected: (usize, &str, &str), text: &str) {
    assert!(is_found(finding, expected), "{expected:?} is not in {finding:#?}\n{text}");
}

#[test]
fn the_good_file_has_no_finding() {
    let parsed = ClusterFile::parse(GOOD);
    assert_eq!(parsed.findings, []);
    assert!(parsed.file().is_some());
}

#[test]
fn each_mistake_is_found_alone_on_its_line_with_a_remedy() {
    let mut wrong = Vec::new();
    for (from, to, line, message, remedy) in VALUES.iter().chain(RULES) {
        let parsed = ClusterFile::parse(&changed(from, to));
        assert!(parsed.file().is_none(), "{from} -> {to} is taken");
        match parsed.findings.as_slice() {
            [found] if found.severity == Severity::Error => {
                if !is_found(found, (*line, message, remedy)) {
                    wrong.push(format!("{from} -> {to}: expected {line}: {message}, got {found}"));
                }
            }
            others => wrong.push(format!("{from} -> {to}: not one error but {others:#?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_mistakes_of_a_file_are_reported_at_once_in_its_order() {
    let mut text = GOOD.to_owned();
    for (from, to) in [
        ("name = \"lab\"", "name = \"lab\"\ncolour = 1"),
        ("127.0.0.1:3493", "nowhere"),
        ("127.0.0.11", "here"),
        ("\"nfs\", \"k1\"", "\"nfs\", \"k9\", \"gateway\""),
        ("\"5s\"", "\"5\""),
        ("= 30", "= 10"),
    ] {
        text = text.replacen(from, to, 1);
    }
    let findings = ClusterFile::parse(&text).findings;
    let lines: Vec<usize> =
        findings.iter().filter_map(|f| f.place).map(|place| place.line).collect();
    assert_eq!(lines, [3, 8, 20, 31, 31, 35, 38], "{findings:#?}");
}

#[test]
fn broken_syntax_is_reported_beside_wrong_values_without_what_may_have_been_lost() {
    let text =
        changed("owner = \"nfs\"", "owner = nfs").replace("\"5s\"", "5").replace("02:", "2:");
    let findings = ClusterFile::parse(&text).findings;
    let lines: Vec<usize> =
        findings.iter().filter_map(|f| f.place).map(|place| place.line).collect();
    assert_eq!(lines, [6, 23, 31, 34], "{findings:#?}");
}

#[test]
fn an_empty_file_is_told_what_a_cluster_needs() {
    let findings = ClusterFile::parse("").findings;
    let told: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told.iter().any(|line| line.contains("no host; write [[host]] with name")));
    assert!(told.iter().any(|line| line.contains("no UPS; write [[ups]] with name")));
}

#[test]
fn columns_count_characters() {
    let text = changed("name = \"lab\"", "\"größe\" = 1\nname = \"lab\"");
    assert_eq!(only(&text, Severity::Error).to_string().split(' ').next(), Some("2:1:"));
    let text = changed("needs = [\"nfs\", \"k1\"]", "needs = [\"nfs\", \"k9\", \"k1\"]");
    assert!(only(&text, Severity::Error).to_string().starts_with("30:17: error: `k9`"));
}

#[test]
fn an_owner_needs_nothing_that_its_ups_feeds() {
    let text = changed("[\"eaton\"]\n\n", "[\"eaton\"]\nneeds = [\"switch\"]\n\n").replace(
        "[shutdown]",
        "[[host]]\nname = \"switch\"\naddress = \"127.0.0.9\"\nsystem = \"dry-run\"\n\
         ups = [\"eaton\"]\n\n[shutdown]",
    );
    let expected = (16, "owns UPS `eaton` and must stop last, but needs `switch`", "\"switch\"");
    assert_found(&only(&text, Severity::Error), expected, &text);
}

#[test]
fn an_owner_is_a_host_that_can_hold() {
    let talos = changed("system = \"dry-run\"", "system = \"talos\"");
    let found = ClusterFile::parse(&talos).findings;
    let expected = "owns a UPS, and Talos can neither hold nor cut";
    assert!(found.iter().any(|f| f.message.contains(expected)), "{found:#?}");

    let command = "system = \"command\"\ncommand.stop = [\"/bin/x\"]\ncommand.hold = [\"/bin/y\"]";
    let text = changed("system = \"dry-run\"", command);
    let expected = (15, "`nfs` owns a UPS and has no `reboot` command", "reboot = [");
    assert_found(&only(&text, Severity::Error), expected, &text);
    let expected = (15, "has no `cut` command: it holds also", "write cut = [");
    assert_found(&only(&text, Severity::Note), expected, &text);
    let text = text.replace("\"/bin/y\"", "\"y\"");
    let hold = ClusterFile::parse(&text).findings;
    assert!(hold.iter().any(|f| f.message.contains("`y` is not an absolute path")), "{hold:#?}");
}

#[test]
fn two_upses_have_two_names() {
    let twin = "[[ups]]\nname = \"eaton\"\nowner = \"nfs\"\nupsd = \"127.0.0.1:1\"\n\n[[host]]";
    let text = changed("[[host]]", twin);
    let expected = (12, "two UPSes have the name `eaton`", "give one of them another name");
    assert_found(&only(&text, Severity::Error), expected, &text);
}

#[test]
fn a_rehearsal_speeds_up_no_machine() {
    let text = changed("name = \"lab\"", "name = \"lab\"\ntime-factor = 10")
        .replace("debounce", "off-proof = \"session\"\ndebounce");
    assert!(ClusterFile::parse(&text).file().is_some());
    let text = text.replacen("system = \"dry-run\"", "system = \"systemd\"", 1);
    let found = ClusterFile::parse(&text).findings;
    let find = |message: &str| {
        let found = found.iter().find(|finding| finding.message.contains(message));
        found.unwrap_or_else(|| panic!("no {message:?} in {found:#?}"))
    };
    let factor = find("time-factor is for rehearsals, and host `nfs` is a systemd machine");
    assert_eq!((factor.severity, factor.place.map(|p| p.line)), (Severity::Error, Some(3)));
    let proof = find("a pulled cable proves that host `nfs` is off");
    assert_eq!((proof.severity, proof.place.map(|p| p.line)), (Severity::Warning, Some(35)));
}

#[test]
fn doubts_refuse_nothing() {
    let second = "[[ups]]\nname = \"apc\"\nowner = \"nfs\"\nupsd = \"127.0.0.1:3493\"\n\
                  username = \"curfew\"\npassword-file = \"/etc/password\"\n\n[[host]]";
    let login = "username = \"curfew\"\npassword-file = \"/etc/password\"\n";
    let slow = "\"5s\"\nstop-timeout = \"15m\"";
    let cases: [(&str, &str, Severity, usize, &str, &str); 6] = [
        ("[[host]]", second, Severity::Note, 11, "UPS `apc` is watched and not", "first"),
        (login, "", Severity::Note, 4, "neither warn other NUT clients", "upsd.users"),
        ("127.0.0.1:3493", "ups.lan:3493", Severity::Note, 7, "must be resolved", "IP address"),
        ("\"5s\"", slow, Severity::Warning, 25, "k2, k1, nfs one after the other may take 45m", ""),
        ("127.0.0.11", "10.0.0.11", Severity::Warning, 7, "on `k1` it is that machine", "`nfs`"),
        ("mac = \"02:00:00:00:00:02\"", "ready = \"https://k2/\"", Severity::Note, 31, "`k2`", ""),
    ];
    for (from, to, severity, line, message, remedy) in cases {
        let text = changed(from, to);
        assert_found(&only(&text, severity), (line, message, remedy), &text);
        assert!(ClusterFile::parse(&text).file().is_some(), "{text}");
    }
    let text = changed("[[host]]", second)
        .replace("ups = [\"eaton\"]\nneeds = [\"nfs\"]", "ups = [\"apc\"]");
    let expected =
        (28, "host `k1` is fed only by a UPS that is not acted on", "feed it by `eaton`");
    assert_found(&only(&text, Severity::Warning), expected, &text);
}

#[test]
fn a_machine_that_cannot_be_woken_or_shares_an_address_is_pointed_out() {
    let text = changed(
        "system = \"dry-run\"\nups = [\"eaton\"]\nneeds",
        "system = \"talos\"\nups = [\"eaton\"]\nneeds",
    )
    .replace("mac = \"02:00:00:00:00:01\"\n", "");
    let expected =
        (17, "host `k1` has no mac: it can only come back by its firmware", "wake-on-LAN");
    assert_found(&only(&text, Severity::Warning), expected, &text);
    let text = text.replace("127.0.0.12\"", "127.0.0.11\"\nhttp-port = 1\npeer-port = 2");
    let found = ClusterFile::parse(&text).findings;
    let expected = "hosts `k1` and `k2` have the address 127.0.0.11";
    assert!(found.iter().any(|finding| finding.message.contains(expected)), "{found:#?}");
}

#[test]
fn every_system_can_be_stopped() {
    let from = "system = \"dry-run\"
ups = [\"eaton\"]
needs";
    for system in ["talos", "systemd"] {
        let word = format!(
            "system = \"{system}\"
ups = [\"eaton\"]
needs"
        );
        let found = ClusterFile::parse(&changed(from, &word)).findings;
        assert!(found.iter().all(|finding| finding.severity != Severity::Error), "{found:#?}");
    }
}

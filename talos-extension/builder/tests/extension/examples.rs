//! What `docs/talos.md` has people apply: it parses, and its names are those of the extension.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use curfew::cluster_file::ClusterFile;
use curfew_extension::yaml::{self, Node};

use crate::stage::{Folder, sources};

/// The files, and the kinds of the documents in each.
const EXAMPLES: [(&str, &[&str]); 9] = [
    ("extension-service-config.yaml", &["ExtensionServiceConfig"]),
    ("firewall.yaml", &["NetworkRuleConfig", "NetworkRuleConfig"]),
    ("installer-1.14.yaml", &["UnattendedInstallConfig"]),
    ("installer.yaml", &[""]),
    ("kubelet-1.14.yaml", &["KubeletConfig"]),
    ("kubelet.yaml", &[""]),
    ("nfs-volume.yaml", &["PersistentVolume"]),
    ("remove-document.yaml", &["ExtensionServiceConfig"]),
    ("wake-on-lan.yaml", &["EthernetConfig"]),
];

fn example(name: &str) -> Vec<Node> {
    let path = sources().join("examples").join(name);
    let text = fs::read_to_string(&path).expect("it is in the checkout");
    yaml::parse(&text).expect("it is well-formed")
}

/// Returns the text at a path of keys.
#[track_caller]
fn text<'a>(node: &'a Node, keys: &[&str]) -> &'a str {
    let found = keys.iter().try_fold(node, |node, key| node.get(key)).and_then(Node::text);
    found.expect("the text is there")
}

fn items<'a>(node: &'a Node, keys: &[&str]) -> &'a [Node] {
    keys.iter().try_fold(node, |node, key| node.get(key)).map(Node::items).unwrap_or_default()
}

#[test]
fn every_example_is_of_the_kind_that_it_is_for() {
    let folder = fs::read_dir(sources().join("examples")).expect("it is in the checkout");
    let mut found: Vec<_> = folder
        .map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, EXAMPLES.map(|(name, _)| name), "each is known here");
    for (name, kinds) in EXAMPLES {
        let documents = example(name);
        let kind = |node: &Node| node.get("kind").and_then(Node::text).unwrap_or("").to_owned();
        assert_eq!(documents.iter().map(kind).collect::<Vec<_>>(), kinds, "{name}");
        for document in documents.iter().filter(|it| it.get("kind").is_some()) {
            let version = if name == "nfs-volume.yaml" { "v1" } else { "v1alpha1" };
            assert_eq!(text(document, &["apiVersion"]), version, "{name}");
        }
    }
}

#[test]
fn what_is_removed_is_what_was_applied() {
    let (removed, applied) =
        (example("remove-document.yaml"), example("extension-service-config.yaml"));
    let name = |documents: &[Node]| text(documents.first().expect("one"), &["name"]).to_owned();
    assert_eq!(name(&removed), name(&applied));
    assert_eq!(text(removed.first().expect("one"), &["$patch"]), "delete");
}

#[test]
fn the_files_are_where_the_agent_looks_for_them() {
    let service = fs::read_to_string(sources().join("curfew.yaml")).expect("it is there");
    let service = yaml::parse(&service).expect("it is well-formed");
    let service = service.first().expect("it has a document");
    let environment = items(service, &["container", "environment"]);
    let variable = |name: &str| {
        let mut pairs = environment.iter().filter_map(|it| it.text()?.split_once('='));
        pairs.find(|(it, _)| *it == name).expect("it is set").1
    };
    let documents = example("extension-service-config.yaml");
    let [document] = documents.as_slice() else { unreachable!("{documents:?}") };
    assert_eq!(text(document, &["name"]), text(service, &["name"]));
    let files = items(document, &["configFiles"]);
    let paths: Vec<_> = files.iter().map(|it| text(it, &["mountPath"])).collect();
    let pki = variable("CURFEW_PKI");
    let wanted = ["ca.crt", "host.crt", "host.key"].map(|name| format!("{pki}/{name}"));
    assert_eq!(paths.first(), Some(&variable("CURFEW_CLUSTER")));
    assert_eq!(paths.get(1..), Some(&wanted.each_ref().map(String::as_str)[..]));
    // Talos names the files on the node so, and two of one name would be one.
    let mut names: Vec<_> = paths.iter().map(|path| path.replace('/', "-")).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), paths.len());

    let cluster = text(files.first().expect("it is the first"), &["content"]);
    let parsed = ClusterFile::parse(cluster);
    let file = parsed.file().expect("curfew check takes it");
    let mut own = items(document, &["environment"]).iter().filter_map(Node::text);
    let host = own.find_map(|it| it.strip_prefix("CURFEW_HOST=")).expect("it is set");
    let host = file.host(host).expect("it is a host");
    assert_eq!(host.system.label(), "talos");
}

fn document(arguments: &[&str]) -> Output {
    Command::new(sources().join("document")).args(arguments).output().expect("bash is there")
}

/// A certificate directory as `curfew pki issue` makes one, with texts in place of keys.
fn pki(folder: &Folder) -> PathBuf {
    let host = folder.0.join("k8s-1");
    fs::create_dir(&host).expect("it can be made");
    let put = |name: &str, label: &str, whose: &str| {
        let text = format!(
            "-----BEGIN {label}-----\nof the {whose}: pki/k8s-1/{name}\n-----END {label}-----\n"
        );
        curfew_extension::write::put(&host.join(name), text.as_bytes()).expect("it can be written");
    };
    put("ca.crt", "CERTIFICATE", "authority");
    put("host.crt", "CERTIFICATE", "host");
    put("host.key", "PRIVATE KEY", "host");
    folder.0.clone()
}

#[test]
fn the_document_of_a_host_is_made_by_a_command() {
    let folder = Folder::new();
    let pki = pki(&folder);
    let pki = pki.to_str().expect("it is a text");
    let home = sources().join("../docs/examples/home.toml");
    let home = home.to_str().expect("it is a text");
    let made = document(&["k8s-1", "--cluster", home, "--pki", pki]);
    assert!(made.status.success(), "{made:?}");
    let example = sources().join("examples/extension-service-config.yaml");
    let example = fs::read_to_string(example).expect("it is there");
    assert_eq!(String::from_utf8_lossy(&made.stdout), example, "make the example anew");

    let parsed = yaml::parse(&example).expect("it is well-formed");
    let files = items(parsed.first().expect("it has a document"), &["configFiles"]);
    let contents = files.iter().map(|it| text(it, &["content"]));
    let sources = [home.to_owned()].into_iter();
    let names = ["ca.crt", "host.crt", "host.key"];
    let sources = sources.chain(names.map(|name| format!("{pki}/k8s-1/{name}")));
    for (content, source) in contents.zip(sources) {
        assert_eq!(content, fs::read_to_string(&source).expect("it is there"), "{source}");
    }
    for (host, cluster, pki) in
        [("k8s-9", home, pki), ("k8s-2", home, pki), ("k8s-1", "/nowhere", pki), ("", home, pki)]
    {
        let refused = document(&[host, "--cluster", cluster, "--pki", pki]);
        assert_eq!(refused.status.code(), Some(2), "{refused:?}");
        assert!(refused.stdout.is_empty() && !refused.stderr.is_empty(), "{refused:?}");
    }
}

#[test]
fn ports_and_grace_periods_are_those_of_the_manual() {
    let rules = example("firewall.yaml");
    let ports = rules.iter().flat_map(|it| items(it, &["portSelector", "ports"]));
    assert_eq!(ports.filter_map(Node::text).collect::<Vec<_>>(), ["9101", "9100"]);
    let [old, new] = ["kubelet.yaml", "kubelet-1.14.yaml"].map(example);
    let old = old.first().and_then(|it| it.get("machine")?.get("kubelet")?.get("extraConfig"));
    let new = new.first().and_then(|it| it.get("config"));
    let (old, new) = (old.expect("it is there"), new.expect("it is there"));
    for key in ["shutdownGracePeriod", "shutdownGracePeriodCriticalPods"] {
        assert_eq!(text(old, &[key]), text(new, &[key]));
    }
}

#[test]
fn every_example_has_its_place_in_the_manual() {
    let manual = sources().join("../docs/talos.md");
    let manual = fs::read_to_string(Path::new(&manual)).expect("it is in the checkout");
    for (name, _) in EXAMPLES {
        assert!(manual.contains(&format!("`{name}`")), "docs/talos.md names {name}");
    }
}

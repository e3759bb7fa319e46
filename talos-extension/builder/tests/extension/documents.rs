//! The rules for the manifest and the service spec: each by one change of our own.

use curfew_extension::source::Source;
use curfew_extension::tree::{Entry, Kind};
use curfew_extension::validate::validate;

use crate::stage::{assert_one, extension, judge, replace, service, texts};

/// What is replaced, by what, and what is then found.
type Change = (&'static str, &'static str, &'static str);

const MANIFEST: [Change; 10] = [
    ("version: v1alpha1", "version: v1", "Talos knows no such version of manifests"),
    ("version: v1alpha1", "kind: Extension\nversion: v1alpha1", "Talos knows no field kind"),
    ("metadata:\n", "Metadata:\n", "metadata is missing"),
    ("  name: curfew\n", "", "name is missing or empty"),
    ("name: curfew", "name: Curfew", "other characters than a-z"),
    ("  version: 0.1.0\n", "", "version is missing or empty"),
    ("author: The authors of Curfew", "author: ''", "author is missing or empty"),
    ("version: \">= v1.8.0\"", "version: latest", "\"latest\" is no range of versions"),
    ("version: \">= v1.8.0\"", "versions: 1", "version is missing or empty"),
    ("version: v1alpha1", "version: v1alpha1\n---\nversion: v1alpha1", "a second document"),
];

#[test]
fn manifests_are_as_talos_reads_them() {
    for (from, to, what) in MANIFEST {
        let found = judge(|tree| replace(tree, "manifest.yaml", from, to));
        let found: Vec<_> = found.into_iter().filter(|it| it.contains(what)).collect();
        assert_one(&found, "manifest.yaml:", what);
    }
    let found = judge(|tree| replace(tree, "manifest.yaml", "metadata:", "metadata: ["));
    assert_one(&found, "manifest.yaml: ", "it is no YAML that Talos takes (line ");
}

#[test]
fn an_extension_is_for_the_version_of_talos_that_was_asked_for() {
    let source = Source { tree: extension().tree, ..Source::default() };
    let ask = |talos| validate(&source, Some(talos)).map(|found| texts(&found));
    for talos in ["1.8.0", "v1.14.0-rc.1", "1.15.0"] {
        assert_eq!(ask(talos).expect("it is a version"), Vec::<String>::new());
    }
    let found = ask("1.7.9").expect("it is a version");
    assert_one(&found, "manifest.yaml:", "leaves out the version of Talos asked for");
    assert!(ask("1.8").expect_err("it is no version").to_string().contains("is no version"));
}

const SERVICE: [Change; 46] = [
    ("name: curfew", "name: Curfew", "Talos refuses the name \"Curfew\""),
    ("name: curfew", "title: curfew", "name is missing or empty"),
    ("restart: always", "restart: sometimes", "Talos refuses restart: sometimes"),
    ("restart: always", "", "restart is missing or empty"),
    ("restart: always", "restart: always\nlogToConsole: 1", "logToConsole is no truth value"),
    ("restart: always", "restart: always\nlogtoconsole: true", "no field logtoconsole"),
    ("container:\n", "containers:\n", "container is missing"),
    ("entrypoint: /curfew", "command: /curfew", "entrypoint is missing or empty"),
    ("entrypoint: /curfew", "entrypoint: curfew", "and Talos sets no PATH"),
    ("    - run\n", "    - [run]\n", "args is no list of texts"),
    ("args:\n    - run\n", "args: run\n", "args is no list of texts"),
    ("  mounts:\n", "  environmentFile: /var/x\n  mounts:\n", "environmentFile is deprecated"),
    ("CURFEW_STAY_UP=true", "CURFEW_STAY_UP", "it is no variable"),
    ("CURFEW_STAY_UP=true", "CURFEW_PKI=/x", "CURFEW_PKI is there twice"),
    ("- source: /proc\n", "- source: proc\n", "a directory \"proc\" in its own working"),
    ("- source: /proc\n", "- from: /proc\n", "source is missing or empty"),
    ("- source: /proc\n", "- source: /\n", "a bind of / holds the file systems below it"),
    ("- source: /proc\n", "- source: /dev\n", "a bind of /dev holds"),
    ("- source: /proc\n", "- source: /var/lib/kubelet/pods\n", "a bind of /var/lib/kubelet/pods"),
    ("- source: /var/lib/curfew", "- source: /var/", "a bind of /var/ holds"),
    ("destination: /host/proc", "destination: host/proc", "no place in the container"),
    ("destination: /host/proc", "destination: /", "no place in the container"),
    ("destination: /host/proc", "destination: /host/sys", "the destination of two mounts"),
    (
        "destination: /host/proc\n      type: bind",
        "destination: /p\n      type: proc",
        "no bind of",
    ),
    ("[bind, ro]", "[ro]", "needs one of bind and rbind"),
    ("[bind, ro]", "[bind, rbind, rslave, ro]", "needs one of bind and rbind"),
    ("[bind, ro]", "[bind]", "neither or both of ro and rw"),
    ("[bind, rw]", "[bind, ro, rw]", "neither or both of ro and rw"),
    ("[bind, ro]", "[bind, readonly, ro]", "readonly is no option of a bind"),
    ("[bind, ro]", "bind", "options is no list of texts"),
    ("[bind, rw]", "[bind, rshared, rw]", "would appear on the host"),
    ("[bind, rw]", "[rbind, rw]", "keeps every file system mounted below it"),
    ("  - service: cri\n", "", "/var/lib/curfew cannot be made before /var is mounted"),
    ("  - path: /system/run/machined/machine.sock\n", "", "Talos makes a directory of it"),
    ("  - service: cri\n", "  - service: cri\n    time: true\n", "it depends on several things"),
    ("configuration: true", "configuration: false", "it depends on nothing"),
    ("configuration: true", "configuration: yes", "configuration is no truth value"),
    ("configuration: true", "config: true", "Talos knows no field config,"),
    ("configuration: true", "service: etcd", "not every node has a service etcd"),
    ("configuration: true", "path: var/x", "the path is not absolute"),
    ("      - addresses\n", "      - address\n", "no state address of the network"),
    ("network:\n      - addresses", "network: addresses", "network is no list of texts"),
    ("  mounts:\n", "  security:\n    privileged: true\n  mounts:\n", "no field privileged"),
    (
        "  mounts:\n",
        "  security:\n    maskedPaths: [x]\n  mounts:\n",
        "maskedPaths: \"x\" is no path",
    ),
    ("  mounts:\n", "  security:\n    writeableRootfs: 1\n  mounts:\n", "no truth value"),
    ("  mounts:\n", "  security:\n    rootfsPropagation: shared\n  mounts:\n", "stay behind"),
];

#[test]
fn service_specs_are_as_talos_reads_them_and_block_no_node() {
    for (from, to, what) in SERVICE {
        let found = judge(|tree| replace(tree, &service(), from, to));
        let found: Vec<_> = found.into_iter().filter(|it| it.contains(what)).collect();
        assert_one(&found, "containers/curfew.yaml:", what);
    }
}

#[test]
fn each_service_has_a_spec_of_its_own_that_talos_looks_at() {
    let add = |name: &str, content: Option<&str>| {
        judge(|tree| {
            let path = service();
            let content = content.map(|it| it.as_bytes().to_vec());
            let content = content.or_else(|| tree.file(&path).map(ToOwned::to_owned));
            let path = path.replace("curfew.yaml", name);
            let kind = Kind::File(content.unwrap_or_default());
            tree.entries.push(Entry { path, mode: 0o644, kind });
        })
    };
    assert_one(&add("other.yaml", None), "other.yaml: ", "describes a service curfew, too");
    assert_one(&add("other.yml", None), "other.yml: ", "whose name ends with .yaml");
    assert_one(&add("other.yaml", Some("")), "other.yaml:1: ", "it has no fields");
    let path = service();
    let found = judge(|tree| tree.entries.retain(|it| it.path != path));
    assert!(found.iter().any(|it| it.contains("Talos would start nothing")), "{found:?}");
}

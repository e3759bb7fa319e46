//! The rules for entries.

use curfew_extension::tree::{Entry, Kind, Tree};

use crate::stage::{assert_one, entrypoint, judge};

fn add(tree: &mut Tree, path: &str, mode: u32, kind: Kind) {
    tree.entries.push(Entry { path: path.to_owned(), mode, kind });
}

fn file() -> Kind {
    Kind::File(b"x".to_vec())
}

#[test]
fn our_own_extension_breaks_no_rule() {
    assert_eq!(judge(|_| {}), Vec::<String>::new());
}

#[test]
fn nothing_is_beside_manifest_and_rootfs() {
    let found = judge(|tree| add(tree, "README.md", 0o644, file()));
    assert_one(&found, "README.md: ", "refuses an extension with anything beside");
}

#[test]
fn files_are_where_every_version_allows_them() {
    let found = judge(|tree| add(tree, "rootfs/usr/bin", 0o755, file()));
    assert_one(&found, "rootfs/usr/bin: ", "allows no file of a service here");
    let found = judge(|tree| add(tree, "rootfs/usr/localx", 0o755, file()));
    assert_one(&found, "rootfs/usr/localx: ", "allows no file of a service here");
    let found = judge(|tree| add(tree, "rootfs/lib64", 0o755, Kind::Directory));
    assert_one(&found, "rootfs/lib64: ", "a directory of the host's root");
}

#[test]
fn paths_are_plain() {
    for path in ["rootfs/usr/../local", "rootfs//usr", "rootfs/./usr"] {
        let found = judge(|tree| add(tree, path, 0o755, Kind::Directory));
        assert!(found.iter().any(|it| it.contains("the path is not a plain one")), "{found:?}");
    }
    let found = judge(|tree| add(tree, "rootfs/usr/local/.wh.lib", 0o644, file()));
    assert_one(&found, ".wh.lib: ", "\"removed\"");
}

#[test]
fn no_path_is_there_twice() {
    let found = judge(|tree| {
        let again = tree.get(&entrypoint()).expect("it is there").clone();
        tree.entries.push(again);
    });
    assert_one(&found, &entrypoint(), "it is there twice");
}

#[test]
fn every_parent_has_an_entry_before_its_children() {
    let found = judge(|tree| tree.entries.retain(|it| it.path != "rootfs/usr/local/share"));
    assert_one(&found, "local/share/spdx: ", "rootfs/usr/local/share has no entry before it");
    let found = judge(|tree| {
        let spdx = "rootfs/usr/local/share/spdx";
        let folder = tree.entries.iter().position(|it| it.path == spdx).expect("it is there");
        let folder = tree.entries.remove(folder);
        tree.entries.push(folder);
    });
    assert_one(&found, "curfew.spdx.json: ", "so the unpacker makes it 0700");
}

#[test]
fn nothing_but_files_directories_and_symbolic_links_is_in_it() {
    let path = "rootfs/usr/local/x";
    let found = judge(|tree| add(tree, path, 0o644, Kind::HardLink("manifest.yaml".to_owned())));
    assert_one(&found, path, "a hard link (manifest.yaml), of which the unpacker makes an empty");
    let found = judge(|tree| add(tree, path, 0o644, Kind::Special("a device node")));
    assert_one(&found, path, "it is a device node");
    let found = judge(|tree| add(tree, path, 0o777, Kind::Symlink("lib".to_owned())));
    assert_eq!(found, Vec::<String>::new(), "links are allowed, whatever their mode");
}

#[test]
fn modes_are_those_that_mean_something() {
    let set = |path: &str, mode: u32| {
        judge(|tree| {
            let entry = tree.entries.iter_mut().find(|it| it.path == path);
            entry.expect("it is there").mode = mode;
        })
    };
    assert_one(&set("rootfs/usr/local", 0o700), "rootfs/usr/local: ", "its mode is 0700");
    assert_one(&set("rootfs/usr/local", 0o1777), "rootfs/usr/local: ", "its mode is 1777");
    assert_one(&set("manifest.yaml", 0o666), "manifest.yaml: ", "its mode is 0666");
    assert_one(&set("manifest.yaml", 0o600), "manifest.yaml: ", "its mode is 0600");
}

#[test]
fn manifest_and_rootfs_are_there() {
    let found = judge(|tree| tree.entries.retain(|it| it.path != "manifest.yaml"));
    assert_one(&found, "manifest.yaml: ", "it is missing");
    let found = judge(|tree| tree.entries.retain(|it| !it.path.starts_with("rootfs")));
    assert!(found.iter().any(|it| it.starts_with("rootfs: it is missing")), "{found:?}");
}

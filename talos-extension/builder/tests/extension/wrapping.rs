//! The rules for the image around an extension, in each form of it.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use curfew_extension::build::{Written, write};
use curfew_extension::layer;
use curfew_extension::source;
use curfew_extension::tree::{Entry, Kind, MODE_FILE, Tree};
use curfew_extension::validate::validate;
use curfew_extension::write::unpacked;

use crate::stage::{Folder, assert_one, extension, texts};

fn written(folder: &Folder) -> Written {
    write(&extension(), &folder.0).expect("it can be written")
}

fn judge(path: &Path) -> Vec<String> {
    let source = source::open(path).expect("it can be looked at");
    texts(&validate(&source, None).expect("nothing was asked that could fail"))
}

/// Replaces a text in a file of the layout.
#[track_caller]
fn replace(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("it is a text");
    assert!(text.contains(from), "{from} is in {text}");
    put(path, text.replacen(from, to, 1).as_bytes());
}

fn put(path: &Path, content: &[u8]) {
    curfew_extension::write::put(path, content).expect("it can be written");
}

/// The blobs of a layout by what they hold: configuration, manifest, layer.
fn blobs(layout: &Path) -> [PathBuf; 3] {
    let image = extension().image;
    [&image.config, &image.manifest, &image.layer]
        .map(|blob| layout.join("blobs/sha256").join(blob.digest.hex()))
}

#[test]
fn what_was_written_is_read_again_in_every_form() {
    let folder = Folder::new();
    let written = written(&folder);
    let out = folder.0.join("unpacked");
    unpacked(&extension().tree, &out).expect("it can be unpacked");
    for path in [&written.layout, &written.archive, &out] {
        assert_eq!(judge(path), Vec::<String>::new(), "{}", path.display());
        let mut found = source::open(path).expect("it can be read").tree.entries;
        found.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!(found, extension().tree.entries, "{}", path.display());
    }
}

#[test]
fn the_index_names_one_manifest_with_its_platform() {
    const INDEX: [(&str, &str, &str); 6] = [
        (r#""schemaVersion":2"#, r#""schemaVersion":1"#, "schemaVersion is 1; make it 2"),
        (r#""os":"linux""#, r#""os":"windows""#, "platform.os is \"windows\""),
        (r#""architecture":"amd64""#, r#""architecture":"arm64""#, "platform.architecture is"),
        (r#""platform""#, r#""form""#, "platform.os is null"),
        ("image.manifest.v1", "image.index.v1", "mediaType is"),
        (r#""manifests":["#, r#""manifests":[],"x":["#, "it names no manifest"),
    ];
    for (from, to, what) in INDEX {
        let folder = Folder::new();
        let layout = written(&folder).layout;
        replace(&layout.join("index.json"), from, to);
        let found: Vec<_> = judge(&layout).into_iter().filter(|it| it.contains(what)).collect();
        assert_one(&found, "index.json: ", what);
    }
    let folder = Folder::new();
    let layout = written(&folder).layout;
    let index = layout.join("index.json");
    let text = fs::read_to_string(&index).expect("it is a text");
    let (_, entry) = text.split_once("\"manifests\":[").expect("it has some");
    let entry = entry.strip_suffix("]}").expect("they are the last");
    replace(&index, "\"manifests\":[", &format!("\"manifests\":[{entry},"));
    assert_one(&judge(&layout), "index.json: ", "it names 2 manifests");
}

#[test]
fn a_layout_says_that_it_is_one() {
    let folder = Folder::new();
    let layout = written(&folder).layout;
    replace(&layout.join("oci-layout"), "1.0.0", "2.0.0");
    assert_one(&judge(&layout), "oci-layout: ", "imageLayoutVersion is \"2.0.0\"");
    fs::remove_file(layout.join("oci-layout")).expect("it is there");
    assert_one(&judge(&layout), "oci-layout: ", "it cannot be read");
}

#[test]
fn blobs_are_what_refers_to_them() {
    let folder = Folder::new();
    let layout = written(&folder).layout;
    let [config, manifest, _] = blobs(&layout);
    put(&layout.join("blobs/sha256/stray"), b"x");
    assert_one(&judge(&layout), "blobs/sha256/stray: ", "nothing refers to it");
    fs::remove_file(layout.join("blobs/sha256/stray")).expect("it is there");
    replace(&config, "curfew-extension build", "curfew-extension  build");
    let found = judge(&layout);
    assert!(found.iter().any(|it| it.contains("its content has another digest")), "{found:?}");
    assert!(found.iter().any(|it| it.contains("and its reference another size")), "{found:?}");
    fs::remove_file(&manifest).expect("it is there");
    let failed = source::open(&layout).expect_err("the manifest is gone");
    assert!(format!("{failed:#}").contains("read "), "{failed:#}");
}

#[test]
fn the_manifest_names_one_compressed_layer() {
    let layer_type = "application/vnd.oci.image.layer.v1.tar+gzip";
    let changes = [
        (layer_type, "application/vnd.oci.image.layer.v1.tar", "mediaType is"),
        ("\"schemaVersion\":2", "\"schemaVersion\":3", "schemaVersion is 3"),
        ("image.config.v1", "image.config.v2", "config.mediaType is"),
        ("\"layers\":[", "\"layers\":[],\"x\":[", "it names no layer"),
        ("\"layers\":[", "\"layers\":[{LAYER},", "it names 2 layers"),
    ];
    for (from, to, what) in changes {
        let folder = Folder::new();
        let layout = written(&folder).layout;
        let [_, manifest, _] = blobs(&layout);
        let text = fs::read_to_string(&manifest).expect("it is a text");
        let (_, layer) = text.split_once("\"layers\":[").expect("it has some");
        let (layer, _) = layer.split_once("],").expect("they end");
        replace(&manifest, from, &to.replace("{LAYER}", layer));
        let found: Vec<_> = judge(&layout).into_iter().filter(|it| it.contains(what)).collect();
        assert_one(&found, "manifest: ", what);
    }
}

#[test]
fn the_configuration_is_that_of_the_layer() {
    let changes = [
        ("\"os\":\"linux\"", "\"os\":\"plan9\"", "os is \"plan9\""),
        ("\"type\":\"layers\"", "\"type\":\"files\"", "rootfs.type is \"files\""),
        ("\"architecture\":\"amd64\"", "\"architecture\":\"386\"", "architecture is 386"),
        ("\"diff_ids\":[\"sha256:", "\"diff_ids\":[\"sha256:0", "rootfs.diff_ids is"),
    ];
    for (from, to, what) in changes {
        let folder = Folder::new();
        let layout = written(&folder).layout;
        let [config, _, _] = blobs(&layout);
        replace(&config, from, to);
        let found: Vec<_> = judge(&layout).into_iter().filter(|it| it.contains(what)).collect();
        assert_one(&found, "configuration: ", what);
    }
}

#[test]
fn an_archive_holds_one_image_with_a_name_and_one_layer() {
    let changes = [
        ("[{\"Config\"", "[{},{\"Config\"", "it names several images"),
        ("\"RepoTags\":[\"curfew-extension:0.1.0\"]", "\"RepoTags\":[]", "RepoTags is empty"),
        ("\"Layers\":[", "\"Layers\":[],\"x\":[", "it names no layer"),
        ("\"Layers\":[", "\"Layers\":[{LAYER},", "it names 2 layers"),
    ];
    for (from, to, what) in changes {
        let folder = Folder::new();
        let archive = written(&folder).archive;
        let bytes = fs::read(&archive).expect("it can be read");
        let mut tree = layer::unpack(&bytes).expect("it is an archive");
        let entry = tree.entries.iter_mut().find(|it| it.path == "manifest.json");
        let Some(Kind::File(content)) = entry.map(|it| &mut it.kind) else { panic!("{tree:?}") };
        let text = String::from_utf8(content.clone()).expect("it is a text");
        let (_, layer) = text.split_once("\"Layers\":[").expect("it has some");
        let (layer, _) = layer.split_once(']').expect("they end");
        assert!(text.contains(from), "{from} is in {text}");
        *content = text.replacen(from, &to.replace("{LAYER}", layer), 1).into_bytes();
        put(&archive, &layer::pack(&tree, 0).expect("it can be packed"));
        let found: Vec<_> = judge(&archive).into_iter().filter(|it| it.contains(what)).collect();
        assert_one(&found, "manifest.json: ", what);
    }
    let folder = Folder::new();
    let archive = folder.0.join("flat.tar");
    let tree = Tree::of_files([("manifest.yaml".to_owned(), MODE_FILE, Vec::new())]);
    put(&archive, &layer::pack(&tree, 0).expect("it can be packed"));
    assert_one(&judge(&archive), "manifest.json: ", "so it is no docker-archive");
    put(&archive, b"neither");
    assert!(source::open(&archive).is_err() || !judge(&archive).is_empty());
}

#[test]
fn what_is_on_disk_is_judged_by_what_it_would_become() {
    let folder = Folder::new();
    let out = folder.0.join("unpacked");
    unpacked(&extension().tree, &out).expect("it can be unpacked");
    let local = out.join("rootfs/usr/local");
    fs::hard_link(out.join("manifest.yaml"), local.join("again")).expect("it is one disk");
    let found = judge(&out);
    assert!(found.iter().any(|it| it.contains("local/again: it is a hard link")), "{found:?}");
    fs::remove_file(local.join("again")).expect("it is there");
    fs::set_permissions(&local, fs::Permissions::from_mode(0o700)).expect("it is ours");
    assert_one(&judge(&out), "rootfs/usr/local: ", "its mode is 0700");
    fs::set_permissions(&local, fs::Permissions::from_mode(0o755)).expect("it is ours");
    symlink("lib", local.join("link")).expect("it can be made");
    assert_eq!(judge(&out), Vec::<String>::new());
}

/// The unpacker's traps: what the rules are for.
#[test]
fn unpacking_does_what_talos_does() {
    let folder = Folder::new();
    let out = folder.0.join("unpacked");
    let mut tree = extension().tree;
    tree.entries.retain(|it| it.path != "rootfs/usr/local/share");
    let spec = tree.entries.iter_mut().find(|it| it.path == "manifest.yaml").expect("it is there");
    spec.kind = Kind::HardLink("elsewhere".to_owned());
    unpacked(&tree, &out).expect("it can be unpacked");
    let mode = |path: &str| {
        let metadata = fs::metadata(out.join(path)).expect("it is there");
        metadata.permissions().mode() & 0o777
    };
    assert_eq!(mode("rootfs/usr/local/share"), 0o700);
    assert_eq!(mode("rootfs/usr/local/lib"), 0o755);
    assert_eq!(fs::read(out.join("manifest.yaml")).expect("it is there"), b"");
    assert!(unpacked(&tree, &out).is_err(), "files that exist are not opened again");
}

#[test]
fn unpacking_writes_nowhere_else() {
    let folder = Folder::new();
    let (inside, outside) = (folder.0.join("in"), folder.0.join("out"));
    fs::create_dir(&outside).expect("it can be made");
    let file = |path: &str| (path.to_owned(), MODE_FILE, b"x".to_vec());
    let link = |to: &Path| Entry {
        path: "link".to_owned(),
        mode: 0o777,
        kind: Kind::Symlink(to.display().to_string()),
    };
    let absolute = outside.join("x").display().to_string();
    for path in ["../out/x", "a/../../out/x", absolute.as_str(), "link/x"] {
        let mut tree = Tree::of_files([file(path)]);
        tree.entries.retain(|it| matches!(it.kind, Kind::File(_)));
        tree.entries.insert(0, link(&outside));
        let failed = unpacked(&tree, &inside).expect_err(path);
        assert!(failed.to_string().contains("leads out of"), "{failed:#}");
        fs::remove_dir_all(&inside).expect("it is there");
    }
    assert_eq!(fs::read_dir(&outside).expect("it is there").count(), 0);
}

//! What is built: the same from the same, and readable by others.

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use curfew_extension::build::{Ingredients, build, write};
use curfew_extension::elf::Elf;
use curfew_extension::sbom::Part;
use curfew_extension::sbom::crates::linked;
use curfew_extension::tree::Tree;
use serde_json::Value;

use crate::stage::{Folder, extension, ingredients, sources};

/// All files below a folder, with their content.
fn files(folder: &Path) -> Tree {
    curfew_extension::source::open(folder).map(|source| source.tree).expect("it can be read")
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let folders = [Folder::new(), Folder::new()];
    let written = folders.each_ref().map(|folder| {
        let extension = build(&ingredients()).expect("it can be built");
        write(&extension, &folder.0).expect("it can be written")
    });
    let [first, second] = &written;
    assert_eq!(extension().image.manifest.digest, extension().image.manifest.digest);
    assert_eq!(files(&first.layout), files(&second.layout));
    let archives =
        [&first.archive, &second.archive].map(|path| fs::read(path).expect("it is there"));
    assert!(archives[0] == archives[1], "the archives differ");
}

#[test]
fn another_input_has_another_digest() {
    let digest = |change: &dyn Fn(&mut Ingredients)| {
        let mut ingredients = ingredients();
        change(&mut ingredients);
        build(&ingredients).expect("it can be built").image.manifest.digest
    };
    let same = digest(&|_| {});
    assert_ne!(digest(&|it| it.binary.push(0)), same);
    assert_ne!(digest(&|it| it.date += 1), same);
    assert_ne!(digest(&|it| it.revision = None), same);
    assert_ne!(digest(&|it| it.service.push('\n')), same);
    let part = Part {
        name: "a".to_owned(),
        version: "1".to_owned(),
        licence: None,
        purl: None,
        checksum: None,
        needs: Vec::new(),
    };
    assert_ne!(digest(&|it| it.parts.push(part.clone())), same);
}

#[test]
fn what_makes_no_extension_is_refused_with_a_reason() {
    let refused = |change: &dyn Fn(&mut Ingredients)| {
        let mut ingredients = ingredients();
        change(&mut ingredients);
        build(&ingredients).expect_err("it cannot be built").to_string()
    };
    let version = refused(&|it| it.manifest = it.manifest.replace("version: 0", "version: 9"));
    assert!(version.contains("and Cargo.toml"), "{version}");
    assert!(refused(&|it| it.binary.clear()).contains("no 64-bit ELF program"));
    assert!(refused(&|it| it.service.clear()).contains("find name in curfew.yaml"));
    assert!(refused(&|it| it.manifest.clear()).contains("in manifest.yaml"));
}

/// Against what cargo says of the crates that everybody knows to be in the agent.
#[test]
fn the_bill_of_materials_names_what_is_in_the_binary_and_nothing_else() {
    let root = sources().join("..").canonicalize().expect("the checkout is there");
    let parts = linked(&root, "x86_64-unknown-linux-gnu").expect("cargo knows it");
    let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
    for name in ["rustls", "ring", "tokio", "tonic", "clap"] {
        assert!(names.contains(&name), "{name} is linked into the agent");
    }
    for name in ["serde_derive", "cc", "protox", "proptest", "windows-sys", "tar", "curfew"] {
        assert!(!names.contains(&name), "{name} is not linked into the agent, or ours");
    }
    assert!(parts.iter().all(|part| part.checksum.as_ref().is_some_and(|it| it.len() == 64)));
    let rustls = parts.iter().find(|part| part.name == "rustls").expect("it is there");
    assert!(rustls.needs.iter().any(|(name, _)| name == "ring"), "{rustls:?}");

    let count = parts.len();
    let built = build(&Ingredients { parts, ..ingredients() }).expect("it can be built");
    let in_image = built.tree.file("rootfs/usr/local/share/spdx/curfew.spdx.json");
    assert_eq!(in_image, Some(built.sbom.as_slice()));
    let document: Value = serde_json::from_slice(&built.sbom).expect("it is JSON");
    let packages = document.get("packages").and_then(Value::as_array).expect("it has packages");
    assert_eq!(packages.len(), count + 1, "and the agent itself");
    let ids: Vec<_> = packages.iter().filter_map(|it| it.get("SPDXID")).collect();
    let relationships = document.get("relationships").and_then(Value::as_array);
    let relationships = relationships.expect("it has relationships");
    for end in relationships.iter().flat_map(|it| [it.get("relatedSpdxElement")]).flatten() {
        assert!(ids.contains(&end), "{end} is the id of a package");
    }
    let licences: Vec<_> = packages.iter().filter_map(|it| it.get("licenseDeclared")).collect();
    assert_eq!(licences.len(), packages.len());
    assert!(licences.iter().all(|it| *it != "NOASSERTION"), "all crates say their licence");
}

#[test]
fn others_read_the_image_as_well() {
    if !Path::new("/usr/bin/skopeo").exists() {
        eprintln!("apt-get install skopeo, to see whether it reads the image");
        return;
    }
    let folder = Folder::new();
    let written = write(&extension(), &folder.0).expect("it can be written");
    let layout = format!("oci:{}", written.layout.display());
    let archive = format!("docker-archive:{}", written.archive.display());
    let inspect = |image: &str| {
        let output = run(Command::new("skopeo").args(["inspect", image]));
        serde_json::from_slice::<Value>(&output.stdout).expect("it is JSON")
    };
    let found = inspect(&layout);
    let image = extension().image;
    assert_eq!(found.get("Digest"), Some(&image.manifest.digest.to_string().into()));
    assert_eq!(found.get("Architecture"), Some(&"amd64".into()));
    assert_eq!(inspect(&archive).get("Os"), Some(&"linux".into()));
    // From one form to the other and back, all digests checked on the way.
    let copy = format!("oci:{}:x", folder.0.join("copy").display());
    run(Command::new("skopeo").args(["copy", "--insecure-policy", &archive, &copy]));
    let back = format!("dir:{}", folder.0.join("back").display());
    run(Command::new("skopeo").args(["copy", "--insecure-policy", &layout, &back]));
}

/// The one command, as a person types it, with a static program of the C compiler.
#[test]
fn one_command_builds_and_judges() {
    let folder = Folder::new();
    let source = folder.0.join("program.c");
    curfew_extension::write::put(&source, b"int main(void) { return 0; }\n").expect("written");
    let compile = |name: &str, flags: &[&str]| {
        let program = folder.0.join(name);
        run(Command::new("cc").args(flags).arg("-o").arg(&program).arg(&source));
        program
    };
    let (whole, halved) = (compile("static", &["-static"]), compile("dynamic", &[]));
    let elf = Elf::parse(&fs::read(&halved).expect("it is there")).expect("it is a program");
    assert!(elf.interpreter.is_some() && elf.needed.contains(&"libc.so.6".to_owned()), "{elf:?}");
    let build = |program: &Path, target: &str| {
        let mut command = Command::new(sources().join("build"));
        command.arg("--binary").arg(program).arg(folder.0.join(target));
        command.env("CURFEW_EXTENSION_BUILDER", env!("CARGO_BIN_EXE_curfew-extension"));
        command.output().expect("bash is there")
    };
    let outputs = [build(&whole, "one"), build(&whole, "two")];
    let lines = outputs.each_ref().map(|output| {
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|line| line.contains("sha256:")).map(ToOwned::to_owned).collect()
    });
    let [first, second]: [Vec<String>; 2] = lines;
    assert_eq!(first.len(), 2, "the digests of layer and image are shown: {first:?}");
    assert_eq!(first, second);
    let text = String::from_utf8_lossy(&outputs[0].stdout).into_owned();
    let layout = text.lines().last().expect("there are lines").to_owned();
    assert!(Path::new(&layout).join("index.json").exists(), "{layout} is the layout");

    let refused = build(&halved, "three");
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let text = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert_eq!(text.matches("would look for the loader").count(), 1, "{text}");
}

#[test]
fn scripts_say_how_they_are_used() {
    let root = sources().join("..");
    for script in ["talos-extension/build", "talos-extension/document", "systemd/build-deb"] {
        let help = run(Command::new(root.join(script)).arg("--help"));
        let text = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(text.contains(&format!("\n  {script} ")), "{text}");
        assert!(!text.contains("set -euo"), "{text}");
        let refused = Command::new(root.join(script)).arg("--no-such-option").output();
        let refused = refused.expect("bash is there");
        assert!(!refused.status.success(), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("try --help"), "{refused:?}");
    }
}

#[test]
fn exit_codes_tell_a_bad_extension_from_one_that_cannot_be_looked_at() {
    let folder = Folder::new();
    let layout = write(&extension(), &folder.0).expect("it can be written").layout;
    let code = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_curfew-extension"));
        let output = command.args(arguments).output().expect("it can be started");
        output.status.code()
    };
    let layout = layout.to_str().expect("it is a text");
    assert_eq!(code(&["validate", layout]), Some(0));
    assert_eq!(code(&["validate", "--talos", "1.9.0", layout]), Some(0));
    assert_eq!(code(&["validate", "--talos", "1.7.0", layout]), Some(1));
    assert_eq!(code(&["validate", "--talos", "new", layout]), Some(2));
    assert_eq!(code(&["validate", "/nowhere"]), Some(2));
    assert_eq!(code(&["validates"]), Some(2));
}

#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output().expect("it is installed, as .ci/run does");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed: {errors}");
    output
}

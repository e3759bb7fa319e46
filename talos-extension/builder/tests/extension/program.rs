//! The rules for what is started, for its root, and for what lies beside.

use curfew_extension::elf::Elf;
use curfew_extension::tree::{CONTAINERS, Entry, Kind, SBOMS};

use crate::stage::{AARCH64, X86_64, assert_one, elf, entrypoint, judge};

fn put(program: Vec<u8>) -> Vec<String> {
    judge(|tree| {
        let path = entrypoint();
        let entry = tree.entries.iter_mut().find(|it| it.path == path).expect("it is there");
        entry.kind = Kind::File(program);
    })
}

#[test]
fn programs_run_without_loader_and_libraries() {
    let loader = "/lib64/ld-linux-x86-64.so.2";
    assert_eq!(put(elf(X86_64, None, &[])), Vec::<String>::new());
    let found = put(elf(X86_64, Some(loader), &["libc.so.6"]));
    assert_one(&found, "curfew/curfew: ", &format!("would look for the loader {loader}"));
    let found = put(elf(X86_64, None, &["libc.so.6", "libm.so.6"]));
    assert_one(&found, "curfew/curfew: ", "it needs libc.so.6, libm.so.6, and the root is empty");
}

#[test]
fn programs_are_for_the_machine_of_the_image() {
    let found = put(elf(AARCH64, None, &[]));
    assert_one(&found, "curfew/curfew: ", "it is for arm64, the image for amd64");
    let found = put(elf(8, None, &[]));
    assert_one(&found, "curfew/curfew: ", "it is for no machine of Talos, the image for amd64");
    for program in [b"#!/bin/sh\n".to_vec(), Vec::new(), b"\x7fELF\x01\x01".to_vec()] {
        assert_one(&put(program), "curfew/curfew: ", "it is no 64-bit ELF program");
    }
}

#[test]
fn a_program_that_is_cut_off_is_none_and_breaks_nothing() {
    let whole = elf(X86_64, Some("/lib/ld.so"), &["libc.so.6"]);
    assert!(Elf::parse(&whole).is_some());
    for end in 0..whole.len() {
        let piece = whole.get(..end).expect("it is shorter");
        if let Some(elf) = Elf::parse(piece) {
            assert_eq!(elf.needed, ["libc.so.6"], "cut off at {end}, where only zeros were");
        }
    }
    for at in 16..64 {
        let mut spoilt = whole.clone();
        spoilt.iter_mut().skip(at).take(8).for_each(|byte| *byte = 0xff);
        assert!(Elf::parse(&spoilt).is_none_or(|elf| elf.needed.len() < 2), "spoilt at {at}");
    }
}

#[test]
fn the_entrypoint_is_there_and_can_be_run() {
    let path = entrypoint();
    let found = judge(|tree| tree.entries.retain(|it| it.path != path));
    assert_one(&found, "curfew.yaml: ", "its entrypoint /curfew is not in the container's root");
    let change = |mode: u32, kind: Option<Kind>| {
        judge(|tree| {
            let entry = tree.entries.iter_mut().find(|it| it.path == path).expect("it is there");
            entry.mode = mode;
            entry.kind = kind.unwrap_or_else(|| entry.kind.clone());
        })
    };
    assert_one(&change(0o644, None), "curfew/curfew: ", "the entrypoint cannot be run");
    let link = Kind::Symlink("/bin/curfew".to_owned());
    assert_one(&change(0o777, Some(link)), "curfew/curfew: ", "no regular file");
}

#[test]
fn every_root_belongs_to_a_service() {
    let found = judge(|tree| {
        let path = format!("{CONTAINERS}/other");
        tree.entries.push(Entry { path, mode: 0o755, kind: Kind::Directory });
    });
    assert_one(&found, "containers/other: ", "no service spec describes a service other");
}

#[test]
fn bills_of_materials_are_such_that_talos_can_read_all() {
    let add = |name: &str, content: &str| {
        judge(|tree| {
            let kind = Kind::File(content.as_bytes().to_vec());
            let path = format!("{SBOMS}/{name}");
            tree.entries.push(Entry { path, mode: 0o644, kind });
        })
    };
    assert_eq!(add("x.spdx.json", r#"{"packages":[{"name":"x"}]}"#), Vec::<String>::new());
    assert_one(&add("x.json", "{}"), "x.json: ", "Talos passes it by");
    for content in ["", "{}", "[]", r#"{"packages":[{}]}"#, r#"{"packages":[{"name":""}]}"#] {
        let found = add("x.spdx.json", content);
        assert_one(&found, "x.spdx.json: ", "no SPDX document with named packages");
    }
}

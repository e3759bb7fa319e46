//! What the tests have in common: our own extension around a tiny program, and ways to spoil it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process};

use curfew_extension::build::{Extension, Ingredients, build};
use curfew_extension::finding::Finding;
use curfew_extension::source::Source;
use curfew_extension::tree::{CONTAINERS, Kind, SERVICES, Tree};
use curfew_extension::validate::validate;

/// Our service spec in the image.
pub(crate) fn service() -> String {
    format!("{SERVICES}/curfew.yaml")
}

/// Our program in the image.
pub(crate) fn entrypoint() -> String {
    format!("{CONTAINERS}/curfew/curfew")
}

/// The folder `talos-extension` of the checkout.
pub(crate) fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("it is in a folder").to_owned()
}

/// Our own sources, around a program that is as small as one can be.
pub(crate) fn ingredients() -> Ingredients {
    let text =
        |name: &str| fs::read_to_string(sources().join(name)).expect("it is in the checkout");
    Ingredients {
        binary: elf(X86_64, None, &[]),
        manifest: text("manifest.yaml"),
        service: text("curfew.yaml"),
        parts: Vec::new(),
        revision: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        date: 1_795_000_000,
    }
}

pub(crate) fn extension() -> Extension {
    build(&ingredients()).expect("our own extension can be built")
}

/// Returns what is found in our own extension when its tree is changed.
pub(crate) fn judge(change: impl FnOnce(&mut Tree)) -> Vec<String> {
    let mut tree = extension().tree;
    change(&mut tree);
    let source = Source { tree, architecture: Some("amd64".to_owned()), findings: Vec::new() };
    texts(&validate(&source, None).expect("nothing was asked that could fail"))
}

pub(crate) fn texts(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// Asserts that one thing is found, which says `what`, at a place that ends like `place`.
#[track_caller]
pub(crate) fn assert_one(findings: &[String], place: &str, what: &str) {
    assert_eq!(findings.len(), 1, "expected one finding ({what}), not {findings:#?}");
    let finding = findings.concat();
    assert!(finding.contains(place) && finding.contains(what), "{finding}\nlacks {place}: {what}");
    assert!(finding.ends_with('.') && finding.contains("; "), "{finding}\nhas no remedy");
}

/// Replaces a text in a file of the tree, which must have it once.
#[track_caller]
pub(crate) fn replace(tree: &mut Tree, path: &str, from: &str, to: &str) {
    let entry = tree.entries.iter_mut().find(|it| it.path == path).expect("the file is there");
    let Kind::File(content) = &entry.kind else { unreachable!("{path} is no file") };
    let text = String::from_utf8(content.clone()).expect("it is a text");
    assert_eq!(text.matches(from).count(), 1, "{from:?} is there once in\n{text}");
    entry.kind = Kind::File(text.replace(from, to).into_bytes());
}

/// A directory that is removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("curfew-extension-{}-{number}", process::id()));
        fs::create_dir_all(&path).expect("the folder for temporary files can be written");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let removed = fs::remove_dir_all(&self.0);
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

pub(crate) const X86_64: u16 = 62;
pub(crate) const AARCH64: u16 = 183;

/// Makes the headers of a program: one segment that is the file, a loader, a dynamic section.
pub(crate) fn elf(machine: u16, interpreter: Option<&str>, needed: &[&str]) -> Vec<u8> {
    const ADDRESS: u64 = 0x40_0000;
    let segments = 1 + u64::from(interpreter.is_some()) + 1;
    let behind = 64 + segments * 56;
    // Behind the tables: texts, and then the dynamic section.
    let mut texts = vec![0];
    let mut offset_of = |text: &str| {
        let offset = texts.len() as u64;
        texts.extend(text.bytes().chain([0]));
        offset
    };
    let loader = interpreter.map(&mut offset_of);
    let needed: Vec<_> = needed.iter().map(|name| offset_of(name)).collect();
    texts.resize(texts.len().next_multiple_of(8), 0);
    let dynamic = behind + texts.len() as u64;
    let rows = needed.iter().map(|offset| (1, *offset)).chain([(5, ADDRESS + behind), (0, 0)]);
    let rows: Vec<u8> =
        rows.flat_map(|(tag, value): (u64, u64)| [tag, value]).flat_map(u64::to_le_bytes).collect();
    let size = dynamic + rows.len() as u64;

    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    file.extend([2_u16, machine].into_iter().flat_map(u16::to_le_bytes));
    file.extend(1_u32.to_le_bytes());
    file.extend([ADDRESS, 64, 0].into_iter().flat_map(u64::to_le_bytes));
    file.extend(0_u32.to_le_bytes());
    let count = u16::try_from(segments).expect("there are few");
    file.extend([64, 56, count, 64, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    let mut segment = |kind: u32, offset: u64, size: u64| {
        file.extend([kind, 5].into_iter().flat_map(u32::to_le_bytes));
        let fields = [offset, ADDRESS + offset, ADDRESS + offset, size, size, 8];
        file.extend(fields.into_iter().flat_map(u64::to_le_bytes));
    };
    segment(1, 0, size);
    if let (Some(offset), Some(text)) = (loader, interpreter) {
        segment(3, behind + offset, text.len() as u64 + 1);
    }
    segment(2, dynamic, rows.len() as u64);
    file.extend(texts);
    file.extend(rows);
    file
}

//! The committed bindings are what the `.proto` files say.
//!
//! To renew them: `CURFEW_WRITE_BINDINGS=1 cargo test -p curfew-proto --test bindings`.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// Each `.proto` file, and its package, which names the generated file.
const FILES: [(&str, &str); 4] = [
    ("curfew/v1/peer.proto", "curfew.v1"),
    ("talos/common.proto", "common"),
    ("talos/machine.proto", "machine"),
    ("talos/state.proto", "cosi.resource"),
];

#[test]
fn committed_bindings_are_those_of_the_proto_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bindings");
    fs::create_dir_all(&made).unwrap();
    generate(&root.join("proto"), &made);

    for (proto, package) in FILES {
        let name = format!("{package}.rs");
        let committed = root.join("src/generated").join(&name);
        let fresh = fs::read_to_string(made.join(&name)).unwrap();
        if env::var_os("CURFEW_WRITE_BINDINGS").is_some() {
            fs::copy(made.join(&name), &committed).unwrap();
            continue;
        }
        let committed = fs::read_to_string(&committed).unwrap_or_default();
        assert!(
            committed == fresh,
            "{proto} has changed: renew the bindings, as the head of this file says"
        );
    }
}

fn generate(protos: &Path, to: &Path) {
    let files = protox::compile(FILES.map(|(proto, _)| proto), [protos])
        .expect("the .proto files are well-formed");
    tonic_prost_build::configure()
        .build_transport(false)
        // Ordered, so that a message has one encoding and logs one form.
        .btree_map(".")
        .out_dir(to)
        .compile_fds(files)
        .expect("the target directory can be written");
}

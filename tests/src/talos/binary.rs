//! The agent of this build without a libc: linked anew, statically, from what is compiled already.
//!
//! A static build of its own would compile every dependency a second time, minutes on two cores.
//! Nothing that is compiled depends on how the libc is linked, so the library of this build, the
//! one that the other stories run, is linked once more, which takes seconds. How the image's binary
//! is built, as a whole, is the business of `talos-extension/build`.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result, ensure};

/// Returns the path of the static agent, made by the first who needs it; `CURFEW_STATIC_BINARY`
/// names another.
pub fn linked() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("CURFEW_STATIC_BINARY") {
        return Ok(path.into());
    }
    // Test binaries lie in `TARGET/PROFILE/deps`, beside the libraries.
    let test = std::env::current_exe().context("find this test's binary")?;
    let libraries = test.parent().context("find the build's libraries")?;
    let library = newest(libraries)?;
    let kept = libraries.with_file_name("static");
    fs::create_dir_all(&kept).with_context(|| format!("make {}", kept.display()))?;
    let lock = File::create(kept.join("lock")).context("make a lock")?;
    // Each test is a process of its own; the lock ends with this function, however that ends.
    lock.lock().context("wait for who links it already")?;
    let path = kept.join(format!("curfew-{:016x}", key_of(&library)?));
    if !path.is_file() {
        remove_others(&kept)?;
        link(libraries, &library, &path)?;
    }
    Ok(path)
}

/// Returns the library that this build uses: whatever was compiled of the same sources with other
/// features is as good, and what was compiled of older sources is older.
fn newest(libraries: &Path) -> Result<PathBuf> {
    let is_library = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("libcurfew-") && path.extension().is_some_and(|it| it == "rlib")
    };
    let entries = fs::read_dir(libraries).context("list the libraries of this build")?.flatten();
    let paths = entries.map(|entry| entry.path()).filter(is_library);
    let written = |path: &PathBuf| {
        let time = fs::metadata(path).and_then(|metadata| metadata.modified());
        time.unwrap_or(SystemTime::UNIX_EPOCH)
    };
    paths.max_by_key(written).context("the library of the agent is not built: run tests by cargo")
}

fn link(libraries: &Path, library: &Path, path: &Path) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/curfew-under-test.rs");
    let mut command = Command::new("rustc");
    // Where the toolchain of this checkout is the one that is meant.
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command.args(["--edition", "2024", "--crate-name", "curfew_static", "--crate-type", "bin"]);
    command.args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"]);
    command.arg("-L").arg(with_prefix("dependency=", libraries));
    command.arg("--extern").arg(with_prefix("curfew=", library));
    let output = command.arg(source).arg("-o").arg(&unfinished).output().context("start rustc")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the agent cannot be linked statically: {errors}");
    fs::rename(&unfinished, path).with_context(|| format!("make {}", path.display()))
}

fn with_prefix(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from(prefix);
    text.push(path);
    text
}

/// Removes what earlier builds have left; who runs it keeps it.
fn remove_others(kept: &Path) -> Result<()> {
    for entry in fs::read_dir(kept).context("list the static agents")?.flatten() {
        if entry.file_name() != "lock" {
            fs::remove_file(entry.path()).context("remove an old static agent")?;
        }
    }
    Ok(())
}

/// Tells one build of the library from another.
fn key_of(library: &Path) -> Result<u64> {
    let metadata = fs::metadata(library).context("look at the library of the agent")?;
    let mut key = DefaultHasher::new();
    (library, metadata.len(), metadata.mtime(), metadata.mtime_nsec()).hash(&mut key);
    Ok(key.finish())
}

//! Metrics that others have written into files: `*.prom` in the folders that are configured.
//!
//! A file that is wrong in any way is left out as a whole, and said to be wrong. So are parts of a
//! page that would make it invalid: names that others have, series that are there already.
//!
//! Whoever may write into such a folder is not trusted with more than metrics: the agent may read
//! every file of the host, so links are not followed; and what all files may have is limited.

mod parse;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::collector::{Context, Settings};
use crate::read::{CollectError, Reader, names};
use crate::sample::{Family, Samples};
use crate::text::{float, one_if};

use self::parse::{Part, Wrong};

#[expect(clippy::unnecessary_wraps, reason = "as all collectors")]
pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { settings, reader, samples, flaw, .. } = context;
    let mut page = Page::default();
    let usual = settings.usual_text_folder.iter().filter(|folder| folder.is_dir());
    for folder in settings.text_folders.iter().chain(usual) {
        let is_full = page.take_folder(reader, settings, folder);
        if is_full {
            break;
        }
    }
    page.show(samples);
    **flaw = page.flaw;
    Ok(())
}

/// What all files say.
#[derive(Debug)]
struct Page {
    /// By family, with the paths that they are from.
    parts: BTreeMap<String, (Part, String)>,
    series: HashSet<String>,
    changed: BTreeMap<String, u64>,
    /// The first that was found.
    flaw: Option<CollectError>,
    bytes_left: usize,
    series_left: usize,
}

impl Default for Page {
    fn default() -> Self {
        Self {
            parts: BTreeMap::new(),
            series: HashSet::new(),
            changed: BTreeMap::new(),
            flaw: None,
            bytes_left: BYTES_MAX,
            series_left: SERIES_MAX,
        }
    }
}

impl Page {
    /// Takes the files of a folder; returns whether there is no room for more.
    fn take_folder(&mut self, reader: &mut Reader, settings: &Settings, folder: &Path) -> bool {
        let files = match names(folder) {
            Ok(files) => files,
            Err(failure) => {
                self.note(failure);
                return false;
            }
        };
        for file in files.iter().filter(|file| file.strip_suffix(".prom").is_some()) {
            if let Err(failure) = self.take(reader, settings, folder, file) {
                let is_full = matches!(failure, CollectError::Surplus { .. });
                self.note(failure);
                if is_full {
                    return true;
                }
            }
        }
        false
    }

    fn note(&mut self, flaw: CollectError) {
        self.flaw.get_or_insert(flaw);
    }

    /// Takes the parts of a file, unless it cannot be read or is wrong.
    fn take(
        &mut self,
        reader: &mut Reader,
        settings: &Settings,
        folder: &Path,
        file: &str,
    ) -> Result<(), CollectError> {
        let path = folder.join(file);
        let surplus =
            || CollectError::Surplus { path: path.clone(), bytes: BYTES_MAX, series: SERIES_MAX };
        // What says when it was changed is a series, too.
        let room = self.series_left.checked_sub(1).ok_or_else(surplus)?;
        let (text, changed) = reader.strangers_file(folder, file, FILE_MAX)?;
        // Those that are wrong count as well: they have been read.
        self.bytes_left = self.bytes_left.checked_sub(text.as_str().len()).ok_or_else(surplus)?;
        let parts = parse::parts(text.as_str(), room).map_err(|wrong| match wrong {
            Wrong::Line(line) => CollectError::Parse { path: path.clone(), line },
            Wrong::TooMany => surplus(),
        })?;
        let count = parts.iter().map(|part| part.series.len()).sum();
        self.series_left = room.saturating_sub(count);
        let shown = path.to_string_lossy().into_owned();
        for part in parts {
            let mut reserved = settings.reserved.iter().chain(&RESERVED);
            let is_reserved = reserved.any(|start| part.name.starts_with(start));
            if is_reserved || !self.fits(&part) {
                self.note(CollectError::Clash { path: path.clone(), name: part.name });
            } else if let Some(name) = self.add(part, &shown) {
                self.note(CollectError::Clash { path: path.clone(), name });
            }
        }
        let age = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok());
        self.changed.insert(shown, age.unwrap_or_default().as_secs());
        Ok(())
    }

    /// Returns whether it says the same of its family as what is there.
    fn fits(&self, part: &Part) -> bool {
        self.parts.get(&part.name).is_none_or(|(known, _)| {
            known.kind == part.kind && (part.help.is_none() || known.help == part.help)
        })
    }

    /// Adds those of its series that are new; returns its name if there are others.
    fn add(&mut self, mut part: Part, path: &str) -> Option<String> {
        let before = part.series.len();
        let name = part.name.clone();
        part.series.retain(|(rest, _)| self.series.insert(format!("{name}{rest}")));
        let clash = (part.series.len() < before).then(|| name.clone());
        if let Some((known, paths)) = self.parts.get_mut(&name) {
            known.series.append(&mut part.series);
            // Names of a thousand files do not help.
            if known.help.is_none() && paths.len() < PATHS_MAX {
                paths.push_str(", ");
                paths.push_str(path);
            }
        } else {
            self.parts.insert(name, (part, path.to_owned()));
        }
        clash
    }

    fn show(&self, samples: &mut Samples) {
        for (part, paths) in self.parts.values() {
            let read_from;
            let help = if let Some(help) = &part.help {
                help
            } else {
                read_from = format!("Metric read from {paths}");
                &read_from
            };
            samples.verbatim(&part.name, part.kind, help, &part.series);
        }
        for (path, seconds) in &self.changed {
            samples.set(&CHANGED, &[path], float(*seconds));
        }
        samples.set(&FLAWED, &[], one_if(self.flaw.is_some()));
    }
}

/// What is said of collectors, and by this one.
const RESERVED: [&str; 2] = ["node_scrape_collector_", "node_textfile_"];
/// Of one file: ten thousand series with a label or two.
const FILE_MAX: usize = 1 << 20;
/// Of all files together. They are held some six times while a page is made (as read, by family,
/// on the page, compressed), and the agent has 128 MiB for all that it does.
const BYTES_MAX: usize = 4 << 20;
/// Of all files together: five times what a host has to say itself.
const SERIES_MAX: usize = 10_000;
/// Of the paths in a help that was made here.
const PATHS_MAX: usize = 512;
const CHANGED: Family = Family::gauge(
    "node_textfile_mtime_seconds",
    &["file"],
    "When the file was last changed; only of files without a flaw.",
);
const FLAWED: Family = Family::gauge(
    "node_textfile_scrape_error",
    &[],
    "1 if a folder or a file cannot be read or is wrong, else 0.",
);

#[cfg(test)]
mod tests {
    use std::fmt::Write;
    use std::fs;

    use super::*;
    use crate::fixture::Tree;

    fn samples(files: &[(&str, &str)]) -> Samples {
        let mut tree = Tree::new(&[]);
        let folder = tree.path("root/text");
        fs::create_dir_all(&folder).unwrap();
        for (file, content) in files {
            tree.write(&format!("root/text/{file}"), content.as_bytes());
        }
        tree.settings.text_folders.push(folder);
        tree.settings.reserved.push("curfew_");
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        samples
    }

    const FLAW: &str = "node_textfile_scrape_error";

    #[test]
    fn files_of_one_family_are_shown_together() {
        let samples = samples(&[
            (
                "a.prom",
                "# HELP backup_age_seconds Age.\n# TYPE backup_age_seconds gauge\n\
                        backup_age_seconds{what=\"db\"} 5\n",
            ),
            (
                "b.prom",
                "# TYPE backup_age_seconds gauge\nbackup_age_seconds{what=\"home\"} 6\n\
                        plain 7\n",
            ),
            ("c.txt", "not read\n"),
        ]);
        assert_eq!(samples.value("backup_age_seconds{what=\"home\"}"), Some(6.0));
        assert_eq!(samples.value("plain"), Some(7.0));
        assert_eq!(samples.value(FLAW), Some(0.0));
        let changed = samples.families().find(|it| it.name() == "node_textfile_mtime_seconds");
        assert_eq!(changed.unwrap().series().count(), 2);
        let plain = samples.families().find(|family| family.name() == "plain").unwrap();
        assert!(plain.help().ends_with("b.prom"), "{}", plain.help());
    }

    #[test]
    fn a_wrong_file_is_left_out_as_a_whole() {
        for wrong in [
            "x{ 1\n",
            "x 1 1700000000000\n",
            "good 5\n",
            "curfew_phase 1\n",
            "node_textfile_scrape_error 0\n",
        ] {
            let samples = samples(&[("a.prom", "good 1\n"), ("b.prom", wrong)]);
            assert_eq!(samples.value(FLAW), Some(1.0), "{wrong}");
            assert_eq!(samples.value("good"), Some(1.0), "{wrong}");
            assert_eq!((samples.value("x"), samples.value("curfew_phase")), (None, None));
        }
        let first = "# HELP a One.\na 1\n";
        let samples = samples(&[("a.prom", first), ("b.prom", "# HELP a Two.\na{b=\"c\"} 1\n")]);
        assert_eq!((samples.value(FLAW), samples.value("a{b=\"c\"}")), (Some(1.0), None));
    }

    #[test]
    fn a_folder_that_is_not_there_is_a_flaw() {
        let mut tree = Tree::new(&[]);
        assert_eq!(tree.collect(collect).1.value(FLAW), Some(0.0));
        tree.settings.usual_text_folder = Some(tree.path("root/none"));
        assert_eq!(tree.collect(collect).1.value(FLAW), Some(0.0), "it need not be there");
        tree.settings.text_folders.push(tree.path("root/none"));
        assert_eq!(tree.collect(collect).1.value(FLAW), Some(1.0));
    }

    #[test]
    fn links_are_not_followed_and_pipes_are_not_waited_for() {
        let mut tree =
            Tree::new(&[("root/secret", "secret 1\n"), ("root/text/good.prom", "a 1\n")]);
        tree.settings.text_folders.push(tree.path("root/text"));
        assert_eq!(tree.collect(collect).1.value(FLAW), Some(0.0));
        tree.link("root/text/link.prom", "../secret");
        let flawed = |tree: &Tree, file: &str| {
            let (_, samples, flaw) = tree.collect_with_flaw(collect);
            assert_eq!((samples.value("a"), samples.value("secret")), (Some(1.0), None));
            assert_eq!(samples.value(FLAW), Some(1.0));
            let said = flaw.unwrap().to_string();
            let expected = format!("{file} is no file (links are not followed)");
            assert!(said.ends_with(&expected), "{said}");
        };
        flawed(&tree, "link.prom");
        fs::remove_file(tree.path("root/text/link.prom")).unwrap();
        nix::unistd::mkfifo(&tree.path("root/text/pipe.prom"), nix::sys::stat::Mode::S_IRWXU)
            .unwrap();
        flawed(&tree, "pipe.prom");
    }

    #[test]
    fn all_files_together_have_limits() {
        let file = |name: &str, count: usize| -> String {
            (0..count).fold(String::new(), |mut text, n| {
                writeln!(text, "{name}{{n=\"{n}\"}} 1").unwrap();
                text
            })
        };
        let mut tree = Tree::new(&[
            ("root/text/a.prom", &file("a", 6000)),
            ("root/text/b.prom", &file("b", 3990)),
        ]);
        tree.settings.text_folders.push(tree.path("root/text"));
        assert_eq!(tree.collect(collect).1.value(FLAW), Some(0.0));
        tree.write("root/text/c.prom", file("c", 9).as_bytes());
        let (_, samples, flaw) = tree.collect_with_flaw(collect);
        assert_eq!((samples.value(FLAW), samples.value("c{n=\"0\"}")), (Some(1.0), None));
        assert_eq!((samples.value("b{n=\"0\"}"), samples.len()), (Some(1.0), 9990 + 2 + 1));
        let said = flaw.unwrap().to_string();
        assert!(said.contains("c.prom is left out"), "{said}");
    }

    #[test]
    fn long_files_are_left_out() {
        let long = format!("# {}\n", "x".repeat(FILE_MAX - 8));
        let names: Vec<_> = (0..6).map(|n| format!("root/text/{n}.prom")).collect();
        let content = |n: usize| format!("{long}a{n} 1\n");
        let mut tree = Tree::new(&[]);
        for (n, name) in names.iter().enumerate() {
            tree.write(name, content(n).as_bytes());
        }
        tree.settings.text_folders.push(tree.path("root/text"));
        let (_, samples, flaw) = tree.collect_with_flaw(collect);
        assert!(matches!(flaw, Some(CollectError::Surplus { .. })), "{flaw:?}");
        assert_eq!((samples.value("a3"), samples.value("a4")), (Some(1.0), None));
        tree.write("root/text/0.prom", format!("{long}a0 1000\n").as_bytes());
        let (_, samples, flaw) = tree.collect_with_flaw(collect);
        assert!(matches!(flaw, Some(CollectError::TooLong { .. })), "{flaw:?}");
        assert_eq!((samples.value("a0"), samples.value("a1")), (None, Some(1.0)));
    }
}

//! Metrics that others have written into files: `*.prom` in the folders that are configured.
//!
//! A file that is wrong in any way is left out as a whole, and said to be wrong. So are parts of a
//! page that would make it invalid: names that others have, series that are there already.

mod parse;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::collector::{Context, Settings};
use crate::read::{CollectError, Reader, names};
use crate::sample::{Family, Samples};
use crate::text::{float, one_if};

use self::parse::Part;

#[expect(clippy::unnecessary_wraps, reason = "as all collectors")]
pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { settings, reader, samples, .. } = context;
    let mut page = Page::default();
    let usual = settings.usual_text_folder.iter().filter(|folder| folder.is_dir());
    for folder in settings.text_folders.iter().chain(usual) {
        let Ok(files) = names(folder) else {
            page.is_flawed = true;
            continue;
        };
        for file in files.iter().filter(|file| file.strip_suffix(".prom").is_some()) {
            if page.take(reader, settings, folder, file).is_none() {
                page.is_flawed = true;
            }
        }
    }
    page.show(samples);
    Ok(())
}

/// What all files say.
#[derive(Debug, Default)]
struct Page {
    /// By family, with the paths that they are from.
    parts: BTreeMap<String, (Part, String)>,
    series: BTreeSet<String>,
    changed: BTreeMap<String, u64>,
    is_flawed: bool,
}

impl Page {
    /// Takes the parts of a file; none if it cannot be read or is wrong.
    fn take(
        &mut self,
        reader: &mut Reader,
        settings: &Settings,
        folder: &Path,
        file: &str,
    ) -> Option<()> {
        let path = folder.join(file);
        // Nobody may ever write into a pipe.
        let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        let text = reader.document(folder, file).ok()?;
        let parts = parse::parts(text.as_str()).ok()?;
        let changed = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        let path = path.to_string_lossy().into_owned();
        for part in parts {
            let mut reserved = settings.reserved.iter().chain(&RESERVED);
            let is_reserved = reserved.any(|start| part.name.starts_with(start));
            self.is_flawed |= is_reserved || !self.fits(&part);
            if !is_reserved && self.fits(&part) {
                self.add(part, &path);
            }
        }
        self.changed.insert(path, changed.as_secs());
        Some(())
    }

    /// Returns whether it says the same of its family as what is there.
    fn fits(&self, part: &Part) -> bool {
        self.parts.get(&part.name).is_none_or(|(known, _)| {
            known.kind == part.kind && (part.help.is_none() || known.help == part.help)
        })
    }

    fn add(&mut self, mut part: Part, path: &str) {
        let before = part.series.len();
        let name = part.name.clone();
        part.series.retain(|(rest, _)| self.series.insert(format!("{name}{rest}")));
        self.is_flawed |= part.series.len() < before;
        if let Some((known, paths)) = self.parts.get_mut(&name) {
            known.series.append(&mut part.series);
            paths.push_str(", ");
            paths.push_str(path);
        } else {
            self.parts.insert(name, (part, path.to_owned()));
        }
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
            for (rest, value) in &part.series {
                samples.verbatim(&part.name, part.kind, help, rest, *value);
            }
        }
        for (path, seconds) in &self.changed {
            samples.set(&CHANGED, &[path], float(*seconds));
        }
        samples.set(&FLAWED, &[], one_if(self.is_flawed));
    }
}

/// What is said of collectors, and by this one.
const RESERVED: [&str; 2] = ["node_scrape_collector_", "node_textfile_"];
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
}

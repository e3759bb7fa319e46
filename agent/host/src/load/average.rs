//! `/proc/loadavg`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Family, Samples};
use crate::text::{number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    reader.file(&roots.proc, "loadavg")?.parsed(|text| parse(text, samples).ok_or(1))
}

fn parse(text: &str, samples: &mut Samples) -> Option<()> {
    let mut words = words(text);
    for family in &FAMILIES {
        samples.set(family, &[], number(words.next()?)?);
    }
    Some(())
}

static FAMILIES: [Family; 3] = [
    Family::gauge("node_load1", &[], "Load average of a minute."),
    Family::gauge("node_load5", &[], "Load average of five minutes."),
    Family::gauge("node_load15", &[], "Load average of a quarter of an hour."),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn the_load_is_what_the_kernel_says() {
        let tree = Tree::new(&[("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n")]);
        let (result, samples) = tree.collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_load1"), Some(0.21));
        assert_eq!(samples.value("node_load15"), Some(0.39));
    }

    #[test]
    fn nonsense_is_an_error() {
        let (result, samples) = Tree::new(&[("proc/loadavg", "0.21 x\n")]).collect(collect);
        assert!(matches!(result, Err(CollectError::Parse { line: 1, .. })), "{result:?}");
        assert_eq!(samples.value("node_load5"), None);
    }
}

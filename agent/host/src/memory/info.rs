//! `/proc/meminfo`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Kind, Samples};
use crate::text::{lines, number, words};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    reader.file(&roots.proc, "meminfo")?.parsed(|text| parse(text, samples))
}

/// Reads the lines `Active(anon):  2068484 kB`: every field that the kernel has.
fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    let (mut name, mut help) = (String::new(), String::new());
    for (line_number, line) in lines(text) {
        let (field, value) = line.split_once(':').ok_or(line_number)?;
        let mut words = words(value);
        let value = words.next().and_then(number).ok_or(line_number)?;
        let is_kilobytes = words.next() == Some("kB");
        name.clear();
        name.push_str("node_memory_");
        name.extend(field.chars().filter_map(|c| match c {
            '(' => Some('_'),
            ')' => None,
            other if other.is_ascii_alphanumeric() => Some(other),
            _ => Some('_'),
        }));
        if is_kilobytes {
            name.push_str("_bytes");
        }
        help.clear();
        help.extend(["The field ", field, " of /proc/meminfo."]);
        let value = if is_kilobytes { value * 1024.0 } else { value };
        samples.named(&name, Kind::Gauge, &help, &[], value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn kilobytes_are_bytes_and_numbers_stay_numbers() {
        let text =
            "MemTotal:        3742148 kB\nActive(anon):    2068484 kB\nHugePages_Free:    3\n";
        let (result, samples) = Tree::new(&[("proc/meminfo", text)]).collect(collect);
        result.unwrap();
        assert_eq!(samples.value("node_memory_MemTotal_bytes"), Some(3_831_959_552.0));
        assert_eq!(samples.value("node_memory_Active_anon_bytes"), Some(2_118_127_616.0));
        assert_eq!(samples.value("node_memory_HugePages_Free"), Some(3.0));
        let (result, _) = Tree::new(&[("proc/meminfo", "MemTotal: 1 kB\nx\n")]).collect(collect);
        assert!(matches!(result, Err(CollectError::Parse { line: 2, .. })), "{result:?}");
    }
}

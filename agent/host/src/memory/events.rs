//! Paging, swapping and kills: `/proc/vmstat`.

use crate::collector::Context;
use crate::read::CollectError;
use crate::sample::{Kind, Samples};
use crate::text::{lines, number};

pub(crate) fn collect(context: &mut Context<'_>) -> Result<(), CollectError> {
    let Context { roots, reader, samples, .. } = context;
    reader.file(&roots.proc, "vmstat")?.parsed(|text| parse(text, samples))
}

fn parse(text: &str, samples: &mut Samples) -> Result<(), usize> {
    for (line_number, line) in lines(text) {
        let (field, value) = line.split_once(' ').ok_or(line_number)?;
        if is_wanted(field) {
            let value = number(value.trim()).ok_or(line_number)?;
            let help = format!("The field {field} of /proc/vmstat.");
            samples.named(&format!("node_vmstat_{field}"), Kind::Untyped, &help, &[], value);
        }
    }
    Ok(())
}

/// `^(oom_kill|pgpg|pswp|pg.*fault).*`, by which `node_exporter` chooses unless told otherwise.
fn is_wanted(field: &str) -> bool {
    ["oom_kill", "pgpg", "pswp"].iter().any(|start| field.starts_with(start))
        || field.strip_prefix("pg").is_some_and(|rest| rest.contains("fault"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Tree;

    #[test]
    fn only_the_usual_fields_are_shown() {
        let text = "nr_free_pages 9\npgpgin 7344136\npgfault 2320168809\nthp_fault_alloc 4\n\
                    oom_kill 1\npswpout 3\npgmajfault 5\npgsteal_anon 6\n";
        let (result, samples) = Tree::new(&[("proc/vmstat", text)]).collect(collect);
        result.unwrap();
        let names: Vec<_> = samples.families().map(|family| family.name()).collect();
        let expected = ["pgpgin", "pgfault", "oom_kill", "pswpout", "pgmajfault"];
        assert_eq!(names, expected.map(|field| format!("node_vmstat_{field}")));
        assert_eq!(samples.value("node_vmstat_pgfault"), Some(2_320_168_809.0));
    }
}

//! As much of ELF as it takes to know whether a program runs in an empty root file system.

/// What a program says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Elf {
    /// As images name it (`amd64`), if it is one that Talos runs on.
    pub architecture: Option<&'static str>,
    /// The loader that the kernel would start in its place.
    pub interpreter: Option<String>,
    /// The libraries that a loader would look for.
    pub needed: Vec<String>,
}

impl Elf {
    /// Parses the headers of a 64-bit little-endian program; `None` for anything else.
    pub fn parse(file: &[u8]) -> Option<Self> {
        let is_elf = take(file, 0)? == *b"\x7fELF" && take(file, 4)? == [ELF_CLASS_64, ELF_LITTLE];
        let is_program = matches!(u16_at(file, 16)?, ET_EXEC | ET_DYN);
        if !is_elf || !is_program {
            return None;
        }
        let architecture = match u16_at(file, 18)? {
            EM_X86_64 => Some("amd64"),
            EM_AARCH64 => Some("arm64"),
            _ => None,
        };
        let segments = segments(file)?;
        let find = |kind| segments.iter().find(|it| it.kind == kind);
        let interpreter = match find(PT_INTERP) {
            Some(segment) => Some(text(file, segment.offset)?),
            None => None,
        };
        let needed = match find(PT_DYNAMIC) {
            Some(segment) => needed(file, segment, &segments)?,
            None => Vec::new(),
        };
        Some(Self { architecture, interpreter, needed })
    }
}

/// A row of the program header table.
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    let table = u64_at(file, 32)?;
    let row_size = u64::from(u16_at(file, 54)?);
    let count = u64::from(u16_at(file, 56)?);
    let row = |index: u64| {
        let row = table.checked_add(index.checked_mul(row_size)?)?;
        Some(Segment {
            kind: u32::from_le_bytes(take(file, row)?),
            offset: u64_at(file, row.checked_add(8)?)?,
            address: u64_at(file, row.checked_add(16)?)?,
            size: u64_at(file, row.checked_add(32)?)?,
        })
    };
    (0..count).map(row).collect()
}

/// Returns the names of the libraries in the dynamic section.
fn needed(file: &[u8], dynamic: &Segment, segments: &[Segment]) -> Option<Vec<String>> {
    let mut offsets = Vec::new();
    let mut strings = None;
    for index in 0..dynamic.size / DYNAMIC_ROW {
        let row = dynamic.offset.checked_add(index * DYNAMIC_ROW)?;
        let value = u64_at(file, row.checked_add(8)?)?;
        match u64_at(file, row)? {
            DT_NULL => break,
            DT_NEEDED => offsets.push(value),
            DT_STRTAB => strings = Some(value),
            _ => {}
        }
    }
    if offsets.is_empty() {
        return Some(Vec::new());
    }
    let strings = strings?;
    // The table is named by the address at which it will be, not by its place in the file.
    let load = segments.iter().find(|it| {
        it.kind == PT_LOAD && strings.checked_sub(it.address).is_some_and(|into| into < it.size)
    })?;
    let table = (strings - load.address).checked_add(load.offset)?;
    offsets.into_iter().map(|offset| text(file, table.checked_add(offset)?)).collect()
}

/// Returns `N` bytes from an offset.
fn take<const N: usize>(file: &[u8], offset: u64) -> Option<[u8; N]> {
    let start = usize::try_from(offset).ok()?;
    file.get(start..start.checked_add(N)?)?.try_into().ok()
}

fn u16_at(file: &[u8], offset: u64) -> Option<u16> {
    take(file, offset).map(u16::from_le_bytes)
}

fn u64_at(file: &[u8], offset: u64) -> Option<u64> {
    take(file, offset).map(u64::from_le_bytes)
}

/// Returns the text at an offset, up to its zero byte.
fn text(file: &[u8], offset: u64) -> Option<String> {
    let rest = file.get(usize::try_from(offset).ok()?..)?;
    let text = rest.split(|byte| *byte == 0).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

const ELF_CLASS_64: u8 = 2;
const ELF_LITTLE: u8 = 1;
const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const EM_X86_64: u16 = 62;
const EM_AARCH64: u16 = 183;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DYNAMIC_ROW: u64 = 16;

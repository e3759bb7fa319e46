//! The kernel's protocol of FUSE (`linux/fuse.h`, 7.31), as far as reading a few files needs it.
//!
//! A question is a head (length, operation, id, number of the file, and whose it is) and what the
//! operation needs; an answer is a head (length, error, id) and what was asked for. All numbers are
//! the machine's own.

use nix::errno::Errno;

use super::tree::{Node, Tree};

/// A question of the kernel.
#[derive(Debug)]
pub(super) struct Question<'a> {
    operation: u32,
    id: u64,
    number: u64,
    rest: &'a [u8],
}

/// What is said to a question.
enum Answer {
    Yes(Vec<u8>),
    No(Errno),
    /// The kernel expects no answer.
    None,
}

impl<'a> Question<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        Some(Self {
            operation: u32_at(bytes, 4)?,
            id: u64_at(bytes, 8)?,
            number: u64_at(bytes, 16)?,
            rest: bytes.get(HEAD..)?,
        })
    }

    pub(super) fn is_for_room(&self) -> bool {
        self.operation == STATFS
    }

    /// Returns the bytes to answer with, if an answer is expected.
    pub(super) fn answer(&self, tree: &Tree) -> Option<Vec<u8>> {
        let (error, body) = match self.answered(tree) {
            Answer::Yes(body) => (0, body),
            Answer::No(errno) => (-(errno as i32), Vec::new()),
            Answer::None => return None,
        };
        let length = u32::try_from(ANSWER_HEAD + body.len()).ok()?;
        let mut bytes = length.to_ne_bytes().to_vec();
        bytes.extend(error.to_ne_bytes());
        bytes.extend(self.id.to_ne_bytes());
        bytes.extend(body);
        Some(bytes)
    }

    fn answered(&self, tree: &Tree) -> Answer {
        let node = || tree.node(self.number);
        let found = match self.operation {
            FORGET | BATCH_FORGET | INTERRUPT => return Answer::None,
            INIT => Some(init()),
            RELEASE | RELEASEDIR | FLUSH => Some(Vec::new()),
            STATFS => Some(room()),
            OPEN => node().map(|_| opened(FOPEN_DIRECT_IO)),
            OPENDIR => node().map(|_| opened(0)),
            GETATTR => node().map(|node| [vec![0; 16], attributes(self.number, node)].concat()),
            LOOKUP => self.name().and_then(|name| {
                let number = tree.find(self.number, name)?;
                // No generation, and no time for which it may be kept.
                let head = [&number.to_ne_bytes()[..], &[0; 32]].concat();
                Some([head, attributes(number, tree.node(number)?)].concat())
            }),
            READ => node().and_then(Node::content).and_then(|content| self.part(content)),
            READDIR => self.part(&listing(tree, self.number)),
            _ => return Answer::No(Errno::ENOSYS),
        };
        found.map_or(Answer::No(Errno::ENOENT), Answer::Yes)
    }

    fn name(&self) -> Option<&str> {
        std::str::from_utf8(self.rest.strip_suffix(b"\0")?).ok()
    }

    /// Returns the part that a question for reading is about. Listings are short: asked on from
    /// anywhere there is no more.
    fn part(&self, all: &[u8]) -> Option<Vec<u8>> {
        let offset = usize::try_from(u64_at(self.rest, 8)?).ok()?;
        let size = usize::try_from(u32_at(self.rest, 16)?).ok()?;
        let rest = all.get(offset.min(all.len())..)?;
        rest.get(..size.min(rest.len())).map(<[u8]>::to_vec)
    }
}

/// The version, no read-ahead, no flags, and the least that may be written at once.
fn init() -> Vec<u8> {
    let mut body = Vec::new();
    for number in [MAJOR, MINOR, 0, 0] {
        body.extend(number.to_ne_bytes());
    }
    // Two limits for requests in the background, left to the kernel.
    body.extend([0; 4]);
    body.extend(WRITE_MAX.to_ne_bytes());
    body.resize(INIT_LENGTH, 0);
    body
}

/// No handle.
fn opened(flags: u32) -> Vec<u8> {
    [&[0; 8][..], &flags.to_ne_bytes(), &[0; 4]].concat()
}

/// A thousand blocks and as many files, half of them free.
fn room() -> Vec<u8> {
    let mut body = Vec::new();
    for number in [1000_u64, 500, 500, 1000, 500] {
        body.extend(number.to_ne_bytes());
    }
    for number in [4096_u32, 255, 4096, 0] {
        body.extend(number.to_ne_bytes());
    }
    body.resize(ROOM_LENGTH, 0);
    body
}

fn attributes(number: u64, node: &Node) -> Vec<u8> {
    let length = node.content().map_or(0, <[u8]>::len) as u64;
    let mode: u32 = if node.content().is_some() { 0o100_644 } else { 0o040_755 };
    let mut body = Vec::new();
    // The blocks, and when it was read, changed and made: in 2020.
    for number in [number, length, 1, CHANGED, CHANGED, CHANGED] {
        body.extend(number.to_ne_bytes());
    }
    // Three parts of a second; the links, owner, group, device, block size, flags.
    for number in [0, 0, 0, mode, 1, 0, 0, 0, 4096, 0] {
        body.extend(number.to_ne_bytes());
    }
    body
}

fn listing(tree: &Tree, folder: u64) -> Vec<u8> {
    let mut body = Vec::new();
    for (number, node) in tree.children(folder) {
        let name = node.name().as_bytes();
        let padded = name.len().next_multiple_of(8);
        let next = (body.len() + ENTRY_HEAD + padded) as u64;
        body.extend(number.to_ne_bytes());
        body.extend(next.to_ne_bytes());
        body.extend(u32::try_from(name.len()).unwrap_or_default().to_ne_bytes());
        body.extend(if node.content().is_some() { DT_REG } else { DT_DIR }.to_ne_bytes());
        body.extend(name);
        body.resize(body.len() + padded - name.len(), 0);
    }
    body
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(*bytes.get(at..)?.first_chunk()?))
}

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const FLUSH: u32 = 25;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

const MAJOR: u32 = 7;
const MINOR: u32 = 31;
/// The kernel takes no less.
const WRITE_MAX: u32 = 4096;
/// Each reading is a question.
const FOPEN_DIRECT_IO: u32 = 1;
const DT_DIR: u32 = 4;
const DT_REG: u32 = 8;
const CHANGED: u64 = 1_577_836_800;
const HEAD: usize = 40;
const ANSWER_HEAD: usize = 16;
const INIT_LENGTH: usize = 64;
const ROOM_LENGTH: usize = 80;
const ENTRY_HEAD: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::tree::ROOT;

    #[test]
    fn answers_have_the_lengths_that_the_kernel_expects() {
        let tree = Tree::new(&[("a.prom", "a 1\n")]);
        let lengths = [(INIT, 64), (STATFS, 80), (OPEN, 16), (GETATTR, 104), (RELEASE, 0)];
        for (operation, length) in lengths {
            let question = Question { operation, id: 7, number: ROOT, rest: &[] };
            let answer = question.answer(&tree).unwrap();
            assert_eq!(answer.len(), ANSWER_HEAD + length, "operation {operation}");
            assert_eq!(u32_at(&answer, 0).map(u64::from), Some(answer.len() as u64));
            assert_eq!(u64_at(&answer, 8), Some(7));
        }
        let lookup = Question { operation: LOOKUP, id: 1, number: ROOT, rest: b"a.prom\0" };
        assert_eq!(lookup.answer(&tree).unwrap().len(), ANSWER_HEAD + 128);
        let unknown = Question { rest: b"b\0", ..lookup };
        let error = u32_at(&unknown.answer(&tree).unwrap(), 4).unwrap();
        assert_eq!(error.cast_signed(), -(Errno::ENOENT as i32));
        let forgotten = Question { operation: FORGET, ..unknown };
        assert!(forgotten.answer(&tree).is_none());
    }
}

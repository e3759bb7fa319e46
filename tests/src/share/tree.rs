//! The files of a share, by number as the kernel asks for them.

/// Files and folders; the first is the root.
#[derive(Debug)]
pub(super) struct Tree(Vec<Node>);

/// A file or a folder.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    /// The number of its folder; the root lies in itself.
    parent: u64,
    /// What is in it; none is a folder.
    content: Option<Vec<u8>>,
}

impl Tree {
    /// Takes files by their paths in the share.
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let mut tree = Self(vec![Node { name: "/".to_owned(), parent: ROOT, content: None }]);
        for (path, content) in files {
            let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
            let mut folder = ROOT;
            while let Some(name) = names.next() {
                let is_file = names.peek().is_none() && !path.ends_with('/');
                folder = tree.find(folder, name).unwrap_or_else(|| {
                    let content = is_file.then(|| content.as_bytes().to_vec());
                    tree.0.push(Node { name: name.to_owned(), parent: folder, content });
                    tree.0.len() as u64
                });
            }
        }
        tree
    }

    /// Returns what has this number.
    pub(super) fn node(&self, number: u64) -> Option<&Node> {
        self.0.get(usize::try_from(number).ok()?.checked_sub(1)?)
    }

    /// Returns the number of what has this name in a folder.
    pub(super) fn find(&self, folder: u64, name: &str) -> Option<u64> {
        self.children(folder).find(|(_, node)| node.name == name).map(|(number, _)| number)
    }

    /// Returns what lies in a folder.
    pub(super) fn children(&self, folder: u64) -> impl Iterator<Item = (u64, &Node)> {
        let all = (ROOT..).zip(&self.0);
        all.filter(move |(number, node)| node.parent == folder && *number != ROOT)
    }
}

impl Node {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }
}

/// As the kernel has it.
pub(super) const ROOT: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_made_once_and_files_lie_in_them() {
        let tree = Tree::new(&[("a/b", "one"), ("a/c", "two"), ("d/", ""), ("e", "three")]);
        let names = |folder| tree.children(folder).map(|(_, it)| it.name()).collect::<Vec<_>>();
        assert_eq!(names(ROOT), ["a", "d", "e"]);
        let folder = tree.find(ROOT, "a").unwrap();
        assert_eq!(names(folder), ["b", "c"]);
        let file = tree.find(folder, "c").and_then(|number| tree.node(number)).unwrap();
        assert_eq!(file.content(), Some(&b"two"[..]));
        let empty = tree.find(ROOT, "d").and_then(|number| tree.node(number)).unwrap();
        assert!(empty.content().is_none());
        assert!(tree.find(folder, "e").is_none() && tree.node(0).is_none());
    }
}

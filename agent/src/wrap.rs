//! Breaks sentences into lines that fit a terminal, and keeps them from being more than text.

/// The columns of the narrowest terminal that is in use.
pub const WIDTH: usize = 80;

/// Breaks a text between words into lines of at most `width`; a word that is longer than that is
/// broken where the line ends.
///
/// A control character counts as a space: what somebody else has said neither begins a line nor
/// moves the cursor.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words(text).flat_map(|word| pieces(word, width)) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Adds a text to a page behind a head that ends with a space; its further lines begin `indent`
/// columns in.
pub fn put(page: &mut String, head: &str, indent: usize, text: &str) {
    let (mut line, mut column) = (head.to_owned(), head.chars().count());
    for word in words(text).flat_map(|word| pieces(word, WIDTH.saturating_sub(indent))) {
        let width = word.chars().count();
        if column + width > WIDTH && column > indent {
            end(page, &line);
            (line, column) = (" ".repeat(indent), indent);
        }
        line.push_str(word);
        line.push(' ');
        column += width + 1;
    }
    end(page, &line);
}

fn end(page: &mut String, line: &str) {
    page.push_str(line.trim_end());
    page.push('\n');
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |c: char| c.is_whitespace() || c.is_control();
    text.split(is_between).filter(|word| !word.is_empty())
}

/// Cuts a word into pieces of this width, and a last one with the rest.
fn pieces(word: &str, width: usize) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let cut = rest.char_indices().nth(width.max(1)).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at_checked(cut)?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_between_words_and_fit() {
        let text = "runtime left 20 s is down to the 18 s needed and 2 s of reserve";
        let lines = wrapped(text, 30);
        assert!(lines.iter().all(|line| line.len() <= 30), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(
            wrapped("a unbreakabl\u{e9}-long b", 5),
            ["a", "unbre", "akabl", "\u{e9}-lon", "g b"]
        );
        assert_eq!(wrapped("ab", 0), ["a", "b"]);
        assert!(wrapped("", 4).is_empty());
    }

    #[test]
    fn further_lines_hang_below_the_first() {
        let mut page = String::new();
        put(&mut page, "FAIL  journal: ", 6, &"word ".repeat(20));
        let lines: Vec<_> = page.lines().collect();
        assert_eq!(lines.len(), 2, "{page}");
        assert!(lines[0].starts_with("FAIL  journal: word word") && lines[0].len() <= WIDTH);
        assert!(lines[1].starts_with("      word"), "{page}");
        page.clear();
        put(&mut page, "ok    ", 6, "");
        assert_eq!(page, "ok\n");
    }

    proptest! {
        #[test]
        fn nothing_that_is_said_begins_a_line_or_is_too_long(
            text in any::<String>(),
            long in "[a-z ]{0,300}",
        ) {
            let text = text + &long;
            let mut page = String::new();
            put(&mut page, "ok    name   ", 13, &text);
            let mut lines = page.lines();
            prop_assert!(lines.next().is_some_and(|line| line.starts_with("ok    name")));
            for line in lines {
                prop_assert!(line.starts_with(&" ".repeat(13)), "{:?}", line);
            }
            prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'));
            prop_assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{}", page);
            let shown: String = page.split_whitespace().skip(2).collect();
            let said: String = words(&text).collect();
            prop_assert_eq!(shown, said);
        }
    }
}

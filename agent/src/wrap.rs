//! Breaks sentences into lines that fit a terminal.

/// The columns of the narrowest terminal that is in use.
pub const WIDTH: usize = 80;

/// Breaks a text between words into lines of at most `width`; a longer word has its own line.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_fit() {
        let text = "runtime left 20 s is down to the 18 s needed and 2 s of reserve";
        let lines = wrapped(text, 30);
        assert!(lines.iter().all(|line| line.len() <= 30), "{lines:?}");
        assert_eq!(lines.join(" "), text);
        assert_eq!(wrapped("unbreakably-long", 4), ["unbreakably-long"]);
        assert!(wrapped("", 4).is_empty());
    }
}

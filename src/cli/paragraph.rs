//! Breaks paragraphs into lines of at most 78 columns, as Vault does.

/// Columns of a line.
const WIDTH: usize = 78;

/// Breaks each line of the text so that every one starts with `padding` spaces and fits.
pub(super) fn wrap(text: &str, padding: usize) -> String {
    let margin = " ".repeat(padding);
    let lines: Vec<String> = text
        .split('\n')
        .flat_map(|line| balanced(line, WIDTH - padding))
        .map(|line| format!("{margin}{line}"))
        .collect();
    lines.join("\n")
}

/// Lines of at most `limit` columns. The sum of the squared unused columns, over all lines but the
/// last, is as small as possible. A word longer than a line gets a line of its own.
fn balanced(text: &str, limit: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let widths: Vec<usize> = words.iter().map(|word| word.chars().count()).collect();
    // From the last word backwards: the least cost from a word on, and where its line ends.
    let mut best: Vec<(usize, usize)> = vec![(0, words.len()); words.len() + 1];
    for start in (0..words.len()).rev() {
        let mut choice = (usize::MAX, start + 1);
        let mut width = 0;
        for (end, word) in widths.iter().enumerate().skip(start) {
            width += word + usize::from(end > start);
            if width > limit && end > start {
                break;
            }
            let spare = limit.saturating_sub(width);
            let cost = if end + 1 == words.len() { 0 } else { spare * spare };
            let after = best.get(end + 1).map_or(0, |(cost, _)| *cost);
            if cost + after < choice.0 {
                choice = (cost + after, end + 1);
            }
        }
        if let Some(slot) = best.get_mut(start) {
            *slot = choice;
        }
    }
    let mut lines = Vec::new();
    let mut start = 0;
    while let Some(line) = best.get(start).and_then(|(_, end)| words.get(start..*end)) {
        if line.is_empty() {
            break;
        }
        lines.push(line.join(" "));
        start += line.len();
    }
    if lines.is_empty() { vec![String::new()] } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn breaks_where_vault_breaks() {
        let text = "* This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the newly generated issuer with this information.";
        let expected = "  * This mount hasn't configured any authority information access (AIA)\n  fields; this may make it harder for systems to find missing certificates\n  in the chain or to validate revocation status of certificates. Consider\n  updating /config/urls or the newly generated issuer with this information.";
        assert_eq!(wrap(text, 2), expected);
    }

    #[test]
    fn a_word_longer_than_a_line_has_a_line_of_its_own() {
        let long = "x".repeat(100);
        assert_eq!(wrap(&format!("a {long} b"), 0), format!("a\n{long}\nb"));
        assert_eq!(wrap("", 2), "  ");
    }
}

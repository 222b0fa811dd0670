//! Tables in Markdown documents.

/// The rows of the first table whose heading starts with the cells `heading`,
/// each row as its trimmed cells. The line of dashes is left out.
///
/// No such table gives no rows: the caller says which document lacks it.
///
/// ```
/// let text = "| crate | floor |\n| --- | --- |\n| `oci` | 0 |\n\nThe end.";
/// assert_eq!(landfall_house::table(text, &["crate", "floor"]), [["`oci`", "0"]]);
/// ```
pub fn table(text: &str, heading: &[&str]) -> Vec<Vec<String>> {
    text.lines()
        .skip_while(|line| {
            !cells(line).starts_with(&heading.iter().map(ToString::to_string).collect::<Vec<_>>())
        })
        .skip(2)
        .take_while(|line| line.trim_start().starts_with('|'))
        .map(cells)
        .collect()
}

/// What a cell says between its first two backticks, or the whole cell.
///
/// ```
/// assert_eq!(landfall_house::code("`oci` (later more)"), "oci");
/// assert_eq!(landfall_house::code("12"), "12");
/// ```
pub fn code(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or(cell)
}

fn cells(line: &str) -> Vec<String> {
    let Some(inner) = line
        .trim()
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'))
    else {
        return Vec::new();
    };
    inner
        .split('|')
        .map(|cell| cell.trim().to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_table_of_the_same_document_is_not_taken() {
        let text = "| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |\n|---|\n| 3 |\n| 4 |\n";
        assert_eq!(table(text, &["c"]), [["3"], ["4"]]);
        assert_eq!(table(text, &["a"]), [["1", "2"]]);
    }

    #[test]
    fn a_missing_table_has_no_rows() {
        assert!(table("| a |\n|---|\n| 1 |\n", &["b"]).is_empty());
        assert!(table("", &["b"]).is_empty());
    }
}

//! What a caller sent, cut to a length that fits into an error message.

/// The most characters of foreign input that a message repeats.
const LONGEST: usize = 80;

/// The start of `given`, with an ellipsis where something was cut off.
///
/// Control characters are escaped, so that a message stays one line whatever
/// was sent.
pub(crate) fn shorten(given: &str) -> String {
    let mut short = String::new();
    for (index, character) in given.chars().enumerate() {
        if index == LONGEST {
            short.push('…');
            break;
        }
        if character.is_control() {
            short.extend(character.escape_default());
        } else {
            short.push(character);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_stays_as_it_is() {
        assert_eq!(shorten("library/größe"), "library/größe");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let short = shorten(&"ö".repeat(5_000));
        assert_eq!(short, format!("{}…", "ö".repeat(LONGEST)));
    }

    #[test]
    fn control_characters_cannot_break_the_line() {
        assert_eq!(shorten("a\nb\u{1b}"), "a\\nb\\u{1b}");
    }
}

//! What was probably meant.

use strsim::damerau_levenshtein;

/// The candidate that is nearest to a misspelt name, if any is near: at most
/// a third of its letters may be wrong, or one is the beginning of the other.
pub(super) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            let rest = name
                .strip_prefix(candidate)
                .or_else(|| candidate.strip_prefix(name));
            let begins = rest.is_some_and(|rest| !rest.contains('.'));
            *distance <= candidate.len() / 3 || (begins && name.len() > 2)
        })
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_unless_all_are_far() {
        let names = ["server.listen", "server.header_timeout", "log.level"];
        assert_eq!(nearest("server.listn", names), Some("server.listen"));
        assert_eq!(
            nearest("sever.header_timeot", names),
            Some("server.header_timeout")
        );
        assert_eq!(nearest("server.listen_addr", names), Some("server.listen"));
        assert_eq!(
            nearest("server.header", names),
            Some("server.header_timeout")
        );
        assert_eq!(nearest("completely.different", names), None);
        assert_eq!(nearest("", names), None);
    }
}

//! What a store carries, so that nobody takes it for another's.
//!
//! One line with the identifier of the store, and below it, once a database was
//! restored over it, the incarnation of that database.

use std::{fmt, str::FromStr};

use landfall_ids::StoreId;

/// The text of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) store: StoreId,
    pub(crate) incarnation: Option<StoreId>,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.store)?;
        match self.incarnation {
            Some(incarnation) => writeln!(f, "{incarnation}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Marker {
    type Err = <StoreId as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (store, incarnation) = match text.trim_end().split_once('\n') {
            Some((store, incarnation)) => (store, Some(incarnation.parse()?)),
            None => (text.trim_end(), None),
        };
        Ok(Self {
            store: store.parse()?,
            incarnation,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_with_and_without_an_incarnation() {
        let store = StoreId::new_at(1);
        for incarnation in [None, Some(StoreId::new_at(2))] {
            let marker = Marker { store, incarnation };
            assert_eq!(marker.to_string().parse(), Ok(marker));
        }
        // As it was written before there were incarnations.
        let earlier = format!("{store}\n").parse::<Marker>().expect("a marker");
        assert_eq!(earlier.incarnation, None);
        assert!(format!("{store}\nx\n").parse::<Marker>().is_err());
    }
}

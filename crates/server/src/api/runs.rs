//! What a run tells of itself, to clients and to the other servers.

use serde::{Serialize, de::DeserializeOwned};

/// Why a run has failed whose server is gone.
pub(super) const LOST: &str = "the server that did it has stopped; start it again";

/// The form in which clients see a run. The same form lies in the database.
pub(crate) trait RunBody: Serialize + DeserializeOwned {
    /// As it is kept.
    fn document(&self) -> String {
        // These are structs of texts and numbers.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What was kept; `None` if another version of Landfall has kept it.
    fn read(document: &str) -> Option<Self> {
        serde_json::from_str(document).ok()
    }

    /// The same of a run whose server was last heard of at that time.
    #[must_use]
    fn lost(self, at: String) -> Self;
}

//! Under what the slice of an account is remembered.

use landfall_oci::AccountName;

use crate::Resource;

/// What stands for all texts that can't be names of accounts; it is not one.
const NO_NAME: &str = "/";

/// How often a name is held: as a key, in entities, and by the allocator.
const TIMES: u64 = 4;

/// The resource under the name that it is remembered by. Strangers may send any
/// text: whatever can't be the name of an account is one account, which is not
/// there, and is never taken for the registry.
pub(super) fn known_as(resource: Resource<'_>) -> Resource<'_> {
    match resource {
        Resource::Account(name) if name.parse::<AccountName>().is_err() => {
            Resource::Account(NO_NAME)
        }
        other => other,
    }
}

/// About how many bytes a name takes with what it is the name of.
pub(super) fn weight(name: &str) -> u64 {
    TIMES * name.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_no_name_is_one_account_that_is_not_the_registry() {
        let long = "a".repeat(56_000);
        for text in ["", "/", "a/b", "A", "ä", "..", &long] {
            let known = known_as(Resource::Account(text));
            assert!(matches!(known, Resource::Account("/")), "{text:.20}");
        }
        let known = known_as(Resource::Account("acme"));
        assert!(matches!(known, Resource::Account("acme")));
        assert!(matches!(known_as(Resource::Registry), Resource::Registry));
        assert_ne!(
            known_as(Resource::Account("")).name(),
            Resource::Registry.name()
        );
    }
}

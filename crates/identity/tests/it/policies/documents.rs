//! What docs/policies.md shows can be used.

use super::*;

#[tokio::test]
async fn each_policy_in_the_document_is_valid() {
    let town = Town::new().await;
    let document = landfall_house::read("docs/policies.md");
    let mut examples = 0;
    let mut rest = &*document;
    while let Some((_, after)) = rest.split_once("```cedar\n") {
        let (example, later) = after.split_once("```").expect("a closed example");
        let valid = town.identity.policy_validate(example).await;
        assert!(valid.is_ok(), "{example}\n{}", valid.expect_err("errors"));
        (examples, rest) = (examples + 1, later);
    }
    assert!(examples >= 6, "only {examples} examples were found");
}

#[tokio::test]
async fn the_document_names_each_action_and_each_template() {
    let town = Town::new().await;
    let document = landfall_house::read("docs/policies.md");
    for action in Action::ALL {
        assert!(
            document.contains(&format!("`{action}`")),
            "{action} is missing"
        );
    }
    for template in town.identity.policy_templates() {
        assert!(
            document.contains(&format!("`{}`", template.name)),
            "{}",
            template.name
        );
    }
}

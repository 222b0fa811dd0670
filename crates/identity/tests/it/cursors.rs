//! Places in a list that its reader may not know.

use crate::world::World;

#[tokio::test]
async fn a_sealed_name_tells_nothing_and_is_opened_here_alone() {
    let world = World::new().await;
    let sealed = world.cursor_seal("umbrella/secret");
    let longer = world.cursor_seal(&"umbrella/much-longer-a-name".repeat(5));
    assert_eq!(sealed.len(), longer.len(), "the length tells something");
    assert!(!sealed.contains("umbrella"), "{sealed}");
    assert_ne!(sealed, world.cursor_seal("umbrella/secret"));
    let opened = world.cursor_open(sealed.clone());
    assert_eq!(opened.as_deref(), Some("umbrella/secret"));

    // A name stands for itself.
    let plain = world.cursor_open("acme/web".to_owned());
    assert_eq!(plain.as_deref(), Some("acme/web"));
    for wrong in ["~".to_owned(), "~web".to_owned(), format!("{sealed}A")] {
        assert_eq!(world.cursor_open(wrong.clone()), None, "{wrong}");
    }
}

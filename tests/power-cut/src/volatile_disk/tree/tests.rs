//! Random histories of a tree, against what must hold for each of them.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Create(usize, u8, bool),
    Remove(usize, u8, bool),
    Rename(usize, u8, usize, u8),
    Sync(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let one = prop_oneof![
        (0..4_usize, 0..3_u8, any::<bool>()).prop_map(|(d, n, f)| Step::Create(d, n, f)),
        (0..4_usize, 0..3_u8, any::<bool>()).prop_map(|(d, n, f)| Step::Remove(d, n, f)),
        (0..4_usize, 0..3_u8, 0..4_usize, 0..3_u8)
            .prop_map(|(d, n, e, m)| Step::Rename(d, n, e, m)),
        (0..4_usize).prop_map(Step::Sync),
    ];
    proptest::collection::vec(one, 0..60)
}

fn empty() -> Tree {
    Tree::new(
        Survivor::directory(Attributes::new(0o755, 0, 0), BTreeMap::new()),
        2,
    )
}

/// The root and the first directories in it.
fn directory(tree: &Tree, index: usize) -> Number {
    let in_root = tree.list(ROOT).unwrap().values();
    let mut all = in_root.filter(|number| tree.list(**number).is_ok());
    match index {
        0 => ROOT,
        _ => all.nth(index - 1).copied().unwrap_or(ROOT),
    }
}

fn run(steps: &[Step]) -> Tree {
    let mut tree = empty();
    let name = |n: &u8| OsString::from(n.to_string());
    for step in steps {
        // A step that is refused (no such file, not empty) changes nothing.
        let _refused = match step {
            Step::Create(d, n, is_directory) => {
                let (d, attributes) = (directory(&tree, *d), Attributes::new(0o644, 0, 0));
                tree.create(d, &name(n), *is_directory, attributes)
                    .map(drop)
            }
            Step::Remove(d, n, is_directory) => {
                tree.remove(directory(&tree, *d), &name(n), *is_directory)
            }
            Step::Rename(d, n, e, m) => {
                let (d, e) = (directory(&tree, *d), directory(&tree, *e));
                // The kernel refuses to move a directory into itself.
                match tree.find(d, &name(n)) {
                    Ok(node) if node == e => Ok(()),
                    _ => tree.rename((d, &name(n)), (e, &name(m)), false),
                }
            }
            Step::Sync(d) => tree.sync(directory(&tree, *d), false),
        };
    }
    tree
}

fn names(survivor: &Survivor, path: &str, into: &mut BTreeSet<String>) {
    into.insert(path.to_owned());
    if let SurvivorBody::Directory(children) = &survivor.body {
        for (name, child) in children {
            names(child, &format!("{path}/{}", name.display()), into);
        }
    }
}

fn visible(tree: &Tree, number: Number, path: &str, into: &mut BTreeSet<String>) {
    into.insert(path.to_owned());
    if let Ok(entries) = tree.list(number) {
        for (name, child) in entries {
            visible(tree, *child, &format!("{path}/{}", name.display()), into);
        }
    }
}

proptest! {
    #[test]
    fn when_all_directories_are_synced_every_power_loss_leaves_what_was_visible(
        steps in steps(),
        seed: u64,
    ) {
        let mut tree = run(&steps);
        for number in tree.numbers() {
            tree.sync(number, false).unwrap();
        }
        let (mut left, mut seen) = (BTreeSet::new(), BTreeSet::new());
        names(&tree.after(PowerLoss::Partial(seed)), "", &mut left);
        visible(&tree, ROOT, "", &mut seen);
        prop_assert_eq!(left, seen);
        prop_assert!(tree.unsynced.is_empty());
    }

    #[test]
    fn a_sweep_changes_no_outcome(steps in steps(), seed: u64) {
        let mut tree = run(&steps);
        let loss = PowerLoss::Partial(seed);
        let before = tree.after(loss);
        tree.sweep();
        prop_assert_eq!(before, tree.after(loss));
    }
}

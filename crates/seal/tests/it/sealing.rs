//! What is sealed opens again, for the same purpose and under the same key.

use landfall_seal::{Error, MasterKey};
use proptest::{collection::vec, prelude::*, sample::Index};

fn key(byte: u8) -> MasterKey {
    MasterKey::parse(&format!("{byte:02x}").repeat(32), "a test").expect("a key")
}

proptest! {
    #[test]
    fn what_is_sealed_opens_again(secret in vec(any::<u8>(), 0..300), purpose in ".{0,20}") {
        let sealed = key(1).seal(&purpose, &secret);
        let opened = key(1).open(&purpose, &sealed).expect("opens");
        prop_assert_eq!(&*opened, &secret);
    }

    #[test]
    fn nothing_opens_for_another_purpose(secret in vec(any::<u8>(), 0..50), a in ".{0,9}", b in ".{0,9}") {
        prop_assume!(a != b);
        let opened = key(1).open(&b, &key(1).seal(&a, &secret));
        prop_assert!(matches!(opened, Err(Error::Damaged)));
    }

    #[test]
    fn one_changed_bit_is_found(secret in vec(any::<u8>(), 0..50), at: Index, bit in 0..8) {
        let mut sealed = key(1).seal("purpose", &secret);
        let at = at.index(sealed.len());
        sealed[at] ^= 1_u8 << bit;
        prop_assert!(key(1).open("purpose", &sealed).is_err());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..100)) {
        prop_assert!(key(1).open("purpose", &bytes).is_err());
    }

    #[test]
    fn a_shortened_secret_is_found(secret in vec(any::<u8>(), 0..50), at: Index) {
        let sealed = key(1).seal("purpose", &secret);
        prop_assert!(key(1).open("purpose", &sealed[..at.index(sealed.len())]).is_err());
    }
}

#[test]
fn another_key_is_told_apart() {
    let error = key(2)
        .open("purpose", &key(1).seal("purpose", b"secret"))
        .expect_err("another key");
    let (theirs, ours) = (key(1).fingerprint(), key(2).fingerprint());
    assert_ne!(theirs, ours);
    assert_eq!(
        error.to_string(),
        format!("the secret was sealed under the master key {theirs}, and this server has {ours}")
    );
}

#[test]
fn the_same_secret_never_looks_the_same() {
    let (first, second) = (key(1).seal("a", b"secret"), key(1).seal("a", b"secret"));
    assert_ne!(first, second);
    assert!(!first.windows(6).any(|window| window == b"secret"));
}

/// Secrets of this version lie in databases: a change of the format needs a
/// new version.
#[test]
fn what_was_sealed_by_the_first_version_opens() {
    let sealed = include_bytes!("sealed.v1");
    let opened = key(7).open("a purpose", sealed).expect("opens");
    assert_eq!(&**opened, b"the secret of a test");
}

#[test]
fn a_key_is_64_hexadecimal_digits() {
    let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
    assert!(MasterKey::parse(&format!(" {digits}\n"), "a test").is_ok());
    for text in [
        "",
        "00",
        &digits[1..],
        &format!("{digits}0"),
        &"é".repeat(32),
    ] {
        let error = MasterKey::parse(text, "`LANDFALL_MASTER_KEY`").expect_err("no key");
        assert_eq!(
            error.to_string(),
            "`LANDFALL_MASTER_KEY` is no master key: 64 hexadecimal digits are expected"
        );
    }
}

#[test]
fn a_key_is_not_printed() {
    let shown = format!("{:?}", key(0xab));
    assert!(!shown.contains("abab"), "{shown}");
}

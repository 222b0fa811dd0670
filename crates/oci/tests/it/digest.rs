//! Digests and hashers.

use landfall_oci::{Algorithm, Digest, Hasher, InvalidDigest, InvalidHasherState};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

// FIPS 180-4, the examples for "abc".
const ABC_256: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const ABC_512: &str = "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                       2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

fn algorithms() -> impl Strategy<Value = Algorithm> {
    select(Algorithm::ALL.as_slice())
}

fn hash(algorithm: Algorithm, content: &[u8]) -> Hasher {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(content);
    hasher
}

#[test]
fn the_known_answers_come_out() {
    assert_eq!(Digest::of(Algorithm::Sha256, b"abc").to_string(), ABC_256);
    assert_eq!(Digest::of(Algorithm::Sha512, b"abc").to_string(), ABC_512);
}

#[test]
fn every_departure_from_the_one_form_is_refused() {
    let refusal = |text: &str| text.parse::<Digest>().expect_err(text);
    let upper = ABC_256.to_uppercase().replace("SHA256", "sha256");
    assert!(matches!(refusal(""), InvalidDigest::Form { .. }));
    assert!(matches!(refusal("sha256"), InvalidDigest::Form { .. }));
    assert!(matches!(
        refusal("md5:900150983cd24fb0"),
        InvalidDigest::Algorithm { .. }
    ));
    assert!(matches!(
        refusal(&ABC_256.replace("sha", "SHA")),
        InvalidDigest::Algorithm { .. }
    ));
    assert!(matches!(
        refusal(&format!(" {ABC_256}")),
        InvalidDigest::Algorithm { .. }
    ));
    assert!(matches!(
        refusal("sha256:"),
        InvalidDigest::Length {
            expected: 64,
            given: 0,
            ..
        }
    ));
    assert!(matches!(
        refusal(&format!("{ABC_256}0")),
        InvalidDigest::Length { .. }
    ));
    assert!(matches!(
        refusal(&ABC_512.replace("512", "256")),
        InvalidDigest::Length { .. }
    ));
    assert!(matches!(refusal(&upper), InvalidDigest::Hex { .. }));
    for digit in ["g", "G", "/", ":", "`", "@"] {
        let text = ABC_256.replace("ba78", &format!("ba7{digit}"));
        assert!(
            matches!(refusal(&text), InvalidDigest::Hex { .. }),
            "{text}"
        );
    }
    assert!(matches!(
        refusal(&ABC_256.replace("ba78", "../.")),
        InvalidDigest::Hex { .. }
    ));
    assert!(matches!(
        refusal(&ABC_256.replace("ba78", "ää")),
        InvalidDigest::Hex { .. }
    ));
}

#[test]
fn a_refusal_is_one_clear_sentence() {
    let say = |text: &str| text.parse::<Digest>().expect_err(text).to_string();
    assert_eq!(
        say("latest"),
        "`latest` is no digest: `<algorithm>:<hex>` is expected"
    );
    assert_eq!(
        say("md5:00"),
        "the digest algorithm `md5` is not supported: use `sha256` or `sha512`"
    );
    assert_eq!(say("sha256:00"), "a sha256 digest has 64 hex digits, not 2");
}

#[test]
fn a_state_that_an_earlier_landfall_saved_is_still_understood() {
    // Saved after "ab", kept as text. If this test fails, running uploads of
    // an older server would have to be hashed again: give the layout a new
    // version instead.
    let mut sha256 = Hasher::restore(&unhex(concat!(
        "01010200000000000000",
        "67e6096a85ae67bb72f36e3c3af54fa57f520e518c68059babd9831f19cde05b",
        "0000000000000000",
        "02616200000000000000000000000000000000000000000000000000000000000000",
        "000000000000000000000000000000000000000000000000000000000000",
    )))
    .expect("a saved state");
    sha256.update(b"c");
    assert_eq!(sha256.finish().to_string(), ABC_256);

    let mut saved = unhex(concat!(
        "01020200000000000000",
        "08c9bcf367e6096a3ba7ca8485ae67bb2bf894fe72f36e3cf1361d5f3af54fa5",
        "d182e6ad7f520e511f6c3e2b8c68059b6bbd41fbabd9831f79217e1319cde05b",
        "00000000000000000000000000000000",
        "026162",
    ));
    saved.resize(10 + 208, 0);
    let mut sha512 = Hasher::restore(&saved).expect("a saved state");
    sha512.update(b"c");
    assert_eq!(sha512.finish().to_string(), ABC_512);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16).expect("hex")).collect();
    digits
        .chunks(2)
        .map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte"))
        .collect()
}

#[test]
fn a_state_of_another_version_or_algorithm_is_refused() {
    for index in [0, 1] {
        let mut saved = hash(Algorithm::Sha256, b"some bytes").save();
        saved[index] = 7;
        assert_eq!(Hasher::restore(&saved).err(), Some(InvalidHasherState));
    }
}

proptest! {
    #[test]
    fn text_bytes_and_json_round_trip(algorithm in algorithms(), content: Vec<u8>) {
        let digest = Digest::of(algorithm, &content);
        prop_assert_eq!(digest.to_string().parse(), Ok(digest));
        prop_assert_eq!(Digest::from_bytes(algorithm, digest.as_bytes()), Ok(digest));
        prop_assert_eq!(format!("{algorithm}:{}", digest.hex()), digest.to_string());
        let json = serde_json::to_string(&digest).expect("a string");
        prop_assert_eq!(serde_json::from_str::<Digest>(&json).expect("a digest"), digest);
    }

    #[test]
    fn whatever_parses_prints_as_it_was(text in "(sha256|sha512|sha):?[0-9a-fA-F]{60,130}|.*") {
        if let Ok(digest) = text.parse::<Digest>() {
            prop_assert_eq!(digest.to_string(), text);
        }
    }

    #[test]
    fn digests_sort_as_their_texts(
        (a, x) in (algorithms(), any::<[u8; 64]>()),
        (b, y) in (algorithms(), any::<[u8; 64]>()),
    ) {
        let one = Digest::from_bytes(a, &x[..a.size()]).expect("the right size");
        let other = Digest::from_bytes(b, &y[..b.size()]).expect("the right size");
        prop_assert_eq!(one.cmp(&other), one.to_string().cmp(&other.to_string()));
    }

    #[test]
    fn a_hasher_saved_and_restored_between_all_pieces_gives_the_same_digest(
        algorithm in algorithms(),
        pieces in vec(vec(any::<u8>(), 0..400), 0..8),
    ) {
        let mut hasher = Hasher::new(algorithm);
        for piece in &pieces {
            hasher.update(piece);
            hasher = Hasher::restore(&hasher.save()).expect("a saved state");
        }
        let whole = pieces.concat();
        prop_assert_eq!(hasher.algorithm(), algorithm);
        prop_assert_eq!(hasher.hashed(), whole.len() as u64);
        prop_assert_eq!(hasher.finish(), Digest::of(algorithm, &whole));
    }

    #[test]
    fn a_damaged_count_or_length_of_a_saved_state_is_noticed(
        algorithm in algorithms(),
        content in vec(any::<u8>(), 0..400),
        at in 2usize..10,
        flip in 1u8..,
        cut in 1usize..100,
    ) {
        let mut saved = hash(algorithm, &content).save();
        let shorter = &saved[..saved.len() - cut];
        prop_assert_eq!(Hasher::restore(shorter).err(), Some(InvalidHasherState));
        saved[at] ^= flip;
        prop_assert_eq!(Hasher::restore(&saved).err(), Some(InvalidHasherState));
    }

    #[test]
    fn no_damage_to_a_saved_state_can_make_a_hasher_panic(
        algorithm in algorithms(),
        content in vec(any::<u8>(), 0..400),
        damage in vec((any::<Index>(), any::<u8>()), 1..20),
    ) {
        let mut saved = hash(algorithm, &content).save();
        for (at, byte) in damage {
            let at = at.index(saved.len());
            saved[at] = byte;
        }
        if let Ok(mut hasher) = Hasher::restore(&saved) {
            hasher.update(&[0; 1000]);
            prop_assert_eq!(hasher.hashed(), content.len() as u64 + 1000);
            prop_assert_eq!(hasher.finish().algorithm(), algorithm);
        }
    }

    #[test]
    fn no_bytes_at_all_can_make_a_hasher_panic(
        code in 1u8..3, hashed: u64, partial: u8, fill: u8,
    ) {
        // A count that agrees with itself, however large it is.
        let (block, size, counter) = if code == 1 { (64, 104, 32) } else { (128, 208, 64) };
        let mut state = vec![0; size];
        state[..counter].fill(fill);
        state[counter..counter + 8].copy_from_slice(&(hashed / block).to_le_bytes());
        let partial_at = if code == 1 { 40 } else { 80 };
        state[partial_at] = if partial < 128 { (hashed % block) as u8 } else { partial };
        let saved = [[1, code].as_slice(), &hashed.to_le_bytes(), &state].concat();
        if let Ok(mut hasher) = Hasher::restore(&saved) {
            hasher.update(&[0; 1000]);
            hasher.finish();
        }
    }
}

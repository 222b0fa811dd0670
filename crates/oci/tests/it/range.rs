//! Ranges of readers and of upload chunks.

use landfall_oci::{ByteRange, RequestedRange};
use proptest::prelude::*;
use std::ops::Range;

const LARGEST: u64 = i64::MAX.unsigned_abs();

fn range(first: u64, last: u64) -> ByteRange {
    ByteRange::new(first, last).expect("a range")
}

fn part(first: u64, last: u64) -> RequestedRange {
    RequestedRange::Part(range(first, last))
}

#[test]
fn one_range_of_bytes_is_a_part() {
    for (header, expected) in [
        ("bytes=0-0", part(0, 0)),
        ("bytes=0-99", part(0, 99)),
        ("bytes=10-19", part(10, 19)),
        ("bytes=99-99", part(99, 99)),
        ("bytes=10-", part(10, 99)),
        ("bytes=10-1000", part(10, 99)),
        ("bytes=-10", part(90, 99)),
        ("bytes=-1000", part(0, 99)),
        ("Bytes=1-2", part(1, 2)),
        ("bytes= 1-2 ", part(1, 2)),
        ("bytes=,1-2,,", part(1, 2)),
        ("bytes=007-008", part(7, 8)),
    ] {
        assert_eq!(ByteRange::requested(header, 100), expected, "{header}");
    }
}

#[test]
fn a_range_behind_the_end_is_unsatisfiable() {
    for header in [
        "bytes=100-",
        "bytes=100-200",
        "bytes=-0",
        "bytes=18446744073709551616-",
    ] {
        assert_eq!(
            ByteRange::requested(header, 100),
            RequestedRange::Unsatisfiable,
            "{header}"
        );
    }
    assert_eq!(
        ByteRange::requested("bytes=0-", 0),
        RequestedRange::Unsatisfiable
    );
    assert_eq!(ByteRange::unsatisfied(100), "bytes */100");
}

#[test]
fn what_is_malformed_or_several_ranges_means_everything() {
    for header in [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=,",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=1-2,4-5",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=1 - 2",
        "items=0-1",
        "bytes 0-1",
        "0-1",
        "bytes=0x1-2",
        "bytes=\u{661}-2",
    ] {
        assert_eq!(
            ByteRange::requested(header, 100),
            RequestedRange::Whole,
            "{header:?}"
        );
    }
    assert_eq!(ByteRange::requested("bytes=-5", 0), RequestedRange::Whole);
}

#[test]
fn numbers_beyond_64_bits_mean_the_end() {
    let huge = "9".repeat(10_000);
    assert_eq!(
        ByteRange::requested(&format!("bytes=1-{huge}"), 100),
        part(1, 99)
    );
    assert_eq!(
        ByteRange::requested(&format!("bytes=-{huge}"), 100),
        part(0, 99)
    );
    assert_eq!(
        ByteRange::requested("bytes=0-", u64::MAX),
        RequestedRange::Whole
    );
}

#[test]
fn a_chunk_says_its_range_in_any_of_the_known_forms() {
    for header in [
        "5-9",
        "bytes 5-9/*",
        "bytes 5-9/10",
        "bytes=5-9",
        "bytes 5-9",
        "Bytes 5-9/99",
        " 5-9 ",
    ] {
        assert_eq!(ByteRange::of_chunk(header), Ok(range(5, 9)), "{header}");
    }
}

#[test]
fn a_chunk_that_is_empty_malformed_or_too_far_is_refused() {
    for header in [
        "",
        "-",
        "5",
        "5-",
        "-9",
        "9-5",
        "5-9-",
        "a-b",
        "5-9/10",
        "bytes",
        "bytes ",
        "bytes 5-9/",
        "bytes 5-9/9",
        "bytes */10",
        "bytes  5-9",
        "bytes:5-9",
        "items 5-9/10",
        "+5-9",
        "5 -9",
        "0-9223372036854775807",
        "0-18446744073709551615",
        "0-18446744073709551616",
        "byt\u{e9}s",
    ] {
        let error = ByteRange::of_chunk(header).expect_err(header);
        assert_eq!(error.given, header);
    }
}

proptest! {
    #[test]
    fn a_requested_part_lies_inside_of_the_content(
        header in "bytes=[0-9]{0,20}-[0-9]{0,20}|bytes=[0-9]?-[0-9]?|.*",
        size in prop_oneof![0u64..12, any::<u64>()],
    ) {
        if let RequestedRange::Part(part) = ByteRange::requested(&header, size) {
            prop_assert!(part.first() <= part.last() && part.last() < size);
            prop_assert_eq!(part.len(), part.last() - part.first() + 1);
        }
    }

    #[test]
    fn a_requested_part_is_what_a_slice_of_the_content_would_be(
        size in 1u64..1_000, first in 0u64..1_100, length in 1u64..1_100,
    ) {
        let last = first + length - 1;
        let expected =
            if first < size { part(first, last.min(size - 1)) } else { RequestedRange::Unsatisfiable };
        prop_assert_eq!(ByteRange::requested(&format!("bytes={first}-{last}"), size), expected);
        let suffix = part(size.saturating_sub(length), size - 1);
        prop_assert_eq!(ByteRange::requested(&format!("bytes=-{length}"), size), suffix);
    }

    #[test]
    fn a_chunk_round_trips(first in 0..LARGEST, length in 1..LARGEST) {
        let last = first.saturating_add(length - 1).min(LARGEST - 1);
        let chunk = range(first, last);
        prop_assert_eq!(ByteRange::of_chunk(&chunk.to_string()), Ok(chunk));
        prop_assert_eq!(ByteRange::of_chunk(&chunk.content_range(LARGEST)), Ok(chunk));
        let half_open = Range::from(chunk);
        prop_assert_eq!(half_open.end - half_open.start, chunk.len());
    }
}

//! Faults in upload sessions and mounts.

use axum::http::Method;

use super::{Case, case};

/// Faults in upload sessions and mounts.
pub(super) const CASES: &[Case] = &[
    case(
        "sessions tell a wrong range",
        &[
            "push::chunks::each_chunk_must_be_202_with_location_and_range",
            "push::chunks::status_must_be_204_with_location_and_range",
            "push::chunks_out_of_order::after_a_416_the_status_must_tell_where_to_go_on",
        ],
        |x| {
            if x.is_about("/uploads/") {
                x.set("range", "0-1");
            }
        },
    ),
    case(
        "the status of a session is 200",
        &[
            "push::cancel::delete_of_a_session_with_chunks_should_be_204",
            "push::chunks::status_of_a_fresh_session_must_be_204",
            "push::cancel::delete_of_a_fresh_session_should_be_204",
        ],
        |x| {
            if x.is_about("/uploads/") && x.status == 204 {
                x.status = 200;
            }
        },
    ),
    case(
        "chunks out of order are 202",
        &[
            "push::chunks_out_of_order::a_chunk_that_leaves_a_gap_must_be_416",
            "push::chunks_out_of_order::after_a_416_the_status_must_tell_where_to_go_on",
            "push::chunks_out_of_order::after_a_416_the_upload_must_still_succeed",
            "push::chunks_out_of_order::a_last_chunk_out_of_order_in_the_closing_put_must_be_416",
            "push::chunks_out_of_order::a_range_longer_than_the_chunk_is_refused",
            "push::chunks_out_of_order::a_first_chunk_that_does_not_start_at_0_must_be_416",
            "push::chunks_out_of_order::a_repeated_chunk_must_be_416",
            "push::chunks_out_of_order::an_overlapping_chunk_must_be_416",
            "push::chunks_out_of_order::a_malformed_range_is_refused",
        ],
        |x| {
            if x.content_range.is_some() && x.status >= 400 {
                x.status = 202;
            }
        },
    ),
    case(
        "chunks are 200",
        &["push::chunks::a_single_chunk_must_make_a_whole_blob"],
        |x| {
            if x.method == Method::PATCH && x.status == 202 {
                x.status = 200;
            }
        },
    ),
    case(
        "mounts are 200",
        &[
            "push::mounting::mount_should_be_201_or_202",
            "push::mounting::mount_of_an_unknown_blob_should_be_202_with_a_usable_location",
            "push::mounting::mount_of_a_malformed_digest_mounts_nothing",
        ],
        |x| {
            if x.asks_for("mount=") {
                x.status = 200;
            }
        },
    ),
    case(
        "blobs in a POST are 200",
        &["push::single_post::an_unsupported_post_should_be_202_with_a_usable_location"],
        |x| {
            if x.method == Method::POST && x.asks_for("digest=") {
                x.status = 200;
            }
        },
    ),
    case(
        "minimum chunk sizes are no sizes",
        &["push::chunks::a_minimum_chunk_size_should_be_a_size"],
        |x| x.set("oci-chunk-min-length", "big"),
    ),
];

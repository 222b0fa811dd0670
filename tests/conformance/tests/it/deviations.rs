//! What Debian's docker-registry 2.8.2 does differently, check by check.

use std::collections::BTreeSet;

/// The checks that it fails, with the reason.
const FAILED: &[(&str, &str)] = &[
    (
        "api::error_bodies::errors_come_as_json",
        "a malformed name matches no route, and the router answers in plain text",
    ),
    (
        "pull::pulling_manifests::get_must_serve_a_client_that_accepts_anything",
        "an OCI manifest is hidden from clients that do not name its type",
    ),
    (
        "pull::pulling_manifests::get_of_a_layers_digest_must_be_404",
        "it parses any blob of the repository as a manifest, and answers 500",
    ),
    (
        "pull::range_requests::a_range_in_an_unknown_unit_should_be_ignored",
        "its file server takes any unit but bytes for a bad range",
    ),
    (
        "push::manifests::put_by_a_malformed_digest_must_be_400",
        "what is no digest is taken for a tag, and fails later with 500",
    ),
    (
        "push::manifest_limits::an_excessive_manifest_should_be_413",
        "its limit of 4 MiB is answered with 400",
    ),
    (
        "push::missing_content::a_non_distributable_layer_may_be_missing",
        "the URLs of layers have to be allowed in its configuration",
    ),
    (
        "discovery::listing_tags::a_repository_without_tags_must_be_200_with_an_empty_list",
        "a repository without tags has no directory of tags, and counts as unknown",
    ),
    (
        "beyond::malformed::a_name_that_is_too_long_is_refused",
        "a name that its grammar refuses late is answered with 500",
    ),
    (
        "beyond::malformed::a_malformed_digest_of_a_manifest_is_refused",
        "what is no digest is taken for a tag, and fails later with 500",
    ),
    (
        "beyond::malformed::descriptors_that_make_no_sense_are_refused",
        "a malformed digest in a descriptor is answered with 500",
    ),
    (
        "beyond::sha512::answers_about_a_blob_name_the_digest_that_was_asked_for",
        "blobs are stored under SHA-256 and answers name that",
    ),
    (
        "beyond::sha512::a_blob_under_sha512_may_be_mounted",
        "a mount links the blob under SHA-256 only",
    ),
    (
        "beyond::sha512::a_manifest_may_go_by_sha512",
        "manifests go by SHA-256 only",
    ),
    (
        "beyond::sha512::a_manifest_under_sha512_may_be_deleted",
        "manifests go by SHA-256 only",
    ),
    (
        "beyond::docker_types::a_docker_image_is_not_served_as_an_oci_image",
        "it tries to convert the manifest to schema 1, and answers 400",
    ),
    (
        "beyond::docker_types::a_foreign_layer_may_be_missing",
        "the URLs of layers have to be allowed in its configuration",
    ),
    (
        "beyond::conditional_requests::a_manifest_the_client_has_is_304",
        "If-None-Match is compared with one ETag, not with a list",
    ),
];

/// What it fails and the supplement or the proxy mends.
const MENDED: &[(&str, &str)] = &[
    (
        "pull::range_requests::a_range_behind_the_end_should_be_416",
        "a 416 announces the length of the whole blob and breaks off",
    ),
    (
        "pull::range_requests::a_416_should_tell_the_size",
        "a 416 announces the length of the whole blob and breaks off",
    ),
    (
        "pull::range_requests::a_backward_range_should_be_ignored_or_refused",
        "a 416 announces the length of the whole blob and breaks off",
    ),
    (
        "push::chunks_out_of_order::a_first_chunk_that_does_not_start_at_0_must_be_416",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::a_chunk_that_leaves_a_gap_must_be_416",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::a_repeated_chunk_must_be_416",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::an_overlapping_chunk_must_be_416",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::a_last_chunk_out_of_order_in_the_closing_put_must_be_416",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::after_a_416_the_status_must_tell_where_to_go_on",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::after_a_416_the_upload_must_still_succeed",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::after_a_416_in_the_closing_put_the_upload_must_still_succeed",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::a_range_longer_than_the_chunk_is_refused",
        "Content-Range is not looked at",
    ),
    (
        "push::chunks_out_of_order::a_malformed_range_is_refused",
        "Content-Range is not looked at",
    ),
    (
        "discovery::listing_tags::tags_must_be_in_lexical_order",
        "tags come as the directory has them",
    ),
    (
        "discovery::paging_tags::n_must_limit_the_list_from_its_beginning",
        "`n` is not looked at",
    ),
    (
        "discovery::paging_tags::n_of_zero_must_give_an_empty_list_without_link",
        "`n` is not looked at",
    ),
    (
        "discovery::paging_tags::last_must_not_be_part_of_the_list",
        "`last` is not looked at",
    ),
    (
        "discovery::paging_tags::last_must_work_without_n",
        "`last` is not looked at",
    ),
    (
        "discovery::paging_tags::last_at_the_end_must_give_an_empty_list",
        "`last` is not looked at",
    ),
    (
        "discovery::paging_tags::last_need_not_be_a_tag_that_is_there",
        "`last` is not looked at",
    ),
    (
        "discovery::paging_tags::pages_together_must_be_the_whole_list",
        "`n` is not looked at",
    ),
    (
        "discovery::paging_tags::a_link_is_sent_when_there_is_more",
        "`n` is not looked at",
    ),
    (
        "discovery::paging_tags::n_that_is_no_number_is_refused",
        "`n` is not looked at",
    ),
];

/// What only shows once referrers are offered.
const NEW: &[(&str, &str)] = &[(
    "beyond::sha512::a_subject_may_go_by_sha512",
    "manifests go by SHA-256 only",
)];

fn names(lists: &[&[(&'static str, &'static str)]]) -> BTreeSet<&'static str> {
    lists.concat().into_iter().map(|(name, _)| name).collect()
}

/// The checks that docker-registry fails.
pub(crate) fn known() -> BTreeSet<&'static str> {
    names(&[FAILED, MENDED])
}

/// The checks that it fails also with what the supplement adds.
pub(crate) fn left_with_the_supplement() -> BTreeSet<&'static str> {
    names(&[FAILED, NEW])
}

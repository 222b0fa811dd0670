//! Faults in what pulls and pushes answer.

use axum::http::{HeaderValue, Method};

use super::{Case, case, wide};

/// Faults in what pulls and pushes answer.
pub(super) const CASES: &[Case] = &[
    wide(
        "content is served with a byte more",
        &[
            "pull::pulling_manifests::get_by_tag_must_be_200_with_the_pushed_bytes",
            "pull::pulling_blobs::get_must_be_200_with_the_pushed_bytes",
            "pull::pulling_blobs::get_of_empty_blob_must_be_200",
            "push::manifests::the_exact_bytes_must_be_stored",
            "beyond::docker_types::a_docker_list_is_pushed_and_pulled",
        ],
        |x| {
            if x.is_read() && x.status < 300 {
                x.body.push(b' ');
            }
        },
    ),
    wide(
        "content that is missing is 500",
        &[
            "pull::pulling_manifests::get_of_missing_tag_must_be_404",
            "pull::pulling_blobs::get_of_missing_blob_must_be_404",
            "pull::checking_existence::head_of_missing_blob_must_be_404",
            "discovery::listing_tags::list_of_missing_repository_must_be_404",
            "management::deleting_manifests::delete_of_an_unknown_digest_must_be_404",
        ],
        |x| {
            if x.status == 404 {
                x.status = 500;
            }
        },
    ),
    wide(
        "bad requests are accepted",
        &[
            "push::post_then_put::put_with_a_wrong_digest_must_be_400",
            "push::chunks::the_digest_of_the_last_chunk_must_not_do",
            "push::manifests::put_by_a_wrong_digest_must_be_400",
            "discovery::listing_referrers::a_malformed_digest_must_be_400",
        ],
        |x| {
            if x.status == 400 {
                x.status = 201;
            }
        },
    ),
    case(
        "parts are 200",
        &[
            "pull::range_requests::several_ranges_should_be_206_or_the_whole_blob",
            "pull::range_requests::a_range_in_the_middle_should_be_206",
        ],
        |x| {
            if x.status == 206 {
                x.status = 200;
            }
        },
    ),
    case(
        "ranges that can't be are 200",
        &[
            "pull::range_requests::a_416_should_tell_the_size",
            "pull::range_requests::a_backward_range_should_be_ignored_or_refused",
            "pull::range_requests::a_range_behind_the_end_should_be_416",
        ],
        |x| {
            if x.status == 416 {
                x.status = 200;
            }
        },
    ),
    case(
        "what was not modified is 200",
        &["beyond::conditional_requests::a_blob_the_client_has_is_304"],
        |x| {
            if x.status == 304 {
                x.status = 200;
            }
        },
    ),
    wide(
        "no headers about content",
        &[
            "pull::pulling_manifests::content_type_must_be_the_type_of_an_index",
            "pull::pulling_blobs::docker_content_digest_should_be_sent",
            "pull::checking_existence::head_of_manifest_should_tell_the_digest",
            "pull::range_requests::an_open_range_should_be_206_to_the_end",
        ],
        |x| {
            for name in [
                "docker-content-digest",
                "content-type",
                "accept-ranges",
                "content-range",
            ] {
                x.headers.remove(name);
            }
        },
    ),
    case(
        "the digest header names something else",
        &[
            "pull::pulling_manifests::docker_content_digest_must_match_the_body",
            "pull::pulling_blobs::docker_content_digest_must_match_the_body",
            "push::manifests::docker_content_digest_must_be_the_given_digest",
            "push::mounting::docker_content_digest_of_a_mount_must_match",
        ],
        |x| x.set("docker-content-digest", "sha256:00"),
    ),
    case(
        "content types have parameters",
        &["pull::pulling_manifests::content_type_should_have_no_parameters"],
        |x| x.set("content-type", "application/json; q=1"),
    ),
    case(
        "sizes are wrong",
        &[
            "pull::checking_existence::head_of_blob_should_tell_the_size",
            "pull::checking_existence::head_of_manifest_should_tell_the_size",
        ],
        |x| {
            if x.method == Method::HEAD {
                x.set("content-length", "5");
            }
        },
    ),
    case(
        "what was created is nowhere",
        &[
            "push::post_then_put::put_must_be_201_with_a_pullable_location",
            "push::manifests::put_by_digest_must_be_201_with_a_pullable_location",
            "push::mounting::mount_must_be_201_with_a_pullable_location",
        ],
        |x| {
            if x.is_created() {
                x.set("location", "/v2/nowhere");
            }
        },
    ),
    case(
        "what was created has no location",
        &["push::post_then_put::put_with_an_empty_body_must_be_201"],
        |x| {
            if x.is_created() {
                x.headers.remove("location");
            }
        },
    ),
    case(
        "errors have no shape",
        &[
            "api::error_bodies::a_json_body_must_have_a_list_of_errors",
            "api::error_codes::an_unknown_blob_should_be_blob_unknown",
        ],
        |x| {
            if x.status >= 400 {
                x.body = b"{\"error\": \"no\"}".to_vec();
            }
        },
    ),
    case(
        "errors have codes of their own",
        &[
            "api::error_bodies::codes_must_be_those_of_the_specification",
            "api::error_bodies::codes_must_be_upper_case_words",
            "api::error_bodies::messages_should_be_text",
            "push::missing_content::a_manifest_with_a_missing_layer_must_be_taken_or_manifest_blob_unknown",
        ],
        |x| {
            if x.status >= 400 {
                x.body = b"{\"errors\":[{\"code\":\"Oh-no\",\"message\":17}]}".to_vec();
            }
        },
    ),
    case(
        "warnings have an agent and a date",
        &["api::warnings::a_warning_must_have_code_299_and_no_agent_and_no_date"],
        |x| {
            let dated = "299 host \"old\" \"Tue, 24 Nov 2026 14:18:56 GMT\"";
            x.set("warning", dated);
        },
    ),
    case(
        "warnings are endless",
        &["api::warnings::warnings_must_not_exceed_4096_bytes"],
        |x| {
            let text = format!("299 - \"{}\"", "x".repeat(2100));
            x.set("warning", &text);
            x.headers.append(
                "warning",
                HeaderValue::from_str(&text).expect("a header value"),
            );
        },
    ),
];

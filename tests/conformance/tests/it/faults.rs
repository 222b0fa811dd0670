//! The faults that the proxy puts into answers, each with checks that have to
//! notice it.
//!
//! The first faults are narrow, and none touches what every check begins with
//! (a new session, a push that succeeds). The last ones are broad: they are for
//! checks that ask no more than that a request succeeds.

use axum::http::{HeaderValue, Method};
use serde_json::{Value, json};

use crate::faulty_proxy::Fault;

/// A fault, and names of checks that have to notice it.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) title: &'static str,
    pub(crate) fault: Fault,
    pub(crate) noticed_by: &'static [&'static str],
}

const fn case(title: &'static str, noticed_by: &'static [&'static str], fault: Fault) -> Case {
    Case {
        title,
        fault,
        noticed_by,
    }
}

/// Faults in lists and deletions.
pub(crate) const LISTS: &[Case] = &[
    case(
        "each thing in a list comes twice",
        &[
            "discovery::listing_tags::a_tag_is_listed_once_however_often_it_is_pushed",
            "discovery::paging_tags::n_must_limit_the_list_from_its_beginning",
            "discovery::listing_referrers::every_referrer_must_be_listed",
            "discovery::listing_referrers::a_referrer_is_listed_once_however_often_it_is_pushed",
            "discovery::listing_referrers::all_pages_together_must_list_every_referrer",
        ],
        |x| {
            x.edit(|list| {
                ["tags", "manifests"]
                    .iter()
                    .for_each(|field| double(&mut list[*field]))
            })
        },
    ),
    case(
        "tags come backwards",
        &[
            "discovery::listing_tags::tags_must_be_in_lexical_order",
            "discovery::paging_tags::pages_together_must_be_the_whole_list",
        ],
        |x| {
            x.edit(|list| {
                list["tags"]
                    .as_array_mut()
                    .into_iter()
                    .for_each(|tags| tags.reverse())
            })
        },
    ),
    case(
        "lists have something that nobody pushed",
        &[
            "discovery::listing_tags::list_must_be_200_with_name_and_tags",
            "discovery::paging_tags::n_of_zero_must_give_an_empty_list_without_link",
            "discovery::paging_tags::last_at_the_end_must_give_an_empty_list",
            "discovery::listing_referrers::an_unknown_subject_must_be_200_with_an_empty_list",
            "discovery::listing_referrers::children_of_an_index_are_no_referrers",
            "discovery::listing_referrers::no_fallback_tag_is_made",
        ],
        |x| {
            x.edit(|list| {
                list["tags"]
                    .as_array_mut()
                    .into_iter()
                    .for_each(|tags| tags.push(json!("zz")));
                let manifests = list["manifests"].as_array_mut();
                manifests
                    .into_iter()
                    .for_each(|all| all.push(json!({"digest": "sha256:00"})));
            });
        },
    ),
    case(
        "there is always a link",
        &[
            "discovery::paging_tags::n_of_zero_must_give_an_empty_list_without_link",
            "discovery::paging_tags::a_link_is_sent_when_there_is_more",
        ],
        |x| x.set("link", "</v2/>; rel=\"next\""),
    ),
    case(
        "links lead backwards",
        &["discovery::paging_tags::a_link_must_have_the_relation_next"],
        |x| x.set("link", "</v2/>; rel=\"prev\""),
    ),
    case(
        "there is never a link",
        &[
            "discovery::paging_tags::a_link_is_sent_when_there_is_more",
            "discovery::listing_referrers::all_pages_together_must_list_every_referrer",
        ],
        |x| {
            x.headers.remove("link");
        },
    ),
    case(
        "referrers come as any JSON",
        &["discovery::listing_referrers::list_must_be_200_with_an_image_index"],
        |x| {
            if x.is_about("/referrers/") {
                x.set("content-type", "application/json");
            }
        },
    ),
    case(
        "referrers come without artifact type",
        &[
            "discovery::referrer_descriptors::artifact_type_must_be_that_of_the_image",
            "discovery::referrer_descriptors::artifact_type_must_fall_back_to_the_config",
            "discovery::referrer_descriptors::artifact_type_must_be_that_of_the_index",
            "discovery::referrer_filters::a_told_filter_must_be_applied",
        ],
        |x| x.replace("\"artifactType\"", "\"kind\""),
    ),
    case(
        "referrers come with an artifact type of their own",
        &[
            "discovery::referrer_descriptors::artifact_type_must_be_left_out_for_an_index_without_one",
        ],
        |x| x.replace("\"digest\"", "\"artifactType\":\"x\",\"digest\""),
    ),
    case(
        "referrers come without annotations",
        &[
            "discovery::referrer_descriptors::annotations_of_an_image_must_be_copied",
            "discovery::referrer_descriptors::annotations_of_an_index_must_be_copied",
        ],
        |x| x.replace("\"annotations\"", "\"notes\""),
    ),
    case(
        "referrers come without size",
        &["discovery::referrer_descriptors::descriptors_must_describe_the_manifests"],
        |x| x.replace("\"size\"", "\"length\""),
    ),
    case(
        "filters are not told",
        &[
            "discovery::referrer_filters::the_filter_should_be_applied",
            "discovery::referrer_filters::an_applied_filter_must_be_told",
            "discovery::referrer_filters::the_filter_should_know_types_from_the_config",
        ],
        |x| {
            x.headers.remove("oci-filters-applied");
        },
    ),
    case(
        "filters are told where there are none",
        &["discovery::referrer_filters::no_filter_is_told_where_none_was_asked"],
        |x| x.set("oci-filters-applied", "artifactType"),
    ),
    case(
        "subjects are not told",
        &[
            "push::subject::oci_subject_must_name_the_subject_of_an_image",
            "push::subject::oci_subject_must_name_a_missing_subject",
            "push::subject::oci_subject_must_name_the_subject_of_an_index",
            "push::subject::oci_subject_must_be_sent_for_a_push_by_tag",
        ],
        |x| {
            x.headers.remove("oci-subject");
        },
    ),
    case(
        "subjects are told where there are none",
        &["push::subject::oci_subject_is_not_sent_without_a_subject"],
        |x| x.set("oci-subject", "sha256:00"),
    ),
    case(
        "deletions are 200",
        &[
            "management::deleting_tags::delete_must_be_202_or_say_that_it_is_disabled",
            "management::deleting_manifests::delete_must_be_202_or_say_that_it_is_disabled",
            "management::deleting_blobs::delete_must_be_202_or_say_that_it_is_disabled",
        ],
        |x| {
            if x.method == Method::DELETE && x.status < 300 {
                x.status = 200;
            }
        },
    ),
    case(
        "what was deleted is still there",
        &[
            "management::deleting_tags::a_deleted_tag_must_be_404",
            "management::deleting_manifests::a_deleted_manifest_must_be_404",
            "management::deleting_manifests::tags_of_a_deleted_manifest_must_be_404",
            "management::deleting_blobs::a_deleted_blob_must_be_404",
            "push::cancel::a_canceled_session_must_be_gone",
        ],
        |x| {
            if x.is_read() && x.status == 404 {
                x.status = 200;
            }
        },
    ),
];

/// Faults in what pulls and pushes answer.
pub(crate) const CONTENT: &[Case] = &[
    case(
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
    case(
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
    case(
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
        &["pull::range_requests::a_range_in_the_middle_should_be_206"],
        |x| {
            if x.status == 206 {
                x.status = 200;
            }
        },
    ),
    case(
        "ranges that can't be are 200",
        &["pull::range_requests::a_range_behind_the_end_should_be_416"],
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
    case(
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
            x.set(
                "warning",
                "299 host \"old\" \"Tue, 24 Nov 2026 14:18:56 GMT\"",
            )
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

/// Faults in upload sessions and mounts.
pub(crate) const SESSIONS: &[Case] = &[
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

/// Faults that break whatever begins with a push.
pub(crate) const BROAD: &[Case] = &[
    case(
        "all sessions are one, without a UUID",
        &[
            "push::post_then_put::location_must_contain_a_uuid",
            "push::post_then_put::each_session_must_have_its_own_location",
        ],
        |x| {
            if x.method == Method::POST && x.status == 202 {
                x.set("location", "/v2/a/b/blobs/uploads/17");
            }
        },
    ),
    case(
        "nobody may in, and nobody learns how",
        &[
            "api::determining_support::a_401_carries_a_challenge_that_clients_know",
            "push::post_then_put::post_must_be_202_with_a_location",
        ],
        |x| {
            x.headers.remove("www-authenticate");
            x.status = 401;
        },
    ),
    case(
        "there is no registry",
        &[
            "api::determining_support::get_of_v2_must_be_200",
            "api::determining_support::get_of_v2_without_login_must_be_200_or_401",
        ],
        |x| x.status = 404,
    ),
];

fn double(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.extend(list.clone());
    }
}

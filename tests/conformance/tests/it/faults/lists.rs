//! Faults in lists and deletions.

use axum::http::Method;
use serde_json::{Value, json};

use super::{Case, case, wide};

/// Faults in lists and deletions.
pub(super) const CASES: &[Case] = &[
    wide(
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
                double(&mut list["tags"]);
                double(&mut list["manifests"]);
            });
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
                if let Some(tags) = list["tags"].as_array_mut() {
                    tags.reverse();
                }
            });
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
                append(&mut list["tags"], json!("zz"));
                append(&mut list["manifests"], json!({"digest": "sha256:00"}));
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
            "management::deleting_manifests::referrers_of_a_deleted_subject_are_no_404",
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

fn double(list: &mut Value) {
    if let Some(list) = list.as_array_mut() {
        list.extend(list.clone());
    }
}

fn append(list: &mut Value, item: Value) {
    if let Some(list) = list.as_array_mut() {
        list.push(item);
    }
}

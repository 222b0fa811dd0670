//! Faults that break whatever begins with a push.

use axum::http::Method;

use super::{Case, case};

/// Faults that break whatever begins with a push.
pub(super) const CASES: &[Case] = &[
    case(
        "all sessions are one, without a UUID",
        &[
            "pull::checking_existence::head_of_blob_must_be_200",
            "pull::checking_existence::head_of_manifest_by_digest_must_be_200",
            "pull::checking_existence::head_of_manifest_by_tag_must_be_200",
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
            "push::chunks::post_with_content_length_0_must_be_202",
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

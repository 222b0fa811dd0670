//! The errors of the distribution API.

use landfall_oci::{ErrorBody, ErrorCode, ErrorEntry};
use serde_json::json;

#[test]
fn the_codes_are_those_of_the_specification() {
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(
        codes,
        [
            "BLOB_UNKNOWN",
            "BLOB_UPLOAD_INVALID",
            "BLOB_UPLOAD_UNKNOWN",
            "DIGEST_INVALID",
            "MANIFEST_BLOB_UNKNOWN",
            "MANIFEST_INVALID",
            "MANIFEST_UNKNOWN",
            "NAME_INVALID",
            "NAME_UNKNOWN",
            "SIZE_INVALID",
            "UNAUTHORIZED",
            "DENIED",
            "UNSUPPORTED",
            "TOOMANYREQUESTS",
        ]
    );
}

#[test]
fn a_code_is_the_same_in_json_as_in_text() {
    for code in ErrorCode::ALL {
        assert_eq!(json!(code), json!(code.code()));
        assert_eq!(code.to_string(), code.code());
    }
}

#[test]
fn a_body_has_the_shape_of_the_specification() {
    let entry = ErrorEntry::new(ErrorCode::BlobUnknown, "no such blob")
        .with_detail(json!({ "digest": "sha256:00" }));
    let body = ErrorBody {
        errors: vec![entry, ErrorCode::TooManyRequests.into()],
    };
    let json = json!({
        "errors": [
            {
                "code": "BLOB_UNKNOWN",
                "message": "no such blob",
                "detail": { "digest": "sha256:00" },
            },
            { "code": "TOOMANYREQUESTS", "message": "too many requests" },
        ]
    });
    assert_eq!(serde_json::to_value(&body).expect("JSON"), json);
    assert_eq!(
        serde_json::from_value::<ErrorBody>(json).expect("a body"),
        body
    );
}

#[test]
fn a_body_without_a_message_is_read_too() {
    let body: ErrorBody =
        serde_json::from_str(r#"{"errors":[{"code":"DENIED"}]}"#).expect("a body");
    assert_eq!(body, ErrorEntry::new(ErrorCode::Denied, "").into());
}

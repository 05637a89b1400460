use serde_json::json;

use super::*;

const NO_KEY: Credential = Credential::None {
    provider_data_key: None,
};

fn answer(status: u16, body: &str) -> Error {
    from_answer(
        "up",
        StatusCode::from_u16(status).unwrap(),
        &HeaderMap::new(),
        body.as_bytes(),
        &NO_KEY,
    )
}

#[test]
fn every_form_of_an_error_body_is_read() {
    for (body, message, code, error_type, param) in [
        (
            json!({"error": {"message": "m", "type": "invalid_request_error", "param": "messages", "code": "c"}}),
            "m",
            Some("c"),
            Some("invalid_request_error"),
            Some("messages"),
        ),
        (
            json!({"object": "error", "message": "m", "type": "BadRequestError", "param": null, "code": 400}),
            "m",
            None,
            Some("BadRequestError"),
            None,
        ),
        (
            json!({"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}),
            "m",
            None,
            Some("INVALID_ARGUMENT"),
            None,
        ),
        (
            json!([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}]),
            "m",
            None,
            Some("INVALID_ARGUMENT"),
            None,
        ),
        (
            json!({"error": "m", "error_type": "validation"}),
            "m",
            None,
            Some("validation"),
            None,
        ),
        (json!({"detail": "m"}), "m", None, None, None),
        (
            json!({"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "m", "type": "missing"}, {"loc": [], "msg": "n"}]}),
            "`messages[0].role`: m; n",
            None,
            None,
            Some("messages[0].role"),
        ),
        (json!({"message": "m", "code": "x"}), "m", Some("x"), None, None),
    ] {
        let error = answer(400, &body.to_string());
        let found = (
            error.kind(),
            error.message(),
            error.code(),
            error.error_type(),
            error.param(),
            error.upstream_status(),
        );
        assert_eq!(
            found,
            (ErrorKind::InvalidRequest, message, code, error_type, param, Some(400)),
            "{body}"
        );
    }
    assert_eq!(answer(422, "plain\nwords").message(), "plain words");
    assert_eq!(
        answer(422, "").message(),
        "the upstream refused the request without giving a reason"
    );
}

#[test]
fn statuses_are_kinds() {
    let body = r#"{"error":{"message":"m"}}"#;
    for (status, kind) in [
        (302, ErrorKind::Unavailable),
        (400, ErrorKind::InvalidRequest),
        (401, ErrorKind::Unauthenticated),
        (403, ErrorKind::PermissionDenied),
        (404, ErrorKind::NotFound),
        (408, ErrorKind::Timeout),
        (409, ErrorKind::Conflict),
        (413, ErrorKind::TooLarge),
        (418, ErrorKind::InvalidRequest),
        (429, ErrorKind::RateLimited),
        (500, ErrorKind::Unavailable),
        (501, ErrorKind::Unsupported),
        (503, ErrorKind::Unavailable),
        (504, ErrorKind::Timeout),
    ] {
        assert_eq!(answer(status, body).kind(), kind, "{status}");
    }
}

#[test]
fn a_path_that_is_not_there_is_the_operators_matter() {
    for body in [r#"{"detail":"Not Found"}"#, "404 page not found", "<html>", ""] {
        assert_eq!(answer(404, body).kind(), ErrorKind::Unavailable, "{body}");
    }
}

#[test]
fn the_message_tells_whose_key_was_refused_and_never_the_key() {
    let body = br#"{"error":{"message":"wrong key sk-1 given","code":"invalid_api_key"}}"#;
    for (credential, expected) in [
        (
            Credential::Configured("sk-1".into()),
            "provider `up` refused the key that this server is configured with: wrong key ******** given",
        ),
        (
            Credential::Caller("sk-1".into()),
            "provider `up` refused the key of the request: wrong key ******** given",
        ),
        (
            Credential::None {
                provider_data_key: Some("up_api_key"),
            },
            "provider `up` wants a key; configure one, or send `up_api_key` in the header X-OGX-Provider-Data: wrong key sk-1 given",
        ),
    ] {
        let error = from_answer("up", StatusCode::UNAUTHORIZED, &HeaderMap::new(), body, &credential);
        assert_eq!((error.message(), error.code()), (expected, Some("invalid_api_key")));
    }
}

#[test]
fn a_key_where_a_long_message_is_cut_is_not_shown_in_part() {
    let body = format!("{} sk-secret", "x".repeat(MAX_MESSAGE - 5));
    let credential = Credential::Configured("sk-secret".into());
    let error = from_answer(
        "up",
        StatusCode::BAD_REQUEST,
        &HeaderMap::new(),
        body.as_bytes(),
        &credential,
    );
    assert!(error.message().ends_with("x ****"), "{error}");
}

#[test]
fn html_is_not_shown() {
    let error = answer(502, "<!DOCTYPE html><h1>Bad Gateway</h1>");
    assert_eq!(
        error.message(),
        "provider `up` answered with HTML instead of JSON (status 502)"
    );
}

#[test]
fn errors_within_a_stream_have_a_kind() {
    for (body, kind) in [
        (json!({"error": {"message": "m", "code": 429}}), ErrorKind::RateLimited),
        (
            json!({"error": {"message": "m", "type": "invalid_request_error"}}),
            ErrorKind::InvalidRequest,
        ),
        (json!({"error": {"message": "m", "code": 200}}), ErrorKind::Unavailable),
        (json!({"error": "m"}), ErrorKind::Unavailable),
        (
            json!({"object": "error", "message": "m", "code": 400}),
            ErrorKind::InvalidRequest,
        ),
    ] {
        let error = from_error_object("up", body.to_string().as_bytes(), &NO_KEY);
        assert_eq!(error.kind(), kind, "{body}");
        assert!(error.message().ends_with('m'), "{error}");
    }
}

#[test]
fn waiting_times_are_read_in_every_form() {
    let after = |name: &'static str, value: &str| {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        retry_after(&headers)
    };
    assert_eq!(after("retry-after", "20"), Some(Duration::from_secs(20)));
    assert_eq!(after("retry-after", "0.5"), Some(Duration::from_millis(500)));
    assert_eq!(after("retry-after-ms", "70"), Some(Duration::from_millis(70)));
    assert_eq!(
        after("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),
        Some(Duration::ZERO)
    );
    assert!(after("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT").unwrap() > Duration::from_secs(86_400));
    for nonsense in ["-1", "soon", "NaN", "inf", ""] {
        assert_eq!(after("retry-after", nonsense), None, "{nonsense}");
    }
}

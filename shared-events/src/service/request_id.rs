//! The name of each request, by which a caller, the logs and the history mean the same one.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

/// Where a caller names a request, and where every answer tells the name.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A longer name of a caller's is not taken.
const MAX_BYTES: usize = 128;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// The name of the request that this task answers. None outside of one.
#[must_use]
pub fn current_request_id() -> Option<String> {
    let name = CURRENT.try_with(|name| name.to_str().map(str::to_owned));
    name.ok()?.ok()
}

/// Takes the name that the caller has given, or makes one, and tells it in the answer.
pub(super) async fn identify(request: Request, next: Next) -> Response {
    let name = given(request.headers()).unwrap_or_else(made);
    let mut response = CURRENT.scope(name.clone(), next.run(request)).await;
    response.headers_mut().insert(X_REQUEST_ID, name);
    response
}

/// What is not plain and short would make logs and history say what it likes.
fn given(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut lines = headers.get_all(X_REQUEST_ID).iter();
    let name = lines.next().filter(|_| lines.next().is_none())?;
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:+/=".contains(byte);
    let bytes = name.as_bytes();
    let is_taken = (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(is_plain);
    is_taken.then(|| name.clone())
}

fn made() -> HeaderValue {
    let text = Uuid::new_v4().to_string();
    // Hexadecimal digits and hyphens always are a value.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue};

    use super::{X_REQUEST_ID, given, made};

    #[test]
    fn a_name_that_is_plain_and_short_is_taken_and_no_other() {
        let longest = "x".repeat(128);
        for (text, taken) in [
            ("018f6b1c-7a2d-7c3e-8f4a-5b6c7d8e9f01", true),
            ("Root=1-67891233-abcdef012345678912345678", true),
            (&longest, true),
            (&format!("{longest}x"), false),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("{}", false),
        ] {
            let value = HeaderValue::from_str(text).expect("a value");
            let headers: HeaderMap = [(X_REQUEST_ID, value.clone())].into_iter().collect();
            assert_eq!(given(&headers), taken.then_some(value), "{text:?}");
        }
        let mut two = HeaderMap::new();
        two.append(X_REQUEST_ID, HeaderValue::from_static("a"));
        two.append(X_REQUEST_ID, HeaderValue::from_static("b"));
        assert_eq!(given(&two), None);
    }

    #[test]
    fn a_made_name_would_be_taken_and_is_new() {
        let headers: HeaderMap = [(X_REQUEST_ID, made())].into_iter().collect();
        assert!(given(&headers).is_some_and(|name| name != made()));
    }
}

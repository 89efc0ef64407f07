//! Conditional requests, RFC 9110: `If-Match` and `If-None-Match`.

use axum::extract::FromRequestParts;
use axum::http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use shared_events::service::Problem;

use crate::error::precondition_failed;

/// `If-Match`, where it may be left out.
#[derive(Debug, Clone)]
pub(super) struct IfMatch(Option<Condition>);

/// `If-Match`, where it must be sent: 428 without.
#[derive(Debug, Clone)]
pub(super) struct RequiredIfMatch(pub(super) IfMatch);

/// `If-None-Match`.
#[derive(Debug, Clone)]
pub(super) struct IfNoneMatch(Option<Condition>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    Any,
    Tags(Vec<Tag>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Tag {
    weak: bool,
    opaque: String,
}

impl IfMatch {
    /// Whether the request may go on at this version: 412 if not. Tags are compared strongly, so a
    /// weak one never matches.
    pub(super) fn check(&self, version: i64) -> Result<(), Problem> {
        let holds = match &self.0 {
            None | Some(Condition::Any) => true,
            Some(Condition::Tags(tags)) => tags
                .iter()
                .any(|tag| !tag.weak && tag.opaque == version.to_string()),
        };
        if holds {
            Ok(())
        } else {
            Err(precondition_failed(Some(version)))
        }
    }

    /// Whether this version is named, and no other.
    pub(super) fn names_only(&self, version: i64) -> bool {
        match &self.0 {
            Some(Condition::Tags(tags)) => tags.len() == 1 && self.check(version).is_ok(),
            None | Some(Condition::Any) => false,
        }
    }

    /// Whether the request may go on where there is nothing yet: whatever is named is not there.
    pub(super) fn check_absent(&self) -> Result<(), Problem> {
        if self.0.is_none() {
            Ok(())
        } else {
            Err(precondition_failed(None))
        }
    }
}

impl IfNoneMatch {
    /// Whether the caller has this version already. Tags are compared weakly.
    pub(super) fn has(&self, version: i64) -> bool {
        match &self.0 {
            None => false,
            Some(Condition::Any) => true,
            Some(Condition::Tags(tags)) => tags.iter().any(|tag| tag.opaque == version.to_string()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        condition(&parts.headers, &IF_MATCH).map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for RequiredIfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let if_match = IfMatch::from_request_parts(parts, state).await?;
        if if_match.0.is_none() {
            return Err(Problem::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition-required",
                "If-Match is required",
            )
            .detail("send If-Match with the ETag of the schedule that was read, or *"));
        }
        Ok(Self(if_match))
    }
}

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        condition(&parts.headers, &IF_NONE_MATCH).map(Self)
    }
}

/// The condition of a header, which may come in several lines.
fn condition(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Condition>, Problem> {
    let mut lines = Vec::new();
    for line in headers.get_all(name) {
        lines.push(line.to_str().map_err(|_| malformed(name))?);
    }
    if lines.is_empty() {
        return Ok(None);
    }
    parse(&lines.join(","))
        .map(Some)
        .ok_or_else(|| malformed(name))
}

fn malformed(name: &HeaderName) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "malformed-header",
        "A header cannot be read",
    )
    .detail(format!(
        "{name} must be *, or entity tags in quotes, separated by commas: \"7\""
    ))
}

/// `*`, or entity tags separated by commas; empty items of the list are skipped.
fn parse(text: &str) -> Option<Condition> {
    if text.trim() == "*" {
        return Some(Condition::Any);
    }
    let mut tags = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            break;
        }
        let weak = rest.starts_with("W/");
        let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"')?;
        let (opaque, after) = quoted.split_once('"')?;
        // etagc: visible characters, without blanks; the quote cannot occur here.
        if !opaque.bytes().all(|byte| byte > b' ' && byte != 0x7f) {
            return None;
        }
        tags.push(Tag {
            weak,
            opaque: opaque.to_owned(),
        });
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    (!tags.is_empty()).then_some(Condition::Tags(tags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(text: &str) -> IfMatch {
        IfMatch(Some(parse(text).expect(text)))
    }

    #[test]
    fn lists_and_weak_tags_and_the_star_are_read() {
        for matching in [
            "*",
            " * ",
            "\"7\"",
            "\"6\", \"7\"",
            "W/\"7\" , \"7\"",
            ",,\"7\",",
            "\"a,b\",\"7\"",
        ] {
            assert!(if_match(matching).check(7).is_ok(), "{matching}");
        }
        for other in ["\"6\"", "\"07\"", "\"\"", "W/\"7\"", "\"7,8\""] {
            assert!(if_match(other).check(7).is_err(), "{other}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_is_refused() {
        for bad in [
            "",
            " ",
            ",",
            "7",
            "\"7",
            "7\"",
            "*, \"7\"",
            "\"7\" \"8\"",
            "w/\"7\"",
            "\"7 8\"",
            "W/7",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_callers_copy_is_compared_weakly() {
        let has = |text: &str| IfNoneMatch(parse(text)).has(7);
        assert!(has("*") && has("W/\"7\"") && has("\"7\", \"8\"") && !has("\"8\""));
        assert!(!IfNoneMatch(None).has(7));
    }
}

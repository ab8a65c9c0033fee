//! Paths, methods and queries.

use http::{Method, header::USER_AGENT, request::Parts};
use serde_json::Value;

use super::media::{self, Shown};
use super::{discovery, openapi};
use crate::apiserver::{ApiError, ApiServer, Options, Request, ResourceDef, Verb};

/// What a request turned out to be.
pub(super) enum Route {
    Resource(Box<Request>, Shown),
    Document(Value),
    Text(u16, &'static str),
    /// Of a content type of its own.
    Bytes(&'static str, Vec<u8>),
}

/// A path that is none, told as what it is; upstream has a page of text for it.
fn no_page(path: &str) -> ApiError {
    let text = format!("the server could not find the requested resource: {path} is not served");
    ApiError::new(404, "NotFound", text)
}

/// Finds out what is asked for. Errors are answers already.
pub(super) fn route(server: &ApiServer, parts: &Parts, body: &[u8]) -> Result<Route, ApiError> {
    let path = parts.uri.path();
    if matches!(path, "/healthz" | "/livez" | "/readyz") {
        return Ok(Route::Text(200, "ok"));
    }
    if path == "/openapi/v2" {
        media::accepts(&parts.headers, openapi::v2::ASKED)?;
        return Ok(Route::Bytes(openapi::v2::ANSWERED, openapi::v2::document(server)));
    }
    let segments: Vec<String> =
        path.split('/').filter(|s| !s.is_empty()).map(|s| decoded(s, false)).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let document = discovery::document(server, &segments);
    if let Some(document) = document.or_else(|| openapi::document(server, &segments)) {
        media::accepted(&parts.headers)?;
        return Ok(Route::Document(document));
    }
    let (group, version, rest) = match segments.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return Err(no_page(path)),
    };
    let (legacy_watch, rest) = match rest {
        ["watch", rest @ ..] => (true, rest),
        other => (false, other),
    };
    let Some((def, target)) = locate(server, group, version, rest) else {
        return Err(no_page(path));
    };
    read(parts, body, def, &target, legacy_watch)
}

/// The place a path names.
struct Target<'a> {
    namespace: Option<&'a str>,
    name: &'a str,
    subresource: &'a str,
}

fn locate<'s, 'a>(
    server: &'s ApiServer,
    group: &str,
    version: &str,
    rest: &[&'a str],
) -> Option<(&'s ResourceDef, Target<'a>)> {
    let find = |plural: &str| {
        server.resources().find(|d| d.group == group && d.version == version && d.plural == plural)
    };
    if let ["namespaces", namespace, plural, below @ ..] = rest
        && let Some(def) = find(plural).filter(|d| d.namespaced)
    {
        return Some((def, target(Some(namespace), below)?));
    }
    let (plural, below) = rest.split_first()?;
    let def = find(plural)?;
    // Objects of a namespaced resource are only reachable within their namespace.
    if def.namespaced && !below.is_empty() {
        return None;
    }
    Some((def, target(None, below)?))
}

fn target<'a>(namespace: Option<&'a str>, below: &[&'a str]) -> Option<Target<'a>> {
    let (name, subresource) = match below {
        [] => ("", ""),
        [name] => (*name, ""),
        [name, subresource] => (*name, *subresource),
        _ => return None,
    };
    Some(Target { namespace, name, subresource })
}

fn read(
    parts: &Parts,
    body: &[u8],
    def: &ResourceDef,
    target: &Target<'_>,
    legacy_watch: bool,
) -> Result<Route, ApiError> {
    let query = query(parts.uri.query().unwrap_or_default());
    let watches = legacy_watch || query.iter().any(|(k, v)| k == "watch" && truthy(v));
    let verb = verb(parts, target, watches, legacy_watch)?;
    let mut request =
        Request::new(verb, &def.key(), target.namespace.unwrap_or_default(), target.name);
    request.subresource = target.subresource.to_owned();
    request.options = options(&query)?;
    let mut shown = media::accepted(&parts.headers)?;
    check_shown(shown, verb, def)?;
    if let Shown::Table(form) = &mut shown {
        let asked = query.iter().find(|(name, _)| name == "includeObject");
        form.include = media::include(asked.map_or("", |(_, value)| value.as_str()))?;
    }
    request.options.metadata_only = matches!(shown, Shown::Metadata | Shown::MetadataList);
    let agent = parts.headers.get(USER_AGENT).and_then(|v| v.to_str().ok());
    request.user_agent = agent.unwrap_or_default().to_owned();
    request.body = match verb {
        Verb::Create | Verb::Update => media::read_object(&parts.headers, body, &def.kind)?,
        Verb::Patch(kind) => media::read_patch(kind, body)?,
        Verb::Delete | Verb::DeleteCollection if !body.is_empty() => {
            media::read_object(&parts.headers, body, "DeleteOptions")?
        }
        _ => Value::Null,
    };
    Ok(Route::Resource(Box::new(request), shown))
}

/// A list is not one object's metadata, and one object no list.
fn check_shown(shown: Shown, verb: Verb, def: &ResourceDef) -> Result<(), ApiError> {
    let (package, kind) =
        if def.builtin { ("v1", def.kind.as_str()) } else { ("unstructured", "Unstructured") };
    let text = match (shown, verb) {
        (Shown::Metadata, Verb::List) => format!(
            "you requested PartialObjectMetadata, but the requested object is a list \
             (*{package}.{kind}List)"
        ),
        (Shown::MetadataList, Verb::Get) => format!(
            "you requested PartialObjectMetadataList, but the requested object is not a list \
             (*{package}.{kind})"
        ),
        _ => return Ok(()),
    };
    Err(ApiError::new(406, "NotAcceptable", text))
}

fn verb(
    parts: &Parts,
    target: &Target<'_>,
    watches: bool,
    legacy_watch: bool,
) -> Result<Verb, ApiError> {
    let named = !target.name.is_empty();
    let unnamed = || ApiError::bad_request("name must be provided");
    match (&parts.method, named) {
        (&Method::GET, _) if legacy_watch => Ok(Verb::Watch),
        (&Method::GET, true) => Ok(Verb::Get),
        (&Method::GET, false) if watches => Ok(Verb::Watch),
        (&Method::GET, false) => Ok(Verb::List),
        (&Method::POST, false) => Ok(Verb::Create),
        (&Method::PUT, true) => Ok(Verb::Update),
        (&Method::PATCH, true) => Ok(Verb::Patch(media::patch_type(&parts.headers)?)),
        (&Method::PUT | &Method::PATCH, false) => Err(unnamed()),
        (&Method::DELETE, true) => Ok(Verb::Delete),
        (&Method::DELETE, false) => Ok(Verb::DeleteCollection),
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn truthy(text: &str) -> bool {
    matches!(text, "true" | "1" | "True" | "TRUE" | "t" | "")
}

fn options(query: &[(String, String)]) -> Result<Options, ApiError> {
    let mut out = Options::default();
    for (name, value) in query {
        let number = || {
            value.parse().map_err(|_| {
                let why = format!("strconv.ParseInt: parsing \"{value}\": invalid syntax");
                ApiError::bad_request(why)
            })
        };
        let text = || value.clone();
        match name.as_str() {
            "labelSelector" => out.label_selector = text(),
            "fieldSelector" => out.field_selector = text(),
            "limit" => out.limit = number()? as usize,
            "continue" => out.continue_token = text(),
            "resourceVersion" => out.resource_version = text(),
            "resourceVersionMatch" => out.resource_version_match = text(),
            "fieldManager" => out.field_manager = text(),
            "force" => out.force = Some(truthy(value)),
            "dryRun" => out.dry_run.push(text()),
            "fieldValidation" => out.field_validation = text(),
            "propagationPolicy" => out.propagation_policy = text(),
            "sendInitialEvents" => out.send_initial_events = Some(truthy(value)),
            "allowWatchBookmarks" => out.allow_watch_bookmarks = truthy(value),
            "timeoutSeconds" => out.timeout_seconds = Some(number()?),
            _ => {}
        }
    }
    Ok(out)
}

fn query(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|p| !p.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name, true), decoded(value, true))
        })
        .collect()
}

/// Percent-decoding; what is no escape stays as it is.
fn decoded(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match escape.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                let space = plus_is_space && bytes[at] == b'+';
                out.push(if space { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_broken_ones_kept() {
        assert_eq!(decoded("a%3Db+c", true), "a=b c");
        assert_eq!(decoded("a+%zz%4", false), "a+%zz%4");
        assert_eq!(decoded("%é1", true), "%é1");
    }

    #[test]
    fn a_query_keeps_repeated_and_empty_values() {
        let read = query("dryRun=All&dryRun=x&watch&a=");
        let expected = [("dryRun", "All"), ("dryRun", "x"), ("watch", ""), ("a", "")];
        assert_eq!(read, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
    }
}

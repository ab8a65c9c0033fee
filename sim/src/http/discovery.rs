//! `/version`, `/api`, `/apis` and what hangs below them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::apiserver::{ApiServer, ResourceDef, rfc3339};

/// The document at a path, if it is one of discovery.
pub(super) fn document(server: &ApiServer, path: &[&str]) -> Option<Value> {
    match path {
        ["version"] => Some(version()),
        ["api"] => Some(json!({"kind": "APIVersions", "versions": ["v1"],
            "serverAddressByClientCIDRs": []})),
        ["api", "v1"] => resources(server, "", "v1"),
        ["apis"] => {
            let all = groups(server);
            let groups: Vec<Value> = all.iter().map(|(g, v)| group(g, v)).collect();
            Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}))
        }
        ["apis", name] => {
            let all = groups(server);
            let mut out = group(name, all.get(*name)?);
            out["kind"] = json!("APIGroup");
            out["apiVersion"] = json!("v1");
            Some(out)
        }
        ["apis", name, version] => resources(server, name, version),
        _ => None,
    }
}

fn version() -> Value {
    json!({"major": "1", "minor": "37", "gitVersion": "v1.37.0+everleaf", "gitCommit": "",
        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "", "platform": "everleaf/sim"})
}

fn groups(server: &ApiServer) -> BTreeMap<&str, &str> {
    let named = server.resources().filter(|d| !d.group.is_empty());
    named.map(|d| (d.group.as_str(), d.version.as_str())).collect()
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn resources(server: &ApiServer, group: &str, version: &str) -> Option<Value> {
    let here: Vec<&ResourceDef> =
        server.resources().filter(|d| d.group == group && d.version == version).collect();
    let group_version = here.first()?.api_version();
    let all: Vec<Value> = here.into_iter().flat_map(resource).collect();
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version,
        "resources": all}))
}

fn resource(def: &ResourceDef) -> Vec<Value> {
    let verbs = if def.read_only {
        json!(["get", "list", "watch"])
    } else {
        json!(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"])
    };
    let mut main = json!({"name": def.plural, "singularName": def.singular,
        "namespaced": def.namespaced, "kind": def.kind, "verbs": verbs});
    if !def.short_names.is_empty() {
        main["shortNames"] = json!(def.short_names);
    }
    if !def.categories.is_empty() {
        main["categories"] = json!(def.categories);
    }
    let mut out = vec![main];
    if def.status {
        out.push(json!({"name": format!("{}/status", def.plural), "singularName": "",
            "namespaced": def.namespaced, "kind": def.kind, "verbs": ["get", "patch", "update"]}));
    }
    out
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The `Date` header (RFC 9110, section 5.6.7) of milliseconds since 1970.
pub(super) fn http_date(ms: i64) -> String {
    let text = rfc3339(ms);
    let weekday = DAYS[ms.div_euclid(86_400_000).rem_euclid(7) as usize];
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    let mut parts = date.rsplitn(3, '-');
    let day = parts.next().unwrap_or_default();
    let month: usize = parts.next().and_then(|m| m.parse().ok()).unwrap_or(1);
    let year = parts.next().unwrap_or_default();
    let month = MONTHS[(month - 1) % 12];
    format!("{weekday}, {day} {month} {year} {} GMT", time.trim_end_matches('Z'))
}

#[cfg(test)]
mod tests {
    use super::http_date;

    #[test]
    fn dates_are_written_as_http_wants_them() {
        assert_eq!(http_date(784_111_777_000), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
    }
}

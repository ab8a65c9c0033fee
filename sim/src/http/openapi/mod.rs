//! OpenAPI v3 so far as kubectl reads it: which kinds there are and with which fields, which
//! patches and parameters their paths take. Documents are made when they are asked for.

pub(super) mod v2;

use serde_json::{Map, Value, json};

use crate::apiserver::{ApiServer, ListType, OBJECT_META_TEXT, ResourceDef};

/// The document at a path below `/openapi/v3`, if there is one.
pub(super) fn document(server: &ApiServer, path: &[&str]) -> Option<Value> {
    match path {
        ["openapi", "v3"] => Some(index(server)),
        ["openapi", "v3", "api", version] => of(server, "", version),
        ["openapi", "v3", "apis", group, version] => of(server, group, version),
        _ => None,
    }
}

fn root(def: &ResourceDef) -> String {
    let Some((group, version)) = (!def.group.is_empty()).then_some((&def.group, &def.version))
    else {
        return format!("api/{}", def.version);
    };
    format!("apis/{group}/{version}")
}

fn index(server: &ApiServer) -> Value {
    let entries = server.resources().map(|def| {
        let root = root(def);
        let entry = json!({"serverRelativeURL": format!("/openapi/v3/{root}")});
        (root, entry)
    });
    json!({"paths": entries.collect::<Map<_, _>>()})
}

fn of(server: &ApiServer, group: &str, version: &str) -> Option<Value> {
    let here = server.resources().filter(|def| def.group == group && def.version == version);
    let (mut paths, mut schemas) = (Map::new(), Map::new());
    for def in here {
        schemas.insert(component(def), schema(def));
        paths.extend(operations(def));
    }
    (!paths.is_empty()).then(|| {
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "1.37"},
            "paths": paths, "components": {"schemas": schemas}})
    })
}

/// `io.cert-manager.v1.Certificate`, as upstream names schemas of custom resources.
fn component(def: &ResourceDef) -> String {
    let group: Vec<&str> = def.group.rsplit('.').filter(|part| !part.is_empty()).collect();
    match def.builtin {
        true => format!(
            "io.k8s.api.{}.{}",
            [&def.group, &def.version].map(|s| s.as_str()).join("."),
            def.kind
        ),
        false => format!("{}.{}.{}", group.join("."), def.version, def.kind),
    }
}

fn kind(def: &ResourceDef) -> Value {
    json!({"group": def.group, "version": def.version, "kind": def.kind})
}

fn schema(def: &ResourceDef) -> Value {
    let mut out = Value::clone(&def.written);
    let text = json!({"type": "string"});
    let properties = &mut out["properties"];
    for name in ["apiVersion", "kind"] {
        properties[name] = text.clone();
    }
    properties["metadata"] = OBJECT_META_TEXT.clone();
    merge_keys(&mut out, 0);
    out["x-kubernetes-group-version-kind"] = json!([kind(def)]);
    out
}

/// Deeper schemas stay as they are.
const MAX_DEPTH: usize = 64;

/// Says of lists with keys what a strategic merge patch goes by.
fn merge_keys(schema: &mut Value, depth: usize) {
    let Some(map) = schema.as_object_mut().filter(|_| depth < MAX_DEPTH) else { return };
    if let Some(ListType::Map(keys)) = list_type(map)
        && let Some(key) = keys.first()
    {
        map.insert("x-kubernetes-patch-strategy".into(), json!("merge"));
        map.insert("x-kubernetes-patch-merge-key".into(), json!(key));
    }
    for name in ["items", "additionalProperties"] {
        if let Some(below) = map.get_mut(name) {
            merge_keys(below, depth + 1);
        }
    }
    let properties = map.get_mut("properties").and_then(Value::as_object_mut);
    for below in properties.into_iter().flat_map(Map::values_mut) {
        merge_keys(below, depth + 1);
    }
}

fn list_type(map: &Map<String, Value>) -> Option<ListType> {
    let keys = map.get("x-kubernetes-list-map-keys")?.as_array()?.iter();
    Some(ListType::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect()))
}

/// The path of one object.
fn path_of_one(def: &ResourceDef) -> String {
    let scope = if def.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("/{}{scope}/{}/{{name}}", root(def), def.plural)
}

fn operations(def: &ResourceDef) -> Vec<(String, Value)> {
    let one = path_of_one(def);
    let many = one.trim_end_matches("/{name}").to_owned();
    let mut out = vec![
        (many, json!({"get": operation(def, "list"), "post": operation(def, "post")})),
        (
            one.clone(),
            json!({"get": operation(def, "get"), "put": operation(def, "put"),
            "patch": patch(def), "delete": operation(def, "delete")}),
        ),
    ];
    if def.status {
        out.push((
            format!("{one}/status"),
            json!({"get": operation(def, "get"),
            "put": operation(def, "put"), "patch": patch(def)}),
        ));
    }
    out
}

fn operation(def: &ResourceDef, action: &str) -> Value {
    let names = match action {
        "get" | "list" => &[][..],
        "delete" => &["dryRun"][..],
        _ => &["dryRun", "fieldManager", "fieldValidation"][..],
    };
    let parameter =
        |name: &&str| json!({"name": name, "in": "query", "schema": {"type": "string"}});
    let parameters: Vec<Value> = names.iter().map(parameter).collect();
    let answer = json!({"$ref": format!("#/components/schemas/{}", component(def))});
    json!({"parameters": parameters, "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind(def),
        "responses": {"200": {"description": "OK",
            "content": {"application/json": {"schema": answer}}}}})
}

fn patch(def: &ResourceDef) -> Value {
    let mut types = vec![
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    if def.builtin {
        types.push("application/strategic-merge-patch+json");
    }
    let content =
        types.into_iter().map(|kind| (kind.to_owned(), json!({"schema": {"type": "object"}})));
    let mut out = operation(def, "patch");
    out["requestBody"] = json!({"required": true, "content": content.collect::<Map<_, _>>()});
    out
}

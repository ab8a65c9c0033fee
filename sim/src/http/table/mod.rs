//! Objects as the Tables that `kubectl get` prints (meta.k8s.io/v1): the columns that a
//! CustomResourceDefinition names, and of built-in kinds those that a real API server has.

mod builtin;
mod human;
mod path;

use serde_json::{Value, json};

use crate::apiserver::{Column, ResourceDef};

/// How a Table was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// The version of `meta.k8s.io`.
    pub(super) version: &'static str,
    /// What comes along with a row.
    pub(super) include: Include,
}

/// What a row has of its object (`includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Include {
    /// Nothing.
    Nothing,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

const NAME: &str = "Name must be unique within a namespace.";

/// Prints objects of one resource.
pub(super) struct Printer<'a> {
    def: &'a ResourceDef,
    form: Form,
    /// Milliseconds since 1970.
    now: i64,
}

impl<'a> Printer<'a> {
    pub(super) fn new(def: &'a ResourceDef, form: Form, now: i64) -> Self {
        Printer { def, form, now }
    }

    /// A list or an object as a Table; a `Status` stays what it is. In a watch, only the first
    /// event has headers.
    pub(super) fn table(&self, body: &Value, headers: bool) -> Value {
        if body["kind"] == "Status" {
            return body.clone();
        }
        let meta = &body["metadata"];
        let (rows, metadata) = match body["items"].as_array() {
            Some(items) => (items.iter().map(|item| self.row(item)).collect(), list_meta(meta)),
            None => (vec![self.row(body)], json!({"resourceVersion": meta["resourceVersion"]})),
        };
        let columns = if headers { self.headers() } else { Value::Null };
        self.wrapped(&metadata, columns, rows)
    }

    /// A bookmark: nothing but a version.
    pub(super) fn bookmark(&self, object: &Value, headers: bool) -> Value {
        let version = json!({"resourceVersion": object["metadata"]["resourceVersion"]});
        let columns = if headers { self.headers() } else { Value::Null };
        let row = json!({"cells": Value::Null, "object": {
            "kind": "PartialObjectMetadata", "apiVersion": self.api_version(),
            "metadata": object["metadata"]}});
        self.wrapped(&version, columns, vec![row])
    }

    fn api_version(&self) -> String {
        format!("meta.k8s.io/{}", self.form.version)
    }

    fn wrapped(&self, metadata: &Value, columns: Value, rows: Vec<Value>) -> Value {
        json!({"kind": "Table", "apiVersion": self.api_version(), "metadata": metadata,
            "columnDefinitions": columns, "rows": rows})
    }

    fn headers(&self) -> Value {
        let built_in = builtin::columns(&self.def.key());
        match built_in {
            Some(columns) => columns.iter().map(header).collect(),
            None => {
                let own = self.def.columns.iter().map(|column| {
                    json!({"name": column.name, "type": column.kind, "format": column.format,
                        "description": described(column), "priority": column.priority})
                });
                std::iter::once(header(&("Name", "name", 0, NAME))).chain(own).collect()
            }
        }
    }

    fn row(&self, object: &Value) -> Value {
        let cells = builtin::cells(&self.def.key(), object, self.now);
        let cells = cells.unwrap_or_else(|| {
            let own = self.def.columns.iter().map(|column| self.cell(column, object));
            std::iter::once(object["metadata"]["name"].clone()).chain(own).collect()
        });
        json!({"cells": cells, "object": self.shown(object)})
    }

    fn cell(&self, column: &Column, object: &Value) -> Value {
        let found = path::first(object, &column.path);
        match (column.kind.as_str(), found) {
            (_, None | Some(Value::Null)) => Value::Null,
            ("date", Some(Value::String(text))) => json!(human::since(text, self.now)),
            ("string", Some(Value::String(text))) => json!(text),
            ("string", Some(other)) => json!(other.to_string()),
            (_, Some(other)) => other.clone(),
        }
    }

    fn shown(&self, object: &Value) -> Value {
        match self.form.include {
            Include::Nothing => Value::Null,
            Include::Metadata => json!({"kind": "PartialObjectMetadata",
                "apiVersion": self.api_version(), "metadata": object["metadata"]}),
            Include::Object => {
                let mut whole = object.clone();
                whole["kind"] = json!(self.def.kind);
                whole["apiVersion"] = json!(self.def.api_version());
                whole
            }
        }
    }
}

/// Of a list's metadata what a Table has, too.
fn list_meta(meta: &Value) -> Value {
    let mut out = meta.clone();
    if let Some(map) = out.as_object_mut() {
        map.retain(|name, value| name != "continue" || *value != "");
    }
    out
}

fn header((name, format, priority, description): &builtin::Header) -> Value {
    // A CustomResourceDefinition's one column of its own is a date upstream.
    let kind = if *name == "Created At" { "date" } else { "string" };
    json!({"name": name, "type": kind, "format": format, "description": description,
        "priority": priority})
}

fn described(column: &Column) -> String {
    match column.description.as_str() {
        "" => format!("Custom resource definition column (in JSONPath format): {}", column.path),
        given => given.to_owned(),
    }
}

#[cfg(test)]
mod tests;

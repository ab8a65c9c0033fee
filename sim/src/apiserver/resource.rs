//! What kinds of object the server holds, read from CustomResourceDefinitions.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::schema::{OBJECT_META, Schema, Type};

/// Longest accepted YAML input, in bytes.
const MAX_YAML: usize = 16 << 20;

/// Why a CustomResourceDefinition could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CrdError {
    /// The text is not YAML, or longer than 16 MiB.
    #[error("not readable as YAML: {0}")]
    Yaml(String),
    /// A field this model needs is missing.
    #[error("CustomResourceDefinition {name}: {what}")]
    Missing {
        /// The definition's name.
        name: String,
        /// What is missing.
        what: &'static str,
    },
}

/// A column of `kubectl get`, beside the name (`additionalPrinterColumns`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// `type`: `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: String,
    /// `format`, or empty.
    pub format: String,
    /// `description`, or empty.
    pub description: String,
    /// 0 is always shown, more with `-o wide`.
    pub priority: i64,
    /// Where the value is, as a simple JSONPath.
    pub path: String,
}

/// One resource: names, scope, schema and the switches its kind has.
#[derive(Clone, Debug, Default)]
pub struct ResourceDef {
    /// API group; empty for core.
    pub group: String,
    /// The one version served.
    pub version: String,
    /// Plural, lower case: the name in paths.
    pub plural: String,
    /// Singular, lower case.
    pub singular: String,
    /// `kind`.
    pub kind: String,
    /// `kind` of a list.
    pub list_kind: String,
    /// Short names for kubectl.
    pub short_names: Vec<String>,
    /// Categories for kubectl.
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether `/status` exists.
    pub status: bool,
    /// Field selectors beyond `metadata.name` and `metadata.namespace`, without leading dot.
    pub selectable: Vec<String>,
    /// The schema, metadata included.
    pub schema: Schema,
    /// Whether this is one of the types compiled into a real API server.
    pub builtin: bool,
    /// Whether `metadata.generation` counts changes of spec.
    pub generation: bool,
    /// Whether PUT without resourceVersion overwrites.
    pub unconditional_update: bool,
    /// Whether objects can only be read.
    pub read_only: bool,
    /// What `kubectl get` shows beside the name.
    pub columns: Vec<Column>,
    /// The schema as it was written, for OpenAPI.
    pub written: Arc<Value>,
}

impl ResourceDef {
    /// `certificates.cert-manager.io`, or `secrets` for the core group: the name requests use.
    pub fn key(&self) -> String {
        joined(&self.plural, &self.group)
    }

    /// `cert-manager.io/v1`, or `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            return self.version.clone();
        }
        format!("{}/{}", self.group, self.version)
    }

    pub(crate) fn qualified_kind(&self) -> String {
        joined(&self.kind, &self.group)
    }

    /// `/v1, Kind=Secret`, as Go prints a GroupVersionKind.
    pub(crate) fn gvk_text(&self) -> String {
        format!("{}/{}, Kind={}", self.group, self.version, self.kind)
    }
}

fn joined(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// Reads every CustomResourceDefinition in a (multi-document) YAML text, paired with the document
/// itself. Documents of other kinds are passed over.
pub fn read_crds(yaml: &str) -> Result<Vec<(ResourceDef, Value)>, CrdError> {
    if yaml.len() > MAX_YAML {
        return Err(CrdError::Yaml("longer than 16 MiB".into()));
    }
    let mut out = Vec::new();
    for document in serde_yaml::Deserializer::from_str(yaml) {
        let value = Value::deserialize(document).map_err(|e| CrdError::Yaml(e.to_string()))?;
        if value["kind"] == "CustomResourceDefinition" {
            out.push((read_crd(&value)?, value));
        }
    }
    Ok(out)
}

fn read_crd(crd: &Value) -> Result<ResourceDef, CrdError> {
    let name = crd["metadata"]["name"].as_str().unwrap_or("?").to_owned();
    let missing = |what| CrdError::Missing { name: name.clone(), what };
    let spec = &crd["spec"];
    let text = |v: &Value| v.as_str().map(str::to_owned);
    let names = &spec["names"];
    let kind = text(&names["kind"]).ok_or_else(|| missing("no spec.names.kind"))?;
    let version = storage_version(spec).ok_or_else(|| missing("no stored version"))?;
    let raw = &version["schema"]["openAPIV3Schema"];
    if !raw.is_object() {
        return Err(missing("no schema"));
    }
    Ok(ResourceDef {
        group: text(&spec["group"]).ok_or_else(|| missing("no spec.group"))?,
        version: text(&version["name"]).ok_or_else(|| missing("a version without name"))?,
        plural: text(&names["plural"]).ok_or_else(|| missing("no spec.names.plural"))?,
        singular: text(&names["singular"]).unwrap_or_else(|| kind.to_lowercase()),
        list_kind: text(&names["listKind"]).unwrap_or_else(|| format!("{kind}List")),
        kind,
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] != "Cluster",
        status: version["subresources"]["status"].is_object(),
        selectable: selectable(version),
        schema: with_metadata(Schema::from_value(raw)),
        generation: true,
        columns: columns(version),
        written: Arc::new(raw.clone()),
        ..ResourceDef::default()
    })
}

fn storage_version(spec: &Value) -> Option<&Value> {
    let all = spec["versions"].as_array()?;
    all.iter().find(|v| v["storage"] == true).or_else(|| all.first())
}

fn selectable(version: &Value) -> Vec<String> {
    let all = version["selectableFields"].as_array().map(Vec::as_slice).unwrap_or_default();
    let paths = all.iter().filter_map(|f| f["jsonPath"].as_str());
    paths.map(|p| p.trim_start_matches('.').to_owned()).collect()
}

/// The columns of a version; where it names none, the age.
fn columns(version: &Value) -> Vec<Column> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let Some(all) = version["additionalPrinterColumns"].as_array() else {
        let path = ".metadata.creationTimestamp".to_owned();
        let (name, kind) = ("Age".to_owned(), "date".to_owned());
        return vec![Column { name, kind, path, ..Column::default() }];
    };
    let read = |column: &Value| Column {
        name: text(&column["name"]),
        kind: text(&column["type"]),
        format: text(&column["format"]),
        description: text(&column["description"]),
        priority: column["priority"].as_i64().unwrap_or_default(),
        path: text(&column["jsonPath"]),
    };
    all.iter().map(read).collect()
}

fn with_metadata(mut schema: Schema) -> Schema {
    schema.kind = Type::Object;
    schema.properties.insert("metadata".into(), OBJECT_META.clone());
    for name in ["apiVersion", "kind"] {
        let text = Schema { kind: Type::String, ..Schema::default() };
        schema.properties.insert(name.into(), text);
    }
    schema
}

fn texts(value: &Value) -> Vec<String> {
    let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

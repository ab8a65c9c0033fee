//! What the API server itself checks by the CRDs' schemas: required fields, types, enums, bounds
//! and patterns; and, what it only does when asked, fields that no schema knows.

use super::near;
use base64::Engine as _;
use everleaf_api::GoDuration;
use everleaf_api::validate::ViolationKind;
use regex::Regex;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::LazyLock;

const MAX_DEPTH: usize = 64;
/// Fields whose text is a duration in Go's form; the schemas only say that they are texts.
const DURATIONS: [&str; 4] =
    ["duration", "renewBefore", "windowDuration", "waitInsteadOfSelfCheck"];

/// The schemas of the kinds, by group and kind.
pub struct Schemas(BTreeMap<(String, String), Value>);

impl Schemas {
    /// Those that `everleaf crds` prints.
    pub fn ours() -> &'static Self {
        static OURS: LazyLock<Schemas> = LazyLock::new(Schemas::read);
        &OURS
    }

    fn read() -> Self {
        let one = |(_, yaml): &(&str, &str)| {
            let crd: Value =
                serde_yaml::from_str(yaml).expect("the CRDs are YAML: a test reads them");
            let text = |path| crd.pointer(path).and_then(Value::as_str).unwrap_or_default();
            let key = (text("/spec/group").to_owned(), text("/spec/names/kind").to_owned());
            (key, crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone())
        };
        Self(everleaf_api::crds().iter().map(one).collect())
    }

    /// The schema of a kind.
    pub fn of(&self, group: &str, kind: &str) -> Option<&Value> {
        self.0.get(&(group.to_owned(), kind.to_owned()))
    }

    /// The kinds of a group.
    pub fn kinds<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.keys().filter(move |(of, _)| of == group).map(|(_, kind)| kind.as_str())
    }
}

/// One step into a value.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// A field that the schema names.
    Field(String),
    /// A key of a map.
    Key(String),
    Index(usize),
}

/// What a schema finds wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The field, as in `spec.dnsNames[0]`.
    pub path: String,
    /// What is wrong; `None` for a field that is not known, which is only left out.
    pub kind: Option<ViolationKind>,
    /// The value as the API server shows it.
    pub value: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
    at: Vec<Step>,
}

/// Checks an object's `spec`, and everything else but its metadata, by its schema.
pub fn check(schema: &Value, object: &Value) -> Vec<Fault> {
    let mut walk = Walk { root: schema, faults: Vec::new(), at: Vec::new() };
    let known = ["apiVersion", "kind", "metadata"];
    let fields = object.as_object().into_iter().flatten();
    let rest: Map<String, Value> = fields
        .filter(|(name, _)| !known.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    walk.object(schema, &rest, &known);
    walk.faults
}

/// Takes out what cannot be read, so that the rest can be judged; returns the paths taken out.
pub fn mend(object: &mut Value, faults: &[Fault]) -> Vec<String> {
    let unreadable =
        |fault: &&Fault| fault.kind.is_some_and(|kind| kind != ViolationKind::Required);
    let mut out = Vec::new();
    for fault in faults.iter().filter(unreadable) {
        // The places of the others in a list must not change: a bad item takes the list with it.
        let mut at = fault.at.as_slice();
        while let [rest @ .., Step::Index(_)] = at {
            at = rest;
        }
        if let [rest @ .., Step::Field(name) | Step::Key(name)] = at {
            let holder = rest.iter().try_fold(&mut *object, |value, step| match step {
                Step::Field(name) | Step::Key(name) => value.get_mut(name),
                Step::Index(index) => value.get_mut(index),
            });
            if let Some(Value::Object(map)) = holder {
                map.remove(name);
                out.push(text_of(at));
            }
        }
    }
    out
}

fn text_of(at: &[Step]) -> String {
    let mut text = String::new();
    for step in at {
        match step {
            Step::Field(name) if text.is_empty() => text += name,
            Step::Field(name) => text += &format!(".{name}"),
            Step::Key(key) => text += &format!("[{key}]"),
            Step::Index(index) => text += &format!("[{index}]"),
        }
    }
    text
}

struct Walk<'a> {
    root: &'a Value,
    faults: Vec<Fault>,
    at: Vec<Step>,
}

impl Walk<'_> {
    fn fault(&mut self, kind: ViolationKind, value: Option<String>, message: String) {
        let (path, at) = (text_of(&self.at), self.at.clone());
        self.faults.push(Fault { path, kind: Some(kind), value, message, at });
    }

    fn invalid(&mut self, value: &Value, message: String) {
        self.fault(ViolationKind::Invalid, Some(plain(value)), message);
    }

    fn within(&mut self, step: Step, look: impl FnOnce(&mut Self)) {
        if self.at.len() < MAX_DEPTH {
            self.at.push(step);
            look(self);
            self.at.pop();
        }
    }

    fn value(&mut self, schema: &Value, value: &Value) {
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        if let Some(wanted) = wrong_type(schema, value) {
            let found = type_of(value);
            let quoted = match (wanted, value) {
                ("string", Value::Bool(_) | Value::Number(_)) => "; put it in quotes",
                ("boolean", Value::String(_)) => "; write true or false without quotes",
                ("integer", Value::String(_)) => "; write it without quotes",
                ("array", _) => "; write a list",
                _ => "",
            };
            let message = format!("must be of type {wanted}, not {found}{quoted}");
            return self.fault(ViolationKind::Invalid, Some(found.to_owned()), message);
        }
        self.enumeration(schema, value);
        match value {
            Value::Object(map) => self.object(schema, map, &[]),
            Value::Array(all) => self.list(schema, all),
            Value::String(text) => self.text(schema, text),
            Value::Number(number) => self.number(schema, number.as_i64(), value),
            _ => {}
        }
    }

    fn enumeration(&mut self, schema: &Value, value: &Value) {
        let Some(allowed) = schema["enum"].as_array().filter(|all| !all.contains(value)) else {
            return;
        };
        let allowed: Vec<String> = allowed.iter().map(plain).collect();
        let text = plain(value);
        let meant = near::nearest(&text, allowed.iter().map(String::as_str));
        let meant = meant.map_or(String::new(), |meant| format!("; did you mean {meant:?}?"));
        let message = format!("supported values: {}{meant}", allowed.join(", "));
        self.fault(ViolationKind::NotSupported, Some(text), message);
    }

    fn object(&mut self, schema: &Value, map: &Map<String, Value>, elsewhere: &[&str]) {
        let required = schema["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            if map.get(name).is_none_or(Value::is_null) && !elsewhere.contains(&name) {
                let message = "must be specified".to_owned();
                let step = Step::Field(name.to_owned());
                self.within(step, |walk| walk.fault(ViolationKind::Required, None, message));
            }
        }
        let (known, others) = (&schema["properties"], &schema["additionalProperties"]);
        let open = schema["x-kubernetes-preserve-unknown-fields"] == true
            || (!known.is_object() && !others.is_object());
        for (name, value) in map {
            if let Some(of) = known.get(name) {
                // Absent, as the API server has it.
                if !value.is_null() {
                    self.within(Step::Field(name.clone()), |walk| walk.value(of, value));
                }
            } else if others.is_object() {
                self.within(Step::Key(name.clone()), |walk| walk.value(others, value));
            } else if !open {
                self.unknown(known, name);
            }
        }
    }

    fn unknown(&mut self, known: &Value, name: &str) {
        let here = known.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
        let hint = match near::renamed(name).or_else(|| near::nearest(name, here)) {
            Some(meant) => format!("did you mean {meant}?"),
            None => match near::elsewhere(self.root, name) {
                Some(path) => format!("it is a field of {path}"),
                None => "remove it".to_owned(),
            },
        };
        let mut at = self.at.clone();
        at.push(Step::Field(name.to_owned()));
        let message = format!("unknown field: kubectl refuses it, others drop it silently; {hint}");
        self.faults.push(Fault { path: text_of(&at), kind: None, value: None, message, at });
    }

    fn list(&mut self, schema: &Value, all: &[Value]) {
        let length = all.len() as u64;
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| length > *most) {
            self.invalid(&Value::from(length), format!("must have at most {most} items"));
        }
        if let Some(least) = schema["minItems"].as_u64().filter(|least| length < *least) {
            self.invalid(&Value::from(length), format!("must have at least {least} items"));
        }
        for (index, item) in all.iter().enumerate() {
            self.within(Step::Index(index), |walk| walk.value(&schema["items"], item));
        }
    }

    fn text(&mut self, schema: &Value, text: &str) {
        let (value, length) = (Value::from(text), text.chars().count() as u64);
        if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
            self.invalid(&value, format!("must be at least {least} characters long"));
        }
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            let message = format!("may not be longer than {most} characters");
            self.fault(ViolationKind::TooLong, None, message);
        }
        if matches!(self.at.last(), Some(Step::Field(name)) if DURATIONS.contains(&name.as_str()))
            && let Err(error) = text.parse::<GoDuration>()
        {
            return self.invalid(&value, error.to_string());
        }
        let pattern = schema["pattern"].as_str();
        if let Some(pattern) = pattern.filter(|pattern| !matches(pattern, text)) {
            self.invalid(&value, format!("must match {pattern}"));
        }
        let is_base64 = || base64::engine::general_purpose::STANDARD.decode(text).is_ok();
        if schema["format"] == "byte" && !is_base64() {
            self.fault(ViolationKind::Invalid, None, "must be in base64".to_owned());
        }
    }

    fn number(&mut self, schema: &Value, given: Option<i64>, value: &Value) {
        let Some(number) = given else { return };
        if let Some(least) = schema["minimum"].as_i64().filter(|least| number < *least) {
            self.invalid(value, format!("must be at least {least}"));
        }
        if let Some(most) = schema["maximum"].as_i64().filter(|most| number > *most) {
            self.invalid(value, format!("must be at most {most}"));
        }
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
}

/// A value as a message shows it.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn wrong_type<'a>(schema: &'a Value, value: &Value) -> Option<&'a str> {
    let whole = value.is_i64() || value.is_u64();
    if schema["x-kubernetes-int-or-string"] == true {
        return (!whole && !value.is_string()).then_some("integer or string");
    }
    let wanted = schema["type"].as_str()?;
    let fits = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => whole,
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    };
    (!fits).then_some(wanted)
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

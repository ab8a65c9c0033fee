//! Label and field selectors.

use serde_json::Value;

use super::resource::ResourceDef;
use super::status::ApiError;

/// Longest selector read, in bytes.
const MAX_SELECTOR: usize = 64 << 10;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

/// Which objects a list or watch is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    namespace: Option<String>,
    labels: Vec<(String, Test)>,
    fields: Vec<(String, bool, String)>,
}

impl Selector {
    /// Everything in a namespace, or everywhere.
    pub fn all(namespace: Option<&str>) -> Self {
        Selector { namespace: namespace.map(str::to_owned), ..Selector::default() }
    }

    /// Reads the selectors of a request. Errors are `400 BadRequest`.
    pub(crate) fn parse(
        def: &ResourceDef,
        namespace: Option<&str>,
        labels: &str,
        fields: &str,
    ) -> Result<Self, ApiError> {
        if labels.len() > MAX_SELECTOR || fields.len() > MAX_SELECTOR {
            return Err(ApiError::bad_request("selector too long"));
        }
        let mut out = Selector::all(namespace);
        out.labels = Parser::new(labels).requirements()?;
        for part in fields.split(',').filter(|p| !p.is_empty()) {
            out.fields.push(parse_field(def, part)?);
        }
        Ok(out)
    }

    /// Whether there is anything but a namespace to look at.
    pub(crate) fn selects(&self) -> bool {
        !(self.labels.is_empty() && self.fields.is_empty())
    }

    pub(crate) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Restricts to one object.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.fields.push(("metadata.name".into(), true, name.into()));
        self
    }

    /// Whether `object` is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let meta = &object["metadata"];
        if self.namespace.as_deref().is_some_and(|ns| meta["namespace"] != ns) {
            return false;
        }
        let labels = &meta["labels"];
        self.labels.iter().all(|(key, test)| {
            let value = labels.get(key).and_then(Value::as_str);
            match test {
                Test::In(all) => value.is_some_and(|v| all.iter().any(|a| a == v)),
                Test::NotIn(all) => value.is_none_or(|v| !all.iter().any(|a| a == v)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
            }
        }) && self.fields.iter().all(|(path, equal, want)| (at(object, path) == *want) == *equal)
    }
}

fn at(object: &Value, path: &str) -> String {
    match path.split('.').try_fold(object, |v, step| v.get(step)) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

fn parse_field(def: &ResourceDef, part: &str) -> Result<(String, bool, String), ApiError> {
    let (path, equal, value) = if let Some((p, v)) = part.split_once("!=") {
        (p, false, v)
    } else if let Some((p, v)) = part.split_once("==").or_else(|| part.split_once('=')) {
        (p, true, v)
    } else {
        let text = format!("invalid selector: '{part}'; can't understand '{part}'");
        return Err(ApiError::bad_request(text));
    };
    let common = path == "metadata.name" || (path == "metadata.namespace" && def.namespaced);
    if !common && !def.selectable.iter().any(|s| s == path) {
        return Err(ApiError::bad_request(format!("field label not supported: {path}")));
    }
    Ok((path.to_owned(), equal, value.to_owned()))
}

/// Label selectors: words, punctuation and nothing else.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Parser { rest: text }
    }

    fn next(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = match self.rest.chars().next() {
            None => 0,
            Some('!' | '=') if self.rest[1..].starts_with('=') => 2,
            Some('(' | ')' | ',' | '!' | '=' | '<' | '>') => 1,
            Some(_) => {
                self.rest.find([' ', '(', ')', ',', '!', '=', '<', '>']).unwrap_or(self.rest.len())
            }
        };
        let (token, rest) = self.rest.split_at(end);
        self.rest = rest;
        token
    }

    fn peek(&mut self) -> &'a str {
        let before = self.rest;
        let token = self.next();
        self.rest = before;
        token
    }

    fn fail<T>(found: &str, expected: &str) -> Result<T, ApiError> {
        let text = format!("unable to parse requirement: found '{found}'{expected}");
        Err(ApiError::bad_request(text))
    }

    fn word(&mut self) -> Result<String, ApiError> {
        let token = self.next();
        if token.is_empty() || token.starts_with(['(', ')', ',', '!', '=', '<', '>']) {
            return Self::fail(token, ", expected: identifier");
        }
        Ok(token.to_owned())
    }

    fn requirements(mut self) -> Result<Vec<(String, Test)>, ApiError> {
        let mut out = Vec::new();
        if self.peek().is_empty() {
            return Ok(out);
        }
        loop {
            out.push(self.requirement()?);
            match self.next() {
                "" => return Ok(out),
                "," => {}
                other => return Self::fail(other, ", expected: ',' or 'end of string'"),
            }
        }
    }

    fn requirement(&mut self) -> Result<(String, Test), ApiError> {
        if self.peek() == "!" {
            self.next();
            return Ok((self.word()?, Test::Absent));
        }
        let key = self.word()?;
        let test = match self.peek() {
            "" | "," => Test::Exists,
            "=" | "==" => Test::In(vec![self.value_after()]),
            "!=" => Test::NotIn(vec![self.value_after()]),
            "in" => Test::In(self.values_after()?),
            "notin" => Test::NotIn(self.values_after()?),
            other => return Self::fail(other, ", expected: in, notin, =, ==, !=, gt, lt"),
        };
        Ok((key, test))
    }

    fn value_after(&mut self) -> String {
        self.next();
        if matches!(self.peek(), "" | ",") { String::new() } else { self.next().to_owned() }
    }

    fn values_after(&mut self) -> Result<Vec<String>, ApiError> {
        self.next();
        let open = self.next();
        if open != "(" {
            return Self::fail(open, " expected: '('");
        }
        let mut out = Vec::new();
        loop {
            match self.next() {
                ")" => return Ok(out),
                "," => {}
                "" => return Self::fail("", ", expected: ',' or ')'"),
                word => out.push(word.to_owned()),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(labels: &str, object: &Value) -> bool {
        let def = ResourceDef { namespaced: true, ..ResourceDef::default() };
        Selector::parse(&def, None, labels, "").unwrap().matches(object)
    }

    #[test]
    fn every_form_of_label_selector_is_understood() {
        let object = json!({"metadata": {"labels": {"a": "1", "b.c/d": "x"}}});
        for yes in [
            "",
            "a",
            "a=1",
            "a==1",
            "a in (1,2)",
            "a!=2",
            "z!=1",
            "!z",
            "z notin (1)",
            "b.c/d = x, a",
            "b.c/d in ( x )",
        ] {
            assert!(matches(yes, &object), "{yes}");
        }
        for no in ["z", "a=2", "a=", "!a", "a in (2)", "a notin (1,2)", "a,z"] {
            assert!(!matches(no, &object), "{no}");
        }
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        let def = ResourceDef::default();
        for bad in ["!!", "a in 1", "a in (1", "a b", ",", "=", "a=1 b"] {
            let error = Selector::parse(&def, None, bad, "").unwrap_err();
            assert_eq!((error.code, error.reason), (400, "BadRequest"), "{bad}");
        }
        let error = Selector::parse(&def, None, "", "spec.x=1").unwrap_err();
        assert_eq!(error.message, "field label not supported: spec.x");
    }
}

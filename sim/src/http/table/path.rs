//! The JSONPaths of printer columns: fields, indices, and filters of the form
//! `[?(@.field == "text")]`. What is not understood finds nothing.

use serde_json::Value;

/// Deepest path followed.
const MAX_STEPS: usize = 32;

enum Step<'a> {
    Field(String),
    Index(usize),
    Filter(Vec<String>, &'a str),
}

/// The first value that a path leads to.
pub(super) fn first<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    let steps = steps(path)?;
    follow(value, &steps)
}

fn follow<'v>(value: &'v Value, steps: &[Step<'_>]) -> Option<&'v Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match step {
        Step::Field(name) => follow(value.get(name)?, rest),
        Step::Index(at) => follow(value.get(at)?, rest),
        Step::Filter(fields, text) => {
            let chosen = value.as_array()?.iter().filter(|item| {
                let found = fields.iter().try_fold(*item, |here, name| here.get(name));
                found.and_then(Value::as_str) == Some(text)
            });
            chosen.into_iter().find_map(|item| follow(item, rest))
        }
    }
}

fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut rest = path.trim().trim_start_matches('$');
    let mut out = Vec::new();
    while !rest.is_empty() {
        if out.len() >= MAX_STEPS {
            return None;
        }
        if let Some(inner) = rest.strip_prefix('[') {
            let (step, after) = bracket(inner)?;
            out.push(step);
            rest = after;
        } else {
            let (name, after) = field(rest.strip_prefix('.')?);
            out.push(Step::Field(name));
            rest = after;
        }
    }
    Some(out)
}

/// A field's name, in which a backslash makes a dot an ordinary letter.
fn field(text: &str) -> (String, &str) {
    let (mut name, mut escaped) = (String::new(), false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\\' if !escaped => {
                escaped = true;
                continue;
            }
            '.' | '[' if !escaped => return (name, &text[at..]),
            _ => name.push(letter),
        }
        escaped = false;
    }
    (name, "")
}

fn bracket(inner: &str) -> Option<(Step<'_>, &str)> {
    let Some(filter) = inner.strip_prefix("?(@") else {
        let (index, after) = inner.split_once(']')?;
        return Some((Step::Index(index.trim().parse().ok()?), after));
    };
    let (filter, after) = filter.split_once(")]")?;
    let (left, right) = filter.split_once("==")?;
    let text = right.trim();
    let quoted = ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q))?;
    let fields = left.trim().strip_prefix('.')?.split('.').map(str::to_owned).collect();
    Some((Step::Filter(fields, quoted), after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_indices_and_filters_lead_somewhere_and_the_rest_nowhere() {
        let value = json!({"a": {"b.c": [1, {"d": 2}]}, "l": [
            {"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]});
        let found = |path: &str| first(&value, path).cloned();
        assert_eq!(found(".a.b\\.c[1].d"), Some(json!(2)));
        assert_eq!(found(r#".l[?(@.type == "Ready")].status"#), Some(json!("True")));
        assert_eq!(found(".l[?(@.type=='Other')].status"), Some(json!("False")));
        for path in [".x", ".l[7]", ".l[?(@.type == \"None\")].status", ".l[*]", "a", ".l[?(x)]"] {
            assert_eq!(found(path), None, "{path}");
        }
    }
}

//! Prometheus' text format, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/>

use std::fmt::{Display, Write};

/// The format's content type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes the two lines that open a family.
pub(super) fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    put(out, format_args!("# HELP {name} "));
    // Unlike in label values, quotation marks stand for themselves.
    help.chars().for_each(|c| match c {
        '\\' => out.push_str(r"\\"),
        '\n' => out.push_str(r"\n"),
        c => out.push(c),
    });
    put(out, format_args!("\n# TYPE {name} {kind}\n"));
}

/// Writes one series: label names must be `[a-zA-Z_][a-zA-Z0-9_]*`, values may be anything.
pub(super) fn series(out: &mut String, name: &str, labels: &[(&str, &str)], value: impl Display) {
    out.push_str(name);
    for (index, (label, text)) in labels.iter().enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        out.push_str(label);
        out.push_str("=\"");
        escape(out, text);
        out.push('"');
    }
    put(out, format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
}

/// Backslash, quotation mark and line feed are escaped, and nothing else.
fn escape(out: &mut String, text: &str) {
    text.chars().for_each(|c| match c {
        '\\' => out.push_str(r"\\"),
        '"' => out.push_str("\\\""),
        '\n' => out.push_str(r"\n"),
        c => out.push(c),
    });
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(value: &str) -> String {
        let mut out = String::new();
        series(&mut out, "m", &[("l", value)], 1);
        out
    }

    #[test]
    fn label_values_are_escaped_as_the_format_demands_and_no_further() {
        assert_eq!(line("plain"), "m{l=\"plain\"} 1\n");
        assert_eq!(line("a\nb"), "m{l=\"a\\nb\"} 1\n");
        assert_eq!(line("say \"so\""), "m{l=\"say \\\"so\\\"\"} 1\n");
        assert_eq!(line(r"a\b"), "m{l=\"a\\\\b\"} 1\n");
        assert_eq!(line(r"\\"), "m{l=\"\\\\\\\\\"} 1\n");
        assert_eq!(line("\\\""), "m{l=\"\\\\\\\"\"} 1\n");
        assert_eq!(line("\\\n"), "m{l=\"\\\\\\n\"} 1\n");
        assert_eq!(line("\\n"), "m{l=\"\\\\n\"} 1\n", "an escape in the input is no escape");
        assert_eq!(line("tab\t, {braces}, \r, ü"), "m{l=\"tab\t, {braces}, \r, ü\"} 1\n");
        assert_eq!(line(""), "m{l=\"\"} 1\n");
    }

    #[test]
    fn every_value_reads_back_as_it_was() {
        let unescape = |text: &str| {
            let (mut out, mut chars) = (String::new(), text.chars());
            while let Some(c) = chars.next() {
                out.push(match c {
                    '\\' => match chars.next().unwrap() {
                        'n' => '\n',
                        c => c,
                    },
                    c => c,
                });
            }
            out
        };
        for value in ["", "\\", "\"", "\n", "\\n", "\\\\n", "\"\\\"\n\\", "n\\"] {
            let line = line(value);
            let quoted = line.strip_prefix("m{l=\"").unwrap().strip_suffix("\"} 1\n").unwrap();
            assert!(!quoted.contains('\n'), "one series is one line");
            assert_eq!(unescape(quoted), value);
        }
    }

    #[test]
    fn help_keeps_its_quotation_marks() {
        let mut out = String::new();
        family(&mut out, "m", "gauge", "a \"b\"\n\\");
        assert_eq!(out, "# HELP m a \"b\"\\n\\\\\n# TYPE m gauge\n");
    }

    #[test]
    fn a_series_without_labels_has_no_braces() {
        let mut out = String::new();
        series(&mut out, "m", &[], 1.5);
        assert_eq!(out, "m 1.5\n");
    }
}

//! What a project has to know about its blob, as text in its own language.

use std::path::Path;

use crate::blob::Blob;

/// Keys of the templates and what they stand for.
pub(super) struct Facts(Vec<(&'static str, String)>);

impl Facts {
    pub(super) fn new(blob: &Blob, features: &[&str], name: &str, engine: &Path) -> Self {
        let (input, output) = (blob.input(), blob.output());
        let shape = input.shape;
        let labels = blob.labels();
        let features: Vec<String> = features.iter().map(|feature| quoted(feature)).collect();
        Self(vec![
            ("name", name.to_owned()),
            ("NAME", name.to_uppercase()),
            ("engine", quoted(&engine.display().to_string())),
            ("features", features.join(", ")),
            ("arena_bytes", blob.model().arena_bytes().to_string()),
            ("blob_bytes", blob.bytes().len().to_string()),
            ("input_height", shape.height.to_string()),
            ("input_width", shape.width.to_string()),
            ("input_channels", shape.channels.to_string()),
            ("input_len", input.len().to_string()),
            ("input_scale", format!("{:?}", input.scale)),
            ("input_zero_point", input.zero_point.to_string()),
            ("output_len", output.len().to_string()),
            ("output_scale", format!("{:?}", output.scale)),
            ("output_zero_point", output.zero_point.to_string()),
            ("preprocess", preprocess(blob)),
            ("label_count", labels.len().to_string()),
            ("labels", list(labels, quoted)),
            ("c_labels", list(labels, |label| format!("c{}", quoted(&label.replace('\0', " "))))),
        ])
    }

    /// `template` with every `{{key}}` replaced.
    pub(super) fn fill(&self, template: &str) -> String {
        // Longer texts may hold braces of their own, so what was put in is not searched again.
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (key, after) = after.split_once("}}").unwrap_or((after, ""));
            filled.push_str(before);
            let fact = self.0.iter().find(|(known, _)| *known == key);
            filled.push_str(fact.map_or("", |(_, text)| text));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// How a pixel becomes an input value, for people.
fn preprocess(blob: &Blob) -> String {
    let Some(rule) = blob.preprocess() else {
        return "real values as the network was trained on".to_owned();
    };
    let mut each: Vec<String> =
        rule.mean_std().iter().map(|(mean, std)| format!("(pixel - {mean}) / {std}")).collect();
    each.dedup();
    format!("{}; real = {}", rule.to_string().replace('\n', " "), each.join(", "))
}

/// A string literal: Rust, TOML and C agree on these escapes.
fn quoted(text: &str) -> String {
    let mut literal = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => literal.extend(['\\', letter]),
            letter if letter.is_control() => literal.push(' '),
            letter => literal.push(letter),
        }
    }
    literal.push('"');
    literal
}

fn list(labels: &[String], literal: impl Fn(&str) -> String) -> String {
    labels.iter().map(|label| format!("    {},\n", literal(label))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_hold_whatever_a_label_is() {
        assert_eq!(quoted("cat"), r#""cat""#);
        assert_eq!(quoted(r#"a "b" \ c"#), r#""a \"b\" \\ c""#);
        assert_eq!(quoted("a\nb\0"), r#""a b ""#);
        assert_eq!(quoted("여우 {{name}}"), "\"여우 {{name}}\"");
    }

    #[test]
    fn what_was_filled_in_is_not_filled_again() {
        let facts = Facts(vec![("a", "{{b}}".to_owned()), ("b", "x".to_owned())]);
        assert_eq!(facts.fill("-{{a}}-{{b}}-"), "-{{b}}-x-");
    }
}

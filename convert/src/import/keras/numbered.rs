//! The weights of Keras 3: groups named by class, data sets numbered in the order of the layer's weights.
//!
//! # Source
//! Keras' `saving/saving_lib.py`: `layers/<class>_<n>/vars/<m>`, nested models within; newer versions keep the layer's
//! name in the attribute `name` of `vars`, older ones leave it to the order of the network's description.

use std::collections::HashMap;

use hdf5_reader::error::Result;
use hdf5_reader::group::Group;
use serde_json::Value;

use super::MAX_DEPTH;

/// The group of every layer's data sets, by the outermost nested model around it and its name.
pub(super) type Numbered = HashMap<(Option<String>, String), Group>;

/// Finds all layers of the network that `config` describes below `model`.
pub(super) fn index(model: &Group, config: &Value) -> Result<Numbered> {
    let mut found = Numbered::new();
    walk(model, config, None, 0, &mut found)?;
    Ok(found)
}

fn walk(
    model: &Group,
    config: &Value,
    outermost: Option<&str>,
    depth: usize,
    found: &mut Numbered,
) -> Result<()> {
    let Some(layers) = config["layers"].as_array().filter(|_| depth <= MAX_DEPTH) else {
        return Ok(());
    };
    let home = model.group("layers")?;
    let named = named(&home)?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for layer in layers {
        let class = snake(layer["class_name"].as_str().unwrap_or_default());
        let config = &layer["config"];
        let name = config["name"].as_str().or_else(|| layer["name"].as_str()).unwrap_or_default();
        let count = counts.entry(class.clone()).or_default();
        let key = if *count == 0 { class } else { format!("{class}_{count}") };
        *count += 1;
        let group = match named.get(name) {
            Some(group) => group.clone(),
            None if named.is_empty() => match home.group(&key) {
                Ok(group) => group,
                Err(_) => continue,
            },
            // What it lacks is said when it is asked for.
            None => continue,
        };
        walk(&group, config, outermost.or(Some(name)), depth + 1, found)?;
        if let Ok(vars) = group.group("vars") {
            found.entry((outermost.map(str::to_owned), name.to_owned())).or_insert(vars);
        }
    }
    Ok(())
}

/// The groups below `home` by the names of their layers, where they say them.
pub(super) fn named(home: &Group) -> Result<HashMap<String, Group>> {
    let mut named = HashMap::new();
    for group in home.groups()? {
        let name = group.group("vars").and_then(|vars| vars.attribute("name")?.read_string());
        if let Ok(name) = name {
            named.insert(name, group);
        }
    }
    Ok(named)
}

/// The place of a weight among the `count` weights that a layer has.
pub(super) fn place(role: &str, count: usize) -> Option<usize> {
    match role {
        "kernel" | "depthwise_kernel" | "gamma" | "mean" => Some(0),
        "pointwise_kernel" | "variance" => Some(1),
        // Whatever comes before them may be missing.
        "bias" | "moving_variance" => count.checked_sub(1),
        "moving_mean" => count.checked_sub(2),
        "beta" => count.checked_sub(3),
        _ => None,
    }
}

/// Keras' file name of a class: `GlobalAveragePooling2D` to `global_average_pooling2d`.
fn snake(class: &str) -> String {
    let letters: Vec<char> = class.chars().collect();
    let mut snake = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| letters[before]);
        let is_followed = letters.get(index + 1).is_some_and(char::is_ascii_lowercase);
        if letter.is_ascii_uppercase()
            && before.is_some_and(|before| before.is_ascii_lowercase() || is_followed)
        {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_spelt_as_keras_spells_them() {
        for (class, expected) in [
            ("Conv2D", "conv2d"),
            ("ReLU", "re_lu"),
            ("InputLayer", "input_layer"),
            ("SeparableConv2D", "separable_conv2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
        ] {
            assert_eq!(snake(class), expected);
        }
    }
}

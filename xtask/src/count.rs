//! `cargo xtask count`: executed instructions of one inference on an emulated AArch64.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    chip, plugin,
    setup::{self, AARCH64},
};

/// What a user may call the processors, and what QEMU calls them.
const PROCESSORS: &[(&str, &str)] = &[
    ("cortex-a53", "cortex-a53"),
    ("cortex-a72", "cortex-a72"),
    ("cortex-a76", "cortex-a76"),
    ("max", "max,sve=off,sme=off,pauth-impdef=on"),
];

/// `BLOB [--cpu NAME [--isa NAME] | --board NAME] [--json]`.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let (mut blob, mut processor, mut isa) = (None, PROCESSORS[0], None);
    let (mut board, mut json) = (None, false);
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        match argument {
            "--json" => json = true,
            "--board" => board = Some(arguments.next().copied().unwrap_or_default()),
            "--cpu" => {
                let name = arguments.next().copied().unwrap_or_default();
                let known = PROCESSORS.iter().find(|(known, _)| *known == name);
                processor = *known.ok_or_else(|| {
                    let names: Vec<_> = PROCESSORS.iter().map(|(name, _)| *name).collect();
                    format!("--cpu takes one of {}", names.join(", "))
                })?;
            }
            "--isa" => {
                let name = arguments.next().copied();
                isa = Some(name.ok_or("--isa takes a name, such as neon_fp16")?);
            }
            _ if blob.is_none() && !argument.starts_with('-') => blob = Some(argument),
            unknown => return Err(format!("count: unknown argument `{unknown}`")),
        }
    }
    let blob = blob.ok_or("count: give a blob, as `mote quantize --target pi4` writes it")?;
    // Where the user is, not where cargo runs.
    let blob = env::current_dir().unwrap_or_default().join(blob);

    if let Some(board) = board {
        return chip::run(&blob, board, json);
    }
    let program = build(json)?;
    let counts = emulate(processor.1, &program, &blob, isa)?;
    if json {
        println!("{}", counts.to_json(processor.0));
    } else {
        counts.print(processor.0);
    }
    Ok(())
}

/// The plugin and the program that it counts.
struct Program {
    plugin: PathBuf,
    program: PathBuf,
}

/// Builds both; quiet when the output is for another program.
fn build(quiet: bool) -> Result<Program, String> {
    let toolchain = AARCH64.toolchain().ok_or_else(|| {
        format!("no compiler for {}; `cargo xtask setup` installs it", AARCH64.triple)
    })?;
    let plugin = plugin::build(quiet)?;
    let mut program = AARCH64.cargo(&toolchain, "build");
    program.args(["--release", "--locked", "--package", "mote-engine", "--example", "count"]);
    plugin::build_one(program, quiet)?;
    let program = setup::emulated_target().join(AARCH64.triple).join("release/examples/count");
    Ok(Program { plugin, program })
}

/// What was counted.
struct Counts {
    isa: String,
    instructions: u64,
    layers: Vec<Layer>,
}

struct Layer {
    kind: String,
    macs: u64,
    instructions: u64,
}

fn emulate(
    processor: &str,
    program: &Program,
    blob: &Path,
    isa: Option<&str>,
) -> Result<Counts, String> {
    let mut command = Command::new(AARCH64.emulator);
    let mut plugin = OsString::from("file=");
    plugin.push(&program.plugin);
    command
        .args(["-cpu", processor, "-plugin"])
        .arg(plugin)
        .arg(&program.program)
        .arg(blob)
        .args(isa);
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{} does not start: {error}", AARCH64.emulator))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the emulated program failed: {}", errors.trim()));
    }
    parse(&String::from_utf8_lossy(&output.stdout), &errors)
        .ok_or_else(|| format!("the plugin counted nothing: {}", errors.trim()))
}

/// Puts the program's lines, `isa NAME` and `layer INDEX KIND MACS`, and the plugin's, `region NUMBER
/// INSTRUCTIONS`, together.
fn parse(program: &str, plugin: &str) -> Option<Counts> {
    let counts = |wanted: &'static str| {
        plugin.lines().filter_map(move |line| {
            let (region, count) = line.strip_prefix("region ")?.split_once(' ')?;
            if region == wanted { count.parse().ok() } else { None }
        })
    };
    let isa = program.lines().find_map(|line| line.strip_prefix("isa "))?.to_owned();
    let layers = program.lines().filter_map(|line| {
        let mut words = line.strip_prefix("layer ")?.split(' ').skip(1);
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?))
    });
    let layers = layers
        .zip(counts("1"))
        .map(|((kind, macs), instructions)| Layer { kind, macs, instructions })
        .collect();
    let instructions = counts("0").next()?;
    Some(Counts { isa, instructions, layers })
}

impl Counts {
    fn to_json(&self, processor: &str) -> String {
        let layers: Vec<_> = self
            .layers
            .iter()
            .map(|Layer { kind, macs, instructions }| {
                format!(
                    "{{\"kind\": \"{kind}\", \"macs\": {macs}, \"instructions\": {instructions}}}"
                )
            })
            .collect();
        format!(
            "{{\"cpu\": \"{processor}\", \"isa\": \"{}\", \"instructions\": {}, \"layers\": [{}]}}",
            self.isa,
            self.instructions,
            layers.join(", ")
        )
    }

    fn print(&self, processor: &str) {
        println!(
            "\n{:>5} {:<16} {:>13} {:>13} {:>8}",
            "layer", "kind", "MAC", "executed", "per MAC"
        );
        for (index, Layer { kind, macs, instructions }) in self.layers.iter().enumerate() {
            let each = match macs {
                0 => "-".to_owned(),
                _ => format!("{:.3}", *instructions as f64 / *macs as f64),
            };
            println!("{index:>5} {kind:<16} {macs:>13} {instructions:>13} {each:>8}");
        }
        println!(
            "{} instructions for one inference on {processor} with the kernels `{}`",
            self.instructions, self.isa
        );
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn layers_and_their_counts_meet() {
        let program = "isa neon\nlayer 0 conv 12\nlayer 1 add 0\n";
        let plugin = "region 0 77\nwarning: x\nregion 1 50\nregion 1 20\n";
        let counts = parse(program, plugin).unwrap();
        assert_eq!(
            counts.to_json("max"),
            "{\"cpu\": \"max\", \"isa\": \"neon\", \"instructions\": 77, \"layers\": [\
             {\"kind\": \"conv\", \"macs\": 12, \"instructions\": 50}, \
             {\"kind\": \"add\", \"macs\": 0, \"instructions\": 20}]}"
        );
        assert!(parse(program, "").is_none());
    }
}

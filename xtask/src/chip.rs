//! `cargo xtask count BLOB --board NAME`: executed instructions of one inference on an emulated
//! Cortex-M, and the cycles that they take by a static table.

use std::{
    ffi::OsString,
    fs,
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    boards::{self, Board, Connection},
    plugin,
    steps::{cargo, root, target},
    thumb::{self, Table},
};

/// Builds the board's firmware around the blob, runs it and prints what was counted.
pub(crate) fn run(blob: &Path, name: &str, json: bool) -> Result<(), String> {
    let on_qemu = |board: &'static Board| match board.connection {
        Connection::Qemu { machine } => Some((board, machine)),
        _ => None,
    };
    let (board, machine) = boards::find(name)
        .and_then(on_qemu)
        .ok_or_else(|| format!("--board takes one of {}", emulated()))?;
    let clock = clock(board)?;
    let plugin = plugin::build(json)?;
    let image = target().join("count.elf");
    let mut flash = cargo("run");
    flash
        .args(["--release", "--locked", "--quiet", "--package", "mote-convert", "--bin", "mote"])
        .args(["--", "flash"])
        .arg(blob)
        .args(["--board", name, "--json", "--image"])
        .arg(&image);
    let status = flash.stdin(Stdio::null()).stdout(Stdio::null()).status();
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return Err(format!("{flash:?} failed"));
    }

    let mut file = OsString::from("file=");
    file.push(plugin);
    let output = Command::new("qemu-system-arm")
        .args(["-M", machine, "-icount", "shift=0", "-plugin"])
        .arg(file)
        .args(["-display", "none", "-monitor", "none", "-serial", "none"])
        .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
        .arg(&image)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("qemu-system-arm does not start: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("the emulated program failed: {}", errors.trim()));
    }
    let counts = Counts::parse(&errors, thumb::table(board.target))
        .ok_or_else(|| format!("the plugin counted nothing: {}", errors.trim()))?;
    if json {
        println!("{}", counts.to_json(name, clock));
    } else {
        counts.print(name, clock);
    }
    Ok(())
}

fn emulated() -> String {
    let names: Vec<_> = boards::BOARDS.iter().filter(|b| b.is_emulated()).map(|b| b.name).collect();
    names.join(", ")
}

/// The clock that the board's settings name.
fn clock(board: &Board) -> Result<u64, String> {
    let path = root().join("firmware-examples").join(board.name).join(".cargo/config.toml");
    let text = fs::read_to_string(&path).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("MOTE_CLOCK_HZ = \"")?.strip_suffix('"')?.parse().ok())
        .ok_or_else(|| format!("no MOTE_CLOCK_HZ in {}", path.display()))
}

/// What was counted.
struct Counts {
    instructions: u64,
    /// The core and its cycles, where there is a table of it.
    cycles: Option<(&'static str, u64)>,
}

impl Counts {
    /// The plugin's lines: `region 0 INSTRUCTIONS`, then `opcode HEX EXECUTED LEFT`.
    fn parse(plugin: &str, table: Option<&'static Table>) -> Option<Self> {
        let lines = || plugin.lines().filter_map(|line| line.split_once(' '));
        let region = lines().find_map(|(key, rest)| (key == "region").then_some(rest))?;
        let instructions = region.split_once(' ')?.1.parse().ok()?;
        let cycles = |table: &Table| {
            let mut cycles = 0;
            for (_, rest) in lines().filter(|(key, _)| *key == "opcode") {
                let mut words = rest.split(' ');
                let opcode = u32::from_str_radix(words.next()?, 16).ok()?;
                let (executed, left) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                cycles += thumb::cycles(table, opcode, executed, left);
            }
            Some((table.core, cycles))
        };
        let cycles = match table {
            Some(table) => Some(cycles(table)?),
            None => None,
        };
        Some(Self { instructions, cycles })
    }

    fn to_json(&self, board: &str, clock: u64) -> String {
        let (core, cycles, time) = match self.cycles {
            Some((core, cycles)) => {
                (format!("\"{core}\""), cycles.to_string(), milliseconds(cycles, clock))
            }
            None => ("null".into(), "null".into(), "null".into()),
        };
        format!(
            "{{\"board\": \"{board}\", \"instructions\": {}, \"core\": {core}, \
             \"cycles_estimate\": {cycles}, \"clock_hz\": {clock}, \"milliseconds\": {time}}}",
            self.instructions
        )
    }

    fn print(&self, board: &str, clock: u64) {
        println!("{} instructions for one inference on {board}", self.instructions);
        match self.cycles {
            Some((core, cycles)) => println!(
                "about {cycles} cycles of a {core} by a static table, {} ms at {} MHz; nothing ran on \
                 silicon",
                milliseconds(cycles, clock),
                clock / 1_000_000
            ),
            None => println!("no table of cycles for its processor"),
        }
    }
}

fn milliseconds(cycles: u64, clock: u64) -> String {
    format!("{:.1}", cycles as f64 * 1000.0 / clock as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opcodes_become_cycles() {
        let plugin = "warning: x\nregion 0 12\nopcode d1fe 10 7\nopcode f8d10100 2 0\n";
        let counts = Counts::parse(plugin, thumb::table("cortex-m4")).unwrap();
        assert_eq!(
            counts.to_json("mps2-an386", 1000),
            "{\"board\": \"mps2-an386\", \"instructions\": 12, \"core\": \"cortex-m4\", \
             \"cycles_estimate\": 28, \"clock_hz\": 1000, \"milliseconds\": 28.0}"
        );
        let unknown = Counts::parse(plugin, thumb::table("cortex-m55")).unwrap();
        assert!(unknown.to_json("mps3-an547", 1000).contains("\"cycles_estimate\": null"));
        assert!(Counts::parse("opcode d1fe 10 7", None).is_none());
        assert!(Counts::parse("region 0 1\nopcode d1fe", thumb::table("cortex-m3")).is_none());
    }

    #[test]
    fn every_emulated_board_has_a_clock() {
        for board in boards::BOARDS.iter().filter(|board| board.is_emulated()) {
            assert!(clock(board).unwrap() > 0, "{}", board.name);
        }
    }
}

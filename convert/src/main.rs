//! The `mote` command.

fn main() -> std::process::ExitCode {
    mote_convert::cli::main()
}

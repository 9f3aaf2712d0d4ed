// The build script of every board.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    embed("MOTE_BLOB", &out.join("model.mote"), "a blob (`mote quantize` makes one)")?;
    embed("MOTE_INPUT", &out.join("input.bin"), "one input tensor for it, raw int8")?;

    fs::copy("memory.x", out.join("memory.x"))?;
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    for binary in fs::read_dir("src/bin")? {
        let binary = binary?.path();
        // The smallest program knows no logger.
        if let Some(logging) = binary.file_stem().filter(|name| *name != "size") {
            println!("cargo:rustc-link-arg-bin={}=-Tdefmt.x", logging.display());
        }
    }
    Ok(())
}

fn embed(variable: &str, file: &Path, what: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-env-changed={variable}");
    let source = env::var_os(variable).map(PathBuf::from).ok_or_else(|| {
        format!(
            "{variable} is not set: it names the file with {what}; \
             `mote flash BLOB --board NAME --picture P` sets it for you"
        )
    })?;
    println!("cargo:rerun-if-changed={}", source.display());
    fs::copy(&source, file).map_err(|error| format!("{variable}: {}: {error}", source.display()))?;
    Ok(())
}

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
    let manifest = fs::read_to_string("Cargo.toml")?;
    for logging in ["classify", "parity", "profile", "serve"] {
        // In src/bin, or named in the manifest where boards share a program.
        let own = Path::new("src/bin").join(logging).with_extension("rs").is_file();
        if own || manifest.contains(&format!("name = \"{logging}\"")) {
            println!("cargo:rustc-link-arg-bin={logging}=-Tdefmt.x");
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

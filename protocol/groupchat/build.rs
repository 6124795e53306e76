//! Compiles `proto/` without protoc.

use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=proto");
    let mut files: Vec<PathBuf> =
        fs::read_dir("proto")?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|p| p.extension().is_some_and(|e| e == "proto"));
    files.sort();
    let set = protox::compile(&files, ["proto"]).map_err(io::Error::other)?;
    prost_build::Config::new()
        .out_dir(env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?)
        .compile_fds(set)
}

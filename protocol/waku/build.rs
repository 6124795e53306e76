//! Compiles the protobuf files without protoc.

use std::io;

fn main() -> io::Result<()> {
    let files = ["proto/message.proto", "proto/store.proto", "proto/metadata.proto"];
    let set = protox::compile(files, ["proto"]).map_err(io::Error::other)?;
    prost_build::Config::new().compile_fds(set)?;
    println!("cargo::rerun-if-changed=proto");
    Ok(())
}

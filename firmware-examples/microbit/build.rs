//! Linker scripts, and the blob and the picture to embed: the same for every board.

include!("../common/embed.rs");

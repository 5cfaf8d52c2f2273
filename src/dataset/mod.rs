//! What kind of thing is it?

pub mod codec;
mod exposure;

pub use exposure::{Exposure, MaskPlanes};

//! What kind of thing is it?

mod exposure;

pub use exposure::{Exposure, MaskPlanes};

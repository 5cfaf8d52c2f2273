//! What names a piece of data?

mod data_id;
mod expression;

pub use data_id::{DataId, DimensionValue};
pub use expression::{Comparison, Expression, InItem, Literal, Operand};

//! From the text of cells to typed columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray, UInt64Array};
use arrow::datatypes::DataType;

/// Integers up to here are the same as floats.
const EXACT: u64 = 1 << 53;

/// What the cells of a column, as far as they were seen, can all be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Guess {
    boolean: bool,
    integer: bool,
    negative: bool,
    /// An integer above `i64::MAX`.
    large: bool,
    /// An integer that a float cannot hold.
    inexact: bool,
    float: bool,
    text: bool,
}

impl Guess {
    pub(super) fn add(&mut self, cells: &StringArray) {
        if self.text {
            return;
        }
        for cell in cells.iter().flatten() {
            self.look(cell.trim_ascii());
            if self.text {
                return;
            }
        }
    }

    /// A cell without the blanks around it; one of blanks alone is null among numbers.
    fn look(&mut self, cell: &str) {
        if cell.is_empty() {
            return;
        }
        let digits = cell.strip_prefix('-').unwrap_or(cell);
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if plain {
            // `007` is a name, as `-0` is a float.
            if digits.len() > 1 && digits.starts_with('0') {
                self.text = true;
                return;
            }
            if let Ok(value) = cell.parse::<i64>()
                && cell != "-0"
            {
                self.integer = true;
                self.negative |= value < 0;
                self.inexact |= value.unsigned_abs() > EXACT;
                return;
            }
            if cell.parse::<u64>().is_ok() {
                (self.integer, self.large, self.inexact) = (true, true, true);
                return;
            }
        }
        if cell.parse::<f64>().is_ok() {
            self.float = true;
        } else if boolean(cell).is_some() {
            self.boolean = true;
        } else {
            self.text = true;
        }
    }

    /// The narrowest type that holds every cell as it is.
    pub(super) fn data_type(self) -> DataType {
        match (self.boolean, self.integer, self.float) {
            _ if self.text => DataType::Utf8,
            (true, false, false) => DataType::Boolean,
            (false, true, false) if !self.large => DataType::Int64,
            (false, true, false) if !self.negative => DataType::UInt64,
            (false, false, true) => DataType::Float64,
            (false, true, true) if !self.inexact => DataType::Float64,
            _ => DataType::Utf8,
        }
    }
}

fn boolean(cell: &str) -> Option<bool> {
    match cell {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// The cells as a column of a type; else the first row that is not of it, and what is wrong.
pub(super) fn typed(cells: &StringArray, data_type: &DataType) -> Result<ArrayRef, (usize, String)> {
    fn all<T>(
        cells: &StringArray,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<Option<T>>, (usize, String)> {
        let one = |(row, cell): (usize, Option<&str>)| match cell {
            None => Ok(None),
            Some(cell) if cell.trim_ascii().is_empty() => Ok(None),
            Some(cell) => {
                read(cell.trim_ascii()).map(Some).ok_or_else(|| (row, format!("`{}` is not {what}", short(cell))))
            }
        };
        cells.iter().enumerate().map(one).collect()
    }
    Ok(match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from(all(cells, "true or false", boolean)?)),
        DataType::Int64 => Arc::new(Int64Array::from(all(cells, "an integer", |c| c.parse().ok())?)),
        DataType::UInt64 => Arc::new(UInt64Array::from(all(cells, "an integer", |c| c.parse().ok())?)),
        DataType::Float64 => Arc::new(Float64Array::from(all(cells, "a number", |c| c.parse().ok())?)),
        _ => Arc::new(cells.clone()),
    })
}

/// A cell that fits into a message.
fn short(cell: &str) -> String {
    let mut text: String = cell.chars().take(40).collect();
    if text.len() < cell.len() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(cells: &[&str]) -> DataType {
        let mut guess = Guess::default();
        guess.add(&cells.iter().map(|c| (!c.is_empty()).then_some(*c)).collect());
        guess.data_type()
    }

    #[test]
    fn every_cell_keeps_its_value() {
        assert_eq!(guess(&["1", "-2", ""]), DataType::Int64);
        assert_eq!(guess(&["9223372036854775807"]), DataType::Int64);
        assert_eq!(guess(&["9223372036854775808", "1"]), DataType::UInt64);
        assert_eq!(guess(&["9223372036854775808", "-1"]), DataType::Utf8);
        assert_eq!(guess(&["1", "2.5"]), DataType::Float64);
        assert_eq!(guess(&["1", "nan"]), DataType::Float64);
        assert_eq!(guess(&["-0"]), DataType::Float64);
        assert_eq!(guess(&["9007199254740993", "nan"]), DataType::Utf8);
        assert_eq!(guess(&["007", "8"]), DataType::Utf8);
        assert_eq!(guess(&["0", "-7", "1e400"]), DataType::Float64);
        assert_eq!(guess(&["true", "False"]), DataType::Boolean);
        assert_eq!(guess(&[" 1.5", "2 ", "  "]), DataType::Float64);
        assert_eq!(guess(&["true", "1"]), DataType::Utf8);
        assert_eq!(guess(&["", ""]), DataType::Utf8);
        assert_eq!(guess(&["184467440737095516160"]), DataType::Float64);
        assert_eq!(guess(&["2,5"]), DataType::Utf8);
    }

    #[test]
    fn the_first_wrong_cell_is_named() {
        let cells: StringArray = [Some("1"), None, Some("x"), Some("y")].into_iter().collect();
        assert_eq!(typed(&cells, &DataType::Int64).unwrap_err(), (2, "`x` is not an integer".to_owned()));
    }
}

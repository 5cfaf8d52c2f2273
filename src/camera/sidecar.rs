//! [`Sidecar`]: a table that lies beside the files it describes.

use super::CameraError;

/// A table beside the files it describes, such as the `ccds.csv` of the Legacy Surveys: one row an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    name: String,
    columns: Vec<String>,
    /// Row after row.
    cells: Vec<String>,
}

impl Sidecar {
    /// Reads comma-separated values with a header line (RFC 4180: quotes, doubled quotes, line ends inside quotes).
    ///
    /// ```
    /// use bunter::camera::Sidecar;
    ///
    /// let table = Sidecar::parse("ccds.csv", "image,ccdzpt\na.fits,24.8\n")?;
    /// assert_eq!(table.cell(0, "CCDZPT"), Some("24.8"));
    /// # Ok::<(), bunter::camera::CameraError>(())
    /// ```
    ///
    /// # Errors
    /// [`CameraError::Sidecar`]: no header, a column named twice, a row of another length, an open quote.
    pub fn parse(name: &str, text: &str) -> Result<Self, CameraError> {
        let fail = |line: usize, reason: String| CameraError::Sidecar { file: name.to_owned(), line, reason };
        let mut rows = Rows { rest: text.trim_start_matches('\u{feff}'), line: 1 };
        let Some(header) = rows.next_row().map_err(|line| fail(line, "a quote is not closed".to_owned()))? else {
            return Err(fail(1, "the table is empty: it has not even a line of column names".to_owned()));
        };
        let columns: Vec<String> = header.iter().map(|c| c.trim().to_owned()).collect();
        for (i, column) in columns.iter().enumerate() {
            if columns[..i].iter().any(|c| c.eq_ignore_ascii_case(column)) {
                return Err(fail(1, format!("two columns are named `{column}`")));
            }
        }
        let mut cells = Vec::new();
        loop {
            let line = rows.line;
            let Some(row) = rows.next_row().map_err(|line| fail(line, "a quote is not closed".to_owned()))? else {
                break;
            };
            if row.len() != columns.len() {
                return Err(fail(line, format!("{} cells where the header has {} columns", row.len(), columns.len())));
            }
            cells.extend(row);
        }
        Ok(Self { name: name.to_owned(), columns, cells })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.cells.len() / self.columns.len().max(1)
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The text in a row and a column (any case); `None` outside the table.
    pub fn cell(&self, row: usize, column: &str) -> Option<&str> {
        let i = self.columns.iter().position(|c| c.eq_ignore_ascii_case(column))?;
        let cell = self.cells.get(row.checked_mul(self.columns.len())? + i)?;
        Some(cell.trim())
    }

    /// The first row in which all of `keys` (column, text) hold.
    pub(super) fn find(&self, keys: &[(String, String)]) -> Option<usize> {
        (0..self.len()).find(|&row| keys.iter().all(|(column, text)| self.cell(row, column) == Some(text.trim())))
    }
}

struct Rows<'a> {
    rest: &'a str,
    line: usize,
}

impl Rows<'_> {
    /// The next row that is not blank; `Err` with the line of a quote that is not closed.
    fn next_row(&mut self) -> Result<Option<Vec<String>>, usize> {
        while let Some(rest) = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n')) {
            self.rest = rest;
            self.line += 1;
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.line;
        let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        let mut chars = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                    chars.next();
                    cell.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => row.push(std::mem::take(&mut cell)),
                '\n' if !quoted => {
                    self.line += 1;
                    end = i + 1;
                    break;
                }
                '\n' => {
                    self.line += 1;
                    cell.push(c);
                }
                '\r' if !quoted => {}
                _ => cell.push(c),
            }
        }
        if quoted {
            return Err(start);
        }
        row.push(cell);
        self.rest = &self.rest[end..];
        Ok(Some(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_line_ends_and_blanks() {
        let table = Sidecar::parse("t.csv", "\u{feff}a, b\r\n\"x, \"\"y\"\"\n z\",2\r\n\n3,\n").expect("reads");
        assert_eq!((table.len(), table.columns()), (2, &["a".to_owned(), "b".to_owned()][..]));
        assert_eq!(table.cell(0, "A"), Some("x, \"y\"\n z"));
        assert_eq!(table.cell(1, "b"), Some(""));
        assert_eq!(table.cell(2, "b"), None);
        assert_eq!(table.find(&[("a".to_owned(), "3".to_owned())]), Some(1));
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, message) in [
            ("", "t.csv, line 1: the table is empty: it has not even a line of column names"),
            ("a,b\n1,2\n\n3\n", "t.csv, line 3: 1 cells where the header has 2 columns"),
            ("a,A\n", "t.csv, line 1: two columns are named `A`"),
            ("a\n1\n\"2\n3\n", "t.csv, line 3: a quote is not closed"),
        ] {
            assert_eq!(Sidecar::parse("t.csv", text).expect_err(text).to_string(), message);
        }
    }
}

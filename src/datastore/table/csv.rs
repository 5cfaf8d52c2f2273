//! Reading CSV: every cell as text by Arrow's reader, then typed here, so that an error names row, column and cell.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::csv::ReaderBuilder;
use arrow::csv::reader::{BufReader as CsvReader, Format};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use flate2::bufread::MultiGzDecoder;
use rayon::prelude::*;

use super::convert::{Guess, typed};
use super::reader::projection;
use super::{BatchSource, TableFormat, TableOptions};
use crate::datastore::error::{DatastoreError, Result};

/// Bytes of a pipe that are looked at before types are settled.
const SAMPLE: u64 = 8 << 20;
const BUFFER: usize = 1 << 20;
/// Rows that are typed at a time while the whole file is looked at.
const INFER_BATCH: usize = 16_384;

type Text = Box<dyn BufRead + Send>;

pub(super) struct CsvSource {
    path: PathBuf,
    reader: CsvReader<Text>,
    schema: SchemaRef,
    /// Rows that the types were taken from; `None` for all.
    inferred: Option<u64>,
    row: u64,
    /// All rows, where all have been looked at.
    total: Option<u64>,
    /// The rows that are wanted.
    rows: std::ops::Range<u64>,
    /// Where each wanted column is among those read, which are in the file's order.
    order: Vec<usize>,
}

impl CsvSource {
    /// `start` was read from `file` already.
    pub(super) fn open(path: &Path, file: File, start: Vec<u8>, again: bool, options: &TableOptions) -> Result<Self> {
        let io = |e| DatastoreError::io("read", path, e);
        let delimiter = TableFormat::delimiter(path);
        let zipped = start.starts_with(&[0x1f, 0x8b]);
        let first = Cursor::new(start).chain(file);
        let mut text = plain(Box::new(BufReader::with_capacity(BUFFER, first)), zipped).map_err(io)?;
        let sample = if again {
            Vec::new()
        } else {
            let mut sample = Vec::new();
            (&mut text).take(SAMPLE).read_to_end(&mut sample).map_err(io)?;
            sample
        };
        let reopened = || -> Result<Text> {
            let file = File::open(path).map_err(|e| DatastoreError::io("open", path, e))?;
            plain(Box::new(BufReader::with_capacity(BUFFER, file)), zipped).map_err(io)
        };
        let names = if again { names(path, reopened()?, delimiter)? } else { names(path, &sample[..], delimiter)? };
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let wanted = projection(path, &known, options.columns.as_deref())?;
        let mut read = wanted.clone();
        read.sort_unstable();
        read.dedup();
        let order: Vec<usize> = wanted.iter().filter_map(|w| read.binary_search(w).ok()).collect();
        let as_text = Schema::new(names.iter().map(|n| Field::new(n, DataType::Utf8, true)).collect::<Vec<_>>());
        let as_text = Arc::new(as_text);
        let open = |text: Text, rows: usize| {
            let builder = ReaderBuilder::new(Arc::clone(&as_text)).with_header(true).with_delimiter(delimiter);
            let reader = builder.with_projection(read.clone()).with_batch_size(rows).build_buffered(text);
            reader.map_err(|e| csv_error(path, 0, &e))
        };
        let mut guesses = vec![Guess::default(); read.len()];
        let limit = options.infer_rows.unwrap_or(usize::MAX);
        // The last line of a sample may be cut.
        let cut = !again && sample.len() as u64 == SAMPLE;
        let end = if cut { sample.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) } else { sample.len() };
        let look: Text = if again { reopened()? } else { Box::new(Cursor::new(sample[..end].to_vec())) };
        let (mut seen, mut whole) = (0, !cut);
        for batch in open(look, INFER_BATCH)? {
            let batch = batch.map_err(|e| csv_error(path, seen, &e))?;
            let rows = batch.num_rows().min(limit - seen as usize);
            guesses.par_iter_mut().zip(batch.columns()).for_each(|(guess, cells)| {
                guess.add(cells.slice(0, rows).as_string::<i32>());
            });
            seen += rows as u64;
            if seen as usize >= limit {
                whole = false;
                break;
            }
        }
        let text = if again {
            reopened()?
        } else {
            Box::new(BufReader::with_capacity(BUFFER, Cursor::new(sample).chain(text)))
        };
        let reader = open(text, options.batch_rows.max(1))?;
        let fields: Vec<Field> = wanted
            .iter()
            .zip(&order)
            .map(|(column, at)| Field::new(&names[*column], guesses[*at].data_type(), true))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            reader,
            schema: Arc::new(Schema::new(fields)),
            inferred: (!whole).then_some(seen),
            row: 0,
            total: whole.then_some(seen),
            rows: options.rows.clone().unwrap_or(0..u64::MAX),
            order,
        })
    }
}

impl BatchSource for CsvSource {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn rows(&self) -> Option<u64> {
        self.total
    }

    fn pieces(&self) -> Vec<u64> {
        // What stands in line 1000 is known when the lines above have been read.
        vec![self.total.unwrap_or(u64::MAX)]
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let batch = loop {
            if self.row >= self.rows.end {
                return Ok(None);
            }
            let Some(batch) = self.reader.next() else { return Ok(None) };
            let batch = batch.map_err(|e| csv_error(&self.path, self.row, &e))?;
            let rows = batch.num_rows() as u64;
            let skip = self.rows.start.saturating_sub(self.row).min(rows);
            let take = (self.rows.end - self.row).min(rows) - skip.min(self.rows.end - self.row);
            self.row += skip;
            if take > 0 {
                break batch.slice(skip as usize, take as usize);
            }
            self.row += rows - skip;
        };
        let columns = self
            .order
            .par_iter()
            .zip(self.schema.fields().par_iter())
            .map(|(at, field)| {
                let cells = batch.column(*at).as_string::<i32>();
                typed(cells, field.data_type()).map_err(|(row, problem)| {
                    let from = self.inferred.map_or_else(
                        || "the file was changed while it was read".to_owned(),
                        |rows| format!("its first {rows} rows made the column {}", field.data_type()),
                    );
                    DatastoreError::BadRow {
                        path: self.path.clone(),
                        row: self.row + row as u64 + 1,
                        column: field.name().clone(),
                        problem: format!("{problem}; {from}"),
                    }
                })
            })
            .collect::<Result<Vec<ArrayRef>>>()?;
        let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        self.row += batch.num_rows() as u64;
        RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)
            .map(Some)
            .map_err(|e| csv_error(&self.path, self.row, &e))
    }
}

/// Without compression, byte order mark and the comments above the line of names.
fn plain(text: Text, zipped: bool) -> std::io::Result<Text> {
    let mut text: Text =
        if zipped { Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(text))) } else { text };
    if text.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        text.consume(3);
    }
    while text.fill_buf()?.first() == Some(&b'#') {
        text.skip_until(b'\n')?;
    }
    Ok(text)
}

/// The line of names.
fn names(path: &Path, text: impl Read, delimiter: u8) -> Result<Vec<String>> {
    let format = Format::default().with_header(true).with_delimiter(delimiter);
    let (schema, _) = format.infer_schema(text, Some(0)).map_err(|e| csv_error(path, 0, &e))?;
    let names: Vec<String> = schema.fields().iter().map(|f| f.name().trim().to_owned()).collect();
    if names.is_empty() {
        return Err(DatastoreError::damaged(path, "line 1", "a CSV file begins with a line of column names"));
    }
    for (i, name) in names.iter().enumerate() {
        if names[..i].contains(name) {
            return Err(DatastoreError::damaged(path, "line 1", format!("two columns are called `{name}`")));
        }
    }
    Ok(names)
}

fn csv_error(path: &Path, row: u64, error: &ArrowError) -> DatastoreError {
    let (mut place, mut reason) = (format!("after row {row}"), error.to_string());
    if let ArrowError::CsvError(text) = error {
        reason.clone_from(text);
        // Arrow counts lines; the words it wraps around are ours to say.
        if let Some((_, rest)) = text.split_once("incorrect number of fields for line ")
            && let Some((line, rest)) = rest.split_once(", ")
        {
            place = format!("line {line}");
            reason = format!(
                "wrong number of cells: {}",
                rest.replace("expected", "there are").replace(" got ", " names, but ")
            );
        }
    }
    DatastoreError::damaged(path, place, reason)
}

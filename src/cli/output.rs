//! How rows reach a person or a program: `--format table|json|csv`, always on standard output.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, FixedSizeBinaryArray, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use clap::ValueEnum;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use uuid::Uuid;

use super::CliError;

/// How rows are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns, for people.
    #[default]
    Table,
    /// One JSON array of objects.
    Json,
    /// Comma-separated values with a header line.
    Csv,
}

/// Writes rows to standard output.
pub(crate) fn write_rows(batch: &RecordBatch, format: OutputFormat) -> Result<(), CliError> {
    let batch = printable(batch)?;
    let mut out = UntilClosed(io::stdout().lock());
    let written = match format {
        OutputFormat::Table => writeln!(out, "{}", table(&batch)?),
        OutputFormat::Json => {
            let mut writer = arrow::json::ArrayWriter::new(&mut out);
            writer.write(&batch)?;
            writer.finish()?;
            drop(writer);
            writeln!(out)
        }
        OutputFormat::Csv => {
            arrow::csv::WriterBuilder::new().with_header(true).build(&mut out).write(&batch)?;
            Ok(())
        }
    };
    written.and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Takes what a closed pipe refuses: the writers of JSON and CSV do not say which of their errors is that one.
pub(crate) struct UntilClosed<W>(pub(crate) W);

impl<W: Write> Write for UntilClosed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}

/// `bunter … | head` closes our standard output early: that is no failure.
pub(crate) fn ignore_closed_pipe(result: io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(CliError::Output),
    }
}

fn table(batch: &RecordBatch) -> Result<Table, CliError> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(batch.schema().fields().iter().map(|f| f.name().clone()));
    let options = FormatOptions::default();
    let columns = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
        .collect::<Result<Vec<_>, _>>()?;
    for row in 0..batch.num_rows() {
        let cells = columns.iter().zip(batch.columns()).map(|(text, column)| match column.data_type() {
            DataType::Float32 | DataType::Float64 if !column.is_null(row) => float(&text.value(row).to_string()),
            _ => text.value(row).to_string(),
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    for (column, field) in table.column_iter_mut().zip(batch.schema().fields()) {
        if field.data_type().is_numeric() {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    Ok(table)
}

/// Seven significant digits are enough for an eye; `json` and `csv` keep them all.
fn float(text: &str) -> String {
    match text.parse::<f64>() {
        Ok(v) if v != 0.0 && v.is_finite() && (v.abs() >= 1e9 || v.abs() < 1e-4) => format!("{v:.4e}"),
        Ok(v) if v.is_finite() => {
            let digits = (6 - v.abs().max(1.0).log10().floor() as i32).clamp(0, 6) as usize;
            let text = format!("{v:.digits$}");
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        _ => text.to_owned(),
    }
}

/// UUIDs as text, other bytes as their length.
pub(crate) fn printable(batch: &RecordBatch) -> Result<RecordBatch, CliError> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let texts: Option<StringArray> = match column.data_type() {
            DataType::FixedSizeBinary(16) => column.as_any().downcast_ref::<FixedSizeBinaryArray>().map(|ids| {
                ids.iter().map(|id| id.and_then(|id| Uuid::from_slice(id).ok()).map(|id| id.to_string())).collect()
            }),
            DataType::Binary => column.as_any().downcast_ref::<BinaryArray>().map(|values| {
                values.iter().map(|bytes| bytes.map(|bytes| format!("<{} bytes>", bytes.len()))).collect()
            }),
            _ => None,
        };
        if let Some(texts) = texts {
            fields.push(Arc::new(Field::new(field.name(), DataType::Utf8, true)));
            columns.push(Arc::new(texts));
        } else {
            fields.push(Arc::clone(field));
            columns.push(Arc::clone(column));
        }
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_short_for_the_eye() {
        assert_eq!(float("0.1"), "0.1");
        assert_eq!(float("149.99999999"), "150");
        assert_eq!(float("1.23456789"), "1.234568");
        assert_eq!(float("0.0000123"), "1.2300e-5");
        assert_eq!(float("NaN"), "NaN");
        assert_eq!(float("123456.789"), "123456.8");
    }
}

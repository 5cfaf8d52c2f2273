//! Batches on their way out: to a file that a person names, or to standard output as they come.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::Path;

use arrow::datatypes::SchemaRef;
use arrow::json::writer::JsonArray;
use arrow::record_batch::RecordBatch;
use indicatif::ProgressBar;

use super::CliError;
use super::output::{OutputFormat, UntilClosed, printable, write_rows};
use super::progress::bar;
use crate::datastore::TableWriter;

type Out = UntilClosed<BufWriter<Stdout>>;

/// Where the rows of a long answer go.
pub(crate) enum TableOutput {
    File(Box<TableWriter>),
    Csv(Box<arrow::csv::Writer<Out>>),
    Json(Box<arrow::json::Writer<Out, JsonArray>>),
    /// Rows are aligned batch by batch.
    Table,
}

impl TableOutput {
    /// To the file, where one is named, else to standard output.
    pub(crate) fn new(file: Option<&Path>, format: OutputFormat, schema: SchemaRef) -> Result<Self, CliError> {
        if let Some(path) = file {
            return Ok(Self::File(Box::new(TableWriter::create(path, schema)?)));
        }
        let out = || UntilClosed(BufWriter::with_capacity(1 << 16, io::stdout()));
        Ok(match format {
            OutputFormat::Table => Self::Table,
            OutputFormat::Json => Self::Json(Box::new(arrow::json::ArrayWriter::new(out()))),
            OutputFormat::Csv => {
                let mut writer = arrow::csv::WriterBuilder::new().with_header(true).build(out());
                // The line of names stands also over no rows.
                writer.write(&printable(&RecordBatch::new_empty(schema))?)?;
                Self::Csv(Box::new(writer))
            }
        })
    }

    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        match self {
            Self::File(writer) => writer.write(batch)?,
            Self::Csv(writer) => writer.write(&printable(batch)?)?,
            Self::Json(writer) => writer.write(&printable(batch)?)?,
            Self::Table => write_rows(batch, OutputFormat::Table)?,
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), CliError> {
        match self {
            Self::File(writer) => writer.finish().map(drop).map_err(CliError::from),
            Self::Csv(writer) => writer.into_inner().flush().map_err(CliError::Output),
            Self::Json(mut writer) => {
                writer.finish()?;
                let mut out = writer.into_inner();
                writeln!(out).and_then(|()| out.flush()).map_err(CliError::Output)
            }
            Self::Table => Ok(()),
        }
    }
}

/// A bar over the rows of a table; a count where nobody knows how many there are.
pub(crate) fn rows_bar(rows: Option<u64>, what: &str) -> ProgressBar {
    let bar = match rows {
        Some(rows) => bar(rows, "{msg} {bar:40} {human_pos}/{human_len} rows, {eta} left"),
        None => bar(0, "{msg} {human_pos} rows, {elapsed}"),
    };
    bar.set_message(what.to_owned());
    bar
}

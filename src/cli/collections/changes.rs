//! `bunter watch`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use arrow::array::AsArray;
use clap::Args;
use uuid::Uuid;

use crate::butler::{Butler, Watcher};
use crate::cli::CliError;
use crate::cli::output::ignore_closed_pipe;

/// Tell of datasets as they come and go, a line of JSON each, until it is interrupted.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bunter watch REPO --dataset-type calexp --interval 5\n  bunter watch REPO --since 0 --once"
)]
pub(crate) struct Watch {
    /// The repository.
    repository: PathBuf,
    /// Only datasets of these types.
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    dataset_type: Vec<String>,
    /// Begin after the change of this number [default: the latest].
    #[arg(long, value_name = "NUMBER")]
    since: Option<u64>,
    /// Seconds between two looks, 0.1 to 3600.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    interval: f64,
    /// Look once, and end.
    #[arg(long)]
    once: bool,
}

impl Watch {
    pub(crate) fn run(&self) -> Result<(), CliError> {
        if !(0.1..=3600.0).contains(&self.interval) {
            return Err(CliError::Usage(format!("--interval {} is not 0.1 to 3600 seconds", self.interval)));
        }
        let butler = Butler::open(&self.repository)?;
        for name in &self.dataset_type {
            butler.reader().dataset_type(name)?;
        }
        let mut watcher = Watcher::new(&butler, self.since)?;
        loop {
            let changes = watcher.step(&butler)?;
            let mut out = io::stdout().lock();
            for (what, batch) in [("removed", &changes.removed), ("added", &changes.added)] {
                let text = |name: &str| batch.column_by_name(name).and_then(|a| a.as_string_opt::<i32>());
                let ids = batch.column_by_name("id").and_then(|a| a.as_fixed_size_binary_opt());
                let (Some(ids), Some(kind), Some(run)) = (ids, text("dataset_type"), text("run")) else { continue };
                for row in 0..batch.num_rows() {
                    if !self.dataset_type.is_empty() && !self.dataset_type.iter().any(|t| t == kind.value(row)) {
                        continue;
                    }
                    let id = Uuid::from_slice(ids.value(row)).unwrap_or_default();
                    let mut line = serde_json::json!({
                        "number": changes.number, "change": what, "id": id.to_string(),
                        "dataset_type": kind.value(row), "run": run.value(row),
                    });
                    if what == "added"
                        && let Some(dataset) = butler.reader().dataset(id)?
                        && let (Some(map), Ok(data_id)) = (line.as_object_mut(), serde_json::to_value(&dataset.data_id))
                    {
                        map.insert("data_id".to_owned(), data_id);
                    }
                    let written = writeln!(out, "{line}");
                    if written.as_ref().is_err_and(|e| e.kind() == io::ErrorKind::BrokenPipe) {
                        return Ok(());
                    }
                    ignore_closed_pipe(written)?;
                }
            }
            ignore_closed_pipe(out.flush())?;
            drop(out);
            if self.once {
                return Ok(());
            }
            std::thread::sleep(Duration::from_secs_f64(self.interval));
        }
    }
}

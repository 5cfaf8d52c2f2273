//! Ranks decode the packed integers of a catalog: row groups of one or many Parquet files in, one Parquet file a rank out, which
//! together are a dataset folder with the same rows in the same order.
//!
//! `mpirun -n 4 decode_catalog PACKER COLUMN OUTPUT_FOLDER FILE...`, or without `mpirun`; for one,
//! `decode_catalog record:skymap:hsc_rings_v1 object_id decoded objects.parquet`.

use bunter::datastore::TableWriter;
use bunter::ranks::{World, broadcast_result};
use bunter::{OnError, PackedTable, packer_of};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::{error::Error, fs, fs::File, io, path::Path, process::ExitCode};

/// A row group: the file, its number there, its rows.
type Group = (usize, usize, u64);

fn main() -> ExitCode {
    let world = match World::detect() {
        Ok(world) => world,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [packer, column, folder, files @ ..] = arguments.as_slice() else {
        eprintln!("usage: decode_catalog PACKER COLUMN OUTPUT_FOLDER FILE...");
        return ExitCode::from(2);
    };
    match decode(&world, packer, column, Path::new(folder), files) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: rank {}: {error}", world.rank());
            world.abort(1)
        }
    }
}

fn decode(world: &World, packer: &str, column: &str, folder: &Path, files: &[String]) -> Result<(), Box<dyn Error>> {
    let table = PackedTable::new(packer_of(packer)?, column).on_error(OnError::Mask);
    // One rank looks at the footers, for there may be thousands.
    let plan = world.is_root().then(|| plan(folder, files));
    let groups: Vec<Group> = broadcast_result(&**world, plan)?;
    let mine = share(&groups, world.rank() as u64, world.size() as u64);
    let (mut writer, mut faults) = (None, 0);
    for (file, group, _) in mine {
        let opened = File::open(&files[*file]).map_err(|e| format!("{}: {e}", files[*file]))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened)?.with_row_groups(vec![*group]);
        for batch in reader.with_batch_size(1 << 16).build()? {
            let (unpacked, bad) = table.unpack(&batch?).map_err(|e| format!("{}: {e}", files[*file]))?;
            faults += bad.map_or(0, |bad| bad.count);
            let path = folder.join(format!("part-{:05}.parquet", world.rank()));
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(TableWriter::create(path, unpacked.schema())?),
            };
            writer.write(&unpacked)?;
        }
    }
    let rows = writer.map_or(Ok(0), TableWriter::finish)?;
    // The parts are a dataset only when all of them are there.
    let counts = world.gather(&[rows.to_le_bytes(), (faults as u64).to_le_bytes()].concat())?;
    if let Some(counts) = counts {
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let total = |at: usize| counts.iter().map(|c| c.get(at..at + 8).map_or(0, number)).sum::<u64>();
        println!(
            "{} rows of {} row groups by {} ranks, {} do not fit and are null",
            total(0),
            groups.len(),
            world.size(),
            total(8)
        );
    }
    Ok(())
}

/// All row groups of all files, in order. The folder must be new, or what lay there before would join the dataset.
fn plan(folder: &Path, files: &[String]) -> io::Result<Vec<Group>> {
    fs::create_dir(folder).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", folder.display())))?;
    let (mut groups, mut first) = (Vec::new(), None);
    for (i, name) in files.iter().enumerate() {
        let wrong = |what: String| io::Error::other(format!("{name}: {what}"));
        let file = File::open(name).map_err(|e| wrong(e.to_string()))?;
        let footer =
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()).map_err(|e| wrong(e.to_string()))?;
        if first.get_or_insert_with(|| footer.schema().fields().clone()) != footer.schema().fields() {
            return Err(wrong(format!("has other columns than {}", files[0])));
        }
        let rows = footer.metadata().row_groups().iter().map(|g| u64::try_from(g.num_rows()).unwrap_or(0));
        groups.extend(rows.enumerate().map(|(group, rows)| (i, group, rows)));
    }
    Ok(groups)
}

/// A rank's groups: neighbours, so that the parts in order are the rows in order, and as many rows as the others have.
fn share(groups: &[Group], rank: u64, ranks: u64) -> &[Group] {
    let total: u64 = groups.iter().map(|g| g.2).sum();
    let mut before = 0;
    // A group belongs to the rank in whose share of the rows its middle lies.
    let owner = |group: &Group| {
        let middle = before + group.2 / 2;
        before += group.2;
        (u128::from(middle) * u128::from(ranks) / u128::from(total.max(1))) as u64
    };
    let owners: Vec<u64> = groups.iter().map(owner).collect();
    &groups[owners.partition_point(|o| *o < rank)..owners.partition_point(|o| *o <= rank)]
}

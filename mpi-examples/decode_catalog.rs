//! Ranks decode the packed integers of a catalog: pieces (row groups, ranges of rows) of one or many tables in, one Parquet file a rank out,
//! which together are a dataset folder with the same rows in the same order. Tables are Parquet, HDF5, FITS or CSV.
//!
//! `mpirun -n 4 decode_catalog PACKER COLUMN OUTPUT_FOLDER FILE...`, or without `mpirun`; for one,
//! `decode_catalog record:skymap:hsc_rings_v1 object_id decoded objects.parquet 'more.h5#/objects' sources.fits[1]`.

use bunter::datastore::{TableOptions, TableReader, TableWriter};
use bunter::ranks::{World, broadcast_result};
use bunter::{OnError, PackedTable, packer_of};
use std::{error::Error, fs, io, path::Path, process::ExitCode};

/// A piece: the file, its first row there, its rows.
type Piece = (usize, u64, u64);

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
    // One rank looks at the footers and headers, for there may be thousands.
    let plan = world.is_root().then(|| plan(folder, files));
    let pieces: Vec<Piece> = broadcast_result(&**world, plan)?;
    let mine = share(&pieces, world.rank() as u64, world.size() as u64);
    let (mut writer, mut faults) = (None, 0);
    // Neighbours of one file are read in one go.
    for neighbours in mine.chunk_by(|a, b| a.0 == b.0) {
        let (file, start) = (&files[neighbours[0].0], neighbours[0].1);
        let mut options = TableOptions::default();
        options.rows = Some(start..start + neighbours.iter().map(|piece| piece.2).sum::<u64>());
        for batch in TableReader::open(file, options)? {
            let (unpacked, bad) = table.unpack(&batch?).map_err(|e| format!("{file}: {e}"))?;
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
            "{} rows of {} pieces by {} ranks, {} do not fit and are null",
            total(0),
            pieces.len(),
            world.size(),
            total(8)
        );
    }
    Ok(())
}

/// All pieces of all files, in order. The folder must be new, or what lay there before would join the dataset.
fn plan(folder: &Path, files: &[String]) -> io::Result<Vec<Piece>> {
    fs::create_dir(folder).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", folder.display())))?;
    let (mut pieces, mut first) = (Vec::new(), None);
    for (i, name) in files.iter().enumerate() {
        let reader = TableReader::open(name, TableOptions::default()).map_err(io::Error::other)?;
        let schema = reader.schema();
        let columns: Vec<_> = schema.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect();
        if *first.get_or_insert_with(|| columns.clone()) != columns {
            return Err(io::Error::other(format!("{name}: has other columns than {}", files[0])));
        }
        let mut start = 0;
        for rows in reader.pieces() {
            pieces.push((i, start, rows));
            start += rows;
        }
    }
    Ok(pieces)
}

/// A rank's pieces: neighbours, so that the parts in order are the rows in order, and as many rows as the others have.
fn share(pieces: &[Piece], rank: u64, ranks: u64) -> &[Piece] {
    let total: u64 = pieces.iter().map(|g| g.2).sum();
    let mut before = 0;
    // A piece belongs to the rank in whose share of the rows its middle lies.
    let owner = |piece: &Piece| {
        let middle = before + piece.2 / 2;
        before += piece.2;
        (u128::from(middle) * u128::from(ranks) / u128::from(total.max(1))) as u64
    };
    let owners: Vec<u64> = pieces.iter().map(owner).collect();
    &pieces[owners.partition_point(|o| *o < rank)..owners.partition_point(|o| *o <= rank)]
}
